/* test_special: num/special.c and num/stats.c against MPFR, against each other's inverses, and at
   the edges of their domains. */
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include "unit.h"
#include "big.h"

/* |got - exact| against tol * max(|exact|, floor). */
static bool near_big(double got, big exact, double tol, double least)
{
  double e = dbl(exact), miss = fabs(dbl(sub(num(got), exact)));
  bool ok = miss <= tol * fmax(fabs(e), least) || got == e;
  if (!ok) fprintf(stderr, "got %.17g, exact %.17g, relative %.2g\n", got, e, miss / fabs(e));
  return ok;
}

static const double sizes[] = {1e-300, 1e-8, 1e-4, 0.1, 0.5, 0.9, 1, 1.3, 1.9, 2, 2.5, 3.7, 9.99,
                               10,
                               10.5, 19, 21, 55.5, 1e3, 12345.6, 1e8, 1e15};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void test_gamma_functions(void)
{
  for (int i = 0; i < SIZES; i++) {
    double x = sizes[i];
    big_reset();
    CHECK(near_big(special_lgamma(x), lngamma(num(x)), 1e-15, 1));
    CHECK(near_big(special_digamma(x), psi(num(x)), 2e-15, 1));
    big ratio = sub(lngamma(add(num(x), num(0.5))), lngamma(num(x)));
    CHECK(near_big(special_half_gamma_ratio(x), ratio, 2e-15, x < 20 ? 30 : 1));
    big rest = sub(lngamma(num(x)), sub(mul(sub(num(x), num(0.5)), lg(num(x))), num(x)));
    rest = sub(rest, half(lg(mul(two(), pi_()))));
    if (x > 1e-8) CHECK(near_big(special_stirling(x), rest, x < 10 ? 1e-13 : 5e-15, x < 10 ? 1 :
                                 0));
  }
  for (int k = 0; k < 200; k++) {
    big_reset();
    CHECK(near_big(special_lfact(k), lnfact(num(k)), 1e-15, 1));
  }
  big_reset();
  CHECK(near_big(special_digamma(-2.3), psi(num(-2.3)), 1e-14, 1));
  CHECK(isnan(special_digamma(0)) && isnan(special_digamma(-3)) &&
        isnan(special_digamma((double)NAN)));
  CHECK(special_lgamma(0) == HUGE_VAL && special_lgamma(1) == 0 && special_lgamma(2) == 0);
  CHECK_NEAR(special_trigamma(1), V_PI * V_PI / 6, 1e-14);
  CHECK(isnan(special_trigamma(0)) && isnan(special_trigamma(-1)));
  CHECK_NEAR(special_hurwitz_zeta(2, 1), V_PI * V_PI / 6, 1e-14);
  CHECK(isnan(special_hurwitz_zeta(1, 1)) && isnan(special_hurwitz_zeta(2, 0)));
  CHECK_NEAR(special_lambert_w(exp(1)), 1, 1e-14);
  CHECK(isnan(special_lambert_w(-1)));
}

static void test_beta_functions(void)
{
  for (int i = 1; i < SIZES; i++)
    for (int j = 1; j < SIZES; j++) {
      double a = sizes[i], b = sizes[j];
      big_reset();
      /* The sum of parts of either sign may cancel: the tolerance is in terms of the largest. */
      big exact = lnbeta(num(a), num(b));
      double scale = a < 10 || b < 10 ? 30 : 1;
      CHECK(near_big(special_lbeta(a, b), exact, 4e-15, scale));
    }
  for (double n = 0; n < 40; n++)
    for (double k = 0; k <= n; k++) {
      big_reset();
      CHECK(near_big(special_lchoose(n, k), lnchoose(num(n), num(k)), 1e-14, 1));
    }
  big_reset();
  CHECK(near_big(special_lchoose(1e12, 3), lnchoose(num(1e12), num(3)), 1e-14, 1));
  CHECK(near_big(special_lchoose(1e9, 4e8), lnchoose(num(1e9), num(4e8)), 1e-14, 1));
  CHECK(isnan(special_lchoose(3, 4)) && isnan(special_lchoose(3, -1)));
}

