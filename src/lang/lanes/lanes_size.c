/* lanes_size.c: lanes part by whole numbers (lanes.h).

   A size - repeat(0, n), for i in 0..n, a row of a table - must be one number for all lanes of a group: values of
   several lengths can't be joined.  So where lanes of simulated runs can't do an instruction that reads integers which
   differ between them, they part by these, one group for each value, before they would go alone: data of ten sizes are
   ten groups. */
#include "lang/lanes/lanes.h"
#include "lang/compile/flow.h"

/* Do all lanes have the same integer in *x?  Then it is that from here on; else *cells are theirs. */
static bool settled(group *g, val *x, const cell **cells)
{
  const cell *c = lane_cells(g, x->p);
  uint32_t k = 1;
  *cells = c;
  while (c && k < g->at->n && c[k].i == c->i) k++;
  if (!c || k < g->at->n) return false;
  *x = norn_int(c->i);
  return true;
}

static bool is_size(val x) { return v_is_lanes(x) && lanes_kind(x) == LANE_INT; }

lanes_sizes lanes_by_size(group *g)
{
  norn_run *r = g->run;
  const proto *p = v_clo(r->R[-1])->p;
  const cell *c = NULL, *differ = NULL;
  bool same = false;
  flow f;
  flow_of(p->code, (uint32_t)(r->pc - p->code), &f);
  for (int i = 0; i < f.nread + (f.n > 0 ? f.n : 0); i++) {
    val *x = r->R + (i < f.nread ? f.read[i] : f.from + i - f.nread);
    if (!is_size(*x)) continue;
    if (settled(g, x, &c)) same = true;
    else if (!c) return SIZES_FAILED;
    else if (!differ) differ = c;
  }
  if (same) return SIZES_SAME;
  if (!differ) return SIZES_NONE;
  if (!g->mask && !(g->mask = lane_buffer(g->all))) return SIZES_FAILED;
  for (uint32_t k = 0; k < g->at->n; k++) g->mask[k] = differ[k].i == differ->i;
  g->want = WANT_SPLIT;
  g->alone = false;
  g->sizes = true;
  return SIZES_PART;
}
