/* engine_hmc: nuts (Hoffman and Gelman 2014, with the sampling and the criterion that Stan has) and
   hmc (paths of given length), on a model's density over unconstrained coordinates.

   Chains run side by side on a pool of threads, each thread with a density of its own.  A step of
   the engine lets every chain that is not over go on until it has done so many leapfrogs in all,
   waits for them, and gives their draws to the inference in the order of the leapfrogs at which
   they came (then of chains): the same for any number of threads, and however long a step is; it is
   made to take about SLICE seconds.  A density more means to record the program again: that is done
   when the chains have worked as long as it takes.  All that runs programs (recording, starts from
   the prior, draws) is done by the caller's thread while the others rest. */
#include "infer/gradient/chees.h"
#include "infer/device.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include "infer/gradient/start.h"
#include "infer/trust/verdict.h"
#include "infer/watch.h"
#include "num/rng.h"
#include <stdio.h>
#include <string.h>

#define SLICE 0.03                       /* seconds */
enum { POINTS_KEPT = 100 };

typedef struct sampler {
  shared *shared;                        /* hmc(shared = true): it does all the work (shared.c) */
  hmc_plan plan;
  int64_t chains, max_depth;
  double target, step;                   /* step: given, or 0 */
  int adapt_by, metric;
  device_wish wish;
  start_way start;
  norn_density *density, **clone;        /* clone (threads): of each thread, the first is density */
  int clones;
  double recorded, worked;               /* seconds to record; that chains have run */
  int64_t n;
  hmc_chain *chain, **going;             /* going (chains): those that are not over */
  int64_t ngoing;
  pool pool;
  pthread_t *thread;
  int threads;
  bool pooled;
  int64_t begun;                         /* chains that have a start */
  uint64_t clock, slice;                 /* leapfrogs until which chains run; of the next step */
  norn_infer *inf;
  norn_progress_part *part;              /* (chains) */
} sampler;

/* ---- options ---- */

static norn_status code(norn_infer *inf) { return norn_error(norn_infer_state(inf))->code; }

/* What both engines have. */
static norn_status options_common(norn_infer *inf, sampler *e)
{
  static const char *const ways[] = {"nutpie", "stan"};
  hmc_plan *p = &e->plan;
  if (!option_int(inf, option_at(inf, "draws"), 1, &p->draws) ||
      !option_int(inf, option_at(inf, "warmup"), 0, &p->warmup) ||
      !option_int(inf, option_at(inf, "chains"), 1, &e->chains) ||
      !option_int(inf, option_at(inf, "thin"), 1, &p->thin) ||
      !option_real(inf, option_at(inf, "target_accept"), &e->target) ||
      !option_choice(inf, option_at(inf, "metric"), metric_names, METRIC_COUNT, &e->metric) ||
      !option_choice(inf, option_at(inf, "adapt"), ways, 2, &e->adapt_by))
    return code(inf);
  if (!(e->target > 0 && e->target < 1))
    return option_must(inf, "target_accept", "between 0 and 1", e->target);
  if (e->chains > 100000) return option_must(inf, "chains", "at most 100000", (double)e->chains);
  if (e->metric == METRIC_LOW_RANK && e->adapt_by == ADAPT_STAN) {
    norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1,
              "metric = \"low_rank\" of %s is learnt from gradients: adapt = \"stan\" has no such "
              "metric", infer_engine(inf)->name);
    norn_hint(norn_infer_state(inf), "use adapt = \"nutpie\", or metric = \"dense\"");
    return NORN_EDOMAIN;
  }
  return start_option(inf, &e->start);
}

static norn_status option_jitter(norn_infer *inf, sampler *e, double *out, double otherwise)
{
  (void)e;
  if (!option_real(inf, option_at(inf, "jitter"), out)) return code(inf);
  if (*out != *out) *out = otherwise;
  return *out >= 0 && *out < 1 ? NORN_OK : option_must(inf, "jitter", "at least 0 and below 1", *out);
}

