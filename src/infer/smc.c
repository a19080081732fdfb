/* smc: sequential Monte Carlo, the bootstrap particle filter (Gordon, Salmond, Smith 1993).

   N runs (particles) draw from the prior and weigh their observations inside the VM, which stops
   after each one: a barrier, whatever its line, so particles align at the k-th observation.  When
   the effective sample size falls to `threshold` N they are resampled: a particle with c offspring
   is forked c - 1 times, into the places of those with none.  A particle that has ended keeps its
   value and weight and takes part like any other.

       particle   0    1    2    3    4         barrier t: weigh
       offspring  1    0    3    0    1
       place      0  <-2    2  <-2    4         copies go to dead places, both in order: linear

   Lanes: particle at place i runs in lane i; iteration is the number of barriers passed, so that
   forks part at once.  Resampling draws from the engine's own stream, one iteration per barrier.

   Evidence: Z = product of mean incremental weights, unbiased.  Its error: Lee and Whiteley 2018
   (Biometrika 105, equation 8) from the ancestors of the particles; after R resamplings
   V = 1 - (N/(N-1))^(R+1) (1 - sum over ancestors of (sum of their weights)^2).
   That is for multinomial resampling, which alone spreads a family of equal weights by 1 a time;
   the others spread it by rho = mean variance of the numbers of offspring, so the power becomes a
   product of 1 + rho/(N-1).  Ancestors are forgotten (and V added up) when fewer than N/8 are left,
   so that long series keep an estimate; what came before then counts as independent of what comes
   after.

   By default the returned value is kept and nothing else: samples never leave the VM and memory
   does not grow with time.  keep = "choices" also keeps every choice of each survivor. */
#include "infer/infer.h"
#include <string.h>

enum { BLOCK = 128, COURSE = 512 };
#define NONE 0xffffffffu

enum { KEEP_VALUE, KEEP_CHOICES, KEEP_COUNT };
static const char *const keep_names[KEEP_COUNT] = { "value", "choices" };

/* A choice in the past of particles, shared by descendants; value: its place in smc.past_value. */
typedef struct past { uint64_t addr; uint32_t parent; uint32_t value; } past;
/* What goes beside a run: ended is its value's place in smc.ended, NONE while it runs; eve its
   ancestor at the start. */
typedef struct beside { uint32_t ended, past, ancestor, eve; } beside;

/* How it went: at every stride-th barrier its number, the effective sample size and the evidence so
   far.  When it is full, every other one goes: memory does not grow with time. */
typedef struct course {
  double barrier[COURSE], ess[COURSE], evidence[COURSE];
  uint32_t n, stride;
} course;

typedef struct smc {
  size_t n;
  resample_kind how;
  int keep;
  double threshold;
  uint64_t stream;
  norn_run **run;           /* (n); NULL: ended or dead */
  /* (n) weight since the last resampling; scratch: weights, sums by ancestor */
  double *logw, *w, *share;
  beside *at;               /* (n) */
  uint32_t *count;          /* (n) offspring; scratch for ancestors */
  /* (n) copies that resampling asks for, both rising; done up to `copied` */
  uint32_t *to, *from;
  size_t ncopies, copied;
  /* segment: resamplings since ancestors were forgotten */
  uint32_t barrier, resamplings, segment;
  size_t next;              /* the particle that is stepped now */
  size_t observing, running, dead;          /* this barrier: weighed; still going; of weight 0 */
  double log_z, variance, spread, least_ess;    /* spread: log of the product over rho */
  column ended, past_value;
  past *past; size_t npast, cpast;
  blame killers;            /* of this barrier */
  course course;
  norn_run *gather[BLOCK]; uint32_t place[BLOCK]; norn_event ev[BLOCK];
} smc;

