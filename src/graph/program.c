/* program: from nodes to instructions over arrays (graph.h, program.h).

   Nodes are visited in the order of their making.  A node joins the group of its operation and of
   the groups of its operands; since a group was opened after those of its operands, the order in
   which groups were opened is an order in which they can run: all members of an operand's group are
   computed before, also those that joined late.  So the copies of a loop's body fall together, and a
   chain of steps that need each other stays a chain. */
#include "graph/program.h"
#include <string.h>

/* ---- memory: blocks that the program owns ----------------------------------------------------- */

static void *block_get(program *p, size_t n)
{
  if (!n) n = 1;
  graph g = {.st = p->st};           /* only for its room */
  if (!graph_room(&g, &p->block, &p->cblock, p->nblock + 1, sizeof *p->block) ||
      !graph_room(&g, &p->block_size, &p->cblock_size, p->nblock + 1, sizeof *p->block_size))
    return NULL;
  void *b = norn_alloc(p->st, NULL, 0, n + 64);
  if (!b) return norn_fail(p->st, NORN_EMEMORY, -1, "out of memory"), NULL;
  memset(b, 0, n + 64);              /* and a register of padding */
  p->block[p->nblock] = b;
  p->block_size[p->nblock++] = n + 64;
  return b;
}

void program_free(program *p)
{
  if (!p) return;
  norn_state *st = p->st;
  for (size_t i = 0; i < p->nblock; i++) norn_alloc(st, p->block[i], p->block_size[i], 0);
  norn_alloc(st, p->block, p->cblock * sizeof *p->block, 0);
  norn_alloc(st, p->block_size, p->cblock_size * sizeof *p->block_size, 0);
  norn_alloc(st, p->code, p->ccode * sizeof *p->code, 0);
  norn_alloc(st, p, sizeof *p, 0);
}

/* ---- groups ----------------------------------------------------------------------------------- */

enum { CONSTANT = 0x7fffffff };      /* the group of constants */
typedef struct group { uint64_t hash; uint32_t of[OPERANDS]; uint64_t aux; uint32_t head, n, first;
                       uint16_t op, nargs; uint32_t used; } group;
typedef struct grouping {
  const graph *g;
  uint32_t *of;                      /* (nnode) group of each node */
  uint32_t *next, *rank;             /* (nnode) members as a list; place in the group */
  uint32_t *uses;                    /* (nnode) */
  size_t nhot;                       /* nodes used HOT times or more */
  group *group; size_t ngroup, cgroup;
  uint32_t *table; size_t mask;
  graph room;
} grouping;

/* A number that very many operations share (a coefficient) is an operand of its own kind, so that what
   it multiplies is an array beside one number; unless so many do that the groups would be small. */
enum { HOT = 64, HOT_MOST = 32, OWN = 0x40000000 };
static uint32_t operand_class(const grouping *r, uint32_t a)
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
static uint32_t group_find(grouping *r, const group *k)
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

static bool group_node(grouping *r, uint32_t i)
{
  const graph *g = r->g;
  const graph_node *a = &g->node[i];
  group k = {.op = a->op, .nargs = a->nargs, .aux = a->aux, .head = UINT32_MAX};
  if (a->op == G_CONST) { r->of[i] = CONSTANT; return true; }
  if (a->op == G_INPUT) k.aux = 0;
  if (a->op == G_PART) k.aux = a->aux >> 32;
  for (int j = 0; j < a->nargs; j++) k.of[j] = operand_class(r, g->arg[a->args + (uint32_t)j]);
  k.hash = group_hash(&k);
  uint32_t at = group_find(r, &k);
  if (at == UINT32_MAX) return false;
  group *to = &r->group[at];
  if (to->head == UINT32_MAX) to->head = i;
  else r->next[to->first] = i;
  to->first = i;                     /* the last so far; the first place later */
  r->next[i] = UINT32_MAX;
  r->rank[i] = to->n++;
  r->of[i] = at;
  return true;
}

/* ---- operands --------------------------------------------------------------------------------- */

