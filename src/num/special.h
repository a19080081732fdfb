/* special: special functions for densities, distribution functions and their inverses.

   This is also the door of GSL.  Arguments are checked here first: GSL's error handler, which would
   abort(), is never reached.  Where GSL is weak we have our own: its incomplete beta and gamma give
   up (and call the handler) for parameters beyond about 10^5, and it has no logarithms of tails.
   Outside its domain a function gives NaN.  Nothing here keeps state. */
#ifndef NORN_SPECIAL_H
#define NORN_SPECIAL_H
#include "num/vmath.h"
#include <stdbool.h>

/* lgamma(x) - ((x - 1/2) log x - x + log(2 pi)/2), x >= 10: Stirling's series (DLMF 5.11.1). */
static inline double special_stirling_large(double x)
{
  double r = 1 / x, s = r * r;
  return r * (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s * (1.0 / 1188 -
         s * (691.0 / 360360 - s * (1.0 / 156)))))));
}
/* the same at the integers 1..15; [0] is infinite */
extern const double special_stirling_table[16];
double special_stirling_small(double x);           /* the same for 0 < x < 10 */
static inline double special_stirling(double x)
{
  if (x >= 10) return special_stirling_large(x);
  int k = (int)x;
  return x == k ? special_stirling_table[k] : special_stirling_small(x);
}

double special_lgamma_small(double x);
/* log |Gamma(x)|; infinite at 0, -1, -2, ... */
static inline double special_lgamma(double x)
{
  if (!(x >= 10 && x < 1e305)) return special_lgamma_small(x);
  return ((x - 0.5) * v_log_normal(x) - x) + (V_LOG_SQRT_2PI + special_stirling_large(x));
}

extern const double special_lfact_table[16];
/* log k! of a whole number k >= 0. */
static inline double special_lfact(double k)
{
  return k < 16 ? special_lfact_table[(int)k] : special_lgamma(k + 1);
}

/* x log(x/m) + m - x >= 0 for x, m > 0, without cancellation near x = m (Loader 2000, "Fast and
   accurate computation of binomial probabilities", bd0): with v = (x-m)/(x+m) it is
   (x-m) v + 2 x v (v^2/3 + v^4/5 + ...). */
static inline double special_deviance(double x, double m)
{
  double d = x - m;
  if (!(fabs(d) < 0.1 * (x + m))) return x > 0 ? x * v_log(x / m) - d : m;
  double v = d / (x + m), w = v * v;
  double series = w * (1.0 / 3 + w * (1.0 / 5 + w * (1.0 / 7 + w * (1.0 / 9 + w * (1.0 / 11 +
                  w * (1.0 / 13 + w * (1.0 / 15 + w / 17)))))));
  return d * v + 2 * x * v * series;
}

/* log x - 1/(2x) - digamma(x), x >= 10: DLMF 5.11.2. */
static inline double special_digamma_tail(double x)
{
  double s = 1 / (x * x);
  return s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 -
         s * (691.0 / 32760 - s * (1.0 / 12)))))));
}
double special_digamma(double x);
double special_trigamma(double x);                       /* GSL */
double special_hurwitz_zeta(double s, double q);         /* GSL; s > 1, q > 0 */
double special_lambert_w(double x);                      /* GSL; principal branch, x >= -1/e */
/* GSL; log I(x), x > 0 */
double special_bessel_i0_log(double x), special_bessel_i1_log(double x);
/* I1(x)/I0(x), odd in x */
double special_bessel_ratio(double x);
double special_lbeta(double a, double b);                /* a, b > 0 */
double special_lchoose(double n, double k);              /* log of n over k, 0 <= k <= n */
/* log Gamma(h + 1/2) - log Gamma(h), h > 0 */
double special_half_gamma_ratio(double h);

/* log(1 - exp x), x <= 0 (Maechler 2012) */
double special_log1mexp(double x);
double special_log1pexp(double x);                       /* log(1 + exp x) */
double special_logaddexp(double a, double b);
double special_logsubexp(double a, double b);            /* log(exp a - exp b), a >= b */
double special_xlogy(double x, double y);                /* x log y, 0 at x = 0 */
/* 1 / (1 + exp -x), from the side that is small */
static inline double special_logit_inv(double x)
{
  double e = v_exp(-fabs(x)), p = e / (1 + e);
  return x < 0 ? p : 1 / (1 + e);
}

/* Incomplete gamma: log P(a, x) and log Q(a, x) = log(1 - P); a > 0, x >= 0. */
void special_gamma_log(double a, double x, double *lower, double *upper);
double special_gamma_p(double a, double x), special_gamma_q(double a, double x);
double special_gamma_p_inv(double a, double p);          /* x with P(a, x) = p */
/* Incomplete beta: log I_x(a, b) and log I_y(b, a); y = 1 - x is given too, so that it may be
   tiny. */
void special_beta_log(double a, double b, double x, double y, double *lower, double *upper);
double special_beta_inc(double a, double b, double x);
double special_beta_inv(double a, double b, double p);

double special_norm_cdf(double x);
/* right to the far tail, where the cdf is 0 */
double special_norm_log_cdf(double x);
/* phi(x) / Phi(x), the slope of the last */
double special_norm_hazard(double x);
double special_norm_quantile(double p);                  /* Wichura 1988, AS 241 */
double special_norm_quantile_half(double q);             /* of p = 1/2 + q */
double special_norm_quantile_log(double lp);             /* of p = exp lp */

/* Solves f(x) = target for a rising f on (lo, hi): Newton's steps from f and its slope, kept in a
   shrinking bracket.  The ends may be infinite; `start` is inside. */
typedef double (*special_rising)(double x, const void *of, double *slope);
double special_solve(special_rising f, const void *of, double target, double lo, double hi,
                     double start);
#endif
