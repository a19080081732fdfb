/* guide_nest.c: texts under a grammar whose rules nest: states and their steps.

   After each byte a text may stand at many places of the grammar: a state of a machine on top, and below it what is
   to be read when that machine has ended, and so on down: stacks.  All stacks together are one value, made
   deterministic from the top: each state on top once, with the set of what may stand below it (so two ways to read
   a text that come to the same are one, and a text is allowed or not, however many ways it can be read).  Such sets
   share their lower parts (Tomita 1985, "Efficient parsing for natural language"), never change, and equal ones are
   one number; so a particle holds a number, and a step that was made before is a look into a table.

   One step reads a byte on each state on top; where a state calls machines, these begin with the state behind the
   call stacked, in the order of their numbers, so that all that call one machine are together before it begins.  A
   call behind which nothing stands stacks nothing.  Where a machine may have ended, what stands below joins the set
   at once. */
#include "llm/guide/guide_in.h"
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 5000, SETS = 4000000, STEP_SETS = 20000, LATE = 8192, ROWS = 96 << 20 };
#define NEST_ITEMS ((size_t)40000000)

static int no_memory(nest *s)
{
  norn_fail(s->of->of->st, NORN_EMEMORY, -1, "out of memory");
  return NEST_ERROR;
}

void nest_too_large(nest *s, int q, const char *why, const char *hint)
{
  const grammar_machine *k = &s->g->machine[s->g->owner[q]];
  norn_fail(s->of->of->st, NORN_ELIMIT, -1, "grammar, line %d, character %d, in rule %s: %s", k->line, k->column,
            k->name, why);
  if (hint) norn_hint(s->of->of->st, "%s", hint);
}

/* ---- sets ---- */

static uint32_t hash_of(const nest_item *v, size_t n, bool end)
{
  return (uint32_t)hash_bytes(v, n * sizeof *v, end);
}

static bool rehash(nest *s)
{
  size_t n = s->table_n ? 2 * s->table_n : 256;
  int32_t *t = mem_get(s->m, n * sizeof *t);
  if (!t) return no_memory(s) == NORN_OK;
  memset(t, -1, n * sizeof *t);
  mem_put(s->m, s->table, s->table_n * sizeof *t);
  s->table = t;
  s->table_n = n;
  for (int k = NEST_END + 1; k < s->n; k++) {
    size_t h = s->set[k].hash & (n - 1);
    while (t[h] >= 0) h = (h + 1) & (n - 1);
    t[h] = k;
  }
  return true;
}

/* Is there room for a set of n items, of which the first is of q?  false: error set. */
static bool room(nest *s, size_t n, int q)
{
  if (s->n >= SETS || s->nitem + n > NEST_ITEMS) {
    nest_too_large(s, q, "more than four million places of texts have been met",
                   "a grammar in which one text has fewer ways to be read has fewer");
    return false;
  }
  if (++s->step > STEP_SETS) {
    nest_too_large(s, q, "there are too many ways to read the text so far",
                   "write it so that a text can be read in one way, or a few");
    return false;
  }
  if (!mem_grow(s->m, &s->set, &s->set_cap, (size_t)s->n + 1, sizeof *s->set) ||
      !mem_grow(s->m, &s->item, &s->item_cap, s->nitem + n + 1, sizeof *s->item))
    return no_memory(s) == NORN_OK;
  return 2 * ((size_t)s->n + 1) < s->table_n || rehash(s);
}

