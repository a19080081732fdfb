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

   Evidence: Z = product of mean incremental weights, unbiased; its error from the ancestors of the
   particles (genealogy.h).

   By default the returned value is kept and nothing else: samples never leave the VM and memory
   does not grow with time.  keep = "choices" also keeps every choice of each survivor.

   How particles get from barrier to barrier is behind particles.h.  Those of a GPU keep weights, ancestors
   and families there: only sums are read at a barrier, and families when the genealogy is looked at. */
#include "infer/checkpoint.h"
#include "infer/particles/delay.h"
#include "infer/device.h"
#include "infer/particles/genealogy.h"
#include "infer/infer.h"
#include "infer/particles/ready.h"
#include "infer/particles/smc.h"
#include "num/weights.h"
#include <string.h>

enum { COURSE = 512 };

enum { KEEP_VALUE, KEEP_CHOICES, KEEP_COUNT };
static const char *const keep_names[KEEP_COUNT] = { "value", "choices" };

/* How it went: at every stride-th barrier its number, the effective sample size, the evidence so
   far, and how many particles at the start had descendants when that was last counted.  When it is
   full, every other one goes: memory does not grow with time.  Room for COURSE of them; what comes from elsewhere at the
   end (smc_told) has no more than it fills: there are many filters then. */
typedef struct course {
  double *barrier, *ess, *evidence, *ancestors;        /* (room), of one piece of memory */
  uint32_t n, stride, room;
} course;

static bool course_new(norn_state *st, course *c, uint32_t room)
{
  if (!(c->barrier = engine_get(st, 4 * (size_t)room * sizeof *c->barrier))) return false;
  c->ess = c->barrier + room;
  c->evidence = c->ess + room;
  c->ancestors = c->evidence + room;
  c->room = room;
  return true;
}

typedef struct smc {
  particles *p;             /* their weights since the last resampling: p->logw */
  size_t n;
  resample_kind how;
  double threshold;
  uint64_t stream;
  genealogy tree;
  double *w, *work;         /* (n) scratch: weights; random numbers, sums over ancestors */
  uint32_t *below;          /* (n) scratch: running sums of offspring */
  uint32_t *to, *from;      /* (n, and some room) copies that resampling asks for, both rising */
  uint32_t barrier;
  bool observed;            /* something */
  bool kept;                /* choices are */
  bool passed;              /* they were resampled, and the genealogy has not been told */
  struct smc *other;        /* verify: the same on the CPU, after it */
  bool done;                /* this one has ended, `other` goes on */
  double log_z, least_ess;
  course course;
} smc;

size_t smc_size(void) { return sizeof(smc); }

/* Particles of the GPU, if that is wished for and can be; *verify: the CPU is to do it too. */
static norn_status smc_device(norn_infer *inf, smc *e, bool delay, const particles_ops **ops, bool *verify)
{
  const char *cant = e->kept    ? "keep = \"choices\" is for the CPU, keep = \"value\" for both"
                     : delay    ? "delayed choices are for the CPU"
                                : NULL;
  return particles_device(inf, 4, e->n, cant, ops, verify);
}

static bool smc_room(norn_state *st, smc *e)
{
  e->w = engine_get(st, e->n * sizeof *e->w);
  e->work = engine_get(st, e->n * sizeof *e->work);
  e->below = engine_get(st, e->n * sizeof *e->below);
  e->to = engine_get(st, (e->n + WEIGHTS_ROOM) * sizeof *e->to);
  e->from = engine_get(st, (e->n + WEIGHTS_ROOM) * sizeof *e->from);
  return e->w && e->work && e->below && e->to && e->from && genealogy_new(st, &e->tree, e->n);
}

static bool smc_whole(norn_state *st, smc *e) { return smc_room(st, e) && course_new(st, &e->course, COURSE); }

/* verify: the CPU's run of the same; it begins when this one has ended. */
static norn_status smc_other(norn_infer *inf, smc *e, norn_datum engine)
{
  norn_state *st = norn_infer_state(inf);
  norn_ref *kept = norn_keep(st, engine);
  const particles_ops *ops = kept ? particles_choose(inf, 4, e->n, false) : NULL;
  e->other = ops ? engine_get(st, sizeof *e->other) : NULL;
  norn_status s = e->other ? smc_begin(inf, e->other, norn_get(kept), ops) : norn_error(st)->code;
  if (kept) norn_drop(kept);
  return s;
}

