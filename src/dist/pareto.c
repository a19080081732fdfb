/* pareto: power laws on a half line: pareto, pareto_type_2 (Lomax), loglogistic.  Formulas in
   kernel.h; everything else is closed and drawn by inversion. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

/* ---- pareto(y_min, alpha) -------------------------------------------------------------------- */

static const char *pareto_check(const double *p, int *which)
{
  const char *wrong = dist_scale(p[0], "lower bound of pareto must be positive",
                                 "lower bound of pareto must be within 2.3e-308..1.7e308");
  *which = wrong ? 0 : 1;
  if (wrong) return wrong;
  if (!(p[1] > 0)) return "shape of pareto must be positive";
  return p[1] < HUGE_VAL ? NULL : "shape of pareto must be finite";
}
DIST_FORMULA_2(pareto)
DIST_SAMPLE_2(pareto)
static void pareto_tails1(double x, const double *p, double *lower, double *upper)
{
  *upper = x > p[0] ? -p[1] * log1p((x - p[0]) / p[0]) : 0;
  *lower = special_log1mexp(*upper);
}
static double pareto_cdf1(double x, const double *p)
{
  return x > p[0] ? -expm1(-p[1] * log1p((x - p[0]) / p[0])) : 0;
}
static double pareto_quantile1(double prob, const double *p)
{
  return p[0] * exp(-log1p(-prob) / p[1]);
}
static double pareto_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(pareto_logp1(x, p));
  d[1] = dist_cdf_scale(d[0], x, 0, p[0]);
  d[2] = d[0] > 0 ? d[0] * x / p[1] * log1p((x - p[0]) / p[0]) : 0;
  return pareto_cdf1(x, p);
}
static void pareto_range1(const double *p, double *lower, double *upper)
{
  *lower = p[0];
  *upper = HUGE_VAL;
}
static void pareto_moments1(const double *p, double *mean, double *variance)
{
  double a = p[1];
  *mean = a > 1 ? p[0] * (a / (a - 1)) : HUGE_VAL;
  *variance = a > 2 ? *mean * *mean / (a * (a - 2)) : HUGE_VAL;
}

/* ---- pareto_type_2(mu, lambda, alpha) -------------------------------------------------------- */

static const char *pareto_type_2_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of pareto_type_2 must be finite"; }
  const char *wrong = dist_scale(p[1], "scale of pareto_type_2 must be positive",
                                 "scale of pareto_type_2 must be within 2.3e-308..1.7e308");
  *which = wrong ? 1 : 2;
  if (wrong) return wrong;
  if (!(p[2] > 0)) return "shape of pareto_type_2 must be positive";
  return p[2] < HUGE_VAL ? NULL : "shape of pareto_type_2 must be finite";
}
DIST_FORMULA_3(pareto_type_2)
DIST_SAMPLE_3(pareto_type_2)
static double lomax_log(double x, const double *p)        /* log(1 + (x - mu)/lambda) */
{
  return x > p[0] ? log1p((x - p[0]) / p[1]) : 0;
}
static void pareto_type_2_tails1(double x, const double *p, double *lower, double *upper)
{
  *upper = -p[2] * lomax_log(x, p);
  *lower = special_log1mexp(*upper);
}
static double pareto_type_2_cdf1(double x, const double *p)
{
  return x > p[0] ? -expm1(-p[2] * lomax_log(x, p)) : 0;
}
static double pareto_type_2_quantile1(double prob, const double *p)
{
  return p[0] + p[1] * expm1(-log1p(-prob) / p[2]);
}
static double pareto_type_2_cdf_partials1(double x, const double *p, double *d)
{
  double l = lomax_log(x, p);
  d[0] = exp(pareto_type_2_logp1(x, p));
  d[1] = -d[0];
  d[2] = dist_cdf_scale(d[0], x, p[0], p[1]);
  d[3] = x > p[0] && d[0] > 0 ? exp(-p[2] * l) * l : 0;
  return pareto_type_2_cdf1(x, p);
}
static void pareto_type_2_range1(const double *p, double *lower, double *upper)
{
  *lower = p[0];
  *upper = HUGE_VAL;
}
static void pareto_type_2_moments1(const double *p, double *mean, double *variance)
{
  double a = p[2], m = a > 1 ? p[1] / (a - 1) : HUGE_VAL;
  *mean = p[0] + m;
  *variance = a > 2 ? m * m * (a / (a - 2)) : HUGE_VAL;
}

/* ---- loglogistic(alpha, beta) ---------------------------------------------------------------- */

