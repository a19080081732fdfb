/* archive_value.c: values and the objects that they point to, as archive.h draws them.

   Reading trusts nothing: every number is within its bounds, every reference is to an object of the
   kind it must be of, chains of buffers, tries and scopes end.  (That a value is of the type that
   compiled code has made sure of is not looked at: the hash of each section stands for that.) */
#include "lang/archive/archive.h"
#include "lang/value/array.h"
#include "lang/symbolic/delayed.h"
#include "lang/value/hamt.h"
#include <string.h>

enum { SHIFT_LAST = 60, SCOPES_MAX = 1 << 16 };

/* ---- writing ---- */

static uint32_t object_put(norn_archive *a, const obj *o)
{
  bool is_new;
  if (!o) return 0;
  uint32_t k = archive_number(a, &a->objects, o, &is_new);
  if (!k || !is_new) return k;
  mem *m = &a->st->mem;
  if (!mem_grow(m, &a->object, &a->cobject, a->nobject + 1, sizeof *a->object) ||
      !mem_grow(m, &a->origin, &a->corigin, a->nobject + 1, sizeof *a->origin))
    return archive_no_memory(a), 0u;
  a->origin[a->nobject] = a->place;
  a->object[a->nobject++] = (obj *)(uintptr_t)o;
  return k;
}

static bool value_refused(norn_archive *a, val v)
{
  if (v.tag == NORN_POINTER) return norn_archive_fail(a, "a pointer of C can't be saved");
  return norn_archive_fail(a, "what is being recorded can't be saved");
}

void value_put(norn_archive *a, val v)
{
  unsigned kind = V_KIND(v);
  bool null = v.tag == NORN_POINTER && !v.p;
  if (!archive_good(a)) return;
  put_byte(a, kind);
  switch (kind) {
  case NORN_NONE: case NORN_UNIT: case NORN_MISSING: break;
  case NORN_INT: norn_archive_i64(a, &v.i); break;
  case NORN_REAL: put_raw(a, &v.d, sizeof v.d); break;
  case NORN_BOOL: put_byte(a, v.i != 0); break;
  case NORN_ENUM: put_uint(a, code_ctor(a, V_CTOR(v))); break;
  case NORN_NATIVE: put_uint(a, code_native(a, v.q)); break;
  case V_ADDR: put_raw(a, &v.i, sizeof v.i); break;
  case NORN_POINTER: if (!null) value_refused(a, v); break;
  case NORN_DATA:
    put_uint(a, code_ctor(a, V_CTOR(v)));
    put_uint(a, object_put(a, v.p));
    break;
  default:
    if (!V_IS_HEAP(v)) value_refused(a, v);
    else put_uint(a, object_put(a, v.p));
  }
}

static void values_put(norn_archive *a, const val *v, size_t n)
{
  for (size_t i = 0; i < n; i++) value_put(a, v[i]);
}

static void buf_put(norn_archive *a, const buf *b)
{
  size_t n = (size_t)(b->fill - b->base);
  put_uint(a, object_put(a, b->parent ? &b->parent->h : NULL));
  if (b->h.aux == NORN_VALUES) values_put(a, b->v, n);
  else put_raw(a, b->f, n * elem_bytes(b->h.aux));
}

/* Fingerprints see elements, not how they lie. */
static void elements_put(norn_archive *a, vec *v)
{
  if (!vec_settle(v)) {
    archive_no_memory(a);
    return;
  }
  size_t n = (size_t)vec_count(v);
  put_uint(a, vec_elem(v));
  if (vec_elem(v) == NORN_VALUES) values_put(a, vec_elems(v), v->b ? n : 0);
  else put_raw(a, vec_elems(v), n * elem_bytes(vec_elem(v)));
}

static void vec_put(norn_archive *a, vec *v)
{
  put_uint(a, (uint64_t)v->len);
  for (int k = 0; k < vec_rank(v) - 1; k++) put_uint(a, (uint64_t)v->dims[k]);
  if (a->prints) {
    elements_put(a, v);
    return;
  }
  put_uint(a, (uint64_t)v->off);
  put_uint(a, object_put(a, v->b ? &v->b->h : NULL));
}

