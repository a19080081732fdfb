/* backward: backward_simulation(), smoothing by particles: draws of whole histories given all observations
   (Godsill, Doucet, West 2004, "Monte Carlo smoothing for nonlinear time series").

   A particle filter goes forward and keeps, at each barrier (the k-th observation), all its particles: their
   runs, weights and the choices since the barrier before.  Then each history is drawn from its end: if it
   goes through particle k at barrier b + 1, it goes through particle i at barrier b with probability

       proportional to  w_b(i) p(choices of k from b to b+1, observation b+1 | run of i at b)

   for which the run of i is forked and answered with the choices of k.  So early states have as many
   distinct values as late ones, where the ancestors of a filter are few.

   That is right only if the run of i then stands where that of k stood, so that what comes after
   does not depend on i: the state that is carried on is sampled in full at each step.  That is
   looked at (norn_run_same); a program that carries more (a sum, an array of all states) is
   refused.  What a history returns is what the program returns when it is run with its choices.

   Cost: particles x observations forks kept, and as many short runs for each draw.

   Random numbers: of the filter as in smc; of draw m at barrier b: the engine's stream, lane m, iteration
   b; resampling: the engine's stream, lane ENGINE_LANE. */
#include "infer/checkpoint.h"
#include "infer/particles/genealogy.h"
#include "infer/infer.h"
#include "infer/particles/swarm.h"
#include <stdio.h>
#include <string.h>

/* Choices [first, first + n) of backward.addr and .value. */
typedef struct segment { size_t first, n; } segment;
/* Particles at a barrier, or (run NULL) at their end. */
typedef struct stand { norn_run **run; double *logw; segment *made; } stand;

typedef enum { FORWARD, BACKWARD, REPLAY } phase;

typedef struct backward {
  int64_t N, draws;
  uint64_t stream;
  phase at;
  swarm s;
  genealogy who;
  uint64_t *addr; size_t naddr, caddr; column value;
  stand *stand; size_t nstand, cstand; /* the last one is the end */
  bool leg;                            /* particles are on their way to the last stand */
  double log_z, *share, *w;
  uint32_t *count, *to, *from;
  int64_t draw;                        /* done */
  size_t level, i;                     /* of this history: the barrier, the particle that is asked */
  uint32_t *path;                      /* (nstand) particle at each */
  norn_run *ask; size_t used;          /* the run that is asked, or of the replay; choices it took */
} backward;

static norn_status backward_init(norn_infer *inf, void *self)
{
  backward *e = self;
  norn_state *st = norn_infer_state(inf);
  if (!option_int(inf, 0, 2, &e->N) || !option_int(inf, 1, 1, &e->draws)) return NORN_EDOMAIN;
  if (e->N > 1 << 20)
    return norn_fail(st, NORN_EDOMAIN, -1, "particles of backward_simulation must be at most %d", 1 << 20);
  size_t n = (size_t)e->N;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 14, 0);
  e->share = engine_get(st, 2 * n * sizeof *e->share);
  e->count = engine_get(st, 3 * n * sizeof *e->count);
  if (!e->share || !e->count) return NORN_EMEMORY;
  e->w = e->share + n;
  e->to = e->count + n;
  e->from = e->to + n;
  return genealogy_new(st, &e->who, n) && swarm_new(inf, &e->s, n) &&
         swarm_start(&e->s, norn_infer_stream(inf)) ? NORN_OK : NORN_EMEMORY;
}

/* ---- forward ---- */

/* Room for what particles do to the next barrier. */
static bool stand_new(norn_state *st, backward *e)
{
  size_t n = (size_t)e->N;
  if (!engine_room(st, &e->stand, &e->cstand, e->nstand + 1, sizeof *e->stand)) return false;
  stand *s = &e->stand[e->nstand++];
  *s = (stand){0};
  s->run = engine_get(st, n * sizeof *s->run);
  s->logw = engine_get(st, n * sizeof *s->logw);
  s->made = engine_get(st, n * sizeof *s->made);
  return s->run && s->logw && s->made;
}