/* The set of n items, in order of q; v may lie in the pool. */
static int set_of(nest *s, const nest_item *v, size_t n, bool end)
{
  if (n == 0) return end ? NEST_END : NEST_NONE;
  uint32_t hash = hash_of(v, n, end);
  for (size_t h = hash & (s->table_n - 1); s->table[h] >= 0; h = (h + 1) & (s->table_n - 1)) {
    const nest_set *x = &s->set[s->table[h]];
    if (x->hash == hash && x->n == n && x->end == end && memcmp(s->item + x->at, v, n * sizeof *v) == 0)
      return s->table[h];
  }
  if (!room(s, n, v[0].q)) return NEST_ERROR;
  nest_set x = { .at = (uint32_t)s->nitem, .n = (uint32_t)n, .bytes = end ? 0 : GRAMMAR_FAR, .end = end, .hash = hash,
                 .far = -1, .farthest = -1 };
  x.print = (uint32_t)hash_mix(end);
  for (size_t k = 0; k < n; k++) {
    const nest_set *below = &s->set[v[k].below];
    x.print = (uint32_t)hash_mix((uint64_t)x.print << 32 ^ hash_mix((uint64_t)(uint32_t)v[k].q << 32 | below->print));
    int bytes = s->g->bytes[v[k].q] + below->bytes;
    if (bytes < x.bytes) x.bytes = bytes;
    if (below->depth >= x.depth) x.depth = below->depth + 1;
    if (x.depth > DEEPEST) {
      nest_too_large(s, v[k].q, "it is nested more than 5000 deep",
                     "write lists with * or +, or so that a rule comes back to itself only at its end");
      return NEST_ERROR;
    }
  }
  memcpy(s->item + s->nitem, v, n * sizeof *v);
  s->nitem += n;
  size_t h = hash & (s->table_n - 1);
  while (s->table[h] >= 0) h = (h + 1) & (s->table_n - 1);
  s->table[h] = s->n;
  s->set[s->n] = x;
  return s->n++;
}

static bool pool_add(nest *s, int q, int below)
{
  if (!mem_grow(s->m, &s->pool, &s->pool_cap, s->npool + 1, sizeof *s->pool)) return no_memory(s) == NORN_OK;
  s->pool[s->npool++] = (nest_item){ q, below };
  return true;
}

static size_t late(int a, int b) { return hash_mix((uint64_t)(uint32_t)a << 32 | (uint32_t)b) & (LATE - 1); }

/* All stacks of both.  NEST_ERROR: error set. */
static int join(nest *s, int a, int b)
{
  if (a == b || b == NEST_NONE) return a;
  if (a == NEST_NONE) return b;
  if (a > b) {
    int t = a;
    a = b;
    b = t;
  }
  size_t h = late(a, b), from = s->npool;
  if (s->joined[h].a == a && s->joined[h].b == b) return s->joined[h].is;
  uint32_t i = 0, j = 0, n = s->set[a].n, m = s->set[b].n;
  bool ok = true;
  while (ok && (i < n || j < m)) {
    const nest_item *x = s->item + s->set[a].at + i, *y = s->item + s->set[b].at + j;
    if (j == m || (i < n && x->q < y->q)) {
      ok = pool_add(s, x->q, x->below);
      i++;
    } else if (i == n || y->q < x->q) {
      ok = pool_add(s, y->q, y->below);
      j++;
    } else {
      int q = x->q, below = join(s, x->below, y->below);
      ok = below >= 0 && pool_add(s, q, below);
      i++;
      j++;
    }
  }
  int is = ok ? set_of(s, s->pool + from, s->npool - from, s->set[a].end || s->set[b].end) : NEST_ERROR;
  s->npool = from;
  if (is >= 0) {
    s->joined[h].a = a;
    s->joined[h].b = b;
    s->joined[h].is = is;
  }
  return is;
}

/* A machine in q can only end: what stands below it is all that there is. */
static bool spent(const nest *s, int q) { return s->g->r.accepts[q] && s->g->first[q] == 0; }

int nest_one(nest *s, int q, int below)
{
  if (below < 0 || spent(s, q)) return below;
  nest_item one = { q, below };
  int is = set_of(s, &one, 1, false);
  return is >= 0 && s->g->r.accepts[q] ? join(s, is, below) : is;
}

int nest_graft(nest *s, int above, int below)
{
  if (above == NEST_NONE || below == NEST_END) return above;
  if (above == NEST_END) return below;
  size_t h = late(above, below), from = s->npool;
  if (s->grafted[h].a == above && s->grafted[h].b == below) return s->grafted[h].is;
  bool ok = true;
  for (uint32_t k = 0; ok && k < s->set[above].n; k++) {
    nest_item x = s->item[s->set[above].at + k];
    int deep = nest_graft(s, x.below, below);
    ok = deep >= 0 && pool_add(s, x.q, deep);
  }
  int is = ok ? set_of(s, s->pool + from, s->npool - from, false) : NEST_ERROR;
  s->npool = from;
  if (is >= 0 && s->set[above].end) is = join(s, is, below);
  if (is >= 0) {
    s->grafted[h].a = above;
    s->grafted[h].b = below;
    s->grafted[h].is = is;
  }
  return is;
}