static norn_status nuts_options_read(norn_infer *inf, sampler *e)
{
  bool nutpie = e->adapt_by == ADAPT_NUTPIE && e->metric != METRIC_UNIT;
  if (!option_int(inf, option_at(inf, "max_depth"), 1, &e->max_depth)) return code(inf);
  if (e->max_depth > 30) return option_must(inf, "max_depth", "at most 30", (double)e->max_depth);
  return option_jitter(inf, e, &e->plan.jitter, nutpie ? 0.1 : 0);
}

static norn_status hmc_options_read(norn_infer *inf, sampler *e)
{
  if (!option_int(inf, option_at(inf, "steps"), 1, &e->plan.steps) ||
      !option_real(inf, option_at(inf, "step_size"), &e->step))
    return code(inf);
  if (e->plan.steps > 1000000)
    return option_must(inf, "steps", "at most 1000000", (double)e->plan.steps);
  if (e->step != e->step) e->step = 0;
  else if (!(e->step > 0 && e->step < HUGE_VAL)) return option_must(inf, "step_size", "above 0", e->step);
  e->max_depth = 0;
  return option_jitter(inf, e, &e->plan.length_jitter, 0.5);
}

/* Do the chains of hmc learn together? */
static bool wants_shared(norn_infer *inf)
{
  int i = option_at(inf, "shared");
  norn_datum v = i < 0 ? norn_none() : norn_infer_option(inf, i);
  return v.tag == NORN_BOOL && v.i;
}

static norn_status sampler_init(norn_infer *inf, void *self)
{
  sampler *e = self;
  bool nuts = infer_engine(inf) == &engine_nuts;
  if (wants_shared(inf)) {
    e->shared = engine_get(norn_infer_state(inf), sizeof *e->shared);
    return e->shared ? shared_hmc_init(inf, e->shared) : NORN_EMEMORY;
  }
  e->inf = inf;
  norn_status status = options_common(inf, e);
  if (!status) status = nuts ? nuts_options_read(inf, e) : hmc_options_read(inf, e);
  if (!status) status = device_read(inf, &e->wish);
  if (!status) status = infer_resume_chains(inf, &e->plan.stream, &e->plan.before, &e->plan.warmup);
  e->plan.points_max = e->plan.draws < POINTS_KEPT ? e->plan.draws : POINTS_KEPT;
  e->slice = 64;
  return status;
}

/* ---- making ---- */

static int threads_of(norn_state *st, const sampler *e)
{
  int n = norn_config_of(st)->threads;
  if (n <= 0) n = pool_processors();
  return n < e->chains ? n : (int)e->chains;
}

static bool chain_make(norn_state *st, sampler *e, int64_t c)
{
  hmc_chain *x = &e->chain[c];
  if (!chain_new(st, x, &e->plan, (int)c, e->n, e->max_depth)) return false;
  x->h.density = e->density;
  x->h.n = e->n;
  x->h.pool = &e->pool;
  int64_t most = e->n < 2 * FIT_ROWS ? e->n : 2 * FIT_ROWS;
  return metric_new(st, &x->h.m, (metric_kind)e->metric, e->n, most) &&
    adapt_new(st, &x->a, (adapt_kind)e->adapt_by, (metric_kind)e->metric, e->n, e->plan.warmup,
              e->target, e->step);
}

