/* kde: see kde.h. */
#include "num/kde.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
enum { BINS = 512, STAGES = 7, LEAST_FOR_WALLS = 50 };

double kde_quantile(const double *x, const double *w, int64_t n, double p)
{
  double sum = 0, before = -1, last = x[0];
  if (!w) {
    double at = p * (double)n - .5, k = floor(at);
    if (at <= 0) return x[0];
    if (at >= (double)(n - 1)) return x[n - 1];
    return x[(int64_t)k] + (at - k) * (x[(int64_t)k + 1] - x[(int64_t)k]);
  }
  for (int64_t i = 0; i < n; i++) {
    double middle = sum + w[i] / 2;
    if (w[i] > 0 && middle >= p) {
      if (before < 0) return x[i];
      return last + (p - before) / (middle - before) * (x[i] - last);
    }
    if (w[i] > 0) {
      before = middle;
      last = x[i];
    }
    sum += w[i];
  }
  return last;
}

/* ---- bandwidth ---- */

/* How many draws of equal weight these stand for, (sum w)^2 / sum w^2, equal values taken together
   (a chain that stands still says nothing new), but at most twenty of each. */
static double effective(const double *x, const double *w, int64_t n)
{
  double square = 0, merged = 0, each = 1 / (double)n;
  for (int64_t i = 0, j; i < n; i = j) {
    double sum = 0;
    for (j = i; j < n && x[j] == x[i]; j++) {
      double v = w ? w[j] : each;
      sum += v;
      square += v * v;
    }
    merged += sum * sum;
  }
  return fmax(1 / merged, 1 / square / 20);
}

/* 0.9 min(sd, IQR / 1.34) n^(-1/5) (Silverman 1986, equation 3.31). */
static double silverman(const double *x, const double *w, int64_t n)
{
  double mean = 0, var = 0, each = 1 / (double)n, from = x[0];
  for (int64_t i = 0; i < n; i++) mean += (w ? w[i] : each) * (x[i] - from);
  for (int64_t i = 0; i < n; i++) {
    double d = x[i] - from - mean;
    var += (w ? w[i] : each) * d * d;
  }
  double iqr = (kde_quantile(x, w, n, .75) - kde_quantile(x, w, n, .25)) / 1.34, sd = sqrt(var);
  return .9 * (iqr > 0 && iqr < sd ? iqr : sd) * pow(effective(x, w, n), -.2);
}

/* a2[k-1] = (a_k / 2)^2 for the cosine transform a_k = 2 sum_j p_j cos(pi k (2j + 1) / (2 BINS)) of
   the shares p of bins between lo and hi. */
static bool spectrum(mem *m, const double *x, const double *w, int64_t n, double lo, double hi,
                     double *a2)
{
  size_t bytes = (BINS + 4 * BINS) * sizeof(double);
  double *p = mem_zero(m, bytes), *cosine = p + BINS;
  if (!p) return false;
  for (int64_t i = 0; i < n; i++) {
    double at = (x[i] - lo) / (hi - lo) * BINS;
    if (at >= 0 && at <= BINS) p[at >= BINS ? BINS - 1 : (int)at] += w ? w[i] : 1 / (double)n;
  }
  for (int k = 0; k < 4 * BINS; k++) cosine[k] = cos(PI * k / (2 * BINS));
  for (int k = 1; k < BINS; k++) {
    double a = 0;
    for (int j = 0; j < BINS; j++) a += p[j] * cosine[k * (2 * j + 1) % (4 * BINS)];
    a2[k - 1] = a * a;
  }
  mem_put(m, p, bytes);
  return true;
}

/* || f^(s) ||^2 of the density smoothed for a time t: 2 pi^(2s) sum_k k^(2s) a2_k e^(-k^2 pi^2 t). */
static double roughness(const double *a2, int s, double time)
{
  double sum = 0;
  for (int k = 1; k < BINS; k++) {
    double e = PI * PI * k * k * time;
    if (e > 700) break;
    sum += pow(PI * k, 2 * s) * a2[k - 1] * exp(-e);
  }
  return 2 * sum;
}