static void test_deviance(void)
{
  const double at[] = {1e-5, 0.3, 1, 17, 1e4, 1e9};
  const double ratio[] = {1e-12, 1e-6, 1e-3, 0.05, 0.1, 0.19, 0.22, 0.3, 2, 100};
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 20; j++) {
      double x = at[i], m = x * (j < 10 ? 1 + ratio[j] : 1 / (1 + ratio[j - 10]));
      big_reset();
      big exact = sub(add(mul(num(x), lg(over(num(x), num(m)))), num(m)), num(x));
      CHECK(near_big(special_deviance(x, m), exact, 3e-14, 0));
    }
  CHECK(special_deviance(3, 3) == 0 && special_deviance(0, 2) == 2);
}

static void test_log_sums(void)
{
  const double at[] = {-1e-300, -1e-20, -1e-8, -0.1, -0.69, -0.7, -3, -40, -800};
  for (int i = 0; i < 9; i++) {
    double x = at[i];
    big_reset();
    CHECK(near_big(special_log1mexp(x), lg(neg(sub(ex(num(x)), one()))), 1e-15, 0));
    CHECK(near_big(special_log1pexp(x), lg1p(ex(num(x))), 1e-15, 0));
    CHECK(near_big(special_log1pexp(-x), lg1p(ex(num(-x))), 1e-15, 0));
    CHECK(near_big(special_logit_inv(x), over(one(), add(one(), ex(num(-x)))), 1e-15, 0));
    CHECK(near_big(special_logaddexp(x, 2 * x), lg(add(ex(num(x)), ex(num(2 * x)))), 1e-15, 1));
    CHECK(near_big(special_logsubexp(x, 2 * x), lg(sub(ex(num(x)), ex(num(2 * x)))), 1e-15, 1));
  }
  CHECK(special_log1mexp(0) == -HUGE_VAL && special_log1mexp(-HUGE_VAL) == 0);
  CHECK(special_logaddexp(-HUGE_VAL, -HUGE_VAL) == -HUGE_VAL && special_logaddexp(-HUGE_VAL,
      3) == 3);
  CHECK(special_logsubexp(3, -HUGE_VAL) == 3 && special_logsubexp(3, 3) == -HUGE_VAL);
  CHECK(special_xlogy(0, 0) == 0 && special_xlogy(2, 0) == -HUGE_VAL);
}

/* Q from MPFR; P as 1 - Q in 320 bits, which hold it down to exp(-200).  Below shape 0.01 the upper
   tail is about shape times what rounding leaves. */
static void test_incomplete_gamma(void)
{
  const double shapes[] = {1e-4, 0.01, 0.3, 1, 2.5, 9, 10, 30, 100};
  const double ratio[] = {1e-8, 1e-3, 0.1, 0.5, 0.9, 1, 1.1, 2, 5, 20};
  for (int i = 0; i < 9; i++)
    for (int j = 0; j < 10; j++) {
      double a = shapes[i], x = fmax(a, 1) * ratio[j], lower, upper;
      big_reset();
      big q = over(gamma_upper(num(a), num(x)), ex(lngamma(num(a)))), p = sub(one(), q);
      special_gamma_log(a, x, &lower, &upper);
      if (lower > -200) CHECK(near_big(lower, lg(p), 4e-14, 1));
      CHECK(near_big(upper, lg(q), a < 0.01 ? 4e-12 : 4e-14, 1));
      CHECK_NEAR(special_gamma_p(a, x) + special_gamma_q(a, x), 1, 1e-14);
    }
  double lower, upper;
  special_gamma_log(2, 0, &lower, &upper);
  CHECK(lower == -HUGE_VAL && upper == 0);
  special_gamma_log(2, HUGE_VAL, &lower, &upper);
  CHECK(lower == 0 && upper == -HUGE_VAL);
  CHECK(isnan(special_gamma_p(0, 1)) && isnan(special_gamma_p(1, -1)));
  /* Large shapes: the normal limit with its first correction, DLMF 8.11.10, good to 1/a. */
  CHECK_NEAR(special_gamma_p(1e8, 1e8), 0.5 + 1 / (3 * sqrt(2 * V_PI * 1e8)), 1e-9);
}

