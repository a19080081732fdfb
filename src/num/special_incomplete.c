/* special_incomplete: incomplete gamma and beta functions, both tails as logarithms, their inverses
   and their derivatives in the parameters (see special.h).

   Small parameters: a series or a continued fraction.  Large ones (from LARGE on) take neither
   O(sqrt a) steps nor tables: the tail is an integral over v = log t or v = logit t, in which the
   integrand falls smoothly from 1 to e^-40, and 40 points of Gauss and Legendre are exact to
   rounding.  The same points weighted by the logarithm of t give the derivatives.  Sources: DLMF
   (dlmf.nist.gov) by equation, Didonato and Morris 1992 (TOMS 708), Lentz 1976 and Thompson and
   Barnett 1986 for continued fractions. */
#include "num/special.h"
#include <complex.h>
#include <float.h>

/* Smaller parameters than this take at most about 200 steps of a series. */
#define LARGE 1000.0
/* The integrand at the end of a tail: e^-FALL. */
#define FALL 40.0

/* e^v - 1 - v */
static double expm1_minus(double v)
{
  if (!(fabs(v) < 0.5)) return expm1(v) - v;
  double sum = 0;
  for (int k = 16; k > 1; k--) sum = sum * v / (k + 1) + 1;
  return 0.5 * v * v * sum;
}

/* log(1 + w) - w, with r = w/(2 + w): -w r + 2 r (r^2/3 + r^4/5 + ...) */
static double log1p_minus(double w)
{
  if (!(fabs(w) < 0.3)) return log1p(w) - w;
  double r = w / (2 + w), z = r * r, sum = 0;
  for (int k = 25; k > 1; k -= 2) sum = (sum + 1.0 / k) * z;
  return r * (2 * sum - w);
}

