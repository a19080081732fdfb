/* engine.h: what an inference engine is, and what the built-in ones share.

   A program is a random process that stops at events.  An engine is a table of five functions
   (norn.h, norn_engine) that drives runs of the program from event to event and leaves weighted
   draws.  The caller owns the loop:

       init -> step, step, step ... -> finish                       (free at any time)
                 |
                 |  a run of the engine meets `infer(...)`: norn_infer_wait gives it to the driver,
                 v  which steps the nested inference, answers the run, and steps the engine again
             drive.c: a list of inferences, outermost first, on the heap; the innermost is stepped

   An engine keeps everything between two steps in `self`; it may be dropped after any step, and its
   `archive` writes and reads it (checkpoint.h).  Values
   that point into the heap live until Norn code runs again: a `column` keeps them.

   What each engine does at an event, and who weighs:

       engine       sample                     observe              a run is
       forward      the engine, prior          passed over          one draw
       rejection    the engine, prior          the engine           one try
       importance   the engine, prior or via   the VM (SCORE)       one weighted draw
       enumerate    forks, one per value       the VM (SCORE)       a path; equal states are merged
       ... exact    forks, one per value       the engine, in bigs  the same
       smc          the VM (DRAW)              the VM, stopping     a particle, or many in lanes
       mh           the engine, reusing        the VM (SCORE)       one proposal (trace.h, kernel.h)
       pgibbs, pmmh the engine (swarm.h)       the VM, stopping     a particle; of pmmh also in lanes (marginal.h)
       _advance ... the engine, or the caller  the VM, stopping     a particle (population.h)
       backward     the engine (swarm.h)       the VM, stopping     a particle; then a question to one
       move         the engine (swarm.h)       the VM, stopping     a particle; then the kernel's runs
       gibbs        its kernels (kernel.h)     the VM (SCORE)       the state after a transition
       anneal       the engine (swarm.h)       the VM (SCORE)       a particle, whole; the same
       amortized    a net, many at once        the VM (SCORE)       one weighted draw (together.h)

   Under importance and smc choices that may be conjugate priors are delayed (delay.h): the VM answers
   them with random variables, weighs what it can by their marginals, and draws them when it must.

   nuts, hmc, chees, slice_sampler, temper, optimize, laplace_approx, pathfinder, advi and adaptive_importance
   run the program only to record it: they know a density over R^n (norn.h, norn_density; density.h).

   Random numbers are counters (lane, event, iteration) of the inference's stream; the top of each
   engine's file states its lanes and iterations.  What an engine decides for itself (resampling,
   acceptance) comes from a stream of its own, ENGINE_LANE of the inference's. */
#ifndef NORN_INFER_ENGINE_H
#define NORN_INFER_ENGINE_H
#include "norn.h"
#include "base/base.h"
#include <math.h>

/* The built-in engines, and norn_add_engines of all of them. */
extern const norn_engine engine_forward, engine_rejection, engine_importance, engine_enumerate,
  engine_smc, engine_mh, engine_nuts, engine_hmc, engine_optimize, engine_laplace,
  engine_pathfinder, engine_advi, engine_pgibbs, engine_pmmh, engine_temper, engine_slice,
  engine_adaptive_importance, engine_online, engine_backward, engine_gibbs, engine_chees;
extern const norn_engine engine_amortized;
/* Engines made of engines, and the blocks of `import inference` (move.c). */
extern const norn_engine engine_anneal;
extern const norn_engine *const engines_composed[];
extern const int engines_composed_n;
norn_status engines_add(norn_state *);

#define ENGINE_LANE 0xffffffffu     /* the lane of streams for an engine's own decisions */

/* Notes the names of what a density sums out, "summed", if there is any (density.c). */
norn_status density_note_summed(norn_density *, norn_infer *);

/* ---- memory: counted against the state's limit ---- */
void *engine_get(norn_state *, size_t n);                            /* cleared; NULL: error set */
void  engine_put(norn_state *, void *p, size_t n);
/* Room for `want` elements of `size` bytes in a growing array; new elements are cleared. */
bool  engine_room(norn_state *, void *array_pointer, size_t *capacity, size_t want, size_t size);

/* ---- errors: norn_fail with a place ---- */
norn_status engine_fail(norn_state *, norn_status, norn_span, const char *format, ...)
  NORN_PRINTF(4, 5);
