/* lanes_arith.c: arithmetic, comparisons, real functions, natives and indices of numbers that differ
   between lanes (lanes.h).  Vectors go through plain loops; what has none is done for each lane by the
   scalar function, whose bits the loops have too. */
#include "lang/lanes/lanes_in.h"
#include "lang/value/arith_in.h"
#include <math.h>
#include <string.h>

/* ---- operands ---- */

/* n numbers (step 1) or one for all (step 0). */
typedef struct side { const cell *c; int64_t step; cell one; void *made; } side;

static bool is_number_kind(unsigned kind) { return kind == LANE_REAL || kind == LANE_INT; }

/* LANE_REAL, LANE_INT, LANE_BOOL, or 0: neither lanes nor a single one of these. */
static unsigned kind_of(val x)
{
  if (v_is_lanes(x)) return lanes_kind(x);
  return V_IS_INT(x) || V_IS_REAL(x) || V_IS_BOOL(x) ? (unsigned)x.tag : 0;
}

/* As reals if asked; *made goes back by side_free.  false: no memory. */
static bool side_of(group *g, val x, bool real, side *s)
{
  *s = (side){ .step = v_is_lanes(x) };
  bool convert = real && kind_of(x) == LANE_INT;
  if (!s->step) {
    s->one.i = x.i;
    if (convert) s->one.d = (double)x.i;
    return true;
  }
  s->c = lane_cells(g, x.p);
  if (!s->c) return false;
  if (!convert) return true;
  cell *made = lane_buffer(g->all);
  if (!made) return false;
  for (uint32_t k = 0; k < g->at->n; k++) made[k].d = (double)s->c[k].i;
  s->c = s->made = made;
  return true;
}

static void side_free(group *g, side *s) { lane_buffer_put(g->all, s->made); }
static inline const cell *cells(const side *s) { return s->step ? s->c : &s->one; }

/* ---- loops ---- */

static void reals(arith op, cell *z, const side *x, const side *y, int64_t n)
{
  static const int ops[] = { [A_ADD] = LANE_OP_ADD, [A_SUB] = LANE_OP_SUB, [A_MUL] = LANE_OP_MUL,
                             [A_DIV] = LANE_OP_DIV, [A_LT] = LANE_OP_LT, [A_LE] = LANE_OP_LE,
                             [A_EQ] = LANE_OP_EQ, [A_NE] = LANE_OP_NE };
  if (op != A_IDIV && op != A_MOD && op != A_POW)
    lane_ops()->op(ops[op], z, &cells(x)->d, (int)x->step, &cells(y)->d, (int)y->step, (size_t)n);
  else
    for (int64_t k = 0; k < n; k++)
      z[k].d = arith_real(op, cells(x)[k * x->step].d, cells(y)[k * y->step].d);
}

static bool int_compare(arith op, int64_t a, int64_t b)
{
  return op == A_LT ? a < b : op == A_LE ? a <= b : (a == b) == (op == A_EQ);
}

/* ---- bounds of results ---- */

/* The bounds of a vector of reals, or of one number. */
static bool bounds_of(group *g, val x, double *lo, double *hi)
{
  if (v_is_lanes(x)) {
    const lane_vec *v = lane_here(g, x.p);
    if (!v || v->kind != LANE_REAL || !v->ranged) return false;
    *lo = v->lo, *hi = v->hi;
    return true;
  }
  *lo = *hi = V_IS_REAL(x) ? x.d : (double)x.i;
  return isfinite(*lo);
}

static void set_bounds(lane_vec *z, double lo, double hi)
{
  z->ranged = isfinite(lo) && isfinite(hi);
  z->lo = lo, z->hi = hi;
}

/* Rounding rises with what is rounded, so the bounds of sums and products are those of the ends. */
static void bound(group *g, arith op, lane_vec *z, val x, val y)
{
  double a, b, c, d;
  if (op > A_DIV || !bounds_of(g, x, &a, &b) || !bounds_of(g, y, &c, &d)) return;
  if (op == A_ADD) set_bounds(z, a + c, b + d);
  if (op == A_SUB) set_bounds(z, a - d, b - c);
  if (op == A_DIV && c <= 0 && d >= 0) return;
  if (op == A_MUL || op == A_DIV) {
    bool mul = op == A_MUL;
    double e[4] = { mul ? a * c : a / c, mul ? a * d : a / d, mul ? b * c : b / c, mul ? b * d : b / d };
    double lo = e[0], hi = e[0];
    for (int i = 1; i < 4; i++) {
      if (e[i] < lo) lo = e[i];
      if (e[i] > hi) hi = e[i];
    }
    set_bounds(z, lo, hi);
  }
}