static void test_incomplete_beta(void)
{
  const double shapes[] = {1e-3, 0.2, 0.5, 1, 3, 10, 40, 300};
  const double at[] = {1e-10, 0.01, 0.2, 0.5, 0.8, 0.96};
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 8; j++)
      for (int k = 0; k < 6; k++) {
        double a = shapes[i], b = shapes[j], x = at[k], lower, upper;
        big_reset();
        big p = beta_inc(a, b, num(x));
        big q = x < 0.5 ? sub(one(), p) : beta_inc(b, a, num(1 - x));   /* 1 - x is exact there */
        special_beta_log(a, b, x, 1 - x, &lower, &upper);
        CHECK(near_big(lower, lg(p), 2e-13, 1));
        CHECK(near_big(upper, lg(q), 2e-13, 1));
      }
  double lower, upper;
  special_beta_log(2, 3, 1, 0, &lower, &upper);
  CHECK(lower == 0 && upper == -HUGE_VAL);
  CHECK(isnan(special_beta_inc(-1, 2, 0.5)));
  CHECK_NEAR(special_beta_inc(1e6, 1e6, 0.5), 0.5, 1e-12);
  /* Large a, x near 1: in plain form the fraction would cancel to 1e-9.  y = 1 - x is what is
     exact. */
  for (double y = 1e-9; y < 1e-8; y *= 1.7) {
    big_reset();
    big q = beta_inc(2, 1e9 - 1, num(y));
    special_beta_log(1e9 - 1, 2, 1 - y, y, &lower, &upper);
    CHECK(near_big(upper, lg(q), 1e-13, 1) && near_big(lower, lg(sub(one(), q)), 1e-13, 1));
  }
}

/* P(a, x) = x^a e^-x / Gamma(a+1) sum x^n / (a+1)_n (DLMF 8.11.4), all terms positive. */
static big below_gamma(big a, big x)
{
  big sum = num(1), term = num(1), d = big_new();
  for (long n = 1; n < 1000000; n++) {
    mpfr_add_si(pool.v[d], pool.v[a], n, MPFR_RNDN);
    mpfr_mul(pool.v[term], pool.v[term], pool.v[x], MPFR_RNDN);
    mpfr_div(pool.v[term], pool.v[term], pool.v[d], MPFR_RNDN);
    mpfr_add(pool.v[sum], pool.v[sum], pool.v[term], MPFR_RNDN);
    if (mpfr_get_exp(pool.v[term]) < mpfr_get_exp(pool.v[sum]) - BIG_BITS) break;
  }
  big front = sub(sub(mul(a, lg(x)), x), lngamma(add(a, one())));
  return mul(ex(front), sum);
}

/* Both tails and the derivative in the shape, for shapes of the series, of the continued fraction
   and of the integral.  An ulp of x is sqrt(a) ulps of the tails. */
static void test_gamma_slopes(void)
{
  const double shapes[] = {1e-3, 0.4, 3, 60, 900, 1100, 5e4, 1e7};
  for (int i = 0; i < 8; i++)
    for (int j = -3; j <= 3; j++) {
      double a = shapes[i], x = a + j * 1.3 * sqrt(a), lower, upper;
      if (x <= 0) x = a * exp(j);
      big_reset();
      big A = num(a), X = num(x), p = below_gamma(A, X), h = mul(A, num(1e-25));
      double tol = 1e-13 + 1e-16 * sqrt(a);
      special_gamma_log(a, x, &lower, &upper);
      CHECK(near_big(lower, lg(p), tol, 1));
      CHECK(near_big(upper, lg(sub(one(), p)), a < 0.01 ? 4e-12 : tol, 1));
      big slope = over(sub(below_gamma(add(A, h), X), below_gamma(sub(A, h), X)), mul(two(), h));
      CHECK(near_big(special_gamma_p_slope(a, x), slope, a < 0.01 ? 1e-11 : 20 * tol, 0));
    }
  CHECK(special_gamma_p_slope(2, 0) == 0 && special_gamma_p_slope(2, HUGE_VAL) == 0);
  CHECK(isnan(special_gamma_p_slope(-1, 1)));
}