norn_status smc_begin(norn_infer *inf, void *self, norn_datum engine, const particles_ops *ops)
{
  smc *e = self;
  norn_state *st = norn_infer_state(inf);
  int64_t n;
  int how, keep;
  if (ops && infer_engine(inf) != &engine_smc && engine_option_given(st, engine, 6))
    return norn_fail(st, NORN_EDOMAIN, -1, "%s has its particles on the CPU: leave out device",
                     infer_engine(inf)->name);
  norn_datum delayed = norn_infer_option(inf, 5);
  bool verify = false;
  bool delay = false, exact = !ops && delayed.tag == NORN_BOOL && delayed.i;    /* one may be enough */
  if (!engine_option_int(st, engine, 0, exact ? 1 : 2, &n) ||
      !engine_option_choice(st, engine, 1, resample_names, RESAMPLE_COUNT, &how) ||
      !engine_option_real(st, engine, 2, &e->threshold) ||
      !engine_option_choice(st, engine, 3, keep_names, KEEP_COUNT, &keep) ||
      (!ops && !delay_lanes_option(inf, 5, (size_t)n, keep == KEEP_CHOICES, &delay)))
    return NORN_EDOMAIN;
  if (!(e->threshold >= 0 && e->threshold <= 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "threshold of smc must be in [0, 1], got %g",
                     e->threshold);
  if (n > 0x7fffffff)
    return norn_fail(st, NORN_EDOMAIN, -1, "particles of smc must be at most 2147483647");
  e->n = (size_t)n;
  e->how = (resample_kind)how;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 3, 0);
  e->least_ess = (double)n;
  e->kept = keep == KEEP_CHOICES;
  if (ops != &particles_side_gpu && !smc_whole(st, e)) return NORN_EMEMORY;
  if (!ops) {
    norn_status s = smc_device(inf, e, delay, &ops, &verify);
    if (s) return s;
  }
  if (!ops && !(ops = particles_choose(inf, 4, e->n, e->kept))) return NORN_EDOMAIN;
  e->p = particles_new(inf, delay ? &particles_runs : ops, e->n, e->kept, delay, 0);
  if (!e->p) return norn_error(st)->code;
  e->tree.elsewhere = e->p->ops->sums != NULL;
  return verify ? smc_other(inf, e, engine) : NORN_OK;
}

static norn_status smc_init(norn_infer *inf, void *self)
{
  return smc_begin(inf, self, norn_get(inf->options), NULL);
}

/* ---- resampling ---- */

/* The families of particles that are elsewhere; and their weights. */
static bool smc_fetch(smc *e, bool weights)
{
  uint32_t *family = e->to;             /* scratch */
  particles *p = e->p;
  if (weights) {
    if (!p->ops->fetch(p, p->logw, NULL, 0)) return false;
    weights_exp(p->logw, e->w, e->n);
  }
  for (int k = 0; k < 1 + e->tree.open; k++) {
    if (!p->ops->fetch(p, NULL, family, k)) return false;
    for (size_t i = 0; i < e->n; i++) *(k ? &e->tree.of[i].second : &e->tree.of[i].first) = family[i];
  }
  return true;
}

/* A resampling of particles elsewhere is counted when it is known how far it spread them. */
static bool smc_passed(smc *e, double spread)
{
  if (!e->passed) return true;
  e->passed = false;
  if (!genealogy_passed(&e->tree, spread)) return true;
  if (!smc_fetch(e, false)) return false;
  genealogy_open(&e->tree);
  return e->p->ops->window(e->p, true);
}

/* What the weights add up to; of particles elsewhere as if one had all of it: the formulas hold. */
static bool smc_sums(smc *e, weights_sum *all)
{
  particles_sums s;
  if (!e->p->ops->sums) {
    *all = weights_exp(e->p->logw, e->w, e->n);
    return true;
  }
  if (!e->p->ops->sums(e->p, &s)) return false;
  *all = (weights_sum){ s.log_sum, s.log_sum > -HUGE_VAL, 1 / s.ess };
  return smc_passed(e, s.spread);
}

/* The same where the particles are. */
static bool smc_resample_there(smc *e, weights_sum all)
{
  norn_rng g = { .stream = e->stream, .iter = e->barrier };
  if (genealogy_due(&e->tree)) {
    bool open = e->tree.open;
    if (!smc_fetch(e, true)) return false;
    double sum = weights_exp(e->p->logw, e->w, e->n).sum;
    genealogy_look(&e->tree, e->how, e->w, sum, e->work);
    if (open && !e->tree.open && !e->p->ops->window(e->p, false)) return false;
  }
  e->passed = true;
  e->log_z += all.top + log(all.sum / (double)e->n);
  return e->p->ops->resample(e->p, e->how, &g);
}

