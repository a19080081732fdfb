/* tailsum: sums of a mass function over long stretches of whole numbers, for families whose
   distribution function has no closed form.  The terms at both ends are added one by one; between
   them the mass is smooth over thousands of integers, and the sum is an integral with Gauss's
   summation formula at its ends,
     f(u) + ... + f(v-1) = int f over (u-1/2, v-1/2) - [d/24 - 17 d3/5760],
   d and d3 being the first and third central differences at an end (Steffensen 1927,
   "Interpolation", par. 14).  A mass that varies over 50 integers makes an error below 1e-13. */
#include "dist/dist.h"
#include "num/special.h"

enum { DIRECT = 2000, POINTS = 16 };
typedef struct {
  double (*logp1)(double, const double *);
  const double *p;
  double scale;          /* log of the unit in which masses are summed */
  double total;
} mass_sum;

static double mass(const mass_sum *s, double k) { return v_exp(s->logp1(k, s->p) - s->scale); }

/* 16-point Gauss-Legendre over (a, b) */
static double panel(const mass_sum *s, double a, double b)
{
  static const double node[] = {
    0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863, 0.6178762444026437484,
    0.7554044083550030339, 0.8656312023878317439, 0.9445750230732325761, 0.9894009349916499326};
  static const double weight[] = {
    0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382, 0.1495959888165767321,
    0.1246289712555338720, 0.0951585116824927848, 0.0622535239386478929, 0.0271524594117540949};
  double middle = 0.5 * (a + b), h = 0.5 * (b - a), sum = 0;
  for (int i = 0; i < POINTS / 2; i++)
    sum += weight[i] * (mass(s, middle - h * node[i]) + mass(s, middle + h * node[i]));
  return sum * h;
}

/* Halves until both halves agree with the whole, to what rounding leaves of a mass. */
static double halved(const mass_sum *s, double a, double b, double whole, int depth)
{
  double middle = 0.5 * (a + b), left = panel(s, a, middle), right = panel(s, middle, b);
  double miss = fabs(left + right - whole);
  if (depth == 0 || miss <= 2e-13 * (left + right) || miss <= 1e-15 * s->total) return left + right;
  return halved(s, a, middle, left, depth - 1) + halved(s, middle, b, right, depth - 1);
}

/* d/24 - 17 d3/5760 at the end e, a whole number and a half */
static double end_term(const mass_sum *s, double e)
{
  double d = mass(s, e + 0.5) - mass(s, e - 0.5);
  double d3 = (mass(s, e + 1.5) - mass(s, e - 1.5)) - 3 * d;
  return d / 24 - 17 * d3 / 5760;
}

/* From the whole number and a half a to b: panels that grow away from both ends. */
static void add_smooth(mass_sum *s, double a, double b)
{
  double middle = 0.5 * (a + b), sign = a < b ? 1 : -1;
  s->total -= sign * (end_term(s, b) - end_term(s, a));
  for (double at = a, width = DIRECT; sign * (middle - at) > 0; at += sign * width, width *= 2) {
    double to = sign * (middle - at) > width ? at + sign * width : middle;
    s->total += fabs(halved(s, at, to, panel(s, at, to), 12));
  }
  for (double at = b, width = DIRECT; sign * (at - middle) > 0; at -= sign * width, width *= 2) {
    double to = sign * (at - middle) > width ? at - sign * width : middle;
    s->total += fabs(halved(s, at, to, panel(s, at, to), 12));
  }
}

double dist_sum_mass(double (*logp1)(double, const double *), const double *p, double from,
                     double to, bool concave)
{
  mass_sum s = {logp1, p, fmax(logp1(from, p), logp1(to, p)), 0};
  double step = from <= to ? 1 : -1, count = fabs(to - from) + 1, before = 0;
  if (s.scale == -HUGE_VAL) return -HUGE_VAL;
  int64_t first = count > 3 * DIRECT ? DIRECT : (int64_t)count;
  for (int64_t i = 0; i < first; i++) {
    double term = mass(&s, from + step * (double)i), ratio = term / before;
    s.total += term;
    before = term;
    if (concave && i > 0 && ratio < 1 && term * ratio < 1e-17 * (1 - ratio) * s.total)
      return s.scale + v_log(s.total);
  }
  if ((double)first < count) {
    for (int64_t i = 0; i < DIRECT; i++) s.total += mass(&s, to - step * (double)i);
    add_smooth(&s, from + step * (DIRECT - 0.5), to - step * (DIRECT - 0.5));
  }
  return s.scale + v_log(s.total);
}

void dist_sum_tails(double (*logp1)(double, const double *), const double *p, double k,
                    const double range[2], double mean, bool concave, double *lower,
                    double *upper)
{
  if (k < range[0]) { *lower = -HUGE_VAL; *upper = 0; return; }
  if (k >= range[1]) { *lower = 0; *upper = -HUGE_VAL; return; }
  bool low = k < mean;
  if (low) *lower = fmin(0, dist_sum_mass(logp1, p, k, range[0], concave));
  else *upper = fmin(0, dist_sum_mass(logp1, p, k + 1, range[1], concave));
  double one = low ? *lower : *upper, other;
  if (one < -V_LOG_2) other = special_log1mexp(one);
  else other = fmin(0, low ? dist_sum_mass(logp1, p, k + 1, range[1], concave)
                           : dist_sum_mass(logp1, p, k, range[0], concave));
  *(low ? upper : lower) = other;
}