static void test_beta_slopes(void)
{
  const double shapes[] = {0.01, 0.7, 4, 50, 950, 1050, 3e4};
  for (int i = 0; i < 7; i++)
    for (int j = 0; j < 7; j++)
      for (int k = -2; k <= 2; k++) {
        double a = shapes[i], b = shapes[j], n = a + b, m = a / n, lower, upper, da, db;
        double x = m + k * 1.5 * sqrt(m * (b / n) / (n + 1));
        if (!(x > 0 && x < 0.9)) continue;                   /* the series of the oracle */
        big_reset();
        big A = num(a), B = num(b), X = num(x), p = big_beta_inc(A, B, X);
        big h = mul(A, num(1e-25)), g = mul(B, num(1e-25));
        double tol = 1e-12;
        special_beta_log(a, b, x, 1 - x, &lower, &upper);
        CHECK(near_big(lower, lg(p), tol, 1) && near_big(upper, lg(sub(one(), p)), tol, 1));
        special_beta_slope(a, b, x, 1 - x, &da, &db);
        big sa = sub(big_beta_inc(add(A, h), B, X), big_beta_inc(sub(A, h), B, X));
        big sb = sub(big_beta_inc(A, add(B, g), X), big_beta_inc(A, sub(B, g), X));
        CHECK(near_big(da, over(sa, mul(two(), h)), 20 * tol, 0));
        CHECK(near_big(db, over(sb, mul(two(), g)), 20 * tol, 0));
      }
  double da, db;
  special_beta_slope(2, 3, 0, 1, &da, &db);
  CHECK(da == 0 && db == 0);
  special_beta_slope(2, -3, 0.5, 0.5, &da, &db);
  CHECK(isnan(da) && isnan(db));
}

/* T(h, a) as an integral by Gauss and Legendre in many panels. */
static double owens(double h, double a)
{
  double sum = 0, end = fmin(a, h > 0 ? 13 / h : a);
  for (int k = 0; k < 100; k++)
    for (int i = 0; i < 40; i++) {
      double x = k * end / 100 + special_gauss_point(i, end / 100);
      sum += special_gauss_share(i, end / 100) * exp(-0.5 * h * h * x * x) / (1 + x * x);
    }
  return sum * exp(-0.5 * h * h) / (2 * V_PI);
}

static void test_owens_t(void)
{
  const double hs[] = {0, 1e-9, 0.02, 0.5, 1, 2.4, 6, 14, 36};
  const double as[] = {0, 1e-7, 0.1, 0.5, 0.99, 1, 1.01, 3, 40, 1e6};
  for (int i = 0; i < 9; i++) {
    double h = hs[i];
    for (int j = 0; j < 10; j++) {
      double a = as[j], t = special_owens_t(h, a), q = special_norm_cdf(-h);
      if (a < 50) CHECK_NEAR(t, owens(h, a), 2e-14 * t * fmax(1, h * h / 8));
      CHECK(special_owens_t(-h, a) == t && special_owens_t(h, -a) == -t);
      CHECK_NEAR(t + exp(special_owens_rest_log(h, a)), 0.5 * q, 2e-15 * q * fmax(1, h * h / 8));
    }
    big_reset();   /* T(h, 1) = Phi(h) (1 - Phi(h)) / 2 */
    big f = half(erfc_(over(num(h), root(two()))));
    CHECK(near_big(special_owens_t(h, 1), half(mul(f, sub(one(), f))), 2e-14, 0));
    CHECK_NEAR(special_owens_rest_log(h, 1), 2 * special_norm_log_cdf(-h) - V_LOG_2,
               1e-15 * (5 + h * h));
  }
  CHECK_NEAR(special_owens_t(0, 0.3), atan(0.3) / (2 * V_PI), 1e-16);
  CHECK(special_owens_t(HUGE_VAL, 1) == 0 && isnan(special_owens_t((double)NAN, 1)));
  /* far: exp(-h^2 (1 + a^2)/2) / (2 pi h^2 a (1 + a^2)) (1 + O(1/(ha)^2)) */
  CHECK_NEAR(special_owens_rest_log(300, 2), -2.5 * 90000 - log(2 * V_PI * 90000 * 2 * 5), 1e-4);
}

