/* skew: skew_normal (Azzalini 1985) and von_mises.  Formulas in kernel.h; the first has its
   distribution function by Owen's T, the second as an integral by Gauss and Legendre's rule. */
#include "dist/dist.h"
#include "dist/block.h"
#include "dist/kernel_sample.h"

/* ---- skew_normal(xi, omega, alpha) ----------------------------------------------------------- */

static const char *skew_normal_check(const double *p, int *which)
{
  if (!isfinite(p[0])) { *which = 0; return "location of skew_normal must be finite"; }
  const char *wrong = dist_scale(p[1], "scale of skew_normal must be positive",
                                 "scale of skew_normal must be within 2.3e-308..1.7e308");
  *which = wrong ? 1 : 2;
  if (wrong) return wrong;
  return isfinite(p[2]) ? NULL : "shape of skew_normal must be finite";
}
DIST_FORMULA_3(skew_normal)
DIST_SAMPLE_3(skew_normal)
/* With C(h, a) = Q(h)/2 - T(h, a), for alpha >= 0: F = 2 C(|z|, alpha) below 0; above it
   F = erf(z/sqrt 2) + 2 C(z, alpha) and 1 - F = Q(z) + 2 T(z, alpha): sums of positive terms.
   Negative alpha: the mirror image. */
