/* extreme: the laws of extremes and lifetimes: gumbel, weibull, frechet, rayleigh.  Formulas in
   kernel.h; everything else is closed: with E exponential(1), gumbel is mu - beta log E, weibull
   sigma E^(1/alpha), frechet sigma E^(-1/alpha) and rayleigh sigma sqrt(2 E). */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

/* ---- gumbel(mu, beta) ------------------------------------------------------------------------ */

static const char *gumbel_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of gumbel must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of gumbel must be positive",
                    "scale of gumbel must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(gumbel)
DIST_SAMPLE_2(gumbel)
static double gumbel_cdf1(double x, const double *p) { return exp(-exp(-((x - p[0]) / p[1]))); }
static double gumbel_quantile1(double prob, const double *p)
{
  return p[0] - p[1] * log(-log(prob));
}
static void gumbel_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = (x - p[0]) / p[1];
  *lower = -exp(-z);
  *upper = dist_log_one_minus(-z);
}
DIST_CDF_LOCATION_SCALE(gumbel)
static void gumbel_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] + p[1] * 0.57721566490153286061;
  *variance = p[1] * p[1] * (V_PI * V_PI / 6);
}

/* ---- rayleigh(sigma) ------------------------------------------------------------------------- */

static const char *rayleigh_check(const double *p, int *which)
{
  *which = 0;
  return dist_scale(p[0], "scale of rayleigh must be positive",
                    "scale of rayleigh must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_1(rayleigh)
DIST_SAMPLE_1(rayleigh)
static double rayleigh_cdf1(double x, const double *p)
{
  double z = x / p[0];
  return z > 0 ? -expm1(-0.5 * z * z) : 0;
}
static double rayleigh_quantile1(double prob, const double *p)
{
  return p[0] * sqrt(-2 * log1p(-prob));
}
static void rayleigh_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = x > 0 ? x / p[0] : 0;
  *upper = -0.5 * z * z;
  *lower = dist_log_one_minus(2 * log(z) - V_LOG_2);
}
DIST_CDF_SCALE(rayleigh)
static void rayleigh_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] * sqrt(V_PI / 2);
  *variance = p[0] * p[0] * (2 - V_PI / 2);
}

/* ---- weibull(alpha, sigma) ------------------------------------------------------------------- */

static const char *weibull_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "shape of weibull must be positive";
  if (!(p[0] < HUGE_VAL)) return "shape of weibull must be finite";
  *which = 1;
  return dist_scale(p[1], "scale of weibull must be positive",
                    "scale of weibull must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(weibull)
DIST_SAMPLE_2(weibull)
/* log (x/sigma)^alpha */
static double power_log(double x, double alpha, double sigma)
{
  return x > 0 ? alpha * log(x / sigma) : -HUGE_VAL;
}
static double weibull_cdf1(double x, const double *p)
{
  return -expm1(-exp(power_log(x, p[0], p[1])));
}
static double weibull_quantile1(double prob, const double *p)
{
  return p[1] * exp(log(-log1p(-prob)) / p[0]);
}
static void weibull_tails1(double x, const double *p, double *lower, double *upper)
{
  double l = power_log(x, p[0], p[1]);
  *upper = -exp(l);
  *lower = dist_log_one_minus(l);
}
/* F depends on (x/sigma)^alpha only: the density tells the slopes; frechet and loglogistic too. */
static double weibull_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(weibull_logp1(x, p));
  d[1] = x > 0 && d[0] > 0 ? d[0] * x / p[0] * log(x / p[1]) : 0;
  d[2] = x > 0 ? dist_cdf_scale(d[0], x, 0, p[1]) : 0;
  return weibull_cdf1(x, p);
}
/* Gamma(1 + 2/alpha) - Gamma(1 + 1/alpha)^2, also for a large shape, where it is small */
static void weibull_moments1(const double *p, double *mean, double *variance)
{
  double r = 1 / p[0], l = special_lgamma(1 + r);
  *mean = p[1] * exp(l);
  *variance = *mean * *mean * expm1(special_lgamma(1 + 2 * r) - 2 * l);
}

/* ---- frechet(alpha, sigma) ------------------------------------------------------------------- */

