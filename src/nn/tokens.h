/* tokens.h: what a transformer of this library reads and is asked: sequences of tokens.

   A token is a sum of rows of one table (rows, d), each with a coefficient:

       x[i] = sum_j coef[i, j] table[row[i, j]]

   so that a number is its row times the number, a category the row of its value, a missing value or an
   address a row of its own.  Which rows mean what is the business of who makes the tokens (infer/net/net.h).

   Who sees whom is two small numbers a token: i sees k where k == i, or order[k] < see[i].

       a token of the context            order 0     see 1      the context, whatever its order
       the value of choice r = 1, 2 ..   order r     see r      the context, and the values before it
       the question for choice r         order NONE  see r      the same; seen by nobody
       padding                           order NONE  see 0      itself

   Full attention is order 0, see 1; causal is order i, see i. */
#ifndef NORN_NN_TOKENS_H
#define NORN_NN_TOKENS_H
#include "norn.h"
#include <stdint.h>

#define NN_UNSEEN INT16_MAX

/* b sequences of t tokens.  Arrays are the caller's. */
typedef struct nn_tokens {
  int b, t, j;                 /* j: rows a token */
  int32_t *row;                /* (b, t, j); -1: none */
  float *coef;                 /* (b, t, j) */
  int16_t *order, *see;        /* (b, t) */
  /* Questions: the token q is asked head `head`, and the answer was target.  By rising head, then token. */
  int nq;
  int32_t *at, *head;          /* (nq): token at[q] of the b * t */
  float *target;               /* (nq): coordinate, category or count */
} nn_tokens;

/* Sequences from .. from + n - 1 as a batch of their own, borrowed, with their questions copied into at, head
   and target, which have room for those of the whole (a fixed number of parts is what keeps results
   independent of threads). */
void nn_tokens_part(const nn_tokens *, int from, int n, nn_tokens *part, int32_t *at, int32_t *head,
                    float *target);
#endif
