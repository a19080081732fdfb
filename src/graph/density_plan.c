/* density_plan: memory, tables and the orders of loops for density_text.c (density_text.h). */
#include "graph/density_plan.h"
#include <stdlib.h>
#include <string.h>

static void *get(plan *q, size_t n)
{
  void *b = blocks_get(&q->temp, n);
  if (!b) q->failed = true;
  return b;
}

/* ---- what readers compute again ---------------------------------------------------------------- */

/* Cheap operations on few elements whose readers are loops over few: each computes it again, forwards and
   backwards, and it needs no memory.  That is what says how many chains fit side by side. */
static bool is_cheap(const instr *c)
{
  switch (c->op) {
  case G_ADD: case G_SUB: case G_MUL: case G_NEG: case G_SQUARE: case G_ABS: case G_MIN: case G_MAX:
  case G_LT: case G_LE: case G_EQ: case G_WHEN: case G_UNLESS: case G_OR_ONE:
    return c->n > 1 && !c->target;
  default: return false;
  }
}

/* The one instruction that makes all places of an operand; 0: there are several. */
static uint32_t maker_of(const plan *q, const operand *o, uint32_t n)
{
  if (o->kind != FROM_VIEW && o->kind != FROM_GATHER) return 0;
  uint32_t maker = q->owner[o->kind == FROM_VIEW ? o->at : o->places[0]];
  for (uint32_t i = 1; i < n && maker; i++)
    if (q->owner[o->kind == FROM_VIEW ? o->at + i : o->places[i]] != maker) return 0;
  return maker;
}

/* What is read otherwise than whole operands of loops can't be inlined. */
static void read_place(plan *q, uint32_t place)
{
  if (place < q->p->nplace && q->owner[place]) q->inlined[q->owner[place] - 1] = 0;
}

static void read_operand(plan *q, const operand *o, uint32_t n, bool whole, uint32_t *reads)
{
  uint32_t maker = whole ? maker_of(q, o, n) : 0;
  if (maker) { reads[maker - 1] += n; return; }
  if (o->kind == FROM_SCALAR) read_place(q, o->at);
  for (uint32_t i = 0; i < n && o->kind == FROM_VIEW; i++) read_place(q, o->at + i);
  for (uint32_t i = 0; i < n && o->kind == FROM_GATHER; i++) read_place(q, o->places[i]);
}

static void read_instr(plan *q, const instr *c, uint32_t *reads)
{
  const program *p = q->p;
  bool whole = c->op < G_COUNT ? c->op != G_PART && c->n > 1 : c->op == G_LINEAR;
  for (int j = 0; j < c->nargs; j++) read_operand(q, &c->arg[j], c->n, whole, reads);
  if (c->op == G_LINEAR)
    for (uint32_t j = 0; j < p->linear[c->aux].terms; j++)
      read_operand(q, &p->linear[c->aux].b[j], 1, false, reads);
  if (c->op == G_PART)
    for (uint32_t j = 0; j < p->call[c->aux].c.nin; j++)
      read_operand(q, &p->call[c->aux].in[j], 1, false, reads);
  for (uint32_t k = 0; c->op == G_FUSED && k < p->fused[c->aux].nstep; k++)
    read_instr(q, &p->fused[c->aux].step[k].c, reads);
  if (c->op != G_SCAN) return;
  const scan *s = &p->scan[c->aux];
  for (uint32_t k = 0; k < s->P; k++)
    for (int j = 0; j < s->column[k].c.nargs; j++) read_operand(q, &s->column[k].c.arg[j], s->T, false, reads);
  for (size_t i = 0; i < s->nstart; i++) {
    read_place(q, s->start[i].from);
    read_place(q, s->start[i].to);
  }
}

static void inlined_find(plan *q)
{
  const program *p = q->p;
  q->owner = get(q, (p->nplace + 1) * sizeof *q->owner);
  q->inlined = get(q, p->nfast + 1);
  uint32_t *reads = get(q, (p->nfast + 1) * sizeof *reads);
  if (q->failed) return;
  for (size_t i = 0; i < p->nfast; i++) {
    const instr *c = &p->fast[i];
    if (!is_cheap(c)) continue;
    q->inlined[i] = 1;
    for (uint32_t k = 0; k < c->n; k++) q->owner[c->to + k] = (uint32_t)i + 1;
  }
  for (size_t i = 0; i < p->nfast; i++) read_instr(q, &p->fast[i], reads);
  for (size_t i = 0; i < p->nterm; i++) read_place(q, p->term[i]);
  for (size_t i = 0; i < p->nguard; i++) {
    read_place(q, p->guard[i].a);
    read_place(q, p->guard[i].b);
  }
  for (size_t i = 0; i < p->nfast; i++)
    if (reads[i] > 2 * p->fast[i].n || !reads[i]) q->inlined[i] = 0;
}

