/* jit: scans, or blocks where there are none, as machine code, made by the C compiler (jit.c) from text (emit.c,
   fused_cc.c). */
#ifndef NORN_GRAPH_JIT_H
#define NORN_GRAPH_JIT_H
#include "graph/program.h"

/* What generated code calls: operations by number, functions of natives by number. */
typedef struct jit_math {
  double (*const *op)(double, double);
  const graph_fun *fun;
} jit_math;

/* The functions are scan.forward and scan.backward (program.h).  in: of operand j of column q at
   2 q + j; slope: of each edge that has one.  The same bits as scan.c. */

/* Is the scan worth code. */
static inline bool jit_wants(const scan *s) { return s->T >= 8 && s->P <= 400; }
/* Is the slope of an inner operand, if it is no sign, one number in all steps: that of a product by
   a shared number. */
static inline bool jit_shared_slope(const scan_column *c, int j)
{
  return c->c.op == G_MUL && !(c->inner >> !j & 1) &&
         (c->c.arg[!j].kind == FROM_SCALAR || c->c.arg[!j].kind == FROM_NUMBER);
}

/* The text for a program; to be given back with norn_alloc and its size.  NULL: no memory. */
char *jit_text(const program *, size_t *n, size_t *size);

/* Where a program stands with its code: jit_new is NULL where there is to be none (norn_config,
   nothing to gain), or without memory (no error is set: code is never needed). */
typedef struct jit jit;
jit *jit_new(program *);
void jit_free(jit *);
/* After an evaluation: every so often does what is next: begin, ask whether the compiler is
   done. */
void jit_turn(program *, jit *);
/* Begins if need be and waits until the code runs; false: there is none. */
bool jit_wait(program *, jit *);
#endif
