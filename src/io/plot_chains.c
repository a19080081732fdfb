/* plot_chains: do the chains agree, and how much do their draws tell: rank histograms (Vehtari,
   Gelman, Simpson, Carpenter, Buerkner 2021, section 4.3), autocorrelations, effective sample sizes
   as draws come in. */
#include "io/plot_in.h"
#include "num/stats.h"
#include <stdio.h>
#include <string.h>

/* ---- ranks ---- */

enum { RANK_BINS = 20, RANK_CHAINS = 16 };

/* count (chains, RANK_BINS): how many draws of a chain have ranks in each bin.  Draws that are
   equal share the ranks that they have together. */
static bool rank_count(plot *p, const plot_column *c, double *count)
{
  size_t n = (size_t)c->n, bytes = 2 * n * sizeof(int64_t);
  int64_t *order = mem_get(p->m, bytes + 1), each = column_length(c), finite = 0;
  if (!order) return false;
  memset(count, 0, (size_t)c->chains * RANK_BINS * sizeof *count);
  stats_order(c->x, order, order + n, c->n);
  for (int64_t i = 0; i < c->n; i++) finite += !isnan(c->x[i]);
  for (int64_t i = 0, j; i < finite; i = j) {
    for (j = i + 1; j < finite && c->x[order[j]] == c->x[order[i]];) j++;
    double from = (double)(i * RANK_BINS) / (double)finite,
           to = (double)(j * RANK_BINS) / (double)finite;
    for (int b = (int)from; b < RANK_BINS && b < to; b++) {
      double part = (fmin(to, b + 1) - fmax(from, b)) / (to - from);
      for (int64_t k = i; k < j; k++) count[order[k] / each * RANK_BINS + b] += part;
    }
  }
  mem_put(p->m, order, bytes + 1);
  return true;
}

static void rank_panel(const axes *a, const double *count, double uniform, colour ink)
{
  pen bar = { .fill = colour_fade(ink, .6) }, level = { .stroke = INK, .width = .9, .dash = 3 };
  double wide = (a->right - a->left) / RANK_BINS, y = scale_at(&a->y, uniform);
  pen base = { .stroke = INK_LINE, .width = .9 };
  for (int b = 0; b < RANK_BINS; b++) {
    double top = scale_at(&a->y, count[b]);
    if (count[b] > 0)
      canvas_box(a->c, a->left + b * wide + wide * .06, top, wide * .88, a->bottom - top, &bar);
  }
  canvas_segment(a->c, a->left, a->bottom, a->right, a->bottom, &base);
  canvas_segment(a->c, a->left, y, a->right, y, &level);
}

static void rank_row(plot *p, const plot_column *c, double top, double bottom, bool heads,
                     double *count)
{
  int shown = c->chains < RANK_CHAINS ? c->chains : RANK_CHAINS;
  double gap = 12, margin = 34, most = 0, uniform = (double)column_length(c) / RANK_BINS;
  double wide = (p->right - p->left - margin - gap * (shown - 1)) / shown;
  char head[24];
  for (int k = 0; k < c->chains * RANK_BINS; k++) most = fmax(most, count[k]);
  for (int i = 0; i < shown; i++) {
    double x = p->left + margin + i * (wide + gap);
    axes a = axes_new(p->c, x, top + 20, x + wide, bottom - 4);
    axes_range(&a, (scale){ 0, 1, 0, 1 }, (scale){ 0, fmax(most, 1.6 * uniform) * 1.04, 0, 1 });
    if (i == 0) {
      panel_name(p, &a, c->name, NULL);
      axes_left(&a, AXIS_WORDS | AXIS_WHOLE);
    }
    snprintf(head, sizeof head, wide > 45 ? "chain %d" : "%d", i + 1);
    if (heads && (i > 0 || wide > 140))
      canvas_word(p->c, a.right, a.top - 6, head, WORD_SMALL, WORD_RIGHT, INK_SOFT);
    rank_panel(&a, count + i * RANK_BINS, uniform, axes_chain_colour(i));
  }
}

void plot_rank(plot *p)
{
  double each = (p->bottom - p->top - 14) / p->ncolumn;
  int chains = 0;
  char below[96];
  for (int i = 0; i < p->ncolumn; i++) {
    const plot_column *c = &p->column[i];
    if (c->chains > chains) chains = c->chains;
    size_t bytes = (size_t)c->chains * RANK_BINS * sizeof(double);
    double *count = mem_get(p->m, bytes);
    p->failed |= !count || !rank_count(p, c, count);
    if (!p->failed) rank_row(p, c, p->top + i * each, p->top + (i + 1) * each, i == 0, count);
    mem_put(p->m, count, bytes);
  }
  snprintf(below, sizeof below, "rank among the draws of all chains");
  if (chains > RANK_CHAINS)
    snprintf(below, sizeof below, "rank among the draws of all %d chains, of which %d are shown",
             chains, RANK_CHAINS);
  canvas_word(p->c, (p->left + p->right) / 2, p->bottom, below, WORD_SMALL, WORD_MIDDLE, INK);
}

