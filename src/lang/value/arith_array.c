/* arith_array.c: arithmetic element by element.  Equal shapes, or an array and a number; integers
   become real where the other side is.  Packed arrays run in plain loops, all others by element. */
#include "lang/value/arith_in.h"
#include "lang/value/big.h"
#include "lang/symbolic/delayed.h"
#include "lang/lanes/lanes.h"
#include <math.h>
#include <string.h>

enum { DEEPEST = 200 };   /* arrays within arrays that are no matrix */

/* An operand of a packed loop: n elements (step 1), or one number for all (step 0). */
typedef struct side {
  const double *f; const int64_t *i;
  int64_t step; double f1; int64_t i1;
} side;

/* ---- loops ---- */

/* Eight at a time, which compilers turn into vector code; z is a new array and overlaps nothing. */
arith_always void real_loop(arith op, double *restrict z, side x, side y, int64_t n)
{
  const double *restrict a = x.f, *restrict b = y.f;
  int64_t k = 0;
  if (x.step && y.step) {
    for (; k + 8 <= n; k += 8)
      for (int j = 0; j < 8; j++) z[k + j] = arith_real(op, a[k + j], b[k + j]);
    for (; k < n; k++) z[k] = arith_real(op, a[k], b[k]);
  } else if (x.step) {
    double c = *b;
    for (; k + 8 <= n; k += 8) for (int j = 0; j < 8; j++) z[k + j] = arith_real(op, a[k + j], c);
    for (; k < n; k++) z[k] = arith_real(op, a[k], c);
  } else {
    double c = *a;
    for (; k + 8 <= n; k += 8) for (int j = 0; j < 8; j++) z[k + j] = arith_real(op, c, b[k + j]);
    for (; k < n; k++) z[k] = arith_real(op, c, b[k]);
  }
}

static void reals(arith op, double *z, side x, side y, int64_t n)
{
  switch (op) {
  case A_ADD: real_loop(A_ADD, z, x, y, n); break;
  case A_SUB: real_loop(A_SUB, z, x, y, n); break;
  case A_MUL: real_loop(A_MUL, z, x, y, n); break;
  case A_DIV: real_loop(A_DIV, z, x, y, n); break;
  case A_IDIV: real_loop(A_IDIV, z, x, y, n); break;
  case A_MOD: real_loop(A_MOD, z, x, y, n); break;
  default: real_loop(A_POW, z, x, y, n); break;
  }
}

/* False on overflow, with the index in *at. */
arith_always bool int_loop(arith op, int64_t *z, side x, side y, int64_t n, int64_t *at)
{
  for (int64_t k = 0; k < n; k++)
    if (!arith_int(op, x.i[k * x.step], y.i[k * y.step], &z[k])) {
      *at = k;
      return false;
    }
  return true;
}

static bool ints(arith op, int64_t *z, side x, side y, int64_t n, int64_t *at)
{
  switch (op) {
  case A_ADD: return int_loop(A_ADD, z, x, y, n, at);
  case A_SUB: return int_loop(A_SUB, z, x, y, n, at);
  case A_MUL: return int_loop(A_MUL, z, x, y, n, at);
  default: return int_loop(op, z, x, y, n, at);
  }
}

static bool any_zero(side y, int64_t n)
{
  for (int64_t k = 0; k < (y.step ? n : 1); k++)
    if (y.f ? y.f[k] == 0 : y.i[k] == 0) return true;
  return false;
}

static bool any_negative(side y, int64_t n)
{
  for (int64_t k = 0; k < (y.step ? n : 1); k++)
    if (y.i[k] < 0) return true;
  return false;
}

/* ---- packed operands ---- */

static bool is_packed(val x)
{
  if (x.tag != NORN_ARRAY) return V_IS_INT(x) || V_IS_REAL(x);
  return vec_elem(v_vec(x)) == NORN_F64 || vec_elem(v_vec(x)) == NORN_I64;
}

static bool is_real(val x)
{
  return x.tag == NORN_ARRAY ? vec_elem(v_vec(x)) == NORN_F64 : V_IS_REAL(x);
}

