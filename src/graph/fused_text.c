/* fused_text: see fused_text.h.  The order of every addition is that of fused.c and ops.c, so that
   generated code for CPUs gives the bits of the interpreter. */
#include "graph/fused_text.h"
#include "graph/op_text.h"
#include <stdio.h>
#include <string.h>

enum { NAMED = 32 };

/* ---- the shape ------------------------------------------------------------------------------- */

static uint32_t number_of(fused_shape *s, const operand *o)
{
  fused_number k = {o->kind == FROM_NUMBER, o->at, o->data};
  for (uint32_t i = 0; i < s->nnumber; i++)
    if (s->number[i].constant == k.constant &&
        (k.constant ? s->number[i].value == k.value : s->number[i].place == k.place))
      return i;
  s->number[s->nnumber] = k;
  return s->nnumber++;
}

static uint32_t column_of(fused_shape *s, const double *x)
{
  for (uint32_t i = 0; i < s->ncolumn; i++)
    if (s->column[i] == x) return i;
  s->column[s->ncolumn] = x;
  return s->ncolumn++;
}

static uint32_t each_of(fused_shape *s, const operand *o)
{
  for (uint32_t i = 0; i < s->neach; i++)
    if (s->each[i] == o) return i;
  s->each[s->neach] = o;
  return s->neach++;
}

static bool is_number(const operand *o) { return o->kind == FROM_SCALAR || o->kind == FROM_NUMBER; }

static void operand_note(fused_shape *s, const operand *o)
{
  if (is_number(o)) number_of(s, o);
  else if (o->kind == FROM_DATA) column_of(s, o->data);
  else if (o->kind != FROM_LOCAL) each_of(s, o);
}

static void use_add(fused_shape *s, uint32_t step, uint32_t j, const operand *o)
{
  if (o->kind >= FROM_NUMBER || o->kind == FROM_LOCAL) return;
  bool sum = o->kind == FROM_SCALAR;
  s->use[s->nuse++] = (fused_use){step, j, sum, sum ? number_of(s, o) : each_of(s, o)};
}

static void step_note(fused_shape *s, uint32_t k)
{
  const instr *c = &s->b->step[k].c;
  const linear *l = c->op == G_LINEAR ? &s->p->linear[c->aux] : NULL;
  for (int j = 0; j < c->nargs; j++) operand_note(s, &c->arg[j]);
  for (uint32_t j = 0; l && j < l->terms; j++) {
    number_of(s, &l->b[j]);
    if (l->col[j]) column_of(s, l->col[j]);
  }
  s->memos += c->op == G_DENSITY;
  if (!s->lacks && c->op < G_COUNT) s->lacks = op_text_lacks((graph_op)c->op, c->aux);
}

/* Backwards: a linear predictor's factors before what it begins with, as in ops.c. */
static void uses_note(fused_shape *s)
{
  for (uint32_t k = s->b->nstep; k-- > 0;) {
    const instr *c = &s->b->step[k].c;
    const linear *l = c->op == G_LINEAR ? &s->p->linear[c->aux] : NULL;
    for (uint32_t j = 0; l && j < l->terms; j++) use_add(s, k, FUSED_TERM + j, &l->b[j]);
    for (uint32_t j = 0; j < c->nargs; j++) use_add(s, k, j, &c->arg[j]);
  }
}

bool fused_shape_make(const program *p, const fused *b, fused_shape *s)
{
  size_t most = 1;
  *s = (fused_shape){.p = p, .b = b, .own = {.st = p->st}};
  for (uint32_t k = 0; k < b->nstep; k++)
    most += b->step[k].c.nargs + (b->step[k].c.op == G_LINEAR ? p->linear[b->step[k].c.aux].terms : 0);
  s->number = blocks_get(&s->own, most * sizeof *s->number);
  s->column = blocks_get(&s->own, most * sizeof *s->column);
  s->each = blocks_get(&s->own, most * sizeof *s->each);
  s->use = blocks_get(&s->own, most * sizeof *s->use);
  if (!s->number || !s->column || !s->each || !s->use) return false;
  for (uint32_t k = 0; k < b->nstep; k++) step_note(s, k);
  uses_note(s);
  return true;
}

void fused_shape_free(fused_shape *s) { blocks_free(&s->own); }

/* ---- names ----------------------------------------------------------------------------------- */

