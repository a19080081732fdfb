/* exec: runs a program (program.h): values forwards, then adjoints backwards.  Nothing is
   allocated.

   Densities that are only terms of the target give their sum and, in the same pass, their
   derivatives; so do whole blocks (fused.c). */
#include "graph/jit.h"
#include "num/level.h"
#include <math.h>
#include <string.h>

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

/* ---- densities ------------------------------------------------------------------------------- */

static bool density_forward(program *p, const instr *c, bool gradient)
{
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    double *d[OPERANDS] = {NULL};
    for (int i = 0; gradient && i < c->nargs; i++) d[i] = c->slope[i] ? c->slope[i] + k : NULL;
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    if (!piece_density(p, c, k, n, p->value + c->to + k, d)) return false;
  }
  return true;
}

static void density_backward(program *p, const instr *c)
{
  _Alignas(64) double d[BUFFER];
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

static void op_forward(program *p, const instr *c)
{
  for (int64_t k = 0; k < c->n; k += CHUNK)
    piece_forward(p, c, k, c->n - k < CHUNK ? c->n - k : CHUNK, p->value + c->to + k);
}

/* ---- terms of the target --------------------------------------------------------------------- */

/* Adds n terms, whose sum is total; false: one is outside, *where (the first) becomes its element. */
static bool terms_add(const double *terms, int64_t n, double total, double *sum, int64_t *where)
{
  *sum += total;
  if (total > -HUGE_VAL) return true;
  for (int64_t i = 0; i < n; i++)
    if (!(terms[i] > -HUGE_VAL)) { *where += i; break; }
  return false;
}

/* Densities that are only terms: their sum, and with a gradient their derivatives at once. */
static bool target_density(program *p, const instr *c, bool gradient, double *sum, int64_t *where)
{
  _Alignas(64) double d[OPERANDS][BUFFER], logp[BUFFER];
  double total[1 + OPERANDS];
  unsigned which = gradient ? instr_variable(c) : 0;
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    double *to[OPERANDS] = {NULL};
    *where = k;
    for (int i = 0; i < c->nargs; i++)
      if (which >> i & 1) to[i] = d[i];
    if (!piece_density(p, c, k, n, logp, to)) return false;
    density_sums(p, c, n, logp, to, total);
    if (!terms_add(logp, n, *total, sum, where)) return false;
    for (int i = 0; i < c->nargs; i++)
      if (to[i] && c->arg[i].kind == FROM_SCALAR) p->adjoint[c->arg[i].at] += total[1 + i];
      else if (to[i]) operand_spread(p, &c->arg[i], k, n, d[i]);
  }
  return true;
}

/* Other numbers that are only terms: they were computed; the adjoint is 1. */
static bool target_values(program *p, const instr *c, bool gradient, double *sum, int64_t *where)
{
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    const double *terms = p->value + c->to + k;
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    *where = k;
    if (!terms_add(terms, n, n == 1 ? *terms : p->level->sum(terms, n), sum, where)) return false;
  }
  for (int64_t i = 0; gradient && i < c->n; i++) p->adjoint[c->to + i] = 1;
  return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

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

/* ---- the whole ------------------------------------------------------------------------------- */

static double at_place(const program *p, uint32_t at)
{
  return at & 0x80000000u ? p->constant[at & 0x7fffffffu] : p->value[at];
}

static bool guards_hold(const program *p, size_t *broken)
{
  for (size_t i = 0; i < p->nguard; i++) {
    const graph_guard *g = &p->guard[i];
    double x = at_place(p, g->a), y = at_place(p, g->b);
    bool holds = g->kind == GUARD_LT ? x < y : g->kind == GUARD_LE ? x <= y : x == y;
    if (holds != g->held) return *broken = i, false;
  }
  return true;
}

/* What runs: with a gradient `fast`, else `code`. */
typedef struct list { const instr *code; size_t n; } list;
static list list_of(const program *p, bool gradient)
{
  return gradient ? (list){p->fast, p->nfast} : (list){p->code, p->ncode};
}

