/* stan_csv.h: draws as CSV in the layout of CmdStan (CmdStan User's Guide, "Stan CSV File Format"),
   both ways.

       # engine = nuts                                     what the run was: key = value
       # norn {"variable": "theta", "kind": "real", ...}   one line a variable, for reading back
       lp__,accept_stat__,...,mu,theta.1,theta.2,m.1.1,m.2.1
       # Adaptation terminated
       # Step size = 0.62
       -3.1,0.93,...

   Indices count from 1 and the first runs fastest; a field of a record is written a:b.  Everything
   is a number: booleans are 0 and 1, levels their number, what a draw lacks is nan.  Files of
   CmdStan have no lines for Norn; their variables are read from the names of the columns. */
#ifndef NORN_IO_STAN_CSV_H
#define NORN_IO_STAN_CSV_H
#include "io/drawset.h"

/* ---- writing ---- */
/* `about`: comment lines; `adapted`: those after the names of the columns, or NULL. */
bool stan_csv_head(drawset *, const char *about, const char *adapted, text *out);
bool stan_csv_row(drawset *, text *out);                   /* the draw at hand */
/* Lines for levels that are new since the head. */
void stan_csv_levels(drawset *, text *out);
/* The rows of a text that was written under an older layout, under the new one; comes after a new
   head, which must not have been made with stan_csv_head before: it makes it. */
bool stan_csv_again(drawset *, const char *about, const char *old, size_t n, text *out);

/* ---- reading ---- */
typedef struct stan_csv_file {
  bool norn;                 /* it has the lines for Norn */
  bool cut;                  /* the last line had no end and was left out */
  norn_datum info;           /* what is known of the run: a record */
} stan_csv_file;
/* name: of the file, for errors.  The set is filled, with all its draws kept. */
norn_status stan_csv_read(norn_state *, const char *name, const char *s, size_t n, drawset *,
                          stan_csv_file *);

/* The name of a variable's columns, without indices: "a:b". */
void stan_csv_name(const drawset_var *, char *out, size_t size);
/* What Stan calls a statistic of Norn ("lp__"), and the other way ("lp"). */
void stan_csv_stat(const char *name, char *out, size_t size);
void stan_csv_stat_back(const char *column, char *out, size_t size);
#endif
