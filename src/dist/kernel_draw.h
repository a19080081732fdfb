/* kernel_draw: draws that are a function of one random number, in the dialect of num/lane.h (see
   kernel.h): NAME_draw(u, parameters), u uniform on (0, 1), or NAME_draw(z, parameters), z standard
   normal (families.h says which).  By inversion, unless a source is named.  u and 1 - u are equally
   likely; u is never 0, 1/2 or 1. */
#ifndef NORN_KERNEL_DRAW_H
#define NORN_KERNEL_DRAW_H
#include "num/vspecial.h"

/* Inside the support, and within the doubles: a draw does not leave either by rounding. */
static inline lanes draw_positive(lanes x)
{
  return SEL(x < V_TINY, V_TINY, SEL(x > V_HUGE, V_HUGE, x));
}
static inline lanes draw_finite(lanes x)
{
  return SEL(x > V_HUGE, V_HUGE, SEL(x < -V_HUGE, -V_HUGE, x));
}

/* ---- of a standard normal -------------------------------------------------------------------- */

static inline lanes std_normal_draw(lanes z) { return z; }
static inline lanes normal_draw(lanes z, lanes mu, lanes sigma) { return mu + sigma * z; }
static inline lanes half_normal_draw(lanes z, lanes sigma) { return sigma * v_abs(z); }
static inline lanes lognormal_draw(lanes z, lanes mu, lanes sigma)
{
  return draw_positive(v_exp(normal_draw(z, mu, sigma)));
}

/* ---- of a uniform ---------------------------------------------------------------------------- */

static inline lanes uniform_draw(lanes u, lanes lower, lanes upper)
{
  lanes x = lower + (upper - lower) * u;
  return SEL(x < upper, x, upper);
}

/* -log(u)/beta */
static inline lanes exponential_draw(lanes u, lanes beta)
{
  return draw_positive(-v_log_normal(u) / beta);
}

/* tan(pi u / 2), exact to rounding at both ends */
static inline lanes draw_tan(lanes u)
{
  lanes s, c;
  v_sincos2pi(0.25 * SEL(u > 0.5, 1 - u, u), &s, &c);
  return SEL(u > 0.5, c / s, s / c);
}
static inline lanes cauchy_draw(lanes u, lanes mu, lanes sigma)
{
  lanes t = 1 / draw_tan(SEL(u < 0.5, 2 * u, 2 * (1 - u)));
  return draw_finite(mu + sigma * SEL(u < 0.5, -t, t));
}
static inline lanes half_cauchy_draw(lanes u, lanes sigma)
{
  return draw_finite(sigma * draw_tan(u));
}

static inline lanes laplace_draw(lanes u, lanes mu, lanes sigma)
{
  lanes l = v_log(SEL(u < 0.5, 2 * u, 2 * (1 - u)));
  return mu + sigma * SEL(u < 0.5, l, -l);
}

/* log(u / (1 - u)) */
static inline lanes logistic_draw(lanes u, lanes mu, lanes sigma)
{
  return mu + sigma * (v_log(u) - v_log(1 - u));
}

/* e = -log(u) is exponential of rate 1; the others by the inverse of their distribution function. */
static inline lanes gumbel_draw(lanes u, lanes mu, lanes beta)
{
  return draw_finite(mu - beta * v_log(-v_log_normal(u)));
}
static inline lanes rayleigh_draw(lanes u, lanes sigma)
{
  return draw_positive(sigma * lane_sqrt(2 * -v_log_normal(u)));
}
static inline lanes weibull_draw(lanes u, lanes alpha, lanes sigma)
{
  return draw_positive(sigma * v_exp(v_log(-v_log_normal(u)) / alpha));
}
static inline lanes frechet_draw(lanes u, lanes alpha, lanes sigma)
{
  return draw_positive(sigma * v_exp(-v_log(-v_log_normal(u)) / alpha));
}
static inline lanes pareto_draw(lanes u, lanes y_min, lanes alpha)
{
  return draw_finite(y_min * v_exp(-v_log_normal(u) / alpha));
}
static inline lanes pareto_type_2_draw(lanes u, lanes mu, lanes lambda, lanes alpha)
{
  return draw_finite(mu + lambda * v_expm1(-v_log_normal(u) / alpha));
}
static inline lanes loglogistic_draw(lanes u, lanes alpha, lanes beta)
{
  return draw_positive(alpha * v_exp((v_log(u) - v_log(1 - u)) / beta));
}

static inline lanes bernoulli_draw(lanes u, lanes theta) { return SEL(u < theta, LANE(1.0), 0.0); }
static inline lanes bernoulli_logit_draw(lanes u, lanes alpha)
{
  return bernoulli_draw(u, v_logit_inv(alpha));
}

/* The whole part of -log(u) / -log(1 - p); V_WHOLE and more is whole already. */
static inline lanes geometric_draw(lanes u, lanes p)
{
  lanes x = -v_log_normal(u) / -v_log1p(-p);            /* p = 1: a division by infinity */
  lanes r = (x + V_WHOLE) - V_WHOLE;
  return SEL(x < V_WHOLE, SEL(r > x, r - 1, r), x);
}
#endif
