/* test_heap.c: the heap.  A mutator makes random values beside a model in plain C and compares after
   collections; memory is made to fail at every request; limits leave the state usable. */
#include "unit.h"
#include "lang/value/array.h"
#include "lang/value/hamt.h"
#include <stdlib.h>

/* ---- a counting allocator: what a freed state leaves behind; may fail at one request ---- */

typedef struct counter { size_t used; long fail_in; } counter;

static void *counted(void *user, void *p, size_t old, size_t n)
{
  counter *c = user;
  if (n == 0) {
    free(p);
    c->used -= old;
    return NULL;
  }
  if (--c->fail_in == 0) return NULL;
  void *q = realloc(p, n);
  if (q) c->used += n - old;
  return q;
}

static norn_state *state_failing(counter *c, size_t limit, long fail_in)
{
  norn_config config = norn_config_default();
  config.alloc = counted;
  config.alloc_user = c;
  config.max_memory = limit;
  *c = (counter){ 0, fail_in };
  return norn_new_bare(&config);
}

static norn_state *state_with(counter *c, size_t limit)
{
  return state_failing(c, limit, 0);
}

static uint64_t rnd(uint64_t *s)
{
  return hash_mix(*s += 0x9e3779b97f4a7c15u);
}

static val cons(norn_state *st, val head, val tail)
{
  data *d = heap_alloc(st, sizeof(data) + 2 * sizeof(val));
  if (!d) return norn_none();
  obj_init(d, NORN_DATA, 1, 2);
  d->f[0] = head;
  d->f[1] = tail;
  return v_data(1, d);
}

/* ---- the model ---- */

typedef struct node { enum { INT, REAL, TEXT, LIST, PAIR, RECORD, MAP } kind; int64_t i; int n; struct node **kids; } node;
/* visits: what is left of a comparison, since shared parts make trees of exponential size. */
typedef struct world { norn_state *st; node **nodes; size_t n, cap; uint64_t seed; long visits; } world;

static node *node_new(world *w, int kind, int64_t i, int n)
{
  node *x = malloc(sizeof *x);
  *x = (node){ kind, i, n, n ? calloc((size_t)n, sizeof(node *)) : NULL };
  if (w->n == w->cap) w->nodes = realloc(w->nodes, (w->cap = 2 * w->cap + 64) * sizeof *w->nodes);
  return w->nodes[w->n++] = x;
}

static void world_free(world *w)
{
  for (size_t k = 0; k < w->n; k++) {
    free(w->nodes[k]->kids);
    free(w->nodes[k]);
  }
  free(w->nodes);
}

static const char *text_of(int64_t i, char *out)
{
  sprintf(out, "text %lld", (long long)i);
  return out;
}

static bool same(world *w, val v, const node *x, int depth)
{
  char t[40];
  if (depth > 60 || w->visits-- < 0) return true;
  switch (x->kind) {
  case INT: return V_IS_INT(v) && v.i == x->i;
  case REAL: return V_IS_REAL(v) && v.d == (double)x->i;
  case TEXT: return v.tag == NORN_STR && strcmp(v_str(v)->s, text_of(x->i, t)) == 0;
  case PAIR:
    return v.tag == (NORN_DATA | (uint64_t)1 << 32) && same(w, ((data *)v.p)->f[0], x->kids[0], depth + 1) &&
           same(w, ((data *)v.p)->f[1], x->kids[1], depth + 1);
  case RECORD:
    for (int k = 0; k < x->n; k++)
      if (!same(w, norn_record_get(w->st, v, k == 0 ? "a" : k == 1 ? "b" : "c"), x->kids[k], depth + 1)) return false;
    return norn_record_size(v) == x->n;
  case MAP:
    for (int k = 0; k < x->n; k++)
      if (!same(w, norn_map_get(v, norn_int(k)), x->kids[k], depth + 1)) return false;
    return norn_map_size(v) == x->n;
  default:
    if (norn_array_length(v) != x->n) return false;
    for (int k = 0; k < x->n; k++)
      if (!same(w, vec_at(w->st, v_vec(v), k), x->kids[k], depth + 1)) return false;
    return true;
  }
}

/* ---- the mutator ---- */

enum { ROOTS = 24 };
typedef struct root { norn_ref *ref; node *x; } root;