/* The first step records the program. */
static norn_step sampler_record(norn_infer *inf, sampler *e)
{
  norn_state *st = norn_infer_state(inf);
  double begun = infer_seconds();
  e->density = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), 0);
  if (!e->density) return NORN_STEP_FAIL;
  e->recorded = infer_seconds() - begun;
  e->n = norn_density_dim(e->density);
  if (e->n == 0) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0},
                "this model makes no choice that %s can move", infer_engine(inf)->name);
    if (norn_density_choices(e->density))
      norn_hint(st, "its choices are discrete: enumerate() gives their posterior exactly");
    return NORN_STEP_FAIL;
  }
  if (device_density(inf, &e->wish, e->density)) return NORN_STEP_FAIL;
  e->chain = engine_get(st, (size_t)e->chains * sizeof *e->chain);
  e->part = engine_get(st, (size_t)e->chains * sizeof *e->part);
  e->going = engine_get(st, (size_t)e->chains * sizeof *e->going);
  e->threads = threads_of(st, e);
  e->clone = engine_get(st, (size_t)e->threads * sizeof *e->clone);
  if (!e->chain || !e->part || !e->going || !e->clone) return NORN_STEP_FAIL;
  e->clone[e->clones++] = e->density;
  for (int64_t c = 0; c < e->chains; c++)
    if (!chain_make(st, e, c)) return NORN_STEP_FAIL;
  e->thread = engine_get(st, (size_t)e->threads * sizeof *e->thread);
  if (!e->thread) return NORN_STEP_FAIL;
  pool_start(&e->pool, e->thread, e->threads);
  e->pooled = true;
  return NORN_STEP_MORE;
}

/* ---- starts ---- */

static norn_step start_chain(norn_infer *inf, sampler *e, int64_t c)
{
  hmc_chain *x = &e->chain[c];
  start_point p = {.q = x->sample.q, .g = x->sample.g};
  norn_step s = start_find(inf, x->h.density, &e->start, chain_rng(x, 0), (uint32_t)c, &p);
  x->h.leapfrogs += (uint64_t)p.tries;
  x->sample.logp = p.logp;
  if (s != NORN_STEP_MORE) return s;
  adapt_start(&x->a, &x->h, &x->sample);
  x->h.step = e->step > 0 ? e->step : 1;
  x->started = e->step > 0;
  return NORN_STEP_MORE;
}

/* Where the run that goes on has left this chain: its point, step size and metric. */
static norn_step resume_chain(norn_infer *inf, sampler *e, int64_t c)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum post = infer_resumed(inf), state = posterior_info(st, post, "resume"),
             point = norn_array_at(st, norn_record_get(st, state, "points"), c),
             inverse = norn_array_at(st, posterior_info(st, post, "inverse_metric"), c),
             step = norn_array_at(st, posterior_info(st, post, "step_size"), c);
  hmc_chain *x = &e->chain[c];
  bool good = norn_array_length(point) == e->n && metric_take(st, &x->h.m, inverse) &&
    norn_as_real(step, &x->h.step) && x->h.step > 0;
  for (int64_t k = 0; k < e->n && good; k++) x->sample.q[k] = norn_elem_real(point, k);
  if (good) hmc_evaluate(&x->h, &x->sample);
  if (x->h.failed) return NORN_STEP_FAIL;
  if (!good || !start_finite(x->sample.logp, x->sample.g, e->n)) {
    norn_fail(st, NORN_EINFER, 0, "this posterior does not say where chain %lld was",
              (long long)c + 1);
    return NORN_STEP_FAIL;
  }
  x->started = true;
  return NORN_STEP_MORE;
}

/* ---- draws ---- */

static norn_status tell_draw(norn_infer *inf, sampler *e, hmc_chain *c)
{
  static const char *const names[STAT_COUNT] = {
    [STAT_LP] = "lp", [STAT_ACCEPTANCE] = "acceptance_rate", [STAT_STEP] = "step_size",
    [STAT_DEPTH] = "tree_depth", [STAT_LEAPS] = "n_steps", [STAT_DIVERGING] = "diverging",
    [STAT_ENERGY] = "energy"};
  int64_t k = c->told++;
  norn_rng g = chain_rng(c, e->plan.warmup + (k + 1) * e->plan.thin);
  norn_status status = NORN_OK;
  g.event = 300;
  norn_infer_chain(inf, c->index);
  for (int i = 0; i < STAT_COUNT && !status; i++)
    if (i != STAT_DEPTH || !e->plan.steps)
      status = norn_infer_stat(inf, names[i], c->stat[k * STAT_COUNT + i]);
  return status ? status : norn_density_draw(e->density, inf, c->q + k * e->n, 0, &g);
}

