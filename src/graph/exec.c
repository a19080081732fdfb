/* exec: runs a program (program.h): values forwards, then adjoints backwards.  Nothing is allocated.

   An instruction works on CHUNK elements at a time: operands that lie in scattered places are
   gathered into a buffer, the kernel of this CPU level writes the results, and backwards the
   derivatives are spread to where the operands came from: added element by element, by a list, or
   summed where one number serves all.  Densities that are only terms of the target give their sum
   and, in the same pass, their derivatives. */
#include "graph/program.h"
#include "num/level.h"
#include <math.h>
#include <string.h>

enum { CHUNK = 256 };

const exec_level *exec_level_here(void)
{
  static const exec_level *const levels[LEVELS] = {
    &exec_base,
#ifdef HAVE_X86_LEVELS
    &exec_avx2, &exec_avx512,
#endif
  };
  return levels[level_best()];
}

/* n elements of an operand from k on; *step 0: one number for all. */
const double *operand_fetch(const program *p, const operand *o, int64_t k, int64_t n, double *buffer,
                            int *step)
{
  *step = 1;
  switch (o->kind) {
  case FROM_VIEW: return p->value + o->at + k;
  case FROM_DATA: return o->data + k;
  case FROM_GATHER:
    for (int64_t i = 0; i < n; i++) buffer[i] = p->value[o->places[k + i]];
    for (int64_t i = n; i & 7; i++) buffer[i] = buffer[n - 1];      /* the rest of a register */
    return buffer;
  case FROM_NUMBER: *step = 0; return o->data;
  default: *step = 0; return p->value + o->at;
  }
}

/* Adds n derivatives to the adjoints of an operand's elements from k on. */
void operand_spread(program *p, const operand *o, int64_t k, int64_t n, const double *d)
{
  double *to = p->adjoint + o->at;
  switch (o->kind) {
  case FROM_VIEW:
    p->level->add(to + k, d, n);
    break;
  case FROM_GATHER:
    for (int64_t i = 0; i < n; i++) p->adjoint[o->places[k + i]] += d[i];
    break;
  case FROM_SCALAR: *to += n == 1 ? *d : p->level->sum(d, n); break;
  default: break;
  }
}

/* An adjoint through a derivative: none through an infinite one if it is 0 (exec_level.c). */
static double flow(double g, double slope) { return g == 0 ? 0 : g * slope; }

static bool is_constant(const operand *o) { return o->kind >= FROM_NUMBER; }
/* The operands of an elementwise instruction that are no constants, as bits. */
static unsigned variable(const instr *c)
{
  return (unsigned)!is_constant(&c->arg[0]) | (unsigned)(c->nargs > 1 && !is_constant(&c->arg[1])) << 1;
}

/* ---- arithmetic ------------------------------------------------------------------------------- */

static void op_forward(const program *p, const exec_level *level, const instr *c)
{
  double x[CHUNK], y[CHUNK];
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    exec_args a = {.op = c->op, .n = n, .out = p->value + c->to + k};
    a.x = operand_fetch(p, &c->arg[0], k, n, x, &a.sx);
    if (c->nargs > 1) a.y = operand_fetch(p, &c->arg[1], k, n, y, &a.sy);
    (c->n == 1 ? &exec_one : level)->forward(&a);
  }
}

static void op_backward(program *p, const instr *c, unsigned which)
{
  double x[CHUNK], y[CHUNK], dx[CHUNK], dy[CHUNK];
  const exec_level *level = c->n == 1 ? &exec_one : p->level;
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    exec_args a = {.op = c->op, .n = n, .z = p->value + c->to + k, .out = p->adjoint + c->to + k};
    a.x = operand_fetch(p, &c->arg[0], k, n, x, &a.sx);
    if (c->nargs > 1) a.y = operand_fetch(p, &c->arg[1], k, n, y, &a.sy);
    if (which & 1) a.dx = dx;
    if (which & 2) a.dy = dy;
    level->slopes(&a);
    if (a.dx) operand_spread(p, &c->arg[0], k, n, dx);
    if (a.dy) operand_spread(p, &c->arg[1], k, n, dy);
  }
}

static void fun_forward(const program *p, const instr *c)
{
  double x[CHUNK];
  const graph_fun *f = &graph_functions[c->aux];
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    int step;
    const double *from = operand_fetch(p, &c->arg[0], k, n, x, &step);
    for (int64_t i = 0; i < n; i++) p->value[c->to + k + i] = f->f(from[step * i]);
  }
}

