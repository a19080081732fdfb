/* constraint: the maps of structured supports (dist/map.c) as calls of a graph. */
#include "graph/calls.h"
#include <math.h>

static norn_support support_at(const graph_constraint *k, const double *u)
{
  norn_support s = k->s;
  if (k->moved) {
    s.lower = u[norn_support_free(&s)];
    s.upper = u[norn_support_free(&s) + 1];
  }
  return s;
}

static bool map_forward(void *self, const double *u, double *x)
{
  norn_support s = support_at(self, u);
  double j = 0;
  norn_support_constrain(&s, u, x, &j);
  x[norn_support_elems(&s)] = j;
  return j == j && j < HUGE_VAL && j > -HUGE_VAL;
}

static void map_adjoint(void *self, const double *u, const double *x, const double *gx, double *gu)
{
  graph_constraint *k = self;
  norn_support s = support_at(k, u);
  double *bound = gu + norn_support_free(&s);
  norn_support_adjoint(&s, u, x, gx, gx[norn_support_elems(&s)], gu, k->moved ? bound : NULL,
                       k->moved ? bound + 1 : NULL, k->work);
}

static void map_free(norn_state *st, void *self)
{
  norn_alloc(st, self, ((graph_constraint *)self)->size, 0);
}

const graph_call graph_constraint_call = {"constraint", map_forward, map_adjoint, map_free, .uses_state = false};

bool graph_constrain(graph *g, const norn_support *s, const norn_datum *in, bool moved, norn_datum *out)
{
  norn_state *st = g->st;
  int64_t m = norn_support_free(s) + 2 * moved, n = norn_support_elems(s) + 1;
  size_t size = sizeof(graph_constraint) + (size_t)n * sizeof(double), all = (size_t)(m + n) * sizeof(double);
  graph_constraint *self = norn_alloc(st, NULL, 0, size);
  double *v = norn_alloc(st, NULL, 0, all);
  bool good = self && v;
  if (good) {
    *self = (graph_constraint){.s = *s, .size = size, .moved = moved};
    for (int64_t i = 0; i < m; i++) v[i] = in[i].d;
    map_forward(self, v, v + m);
    good = graph_called_new(g, &graph_constraint_call, self, in, (uint32_t)m, v + m, out, (uint32_t)n);
  } else {
    if (self) norn_alloc(st, self, size, 0);
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  }
  if (v) norn_alloc(st, v, all, 0);
  return good;
}
