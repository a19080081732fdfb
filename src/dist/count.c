/* count: families of truth values and counts: bernoulli, binomial, poisson, geometric,
   neg_binomial, neg_binomial_2, discrete_uniform.  Formulas in kernel.h; distribution functions by
   incomplete gamma and beta functions (DLMF 8.17.5, 8.4.10), quantiles by a search on them; draws
   in kernel_sample.h. */
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

/* ---- bernoulli(p) ---------------------------------------------------------------------------- */

static const char *bernoulli_check(const double *p, int *which)
{
  *which = 0;
  return p[0] >= 0 && p[0] <= 1 ? NULL : "probability of bernoulli must be between 0 and 1";
}
DIST_FORMULA_1(bernoulli)
DIST_SAMPLE_1(bernoulli)
static double bernoulli_cdf1(double x, const double *p) { return x < 0 ? 0 : x < 1 ? 1 - p[0] : 1; }
static double bernoulli_quantile1(double prob, const double *p) { return prob == 1 || prob > 1 - p[0]; }
static void bernoulli_tails1(double x, const double *p, double *lower, double *upper)
{
  *lower = x < 0 ? -HUGE_VAL : x < 1 ? log1p(-p[0]) : 0;
  *upper = x < 0 ? 0 : x < 1 ? log(p[0]) : -HUGE_VAL;
}
static void bernoulli_range1(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = 1;
}
static void bernoulli_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = p[0] * (1 - p[0]);
}

/* ---- binomial(n, p) -------------------------------------------------------------------------- */

static const char *binomial_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] >= 0 &&
        p[0] == floor(p[0]))) return "number of trials of binomial must be an integer, 0 or more";
  if (!(p[0] <= 0x1p53)) return "number of trials of binomial must be at most 2^53";
  *which = 1;
  return p[1] >= 0 && p[1] <= 1 ? NULL : "probability of binomial must be between 0 and 1";
}
DIST_FORMULA_2(binomial)
DIST_SAMPLE_2(binomial)
/* P(X <= k) = I_{1-p}(n - k, k + 1) */
static void binomial_tails1(double x, const double *p, double *lower, double *upper)
{
  double k = floor(x);
  if (k < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (k >= p[0]) { *lower = 0; *upper = -HUGE_VAL; }
  else special_beta_log(p[0] - k, k + 1, 1 - p[1], p[1], lower, upper);
}
static double binomial_cdf1(double x, const double *p)
{
  double lower, upper;
  binomial_tails1(x, p, &lower, &upper);
  return exp(lower);
}
/* d P(X <= k) / dp = -n P(k successes in n - 1 trials) */
static double binomial_cdf_partials1(double x, const double *p, double *d)
{
  double k = floor(x), fewer[] = { p[0] - 1, p[1] };
  d[0] = d[1] = 0;
  d[2] = k >= 0 && k < p[0] ? -p[0] * exp(binomial_logp1(k, fewer)) : 0;
  return binomial_cdf1(x, p);
}
static void binomial_range1(const double *p, double *lower, double *upper)
{
  *lower = 0;
  *upper = p[0];
}
static void binomial_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] * p[1];
  *variance = *mean * (1 - p[1]);
}
static double binomial_quantile1(double prob, const double *p)
{
  double m, v;
  binomial_moments1(p, &m, &v);
  return dist_search_quantile(binomial_cdf1, prob, p, 0, p[0],
                              m + sqrt(v) * special_norm_quantile(prob));
}

/* ---- poisson(lambda) ------------------------------------------------------------------------- */

