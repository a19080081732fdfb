/* kernel_real: formulas of the continuous families (see kernel.h). */
#ifndef NORN_KERNEL_REAL_H
#define NORN_KERNEL_REAL_H
#include "num/vspecial.h"

/* ---- location and scale ---------------------------------------------------------------------- */

/* -z^2/2 - log sigma - log(2 pi)/2,  z = (x - mu)/sigma */
static inline lanes normal_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  lanes z = (x - mu) * ONCE(t, K_2, 1 / sigma);
  return -0.5 * z * z - TERM(t, K_2, v_log(sigma) + V_LOG_SQRT_2PI);
}
static inline lanes normal_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), z = (x - mu) * r;
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
  lanes z = x * ONCE(t, K_1, 1 / sigma);
  lanes l = -0.5 * z * z - TERM(t, K_1, v_log(sigma) + V_LOG_SQRT_2PI) +
            TERM(t, K_1, V_LOG_2);
  return SEL(x >= 0, l, -HUGE_VAL);
}
static inline lanes half_normal_partials(terms t, lanes x, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_1, 1 / sigma), z = x * r;
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
  lanes z = (x - mu) * ONCE(t, K_2, 1 / sigma);
  return -kernel_log1p_square(z) - TERM(t, K_2, v_log(sigma) + V_LOG_PI);
}
static inline lanes cauchy_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), z = (x - mu) * r, pull = kernel_pull(z);
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  return -kernel_log1p_square(z) - TERM(t, K_2, v_log(sigma) + V_LOG_PI);
}

/* Twice the Cauchy density with median 0, on x >= 0. */
static inline lanes half_cauchy_logp(terms t, lanes x, lanes sigma)
{
  lanes z = x * ONCE(t, K_1, 1 / sigma);
  lanes l = -kernel_log1p_square(z) - TERM(t, K_1, v_log(sigma) + V_LOG_PI) +
            TERM(t, K_1, V_LOG_2);
  return SEL(x >= 0, l, -HUGE_VAL);
}
static inline lanes half_cauchy_partials(terms t, lanes x, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_1, 1 / sigma), z = x * r, pull = kernel_pull(z);
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
  return PICK(a < V_SQUARE_MAX, v_log1p(a * a / nu), 2 * v_log(a) - v_log(nu));
}
/* log(1 + w) - w/(1 + w); small w: with r = w/(2 + w), 2 r^2/(1 + r) + 2 (r^3/3 + r^5/5 + ...) */
static inline lanes kernel_log1p_rest(lanes w)
{
  lanes r = w / (2 + w), s = r * r;
  lanes series = s * r * (1.0 / 3 + s * (1.0 / 5 + s * (1.0 / 7 + s * (1.0 / 9 + s * (1.0 / 11 +
                 s * (1.0 / 13 + s * (1.0 / 15)))))));
  return PICK(w < 0.25, 2 * s / (1 + r) + 2 * series, v_log1p(w) - w / (1 + w));
}
/* d/dnu of the constant - (nu+1)/2 log(1 + a^2/nu) */
static inline lanes student_t_nu(terms t, lanes a, lanes nu)
{
  lanes w = a * a / nu, slope = ONCE(t, K_1, student_t_constant_slope(nu));
  return PICK(a < V_SQUARE_MAX, slope - 0.5 * kernel_log1p_rest(w) + 0.5 / nu * (w / (1 + w)),
              slope - 0.5 * (2 * v_log(a) - v_log(nu)) + 0.5 * (nu + 1) / nu);
}
/* constant(nu) - log sigma - (nu+1)/2 log(1 + z^2/nu) */
static inline lanes student_t_logp(terms t, lanes x, lanes nu, lanes mu, lanes sigma)
{
  lanes z = (x - mu) * ONCE(t, K_3, 1 / sigma);
  return TERM(t, K_1, student_t_constant(nu)) - TERM(t, K_3, v_log(sigma)) -
         0.5 * (nu + 1) * student_t_log(v_abs(z), nu);
}
static inline lanes student_t_partials(terms t, lanes x, lanes nu, lanes mu, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_3, 1 / sigma), z = (x - mu) * r, a = v_abs(z);
  lanes pull = SEL(a < V_SQUARE_MAX, (nu + 1) * z / (nu + z * z), (nu + 1) / z);
  d[0] = -pull * r;
  d[1] = student_t_nu(t, a, nu);
  d[2] = pull * r;
  d[3] = (pull * z - 1) * r;
  return TERM(t, K_1, student_t_constant(nu)) - TERM(t, K_3, v_log(sigma)) -
         0.5 * (nu + 1) * student_t_log(a, nu);
}

