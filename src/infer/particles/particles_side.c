/* particles_side: particle filters of many models side by side (particles.h).

   The models are calls of one program with other data or parameters.  Their particles are the lanes of one run
   (norn_lanes_plate), so that a leg is recorded once for all, and becomes one piece of generated code; a job of the
   pool has some of the filters, and does with each what smc does alone: the leg's code over its lanes, then weights,
   ancestors, genealogy and evidence (smc_barrier), from the filter's own stream.

       run     leg t of all filters          leg t + 1 ...
               | code: lanes of filter 0     |
       jobs    | filter 0: weigh, resample   |
               | code: lanes of filter 1 ... |

   On a GPU a filter has a block of threads, or some: a leg is one launch for all of them, and what happens at its end
   (gpu/filters.h) another, of which the host sees only whether all went well; evidence, effective sample sizes, the course
   and families come home at the end (smc_told).

   So each filter's draws are those that it has alone, to the bit.  What one of them does otherwise (a branch, another
   number of observations, a parameter outside of its domain, the death of all of its particles) ends it: then each has
   to go alone. */
#include "infer/particles/particles.h"
#include "base/pool.h"
#include "gpu/segment_gpu.h"
#include "graph/segment_cc.h"
#include "infer/device.h"
#include "infer/particles/delay.h"
#include "infer/infer.h"
#include "infer/particles/smc.h"
#include <stdio.h>
#include <string.h>

/* Of one filter: its place, and what it asked to be copied. */
typedef struct on_side {
  particles p;
  side *of;
  size_t place;
  const uint32_t *to, *from; size_t copies;
} on_side;

struct side {
  norn_state *st;
  size_t f, n, each;                   /* filters, particles of one, lanes of one */
  norn_infer **one;                    /* (f) */
  norn_step *step;                     /* (f) what its barrier said */
  double **logw;                       /* (f) */
  uint32_t *to, *from;                 /* (f * each) copies of all */
  norn_lanes *l;
  norn_lanes_leg leg;
  gpu *on;                             /* where; NULL: on threads */
  segment_cc_plate code;               /* on threads */
  segment_gpu *gpu;                    /* on a GPU; NULL: on threads */
  filters_state *told;                 /* (f) there, at the end */
  uint32_t barriers;
  bool observed;
  double start;
};

/* ---- the particles of one ---- */

static norn_status side_start(particles *p) { return (void)p, NORN_OK; }
static void side_end(particles *p) { (void)p; }
static norn_step side_never(particles *p) { return (void)p, NORN_STEP_FAIL; }
static norn_status side_choices(particles *p, size_t i) { return (void)p, (void)i, NORN_OK; }

static bool side_copy(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  on_side *e = (on_side *)p;
  e->to = to;
  e->from = from;
  e->copies = n;
  return true;
}

static norn_datum side_value(particles *p, size_t i)
{
  on_side *e = (on_side *)p;
  return norn_lanes_value(e->of->l, e->place * e->of->each + i);
}

static const void *side_numbers(particles *p, uint64_t *tag)
{
  on_side *e = (on_side *)p;
  const void *all = norn_lanes_numbers(e->of->l, tag);
  return all ? (const uint64_t *)all + e->place * e->of->each : NULL;
}

static void side_note(particles *p)
{
  const side *s = ((on_side *)p)->of;
  norn_lanes_report r;
  int kernels;
  size_t bytes;
  norn_lanes_look(s->l, &r);
  if (s->gpu) {
    segment_gpu_look(s->gpu, &kernels, &bytes);
    device_note(p->inf, "gpu", NULL);
    norn_infer_note(p->inf, "gpu_kernels", norn_int(kernels));
    norn_infer_note(p->inf, "gpu_bytes", norn_int((int64_t)bytes));
  }
  norn_infer_note(p->inf, "executor", norn_cstring(s->st, s->gpu ? "gpu" : "generated"));
  norn_infer_note(p->inf, s->gpu ? "gpu_legs" : "generated_legs", norn_int((int64_t)r.generated));
  norn_infer_note(p->inf, "filters_together", norn_int((int64_t)s->f));
}

#define SIDE_OPS                                                                                   \
  .size = sizeof(on_side), .start = side_start, .advance = side_never, .copy = side_copy,          \
  .value = side_value, .numbers = side_numbers, .choices = side_choices, .free = side_end, .note = side_note
