/* special: see special.h.  Sources: DLMF (dlmf.nist.gov) by equation, Loader 2000 for saddle-point
   forms, Didonato and Morris 1992 (TOMS 708) for ratios of gamma functions, Lentz 1976 and Thompson
   and Barnett 1986 for continued fractions, Wichura 1988 (AS 241). */
#include "num/special.h"
#include <float.h>
#include <gsl/gsl_sf_bessel.h>
#include <gsl/gsl_sf_lambert.h>
#include <gsl/gsl_sf_psi.h>
#include <gsl/gsl_sf_zeta.h>

const double special_stirling_table[16] = {HUGE_VAL,
  0.08106146679532725822, 0.041340695955409294094, 0.027677925684998339149,
  0.020790672103765093112, 0.016644691189821192163, 0.013876128823070747999,
  0.011896709945891770095, 0.010411265261972096497, 0.0092554621827127329177,
  0.0083305634333628712565, 0.007573675487951840795, 0.0069428401072095298657,
  0.0064089941880042070684, 0.0059513701127588477356, 0.005554733551962801371};

const double special_lfact_table[16] = {0, 0,
  0.69314718055994530942, 1.7917594692280550008, 3.1780538303479456196, 4.7874917427820459942,
  6.5792512120101009951, 8.5251613610654143002, 10.604602902745250228, 12.801827480081469611,
  15.104412573075515295, 17.502307845873885839, 19.98721449566188615, 22.552163853123422886,
  25.1912211827386815, 27.899271383840891566};

/* ---- gamma and beta functions ---------------------------------------------------------------- */

double special_lgamma_rest(double x)
{
  int sign;
  return lgamma_r(x, &sign);   /* lgamma() would write a global */
}

/* Below 0 by reflection (DLMF 5.5.4). */
double special_digamma(double x)
{
  if (x > 0) return v_digamma(x);
  if (!(x > -HUGE_VAL) || x == floor(x)) return (double)NAN;
  double s, c;
  v_sincos2pi(0.5 * (x - floor(x)), &s, &c);
  return v_digamma(1 - x) - V_PI * c / s;
}

double special_trigamma(double x)
{
  gsl_sf_result r;
  if (!(x > 1e-150 && x < 1e300) || gsl_sf_psi_1_e(x, &r)) return (double)NAN;
  return r.val;
}

double special_hurwitz_zeta(double s, double q)
{
  gsl_sf_result r;
  if (!(s > 1 && s < 1e3 && q > 0 && q < 1e100)) return (double)NAN;
  if (s * fabs(log(q)) > 600 || gsl_sf_hzeta_e(s, q, &r)) return (double)NAN;
  return r.val;
}

double special_lambert_w(double x)
{
  gsl_sf_result r;
  if (!(x >= -0.36787944117144232 && x < 1e300) || gsl_sf_lambert_W0_e(x, &r)) return (double)NAN;
  return r.val;
}

double special_bessel_i0_log(double x)
{
  gsl_sf_result r;
  if (!(x >= 0 && x < 1e15) || gsl_sf_bessel_I0_scaled_e(x, &r)) return (double)NAN;
  return log(r.val) + x;
}

double special_bessel_i1_log(double x)
{
  gsl_sf_result r;
  if (!(x > 1e-150 && x < 1e15) || gsl_sf_bessel_I1_scaled_e(x, &r)) return (double)NAN;
  return log(r.val) + x;
}

/* Large x: DLMF 10.40.1, I1/I0 = 1 - 1/(2x) - 1/(8x^2) - ... */
double special_bessel_ratio(double x)
{
  gsl_sf_result i0, i1;
  if (fabs(x) > 1e10) return copysign(1 - 0.5 / fabs(x), x);
  if (!(fabs(x) > 1e-100)) return 0.5 * x;
  if (gsl_sf_bessel_I0_scaled_e(x, &i0) || gsl_sf_bessel_I1_scaled_e(x, &i1)) return (double)NAN;
  return i1.val / i0.val;
}

