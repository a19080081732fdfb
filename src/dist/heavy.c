/* heavy: location-scale families with heavier tails than the normal: cauchy, half_cauchy,
   student_t, half_student_t, laplace, logistic.  Formulas in kernel.h; draws by inversion,
   student_t by Bailey 1994. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

/* ---- cauchy(mu, sigma) ----------------------------------------------------------------------- */

static const char *cauchy_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of cauchy must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of cauchy must be positive",
                    "scale of cauchy must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(cauchy)
static double unit_cauchy_quantile(double prob)   /* tan(pi (prob - 1/2)) */
{
  return prob == 0.5 ? 0 : prob < 0.5 ? -1 / draw_tan(2 * prob) : 1 / draw_tan(2 * (1 - prob));
}
DIST_SAMPLE_2(cauchy)
static double cauchy_cdf1(double x, const double *p)
{
  double z = (x - p[0]) / p[1];
  return z < 0 ? atan(-1 / z) / V_PI : z > 0 ? 1 - atan(1 / z) / V_PI : z == 0 ? 0.5 : z;
}
static double cauchy_quantile1(double prob, const double *p)
{
  if (prob == 0 || prob == 1) return prob == 0 ? -HUGE_VAL : HUGE_VAL;
  return p[0] + p[1] * unit_cauchy_quantile(prob);
}
static void cauchy_tails1(double x, const double *p, double *lower, double *upper)
{
  const double mirror[] = {-p[0], p[1]};
  *lower = log(cauchy_cdf1(x, p));
  *upper = log(cauchy_cdf1(-x, mirror));
}
DIST_CDF_LOCATION_SCALE(cauchy)
static void no_moments(const double *p, double *mean, double *variance)
{
  (void)p;
  *mean = *variance = (double)NAN;
}

/* ---- half_cauchy(sigma): |cauchy(0, sigma)| -------------------------------------------------- */

