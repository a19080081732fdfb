/* grammar_net.c: machines of a grammar whose rules nest (grammar.h), made deterministic each by itself.

   1. A stop may stand in no text before its end: each machine is taken once for each part of the stop that the text may
      end in when it begins and when it ends (Bar-Hillel, Perles, Shamir 1961), of which there is one for a stop of a
      byte.
   2. Machines become deterministic (subset construction) over bytes and calls.  A call of what may be empty is passed
      over as well, and a machine's first state, to which nothing leads back, does not accept; so machines read at least
      one byte.
   3. Machines that call themselves before they read a byte, perhaps by way of others: the first byte is read by some
      part of the circle that calls none of it, and then the circle is gone up: where C has ended, D may go on that
      began with C (the left-corner transform: Rosenkrantz, Lewis 1970; Moore 2000), until A has ended, and perhaps on
      from there.  What was left recursion is a loop.
   4. Machines that end in no text go, and of all states together the smallest are made (regex.c), calls being letters
      as bytes are. */
#include "llm/guide/grammar.h"
#include "llm/guide/regex_in.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORK = 100000000, CELLS = 8000000, ITEMS = 4000000, WAYS = 4000000, KEYS = 8000000 };
#define BEHIND_STOP INT64_MAX            /* the one item of the state in which all is read */

typedef struct mach { int unit, from, exit; int32_t start; } mach;      /* exit of the root: of_stop */

typedef struct net {
  norn_state *st;
  mem *m;
  rx_parser *p;
  const rx_nfa *a;
  int classes, units, of_stop;           /* of_stop: parts of the stop, at least 1 */
  uint8_t class_of[256], byte[256];      /* a byte of each class */
  const char *stop; size_t nstop;
  uint32_t *falls;
  bool *nullable, *asked, *can;          /* (units), (units, of_stop), (units, of_stop, of_stop) */
  int32_t *known;                        /* as can: the machine; -1: none yet */
  size_t ways, items;
  mach *mach; size_t nmach, mach_cap;
  uint32_t *seen, turn;                  /* (items) */
  int64_t *found, *stack; size_t nfound, found_cap, stack_cap;
  /* states */
  int n;
  int64_t *key; size_t nkey, key_cap;    /* items of all states */
  size_t *at; size_t at_cap;
  int32_t *table; size_t table_n;
  int32_t *next; size_t next_cap;
  bool *accepts; size_t accepts_cap;
  int32_t *call_at; size_t call_at_cap;
  grammar_call *call; size_t ncall, call_cap;
  int32_t *part;                         /* (nmach) components of who calls whom first */
  int levelled;                          /* states of step 2 */
  uint64_t work;
} net;

static bool too_large(const net *w)
{
  norn_fail(w->st, NORN_ELIMIT, -1, "the grammar is too large: its machines have more than %d states, or they take too "
            "long to make", REGEX_STATES);
  norn_hint(w->st, "use smaller counts, or none, and a short stop");
  return false;
}
static bool no_memory(const net *w) { return !rx_no_memory(w->st); }
static bool worked(net *w, size_t n) { return (w->work += n) <= WORK || too_large(w); }

static int32_t start_of(const net *w, int unit) { return unit ? w->a->machine[unit - 1] : w->a->start; }
static size_t way_of(const net *w, int unit, int from, int exit)
{
  return ((size_t)unit * (size_t)w->of_stop + (size_t)from) * (size_t)w->of_stop + (size_t)exit;
}
/* The part of the stop behind a byte; nstop: all of it. */
static int part_behind(const net *w, int part, int byte)
{
  return w->nstop ? (int)rx_of_stop(w->stop, w->falls, (size_t)part, byte) : 0;
}

/* ---- how machines can end ---- */

static bool push(net *w, int64_t item)
{
  if (w->seen[item] == w->turn) return true;
  w->seen[item] = w->turn;
  if (!mem_grow(w->m, &w->stack, &w->stack_cap, w->nfound + 1, sizeof *w->stack)) return no_memory(w);
  w->stack[w->nfound++] = item;
  return true;
}

static bool push_bytes(net *w, const rx_step *e, int part)
{
  if (w->nstop == 0) return push(w, e->to);
  for (int b = e->lo, last = -1; b <= e->hi; b++) {
    if (w->class_of[b] == last) continue;
    last = w->class_of[b];
    int then = part_behind(w, part, b);
    if (then < (int)w->nstop && !push(w, (int64_t)e->to * w->of_stop + then)) return false;
  }
  return true;
}

