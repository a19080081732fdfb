/* axes: see axes.h. */
#include "io/axes.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- ticks ---- */

static double nice_step(double range, int want, bool whole)
{
  static const double nice[] = { 1, 2, 2.5, 5, 10 };
  double raw = range / want, power = pow(10, floor(log10(raw))), best = 10;
  for (int k = NORN_COUNT(nice); k-- > 0;)
    if (fabs(log(nice[k] * power / raw)) <= fabs(log(best * power / raw))) best = nice[k];
  if (whole && best == 2.5 && power < 10) best = 2;
  double step = best * power;
  return whole && step < 1 ? 1 : step;
}

/* Decimals that tell multiples of step apart. */
static int decimals(double step)
{
  int d = 0;
  for (double s = fabs(step); d < 12 && fabs(s - round(s)) > 1e-6 * s; s *= 10) d++;
  return d;
}

/* printf's form with a point in every locale and a minus sign as long as a plus. */
static void tidy(char *buf, size_t n, const char *s)
{
  size_t at = 0;
  for (; *s && at + 4 < n; s++) {
    if (*s == '-') at += (size_t)snprintf(buf + at, n - at, "\u2212");
    else if (*s == ',') buf[at++] = '.';
    else buf[at++] = *s;
  }
  buf[at] = 0;
}

