/* real.c: GNU MPFR behind real.h.

   A view becomes an mpfr_t on the C stack by MPFR's custom interface (MPFR manual, 5.16), which
   lets the caller own the limbs.  What MPFR lacks is put together here from what it has, with guard
   bits for what cancels. */
#include "num/real.h"
#include <mpfr.h>
#include <math.h>
#include <string.h>

_Static_assert(sizeof(mp_limb_t) == 8, "limbs of GMP are 64-bit words");

enum {
  GUARD = 32,
  FAR = 1 << 20              /* exponents beyond it: 2^(2^20) has no sine in reasonable time */
};

/* ---- views as MPFR sees them ---- */

static void opened(mpfr_ptr m, const bignum *x)
{
  static const int kinds[] = { MPFR_NAN_KIND, MPFR_INF_KIND, MPFR_ZERO_KIND, MPFR_REGULAR_KIND };
  int kind = kinds[x->kind];
  mpfr_exp_t exponent = x->kind == NORN_BIG_FINITE ? x->exponent : 0;
  mpfr_custom_init_set(m, x->sign < 0 ? -kind : kind, exponent, x->bits, x->limb);
}

static void closed(bignum *x, mpfr_srcptr m)
{
  x->sign = mpfr_signbit(m) ? -1 : 1;
  x->exponent = 0;
  if (mpfr_nan_p(m)) x->kind = NORN_BIG_NAN, x->sign = 1;
  else if (mpfr_inf_p(m)) x->kind = NORN_BIG_INF;
  else if (mpfr_zero_p(m)) x->kind = NORN_BIG_ZERO;
  else {
    x->kind = NORN_BIG_FINITE;
    x->exponent = mpfr_get_exp(m);
  }
}

void real_forget(void) { mpfr_free_cache(); }

/* ---- what MPFR lacks ---- */

typedef mpfr_srcptr in;

/* A number for intermediate results, `more` bits longer than z. */
static void wider(mpfr_ptr t, mpfr_srcptr z, mpfr_prec_t more)
{
  mpfr_init2(t, mpfr_get_prec(z) + GUARD + more);
}

static mpfr_prec_t magnitude(in x)
{
  mpfr_exp_t e = mpfr_regular_p(x) ? mpfr_get_exp(x) : 0;
  return e < 0 ? 0 : e > 4096 ? 4096 : e;
}

/* floor(x / y): rounding the quotient down does not pass its floor where that fits. */
static void idiv(mpfr_ptr z, in x, in y)
{
  mpfr_t q;
  wider(q, z, 0);
  mpfr_div(q, x, y, MPFR_RNDD);
  mpfr_rint_floor(z, q, MPFR_RNDN);
  mpfr_clear(q);
}

/* The remainder has the sign of the divisor. */
static void mod(mpfr_ptr z, in x, in y)
{
  mpfr_t r;
  if (mpfr_regular_p(x) && mpfr_inf_p(y)) {           /* as doubles have it */
    if ((mpfr_sgn(x) < 0) == (mpfr_sgn(y) < 0)) mpfr_set(z, x, MPFR_RNDN);
    else mpfr_set(z, y, MPFR_RNDN);
    return;
  }
  wider(r, z, mpfr_get_prec(x) + mpfr_get_prec(y));
  if (mpfr_regular_p(x) && mpfr_regular_p(y) && mpfr_cmpabs(x, y) < 0) mpfr_set(r, x, MPFR_RNDN);
  else mpfr_fmod(r, x, y, MPFR_RNDN);
  bool other = mpfr_regular_p(r) && (mpfr_sgn(r) < 0) != (mpfr_sgn(y) < 0);
  if (other) mpfr_add(z, r, y, MPFR_RNDN);
  else mpfr_set(z, r, MPFR_RNDN);
  mpfr_clear(r);
}

static void sign(mpfr_ptr z, in x)
{
  if (mpfr_nan_p(x)) mpfr_set_nan(z);
  else mpfr_set_si(z, mpfr_sgn(x), MPFR_RNDN);
}

/* nan wins, as for reals. */
static void least(mpfr_ptr z, in x, in y)
{
  if (mpfr_nan_p(x) || mpfr_nan_p(y)) mpfr_set_nan(z);
  else mpfr_min(z, x, y, MPFR_RNDN);
}

