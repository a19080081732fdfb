/* normal: the normal family and what is made of it directly.  Formulas in kernel.h; the
   distribution function is erfc's, its inverse Wichura 1988 (AS 241); draws by Box and Muller
   1958. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

/* ---- normal(mu, sigma) ----------------------------------------------------------------------- */

static const char *normal_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "mean of normal must be finite"; }
  *which = 1;
  return dist_scale(p[1], "standard deviation of normal must be positive",
                    "standard deviation of normal must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(normal)
DIST_SAMPLE_2(normal)
static double normal_cdf1(double x, const double *p) { return special_norm_cdf((x - p[0]) / p[1]); }
static double normal_quantile1(double prob, const double *p)
{
  return p[0] + p[1] * special_norm_quantile(prob);
}
static void normal_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = (x - p[0]) / p[1];
  *lower = special_norm_log_cdf(z);
  *upper = special_norm_log_cdf(-z);
}
DIST_CDF_LOCATION_SCALE(normal)
static void normal_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = p[1] * p[1];
}

/* ---- std_normal() ---------------------------------------------------------------------------- */

static const double unit[] = {0, 1};

static const char *std_normal_check(const double *p, int *which)
{
  (void)p;
  (void)which;
  return NULL;
}
static double std_normal_logp1(double x, const double *p)
{
  (void)p;
  return std_normal_logp(NORN_KEEP_ALL, x);
}
static double std_normal_partials1(double x, const double *p, double *d)
{
  (void)p;
  return std_normal_partials(NORN_KEEP_ALL, x, d);
}
DIST_SAMPLE_0(std_normal)
static double std_normal_cdf1(double x, const double *p) { (void)p; return special_norm_cdf(x); }
static double std_normal_quantile1(double prob, const double *p)
{
  (void)p;
  return special_norm_quantile(prob);
}
static void std_normal_tails1(double x, const double *p, double *lower, double *upper)
{
  (void)p;
  normal_tails1(x, unit, lower, upper);
}
static double std_normal_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(std_normal_logp1(x, p));
  return std_normal_cdf1(x, p);
}
static void std_normal_moments1(const double *p, double *mean, double *variance)
{
  (void)p;
  normal_moments1(unit, mean, variance);
}

/* ---- half_normal(sigma): |normal(0, sigma)| -------------------------------------------------- */

static const char *half_normal_check(const double *p, int *which)
{
  *which = 0;
  return dist_scale(p[0], "scale of half_normal must be positive",
                    "scale of half_normal must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_1(half_normal)
DIST_SAMPLE_1(half_normal)
static double half_normal_cdf1(double x, const double *p)
{
  return x > 0 ? erf(x / p[0] * V_SQRT_1_2) : 0;
}
static double half_normal_quantile1(double prob, const double *p)
{
  if (prob < 0.5) return p[0] * special_norm_quantile_half(0.5 * prob);
  return -p[0] * special_norm_quantile(0.5 * (1 - prob));
}
/* Small x: erf keeps what 1 - 2 Phi(-z) would lose. */
static void half_normal_tails1(double x, const double *p, double *lower, double *upper)
{
  if (!(x > 0)) { *lower = -HUGE_VAL; *upper = 0; return; }
  *upper = V_LOG_2 + special_norm_log_cdf(-x / p[0]);
  *lower = x < p[0] ? log(half_normal_cdf1(x, p)) : special_log1mexp(*upper);
}
DIST_CDF_SCALE(half_normal)
static void half_normal_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] * sqrt(2 / V_PI);
  *variance = p[0] * p[0] * (1 - 2 / V_PI);
}

/* ---- lognormal(mu, sigma): exp(normal(mu, sigma)) -------------------------------------------- */

