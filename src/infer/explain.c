/* explain: how a model will be run (norn.h, norn_explain), as a text:

       engine: nuts(), as every choice is continuous and derivatives are known
       choices
         mu       real
         tau      real, above 0: exp(u)
         theta    8 reals: location + scale u
       summed out: 200 discrete choices, z[0] .. z[199], at most 3 paths side by side
       recorded: 1234 operations in 14 instructions, 3 x from here
         12  observe y[j] ~ normal(theta[j], sigma[j])
             normal: 8 terms
       many chains on a GPU: whole transitions of chees() and hmc(shared = true)

   Where an observation meets conjugate choices, delay_explain says what delayed sampling would marginalise.
   Where smc is chosen, some particles are run to see whether they stay in lanes; where mh, a trace is recorded.

   The parts come from the compiled program (graph.h, program_parts), each with the place in the text
   from which its first node was recorded. */
#include "infer/gradient/chees.h"
#include "infer/particles/delay.h"
#include "infer/gradient/density.h"
#include "infer/device.h"
#include "infer/infer.h"
#include "infer/chains/mh.h"
#include "infer/posterior.h"
#include "infer/particles/ready.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME = 24, SHOWN = 56 };

/* ---- particles ---- */

enum { TRIED = 200 };
#define TRY_SECONDS 1.0

/* A word of what a posterior notes about how it was made. */
static const char *noted(norn_state *st, norn_datum post, const char *key)
{
  const char *s = norn_string_view(posterior_info(st, post, key), NULL);
  return s ? s : "";
}

static void explain_noted(norn_state *st, norn_datum post, text *t)
{
  norn_datum parted = posterior_info(st, post, "lane_splits"), left = posterior_info(st, post, "lanes_alone");
  int64_t splits = parted.tag == NORN_INT ? parted.i : 0, alone = left.tag == NORN_INT ? left.i : 0;
  text_printf(t, "particles: in %s (%d tried: they parted %lld time%s", noted(st, post, "executor"), TRIED,
              (long long)splits, splits == 1 ? "" : "s");
  if (alone) text_printf(t, ", and went alone %lld times", (long long)alone);
  text_puts(t, ")\n");
  if (alone) text_printf(t, "  alone at %s\n", noted(st, post, "alone_for"));
  bool whole = !splits && !alone;
  text_printf(t, "  generated code (executor = \"generated\", or auto where it pays): %s\n",
              whole ? "from each observation to the next" : "up to where they part or go alone");
  if (whole) text_puts(t, "  on a GPU: the same (device = \"gpu\"), if each family and function has a form there\n");
  text_printf(t, "  many such filters (infer of an array of models): %s\n",
              whole ? "side by side on threads, or, with device = \"gpu\", with a block for each"
                    : "one after the other, as their particles do not stay together");
}

/* Rows that get ready for many at once: no lanes. */
static bool explain_ready(norn_infer *inf, text *t)
{
  char where[160];
  if (!ready_met(inf)) return false;
  text_printf(t, "particles: a run for each, all of which go to the next choice or observation of a %s before one of "
              "them makes it: what they need is found at once (first at %s)\n", inf->ready.name,
              norn_span_text(norn_infer_state(inf), inf->ready.where, where, sizeof where));
  return true;
}

/* How smc would run its particles: some of them are. */
static void explain_particles(norn_state *st, norn_datum model, text *t)
{
  norn_datum options[] = {norn_int(TRIED), norn_cstring(st, "systematic"), norn_real(0.5),
                          norn_cstring(st, "value"), norn_cstring(st, "lanes"), norn_bool(false)};
  norn_datum engine = norn_engine_new(st, &engine_smc, options, NORN_COUNT(options));
  norn_infer *inf = norn_is_none(engine) ? NULL : norn_infer_new(st, model, engine);
  norn_step step = inf && !explain_ready(inf, t) ? NORN_STEP_MORE : NORN_STEP_FAIL;
  double start = infer_seconds();
  while (step == NORN_STEP_MORE && infer_seconds() - start < TRY_SECONDS) step = norn_infer_step(inf);
  if (step == NORN_STEP_DONE) {
    norn_datum post = norn_infer_result(inf);
    if (!norn_is_none(post)) explain_noted(st, post, t);
  }
  if (inf) norn_infer_free(inf);
  norn_clear(st);                                /* what fails here, infer will say */
}

/* ---- the rule ---- */

