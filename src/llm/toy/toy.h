/* toy.h: what the small exact models (ngram.c, hmm.c, sim.c) share: a vocabulary made of strings, and tables out of a
   file of JSON or the options of llm(). */
#ifndef NORN_LLM_TOY_H
#define NORN_LLM_TOY_H
#include "llm/llm.h"

/* A vocabulary that can be freed; its last token is the end, named <end>. */
typedef struct toy_vocab { lm_vocab v; size_t ntokens, nbytes; } toy_vocab;
/* Of an array of strings, none of them empty and none twice; "tokens" in messages.  false: error set. */
bool toy_vocab_strings(lm *, toy_vocab *, norn_datum tokens);
/* Of n tokens of given lengths, one after another in bytes. */
bool toy_vocab_make(lm *, toy_vocab *, const char *bytes, const size_t *length, int n);
void toy_vocab_free(lm *, toy_vocab *);
/* The token of n bytes; -1. */
lm_token toy_token(const lm_vocab *, const char *, size_t n);

/* The record behind "scheme:": `table` of the options, or the JSON file named by rest.  NONE: error set. */
norn_datum toy_table(lm *, const char *rest, norn_datum options);
/* A whole file as text, 0-terminated, of n bytes (mem_put n + 1); NULL: error set. */
char      *toy_file(lm *, const char *path, size_t *n);
/* Field `name` of a record as rows x columns probabilities (rows 1: a vector), each row of sum 1
   where `sums`, into out.  false: error set. */
bool toy_probabilities(lm *, norn_datum table, const char *name, int rows, int columns, bool sums, double *out);
/* An option or its default; false: error set. */
bool toy_int(lm *, norn_datum options, const char *name, int64_t least, int64_t most, int64_t *out);
bool toy_real(lm *, norn_datum options, const char *name, double least, double *out);
#endif
