/* special: see special.h.  Sources: DLMF (dlmf.nist.gov) by equation, Loader 2000 for saddle-point
   forms, Didonato and Morris 1992 (TOMS 708) for ratios of gamma functions. */
#include "num/special.h"
#include <float.h>
#include <gsl/gsl_sf_bessel.h>
#include <gsl/gsl_sf_lambert.h>
#include <gsl/gsl_sf_psi.h>
#include <gsl/gsl_sf_zeta.h>

/* The zeros of the Legendre polynomial of degree 40 that are above 0, and their weights. */
const double special_gauss_node[20] = {0.038772417506050821933, 0.11608407067525520848,
  0.19269758070137109972, 0.26815218500725368114, 0.34199409082575847301, 0.41377920437160500152,
  0.48307580168617871291, 0.54946712509512820208, 0.61255388966798023795, 0.67195668461417954838,
  0.72731825518992710328, 0.77830565142651938769, 0.8246122308333116632, 0.86595950321225950382,
  0.90209880696887429673, 0.93281280827867653336, 0.9579168192137916558, 0.97725994998377426266,
  0.99072623869945700645, 0.99823770971055920035};
const double special_gauss_weight[20] = {0.077505947978424811264, 0.077039818164247965588,
  0.076110361900626242372, 0.0747231690579682642, 0.072886582395804059061,
  0.070611647391286779695, 0.067912045815233903826, 0.064804013456601038075,
  0.061306242492928939167, 0.057439769099391551367, 0.053227846983936824355,
  0.048695807635072232061, 0.043870908185673271992, 0.03878216797447201764,
  0.033460195282547847393, 0.027937006980023401098, 0.022245849194166957262,
  0.016421058381907888713, 0.010498284531152813615, 0.0045212770985331912585};

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

double special_lambert_wm1(double x)
{
  gsl_sf_result r;
  if (!(x >= -0.36787944117144232 && x < 0)) return (double)NAN;
  return x > -1e-300 || gsl_sf_lambert_Wm1_e(x, &r) ? (double)NAN : r.val;
}

/* exp(x) in two factors, so that only the product overflows */
static double scaled_up(double value, double x)
{
  double half = exp(0.5 * x);
  return value * half * half;
}

/* x^2 < 4 (n+1): (x/2)^n / n! sum (x/2)^2k / (k! (n+1)_k) (DLMF 10.25.2); GSL loses half the digits
   at n = 1, and gives up on underflow. */
double special_bessel_i(double order, double x)
{
  gsl_sf_result r;
  double n = fabs(order), a = fabs(x), sign = x < 0 && fmod(n, 2) == 1 ? -1 : 1;
  if (!(n < 150 && n == floor(n)) || isnan(x)) return (double)NAN;
  if (a * a < 4 * (n + 1)) {
    double q = 0.25 * a * a, sum = 1;
    for (int k = 25; k > 0; k--) sum = 1 + q / (k * (n + k)) * sum;
    return sign * pow(0.5 * a, n) / tgamma(n + 1) * sum;
  }
  if (a > 1e15) return sign * HUGE_VAL;
  if (gsl_sf_bessel_In_scaled_e((int)n, a, &r)) return (double)NAN;
  return sign * scaled_up(r.val, a);
}

/* Where x^-n overflows, (n-1)! (2/x)^n / 2 is infinite. */
double special_bessel_k(double order, double x)
{
  gsl_sf_result r;
  double n = fabs(order);
  if (!(n < 150 && n == floor(n) && x >= 0)) return (double)NAN;
  if (x == 0 || (n > 0 && x < 1e-300)) return HUGE_VAL;
  if (n > 0 && special_lgamma(n) + n * log(2 / x) > 700) return HUGE_VAL;
  if (x > 800) return 0;
  if (gsl_sf_bessel_Kn_scaled_e((int)n, x, &r)) return (double)NAN;
  return scaled_up(r.val, -x);
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
