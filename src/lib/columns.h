/* columns.h: posteriors, records and arrays taken apart into columns of numbers, for pictures.

   Leaves are found in the first draw: "mu", "theta[3]", "a.b".  They are only names at first; the
   draws of the chosen ones are then gathered. */
#ifndef NORN_LIB_COLUMNS_H
#define NORN_LIB_COLUMNS_H
#include "io/plot.h"
#include "lib/lib.h"

/* One argument, or one field of a record: draws with what they share. */
typedef struct column_source {
  norn_datum values, choices, info, weights;
  int64_t n;
  int chains;
  const double *w;
  const uint8_t *divergent;
  bool exact;
} column_source;
typedef struct column_leaf { const char *name, *path; int source; } column_leaf;
typedef struct columns {
  norn_state *st;
  arena a;
  column_source *source;
  size_t nsource, csource;
  column_leaf *leaf;
  size_t nleaf, cleaf;
} columns;

/* All leaves of x, argument 0; chains: of arrays (0: not said), argument `arg`.  Free it in any
   case. */
norn_status columns_open(norn_state *, mem *, norn_datum x, int64_t chains, int arg, columns *);
void        columns_free(columns *);
/* Keeps those that `only` names: a string or an array of strings, each a leaf, what leaves lie
   under, a pattern with *, or the address of a choice; arg: its number, for errors. */
norn_status columns_only(columns *, norn_datum only, int arg);
/* The draws of leaf i, in memory of the columns. */
norn_status columns_gather(columns *, size_t i, plot_column *out);
/* ESS and R-hat of a column, where they exist. */
norn_status columns_measure(columns *, plot_column *);
/* At most `most` leaves, of chains those with the largest R-hat; *note tells of the others, NULL:
   there are none. */
norn_status columns_limit(columns *, int most, const char **note);
#endif