static const char *lognormal_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "log-mean of lognormal must be finite"; }
  *which = 1;
  return dist_scale(p[1], "log-standard deviation of lognormal must be positive",
                    "log-standard deviation of lognormal must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(lognormal)
DIST_SAMPLE_2(lognormal)
static double lognormal_cdf1(double x, const double *p)
{
  return x > 0 ? normal_cdf1(log(x), p) : 0;
}
static double lognormal_quantile1(double prob, const double *p)
{
  return exp(normal_quantile1(prob, p));
}
static void lognormal_tails1(double x, const double *p, double *lower, double *upper)
{
  normal_tails1(x > 0 ? log(x) : -HUGE_VAL, p, lower, upper);
}
static double lognormal_cdf_partials1(double x, const double *p, double *d)
{
  double l = x > 0 ? log(x) : -HUGE_VAL, density = exp(normal_logp1(l, p));
  d[0] = density > 0 ? density / x : 0;
  d[1] = -density;
  d[2] = dist_cdf_scale(density, l, p[0], p[1]);
  return lognormal_cdf1(x, p);
}
static void lognormal_moments1(const double *p, double *mean, double *variance)
{
  double v = p[1] * p[1];
  *mean = exp(p[0] + 0.5 * v);
  *variance = expm1(v) * exp(2 * p[0] + v);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "normal", .params = "mu, sigma", SCALAR,
   .doc = "The normal distribution with mean mu and standard deviation sigma > 0.\n"
          "Density exp(-((x - mu)/sigma)^2 / 2) / (sigma sqrt(2 pi)) on the reals.",
   .check1 = normal_check, .logp1 = normal_logp1,
   .block = normal_block, .sample1 = normal_sample1, .samples = normal_samples,
   .lane_samples = normal_lane_samples, .cdf1 = normal_cdf1,
   .quantile1 = normal_quantile1, .partials1 = normal_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = dist_everywhere, .tails1 = normal_tails1,
   .cdf_partials1 = normal_cdf_partials1, .moments1 = normal_moments1,
   .hint = "normal(mu, sigma) takes the standard deviation, not the variance"},
  {.name = "std_normal", .params = "", SCALAR,
   .doc = "The normal distribution with mean 0 and standard deviation 1.",
   .check1 = std_normal_check, .logp1 = std_normal_logp1,
   .block = std_normal_block, .sample1 = std_normal_sample1, .samples = std_normal_samples,
   .lane_samples = std_normal_lane_samples,
   .cdf1 = std_normal_cdf1, .quantile1 = std_normal_quantile1, .partials1 = std_normal_partials1,
   .range1 = dist_everywhere, .tails1 = std_normal_tails1,
   .cdf_partials1 = std_normal_cdf_partials1, .moments1 = std_normal_moments1},
  {.name = "half_normal", .params = "sigma", SCALAR,
   .doc = "The absolute value of normal(0, sigma), sigma > 0.\n"
          "Density 2 exp(-(x/sigma)^2 / 2) / (sigma sqrt(2 pi)) on x >= 0.",
   .check1 = half_normal_check, .logp1 = half_normal_logp1,
   .block = half_normal_block, .sample1 = half_normal_sample1, .samples = half_normal_samples,
   .lane_samples = half_normal_lane_samples,
   .cdf1 = half_normal_cdf1, .quantile1 = half_normal_quantile1,
   .partials1 = half_normal_partials1,
   .scale_is = 1,
   .range1 = dist_positive, .tails1 = half_normal_tails1,
   .cdf_partials1 = half_normal_cdf_partials1, .moments1 = half_normal_moments1},
  {.name = "lognormal", .params = "mu, sigma", SCALAR,
   .doc = "exp of normal(mu, sigma): mu and sigma > 0 are mean and standard deviation of log x.\n"
          "Density exp(-((log x - mu)/sigma)^2 / 2) / (x sigma sqrt(2 pi)) on x > 0.",
   .check1 = lognormal_check, .logp1 = lognormal_logp1,
   .block = lognormal_block, .sample1 = lognormal_sample1, .samples = lognormal_samples,
   .lane_samples = lognormal_lane_samples,
   .cdf1 = lognormal_cdf1, .quantile1 = lognormal_quantile1, .partials1 = lognormal_partials1,
   .range1 = dist_positive, .tails1 = lognormal_tails1,
   .cdf_partials1 = lognormal_cdf_partials1, .moments1 = lognormal_moments1,
   .hint = "lognormal(mu, sigma) takes the mean and the standard deviation of log x"},
};

const dist_shelf dist_normals = {rows, sizeof rows / sizeof rows[0]};