static norn_status forward_answer(void *user, size_t i, norn_run *run, const norn_event *ev, norn_datum *v,
                                  double *lw)
{
  backward *e = user;
  norn_state *st = norn_infer_state(e->s.inf);
  segment *made = &e->stand[e->nstand - 1].made[i];
  if (!engine_sample(st, run, ev, true, v, lw)) return norn_error(st)->code;
  if (!engine_room(st, &e->addr, &e->caddr, e->naddr + 1, sizeof *e->addr)) return NORN_EMEMORY;
  if (!made->n++) made->first = e->naddr;
  e->addr[e->naddr++] = ev->addr;
  return column_push(st, &e->value, *v) ? NORN_OK : NORN_EMEMORY;
}

/* Keeps the particles as they stand; at the end only their weights. */
static bool stand_keep(backward *e)
{
  stand *s = &e->stand[e->nstand - 1];
  for (size_t i = 0; i < (size_t)e->N; i++) {
    s->logw[i] = e->s.logw[i];
    if (e->s.run[i] && !(s->run[i] = norn_run_fork(e->s.run[i], (uint32_t)i))) return false;
  }
  return true;
}

/* Systematic, when the effective sample size is at most half; copies go to places without offspring. */
static bool forward_resample(backward *e, double top, double sum)
{
  size_t n = (size_t)e->N, m = 0, empty = 0;
  norn_rng g = {.stream = e->stream, .lane = ENGINE_LANE, .iter = e->s.barrier};
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += e->s.w[i] * e->s.w[i];
  if (sum * sum > 0.5 * (double)n * squares) {
    swarm_leg(&e->s);
    return true;
  }
  e->log_z += top + log(sum / (double)n);
  genealogy_look(&e->who, RESAMPLE_SYSTEMATIC, e->s.w, sum, e->share);
  resample(RESAMPLE_SYSTEMATIC, e->s.w, sum, e->count, n, &g);
  for (size_t j = 0; j < n; j++)
    for (uint32_t c = e->count[j]; c > 1; c--) {
      while (e->count[empty]) empty++;
      e->to[m] = (uint32_t)empty++;
      e->from[m++] = (uint32_t)j;
    }
  genealogy_copy(&e->who, e->to, e->from, m, resample_spread(RESAMPLE_SYSTEMATIC, e->s.w, sum, n));
  if (!swarm_places(&e->s, e->to, e->from, m)) return false;
  for (size_t i = 0; i < n; i++) e->s.logw[i] = 0;
  swarm_leg(&e->s);
  return true;
}

static norn_step forward_step(norn_infer *inf, backward *e)
{
  norn_state *st = norn_infer_state(inf);
  double top;
  if (!e->leg && !stand_new(st, e)) return NORN_STEP_FAIL;
  e->leg = true;
  norn_step step = swarm_advance(&e->s, forward_answer, e);
  if (step != NORN_STEP_DONE) return step;
  e->leg = false;
  double sum = swarm_weights(&e->s, &top);
  if (!(sum > 0)) return blame_all_dead(st, &inf->dead, "particle");
  if (!stand_keep(e)) return NORN_STEP_FAIL;
  if (!e->s.running) {
    e->log_z += top + log(sum / (double)e->N);
    e->path = engine_get(st, e->nstand * sizeof *e->path);
    e->at = BACKWARD;
    e->level = e->nstand;
    return e->path ? NORN_STEP_MORE : NORN_STEP_FAIL;
  }
  for (size_t i = 0; i < (size_t)e->N; i++)
    if (e->s.ended[i] != SWARM_NONE) {
      engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "backward_simulation needs a program that makes as "
                  "many observations in each run");
      return NORN_STEP_FAIL;
    }
  return forward_resample(e, top, sum) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* ---- backward ---- */