static val make_leaf(world *w, node **x)
{
  char t[40];
  int64_t i = (int64_t)(rnd(&w->seed) % 1000);
  switch (rnd(&w->seed) % 3) {
  case 0: *x = node_new(w, INT, i, 0); return norn_int(i);
  case 1: *x = node_new(w, REAL, i, 0); return norn_real((double)i);
  default: *x = node_new(w, TEXT, i, 0); return norn_cstring(w->st, text_of(i, t));
  }
}

static node *extended(world *w, const node *old, node *more)
{
  node *x = node_new(w, old->kind, 0, old->n + 1);
  if (old->n) memcpy(x->kids, old->kids, (size_t)old->n * sizeof *x->kids);
  x->kids[old->n] = more;
  return x;
}

/* A new value out of old ones, and its model.  Strings keep arrays from being packed as reals, which
   the model does not know. */
static val make(world *w, root *r, node **x)
{
  root *a = &r[rnd(&w->seed) % ROOTS], *b = &r[rnd(&w->seed) % ROOTS];
  val u = norn_get(a->ref), v = norn_get(b->ref);
  switch (rnd(&w->seed) % 8) {
  case 0: return make_leaf(w, x);
  case 1: case 2:
    *x = node_new(w, PAIR, 0, 2);
    (*x)->kids[0] = a->x;
    (*x)->kids[1] = b->x;
    return cons(w->st, u, v);
  case 3: {
    val f[3] = { u, v, u };
    *x = node_new(w, RECORD, 0, 1 + (int)(rnd(&w->seed) % 3));
    for (int k = 0; k < (*x)->n; k++) (*x)->kids[k] = k == 1 ? b->x : a->x;
    return norn_record(w->st, (*x)->n, (const char *const[]){ "a", "b", "c" }, f);
  }
  case 4: {
    if (b->x->kind != MAP) {
      *x = node_new(w, MAP, 0, 0);
      return norn_map_new(w->st);
    }
    *x = extended(w, b->x, a->x);
    return norn_map_put(w->st, v, norn_int(b->x->n), u);
  }
  case 5: {
    val s = norn_cstring(w->st, "text 1");
    *x = node_new(w, LIST, 0, 1);
    (*x)->kids[0] = node_new(w, TEXT, 1, 0);
    return norn_is_none(s) ? s : vec_pack(w->st, &s, 1);
  }
  default:
    for (int k = 0; k < ROOTS && b->x->kind != LIST; k++) b = &r[k];
    if (b->x->kind != LIST) return make_leaf(w, x);
    *x = extended(w, b->x, a->x);
    return vec_push(w->st, norn_get(b->ref), u);
  }
}

static void check_all(world *w, root *r)
{
  for (int k = 0; k < ROOTS; k++) {
    w->visits = 3000;
    CHECK(same(w, norn_get(r[k].ref), r[k].x, 0));
  }
}

static void mutate(uint64_t seed, int steps, bool stress)
{
  counter c;
  world w = { .st = state_with(&c, 0), .seed = seed };
  root r[ROOTS];
  if (!w.st) return;
  w.st->heap.stress = stress;
  for (int k = 0; k < ROOTS; k++) r[k].ref = norn_keep(w.st, make_leaf(&w, &r[k].x));
  for (int i = 0; i < steps; i++) {
    node *x;
    val v = make(&w, r, &x);
    CHECK(!norn_is_none(v));
    int k = (int)(rnd(&w.seed) % ROOTS);
    norn_set(r[k].ref, v);
    r[k].x = x;
    uint64_t d = rnd(&w.seed) % 100;
    if (stress || d < 4) CHECK(heap_collect(w.st, 64));
    if (d == 99) heap_collect_full(w.st);
    if (i % 500 == 499) check_all(&w, r);
  }
  heap_collect_full(w.st);
  check_all(&w, r);
  norn_free(w.st);
  CHECK(c.used == 0);
  world_free(&w);
}

/* ---- failing memory ---- */

/* Does a bit of everything; false at the first failure. */
static bool work(norn_state *st, norn_ref **kept)
{
  int64_t big = 5000;
  norn_ref *list = *kept = norn_keep(st, vec_pack(st, NULL, 0)), *m;
  if (!list) return false;
  if (norn_is_none(norn_get(list)) || !(m = norn_keep(st, norn_map_new(st)))) return false;
  bool well = !norn_is_none(norn_get(m));
  for (int k = 0; well && k < 200; k++) {
    val s = norn_cstring(st, "a string"), v;
    well = !norn_is_none(s) && norn_push(list, k % 2 ? s : norn_int(k)) == NORN_OK;
    if (well && !norn_is_none(v = norn_map_put(st, norn_get(m), norn_int(k), s))) norn_set(m, v);
    else well = false;
    if (well && k % 50 == 0) well = !norn_is_none(norn_array(st, NORN_F64, 1, &big, NULL));
    if (well && k % 30 == 0) well = norn_record(st, 1, (const char *const[]){ "x" }, &s).tag == NORN_RECORD;
    if (well && k % 40 == 39) well = heap_collect(st, 64);
  }
  norn_drop(m);
  return well;
}

