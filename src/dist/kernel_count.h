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
/* log k! - (k log k - k), 0 at k = 0 */
static inline lanes count_lfact_rest(lanes k)
{
  return SEL(k == 0, 0, v_stirling(k) + (0.5 * v_log(k) + V_LOG_SQRT_2PI));
}
/* log of n!/(k! l!) - n log n + k log k + l log l, n = k + l */
static inline lanes count_choose_rest(lanes n, lanes k, lanes l)
{
  return count_lfact_rest(n) - count_lfact_rest(k) - count_lfact_rest(l);
}
/* log Gamma(a) - (a log a - a), a > 0 */
static inline lanes count_lgamma_rest(lanes a)
{
  return v_stirling(a) - (0.5 * v_log(a) - V_LOG_SQRT_2PI);
}
/* The deviance of k from n p where p = exp(z) is far below 1. */
static inline lanes count_deviance_tiny(lanes k, lanes n, lanes z)
{
  return count_times(k, v_log(k / n) - z) + (n * v_exp(z) - k);
}
/* digamma(a + k) - digamma(a), k >= 0; for large a the logarithms make log(1 + k/a) */
static inline lanes count_digamma_rise(lanes k, lanes a)
{
  lanes n = a + k;
  return PICK(a < 10, v_digamma(n) - v_digamma(a),
              v_log1p(k / a) + 0.5 * (k / n) / a + (v_digamma_tail(a) - v_digamma_tail(n)));
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

/* log(1 + exp z), and its derivative 1/(1 + exp -z), by one exponential, logarithm and reciprocal;
   (e - (u - 1))/u is the rounding error of u = 1 + e. */
static inline lanes count_softplus(lanes z, lanes *slope)
{
  lanes e = v_exp(-v_abs(z)), u = 1 + e, r = 1 / u;
  *slope = SEL(z < 0, e * r, r);
  return SEL(z > 0, z, 0) + (v_log_normal(u) + (e - (u - 1)) * r);
}
/* log 1/(1 + exp -alpha) for 1, log 1/(1 + exp alpha) for 0 */
static inline lanes bernoulli_logit_logp(terms t, lanes x, lanes alpha)
{
  lanes slope;
  (void)t;
  return SEL((x == 0) | (x == 1), -count_softplus(SEL(x == 1, -alpha, alpha), &slope), -HUGE_VAL);
}
static inline lanes bernoulli_logit_partials(terms t, lanes x, lanes alpha, lanes *d)
{
  lanes slope, y = -count_softplus(SEL(x == 1, -alpha, alpha), &slope);
  (void)t;
  d[0] = LANE(0.0);
  d[1] = SEL(x == 1, slope, -slope);
  return SEL((x == 0) | (x == 1), y, -HUGE_VAL);
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

/* binomial with p = 1/(1 + exp -alpha) */
static inline lanes binomial_logit_inner(terms t, lanes k, lanes n, lanes alpha)
{
  lanes l = n - k, p = v_logit_inv(alpha), q = v_logit_inv(-alpha);
  return TERM(t, K_X | K_1, ONCE(t, K_1, count_lfact_rest(n)) - count_lfact_rest(k) -
                            count_lfact_rest(l)) -
         PICK(alpha < -V_LOG_MAX, count_deviance_tiny(k, n, alpha), v_deviance(k, n * p)) -
         PICK(alpha > V_LOG_MAX, count_deviance_tiny(l, n, -alpha), v_deviance(l, n * q));
}
static inline lanes binomial_logit_logp(terms t, lanes x, lanes n, lanes alpha)
{
  lane_mask inside = (x >= 0) & (x <= n);
  lanes k = SEL(inside, x, 0), l = n - k;
  lanes y = PICK((n >= 16) & (k > 0) & (l > 0), binomial_logit_inner(t, k, n, alpha),
                 TERM(t, K_X | K_1, ONCE(t, K_1, v_lfact(n)) - v_lfact(k) - v_lfact(l)) -
                 (count_times(k, ONCE(t, K_2, v_log1pexp(-alpha))) +
                  count_times(l, ONCE(t, K_2, v_log1pexp(alpha)))));
  return SEL(inside, y, -HUGE_VAL);
}
static inline lanes binomial_logit_partials(terms t, lanes k, lanes n, lanes alpha, lanes *d)
{
  d[0] = d[1] = LANE(0.0);
  d[2] = k * v_logit_inv(-alpha) - (n - k) * v_logit_inv(alpha);
  return binomial_logit_logp(t, k, n, alpha);
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

/* poisson with lambda = exp(alpha) */
static inline lanes poisson_log_logp(terms t, lanes x, lanes alpha)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0), lambda = v_exp(alpha);
  lanes y = PICK((k < 16) | (alpha < -V_LOG_MAX),
                 count_times(k, alpha) - lambda - TERM(t, K_X, v_lfact(k)),
                 -v_deviance(k, lambda) - TERM(t, K_X, count_lfact_rest(k)));
  return SEL(inside, SEL(lambda < HUGE_VAL, y, -HUGE_VAL), -HUGE_VAL);
}
static inline lanes poisson_log_partials(terms t, lanes k, lanes alpha, lanes *d)
{
  d[0] = LANE(0.0);
  d[1] = k - v_exp(alpha);
  return poisson_log_logp(t, k, alpha);
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

/* Gamma(k+phi)/(k! Gamma(phi)) q^k p^phi, k > 0, p + q = 1, without the two deviances: from phi,
   on which depends what is not of k alone. */
static inline lanes neg_binomial_rest(terms t, unsigned k_phi, lanes k, lanes phi)
{
  lanes n = phi + k;
  lanes fixed = ONCE(t, k_phi, v_stirling(phi));
  return TERM(t, K_X | k_phi, 0.5 * v_log(phi / n) + (v_stirling(n) - fixed)) -
         TERM(t, K_X, count_lfact_rest(k));
}
/* Its derivative in phi: digamma(k+phi) - digamma(phi) + log p - u, u = k p/phi - q being what
   comes by way of p (0 if p is a parameter); for large n the logarithms make log(1 + s),
   s = k p/phi - q. */
static inline lanes neg_binomial_slope(terms t, unsigned k_phi, lanes k, lanes phi, lanes s,
                                       lanes by_p, lanes minus_log_p)
{
  lanes n = k + phi;
  lanes logs = PICK(s > -0.5, count_log1p_rest(s) + (s - by_p),
                    v_log(n / phi) - minus_log_p - by_p);
  lanes large = PICK(phi < 10, ONCE(t, k_phi, v_log(phi) - v_digamma(phi)) - 0.5 / n,
                     0.5 * (k / n) / phi + v_digamma_tail(phi));
  return PICK(n < 10, v_digamma(n) - ONCE(t, k_phi, v_digamma(phi)) - minus_log_p - by_p,
              logs + (large - v_digamma_tail(n)));
}

/* The Poisson mixed over a gamma of mean mu and shape phi (R's dnbinom_mu): log of
   Gamma(k+phi)/(k! Gamma(phi)) (mu/(mu+phi))^k (phi/(mu+phi))^phi */
static inline lanes neg_binomial_2_inner(terms t, lanes k, lanes mu, lanes phi)
{
  lanes n = phi + k, p = phi / (phi + mu), q = mu / (phi + mu);
  return neg_binomial_rest(t, K_2, k, phi) - v_deviance(phi, n * p) - v_deviance(k, n * q);
}
static inline lanes neg_binomial_2_logp(terms t, lanes x, lanes mu, lanes phi)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0);
  lanes y = PICK(k == 0, -phi * v_log1p(mu / phi), neg_binomial_2_inner(t, k, mu, phi));
  return SEL(inside, y, -HUGE_VAL);
}
static inline lanes neg_binomial_2_partials(terms t, lanes k, lanes mu, lanes phi, lanes *d)
{
  lanes u = (k - mu) / (mu + phi);
  d[0] = LANE(0.0);
  d[1] = phi / (mu + phi) * SEL(k == 0, -1, (k - mu) / mu);
  d[2] = neg_binomial_slope(t, K_2, k, phi, u, u, v_log1p(mu / phi));
  return neg_binomial_2_logp(t, k, mu, phi);
}

