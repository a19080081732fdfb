/* kernel_sample: draws of every scalar family from the counter-based generator, one number at a
   time (LANES 1, and terms without a memory), in the dialect of num/lane.h: NAME_sample(g,
   parameters).  Where a draw is a function of one number it is that of kernel_draw.h.  A rejection
   loop takes further draws of the same event; nothing is kept between calls. */
#ifndef NORN_KERNEL_SAMPLE_H
#define NORN_KERNEL_SAMPLE_H
#include "num/rng.h"
#include "dist/families.h"
#include "dist/kernel.h"
#include "dist/kernel_draw.h"
#if LANES == 1 && !defined NORN_MEMO

/* Without rounding to the end of an open interval. */
static inline lanes sample_below_one(lanes x)
{
#ifdef NORN_F32
  return v_min(x, 1 - 0x1p-24);
#else
  return v_min(x, 1 - 0x1p-53);
#endif
}
/* sqrt(1 + a^2), also where a^2 would overflow */
static inline lanes sample_hypot1(lanes a)
{
  return v_abs(a) < V_SQUARE_MAX ? lane_sqrt(1 + a * a) : v_abs(a);
}

/* ---- gamma variables of scale 1 ---------------------------------------------------------------- */

/* Marsaglia and Tsang 2000, "A simple method for generating gamma variables": shape >= 1. */
static inline lanes sample_gamma_large(norn_rng *g, lanes shape)
{
  lanes d = shape - 1.0 / 3, c = 1 / (3 * lane_sqrt(d));
  for (;;) {
    lanes z = rng_normal(g), t = 1 + c * z;
    if (t <= 0) continue;
    lanes v = t * t * t, u = rng_uniform(g), s = z * z;
    if (u < 1 - 0.0331 * s * s) return d * v;
    if (v_log(u) < 0.5 * s + d * (1 - v + v_log(v))) return d * v;
  }
}
/* G and b such that G exp(-b) is a gamma variable, which may be far below any number.  Shapes below 1:
   G(a) = G(a+1) u^(1/a); for others b is 0. */
static inline lanes sample_gamma_boost(norn_rng *g, lanes shape, lanes *boost)
{
  *boost = shape >= 1 ? 0 : rng_exponential(g) / shape;
  return sample_gamma_large(g, shape >= 1 ? shape : shape + 1);
}
static inline lanes sample_log_gamma(norn_rng *g, lanes shape)
{
  lanes boost, x = sample_gamma_boost(g, shape, &boost);
  return v_log(x) - boost;
}
static inline lanes sample_gamma(norn_rng *g, lanes shape)
{
  lanes boost, x = sample_gamma_boost(g, shape, &boost);
  return shape >= 1 ? x : v_exp(v_log(x) - boost);
}

static inline lanes gamma_sample(norn_rng *g, lanes alpha, lanes beta)
{
  lanes boost, x = sample_gamma_boost(g, alpha, &boost);
  return draw_positive(alpha >= 1 ? x / beta : v_exp((v_log(x) - boost) - v_log(beta)));
}
static inline lanes inv_gamma_sample(norn_rng *g, lanes alpha, lanes beta)
{
  lanes boost, x = sample_gamma_boost(g, alpha, &boost);
  return draw_positive(alpha >= 1 ? beta / x : v_exp(v_log(beta) - (v_log(x) - boost)));
}
static inline lanes chi_square_sample(norn_rng *g, lanes nu)
{
  lanes h = 0.5 * nu, boost, x = sample_gamma_boost(g, h, &boost);
  return draw_positive(h >= 1 ? 2 * x : v_exp((v_log(x) - boost) + V_LOG_2));
}
static inline lanes inv_chi_square_sample(norn_rng *g, lanes nu)
{
  return inv_gamma_sample(g, 0.5 * nu, 0.5);
}
static inline lanes scaled_inv_chi_square_sample(norn_rng *g, lanes nu, lanes s)
{
  return inv_gamma_sample(g, 0.5 * nu, 0.5 * nu * s * s);
}
/* x/(x + y) of two gamma draws, in logarithms when a shape is below 1; inside (0, 1). */
static inline lanes beta_sample(norn_rng *g, lanes alpha, lanes beta)
{
  lanes b, c, x = sample_gamma_boost(g, alpha, &b), y = sample_gamma_boost(g, beta, &c);
  lanes r = alpha >= 1 && beta >= 1 ? x / (x + y) : v_logit_inv((v_log(x) - b) - (v_log(y) - c));
  return sample_below_one(draw_positive(r));
}
static inline lanes beta_proportion_sample(norn_rng *g, lanes mu, lanes kappa)
{
  return beta_sample(g, mu * kappa, (1 - mu) * kappa);
}

