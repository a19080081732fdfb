/* arith_in.h: what the two halves of arithmetic share. */
#ifndef NORN_LANG_ARITH_IN_H
#define NORN_LANG_ARITH_IN_H
#include "lang/value/array.h"

/* Two numbers.  NONE: error set. */
val arith_numbers(norn_state *, arith, val x, val y);
/* "can't add a string to an integer", with a hint where one is known.  Gives NONE. */
val arith_refuse(norn_state *, arith, val x, val y);
/* Element by element; one of x and y at least is an array.  NONE: error set. */
val arith_arrays(norn_state *, arith, val x, val y);
val arith_negate(norn_state *, vec *);
/* f's real1 of each element of an array, which may hold lanes. */
val arith_map1_array(norn_state *, const norn_native *f, val x);
/* An overflow, a division by zero. */
val arith_overflow(norn_state *, arith, int64_t a, int64_t b);
val arith_zero(norn_state *, arith);

/* Inlined wherever op is known, so that loops have no switch in them. */
#define arith_always static inline __attribute__((always_inline))

bool arith_int_rare(arith, int64_t a, int64_t b, int64_t *out);
/* False: overflow.  b is not 0 for // and %. */
arith_always bool arith_int(arith op, int64_t a, int64_t b, int64_t *out)
{
  switch (op) {
  case A_ADD: return !__builtin_add_overflow(a, b, out);
  case A_SUB: return !__builtin_sub_overflow(a, b, out);
  case A_MUL: return !__builtin_mul_overflow(a, b, out);
  default: return arith_int_rare(op, a, b, out);
  }
}

double arith_pow(double, double);
double arith_floor_div(double, double);
double arith_mod(double, double);
/* // and % by 0 are checked before. */
arith_always double arith_real(arith op, double a, double b)
{
  switch (op) {
  case A_ADD: return a + b;
  case A_SUB: return a - b;
  case A_MUL: return a * b;
  case A_DIV: return a / b;
  case A_IDIV: return arith_floor_div(a, b);
  case A_MOD: return arith_mod(a, b);
  default: return arith_pow(a, b);
  }
}
#endif
