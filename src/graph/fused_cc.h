/* fused_cc: a block (program.h, `fused`) as C for a CPU, CHUNK elements a call, with the bits of fused.c. */
#ifndef NORN_GRAPH_FUSED_CC_H
#define NORN_GRAPH_FUSED_CC_H
#include "graph/fused_text.h"

/* Does the text give the same bits: some functions of GSL have other forms there (op_text.h). */
bool fused_cc_same(const fused_shape *);
/* What comes first: the dialect for `width` numbers to a register. */
void fused_cc_head(text *, int width);
/* The function

     int NAME(int64 n, const double *const *in, const double *number, double *out, double *const *kept)

   in: the shape's columns, then its `each`es, from the chunk's first element on, readable to the end of a
   register; number: its numbers; out: the sum of the terms, then that of each use that is summed (others
   are not written); kept: for each use that is not, room for CHUNK derivatives.  0: outside. */
void fused_cc_text(text *, const fused_shape *, const char *name, int width);

typedef int fused_fn(int64_t n, const double *const *in, const double *number, double *out,
                     double *const *kept);
/* The text of all blocks of a program that are worth it, functions norn_block_0 ..; to be given back with
   norn_alloc and its size.  NULL: there is none, or no memory (no error is set). */
char *fused_cc_program(const program *, int width, size_t *n, size_t *size);
/* Is it long enough. */
static inline bool fused_cc_wants(const fused *b) { return b->n >= 64; }

/* What calls such a function. */
typedef struct fused_code {
  fused_shape s;
  fused_fn *f;
  const double **in;                 /* (ncolumn + neach) */
  double *number, *out;              /* (nnumber), (1 + nuse) */
  double **kept, *room;              /* (nuse); CHUNK and a register for each `each`, twice */
} fused_code;
fused_code *fused_code_new(const program *, const fused *, fused_fn *);           /* NULL: no memory */
void fused_code_free(fused_code *);
/* fused_run with a gradient; false: outside somewhere, where fused_run says. */
bool fused_code_run(program *, fused_code *, double *sum, int64_t *where);
#endif
