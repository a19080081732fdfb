/* cost: what a program does in an evaluation, and how long that should take (program_stats in
   graph.h). The nanoseconds were measured on a CPU with registers of eight doubles (2.6 GHz): an
   element forwards and backwards in lanes, and a single number; other CPUs differ by a factor. */
#include "graph/program.h"
#include "num/level.h"
#include <string.h>

typedef struct cost { double lanes, one; } cost;
static const cost costs[G_COUNT] = {
  [G_ADD] = {0.4, 3}, [G_SUB] = {0.6, 3}, [G_MUL] = {0.6, 4}, [G_DIV] = {0.9, 6},
    [G_POW] = {24, 34},
  [G_NEG] = {0.3, 3}, [G_MIN] = {0.7, 4}, [G_MAX] = {0.7, 4}, [G_LT] = {0.3, 3}, [G_LE] = {0.3, 3},
  [G_EQ] = {0.3, 3}, [G_WHEN] = {0.6, 4}, [G_UNLESS] = {0.6, 4}, [G_OR_ONE] = {0.6, 4}, [G_LOG_ADD_EXP] = {10, 50},
  [G_EXP] = {1.5, 15}, [G_LOG] = {1.6, 12}, [G_LOG1P] = {1.9, 15}, [G_EXPM1] = {2.5, 15},
  [G_SQRT] = {0.9, 7}, [G_SQUARE] = {0.5, 4}, [G_ABS] = {0.5, 4}, [G_INV] = {0.5, 6},
  [G_INV_LOGIT] = {3.5, 20}, [G_LOG1P_EXP] = {6.5, 30}, [G_LOGIT_JACOBIAN] = {8, 40},
  [G_FUN1] = {30, 30}, [G_DENSITY] = {3, 60}
};
#define CALL 15.0                    /* an instruction */
#define DENSITY_CALL 60.0            /* what a density computes once */
#define PRODUCT 0.2                  /* an element of a linear predictor's matrix */
#define CALL_NUMBER 5.0              /* an input or result of a call */

/* How much slower lanes are that are narrower. */
static double width(const program *p)
{
  return p->level == &exec_base ? 2.5 : level_best() == LEVEL_AVX2 ? 1.2 : 1;
}

static double instr_cost(const program *p, const instr *c)
{
  double n = c->n;
  if (c->op == G_PART) {
    const graph_called *k = &p->call[c->aux].c;
    return CALL + CALL_NUMBER * (k->nin + k->nout);
  }
  if (c->op == G_LINEAR) return CALL + PRODUCT * p->linear[c->aux].terms * n * width(p);
  double once = CALL + (c->op == G_DENSITY ? DENSITY_CALL : 0);
  if (c->op == G_FUN1) return once + costs[c->op].lanes * n;
  return c->n == 1 ? CALL + costs[c->op].one : once + costs[c->op].lanes * n * width(p);
}

double scan_cost(const scan *s)
{
  double step = s->kind == SCAN_AFFINE ? 6 : 0;
  if (s->log) return (CALL + 6.0 * s->T) * s->P;
  for (uint32_t q = 0; q < s->P && s->kind != SCAN_AFFINE; q++)
    step += costs[s->column[q].c.op].one;
  return CALL * s->P + step * s->T;
}

double fused_cost(const program *p, const fused *b)
{
  double ns = 0;
  for (uint32_t k = 0; k < b->nstep; k++) ns += instr_cost(p, &b->step[k].c);
  return ns / 1000;
}

static void count(program_stats *s, const instr *c)
{
  s->instructions++;
  s->elements += c->n;
  if (c->op >= G_COUNT) { s->linears += c->op == G_LINEAR; return; }
  s->count[c->op]++;
  s->elements_of[c->op] += c->n;
}

void program_stats_of(const program *p, program_stats *s)
{
  double ns = 100;                   /* to begin and to end */
  *s = (program_stats){.scans = p->nscan, .blocks = p->nfused, .guards = p->nguard};
  for (size_t i = 0; i < p->nfast; i++) {
    const instr *c = &p->fast[i];
    if (c->op == G_SCAN) {
      const scan *k = &p->scan[c->aux];
      for (uint32_t q = 0; q < k->P; q++) count(s, &k->column[q].c);
      s->longest = k->T > s->longest ? k->T : s->longest;
      s->affine += k->kind == SCAN_AFFINE;
      s->generated += k->forward != NULL;
      ns += scan_cost(k);
    } else if (c->op == G_FUSED) {
      const fused *b = &p->fused[c->aux];
      for (uint32_t k = 0; k < b->nstep; k++) {
        count(s, &b->step[k].c);
        ns += instr_cost(p, &b->step[k].c);
      }
    } else {
      count(s, c);
      ns += instr_cost(p, c);
    }
  }
  s->us = ns / 1000;
  s->prepare_ms = p->prepare * 1000;
}

size_t program_scans(const program *p) { return p->nscan; }
program_scan program_scan_at(const program *p, size_t i)
{
  const scan *s = &p->scan[i];
  return (program_scan){.operations = s->P, .steps = s->T, .affine = s->kind == SCAN_AFFINE};
}