static void fun_backward(program *p, const instr *c)
{
  double x[CHUNK], d[CHUNK];
  const graph_fun *f = &graph_functions[c->aux];
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    int step;
    const double *from = operand_fetch(p, &c->arg[0], k, n, x, &step);
    for (int64_t i = 0; i < n; i++) {
      size_t at = c->to + (size_t)(k + i);
      d[i] = flow(p->adjoint[at], f->slope(from[step * i], p->value[at]));
    }
    operand_spread(p, &c->arg[0], k, n, d);
  }
}

void instr_backward(program *p, const instr *c, unsigned which)
{
  if (c->op == G_FUN1) fun_backward(p, c);
  else op_backward(p, c, which);
}

/* ---- densities -------------------------------------------------------------------------------- */

/* Are the parameters of n elements in the family's domain?  Those that are the same for all are
   looked at once; a location is in it if it is finite, and else makes the density so. */
static bool in_domain(const norn_dist_row *row, const norn_block *b, int np)
{
  double q[NORN_DIST_P] = {0};
  int which;
  unsigned varying = b->many & ~1u;
  if (row->location_is > 0) varying &= ~(1u << row->location_is);
  for (int64_t k = 0; k < (varying ? b->n : 1); k++) {
    for (int i = 0; i < np; i++) q[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    if (row->check1(q, &which)) return false;
  }
  return true;
}

static void one_by_one(const norn_dist_row *row, const norn_block *b, int np, bool slopes)
{
  double q[NORN_DIST_P], d[OPERANDS];
  for (int64_t k = 0; k < b->n; k++) {
    for (int i = 0; i < np; i++) q[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    double x = b->arg[0][b->many & 1 ? k : 0];
    b->logp[k] = slopes ? row->partials1(x, q, d) : row->logp1(x, q);
    for (int i = 0; slopes && i <= np; i++)
      if (b->d[i]) b->d[i][k] = d[i];
  }
}

/* The densities of elements k .. k+n into b->logp, and their derivatives into b->d. */
static bool density_chunk(const program *p, const instr *c, int64_t k, norn_block *b,
                          double buffer[OPERANDS][CHUNK])
{
  const norn_dist_row *row = (const norn_dist_row *)(uintptr_t)(c->aux & ~(uint64_t)1);
  int np = c->nargs - 1;
  bool slopes = false;
  b->keep = NORN_KEEP_ALL;
  b->many = 0;
  for (int i = 0; i <= np; i++) {
    int step;
    b->arg[i] = operand_fetch(p, &c->arg[i], k, b->n, buffer[i], &step);
    b->many |= (unsigned)step << i;
    slopes |= b->d[i] != NULL;
  }
  if (!in_domain(row, b, np)) return false;
  if (row->block && b->n > 1) row->block(b);
  else one_by_one(row, b, np, slopes);
  return true;
}

/* Terms of the target: their sum, and with a gradient their derivatives at once. */
static bool target_forward(program *p, const instr *c, bool gradient, double *sum)
{
  double in[OPERANDS][CHUNK], d[OPERANDS][CHUNK], logp[CHUNK];
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    norn_block b = {.n = c->n - k < CHUNK ? c->n - k : CHUNK, .logp = logp};
    for (int i = 0; gradient && i < c->nargs; i++)
      if (!is_constant(&c->arg[i])) b.d[i] = d[i];
    if (!density_chunk(p, c, k, &b, in)) return false;
    *sum += p->level->sum(logp, b.n);
    for (int i = 0; i < c->nargs; i++)
      if (b.d[i]) operand_spread(p, &c->arg[i], k, b.n, d[i]);
  }
  return true;
}

static bool density_forward(program *p, const instr *c, bool gradient)
{
  double in[OPERANDS][CHUNK];
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    norn_block b = {.n = c->n - k < CHUNK ? c->n - k : CHUNK, .logp = p->value + c->to + k};
    for (int i = 0; gradient && i < c->nargs; i++) b.d[i] = c->slope[i] ? c->slope[i] + k : NULL;
    if (!density_chunk(p, c, k, &b, in)) return false;
  }
  return true;
}

static void density_backward(program *p, const instr *c)
{
  double d[CHUNK];
  const double *g = p->adjoint + c->to;
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    for (int i = 0; i < c->nargs; i++) {
      if (!c->slope[i]) continue;
      for (int64_t j = 0; j < n; j++) d[j] = flow(g[k + j], c->slope[i][k + j]);
      operand_spread(p, &c->arg[i], k, n, d);
    }
  }
}

/* ---- calls ------------------------------------------------------------------------------------ */

