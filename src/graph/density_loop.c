/* density_loop: instructions over n elements as loops over the threads of a chain, for density_text.c: what
   a step computes, and where its derivatives go. */
#include "graph/density_plan.h"
#include <stdio.h>
#include <string.h>

#define PUT(...) text_printf(q->t, __VA_ARGS__)

/* ---- loops -------------------------------------------------------------------------------------- */

enum { REGISTERS = 12 };     /* sums of products of at most so many keep all in registers */

/* An instruction of a loop: its operands by name, its value w, adjoint b, derivatives d. */
typedef struct step {
  const instr *c;
  int k;
  uint32_t of[OPERANDS];               /* LOCAL: the step that makes it */
  char arg[OPERANDS][NAME];
  unsigned which;                      /* operands with derivatives */
  bool flows;                          /* b is declared */
  uint32_t keep;                       /* sums of many products: scratch of their adjoints */
} step;

typedef struct body {
  plan *q;
  loop l;
  step *s; uint32_t n, room;
  bool adjoints;
} body;

void put_literal(char *to, double x, mem *m)
{
  text t;
  text_init(&t, m);
  op_text_number(&t, x);
  snprintf(to, NAME, "%s", t.failed ? "" : t.s);
  text_free(&t);
}

/* A place that is one number for all, as a name that needs no load in the loop. */
void place_name(const plan *q, char *to, uint32_t place)
{
  if (q->single[place]) snprintf(to, NAME, "r%u", place);
  else snprintf(to, NAME, "V(%u)", q->slot[place]);
}

static bool is_memory(const plan *q, uint32_t place) { return !q->single[place]; }

/* Before the loop: numbers that are one for all. */
static void body_shared(body *b)
{
  plan *q = b->q;
  for (uint32_t k = 0; k < b->n; k++) {
    step *s = &b->s[k];
    for (int j = 0; j < s->c->nargs; j++) {
      const operand *o = &s->c->arg[j];
      if (o->kind == FROM_NUMBER) put_literal(s->arg[j], *o->data, &q->o->m);
      if (o->kind != FROM_SCALAR) continue;
      if (is_memory(q, o->at)) {
        PUT("    const lanes x%u_%d = V(%u);\n", k, j, q->slot[o->at]);
        snprintf(s->arg[j], NAME, "x%u_%d", k, j);
      } else place_name(q, s->arg[j], o->at);
    }
  }
}

/* In the loop: operand j of step k. */
static void body_operand(body *b, uint32_t k, int j)
{
  plan *q = b->q;
  step *s = &b->s[k];
  const operand *o = &s->c->arg[j];
  if (o->kind == FROM_SCALAR || o->kind == FROM_NUMBER) return;
  if (o->kind == FROM_LOCAL) { snprintf(s->arg[j], NAME, "w%u", s->of[j]); return; }
  snprintf(s->arg[j], NAME, "x%u_%d", k, j);
  if (o->kind == FROM_DATA)
    PUT("      const lanes x%u_%d = D[%u + i];\n", k, j, plan_data(q, &b->l, o->data));
  else if (o->kind == FROM_GATHER) {
    PUT("      const uint32_t c%u_%d = I[%u + i];\n", k, j, plan_gather(&b->l, o)->table);
    PUT("      const lanes x%u_%d = V(c%u_%d & 0x3fffffffu);\n", k, j, k, j);
  } else if (b->l.order) {
    PUT("      const uint32_t c%u_%d = I[%u + i];\n", k, j, plan_view(q, &b->l, o->at));
    PUT("      const lanes x%u_%d = V(c%u_%d);\n", k, j, k, j);
  } else PUT("      const lanes x%u_%d = V(%u + i);\n", k, j, q->slot[o->at]);
  q->o->loads += b->l.n * (o->kind == FROM_DATA || o->kind == FROM_GATHER || b->l.order);
}

