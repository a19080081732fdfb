/* regression.h: a generalised linear model over rows of data as one operation of a graph
   (regression.c). */
#ifndef NORN_GRAPH_REGRESSION_H
#define NORN_GRAPH_REGRESSION_H
#include "graph/program.h"

/* y[i] ~ family(alpha[i] + sum_j x[i, j] beta[j], scale[i]).  The inputs of its call: alpha unless
   alpha_rows, the k numbers of beta, and where the family has one the scale unless scale_rows. */
typedef struct graph_regression {
  const norn_dist_row *family;
  int64_t n; uint32_t k;
  bool has_scale;
  double *y, *alpha_rows, *scale_rows;     /* (n); the last two NULL: inputs */
  double *x; size_t stride;                /* (k, stride): columns, each with its padding */
  void *memory; size_t bytes;              /* of all of these */
} graph_regression;
extern const graph_call graph_regression_call;

/* Records the log density at y of a family *_glm whose data are numbers; false: it is none of these,
   or *out NONE: an error. */
bool graph_regression_record(graph *, const norn_dist *, norn_datum y, norn_datum *out);
/* The call (its instruction c, a target) as a block of the program: a linear predictor and a density. */
bool regression_fuse(program *, instr *c);
#endif