/* log x - digamma(a), from `ratio` = x/a - 1 where this is small. */
static double log_over_digamma(double x, double a, double ratio)
{
  if (a < 10) return log(x) - special_digamma(a);
  double l = fabs(ratio) < 0.5 ? log1p(ratio) : log(x / a);
  return l + (0.5 / a + special_digamma_tail(a));
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

/* With t = x e^v: P = front a int_{v<0} e^g dv and Q = front a int_{v>0} e^g dv,
   g = a v - x (e^v - 1) = (a - x) v - x (e^v - 1 - v).  Gives the integral over the side `sign` of
   e^g, and of v e^g.  How far to go: by Newton's method on the convex -g. */
typedef struct { double mass, moment; } gamma_area;
static gamma_area gamma_tail(double a, double x, double sign)
{
  double r = sign * (x - a), end = 2 * FALL / (r + sqrt(r * r + 2 * FALL * x));
  for (int i = 0; i < 8; i++) {
    double v = sign * end, fall = r * end + x * expm1_minus(v);
    double next = end - (fall - FALL) / (r + x * sign * expm1(v));
    bool done = fabs(next - end) < 0.01 * end;
    end = next;
    if (done) break;
  }
  gamma_area area = {0, 0};
  for (int i = 0; i < 40; i++) {
    double s = special_gauss_point(i, end), v = sign * s;
    double e = exp(-(r * s + x * expm1_minus(v))) * special_gauss_share(i, end);
    area.mass += e;
    area.moment += v * e;
  }
  return area;
}

void special_gamma_log(double a, double x, double *lower, double *upper)
{
  *lower = *upper = (double)NAN;
  if (!(a > 0 && x >= 0)) return;
  if (x == 0 || x == HUGE_VAL) {
    *lower = x == 0 ? -HUGE_VAL : 0;
    *upper = x == 0 ? 0 : -HUGE_VAL;
  } else if (a < LARGE ? x < a + 1 : x < a) {
    double l = a < LARGE ? log(gamma_series(a, x)) : log(a * gamma_tail(a, x, -1).mass);
    *lower = fmin(0, gamma_front(a, x) + l);
    *upper = special_log1mexp(*lower);
  } else {
    double l = a < LARGE ? log(a * gamma_fraction(a, x)) : log(a * gamma_tail(a, x, 1).mass);
    *upper = fmin(0, gamma_front(a, x) + l);
    *lower = special_log1mexp(*upper);
  }
}

/* The lower tail by its series, term by term: d log term_n / da = -(1/(a+1) + ... + 1/(a+n)).  The
   upper one as the integral of log t - digamma(a), which is what the derivative of the density
   brings. */
double special_gamma_p_slope(double a, double x)
{
  if (!(a > 0 && x >= 0)) return (double)NAN;
  if (x == 0 || x == HUGE_VAL) return 0;
  double front = exp(gamma_front(a, x)), c = log_over_digamma(x, a, (x - a) / a);
  if (x < fmax(a, 0.5) && a < LARGE) {
    double sum = 1, term = 1, slope = 0, harmonic = 0;
    for (double n = 1; n < 1e4; n++) {
      harmonic -= 1 / (a + n);
      term *= x / (a + n);
      sum += term;
      slope += term * harmonic;
      if (term * (1 - harmonic) < sum * 1e-18) break;
    }
    return front * ((c - 1 / a) * sum + slope);
  }
  double sign = x < a ? -1 : 1;
  gamma_area area = gamma_tail(a, x, sign);
  return -sign * (front * a) * (c * area.mass + area.moment);
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

/* log(1 + p (e^v - 1)) - p v, the cumulant of a truth value about its mean; q = 1 - p.  From the
   smaller of both, so that its two parts do not cancel. */
static double truth_cumulant(double v, double p, double q)
{
  if (p > q) {
    v = -v;
    p = q;
  }
  return log1p_minus(p * expm1(v)) + p * expm1_minus(v);
}

/* With logit t = logit x - s: I_x(a, b) = front int_{s>0} e^-g ds, g = r s + n K(-s), n = a + b,
   r = a y - b x.  Gives the integral of e^-g and those of log(t/x) e^-g and log((1-t)/y) e^-g. */
typedef struct { double mass, p, q; } beta_area;
static beta_area beta_tail(double a, double b, double x, double y)
{
  double bx = b * x, r = fma(a, y, -bx) - fma(b, x, -bx), n = a + b;
  double end = 2 * FALL / (r + sqrt(r * r + 2 * FALL * (n * x * y)));
  for (int i = 0; i < 8; i++) {
    double w = x * expm1(-end), fall = r * end + n * truth_cumulant(-end, x, y);
    double next = end - (fall - FALL) / (r - n * (w * y / (1 + w)));
    bool done = fabs(next - end) < 0.01 * end;
    end = next;
    if (done) break;
  }
  beta_area area = {0, 0, 0};
  for (int i = 0; i < 40; i++) {
    double s = special_gauss_point(i, end);
    double e = exp(-(r * s + n * truth_cumulant(-s, x, y))) * special_gauss_share(i, end);
    double l = x < y ? log1p(x * expm1(-s)) : log1p(y * expm1(s));
    area.mass += e;
    area.p += (x < y ? -s - l : -l) * e;
    area.q += (x < y ? -l : s - l) * e;
  }
  return area;
}

/* d log of that fraction / da or / db: a or b has the imaginary part STEP.  The fraction is
   analytic, so that of the result is STEP times the derivative, and nothing is subtracted (Squire
   and Trapp 1998). */
#define STEP 0x1p-100
static double beta_fraction_slope(double complex a, double complex b, double x, double y)
{
  double complex lambda = x < y ? a - (a + b) * x : (a + b) * y - b, c = 1 + lambda;
  double complex c1 = 1 + 1 / a, value = c1 / c, over = 0, under = value;
  for (double n = 1; n < 1e5; n++) {
    double complex t = n / a, s = a + 2 * n - 1, p = (n - 1) / a + 1;
    double complex w = n * (b - n) * x, e = a / s;
    double complex alpha = p * (p + b / a) * e * e * (w * x);
    double complex beta = n + w / s + (t + 1) / (c1 + t + t) * (c + n * (1 + y));
    double complex top = beta + alpha * over;                 /* over: 1 / the last top */
    under = 1 / (beta + alpha * under);
    over = 1 / top;
    double complex ratio = top * under;
    value *= ratio;
    if (fabs(creal(ratio) - 1) < 3e-16 && fabs(cimag(ratio)) < 3e-16 * STEP) break;
  }
  return cimag(value) / creal(value) / STEP;
}

static bool beta_large(double a, double b) { return a >= LARGE && b >= LARGE; }
/* Whether the tail below x is the one to compute. */
static bool beta_low(double a, double b, double x, double y)
{
  return beta_large(a, b) ? a * y > b * x : x * (a + b + 2) < a + 1;
}
/* log I_x(a, b) where beta_low says so. */
static double beta_low_log(double a, double b, double x, double y)
{
  double l = beta_large(a, b) ? beta_tail(a, b, x, y).mass : beta_fraction(a, b, x, y);
  return fmin(0, beta_front(a, b, x, y) + log(l));
}

void special_beta_log(double a, double b, double x, double y, double *lower, double *upper)
{
  *lower = *upper = (double)NAN;
  if (!(a > 0 && b > 0 && x >= 0 && y >= 0)) return;
  if (x == 0 || y == 0) {
    *lower = x == 0 ? -HUGE_VAL : 0;
    *upper = x == 0 ? 0 : -HUGE_VAL;
  } else if (beta_low(a, b, x, y)) {
    *lower = beta_low_log(a, b, x, y);
    *upper = special_log1mexp(*lower);
  } else {
    *upper = beta_low_log(b, a, y, x);
    *lower = special_log1mexp(*upper);
  }
}

/* Of the front factor x^a y^b / B(a, b) and of what stands behind it. */
static void beta_low_slope(double a, double b, double x, double y, double *da, double *db)
{
  double n = a + b, gap = n < 10 ? special_digamma(n) : 0.5 / n + special_digamma_tail(n);
  double r = fma(a, y, -b * x), front = exp(beta_front(a, b, x, y));
  double ca = n < 10 ? log(x) - special_digamma(a) + gap : log_over_digamma(n * x, a, -r / a) - gap;
  double cb = n < 10 ? log(y) - special_digamma(b) + gap : log_over_digamma(n * y, b, r / b) - gap;
  if (beta_large(a, b)) {
    beta_area area = beta_tail(a, b, x, y);
    *da = front * (ca * area.mass + area.p);
    *db = front * (cb * area.mass + area.q);
    return;
  }
  double mass = front * beta_fraction(a, b, x, y);
  *da = mass * (ca + beta_fraction_slope(a + STEP * I, b, x, y));
  *db = mass * (cb + beta_fraction_slope(a, b + STEP * I, x, y));
}

void special_beta_slope(double a, double b, double x, double y, double *da, double *db)
{
  *da = *db = 0;
  if (!(a > 0 && b > 0 && x >= 0 && y >= 0)) {
    *da = *db = (double)NAN;
  } else if (x == 0 || y == 0) {
    return;
  } else if (beta_low(a, b, x, y)) {
    beta_low_slope(a, b, x, y, da, db);
  } else {
    beta_low_slope(b, a, y, x, db, da);
    *da = -*da;
    *db = -*db;
  }
}

double special_beta_inc(double a, double b, double x)
{
  double p, q;
  special_beta_log(a, b, x, 1 - x, &p, &q);
  return exp(p);
}

/* ---- inverses -------------------------------------------------------------------------------- */

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
