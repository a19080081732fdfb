/* delayed_value.c: random variables as values (delayed.h): the arithmetic that leaves them random,
   and whatever else looks at one.

   Sums with numbers and products with them are maps a x + b; of positive variables also powers are
   kept, c x^p: 1 / sqrt(x) is the standard deviation that a precision x gives.  Anything else draws
   the variable.  Drawing what is inside of a value goes through it with a stack of its own, however
   deep it is, and visits what is shared once. */
#include "lang/symbolic/delayed.h"
#include "lang/value/arith_in.h"
#include <math.h>
#include <string.h>

val delayed_value(norn_state *st, int kind, int64_t id, double a, double b, double p)
{
  rvar *x = heap_alloc(st, sizeof *x);
  if (!x) return norn_none();
  obj_init(x, V_RANDOM, (unsigned)kind, 0);
  *x = (rvar){x->h, id, a, b, p};
  return v_obj(V_RANDOM, x);
}

/* ---- looking ---- */

static double power(double x, double p)
{
  if (p == 1) return x;
  if (p == -1) return 1 / x;
  if (p == 0.5) return sqrt(x);
  return p == -0.5 ? 1 / sqrt(x) : pow(x, p);
}

val delayed_of(const rvar *x, const dnode *n)
{
  if (x->h.aux == RANDOM_LEAF || x->h.aux == RANDOM_SIMPLEX) return n->v[0];
  if (x->h.aux == RANDOM_ODDS) return norn_real(n->x[0] / (1 - n->x[0]));
  return norn_real(x->a * power(n->x[0], x->p) + x->b);
}

val delayed_look(norn_state *st, val v)
{
  const rvar *x = v_rvar(v);
  norn_run *r = st->current;
  dnode n;
  if (!r || !r->delay) {
    norn_fail(st, NORN_EUSE, -1, "a choice of another run can't be looked at here");
    return norn_none();
  }
  if (x->h.aux == RANDOM_SUM) return sum_look(st, x);
  if (!delayed_draw(r, x->node, &n)) return norn_none();
  double as_drawn = n.form == NODE_GAMMA ? n.x[2] : 1;
  if (x->h.aux <= RANDOM_POWER && x->a == 1 && x->b == 0 && x->p == as_drawn) return n.v[0];
  return rvar_has_arrays(&x->h) ? gauss_look(st, x, &n) : delayed_of(x, &n);
}

/* ---- arithmetic ---- */

static val changed(norn_state *st, const rvar *x, double a, double b)
{
  if (!isfinite(a) || !isfinite(b)) return norn_none();
  if (a == 0) return norn_real(b);                         /* whatever it is, it is finite */
  if (rvar_is_row(x)) return gauss_row(st, x, a, b);
  return delayed_value(st, x->h.aux, x->node, a, b, x->p);
}

/* x op k; NONE without an error: not of this kind. */
static val with_number(norn_state *st, arith op, const rvar *x, double k)
{
  if (!rvar_is_affine(x)) return norn_none();
  bool pure = x->b == 0 && x->h.aux == RANDOM_POWER && x->a > 0;
  switch (op) {
  case A_ADD: return changed(st, x, x->a, x->b + k);
  case A_SUB: return changed(st, x, x->a, x->b - k);
  case A_MUL: return changed(st, x, x->a * k, x->b * k);
  case A_DIV: return k != 0 ? changed(st, x, x->a / k, x->b / k) : norn_none();
  case A_POW:
    if (!pure || k == 0 || !isfinite(k)) return norn_none();
    return delayed_value(st, RANDOM_POWER, x->node, pow(x->a, k), 0, x->p * k);
  default: return norn_none();
  }
}

/* k op x */
static val of_number(norn_state *st, arith op, double k, const rvar *x)
{
  if (!rvar_is_affine(x)) return norn_none();
  if (op == A_ADD || op == A_MUL) return with_number(st, op, x, k);
  if (op == A_SUB) return changed(st, x, -x->a, k - x->b);
  if (op != A_DIV || x->b != 0 || x->h.aux != RANDOM_POWER || k == 0) return norn_none();
  return delayed_value(st, RANDOM_POWER, x->node, k / x->a, 0, -x->p);
}

