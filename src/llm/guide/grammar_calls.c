/* grammar_calls.c: which rules of a grammar are machines of their own.

   A rule that is named stands where it is named.  That ends if what comes back to a rule stands last on the way there
   (a list that goes on with itself), for then the step behind it is the same.  Where something stands behind, the rule
   has to be called: what is behind it is kept until it has ended.  Rules that reach one another are one component
   (Tarjan 1972); in a component with a way back that is not the last, those that are named more than once are called,
   and so each circle has one that is.  What would be large and is named more than once is called too. */
#include "llm/guide/regex_in.h"

enum { WEIGHTS = 1 << 28, LEVELS = 3000 };

/* Rule `to` is named in rule `from`; last: nothing stands behind it there. */
typedef struct named { int32_t from, to; bool last; } named;

typedef struct calls {
  rx_parser *p;
  named *v; size_t n, cap;
  int32_t *at, *to;                      /* (rules + 1), (n) the same for rx_components */
  int32_t *part, *times, *weight;        /* (rules) component, how often it is named, steps */
  bool *nests;                           /* (rules) of a component */
  int from, deep;
} calls;

static bool too_deep(calls *c)
{
  norn_fail(c->p->st, NORN_ELIMIT, -1, "the grammar is too large: parts stand more than %d deep in each other", LEVELS);
  return false;
}

static bool find_named(calls *c, const rx *e, bool last)
{
  bool ok = true;
  if (e->kind == RX_RULE) {
    if (!mem_grow(c->p->m, &c->v, &c->cap, c->n + 1, sizeof *c->v)) return !rx_no_memory(c->p->st);
    c->v[c->n++] = (named){ c->from, e->n, last };
    return true;
  }
  if (e->kind == RX_SET) return true;
  int n = e->kind == RX_REPEAT ? 1 : e->n;
  if (e->kind == RX_REPEAT) last = last && e->most >= 0 && e->most <= 1;
  if (++c->deep > LEVELS) return too_deep(c);
  for (int k = 0; k < n && ok; k++) ok = find_named(c, e->kid[k], last && (e->kind != RX_CAT || k == n - 1));
  c->deep--;
  return ok;
}

/* ---- components ---- */

typedef struct tarjan {
  const int32_t *at, *to;
  int32_t *part, *index, *low, *stack, *way, *next;
  int seen, height, parts;
} tarjan;

static void enter(tarjan *t, int k, int *deep)
{
  t->index[k] = t->low[k] = t->seen++;
  t->next[k] = t->at[k];
  t->stack[t->height++] = k;
  t->way[(*deep)++] = k;
}

static void search(tarjan *t, int first)
{
  int deep = 0;
  enter(t, first, &deep);
  while (deep > 0) {
    int k = t->way[deep - 1];
    if (t->next[k] < t->at[k + 1]) {
      int other = t->to[t->next[k]++];
      if (t->index[other] < 0) enter(t, other, &deep);
      else if (t->part[other] < 0 && t->index[other] < t->low[k]) t->low[k] = t->index[other];
      continue;
    }
    if (--deep > 0 && t->low[k] < t->low[t->way[deep - 1]]) t->low[t->way[deep - 1]] = t->low[k];
    if (t->low[k] < t->index[k]) continue;
    while (t->stack[--t->height] != k) t->part[t->stack[t->height]] = t->parts;
    t->part[k] = t->parts++;
  }
}

int rx_components(int n, const int32_t *at, const int32_t *to, int32_t *part, int32_t *room)
{
  tarjan t = { .at = at, .to = to, .part = part, .index = room, .low = room + n, .stack = room + 2 * n,
               .way = room + 3 * n, .next = room + 4 * n };
  for (int k = 0; k < n; k++) part[k] = t.index[k] = -1;
  for (int k = 0; k < n; k++)
    if (t.index[k] < 0) search(&t, k);
  return t.parts;
}

/* ---- rules ---- */

/* How many steps a tree takes about; rules of this component count 1. */
static int weigh(const calls *c, const rx *e)
{
  int64_t sum = 1;
  switch (e->kind) {
  case RX_SET: return 1 + 3 * e->n;
  case RX_RULE: return c->part[e->n] == c->part[c->from] || c->p->rule[e->n].called ? 1 : c->weight[e->n];
  case RX_REPEAT:
    sum = (int64_t)weigh(c, e->kid[0]) * (e->most > e->least ? e->most : e->least > 0 ? e->least : 1);
    break;
  case RX_CAT:
  case RX_ALT:
    for (int k = 0; k < e->n; k++) sum += weigh(c, e->kid[k]);
    break;
  }
  return sum < WEIGHTS ? (int)sum : WEIGHTS;
}

static void by_rule(calls *c, int rules)
{
  for (int k = 0; k <= rules; k++) c->at[k] = 0;
  for (size_t k = 0; k < c->n; k++) c->at[c->v[k].from + 1]++;
  for (int k = 0; k < rules; k++) c->at[k + 1] += c->at[k];
  for (size_t k = 0; k < c->n; k++) c->to[k] = c->v[k].to;           /* they were found rule by rule */
}

/* room (10 rules + 1 + n). */
static int number(calls *c, const rx *root, int wide, int rules, int32_t *room)
{
  int count = 0;
  c->part = room;
  c->times = room + rules;
  c->weight = room + 2 * rules;
  c->at = room + 3 * rules;
  c->to = room + 9 * rules + 1;
  by_rule(c, rules);
  int parts = rx_components(rules, c->at, c->to, c->part, room + 4 * rules + 1);
  for (int k = 0; k < rules; k++) {
    c->times[k] = k == root->n;
    c->nests[k] = false;
  }
  for (size_t k = 0; k < c->n; k++) {
    c->times[c->v[k].to]++;
    if (!c->v[k].last && c->part[c->v[k].from] == c->part[c->v[k].to]) c->nests[c->part[c->v[k].to]] = true;
  }
  for (int part = 0; part < parts; part++)                          /* what is named by others comes first */
    for (int k = 0; k < rules; k++) {
      if (c->part[k] != part) continue;
      c->from = k;
      c->weight[k] = weigh(c, c->p->rule[k].is);
      c->p->rule[k].called = 0;
      if (c->times[k] > 1 && (c->nests[part] || c->weight[k] > wide)) c->p->rule[k].called = ++count;
    }
  return count;
}

int rx_find_calls(rx_parser *p, const rx *root, int wide)
{
  calls c = { .p = p };
  int rules = (int)p->nrule, count = -1;
  bool ok = true;
  for (c.from = 0; c.from < rules && ok; c.from++) ok = find_named(&c, p->rule[c.from].is, true);
  size_t cells = 10 * (size_t)rules + 1 + c.n;
  int32_t *room = ok ? mem_get(p->m, cells * sizeof *room) : NULL;
  c.nests = ok ? mem_get(p->m, (size_t)rules + 1) : NULL;
  if (room && c.nests) count = number(&c, root, wide, rules, room);
  else if (ok) rx_no_memory(p->st);
  mem_put(p->m, room, cells * sizeof *room);
  mem_put(p->m, c.nests, (size_t)rules + 1);
  mem_put(p->m, c.v, c.cap * sizeof *c.v);
  return count;
}