/* ---- autocorrelation ---- */

/* r (lags + 1): sum (x_i - m)(x_{i+lag} - m) / sum (x_i - m)^2; false: constant or not finite. */
static bool autocorrelations(const double *x, int64_t n, int lags, double *r)
{
  double mean = 0;
  for (int64_t i = 0; i < n; i++) mean += (x[i] - x[0]) / (double)n;
  mean += x[0];
  for (int k = 0; k <= lags; k++) {
    double s = 0;
    for (int64_t i = 0; i + k < n; i++) s += (x[i] - mean) * (x[i + k] - mean);
    r[k] = s;
  }
  if (!(r[0] > 0) || !isfinite(r[0])) return false;
  for (int k = lags; k >= 0; k--) r[k] /= r[0];
  return true;
}

enum { LAGS = 60 };

static void autocorrelation_panel(plot *p, axes *a, const plot_column *c)
{
  double r[LAGS + 1], xy[2 * (LAGS + 1)], least = -.15;
  int64_t n = column_length(c);
  int lags = n - 1 < LAGS ? (int)(n - 1) : LAGS, drawn = 0;
  (void)p;
  for (int i = 0; i < c->chains && lags > 0; i++)
    if (autocorrelations(c->x + i * n, n, lags, r))
      for (int k = 0; k <= lags; k++) least = fmin(least, r[k] * 1.05);
  axes_range(a, (scale){ 0, lags > 0 ? lags : 1, 0, 1 }, (scale){ least, 1.05, 0, 1 });
  axes_left(a, AXIS_GRID | AXIS_WORDS);
  axes_bottom(a, AXIS_WORDS | AXIS_WHOLE);
  double noise = 1.96 / sqrt((double)n), zero = scale_at(&a->y, 0), top = scale_at(&a->y, noise);
  pen band = { .fill = colour_fade(INK_SOFT, .16) }, base = { .stroke = INK_LINE, .width = .9 };
  if (noise < 1) canvas_box(a->c, a->left, top, a->right - a->left, 2 * (zero - top), &band);
  canvas_segment(a->c, a->left, zero, a->right, zero, &base);
  for (int i = 0; i < c->chains && lags > 0; i++) {
    pen line = { .stroke = colour_fade(axes_chain_colour(i), .9), .width = 1.2 };
    if (!autocorrelations(c->x + i * n, n, lags, r)) continue;
    drawn++;
    for (int k = 0; k <= lags; k++) axes_point(a, k, r[k], xy + 2 * k);
    canvas_line(a->c, xy, lags + 1, false, &line);
  }
  if (!drawn) axes_nothing(a, "constant, or not finite");
}

void plot_autocorrelation(plot *p)
{
  panels g = { .across = panels_across(p->ncolumn), .gap_x = 12, .gap_y = 4 };
  int down = (p->ncolumn + g.across - 1) / g.across;
  g.width = (p->right - p->left - (g.across - 1) * g.gap_x) / g.across;
  g.height = (p->bottom - p->top - (down - 1) * g.gap_y) / down;
  for (int i = 0; i < p->ncolumn; i++) {
    axes a = panels_at(p, &g, i, 20, i + g.across >= p->ncolumn ? 28 : 20, 30);
    panel_name(p, &a, p->column[i].name, NULL);
    autocorrelation_panel(p, &a, &p->column[i]);
    if (i + g.across >= p->ncolumn) axes_bottom_name(&a, "lag");
  }
}

/* ---- effective sample size ---- */

/* Names at the ends of lines, moved apart: y (n) in place, rising order of the lines' ends. */
static void spread(double *y, const int *order, int n, double least, double top, double bottom)
{
  for (int k = 1; k < n; k++) y[order[k]] = fmax(y[order[k]], y[order[k - 1]] + least);
  double over = n ? y[order[n - 1]] - bottom : 0;
  for (int k = n; k-- > 0 && over > 0;) {
    double most = k + 1 < n ? y[order[k + 1]] - least : bottom;
    if (y[order[k]] <= most) break;
    y[order[k]] = fmax(most, top);
  }
}

static void ess_names(plot *p, const axes *a, double *y)
{
  enum { MOST = 12 };
  int order[MOST], n = p->ncolumn < MOST ? p->ncolumn : MOST;
  char buf[128];
  for (int i = 0; i < n; i++) {
    int k = i;
    for (; k > 0 && y[order[k - 1]] > y[i]; k--) order[k] = order[k - 1];
    order[k] = i;
  }
  spread(y, order, n, 11, a->top, a->bottom);
  for (int i = 0; i < n; i++)
    canvas_word(p->c, a->right + 8, y[i] + 3,
                plot_fit(p->column[i].name, WORD_SMALL, p->right - a->right - 8, buf, sizeof buf),
                WORD_SMALL, 0, axes_chain_colour(i));
}

