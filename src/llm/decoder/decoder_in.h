/* decoder_in.h: what the files of the decoder share: the kernels that are compiled for each CPU level. */
#ifndef NORN_LLM_DECODER_IN_H
#define NORN_LLM_DECODER_IN_H
#include "llm/decoder/decoder.h"

/* Numbers of a row of weights at once, rows of weights at once, and rows that are made floats together. */
enum { DEC_DEEP = 1024, DEC_TILE = 4, DEC_STRIPE = 32 };

/* y = x w' + bias, or added to y, of m rows: y[r][at + j] for row j of w.  y: row r at y + r ldy; rows: where each
   stands, instead. */
typedef struct dec_product {
  const dec_linear *of;
  const float *x; int64_t ldx;
  float *y; int64_t ldy;
  float *const *rows;
  int m;
  bool add;
} dec_product;

/* Rows from .. to - 1 of the batch see the first `seen` tokens of a page, which stand at positions `first` on.  The
   spans that cover a row come in the order of positions. */
typedef struct dec_span { const kv_page *page; int seen, first, from, to; } dec_span;
typedef struct dec_attend {
  const kv *kv;
  const dec_span *span; int spans;
  const int *length;                             /* (rows) keys that each sees */
  const float *q; float *y; int64_t step;        /* (rows, heads d) */
  int group, layer;                              /* heads that share keys */
} dec_attend;

typedef struct dec_kernels {
  /* For rows from .. to - 1 of the weights.  scratch: DEC_STRIPE DEC_DEEP floats. */
  void (*product)(const dec_product *, int64_t from, int64_t to, float *scratch);
  /* Attention of one head of keys, of rows from .. to - 1.  scratch: dec_attend_room. */
  void (*attend)(const dec_attend *, int head, int from, int to, float *scratch);
  void (*norm)(int64_t n, const float *x, const dec_norm *, bool layer_norm, float eps, float *y);
  void (*swiglu)(int64_t n, const float *up, float *gate);           /* gate = silu(gate) up */
  void (*gelu)(int64_t n, float *x);
  void (*add)(int64_t n, const float *x, float *y);                  /* y += x */
  void (*log_softmax)(int64_t n, float *x);
} dec_kernels;
extern const dec_kernels dec_base, dec_avx2, dec_avx512;

/* Floats of scratch that attention of n rows needs. */
static inline size_t dec_attend_room(const dec_attend *a, int n, int longest)
{
  size_t queries = (size_t)n * (size_t)a->group;
  return queries * ((size_t)(longest + 2 * KV_PAGE) + 2 * (size_t)a->kv->wide) + 64;
}

/* ---- a batch (decoder_plan.c) ---- */

/* A token to be computed, at its place in the order of the batch. */
typedef struct dec_row { lm_node *node; bool asked, fresh; } dec_row;
typedef struct dec_batch {
  mem *m;
  dec_row *row; size_t n, cap;
} dec_batch;

/* What has to be computed for n nodes, with a place for each (kv).  false: no memory, and nothing has one. */
bool dec_batch_make(decoder *, lm_node *const *, int n, dec_batch *);
/* keep: the first rows, that have been computed; the others give their places back. */
void dec_batch_free(decoder *, dec_batch *, size_t keep);
/* The spans of n nodes (*spans, in *room of a growing array) and how many keys each sees.  false: no memory. */
bool dec_spans(mem *, lm_node *const *, int n, dec_span **span, size_t *room, int *spans, int *length);

/* ---- what both devices do (decoder.c) ---- */

/* x (n, ldx): what n tokens are before the first layer; turn (n, nrope): cosine and sine of how far its position turns
   each pair.  more: room for a row of the stream. */
void dec_begin(const decoder *, lm_node *const *, int n, float *x, int64_t ldx, float *more, float *turn);
/* Counts a piece in the ledger.  length (n): keys that each sees. */
void dec_count(const decoder *, lm *, const int *length, int n);

/* ---- on a GPU ---- */

/* The rows of a batch (decoder_gpu_batch.c); *done of them have their keys and values. */
norn_status dec_gpu_run(decoder *, lm *, dec_batch *, size_t *done);
/* The error of a batch that got no places; NORN_OK: it was the host's memory. */
norn_status dec_gpu_full(const decoder *);
/* Has it failed there since it was asked last? */
bool        dec_gpu_failed(decoder *);
void        dec_gpu_free(decoder *);
#endif
