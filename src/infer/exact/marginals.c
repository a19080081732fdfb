/* marginals.c: the posteriors of single choices, from what enumeration has summed up by address and
   value. */
#include "infer/exact/enumerate.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdlib.h>
#include <string.h>

#define NONE ENUMERATE_NONE

bool enumerate_room(norn_state *st, table *t, size_t used, const void *items, size_t size)
{
  if (2 * (used + 1) <= t->n) return true;
  size_t m = t->n ? 4 * t->n : 64;
  uint32_t *at = engine_get(st, m * sizeof *at);
  if (!at) return false;
  for (size_t i = 0; i < used; i++) {
    size_t k = *(const uint64_t *)((const char *)items + i * size) & (m - 1);
    while (at[k]) k = (k + 1) & (m - 1);
    at[k] = (uint32_t)i + 1;
  }
  engine_put(st, t->at, t->n * sizeof *at);
  t->at = at;
  t->n = m;
  return true;
}

bool enumerate_table(norn_state *st, table *t, size_t n, const void *items, size_t size)
{
  size_t m = 64;
  while (m < 2 * (n + 1)) m *= 4;
  engine_put(st, t->at, t->n * sizeof *t->at);
  *t = (table){ engine_get(st, m * sizeof *t->at), m };
  if (!t->at) return t->n = 0, false;
  for (size_t i = 0; i < n; i++) {
    size_t k = *(const uint64_t *)((const char *)items + i * size) & (m - 1);
    while (t->at[k]) k = (k + 1) & (m - 1);
    t->at[k] = (uint32_t)i + 1;
  }
  return true;
}

norn_datum enumerate_probabilities(norn_state *st, const norn_datum *values, const norn_datum *p,
                                   size_t n)
{
  norn_datum map = norn_map_new(st);
  for (size_t i = 0; i < n && !norn_is_none(map); i++) {
    norn_datum two[2] = { norn_map_get(map, values[i]), p[i] }, sum = p[i];
    if (!norn_is_none(two[0]) && norn_big_apply(st, "+", two, 2, &sum)) return norn_none();
    map = norn_map_put(st, map, values[i], sum);
  }
  return map;
}

/* Slots of one address as lists: the first of each in head, the next one in next. */
typedef struct chains {
  const value_slot *s; size_t n, naddr;
  uint32_t *next, *head, *last;
  table t;
} chains;

static bool chains_make(norn_state *st, chains *c, const value_slot *s, size_t n)
{
  *c = (chains){ .s = s, .n = n };
  c->next = engine_get(st, n * sizeof *c->next);
  c->head = engine_get(st, n * sizeof *c->head);
  c->last = engine_get(st, n * sizeof *c->last);
  for (c->t.n = 64; c->t.n < 2 * (n + 1); c->t.n *= 2) { }
  c->t.at = engine_get(st, c->t.n * sizeof *c->t.at);
  if (!c->next || !c->head || !c->last || !c->t.at) return false;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t *at = c->t.at;
    size_t k = hash_mix(s[i].addr) & (c->t.n - 1);
    while (at[k] && s[c->head[at[k] - 1]].addr != s[i].addr) k = (k + 1) & (c->t.n - 1);
    c->next[i] = NONE;
    if (at[k]) {
      c->next[c->last[at[k] - 1]] = i;
      c->last[at[k] - 1] = i;
      continue;
    }
    at[k] = (uint32_t)c->naddr + 1;
    c->head[c->naddr] = c->last[c->naddr] = i;
    c->naddr++;
  }
  return true;
}

static void chains_free(norn_state *st, chains *c)
{
  engine_put(st, c->t.at, c->t.n * sizeof *c->t.at);
  engine_put(st, c->next, c->n * sizeof *c->next);
  engine_put(st, c->head, c->n * sizeof *c->head);
  engine_put(st, c->last, c->n * sizeof *c->last);
}

static norn_datum info_of(norn_state *st, norn_datum probabilities)
{
  const char *name[] = { "engine", "exact", "draws", "probabilities" };
  norn_datum v[] = { norn_cstring(st, "enumerate"), norn_bool(true), norn_int(0), probabilities };
  return norn_record(st, norn_is_none(probabilities) ? 3 : 4, name, v);
}