static bool explain_engine(norn_state *st, const norn_ref *model, text *t)
{
  norn_config *c = norn_config_of(st);
  bool quiet = c->quiet;
  norn_step step = NORN_STEP_MORE;
  norn_infer *inf = norn_infer_new(st, norn_get(model), norn_unit());
  if (!inf) return false;
  c->quiet = true;
  while (step == NORN_STEP_MORE && infer_engine(inf) == &engine_auto) step = norn_infer_step(inf);
  c->quiet = quiet;
  if (step != NORN_STEP_FAIL)
    text_printf(t, "engine: %s(%s), as %s\n", infer_engine(inf)->name, inf->with ? inf->with : "",
                inf->why);
  bool good = step != NORN_STEP_FAIL && (infer_engine(inf) != &engine_mh || mh_explain(inf, t));
  c->quiet = true;
  if (good && infer_engine(inf) == &engine_smc && !inf->with) explain_particles(st, norn_get(model), t);
  c->quiet = quiet;
  if (good) delay_explain(inf, t);
  norn_infer_free(inf);
  return good;
}

/* ---- choices ---- */

static const char *support_text(const norn_support *s, bool shifted, char *b, size_t n)
{
  static const char *const words[] = {
    [NORN_SUPPORT_SIMPLEX] = "simplex", [NORN_SUPPORT_ORDERED] = "ordered",
    [NORN_SUPPORT_POSITIVE_ORDERED] = "positive and ordered",
    [NORN_SUPPORT_UNIT_VECTOR] = "unit vector", [NORN_SUPPORT_SUM_TO_ZERO] = "sum to zero",
    [NORN_SUPPORT_CORR] = "correlation matrix", [NORN_SUPPORT_COV] = "covariance matrix",
    [NORN_SUPPORT_CHOLESKY_CORR] = "Cholesky factor of a correlation matrix",
    [NORN_SUPPORT_CHOLESKY_COV] = "Cholesky factor of a covariance matrix",
  };
  bool below = s->lower_leaf != -1, above = s->upper_leaf != -1;
  char low[40] = "a bound that moves", high[40] = "a bound that moves";
  if (!below) snprintf(low, sizeof low, "%.6g", s->lower);
  if (!above) snprintf(high, sizeof high, "%.6g", s->upper);
  switch (s->kind) {
  case NORN_SUPPORT_REAL: snprintf(b, n, shifted ? "real: location + scale u" : "real"); break;
  case NORN_SUPPORT_LOWER: snprintf(b, n, "above %s: exp(u)", low); break;
  case NORN_SUPPORT_UPPER: snprintf(b, n, "below %s: -exp(u)", high); break;
  case NORN_SUPPORT_INTERVAL: snprintf(b, n, "%s to %s: inv_logit(u)", low, high); break;
  default: snprintf(b, n, "%s", s->kind < NORN_COUNT(words) && words[s->kind] ? words[s->kind] : "");
  }
  return b;
}

static void explain_choices(norn_density *d, text *t)
{
  char name[120], b[160];
  int64_t n = (int64_t)d->nchoice;
  text_printf(t, "choices: %lld, over %lld coordinates\n", (long long)n, (long long)d->dim);
  for (int64_t i = 0; i < n; i++) {
    const choice *c = &d->choice[i];
    if (n > 40 && i == 30) {
      text_printf(t, "  ... and %lld more\n", (long long)(n - i));
      break;
    }
    char shape[60] = "";
    for (int k = 0; k < c->rank; k++)
      snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%lld", k ? " x " : "",
               (long long)c->dims[k]);
    text_printf(t, "  %-*s %-8s %s\n", NAME, norn_addr_name(d->st, c->addr, name, sizeof name), shape,
                support_text(&c->s, c->shifted, b, sizeof b));
  }
}

static void explain_latents(norn_density *d, text *t)
{
  char first[120], last[120];
  const lattice *l = &d->tape[0].l;
  if (!d->nlatent) return;
  norn_addr_name(d->st, d->latent[0].addr, first, sizeof first);
  norn_addr_name(d->st, d->latent[d->nlatent - 1].addr, last, sizeof last);
  text_printf(t, "summed out: %zu discrete choice%s, %s%s%s, at most %u path%s side by side\n",
              d->nlatent, d->nlatent == 1 ? "" : "s", first, d->nlatent == 1 ? "" : " .. ",
              d->nlatent == 1 ? "" : last, l->widest, l->widest == 1 ? "" : "s");
}