static norn_step not_carried(norn_infer *inf, norn_span span)
{
  norn_state *st = norn_infer_state(inf);
  engine_fail(st, NORN_EINFER, span, "backward_simulation needs a program that carries on nothing past an "
              "observation but what it samples anew in each step: here it carries more");
  norn_hint(st, "an array of all states need not be carried: choices are kept by address (post[\"x[3]\"]); "
                "pgibbs() takes any program");
  return NORN_STEP_FAIL;
}

/* The run of particle e->i at e->level answered with what the history does next: its log density is added to
   e->w; DONE: it is known. */
static norn_step ask(norn_infer *inf, backward *e)
{
  norn_state *st = norn_infer_state(inf);
  const stand *next = &e->stand[e->level + 1];
  const segment *made = &next->made[e->path[e->level + 1]];
  norn_run *like = next->run[e->path[e->level + 1]];
  double *lw = &e->w[e->i];
  for (;;) {
    norn_event ev;
    norn_step step;
    norn_datum v;
    norn_event_kind kind = norn_run_next(e->ask, &ev);
    switch (kind) {
    case NORN_SAMPLE:
      if (e->used == made->n || e->addr[made->first + e->used] != ev.addr) {
        *lw = -HUGE_VAL;
        return NORN_STEP_DONE;
      }
      v = column_at(st, &e->value, made->first + e->used++);
      swarm_weigh_value(st, &ev, v, lw);
      if (!(*lw > -HUGE_VAL)) return NORN_STEP_DONE;
      norn_run_answer(e->ask, v);
      break;
    case NORN_INFER:
      step = norn_infer_wait(inf, e->ask, &ev);
      if (step != NORN_STEP_MORE) return step;
      break;
    case NORN_DEAD: *lw = -HUGE_VAL; return NORN_STEP_DONE;
    case NORN_OBSERVE: case NORN_DONE:
      *lw += norn_run_logw(e->ask);
      if (e->used < made->n || (kind == NORN_DONE) != !like) *lw = -HUGE_VAL;
      if (!(*lw > -HUGE_VAL) || !like || norn_run_same(e->ask, like)) return NORN_STEP_DONE;
      return not_carried(inf, ev.span);
    default: return NORN_STEP_FAIL;
    }
  }
}

/* Asks all particles of a barrier; DONE when they are. */
static norn_step ask_all(norn_infer *inf, backward *e)
{
  const stand *s = &e->stand[e->level];
  for (int work = 0; e->i < (size_t)e->N; e->i++, work++) {
    if (work == 256) return NORN_STEP_MORE;
    if (!e->ask) {
      e->w[e->i] = s->logw[e->i];
      e->used = 0;
      if (!(s->logw[e->i] > -HUGE_VAL)) continue;
      if (!(e->ask = norn_run_fork(s->run[e->i], (uint32_t)e->i))) return NORN_STEP_FAIL;
    }
    norn_step step = ask(inf, e);
    if (step != NORN_STEP_DONE) return step;
    norn_run_free(e->ask);
    e->ask = NULL;
  }
  return NORN_STEP_DONE;
}

/* The particle of the history at e->level, by e->w. */
static uint32_t pick(backward *e)
{
  norn_rng g = {.stream = e->stream, .lane = (uint32_t)e->draw, .iter = (uint32_t)e->level};
  return (uint32_t)swarm_pick_log(e->w, (size_t)e->N, &g);
}

/* One level down: from the end (level nstand) to barrier 0. */
static norn_step backward_level(norn_infer *inf, backward *e)
{
  if (e->level == e->nstand) {
    e->level--;
    memcpy(e->w, e->stand[e->level].logw, (size_t)e->N * sizeof *e->w);
  } else {
    norn_step step = ask_all(inf, e);
    if (step != NORN_STEP_DONE) return step;
  }
  e->path[e->level] = pick(e);
  e->i = 0;
  if (e->level-- == 0) {
    e->at = REPLAY;
    e->level = e->used = 0;
  }
  return NORN_STEP_MORE;
}

