/* arith.c: arithmetic and comparison off the fast path of the VM: promotion, overflow, and the
   sentences for what can't be computed.  arith_array.c goes element by element. */
#include "lang/value/arith_in.h"
#include "lang/value/big.h"
#include "lang/value/part.h"
#include "lang/symbolic/node.h"
#include "lang/symbolic/delayed.h"
#include "lang/lanes/lanes.h"
#include <math.h>

double arith_pow(double a, double b) { return b == 2 ? a * a : pow(a, b); }
double arith_floor_div(double a, double b) { return floor(a / b); }

/* The remainder has the sign of the divisor. */
double arith_mod(double a, double b)
{
  double r = fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* a^b by squaring, b >= 0; false on overflow. */
static bool int_pow(int64_t a, int64_t b, int64_t *out)
{
  int64_t r = 1;
  for (;;) {
    if (b & 1 && __builtin_mul_overflow(r, a, &r)) return false;
    b >>= 1;
    if (!b) break;
    if (__builtin_mul_overflow(a, a, &a)) return false;
  }
  *out = r;
  return true;
}

static bool int_floor_div(int64_t a, int64_t b, int64_t *out)
{
  if (b == -1) return !__builtin_sub_overflow((int64_t)0, a, out);
  *out = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
  return true;
}

bool arith_int_rare(arith op, int64_t a, int64_t b, int64_t *out)
{
  switch (op) {
  case A_IDIV: return int_floor_div(a, b, out);
  case A_MOD:
    *out = b == -1 ? 0 : a % b;
    if (*out != 0 && (*out < 0) != (b < 0)) *out += b;
    return true;
  default: return int_pow(a, b, out);
  }
}

/* ---- what can't be ---- */

static const char *sign_of(arith op)
{
  static const char *const signs[] = { "+", "-",  "*",  "/",  "//", "%",  "^",
                                       "<", "<=", "==", "!=", "-",  "not" };
  return signs[op];
}

val arith_overflow(norn_state *st, arith op, int64_t a, int64_t b)
{
  if (op == A_NEG) state_fail(st, NORN_EDOMAIN, "integer overflow: -(%lld)", (long long)a);
  else
    state_fail(st, NORN_EDOMAIN, "integer overflow: %lld %s %lld", (long long)a, sign_of(op),
               (long long)b);
  norn_hint(st, "write 1.0 for real arithmetic");
  return norn_none();
}

val arith_zero(norn_state *st, arith op)
{
  state_fail(st, NORN_EDOMAIN,
             op == A_MOD ? "remainder of a division by zero" : "division by zero");
  if (op == A_DIV)
    norn_hint(st, "reals divide by zero as IEEE 754 has it: write 1.0 / 0.0 for infinity");
  return norn_none();
}

static void describe_failure(norn_state *st, arith op, const char *x, const char *y)
{
  switch (op) {
  case A_ADD: state_fail(st, NORN_ETYPE, "can't add %s to %s", y, x); break;
  case A_SUB: state_fail(st, NORN_ETYPE, "can't subtract %s from %s", y, x); break;
  case A_MUL: state_fail(st, NORN_ETYPE, "can't multiply %s by %s", x, y); break;
  case A_DIV: case A_IDIV: state_fail(st, NORN_ETYPE, "can't divide %s by %s", x, y); break;
  case A_MOD: state_fail(st, NORN_ETYPE, "can't take the remainder of %s by %s", x, y); break;
  case A_POW: state_fail(st, NORN_ETYPE, "can't raise %s to the power of %s", x, y); break;
  case A_NEG: state_fail(st, NORN_ETYPE, "can't negate %s", x); break;
  case A_NOT: state_fail(st, NORN_ETYPE, "'not' needs a boolean, got %s", x); break;
  default: state_fail(st, NORN_ETYPE, "can't order %s and %s", x, y); break;
  }
}

val arith_refuse(norn_state *st, arith op, val x, val y)
{
  char a[128], b[128];
  bool missing = x.tag == NORN_MISSING || y.tag == NORN_MISSING;
  if (missing && op != A_NOT) {
    state_fail(st, NORN_ETYPE,
               op == A_LT || op == A_LE ? "can't order a missing value"
                                        : "arithmetic on a missing value");
    norn_hint(st, "x == missing tests for it");
    return norn_none();
  }
  describe_failure(st, op, norn_describe(st, x, a, sizeof a), norn_describe(st, y, b, sizeof b));
  bool strings = x.tag == NORN_STR || y.tag == NORN_STR;
  if (op == A_ADD && strings)
    norn_hint(st, "a ++ b joins strings, \"{a}{b}\" makes one of any values");
  else if (V_IS_BOOL(x) || V_IS_BOOL(y))
    norn_hint(st, "if b { 1 } else { 0 } makes a number of a boolean");
  else if ((op == A_LT || op == A_LE) && x.tag == NORN_ARRAY)
    norn_hint(st, "compare element by element with a comprehension or map");
  else if (V_KIND(x) == NORN_DIST || V_KIND(y) == NORN_DIST)
    norn_hint(st, "'let x ~ d' or sample(d) draws a value of a distribution d");
  return norn_none();
}

/* ---- numbers ---- */

static val ints(norn_state *st, arith op, int64_t a, int64_t b)
{
  int64_t z;
  if ((op == A_DIV || op == A_IDIV || op == A_MOD) && b == 0) return arith_zero(st, op);
  if (op == A_DIV) return norn_real((double)a / (double)b);
  if (op == A_POW && b < 0) return norn_real(pow((double)a, (double)b));
  return arith_int(op, a, b, &z) ? norn_int(z) : arith_overflow(st, op, a, b);
}

val arith_numbers(norn_state *st, arith op, val x, val y)
{
  if (V_IS_INT(x) && V_IS_INT(y)) return ints(st, op, x.i, y.i);
  double a = V_IS_INT(x) ? (double)x.i : x.d, b = V_IS_INT(y) ? (double)y.i : y.d;
  if ((op == A_IDIV || op == A_MOD) && b == 0) return arith_zero(st, op);
  return norn_real(arith_real(op, a, b));
}

/* x < y or x <= y; an integer and a real are compared exactly. */
static bool less(arith op, val x, val y)
{
  int c;
  if (V_IS_REAL(x) && V_IS_REAL(y)) return op == A_LT ? x.d < y.d : x.d <= y.d;
  if (V_IS_INT(x) && V_IS_INT(y)) return op == A_LT ? x.i < y.i : x.i <= y.i;
  c = V_IS_INT(x) ? compare_mixed(x.i, y.d) : compare_mixed(y.i, x.d);
  if (c == 2) return false;
  if (!V_IS_INT(x)) c = -c;
  return op == A_LT ? c < 0 : c <= 0;
}

/* One of them is a big, the other a number. */
static bool are_big(val x, val y)
{
  return (big_is(x) && (big_is(y) || part_is_number(y))) || (big_is(y) && part_is_number(x));
}

static val ordered(norn_state *st, arith op, val x, val y)
{
  if (part_is_number(x) && part_is_number(y)) return norn_bool(less(op, x, y));
  if (are_big(x, y)) return big_arith(st, op, x, y);
  if (x.tag == NORN_STR && y.tag == NORN_STR) {
    int c = value_compare(x, y);
    return norn_bool(op == A_LT ? c < 0 : c <= 0);
  }
  return arith_refuse(st, op, x, y);
}

static val negated(norn_state *st, val x)
{
  if (V_IS_REAL(x)) return norn_real(-x.d);
  if (V_IS_INT(x)) return x.i == INT64_MIN ? arith_overflow(st, A_NEG, x.i, 0) : norn_int(-x.i);
  if (x.tag == NORN_ARRAY) return arith_negate(st, v_vec(x));
  if (big_is(x)) return big_arith(st, A_NEG, x, x);
  return arith_refuse(st, A_NEG, x, x);
}

static bool is_function(val x)
{
  return V_KIND(x) == NORN_FUN || V_KIND(x) == NORN_NATIVE;
}

/* x == y or x != y.  Functions inside other values count as equal by code and captures. */
static val compared(norn_state *st, arith op, val x, val y)
{
  if (x.tag == NORN_HANDLE && y.tag == NORN_HANDLE && !((handle *)x.p)->row->module)
    return state_fail(st, NORN_ETYPE, "a %s can't be compared with another", ((handle *)x.p)->row->name);
  if (!is_function(x) || !is_function(y)) return norn_bool(value_equal(x, y) == (op == A_EQ));
  state_fail(st, NORN_ETYPE, "functions can't be compared");
  norn_hint(st, "compare what they give for some arguments");
  return norn_none();
}

val arith_slow(norn_state *st, arith op, val x, val y)
{
  if (NORN_UNLIKELY(v_is_random(x) || v_is_random(y))) return delayed_arith(st, op, x, y);
  if (NORN_UNLIKELY(latent_on(st))) {
    x = op == A_EQ || op == A_NE ? norn_force(st, x) : latent_value(st, x);
    y = op == A_EQ || op == A_NE ? norn_force(st, y) : latent_value(st, y);
    if (norn_is_none(x) || norn_is_none(y)) return norn_none();
  }
  if (NORN_UNLIKELY(st->lanes != NULL) && (lanes_inside(x) || lanes_inside(y)))
    return lanes_arith(st, op, x, y);
  if (v_is_node(x) || v_is_node(y)) {
    if (x.tag != NORN_ARRAY && y.tag != NORN_ARRAY) return node_arith(st, op, x, y);
    if (op < A_LT) return arith_arrays(st, op, x, y);
  }
  switch (op) {
  case A_EQ: case A_NE: return compared(st, op, x, y);
  case A_LT: case A_LE: return ordered(st, op, x, y);
  case A_NEG: return negated(st, x);
  case A_NOT: return V_IS_BOOL(x) ? norn_bool(!x.i) : arith_refuse(st, op, x, x);
  default: break;
  }
  if (part_is_number(x) && part_is_number(y)) return arith_numbers(st, op, x, y);
  if (are_big(x, y)) return big_arith(st, op, x, y);
  bool a = x.tag == NORN_ARRAY, b = y.tag == NORN_ARRAY, n = part_is_number(x) || big_is(x),
       m = part_is_number(y) || big_is(y);
  if ((a && b) || (a && m) || (b && n))
    return arith_arrays(st, op, x, y);
  return arith_refuse(st, op, x, y);
}
