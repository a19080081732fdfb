/* gp_kernel: covariance functions as plain values.

   A kernel is a record: {kernel: "rbf", alpha: 1, rho: 0.5}, or {kernel: "sum", parts: [...]} and
   {kernel: "product", parts: [...]} of kernels.  Here it is compiled into a list in postfix order,
   which is run for each pair of points.  Its leaves are the numbers in the record, in the order of
   its fields (norn_dist_leaves). */
#ifndef NORN_DIST_GP_KERNEL_H
#define NORN_DIST_GP_KERNEL_H
#include "norn.h"

#define GP_KERNEL_PARTS 64
typedef enum {
  GP_RBF, GP_MATERN12, GP_MATERN32, GP_MATERN52, GP_PERIODIC, GP_LINEAR, GP_SUM, GP_PRODUCT
} gp_kernel_kind;
typedef struct gp_kernel_part {
  gp_kernel_kind kind;
  int n;                     /* parts of a sum or a product; parameters of the others */
  double p[3];
  int64_t leaf[3];           /* where the parameters stand among the leaves */
} gp_kernel_part;
typedef struct gp_kernel {
  int n;
  int64_t leaves;
  gp_kernel_part part[GP_KERNEL_PARTS];
} gp_kernel;

/* The shapes a kernel may have: the one table behind records, constructors and messages. */
typedef struct gp_kernel_shape {
  const char *name;
  int n;
  const char *param[3];
  bool zero[3];              /* the parameter may be 0 */
} gp_kernel_shape;
const gp_kernel_shape *gp_kernel_shape_of(gp_kernel_kind);

/* From a value; a mistake is an error about argument `arg`. */
norn_status gp_kernel_read(norn_state *, norn_datum, int arg, gp_kernel *);
/* Whether x is good for parameter i of a kernel; else the error, about argument `arg`. */
norn_status gp_kernel_want(norn_state *, const gp_kernel_shape *, int i, double x, int arg);
/* k(x, y), x and y (dim) */
double gp_kernel_at(const gp_kernel *, const double *x, const double *y, int64_t dim);
/* Adds g times the derivatives of k(x, y): in the leaves to gk (leaves), in x to gx (dim) and in y
   to gy; any may be NULL. */
void gp_kernel_partials(const gp_kernel *, const double *x, const double *y, int64_t dim, double g,
                        double *gk, double *gx, double *gy);
#endif
