/* stats: see stats.h.  Two-pass moments; sums in the fixed tree. */
#include "num/stats.h"
#include <math.h>
#include <stddef.h>

double stats_sum(const double *x, int64_t n)
{
  stats_tree t = {{0}};
  for (int64_t i = 0; i < n; i++) stats_tree_add(&t, i, x[i]);
  return stats_tree_sum(&t);
}

double stats_mean(const double *x, int64_t n)
{
  return stats_sum(x, n) / (double)n;
}

double stats_variance(const double *x, int64_t n)
{
  if (n < 2) return (double)NAN;
  return stats_weighted_variance(x, NULL, n) * ((double)n / (double)(n - 1));
}

static double weight(const double *w, int64_t i) { return w ? w[i] : 1; }

double stats_weighted_mean(const double *x, const double *w, int64_t n)
{
  stats_tree sum = {{0}}, total = {{0}};
  for (int64_t i = 0; i < n; i++) {
    if (weight(w, i) == 0) continue;   /* a value of weight 0 may be infinite */
    stats_tree_add(&sum, i, weight(w, i) * x[i]);
    stats_tree_add(&total, i, weight(w, i));
  }
  return stats_tree_sum(&sum) / stats_tree_sum(&total);
}

double stats_covariance(const double *x, const double *y, const double *w, int64_t n)
{
  double mx = stats_weighted_mean(x, w, n), my = stats_weighted_mean(y, w, n);
  stats_tree sum = {{0}}, total = {{0}};
  for (int64_t i = 0; i < n; i++) {
    if (weight(w, i) == 0) continue;
    stats_tree_add(&sum, i, weight(w, i) * (x[i] - mx) * (y[i] - my));
    stats_tree_add(&total, i, weight(w, i));
  }
  return stats_tree_sum(&sum) / stats_tree_sum(&total);
}

double stats_weighted_variance(const double *x, const double *w, int64_t n)
{
  return stats_covariance(x, x, w, n);
}

double stats_correlation(const double *x, const double *y, const double *w, int64_t n)
{
  return stats_covariance(x, y, w, n) /
         sqrt(stats_covariance(x, x, w, n) * stats_covariance(y, y, w, n));
}

static double largest(const double *x, int64_t n)
{
  double m = -HUGE_VAL;
  for (int64_t i = 0; i < n; i++) if (x[i] > m || isnan(x[i])) m = x[i];
  return m;
}

double stats_logsumexp(const double *x, int64_t n)
{
  double m = largest(x, n);
  if (!isfinite(m)) return m;
  stats_tree t = {{0}};
  for (int64_t i = 0; i < n; i++) stats_tree_add(&t, i, exp(x[i] - m));
  return m + log(stats_tree_sum(&t));
}

double stats_normalise(const double *lw, double *w, int64_t n)
{
  double m = largest(lw, n);
  stats_tree t = {{0}};
  for (int64_t i = 0; i < n; i++) {
    w[i] = m > -HUGE_VAL ? m < HUGE_VAL ? exp(lw[i] - m) : lw[i] == m : 0;
    stats_tree_add(&t, i, w[i]);
  }
  double sum = stats_tree_sum(&t);
  if (m == -HUGE_VAL) return m;
  for (int64_t i = 0; i < n; i++) w[i] /= sum;
  return m + log(sum) - log((double)n);
}

double stats_ess(const double *w, int64_t n)
{
  stats_tree sum = {{0}}, square = {{0}};
  for (int64_t i = 0; i < n; i++) {
    stats_tree_add(&sum, i, w[i]);
    stats_tree_add(&square, i, w[i] * w[i]);
  }
  double s = stats_tree_sum(&sum), q = stats_tree_sum(&square);
  return q > 0 ? s * s / q : 0;
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool before(double a, double b) { return a < b || (isnan(b) && !isnan(a)); }

static void sift(double *x, int64_t i, int64_t n)
{
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && before(x[child], x[child + 1])) child++;
    if (!before(x[i], x[child])) return;
    double t = x[i];
    x[i] = x[child];
    x[child] = t;
  }
}