static void bound_map(int op, lane_vec *z, const lane_vec *x)
{
  if (!x || x->kind != LANE_REAL || !x->ranged) return;
  if (op == LANE_MAP_NEG) set_bounds(z, -x->hi, -x->lo);
  if (op == LANE_MAP_EXP) set_bounds(z, lane_exp(x->lo) * (1 - 1e-12), lane_exp(x->hi) * (1 + 1e-12));
  if (op == LANE_MAP_SQRT && x->lo >= 0) set_bounds(z, sqrt(x->lo), sqrt(x->hi));
}

/* false: an overflow, or a division by zero. */
static bool ints(arith op, cell *z, const side *x, const side *y, int64_t n)
{
  bool good = true;
  for (int64_t k = 0; k < n; k++) {
    int64_t a = cells(x)[k * x->step].i, b = cells(y)[k * y->step].i;
    if ((op == A_IDIV || op == A_MOD) && b == 0) return false;
    if (op == A_POW && b < 0) return false;
    good &= arith_int(op, a, b, &z[k].i);
  }
  return good;
}

static bool any_zero(const side *y, int64_t n)
{
  for (int64_t k = 0; k < (y->step ? n : 1); k++)
    if (cells(y)[k].d == 0) return true;
  return false;
}

/* ---- arithmetic ---- */

static val alone(norn_state *st, const char *why)
{
  lanes_alone(st, why);
  return norn_none();
}

/* Two numbers, or a comparison of two booleans. */
static val binary(group *g, arith op, val x, val y, unsigned a, unsigned b)
{
  norn_state *st = g->run->st;
  bool compare = op >= A_LT && op <= A_NE;
  bool real = a == LANE_REAL || b == LANE_REAL || op == A_DIV;
  side s, t;
  bool room = side_of(g, x, real, &s);
  room &= side_of(g, y, real, &t);
  lane_vec *z = room ? lane_vec_new(g->all, g->at, compare ? LANE_BOOL : real ? LANE_REAL : LANE_INT)
                     : NULL;
  bool good = true;
  int64_t n = g->at->n;
  if (!z) room = false;
  else if (compare && !real)
    for (int64_t k = 0; k < n; k++)
      z->c[k].i = int_compare(op, cells(&s)[k * s.step].i, cells(&t)[k * t.step].i);
  else if (!real) good = ints(op, z->c, &s, &t, n);
  else if (op == A_DIV && a == LANE_INT && b == LANE_INT && any_zero(&t, n)) good = false;
  else if ((op == A_IDIV || op == A_MOD) && any_zero(&t, n)) good = false;
  else reals(op, z->c, &s, &t, n);
  if (z && real && !compare) bound(g, op, z, x, y);
  side_free(g, &s);
  side_free(g, &t);
  if (!room) return norn_none();
  return good ? v_lanes(z) : alone(st, "arithmetic that some lanes can't do");
}

static val unary(group *g, arith op, val x)
{
  norn_state *st = g->run->st;
  unsigned kind = lanes_kind(x);
  if ((op == A_NOT) != (kind == LANE_BOOL)) return arith_refuse(st, op, x, x);
  const cell *c = lane_cells(g, x.p);
  lane_vec *z = c ? lane_vec_new(g->all, g->at, kind) : NULL;
  if (!z) return norn_none();
  bool least = false;
  if (kind == LANE_REAL) {
    lane_ops()->map(LANE_MAP_NEG, &z->c->d, &c->d, g->at->n);
    bound_map(LANE_MAP_NEG, z, lane_here(g, x.p));
    return v_lanes(z);
  }
  for (uint32_t k = 0; k < g->at->n; k++) {
    if (kind == LANE_BOOL) z->c[k].i = !c[k].i;
    else {
      least |= c[k].i == INT64_MIN;
      z->c[k].u = -c[k].u;
    }
  }
  return least ? alone(st, "an integer overflow") : v_lanes(z);
}

