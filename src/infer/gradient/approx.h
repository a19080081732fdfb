/* approx.h: what the engines share that put something simple in the place of a posterior (a mode, a
   normal): the target and its starts, draws from an approximation with both densities, and what
   importance weights say about it (approx.c). */
#ifndef NORN_INFER_APPROX_H
#define NORN_INFER_APPROX_H
#include "infer/device.h"

/* A log density that is asked by a program of many steps: the first failure of the model stays, and
   from then on every point is outside. */
typedef struct target {
  norn_state *st;
  norn_density *density;
  int64_t n, evaluations;
  norn_status failed;
} target;

/* Log density at u (n) and, if not NULL, the gradient; -infinity outside, which is also where one
   of them is not finite. */
double target_at(target *, const double *u, double *gradient);
/* The same with the opposite sign, as lbfgs_fn. */
double target_cost(void *target, const double *u, double *gradient);

typedef enum { START_MIXED, START_RANDOM, START_PRIOR, START_GIVEN } start_kind;
typedef struct approx {
  norn_infer *inf;
  target t;
  uint64_t stream;                     /* of the engine's own */
  start_kind start;
  norn_ref *given;                     /* START_GIVEN: a record of values by address */
  device_wish wish;
  bool improper;                       /* a choice has no normaliser: there is no evidence */
} approx;

#define APPROX_INIT_OPTION                                                                         \
  {"init", "\"mixed\"",                                                                           \
   "starts: \"random\" (uniform on (-2, 2), unconstrained), \"prior\", \"mixed\" (in turn), or "   \
   "a record of values by address"}

/* Reads the option of starts, and those of the device. */
norn_status approx_init(approx *, norn_infer *, int option);
/* Records the model. */
norn_step   approx_record(approx *, unsigned flags);
/* A start with a finite density and gradient, in at most 100 tries: u (n).  Mixed: even ones
   random, odd ones from the prior (50 tries), as modes that are far from 0 are seen only so.
   Numbers: lane `start`, iteration 0, event i of try i. */
norn_step   approx_start(approx *, uint32_t start, double *u);
void        approx_free(approx *);
bool        option_bool(norn_infer *, int i, bool *out);

#define LOG_TWO_PI 1.8378770664093454836

/* ---- draws ---- */

/* Draws u (kept, n) from an approximation with log densities: lp of the target, lq of the
   approximation.  Those outside of the target count as tried, but are not kept. */
typedef struct cloud {
  norn_state *st;
  int64_t n, size, tried, kept;
  double *u, *lp, *lq, *w;             /* w: log weights, smoothed */
  /* of cloud_weigh: k-hat with its standard error, 0 but for short tails; ess: of the smoothed
     weights */
  double khat, khat_se, log_evidence, se, ess;
} cloud;
bool cloud_new(norn_state *, cloud *, int64_t size, int64_t n);
void cloud_free(cloud *);
bool cloud_archive(norn_archive *, cloud *);
/* Adds one draw. */
void cloud_add(cloud *, target *, const double *u, double lq);
/* Importance weights lp - lq: evidence from the raw ones, then smoothed (psis.h).  false: no
   memory. */
bool cloud_weigh(cloud *);
/* Fails where no draw was inside; warns when k-hat is above its threshold or the density does not
   fall off; leaves notes: khat, outside, evaluations. */
norn_step approx_report(approx *, cloud *, bool corrected);
/* Leaves draws `first` to `end` with the inference, weighted if `corrected`.  Discrete choices:
   lane 0xfffffff0, event: the draw. */
norn_step approx_leave(approx *, const cloud *, int64_t first, int64_t end, bool corrected);
#endif
