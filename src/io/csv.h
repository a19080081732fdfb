/* csv.h: tables as records of columns, both ways.  (Not libcsv's header: that is <csv.h>.) */
#ifndef NORN_IO_CSV_H
#define NORN_IO_CSV_H
#include "base/base.h"

typedef struct csv_options {
  const char *na;       /* what stands for a missing value beside an empty cell */
  bool nan;             /* missing values of numeric columns read as nan */
  char sep;
  bool header;          /* the first row has the names of the columns */
} csv_options;
/* A record of columns, each of integers, reals, booleans or strings by what all its cells can be.
   name: of the file, for errors. */
norn_status csv_table_read(norn_state *, const char *name, const char *s, size_t n,
                           const csv_options *, norn_datum *out);
norn_status csv_table_write(norn_state *, norn_datum columns, const csv_options *, text *out);
#endif