/* The scalar operation for each lane. */
static val each(group *g, arith op, val x, val y)
{
  norn_state *st = g->run->st;
  lane_vec *z = NULL;
  for (uint32_t k = 0; k < g->at->n; k++) {
    val a = lane_of(g, x, k), b = lane_of(g, y, k);
    val v = norn_is_none(a) || norn_is_none(b) ? norn_none() : arith_slow(st, op, a, b);
    if (norn_is_none(v)) return v;
    if (!z && !(z = lane_vec_new(g->all, g->at, (unsigned)v.tag))) return norn_none();
    if (z->kind != v.tag || V_IS_HEAP(v)) return alone(st, "results of several kinds");
    z->c[k].i = v.i;
  }
  return v_lanes(z);
}

/* An integer that is compared with reals, as a real if that is the same. */
static void as_compared(val *x, val y)
{
  const int64_t most = (int64_t)1 << 53;
  if (V_IS_INT(*x) && kind_of(y) == LANE_REAL && x->i <= most && x->i >= -most) *x = norn_real((double)x->i);
}

/* Arrays go element by element (arith_array.c), which comes back here for those that are lanes: short ones, for each
   element becomes a vector. */
static bool is_short(val x) { return x.tag != NORN_ARRAY || vec_count(v_vec(x)) <= 4096; }

static val array_settled(group *g, val z)
{
  g->all->holding--;
  return norn_is_none(z) ? z : lanes_settled(g->run->st, z, 0);
}

static val array_arith(group *g, arith op, val x, val y)
{
  norn_state *st = g->run->st;
  if ((op >= A_LT && op != A_NEG) || !is_short(x) || !is_short(y)) return alone(st, "an operation of values that hold lanes");
  g->all->holding++;
  val z = op == A_ADD ? lanes_add_matrix(g, x, y) : norn_none();
  if (op == A_ADD && norn_is_none(z) && !st->err.code) z = lanes_add_matrix(g, y, x);
  if (!norn_is_none(z) || st->err.code) return g->all->holding--, z;
  return array_settled(g, op == A_NEG ? arith_arrays(st, A_SUB, norn_int(0), x) : arith_arrays(st, op, x, y));
}

/* Does x stay what it is when y is added?  So a diagonal that is added leaves the other elements alone. */
static bool adds_nothing(group *g, val x, val y)
{
  double lo, hi;
  bool zero = V_IS_REAL(y) ? y.d == 0 : V_IS_INT(y) && y.i == 0;
  return zero && v_is_lanes(x) && lanes_kind(x) == LANE_REAL && bounds_of(g, x, &lo, &hi) && (lo > 0 || hi < 0);
}

/* One of x and y is, or holds, lanes. */
val lanes_arith(norn_state *st, arith op, val x, val y)
{
  group *g = st->lanes;
  lanes_sweep(g->all, false);
  if (x.tag == NORN_ARRAY || y.tag == NORN_ARRAY) return array_arith(g, op, x, y);
  if (!v_is_lanes(x) && !v_is_lanes(y)) return alone(st, "an operation of values that hold lanes");
  if (op >= A_LT && op <= A_NE) {
    as_compared(&x, y);
    as_compared(&y, x);
  }
  val later;
  if (g->defers && lanes_arith_later(g, op, x, y, &later)) return later;
  if (op == A_ADD && adds_nothing(g, x, y)) return x;
  if (op == A_ADD && adds_nothing(g, y, x)) return y;
  if (op == A_NEG || op == A_NOT) return unary(g, op, x);
  unsigned a = kind_of(x), b = kind_of(y);
  bool same = op == A_EQ || op == A_NE;
  if (same && (!a || !b || (a == LANE_BOOL) != (b == LANE_BOOL))) {
    if (x.tag == NORN_BIG || y.tag == NORN_BIG) return alone(st, "a comparison with a big");
    return norn_bool(op == A_NE);
  }
  if (same && a == LANE_BOOL) return binary(g, op, x, y, LANE_INT, LANE_INT);
  if (!is_number_kind(a) || !is_number_kind(b)) return arith_refuse(st, op, x, y);
  if (a != b && op >= A_LT && op <= A_NE) return each(g, op, x, y);
  if (op == A_POW && a == LANE_INT && b == LANE_INT) return each(g, op, x, y);
  return binary(g, op, x, y, a, b);
}

