/* kernel_real: formulas of the continuous families (see kernel.h). */
#ifndef NORN_KERNEL_REAL_H
#define NORN_KERNEL_REAL_H
#include "num/vspecial.h"

/* ---- location and scale ---------------------------------------------------------------------- */

/* -z^2/2 - log sigma - log(2 pi)/2,  z = (x - mu)/sigma */
static inline lanes normal_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  lanes z = (x - mu) * (1 / sigma);
  return -0.5 * z * z - TERM(t, K_2, v_log(sigma) + V_LOG_SQRT_2PI);
}
static inline lanes normal_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = 1 / sigma, z = (x - mu) * r;
  d[0] = -z * r;
  d[1] = z * r;
  d[2] = (z * z - 1) * r;
  return -0.5 * z * z - TERM(t, K_2, v_log(sigma) + V_LOG_SQRT_2PI);
}

static inline lanes std_normal_logp(terms t, lanes x)
{
  return -0.5 * x * x - TERM(t, K_X, LANE(V_LOG_SQRT_2PI));
}
static inline lanes std_normal_partials(terms t, lanes x, lanes *d)
{
  d[0] = -x;
  return std_normal_logp(t, x);
}

/* Twice the normal density with mean 0, on x >= 0. */
static inline lanes half_normal_logp(terms t, lanes x, lanes sigma)
{
  lanes z = x * (1 / sigma);
  lanes l = -0.5 * z * z - TERM(t, K_1, v_log(sigma) + V_LOG_SQRT_2PI) +
            TERM(t, K_1, V_LOG_2);
  return SEL(x >= 0, l, -HUGE_VAL);
}
static inline lanes half_normal_partials(terms t, lanes x, lanes sigma, lanes *d)
{
  lanes r = 1 / sigma, z = x * r;
  d[0] = -z * r;
  d[1] = (z * z - 1) * r;
  return half_normal_logp(t, x, sigma);
}

/* normal_logp(log x, mu, sigma) - log x, on x > 0 */
static inline lanes lognormal_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  lanes l = v_log(x), logp = normal_logp(t, l, mu, sigma) - TERM(t, K_X, l);
  return SEL((x > 0) & (x < HUGE_VAL), logp, -HUGE_VAL);
}
static inline lanes lognormal_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes l = v_log(x), logp = normal_partials(t, l, mu, sigma, d) - TERM(t, K_X, l);
  d[0] = (d[0] - 1) / x;
  return SEL((x > 0) & (x < HUGE_VAL), logp, -HUGE_VAL);
}

/* log(1 + z^2) and 2 z / (1 + z^2), also where z^2 would overflow */
static inline lanes kernel_log1p_square(lanes z)
{
  lanes a = v_abs(z);
  return PICK(a < 1e9, v_log1p(a * a), 2 * v_log(a));
}
static inline lanes kernel_pull(lanes z)
{
  return SEL(v_abs(z) < 1e9, 2 * z / (1 + z * z), 2 / z);
}

/* -log pi - log sigma - log(1 + z^2) */
static inline lanes cauchy_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  lanes z = (x - mu) * (1 / sigma);
  return -kernel_log1p_square(z) - TERM(t, K_2, v_log(sigma) + V_LOG_PI);
}
static inline lanes cauchy_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = 1 / sigma, z = (x - mu) * r, pull = kernel_pull(z);
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  return -kernel_log1p_square(z) - TERM(t, K_2, v_log(sigma) + V_LOG_PI);
}

/* Twice the Cauchy density with median 0, on x >= 0. */
static inline lanes half_cauchy_logp(terms t, lanes x, lanes sigma)
{
  lanes z = x * (1 / sigma);
  lanes l = -kernel_log1p_square(z) - TERM(t, K_1, v_log(sigma) + V_LOG_PI) +
            TERM(t, K_1, V_LOG_2);
  return SEL(x >= 0, l, -HUGE_VAL);
}
static inline lanes half_cauchy_partials(terms t, lanes x, lanes sigma, lanes *d)
{
  lanes r = 1 / sigma, z = x * r, pull = kernel_pull(z);
  d[0] = -pull * r;
  d[1] = (pull * z - 1) * r;
  return half_cauchy_logp(t, x, sigma);
}

/* log Gamma((nu+1)/2) - log Gamma(nu/2) - log(pi nu)/2 and its derivative.  Large nu: the series of
   v_half_gamma_ratio, whose leading term cancels. */
