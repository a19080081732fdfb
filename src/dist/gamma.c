/* gamma: families on the positive half line: exponential, gamma, inv_gamma.  Formulas in kernel.h;
   distribution functions by the incomplete gamma functions of num/special.c; gamma draws by
   Marsaglia and Tsang 2000. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

/* ---- exponential(beta), by rate -------------------------------------------------------------- */

static const char *exponential_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "rate of exponential must be positive";
  return p[0] < HUGE_VAL ? NULL : "rate of exponential must be finite";
}
DIST_FORMULA_1(exponential)
DIST_SAMPLE_1(exponential)
static double exponential_cdf1(double x, const double *p) { return x > 0 ? -expm1(-p[0] * x) : 0; }
static double exponential_quantile1(double prob, const double *p) { return -log1p(-prob) / p[0]; }
static void exponential_tails1(double x, const double *p, double *lower, double *upper)
{
  *upper = x > 0 ? -p[0] * x : 0;
  *lower = special_log1mexp(*upper);
}
static double exponential_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(exponential_logp1(x, p));
  d[1] = d[0] > 0 ? d[0] * (x / p[0]) : 0;
  return exponential_cdf1(x, p);
}
static void exponential_moments1(const double *p, double *mean, double *variance)
{
  *mean = 1 / p[0];
  *variance = *mean * *mean;
}

/* ---- gamma(alpha, beta), by shape and rate --------------------------------------------------- */

static const char *gamma_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "shape of gamma must be positive";
  if (!(p[0] < HUGE_VAL)) return "shape of gamma must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "rate of gamma must be positive";
  return p[1] < HUGE_VAL ? NULL : "rate of gamma must be finite";
}
DIST_FORMULA_2(gamma)
DIST_SAMPLE_2(gamma)
static double gamma_cdf1(double x, const double *p)
{
  return x > 0 ? special_gamma_p(p[0], p[1] * x) : 0;
}
static double gamma_quantile1(double prob, const double *p)
{
  return special_gamma_p_inv(p[0], prob) / p[1];
}
static void gamma_tails1(double x, const double *p, double *lower, double *upper)
{
  special_gamma_log(p[0], x > 0 ? p[1] * x : 0, lower, upper);
}
static double gamma_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(gamma_logp1(x, p));
  d[1] = special_gamma_p_slope(p[0], x > 0 ? p[1] * x : 0);
  d[2] = x > 0 && d[0] > 0 ? d[0] * (x / p[1]) : 0;
  return gamma_cdf1(x, p);
}
static void gamma_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] / p[1];
  *variance = *mean / p[1];
}

/* ---- inv_gamma(alpha, beta): 1 / gamma(alpha, beta) ------------------------------------------ */

static const char *inv_gamma_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "shape of inv_gamma must be positive";
  if (!(p[0] < HUGE_VAL)) return "shape of inv_gamma must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "scale of inv_gamma must be positive";
  return p[1] < HUGE_VAL ? NULL : "scale of inv_gamma must be finite";
}
DIST_FORMULA_2(inv_gamma)
DIST_SAMPLE_2(inv_gamma)
static void inv_gamma_tails1(double x, const double *p, double *lower, double *upper)
{
  special_gamma_log(p[0], x > 0 ? p[1] / x : HUGE_VAL, upper, lower);
}
static double inv_gamma_cdf1(double x, const double *p)
{
  return x > 0 ? special_gamma_q(p[0], p[1] / x) : 0;
}
static double inv_gamma_quantile1(double prob, const double *p);
static double inv_gamma_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(inv_gamma_logp1(x, p));
  d[1] = -special_gamma_p_slope(p[0], x > 0 ? p[1] / x : HUGE_VAL);
  d[2] = dist_cdf_scale(d[0], x, 0, p[1]);
  return inv_gamma_cdf1(x, p);
}
static void inv_gamma_moments1(const double *p, double *mean, double *variance)
{
  double a = p[0];
  *mean = a > 1 ? p[1] / (a - 1) : HUGE_VAL;
  *variance = a > 2 ? *mean * *mean / (a - 2) : a > 1 ? HUGE_VAL : (double)NAN;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "exponential", .params = "beta", SCALAR,
   .doc = "The exponential distribution with rate beta > 0 (mean 1/beta).\n"
          "Density beta exp(-beta x) on x >= 0.",
   .check1 = exponential_check, .logp1 = exponential_logp1,
   .block = exponential_block, .sample1 = exponential_sample1, .samples = exponential_samples,
   .lane_samples = exponential_lane_samples,
   .cdf1 = exponential_cdf1, .quantile1 = exponential_quantile1,
   .partials1 = exponential_partials1,
   .rate_is = 1, .range1 = dist_positive, .tails1 = exponential_tails1,
   .cdf_partials1 = exponential_cdf_partials1, .moments1 = exponential_moments1,
   .hint = "exponential(beta) takes the rate, 1/mean"},
  {.name = "gamma", .params = "alpha, beta", SCALAR,
   .doc = "The gamma distribution with shape alpha > 0 and rate beta > 0 (mean alpha/beta).\n"
          "Density beta^alpha / Gamma(alpha) x^(alpha-1) exp(-beta x) on x > 0.",
   .check1 = gamma_check, .logp1 = gamma_logp1,
   .block = gamma_block, .sample1 = gamma_sample1, .cdf1 = gamma_cdf1,
   .quantile1 = gamma_quantile1, .partials1 = gamma_partials1,
   .rate_is = 2, .range1 = dist_positive, .tails1 = gamma_tails1,
   .cdf_partials1 = gamma_cdf_partials1, .moments1 = gamma_moments1,
   .hint = "gamma(alpha, beta) takes the shape and the rate; the mean is alpha/beta"},
  {.name = "inv_gamma", .params = "alpha, beta", SCALAR,
   .doc = "The inverse of a gamma(alpha, beta) variable: shape alpha > 0, scale beta > 0.\n"
          "Density beta^alpha / Gamma(alpha) x^(-alpha-1) exp(-beta/x) on x > 0.",
   .check1 = inv_gamma_check, .logp1 = inv_gamma_logp1,
   .block = inv_gamma_block, .sample1 = inv_gamma_sample1,
   .cdf1 = inv_gamma_cdf1, .quantile1 = inv_gamma_quantile1, .partials1 = inv_gamma_partials1,
   .scale_is = 2, .range1 = dist_positive, .tails1 = inv_gamma_tails1,
   .cdf_partials1 = inv_gamma_cdf_partials1, .moments1 = inv_gamma_moments1},
};

/* P(X <= x) = Q(alpha, beta/x): solved on its own tail, since 1 - prob would round a small prob
   away. */
static double inv_gamma_quantile1(double prob, const double *p)
{
  if (prob > 0.5) return p[1] / special_gamma_p_inv(p[0], 1 - prob);
  return dist_solve_quantile(&rows[2], prob, p, p[1] / (p[0] + 1));
}

const dist_shelf dist_gammas = {rows, sizeof rows / sizeof rows[0]};
