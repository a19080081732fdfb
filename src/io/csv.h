/* csv.h: tables as records of columns, both ways.  (Not libcsv's header: that is <csv.h>.) */
#ifndef NORN_IO_CSV_H
#define NORN_IO_CSV_H
#include "base/base.h"

typedef struct csv_options {
  const char *const *na;   /* what stands for a missing value beside an empty cell; one to write */
  int nna;
  bool nan;             /* missing values of numeric columns read as nan */
  char sep;             /* 0: the one of , ; tab | that the first row has most of */
  char decimal;         /* '.' or ',' */
  bool header;          /* the first row has the names of the columns */
  norn_datum types;     /* a record of "int", "real", "bool" or "string" by column, or NONE */
  int types_arg;        /* the argument that it is */
} csv_options;
/* A record of columns, each of integers, reals, booleans or strings by what all its cells can be.
   name: of the file, for errors. */
norn_status csv_table_read(norn_state *, const char *name, const char *s, size_t n,
                           const csv_options *, norn_datum *out);
norn_status csv_table_write(norn_state *, norn_datum columns, const csv_options *, text *out);
#endif