static void greatest(mpfr_ptr z, in x, in y)
{
  if (mpfr_nan_p(x) || mpfr_nan_p(y)) mpfr_set_nan(z);
  else mpfr_max(z, x, y, MPFR_RNDN);
}

static void lgamma_abs(mpfr_ptr z, in x)
{
  int s;
  mpfr_lgamma(z, &s, x, MPFR_RNDN);
}

/* log B(a, b) = log Gamma(a) + log Gamma(b) - log Gamma(a + b); terms of the size of a + b cancel */
static void lbeta(mpfr_ptr z, in a, in b)
{
  mpfr_t s, t, u;
  mpfr_prec_t more = 2 * (magnitude(a) > magnitude(b) ? magnitude(a) : magnitude(b)) + 32;
  wider(s, z, more);
  wider(t, z, more);
  mpfr_init2(u, mpfr_get_prec(s) + mpfr_get_prec(a) + mpfr_get_prec(b));
  lgamma_abs(s, a);
  lgamma_abs(t, b);
  mpfr_add(s, s, t, MPFR_RNDN);
  mpfr_add(u, a, b, MPFR_RNDN);
  lgamma_abs(t, u);
  mpfr_sub(z, s, t, MPFR_RNDN);
  mpfr_clears(s, t, u, (mpfr_ptr)NULL);
}

static void beta(mpfr_ptr z, in a, in b)
{
  mpfr_t t;
  if (!(mpfr_cmp_ui(a, 0) > 0 && mpfr_cmp_ui(b, 0) > 0)) {
    mpfr_beta(z, a, b, MPFR_RNDN);
    return;
  }
  wider(t, z, 64 + magnitude(a) + magnitude(b));
  lbeta(t, a, b);
  mpfr_exp(z, t, MPFR_RNDN);
  mpfr_clear(t);
}

/* log n! - log k! - log (n - k)!; -inf outside 0 <= k <= n, as for reals */
static void lchoose(mpfr_ptr z, in n, in k)
{
  mpfr_t s, t, u;
  if (mpfr_nan_p(n) || mpfr_nan_p(k)) { mpfr_set_nan(z); return; }
  if (mpfr_cmp_ui(k, 0) < 0 || mpfr_cmp(k, n) > 0) { mpfr_set_inf(z, -1); return; }
  wider(s, z, 2 * magnitude(n) + 32);
  wider(t, z, 2 * magnitude(n) + 32);
  mpfr_init2(u, mpfr_get_prec(s) + mpfr_get_prec(n) + mpfr_get_prec(k));
  mpfr_add_ui(u, n, 1, MPFR_RNDN);
  mpfr_lngamma(s, u, MPFR_RNDN);
  mpfr_add_ui(u, k, 1, MPFR_RNDN);
  mpfr_lngamma(t, u, MPFR_RNDN);
  mpfr_sub(s, s, t, MPFR_RNDN);
  mpfr_sub(u, n, k, MPFR_RNDN);
  mpfr_add_ui(u, u, 1, MPFR_RNDN);
  mpfr_lngamma(t, u, MPFR_RNDN);
  mpfr_sub(z, s, t, MPFR_RNDN);
  mpfr_clears(s, t, u, (mpfr_ptr)NULL);
}

/* erfc(-x / sqrt 2) / 2; the condition number of the left tail grows as x^2 */
static void normal_cdf(mpfr_ptr z, in x)
{
  mpfr_t t;
  wider(t, z, 2 * magnitude(x));
  mpfr_sqrt_ui(t, 2, MPFR_RNDN);
  mpfr_div(t, x, t, MPFR_RNDN);
  mpfr_neg(t, t, MPFR_RNDN);
  mpfr_erfc(z, t, MPFR_RNDN);
  mpfr_div_ui(z, z, 2, MPFR_RNDN);
  mpfr_clear(t);
}

static void inv_logit(mpfr_ptr z, in x)
{
  mpfr_t t;
  wider(t, z, magnitude(x));
  mpfr_neg(t, x, MPFR_RNDN);
  mpfr_exp(t, t, MPFR_RNDN);
  mpfr_add_ui(t, t, 1, MPFR_RNDN);
  mpfr_ui_div(z, 1, t, MPFR_RNDN);
  mpfr_clear(t);
}

