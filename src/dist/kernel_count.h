/* kernel_count: formulas of the discrete families (see kernel.h).  Binomial-like masses stand in
   the saddle-point form of Loader 2000, "Fast and accurate computation of binomial probabilities":
   Stirling's corrections and deviances, which do not cancel however large the counts are. */
#ifndef NORN_KERNEL_COUNT_H
#define NORN_KERNEL_COUNT_H
#include "num/vspecial.h"

/* k l, 0 where k is 0 even if l is infinite */
static inline lanes count_times(lanes k, lanes l) { return SEL(k == 0, 0, k * l); }
/* log(1 + t) - t: with v = t/(2 + t) it is -t v + 2 v (v^2/3 + v^4/5 + ...) */
static inline lanes count_log1p_rest(lanes t)
{
  lanes v = t / (2 + t), w = v * v;
  lanes series = w * (1.0 / 3 + w * (1.0 / 5 + w * (1.0 / 7 + w * (1.0 / 9 + w * (1.0 / 11 +
                 w * (1.0 / 13 + w * (1.0 / 15 + w / 17)))))));
  return PICK(v_abs(v) < 0.1, 2 * v * series - t * v, v_log1p(t) - t);
}
/* log k! - (k log k - k), k > 0 */
static inline lanes count_lfact_rest(lanes k)
{
  return v_stirling(k) + (0.5 * v_log(k) + V_LOG_SQRT_2PI);
}

/* ---- truth values ---------------------------------------------------------------------------- */

/* log p for 1, log(1 - p) for 0 */
static inline lanes bernoulli_logp(terms t, lanes x, lanes p)
{
  lanes l = SEL(x == 1, ONCE(t, K_1, v_log(p)), ONCE(t, K_1, v_log1p(-p)));
  return SEL((x == 0) | (x == 1), l, -HUGE_VAL);
}
static inline lanes bernoulli_partials(terms t, lanes x, lanes p, lanes *d)
{
  d[0] = LANE(0.0);
  d[1] = SEL(x == 1, 1, -1) / SEL(x == 1, p, 1 - p);
  return bernoulli_logp(t, x, p);
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* 0 < k < n, 0 < p < 1 */
static inline lanes binomial_inner(terms t, lanes k, lanes n, lanes p)
{
  lanes l = n - k;
  return TERM(t, K_X | K_1, (ONCE(t, K_1, v_stirling(n)) - v_stirling(k) - v_stirling(l)) -
                            V_LOG_SQRT_2PI - 0.5 * v_log(k * (l / n))) -
         v_deviance(k, n * p) - v_deviance(l, n * (1 - p));
}
/* log of n!/(k!(n-k)!) p^k (1-p)^(n-k), n and k of any size */
static inline lanes binomial_logp(terms t, lanes x, lanes n, lanes p)
{
  lane_mask inside = (x >= 0) & (x <= n);
  lanes k = SEL(inside, x, 0), l = n - k;
  lane_mask saddle = (n >= 16) & (k > 0) & (l > 0) & (p > 0) & (p < 1);
  lanes y = PICK(saddle, binomial_inner(t, k, n, p),
                 TERM(t, K_X | K_1, ONCE(t, K_1, v_lfact(n)) - v_lfact(k) - v_lfact(l)) +
                 (count_times(k, ONCE(t, K_2, v_log(p))) +
                  count_times(l, ONCE(t, K_2, v_log1p(-p)))));
  return SEL(inside, y, -HUGE_VAL);
}
static inline lanes binomial_partials(terms t, lanes k, lanes n, lanes p, lanes *d)
{
  d[0] = d[1] = LANE(0.0);
  d[2] = SEL(k == 0, 0, k / p) - SEL(k == n, 0, (n - k) / (1 - p));
  return binomial_logp(t, k, n, p);
}

/* k log lambda - lambda - log k!, k of any size */
static inline lanes poisson_logp(terms t, lanes x, lanes lambda)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0);
  lanes y = PICK((k < 16) | (lambda == 0),
                 count_times(k, ONCE(t, K_1, v_log(lambda))) - lambda - TERM(t, K_X, v_lfact(k)),
                 -v_deviance(k, lambda) - TERM(t, K_X, count_lfact_rest(k)));
  return SEL(inside, y, -HUGE_VAL);
}
static inline lanes poisson_partials(terms t, lanes k, lanes lambda, lanes *d)
{
  d[0] = LANE(0.0);
  d[1] = SEL(k == 0, -1, (k - lambda) / lambda);
  return poisson_logp(t, k, lambda);
}

/* log p + k log(1 - p): k failures, then the first success */
static inline lanes geometric_logp(terms t, lanes k, lanes p)
{
  lanes y = TERM(t, K_1, v_log(p)) + TERM(t, K_X | K_1, count_times(k, ONCE(t, K_1, v_log1p(-p))));
  return SEL(k >= 0, y, -HUGE_VAL);
}
static inline lanes geometric_partials(terms t, lanes k, lanes p, lanes *d)
{
  d[0] = LANE(0.0);
  d[1] = 1 / p - SEL(k == 0, 0, k / (1 - p));
  return geometric_logp(t, k, p);
}

/* k > 0; n = k + phi */
static inline lanes neg_binomial_2_inner(terms t, lanes k, lanes mu, lanes phi)
{
  lanes n = phi + k, p = phi / (phi + mu), q = mu / (phi + mu);
  lanes both = TERM(t, K_X | K_2, 0.5 * v_log(phi / n) + (v_stirling(n) - ONCE(t, K_2, v_stirling(phi))));
  return both - v_deviance(phi, n * p) - v_deviance(k, n * q) -
         TERM(t, K_X, count_lfact_rest(k));
}
/* The Poisson mixed over a gamma of mean mu and shape phi (R's dnbinom_mu): log of
   Gamma(k+phi)/(k! Gamma(phi)) (mu/(mu+phi))^k (phi/(mu+phi))^phi */
static inline lanes neg_binomial_2_logp(terms t, lanes x, lanes mu, lanes phi)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0);
  lanes y = PICK(k == 0, -phi * v_log1p(mu / phi), neg_binomial_2_inner(t, k, mu, phi));
  return SEL(inside, y, -HUGE_VAL);
}
/* d/dphi = digamma(k+phi) - digamma(phi) - log(1 + mu/phi) - u, u = (k-mu)/(mu+phi); for large phi
   the logarithms make log(1 + u). */
static inline lanes neg_binomial_2_partials(terms t, lanes k, lanes mu, lanes phi, lanes *d)
{
  lanes u = (k - mu) / (mu + phi), n = k + phi;
  d[0] = LANE(0.0);
  d[1] = phi / (mu + phi) * SEL(k == 0, -1, (k - mu) / mu);
  d[2] = PICK(phi < 10, v_digamma(n) - ONCE(t, K_2, v_digamma(phi)) - v_log1p(mu / phi) - u,
              count_log1p_rest(u) + 0.5 * (k / n) / phi +
              (v_digamma_tail(phi) - v_digamma_tail(n)));
  return neg_binomial_2_logp(t, k, mu, phi);
}

/* -log(b - a + 1) on the integers a..b */
static inline lanes discrete_uniform_logp(terms t, lanes k, lanes a, lanes b)
{
  return SEL((k >= a) & (k <= b), TERM(t, K_1 | K_2, -v_log(b - a + 1)), -HUGE_VAL);
}
static inline lanes discrete_uniform_partials(terms t, lanes k, lanes a, lanes b, lanes *d)
{
  d[0] = d[1] = d[2] = LANE(0.0);
  return discrete_uniform_logp(t, k, a, b);
}
#endif