const particles_ops particles_side = {
  .name = "generated", .words = "filters side by side in generated code", SIDE_OPS
};
const particles_ops particles_side_gpu = {
  .name = "gpu", .words = "filters side by side on a GPU", SIDE_OPS
};

/* ---- all of them ---- */

/* The GPU's own reasons. */
static const char *gpu_cant(norn_infer *one)
{
  norn_state *st = norn_infer_state(one);
  norn_datum engine = norn_get(one->options);
  const char *executor = norn_string_view(engine_option(st, engine, 4), NULL);
  device_wish w;
  int how;
  if (device_read(one, &w) || !engine_option_choice(st, engine, 1, resample_names, RESAMPLE_COUNT, &how))
    return "its options are wrong";
  if (executor && strcmp(executor, "auto")) return "executor is chosen, which is of the CPU";
  return w.verify ? "verify = true compares filters alone" : NULL;
}

const char *side_cant(norn_infer *one, bool there)
{
  norn_state *st = norn_infer_state(one);
  norn_datum engine = norn_get(one->options), keep = engine_option(st, engine, 3);
  const char *kept = norn_string_view(keep, NULL);
  int64_t n;
  bool delay = false, choices = kept && !strcmp(kept, "choices");
  if (!engine_option_int(st, engine, 0, 1, &n)) return "its options are wrong";
  if (n < 2 || n > SIDE_MOST) return "their particles are too few or too many";
  if (choices) return "keep = \"choices\" is for filters alone";
  if (!delay_lanes_option(one, 5, (size_t)n, false, &delay)) return "its options are wrong";
  if (delay) return "conjugate choices are delayed";
  if (there) return gpu_cant(one);
  const particles_ops *ops = particles_choose(one, 4, (size_t)n, false);
  return ops == &particles_auto || ops == &particles_generated ? NULL : "executor says how particles run";
}

/* Lanes of a filter. */
static size_t lanes_of(size_t n) { return (n + 31) / 32 * 32; }

size_t side_room(gpu *g, bool f32, size_t n)
{
  enum { OWN = 6 * 8, LANES = 1 << 25 };         /* some vectors and maps; what the host has room for at the end */
  size_t lanes = (size_t)(.8 * (double)gpu_free_memory(g)) / (filters_each(f32) + OWN);
  return (lanes && lanes < LANES ? lanes : LANES) / lanes_of(n);
}

void side_free(side *s)
{
  if (!s) return;
  norn_state *st = s->st;
  for (size_t k = 0; s->one && k < s->f; k++) if (s->one[k]) norn_infer_free(s->one[k]);
  norn_lanes_free(s->l);
  segment_cc_free(s->code.cc);
  engine_put(st, s->one, s->f * sizeof *s->one);
  engine_put(st, s->step, s->f * sizeof *s->step);
  engine_put(st, s->logw, s->f * sizeof *s->logw);
  engine_put(st, s->to, s->f * s->each * sizeof *s->to);
  engine_put(st, s->from, s->f * s->each * sizeof *s->from);
  engine_put(st, s->code.scratch, s->f * s->each * sizeof *s->code.scratch);
  engine_put(st, s->told, s->f * sizeof *s->told);
  segment_gpu_free(s->gpu);
  engine_put(st, s, sizeof *s);
}

/* Filter k begins; its run, or NULL: error set. */
static norn_run *begin(side *s, size_t k)
{
  norn_infer *one = s->one[k];
  one->begun = true;
  const particles_ops *ops = s->on ? &particles_side_gpu : &particles_side;
  if (smc_begin(one, one->self, norn_get(one->options), ops)) return NULL;
  on_side *p = (on_side *)smc_particles(one->self);
  p->of = s;
  p->place = k;
  s->logw[k] = p->p.logw;
  return norn_infer_run(one, 0, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW | (k ? 0 : NORN_RUN_CHECK));
}

static bool room(side *s)
{
  norn_state *st = s->st;
  size_t lanes = s->f * s->each;
  s->one = engine_get(st, s->f * sizeof *s->one);
  s->step = engine_get(st, s->f * sizeof *s->step);
  s->logw = engine_get(st, s->f * sizeof *s->logw);
  s->code.scratch = engine_get(st, lanes * sizeof *s->code.scratch);
  if (s->on) return s->one && s->step && s->logw && s->code.scratch;
  s->to = engine_get(st, lanes * sizeof *s->to);
  s->from = engine_get(st, lanes * sizeof *s->from);
  return s->one && s->step && s->logw && s->to && s->from && s->code.scratch;
}