static void test_bessel(void)
{
  const double at[] = {1e-9, 0.3, 2, 7, 9.999, 10.001, 30, 600, 3000};
  for (int i = 0; i < 9; i++) {
    double x = at[i];
    big_reset();
    big q = sq(half(num(x))), i0 = num(1), i1 = num(1), s = num(1), t = num(1);
    for (long k = 1; k < 10000; k++) {                         /* DLMF 10.25.2 */
      mpfr_mul(pool.v[s], pool.v[s], pool.v[q], MPFR_RNDN);
      mpfr_div_si(pool.v[s], pool.v[s], k * k, MPFR_RNDN);
      mpfr_mul(pool.v[t], pool.v[t], pool.v[q], MPFR_RNDN);
      mpfr_div_si(pool.v[t], pool.v[t], k * (k + 1), MPFR_RNDN);
      mpfr_add(pool.v[i0], pool.v[i0], pool.v[s], MPFR_RNDN);
      mpfr_add(pool.v[i1], pool.v[i1], pool.v[t], MPFR_RNDN);
    }
    big ratio = over(mul(half(num(x)), i1), i0);
    CHECK(near_big(v_bessel_i0_scaled_log(x), sub(lg(i0), num(x)), 1e-15, 1));
    CHECK(near_big(v_bessel_gap(x), sub(one(), ratio), x > 5 && x <= 10 ? 8e-15 : 1e-15, 0));
    if (x < 700) {
      CHECK(near_big(special_bessel_i(0, x), i0, 2e-15, 0));
      CHECK(near_big(special_bessel_i(-1, -x), neg(mul(half(num(x)), i1)), 2e-15, 0));
      double w = special_bessel_i(0, x) * special_bessel_k(1, x) +
                 special_bessel_i(1, x) * special_bessel_k(0, x);
      CHECK_NEAR(w * x, 1, 3e-15);                             /* DLMF 10.28.2 */
    }
  }
  CHECK(special_bessel_i(2, 0) == 0 && special_bessel_i(0, 0) == 1);
  CHECK(special_bessel_i(149, 1e-3) == 0 && special_bessel_i(3, -HUGE_VAL) == -HUGE_VAL);
  CHECK(special_bessel_i(0, 1e16) == HUGE_VAL && special_bessel_k(0, 1e16) == 0);
  CHECK(special_bessel_k(149, 1e-3) == HUGE_VAL && special_bessel_k(0, 0) == HUGE_VAL);
  for (double n = 0; n < 150; n++)                             /* GSL's handler would abort */
    for (double x = 1e-3; x < 1e6; x *= 1.7)
      CHECK(special_bessel_i(n, x) >= 0 && special_bessel_k(n, x) >= 0);
  CHECK(isnan(special_bessel_k(0, -1)) && isnan(special_bessel_i(0.5, 1)));
  CHECK_NEAR(special_lambert_wm1(-2 * exp(-2)), -2, 1e-14);
  CHECK(isnan(special_lambert_wm1(0.1)) && isnan(special_lambert_wm1(0)));
  big_reset();
  CHECK(near_big(special_erfcx(-3), mul(ex(num(9)), erfc_(num(-3))), 1e-15, 0));
  CHECK(near_big(special_erfcx(8), mul(ex(num(64)), erfc_(num(8))), 1e-15, 0));
}

static void test_inverses(void)
{
  const double shapes[] = {1e-2, 0.3, 1, 4, 77, 1e5};
  const double probs[] = {1e-200, 1e-12, 1e-3, 0.2, 0.5, 0.7, 0.999, 1 - 1e-12};
  for (int i = 0; i < 6; i++)
    for (int k = 0; k < 8; k++) {
      double x = special_gamma_p_inv(shapes[i], probs[k]), lower, upper;
      special_gamma_log(shapes[i], x, &lower, &upper);
      if (x > 1e-300) CHECK_NEAR(lower, log(probs[k]), 1e-11);
      if (x > 1e-300) CHECK_NEAR(upper, log1p(-probs[k]), 1e-11);
      for (int j = 0; j < 6; j++) {
        x = special_beta_inv(shapes[i], shapes[j], probs[k]);
        special_beta_log(shapes[i], shapes[j], x, 1 - x, &lower, &upper);
        /* Near 1 a step of x is a step of the probability. */
        double step = 3e-16 / (1 - x) * shapes[j] + 1e-11;
        if (x > 1e-300 && x < 1 - 1e-14) CHECK_NEAR(lower, log(probs[k]),
                                                    step * (1 - log(probs[k])));
      }
    }
  CHECK(special_gamma_p_inv(2, 0) == 0 && special_gamma_p_inv(2, 1) == HUGE_VAL);
  CHECK(special_beta_inv(2, 3, 0) == 0 && special_beta_inv(2, 3, 1) == 1);
  CHECK(isnan(special_gamma_p_inv(2, 1.1)) && isnan(special_beta_inv(2, 3, -0.1)));
}

