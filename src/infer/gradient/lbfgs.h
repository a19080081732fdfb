/* lbfgs.h: minimisation by limited-memory BFGS with a line search that meets the strong Wolfe
   conditions (lbfgs.c).  The caller owns the loop: new, start, step until not GOING, free. */
#ifndef NORN_INFER_LBFGS_H
#define NORN_INFER_LBFGS_H
#include "infer/engine.h"

/* What is minimised: its value and gradient at x (n); +infinity where there is none. */
typedef double (*lbfgs_fn)(void *user, const double *x, double *gradient);

/* Why a search ended; the first five are convergence. */
#define LBFGS_ENDS(X)                                                                              \
  X(TOL_OBJ, "tol_obj") X(TOL_REL_OBJ, "tol_rel_obj") X(TOL_GRAD, "tol_grad")                      \
  X(TOL_REL_GRAD, "tol_rel_grad") X(TOL_PARAM, "tol_param") X(LIMIT, "iterations")                 \
  X(STUCK, "line_search")
typedef enum {
  LBFGS_GOING,
#define X(name, text) LBFGS_##name,
  LBFGS_ENDS(X)
#undef X
} lbfgs_end;
const char *lbfgs_end_name(lbfgs_end);
static inline bool lbfgs_converged(lbfgs_end e) { return e != LBFGS_GOING && e < LBFGS_LIMIT; }

/* Stan's tolerances (its own defaults for rel_obj and rel_grad, 1e4 and 1e7, leave a mode known to
   1e-4 of a standard deviation; these, to 1e-6).  With f the value, g the gradient, p the next
   direction, eps = 2^-52, of two iterates in a row: |f - f'| < obj; |f - f'| < rel_obj eps max(|f|,
   |f'|, 1); |g| < grad; |g . p| < rel_grad eps max(|f|, 1); |x - x'| < param. */
typedef struct lbfgs_limits {
  int64_t history, iterations;
  double obj, rel_obj, grad, rel_grad, param;
} lbfgs_limits;
#define LBFGS_DEFAULTS {.history = 6, .iterations = 2000, .obj = 1e-12, .rel_obj = 10,             \
                        .grad = 1e-8, .rel_grad = 1e3, .param = 1e-8}

typedef struct lbfgs {
  norn_state *st;
  int64_t n;
  lbfgs_limits limit;
  lbfgs_fn f;
  void *user;
  double value, *x, *g;                /* the iterate */
  double *p;                           /* the direction from it */
  double *tried, *tried_g, *work;      /* a point of the line search; (history) */
  double *s, *y, *sy;                  /* (history, n) steps and changes of gradient; s . y */
  int64_t stored, newest;              /* pairs in them, and where the last one is */
  int64_t iterations, evaluations;
  lbfgs_end end;
  bool paired;                         /* the last step was stored as a pair */
} lbfgs;

bool      lbfgs_new(norn_state *, lbfgs *, int64_t n, const lbfgs_limits *, lbfgs_fn, void *user);
void      lbfgs_free(lbfgs *);
/* Begins at x; the value there must be finite, else it is STUCK. */
lbfgs_end lbfgs_start(lbfgs *, const double *x);
/* One iteration. */
lbfgs_end lbfgs_step(lbfgs *);
/* Of a checkpoint; one of the same n and limits is there. */
bool      lbfgs_archive(norn_archive *, lbfgs *);
/* Pair k of those kept, 0 the oldest. */
void      lbfgs_pair(const lbfgs *, int64_t k, const double **s, const double **y);
#endif
