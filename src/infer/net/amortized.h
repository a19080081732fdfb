/* amortized.h: posteriors by a net: what the parts of the engine share.

       amortized.c         the engine: options, the net, weighted draws, their verdict, falling back
       amortized_leave.c   what becomes of draws: a posterior of weights, of chains, of predictions
       amortized_smc.c     the net inside of smc */
#ifndef NORN_INFER_AMORTIZED_H
#define NORN_INFER_AMORTIZED_H
#include "infer/net/net.h"
#include "infer/particles/together.h"

enum {
  AMORTIZED_NET,
  AMORTIZED_DRAWS,
  AMORTIZED_CORRECT,
  AMORTIZED_DEFENSIVE,
  AMORTIZED_FALLBACK,
  AMORTIZED_CHECK
};
typedef enum { CORRECT_WEIGHTS, CORRECT_NOT, CORRECT_MH, CORRECT_SMC } correct_how;
typedef enum {
  AMORTIZED_BEGIN,
  AMORTIZED_DRAW,
  AMORTIZED_LEAVE,
  AMORTIZED_END,
  AMORTIZED_PARTICLES
} amortized_phase;

/* Sums over the draws: log mean weight and its error; effective draws; KL(posterior || proposal) as the weights have it; the share of the weights that the
   prior's part of the proposal carries; the shape of their tail; draws of weight above 0. */
typedef struct amortized_sums { double log_z, se, ess, kl, share, khat; int64_t alive; } amortized_sums;

typedef struct amortized {
  const net *net;
  net *own;                            /* read from a file */
  correct_how how;
  bool chosen;                         /* correct was given */
  bool predicts;                       /* a pfn beside other choices: predictions, uncorrected */
  amortized_phase at;
  double defensive;
  bool fallback;
  int64_t check;
  int64_t n, done, left;               /* draws; done so far; of those, given to the inference */
  net_asked *asked;
  swarm s;                             /* (n) whole runs, made in blocks */
  together t;
  bool going;                          /* a block is on its way: runs done .. done + block - 1 */
  int64_t block;
  double *logq, *logp;                 /* (n) of the choices: under the net, under the prior */
  double *logw, *smooth;               /* (n) of the draws; smoothed */
  bool *prior;                         /* (n) drawn from the prior's part */
  double *q, *p; bool *draw;           /* (most at once) */
  int32_t *who;
  amortized_sums sums;
  uint64_t *missing; size_t nmissing, cmissing;    /* addresses of missing observations, rising */
  uint32_t *path; size_t cpath;
  /* of correct = mh(...) */
  int64_t draws, burn, thin, chains, now, proposed, accepted;
  /* of correct = smc(...) */
  void *smc;
  norn_ref *engine;
} amortized;

/* The net of an option: a value, or read from the file of that name into *own (else NULL); of this model's
   program. NULL: error set. */
const net  *amortized_net(norn_infer *, int option, net **own);

/* ---- amortized_leave.c ---- */
norn_status mh_options_of(norn_infer *, amortized *, norn_datum engine);
/* A piece of the draws to the inference. */
norn_step   amortized_leave(norn_infer *, amortized *);
/* Notes of the verdict. */
void        amortized_note(norn_infer *, const amortized *);
norn_status amortized_report(norn_infer *, amortized *);
/* Of log weights (n): the shape of their tail, -infinity if they are so even that they have none; smoothed in
   place where that can be. */
bool        amortized_khat(norn_state *, double *logw, size_t n, double *khat);

/* ---- amortized_smc.c ---- */
norn_status amortized_smc_begin(norn_infer *, amortized *);
norn_status amortized_smc_finish(norn_infer *, amortized *);

/* The generator of an engine's decision about a choice. */
void        amortized_numbers(const norn_run *, const norn_event *, norn_rng *);
#endif
