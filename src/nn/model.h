/* model.h: the transformer: a table of embeddings, pre-LN blocks, and heads.

       x (t, d)  = tokens by the table                         tokens.h
       x        += attention(LN(x))      for each block        block.h, attention_level.c
       x        += MLP(LN(x))                                  GELU or SwiGLU
       z (nq, k) = head(LN(x[at]))       for each question     d -> ff -> k, one for each head (head.h)

   Each operation is a pair X_forward, X_backward on one thread, in f32, shapes at every argument (ops.h).  A
   batch is split into parts of sequences, always the same whatever the threads; each part has a gradient of
   its own, and these are added in order. */
#ifndef NORN_NN_MODEL_H
#define NORN_NN_MODEL_H
#include "nn/head.h"
#include "nn/params.h"
#include "nn/tokens.h"

typedef struct nn_shape {
  int d, layers, heads, ff;    /* d a multiple of heads; ff: width of the MLP, and of a head's */
  bool swiglu;                 /* else GELU (its tanh form) */
  int rows;                    /* of the table */
} nn_shape;

typedef struct nn_model nn_model;
/* Names its tensors in p: of the table, of blocks, and of nheads heads (borrowed for its life, as p is).  The
   caller calls nn_params_make after it, and then nn_model_start.  NULL: error set. */
nn_model *nn_model_new(norn_state *, nn_params *p, const nn_shape *, const nn_head *heads, int nheads);
void      nn_model_free(nn_model *);
/* First weights. */
void      nn_model_start(nn_model *, norn_rng *);

/* A thread's room for one part; grows with the largest.  NULL: error set. */
typedef struct nn_room nn_room;
nn_room  *nn_room_new(norn_state *);
void      nn_room_free(nn_room *);
/* false: no memory (no error is set: it may be called on any thread; makes room for a batch of that size). */
bool      nn_room_fit(nn_room *, const nn_model *, const nn_tokens *, bool learn);

/* The sum over questions of -log q(target), in f64; adds its gradient, times scale, to g (params' count)
   unless g is NULL.  loss (nq, or NULL): each.  The room must fit. */
double    nn_model_loss(const nn_model *, nn_room *, const nn_tokens *, float scale, float *g, double *loss);
/* z (nq, its head's width each, one after another): the raw outputs of each question's head. */
void      nn_model_answers(const nn_model *, nn_room *, const nn_tokens *, float *z);

/* ---- one after another: what is asked depends on what was answered ---- */

/* A memory of keys and values: of one context that n sequences share, and of up to `most` tokens of each.
   NULL: error set. */
typedef struct nn_memory nn_memory;
nn_memory *nn_memory_new(norn_state *, const nn_model *, int n, int most);
void       nn_memory_free(nn_memory *);
/* The context: one sequence of tokens (b = 1; see 1), before anything else. */
bool       nn_memory_context(nn_memory *, nn_room *, const nn_tokens *);
/* The next tokens of sequences who[0 .. b-1], t of each, in tk (b, t), of which those whose order is not
   NN_UNSEEN are remembered; they see all that is remembered of their sequence, the context, and one another
   by order and see, which count from the beginning of the sequence.  z: the answers to its questions.  false:
   no memory, error set.  (One call at a time: it uses the memory's own notes.) */
bool       nn_memory_next(nn_memory *, nn_room *, const int32_t *who, const nn_tokens *, float *z);
/* Sequence to[k] becomes a copy of from[k], k < n; both rise, no place is in both (resampling). */
void       nn_memory_copy(nn_memory *, const int32_t *to, const int32_t *from, int n);
/* Forgets the sequences, not the context. */
void       nn_memory_restart(nn_memory *);
/* Of a checkpoint: what its sequences remember, into one of the same model, context and size; false: the archive has
   failed. */
bool       nn_memory_archive(norn_archive *, nn_memory *);
#endif
