/* vocab.h: tokens of a model from its GGUF file, and text as tokens.

   Two ways that such files name: "gpt2" (bytes merged pair by pair, in pieces that a pre-tokenizer cuts: Sennrich,
   Haddow, Birch 2016; Radford et al. 2019) and "llama" (SentencePiece: characters merged by score; Kudo, Richardson
   2018).  What is not known is an error that names it. */
#ifndef NORN_LLM_VOCAB_H
#define NORN_LLM_VOCAB_H
#include "llm/gguf.h"
#include "llm/llm.h"

typedef struct vocab vocab;
/* Copies what it needs: the file may be closed.  NULL: error set. */
vocab *vocab_new(norn_state *, const gguf *);
void   vocab_free(vocab *);
const lm_vocab *vocab_tokens(const vocab *);      /* for lm->vocab; the vocab's */
bool   vocab_add_begin(const vocab *);            /* the file wants `begin` in front of a context */
/* A token by its name or its bytes; -1: none. */
lm_token vocab_find(const vocab *, const char *, size_t n);

/* VOCAB_SPECIAL: names of CONTROL and END tokens (and what the file calls user-defined) in the text are those tokens;
   otherwise they are text like other.  VOCAB_SPACE: a space in front where the file says so (add_space_prefix; only
   "llama" has one): what llama.cpp does at the beginning of a prompt and behind special tokens.  Neither: the canonical
   tokenisation of the text alone (an lm_row's `encode`). */
enum { VOCAB_SPECIAL = 1, VOCAB_SPACE = 2 };
/* Appends to *out.  What the vocabulary can't write (bytes it lacks) is an error that says where. */
norn_status vocab_encode(const vocab *, const char *, size_t n, unsigned flags, lm_tokens *out);

/* Puts tokenizer.ggml.* of a vocabulary of 256 bytes (token i is byte i) and a token 256, "<|endoftext|>", which begins
   and ends texts: what builtin:tiny has. */
void   vocab_put_bytes(gguf_writer *);
#endif