/* neg_binomial_2 with mu = exp(eta): p = 1/(1 + exp z), z = eta - log phi */
static inline lanes neg_binomial_2_log_inner(terms t, lanes k, lanes eta, lanes phi)
{
  lanes n = phi + k, z = eta - ONCE(t, K_2, v_log(phi)), p = v_logit_inv(-z), q = v_logit_inv(z);
  return neg_binomial_rest(t, K_2, k, phi) -
         PICK(z > V_LOG_MAX, count_deviance_tiny(phi, n, -z), v_deviance(phi, n * p)) -
         PICK(z < -V_LOG_MAX, count_deviance_tiny(k, n, z), v_deviance(k, n * q));
}
static inline lanes neg_binomial_2_log_logp(terms t, lanes x, lanes eta, lanes phi)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0);
  lanes y = PICK(k == 0, -phi * v_log1pexp(eta - ONCE(t, K_2, v_log(phi))),
                 neg_binomial_2_log_inner(t, k, eta, phi));
  return SEL(inside, y, -HUGE_VAL);
}
static inline lanes neg_binomial_2_log_partials(terms t, lanes k, lanes eta, lanes phi,
                                                lanes *d)
{
  lanes z = eta - ONCE(t, K_2, v_log(phi)), p = v_logit_inv(-z), q = v_logit_inv(z);
  lanes u = (k / phi) * p - q;
  d[0] = LANE(0.0);
  d[1] = k * p - phi * q;
  d[2] = neg_binomial_slope(t, K_2, k, phi, u, u, v_log1pexp(z));
  return neg_binomial_2_log_logp(t, k, eta, phi);
}