/* Gives the draws that came in the first `until` leapfrogs, in the order in which they did. */
static norn_status tell_draws(norn_infer *inf, sampler *e, uint64_t until)
{
  norn_status status = NORN_OK;
  while (!status) {
    hmc_chain *next = NULL;
    for (int64_t i = 0; i < e->chains; i++) {
      hmc_chain *c = &e->chain[i];
      if (c->told == c->kept || c->clock[c->told] > until) continue;
      if (!next || c->clock[c->told] < next->clock[next->told]) next = c;
    }
    if (!next) return NORN_OK;
    status = tell_draw(inf, e, next);
  }
  return status;
}

/* ---- steps ---- */

/* Job i has density i and every clones-th chain from the i-th on. */
static void job(void *of, int i)
{
  sampler *e = of;
  for (int64_t k = i; k < e->ngoing; k += e->clones) {
    e->going[k]->h.density = e->clone[i];
    chain_advance(e->going[k], e->clock);
  }
}

/* Who goes on, with how many densities. */
static norn_status prepare(sampler *e)
{
  e->ngoing = 0;
  for (int64_t c = 0; c < e->chains; c++)
    if (!chain_over(&e->chain[c])) e->going[e->ngoing++] = &e->chain[c];
  if (e->clones == e->threads || e->clones >= e->ngoing || e->worked < e->recorded * e->clones)
    return NORN_OK;
  norn_density *d = norn_density_clone(e->density);
  if (!d) return norn_error(norn_infer_state(e->inf))->code;
  e->clone[e->clones++] = d;
  return NORN_OK;
}

static bool still_wanted(void *of)
{
  sampler *e = of;
  return !norn_poll(norn_infer_state(e->inf));
}

/* An error for what went wrong in a chain; NORN_STEP_MORE: nothing did. */
static norn_step chain_trouble(norn_infer *inf, const hmc_chain *c)
{
  norn_state *st = norn_infer_state(inf);
  if (c->h.failed || c->h.stopped) return NORN_STEP_FAIL;
  if (c->search == STEP_LARGE) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "the step size of chain %d grew past 1e7: "
                "the log density does not fall off, so the posterior is improper", c->index + 1);
    norn_hint(st, "give each choice a proper prior, and look for choices that nothing depends on");
    return NORN_STEP_FAIL;
  }
  if (c->search == STEP_SMALL) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "no step size of chain %d is small enough: "
                "the density may not be continuous", c->index + 1);
    norn_hint(st, "gradients need densities without jumps: mh() and smc() run others");
    return NORN_STEP_FAIL;
  }
  return NORN_STEP_MORE;
}

static norn_step sampler_advance(norn_infer *inf, sampler *e)
{
  bool over = true;
  if (prepare(e)) return NORN_STEP_FAIL;
  double begun = infer_seconds();
  e->clock += e->slice;
  pool_run(&e->pool, e->clones, job, still_wanted, e);
  double spent = infer_seconds() - begun;
  e->worked += spent;
  if (spent < 0.5 * SLICE) e->slice *= 2;
  else if (spent > 2 * SLICE && e->slice > 1) e->slice /= 2;
  norn_step s = NORN_STEP_MORE;
  for (int64_t c = 0; c < e->chains; c++) {
    over = over && chain_over(&e->chain[c]);
    if (s == NORN_STEP_MORE) s = chain_trouble(inf, &e->chain[c]);
  }
  /* when it ends, for whatever reason, what there is is given */
  uint64_t until = over || s != NORN_STEP_MORE ? UINT64_MAX : e->clock;
  if (tell_draws(inf, e, until)) return NORN_STEP_FAIL;
  return s != NORN_STEP_MORE ? s : over ? NORN_STEP_DONE : NORN_STEP_MORE;
}

static norn_step sampler_step(norn_infer *inf, void *self)
{
  sampler *e = self;
  if (e->shared) return shared_step(inf, e->shared);
  if (!e->pooled) return sampler_record(inf, e);
  if (e->begun == e->chains) return sampler_advance(inf, e);
  bool fresh = norn_is_none(infer_resumed(inf));
  return fresh ? start_chain(inf, e, e->begun++) : resume_chain(inf, e, e->begun++);
}