/* log(p / (1 - p)) = log1p((2p - 1) / (1 - p)) near 1/2; 1 - p is exact in p's own precision */
static void logit(mpfr_ptr z, in p)
{
  mpfr_t q, t;
  if (!(mpfr_cmp_ui(p, 0) >= 0 && mpfr_cmp_ui(p, 1) <= 0)) { mpfr_set_nan(z); return; }
  wider(q, z, mpfr_get_prec(p));
  wider(t, z, mpfr_get_prec(p));
  mpfr_ui_sub(q, 1, p, MPFR_RNDN);
  if (mpfr_cmp_d(p, 0.25) > 0 && mpfr_cmp_d(p, 0.75) < 0) {
    mpfr_sub(t, p, q, MPFR_RNDN);
    mpfr_div(t, t, q, MPFR_RNDN);
    mpfr_log1p(z, t, MPFR_RNDN);
  } else if (mpfr_zero_p(q)) {
    mpfr_set_inf(z, 1);
  } else {
    mpfr_div(t, p, q, MPFR_RNDN);
    mpfr_log(z, t, MPFR_RNDN);
  }
  mpfr_clears(q, t, (mpfr_ptr)NULL);
}

/* log(1 + e^x), for positive x as x + log(1 + e^-x) */
static void log1p_exp(mpfr_ptr z, in x)
{
  mpfr_t t;
  wider(t, z, magnitude(x));
  bool large = mpfr_cmp_ui(x, 0) > 0;
  mpfr_set(t, x, MPFR_RNDN);
  if (large) mpfr_neg(t, t, MPFR_RNDN);
  mpfr_exp(t, t, MPFR_RNDN);
  mpfr_log1p(t, t, MPFR_RNDN);
  if (large) mpfr_add(z, x, t, MPFR_RNDN);
  else mpfr_set(z, t, MPFR_RNDN);
  mpfr_clear(t);
}

/* log(1 - e^x), x <= 0: by expm1 near 0, by log1p far from it (Maechler 2012) */
static void log1m_exp(mpfr_ptr z, in x)
{
  mpfr_t t;
  wider(t, z, magnitude(x));
  if (mpfr_cmp_d(x, -0.6931) > 0) {
    mpfr_expm1(t, x, MPFR_RNDN);
    mpfr_neg(t, t, MPFR_RNDN);
    mpfr_log(z, t, MPFR_RNDN);
  } else {
    mpfr_exp(t, x, MPFR_RNDN);
    mpfr_neg(t, t, MPFR_RNDN);
    mpfr_log1p(z, t, MPFR_RNDN);
  }
  mpfr_clear(t);
}

static void log1m(mpfr_ptr z, in x)
{
  mpfr_t t;
  mpfr_init2(t, mpfr_get_prec(x));
  mpfr_neg(t, x, MPFR_RNDN);
  mpfr_log1p(z, t, MPFR_RNDN);
  mpfr_clear(t);
}

/* the larger + log(1 + e^-|a - b|), or with a minus */
static void log_sum_or_difference(mpfr_ptr z, in a, in b, bool minus)
{
  mpfr_t d;
  if (mpfr_nan_p(a) || mpfr_nan_p(b)) { mpfr_set_nan(z); return; }
  bool swap = mpfr_cmp(a, b) < 0;
  if (swap && minus) { mpfr_set_nan(z); return; }
  in most = swap ? b : a, other = swap ? a : b;
  if (mpfr_inf_p(most)) {
    if (minus && mpfr_equal_p(a, b) && mpfr_sgn(a) > 0) mpfr_set_nan(z);
    else mpfr_set(z, most, MPFR_RNDN);
    return;
  }
  wider(d, z, mpfr_get_prec(a) + mpfr_get_prec(b));
  mpfr_sub(d, other, most, MPFR_RNDN);
  if (minus) log1m_exp(d, d);
  else log1p_exp(d, d);
  mpfr_add(z, most, d, MPFR_RNDN);
  mpfr_clear(d);
}

static void log_add_exp(mpfr_ptr z, in a, in b) { log_sum_or_difference(z, a, b, false); }
static void log_diff_exp(mpfr_ptr z, in a, in b) { log_sum_or_difference(z, a, b, true); }

