/* plot_ppc: what was observed over what the model predicts (Gabry, Simpson, Vehtari, Betancourt,
   Gelman 2019, "Visualization in Bayesian workflow", section 5).

   Of reals: the density of the observed numbers over those of some replicates, all with the same
   bandwidth.  Of counts: bars of the observed ones, and for each the median and the interval of
   90 % of the replicates. */
#include "io/plot_in.h"
#include "num/stats.h"
#include <stdio.h>
#include <string.h>

enum { REPLICATES = 60, ENOUGH = 2000 };

/* Replicate k of `most` that are shown, evenly chosen. */
static const double *replicate(const plot *p, int64_t k, int64_t most)
{
  return p->replicate + k * p->nreplicate / most * p->nobserved;
}

static int64_t at_most(int64_t n, int64_t most) { return n < most ? n : most; }

/* The finite numbers of x (n) to the end of y; how many. */
static int64_t put_finite(const double *x, int64_t n, double *y)
{
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) if (drawable(x[i])) y[m++] = x[i];
  return m;
}

/* ---- reals ---- */

static void curves(plot *p, axes *a, const kde *whole, int64_t shown, double *scratch)
{
  size_t bytes = (size_t)(shown + 1) * sizeof(kde);
  kde *k = mem_zero(p->m, bytes);
  double part = 1 / (double)(shown + 1), peak = 0;
  if (!k) {
    p->failed = true;
    return;
  }
  for (int64_t i = 0; i <= shown; i++) {
    const double *x = i < shown ? replicate(p, i, shown) : p->observed;
    int64_t n = put_finite(x, p->nobserved, scratch);
    if (n) kde_fit_part(whole, &k[i], scratch, NULL, n, part);
    peak = fmax(peak, k[i].peak);
  }
  axes_range(a, scale_wide(whole->lo, whole->hi, .01), (scale){ 0, peak * 1.05, 0, 1 });
  axes_bottom(a, AXIS_GRID | AXIS_WORDS | AXIS_LINE);
  for (int64_t i = 0; i <= shown; i++) {
    pen light = { .stroke = colour_fade(INK_MAIN, .3), .width = .8 },
        dark = { .stroke = INK, .width = 2.2 };
    if (k[i].peak > 0) panel_curve(a, &k[i], i < shown ? &light : &dark);
  }
  mem_put(p->m, k, bytes);
}

static void of_reals(plot *p, axes *a)
{
  int64_t shown = at_most(p->nreplicate, REPLICATES), room = (shown + 2) * p->nobserved + 1, n = 0;
  size_t bytes = (size_t)room * sizeof(double);
  double *all = mem_get(p->m, bytes);
  kde whole;
  if (!all) {
    p->failed = true;
    return;
  }
  for (int64_t i = 0; i < shown; i++)
    n += put_finite(replicate(p, i, shown), p->nobserved, all + n);
  n += put_finite(p->observed, p->nobserved, all + n);
  stats_sort(all, n);
  if (n == 0 || all[0] == all[n - 1]) axes_nothing(a, n ? "all equal" : "nothing finite");
  else if (kde_fit(p->m, &whole, all, NULL, n))
    curves(p, a, &whole, shown, all + (shown + 1) * p->nobserved);
  else p->failed = true;
  mem_put(p->m, all, bytes);
}

/* ---- counts ---- */

/* What lies outside of the bins of reals counts at their ends. */
static void count_of(const ppc_table *b, const double *x, int64_t n, double *count)
{
  memset(count, 0, (size_t)b->n * sizeof *count);
  for (int64_t i = 0; i < n; i++) {
    if (!drawable(x[i])) continue;
    double k = floor((x[i] - b->lo) / b->step);
    if (!b->whole) k = k < 0 ? 0 : k >= b->n ? b->n - 1 : k;
    if (k >= 0 && k < b->n) count[(int)k]++;
  }
}

static bool table_count(plot *p, ppc_table *b)
{
  int64_t used = at_most(p->nreplicate, ENOUGH);
  double one[PPC_BINS + 1];
  size_t bytes = (size_t)(b->n * used + 1) * sizeof(double);
  double *of = mem_get(p->m, bytes);                    /* (b->n, used) */
  if (!of) return p->failed = true, false;
  for (int64_t i = 0; i < used; i++) {
    count_of(b, replicate(p, i, used), p->nobserved, one);
    for (int k = 0; k < b->n; k++) of[k * used + i] = one[k];
  }
  count_of(b, p->observed, p->nobserved, b->observed);
  b->most = 1;
  for (int k = 0; k < b->n; k++) {
    stats_sort(of + k * used, used);
    for (int j = 0; j < 3; j++)
      b->q[k][j] = kde_quantile(of + k * used, NULL, used, j == 0 ? .05 : j == 1 ? .5 : .95);
    b->most = fmax(b->most, fmax(b->observed[k], b->q[k][2]));
  }
  mem_put(p->m, of, bytes);
  return true;
}