/* Of a posterior the fingerprint is that of its draws: what else it has tells times, too. */
static void tab_put(norn_archive *a, const tab *t)
{
  const norn_dist_row *row = t->row;
  bool post = a->prints && t->h.kind == NORN_DIST && row->flags & NORN_DIST_POSTERIOR;
  put_uint(a, t->h.kind == NORN_DIST ? code_row(a, row) : code_engine(a, t->row));
  for (uint32_t i = 0; i < t->h.n; i++)
    if (!post || V_KIND(t->a[i]) != NORN_RECORD) value_put(a, t->a[i]);
}

/* Which of given()'s choices were met is no part of the fingerprint. */
static void modl_put(norn_archive *a, const modl *m)
{
  norn_view c;
  bool given = a->prints && norn_array_view(m->a[1], &c);
  value_put(a, m->a[0]);
  if (a->code_only) return;
  if (given) values_put(a, c.v + 1, (size_t)c.n - 1);
  else value_put(a, m->a[1]);
  values_put(a, m->a + 2, m->h.n - 2);
}

static void hnode_put(norn_archive *a, const hnode *t)
{
  put_uint(a, (uint64_t)t->count);
  for (uint32_t i = 0; i < t->h.n; i++) {
    put_raw(a, &t->e[i].hash, sizeof t->e[i].hash);
    value_put(a, t->e[i].key);
    value_put(a, t->e[i].value);
  }
  for (int i = 0; i < hnode_nsubs(t); i++) put_uint(a, object_put(a, &hnode_subs(t)[i]->h));
}

static void scope_put(norn_archive *a, const scope *s)
{
  put_uint(a, object_put(a, s->up ? &s->up->h : NULL));
  value_put(a, s->seen_by);
  for (uint32_t i = 0; i < s->h.n; i++) {
    const scope_fix *f = &s->fix[i];
    put_raw(a, &f->addr, sizeof f->addr);
    value_put(a, f->value);
    put_uint(a, f->what);
    put_uint(a, f->key);
  }
}

/* Random variables, what is known of them, and the graph of it (delayed.h). */
static void random_put(norn_archive *a, const obj *o)
{
  if (o->aux == RANDOM_NODE) {
    const rnode *n = (const rnode *)o;
    put_byte(a, (unsigned)n->form);
    put_byte(a, (unsigned)n->at);
    put_raw(a, &n->parent, sizeof n->parent + sizeof n->scale + sizeof n->addr);
    put_raw(a, n->x, sizeof n->x);
    put_uint(a, code_row(a, n->row));
    values_put(a, n->v, o->n);
  } else if (o->aux == RANDOM_GRAPH) {
    const rgraph *g = (const rgraph *)o;
    put_raw(a, &g->made, 4 * sizeof g->made + sizeof g->next);       /* made, met, drawn, least, next */
    value_put(a, g->nodes);
  } else {
    put_raw(a, &((const rvar *)o)->node, sizeof(rvar) - offsetof(rvar, node));
    if (rvar_has_arrays(o)) values_put(a, rvar_arrays((const rvar *)o), 2);
  }
}

/* ---- handles: what stands for one is an archive of its own, so that it can be made at once ---- */

enum { DEPTH_MAX = 16 };

/* The state's error is the archive's. */
static bool passed_on(norn_archive *a)
{
  char words[sizeof a->st->err.text];
  memcpy(words, a->st->err.text, sizeof words);
  return norn_archive_fail(a, "%s", words);
}

static const archive_handle *archived_as(const norn_state *st, const norn_handle_row *row, const char *name)
{
  for (size_t i = 0; i < st->narchived; i++)
    if (row ? st->archived[i]->row == row : !strcmp(st->archived[i]->row->name, name)) return st->archived[i];
  return NULL;
}

/* In `in`, a writer that was just made: what stands for the handle. */
static bool handle_write(norn_archive *in, const handle *o)
{
  const archive_handle *as = archived_as(in->st, o->row, NULL);
  const char *name;
  void *p = o->p;
  if (as) return as->archive(in, &p) && archive_good(in);
  val saved = norn_handle_save(in->st, v_obj(NORN_HANDLE, o), &name);
  return !norn_is_none(saved) && norn_archive_value(in, &saved);
}

