/* lib.c: checks, views and groups that several shelves use. */
#include "lib/lib.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

norn_status lib_failed(norn_state *st)
{
  const norn_err *e = norn_error(st);
  if (e && e->code != NORN_OK) return e->code;
  return norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
}

norn_status lib_give(norn_state *st, norn_datum v, norn_datum *out)
{
  if (norn_is_none(v)) return lib_failed(st);
  *out = v;
  return NORN_OK;
}

norn_status lib_wrong(norn_state *st, const norn_datum *args, int i, const char *what,
                      const char *wanted)
{
  char got[160];
  return norn_fail(st, NORN_ETYPE, i, "%s must be %s, got %s", what, wanted,
                   norn_describe(st, args[i], got, sizeof got));
}

bool lib_is_number(norn_datum v)
{
  return v.tag == NORN_INT || v.tag == NORN_REAL;
}

bool lib_is_posterior(norn_datum v)
{
  norn_dist d;
  return norn_kind_of(v) == NORN_DIST && norn_dist_view(v, &d) &&
         (d.row->flags & NORN_DIST_POSTERIOR);
}

norn_status lib_no_posterior(norn_state *st, const norn_datum *args, int i)
{
  lib_wrong(st, args, i, "the argument", "a posterior");
  if (norn_kind_of(args[i]) == NORN_MODEL) norn_hint(st, "infer(m, engine) gives the posterior of a model value");
  if (norn_array_length(args[i]) > 0 && lib_is_posterior(norn_array_at(st, args[i], 0))) lib_hint_each(st);
  return lib_failed(st);
}

void lib_hint_each(norn_state *st)
{
  norn_hint(st, "of several posteriors: [f(p) for p in posteriors]");
}

bool lib_want_bool(norn_state *st, const norn_datum *args, int i, const char *what, bool *out)
{
  if (args[i].tag != NORN_BOOL) {
    lib_wrong(st, args, i, what, "true or false");
    return false;
  }
  *out = args[i].i != 0;
  return true;
}

double *lib_reals(norn_state *st, int64_t n, norn_datum *array)
{
  void *p = NULL;
  *array = norn_array(st, NORN_F64, 1, &n, &p);
  return norn_is_none(*array) ? NULL : p;
}

int64_t *lib_ints(norn_state *st, int64_t n, norn_datum *array)
{
  void *p = NULL;
  *array = norn_array(st, NORN_I64, 1, &n, &p);
  return norn_is_none(*array) ? NULL : p;
}

norn_datum *lib_values(norn_state *st, int64_t n, norn_datum *array)
{
  void *p = NULL;
  *array = norn_array(st, NORN_VALUES, 1, &n, &p);
  if (norn_is_none(*array)) return NULL;
  norn_datum *v = p;
  for (int64_t k = 0; k < n; k++) v[k] = norn_missing();
  return v;
}

norn_datum lib_elem(const norn_view *v, int64_t k)
{
  switch (v->elem) {
  case NORN_F64: return norn_real(v->f[k]);
  case NORN_I64: return norn_int(v->i[k]);
  case NORN_B8:  return norn_bool(v->b[k] != 0);
  default:       return v->v[k];
  }
}

size_t lib_elem_size(norn_elem e)
{
  return e == NORN_B8 ? 1 : e == NORN_VALUES ? sizeof(norn_datum) : 8;
}

norn_datum lib_rows(norn_state *st, const norn_view *v, int64_t from, int64_t to)
{
  int64_t dims[NORN_RANK_MAX], row = lib_row(v);
  size_t size = lib_elem_size(v->elem);
  void *p = NULL;
  memcpy(dims, v->dims, sizeof dims);
  dims[0] = to - from;
  norn_datum a = norn_array(st, v->elem, v->rank, dims, &p);
  if (!norn_is_none(a) && to > from)
    memcpy(p, (const char *)v->b + (size_t)(from * row) * size, (size_t)((to - from) * row) * size);
  return a;
}

norn_datum lib_gather(norn_state *st, const norn_view *v, const int64_t *ix, int64_t n)
{
  int64_t dims[NORN_RANK_MAX];
  size_t size = lib_elem_size(v->elem) * (size_t)lib_row(v);
  void *p = NULL;
  memcpy(dims, v->dims, sizeof dims);
  dims[0] = n;
  norn_datum a = norn_array(st, v->elem, v->rank, dims, &p);
  if (norn_is_none(a)) return a;
  if (size == 8) {
    for (int64_t k = 0; k < n; k++) ((int64_t *)p)[k] = v->i[ix[k]];
  } else {
    for (int64_t k = 0; k < n; k++)
      memcpy((char *)p + (size_t)k * size, (const char *)v->b + (size_t)ix[k] * size, size);
  }
  return a;
}

norn_datum lib_nested(norn_state *st, const norn_datum *x, int rank, const int64_t *dims)
{
  norn_datum a, *v = lib_values(st, dims[0], &a);
  int64_t row = 1;
  if (!v) return norn_none();
  for (int k = 1; k < rank; k++) row *= dims[k];
  for (int64_t k = 0; k < dims[0]; k++) {
    v[k] = rank == 1 ? x[k] : lib_nested(st, x + k * row, rank - 1, dims + 1);
    if (norn_is_none(v[k])) return v[k];
  }
  return a;
}

/* ---- functions of two numbers ---- */

