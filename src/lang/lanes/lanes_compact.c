/* lanes_compact.c: histories of lanes (lanes.h).  Of an older layout only the lanes that have
   descendants are kept, so that T steps of N lanes keep O(T + N log N) numbers and not T N (Jacob,
   Murray, Rubenthaler 2015, "Path storage in the particle filter").

       P0 <--map-- P1 <--map-- P2       lanes of P1 that P2's map names; then those of P0 that these do
      [x.xx..]    [xx.x..]    [xxxxxx]  -> vectors and maps close up, maps are numbered anew

   The youngest layouts are looked at every STEP resamplings, all of them when they have grown to twice
   what was left. */
#include "lang/lanes/lanes.h"
#include "num/lane_ops.h"
#include <string.h>

/* Vectors that a group that is gone had in its own layout. */
static void drop_others(norn_lanes *l, const layout *at)
{
  for (lane_vec *h = l->vecs; h; h = h->next)
    for (lane_vec **v = &h->also; *v;) {
      lane_vec *other = *v;
      if (other->at == at) {
        v = &other->also;
        continue;
      }
      *v = other->also;
      other->also = NULL;
      lane_vec_free(l, other);
    }
}

/* Which lanes of p = q->up have descendants in q, if it is worth it.  work: room for p->n. */
static void close_up(norn_lanes *l, layout *q, uint32_t *work)
{
  mem *mm = &l->st->mem;
  layout *p = q->up;
  uint32_t m = 0;
  memset(work, 0, p->n * sizeof *work);
  for (uint32_t k = 0; k < q->n; k++) work[q->map[k]] = 1;
  for (uint32_t i = 0; i < p->n; i++) m += work[i];
  if (m > p->n - p->n / 8) return;
  p->keep = mem_get(mm, ((size_t)m + LANE_PAD) * sizeof *p->keep);
  if (!p->keep) return;                          /* another time */
  for (uint32_t i = 0, j = 0; i < p->n; i++)
    if (work[i]) {
      p->keep[j] = i;
      work[i] = j++;
    }
  for (uint32_t k = 0; k < q->n; k++) q->map[k] = work[q->map[k]];
  for (uint32_t j = 0; p->map && j < m; j++) p->map[j] = p->map[p->keep[j]];
  if (p->map) memset(p->map + m, 0, LANE_PAD * sizeof *p->map);
  uint32_t *map = p->map ? mem_get(mm, ((size_t)m + LANE_PAD) * sizeof *map) : NULL;
  if (map) {
    memcpy(map, p->map, ((size_t)m + LANE_PAD) * sizeof *map);
    mem_put(mm, p->map, p->room * sizeof *map);
    p->map = map;
    p->room = m + LANE_PAD;
  }
  p->n = m;
}

/* In place, which can't fail; then to a place of its size, if there is one. */
static void close_vec(norn_lanes *l, lane_vec *h)
{
  uint32_t m = h->at->n;
  const uint32_t *keep = h->at->keep;
  for (uint32_t j = 0; j < m; j++) h->c[j] = h->c[keep[j]];
  cell *c = mem_get(&l->st->mem, ((size_t)m + LANE_PAD) * sizeof *c);
  if (!c) return;
  memcpy(c, h->c, m * sizeof *c);
  lane_cells_put(l, h);
  h->c = c;
  h->room = m + LANE_PAD;
}

void lanes_compact(norn_lanes *l)
{
  enum { STEP = 16, MANY = 32 };
  group *g = l->group[0];
  if (g->at->depth % STEP || l->kept < MANY || l->store) return;
  uint32_t *work = lanes_sweep(l, true) ? lane_buffer(l) : NULL;
  if (!work) {
    norn_clear(l->st);
    return;
  }
  drop_others(l, g->at);
  layout_forget(l, g->at);
  size_t all = 0, left = 0;
  for (layout *p = g->at->up; p; p = p->up) {
    layout_forget(l, p);
    all += p->n;
  }
  bool whole = all > 2 * l->history + (size_t)STEP * l->n;
  layout *q = g->at;
  for (; q->up && (whole || q->up->depth > l->old); q = q->up) close_up(l, q, work);
  for (lane_vec *h = l->vecs; h; h = h->next)
    if (h->at->keep) close_vec(l, h);
  for (layout *p = g->at->up; p; p = p->up) {
    mem_put(&l->st->mem, p->keep, p->keep ? ((size_t)p->n + LANE_PAD) * sizeof *p->keep : 0);
    p->keep = NULL;
    left += p->n;
  }
  l->old = g->at->depth - 1;
  if (whole) l->history = left;
  lane_buffer_put(l, work);
}
