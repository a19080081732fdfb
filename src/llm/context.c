/* context.c: contexts, as the nodes of one trie per model.

       root --7--> node --7--> node            a table from (parent, edge) to the node, so equal contexts are one
              \--9--> node

   A node lives while something holds it: a child, a value of the program, or the cache of log-probabilities (the
   nodes that have some, in order of use).  When the last hold goes, so do what the back end keeps with it and its own
   hold of its parent. */
#include "llm/llm.h"
#include <string.h>

/* ---- the table ---- */

static uint64_t edge_hash(const lm_node *parent, lm_token t, const char *s, size_t n)
{
  uint64_t h = hash_mix((uint64_t)(uintptr_t)parent ^ hash_mix((uint64_t)(uint32_t)t + 1));
  return s ? hash_bytes(s, n, h) : h;
}

static bool table_grow(lm *x)
{
  size_t cap = x->ctable ? 2 * x->ctable : 256;
  lm_node **table = mem_zero(x->m, cap * sizeof *table);
  if (!table) return !lm_no_memory(x->st);
  for (size_t i = 0; i < x->ctable; i++)
    for (lm_node *n = x->table[i], *next; n; n = next) {
      next = n->chain;
      lm_node **to = table + (edge_hash(n->parent, n->token, n->text, n->ntext) & (cap - 1));
      n->chain = *to;
      *to = n;
    }
  mem_put(x->m, x->table, x->ctable * sizeof *x->table);
  x->table = table;
  x->ctable = cap;
  return true;
}

static lm_node **table_at(lm *x, const lm_node *parent, lm_token t, const char *s, size_t n)
{
  lm_node **p = x->table + (edge_hash(parent, t, s, n) & (x->ctable - 1));
  for (; *p; p = &(*p)->chain) {
    const lm_node *c = *p;
    if (c->parent != parent || c->token != t) continue;
    if (!s || (c->ntext == n && memcmp(c->text, s, n) == 0)) break;
  }
  return p;
}

static lm_node *node_made(lm_node *parent, lm_token t, const char *s, size_t n)
{
  lm *x = parent->of;
  char *copy = NULL;
  lm_node *c = mem_zero(x->m, sizeof *c);
  if (c && s) copy = mem_get(x->m, n + 1);
  if (!c || (s && !copy)) {
    mem_put(x->m, c, sizeof *c);
    lm_no_memory(x->st);
    return NULL;
  }
  if (s) {
    memcpy(copy, s, n);
    copy[n] = 0;
  }
  *c = (lm_node){ .of = x, .parent = parent, .token = t, .depth = parent->depth + 1, .text = copy, .ntext = n };
  parent->refs++;
  x->nnodes++;
  return c;
}

/* The child by an edge, held for the caller. */
static lm_node *child(lm_node *parent, lm_token t, const char *s, size_t n)
{
  lm *x = parent->of;
  if (x->nnodes >= x->ctable && !table_grow(x)) return NULL;
  lm_node **p = table_at(x, parent, t, s, n);
  if (!*p) {
    lm_node *c = node_made(parent, t, s, n);
    if (!c) return NULL;
    *p = c;
  }
  lm_hold(*p);
  return *p;
}

lm_node *lm_extend(lm_node *n, lm_token t)
{
  const lm_vocab *v = &n->of->vocab;
  if (t >= 0 && t < v->n && v->kind[t] != LM_UNUSED) return child(n, t, NULL, 0);
  norn_fail(n->of->st, NORN_EDOMAIN, 1, "%d is no token of the model %s, which has tokens 0 to %d", t, n->of->name,
            v->n - 1);
  return NULL;
}

/* The node behind a text; `start`: the text begins the context. */
static lm_node *behind(lm_node *n, const char *s, size_t len, bool start)
{
  lm *x = n->of;
  lm_hold(n);
  if (len == 0) return n;
  if (!(x->can & LM_TOKENS)) {
    lm_node *c = child(n, -1, s, len);
    lm_drop(n);
    return c;
  }
  lm_tokens t = { NULL, 0, 0 };
  bool own = start && x->row->encode_start;
  bool good = (own ? x->row->encode_start(x, s, len, &t) : lm_encode(x, s, len, &t)) == NORN_OK;
  for (int i = 0; good && i < t.n; i++) {
    lm_node *c = lm_extend(n, t.v[i]);
    lm_drop(n);
    n = c;
    good = c != NULL;
  }
  lm_tokens_free(x->st, &t);
  if (!good && n) lm_drop(n);
  return good ? n : NULL;
}
lm_node *lm_extend_text(lm_node *n, const char *s, size_t len) { return behind(n, s, len, false); }

