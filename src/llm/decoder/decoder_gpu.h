/* decoder_gpu.h: what the files of the decoder on a GPU share.

       decoder_gpu.c          weights, code, pages of keys and values, what is wrong
       decoder_gpu_batch.c    a batch of tokens through the layers
       decoder_gpu_kernels.h  the steps, as the text that NVRTC gets; decoder_gpu_args.h what they are told

   Weights are the file's bytes, once a state however often the file is opened (gpu_keep).  Pages are slots of slabs. */
#ifndef NORN_LLM_DECODER_GPU_H
#define NORN_LLM_DECODER_GPU_H
#include "gpu/gpu.h"
#include "llm/decoder/decoder_in.h"
#include "llm/decoder/decoder_gpu_args.h"

#define DEC_KERNELS(X) X(places) X(store) X(attend) X(attend_end) X(norm) X(swiglu) X(gelu) X(gather) X(log_softmax)
enum {
#define X(name) DEC_K_##name,
  DEC_KERNELS(X)
#undef X
  DEC_KERNEL_COUNT
};

/* Matrices of a layer, in the order in which they lie there; behind those of all layers is the output's. */
enum { DEC_Q, DEC_K, DEC_V, DEC_O, DEC_GATE, DEC_UP, DEC_DOWN, DEC_MATRICES };
static inline const dec_linear *dec_linear_of(const dec_layer *l, int which)
{
  const dec_linear *all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
  return all[which];
}

/* n pages side by side; those that are free, the first to go last. */
typedef struct dec_slab { gpu_ptr base; int *free; int n, left; } dec_slab;

typedef struct dec_gpu {
  kv_store store;                                /* pages: kv.h */
  gpu_guest guest;
  gpu *g;                                        /* NULL: it has been closed */
  norn_state *st;
  mem *m;
  decoder *d;
  gpu_module *module;
  gpu_kernel *k[DEC_KERNEL_COUNT], *product[QUANT_TYPES][3];     /* of 1, 4 and 8 rows */
  gpu_ptr weights, *matrix, vectors;             /* vectors: of the decoder, floats */
  dec_slab *slab; size_t nslab, cslab;
  gpu_ptr memory; size_t bytes;                  /* of a piece */
  char *host; size_t nhost;
  norn_status bad;                               /* since it was asked last; nothing more is launched */
  char full[300];                                /* why a page could not be had */
} dec_gpu;

/* Sets the error's status as `bad` unless there is one. */
static inline bool dec_gpu_good(dec_gpu *e, norn_status s)
{
  if (!e->bad) e->bad = s;
  return !e->bad;
}
#endif