/* ---- a step ---- */

static bool slot_add(nest *s, int q, int below)
{
  if (s->slot[q] == NEST_NONE) s->touched[s->ntouched++] = q;
  int is = join(s, s->slot[q], below);
  if (is < 0) return false;
  s->slot[q] = is;
  return true;
}

/* q joins the set that is being made, and if its machine may end there, what is below it. */
static bool reached(nest *s, int q, int below)
{
  if (!spent(s, q) && !slot_add(s, q, below)) return false;
  if (!s->g->r.accepts[q]) return true;
  s->ended |= s->set[below].end;
  for (uint32_t k = 0; k < s->set[below].n; k++) {
    nest_item x = s->item[s->set[below].at + k];
    if (!slot_add(s, x.q, x.below)) return false;
  }
  return true;
}

static int by_number(const void *a, const void *b)
{
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

static int finished(nest *s, bool ok)
{
  size_t from = s->npool;
  if (s->ntouched > 1) qsort(s->touched, (size_t)s->ntouched, sizeof *s->touched, by_number);
  for (int k = 0; k < s->ntouched; k++) {
    ok = ok && pool_add(s, s->touched[k], s->slot[s->touched[k]]);
    s->slot[s->touched[k]] = NEST_NONE;
  }
  const nest_item *v = s->npool > from ? s->pool + from : NULL;
  int is = ok ? set_of(s, v, s->npool - from, s->ended) : NEST_ERROR;
  s->npool = from;
  s->ntouched = 0;
  s->ended = false;
  return is == NEST_NONE ? NEST_DEAD : is;
}

/* State q on `below` reads a byte of the class, or calls machines that may. */
static bool read_on(nest *s, int q, int below, int class, uint64_t group)
{
  const grammar *g = s->g;
  int to = g->r.next[q * g->r.classes + class];
  if (to >= 0 && !reached(s, to, below)) return false;
  for (int i = g->call_at[q]; i < g->call_at[q + 1]; i++) {
    grammar_call c = g->call[i];
    if (!(g->first[g->machine[c.machine].start] & group)) continue;
    int on = c.to < 0 ? below : nest_one(s, c.to, below);
    if (on < 0 || (on = join(s, s->called[c.machine], on)) < 0) return false;
    s->called[c.machine] = on;
    if (c.machine < s->calls_from) s->calls_from = c.machine;
    if (c.machine >= s->calls_past) s->calls_past = c.machine + 1;
  }
  return true;
}

static nest_row *row_of(nest *s, int set)
{
  nest_set *x = &s->set[set];
  if (x->row) return x->row;
  int n = s->g->r.classes;
  size_t bytes = sizeof(nest_row) + (size_t)n * sizeof(int32_t);
  nest_row *row = mem_get(s->m, bytes);
  if (!row) return no_memory(s), NULL;
  row->looked = false;
  row->stays = 0;
  for (int c = 0; c < n; c++) row->next[c] = NEST_NEW;
  s->rows += bytes;
  return x->row = row;
}

int nest_step_new(nest *s, int set, int class)
{
  bool ok = row_of(s, set) != NULL;
  uint64_t group = s->groups[class];
  s->step = 0;
  s->calls_from = s->g->machines;
  s->calls_past = 0;
  for (uint32_t k = 0; ok && k < s->set[set].n; k++) {
    nest_item x = s->item[s->set[set].at + k];
    if (s->g->first[x.q] & group) ok = read_on(s, x.q, x.below, class, group);
  }
  for (int m = s->calls_from; m < s->calls_past; m++) {
    int on = s->called[m];
    s->called[m] = NEST_NONE;
    if (on != NEST_NONE && ok) ok = read_on(s, s->g->machine[m].start, on, class, group);
  }
  int is = finished(s, ok);
  if (is != NEST_ERROR) s->set[set].row->next[class] = is;
  return is;
}

uint64_t nest_stays(nest *s, int set)
{
  nest_row *row = row_of(s, set);
  if (!row || row->looked) return row ? row->stays : 0;
  for (int b = 0; b < 256; b += 4) {
    bool all = true;
    for (int k = b; k < b + 4 && all; k++) all = nest_step(s, set, (uint8_t)k) == set;
    if (all) row->stays |= guide_group(b);
  }
  row->looked = true;
  return row->stays;
}

void nest_trim(nest *s)
{
  if (s->rows < ROWS) return;
  size_t bytes = sizeof(nest_row) + (size_t)s->g->r.classes * sizeof(int32_t);
  for (int k = 0; k < s->n; k++) {
    mem_put(s->m, s->set[k].row, bytes);
    s->set[k].row = NULL;
  }
  s->rows = 0;
}

/* ---- all of it ---- */

static bool begin(nest *s)
{
  const grammar *g = s->g;
  for (int b = 0; b < 256; b++) s->groups[g->r.class_of[b]] |= guide_group(b);
  if (!rehash(s) || !mem_grow(s->m, &s->set, &s->set_cap, 16, sizeof *s->set)) return no_memory(s) == NORN_OK;
  s->set[NEST_NONE] = (nest_set){ .bytes = GRAMMAR_FAR, .far = -1, .farthest = -1 };
  s->set[NEST_END] = (nest_set){ .end = true, .far = -1, .farthest = -1 };
  s->n = NEST_END + 1;
  int start = g->machine[g->root].start < 0 ? NEST_NONE : nest_one(s, g->machine[g->root].start, NEST_END);
  if (start >= 0 && g->empty) start = join(s, start, NEST_END);
  s->start = start;
  return start >= 0;
}

nest *nest_new(lm_guide *of)
{
  mem *m = &of->of->guides->m;
  nest *s = mem_zero(m, sizeof *s);
  if (!s) {
    norn_fail(of->of->st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  s->of = of;
  s->g = &of->g;
  s->m = m;
  size_t n = (size_t)of->g.r.n, machines = (size_t)of->g.machines;
  s->joined = mem_zero(m, LATE * sizeof *s->joined);
  s->grafted = mem_zero(m, LATE * sizeof *s->grafted);
  s->slot = mem_zero(m, n * sizeof *s->slot);
  s->touched = mem_get(m, n * sizeof *s->touched);
  s->called = mem_zero(m, machines * sizeof *s->called);
  s->local = mem_zero(m, n * sizeof *s->local);
  bool ok = s->joined && s->grafted && s->slot && s->touched && s->called && s->local;
  if (!ok) no_memory(s);
  if (ok && begin(s)) return s;
  nest_free(s);
  return NULL;
}

void nest_free(nest *s)
{
  if (!s) return;
  mem *m = s->m;
  size_t n = (size_t)s->g->r.n, bytes = sizeof(nest_row) + (size_t)s->g->r.classes * sizeof(int32_t);
  nest_least_free(s);
  for (int k = 0; k < s->n; k++) mem_put(m, s->set[k].row, bytes);
  for (size_t q = 0; s->local && q < n; q++) nest_local_free(s, s->local[q]);
  mem_put(m, s->set, s->set_cap * sizeof *s->set);
  mem_put(m, s->item, s->item_cap * sizeof *s->item);
  mem_put(m, s->table, s->table_n * sizeof *s->table);
  mem_put(m, s->joined, LATE * sizeof *s->joined);
  mem_put(m, s->grafted, LATE * sizeof *s->grafted);
  mem_put(m, s->slot, n * sizeof *s->slot);
  mem_put(m, s->touched, n * sizeof *s->touched);
  mem_put(m, s->called, (size_t)s->g->machines * sizeof *s->called);
  mem_put(m, s->near, s->near_cap * sizeof *s->near);
  mem_put(m, s->pool, s->pool_cap * sizeof *s->pool);
  mem_put(m, s->local, n * sizeof *s->local);
  mem_put(m, s, sizeof *s);
}
