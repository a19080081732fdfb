/* causal.h: a causal transformer of GPT-2's shape (Radford et al. 2019, "Language Models are Unsupervised Multitask
   Learners"), to be trained; what is trained is run by the decoder of src/llm.

       x (n, d)  = the token's row + the place's row
       x        += attention(LN(x)) of what stands before     for each block
       x        += MLP(LN(x))                                 GELU, its tanh form
       z (n, v)  = LN(x) w'                                   scores of the next token

   Its tensors have the names of GGUF files.  A batch is a number of texts, one after the other and of any lengths
   up to the window; none sees another, and the places of each count from 0. */
#ifndef NORN_NN_CAUSAL_H
#define NORN_NN_CAUSAL_H
#include "nn/params.h"

typedef struct nn_causal_shape {
  int d, layers, heads, ff;    /* d a multiple of heads */
  int window, tokens;          /* the longest text; rows of the tables */
} nn_causal_shape;

typedef struct nn_causal nn_causal;
/* Names its tensors in p (borrowed); the caller calls nn_params_make after it, and then nn_causal_start or fills them.
   NULL: error set. */
nn_causal *nn_causal_new(norn_state *, nn_params *p, const nn_causal_shape *);
void       nn_causal_free(nn_causal *);
void       nn_causal_start(nn_causal *, norn_rng *);

typedef struct nn_texts {
  int b;
  const int32_t *first;        /* (b + 1): text i is token[first[i]] .. token[first[i + 1] - 1] */
  const int32_t *token;        /* (n) */
  const int32_t *target;       /* (n): what follows; -1: not asked */
} nn_texts;

/* How many numbers of memory (aligned to 64 bytes) texts of n tokens in all, the longest of `longest`, need. */
size_t nn_causal_room(const nn_causal *, int64_t n, int longest, bool learn);
/* The sum of -log p(target), in f64; adds its gradient, times scale, to g (params' count) unless g is NULL.  On any
   thread. */
double nn_causal_loss(const nn_causal *, const nn_texts *, float scale, float *g, float *room);
/* z (n, tokens) */
void   nn_causal_scores(const nn_causal *, const nn_texts *, float *z, float *room);
#endif
