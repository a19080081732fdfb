/* norn_net.h: nets that learn a program's posterior from the program itself, for C programs.  Training draws
   runs of the program, choices from their priors and data from them, and learns which choices explain
   which data; the net is then a value that the engine amortized asks:

       norn_training *t = norn_training_new(st, model, spec, 60, 0, 1);
       while (norn_training_step(t) == NORN_STEP_MORE) ...
       norn_datum net = norn_training_net(t);

   and infer(model(data), amortized(net)) in Norn, or norn_infer_new with that engine's value.  The rules of
   norn.h hold here; a net lives as other values do (norn_keep). */
#ifndef NORN_NET_H
#define NORN_NET_H

#include "norn.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct norn_training norn_training;
/* model: a model value, or a function or model without parameters that gives one (so that sizes of data and priors
   vary).  spec: what npe(...), pfn(...) or distribution_transformer(...) gives.  It goes on for so many seconds, or
   if these are 0 for so many steps (0: 3000); for given steps the net is the same, to the bit, on any number of
   threads.  NULL: error set. */
norn_training *norn_training_new(norn_state *, norn_datum model, norn_datum spec, double seconds, int64_t steps,
                                 uint64_t seed);
/* Where the net learns, before its first step: "cpu"; "gpu", an error where that can't be; "auto": a GPU if there is
   one and the net is not small.  bf16: products there are of 16-bit numbers; else of floats. */
norn_status    norn_training_device(norn_training *, const char *device, bool bf16);
/* A piece of the work: one step.  FAIL: error set; norn_training_net still gives the last good net. */
norn_step      norn_training_step(norn_training *);
typedef struct {
  int64_t step; double fraction;       /* done; of the whole */
  double loss, held_out;               /* mean -log q a question, of late and on runs never trained on */
  double marginal;                     /* what held_out would be of the best answer that looks at no data */
  double efficiency, kl;               /* on held-out data, of late: ESS of an importance draw; KL(exact || net) a
                                          data set (of pfn: an answer) in nats.  NAN: not known (yet) */
  double rate, runs_per_second;
  int64_t batch, skipped;              /* runs a step; steps that were not finite, and not taken */
} norn_trained;
void           norn_training_look(const norn_training *, norn_trained *);
/* The same for who shows the progress of inferences. */
void           norn_training_progress(const norn_training *, norn_progress *);
/* What has been learned so far.  NONE: error set. */
norn_datum     norn_training_net(norn_training *);
/* Writes all that is needed to go on to the same bits, beside the file first; load goes on, with the same program. */
norn_status    norn_training_save(norn_training *, const char *path);
norn_training *norn_training_load(norn_state *, norn_datum model, const char *path);
/* Is what was loaded from path what is asked for?  An error, which says all that differs: the spec (NONE: any) in what it
   was given, the length (both 0: any) and the seed (NULL: any). */
norn_status    norn_training_agrees(const norn_training *, const char *path, norn_datum spec, double seconds,
                                    int64_t steps, const uint64_t *seed);
void           norn_training_free(norn_training *);

/* A net as a safetensors file, and back: it is one of its program only.  NONE: error set. */
norn_status    norn_net_save(norn_state *, norn_datum net, const char *path);
norn_datum     norn_net_load(norn_state *, const char *path);
/* What it tells of itself, a record: kind, model, loss, held_out, marginal, efficiency, kl, steps, runs, seconds, parameters, seed,
   sites, inputs.  NONE: error set. */
norn_datum     norn_net_info(norn_state *, norn_datum net);

#if defined __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