/* 1 - all that is in p[0..n) */
static norn_datum exact_rest(norn_state *st, const norn_datum *p, size_t n)
{
  norn_datum two[2] = { norn_int(1), norn_none() };
  for (size_t i = 0; i < n; i++) {
    two[1] = p[i];
    if (norn_big_apply(st, "-", two, 2, &two[0])) return norn_none();
  }
  return two[0];
}

/* Of a big, also where doubles underflow. */
static double log_of(norn_state *st, norn_datum p)
{
  double l = -HUGE_VAL;
  norn_datum v;
  if (!norn_big_apply(st, "log", &p, 1, &v)) norn_as_real(v, &l);
  return l;
}

/* The marginal of the choice whose slots begin at `first`; a path without it counts as missing. */
static norn_datum marginal_of(norn_state *st, const chains *c, const column *values, uint32_t first,
                              double total, const norn_datum *exact)
{
  size_t n = 1, k = 0;
  double without = total;
  for (uint32_t i = first; i != NONE; i = c->next[i]) n++;
  norn_datum out = norn_none(), *v = engine_get(st, n * sizeof *v),
             *p = engine_get(st, n * sizeof *p);
  double *lw = engine_get(st, n * sizeof *lw);
  bool good = v && p && lw;
  for (uint32_t i = first; good && i != NONE; i = c->next[i]) {
    if (!(c->s[i].sum > 0) && !exact) continue;
    v[k] = column_at(st, values, i);
    if (exact) p[k] = exact[i];
    lw[k] = exact ? log_of(st, p[k]) : log(c->s[i].sum);
    without -= c->s[i].sum;
    if (lw[k] > -HUGE_VAL) k++;
  }
  if (good && exact) {
    p[k] = exact_rest(st, p, k);
    without = norn_as_real(p[k], &without) && without > 1e-30 ? total : 0;
  }
  if (good && without > 1e-9 * total) {
    v[k] = norn_missing();
    lw[k] = exact ? log_of(st, p[k]) : log(without);
    k++;
  }
  if (good && k) {
    norn_datum info = info_of(st, exact ? enumerate_probabilities(st, v, p, k) : norn_none());
    norn_datum all = norn_array_pack(st, v, (int64_t)k);
    out = posterior_new(st, all, lw, info, norn_unit(), norn_unit(), norn_unit(), 0, true);
  }
  engine_put(st, v, n * sizeof *v);
  engine_put(st, p, n * sizeof *p);
  engine_put(st, lw, n * sizeof *lw);
  return out;
}

/* A record of the marginals of all choices, in the order in which they were met. */
norn_status enumerate_marginals(norn_infer *inf, const value_slot *s, size_t n,
                                const column *values, double total, const norn_datum *exact)
{
  norn_state *st = norn_infer_state(inf);
  chains c;
  const char **name = engine_get(st, n * sizeof *name);
  norn_datum *v = engine_get(st, n * sizeof *v);
  arena names;
  mem m;
  size_t shown = 0;
  mem_init(&m);
  arena_init(&names, &m);
  bool good = chains_make(st, &c, s, n) && name && v;
  for (size_t a = 0; good && a < c.naddr; a++) {
    char buf[256];
    if (!norn_addr_name(st, s[c.head[a]].addr, buf, sizeof buf)) continue;
    name[shown] = arena_text(&names, buf, strlen(buf));
    v[shown] = marginal_of(st, &c, values, c.head[a], total, exact);
    if (!norn_is_none(v[shown]) && name[shown]) shown++;
  }
  norn_datum r = good && shown ? norn_record(st, (int)shown, name, v) : norn_none();
  arena_free(&names);
  chains_free(st, &c);
  engine_put(st, name, n * sizeof *name);
  engine_put(st, v, n * sizeof *v);
  return norn_is_none(r) ? (good ? NORN_OK : NORN_EMEMORY) : infer_marginals(inf, r);
}