/* ---- the end ---- */

/* Energy Bayesian fraction of missing information of a chain. */
static double bfmi_of(const hmc_chain *c)
{
  double var = 0, jump = 0;
  verdict_energy(c->stat + STAT_ENERGY, c->kept, STAT_COUNT, &var, &jump);
  return var > 0 ? jump / var : (double)NAN;
}

/* What is counted over chains. */
typedef struct counted {
  double least_bfmi, accept;
  int64_t divergent, deep, stuck, leapfrogs;
} counted;

static const double *draw_at(const void *of, int64_t c, int64_t k)
{
  const sampler *e = of;
  return e->chain[c].q + k * e->n;
}

static void count_up(const sampler *e, counted *v)
{
  double sum = 0, n = 0;
  v->least_bfmi = HUGE_VAL;
  for (int64_t i = 0; i < e->chains; i++) {
    const hmc_chain *c = &e->chain[i];
    v->divergent += c->divergent;
    v->deep += c->deep;
    v->stuck += c->moved == 0;
    v->leapfrogs += (int64_t)c->h.leapfrogs;
    v->least_bfmi = fmin(v->least_bfmi, bfmi_of(c));
    sum += c->accept_sum;
    n += c->accepts;
  }
  v->accept = sum / n;
}

/* Indices of the draws whose transition diverged. */
static void note_divergent(norn_infer *inf, const sampler *e)
{
  int64_t n = 0, draws = e->plan.draws;
  void *to;
  for (int64_t c = 0; c < e->chains; c++)
    for (int64_t k = 0; k < draws; k++) n += e->chain[c].stat[k * STAT_COUNT + STAT_DIVERGING] != 0;
  norn_datum v = norn_array(norn_infer_state(inf), NORN_I64, 1, &n, &to);
  if (norn_is_none(v)) return;
  int64_t *at = to;
  for (int64_t c = 0; c < e->chains; c++)
    for (int64_t k = 0; k < draws; k++)
      if (e->chain[c].stat[k * STAT_COUNT + STAT_DIVERGING] != 0) *at++ = c * draws + k;
  norn_infer_note(inf, "divergent", v);
}

/* Where trajectories diverged, in unconstrained coordinates, by name: { mu: [...], ... }. */
static void note_points(norn_infer *inf, const sampler *e)
{
  enum { MOST = 512 };
  norn_state *st = norn_infer_state(inf);
  int64_t m = 0, n = e->n < MOST ? e->n : MOST;
  for (int64_t c = 0; c < e->chains; c++) m += e->chain[c].points;
  char (*name)[160] = engine_get(st, (size_t)n * sizeof *name);
  const char **names = engine_get(st, (size_t)n * sizeof *names);
  norn_datum *v = engine_get(st, (size_t)n * sizeof *v);
  bool good = name && names && v;
  for (int64_t i = 0; i < n && good; i++) {
    double *to;
    int64_t k = 0;
    names[i] = norn_density_name(e->density, i, name[i], sizeof name[i]);
    good = !norn_is_none(v[i] = infer_reals(st, 1, &m, &to));
    for (int64_t c = 0; c < e->chains && good; c++)
      for (int64_t j = 0; j < e->chain[c].points; j++) to[k++] = e->chain[c].point[j * e->n + i];
  }
  if (good) norn_infer_note(inf, "divergent_points", norn_record(st, (int)n, names, v));
  engine_put(st, name, (size_t)n * sizeof *name);
  engine_put(st, names, (size_t)n * sizeof *names);
  engine_put(st, v, (size_t)n * sizeof *v);
}

