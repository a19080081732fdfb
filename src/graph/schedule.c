/* schedule: from nodes to units (schedule.h).

   First, groups.  Nodes are visited in the order of their making.  A node joins the group of its
   operation and of the groups of its operands; since a group was opened after those of its
   operands, the order in which groups were opened is an order in which they can run: all members of
   an operand's group are computed before, also those that joined late.  So the copies of a loop's
   body fall together.

   A loop with a carry leaves a small group for each step instead, and so does all that reads the
   carry.  For these, as a compiler distributes a loop (Allen and Kennedy 1987): small groups that
   look alike to a depth of some operations are one *class*, a statement of the loop.  Classes that
   need one another (strongly connected, Tarjan 1972) are the chain and go step by step (roll.c);
   every other class is one array instruction, before or after it.  Any choice of classes is right;
   the depth is that which costs least. */
#include "graph/schedule.h"
#include <stdlib.h>
#include <string.h>

/* ---- groups ---------------------------------------------------------------------------------- */

/* A number that very many operations share (a coefficient) is an operand of its own kind, so that
   what it multiplies is an array beside one number; unless so many do that the groups would be
   small. */
enum { HOT = 64, HOT_MOST = 32 };
static uint32_t operand_class(const schedule *r, uint32_t a)
{
  bool hot = r->uses[a] >= HOT && r->nhot <= HOT_MOST && r->of[a] != CONSTANT;
  return hot ? OWN | a : r->of[a];
}

static uint64_t group_hash(const group *k)
{
  uint64_t h = (uint64_t)k->op * 0x9e3779b97f4a7c15u ^ k->aux;
  for (int i = 0; i < k->nargs; i++) h = (h ^ k->of[i]) * 0xff51afd7ed558ccdu, h ^= h >> 31;
  return h;
}

static bool group_is(const group *a, const group *k)
{
  return a->hash == k->hash && a->op == k->op && a->aux == k->aux && a->nargs == k->nargs &&
         !memcmp(a->of, k->of, k->nargs * sizeof *k->of);
}

/* The group of key k, opened if there is none; UINT32_MAX: no memory. */
static uint32_t group_find(schedule *r, const group *k)
{
  size_t at = k->hash & r->mask;
  for (; r->table[at]; at = (at + 1) & r->mask)
    if (group_is(&r->group[r->table[at] - 1], k)) return r->table[at] - 1;
  if (!graph_room(&r->room, &r->group, &r->cgroup, r->ngroup + 1, sizeof *r->group))
    return UINT32_MAX;
  r->group[r->ngroup] = *k;
  r->table[at] = (uint32_t)++r->ngroup;
  return (uint32_t)r->ngroup - 1;
}

static bool group_node(schedule *r, uint32_t i)
{
  const graph *g = r->g;
  const graph_node *a = &g->node[i];
  group k = {.op = a->op, .nargs = a->nargs, .aux = a->aux, .head = UINT32_MAX};
  if (a->op == G_CONST) { r->of[i] = CONSTANT; return true; }
  if (a->op == G_INPUT) k.aux = 0;
  if (a->op == G_PART) k.aux = a->aux >> 32;
  for (int j = 0; j < a->nargs; j++) k.of[j] = operand_class(r, schedule_arg(r, i, j));
  k.hash = group_hash(&k);
  uint32_t at = group_find(r, &k);
  if (at == UINT32_MAX) return false;
  group *to = &r->group[at];
  if (to->head == UINT32_MAX) to->head = i;
  else r->next[to->last] = i;
  to->last = i;
  r->next[i] = UINT32_MAX;
  to->n++;
  r->of[i] = at;
  return true;
}

static bool groups_make(schedule *r)
{
  size_t n = r->g->nnode, slots = 1024;
  while (slots < 2 * n) slots *= 2;
  r->of = blocks_get(&r->temp, 3 * n * sizeof *r->of);
  r->table = blocks_get(&r->temp, slots * sizeof *r->table);
  if (!r->of || !r->table) return false;
  r->next = r->of + n;
  r->uses = r->next + n;
  for (size_t i = 0; i < r->g->narg; i++) r->uses[r->g->arg[i]]++;
  for (size_t i = 0; i < n; i++)
    r->nhot += r->uses[i] >= HOT && r->g->node[i].op != G_CONST;
  r->mask = slots - 1;
  group inputs = {.op = G_INPUT, .head = UINT32_MAX};
  inputs.hash = group_hash(&inputs);
  if (group_find(r, &inputs) == UINT32_MAX) return false;     /* group 0: places 0 .. ninput - 1 */
  for (uint32_t i = 0; i < n; i++)
    if (!group_node(r, i)) return false;
  return true;
}

