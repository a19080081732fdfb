/* simulate.c: runs that answer their observations with draws, and tell what they have drawn
   (NORN_RUN_SIMULATE).

   An observation's counter has an event word of its own, so that its numbers are others than those of a
   choice of the same address.  It does not depend on the file that the program stands in: files have other
   numbers in other processes. */
#include "lang/lanes/lanes.h"
#include <string.h>

enum { IN_PLACE = 0, FAILED = -1 };

void norn_simulate_attach(norn_state *st, bool (*met)(void *user, const norn_simulated *), void *user)
{
  st->simulated = met;
  st->simulated_user = user;
}

uint32_t norn_simulated_event(uint64_t addr, norn_span at, uint32_t before)
{
  return (uint32_t)hash_mix(hash_observation(addr, (norn_span){ .start = at.start }) + before);
}

int event_simulate(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, uint64_t addr, norn_span at,
                   unsigned flags, bool observed)
{
  norn_state *st = r->st;
  norn_simulated t = { .addr = addr, .span = at, .flags = flags, .observed = observed, .dist = d,
                      .lane = r->lane };
  bool tells = st->simulated && !(r->flags & NORN_RUN_MAKES);
  uint32_t event = observed ? norn_simulated_event(addr, at, r->nobserve) : (uint32_t)(addr ^ addr >> 32);
  (void)ev;
  if (r->flags & RUN_LANES) {
    if (!lanes_sample(r, dst, d, event, tells ? &t : NULL)) return FAILED;
  } else {
    norn_rng g = { r->stream, r->lane, event, r->iter, 0, st->pairs };
    if (norn_dist_sample(st, d, &g, &t.value)) return FAILED;
    if (tells && !st->simulated(st->simulated_user, &t)) return FAILED;
    *dst = t.value;
  }
  if (observed) r->nobserve++;
  else r->nsample++;
  r->nhold = 0;
  return IN_PLACE;
}

/* Tells of the model, of each lane.  false: error set. */
static bool tell_model(norn_run *r, val model)
{
  norn_state *st = r->st;
  group *g = r->flags & RUN_LANES ? st->lanes : NULL;
  norn_simulated t = { .lane = r->lane, .value = model };
  if (!st->simulated) return true;
  if (!g) return st->simulated(st->simulated_user, &t);
  for (uint32_t k = 0; k < g->at->n; k++) {
    t.lane = lane_number(g, k);
    t.value = lane_of(g, model, k);
    if (norn_is_none(t.value)) return false;
    if (!st->simulated(st->simulated_user, &t)) return g->want = WANT_ERROR, false;
  }
  return true;
}

int event_made(norn_run *r, const proto **p)
{
  val *W = r->stk + FRAME_SIZE, model = r->stk[0];
  *p = v_clo(r->stk[1])->p;
  if (model.tag != NORN_MODEL) return 0;
  r->flags &= ~(unsigned)NORN_RUN_MAKES;
  FRAME_SET(r->stk, run_halt_code, 0);
  r->R = W;
  r->iter++;
  r->nsample = r->nobserve = 0;
  r->stk[1] = ((const modl *)model.q)->a[0];
  *p = v_clo(r->stk[1])->p;
  if (!tell_model(r, model) || model_enter(r, W, model, 0, p)) return -1;
  return 1;
}