/* What more() goes on from. */
static norn_status note_resume(norn_infer *inf, const sampler *e)
{
  static const char *const names[] = {"stream", "transitions", "points"};
  norn_state *st = norn_infer_state(inf);
  const hmc_plan *p = &e->plan;
  int64_t dims[] = {e->chains, e->n};
  double *to;
  norn_datum points = infer_reals(st, 2, dims, &to);
  if (norn_is_none(points)) return NORN_EMEMORY;
  for (int64_t c = 0; c < e->chains; c++)
    memcpy(to + c * e->n, e->chain[c].sample.q, (size_t)e->n * sizeof *to);
  norn_datum v[] = {norn_int((int64_t)p->stream),
                    norn_int(p->before + p->warmup + p->draws * p->thin), points};
  return infer_note_must(inf, "resume", norn_record(st, 3, names, v));
}

static norn_status note_chains(norn_infer *inf, const sampler *e)
{
  norn_state *st = norn_infer_state(inf);
  double *step, *bfmi;
  norn_datum steps = infer_reals(st, 1, &e->chains, &step), bfmis = infer_reals(st, 1, &e->chains, &bfmi);
  norn_datum *inverse = engine_get(st, (size_t)e->chains * sizeof *inverse);
  bool good = inverse && !norn_is_none(steps) && !norn_is_none(bfmis);
  for (int64_t c = 0; c < e->chains && good; c++) {
    step[c] = e->chain[c].h.step;
    bfmi[c] = bfmi_of(&e->chain[c]);
    good = !norn_is_none(inverse[c] = metric_value(st, &e->chain[c].h.m));
  }
  if (good) norn_infer_note(inf, "bfmi", bfmis);
  good = good && !infer_note_must(inf, "step_size", steps) &&
    !infer_note_must(inf, "inverse_metric", norn_array_pack(st, inverse, e->chains));
  engine_put(st, inverse, (size_t)e->chains * sizeof *inverse);
  return good ? NORN_OK : NORN_EMEMORY;
}

/* What the density itself says. */
static norn_status watch_draws(norn_infer *inf, const sampler *e)
{
  norn_state *st = norn_infer_state(inf);
  const double **q = engine_get(st, (size_t)e->chains * sizeof *q);
  if (!q) return NORN_EMEMORY;
  for (int64_t c = 0; c < e->chains; c++) q[c] = e->chain[c].q;
  watched w = {inf, e->density, q, e->chains, e->plan.draws, e->n};
  norn_status status = watch_tails(&w);
  if (!status) status = watch_jumps(&w);
  engine_put(st, q, (size_t)e->chains * sizeof *q);
  return status;
}

static void warn(norn_infer *inf, const sampler *e, const counted *v, const verdict *w)
{
  norn_span nowhere = {0, 0, 0};
  double total = (double)(e->chains * e->plan.draws * e->plan.thin);
  if (v->stuck == e->chains) {
    norn_infer_warn(inf, nowhere, "none of %lld chains ever moved: each is one value, %lld times; "
                    "the step size %.3g is too large, or the density jumps", (long long)e->chains,
                    (long long)e->plan.draws, e->chain[0].h.step);
    return;
  }
  if (v->divergent)
    norn_infer_warn(inf, nowhere, "%lld of %.0f transitions diverged: the posterior has places "
                    "that the sampler can't enter, so the draws may be biased; write scales times "
                    "standardised choices (non-centred), or %s",
                    (long long)v->divergent, total,
                    e->step > 0 ? "give a smaller step_size" : "raise target_accept");
  if (v->deep)
    norn_infer_warn(inf, nowhere, "%lld of %.0f trajectories reached max_depth %lld: the draws are "
                    "right but slow; look at scales and correlations, or raise max_depth",
                    (long long)v->deep, total, (long long)e->max_depth);
  if (v->least_bfmi < 0.3)
    norn_infer_warn(inf, nowhere, "E-BFMI is %.2g, below 0.3: the chains explore energies slowly "
                    "(heavy tails, or a scale that its members depend on); reparameterise, or "
                    "tighten priors", v->least_bfmi);
  if (v->stuck)
    norn_infer_warn(inf, nowhere, "%lld of %lld chains never moved", (long long)v->stuck,
                    (long long)e->chains);
  if (v->accept < 0.1)
    norn_infer_warn(inf, nowhere, "the mean acceptance is %.2g: the step size is too large",
                    v->accept);
  if (w->rhat > 1.01)
    norn_infer_warn(inf, nowhere, "R-hat is %.5g, above 1.01: the chains do not agree; take more "
                    "draws, or look for several modes", w->rhat);
  if (w->ess < 100 * (double)e->chains)
    norn_infer_warn(inf, nowhere, "the effective sample size of %s is %.3g of %.0f draws: take "
                    "more draws", w->worst, w->ess, (double)(e->chains * w->draws));
}

