/* big.h: bigs inside the language: how they lie in the heap, and their arithmetic. */
#ifndef NORN_LANG_BIG_H
#define NORN_LANG_BIG_H
#include "lang/value/value.h"
#include "num/real.h"

static inline bool big_is(val v) { return V_KIND(v) == NORN_BIG; }
/* The number; its limbs are the object's and are only read. */
static inline bignum big_view(val v)
{
  bign *b = v.p;
  return (bignum){ b->bits, b->exponent, (norn_big_kind)b->what, b->sign, b->limb };
}

/* An integer, a real or a big as a real; `few` has room for those that are none. */
const bignum *big_operand(val, bignum *x, uint64_t *few);
/* A number as a big of so many bits; NONE: no memory. */
val big_rounded(norn_state *, val, int64_t bits);
/* x op y, one of them a big, both numbers.  NONE: error set. */
val big_arith(norn_state *, arith, val x, val y);
val big_map1(norn_state *, const norn_native *, val x);
/* Exactly -1, 0, 1 for any two numbers; 2 if one of them is nan. */
int big_compare(val x, val y);
extern const norn_native big_natives[1];
#endif