static inline lanes student_t_constant(lanes nu)
{
  return v_half_gamma_ratio(0.5 * nu) - 0.5 * (v_log(nu) + V_LOG_PI);
}
static inline lanes student_t_constant_slope(lanes nu)
{
  lanes h = 0.5 * nu, s = 1 / (h * h);
  lanes series = 0.5 * s * (1.0 / 8 - s * (1.0 / 64 - s * (1.0 / 128 - s * (17.0 / 2048))));
  return PICK(h < 20, 0.5 * (v_digamma(h + 0.5) - v_digamma(h)) - 0.5 / nu, series);
}
/* log(1 + a^2/nu), also where a^2 would overflow */
static inline lanes student_t_log(lanes a, lanes nu)
{
  return PICK(a < 1e150, v_log1p(a * a / nu), 2 * v_log(a) - v_log(nu));
}
/* constant(nu) - log sigma - (nu+1)/2 log(1 + z^2/nu) */
static inline lanes student_t_logp(terms t, lanes x, lanes nu, lanes mu, lanes sigma)
{
  lanes z = (x - mu) * (1 / sigma);
  return TERM(t, K_1, student_t_constant(nu)) - TERM(t, K_3, v_log(sigma)) -
         0.5 * (nu + 1) * student_t_log(v_abs(z), nu);
}
static inline lanes student_t_partials(terms t, lanes x, lanes nu, lanes mu, lanes sigma,
                                       lanes *d)
{
  lanes r = 1 / sigma, z = (x - mu) * r, a = v_abs(z), l = student_t_log(a, nu);
  lanes pull = SEL(a < 1e150, (nu + 1) * z / (nu + z * z), (nu + 1) / z);
  d[0] = -pull * r;
  d[1] = ONCE(t, K_1, student_t_constant_slope(nu)) - 0.5 * l + 0.5 * pull * (z / nu);
  d[2] = pull * r;
  d[3] = (pull * z - 1) * r;
  return TERM(t, K_1, student_t_constant(nu)) - TERM(t, K_3, v_log(sigma)) -
         0.5 * (nu + 1) * l;
}

/* -log(2 sigma) - |z| */
static inline lanes laplace_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  return -v_abs((x - mu) * (1 / sigma)) - TERM(t, K_2, v_log(sigma) + V_LOG_2);
}
static inline lanes laplace_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = 1 / sigma, z = (x - mu) * r, pull = SEL(z > 0, r, SEL(z < 0, -r, 0.0));
  d[0] = -pull;
  d[1] = pull;
  d[2] = (v_abs(z) - 1) * r;
  return laplace_logp(t, x, mu, sigma);
}

/* -|z| - log sigma - 2 log(1 + exp -|z|) */
static inline lanes logistic_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  lanes a = v_abs((x - mu) * (1 / sigma));
  return -a - TERM(t, K_2, v_log(sigma)) - 2 * v_log1p(v_exp(-a));
}
static inline lanes logistic_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = 1 / sigma, z = (x - mu) * r, a = v_abs(z), e = v_exp(-a), s = (1 - e) / (1 + e);
  lanes pull = SEL(z < 0, -s, s);                             /* tanh(z/2) */
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  return -a - TERM(t, K_2, v_log(sigma)) - 2 * v_log1p(e);
}

/* ---- on an interval or a half line ----------------------------------------------------------- */

/* -log(b - a) on a <= x <= b */
static inline lanes uniform_logp(terms t, lanes x, lanes a, lanes b)
{
  return SEL((x >= a) & (x <= b), TERM(t, K_1 | K_2, -v_log(b - a)), -HUGE_VAL);
}
static inline lanes uniform_partials(terms t, lanes x, lanes a, lanes b, lanes *d)
{
  d[0] = LANE(0.0);
  d[1] = 1 / (b - a);
  d[2] = -1 / (b - a);
  return uniform_logp(t, x, a, b);
}

/* log beta - beta x on x >= 0 */
static inline lanes exponential_logp(terms t, lanes x, lanes beta)
{
  return SEL(x >= 0, TERM(t, K_1, v_log(beta)) - beta * x, -HUGE_VAL);
}
static inline lanes exponential_partials(terms t, lanes x, lanes beta, lanes *d)
{
  d[0] = -beta;
  d[1] = 1 / beta - x;
  return exponential_logp(t, x, beta);
}

/* The limit of (a-1) log x + c as x falls to 0: the density of gamma and beta at their edge. */
static inline lanes kernel_edge(lanes a, lanes c)
{
  return SEL(a < 1, HUGE_VAL, SEL(a > 1, -HUGE_VAL, c));
}

/* log(alpha)/2 - log(2 pi)/2 - stirling(alpha): with -deviance(alpha, m) it is the saddle-point
   form of alpha log m - m - log Gamma(alpha), for alpha >= 10 (Loader 2000). */
