/* api_value.c: norn.h's calls on values. */
#include "lang/value/array.h"
#include "lang/value/hamt.h"
#include <math.h>
#include <string.h>

bool     norn_equal(norn_datum a, norn_datum b) { return value_equal(a, b); }
uint64_t norn_hash(norn_datum v) { return value_hash(v); }
int      norn_compare(norn_datum a, norn_datum b) { return value_compare(a, b); }

/* ---- strings ---- */

norn_datum norn_string(norn_state *st, const char *bytes, size_t n)
{
  str *s = str_new(st, bytes, n);
  return s ? v_obj(NORN_STR, s) : norn_none();
}

norn_datum norn_cstring(norn_state *st, const char *s)
{
  return norn_string(st, s, strlen(s));
}

const char *norn_string_view(norn_datum v, size_t *n)
{
  if (v.tag != NORN_STR) return NULL;
  if (n) *n = v_str(v)->h.n;
  return v_str(v)->s;
}

/* ---- arrays ---- */

norn_datum norn_array(norn_state *st, norn_elem elem, int rank, const int64_t *dims, void **out)
{
  bool well = rank >= 1 && rank <= NORN_RANK_MAX && (elem != NORN_VALUES || rank == 1);
  for (int k = 0; well && k < rank; k++) well = dims[k] >= 0;
  if (!well) return state_fail(st, NORN_EUSE, "norn_array: no such shape (rank %d)", rank);
  vec *v = vec_new(st, elem, rank, dims);
  if (!v) return norn_none();
  if (out) *out = vec_elems(v);
  return v_obj(NORN_ARRAY, v);
}

norn_datum norn_array_f64(norn_state *st, const double *x, int64_t n)
{
  void *at = NULL;
  norn_datum v = norn_array(st, NORN_F64, 1, &n, &at);
  if (!norn_is_none(v) && n) memcpy(at, x, (size_t)n * sizeof *x);
  return v;
}

norn_datum norn_array_pack(norn_state *st, const norn_datum *x, int64_t n)
{
  return vec_pack(st, x, n);
}

bool norn_array_view(norn_datum a, norn_view *out)
{
  const vec *v = a.tag == NORN_ARRAY ? vec_settle(v_vec(a)) : NULL;
  if (!v) return false;
  out->elem = (norn_elem)vec_elem(v);
  out->rank = vec_rank(v);
  out->n = vec_count(v);
  out->dims[0] = v->len;
  memcpy(out->dims + 1, v->dims, (size_t)(out->rank - 1) * sizeof *v->dims);
  out->v = vec_elems(v);
  return true;
}

norn_datum norn_array_at(norn_state *st, norn_datum a, int64_t i)
{
  if (a.tag != NORN_ARRAY || i < 0 || i >= v_vec(a)->len)
    return state_fail(st, NORN_EUSE, "norn_array_at: no element %lld", (long long)i);
  return vec_at(st, v_vec(a), i);
}

int64_t norn_array_length(norn_datum a)
{
  return a.tag == NORN_ARRAY ? v_vec(a)->len : -1;
}

double norn_elem_real(norn_datum x, int64_t k)
{
  double d = NAN;
  if (x.tag == NORN_ARRAY) {
    const vec *v = vec_settle(v_vec(x));
    if (!v || k < 0 || k >= vec_count(v)) return NAN;
    x = elem_value(vec_elem(v), vec_elems(v), k);
  }
  if (V_IS_BOOL(x)) return (double)x.i;
  return norn_as_real(x, &d) ? d : NAN;
}

/* ---- records, variants ---- */

norn_datum norn_record(norn_state *st, int n, const char *const *names, const norn_datum *values)
{
  sym few[32] = { 0 }, *syms = few;
  size_t size = (size_t)(n > 0 ? n : 0) * sizeof *syms;
  if (size > sizeof few && !(syms = mem_get(&st->mem, size))) return state_memory(st);
  bool well = true;
  for (int i = 0; i < n; i++) well &= (syms[i] = sym_intern(st, names[i], strlen(names[i]))) != 0;
  const shape *sh = well ? shape_intern(st, syms, (uint32_t)n) : NULL;
  if (syms != few) mem_put(&st->mem, syms, size);
  return sh ? rec_new(st, sh, values) : state_memory(st);
}

