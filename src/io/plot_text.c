/* plot_text: pictures in a terminal: densities in eighths of blocks, traces in the dots of braille,
   forests in lines. */
#include "io/plot_in.h"
#include <stdio.h>
#include <string.h>

enum { ROWS = 7, WIDEST = 200 };

bool plot_has_text(plot_kind kind)
{
  return kind == PLOT_density || kind == PLOT_trace || kind == PLOT_histogram ||
         kind == PLOT_forest || kind == PLOT_ppc;
}

static void put_spaces(text *t, int n)
{
  for (int k = 0; k < n; k++) text_putc(t, ' ');
}

static int width_of(const char *s) { return utf8_width(s, strlen(s)); }

/* Ends a line; what is blank at its end is taken away. */
static void end_line(text *t)
{
  while (t->n && t->s[t->n - 1] == ' ') t->n--;
  text_putc(t, '\n');
}

/* ---- a scale below ---- */

static void put_scale(text *t, double lo, double hi, int columns, bool whole)
{
  ticks k;
  int place[TICKS_MAX], at = 0;
  ticks_make(&k, lo, hi, columns / 12 + 1, whole);
  for (int i = 0; i < k.n; i++) {
    place[i] = (int)((k.at[i] - lo) / (hi - lo) * columns);
    if (place[i] > columns - 1) place[i] = columns - 1;
  }
  for (int x = 0, i = 0; x < columns; x++) {
    bool tick = i < k.n && place[i] == x;
    text_puts(t, tick ? "\u252c" : "\u2500");
    while (i < k.n && place[i] <= x) i++;
  }
  end_line(t);
  for (int i = 0; i < k.n; i++) {
    int from = place[i] - width_of(k.word[i]) / 2;
    if (from < 0) from = 0;
    if ((i && from <= at) || from + width_of(k.word[i]) > columns) continue;
    put_spaces(t, from - at);
    text_puts(t, k.word[i]);
    at = from + width_of(k.word[i]);
  }
  int room = columns - at - width_of(k.note);
  if (k.note[0] && room < 2) {
    end_line(t);
    room = columns - width_of(k.note);
  }
  if (k.note[0]) {
    put_spaces(t, room);
    text_puts(t, k.note);
  }
  end_line(t);
}

/* ---- heights as blocks ---- */

static void put_blocks(text *t, const double *y, int columns)
{
  static const char *const eighth[9] = { " ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588" };
  for (int row = ROWS; row-- > 0;) {
    for (int x = 0; x < columns; x++) {
      double level = y[x] * ROWS * 8 - row * 8;
      if (row == 0 && y[x] > 0 && level < 1) level = 1;
      text_puts(t, eighth[level >= 8 ? 8 : level <= 0 ? 0 : (int)(level + .5)]);
    }
    end_line(t);
  }
}

static void text_curve(text *t, const kde *k, int columns)
{
  double y[WIDEST];
  for (int x = 0; x < columns; x++) {
    double at = (x + .5) / columns * (KDE_GRID - 1);
    int i = (int)at;
    y[x] = (k->y[i] + (at - i) * (k->y[i + 1] - k->y[i])) / k->peak;
    if (y[x] < .004) y[x] = 0;
  }
  put_blocks(t, y, columns);
  put_scale(t, k->lo, k->hi, columns, false);
}

/* ---- shares of values ---- */

static void text_bars(plot *p, text *t, const plot_column *c, const sample *s, int columns)
{
  enum { LINES = 20 };
  double lo = c->type == PLOT_REAL || c->type == PLOT_INTEGER ? s->x[0] : 0,
         hi = c->type == PLOT_LABEL ? c->nlabel - 1 : c->type == PLOT_BOOLEAN ? 1 : s->x[s->n - 1];
  bool whole = column_is_discrete(c);
  double step = whole ? ceil((hi - lo + 1) / LINES) : (hi - lo) / LINES, share[LINES] = { 0 };
  int n = whole ? (int)ceil((hi - lo + 1) / step) : LINES, wide = 5;
  char name[LINES][48];
  double most = 0;
  (void)p;
  for (int64_t i = 0; i < s->n; i++) {
    int k = (int)floor((s->x[i] - lo) / step);
    share[k >= n ? n - 1 : k] += s->w ? s->w[i] : 1 / (double)s->n;
  }
  for (int k = 0; k < n; k++) {
    char from[20];
    ticks_number(from, sizeof from, lo + k * step, whole ? 9 : 4);
    char *point = whole ? strchr(from, '.') : NULL;
    if (point) *point = 0;
    if (c->type == PLOT_LABEL) snprintf(name[k], sizeof name[k], "%.40s", c->label[k]);
    else if (c->type == PLOT_BOOLEAN) snprintf(name[k], sizeof name[k], "%s", k ? "true" : "false");
    else snprintf(name[k], sizeof name[k], whole && step == 1 ? "%s" : "%s \u2026", from);
    if (width_of(name[k]) > wide) wide = width_of(name[k]);
    most = fmax(most, share[k]);
  }
  for (int k = 0; k < n; k++) {
    static const char *const part[8] = { "",       "\u258f", "\u258e", "\u258d",
                                         "\u258c", "\u258b", "\u258a", "\u2589" };
    int room = columns - wide - 12, eighths = (int)lround(share[k] / most * room * 8);
    put_spaces(t, wide - width_of(name[k]));
    text_printf(t, "%s %5.1f %%  ", name[k], 100 * share[k]);
    for (; eighths >= 8 && room > 0; eighths -= 8, room--) text_puts(t, "\u2588");
    if (room > 0) text_puts(t, part[eighths & 7]);
    end_line(t);
  }
}

