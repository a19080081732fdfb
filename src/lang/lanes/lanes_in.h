/* lanes_in.h: what the files of events and matrices in lanes share (lanes.h). */
#ifndef NORN_LANG_LANES_IN_H
#define NORN_LANG_LANES_IN_H
#include "lang/lanes/lanes.h"
#include "lang/value/array.h"
#include "num/lane_ops.h"

/* ---- lanes_event.c ---- */

/* The parameters of a scalar family: numbers, or one for each lane where bit i of many is set. */
typedef struct parameters {
  const double *p[1 + NORN_DIST_P];
  double one[1 + NORN_DIST_P];
  lane_vec *v[1 + NORN_DIST_P];       /* whose numbers p[i] are; NULL: of none */
  unsigned many;
  void *made[1 + NORN_DIST_P];
} parameters;

/* Argument x as number i of *q.  false: it is none, or no memory (error set). */
bool lanes_parameter(group *, val x, int i, parameters *q);
void lanes_parameters_free(group *, parameters *);
/* The domains of families that are drawn in lanes are convex: are all parameters in them? */
bool lanes_corners_good(group *, const norn_dist_row *, const parameters *, int np);
/* Draws of a family with lane_samples into z, with its bounds; rng->lane does not matter. */
void lanes_draw_parts(group *, const norn_dist_row *, const parameters *, int np, norn_rng *, lane_vec *z);
/* Reals as what the family gives: z's kind changes.  false: one fits no integer. */
bool lanes_outcomes(const norn_dist_row *, lane_vec *z, uint32_t n);
/* The value as what the density takes, behind the parameters.  false: it is not of the family's kind. */
bool lanes_value_of(group *, const norn_dist_row *, val y, parameters *, double *one, const double **at, bool *many);
/* n log densities of lanes from k on. */
void lanes_densities(const norn_dist_row *, const parameters *, int np, const double *y, bool many, uint32_t k,
                     uint32_t n, double *out);
/* A normal of each lane into z. */
void lanes_normals(group *, norn_rng *, double *z);
/* The bounds of a vector of reals, found once.  false: a number is not finite. */
bool lanes_range(group *, lane_vec *, double *lo, double *hi);

/* ---- lanes_draw.c ---- */

/* A choice of several numbers: *dst is an array; not such a one, or of parameters that are not good; error set or
   `want`. */
typedef enum { VECTOR_DONE, VECTOR_NONE, VECTOR_FAILED } lanes_vector;
lanes_vector lanes_sample_vector(norn_run *, val *dst, const norn_dist *, uint32_t event, norn_simulated *tell);
/* The log density of y in each lane. */
lanes_vector lanes_logp_vector(group *, const norn_dist *, val y, double *out);
/* Is it one, with good parameters? */
bool         lanes_dist_vector(group *, const norn_dist *);

/* ---- lanes_matrix.c: arrays of lanes as columns.  false: they are something else, or an error is set. ---- */

bool lanes_side(group *, val, lane_side *, double *one);          /* reals, or numbers (into *one) */
bool lanes_vector_sides(group *, val, int64_t n, lane_side *, double *one);
/* Of a symmetric matrix, and of a lower triangular one, the lower triangle: finite, of order n. */
bool lanes_covariance_sides(group *, val, int64_t n, lane_side *, double *one);
bool lanes_factor_sides(group *, val, int64_t n, lane_side *, double *one);
/* A native, or a product, that is known here.  false: it is not, or can't be done so. */
bool lanes_matrix_native(group *, const norn_native *, const val *args, int n, val *out);
#endif
