/* record.h: what the files of src/graph share. */
#ifndef NORN_GRAPH_RECORD_H
#define NORN_GRAPH_RECORD_H
#include "graph/graph.h"
#include "num/special.h"
#include "num/stats.h"

/* Room for `want` elements of a growing array; false: error set, g->failed. */
bool   graph_room(graph *, void *array, size_t *cap, size_t want, size_t size);
/* The operation on numbers; y is not used by those of one. */
double graph_compute(graph_op op, double x, double y);

/* Of graph_matvec: a matrix (m, n) of numbers, by rows. */
typedef struct graph_matrix { int64_t m, n; double *x; } graph_matrix;
extern const graph_call graph_matvec_call, graph_sum_call;

/* The real functions that can be recorded, by the names of natives: those of an op of their own,
   and others with value and derivative (of x and y = f(x)). */
typedef struct graph_fun {
  const char *name;
  graph_op op;
  double (*f)(double x);
  double (*slope)(double x, double y);
} graph_fun;
extern const graph_fun graph_functions[];
/* direct.c: the log density at x as nodes of numbers; false: this one is a call.  *out NONE: no
   memory. */
bool graph_direct(graph *, const norn_dist *, norn_datum x, norn_datum *out);
int graph_function(const char *name);          /* -1: not there */
/* choose.c: is node k, as parameter i of n of a family, in its domain wherever the inputs are. */
bool graph_sure(const graph *, const norn_dist_row *, int n, int i, uint32_t k);
#endif
