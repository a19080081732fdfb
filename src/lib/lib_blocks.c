/* lib_blocks.c: the part of `import inference` that runs no programs: what a population tells, and
   populations that are other particles or weights of one (infer/particles/population.h). */
#include "lib/lib.h"
#include "infer/particles/population.h"
#include <stdlib.h>
#include <string.h>

static norn_status failed(norn_state *st) { return lib_failed(st); }

/* By weight, sum 1; equal where all are dead.  NONE: error set. */
static norn_datum probabilities(norn_state *st, population *p, double **out)
{
  norn_datum v;
  int64_t n = (int64_t)p->s.n;
  double top, sum = swarm_weights(&p->s, &top), *x = lib_reals(st, n, &v);
  if (!x) return norn_none();
  for (int64_t i = 0; i < n; i++) x[i] = sum > 0 ? p->s.w[i] / sum : 1 / (double)n;
  if (out) *out = x;
  return v;
}

static norn_status f_info(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const name[] = { "particles", "observations", "finished", "log_evidence", "ess",
                                      "temperature", "dead" };
  population *p = population_want(st, args[0], false);
  (void)n;
  if (!p) return failed(st);
  size_t dead = 0;
  for (size_t i = 0; i < p->s.n; i++) dead += !(p->s.logw[i] > -HUGE_VAL);
  norn_datum v[] = { norn_int((int64_t)p->s.n), norn_int(p->s.barrier),
                     norn_bool(p->s.barrier && !population_running(p)),
                     norn_real(population_evidence(p)), norn_real(kish(p->s.logw, p->s.n)),
                     norn_real(p->s.beta), norn_int((int64_t)dead) };
  return lib_give(st, norn_record(st, NORN_COUNT(name), name, v), out);
}

static norn_status f_log_weights(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  norn_datum v;
  (void)n;
  double *x = p ? lib_reals(st, (int64_t)p->s.n, &v) : NULL;
  if (!x) return failed(st);
  for (size_t i = 0; i < p->s.n; i++) x[i] = p->s.logw[i] + p->log_z;
  *out = v;
  return NORN_OK;
}

static norn_status f_probabilities(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  (void)n;
  return p ? lib_give(st, probabilities(st, p, NULL), out) : failed(st);
}

static norn_status f_values(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  norn_datum keep, *v = p ? lib_values(st, (int64_t)p->s.n, &keep) : NULL;
  (void)n;
  if (!v) return failed(st);
  for (size_t i = 0; i < p->s.n; i++)
    v[i] = p->s.ended[i] == SWARM_NONE ? norn_missing() : column_at(st, &p->s.result, p->s.ended[i]);
  return lib_give(st, norn_array_pack(st, v, (int64_t)p->s.n), out);
}

static norn_status f_model(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], true);
  (void)n;
  if (!p) return failed(st);
  *out = norn_get(p->model);
  return NORN_OK;
}

static norn_status f_asked(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], true);
  (void)n;
  if (!p) return failed(st);
  *out = p->s.asked ? norn_get(p->s.asked) : norn_unit();
  return NORN_OK;
}

/* ---- systematic resampling, as one choice ---- */