/* The runs of all become one.  false: error set, or `why` has the reason. */
static bool join(side *s, char *why, size_t n)
{
  norn_state *st = s->st;
  norn_run **run = engine_get(st, s->f * sizeof *run);
  size_t k = 0;
  for (; run && k < s->f; k++) if (!(run[k] = begin(s, k))) break;
  if (run && k == s->f) {
    s->l = norn_lanes_plate(run, s->f, s->each);
    if (!s->l && !norn_error(st)->code) snprintf(why, n, "they differ in more than numbers");
  } else {
    for (size_t i = 0; run && i < k; i++) norn_run_free(run[i]);
  }
  engine_put(st, run, s->f * sizeof *run);
  return s->l != NULL;
}

/* The filters' weights on the GPU.  false: error set. */
static bool begin_there(side *s)
{
  norn_state *st = s->st;
  norn_datum engine = norn_get(s->one[0]->options);
  double threshold = 0;
  int how = 0;
  device_wish w;
  uint64_t *stream = engine_get(st, s->f * sizeof *stream);
  bool good = stream && !device_read(s->one[0], &w) && engine_option_real(st, engine, 2, &threshold) &&
              engine_option_choice(st, engine, 1, resample_names, RESAMPLE_COUNT, &how);
  for (size_t k = 0; good && k < s->f; k++) stream[k] = smc_stream(s->one[k]->self);
  if (good) s->gpu = segment_gpu_plate(s->on, (uint32_t)s->f, (uint32_t)s->n, (uint32_t)s->each, w.f32,
                                       (weigher_how)how, threshold, stream);
  engine_put(st, stream, s->f * sizeof *stream);
  return s->gpu != NULL;
}

/* The lanes' segments go to the compiler of the host, or to the GPU.  false: error set. */
static bool backend(side *s)
{
  if (s->on) return begin_there(s) && norn_lanes_defer(s->l, &segment_gpu_backend, s->gpu);
  s->code.cc = segment_cc_new(s->st, norn_crew_threads(s->st, 0), true);
  s->code.n = (uint32_t)s->n;
  s->code.logw = s->logw;
  return s->code.cc && norn_lanes_defer(s->l, &segment_cc_plate_backend, &s->code);
}

side *side_new(norn_infer *inf, gpu *g, norn_infer **one, size_t f, char *why, size_t n)
{
  norn_state *st = norn_infer_state(inf);
  int64_t each = 0;
  side *s = engine_get(st, sizeof *s);
  *why = 0;
  if (!s || !engine_option_int(st, norn_get(one[0]->options), 0, 1, &each)) {
    for (size_t k = 0; k < f; k++) norn_infer_free(one[k]);
    side_free(s);
    return NULL;
  }
  *s = (side){ .st = st, .on = g, .f = f, .n = (size_t)each, .start = infer_seconds() };
  s->each = lanes_of(s->n);
  bool good = room(s);
  for (size_t k = 0; k < f; k++) {
    if (s->one) s->one[k] = one[k];
    else norn_infer_free(one[k]);
  }
  if (good && join(s, why, n) && backend(s)) return s;
  side_free(s);
  return NULL;
}

/* ---- a leg ---- */

/* Filter k is at the end of the leg: what smc does there.  Other threads do other filters. */
static void barrier(void *of, int k)
{
  side *s = of;
  norn_infer *one = s->one[k];
  particles *p = smc_particles(one->self);
  particles_leg(p);
  ((on_side *)p)->copies = 0;
  p->met.observing = s->leg.observing ? s->n : 0;
  p->met.running = s->leg.running ? s->n : 0;
  s->step[k] = smc_barrier(one, one->self);
}

/* Copies of all filters, as lanes of all. */
static bool copy(side *s)
{
  size_t n = 0;
  for (size_t k = 0; k < s->f; k++) {
    const on_side *p = (const on_side *)smc_particles(s->one[k]->self);
    uint32_t base = (uint32_t)(k * s->each);
    for (size_t i = 0; i < p->copies; i++, n++) {
      s->to[n] = base + p->to[i];
      s->from[n] = base + p->from[i];
    }
  }
  return norn_lanes_copy(s->l, s->to, s->from, n);
}

static void ended(side *s)
{
  double share = (infer_seconds() - s->start) / (double)s->f;
  for (size_t k = 0; k < s->f; k++) {
    s->one[k]->done = true;
    s->one[k]->improper |= s->leg.improper;
    s->one[k]->start = infer_seconds() - share;
  }
}