/* ---- the program, by line ---- */

typedef struct part_at { program_part part; uint32_t line; size_t order; } part_at;
typedef struct parts { norn_state *st; part_at *v; size_t n, c; bool failed; } parts;

static void part_gather(void *user, const program_part *part)
{
  parts *p = user;
  size_t n;
  if (p->failed || !engine_room(p->st, &p->v, &p->c, p->n + 1, sizeof *p->v)) {
    p->failed = true;
    return;
  }
  part_at *at = &p->v[p->n];
  *at = (part_at){*part, 0, p->n};
  p->n++;
  if (!norn_span_line(p->st, part->span, &n, &at->line)) at->line = 0;
}

static int by_line(const void *a, const void *b)
{
  const part_at *x = a, *y = b;
  if (x->part.span.file != y->part.span.file) return x->part.span.file < y->part.span.file ? -1 : 1;
  if (x->line != y->line) return x->line < y->line ? -1 : 1;
  if (x->part.kind != y->part.kind) return x->part.kind < y->part.kind ? -1 : 1;
  if (x->part.kind == PART_ARRAY && x->part.n != y->part.n) return x->part.n < y->part.n ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

static void put_lower(text *t, const char *s)
{
  for (; *s; s++) text_putc(t, *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s);
}

/* Arrays of equal length as one list; single operations by their number. */
static size_t put_arrays(text *t, const part_at *v, size_t n)
{
  uint32_t length = v[0].part.n;
  size_t k = 0;
  while (k < n && v[k].part.kind == PART_ARRAY && v[k].part.n == length) k++;
  if (length == 1 && k > 6) {
    text_printf(t, "        %zu operations one by one: no two are alike\n", k);
    return k;
  }
  if (length == 1) text_puts(t, "        numbers:");
  else text_printf(t, "        arrays of %u:", length);
  for (size_t i = 0; i < k; i++) {
    text_putc(t, ' ');
    put_lower(t, v[i].part.name);
  }
  text_putc(t, '\n');
  return k;
}

static size_t put_part(text *t, const part_at *v, size_t n)
{
  const program_part *p = &v[0].part;
  size_t k = 1;
  switch (p->kind) {
  case PART_ARRAY: return put_arrays(t, v, n);
  case PART_LINEAR:
    text_printf(t, "        %u sums of %u products, row by row of the data\n", p->n, p->steps);
    break;
  case PART_SCAN:
    if (p->n == 1) text_printf(t, "        %u operations, one after the other\n", p->steps);
    else text_printf(t, "        a scan of %u steps of %u operation%s%s\n", p->n, p->steps,
                     p->steps == 1 ? "" : "s",
                     p->affine ? "" : ", whose step is not affine in its carry");
    break;
  case PART_CALL:
    while (k < n && v[k].part.kind == PART_CALL && v[k].part.name == p->name) k++;
    text_printf(t, "        %s: %zu call%s, %u numbers to %u\n", p->name, k, k == 1 ? "" : "s", p->n,
                p->steps);
    break;
  case PART_DENSITY: text_printf(t, "        %s: %u densities\n", p->name, p->n); break;
  case PART_TERM: text_printf(t, "        %s: %u term%s\n", p->name, p->n, p->n == 1 ? "" : "s"); break;
  case PART_GUARD:
    while (k < n && v[k].part.kind == PART_GUARD) k++;
    text_printf(t, "        %zu branch%s: recorded anew where %s goes the other way\n", k,
                k == 1 ? "" : "es", k == 1 ? "it" : "one");
    break;
  case PART_BRANCH:
    while (k < n && v[k].part.kind == PART_BRANCH) k++;
    text_printf(t, "        %zu branch%s: both ways are computed, and gradients are those of the way taken\n", k,
                k == 1 ? "" : "es");
    break;
  }
  return k;
}

static void put_line(norn_state *st, text *t, const part_at *p)
{
  size_t n;
  uint32_t line;
  const char *s = norn_span_line(st, p->part.span, &n, &line);
  if (!s) text_puts(t, "  by the engine (maps to R^n, sums)\n");
  else text_printf(t, "  %4u  %.*s%s\n", line, (int)(n > SHOWN ? SHOWN : n), s, n > SHOWN ? " ..." : "");
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of an evaluation at u (dim; then room for the gradient), the least of some. The point moves
   a little each time: the solution of an equation is kept for a point that is asked for again. */
static double time_at(norn_density *d, double *u)
{
  double least = HUGE_VAL, logp;
  for (int i = 0; i < 5; i++) {
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int k = 0; k < 4; k++) {
      if (d->dim) u[0] += k % 2 ? -1e-6 : 1e-6;
      norn_density_eval(d, u, &logp, u + d->dim);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    if (s < least) least = s;
  }
  return least / 4;
}

/* Microseconds of an evaluation with its gradient, the median over draws from the prior (some may lie
   where there is less to do, or another recording serves, which what is explained should not see: so a clone
   is timed). */
static double gradient_time(norn_density *of)
{
  norn_density *d = norn_density_clone(of);
  enum { SPOTS = 9 };
  double s[SPOTS], *u = d ? engine_get(d->st, (size_t)(2 * d->dim + 1) * sizeof *u) : NULL;
  norn_rng r = {.stream = 1};
  if (!u) return norn_density_free(d), (double)NAN;
  for (int i = 0; i < SPOTS; i++) {
    r.lane = (uint32_t)i;
    if (norn_density_prior(d, &r, u)) {
      norn_clear(d->st);
      memset(u, 0, (size_t)d->dim * sizeof *u);
    }
    s[i] = time_at(d, u);
  }
  engine_put(d->st, u, (size_t)(2 * d->dim + 1) * sizeof *u);
  norn_density_free(d);
  qsort(s, SPOTS, sizeof *s, by_size);
  return s[SPOTS / 2] * 1e6;
}

static bool explain_program(norn_density *d, text *t)
{
  norn_state *st = d->st;
  const tape *k = &d->tape[0];
  parts p = {.st = st};
  bool good = program_parts(k->p, k->g, part_gather, &p) && !p.failed;
  size_t fused = 0;
  for (size_t i = 0; i < p.n; i++) fused += p.v[i].part.fused;
  double us = gradient_time(d);
  if (good && p.n) qsort(p.v, p.n, sizeof *p.v, by_line);
  text_printf(t, "recorded: %zu operations as %zu instructions (%zu fused), %.3g us a gradient here\n",
              k->g->nnode, p.n, fused, us);
  for (size_t i = 0; good && i < p.n;) {
    size_t end = i;
    while (end < p.n && p.v[end].line == p.v[i].line &&
           p.v[end].part.span.file == p.v[i].part.span.file)
      end++;
    put_line(st, t, &p.v[i]);
    while (i < end) i += put_part(t, p.v + i, end - i);
  }
  engine_put(st, p.v, p.c * sizeof *p.v);
  return good;
}

/* ---- all of it ---- */

static bool explain_all(norn_state *st, norn_datum model, text *t)
{
  char why[900];
  norn_ref *kept = norn_keep(st, model);
  bool good = kept && explain_engine(st, kept, t);
  norn_density *d = good ? norn_density_new(st, norn_get(kept), 1, NORN_DENSITY_TRACE) : NULL;
  if (good && !d) {
    norn_error_text(st, norn_error(st), why, sizeof why);
    text_printf(t, "no gradient:\n%s", why);
    if (t->n && t->s[t->n - 1] != '\n') text_putc(t, '\n');
    norn_clear(st);
  } else if (good) {
    explain_choices(d, t);
    explain_latents(d, t);
    good = explain_program(d, t) && device_explain(d, t);
    if (good) shared_explain(d, t);
  }
  norn_density_free(d);
  if (kept) norn_drop(kept);
  return good;
}

/* Of an array: what is of all of them, and the first. */
static bool explain_any(norn_state *st, norn_datum model, text *t)
{
  if (norn_array_length(model) < 0) return explain_all(st, model, t);
  norn_ref *models = norn_keep(st, model);
  bool good = models && many_explain(st, models, t);
  if (good && norn_array_length(norn_get(models)) > 0) good = explain_all(st, norn_array_at(st, norn_get(models), 0), t);
  if (models) norn_drop(models);
  return good;
}

norn_datum norn_explain(norn_state *st, norn_datum model)
{
  mem m;
  text t;
  norn_datum out = norn_none();
  mem_init(&m);
  text_init(&t, &m);
  if (explain_any(st, model, &t)) {
    if (t.failed) norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    else out = norn_string(st, t.s, t.n);
  }
  text_free(&t);
  return out;
}
