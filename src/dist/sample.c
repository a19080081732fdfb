/* sample: exact samplers that several families share, from the counter-based generator.  A
   rejection loop takes further draws of the same event; nothing is kept between calls. */
#include "dist/dist.h"
#include "dist/kernel.h"
#include "num/rng.h"

/* Marsaglia and Tsang 2000, "A simple method for generating gamma variables": shape >= 1. */
static double gamma_large(norn_rng *g, double shape)
{
  double d = shape - 1.0 / 3, c = 1 / (3 * sqrt(d));
  for (;;) {
    double z = rng_normal(g), t = 1 + c * z;
    if (t <= 0) continue;
    double v = t * t * t, u = rng_uniform(g), s = z * z;
    if (u < 1 - 0.0331 * s * s) return d * v;
    if (v_log(u) < 0.5 * s + d * (1 - v + v_log(v))) return d * v;
  }
}

double dist_draw_gamma(norn_rng *g, double shape)
{
  return shape >= 1 ? gamma_large(g, shape) : v_exp(dist_draw_log_gamma(g, shape));
}

/* Shapes below 1: G(a) = G(a+1) u^(1/a), in logarithms because it may be far below any double. */
double dist_draw_log_gamma(norn_rng *g, double shape)
{
  if (shape >= 1) return v_log(gamma_large(g, shape));
  double boost = rng_exponential(g) / shape;
  return v_log(gamma_large(g, shape + 1)) - boost;
}

/* Sequential search from 0 (inversion). */
static double poisson_small(norn_rng *g, double rate)
{
  double u = rng_uniform(g), p = v_exp(-rate), k = 0;
  while (u > p && k < 1000) {
    u -= p;
    k += 1;
    p *= rate / k;
  }
  return k;
}

/* Hoermann 1993, "The transformed rejection method for generating Poisson random variables",
   PTRS. */
static double poisson_large(norn_rng *g, double rate)
{
  double b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b;
  double inv_alpha = 1.1239 + 1.1328 / (b - 3.4), vr = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    double u, v;
    rng_uniform2(g, &u, &v);
    u -= 0.5;
    double us = 0.5 - fabs(u), k = floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= vr) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    double log_hat = v_log(a / (us * us) + b) - v_log(inv_alpha);
    if (v_log(v) - log_hat <= poisson_logp(NORN_KEEP_ALL, k, rate)) return k;
  }
}

double dist_draw_poisson(norn_rng *g, double rate)
{
  if (!(rate < 1e300)) return rate;   /* no integer holds it anyway */
  return rate < 10 ? poisson_small(g, rate) : poisson_large(g, rate);
}

/* Kachitvichyanukul and Schmeiser 1988, "Binomial random variate generation", BINV: n p < 10. */
static double binomial_small(norn_rng *g, double n, double p)
{
  double r = p / (1 - p), start = v_exp(n * v_log1p(-p));
  double u = rng_uniform(g), f = start, k = 0;
  while (u > f && k < n && k < 1000) {
    u -= f;
    k += 1;
    f *= r * (n - k + 1) / k;
  }
  return k;
}

/* Hoermann 1993, "The generation of binomial random variates", BTRS: n p >= 10, p <= 1/2. */
static double binomial_large(norn_rng *g, double n, double p)
{
  double s = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * s, a = -0.0873 + 0.0248 * b + 0.01 * p;
  double c = n * p + 0.5, vr = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * s;
  double mode = floor((n + 1) * p), top = binomial_logp(NORN_KEEP_ALL, mode, n, p);
  for (;;) {
    double u, v;
    rng_uniform2(g, &u, &v);
    u -= 0.5;
    double us = 0.5 - fabs(u), k = floor((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= vr) return k;
    if (k < 0 || k > n) continue;
    double log_u = v_log(v * alpha / (a / (us * us) + b));
    if (log_u <= binomial_logp(NORN_KEEP_ALL, k, n, p) - top) return k;
  }
}

double dist_draw_binomial(norn_rng *g, double n, double p)
{
  if (p > 0.5) return n - dist_draw_binomial(g, n, 1 - p);
  return n * p < 10 ? binomial_small(g, n, p) : binomial_large(g, n, p);
}

/* p = 1/(1 + exp -log_odds), or 1 - p where that is the small one */
double dist_draw_binomial_logit(norn_rng *g, double n, double log_odds)
{
  if (log_odds > 0) return n - dist_draw_binomial(g, n, v_logit_inv(-log_odds));
  return dist_draw_binomial(g, n, v_logit_inv(log_odds));
}

/* A binomial whose probability is beta(a, b): its log odds are the difference of the logarithms of
   two gamma variables, which may be as far apart as they like. */
double dist_draw_beta_binomial(norn_rng *g, double n, double a, double b)
{
  double x = dist_draw_log_gamma(g, a), y = dist_draw_log_gamma(g, b);
  return dist_draw_binomial_logit(g, n, x - y);
}

/* Stadlober 1990, "The ratio of uniforms approach for generating discrete random variates",
   J. Comput. Appl. Math. 31: a table mountain of width h around the mean,
   h = 2 sqrt(2/e) sqrt(variance + 1/2) + 3 - 2 sqrt(3/e), holds the mass scaled to 1 at the top. */
double dist_draw_hypergeometric(norn_rng *g, double N, double a, double b)
{
  double c = a + b, low = fmax(0, N - b), high = fmin(N, a);
  if (low == high) return low;
  double mean = N * (a / c), variance = mean * (b / c) * ((c - N) / (c - 1));
  double h = 1.7155277699214135 * sqrt(variance + 0.5) + 0.8989161620588988;
  double mode = floor((N + 1) * ((a + 1) / (c + 2)));
  double top = hypergeometric_logp(NORN_KEEP_ALL, fmin(fmax(mode, low), high), N, a, b);
  for (;;) {
    double u, v;
    rng_uniform2(g, &u, &v);
    double k = floor(mean + 0.5 + h * (v - 0.5) / u);
    if (k < low || k > high) continue;
    if (2 * v_log(u) <= hypergeometric_logp(NORN_KEEP_ALL, k, N, a, b) - top) return k;
  }
}