/* ---- what a history returns ---- */

/* Its next choice; false: there is none of this address. */
static bool history_next(norn_infer *inf, backward *e, uint64_t addr, norn_datum *v)
{
  for (; e->level < e->nstand; e->level++, e->used = 0) {
    const segment *made = &e->stand[e->level].made[e->path[e->level]];
    if (e->used == made->n) continue;
    size_t k = made->first + e->used++;
    *v = column_at(norn_infer_state(inf), &e->value, k);
    return e->addr[k] == addr && !norn_infer_choice(inf, addr, *v);
  }
  return false;
}

static norn_step replay(norn_infer *inf, backward *e)
{
  norn_state *st = norn_infer_state(inf);
  if (!e->ask && !(e->ask = norn_infer_run(inf, 0, 0, 0))) return NORN_STEP_FAIL;
  for (;;) {
    norn_event ev;
    norn_datum v;
    norn_step step;
    switch (norn_run_next(e->ask, &ev)) {
    case NORN_SAMPLE:
      if (!history_next(inf, e, ev.addr, &v)) {
        if (!norn_error(st)->code)
          engine_fail(st, NORN_EINFER, ev.span, "backward_simulation needs a program that makes the same "
                      "choices when it is given the same values: is there a nested inference by draws?");
        return NORN_STEP_FAIL;
      }
      norn_run_answer(e->ask, v);
      break;
    case NORN_OBSERVE: break;
    case NORN_INFER:
      step = norn_infer_wait(inf, e->ask, &ev);
      if (step != NORN_STEP_MORE) return step;
      break;
    case NORN_DONE:
      if (norn_infer_draw(inf, ev.value, 0)) return NORN_STEP_FAIL;
      norn_run_free(e->ask);
      e->ask = NULL;
      e->at = BACKWARD;
      e->level = e->nstand;
      return ++e->draw < e->draws ? NORN_STEP_MORE : NORN_STEP_DONE;
    default: return NORN_STEP_FAIL;
    }
  }
}

/* ---- the engine ---- */

static norn_step backward_step(norn_infer *inf, void *self)
{
  backward *e = self;
  if (e->at == FORWARD) return forward_step(inf, e);
  return e->at == BACKWARD ? backward_level(inf, e) : replay(inf, e);
}

static norn_status backward_finish(norn_infer *inf, void *self)
{
  backward *e = self;
  norn_span nowhere = {0, 0, 0};
  double top;
  if (e->at == FORWARD) return NORN_OK;
  double sum = swarm_weights(&e->s, &top);
  double v = genealogy_variance(&e->who, e->s.w, sum, e->share);
  norn_infer_evidence(inf, e->log_z, sqrt(v));
  norn_infer_note(inf, "barriers", norn_int((int64_t)e->s.barrier));
  if (e->nstand == 1)
    norn_infer_warn(inf, nowhere, "the program observes nothing: backward_simulation draws from the prior");
  return NORN_OK;
}

static void backward_progress(norn_infer *inf, void *self, norn_progress *p)
{
  backward *e = self;
  (void)inf;
  if (e->at == FORWARD) {
    p->done = (double)e->nstand;
    snprintf(p->state, sizeof p->state, "filtering");
    return;
  }
  p->done = (double)e->draw;
  p->total = (double)e->draws;
  snprintf(p->state, sizeof p->state, "drawing histories");
}