/* The side of x, as reals if `real`; *s holds a number that stands alone. */
static bool side_of(norn_state *st, val x, bool real, side *s)
{
  *s = (side){ .step = x.tag == NORN_ARRAY };
  if (!s->step) {
    s->i1 = x.i;
    s->f1 = V_IS_INT(x) ? (double)x.i : x.d;
    if (real) s->f = &s->f1;
    else s->i = &s->i1;
    return true;
  }
  vec *v = vec_flat(st, v_vec(x));
  if (!v) return false;
  if (vec_elem(v) == NORN_F64) s->f = vec_elems(v);
  else s->i = vec_elems(v);
  if (!real || s->f) return true;
  int64_t n = vec_count(v);
  vec *r = vec_raw(st, NORN_F64, 1, &n);
  if (!r) return false;
  for (int64_t k = 0; k < n; k++) r->b->f[k] = (double)s->i[k];
  s->f = r->b->f;
  s->i = NULL;
  return true;
}

/* A new array of the shape of v. */
static vec *alike(norn_state *st, const vec *v, norn_elem elem)
{
  int64_t dims[NORN_RANK_MAX] = { v->len };
  memcpy(dims + 1, v->dims, (size_t)(vec_rank(v) - 1) * sizeof *dims);
  return elem == NORN_VALUES ? vec_new(st, elem, vec_rank(v), dims)
                             : vec_raw(st, elem, vec_rank(v), dims);
}

static val packed(norn_state *st, arith op, val x, val y)
{
  const vec *shape_of = v_vec(x.tag == NORN_ARRAY ? x : y);
  bool real = is_real(x) || is_real(y) || op == A_DIV;
  bool integers = !is_real(x) && !is_real(y);
  side a, b;
  int64_t n = vec_count(shape_of), at;
  if (!side_of(st, x, real, &a) || !side_of(st, y, real, &b)) return norn_none();
  if ((op == A_IDIV || op == A_MOD || (op == A_DIV && integers)) && any_zero(b, n))
    return arith_zero(st, op);
  if (!real && op == A_POW && any_negative(b, n)) {
    real = true;
    if (!side_of(st, x, true, &a) || !side_of(st, y, true, &b)) return norn_none();
  }
  vec *z = alike(st, shape_of, real ? NORN_F64 : NORN_I64);
  if (!z) return norn_none();
  if (real) reals(op, z->b->f, a, b, n);
  else if (!ints(op, z->b->i, a, b, n, &at))
    return arith_overflow(st, op, a.i[at * a.step], b.i[at * b.step]);
  return v_obj(NORN_ARRAY, z);
}

/* ---- any operands ---- */

static val shapes_differ(norn_state *st, arith op, const vec *v, const vec *w)
{
  static const char *const verbs[] = { "add",    "subtract",           "multiply", "divide",
                                       "divide", "take remainders of", "raise" };
  char a[96], b[96];
  state_fail(st, NORN_ETYPE, "can't %s arrays element by element: shapes %s and %s differ",
             verbs[op], vec_shape_text(v, a, sizeof a), vec_shape_text(w, b, sizeof b));
  norn_hint(st, op == A_MUL ? "@ is the matrix product; only numbers are repeated to fit an array"
                            : "only numbers are repeated to fit an array");
  return norn_none();
}

static bool is_scalar(val x)
{
  return V_IS_INT(x) || V_IS_REAL(x) || v_is_node(x) || v_is_random(x) || v_is_lanes(x);
}

static val by_element(norn_state *st, arith op, val x, val y, int depth);

static val one(norn_state *st, arith op, val x, val y, int depth)
{
  if (x.tag == NORN_ARRAY || y.tag == NORN_ARRAY) return by_element(st, op, x, y, depth + 1);
  return arith_slow(st, op, x, y);
}