/* Operand j of the n nodes from head on. */
static bool operand_make(program *p, const grouping *r, const group *k, int j, operand *out)
{
  const graph *g = r->g;
  uint32_t first = g->arg[g->node[k->head].args + (uint32_t)j];
  bool constant = k->of[j] == CONSTANT, same = true, view = true;
  uint32_t t = 0;
  for (uint32_t i = k->head; i != UINT32_MAX; i = r->next[i], t++) {
    uint32_t a = g->arg[g->node[i].args + (uint32_t)j];
    same &= a == first;
    view &= !constant && p->place[a] == p->place[first] + t;
  }
  *out = (operand){.kind = constant ? (same ? FROM_NUMBER : FROM_DATA)
                                    : same ? FROM_SCALAR : view ? FROM_VIEW : FROM_GATHER,
                   .at = constant ? 0 : p->place[first]};
  if (constant) {
    double *d = block_get(p, (same ? 1 : k->n) * sizeof *d);
    if (!d) return false;
    t = 0;
    for (uint32_t i = k->head; i != UINT32_MAX && (t == 0 || !same); i = r->next[i])
      d[t++] = g->value[g->arg[g->node[i].args + (uint32_t)j]];
    out->data = d;
  } else if (out->kind == FROM_GATHER) {
    uint32_t *places = block_get(p, k->n * sizeof *places);
    if (!places) return false;
    t = 0;
    for (uint32_t i = k->head; i != UINT32_MAX; i = r->next[i])
      places[t++] = p->place[g->arg[g->node[i].args + (uint32_t)j]];
    out->places = places;
  }
  return true;
}

/* ---- calls ------------------------------------------------------------------------------------ */

static bool call_make(program *p, const graph *g, size_t c)
{
  call_instr *k = &p->call[c];
  k->c = g->call[c];
  k->in = block_get(p, k->c.nin * sizeof *k->in);
  k->x = block_get(p, (2 * (size_t)k->c.nin + k->c.nout) * sizeof *k->x);
  if (!k->in || !k->x) return false;
  k->gx = k->x + k->c.nin;
  for (uint32_t i = 0; i < k->c.nin; i++) {
    uint32_t a = g->arg[k->c.args + i];
    bool constant = g->node[a].op == G_CONST;
    k->in[i] = (operand){.kind = constant ? FROM_NUMBER : FROM_SCALAR, .at = p->place[a]};
    k->x[i] = g->value[a];
  }
  return true;
}

/* A call's results are a group that must come after those of its inputs: it is opened when its first
   result is visited, which is after the inputs.  But a member of an input's group may join late;
   that is no harm, as above. */

/* ---- the whole -------------------------------------------------------------------------------- */

