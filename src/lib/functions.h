/* functions.h: what natives that take functions share: a list of inputs of which each may be a
   number or a node, and how they stand in a graph call (lib_ode.c, lib_functions.c). */
#ifndef NORN_LIB_FUNCTIONS_H
#define NORN_LIB_FUNCTIONS_H
#include "lib/lib.h"
#include "graph/traced.h"

/* Inputs: numbers or nodes, in order. */
typedef struct inputs {
  norn_state *st;
  norn_datum *x;
  double *value;
  int64_t n, cap;
  bool node;                         /* one of them is */
} inputs;
/* Adds a number or node, or the elements of an array of such; false: error set about argument i,
   that `what` must be a number or an array of numbers. */
bool inputs_number(inputs *, const norn_datum *args, int i, const char *what);
bool inputs_array(inputs *, const norn_datum *args, int i, const char *what, int64_t *n);
bool inputs_nodes(inputs *, const norn_datum *, int64_t n);
void inputs_free(inputs *);
/* Is argument i a function; false: error set. */
bool lib_want_function(norn_state *, const norn_datum *args, int i, const char *what);
/* Cleared memory; NULL: error set. */
void *lib_memory(norn_state *, size_t n);
/* A real option above `least`. */
bool lib_want_above(norn_state *, const norn_datum *args, int i, const char *what, double least,
                    double *out);
#endif