/* The order of jn and yn is a whole number; anything else gives nan. */
static bool order_of(mpfr_ptr z, in n, long *order)
{
  *order = 0;
  if (mpfr_integer_p(n) && mpfr_fits_sint_p(n, MPFR_RNDN)) {
    *order = mpfr_get_si(n, MPFR_RNDN);
    if (*order < 100000 && *order > -100000) return true;
  }
  mpfr_set_nan(z);
  return false;
}

static void bessel_jn(mpfr_ptr z, in n, in x)
{
  long order;
  if (order_of(z, n, &order)) mpfr_jn(z, order, x, MPFR_RNDN);
}

static void bessel_yn(mpfr_ptr z, in n, in x)
{
  long order;
  if (order_of(z, n, &order)) mpfr_yn(z, order, x, MPFR_RNDN);
}

/* ---- the operations ---- */

#define ONE(name, call) static void name(mpfr_ptr z, in x) { call(z, x, MPFR_RNDN); }
#define TWO(name, call) static void name(mpfr_ptr z, in x, in y) { call(z, x, y, MPFR_RNDN); }
TWO(add, mpfr_add) TWO(sub, mpfr_sub) TWO(mul, mpfr_mul) TWO(div_, mpfr_div) TWO(pow_, mpfr_pow)
ONE(neg, mpfr_neg) ONE(abs_, mpfr_abs) ONE(floor_, mpfr_rint_floor) ONE(ceil_, mpfr_rint_ceil)
ONE(trunc_, mpfr_rint_trunc) ONE(round_, mpfr_rint_round) ONE(sqrt_, mpfr_sqrt)
ONE(cbrt_, mpfr_cbrt) TWO(hypot_, mpfr_hypot) ONE(exp_, mpfr_exp) ONE(expm1_, mpfr_expm1)
ONE(exp2_, mpfr_exp2) ONE(log_, mpfr_log) ONE(log1p_, mpfr_log1p) ONE(log2_, mpfr_log2)
ONE(log10_, mpfr_log10) ONE(sin_, mpfr_sin) ONE(cos_, mpfr_cos) ONE(tan_, mpfr_tan)
ONE(asin_, mpfr_asin) ONE(acos_, mpfr_acos) ONE(atan_, mpfr_atan) TWO(atan2_, mpfr_atan2)
ONE(sinh_, mpfr_sinh) ONE(cosh_, mpfr_cosh) ONE(tanh_, mpfr_tanh) ONE(asinh_, mpfr_asinh)
ONE(acosh_, mpfr_acosh) ONE(atanh_, mpfr_atanh) ONE(gamma_, mpfr_gamma)
ONE(digamma_, mpfr_digamma) TWO(gamma_inc_, mpfr_gamma_inc) ONE(erf_, mpfr_erf)
ONE(erfc_, mpfr_erfc) ONE(zeta_, mpfr_zeta) ONE(eint_, mpfr_eint) ONE(li2_, mpfr_li2)
ONE(ai_, mpfr_ai) ONE(j0_, mpfr_j0) ONE(j1_, mpfr_j1) ONE(y0_, mpfr_y0) ONE(y1_, mpfr_y1)
TWO(agm_, mpfr_agm)

typedef struct op_row {
  const char *name;
  int n;
  void (*one)(mpfr_ptr, in);
  void (*two)(mpfr_ptr, in, in);
  int (*none)(mpfr_ptr, mpfr_rnd_t);
  enum { ANYWHERE, NEAR, NEAR_BELOW } domain;   /* NEAR: |x| < 2^FAR; NEAR_BELOW: where x < 0 */
} op_row;