/* ---- other reals ------------------------------------------------------------------------------- */

/* Bailey 1994, "Polar generation of random variates with the t-distribution":
   sqrt(nu (u^(-2/nu) - 1)) cos(2 pi v). */
static inline lanes student_t_sample(norn_rng *g, lanes nu, lanes mu, lanes sigma)
{
  lanes u, v, s, c;
  rng_uniform2(g, &u, &v);
  v_sincos2pi(v, &s, &c);
  lanes e = -2 * v_log_normal(u) / nu;
  lanes r = e < V_LOG_MAX ? lane_sqrt(nu * v_expm1(e)) : lane_sqrt(nu) * v_exp(0.5 * e);
  return draw_finite(mu + sigma * (c == 0 ? 0 : r * c));
}
static inline lanes half_student_t_sample(norn_rng *g, lanes nu, lanes sigma)
{
  return v_abs(student_t_sample(g, nu, 0, sigma));
}

/* delta |a| + sqrt(1 - delta^2) b of two standard normals, delta = alpha / sqrt(1 + alpha^2)
   (Azzalini 1986) */
static inline lanes skew_normal_sample(norn_rng *g, lanes xi, lanes omega, lanes alpha)
{
  lanes h = sample_hypot1(alpha), a = v_abs(rng_normal(g)), b = rng_normal(g);
  return draw_finite(xi + omega * (alpha / h * a + b / h));
}

/* An angle in -pi..pi. */
static inline lanes sample_turned(lanes a)
{
  lanes t = a - 2 * V_PI * lane_floor(a / (2 * V_PI) + 0.5);
  return v_min(v_max(t, -V_PI), V_PI);
}
/* Best and Fisher 1979, "Efficient simulation of the von Mises distribution": the wrapped Cauchy of
   parameter rho as envelope.  In e = r - 1, r = (1 + rho^2) / (2 rho), and in w = 1 - cos(angle),
   so that a large kappa loses nothing. */
static inline lanes von_mises_sample(norn_rng *g, lanes mu, lanes kappa)
{
  lanes root = sample_hypot1(2 * kappa), tau = 1 + root, half = lane_sqrt(tau);
  lanes rho = half * (2 * kappa / (1 + root)) / (half + 2 * V_SQRT_1_2);
  lanes rest = kappa < 1 ? 1 - rho : (lane_sqrt(2 * tau) - 1 - 1 / (root + 2 * kappa)) / (2 * kappa);
  lanes e = rest * (rest / (2 * rho));
  for (;;) {
    lanes s, c, u, v;
    rng_uniform2(g, &u, &v);
    v_sincos2pi(0.25 * u, &s, &c);
    lanes w = 2 * s * s * (e / (e + 2 * c * c));
    if (!(e < V_SAFE_MAX)) w = 2 * s * s;
    lanes a = kappa * (e + w);
    if (!(e < V_SAFE_MAX)) a = 1;
    if (a * (2 - a) > v || v_log(a / v) + 1 - a >= 0) {
      lanes angle = 2 * v_asin_unit(lane_sqrt(v_min(0.5 * w, 1)));
      return sample_turned(mu + (rng_uniform(g) < 0.5 ? -angle : angle));
    }
  }
}

/* ---- counts ------------------------------------------------------------------------------------ */

