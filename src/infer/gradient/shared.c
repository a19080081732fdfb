/* shared: one inference of many chains that share step size, metric and length of trajectories (chees.h).

   A step of the engine does transitions for SLICE seconds; draws are given after each transition that is
   kept, in order of chains.  So nothing depends on how long a step is, or on how many threads there are. */
#include "infer/gradient/chees.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include "num/rng.h"
#include <stdio.h>
#include <string.h>

#define SLICE 0.03                       /* seconds */
enum { TRIALS = 2000, APPROACH = 32 };     /* trials of a step size; most steps in the approach */

int64_t shared_transitions(const shared_plan *p) { return p->warmup + p->draws * p->thin; }

static norn_rng rng_of(const shared *e, int64_t chain, int64_t iteration)
{
  return (norn_rng){.stream = e->plan.stream, .lane = (uint32_t)chain,
                    .iter = (uint32_t)(iteration ? iteration + e->plan.before : 0)};
}

/* ---- making ---- */

norn_status shared_init(norn_infer *inf, shared *e)
{
  return infer_resume_chains(inf, &e->plan.stream, &e->plan.before, &e->plan.warmup);
}

static bool shared_room(norn_state *st, shared *e)
{
  size_t rows = (size_t)(e->plan.draws * e->plan.chains);
  e->q = engine_get(st, rows * (size_t)e->n * sizeof *e->q);
  e->stat = engine_get(st, rows * CHAINS_STATS * sizeof *e->stat);
  e->used = engine_get(st, (size_t)(2 * e->plan.draws) * sizeof *e->used);
  return e->q && e->stat && e->used;
}

/* The first step records the program. */
static norn_step shared_record(norn_infer *inf, shared *e)
{
  norn_state *st = norn_infer_state(inf);
  shared_plan *p = &e->plan;
  double begun = infer_seconds();
  e->density = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), 0);
  if (!e->density) return NORN_STEP_FAIL;
  e->recorded = e->spent[PHASE_RECORD] = infer_seconds() - begun;
  e->n = norn_density_dim(e->density);
  if (e->n == 0) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "this model makes no choice that %s can move",
                infer_engine(inf)->name);
    if (norn_density_choices(e->density))
      norn_hint(st, "its choices are discrete: enumerate() gives their posterior exactly");
    return NORN_STEP_FAIL;
  }
  begun = infer_seconds();
  if (!shared_room(st, e) || !shared_adapt_new(st, &e->a, e->n) || shared_executor(inf, e))
    return NORN_STEP_FAIL;
  infer_expect(inf, (double)p->draws * (double)p->chains, e->density->nchoice);
  e->spent[PHASE_COMPILE] = infer_seconds() - begun;
  e->a.warmup = p->warmup;
  e->a.max_steps = p->max_steps;
  e->a.learns_step = !(p->step > 0) && p->warmup > 0;
  e->a.learns_length = !p->steps && !(p->length > 0) && p->warmup > 0;
  e->a.learns_metric = p->metric == METRIC_DIAG && p->warmup > 0;
  e->a.step = p->step > 0 ? p->step : 1;
  e->a.length = p->length > 0 ? p->length : 1;
  return NORN_STEP_MORE;
}

/* ---- starts ---- */

static norn_step no_start(norn_infer *inf, int64_t chain)
{
  engine_fail(norn_infer_state(inf), NORN_EINFER, (norn_span){0, 0, 0},
              "the density is not finite where chain %lld starts", (long long)chain + 1);
  return NORN_STEP_FAIL;
}

/* All chains to q (chains, n). */
static norn_step put(norn_infer *inf, shared *e, const double *q)
{
  norn_state *st = norn_infer_state(inf);
  size_t m = (size_t)e->plan.chains;
  bool *good = engine_get(st, m * sizeof *good);
  norn_step s = good && !e->run.ops->put(e->run.self, q, good) ? NORN_STEP_MORE : NORN_STEP_FAIL;
  for (int64_t c = 0; c < e->plan.chains && s == NORN_STEP_MORE; c++)
    if (!good[c]) s = no_start(inf, c);
  engine_put(st, good, m * sizeof *good);
  return s;
}

/* A start for each group. */
static norn_step starts(norn_infer *inf, shared *e, double *q)
{
  norn_state *st = norn_infer_state(inf);
  int64_t n = e->n;
  norn_step s = NORN_STEP_MORE;
  double *g = engine_get(st, (size_t)n * sizeof *g);
  if (!g) return NORN_STEP_FAIL;
  for (int64_t c = 0, last = -1; c < e->plan.chains && s == NORN_STEP_MORE; c++) {
    int64_t group = shared_group(&e->plan, c);
    start_point p = {.q = q + c * n, .g = g};
    if (group == last) memcpy(p.q, p.q - n, (size_t)n * sizeof *q);
    else s = start_find(inf, e->density, &e->plan.start, rng_of(e, group, 0), (uint32_t)group, &p);
    last = group;
  }
  engine_put(st, g, (size_t)n * sizeof *g);
  return s;
}

