/* show: how a posterior prints.

       smc: 1000 draws, ESS 812, log evidence -12.31 +- 0.05
                  mean       sd       5%      50%      95%    ESS
       mu        4.412    3.302   -1.020    4.402    9.881    812  ▁▂▄▆█▇▅▃▁▁
       theta[0]  ...
       warning: ...

   Numbers get a row each: the value, its fields, elements of arrays (long arrays shortened).  Of
   draws from chains it has the error of the mean, the ESS of bulk and tail and R-hat too (nR-hat: the
   nested one, of superchains).  Values
   that are no numbers, or few, get a table of probabilities instead. */
#include "infer/posterior.h"
#include "infer/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 12, ATOMS = 20, ROWS = 60, HEAD = 8, TAIL = 2, NAME = 64 };

/* kinds: instead of numbers */
typedef struct shown {
  char name[NAME];
  double mean, mcse, sd, q[3], ess, tail, rhat;
  char bars[4 * BINS + 1], kinds[160];
} shown;
/* Scratch for one column: x (n) values, w (n) weights; order (n) by value. */
typedef struct columns {
  norn_state *st; const norn_dist *d; int64_t n; int chains, superchains;
  bool exact, chained, worst;
  double *x, *w; int64_t *order; shown row[ROWS]; int rows; int64_t left_out;
} columns;

