/* lib_draws.h: posteriors as draws in CmdStan's CSV and in NetCDF; lib_save.c has JSON and the
   natives, lib_stream.c the draws as they come. */
#ifndef NORN_LIB_DRAWS_H
#define NORN_LIB_DRAWS_H
#include "lib/lib.h"
#include "io/drawset.h"
#include <stdio.h>

/* What a name of a file ends in says its format. */
typedef enum { DRAWS_JSON, DRAWS_CSV, DRAWS_NC } draws_format;
draws_format draws_format_of(const char *path);

norn_status draws_save_csv(norn_state *, norn_datum posterior, const char *path);
/* more: a record of further groups (prior, posterior_predictive, log_likelihood: posteriors, or
   records of arrays with an element a draw; observed_data, constant_data: records of arrays), or
   missing. */
norn_status draws_save_nc(norn_state *, norn_datum posterior, const char *path, norn_datum more);
norn_status draws_load_nc(norn_state *, const char *name, const char *path, norn_datum *out);
/* The native _observed. */
norn_status draws_observed(norn_state *, const norn_datum *args, int n, norn_datum *out);
/* name: as the program has it; path: as it was found. */
norn_status draws_load_csv(norn_state *, const char *name, const char *path, norn_datum *out);

/* ---- what lib_stream.c and lib_draws_nc.c share with it ---- */

/* A posterior as the draws of a set, all kept.  false: error set. */
bool draws_set(norn_state *, norn_datum posterior, drawset *);
/* Sets read from files (n of them, chain by chain) as one posterior; info: of the run. */
norn_status draws_join(norn_state *, drawset *, int n, norn_datum info, norn_datum *out);
/* Chains of a posterior: how many, and how many draws each has (*lengths, NONE: all the same). */
int draws_chains(norn_state *, norn_datum info, int64_t n, norn_datum *lengths);
/* info without what is kept elsewhere. */
norn_datum draws_info(norn_state *, norn_datum info);

/* The comments of a CSV file: the run's engine (an engine value or a unit), model, seed, chain. */
void draws_about(norn_state *, norn_datum model, norn_datum engine, const char *engine_name,
                 int chain,
                 norn_datum info, text *out);
/* The name of chain k (from 0) of several: "x_1.csv" of "x.csv". */
void draws_chain_path(const char *path, int k, char *out, size_t size);
/* Files of chains from k on that an earlier run left; all that it left. */
void draws_remove_from(const char *path, int k);
void draws_remove_old(const char *path);
/* Can a file of that name be made?  Nothing is left of the try. */
norn_status draws_can_write(norn_state *, const char *path);
/* The native keep_draws (lib_stream.c), and what it holds back goes to the files. */
void draws_keep_flush(norn_state *);
norn_status draws_keep(norn_state *, const norn_datum *args, int n, norn_datum *out);

/* A file that has its name only once it is whole. */
typedef struct draws_file { FILE *f; char path[4096], part[4104]; } draws_file;
norn_status draws_file_open(norn_state *, draws_file *, const char *path);
norn_status draws_file_put(norn_state *, draws_file *, text *);         /* empties the text */
norn_status draws_file_done(norn_state *, draws_file *, norn_status so_far);
#endif
