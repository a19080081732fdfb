/* heavy: location-scale families with heavier tails than the normal: cauchy, half_cauchy,
   student_t, laplace, logistic.  Formulas in kernel.h; draws by inversion, student_t by Bailey
   1994. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel.h"
#include "dist/kernel_draw.h"
#include "num/rng.h"

static void everywhere(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = -HUGE_VAL;
  *upper = HUGE_VAL;
}

static void positive(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = HUGE_VAL;
}

/* ---- cauchy(mu, sigma) ----------------------------------------------------------------------- */

static const char *cauchy_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of cauchy must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of cauchy must be positive",
                    "scale of cauchy must be within 2.3e-308..1.7e308");
}
static double cauchy_logp1(double x, const double *p)
{
  return cauchy_logp(NORN_KEEP_ALL, x, p[0], p[1]);
}
static double cauchy_partials1(double x, const double *p, double *d)
{
  return cauchy_partials(NORN_KEEP_ALL, x, p[0], p[1], d);
}
static double unit_cauchy_quantile(double prob)   /* tan(pi (prob - 1/2)) */
{
  return prob == 0.5 ? 0 : prob < 0.5 ? -1 / draw_tan(2 * prob) : 1 / draw_tan(2 * (1 - prob));
}
static double cauchy_sample1(const double *p, norn_rng *g)
{
  return cauchy_draw(rng_uniform(g), p[0], p[1]);
}
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
static double half_cauchy_logp1(double x, const double *p)
{
  return half_cauchy_logp(NORN_KEEP_ALL, x, p[0]);
}
static double half_cauchy_partials1(double x, const double *p, double *d)
{
  return half_cauchy_partials(NORN_KEEP_ALL, x, p[0], d);
}
static double half_cauchy_sample1(const double *p, norn_rng *g)
{
  return half_cauchy_draw(rng_uniform(g), p[0]);
}
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
static double student_t_logp1(double x, const double *p)
{
  return student_t_logp(NORN_KEEP_ALL, x, p[0], p[1], p[2]);
}
static double student_t_partials1(double x, const double *p, double *d)
{
  return student_t_partials(NORN_KEEP_ALL, x, p[0], p[1], p[2], d);
}
/* Bailey 1994, "Polar generation of random variates with the t-distribution":
   sqrt(nu (u^(-2/nu) - 1)) cos(2 pi v). */
static double student_t_sample1(const double *p, norn_rng *g)
{
  double u, v, s, c;
  rng_uniform2(g, &u, &v);
  v_sincos2pi(v, &s, &c);
  double e = -2 * v_log_normal(u) / p[0];
  double r = e < 700 ? sqrt(p[0] * expm1(e)) : sqrt(p[0]) * v_exp(0.5 * e);
  return draw_finite(p[1] + p[2] * (c == 0 ? 0 : r * c));
}

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
static double student_t_moment_range(double nu, double least, double value)
{
  return nu > least ? value : nu > least - 1 && least > 1 ? HUGE_VAL : (double)NAN;
}
static void student_t_moments1(const double *p, double *mean, double *variance)
{
  *mean = student_t_moment_range(p[0], 1, p[1]);
  *variance = student_t_moment_range(p[0], 2, p[2] * p[2] * p[0] / (p[0] - 2));
}

/* ---- laplace(mu, sigma) ---------------------------------------------------------------------- */

static const char *laplace_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of laplace must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of laplace must be positive",
                    "scale of laplace must be within 2.3e-308..1.7e308");
}
static double laplace_logp1(double x, const double *p)
{
  return laplace_logp(NORN_KEEP_ALL, x, p[0], p[1]);
}
static double laplace_partials1(double x, const double *p, double *d)
{
  return laplace_partials(NORN_KEEP_ALL, x, p[0], p[1], d);
}
static double laplace_quantile1(double prob, const double *p)
{
  return p[0] + p[1] * (prob < 0.5 ? log(2 * prob) : -log(2 * (1 - prob)));
}
static double laplace_sample1(const double *p, norn_rng *g)
{
  return laplace_draw(rng_uniform(g), p[0], p[1]);
}
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
static void laplace_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = 2 * p[1] * p[1];
}

/* ---- logistic(mu, sigma) --------------------------------------------------------------------- */