/* t - xi gamma^[7](t) (Botev et al., algorithm 1); N: the number of draws. */
static double fixed_point(const double *a2, double N, double t)
{
  double f = roughness(a2, STAGES, t);
  for (int s = STAGES - 1; s >= 2; s--) {
    double odd = 1;
    for (int k = 3; k < 2 * s; k += 2) odd *= k;
    double c = (1 + pow(.5, s + .5)) / 3, time = pow(2 * c * odd / sqrt(2 * PI) / N / f,
                                                     2.0 / (3 + 2 * s));
    f = roughness(a2, s, time);
  }
  return t - pow(2 * N * sqrt(PI) * f, -.4);
}

/* The bandwidth as a part of the range; 0: there is no fixed point. */
static double sheather_jones(const double *a2, double N)
{
  double lo = 1e-9, hi = 1e-9, f = fixed_point(a2, N, lo);
  if (!(f < 0)) return 0;
  while (f < 0 && hi < .1) {
    lo = hi;
    f = fixed_point(a2, N, hi *= 4);
  }
  if (!(f >= 0)) return 0;
  for (int k = 0; k < 16; k++) {
    double middle = sqrt(lo * hi);
    if (fixed_point(a2, N, middle) < 0) lo = middle;
    else hi = middle;
  }
  return sqrt(sqrt(lo * hi));
}

/* ---- the curve ---- */

/* Adds a weight to the grid, shared by the two points beside x; outside: by reflection or not at
   all. */
static void put(kde *k, double x, double w)
{
  if (k->wall_lo && x < k->lo) x = 2 * k->lo - x;
  if (k->wall_hi && x > k->hi) x = 2 * k->hi - x;
  double at = (x - k->lo) / (k->hi - k->lo) * (KDE_GRID - 1);
  if (!(at >= 0 && at <= KDE_GRID - 1)) return;
  int i = at >= KDE_GRID - 1 ? KDE_GRID - 2 : (int)at;
  k->y[i] += w * (i + 1 - at);
  k->y[i + 1] += w * (at - i);
}

/* y convolved with the kernel, reflected at walls; a half cell at a wall counts whole. */
static void smooth(kde *k)
{
  double p[KDE_GRID], g[KDE_GRID], step = (k->hi - k->lo) / (KDE_GRID - 1), sum = 0;
  int reach = (int)(4 * k->bandwidth / step) + 1;
  if (reach > KDE_GRID - 1) reach = KDE_GRID - 1;
  for (int d = 0; d <= reach; d++) {
    double z = d * step / k->bandwidth;
    g[d] = exp(-.5 * z * z);
    sum += d ? 2 * g[d] : g[d];
  }
  memcpy(p, k->y, sizeof p);
  memset(k->y, 0, sizeof k->y);
  k->peak = 0;
  for (int i = 0; i < KDE_GRID; i++) {
    double s = 0;
    for (int d = -reach; d <= reach; d++) {
      int j = i + d;
      if (j < 0 && k->wall_lo) j = -j;
      if (j > KDE_GRID - 1 && k->wall_hi) j = 2 * (KDE_GRID - 1) - j;
      if (j < 0 || j > KDE_GRID - 1) continue;
      bool at_wall = (j == 0 && k->wall_lo) || (j == KDE_GRID - 1 && k->wall_hi);
      s += (at_wall ? 2 : 1) * p[j] * g[d < 0 ? -d : d];
    }
    k->y[i] = s / sum / step;
    if (k->y[i] > k->peak) k->peak = k->y[i];
  }
}

static void fill(kde *k, const double *x, const double *w, int64_t n)
{
  memset(k->y, 0, sizeof k->y);
  for (int64_t i = 0; i < n; i++) put(k, x[i], w ? w[i] : 1 / (double)n);
  smooth(k);
}

/* The weight of draws above `at`, of rising x. */
static double weight_above(const double *x, const double *w, int64_t n, double at)
{
  double sum = 0;
  for (int64_t i = n; i-- > 0 && x[i] > at;) sum += w ? w[i] : 1 / (double)n;
  return sum;
}

