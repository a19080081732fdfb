/* simulate.c: runs that answer their observations with draws, and tell what they have drawn
   (NORN_RUN_SIMULATE).

   An observation's counter has an event word of its own, so that its numbers are others than those of a
   choice of the same address.  It does not depend on the file that the program stands in: files have other
   numbers in other processes. */
#include "lang/lanes/lanes.h"
#include "lang/value/array.h"
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

/* ---- the model that was made ---- */

/* Places in one lane's copy of a model where other lanes have other numbers, and the columns of these. */
typedef struct hole { cell *to; const cell *from; } hole;
typedef struct holes { group *g; hole *at; size_t n, room; } holes;

static bool hole_add(holes *h, void *to, val lanes)
{
  const cell *from = lane_cells(h->g, lanes.p);
  if (!from || !mem_grow(&h->g->run->st->mem, &h->at, &h->room, h->n + 1, sizeof *h->at)) return false;
  h->at[h->n++] = (hole){ to, from };
  return true;
}

/* Those of a vector.  false: it is not one of reals, or of integers, alone; or no memory. */
static bool holes_of_vector(holes *h, val x, val copy)
{
  norn_state *st = h->g->run->st;
  if (v_vec(x)->len == 0) return true;
  if (copy.tag != NORN_ARRAY || vec_rank(v_vec(x)) != 1 || vec_rank(v_vec(copy)) != 1 || v_vec(copy)->b->parent)
    return false;
  unsigned elem = vec_elem(v_vec(copy)), kind = elem == NORN_F64 ? LANE_REAL : LANE_INT;
  cell *to = vec_elems(v_vec(copy));
  if (elem != NORN_F64 && elem != NORN_I64) return false;
  for (int64_t i = 0; i < v_vec(x)->len; i++) {
    val e = vec_at(st, v_vec(x), i);
    if (v_is_lanes(e) && (lanes_kind(e) != kind || !hole_add(h, to + i, e))) return false;
  }
  return true;
}

static bool holes_of(holes *h, val model, val copy)
{
  const val *x = ((const modl *)model.q)->a;
  val *y = ((modl *)copy.q)->a;
  for (uint32_t i = 0; i < ((const obj *)model.q)->n; i++) {
    if (!lanes_inside(x[i])) continue;
    bool good = v_is_lanes(x[i])         ? hole_add(h, &y[i].i, x[i])
                : x[i].tag == NORN_ARRAY ? holes_of_vector(h, x[i], y[i])
                                         : false;
    if (!good) return false;
  }
  return true;
}

/* Tells of the model of each lane: all in one copy, if numbers and vectors of them are all that differs. */
static bool tell_lanes(norn_run *r, norn_simulated *t, val model)
{
  norn_state *st = r->st;
  group *g = st->lanes;
  holes h = { .g = g };
  val first = lane_of(g, model, 0);
  bool good = !norn_is_none(first), alike = good && holes_of(&h, model, first);
  for (uint32_t k = 0; good && k < g->at->n; k++) {
    t->lane = lane_number(g, k);
    t->value = first;
    if (!alike && k > 0) t->value = lane_of(g, model, k);
    for (size_t i = 0; alike && i < h.n; i++) *h.at[i].to = h.at[i].from[k];
    if (norn_is_none(t->value)) good = false;
    else if (!st->simulated(st->simulated_user, t)) g->want = WANT_ERROR, good = false;
  }
  mem_put(&st->mem, h.at, h.room * sizeof *h.at);
  return good;
}

/* false: error set. */
static bool tell_model(norn_run *r, val model)
{
  norn_simulated t = { .lane = r->lane, .value = model };
  if (!r->st->simulated) return true;
  return r->flags & RUN_LANES ? tell_lanes(r, &t, model) : r->st->simulated(r->st->simulated_user, &t);
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
