/* glm: what the regressions in one piece share (glm.c, glm_category.c): the matrix X (n, k), of
   which some rows at a time are worked on while they stay near. */
#ifndef NORN_DIST_GLM_H
#define NORN_DIST_GLM_H
#include "dist/dist.h"

/* Numbers in a tile of rows, which stay in the nearest cache, and its most rows. */
enum { GLM_TILE = 3072, GLM_ROWS = 256 };
typedef struct glm_data {
  norn_view x;
  int64_t n, k, rows;         /* rows: of a tile */
  double *tile;               /* (rows, k), of whole numbers as doubles; NULL if they are */
} glm_data;

/* Argument 0 is a matrix of finite numbers, or an error. */
norn_status glm_check_data(norn_state *, const norn_dist *, int64_t *n, int64_t *k);
void        glm_data_of(const norn_dist *, glm_data *);
/* Rows i .. i+m as doubles. */
const double *glm_tile(const glm_data *, int64_t i, int64_t m);
/* Numbers of a view as doubles, into out where they are whole numbers. */
const double *glm_reals(const norn_view *, double *out);
/* The value has n elements in a row; sets the error if it has not. */
bool        glm_value(norn_state *, const norn_dist *, int64_t n, norn_datum x, norn_view *);

/* categorical_logit_glm, and dist_glm of it */
norn_status categorical_logit_glm_check(norn_state *, const norn_dist *);
norn_status glm_category_sample(norn_state *, const norn_dist *, norn_rng *, norn_datum *);
norn_status glm_category_logp(norn_state *, const norn_dist *, norn_datum x, double *);
norn_status glm_category_partials(norn_state *, const norn_dist *, norn_datum x, double scale,
                                  double *gx, double *g);
void        glm_category_support(norn_state *, const norn_dist *, norn_support *);
norn_status glm_category_enumerate(norn_state *, const norn_dist *, int64_t k, norn_datum *);
int64_t     glm_category_count(norn_state *, const norn_dist *);
norn_status glm_category_evaluate(norn_state *, const norn_dist *, norn_datum x, double scale,
                                  double *logp, double *const *to);
#endif
