/* plot_sbc: are ranks uniform?  A row a column of ranks in (0, 1): their histogram, and what their
   distribution function differs from that of the uniform, in the band that it leaves by chance with
   the probability that was asked for (Saeilynoja, Buerkner, Vehtari 2022, "Graphical test for
   discrete uniformity and its applications in goodness-of-fit evaluation"). */
#include "io/plot_in.h"
#include <stdio.h>

enum { SBC_BINS = 20 };

static void rank_bars(axes *a, const plot_column *c)
{
  double count[SBC_BINS] = { 0 }, most = 0, level = (double)c->n / SBC_BINS;
  pen bar = { .fill = colour_fade(INK_MAIN, .5) }, dashed = { .stroke = INK, .width = .9, .dash = 3 };
  for (int64_t i = 0; i < c->n; i++) {
    int k = (int)(c->x[i] * SBC_BINS);
    count[k < 0 ? 0 : k < SBC_BINS ? k : SBC_BINS - 1]++;
  }
  for (int k = 0; k < SBC_BINS; k++) most = fmax(most, count[k]);
  axes_range(a, (scale){ 0, 1, 0, 1 }, (scale){ 0, fmax(most, 1.6 * level) * 1.04, 0, 1 });
  axes_bottom(a, AXIS_WORDS | AXIS_LINE);
  for (int k = 0; k < SBC_BINS; k++) {
    double x0 = scale_at(&a->x, (k + .05) / SBC_BINS), x1 = scale_at(&a->x, (k + .95) / SBC_BINS),
           y = scale_at(&a->y, count[k]);
    if (count[k] > 0) canvas_box(a->c, x0, y, x1 - x0, a->bottom - y, &bar);
  }
  double y = scale_at(&a->y, level);
  canvas_segment(a->c, a->left, y, a->right, y, &dashed);
}

/* The share of draws up to z, minus z. */
static double excess(const plot_column *c, double z)
{
  int64_t k = 0;
  for (int64_t i = 0; i < c->n; i++) k += c->x[i] <= z;
  return (double)k / (double)c->n - z;
}

static void ecdf_panel(plot *p, axes *a, const plot_column *c)
{
  int n = p->nband, m = 0;
  double band[4 * (PLOT_BAND + 2)], line[2 * (PLOT_BAND + 2)], top = 0;
  bool outside = false;
  for (int i = 0; i < n; i++) {
    double z = (i + 1.0) / (n + 1), d = excess(c, z);
    top = fmax(top, fmax(fabs(d), fmax(p->band_hi[i], -p->band_lo[i])));
    outside |= d < p->band_lo[i] - 1e-9 || d > p->band_hi[i] + 1e-9;
  }
  axes_range(a, (scale){ 0, 1, 0, 1 }, (scale){ -1.1 * top, 1.1 * top, 0, 1 });
  for (int i = -1; i <= n; i++)
    axes_point(a, (i + 1.0) / (n + 1), i < 0 || i == n ? 0 : p->band_hi[i], band + 2 * m++);
  for (int i = n; i-- > 0;) axes_point(a, (i + 1.0) / (n + 1), p->band_lo[i], band + 2 * m++);
  pen area = { .fill = colour_fade(INK_SOFT, .16) },
      curve = { .stroke = outside ? INK_ALARM : INK_MAIN, .width = 1.4 };
  canvas_line(a->c, band, m, true, &area);
  axes_left(a, AXIS_GRID | AXIS_WORDS);
  axes_bottom(a, AXIS_WORDS);
  for (int i = -1; i <= n; i++) {
    double z = (i + 1.0) / (n + 1);
    axes_point(a, z, i < 0 || i == n ? 0 : excess(c, z), line + 2 * (i + 1));
  }
  canvas_line(a->c, line, n + 2, false, &curve);
  canvas_word(a->c, a->right, a->top - 6, outside ? "outside the band" : "inside the band",
              WORD_SMALL, WORD_RIGHT, outside ? INK_ALARM : INK_SOFT);
}

void plot_sbc(plot *p)
{
  double gap = 4, height = (p->bottom - p->top - 14 - gap * (p->ncolumn - 1)) / p->ncolumn,
         middle = (p->left + p->right) / 2;
  for (int i = 0; i < p->ncolumn; i++) {
    double y = p->top + i * (height + gap);
    axes a = axes_new(p->c, p->left, y + 20, middle - 12, y + height - 18),
         b = axes_new(p->c, middle + 40, y + 20, p->right - 6, y + height - 18);
    panel_name(p, &a, p->column[i].name, NULL);
    rank_bars(&a, &p->column[i]);
    ecdf_panel(p, &b, &p->column[i]);
    if (i + 1 < p->ncolumn) continue;
    axes_bottom_name(&a, "rank");
    axes_bottom_name(&b, "distribution function of the ranks, minus the uniform one");
  }
}
