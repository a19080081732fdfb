/* bounded: families on an interval: uniform, beta, beta_proportion.  Formulas in kernel.h. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

/* ---- uniform(lower, upper) ------------------------------------------------------------------- */

static const char *uniform_check(const double *p, int *which)
{
  *which = 0;
  if (!isfinite(p[0])) return "lower bound of uniform must be finite";
  *which = 1;
  if (!isfinite(p[1])) return "upper bound of uniform must be finite";
  if (!(p[0] < p[1])) return "upper bound of uniform must be above the lower bound";
  return p[1] - p[0] < HUGE_VAL ? NULL : "width of uniform must be finite";
}
static double uniform_logp1(double x, const double *p)
{
  return uniform_logp(NORN_KEEP_ALL, x, p[0], p[1]);
}
static double uniform_partials1(double x, const double *p, double *d)
{
  return uniform_partials(NORN_KEEP_ALL, x, p[0], p[1], d);
}
DIST_SAMPLE_2(uniform)
static double uniform_cdf1(double x, const double *p)
{
  return x <= p[0] ? 0 : x >= p[1] ? 1 : (x - p[0]) / (p[1] - p[0]);
}
static double uniform_quantile1(double prob, const double *p)
{
  return prob == 1 ? p[1] : uniform_draw(prob, p[0], p[1]);
}
static void uniform_tails1(double x, const double *p, double *lower, double *upper)
{
  *lower = log(uniform_cdf1(x, p));
  *upper = x <= p[0] ? 0 : x >= p[1] ? -HUGE_VAL : log((p[1] - x) / (p[1] - p[0]));
}
static void uniform_range1(const double *p, double *lower, double *upper)
{
  *lower = p[0];
  *upper = p[1];
}
static double uniform_cdf_partials1(double x, const double *p, double *d)
{
  double width = p[1] - p[0], f = uniform_cdf1(x, p);
  d[0] = exp(uniform_logp1(x, p));
  d[1] = x > p[0] && x < p[1] ? -((p[1] - x) / width) / width : 0;
  d[2] = x > p[0] && x < p[1] ? -f / width : 0;
  return f;
}
static void uniform_moments1(const double *p, double *mean, double *variance)
{
  double width = p[1] - p[0];
  *mean = p[0] + 0.5 * width;
  *variance = width * width / 12;
}

/* ---- beta(alpha, beta) ----------------------------------------------------------------------- */

static const char *beta_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "first shape of beta must be positive";
  if (!(p[0] < HUGE_VAL)) return "first shape of beta must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "second shape of beta must be positive";
  return p[1] < HUGE_VAL ? NULL : "second shape of beta must be finite";
}
static double beta_logp1(double x, const double *p)
{
  return beta_logp(NORN_KEEP_ALL, x, p[0], p[1]);
}
static double beta_partials1(double x, const double *p, double *d)
{
  return beta_partials(NORN_KEEP_ALL, x, p[0], p[1], d);
}
DIST_SAMPLE_2(beta)
static double beta_cdf1(double x, const double *p)
{
  return x <= 0 ? 0 : x >= 1 ? 1 : special_beta_inc(p[0], p[1], x);
}
static double beta_quantile1(double prob, const double *p)
{
  return special_beta_inv(p[0], p[1], prob);
}
static void beta_tails1(double x, const double *p, double *lower, double *upper)
{
  double inside = x < 0 ? 0 : x > 1 ? 1 : x;
  special_beta_log(p[0], p[1], inside, 1 - inside, lower, upper);
}
static void beta_range1(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = 1;
}
static double beta_cdf_partials1(double x, const double *p, double *d)
{
  double inside = x < 0 ? 0 : x > 1 ? 1 : x;
  d[0] = exp(beta_logp1(x, p));
  special_beta_slope(p[0], p[1], inside, 1 - inside, &d[1], &d[2]);
  return beta_cdf1(x, p);
}
static void beta_moments1(const double *p, double *mean, double *variance)
{
  double n = p[0] + p[1];
  *mean = p[0] / n;
  *variance = *mean * (p[1] / n) / (n + 1);
}

/* ---- beta_proportion(mu, kappa): beta(mu kappa, (1 - mu) kappa) ------------------------------ */

