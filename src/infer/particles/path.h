/* path.h: one path of Pathfinder: L-BFGS climbs from a start, and each of its points proposes a
   normal by the curvature seen so far; the one with the highest ELBO stays (path.c). */
#ifndef NORN_INFER_PATH_H
#define NORN_INFER_PATH_H
#include "infer/gradient/approx.h"
#include "infer/gradient/lbfgs.h"

/* A normal on R^n whose covariance S = D + B C B' is a diagonal and 2 J further columns.
   low rank: S^1/2 = D^1/2 (I + Q (L - I) Q'); dense (2 J >= n): S = L L'. */
typedef struct path_normal {
  int64_t n, k;                        /* k columns of Q; -1: dense */
  double *mean, *root;                 /* (n), (n): sqrt of D */
  double *q, *l;                       /* (n, k), lower (k, k) or (n, n) */
  double log_det;                      /* of S^1/2 */
  double elbo;                         /* -infinity: there is none */
} path_normal;

typedef struct path {
  target *t;
  lbfgs l;
  uint64_t stream; uint32_t lane;      /* of its random numbers */
  int64_t samples;                     /* for each ELBO */
  double *room, *alpha, *z, *u, *b, *c, *d;
  path_normal now, best;
  int64_t at;                          /* the iteration of the best */
  bool begun;
} path;

bool path_new(target *, path *, int64_t history, int64_t iterations, int64_t samples);
void path_free(path *);
/* From u (n). */
void path_begin(path *, const double *u, uint64_t stream, uint32_t lane);
/* One iteration; true: there are more.  best.elbo is -infinity if no normal was found. */
bool path_step(path *);

/* Of checkpoints.  A normal lies in `room`, which has been read. */
bool path_archive(norn_archive *, path *);
bool normal_archive(norn_archive *, path_normal *, double *room, size_t bytes);

/* u = mean + S^1/2 z, z (n) normal; work (n).  The log density of u. */
double normal_draw(const path_normal *, const double *z, double *u, double *work);
/* The log density at u; work (2 n). */
double normal_at(const path_normal *, const double *u, double *work);
/* The lower Cholesky factor of S into l (n, n).  false: rounding has made S indefinite. */
bool   normal_factor(const path_normal *, double *l);
/* The standard deviations, sd (n). */
void   normal_sd(const path_normal *, double *sd);
/* How far two normals are one: the larger of the means over 100 draws of a of b / (a + b) and the
   other way round; 1/2 where they are equal, 0 where they are apart.  g: its stream and lane; work
   (4 n). */
double normal_overlap(const path_normal *a, const path_normal *b, const norn_rng *g, double *work);
size_t normal_bytes(int64_t n, int64_t history);
/* A copy in memory of normal_bytes. */
void   normal_copy(path_normal *, const path_normal *from, double *room);
#endif
