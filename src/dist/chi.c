/* chi: chi_square, inv_chi_square and scaled_inv_chi_square: gamma and inv_gamma of shape nu/2.
   Formulas in kernel.h; draws, distribution functions and their inverses are those of the gamma
   function's shelf: P(X <= x) = P(nu/2, x/2), and Q(nu/2, nu s^2/(2x)) for the inverses. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/kernel_sample.h"

/* ---- chi_square(nu) -------------------------------------------------------------------------- */

static const char *chi_square_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "degrees of freedom of chi_square must be positive";
  return p[0] < HUGE_VAL ? NULL : "degrees of freedom of chi_square must be finite";
}
DIST_FORMULA_1(chi_square)
DIST_SAMPLE_1(chi_square)
static double chi_square_cdf1(double x, const double *p)
{
  return x > 0 ? special_gamma_p(0.5 * p[0], 0.5 * x) : 0;
}
static double chi_square_quantile1(double prob, const double *p)
{
  return 2 * special_gamma_p_inv(0.5 * p[0], prob);
}
static void chi_square_tails1(double x, const double *p, double *lower, double *upper)
{
  special_gamma_log(0.5 * p[0], x > 0 ? 0.5 * x : 0, lower, upper);
}
static double chi_square_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(chi_square_logp1(x, p));
  d[1] = 0.5 * special_gamma_p_slope(0.5 * p[0], x > 0 ? 0.5 * x : 0);
  return chi_square_cdf1(x, p);
}
static void chi_square_moments1(const double *p, double *mean, double *variance)
{
  *mean = p[0];
  *variance = 2 * p[0];
}

/* ---- scaled_inv_chi_square(nu, s) ------------------------------------------------------------ */

static const char *scaled_inv_chi_square_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "degrees of freedom of scaled_inv_chi_square must be positive";
  if (!(p[0] < HUGE_VAL)) return "degrees of freedom of scaled_inv_chi_square must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "scale of scaled_inv_chi_square must be positive";
  double scale = 0.5 * p[0] * p[1] * p[1];
  return scale >= 2.3e-308 && scale < HUGE_VAL ? NULL :
         "scale of scaled_inv_chi_square must keep nu s^2 within 4.6e-308..1.7e308";
}
DIST_FORMULA_2(scaled_inv_chi_square)
static double half_scale(const double *p) { return 0.5 * p[0] * p[1] * p[1]; }
DIST_SAMPLE_2(scaled_inv_chi_square)
static double scaled_inv_chi_square_cdf1(double x, const double *p)
{
  return x > 0 ? special_gamma_q(0.5 * p[0], half_scale(p) / x) : 0;
}
static double scaled_inv_chi_square_quantile1(double prob, const double *p);
static void scaled_inv_chi_square_tails1(double x, const double *p, double *lower, double *upper)
{
  special_gamma_log(0.5 * p[0], x > 0 ? half_scale(p) / x : HUGE_VAL, upper, lower);
}
/* Q(h, h w), w = s^2/x: in h through both arguments; x f(x) = (h w) * the density of the gamma. */
static double scaled_inv_chi_square_cdf_partials1(double x, const double *p, double *d)
{
  double h = 0.5 * p[0], density = exp(scaled_inv_chi_square_logp1(x, p));
  d[0] = density;
  d[1] = -0.5 * special_gamma_p_slope(h, x > 0 ? half_scale(p) / x : HUGE_VAL);
  if (density > 0) d[1] -= density * x / p[0];
  d[2] = density > 0 ? -2 * density * (x / p[1]) : 0;
  return scaled_inv_chi_square_cdf1(x, p);
}
static void scaled_inv_chi_square_moments1(const double *p, double *mean, double *variance)
{
  double nu = p[0];
  *mean = nu > 2 ? p[1] * p[1] * (nu / (nu - 2)) : HUGE_VAL;
  *variance = nu > 4 ? 2 * *mean * *mean / (nu - 4) : nu > 2 ? HUGE_VAL : (double)NAN;
}

/* ---- inv_chi_square(nu): 1 / chi_square(nu) -------------------------------------------------- */

