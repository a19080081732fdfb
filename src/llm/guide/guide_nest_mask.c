/* guide_nest_mask.c: masks of texts under a grammar whose rules nest.

   What a token does above a state q of a machine depends on what stands below only from where the machine has
   ended.  So the vocabulary is walked once for each q on the empty stack (nest_local): most tokens end above it or
   are refused, whatever stands below (Dong et al. 2024, "XGrammar", calls them context-independent); of the rest
   there remain the nodes of the trie at which the machine may have ended, and from each the walk goes on in the set
   below.  A mask is all of that for each state on top.

   Where a text must not be long, a token counts if from some set that it leads to the fewest tokens to acceptance
   are few enough (guide_nest_least.c).  That is asked only where it may matter: with bytes that are tokens, a text
   is finished in as many tokens as bytes. */
#include "llm/guide/guide_in.h"
#include <limits.h>
#include <string.h>

enum { SMALL = 8, ANY = -2 };            /* nodes that are walked rather than asked about; any number of tokens */

static bool no_memory(nest *s)
{
  norn_fail(s->of->of->st, NORN_EMEMORY, -1, "out of memory");
  return false;
}

/* ---- walks ---- */

/* From a node of the trie at which the text is in `set`: what tokens below it lead to, as spans in the order of the
   trie (g->span): how many; -1: error set.  ended: nodes below at which the stack may be empty and more tokens may go
   on join it, or NULL. */
int nest_walk(nest *s, int node, int set, nest_nodes *ended)
{
  struct lm_guides *g = s->of->of->guides;
  tspan *span = g->span;
  int n = 0, end = g->node[node].past;
  g->path[g->node[node].depth] = set;
  for (int i = node + 1; i < end;) {
    const tnode *t = &g->node[i];
    int before = g->path[t->depth - 1], x = nest_step(s, before, t->byte), past = i + 1;
    s->visits++;
    if (x < 0) {
      if (x == NEST_ERROR) return -1;
      i = t->past;
      continue;
    }
    g->path[t->depth] = x;
    bool ends = ended && s->set[x].end;
    if (ends && t->past > i + 1) {
      if (!mem_grow(s->m, &ended->v, &ended->cap, ended->n + 1, sizeof *ended->v)) return no_memory(s) - 1;
      ended->v[ended->n++] = i;
    } else if (!ends && x == before && t->past - i > SMALL && !(t->below & ~nest_stays(s, x))) {
      past = t->past;
    }
    int from = t->first, to = g->node[past].first;
    i = past;
    if (from == to) continue;
    if (n > 0 && span[n - 1].state == x && span[n - 1].to == from) span[n - 1].to = to;
    else span[n++] = (tspan){ x, from, to };
  }
  return n;
}

/* ---- above a state ---- */

void nest_local_free(nest *s, nest_local *l)
{
  if (!l) return;
  mem_put(s->m, l->bits, (size_t)s->of->of->guides->words * sizeof *l->bits + 8);
  mem_put(s->m, l->span, (size_t)l->nspan * sizeof *l->span);
  mem_put(s->m, l->kind, (size_t)l->kinds_cap * sizeof *l->kind);
  mem_put(s->m, l->ended.v, l->ended.cap * sizeof *l->ended.v);
  mem_put(s->m, l, sizeof *l);
}

/* Sets of spans become kinds; at (cap, a power of two): by hash. */
static void number(nest_local *l, int32_t *at, size_t cap)
{
  memset(at, -1, cap * sizeof *at);
  for (int k = 0; k < l->nspan; k++) {
    size_t h = hash_mix((uint64_t)l->span[k].state) & (cap - 1);
    while (at[h] >= 0 && l->kind[at[h]] != l->span[k].state) h = (h + 1) & (cap - 1);
    if (at[h] < 0) {
      l->kind[l->nkind] = l->span[k].state;
      at[h] = l->nkind++;
    }
    l->span[k].state = at[h];
  }
}

static bool fill(nest *s, nest_local *l, int q)
{
  struct lm_guides *g = s->of->of->guides;
  size_t words = (size_t)g->words;
  l->far = -1;
  if (!(l->bits = mem_zero(s->m, words * sizeof *l->bits + 8))) return no_memory(s);
  int set = nest_one(s, q, NEST_END), n = set < 0 ? -1 : set == NEST_END ? 0 : nest_walk(s, 0, set, &l->ended);
  if (n < 0) return false;
  size_t cap = 16;
  while (cap < 2 * (size_t)n) cap *= 2;
  int32_t *at = mem_get(s->m, cap * sizeof *at);
  l->nspan = n;
  l->kinds_cap = n;
  l->span = mem_get(s->m, (size_t)n * sizeof *l->span);
  l->kind = mem_get(s->m, (size_t)n * sizeof *l->kind);
  bool ok = at && (n == 0 || (l->span && l->kind));
  if (ok && n) memcpy(l->span, g->span, (size_t)n * sizeof *l->span);
  if (!ok && !l->span) l->nspan = 0;
  if (ok) number(l, at, cap);
  mem_put(s->m, at, cap * sizeof *at);
  if (!ok) return no_memory(s);
  for (int k = 0; k < n; k++) {
    int bytes = s->set[l->kind[l->span[k].state]].bytes;
    if (bytes > l->far) l->far = bytes;
    for (int i = l->span[k].from; i < l->span[k].to; i++) guide_bit(l->bits, g->id[i]);
  }
  return true;
}