/* Where the run that goes on has left the chains, and what it had learnt. */
static norn_step resume(norn_infer *inf, shared *e, double *q)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum post = infer_resumed(inf), state = posterior_info(st, post, "resume"),
             points = norn_record_get(st, state, "points"),
             inverse = posterior_info(st, post, "inverse_metric");
  bool good = norn_as_real(posterior_info(st, post, "step_size"), &e->a.step) && e->a.step > 0 &&
              norn_as_real(norn_record_get(st, state, "length"), &e->a.length) &&
              norn_array_length(points) == e->plan.chains && norn_array_length(inverse) == e->n;
  for (int64_t i = 0; i < e->n && good; i++) e->a.scale[i] = sqrt(norn_elem_real(inverse, i));
  for (int64_t c = 0; c < e->plan.chains && good; c++) {
    norn_datum point = norn_array_at(st, points, c);
    good = norn_array_length(point) == e->n;
    for (int64_t i = 0; i < e->n && good; i++) q[c * e->n + i] = norn_elem_real(point, i);
  }
  if (good) return NORN_STEP_MORE;
  infer_resume_lost(st);
  return NORN_STEP_FAIL;
}

/* The metric of the chains as they are. */
static norn_status learn_metric(norn_infer *inf, shared *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t size = (size_t)(4 * e->n) * sizeof(double);
  double *m = engine_get(st, size);
  norn_status s = m ? e->run.ops->moments(e->run.self, m) : NORN_EMEMORY;
  if (!s) shared_adapt_moments(&e->a, m);
  engine_put(st, m, size);
  return s ? s : e->run.ops->metric(e->run.self, e->a.scale);
}

static norn_step begin(norn_infer *inf, shared *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t size = (size_t)(e->plan.chains * e->n) * sizeof(double);
  double *q = engine_get(st, size);
  bool fresh = norn_is_none(infer_resumed(inf));
  norn_step s = !q ? NORN_STEP_FAIL : fresh ? starts(inf, e, q) : resume(inf, e, q);
  if (s == NORN_STEP_MORE) s = put(inf, e, q);
  engine_put(st, q, size);
  if (s != NORN_STEP_MORE) return s;
  norn_status status = e->a.learns_metric ? learn_metric(inf, e)
                                          : e->run.ops->metric(e->run.self, e->a.scale);
  if (status) return NORN_STEP_FAIL;
  e->begun = true;
  e->searched = !fresh || e->plan.step > 0;
  if (e->searched && fresh) shared_adapt_start(&e->a, e->plan.target);
  return NORN_STEP_MORE;
}

/* ---- the first step size ---- */

static norn_step search_failed(norn_infer *inf, bool large)
{
  norn_state *st = norn_infer_state(inf);
  norn_span nowhere = {0, 0, 0};
  if (large) {
    engine_fail(st, NORN_EINFER, nowhere, "the step size grew past 1e7: the log density does not fall "
                "off, so the posterior is improper");
    norn_hint(st, "give each choice a proper prior, and look for choices that nothing depends on");
  } else {
    engine_fail(st, NORN_EINFER, nowhere, "no step size is small enough: the density may not be "
                "continuous");
    norn_hint(st, "gradients need densities without jumps: mh() and smc() run others");
  }
  return NORN_STEP_FAIL;
}

/* Doubles or halves it until the chains' mean acceptance of one step crosses 0.8 (Stan's rule). */
static norn_step search(norn_infer *inf, shared *e)
{
  bool grow = false;
  for (int i = 0; i < TRIALS; i++) {
    chains_ask ask = {.iter = 0x80000000u + (uint32_t)(TRIALS * (e->at > 0) + i), .steps = 1,
                      .step = e->a.step, .trial = true, .least = 1};
    chains_told told;
    if (e->run.ops->transition(e->run.self, &ask, &told)) return NORN_STEP_FAIL;
    e->leapfrogs += e->plan.chains;
    bool good = told.accept > 0.8;
    if (i == 0) grow = good;
    if (good != grow) break;
    e->a.step *= grow ? 2 : 0.5;
    if (e->a.step > 1e7 || e->a.step < 1e-300) return search_failed(inf, grow);
  }
  shared_adapt_start(&e->a, e->plan.target);
  e->searched = true;
  return NORN_STEP_MORE;
}

/* ---- transitions ---- */