static bool list_well(norn_state *st, const norn_ref *list)
{
  if (!list || norn_get(list).tag != NORN_ARRAY) return true;
  int64_t n = norn_array_length(norn_get(list));
  for (int64_t k = 0; k < n; k++) {
    val v = vec_at(st, v_vec(norn_get(list)), k);
    if (k % 2 ? v.tag != NORN_STR || strcmp(v_str(v)->s, "a string") != 0 : !V_IS_INT(v) || v.i != k) return false;
  }
  return true;
}

static void failing(bool stress)
{
  int k = 1;
  for (bool done = false; !done && k < 3000; k++) {
    counter c;
    norn_state *st = state_with(&c, 0);
    norn_ref *list = NULL;
    st->heap.stress = stress;
    st->mem.fail_at = st->mem.requests + (uint64_t)k;
    bool well = work(st, &list);
    done = st->mem.requests < st->mem.fail_at;   /* a failure may also be coped with */
    if (!well) CHECK(norn_error(st)->code == NORN_EMEMORY);
    st->mem.fail_at = 0;
    CHECK(list_well(st, list));
    CHECK(heap_collect(st, 64));
    heap_collect_full(st);
    CHECK(list_well(st, list));
    norn_drop(list);
    norn_clear(st);
    CHECK(work(st, &list));
    norn_free(st);
    CHECK(c.used == 0);
  }
  CHECK(k > 10 && k < 3000);
}

/* A state that can't be made leaves nothing. */
static void failing_start(void)
{
  long k = 1;
  for (norn_state *st = NULL; !st && k < 3000; k++) {
    counter c;
    st = state_failing(&c, 0, k);
    norn_free(st);
    CHECK(c.used == 0);
  }
  CHECK(k > 10 && k < 3000);
}

/* ---- limits ---- */

/* Fills memory with a list, in the manner of a VM that stops at safepoints; returns its length. */
static int64_t fill(norn_state *st, norn_ref *list)
{
  for (int64_t n = 0;; n++) {
    if (st->heap.soft - st->heap.hp < 64 && !heap_collect(st, 64)) return n;
    val v = cons(st, norn_int(n), norn_get(list));
    if (norn_is_none(v)) return n;
    norn_set(list, v);
  }
}

static void limits(void)
{
  counter c;
  norn_state *st = state_with(&c, 40 << 20);
  norn_ref *list = norn_keep(st, norn_unit());
  int64_t first = 0;
  for (int k = 0; k < 4; k++) {
    int64_t n = fill(st, list), m = 0;
    CHECK(norn_error(st)->code == NORN_EMEMORY);
    if (k == 0) first = n;
    CHECK(n > 300000 && n > first * 9 / 10);
    for (val v = norn_get(list); V_IS_HEAP(v); v = ((data *)v.p)->f[1]) m += ((data *)v.p)->f[0].i == n - 1 - m;
    CHECK(m == n);
    CHECK(st->mem.used <= st->mem.limit);
    norn_set(list, norn_unit());
    norn_clear(st);
    CHECK(heap_collect(st, 64));
  }
  /* Garbage that is large is collected before the limit. */
  for (int k = 0; k < 200; k++) {
    int64_t n = 250000;
    if (st->heap.soft - st->heap.hp < 64) CHECK(heap_collect(st, 64));
    CHECK(!norn_is_none(norn_array(st, NORN_F64, 1, &n, NULL)));
  }
  norn_free(st);
  CHECK(c.used == 0);
}

/* ---- single things ---- */

static void large(void)
{
  counter c;
  norn_state *st = state_with(&c, 0);
  for (int64_t n = 2000; n < 40000; n += 1777) {
    norn_view v;
    norn_ref *r = norn_keep(st, norn_array(st, NORN_F64, 1, &n, NULL));
    CHECK(norn_array_view(norn_get(r), &v) && (n * 8 + BUF_HEADER <= HEAP_LARGE || (uintptr_t)v.f % 64 == 0));
    const double *at = v.f;
    heap_collect_full(st);
    CHECK(norn_array_view(norn_get(r), &v) && (v.n * 8 + BUF_HEADER <= HEAP_LARGE || v.f == at));
    norn_drop(r);
  }
  size_t before = st->mem.used;
  heap_collect_full(st);
  CHECK(st->mem.used <= before);
  CHECK(st->heap.live_after_major < 1000);
  norn_free(st);
  CHECK(c.used == 0);
}

