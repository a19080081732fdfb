/* guide_nest_least.c: the fewest tokens from a set of stacks to acceptance, exactly.

   Tokens do not respect machines: one may end a string, a list and an object.  So what a machine does to the count
   of tokens is not a number but depends on where in a token the text is when it begins, and when it ends: a place
   is a node of the vocabulary's trie, its root between tokens.  Of these:

       way(q, u)       from state q of a machine, the text being at place u: to which places v the machine's end
                       can be brought, with how few tokens completed on the way
       past(S, u)      the same from where a machine has ended at place u above the set S, to the empty stack
       least(S, u)     past(S, u) at the root: the text is finished between two tokens

       way(q, u)   walks the trie below u from q on the empty stack: v, 0 for each node v at which the machine may have
                   ended; and 1 + past(T, root) for each set T to which a token leads
       past(S, u)  u, 0 if the empty stack is in S; and for each item q above R of S: c + past(R, v) for each v, c of
                   way(q, u)

   So a mask admits a token only if acceptance is in reach, and every token from which it is: both are exact, for any
   vocabulary.  Bytes are only an upper bound (where all are tokens), by which most masks need not ask.

   Costs are at least 0, and the least solution is found by going round until nothing changes (Knuth 1977, "A
   generalization of Dijkstra's algorithm", has such systems).  Of places only those matter at which some state that
   stands behind a call can go on, which are few.  least() of what texts come to has numbers instead of places. */
#include "llm/guide/guide_in.h"
#include <limits.h>
#include <string.h>

enum { UNKNOWN = -1, NEVER = INT_MAX / 4, VARIABLES = 400000, ENTRIES = 1 << 24 };
#define VISITS ((uint64_t)400000000)

typedef struct ways { nest_way *v; size_t n, cap; } ways;
/* way(q, node), or past(q: the set, node). */
typedef struct variable {
  int32_t q, node;
  ways is;
  ways base;                             /* of way: what does not depend on others */
  int32_t *kind; int nkind;              /* of way: sets T */
} variable;
typedef struct variables { variable *v; int n; size_t cap; int32_t *table; size_t table_n; } variables;
typedef struct cell { int32_t set, node, least; } cell;      /* set 0: free */

struct nest_least {
  variables way, past;
  uint64_t after;                        /* groups of bytes with which some state behind a call goes on */
  cell *cell; size_t ncell, cell_cap;
  bool settled;
  uint64_t visits;                       /* nodes of the trie */
};

static bool no_memory(nest *s)
{
  norn_fail(s->of->of->st, NORN_EMEMORY, -1, "out of memory");
  return false;
}

static bool too_dear(nest *s, int q)
{
  nest_too_large(s, q, "the fewest tokens with which a text can be finished take too long to find",
                 "with a larger max they are not needed before the text is nearly that long");
  return false;
}

/* ---- variables ---- */

static bool rehash(nest *s, variables *x)
{
  size_t n = x->table_n ? 2 * x->table_n : 64;
  int32_t *t = mem_get(s->m, n * sizeof *t);
  if (!t) return no_memory(s);
  memset(t, -1, n * sizeof *t);
  mem_put(s->m, x->table, x->table_n * sizeof *t);
  x->table = t;
  x->table_n = n;
  for (int k = 0; k < x->n; k++) {
    size_t h = hash_mix((uint64_t)x->v[k].q << 32 | (uint32_t)x->v[k].node) & (n - 1);
    while (t[h] >= 0) h = (h + 1) & (n - 1);
    t[h] = k;
  }
  return true;
}

/* The variable, made if need be (*is_new); -1: error set. */
static int find(nest *s, variables *x, int q, int node, bool *is_new)
{
  *is_new = false;
  if (2 * ((size_t)x->n + 1) >= x->table_n && !rehash(s, x)) return -1;
  size_t h = hash_mix((uint64_t)q << 32 | (uint32_t)node) & (x->table_n - 1);
  for (; x->table[h] >= 0; h = (h + 1) & (x->table_n - 1))
    if (x->v[x->table[h]].q == q && x->v[x->table[h]].node == node) return x->table[h];
  if (!mem_grow(s->m, &x->v, &x->cap, (size_t)x->n + 1, sizeof *x->v)) return no_memory(s) - 1;
  x->v[x->n] = (variable){ .q = q, .node = node };
  x->table[h] = x->n;
  *is_new = true;
  return x->n++;
}

/* w may end at a place with a cost; *more where that is less than was known. */
static bool add_way(nest *s, ways *w, int node, int cost, bool *more)
{
  size_t lo = 0, hi = w->n;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (w->v[mid].node < node) lo = mid + 1;
    else hi = mid;
  }
  if (cost >= NEVER) return true;
  if (lo < w->n && w->v[lo].node == node) {
    if (w->v[lo].cost <= cost) return true;
    w->v[lo].cost = cost;
    return *more = true;
  }
  if (!mem_grow(s->m, &w->v, &w->cap, w->n + 1, sizeof *w->v)) return no_memory(s);
  memmove(w->v + lo + 1, w->v + lo, (w->n - lo) * sizeof *w->v);
  w->v[lo] = (nest_way){ node, cost };
  w->n++;
  return *more = true;
}

