/* event_fast.h: the commonest events, answered without leaving the loop of vm.c: a scalar family
   drawn from the prior, asked outside, or observed and scored.  Where a function says false, the
   event is not this simple: event.c decides, and finds the errors. */
#ifndef NORN_LANG_EVENT_FAST_H
#define NORN_LANG_EVENT_FAST_H
#include "lang/run.h"
#include <math.h>

/* A scalar distribution's parameters as doubles; false unless all are numbers. */
static inline bool scalars(const val *a, int n, double *p)
{
  for (int i = 0; i < n; i++) {
    if (V_IS_REAL(a[i])) p[i] = a[i].d;
    else if (V_IS_INT(a[i])) p[i] = (double)a[i].i;
    else return false;
  }
  return true;
}

static inline val outcome(const norn_dist_row *row, double x)
{
  if (!(row->flags & NORN_DIST_DISCRETE)) return norn_real(x);
  return row->flags & NORN_DIST_BOOL ? norn_bool(x != 0) : norn_int((int64_t)x);
}

/* A choice that needs nothing but its parameters: a scalar family, no scope, no lanes. */
static inline bool is_plain(const norn_run *r, const norn_dist_row *row, const val *a, int n,
                            double *p)
{
  int which;
  return !(r->flags & (NORN_RUN_CHECK | NORN_RUN_DELAY | NORN_RUN_SIMULATE | NORN_RUN_ASKS | RUN_LANES)) &&
         !r->rare &&
         row->sample1 && scalars(a, n, p) && !row->check1(p, &which);
}

/* Drawn from the prior, no names wanted. */
static inline bool draw_fast(norn_run *r, const norn_dist_row *row, val *a, int n, uint64_t comp)
{
  double p[NORN_DIST_P];
  if ((r->flags & (NORN_RUN_DRAW | NORN_RUN_NAMES)) != NORN_RUN_DRAW || !is_plain(r, row, a, n, p)) return false;
  uint64_t addr = addr_event(r->addr, comp);
  norn_rng g = {r->stream, r->lane, (uint32_t)(addr ^ addr >> 32), r->iter, 0, r->st->pairs};
  double x = row->sample1(p, &g);
  bool fits = x < 0x1p62 && x > -0x1p62;
  if (row->flags & NORN_DIST_DISCRETE && !fits) return false;      /* no integer holds it */
  *a = outcome(row, x);
  r->nsample++;
  return true;
}

/* A scalar family that is to be answered outside: its parameters are checked here. */
static inline bool ask_fast(norn_run *r, const norn_dist_row *row, const val *a, int n)
{
  double p[NORN_DIST_P];
  if (r->flags & NORN_RUN_DRAW || !is_plain(r, row, a, n, p)) return false;
  r->d1.row = row;
  r->d1.args = a;
  r->d1.n = n;
  r->d2.row = NULL;
  return true;
}

/* The observed value stands behind the parameters. */
static inline bool score_fast(norn_run *r, const norn_dist_row *row, val *a, int n)
{
  double p[NORN_DIST_P], y;
  int which;
  if ((r->flags & (NORN_RUN_SCORE | RUN_REPLACED)) != NORN_RUN_SCORE || !row->logp1 ||
      !scalars(a, n, p))
    return false;
  if (V_IS_REAL(a[n]) && !(row->flags & NORN_DIST_DISCRETE)) y = a[n].d;
  else if (V_IS_INT(a[n])) y = (double)a[n].i;
  else if (V_IS_BOOL(a[n]) && row->flags & NORN_DIST_BOOL) y = (double)a[n].i;
  else return false;
  if (row->check1(p, &which)) return false;
  double lp = row->logp1(y, p);
  if (!(lp > -INFINITY)) return false;
  r->logw += lp;
  r->nobserve++;
  *a = a[n];
  return true;
}

/* The event that ask_fast made; the answer goes to where the parameters start. */
static inline norn_event_kind asked(norn_run *r, norn_event *ev, uint64_t comp, uint64_t span)
{
  r->wait = WAIT_SAMPLE;
  r->answered = false;
  r->ans = r->hold;
  ev->kind = NORN_SAMPLE;
  ev->flags = 0;
  ev->addr = addr_event(r->addr, comp);
  if (r->flags & NORN_RUN_NAMES) addr_note(r->st, ev->addr, r->addr, comp);
  ev->ordinal = r->nsample++;
  ev->count = 1;
  ev->dist = &r->d1;
  ev->proposal = NULL;
  ev->value = ev->engine = norn_none();
  ev->span = span_unpack(span);
  return NORN_SAMPLE;
}

/* A stop after an observation that score_fast has scored. */
static inline norn_event_kind scored(norn_run *r, norn_event *ev, val y, uint64_t span)
{
  r->wait = WAIT_NONE;
  run_next_iteration(r);
  if (NORN_UNLIKELY(V_IS_HEAP(y))) {
    r->value = y;
    r->rare = true;
  }
  ev->kind = NORN_OBSERVE;
  ev->flags = 0;
  ev->addr = 0;
  ev->ordinal = r->nobserve - 1;
  ev->count = 1;
  ev->dist = ev->proposal = NULL;
  ev->value = y;
  ev->engine = norn_none();
  ev->span = span_unpack(span);
  return NORN_OBSERVE;
}

/* The registers that are roots while the event waits. */
static inline void hold(norn_run *r, uint32_t first, int n, bool dist_in_reg)
{
  r->hold = first;
  r->nhold = (uint32_t)n;
  r->dist_in_reg = dist_in_reg;
}
#endif
