/* importance: each draw runs on its own from the prior (or from `via`) and carries as weight what
   its observations say (likelihood weighting).

   Lanes: draw i runs in lane i, iteration 0.  Evidence: the mean weight Z = sum w / n, its error
   from their spread: se(log Z) = sd(w) / (sqrt(n) Z).  Choices are kept by address,
   unless keep = "value" or (keep = "auto") an executor or a device is asked for that has only values.

   Where conjugate choices are delayed (delay.h), what is left to weigh is what they do not explain.

   Where rows get ready for many at once (ready.h), some hundred draws go on together (flock.h).

   keep = "value": choices stay in the VM, and all draws may go on together: they are particles
   (particles.h) that are never resampled, in lanes, of generated code, or on a GPU; NORN_RUN_STAY keeps
   their iteration at 0, so that they are the draws of single runs. */
#include "infer/checkpoint.h"
#include "infer/particles/delay.h"
#include "infer/device.h"
#include "infer/particles/flock.h"
#include "infer/infer.h"
#include "infer/particles/particles.h"
#include <string.h>

enum { IMPORTANCE_N, IMPORTANCE_DELAYED, IMPORTANCE_KEEP, IMPORTANCE_EXECUTOR, IMPORTANCE_DEVICE };
enum { KEEP_AUTO, KEEP_CHOICES, KEEP_VALUE, KEEP_COUNT };
static const char *const keep_names[KEEP_COUNT] = { "auto", "choices", "value" };

/* Draws that go on together. */
typedef struct draws { particles *p; uint32_t barrier; } draws;
typedef struct importance {
  int64_t n, i, alive;
  bool delay, kept;
  norn_run *run;
  flock flock;
  draws all, cpu;           /* p NULL: one run after the other; verify: the same on the CPU, after them */
  bool done;                /* `all` have ended, `cpu` go on */
} importance;

/* ---- the beginning ---- */

static norn_status draws_new(norn_infer *inf, importance *e, const particles_ops *ops, draws *d)
{
  d->barrier = 0;
  d->p = ops ? particles_new(inf, ops, (size_t)e->n, false, false, NORN_RUN_STAY) : NULL;
  return d->p ? NORN_OK : norn_error(norn_infer_state(inf))->code;
}

static const particles_ops *on_cpu(norn_infer *inf, const importance *e)
{
  return particles_choose(inf, IMPORTANCE_EXECUTOR, (size_t)e->n, e->kept);
}

/* Whether an option says one of these words (names end with NULL). */
static bool says(norn_infer *inf, int option, const char *const *names)
{
  const char *s = norn_string_view(engine_option(inf->st, norn_get(inf->options), option), NULL);
  while (s && *names && strcmp(s, *names)) names++;
  return s && *names;
}

/* Whether choices are kept. */
static bool keeps_choices(norn_infer *inf, int keep)
{
  static const char *const together[] = { "lanes", "generated", NULL }, *const gpu[] = { "gpu", NULL };
  return keep == KEEP_CHOICES || (keep == KEEP_AUTO && !says(inf, IMPORTANCE_EXECUTOR, together) &&
                                  !says(inf, IMPORTANCE_DEVICE, gpu));
}

static norn_status importance_init(norn_infer *inf, void *self)
{
  importance *e = self;
  const particles_ops *ops = NULL;
  bool verify = false;
  int keep;
  if (!option_int(inf, IMPORTANCE_N, 1, &e->n) ||
      !option_choice(inf, IMPORTANCE_KEEP, keep_names, KEEP_COUNT, &keep) ||
      !delay_lanes_option(inf, IMPORTANCE_DELAYED, 1, false, &e->delay))
    return NORN_EDOMAIN;
  e->kept = keeps_choices(inf, keep);
  const char *cant = e->kept    ? "keep = \"choices\" is for the CPU, keep = \"value\" for both"
                     : e->delay ? "delayed choices are for the CPU"
                                : NULL;
  norn_status s = particles_device(inf, IMPORTANCE_EXECUTOR, (size_t)e->n, cant, &ops, &verify);
  if (s) return s;
  if (!ops && !(ops = on_cpu(inf, e))) return NORN_EDOMAIN;
  if (e->delay) return NORN_OK;
  if (ops == &particles_runs || ops == &particles_crew) {
    flock_wanted(inf, &e->flock, true);
    return NORN_OK;
  }
  s = draws_new(inf, e, ops, &e->all);
  return s || !verify ? s : draws_new(inf, e, on_cpu(inf, e), &e->cpu);
}

/* ---- one after the other ---- */

static norn_step importance_end(norn_infer *inf, importance *e, norn_datum value, double logw)
{
  bool alive = logw > -HUGE_VAL;
  if (!alive) infer_forget_choices(inf);
  else if (e->kept && !delay_choices(inf, e->run)) return NORN_STEP_FAIL;
  else if (norn_infer_draw(inf, value, logw)) return NORN_STEP_FAIL;
  norn_run_free(e->run);
  e->run = NULL;
  e->i++;
  e->alive += alive;
  return NORN_STEP_MORE;
}

