/* online: a particle filter that is fed one observation at a time (stdlib/online.norn is its face; a C
   host calls norn_infer_all with the same engine).  What is carried from feed to feed is a posterior of
   the state, a weighted set of values, so memory does not grow with time where a state does not.

     _online(before, step, y, particles, threshold, resample)

   before missing: `particles` runs of the model that is inferred, the first state.  Otherwise particle i
   runs the model step(x_i, y), x_i a value of the posterior `before`: its own, with its weight, while
   their effective sample size is above threshold times particles; else resampled (resample.c).  The
   evidence is that of y given all before,

       log Z = log sum_i W_i w_i,   W the weights before (sum 1), w_i what the run of particle i weighs,

   with the standard error sqrt(sum_i W_i^2 (w_i - Z)^2) / Z of this feed alone.

   Lanes: particle i runs in lane i, iteration 0; resampling draws from the engine's own stream. */
#include "infer/infer.h"
#include "infer/posterior.h"
#include <string.h>

typedef struct online {
  int64_t n, i;
  double threshold;
  resample_kind how;
  bool feeding;                        /* there is a posterior before */
  double *W, *logw;                    /* (n) of each particle: before; what its run weighs */
  uint32_t *from;                      /* (n) its place in the posterior before */
  norn_run *run;
  bool resampled;
} online;

/* The posterior before as a distribution; false: it is none. */
static bool posterior_before(norn_infer *inf, norn_dist *d)
{
  return posterior_args(norn_infer_option(inf, 0), d);
}

static bool make_room(norn_state *st, online *e)
{
  size_t n = (size_t)e->n;
  e->W = engine_get(st, n * sizeof *e->W);
  e->logw = engine_get(st, n * sizeof *e->logw);
  e->from = engine_get(st, n * sizeof *e->from);
  return e->W && e->logw && e->from;
}

/* Particles take values of the posterior, of which there are m with weights w of sum 1. */
static norn_status take_places(norn_infer *inf, online *e, const double *w, size_t m)
{
  norn_rng g = {.stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 13, 0)};
  norn_state *st = norn_infer_state(inf);
  double squares = 0, total = 0;
  size_t n = (size_t)e->n, at = 0;
  for (size_t i = 0; i < m; i++) squares += w[i] * w[i], total += w[i];
  e->resampled = m != n || 1 / squares <= e->threshold * (double)n;
  for (size_t i = 0; i < n; i++) {
    e->from[i] = (uint32_t)i;
    e->W[i] = e->resampled ? 1 / (double)n : w[i];
  }
  if (!e->resampled) return NORN_OK;
  uint32_t *count = engine_get(st, m * sizeof *count);
  if (!count) return NORN_EMEMORY;
  resample_to(e->how, w, total, count, m, n, &g);
  for (size_t i = 0; i < m; i++)
    for (uint32_t k = count[i]; k && at < n; k--) e->from[at++] = (uint32_t)i;
  engine_put(st, count, m * sizeof *count);
  return NORN_OK;
}