/* Term j of a sum of products: its coefficient, and "" or " * column". */
static void put_term(body *b, const linear *l, uint32_t j)
{
  plan *q = b->q;
  char name[NAME];
  if (l->b[j].kind == FROM_NUMBER) put_literal(name, *l->b[j].data, &q->o->m);
  else place_name(q, name, l->b[j].at);
  if (l->col[j]) PUT("%s * D[%u + i]", name, plan_data(q, &b->l, l->col[j]));
  else PUT("%s", name);
}

static void body_linear(body *b, step *s, const linear *l)
{
  plan *q = b->q;
  if (s->c->nargs) PUT("      lanes w%d = %s;\n", s->k, s->arg[0]);
  for (uint32_t j = 0; j < l->terms; j++) {
    if (j || s->c->nargs) PUT("      w%d = w%d + ", s->k, s->k);
    else PUT("      lanes w%d = ", s->k);
    put_term(b, l, j);
    PUT(";\n");
  }
  q->o->operations += 2.0 * b->l.n * l->terms;
  q->o->loads += (double)b->l.n * l->terms;
}

/* Which arguments of a density vary in the loop. */
static unsigned varying(const instr *c)
{
  unsigned bits = 0;
  for (int j = 0; j < c->nargs; j++)
    bits |= (unsigned)(c->arg[j].kind != FROM_SCALAR && c->arg[j].kind != FROM_NUMBER) << j;
  return bits;
}

static void density_args(const step *s, const char *arg[OPERANDS])
{
  for (int j = 0; j < OPERANDS; j++) arg[j] = j < s->c->nargs ? s->arg[j] : "LANE((lane_real)0)";
}

bool is_inside(const instr *c)
{
  const norn_dist_row *row = op_text_row(c->aux);
  double q[NORN_DIST_P] = {0};
  int which;
  for (int j = 1; j < c->nargs; j++)
    if (c->arg[j].kind != FROM_NUMBER && c->arg[j].kind != FROM_DATA && j != row->location_is) return false;
  for (uint32_t i = 0; i < c->n; i++) {
    for (int j = 1; j < c->nargs; j++) {
      const operand *o = &c->arg[j];
      q[j - 1] = o->kind == FROM_NUMBER ? *o->data : o->kind == FROM_DATA ? o->data[i] : 0;
    }
    if (row->check1(q, &which)) return false;
  }
  return true;
}

/* Are the parameters inside; a location that is not finite makes the density so. */
static void put_inside(plan *q, const step *s)
{
  const norn_dist_row *row = op_text_row(s->c->aux);
  const char *arg[OPERANDS];
  density_args(s, arg);
  if (row->location_is > 0) arg[row->location_is] = "LANE((lane_real)0)";
  PUT("      outside |= !(");
  op_text_domain(q->t, row, arg);
  PUT(");\n");
}

/* Do the parameters that are asked vary in the loop. */
static bool inside_varies(const instr *c)
{
  const norn_dist_row *row = op_text_row(c->aux);
  unsigned bits = varying(c) & ~1u;
  if (row->location_is > 0) bits &= ~(1u << row->location_is);
  return bits != 0;
}

static void body_density(body *b, step *s, bool slopes)
{
  plan *q = b->q;
  const norn_dist_row *row = op_text_row(s->c->aux);
  const char *arg[OPERANDS];
  char memo[20], d[20];
  density_args(s, arg);
  snprintf(memo, sizeof memo, "t%d", s->k);
  snprintf(d, sizeof d, "d%d", s->k);
  if (slopes) PUT("      lanes d%d[%d];\n", s->k, s->c->nargs);
  PUT("      const lanes w%d = ", s->k);
  if (slopes) op_text_partials(q->t, row, memo, arg, d);
  else op_text_logp(q->t, row, memo, arg);
  PUT(";\n");
  q->o->operations += 12.0 * b->l.n;
}

/* The value of step k; its operands are loaded. */
static void body_value(body *b, uint32_t k, bool slopes)
{
  plan *q = b->q;
  step *s = &b->s[k];
  for (int j = 0; j < s->c->nargs; j++) body_operand(b, k, j);
  if (s->c->op == G_LINEAR) { body_linear(b, s, &q->p->linear[s->c->aux]); return; }
  if (s->c->op == G_DENSITY) {
    body_density(b, s, slopes);
    if (inside_varies(s->c) && !is_inside(s->c)) put_inside(q, s);
    return;
  }
  PUT("      const lanes w%u = ", k);
  op_text_value(q->t, (graph_op)s->c->op, s->c->aux, s->arg[0], s->arg[1]);
  PUT(";\n");
  q->o->operations += (s->c->op <= G_MUL ? 1.0 : 15.0) * b->l.n;
}