static double weight_below(const double *x, const double *w, int64_t n, double at)
{
  double sum = 0;
  for (int64_t i = 0; i < n && x[i] < at; i++) sum += w ? w[i] : 1 / (double)n;
  return sum;
}

/* Ends of what is shown: all draws, but of long tails (Cauchy's, not the exponential's) the last
   50th at most is left out, and none is more than three times as long as what lies between the
   median and its last 200th. */
void kde_ends(kde *k, const double *x, const double *w, int64_t n)
{
  double median = kde_quantile(x, w, n, .5), low = median - kde_quantile(x, w, n, .005),
         high = kde_quantile(x, w, n, .995) - median,
         left = median - 8 * (median - kde_quantile(x, w, n, .1)),
         right = median + 8 * (kde_quantile(x, w, n, .9) - median);
  k->lo = x[0];
  k->hi = x[n - 1];
  if (weight_below(x, w, n, left) > .02 || !(left < median)) left = k->lo;
  if (weight_above(x, w, n, right) > .02 || !(right > median)) right = k->hi;
  if (low > 0) k->lo = fmax(fmax(k->lo, median - 3 * low), left);
  if (high > 0) k->hi = fmin(fmin(k->hi, median + 3 * high), right);
  k->below = weight_below(x, w, n, k->lo);
  k->above = weight_above(x, w, n, k->hi);
}

/* A wall stands where the density does not fall off before its end, and at 0 and 1 for what is
   positive or a share; elsewhere the grid goes on. */
static void set_ends(kde *k, const double *x, const double *w, int64_t n)
{
  double least = x[0], most = x[n - 1], reach = 3.5 * k->bandwidth;
  bool many = effective(x, w, n) >= LEAST_FOR_WALLS;
  k->wall_lo = k->below == 0;
  k->wall_hi = k->above == 0;
  fill(k, x, w, n);
  double b = k->bandwidth / 2, lo1 = weight_below(x, w, n, least + b),
         hi1 = weight_above(x, w, n, most - b);
  /* not where a stuck chain has its only value */
  bool steep_lo = k->y[0] > .15 * k->peak && weight_below(x, w, n, least + 2 * b) > 1.2 * lo1,
       steep_hi = k->y[KDE_GRID - 1] > .15 * k->peak &&
                  weight_above(x, w, n, most - 2 * b) > 1.2 * hi1;
  if (k->below > 0) k->wall_lo = false;
  else if (many && least >= 0 && least <= reach) k->lo = 0;
  else if (!(k->wall_lo = many && steep_lo)) k->lo = least - reach;
  if (k->above > 0) k->wall_hi = false;
  else if (many && least >= 0 && most <= 1 && 1 - most <= reach) k->hi = 1;
  else if (!(k->wall_hi = many && steep_hi)) k->hi = most + reach;
}

bool kde_fit(mem *m, kde *k, const double *x, const double *w, int64_t n)
{
  double a2[BINS];
  kde_ends(k, x, w, n);
  double range = k->hi - k->lo, rule = silverman(x, w, n), margin = .05 * range;
  if (!spectrum(m, x, w, n, k->lo - margin, k->hi + margin, a2)) return false;
  double sj = sheather_jones(a2, effective(x, w, n)) * (range + 2 * margin);
  k->bandwidth = sj > 0 ? fmax(fmin((rule + sj) / 2, 2 * sj), rule / 4) : rule;
  if (!(k->bandwidth > range / 1000)) k->bandwidth = range / 1000;
  set_ends(k, x, w, n);
  fill(k, x, w, n);
  return true;
}

void kde_fit_part(const kde *whole, kde *k, const double *x, const double *w, int64_t n,
                  double part)
{
  k->lo = whole->lo;
  k->hi = whole->hi;
  k->wall_lo = whole->wall_lo;
  k->wall_hi = whole->wall_hi;
  k->below = k->above = 0;
  k->bandwidth = whole->bandwidth * pow(part, -.2);
  fill(k, x, w, n);
}