/* The number of leapfrogs of the transition that comes: a part of the length by Halton's sequence. */
static int64_t steps_of(const shared *e)
{
  const shared_plan *p = &e->plan;
  double h = shared_halton((uint64_t)(p->before + e->at + 1));
  if (e->at < e->a.approach) return (int64_t)ceil(h * fmin((double)p->max_steps, APPROACH));
  double steps = p->steps ? rint((double)p->steps * (1 + p->jitter * (2 * h - 1)))
                          : ceil((1 - p->jitter + p->jitter * h) * e->a.length / e->a.step);
  return !(steps >= 1) ? 1 : steps > (double)p->max_steps ? p->max_steps : (int64_t)steps;
}

static norn_status keep(norn_infer *inf, shared *e, const chains_ask *ask)
{
  int64_t k = e->kept, m = e->plan.chains;
  e->used[2 * k] = ask->step;
  e->used[2 * k + 1] = (double)ask->steps;
  norn_status s = e->run.ops->read(e->run.self, e->q + k * m * e->n, e->stat + k * m * CHAINS_STATS);
  if (!s && shared_verifies(e)) s = shared_verify_draws(inf, e, k);
  if (!s) e->kept++;
  return s;
}

/* The chains are where they belong: step size and length begin anew. */
static void approached(shared *e)
{
  e->searched = !e->a.learns_step;
  shared_adapt_start(&e->a, e->plan.target);
}

static norn_status go_on(norn_infer *inf, shared *e)
{
  const shared_plan *p = &e->plan;
  bool warm = e->at < p->warmup;
  chains_ask ask = {.iter = (uint32_t)(e->at + 1 + p->before), .steps = steps_of(e), .step = e->a.step,
                    .learn = warm, .least = shared_adapt_least(&e->a, p->chains)};
  chains_told told;
  norn_status s = e->run.ops->transition(e->run.self, &ask, &told);
  if (s) return s;
  e->leapfrogs += ask.steps * p->chains;
  if (warm) {
    e->warm_divergent += told.diverged;
    shared_adapt_update(&e->a, &told, ask.step * (double)ask.steps);
    if (e->a.learns_metric && e->a.at <= e->a.metric_end) s = learn_metric(inf, e);
    if (e->at + 1 == e->a.approach) approached(e);
    if (e->at + 1 == p->warmup) shared_adapt_finish(&e->a);
  } else {
    e->divergent += told.diverged;
    e->moved += told.moved;
    e->accept_sum += told.accept;
    e->accepts++;
    if ((e->at - p->warmup + 1) % p->thin == 0) s = keep(inf, e, &ask);
  }
  if (!s) e->at++;
  return s;
}

/* ---- draws ---- */

static norn_status tell_draw(norn_infer *inf, shared *e, int64_t k, int64_t c)
{
  static const char *const names[CHAINS_STATS] = {
    [CHAINS_LP] = "lp", [CHAINS_ACCEPT] = "acceptance_rate", [CHAINS_DIVERGED] = "diverging",
    [CHAINS_ENERGY] = "energy"};
  int64_t row = k * e->plan.chains + c;
  norn_rng g = rng_of(e, c, e->plan.warmup + (k + 1) * e->plan.thin);
  g.event = 300;
  norn_infer_chain(inf, (int)c);
  norn_status s = norn_infer_stat(inf, "step_size", e->used[2 * k]);
  if (!s) s = norn_infer_stat(inf, "n_steps", e->used[2 * k + 1]);
  for (int i = 0; i < CHAINS_STATS && !s; i++)
    s = norn_infer_stat(inf, names[i], e->stat[row * CHAINS_STATS + i]);
  return s ? s : norn_density_draw(e->density, inf, e->q + row * e->n, 0, &g);
}

static norn_status tell_draws(norn_infer *inf, shared *e, double until)
{
  int64_t m = e->plan.chains;
  norn_status s = NORN_OK;
  while (e->told < e->kept * m && !s && !(infer_seconds() > until)) {
    s = tell_draw(inf, e, e->told / m, e->told % m);
    if (!s) e->told++;
  }
  return s;
}

/* What has passed since `from` was for that; returns the time. */
static double spend(shared *e, int of, double from)
{
  double now = infer_seconds();
  e->spent[of] += now - from;
  return now;
}

