/* rejection: runs from the prior are kept with probability weight / bound, so that what is kept is
   exactly from the posterior.

   Without `bound` the bound is 1 and every observation must be discrete (its probability is at most
   1); then a try is given up as soon as its weight falls below its uniform number.  A continuous
   observation needs a bound on the whole weight (its logarithm: `bound`); a heavier run is an
   error. Lanes: try i runs in lane i mod 2^32, iteration i / 2^32; its uniform number comes from
   the engine's own stream.  Evidence: kept / tries * e^bound.

   Where rows get ready for many (flock.h), as many tries go on together as draws are wanted at least: none is made
   that would not have been made one by one. */
#include "infer/particles/flock.h"
#include "infer/infer.h"

typedef struct attempt {
  double logw, limit;             /* limit: log of the uniform number of this try, plus the bound */
  norn_span last, died;           /* the observation before this event; of a flock: where it was given up */
} attempt;

typedef struct rejection {
  int64_t n, kept, tries, in_a_row, most;
  double bound;
  bool bounded;
  uint64_t stream;
  norn_run *run;
  attempt one, all[FLOCK];        /* the try that is run; those of the flock */
  norn_infer *inf;
  flock flock;
} rejection;

static norn_step flock_observes(void *self, size_t i, const norn_event *);
static void flock_died(void *self, size_t i, norn_span);

static norn_status rejection_init(norn_infer *inf, void *self)
{
  rejection *e = self;
  if (!option_int(inf, 0, 1, &e->n) || !option_real(inf, 1, &e->bound) ||
      !option_int(inf, 2, 1, &e->most))
    return NORN_EDOMAIN;
  e->bounded = !isnan(e->bound);
  if (!e->bounded) e->bound = 0;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 1, 0);
  e->inf = inf;
  flock_wanted(inf, &e->flock, false);
  e->flock.seen = flock_observes;
  e->flock.died = flock_died;
  e->flock.user = e;
  if (fabs(e->bound) < HUGE_VAL) return NORN_OK;
  return norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1, "bound of rejection must be finite");
}

/* Of try k. */
static attempt attempt_new(const rejection *e, int64_t k)
{
  norn_rng g = { .stream = e->stream, .lane = (uint32_t)k, .iter = (uint32_t)(k >> 32) };
  return (attempt){ .limit = log(norn_rng_uniform(&g)) + e->bound };
}

static bool rejection_begin(norn_infer *inf, rejection *e)
{
  e->one = attempt_new(e, e->tries);
  infer_forget_choices(inf);
  e->run = norn_infer_run(inf, (uint32_t)e->tries, (uint32_t)(e->tries >> 32),
                          NORN_RUN_NAMES | (e->tries ? 0 : NORN_RUN_CHECK));
  return e->run;
}

static void rejection_end(rejection *e)
{
  norn_run_free(e->run);
  e->run = NULL;
  e->tries++;
}

static norn_step rejection_refuse(norn_state *st, const norn_event *ev)
{
  if (ev->flags & NORN_EV_FACTOR)
    engine_fail(st, NORN_EINFER, ev->span,
                "rejection without a bound needs weights of at most 1, this factor is e^%.4g",
                ev->value.d);
  else
    engine_fail(st, NORN_EINFER, ev->span,
                "rejection needs a bound: the density of a continuous observation may be above 1");
  norn_hint(st,
            "rejection(bound = b) with b at least the log weight of every run; or use importance, "
            "smc or mh");
  return NORN_STEP_FAIL;
}

/* An observation: MORE to go on, DONE when the try is given up, which the caller tells. */
static norn_step rejection_observe(norn_infer *inf, const rejection *e, attempt *t, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  double lw;
  bool plain = !(ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION));
  if (plain && !e->bounded && !(norn_dist_flags(ev->dist) & NORN_DIST_DISCRETE))
    return rejection_refuse(st, ev);
  if (!engine_weight(st, ev, &lw)) return NORN_STEP_FAIL;
  if (!e->bounded && lw > 1e-9) return rejection_refuse(st, ev);
  t->logw += lw;
  t->last = ev->span;
  return lw > -HUGE_VAL && (e->bounded || t->logw >= t->limit) ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step rejection_keep(norn_infer *inf, rejection *e, const attempt *t, norn_datum value)
{
  norn_state *st = norn_infer_state(inf);
  e->in_a_row++;
  if (e->bounded && t->logw > e->bound + 1e-9) {
    engine_fail(st, NORN_EINFER, t->last,
                "a run has log weight %.6g, above the bound %.6g of rejection", t->logw, e->bound);
    norn_hint(st, "give a bound at least as large as the log weight of every run");
    return NORN_STEP_FAIL;
  }
  if (t->logw < t->limit) { norn_infer_dead(inf, t->last); return NORN_STEP_MORE; }
  if (norn_infer_draw(inf, value, 0)) return NORN_STEP_FAIL;
  e->kept++;
  e->in_a_row = 0;
  return NORN_STEP_MORE;
}

/* One try, from where its run stands. */
static norn_step rejection_try(norn_infer *inf, rejection *e)
{
  norn_event ev;
  for (;;) {
    norn_step s = infer_next(inf, e->run, false, &ev);
    if (s != NORN_STEP_MORE) return s;
    if (ev.kind == NORN_DONE) {
      s = rejection_keep(inf, e, &e->one, ev.value);
      rejection_end(e);
      return s;
    }
    s = ev.kind == NORN_OBSERVE ? rejection_observe(inf, e, &e->one, &ev) : NORN_STEP_FAIL;
    if (s == NORN_STEP_FAIL) return s;
    if (s == NORN_STEP_MORE) continue;
    norn_infer_dead(inf, ev.span);
    e->in_a_row++;
    rejection_end(e);
    return NORN_STEP_MORE;
  }
}

