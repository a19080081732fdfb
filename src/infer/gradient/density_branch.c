/* density_branch: branches on parameters, recorded both ways (density.h).

   A run that is recorded stands still before one.  Two forks of it go the ways, each with a weight of its own,
   until both have come to where they meet (norn_branch_ways); ways may choose and observe, and have branches of
   their own.  Behind it the run has, of what they have made, what its condition chooses, and so has the density of
   their terms: WHEN(c, term) and UNLESS(c, term).  So one recording serves both sides, in lanes and on a GPU too.
   The gradient is that of the way that is gone, as in Stan, where the one that is not gone is not computed; that the
   density jumps where they differ is told by watch.c.

   A branch leaves a guard as ever where that can't be: the ways make other choices or discrete ones, one fails or
   has what may be outside of its domain or a guard of its own, they differ in more than numbers, or one of them comes
   to the same branch again, as in a loop that ends by its condition. */
#include "infer/gradient/density_paths.h"
#include <string.h>

enum { DEEPEST = 64 };

/* A way that is being gone, in others. */
typedef struct way { const struct way *up; uint64_t branch; int depth; } way;

unsigned branches_flags(const norn_density *d)
{
  bool both = !d->block && d->branches != BRANCHES_NONE && !(d->flags & NORN_DENSITY_ROWS);
  return both ? NORN_RUN_BRANCHES : 0;
}

bool branches_less(recording *r)
{
  norn_density *d = r->d;
  if (!branches_flags(d) || (!r->t->g->nbranch && !r->odd)) return false;
  d->branches = d->branches == BRANCHES_BOTH && r->odd ? BRANCHES_PLAIN : BRANCHES_NONE;
  return true;
}

static bool is_guarded(const norn_density *d, uint64_t branch)
{
  for (size_t i = 0; i < d->nguarded; i++)
    if (d->guarded[i] == branch) return true;
  return false;
}

/* From the next recording on this branch leaves a guard, and this one is void. */
static norn_status turn(paths *s, uint64_t branch)
{
  norn_density *d = s->r->d;
  s->turned = true;
  if (!engine_room(d->st, &d->guarded, &d->cguarded, d->nguarded + 1, sizeof *d->guarded)) return NORN_EMEMORY;
  d->guarded[d->nguarded++] = branch;
  return NORN_OK;
}

/* ---- going ---- */

/* To the join.  *lost: it can't be had so; the error is cleared. */
static norn_status way_go(paths *s, path *w, bool *lost)
{
  norn_state *st = s->r->d->st;
  for (;;) {
    norn_status status = path_next(s, w);
    if (s->turned || s->forgotten != NOTHING || status == NORN_EMEMORY || status == NORN_EINTERRUPT) return status;
    *lost = status || (w->at != JOINED && w->at != WEIGHED && w->at != ANSWERED);
    if (status) norn_clear(st);
    if (*lost || w->at == JOINED) return NORN_OK;
    if (w->at == ANSWERED) norn_run_answer(w->run, norn_get(w->value));
    if (w->value) norn_drop(w->value);
    w->value = NULL;
    w->at = GOING;
  }
}

/* A path that goes way k of p's branch; *run is its, or freed. */
static norn_status way_start(paths *s, const path *p, norn_run *run, path *w)
{
  *w = (path){.run = run, .from = p->from, .pick = NOTHING, .nchoice = p->nchoice, .ev = p->ev};
  for (size_t i = 0; i < p->nknown; i++)
    if (!path_know(s, w, p->known[i])) return NORN_EMEMORY;
  return NORN_OK;
}

/* ---- meeting ---- */

typedef struct choosing { recording *r; norn_datum c; } choosing;

static norn_datum choose(void *user, norn_datum x, norn_datum y)
{
  choosing *k = user;
  norn_datum v = graph_choose(k->r->t->g, k->c, x, y);
  bool odd = v.tag == NORN_BOOL || (graph_is_node(v) && v.tag & (NODE_TRUTH | NODE_WHOLE));
  k->r->odd |= odd;
  return odd && k->r->d->branches >= BRANCHES_PLAIN ? norn_none() : v;
}

