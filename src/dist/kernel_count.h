/* kernel_count: formulas of the discrete families (see kernel.h). */
#ifndef NORN_KERNEL_COUNT_H
#define NORN_KERNEL_COUNT_H
#include "num/vspecial.h"

/* ---- counts ---------------------------------------------------------------------------------- */

/* log p for 1, log(1 - p) for 0 */
static inline double bernoulli_logp(double x, double p)
{
  return x == 1 ? v_log(p) : x == 0 ? v_log1p(-p) : -HUGE_VAL;
}
static inline double bernoulli_partials(double x, double p, double *d)
{
  d[0] = 0;
  d[1] = x == 1 ? 1 / p : -1 / (1 - p);
  return bernoulli_logp(x, p);
}

/* log of n!/(k!(n-k)!) p^k (1-p)^(n-k), n and k of any size (Loader 2000) */
static inline double binomial_logp(double k, double n, double p)
{
  if (!(k >= 0 && k <= n)) return -HUGE_VAL;
  if (p == 0 || p == 1) return k == (p == 0 ? 0 : n) ? 0 : -HUGE_VAL;
  if (k == 0) return n * v_log1p(-p);
  if (k == n) return n * v_log(p);
  double l = n - k;
  if (n < 16)
    return (special_lfact(n) - special_lfact(k) - special_lfact(l)) +
           (k * v_log(p) + l * v_log1p(-p));
  return (special_stirling(n) - special_stirling(k) - special_stirling(l)) -
         special_deviance(k, n * p) - special_deviance(l, n * (1 - p)) -
         V_LOG_SQRT_2PI - 0.5 * v_log(k * (l / n));
}
static inline double binomial_partials(double k, double n, double p, double *d)
{
  d[0] = d[1] = 0;
  d[2] = (k == 0 ? 0 : k / p) - (k == n ? 0 : (n - k) / (1 - p));
  return binomial_logp(k, n, p);
}

/* k log lambda - lambda - log k!, k of any size (Loader 2000) */
static inline double poisson_logp(double k, double lambda)
{
  if (!(k >= 0 && k < HUGE_VAL)) return -HUGE_VAL;
  if (k == 0) return -lambda;
  if (k < 16 || lambda == 0) return k * v_log(lambda) - lambda - special_lfact(k);
  return -special_stirling(k) - special_deviance(k, lambda) - 0.5 * v_log(k) - V_LOG_SQRT_2PI;
}
static inline double poisson_partials(double k, double lambda, double *d)
{
  d[0] = 0;
  d[1] = (k == 0 ? 0 : k / lambda) - 1;
  return poisson_logp(k, lambda);
}

/* log p + k log(1 - p): k failures, then the first success */
static inline double geometric_logp(double k, double p)
{
  if (!(k >= 0)) return -HUGE_VAL;
  return k == 0 ? v_log(p) : v_log(p) + k * v_log1p(-p);
}
static inline double geometric_partials(double k, double p, double *d)
{
  d[0] = 0;
  d[1] = 1 / p - (k == 0 ? 0 : k / (1 - p));
  return geometric_logp(k, p);
}

/* The Poisson mixed over a gamma of mean mu and shape phi: binomial-like in its saddle-point form
   (Loader 2000; R's dnbinom_mu). */
static inline double neg_binomial_2_logp(double k, double mu, double phi)
{
  if (!(k >= 0 && k < HUGE_VAL)) return -HUGE_VAL;
  if (k == 0) return -phi * v_log1p(mu / phi);
  double n = phi + k, p = phi / (phi + mu), q = mu / (phi + mu);
  return v_log(phi / n) + (special_stirling(n) - special_stirling(phi) - special_stirling(k)) -
         special_deviance(phi, n * p) - special_deviance(k, n * q) -
         V_LOG_SQRT_2PI - 0.5 * v_log(k * (phi / n));
}
/* d/dphi = digamma(k+phi) - digamma(phi) - log(1 + mu/phi) - t, t = (k-mu)/(mu+phi); for large phi
   the logarithms make log(1 + t). */
static inline double neg_binomial_2_partials(double k, double mu, double phi, double *d)
{
  double t = (k - mu) / (mu + phi), n = k + phi;
  d[0] = 0;
  d[1] = (k == 0 ? 0 : k / mu) - n / (mu + phi);
  d[2] = phi < 10 ? special_digamma(n) - special_digamma(phi) - v_log1p(mu / phi) - t
                  : (v_log1p(t) - t) + 0.5 * (k / n) / phi +
                    (special_digamma_tail(phi) - special_digamma_tail(n));
  return neg_binomial_2_logp(k, mu, phi);
}

/* -log(b - a + 1) on the integers a..b */
static inline double discrete_uniform_logp(double k, double a, double b)
{
  return k >= a && k <= b ? -v_log(b - a + 1) : -HUGE_VAL;
}
#endif