static void handle_put(norn_archive *a, const handle *o)
{
  const char *name = o->row->name;
  const uint8_t *s;
  size_t n;
  norn_archive *in = a->depth < DEPTH_MAX ? archive_writer(a->st) : NULL;
  if (in) in->depth = a->depth + 1, in->place = a->place;
  if (a->depth >= DEPTH_MAX) {
    norn_archive_fail(a, "a %s in itself can't be saved", name);
  } else if (!in || !handle_write(in, o) || !archive_written(in, &s, &n)) {
    passed_on(a);
  } else {
    put_text(a, name, strlen(name));
    put_uint(a, a->prints ? 0 : o->serial);
    put_text(a, (const char *)s, n);
  }
  archive_free(in);
}

/* What stands in r, as a handle; NONE: the state's error is set. */
static val handle_read(norn_archive *r, const char *name)
{
  norn_state *st = r->st;
  const archive_handle *as = archived_as(st, NULL, name);
  void *p = NULL;
  val saved = norn_none(), v;
  if (!as) {
    bool whole = norn_archive_value(r, &saved) && archive_finished(r);
    return whole ? norn_handle_load(st, name, saved) : norn_none();
  }
  if (!as->archive(r, &p) || !archive_finished(r)) {
    if (p) as->row->free(st, p);
    return norn_none();
  }
  v = norn_handle_new(st, as->row, p, as->bytes ? as->bytes(p) : 0);
  if (norn_is_none(v)) as->row->free(st, p);
  return v;
}

static obj *handle_made(norn_archive *a)
{
  size_t n, m;
  char name[100];
  const char *s = get_text(a, &n);
  uint64_t serial = s ? get_uint(a) : 0, made = a->st->handle_serial;
  const char *in = s ? get_text(a, &m) : NULL;
  val v = norn_none();
  if (!in) return NULL;
  if (n >= sizeof name || a->depth >= DEPTH_MAX) return archive_damaged(a, "a handle is none"), NULL;
  memcpy(name, s, n);
  name[n] = 0;
  norn_archive *r = archive_reader_in(a, (const uint8_t *)in, m);
  if (r) v = handle_read(r, name);
  bool inside = !r || !archive_good(r);
  archive_free(r);
  if (norn_is_none(v)) {
    if (inside) a->status = a->st->err.code;
    else passed_on(a);
    return NULL;
  }
  handle *o = v.p;
  if (o->serial > made) o->serial = serial;                   /* one that was there already keeps its own */
  return v.p;
}

/* What must be known to make an object of that size. */
static void head_put(norn_archive *a, const obj *o)
{
  put_byte(a, o->kind);
  switch (o->kind) {
  case NORN_STR: put_text(a, ((const str *)o)->s, o->n); break;
  case NORN_BIG: {
    const bign *b = (const bign *)o;
    put_uint(a, o->n);
    put_raw(a, &b->bits, 24);                    /* bits, exponent, what, sign */
    put_raw(a, b->limb, o->n * sizeof b->limb[0]);
    break;
  }
  case NORN_HANDLE: handle_put(a, (const handle *)o); break;
  case NORN_ARRAY: put_byte(a, o->aux); break;
  case V_BUF: {
    const buf *b = (const buf *)o;
    put_byte(a, o->aux | (b->parent ? 8u : 0));
    put_uint(a, b->base);
    put_uint(a, b->fill);
    break;
  }
  case NORN_FUN:
    put_uint(a, code_proto(a, ((const clo *)o)->p));
    put_byte(a, (o->flags & OBJ_STATIC) != 0);
    put_uint(a, o->n);
    break;
  case NORN_DATA: case NORN_MODEL: case V_RANDOM: put_uint(a, o->aux); put_uint(a, o->n); break;
  case V_HNODE: {
    const hnode *t = (const hnode *)o;
    put_byte(a, o->aux);
    put_uint(a, o->n);
    put_uint(a, t->datamap);
    put_uint(a, t->nodemap);
    break;
  }
  default: put_uint(a, o->n); break;
  }
}