static const char *const block[9] = { " ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                      "\u2585", "\u2586", "\u2587", "\u2588" };

static int by_x(const void *a, const void *b, void *user)
{
  const double *x = user, p = x[*(const int64_t *)a], q = x[*(const int64_t *)b];
  return p < q ? -1 : p > q;
}

static void show_bars(const columns *c, shown *r, double lo, double hi)
{
  double bin[BINS] = { 0 }, top = 0;
  r->bars[0] = 0;
  if (!(hi > lo)) return;
  for (int64_t i = 0; i < c->n; i++) {
    int k = (int)((c->x[i] - lo) / (hi - lo) * BINS);
    if (c->x[i] >= lo && c->x[i] <= hi) bin[k >= BINS ? BINS - 1 : k] += c->w[i];
  }
  for (int k = 0; k < BINS; k++) if (bin[k] > top) top = bin[k];
  for (int k = 0; k < BINS; k++) {
    int level = (int)ceil(bin[k] / top * 8);
    strcat(r->bars, block[level > 8 ? 8 : level]);
  }
}

/* Smallest value whose cumulative weight reaches p. */
static double show_quantile(const columns *c, double p)
{
  double cum = 0;
  for (int64_t i = 0; i < c->n; i++) {
    cum += c->w[c->order[i]];
    if (cum >= p - 1e-12) return c->x[c->order[i]];
  }
  return c->x[c->order[c->n - 1]];
}

/* Is a to stand before b: the larger R-hat where one is above 1.01, else the smaller ESS; what does
   not vary comes last. */
static bool show_is_worse(const shown *a, const shown *b)
{
  const double limit = 1.01;
  if (isnan(a->rhat) || isnan(b->rhat)) return !isnan(a->rhat) && isnan(b->rhat);
  if (a->rhat > limit || b->rhat > limit) return a->rhat > b->rhat;
  return fmin(a->ess, a->tail) < fmin(b->ess, b->tail);
}

/* A row more: at the end as long as there is room, or where it belongs among the worst. */
static void show_keep(columns *c, const shown *r)
{
  int at = c->rows;
  if (c->worst) while (at > 0 && show_is_worse(r, &c->row[at - 1])) at--;
  if (c->rows == ROWS) c->left_out++;
  else c->rows++;
  if (at == ROWS) return;
  memmove(&c->row[at + 1], &c->row[at], (size_t)(c->rows - 1 - at) * sizeof *r);
  c->row[at] = *r;
}

/* ESS and R-hat of c->x, from chains; of superchains the nested one. */
static void show_chains(columns *c, shown *r)
{
  int64_t each = c->n / c->chains;
  double limit;
  diagnose_chains(c->st, c->x, c->chains, each, &r->ess, &r->rhat);
  if (c->superchains) diagnose_nested(c->st, c->x, c->chains, c->superchains, each, &r->rhat, &limit);
  diagnose(c->st, DIAGNOSE_ESS_TAIL, 0, c->x, c->chains, each, &r->tail);
  diagnose(c->st, DIAGNOSE_MCSE_MEAN, 0, c->x, c->chains, each, &r->mcse);
}

/* The statistics of c->x. */
static void show_column(columns *c, const char *name)
{
  if (c->rows == ROWS && !c->worst) { c->left_out++; return; }
  shown new = { .mean = 0 }, *r = &new;
  double m = 0, v = 0, q = 0;
  snprintf(r->name, NAME, "%s", name);
  for (int64_t i = 0; i < c->n; i++) {
    c->order[i] = i;
    m += c->w[i] * c->x[i];
    q += c->w[i] * c->w[i];
  }
  for (int64_t i = 0; i < c->n; i++) v += c->w[i] * (c->x[i] - m) * (c->x[i] - m);
  qsort_r(c->order, (size_t)c->n, sizeof *c->order, by_x, c->x);
  bool constant = c->x[c->order[0]] == c->x[c->order[c->n - 1]];     /* rounding would show */
  r->mean = constant ? c->x[0] : m;
  r->sd = constant ? 0 : sqrt(v);
  for (int k = 0; k < 3; k++) r->q[k] = show_quantile(c, k == 0 ? .05 : k == 1 ? .5 : .95);
  r->ess = 1 / q;
  if (c->chained) show_chains(c, r);
  double lo = show_quantile(c, .005), hi = show_quantile(c, .995);
  show_bars(c, r, lo, hi);
  show_keep(c, r);
}

/* The part `path` of every draw as numbers; false when some draw has none. */
static bool show_part(columns *c, const char *path)
{
  for (int64_t i = 0; i < c->n; i++) {
    norn_datum v = posterior_part(c->st, norn_array_at(c->st, c->d->args[POST_VALUES], i), path);
    if (v.tag == NORN_BOOL) c->x[i] = (double)v.i;
    else if (!norn_as_real(v, &c->x[i]) || isnan(c->x[i])) return false;
  }
  return true;
}

/* What is no number: its commonest values with their probabilities. */
static void show_kinds(columns *c, const char *path)
{
  enum { KINDS = 32, SHOWN = 4 };
  norn_datum kind[KINDS];
  double p[KINDS] = { 0 }, rest = 1;
  int n = 0;
  if (c->worst) return;
  if (c->rows == ROWS) { c->left_out++; return; }
  for (int64_t i = 0; i < c->n; i++) {
    norn_datum v = posterior_part(c->st, norn_array_at(c->st, c->d->args[POST_VALUES], i), path);
    int k = 0;
    while (k < n && !norn_equal(kind[k], v)) k++;
    if (k == KINDS) continue;
    if (k == n) kind[n++] = v;
    p[k] += c->w[i];
  }
  shown *r = &c->row[c->rows++];
  *r = (shown){ .mean = 0 };
  snprintf(r->name, NAME, "%s", path);
  for (int i = 0; i < SHOWN && i < n; i++) {
    int best = 0;
    for (int k = 1; k < n; k++) if (p[k] > p[best]) best = k;
    size_t at = strlen(r->kinds);
    const char *s = norn_show(c->st, kind[best], true, 24);
    snprintf(r->kinds + at, sizeof r->kinds - at - 16, "%s%s %.3g", i ? ", " : "", s ? s : "?",
             p[best]);
    rest -= p[best];
    p[best] = -1;
  }
  if (rest > 1e-9) snprintf(r->kinds + strlen(r->kinds), 16, ", ...");
}

static bool show_is_number(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || v.tag == NORN_BOOL || v.tag == NORN_BIG;
}

/* Rows for what lies under `path`, of which `v` is the first draw's. */
static void show_under(columns *c, norn_datum v, const char *path, int depth)
{
  char below[NAME];
  if (show_is_number(v)) {
    if (show_part(c, path)) show_column(c, *path ? path : "value");
    return;
  }
  if (*path && norn_record_size(v) < 0 && norn_array_length(v) < 0) { show_kinds(c, path); return; }
  if (depth == 4) return;
  int fields = norn_record_size(v);
  for (int i = 0; i < fields; i++) {
    norn_datum f;
    const char *name = norn_record_at(c->st, v, i, &f);
    snprintf(below, sizeof below, "%s%s%.40s", path, *path ? "." : "", name);
    show_under(c, f, below, depth + 1);
  }
  int64_t n = norn_array_length(v);
  for (int64_t i = 0; i < n; i++) {
    if (!c->worst && n > HEAD + TAIL + 1 && i >= HEAD && i < n - TAIL) { c->left_out++; continue; }
    snprintf(below, sizeof below, "%s[%lld]", path, (long long)i);
    show_under(c, norn_array_at(c->st, v, i), below, depth + 1);
  }
}

/* ---- probabilities of single values ---- */

typedef struct atom { norn_datum v; double p; int64_t at; } atom;

/* In place `i` of the n most probable so far, of which a value of probability p becomes one; ATOMS: none. */
static int atom_place(const atom *a, int n, double p)
{
  int i = n;
  while (i > 0 && a[i - 1].p < p) i--;
  return i;
}

static int by_order(const void *x, const void *y)
{
  const atom *a = x, *b = y;
  return a->at < b->at ? -1 : a->at > b->at;
}

/* The values to be shown, how many: all, or where there are too many the most probable, in natural order; of strings,
   whose order says little, the most probable first. */
static int show_chosen(columns *c, int64_t natoms, atom *a)
{
  norn_view order;
  int n = 0;
  norn_array_view(c->d->args[POST_ORDER], &order);
  for (int64_t k = 0; k < natoms; k++) {
    double lp = -HUGE_VAL;
    norn_datum v = norn_array_at(c->st, c->d->args[POST_VALUES], order.i[k]);
    c->d->row->logp(c->st, c->d, v, &lp);
    int i = atom_place(a, n, exp(lp));
    if (i == ATOMS || (natoms > ATOMS && v.tag != NORN_STR && exp(lp) < .005)) continue;
    if (n < ATOMS) n++;
    memmove(a + i + 1, a + i, (size_t)(n - 1 - i) * sizeof *a);
    a[i] = (atom){ v, exp(lp), k };
  }
  if (n > 0 && (natoms <= ATOMS || a[0].v.tag != NORN_STR)) qsort(a, (size_t)n, sizeof *a, by_order);
  return n;
}

static void show_atoms(columns *c, text *t, int64_t natoms)
{
  atom a[ATOMS];
  char label[ATOMS][80];
  int wide = 5, n = show_chosen(c, natoms, a);
  for (int i = 0; i < n; i++) {
    const char *s = norn_show(c->st, a[i].v, true, 60);
    snprintf(label[i], sizeof label[i], "%s", s ? s : "?");
    int w = utf8_width(label[i], strlen(label[i]));
    if (w > wide) wide = w;
  }
  text_printf(t, "\n  %-*s  probability", wide, "value");
  for (int i = 0; i < n; i++) {
    int pad = wide - utf8_width(label[i], strlen(label[i]));
    text_printf(t, "\n  %s%*s  %11.4g  ", label[i], pad, "", a[i].p);
    int eighths = (int)lround(a[i].p * 160);
    for (; eighths >= 8; eighths -= 8) text_puts(t, "\u2588");
    static const char *const part[8] = { "",       "\u258f", "\u258e", "\u258d",
                                         "\u258c", "\u258b", "\u258a", "\u2589" };
    text_puts(t, part[eighths]);
  }
  if (n < natoms) text_printf(t, "\n  ... %lld more values", (long long)(natoms - n));
}

/* Is there a real number in it? */
static bool show_has_real(norn_state *st, norn_datum v, int depth)
{
  norn_datum f;
  if (v.tag == NORN_REAL || v.tag == NORN_BIG) return true;
  if (depth == 4) return false;
  for (int i = 0; i < norn_record_size(v); i++) {
    norn_record_at(st, v, i, &f);
    if (show_has_real(st, f, depth + 1)) return true;
  }
  return norn_array_length(v) > 0 && show_has_real(st, norn_array_at(st, v, 0), depth + 1);
}

/* A table of probabilities suits few values and values that are no numbers. */
static bool show_wants_atoms(const columns *c, int64_t *natoms)
{
  norn_view order, v;
  if (!norn_array_view(c->d->args[POST_ORDER], &order)) return false;
  *natoms = order.n;
  norn_array_view(c->d->args[POST_VALUES], &v);
  if (!c->exact && show_has_real(c->st, norn_array_at(c->st, c->d->args[POST_VALUES], 0), 0))
    return false;
  if (v.elem == NORN_F64 && !(v.rank == 1 && order.n <= ATOMS)) return false;
  if (order.n <= ATOMS && !(v.elem == NORN_I64 && v.rank == 1 && order.n > 12)) return true;
  norn_datum first = norn_array_at(c->st, c->d->args[POST_VALUES], 0);
  return !show_is_number(first) && norn_record_size(first) < 0 && norn_array_length(first) < 0;
}

/* ---- the whole ---- */

static double show_info(const columns *c, const char *name)
{
  double x;
  return norn_as_real(norn_record_get(c->st, c->d->args[POST_INFO], name), &x) ? x : NAN;
}

static void show_head(const columns *c, text *t)
{
  const char *engine =
    norn_string_view(norn_record_get(c->st, c->d->args[POST_INFO], "engine"), NULL);
  double z = show_info(c, "log_evidence"), se = show_info(c, "evidence_se"),
         ess = show_info(c, "ess"), left = show_info(c, "left_over");
  text_printf(t, "posterior by %s: ", engine ? engine : "?");
  if (c->exact) text_printf(t, "exact, %lld value%s", (long long)c->n, c->n == 1 ? "" : "s");
  else text_printf(t, "%lld draw%s", (long long)c->n, c->n == 1 ? "" : "s");
  if (c->chains > 1) text_printf(t, " of %d chains", c->chains);
  if (c->superchains) text_printf(t, " in %d superchains", c->superchains);
  if (!c->exact && !isnan(ess)) text_printf(t, ", ESS %.4g", ess);
  if (!isnan(show_info(c, "rhat"))) text_printf(t, ", R-hat %.4g", show_info(c, "rhat"));
  if (!isnan(show_info(c, "nested_rhat"))) text_printf(t, ", nested R-hat %.4g", show_info(c, "nested_rhat"));
  if (!isnan(z)) text_printf(t, ", log evidence %.6g", z);
  if (!isnan(z) && !c->exact && !isnan(se)) text_printf(t, " +- %.2g", se);
  if (left > 0) text_printf(t, ", %.2g left unexplored", left);
}

/* A number of so many digits in a cell so wide, after a blank. */
static void show_cell(text *t, double x, int digits, int wide)
{
  char s[32];
  if (isnan(x)) { text_printf(t, " %*s", wide, "-"); return; }
  bool far = fabs(x) >= 1e5 || (x != 0 && fabs(x) < 1e-3);
  for (int d = digits; d > 0; d--)
    if (snprintf(s, sizeof s, far ? "%.*e" : "%.*g", far ? d / 2 : d, x) <= wide) break;
  text_printf(t, " %*s", wide, s);
}

static void show_titles(const columns *c, text *t, int wide)
{
  if (c->chained)
    text_printf(t, "\n  %*s %8s %7s %8s %8s %8s %8s %6s %6s %6s", wide, "", "mean", "mcse", "sd",
                "5%", "50%", "95%", "ESS", "tail", c->superchains ? "nR-hat" : "R-hat");
  else
    text_printf(t, "\n  %*s %9s %9s %9s %9s %9s%s", wide, "", "mean", "sd", "5%", "50%", "95%",
                c->exact ? "" : "     ESS");
}

static void show_numbers(const columns *c, text *t, const shown *r)
{
  int wide = c->chained ? 8 : 9;
  show_cell(t, r->mean, 4, wide);
  if (c->chained) show_cell(t, r->mcse, 2, 7);
  show_cell(t, r->sd, 4, wide);
  for (int k = 0; k < 3; k++) show_cell(t, r->q[k], 4, wide);
  if (c->exact) return;
  const double ess[2] = { r->ess, r->tail };
  for (int k = 0; k < (c->chained ? 2 : 1); k++)
    if (isnan(ess[k])) text_printf(t, " %*s", c->chained ? 6 : 7, "-");
    else text_printf(t, " %*.0f", c->chained ? 6 : 7, ess[k]);
  if (c->chained && isnan(r->rhat)) text_printf(t, " %6s", "-");
  else if (c->chained) text_printf(t, " %6.3f", r->rhat);
}

static void show_rows(const columns *c, text *t)
{
  int wide = 5;
  for (int i = 0; i < c->rows; i++) {
    int w = utf8_width(c->row[i].name, strlen(c->row[i].name));
    if (w > wide) wide = w;
  }
  if (c->rows) show_titles(c, t, wide);
  for (int i = 0; i < c->rows; i++) {
    const shown *r = &c->row[i];
    text_printf(t, "\n  %s%*s", r->name, wide - utf8_width(r->name, strlen(r->name)), "");
    if (*r->kinds) { text_printf(t, "  %s", r->kinds); continue; }
    show_numbers(c, t, r);
    if (*r->bars) text_printf(t, "  %s", r->bars);
  }
  if (c->left_out) text_printf(t, "\n  ... %lld more", (long long)c->left_out);
}

static void show_warnings(const columns *c, text *t)
{
  norn_datum w = norn_record_get(c->st, c->d->args[POST_INFO], "warnings");
  for (int64_t i = 0; i < norn_array_length(w); i++) {
    const char *s = norn_string_view(norn_array_at(c->st, w, i), NULL);
    if (s) text_printf(t, "\n  warning: %s", s);
  }
}

norn_status posterior_show(norn_state *st, const norn_dist *d, norn_datum *out)
{
  return posterior_summary(st, d, false, out);
}

norn_status posterior_summary(norn_state *st, const norn_dist *d, bool worst, norn_datum *out)
{
  columns *c = engine_get(st, sizeof *c);
  mem m;
  text t;
  int64_t natoms = 0;
  if (!c) return NORN_EMEMORY;
  mem_init(&m);
  text_init(&t, &m);
  c->st = st;
  c->d = d;
  c->n = norn_array_length(d->args[POST_VALUES]);
  norn_datum exact = norn_record_get(st, d->args[POST_INFO], "exact");
  c->exact = exact.tag == NORN_BOOL && exact.i;
  double chains = show_info(c, "chains");
  c->chains = chains >= 1 ? (int)chains : 1;
  c->chained = posterior_chains(st, d->args[POST_INFO], c->n) > 0;
  c->superchains = posterior_superchains(st, d->args[POST_INFO], c->n);
  c->worst = worst;
  size_t bytes = (size_t)c->n * sizeof(double);
  c->x = engine_get(st, bytes);
  c->w = engine_get(st, bytes);
  c->order = engine_get(st, (size_t)c->n * sizeof *c->order);
  bool good = c->x && c->w && c->order;
  if (good) {
    norn_view lw = { 0 };
    if (d->args[POST_LOGW].tag != NORN_UNIT) norn_array_view(d->args[POST_LOGW], &lw);
    for (int64_t i = 0; i < c->n; i++) c->w[i] = lw.n ? exp(lw.f[i]) : 1 / (double)c->n;
    show_head(c, &t);
    if (!worst && show_wants_atoms(c, &natoms)) show_atoms(c, &t, natoms);
    else show_under(c, norn_array_at(st, d->args[POST_VALUES], 0), "", 0);
    show_rows(c, &t);
    show_warnings(c, &t);
    *out = norn_string(st, t.s ? t.s : "", t.n);
    good = !t.failed && !norn_is_none(*out);
  }
  engine_put(st, c->x, bytes);
  engine_put(st, c->w, bytes);
  engine_put(st, c->order, (size_t)c->n * sizeof *c->order);
  engine_put(st, c, sizeof *c);
  text_free(&t);
  return good ? NORN_OK : norn_fail(st, NORN_EMEMORY, -1, "out of memory");
}
