/* scan: loops with a carry (program.h), forwards and back.

   Forwards the operations go step by step.  Backwards only what flows inside of the scan does:
   first the derivatives of its operations are made in lanes, then the adjoints are brought from the
   last step to the first by one addition (or product and addition) an edge, and then, in lanes
   again, each column gives its operands from outside what is theirs. */
#include "graph/jit.h"
#include "num/vspecial.h"

/* ---- forwards -------------------------------------------------------------------------------- */

/* One operation; the usual ones without a call.  The same bits as exec_level.c. */
static inline double step_value(const scan_column *c, double x, double y)
{
  switch (c->c.op) {
  case G_ADD: return x + y;
  case G_SUB: return x - y;
  case G_MUL: return x * y;
  case G_DIV: return x / y;
  case G_NEG: return -x;
  case G_MIN: return v_min(x, y);
  case G_MAX: return v_max(x, y);
  case G_LT: return x < y;
  case G_LE: return x <= y;
  case G_EQ: return x == y;
  case G_WHEN: return x != 0 ? y : 0;
  case G_UNLESS: return x == 0 ? y : 0;
  case G_OR_ONE: return x != 0 ? y : 1;
  case G_LOG_ADD_EXP: return v_log_add_exp(x, y);
  case G_EXP: return v_exp(x);
  case G_LOG: return v_log(x);
  case G_SQRT: return __builtin_sqrt(x);
  case G_SQUARE: return x * x;
  case G_FUN1: return graph_functions[c->c.aux].f(x);
  default: return graph_compute((graph_op)c->c.op, x, y);
  }
}

/* What generated code calls. */
#define NEEDED(X) \
  X(POW) X(LOG_ADD_EXP) X(EXP) X(LOG) X(LOG1P) X(EXPM1) X(INV_LOGIT) X(LOG1P_EXP) X(LOGIT_JACOBIAN)
