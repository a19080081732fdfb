/* model_in.h: what the files of model.h share: the places of its tensors, and activations in a room. */
#ifndef NORN_NN_MODEL_IN_H
#define NORN_NN_MODEL_IN_H
#include "nn/model.h"
#include "nn/ops.h"

/* Places in nn_params.tensor. */
typedef struct nn_pair { int weight, bias; } nn_pair;
typedef struct nn_block { nn_pair norm1, qkv, out, norm2, mlp_in, mlp_out; } nn_block;
typedef struct nn_top { nn_pair in, out; } nn_top;

struct nn_model {
  norn_state *st;
  nn_params *p;
  nn_shape s;
  const nn_head *head; int nhead;
  int table;
  nn_block *block;             /* (layers) */
  nn_pair norm;
  nn_top *top;                 /* (nhead) */
};

/* Where the arrays of a part of n tokens with nq questions lie.  What a block keeps for going back lies
   `layer` numbers further for each block; if nothing is learned all blocks use one. */
typedef struct nn_acts {
  int64_t n, nq, zn;           /* zn: numbers of all answers */
  int64_t layer;
  float *x;                    /* (n, d) tokens, before block 0 */
  float *a, *qkv, *lse, *o, *x1, *c, *u, *g, *x2, *stat1, *stat2;
  float *xq, *f, *statf, *hu, *hg, *z;           /* of questions; hu, hg: (nq, ff) */
  float *dx, *dn, *dqkv, *du, *dg, *dxq, *df, *dz;
  float *aq, *q, *xa, *dq, *dxa;                 /* (nq, d) of the last block, where only questions attend */
  int32_t *own;                /* (n) the number of a token in its sequence */
  int32_t *place;              /* (nq) where questions come by rising token */
  int32_t *asked, *own_asked;  /* (nq) in that order: the token, its number in its sequence */
  int16_t *see_asked;
  int32_t *first;              /* (b + 1) questions before each sequence */
  float *scratch;              /* of attention */
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
static inline float *nn_w(const nn_model *m, int tensor) { return m->p->w + m->p->tensor[tensor].at; }
static inline float *nn_g(const nn_model *m, float *g, int tensor) { return g + m->p->tensor[tensor].at; }
/* Lays out a room's memory; false: there is none. */
bool nn_room_lay(nn_room *, const nn_model *, int64_t n, int64_t keys, const nn_tokens *, bool learn);
/* Who is asked, and where. */
void nn_acts_ask(const nn_acts *, const nn_tokens *);
/* One block on all tokens of a part, from x (n, d) to v->x2. */
void nn_block_forward(const nn_model *, int l, const nn_acts *, const nn_tokens *, const float *x,
                      bool learn);
/* Parts of a block on n rows: x1 = x + out(o), then x2 = x1 + MLP(LN(x1)); u keeps what going back needs if
   learn. */
void nn_block_mlp(const nn_model *, const nn_block *, const nn_acts *, int64_t n, const float *x,
                  int64_t shift, float *x1, float *x2, bool learn);
/* z of all questions from rows at[q] of x. */
void nn_model_heads(const nn_model *, const nn_acts *, const nn_tokens *, const int32_t *at, const float *x,
                    bool learn);
#endif