/* Twice the density of student_t(nu, 0, sigma), on x >= 0. */
static inline lanes half_student_t_logp(terms t, lanes x, lanes nu, lanes sigma)
{
  lanes z = x * ONCE(t, K_2, 1 / sigma);
  lanes l = TERM(t, K_1, student_t_constant(nu) + V_LOG_2) - TERM(t, K_2, v_log(sigma)) -
            0.5 * (nu + 1) * student_t_log(v_abs(z), nu);
  return SEL(x >= 0, l, -HUGE_VAL);
}
static inline lanes half_student_t_partials(terms t, lanes x, lanes nu, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), z = x * r, a = v_abs(z);
  lanes pull = SEL(a < V_SQUARE_MAX, (nu + 1) * z / (nu + z * z), (nu + 1) / z);
  d[0] = -pull * r;
  d[1] = student_t_nu(t, a, nu);
  d[2] = (pull * z - 1) * r;
  return half_student_t_logp(t, x, nu, sigma);
}

/* -log(2 sigma) - |z| */
static inline lanes laplace_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  return -v_abs((x - mu) * ONCE(t, K_2, 1 / sigma)) - TERM(t, K_2, v_log(sigma) + V_LOG_2);
}
static inline lanes laplace_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), z = (x - mu) * r, pull = SEL(z > 0, r, SEL(z < 0, -r, 0.0));
  d[0] = -pull;
  d[1] = pull;
  d[2] = (v_abs(z) - 1) * r;
  return laplace_logp(t, x, mu, sigma);
}

/* laplace by Stan's name */
static inline lanes double_exponential_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  return laplace_logp(t, x, mu, sigma);
}
static inline lanes double_exponential_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  return laplace_partials(t, x, mu, sigma, d);
}

/* -|z| - log sigma - 2 log(1 + exp -|z|) */
static inline lanes logistic_logp(terms t, lanes x, lanes mu, lanes sigma)
{
  lanes a = v_abs((x - mu) * ONCE(t, K_2, 1 / sigma));
  return -a - TERM(t, K_2, v_log(sigma)) - 2 * v_log1p(v_exp(-a));
}
static inline lanes logistic_partials(terms t, lanes x, lanes mu, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), z = (x - mu) * r, a = v_abs(z), e = v_exp(-a);
  lanes s = (1 - e) / (1 + e);
  lanes pull = SEL(z < 0, -s, s);                             /* tanh(z/2) */
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  return -a - TERM(t, K_2, v_log(sigma)) - 2 * v_log1p(e);
}

/* -log beta - z - exp -z,  z = (x - mu)/beta */
static inline lanes gumbel_logp(terms t, lanes x, lanes mu, lanes beta)
{
  lanes z = (x - mu) * ONCE(t, K_2, 1 / beta);
  lanes l = -z - v_exp(-z) - TERM(t, K_2, v_log(beta));
  return SEL(z < -V_LOG_END, -HUGE_VAL, l);
}
static inline lanes gumbel_partials(terms t, lanes x, lanes mu, lanes beta, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / beta), z = (x - mu) * r, w = v_expm1(-z);
  d[0] = w * r;
  d[1] = -w * r;
  d[2] = (-z * w - 1) * r;
  return gumbel_logp(t, x, mu, beta);
}

/* log 2 + log phi(z) + log Phi(alpha z) - log omega,  z = (x - xi)/omega */
static inline lanes skew_normal_logp(terms t, lanes x, lanes xi, lanes omega, lanes alpha)
{
  lanes z = (x - xi) * ONCE(t, K_2, 1 / omega);
  lanes l = v_norm_log_cdf(alpha * z) - 0.5 * z * z -
            TERM(t, K_2, v_log(omega) + (V_LOG_SQRT_2PI - V_LOG_2));
  return SEL(v_abs(z) < HUGE_VAL, l, -HUGE_VAL);
}
static inline lanes skew_normal_partials(terms t, lanes x, lanes xi, lanes omega, lanes alpha,
                                         lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / omega), z = (x - xi) * r, h = v_norm_hazard(alpha * z);
  lanes pull = z - alpha * h;
  d[0] = -pull * r;
  d[1] = pull * r;
  d[2] = (pull * z - 1) * r;
  d[3] = z * h;
  return skew_normal_logp(t, x, xi, omega, alpha);
}

