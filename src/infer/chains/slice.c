/* slice: the engine slice_sampler, slice sampling of one coordinate after the other (Neal 2003,
   sections 4.1 and 4.2: stepping out and shrinkage), for models with a density over R^n.  It needs no
   gradient and no step size: densities with corners and jumps are no trouble, correlations are.

   A level below the density at the present point is drawn, an interval around the point is stepped out
   to both sides until its ends lie below the level, and points are drawn from it, shrinking it to where
   they fell outside, until one lies above.  The width of a first interval is learnt for each coordinate
   in the warm-up, from the size of its moves, and then stays.

   Random numbers: sweep k of chain c: the engine's stream, lane c, iteration k + 1; its start: 0. */
#include "infer/chains/chains.h"
#include "infer/infer.h"
#include "infer/chains/slice.h"
#include "num/rng.h"
#include <stdio.h>
#include <string.h>

enum { STARTS = 100, STEPS = 50 };

typedef struct slice {
  int64_t draws, warmup, thin, chains;
  uint64_t stream;
  slicer s;
  int chain;
  int64_t at;
  bool started;
} slice;

static norn_status slice_init(norn_infer *inf, void *self)
{
  slice *e = self;
  if (!option_int(inf, 0, 1, &e->draws) || !option_int(inf, 1, 0, &e->warmup) ||
      !option_int(inf, 2, 1, &e->thin) || !option_int(inf, 3, 1, &e->chains))
    return NORN_EDOMAIN;
  if (e->chains > 100000)
    return norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1, "chains of slice_sampler must be at most 100000");
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 10, 0);
  return NORN_OK;
}

static bool slice_record(norn_infer *inf, slice *e)
{
  norn_state *st = norn_infer_state(inf);
  e->s.d = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), 0);
  if (!e->s.d) return false;
  if (norn_density_dim(e->s.d) == 0)
    return engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "this model makes no choice that slice_sampler can "
                       "move"), false;
  return slicer_new(st, &e->s, norn_density_dim(e->s.d));
}

static norn_rng numbers(const slice *e, int64_t sweep)
{
  return (norn_rng){.stream = e->stream, .lane = (uint32_t)e->chain, .iter = (uint32_t)sweep};
}

/* A start where the density is not 0: draws of the prior. */
static bool slice_start(norn_infer *inf, slice *e)
{
  for (int i = 0; i < STARTS; i++) {
    norn_rng g = numbers(e, 0);
    g.event = (uint32_t)i;
    if (norn_density_prior(e->s.d, &g, e->s.u) ||
        norn_density_eval(e->s.d, e->s.u, &e->s.logp, NULL))
      return false;
    if (!(e->s.logp > -HUGE_VAL)) continue;
    slicer_start(&e->s);
    e->at = 0;
    return e->started = true;
  }
  engine_fail(norn_infer_state(inf), NORN_EINFER, norn_density_blame(e->s.d),
              "slice_sampler found no start: each of %d draws of the prior has density 0", STARTS);
  return false;
}

/* ---- sweeps ---- */

bool slicer_new(norn_state *st, slicer *e, int64_t n)
{
  e->n = n;
  e->u = engine_get(st, (size_t)(4 * e->n + 1) * sizeof *e->u);
  if (!e->u) return false;
  e->v = e->u + e->n;
  e->width = e->v + e->n;
  e->moved = e->width + e->n;
  return true;
}

void slicer_free(norn_state *st, slicer *e)
{
  if (e->u) engine_put(st, e->u, (size_t)(4 * e->n + 1) * sizeof *e->u);
  e->u = NULL;
}

void slicer_start(slicer *e)
{
  e->learnt = 0;
  for (int64_t k = 0; k < e->n; k++) {
    e->width[k] = 1;
    e->moved[k] = 0;
  }
}

/* Log density with coordinate k at x; false: error set. */
static bool at(slicer *e, int64_t k, double x, double *logp)
{
  e->v[k] = x;
  e->evaluations++;
  return norn_density_eval(e->d, e->v, logp, NULL) == NORN_OK;
}

/* One end of the interval, from x on by steps of w while it is above the level. */
static bool step_out(slicer *e, int64_t k, double w, double level, int steps, double *x)
{
  for (; steps > 0; steps--) {
    double logp;
    if (!at(e, k, *x, &logp)) return false;
    if (!(logp > level)) return true;
    *x += w;
  }
  return true;
}

static bool slice_one(slicer *e, int64_t k, norn_rng *g)
{
  double x = e->u[k], level = e->logp + log(rng_uniform(g)), w = e->width[k];
  double low = x - w * rng_uniform(g), high = low + w, logp, y;
  int left = (int)(STEPS * rng_uniform(g));              /* of STEPS in all: Neal's limit m */
  memcpy(e->v, e->u, (size_t)e->n * sizeof *e->v);
  if (!step_out(e, k, -w, level, left, &low) || !step_out(e, k, w, level, STEPS - 1 - left, &high))
    return false;
  for (;;) {
    y = low + (high - low) * rng_uniform(g);
    if (!at(e, k, y, &logp)) return false;
    if (logp > level || !(high - low > 1e-300) || y == x) break;
    if (y < x) low = y;
    else high = y;
  }
  if (!(logp > level)) { y = x; logp = e->logp; }
  e->moved[k] += fabs(y - x);
  e->u[k] = y;
  e->logp = logp;
  return true;
}

