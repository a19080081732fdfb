/* node.h: values that are being recorded, as the rest of the language calls on them (node.c). */
#ifndef NORN_LANG_NODE_H
#define NORN_LANG_NODE_H
#include "lang/value/value.h"
#include "graph/graph.h"

static inline bool v_is_node(val x) { return V_KIND(x) == NORN_NODE; }
/* A truth value that is recorded: a node that is 1 or 0 (graph.h). */
static inline bool v_is_truth(val x) { return V_KIND(x) == NORN_NODE && x.tag & NODE_TRUTH; }
val  node_must(norn_state *, val x);                     /* the log weight of condition(x): 0, or -inf */
/* An operation of which an operand is a node.  NONE: error set. */
val  node_arith(norn_state *, arith, val x, val y);
val  node_map1(norn_state *, const norn_native *, val x);
bool node_equals(norn_state *, val x, int64_t k);        /* leaves a guard */
val  node_matmul(norn_state *, val x, val y);            /* one of them holds nodes */
val  node_matvec(norn_state *, val x, val y);
val  node_logpdf(norn_state *, const norn_dist *, val x);
/* f of every number of nested arrays. */
val  node_each(norn_state *, val x, val (*f)(norn_state *, val));
/* node_steps.c: x // y and x % y; natives by their names (NONE without an error: not of these) */
val  node_remainder(norn_state *, arith, val x, val y);
val  node_floor(norn_state *, const val *, int n), node_ceil(norn_state *, const val *, int n),
  node_trunc(norn_state *, const val *, int n), node_round(norn_state *, const val *, int n),
  node_sign(norn_state *, const val *, int n), node_sort(norn_state *, const val *, int n),
  node_order(norn_state *, const val *, int n), node_argmin(norn_state *, const val *, int n),
  node_argmax(norn_state *, const val *, int n), node_median(norn_state *, const val *, int n),
  node_variance(norn_state *, const val *, int n), node_sd(norn_state *, const val *, int n),
  node_interp(norn_state *, const val *, int n);
/* A native while recording: none of its arguments holds a node, or it does not look at them (CALL);
   or it is done, with *out, NONE after an error. */
typedef enum { NODE_CALL, NODE_DONE } node_native;
node_native node_record(norn_state *, const norn_native *, const val *args, int n, val *out);
#endif