/* kappa (cos(x - mu) - 1) - log(2 pi e^-kappa I0(kappa)), with 1 - cos a = 2 sin^2(a/2) */
static inline void von_mises_half(lanes x, lanes mu, lanes *sine, lanes *cosine)
{
  lanes u = (x - mu) * (0.25 / V_PI), whole = (u + V_ROUND) - V_ROUND;
  v_sincos2pi(SEL(v_abs(u) < V_WHOLE / 4, u - whole, 0.0), sine, cosine);
}
static inline lanes von_mises_logp(terms t, lanes x, lanes mu, lanes kappa)
{
  lanes s, c;
  von_mises_half(x, mu, &s, &c);
  lanes l = -2 * kappa * (s * s) - TERM(t, K_2, v_bessel_i0_scaled_log(kappa) + 2 * V_LOG_SQRT_2PI);
  return SEL(v_abs(x) < HUGE_VAL, l, -HUGE_VAL);
}
static inline lanes von_mises_partials(terms t, lanes x, lanes mu, lanes kappa, lanes *d)
{
  lanes s, c;
  von_mises_half(x, mu, &s, &c);
  d[0] = -2 * kappa * (s * c);
  d[1] = 2 * kappa * (s * c);
  d[2] = ONCE(t, K_2, v_bessel_gap(kappa)) - 2 * (s * s);
  return von_mises_logp(t, x, mu, kappa);
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
/* log a - digamma(a) */
static inline lanes kernel_digamma_gap(lanes a)
{
  return PICK(a < 10, v_log(a) - v_digamma(a), 0.5 / a + v_digamma_tail(a));
}
/* log(1 + d/a), or `far` where d is not small beside a: derivatives in the shapes, without the
   cancellation of logarithms against digamma functions. */
static inline lanes kernel_log_near(lanes d, lanes a, lanes far)
{
  return PICK(v_abs(d) < 0.5 * a, v_log1p(d / a), far);
}
static inline lanes gamma_partials(terms t, lanes x, lanes alpha, lanes beta, lanes *d)
{
  lanes far = v_log(x) + ONCE(t, K_1 | K_2, v_log(beta) - v_log(alpha));
  d[0] = (alpha - 1) / x - beta;
  d[1] = kernel_log_near(beta * x - alpha, alpha, far) + ONCE(t, K_1, kernel_digamma_gap(alpha));
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
  lanes far = ONCE(t, K_1 | K_2, v_log(beta) - v_log(alpha)) - v_log(x);
  d[0] = (beta / x - (alpha + 1)) / x;
  d[1] = kernel_log_near(beta / x - alpha, alpha, far) + ONCE(t, K_1, kernel_digamma_gap(alpha));
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
  lanes n = alpha + beta, e = n * x - alpha, both = ONCE(t, K_1 | K_2, kernel_digamma_gap(n));
  lanes a = ONCE(t, K_1 | K_2, v_log(n / alpha)), b = ONCE(t, K_1 | K_2, v_log(n / beta));
  d[0] = (alpha - 1) / x - (beta - 1) / (1 - x);
  d[1] = kernel_log_near(e, alpha, v_log(x) + a) +
         (ONCE(t, K_1, kernel_digamma_gap(alpha)) - both);
  d[2] = kernel_log_near(-e, beta, v_log1p(-x) + b) +
         (ONCE(t, K_2, kernel_digamma_gap(beta)) - both);
  return beta_logp(t, x, alpha, beta);
}

/* beta(mu kappa, (1 - mu) kappa) */
static inline lanes beta_proportion_logp(terms t, lanes x, lanes mu, lanes kappa)
{
  return beta_logp(t, x, mu * kappa, (1 - mu) * kappa);
}
/* d/dkappa = mu log(x/mu) + (1-mu) log((1-x)/(1-mu)) + gaps, which is two deviances */
static inline lanes beta_proportion_partials(terms t, lanes x, lanes mu, lanes kappa, lanes *d)
{
  lanes nu = 1 - mu, alpha = mu * kappa, beta = nu * kappa, e = x - mu;
  lanes a = ONCE(t, K_1 | K_2, kernel_digamma_gap(alpha));
  lanes b = ONCE(t, K_1 | K_2, kernel_digamma_gap(beta));
  lanes la = kernel_log_near(e, mu, v_log(x) - ONCE(t, K_1, v_log(mu)));
  lanes lb = kernel_log_near(-e, nu, v_log1p(-x) - ONCE(t, K_1, v_log(nu)));
  d[0] = (alpha - 1) / x - (beta - 1) / (1 - x);
  d[1] = kappa * ((la - lb) + (a - b));
  d[2] = (mu * a + nu * b - ONCE(t, K_2, kernel_digamma_gap(kappa))) -
         (v_deviance(mu, x) + v_deviance(nu, 1 - x));
  return beta_proportion_logp(t, x, mu, kappa);
}

/* ---- chi-square: gamma and inv_gamma of shape nu/2 ------------------------------------------- */

static inline lanes chi_square_logp(terms t, lanes x, lanes nu)
{
  return gamma_logp(t, x, 0.5 * nu, LANE(0.5));
}
static inline lanes chi_square_partials(terms t, lanes x, lanes nu, lanes *d)
{
  lanes g[3], logp = gamma_partials(t, x, 0.5 * nu, LANE(0.5), g);
  d[0] = g[0];
  d[1] = 0.5 * g[1];
  return logp;
}

static inline lanes inv_chi_square_logp(terms t, lanes x, lanes nu)
{
  return inv_gamma_logp(t, x, 0.5 * nu, LANE(0.5));
}
static inline lanes inv_chi_square_partials(terms t, lanes x, lanes nu, lanes *d)
{
  lanes g[3], logp = inv_gamma_partials(t, x, 0.5 * nu, LANE(0.5), g);
  d[0] = g[0];
  d[1] = 0.5 * g[1];
  return logp;
}

/* inv_gamma(nu/2, nu s^2/2) */
static inline lanes scaled_inv_chi_square_logp(terms t, lanes x, lanes nu, lanes s)
{
  return inv_gamma_logp(t, x, 0.5 * nu, 0.5 * nu * s * s);
}
/* d/dnu = (log h - digamma(h) - (w - 1 - log w))/2, w = s^2/x, h = nu/2 */
static inline lanes scaled_inv_chi_square_partials(terms t, lanes x, lanes nu, lanes s, lanes *d)
{
  lanes w = s * s / x, h = 0.5 * nu;
  d[0] = (h * w - (h + 1)) / x;
  d[1] = 0.5 * (ONCE(t, K_1, kernel_digamma_gap(h)) - v_deviance(LANE(1.0) + 0 * w, w));
  d[2] = nu * (1 - w) / s;
  return scaled_inv_chi_square_logp(t, x, nu, s);
}

/* ---- powers and extremes --------------------------------------------------------------------- */

/* log x - 2 log sigma - (x/sigma)^2/2 on x > 0 */
static inline lanes rayleigh_logp(terms t, lanes x, lanes sigma)
{
  lanes z = x * ONCE(t, K_1, 1 / sigma);
  lanes l = TERM(t, K_X, v_log(x)) - TERM(t, K_1, 2 * v_log(sigma)) - 0.5 * z * z;
  return SEL((x > 0) & (x < HUGE_VAL), l, -HUGE_VAL);
}
static inline lanes rayleigh_partials(terms t, lanes x, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_1, 1 / sigma), z = x * r;
  d[0] = 1 / x - z * r;
  d[1] = (z * z - 2) * r;
  return rayleigh_logp(t, x, sigma);
}