bool slicer_sweep(slicer *e, norn_rng *g, bool learn)
{
  for (int64_t k = 0; k < e->n; k++)
    if (!slice_one(e, k, g)) return false;
  if (!learn) return true;
  e->learnt++;
  /* a slice is some three times as wide as the mean move in it */
  for (int64_t k = 0; k < e->n && e->learnt >= 10; k++)
    if (e->moved[k] > 0) e->width[k] = 3 * e->moved[k] / (double)e->learnt;
  return true;
}

/* ---- the engine ---- */

static norn_step slice_sweep(norn_infer *inf, slice *e)
{
  norn_rng g = numbers(e, e->at + 1);
  if (!slicer_sweep(&e->s, &g, e->at < e->warmup)) return NORN_STEP_FAIL;
  e->at++;
  if (e->at <= e->warmup) return NORN_STEP_MORE;
  if ((e->at - e->warmup) % e->thin) return NORN_STEP_MORE;
  g = numbers(e, e->at);
  g.event = 300;
  norn_infer_chain(inf, e->chain);
  if (norn_infer_stat(inf, "lp", e->s.logp) || norn_density_draw(e->s.d, inf, e->s.u, 0, &g))
    return NORN_STEP_FAIL;
  return NORN_STEP_MORE;
}

static norn_step slice_step(norn_infer *inf, void *self)
{
  slice *e = self;
  if (!e->s.d) return slice_record(inf, e) ? NORN_STEP_MORE : NORN_STEP_FAIL;
  int64_t limit = e->s.evaluations + 1000;
  while (e->s.evaluations < limit) {
    if (!e->started && !slice_start(inf, e)) return NORN_STEP_FAIL;
    norn_step step = slice_sweep(inf, e);
    if (step != NORN_STEP_MORE) return step;
    if (e->at < e->warmup + e->draws * e->thin) continue;
    e->started = false;
    if (++e->chain == e->chains) return NORN_STEP_DONE;
  }
  return NORN_STEP_MORE;
}

static norn_status slice_finish(norn_infer *inf, void *self)
{
  slice *e = self;
  norn_infer_note(inf, "evaluations", norn_int(e->s.evaluations));
  if (e->s.d && density_note_summed(e->s.d, inf)) return NORN_EMEMORY;
  return chains_report(inf, (int)e->chains, e->draws, "nuts(), if correlations are strong");
}

static void slice_progress(norn_infer *inf, void *self, norn_progress *p)
{
  slice *e = self;
  double each = (double)(e->warmup + e->draws * e->thin);
  (void)inf;
  p->done = each * e->chain + (double)e->at * (e->chain < e->chains);
  p->total = each * (double)e->chains;
  if (e->chain < e->chains)
    snprintf(p->state, sizeof p->state, "chain %d%s", e->chain + 1,
             e->at < e->warmup ? ", warm-up" : "");
}

static void slice_free(norn_infer *inf, void *self)
{
  slice *e = self;
  slicer_free(norn_infer_state(inf), &e->s);
  norn_density_free(e->s.d);
}

bool slicer_archive(norn_archive *a, slicer *s)
{
  int64_t n = s->n;
  norn_archive_i64(a, &n);
  if (n != s->n) return norn_archive_fail(a, "its density has another dimension");
  return norn_archive_bytes(a, s->u, (size_t)(4 * n) * sizeof *s->u) && norn_archive_f64(a, &s->logp) &&
         norn_archive_i64(a, &s->learnt) && norn_archive_i64(a, &s->evaluations);
}

static norn_status slice_archive(norn_infer *inf, void *self, norn_archive *a)
{
  slice *e = self;
  bool recorded = e->s.d != NULL;
  if (!norn_archive_bool(a, &recorded) || !recorded) return norn_archive_status(a);
  if (norn_archive_reading(a) && !slice_record(inf, e)) return norn_error(norn_infer_state(inf))->code;
  slicer_archive(a, &e->s);
  norn_archive_int(a, &e->chain);
  norn_archive_i64(a, &e->at);
  norn_archive_bool(a, &e->started);
  return norn_archive_status(a);
}

static const norn_option slice_options[] = {
  {"draws", "1000", "draws kept of each chain"},
  {"warmup", "500", "sweeps before, in which widths are learnt"},
  {"thin", "1", "sweeps from draw to draw"},
  {"chains", "4", "chains, each from a draw of the prior"},
};

const norn_engine engine_slice = {
  .version = NORN_ENGINE_VERSION, .name = "slice_sampler",
  .doc = "Slice sampling, one coordinate after the other: for densities with corners and jumps.",
  .options = slice_options, .noptions = NORN_COUNT(slice_options), .size = sizeof(slice),
  .init = slice_init, .step = slice_step, .finish = slice_finish, .progress = slice_progress,
  .free = slice_free, .archive = slice_archive};
