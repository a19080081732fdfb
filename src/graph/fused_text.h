/* fused_text: a block of a program (program.h, `fused`) as text of the dialect, for generated code on
   CPUs and on devices: load the operands of some elements, run the steps forwards, add the terms, and
   go back at once.

   What a block reads and leaves stands in its *shape*, in the order in which its text has them:

       number s0 s1 ..    single numbers: places of the program, or constants
       column 0 1 ..      n constants each: data, columns of linear predictors
       each   0 1 ..      operands that are a number of the program for each element (VIEW, GATHER)
       use    0 1 ..      where derivatives go, in the order in which the interpreter adds them:
                          their sum over the elements to a number, or one for each element to an `each`

   The text uses macros that its target defines before it: EACH stands before a statement for each
   register r of elements, EACH_CALL likewise before a costly one; COLUMN(j, r), VALUE(j, r): elements of a
   column and of an `each`; TOTAL(x), SUM(u, x), PUT(u, x): a term, a derivative to be summed, one to be
   kept; INSIDE(mask): are parameters in their domain.  SUM_PRODUCT(u, g, x) is SUM(u, g * x) of a linear
   predictor.  Numbers are lanes s0 s1 .. of the target's making; MEMO(k) is what densities remember. */
#ifndef NORN_GRAPH_FUSED_TEXT_H
#define NORN_GRAPH_FUSED_TEXT_H
#include "graph/program.h"
#include "base/base.h"

typedef struct fused_number { bool constant; uint32_t place; const double *value; } fused_number;
/* step's operand: 0 .. OPERANDS - 1, or of a linear predictor TERM + j. */
enum { FUSED_TERM = 16 };
typedef struct fused_use {
  uint32_t step, operand;
  bool sum;
  uint32_t at;                       /* number or each */
} fused_use;
typedef struct fused_shape {
  const program *p;
  const fused *b;
  fused_number *number; uint32_t nnumber;
  const double **column; uint32_t ncolumn;
  const operand **each; uint32_t neach;
  fused_use *use; uint32_t nuse;
  uint32_t memos;                    /* densities: they have MEMO(0) .. */
  const char *lacks;                 /* what has no text; NULL: nothing */
  blocks own;
} fused_shape;

/* false: no memory, error set.  To be freed in both cases. */
bool fused_shape_make(const program *, const fused *, fused_shape *);
void fused_shape_free(fused_shape *);
/* The statements; gradient false: only the terms. */
void fused_text_body(text *, const fused_shape *, bool gradient);
/* Of MEMO(k): which arguments of its density are one number for all elements, as bits from x on: those
   that vary. */
unsigned fused_text_varying(const fused_shape *, uint32_t memo);
#endif