/* Memos of densities, marked by the first element so that the loop need not ask. */
static void body_memos(body *b)
{
  plan *q = b->q;
  bool any = false;
  for (uint32_t k = 0; k < b->n; k++) {
    if (b->s[k].c->op != G_DENSITY) continue;
    any = true;
    PUT("    TERMS(t%u, %u);\n", k, varying(b->s[k].c));
  }
  if (!any || b->l.n <= (uint32_t)q->T) return;
  double operations = q->o->operations, loads = q->o->loads;
  PUT("#ifdef NORN_MEMO\n    {\n      const int i = tid;\n");
  for (uint32_t k = 0; k < b->n; k++) body_value(b, k, b->adjoints);
  PUT("    }\n#endif\n");
  q->o->operations = operations;
  q->o->loads = loads;
}

/* Once: parameters that are the same for all elements. */
static void body_insides(body *b)
{
  for (uint32_t k = 0; k < b->n; k++)
    if (b->s[k].c->op == G_DENSITY && !inside_varies(b->s[k].c) && !is_inside(b->s[k].c))
      put_inside(b->q, &b->s[k]);
}

/* ---- derivatives -------------------------------------------------------------------------------- */

void put_sync(plan *q)
{
  if (q->dirty) PUT("  SYNC();\n");
  q->dirty = false;
}

/* Adds an expression to the adjoint of one place, by all threads alike. */
void put_adjoint(plan *q, uint32_t place, const char *e)
{
  if (q->single[place]) { PUT("    a%u += %s;\n", place, e); return; }
  PUT("    if (tid == 0) A(%u) += %s;\n", q->slot[place], e);
  q->dirty = true;
}

/* Sums over elements: each has a name; f is called with it and the place where it goes. */
static void each_sum(body *b, void (*f)(body *, const char *name, uint32_t place))
{
  char name[40];
  for (uint32_t k = 0; k < b->n; k++) {
    step *s = &b->s[k];
    for (int j = 0; j < s->c->nargs; j++) {
      if (!(s->which >> j & 1) || s->c->arg[j].kind != FROM_SCALAR) continue;
      snprintf(name, sizeof name, "g%u_%d", k, j);
      f(b, name, s->c->arg[j].at);
    }
    if (s->c->op != G_LINEAR || s->keep != NOSLOT) continue;
    const linear *l = &b->q->p->linear[s->c->aux];
    for (uint32_t j = 0; j < l->terms; j++) {
      if (l->b[j].kind != FROM_SCALAR) continue;
      snprintf(name, sizeof name, "h%u_%u", k, j);
      f(b, name, l->b[j].at);
    }
  }
}

/* Long sums of f32 are gathered in doubles, some elements at a time. */
static bool is_long(const body *b)
{
  return b->q->f32 && b->l.n > LONG * (uint32_t)b->q->T;
}

static void sum_declare(body *b, const char *name, uint32_t place)
{
  (void)place;
  text_printf(b->q->t, "    lanes %s = 0;\n", name);
  if (is_long(b)) text_printf(b->q->t, "    wide long_%s = 0;\n", name);
}

static void sum_flush(body *b, const char *name, uint32_t place)
{
  (void)place;
  text_printf(b->q->t, "    long_%s += %s; %s = 0;\n", name, name, name);
}

static void sum_end(body *b, const char *name, uint32_t place)
{
  plan *q = b->q;
  char e[60];
  if (is_long(b)) PUT("    %s = (lanes)sum_wide(long_%s);\n", name, name);
  else PUT("    %s = sum_lanes(%s);\n", name, name);
  snprintf(e, sizeof e, "%s", name);
  put_adjoint(q, place, e);
}