/* Places without offspring become copies of those with several; a single offspring stays in place.
   false: error set. */
static bool smc_resample(smc *e, weights_sum all)
{
  norn_rng g = { .stream = e->stream, .iter = e->barrier };
  genealogy_look(&e->tree, e->how, e->w, all.sum, e->work);
  double rho = resample_below(e->how, e->w, all.sum, e->below, e->n, &g, e->work);
  size_t copies = weights_copies(e->below, e->n, e->to, e->from);
  genealogy_copy(&e->tree, e->to, e->from, copies, rho);
  memset(e->p->logw, 0, e->n * sizeof *e->p->logw);
  e->log_z += all.top + log(all.sum / (double)e->n);
  return e->p->ops->copy(e->p, e->to, e->from, copies);
}

/* ---- the barrier ---- */

static void smc_keep_course(course *c, uint32_t barrier, double ess, double evidence, double ancestors)
{
  if (!c->stride) c->stride = 1;
  if (barrier % c->stride) return;
  if (c->n == COURSE) {
    for (c->n = 0; 2 * c->n < COURSE; c->n++) {
      c->barrier[c->n] = c->barrier[2 * c->n];
      c->ess[c->n] = c->ess[2 * c->n];
      c->evidence[c->n] = c->evidence[2 * c->n];
      c->ancestors[c->n] = c->ancestors[2 * c->n];
    }
    c->stride *= 2;
    if (barrier % c->stride) return;
  }
  c->barrier[c->n] = barrier;
  c->ess[c->n] = ess;
  c->ancestors[c->n] = ancestors;
  c->evidence[c->n++] = evidence;
}

particles *smc_particles(void *self) { return ((smc *)self)->p; }
uint64_t smc_stream(const void *self) { return ((const smc *)self)->stream; }

norn_status smc_told(norn_infer *inf, void *self, const smc_end *t)
{
  smc *e = self;
  genealogy *g = &e->tree;
  course *c = &e->course;
  const uint16_t *of[2] = { t->of + (t->second ? e->n : 0), t->of + (t->second ? 0 : e->n) };
  const uint16_t *eve[2] = { t->eve + (t->second ? e->n : 0), t->eve + (t->second ? 0 : e->n) };
  if (!smc_room(norn_infer_state(inf), e) || !course_new(norn_infer_state(inf), c, t->n)) return NORN_EMEMORY;
  e->barrier = t->barriers;
  e->observed = t->observed;
  e->log_z = t->log_z;
  e->least_ess = t->least;
  memcpy(e->p->logw, t->logw, e->n * sizeof *t->logw);
  g->resamplings = t->resamplings;
  g->left = t->left;
  g->eves = t->eves;
  g->open = t->open;
  g->variance = t->variance;
  for (int k = 0; k < 2; k++) g->spread[k] = t->spread[k], g->apart[k] = t->apart[k];
  for (size_t i = 0; i < e->n; i++) {
    g->of[i] = (lineage){ of[0][i], of[1][i] };
    g->eve[0][i] = eve[0][i];
    g->eve[1][i] = eve[1][i];
  }
  c->n = t->n;
  c->stride = t->stride;
  memcpy(c->barrier, t->barrier, c->n * sizeof *c->barrier);
  memcpy(c->ess, t->ess, c->n * sizeof *c->ess);
  memcpy(c->evidence, t->evidence, c->n * sizeof *c->evidence);
  memcpy(c->ancestors, t->ancestors, c->n * sizeof *c->ancestors);
  return NORN_OK;
}

norn_step smc_barrier(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_state *st = norn_infer_state(inf);
  weights_sum all;
  if (!smc_sums(e, &all)) return NORN_STEP_FAIL;
  const blame *dead = &e->p->met.dead;
  if (!(all.sum > 0) && e->p->ops == &particles_side) return NORN_STEP_FAIL;
  if (!(all.sum > 0)) return blame_all_dead(st, dead->n ? dead : &inf->dead, "particle");
  double ess = all.sum * all.sum / all.squares, n = (double)e->n;
  if (ess < e->least_ess) e->least_ess = ess;
  e->observed |= e->p->met.observing > 0;
  if (!e->p->met.running) return NORN_STEP_DONE;
  smc_keep_course(&e->course, e->barrier, ess, e->log_z + all.top + log(all.sum / n), e->tree.eves);
  bool due = e->threshold >= 1 || ess <= e->threshold * n;
  if (due && !(e->p->ops->sums ? smc_resample_there : smc_resample)(e, all)) return NORN_STEP_FAIL;
  e->barrier++;
  particles_leg(e->p);
  /* the iteration of each particle went up when it stopped */
  return NORN_STEP_MORE;
}