static norn_status smc_init(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_state *st = norn_infer_state(inf);
  int64_t n;
  int how, keep;
  if (!option_int(inf, 0, 1, &n) || !option_choice(inf, 1, resample_names, RESAMPLE_COUNT, &how) ||
      !option_real(inf, 2, &e->threshold) || !option_choice(inf, 3, keep_names, KEEP_COUNT, &keep))
    return NORN_EDOMAIN;
  if (!(e->threshold >= 0 && e->threshold <= 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "threshold of smc must be in [0, 1], got %g",
                     e->threshold);
  if (n > 0x7fffffff)
    return norn_fail(st, NORN_EDOMAIN, -1, "particles of smc must be at most 2147483647");
  e->n = (size_t)n;
  e->how = (resample_kind)how;
  e->keep = keep;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 3, 0);
  e->least_ess = (double)n;
  e->run = engine_get(st, e->n * sizeof *e->run);
  e->logw = engine_get(st, e->n * sizeof *e->logw);
  e->w = engine_get(st, e->n * sizeof *e->w);
  e->share = engine_get(st, e->n * sizeof *e->share);
  e->at = engine_get(st, e->n * sizeof *e->at);
  e->count = engine_get(st, e->n * sizeof *e->count);
  e->to = engine_get(st, e->n * sizeof *e->to);
  e->from = engine_get(st, e->n * sizeof *e->from);
  if (!e->run || !e->logw || !e->w || !e->share || !e->at || !e->count || !e->to || !e->from)
    return NORN_EMEMORY;
  unsigned flags =
    NORN_RUN_SCORE | NORN_RUN_STOP | (keep == KEEP_CHOICES ? NORN_RUN_NAMES : NORN_RUN_DRAW);
  for (size_t i = 0; i < e->n; i++) {
    e->run[i] = norn_infer_run(inf, (uint32_t)i, 0, flags | (i ? 0 : NORN_RUN_CHECK));
    if (!e->run[i]) return NORN_EMEMORY;
    e->at[i] = (beside){ NONE, NONE, (uint32_t)i, (uint32_t)i };
  }
  return NORN_OK;
}

/* ---- one particle arrives ---- */

static void smc_die(norn_infer *inf, smc *e, size_t i, norn_span span)
{
  norn_run_free(e->run[i]);
  e->run[i] = NULL;
  e->logw[i] = -HUGE_VAL;
  norn_infer_dead(inf, span);
  blame_add(norn_infer_state(inf), &e->killers, span);
  memcpy(e->killers.why, inf->dead.why, sizeof e->killers.why);
  e->dead++;
}

/* Particle i has come to where it waits for the others; false: error set. */
static bool smc_arrive(norn_infer *inf, smc *e, size_t i, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  double lw = norn_run_logw(e->run[i]);         /* of this observation, and of `via` before it */
  if (lw > -HUGE_VAL) norn_run_add_logw(e->run[i], -lw);
  e->logw[i] += lw;
  switch (ev->kind) {
  case NORN_OBSERVE:
    e->observing++;
    e->running++;
    return true;
  case NORN_DEAD:
    e->observing++;
    smc_die(inf, e, i, ev->span);
    return true;
  case NORN_DONE:
    inf->improper |= (norn_run_flags_of(e->run[i]) & NORN_RUN_IMPROPER) != 0;
    e->at[i].ended = (uint32_t)e->ended.n;
    norn_run_free(e->run[i]);
    e->run[i] = NULL;
    return column_push(st, &e->ended, ev->value);
  default: return false;
  }
}

/* ---- to the barrier ---- */

/* The copies that concern particles before `end`: done just before these are stepped, so that a
   large population passes through the cache once per barrier and not twice. */
static bool smc_copy(smc *e, size_t end)
{
  size_t k = e->copied;
  while (k < e->ncopies && (e->to[k] < end || e->from[k] < end)) k++;
  int m = (int)(k - e->copied);
  if (m && !norn_runs_copy(e->run, e->to + e->copied, e->from + e->copied, m)) return false;
  e->copied = k;
  return true;
}

/* Particles [next, ...) in blocks; what each block met is weighed while it is in the cache. */
static norn_step smc_advance(norn_infer *inf, smc *e)
{
  while (e->next < e->n) {
    int m = 0;
    size_t i = e->next;
    if (!smc_copy(e, i + BLOCK)) return NORN_STEP_FAIL;
    for (; i < e->n && i < e->next + BLOCK; i++)
      if (e->run[i]) { e->gather[m] = e->run[i]; e->place[m++] = (uint32_t)i; }
    int done = m ? norn_runs_next(e->gather, e->ev, m) : 0;
    bool waits = false;
    for (int k = 0; k < done; k++) {
      if (e->ev[k].kind == NORN_INFER) {
        e->next = e->place[k];
        norn_step s = norn_infer_wait(inf, e->gather[k], &e->ev[k]);
        if (s != NORN_STEP_MORE) return s;
        waits = true;
        break;
      }
      if (!smc_arrive(inf, e, e->place[k], &e->ev[k])) return NORN_STEP_FAIL;
    }
    if (waits) continue;
    if (m && done < m) e->next = e->place[done];
    else e->next = i;
  }
  return NORN_STEP_DONE;
}