/* Sequential search from 0 (inversion). */
static inline lanes sample_poisson_small(norn_rng *g, lanes rate)
{
  lanes u = rng_uniform(g), p = v_exp(-rate), k = 0;
  while (u > p && k < 1000) {
    u -= p;
    k += 1;
    p *= rate / k;
  }
  return k;
}
/* Hoermann 1993, "The transformed rejection method for generating Poisson random variables",
   PTRS. */
static inline lanes sample_poisson_large(norn_rng *g, lanes rate)
{
  lanes b = 0.931 + 2.53 * lane_sqrt(rate), a = -0.059 + 0.02483 * b;
  lanes inv_alpha = 1.1239 + 1.1328 / (b - 3.4), vr = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    lanes u, v;
    rng_uniform2(g, &u, &v);
    u -= 0.5;
    lanes us = 0.5 - v_abs(u), k = lane_floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= vr) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    lanes log_hat = v_log(a / (us * us) + b) - v_log(inv_alpha);
    if (v_log(v) - log_hat <= poisson_logp(NORN_KEEP_ALL, k, rate)) return k;
  }
}
static inline lanes poisson_sample(norn_rng *g, lanes rate)
{
  if (!(rate < V_SAFE_MAX)) return rate;     /* no integer holds it anyway */
  return rate < 10 ? sample_poisson_small(g, rate) : sample_poisson_large(g, rate);
}
static inline lanes poisson_log_sample(norn_rng *g, lanes alpha)
{
  return poisson_sample(g, v_exp(alpha));
}
/* A Poisson whose rate is gamma with mean mu and shape phi. */
static inline lanes neg_binomial_2_sample(norn_rng *g, lanes mu, lanes phi)
{
  return poisson_sample(g, v_exp(sample_log_gamma(g, phi) + v_log(mu) - v_log(phi)));
}
static inline lanes neg_binomial_2_log_sample(norn_rng *g, lanes eta, lanes phi)
{
  return poisson_sample(g, v_exp(sample_log_gamma(g, phi) + (eta - v_log(phi))));
}
/* A Poisson whose rate is gamma(alpha, beta). */
static inline lanes neg_binomial_sample(norn_rng *g, lanes alpha, lanes beta)
{
  return poisson_sample(g, v_exp(sample_log_gamma(g, alpha) - v_log(beta)));
}
static inline lanes beta_neg_binomial_sample(norn_rng *g, lanes r, lanes alpha, lanes beta)
{
  lanes a = sample_log_gamma(g, alpha), b = sample_log_gamma(g, beta);
  return poisson_sample(g, v_exp(sample_log_gamma(g, r) + (b - a)));
}