static bool add_ways(nest *s, ways *w, const ways *from, int cost, bool *more)
{
  for (size_t k = 0; k < from->n; k++)
    if (!add_way(s, w, from->v[k].node, from->v[k].cost + cost, more)) return false;
  return true;
}

/* ---- way ---- */

static bool useful(const nest *s, int node) { return s->of->of->guides->node[node].kids & s->least->after; }

static bool take_kinds(nest *s, variable *w, const int32_t *kind, int n)
{
  w->kind = mem_get(s->m, (size_t)n * sizeof *w->kind);
  if (n && !w->kind) return no_memory(s);
  if (n) memcpy(w->kind, kind, (size_t)n * sizeof *kind);
  w->nkind = n;
  return true;
}

static bool take_ended(nest *s, variable *w, const nest_nodes *ended)
{
  bool more;
  for (size_t k = 0; k < ended->n; k++)
    if (useful(s, ended->v[k]) && !add_way(s, &w->base, ended->v[k], 0, &more)) return false;
  return true;
}

/* From a place inside of a token. */
static bool walk_below(nest *s, variable *w, int set)
{
  struct lm_guides *g = s->of->of->guides;
  nest_nodes ended = { 0 };
  int n = nest_walk(s, w->node, set, &ended), kinds = 0;
  int32_t *kind = n > 0 ? mem_get(s->m, (size_t)n * sizeof *kind) : NULL;
  bool ok = n == 0 || (n > 0 && (kind || no_memory(s)));
  for (int k = 0; k < n && ok; k++) {
    bool there = false;
    for (int j = 0; j < kinds && !there; j++) there = kind[j] == g->span[k].state;
    if (!there) kind[kinds++] = g->span[k].state;
  }
  ok = ok && take_kinds(s, w, kind, kinds) && take_ended(s, w, &ended);
  if (n > 0) mem_put(s->m, kind, (size_t)n * sizeof *kind);
  mem_put(s->m, ended.v, ended.cap * sizeof *ended.v);
  return ok;
}

static bool way_new(nest *s, variable *w)
{
  bool more;
  int set = nest_one(s, w->q, NEST_END);
  if (set < 0) return false;
  if (s->set[set].end && !add_way(s, &w->base, w->node, 0, &more)) return false;
  bool ok = true;
  if (set != NEST_END && w->node == 0) {
    const nest_local *l = nest_local_of(s, w->q);
    ok = l && take_kinds(s, w, l->kind, l->nkind) && take_ended(s, w, &l->ended);
  } else if (set != NEST_END) {
    ok = walk_below(s, w, set);
  }
  return ok && add_ways(s, &w->is, &w->base, 0, &more);
}

/* -1: error set. */
static int way_of(nest *s, int q, int node)
{
  struct nest_least *e = s->least;
  bool is_new;
  int k = find(s, &e->way, q, node, &is_new);
  if (k < 0 || !is_new) return k;
  e->settled = false;
  if (e->way.n > VARIABLES || e->visits > VISITS) return too_dear(s, q) - 1;
  uint64_t before = s->visits;
  bool ok = way_new(s, &e->way.v[k]);
  e->visits += s->visits - before;
  return ok ? k : -1;
}

static int past_of(nest *s, int set, int node)
{
  bool is_new, more;
  struct nest_least *e = s->least;
  int k = find(s, &e->past, set, node, &is_new);
  if (k < 0 || !is_new) return k;
  e->settled = false;
  if (e->past.n > VARIABLES) return too_dear(s, s->item[s->set[set].at].q) - 1;
  return !s->set[set].end || add_way(s, &e->past.v[k].is, node, 0, &more) ? k : -1;
}

/* ---- going round ---- */

static bool settle_way(nest *s, int k, bool *more)
{
  struct nest_least *e = s->least;
  for (int i = 0; i < e->way.v[k].nkind; i++) {
    int past = past_of(s, e->way.v[k].kind[i], 0);
    if (past < 0 || !add_ways(s, &e->way.v[k].is, &e->past.v[past].is, 1, more)) return false;
  }
  return true;
}

static bool settle_past(nest *s, int k, bool *more)
{
  struct nest_least *e = s->least;
  int set = e->past.v[k].q, node = e->past.v[k].node;
  for (uint32_t i = 0; i < s->set[set].n; i++) {
    nest_item x = s->item[s->set[set].at + i];
    int w = way_of(s, x.q, node);
    if (w < 0) return false;
    for (size_t j = 0; j < e->way.v[w].is.n; j++) {
      nest_way to = e->way.v[w].is.v[j];
      if (x.below == NEST_END) {
        if (!add_way(s, &e->past.v[k].is, to.node, to.cost, more)) return false;
        continue;
      }
      int past = past_of(s, x.below, to.node);
      if (past < 0) return false;
      if (past != k && !add_ways(s, &e->past.v[k].is, &e->past.v[past].is, to.cost, more)) return false;
    }
  }
  return true;
}