/* Before the loop: runs. */
static void body_runs(body *b)
{
  plan *q = b->q;
  for (uint32_t k = 0; k < b->n; k++)
    for (int j = 0; j < b->s[k].c->nargs; j++) {
      const operand *o = &b->s[k].c->arg[j];
      if (!(b->s[k].which >> j & 1) || o->kind != FROM_GATHER) continue;
      if (plan_gather(&b->l, o)->kind == GATHER_RUNS) PUT("    lanes run%u_%d = 0;\n", k, j);
    }
}

static void spread_gather(body *b, uint32_t k, int j, const char *e)
{
  plan *q = b->q;
  gather *g = plan_gather(&b->l, &b->s[k].c->arg[j]);
  if (g->kind == GATHER_UNIQUE) PUT("      A(c%u_%d) += %s;\n", k, j, e);
  else if (g->kind == GATHER_SCRATCH) PUT("      W(%u + i) = %s;\n", b->s[k].of[j], e);
  else {
    PUT("      run%u_%d += %s;\n", k, j, e);
    PUT("      if (c%u_%d & 0x80000000u) {\n", k, j);
    if (g->spanned)
      PUT("        const uint32_t to = c%u_%d & 0x40000000u ? EDGE(%u) : c%u_%d & 0x3fffffffu;\n", k, j,
          b->s[k].of[j], k, j);
    else PUT("        const uint32_t to = c%u_%d & 0x3fffffffu;\n", k, j);
    PUT("        A(to) += run%u_%d;\n        run%u_%d = 0;\n      }\n", k, j, k, j);
  }
}

/* Adds an expression to the adjoint of operand j of step k. */
static void spread(body *b, uint32_t k, int j, const char *e)
{
  plan *q = b->q;
  const operand *o = &b->s[k].c->arg[j];
  if (o->kind == FROM_LOCAL) {
    step *to = &b->s[b->s[k].of[j]];
    PUT("      %sb%u %s %s;\n", to->flows ? "" : "lanes ", to->k, to->flows ? "+=" : "=", e);
    to->flows = true;
  } else if (o->kind == FROM_SCALAR) PUT("      g%u_%d += %s;\n", k, j, e);
  else if (o->kind == FROM_GATHER) spread_gather(b, k, j, e);
  else if (plan_late(&b->l, o)) PUT("      W(%u + i) = %s;\n", b->s[k].of[j], e);
  else if (b->l.order) PUT("      A(c%u_%d) += %s;\n", k, j, e);
  else PUT("      A(%u + i) += %s;\n", q->slot[o->at], e);
}

/* The derivative in operand j as an expression, into e; g: the adjoint. */
static void slope_text(body *b, uint32_t k, int j, const char *g, const char *z, char *e, size_t size)
{
  step *s = &b->s[k];
  const instr *c = s->c;
  int simple = c->op < G_COUNT ? op_text_simple((graph_op)c->op, j) : 1;
  if (c->op == G_DENSITY) snprintf(e, size, "FLOW(%s, d%u[%d])", g, k, j);
  else if (simple == 1) snprintf(e, size, "%s", g);
  else if (simple == -1) snprintf(e, size, "-%s", g);
  else {
    text t;
    text_init(&t, &b->q->o->m);
    op_text_slope(&t, (graph_op)c->op, c->aux, j, s->arg[0], c->nargs > 1 ? s->arg[1] : s->arg[0], z);
    if (t.failed) b->q->failed = true;
    else if (snprintf(e, size, "FLOW(%s, %s)", g, t.s) >= (int)size) b->q->failed = true;
    text_free(&t);
  }
}

static void linear_back(body *b, uint32_t k, const char *g)
{
  plan *q = b->q;
  step *s = &b->s[k];
  const linear *l = &q->p->linear[s->c->aux];
  if (s->keep != NOSLOT) { PUT("      W(%u + i) = %s;\n", s->keep, g); return; }
  for (uint32_t j = 0; j < l->terms; j++) {
    if (l->b[j].kind != FROM_SCALAR) continue;
    if (l->col[j]) PUT("      h%u_%u += %s * D[%u + i];\n", k, j, g, plan_data(q, &b->l, l->col[j]));
    else PUT("      h%u_%u += %s;\n", k, j, g);
  }
}