/* The step whose value stands in a buffer. */
static uint32_t step_of(const fused_shape *s, uint32_t buffer)
{
  uint32_t k = 0;
  while (k + 1 < s->b->nstep && s->b->step[k].value != buffer) k++;
  return k;
}

static const char *name_of(const fused_shape *s, const operand *o, char *to)
{
  fused_shape *look = (fused_shape *)(uintptr_t)s;       /* all are there: nothing is added */
  if (is_number(o)) snprintf(to, NAMED, "s%u", number_of(look, o));
  else if (o->kind == FROM_DATA) snprintf(to, NAMED, "COLUMN(%u, r)", column_of(look, o->data));
  else if (o->kind == FROM_LOCAL) snprintf(to, NAMED, "w%u[r]", step_of(s, o->at));
  else snprintf(to, NAMED, "VALUE(%u, r)", each_of(look, o));
  return to;
}

typedef struct writing {
  text *t;
  const fused_shape *s;
  bool gradient;
  uint32_t memo, use;                /* the next ones */
  uint8_t *met;                      /* (steps) an adjoint that was written */
} writing;

/* ---- forwards -------------------------------------------------------------------------------- */

static void put_linear(const writing *w, uint32_t k)
{
  char a[NAMED], b[NAMED];
  const instr *c = &w->s->b->step[k].c;
  const linear *l = &w->s->p->linear[c->aux];
  if (c->nargs) text_printf(w->t, "    EACH w%u[r] = %s;\n", k, name_of(w->s, &c->arg[0], a));
  for (uint32_t j = 0; j < l->terms; j++) {
    operand column = {.kind = FROM_DATA, .data = l->col[j]};
    text_printf(w->t, "    EACH w%u[r] = ", k);
    if (j || c->nargs) text_printf(w->t, "w%u[r] + ", k);
    text_printf(w->t, "%s", name_of(w->s, &l->b[j], a));
    if (l->col[j]) text_printf(w->t, " * %s", name_of(w->s, &column, b));
    text_printf(w->t, ";\n");
  }
}

/* Is an operand's derivative wanted. */
static bool wanted(const operand *o) { return o->kind < FROM_NUMBER; }

static void put_density(writing *w, uint32_t k)
{
  char name[OPERANDS][NAMED], memo[NAMED];
  const char *arg[OPERANDS];
  const instr *c = &w->s->b->step[k].c;
  const norn_dist_row *row = op_text_row(c->aux);
  text *t = w->t;
  for (int j = 0; j < c->nargs; j++) arg[j] = name_of(w->s, &c->arg[j], name[j]);
  snprintf(memo, sizeof memo, "MEMO(%u)", w->memo++);
  text_printf(t, "    EACH_CALL {\n      INSIDE(");
  op_text_domain(t, row, arg);
  text_printf(t, ");\n");
  if (w->gradient) {
    text_printf(t, "      lanes d[%d];\n      w%u[r] = ", c->nargs, k);
    op_text_partials(t, row, memo, arg, "d");
    for (int j = 0; j < c->nargs; j++)
      if (wanted(&c->arg[j])) text_printf(t, ";\n      q%u_%d[r] = d[%d]", k, j, j);
  } else {
    text_printf(t, "      w%u[r] = ", k);
    op_text_logp(t, row, memo, arg);
  }
  text_printf(t, ";\n    }\n");
}

static bool costly(const instr *c)
{
  return c->op == G_FUN1 || c->op == G_POW || c->op == G_LOG_ADD_EXP || (c->op >= G_EXP && c->op != G_SQRT &&
         c->op != G_SQUARE && c->op != G_ABS && c->op != G_INV);
}

static void put_forward(writing *w, uint32_t k)
{
  char x[NAMED], y[NAMED];
  const instr *c = &w->s->b->step[k].c;
  text_printf(w->t, "    lanes w%u[R];\n", k);
  if (w->gradient && k + 1 < w->s->b->nstep) text_printf(w->t, "    lanes g%u[R];\n", k);
  for (int j = 0; w->gradient && c->op == G_DENSITY && j < c->nargs; j++)
    if (wanted(&c->arg[j])) text_printf(w->t, "    lanes q%u_%d[R];\n", k, j);
  if (c->op == G_LINEAR) { put_linear(w, k); return; }
  if (c->op == G_DENSITY) { put_density(w, k); return; }
  name_of(w->s, &c->arg[0], x);
  if (c->nargs > 1) name_of(w->s, &c->arg[1], y);
  text_printf(w->t, costly(c) ? "    EACH_CALL w%u[r] = " : "    EACH w%u[r] = ", k);
  op_text_value(w->t, (graph_op)c->op, c->aux, x, c->nargs > 1 ? y : NULL);
  text_printf(w->t, ";\n");
}