double special_lchoose(double n, double k)
{
  if (!(k >= 0 && k <= n)) return (double)NAN;
  if (n < 16 && n == floor(n) && k == floor(k))
    return special_lfact(n) - special_lfact(k) - special_lfact(n - k);
  if (k == 0 || k == n) return 0;
  return -v_log1p(n) - special_lbeta(k + 1, n - k + 1);
}

/* ---- logarithms of sums ---------------------------------------------------------------------- */

double special_logaddexp(double a, double b)
{
  if (a == b) return a + V_LOG_2;   /* also both infinite */
  return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

double special_logsubexp(double a, double b)
{
  if (b == -HUGE_VAL) return a;
  return a > b ? a + special_log1mexp(b - a) : a == b ? -HUGE_VAL : (double)NAN;
}

/* ---- incomplete gamma ------------------------------------------------------------------------ */

/* log of x^a e^-x / Gamma(a + 1). */
static double gamma_front(double a, double x)
{
  if (a < 10) return a * log(x) - x - special_lgamma(a + 1);
  return -special_deviance(a, x) - 0.5 * log(a) - V_LOG_SQRT_2PI - special_stirling_large(a);
}

/* P = front * (1 + x/(a+1) + x^2/((a+1)(a+2)) + ...), DLMF 8.11.4. */
static double gamma_series(double a, double x)
{
  double sum = 1, term = 1;
  for (double n = 1; n < 1e8; n++) {
    term *= x / (a + n);
    sum += term;
    if (term < sum * 1e-17) break;
  }
  return sum;
}

/* Lentz's step: c and d are the two running quotients of a continued fraction a1/(b1 + a2/(b2 +
   ...)). */
typedef struct { double value, c, d; } lentz;
static bool lentz_step(lentz *f, double a, double b)
{
  double d = b + a * f->d, c = b + a / f->c;
  if (fabs(d) < 1e-290) d = 1e-290;
  if (fabs(c) < 1e-290) c = 1e-290;
  f->d = 1 / d;
  f->c = c;
  double ratio = c * f->d;
  f->value *= ratio;
  return fabs(ratio - 1) > 2e-16;
}

/* Q = front * a / (x+1-a - 1(1-a)/(x+3-a - 2(2-a)/(x+5-a - ...))), DLMF 8.9.2. */
static double gamma_fraction(double a, double x)
{
  double b = x + 1 - a;
  if (fabs(b) < 1e-290) b = 1e-290;
  lentz f = {1 / b, HUGE_VAL, 1 / b};
  for (double n = 1; n < 1e8; n++)
    if (!lentz_step(&f, -n * (n - a), b + 2 * n)) break;
  return f.value;
}

void special_gamma_log(double a, double x, double *lower, double *upper)
{
  *lower = *upper = (double)NAN;
  if (!(a > 0 && x >= 0)) return;
  if (x == 0 || x == HUGE_VAL) {
    *lower = x == 0 ? -HUGE_VAL : 0;
    *upper = x == 0 ? 0 : -HUGE_VAL;
  } else if (x < a + 1) {
    *lower = fmin(0, gamma_front(a, x) + log(gamma_series(a, x)));
    *upper = special_log1mexp(*lower);
  } else {
    *upper = fmin(0, gamma_front(a, x) + log(a) + log(gamma_fraction(a, x)));
    *lower = special_log1mexp(*upper);
  }
}

double special_gamma_p(double a, double x)
{
  double p, q;
  special_gamma_log(a, x, &p, &q);
  return exp(p);
}

double special_gamma_q(double a, double x)
{
  double p, q;
  special_gamma_log(a, x, &p, &q);
  return exp(q);
}

/* ---- incomplete beta ------------------------------------------------------------------------- */

/* log of x^a y^b / B(a, b). */
static double beta_front(double a, double b, double x, double y)
{
  if (a < 10 || b < 10) {
    double ly = x < 0.5 ? log1p(-x) : log(y), lx = y < 0.5 ? log1p(-y) : log(x);
    return a * lx + b * ly - special_lbeta(a, b);
  }
  double n = a + b;
  return -special_deviance(a, n * x) - special_deviance(b, n * y) + 0.5 * log(a / n * b) -
         V_LOG_SQRT_2PI - special_stirling_large(a) - special_stirling_large(b) +
         special_stirling_large(n);
}

/* I_x(a, b) = front * this, for x < (a+1)/(a+b+2): the even part of DLMF 8.17.22 as Didonato and
   Morris write it (TOMS 708, bfrac), with a - (a+b) x from the smaller of x and y, so that nothing
   cancels when a is large and x near 1. */
static double beta_fraction(double a, double b, double x, double y)
{
  double lambda = x < y ? a - (a + b) * x : (a + b) * y - b, c = 1 + lambda;
  double c1 = 1 + 1 / a, first = c / c1;
  lentz f = {1 / first, HUGE_VAL, 1 / first};
  for (double n = 1; n < 1e8; n++) {
    double t = n / a, s = a + 2 * n - 1, p = (n - 1) / a + 1, w = n * (b - n) * x, e = a / s;
    double alpha = p * (p + b / a) * e * e * (w * x);
    double beta = n + w / s + (t + 1) / (c1 + t + t) * (c + n * (1 + y));
    if (!lentz_step(&f, alpha, beta)) break;
  }
  return f.value;
}

void special_beta_log(double a, double b, double x, double y, double *lower, double *upper)
{
  *lower = *upper = (double)NAN;
  if (!(a > 0 && b > 0 && x >= 0 && y >= 0)) return;
  if (x == 0 || y == 0) {
    *lower = x == 0 ? -HUGE_VAL : 0;
    *upper = x == 0 ? 0 : -HUGE_VAL;
  } else if (x * (a + b + 2) < a + 1) {
    *lower = fmin(0, beta_front(a, b, x, y) + log(beta_fraction(a, b, x, y)));
    *upper = special_log1mexp(*lower);
  } else {
    *upper = fmin(0, beta_front(b, a, y, x) + log(beta_fraction(b, a, y, x)));
    *lower = special_log1mexp(*upper);
  }
}

double special_beta_inc(double a, double b, double x)
{
  double p, q;
  special_beta_log(a, b, x, 1 - x, &p, &q);
  return exp(p);
}

/* ---- the normal distribution function -------------------------------------------------------- */

/* erfc(-x/sqrt 2)/2; the rounding error of the argument, which the tail would blow up by x^2, is
   put back. */
double special_norm_cdf(double x)
{
  double y = -x * V_SQRT_1_2;
  double e = erfc(y);
  if (y > 1 && e > 0) {
    /* sqrt(1/2) = V_SQRT_1_2 - 4.8e-17 */
    double low = fma(-x, V_SQRT_1_2, -y) + x * 4.833646656726458e-17;
    e -= low * 1.1283791670955126 * exp(-y * y);
  }
  return 0.5 * e;
}

/* Below -20: log of phi(x)/-x (1 - 1/x^2 + 3/x^4 - 15/x^6 + ...), DLMF 7.12.1. */
double special_norm_log_cdf(double x)
{
  if (x > 0) return log1p(-special_norm_cdf(-x));
  if (!(x < -20)) return log(special_norm_cdf(x));
  double r = 1 / (x * x), sum = 1;
  for (int k = 19; k > 0; k -= 2) sum = 1 - k * r * sum;
  return -0.5 * x * x - V_LOG_SQRT_2PI - log(-x) + log(sum);
}

/* Below -20: -x over the sum of special_norm_log_cdf. */
double special_norm_hazard(double x)
{
  if (!(x < -20)) return exp(-0.5 * x * x - V_LOG_SQRT_2PI) / special_norm_cdf(x);
  double r = 1 / (x * x), sum = 1;
  for (int k = 19; k > 0; k -= 2) sum = 1 - k * r * sum;
  return -x / sum;
}

static double horner(const double *c, int n, double x)
{
  double y = c[n - 1];
  for (int i = n - 2; i >= 0; i--) y = y * x + c[i];
  return y;
}

static double quantile_centre(double q)   /* |q| = |p - 1/2| <= 0.425 */
{
  static const double a[] = {3.3871328727963666080, 1.3314166789178437745e+2,
                             1.9715909503065514427e+3,
    1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
    3.3430575583588128105e+4, 2.5090809287301226727e+3};
  static const double b[] = {1, 4.2313330701600911252e+1, 6.8718700749205790830e+2,
    5.3941960214247511077e+3, 2.1213794301586595867e+4, 3.9307895800092710610e+4,
    2.8729085735721942674e+4, 5.2264952788528545610e+3};
  double r = 0.180625 - q * q;
  return q * horner(a, 8, r) / horner(b, 8, r);
}

static double quantile_tail(double r)     /* r = sqrt(-log p), p < 0.075; gives -x */
{
  static const double c[] = {1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
    3.64784832476320460504, 1.27045825245236838258, 2.41780725177450611770e-1,
    2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double d[] = {1, 2.05319162663775882187, 1.67638483018380384940,
    6.89767334985100004550e-1, 1.48103976427480074590e-1, 1.51986665636164571966e-2,
    5.47593808499534494600e-4, 1.05075007164441684324e-9};
  static const double e[] = {6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
    2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
    2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static const double f[] = {1, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
    1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5,
    1.42151175831644588870e-7, 2.04426310338993978564e-15};
  return r <= 5 ? horner(c, 8, r - 1.6) / horner(d, 8, r - 1.6) : horner(e, 8, r - 5) / horner(f,
      8, r - 5);
}

/* p is not lost in 1/2 + q, nor q in p - 1/2. */
static double quantile_of(double p, double q)
{
  if (fabs(q) <= 0.425) return quantile_centre(q);
  double tail = q < 0 ? p : 1 - p, x = tail > 0 ? quantile_tail(sqrt(-log(tail))) : HUGE_VAL;
  return q < 0 ? -x : x;
}

double special_norm_quantile(double p)
{
  return p >= 0 && p <= 1 ? quantile_of(p, p - 0.5) : (double)NAN;
}

double special_norm_quantile_half(double q)
{
  return fabs(q) <= 0.5 ? quantile_of(0.5 + q, q) : (double)NAN;
}

double special_norm_quantile_log(double lp)
{
  if (!(lp <= 0)) return (double)NAN;
  if (lp > -0.08) return -special_norm_quantile(-expm1(lp));
  if (lp > -2.6) return special_norm_quantile(exp(lp));
  if (lp == -HUGE_VAL) return lp;
  double r = sqrt(-lp);
  if (r < 27) return -quantile_tail(r);
  double x = -sqrt(-2 * lp - log(-2 * lp) - 2 * V_LOG_SQRT_2PI);
  for (int i = 0; i < 4; i++) {
    double l = special_norm_log_cdf(x);
    x -= (l - lp) * exp(l + 0.5 * x * x + V_LOG_SQRT_2PI);
  }
  return x;
}

/* ---- solving --------------------------------------------------------------------------------- */

/* A point between lo and hi: the middle, geometric over wide spans, doubling towards an infinite
   end. */
static double solve_between(double lo, double hi)
{
  if (lo == -HUGE_VAL && hi == HUGE_VAL) return 0;
  if (hi == HUGE_VAL) return lo > 1 ? lo * 2 : lo < -1 ? lo / 2 : lo + 1;
  if (lo == -HUGE_VAL) return hi < -1 ? hi * 2 : hi > 1 ? hi / 2 : hi - 1;
  if (lo >= 0 && hi > 4 * lo && hi > DBL_MIN) return sqrt(fmax(lo, DBL_MIN)) * sqrt(hi);
  if (hi <= 0 && lo < 4 * hi && lo < -DBL_MIN) return -sqrt(fmax(-hi, DBL_MIN)) * sqrt(-lo);
  return 0.5 * lo + 0.5 * hi;
}

double special_solve(special_rising f, const void *of, double target, double lo, double hi,
                     double start)
{
  double x = start > lo && start < hi ? start : solve_between(lo, hi), before = HUGE_VAL;
  for (int i = 0; i < 400; i++) {
    double slope, miss = f(x, of, &slope) - target;
    if (miss == 0) return x;
    if (miss < 0) lo = x; else hi = x;
    double next = x - miss / slope;
    /* Newton's step must stay inside and shrink by half at least every other time. */
    if (!(next > lo && next < hi) || !(fabs(miss) < 0.5 * before)) {
      if (next == x) return x;
      next = solve_between(lo, hi);
      before = HUGE_VAL;
    } else before = fabs(miss);
    if (fabs(next - x) <= 4e-16 * fabs(x) || !(next > lo && next < hi)) return next;
    x = next;
  }
  return x;
}

typedef struct { double a, b; bool upper; } inverse_of;

static double gamma_rising(double x, const void *of, double *slope)
{
  const inverse_of *o = of;
  double lower, upper;
  special_gamma_log(o->a, x, &lower, &upper);
  double l = o->upper ? -upper : lower, density = gamma_front(o->a, x) + log(o->a) - log(x);
  *slope = exp(density - (o->upper ? upper : lower));
  return l;
}

/* Start: Wilson and Hilferty 1931, or the leading power for small a. */
double special_gamma_p_inv(double a, double p)
{
  if (!(a > 0 && p >= 0 && p <= 1)) return (double)NAN;
  if (p == 0 || p == 1) return p == 0 ? 0 : HUGE_VAL;
  double z = special_norm_quantile(p), t = 1 - 1 / (9 * a) + z / (3 * sqrt(a)),
      start = a * t * t * t;
  double power = exp((log(p) + special_lgamma(a + 1)) / a);
  if (!(start > 0.1 * a) || a < 0.5) start = power;
  if (power < DBL_MIN && p < 0.5) return power;
  inverse_of o = {a, 0, p > 0.5};
  return special_solve(gamma_rising, &o, p > 0.5 ? -log1p(-p) : log(p), 0, HUGE_VAL, start);
}

static double beta_rising(double x, const void *of, double *slope)
{
  const inverse_of *o = of;
  double lower, upper;
  special_beta_log(o->a, o->b, x, 1 - x, &lower, &upper);
  double l = o->upper ? -upper : lower, density = beta_front(o->a, o->b, x,
      1 - x) - log(x) - log1p(-x);
  *slope = exp(density - (o->upper ? upper : lower));
  return l;
}

double special_beta_inv(double a, double b, double p)
{
  if (!(a > 0 && b > 0 && p >= 0 && p <= 1)) return (double)NAN;
  if (p == 0 || p == 1) return p;
  double power = exp((log(p) + log(a) + special_lbeta(a, b)) / a);   /* I_x(a, b) ~ x^a / (a B) */
  if (power < DBL_MIN) return power;
  double mean = a / (a + b), start = power < mean * 0.1 ? power : mean;
  inverse_of o = {a, b, p > 0.5};
  double lower, upper, last = 1 - 0x1p-53;
  special_beta_log(a, b, last, 0x1p-53, &lower, &upper);
  if (upper > log1p(-p)) return 1;   /* nearer to 1 than any double below it */
  return special_solve(beta_rising, &o, p > 0.5 ? -log1p(-p) : log(p), 0, 1, start);
}