static bool settle(nest *s)
{
  struct nest_least *e = s->least;
  uint64_t entries = 0;
  for (bool more = true; more;) {
    more = false;
    for (int k = 0; k < e->past.n; k++) {
      if (!settle_past(s, k, &more)) return false;
      entries += e->past.v[k].is.n + 1;
    }
    for (int k = 0; k < e->way.n; k++) {
      if (!settle_way(s, k, &more)) return false;
      entries += e->way.v[k].is.n + (size_t)e->way.v[k].nkind;
    }
    if (entries > ENTRIES) return too_dear(s, e->way.v[0].q);
    if (!more && !e->settled) more = e->settled = true;          /* variables were made: round once more */
  }
  return true;
}

/* ---- what texts come to ---- */

static size_t cell_at(const struct nest_least *e, int set, int node)
{
  size_t h = hash_mix((uint64_t)set << 32 | (uint32_t)node) & (e->cell_cap - 1);
  while (e->cell[h].set && (e->cell[h].set != set || e->cell[h].node != node)) h = (h + 1) & (e->cell_cap - 1);
  return h;
}

static bool cell_room(nest *s)
{
  struct nest_least *e = s->least;
  if (2 * (e->ncell + 1) < e->cell_cap) return true;
  struct nest_least old = *e;
  size_t cap = e->cell_cap ? 2 * e->cell_cap : 256;
  cell *t = mem_zero(s->m, cap * sizeof *t);
  if (!t) return no_memory(s);
  e->cell = t;
  e->cell_cap = cap;
  for (size_t k = 0; k < old.cell_cap; k++)
    if (old.cell[k].set) t[cell_at(e, old.cell[k].set, old.cell[k].node)] = old.cell[k];
  mem_put(s->m, old.cell, old.cell_cap * sizeof *t);
  return true;
}

/* NEVER; NEST_ERROR: error set. */
static int least_of(nest *s, int set, int node)
{
  struct nest_least *e = s->least;
  if (set == NEST_END) return node == 0 ? 0 : NEVER;
  if (e->cell_cap) {
    size_t h = cell_at(e, set, node);
    if (e->cell[h].set) return e->cell[h].least;
  }
  int best = s->set[set].end && node == 0 ? 0 : NEVER;
  for (uint32_t k = 0; k < s->set[set].n; k++) {
    nest_item x = s->item[s->set[set].at + k];
    int w = way_of(s, x.q, node);
    if (w < 0 || (!e->settled && !settle(s))) return NEST_ERROR;
    for (size_t j = 0; j < e->way.v[w].is.n; j++) {
      nest_way to = e->way.v[w].is.v[j];
      if (to.cost >= best) continue;
      int rest = least_of(s, x.below, to.node);
      if (rest == NEST_ERROR) return NEST_ERROR;
      if (to.cost + rest < best) best = to.cost + rest;
    }
  }
  if (!cell_room(s)) return NEST_ERROR;
  e->cell[cell_at(e, set, node)] = (cell){ set, node, best };
  e->ncell++;
  return best;
}

static struct nest_least *begin(nest *s)
{
  const grammar *g = s->g;
  struct nest_least *e = mem_zero(s->m, sizeof *e);
  if (!e) return no_memory(s), NULL;
  e->settled = true;
  for (size_t k = 0; k < g->ncall; k++)
    if (g->call[k].to >= 0) e->after |= g->first[g->call[k].to];
  return s->least = e;
}

int nest_least(nest *s, int set)
{
  if (!s->least && !begin(s)) return NEST_ERROR;
  int d = least_of(s, set, 0);
  if (d == NEST_ERROR) nest_least_free(s);               /* what is half known must not be believed */
  return d >= NEVER ? -1 : d;
}

static void variables_free(nest *s, variables *x)
{
  for (int k = 0; k < x->n; k++) {
    mem_put(s->m, x->v[k].is.v, x->v[k].is.cap * sizeof *x->v[k].is.v);
    mem_put(s->m, x->v[k].base.v, x->v[k].base.cap * sizeof *x->v[k].base.v);
    mem_put(s->m, x->v[k].kind, (size_t)x->v[k].nkind * sizeof *x->v[k].kind);
  }
  mem_put(s->m, x->v, x->cap * sizeof *x->v);
  mem_put(s->m, x->table, x->table_n * sizeof *x->table);
}

void nest_least_free(nest *s)
{
  struct nest_least *e = s->least;
  if (!e) return;
  variables_free(s, &e->way);
  variables_free(s, &e->past);
  mem_put(s->m, e->cell, e->cell_cap * sizeof *e->cell);
  mem_put(s->m, e, sizeof *e);
  s->least = NULL;
}