lm_node *lm_start(lm *x, const char *s, size_t len)
{
  lm_node *n = x->root;
  if (x->add_begin && x->vocab.begin >= 0) n = lm_extend(n, x->vocab.begin);
  else lm_hold(n);
  if (!n) return NULL;
  lm_node *end = behind(n, s, len, true);
  lm_drop(n);
  return end;
}

/* ---- the cache: nodes that have log-probabilities ---- */

static size_t row_bytes(const lm *x) { return (size_t)x->vocab.n * sizeof(float); }

static void cache_out(lm *x, lm_node *n)
{
  if (n->newer) n->newer->older = n->older;
  else x->newest = n->older;
  if (n->older) n->older->newer = n->newer;
  else x->oldest = n->newer;
  n->newer = n->older = NULL;
}

static void cache_in(lm *x, lm_node *n)
{
  n->older = x->newest;
  n->newer = NULL;
  if (x->newest) x->newest->newer = n;
  else x->oldest = n;
  x->newest = n;
}

float *lm_node_room(lm_node *n)
{
  lm *x = n->of;
  if (n->logp) return n->logp;
  n->logp = mem_get(x->m, row_bytes(x));
  if (!n->logp) {
    lm_no_memory(x->st);
    return NULL;
  }
  x->kept += row_bytes(x);
  n->refs++;
  cache_in(x, n);
  return n->logp;
}

static void table_out(lm_node *n)
{
  lm_node **p = table_at(n->of, n->parent, n->token, n->text, n->ntext);
  if (*p == n) *p = n->chain;
}

/* A hold less; nodes that nothing holds any more go, up to the first that is held. */
static void let_go(lm_node *n)
{
  while (n && --n->refs == 0 && n->parent) {
    lm *x = n->of;
    lm_node *parent = n->parent;
    table_out(n);
    if (x->row->forget) x->row->forget(x, n);
    if (n->text) mem_put(x->m, (char *)n->text, n->ntext + 1);
    mem_put(x->m, n, sizeof *n);
    x->nnodes--;
    n = parent;
  }
}

static void forget_logp(lm *x, lm_node *n)
{
  cache_out(x, n);
  mem_put(x->m, n->logp, row_bytes(x));
  n->logp = NULL;
  x->kept -= row_bytes(x);
  let_go(n);
}

void lm_node_keep(lm_node *n) { n->refs++; }
void lm_node_let_go(lm_node *n) { let_go(n); }

void lm_hold(lm_node *n)
{
  n->refs++;
  n->of->refs++;
}

void lm_drop(lm_node *n)
{
  lm *x = n->of;
  let_go(n);
  lm_close(x);
}

void lm_nodes_free(lm *x)
{
  while (x->oldest) forget_logp(x, x->oldest);
  for (size_t i = 0; i < x->ctable; i++)       /* none, unless the state goes while values hold some */
    while (x->table[i]) {
      lm_node *n = x->table[i];
      x->table[i] = n->chain;
      if (x->row->forget) x->row->forget(x, n);
      if (n->text) mem_put(x->m, (char *)n->text, n->ntext + 1);
      mem_put(x->m, n, sizeof *n);
    }
  mem_put(x->m, x->table, x->ctable * sizeof *x->table);
  if (x->row->forget && x->root->state) x->row->forget(x, x->root);
  mem_put(x->m, x->root, sizeof *x->root);
}

/* ---- what a context says ---- */

void lm_tokens_of(const lm_node *n, lm_token *out)
{
  for (; n->parent; n = n->parent) out[n->depth - 1] = n->token;
}