norn_datum norn_record_get(norn_state *st, norn_datum r, const char *name)
{
  (void)st;
  if (r.tag != NORN_RECORD) return norn_none();
  const shape *sh = v_rec(r)->sh;
  for (uint32_t i = 0; i < sh->n; i++)
    if (strcmp(sh->text[i], name) == 0) return v_rec(r)->f[i];
  return norn_none();
}

int norn_record_size(norn_datum r)
{
  return r.tag == NORN_RECORD ? (int)v_rec(r)->sh->n : -1;
}

const char *norn_record_at(norn_state *st, norn_datum r, int i, norn_datum *value)
{
  (void)st;
  if (r.tag != NORN_RECORD || i < 0 || (uint32_t)i >= v_rec(r)->sh->n) return NULL;
  if (value) *value = v_rec(r)->f[i];
  return v_rec(r)->sh->text[i];
}

const norn_datum *norn_record_view(norn_datum r, int *n)
{
  if (r.tag != NORN_RECORD) return NULL;
  if (n) *n = (int)v_rec(r)->sh->n;
  return v_rec(r)->f;
}

const char *norn_data_view(norn_state *st, norn_datum v, const norn_datum **fields, int *n)
{
  if (V_KIND(v) != NORN_ENUM && V_KIND(v) != NORN_DATA) return NULL;
  bool has = V_KIND(v) == NORN_DATA;
  if (fields) *fields = has ? ((const data *)v.p)->f : NULL;
  if (n) *n = has ? (int)((const obj *)v.p)->n : 0;
  uint32_t id = V_CTOR(v);
  return id < st->nctors ? sym_name(st, st->ctors[id].name) : "?";
}

/* ---- maps ---- */

norn_datum norn_map_new(norn_state *st) { return hamt_new(st); }

static bool want_map(norn_state *st, norn_datum m, const char *who)
{
  char found[96];
  if (m.tag == NORN_MAP) return true;
  norn_fail(st, NORN_ETYPE, 0, "%s needs a map, got %s", who,
            norn_describe(st, m, found, sizeof found));
  return false;
}

norn_datum norn_map_put(norn_state *st, norn_datum m, norn_datum key, norn_datum value)
{
  return want_map(st, m, "put") ? hamt_put(st, m, key, value_hash(key), value) : norn_none();
}

norn_datum norn_map_get(norn_datum m, norn_datum key)
{
  return m.tag == NORN_MAP ? hamt_get(m, key, value_hash(key)) : norn_none();
}

norn_datum norn_map_remove(norn_state *st, norn_datum m, norn_datum key)
{
  return want_map(st, m, "remove") ? hamt_remove(st, m, key, value_hash(key)) : norn_none();
}

int64_t norn_map_size(norn_datum m)
{
  if (m.tag != NORN_MAP) return -1;
  const map *p = m.p;
  return p->root ? p->root->count : 0;
}

bool norn_map_at(norn_datum m, int64_t i, norn_datum *key, norn_datum *value)
{
  const hent *e = m.tag == NORN_MAP ? hamt_at(m.p, i) : NULL;
  if (!e) return false;
  if (key) *key = e->key;
  if (value) *value = e->value;
  return true;
}

/* ---- references ---- */

static void ref_link(norn_ref *r, norn_ref **list)
{
  r->prev = NULL;
  r->next = *list;
  if (*list) (*list)->prev = r;
  *list = r;
}

static void ref_unlink(norn_ref *r)
{
  if (r->next) r->next->prev = r->prev;
  if (r->prev) r->prev->next = r->next;
  else if (r->fresh) r->st->refs_fresh = r->next;
  else r->st->refs_old = r->next;
}