/* Gives the state's error this place if it has none yet. */
void        engine_place(norn_state *, norn_span);
/* The step that reports the state's error. */
static inline norn_step engine_failed(norn_state *st, norn_span span)
{
  engine_place(st, span);
  return NORN_STEP_FAIL;
}

/* The engine of an inference (norn.h has no need of it). */
const norn_engine *infer_engine(norn_infer *);
/* What messages call it: the function's name where a function of the library starts it (_train). */
static inline const char *engine_called(const norn_engine *e) { return e->name + (*e->name == '_'); }

/* ---- options, checked: the i-th of the engine; errors name it ---- */
int  option_at(norn_infer *, const char *name);                      /* -1: the engine has none of this name */
/* Fails with "OPTION of ENGINE must be WANTED, got x". */
norn_status option_must(norn_infer *, const char *option, const char *wanted, double x);
bool option_int(norn_infer *, int i, int64_t least, int64_t *out);
bool option_real(norn_infer *, int i, double *out);                  /* NaN where it is missing */
bool option_choice(norn_infer *, int i, const char *const *names, int n, int *out);
/* The same of an engine value: option i, or its fallback. */
norn_datum engine_option(norn_state *, norn_datum engine, int i);
/* Is it another than its fallback? */
bool       engine_option_given(norn_state *, norn_datum engine, int i);
bool engine_option_int(norn_state *, norn_datum engine, int i, int64_t least, int64_t *out);
bool engine_option_real(norn_state *, norn_datum engine, int i, double *out);
bool engine_option_choice(norn_state *, norn_datum engine, int i, const char *const *names, int n,
                          int *out);

/* ---- columns: growing arrays of values that outlive Norn code ---- */
/* Scalars of one kind lie in `word`; from the first other value on all are in `heap`, an array,
   behind `skip` units that keep it from being packed: integers among reals stay integers. */
typedef struct column {
  uint64_t tag; uint64_t *word; size_t n, cap; norn_ref *heap; size_t skip;
} column;
/* false: no memory, error set */
bool       column_push(norn_state *, column *, norn_datum);
norn_datum column_at(norn_state *, const column *, size_t i);
norn_datum column_array(norn_state *, const column *);               /* packed; NONE: error set */
/* empty again, memory kept where it can be */
void       column_clear(norn_state *, column *);
void       column_free(norn_state *, column *);

/* ---- blame: dead runs by line; why, where: the first error of a parameter that left its domain, and its line ---- */
typedef struct blame_line { norn_span span; uint64_t count; } blame_line;
typedef struct blame { blame_line *line; size_t n, cap; norn_span where; char why[200]; } blame;
void      blame_add(norn_state *, blame *, norn_span);
void      blame_join(norn_state *, blame *, const blame *more);      /* leaves the error as it is */
norn_span blame_most(const blame *, uint64_t *count);                /* file 0 when there is none */
void      blame_free(norn_state *, blame *);
/* Fails with "every X has weight 0 after the observation at PLACE"; what: "particle", "draw",
   "path". */
norn_step blame_all_dead(norn_state *, const blame *, const char *what);
/* Warns of the runs (what: "draws", "particles") that died where a parameter left its domain. */
void      blame_warn(norn_infer *, const blame *, const char *what);

/* ---- events ---- */
bool engine_logp_slow(norn_state *, const norn_dist *, norn_datum x, norn_span, double *out);
/* log density of x under d; false: error set at span. */
static inline bool engine_logp(norn_state *st, const norn_dist *d, norn_datum x, norn_span span,
                               double *out)
{
  const norn_dist_row *row = d->row;
  double p[NORN_DIST_P], v;
  if (!(row->flags & NORN_DIST_SCALAR) || !row->logp1 || d->n > NORN_DIST_P)
    return engine_logp_slow(st, d, x, span, out);
  for (int i = 0; i < d->n; i++)
    if (d->args[i].tag == NORN_BIG || !norn_as_real(d->args[i], &p[i]))
      return engine_logp_slow(st, d, x, span, out);
  if (x.tag == NORN_BIG || !norn_as_real(x, &v)) {
    if (x.tag != NORN_BOOL || !(row->flags & NORN_DIST_BOOL))
      return engine_logp_slow(st, d, x, span, out);
    v = (double)x.i;
  }
  *out = row->logp1(v, p);
  return true;
}
/* The log weight of an observe, factor or condition; false: error set.  -infinity is a dead run. */
static inline bool engine_weight(norn_state *st, const norn_event *ev, double *out)
{
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) {
    if (!norn_as_real(ev->value, out)) *out = NAN;
  } else if (!engine_logp(st, ev->dist, ev->value, ev->span, out)) {
    return false;
  }
  if (NORN_LIKELY(*out < HUGE_VAL)) return true;      /* neither NaN nor infinite */
  engine_fail(st, NORN_EDOMAIN, ev->span, "this log weight is %s",
              *out > 0 ? "infinite" : "not a number");
  return false;
}
/* Draws an event's value from its prior, or from its proposal with *excess = log prior - log
   proposal. false: error set at its span. */
