/* params.h: the numbers that a net learns: named tensors in one array, with their gradients and the moments
   of the optimiser in arrays of the same layout beside it. */
#ifndef NORN_NN_PARAMS_H
#define NORN_NN_PARAMS_H
#include "norn.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct nn_tensor {
  char name[96];               /* "block.0.attention.qkv.weight": as in files */
  int rank; int64_t dims[2];   /* row-major */
  size_t at, n;                /* where its numbers begin; how many */
  bool decay;                  /* AdamW shrinks it: weights of products, not biases, gains and embeddings */
} nn_tensor;

typedef struct nn_params {
  norn_state *st;
  nn_tensor *tensor; int n, cap;
  size_t count;                /* numbers in all, each tensor starting at a multiple of 16 */
  float *w;                    /* (count) */
  float *m, *v;                /* (count) moments of AdamW; NULL: not for training */
} nn_params;

void nn_params_init(nn_params *, norn_state *);
void nn_params_free(nn_params *);
/* Names a tensor (before nn_params_make); its place in `tensor`, or -1: no memory (error set). */
int  nn_params_add(nn_params *, const char *name, int rank, const int64_t *dims, bool decay);
/* Takes the memory, all zero; learn: the moments too.  false: error set. */
bool nn_params_make(nn_params *, bool learn);
/* NULL: there is none of that name. */
const nn_tensor *nn_params_find(const nn_params *, const char *name);
/* Fills a tensor with sd times standard normal numbers of *g, or with one number. */
void nn_params_normal(nn_params *, int tensor, double sd, norn_rng *g);
void nn_params_fill(nn_params *, int tensor, double x);
#endif
