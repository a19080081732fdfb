/* regex.c: deterministic automata of regular expressions (regex.h).

   States are sets of steps of the automaton with choices (subset construction, Rabin and Scott 1959), of which only
   those that read or end are kept; where there is a stop, together with how much of it the text ends in (Knuth,
   Morris, Pratt 1977).  What can't reach the end is removed, and the rest made smallest by refining two
   partitions at once, of states and of transitions (Valmari, Lehtinen 2008, "Efficient minimization of DFAs with
   partial transition functions"), in O(m log m) for m transitions. */
#include "llm/guide/regex_in.h"
#include <stdlib.h>
#include <string.h>

enum { SET_STEPS = 4000000, WORK = 100000000, TABLE = 4000000 };
enum { BEHIND_STOP = INT32_MIN };        /* the one step of the state in which all is read */

static void *hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }
mem rx_mem(norn_state *st)
{
  mem m;
  mem_init(&m);
  m.alloc = hook;
  m.user = st;
  return m;
}
norn_status rx_no_memory(norn_state *st) { return norn_fail(st, NORN_EMEMORY, -1, "out of memory"); }

/* ---- sets of steps ---- */

typedef struct subsets {
  norn_state *st;
  mem *m;
  const rx_nfa *a;
  regex *r;
  int32_t *steps; size_t nsteps, steps_cap;      /* of all sets, one after the other */
  size_t *at; size_t at_cap;                     /* (n + 1) where each begins */
  size_t next_cap, accepts_cap;
  int32_t *table; size_t table_n;                /* by hash; -1: free */
  uint32_t *seen, turn;                          /* (a->n) by which turn each step was reached last */
  int32_t *stack, *found; int nfound;            /* (a->n), (a->n + 1) */
  const char *stop; size_t nstop;
  uint32_t *falls;                               /* (nstop) the longest proper beginning that ends stop[0..k] too */
  uint64_t work;
} subsets;

static bool too_large(norn_state *st)
{
  norn_fail(st, NORN_ELIMIT, -1, "the constraint is too large: its automaton has more than %d states, or "
            "they take too long to make", REGEX_STATES);
  norn_hint(st, "counts behind something that may begin anywhere multiply, as in .*a.{20}");
  return false;
}

static bool no_memory(subsets *s) { return !rx_no_memory(s->st); }

/* What can be read or ended with from step k on joins `found`. */
static void reach(subsets *s, int k)
{
  int n = 0;
  if (s->seen[k] == s->turn) return;
  s->seen[k] = s->turn;
  s->stack[n++] = k;
  while (n > 0) {
    const rx_step *e = &s->a->v[k = s->stack[--n]];
    s->work++;
    if (e->op != RX_SPLIT) {
      s->found[s->nfound++] = k;
      continue;
    }
    const int32_t way[2] = { e->to, e->or };
    for (int w = 0; w < 2; w++)
      if (s->seen[way[w]] != s->turn) {
        s->seen[way[w]] = s->turn;
        s->stack[n++] = way[w];
      }
  }
}

