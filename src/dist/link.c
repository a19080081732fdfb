/* link: families of counts by the logarithm of their odds or rate: bernoulli_logit, binomial_logit,
   poisson_log, neg_binomial_2_log.  Formulas in kernel.h: nothing overflows or is rounded to 0 or 1
   on the way.  Distribution functions and draws are those of the plain families. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/draws.h"
#include "dist/kernel_sample.h"

static void from_zero(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = HUGE_VAL;
}

/* ---- bernoulli_logit(alpha) ------------------------------------------------------------------ */

static const char *bernoulli_logit_check(const double *p, int *which)
{
  *which = 0;
  return isfinite(p[0]) ? NULL : "log odds of bernoulli_logit must be finite";
}
DIST_FORMULA_1(bernoulli_logit)
DIST_SAMPLE_1(bernoulli_logit)
static void bernoulli_logit_tails1(double x, const double *p, double *lower, double *upper)
{
  *lower = x < 0 ? -HUGE_VAL : x < 1 ? -v_log1pexp(p[0]) : 0;
  *upper = x < 0 ? 0 : x < 1 ? -v_log1pexp(-p[0]) : -HUGE_VAL;
}
static double bernoulli_logit_cdf1(double x, const double *p)
{
  return x < 0 ? 0 : x < 1 ? v_logit_inv(-p[0]) : 1;
}
static double bernoulli_logit_quantile1(double prob, const double *p)
{
  return prob == 1 || prob > v_logit_inv(-p[0]);
}
static void bernoulli_logit_range1(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = 1;
}
static void bernoulli_logit_moments1(const double *p, double *mean, double *variance)
{
  *mean = v_logit_inv(p[0]);
  *variance = *mean * v_logit_inv(-p[0]);
}

/* ---- binomial_logit(n, alpha) ---------------------------------------------------------------- */

static const char *binomial_logit_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] >= 0 && p[0] == floor(p[0])))
    return "number of trials of binomial_logit must be an integer, 0 or more";
  if (!(p[0] <= 0x1p53)) return "number of trials of binomial_logit must be at most 2^53";
  *which = 1;
  return isfinite(p[1]) ? NULL : "log odds of binomial_logit must be finite";
}
DIST_FORMULA_2(binomial_logit)
DIST_SAMPLE_2(binomial_logit)
/* P(X <= k) = I_{1-p}(n - k, k + 1) */
static void binomial_logit_tails1(double x, const double *p, double *lower, double *upper)
{
  double k = floor(x);
  if (k < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (k >= p[0]) { *lower = 0; *upper = -HUGE_VAL; }
  else special_beta_log(p[0] - k, k + 1, v_logit_inv(-p[1]), v_logit_inv(p[1]), lower, upper);
}
static double binomial_logit_cdf1(double x, const double *p)
{
  double lower, upper;
  binomial_logit_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static void binomial_logit_range1(const double *p, double *lower, double *upper)
{
  *lower = 0;
  *upper = p[0];
}
static void binomial_logit_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] * v_logit_inv(p[1]);
  *variance = *mean * v_logit_inv(-p[1]);
}
static double binomial_logit_quantile1(double prob, const double *p)
{
  double m, v;
  binomial_logit_moments1(p, &m, &v);
  return dist_search_quantile(binomial_logit_cdf1, prob, p, 0, p[0],
                              m + sqrt(v) * special_norm_quantile(prob));
}

/* ---- poisson_log(alpha) ---------------------------------------------------------------------- */