static void backward_free(norn_infer *inf, void *self)
{
  backward *e = self;
  norn_state *st = norn_infer_state(inf);
  size_t n = (size_t)e->N;
  if (e->ask) norn_run_free(e->ask);
  for (size_t b = 0; b < e->nstand; b++) {
    stand *s = &e->stand[b];
    for (size_t i = 0; s->run && i < n; i++) norn_run_free(s->run[i]);
    engine_put(st, s->run, n * sizeof *s->run);
    engine_put(st, s->logw, n * sizeof *s->logw);
    engine_put(st, s->made, n * sizeof *s->made);
  }
  engine_put(st, e->path, e->path ? e->nstand * sizeof *e->path : 0);
  engine_put(st, e->stand, e->cstand * sizeof *e->stand);
  engine_put(st, e->addr, e->caddr * sizeof *e->addr);
  column_free(st, &e->value);
  engine_put(st, e->share, 2 * n * sizeof *e->share);
  engine_put(st, e->count, 3 * n * sizeof *e->count);
  genealogy_free(st, &e->who);
  swarm_free(&e->s);
}

static void stand_archive(backward *e, norn_archive *a, stand *s)
{
  size_t n = (size_t)e->N;
  norn_archive_bytes(a, s->logw, n * sizeof *s->logw);
  norn_archive_bytes(a, s->made, n * sizeof *s->made);
  for (size_t i = 0; i < n; i++) norn_archive_run(a, &s->run[i]);
  for (size_t i = 0; i < n && !norn_archive_status(a); i++)
    if (s->made[i].n && (s->made[i].first > e->naddr || s->made[i].n > e->naddr - s->made[i].first))
      norn_archive_fail(a, "its choices are not whole");
}

static norn_status backward_archive(norn_infer *inf, void *self, norn_archive *a)
{
  backward *e = self;
  norn_state *st = norn_infer_state(inf);
  int at = (int)e->at;
  size_t n = e->nstand, nvalue = e->value.n;
  norn_archive_int(a, &at);
  norn_archive_bool(a, &e->leg);
  norn_archive_f64(a, &e->log_z);
  norn_archive_i64(a, &e->draw);
  size_t *sizes[] = {&n, &e->level, &e->i, &e->used, &e->naddr, &nvalue};
  for (int i = 0; i < NORN_COUNT(sizes); i++) norn_archive_size(a, sizes[i]);
  if (!norn_archive_status(a) && (at < FORWARD || at > REPLAY || e->level > n || e->i > (size_t)e->N ||
                                  nvalue != e->naddr))
    norn_archive_fail(a, "its phase is none");
  norn_archive_array(a, &e->addr, &e->caddr, e->naddr, sizeof *e->addr);
  column_archive(a, &e->value);
  if (!norn_archive_status(a) && e->value.n != e->naddr) norn_archive_fail(a, "its choices are not whole");
  for (size_t b = 0; b < n && !norn_archive_status(a); b++) {
    if (b == e->nstand && !stand_new(st, e)) return NORN_EMEMORY;
    stand_archive(e, a, &e->stand[b]);
  }
  e->at = (phase)at;
  if (at != FORWARD) norn_archive_array(a, &e->path, NULL, n, sizeof *e->path);
  for (size_t b = 0; b < n && at != FORWARD && !norn_archive_status(a); b++)
    if (e->path[b] >= (uint64_t)e->N) norn_archive_fail(a, "its history is none");
  norn_archive_bytes(a, e->w, (size_t)e->N * sizeof *e->w);
  norn_archive_run(a, &e->ask);
  genealogy_archive(a, &e->who);
  swarm_archive(a, &e->s);
  return norn_archive_status(a);
}

static const norn_option backward_options[] = {
  {"particles", "200", "particles of the filter"},
  {"draws", "200", "histories drawn"},
};

const norn_engine engine_backward = {
  .version = NORN_ENGINE_VERSION, .name = "backward_simulation",
  .doc = "Smoothing by particles: whole histories given all observations, drawn from the end backwards.",
  .options = backward_options, .noptions = NORN_COUNT(backward_options), .size = sizeof(backward),
  .init = backward_init, .step = backward_step, .finish = backward_finish, .progress = backward_progress,
  .free = backward_free, .archive = backward_archive};