/* ---- classes --------------------------------------------------------------------------------- */

enum { SMALL = 8, DEPTHS = 4 };      /* a group of fewer is small; depths 1 .. DEPTHS - 1 are
                                        tried */
typedef struct classes {
  uint64_t *colour, *deeper;         /* (ngroup) */
  uint32_t *of, *next;               /* (ngroup) class of a group; groups of a class as a list */
  uint32_t *head; size_t n;          /* (n) */
  uint32_t *edge, *from;             /* classes that class c reads: edge[from[c]] .. */
  uint32_t *table; size_t mask;
  /* components in the order of running, as classes in a row */
  uint32_t *order, *component; size_t ncomponent;      /* component[k]: where it ends in order */
} classes;

static bool is_small(const group *k)
{
  return k->n < SMALL && k->op != G_INPUT && k->op != G_PART;
}
static bool is_step(const group *k)          /* what a scan can do */
{
  return k->op >= G_ADD && k->op <= G_FUN1;
}

/* Not symmetric in h and x: EXP of a NEG is another class than NEG of an EXP. */
static uint64_t mix(uint64_t h, uint64_t x)
{
  h = ((h << 7 | h >> 57) ^ x) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

static uint32_t group_of_operand(const schedule *r, uint32_t of)
{
  return of == CONSTANT ? CONSTANT : of & OWN ? r->of[of & ~(uint32_t)OWN] : of;
}

/* One level more of what operands are. */
static void deepen(const schedule *r, classes *c)
{
  for (size_t k = 0; k < r->ngroup; k++) {
    const group *q = &r->group[k];
    uint64_t h = mix(q->op, q->aux);
    for (int j = 0; j < q->nargs && is_small(q); j++)
      h = mix(h, q->of[j] == CONSTANT ? CONSTANT : c->colour[group_of_operand(r, q->of[j])]);
    c->deeper[k] = is_small(q) ? h : c->colour[k];
  }
  uint64_t *t = c->colour;
  c->colour = c->deeper;
  c->deeper = t;
}

/* Colours are hashes: what must be the same in a class is looked at. */
static bool is_like(const schedule *r, const classes *c, size_t i, size_t k)
{
  const group *a = &r->group[i], *b = &r->group[k];
  return c->colour[i] == c->colour[k] && a->op == b->op && a->aux == b->aux && a->nargs == b->nargs;
}

static void classes_number(const schedule *r, classes *c)
{
  memset(c->table, 0, (c->mask + 1) * sizeof *c->table);
  c->n = 0;
  for (size_t k = 0; k < r->ngroup; k++) {
    size_t at = c->colour[k] & c->mask;
    for (; c->table[at]; at = (at + 1) & c->mask)
      if (is_like(r, c, c->head[c->table[at] - 1], k)) break;
    if (!c->table[at]) {
      c->head[c->n] = (uint32_t)k;
      c->table[at] = (uint32_t)++c->n;
    }
    c->of[k] = c->table[at] - 1;
  }
  for (size_t k = 0; k < c->n; k++) c->head[k] = UINT32_MAX;
  for (size_t k = r->ngroup; k-- > 0;) {
    c->next[k] = c->head[c->of[k]];
    c->head[c->of[k]] = (uint32_t)k;
  }
}

/* What a group reads: operand j, or input j of its call; UINT32_MAX: no more. */
static uint32_t group_reads(const schedule *r, const group *q, uint32_t j)
{
  if (q->op != G_PART) return j < q->nargs ? group_of_operand(r, q->of[j]) : UINT32_MAX;
  const graph_called *call = &r->g->call[q->aux];
  return j < call->nin ? r->of[r->g->arg[call->args + j]] : UINT32_MAX;
}

static void edges_make(const schedule *r, classes *c)
{
  size_t n = 0;
  for (size_t k = 0; k < c->n; k++) {
    c->from[k] = (uint32_t)n;
    for (uint32_t q = c->head[k]; q != UINT32_MAX; q = c->next[q]) {
      uint32_t a;
      for (uint32_t j = 0; (a = group_reads(r, &r->group[q], j)) != UINT32_MAX; j++)
        if (a != CONSTANT && (n == c->from[k] || c->edge[n - 1] != c->of[a]))
          c->edge[n++] = c->of[a];
    }
  }
  c->from[c->n] = (uint32_t)n;
}

/* Tarjan's components.  A component is complete when all that it reads is: their order is one in
   which they can run. */
static void components_make(classes *c, uint32_t *scratch /* (5 n + 1) */)
{
  uint32_t *num = scratch, *low = num + c->n, *at = low + c->n, *path = at + c->n,
           *stack = path + c->n, count = 0, npath = 0, nstack = 0, norder = 0;
  memset(num, 0, c->n * sizeof *num);
  c->ncomponent = 0;
  for (uint32_t root = 0; root < c->n; root++) {
    if (num[root]) continue;
    path[npath++] = root;
    while (npath) {
      uint32_t v = path[npath - 1];
      if (!num[v]) {
        num[v] = low[v] = ++count;
        at[v] = c->from[v];
        stack[nstack++] = v;
      }
      bool down = false;
      while (at[v] < c->from[v + 1] && !down) {
        uint32_t w = c->edge[at[v]];
        if (!num[w]) { path[npath++] = w; down = true; continue; }
        if (num[w] != UINT32_MAX && low[w] < low[v]) low[v] = low[w];
        at[v]++;
      }
      if (down) continue;
      npath--;
      if (low[v] != num[v]) continue;
      uint32_t w;
      do {
        w = stack[--nstack];
        c->order[norder++] = w;
        num[w] = UINT32_MAX;
      } while (w != v);
      c->component[c->ncomponent++] = norder;
    }
  }
}

/* What a component is: one class without a step to itself; a chain; or neither (a chain with what a
   scan can't do in it: its groups one by one). */
typedef enum { ALONE, CHAIN, GROUPS } component_kind;
static component_kind component_is(const schedule *r, const classes *c, size_t k)
{
  uint32_t i = k ? c->component[k - 1] : 0, end = c->component[k];
  bool self = end - i > 1;
  for (uint32_t e = c->from[c->order[i]]; e < c->from[c->order[i] + 1]; e++)
    self |= c->edge[e] == c->order[i];
  if (!self) return ALONE;
  for (; i < end; i++)
    for (uint32_t q = c->head[c->order[i]]; q != UINT32_MAX; q = c->next[q])
      if (!is_small(&r->group[q]) || !is_step(&r->group[q])) return GROUPS;
  return CHAIN;
}

/* Nanoseconds, roughly: a call, elements in lanes, elements step by step. */
static double component_cost(const schedule *r, const classes *c, size_t k)
{
  component_kind kind = component_is(r, c, k);
  double total = kind == GROUPS ? 0 : 20;
  for (uint32_t i = k ? c->component[k - 1] : 0; i < c->component[k]; i++)
    for (uint32_t q = c->head[c->order[i]]; q != UINT32_MAX; q = c->next[q])
      total += (kind == GROUPS ? 20 : 0) + (kind == CHAIN ? 3 : 0.5) * r->group[q].n;
  return total;
}

/* ---- units ----------------------------------------------------------------------------------- */

bool schedule_unit(schedule *r, const uint32_t *nodes, uint32_t n, uint32_t P, uint32_t T)
{
  if (!graph_room(&r->room, &r->unit, &r->cunit, r->nunit + 1, sizeof *r->unit)) return false;
  r->unit[r->nunit++] = (unit){(uint32_t)r->nmember, n, P, T};
  for (uint32_t i = 0; i < n; i++) {
    r->index[nodes[i]] = (uint32_t)r->nmember;
    r->member[r->nmember++] = nodes[i];
  }
  return true;
}

static int by_number(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t group_nodes(const schedule *r, uint32_t q, uint32_t *out)
{
  uint32_t n = 0;
  for (uint32_t i = r->group[q].head; i != UINT32_MAX; i = r->next[i]) out[n++] = i;
  return n;
}

/* Groups in the order of their opening, which is one that can run. */
static bool groups_units(schedule *r, const classes *c, uint32_t i, uint32_t end, uint32_t *scratch)
{
  uint32_t n = 0;
  for (; i < end; i++)
    for (uint32_t q = c->head[c->order[i]]; q != UINT32_MAX; q = c->next[q]) scratch[n++] = q;
  qsort(scratch, n, sizeof *scratch, by_number);
  for (i = 0; i < n; i++)
    if (!schedule_unit(r, scratch + n, group_nodes(r, scratch[i], scratch + n), 0, 0)) return false;
  return true;
}

static bool component_units(schedule *r, const classes *c, size_t k, uint32_t *scratch)
{
  uint32_t i = k ? c->component[k - 1] : 0, end = c->component[k], n = 0;
  component_kind kind = component_is(r, c, k);
  if (r->group[c->head[c->order[i]]].op == G_INPUT) return true;
  if (kind == GROUPS) return groups_units(r, c, i, end, scratch);
  bool mixed = end - i > 1 || c->next[c->head[c->order[i]]] != UINT32_MAX;
  for (; i < end; i++)
    for (uint32_t q = c->head[c->order[i]]; q != UINT32_MAX; q = c->next[q])
      n += group_nodes(r, q, scratch + n);
  if (mixed) qsort(scratch, n, sizeof *scratch, by_number);
  return kind == CHAIN ? schedule_roll(r, scratch, n, c->of) : schedule_unit(r, scratch, n, 0, 0);
}

static bool classes_new(schedule *r, classes *c, uint32_t **scratch)
{
  size_t n = r->ngroup, edges = 0, slots = 64;
  while (slots < 2 * n) slots *= 2;
  for (size_t k = 0; k < n; k++)
    edges += r->group[k].op == G_PART ? r->g->call[r->group[k].aux].nin : r->group[k].nargs;
  c->colour = blocks_get(&r->temp, 2 * n * sizeof *c->colour);
  c->of = blocks_get(&r->temp, (6 * n + 1 + edges) * sizeof *c->of);
  c->table = blocks_get(&r->temp, slots * sizeof *c->table);
  *scratch = blocks_get(&r->temp, (5 * n + 1 + r->g->nnode) * sizeof **scratch);
  if (!c->colour || !c->of || !c->table || !*scratch) return false;
  c->deeper = c->colour + n;
  c->next = c->of + n;
  c->head = c->next + n;
  c->order = c->head + n;
  c->component = c->order + n;
  c->from = c->component + n;
  c->edge = c->from + n + 1;
  c->mask = slots - 1;
  return true;
}

static void classes_make(const schedule *r, classes *c, int depth, uint32_t *scratch)
{
  for (size_t k = 0; k < r->ngroup; k++)
    c->colour[k] = depth && is_small(&r->group[k]) ? mix(r->group[k].op, r->group[k].aux)
                                                   : mix(~(uint64_t)0, k);
  for (int i = 0; i < depth; i++) deepen(r, c);
  classes_number(r, c);
  edges_make(r, c);
  components_make(c, scratch);
}

/* Depth 0: each group is a class. */
static bool units_make(schedule *r)
{
  classes c;
  uint32_t *scratch;
  int best = 0;
  double least = HUGE_VAL;
  if (!classes_new(r, &c, &scratch)) return false;
  for (int depth = 0; depth < DEPTHS; depth++) {
    double cost = 0;
    classes_make(r, &c, depth, scratch);
    for (size_t k = 0; k < c.ncomponent; k++) cost += component_cost(r, &c, k);
    if (cost < least) { least = cost; best = depth; }
  }
  classes_make(r, &c, best, scratch);
  for (size_t k = 0; k < c.ncomponent; k++)
    if (!component_units(r, &c, k, scratch)) return false;
  return true;
}

bool schedule_make(schedule *r, const graph *g)
{
  *r = (schedule){.g = g, .temp = {.st = g->st}, .room = {.st = g->st}};
  if (!groups_make(r)) return false;
  r->member = blocks_get(&r->temp, 3 * g->nnode * sizeof *r->member);
  if (!r->member) return false;
  r->index = r->member + g->nnode;
  r->at = r->index + g->nnode;
  memset(r->index, 0xff, 2 * g->nnode * sizeof *r->index);
  return units_make(r);
}

void schedule_free(schedule *r)
{
  norn_alloc(r->temp.st, r->group, r->cgroup * sizeof *r->group, 0);
  norn_alloc(r->temp.st, r->unit, r->cunit * sizeof *r->unit, 0);
  blocks_free(&r->temp);
}