norn_step shared_step(norn_infer *inf, shared *e)
{
  if (!e->run.ops) return shared_record(inf, e);
  double now = infer_seconds(), until = now + SLICE;
  if (!e->begun || !e->searched) {
    bool started = e->begun;
    norn_step s = started ? search(inf, e) : begin(inf, e);
    e->spent[started ? PHASE_WARMUP : PHASE_START] += infer_seconds() - now;
    return s;
  }
  if (!e->verified && shared_verifies(e) && shared_verify_start(inf, e)) return NORN_STEP_FAIL;
  e->verified = true;
  int64_t all = shared_transitions(&e->plan);
  do {
    if (tell_draws(inf, e, until)) return NORN_STEP_FAIL;
    now = spend(e, PHASE_READ, now);
    if (e->told < e->kept * e->plan.chains || e->at == all || !e->searched) break;
    int doing = e->at < e->plan.warmup ? PHASE_WARMUP : PHASE_DRAWS;
    if (go_on(inf, e)) return NORN_STEP_FAIL;
    now = spend(e, doing, now);
  } while (now < until);
  return e->at == all && e->told == e->kept * e->plan.chains ? NORN_STEP_DONE : NORN_STEP_MORE;
}

void shared_progress(norn_infer *inf, shared *e, norn_progress *p)
{
  bool warm = e->at < e->plan.warmup;
  double each = (double)e->plan.chains;
  (void)inf;
  p->total = (double)shared_transitions(&e->plan) * each;
  p->done = (double)e->at * each;
  snprintf(p->state, sizeof p->state, "%sstep %.3g, length %.3g, accepted %.2g, %lld divergences",
           warm ? "warm-up, " : "", e->a.step,
           e->plan.steps ? (double)e->plan.steps * e->a.step : e->a.length,
           e->accepts > 0 ? e->accept_sum / e->accepts : e->a.last_accept,
           (long long)(warm ? e->warm_divergent : e->divergent));
}

void shared_free(norn_infer *inf, shared *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t rows = (size_t)(e->plan.draws * e->plan.chains);
  if (e->run.ops) e->run.ops->free(e->run.self);
  engine_put(st, e->q, rows * (size_t)e->n * sizeof *e->q);
  engine_put(st, e->stat, rows * CHAINS_STATS * sizeof *e->stat);
  engine_put(st, e->used, (size_t)(2 * e->plan.draws) * sizeof *e->used);
  shared_adapt_free(st, &e->a);
  norn_density_free(e->density);
  start_free(&e->plan.start);
}

/* ---- checkpoints ---- */

/* Positions go on as they are: densities and gradients there are computed again, to the same bits. */
static norn_status positions_archive(norn_archive *a, shared *e)
{
  norn_state *st = norn_archive_state(a);
  size_t m = (size_t)e->plan.chains, size = m * (size_t)e->n * sizeof(double);
  double *q = engine_get(st, size);
  bool *good = engine_get(st, m * sizeof *good), reading = norn_archive_reading(a);
  norn_status s = q && good ? NORN_OK : NORN_EMEMORY;
  if (!s && !reading) s = e->run.ops->read(e->run.self, q, NULL);
  if (!s && norn_archive_bytes(a, q, size) && reading) {
    s = e->run.ops->put(e->run.self, q, good);
    for (size_t c = 0; c < m && !s; c++)
      if (!good[c]) norn_archive_fail(a, "a chain is not whole");
    if (!s) s = e->run.ops->metric(e->run.self, e->a.scale);
  }
  engine_put(st, q, size);
  engine_put(st, good, m * sizeof *good);
  return s ? s : norn_archive_status(a);
}

norn_status shared_archive(norn_infer *inf, shared *e, norn_archive *a)
{
  bool recorded = e->run.ops != NULL;
  if (!norn_archive_bool(a, &recorded) || !recorded) return norn_archive_status(a);
  if (norn_archive_reading(a) && shared_record(inf, e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  int64_t *count[] = {&e->at, &e->kept, &e->told, &e->divergent, &e->warm_divergent, &e->leapfrogs,
                      &e->moved};
  int64_t n = e->n, m = e->plan.chains;
  norn_archive_i64(a, &n);
  norn_archive_bool(a, &e->begun);
  norn_archive_bool(a, &e->searched);
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_f64(a, &e->accept_sum);
  norn_archive_f64(a, &e->accepts);
  if (n != e->n || e->at < 0 || e->at > shared_transitions(&e->plan) || e->kept < 0 ||
      e->kept > e->plan.draws || e->told < 0 || e->told > e->kept * m)
    norn_archive_fail(a, "its chains are not whole");
  if (norn_archive_status(a)) return norn_archive_status(a);
  norn_archive_bytes(a, e->q, (size_t)(e->kept * m * n) * sizeof *e->q);
  norn_archive_bytes(a, e->stat, (size_t)(e->kept * m * CHAINS_STATS) * sizeof *e->stat);
  norn_archive_bytes(a, e->used, (size_t)(2 * e->kept) * sizeof *e->used);
  shared_adapt_archive(a, &e->a);
  return norn_archive_status(a) || !e->begun ? norn_archive_status(a) : positions_archive(a, e);
}
