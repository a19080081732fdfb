/* plot: sizes, titles, legends and samples of all kinds of pictures.  See plot.h. */
#include "io/plot_in.h"
#include "num/stats.h"
#include <stdio.h>
#include <string.h>

#define KIND_ROW(name, doc, most, chains) { #name, doc, most, chains },
const plot_kind_row plot_kinds[PLOT_KIND_COUNT] = { PLOT_KINDS(KIND_ROW) };

/* ---- samples ---- */

/* x and w in the order of x. */
static bool sample_sort(plot *p, sample *s)
{
  if (!s->w) {
    stats_sort(s->x, s->n);
    return true;
  }
  size_t n = (size_t)s->n, bytes = n * (2 * sizeof(int64_t) + sizeof(double));
  int64_t *order = mem_get(p->m, bytes + 1);
  if (!order) return false;
  double *t = (double *)(void *)(order + 2 * n);
  stats_order(s->x, order, order + n, s->n);
  double *part[] = { s->x, s->w };
  for (int k = 0; k < 2; k++) {
    for (size_t i = 0; i < n; i++) t[i] = part[k][order[i]];
    memcpy(part[k], t, n * sizeof *t);
  }
  mem_put(p->m, order, bytes + 1);
  return true;
}

bool sample_take(plot *p, const plot_column *c, int chain, bool sorted, sample *s)
{
  int64_t each = chain == ALL_CHAINS ? c->n : column_length(c), from = chain > 0 ? chain * each : 0;
  double sum = 0;
  *s = (sample){ .room = (size_t)(2 * each + 1) * sizeof(double) };
  s->x = mem_get(p->m, s->room);
  if (!s->x) {
    p->failed = true;
    return false;
  }
  s->w = c->w ? s->x + each : NULL;
  for (int64_t i = from; i < from + each; i++) {
    if (!drawable(c->x[i])) {
      s->lost++;
      s->huge |= isfinite(c->x[i]) != 0;
      continue;
    }
    if (c->w && !(c->w[i] > 0)) continue;
    if (c->w) sum += s->w[s->n] = c->w[i];
    s->x[s->n++] = c->x[i];
  }
  for (int64_t i = 0; s->w && i < s->n; i++) s->w[i] /= sum;
  s->constant = true;
  for (int64_t i = 1; i < s->n && s->constant; i++) s->constant = fabs(s->x[i] - s->x[0]) < 1e-150;
  if (!sorted || sample_sort(p, s)) return true;
  sample_free(p, s);
  p->failed = true;
  return false;
}

void sample_free(plot *p, sample *s)
{
  mem_put(p->m, s->x, s->room);
  s->x = NULL;
}

bool column_is_discrete(const plot_column *c) { return c->type != PLOT_REAL; }

/* ---- panels ---- */

int panels_across(int n) { return n <= 3 ? n : n == 4 ? 2 : n <= 9 ? 3 : 4; }

axes panels_at(const plot *p, const panels *g, int i, double head, double foot, double margin)
{
  double x = p->left + (i % g->across) * (g->width + g->gap_x),
         y = p->top + (i / g->across) * (g->height + g->gap_y);
  return axes_new(p->c, x + margin, y + head, x + g->width, y + g->height - foot);
}

const char *plot_fit(const char *name, double size, double width, char *buf, size_t n)
{
  size_t keep = 0, most = strlen(name);
  if (canvas_word_width(name, size) <= width) return name;
  while (keep < most && keep + 8 < n) {
    uint32_t code;
    int k = utf8_next(name + keep, most - keep, &code);
    if (k < 1) k = 1;
    memcpy(buf + keep, name + keep, (size_t)k);
    snprintf(buf + keep + k, n - keep - (size_t)k, "\u2026");
    if (canvas_word_width(buf, size) > width) break;
    keep += (size_t)k;
  }
  snprintf(buf + keep, n - keep, "\u2026");
  return buf;
}

void panel_name(plot *p, const axes *a, const char *name, const char *aside)
{
  char buf[256];
  double room = a->right - a->left, taken = aside ? canvas_word_width(aside, WORD_SMALL) + 8 : 0;
  if (taken > .65 * room) taken = 0;
  name = plot_fit(name, WORD_NORMAL * 1.16, room - taken, buf, sizeof buf);
  canvas_word(p->c, a->left, a->top - 6, name, WORD_NORMAL, WORD_BOLD, INK);
  if (taken) canvas_word(p->c, a->right, a->top - 6, aside, WORD_SMALL, WORD_RIGHT, INK_SOFT);
}