/* Backwards through step k with adjoint g. */
static void body_back(body *b, uint32_t k, const char *g)
{
  step *s = &b->s[k];
  char e[700], z[20];
  snprintf(z, sizeof z, "w%u", k);
  if (s->c->op == G_LINEAR) linear_back(b, k, g);
  for (int j = 0; j < s->c->nargs; j++) {
    if (!(s->which >> j & 1)) continue;
    slope_text(b, k, j, g, z, e, sizeof e);
    spread(b, k, j, e);
  }
}

/* A run that begins in this thread and ends in another: its pieces, in the order of threads. */
static void put_edges(plan *q, const gather *g, const char *run, uint32_t edge)
{
  if (!g->spanned) return;
  PUT("    SYNC();\n    if (I[%u + tid]) {\n", g->spans);
  PUT("      for (uint32_t k = 1; k <= I[%u + tid]; k++) %s += W(%u + tid + k);\n", g->spans, run, edge);
  PUT("      A(I[%u + tid]) += %s;\n    }\n", g->lasts, run);
}

/* Scratch, by place. */
static void put_scratch(body *b, const gather *g, uint32_t from, uint32_t edge)
{
  plan *q = b->q;
  PUT("    SYNC();\n    {\n    lanes run = 0;\n");
  if (g->spanned) PUT("    W(%u + tid) = 0;\n", edge);
  PUT("    for (int i = tid; i < %u; i += TT) {\n", b->l.n);
  PUT("      const uint32_t c = I[%u + i];\n      run += W(%u + I[%u + i]);\n", g->sums, from, g->order);
  PUT("      if (c & 0x80000000u) {\n");
  PUT("        A(c & 0x40000000u ? EDGE(%u) : c & 0x3fffffffu) += run;\n", edge);
  PUT("        run = 0;\n      }\n    }\n");
  put_edges(q, g, "run", edge);
  PUT("    }\n");
}

/* Sums of many products: g in scratch times each column. */
static void put_columns(body *b, const step *s)
{
  plan *q = b->q;
  const linear *l = &q->p->linear[s->c->aux];
  PUT("    SYNC();\n");
  for (uint32_t j = 0; j < l->terms; j++) {
    char e[30];
    if (l->b[j].kind != FROM_SCALAR) continue;
    PUT("    {\n    wide s = 0;\n    for (int i = tid; i < %u; i += TT) s += W(%u + i)", b->l.n, s->keep);
    if (l->col[j]) PUT(" * D[%u + i]", plan_data(q, &b->l, l->col[j]));
    PUT(";\n    s = sum_wide(s);\n");
    snprintf(e, sizeof e, "(lanes)s");
    put_adjoint(q, l->b[j].at, e);
    PUT("    }\n");
  }
}

/* Adjoints of a view that waited for the loop's end. */
static void put_late(body *b, const operand *o, uint32_t from)
{
  plan *q = b->q;
  PUT("    SYNC();\n    for (int i = tid; i < %u; i += TT)", b->l.n);
  if (b->l.order) PUT(" A(I[%u + i])", plan_view(q, &b->l, o->at));
  else PUT(" A(%u + i)", q->slot[o->at]);
  PUT(" += W(%u + i);\n", from);
}

/* After the loop: pieces of runs, scratch, sums. */
static void body_end(body *b)
{
  plan *q = b->q;
  char run[40];
  for (uint32_t k = 0; k < b->n; k++) {
    step *s = &b->s[k];
    for (int j = 0; j < s->c->nargs; j++) {
      const operand *o = &s->c->arg[j];
      if (!(s->which >> j & 1)) continue;
      if (o->kind == FROM_VIEW && plan_late(&b->l, o)) put_late(b, o, s->of[j]);
      if (o->kind != FROM_GATHER) continue;
      const gather *g = plan_gather(&b->l, o);
      snprintf(run, sizeof run, "run%u_%d", k, j);
      if (g->kind == GATHER_RUNS) put_edges(q, g, run, s->of[j]);
      if (g->kind == GATHER_SCRATCH) put_scratch(b, g, s->of[j], s->of[j] + b->l.n);
    }
    if (s->c->op == G_LINEAR && s->keep != NOSLOT) put_columns(b, s);
  }
  q->dirty = true;
  put_sync(q);
  each_sum(b, sum_end);
}

