/* regex_nfa.c: trees of regular expressions as automata with choices over bytes (Thompson 1968, "Regular expression
   search algorithm").  A tree is built from its end: where what follows it stands is known, so nothing is patched but
   loops.  A range of characters is split where the length of their UTF-8 or a leading byte changes, until each piece
   is a product of ranges of bytes; equal endings of pieces are one.

   A rule of a grammar stands where it is named, but for those that rx_find_calls has numbered: such a one is a machine
   of its own, and where it is named a step that calls it. */
#include "llm/guide/regex_in.h"
#include <stdio.h>

enum { STEPS = 200000, CALLS = 1000000, ENDINGS = 256, DEPTH = 3000 };

/* A rule before a step: where it begins. */
typedef struct used { int32_t rule, to, at; } used;

typedef struct builder {
  norn_state *st;
  rx_parser *p;
  rx_nfa *a;
  int calls, depth;
  used *used; size_t nused, used_cap;                    /* by hash; rule -1: free */
  int in;                                                /* the rule that is being built; -1: none */
  int behind;                                            /* the step with which machines end; -1: none */
  struct { int32_t lo, hi, to, is; } ending[ENDINGS];    /* BYTE steps that are there already */
} builder;

static int too_large(builder *b)
{
  const rx_rule *r = b->in >= 0 ? &b->p->rule[b->in] : NULL;
  char where[120] = "";
  if (r) snprintf(where, sizeof where, " (at rule %.*s, line %d)", r->n < 60 ? (int)r->n : 60, r->name,
                  rx_line(b->p, r->at));
  norn_fail(b->st, NORN_ELIMIT, -1, "the %s is too large%s: written out, it takes more "
            "than %d steps", b->p->lines ? "grammar" : "regular expression", where, STEPS);
  norn_hint(b->st, "use fewer or smaller counts, as {1,20}, or no count: + and *");
  return -1;
}

static int step_add(builder *b, rx_step s)
{
  rx_nfa *a = b->a;
  if (a->n >= STEPS) return too_large(b);
  if (!mem_grow(a->m, &a->v, &a->cap, a->n + 1, sizeof *a->v)) {
    rx_no_memory(b->st);
    return -1;
  }
  a->v[a->n] = s;
  return (int)a->n++;
}

static int split(builder *b, int to, int or)
{
  return to < 0 || or < 0 ? -1 : step_add(b, (rx_step){ .op = RX_SPLIT, .to = to, .or = or });
}

/* ---- characters ---- */

static int byte_of(builder *b, int lo, int hi, int to)
{
  if (to < 0) return -1;
  uint64_t h = hash_mix(((uint64_t)(uint32_t)to << 16) | (uint64_t)lo << 8 | (uint64_t)hi) % ENDINGS;
  if (b->ending[h].is >= 0 && b->ending[h].lo == lo && b->ending[h].hi == hi && b->ending[h].to == to)
    return b->ending[h].is;
  int is = step_add(b, (rx_step){ .op = RX_BYTE, .lo = (uint8_t)lo, .hi = (uint8_t)hi, .to = to });
  if (is < 0) return -1;
  b->ending[h].lo = lo;
  b->ending[h].hi = hi;
  b->ending[h].to = to;
  b->ending[h].is = is;
  return is;
}

/* lo..hi have UTF-8 of one length and differ in such a way that each byte goes through its range by itself. */
static int product(builder *b, uint32_t lo, uint32_t hi, int to)
{
  char x[4], y[4];
  int n = utf8_put(lo, x);
  utf8_put(hi, y);
  for (int k = n; k-- > 0;) to = byte_of(b, (uint8_t)x[k], (uint8_t)y[k], to);
  return to;
}