static const char *frechet_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "shape of frechet must be positive";
  if (!(p[0] < HUGE_VAL)) return "shape of frechet must be finite";
  *which = 1;
  return dist_scale(p[1], "scale of frechet must be positive",
                    "scale of frechet must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(frechet)
DIST_SAMPLE_2(frechet)
static double frechet_cdf1(double x, const double *p)
{
  return exp(-exp(-power_log(x, p[0], p[1])));
}
static double frechet_quantile1(double prob, const double *p)
{
  return p[1] * exp(-log(-log(prob)) / p[0]);
}
static void frechet_tails1(double x, const double *p, double *lower, double *upper)
{
  double l = -power_log(x, p[0], p[1]);
  *lower = -exp(l);
  *upper = dist_log_one_minus(l);
}
static double frechet_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(frechet_logp1(x, p));
  d[1] = d[0] > 0 ? d[0] * x / p[0] * log(x / p[1]) : 0;
  d[2] = dist_cdf_scale(d[0], x, 0, p[1]);
  return frechet_cdf1(x, p);
}
static void frechet_moments1(const double *p, double *mean, double *variance)
{
  double r = 1 / p[0], l = r < 1 ? special_lgamma(1 - r) : 0;
  *mean = r < 1 ? p[1] * exp(l) : HUGE_VAL;
  *variance = r < 0.5 ? *mean * *mean * expm1(special_lgamma(1 - 2 * r) - 2 * l) : HUGE_VAL;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "gumbel", .params = "mu, beta", SCALAR,
   .doc = "The Gumbel law of largest values with location mu (its mode) and scale beta > 0.\n"
          "Density exp(-z - exp(-z)) / beta, z = (x - mu)/beta, on the reals.",
   .check1 = gumbel_check, .logp1 = gumbel_logp1, .block = gumbel_block,
   .sample1 = gumbel_sample1, .samples = gumbel_samples,
   .lane_samples = gumbel_lane_samples,
   .cdf1 = gumbel_cdf1, .quantile1 = gumbel_quantile1,
   .partials1 = gumbel_partials1, .location_is = 1, .scale_is = 2, .range1 = dist_everywhere,
   .tails1 = gumbel_tails1, .cdf_partials1 = gumbel_cdf_partials1, .moments1 = gumbel_moments1},
  {.name = "rayleigh", .params = "sigma", SCALAR,
   .doc = "The length of a vector of two normal(0, sigma), sigma > 0.\n"
          "Density x / sigma^2 exp(-(x/sigma)^2 / 2) on x > 0.",
   .check1 = rayleigh_check, .logp1 = rayleigh_logp1, .block = rayleigh_block,
   .sample1 = rayleigh_sample1, .samples = rayleigh_samples,
   .lane_samples = rayleigh_lane_samples,
   .cdf1 = rayleigh_cdf1, .quantile1 = rayleigh_quantile1,
   .partials1 = rayleigh_partials1, .scale_is = 1, .range1 = dist_positive,
   .tails1 = rayleigh_tails1, .cdf_partials1 = rayleigh_cdf_partials1,
   .moments1 = rayleigh_moments1},
  {.name = "weibull", .params = "alpha, sigma", SCALAR,
   .doc = "The Weibull law of lifetimes with shape alpha > 0 and scale sigma > 0.\n"
          "Density alpha/sigma (x/sigma)^(alpha-1) exp(-(x/sigma)^alpha) on x > 0.",
   .check1 = weibull_check, .logp1 = weibull_logp1, .block = weibull_block,
   .sample1 = weibull_sample1, .samples = weibull_samples,
   .lane_samples = weibull_lane_samples,
   .cdf1 = weibull_cdf1, .quantile1 = weibull_quantile1,
   .partials1 = weibull_partials1, .scale_is = 2, .range1 = dist_positive,
   .tails1 = weibull_tails1, .cdf_partials1 = weibull_cdf_partials1, .moments1 = weibull_moments1,
   .hint = "weibull(alpha, sigma) takes the shape first, then the scale"},
  {.name = "frechet", .params = "alpha, sigma", SCALAR,
   .doc = "The Frechet law of largest values with shape alpha > 0 and scale sigma > 0.\n"
          "Density alpha/sigma (x/sigma)^(-alpha-1) exp(-(x/sigma)^(-alpha)) on x > 0.",
   .check1 = frechet_check, .logp1 = frechet_logp1, .block = frechet_block,
   .sample1 = frechet_sample1, .samples = frechet_samples,
   .lane_samples = frechet_lane_samples,
   .cdf1 = frechet_cdf1, .quantile1 = frechet_quantile1,
   .partials1 = frechet_partials1, .scale_is = 2, .range1 = dist_positive,
   .tails1 = frechet_tails1, .cdf_partials1 = frechet_cdf_partials1, .moments1 = frechet_moments1,
   .hint = "frechet(alpha, sigma) takes the shape first, then the scale"},
};

const dist_shelf dist_extremes = {rows, sizeof rows / sizeof rows[0]};
