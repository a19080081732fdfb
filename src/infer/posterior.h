/* posterior.h: what infer(...) gives: a distribution made of weighted draws, with its evidence.

   The arguments of its row:

     [0] values   array (n): the draws; of an exact posterior the distinct values, in order
     [1] logw     f64 (n): normalised log weights; a unit when all are equal
     [2] info     record: engine, draws, exact, log_evidence, evidence_se, ess, chains (missing:
                  the draws are of none), left_over, seconds, warnings; `stopped` (true) and
                  `chain_lengths` (where they differ) of an inference that did not end; `stats`, a
                  record of arrays (n): numbers about each draw (lp, energy, ...); and the engine's
                  notes
     [3] choices  record: address -> array (n) of its values, missing where the draw has none; of an
                  exact posterior address -> posterior; or a unit
     [4] model, [5] engine, [6] stream (an integer): for more()
     [7] cumulative weights f64 (n), or a unit when equal
     [8] atom table i64 (m, a power of 2): place of the first draw with that value, -1 free; or a
         unit
     [9] log probability of the atom in each slot f64 (m)
    [10] the atoms' places i64, in natural order where that is cheap
   [8..10] are units for draws of reals that do not repeat: such a posterior has no density. */
#ifndef NORN_INFER_POSTERIOR_H
#define NORN_INFER_POSTERIOR_H
#include "norn.h"

enum { POST_VALUES, POST_LOGW, POST_INFO, POST_CHOICES, POST_MODEL, POST_ENGINE, POST_STREAM,
       POST_CUMULATIVE, POST_ATOMS, POST_ATOM_LOGP, POST_ORDER, POST_ARGS };

extern const norn_dist_row posterior_row_atoms, posterior_row_draws;
/* Of an enumeration inside of a recorded model (density_nested.c): only values and log weights, which may
   be nodes. */
extern const norn_dist_row posterior_row_recorded;

/* The row and arguments of a posterior; false if the value is none. */
static inline bool posterior_args(norn_datum p, norn_dist *d)
{
  return norn_dist_view(p, d) && d->row->flags & NORN_DIST_POSTERIOR && d->n == POST_ARGS;
}

/* A posterior of values (n) with unnormalised log weights (n; NULL: equal).  What is exact has its
   equal values merged and is sorted.  NONE: error set. */
norn_datum posterior_new(norn_state *, norn_datum values, const double *logw, norn_datum info,
                         norn_datum choices, norn_datum model, norn_datum engine, uint64_t stream,
                         bool exact);
/* The same for values that are distinct and whose hashes are known. */
norn_datum posterior_make(norn_state *, norn_datum values, const double *logw, norn_datum info,
                          norn_datum choices, norn_datum model, norn_datum engine, uint64_t stream,
                          bool exact, const uint64_t *distinct);
/* The hash by which values lie in the table of atoms. */
uint64_t posterior_hash(norn_datum);
/* The same weights and evidence, other values: `post |> map(f)`.  values has as many as the
   posterior. A part has no model: more() is for the whole. */
norn_datum posterior_project(norn_state *, norn_datum posterior, norn_datum values);
/* m equally weighted draws by systematic resampling (equal weights and m = n: the draws as they
   are). */
norn_datum posterior_resampled(norn_state *, norn_datum posterior, int64_t m, norn_rng *);
/* The model value that it is a posterior of; a unit if it came from a file.  NONE: no posterior. */
norn_datum posterior_model(norn_state *, norn_datum posterior);
/* Draws of a, then of b (chain by chain if there are several); weighed by evidence or as they
   are. */
norn_datum posterior_join(norn_state *, norn_datum a, norn_datum b, bool by_evidence);
/* A field of the info record; NONE if it is not there. */
norn_datum posterior_info(norn_state *, norn_datum posterior, const char *name);
/* The chains of equal length that the draws are from, one after the other; 0: they are independent,
   weighted or not. */
int posterior_chains(norn_state *, norn_datum info, int64_t draws);
/* The superchains, groups of as many chains each that began at one point, that these chains are in; 0: in none. */
int posterior_superchains(norn_state *, norn_datum info, int64_t draws);
/* Value of a path ("mu", "theta[3]", "a.b") inside a value; NONE if it has no such part. */
norn_datum posterior_part(norn_state *, norn_datum value, const char *path);
/* The table that a posterior prints as (show.c); worst: of all numbers those with the worst R-hat and
   ESS, worst first. */
norn_status posterior_show(norn_state *, const norn_dist *, norn_datum *text);
norn_status posterior_summary(norn_state *, const norn_dist *, bool worst, norn_datum *text);
#endif