static void body_put(norn_archive *a, obj *o)
{
  switch (o->kind) {
  case NORN_STR: case NORN_BIG: case NORN_HANDLE: break;
  case NORN_ARRAY: vec_put(a, (vec *)o); break;
  case V_BUF: buf_put(a, (buf *)o); break;
  case NORN_RECORD:
    put_uint(a, code_shape(a, ((rec *)o)->sh));
    values_put(a, ((rec *)o)->f, o->n);
    break;
  case NORN_DATA: values_put(a, ((data *)o)->f, o->n); break;
  case NORN_FUN: values_put(a, ((clo *)o)->cap, o->n); break;
  case NORN_DIST: case NORN_ENGINE: tab_put(a, (tab *)o); break;
  case NORN_MODEL: modl_put(a, (modl *)o); break;
  case NORN_MAP: {
    hnode *root = ((map *)o)->root;
    put_uint(a, object_put(a, root ? &root->h : NULL));
    break;
  }
  case V_HNODE: hnode_put(a, (hnode *)o); break;
  case V_SCOPE: scope_put(a, (scope *)o); break;
  case V_RANDOM: random_put(a, o); break;
  default: norn_archive_fail(a, "a value of an unknown kind can't be saved");
  }
}

bool objects_put(norn_archive *a)
{
  int was = a->in;
  norn_span place = a->place;
  for (; archive_good(a) && a->written < a->nobject; a->written++) {
    obj *o = a->object[a->written];
    a->place = a->origin[a->written];
    a->in = SECTION_HEADS;
    head_put(a, o);
    a->in = SECTION_BODIES;
    body_put(a, o);
  }
  a->in = was;
  a->place = place;
  return archive_good(a);
}

/* ---- reading values ---- */

obj *object_of(norn_archive *a, uint64_t number, unsigned kind)
{
  if (!archive_good(a) || !number) return NULL;
  obj *o = number <= a->nobject ? a->object[number - 1] : NULL;
  if (o && o->kind == kind) return o;
  archive_damaged(a, "a value is not of the kind that it must be of");
  return NULL;
}

/* One that must be there. */
static void *object_there(norn_archive *a, unsigned kind)
{
  uint64_t k = get_uint(a);
  obj *o = object_of(a, k, kind);
  if (archive_good(a) && !o) archive_damaged(a, "a value is not there");
  return o;
}

static val data_get(norn_archive *a, bool fields)
{
  const thing *t = code_thing(a, get_uint(a), THING_CTOR);
  uint32_t id = t ? (uint32_t)((uintptr_t)t->p >> 1) : 0;
  obj *o = fields ? object_there(a, NORN_DATA) : NULL;
  if (!archive_good(a)) return norn_none();
  if (a->st->ctors[id].arity == (o ? o->n : 0)) return o ? v_data(id, (data *)o) : v_enum(id);
  archive_damaged(a, "a variant has another number of fields");
  return norn_none();
}

val value_get(norn_archive *a)
{
  val v = norn_none();
  unsigned kind = get_byte(a);
  const thing *t;
  if (!archive_good(a)) return v;
  v.tag = kind;
  switch (kind) {
  case NORN_NONE: case NORN_UNIT: case NORN_MISSING: case NORN_POINTER: break;
  case NORN_INT: norn_archive_i64(a, &v.i); break;
  case NORN_REAL: get_raw(a, &v.d, sizeof v.d); break;
  case NORN_BOOL: v.i = get_byte(a) != 0; break;
  case NORN_ENUM: v = data_get(a, false); break;
  case NORN_NATIVE:
    t = code_thing(a, get_uint(a), THING_NATIVE);
    v.q = t ? t->p : NULL;
    break;
  case V_ADDR: get_raw(a, &v.i, sizeof v.i); break;
  case NORN_DATA: v = data_get(a, true); break;
  case NORN_STR: case NORN_ARRAY: case NORN_RECORD: case NORN_FUN: case NORN_DIST: case NORN_MODEL:
  case NORN_ENGINE: case NORN_MAP: case NORN_BIG: case NORN_HANDLE: case V_SCOPE: case V_RANDOM:
    v.p = object_there(a, kind);
    break;
  default: archive_damaged(a, "a value is of no kind");
  }
  return archive_good(a) ? v : norn_none();
}

static void values_get(norn_archive *a, val *v, size_t n)
{
  for (size_t i = 0; i < n && archive_good(a); i++) v[i] = value_get(a);
}

/* ---- reading heads: the objects are made, empty ---- */

/* n parts of at least `least` bytes each must still come in the bodies. */
static bool coming(norn_archive *a, uint64_t n, uint64_t least)
{
  if (!archive_good(a)) return false;
  if (n > a->promised / least) return archive_damaged(a, "an object is larger than the file");
  a->promised -= n * least;
  return true;
}

