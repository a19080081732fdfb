/* chains: what moves many Markov chains of Hamiltonian dynamics at once, with one step size, one number
   of steps and one diagonal metric for all (infer/gradient/engine_chees.c; infer/gradient/chains_cpu.c is the executor on
   threads and lanes, a device has another).

       put          where chains start: their densities and gradients
       metric       M^-1 = diag(scale^2) from now on: before the first transition too
       transition   p ~ normal(0, M), `steps` leapfrogs of size `step`, then the new point or the old one
       moments      of positions and gradients over chains, as they are now
       read         positions and numbers of the last transition

   Random numbers are counters of the stream: chain c is lane c, the transition's word its iteration,
   event 0; draw i is the normal of coordinate i (p_i = z_i / scale_i), draw n the uniform of acceptance.
   Sums over chains are taken in an order that depends on the number of chains only. */
#ifndef NORN_GRAPH_CHAINS_H
#define NORN_GRAPH_CHAINS_H
#include "norn.h"

/* What a transition is asked.  trial: no chain moves; what it would have been is told. */
typedef struct chains_ask {
  uint32_t iter;
  int64_t steps;
  double step, least;
  bool learn, trial;
} chains_ask;

/* Of chain m, from q to the end q' of its path with velocity v', by the energy error d_m: acceptance
   a_m = min(1, e^-d_m), 0 where it diverged (d_m above 1000 or not a number, or a density or gradient on
   the path that is not finite); in coordinates of the metric x = q / scale, w' = v' / scale, with the means
   c of x and c' of x' over chains that did not diverge,

       g_m = (|x' - c'|^2 - |x - c|^2) (x' - c')' w'

   (Hoffman, Radul, Sountsov 2021, algorithm 1; times the length of the path it is the derivative of the
   criterion in the logarithm of the length, up to a factor). */
typedef struct chains_told {
  double accept;                       /* mean of a_m */
  double harmonic;                     /* harmonic mean of max(a_m, least) */
  double slope;                        /* sum a_m g_m / sum a_m; only if `learn`; 0: no chain counts */
  double criterion;                    /* sum a_m (|x' - c'|^2 - |x - c|^2)^2 / 4 / sum a_m; likewise */
  int64_t moved, diverged;
} chains_told;

/* Numbers of a chain at its last transition; energy is that after it (0.5 p' M^-1 p - log density). */
enum { CHAINS_LP, CHAINS_ACCEPT, CHAINS_DIVERGED, CHAINS_ENERGY, CHAINS_STATS };
#define CHAINS_MAX_ERROR 1000.0

typedef struct chains_ops {
  const char *name;                    /* "cpu", "gpu" */
  /* q (chains, n).  good (chains): density and gradient are finite there. */
  norn_status (*put)(void *self, const double *q, bool *good);
  norn_status (*metric)(void *self, const double *scale);
  norn_status (*transition)(void *self, const chains_ask *, chains_told *);
  /* m (4, n): means and variances (over chains, divided by their number) of q, then of gradients. */
  norn_status (*moments)(void *self, double *m);
  /* q (chains, n), stat (chains, CHAINS_STATS); either may be NULL. */
  norn_status (*read)(void *self, double *q, double *stat);
  void (*free)(void *self);
} chains_ops;

/* An executor with its chains; errors are set in the state. */
typedef struct chains_run { const chains_ops *ops; void *self; } chains_run;
#endif