/* Scratch that the loop's derivatives want. */
static void body_scratch(body *b)
{
  plan *q = b->q;
  for (uint32_t k = 0; k < b->n; k++) {
    step *s = &b->s[k];
    s->keep = NOSLOT;
    if (s->c->op == G_LINEAR && q->p->linear[s->c->aux].terms > REGISTERS) s->keep = plan_scratch(q, b->l.n);
    for (int j = 0; j < s->c->nargs; j++) {
      const operand *o = &s->c->arg[j];
      if (!(s->which >> j & 1)) continue;
      if (o->kind == FROM_VIEW && plan_late(&b->l, o)) s->of[j] = plan_scratch(q, b->l.n);
      if (o->kind != FROM_GATHER) continue;
      const gather *g = plan_gather(&b->l, o);
      if (g->kind == GATHER_SCRATCH) s->of[j] = plan_scratch(q, b->l.n + (uint32_t)q->T);
      if (g->kind == GATHER_RUNS && g->spanned) {
        s->of[j] = plan_scratch(q, (uint32_t)q->T);
        PUT("    W(%u + tid) = 0;\n", s->of[j]);
      }
    }
  }
}

/* ---- the loops ---------------------------------------------------------------------------------- */

static void body_open(body *b)
{
  plan *q = b->q;
  if (is_long(b)) {
    PUT("    for (int i0 = 0; i0 < %u; i0 += %u) {\n", b->l.n, LONG * (unsigned)q->T);
    PUT("    for (int i = i0 + tid; i < %u && i < i0 + %u; i += TT) {\n", b->l.n, LONG * (unsigned)q->T);
  } else PUT("    for (int i = tid; i < %u; i += TT) {\n", b->l.n);
}

static void body_close(body *b, const char *more)
{
  plan *q = b->q;
  PUT("    }\n");
  if (!is_long(b)) return;
  each_sum(b, sum_flush);
  PUT("%s    }\n", more);
}

/* Memory for n steps; false: none. */
static bool body_new(plan *q, body *b, uint32_t n)
{
  *b = (body){.q = q, .room = n, .s = blocks_get(&q->temp, n * sizeof *b->s)};
  return b->s || (q->failed = true, false);
}

static void body_plan(body *b, uint32_t n, bool adjoints)
{
  const instr **c = blocks_get(&b->q->temp, b->n * sizeof *c);
  if (!c) { b->q->failed = true; return; }
  for (uint32_t k = 0; k < b->n; k++) c[k] = b->s[k].c;
  b->adjoints = adjoints;
  plan_loop(b->q, &b->l, n, c, b->n, adjoints);
}

/* Adds an instruction behind those that make its operands anew; gives its step. */
static uint32_t body_add(body *b, const instr *c, const uint32_t *of, unsigned which)
{
  plan *q = b->q;
  step s = {.which = which, .keep = NOSLOT};
  instr *mine = blocks_get(&q->temp, sizeof *mine);
  if (!mine) return q->failed = true, 0;
  *mine = *c;
  for (int j = 0; j < c->nargs && !q->failed; j++) {
    uint32_t *e;
    const instr *maker = plan_inlined(q, &c->arg[j], c->n, &e);
    if (c->arg[j].kind == FROM_LOCAL) s.of[j] = of[j];
    if (!maker || q->failed) continue;
    instr part = *maker;
    part.n = c->n;
    for (int i = 0; i < part.nargs; i++) part.arg[i] = plan_part(q, &maker->arg[i], e, c->n, false);
    unsigned bits = 0;
    for (int i = 0; i < part.nargs; i++) bits |= (unsigned)(part.arg[i].kind < FROM_NUMBER) << i;
    s.of[j] = body_add(b, &part, NULL, bits);
    mine->arg[j] = (operand){.kind = FROM_LOCAL};
  }
  s.c = mine;
  s.k = (int)b->n;
  if (b->n == b->room) {               /* more room */
    step *more = blocks_get(&q->temp, 2 * b->room * sizeof *more);
    if (!more) return q->failed = true, 0;
    memcpy(more, b->s, b->room * sizeof *more);
    b->s = more;
    b->room *= 2;
  }
  b->s[b->n] = s;
  return b->n++;
}

