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

   How particles get from barrier to barrier is behind particles.h. */
#include "infer/checkpoint.h"
#include "infer/delay.h"
#include "infer/genealogy.h"
#include "infer/infer.h"
#include "infer/smc.h"
#include "num/weights.h"
#include <string.h>

enum { COURSE = 512 };

enum { KEEP_VALUE, KEEP_CHOICES, KEEP_COUNT };
static const char *const keep_names[KEEP_COUNT] = { "value", "choices" };

/* How it went: at every stride-th barrier its number, the effective sample size, the evidence so far, and
   how many particles at the start had descendants when that was last counted.  When it is full, every other one goes: memory does not grow with time. */
typedef struct course {
  double barrier[COURSE], ess[COURSE], evidence[COURSE], ancestors[COURSE];
  uint32_t n, stride;
} course;

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
  double log_z, least_ess;
  course course;
} smc;

size_t smc_size(void) { return sizeof(smc); }

/* Delayed choices have no lanes: by "auto" lanes that are asked for come first.  So do kept choices: those
   that stay delayed until the end are held by each particle, 1.6 kB for each of its steps. */
static bool smc_delay(norn_infer *inf, int64_t n, bool kept, bool *delay)
{
  const char *word = norn_string_view(norn_infer_option(inf, 5), NULL);
  const char *executor = norn_string_view(norn_infer_option(inf, 4), NULL);
  bool lanes = executor && (!strcmp(executor, "lanes") || !strcmp(executor, "generated"));
  *delay = false;
  if ((lanes || kept) && word && !strcmp(word, "auto")) return true;
  if (!delay_option(inf, 5, (size_t)n, delay)) return false;
  if (!lanes || !*delay) return true;
  norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1, "smc can't delay choices in lanes");
  norn_hint(norn_infer_state(inf), "leave out executor = \"%s\" or delayed = true", executor);
  return false;
}

norn_status smc_begin(norn_infer *inf, void *self, norn_datum engine, const particles_ops *ops)
{
  smc *e = self;
  norn_state *st = norn_infer_state(inf);
  int64_t n;
  int how, keep;
  norn_datum delayed = norn_infer_option(inf, 5);
  bool delay = false, exact = !ops && delayed.tag == NORN_BOOL && delayed.i;    /* one may be enough */
  if (!engine_option_int(st, engine, 0, exact ? 1 : 2, &n) ||
      !engine_option_choice(st, engine, 1, resample_names, RESAMPLE_COUNT, &how) ||
      !engine_option_real(st, engine, 2, &e->threshold) ||
      !engine_option_choice(st, engine, 3, keep_names, KEEP_COUNT, &keep) ||
      (!ops && !smc_delay(inf, n, keep == KEEP_CHOICES, &delay)))
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
  e->w = engine_get(st, e->n * sizeof *e->w);
  e->work = engine_get(st, e->n * sizeof *e->work);
  e->below = engine_get(st, e->n * sizeof *e->below);
  e->to = engine_get(st, (e->n + WEIGHTS_ROOM) * sizeof *e->to);
  e->from = engine_get(st, (e->n + WEIGHTS_ROOM) * sizeof *e->from);
  if (!e->w || !e->work || !e->below || !e->to || !e->from || !genealogy_new(st, &e->tree, e->n))
    return NORN_EMEMORY;
  if (!ops && !(ops = particles_choose(inf, 4, e->n, keep == KEEP_CHOICES))) return NORN_EDOMAIN;
  e->p = particles_new(inf, delay ? &particles_runs : ops, e->n, keep == KEEP_CHOICES, delay);
  return e->p ? NORN_OK : norn_error(st)->code;
}

static norn_status smc_init(norn_infer *inf, void *self)
{
  return smc_begin(inf, self, norn_get(inf->options), NULL);
}

/* ---- resampling ---- */

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

static norn_step smc_barrier(norn_infer *inf, smc *e)
{
  norn_state *st = norn_infer_state(inf);
  weights_sum all = weights_exp(e->p->logw, e->w, e->n);
  const blame *dead = &e->p->met.dead;
  if (!(all.sum > 0)) return blame_all_dead(st, dead->n ? dead : &inf->dead, "particle");
  double ess = all.sum * all.sum / all.squares, n = (double)e->n;
  if (ess < e->least_ess) e->least_ess = ess;
  e->observed |= e->p->met.observing > 0;
  if (!e->p->met.running) return NORN_STEP_DONE;
  smc_keep_course(&e->course, e->barrier, ess, e->log_z + all.top + log(all.sum / n), e->tree.eves);
  bool due = e->threshold >= 1 || ess <= e->threshold * n;
  if (due && !smc_resample(e, all)) return NORN_STEP_FAIL;
  e->barrier++;
  particles_leg(e->p);
  /* the iteration of each particle went up when it stopped */
  return NORN_STEP_MORE;
}

norn_step smc_step(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_step s = e->p->ops->advance(e->p);
  return s == NORN_STEP_DONE ? smc_barrier(inf, e) : s;
}

/* ---- the end ---- */

static norn_status smc_draws(norn_infer *inf, smc *e)
{
  const particles *p = e->p;
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

norn_status smc_finish(norn_infer *inf, void *self)
{
  smc *e = self;
  norn_span nowhere = { 0, 0, 0 };
  weights_sum all = weights_exp(e->p->logw, e->w, e->n);
  double n = (double)e->n, ess = all.sum * all.sum / all.squares;
  double v = genealogy_variance(&e->tree, e->w, all.sum, e->work);
  norn_status s = smc_draws(inf, e);
  if (s) return s;
  norn_infer_evidence(inf, e->log_z + all.top + log(all.sum / n), sqrt(v));
  norn_infer_note(inf, "barriers", norn_int((int64_t)e->barrier));
  norn_infer_note(inf, "resamplings", norn_int((int64_t)e->tree.resamplings));
  norn_infer_note(inf, "least_ess", norn_real(e->least_ess));
  if (e->p->ops->note) e->p->ops->note(e->p);
  else norn_infer_note(inf, "executor", norn_cstring(norn_infer_state(inf), e->p->ops->name));
  if (e->observed) smc_note_course(inf, &e->course);
  if (!e->observed)
    norn_infer_warn(inf, nowhere,
                    "the program observes nothing: smc is plain importance sampling here");
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
  particles_free(e->p);
  engine_put(st, e->w, e->n * sizeof *e->w);
  engine_put(st, e->work, e->n * sizeof *e->work);
  genealogy_free(st, &e->tree);
  engine_put(st, e->below, e->n * sizeof *e->below);
  engine_put(st, e->to, (e->n + WEIGHTS_ROOM) * sizeof *e->to);
  engine_put(st, e->from, (e->n + WEIGHTS_ROOM) * sizeof *e->from);
}

norn_status smc_archive(norn_infer *inf, void *self, norn_archive *a)
{
  smc *e = self;
  particles *p = e->p;
  course *c = &e->course;
  if (norn_archive_reading(a) && p->ops == &particles_crew) {   /* it goes on in one thread */
    particles_free(p);
    e->p = p = particles_new(inf, &particles_runs, e->n, false, false);
    if (!p) return NORN_EMEMORY;
  }
  if (!p->ops->archive) {
    norn_archive_fail(a, "smc can't be checkpointed with particles that are %s", p->ops->words);
    return norn_archive_status(a);
  }
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
  DELAY_OPTION
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