bool engine_sample(norn_state *, norn_run *, const norn_event *, bool use_proposal,
                   norn_datum *value, double *excess);
/* May its values be listed: a finite row whose every value has a probability. */
bool engine_is_discrete(const norn_dist *);

/* ---- weights ---- */
double log_add(double a, double b);                                  /* log(e^a + e^b) */
/* log sum of e^lw; -infinity when n is 0 */
double log_sum(const double *lw, size_t n);
double kish(const double *lw, size_t n);                             /* (sum w)^2 / sum w^2 */

/* ---- resampling (resample.c) ---- */
typedef enum {
  RESAMPLE_SYSTEMATIC, RESAMPLE_STRATIFIED, RESAMPLE_RESIDUAL, RESAMPLE_MULTINOMIAL, RESAMPLE_COUNT
} resample_kind;
extern const char *const resample_names[RESAMPLE_COUNT];
/* count[i] offspring of particle i, their sum is n; w (n): weights, unnormalised, of that sum. */
void resample(resample_kind, const double *w, double sum, uint32_t *count, size_t n, norn_rng *);
/* The same with m offspring in all. */
void resample_to(resample_kind, const double *w, double sum, uint32_t *count, size_t n, size_t m, norn_rng *);
/* The same as rising numbers: below[i] is the sum of count[0 .. i].  work: room for n.  Gives what
   resample_spread does. */
double resample_below(resample_kind, const double *w, double sum, uint32_t *below, size_t n,
                      norn_rng *, double *work);
/* Mean over particles of the variance of their number of offspring. */
double resample_spread(resample_kind, const double *w, double sum, size_t n);

/* ---- diagnostics of draws (diagnose.c) ---- */
/* x (chains, n): bulk effective sample size and split R-hat after Vehtari et al. 2021; NaN when all
   equal. */
bool   diagnose_chains(norn_state *, const double *x, int chains, int64_t n, double *ess,
                       double *rhat);
/* Nested R-hat (Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari, Gelman 2024, "Nested R-hat: assessing the
   convergence of Markov chain Monte Carlo when running many short chains") of x (chains, n), whose chain c is of
   superchain c groups / chains: the larger one of ranks and of folded ranks, and the limit for that: NaN when
   all are equal. */
bool   diagnose_nested(norn_state *, const double *x, int chains, int groups, int64_t n, double *rhat,
                       double *limit);
/* Both at once, of draws of (chains, n) again and again in one room: a room is one thread's, which needs no
   state for it.  groups 0: no superchains.  NaN: what there is not. */
typedef struct diagnose_room diagnose_room;
typedef struct diagnosed { double ess, rhat, nested, limit; } diagnosed;
diagnose_room *diagnose_room_new(norn_state *, int chains, int64_t n);         /* NULL: error set */
void   diagnose_room_free(diagnose_room *);
void   diagnose_draws(diagnose_room *, const double *x, int groups, diagnosed *);
/* One measure of x (chains, n); p: the level of a quantile, or the number of superchains.  NaN when all are
   equal.  false: no memory. */
typedef enum {
  DIAGNOSE_ESS_BULK, DIAGNOSE_ESS_TAIL, DIAGNOSE_ESS_MEAN, DIAGNOSE_ESS_SD, DIAGNOSE_ESS_QUANTILE,
  DIAGNOSE_RHAT, DIAGNOSE_NESTED, DIAGNOSE_MCSE_MEAN, DIAGNOSE_MCSE_SD, DIAGNOSE_MCSE_QUANTILE
} diagnose_what;
bool   diagnose(norn_state *, diagnose_what, double p, const double *x, int chains, int64_t n,
                double *out);
#endif