void panel_lost(const axes *a, const sample *s)
{
  char why[80];
  if (!s->lost) return;
  snprintf(why, sizeof why, "%lld draw%s %s", (long long)s->lost, s->lost == 1 ? " is" : "s are",
           s->huge ? "beyond 1e150" : "not finite");
  canvas_word(a->c, a->left, a->bottom + 23, why, WORD_SMALL, 0, INK_ALARM);
}

/* ---- sizes ---- */

static int rows_of(int n) { return (n + panels_across(n) - 1) / panels_across(n); }

static double body_height(const plot *p)
{
  int n = p->ncolumn;
  double most;
  switch (p->kind) {
  case PLOT_trace: return n * (n == 1 ? 190 : n <= 4 ? 125 : 98) + 14;
  case PLOT_rank: return n * (n == 1 ? 150 : 88) + 14;
  case PLOT_sbc: return n * (n == 1 ? 190 : n <= 4 ? 140 : 112) + 14;
  case PLOT_forest: return n * (n <= 12 ? 24 : 18) + 62;
  case PLOT_pairs: return n == 1 ? 240 : n <= 4 ? 560 : 700;
  case PLOT_ppc: return 300;
  case PLOT_ess: return p->ncourse ? 360 : 290;
  case PLOT_autocorrelation: return rows_of(n) * (n == 1 ? 220 : n <= 3 ? 170 : 135);
  default:
    most = n == 1 ? 230 : n <= 4 ? 165 : 128;
    return rows_of(n) * most;
  }
}

static double body_width(const plot *p)
{
  int n = p->ncolumn, chains = n ? p->column[0].chains : 0;
  switch (p->kind) {
  case PLOT_trace: return 760;
  case PLOT_sbc: return 680;
  case PLOT_rank: return chains <= 3 ? 560 : 760;
  case PLOT_forest: return 620;
  case PLOT_pairs: return n == 1 ? 420 : n <= 4 ? 600 : 760;
  case PLOT_ppc: return 520;
  case PLOT_ess: return 560;
  default: return n == 1 ? 460 : n == 2 || n == 4 ? 600 : 760;
  }
}

enum { MARGIN = 16, TITLE = 30, LEGEND = 20, NOTE = 16 };

/* Chains that a legend names; 0: none. */
static int legend_chains(const plot *p)
{
  int most = 0;
  bool lines = p->kind == PLOT_density || p->kind == PLOT_trace || p->kind == PLOT_autocorrelation;
  for (int i = 0; lines && i < p->ncolumn; i++)
    if (p->column[i].chains > most && (p->kind != PLOT_density || p->column[i].type == PLOT_REAL))
      most = p->column[i].chains;
  return most > 1 && most <= 8 ? most : 0;
}

static bool any_divergent(const plot *p)
{
  if (p->kind != PLOT_density && p->kind != PLOT_trace && p->kind != PLOT_pairs) return false;
  for (int i = 0; i < p->ncolumn; i++)
    for (int64_t k = 0; p->column[i].divergent && k < p->column[i].n; k++)
      if (p->column[i].divergent[k]) return true;
  return false;
}

static bool has_legend(const plot *p)
{
  return legend_chains(p) || any_divergent(p) || p->kind == PLOT_ppc ||
         (p->kind == PLOT_ess && !p->ncourse);
}

/* A legend stands beside the title if there is room, else below it. */
static bool legend_below(const plot *p, double width)
{
  double taken = 0;
  if (!has_legend(p) || !p->title) return has_legend(p);
  if (legend_chains(p)) taken += 40 + 40 * legend_chains(p);
  if (any_divergent(p)) taken += 70;
  if (p->kind == PLOT_ppc || p->kind == PLOT_ess) taken += 160;
  return canvas_word_width(p->title, WORD_LARGE * 1.08) + taken + 20 > width - 2 * MARGIN;
}

