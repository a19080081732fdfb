/* vocab_in.h: a vocabulary from the inside.  A symbol is a string of bytes with a number: the tokens first, by their
   numbers, then what merges are made of and is no token. */
#ifndef NORN_LLM_VOCAB_IN_H
#define NORN_LLM_VOCAB_IN_H
#include "llm/file/pretok.h"
#include "llm/file/vocab.h"

typedef struct vocab_merge { uint32_t left, right, rank, result; } vocab_merge;    /* rank UINT32_MAX: an empty place */

struct vocab {
  norn_state *st;
  mem m;
  lm_vocab v;
  bool spm;                            /* "llama"; otherwise "gpt2" */
  bool add_begin, space_prefix;
  const pretok *pre;
  /* symbol i: bytes[at[i]] to bytes[at[i + 1]] */
  uint32_t *at; size_t nat, cat;       /* symbols + 1 */
  uint8_t *bytes; size_t cbytes;
  uint8_t *kind, *type;                /* type: as the file has it, vocab_type */
  float *score;
  uint32_t *slot; size_t nslot;        /* symbols of text by their bytes; UINT32_MAX: empty */
  vocab_merge *merge; size_t nmerge;   /* by the pair */
  uint32_t byte[256];                  /* symbols of single bytes; UINT32_MAX: none */
  /* Tokens that are found by their names in text, those of one first byte together, the longest first. */
  uint32_t *special; int nspecial, first[257];
};

/* tokenizer.ggml.token_type */
enum { VOCAB_NORMAL = 1, VOCAB_UNKNOWN, VOCAB_CONTROL, VOCAB_USER, VOCAB_UNUSED, VOCAB_BYTE };
#define VOCAB_NONE UINT32_MAX

/* The symbol of these bytes; VOCAB_NONE. */
uint32_t vocab_symbol(const vocab *, const uint8_t *, size_t n);
static inline uint64_t vocab_merge_hash(uint32_t left, uint32_t right)
{
  return hash_mix((uint64_t)left << 32 | right);
}
#endif