static norn_status online_init(norn_infer *inf, void *self)
{
  online *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum before = norn_infer_option(inf, 0);
  norn_posterior post;
  norn_view w;
  int how;
  if (!option_int(inf, 3, 2, &e->n) || !option_real(inf, 4, &e->threshold) ||
      !option_choice(inf, 5, resample_names, RESAMPLE_COUNT, &how))
    return NORN_EDOMAIN;
  e->how = (resample_kind)how;
  if (e->n > 0x7fffffff)
    return norn_fail(st, NORN_EDOMAIN, -1, "particles must be at most 2147483647");
  if (!(e->threshold >= 0 && e->threshold <= 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "threshold must be in [0, 1], got %g", e->threshold);
  e->feeding = before.tag != NORN_MISSING;
  if (!make_room(st, e)) return NORN_EMEMORY;
  for (int64_t i = 0; i < e->n; i++) e->W[i] = 1 / (double)e->n;
  if (!e->feeding) return NORN_OK;
  if (!norn_posterior_view(st, before, &post))
    return norn_fail(st, NORN_ETYPE, -1, "an online filter goes on by online.feed, which needs one that "
                     "online.start or online.feed gave");
  if (!norn_array_view(post.weights, &w) || w.elem != NORN_F64 || w.n < 1) return NORN_EMEMORY;
  return take_places(inf, e, w.f, (size_t)w.n);
}

/* The run of particle i: of the model that step(x, y) is. */
static norn_run *step_run(norn_infer *inf, online *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_dist d;
  norn_datum args[2], model;
  char b[80];
  if (!posterior_before(inf, &d)) return NULL;
  args[0] = norn_array_at(st, d.args[POST_VALUES], e->from[e->i]);
  args[1] = norn_infer_option(inf, 2);
  if (norn_call(st, norn_infer_option(inf, 1), args, 2, &model)) return NULL;
  if (norn_kind_of(model) != NORN_MODEL) {
    norn_fail(st, NORN_ETYPE, -1, "the step of an online filter must give a model, got %s",
              norn_describe(st, model, b, sizeof b));
    norn_hint(st, "online.start(first(), (x, y) -> step(x, y)), where step is a model of the next state");
    return NULL;
  }
  norn_run *run = norn_run_new(st, model, NULL, 0);
  if (!run) return NULL;
  norn_run_stream(run, norn_infer_stream(inf), (uint32_t)e->i, 0);
  norn_run_flags(run, NORN_RUN_SCORE | NORN_RUN_DRAW | (e->i ? 0 : NORN_RUN_CHECK));
  return run;
}

static norn_step particle_ended(norn_infer *inf, online *e, const norn_event *ev)
{
  bool alive = ev->kind == NORN_DONE && norn_run_logw(e->run) > -HUGE_VAL;
  e->logw[e->i] = alive ? norn_run_logw(e->run) : -HUGE_VAL;
  if (ev->kind == NORN_DEAD) norn_infer_dead(inf, ev->span);
  inf->improper |= (norn_run_flags_of(e->run) & NORN_RUN_IMPROPER) != 0;
  if (alive && norn_infer_draw(inf, ev->value, log(e->W[e->i]) + e->logw[e->i])) return NORN_STEP_FAIL;
  norn_run_free(e->run);
  e->run = NULL;
  e->i++;
  return NORN_STEP_MORE;
}

static norn_step online_step(norn_infer *inf, void *self)
{
  online *e = self;
  norn_event ev;
  for (int work = 0; work < 256 && e->i < e->n; work++) {
    if (!e->run)
      e->run = e->feeding ? step_run(inf, e)
                          : norn_infer_run(inf, (uint32_t)e->i, 0, NORN_RUN_SCORE | NORN_RUN_DRAW |
                                           (e->i ? 0 : NORN_RUN_CHECK));
    if (!e->run) return NORN_STEP_FAIL;
    norn_step s = NORN_STEP_FAIL;
    norn_event_kind kind = norn_run_next(e->run, &ev);
    if (kind == NORN_INFER) s = norn_infer_wait(inf, e->run, &ev);
    if (kind == NORN_DONE || kind == NORN_DEAD) s = particle_ended(inf, e, &ev);
    if (s != NORN_STEP_MORE) return s;
  }
  if (e->i < e->n) return NORN_STEP_MORE;
  for (int64_t i = 0; i < e->n; i++) if (e->logw[i] > -HUGE_VAL) return NORN_STEP_DONE;
  return blame_all_dead(norn_infer_state(inf), &inf->dead, "particle");
}

/* The result remembers its engine; that must not remember the posterior before, and so all of them. */
static norn_status forget_before(norn_infer *inf)
{
  norn_datum options[] = {norn_missing(), norn_missing(), norn_missing(), norn_infer_option(inf, 3),
                          norn_infer_option(inf, 4), norn_infer_option(inf, 5)};
  norn_datum engine = norn_engine_new(norn_infer_state(inf), &engine_online, options, NORN_COUNT(options));
  if (norn_is_none(engine)) return NORN_EMEMORY;
  norn_set(inf->options, engine);
  return NORN_OK;
}

static norn_status online_finish(norn_infer *inf, void *self)
{
  online *e = self;
  norn_span nowhere = {0, 0, 0};
  double top = -HUGE_VAL, z = 0, v = 0, squares = 0;
  if (e->i < e->n) return NORN_OK;
  for (int64_t i = 0; i < e->n; i++) top = fmax(top, e->logw[i]);
  for (int64_t i = 0; i < e->n; i++) z += e->W[i] * exp(e->logw[i] - top);
  for (int64_t i = 0; i < e->n; i++) {
    double w = exp(e->logw[i] - top);
    v += e->W[i] * e->W[i] * (w - z) * (w - z);
    squares += e->W[i] * e->W[i] * w * w;
  }
  double ess = z * z / squares;
  norn_infer_evidence(inf, top + log(z), sqrt(v) / z);
  norn_infer_note(inf, "resampled", norn_bool(e->resampled));
  if (ess < 0.01 * (double)e->n && ess < 100)
    norn_infer_warn(inf, nowhere, "the effective sample size is %.3g of %lld particles; use more particles",
                    ess, (long long)e->n);
  return forget_before(inf);
}

static void online_progress(norn_infer *inf, void *self, norn_progress *p)
{
  online *e = self;
  (void)inf;
  p->done = (double)e->i;
  p->total = (double)e->n;
}

static void online_free(norn_infer *inf, void *self)
{
  online *e = self;
  norn_state *st = norn_infer_state(inf);
  size_t n = (size_t)e->n;
  if (e->run) norn_run_free(e->run);
  engine_put(st, e->W, n * sizeof *e->W);
  engine_put(st, e->logw, n * sizeof *e->logw);
  engine_put(st, e->from, n * sizeof *e->from);
}

static norn_status online_archive(norn_infer *inf, void *self, norn_archive *a)
{
  online *e = self;
  (void)inf;
  norn_archive_i64(a, &e->i);
  if (!norn_archive_status(a) && (e->i < 0 || e->i > e->n)) norn_archive_fail(a, "its particles do not fit");
  if (!norn_archive_status(a)) norn_archive_bytes(a, e->logw, (size_t)e->i * sizeof *e->logw);
  norn_archive_run(a, &e->run);
  return norn_archive_status(a);
}

static const norn_option online_options[] = {
  {"before", NULL, "the posterior of the state, or missing at the start"},
  {"step", NULL, "the function of a state and an observation that gives a model of the next state"},
  {"y", NULL, "the observation"},
  {"particles", "1000", "number of particles"},
  {"threshold", "0.5", "resample when the effective sample size is at most this part of the particles"},
  {"resample", "\"systematic\"", "systematic, stratified, residual or multinomial"},
};

const norn_engine engine_online = {
  .version = NORN_ENGINE_VERSION, .name = "_online",
  .doc = "What online.start and online.feed are made of: a particle filter, one observation at a time.",
  .options = online_options, .noptions = NORN_COUNT(online_options), .size = sizeof(online),
  .init = online_init, .step = online_step, .finish = online_finish, .progress = online_progress,
  .free = online_free, .archive = online_archive};