static norn_status sampler_finish(norn_infer *inf, void *self)
{
  sampler *e = self;
  if (e->shared) return shared_finish(inf, e->shared);
  counted v = {.accept = 0};
  verdict w;
  verdict_draws d = {.density = e->density, .chains = e->chains, .draws = e->plan.draws, .n = e->n,
                     .at = draw_at, .of = e};
  norn_status status = verdict_of(inf, &d, &w);
  count_up(e, &v);
  if (!status) status = note_chains(inf, e);
  if (status) return status;
  infer_chains(inf, (int)e->chains, e->plan.draws);
  if ((status = density_note_summed(e->density, inf))) return status;
  norn_infer_note(inf, "acceptance", norn_real(v.accept));
  norn_infer_note(inf, "divergences", norn_int(v.divergent));
  note_divergent(inf, e);
  if (v.divergent) note_points(inf, e);
  if (!e->plan.steps) norn_infer_note(inf, "max_depth_reached", norn_int(v.deep));
  norn_infer_note(inf, "leapfrogs", norn_int(v.leapfrogs));
  norn_infer_note(inf, "ess", w.ess < HUGE_VAL ? norn_real(w.ess) : norn_missing());
  if (w.rhat > 0) norn_infer_note(inf, "rhat", norn_real(w.rhat));
  if ((status = watch_draws(inf, e))) return status;
  warn(inf, e, &v, &w);
  return note_resume(inf, e);
}

static void sampler_progress(norn_infer *inf, void *self, norn_progress *p)
{
  sampler *e = self;
  double each = (double)(e->plan.warmup + e->plan.draws * e->plan.thin), step = 0;
  int64_t divergent = 0, warming = 0;
  if (e->shared) { shared_progress(inf, e->shared, p); return; }
  p->total = each * (double)e->chains;
  for (int64_t c = 0; c < e->chains && e->pooled; c++) {
    const hmc_chain *x = &e->chain[c];
    norn_progress_part *part = &e->part[c];
    bool warm = x->at < e->plan.warmup;
    part->done = (double)x->at;
    part->total = each;
    if (warm) snprintf(part->state, sizeof part->state, "step %.2g, warm-up", x->h.step);
    else snprintf(part->state, sizeof part->state, "step %.2g, %lld diverged", x->h.step,
                  (long long)x->divergent);
    p->done += (double)x->at;
    divergent += x->divergent;
    warming += warm;
    step += x->h.step / (double)e->chains;
  }
  snprintf(p->state, sizeof p->state, "%sstep %.3g, %lld divergences", warming ? "warm-up, " : "",
           step, (long long)divergent);
  if (!e->pooled) return;
  p->nparts = (int)e->chains;
  p->parts = e->part;
}

static void sampler_free(norn_infer *inf, void *self)
{
  sampler *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->shared) {
    shared_free(inf, e->shared);
    engine_put(st, e->shared, sizeof *e->shared);
    return;
  }
  if (e->pooled) pool_end(&e->pool);
  for (int64_t c = 0; c < e->chains && e->chain; c++) chain_free(st, &e->chain[c]);
  for (int i = 1; i < e->clones; i++) norn_density_free(e->clone[i]);
  engine_put(st, e->chain, (size_t)e->chains * sizeof *e->chain);
  engine_put(st, e->part, (size_t)e->chains * sizeof *e->part);
  engine_put(st, e->going, (size_t)e->chains * sizeof *e->going);
  engine_put(st, e->clone, (size_t)e->threads * sizeof *e->clone);
  if (e->thread) engine_put(st, e->thread, (size_t)e->threads * sizeof *e->thread);
  norn_density_free(e->density);
  start_free(&e->start);
}