const instr *plan_inlined(plan *q, const operand *o, uint32_t n, uint32_t **e)
{
  uint32_t maker = maker_of(q, o, n);
  if (!maker || !q->inlined[maker - 1]) return NULL;
  const instr *c = &q->p->fast[maker - 1];
  if (!(*e = get(q, n * sizeof **e))) return NULL;
  for (uint32_t i = 0; i < n; i++) (*e)[i] = (o->kind == FROM_VIEW ? o->at + i : o->places[i]) - c->to;
  return c;
}

operand plan_part(plan *q, const operand *o, const uint32_t *e, uint32_t m, bool parameter)
{
  operand part = *o;
  if (o->kind == FROM_DATA) {
    double *x = get(q, m * sizeof *x);
    if (!x) return part;
    for (uint32_t i = 0; i < m; i++) x[i] = o->data[e[i]];
    part.data = x;
    if (parameter || m == 1) part.kind = FROM_NUMBER;
  } else if (o->kind == FROM_VIEW || o->kind == FROM_GATHER) {
    uint32_t *x = get(q, m * sizeof *x);
    bool view = true, same = true;
    if (!x) return part;
    for (uint32_t i = 0; i < m; i++) {
      x[i] = o->kind == FROM_VIEW ? o->at + e[i] : o->places[e[i]];
      view &= x[i] == x[0] + i;
      same &= x[i] == x[0];
    }
    uint32_t maker = q->owner[x[0]];
    same &= !maker || !q->inlined[maker - 1];         /* only loops can make it anew */
    part = (operand){.kind = same ? FROM_SCALAR : view && m > 1 ? FROM_VIEW : FROM_GATHER, .at = x[0], .places = x};
  }
  return part;
}

/* ---- memory: which places have a slot ---------------------------------------------------------- */

static void mark(plan *q, uint32_t place, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    uint32_t maker = q->owner[place + i];
    if (!maker || !q->inlined[maker - 1]) q->slot[place + i] = 1;
  }
}

static void mark_operand(plan *q, const operand *o, uint32_t n)
{
  if (o->kind == FROM_VIEW) mark(q, o->at, n);
  for (uint32_t i = 0; o->kind == FROM_GATHER && i < n; i++) mark(q, o->places[i], 1);
}

static void mark_instr(plan *q, const instr *c)
{
  const program *p = q->p;
  bool alone = c->n == 1 && c->op < G_COUNT && c->op != G_PART;
  for (int j = 0; j < c->nargs; j++) mark_operand(q, &c->arg[j], c->n);
  if (c->op == G_PART) {
    const call_instr *k = &p->call[c->aux];
    for (uint32_t i = 0; i < k->c.nin; i++)
      if (k->in[i].kind == FROM_SCALAR) mark(q, k->in[i].at, 1);
  }
  if (c->op == G_FUSED || c->op == G_SCAN || (c->target && c->op == G_DENSITY)) return;
  if (alone) q->single[c->to] = 1;
  else mark(q, c->to, c->n);
}

static void mark_scan(plan *q, const scan *s)
{
  for (uint32_t k = 0; k < s->P; k++) {
    const instr *c = &s->column[k].c;
    mark(q, c->to, c->n);
    for (int j = 0; j < c->nargs; j++) mark_operand(q, &c->arg[j], c->n);
  }
  for (size_t i = 0; i < s->nstart; i++) mark(q, s->start[i].to, 1);
}

/* Many coefficients are read in a loop, from memory. */
static void mark_linear(plan *q, const linear *l)
{
  for (uint32_t j = 0; j < l->terms; j++)
    if (l->b[j].kind == FROM_SCALAR) mark(q, l->b[j].at, 1);
}