static void text_column(plot *p, text *t, const plot_column *c, int columns, bool curve)
{
  sample s;
  kde k;
  if (!sample_take(p, c, ALL_CHAINS, true, &s)) return;
  text_puts(t, c->name);
  if (*c->name) text_puts(t, "  ");
  if (s.n == 0) text_puts(t, "no finite draws\n");
  else if (s.constant && !column_is_discrete(c)) {
    text_puts(t, "always ");
    text_real(t, s.x[0]);
    text_putc(t, '\n');
  } else {
    char q[3][32];
    for (int i = 0; i < 3; i++)
      ticks_number(q[i], 32, kde_quantile(s.x, s.w, s.n, i == 0 ? .5 : i == 1 ? .05 : .95), 3);
    if (c->type == PLOT_REAL) text_printf(t, "%s  [%s, %s]", q[0], q[1], q[2]);
    if (s.lost) text_printf(t, "  (%lld left out)", (long long)s.lost);
    if (c->type == PLOT_REAL || *c->name || s.lost) end_line(t);
    if (!curve || column_is_discrete(c)) text_bars(p, t, c, &s, columns);
    else if (kde_fit(p->m, &k, s.x, s.w, s.n)) text_curve(t, &k, columns);
    else p->failed = true;
  }
  sample_free(p, &s);
}

/* ---- traces ---- */

typedef struct { uint8_t dot[ROWS + 1][WIDEST]; } braille;

/* Dots of a cell: 1 4 / 2 5 / 3 6 / 7 8 (Unicode, U+2800). */
static void braille_dot(braille *b, int x, int y)
{
  static const uint8_t bit[4][2] = { { 1, 8 }, { 2, 16 }, { 4, 32 }, { 64, 128 } };
  b->dot[y / 4][x / 2] |= bit[y % 4][x % 2];
}

static void trace_dots(const plot_column *c, braille *b, int columns, double lo, double hi)
{
  int64_t n = column_length(c);
  int high = ROWS * 4 - 1, wide = 2 * columns - 1;
  for (int64_t i = 0; i < c->n; i++) {
    if (!drawable(c->x[i])) continue;
    int x = n > 1 ? (int)((double)(i % n) / (double)(n - 1) * wide) : 0;
    braille_dot(b, x, hi > lo ? (int)((hi - c->x[i]) / (hi - lo) * high + .5) : high / 2);
  }
}

static void text_trace(text *t, const plot_column *c, int columns)
{
  braille b = { 0 };
  double lo = HUGE_VAL, hi = -HUGE_VAL;
  char end[2][24];
  for (int64_t i = 0; i < c->n; i++)
    if (drawable(c->x[i])) lo = fmin(lo, c->x[i]), hi = fmax(hi, c->x[i]);
  if (*c->name || !(lo <= hi))
    text_printf(t, "%s%s%s\n", c->name, lo <= hi || !*c->name ? "" : "  ",
                lo <= hi ? "" : "no finite draws");
  if (!(lo <= hi)) return;
  ticks_number(end[0], sizeof end[0], hi, 3);
  ticks_number(end[1], sizeof end[1], lo, 3);
  int margin = width_of(end[0]) > width_of(end[1]) ? width_of(end[0]) : width_of(end[1]);
  columns -= margin + 2;
  trace_dots(c, &b, columns, lo, hi);
  for (int row = 0; row < ROWS; row++) {
    const char *word = row == 0 ? end[0] : row == ROWS - 1 ? end[1] : "";
    put_spaces(t, margin - width_of(word));
    text_printf(t, "%s \u2502", word);
    for (int x = 0; x < columns; x++) {
      char s[4];
      int k = utf8_put(0x2800u + b.dot[row][x], s);
      if (b.dot[row][x]) text_put(t, s, (size_t)k);
      else text_putc(t, ' ');
    }
    end_line(t);
  }
}

/* ---- forests ---- */

static void forest_line(text *t, const double *q, double lo, double hi, int columns)
{
  int at[5];
  for (int k = 0; k < 5; k++) {
    at[k] = hi > lo ? (int)((q[k] - lo) / (hi - lo) * columns) : columns / 2;
    if (at[k] > columns - 1) at[k] = columns - 1;
  }
  for (int x = 0; x <= at[4]; x++)
    text_puts(t, x == at[2]                  ? "\u25cf"
                 : x >= at[1] && x <= at[3]  ? "\u2501"
                 : x >= at[0]                ? "\u2500"
                                             : " ");
  end_line(t);
}