static norn_step rejection_give_up(norn_infer *inf, rejection *e)
{
  norn_state *st = norn_infer_state(inf);
  uint64_t n;
  char place[200];
  norn_span s = norn_infer_blame(inf, &n);
  norn_span_text(st, s, place, sizeof place);
  engine_fail(st, NORN_EINFER, s,
              "rejection gave up: %lld tries in a row were rejected, most by the observation at %s",
              (long long)e->in_a_row, *place ? place : "an unknown place");
  norn_hint(st, "%lld of %lld draws were kept; use importance, smc or mh, or raise max_tries",
            (long long)e->kept, (long long)e->n);
  return NORN_STEP_FAIL;
}

/* ---- many at once ---- */

static norn_step flock_observes(void *self, size_t i, const norn_event *ev)
{
  rejection *e = self;
  return rejection_observe(e->inf, e, &e->all[i], ev);
}

static void flock_died(void *self, size_t i, norn_span span) { ((rejection *)self)->all[i].died = span; }

/* All have ended: what they are is told in their order. */
static norn_step rejection_together(norn_infer *inf, rejection *e)
{
  flock *f = &e->flock;
  int64_t first = e->tries;
  if (!f->on)
    for (int64_t i = 0; i < e->n - e->kept && i < FLOCK; i++) e->all[i] = attempt_new(e, first + i);
  norn_step s = flock_step(inf, f, first, e->n - e->kept, NORN_RUN_NAMES);
  if (s != NORN_STEP_DONE) return s;
  for (size_t i = 0; i < f->s.n; i++) {
    if (e->in_a_row >= e->most) return rejection_give_up(inf, e);
    infer_forget_choices(inf);
    if (!flock_dead(f, i)) {
      if (!flock_choices(f, i) || rejection_keep(inf, e, &e->all[i], flock_value(f, i)) != NORN_STEP_MORE)
        return NORN_STEP_FAIL;
    } else {
      norn_infer_dead(inf, e->all[i].died);
      e->in_a_row++;
    }
    e->tries++;
  }
  flock_end(f);
  return e->kept < e->n ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step rejection_step(norn_infer *inf, void *self)
{
  rejection *e = self;
  if (e->flock.wanted && e->tries + FLOCK < UINT32_MAX) return rejection_together(inf, e);
  for (int work = 0; work < 1024 && e->kept < e->n; work++) {
    if (!e->run && e->in_a_row >= e->most) return rejection_give_up(inf, e);
    if (!e->run && !rejection_begin(inf, e)) return NORN_STEP_FAIL;
    norn_step s = rejection_try(inf, e);
    if (s != NORN_STEP_MORE) return s;
  }
  return e->kept < e->n ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* Tries until the n-th is kept: (n - 1) / (tries - 1) is the unbiased estimate of the rate. */
static norn_status rejection_finish(norn_infer *inf, void *self)
{
  rejection *e = self;
  double n = (double)e->n, t = (double)e->tries, rate = e->n > 1 ? (n - 1) / (t - 1) : 1 / t;
  norn_infer_evidence(inf, log(rate) + e->bound, sqrt((1 - rate) / n));
  norn_infer_note(inf, "acceptance", norn_real(n / t));
  return NORN_OK;
}

static void rejection_progress(norn_infer *inf, void *self, norn_progress *p)
{
  rejection *e = self;
  (void)inf;
  p->done = (double)e->kept;
  p->total = (double)e->n;
}

static void rejection_free(norn_infer *inf, void *self)
{
  rejection *e = self;
  if (e->run) norn_run_free(e->run);
  flock_free(inf, &e->flock);
}

static bool attempt_archive(norn_archive *a, attempt *t)
{
  norn_archive_f64(a, &t->logw);
  norn_archive_f64(a, &t->limit);
  return norn_archive_span(a, &t->last) && norn_archive_span(a, &t->died);
}

static norn_status rejection_archive(norn_infer *inf, void *self, norn_archive *a)
{
  rejection *e = self;
  int64_t *count[] = { &e->kept, &e->tries, &e->in_a_row };
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  attempt_archive(a, &e->one);
  norn_archive_run(a, &e->run);
  if (flock_archive(inf, a, &e->flock, e->tries, e->n - e->kept, NORN_RUN_NAMES))
    for (size_t i = 0; e->flock.on && i < e->flock.s.n; i++) attempt_archive(a, &e->all[i]);
  return norn_archive_status(a);
}

static const norn_option rejection_options[] = {
  { "n", "1000", "number of draws to keep" },
  { "bound", "missing",
    "log of a bound on every run's weight; without it all observations must be discrete" },
  { "max_tries", "1000000", "give up after so many rejected tries in a row" }
};

const norn_engine engine_rejection = { .version = NORN_ENGINE_VERSION,
                                       .name = "rejection",
                                       .doc = "Keeps runs from the prior in proportion to their "
                                              "weight: independent draws from the posterior.",
                                       .options = rejection_options,
                                       .noptions = NORN_COUNT(rejection_options),
                                       .size = sizeof(rejection),
                                       .init = rejection_init,
                                       .step = rejection_step,
                                       .finish = rejection_finish,
                                       .progress = rejection_progress,
                                       .free = rejection_free,
                                       .archive = rejection_archive };
