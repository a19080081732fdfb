/* urn: draws without replacement, and counts whose probability is itself random: hypergeometric,
   beta_binomial, beta_neg_binomial.  Formulas in kernel.h; their distribution functions are sums
   (tailsum.c). */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/kernel_sample.h"

static bool whole(double x) { return x >= 0 && x == floor(x); }

/* ---- beta_binomial(n, alpha, beta) ----------------------------------------------------------- */

static const char *beta_binomial_check(const double *p, int *which)
{
  *which = 0;
  if (!whole(p[0])) return "number of trials of beta_binomial must be an integer, 0 or more";
  if (!(p[0] <= 0x1p53)) return "number of trials of beta_binomial must be at most 2^53";
  *which = 1;
  if (!(p[1] > 0 && p[1] < HUGE_VAL)) return "alpha of beta_binomial must be positive and finite";
  *which = 2;
  if (!(p[2] > 0 && p[2] < HUGE_VAL)) return "beta of beta_binomial must be positive and finite";
  return p[1] + p[2] < HUGE_VAL ? NULL : "alpha + beta of beta_binomial must be finite";
}
DIST_FORMULA_3(beta_binomial)
DIST_SAMPLE_3(beta_binomial)
static void beta_binomial_range1(const double *p, double *lower, double *upper)
{
  *lower = 0;
  *upper = p[0];
}
/* n P, n P Q (a + b + n)/(a + b + 1), P = a/(a+b) = 1 - Q */
static void beta_binomial_moments1(const double *p, double *mean, double *variance)
{
  double c = p[1] + p[2];
  *mean = p[0] * (p[1] / c);
  *variance = *mean * (p[2] / c) * ((c + p[0]) / (c + 1));
}
/* The mass is log-concave for alpha, beta >= 1. */
static void beta_binomial_tails1(double x, const double *p, double *lower, double *upper)
{
  double mean, variance;
  beta_binomial_moments1(p, &mean, &variance);
  dist_sum_tails(beta_binomial_logp1, p, floor(x), (double[]){0, p[0]}, mean,
                 p[1] >= 1 && p[2] >= 1, lower, upper);
}
static double beta_binomial_cdf1(double x, const double *p)
{
  double lower, upper;
  beta_binomial_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double beta_binomial_quantile1(double prob, const double *p)
{
  double guess = p[0] * special_beta_inv(p[1], p[2], prob);
  return dist_search_quantile(beta_binomial_cdf1, prob, p, 0, p[0], guess);
}

/* ---- beta_neg_binomial(r, alpha, beta) ------------------------------------------------------- */

static const char *beta_neg_binomial_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0 && p[0] < HUGE_VAL)) return "r of beta_neg_binomial must be positive and finite";
  *which = 1;
  if (!(p[1] > 0 && p[1] < HUGE_VAL))
    return "alpha of beta_neg_binomial must be positive and finite";
  *which = 2;
  if (!(p[2] > 0 && p[2] < HUGE_VAL))
    return "beta of beta_neg_binomial must be positive and finite";
  return p[0] + p[1] + p[2] < 1e290 ? NULL : "r + alpha + beta of beta_neg_binomial is too large";
}
DIST_FORMULA_3(beta_neg_binomial)
DIST_SAMPLE_3(beta_neg_binomial)
static void beta_neg_binomial_range1(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = HUGE_VAL;
}
/* r b/(a-1), r b (r+a-1)(b+a-1)/((a-2)(a-1)^2) */
static void beta_neg_binomial_moments1(const double *p, double *mean, double *variance)
{
  double r = p[0], a = p[1], b = p[2];
  *mean = a > 1 ? r * (b / (a - 1)) : HUGE_VAL;
  *variance = a > 2 ? *mean * ((r + a - 1) / (a - 1)) * ((b + a - 1) / (a - 2)) : HUGE_VAL;
}
/* The upper tail is a sum up to where the mass goes as k^(-alpha-1), and what is left of that. */
static void beta_neg_binomial_tails1(double x, const double *p, double *lower, double *upper)
{
  double k = floor(x), far = 1e16 * (1 + p[0] + p[1] + p[2] + fmax(k, 0));
  if (k < 0) { *lower = -HUGE_VAL; *upper = 0; return; }
  if (k == HUGE_VAL) { *lower = 0; *upper = -HUGE_VAL; return; }
  *lower = fmin(0, dist_sum_mass(beta_neg_binomial_logp1, p, k, 0, false));
  *upper = special_log1mexp(*lower);
  if (*lower < -V_LOG_2) return;
  double rest = beta_neg_binomial_logp1(far, p) + v_log(far / p[1]);
  *upper = special_logaddexp(dist_sum_mass(beta_neg_binomial_logp1, p, k + 1, far, false), rest);
}
static double beta_neg_binomial_cdf1(double x, const double *p)
{
  double lower, upper;
  beta_neg_binomial_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double beta_neg_binomial_quantile1(double prob, const double *p)
{
  double odds = special_beta_inv(p[2], p[1], prob), guess = p[0] * (odds / (1 - odds));
  return dist_search_quantile(beta_neg_binomial_cdf1, prob, p, 0, HUGE_VAL,
                              guess < 1e15 ? guess : 0);
}

/* ---- hypergeometric(N, a, b): how many of N draws are among a of a + b ----------------------- */

static const char *hypergeometric_check(const double *p, int *which)
{
  *which = 0;
  if (!whole(p[0])) return "number of draws of hypergeometric must be an integer, 0 or more";
  *which = 1;
  if (!whole(p[1])) return "number of good ones of hypergeometric must be an integer, 0 or more";
  *which = 2;
  if (!whole(p[2])) return "number of bad ones of hypergeometric must be an integer, 0 or more";
  if (!(p[1] + p[2] <= 0x1p53)) return "a + b of hypergeometric must be at most 2^53";
  *which = 0;
  return p[0] <= p[1] + p[2] ? NULL : "number of draws of hypergeometric must be at most a + b";
}
DIST_FORMULA_3(hypergeometric)
DIST_SAMPLE_3(hypergeometric)
static void hypergeometric_range1(const double *p, double *lower, double *upper)
{
  *lower = fmax(0, p[0] - p[2]);
  *upper = fmin(p[0], p[1]);
}
/* N P, N P Q (c - N)/(c - 1), c = a + b, P = a/c = 1 - Q */
static void hypergeometric_moments1(const double *p, double *mean, double *variance)
{
  double c = p[1] + p[2];
  *mean = c > 0 ? p[0] * (p[1] / c) : 0;
  *variance = c > 1 ? *mean * (p[2] / c) * ((c - p[0]) / (c - 1)) : 0;
}
static void hypergeometric_tails1(double x, const double *p, double *lower, double *upper)
{
  double mean, variance, range[2];
  hypergeometric_moments1(p, &mean, &variance);
  hypergeometric_range1(p, &range[0], &range[1]);
  dist_sum_tails(hypergeometric_logp1, p, floor(x), range, mean, true, lower, upper);
}
static double hypergeometric_cdf1(double x, const double *p)
{
  double lower, upper;
  hypergeometric_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double hypergeometric_quantile1(double prob, const double *p)
{
  double mean, variance, lower, upper;
  hypergeometric_moments1(p, &mean, &variance);
  hypergeometric_range1(p, &lower, &upper);
  double guess = mean + sqrt(variance) * special_norm_quantile(prob);
  return dist_search_quantile(hypergeometric_cdf1, prob, p, lower, upper, guess);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define FINITE .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE | NORN_DIST_FINITE, \
  .support = dist_scalar_support, .moments = dist_scalar_moments, \
  .enumerate = dist_scalar_enumerate

static const norn_dist_row rows[] = {
  {.name = "beta_binomial", .params = "n, alpha, beta", FINITE,
   .doc = "The number of successes in n trials whose common probability is beta(alpha, beta).\n"
          "Mass n!/(k!(n-k)!) B(k+alpha, n-k+beta)/B(alpha, beta) on k = 0..n, alpha, beta > 0.",
   .check1 = beta_binomial_check, .logp1 = beta_binomial_logp1, .block = beta_binomial_block,
   .sample1 = beta_binomial_sample1, .cdf1 = beta_binomial_cdf1,
   .quantile1 = beta_binomial_quantile1, .partials1 = beta_binomial_partials1,
   .range1 = beta_binomial_range1, .tails1 = beta_binomial_tails1,
   .moments1 = beta_binomial_moments1,
   .hint = "beta_binomial(n, alpha, beta) takes the number of trials first"},
  {.name = "beta_neg_binomial", .params = "r, alpha, beta",
   .flags = NORN_DIST_SCALAR | NORN_DIST_DISCRETE, .support = dist_scalar_support,
   .moments = dist_scalar_moments, .enumerate = dist_scalar_enumerate,
   .doc = "The negative binomial distribution whose probability is beta(alpha, beta).\n"
          "Mass (k+r-1 over k) B(r+alpha, k+beta)/B(alpha, beta), k = 0, 1, ....",
   .check1 = beta_neg_binomial_check, .logp1 = beta_neg_binomial_logp1,
   .block = beta_neg_binomial_block, .sample1 = beta_neg_binomial_sample1,
   .cdf1 = beta_neg_binomial_cdf1, .quantile1 = beta_neg_binomial_quantile1,
   .partials1 = beta_neg_binomial_partials1, .range1 = beta_neg_binomial_range1,
   .tails1 = beta_neg_binomial_tails1, .moments1 = beta_neg_binomial_moments1,
   .hint = "beta_neg_binomial(r, alpha, beta) has mean r beta/(alpha - 1)"},
  {.name = "hypergeometric", .params = "N, a, b", FINITE,
   .doc = "How many good ones are among N drawn without replacement from a good and b bad ones.\n"
          "Mass C(a, k) C(b, N-k) / C(a+b, N) on k = max(0, N-b) .. min(a, N).",
   .check1 = hypergeometric_check, .logp1 = hypergeometric_logp1, .block = hypergeometric_block,
   .sample1 = hypergeometric_sample1, .cdf1 = hypergeometric_cdf1,
   .quantile1 = hypergeometric_quantile1, .partials1 = hypergeometric_partials1,
   .range1 = hypergeometric_range1, .tails1 = hypergeometric_tails1,
   .moments1 = hypergeometric_moments1,
   .hint = "hypergeometric(N, a, b) draws N from a + b, of which a count"},
};

const dist_shelf dist_urns = {rows, sizeof rows / sizeof rows[0]};
