/* level.h: elementwise work at one CPU level (exec_level.c), between it and exec.c.  exec_one: without
   lanes, for single numbers. */
#ifndef NORN_GRAPH_LEVEL_H
#define NORN_GRAPH_LEVEL_H
#include "graph/graph.h"

/* x, y: n numbers or, with step 0, one. */
typedef struct exec_args {
  int op; int64_t n;
  const double *x, *y, *z;           /* z: the results (derivatives only) */
  int sx, sy;
  double *out, *dx, *dy;
} exec_args;
typedef struct exec_level {
  void (*forward)(const exec_args *);          /* out = op(x, y) */
  void (*slopes)(const exec_args *);           /* dx = g * d op / dx, dy likewise; g is in `out` */
  void (*add)(double *to, const double *x, int64_t n);
  /* the sum of x (n) by the fixed tree of num/stats.h */
  double (*sum)(const double *x, int64_t n);
} exec_level;
extern const exec_level exec_one, exec_base, exec_avx2, exec_avx512;
const exec_level *exec_level_here(void);
#endif