#define X(name) \
  static double op_##name(double x, double y) \
  { return step_value(&(scan_column){.c = {.op = G_##name}}, x, y); }
NEEDED(X)
#undef X
static double (*const needed[G_COUNT])(double, double) = {
#define X(name) [G_##name] = op_##name,
  NEEDED(X)
#undef X
};

/* Where the operands of each column are in this evaluation. */
static void operands_find(program *p, scan *s)
{
  for (uint32_t q = 0; q < s->P; q++) {
    scan_column *c = &s->column[q];
    c->in[1] = p->value;
    c->step[1] = 0;
    for (int j = 0; j < c->c.nargs; j++)
      c->in[j] = operand_fetch(p, &c->c.arg[j], 0, s->T, c->gathered[j], &c->step[j]);
  }
  for (size_t i = 0; i < s->nstart; i++) {
    uint32_t from = s->start[i].from;
    p->value[s->start[i].to] = from & 0x80000000u ? p->constant[from & 0x7fffffffu]
      : p->value[from];
  }
}

/* c' = a + b c */
static void affine_forward(program *p, const scan *s)
{
  const scan_column *m = &s->column[0], *a = &s->column[1];
  int jb = m->inner == 1, ja = a->inner == 1, sb = m->step[jb], sa = a->step[ja];
  const double *b = m->in[jb], *add = a->in[ja];
  double *product = p->value + m->c.to, *next = p->value + a->c.to, c = next[-1];
  for (uint32_t t = 0; t < s->T; t++) {
    product[t] = c * b[t * (uint32_t)sb];
    next[t] = c = product[t] + add[t * (uint32_t)sa];
  }
}

void scan_forward(program *p, scan *s)
{
  operands_find(p, s);
  if (s->log && loglinear_forward(p, s)) return;
  if (s->forward) {
    for (uint32_t q = 0; q < s->P; q++)
      for (int j = 0; j < 2; j++) s->pointers[2 * q + (uint32_t)j] = s->column[q].in[j];
    s->forward(p->value, s->pointers, &(jit_math){needed, graph_functions});
    return;
  }
  if (s->kind == SCAN_AFFINE) { affine_forward(p, s); return; }
  for (uint32_t t = 0; t < s->T; t++)
    for (uint32_t q = 0; q < s->P; q++) {
      const scan_column *c = &s->column[q];
      double x = c->in[0][t * (uint32_t)c->step[0]], y = c->in[1][t * (uint32_t)c->step[1]];
      p->value[c->c.to + t] = step_value(c, x, y);
    }
}

/* ---- backwards ------------------------------------------------------------------------------- */

static bool all_finite(const double *x, int64_t n)
{
  double s[4] = {0, 0, 0, 0};
  for (int64_t i = 0; i < n; i++) s[i & 3] += x[i] * 0;
  return s[0] + s[1] + s[2] + s[3] == 0;
}

enum { ONES = 256 };
/* The derivatives of a column in its inner operands. */
static void column_slopes(program *p, scan_column *c)
{
  static const double one[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  const exec_level *level = c->c.n == 1 ? &exec_one : p->level;
  double ones[ONES];
  if (!c->slope[0] && !c->slope[1]) return;
  if (c->c.op == G_FUN1) {
    for (uint32_t t = 0; t < c->c.n; t++)
      c->slope[0][t] = graph_functions[c->c.aux].slope(c->in[0][t * (uint32_t)c->step[0]],
                                                       p->value[c->c.to + t]);
    return;
  }
  const double *g = one;
  if (c->c.n > 8) {
    for (int i = 0; i < ONES; i++) ones[i] = 1;
    g = ones;
  }
  for (int64_t k = 0; k < c->c.n; k += ONES) {
    exec_args a = {.op = c->c.op, .n = c->c.n - k < ONES ? c->c.n - k : ONES, .sx = c->step[0],
                   .sy = c->step[1], .z = p->value + c->c.to + k, .out = (double *)(uintptr_t)g};
    a.x = c->in[0] + k * a.sx;
    if (c->c.nargs > 1) a.y = c->in[1] + k * a.sy;
    if (c->slope[0]) a.dx = c->slope[0] + k;
    if (c->slope[1]) a.dy = c->slope[1] + k;
    level->slopes(&a);
  }
}

static void slopes_find(program *p, scan *s)
{
  for (uint32_t q = 0; q < s->P; q++) column_slopes(p, &s->column[q]);
  for (size_t i = 0; i < s->nedge; i++) {
    scan_edge *e = &s->edge[i];
    const scan_column *c = &s->column[e->column];
    if (e->sign != 0) continue;
    e->slope = c->slope[e->operand] ? c->slope[e->operand] : c->in[!e->operand];
    e->step = c->slope[e->operand] ? 1 : c->step[!e->operand];
    e->finite = all_finite(e->slope, e->step ? s->T : 1);
  }
}

static void affine_backward(program *p, const scan *s)
{
  const scan_edge *e = &s->edge[1];
  double *product = p->adjoint + s->column[0].c.to, *next = p->adjoint + s->column[1].c.to;
  double carry = 0;
  for (uint32_t t = s->T; t-- > 0;) {
    double g = next[t] += carry;
    product[t] += g;
    carry = product[t] * e->slope[t * (uint32_t)e->step];
  }
  next[-1] += carry;
}

static void any_backward(program *p, const scan *s)
{
  for (uint32_t t = s->T; t-- > 0;)
    for (size_t i = 0; i < s->nedge; i++) {
      const scan_edge *e = &s->edge[i];
      double g = p->adjoint[e->from + t], *to = &p->adjoint[e->to + t];
      if (e->sign != 0) *to += e->sign * g;
      else if (e->finite) *to += g * e->slope[t * (uint32_t)e->step];
      else if (g != 0) *to += g * e->slope[t * (uint32_t)e->step];
    }
}

void scan_backward(program *p, scan *s)
{
  slopes_find(p, s);
  bool finite = s->backward != NULL;
  for (size_t i = 0; i < s->nedge && finite; i++) {
    finite = s->edge[i].sign != 0 || s->edge[i].finite;
    s->pointers[i] = s->edge[i].slope;
  }
  if (finite) s->backward(p->adjoint, s->pointers);
  else if (s->kind == SCAN_AFFINE && s->edge[1].finite) affine_backward(p, s);
  else any_backward(p, s);
  for (size_t i = 0; i < s->nstart; i++)
    if (!(s->start[i].from & 0x80000000u))
      p->adjoint[s->start[i].from] += p->adjoint[s->start[i].to];
  for (uint32_t q = s->P; q-- > 0;) {
    const instr *c = &s->column[q].c;
    unsigned outside = 0;
    for (int j = 0; j < c->nargs; j++)
      if (!(s->column[q].inner >> j & 1) && c->arg[j].kind < FROM_NUMBER) outside |= 1u << j;
    if (outside) instr_backward(p, c, outside);
  }
}
