/* gp: Gaussian processes at given points: what the distribution and the natives of the library
   share. */
#ifndef NORN_DIST_GP_H
#define NORN_DIST_GP_H
#include "dist/gp_kernel.h"

/* Points: a vector of n numbers, or a matrix of n rows in R^dim. */
typedef struct gp_points { int64_t n, dim; norn_view view; } gp_points;
/* From a value; `what` as "x of gaussian_process".  A mistake is an error about argument `arg`. */
norn_status gp_points_read(norn_state *, norn_datum, int arg, const char *what, gp_points *);
/* cov (nx, ny) of points x (nx, dim) and y (ny, dim). */
void gp_cov(const gp_kernel *, int64_t dim, const double *x, int64_t nx, const double *y,
            int64_t ny, double *cov);
/* cov (n, n) of points with themselves, symmetric; noise^2 is added to the diagonal. */
void gp_cov_self(const gp_kernel *, int64_t dim, const double *x, int64_t n, double noise,
                 double *cov);
/* The factor of such a matrix in place; the error (about argument `arg`) says that noise helps. */
norn_status gp_factor(norn_state *, int arg, double *cov /* (n, n) */, int64_t n);
#endif
