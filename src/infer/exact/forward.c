/* forward: draws from the prior; observations are passed over.

   Lanes: draw i runs in lane i, iteration 0.  Choices are kept by address. */
#include "infer/particles/flock.h"
#include "infer/infer.h"

typedef struct forward { int64_t n, i; norn_run *run; flock flock; } forward;

static norn_status forward_init(norn_infer *inf, void *self)
{
  forward *e = self;
  if (!option_int(inf, 0, 1, &e->n)) return NORN_EDOMAIN;
  flock_wanted(inf, &e->flock, false);
  return NORN_OK;
}

/* One draw, from where its run stands. */
static norn_step forward_draw(norn_infer *inf, forward *e)
{
  norn_event ev;
  do {
    norn_step s = infer_next(inf, e->run, false, &ev);
    if (s != NORN_STEP_MORE) return s;
  } while (ev.kind == NORN_OBSERVE);
  if (ev.kind != NORN_DONE || norn_infer_draw(inf, ev.value, 0)) return NORN_STEP_FAIL;
  norn_run_free(e->run);
  e->run = NULL;
  e->i++;
  return NORN_STEP_MORE;
}

static norn_step forward_together(norn_infer *inf, forward *e)
{
  norn_step s = flock_step(inf, &e->flock, e->i, e->n - e->i, NORN_RUN_NAMES);
  if (s != NORN_STEP_DONE) return s;
  for (size_t i = 0; i < e->flock.s.n; i++)
    if (!flock_choices(&e->flock, i) || norn_infer_draw(inf, flock_value(&e->flock, i), 0)) return NORN_STEP_FAIL;
  e->i += (int64_t)e->flock.s.n;
  flock_end(&e->flock);
  return e->i < e->n ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step forward_step(norn_infer *inf, void *self)
{
  forward *e = self;
  if (e->flock.wanted) return forward_together(inf, e);
  for (int work = 0; work < 256 && e->i < e->n; work++) {
    if (!e->run)
      e->run = norn_infer_run(inf, (uint32_t)e->i, 0, NORN_RUN_NAMES | (e->i ? 0 : NORN_RUN_CHECK));
    if (!e->run) return NORN_STEP_FAIL;
    norn_step s = forward_draw(inf, e);
    if (s != NORN_STEP_MORE) return s;
  }
  return e->i < e->n ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static void forward_progress(norn_infer *inf, void *self, norn_progress *p)
{
  forward *e = self;
  (void)inf;
  p->done = (double)e->i;
  p->total = (double)e->n;
}

static void forward_free(norn_infer *inf, void *self)
{
  forward *e = self;
  if (e->run) norn_run_free(e->run);
  flock_free(inf, &e->flock);
}

static norn_status forward_archive(norn_infer *inf, void *self, norn_archive *a)
{
  forward *e = self;
  norn_archive_i64(a, &e->i);
  norn_archive_run(a, &e->run);
  flock_archive(inf, a, &e->flock, e->i, e->n - e->i, NORN_RUN_NAMES);
  return norn_archive_status(a);
}

static const norn_option forward_options[] = { { "n", "1000", "number of draws" } };

const norn_engine engine_forward = { .version = NORN_ENGINE_VERSION,
                                     .name = "forward",
                                     .doc = "Draws from the prior; observations are passed over.",
                                     .options = forward_options,
                                     .noptions = NORN_COUNT(forward_options),
                                     .flags = NORN_ENGINE_PRIOR,
                                     .size = sizeof(forward),
                                     .init = forward_init,
                                     .step = forward_step,
                                     .progress = forward_progress,
                                     .free = forward_free,
                                     .archive = forward_archive };