/* Two maps of one variable. */
static val of_same(norn_state *st, arith op, const rvar *x, const rvar *y)
{
  if (x->node != y->node || x->h.aux != y->h.aux || !rvar_is_affine(x) || x->h.aux == RANDOM_SUM) return norn_none();
  if (x->h.aux == RANDOM_ROW)
    return op == A_ADD || op == A_SUB ? gauss_rows(st, x, y, op == A_ADD ? 1 : -1) : norn_none();
  if (op == A_ADD && x->p == y->p) return changed(st, x, x->a + y->a, x->b + y->b);
  if (op == A_SUB && x->p == y->p) return changed(st, x, x->a - y->a, x->b - y->b);
  bool pure = x->h.aux == RANDOM_POWER && x->b == 0 && y->b == 0;
  if (pure && op == A_MUL && x->p + y->p != 0)
    return delayed_value(st, RANDOM_POWER, x->node, x->a * y->a, 0, x->p + y->p);
  if (pure && op == A_DIV && x->p != y->p)
    return delayed_value(st, RANDOM_POWER, x->node, x->a / y->a, 0, x->p - y->p);
  bool odds = x->h.aux == RANDOM_AFFINE && x->a == 1 && x->b == 0 && y->a == -1 && y->b == 1;
  if (odds && op == A_DIV) return delayed_value(st, RANDOM_ODDS, x->node, 1, 0, 1);
  return norn_none();
}

static val of_two(norn_state *st, arith op, val x, val y)
{
  val z = of_same(st, op, v_rvar(x), v_rvar(y));
  if (!norn_is_none(z) || st->err.code || (op != A_ADD && op != A_SUB)) return z;
  return delayed_sum(st, x, op == A_ADD ? 1 : -1, y);
}

static bool plain(val x, double *k)
{
  return x.tag != NORN_BIG && norn_as_real(x, k) && isfinite(*k);
}

val delayed_arith(norn_state *st, arith op, val x, val y)
{
  double k;
  val z = norn_none();
  bool vector = (v_is_random(x) && v_rvar(x)->h.aux == RANDOM_VECTOR) ||
                (v_is_random(y) && v_rvar(y)->h.aux == RANDOM_VECTOR);
  if (vector) z = gauss_arith(st, op, x, y);
  else if (op == A_NEG) z = rvar_is_affine(v_rvar(x)) ? changed(st, v_rvar(x), -v_rvar(x)->a,
                                                                  -v_rvar(x)->b) : z;
  else if (v_is_random(x) && plain(y, &k)) z = with_number(st, op, v_rvar(x), k);
  else if (v_is_random(y) && plain(x, &k)) z = of_number(st, op, k, v_rvar(y));
  else if (v_is_random(x) && v_is_random(y)) z = of_two(st, op, x, y);
  if (!norn_is_none(z) || st->err.code == NORN_EMEMORY) return z;
  if (vector && op != A_NEG && op < A_LT) {                 /* number by number */
    if (norn_is_none(x = delayed_rows(st, x)) || norn_is_none(y = delayed_rows(st, y))) return norn_none();
    return arith_arrays(st, op, x, y);
  }
  const rvar *one = v_rvar(v_is_random(x) ? x : y);
  bool is_number = rvar_is_affine(one) || one->h.aux == RANDOM_ODDS;
  if (is_number && op < A_LT && (x.tag == NORN_ARRAY || y.tag == NORN_ARRAY)) return arith_arrays(st, op, x, y);
  x = delayed_force(st, x);
  y = op == A_NEG ? x : norn_is_none(x) ? x : delayed_force(st, y);
  return norn_is_none(x) || norn_is_none(y) ? norn_none() : arith_slow(st, op, x, y);
}

val delayed_sqrt(norn_state *st, val v)
{
  const rvar *x = v_rvar(v);
  if (x->h.aux != RANDOM_POWER || x->b != 0 || !(x->a > 0)) return norn_none();
  return delayed_value(st, RANDOM_POWER, x->node, sqrt(x->a), 0, x->p / 2);
}

/* ---- inside of values ---- */

/* The values inside of an object that has them side by side; arrays and maps have theirs apart. */
static val *fields(val x, int64_t *n)
{
  obj *o = x.p;
  *n = o->n;
  switch (V_KIND(x)) {
  case NORN_FUN: return v_clo(x)->cap;
  case NORN_RECORD: return *n = v_rec(x)->sh->n, v_rec(x)->f;
  case NORN_DATA: return ((data *)x.p)->f;
  case NORN_DIST: case NORN_ENGINE: return v_tab(x)->a;
  case NORN_MODEL: return ((modl *)x.p)->a;
  default: return *n = 0, NULL;
  }
}