#define R1(code, f, where) [REAL_##code] = { .one = f, .domain = where }
#define R2(code, f, where) [REAL_##code] = { .two = f, .domain = where }
#define R0(code, f) [REAL_##code] = { .none = f }
static const op_row rows[REAL_COUNT] = {
  R2(ADD, add, ANYWHERE), R2(SUB, sub, ANYWHERE), R2(MUL, mul, ANYWHERE),
  R2(DIV, div_, ANYWHERE), R2(IDIV, idiv, ANYWHERE), R2(MOD, mod, ANYWHERE),
  R2(POW, pow_, ANYWHERE), R1(NEG, neg, ANYWHERE), R1(ABS, abs_, ANYWHERE),
  R1(SIGN, sign, ANYWHERE), R2(MIN, least, ANYWHERE), R2(MAX, greatest, ANYWHERE),
  R1(FLOOR, floor_, ANYWHERE), R1(CEIL, ceil_, ANYWHERE), R1(TRUNC, trunc_, ANYWHERE),
  R1(ROUND, round_, ANYWHERE), R1(SQRT, sqrt_, ANYWHERE), R1(CBRT, cbrt_, ANYWHERE),
  R2(HYPOT, hypot_, ANYWHERE), R1(EXP, exp_, ANYWHERE), R1(EXPM1, expm1_, ANYWHERE),
  R1(EXP2, exp2_, ANYWHERE), R1(LOG, log_, ANYWHERE), R1(LOG1P, log1p_, ANYWHERE),
  R1(LOG2, log2_, ANYWHERE), R1(LOG10, log10_, ANYWHERE), R1(SIN, sin_, NEAR),
  R1(COS, cos_, NEAR), R1(TAN, tan_, NEAR), R1(ASIN, asin_, ANYWHERE),
  R1(ACOS, acos_, ANYWHERE), R1(ATAN, atan_, ANYWHERE), R2(ATAN2, atan2_, ANYWHERE),
  R1(SINH, sinh_, ANYWHERE), R1(COSH, cosh_, ANYWHERE), R1(TANH, tanh_, ANYWHERE),
  R1(ASINH, asinh_, ANYWHERE), R1(ACOSH, acosh_, ANYWHERE), R1(ATANH, atanh_, ANYWHERE),
  R1(GAMMA, gamma_, NEAR_BELOW), R1(LGAMMA, lgamma_abs, NEAR_BELOW),
  R1(DIGAMMA, digamma_, NEAR_BELOW), R2(LBETA, lbeta, NEAR_BELOW), R2(BETA, beta, NEAR_BELOW),
  R2(LCHOOSE, lchoose, NEAR_BELOW), R2(GAMMA_INC, gamma_inc_, NEAR), R1(ERF, erf_, ANYWHERE),
  R1(ERFC, erfc_, ANYWHERE), R1(NORMAL_CDF, normal_cdf, ANYWHERE),
  R1(INV_LOGIT, inv_logit, ANYWHERE), R1(LOGIT, logit, ANYWHERE),
  R1(LOG1P_EXP, log1p_exp, ANYWHERE), R1(LOG1M_EXP, log1m_exp, ANYWHERE),
  R1(LOG1M, log1m, ANYWHERE), R2(LOG_ADD_EXP, log_add_exp, ANYWHERE),
  R2(LOG_DIFF_EXP, log_diff_exp, ANYWHERE), R1(ZETA, zeta_, NEAR_BELOW), R1(EINT, eint_, NEAR),
  R1(LI2, li2_, NEAR), R1(AI, ai_, NEAR), R1(J0, j0_, NEAR), R1(J1, j1_, NEAR),
  R2(JN, bessel_jn, NEAR), R1(Y0, y0_, NEAR), R1(Y1, y1_, NEAR), R2(YN, bessel_yn, NEAR),
  R2(AGM, agm_, ANYWHERE), R0(PI, mpfr_const_pi), R0(EULER, mpfr_const_euler),
  R0(CATALAN, mpfr_const_catalan), R0(LN2, mpfr_const_log2),
};
static const struct { const char *name; int n; } names[REAL_COUNT] = {
#define X(code, name, n) { name, n },
  REAL_LIST(X)
#undef X
};

int real_find(const char *name, int *nargs)
{
  for (int i = 0; i < REAL_COUNT; i++)
    if (*names[i].name && !strcmp(names[i].name, name)) {
      *nargs = names[i].n;
      return i;
    }
  return -1;
}

static bool within(const op_row *row, const bignum *x)
{
  if (!x || x->kind != NORN_BIG_FINITE || row->domain == ANYWHERE) return true;
  return x->exponent <= FAR || (row->domain == NEAR_BELOW && x->sign > 0);
}