void loop_forward(plan *q, const instr *c)
{
  body b;
  if (!body_new(q, &b, 4)) return;
  uint32_t last = body_add(&b, c, NULL, 0);
  if (q->failed) return;
  body_plan(&b, c->n, false);
  if (q->failed) return;
  put_sync(q);
  PUT("  {\n");
  body_shared(&b);
  body_insides(&b);
  body_memos(&b);
  PUT("    for (int i = tid; i < %u; i += TT) {\n", c->n);
  for (uint32_t k = 0; k < b.n; k++) body_value(&b, k, false);
  PUT("      V(%u + i) = w%u;\n    }\n  }\n", q->slot[c->to], last);
  q->dirty = true;
}

/* All of a loop with its derivatives; the value of the last step is a term of the target, or `values`: its
   adjoint stands at place `at`. */
static void body_whole(body *b, uint32_t n, bool values, uint32_t at)
{
  plan *q = b->q;
  uint32_t scratch = q->scratch, last = b->n - 1;
  char g[20];
  body_plan(b, n, true);
  if (q->failed) return;
  put_sync(q);
  PUT("  {\n");
  body_shared(b);
  body_scratch(b);
  body_runs(b);
  each_sum(b, sum_declare);
  if (!values) {
    sum_declare(b, "term", 0);
    body_insides(b);
  }
  body_memos(b);
  body_open(b);
  for (uint32_t k = 0; k < b->n; k++) body_value(b, k, true);
  if (!values) PUT("      term += w%u;\n", last);
  else if (b->l.order) PUT("      const lanes z = A(I[%u + i]);\n", plan_view(q, &b->l, at));
  else PUT("      const lanes z = A(%u + i);\n", q->slot[at]);
  for (uint32_t k = b->n; k-- > 0;) {
    snprintf(g, sizeof g, "b%u", k);
    if (k == last) snprintf(g, sizeof g, values ? "z" : "LANE((lane_real)1)");
    else if (!b->s[k].flows) continue;
    body_back(b, k, g);
  }
  body_close(b, values ? "" : "    long_term += term; term = 0;\n");
  q->dirty = true;
  body_end(b);
  if (!values) PUT("    total += sum_wide(%s);\n", is_long(b) ? "long_term" : "(wide)term");
  PUT("  }\n");
  q->scratch = scratch;
}

void loop_fused(plan *q, const fused *f)
{
  body b;
  uint32_t *now = blocks_get(&q->temp, f->nstep * sizeof *now);
  if (!now || !body_new(q, &b, f->nstep + 4)) { q->failed = true; return; }
  for (uint32_t k = 0; k < f->nstep && !q->failed; k++) {
    const instr *c = &f->step[k].c;
    uint32_t of[OPERANDS] = {0};
    for (int j = 0; j < c->nargs; j++)
      for (uint32_t i = 0; c->arg[j].kind == FROM_LOCAL && i < k; i++)
        if (f->step[i].value == c->arg[j].at) of[j] = now[i];
    now[k] = body_add(&b, c, of, instr_variable(c));
  }
  if (!q->failed) body_whole(&b, f->n, false, 0);
}

void loop_density(plan *q, const instr *c)
{
  body b;
  if (!body_new(q, &b, 4)) return;
  body_add(&b, c, NULL, instr_variable(c));
  if (!q->failed) body_whole(&b, c->n, false, 0);
}

void loop_back(plan *q, const instr *c, unsigned which)
{
  body b;
  if (!which || !body_new(q, &b, 4)) return;
  body_add(&b, c, NULL, which);
  if (!q->failed) body_whole(&b, c->n, true, c->to);
}