/* Why the lanes did not go on. */
static void reason(const side *s, char *why, size_t n)
{
  norn_lanes_report r;
  char where[160];
  norn_lanes_look(s->l, &r);
  const char *what = r.not_generated[0] ? r.not_generated : r.why[0] ? r.why : "they part";
  norn_span at = r.not_where.file ? r.not_where : r.where;
  if (at.file) snprintf(why, n, "%s: %s", norn_span_text(s->st, at, where, sizeof where), what);
  else snprintf(why, n, "%s", what);
}

static norn_step died(char *why, size_t n)
{
  snprintf(why, n, "all particles of one of them died");
  return NORN_STEP_FAIL;
}

/* The same end of a leg on the GPU, which goes on by itself. */
static norn_step barrier_there(side *s, char *why, size_t n)
{
  bool last = !s->leg.running;
  if (segment_gpu_died(s->gpu, false)) return died(why, n);
  s->observed |= s->leg.observing > 0;
  void *map = segment_gpu_barrier(s->gpu, s->barriers, last);
  if (norn_error(s->st)->code) return NORN_STEP_FAIL;
  if (last && segment_gpu_died(s->gpu, true)) return died(why, n);
  if (last) return ended(s), NORN_STEP_DONE;
  s->barriers++;
  return norn_lanes_copy_map(s->l, map) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

norn_step side_step(side *s, char *why, size_t n)
{
  *why = 0;
  if (norn_lanes_next(s->l, s->code.scratch, &s->leg) != NORN_OBSERVE) {
    if (!norn_error(s->st)->code) snprintf(why, n, "an inference is inside of the model");
    return NORN_STEP_FAIL;
  }
  if (s->leg.apart) return reason(s, why, n), NORN_STEP_FAIL;
  if (s->gpu) return barrier_there(s, why, n);
  pool_run(segment_cc_pool(s->code.cc), (int)s->f, barrier, NULL, s);
  bool more = false;
  for (size_t k = 0; k < s->f; k++) {
    if (s->step[k] == NORN_STEP_FAIL) return died(why, n);
    more |= s->step[k] == NORN_STEP_MORE;
  }
  if (more) return copy(s) ? NORN_STEP_MORE : NORN_STEP_FAIL;
  ended(s);
  return NORN_STEP_DONE;
}

/* ---- the end ---- */

/* What has come of filter k there.  false: error set. */
static bool home(side *s, size_t k)
{
  norn_state *st = s->st;
  filters *there = segment_gpu_filters(s->gpu);
  size_t n = s->n;
  if (!s->told) {
    s->told = engine_get(st, s->f * sizeof *s->told);
    if (!s->told || filters_states(there, s->told)) return false;
  }
  double *logw = engine_get(st, n * sizeof *logw);
  uint16_t *of = engine_get(st, 4 * n * sizeof *of);
  filters_told *c = engine_get(st, sizeof *c);
  const filters_state *t = &s->told[k];
  bool good = logw && of && c && !filters_fetch(there, segment_gpu_weights(s->gpu), (uint32_t)k, logw, of, of + 2 * n) &&
              !filters_course(there, (uint32_t)k, c);
  smc_end end = { .barriers = s->barriers, .resamplings = t->resamplings, .left = t->left, .eves = t->eves,
                  .log_z = t->log_z, .least = t->least, .variance = t->variance,
                  .spread = { t->spread[0], t->spread[1] }, .apart = { t->apart[0], t->apart[1] },
                  .open = t->open, .second = t->second, .observed = s->observed, .logw = logw, .of = of };
  if (good) {
    end.n = c->n, end.stride = c->stride;
    end.barrier = c->barrier, end.ess = c->ess, end.evidence = c->evidence, end.ancestors = c->ancestors;
    end.eve = of + 2 * n;
    good = !smc_told(s->one[k], s->one[k]->self, &end);
  }
  engine_put(st, logw, n * sizeof *logw);
  engine_put(st, of, 4 * n * sizeof *of);
  engine_put(st, c, sizeof *c);
  return good;
}

norn_infer *side_one(side *s, size_t k) { return !s->gpu || home(s, k) ? s->one[k] : NULL; }

void side_drop(side *s, size_t k)
{
  norn_infer_free(s->one[k]);
  s->one[k] = NULL;
}
