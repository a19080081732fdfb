/* kernel: the formula of each scalar family, once, with its partial derivatives.

   NAME_logp(x, parameters) is the log density (or log mass), -inf outside the support.
   NAME_partials writes d logp / d (x, parameters) to d[0..] and gives logp; d[0] of a discrete
   family is 0.  Only arithmetic, selects and calls of num/vmath.h and num/special.h: the dialect
   that the lane executor and NVRTC are to compile too (DESIGN 7).  Scales enter as 1/s and log s,
   so that hoisting changes no bit.  Parameters are taken as checked.  Names and parameters are
   Stan's; formulas are those of the Stan functions reference, 2.33, unless a source is named. */
#ifndef NORN_KERNEL_H
#define NORN_KERNEL_H
#include "num/special.h"

/* ---- location and scale ---------------------------------------------------------------------- */

/* -z^2/2 - log sigma - log(2 pi)/2,  z = (x - mu)/sigma */
static inline double normal_logp(double x, double mu, double sigma)
{
  double z = (x - mu) * (1 / sigma);
  return -0.5 * z * z - (v_log(sigma) + V_LOG_SQRT_2PI);
}
static inline double normal_partials(double x, double mu, double sigma, double *d)
{
  double r = 1 / sigma, z = (x - mu) * r;
  d[0] = -z * r;
  d[1] = z * r;
  d[2] = (z * z - 1) * r;
  return -0.5 * z * z - (v_log(sigma) + V_LOG_SQRT_2PI);
}

static inline double std_normal_logp(double x) { return -0.5 * x * x - V_LOG_SQRT_2PI; }

/* Twice the normal density with mean 0, on x >= 0. */
static inline double half_normal_logp(double x, double sigma)
{
  double l = normal_logp(x, 0, sigma) + V_LOG_2;
  return x >= 0 ? l : -HUGE_VAL;
}
static inline double half_normal_partials(double x, double sigma, double *d)
{
  double r = 1 / sigma, z = x * r;
  d[0] = -z * r;
  d[1] = (z * z - 1) * r;
  return half_normal_logp(x, sigma);
}

/* normal_logp(log x, mu, sigma) - log x, on x > 0 */
static inline double lognormal_logp(double x, double mu, double sigma)
{
  if (!(x > 0 && x < HUGE_VAL)) return -HUGE_VAL;
  double l = v_log(x);
  return normal_logp(l, mu, sigma) - l;
}
static inline double lognormal_partials(double x, double mu, double sigma, double *d)
{
  double l = v_log(x), logp = normal_partials(l, mu, sigma, d);
  d[0] = (d[0] - 1) / x;
  return x > 0 && x < HUGE_VAL ? logp - l : -HUGE_VAL;
}

/* log(1 + z^2) and 2 z / (1 + z^2), also where z^2 would overflow */
static inline double kernel_log1p_square(double z)
{
  double a = fabs(z);
  return a < 1e9 ? v_log1p(a * a) : 2 * v_log(a);
}
static inline double kernel_pull(double z) { return fabs(z) < 1e9 ? 2 * z / (1 + z * z) : 2 / z; }

/* -log pi - log sigma - log(1 + z^2) */
static inline double cauchy_logp(double x, double mu, double sigma)
{
  double z = (x - mu) * (1 / sigma);
  return -kernel_log1p_square(z) - (v_log(sigma) + V_LOG_PI);
}
static inline double cauchy_partials(double x, double mu, double sigma, double *d)
{
  double r = 1 / sigma, z = (x - mu) * r, pull = kernel_pull(z);
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  return -kernel_log1p_square(z) - (v_log(sigma) + V_LOG_PI);
}

/* Twice the Cauchy density with median 0, on x >= 0. */
static inline double half_cauchy_logp(double x, double sigma)
{
  double l = cauchy_logp(x, 0, sigma) + V_LOG_2;
  return x >= 0 ? l : -HUGE_VAL;
}
static inline double half_cauchy_partials(double x, double sigma, double *d)
{
  double r = 1 / sigma, z = x * r, pull = kernel_pull(z);
  d[0] = -pull * r;
  d[1] = (pull * z - 1) * r;
  return half_cauchy_logp(x, sigma);
}