static void put_power(char *buf, size_t n, int e)
{
  static const char *const raised[] = { "\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                        "\u2075", "\u2076", "\u2077", "\u2078", "\u2079" };
  char digits[16];
  size_t at = (size_t)snprintf(buf, n, "\u00d710");
  if (e < 0) at += (size_t)snprintf(buf + at, n - at, "\u207b");
  snprintf(digits, sizeof digits, "%d", e < 0 ? -e : e);
  for (const char *p = digits; *p && at + 4 < n; p++)
    at += (size_t)snprintf(buf + at, n - at, "%s", raised[*p - '0']);
}

void ticks_number(char *buf, size_t n, double x, int digits)
{
  char s[48];
  int e = x != 0 && isfinite(x) ? (int)floor(log10(fabs(x))) : 0;
  if (isfinite(x) && (e >= 6 || e < -4)) {
    snprintf(s, sizeof s, "%.*e", digits - 1, x);
    char *mark = strchr(s, 'e'), power[32];
    int exponent = 0;
    if (mark) sscanf(mark + 1, "%d", &exponent);
    if (mark) *mark = 0;
    tidy(buf, n, s);
    put_power(power, sizeof power, exponent);
    size_t at = strlen(buf);
    snprintf(buf + at, n - at, "%s", power);
    return;
  }
  int places = digits - 1 - e;
  snprintf(s, sizeof s, "%.*f", places < 0 || !isfinite(x) ? 0 : places, x);
  tidy(buf, n, s);
}

static double largest(const ticks *t, double offset)
{
  double m = 0;
  for (int k = 0; k < t->n; k++) m = fmax(m, fabs(t->at[k] - offset));
  return m;
}

/* Words of the ticks: (value - offset) / 10^e with as many decimals as the step needs. */
static void put_words(ticks *t, double range)
{
  double offset = 0, most = largest(t, 0);
  char s[48];
  size_t at = 0;
  t->note[0] = 0;
  if (most > 9999.5 * t->step && t->n) {
    double unit = pow(10, ceil(log10(range)));
    offset = round((t->at[0] + t->at[t->n - 1]) / 2 / unit) * unit;
    most = largest(t, offset);
  }
  int e = most > 0 ? (int)floor(log10(most) + 1e-9) : 0;
  e = e >= 5 || e < -3 ? e : 0;
  if (e) put_power(t->note, sizeof t->note, e);
  at = strlen(t->note);
  if (offset != 0) {
    int places = decimals(pow(10, ceil(log10(range))));
    snprintf(s, sizeof s, "%s%.*f", offset < 0 ? " - " : " + ", fabs(offset) < 1e15 ? places : 0,
             fabs(offset));
    if (fabs(offset) >= 1e15) snprintf(s, sizeof s, " %+.12g", offset);
    tidy(t->note + at, sizeof t->note - at, s + (at == 0));
  }
  double unit = pow(10, e);
  int places = decimals(t->step / unit);
  for (int k = 0; k < t->n; k++) {
    double v = (t->at[k] - offset) / unit;
    snprintf(s, sizeof s, "%.*f", places, fabs(v) < t->step / unit * 1e-6 ? 0 : v);
    tidy(t->word[k], TICK_WORD, s);
  }
}

void ticks_make(ticks *t, double lo, double hi, int want, bool whole)
{
  double range = hi - lo;
  t->n = 0;
  t->note[0] = 0;
  if (!(range > 0) || !isfinite(range)) return;
  t->step = nice_step(range, want < 1 ? 1 : want > 10 ? 10 : want, whole);
  double first = ceil(lo / t->step - 1e-9), last = floor(hi / t->step + 1e-9);
  for (double k = first; k <= last && t->n < TICKS_MAX; k++) {
    if (t->n && k * t->step == t->at[t->n - 1]) break;    /* steps too small for doubles */
    t->at[t->n++] = k * t->step;
  }
  put_words(t, range);
}

/* ---- scales and boxes ---- */

scale scale_wide(double lo, double hi, double part)
{
  double width = (hi - lo) * part, least = fmax(fabs(lo), fabs(hi)) * 1e-12;
  if (!(hi - lo > least)) width = fmax(least * 100, lo == 0 && hi == 0 ? 1 : fabs(lo) * .05);
  return (scale){ lo - width, hi + width, 0, 1 };
}

axes axes_new(canvas *c, double left, double top, double right, double bottom)
{
  return (axes){ c, left, top, right, bottom, { 0, 1, left, right }, { 0, 1, bottom, top } };
}

void axes_range(axes *a, scale x, scale y)
{
  a->x = (scale){ x.lo, x.hi, a->left, a->right };
  a->y = (scale){ y.lo, y.hi, a->bottom, a->top };
}

static const pen grid = { .stroke = INK_GRID, .width = .8 };
static const pen line = { .stroke = INK_LINE, .width = .9 };

void axes_bottom(const axes *a, unsigned flags)
{
  ticks t;
  double last = -1e9;
  ticks_make(&t, a->x.lo, a->x.hi, (int)((a->right - a->left) / 68) + 1, flags & AXIS_WHOLE);
  for (int k = 0; k < t.n; k++) {
    double x = scale_at(&a->x, t.at[k]), half = canvas_word_width(t.word[k], WORD_SMALL) / 2;
    if (flags & AXIS_GRID) canvas_segment(a->c, x, a->top, x, a->bottom, &grid);
    if (!(flags & AXIS_WORDS) || x - half < last + 4) continue;
    canvas_word(a->c, x, a->bottom + 12, t.word[k], WORD_SMALL, WORD_MIDDLE, INK_SOFT);
    last = x + half;
  }
  if (flags & AXIS_WORDS && t.note[0])
    canvas_word(a->c, a->right, a->bottom + 23, t.note, WORD_SMALL, WORD_RIGHT, INK_SOFT);
  if (flags & AXIS_LINE) canvas_segment(a->c, a->left, a->bottom, a->right, a->bottom, &line);
}

void axes_left(const axes *a, unsigned flags)
{
  ticks t;
  double high = a->bottom - a->top;
  int want = (int)(high < 120 ? high / 24 : 5 + (high - 120) / 90);
  ticks_make(&t, a->y.lo, a->y.hi, want < 1 ? 1 : want, flags & AXIS_WHOLE);
  for (int k = 0; k < t.n; k++) {
    double y = scale_at(&a->y, t.at[k]);
    if (flags & AXIS_GRID) canvas_segment(a->c, a->left, y, a->right, y, &grid);
    if (flags & AXIS_WORDS)
      canvas_word(a->c, a->left - 5, y + 3, t.word[k], WORD_SMALL, WORD_RIGHT, INK_SOFT);
  }
  if (flags & AXIS_WORDS && t.note[0])
    canvas_word(a->c, fmax(3, a->left - 5 - canvas_word_width(t.note, WORD_SMALL)), a->top - 5,
                t.note, WORD_SMALL, 0, INK_SOFT);
  if (flags & AXIS_LINE) canvas_segment(a->c, a->left, a->top, a->left, a->bottom, &line);
}

void axes_bottom_name(const axes *a, const char *name)
{
  canvas_word(a->c, (a->left + a->right) / 2, a->bottom + 25, name, WORD_SMALL, WORD_MIDDLE, INK);
}

void axes_left_name(const axes *a, const char *name)
{
  canvas_word_up(a->c, a->left - 36, (a->top + a->bottom) / 2, name, WORD_SMALL, INK);
}

void axes_nothing(const axes *a, const char *why)
{
  canvas_word(a->c, (a->left + a->right) / 2, (a->top + a->bottom) / 2 + 3, why, WORD_SMALL,
              WORD_MIDDLE, INK_SOFT);
}

colour axes_chain_colour(int chain)
{
  static const colour of[] = { 0x0072b2ff, 0xe69f00ff, 0x009e73ff, 0x7a5195ff,
                               0x56b4e9ff, 0xcc79a7ff, 0x6b4f1dff, 0x7f8c8dff };
  return of[chain % NORN_COUNT(of)];
}