norn_ref *norn_keep(norn_state *st, norn_datum v)
{
  norn_ref *r = mem_get(&st->mem, sizeof *r);
  if (!r) {
    state_memory(st);
    return NULL;
  }
  *r = (norn_ref){ .st = st, .v = v, .fresh = true };
  ref_link(r, &st->refs_fresh);
  return r;
}

norn_datum norn_get(const norn_ref *r) { return r->v; }

void norn_set(norn_ref *r, norn_datum v)
{
  r->v = v;
  if (r->fresh || !V_IS_HEAP(v)) return;
  ref_unlink(r);
  r->fresh = true;
  ref_link(r, &r->st->refs_fresh);
}

norn_status norn_push(norn_ref *r, norn_datum x)
{
  char found[96];
  if (r->v.tag != NORN_ARRAY)
    return norn_fail(r->st, NORN_EUSE, -1, "norn_push: the reference holds %s",
                     norn_describe(r->st, r->v, found, sizeof found));
  norn_datum v = vec_push(r->st, r->v, x);
  if (norn_is_none(v)) return NORN_EMEMORY;
  norn_set(r, v);
  return NORN_OK;
}

void norn_drop(norn_ref *r)
{
  if (!r) return;
  ref_unlink(r);
  mem_put(&r->st->mem, r, sizeof *r);
}

/* ---- arguments of natives ---- */

static void wrong(norn_state *st, const norn_datum *args, int i, const char *what,
                  const char *wanted)
{
  char found[128];
  norn_fail(st, NORN_ETYPE, i, "%s must be %s, got %s", what, wanted,
            norn_describe(st, args[i], found, sizeof found));
}

bool norn_want_real(norn_state *st, const norn_datum *args, int i, const char *what, double *out)
{
  if (norn_as_real(args[i], out)) return true;
  wrong(st, args, i, what, "a number");
  return false;
}

bool norn_want_int(norn_state *st, const norn_datum *args, int i, const char *what, int64_t *out)
{
  if (!V_IS_INT(args[i])) {
    wrong(st, args, i, what, "an integer");
    if (V_IS_REAL(args[i])) norn_hint(st, "floor(x) or round(x) makes an integer of a real");
    return false;
  }
  *out = args[i].i;
  return true;
}

bool norn_want_string(norn_state *st, const norn_datum *args, int i, const char *what,
                      const char **s, size_t *n)
{
  *s = norn_string_view(args[i], n);
  if (!*s) wrong(st, args, i, what, "a string");
  return *s != NULL;
}

bool norn_want_array(norn_state *st, const norn_datum *args, int i, const char *what,
                     norn_view *out)
{
  if (args[i].tag != NORN_ARRAY) {
    wrong(st, args, i, what, "an array");
    return false;
  }
  norn_datum v = vec_repack(st, args[i]);
  return !norn_is_none(v) && norn_array_view(v, out);
}

static double *scratch(norn_state *st, int64_t n)
{
  size_t size = (size_t)n * sizeof(double);
  if (!mem_grow(&st->mem, &st->scratch, &st->cscratch, st->nscratch + 1, sizeof *st->scratch))
    return NULL;
  double *p = mem_get(&st->mem, size);
  if (!p) return NULL;
  st->scratch[st->nscratch].scratch = p;
  st->scratch[st->nscratch++].size = size;
  return p;
}

const double *norn_want_reals(norn_state *st, const norn_datum *args, int i, const char *what,
                              int64_t *n)
{
  norn_view v;
  if (args[i].tag != NORN_ARRAY) {
    wrong(st, args, i, what, "an array of numbers");
    return NULL;
  }
  if (!norn_want_array(st, args, i, what, &v)) return NULL;
  *n = v.n;
  if (v.elem == NORN_F64) return v.f;
  if (v.n && v.elem != NORN_I64) {
    wrong(st, args, i, what, "an array of numbers");
    return NULL;
  }
  double *x = scratch(st, v.n);
  if (!x) state_memory(st);
  for (int64_t k = 0; x && k < v.n; k++) x[k] = (double)v.i[k];
  return x;
}