/* One draw, from where its run stands.  A dead one counts, but is not kept.  Observations are weighed by the VM. */
static norn_step importance_draw(norn_infer *inf, importance *e)
{
  norn_event ev;
  do {
    norn_step s = infer_next(inf, e->run, true, &ev);
    if (s != NORN_STEP_MORE) return s;
  } while (ev.kind == NORN_OBSERVE);
  if (ev.kind == NORN_DEAD) {
    norn_infer_dead(inf, ev.span);
    return importance_end(inf, e, norn_missing(), -HUGE_VAL);
  }
  if (ev.kind != NORN_DONE) return NORN_STEP_FAIL;
  inf->improper |= (norn_run_flags_of(e->run) & NORN_RUN_IMPROPER) != 0;
  return importance_end(inf, e, ev.value, norn_run_logw(e->run));
}

/* The same for some hundred of them. */
static norn_step importance_flock(norn_infer *inf, importance *e)
{
  flock *f = &e->flock;
  norn_step s = flock_step(inf, f, e->i, e->n - e->i, NORN_RUN_SCORE | NORN_RUN_NAMES);
  if (s != NORN_STEP_DONE) return s;
  for (size_t i = 0; i < f->s.n; i++, e->i++) {
    if (flock_dead(f, i)) continue;
    if ((e->kept && !flock_choices(f, i)) || norn_infer_draw(inf, flock_value(f, i), f->s.logw[i]))
      return NORN_STEP_FAIL;
    e->alive++;
  }
  flock_end(f);
  return NORN_STEP_MORE;
}

/* ---- together ---- */