/* A large array of values, made old at once, is filled with young ones and appended to. */
static void written(void)
{
  counter c;
  norn_state *st = state_with(&c, 0);
  int64_t n = 3000;
  void *e;
  norn_ref *r = norn_keep(st, norn_array(st, NORN_VALUES, 1, &n, &e));
  for (int64_t k = 0; k < n; k++) ((val *)e)[k] = cons(st, norn_int(k), norn_unit());
  for (int64_t k = n; k < 3 * n; k++) {
    CHECK(norn_push(r, cons(st, norn_int(k), norn_unit())) == NORN_OK);
    if (k % 100 == 0) CHECK(heap_collect(st, 64));
  }
  CHECK(heap_collect(st, 64));
  for (int64_t k = 0; k < 3 * n; k++) {
    val v = vec_at(st, v_vec(norn_get(r)), k);
    CHECK(V_KIND(v) == NORN_DATA && ((data *)v.p)->f[0].i == k);
  }
  norn_free(st);
}

static void deep(void)
{
  counter c;
  norn_state *st = state_with(&c, 0);
  norn_ref *left = norn_keep(st, norn_unit()), *right = norn_keep(st, norn_unit());
  for (int k = 0; k < 1000000; k++) {
    if (st->heap.soft - st->heap.hp < 128) CHECK(heap_collect(st, 128));
    norn_set(right, cons(st, norn_int(k), norn_get(right)));
    norn_set(left, cons(st, norn_get(left), norn_int(k)));
  }
  heap_collect_full(st);
  CHECK(value_hash(norn_get(left)) != value_hash(norn_get(right)));
  int64_t n = 0;
  for (val v = norn_get(left); V_IS_HEAP(v); v = ((data *)v.p)->f[0]) n++;
  CHECK(n == 1000000);
  norn_free(st);
  CHECK(c.used == 0);
}

/* The mark stack overflows: 300000 objects at once on a stack for 262144. */
static void overflow(void)
{
  counter c;
  norn_state *st = state_with(&c, 0);
  int64_t n = 300000;
  void *e;
  norn_ref *r = norn_keep(st, norn_array(st, NORN_VALUES, 1, &n, &e));
  for (int64_t k = 0; k < n; k++) ((val *)e)[k] = cons(st, norn_int(k), cons(st, norn_int(-k), norn_unit()));
  CHECK(heap_collect(st, 64));
  char *n1 = st->heap.n1;
  st->heap.n1 = st->heap.charged;
  heap_collect_full(st);
  st->heap.n1 = n1;
  CHECK(st->heap.live_after_major > (size_t)(n * 2 * 48));
  heap_collect_full(st);
  int64_t well = 0;
  for (int64_t k = 0; k < n; k++) {
    const data *d = vec_at(st, v_vec(norn_get(r)), k).p;
    well += d->f[0].i == k && ((data *)d->f[1].p)->f[0].i == -k;
  }
  CHECK(well == n);
  norn_free(st);
}

/* C code may allocate far past the nursery, and the collection after it copes. */
static void overshoot(void)
{
  counter c;
  norn_state *st = state_with(&c, 0);
  norn_ref *r = norn_keep(st, norn_unit());
  size_t before = st->mem.used;
  for (int k = 0; k < 2500000; k++) norn_set(r, cons(st, norn_int(k), norn_get(r)));
  CHECK(heap_collect(st, 64));
  int64_t n = 0;
  for (val v = norn_get(r); V_IS_HEAP(v); v = ((data *)v.p)->f[1]) n++;
  CHECK(n == 2500000);
  norn_set(r, norn_unit());
  heap_collect_full(st);
  CHECK(st->mem.used < before + (4 << 20));
  norn_free(st);
  CHECK(c.used == 0);
}

int main(void)
{
  for (uint64_t s = 1; s <= 6; s++) mutate(s, 6000, false);
  mutate(7, 3000, true);
  failing_start();
  failing(false);
  failing(true);
  limits();
  large();
  written();
  deep();
  overflow();
  overshoot();
  return unit_end();
}