static void *made(norn_archive *a, unsigned kind, unsigned aux, uint64_t n, size_t size)
{
  obj *o = archive_good(a) ? heap_alloc(a->st, size) : NULL;
  if (!o) return archive_no_memory(a), NULL;
  memset(o + 1, 0, size - sizeof *o);
  obj_init(o, kind, aux, (uint32_t)n);
  return o;
}

static void *big_made(norn_archive *a)
{
  uint64_t n = get_uint(a);
  if (n > left_in(a, SECTION_HEADS) / 8) return archive_damaged(a, "a number is too long"), NULL;
  bign *b = made(a, NORN_BIG, 0, n, sizeof *b + (size_t)n * sizeof b->limb[0]);
  if (!b || !get_raw(a, &b->bits, 24) || !get_raw(a, b->limb, (size_t)n * 8)) return NULL;
  bool finite = b->what == NORN_BIG_FINITE;
  if (b->bits < 1 || b->bits > 1 << 30 || b->what < 0 || b->what > NORN_BIG_FINITE ||
      (b->sign != 1 && b->sign != -1) ||
      (finite && (n != (uint64_t)(b->bits + 63) / 64 || !(b->limb[n - 1] >> 63))))
    return archive_damaged(a, "a number is none"), NULL;
  return b;
}

static void *buf_made(norn_archive *a)
{
  unsigned how = get_byte(a), elem = how & 7;
  uint64_t base = get_uint(a), fill = get_uint(a);
  if (!archive_good(a)) return NULL;
  if (elem > NORN_VALUES || how > 15 || fill < base || fill > PTRDIFF_MAX / 32 ||
      ((how & 8) ? !base : base != 0))
    return archive_damaged(a, "an array is none"), NULL;
  size_t n = (size_t)(fill - base), each = elem_bytes(elem);
  if (!coming(a, n, elem == NORN_VALUES ? 1 : each)) return NULL;
  buf *b = made(a, V_BUF, elem, 0,
                BUF_HEADER + (n * each + 7) / 8 * 8 + ((how & 8) ? sizeof(norn_state *) : 0));
  if (!b) return NULL;
  b->fill = b->cap = fill;
  b->base = b->scanned = base;
  return b;
}

static void *clo_made(norn_archive *a)
{
  const thing *t = code_thing(a, get_uint(a), THING_PROTO);
  bool fixed = get_byte(a) != 0;
  uint64_t n = get_uint(a);
  if (!archive_good(a)) return NULL;
  const proto *p = t->p;
  if (fixed ? !p->self : n != p->ncap) return archive_damaged(a, "a function has other captures"), NULL;
  if (fixed) return p->self;
  clo *c = coming(a, n, 1) ? made(a, NORN_FUN, 0, n, sizeof *c + (size_t)n * sizeof(val)) : NULL;
  if (c) c->p = p;
  return c;
}

static void *hnode_made(norn_archive *a)
{
  unsigned list = get_byte(a);
  uint64_t n = get_uint(a), datamap = get_uint(a), nodemap = get_uint(a);
  if (!coming(a, n, 10)) return NULL;
  if (list > 1 || datamap > UINT32_MAX || nodemap > UINT32_MAX || datamap & nodemap ||
      (list ? datamap || nodemap : n != hnode_bits((uint32_t)datamap)))
    return archive_damaged(a, "a map is none"), NULL;
  size_t subs = hnode_bits((uint32_t)nodemap);
  hnode *t = made(a, V_HNODE, list, n, sizeof *t + (size_t)n * sizeof(hent) + subs * sizeof(hnode *));
  if (!t) return NULL;
  t->datamap = (uint32_t)datamap;
  t->nodemap = (uint32_t)nodemap;
  return t;
}

/* Objects that are n values behind a head of `size` bytes. */
static void *fields_made(norn_archive *a, unsigned kind, unsigned aux, size_t size, size_t each)
{
  uint64_t n = get_uint(a);
  if (kind == NORN_MAP ? n != 0 : kind == NORN_MODEL && n < 2)
    return archive_damaged(a, "an object is none"), NULL;
  return coming(a, n, 1) ? made(a, kind, aux, n, size + (size_t)n * each) : NULL;
}