static void test_normal_functions(void)
{
  const double at[] = {0, 1e-10, 0.3, 1, 2.7, 5, 8, 12, 19.9, 20.1, 30, 37, 38};
  for (int i = 0; i < 26; i++) {
    double x = i < 13 ? -at[i] : at[i - 13];
    big_reset();
    big cdf = half(erfc_(over(num(-x), root(two())))),
        rest = half(erfc_(over(num(x), root(two()))));
    CHECK(near_big(special_norm_cdf(x), cdf, 3e-15, 1e-306));
    CHECK(near_big(special_norm_log_cdf(x), x > 0 ? lg1p(neg(rest)) : lg(cdf), 2e-15, 1e-306));
    double l = special_norm_log_cdf(x);
    if (x < 5) CHECK_NEAR(special_norm_quantile_log(l), x, 2e-14 * fmax(1, fabs(x)));
    if (x > -37 && x < 5) CHECK_NEAR(special_norm_quantile(special_norm_cdf(x)), x, 2e-11);
  }
  big_reset();
  big far = half(erfc_(over(num(100), root(two()))));
  CHECK(near_big(special_norm_log_cdf(-100), lg(far), 2e-15, 0));
  CHECK_NEAR(special_norm_quantile_log(special_norm_log_cdf(-1e4)), -1e4, 1e-10);
  CHECK_NEAR(special_norm_quantile(0.975), 1.95996398454005423552, 1e-15);
  CHECK(special_norm_quantile(0) == -HUGE_VAL && special_norm_quantile(1) == HUGE_VAL);
  CHECK_NEAR(special_norm_quantile_half(1e-20), 1e-20 * sqrt(2 * V_PI), 1e-35);
  CHECK(special_norm_quantile_half(0.475) == special_norm_quantile(0.975));
  CHECK(special_norm_quantile(0.5) == 0 && isnan(special_norm_quantile(-0.1)));
}

/* ---- stats.c --------------------------------------------------------------------------------- */

static void test_moments(void)
{
  const double x[] = {1, 2, 4, 8, 16}, w[] = {1, 1, 0, 2, 0}, same[] = {3, 3, 3};
  CHECK(stats_sum(x, 5) == 31 && stats_mean(x, 5) == 6.2);
  CHECK_NEAR(stats_variance(x, 5), 37.2, 1e-13);
  CHECK_NEAR(stats_weighted_mean(x, w, 5), 19.0 / 4, 1e-15);
  CHECK_NEAR(stats_weighted_variance(x, w, 5), 133.0 / 4 - 361.0 / 16, 1e-13);
  CHECK(stats_variance(same, 3) == 0 && isnan(stats_variance(x, 1)));
  const double y[] = {-1, -2, -4, -8, -16}, wild[] = {1, HUGE_VAL}, none[] = {1, 0};
  CHECK_NEAR(stats_correlation(x, y, NULL, 5), -1, 1e-15);
  CHECK(stats_weighted_mean(wild, none, 2) == 1);
  CHECK(stats_ess(w, 5) == 16.0 / 6 && stats_ess(none, 0) == 0);
}