const nest_local *nest_local_of(nest *s, int q)
{
  if (s->local[q]) return s->local[q];
  nest_local *l = mem_zero(s->m, sizeof *l);
  if (!l) return no_memory(s), NULL;
  if (fill(s, l, q)) return s->local[q] = l;
  nest_local_free(s, l);
  return NULL;
}

/* ---- masks ---- */

/* With what a set can go on. */
static uint64_t first_of(const nest *s, int set)
{
  uint64_t all = 0;
  for (uint32_t k = 0; k < s->set[set].n; k++) all |= s->g->first[s->item[s->set[set].at + k].q];
  return all;
}

static void set_bits(const struct lm_guides *g, uint64_t *bits, int from, int to)
{
  for (int i = from; i < to; i++) guide_bit(bits, g->id[i]);
}

static void begin_mask(nest *s, int set)
{
  struct lm_guides *g = s->of->of->guides;
  memcpy(g->work, s->set[set].end ? g->ends : g->none, (size_t)g->words * sizeof *g->work);
}

/* What goes on below where the machine on top has ended inside of a token.  limit ANY: all of it. */
static bool go_on(nest *s, const nest_local *l, int below, int limit, int *far)
{
  struct lm_guides *g = s->of->of->guides;
  uint64_t first = first_of(s, below);
  for (size_t k = 0; k < l->ended.n; k++) {
    int node = l->ended.v[k];
    if (!(g->node[node].kids & first)) continue;
    int n = nest_walk(s, node, below, NULL);
    if (n < 0) return false;
    for (int i = 0; i < n; i++) {
      tspan x = g->span[i];
      int d = limit == ANY ? s->set[x.state].bytes : nest_least(s, x.state);
      if (d == NEST_ERROR) return false;
      if (d > *far) *far = d;
      if (limit == ANY || (d >= 0 && d <= limit)) set_bits(g, g->work, x.from, x.to);
    }
  }
  return true;
}

/* Whatever the limit, where no state is lost for want of tokens. */
static bool full_mask(nest *s, int set)
{
  struct lm_guides *g = s->of->of->guides;
  int far = g->node[1].first > 0 ? s->set[set].bytes : -1;
  begin_mask(s, set);
  set_bits(g, g->work, 0, g->node[1].first);
  for (uint32_t k = 0; k < s->set[set].n; k++) {
    nest_item x = s->item[s->set[set].at + k];
    const nest_local *l = nest_local_of(s, x.q);
    if (!l) return false;
    for (int w = 0; w < g->words; w++) g->work[w] |= l->bits[w];
    if (l->far >= 0 && l->far + s->set[x.below].bytes > far) far = l->far + s->set[x.below].bytes;
    if (!go_on(s, l, x.below, ANY, &far)) return false;
  }
  const uint64_t *bits = guide_mask_of(s->of, g->work);
  if (!bits) return no_memory(s);
  s->set[set].full = bits;
  s->set[set].far = far < 0 ? 0 : far;
  return true;
}

/* Tokens that end above the machine on top, of those kinds from which it is near. */
static bool near_local(nest *s, const nest_local *l, int below, int limit, int *far)
{
  struct lm_guides *g = s->of->of->guides;
  if (!mem_grow(s->m, &s->near, &s->near_cap, (size_t)l->nkind + 1, sizeof *s->near)) return no_memory(s);
  for (int k = 0; k < l->nkind; k++) {
    int set = nest_graft(s, l->kind[k], below), d = set < 0 ? NEST_ERROR : nest_least(s, set);
    if (d == NEST_ERROR) return false;
    if (d > *far) *far = d;
    s->near[k] = d >= 0 && d <= limit;
  }
  for (int k = 0; k < l->nspan; k++)
    if (s->near[l->span[k].state]) set_bits(g, g->work, l->span[k].from, l->span[k].to);
  return true;
}

static const uint64_t *near_mask(nest *s, int set, int limit)
{
  struct lm_guides *g = s->of->of->guides;
  int far = 0, here = nest_least(s, set);
  if (here == NEST_ERROR) return NULL;
  /* locals first: a walk's spans lie where others put theirs */
  for (uint32_t k = 0; k < s->set[set].n; k++)
    if (!nest_local_of(s, s->item[s->set[set].at + k].q)) return NULL;
  begin_mask(s, set);
  if (g->node[1].first > 0 && here > far) far = here;
  if (here >= 0 && here <= limit) set_bits(g, g->work, 0, g->node[1].first);
  for (uint32_t k = 0; k < s->set[set].n; k++) {
    nest_item x = s->item[s->set[set].at + k];
    const nest_local *l = nest_local_of(s, x.q);
    if (!l || !near_local(s, l, x.below, limit, &far) || !go_on(s, l, x.below, limit, &far)) return NULL;
  }
  const uint64_t *bits = guide_mask_of(s->of, g->work);
  if (!bits) return no_memory(s), NULL;
  s->set[set].farthest = far;
  if (limit < far) return guide_keep(s->of, set, limit, bits) ? bits : (no_memory(s), NULL);
  return s->set[set].full = bits;
}

const uint64_t *nest_mask(nest *s, int set, int left)
{
  s->step = 0;
  nest_trim(s);
  if (s->of->spelled) {
    if (!s->set[set].full && !full_mask(s, set)) return NULL;
    if (left < 0 || left > s->set[set].far) return s->set[set].full;
  }
  const nest_set *x = &s->set[set];
  if (x->farthest >= 0 && x->full && (left < 0 || left > x->farthest)) return x->full;
  int limit = left < 0 ? INT_MAX : left - 1;
  const uint64_t *bits = guide_kept(s->of, set, limit);
  return bits ? bits : near_mask(s, set, limit);
}