static void heap_sort(double *x, int64_t n)
{
  for (int64_t i = n / 2; i-- > 0;) sift(x, i, n);
  for (int64_t m = n; m-- > 1;) {
    double t = x[0];
    x[0] = x[m];
    x[m] = t;
    sift(x, 0, m);
  }
}

static void insertion_sort(double *x, int64_t n)
{
  for (int64_t i = 1; i < n; i++) {
    double t = x[i];
    int64_t j = i;
    for (; j > 0 && before(t, x[j - 1]); j--) x[j] = x[j - 1];
    x[j] = t;
  }
}

/* Introsort (Musser 1997): quicksort by the median of three, heapsort when it goes too deep. */
static void sort_range(double *x, int64_t n, int depth)
{
  while (n > 16) {
    if (depth-- == 0) { heap_sort(x, n); return; }
    double a = x[0], b = x[n / 2], c = x[n - 1];
    double pivot = before(a, b) ? (before(b, c) ? b : before(a, c) ? c : a)
                                : (before(a, c) ? a : before(b, c) ? c : b);
    int64_t i = 0, j = n - 1;
    while (i <= j) {
      while (before(x[i], pivot)) i++;
      while (before(pivot, x[j])) j--;
      if (i > j) break;
      double t = x[i];
      x[i++] = x[j];
      x[j--] = t;
    }
    if (j + 1 < n - i) { sort_range(x, j + 1, depth); x += i; n -= i; }
    else { sort_range(x + i, n - i, depth); n = j + 1; }
  }
  insertion_sort(x, n);
}

void stats_sort(double *x, int64_t n)
{
  int depth = 2;
  for (int64_t m = n; m > 1; m >>= 1) depth += 2;
  sort_range(x, n, depth);
}

void stats_order(const double *x, int64_t *order, int64_t *scratch, int64_t n)
{
  int64_t *from = order, *to = scratch;
  for (int64_t i = 0; i < n; i++) from[i] = i;
  for (int64_t width = 1; width < n; width *= 2) {   /* merge sort from the bottom: stable */
    for (int64_t lo = 0; lo < n; lo += 2 * width) {
      int64_t mid = lo + width < n ? lo + width : n, hi = lo + 2 * width < n ? lo + 2 * width : n;
      int64_t i = lo, j = mid;
      for (int64_t k = lo; k < hi; k++)
        to[k] = j >= hi || (i < mid && !before(x[from[j]], x[from[i]])) ? from[i++] : from[j++];
    }
    int64_t *t = from;
    from = to;
    to = t;
  }
  if (from != order) for (int64_t i = 0; i < n; i++) order[i] = from[i];
}

double stats_quantile_sorted(const double *x, int64_t n, double p)
{
  if (n < 1 || !(p >= 0 && p <= 1)) return (double)NAN;
  double h = p * (double)(n - 1);
  int64_t i = (int64_t)h;
  if (i >= n - 1) return x[n - 1];
  double part = h - (double)i;
  return part == 0 ? x[i] : x[i] * (1 - part) + x[i + 1] * part;
}

double stats_quantile_weighted(const double *x, const double *w, const int64_t *order, int64_t n,
                               double p)
{
  stats_tree t = {{0}};
  for (int64_t i = 0; i < n; i++) stats_tree_add(&t, i, weight(w, i));
  double total = stats_tree_sum(&t), target = p * total, done = 0, middle = 0, value = (double)NAN;
  if (n < 1 || !(p >= 0 && p <= 1) || !(total > 0)) return (double)NAN;
  for (int64_t k = 0; k < n; k++) {
    double v = x[order[k]], wt = weight(w, order[k]), next = done + 0.5 * wt;
    if (wt == 0) continue;
    if (next >= target) {
      if (isnan(value) || v == value) return v;
      double part = (target - middle) / (next - middle);
      return value * (1 - part) + v * part;
    }
    middle = next;
    value = v;
    done += wt;
  }
  return value;
}