/* They can't be where they were wished, and nothing has come of them yet: the CPU begins. */
static norn_step draws_anew(norn_infer *inf, importance *e, draws *d)
{
  device_note(inf, "cpu", d->p->refused);
  particles_free(d->p);
  d->p = NULL;
  return draws_new(inf, e, on_cpu(inf, e), d) ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

static bool draws_alive(const particles *p)
{
  for (size_t i = 0; i < p->n; i++) if (p->logw[i] > -HUGE_VAL) return true;
  return false;
}

/* All to their next observation. */
static norn_step draws_step(norn_infer *inf, importance *e, draws *d)
{
  particles *p = d->p;
  particles_sums sums = { 0 };
  norn_step s = p->ops->advance(p);
  if (s == NORN_STEP_DONE && p->refused[0]) return draws_anew(inf, e, d);
  if (s != NORN_STEP_DONE) return s;
  bool there = p->ops->sums != NULL;
  if (there && !p->ops->sums(p, &sums)) return NORN_STEP_FAIL;
  if (there ? !(sums.log_sum > -HUGE_VAL) : !draws_alive(p))
    return blame_all_dead(norn_infer_state(inf), &inf->dead, "draw");
  if (!p->met.running) return NORN_STEP_DONE;
  d->barrier++;
  particles_leg(p);
  return NORN_STEP_MORE;
}

static norn_step importance_together(norn_infer *inf, importance *e)
{
  if (e->done) return draws_step(inf, e, &e->cpu);
  norn_step s = draws_step(inf, e, &e->all);
  if (s != NORN_STEP_DONE || !e->cpu.p) return s;
  e->done = true;
  return NORN_STEP_MORE;
}

static norn_step importance_step(norn_infer *inf, void *self)
{
  importance *e = self;
  const unsigned flags = NORN_RUN_SCORE | (e->kept ? NORN_RUN_NAMES : NORN_RUN_DRAW) |
                         (e->delay ? NORN_RUN_DELAY : 0);
  if (e->all.p) return importance_together(inf, e);
  if (e->flock.wanted && e->i < e->n) {
    norn_step s = importance_flock(inf, e);
    if (s != NORN_STEP_MORE) return s;
  }
  for (int work = 0; work < 256 && e->i < e->n && !e->flock.wanted; work++) {
    if (!e->run) e->run = norn_infer_run(inf, (uint32_t)e->i, 0, flags | (e->i ? 0 : NORN_RUN_CHECK));
    if (!e->run) return NORN_STEP_FAIL;
    norn_step s = importance_draw(inf, e);
    if (s != NORN_STEP_MORE) return s;
  }
  if (e->i < e->n) return NORN_STEP_MORE;
  return e->alive ? NORN_STEP_DONE : blame_all_dead(norn_infer_state(inf), &inf->dead, "draw");
}

/* ---- the end ---- */

/* Those of draws that went on together. */
static norn_status draws_keep(norn_infer *inf, importance *e)
{
  particles *p = e->all.p;
  if (p->ops->fetch && !p->ops->fetch(p, p->logw, NULL, 0)) return norn_error(norn_infer_state(inf))->code;
  for (size_t i = 0; i < p->n; i++) {
    if (p->logw[i] == -HUGE_VAL) continue;
    norn_status s = norn_infer_draw(inf, p->ops->value(p, i), p->logw[i]);
    if (s) return s;
  }
  if (p->ops->note) p->ops->note(p);
  return NORN_OK;
}

static norn_status draws_verify(norn_infer *inf, importance *e, double log_z, double sd)
{
  device_wish w;
  const particles *p = e->cpu.p;
  norn_status s = device_read(inf, &w);
  double cpu = log_sum(p->logw, p->n) - log((double)p->n);
  return s ? s : device_compare(inf, w.f32, (const double[]){ log_z, cpu }, sd,
                                (const uint32_t[]){ e->all.barrier, e->cpu.barrier });
}

static norn_status importance_finish(norn_infer *inf, void *self)
{
  importance *e = self;
  norn_status s = e->all.p ? draws_keep(inf, e) : NORN_OK;
  if (s) return s;
  double n = (double)e->n, ess = kish(inf->logw, inf->nlogw),
         z = log_sum(inf->logw, inf->nlogw) - log(n);
  double se = e->n > 1 ? sqrt((n / ess - 1) / (n - 1)) : NAN;
  norn_infer_evidence(inf, z, se);
  if (e->cpu.p && (s = draws_verify(inf, e, z, se))) return s;
  if (!e->all.p) norn_infer_note(inf, "executor", norn_cstring(norn_infer_state(inf), "scalar"));
  ready_note(inf);
  blame_warn(inf, &inf->dead, "draws");
  double least = n / 10 < 100 ? n / 10 : 100;
  if (ess < least)
    norn_infer_warn(inf, norn_infer_blame(inf, NULL),
                    "the effective sample size is %.3g of %lld draws: the prior seldom proposes "
                    "what the data want; use more draws, smc or mh",
                    ess, (long long)e->n);
  return NORN_OK;
}

static void importance_progress(norn_infer *inf, void *self, norn_progress *p)
{
  importance *e = self;
  (void)inf;
  p->done = e->all.p ? (double)e->all.barrier : (double)e->i;
  if (!e->all.p) p->total = (double)e->n;
}

static void importance_free(norn_infer *inf, void *self)
{
  importance *e = self;
  if (e->run) norn_run_free(e->run);
  flock_free(inf, &e->flock);
  particles_free(e->all.p);
  particles_free(e->cpu.p);
}

static norn_status draws_archive(draws *d, norn_archive *a)
{
  particles *p = d->p;
  if (!p->ops->archive) {
    norn_archive_fail(a, "importance can't be checkpointed with particles that are %s", p->ops->words);
    return norn_archive_status(a);
  }
  norn_archive_u32(a, &d->barrier);
  norn_archive_size(a, &p->next);
  norn_archive_size(a, &p->met.observing);
  norn_archive_size(a, &p->met.running);
  if (blame_archive(a, &p->met.dead) && norn_archive_array(a, &p->logw, NULL, p->n, sizeof *p->logw))
    p->ops->archive(p, a, NULL, NULL);           /* lanes: nothing is to be copied */
  return norn_archive_status(a);
}

static norn_status importance_archive(norn_infer *inf, void *self, norn_archive *a)
{
  importance *e = self;
  if (e->all.p) return draws_archive(&e->all, a);
  norn_archive_i64(a, &e->i);
  norn_archive_i64(a, &e->alive);
  norn_archive_run(a, &e->run);
  flock_archive(inf, a, &e->flock, e->i, e->n - e->i, NORN_RUN_SCORE | NORN_RUN_NAMES);
  return norn_archive_status(a);
}

static const norn_option importance_options[] = {
  { "n", "10000", "number of weighted draws" }, DELAY_OPTION,
  { "keep", "\"auto\"", "choices: every choice by address; value: the returned value only; auto: choices, unless "
    "executor is lanes or generated or device is gpu, which have values only" },
  { "executor", "\"auto\"",
    "of keep = \"value\": scalar: one run after the other; lanes: one run for all that are in the same "
    "state; generated: lanes whose arithmetic is compiled; auto: lanes where they are faster, compiled "
    "where that pays.  The draws are the same" },
  DEVICE_OPTIONS
};

const norn_engine engine_importance = {
  .version = NORN_ENGINE_VERSION,
  .name = "importance",
  .doc = "Weighs draws from the prior (or from `via`) by their observations.",
  .options = importance_options,
  .noptions = NORN_COUNT(importance_options),
  .size = sizeof(importance),
  .init = importance_init,
  .step = importance_step,
  .finish = importance_finish,
  .progress = importance_progress,
  .free = importance_free,
  .archive = importance_archive
};
