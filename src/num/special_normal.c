/* special_normal: the normal distribution function, its inverse, and Owen's T (see special.h).
   Sources: Wichura 1988 (AS 241), Owen 1956 ("Tables for computing bivariate normal
   probabilities"). */
#include "num/special.h"

/* ---- the normal distribution function -------------------------------------------------------- */

double special_erfcx(double x)
{
  if (x >= 0) return v_erfcx(x);
  return x < -27 ? HUGE_VAL : 2 * exp(x * x) - v_erfcx(-x);
}

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

/* ---- Owen's T -------------------------------------------------------------------------------- */

static double upper_normal(double x) { return special_norm_cdf(-x); }

/* 0 <= a <= 1, h >= 0: (1/2 pi) int_0^a exp(-h^2 (1 + x^2)/2) / (1 + x^2) dx (Owen 1956, 1.1).  The
   integrand is even: the points above 0 of a rule on -end..end do. */
static double owens_near(double h, double a)
{
  double end = a * h < 8.3 ? a : 8.3 / h, sum = 0;
  for (int i = 0; i < 20; i++) {
    double x = end * special_gauss_node[i], s = x * x;
    sum += exp(-0.5 * h * h * s) / (1 + s) * special_gauss_weight[i];
  }
  return exp(-0.5 * h * h) * sum * end / (2 * V_PI);
}

/* Beyond a = 1: T(h, a) + T(ha, 1/a) = (Q(h) + Q(ha))/2 - Q(h) Q(ha), Q = 1 - Phi (2.3). */
static double owens_ordered(double h, double a)
{
  if (a <= 1) return owens_near(h, a);
  double q = upper_normal(h), r = upper_normal(h * a);
  return 0.5 * q + (0.5 * r - owens_near(h * a, 1 / a)) - q * r;
}

double special_owens_t(double h, double a)
{
  if (isnan(h) || isnan(a)) return (double)NAN;
  double t = fabs(h) < HUGE_VAL ? owens_ordered(fabs(h), fabs(a)) : 0;
  return a < 0 ? -t : t;
}

/* log of (1/2 pi) int_a^inf exp(-h^2 (1 + x^2)/2) / (1 + x^2) dx = Q(h)/2 - T(h, a).  Where this
   would cancel: with x = a e^s the integrand falls to e^-40 within s <= 2.2. */
double special_owens_rest_log(double h, double a)
{
  double k = h * a;
  if (!(h >= 0 && a >= 0)) return (double)NAN;
  if (k < 1 && a <= 1) return log(0.5 * upper_normal(h) - owens_near(h, a));
  if (k < 1) return log(owens_near(k, 1 / a) - upper_normal(k) * 0.5 * erf(h * V_SQRT_1_2));
  double end = 0.5 * log1p(80 / (k * k)), sum = 0, r = 1 / (a * a);
  for (int i = 0; i < 40; i++) {
    double s = special_gauss_point(i, end), e = exp(-s);
    sum += exp(-0.5 * k * k * expm1(2 * s)) * e / (1 + r * (e * e)) * special_gauss_share(i, end);
  }
  return log(sum / (2 * V_PI)) - 0.5 * h * h - 0.5 * k * k - log(a);
}
