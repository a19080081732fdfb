/* plot_density: densities, histograms, traces.

   A density is a kernel estimate (num/kde.h) of all draws, with a thin line for each chain; under
   it the median and the interval from the 5 % to the 95 % quantile.  Counts and truths are bars.  A
   trace shows every extreme: where draws are more than points of the page, each column of points
   has a line from its least draw to its greatest. */
#include "io/plot_in.h"
#include <stdio.h>
#include <string.h>

/* ---- bars ---- */

enum { BARS = 40 };
typedef struct bars { int n; double lo, step, share[BARS + 1], most; kde ends; } bars;

static void bars_count(bars *b, const plot_column *c, const sample *s)
{
  bool whole = column_is_discrete(c);
  double lo = s->x[0], hi = s->x[s->n - 1];
  *b = (bars){ .lo = lo, .step = 1 };
  if (!whole) {
    kde_ends(&b->ends, s->x, s->w, s->n);
    lo = b->ends.lo;
    hi = b->ends.hi;
  }
  if (c->type == PLOT_BOOLEAN) lo = 0, hi = 1;
  if (c->type == PLOT_LABEL) lo = 0, hi = c->nlabel - 1;
  if (whole) {
    b->step = ceil((hi - lo + 1) / BARS);
    b->n = (int)ceil((hi - lo + 1) / b->step);
    b->lo = lo - .5;
  } else {
    double iqr = kde_quantile(s->x, s->w, s->n, .75) - kde_quantile(s->x, s->w, s->n, .25);
    double bins = ceil((hi - lo) / (2 * iqr) * cbrt((double)s->n));   /* Freedman, Diaconis 1981 */
    b->n = bins >= 5 ? bins > BARS ? BARS : (int)bins : 5;
    b->step = (hi - lo) / b->n;
    b->lo = lo;
  }
  for (int64_t i = 0; i < s->n; i++) {
    double at = floor((s->x[i] - b->lo) / b->step);
    if (!whole && (s->x[i] < lo || s->x[i] > hi)) continue;
    int k = at < 0 ? 0 : at > b->n - 1 ? b->n - 1 : (int)at;
    b->share[k] += s->w ? s->w[i] : 1 / (double)s->n;
  }
  for (int k = 0; k < b->n; k++) b->most = fmax(b->most, b->share[k]);
}

/* Words under bars that stand for labels or truths, or for a few whole numbers. */
static void bars_words(const axes *a, const plot_column *c, const bars *b)
{
  double each = (a->right - a->left) / b->n;
  char buf[64];
  for (int k = 0; k < b->n; k++) {
    double x = scale_at(&a->x, b->lo + b->step * (k + .5));
    const char *s = c->type == PLOT_BOOLEAN ? k ? "true" : "false"
                    : k < c->nlabel         ? c->label[k]
                                            : "";
    canvas_word(a->c, x, a->bottom + 12, plot_fit(s, WORD_SMALL, each - 8, buf, sizeof buf),
                WORD_SMALL, WORD_MIDDLE, INK_SOFT);
  }
}

/* What lies outside: told, since it can't be seen. */
static void panel_outside(const axes *a, const kde *k)
{
  char word[64], part[32];
  double y = scale_at(&a->y, 0) - 5;
  if (k->above > 0) {
    ticks_number(part, sizeof part, 100 * k->above, 1);
    snprintf(word, sizeof word, "%s %% \u2192", part);
    canvas_word(a->c, a->right, y, word, WORD_SMALL, WORD_RIGHT, INK_SOFT);
  }
  if (k->below > 0) {
    ticks_number(part, sizeof part, 100 * k->below, 1);
    snprintf(word, sizeof word, "\u2190 %s %%", part);
    canvas_word(a->c, a->left, y, word, WORD_SMALL, 0, INK_SOFT);
  }
}