/* log Gamma((nu+1)/2) - log Gamma(nu/2) - log(pi nu)/2 and its derivative.  Large nu: the series of
   special_half_gamma_ratio, whose leading term cancels. */
static inline double student_t_constant(double nu)
{
  return special_half_gamma_ratio(0.5 * nu) - 0.5 * (v_log(nu) + V_LOG_PI);
}
static inline double student_t_constant_slope(double nu)
{
  double h = 0.5 * nu;
  if (h < 20) return 0.5 * (special_digamma(h + 0.5) - special_digamma(h)) - 0.5 / nu;
  double s = 1 / (h * h);
  return 0.5 * s * (1.0 / 8 - s * (1.0 / 64 - s * (1.0 / 128 - s * (17.0 / 2048))));
}
/* constant(nu) - log sigma - (nu+1)/2 log(1 + z^2/nu) */
static inline double student_t_logp(double x, double nu, double mu, double sigma)
{
  double z = (x - mu) * (1 / sigma), a = fabs(z);
  double l = a < 1e150 ? v_log1p(a * a / nu) : 2 * v_log(a) - v_log(nu);
  return student_t_constant(nu) - v_log(sigma) - 0.5 * (nu + 1) * l;
}
static inline double student_t_partials(double x, double nu, double mu, double sigma, double *d)
{
  double r = 1 / sigma, z = (x - mu) * r, a = fabs(z);
  double w = a * a / nu, l = a < 1e150 ? v_log1p(w) : 2 * v_log(a) - v_log(nu);
  double pull = a < 1e150 ? (nu + 1) * z / (nu + z * z) : (nu + 1) / z;
  d[0] = -pull * r;
  d[1] = student_t_constant_slope(nu) - 0.5 * l + 0.5 * pull * (z / nu);
  d[2] = pull * r;
  d[3] = (pull * z - 1) * r;
  return student_t_constant(nu) - v_log(sigma) - 0.5 * (nu + 1) * l;
}

/* -log(2 sigma) - |z| */
static inline double laplace_logp(double x, double mu, double sigma)
{
  return -fabs((x - mu) * (1 / sigma)) - (v_log(sigma) + V_LOG_2);
}
static inline double laplace_partials(double x, double mu, double sigma, double *d)
{
  double r = 1 / sigma, z = (x - mu) * r, pull = z > 0 ? r : z < 0 ? -r : 0;
  d[0] = -pull;
  d[1] = pull;
  d[2] = (fabs(z) - 1) * r;
  return laplace_logp(x, mu, sigma);
}

/* -|z| - log sigma - 2 log(1 + exp -|z|) */
static inline double logistic_logp(double x, double mu, double sigma)
{
  double a = fabs((x - mu) * (1 / sigma));
  return -a - v_log(sigma) - 2 * v_log1p(v_exp(-a));
}
static inline double logistic_partials(double x, double mu, double sigma, double *d)
{
  double r = 1 / sigma, z = (x - mu) * r, e = v_exp(-fabs(z)), t = (1 - e) / (1 + e);
  double pull = z < 0 ? -t : t;                               /* tanh(z/2) */
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  return logistic_logp(x, mu, sigma);
}

/* ---- on an interval or a half line ----------------------------------------------------------- */

/* -log(b - a) on a <= x <= b */
static inline double uniform_logp(double x, double a, double b)
{
  return x >= a && x <= b ? -v_log(b - a) : -HUGE_VAL;
}
static inline double uniform_partials(double x, double a, double b, double *d)
{
  d[0] = 0;
  d[1] = 1 / (b - a);
  d[2] = -1 / (b - a);
  return uniform_logp(x, a, b);
}