static const char *poisson_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] >= 0)) return "rate of poisson must not be negative";
  return p[0] < HUGE_VAL ? NULL : "rate of poisson must be finite";
}
DIST_FORMULA_1(poisson)
DIST_SAMPLE_1(poisson)
/* P(X <= k) = Q(k + 1, lambda) */
static void poisson_tails1(double x, const double *p, double *lower, double *upper)
{
  if (x < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (x == HUGE_VAL) { *lower = 0; *upper = -HUGE_VAL; }
  else special_gamma_log(floor(x) + 1, p[0], upper, lower);
}
static double poisson_cdf1(double x, const double *p)
{
  double lower, upper;
  poisson_tails1(x, p, &lower, &upper);
  return exp(lower);
}
/* d P(X <= k) / d lambda = -P(X = k) */
static double poisson_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = 0;
  d[1] = x >= 0 && x < HUGE_VAL ? -exp(poisson_logp1(floor(x), p)) : 0;
  return poisson_cdf1(x, p);
}
static double poisson_quantile1(double prob, const double *p)
{
  double guess = p[0] + sqrt(p[0]) * special_norm_quantile(prob);
  return dist_search_quantile(poisson_cdf1, prob, p, 0, HUGE_VAL, guess);
}
static void poisson_moments1(const double *p, double *mean, double *variance)
{
  *mean = *variance = p[0];
}

/* ---- geometric(p): failures before the first success ----------------------------------------- */

static const char *geometric_check(const double *p, int *which)
{
  *which = 0;
  return p[0] > 0 && p[0] <= 1 ? NULL : "probability of geometric must be above 0 and at most 1";
}
DIST_FORMULA_1(geometric)
DIST_SAMPLE_1(geometric)
static void geometric_tails1(double x, const double *p, double *lower, double *upper)
{
  *upper = x < 0 ? 0 : (floor(x) + 1) * log1p(-p[0]);
  *lower = special_log1mexp(*upper);
}
static double geometric_cdf1(double x, const double *p)
{
  return x < 0 ? 0 : -expm1((floor(x) + 1) * log1p(-p[0]));
}
static double geometric_quantile1(double prob, const double *p)
{
  double guess = p[0] < 1 ? log1p(-prob) / log1p(-p[0]) - 1 : 0;
  return dist_search_quantile(geometric_cdf1, prob, p, 0, HUGE_VAL, guess);
}
static void geometric_moments1(const double *p, double *mean, double *variance)
{
  *mean = (1 - p[0]) / p[0];
  *variance = *mean / p[0];
}

/* ---- neg_binomial_2(mu, phi): mean mu, variance mu + mu^2/phi -------------------------------- */

static const char *neg_binomial_2_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "mean of neg_binomial_2 must be positive";
  if (!(p[0] < HUGE_VAL)) return "mean of neg_binomial_2 must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "dispersion of neg_binomial_2 must be positive";
  return p[1] < HUGE_VAL ? NULL : "dispersion of neg_binomial_2 must be finite";
}
DIST_FORMULA_2(neg_binomial_2)
DIST_SAMPLE_2(neg_binomial_2)
/* P(X <= k) = I_{phi/(phi+mu)}(phi, k + 1) */
static void neg_binomial_2_tails1(double x, const double *p, double *lower, double *upper)
{
  if (x < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (x == HUGE_VAL) { *lower = 0; *upper = -HUGE_VAL; }
  else special_beta_log(p[1], floor(x) + 1, p[1] / (p[1] + p[0]), p[0] / (p[1] + p[0]), lower,
                        upper);
}
static double neg_binomial_2_cdf1(double x, const double *p)
{
  double lower, upper;
  neg_binomial_2_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static void neg_binomial_2_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = p[0] + p[0] * (p[0] / p[1]);
}
static double neg_binomial_2_quantile1(double prob, const double *p)
{
  double guess = special_gamma_p_inv(p[1], prob) * (p[0] / p[1]);
  return dist_search_quantile(neg_binomial_2_cdf1, prob, p, 0, HUGE_VAL, guess);
}

/* ---- neg_binomial(alpha, beta): mean alpha/beta, variance alpha (beta + 1)/beta^2 ------------ */

static const char *neg_binomial_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0 && p[0] < HUGE_VAL)) return "shape of neg_binomial must be positive and finite";
  *which = 1;
  return p[1] > 0 && p[1] < HUGE_VAL ? NULL :
         "inverse scale of neg_binomial must be positive and finite";
}
DIST_FORMULA_2(neg_binomial)
DIST_SAMPLE_2(neg_binomial)
/* P(X <= k) = I_{beta/(beta+1)}(alpha, k + 1) */
static void neg_binomial_tails1(double x, const double *p, double *lower, double *upper)
{
  if (x < 0) { *lower = -HUGE_VAL; *upper = 0; }
  else if (x == HUGE_VAL) { *lower = 0; *upper = -HUGE_VAL; }
  else special_beta_log(p[0], floor(x) + 1, p[1] / (1 + p[1]), 1 / (1 + p[1]), lower, upper);
}
static double neg_binomial_cdf1(double x, const double *p)
{
  double lower, upper;
  neg_binomial_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static void neg_binomial_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0] / p[1];
  *variance = *mean + *mean / p[1];
}
static double neg_binomial_quantile1(double prob, const double *p)
{
  double guess = special_gamma_p_inv(p[0], prob) / p[1];
  return dist_search_quantile(neg_binomial_cdf1, prob, p, 0, HUGE_VAL, guess);
}