void panel_bars(plot *p, const axes *where, const plot_column *c, const sample *s,
                density_look look)
{
  axes b = *where, *a = &b;
  bars count;
  bool named = c->type == PLOT_BOOLEAN || c->type == PLOT_LABEL, whole = column_is_discrete(c);
  pen fill = { .fill = colour_fade(INK_MAIN, .55) };
  (void)p;
  bars_count(&count, c, s);
  double end = count.lo + count.n * count.step, pad = whole ? count.n < 6 ? .5 : .2 : 0;
  scale x = scale_wide(count.lo - pad, end + pad, whole ? 0 : .02);
  axes_range(a, look.range.lo < look.range.hi ? look.range : x,
             (scale){ 0, count.most * 1.15, 0, 1 });
  double gap = whole ? .16 : .04;
  if (named || count.step > 1.5) gap = named ? .3 : .06;
  for (int k = 0; k < count.n; k++) {
    double x0 = scale_at(&a->x, count.lo + count.step * (k + gap / 2)),
           x1 = scale_at(&a->x, count.lo + count.step * (k + 1 - gap / 2)),
           y = scale_at(&a->y, count.share[k]);
    if (count.share[k] > 0) canvas_box(a->c, x0, y, x1 - x0, a->bottom - y, &fill);
    if (!whole || count.n > 10 || count.share[k] == 0 || x1 - x0 < 22) continue;
    char share[32];
    double round2 = round(count.share[k] * 100) / 100;
    ticks_number(share, sizeof share, round2, round2 < .095 ? 1 : round2 < .995 ? 2 : 3);
    canvas_word(a->c, (x0 + x1) / 2, y - 3, share, WORD_SMALL, WORD_MIDDLE, INK_SOFT);
  }
  axes_bottom(a, AXIS_LINE | (named || look.bare ? 0 : AXIS_WORDS | (whole ? AXIS_WHOLE : 0)));
  if (named && !look.bare) bars_words(a, c, &count);
  if (!whole) panel_outside(a, &count.ends);
}

/* ---- densities ---- */

void panel_curve(const axes *a, const kde *k, const pen *line)
{
  double xy[2 * (KDE_GRID + 2)];
  int n = 0, stride = (int)(1.3 * KDE_GRID / (a->right - a->left));
  if (stride < 1) stride = 1;
  if (line->fill) axes_point(a, fmax(k->lo, a->x.lo), 0, xy + 2 * n++);
  for (int i = 0; i < KDE_GRID; i += stride) {
    if (i + stride >= KDE_GRID) i = KDE_GRID - 1;
    if (kde_at(k, i) < a->x.lo || kde_at(k, i) > a->x.hi) continue;
    axes_point(a, kde_at(k, i), k->y[i], xy + 2 * n++);
  }
  if (line->fill) axes_point(a, fmin(k->hi, a->x.hi), 0, xy + 2 * n++);
  canvas_line(a->c, xy, n, line->fill != 0, line);
}

/* One kernel estimate for each chain that has different draws; their number. */
static int chain_curves(plot *p, const plot_column *c, const kde *whole, kde *of, double *peak)
{
  int n = 0;
  for (int i = 0; i < c->chains; i++) {
    sample s;
    if (!sample_take(p, c, i, false, &s)) return n;
    if (s.n > 1 && !s.constant) {
      kde_fit_part(whole, &of[n], s.x, s.w, s.n, 1 / (double)c->chains);
      *peak = fmax(*peak, of[n].peak);
    } else of[n].peak = 0;
    n++;
    sample_free(p, &s);
  }
  return n;
}

/* Ticks under a density where the trajectory diverged. */
static void panel_rug(const axes *a, const plot_column *c)
{
  pen tick = { .stroke = INK_ALARM, .width = .8 };
  double base = scale_at(&a->y, 0);
  for (int64_t i = 0; c->divergent && i < c->n; i++) {
    double x = scale_at(&a->x, c->x[i]);
    if (c->divergent[i] && x >= a->left && x <= a->right)
      canvas_segment(a->c, x, base, x, base - 7, &tick);
  }
}