static const char *half_cauchy_check(const double *p, int *which)
{
  *which = 0;
  return dist_scale(p[0], "scale of half_cauchy must be positive",
                    "scale of half_cauchy must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_1(half_cauchy)
DIST_SAMPLE_1(half_cauchy)
static double half_cauchy_cdf1(double x, const double *p)
{
  return x > 0 ? atan(x / p[0]) * (2 / V_PI) : 0;
}
static double half_cauchy_quantile1(double prob, const double *p)
{
  return prob == 0 ? 0 : prob == 1 ? HUGE_VAL : p[0] * draw_tan(prob);
}
static void half_cauchy_tails1(double x, const double *p, double *lower, double *upper)
{
  *lower = log(half_cauchy_cdf1(x, p));
  *upper = x > 0 ? log(atan(p[0] / x) * (2 / V_PI)) : 0;
}
DIST_CDF_SCALE(half_cauchy)
static void half_cauchy_moments1(const double *p, double *mean, double *variance)
{
  (void)p;
  *mean = *variance = HUGE_VAL;
}

/* ---- student_t(nu, mu, sigma) ---------------------------------------------------------------- */

static const char *student_t_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "degrees of freedom of student_t must be positive";
  if (!(p[0] < HUGE_VAL)) return "degrees of freedom of student_t must be finite";
  *which = 1;
  if (!isfinite(p[1])) return "location of student_t must be finite";
  *which = 2;
  return dist_scale(p[2], "scale of student_t must be positive",
                    "scale of student_t must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_3(student_t)
DIST_SAMPLE_3(student_t)

/* log P(|T| > a) and log P(|T| <= a), a >= 0: I_{nu/(nu + a^2)}(nu/2, 1/2), DLMF 8.17; far out,
   where a^2 overflows, its leading term. */
static void student_t_fold(double a, double nu, double *outside, double *inside)
{
  double r = a / sqrt(nu), s = 1 / r, h = 0.5 * nu;
  if (r < 1) {
    special_beta_log(h, 0.5, 1 / (1 + r * r), r * r / (1 + r * r), outside, inside);
  } else if (r < 1e150) {
    special_beta_log(h, 0.5, s * s / (1 + s * s), 1 / (1 + s * s), outside, inside);
  } else {
    *outside = -nu * log(r) - log(h) - special_lbeta(h, 0.5);
    *inside = special_log1mexp(*outside);
  }
}
static void student_t_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = (x - p[1]) / p[2], inside, outside;
  student_t_fold(fabs(z), p[0], &outside, &inside);
  double tail = outside - V_LOG_2, rest = log1p(-exp(tail));
  *lower = z < 0 ? tail : rest;
  *upper = z < 0 ? rest : tail;
}
static double student_t_cdf1(double x, const double *p)
{
  double lower, upper;
  student_t_tails1(x, p, &lower, &upper);
  return exp(lower);
}
/* The derivative of P(T > a) in nu, a >= 0: of I_w(h, 1/2)/2, h = nu/2, in h, and in w, which the
   density gives. */
/* Large nu, where those two cancel: the integral of the density times the derivative of its
   logarithm, which is negative below 1.5 and positive above 1.6, and over all is 0. */
static double student_t_far_slope(double a, double nu)
{
  const double standard[] = {nu, 0, 1};
  double end = sqrt((nu + a * a) * exp(80 / (nu + 1)) - nu), from = a < 1.55 ? 0 : a, sum = 0;
  if (a < 1.55) end = a;
  for (int i = 0; i < 40; i++) {
    double t = from + special_gauss_point(i, end - from);
    sum += exp(student_t_logp1(t, standard)) * student_t_nu(NORN_KEEP_ALL, t, nu) *
           special_gauss_share(i, end - from);
  }
  return a < 1.55 ? -sum : sum;
}
static double student_t_tail_slope(double a, double nu)
{
  if (nu > 1e4) return student_t_far_slope(a, nu);
  const double standard[] = {nu, 0, 1};
  double r = a / sqrt(nu), s = 1 / r, dh, db;
  if (!(r < 1e150)) return 0;
  if (r < 1) special_beta_slope(0.5 * nu, 0.5, 1 / (1 + r * r), r * r / (1 + r * r), &dh, &db);
  else special_beta_slope(0.5 * nu, 0.5, s * s / (1 + s * s), 1 / (1 + s * s), &dh, &db);
  return 0.25 * dh + 0.5 * (a / nu) * exp(student_t_logp1(a, standard));
}
static double student_t_cdf_partials1(double x, const double *p, double *d)
{
  double z = (x - p[1]) / p[2], slope = student_t_tail_slope(fabs(z), p[0]);
  d[0] = exp(student_t_logp1(x, p));
  d[1] = z < 0 ? slope : -slope;
  d[2] = -d[0];
  d[3] = dist_cdf_scale(d[0], x, p[1], p[2]);
  return student_t_cdf1(x, p);
}
static double student_t_moment_range(double nu, double least, double value)
{
  return nu > least ? value : nu > least - 1 && least > 1 ? HUGE_VAL : (double)NAN;
}
static void student_t_moments1(const double *p, double *mean, double *variance)
{
  *mean = student_t_moment_range(p[0], 1, p[1]);
  *variance = student_t_moment_range(p[0], 2, p[2] * p[2] * p[0] / (p[0] - 2));
}

/* ---- half_student_t(nu, sigma): |student_t(nu, 0, sigma)| ------------------------------------ */

static const char *half_student_t_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "degrees of freedom of half_student_t must be positive";
  if (!(p[0] < HUGE_VAL)) return "degrees of freedom of half_student_t must be finite";
  *which = 1;
  return dist_scale(p[1], "scale of half_student_t must be positive",
                    "scale of half_student_t must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(half_student_t)
DIST_SAMPLE_2(half_student_t)
static void half_student_t_tails1(double x, const double *p, double *lower, double *upper)
{
  student_t_fold(x > 0 ? x / p[1] : 0, p[0], upper, lower);
}
static double half_student_t_cdf1(double x, const double *p)
{
  double lower, upper;
  half_student_t_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double half_student_t_quantile1(double prob, const double *p);
static double half_student_t_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(half_student_t_logp1(x, p));
  d[1] = x > 0 ? -2 * student_t_tail_slope(x / p[1], p[0]) : 0;
  d[2] = dist_cdf_scale(d[0], x, 0, p[1]);
  return half_student_t_cdf1(x, p);
}
/* E |T| = 2 sqrt(nu/pi) Gamma((nu+1)/2) / (Gamma(nu/2) (nu-1)) */
static void half_student_t_moments1(const double *p, double *mean, double *variance)
{
  double nu = p[0], ratio = exp(special_half_gamma_ratio(0.5 * nu));
  *mean = nu > 1 ? p[1] * (2 * sqrt(nu / V_PI) * ratio / (nu - 1)) : HUGE_VAL;
  *variance = nu > 2 ? p[1] * p[1] * (nu / (nu - 2)) - *mean * *mean : HUGE_VAL;
}

/* ---- laplace(mu, sigma) ---------------------------------------------------------------------- */

static const char *laplace_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of laplace must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of laplace must be positive",
                    "scale of laplace must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(laplace)
static double laplace_quantile1(double prob, const double *p)
{
  return p[0] + p[1] * (prob < 0.5 ? log(2 * prob) : -log(2 * (1 - prob)));
}
DIST_SAMPLE_2(laplace)
static void laplace_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = (x - p[0]) / p[1], tail = -fabs(z) - V_LOG_2, rest = log1p(-exp(tail));
  *lower = z < 0 ? tail : rest;
  *upper = z < 0 ? rest : tail;
}
static double laplace_cdf1(double x, const double *p)
{
  double z = (x - p[0]) / p[1];
  return z < 0 ? 0.5 * exp(z) : 1 - 0.5 * exp(-z);
}
DIST_CDF_LOCATION_SCALE(laplace)
static void laplace_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = 2 * p[1] * p[1];
}

/* ---- double_exponential(mu, sigma): laplace by Stan's name ----------------------------------- */

static const char *double_exponential_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of double_exponential must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of double_exponential must be positive",
                    "scale of double_exponential must be within 2.3e-308..1.7e308");
}

