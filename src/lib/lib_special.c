/* lib_special.c: special functions of statistics: the normal distribution function and its kin,
   incomplete gamma and beta functions, Owen's T, modified Bessel functions.  Names are Stan's where
   Stan has them.  Outside its domain a function is nan. */
#include "lib/lib.h"
#include "num/special.h"
#include <math.h>

static double log1m(double x) { return 0.0 + log1p(-x); }   /* 0, not -0 */
static double log1m_exp(double x) { return x <= 0 ? special_log1mexp(x) : (double)NAN; }
static double log_inv_logit(double x) { return -special_log1pexp(-x); }
static double log1m_inv_logit(double x) { return -special_log1pexp(x); }
static double bessel_i0(double x) { return special_bessel_i(0, x); }
static double bessel_i1(double x) { return special_bessel_i(1, x); }
static double bessel_k0(double x) { return special_bessel_k(0, x); }
static double bessel_k1(double x) { return special_bessel_k(1, x); }

/* A real function of two arguments, elementwise. */
#define TWO(fn, label, f) \
  static norn_status fn(norn_state *st, const norn_datum *args, int n, norn_datum *out) \
  { (void)n; return lib_real2(st, args, label, f, out); }
TWO(s_gamma_p, "gamma_p", special_gamma_p)
TWO(s_gamma_q, "gamma_q", special_gamma_q)
TWO(s_gamma_p_inv, "inv_gamma_p", special_gamma_p_inv)
TWO(s_owens_t, "owens_t", special_owens_t)
TWO(s_bessel_in, "bessel_in", special_bessel_i)
TWO(s_bessel_kn, "bessel_kn", special_bessel_k)

/* f(a, b, x) of three numbers. */
static norn_status real3(norn_state *st, const norn_datum *args, const char *const *what,
                         double (*f)(double, double, double), norn_datum *out)
{
  double x[3];
  for (int i = 0; i < 3; i++)
    if (!norn_want_real(st, args, i, what[i], &x[i])) return lib_failed(st);
  *out = norn_real(f(x[0], x[1], x[2]));
  return NORN_OK;
}
static double beta_below(double a, double b, double x)
{
  return x >= 0 && x <= 1 ? special_beta_inc(a, b, x) : (double)NAN;
}
static norn_status s_inc_beta(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const what[] = {"the first shape of inc_beta", "the second shape of inc_beta",
                                     "the third argument of inc_beta"};
  (void)n;
  return real3(st, args, what, beta_below, out);
}
static norn_status s_inv_inc_beta(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const what[] = {"the first shape of inv_inc_beta",
                                     "the second shape of inv_inc_beta",
                                     "the probability of inv_inc_beta"};
  (void)n;
  return real3(st, args, what, special_beta_inv, out);
}

#define FN(name, params, fn, doc, example, result) \
  { name, params, doc "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }
#define REAL(name, fn, doc, example, result) \
  { name, "x", doc "\nExample: " example "\n=> " result, NULL, NORN_PURE, fn }

static const norn_native natives[] = {
  REAL("Phi", special_norm_cdf,
       "The distribution function of normal(0, 1); normal_cdf is the same.", "Phi(0)", "0.5"),
  REAL("log_Phi", special_norm_log_cdf, "log(Phi(x)), right to the far tail where Phi is 0.",
       "round(log_Phi(-40), 3)", "-804.608"),
  REAL("inv_Phi", special_norm_quantile, "The x with Phi(x) = p: the quantile of normal(0, 1).",
       "inv_Phi(0.5)", "0.0"),
  REAL("erfcx", special_erfcx, "exp(x^2) erfc(x), without overflow or underflow.", "erfcx(0)",
       "1.0"),
  REAL("log1m", log1m, "log(1 - x), exact for small x.", "log1m(0)", "0.0"),
  REAL("log1m_exp", log1m_exp, "log(1 - exp(x)) for x <= 0, without cancellation.",
       "log1m_exp(-inf)", "0.0"),
  REAL("log_inv_logit", log_inv_logit, "log(inv_logit(x)), without underflow.",
       "log_inv_logit(-1000)", "-1000.0"),
  REAL("log1m_inv_logit", log1m_inv_logit, "log(1 - inv_logit(x)), without underflow.",
       "log1m_inv_logit(1000)", "-1000.0"),
  REAL("trigamma", special_trigamma, "The derivative of digamma, for x > 0.",
       "round(trigamma(1), 6)", "1.644934"),
  REAL("lambert_w0", special_lambert_w, "The w >= -1 with w exp(w) = x, for x >= -1/e.",
       "lambert_w0(0)", "0.0"),
  REAL("lambert_wm1", special_lambert_wm1, "The w <= -1 with w exp(w) = x, for -1/e <= x < 0.",
       "round(lambert_wm1(-0.1), 6)", "-3.577152"),
  FN("gamma_p", "a, x", s_gamma_p,
     "The lower incomplete gamma function over gamma_fn(a): the distribution function of\n"
     "gamma(a, 1).",
     "round(gamma_p(1, log(2)), 12)", "0.5"),
  FN("gamma_q", "a, x", s_gamma_q,
     "1 - gamma_p(a, x): the upper incomplete gamma function over gamma_fn(a).", "gamma_q(2, 0)",
     "1.0"),
  FN("inv_gamma_p", "a, p", s_gamma_p_inv, "The x with gamma_p(a, x) = p.", "inv_gamma_p(3, 0)",
     "0.0"),
  FN("inc_beta", "a, b, x", s_inc_beta,
     "The incomplete beta function over beta_fn(a, b): the distribution function of beta(a, b).",
     "round(inc_beta(1, 2, 0.5), 12)", "0.75"),
  FN("inv_inc_beta", "a, b, p", s_inv_inc_beta, "The x with inc_beta(a, b, x) = p.",
     "round(inv_inc_beta(1, 2, 0.75), 12)", "0.5"),
  FN("owens_t", "h, a", s_owens_t,
     "Owen's T: P(X > h and 0 < Y < a X) of independent standard normals X and Y.",
     "owens_t(0, 1)", "0.125"),
  REAL("bessel_i0", bessel_i0, "The modified Bessel function I of order 0.", "bessel_i0(0)", "1.0"),
  REAL("bessel_i1", bessel_i1, "The modified Bessel function I of order 1.", "bessel_i1(0)", "0.0"),
  FN("bessel_in", "n, x", s_bessel_in,
     "The modified Bessel function I of whole order n, |n| < 150.", "bessel_in(2, 0)", "0.0"),
  REAL("bessel_k0", bessel_k0, "The modified Bessel function K of order 0, x >= 0.",
       "bessel_k0(0)", "inf"),
  REAL("bessel_k1", bessel_k1, "The modified Bessel function K of order 1, x >= 0.",
       "bessel_k1(0)", "inf"),
  FN("bessel_kn", "n, x", s_bessel_kn,
     "The modified Bessel function K of whole order n, |n| < 150, x >= 0.", "bessel_kn(2, 0)",
     "inf"),
};

norn_status lib_special_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
