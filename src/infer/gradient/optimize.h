/* optimize.h: the search for a mode from several starts (optimize.c), which laplace_approx shares.
   */
#ifndef NORN_INFER_OPTIMIZE_H
#define NORN_INFER_OPTIMIZE_H
#include "infer/gradient/approx.h"
#include "infer/gradient/lbfgs.h"

/* Where one start ended. */
typedef struct climb_end { double value, gradient; lbfgs_end end; int64_t iterations; } climb_end;
typedef struct climb {
  approx *a;
  lbfgs l;
  int64_t starts, at, best;            /* best: the start that ended highest */
  bool running, again;                 /* again: in coordinates scaled by `scale` */
  int64_t scaled;                      /* coordinates whose scale is known; -1: not looked for */
  climb_end *ends;                     /* (starts) */
  double *u, *work, *scale;            /* (starts, n) ends; (2, n); (n) */
} climb;

bool      climb_new(climb *, approx *, int64_t starts, const lbfgs_limits *);
void      climb_free(climb *);
bool      climb_archive(norn_archive *, climb *);
/* A bounded number of evaluations; DONE after the last start. */
norn_step climb_step(climb *);
const double *climb_mode(const climb *);                               /* (n) */
/* Notes: log_density, converged, reason, gradient_norm, iterations, evaluations, modes, and where
   there are several mode_values; and warns. */
norn_status climb_report(climb *);
/* Is the best end no mode?  Then a sentence without its beginning ("the mode ..."); *away: the
   density rises further and further from it. */
bool      climb_astray(climb *, bool *away, char *why, size_t size);
void      climb_progress(const climb *, norn_progress *);
#endif
