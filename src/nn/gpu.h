/* gpu.h: a net that learns on a GPU: the whole batch at once, with the operations of ops.h as
   kernels (gpu_kernels.h) and products by cuBLASLt.  What it computes is what nn_model_loss and
   nn_adam_step compute, but for rounding. */
#ifndef NORN_NN_GPU_H
#define NORN_NN_GPU_H
#include "gpu/gpu.h"
#include "nn/model.h"
#include "nn/optimise.h"

typedef struct nn_gpu nn_gpu;
/* Weights and, if there are any, moments of the model's parameters go to the device.  bf16: products of numbers of 16
   bits with sums of 32, weights kept in 32 bits beside; needs d / heads and ff to be multiples of 8 (nn_gpu_lacks).
   NULL: error set. */
nn_gpu     *nn_gpu_new(gpu *, const nn_model *, bool bf16);
void        nn_gpu_free(nn_gpu *);
/* Why a net of this shape can't use bf16; NULL: it can. */
const char *nn_gpu_lacks(const nn_shape *);
/* *sum: of -log q over all questions, of each into loss (nq, or NULL); learn: the gradient of the
   sum, times scale, stays there.  An error leaves the weights as they are. */
norn_status nn_gpu_loss(nn_gpu *, const nn_tokens *, float scale, bool learn, double *sum, double *loss);
/* As nn_adam_step, with the gradient that is there; *norm: its norm before clipping, not finite:
   nothing is done but the step counted. */
norn_status nn_gpu_step(nn_gpu *, nn_adam *, double progress, double *norm);
/* Weights, and moments if the parameters have them, back to the model's; put: from there again. */
norn_status nn_gpu_read(nn_gpu *);
norn_status nn_gpu_put(nn_gpu *);
/* Where a step's time goes: from nn_gpu_watch on, marks stand in the stream wherever the kind of work changes, up to a few
   hundred; nn_gpu_watched ends that, waits and gives the seconds of each (marks cost some, so steps are timed without). */
typedef enum { NN_GPU_PRODUCTS, NN_GPU_ATTENTION, NN_GPU_REST, NN_GPU_PARTS } nn_gpu_part;
norn_status nn_gpu_watch(nn_gpu *);
norn_status nn_gpu_watched(nn_gpu *, double seconds[NN_GPU_PARTS]);
/* The gradient, laid out as parameters are (count). */
norn_status nn_gpu_gradient(nn_gpu *, float *g);
#endif