static void *random_made(norn_archive *a)
{
  uint64_t aux = get_uint(a), n = get_uint(a);
  if (!archive_good(a)) return NULL;
  obj like = { { { V_RANDOM, 0, (uint16_t)aux, (uint32_t)n } } };
  if ((aux > RANDOM_LAST && aux != RANDOM_NODE && aux != RANDOM_GRAPH) ||
      n > (aux == RANDOM_NODE ? NODE_VALUES : GRAPH_SHARED))
    return archive_damaged(a, "a delayed choice is none"), NULL;
  if (aux == RANDOM_GRAPH) n = GRAPH_SHARED;               /* by whom else is not known */
  return coming(a, n, 1) ? made(a, V_RANDOM, (unsigned)aux, n, delayed_size(&like)) : NULL;
}

static void *vec_made(norn_archive *a)
{
  unsigned rank = get_byte(a);
  if (archive_good(a) && (rank < 1 || rank > NORN_RANK_MAX))
    return archive_damaged(a, "an array is none"), NULL;
  return made(a, NORN_ARRAY, rank, 0, sizeof(vec) + (rank - 1) * sizeof(int64_t));
}

static void *str_made(norn_archive *a)
{
  size_t n;
  const char *s = get_text(a, &n);
  if (!s) return NULL;
  str *made = str_new(a->st, s, n);
  return made ? made : (archive_no_memory(a), NULL);
}

static obj *head_get(norn_archive *a)
{
  unsigned kind = get_byte(a), aux;
  if (!archive_good(a)) return NULL;
  switch (kind) {
  case NORN_STR: return str_made(a);
  case NORN_BIG: return big_made(a);
  case NORN_HANDLE: return handle_made(a);
  case NORN_ARRAY: return vec_made(a);
  case V_BUF: return buf_made(a);
  case NORN_FUN: return clo_made(a);
  case V_HNODE: return hnode_made(a);
  case NORN_DATA: case NORN_MODEL:
    aux = (unsigned)get_uint(a) & 0xffff;
    return fields_made(a, kind, aux, kind == NORN_DATA ? sizeof(data) : sizeof(modl), sizeof(val));
  case NORN_RECORD: return fields_made(a, kind, 0, sizeof(rec), sizeof(val));
  case NORN_DIST: case NORN_ENGINE: return fields_made(a, kind, 0, sizeof(tab), sizeof(val));
  case NORN_MAP: return fields_made(a, kind, 0, sizeof(map), 0);
  case V_SCOPE: return fields_made(a, kind, 0, sizeof(scope), sizeof(scope_fix));
  case V_RANDOM: return random_made(a);
  default: archive_damaged(a, "an object is of no kind"); return NULL;
  }
}

/* ---- reading bodies ---- */

static void buf_get(norn_archive *a, buf *b)
{
  size_t n = (size_t)(b->fill - b->base);
  buf *up = (buf *)object_of(a, get_uint(a), V_BUF);
  if (!archive_good(a)) return;
  if (!up != !b->base || (up && (up->h.aux != b->h.aux || up->base >= b->base || up->fill < b->base))) {
    archive_damaged(a, "a part of an array is missing");
    return;
  }
  b->parent = up;
  if (up) *buf_state(b) = a->st;
  if (b->h.aux == NORN_VALUES) values_get(a, b->v, n);
  else get_raw(a, b->f, n * elem_bytes(b->h.aux));
  for (size_t i = 0; b->h.aux == NORN_B8 && i < n; i++) b->b[i] = b->b[i] != 0;
  heap_remember(a->st, &b->h);
}

static void vec_get(norn_archive *a, vec *v)
{
  uint64_t most = PTRDIFF_MAX / 32, len = get_uint(a), row = 1;
  bool well = len <= most;
  for (int k = 0; k < vec_rank(v) - 1; k++) {
    uint64_t d = get_uint(a);
    well = well && d <= most && (!d || row <= most / d);
    if (well) row *= d;
    if (well) v->dims[k] = (int64_t)d;
  }
  uint64_t off = get_uint(a);
  buf *b = (buf *)object_of(a, get_uint(a), V_BUF);
  if (!archive_good(a)) return;
  well = well && off <= most && (!row || len <= most / row);
  if (b) well = well && off + len * row <= b->fill && (b->h.aux != NORN_VALUES || vec_rank(v) == 1);
  else well = well && !len && !off && vec_rank(v) == 1;
  if (!well) {
    archive_damaged(a, "an array reaches beyond its elements");
    return;
  }
  v->b = b;
  v->off = (int64_t)off;
  v->len = (int64_t)len;
}