/* They can't be where they were wished, and nothing has come of them yet: the CPU begins. */
static norn_step smc_anew(norn_infer *inf, smc *e)
{
  const particles_ops *ops = particles_choose(inf, 4, e->n, false);
  device_note(inf, "cpu", e->p->refused);
  particles_free(e->p);
  e->p = ops ? particles_new(inf, ops, e->n, false, false, 0) : NULL;
  e->tree.elsewhere = false;
  return e->p ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

norn_step smc_step(norn_infer *inf, void *self)
{
  smc *e = self;
  if (e->done) return smc_step(inf, e->other);
  norn_step s = e->p->ops->advance(e->p);
  if (s == NORN_STEP_DONE && e->p->refused[0]) return smc_anew(inf, e);
  if (s == NORN_STEP_DONE) s = smc_barrier(inf, e);
  if (s != NORN_STEP_DONE || !e->other) return s;
  e->done = true;
  return NORN_STEP_MORE;
}

/* ---- the end ---- */

static norn_status smc_draws(norn_infer *inf, smc *e)
{
  const particles *p = e->p;
  uint64_t tag;
  const void *number = p->ops->numbers && !p->choices ? p->ops->numbers(e->p, &tag) : NULL;
  if (number) {
    bool done;
    norn_status s = infer_draw_numbers(inf, tag, number, p->logw, e->n, &done);
    if (s || done) return s;
  }
  for (size_t i = 0; i < e->n; i++) {
    if (p->logw[i] == -HUGE_VAL) continue;
    norn_status s = p->choices ? p->ops->choices(e->p, i) : NORN_OK;
    if (!s) s = norn_infer_draw(inf, p->ops->value(e->p, i), p->logw[i]);
    if (s) return s;
  }
  return NORN_OK;
}

static void smc_note_course(norn_infer *inf, const course *c)
{
  static const char *const name[] = { "barrier", "ess", "log_evidence", "ancestors" };
  norn_state *st = norn_infer_state(inf);
  norn_datum v[] = { norn_array_f64(st, c->barrier, c->n), norn_array_f64(st, c->ess, c->n),
                     norn_array_f64(st, c->evidence, c->n),
                     norn_array_f64(st, c->ancestors, c->n) };
  for (int k = 0; k < 4; k++) if (norn_is_none(v[k])) return;
  norn_datum all = norn_record(st, 4, name, v);
  if (!norn_is_none(all)) norn_infer_note(inf, "course", all);
}

/* verify: the evidence beside the CPU's. */
static norn_status smc_verify(norn_infer *inf, smc *e, double log_z, double sd)
{
  smc *o = e->other;
  device_wish w;
  norn_status status = device_read(inf, &w);
  if (status) return status;
  weights_sum all = weights_exp(o->p->logw, o->w, o->n);
  double cpu = o->log_z + all.top + log(all.sum / (double)o->n);
  return device_compare(inf, w.f32, (const double[]){ log_z, cpu }, sd,
                        (const uint32_t[]){ e->barrier, o->barrier });
}

/* What is kept elsewhere comes here. */
static norn_status smc_home(norn_infer *inf, smc *e)
{
  weights_sum all;
  if (!e->p->ops->sums) return NORN_OK;
  return smc_sums(e, &all) && smc_fetch(e, true) ? NORN_OK : norn_error(norn_infer_state(inf))->code;
}

norn_status smc_finish(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_span nowhere = { 0, 0, 0 };
  norn_status home = smc_home(inf, e);
  if (home) return home;
  weights_sum all = weights_exp(e->p->logw, e->w, e->n);
  double n = (double)e->n, ess = all.sum * all.sum / all.squares;
  double v = genealogy_variance(&e->tree, e->w, all.sum, e->work);
  norn_status s = smc_draws(inf, e);
  if (s) return s;
  double log_z = e->log_z + all.top + log(all.sum / n);
  norn_infer_evidence(inf, log_z, sqrt(v));
  if (e->other && (s = smc_verify(inf, e, log_z, sqrt(v)))) return s;
  norn_infer_note(inf, "barriers", norn_int((int64_t)e->barrier));
  norn_infer_note(inf, "resamplings", norn_int((int64_t)e->tree.resamplings));
  norn_infer_note(inf, "least_ess", norn_real(e->least_ess));
  if (e->p->ops->note) e->p->ops->note(e->p);
  else norn_infer_note(inf, "executor", norn_cstring(norn_infer_state(inf), e->p->ops->name));
  ready_note(inf);
  if (e->observed) smc_note_course(inf, &e->course);
  if (!e->observed)
    norn_infer_warn(inf, nowhere,
                    "the program observes nothing: smc is plain importance sampling here");
  blame_warn(inf, &inf->dead, "particles");
  double least = n / 10 < 100 ? n / 10 : 100;
  if (e->observed && ess < least)
    norn_infer_warn(inf, norn_infer_blame(inf, NULL),
                    "the effective sample size is %.3g of %zu particles; use more particles", ess,
                    e->n);
  else if (e->observed && e->least_ess < 1 + n / 200 && e->least_ess < 100 && (e->n > 1 || !e->p->delay))
    norn_infer_warn(inf, nowhere,
                    "the effective sample size fell to %.3g of %zu particles; use more particles",
                    e->least_ess, e->n);
  size_t eves = genealogy_eves(&e->tree, e->w);
  norn_infer_note(inf, "ancestors", norn_int((int64_t)eves));
  return infer_collapse(inf, eves);
}

void smc_progress(norn_infer *inf, void *self, norn_progress *p)
{
  smc *e = self;
  (void)inf;
  p->done = (double)e->barrier;
}

void smc_free(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->other) smc_free(inf, e->other);
  engine_put(st, e->other, sizeof *e->other);
  particles_free(e->p);
  engine_put(st, e->w, e->n * sizeof *e->w);
  engine_put(st, e->work, e->n * sizeof *e->work);
  genealogy_free(st, &e->tree);
  engine_put(st, e->below, e->n * sizeof *e->below);
  engine_put(st, e->to, (e->n + WEIGHTS_ROOM) * sizeof *e->to);
  engine_put(st, e->from, (e->n + WEIGHTS_ROOM) * sizeof *e->from);
  engine_put(st, e->course.barrier, 4 * (size_t)e->course.room * sizeof *e->course.barrier);
}

