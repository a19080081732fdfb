/* importance: each draw runs on its own from the prior (or from `via`) and carries as weight what
   its observations say (likelihood weighting).

   Lanes: draw i runs in lane i, iteration 0.  Evidence: the mean weight Z = sum w / n, its error
   from their spread: se(log Z) = sd(w) / (sqrt(n) Z).  Choices are kept by address.

   Where conjugate choices are delayed (delay.h), what is left to weigh is what they do not explain. */
#include "infer/delay.h"
#include "infer/infer.h"

typedef struct importance { int64_t n, i, alive; bool delay; norn_run *run; } importance;

static norn_status importance_init(norn_infer *inf, void *self)
{
  importance *e = self;
  return option_int(inf, 0, 1, &e->n) && delay_option(inf, 1, 1, &e->delay) ? NORN_OK : NORN_EDOMAIN;
}

static norn_step importance_end(norn_infer *inf, importance *e, norn_datum value, double logw)
{
  bool alive = logw > -HUGE_VAL;
  if (!alive) infer_forget_choices(inf);
  else if (!delay_choices(inf, e->run) || norn_infer_draw(inf, value, logw)) return NORN_STEP_FAIL;
  norn_run_free(e->run);
  e->run = NULL;
  e->i++;
  e->alive += alive;
  return NORN_STEP_MORE;
}

/* One draw, from where its run stands.  A dead one counts, but is not kept. */
static norn_step importance_draw(norn_infer *inf, importance *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_event ev;
  norn_datum v;
  double lw;
  norn_step s;
  for (;;)
    switch (norn_run_next(e->run, &ev)) {
    case NORN_SAMPLE:
      if (!engine_sample(st, e->run, &ev, true, &v, &lw)) return NORN_STEP_FAIL;
      norn_run_add_logw(e->run, lw);
      if (norn_infer_choice(inf, ev.addr, v)) return NORN_STEP_FAIL;
      norn_run_answer(e->run, v);
      break;
    case NORN_OBSERVE: break;                    /* weighed by the VM */
    case NORN_DEAD:
      norn_infer_dead(inf, ev.span);
      return importance_end(inf, e, norn_missing(), -HUGE_VAL);
    case NORN_INFER:
      s = norn_infer_wait(inf, e->run, &ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    case NORN_DONE:
      inf->improper |= (norn_run_flags_of(e->run) & NORN_RUN_IMPROPER) != 0;
      return importance_end(inf, e, ev.value, norn_run_logw(e->run));
    default: return NORN_STEP_FAIL;
    }
}

static norn_step importance_step(norn_infer *inf, void *self)
{
  importance *e = self;
  for (int work = 0; work < 256 && e->i < e->n; work++) {
    if (!e->run)
      e->run = norn_infer_run(inf, (uint32_t)e->i, 0,
                              NORN_RUN_SCORE | NORN_RUN_NAMES | (e->delay ? NORN_RUN_DELAY : 0) |
                                (e->i ? 0 : NORN_RUN_CHECK));
    if (!e->run) return NORN_STEP_FAIL;
    norn_step s = importance_draw(inf, e);
    if (s != NORN_STEP_MORE) return s;
  }
  if (e->i < e->n) return NORN_STEP_MORE;
  return e->alive ? NORN_STEP_DONE : blame_all_dead(norn_infer_state(inf), &inf->dead, "draw");
}

static norn_status importance_finish(norn_infer *inf, void *self)
{
  importance *e = self;
  double n = (double)e->n, ess = kish(inf->logw, inf->nlogw),
         z = log_sum(inf->logw, inf->nlogw) - log(n);
  norn_infer_evidence(inf, z, e->n > 1 ? sqrt((n / ess - 1) / (n - 1)) : NAN);
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
  p->done = (double)e->i;
  p->total = (double)e->n;
}

static void importance_free(norn_infer *inf, void *self)
{
  importance *e = self;
  (void)inf;
  if (e->run) norn_run_free(e->run);
}

static norn_status importance_archive(norn_infer *inf, void *self, norn_archive *a)
{
  importance *e = self;
  (void)inf;
  norn_archive_i64(a, &e->i);
  norn_archive_i64(a, &e->alive);
  norn_archive_run(a, &e->run);
  return norn_archive_status(a);
}

static const norn_option importance_options[] = {
  { "n", "10000", "number of weighted draws" }, DELAY_OPTION
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