static bool call_forward(program *p, const instr *c)
{
  call_instr *k = &p->call[c->aux];
  for (uint32_t i = 0; i < k->c.nin; i++)
    if (k->in[i].kind == FROM_SCALAR) k->x[i] = p->value[k->in[i].at];
  if (k->c.type->uses_state) norn_lock(p->st);
  bool good = k->c.type->forward(k->c.self, k->x, k->y);
  if (k->c.type->uses_state) norn_unlock(p->st);
  return good;
}

static void call_backward(program *p, const instr *c)
{
  call_instr *k = &p->call[c->aux];
  bool any = false;
  for (uint32_t i = 0; i < k->c.nout && !any; i++) any = k->gy[i] != 0;
  if (!any) return;                  /* what no one asks for may have no derivative */
  memset(k->gx, 0, k->c.nin * sizeof *k->gx);
  if (k->c.type->uses_state) norn_lock(p->st);
  k->c.type->adjoint(k->c.self, k->x, k->y, k->gy, k->gx);
  if (k->c.type->uses_state) norn_unlock(p->st);
  for (uint32_t i = 0; i < k->c.nin; i++)
    if (k->in[i].kind == FROM_SCALAR) p->adjoint[k->in[i].at] += k->gx[i];
}

/* ---- the whole -------------------------------------------------------------------------------- */

static double at_place(const program *p, uint32_t at)
{
  return at & 0x80000000u ? p->constant[at & 0x7fffffffu] : p->value[at];
}

static bool guards_hold(const program *p)
{
  for (size_t i = 0; i < p->nguard; i++) {
    const graph_guard *g = &p->guard[i];
    double x = at_place(p, g->a), y = at_place(p, g->b);
    bool holds = g->kind == GUARD_LT ? x < y : g->kind == GUARD_LE ? x <= y : x == y;
    if (holds != g->held) return false;
  }
  return true;
}

/* Values of all nodes but densities that are only terms; false: outside. */
static bool forward(program *p, bool gradient)
{
  bool good = true;
  for (size_t i = 0; i < p->ncode && good; i++) {
    const instr *c = &p->code[i];
    switch (c->op) {
    case G_FUN1: fun_forward(p, c); break;
    case G_PART: good = call_forward(p, c); break;
    case G_SCAN: scan_forward(p, &p->scan[c->aux]); break;
    case G_DENSITY: good = c->target || density_forward(p, c, gradient); break;
    default: op_forward(p, p->level, c); break;
    }
  }
  return good;
}

/* Those terms, into *sum; false: outside, *where is the term. */
static bool targets(program *p, bool gradient, double *sum, size_t *where)
{
  for (size_t i = 0; i < p->ncode; i++) {
    const instr *c = &p->code[i];
    if (!c->target) continue;
    *where = c->first_term;
    if (!target_forward(p, c, gradient, sum) || !(*sum > -HUGE_VAL)) return false;
  }
  return true;
}

static void backward(program *p)
{
  for (size_t i = p->ncode; i-- > 0;) {
    const instr *c = &p->code[i];
    switch (c->op) {
    case G_SCAN: scan_backward(p, &p->scan[c->aux]); break;
    case G_PART: call_backward(p, c); break;
    case G_DENSITY: if (!c->target) density_backward(p, c); break;
    default: instr_backward(p, c, variable(c)); break;
    }
  }
}

eval_status program_eval(program *p, const double *u, double *logp, double *gradient,
                         size_t *blame)
{
  double sum = 0;
  double total = p->base;
  *logp = -HUGE_VAL;
  *blame = (size_t)-1;
  memcpy(p->value, u, p->ninput * sizeof *u);
  if (gradient) memset(p->adjoint, 0, p->nplace * sizeof *p->adjoint);
  bool inside = forward(p, gradient != NULL);
  if (!guards_hold(p)) return EVAL_GUARD;
  if (!inside || !targets(p, gradient != NULL, &sum, blame)) return EVAL_OUTSIDE;
  for (size_t i = 0; i < p->nterm; i++) {
    double term = p->value[p->term[i]];
    if (!(term > -HUGE_VAL)) return *blame = p->term_of[i], EVAL_OUTSIDE;
    total += term;
    p->adjoint[p->term[i]] += 1;
  }
  total += sum;
  if (!(total > -HUGE_VAL && total < HUGE_VAL)) return EVAL_OUTSIDE;
  *logp = total;
  if (!gradient) return EVAL_OK;
  backward(p);
  memcpy(gradient, p->adjoint, p->ninput * sizeof *gradient);
  for (size_t i = 0; i < p->ninput; i++)
    if (!(fabs(gradient[i]) < HUGE_VAL)) return *logp = -HUGE_VAL, EVAL_OUTSIDE;
  return EVAL_OK;
}