/* A piece of lo..hi from lo on that is a product: its last character. */
static uint32_t piece(uint32_t lo, uint32_t hi)
{
  static const uint32_t last[] = { 0x7f, 0x7ff, 0xffff, RX_CHARACTERS };
  int k = 0;
  while (lo > last[k]) k++;
  if (hi > last[k]) hi = last[k];
  for (uint32_t below = 0x3f; k > 0; k--, below = below << 6 | 0x3f) {
    if ((lo & ~below) == (hi & ~below)) break;                     /* one leading part */
    if (lo & below) return lo | below;                             /* up to where a full block begins */
    if ((hi & below) != below) hi = (hi & ~below) - 1;             /* whole blocks, then the rest */
  }
  return hi;
}

/* rest, or lo..hi before `to`. */
static int characters(builder *b, uint32_t lo, uint32_t hi, int to, int *rest)
{
  while (lo <= hi) {
    uint32_t end = piece(lo, hi);
    int one = product(b, lo, end, to);
    *rest = *rest == -2 ? one : split(b, one, *rest);
    if (*rest < 0) return -1;
    lo = end + 1;
  }
  return *rest;
}

/* Nothing, which no byte leads to. */
static int nothing(builder *b) { return step_add(b, (rx_step){ .op = RX_BYTE, .lo = 1, .hi = 0, .to = 0 }); }

static int set(builder *b, const rx *e, int to)
{
  int rest = -2;                         /* none yet */
  for (int k = 0; k < e->n; k++) {
    uint32_t lo = e->range[k].lo, hi = e->range[k].hi;
    if (lo < 0xd800 && characters(b, lo, hi < 0xd800 ? hi : 0xd7ff, to, &rest) == -1) return -1;
    if (hi > 0xdfff && characters(b, lo > 0xdfff ? lo : 0xe000, hi, to, &rest) == -1) return -1;
  }
  return rest == -2 ? nothing(b) : rest;
}

/* ---- trees ---- */

static int build(builder *b, const rx *e, int to);

/* least copies in front of a loop, or of as many that may be left out, each only with those behind it. */
static int repeat(builder *b, const rx *e, int to)
{
  const rx *kid = e->kid[0];
  int at = to, copies = e->least;
  if (e->most < 0) {
    int loop = step_add(b, (rx_step){ .op = RX_SPLIT, .to = to, .or = to });
    int body = loop < 0 ? -1 : build(b, kid, loop);
    if (body < 0) return -1;
    b->a->v[loop].to = body;
    at = e->least > 0 ? body : loop;
    if (copies > 0) copies--;
  }
  for (int k = e->least; k < e->most && at >= 0; k++) at = split(b, build(b, kid, at), to);
  for (int k = 0; k < copies && at >= 0; k++) at = build(b, kid, at);
  return at;
}

static size_t used_at(const used *t, size_t cap, int rule, int to)
{
  size_t h = hash_mix((uint64_t)rule << 32 | (uint32_t)to) & (cap - 1);
  while (t[h].rule >= 0 && (t[h].rule != rule || t[h].to != to)) h = (h + 1) & (cap - 1);
  return h;
}

static bool used_room(builder *b)
{
  if (2 * (b->nused + 1) < b->used_cap) return true;
  size_t cap = b->used_cap ? 2 * b->used_cap : 64;
  used *t = mem_get(b->a->m, cap * sizeof *t);
  if (!t) return rx_no_memory(b->st) == NORN_OK;
  for (size_t k = 0; k < cap; k++) t[k].rule = -1;
  for (size_t k = 0; k < b->used_cap; k++)
    if (b->used[k].rule >= 0) t[used_at(t, cap, b->used[k].rule, b->used[k].to)] = b->used[k];
  mem_put(b->a->m, b->used, b->used_cap * sizeof *t);
  b->used = t;
  b->used_cap = cap;
  return true;
}

/* A rule whose last part is itself goes back to where it began: the step behind both is the same.  So does a machine
   whose last part is another. */
