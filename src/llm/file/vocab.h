/* vocab.h: tokens of a model from its GGUF file, and text as tokens.

   Two ways that such files name: "gpt2" (bytes merged pair by pair, in pieces that a pre-tokenizer cuts: Sennrich,
   Haddow, Birch 2016; Radford et al. 2019) and "llama" (SentencePiece: characters merged by score; Kudo, Richardson
   2018).  What is not known is an error that names it. */
#ifndef NORN_LLM_VOCAB_H
#define NORN_LLM_VOCAB_H
#include "llm/file/gguf.h"
#include "llm/llm.h"

typedef struct vocab vocab;
/* Copies what it needs: the file may be closed.  NULL: error set. */
vocab *vocab_new(norn_state *, const gguf *);
void   vocab_free(vocab *);
const lm_vocab *vocab_tokens(const vocab *);      /* for lm->vocab; the vocab's */
bool   vocab_add_begin(const vocab *);            /* the file wants `begin` in front of a context */

/* VOCAB_SPECIAL: names of CONTROL and END tokens in the text are those tokens; otherwise they are
   text like other.  VOCAB_SPACE: a space in front where the file says so (add_space_prefix; only
   "llama" has one), which llama.cpp puts at the beginning of a prompt and behind special tokens.
   Neither: the canonical tokenisation of the text alone (an lm_row's `encode`).  Tokens that the
   file calls user-defined are always taken out first, from left to right the longest, as the
   models' own tokenizers do. */
enum { VOCAB_SPECIAL = 1, VOCAB_SPACE = 2 };
/* Appends to *out.  Every byte is kept: what is no UTF-8 becomes tokens of bytes, and U+2581 in the
   text is not a space, as it is to llama.cpp.  A byte for which there is no token is an error that
   says where. */
norn_status vocab_encode(const vocab *, const char *, size_t n, unsigned flags, lm_tokens *out);
/* The same; VOCAB_SPECIAL is without effect on names that touch one of the stretches (in order). */
typedef struct vocab_span { size_t from, to; } vocab_span;
norn_status vocab_encode_spans(const vocab *, const char *, size_t n, unsigned flags, const vocab_span *, int nspan,
                               lm_tokens *out);

/* Puts tokenizer.ggml.* of a vocabulary of 256 bytes (token i is byte i) and a token 256, "<|endoftext|>", which begins
   and ends texts: what builtin:tiny has. */
void   vocab_put_bytes(gguf_writer *);
#endif