static const char *inv_chi_square_check(const double *p, int *which)
{
  *which = 0;
  if (!(p[0] > 0)) return "degrees of freedom of inv_chi_square must be positive";
  return p[0] < HUGE_VAL ? NULL : "degrees of freedom of inv_chi_square must be finite";
}
DIST_FORMULA_1(inv_chi_square)
DIST_SAMPLE_1(inv_chi_square)
static double inv_chi_square_cdf1(double x, const double *p)
{
  return x > 0 ? special_gamma_q(0.5 * p[0], 0.5 / x) : 0;
}
static double inv_chi_square_quantile1(double prob, const double *p);
static void inv_chi_square_tails1(double x, const double *p, double *lower, double *upper)
{
  special_gamma_log(0.5 * p[0], x > 0 ? 0.5 / x : HUGE_VAL, upper, lower);
}
static double inv_chi_square_cdf_partials1(double x, const double *p, double *d)
{
  d[0] = exp(inv_chi_square_logp1(x, p));
  d[1] = -0.5 * special_gamma_p_slope(0.5 * p[0], x > 0 ? 0.5 / x : HUGE_VAL);
  return inv_chi_square_cdf1(x, p);
}
static void inv_chi_square_moments1(const double *p, double *mean, double *variance)
{
  double nu = p[0];
  *mean = nu > 2 ? 1 / (nu - 2) : HUGE_VAL;
  *variance = nu > 4 ? 2 * *mean * *mean / (nu - 4) : nu > 2 ? HUGE_VAL : (double)NAN;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "chi_square", .params = "nu", SCALAR,
   .doc = "The sum of nu > 0 squares of standard normals, nu not necessarily whole.\n"
          "Density 2^(-nu/2) / Gamma(nu/2) x^(nu/2 - 1) exp(-x/2) on x > 0.",
   .check1 = chi_square_check, .logp1 = chi_square_logp1, .block = chi_square_block,
   .sample1 = chi_square_sample1, .cdf1 = chi_square_cdf1, .quantile1 = chi_square_quantile1,
   .partials1 = chi_square_partials1, .range1 = dist_positive, .tails1 = chi_square_tails1,
   .cdf_partials1 = chi_square_cdf_partials1, .moments1 = chi_square_moments1},
  {.name = "inv_chi_square", .params = "nu", SCALAR,
   .doc = "1 / chi_square(nu), nu > 0.\n"
          "Density 2^(-nu/2) / Gamma(nu/2) x^(-nu/2 - 1) exp(-1/(2x)) on x > 0.",
   .check1 = inv_chi_square_check, .logp1 = inv_chi_square_logp1, .block = inv_chi_square_block,
   .sample1 = inv_chi_square_sample1, .cdf1 = inv_chi_square_cdf1,
   .quantile1 = inv_chi_square_quantile1, .partials1 = inv_chi_square_partials1,
   .range1 = dist_positive, .tails1 = inv_chi_square_tails1,
   .cdf_partials1 = inv_chi_square_cdf_partials1, .moments1 = inv_chi_square_moments1},
  {.name = "scaled_inv_chi_square", .params = "nu, s", SCALAR,
   .doc = "nu s^2 / chi_square(nu), nu > 0, s > 0: inv_gamma(nu/2, nu s^2/2).\n"
          "Density (nu/2)^(nu/2) / Gamma(nu/2) s^nu x^(-nu/2 - 1) exp(-nu s^2/(2x)) on x > 0.",
   .check1 = scaled_inv_chi_square_check, .logp1 = scaled_inv_chi_square_logp1,
   .block = scaled_inv_chi_square_block, .sample1 = scaled_inv_chi_square_sample1,
   .cdf1 = scaled_inv_chi_square_cdf1, .quantile1 = scaled_inv_chi_square_quantile1,
   .partials1 = scaled_inv_chi_square_partials1, .range1 = dist_positive,
   .tails1 = scaled_inv_chi_square_tails1, .cdf_partials1 = scaled_inv_chi_square_cdf_partials1,
   .moments1 = scaled_inv_chi_square_moments1,
   .hint = "scaled_inv_chi_square(nu, s) takes a standard deviation s, not the variance s^2"},
};

/* Small probabilities by solving: 1 - prob would round them away. */
static double inverse_quantile(const norn_dist_row *row, double prob, const double *p, double h,
                               double b)
{
  if (prob > 0.5) return b / special_gamma_p_inv(h, 1 - prob);
  return dist_solve_quantile(row, prob, p, b / (h + 1));
}
static double inv_chi_square_quantile1(double prob, const double *p)
{
  return inverse_quantile(&rows[1], prob, p, 0.5 * p[0], 0.5);
}
static double scaled_inv_chi_square_quantile1(double prob, const double *p)
{
  return inverse_quantile(&rows[2], prob, p, 0.5 * p[0], half_scale(p));
}

const dist_shelf dist_chis = {rows, sizeof rows / sizeof rows[0]};