bool plan_memory(plan *q)
{
  const program *p = q->p;
  q->slot = get(q, (p->nplace + 1) * sizeof *q->slot);
  q->single = get(q, p->nplace + 1);
  inlined_find(q);
  if (q->failed) return false;
  mark(q, 0, (uint32_t)p->ninput);
  for (size_t i = 0; i < p->nfast; i++) {
    const instr *c = &p->fast[i];
    mark_instr(q, c);
    if (c->op == G_SCAN) mark_scan(q, &p->scan[c->aux]);
    if (c->op == G_LINEAR) mark_linear(q, &p->linear[c->aux]);
    for (uint32_t k = 0; c->op == G_FUSED && k < p->fused[c->aux].nstep; k++) {
      const instr *s = &p->fused[c->aux].step[k].c;
      for (int j = 0; j < s->nargs; j++) mark_operand(q, &s->arg[j], s->n);
      if (s->op == G_LINEAR) mark_linear(q, &p->linear[s->aux]);
    }
  }
  uint32_t n = 0;
  for (size_t i = 0; i < p->nplace; i++) q->slot[i] = q->slot[i] ? n++ : NOSLOT;
  q->o->nslot = n;
  q->o->ninput = (uint32_t)p->ninput;
  return true;
}

uint32_t plan_scratch(plan *q, uint32_t n)
{
  uint32_t at = q->scratch;
  q->scratch += n;
  if (q->scratch > q->most) q->most = q->scratch;
  return at;
}

/* ---- tables ------------------------------------------------------------------------------------ */

uint32_t plan_index(plan *q, const uint32_t *x, uint32_t n)
{
  density_code *o = q->o;
  if (q->failed || !mem_grow(&o->m, &o->index, &o->cindex, o->nindex + n, sizeof *o->index))
    return q->failed = true, 0;
  memcpy(o->index + o->nindex, x, n * sizeof *x);
  o->nindex += n;
  return (uint32_t)(o->nindex - n);
}

/* A table that is there already. */
static bool is_known(const plan *q, const loop *l, const void *at, uint32_t *offset)
{
  for (size_t i = 0; i < q->nknown; i++) {
    const struct known *k = &q->known[i];
    if (k->at == at && k->order == l->id && k->n == l->n) return *offset = k->offset, true;
  }
  return false;
}

static void know(plan *q, const loop *l, const void *at, uint32_t offset)
{
  size_t n = q->nknown;
  if ((n & (n + 1)) == 0) {            /* room doubles at 0, 1, 3, 7 ... */
    struct known *more = get(q, (2 * n + 2) * sizeof *more);
    if (!more) return;
    if (n) memcpy(more, q->known, n * sizeof *more);
    q->known = more;
  }
  q->known[q->nknown++] = (struct known){at, l->id, l->n, offset};
}

uint32_t plan_data(plan *q, const loop *l, const double *data)
{
  density_code *o = q->o;
  uint32_t offset;
  if (is_known(q, l, data, &offset)) return offset;
  if (!mem_grow(&o->m, &o->data, &o->cdata, o->ndata + l->n, sizeof *o->data)) return q->failed = true, 0;
  offset = (uint32_t)o->ndata;
  for (uint32_t i = 0; i < l->n; i++) o->data[offset + i] = data[l->order ? l->order[i] : i];
  o->ndata += l->n;
  know(q, l, data, offset);
  return offset;
}

uint32_t plan_view(plan *q, const loop *l, uint32_t place)
{
  uint32_t offset, *x;
  if (is_known(q, l, q->p->value + place, &offset)) return offset;
  if (!(x = get(q, l->n * sizeof *x))) return 0;
  for (uint32_t i = 0; i < l->n; i++) x[i] = q->slot[place] + (l->order ? l->order[i] : i);
  offset = plan_index(q, x, l->n);
  know(q, l, q->p->value + place, offset);
  return offset;
}

/* ---- orders ------------------------------------------------------------------------------------ */

typedef struct spot { uint32_t place, i; } spot;
static int by_place(const void *a, const void *b)
{
  const spot *x = a, *y = b;
  return x->place != y->place ? (x->place > y->place ? 1 : -1) : (x->i > y->i) - (x->i < y->i);
}

/* Elements by place; how many places there are. */
static uint32_t sorted_by(plan *q, const uint32_t *places, uint32_t n, uint32_t *out)
{
  spot *s = get(q, n * sizeof *s);
  uint32_t distinct = 0;
  if (!s) return 0;
  for (uint32_t i = 0; i < n; i++) s[i] = (spot){places[i], i};
  qsort(s, n, sizeof *s, by_place);
  for (uint32_t i = 0; i < n; i++) {
    out[i] = s[i].i;
    distinct += !i || s[i].place != s[i - 1].place;
  }
  return distinct;
}