/* From the start of a unit: what it may end in, given what is known of others. */
static bool explore(net *w, int unit, int from, bool *more)
{
  const int K = w->of_stop;
  bool ok;
  w->turn++;
  w->nfound = 0;                                        /* the height of the stack */
  ok = push(w, (int64_t)start_of(w, unit) * K + from);
  while (ok && w->nfound > 0) {
    int64_t item = w->stack[--w->nfound];
    const rx_step *e = &w->a->v[item / K];
    int part = (int)(item % K);
    if (!worked(w, 1)) return false;
    if (e->op == RX_SPLIT) ok = push(w, (int64_t)e->to * K + part) && push(w, (int64_t)e->or * K + part);
    else if (e->op == RX_BYTE) ok = e->lo > e->hi || push_bytes(w, e, part);
    else if (e->op == RX_MATCH) {
      bool *way = &w->can[way_of(w, unit, from, part)];
      if (e->to == RX_RETURN && !*way) *way = *more = true;
    } else {
      bool *asked = &w->asked[(e->or + 1) * K + part];
      if (!*asked) *asked = *more = true;
      for (int k = 0; k < K && ok; k++)
        if (w->can[way_of(w, e->or + 1, part, k)]) ok = push(w, (int64_t)e->to * K + k);
    }
  }
  return ok;
}

/* Whether a unit may read nothing, given what is known of others. */
static bool nothing_read(net *w, int unit, bool *is)
{
  bool ok;
  w->turn++;
  w->nfound = 0;
  *is = false;
  ok = push(w, start_of(w, unit));
  while (ok && w->nfound > 0) {
    const rx_step *e = &w->a->v[w->stack[--w->nfound]];
    if (!worked(w, 1)) return false;
    if (e->op == RX_SPLIT) ok = push(w, e->to) && push(w, e->or);
    else if (e->op == RX_CALL && w->nullable[e->or + 1]) ok = push(w, e->to);
    else if (e->op == RX_MATCH) *is |= e->to == RX_RETURN || e->to == RX_WHOLE;
  }
  return ok;
}

static bool find_ways(net *w)
{
  w->asked[0] = true;
  for (bool more = true; more;) {
    more = false;
    for (int u = 0; u < w->units; u++) {
      bool is = false;
      if (!w->nullable[u]) {
        if (!nothing_read(w, u, &is)) return false;
        w->nullable[u] = is;
        more |= is;
      }
      for (int k = 0; k < w->of_stop; k++)
        if (w->asked[u * w->of_stop + k] && !explore(w, u, k, &more)) return false;
    }
  }
  return true;
}

/* ---- states ---- */