static int by_value(const void *a, const void *b)
{
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

static bool rehash(subsets *s, size_t n)
{
  int32_t *t = mem_get(s->m, n * sizeof *t);
  if (!t) return no_memory(s);
  memset(t, -1, n * sizeof *t);
  mem_put(s->m, s->table, s->table_n * sizeof *t);
  s->table = t;
  s->table_n = n;
  for (int k = 0; k < s->r->n; k++) {
    size_t h = hash_bytes(s->steps + s->at[k], (s->at[k + 1] - s->at[k]) * sizeof *s->steps, 0) & (n - 1);
    while (t[h] >= 0) h = (h + 1) & (n - 1);
    t[h] = k;
  }
  return true;
}

static bool state_room(subsets *s)
{
  regex *r = s->r;
  size_t n = (size_t)r->n + 1, row = (size_t)r->classes;
  if (r->n >= REGEX_STATES || n * row > TABLE || s->nsteps + (size_t)s->nfound > SET_STEPS) return too_large(s->st);
  if (!mem_grow(s->m, &s->at, &s->at_cap, n + 1, sizeof *s->at) ||
      !mem_grow(s->m, &r->accepts, &s->accepts_cap, n, sizeof *r->accepts) ||
      !mem_grow(s->m, &r->next, &s->next_cap, n * row, sizeof *r->next) ||
      !mem_grow(s->m, &s->steps, &s->steps_cap, s->nsteps + (size_t)s->nfound + 1, sizeof *s->steps))
    return no_memory(s);
  return 2 * n < s->table_n || rehash(s, 2 * s->table_n);
}

/* Whether the expression (0), or the stop behind it (1), may end in `found`. */
static bool ends(const subsets *s, int which)
{
  for (int k = 0; k < s->nfound; k++) {
    int32_t i = s->found[k];
    if (i == BEHIND_STOP || (i >= 0 && s->a->v[i].op == RX_MATCH && s->a->v[i].to == which)) return true;
  }
  return false;
}

/* The state that `found` is; -2: error set. */
static int state_of(subsets *s)
{
  regex *r = s->r;
  size_t n = (size_t)s->nfound, bytes = n * sizeof *s->found;
  if (n > 1) qsort(s->found, n, sizeof *s->found, by_value);
  size_t mask = s->table_n - 1, h = hash_bytes(s->found, bytes, 0) & mask;
  for (int k; (k = s->table[h]) >= 0; h = (h + 1) & mask)
    if (s->at[k + 1] - s->at[k] == n && memcmp(s->steps + s->at[k], s->found, bytes) == 0) return k;
  if (!state_room(s)) return -2;
  if (n) memcpy(s->steps + s->nsteps, s->found, bytes);
  s->at[r->n] = s->nsteps;
  s->at[r->n + 1] = s->nsteps += n;
  r->accepts[r->n] = ends(s, 0);
  for (h = hash_bytes(s->found, bytes, 0) & (s->table_n - 1); s->table[h] >= 0;) h = (h + 1) & (s->table_n - 1);
  s->table[h] = r->n;
  return r->n++;
}

size_t rx_of_stop(const char *stop, const uint32_t *falls, size_t k, int b)
{
  while (k > 0 && (uint8_t)stop[k] != b) k = falls[k - 1];
  return k + ((uint8_t)stop[k] == b);
}

/* Where a state goes by the bytes of a class, of which b is one. */
static int behind(subsets *s, int state, int b)
{
  size_t from = s->at[state], end = s->at[state + 1], part = 0;
  if (from < end && s->steps[from] == BEHIND_STOP) return state;
  if (s->nstop) part = rx_of_stop(s->stop, s->falls, (size_t)(-1 - s->steps[from++]), b);
  s->nfound = 0;
  s->turn++;
  s->work += end - from + 1;
  for (size_t k = from; k < end; k++) {
    const rx_step *e = &s->a->v[s->steps[k]];
    if (e->op == RX_BYTE && e->lo <= b && b <= e->hi) reach(s, e->to);
  }
  if (s->nfound == 0) return -1;
  s->work += 4 * (size_t)s->nfound;                                 /* they are put in order */
  if (s->nstop && part == s->nstop) {
    if (!ends(s, 1)) return -1;
    s->found[0] = BEHIND_STOP;
    s->nfound = 1;
  } else if (s->nstop) {
    s->found[s->nfound++] = -1 - (int32_t)part;                     /* in order it is the first */
  }
  return state_of(s);
}

void rx_classes(const rx_nfa *a, regex *r)
{
  bool begins[257] = { true };
  for (size_t k = 0; k < a->n; k++)
    if (a->v[k].op == RX_BYTE && a->v[k].lo <= a->v[k].hi) begins[a->v[k].lo] = begins[a->v[k].hi + 1] = true;
  r->classes = 0;
  for (int b = 0; b < 256; b++) {
    r->classes += begins[b];
    r->class_of[b] = (uint8_t)(r->classes - 1);
  }
}

static bool all_states(subsets *s)
{
  regex *r = s->r;
  s->turn = 1;
  reach(s, s->a->start);
  if (s->nstop) s->found[s->nfound++] = -1;
  if (state_of(s) < 0) return false;
  for (int k = 0; k < r->n; k++)
    for (int b = 0; b < 256; b++) {
      if (b > 0 && r->class_of[b] == r->class_of[b - 1]) continue;
      if (s->work > WORK) return too_large(s->st);
      int to = behind(s, k, b);
      if (to == -2) return false;
      r->next[k * r->classes + r->class_of[b]] = to;
    }
  return true;
}

void rx_find_falls(const char *stop, size_t n, uint32_t *falls)
{
  for (size_t k = 0, part = 0; k < n; k++) {
    if (k > 0) part = rx_of_stop(stop, falls, part, (uint8_t)stop[k]);
    falls[k] = (uint32_t)part;
  }
}

/* r's arrays are then as large as s says. */
static bool determine(subsets *s)
{
  size_t n = s->a->n;
  rx_classes(s->a, s->r);
  s->seen = mem_zero(s->m, n * sizeof *s->seen);
  s->stack = mem_get(s->m, n * sizeof *s->stack);
  s->found = mem_get(s->m, (n + 1) * sizeof *s->found);
  s->falls = mem_get(s->m, (s->nstop + 1) * sizeof *s->falls);
  bool ok = s->seen && s->stack && s->found && s->falls;
  if (ok) rx_find_falls(s->stop, s->nstop, s->falls);
  ok = ok ? rehash(s, 64) && all_states(s) : no_memory(s);
  mem_put(s->m, s->seen, n * sizeof *s->seen);
  mem_put(s->m, s->stack, n * sizeof *s->stack);
  mem_put(s->m, s->found, (n + 1) * sizeof *s->found);
  mem_put(s->m, s->falls, (s->nstop + 1) * sizeof *s->falls);
  mem_put(s->m, s->table, s->table_n * sizeof *s->table);
  mem_put(s->m, s->at, s->at_cap * sizeof *s->at);
  mem_put(s->m, s->steps, s->steps_cap * sizeof *s->steps);
  return ok;
}

/* ---- the smallest ---- */

/* A partition of 0..n-1: the elements by part, where each stands, whose it is; each part's place, and how many of it
   are marked, which stand in front. */
typedef struct partition {
  int32_t *is, *place, *part, *first, *past, *marked, *touched;
  int n, parts, ntouched;
} partition;

static size_t partition_size(int n) { return 7 * ((size_t)n + 1); }
static void partition_init(partition *p, int32_t *room, int n)
{
  int32_t **array[] = { &p->is, &p->place, &p->part, &p->first, &p->past, &p->marked, &p->touched };
  for (int k = 0; k < 7; k++) *array[k] = room + (size_t)k * ((size_t)n + 1);
  p->n = n;
  p->parts = n > 0;
  p->ntouched = 0;
  for (int k = 0; k < n; k++) {
    p->is[k] = p->place[k] = k;
    p->part[k] = 0;
  }
  p->first[0] = p->marked[0] = 0;
  p->past[0] = n;
}

static void mark(partition *p, int e)
{
  int s = p->part[e], i = p->place[e], j = p->first[s] + p->marked[s];
  if (i < j) return;                                                /* it is */
  p->is[i] = p->is[j];
  p->place[p->is[i]] = i;
  p->is[j] = e;
  p->place[e] = j;
  if (!p->marked[s]++) p->touched[p->ntouched++] = s;
}

/* Parts of which some are marked become two; the smaller one is new. */
static void cut(partition *p)
{
  while (p->ntouched > 0) {
    int s = p->touched[--p->ntouched], j = p->first[s] + p->marked[s], z = p->parts;
    if (j == p->past[s]) {
      p->marked[s] = 0;
      continue;
    }
    if (p->marked[s] <= p->past[s] - j) {
      p->first[z] = p->first[s];
      p->past[z] = p->first[s] = j;
    } else {
      p->past[z] = p->past[s];
      p->first[z] = p->past[s] = j;
    }
    for (int k = p->first[z]; k < p->past[z]; k++) p->part[p->is[k]] = z;
    p->marked[s] = p->marked[z] = 0;
    p->parts++;
  }
}

typedef struct arrows {
  mem *m;
  int n, states;
  int32_t *room; size_t size;
  int32_t *tail, *label, *head;          /* (n), by label */
  int32_t *from, *into;                  /* those that go into state k: into[from[k]..from[k + 1]) */
  partition of_states, of_arrows;
} arrows;

static bool arrows_new(arrows *w, mem *m, const regex *r)
{
  *w = (arrows){ .m = m, .states = r->n };
  size_t cells = (size_t)r->n * (size_t)r->classes, n = 0;
  for (size_t k = 0; k < cells; k++) n += r->next[k] >= 0;
  w->size = 4 * n + (size_t)r->n + 1 + partition_size(r->n) + partition_size((int)n);
  int32_t *at = w->room = mem_get(m, w->size * sizeof *at);
  if (!at) return false;
  w->n = (int)n;
  w->tail = at;
  w->label = w->tail + n;
  w->head = w->label + n;
  w->into = w->head + n;
  w->from = w->into + n;
  partition_init(&w->of_states, w->from + r->n + 1, r->n);
  partition_init(&w->of_arrows, w->from + r->n + 1 + partition_size(r->n), w->n);
  memset(w->from, 0, ((size_t)r->n + 1) * sizeof *at);
  n = 0;
  for (int c = 0; c < r->classes; c++)
    for (int k = 0; k < r->n; k++) {
      int to = r->next[k * r->classes + c];
      if (to < 0) continue;
      w->tail[n] = k;
      w->label[n] = c;
      w->head[n++] = to;
      w->from[to]++;
    }
  for (int k = 0; k < r->n; k++) w->from[k + 1] += w->from[k];
  for (int k = w->n; k-- > 0;) w->into[--w->from[w->head[k]]] = k;
  return true;
}
static void arrows_free(arrows *w) { mem_put(w->m, w->room, w->size * sizeof *w->room); }

/* From which states the end can be reached: alive (n). */
static void find_alive(const arrows *w, const regex *r, bool *alive)
{
  int32_t *queue = w->of_states.touched;                            /* not needed yet */
  int n = 0, k = 0;
  for (int s = 0; s < r->n; s++)
    if ((alive[s] = r->accepts[s])) queue[n++] = s;
  for (; k < n; k++)
    for (int i = w->from[queue[k]]; i < w->from[queue[k] + 1]; i++) {
      int s = w->tail[w->into[i]];
      if (!alive[s]) {
        alive[s] = true;
        queue[n++] = s;
      }
    }
}

/* Arrows of one label are one part. */
static void by_label(arrows *w)
{
  partition *p = &w->of_arrows;
  p->parts = 0;
  for (int k = 0; k < w->n; k++) {
    if (k == 0 || w->label[k] != w->label[k - 1]) {
      if (k > 0) p->past[p->parts - 1] = k;
      p->first[p->parts] = k;
      p->marked[p->parts++] = 0;
    }
    p->part[k] = p->parts - 1;
  }
  if (w->n > 0) p->past[p->parts - 1] = w->n;
}

/* States that no text distinguishes become one part. */
static void refine(arrows *w, const regex *r)
{
  partition *b = &w->of_states, *c = &w->of_arrows;
  for (int k = 0; k < r->n; k++)
    if (r->accepts[k]) mark(b, k);
  cut(b);
  by_label(w);
  for (int i = 0, j = 1; i < c->parts; i++) {
    for (int k = c->first[i]; k < c->past[i]; k++) mark(b, w->tail[c->is[k]]);
    cut(b);
    for (; j < b->parts; j++) {
      for (int k = b->first[j]; k < b->past[j]; k++)
        for (int a = w->from[b->is[k]]; a < w->from[b->is[k] + 1]; a++) mark(c, w->into[a]);
      cut(c);
    }
  }
}

/* The parts as states, in the order in which a search from the first state finds them.  name, order (parts). */
static bool renamed(const arrows *w, const regex *r, mem *m, int32_t *name, int32_t *order, regex *out)
{
  const partition *b = &w->of_states;
  int n = 0;
  for (int k = 0; k < b->parts; k++) name[k] = -1;
  name[b->part[0]] = 0;
  order[n++] = 0;
  for (int k = 0; k < n; k++)
    for (int c = 0; c < r->classes; c++) {
      int to = r->next[order[k] * r->classes + c];
      if (to < 0 || name[b->part[to]] >= 0) continue;
      name[b->part[to]] = n;
      order[n++] = to;
    }
  size_t cells = (size_t)n * (size_t)r->classes;
  out->next = mem_get(m, cells * sizeof *out->next);
  out->accepts = mem_get(m, (size_t)n * sizeof *out->accepts);
  out->n = n;
  if (!out->next || !out->accepts) return false;
  for (int k = 0; k < n; k++) {
    out->accepts[k] = r->accepts[order[k]];
    for (int c = 0; c < r->classes; c++) {
      int to = r->next[order[k] * r->classes + c];
      out->next[k * r->classes + c] = to < 0 ? -1 : name[b->part[to]];
    }
  }
  return true;
}

static bool no_text(norn_state *st)
{
  norn_fail(st, NORN_EDOMAIN, -1, "the constraint matches no text at all");
  norn_hint(st, "a class may be empty, as [^\\s\\S], a rule without an end, as a ::= \"x\" a, or the stop stand in all "
            "texts");
  return false;
}

bool rx_smallest(norn_state *st, mem *m, regex *r, regex *out)
{
  arrows w;
  size_t n = (size_t)r->n, cells = n * (size_t)r->classes;
  bool *alive = mem_get(m, n * sizeof *alive), ok = alive && arrows_new(&w, m, r), any = true;
  if (ok) {
    find_alive(&w, r, alive);
    any = alive[0];
    for (size_t k = 0; k < cells; k++)
      if (r->next[k] >= 0 && !alive[r->next[k]]) r->next[k] = -1;
    arrows_free(&w);
    ok = arrows_new(&w, m, r);
  }
  int32_t *name = ok ? mem_get(m, 2 * n * sizeof *name) : NULL;
  if (ok) {
    refine(&w, r);
    ok = name && renamed(&w, r, m, name, name + n, out);
    arrows_free(&w);
  }
  mem_put(m, name, 2 * n * sizeof *name);
  mem_put(m, alive, n * sizeof *alive);
  if (!ok) return !rx_no_memory(st);
  return any || no_text(st);
}

void regex_free(regex *r)
{
  if (!r->st) return;
  norn_alloc(r->st, r->next, (size_t)r->n * (size_t)r->classes * sizeof *r->next, 0);
  norn_alloc(r->st, r->accepts, (size_t)r->n * sizeof *r->accepts, 0);
  *r = (regex){ 0 };
}

/* The smallest automaton of steps; s and n: the stop. */
bool rx_determined(norn_state *st, mem *m, const rx_nfa *nfa, const char *stop, size_t nstop, regex *out)
{
  regex r = { .st = st };
  subsets sets = { .st = st, .m = m, .a = nfa, .r = &r, .stop = stop, .nstop = nstop };
  bool ok = determine(&sets);
  if (ok) {
    out->classes = r.classes;
    memcpy(out->class_of, r.class_of, sizeof r.class_of);
    ok = rx_smallest(st, m, &r, out);
  }
  mem_put(m, r.next, sets.next_cap * sizeof *r.next);
  mem_put(m, r.accepts, sets.accepts_cap * sizeof *r.accepts);
  return ok;
}

norn_status regex_until(norn_state *st, const char *s, size_t n, const char *stop, size_t nstop, regex *out)
{
  mem m = rx_mem(st);
  arena a;
  rx_nfa nfa = { .m = &m };
  rx_parser p = { .st = st, .a = &a, .m = &m, .s = s, .n = n };
  arena_init(&a, &m);
  *out = (regex){ .st = st };
  rx *tree = rx_parse(&p);
  bool ok = tree && rx_nfa_new(&p, tree, stop, nstop, &nfa);
  arena_free(&a);
  ok = ok && rx_determined(st, &m, &nfa, stop, nstop, out);
  rx_nfa_free(&nfa);
  if (ok) return NORN_OK;
  regex_free(out);
  return norn_error(st)->code;
}

norn_status regex_new(norn_state *st, const char *s, size_t n, regex *out)
{
  return regex_until(st, s, n, "", 0, out);
}