/* Where thread t's part of n sorted elements begins. */
static uint32_t part_of(const plan *q, uint32_t n, uint32_t t)
{
  uint32_t T = (uint32_t)q->T, rest = n % T;
  return t * (n / T) + (t < rest ? t : rest);
}

/* The i-th element as threads take them, of sorted ones. */
static uint32_t *order_of(plan *q, const uint32_t *sorted, uint32_t n)
{
  uint32_t *order = get(q, n * sizeof *order), T = (uint32_t)q->T;
  for (uint32_t i = 0; order && i < n; i++) order[i] = sorted[part_of(q, n, i % T) + i / T];
  return order;
}

/* Do equal places stand together in this order of elements? */
static bool in_runs(const uint32_t *places, const uint32_t *sorted, uint32_t n, uint32_t distinct)
{
  uint32_t runs = 0;
  for (uint32_t i = 0; i < n; i++) runs += !i || places[sorted[i]] != places[sorted[i - 1]];
  return runs == distinct;
}

/* Tables of runs: slots with flags, spans.  sorted: elements in the order of the loop's threads. */
static void runs_make(plan *q, gather *g, const uint32_t *sorted, uint32_t n)
{
  uint32_t T = (uint32_t)q->T, *x = get(q, n * sizeof *x), *span = get(q, 2 * T * sizeof *span);
  if (q->failed) return;
  uint32_t *last = span + T;
  for (uint32_t t = 0; t < T; t++) {
    uint32_t from = part_of(q, n, t), end = part_of(q, n, t + 1);
    bool edge = t && from < end && from > 0 && g->places[sorted[from]] == g->places[sorted[from - 1]];
    for (uint32_t i = from; i < end; i++) {
      uint32_t place = g->places[sorted[i]], at = (i - from) * T + t;
      bool more = i + 1 < n && g->places[sorted[i + 1]] == place, ends = i + 1 == end;
      x[at] = q->slot[place];
      if (!more || (ends && edge)) x[at] |= RUN_LAST | (edge ? RUN_EDGE : 0);
      else if (ends) {                 /* begins here, goes on in other threads */
        uint32_t to = i;
        while (to + 1 < n && g->places[sorted[to + 1]] == place) to++;
        while (part_of(q, n, t + span[t] + 1) <= to) span[t]++;
        last[t] = q->slot[place];
        g->spanned = true;
      }
      if (!more) edge = false;
    }
  }
  g->sums = plan_index(q, x, n);
  if (!g->spanned) return;
  g->spans = plan_index(q, span, T);
  g->lasts = plan_index(q, last, T);
}

static void table_make(plan *q, const loop *l, gather *g)
{
  uint32_t *x = get(q, l->n * sizeof *x);
  for (uint32_t i = 0; x && i < l->n; i++) x[i] = q->slot[g->places[l->order ? l->order[i] : i]];
  if (x) g->table = plan_index(q, x, l->n);
}

/* Derivatives that go to scratch in the loop's order, and are summed by place after it; own: elements by
   place. */
static void scratch_make(plan *q, const loop *l, gather *g, const uint32_t *own)
{
  uint32_t *back = get(q, 2 * l->n * sizeof *back), *x = back + l->n, *order = order_of(q, own, l->n);
  if (q->failed) return;
  for (uint32_t i = 0; i < l->n; i++) back[l->order ? l->order[i] : i] = i;
  for (uint32_t i = 0; i < l->n; i++) x[i] = back[order[i]];
  g->order = plan_index(q, x, l->n);
  runs_make(q, g, own, l->n);
}

/* A list of places that was met already. */
static gather *gather_of(const loop *l, const uint32_t *places)
{
  for (size_t i = 0; i < l->ngather; i++) {
    gather *g = &l->gather[i];
    if (g->places == places || !memcmp(g->places, places, l->n * sizeof *places)) return g;
  }
  return NULL;
}

gather *plan_gather(const loop *l, const operand *o) { return gather_of(l, o->places); }

bool plan_late(const loop *l, const operand *o)
{
  for (size_t i = 0; i < l->nlate; i++)
    if (l->late[i] == o->at) return true;
  return false;
}

