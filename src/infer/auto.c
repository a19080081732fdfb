/* auto: the printed rule of `infer(m)` without an engine.

   Up to PROBES runs from the prior look at the program; two of them, where the first met a choice that is not
   finite, with delays, and if these say all no more are needed.  If every choice they meet is finite and
   discrete and there seem to be at most LEAVES paths: enumerate.  If every choice can be delayed to the
   end (delay.h), so that a particle is an exact draw: smc(delayed = true).  If the model can be recorded as a
   density over R^n, its discrete choices summed out: nuts.  If observations come between choices (two
   or more of them, with a choice after the first): smc.  Otherwise mh.  Where rows get ready for many runs at
   once (ready.h: a language model), whose draws cost: enumerate if there are few paths, else smc, and probes go no
   further than that is known.  What was chosen and why goes to the host as a
   notice.  Lanes: probe i runs in lane i of a stream of its own, so the chosen engine's draws are
   the same as if it had been named. */
#include "infer/particles/delay.h"
#include "infer/infer.h"
#include <stdio.h>

enum { PROBES = 10 };
#define LEAVES 1e5

typedef struct probe {
  int i;
  uint64_t stream;
  norn_run *run;
  double leaves, most;
  bool finite, discrete, late, interleaved;
  bool asked, conjugate;              /* delay_throughout, and what it said */
  const char *ready;                  /* a row that gets ready, if one was met */
  int observes;
} probe;

static norn_status auto_init(norn_infer *inf, void *self)
{
  probe *e = self;
  e->finite = true;
  e->leaves = 1;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 2, 0);
  return NORN_OK;
}

/* Are all continuous choices the same in every run, others few enough to be summed out, and all
   derivatives known? */
static bool differentiable(norn_infer *inf)
{
  norn_state *st = norn_infer_state(inf);
  norn_density *d = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), 0);
  bool good = d && norn_density_dim(d) > 0;
  norn_density_free(d);
  norn_clear(st);
  return good;
}

/* Can every choice stay delayed?  Those runs count as probes. */
static bool conjugate_to_the_end(norn_infer *inf, probe *e)
{
  if (e->asked || e->finite || e->ready) return e->conjugate;
  e->asked = true;
  e->conjugate = delay_throughout(inf);
  e->i = e->conjugate || e->i + DELAY_PROBES > PROBES ? PROBES : e->i + DELAY_PROBES;
  return e->conjugate;
}

static norn_step auto_choose(norn_infer *inf, probe *e)
{
  norn_state *st = norn_infer_state(inf);
  bool conjugate = conjugate_to_the_end(inf, e);
  if (norn_error(st)->code) return NORN_STEP_FAIL;
  const norn_engine *to = e->finite && e->most <= LEAVES ? &engine_enumerate
    : conjugate || e->ready                              ? &engine_smc
    : !e->finite && differentiable(inf)                  ? &engine_nuts
    : e->interleaved                                     ? &engine_smc
                                                         : &engine_mh;
  if (to == &engine_enumerate)
    snprintf(inf->why, sizeof inf->why, "every choice is finite and there are about %.0f paths",
             e->most);
  else if (e->ready)
    snprintf(inf->why, sizeof inf->why, "what a %.24s needs is found for all particles at once", e->ready);
  else
    snprintf(inf->why, sizeof inf->why, "%s",
             conjugate            ? "all choices are conjugate: delayed sampling"
             : to == &engine_smc  ? "observations come between choices"
             : to == &engine_nuts ? e->discrete ? "derivatives are known and discrete choices can be "
                                                  "summed out"
                                                : "every choice is continuous and derivatives are known"
             : e->finite          ? "there are too many paths to enumerate"
                                  : "choices are not finite and come before the observations");
  inf->with = conjugate ? "delayed = true" : NULL;
  if (!inf->outer)
    norn_notice(st, "engine: %s(%s), as %s", to->name, inf->with ? inf->with : "", inf->why);
  norn_datum option[6] = { norn_none(), norn_none(), norn_none(), norn_none(), norn_none(), norn_bool(true) };
  norn_datum engine = norn_engine_new(st, to, option, conjugate ? 6 : 0);
  return norn_is_none(engine) || infer_become(inf, engine) ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

static bool auto_sample(norn_state *st, probe *e, const norn_event *ev)
{
  norn_datum v;
  double excess;
  int64_t n = engine_is_discrete(ev->dist) ? norn_dist_count(st, ev->dist) : -1;
  e->discrete |= engine_is_discrete(ev->dist);
  if (n < 0) e->finite = false;
  else e->leaves *= (double)n;
  if (e->observes) e->late = true;
  if (!engine_sample(st, e->run, ev, false, &v, &excess)) return false;
  norn_run_answer(e->run, v);
  return true;
}

static void auto_end(probe *e)
{
  norn_run_free(e->run);
  e->run = NULL;
  if (e->leaves > e->most) e->most = e->leaves;
  e->i++;
}

/* One probe a step.  A run whose prior draw fails somewhere is no reason to give up here. */
static norn_step auto_step(norn_infer *inf, void *self)
{
  probe *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_event ev;
  norn_step s;
  if (!e->run && e->i == 1) conjugate_to_the_end(inf, e);
  if (norn_error(st)->code) return NORN_STEP_FAIL;         /* interrupted */
  if (e->i == PROBES) return auto_choose(inf, e);
  if (!e->run) {
    e->run = norn_infer_run(inf, (uint32_t)e->i, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_READY);
    if (!e->run) return NORN_STEP_FAIL;
    norn_run_stream(e->run, e->stream, (uint32_t)e->i, 0);
    e->leaves = 1;
    e->observes = 0;
    e->late = false;
  }
  for (;;)
    switch (norn_run_next(e->run, &ev)) {
    case NORN_READY:
      e->ready = (ev.dist->row->ready ? ev.dist : ev.proposal)->row->name;
      e->ready += *e->ready == '_';
      if (norn_is_none(ev.value) && !engine_is_discrete(ev.dist)) e->finite = false;
      break;
    case NORN_SAMPLE:
      if (e->ready && (!e->finite || e->leaves > LEAVES)) {      /* seen enough */
        auto_end(e);
        e->i = PROBES;
        return NORN_STEP_MORE;
      }
      if (norn_dist_flags(ev.dist) & NORN_DIST_IMPROPER && !ev.proposal) {
        e->finite = false;                       /* it can't be drawn: nothing more is seen here */
        auto_end(e);
        return NORN_STEP_MORE;
      }
      if (!auto_sample(st, e, &ev)) return NORN_STEP_FAIL;
      if (e->leaves > 1e300) { auto_end(e); return NORN_STEP_MORE; }
      break;
    case NORN_OBSERVE:
      e->observes++;
      e->interleaved |= e->late;
      if (e->interleaved && !e->finite) { auto_end(e); return NORN_STEP_MORE; }   /* seen enough */
      break;
    case NORN_INFER:
      s = norn_infer_wait(inf, e->run, &ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    case NORN_DONE: case NORN_DEAD:
      norn_clear(st);
      auto_end(e);
      return NORN_STEP_MORE;
    default: return NORN_STEP_FAIL;
    }
}

static void auto_free(norn_infer *inf, void *self)
{
  probe *e = self;
  (void)inf;
  if (e->run) norn_run_free(e->run);
}

const norn_engine engine_auto = { .version = NORN_ENGINE_VERSION,
                                  .name = "auto",
                                  .doc = "Chooses an engine by looking at the program.",
                                  .size = sizeof(probe),
                                  .init = auto_init,
                                  .step = auto_step,
                                  .free = auto_free };