static const char *beta_proportion_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0 && p[0] < 1)) return "mean of beta_proportion must be between 0 and 1";
  *which = 1;
  if (!(p[1] > 0)) return "precision of beta_proportion must be positive";
  if (!(p[1] < HUGE_VAL)) return "precision of beta_proportion must be finite";
  return p[0] * p[1] > 0 && (1 - p[0]) * p[1] > 0 ? NULL :
         "precision of beta_proportion must leave both shapes above 0";
}
DIST_FORMULA_2(beta_proportion)
typedef struct { double p[2]; } shapes;
static shapes shapes_of(const double *p) { return (shapes){{p[0] * p[1], (1 - p[0]) * p[1]}}; }
DIST_SAMPLE_2(beta_proportion)
static double beta_proportion_cdf1(double x, const double *p)
{
  return beta_cdf1(x, shapes_of(p).p);
}
static double beta_proportion_quantile1(double prob, const double *p)
{
  return beta_quantile1(prob, shapes_of(p).p);
}
static void beta_proportion_tails1(double x, const double *p, double *lower, double *upper)
{
  beta_tails1(x, shapes_of(p).p, lower, upper);
}
static double beta_proportion_cdf_partials1(double x, const double *p, double *d)
{
  double g[3], f = beta_cdf_partials1(x, shapes_of(p).p, g);
  d[0] = g[0];
  d[1] = p[1] * (g[1] - g[2]);
  d[2] = p[0] * g[1] + (1 - p[0]) * g[2];
  return f;
}
static void beta_proportion_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = p[0] * (1 - p[0]) / (1 + p[1]);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "uniform", .params = "lower, upper", SCALAR,
   .doc = "The uniform distribution on lower <= x <= upper.\nDensity 1 / (upper - lower).",
   .check1 = uniform_check, .logp1 = uniform_logp1,
   .block = uniform_block, .sample1 = uniform_sample1, .samples = uniform_samples,
   .lane_samples = uniform_lane_samples,
   .cdf1 = uniform_cdf1, .quantile1 = uniform_quantile1, .partials1 = uniform_partials1,
   .range1 = uniform_range1, .lower_is = 1, .upper_is = 2,
   .tails1 = uniform_tails1,
   .cdf_partials1 = uniform_cdf_partials1, .moments1 = uniform_moments1,
   .hint = "for integers there is discrete_uniform(lower, upper), for given values uniform_of(xs)"},
  {.name = "beta", .params = "alpha, beta", SCALAR,
   .doc = "The beta distribution with shapes alpha > 0 and beta > 0 (mean alpha/(alpha + beta)).\n"
          "Density x^(alpha-1) (1-x)^(beta-1) / B(alpha, beta) on 0 < x < 1.",
   .check1 = beta_check, .logp1 = beta_logp1,
   .block = beta_block, .sample1 = beta_sample1, .cdf1 = beta_cdf1,
   .quantile1 = beta_quantile1, .partials1 = beta_partials1,
   .range1 = beta_range1, .tails1 = beta_tails1,
   .cdf_partials1 = beta_cdf_partials1, .moments1 = beta_moments1},
  {.name = "beta_proportion", .params = "mu, kappa", SCALAR,
   .doc = "The beta distribution with mean mu, 0 < mu < 1, and precision kappa > 0:\n"
          "beta(mu kappa, (1 - mu) kappa), of variance mu (1 - mu) / (1 + kappa).",
   .check1 = beta_proportion_check, .logp1 = beta_proportion_logp1,
   .block = beta_proportion_block, .sample1 = beta_proportion_sample1,
   .cdf1 = beta_proportion_cdf1, .quantile1 = beta_proportion_quantile1,
   .partials1 = beta_proportion_partials1, .range1 = beta_range1,
   .tails1 = beta_proportion_tails1, .cdf_partials1 = beta_proportion_cdf_partials1,
   .moments1 = beta_proportion_moments1,
   .hint = "beta_proportion(mu, kappa) takes mean and precision; beta(alpha, beta) the shapes"},
};

const dist_shelf dist_bounded = {rows, sizeof rows / sizeof rows[0]};