static int by_value(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static bool rehash(net *w, size_t n)
{
  int32_t *t = mem_get(w->m, n * sizeof *t);
  if (!t) return no_memory(w);
  memset(t, -1, n * sizeof *t);
  mem_put(w->m, w->table, w->table_n * sizeof *t);
  w->table = t;
  w->table_n = n;
  for (int k = 0; k < w->n; k++) {
    size_t h = hash_bytes(w->key + w->at[k], (w->at[k + 1] - w->at[k]) * sizeof *w->key, 0) & (n - 1);
    while (t[h] >= 0) h = (h + 1) & (n - 1);
    t[h] = k;
  }
  return true;
}

static bool found_add(net *w, int64_t item)
{
  if (!mem_grow(w->m, &w->found, &w->found_cap, w->nfound + 1, sizeof *w->found)) return no_memory(w);
  w->found[w->nfound++] = item;
  return true;
}

static bool state_room(net *w)
{
  size_t n = (size_t)w->n + 1, row = (size_t)w->classes;
  if (w->n >= REGEX_STATES || n * row > CELLS || w->nkey + w->nfound > KEYS) return too_large(w);
  if (!mem_grow(w->m, &w->at, &w->at_cap, n + 1, sizeof *w->at) ||
      !mem_grow(w->m, &w->accepts, &w->accepts_cap, n, sizeof *w->accepts) ||
      !mem_grow(w->m, &w->next, &w->next_cap, n * row, sizeof *w->next) ||
      !mem_grow(w->m, &w->call_at, &w->call_at_cap, n + 1, sizeof *w->call_at) ||
      !mem_grow(w->m, &w->key, &w->key_cap, w->nkey + w->nfound + 1, sizeof *w->key))
    return no_memory(w);
  return 2 * n < w->table_n || rehash(w, 2 * w->table_n);
}

/* The state that `found` is, all of whose items are there; new ones accept as said.  -2: error set. */
static int state_of(net *w, bool accepts)
{
  if (w->nfound > 1) qsort(w->found, w->nfound, sizeof *w->found, by_value);
  size_t bytes = w->nfound * sizeof *w->found, h = hash_bytes(w->found, bytes, 0) & (w->table_n - 1);
  if (!worked(w, 4 * w->nfound)) return -2;
  for (int k; (k = w->table[h]) >= 0; h = (h + 1) & (w->table_n - 1))
    if (w->at[k + 1] - w->at[k] == w->nfound && memcmp(w->key + w->at[k], w->found, bytes) == 0) return k;
  if (!state_room(w)) return -2;
  memcpy(w->key + w->nkey, w->found, bytes);
  w->at[w->n] = w->nkey;
  w->at[w->n + 1] = w->nkey += w->nfound;
  w->accepts[w->n] = accepts;
  for (h = hash_bytes(w->found, bytes, 0) & (w->table_n - 1); w->table[h] >= 0;) h = (h + 1) & (w->table_n - 1);
  w->table[h] = w->n;
  return w->n++;
}

static bool call_add(net *w, int machine, int to)
{
  if (!mem_grow(w->m, &w->call, &w->call_cap, w->ncall + 1, sizeof *w->call)) return no_memory(w);
  w->call[w->ncall++] = (grammar_call){ machine, to };
  return true;
}

/* ---- each machine by itself ---- */

/* The first item of a state says how its machine ends, and whether it is the first: of step 2, and of step 3. */
static int64_t mark_of(int exit, bool first) { return -1 - (2 * (int64_t)exit + first); }
static int64_t mark_up(const net *w, int machine, bool first)
{
  return -1 - (2 * ((int64_t)machine + w->of_stop + 1) + first);
}

/* What can be read, called or ended with from an item on joins `found`. */
static bool reach(net *w, int64_t item)
{
  size_t n = 0;
  const int K = w->of_stop;
  if (w->seen[item] == w->turn) return true;
  w->seen[item] = w->turn;
  if (!mem_grow(w->m, &w->stack, &w->stack_cap, 1, sizeof *w->stack)) return no_memory(w);
  w->stack[n++] = item;
  while (n > 0) {
    item = w->stack[--n];
    const rx_step *e = &w->a->v[item / K];
    int64_t way[2] = { -1, -1 };
    if (!worked(w, 1)) return false;
    if (e->op == RX_SPLIT) {
      way[0] = (int64_t)e->to * K + item % K;
      way[1] = (int64_t)e->or * K + item % K;
    } else {
      if (!found_add(w, item)) return false;
      if (e->op == RX_CALL && w->nullable[e->or + 1]) way[0] = (int64_t)e->to * K + item % K;
    }
    for (int k = 0; k < 2; k++) {
      if (way[k] < 0 || w->seen[way[k]] == w->turn) continue;
      w->seen[way[k]] = w->turn;
      if (!mem_grow(w->m, &w->stack, &w->stack_cap, n + 1, sizeof *w->stack)) return no_memory(w);
      w->stack[n++] = way[k];
    }
  }
  return true;
}

static bool begin_set(net *w, int64_t mark)
{
  w->turn++;
  w->nfound = 0;
  return found_add(w, mark);
}

/* Whether a machine that ends in `exit` may end in `found`. */
static bool ends(const net *w, int exit)
{
  for (size_t k = 1; k < w->nfound; k++) {
    if (w->found[k] == BEHIND_STOP) return true;
    const rx_step *e = &w->a->v[w->found[k] / w->of_stop];
    if (e->op != RX_MATCH) continue;
    if (exit == w->of_stop ? e->to == RX_WHOLE : e->to == RX_RETURN && w->found[k] % w->of_stop == exit) return true;
  }
  return false;
}

/* The machine of a unit, made if need be; -2: error set. */
static int machine_of(net *w, int unit, int from, int exit)
{
  int32_t *known = exit < w->of_stop ? &w->known[way_of(w, unit, from, exit)] : NULL;
  if (known && *known >= 0) return *known;
  if (!mem_grow(w->m, &w->mach, &w->mach_cap, w->nmach + 1, sizeof *w->mach)) return no_memory(w), -2;
  size_t k = w->nmach++;
  w->mach[k] = (mach){ unit, from, exit, -1 };
  if (known) *known = (int32_t)k;
  if (!begin_set(w, mark_of(exit, true)) || !reach(w, (int64_t)start_of(w, unit) * w->of_stop + from)) return -2;
  int s = state_of(w, false);
  w->mach[k].start = s;
  return s < 0 ? -2 : (int)k;
}

static bool by_byte(net *w, int state, int class, int exit)
{
  const int K = w->of_stop, b = w->byte[class];
  bool stop = false;
  size_t from = w->at[state] + 1, end = w->at[state + 1];
  int32_t *to = &w->next[(size_t)state * (size_t)w->classes + (size_t)class];
  *to = -1;
  if (from < end && w->key[from] == BEHIND_STOP) return *to = state, true;
  if (!begin_set(w, mark_of(exit, false)) || !worked(w, end - from + 1)) return false;
  for (size_t k = from; k < end; k++) {
    const rx_step *e = &w->a->v[w->key[k] / K];
    if (e->op != RX_BYTE || b < e->lo || b > e->hi) continue;
    int then = part_behind(w, (int)(w->key[k] % K), b);
    if (w->nstop && then == (int)w->nstop) stop |= w->a->v[e->to].op == RX_MATCH && w->a->v[e->to].to == RX_STOP;
    else if (!reach(w, (int64_t)e->to * K + then)) return false;
  }
  if (stop) {
    w->nfound = 1;
    if (!found_add(w, BEHIND_STOP)) return false;
  }
  if (w->nfound < 2) return true;
  int s = state_of(w, ends(w, exit));
  if (s >= 0) w->next[(size_t)state * (size_t)w->classes + (size_t)class] = s;
  return s >= 0;
}

static int by_machine(const void *a, const void *b)
{
  const grammar_call *x = a, *y = b;
  return (x->machine > y->machine) - (x->machine < y->machine);
}

/* The calls of a state: for each machine, what stands behind it. */
static bool by_calls(net *w, int state, int exit)
{
  const int K = w->of_stop;
  grammar_call *v = NULL;
  size_t n = 0, cap = 0;
  bool ok = true;
  for (size_t k = w->at[state] + 1; k < w->at[state + 1] && ok; k++) {
    int64_t item = w->key[k];
    if (item == BEHIND_STOP || w->a->v[item / K].op != RX_CALL) continue;
    rx_step e = w->a->v[item / K];
    for (int end = 0; end < K && ok; end++) {
      if (!w->can[way_of(w, e.or + 1, (int)(item % K), end)]) continue;
      int m = machine_of(w, e.or + 1, (int)(item % K), end);
      ok = m >= 0 && mem_grow(w->m, &v, &cap, n + 1, sizeof *v);
      if (ok) v[n++] = (grammar_call){ m, (int32_t)((int64_t)e.to * K + end) };
      else if (m >= 0) no_memory(w);
    }
  }
  if (n > 1) qsort(v, n, sizeof *v, by_machine);
  for (size_t k = 0; k < n && ok;) {
    int m = v[k].machine;
    ok = begin_set(w, mark_of(exit, false));
    for (; k < n && v[k].machine == m && ok; k++) ok = reach(w, v[k].to);
    int s = ok ? state_of(w, ends(w, exit)) : -2;
    ok = s >= 0 && call_add(w, m, s);
  }
  mem_put(w->m, v, cap * sizeof *v);
  return ok;
}

static bool find_states(net *w)
{
  if (!rehash(w, 64) || machine_of(w, 0, 0, w->of_stop) < 0) return false;
  for (int s = 0; s < w->n; s++) {
    int exit = (int)((-1 - w->key[w->at[s]]) / 2);
    for (int c = 0; c < w->classes; c++)
      if (!by_byte(w, s, c, exit)) return false;
    w->call_at[s] = (int32_t)w->ncall;
    if (!by_calls(w, s, exit)) return false;
    w->call_at[s + 1] = (int32_t)w->ncall;
  }
  w->levelled = w->n;
  return true;
}

/* ---- left recursion ---- */

/* Who calls whom before a byte is read: part (nmach).  circle (nmach): whether it comes back to itself so. */
static bool find_circles(net *w, bool *circle)
{
  int n = (int)w->nmach;
  size_t edges = 0, cells;
  for (int k = 0; k < n; k++) edges += (size_t)(w->call_at[w->mach[k].start + 1] - w->call_at[w->mach[k].start]);
  cells = 6 * (size_t)n + 1 + edges;
  int32_t *at = mem_get(w->m, cells * sizeof *at), *to = at + n + 1;
  if (!at) return no_memory(w);
  size_t e = 0;
  for (int k = 0; k < n; k++) {
    at[k] = (int32_t)e;
    circle[k] = false;
    for (int c = w->call_at[w->mach[k].start]; c < w->call_at[w->mach[k].start + 1]; c++) to[e++] = w->call[c].machine;
  }
  at[n] = (int32_t)e;
  rx_components(n, at, to, w->part, to + edges);
  for (int k = 0; k < n; k++)
    for (int i = at[k]; i < at[k + 1]; i++)
      if (w->part[to[i]] == w->part[k]) circle[k] = circle[to[i]] = true;
  mem_put(w->m, at, cells * sizeof *at);
  return true;
}

static int64_t pair_of(const net *w, int machine, int state) { return (int64_t)machine * w->levelled + state; }

/* State s of machine C joins `found`; where it has ended, so does what stands behind C in whoever begins with it. */
static bool climb(net *w, int machine, int state)
{
  size_t from = w->nfound;
  if (!found_add(w, pair_of(w, machine, state))) return false;
  for (size_t k = from; k < w->nfound; k++) {
    int c = (int)(w->found[k] / w->levelled), s = (int)(w->found[k] % w->levelled);
    if (!worked(w, 1)) return false;
    if (!w->accepts[s]) continue;
    for (size_t d = 0; d < w->nmach; d++) {
      if (w->part[d] != w->part[c]) continue;
      for (int i = w->call_at[w->mach[d].start]; i < w->call_at[w->mach[d].start + 1]; i++) {
        if (w->call[i].machine != c) continue;
        int64_t item = pair_of(w, (int)d, w->call[i].to);
        bool there = false;
        for (size_t j = 1; j < w->nfound && !there; j++) there = w->found[j] == item;
        if (!worked(w, w->nfound)) return false;
        if (!there && !found_add(w, item)) return false;
      }
    }
  }
  return true;
}

static bool climb_once(net *w, int machine, int state)
{
  int64_t item = pair_of(w, machine, state);
  for (size_t j = 1; j < w->nfound; j++)
    if (w->found[j] == item) return true;
  return worked(w, w->nfound) && climb(w, machine, state);
}

static int climbed(net *w, int target)
{
  bool accepts = false;
  for (size_t k = 1; k < w->nfound; k++)
    accepts |= w->found[k] / w->levelled == target && w->accepts[w->found[k] % w->levelled];
  return state_of(w, accepts);
}

static bool up_byte(net *w, int state, int class, int target)
{
  if (!begin_set(w, mark_up(w, target, false))) return false;
  for (size_t k = w->at[state] + 1; k < w->at[state + 1]; k++) {
    int c = (int)(w->key[k] / w->levelled);
    int32_t to = w->next[(size_t)(w->key[k] % w->levelled) * (size_t)w->classes + (size_t)class];
    if (to >= 0 && !climb_once(w, c, to)) return false;
  }
  int s = w->nfound > 1 ? climbed(w, target) : -1;
  if (s != -2) w->next[(size_t)state * (size_t)w->classes + (size_t)class] = s;
  return s != -2;
}

static bool up_calls(net *w, int state, int target, bool first)
{
  for (size_t m = 0; m < w->nmach; m++) {
    if (first && w->part[m] == w->part[target]) continue;
    if (!begin_set(w, mark_up(w, target, false))) return false;
    for (size_t k = w->at[state] + 1; k < w->at[state + 1]; k++) {
      int c = (int)(w->key[k] / w->levelled), s = (int)(w->key[k] % w->levelled);
      if (!worked(w, 1)) return false;
      for (int i = w->call_at[s]; i < w->call_at[s + 1]; i++)
        if (w->call[i].machine == (int)m && !climb_once(w, c, w->call[i].to)) return false;
    }
    int s = w->nfound > 1 ? climbed(w, target) : -1;
    if (s == -2 || (s >= 0 && !call_add(w, (int)m, s))) return false;
  }
  return true;
}

/* Machines that begin with themselves get new states, and a new start. */
static bool go_up(net *w, bool *circle)
{
  int32_t *start = mem_get(w->m, w->nmach * sizeof *start);
  bool ok = start != NULL || no_memory(w);
  for (size_t t = 0; t < w->nmach && ok; t++) {
    start[t] = w->mach[t].start;
    if (!circle[t]) continue;
    ok = begin_set(w, mark_up(w, (int)t, true));
    for (size_t b = 0; b < w->nmach && ok; b++)
      if (w->part[b] == w->part[t]) ok = found_add(w, pair_of(w, (int)b, w->mach[b].start));
    int s = ok ? state_of(w, false) : -2;
    start[t] = s;
    ok = s >= 0;
  }
  for (int s = w->levelled; s < w->n && ok; s++) {
    int64_t mark = -1 - w->key[w->at[s]];
    int target = (int)(mark / 2) - w->of_stop - 1;
    for (int c = 0; c < w->classes && ok; c++) ok = up_byte(w, s, c, target);
    w->call_at[s] = (int32_t)w->ncall;
    ok = ok && up_calls(w, s, target, mark & 1);
    w->call_at[s + 1] = (int32_t)w->ncall;
  }
  for (size_t t = 0; t < w->nmach && ok; t++) w->mach[t].start = start[t];
  mem_put(w->m, start, w->nmach * sizeof *start);
  return ok;
}

/* ---- what is left of it ---- */

/* Which states come to the end of their machine: alive (n). */
static bool find_alive(net *w, bool *alive)
{
  memcpy(alive, w->accepts, (size_t)w->n);
  for (bool more = true; more;) {
    more = false;
    if (!worked(w, (size_t)w->n)) return false;
    for (int s = w->n; s-- > 0;) {
      const int32_t *next = w->next + (size_t)s * (size_t)w->classes;
      bool is = alive[s];
      for (int c = 0; c < w->classes && !is; c++) is = next[c] >= 0 && alive[next[c]];
      for (int i = w->call_at[s]; i < w->call_at[s + 1] && !is; i++)
        is = alive[w->mach[w->call[i].machine].start] && alive[w->call[i].to];
      more |= is && !alive[s];
      alive[s] = is;
    }
  }
  return true;
}

/* All machines as one automaton, whose letters are bytes and calls; state 0 calls each machine's start. */
static bool as_one(net *w, const bool *alive, regex *r)
{
  size_t row = (size_t)w->classes + w->nmach, n = (size_t)w->n + 1;
  if (n * row > CELLS) return too_large(w);
  *r = (regex){ .st = w->st, .n = (int)n, .classes = (int)row };
  memcpy(r->class_of, w->class_of, sizeof r->class_of);
  r->next = mem_get(w->m, n * row * sizeof *r->next);
  r->accepts = mem_zero(w->m, n * sizeof *r->accepts);
  if (!r->next || !r->accepts) return no_memory(w);
  memset(r->next, -1, n * row * sizeof *r->next);
  memcpy(r->accepts + 1, w->accepts, (size_t)w->n);
  for (size_t k = 0; k < w->nmach; k++) {
    int s = w->mach[k].start;
    if (alive[s]) r->next[(size_t)w->classes + k] = s + 1;
  }
  for (int s = 0; s < w->n; s++) {
    int32_t *to = r->next + ((size_t)s + 1) * row;
    const int32_t *next = w->next + (size_t)s * (size_t)w->classes;
    for (int c = 0; c < w->classes; c++) to[c] = next[c] < 0 ? -1 : next[c] + 1;
    for (int i = w->call_at[s]; i < w->call_at[s + 1]; i++)
      if (alive[w->mach[w->call[i].machine].start]) to[w->classes + w->call[i].machine] = w->call[i].to + 1;
  }
  return true;
}

/* Machines in an order in which those that call others before a byte stand before them: number (nmach). */
static bool in_order(net *w, const regex *r, int32_t *number)
{
  int n = (int)w->nmach, classes = w->classes;
  size_t edges = 0, cells;
  for (int k = 0; k < n; k++)
    for (int m = 0, s = r->next[classes + k]; m < n && s >= 0; m++) edges += r->next[s * r->classes + classes + m] >= 0;
  cells = 6 * (size_t)n + 1 + edges;
  int32_t *at = mem_get(w->m, cells * sizeof *at), *to = at + n + 1;
  if (!at) return no_memory(w);
  size_t e = 0;
  for (int k = 0; k < n; k++) {
    at[k] = (int32_t)e;
    for (int m = 0, s = r->next[classes + k]; m < n && s >= 0; m++)
      if (r->next[s * r->classes + classes + m] >= 0) to[e++] = m;
  }
  at[n] = (int32_t)e;
  int parts = rx_components(n, at, to, number, to + edges);
  for (int k = 0; k < n; k++) number[k] = parts - 1 - number[k];
  mem_put(w->m, at, cells * sizeof *at);
  return parts == n || too_large(w);                    /* no machine begins with itself */
}

static void name_machine(const net *w, const mach *k, grammar_machine *out)
{
  const rx_parser *p = w->p;
  for (size_t i = 0; i < p->nrule; i++) {
    const rx_rule *r = &p->rule[i];
    if (k->unit ? r->called != k->unit : r->n != 4 || memcmp(r->name, "root", 4)) continue;
    int shown = r->n < sizeof out->name ? (int)r->n : (int)sizeof out->name - 1;
    snprintf(out->name, sizeof out->name, "%.*s", shown, r->name);
    out->line = rx_line(p, r->at);
    out->column = rx_column(p, r->at);
  }
}

static bool is_end(const regex *r, int s)
{
  for (int c = 0; c < r->classes; c++)
    if (r->next[s * r->classes + c] >= 0) return false;
  return r->accepts[s];
}

/* r: the smallest of as_one. */
static bool take_apart(net *w, const regex *r, const int32_t *number, grammar *g)
{
  size_t n = (size_t)r->n, classes = (size_t)w->classes, calls = 0;
  g->r = (regex){ .st = w->st, .n = r->n, .classes = w->classes };
  memcpy(g->r.class_of, w->class_of, sizeof g->r.class_of);
  g->machines = (int)w->nmach;
  for (size_t s = 1; s < n; s++)
    for (size_t m = 0; m < w->nmach; m++) calls += r->next[s * (size_t)r->classes + classes + m] >= 0;
  g->r.next = mem_get(w->m, n * classes * sizeof *g->r.next);
  g->r.accepts = mem_get(w->m, n * sizeof *g->r.accepts);
  g->machine = mem_zero(w->m, w->nmach * sizeof *g->machine);
  g->call_at = mem_zero(w->m, (n + 1) * sizeof *g->call_at);
  g->call = mem_get(w->m, (calls + 1) * sizeof *g->call);
  g->first = mem_zero(w->m, n * sizeof *g->first);
  g->bytes = mem_get(w->m, n * sizeof *g->bytes);
  g->owner = mem_zero(w->m, n * sizeof *g->owner);
  g->ncall = calls;
  bool ok = g->owner && g->r.next && g->r.accepts && g->machine && g->call_at && g->call && g->first && g->bytes;
  if (!ok) return no_memory(w);
  memcpy(g->r.accepts, r->accepts, n);
  for (size_t m = 0; m < w->nmach; m++) {
    grammar_machine *k = &g->machine[number[m]];
    k->start = r->next[classes + m];
    name_machine(w, &w->mach[m], k);
  }
  g->root = number[0];
  calls = 0;
  for (size_t s = 0; s < n; s++) {
    memcpy(g->r.next + s * classes, r->next + s * (size_t)r->classes, classes * sizeof *g->r.next);
    g->call_at[s] = (int32_t)calls;
    for (size_t m = 0; m < w->nmach && s > 0; m++) {
      int to = r->next[s * (size_t)r->classes + classes + m];
      if (to >= 0) g->call[calls++] = (grammar_call){ number[m], is_end(r, to) ? -1 : to };
    }
  }
  g->call_at[n] = (int32_t)calls;
  return true;
}

/* To which machine a state belongs: from the last, so that what several share is the first's.  queue (r.n). */
static void find_owners(grammar *g, int32_t *queue)
{
  const regex *r = &g->r;
  for (int m = g->machines; m-- > 0;) {
    int n = 0, start = g->machine[m].start;
    if (start >= 0 && g->owner[start] != m + 1) g->owner[queue[n++] = start] = m + 1;
    for (int k = 0; k < n; k++) {
      for (int c = 0; c < r->classes; c++) {
        int to = r->next[queue[k] * r->classes + c];
        if (to >= 0 && g->owner[to] != m + 1) g->owner[queue[n++] = to] = m + 1;
      }
      for (int i = g->call_at[queue[k]]; i < g->call_at[queue[k] + 1]; i++) {
        int to = g->call[i].to;
        if (to >= 0 && g->owner[to] != m + 1) g->owner[queue[n++] = to] = m + 1;
      }
    }
  }
  for (int s = 0; s < r->n; s++) g->owner[s] -= g->owner[s] > 0;
}

/* first and bytes of each state. */
static void measure(grammar *g)
{
  const regex *r = &g->r;
  for (int s = 0; s < r->n; s++) g->bytes[s] = r->accepts[s] ? 0 : GRAMMAR_FAR;
  for (bool more = true; more;) {
    more = false;
    for (int s = r->n; s-- > 0;) {
      int least = g->bytes[s];
      uint64_t first = g->first[s];
      for (int b = 0; b < 256; b++) {
        int to = regex_step(r, s, (uint8_t)b);
        if (to < 0) continue;
        first |= (uint64_t)1 << (b >> 2);
        if (g->bytes[to] + 1 < least) least = g->bytes[to] + 1;
      }
      for (int i = g->call_at[s]; i < g->call_at[s + 1]; i++) {
        int start = g->machine[g->call[i].machine].start, to = g->call[i].to;
        int64_t all = (int64_t)g->bytes[start] + (to < 0 ? 0 : g->bytes[to]);
        first |= g->first[start];
        if (all < least) least = (int)all;
      }
      more |= least != g->bytes[s] || first != g->first[s];
      g->bytes[s] = least;
      g->first[s] = first;
    }
  }
}

static bool no_text(const net *w)
{
  for (size_t k = 0; k < w->p->nrule; k++)
    if (w->p->rule[k].n == 4 && !memcmp(w->p->rule[k].name, "root", 4))
      rx_wrong(w->p, w->p->rule[k].at, "each rule that comes back to itself needs a way to end, as x ::= \"(\" x \")\" | \"y\"",
               "no text at all is of this rule%s", w->nstop ? " and without the stop" : "");
  return false;
}

static bool finish(net *w, grammar *g)
{
  regex one = { 0 }, small = { .st = w->st };
  bool *alive = mem_get(w->m, (size_t)w->n + 1), ok = alive != NULL || no_memory(w);
  int32_t *number = mem_get(w->m, w->nmach * sizeof *number);
  ok = ok && (number || no_memory(w)) && find_alive(w, alive);
  g->empty = w->nullable[0];
  if (ok && !g->empty && !alive[w->mach[0].start]) ok = no_text(w);
  bool any = false;
  for (size_t k = 0; k < w->nmach && ok; k++) any |= alive[w->mach[k].start];
  if (ok && !any) w->accepts[w->mach[0].start] = alive[w->mach[0].start] = true;    /* the empty text alone */
  ok = ok && as_one(w, alive, &one);
  small.classes = one.classes;
  ok = ok && rx_smallest(w->st, w->m, &one, &small);
  ok = ok && in_order(w, &small, number) && take_apart(w, &small, number, g);
  if (ok) {
    find_owners(g, g->bytes);
    measure(g);
  }
  size_t row = (size_t)w->classes + w->nmach, n = (size_t)w->n + 1;
  mem_put(w->m, one.next, n * row * sizeof *one.next);
  mem_put(w->m, one.accepts, n * sizeof *one.accepts);
  regex_free(&small);
  mem_put(w->m, alive, (size_t)w->n + 1);
  mem_put(w->m, number, w->nmach * sizeof *number);
  return ok;
}

/* ---- all of it ---- */

static bool net_new(net *w)
{
  regex r;
  rx_classes(w->a, &r);
  w->classes = r.classes;
  memcpy(w->class_of, r.class_of, sizeof w->class_of);
  for (int b = 256; b-- > 0;) w->byte[r.class_of[b]] = (uint8_t)b;
  w->units = w->a->machines + 1;
  w->of_stop = w->nstop ? (int)w->nstop : 1;
  size_t k = (size_t)w->of_stop, u = (size_t)w->units;
  w->ways = u * k * k;
  w->items = w->a->n * k;
  if (w->ways > WAYS || w->items > ITEMS) return too_large(w);
  w->falls = mem_get(w->m, (w->nstop + 1) * sizeof *w->falls);
  w->nullable = mem_zero(w->m, u);
  w->asked = mem_zero(w->m, u * k);
  w->can = mem_zero(w->m, w->ways);
  w->known = mem_get(w->m, w->ways * sizeof *w->known);
  w->seen = mem_zero(w->m, w->items * sizeof *w->seen);
  if (!w->falls || !w->nullable || !w->asked || !w->can || !w->known || !w->seen) return no_memory(w);
  memset(w->known, -1, w->ways * sizeof *w->known);
  rx_find_falls(w->stop, w->nstop, w->falls);
  return true;
}

static void net_free(net *w)
{
  mem *m = w->m;
  mem_put(m, w->falls, (w->nstop + 1) * sizeof *w->falls);
  mem_put(m, w->nullable, (size_t)w->units);
  mem_put(m, w->asked, (size_t)w->units * (size_t)w->of_stop);
  mem_put(m, w->can, w->ways);
  mem_put(m, w->known, w->ways * sizeof *w->known);
  mem_put(m, w->seen, w->items * sizeof *w->seen);
  mem_put(m, w->mach, w->mach_cap * sizeof *w->mach);
  mem_put(m, w->found, w->found_cap * sizeof *w->found);
  mem_put(m, w->stack, w->stack_cap * sizeof *w->stack);
  mem_put(m, w->key, w->key_cap * sizeof *w->key);
  mem_put(m, w->at, w->at_cap * sizeof *w->at);
  mem_put(m, w->table, w->table_n * sizeof *w->table);
  mem_put(m, w->next, w->next_cap * sizeof *w->next);
  mem_put(m, w->accepts, w->accepts_cap * sizeof *w->accepts);
  mem_put(m, w->call_at, w->call_at_cap * sizeof *w->call_at);
  mem_put(m, w->call, w->call_cap * sizeof *w->call);
}

bool grammar_net_new(rx_parser *p, const rx_nfa *a, const char *stop, size_t nstop, grammar *g)
{
  net w = { .st = p->st, .m = p->m, .p = p, .a = a, .stop = stop, .nstop = nstop };
  bool ok = net_new(&w) && find_ways(&w) && find_states(&w), *circle = NULL;
  size_t n = w.nmach;
  if (ok) {
    w.part = mem_get(w.m, n * sizeof *w.part);
    circle = mem_get(w.m, n);
    ok = (w.part && circle) || no_memory(&w);
  }
  ok = ok && find_circles(&w, circle) && go_up(&w, circle) && finish(&w, g);
  mem_put(w.m, w.part, n * sizeof *w.part);
  mem_put(w.m, circle, n);
  net_free(&w);
  return ok;
}