norn_status smc_archive(norn_infer *inf, void *self, norn_archive *a)
{
  smc *e = self;
  particles *p = e->p;
  course *c = &e->course;
  if (norn_archive_reading(a) && p->ops == &particles_crew) {   /* it goes on in one thread */
    particles_free(p);
    e->p = p = particles_new(inf, &particles_runs, e->n, false, false, 0);
    if (!p) return NORN_EMEMORY;
  }
  if (!p->ops->archive) {
    norn_archive_fail(a, "smc can't be checkpointed with particles that are %s", p->ops->words);
    return norn_archive_status(a);
  }
  particles_sums sums;
  bool counts = e->passed && !norn_archive_reading(a);
  if (counts && (!p->ops->sums(p, &sums) || !smc_passed(e, sums.spread))) return norn_error(norn_infer_state(inf))->code;
  norn_archive_size(a, &p->next);
  norn_archive_size(a, &p->met.observing);
  norn_archive_size(a, &p->met.running);
  if (!blame_archive(a, &p->met.dead) || !norn_archive_array(a, &p->logw, NULL, e->n, sizeof *p->logw) ||
      !p->ops->archive(p, a, e->to, e->from))
    return norn_archive_status(a);
  genealogy_archive(a, &e->tree);
  uint32_t *count[] = { &e->barrier, &c->n, &c->stride };
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_u32(a, count[i]);
  norn_archive_bool(a, &e->observed);
  norn_archive_f64(a, &e->log_z);
  norn_archive_f64(a, &e->least_ess);
  if (c->n > COURSE) norn_archive_fail(a, "its course is too long");
  double *line[] = { c->barrier, c->ess, c->evidence, c->ancestors };
  for (int i = 0; i < 4; i++) norn_archive_bytes(a, line[i], c->n * sizeof *line[i]);
  return norn_archive_status(a);
}

static const norn_option smc_options[] = {
  { "particles", "1000", "number of particles" },
  { "resample", "\"systematic\"", "systematic, stratified, residual or multinomial" },
  { "threshold", "0.5",
    "resample when the effective sample size is at most this part of the particles; 1: at every "
    "observation" },
  { "keep", "\"value\"", "value: the returned value; choices: every choice by address too" },
  { "executor", "\"auto\"",
    "scalar: a run of the VM for each particle; lanes: one run for all that are in the same state; "
    "generated: lanes whose arithmetic is compiled; auto: lanes where they are faster, compiled where that "
    "pays.  The draws are the same" },
  DELAY_OPTION,
  DEVICE_OPTIONS
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
  .free = smc_free,
  .archive = smc_archive
};