/* Whole numbers everywhere? */
static bool whole_range(const double *x, int64_t n, double *lo, double *hi)
{
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(x[i])) continue;
    if (x[i] != floor(x[i]) || fabs(x[i]) > 1e15) return false;
    *lo = fmin(*lo, x[i]);
    *hi = fmax(*hi, x[i]);
  }
  return true;
}

/* Where reals lie: all of the observed, and all but a hundredth of some replicates. */
static bool real_range(plot *p, double *lo, double *hi)
{
  int64_t shown = at_most(p->nreplicate, REPLICATES), n = 0;
  size_t bytes = (size_t)(shown * p->nobserved + 1) * sizeof(double);
  double *all = mem_get(p->m, bytes);
  if (!all) return p->failed = true, false;
  for (int64_t i = 0; i < shown; i++) n += put_finite(replicate(p, i, shown), p->nobserved, all + n);
  stats_sort(all, n);
  *lo = n ? kde_quantile(all, NULL, n, .005) : HUGE_VAL;
  *hi = n ? kde_quantile(all, NULL, n, .995) : -HUGE_VAL;
  mem_put(p->m, all, bytes);
  for (int64_t i = 0; i < p->nobserved; i++)
    if (drawable(p->observed[i])) *lo = fmin(*lo, p->observed[i]), *hi = fmax(*hi, p->observed[i]);
  return *lo < *hi;
}

bool ppc_counts(plot *p, int most, ppc_table *b)
{
  double lo = HUGE_VAL, hi = -HUGE_VAL;
  *b = (ppc_table){.n = 0};
  b->whole = whole_range(p->observed, p->nobserved, &lo, &hi) &&
             whole_range(p->replicate, p->nreplicate * p->nobserved, &lo, &hi) && lo <= hi;
  if (!b->whole) return false;
  *b = (ppc_table){.whole = true, .lo = lo - .5, .step = ceil((hi - lo + 1) / most)};
  b->n = (int)ceil((hi - lo + 1) / b->step);
  return table_count(p, b);
}

bool ppc_bins(plot *p, int most, ppc_table *b)
{
  double lo, hi;
  *b = (ppc_table){.n = 0};
  if (!real_range(p, &lo, &hi)) return false;
  *b = (ppc_table){.lo = lo, .step = (hi - lo) / most, .n = most};
  return table_count(p, b);
}

static void draw_counts(axes *a, const ppc_table *b)
{
  const double *observed = b->observed, (*q)[3] = b->q, most = b->most;
  pen bar = { .fill = colour_fade(INK, .28) },
      interval = { .stroke = INK_MAIN, .width = 2.2, .round = true };
  axes_range(a, scale_wide(b->lo, b->lo + b->n * b->step, .02), (scale){ 0, most * 1.06, 0, 1 });
  axes_left(a, AXIS_GRID | AXIS_WORDS | AXIS_WHOLE);
  axes_bottom(a, AXIS_WORDS | AXIS_LINE | AXIS_WHOLE);
  for (int k = 0; k < b->n; k++) {
    double x0 = scale_at(&a->x, b->lo + b->step * (k + .09)),
           x1 = scale_at(&a->x, b->lo + b->step * (k + .91)), y = scale_at(&a->y, observed[k]);
    if (observed[k] > 0) canvas_box(a->c, x0, y, x1 - x0, a->bottom - y, &bar);
  }
  for (int k = 0; k < b->n; k++) {
    double x = scale_at(&a->x, b->lo + b->step * (k + .5));
    canvas_segment(a->c, x, scale_at(&a->y, q[k][0]), x, scale_at(&a->y, q[k][2]), &interval);
    canvas_disc(a->c, x, scale_at(&a->y, q[k][1]), 3.2, 0xffffffff, INK_MAIN);
  }
}

void plot_ppc(plot *p)
{
  ppc_table b;
  bool counts = ppc_counts(p, PPC_BINS, &b);
  axes a = axes_new(p->c, p->left + (counts ? 44 : 4), p->top + 8, p->right - 4, p->bottom - 26);
  if (counts) draw_counts(&a, &b);
  else if (!p->failed) of_reals(p, &a);
  if (counts) axes_left_name(&a, "count");
}