/* The same with choices kept: each sample is answered here. */
static norn_step smc_advance_kept(norn_infer *inf, smc *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_event ev;
  if (!smc_copy(e, e->n)) return NORN_STEP_FAIL;
  for (; e->next < e->n; e->next++) {
    size_t i = e->next;
    bool there = !e->run[i];
    while (!there) {
      norn_event_kind k = norn_run_next(e->run[i], &ev);
      if (k == NORN_INFER) {
        norn_step s = norn_infer_wait(inf, e->run[i], &ev);
        if (s != NORN_STEP_MORE) return s;
      } else if (k == NORN_SAMPLE) {
        norn_datum v;
        double excess;
        if (!engine_sample(st, e->run[i], &ev, true, &v, &excess)) return NORN_STEP_FAIL;
        norn_run_add_logw(e->run[i], excess);
        norn_run_answer(e->run[i], v);
        if (!engine_room(st, &e->past, &e->cpast, e->npast + 1, sizeof *e->past))
          return NORN_STEP_FAIL;
        e->past[e->npast] = (past){ ev.addr, e->at[i].past, (uint32_t)e->past_value.n };
        e->at[i].past = (uint32_t)e->npast++;
        if (!column_push(st, &e->past_value, v)) return NORN_STEP_FAIL;
      } else {
        if (!smc_arrive(inf, e, i, &ev)) return NORN_STEP_FAIL;
        there = true;
      }
    }
  }
  return NORN_STEP_DONE;
}

/* ---- evidence and its error ---- */

/* Lee and Whiteley's V for the ancestors since they were last forgotten; *alive: ancestors left. */
static double smc_ancestors(smc *e, double sum, size_t *alive)
{
  double q = 0, n = (double)e->n;
  *alive = 0;
  memset(e->share, 0, e->n * sizeof *e->share);
  for (size_t i = 0; i < e->n; i++) e->share[e->at[i].ancestor] += e->w[i];
  for (size_t i = 0; i < e->n; i++) {
    *alive += e->share[i] > 0;
    q += e->share[i] * e->share[i];
  }
  double v = 1 - exp(log(n / (n - 1)) + e->spread) * (1 - q / (sum * sum));
  return v > 1e-13 ? v : 0;                      /* below: rounding */
}

/* Particles at the start that have descendants. */
static size_t smc_eves(smc *e)
{
  size_t n = 0;
  memset(e->count, 0, e->n * sizeof *e->count);
  for (size_t i = 0; i < e->n; i++)
    if (e->w[i] > 0 && !e->count[e->at[i].eve]++) n++;
  return n;
}

static void smc_forget_ancestors(smc *e)
{
  for (size_t i = 0; i < e->n; i++) e->at[i].ancestor = (uint32_t)i;
  e->segment = 0;
  e->spread = 0;
}

/* ---- resampling ---- */

/* w = weights scaled to a largest of 1; returns their sum, and the log of the scale. */
static double smc_weights(smc *e, double *log_scale, double *squares)
{
  double top = -HUGE_VAL, s = 0, q = 0;
  for (size_t i = 0; i < e->n; i++) if (e->logw[i] > top) top = e->logw[i];
  for (size_t i = 0; i < e->n; i++) {
    double w = e->logw[i] == -HUGE_VAL ? 0 : exp(e->logw[i] - top);
    e->w[i] = w;
    s += w;
    q += w * w;
  }
  *log_scale = top;
  *squares = q;
  return s;
}

/* Places without offspring become copies of those with several; a single offspring stays in place.
   The runs follow when they are stepped (smc_copy). */