static bool has_term(const path *w, uint32_t node)
{
  for (size_t i = 0; i < w->nterm; i++)
    if (w->term[i] == node) return true;
  return false;
}

static bool give(paths *s, path *p, norn_datum lw, norn_span span)
{
  if (norn_is_none(lw)) return false;
  return path_alone(s, p) ? graph_target(s->r->t->g, lw, span) : path_weigh(s, p, lw);
}

/* What the ways weigh, to p: once what both have. */
static bool weights_join(paths *s, path *p, const path *w, norn_datum c, norn_span span)
{
  graph *g = s->r->t->g;
  for (int k = 0; k < 2; k++) {
    graph_op op = k ? G_UNLESS : G_WHEN;
    for (size_t i = 0; i < w[k].nterm; i++) {
      uint32_t node = w[k].term[i];
      norn_datum lw = paths_node(g, node);
      bool shared = has_term(&w[!k], node);
      if (shared && k) continue;
      if (!give(s, p, shared ? lw : graph_op2(g, op, c, lw), span)) return false;
    }
    double x = w[k].fixed;
    if (x == w[!k].fixed ? !k && x != 0 && !give(s, p, norn_real(x), span)
                         : x != 0 && !give(s, p, graph_op2(g, op, c, norn_real(x)), span))
      return false;
  }
  return true;
}

static norn_status ways_join(paths *s, path *p, path *w, norn_datum c, norn_span span, bool *lost)
{
  recording *r = s->r;
  norn_run *const run[2] = {w[0].run, w[1].run};
  choosing k = {r, c};
  *lost = w[0].nchoice != w[1].nchoice || !norn_branch_join(p->run, run, choose, &k);
  if (*lost) return norn_error(r->d->st)->code;
  p->nchoice = w[0].nchoice;
  bool good = graph_branched(r->t->g, c, span) && weights_join(s, p, w, c, span);
  return good ? NORN_OK : paths_memory(r->d->st);
}

static norn_status both_ways(paths *s, path *p, norn_run *const run[2], bool *lost)
{
  graph *g = s->r->t->g;
  uint64_t branch = p->ev.addr;
  norn_datum c = p->ev.value;
  graph_way *up = g->way;
  norn_span span = p->ev.span;
  size_t guards = g->nguard;
  bool partial = g->partial;
  path w[2] = {{0}, {0}};
  norn_status status = way_start(s, p, run[0], &w[0]), also = way_start(s, p, run[1], &w[1]);
  way here = {s->ways, branch, s->ways ? s->ways->depth + 1 : 1};
  if (!status) status = also;
  g->partial = false;
  s->ways = &here;
  for (int k = 0; k < 2 && !status && !*lost && !s->turned && s->forgotten == NOTHING; k++) {
    graph_way at = {.up = up, .c = c, .here = norn_none(), .negated = k == 1};
    g->way = &at;
    status = way_go(s, &w[k], lost);
    g->way = up;
  }
  s->ways = here.up;
  *lost |= g->partial || g->nguard > guards;
  g->partial = partial;
  if (!status && !*lost && !s->turned && s->forgotten == NOTHING) status = ways_join(s, p, w, c, span, lost);
  paths_free(s, &w[0]);
  paths_free(s, &w[1]);
  return status;
}

/* Is this branch on the way to itself, or too deep? */
static bool is_inside(const paths *s, uint64_t branch)
{
  bool inside = s->ways && s->ways->depth >= DEEPEST;
  for (const way *y = s->ways; y && !inside; y = y->up) inside = y->branch == branch;
  return inside;
}

norn_status path_branch(paths *s, path *p)
{
  norn_density *d = s->r->d;
  uint64_t branch = p->ev.addr;
  norn_run *run[2];
  bool lost = false;
  if (is_inside(s, branch)) return turn(s, branch);
  if (is_guarded(d, branch)) return norn_branch_guard(p->run), NORN_OK;
  if (!norn_branch_ways(p->run, run)) {
    norn_branch_guard(p->run);
    return norn_error(d->st)->code;
  }
  norn_status status = both_ways(s, p, run, &lost);
  return status || !lost ? status : turn(s, branch);
}