static int64_t child_count(val x)
{
  int64_t n;
  if (!V_IS_HEAP(x) || V_KIND(x) == NORN_HANDLE) return 0;
  if (x.tag == NORN_ARRAY)
    return v_vec(x)->b && vec_elem(v_vec(x)) == NORN_VALUES ? v_vec(x)->len : 0;
  if (x.tag == NORN_MAP) return norn_map_size(x);
  return fields(x, &n) ? n : 0;
}

static val child_at(norn_state *st, val x, int64_t i)
{
  int64_t n;
  val key, value;
  if (x.tag == NORN_ARRAY) return vec_at(st, v_vec(x), i);
  if (x.tag == NORN_MAP) return norn_map_at(x, i, &key, &value), value;
  return fields(x, &n)[i];
}

/* x with other values inside. */
static val with_children(norn_state *st, val x, const val *v, int64_t n)
{
  val key, value;
  if (x.tag == NORN_ARRAY) return vec_pack(st, v, n);
  if (x.tag == NORN_MAP) {
    val to = norn_map_new(st);
    for (int64_t i = 0; i < n && !norn_is_none(to) && norn_map_at(x, i, &key, &value); i++)
      to = norn_map_put(st, to, key, v[i]);
    return to;
  }
  const obj *from = x.p;
  size_t size = heap_size_of(from);
  obj *to = heap_alloc(st, size);
  if (!to) return norn_none();
  memcpy((char *)to + sizeof *to, (const char *)from + sizeof *from, size - sizeof *to);
  obj_init(to, from->kind, from->aux, from->n);            /* its flags are its own */
  val copy = {.tag = x.tag, {.p = to}};
  memcpy(fields(copy, &n), v, (size_t)n * sizeof *v);
  return copy;
}

/* An object whose children are drawn one after the other: `done` of them stand in forcing.value from
   `base` on. */
typedef struct level { val x; int64_t n, done; size_t base; } level;
typedef struct seen_object { const void *p; val now; } seen_object;
typedef struct forcing {
  norn_state *st;
  level *level; size_t nlevel, clevel;
  val *value; size_t nvalue, cvalue;
  seen_object *seen; size_t nseen, cseen;        /* cseen: a power of two, or 0 */
} forcing;

static seen_object *seen_at(const forcing *f, const void *p)
{
  size_t k = hash_mix((uint64_t)(uintptr_t)p) & (f->cseen - 1);
  while (f->seen[k].p && f->seen[k].p != p) k = (k + 1) & (f->cseen - 1);
  return &f->seen[k];
}

static bool seen_room(forcing *f)
{
  if (2 * (f->nseen + 1) <= f->cseen) return true;
  seen_object *old = f->seen;
  size_t n = f->cseen, more = n ? 2 * n : 64;
  seen_object *table = mem_zero(&f->st->mem, more * sizeof *table);
  if (!table) return state_memory(f->st), false;
  f->seen = table;
  f->cseen = more;
  for (size_t i = 0; i < n; i++)
    if (old[i].p) *seen_at(f, old[i].p) = old[i];
  mem_put(&f->st->mem, old, n * sizeof *old);
  return true;
}

static bool put(forcing *f, val x)
{
  if (!mem_grow(&f->st->mem, &f->value, &f->cvalue, f->nvalue + 1, sizeof x))
    return state_memory(f->st), false;
  f->value[f->nvalue++] = x;
  return true;
}

/* x itself, what it stands for, or, if it has values inside, a new level. */
static bool enter(forcing *f, val x)
{
  int64_t n;
  if (v_is_random(x)) {
    x = delayed_look(f->st, x);
    return !norn_is_none(x) && put(f, x);
  }
  if (!(n = child_count(x))) return put(f, x);
  if (f->cseen && seen_at(f, x.p)->p) return put(f, seen_at(f, x.p)->now);
  if (!mem_grow(&f->st->mem, &f->level, &f->clevel, f->nlevel + 1, sizeof *f->level))
    return state_memory(f->st), false;
  f->level[f->nlevel++] = (level){x, n, 0, f->nvalue};
  return true;
}