static inline lanes kernel_saddle(lanes alpha)
{
  return 0.5 * v_log(alpha) - V_LOG_SQRT_2PI - v_stirling_large(alpha);
}

/* alpha log beta - log Gamma(alpha) + (alpha-1) log x - beta x on x > 0. */
static inline lanes gamma_logp(terms t, lanes x, lanes alpha, lanes beta)
{
  lanes lx = v_log(x);
  lanes l = PICK(alpha < 10,
    TERM(t, K_1 | K_2, alpha * v_log(beta) - v_lgamma(alpha)) + ((alpha - 1) * lx - beta * x),
    TERM(t, K_1, kernel_saddle(alpha)) - v_deviance(alpha, beta * x) - lx);
  lane_mask outside = NOT((x > 0) & (x < HUGE_VAL));
  if (ANY(outside)) {
    lanes edge = kernel_edge(alpha, TERM(t, K_1 | K_2, v_log(beta)));
    l = SEL(outside, SEL(x == 0, edge, -HUGE_VAL), l);
  }
  return l;
}
static inline lanes gamma_partials(terms t, lanes x, lanes alpha, lanes beta, lanes *d)
{
  d[0] = (alpha - 1) / x - beta;
  d[1] = ONCE(t, K_2, v_log(beta)) + v_log(x) - ONCE(t, K_1, v_digamma(alpha));
  d[2] = alpha / beta - x;
  return gamma_logp(t, x, alpha, beta);
}

/* The density of 1/g where g is gamma(alpha, beta). */
static inline lanes inv_gamma_logp(terms t, lanes x, lanes alpha, lanes beta)
{
  lanes lx = v_log(x);
  lanes l = PICK(alpha < 10,
    TERM(t, K_1 | K_2, alpha * v_log(beta) - v_lgamma(alpha)) - ((alpha + 1) * lx + beta / x),
    TERM(t, K_1, kernel_saddle(alpha)) - v_deviance(alpha, beta / x) - lx);
  return SEL((x > 0) & (x < HUGE_VAL), l, -HUGE_VAL);
}
static inline lanes inv_gamma_partials(terms t, lanes x, lanes alpha, lanes beta, lanes *d)
{
  d[0] = (beta / x - (alpha + 1)) / x;
  d[1] = ONCE(t, K_2, v_log(beta)) - v_log(x) - ONCE(t, K_1, v_digamma(alpha));
  d[2] = alpha / beta - 1 / x;
  return inv_gamma_logp(t, x, alpha, beta);
}

/* For both shapes at least 10: (alpha-1) log x + (beta-1) log(1-x) - log B(alpha, beta) as gamma's
   saddle point. */
static inline lanes beta_saddle(terms t, lanes x, lanes alpha, lanes beta, lanes lx, lanes ly)
{
  lanes n = alpha + beta;
  lanes constant = 0.5 * v_log(alpha / n * beta) - V_LOG_SQRT_2PI - v_stirling_large(alpha) -
                   v_stirling_large(beta) + v_stirling_large(n);
  return TERM(t, K_1 | K_2, constant) - v_deviance(alpha, n * x) - v_deviance(beta, n * (1 - x))
         - lx - ly;
}
/* (alpha-1) log x + (beta-1) log(1-x) - log B(alpha, beta) on 0 < x < 1 */
static inline lanes beta_logp(terms t, lanes x, lanes alpha, lanes beta)
{
  lanes lx = v_log(x), ly = v_log1p(-x);
  lanes l = PICK((alpha < 10) | (beta < 10),
    ((alpha - 1) * lx + (beta - 1) * ly) - TERM(t, K_1 | K_2, v_lbeta(alpha, beta)),
    beta_saddle(t, x, alpha, beta, lx, ly));
  lane_mask outside = NOT((x > 0) & (x < 1));
  if (ANY(outside)) {
    lanes low = kernel_edge(alpha, TERM(t, K_1 | K_2, v_log(beta)));
    lanes high = kernel_edge(beta, TERM(t, K_1 | K_2, v_log(alpha)));
    l = SEL(outside, SEL(x == 0, low, SEL(x == 1, high, -HUGE_VAL)), l);
  }
  return l;
}
static inline lanes beta_partials(terms t, lanes x, lanes alpha, lanes beta, lanes *d)
{
  lanes both = ONCE(t, K_1 | K_2, v_digamma(alpha + beta));
  d[0] = (alpha - 1) / x - (beta - 1) / (1 - x);
  d[1] = v_log(x) - ONCE(t, K_1, v_digamma(alpha)) + both;
  d[2] = v_log1p(-x) - ONCE(t, K_2, v_digamma(beta)) + both;
  return beta_logp(t, x, alpha, beta);
}
#endif