static void panel_interval(const axes *a, const sample *s)
{
  double y = a->bottom - 4, lo = fmax(kde_quantile(s->x, s->w, s->n, .05), a->x.lo),
         hi = fmin(kde_quantile(s->x, s->w, s->n, .95), a->x.hi);
  pen bar = { .stroke = INK, .width = 2.2, .round = true };
  canvas_segment(a->c, scale_at(&a->x, lo), y, scale_at(&a->x, hi), y, &bar);
  canvas_disc(a->c, scale_at(&a->x, kde_quantile(s->x, s->w, s->n, .5)), y, 3.6, 0xffffffff, INK);
}

static void draw_curves(plot *p, axes *a, const plot_column *c, const sample *s, const kde *whole,
                        density_look look)
{
  int n = look.chains && c->chains > 1 && c->chains <= 64 ? c->chains : 0;
  size_t bytes = (size_t)(n + 1) * sizeof(kde);
  kde *of = mem_get(p->m, bytes);
  double peak = whole->peak;
  if (!of) {
    p->failed = true;
    return;
  }
  if (n) n = chain_curves(p, c, whole, of, &peak);
  double below = look.interval ? .1 : 0;
  axes_range(a, look.range.lo < look.range.hi ? look.range : scale_wide(whole->lo, whole->hi, .015),
             (scale){ -below * peak, peak * 1.06, 0, 1 });
  axes_bottom(a, AXIS_GRID | AXIS_LINE | (look.bare ? 0 : AXIS_WORDS));
  pen area = { .fill = colour_fade(INK_MAIN, n ? .1 : .22) };
  panel_curve(a, whole, &area);
  for (int i = 0; i < n; i++) {
    pen thin = { .stroke = colour_fade(axes_chain_colour(i), .85), .width = .9 };
    if (of[i].peak > 0) panel_curve(a, &of[i], &thin);
  }
  pen thick = { .stroke = n ? INK : INK_MAIN, .width = 1.5 };
  panel_curve(a, whole, &thick);
  if (look.interval) panel_interval(a, s);
  panel_outside(a, whole);
  if (look.rug) panel_rug(a, c);
  mem_put(p->m, of, bytes);
}

static void draw_constant(axes *a, double v, density_look look)
{
  char word[64], number[48];
  pen line = { .stroke = INK_MAIN, .width = 2 };
  axes_range(a, look.range.lo < look.range.hi ? look.range : scale_wide(v, v, 1),
             (scale){ 0, 1, 0, 1 });
  axes_bottom(a, AXIS_LINE | AXIS_GRID | (look.bare ? 0 : AXIS_WORDS));
  canvas_segment(a->c, scale_at(&a->x, v), a->bottom, scale_at(&a->x, v), a->top + 14, &line);
  ticks_number(number, sizeof number, v, 6);
  char *end = strchr(number, '.') && !strstr(number, "\u00d7") ? number + strlen(number) : NULL;
  while (end && end[-1] == '0') *--end = 0;
  if (end && end[-1] == '.') *--end = 0;
  snprintf(word, sizeof word, "always %s", number);
  canvas_word(a->c, scale_at(&a->x, v), a->top + 8, word, WORD_SMALL, WORD_MIDDLE, INK_SOFT);
}

void panel_density(plot *p, const axes *where, const plot_column *c, density_look look)
{
  axes a = *where;
  sample s;
  kde k;
  if (!sample_take(p, c, ALL_CHAINS, true, &s)) return;
  if (s.n == 0) axes_nothing(&a, "no finite draws");
  else if (column_is_discrete(c)) panel_bars(p, &a, c, &s, look);
  else if (s.constant) draw_constant(&a, s.x[0], look);
  else if (kde_fit(p->m, &k, s.x, s.w, s.n)) draw_curves(p, &a, c, &s, &k, look);
  else p->failed = true;
  if (s.n) panel_lost(&a, &s);
  sample_free(p, &s);
}

