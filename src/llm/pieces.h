/* pieces.h: a text cut into what a language model learns from: windows of bytes with their begin and end tokens, which
   ones being a function of seed, step and number alone.

   A document is what empty lines divide, or the whole text; a long one is cut into pieces of a few windows.  Each
   document begins and ends with the token 256.  One piece of 53 (or the last, if there are fewer) is held out: it is
   never drawn, and tells how well the model does on what it has not seen. */
#ifndef NORN_LLM_PIECES_H
#define NORN_LLM_PIECES_H
#include "base/base.h"

enum { PIECES_EDGE = 256, PIECES_TOKENS = 257 };

typedef struct piece {
  size_t at; int32_t n;            /* bytes of the text */
  bool begins, ends;               /* a document: the edge stands before, behind */
} piece;

typedef struct pieces {
  norn_state *st;
  const char *text;
  int context;
  piece *v; size_t n, cap;         /* those that are learned, then those held out */
  size_t learned, documents;
  size_t *windows;                 /* (learned + 1) windows before each */
} pieces;

/* The text is borrowed.  false: error set. */
bool pieces_make(pieces *, norn_state *, const char *text, size_t n, bool documents, int context);
void pieces_free(pieces *);
/* The window of that number of that step: its length (tokens of which the next is asked), at most
   the context; token and target get so many.  A held one: the first window of piece learned + i. */
int  pieces_draw(const pieces *, uint64_t stream, int64_t step, int number, int32_t *token, int32_t *target);
int  pieces_held(const pieces *, size_t i, int32_t *token, int32_t *target);
#endif
