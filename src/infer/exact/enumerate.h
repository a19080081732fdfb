/* enumerate.h: what the two ways of enumerating share: enumerate.c in doubles, exact.c in any
   precision. */
#ifndef NORN_INFER_ENUMERATE_H
#define NORN_INFER_ENUMERATE_H
#include "infer/engine.h"

#define ENUMERATE_NONE 0xffffffffu

/* The value of a choice with the weight of the paths that have it. */
typedef struct value_slot { uint64_t hash, addr; double sum; } value_slot;
/* An open table of places + 1. */
typedef struct table { uint32_t *at; size_t n; } table;
/* Room for one more; items begin with their hash.  false: error set. */
bool enumerate_room(norn_state *, table *, size_t used, const void *items, size_t size);

/* Of a checkpoint that is read: a table of n items, which begin with their hash, made anew. */
bool enumerate_table(norn_state *, table *, size_t n, const void *items, size_t size);

/* The posterior of each choice by its address, n slots whose values are in the column; all paths
   together weigh `total`.  exact: their probabilities as bigs, or NULL.  (marginals.c) */
norn_status enumerate_marginals(norn_infer *, const value_slot *, size_t n, const column *values,
                                double total, const norn_datum *exact);
/* The map from values (n) to probabilities (bigs, of equal values added up) that an exact posterior
   keeps in its info as "probabilities".  NONE: error set. */
norn_datum enumerate_probabilities(norn_state *, const norn_datum *values, const norn_datum *p,
                                   size_t n);

/* enumerate(exact = true) */
typedef struct exact_engine exact_engine;
exact_engine *exact_new(norn_infer *, int64_t bits, int64_t max_leaves);   /* NULL: error set */
norn_step   exact_step(norn_infer *, exact_engine *);
norn_status exact_finish(norn_infer *, exact_engine *);
bool        exact_archive(norn_archive *, norn_infer *, exact_engine *);
int64_t     exact_leaves(const exact_engine *);
void        exact_free(norn_state *, exact_engine *);
#endif