static int rule(builder *b, const rx *e, int to)
{
  rx_rule *is = &b->p->rule[e->n];
  if (!used_room(b)) return -1;
  size_t h = used_at(b->used, b->used_cap, e->n, to);
  if (b->used[h].rule >= 0) return b->used[h].at;
  bool call = is->called > 0 && to != b->behind;
  int machine = is->called - 1;
  int at = step_add(b, call ? (rx_step){ .op = RX_CALL, .to = to, .or = machine }
                            : (rx_step){ .op = RX_SPLIT, .to = to, .or = to });
  if (at < 0) return -1;
  b->used[h] = (used){ e->n, to, at };
  b->nused++;
  if (call) return at;
  int outer = b->in;
  b->in = e->n;
  int body = build(b, is->is, to);
  if (body < 0) return -1;
  b->in = outer;
  b->a->v[at].to = b->a->v[at].or = body;
  return at;
}

static int build_one(builder *b, const rx *e, int to)
{
  int at = -2;
  switch (e->kind) {
  case RX_SET: return set(b, e, to);
  case RX_REPEAT: return repeat(b, e, to);
  case RX_RULE: return rule(b, e, to);
  case RX_CAT:
    for (int k = e->n; k-- > 0 && to >= 0;) to = build(b, e->kid[k], to);
    return to;
  case RX_ALT:
    for (int k = e->n; k-- > 0 && at != -1;) {
      int one = build(b, e->kid[k], to);
      at = at == -2 ? one : split(b, one, at);
    }
    return at == -2 ? nothing(b) : at;
  }
  return -1;
}

/* Where e begins, if what follows it begins at `to`; -1: error set. */
static int build(builder *b, const rx *e, int to)
{
  if (++b->calls > CALLS || ++b->depth > DEPTH) return too_large(b);
  int at = build_one(b, e, to);
  b->depth--;
  return at;
}

/* What follows the expression: the end, or the stop and its end. */
static int ending(builder *b, const char *stop, size_t n)
{
  int end = step_add(b, (rx_step){ .op = RX_MATCH });
  if (n == 0 || end < 0) return end;
  int at = step_add(b, (rx_step){ .op = RX_MATCH, .to = 1 });
  for (size_t k = n; k-- > 0;) at = byte_of(b, (uint8_t)stop[k], (uint8_t)stop[k], at);
  return split(b, end, at);
}

/* The machines that are called: all end with one step, so that one which ends in another goes there. */
static bool machines(builder *b)
{
  rx_nfa *a = b->a;
  const rx_parser *p = b->p;
  for (size_t k = 0; k < p->nrule; k++) a->machines += p->rule[k].called > 0;
  if (a->machines == 0) return true;
  a->machine = mem_get(a->m, (size_t)a->machines * sizeof *a->machine);
  if (!a->machine) return !rx_no_memory(b->st);
  b->behind = step_add(b, (rx_step){ .op = RX_MATCH, .to = RX_RETURN });
  for (size_t k = 0; k < p->nrule; k++) {
    if (!p->rule[k].called) continue;
    rx named = { .kind = RX_RULE, .n = (int)k, .at = p->rule[k].at };
    int at = b->behind < 0 ? -1 : build(b, &named, b->behind);
    if (at < 0) return false;
    a->machine[p->rule[k].called - 1] = at;
  }
  return true;
}

bool rx_nfa_new(rx_parser *p, const rx *e, const char *stop, size_t nstop, rx_nfa *a)
{
  builder b = { .st = p->st, .p = p, .a = a, .in = -1, .behind = -1 };
  *a = (rx_nfa){ .m = p->m, .start = -1 };
  for (int k = 0; k < ENDINGS; k++) b.ending[k].is = -1;
  int end = ending(&b, stop, nstop);
  if (end >= 0 && machines(&b)) a->start = build(&b, e, end);
  mem_put(p->m, b.used, b.used_cap * sizeof *b.used);
  if (a->start >= 0) return true;
  rx_nfa_free(a);
  return false;
}

void rx_nfa_free(rx_nfa *a)
{
  mem_put(a->m, a->v, a->cap * sizeof *a->v);
  mem_put(a->m, a->machine, (size_t)a->machines * sizeof *a->machine);
  a->v = NULL;
  a->machine = NULL;
  a->n = a->cap = 0;
  a->machines = 0;
}