static void text_forest(plot *p, text *t, int columns)
{
  static const double level[] = { .05, .25, .5, .75, .95 };
  enum { MOST = 64 };
  double q[MOST][5], lo = HUGE_VAL, hi = -HUGE_VAL;
  bool some[MOST];
  int wide = 0;
  for (int i = 0; i < p->ncolumn && i < MOST; i++) {
    sample s;
    if (!sample_take(p, &p->column[i], ALL_CHAINS, true, &s)) return;
    some[i] = s.n > 0 && p->column[i].type != PLOT_LABEL;
    for (int k = 0; k < 5 && some[i]; k++) q[i][k] = kde_quantile(s.x, s.w, s.n, level[k]);
    if (some[i]) lo = fmin(lo, q[i][0]), hi = fmax(hi, q[i][4]);
    if (width_of(p->column[i].name) > wide) wide = width_of(p->column[i].name);
    sample_free(p, &s);
  }
  if (wide > columns / 2) wide = columns / 2;
  columns -= wide + 2;
  for (int i = 0; i < p->ncolumn && i < MOST; i++) {
    put_spaces(t, wide - width_of(p->column[i].name));
    text_printf(t, "%s  ", p->column[i].name);
    if (some[i]) forest_line(t, q[i], lo, hi, columns);
    else text_puts(t, "no finite draws\n");
  }
  scale s = scale_wide(lo, hi, 0);
  put_spaces(t, wide + 2);
  if (lo < hi) {
    text line;
    text_init(&line, t->m);
    put_scale(&line, s.lo, s.hi, columns, false);
    char *second = line.n ? strchr(line.s, '\n') : NULL;
    if (second) {
      text_put(t, line.s, (size_t)(second + 1 - line.s));
      put_spaces(t, wide + 2);
      text_puts(t, second + 1);
    }
    t->failed |= line.failed;
    text_free(&line);
  }
}

/* ---- predictive checks ---- */

/* The observed count as shade, and over it the replicates' median and interval. */
static void predictive_line(text *t, const ppc_table *b, int k, int columns)
{
  int at[4];
  const double v[4] = { b->q[k][0], b->q[k][1], b->q[k][2], b->observed[k] };
  for (int i = 0; i < 4; i++) {
    at[i] = (int)(v[i] / b->most * (columns - 1) + .5);
    if (at[i] > columns - 1) at[i] = columns - 1;
  }
  for (int x = 0; x <= (at[3] > at[2] ? at[3] : at[2]); x++)
    text_puts(t, x == at[1]                 ? "\u25cf"
                 : x == at[0]               ? "\u251c"
                 : x == at[2]               ? "\u2524"
                 : x >= at[0] && x <= at[2] ? "\u2500"
                 : x < at[3]                ? "\u2592"
                                            : " ");
  if (v[3] < v[0] || v[3] > v[2]) text_puts(t, "  outside");
  end_line(t);
}

static void bin_name(const ppc_table *b, int k, char *s, size_t size)
{
  char from[24];
  ticks_number(from, sizeof from, b->whole ? b->lo + .5 + k * b->step : b->lo + k * b->step, b->whole ? 9 : 3);
  char *point = b->whole ? strchr(from, '.') : NULL;
  if (point) *point = 0;
  snprintf(s, size, b->whole && b->step == 1 ? "%s" : "%s \u2026", from);
}

static void text_predictive(plot *p, text *t, int columns)
{
  enum { COUNTS = 20, REALS = 12 };
  ppc_table b;
  char name[PPC_BINS][40];
  int wide = 8;
  if (!ppc_counts(p, COUNTS, &b) && (p->failed || !ppc_bins(p, REALS, &b))) {
    if (!p->failed) text_puts(t, "all numbers are equal, or none is finite\n");
    return;
  }
  for (int k = 0; k < b.n; k++) {
    bin_name(&b, k, name[k], sizeof name[k]);
    if (width_of(name[k]) > wide) wide = width_of(name[k]);
  }
  int room = columns - wide - 22;
  if (room < 10) room = 10;
  put_spaces(t, wide);
  text_puts(t, "  observed \u2592, replicates \u251c\u2500\u25cf\u2500\u2524 (median and 90 %)\n");
  for (int k = 0; k < b.n; k++) {
    put_spaces(t, wide - width_of(name[k]));
    text_printf(t, "%s  %8.0f  ", name[k], b.observed[k]);
    predictive_line(t, &b, k, room);
  }
}

bool plot_text(plot *p, int columns, text *t)
{
  if (columns > WIDEST) columns = WIDEST;
  if (p->title) text_printf(t, "%s\n\n", p->title);
  if (p->kind == PLOT_forest) text_forest(p, t, columns);
  if (p->kind == PLOT_ppc) text_predictive(p, t, columns);
  for (int i = 0; i < p->ncolumn && p->kind != PLOT_forest; i++) {
    if (i) text_putc(t, '\n');
    if (p->kind == PLOT_trace) text_trace(t, &p->column[i], columns);
    else text_column(p, t, &p->column[i], columns, p->kind == PLOT_density);
  }
  if (p->note) text_printf(t, "%s\n", p->note);
  return !p->failed && !t->failed;
}