/* ---- logistic(mu, sigma) --------------------------------------------------------------------- */

static const char *logistic_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of logistic must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of logistic must be positive",
                    "scale of logistic must be within 2.3e-308..1.7e308");
}
DIST_FORMULA_2(logistic)
static double logistic_quantile1(double prob, const double *p)
{
  return p[0] + p[1] * (log(prob) - log1p(-prob));
}
DIST_SAMPLE_2(logistic)
static void logistic_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = (x - p[0]) / p[1];
  *lower = -special_log1pexp(-z);
  *upper = -special_log1pexp(z);
}
static double logistic_cdf1(double x,
                            const double *p)
{
  return special_logit_inv((x - p[0]) / p[1]);
}
DIST_CDF_LOCATION_SCALE(logistic)
static void logistic_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = p[1] * p[1] * (V_PI * V_PI / 3);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

static double student_t_quantile1(double prob, const double *p);

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "cauchy", .params = "mu, sigma", SCALAR,
   .doc = "The Cauchy distribution with median mu and scale sigma > 0.\n"
          "Density 1 / (pi sigma (1 + ((x - mu)/sigma)^2)) on the reals; it has no mean.",
   .check1 = cauchy_check, .logp1 = cauchy_logp1,
   .block = cauchy_block, .sample1 = cauchy_sample1, .samples = cauchy_samples,
   .lane_samples = cauchy_lane_samples, .cdf1 = cauchy_cdf1,
   .quantile1 = cauchy_quantile1, .partials1 = cauchy_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = dist_everywhere, .tails1 = cauchy_tails1,
   .cdf_partials1 = cauchy_cdf_partials1, .moments1 = no_moments},
  {.name = "half_cauchy", .params = "sigma", SCALAR,
   .doc = "The absolute value of cauchy(0, sigma), sigma > 0.\n"
          "Density 2 / (pi sigma (1 + (x/sigma)^2)) on x >= 0.",
   .check1 = half_cauchy_check, .logp1 = half_cauchy_logp1,
   .block = half_cauchy_block, .sample1 = half_cauchy_sample1, .samples = half_cauchy_samples,
   .lane_samples = half_cauchy_lane_samples,
   .cdf1 = half_cauchy_cdf1, .quantile1 = half_cauchy_quantile1,
   .partials1 = half_cauchy_partials1,
   .scale_is = 1,
   .range1 = dist_positive, .tails1 = half_cauchy_tails1,
   .cdf_partials1 = half_cauchy_cdf_partials1, .moments1 = half_cauchy_moments1},
  {.name = "student_t", .params = "nu, mu = 0, sigma = 1", SCALAR,
   .doc = "Student's t distribution of nu > 0 degrees of freedom, location mu, scale sigma > 0.\n"
          "Density Gamma((nu+1)/2) / (Gamma(nu/2) sqrt(nu pi) sigma) (1 + z^2/nu)^(-(nu+1)/2),\n"
          "z = (x - mu)/sigma, on the reals.",
   .check1 = student_t_check, .logp1 = student_t_logp1,
   .block = student_t_block, .sample1 = student_t_sample1,
   .cdf1 = student_t_cdf1, .quantile1 = student_t_quantile1, .partials1 = student_t_partials1,
   .location_is = 2, .scale_is = 3,
   .range1 = dist_everywhere, .tails1 = student_t_tails1,
   .cdf_partials1 = student_t_cdf_partials1, .moments1 = student_t_moments1,
   .hint = "student_t(nu, mu, sigma) takes the degrees of freedom first"},
  {.name = "half_student_t", .params = "nu, sigma = 1", SCALAR,
   .doc = "The absolute value of student_t(nu, 0, sigma), nu > 0, sigma > 0.\n"
          "Density 2 Gamma((nu+1)/2) / (Gamma(nu/2) sqrt(nu pi) sigma) (1 + z^2/nu)^(-(nu+1)/2),\n"
          "z = x/sigma, on x >= 0.",
   .check1 = half_student_t_check, .logp1 = half_student_t_logp1, .block = half_student_t_block,
   .sample1 = half_student_t_sample1, .cdf1 = half_student_t_cdf1,
   .quantile1 = half_student_t_quantile1, .partials1 = half_student_t_partials1,
   .scale_is = 2, .range1 = dist_positive, .tails1 = half_student_t_tails1,
   .cdf_partials1 = half_student_t_cdf_partials1,
   .moments1 = half_student_t_moments1,
   .hint = "half_student_t(nu, sigma) takes the degrees of freedom first"},
  {.name = "laplace", .params = "mu, sigma", SCALAR,
   .doc = "The double exponential distribution with mean mu and scale sigma > 0.\n"
          "Density exp(-|x - mu|/sigma) / (2 sigma) on the reals.",
   .check1 = laplace_check, .logp1 = laplace_logp1,
   .block = laplace_block, .sample1 = laplace_sample1, .samples = laplace_samples,
   .lane_samples = laplace_lane_samples,
   .cdf1 = laplace_cdf1, .quantile1 = laplace_quantile1, .partials1 = laplace_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = dist_everywhere, .tails1 = laplace_tails1,
   .cdf_partials1 = laplace_cdf_partials1, .moments1 = laplace_moments1},
  {.name = "double_exponential", .params = "mu, sigma", SCALAR,
   .doc = "laplace by Stan's name: mean mu and scale sigma > 0.\n"
          "Density exp(-|x - mu|/sigma) / (2 sigma) on the reals.",
   .check1 = double_exponential_check, .logp1 = laplace_logp1, .block = double_exponential_block,
   .sample1 = laplace_sample1, .samples = laplace_samples,
   .lane_samples = laplace_lane_samples,
   .cdf1 = laplace_cdf1, .quantile1 = laplace_quantile1, .partials1 = laplace_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = dist_everywhere, .tails1 = laplace_tails1, .cdf_partials1 = laplace_cdf_partials1,
   .moments1 = laplace_moments1},
  {.name = "logistic", .params = "mu, sigma", SCALAR,
   .doc = "The logistic distribution with mean mu and scale sigma > 0.\n"
          "Density exp(-z) / (sigma (1 + exp(-z))^2), z = (x - mu)/sigma, on the reals.",
   .check1 = logistic_check, .logp1 = logistic_logp1,
   .block = logistic_block, .sample1 = logistic_sample1, .samples = logistic_samples,
   .lane_samples = logistic_lane_samples,
   .cdf1 = logistic_cdf1, .quantile1 = logistic_quantile1, .partials1 = logistic_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = dist_everywhere, .tails1 = logistic_tails1,
   .cdf_partials1 = logistic_cdf_partials1, .moments1 = logistic_moments1},
};

