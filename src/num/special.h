/* special: special functions for densities, distribution functions and their inverses.

   This is also the door of GSL.  Arguments are checked here first: GSL's error handler, which would
   abort(), is never reached.  Where GSL is weak we have our own: its incomplete beta and gamma give
   up (and call the handler) for parameters beyond about 10^5, and it has no logarithms of tails, no
   derivatives in the parameters and no Owen's T; its I1 loses half the digits near 0.  From GSL are
   trigamma, Hurwitz zeta, Lambert W, and I and K of arguments that are not small.
   Outside its domain a function gives NaN.  Nothing here keeps state. */
#ifndef NORN_SPECIAL_H
#define NORN_SPECIAL_H
#include "num/vspecial.h"
#include <stdbool.h>

/* The functions of vspecial.h by the names of this shelf. */
static inline double special_stirling_large(double x) { return v_stirling_large(x); }
static inline double special_stirling(double x) { return v_stirling(x); }
static inline double special_lfact(double k) { return v_lfact(k); }
static inline double special_deviance(double x, double m) { return v_deviance(x, m); }
static inline double special_digamma_tail(double x) { return v_digamma_tail(x); }
static inline double special_lbeta(double a, double b) { return v_lbeta(a, b); }   /* a, b > 0 */
static inline double special_half_gamma_ratio(double h) { return v_half_gamma_ratio(h); }
static inline double special_log1mexp(double x) { return v_log1mexp(x); }          /* x <= 0 */
static inline double special_log1pexp(double x) { return v_log1pexp(x); }
static inline double special_xlogy(double x, double y) { return v_xlogy(x, y); }
static inline double special_logit_inv(double x) { return v_logit_inv(x); }

double special_lgamma_rest(double x);                    /* x <= 0 or NaN */
/* log |Gamma(x)|; infinite at 0, -1, -2, ... */
static inline double special_lgamma(double x)
{
  return x > 0 ? v_lgamma(x) : special_lgamma_rest(x);
}
double special_digamma(double x);
double special_trigamma(double x);                       /* GSL */
double special_hurwitz_zeta(double s, double q);         /* GSL; s > 1, q > 0 */
double special_lambert_w(double x);                      /* GSL; principal branch, x >= -1/e */
double special_lambert_wm1(double x);                    /* GSL; the other branch, -1/e <= x < 0 */
/* GSL; modified Bessel functions of whole order below 150 */
double special_bessel_i(double order, double x), special_bessel_k(double order, double x);
double special_lchoose(double n, double k);              /* log of n over k, 0 <= k <= n */

double special_logaddexp(double a, double b);
double special_logsubexp(double a, double b);            /* log(exp a - exp b), a >= b */

/* Incomplete gamma: log P(a, x) and log Q(a, x) = log(1 - P); a > 0, x >= 0. */
void special_gamma_log(double a, double x, double *lower, double *upper);
double special_gamma_p(double a, double x), special_gamma_q(double a, double x);
double special_gamma_p_slope(double a, double x);        /* d P(a, x) / da */
double special_gamma_p_inv(double a, double p);          /* x with P(a, x) = p */
/* Incomplete beta: log I_x(a, b) and log I_y(b, a); y = 1 - x is given too, so that it may be
   tiny. */
void special_beta_log(double a, double b, double x, double y, double *lower, double *upper);
double special_beta_inc(double a, double b, double x);
/* d I_x(a, b) / da and / db */
void special_beta_slope(double a, double b, double x, double y, double *da, double *db);
double special_beta_inv(double a, double b, double p);

double special_erfcx(double x);                          /* exp(x^2) erfc(x) */
double special_norm_cdf(double x);
/* right to the far tail, where the cdf is 0 */
double special_norm_log_cdf(double x);
double special_norm_quantile(double p);                  /* Wichura 1988, AS 241 */
double special_norm_quantile_half(double q);             /* of p = 1/2 + q */
double special_norm_quantile_log(double lp);             /* of p = exp lp */

/* Owen's T: P(X > h, 0 < Y < a X) of independent standard normals, for any h and a; and the
   logarithm of P(X > h, Y > a X), h >= 0, a >= 0. */
double special_owens_t(double h, double a), special_owens_rest_log(double h, double a);

/* Gauss and Legendre's rule of 40 points on 0..end: point i and its weight. */
extern const double special_gauss_node[20], special_gauss_weight[20];
static inline double special_gauss_point(int i, double end)
{
  double node = special_gauss_node[i >> 1];
  return 0.5 * end * (1 + (i & 1 ? -node : node));
}
static inline double special_gauss_share(int i, double end)
{
  return 0.5 * end * special_gauss_weight[i >> 1];
}

/* Solves f(x) = target for a rising f on (lo, hi): Newton's steps from f and its slope, kept in a
   shrinking bracket.  The ends may be infinite; `start` is inside. */
typedef double (*special_rising)(double x, const void *of, double *slope);
double special_solve(special_rising f, const void *of, double target, double lo, double hi,
                     double start);
#endif