static void rec_get(norn_archive *a, rec *r)
{
  const thing *t = code_thing(a, get_uint(a), THING_SHAPE);
  if (!t) return;
  r->sh = t->p;
  if (r->sh->n != r->h.n) archive_damaged(a, "a record has another number of fields");
  values_get(a, r->f, r->h.n);
}

static void tab_get(norn_archive *a, tab *t)
{
  const thing *row = code_thing(a, get_uint(a), t->h.kind == NORN_DIST ? THING_ROW : THING_ENGINE);
  if (!row) return;
  t->row = row->p;
  const norn_engine *e = t->row;
  if (t->h.kind == NORN_ENGINE && (uint32_t)e->noptions != t->h.n)
    archive_damaged(a, "an engine has another number of options");
  values_get(a, t->a, t->h.n);
}

/* Of given() and do(): flags, then kind, name and value of each choice (model.c). */
static bool are_constraints(val c)
{
  norn_view v, seen;
  if (c.tag == NORN_UNIT) return true;
  if (!norn_array_view(c, &v) || v.elem != NORN_VALUES || v.n < 1 || v.n % 3 != 1) return false;
  if (!norn_array_view(v.v[0], &seen) || seen.elem != NORN_I64 || seen.n != v.n / 3) return false;
  for (int64_t i = 1; i < v.n; i += 3)
    if (v.v[i].tag != NORN_INT || v.v[i + 1].tag != NORN_STR) return false;
  return true;
}

static void hnode_get(norn_archive *a, hnode *t)
{
  t->count = (int64_t)get_uint(a);
  for (uint32_t i = 0; i < t->h.n && archive_good(a); i++) {
    get_raw(a, &t->e[i].hash, sizeof t->e[i].hash);
    t->e[i].key = value_get(a);
    t->e[i].value = value_get(a);
  }
  for (int i = 0; i < hnode_nsubs(t) && archive_good(a); i++)
    hnode_subs(t)[i] = object_there(a, V_HNODE);
}

static void scope_get(norn_archive *a, scope *s)
{
  s->up = (scope *)object_of(a, get_uint(a), V_SCOPE);
  s->seen_by = value_get(a);
  for (uint32_t i = 0; i < s->h.n && archive_good(a); i++) {
    scope_fix *f = &s->fix[i];
    get_raw(a, &f->addr, sizeof f->addr);
    f->value = value_get(a);
    f->what = (uint32_t)get_uint(a);
    f->key = (uint32_t)get_uint(a);
  }
}

static void random_get(norn_archive *a, obj *o)
{
  if (o->aux == RANDOM_NODE) {
    rnode *n = (rnode *)o;
    n->form = (int32_t)get_byte(a);
    n->at = (int32_t)get_byte(a);
    get_raw(a, &n->parent, sizeof n->parent + sizeof n->scale + sizeof n->addr);
    get_raw(a, n->x, sizeof n->x);
    const thing *t = code_thing(a, get_uint(a), THING_ROW);
    n->row = t ? t->p : NULL;
    n->stamp = 0;
    values_get(a, n->v, o->n);
    if ((n->form & ~NODE_MEMBER) > NODE_LAST || n->at > AT_LAST) archive_damaged(a, "a delayed choice is none");
  } else if (o->aux == RANDOM_GRAPH) {
    rgraph *g = (rgraph *)o;
    get_raw(a, &g->made, 4 * sizeof g->made + sizeof g->next);
    g->members = false;
    g->stamp = 0;
    g->nodes = value_get(a);
    if (g->nodes.tag != NORN_MAP) archive_damaged(a, "a delayed choice is none");
  } else {
    get_raw(a, &((rvar *)o)->node, sizeof(rvar) - offsetof(rvar, node));
    if (rvar_has_arrays(o)) values_get(a, rvar_arrays((rvar *)o), 2);
  }
}