static void smc_plan(smc *e)
{
  size_t empty = 0;
  e->ncopies = e->copied = 0;
  for (size_t j = 0; j < e->n; j++)
    for (uint32_t c = e->count[j]; c > 1; c--) {
      while (e->count[empty]) empty++;
      e->at[empty] = e->at[j];
      e->to[e->ncopies] = (uint32_t)empty++;
      e->from[e->ncopies++] = (uint32_t)j;
    }
}

static void smc_resample(smc *e, double sum, double log_scale)
{
  norn_rng g = { .stream = e->stream, .iter = e->barrier };
  size_t alive;
  bool look = e->n > 1 && e->segment % 4 == 3;    /* now and then is enough */
  double v = look ? smc_ancestors(e, sum, &alive) : 0;
  resample(e->how, e->w, sum, e->count, e->n, &g);
  smc_plan(e);
  for (size_t i = 0; i < e->n; i++) e->logw[i] = 0;
  e->log_z += log_scale + log(sum / (double)e->n);
  e->resamplings++;
  e->segment++;
  e->spread += log1p(resample_spread(e->how, e->w, sum, e->n) / ((double)e->n - 1));
  e->dead = 0;
  if (look && alive < e->n / 8) {
    e->variance += v;
    smc_forget_ancestors(e);
  }
}

/* ---- the barrier ---- */

static void smc_keep_course(course *c, uint32_t barrier, double ess, double evidence)
{
  if (!c->stride) c->stride = 1;
  if (barrier % c->stride) return;
  if (c->n == COURSE) {
    for (c->n = 0; 2 * c->n < COURSE; c->n++) {
      c->barrier[c->n] = c->barrier[2 * c->n];
      c->ess[c->n] = c->ess[2 * c->n];
      c->evidence[c->n] = c->evidence[2 * c->n];
    }
    c->stride *= 2;
    if (barrier % c->stride) return;
  }
  c->barrier[c->n] = barrier;
  c->ess[c->n] = ess;
  c->evidence[c->n++] = evidence;
}

static norn_step smc_barrier(norn_infer *inf, smc *e)
{
  norn_state *st = norn_infer_state(inf);
  double scale, squares, sum = smc_weights(e, &scale, &squares);
  if (!(sum > 0)) return blame_all_dead(st, e->killers.n ? &e->killers : &inf->dead, "particle");
  double ess = sum * sum / squares, n = (double)e->n;
  if (ess < e->least_ess) e->least_ess = ess;
  if (!e->running) return NORN_STEP_DONE;
  smc_keep_course(&e->course, e->barrier, ess, e->log_z + scale + log(sum / n));
  bool due = e->threshold >= 1 || ess <= e->threshold * n;
  if (due) smc_resample(e, sum, scale);
  e->killers.n = 0;
  e->barrier++;
  e->next = 0;
  e->running = 0;
  /* the iteration of each run went up when it stopped */
  return NORN_STEP_MORE;
}

static norn_step smc_step(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_step s = e->keep == KEEP_CHOICES ? smc_advance_kept(inf, e) : smc_advance(inf, e);
  return s == NORN_STEP_DONE ? smc_barrier(inf, e) : s;
}

/* ---- the end ---- */

/* The choices of a particle, oldest first. */
static norn_status smc_choices(norn_infer *inf, smc *e, uint32_t at, uint32_t **path, size_t *cpath)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = 0;
  for (; at != NONE; at = e->past[at].parent) {
    if (!engine_room(st, path, cpath, n + 1, sizeof **path)) return NORN_EMEMORY;
    (*path)[n++] = at;
  }
  while (n--) {
    const past *p = &e->past[(*path)[n]];
    if (norn_infer_choice(inf, p->addr, column_at(st, &e->past_value, p->value)))
      return NORN_EMEMORY;
  }
  return NORN_OK;
}

static norn_status smc_draws(norn_infer *inf, smc *e)
{
  norn_state *st = norn_infer_state(inf);
  uint32_t *path = NULL;
  size_t cpath = 0;
  norn_status s = NORN_OK;
  for (size_t i = 0; !s && i < e->n; i++) {
    if (e->logw[i] == -HUGE_VAL) continue;
    s = smc_choices(inf, e, e->at[i].past, &path, &cpath);
    if (!s) s = norn_infer_draw(inf, column_at(st, &e->ended, e->at[i].ended), e->logw[i]);
  }
  engine_put(st, path, cpath * sizeof *path);
  return s;
}