/* ---- backwards ------------------------------------------------------------------------------- */

/* The derivative in operand j of step k, an expression. */
static void put_slope(const writing *w, uint32_t k, int j)
{
  char x[NAMED], y[NAMED], z[NAMED], g[NAMED];
  const instr *c = &w->s->b->step[k].c;
  bool last = k + 1 == w->s->b->nstep;
  snprintf(g, sizeof g, last ? "LANE((lane_real)1)" : "g%u[r]", k);
  if (c->op == G_DENSITY) {
    if (last) text_printf(w->t, "q%u_%d[r]", k, j);
    else text_printf(w->t, "FLOW(%s, q%u_%d[r])", g, k, j);
    return;
  }
  if (c->op == G_LINEAR || op_text_simple((graph_op)c->op, j) == 1) { text_printf(w->t, "%s", g); return; }
  name_of(w->s, &c->arg[0], x);
  if (c->nargs > 1) name_of(w->s, &c->arg[1], y);
  snprintf(z, sizeof z, "w%u[r]", k);
  text_printf(w->t, "FLOW(%s, (", g);
  op_text_slope(w->t, (graph_op)c->op, c->aux, j, x, c->nargs > 1 ? y : x, z);
  text_printf(w->t, "))");
}

static void put_flow(writing *w, uint32_t k, int j)
{
  const instr *c = &w->s->b->step[k].c;
  const operand *o = &c->arg[j];
  const char *each = costly(c) ? "EACH_CALL" : "EACH";
  if (!wanted(o)) return;
  if (o->kind == FROM_LOCAL) {
    uint32_t to = step_of(w->s, o->at);
    text_printf(w->t, w->met[to] ? "    %s g%u[r] = g%u[r] + " : "    %s g%u[r] = ", each, to, to);
    w->met[to] = 1;
    put_slope(w, k, j);
    text_printf(w->t, ";\n");
    return;
  }
  text_printf(w->t, "    %s %s(%u, ", each, o->kind == FROM_SCALAR ? "SUM" : "PUT", w->use++);
  put_slope(w, k, j);
  text_printf(w->t, ");\n");
}

static void put_backward(writing *w, uint32_t k)
{
  char b[NAMED];
  const instr *c = &w->s->b->step[k].c;
  const linear *l = c->op == G_LINEAR ? &w->s->p->linear[c->aux] : NULL;
  for (uint32_t j = 0; l && j < l->terms; j++) {
    operand column = {.kind = FROM_DATA, .data = l->col[j]};
    if (l->b[j].kind != FROM_SCALAR) continue;
    if (l->col[j]) text_printf(w->t, "    EACH SUM_PRODUCT(%u, g%u[r], %s);\n", w->use++, k,
                            name_of(w->s, &column, b));
    else text_printf(w->t, "    EACH SUM(%u, g%u[r]);\n", w->use++, k);
  }
  for (int j = 0; j < c->nargs; j++) put_flow(w, k, j);
}

void fused_text_body(text *t, const fused_shape *s, bool gradient)
{
  uint32_t n = s->b->nstep;
  uint8_t *met = norn_alloc(s->p->st, NULL, 0, n);
  writing w = {.t = t, .s = s, .gradient = gradient, .met = met};
  if (!met) {
    norn_fail(s->p->st, NORN_EMEMORY, -1, "out of memory");
    t->failed = true;
    return;
  }
  memset(met, 0, n);
  for (uint32_t k = 0; k < n; k++) put_forward(&w, k);
  text_printf(t, "    EACH TOTAL(w%u[r]);\n", n - 1);
  for (uint32_t k = n; gradient && k-- > 0;) put_backward(&w, k);
  norn_alloc(s->p->st, met, n, 0);
}

unsigned fused_text_varying(const fused_shape *s, uint32_t memo)
{
  unsigned bits = 0;
  for (uint32_t k = 0; k < s->b->nstep; k++) {
    const instr *c = &s->b->step[k].c;
    if (c->op != G_DENSITY || memo--) continue;
    for (int j = 0; j < c->nargs; j++) bits |= (unsigned)!is_number(&c->arg[j]) << j;
    break;
  }
  return bits;
}