static void test_weights(void)
{
  const double lw[] = {-1000, -1001, -HUGE_VAL}, dead[] = {-HUGE_VAL, -HUGE_VAL};
  double w[3], sum = 1 + exp(-1);
  CHECK_NEAR(stats_logsumexp(lw, 3), -1000 + log(sum), 1e-12);
  CHECK_NEAR(stats_normalise(lw, w, 3), -1000 + log(sum / 3), 1e-12);
  CHECK_NEAR(w[0], 1 / sum, 1e-15);
  CHECK(w[2] == 0);
  CHECK(stats_normalise(dead, w, 2) == -HUGE_VAL && w[0] == 0 && w[1] == 0);
  CHECK(stats_logsumexp(dead, 2) == -HUGE_VAL && stats_logsumexp(dead, 0) == -HUGE_VAL);
  const double over_[] = {1, HUGE_VAL};
  stats_normalise(over_, w, 2);
  CHECK(w[0] == 0 && w[1] == 1);
}

/* Random, equal, falling, and organ-pipe inputs of many lengths. */
static void test_sort(void)
{
  static double x[3000], copy[3000];
  static int64_t order[3000], scratch[3000];
  norn_rng g = {1, 2, 3, 4, 0, NULL};
  for (int n = 0; n < 3000; n = n < 40 ? n + 1 : n * 3 / 2)
    for (int kind = 0; kind < 5; kind++) {
      double before = 0, after = 0;
      for (int i = 0; i < n; i++) {
        x[i] = kind == 0 ? norn_rng_normal(&g) : kind == 1 ? 7 : kind == 2 ? -i :
               kind == 3 ? fmin(i, n - i) : (double)norn_rng_below(&g, 5);
        copy[i] = x[i];
        before += x[i] * (kind == 0 ? 1 : x[i] + 1);
      }
      stats_order(x, order, scratch, n);
      stats_sort(x, n);
      bool sorted = true, stable = true, same = true;
      for (int i = 0; i < n; i++) {
        sorted = sorted && (i == 0 || x[i - 1] <= x[i]);
        same = same && copy[order[i]] == x[i];
        stable = stable && (i == 0 || x[i - 1] < x[i] || order[i - 1] < order[i]);
        after += x[i] * (kind == 0 ? 1 : x[i] + 1);
      }
      CHECK(sorted && stable && same);
      CHECK_NEAR(before, after, 1e-9 * fmax(1, fabs(before)));
    }
  double odd[] = {(double)NAN, 2, -HUGE_VAL, HUGE_VAL, 1};
  stats_sort(odd, 5);
  CHECK(odd[0] == -HUGE_VAL && odd[1] == 1 && odd[3] == HUGE_VAL && isnan(odd[4]));
}

static void test_quantiles(void)
{
  const double x[] = {1, 2, 3, 4}, far[] = {-HUGE_VAL, 0, HUGE_VAL};
  CHECK(stats_quantile_sorted(x, 4, 0) == 1 && stats_quantile_sorted(x, 4, 1) == 4);
  CHECK(stats_quantile_sorted(x, 4, 0.5) == 2.5 && stats_quantile_sorted(far, 3, 0.5) == 0);
  CHECK(isnan(stats_quantile_sorted(x, 0, 0.5)) && isnan(stats_quantile_sorted(x, 4, 1.5)));
  const double y[] = {30, 10, 20, 99}, w[] = {1, 1, 2, 0};
  int64_t order[4], scratch[4];
  stats_order(y, order, scratch, 4);
  CHECK(order[0] == 1 && order[1] == 2 && order[2] == 0 && order[3] == 3);
  CHECK(stats_quantile_weighted(y, w, order, 4, 0) == 10);
  CHECK(stats_quantile_weighted(y, w, order, 4, 0.5) == 20);
  CHECK(stats_quantile_weighted(y, w, order, 4, 1) == 30);
  CHECK(stats_quantile_weighted(x, NULL, (int64_t[]){0, 1, 2, 3}, 4, 0.5) == 2.5);
}

int main(void)
{
  test_gamma_functions();
  test_beta_functions();
  test_deviance();
  test_log_sums();
  test_incomplete_gamma();
  test_incomplete_beta();
  test_gamma_slopes();
  test_beta_slopes();
  test_owens_t();
  test_bessel();
  test_inverses();
  test_normal_functions();
  test_moments();
  test_weights();
  test_sort();
  test_quantiles();
  return unit_end();
}