/* Takes places for an access of the loop; false: another has some of them, and its threads may be others. */
static bool claim(plan *q, uint32_t *owner, const uint32_t *places, uint32_t at, uint32_t n, uint32_t id)
{
  if (q->T == 1) return true;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t o = owner[q->slot[places ? places[i] : at + i]];
    if (o && o != id) return false;
  }
  for (uint32_t i = 0; i < n; i++) owner[q->slot[places ? places[i] : at + i]] = id;
  return true;
}

/* Views: those whose places others have go by scratch. */
static void views_claim(plan *q, loop *l, const instr *const *c, size_t nc, uint32_t *owner)
{
  l->late = get(q, (nc * OPERANDS + 1) * sizeof *l->late);
  for (size_t i = 0; i < nc && !q->failed; i++)
    for (int j = 0; j < c[i]->nargs; j++) {
      const operand *o = &c[i]->arg[j];
      if (o->kind != FROM_VIEW || plan_late(l, o)) continue;
      if (!claim(q, owner, NULL, o->at, l->n, o->at + 1)) l->late[l->nlate++] = o->at;
    }
}

/* Places by element in sorted order, and how many there are, of each list. */
typedef struct lists { uint32_t **sorted, *distinct; size_t best; } lists;
static bool lists_make(plan *q, const loop *l, lists *s)
{
  uint32_t least = l->n;
  s->best = SIZE_MAX;
  s->sorted = get(q, (l->ngather + 1) * sizeof *s->sorted);
  s->distinct = get(q, (l->ngather + 1) * sizeof *s->distinct);
  for (size_t i = 0; i < l->ngather && !q->failed; i++) {
    if (!(s->sorted[i] = get(q, l->n * sizeof **s->sorted))) break;
    s->distinct[i] = sorted_by(q, l->gather[i].places, l->n, s->sorted[i]);
    if (s->distinct[i] >= least) continue;
    least = s->distinct[i];
    s->best = i;
  }
  return !q->failed;
}

static void gather_make(plan *q, const loop *l, gather *g, const uint32_t *own, const uint32_t *best)
{
  if (g->kind == GATHER_RUNS) {
    runs_make(q, g, best, l->n);
    g->table = g->sums;
    return;
  }
  table_make(q, l, g);
  if (g->kind == GATHER_SCRATCH) scratch_make(q, l, g, own);
}

/* The kinds; the order of the loop is that of the list with the most repeats, which has its places first. */
static void kinds_find(plan *q, loop *l, const instr *const *c, size_t nc)
{
  lists s;
  uint32_t *owner = get(q, (q->o->nslot + 1) * sizeof *owner), most = (uint32_t)q->p->nplace + 1;
  if (!owner || !lists_make(q, l, &s)) return;
  const uint32_t *best = s.best == SIZE_MAX ? NULL : s.sorted[s.best];
  if (best) {
    l->order = order_of(q, best, l->n);
    l->id = ++q->norder;
    claim(q, owner, l->gather[s.best].places, 0, l->n, most + (uint32_t)s.best);
  }
  views_claim(q, l, c, nc, owner);
  for (size_t i = 0; i < l->ngather && !q->failed; i++) {
    gather *g = &l->gather[i];
    bool runs = best && s.distinct[i] < l->n && in_runs(g->places, best, l->n, s.distinct[i]);
    g->kind = s.distinct[i] == l->n ? GATHER_UNIQUE : runs ? GATHER_RUNS : GATHER_SCRATCH;
    if (g->kind != GATHER_SCRATCH && !claim(q, owner, g->places, 0, l->n, most + (uint32_t)i))
      g->kind = GATHER_SCRATCH;
    gather_make(q, l, g, s.sorted[i], best);
  }
}

void plan_loop(plan *q, loop *l, uint32_t n, const instr *const *c, size_t nc, bool adjoints)
{
  *l = (loop){.n = n};
  l->gather = get(q, (nc * OPERANDS + 1) * sizeof *l->gather);
  for (size_t i = 0; i < nc && !q->failed; i++)
    for (int j = 0; j < c[i]->nargs; j++)
      if (c[i]->arg[j].kind == FROM_GATHER && !gather_of(l, c[i]->arg[j].places))
        l->gather[l->ngather++] = (gather){.places = c[i]->arg[j].places};
  if (q->failed) return;
  if (adjoints) { kinds_find(q, l, c, nc); return; }
  for (size_t i = 0; i < l->ngather; i++) table_make(q, l, &l->gather[i]);
}