const char *lm_bytes(const lm *m, lm_token t, size_t *n)
{
  const lm_vocab *v = &m->vocab;
  *n = v->kind[t] == LM_TEXT ? v->at[t + 1] - v->at[t] : 0;
  return (const char *)v->bytes + v->at[t];
}

const char *lm_edge(const lm_node *x, size_t *n)
{
  if (x->token >= 0) return lm_bytes(x->of, x->token, n);
  size_t mark = x->ntext >= 2 && (unsigned char)x->text[0] == 255 ? 2 : 0;
  *n = x->ntext - mark;
  return x->text ? x->text + mark : "";
}

bool lm_text_between(const lm_node *from, const lm_node *to, text *out)
{
  static const char room[64];
  size_t n = 0, k, at = out->n;
  for (const lm_node *x = to; x && x != from; x = x->parent) lm_edge(x, &k), n += k;
  for (size_t left = n; left && !out->failed; left -= left < sizeof room ? left : sizeof room)
    text_put(out, room, left < sizeof room ? left : sizeof room);        /* to be filled from behind */
  if (out->failed) return !lm_no_memory(to->of->st);
  for (const lm_node *x = to; x && x != from; x = x->parent) {
    const char *s = lm_edge(x, &k);
    n -= k;
    if (k) memcpy(out->s + at + n, s, k);
  }
  return true;
}

bool lm_text_of(const lm_node *n, text *out) { return lm_text_between(NULL, n, out); }

/* ---- evaluation ---- */

static norn_status too_long(const lm_node *n)
{
  norn_fail(n->of->st, NORN_EDOMAIN, 0, "a context of %u tokens is longer than the %d that the model %s sees", n->depth,
            n->of->window, n->of->name);
  norn_hint(n->of->st, "begin with less text, or ask for fewer tokens (max = ...)");
  return NORN_EDOMAIN;
}

/* Those of n nodes that lack log-probabilities, once each, to `todo`; how many, or -1: error set. */
static int missing(lm *x, lm_node *const *node, int n, lm_node **todo)
{
  int k = 0;
  for (int i = 0; i < n; i++) {
    if (node[i]->logp || node[i]->wanted) continue;
    if (x->window > 0 && node[i]->depth > (uint32_t)x->window) {
      too_long(node[i]);
      while (k) todo[--k]->wanted = false;
      return -1;
    }
    node[i]->wanted = true;
    todo[k++] = node[i];
  }
  for (int i = 0; i < k; i++) todo[i]->wanted = false;
  return k;
}

/* Those that are used now are the newest; of the others the oldest are forgotten where there are too many. */
static void cache_tidy(lm *x, lm_node *const *node, int n)
{
  for (int i = 0; i < n; i++)
    if (node[i]->logp) {
      cache_out(x, node[i]);
      cache_in(x, node[i]);
      node[i]->wanted = true;
    }
  while (x->kept > x->keep && x->oldest && !x->oldest->wanted) forget_logp(x, x->oldest);
  for (int i = 0; i < n; i++) node[i]->wanted = false;
}

norn_status lm_eval(lm *x, lm_node *const *node, int n)
{
  lm_node *few[8], **todo = few;
  norn_status s = NORN_OK;
  int all = 0;
  for (int i = 0; i < n; i++) all += !node[i]->logp;
  if (!all) return NORN_OK;
  if (!(x->can & LM_TOKENS)) {
    norn_fail(x->st, NORN_EINFER, 0, "the model %s does not give the distribution of the next token", x->name);
    norn_hint(x->st, "it draws texts: ctx.text(...); builtin: models know every token's probability");
    return NORN_EINFER;
  }
  if (all > NORN_COUNT(few)) todo = mem_get(x->m, (size_t)all * sizeof *todo);
  if (!todo) return lm_no_memory(x->st);
  cache_tidy(x, node, n);
  int k = missing(x, node, n, todo);
  if (k < 0) s = norn_error(x->st)->code;
  else {
    s = x->row->eval(x, todo, k);
    if (!s) x->ledger.evaluated += (uint64_t)k;
    for (int i = 0; s && i < k; i++)
      if (todo[i]->logp) forget_logp(x, todo[i]);        /* room that was never filled */
  }
  if (todo != few) mem_put(x->m, todo, (size_t)all * sizeof *todo);
  return s;
}
