/* ready.c: rows that get ready for many events at once (norn.h: norn_dist_row's `ready`).

   A driver of many runs steps them all with NORN_RUN_READY, gives those that stand at NORN_READY to
   norn_events_ready, and steps them on: what is slow is then asked for once, for all of them.  No result depends on
   it, so whoever does not know of it need do nothing. */
#include "lang/run.h"

/* All events of one row; room for two an event. */
typedef struct asking { norn_dist *d; norn_datum *x; norn_rng *g; int n; } asking;

/* The k-th distribution of an event that gets ready: the proposal or what is proposed for; NULL: there is none. */
static const norn_dist *asked(const norn_event *ev, int k)
{
  const norn_dist *d = ev->kind != NORN_READY ? NULL : k ? ev->proposal : ev->dist;
  return d && d->row->ready ? d : NULL;
}

/* Was the row of event i's k-th distribution asked before it? */
static bool was_asked(const norn_event *ev, int i, int k)
{
  const norn_dist_row *row = asked(&ev[i], k)->row;
  for (int j = 0; j <= i; j++)
    for (int m = 0; m < (j < i ? 2 : k); m++) {
      const norn_dist *d = asked(&ev[j], m);
      if (d && d->row == row) return true;
    }
  return false;
}

static norn_status ask(norn_state *st, asking *a, norn_run *const *runs, const norn_event *ev, int from, int n,
                       const norn_dist_row *row)
{
  a->n = 0;
  for (int i = from; i < n; i++)
    for (int k = 0; k < 2; k++) {
      const norn_dist *d = asked(&ev[i], k);
      if (!d || d->row != row) continue;
      a->d[a->n] = *d;
      a->x[a->n] = V_IS_HEAP(ev[i].value) ? runs[i]->value : ev[i].value;   /* it may have moved since */
      norn_run_rng(runs[i], &ev[i], &a->g[a->n++]);
    }
  norn_status s = row->ready(st, a->n, a->d, a->x, a->g);
  if (s) norn_error_place(st, ev[from].span);
  return s;
}

norn_status norn_want_home(norn_state *st)
{
  if (!st->home) return NORN_OK;
  state_at_home(st);
  return st->err.code;
}

bool norn_may_get_ready(norn_state *st) { return st->gets_ready; }

norn_status norn_events_ready(norn_state *st, norn_run *const *runs, const norn_event *ev, int n)
{
  size_t most = 2 * (size_t)n;
  int first = 0;
  norn_status s = NORN_OK;
  while (first < n && ev[first].kind != NORN_READY) first++;
  if (first == n) return NORN_OK;
  asking a = { mem_get(&st->mem, most * sizeof *a.d), mem_get(&st->mem, most * sizeof *a.x),
               mem_get(&st->mem, most * sizeof *a.g), 0 };
  if (!a.d || !a.x || !a.g) state_memory(st), s = st->err.code;
  for (int i = first; !s && i < n; i++)
    for (int k = 0; !s && k < 2; k++)
      if (asked(&ev[i], k) && !was_asked(ev + first, i - first, k))
        s = ask(st, &a, runs, ev, i, n, asked(&ev[i], k)->row);
  mem_put(&st->mem, a.d, a.d ? most * sizeof *a.d : 0);
  mem_put(&st->mem, a.x, a.x ? most * sizeof *a.x : 0);
  mem_put(&st->mem, a.g, a.g ? most * sizeof *a.g : 0);
  return s;
}
