/* op_text: one operation of a graph (graph.h) as text of the C dialect (num/lane.h), for generated code.

   Operands are names or literals that may be used several times; results are expressions without
   brackets around them.  The formulas are those of op_formulas.h, op_functions.h (generated code that
   uses FUN1 defines NORN_OP_FUNCTIONS), dist/kernel.h and dist/domains.h: what the executors compute,
   to the bit on the CPU but for FUN1 functions of GSL (lgamma, gamma_fn, digamma and their slopes,
   normal_cdf), which are near. */
#ifndef NORN_GRAPH_OP_TEXT_H
#define NORN_GRAPH_OP_TEXT_H
#include "base/base.h"
#include "graph/graph.h"

/* NULL: the operation has text; else the name of what has none (a family without a kernel, a call). */
const char *op_text_lacks(graph_op, uint64_t aux);
/* A number as a literal: every bit of it (in no locale's form). */
void op_text_number(text *, double);
/* Value: ADD .. FUN1; y: NULL for operations of one operand.  aux: as a node's. */
void op_text_value(text *, graph_op, uint64_t aux, const char *x, const char *y);
/* The derivative in operand j (0: x, 1: y); z: the value. */
void op_text_slope(text *, graph_op, uint64_t aux, int j, const char *x, const char *y, const char *z);
/* Is the derivative 1 (1), -1 (-1), the other operand (2), or to be computed (0). */
int  op_text_simple(graph_op, int j);

/* ---- DENSITY: aux is the row, with bit 0 set for terms ---- */
const norn_dist_row *op_text_row(uint64_t aux);
/* The family's name in kernel.h and its number of parameters (-1: it has no kernel). */
const char *op_text_family(const norn_dist_row *, int *np);
/* The log density at arg[0] with parameters arg[1..np]; `terms`: expression of type `terms` (terms.h):
   NORN_KEEP_ALL, or with NORN_MEMO or LANES > 1 the address of a memo. */
void op_text_logp(text *, const norn_dist_row *, const char *terms, const char *const *arg);
/* The same, and derivatives into `slopes`, an array of 1 + np lanes. */
void op_text_partials(text *, const norn_dist_row *, const char *terms, const char *const *arg,
                      const char *slopes);
/* A lane_mask: are the parameters in their domain; 1 where there is nothing to ask. */
void op_text_domain(text *, const norn_dist_row *, const char *const *arg);
#endif