static void smc_note_course(norn_infer *inf, const course *c)
{
  static const char *const name[] = { "barrier", "ess", "log_evidence" };
  norn_state *st = norn_infer_state(inf);
  norn_datum v[] = { norn_array_f64(st, c->barrier, c->n), norn_array_f64(st, c->ess, c->n),
                     norn_array_f64(st, c->evidence, c->n) };
  for (int k = 0; k < 3; k++) if (norn_is_none(v[k])) return;
  norn_datum all = norn_record(st, 3, name, v);
  if (!norn_is_none(all)) norn_infer_note(inf, "course", all);
}

static norn_status smc_finish(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_span nowhere = { 0, 0, 0 };
  double scale, squares, sum = smc_weights(e, &scale, &squares), n = (double)e->n,
                         ess = sum * sum / squares;
  size_t alive = 0;
  double v = e->n > 1 ? smc_ancestors(e, sum, &alive) : NAN;
  norn_status s = smc_draws(inf, e);
  if (s) return s;
  norn_infer_evidence(inf, e->log_z + scale + log(sum / n), sqrt(e->variance + v));
  norn_infer_note(inf, "barriers", norn_int((int64_t)e->barrier));
  norn_infer_note(inf, "resamplings", norn_int((int64_t)e->resamplings));
  norn_infer_note(inf, "least_ess", norn_real(e->least_ess));
  if (e->observing) smc_note_course(inf, &e->course);
  if (!e->observing)
    norn_infer_warn(inf, nowhere,
                    "the program observes nothing: smc is plain importance sampling here");
  double least = n / 10 < 100 ? n / 10 : 100;
  if (e->observing && ess < least)
    norn_infer_warn(inf, norn_infer_blame(inf, NULL),
                    "the effective sample size is %.3g of %zu particles; use more particles", ess,
                    e->n);
  else if (e->observing && e->least_ess < 1 + n / 200 && e->least_ess < 100)
    norn_infer_warn(inf, nowhere,
                    "the effective sample size fell to %.3g of %zu particles; use more particles",
                    e->least_ess, e->n);
  return infer_collapse(inf, smc_eves(e));
}

static void smc_progress(norn_infer *inf, void *self, norn_progress *p)
{
  smc *e = self;
  (void)inf;
  p->done = (double)e->barrier;
}

static void smc_free(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_state *st = norn_infer_state(inf);
  for (size_t i = 0; e->run && i < e->n; i++) if (e->run[i]) norn_run_free(e->run[i]);
  engine_put(st, e->run, e->n * sizeof *e->run);
  engine_put(st, e->logw, e->n * sizeof *e->logw);
  engine_put(st, e->w, e->n * sizeof *e->w);
  engine_put(st, e->share, e->n * sizeof *e->share);
  engine_put(st, e->at, e->n * sizeof *e->at);
  engine_put(st, e->count, e->n * sizeof *e->count);
  engine_put(st, e->to, e->n * sizeof *e->to);
  engine_put(st, e->from, e->n * sizeof *e->from);
  engine_put(st, e->past, e->cpast * sizeof *e->past);
  column_free(st, &e->ended);
  column_free(st, &e->past_value);
  blame_free(st, &e->killers);
}

static const norn_option smc_options[] = {
  { "particles", "1000", "number of particles" },
  { "resample", "\"systematic\"", "systematic, stratified, residual or multinomial" },
  { "threshold", "0.5",
    "resample when the effective sample size is at most this part of the particles; 1: at every "
    "observation" },
  { "keep", "\"value\"", "value: the returned value; choices: every choice by address too" }
};

const norn_engine engine_smc = {
  .version = NORN_ENGINE_VERSION,
  .name = "smc",
  .doc =
    "Particles that are weighed and resampled at every observation (bootstrap particle filter).",
  .options = smc_options,
  .noptions = NORN_COUNT(smc_options),
  .size = sizeof(smc),
  .init = smc_init,
  .step = smc_step,
  .finish = smc_finish,
  .progress = smc_progress,
  .free = smc_free
};
