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

/* The densities of the chunk, and their derivatives where they go. */
static void step_backward(program *p, const fused_step *s, int64_t k, int64_t n, bool last)
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
    for (int64_t i = 0; i < n && !last; i++) d[i] = flow(g[i], d[i]);
    if (d != f.to[j]) piece_flow(p, &s->c, j, k, n, d, &f);
  }
}

bool fused_run(program *p, const fused *b, bool gradient, double *sum, int64_t *where)
{
  const fused_step *last = &b->step[b->nstep - 1];
  if (gradient && b->code && fused_code_run(p, b->code, sum, where)) return true;
  for (int64_t k = 0; k < b->n; k += CHUNK) {
    int64_t n = b->n - k < CHUNK ? b->n - k : CHUNK;
    *where = k;
    for (uint32_t i = 0; i < b->nstep; i++)
      if (!step_forward(p, &b->step[i], gradient, k, n)) return false;
    const double *terms = buffer(p, last->value);
    double total = p->level->sum(terms, n);
    *sum += total;
    if (!(total > -HUGE_VAL)) {
      while (*where < k + n - 1 && terms[*where - k] > -HUGE_VAL) ++*where;
      return false;
    }
    if (!gradient) continue;
    for (int64_t i = 0; last->c.op != G_DENSITY && i < n; i++) buffer(p, last->adjoint)[i] = 1;
    for (uint32_t i = b->nstep; i-- > 0;) step_backward(p, &b->step[i], k, n, i + 1 == b->nstep);
  }
  return true;
}