static val by_element(norn_state *st, arith op, val x, val y, int depth)
{
  bool a = x.tag == NORN_ARRAY, b = y.tag == NORN_ARRAY;
  if (depth > DEEPEST)
    return state_fail(st, NORN_EDOMAIN, "arrays nested more than %d deep", DEEPEST);
  if ((!a && !V_IS_INT(x) && !V_IS_REAL(x) && !big_is(x)) ||
      (!b && !V_IS_INT(y) && !V_IS_REAL(y) && !big_is(y)))
  if ((!a && !is_scalar(x)) || (!b && !is_scalar(y)))
    return arith_refuse(st, op, x, y);
  if (a && norn_is_none(x = vec_repack(st, x))) return x;
  if (b && norn_is_none(y = vec_repack(st, y))) return y;
  int64_t n = a ? v_vec(x)->len : v_vec(y)->len;
  if (a && b && v_vec(x)->len != v_vec(y)->len) return shapes_differ(st, op, v_vec(x), v_vec(y));
  if (n == 0) return vec_empty(st);
  if (is_packed(x) && is_packed(y)) {
    if (a && b && !vec_same_shape(v_vec(x), v_vec(y)))
      return shapes_differ(st, op, v_vec(x), v_vec(y));
    return packed(st, op, x, y);
  }
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t k = 0; z && k < n; k++) {
    val p = a ? vec_at(st, v_vec(x), k) : x, q = b ? vec_at(st, v_vec(y), k) : y;
    if (norn_is_none(p) || norn_is_none(q)) return norn_none();
    val r = one(st, op, p, q, depth);
    if (norn_is_none(r)) return r;
    z->b->v[k] = r;
  }
  return z ? vec_repack(st, v_obj(NORN_ARRAY, z)) : norn_none();
}

val arith_arrays(norn_state *st, arith op, val x, val y)
{
  return by_element(st, op, x, y, 0);
}

val arith_negate(norn_state *st, vec *v)
{
  val x = v_obj(NORN_ARRAY, v);
  if (vec_elem(v) == NORN_F64) v = vec_flat(st, v);
  if (!v || vec_elem(v) != NORN_F64) return by_element(st, A_SUB, norn_int(0), x, 0);
  vec *z = alike(st, v, NORN_F64);
  const double *f = vec_elems(v);
  for (int64_t k = 0; z && k < vec_count(v); k++) z->b->f[k] = -f[k];
  return z ? v_obj(NORN_ARRAY, z) : norn_none();
}

/* ---- real functions ---- */

static val map1(norn_state *st, const norn_native *f, val x, int depth);

static val map1_array(norn_state *st, const norn_native *f, val x, int depth)
{
  x = vec_repack(st, x);
  if (norn_is_none(x)) return x;
  vec *v = v_vec(x);
  int64_t n = vec_count(v);
  if (n == 0) return x;
  vec *z =
      alike(st, v, vec_elem(v) == NORN_F64 || vec_elem(v) == NORN_I64 ? NORN_F64 : NORN_VALUES);
  if (!z) return norn_none();
  const double *d = vec_elems(v);
  const int64_t *i = vec_elems(v);
  if (vec_elem(v) == NORN_F64) {
    for (int64_t k = 0; k < n; k++) z->b->f[k] = f->real1(d[k]);
  } else if (vec_elem(v) == NORN_I64) {
    for (int64_t k = 0; k < n; k++) z->b->f[k] = f->real1((double)i[k]);
  } else {
    for (int64_t k = 0; k < n; k++) {
      val r = map1(st, f, elem_value(vec_elem(v), d, k), depth + 1);
      if (norn_is_none(r)) return r;
      z->b->v[k] = r;
    }
    return vec_repack(st, v_obj(NORN_ARRAY, z));
  }
  return v_obj(NORN_ARRAY, z);
}

static val map1(norn_state *st, const norn_native *f, val x, int depth)
{
  char found[96];
  if (V_IS_REAL(x)) return norn_real(f->real1(x.d));
  if (V_IS_INT(x)) return norn_real(f->real1((double)x.i));
  if (big_is(x)) return big_map1(st, f, x);
  if (v_is_node(x)) return node_map1(st, f, x);
  if (v_is_lanes(x)) return lanes_map1(st, f, x);
  if (x.tag == NORN_ARRAY && depth <= DEEPEST) return map1_array(st, f, x, depth);
  norn_fail(st, NORN_ETYPE, 0, "%s needs a number or an array of numbers, got %s", f->name,
            norn_describe(st, x, found, sizeof found));
  return norn_none();
}

val arith_map1_array(norn_state *st, const norn_native *f, val x) { return map1_array(st, f, x, 0); }

val arith_map1(norn_state *st, const norn_native *f, val x)
{
  if (NORN_UNLIKELY(st->lanes != NULL) && lanes_inside(x)) return lanes_map1(st, f, x);
  val z = v_is_random(x) && !strcmp(f->name, "sqrt") ? delayed_sqrt(st, x) : norn_none();
  if (!norn_is_none(z)) return z;
  return map1(st, f, norn_force(st, x), 0);
}