val lanes_map1(norn_state *st, const norn_native *f, val x)
{
  group *g = st->lanes;
  side s;
  lanes_sweep(g->all, false);
  if (x.tag == NORN_ARRAY && is_short(x)) {
    g->all->holding++;
    return array_settled(g, arith_map1_array(st, f, x));
  }
  if (!v_is_lanes(x)) return alone(st, "a function of values that hold lanes");
  if (!is_number_kind(lanes_kind(x))) {
    state_fail(st, NORN_ETYPE, "%s needs a number", f->name);
    return norn_none();
  }
  val later;
  if (g->defers && lanes_map1_later(g, f, x, &later)) return later;
  if (!side_of(g, x, true, &s)) return norn_none();
  lane_vec *z = lane_vec_new(g->all, g->at, LANE_REAL);
  int op = lane_map_of(f->real1);
  if (z && op >= 0) {
    lane_ops()->map(op, &z->c->d, &s.c->d, g->at->n);
    bound_map(op, z, lane_here(g, x.p));
  }
  for (uint32_t k = 0; z && op < 0 && k < g->at->n; k++) z->c[k].d = f->real1(s.c[k].d);
  side_free(g, &s);
  return z ? v_lanes(z) : norn_none();
}

/* ---- natives ---- */

/* Only carry values about. */
static bool is_carrier(const norn_native *f)
{
  static const char *const names[] = { "len", "first", "last", "take", "drop", "slice", "reverse" };
  for (int i = 0; i < NORN_COUNT(names); i++)
    if (!strcmp(names[i], f->name)) return true;
  return false;
}

/* f of the arguments of lane k. */
static val call_lane(group *g, const norn_native *f, const val *args, int n, uint32_t k)
{
  enum { ARGS = 24 };
  norn_state *st = g->run->st;
  val own[ARGS], out = norn_none();
  size_t lent = st->nscratch;
  if (n > ARGS) return alone(st, "a function of many arguments");
  for (int i = 0; i < n; i++) {
    own[i] = lane_of(g, args[i], k);
    if (norn_is_none(own[i]) && !norn_is_none(args[i])) return norn_none();
  }
  if (f->f(st, own, n, &out)) out = norn_none();
  else if (norn_is_none(out)) state_fail(st, NORN_EUSE, "%s gave no value", f->name);
  state_scratch_free(st, lent);
  return out;
}

bool lanes_native(norn_state *st, const norn_native *f, const val *args, int n, val *out)
{
  group *g = st->lanes;
  bool inside = false;
  for (int i = 0; i < n; i++) inside |= lanes_inside(args[i]);
  *out = norn_none();
  if (g->defers && !(f->flags & NORN_PURE) && !is_carrier(f) && !lanes_compute(g)) return true;
  if (!inside || is_carrier(f)) return false;
  if (lanes_matrix_native(g, f, args, n, out)) return true;
  if (st->err.code) return true;
  if (!(f->flags & NORN_PURE)) {
    alone(st, "a function with effects");
    return true;
  }
  uint32_t m = g->at->n;
  mem *mm = &st->mem;
  lane_source *s = mem_get(mm, m * sizeof *s);
  uint32_t *to = mem_get(mm, m * sizeof *to), k = 0;
  if (!s || !to) state_memory(st);
  for (; s && to && k < m; k++) {
    to[k] = k;
    s[k] = (lane_source){ call_lane(g, f, args, n, k), NULL, to + k };
    if (norn_is_none(s[k].v)) break;
  }
  if (s && to && k == m) {
    *out = lanes_joined(g->all, g->at, s, m);
    if (norn_is_none(*out) && !st->err.code) alone(st, "results of several kinds");
  }
  mem_put(mm, s, m * sizeof *s);
  mem_put(mm, to, m * sizeof *to);
  return true;
}

/* ---- elements ---- */

/* Element i of each lane, or of each row that differs by lane. */
static val element_each(group *g, vec *v, const cell *i)
{
  norn_state *st = g->run->st;
  uint32_t n = g->at->n, *to = mem_get(&st->mem, n * sizeof *to), k = 0;
  lane_source *s = mem_get(&st->mem, n * sizeof *s);
  val out = norn_none();
  if (!to || !s) state_memory(st);
  for (; to && s && k < n; k++) {
    to[k] = k;
    s[k] = (lane_source){ lane_of(g, vec_at(st, v, i[k].i), k), NULL, to + k };
    if (norn_is_none(s[k].v)) break;
  }
  if (to && s && k == n) {
    out = lanes_joined(g->all, g->at, s, n);
    if (norn_is_none(out) && !st->err.code) alone(st, "elements of several kinds");
  }
  mem_put(&st->mem, to, n * sizeof *to);
  mem_put(&st->mem, s, n * sizeof *s);
  return out;
}