/* x > 0 with P(T > x) = q: by solving, from the normal quantile or from the power law of the
   tail. */
static double student_t_upper(double q, double nu)
{
  const double standard[] = {nu, 0, 1};
  double far = exp((student_t_constant(nu) + 0.5 * (nu - 1) * log(nu) - log(q)) / nu);
  double start = fmax(-special_norm_quantile(q), nu < 10 && q < 0.1 ? far : 0);
  return dist_solve_tail(&rows[2], standard, log(q), true, 0, HUGE_VAL, start);
}
static double student_t_quantile1(double prob, const double *p)
{
  if (prob == 0.5) return p[1];
  if (prob == 0 || prob == 1) return prob == 0 ? -HUGE_VAL : HUGE_VAL;
  double z = student_t_upper(prob < 0.5 ? prob : 1 - prob, p[0]);
  return p[1] + p[2] * (prob < 0.5 ? -z : z);
}
static double half_student_t_quantile1(double prob, const double *p)
{
  if (prob == 0 || prob == 1) return prob == 0 ? 0 : HUGE_VAL;
  if (prob > 0.5) return p[1] * student_t_upper(0.5 * (1 - prob), p[0]);
  return dist_solve_quantile(&rows[3], prob, p, p[1] * prob);
}

const dist_shelf dist_heavies = {rows, sizeof rows / sizeof rows[0]};