/* log beta - beta x on x >= 0 */
static inline double exponential_logp(double x, double beta)
{
  return x >= 0 ? v_log(beta) - beta * x : -HUGE_VAL;
}
static inline double exponential_partials(double x, double beta, double *d)
{
  d[0] = -beta;
  d[1] = 1 / beta - x;
  return exponential_logp(x, beta);
}

/* The limit of (a-1) log x + log c as x falls to 0: the density of gamma and beta at their edge. */
static inline double kernel_edge(double a, double c)
{
  return a < 1 ? HUGE_VAL : a > 1 ? -HUGE_VAL : v_log(c);
}

/* alpha log beta - log Gamma(alpha) + (alpha-1) log x - beta x on x > 0.  Large alpha (Loader
   2000): log(alpha)/2 - log(2 pi)/2 - stirling(alpha) - deviance(alpha, beta x) - log x. */
static inline double gamma_logp(double x, double alpha, double beta)
{
  if (!(x > 0 && x < HUGE_VAL)) return x == 0 ? kernel_edge(alpha, beta) : -HUGE_VAL;
  double lx = v_log(x);
  if (alpha < 10)
    return (alpha * v_log(beta) - special_lgamma(alpha)) + ((alpha - 1) * lx - beta * x);
  return (0.5 * v_log(alpha) - V_LOG_SQRT_2PI - special_stirling_large(alpha)) -
         special_deviance(alpha, beta * x) - lx;
}
static inline double gamma_partials(double x, double alpha, double beta, double *d)
{
  d[0] = (alpha - 1) / x - beta;
  d[1] = v_log(beta) + v_log(x) - special_digamma(alpha);
  d[2] = alpha / beta - x;
  return gamma_logp(x, alpha, beta);
}

/* The density of 1/g where g is gamma(alpha, beta). */
static inline double inv_gamma_logp(double x, double alpha, double beta)
{
  if (!(x > 0 && x < HUGE_VAL)) return -HUGE_VAL;
  double lx = v_log(x);
  if (alpha < 10)
    return (alpha * v_log(beta) - special_lgamma(alpha)) - ((alpha + 1) * lx + beta / x);
  return (0.5 * v_log(alpha) - V_LOG_SQRT_2PI - special_stirling_large(alpha)) -
         special_deviance(alpha, beta / x) - lx;
}
static inline double inv_gamma_partials(double x, double alpha, double beta, double *d)
{
  d[0] = (beta / x - (alpha + 1)) / x;
  d[1] = v_log(beta) - v_log(x) - special_digamma(alpha);
  d[2] = alpha / beta - 1 / x;
  return inv_gamma_logp(x, alpha, beta);
}

/* (alpha-1) log x + (beta-1) log(1-x) - log B(alpha, beta) on 0 < x < 1.  Both large: as gamma. */
static inline double beta_logp(double x, double alpha, double beta)
{
  if (!(x > 0 && x < 1))
    return x == 0 ? kernel_edge(alpha, beta) : x == 1 ? kernel_edge(beta, alpha) : -HUGE_VAL;
  double y = 1 - x, lx = v_log(x), ly = v_log1p(-x);
  if (alpha < 10 || beta < 10)
    return ((alpha - 1) * lx + (beta - 1) * ly) - special_lbeta(alpha, beta);
  double n = alpha + beta;
  double constant = 0.5 * v_log(alpha / n * beta) - V_LOG_SQRT_2PI - special_stirling_large(alpha) -
                    special_stirling_large(beta) + special_stirling_large(n);
  return constant - special_deviance(alpha, n * x) - special_deviance(beta, n * y) - lx - ly;
}
static inline double beta_partials(double x, double alpha, double beta, double *d)
{
  double both = special_digamma(alpha + beta);
  d[0] = (alpha - 1) / x - (beta - 1) / (1 - x);
  d[1] = v_log(x) - special_digamma(alpha) + both;
  d[2] = v_log1p(-x) - special_digamma(beta) + both;
  return beta_logp(x, alpha, beta);
}

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