/* log(alpha/sigma) + (alpha-1) l - exp(alpha l), l = log(x/sigma), on x > 0 */
static inline lanes weibull_logp(terms t, lanes x, lanes alpha, lanes sigma)
{
  lanes l = v_log(x * ONCE(t, K_2, 1 / sigma)), a = TERM(t, K_1 | K_2, v_log(alpha) - v_log(sigma));
  lanes logp = (a + (alpha - 1) * l) - v_exp(alpha * l);
  lane_mask outside = NOT((x > 0) & (x < HUGE_VAL));
  return SEL(outside, SEL(x == 0, kernel_edge(alpha, a), -HUGE_VAL), logp);
}
static inline lanes weibull_partials(terms t, lanes x, lanes alpha, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), l = v_log(x * r), w = v_expm1(alpha * l);
  d[0] = -(1 + alpha * w) / x;
  d[1] = 1 / alpha - l * w;
  d[2] = alpha * w * r;
  return weibull_logp(t, x, alpha, sigma);
}

/* log(alpha/sigma) - (alpha+1) l - exp(-alpha l), l = log(x/sigma), on x > 0 */
static inline lanes frechet_logp(terms t, lanes x, lanes alpha, lanes sigma)
{
  lanes l = v_log(x * ONCE(t, K_2, 1 / sigma)), a = TERM(t, K_1 | K_2, v_log(alpha) - v_log(sigma));
  lanes logp = (a - (alpha + 1) * l) - v_exp(-alpha * l);
  return SEL((x > 0) & (x < HUGE_VAL) & (l > -HUGE_VAL), logp, -HUGE_VAL);
}
static inline lanes frechet_partials(terms t, lanes x, lanes alpha, lanes sigma, lanes *d)
{
  lanes r = ONCE(t, K_2, 1 / sigma), l = v_log(x * r), w = v_expm1(-alpha * l);
  d[0] = (alpha * w - 1) / x;
  d[1] = 1 / alpha + l * w;
  d[2] = -alpha * w * r;
  return frechet_logp(t, x, alpha, sigma);
}

