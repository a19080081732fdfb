/* model_in.h: what the files of model.h share: the places of its tensors, and activations in a room. */
#ifndef NORN_NN_MODEL_IN_H
#define NORN_NN_MODEL_IN_H
#include "nn/block.h"
#include "nn/model.h"

/* Places in nn_params.tensor. */
typedef struct nn_top { nn_pair in, out; } nn_top;

struct nn_model {
  norn_state *st;
  nn_params *p;
  nn_shape s;
  const nn_head *head; int nhead;
  int table;
  nn_blocks on;                /* what block.h wants of it */
  nn_pair norm;
  nn_top *top;                 /* (nhead) */
};

/* Where the arrays of a part of n tokens with nq questions lie. */
typedef struct nn_acts {
  nn_stream s;                 /* rows: tokens or questions, whichever are more */
  int64_t nq, zn;              /* zn: numbers of all answers */
  float *xq, *f, *statf, *hu, *hg, *z;           /* of questions; hu, hg: (nq, ff) */
  float *dxq, *df, *dz;
  float *aq, *q, *xa, *dq, *dxa;                 /* (nq, d) of the last block, where only questions attend */
  int32_t *own;                /* (n) the number of a token in its sequence */
  int32_t *place;              /* (nq) where questions come by rising token */
  int32_t *asked, *own_asked;  /* (nq) in that order: the token, its number in its sequence */
  int16_t *see_asked;
  int32_t *first;              /* (b + 1) questions before each sequence */
  size_t count;
} nn_acts;

struct nn_room {
  norn_state *st;
  void *memory;
  size_t bytes;
  float *at;                   /* aligned to 64 bytes */
  nn_acts acts;
};

static inline int nn_model_mlp_width(const nn_shape *s) { return s->swiglu ? 2 * s->ff : s->ff; }
static inline float *nn_w(const nn_model *m, int tensor) { return nn_weight(m->p, tensor); }
static inline float *nn_g(const nn_model *m, float *g, int tensor) { return nn_gradient(m->p, g, tensor); }
/* Lays out a room's memory; false: there is none. */
bool nn_room_lay(nn_room *, const nn_model *, int64_t n, int64_t keys, const nn_tokens *, bool learn);
/* Who is asked, and where. */
void nn_acts_ask(const nn_acts *, const nn_tokens *);
/* The sequences of a part, whose tokens attend in all blocks but the last. */
nn_sequences nn_acts_sequences(const nn_acts *, const nn_tokens *);
/* z of all questions from rows at[q] of x. */
void nn_model_heads(const nn_model *, const nn_acts *, const nn_tokens *, const int32_t *at, const float *x,
                    bool learn);
#endif
