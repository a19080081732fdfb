/* decoder.h: transformers that give the next token's distribution, from GGUF files: llama (RMSNorm, rotary
   positions, grouped-query attention, SwiGLU), qwen2 (the same with biases) and gpt2 (LayerNorm, learned
   positions, GELU).

   Weights stay in the mapped file, in the format that they have there.  Contexts are nodes of the trie of
   llm.h; their keys and values stand in pages (kv.h), and all nodes that one call wants go through the layers
   together.  The numbers of a context do not depend on what else is in the batch, on pages or on threads: every
   sum has an order of its own.  On a GPU (decoder_there) they are others, by rounding, and hold to the same. */
#ifndef NORN_LLM_DECODER_H
#define NORN_LLM_DECODER_H
#include "base/pool.h"
#include "llm/file/gguf.h"
#include "llm/decoder/kv.h"
#include "llm/llm.h"

/* A matrix (rows, k) as it stands in the file; data NULL: there is none. */
typedef struct dec_weight { quant_type type; const uint8_t *data; int64_t rows, k; size_t row; } dec_weight;
/* A norm: gain and (LayerNorm) bias. */
typedef struct dec_norm { const float *gain, *bias; } dec_norm;
typedef struct dec_linear { dec_weight w; const float *bias; } dec_linear;
typedef struct dec_layer {
  dec_norm before, middle;                       /* attention, the feed-forward part */
  dec_linear q, k, v, o, gate, up, down;         /* gate: none in gpt2 */
} dec_layer;

typedef enum dec_rope { DEC_NO_ROPE, DEC_ROPE_PAIRS, DEC_ROPE_HALVES } dec_rope;
typedef struct decoder {
  norn_state *st;
  mem *m;
  const gguf *file;
  const char *arch;
  int layers, heads, kv_heads, width, d, ff, vocab, window;      /* width: of the stream; d: of a head */
  bool layer_norm;                               /* otherwise RMSNorm */
  float eps;
  dec_rope rope;
  int nrope;                                     /* numbers of a head that are turned */
  double *turn;                                  /* (nrope / 2) radians a position */
  dec_weight embed, position;
  dec_layer *layer;
  dec_norm last;
  dec_linear out;
  float *vectors; size_t nvectors, avectors;     /* copies of norms and biases; used, room */
  double parameters;
  kv kv;
  pool pool, solo;                               /* solo: the caller alone, for what is soon done */
  pthread_t *thread; int threads;
  struct dec_gpu *there;                         /* NULL: on the CPU */
  size_t cache;                                  /* bytes of keys and values that may stay here */
  bool returns;                                  /* after a failure there the CPU goes on */
  char why[300];                                 /* it does: of what */
} decoder;

/* cache: bytes of keys and values that may stay; threads: 0: as the state's configuration has it. file stays the
   caller's and open. false: error set, nothing to close. */
bool decoder_open(decoder *, norn_state *, mem *, const gguf *file, size_t cache, int threads);
void decoder_close(decoder *);
struct gpu;
/* From now on, and before anything was evaluated, on a GPU: weights go there as they are in the file, keys and values
   stay there.  cache: as above; negative: a quarter of what is free there then.  returns: what fails there later makes
   the CPU go on, with a warning, and is no error.  false: error set, and it stays on the CPU. */
bool decoder_there(decoder *, struct gpu *, double cache, bool returns);
/* Is it predicted to be faster there? */
bool decoder_pays_there(const decoder *);
/* lm_row's eval and forget. */
norn_status decoder_eval(decoder *, lm *, lm_node *const *, int n);
static inline void decoder_forget(decoder *d, lm_node *n) { kv_drop(&d->kv, n); }
#endif
