/* fused: runs a block (program.h): CHUNK elements forwards through its steps, the terms of the
   target, and back at once, while all is near. */
#include "graph/fused_cc.h"
#include <string.h>

static double *buffer(const program *p, uint32_t i) { return p->local + (size_t)i * CHUNK; }

static bool step_forward(program *p, const fused_step *s, bool gradient, int64_t k, int64_t n)
{
  if (s->c.op != G_DENSITY) {
    piece_forward(p, &s->c, k, n, buffer(p, s->value));
    return true;
  }
  double *d[OPERANDS] = {NULL};
  for (int j = 0; j < s->c.nargs; j++)
    if (gradient && s->which >> j & 1) d[j] = buffer(p, s->slope[j]);
  return piece_density(p, &s->c, k, n, buffer(p, s->value), d);
}

/* The densities of the chunk, and their derivatives where they go; total: of the last step, density_sums. */
static void step_backward(program *p, const fused_step *s, int64_t k, int64_t n, const double *total)
{
  flow_to f = {.which = s->which, .first = s->first};
  const double *g = buffer(p, s->adjoint);
  for (int j = 0; j < s->c.nargs; j++)
    if (s->c.arg[j].kind == FROM_LOCAL) f.to[j] = buffer(p, s->to[j]);
  if (s->c.op != G_DENSITY) {
    piece_backward(p, &s->c, k, n, buffer(p, s->value), g, &f);
    return;
  }
  for (int j = 0; j < s->c.nargs; j++) {
    if (!(s->which >> j & 1)) continue;
    double *d = buffer(p, s->slope[j]);
    for (int64_t i = 0; i < n && !total; i++) d[i] = flow(g[i], d[i]);
    if (total && s->c.arg[j].kind == FROM_SCALAR) p->adjoint[s->c.arg[j].at] += total[1 + j];
    else if (d != f.to[j]) piece_flow(p, &s->c, j, k, n, d, &f);
  }
}

/* The sum of the terms of a chunk, and with a gradient of what density_sums sums. */
static void last_sums(const program *p, const fused_step *s, bool gradient, int64_t n, double *total)
{
  double *d[OPERANDS] = {NULL};
  const double *terms = buffer(p, s->value);
  if (s->c.op != G_DENSITY) {
    *total = p->level->sum(terms, n);
    return;
  }
  for (int j = 0; j < s->c.nargs; j++)
    if (gradient && s->which >> j & 1) d[j] = buffer(p, s->slope[j]);
  density_sums(p, &s->c, n, terms, d, total);
}

bool fused_run(program *p, const fused *b, bool gradient, double *sum, int64_t *where)
{
  double total[1 + OPERANDS];
  const fused_step *last = &b->step[b->nstep - 1];
  bool density = last->c.op == G_DENSITY;
  if (gradient && b->code && fused_code_run(p, b->code, sum, where)) return true;
  for (int64_t k = 0; k < b->n; k += CHUNK) {
    int64_t n = b->n - k < CHUNK ? b->n - k : CHUNK;
    *where = k;
    for (uint32_t i = 0; i < b->nstep; i++)
      if (!step_forward(p, &b->step[i], gradient, k, n)) return false;
    last_sums(p, last, gradient, n, total);
    *sum += *total;
    if (!(*total > -HUGE_VAL)) {
      const double *terms = buffer(p, last->value);
      while (*where < k + n - 1 && terms[*where - k] > -HUGE_VAL) ++*where;
      return false;
    }
    if (!gradient) continue;
    for (int64_t i = 0; !density && i < n; i++) buffer(p, last->adjoint)[i] = 1;
    for (uint32_t i = b->nstep; i-- > 0;)
      step_backward(p, &b->step[i], k, n, density && i + 1 == b->nstep ? total : NULL);
  }
  return true;
}
