/* imh: an engine in a shared object.  norn --load ./imh.so -e 'infer(..., imh(steps = 1000))'

   Independence Metropolis-Hastings (Tierney 1994): propose a fresh run of the whole program, accept
   it with probability min(1, w'/w), w the weight that its observations gave. */
#include <norn.h>
#include <math.h>

typedef struct { int64_t steps, at; double logw; norn_ref *value; norn_run *run; } imh;

static norn_status start(norn_infer *in, void *self)
{
  imh *e = self;
  norn_datum steps = norn_infer_option(in, 0);
  if (norn_kind_of(steps) != NORN_INT || steps.i < 1)
    return norn_fail(norn_infer_state(in), NORN_EDOMAIN, 0, "steps must be a positive integer");
  e->steps = steps.i;
  e->value = norn_keep(norn_infer_state(in), norn_none());
  return e->value ? NORN_OK : NORN_EMEMORY;
}

static bool accepts(norn_infer *in, const imh *e, double logw)
{
  norn_rng rng = { .stream = norn_infer_stream(in), .iter = (uint32_t)e->at, .event = UINT32_MAX };
  return norn_is_none(norn_get(e->value)) || log(norn_rng_uniform(&rng)) < logw - e->logw;
}

static norn_step step(norn_infer *in, void *self)
{
  imh *e = self;
  norn_event ev;
  if (!e->run) e->run = norn_infer_run(in, 0, (uint32_t)e->at, NORN_RUN_DRAW | NORN_RUN_SCORE);
  norn_event_kind kind = e->run ? norn_run_next(e->run, &ev) : NORN_ERROR;
  if (kind == NORN_INFER) return norn_infer_wait(in, e->run, &ev);   /* go on once answered */
  if (kind == NORN_ERROR) return NORN_STEP_FAIL;
  if (kind == NORN_DEAD) norn_infer_dead(in, ev.span);
  if (kind == NORN_DONE && accepts(in, e, norn_run_logw(e->run))) {
    e->logw = norn_run_logw(e->run);
    norn_set(e->value, ev.value);
  }
  e->run = (norn_run_free(e->run), NULL);
  norn_datum v = norn_get(e->value);
  if (!norn_is_none(v) && norn_infer_draw(in, v, 0)) return NORN_STEP_FAIL;
  return ++e->at < e->steps ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static void stop(norn_infer *in, void *self)
{
  (void)in;
  norn_run_free(((imh *)self)->run);
  norn_drop(((imh *)self)->value);
}

static const norn_option options[] = { { "steps", "1000", "proposals" } };
static const norn_engine engine = { .version = NORN_ENGINE_VERSION, .name = "imh",
  .doc = "Metropolis-Hastings with fresh runs as proposals.", .options = options, .noptions = 1,
  .size = sizeof(imh), .init = start, .step = step, .free = stop };

norn_status norn_plugin(norn_state *st);
norn_status norn_plugin(norn_state *st) { return norn_add_engines(st, &engine, 1); }
