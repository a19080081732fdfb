/* level.h: elementwise work at one CPU level (exec_level.c), between it and exec.c.  exec_one:
   without lanes, for single numbers. */
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
/* Sums of products with the same factors for all rows: row i is init[i] (or init[0]; NULL: nothing)
   + sum over j of b[j] col[j][at + i], in this order; col[j] NULL: ones. */
typedef struct linear_args {
  int64_t n, at; uint32_t terms;
  const double *b, *const *col, *init; int step;
  double *out;                       /* forward: (n) rows */
  const double *g; double *db;       /* dots: db[j] += sum over i of g[i] col[j][at + i] */
  double *sum;                       /* dots: NULL, or becomes the sum of g */
} linear_args;
/* n runs, each of the elements from where the one before ends up to `end`, with one place. */
typedef struct runs_args { const uint32_t *place, *end; uint32_t n; } runs_args;
typedef struct exec_level {
  void (*forward)(const exec_args *);          /* out = op(x, y) */
  void (*slopes)(const exec_args *);           /* dx = g * d op / dx, dy likewise; g is in `out` */
  void (*add)(double *to, const double *x, int64_t n);
  /* the sum of x (n) by the fixed tree of num/stats.h */
  double (*sum)(const double *x, int64_t n);
  /* the same of m arrays at once */
  void (*sums)(const double *const *x, int m, int64_t n, double *out);
  /* the sum of g x, likewise; where g is 0 so is the product */
  double (*dot)(const double *g, const double *x, int64_t n);
  /* ends[0], ends[1]: the least and the largest of x (n); false: one is not finite */
  bool (*range)(const double *x, int64_t n, double *ends);
  void (*linear)(const linear_args *);
  void (*dots)(const linear_args *);
  /* value[place] for each element of a run; out has room for 8 more */
  void (*runs)(const double *value, const runs_args *, double *out);
  /* to[place] += the sum of d over each run, by four partial sums; d is readable 4 beyond the end */
  void (*runs_sum)(const double *d, const runs_args *, double *to);
  int lanes;                         /* numbers to a register */
} exec_level;
extern const exec_level exec_one, exec_base, exec_avx2, exec_avx512;
const exec_level *exec_level_here(void);
#endif
