/* lib.h: what the shelves of the standard library share.

   Each lib_*.c holds one table of natives and one function here that registers it.  A native may
   allocate values freely (nothing is collected while it runs), so scratch space is an array nobody
   else sees: lib_reals and lib_ints.  Texts grow in a `text` whose memory the state counts. */
#ifndef NORN_LIB_H
#define NORN_LIB_H
#include "base/base.h"

norn_status lib_math_open(norn_state *);
norn_status lib_special_open(norn_state *);
norn_status lib_big_open(norn_state *);
norn_status lib_array_open(norn_state *);
norn_status lib_sort_open(norn_state *);
norn_status lib_string_open(norn_state *);
norn_status lib_map_open(norn_state *);
norn_status lib_stats_open(norn_state *);
norn_status lib_linalg_open(norn_state *);
norn_status lib_interp_open(norn_state *);
norn_status lib_dist_open(norn_state *);
norn_status lib_gp_open(norn_state *);
norn_status lib_ode_open(norn_state *);
norn_status lib_functions_open(norn_state *);
norn_status lib_infer_open(norn_state *);
norn_status lib_blocks_open(norn_state *);
norn_status lib_chains_open(norn_state *);
norn_status lib_predict_open(norn_state *);
norn_status lib_sbc_open(norn_state *);
norn_status lib_net_ask_open(norn_state *);
norn_status lib_c2st_open(norn_state *);
norn_status lib_save_open(norn_state *);
norn_status lib_plot_open(norn_state *);
norn_status lib_io_open(norn_state *);
norn_status lib_sys_open(norn_state *);
norn_status lib_ffi_open(norn_state *);
norn_status lib_table_open(norn_state *);
norn_status lib_llm_open(norn_state *);
norn_status lib_its_open(norn_state *);
norn_status lib_norn_open(norn_state *);   /* the part written in Norn: stdlib/ */

/* The code of the error that is set; out of memory if none is. */
norn_status lib_failed(norn_state *);
/* *out = v; if v is no value, the error that made it so. */
norn_status lib_give(norn_state *, norn_datum v, norn_datum *out);
/* "WHAT must be WANTED, got a string" about argument i. */
norn_status lib_wrong(norn_state *, const norn_datum *args, int i, const char *what,
                      const char *wanted);
/* True unless the argument was left out: NONE, or its default `missing`. */
static inline bool lib_given(const norn_datum *args, int i, int n)
{
  return i < n && args[i].tag != NORN_NONE && args[i].tag != NORN_MISSING;
}

bool lib_is_number(norn_datum);
bool lib_is_posterior(norn_datum);
/* The error that argument i is no posterior, with a hint for a model and for an array of posteriors. */
norn_status lib_no_posterior(norn_state *, const norn_datum *args, int i);
/* The hint where an array of posteriors stands and one was wanted. */
void lib_hint_each(norn_state *);
/* true/false of argument i; false with the error set if it is something else. */
bool lib_want_bool(norn_state *, const norn_datum *args, int i, const char *what, bool *out);
/* A one-dimensional view of a new array of n elements; NULL: error set. */
double     *lib_reals(norn_state *, int64_t n, norn_datum *array);
int64_t    *lib_ints(norn_state *, int64_t n, norn_datum *array);
norn_datum *lib_values(norn_state *, int64_t n, norn_datum *array);   /* filled with missing */
/* Element k in row-major order, whatever the rank. */
norn_datum lib_elem(const norn_view *, int64_t k);
size_t lib_elem_size(norn_elem);
/* Elements in a row: the product of the inner dimensions. */
static inline int64_t lib_row(const norn_view *v)
{
  return v->n / (v->dims[0] > 0 ? v->dims[0] : 1);
}
/* Rows [from, to) copied to a new array of the same rank and kind. */
norn_datum lib_rows(norn_state *, const norn_view *, int64_t from, int64_t to);
/* x[0..n) as nested arrays of that shape; nothing is packed, so that no integer turns real. */
norn_datum lib_nested(norn_state *, const norn_datum *x, int rank, const int64_t *dims);
/* The rows of v at ix[0..n) as a new array. */
norn_datum lib_gather(norn_state *, const norn_view *, const int64_t *ix, int64_t n);

/* Is a big among x (n), or in arrays among them? */
bool lib_has_big(const norn_datum *x, int64_t n);
/* f(... f(f(x[0], x[1]), x[2]) ..., x[n-1]) of numbers by norn_big_apply. */
norn_status lib_big_fold(norn_state *, const char *f, const norn_datum *x, int64_t n,
                         norn_datum *out);

/* A real function of two numbers, elementwise: equal shapes, or a scalar and an array.  Where a big
   is among them, norn_big_apply does it by the name. */
norn_status lib_real2(norn_state *, const norn_datum *args, const char *name,
                      double (*f)(double, double), norn_datum *out);

/* The state's memory as a `mem`, and a text in it. */
mem lib_mem(norn_state *);
/* The text as a string value; frees the text. */
norn_status lib_text(norn_state *, text *, norn_datum *out);
/* The name of a file in argument i, for natives that read or write: false with the error set if it
   is no string, or if the host forbids files. */
bool lib_want_file(norn_state *, const norn_datum *args, int i, const char **name);
/* The error of a file that can't be read, with file_read's reason. */
norn_status lib_unread(norn_state *, int arg, const char *name, const char *why);
/* A file as a program names it: relative to the working directory, else to the script's own
   directory.  The name to open in buf; always returns buf. */
const char *lib_path(norn_state *, const char *name, char *buf, size_t n);

/* Equal values gathered: of n values (or rows of a view) in *first the places of the first of each
   kind, in *kind for each value the number of its kind.  Returns how many kinds, -1: no memory. */
typedef struct lib_groups { int64_t n, kinds, *kind, *first; } lib_groups;
bool lib_group(norn_state *, norn_datum array, lib_groups *);

/* The places of n reals in rising order, nan last; NULL: error set. */
int64_t *lib_order(norn_state *, const double *x, int64_t n);
int64_t *lib_value_order(norn_state *, const norn_datum *x, int64_t n);   /* norn_compare's order */
/* The weights of a posterior by enumerate(exact = true) as an array of bigs, a unit if it is none;
   NONE: error set. */
norn_datum lib_exact_weights(norn_state *, norn_datum posterior, const norn_posterior *);
/* The weights of a posterior's draws, sum 1: *w is NULL when all are equal.  false: error set. */
bool lib_weights(norn_state *, const norn_posterior *, const double **w);
#endif
