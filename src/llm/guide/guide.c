/* guide.c: constraints as masks of tokens (guide.h).

   The vocabulary is a trie of bytes, made once a model and laid out in the order of a walk, so that a mask is one
   pass through an array in which each node knows where its subtree ends.  A node also knows which bytes occur below
   it: where all of them leave a state as it is (the free part of ".*x"), its tokens are taken without walking them.

   A state's tokens lead to few states (`behind`).  The fewest tokens to acceptance come from one search backwards
   over these edges, made when a limit first asks for it.  A mask depends on the limit only through which of the states
   behind are near enough, so there are few masks a state; equal masks are one.

   Of a grammar whose rules nest, states are sets of stacks: guide_nest.c and what follows it. */
#include "llm/guide/guide_in.h"
#include "llm/guide/regex_in.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- the vocabulary ---- */

typedef struct entry { const uint8_t *s; size_t n; lm_token id; } entry;

static int by_bytes(const void *a, const void *b)
{
  const entry *x = a, *y = b;
  size_t n = x->n < y->n ? x->n : y->n;
  int c = n ? memcmp(x->s, y->s, n) : 0;
  if (c) return c;
  if (x->n != y->n) return x->n < y->n ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

/* Nodes from `depth` on are finished: the last of the path at each depth. */
static void finish(struct lm_guides *g, size_t deep, size_t depth)
{
  for (size_t d = deep; d > depth; d--) {
    tnode *e = &g->node[g->path[d]], *parent = &g->node[g->path[d - 1]];
    e->past = g->n;
    parent->below |= e->below | guide_group(e->byte);
    parent->kids |= guide_group(e->byte);
  }
}

static void lay_out(struct lm_guides *g, const entry *e, int n)
{
  size_t deep = 0;
  g->node[0] = (tnode){ 0 };
  g->path[0] = 0;
  g->n = 1;
  for (int k = 0; k < n; k++) {
    size_t same = 0;
    while (k > 0 && same < e[k].n && same < e[k - 1].n && e[k].s[same] == e[k - 1].s[same]) same++;
    finish(g, deep, same);
    for (size_t d = same; d < e[k].n; d++) {
      g->node[g->n] = (tnode){ .first = k, .depth = (int32_t)d + 1, .byte = e[k].s[d] };
      g->path[d + 1] = g->n++;
    }
    deep = e[k].n;
    g->id[k] = e[k].id;
    if (e[k].n == 1) g->alone[e[k].s[0]] = true;
  }
  finish(g, deep, 0);
  g->node[0].past = g->n;
  g->node[g->n] = (tnode){ .first = n };
}

static bool trie_new(struct lm_guides *g, const lm_vocab *v)
{
  size_t n = 0, bytes = 0, deepest = 0, all = (size_t)v->n;
  entry *e = mem_get(&g->m, (all + 1) * sizeof *e);
  if (!e) return false;
  for (int t = 0; t < v->n; t++) {
    if (v->kind[t] == LM_END) guide_bit(g->ends, t);
    if (v->kind[t] != LM_TEXT) continue;
    e[n] = (entry){ v->bytes + v->at[t], v->at[t + 1] - v->at[t], t };
    bytes += e[n].n;
    if (e[n].n > deepest) deepest = e[n].n;
    n++;
  }
  qsort(e, n, sizeof *e, by_bytes);
  g->ids = (int)n;
  g->room = bytes + 2;
  g->deepest = deepest;
  if (bytes < INT32_MAX / 2) {
    g->node = mem_get(&g->m, g->room * sizeof *g->node);
    g->id = mem_get(&g->m, (n + 1) * sizeof *g->id);
    g->span = mem_get(&g->m, (n + 1) * sizeof *g->span);
    g->path = mem_get(&g->m, (deepest + 1) * sizeof *g->path);
  }
  bool ok = g->node && g->id && g->span && g->path;
  if (ok) {
    lay_out(g, e, (int)n);
    tnode *less = mem_resize(&g->m, g->node, g->room * sizeof *less, ((size_t)g->n + 1) * sizeof *less);
    if (less) {
      g->node = less;
      g->room = (size_t)g->n + 1;
    }
  }
  mem_put(&g->m, e, (all + 1) * sizeof *e);
  return ok;
}

/* The model's, made if need be; NULL: error set. */
static struct lm_guides *guides_of(lm *of)
{
  if (of->guides) return of->guides;
  mem m = rx_mem(of->st);
  struct lm_guides *g = mem_zero(&m, sizeof *g);
  of->guides = g;
  if (!g) {
    rx_no_memory(of->st);
    return NULL;
  }
  g->m = m;
  g->words = (of->vocab.n + 63) / 64;
  g->none = mem_zero(&m, (size_t)g->words * sizeof *g->none + 8);
  g->ends = mem_zero(&m, (size_t)g->words * sizeof *g->ends + 8);
  g->work = mem_zero(&m, (size_t)g->words * sizeof *g->work + 8);
  if (g->none && g->ends && g->work && trie_new(g, &of->vocab)) return g;
  lm_guides_free(of);
  rx_no_memory(of->st);
  return NULL;
}

/* ---- the walk ---- */

/* What tokens lead to from a state, as spans in the order of the trie; how many. */
static int walk(const lm_guide *e, int state)
{
  const struct lm_guides *g = e->of->guides;
  const tnode *node = g->node;
  const regex *r = &e->g.r;
  const int32_t *next = r->next;
  const int row = r->classes;
  int32_t *path = g->path;
  tspan *span = g->span;
  int n = 0;
  path[0] = state;
  if (node[1].first > 0) span[n++] = (tspan){ state, 0, node[1].first };       /* tokens without bytes */
  for (int i = 1; i < g->n;) {
    const tnode *t = &node[i];
    int s = next[path[t->depth - 1] * row + r->class_of[t->byte]], past = i + 1;
    if (s < 0) {
      i = t->past;
      continue;
    }
    path[t->depth] = s;
    if (!(t->below & ~e->stays[s])) past = t->past;
    int from = t->first, to = node[past].first;
    i = past;
    if (from == to) continue;
    if (n > 0 && span[n - 1].state == s && span[n - 1].to == from) span[n - 1].to = to;
    else span[n++] = (tspan){ s, from, to };
  }
  return n;
}

/* ---- distances ---- */

/* behind_at, behind: the states that each state's tokens lead to, each once.  seen (r.n). */
static bool find_behind(lm_guide *e, int32_t *seen)
{
  struct lm_guides *g = e->of->guides;
  size_t total = 0;
  for (int s = 0; s < e->g.r.n; s++) seen[s] = -1;
  for (int s = 0; s < e->g.r.n; s++) {
    int n = walk(e, s);
    e->behind_at[s] = (int32_t)total;
    for (int k = 0; k < n; k++) {
      int to = g->span[k].state;
      if (seen[to] == s) continue;
      seen[to] = s;
      if (total >= INT32_MAX - 1 || !mem_grow(&g->m, &e->behind, &e->behind_cap, total + 1, sizeof *e->behind))
        return false;
      e->behind[total++] = to;
    }
  }
  e->behind_at[e->g.r.n] = (int32_t)total;
  return true;
}

/* Breadth first from the accepting states, backwards. before_at (r.n + 1), queue (r.n), before (edges). */
static void search(const lm_guide *e, int32_t *least, int32_t *before_at, int32_t *queue, int32_t *before)
{
  int n = e->g.r.n, edges = e->behind_at[n], queued = 0;
  memset(before_at, 0, ((size_t)n + 1) * sizeof *before_at);
  for (int k = 0; k < edges; k++) before_at[e->behind[k]]++;
  for (int s = 0; s < n; s++) before_at[s + 1] += before_at[s];
  for (int s = n; s-- > 0;)
    for (int k = e->behind_at[s]; k < e->behind_at[s + 1]; k++) before[--before_at[e->behind[k]]] = s;
  for (int s = 0; s < n; s++) {
    least[s] = e->g.r.accepts[s] ? 0 : -1;
    if (e->g.r.accepts[s]) queue[queued++] = s;
  }
  for (int q = 0; q < queued; q++)
    for (int k = before_at[queue[q]]; k < before_at[queue[q] + 1]; k++)
      if (least[before[k]] < 0) {
        least[before[k]] = least[queue[q]] + 1;
        queue[queued++] = before[k];
      }
}

static bool least_new(lm_guide *e)
{
  mem *m = &e->of->guides->m;
  size_t n = (size_t)e->g.r.n, edges = 0;
  int32_t *own = mem_get(m, 2 * n * sizeof *own), *seen = mem_get(m, (2 * n + 1) * sizeof *seen), *before = NULL;
  if (!e->behind_at) e->behind_at = mem_get(m, (n + 1) * sizeof *e->behind_at);
  bool ok = own && seen && e->behind_at && find_behind(e, seen);
  if (ok) {
    edges = (size_t)e->behind_at[n];
    before = mem_get(m, (edges + 1) * sizeof *before);
    ok = before != NULL;
  }
  if (ok) {
    search(e, own, seen, seen + n + 1, before);
    for (size_t s = 0; s < n; s++) {
      own[n + s] = -1;
      for (int k = e->behind_at[s]; k < e->behind_at[s + 1]; k++)
        if (own[e->behind[k]] > own[n + s]) own[n + s] = own[e->behind[k]];
    }
  }
  mem_put(m, before, (edges + 1) * sizeof *before);
  mem_put(m, seen, (2 * n + 1) * sizeof *seen);
  if (!ok) {
    mem_put(m, own, 2 * n * sizeof *own);
    return !rx_no_memory(e->of->st);
  }
  e->least = own;
  e->farthest = own + n;
  return true;
}
static bool least_known(lm_guide *e) { return e->least || least_new(e); }

int lm_guide_least(lm_guide *e, int state)
{
  if (e->nest) return state < 0 || state >= e->nest->n ? -1 : nest_least(e->nest, state);
  if (state < 0 || state >= e->g.r.n) return -1;
  return least_known(e) ? e->least[state] : -2;
}

/* ---- masks ---- */

static bool kept_room(lm_guide *e)
{
  mem *m = &e->of->guides->m;
  if (2 * (e->nkept + 1) < e->kept_cap) return true;
  size_t cap = e->kept_cap ? 2 * e->kept_cap : 64;
  kept *t = mem_zero(m, cap * sizeof *t);
  if (!t) return false;
  for (size_t k = 0; k < e->kept_cap; k++) {
    const kept *x = &e->kept[k];
    if (!x->bits) continue;
    size_t h = hash_mix((uint64_t)x->state << 32 | (uint32_t)x->limit) & (cap - 1);
    while (t[h].bits) h = (h + 1) & (cap - 1);
    t[h] = *x;
  }
  mem_put(m, e->kept, e->kept_cap * sizeof *t);
  e->kept = t;
  e->kept_cap = cap;
  return true;
}

const uint64_t *guide_kept(const lm_guide *e, int state, int limit)
{
  if (!e->kept_cap) return NULL;
  size_t h = hash_mix((uint64_t)state << 32 | (uint32_t)limit) & (e->kept_cap - 1);
  for (; e->kept[h].bits; h = (h + 1) & (e->kept_cap - 1))
    if (e->kept[h].state == state && e->kept[h].limit == limit) return e->kept[h].bits;
  return NULL;
}

bool guide_keep(lm_guide *e, int state, int limit, const uint64_t *bits)
{
  if (!kept_room(e)) return false;
  size_t h = hash_mix((uint64_t)state << 32 | (uint32_t)limit) & (e->kept_cap - 1);
  while (e->kept[h].bits) h = (h + 1) & (e->kept_cap - 1);
  e->kept[h] = (kept){ state, limit, bits };
  e->nkept++;
  return true;
}

static bool masks_room(lm_guide *e)
{
  mem *m = &e->of->guides->m;
  if (e->nmasks < e->masks_cap) return true;
  size_t cap = e->masks_cap ? 2 * e->masks_cap : 16;
  mask **t = mem_zero(m, cap * sizeof *t);
  if (!t) return false;
  for (size_t k = 0; k < e->masks_cap; k++)
    for (mask *x = e->masks[k], *after; x; x = after) {
      after = x->chain;
      x->chain = t[x->hash & (cap - 1)];
      t[x->hash & (cap - 1)] = x;
    }
  mem_put(m, e->masks, e->masks_cap * sizeof *t);
  e->masks = t;
  e->masks_cap = cap;
  return true;
}

static size_t mask_size(const struct lm_guides *g) { return sizeof(mask) + (size_t)g->words * sizeof(uint64_t); }

const uint64_t *guide_mask_of(lm_guide *e, const uint64_t *bits)
{
  struct lm_guides *g = e->of->guides;
  size_t bytes = (size_t)g->words * sizeof(uint64_t);
  uint64_t hash = hash_bytes(bits, bytes, 0);
  if (!masks_room(e)) return NULL;
  mask **at = &e->masks[hash & (e->masks_cap - 1)];
  for (mask *y = *at; y; y = y->chain)
    if (y->hash == hash && memcmp(y->bits, bits, bytes) == 0) return y->bits;
  mask *x = mem_get(&g->m, mask_size(g));
  if (!x) return NULL;
  memcpy(x->bits, bits, bytes);
  x->hash = hash;
  x->chain = *at;
  *at = x;
  e->nmasks++;
  return x->bits;
}

/* The mask of all tokens after which at most `limit` more are needed; NULL: no memory. */
static const uint64_t *mask_new(lm_guide *e, int state, int limit)
{
  struct lm_guides *g = e->of->guides;
  memcpy(g->work, e->g.r.accepts[state] ? g->ends : g->none, (size_t)g->words * sizeof *g->work);
  int n = limit < 0 ? 0 : walk(e, state);
  for (int k = 0; k < n; k++) {
    const tspan *s = &g->span[k];
    if (e->least && (e->least[s->state] < 0 || e->least[s->state] > limit)) continue;
    for (int i = s->from; i < s->to; i++) guide_bit(g->work, g->id[i]);
  }
  return guide_mask_of(e, g->work);
}

static const uint64_t *mask_full(lm_guide *e, int state)
{
  if (!e->full[state]) e->full[state] = mask_new(e, state, INT_MAX);
  if (!e->full[state]) rx_no_memory(e->of->st);
  return e->full[state];
}

const uint64_t *lm_guide_mask(lm_guide *e, int state, int left)
{
  if (e->nest) return state < 0 || state >= e->nest->n ? e->of->guides->none : nest_mask(e->nest, state, left);
  if (state < 0 || state >= e->g.r.n) return e->of->guides->none;
  /* Bytes that are tokens lead from any state to acceptance, and pass through no state twice. */
  if (e->spelled && (left < 0 || left >= e->g.r.n)) return mask_full(e, state);
  if (!least_known(e)) return NULL;
  if (left < 0 || left > e->farthest[state]) return mask_full(e, state);
  int limit = -1;
  for (int k = e->behind_at[state]; k < e->behind_at[state + 1]; k++) {
    int d = e->least[e->behind[k]];
    if (d < left && d > limit) limit = d;
  }
  const uint64_t *bits = guide_kept(e, state, limit);
  if (bits) return bits;
  bits = mask_new(e, state, limit);
  if (bits && guide_keep(e, state, limit, bits)) return bits;
  rx_no_memory(e->of->st);
  return NULL;
}

/* ---- guides ---- */

int lm_guide_start(const lm_guide *e) { return e->nest ? e->nest->start : 0; }

int64_t lm_guide_shown(const lm_guide *e, int state)
{
  if (!e->nest || state < 0 || state >= e->nest->n) return state;
  return (int64_t)(e->nest->set[state].print & INT32_MAX) << 32 | state;
}

int lm_guide_known(const lm_guide *e, int64_t shown)
{
  int64_t state = shown & INT32_MAX;
  if (!e->nest) return shown >= 0 && shown < e->g.r.n ? (int)shown : -1;
  return shown >= 0 && state < e->nest->n && lm_guide_shown(e, (int)state) == shown ? (int)state : -1;
}

bool lm_guide_accepts(const lm_guide *e, int state)
{
  if (e->nest) return state >= 0 && state < e->nest->n && e->nest->set[state].end;
  return state >= 0 && state < e->g.r.n && e->g.r.accepts[state];
}

int lm_guide_next(lm_guide *e, int state, lm_token t)
{
  const lm_vocab *v = &e->of->vocab;
  nest *s = e->nest;
  if (state < 0 || state >= (s ? s->n : e->g.r.n) || t < 0 || t >= v->n || v->kind[t] != LM_TEXT) return -1;
  for (uint32_t k = v->at[t]; k < v->at[t + 1] && state >= 0; k++)
    state = s ? nest_step(s, state, v->bytes[k]) : regex_step(&e->g.r, state, v->bytes[k]);
  if (state < 0 || e->spelled) return state;
  int least = lm_guide_least(e, state);
  return least == -2 ? -2 : least < 0 ? -1 : state;
}

bool lm_guide_within(lm_guide *e, int state, int left, bool *is)
{
  if (e->nest && e->spelled && state >= 0 && state < e->nest->n && e->nest->set[state].bytes <= left)
    return *is = true;
  int least = lm_guide_least(e, state);
  *is = least >= 0 && least <= left;
  return least != -2;
}

static void guide_free(lm_guide *e)
{
  struct lm_guides *g = e->of->guides;
  mem *m = &g->m;
  size_t n = (size_t)e->g.r.n;
  for (size_t k = 0; k < e->masks_cap; k++)
    for (mask *x = e->masks[k], *after; x; x = after) {
      after = x->chain;
      mem_put(m, x, mask_size(g));
    }
  mem_put(m, e->masks, e->masks_cap * sizeof *e->masks);
  mem_put(m, e->kept, e->kept_cap * sizeof *e->kept);
  mem_put(m, e->behind, e->behind_cap * sizeof *e->behind);
  mem_put(m, e->behind_at, (n + 1) * sizeof *e->behind_at);
  mem_put(m, e->least, 2 * n * sizeof *e->least);
  mem_put(m, e->full, n * sizeof *e->full);
  mem_put(m, e->stays, n * sizeof *e->stays);
  mem_put(m, e->text, e->n + e->nstop + 1);
  nest_free(e->nest);
  grammar_free(&e->g);
  mem_put(m, e, sizeof *e);
}

static void find_stays(lm_guide *e)
{
  for (int s = 0; s < e->g.r.n; s++) {
    e->stays[s] = 0;
    for (int b = 0; b < 256; b += 4) {
      bool all = true;
      for (int k = b; k < b + 4; k++) all = all && regex_step(&e->g.r, s, (uint8_t)k) == s;
      if (all) e->stays[s] |= guide_group(b);
    }
  }
}

/* Of each class of bytes that lead anywhere one is a token: bytes of a class can stand for each other. */
bool guide_is_spelled(const lm_guide *e)
{
  bool can[256] = { false };
  const regex *r = &e->g.r;
  for (int b = 0; b < 256; b++) can[r->class_of[b]] |= e->of->guides->alone[b];
  for (int s = 0; s < r->n; s++)
    for (int c = 0; c < r->classes; c++)
      if (r->next[s * r->classes + c] >= 0 && !can[c]) return false;
  return true;
}

static lm_guide *guide_new(lm *of, bool gbnf, const char *s, size_t n, const char *stop, size_t nstop)
{
  mem *m = &of->guides->m;
  lm_guide *e = mem_zero(m, sizeof *e);
  if (!e) {
    rx_no_memory(of->st);
    return NULL;
  }
  e->of = of;
  e->grammar = gbnf;
  bool ok = !(gbnf ? grammar_new(of->st, s, n, stop, nstop, &e->g) : regex_until(of->st, s, n, stop, nstop, &e->g.r));
  bool full = false;
  if (ok) {
    size_t states = (size_t)e->g.r.n;
    e->n = n;
    e->nstop = nstop;
    e->text = mem_get(m, n + nstop + 1);
    e->stays = mem_get(m, states * sizeof *e->stays);
    e->full = mem_zero(m, states * sizeof *e->full);
    full = e->text && e->stays && e->full;
    if (!full) rx_no_memory(of->st);
  }
  if (!full) {
    guide_free(e);
    return NULL;
  }
  if (n) memcpy(e->text, s, n);
  if (nstop) memcpy(e->text + n, stop, nstop);
  find_stays(e);
  e->spelled = guide_is_spelled(e);
  if (e->g.machines == 0 || (e->nest = nest_new(e))) return e;
  guide_free(e);
  return NULL;
}

static lm_guide *guide_of(lm *of, bool gbnf, const char *s, size_t n, const char *stop, size_t nstop)
{
  struct lm_guides *g = guides_of(of);
  if (!g) return NULL;
  lm_guide **at = &g->guide[hash_bytes(s, n, hash_bytes(stop, nstop, 0)) % GUIDE_BUCKETS];
  for (lm_guide *e = *at; e; e = e->chain)
    if (e->grammar == gbnf && e->n == n && e->nstop == nstop && (n == 0 || memcmp(e->text, s, n) == 0) &&
        (nstop == 0 || memcmp(e->text + n, stop, nstop) == 0))
      return e;
  lm_guide *e = guide_new(of, gbnf, s, n, stop, nstop);
  if (!e) return NULL;
  e->chain = *at;
  return *at = e;
}

lm_guide *lm_guide_regex(lm *of, const char *s, size_t n) { return guide_of(of, false, s, n, "", 0); }
lm_guide *lm_guide_until(lm *of, const char *s, size_t n, const char *stop, size_t nstop)
{
  return guide_of(of, false, s, n, stop, nstop);
}
lm_guide *lm_guide_grammar(lm *of, const char *s, size_t n, const char *stop, size_t nstop)
{
  return guide_of(of, true, s, n, stop, nstop);
}

void lm_guides_free(lm *of)
{
  struct lm_guides *g = of->guides;
  if (!g) return;
  for (int k = 0; k < GUIDE_BUCKETS; k++)
    for (lm_guide *e = g->guide[k], *after; e; e = after) {
      after = e->chain;
      guide_free(e);
    }
  mem m = g->m;
  size_t words = (size_t)g->words * sizeof(uint64_t) + 8, ids = (size_t)g->ids + 1;
  mem_put(&m, g->none, words);
  mem_put(&m, g->ends, words);
  mem_put(&m, g->work, words);
  mem_put(&m, g->node, g->room * sizeof *g->node);
  mem_put(&m, g->id, ids * sizeof *g->id);
  mem_put(&m, g->span, ids * sizeof *g->span);
  mem_put(&m, g->path, (g->deepest + 1) * sizeof *g->path);
  mem_put(&m, g, sizeof *g);
  of->guides = NULL;
}