bool real_do(real_op op, bignum *z, const bignum *a, const bignum *b)
{
  const op_row *row = &rows[op];
  mpfr_t m, x, y;
  if (!within(row, a) || !within(row, b)) {
    *z = real_at(z->bits, z->limb);
    return false;
  }
  opened(m, z);
  if (a && a->limb != z->limb) opened(x, a);
  if (b && b->limb != z->limb) opened(y, b);
  in p = a && a->limb == z->limb ? m : x, q = b && b->limb == z->limb ? m : y;
  if (row->none) row->none(m, MPFR_RNDN);
  else if (row->one) row->one(m, p);
  else row->two(m, p, q);
  closed(z, m);
  return true;
}

/* ---- to and from ---- */

void real_set(bignum *z, const bignum *x)
{
  mpfr_t m, p;
  if (z->limb == x->limb) { *z = *x; return; }
  *z = real_at(z->bits, z->limb);
  opened(m, z);
  opened(p, x);
  mpfr_set(m, p, MPFR_RNDN);
  closed(z, m);
}

void real_set_double(bignum *z, double x)
{
  mpfr_t m;
  *z = real_at(z->bits, z->limb);
  opened(m, z);
  mpfr_set_d(m, x, MPFR_RNDN);
  closed(z, m);
}

void real_set_int(bignum *z, int64_t x)
{
  mpfr_t m;
  *z = real_at(z->bits, z->limb);
  opened(m, z);
  mpfr_set_si(m, x, MPFR_RNDN);
  closed(z, m);
}

double real_double(const bignum *x)
{
  mpfr_t m;
  opened(m, x);
  return mpfr_get_d(m, MPFR_RNDN);
}

bool real_int(const bignum *x, int64_t *out)
{
  mpfr_t m;
  opened(m, x);
  if (!mpfr_integer_p(m) || !mpfr_fits_slong_p(m, MPFR_RNDN)) return false;
  *out = mpfr_get_si(m, MPFR_RNDN);
  return true;
}

int real_compare(const bignum *a, const bignum *b)
{
  mpfr_t x, y;
  opened(x, a);
  opened(y, b);
  if (mpfr_unordered_p(x, y)) return 2;
  int c = mpfr_cmp(x, y);
  return c < 0 ? -1 : c > 0;
}

uint64_t real_hash(const bignum *x)
{
  if (x->kind != NORN_BIG_FINITE) return (uint64_t)x->kind;
  int64_t n = real_limbs(x->bits), low = 0;
  while (low < n - 1 && !x->limb[low]) low++;      /* zeros that only a longer one has */
  uint64_t h = hash_bytes(x->limb + low, (size_t)(n - low) * sizeof *x->limb, 3);
  return hash_mix(h ^ (uint64_t)x->exponent * 2 ^ (x->sign < 0));
}

/* ---- text ---- */

/* [+-] digits [. digits] [e [+-] digits], or inf or nan */
static bool well_formed(const char *s, size_t n)
{
  size_t i = 0, digits = 0;
  if (n && (s[0] == '-' || s[0] == '+')) i++;
  if (n - i == 3 && (!memcmp(s + i, "inf", 3) || !memcmp(s + i, "nan", 3))) return true;
  for (; i < n && s[i] >= '0' && s[i] <= '9'; i++) digits++;
  if (i < n && s[i] == '.')
    for (i++; i < n && s[i] >= '0' && s[i] <= '9'; i++) digits++;
  if (!digits) return false;
  if (i < n && (s[i] == 'e' || s[i] == 'E')) {
    i++;
    if (i < n && (s[i] == '-' || s[i] == '+')) i++;
    for (digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) digits++;
    if (!digits || digits > 15) return false;
  }
  return i == n;
}

bool real_parse(bignum *z, const char *s, size_t n)
{
  mpfr_t m;
  char *end;
  if (!well_formed(s, n)) return false;
  *z = real_at(z->bits, z->limb);
  opened(m, z);
  mpfr_strtofr(m, s, &end, 10, MPFR_RNDN);
  closed(z, m);
  return end == s + n;
}

int64_t real_digits(int64_t bits)
{
  int64_t n = (int64_t)floor((double)(bits - 1) * 0.30102999566398120);
  return n < 1 ? 1 : n;
}