static void body_get(norn_archive *a, obj *o)
{
  switch (o->kind) {
  case NORN_ARRAY: vec_get(a, (vec *)o); break;
  case V_BUF: buf_get(a, (buf *)o); break;
  case NORN_RECORD: rec_get(a, (rec *)o); break;
  case NORN_DATA: values_get(a, ((data *)o)->f, o->n); break;
  case NORN_FUN: values_get(a, ((clo *)o)->cap, o->n); break;
  case NORN_DIST: case NORN_ENGINE: tab_get(a, (tab *)o); break;
  case NORN_MODEL: values_get(a, ((modl *)o)->a, o->n); break;
  case NORN_MAP: ((map *)o)->root = (hnode *)object_of(a, get_uint(a), V_HNODE); break;
  case V_HNODE: hnode_get(a, (hnode *)o); break;
  case V_SCOPE: scope_get(a, (scope *)o); break;
  case V_RANDOM: random_get(a, o); break;
  default: break;
  }
}

/* ---- what can be said only when all is there ---- */

/* A node of a trie lies on one level; its count is of what is below.  The level is kept in the object
   table's place for it while this goes on. */
static bool trie_is_one(norn_archive *a, hnode *t, unsigned shift, uint8_t *level)
{
  bool is_new;
  uint32_t k = archive_number(a, &a->objects, t, &is_new);
  if (!k) return false;
  if (level[k - 1]) return level[k - 1] == shift / 5 + 1;
  level[k - 1] = (uint8_t)(shift / 5 + 1);
  if ((shift > SHIFT_LAST) != (t->h.aux != 0)) return false;
  int64_t n = t->h.n;
  for (int i = 0; i < hnode_nsubs(t); i++) {
    hnode *s = hnode_subs(t)[i];
    if (!trie_is_one(a, s, shift + 5, level) || s->count < 1 || s->count > INT64_MAX / 64) return false;
    n += s->count;
  }
  return n == t->count;
}

static bool is_well(norn_archive *a, obj *o, uint8_t *level)
{
  if (o->kind == NORN_MODEL)
    return ((modl *)o)->a[0].tag == NORN_FUN && are_constraints(((modl *)o)->a[1]);
  if (o->kind == NORN_MAP) return !((map *)o)->root || trie_is_one(a, ((map *)o)->root, 0, level);
  if (o->kind != V_SCOPE) return true;
  int n = 0;
  norn_view seen;
  const scope *s = (const scope *)o;
  if (s->seen_by.tag != NORN_UNIT && (!norn_array_view(s->seen_by, &seen) || seen.elem != NORN_I64))
    return false;
  while (s && n < SCOPES_MAX) s = s->up, n++;
  return !s;
}

/* Numbers of objects by address: those of tries are asked for. */
static bool all_well(norn_archive *a)
{
  uint8_t *level = mem_zero(&a->st->mem, a->nobject + 1);
  bool is_new, well = level != NULL;
  for (size_t i = 0; well && i < a->nobject; i++) {
    uint32_t k = archive_number(a, &a->objects, a->object[i], &is_new);
    well = k && (is_new || a->object[i]->flags & OBJ_STATIC || a->object[i]->kind == NORN_HANDLE);
  }
  for (size_t i = 0; well && i < a->nobject; i++) well = is_well(a, a->object[i], level);
  mem_put(&a->st->mem, level, level ? a->nobject + 1 : 0);
  if (!well && level && archive_good(a)) archive_damaged(a, "an object does not hang together");
  return level ? archive_good(a) : archive_no_memory(a);
}

bool objects_get(norn_archive *a)
{
  int was = a->in;
  a->promised = left_in(a, SECTION_BODIES);
  a->in = SECTION_HEADS;
  while (archive_good(a) && left_in(a, SECTION_HEADS)) {
    if (!mem_grow(&a->st->mem, &a->object, &a->cobject, a->nobject + 1, sizeof *a->object))
      return archive_no_memory(a);
    obj *o = head_get(a);
    if (o) a->object[a->nobject++] = o;
  }
  a->in = SECTION_BODIES;
  for (size_t i = 0; archive_good(a) && i < a->nobject; i++) body_get(a, a->object[i]);
  a->in = was;
  if (archive_good(a) && left_in(a, SECTION_BODIES)) archive_damaged(a, "objects have more than they hold");
  return archive_good(a) && all_well(a);
}