bool plot_size(plot *p, double *width, double *height)
{
  const double least = .45;      /* of what suits */
  double wide = body_width(p), high = body_height(p) + 2 * MARGIN + (p->title ? TITLE : 0) +
                                      (p->note ? NOTE : 0);
  if (legend_below(p, p->width ? p->width : wide)) high += LEGEND;
  *width = ceil(least * wide);
  *height = ceil(least * high);
  if (p->width == 0) p->width = wide;
  if (p->height == 0) p->height = high;
  return p->width >= *width && p->height >= *height;
}

/* ---- the whole ---- */

typedef struct { const char *word; colour ink; bool tick, dot, dash; } legend_entry;

/* Entries from the right end of a line. */
static void draw_legend(plot *p, const legend_entry *e, int n, double y)
{
  double x = p->right;
  for (int i = n; i-- > 0;) {
    x -= canvas_word_width(e[i].word, WORD_SMALL);
    canvas_word(p->c, x, y, e[i].word, WORD_SMALL, 0, INK_SOFT);
    pen line = { .stroke = e[i].ink, .width = e[i].tick ? 1 : 1.8, .dash = e[i].dash ? 3 : 0 };
    if (e[i].tick) canvas_segment(p->c, x - 7, y - 8, x - 7, y + 1, &line);
    else if (e[i].dot) canvas_disc(p->c, x - 8, y - 3, 2.6, e[i].ink, e[i].ink);
    else canvas_segment(p->c, x - 19, y - 3, x - 5, y - 3, &line);
    x -= e[i].tick || e[i].dot ? 22 : 34;
  }
}

static void legend(plot *p, double y)
{
  legend_entry e[12];
  char word[8][16];
  int n = 0, chains = legend_chains(p);
  for (int c = 0; c < chains; c++) {
    snprintf(word[c], sizeof word[c], c ? "%d" : "chain %d", c + 1);
    e[n++] = (legend_entry){ word[c], axes_chain_colour(c), false, false, false };
  }
  if (any_divergent(p))
    e[n++] = (legend_entry){ "divergent", INK_ALARM, p->kind != PLOT_pairs,
                             p->kind == PLOT_pairs, false };
  if (p->kind == PLOT_ppc) {
    e[n++] = (legend_entry){ "observed", INK, false, false, false };
    e[n++] = (legend_entry){ "replicated", INK_MAIN, false, false, false };
  }
  if (p->kind == PLOT_ess) {
    e[n++] = (legend_entry){ "bulk", INK_SOFT, false, false, false };
    e[n++] = (legend_entry){ "tails", INK_SOFT, false, false, true };
  }
  draw_legend(p, e, n, y);
}

static void (*const draw[PLOT_KIND_COUNT])(plot *) = {
  [PLOT_density] = plot_density, [PLOT_trace] = plot_trace,   [PLOT_rank] = plot_rank,
  [PLOT_pairs] = plot_pairs,     [PLOT_forest] = plot_forest, [PLOT_ppc] = plot_ppc,
  [PLOT_autocorrelation] = plot_autocorrelation,              [PLOT_ess] = plot_ess,
  [PLOT_histogram] = plot_histogram,                          [PLOT_sbc] = plot_sbc,
};

bool plot_draw(plot *p, canvas *c)
{
  pen paper = { .fill = 0xffffffff };
  p->c = c;
  p->failed = false;
  p->left = p->top = MARGIN;
  p->right = p->width - MARGIN;
  p->bottom = p->height - MARGIN;
  bool below = legend_below(p, p->width);
  canvas_box(c, 0, 0, p->width, p->height, &paper);
  if (p->title) {
    char buf[512];
    canvas_word(c, p->left, p->top + 12,
                plot_fit(p->title, WORD_LARGE * 1.08, p->right - p->left, buf, sizeof buf),
                WORD_LARGE, WORD_BOLD, INK);
    if (has_legend(p) && !below) legend(p, p->top + 11);
    p->top += TITLE;
  }
  if (below) {
    legend(p, p->top + 8);
    p->top += LEGEND;
  }
  if (p->note) {
    canvas_word(c, p->left, p->bottom, p->note, WORD_SMALL, 0, INK_SOFT);
    p->bottom -= NOTE;
  }
  draw[p->kind](p);
  return !p->failed;
}
