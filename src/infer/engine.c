/* engine: what the built-in engines share: memory, options, columns, blame, densities of events. */
#include "base/number.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/net/net_answer.h"
#include "infer/net/net_train.h"
#include "infer/posterior.h"
#include "infer/trust/predict.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

norn_status engines_add(norn_state *st)
{
  const norn_engine *const all[] = { &engine_enumerate, &engine_rejection, &engine_importance,
                                     &engine_smc,       &engine_mh,        &engine_nuts,
                                     &engine_hmc,       &engine_chees,     &engine_optimize,
                                     &engine_laplace,   &engine_pathfinder, &engine_advi,     &engine_pgibbs,
                                     &engine_pmmh,      &engine_gibbs,     &engine_temper,
                                     &engine_slice,     &engine_forward,
                                     &engine_adaptive_importance, &engine_online, &engine_backward,
                                     &engine_amortized, &engine_log_q,     &engine_answer,    &engine_answers,
                                     &engine_more,      &engine_pointwise, &engine_simulate, &engine_train };
  static const archive_row rows[] = { { "atoms", &posterior_row_atoms },
                                      { "draws", &posterior_row_draws } };
  norn_status s = NORN_OK;
  archive_rows(st, rows, NORN_COUNT(rows));
  for (int i = 0; i < NORN_COUNT(all) && !s; i++) s = norn_add_engines(st, all[i], 1);
  for (int i = 0; i < engines_composed_n && !s; i++) s = norn_add_engines(st, engines_composed[i], 1);
  if (!s) s = archive_handles(st, &population_archived, 1);
  if (!s) s = archive_handles(st, &net_archived, 1);
  return s ? s : norn_add_engines(st, net_constructors, NET_KINDS);
}

/* ---- memory ---- */

void *engine_get(norn_state *st, size_t n)
{
  void *p = norn_alloc(st, NULL, 0, n ? n : 1);
  if (p) memset(p, 0, n ? n : 1);
  else norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return p;
}

void engine_put(norn_state *st, void *p, size_t n)
{
  if (p) norn_alloc(st, p, n ? n : 1, 0);
}

bool engine_room(norn_state *st, void *array_pointer, size_t *capacity, size_t want, size_t size)
{
  if (want <= *capacity) return true;
  void **array = array_pointer;
  size_t cap = *capacity ? *capacity : 8;
  while (cap < want) cap += cap / 2 + 8;
  void *p = norn_alloc(st, *array, *capacity * size, cap * size);
  if (!p) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return false;
  }
  memset((char *)p + *capacity * size, 0, (cap - *capacity) * size);
  *array = p;
  *capacity = cap;
  return true;
}

/* ---- errors ---- */

void engine_place(norn_state *st, norn_span span)
{
  norn_error_place(st, span);
}

norn_status engine_fail(norn_state *st, norn_status code, norn_span span, const char *format, ...)
{
  char msg[400];
  va_list ap;
  va_start(ap, format);
  vsnprintf(msg, sizeof msg, format, ap);
  va_end(ap);
  norn_fail(st, code, -1, "%s", msg);
  norn_error_place(st, span);
  return code;
}

/* ---- options ---- */

/* The literal that stands for an option which was not given. */
static norn_datum option_fallback(norn_state *st, const char *s)
{
  if (!s || !strcmp(s, "missing")) return norn_missing();
  if (!strcmp(s, "true") || !strcmp(s, "false")) return norn_bool(*s == 't');
  if (*s == '"') return norn_string(st, s + 1, strlen(s) - 2);
  if (strpbrk(s, ".eE")) return norn_real(number_first(s, NULL));
  return norn_int(strtoll(s, NULL, 10));
}

bool engine_option_given(norn_state *st, norn_datum engine, int i)
{
  const norn_datum *options;
  const norn_engine *e = norn_engine_view(engine, &options);
  return !norn_is_none(options[i]) && !norn_equal(options[i], option_fallback(st, e->options[i].fallback));
}

