/* calls: functions of several numbers (graph_call of graph.h) of which generated code has a text too: what they
   keep, for density_call.c. */
#ifndef NORN_GRAPH_CALLS_H
#define NORN_GRAPH_CALLS_H
#include "graph/graph.h"

/* A structured support: its map; the last result is the log Jacobian.  If `moved`, the two bounds are inputs
   after the free numbers. */
typedef struct graph_constraint {
  norn_support s;
  size_t size;
  bool moved;
  double work[];
} graph_constraint;
extern const graph_call graph_constraint_call;
/* in: its free numbers, and if moved its two bounds; out: elements, then the log Jacobian.  false: error set. */
bool graph_constrain(graph *, const norn_support *, const norn_datum *in, bool moved, norn_datum *out);

/* The log density of a distribution with nodes (dists.c): inputs are the nx numbers of the value, then the leaves of
   its arguments. */
typedef struct graph_density_self { norn_state *st; norn_ref *dist, *x; int64_t nx, nleaf; } graph_density_self;
extern const graph_call graph_density_call;
/* Of the distributions in the folder dist that which gives any number the log mass of another between two bounds:
   log_cdf and the like are its density (dist/dist.h). */
const norn_dist_row *graph_mass_row(void);
#endif