static void skew_tails(double z, double alpha, double *lower, double *upper)
{
  if (!(fabs(z) < HUGE_VAL)) {
    *lower = z < 0 ? -HUGE_VAL : 0;
    *upper = z < 0 ? 0 : -HUGE_VAL;
  } else if (z <= 0) {
    *lower = fmin(0, V_LOG_2 + special_owens_rest_log(-z, alpha));
    *upper = special_log1mexp(*lower);
  } else {
    double rest = 2 * exp(special_owens_rest_log(z, alpha));
    double q = special_norm_cdf(-z) + 2 * special_owens_t(z, alpha);
    *upper = z < 37 ? log(fmin(q, 1)) : V_LOG_2 + special_norm_log_cdf(-z);
    *lower = q < 0.5 ? log1p(-q) : log(erf(z * V_SQRT_1_2) + rest);
  }
}
static void skew_normal_tails1(double x, const double *p, double *lower, double *upper)
{
  double z = (x - p[0]) / p[1];
  if (p[2] >= 0) skew_tails(z, p[2], lower, upper);
  else skew_tails(-z, -p[2], upper, lower);
}
static double skew_normal_cdf1(double x, const double *p)
{
  double lower, upper;
  skew_normal_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double skew_normal_quantile1(double prob, const double *p);
/* d T(z, alpha) / d alpha = exp(-z^2 (1 + alpha^2) / 2) / (2 pi (1 + alpha^2)) (Owen 1956) */
static double skew_normal_cdf_partials1(double x, const double *p, double *d)
{
  double z = (x - p[0]) / p[1], h = hypot(1, p[2]), zh = z * h;
  d[0] = exp(skew_normal_logp1(x, p));
  d[1] = -d[0];
  d[2] = dist_cdf_scale(d[0], x, p[0], p[1]);
  d[3] = -exp(-0.5 * zh * zh) / (V_PI * h * h);
  return skew_normal_cdf1(x, p);
}
static void skew_normal_moments1(const double *p, double *mean, double *variance)
{
  double m = p[2] / hypot(1, p[2]) * sqrt(2 / V_PI);
  *mean = p[0] + p[1] * m;
  *variance = p[1] * p[1] * (1 - m * m);
}

/* ---- von_mises(mu, kappa) -------------------------------------------------------------------- */

static const char *von_mises_check(const double *p, int *which)
{
  *which = 0;
  if (!isfinite(p[0])) return "mean direction of von_mises must be finite";
  *which = 1;
  if (!(p[1] > 0)) return "concentration of von_mises must be positive";
  return p[1] < HUGE_VAL ? NULL : "concentration of von_mises must be finite";
}
DIST_FORMULA_2(von_mises)
DIST_SAMPLE_2(von_mises)
typedef struct { double mass, pull; } arc;
/* The mass of angles a..b away from the mode, 0 <= a < b <= pi, and the integral of cos - I1/I0
   over them, d mass / d kappa: the density falls from a on, by e^-40 at most as far as it is
   followed. */
static arc half_arc(double a, double b, double kappa)
{
  double s = sin(0.5 * a), most = s * s + 20 / kappa, gap = v_bessel_gap(kappa);
  double end = (most < 1 ? fmin(b, 2 * asin(sqrt(most))) : b) - a;
  arc sum = {0, 0};
  for (int i = 0; i < 40 && end > 0; i++) {
    double t = special_gauss_point(i, end), m = sin(0.5 * t), h = sin(0.5 * t + a);
    double share = exp(-2 * kappa * (m * h)) * special_gauss_share(i, end), n = sin(0.5 * (a + t));
    sum.mass += share;
    sum.pull += share * (gap - 2 * n * n);
  }
  double front = exp(-2 * kappa * s * s - v_bessel_i0_scaled_log(kappa)) / (2 * V_PI);
  return (arc){sum.mass * front, sum.pull * front};
}
/* Angles from..to about the mode, both in -2 pi..2 pi, from < to: by pieces between multiples of
   pi. */
static arc whole_arc(double from, double to, double kappa)
{
  arc sum = {0, 0};
  for (int k = -2; k < 2; k++) {
    double lo = fmax(from, k * V_PI), hi = fmin(to, (k + 1) * V_PI);
    if (!(lo < hi)) continue;
    bool falls = !(k & 1);                                  /* the mode is at the lower end */
    double a = falls ? lo - k * V_PI : (k + 1) * V_PI - hi, b = a + (hi - lo);
    arc piece = half_arc(fmax(a, 0), fmin(b, V_PI), kappa);
    sum.mass += piece.mass;
    sum.pull += piece.pull;
  }
  return sum;
}
static void von_mises_tails1(double x, const double *p, double *lower, double *upper)
{
  double at = sample_turned(p[0]), y = fmin(fmax(x, -V_PI), V_PI);
  double l = whole_arc(-V_PI - at, y - at, p[1]).mass;
  if (l < 0.5) {
    *lower = log(l);
    *upper = log1p(-l);
  } else {
    double u = whole_arc(y - at, V_PI - at, p[1]).mass;
    *lower = log1p(-u);
    *upper = log(u);
  }
}
static double von_mises_cdf1(double x, const double *p)
{
  double lower, upper;
  von_mises_tails1(x, p, &lower, &upper);
  return exp(lower);
}
static double von_mises_quantile1(double prob, const double *p);
static double von_mises_cdf_partials1(double x, const double *p, double *d)
{
  double at = sample_turned(p[0]);
  d[0] = d[1] = d[2] = 0;
  if (x > -V_PI && x < V_PI) {
    d[0] = exp(von_mises_logp1(x, p));
    d[1] = exp(von_mises_logp1(-V_PI, p)) - d[0];
    d[2] = whole_arc(-V_PI - at, x - at, p[1]).pull;
  }
  return von_mises_cdf1(x, p);
}
static void von_mises_range1(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = -V_PI;
  *upper = V_PI;
}
static void von_mises_moments1(const double *p, double *mean, double *variance)
{
  (void)p;
  *mean = *variance = (double)NAN;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define SCALAR .flags = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS, .support = dist_scalar_support, \
  .moments = dist_scalar_moments

static const norn_dist_row rows[] = {
  {.name = "skew_normal", .params = "xi, omega, alpha", SCALAR,
   .doc = "The skew normal distribution with location xi, scale omega > 0 and shape alpha.\n"
          "Density 2/omega phi(z) Phi(alpha z), z = (x - xi)/omega, on the reals; alpha = 0 is\n"
          "normal(xi, omega).",
   .check1 = skew_normal_check, .logp1 = skew_normal_logp1, .block = skew_normal_block,
   .sample1 = skew_normal_sample1, .cdf1 = skew_normal_cdf1, .quantile1 = skew_normal_quantile1,
   .partials1 = skew_normal_partials1, .location_is = 1, .scale_is = 2,
   .range1 = dist_everywhere, .tails1 = skew_normal_tails1,
   .cdf_partials1 = skew_normal_cdf_partials1, .moments1 = skew_normal_moments1,
   .hint = "skew_normal(xi, omega, alpha): xi and omega are not the mean and standard deviation"},
  {.name = "von_mises", .params = "mu, kappa", SCALAR,
   .doc = "The von Mises distribution of angles, mean direction mu and concentration kappa > 0.\n"
          "Density exp(kappa cos(x - mu)) / (2 pi I0(kappa)).  Draws, cdf and quantile are of\n"
          "angles from -pi to pi; the density is that of the angle, whatever turn it is in.",
   .check1 = von_mises_check, .logp1 = von_mises_logp1, .block = von_mises_block,
   .sample1 = von_mises_sample1, .cdf1 = von_mises_cdf1, .quantile1 = von_mises_quantile1,
   .partials1 = von_mises_partials1, .range1 = von_mises_range1, .tails1 = von_mises_tails1,
   .cdf_partials1 = von_mises_cdf_partials1, .moments1 = von_mises_moments1,
   .hint = "von_mises(mu, kappa) takes a concentration: 1/kappa is about the variance"},
};

static double skew_normal_quantile1(double prob, const double *p)
{
  const double standard[] = {0, 1, p[2]};
  double start = special_norm_quantile(prob);
  return p[0] + p[1] * dist_solve_quantile(&rows[0], prob, standard, start);
}
static double von_mises_quantile1(double prob, const double *p)
{
  double x = dist_solve_quantile(&rows[1], prob, p, sample_turned(p[0]));
  return fmin(fmax(x, -V_PI), V_PI);
}

const dist_shelf dist_skews = {rows, sizeof rows / sizeof rows[0]};
