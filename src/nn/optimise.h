/* optimise.h: steps of AdamW (Loshchilov, Hutter 2019, "Decoupled Weight Decay Regularization") with warm-up,
   cosine decay, clipping by the norm of the whole gradient, and AdAdaGrad's batch sizes (Lau, Li, Xu, Liu,
   Kolar 2024, "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods"). */
#ifndef NORN_NN_OPTIMISE_H
#define NORN_NN_OPTIMISE_H
#include "nn/params.h"

typedef struct nn_adam {
  double rate;                 /* greatest learning rate */
  double beta1, beta2, eps, decay, clip;     /* clip: greatest norm; 0: none */
  int64_t warm, steps;         /* steps of warm-up; of all (cosine to 0 at the end; 0: no decay) */
  int64_t step;                /* done so far */
} nn_adam;
extern const nn_adam nn_adam_usual;
/* The rate of the next step; progress in [0, 1] stands for step / steps where it is >= 0. */
double nn_adam_rate(const nn_adam *, double progress);
/* One step with gradient g (count).  Gives the gradient's norm before clipping; not finite: nothing is done
   but the step counted. */
double nn_adam_step(nn_adam *, nn_params *, const float *g, double progress);
/* AdAdaGrad's norm test: the batch size that the gradients (parts, count) of a batch's equal parts ask for,
   given that the batch has b sequences: the least with var(g) / b <= theta^2 |g|^2, at least b, at most
   `most`. */
int64_t nn_batch_size(const nn_params *, const float *const *part, int parts, int64_t b, double theta,
                      int64_t most);
#endif
