/* explain: what a compiled program is made of, part by part, and from which place in the text each part
   is (graph.h, program_parts). */
#include "graph/program.h"
#include <string.h>

/* The first node at each place; UINT32_MAX: none. */
static uint32_t *nodes_by_place(const program *p)
{
  uint32_t *node = norn_alloc(p->st, NULL, 0, (p->nplace + 1) * sizeof *node);
  if (!node) return norn_fail(p->st, NORN_EMEMORY, -1, "out of memory"), NULL;
  memset(node, 0xff, (p->nplace + 1) * sizeof *node);
  for (size_t i = p->nnode; i-- > 0;)
    if (!(p->place[i] & 0x80000000u) && p->place[i] < p->nplace) node[p->place[i]] = (uint32_t)i;
  return node;
}

static norn_span span_at(const graph *g, uint32_t node)
{
  return g->where && node < g->nnode ? g->where[node] : (norn_span){0, 0, 0};
}

static const char *name_of(const instr *c)
{
  if (c->op == G_DENSITY)
    return ((const norn_dist_row *)(uintptr_t)(c->aux & ~(uint64_t)1))->name;
  return c->op == G_FUN1 ? graph_functions[c->aux].name : graph_op_names[c->op];
}

typedef struct telling {
  const program *p;
  const graph *g;
  const uint32_t *node;                /* by place */
  void (*f)(void *, const program_part *);
  void *user;
} telling;

static void tell_operation(const telling *t, const instr *c, bool in_block)
{
  program_part part = {.kind = PART_ARRAY, .n = c->n, .name = name_of(c), .fused = in_block,
                       .span = span_at(t->g, t->node[c->to])};
  if (c->op == G_DENSITY) part.kind = c->target ? PART_TERM : PART_DENSITY;
  if (c->target && c->term && c->term[0] < t->g->nterm) part.span = t->g->term[c->term[0]].span;
  t->f(t->user, &part);
}

static void tell(const telling *t, const instr *c)
{
  const program *p = t->p;
  program_part part = {.n = c->n};
  switch (c->op) {
  case G_SCAN: {
    const scan *s = &p->scan[c->aux];
    part = (program_part){PART_SCAN, "scan", s->T, s->P, s->kind == SCAN_AFFINE, false,
                          span_at(t->g, t->node[s->column[0].c.to])};
    break;
  }
  case G_LINEAR:
    part = (program_part){PART_LINEAR, "sum of products", c->n, p->linear[c->aux].terms, false, false,
                          span_at(t->g, t->node[c->to])};
    break;
  case G_FUSED:
    for (uint32_t i = 0; i < p->fused[c->aux].nstep; i++) {
      const instr *step = &p->fused[c->aux].step[i].c;
      if (step->op < G_COUNT) tell_operation(t, step, true);
      else tell(t, step);
    }
    return;
  case G_PART: {
    const graph_called *k = &p->call[c->aux].c;
    part = (program_part){PART_CALL, k->type->name, k->nin, k->nout, false, false,
                          span_at(t->g, k->first)};
    break;
  }
  default: tell_operation(t, c, false); return;
  }
  t->f(t->user, &part);
}

bool program_parts(const program *p, const graph *g, void (*f)(void *, const program_part *),
                   void *user)
{
  uint32_t *node = nodes_by_place(p);
  if (!node) return false;
  telling t = {p, g, node, f, user};
  for (size_t i = 0; i < p->nfast; i++) tell(&t, &p->fast[i]);
  for (size_t i = 0; i < g->nguard; i++) {
    uint32_t a = g->guard[i].a, b = g->guard[i].b;
    uint32_t later = g->node[a].op == G_CONST || (g->node[b].op != G_CONST && b > a) ? b : a;
    f(user, &(program_part){.kind = PART_GUARD, .name = "guard", .n = 1, .span = span_at(g, later)});
  }
  for (size_t i = 0; i < g->nbranch; i++)
    f(user, &(program_part){.kind = PART_BRANCH, .name = "branch", .n = 1, .span = g->branch[i].span});
  norn_alloc(p->st, node, (p->nplace + 1) * sizeof *node, 0);
  return true;
}
