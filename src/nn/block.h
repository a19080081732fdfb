/* block.h: the pre-LN block of a transformer (Xiong et al. 2020, "On Layer Normalization in the Transformer
   Architecture"), forwards and backwards, on one thread: what the nets of model.h and the language models of causal.h
   have in common.

       x1 = x  + out(attention(LN(x)))
       x2 = x1 + MLP(LN(x1))                GELU or SwiGLU

   on sequences that lie one after another and do not see each other; who sees whom within one is tokens.h's. */
#ifndef NORN_NN_BLOCK_H
#define NORN_NN_BLOCK_H
#include "nn/ops.h"
#include "nn/params.h"

/* Places in nn_params.tensor: a product's weight (rows, columns) and bias, or a norm's gain and bias. */
typedef struct nn_pair { int weight, bias; } nn_pair;
typedef struct nn_block { nn_pair norm1, qkv, out, norm2, mlp_in, mlp_out; } nn_block;

/* The blocks of one transformer; all but `block` is the caller's. */
typedef struct nn_blocks {
  nn_params *p;
  int d, heads, ff, layers;    /* d a multiple of heads */
  bool swiglu;                 /* else GELU (its tanh form) */
  nn_block *block;             /* (layers) */
} nn_blocks;

static inline int nn_mlp_width(const nn_blocks *m) { return m->swiglu ? 2 * m->ff : m->ff; }
static inline float *nn_weight(const nn_params *p, int tensor) { return p->w + p->tensor[tensor].at; }
static inline float *nn_gradient(const nn_params *p, float *g, int tensor) { return g + p->tensor[tensor].at; }

/* ---- tensors ---- */

/* What files call them: block l's are "of.l.norm1.weight" and so on. */
typedef struct nn_block_names { const char *of, *norm1, *qkv, *out, *norm2, *mlp_in, *mlp_out; } nn_block_names;
/* Names base.weight and base.bias; columns 0: of a norm.  false: no memory (error set). */
bool nn_pair_name(nn_params *, nn_pair *, int64_t rows, int64_t columns, const char *base);
bool nn_block_name(const nn_blocks *, int l, const nn_block_names *);
/* First weights of block l: sums of d terms have the size of one, and the block adds nothing yet. */
void nn_block_start(const nn_blocks *, int l, norn_rng *);

/* ---- where things lie ---- */

/* Arrays of n tokens in memory that begins at `base` (NULL: only counted, in numbers); each begins at a cache line and
   may be read a register beyond its end. */
typedef struct nn_lay { float *base; size_t count; } nn_lay;
float *nn_take(nn_lay *, int64_t n);

/* The stream and what blocks keep for going back, which lies `layer` numbers further for each; if nothing is learned all
   use one, and x2 is x.  rows >= n: of what follows attention. */
typedef struct nn_stream {
  int64_t n, layer;
  float *x;                                      /* (n, d) before block 0 */
  float *a, *qkv, *lse, *o, *x1, *c, *u, *g, *x2, *stat1, *stat2;
  float *dx, *dn, *dqkv, *du, *dg;               /* derivatives: dx in the stream (rows, d) */
  float *scratch;                                /* of attention */
} nn_stream;
void nn_stream_lay(nn_stream *, nn_lay *, const nn_blocks *, int64_t n, int64_t rows, bool learn);
void nn_stream_lay_scratch(nn_stream *, nn_lay *, const nn_blocks *, int64_t keys);     /* of sequences of so many */
/* What block l reads: x, or what the one before gave. */
static inline const float *nn_stream_before(const nn_stream *v, int l) { return l ? v->x2 + (l - 1) * v->layer : v->x; }

/* Who is in which sequence: sequence i has the tokens first[i] .. first[i + 1] - 1, or, if first is NULL, t each. */
typedef struct nn_sequences {
  int b, t;
  const int32_t *first;
  const int32_t *own;          /* (n) its number in its sequence, which it sees in any case; NULL: not so */
  const int16_t *see, *order;  /* (n) */
} nn_sequences;

/* ---- a block ---- */

/* From x (n, d) to x2 of block l (`layer` l further). */
void nn_block_forward(const nn_blocks *, int l, const nn_stream *, const nn_sequences *, const float *x, bool learn);
/* From dx after it to dx before; x is what it read.  Adds to g (params' count). */
void nn_block_backward(const nn_blocks *, int l, const nn_stream *, const nn_sequences *, const float *x, float *g);
/* Their parts behind attention, on n rows of it, with what is kept `shift` numbers on: x1 = x + out(o), x2 = x1 +
   MLP(LN(x1)); and from dx to dx before and dn, the derivative in o. */
void nn_block_mlp(const nn_blocks *, const nn_block *, const nn_stream *, int64_t n, const float *x, int64_t shift,
                  float *x1, float *x2, bool learn);
void nn_block_mlp_backward(const nn_blocks *, const nn_block *, const nn_stream *, int64_t n, int64_t shift, float *g);
#endif