/* The block on the device that instruction i of a list is, or (of `code`) is part of; -1: none. */
static int64_t on_device(const program *p, bool gradient, size_t i)
{
  if (!p->device) return -1;
  int64_t b = gradient ? (p->fast[i].op == G_FUSED ? (int64_t)p->fast[i].aux : -1)
                       : (int64_t)p->block_of[i] - 1;
  return b >= 0 && p->device->has[b] ? b : -1;
}

/* A block there, or here where it fails there. */
static bool device_block(program *p, uint32_t b, bool gradient, double *sum, int64_t *where)
{
  device_result r = p->device->run(p->device, p, b, gradient, sum);
  *where = 0;
  return r == DEVICE_FAILED ? fused_run(p, &p->fused[b], gradient, sum, where) : r == DEVICE_DONE;
}

/* Values of all but densities that are only terms; false: outside. */
static bool forward(program *p, bool gradient)
{
  list l = list_of(p, gradient);
  bool good = true;
  p->behind = false;
  for (size_t i = 0; i < l.n && good; i++) {
    const instr *c = &l.code[i];
    if (!gradient && on_device(p, false, i) >= 0) {
      p->behind |= c->op != G_FUSED;
      continue;
    }
    switch (c->op) {
    case G_PART: good = call_forward(p, c); break;
    case G_SCAN: scan_forward(p, &p->scan[c->aux]); break;
    case G_DENSITY: good = c->target || density_forward(p, c, gradient); break;
    case G_FUSED: break;
    default: op_forward(p, c); break;
    }
  }
  return good;
}

void program_catch_up(program *p)
{
  p->behind = false;
  for (size_t i = 0; i < p->ncode; i++) {
    const instr *c = &p->code[i];
    if (on_device(p, false, i) < 0 || c->op == G_FUSED) continue;
    if (c->op != G_DENSITY) op_forward(p, c);
    else if (!c->target) density_forward(p, c, false);
  }
}

/* The terms of instructions, into *sum; false: outside, *where is the term. */
static bool targets(program *p, bool gradient, double *sum, size_t *where)
{
  list l = list_of(p, gradient);
  for (size_t i = 0; i < l.n; i++) {
    const instr *c = &l.code[i];
    int64_t k = 0;
    if (!c->target) continue;
    int64_t device = on_device(p, gradient, i);
    bool good = device >= 0 ? device_block(p, (uint32_t)device, gradient, sum, &k)
              : c->op == G_FUSED ? fused_run(p, &p->fused[c->aux], gradient, sum, &k)
              : c->op == G_DENSITY ? target_density(p, c, gradient, sum, &k)
                                   : target_values(p, c, gradient, sum, &k);
    *where = c->term[c->n > 1 ? k : 0];
    if (!good) return false;
  }
  return true;
}

static void backward(program *p)
{
  for (size_t i = p->nfast; i-- > 0;) {
    const instr *c = &p->fast[i];
    switch (c->op) {
    case G_PART: call_backward(p, c); break;
    case G_SCAN: scan_backward(p, &p->scan[c->aux]); break;
    case G_DENSITY: if (!c->target) density_backward(p, c); break;
    case G_FUSED: break;
    default: instr_backward(p, c, instr_variable(c)); break;
    }
  }
}

static bool all_finite(const program *p, const double *gradient)
{
  double bad = 0, ends[2];
  if (p->ninput >= 16) return p->level->range(gradient, (int64_t)p->ninput, ends);
  for (size_t i = 0; i < p->ninput; i++) bad += gradient[i] * 0;
  return bad == 0;
}

eval_status program_eval(program *p, const double *u, double *logp, double *gradient,
                         size_t *blame)
{
  double sum = 0;
  double total = p->base;
  *logp = -HUGE_VAL;
  *blame = (size_t)-1;
  if (gradient && p->jit) jit_turn(p, p->jit);
  memcpy(p->value, u, p->ninput * sizeof *u);
  for (size_t i = 0; gradient && i < p->nclear; i++)
    memset(p->adjoint + p->clear[i].from, 0, p->clear[i].n * sizeof *p->adjoint);
  bool inside = forward(p, gradient != NULL);
  if (!guards_hold(p, blame)) return EVAL_GUARD;
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
  return all_finite(p, gradient) ? EVAL_OK : (*logp = -HUGE_VAL, EVAL_OUTSIDE);
}