norn_datum engine_option(norn_state *st, norn_datum engine, int i)
{
  const norn_datum *options;
  const norn_engine *e = norn_engine_view(engine, &options);
  return norn_is_none(options[i]) ? option_fallback(st, e->options[i].fallback) : options[i];
}

static bool option_wrong(norn_state *st, const norn_engine *e, int i, const char *wanted,
                         norn_datum v)
{
  char what[120];
  const char *found = norn_describe(st, v, what, sizeof what);
  norn_fail(st, NORN_EDOMAIN, -1, "%s of %s must be %s, got %s", e->options[i].name, engine_called(e), wanted,
            found);
  return false;
}

bool engine_option_int(norn_state *st, norn_datum engine, int i, int64_t least, int64_t *out)
{
  const norn_engine *e = norn_engine_view(engine, NULL);
  norn_datum v = engine_option(st, engine, i);
  if (v.tag == NORN_REAL && v.d == floor(v.d) && fabs(v.d) < 1e15) v = norn_int((int64_t)v.d);
  if (v.tag != NORN_INT) return option_wrong(st, e, i, "an integer", v);
  if (v.i < least) {
    norn_fail(st, NORN_EDOMAIN, -1, "%s of %s must be at least %lld, got %lld", e->options[i].name,
              engine_called(e), (long long)least, (long long)v.i);
    return false;
  }
  *out = v.i;
  return true;
}

bool engine_option_real(norn_state *st, norn_datum engine, int i, double *out)
{
  norn_datum v = engine_option(st, engine, i);
  if (v.tag == NORN_MISSING) { *out = NAN; return true; }
  if (!norn_as_real(v, out) || isnan(*out))
    return option_wrong(st, norn_engine_view(engine, NULL), i, "a number", v);
  return true;
}

int option_at(norn_infer *inf, const char *name)
{
  const norn_engine *e = infer_engine(inf);
  for (int i = 0; i < e->noptions; i++)
    if (!strcmp(e->options[i].name, name)) return i;
  return -1;
}

norn_status option_must(norn_infer *inf, const char *option, const char *wanted, double x)
{
  return norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1, "%s of %s must be %s, got %g", option,
                   engine_called(infer_engine(inf)), wanted, x);
}

bool option_int(norn_infer *inf, int i, int64_t least, int64_t *out)
{
  return engine_option_int(inf->st, norn_get(inf->options), i, least, out);
}

bool option_real(norn_infer *inf, int i, double *out)
{
  return engine_option_real(inf->st, norn_get(inf->options), i, out);
}

bool option_choice(norn_infer *inf, int i, const char *const *names, int n, int *out)
{
  return engine_option_choice(inf->st, norn_get(inf->options), i, names, n, out);
}

bool engine_option_choice(norn_state *st, norn_datum engine, int i, const char *const *names, int n,
                          int *out)
{
  const norn_engine *e = norn_engine_view(engine, NULL);
  size_t len;
  norn_datum v = engine_option(st, engine, i);
  const char *s = norn_string_view(v, &len);
  if (!s) return option_wrong(st, e, i, "a string", v);
  char all[200] = "";
  for (int k = 0; k < n; k++) {
    if (strlen(names[k]) == len && !memcmp(names[k], s, len)) { *out = k; return true; }
    size_t at = strlen(all);
    snprintf(all + at, sizeof all - at, "%s\"%s\"",
             k == 0         ? ""
               : k == n - 1 ? " or "
                            : ", ",
             names[k]);
  }
  norn_fail(st, NORN_EDOMAIN, -1, "%s of %s must be %s, got \"%.40s\"", e->options[i].name, engine_called(e),
            all, s);
  return false;
}

/* ---- columns ---- */

static bool column_is_scalar(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || v.tag == NORN_BOOL;
}

/* An array of n units (0 or 1). */
static norn_datum column_units(norn_state *st, int64_t n)
{
  void *data;
  norn_datum a = norn_array(st, NORN_VALUES, 1, &n, &data);
  if (n && !norn_is_none(a)) *(norn_datum *)data = norn_unit();
  return a;
}