/* A curve of the course of particles in the upper or lower half. */
static void course_panel(plot *p, const double *y, bool upper)
{
  double middle = (p->top + p->bottom) / 2, lo = upper ? 0 : HUGE_VAL, hi = -HUGE_VAL;
  axes a = axes_new(p->c, p->left + 46, upper ? p->top + 8 : middle + 4, p->right - 4,
                    upper ? middle - 12 : p->bottom - 30);
  pen line = { .stroke = INK_MAIN, .width = 1.3, .round = true };
  size_t bytes = (size_t)(2 * p->ncourse + 1) * sizeof(double);
  double *xy = mem_get(p->m, bytes);
  if (!xy) {
    p->failed = true;
    return;
  }
  for (int64_t i = 0; i < p->ncourse; i++)
    if (drawable(y[i])) lo = fmin(lo, y[i]), hi = fmax(hi, y[i]);
  scale time = scale_wide(p->course[0] + 1, p->course[p->ncourse - 1] + 1, .01);
  axes_range(&a, time, upper ? (scale){ 0, fmax(hi, 1) * 1.06, 0, 1 } : scale_wide(lo, hi, .06));
  axes_left(&a, AXIS_GRID | AXIS_WORDS);
  axes_bottom(&a, AXIS_LINE | AXIS_WHOLE | (upper ? 0 : AXIS_WORDS));
  axes_left_name(&a, upper ? "effective sample size" : "log evidence");
  for (int64_t i = 0; i < p->ncourse; i++) axes_point(&a, p->course[i] + 1, y[i], xy + 2 * i);
  canvas_line(p->c, xy, p->ncourse, false, &line);
  if (p->ncourse < 60) canvas_dots(p->c, xy, p->ncourse, 2, INK_MAIN);
  if (!upper) axes_bottom_name(&a, "observation");
  mem_put(p->m, xy, bytes);
}

void plot_ess(plot *p)
{
  if (p->ncourse) {
    course_panel(p, p->course_ess, true);
    course_panel(p, p->course_evidence, false);
    return;
  }

  double most = 0, xy[2 * PLOT_STEPS], end[64] = { 0 }, wide = 0;
  double total = p->ncolumn ? (double)p->column[0].n : 1;
  int chains = p->ncolumn && p->column[0].chains ? p->column[0].chains : 1;
  for (int k = 0; k < 2 * p->ncolumn * PLOT_STEPS; k++)
    if (isfinite(p->ess[k])) most = fmax(most, p->ess[k]);
  for (int i = 0; i < p->ncolumn; i++)
    wide = fmax(wide, canvas_word_width(p->column[i].name, WORD_SMALL));
  axes a = axes_new(p->c, p->left + 46, p->top + 14, p->right - fmin(wide, 170) - 12,
                    p->bottom - 30);
  most = fmax(most, 110.0 * chains);
  axes_range(&a, (scale){ 0, total, 0, 1 }, (scale){ 0, most * 1.05, 0, 1 });
  axes_left(&a, AXIS_GRID | AXIS_WORDS);
  axes_bottom(&a, AXIS_LINE | AXIS_WORDS | AXIS_WHOLE);
  axes_bottom_name(&a, "draws of all chains");
  axes_left_name(&a, "effective sample size");
  double y = scale_at(&a.y, 100.0 * chains);
  pen level = { .stroke = INK_SOFT, .width = .9, .dash = 4 };
  canvas_segment(p->c, a.left, y, a.right, y, &level);
  canvas_word(p->c, a.right - 4, y - 4, "100 a chain", WORD_SMALL, WORD_RIGHT, INK_SOFT);
  for (int i = 0; i < p->ncolumn && i < NORN_COUNT(end); i++) {
    pen line = { .stroke = axes_chain_colour(i), .width = 1.5 };
    pen tails = { .stroke = axes_chain_colour(i), .width = 1.1, .dash = 3 };
    const double *e = p->ess + 2 * i * PLOT_STEPS;
    end[i] = a.bottom;
    for (int k = 0; k < PLOT_STEPS; k++)
      axes_point(&a, total * (k + 1) / PLOT_STEPS, e[PLOT_STEPS + k], xy + 2 * k);
    canvas_line(p->c, xy, PLOT_STEPS, false, &tails);
    for (int k = 0; k < PLOT_STEPS; k++) {
      axes_point(&a, total * (k + 1) / PLOT_STEPS, e[k], xy + 2 * k);
      if (isfinite(e[k])) end[i] = xy[2 * k + 1];
    }
    canvas_line(p->c, xy, PLOT_STEPS, false, &line);
  }
  ess_names(p, &a, end);
}