/* ---- discrete_uniform(lower, upper), both included ------------------------------------------- */

static const char *discrete_uniform_check(const double *p, int *which)
{
  for (int i = 0; i < 2; i++) {
    *which = i;
    if (p[i] != floor(p[i]) || !(fabs(p[i]) <= 0x1p53))
      return i ? "upper bound of discrete_uniform must be an integer" :
          "lower bound of discrete_uniform must be an integer";
  }
  return p[0] <= p[1] ? NULL : "upper bound of discrete_uniform must not be below the lower bound";
}
DIST_FORMULA_2(discrete_uniform)
DIST_SAMPLE_2(discrete_uniform)
static double discrete_uniform_cdf1(double x, const double *p)
{
  return x < p[0] ? 0 : x >= p[1] ? 1 : (floor(x) - p[0] + 1) / (p[1] - p[0] + 1);
}
static double discrete_uniform_quantile1(double prob, const double *p)
{
  double guess = p[0] + prob * (p[1] - p[0] + 1) - 1;
  return dist_search_quantile(discrete_uniform_cdf1, prob, p, p[0], p[1], guess);
}
static void discrete_uniform_tails1(double x, const double *p, double *lower, double *upper)
{
  *lower = log(discrete_uniform_cdf1(x, p));
  *upper = x < p[0] ? 0 : x >= p[1] ? -HUGE_VAL : log((p[1] - floor(x)) / (p[1] - p[0] + 1));
}
static void discrete_uniform_range1(const double *p, double *lower, double *upper)
{
  *lower = p[0];
  *upper = p[1];
}
static void discrete_uniform_moments1(const double *p, double *mean, double *variance)
{
  double n = p[1] - p[0] + 1;
  *mean = p[0] + 0.5 * (n - 1);
  *variance = (n * n - 1) / 12;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SHARED .support = dist_scalar_support, .moments = dist_scalar_moments, \
  .enumerate = dist_scalar_enumerate
#define COUNT .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE, SHARED
#define FINITE .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE | NORN_DIST_FINITE, SHARED

static const norn_dist_row rows[] = {
  {.name = "bernoulli", .params = "p", SHARED,
   .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE | NORN_DIST_FINITE | NORN_DIST_BOOL,
   .doc = "true with probability p, false otherwise; scores true, false, 1 and 0.",
   .check1 = bernoulli_check, .logp1 = bernoulli_logp1,
   .block = bernoulli_block, .sample1 = bernoulli_sample1, .samples = bernoulli_samples,
   .lane_samples = bernoulli_lane_samples,
   .cdf1 = bernoulli_cdf1, .quantile1 = bernoulli_quantile1, .partials1 = bernoulli_partials1,
   .range1 = bernoulli_range1, .tails1 = bernoulli_tails1, .moments1 = bernoulli_moments1},
  {.name = "binomial", .params = "n, p", FINITE,
   .doc = "The number of successes in n trials of probability p.\n"
          "Mass n!/(k!(n-k)!) p^k (1-p)^(n-k) on k = 0..n.",
   .check1 = binomial_check, .logp1 = binomial_logp1,
   .block = binomial_block, .sample1 = binomial_sample1,
   .cdf1 = binomial_cdf1, .quantile1 = binomial_quantile1, .partials1 = binomial_partials1,
   .range1 = binomial_range1, .tails1 = binomial_tails1, .cdf_partials1 = binomial_cdf_partials1, .moments1 = binomial_moments1,
   .hint = "binomial(n, p) takes the number of trials first"},
  {.name = "poisson", .params = "lambda", COUNT,
   .doc = "The Poisson distribution with rate (mean) lambda >= 0.\n"
          "Mass lambda^k exp(-lambda) / k! on k = 0, 1, ...",
   .check1 = poisson_check, .logp1 = poisson_logp1,
   .block = poisson_block, .sample1 = poisson_sample1,
   .cdf1 = poisson_cdf1, .quantile1 = poisson_quantile1, .partials1 = poisson_partials1,
   .range1 = from_zero, .tails1 = poisson_tails1, .cdf_partials1 = poisson_cdf_partials1, .moments1 = poisson_moments1},
  {.name = "geometric", .params = "p", COUNT,
   .doc = "The number of failures before the first success of probability p.\n"
          "Mass p (1-p)^k on k = 0, 1, ...",
   .check1 = geometric_check, .logp1 = geometric_logp1,
   .block = geometric_block, .sample1 = geometric_sample1, .samples = geometric_samples,
   .lane_samples = geometric_lane_samples,
   .cdf1 = geometric_cdf1, .quantile1 = geometric_quantile1, .partials1 = geometric_partials1,
   .range1 = from_zero, .tails1 = geometric_tails1, .moments1 = geometric_moments1},
  {.name = "neg_binomial_2", .params = "mu, phi", COUNT,
   .doc = "The negative binomial distribution of mean mu > 0 and variance mu + mu^2/phi, phi > 0.\n"
          "Mass Gamma(k+phi)/(k! Gamma(phi)) (mu/(mu+phi))^k (phi/(mu+phi))^phi on k = 0, 1, ...",
   .check1 = neg_binomial_2_check, .logp1 = neg_binomial_2_logp1,
   .block = neg_binomial_2_block, .sample1 = neg_binomial_2_sample1,
   .cdf1 = neg_binomial_2_cdf1, .quantile1 = neg_binomial_2_quantile1,
   .partials1 = neg_binomial_2_partials1,
   .range1 = from_zero, .tails1 = neg_binomial_2_tails1, .moments1 = neg_binomial_2_moments1,
   .hint = "neg_binomial_2(mu, phi) takes mean and dispersion; the variance is mu + mu^2/phi"},
  {.name = "neg_binomial", .params = "alpha, beta", COUNT,
   .doc = "The Poisson distribution whose rate is gamma(alpha, beta), alpha, beta > 0.\n"
          "Mass (k+alpha-1 over k) p^alpha (1-p)^k, k = 0, 1, ...; p = beta/(1+beta).",
   .check1 = neg_binomial_check, .logp1 = neg_binomial_logp1, .block = neg_binomial_block,
   .sample1 = neg_binomial_sample1, .cdf1 = neg_binomial_cdf1,
   .quantile1 = neg_binomial_quantile1, .partials1 = neg_binomial_partials1,
   .range1 = from_zero, .tails1 = neg_binomial_tails1, .moments1 = neg_binomial_moments1,
   .hint = "neg_binomial(alpha, beta) has mean alpha/beta; neg_binomial_2(mu, phi) takes the mean"},
  {.name = "discrete_uniform", .params = "lower, upper", FINITE,
   .doc = "The integers lower..upper, both included, with equal probabilities.",
   .check1 = discrete_uniform_check, .logp1 = discrete_uniform_logp1,
   .block = discrete_uniform_block,
   .sample1 = discrete_uniform_sample1, .cdf1 = discrete_uniform_cdf1,
   .quantile1 = discrete_uniform_quantile1, .partials1 = discrete_uniform_partials1,
   .range1 = discrete_uniform_range1, .tails1 = discrete_uniform_tails1,
   .moments1 = discrete_uniform_moments1},
};

const dist_shelf dist_counts = {rows, sizeof rows / sizeof rows[0]};
