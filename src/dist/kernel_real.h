/* kernel_real: formulas of the continuous families (see kernel.h). */
#ifndef NORN_KERNEL_REAL_H
#define NORN_KERNEL_REAL_H
#include "num/vspecial.h"

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
#endif
