/* big.h: MPFR as an oracle that reads like a formula.  A big is a place in a pool of 320-bit reals;
   big_reset starts again.  Functions are as their names in a formula: sub(lg(x), one()). */
#ifndef NORN_TEST_BIG_H
#define NORN_TEST_BIG_H
#include <mpfr.h>

typedef int big;
#define BIG_POOL 4096
#define BIG_BITS 320
static struct { mpfr_t v[BIG_POOL]; int used, made; } pool;

static inline void big_reset(void) { pool.used = 0; }
static inline big big_new(void)
{
  if (pool.used == pool.made) mpfr_init2(pool.v[pool.made++], BIG_BITS);
  return pool.used++;
}
static inline big num(double x) { big r = big_new(); mpfr_set_d(pool.v[r], x,
    MPFR_RNDN); return r; }
static inline double dbl(big a) { return mpfr_get_d(pool.v[a], MPFR_RNDN); }

#define BIG_1(name, call) static inline big name(big a) \
  { big r = big_new(); call(pool.v[r], pool.v[a], MPFR_RNDN); return r; }
#define BIG_2(name, call) static inline big name(big a, big b) \
  { big r = big_new(); call(pool.v[r], pool.v[a], pool.v[b], MPFR_RNDN); return r; }
BIG_1(lg, mpfr_log) BIG_1(ex, mpfr_exp) BIG_1(lg1p, mpfr_log1p) BIG_1(neg, mpfr_neg)
BIG_1(mag, mpfr_abs) BIG_1(root, mpfr_sqrt) BIG_1(sq, mpfr_sqr) BIG_1(lngamma, mpfr_lngamma)
BIG_1(psi, mpfr_digamma) BIG_1(erfc_, mpfr_erfc) BIG_1(atan_, mpfr_atan) BIG_1(sin_,
    mpfr_sin) BIG_1(cos_, mpfr_cos)
BIG_2(add, mpfr_add) BIG_2(sub, mpfr_sub) BIG_2(mul, mpfr_mul) BIG_2(over, mpfr_div)
BIG_2(gamma_upper, mpfr_gamma_inc)

static inline big pi_(void) { big r = big_new(); mpfr_const_pi(pool.v[r], MPFR_RNDN); return r; }
static inline big one(void) { return num(1); }
static inline big two(void) { return num(2); }
static inline big half(big a) { return mul(num(0.5), a); }
/* log B(a, b), log of n over k */
static inline big lnbeta(big a, big b)
{
  return sub(add(lngamma(a), lngamma(b)), lngamma(add(a, b)));
}
static inline big lnfact(big k) { return lngamma(add(k, one())); }
static inline big lnchoose(big n, big k)
{
  return sub(lnfact(n), add(lnfact(k), lnfact(sub(n, k))));
}

/* I_x(a, b) by its series of positive terms, x^a (1-x)^b / (a B) sum (a+b)_n/(a+1)_n x^n. */
static inline big big_beta_inc(big a, big b, big x)
{
  big sum = num(1), term = num(1), t = big_new(), d = big_new();
  for (long n = 0; n < 200000; n++) {
    mpfr_add(pool.v[t], pool.v[a], pool.v[b], MPFR_RNDN);
    mpfr_add_si(pool.v[t], pool.v[t], n, MPFR_RNDN);
    mpfr_add_si(pool.v[d], pool.v[a], n + 1, MPFR_RNDN);
    mpfr_div(pool.v[t], pool.v[t], pool.v[d], MPFR_RNDN);
    mpfr_mul(pool.v[t], pool.v[t], pool.v[x], MPFR_RNDN);
    mpfr_mul(pool.v[term], pool.v[term], pool.v[t], MPFR_RNDN);
    mpfr_add(pool.v[sum], pool.v[sum], pool.v[term], MPFR_RNDN);
    if (mpfr_get_exp(pool.v[term]) < mpfr_get_exp(pool.v[sum]) - BIG_BITS) break;
  }
  big front = sub(add(mul(a, lg(x)), mul(b, lg1p(neg(x)))), add(lg(a), lnbeta(a, b)));
  return mul(ex(front), sum);
}
static inline big beta_inc(double a, double b, big x) { return big_beta_inc(num(a), num(b), x); }
#endif