/* From words to an array on the heap. */
static bool column_spill(norn_state *st, column *c)
{
  c->skip = c->n > 0;
  norn_datum empty = column_units(st, (int64_t)c->skip);
  if (norn_is_none(empty) || !(c->heap = norn_keep(st, empty))) return false;
  for (size_t i = 0; i < c->n; i++) {
    norn_datum v;
    v.tag = c->tag;
    v.i = (int64_t)c->word[i];
    if (norn_push(c->heap, v)) return false;
  }
  engine_put(st, c->word, c->cap * sizeof *c->word);
  c->word = NULL;
  c->cap = 0;
  return true;
}

bool column_push(norn_state *st, column *c, norn_datum v)
{
  if (!c->heap) {
    if (!c->n && column_is_scalar(v)) c->tag = v.tag;
    if (NORN_LIKELY(v.tag == c->tag && c->tag)) {
      if (c->n == c->cap && !engine_room(st, &c->word, &c->cap, c->n + 1, sizeof *c->word))
        return false;
      c->word[c->n++] = (uint64_t)v.i;
      return true;
    }
    if (!column_spill(st, c)) return false;
  }
  if (norn_push(c->heap, v)) return false;
  c->n++;
  return true;
}

norn_datum column_at(norn_state *st, const column *c, size_t i)
{
  if (c->heap) return norn_array_at(st, norn_get(c->heap), (int64_t)(i + c->skip));
  norn_datum v;
  v.tag = c->tag;
  v.i = (int64_t)c->word[i];
  return v;
}

norn_datum column_array(norn_state *st, const column *c)
{
  norn_view w;
  if (c->heap) {
    norn_datum a = norn_get(c->heap);
    if (!norn_array_view(a, &w) || w.elem != NORN_VALUES || w.rank != 1) return a;
    return norn_array_pack(st, w.v + c->skip, w.n - (int64_t)c->skip);
  }
  int64_t n = (int64_t)c->n;
  void *data;
  norn_elem kind = c->tag == NORN_REAL ? NORN_F64
    : c->tag == NORN_INT               ? NORN_I64
    : c->tag == NORN_BOOL              ? NORN_B8
                                       : NORN_VALUES;
  norn_datum a = norn_array(st, kind, 1, &n, &data);
  if (norn_is_none(a)) return a;
  if (kind == NORN_B8) for (int64_t i = 0; i < n; i++) ((uint8_t *)data)[i] = c->word[i] != 0;
  else if (n) memcpy(data, c->word, c->n * sizeof *c->word);
  return a;
}

void column_clear(norn_state *st, column *c)
{
  norn_datum empty = c->heap && c->n ? column_units(st, 1) : norn_none();
  if (!norn_is_none(empty)) { norn_set(c->heap, empty); c->skip = 1; }
  else if (c->heap && c->n) column_free(st, c);
  c->n = 0;
  c->tag = 0;
}

void column_free(norn_state *st, column *c)
{
  engine_put(st, c->word, c->cap * sizeof *c->word);
  if (c->heap) norn_drop(c->heap);
  *c = (column){ 0 };
}

/* ---- blame ---- */

static bool same_span(norn_span s, norn_span t) { return t.start == s.start && t.end == s.end && t.file == s.file; }

static bool blame_count(norn_state *st, blame *b, norn_span s, uint64_t count)
{
  for (size_t i = 0; i < b->n; i++) {
    if (same_span(b->line[i].span, s)) {
      b->line[i].count += count;
      return true;
    }
  }
  if (!engine_room(st, &b->line, &b->cap, b->n + 1, sizeof *b->line)) return false;
  b->line[b->n].span = s;
  b->line[b->n++].count = count;
  return true;
}

void blame_add(norn_state *st, blame *b, norn_span s)
{
  const norn_err *err = norn_error(st);
  if (err && err->code) {
    if (!*b->why) {
      snprintf(b->why, sizeof b->why, "%.199s", err->text);
      b->where = s;
    }
    norn_clear(st);
  }
  if (!blame_count(st, b, s, 1)) norn_clear(st);
}

