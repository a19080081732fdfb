/* pretok.h: how a tokenizer of the kind "gpt2" cuts text into pieces before it merges bytes.  Files
   name the way (tokenizer.ggml.pre); each is a regular expression in the model's original files,
   written by hand here.  The names and expressions are those of llama.cpp (src/llama-vocab.cpp). */
#ifndef NORN_LLM_PRETOK_H
#define NORN_LLM_PRETOK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pretok pretok;
/* NULL: the name is not known. */
const pretok *pretok_find(const char *name, size_t n);
/* A piece that is a token is not merged from its bytes; the begin token goes in front where the file does not say. */
bool pretok_whole_first(const pretok *);
bool pretok_add_begin(const pretok *);
/* Calls `piece` for each piece in turn, until it says false, which is then the answer.  Bytes that are no UTF-8 are
   characters of no class. */
bool pretok_split(const pretok *, const uint8_t *s, size_t n, bool (*piece)(void *, size_t from, size_t to), void *);
#endif
