/* plot_forest: a row a column: the median, the intervals of 50 % and 90 % between quantiles, and at
   the side what says whether to trust them. */
#include "io/plot_in.h"
#include <stdio.h>

typedef struct row { double q[5]; bool some; int64_t lost; } row;   /* 5, 25, 50, 75, 95 % */

static bool rows_make(plot *p, row *r, double *lo, double *hi)
{
  static const double at[] = { .05, .25, .5, .75, .95 };
  *lo = HUGE_VAL;
  *hi = -HUGE_VAL;
  for (int i = 0; i < p->ncolumn; i++) {
    sample s;
    if (!sample_take(p, &p->column[i], ALL_CHAINS, true, &s)) return false;
    r[i] = (row){ .some = s.n > 0 && p->column[i].type != PLOT_LABEL, .lost = s.lost };
    for (int k = 0; r[i].some && k < 5; k++) r[i].q[k] = kde_quantile(s.x, s.w, s.n, at[k]);
    if (r[i].some) {
      *lo = fmin(*lo, r[i].q[0]);
      *hi = fmax(*hi, r[i].q[4]);
    }
    sample_free(p, &s);
  }
  return true;
}

static void put_side(plot *p, double x, double y, double v, const char *format, bool bad)
{
  char s[32];
  if (isnan(v)) snprintf(s, sizeof s, "\u2013");
  else if (format) snprintf(s, sizeof s, format, v);
  else ticks_number(s, sizeof s, round(v), 1 + (int)log10(fmax(1, v)));
  for (char *q = s; *q; q++) if (*q == ',') *q = '.';
  canvas_word(p->c, x, y, s, WORD_SMALL, WORD_RIGHT | (bad ? WORD_BOLD : 0),
              bad ? INK_ALARM : INK_SOFT);
}

static void draw_row(plot *p, const axes *a, const plot_column *c, const row *r, double y,
                     double size)
{
  pen thin = { .stroke = INK_MAIN, .width = 1.3, .round = true },
      thick = { .stroke = INK_MAIN, .width = size > 20 ? 4 : 3, .round = true };
  char buf[256];
  canvas_word(p->c, a->left - 10, y + 3.5,
              plot_fit(c->name, WORD_NORMAL, a->left - 10 - p->left, buf, sizeof buf), WORD_NORMAL,
              WORD_RIGHT, INK);
  if (!r->some) {
    canvas_word(p->c, a->left + 6, y + 3,
                c->type == PLOT_LABEL ? "no numbers" : "no finite draws", WORD_SMALL, 0, INK_SOFT);
    return;
  }
  double x[5];
  for (int k = 0; k < 5; k++) x[k] = scale_at(&a->x, r->q[k]);
  canvas_segment(p->c, x[0], y, x[4], y, &thin);
  canvas_segment(p->c, x[1], y, x[3], y, &thick);
  canvas_disc(p->c, x[2], y, size > 20 ? 4 : 3.4, 0xffffffff, INK_MAIN);
  if (r->lost) canvas_word(p->c, x[4] + 8, y + 3, "(some not finite)", WORD_SMALL, 0, INK_ALARM);
}

static void zero_line(const axes *a)
{
  pen line = { .stroke = INK_SOFT, .width = .9, .dash = 3 };
  double x = scale_at(&a->x, 0);
  if (a->x.lo < 0 && a->x.hi > 0) canvas_segment(a->c, x, a->top, x, a->bottom, &line);
}

void plot_forest(plot *p)
{
  enum { MOST = 64, RHAT = 44, ESS = 50 };
  row r[MOST];
  double lo, hi, names = 0, side = 0;
  bool ess = false, rhat = false;
  if (p->ncolumn > MOST || !rows_make(p, r, &lo, &hi)) return;
  for (int i = 0; i < p->ncolumn; i++) {
    names = fmax(names, canvas_word_width(p->column[i].name, WORD_NORMAL));
    ess |= !isnan(p->column[i].ess);
    rhat |= !isnan(p->column[i].rhat);
  }
  side = (ess ? ESS : 0) + (rhat ? RHAT : 0);
  names = fmin(names + 1, .35 * (p->right - p->left));
  axes a = axes_new(p->c, p->left + names + 10, p->top + 18, p->right - side - 8, p->bottom - 26);
  double each = (a.bottom - a.top) / (p->ncolumn ? p->ncolumn : 1);
  axes_range(&a, lo <= hi ? scale_wide(lo, hi, .04) : (scale){ 0, 1, 0, 1 },
             (scale){ 0, 1, 0, 1 });
  axes_bottom(&a, AXIS_GRID | AXIS_WORDS | AXIS_LINE);
  zero_line(&a);
  if (ess) canvas_word(p->c, p->right - (rhat ? RHAT : 0), p->top + 10, "ESS", WORD_SMALL,
                       WORD_RIGHT | WORD_BOLD, INK);
  if (rhat) canvas_word(p->c, p->right, p->top + 10, "R-hat", WORD_SMALL, WORD_RIGHT | WORD_BOLD,
                        INK);
  for (int i = 0; i < p->ncolumn; i++) {
    const plot_column *c = &p->column[i];
    double y = a.top + (i + .5) * each, few = c->chains ? 100.0 * c->chains : 100;
    draw_row(p, &a, c, &r[i], y, each);
    if (ess) put_side(p, p->right - (rhat ? RHAT : 0), y + 3, c->ess, NULL, c->ess < few);
    if (rhat) put_side(p, p->right, y + 3, c->rhat, "%.3f", c->rhat > 1.01);
  }
}