/* An index that differs by lane. */
val lanes_index(norn_state *st, val x, val i)
{
  group *g = st->lanes;
  val later;
  if (g->defers && lanes_index_later(g, x, i, &later)) return later;
  if (x.tag != NORN_ARRAY || lanes_kind(i) != LANE_INT) return alone(st, "an index");
  vec *v = v_vec(x);
  const cell *c = lane_cells(g, i.p);
  bool inside = true;
  uint32_t n = g->at->n;
  if (!c) return norn_none();
  for (uint32_t k = 0; k < n; k++) inside &= (uint64_t)c[k].i < (uint64_t)v->len;
  if (!inside) return alone(st, "an index outside of its array");
  unsigned elem = vec_elem(v);
  if (vec_rank(v) != 1 || elem == NORN_VALUES || !vec_flat(st, v)) return element_each(g, v, c);
  lane_vec *z = lane_vec_new(g->all, g->at, elem == NORN_F64 ? LANE_REAL
                                            : elem == NORN_I64 ? LANE_INT : LANE_BOOL);
  const void *e = vec_elems(v);
  for (uint32_t k = 0; z && k < n; k++)
    z->c[k].i = elem == NORN_B8 ? ((const uint8_t *)e)[c[k].i] : ((const int64_t *)e)[c[k].i];
  return z ? v_lanes(z) : norn_none();
}

/* ---- branches and annotations ---- */

/* The wider bounds of two vectors or numbers. */
static void bound_choice(group *g, lane_vec *z, val x, val y)
{
  double a, b, c, d;
  if (z->kind == LANE_REAL && bounds_of(g, x, &a, &b) && bounds_of(g, y, &c, &d))
    set_bounds(z, fmin(a, c), fmax(b, d));
}

val lanes_choose(group *g, val c, val a, val b)
{
  side s, t;
  unsigned kind = kind_of(a);
  if (!kind || kind_of(b) != kind) return alone(g->run->st, "values of several kinds");
  if (g->defers) return lanes_choose_later(g, c, a, b);
  const cell *is = lane_cells(g, c.p);
  bool room = is && side_of(g, a, false, &s);
  lane_vec *z = room && side_of(g, b, false, &t) ? lane_vec_new(g->all, g->at, kind) : NULL;
  if (!z) return norn_none();
  const cell *x = cells(&s), *y = cells(&t);
  for (uint32_t k = 0, n = g->at->n; k < n; k++) z->c[k].u = is[k].i ? x[k * s.step].u : y[k * t.step].u;
  bound_choice(g, z, a, b);
  return v_lanes(z);
}

bool lanes_decide(norn_state *st, val *v)
{
  group *g = st->lanes;
  uint32_t n = g->at->n, yes = 0;
  if (g->defers && st->current == g->run && !lanes_flush(g, v->p, FLUSH_READ)) return false;
  const cell *c = lane_cells(g, v->p);
  if (!c || lanes_kind(*v) != LANE_BOOL) return false;
  for (uint32_t k = 0; k < n; k++) yes += (uint32_t)c[k].i;
  if (yes == 0 || yes == n) {
    *v = norn_bool(yes > 0);
    return true;
  }
  if (st->current != g->run) {
    norn_fail(st, NORN_EINFER, -1, "lanes disagree inside of a function");
    return false;
  }
  if (!g->mask && !(g->mask = lane_buffer(g->all))) return false;
  for (uint32_t k = 0; k < n; k++) g->mask[k] = c[k].i != 0;
  g->want = WANT_SPLIT;
  g->alone = false;
  return false;
}

bool lanes_fit(norn_state *st, val x, val lower, val upper)
{
  group *g = st->lanes;
  double lo = -INFINITY, hi = INFINITY;
  unsigned kind = lanes_kind(x);
  bool any = norn_as_real(lower, &lo);
  any |= norn_as_real(upper, &hi);
  if (g->defers && is_number_kind(kind)) return !any || lanes_fit_later(g, x, lo, hi);
  const cell *c = is_number_kind(kind) ? lane_cells(g, x.p) : NULL;
  bool fits = c != NULL;
  for (uint32_t k = 0; any && fits && k < g->at->n; k++) {
    double d = kind == LANE_REAL ? c[k].d : (double)c[k].i;
    fits = d >= lo && d <= hi;
  }
  return fits;
}