void blame_join(norn_state *st, blame *b, const blame *more)
{
  for (size_t i = 0; i < more->n; i++)
    if (!blame_count(st, b, more->line[i].span, more->line[i].count)) return;
  if (*b->why) return;
  memcpy(b->why, more->why, sizeof b->why);
  b->where = more->where;
}

norn_span blame_most(const blame *b, uint64_t *count)
{
  norn_span s = { 0, 0, 0 };
  uint64_t most = 0;
  for (size_t i = 0; i < b->n; i++)
    if (b->line[i].count > most) { most = b->line[i].count; s = b->line[i].span; }
  if (count) *count = most;
  return s;
}

void blame_free(norn_state *st, blame *b)
{
  engine_put(st, b->line, b->cap * sizeof *b->line);
  *b = (blame){ .n = 0 };
}

norn_step blame_all_dead(norn_state *st, const blame *b, const char *what)
{
  uint64_t n;
  char place[200];
  norn_span s = blame_most(b, &n);
  norn_span_text(st, s, place, sizeof place);
  engine_fail(st, NORN_EINFER, s, "every %s has weight 0%s%s", what, *place ? " after the observation at " : "", place);
  if (*b->why) norn_hint(st, "the first went wrong so: %s", b->why);
  else norn_hint(st, "no value that the model can draw explains this observation");
  return NORN_STEP_FAIL;
}

void blame_warn(norn_infer *inf, const blame *b, const char *what)
{
  uint64_t count = 0;
  for (size_t i = 0; *b->why && i < b->n; i++) if (same_span(b->line[i].span, b->where)) count = b->line[i].count;
  if (count)
    norn_infer_warn(inf, b->where, "%llu %s ended here with weight 0; the first: %s", (unsigned long long)count, what, b->why);
}

/* ---- events ---- */

bool engine_logp_slow(norn_state *st, const norn_dist *d, norn_datum x, norn_span span, double *out)
{
  if (!norn_dist_logp(st, d, x, out)) return true;
  engine_place(st, span);
  return false;
}

bool engine_sample(norn_state *st, norn_run *run, const norn_event *ev, bool use_proposal,
                   norn_datum *value, double *excess)
{
  norn_rng rng;
  const norn_dist *from = use_proposal && ev->proposal ? ev->proposal : ev->dist;
  *excess = 0;
  norn_run_rng(run, ev, &rng);
  if (norn_dist_sample(st, from, &rng, value)) { engine_place(st, ev->span); return false; }
  if (from == ev->dist) return true;
  double p, q;
  if (!engine_logp(st, ev->dist, *value, ev->span, &p) ||
      !engine_logp(st, ev->proposal, *value, ev->span, &q))
    return false;
  *excess = p - q;
  return true;
}

bool engine_is_discrete(const norn_dist *d)
{
  return norn_dist_flags(d) & NORN_DIST_DISCRETE && d->row->enumerate;
}

/* ---- weights ---- */

double log_add(double a, double b)
{
  double m = a > b ? a : b;
  if (m == -HUGE_VAL) return m;
  return m + log1p(exp((a > b ? b : a) - m));
}

double log_sum(const double *lw, size_t n)
{
  double m = -HUGE_VAL, s = 0;
  for (size_t i = 0; i < n; i++) if (lw[i] > m) m = lw[i];
  if (m == -HUGE_VAL) return m;
  for (size_t i = 0; i < n; i++) s += exp(lw[i] - m);
  return m + log(s);
}

double kish(const double *lw, size_t n)
{
  double m = -HUGE_VAL, s = 0, q = 0;
  for (size_t i = 0; i < n; i++) if (lw[i] > m) m = lw[i];
  if (m == -HUGE_VAL) return 0;
  for (size_t i = 0; i < n; i++) { double w = exp(lw[i] - m); s += w; q += w * w; }
  return s * s / q;
}