/* Kachitvichyanukul and Schmeiser 1988, "Binomial random variate generation", BINV: n p < 10. */
static inline lanes sample_binomial_small(norn_rng *g, lanes n, lanes p)
{
  lanes r = p / (1 - p), start = v_exp(n * v_log1p(-p));
  lanes u = rng_uniform(g), f = start, k = 0;
  while (u > f && k < n && k < 1000) {
    u -= f;
    k += 1;
    f *= r * (n - k + 1) / k;
  }
  return k;
}
/* Hoermann 1993, "The generation of binomial random variates", BTRS: n p >= 10, p <= 1/2. */
static inline lanes sample_binomial_large(norn_rng *g, lanes n, lanes p)
{
  lanes s = lane_sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * s, a = -0.0873 + 0.0248 * b + 0.01 * p;
  lanes c = n * p + 0.5, vr = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * s;
  lanes mode = lane_floor((n + 1) * p), top = binomial_logp(NORN_KEEP_ALL, mode, n, p);
  for (;;) {
    lanes u, v;
    rng_uniform2(g, &u, &v);
    u -= 0.5;
    lanes us = 0.5 - v_abs(u), k = lane_floor((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= vr) return k;
    if (k < 0 || k > n) continue;
    lanes log_u = v_log(v * alpha / (a / (us * us) + b));
    if (log_u <= binomial_logp(NORN_KEEP_ALL, k, n, p) - top) return k;
  }
}
static inline lanes binomial_sample(norn_rng *g, lanes n, lanes p)
{
  lanes q = p > 0.5 ? 1 - p : p;
  lanes k = n * q < 10 ? sample_binomial_small(g, n, q) : sample_binomial_large(g, n, q);
  return p > 0.5 ? n - k : k;
}
/* p = 1/(1 + exp -log_odds), or 1 - p where that is the small one */
static inline lanes binomial_logit_sample(norn_rng *g, lanes n, lanes log_odds)
{
  lanes k = binomial_sample(g, n, v_logit_inv(-v_abs(log_odds)));
  return log_odds > 0 ? n - k : k;
}
/* A binomial whose probability is beta(a, b): its log odds are the difference of the logarithms of
   two gamma variables, which may be as far apart as they like. */
static inline lanes beta_binomial_sample(norn_rng *g, lanes n, lanes a, lanes b)
{
  lanes x = sample_log_gamma(g, a), y = sample_log_gamma(g, b);
  return binomial_logit_sample(g, n, x - y);
}

/* Stadlober 1990, "The ratio of uniforms approach for generating discrete random variates",
   J. Comput. Appl. Math. 31: a table mountain of width h around the mean,
   h = 2 sqrt(2/e) sqrt(variance + 1/2) + 3 - 2 sqrt(3/e), holds the mass scaled to 1 at the top. */
static inline lanes hypergeometric_sample(norn_rng *g, lanes N, lanes a, lanes b)
{
  lanes c = a + b, low = v_max(N - b, 0), high = v_min(N, a);
  if (low == high) return low;
  lanes mean = N * (a / c), variance = mean * (b / c) * ((c - N) / (c - 1));
  lanes h = 1.7155277699214135 * lane_sqrt(variance + 0.5) + 0.8989161620588988;
  lanes mode = lane_floor((N + 1) * ((a + 1) / (c + 2)));
  lanes top = hypergeometric_logp(NORN_KEEP_ALL, v_min(v_max(mode, low), high), N, a, b);
  for (;;) {
    lanes u, v;
    rng_uniform2(g, &u, &v);
    lanes k = lane_floor(mean + 0.5 + h * (v - 0.5) / u);
    if (k < low || k > high) continue;
    if (2 * v_log(u) <= hypergeometric_logp(NORN_KEEP_ALL, k, N, a, b) - top) return k;
  }
}

static inline lanes discrete_uniform_sample(norn_rng *g, lanes lower, lanes upper)
{
  return lower + (lanes)rng_below(g, (uint64_t)(upper - lower) + 1);
}

/* Inversion along the running sum of n weights whose sum is `total`: the last possible one where
   rounding leaves u past the sum. */
static inline int64_t sample_weights(norn_rng *g, int64_t n, const lane_real *w, lane_real total)
{
  int64_t last = 0;
  lanes u = rng_uniform(g) * total;
  for (int64_t k = 0; k < n; k++) {
    if (w[k] > 0) last = k;
    if (w[k] > 0 && u < w[k]) break;
    u -= w[k];
  }
  return last;
}

/* ---- functions of one number ------------------------------------------------------------------- */

#define SAMPLE_0(name, number)                                                                     \
  static inline lanes name##_sample(norn_rng *g) { return name##_draw(number(g)); }
#define SAMPLE_1(name, number)                                                                     \
  static inline lanes name##_sample(norn_rng *g, lanes a) { return name##_draw(number(g), a); }
#define SAMPLE_2(name, number)                                                                     \
  static inline lanes name##_sample(norn_rng *g, lanes a, lanes b)                                 \
  { return name##_draw(number(g), a, b); }
#define SAMPLE_3(name, number)                                                                     \
  static inline lanes name##_sample(norn_rng *g, lanes a, lanes b, lanes c)                        \
  { return name##_draw(number(g), a, b, c); }
#define DRAW(name, np) SAMPLE_##np(name, rng_normal)
NORMAL_DRAWS(DRAW)
#undef DRAW
#define DRAW(name, np) SAMPLE_##np(name, rng_uniform)
UNIFORM_DRAWS(DRAW)
#undef DRAW
static inline lanes double_exponential_sample(norn_rng *g, lanes mu, lanes sigma)
{
  return laplace_sample(g, mu, sigma);
}
#endif
#endif