/* A step that recorded the program records it again. */
static norn_status sampler_archive(norn_infer *inf, void *self, norn_archive *a)
{
  sampler *e = self;
  if (e->shared) return shared_archive(inf, e->shared, a);
  bool pooled = e->pooled;
  if (!norn_archive_bool(a, &pooled) || !pooled) return norn_archive_status(a);
  if (norn_archive_reading(a) && sampler_record(inf, e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  int64_t n = e->n;
  norn_archive_i64(a, &n);
  norn_archive_i64(a, &e->begun);
  norn_archive_u64(a, &e->clock);
  norn_archive_u64(a, &e->slice);
  if (n != e->n || e->begun < 0 || e->begun > e->chains)
    norn_archive_fail(a, "its density has another dimension");
  for (int64_t c = 0; c < e->chains; c++)
    if (!chain_archive(a, &e->chain[c])) break;
  return norn_archive_status(a);
}

/* ---- tables ---- */

#define COMMON_FIRST \
  {"draws", "1000", "draws kept of each chain"}, \
  {"warmup", "1000", "transitions before, in which step size and metric are learnt"}, \
  {"chains", "4", "chains, each from a start of its own, on as many threads as there are"}, \
  {"target_accept", "0.8", "the mean acceptance that the step size is adapted to"}
#define COMMON_LAST \
  {"metric", "\"diag\"", "\"diag\", \"dense\", \"low_rank\" (a diagonal and the directions in " \
                         "which it fails), all learnt, or \"unit\""}, \
  {"adapt", "\"nutpie\"", "\"nutpie\": the metric comes from draws and gradients; \"stan\": from " \
                          "draws in windows"}, \
  {"init", "\"random\"", "\"random\" (uniform on (-2, 2), unconstrained), \"prior\", " \
                         "\"pathfinder\" (a normal near a mode), or a record of values by " \
                         "address"}, \
  {"thin", "1", "transitions from draw to draw"}

static const norn_option nuts_options[] = {
  COMMON_FIRST,
  {"max_depth", "10", "at most 2^max_depth - 1 steps a transition"},
  COMMON_LAST,
  {"jitter", "missing", "the step size of each transition varies by this part; missing: 0.1 with "
                        "nutpie's metric, 0 with Stan's"},
  DEVICE_OPTIONS,
};

static const norn_option hmc_options[] = {
  COMMON_FIRST,
  {"steps", "32", "leapfrog steps a transition"},
  COMMON_LAST,
  {"jitter", "0.5", "the number of steps of each transition varies by this part; 0: fixed"},
  {"step_size", "missing", "of a leapfrog step; missing: adapted"},
  {"shared", "false", "true: chains learn one step size and one metric together and run in lanes, as those "
                      "of chees; for thousands of them"},
  DEVICE_OPTIONS,
};

const norn_engine engine_nuts = {
  .version = NORN_ENGINE_VERSION, .name = "nuts",
  .doc = "The no-U-turn sampler: Hamiltonian Monte Carlo that finds the length of its "
         "trajectories; for models whose choices are all continuous.",
  .options = nuts_options, .noptions = NORN_COUNT(nuts_options), .size = sizeof(sampler),
  .init = sampler_init, .step = sampler_step, .finish = sampler_finish,
  .progress = sampler_progress, .free = sampler_free, .archive = sampler_archive};

const norn_engine engine_hmc = {
  .version = NORN_ENGINE_VERSION, .name = "hmc",
  .doc = "Hamiltonian Monte Carlo with paths of given length, fixed or jittered; nuts needs no "
         "such length.",
  .options = hmc_options, .noptions = NORN_COUNT(hmc_options), .size = sizeof(sampler),
  .init = sampler_init, .step = sampler_step, .finish = sampler_finish,
  .progress = sampler_progress, .free = sampler_free, .archive = sampler_archive};