/* Gamma(k+alpha)/(k! Gamma(alpha)) (1/(beta+1))^k (beta/(beta+1))^alpha */
static inline lanes neg_binomial_inner(terms t, lanes k, lanes alpha, lanes beta)
{
  lanes n = alpha + k, p = beta / (1 + beta), q = 1 / (1 + beta);
  return neg_binomial_rest(t, K_1, k, alpha) - v_deviance(alpha, n * p) - v_deviance(k, n * q);
}
static inline lanes neg_binomial_logp(terms t, lanes x, lanes alpha, lanes beta)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0);
  lanes y = PICK(k == 0, -alpha * ONCE(t, K_2, v_log1p(1 / beta)),
                 neg_binomial_inner(t, k, alpha, beta));
  return SEL(inside, y, -HUGE_VAL);
}
static inline lanes neg_binomial_partials(terms t, lanes k, lanes alpha, lanes beta,
                                          lanes *d)
{
  lanes s = (k * (beta / alpha) - 1) / (1 + beta);
  d[0] = LANE(0.0);
  d[1] = neg_binomial_slope(t, K_1, k, alpha, s, LANE(0.0), ONCE(t, K_2, v_log1p(1 / beta)));
  d[2] = (alpha / beta - k) / (1 + beta);
  return neg_binomial_logp(t, k, alpha, beta);
}

/* ---- mixtures over a probability, urns ------------------------------------------------------- */

/* A term that vanishes with a: a log(a/m) + m - a, 0 for tiny a (whose m may underflow) */
static inline lanes count_deviance_shape(lanes a, lanes m)
{
  return SEL(a < 1 / V_SQUARE_MAX, 0, v_deviance(a, m));
}
/* log of n!/(k!(n-k)!) B(k+a, n-k+b)/B(a, b): binomial mixed over beta.  With
   P = (k+a)/(n+a+b) what is large makes four deviances: of k from n P, of a from (a+b) P, and the
   same of n-k and b. */
static inline lanes beta_binomial_logp(terms t, lanes x, lanes n, lanes a, lanes b)
{
  lane_mask inside = (x >= 0) & (x <= n);
  lanes k = SEL(inside, x, 0), l = n - k, ka = k + a, lb = l + b, c = a + b, N = n + c;
  lanes p = ka / N, q = lb / N;
  lanes y = TERM(t, K_X | K_1, ONCE(t, K_1, count_lfact_rest(n)) - count_lfact_rest(k) -
                               count_lfact_rest(l)) +
            ((count_lgamma_rest(ka) + count_lgamma_rest(lb) -
              ONCE(t, K_1 | K_2 | K_3, count_lgamma_rest(N))) -
             TERM(t, K_2 | K_3,
                  count_lgamma_rest(a) + count_lgamma_rest(b) - count_lgamma_rest(c))) -
            (v_deviance(k, n * p) + v_deviance(l, n * q)) -
            (count_deviance_shape(a, c * p) + count_deviance_shape(b, c * q));
  return SEL(inside, y, -HUGE_VAL);
}
/* digamma(k+a) - digamma(a) - (digamma(n+c) - digamma(c)), c = a + b, l = n - k: for large a the
   logarithms make one */