static const char *logistic_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of logistic must be finite"; }
  *which = 1;
  return dist_scale(p[1], "scale of logistic must be positive",
                    "scale of logistic must be within 2.3e-308..1.7e308");
}
static double logistic_logp1(double x, const double *p)
{
  return logistic_logp(NORN_KEEP_ALL, x, p[0], p[1]);
}
static double logistic_partials1(double x, const double *p, double *d)
{
  return logistic_partials(NORN_KEEP_ALL, x, p[0], p[1], d);
}
static double logistic_quantile1(double prob, const double *p)
{
  return p[0] + p[1] * (log(prob) - log1p(-prob));
}
static double logistic_sample1(const double *p, norn_rng *g)
{
  return logistic_draw(rng_uniform(g), p[0], p[1]);
}
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
   .block = cauchy_block, .sample1 = cauchy_sample1, .samples = cauchy_samples, .cdf1 = cauchy_cdf1,
   .quantile1 = cauchy_quantile1, .partials1 = cauchy_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = everywhere, .tails1 = cauchy_tails1, .moments1 = no_moments},
  {.name = "half_cauchy", .params = "sigma", SCALAR,
   .doc = "The absolute value of cauchy(0, sigma), sigma > 0.\n"
          "Density 2 / (pi sigma (1 + (x/sigma)^2)) on x >= 0.",
   .check1 = half_cauchy_check, .logp1 = half_cauchy_logp1,
   .block = half_cauchy_block, .sample1 = half_cauchy_sample1, .samples = half_cauchy_samples,
   .cdf1 = half_cauchy_cdf1, .quantile1 = half_cauchy_quantile1,
   .partials1 = half_cauchy_partials1,
   .scale_is = 1,
   .range1 = positive, .tails1 = half_cauchy_tails1, .moments1 = half_cauchy_moments1},
  {.name = "student_t", .params = "nu, mu = 0, sigma = 1", SCALAR,
   .doc = "Student's t distribution of nu > 0 degrees of freedom, location mu, scale sigma > 0.\n"
          "Density Gamma((nu+1)/2) / (Gamma(nu/2) sqrt(nu pi) sigma) (1 + z^2/nu)^(-(nu+1)/2),\n"
          "z = (x - mu)/sigma, on the reals.",
   .check1 = student_t_check, .logp1 = student_t_logp1,
   .block = student_t_block, .sample1 = student_t_sample1,
   .cdf1 = student_t_cdf1, .quantile1 = student_t_quantile1, .partials1 = student_t_partials1,
   .location_is = 2, .scale_is = 3,
   .range1 = everywhere, .tails1 = student_t_tails1, .moments1 = student_t_moments1,
   .hint = "student_t(nu, mu, sigma) takes the degrees of freedom first"},
  {.name = "laplace", .params = "mu, sigma", SCALAR,
   .doc = "The double exponential distribution with mean mu and scale sigma > 0.\n"
          "Density exp(-|x - mu|/sigma) / (2 sigma) on the reals.",
   .check1 = laplace_check, .logp1 = laplace_logp1,
   .block = laplace_block, .sample1 = laplace_sample1, .samples = laplace_samples,
   .cdf1 = laplace_cdf1, .quantile1 = laplace_quantile1, .partials1 = laplace_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = everywhere, .tails1 = laplace_tails1, .moments1 = laplace_moments1},
  {.name = "logistic", .params = "mu, sigma", SCALAR,
   .doc = "The logistic distribution with mean mu and scale sigma > 0.\n"
          "Density exp(-z) / (sigma (1 + exp(-z))^2), z = (x - mu)/sigma, on the reals.",
   .check1 = logistic_check, .logp1 = logistic_logp1,
   .block = logistic_block, .sample1 = logistic_sample1, .samples = logistic_samples,
   .cdf1 = logistic_cdf1, .quantile1 = logistic_quantile1, .partials1 = logistic_partials1,
   .location_is = 1, .scale_is = 2,
   .range1 = everywhere, .tails1 = logistic_tails1, .moments1 = logistic_moments1},
};

/* By solving in the smaller tail, from the normal quantile or from the power law of the tail. */
static double student_t_quantile1(double prob, const double *p)
{
  if (prob == 0.5) return p[1];
  if (prob == 0 || prob == 1) return prob == 0 ? -HUGE_VAL : HUGE_VAL;
  const double standard[] = {p[0], 0, 1};
  double q = prob < 0.5 ? prob : 1 - prob, nu = p[0];
  double far = exp((student_t_constant(nu) + 0.5 * (nu - 1) * log(nu) - log(q)) / nu);
  double start = fmax(-special_norm_quantile(q), nu < 10 && q < 0.1 ? far : 0);
  double z = dist_solve_tail(&rows[2], standard, log(q), true, 0, HUGE_VAL, start);
  return p[1] + p[2] * (prob < 0.5 ? -z : z);
}

const dist_shelf dist_heavies = {rows, sizeof rows / sizeof rows[0]};