static bool real2_shapes(norn_state *st, const norn_datum *args, const char *name, norn_view *a,
                         norn_view *b)
{
  char got[2][120];
  if (a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0)
    return true;
  norn_fail(st, NORN_ETYPE, 1, "%s needs arrays of equal shape, got %s and %s", name,
            norn_describe(st, args[0], got[0], sizeof got[0]),
            norn_describe(st, args[1], got[1], sizeof got[1]));
  return false;
}

norn_status lib_real2(norn_state *st, const norn_datum *args, const char *name,
                      double (*f)(double, double), norn_datum *out)
{
  norn_view v[2];
  const double *x[2] = { NULL, NULL };
  double s[2] = { 0, 0 };
  char what[64];
  int arrays = 0, shaped = -1;
  if (lib_has_big(args, 2)) return norn_big_apply(st, name, args, 2, out);
  snprintf(what, sizeof what, "each argument of %s", name);
  for (int k = 0; k < 2; k++) {
    if (norn_as_real(args[k], &s[k])) continue;
    int64_t n;
    if (!norn_array_view(args[k], &v[k]))
      return lib_wrong(st, args, k, what, "a number or an array of numbers");
    if (!(x[k] = norn_want_reals(st, args, k, what, &n))) return lib_failed(st);
    arrays++;
    shaped = k;
  }
  if (arrays == 0) {
    *out = norn_real(f(s[0], s[1]));
    return NORN_OK;
  }
  if (arrays == 2 && !real2_shapes(st, args, name, &v[0], &v[1])) return lib_failed(st);
  void *p = NULL;
  norn_datum r = norn_array(st, NORN_F64, v[shaped].rank, v[shaped].dims, &p);
  if (norn_is_none(r)) return lib_failed(st);
  for (int64_t k = 0; k < v[shaped].n; k++)
    ((double *)p)[k] = f(x[0] ? x[0][k] : s[0], x[1] ? x[1][k] : s[1]);
  *out = r;
  return NORN_OK;
}

/* ---- text and files ---- */

static void *state_alloc(void *user, void *p, size_t old, size_t n)
{
  return norn_alloc(user, p, old, n);
}

mem lib_mem(norn_state *st)
{
  mem m;
  mem_init(&m);
  m.alloc = state_alloc;
  m.user = st;
  return m;
}

norn_status lib_text(norn_state *st, text *t, norn_datum *out)
{
  norn_datum v = norn_none();
  if (!t->failed) v = norn_string(st, t->n ? t->s : "", t->n);
  text_free(t);
  return lib_give(st, v, out);
}

bool lib_want_file(norn_state *st, const norn_datum *args, int i, const char **name)
{
  size_t len;
  if (norn_config_of(st)->no_files) {
    norn_fail(st, NORN_EIO, i, "reading and writing files is turned off here");
    norn_hint(st, "norn --safe and hosts can forbid it");
    return false;
  }
  if (!norn_want_string(st, args, i, "the name of the file", name, &len)) {
    if (i == 1 && norn_string_view(args[0], NULL)) norn_hint(st, "the name of the file comes after what is written");
    return false;
  }
  if (strlen(*name) == len) return true;
  norn_fail(st, NORN_EIO, i, "the name of the file holds a zero byte");
  return false;
}

norn_status lib_unread(norn_state *st, int arg, const char *name, const char *why)
{
  bool memory = strcmp(why, "not enough memory") == 0;
  return norn_fail(st, memory ? NORN_EMEMORY : NORN_EIO, arg, "can't read %s: %s", name, why);
}

const char *lib_path(norn_state *st, const char *name, char *buf, size_t n)
{
  size_t len;
  const char *dir = norn_string_view(norn_global(st, "script_dir"), &len);
  snprintf(buf, n, "%s", name);
  if (name[0] == '/' || !dir || access(name, F_OK) == 0) return buf;
  if ((size_t)snprintf(buf, n, "%s/%s", dir, name) >= n || access(buf, F_OK) != 0)
    snprintf(buf, n, "%s", name);
  return buf;
}

/* ---- groups of equal values: open addressing ---- */

static int64_t group_find(norn_datum v, const norn_datum *values, int64_t *slots, uint64_t mask,
                          const lib_groups *g)
{
  uint64_t h = norn_hash(v) & mask;
  while (slots[h] && !norn_equal(values[g->first[slots[h] - 1]], v)) h = (h + 1) & mask;
  return (int64_t)h;
}

bool lib_group(norn_state *st, norn_datum array, lib_groups *g)
{
  int64_t n = norn_array_length(array), *slots;
  norn_datum keep, *values;
  uint64_t size = 8;
  while (size < 2 * (uint64_t)n) size *= 2;
  if (!(values = lib_values(st, n, &keep)) || !(g->kind = lib_ints(st, n, &keep)) ||
      !(g->first = lib_ints(st, n, &keep)) || !(slots = lib_ints(st, (int64_t)size, &keep))) {
    lib_failed(st);
    return false;
  }
  memset(slots, 0, size * sizeof *slots);
  g->n = n;
  g->kinds = 0;
  for (int64_t k = 0; k < n; k++) {
    values[k] = norn_array_at(st, array, k);
    int64_t h = group_find(values[k], values, slots, size - 1, g);
    if (!slots[h]) {
      g->first[g->kinds++] = k;
      slots[h] = g->kinds;
    }
    g->kind[k] = slots[h] - 1;
  }
  return true;
}
