/* lane_ops: elementwise operations on vectors of numbers, and what is done with a small matrix of each lane, for runs
   in lanes (lang/lanes/lanes.h): one object per CPU level (lane_ops_level.c), each with the bits of the scalar
   operations. */
#ifndef NORN_LANE_OPS_H
#define NORN_LANE_OPS_H
#include "num/level.h"
#include <stddef.h>
#include <stdint.h>

enum { LANE_OP_ADD, LANE_OP_SUB, LANE_OP_MUL, LANE_OP_DIV, LANE_OP_LT, LANE_OP_LE, LANE_OP_EQ, LANE_OP_NE,
       LANE_OPS };
enum { LANE_MAP_NEG, LANE_MAP_SQRT, LANE_MAP_EXP, LANE_MAP_INV_LOGIT, LANE_MAP_LOG1P_EXP, LANE_MAPS };

/* A number of each lane, or one of all. */
typedef struct lane_side { const double *p; bool many; } lane_side;
/* Matrices of lanes are made of these, row by row, or the lower triangle's rows end to end (LANE_ROWS at most). */
enum { LANE_ORDER = 64, LANE_ROWS = LANE_ORDER * (LANE_ORDER + 1) / 2 };
/* Covariances of dist/gp_kernel.c. */
enum { LANE_RBF, LANE_MATERN12, LANE_MATERN32, LANE_MATERN52, LANE_KERNELS };

/* Vectors have room for a register more than n numbers; what lies there may be overwritten. */
typedef struct lane_fns {
  /* z = x op y; x, y: n numbers where its step is 1, one where it is 0.  Comparisons give 0 and 1 as
     integers. */
  void (*op)(int op, void *z, const double *x, int xs, const double *y, int ys, size_t n);
  void (*map)(int op, double *z, const double *x, size_t n);
  /* z[k] = x[at[k]], of any eight bytes. */
  void (*gather)(void *z, const void *x, const uint32_t *at, size_t n);
  /* The smallest and largest of n > 0 numbers; false: one is not finite. */
  bool (*range)(const double *x, size_t n, double *lo, double *hi);
  /* w += x; false: an x is not finite. */
  bool (*add)(double *w, const double *x, size_t n);
  /* l, the lower factor of a (both lower triangles of `order` <= LANE_ORDER), of n lanes, to the bits of la_cholesky;
     NULL: whether there is one.  false: one of the lanes has none, or but for rounding (dist/matrix.c). */
  bool (*factors)(const lane_side *a, size_t order, double *const *l, size_t n);
  /* out = mu + l z, to the bits of dist/multi_normal.c; factor: l is the factor of what is given.  false: as above. */
  bool (*gauss)(const lane_side *mu, const lane_side *l, bool factor, const double *const *z, size_t order,
                double *const *out, size_t n);
  /* out (rows) = a (rows, columns) x, x finite, to the bits of la_mul_vector; columns <= LANE_ORDER. */
  void (*products)(const lane_side *a, const lane_side *x, size_t rows, size_t columns, double *const *out, size_t n);
  /* x becomes l^-1 x, l a lower triangle as above, to the bits of la_solve_lower of one vector. */
  void (*solves)(const lane_side *l, size_t order, double *const *x, size_t n);
  /* out[k] = the kernel of points x and y of `dim` coordinates. */
  void (*kernel)(int kernel, lane_side alpha, lane_side rho, const lane_side *x, const lane_side *y, size_t dim,
                 double *out, size_t n);
  /* out (a lower triangle as above)[k] = the kernel of points x (order), numbers, and themselves. */
  void (*kernels)(int kernel, lane_side alpha, lane_side rho, const lane_side *x, size_t order, double *const *out,
                  size_t n);
} lane_fns;
extern const lane_fns lane_ops_base, lane_ops_avx2, lane_ops_avx512;
const lane_fns *lane_ops_at(int level);
const lane_fns *lane_ops(void);                  /* the widest that the CPU has */
/* Real functions of single numbers, and the operation that one is; -1: none. */
double          lane_exp(double);
double          lane_inv_logit(double);
double          lane_log1p_exp(double);
int             lane_map_of(double (*)(double));
#endif
