/* plot_pairs: each two columns against each other, below a diagonal of densities.  At most some
   thousand draws are drawn, chosen evenly by weight; those that diverged are drawn all, on top. */
#include "io/plot_in.h"
#include "num/stats.h"
#include <string.h>

enum { POINTS = 2000, LAYERS = 6 };

/* Places of m draws: at equal steps of the summed weights. */
static int64_t choose(const plot_column *c, int64_t m, int64_t *at)
{
  int64_t k = 0;
  double sum = 0;
  for (int64_t i = 0; i < c->n && k < m; i++) {
    sum += c->w ? c->w[i] : 1 / (double)c->n;
    while (k < m && ((double)k + .5) / (double)m <= sum) at[k++] = i;
  }
  return k;
}

/* Whole numbers would hide each other: each is moved by up to a third, by its place. */
static double shown(const plot_column *c, int64_t i, uint64_t salt)
{
  if (!column_is_discrete(c)) return c->x[i];
  return c->x[i] + ((double)(hash_mix((uint64_t)i + salt) >> 11) * 0x1p-53 - .5) * .66;
}

static scale range_of(const plot_column *c)
{
  double lo = HUGE_VAL, hi = -HUGE_VAL, more = column_is_discrete(c) ? .4 : 0;
  for (int64_t i = 0; i < c->n; i++)
    if (drawable(c->x[i]) && !(c->w && c->w[i] <= 0)) {
      lo = fmin(lo, c->x[i]);
      hi = fmax(hi, c->x[i]);
    }
  return lo <= hi ? scale_wide(lo - more, hi + more, .05) : (scale){ 0, 1, 0, 1 };
}

static void point(const axes *a, const plot_column *x, const plot_column *y, int64_t i, double *xy)
{
  bool both = drawable(x->x[i]) && drawable(y->x[i]);
  axes_point(a, both ? shown(x, i, 0) : (double)NAN, shown(y, i, 77), xy);
}

static void scatter(plot *p, const axes *a, const plot_column *x, const plot_column *y,
                    const int64_t *at, int64_t m)
{
  double xy[2 * (POINTS / LAYERS + 1)], alpha = fmin(.75, fmax(.2, 160 / (double)(m + 1)));
  double radius = m > 500 ? 1.2 : m > 100 ? 1.6 : 2.2;
  for (int layer = 0; layer < LAYERS; layer++) {
    int64_t n = 0;
    for (int64_t k = layer; k < m; k += LAYERS)
      point(a, x, y, at[k], xy + 2 * n++);
    canvas_dots(p->c, xy, n, radius, colour_fade(INK_MAIN, alpha));
  }
  for (int64_t i = 0; x->divergent && i < x->n; i++) {
    double one[2];
    if (!x->divergent[i]) continue;
    point(a, x, y, i, one);
    canvas_dots(p->c, one, 1, 2, colour_fade(INK_ALARM, .9));
  }
}

static void cell(plot *p, axes *a, int row, int column, const int64_t *at, int64_t m)
{
  const plot_column *x = &p->column[column], *y = &p->column[row];
  bool last = row + 1 == p->ncolumn;
  axes_range(a, range_of(x), range_of(y));
  if (a->right - a->left > 60) {
    axes_bottom(a, AXIS_GRID | AXIS_LINE | (last ? AXIS_WORDS : 0) |
                       (column_is_discrete(x) ? AXIS_WHOLE : 0));
    axes_left(a, AXIS_GRID | AXIS_LINE | (column == 0 ? AXIS_WORDS : 0) |
                     (column_is_discrete(y) ? AXIS_WHOLE : 0));
  }
  scatter(p, a, x, y, at, m);
}

/* The correlation of two columns, larger the stronger it is. */
static void agreement(const axes *a, const plot_column *x, const plot_column *y)
{
  char word[24];
  double r = stats_correlation(x->x, y->x, x->w, x->n), size = 9 + 8 * fabs(r);
  if (!isfinite(r)) return;
  ticks_number(word, sizeof word, round(r * 100) / 100, fabs(r) < .0995 ? 1 : 2);
  canvas_word(a->c, (a->left + a->right) / 2, (a->top + 20 + a->bottom) / 2 + size / 3, word, size,
              WORD_MIDDLE, INK_SOFT);
}

void plot_pairs(plot *p)
{
  int n = p->ncolumn;
  double gap = 10, margin = n > 1 ? 40 : 0, foot = 24;
  double wide = (p->right - p->left - margin - gap * (n - 1)) / n,
         high = (p->bottom - p->top - foot - gap * (n - 1)) / n;
  int64_t *at = mem_get(p->m, POINTS * sizeof *at), m;
  if (!at) {
    p->failed = true;
    return;
  }
  m = n ? choose(&p->column[0], p->column[0].n < POINTS ? p->column[0].n : POINTS, at) : 0;
  for (int row = 0; row < n; row++)
    for (int column = 0; column < n; column++) {
      double x = p->left + margin + column * (wide + gap), y = p->top + row * (high + gap);
      axes a = axes_new(p->c, x, y, x + wide, y + high);
      if (column < row) cell(p, &a, row, column, at, m);
      if (column > row) agreement(&a, &p->column[row], &p->column[column]);
      if (column != row) continue;
      a.top += 20;
      panel_name(p, &a, p->column[row].name, NULL);
      density_look look = { .bare = row + 1 < n };
      if (n > 1) look.range = range_of(&p->column[row]);
      panel_density(p, &a, &p->column[row], look);
    }
  mem_put(p->m, at, POINTS * sizeof *at);
}