static int rising(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The places in [0, 1] at which the ancestors change when u of the points (i + u) / n goes through it:
   0, the fractions of n times the cumulative weights, 1.  n + 1 of them. */
static double *jumps(norn_state *st, population *p, const double *w, norn_datum *keep)
{
  int64_t n = (int64_t)p->s.n;
  double *x = lib_reals(st, n + 1, keep), sum = 0;
  if (!x) return NULL;
  x[0] = 0;
  for (int64_t i = 1; i < n; i++) {
    sum += (double)n * w[i - 1];
    x[i] = sum - floor(sum);
  }
  x[n] = 1;
  qsort(x, (size_t)n, sizeof *x, rising);
  return x;
}

static norn_status f_pieces(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  double *w, *x;
  norn_datum keep, v;
  (void)n;
  if (!p || norn_is_none(probabilities(st, p, &w)) || !(x = jumps(st, p, w, &keep))) return failed(st);
  double *length = lib_reals(st, (int64_t)p->s.n, &v);
  if (!length) return failed(st);
  for (size_t i = 0; i < p->s.n; i++) length[i] = x[i + 1] - x[i];
  *out = v;
  return NORN_OK;
}

static norn_status f_systematic(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  double *w, *x;
  norn_datum keep;
  int64_t k;
  void *to;
  (void)n;
  if (!p || !norn_want_int(st, args, 1, "the piece", &k)) return failed(st);
  int64_t N = (int64_t)p->s.n;
  if (k < 0 || k >= N) return norn_fail(st, NORN_EDOMAIN, 1, "there are %lld pieces", (long long)N);
  if (norn_is_none(probabilities(st, p, &w)) || !(x = jumps(st, p, w, &keep))) return failed(st);
  norn_datum v = norn_array(st, NORN_I64, 1, &N, &to);
  if (norn_is_none(v)) return failed(st);
  double u = (x[k] + x[k + 1]) / 2, below = (double)N * w[0];
  int64_t j = 0;
  for (int64_t i = 0; i < N; i++) {
    while ((double)i + u >= below && j + 1 < N) below += (double)N * w[++j];
    ((int64_t *)to)[i] = j;
  }
  *out = v;
  return NORN_OK;
}

/* ---- other populations of one ---- */

static norn_status f_select(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  norn_view a;
  (void)n;
  if (!p || !norn_want_array(st, args, 1, "the ancestors", &a)) return failed(st);
  if (a.elem != NORN_I64 || a.n < 1)
    return norn_fail(st, NORN_ETYPE, 1, "the ancestors must be an array of integers");
  uint32_t *from = engine_get(st, (size_t)a.n * sizeof *from);
  bool good = from != NULL;
  for (int64_t i = 0; i < a.n && good; i++) {
    good = a.i[i] >= 0 && a.i[i] < (int64_t)p->s.n;
    if (good) from[i] = (uint32_t)a.i[i];
    else norn_fail(st, NORN_EDOMAIN, 1, "ancestor %lld of %zu particles", (long long)a.i[i], p->s.n);
  }
  population *q = good ? population_select(p, from, (size_t)a.n) : NULL;
  engine_put(st, from, (size_t)a.n * sizeof *from);
  return q ? lib_give(st, population_give(st, q), out) : failed(st);
}

static norn_status f_temper(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  population *p = population_want(st, args[0], false);
  double b;
  (void)n;
  if (!p || !norn_want_real(st, args, 1, "the inverse temperature", &b)) return failed(st);
  if (!(b >= 0 && b <= 1))
    return norn_fail(st, NORN_EDOMAIN, 1, "the inverse temperature must be in [0, 1], got %g", b);
  population *q = population_fork(p, NULL, p->s.n, NULL);
  if (!q) return failed(st);
  for (size_t i = 0; i < q->s.n; i++)
    if (q->s.logw[i] > -HUGE_VAL) q->s.logw[i] += (b - q->s.beta) * q->s.lik[i];
  q->s.beta = b;
  return lib_give(st, population_give(st, q), out);
}

/* An engine value whose evidence pmmh may take, as far as can be seen before it has run. */
static norn_status f_unbiased_engine(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const norn_datum *options;
  const norn_engine *e = norn_engine_view(args[0], &options);
  char what[120];
  (void)n;
  *out = args[0];
  if (!e)
    return norn_fail(st, NORN_ETYPE, 0, "pmmh needs an engine that estimates evidence, got %s",
                     norn_describe(st, args[0], what, sizeof what));
  bool adapts = e == &engine_temper;
  if (e == &engine_anneal) {
    adapts = true;
    for (int i = 0; i < e->noptions; i++)
      if (!strcmp(e->options[i].name, "schedule") && norn_array_length(options[i]) > 0) adapts = false;
  }
  if (!adapts) return NORN_OK;
  norn_fail(st, NORN_EINFER, 0, "pmmh needs an unbiased evidence, and that of %s is not: its temperatures are "
            "chosen by the particles", e->name);
  norn_hint(st, "a fixed schedule is unbiased: anneal(schedule = [0, 0.1, 0.5, 1])");
  return NORN_EINFER;
}

/* The log evidence of a posterior, if its exponential is unbiased. */
static norn_status f_unbiased(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  (void)n;
  if (!lib_is_posterior(args[0]) || !norn_posterior_view(st, args[0], &post))
    return norn_fail(st, NORN_ETYPE, 0, "a posterior is needed");
  norn_datum why = norn_record_get(st, post.info, "biased_evidence");
  if (!norn_is_none(why)) {
    norn_fail(st, NORN_EINFER, 0, "pmmh needs an unbiased evidence, and that of %s is not: %s", post.engine,
              norn_string_view(why, NULL));
    norn_hint(st, "a fixed schedule is unbiased: anneal(schedule = [0, 0.1, 0.5, 1])");
    return NORN_EINFER;
  }
  if (isnan(post.log_evidence))
    return norn_fail(st, NORN_EINFER, 0, "pmmh needs an engine that estimates evidence, not %s", post.engine);
  *out = norn_real(post.log_evidence);
  return NORN_OK;
}

#define FN(name, params, fn, doc) { name, params, doc, fn, 0, NULL }
#define BLOCK "A part of `import inference`; see norn doc inference."

static const norn_native natives[] = {
  FN("_pop_info", "pop", f_info, BLOCK),
  FN("_pop_log_weights", "pop", f_log_weights, BLOCK),
  FN("_pop_probabilities", "pop", f_probabilities, BLOCK),
  FN("_pop_values", "pop", f_values, BLOCK),
  FN("_pop_model", "pop", f_model, BLOCK),
  FN("_pop_asked", "pop", f_asked, BLOCK),
  FN("_pop_pieces", "pop", f_pieces, BLOCK),
  FN("_pop_systematic", "pop, piece", f_systematic, BLOCK),
  FN("_pop_select", "pop, ancestors", f_select, BLOCK),
  FN("_pop_temper", "pop, b", f_temper, BLOCK),
  FN("_unbiased_engine", "engine", f_unbiased_engine, BLOCK),
  FN("_unbiased_evidence", "post", f_unbiased, BLOCK),
};

norn_status lib_blocks_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
