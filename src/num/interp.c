/* interp.c: places in tables, straight lines and cubics between points.

   Both splines are kept as slopes at the points, so that one formula evaluates them (Hermite's).
   Natural: de Boor, A Practical Guide to Splines (1978), chapter IV.  Monotone: Fritsch and Butland
   1984, with the ends of Moler, Numerical Computing with MATLAB (2004), section 3.4. */
#include "num/interp.h"
#include <math.h>

int64_t interp_place(const double *x, int64_t n, double t, bool right)
{
  int64_t lo = 0, hi = n;
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (x[mid] < t || (right && x[mid] == t)) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/* The i with x[i] <= t < x[i + 1], or the nearest. */
static int64_t segment(const double *x, int64_t n, double t)
{
  int64_t i = interp_place(x, n, t, true) - 1;
  return i < 0 ? 0 : i > n - 2 ? n - 2 : i;
}

double interp_linear(const double *x, const double *y, int64_t n, double t)
{
  if (isnan(t)) return t;
  if (t <= x[0]) return y[0];
  if (t >= x[n - 1]) return y[n - 1];
  int64_t i = segment(x, n, t);
  double w = (t - x[i]) / (x[i + 1] - x[i]);
  return w == 0 ? y[i] : (1 - w) * y[i] + w * y[i + 1];
}

/* With h[i] = x[i+1] - x[i] and s[i] = (y[i+1] - y[i]) / h[i] the second derivatives meet where

     d[i-1] / h[i-1] + 2 d[i] (1 / h[i-1] + 1 / h[i]) + d[i+1] / h[i]
       = 3 (s[i-1] / h[i-1] + s[i] / h[i]),

   and at the ends only one half of this is there.  The diagonal dominates: eliminated without
   pivots, c[i] being what stands right of the diagonal. */
void interp_natural(const double *x, const double *y, int64_t n, double *d, double *c)
{
  double left = 0, left_s = 0;
  for (int64_t i = 0; i < n; i++) {
    double right = 0, s = 0;
    if (i + 1 < n) {
      right = 1 / (x[i + 1] - x[i]);
      s = (y[i + 1] - y[i]) * right;
    }
    double pivot = 2 * (left + right) - (i ? left * c[i - 1] : 0);
    c[i] = right / pivot;
    d[i] = (3 * (left_s * left + s * right) - (i ? left * d[i - 1] : 0)) / pivot;
    left = right;
    left_s = s;
  }
  for (int64_t i = n - 2; i >= 0; i--) d[i] -= c[i] * d[i + 1];
}

/* The slope at an end from the parabola through three points, kept from overshooting; h0, s0 are of
   the interval at the end, h1, s1 of the next. */
static double end_slope(double h0, double h1, double s0, double s1)
{
  double d = ((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1);
  if (d * s0 <= 0) return 0;
  return s0 * s1 <= 0 && fabs(d) > 3 * fabs(s0) ? 3 * s0 : d;
}

/* Inside, a harmonic mean of the slopes on both sides, or 0 where they differ in sign. */
void interp_monotone(const double *x, const double *y, int64_t n, double *d)
{
  double h0 = 0, s0 = 0;
  for (int64_t i = 0; i + 1 < n; i++) {
    double h1 = x[i + 1] - x[i], s1 = (y[i + 1] - y[i]) / h1, w0 = 2 * h1 + h0, w1 = h1 + 2 * h0;
    if (i > 0) d[i] = s0 * s1 > 0 ? (w0 + w1) / (w0 / s0 + w1 / s1) : 0;
    if (i == 1) d[0] = end_slope(h0, h1, s0, s1);
    if (i == n - 2 && n > 2) d[n - 1] = end_slope(h1, h0, s1, s0);
    h0 = h1;
    s0 = s1;
  }
  if (n == 2) d[0] = d[1] = s0;
}

double interp_cubic(const double *x, const double *y, const double *d, int64_t n, double t)
{
  if (isnan(t)) return t;
  if (t <= x[0]) return t == x[0] ? y[0] : y[0] + d[0] * (t - x[0]);
  if (t >= x[n - 1]) return t == x[n - 1] ? y[n - 1] : y[n - 1] + d[n - 1] * (t - x[n - 1]);
  int64_t i = segment(x, n, t);
  double h = x[i + 1] - x[i], u = t - x[i], s = (y[i + 1] - y[i]) / h;
  double c = (3 * s - 2 * d[i] - d[i + 1]) / h, b = (d[i] + d[i + 1] - 2 * s) / (h * h);
  return y[i] + u * (d[i] + u * (c + u * b));
}