static const char *poisson_log_check(const double *p, int *which)
{
  *which = 0;
  return p[0] < HUGE_VAL && p[0] > -HUGE_VAL ? NULL : "log rate of poisson_log must be finite";
}
DIST_FORMULA_1(poisson_log)
DIST_SAMPLE_1(poisson_log)
/* P(X <= k) = Q(k + 1, lambda) */
static void poisson_log_tails1(double x, const double *p, double *lower, double *upper)
{
  if (x < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (x == HUGE_VAL) { *lower = 0; *upper = -HUGE_VAL; }
  else if (v_exp(p[0]) == HUGE_VAL) { *lower = -HUGE_VAL; *upper = 0; }
  else special_gamma_log(floor(x) + 1, v_exp(p[0]), upper, lower);
}
static double poisson_log_cdf1(double x, const double *p)
{
  double lower, upper;
  poisson_log_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double poisson_log_quantile1(double prob, const double *p)
{
  double rate = v_exp(p[0]), guess = rate + sqrt(rate) * special_norm_quantile(prob);
  return dist_search_quantile(poisson_log_cdf1, prob, p, 0, HUGE_VAL, guess);
}
static void poisson_log_moments1(const double *p, double *mean, double *variance)
{
  *mean = *variance = v_exp(p[0]);
}

/* ---- neg_binomial_2_log(eta, phi) ------------------------------------------------------------ */

static const char *neg_binomial_2_log_check(const double *p, int *which)
{
  *which = 0;
  if (!isfinite(p[0])) return "log mean of neg_binomial_2_log must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "dispersion of neg_binomial_2_log must be positive";
  return p[1] < HUGE_VAL ? NULL : "dispersion of neg_binomial_2_log must be finite";
}
DIST_FORMULA_2(neg_binomial_2_log)
DIST_SAMPLE_2(neg_binomial_2_log)
/* P(X <= k) = I_p(phi, k + 1), p = 1/(1 + exp z), z = eta - log phi */
static void neg_binomial_2_log_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = p[0] - v_log(p[1]);
  if (x < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (x == HUGE_VAL) { *lower = 0; *upper = -HUGE_VAL; }
  else special_beta_log(p[1], floor(x) + 1, v_logit_inv(-z), v_logit_inv(z), lower, upper);
}
static double neg_binomial_2_log_cdf1(double x, const double *p)
{
  double lower, upper;
  neg_binomial_2_log_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static void neg_binomial_2_log_moments1(const double *p, double *mean, double *variance)
{
  *mean = v_exp(p[0]);
  *variance = *mean + *mean * (*mean / p[1]);
}
static double neg_binomial_2_log_quantile1(double prob, const double *p)
{
  double guess = special_gamma_p_inv(p[1], prob) * (v_exp(p[0]) / p[1]);
  return dist_search_quantile(neg_binomial_2_log_cdf1, prob, p, 0, HUGE_VAL, guess);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SHARED .support = dist_scalar_support, .moments = dist_scalar_moments, \
  .enumerate = dist_scalar_enumerate
#define COUNT .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE, SHARED
#define FINITE .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE | NORN_DIST_FINITE, SHARED

static const norn_dist_row rows[] = {
  {.name = "bernoulli_logit", .params = "alpha", SHARED,
   .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE | NORN_DIST_FINITE | NORN_DIST_BOOL,
   .doc = "true with log odds alpha, that is with probability 1/(1 + exp(-alpha)).\n"
          "Scores true, false, 1 and 0.",
   .check1 = bernoulli_logit_check, .logp1 = bernoulli_logit_logp1,
   .block = bernoulli_logit_block, .sample1 = bernoulli_logit_sample1,
   .samples = bernoulli_logit_samples,
   .lane_samples = bernoulli_logit_lane_samples,
   .cdf1 = bernoulli_logit_cdf1, .quantile1 = bernoulli_logit_quantile1,
   .partials1 = bernoulli_logit_partials1, .range1 = bernoulli_logit_range1,
   .tails1 = bernoulli_logit_tails1, .moments1 = bernoulli_logit_moments1},
  {.name = "binomial_logit", .params = "n, alpha", FINITE,
   .doc = "The number of successes in n trials of log odds alpha.\n"
          "Mass n!/(k!(n-k)!) p^k (1-p)^(n-k) on k = 0..n, p = 1/(1 + exp(-alpha)).",
   .check1 = binomial_logit_check, .logp1 = binomial_logit_logp1, .block = binomial_logit_block,
   .sample1 = binomial_logit_sample1, .cdf1 = binomial_logit_cdf1,
   .quantile1 = binomial_logit_quantile1, .partials1 = binomial_logit_partials1,
   .range1 = binomial_logit_range1, .tails1 = binomial_logit_tails1,
   .moments1 = binomial_logit_moments1,
   .hint = "binomial_logit(n, alpha) takes the number of trials first"},
  {.name = "poisson_log", .params = "alpha", COUNT,
   .doc = "The Poisson distribution with rate exp(alpha).\n"
          "Mass exp(alpha k - exp(alpha)) / k! on k = 0, 1, ...",
   .check1 = poisson_log_check, .logp1 = poisson_log_logp1, .block = poisson_log_block,
   .sample1 = poisson_log_sample1, .cdf1 = poisson_log_cdf1, .quantile1 = poisson_log_quantile1,
   .partials1 = poisson_log_partials1, .range1 = from_zero, .tails1 = poisson_log_tails1,
   .moments1 = poisson_log_moments1},
  {.name = "neg_binomial_2_log", .params = "eta, phi", COUNT,
   .doc = "neg_binomial_2 by the logarithm of its mean mu = exp(eta); variance mu + mu^2/phi.\n"
          "Mass Gamma(k+phi)/(k! Gamma(phi)) (mu/(mu+phi))^k (phi/(mu+phi))^phi on k = 0, 1, ...",
   .check1 = neg_binomial_2_log_check, .logp1 = neg_binomial_2_log_logp1,
   .block = neg_binomial_2_log_block, .sample1 = neg_binomial_2_log_sample1,
   .cdf1 = neg_binomial_2_log_cdf1, .quantile1 = neg_binomial_2_log_quantile1,
   .partials1 = neg_binomial_2_log_partials1, .range1 = from_zero,
   .tails1 = neg_binomial_2_log_tails1, .moments1 = neg_binomial_2_log_moments1,
   .hint = "neg_binomial_2_log(eta, phi) takes the logarithm of the mean, and the dispersion"},
};

const dist_shelf dist_links = {rows, sizeof rows / sizeof rows[0]};