/* "4.4 [-1.0, 9.9]": median and 90 % interval. */
static const char *in_numbers(plot *p, const plot_column *c, char *buf, size_t n)
{
  sample s;
  char q[3][32];
  double v[3];
  if (c->type == PLOT_BOOLEAN || c->type == PLOT_LABEL || !sample_take(p, c, ALL_CHAINS, true, &s))
    return NULL;
  bool some = s.n > 0 && !s.constant;
  for (int k = 0; some && k < 3; k++)
    v[k] = kde_quantile(s.x, s.w, s.n, k == 0 ? .5 : k == 1 ? .05 : .95);
  for (int k = 0; some && k < 3; k++) {
    int fine = (int)floor(log10((v[2] - v[1]) / 2 + 1e-300)) - 1;
    if (c->type == PLOT_INTEGER && fine < 0) fine = 0;
    double unit = pow(10, fine), r = unit > 1e-300 ? round(v[k] / unit) * unit : v[k];
    int whole = r != 0 ? (int)floor(log10(fabs(r)) + 1e-9) : 0, digits = whole - fine + 1;
    ticks_number(q[k], sizeof q[k], r != 0 ? r : 0, digits < 1 ? 1 : digits > 8 ? 8 : digits);
  }
  if (some) snprintf(buf, n, "%s  [%s, %s]", q[0], q[1], q[2]);
  sample_free(p, &s);
  return some ? buf : NULL;
}

static void draw_grid(plot *p, bool curves)
{
  panels g = { .across = panels_across(p->ncolumn), .gap_x = 28, .gap_y = 4 };
  int down = (p->ncolumn + g.across - 1) / g.across;
  char aside[128];
  g.width = (p->right - p->left - (g.across - 1) * g.gap_x) / g.across;
  g.height = (p->bottom - p->top - (down - 1) * g.gap_y) / down;
  for (int i = 0; i < p->ncolumn; i++) {
    const plot_column *c = &p->column[i];
    axes a = panels_at(p, &g, i, 20, 26, 0);
    panel_name(p, &a, c->name, in_numbers(p, c, aside, sizeof aside));
    density_look look = { .chains = true, .interval = true, .rug = true };
    sample s;
    if (curves) panel_density(p, &a, c, look);
    else if (sample_take(p, c, ALL_CHAINS, true, &s)) {
      if (s.n == 0) axes_nothing(&a, "no finite draws");
      else if (s.constant && !column_is_discrete(c)) draw_constant(&a, s.x[0], look);
      else panel_bars(p, &a, c, &s, look);
      if (s.n) panel_lost(&a, &s);
      sample_free(p, &s);
    }
  }
}

void plot_density(plot *p) { draw_grid(p, true); }

void plot_histogram(plot *p) { draw_grid(p, false); }

/* ---- traces ---- */

/* The draws of a chain: each of them, or the least and greatest of each column of points. */
static void draw_chain(plot *p, const axes *a, const plot_column *c, int chain, const pen *line)
{
  int64_t n = column_length(c), cells = (int64_t)((a->right - a->left) * 1.5);
  const double *x = c->x + chain * n;
  bool each = n <= 2 * cells;
  int64_t most = each ? n : 2 * cells, m = 0;
  double *xy = mem_get(p->m, (size_t)(2 * most + 1) * sizeof *xy);
  if (!xy) {
    p->failed = true;
    return;
  }
  for (int64_t i = 0; each && i < n; i++)
    axes_point(a, (double)i, drawable(x[i]) ? x[i] : (double)NAN, xy + 2 * m++);
  for (int64_t k = 0; !each && k < cells; k++) {
    int64_t from = k * n / cells, to = (k + 1) * n / cells, lo = -1, hi = -1;
    for (int64_t i = from; i < to; i++) {
      if (!drawable(x[i])) continue;
      if (lo < 0 || x[i] < x[lo]) lo = i;
      if (hi < 0 || x[i] > x[hi]) hi = i;
    }
    if (lo < 0) continue;
    int64_t first = lo < hi ? lo : hi, last = lo < hi ? hi : lo;
    axes_point(a, (double)first, x[first], xy + 2 * m++);
    if (last != first) axes_point(a, (double)last, x[last], xy + 2 * m++);
  }
  canvas_line(a->c, xy, m, false, line);
  if (n == 1) canvas_dots(a->c, xy, m, 2, line->stroke);
  mem_put(p->m, xy, (size_t)(2 * most + 1) * sizeof *xy);
}