/* log alpha - alpha log(x/m) - log x on x >= m */
static inline lanes pareto_logp(terms t, lanes x, lanes m, lanes alpha)
{
  lanes l = v_log1p((x - m) * (1 / m));
  lanes logp = TERM(t, K_2, v_log(alpha)) - alpha * l - TERM(t, K_X, v_log(x));
  return SEL(x >= m, logp, -HUGE_VAL);
}
static inline lanes pareto_partials(terms t, lanes x, lanes m, lanes alpha, lanes *d)
{
  lanes r = 1 / m;
  d[0] = -(alpha + 1) / x;
  d[1] = alpha * r;
  d[2] = 1 / alpha - v_log1p((x - m) * r);
  return pareto_logp(t, x, m, alpha);
}

/* log(alpha/lambda) - (alpha+1) log(1 + (x - mu)/lambda) on x >= mu */
static inline lanes pareto_type_2_logp(terms t, lanes x, lanes mu, lanes lambda, lanes alpha)
{
  lanes l = v_log1p((x - mu) * (1 / lambda));
  lanes logp = TERM(t, K_2 | K_3, v_log(alpha) - v_log(lambda)) - (alpha + 1) * l;
  return SEL(x >= mu, logp, -HUGE_VAL);
}
static inline lanes pareto_type_2_partials(terms t, lanes x, lanes mu, lanes lambda, lanes alpha,
                                           lanes *d)
{
  lanes r = 1 / lambda, w = (x - mu) * r, s = 1 / (1 + w);
  d[0] = -(alpha + 1) * s * r;
  d[1] = (alpha + 1) * s * r;
  d[2] = (alpha * w - 1) * s * r;
  d[3] = 1 / alpha - v_log1p(w);
  return pareto_type_2_logp(t, x, mu, lambda, alpha);
}

/* log beta - log x - |a| - 2 log(1 + exp -|a|), a = beta log(x/alpha), on x > 0 */
static inline lanes loglogistic_logp(terms t, lanes x, lanes alpha, lanes beta)
{
  lanes a = v_abs(beta * v_log(x * (1 / alpha)));
  lanes logp = TERM(t, K_2, v_log(beta)) - TERM(t, K_X, v_log(x)) - a - 2 * v_log1p(v_exp(-a));
  lanes edge = kernel_edge(beta, TERM(t, K_2, v_log(beta)) - TERM(t, K_1, v_log(alpha)));
  lane_mask outside = NOT((x > 0) & (x < HUGE_VAL));
  return SEL(outside, SEL(x == 0, edge, -HUGE_VAL), logp);
}
static inline lanes loglogistic_partials(terms t, lanes x, lanes alpha, lanes beta, lanes *d)
{
  lanes r = 1 / alpha, l = v_log(x * r), e = v_expm1(-v_abs(beta * l)), s = -e / (2 + e);
  s = SEL(l < 0, -s, s);                                      /* tanh(beta l / 2) */
  d[0] = -(1 + beta * s) / x;
  d[1] = beta * s * r;
  d[2] = 1 / beta - l * s;
  return loglogistic_logp(t, x, alpha, beta);
}
#endif