static inline lanes beta_binomial_slope(lanes k, lanes a, lanes l, lanes b)
{
  lanes n = k + l, c = a + b, ka = k + a, N = n + c;
  lanes u = (k * (b / N) - l * (a / N)) / a;
  return PICK(a < 10, count_digamma_rise(k, a) - count_digamma_rise(n, c),
              SEL(u > -0.5, v_log1p(u), v_log(ka / a * (c / N))) +
              (0.5 * (k / ka) / a - 0.5 * (n / N) / c) +
              ((v_digamma_tail(a) - v_digamma_tail(ka)) - (v_digamma_tail(c) - v_digamma_tail(N))));
}
static inline lanes beta_binomial_partials(terms t, lanes k, lanes n, lanes a, lanes b,
                                           lanes *d)
{
  d[0] = d[1] = LANE(0.0);
  d[2] = beta_binomial_slope(k, a, n - k, b);
  d[3] = beta_binomial_slope(n - k, b, k, a);
  return beta_binomial_logp(t, k, n, a, b);
}

/* log of Gamma(k+r)/(k! Gamma(r)) B(r+a, k+b)/B(a, b): neg_binomial whose p is beta(a, b).  As
   beta_binomial of k and r: with P = (r+a)/(k+r+a+b) deviances of r from (k+r) P, of a from
   (a+b) P, and those of k and b. */
static inline lanes beta_neg_binomial_logp(terms t, lanes x, lanes r, lanes a, lanes b)
{
  lane_mask inside = (x >= 0) & (x < HUGE_VAL);
  lanes k = SEL(inside, x, 0), n = k + r, ra = r + a, kb = k + b, c = a + b, all = n + c;
  lanes p = ra / all, q = kb / all;
  lanes y = (count_lgamma_rest(n) - ONCE(t, K_1, count_lgamma_rest(r))) -
            TERM(t, K_X, count_lfact_rest(k)) +
            ((ONCE(t, K_1 | K_2, count_lgamma_rest(ra)) + count_lgamma_rest(kb) -
              count_lgamma_rest(all)) -
             TERM(t, K_2 | K_3,
                  count_lgamma_rest(a) + count_lgamma_rest(b) - count_lgamma_rest(c))) -
            (v_deviance(k, n * q) + count_deviance_shape(r, n * p)) -
            (count_deviance_shape(a, c * p) + count_deviance_shape(b, c * q));
  return SEL(inside, y, -HUGE_VAL);
}
/* d/dr = digamma(k+r) - digamma(r) - (digamma(k+r+a+b) - digamma(r+a)); for large r the logarithms
   make one */
static inline lanes beta_neg_binomial_partials(terms t, lanes k, lanes r, lanes a, lanes b,
                                               lanes *d)
{
  lanes n = k + r, ra = r + a, kb = k + b, all = ra + kb;
  d[0] = LANE(0.0);
  d[1] = PICK(r < 10, count_digamma_rise(k, r) - count_digamma_rise(kb, ra),
              v_log1p((k * (a / r) - b) / all) + (0.5 * (k / n) / r - 0.5 * (kb / all) / ra) +
              ((v_digamma_tail(r) - v_digamma_tail(n)) -
               (v_digamma_tail(ra) - v_digamma_tail(all))));
  d[2] = beta_binomial_slope(r, a, k, b);
  d[3] = beta_binomial_slope(k, b, r, a);
  return beta_neg_binomial_logp(t, k, r, a, b);
}

/* log of C(a, k) C(b, N-k) / C(a+b, N): binomial(a, p) and binomial(b, p) given their sum N, with
   p = N/(a+b), at which the deviance of the sum is 0 */
static inline lanes hypergeometric_logp(terms t, lanes x, lanes N, lanes a, lanes b)
{
  lane_mask inside = (x >= 0) & (x <= a) & (x <= N) & (x >= N - b);
  lanes c = a + b, m = c - N, k = SEL(inside, x, v_min(a, N)), l = N - k;
  lanes p = N / c, q = m / c;
  lanes y = (count_choose_rest(a, k, a - k) + count_choose_rest(b, l, b - l) -
             ONCE(t, K_1 | K_2 | K_3, count_choose_rest(c, N, m))) -
            (v_deviance(k, a * p) + v_deviance(a - k, a * q)) -
            (v_deviance(l, b * p) + v_deviance(b - l, b * q));
  return SEL(inside, SEL(c == 0, 0, y), -HUGE_VAL);
}
static inline lanes hypergeometric_partials(terms t, lanes k, lanes N, lanes a, lanes b,
                                            lanes *d)
{
  d[0] = d[1] = d[2] = d[3] = LANE(0.0);
  return hypergeometric_logp(t, k, N, a, b);
}

/* ---- whole numbers --------------------------------------------------------------------------- */

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