static bool finite_range(const plot_column *c, double *lo, double *hi)
{
  *lo = HUGE_VAL;
  *hi = -HUGE_VAL;
  for (int64_t i = 0; i < c->n; i++)
    if (drawable(c->x[i])) {
      *lo = fmin(*lo, c->x[i]);
      *hi = fmax(*hi, c->x[i]);
    }
  return *lo <= *hi;
}

/* Truths and labels at the height of their numbers. */
static void trace_words(const axes *a, const plot_column *c)
{
  char buf[48];
  int n = c->type == PLOT_BOOLEAN ? 2 : c->nlabel;
  for (int k = 0; k < n; k++) {
    const char *s = c->type == PLOT_LABEL ? c->label[k] : k ? "true" : "false";
    if (k < a->y.lo || k > a->y.hi) continue;
    canvas_word(a->c, a->left - 5, scale_at(&a->y, k) + 3,
                plot_fit(s, WORD_SMALL, 46, buf, sizeof buf), WORD_SMALL, WORD_RIGHT, INK_SOFT);
  }
}

static void panel_trace(plot *p, axes *a, const plot_column *c, bool words)
{
  double lo, hi;
  int chains = c->chains > 1 ? c->chains : 1;
  int64_t n = column_length(c);
  if (!finite_range(c, &lo, &hi)) {
    axes_nothing(a, "no finite draws");
    return;
  }
  axes_range(a, scale_wide(0, (double)n, 0), scale_wide(lo, hi, .06));
  bool named = c->type == PLOT_BOOLEAN || (c->type == PLOT_LABEL && c->nlabel <= 6);
  axes_left(a, AXIS_GRID | (named ? 0 : AXIS_WORDS) | (column_is_discrete(c) ? AXIS_WHOLE : 0));
  if (named) trace_words(a, c);
  axes_bottom(a, AXIS_LINE | AXIS_WHOLE | (words ? AXIS_WORDS : 0));
  for (int i = 0; i < chains; i++) {
    pen line = { .stroke = colour_fade(chains > 1 ? axes_chain_colour(i) : INK_MAIN,
                                       chains > 1 ? .72 : .9), .width = .7, .round = true };
    draw_chain(p, a, c, i, &line);
  }
  pen tick = { .stroke = INK_ALARM, .width = .8 };
  for (int64_t i = 0; c->divergent && i < c->n; i++)
    if (c->divergent[i]) {
      double x = scale_at(&a->x, (double)(i % n));
      canvas_segment(a->c, x, a->bottom, x, a->bottom - 7, &tick);
    }
}

void plot_trace(plot *p)
{
  double gap = 4, height = (p->bottom - p->top - 14 - gap * (p->ncolumn - 1)) / p->ncolumn,
         wide = p->right - p->left, middle = p->left + .36 * wide;
  density_look look = { .chains = true, .rug = true };
  axes b = axes_new(p->c, 0, 0, 1, 1);
  for (int i = 0; i < p->ncolumn; i++) {
    double y = p->top + i * (height + gap);
    axes a = axes_new(p->c, p->left, y + 20, middle, y + height - 18);
    b = axes_new(p->c, middle + 58, y + 20, p->right, y + height - 18);
    panel_name(p, &a, p->column[i].name, NULL);
    panel_density(p, &a, &p->column[i], look);
    bool last = i + 1 == p->ncolumn || p->column[i + 1].n != p->column[i].n ||
                p->column[i + 1].chains != p->column[i].chains;
    panel_trace(p, &b, &p->column[i], last);
  }
  if (p->ncolumn) axes_bottom_name(&b, "draw");
}