static const char *loglogistic_check(const double *p, int *which)
{
  const char *wrong = dist_scale(p[0], "scale of loglogistic must be positive",
                                 "scale of loglogistic must be within 2.3e-308..1.7e308");
  *which = wrong ? 0 : 1;
  if (wrong) return wrong;
  if (!(p[1] > 0)) return "shape of loglogistic must be positive";
  return p[1] < HUGE_VAL ? NULL : "shape of loglogistic must be finite";
}
DIST_FORMULA_2(loglogistic)
DIST_SAMPLE_2(loglogistic)
static double loglogistic_logit(double x, const double *p)
{
  return x > 0 ? p[1] * log(x / p[0]) : -HUGE_VAL;
}
static void loglogistic_tails1(double x, const double *p, double *lower, double *upper)
{
  double a = loglogistic_logit(x, p);
  *lower = a > -HUGE_VAL ? -special_log1pexp(-a) : -HUGE_VAL;
  *upper = a < HUGE_VAL ? -special_log1pexp(a) : -HUGE_VAL;
}
static double loglogistic_cdf1(double x, const double *p)
{
  return 1 / (1 + exp(-loglogistic_logit(x, p)));
}
static double loglogistic_quantile1(double prob, const double *p)
{
  return p[0] * exp((log(prob) - log1p(-prob)) / p[1]);
}
static double loglogistic_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(loglogistic_logp1(x, p));
  d[1] = x > 0 ? dist_cdf_scale(d[0], x, 0, p[0]) : 0;
  d[2] = x > 0 && d[0] > 0 ? d[0] * x / p[1] * log(x / p[0]) : 0;
  return loglogistic_cdf1(x, p);
}
/* with b = pi/beta: alpha b / sin b, and alpha^2 2b / sin 2b for the square */
static void loglogistic_moments1(const double *p, double *mean, double *variance)
{
  double b = V_PI / p[1], m = b / sin(b);
  *mean = p[1] > 1 ? p[0] * m : HUGE_VAL;
  *variance = p[1] > 2 ? p[0] * p[0] * (2 * b / sin(2 * b) - m * m) : HUGE_VAL;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "pareto", .params = "y_min, alpha", SCALAR,
   .doc = "The Pareto law with lower bound y_min > 0 and shape alpha > 0.\n"
          "Density alpha y_min^alpha / x^(alpha+1) on x >= y_min.",
   .check1 = pareto_check, .logp1 = pareto_logp1, .block = pareto_block,
   .sample1 = pareto_sample1, .samples = pareto_samples,
   .lane_samples = pareto_lane_samples,
   .cdf1 = pareto_cdf1, .quantile1 = pareto_quantile1,
   .partials1 = pareto_partials1, .scale_is = 1, .range1 = pareto_range1, .lower_is = 1,
   .tails1 = pareto_tails1, .cdf_partials1 = pareto_cdf_partials1, .moments1 = pareto_moments1,
   .hint = "pareto(y_min, alpha) takes the lower bound first, then the shape"},
  {.name = "pareto_type_2", .params = "mu, lambda, alpha", SCALAR,
   .doc = "The Lomax law with lower bound mu, scale lambda > 0 and shape alpha > 0.\n"
          "Density alpha/lambda (1 + (x - mu)/lambda)^(-alpha-1) on x >= mu.",
   .check1 = pareto_type_2_check, .logp1 = pareto_type_2_logp1, .block = pareto_type_2_block,
   .sample1 = pareto_type_2_sample1, .samples = pareto_type_2_samples,
   .lane_samples = pareto_type_2_lane_samples, .cdf1 = pareto_type_2_cdf1,
   .quantile1 = pareto_type_2_quantile1, .partials1 = pareto_type_2_partials1,
   .location_is = 1, .scale_is = 2, .range1 = pareto_type_2_range1, .lower_is = 1,
   .tails1 = pareto_type_2_tails1, .cdf_partials1 = pareto_type_2_cdf_partials1,
   .moments1 = pareto_type_2_moments1},
  {.name = "loglogistic", .params = "alpha, beta", SCALAR,
   .doc = "exp of logistic(log alpha, 1/beta): scale alpha > 0 (the median), shape beta > 0.\n"
          "Density beta/alpha (x/alpha)^(beta-1) / (1 + (x/alpha)^beta)^2 on x > 0.",
   .check1 = loglogistic_check, .logp1 = loglogistic_logp1, .block = loglogistic_block,
   .sample1 = loglogistic_sample1, .samples = loglogistic_samples,
   .lane_samples = loglogistic_lane_samples,
   .cdf1 = loglogistic_cdf1, .quantile1 = loglogistic_quantile1,
   .partials1 = loglogistic_partials1, .scale_is = 1, .range1 = dist_positive,
   .tails1 = loglogistic_tails1, .cdf_partials1 = loglogistic_cdf_partials1,
   .moments1 = loglogistic_moments1},
};

const dist_shelf dist_paretos = {rows, sizeof rows / sizeof rows[0]};