/* 0.d1d2... * 10^exponent as 123.4, 0.00123 or 1.234e-300 */
static void put_digits(text *t, const char *d, size_t n, int64_t exponent, int64_t carried)
{
  while (n > 1 && d[n - 1] == '0') n--;
  int64_t most = carried > 21 ? carried : 21;
  if (exponent > most || exponent < -5) {
    text_putc(t, d[0]);
    if (n > 1) text_putc(t, '.');
    text_put(t, d + 1, n - 1);
    text_printf(t, "e%s%lld", exponent - 1 < 0 ? "" : "+", (long long)exponent - 1);
    return;
  }
  if (exponent <= 0) {
    text_puts(t, "0.");
    for (int64_t k = exponent; k < 0; k++) text_putc(t, '0');
    text_put(t, d, n);
    return;
  }
  size_t whole = (size_t)exponent;
  text_put(t, d, n < whole ? n : whole);
  for (size_t k = n; k < whole; k++) text_putc(t, '0');
  text_putc(t, '.');
  if (n > whole) text_put(t, d + whole, n - whole);
  else text_putc(t, '0');
}

static void put_real(text *t, const bignum *x, size_t digits)
{
  mpfr_t m;
  mpfr_exp_t exponent;
  if (x->kind == NORN_BIG_NAN) { text_puts(t, "nan"); return; }
  if (x->sign < 0) text_putc(t, '-');
  if (x->kind == NORN_BIG_INF) { text_puts(t, "inf"); return; }
  if (x->kind == NORN_BIG_ZERO) { text_puts(t, "0.0"); return; }
  opened(m, x);
  /* mpfr_get_str wants 2 digits at least in old versions, and room for its own 0 and sign */
  char *s = mpfr_get_str(NULL, &exponent, 10, digits, m, MPFR_RNDN);
  if (!s) { t->failed = true; return; }
  const char *d = s + (*s == '-');
  put_digits(t, d, strlen(d), exponent, real_digits(x->bits));
  mpfr_free_str(s);
}

void real_text(text *t, const bignum *x, int64_t digits)
{
  put_real(t, x, (size_t)(digits > 0 ? digits : real_digits(x->bits)));
}

void real_text_exact(text *t, const bignum *x)
{
  mpfr_t m, back;
  size_t start = t->n;
  real_text(t, x, 0);
  if (x->kind != NORN_BIG_FINITE || t->failed) return;
  opened(m, x);
  mpfr_init2(back, x->bits);
  mpfr_strtofr(back, t->s + start, NULL, 10, MPFR_RNDN);
  bool same = mpfr_equal_p(back, m);
  mpfr_clear(back);
  if (same) return;
  t->n = start;
  put_real(t, x, 0);
}

/* ---- formulas ---- */

void calc_init(calc *c, mem *m, int64_t bits)
{
  arena_init(&c->a, m);
  c->m = m;
  c->bits = bits;
  c->failed = false;
}

void calc_free(calc *c) { arena_free(&c->a); }

static const bignum none = { REAL_BITS_LEAST, 0, NORN_BIG_NAN, 1, NULL };

bignum *calc_new(calc *c, int64_t bits)
{
  size_t n = (size_t)real_limbs(bits);
  bignum *z = arena_get(&c->a, sizeof *z + n * sizeof(uint64_t));
  if (z) *z = real_at(bits, (uint64_t *)(void *)(z + 1));
  else c->failed = true;
  return z;
}

const bignum *calc_do(calc *c, real_op op, const bignum *a, const bignum *b)
{
  bignum *z = c->failed ? NULL : calc_new(c, c->bits);
  if (!z) return &none;
  real_do(op, z, a, b);
  return z;
}

const bignum *calc_double(calc *c, double x)
{
  bignum *z = c->failed ? NULL : calc_new(c, 53);
  if (!z) return &none;
  real_set_double(z, x);
  return z;
}

const bignum *calc_int(calc *c, int64_t x)
{
  bignum *z = c->failed ? NULL : calc_new(c, 64);
  if (!z) return &none;
  real_set_int(z, x);
  return z;
}

const bignum *calc_copy(calc *c, const bignum *x)
{
  bignum *z = c->failed ? NULL : calc_new(c, x->bits);
  if (!z) return &none;
  real_set(z, x);
  return z;
}
