/* forward: draws from the prior; observations are passed over.

   Lanes: draw i runs in lane i, iteration 0.  Choices are kept by address. */
#include "infer/infer.h"

typedef struct forward { int64_t n, i; norn_run *run; } forward;

static norn_status forward_init(norn_infer *inf, void *self)
{
  forward *e = self;
  return option_int(inf, 0, 1, &e->n) ? NORN_OK : NORN_EDOMAIN;
}

/* One draw, from where its run stands. */
static norn_step forward_draw(norn_infer *inf, forward *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_event ev;
  norn_datum v;
  double excess;
  norn_step s;
  for (;;)
    switch (norn_run_next(e->run, &ev)) {
    case NORN_SAMPLE:
      if (!engine_sample(st, e->run, &ev, false, &v, &excess)) return NORN_STEP_FAIL;
      if (norn_infer_choice(inf, ev.addr, v)) return NORN_STEP_FAIL;
      norn_run_answer(e->run, v);
      break;
    case NORN_OBSERVE: break;
    case NORN_INFER:
      s = norn_infer_wait(inf, e->run, &ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    case NORN_DONE:
      if (norn_infer_draw(inf, ev.value, 0)) return NORN_STEP_FAIL;
      norn_run_free(e->run);
      e->run = NULL;
      e->i++;
      return NORN_STEP_MORE;
    default: return NORN_STEP_FAIL;
    }
}

static norn_step forward_step(norn_infer *inf, void *self)
{
  forward *e = self;
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
  (void)inf;
  if (e->run) norn_run_free(e->run);
}

static norn_status forward_archive(norn_infer *inf, void *self, norn_archive *a)
{
  forward *e = self;
  (void)inf;
  norn_archive_i64(a, &e->i);
  norn_archive_run(a, &e->run);
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