static bool same(val x, val y) { return x.tag == y.tag && x.i == y.i; }

/* All children of the innermost level stand there: it becomes a value itself. */
static bool leave(forcing *f)
{
  level l = f->level[--f->nlevel];
  const val *v = f->value + l.base;
  bool differs = false;
  for (int64_t i = 0; i < l.n && !differs; i++) {
    val was = child_at(f->st, l.x, i);
    differs = !same(v[i], was);
  }
  norn_dist d;
  val now = differs ? with_children(f->st, l.x, v, l.n) : l.x;
  if ((norn_is_none(now) && differs) || !seen_room(f)) return false;
  /* it was not checked when it was made */
  if (differs && norn_dist_view(now, &d) && norn_dist_check(f->st, &d)) return false;
  seen_object *s = seen_at(f, l.x.p);
  if (!s->p) f->nseen++;
  *s = (seen_object){l.x.p, now};
  f->nvalue = l.base;
  return put(f, now);
}

val delayed_force(norn_state *st, val x)
{
  forcing f = {.st = st};
  if (v_is_random(x)) return delayed_look(st, x);
  if (!child_count(x)) return x;
  bool good = enter(&f, x);
  while (good && f.nlevel) {
    level *l = &f.level[f.nlevel - 1];
    good = l->done < l->n ? enter(&f, child_at(st, l->x, l->done++)) : leave(&f);
  }
  if (good) x = f.value[0];
  mem_put(&st->mem, f.level, f.clevel * sizeof *f.level);
  mem_put(&st->mem, f.value, f.cvalue * sizeof *f.value);
  mem_put(&st->mem, f.seen, f.cseen * sizeof *f.seen);
  return good ? x : norn_none();
}

/* ---- looking through values ---- */

enum { DEEPEST = 200 };
static bool visit(delayed_visit *v, val x, int depth)
{
  if (v_is_random(x) && v_rvar(x)->h.aux == RANDOM_SUM) return delayed_visit_ids(v, rvar_arrays(v_rvar(x))[1]);
  if (v_is_random(x)) return v->f(v->user, v_rvar(x)->node);
  int64_t n = child_count(x);
  v->left -= n;
  if (n && (depth > DEEPEST || v->left < 0)) return false;
  for (int64_t i = 0; i < n; i++)
    if (!visit(v, child_at(v->st, x, i), depth + 1)) return false;
  return true;
}

bool delayed_visit_ids(delayed_visit *v, val ids)
{
  norn_view w;
  norn_array_view(ids, &w);
  for (int64_t i = 0; i < w.n; i++)
    if (!v->f(v->user, w.i[i])) return false;
  return true;
}

bool delayed_visit_value(delayed_visit *v, val x) { return visit(v, x, 0); }

static bool found(void *user, int64_t id)
{
  (void)id;
  *(bool *)user = true;
  return false;
}

bool delayed_inside(norn_state *st, val x)
{
  bool is = false;
  delayed_visit v = {st, found, &is, INT64_MAX};
  return !visit(&v, x, 0);               /* too deep: it is looked through properly */
}

/* ---- the end ---- */

bool delayed_end(norn_run *r)
{
  norn_state *st = r->st;
  dnode n;
  val v = delayed_force(st, r->stk[0]);
  if (norn_is_none(v)) return false;
  r->stk[0] = v;
  for (int64_t id = 0; !(r->flags & NORN_RUN_DRAW) && id < r->delay->next; id++)
    if (!delayed_draw(r, id, &n)) return false;
  return true;
}

bool norn_run_delayed_choices(norn_run *r, bool (*f)(void *user, uint64_t addr, norn_datum), void *user)
{
  dnode n;
  for (int64_t id = 0; r->delay && id < r->delay->next; id++) {
    if (!delayed_has(r, id)) continue;
    if (!delayed_load(r, id, &n)) return false;
    if (n.at == AT_KNOWN && !n.member && !f(user, n.addr, n.v[0])) return false;
  }
  return true;
}

void norn_run_delayed(const norn_run *r, norn_delayed *out)
{
  const rgraph *g = r->delay;
  *out = (norn_delayed){g ? g->made : 0, g ? g->met : 0, g ? g->drawn : 0, r->nsample};
}