static bool groups_make(grouping *r, program *p)
{
  size_t n = r->g->nnode, slots = 1024;
  while (slots < 2 * n) slots *= 2;
  r->of = block_get(p, 4 * n * sizeof *r->of);
  r->table = block_get(p, slots * sizeof *r->table);
  if (!r->of || !r->table) return false;
  r->next = r->of + n;
  r->rank = r->next + n;
  r->uses = r->rank + n;
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

/* Places: groups in the order of their opening, each followed by room for the rest of a register. */
static bool places_make(program *p, grouping *r)
{
  size_t at = 0;
  for (size_t k = 0; k < r->ngroup; k++) {
    r->group[k].first = (uint32_t)at;
    at += r->group[k].n == 1 ? 1 : (r->group[k].n + 7) / 8 * 8;
    if (k + 1 < r->ngroup && r->group[k + 1].n > 1) at = (at + 7) / 8 * 8;
  }
  p->nplace = at;
  p->place = block_get(p, r->g->nnode * sizeof *p->place);
  p->value = block_get(p, at * sizeof *p->value);
  p->adjoint = block_get(p, at * sizeof *p->adjoint);
  p->constant = block_get(p, r->g->nnode * sizeof *p->constant);
  if (!p->place || !p->value || !p->adjoint || !p->constant) return false;
  for (uint32_t i = 0; i < r->g->nnode; i++)
    p->place[i] = r->of[i] == CONSTANT ? 0x80000000u | i : r->group[r->of[i]].first + r->rank[i];
  for (uint32_t i = 0; i < r->g->nnode; i++) p->constant[i] = r->g->value[i];
  return true;
}

static bool code_make(program *p, const grouping *r)
{
  for (size_t k = 0; k < r->ngroup; k++) {
    const group *q = &r->group[k];
    if (q->op == G_INPUT) continue;
    graph room = {.st = p->st};
    if (!graph_room(&room, &p->code, &p->ccode, p->ncode + 1, sizeof *p->code)) return false;
    instr *c = &p->code[p->ncode++];
    *c = (instr){.op = q->op, .nargs = q->nargs, .n = q->n, .to = q->first, .aux = q->aux};
    for (int j = 0; j < q->nargs; j++)
      if (!operand_make(p, r, q, j, &c->arg[j])) return false;
    if (q->op == G_PART) {
      call_instr *call = &p->call[q->aux];
      call->y = p->value + q->first;
      call->gy = p->adjoint + q->first;
    }
  }
  return true;
}

/* A density group of which every member is a term once, and nothing reads, is added as a whole. */
static bool terms_make(program *p, const graph *g, const grouping *r)
{
  uint8_t *reads = block_get(p, g->nnode), *terms = block_get(p, g->nnode);
  p->term = block_get(p, g->nterm * sizeof *p->term);
  p->term_of = block_get(p, g->nterm * sizeof *p->term_of);
  if (!reads || !terms || !p->term || !p->term_of) return false;
  for (size_t i = 0; i < g->narg; i++) reads[g->arg[i]] = 1;
  for (size_t i = 0; i < g->nguard; i++) reads[g->guard[i].a] = reads[g->guard[i].b] = 1;
  for (size_t i = 0; i < g->nterm; i++)
    if (terms[g->term[i].node] < 2) terms[g->term[i].node]++;
  for (size_t i = 0; i < p->ncode; i++) p->code[i].target = p->code[i].op == G_DENSITY && p->code[i].aux & 1;
  uint32_t *code_of = block_get(p, r->ngroup * sizeof *code_of);
  if (!code_of) return false;
  for (size_t k = 0, c = 0; k < r->ngroup; k++)
    if (r->group[k].op != G_INPUT) code_of[k] = (uint32_t)c++;
  for (uint32_t i = 0; i < g->nnode; i++)
    if (g->node[i].op == G_DENSITY && (reads[i] || terms[i] != 1))
      p->code[code_of[r->of[i]]].target = false;
  for (size_t i = g->nterm; i-- > 0;) {
    uint32_t a = g->term[i].node;
    if (g->node[a].op == G_CONST) { p->base += g->value[a]; continue; }
    instr *c = r->group[r->of[a]].op == G_INPUT ? NULL : &p->code[code_of[r->of[a]]];
    if (c && c->target) { c->first_term = i; continue; }
    p->term_of[p->nterm] = (uint32_t)i;
    p->term[p->nterm++] = p->place[a];
  }
  for (size_t i = 0; i < p->ncode; i++) {
    instr *c = &p->code[i];
    for (int j = 0; c->op == G_DENSITY && !c->target && j < c->nargs; j++)
      if (c->arg[j].kind < FROM_NUMBER && !(c->slope[j] = block_get(p, c->n * sizeof(double))))
        return false;
  }
  return true;
}

static bool guards_make(program *p, const graph *g)
{
  p->guard = block_get(p, g->nguard * sizeof *p->guard);
  if (!p->guard) return false;
  p->nguard = g->nguard;
  for (size_t i = 0; i < g->nguard; i++) {
    p->guard[i] = g->guard[i];
    p->guard[i].a = p->place[g->guard[i].a];
    p->guard[i].b = p->place[g->guard[i].b];
  }
  return true;
}

static bool program_make(program *p, const graph *g, grouping *r)
{
  if (!groups_make(r, p) || !places_make(p, r)) return false;
  p->call = block_get(p, g->ncall * sizeof *p->call);
  if (!p->call) return false;
  p->ncall = g->ncall;
  for (size_t c = 0; c < g->ncall; c++)
    if (!call_make(p, g, c)) return false;
  return code_make(p, r) && terms_make(p, g, r) && guards_make(p, g);
}

program *program_new(const graph *g)
{
  program *p = norn_alloc(g->st, NULL, 0, sizeof *p);
  if (!p) return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), NULL;
  *p = (program){.st = g->st, .level = exec_level_here(), .ninput = g->ninput, .nnode = g->nnode};
  grouping r = {.g = g, .room = {.st = g->st}};
  bool good = program_make(p, g, &r);
  norn_alloc(g->st, r.group, r.cgroup * sizeof *r.group, 0);
  if (good) return p;
  program_free(p);
  return NULL;
}

double program_value(const program *p, uint32_t node)
{
  uint32_t at = p->place[node];
  return at & 0x80000000u ? p->constant[at & 0x7fffffffu] : p->value[at];
}
