/* norn.h: the whole of Norn as a C program sees it: here values, the state, programs and distributions;
   at its end it includes norn_infer.h, which has runs, engines, densities and posteriors.

   A `norn_state` owns everything: heap, sources, globals, limits.  A *run* executes a Norn function
   or model until its next *event* (sample, observe, infer, end, error) and then stands still: it is
   plain data with no C frame under it.  Whoever drives it answers and goes on, forks it, or drops
   it.  An *engine* is a table of functions that drives runs and leaves weighted draws; a
   *distribution* is a table of functions that an engine asks.  Everything built in uses this header
   and nothing else, so a foreign engine or distribution can do whatever a built-in one can.

   Rules that hold everywhere
   - Nothing here exits, aborts, prints to stderr or longjmps.  What can fail returns a
     `norn_status` (0 is success) or a datum of kind NORN_NONE; the error is in norn_error(st).
   - One thread at a time per state; only norn_interrupt may be called from elsewhere (another
     thread or a signal handler).  An inference may run programs on threads of its own (a crew): pure
     natives and distributions are then called there, with a state that is the thread's; the hooks of
     norn_config are never called by two threads at once.
   - `norn_datum` is a value in two words.  One that points into the heap stays valid until the
     state runs Norn code again (norn_load, norn_run_next, norn_runs_next, norn_drive, norn_eval,
     norn_infer_step); keep it longer with norn_keep.  Natives, distributions and engine callbacks
     may hold data freely between two such calls: memory is collected only while Norn code runs,
     and never inside the sealed calls that norn_call makes.
   - `_new/_free` own, `_view` borrows, `_take` consumes. */
#ifndef NORN_H
#define NORN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NORN_VERSION "0.1.0"
#define NORN_VERSION_NUMBER 100 /* major * 10000 + minor * 100 + patch */

#if defined __GNUC__
#define NORN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#pragma GCC visibility push(default)   /* the library is compiled with -fvisibility=hidden */
#else
#define NORN_PRINTF(f, a)
#endif

/* ---- status, places and errors --------------------------------------------------------------- */

typedef enum {
  NORN_OK = 0,
  NORN_ESYNTAX,    /* the text is not a program (syntax, names, arity, effects) */
  NORN_EINCOMPLETE,/* the text ends before the statement does: read another line */
  NORN_ETYPE,      /* a value of the wrong kind, shape or support */
  NORN_EDOMAIN,    /* a value outside the domain: sd <= 0, index, overflow, no match */
  NORN_EMEMORY,    /* the memory limit of the state, or the system's */
  NORN_ELIMIT,     /* the limit on steps, depth or time */
  NORN_EINTERRUPT, /* norn_interrupt */
  NORN_EIO,        /* a file, a module, malformed data */
  NORN_EINFER,     /* inference cannot go on: all weights zero, unsupported by this engine */
  NORN_EUSE        /* the C program called something wrongly */
} norn_status;

/* A piece of source text: bytes [start, end) of the file-th source of the state; file 0 is none. */
typedef struct { uint32_t file, start, end; } norn_span;

#define NORN_TRACE_MAX 6
/* An error, self-contained.  norn_error_text gives it as DESIGN 6 prints it. */
typedef struct {
  norn_status code;
  norn_span span;                    /* where; file 0 when nowhere */
  char text[480];                    /* one sentence: what was found and what was expected */
  char hint[240];                    /* one hint, or "" */
  norn_span trace[NORN_TRACE_MAX];   /* the calls that led here, innermost first */
  int ntrace;
} norn_err;

typedef struct norn_state norn_state;

/* ---- values ---------------------------------------------------------------------------------- */

/* The low byte of a tag is the kind; bit 6 says that the payload points into the heap.  The upper
   32 bits of an ENUM or DATA tag are the constructor. */
typedef enum {
  NORN_NONE = 0,      /* no value: failure, or an argument that was not given */
  NORN_INT = 1, NORN_REAL = 2, NORN_BOOL = 3, NORN_UNIT = 4, NORN_MISSING = 5,
  NORN_ENUM = 6,      /* a constructor without fields */
  NORN_NATIVE = 7,    /* a function in C; q is its norn_native */
  NORN_NODE = 8,      /* a node of the graph being recorded (reserved to src/graph) */
  NORN_LATENT = 10,   /* a choice of a recorded run, looked up when the run looks at it */
  NORN_POINTER = 9,   /* an address that a foreign function gave; it can't be saved */
  NORN_STR = 0x40, NORN_ARRAY = 0x42, NORN_RECORD = 0x44, NORN_DATA = 0x46, NORN_FUN = 0x48,
  NORN_DIST = 0x4a, NORN_MODEL = 0x4c, NORN_ENGINE = 0x4e, NORN_MAP = 0x50, NORN_BIG = 0x52,
  NORN_HANDLE = 0x54  /* something that C owns (norn_handle_new) */
} norn_kind;

typedef struct { uint64_t tag; union { int64_t i; double d; void *p; const void *q; }; } norn_datum;

static inline norn_kind norn_kind_of(norn_datum v) { return (norn_kind)(v.tag & 255); }
static inline norn_datum norn_none(void) { norn_datum v; v.tag = NORN_NONE; v.i = 0; return v; }
static inline norn_datum norn_unit(void) { norn_datum v; v.tag = NORN_UNIT; v.i = 0; return v; }
static inline norn_datum norn_missing(void)
{
  norn_datum v;
  v.tag = NORN_MISSING;
  v.i = 0;
  return v;
}
static inline norn_datum norn_int(int64_t i) { norn_datum v; v.tag = NORN_INT; v.i = i; return v; }
static inline norn_datum norn_real(double d) { norn_datum v; v.tag = NORN_REAL; v.d = d; return v; }
static inline norn_datum norn_bool(bool b) { norn_datum v; v.tag = NORN_BOOL; v.i = b; return v; }
static inline bool norn_is_none(norn_datum v) { return v.tag == NORN_NONE; }
double norn_big_double(norn_datum);                     /* the nearest to a big */
/* A number (an integer, a real, a big rounded) as a double; false for anything else. */
static inline bool norn_as_real(norn_datum v, double *out)
{
  if (v.tag == NORN_REAL) { *out = v.d; return true; }
  if (v.tag == NORN_INT) { *out = (double)v.i; return true; }
  if (v.tag == NORN_BIG) { *out = norn_big_double(v); return true; }
  return false;
}

/* "an integer", "an array of 3 reals", "a record with fields a, b": for messages.  Writes at most
   n bytes. */
const char *norn_describe(norn_state *, norn_datum, char *buf, size_t n);
/* The value as Norn prints it (display: strings bare; otherwise as in source).  Shortened to about
   `limit` characters when limit > 0.  The text belongs to the state until the next call. */
const char *norn_show(norn_state *, norn_datum, bool source_form, size_t limit);
bool     norn_equal(norn_datum, norn_datum);   /* structural; 1 == 1.0; functions inside by code and captures */
uint64_t norn_hash(norn_datum);                /* equal values hash equally, also across states */
/* The total order of sort(): numbers, then booleans, strings, arrays lexicographically, data. */
int      norn_compare(norn_datum, norn_datum);

norn_datum  norn_string(norn_state *, const char *bytes, size_t n);          /* UTF-8 */
norn_datum  norn_cstring(norn_state *, const char *);
const char *norn_string_view(norn_datum, size_t *n);   /* 0-terminated; NULL if not a string */

typedef enum { NORN_F64, NORN_I64, NORN_B8, NORN_VALUES } norn_elem;
#define NORN_RANK_MAX 8
/* A view of an array: row-major, borrowed.  n is the number of elements, dims[0] the length. */
typedef struct {
  norn_elem elem; int rank; int64_t n; int64_t dims[NORN_RANK_MAX];
  union { const double *f; const int64_t *i; const uint8_t *b; const norn_datum *v; };
} norn_view;
/* A new array of that shape; *data is where to write the elements (at once, before Norn runs). */
norn_datum norn_array(norn_state *, norn_elem, int rank, const int64_t *dims, void **data);
norn_datum norn_array_f64(norn_state *, const double *, int64_t n);          /* copies */
/* Packs integers, reals (or both: reals), booleans, arrays of one shape (a matrix); else VALUES. */
norn_datum norn_array_pack(norn_state *, const norn_datum *, int64_t n);
bool       norn_array_view(norn_datum, norn_view *);                   /* false if not an array */
norn_datum norn_array_at(norn_state *, norn_datum array, int64_t i);   /* row i (a view, O(1)) */
int64_t    norn_array_length(norn_datum);                              /* -1 if not an array */
/* Element k in row-major order of a scalar (any k) or an array as a double; NaN if not numeric. */
double     norn_elem_real(norn_datum, int64_t k);

/* A big: a real number of any precision (GNU MPFR), immutable.  It is sign * 0.m * 2^exponent,
   where m is the limbs as a binary fraction from the last limb down, whose first bit is 1; exponent
   and limbs count for FINITE only.  A view is borrowed. */
typedef enum { NORN_BIG_NAN, NORN_BIG_INF, NORN_BIG_ZERO, NORN_BIG_FINITE } norn_big_kind;
typedef struct {
  int64_t bits, exponent;
  norn_big_kind kind;
  int sign;                            /* -1 or 1 */
  const uint64_t *limbs;               /* least first */
  int64_t nlimbs;
} norn_big_parts;
/* From text ("0.1", "1e-400", "inf"), rounded to nearest; bits 0: that of with_bits, or 256. */
norn_datum  norn_big(norn_state *, const char *text, int64_t bits);
norn_datum  norn_big_make(norn_state *, const norn_big_parts *);        /* copies */
bool        norn_big_view(norn_datum, norn_big_parts *);                /* false if not a big */
/* Significant decimal digits (0: those that its precision carries); as snprintf. */
size_t      norn_big_text(norn_datum, int64_t digits, char *buf, size_t n);
/* The precision that with_bits has set in the run that goes on; 0: none. */
int64_t     norn_big_bits(norn_state *);
/* A function by its name in Norn ("exp", "hypot", "+") of numbers, or of arrays element by element;
   numbers become bigs. */
norn_status norn_big_apply(norn_state *, const char *f, const norn_datum *args, int n,
                           norn_datum *out);

norn_datum  norn_record(norn_state *, int n, const char *const *names, const norn_datum *values);
/* NONE if absent. */
norn_datum  norn_record_get(norn_state *, norn_datum record, const char *name);
int         norn_record_size(norn_datum);                /* -1 if not a record */
/* The state may be NULL. */
const char *norn_record_at(norn_state *, norn_datum record, int i, norn_datum *value);
/* Its fields in order, borrowed; NULL if it is not one. */
const norn_datum *norn_record_view(norn_datum record, int *n);
/* Parameter i of a model value: its name, and the argument for it (NONE: not given, so that its default
   holds); NULL past the last, or if it is no model value. */
const char *norn_model_at(norn_state *, norn_datum model, int i, norn_datum *value);
/* A variant: its constructor's name and fields (ENUM has none); NULL if it is not one. */
const char *norn_data_view(norn_state *, norn_datum, const norn_datum **fields, int *n);

/* A handle: a value for something that C owns and that does not change.  Programs keep it, hand it on
   and print it; it equals itself alone and has no order.  `free` is called when no value refers to it any
   more (in a collection: it may free memory, runs and references, and do nothing else), or with the
   state. */
typedef struct norn_handle_row {
  const char *name;                                        /* "population" */
  void (*free)(norn_state *, void *p);
  void (*show)(norn_state *, void *p, char *buf, size_t n);   /* how it prints; NULL: <name> */
  /* The module (norn_add_natives, norn_add_library; nobody need import it) whose functions are its fields, but
     those whose names begin with _: if f has one parameter, `h.f` is what f(h) gives, at each access anew (one
     written in Norn is called sealed: effects in it are errors); if it has more, `h.f` is the function of the
     others, so that h.f(x, y = 1) is f(h, x, y = 1), with their names and defaults.  That function may sample,
     observe, infer, and be a model.  Handles of a row with a module may be compared by == (the same one?).
     NULL: it has no fields. */
  const char *module;
  /* What stands for it in files: a value, from which `load` of the row of this name (norn_add_handles) makes it
     again.  NULL: it can't be saved. */
  norn_datum (*save)(norn_state *, void *p);
  norn_datum (*load)(norn_state *, norn_datum);
} norn_handle_row;
/* bytes: what p takes, so that collections come in time.  NONE: no memory, and p is still the
   caller's. */
norn_datum norn_handle_new(norn_state *, const norn_handle_row *, void *p, size_t bytes);
void      *norn_handle_view(norn_datum, const norn_handle_row *);   /* NULL: no handle of that row */
/* Rows whose handles can be saved: in checkpoints, and in files of posteriors.  They outlive the state; no two are
   of one name. */
norn_status norn_add_handles(norn_state *, const norn_handle_row *, int n);
/* What stands for a handle in a file, with its row's name; and the handle again.  NONE: error set. */
norn_datum  norn_handle_save(norn_state *, norn_datum handle, const char **name);
norn_datum  norn_handle_load(norn_state *, const char *name, norn_datum saved);

/* References: roots for data that outlive the next step of Norn code. */
typedef struct norn_ref norn_ref;
norn_ref  *norn_keep(norn_state *, norn_datum);          /* NULL when out of memory */
norn_datum norn_get(const norn_ref *);
void       norn_set(norn_ref *, norn_datum);
norn_status norn_push(norn_ref *, norn_datum element);   /* to an array: O(1) amortised */
void       norn_drop(norn_ref *);

/* ---- the state ------------------------------------------------------------------------------- */

typedef struct {
  /* Realloc-like; n = 0 frees.  NULL: malloc. */
  void *(*alloc)(void *user, void *p, size_t old, size_t n);
  void *alloc_user;
  void (*output)(void *user, const char *text, size_t n);   /* print() and messages; NULL: stdout */
  void *output_user;
  /* The text of a module for `import`: malloc'ed, or NULL to let the state look in files. */
  char *(*load)(void *user, const char *name, const char *importer, size_t *n);
  void *load_user;
  size_t   max_memory;    /* bytes; 0: no limit */
  uint64_t max_steps;     /* calls and loop turns; 0: no limit */
  size_t   max_depth;     /* frames of one run; 0: memory only */
  double   max_seconds;   /* wall time of one norn_eval or norn_infer_all; 0: no limit */
  int      threads;       /* that an inference may use; 0: one a processor */
  bool     no_jit;        /* no code is made by the C compiler */
  bool     no_gpu;        /* no GPU is looked for */
  uint64_t seed;
  bool     quiet;         /* no progress, no engine announcements */
  bool     no_foreign;    /* no foreign functions and no plug-ins */
  bool     no_files;      /* natives neither read nor write files; imports are still read */
} norn_config;

norn_config norn_config_default(void);
/* With everything built in; NULL: default.  NULL result: no memory. */
norn_state *norn_new(const norn_config *);
/* The language alone: no natives, distributions, engines. */
norn_state *norn_new_bare(const norn_config *);
void        norn_free(norn_state *);
const char *norn_version(void);
/* What large matrices are worked on with: "OpenBLAS 0.3.21, SkylakeX" or "own".  Opens it, which
   nothing else does before the first of them. */
const char *norn_linear_algebra(void);
/* Of another library that is opened when it is first wanted ("cairo", "netcdf", "curl", "cuda", "nvrtc",
   "cublaslt"): its name and version, "cairo 1.16.0"; NULL: it is not here.  Opens it. */
const char *norn_package(const char *name);
/* A GPU.  memory: bytes; major.minor: its compute capability; processors: multiprocessors; why: a sentence if it
   can't be used. */
typedef struct {
  char name[128];
  size_t memory;
  int major, minor, processors;
  bool usable;
  char why[200];
} norn_device;
/* How many GPUs there are; the first `most` are described.  why (of n bytes): why none can be used, or "". */
int         norn_devices(norn_state *, norn_device *out, int most, char *why, size_t n);
/* Stop at the next poll; safe in signal handlers and threads. */
void        norn_interrupt(norn_state *);
/* For natives and rows that only one thread may enter: in a worker of a crew the error that makes the run go on in
   the caller's thread, where it is called again; else NORN_OK. */
norn_status norn_want_home(norn_state *);
/* For long work in which no Norn code runs: the error of an interrupt or of the limit of time, if one
   has come. */
norn_status norn_poll(norn_state *);
/* A state is used by one thread at a time: workers that an engine starts hold this lock (it nests)
   while they use it, and otherwise only compute. */
void        norn_lock(norn_state *);
void        norn_unlock(norn_state *);
void        norn_seed(norn_state *, uint64_t);
norn_config *norn_config_of(norn_state *);      /* limits may be changed between calls */
/* Counts steps and time from here; norn_load and norn_infer_all do so. */
void        norn_limits_start(norn_state *);
size_t      norn_memory_used(norn_state *);
void        norn_output(norn_state *, const char *text, size_t n);  /* through the output hook */
void        norn_outputf(norn_state *, const char *format, ...) NORN_PRINTF(2, 3);

/* Errors.  norn_fail sets the state's error and returns its code; `arg` is the argument at fault
   (its span gets the caret when a call made from Norn fails) or -1.  A hint is set after it. */
norn_status     norn_fail(norn_state *, norn_status, int arg, const char *format, ...)
  NORN_PRINTF(4, 5);
void            norn_hint(norn_state *, const char *format, ...) NORN_PRINTF(2, 3);
const norn_err *norn_error(norn_state *);
/* Where the error is, unless it says so already. */
void            norn_error_place(norn_state *, norn_span);
void            norn_clear(norn_state *);
/* file:line:col: error: ..., the line, a caret range, the hint.  Written to buf as by snprintf. */
size_t norn_error_text(norn_state *, const norn_err *, char *buf, size_t n);
/* "file:line:col" of a span, or "" */
const char *norn_span_text(norn_state *, norn_span, char *buf, size_t n);
/* The line of text in which a span begins, without the space around it, and its number; NULL: there is
   none.  Not terminated: n bytes. */
const char *norn_span_line(norn_state *, norn_span, size_t *n, uint32_t *line);
/* All diagnostics of the last norn_load or norn_check (errors and warnings, in source order). */
int             norn_diag_count(norn_state *);
const norn_err *norn_diag_at(norn_state *, int i, bool *is_warning);

/* Warnings and notices ("engine smc chosen because ...") reach the host here; NULL: dropped. */
void norn_on_warning(norn_state *, void (*f)(void *user, const norn_err *warning), void *user);
void norn_warning(norn_state *, norn_span, const char *format, ...) NORN_PRINTF(3, 4);
void norn_notice(norn_state *, const char *format, ...) NORN_PRINTF(2, 3);   /* not when quiet */

/* Slots: what a shelf above the language keeps with a state.  0: inference, 1: library, 2: data,
   3: foreign functions, 4..7: the host, 8: the GPU, 9: language models.  on_free is called with the slot's
   pointer by norn_free. */
void **norn_slot(norn_state *, int k);
void   norn_slot_on_free(norn_state *, int k, void (*f)(norn_state *, void *));
/* Memory counted against the state's limit; NULL when there is none left. */
void  *norn_alloc(norn_state *, void *p, size_t old, size_t n);   /* realloc-like; n = 0 frees */

/* ---- programs -------------------------------------------------------------------------------- */

typedef struct norn_run norn_run;
enum {
  NORN_LOAD_REPL = 1,    /* definitions join the session; the last expression is the value */
  NORN_LOAD_CHECK = 2    /* check only */
};
/* Compiles a text into a run of its top level that gives the last expression's value (a unit if it
   ends otherwise).  NULL: see norn_error (NORN_EINCOMPLETE: wants more text) and norn_diag_at. */
norn_run   *norn_load(norn_state *, const char *name, const char *text, size_t n, unsigned flags);
/* load + drive.  Top-level samples are drawn from the state's seed; inference is run. */
norn_status norn_eval(norn_state *, const char *name, const char *text, size_t n, unsigned flags,
                      norn_datum *out);
norn_status norn_eval_file(norn_state *, const char *path, norn_datum *out);
/* The value of a top-level name of the session or the last file, else of the library: NONE: there is none. */
norn_datum  norn_global(norn_state *, const char *name);
norn_status norn_set_global(norn_state *, const char *name, norn_datum);
/* The persistent map of the language (NORN_MAP): put gives a new map; get gives NONE if absent. */
norn_datum  norn_map_new(norn_state *);
norn_datum  norn_map_put(norn_state *, norn_datum map, norn_datum key, norn_datum value);
norn_datum  norn_map_get(norn_datum map, norn_datum key);
norn_datum  norn_map_remove(norn_state *, norn_datum map, norn_datum key);
int64_t     norn_map_size(norn_datum map);                                  /* -1 if not a map */
/* Entry i in a fixed order (by hash); key and value; false past the last. */
bool        norn_map_at(norn_datum map, int64_t i, norn_datum *key, norn_datum *value);

/* The derivative declared with a foreign function: a Norn function of the same arguments that gives
   the partial derivative in its real argument, or an array of one for each real argument.  NONE if f
   is no foreign function or has none. */
norn_datum  norn_foreign_derivative(norn_state *, norn_datum f);
/* While a graph is attached, values that are nodes of it are recorded (src/graph; NULL: no longer).
   norn_has_node: a value is, or holds, a node; norn_concrete: the same value with the numbers behind
   its nodes, as they are in this run. */
struct graph;
void        norn_graph_attach(norn_state *, struct graph *);
bool        norn_recording(norn_state *);
bool        norn_has_node(norn_datum);
/* Where the run that is going stands, outside of the standard library: for who records.  file 0: not
   known. */
norn_span   norn_here(norn_state *);
norn_datum  norn_concrete(norn_state *, norn_datum);
/* A recorded run may be answered with the k-th of its driver's latent values: it may lie in arrays
   and records unseen; when the run looks at it, `value` gives what it is.  `value` NULL: no longer.
   norn_force: the same value with what its latent ones are.  norn_run_latents visits those that are
   live by themselves, not inside of others; false: f said so. */
norn_datum  norn_latent(int64_t k);
void        norn_latent_attach(norn_state *, norn_datum (*value)(void *user, int64_t k), void *user);
bool        norn_has_latent(norn_datum);
norn_datum  norn_force(norn_state *, norn_datum);
bool        norn_run_latents(norn_run *, bool (*f)(void *user, int64_t k), void *user);

/* Calls a Norn function from C in a sealed run: effects in it are errors at their line. */
norn_status norn_call(norn_state *, norn_datum f, const norn_datum *args, int n, norn_datum *out);
/* The same, with samples drawn from rng (observe and infer are still errors). */
struct norn_rng;
norn_status norn_call_random(norn_state *, norn_datum f, const norn_datum *args, int n,
                             struct norn_rng *, norn_datum *out);
/* Bytecode of everything that the last load compiled, or of one named function, as text through
   output. */
norn_status norn_disassemble(norn_state *, const char *name);
/* Names that can follow `prefix` (globals, builtins, keywords, or fields after the last dot):
   calls f for each, in order. */
void norn_complete(norn_state *, const char *prefix, void (*f)(void *user, const char *name),
                   void *user);
/* One-line signature and docstring of a builtin, library or session name; NULL if unknown. */
const char *norn_doc(norn_state *, const char *name);

/* Natives.  A native gets its arguments in order; those not given have their default.  It writes
   *out and returns 0, or returns norn_fail(...).  It must not block and can't suspend. */
typedef norn_status (*norn_native_fn)(norn_state *, const norn_datum *args, int n, norn_datum *out);
enum {
  NORN_PURE = 1,         /* same arguments, same result: may be folded, and called in the threads of
                            a crew at once, with a state of each thread's own */
  NORN_VARIADIC = 2      /* the last parameter takes any number of further arguments */
};
typedef struct {
  const char *name;
  const char *params;    /* as in Norn: "x, lo = 0, hi = 1"; defaults are literals */
  const char *doc;       /* first line: one sentence; then details, an example after "Example:" */
  norn_native_fn f;
  unsigned flags;
  /* If set: a real function, applied elementwise to arrays by the VM; f may be NULL. */
  double (*real1)(double);
} norn_native;
/* The table must outlive the state.  module NULL: a global name; otherwise `import module`. */
norn_status norn_add_natives(norn_state *, const char *module, const norn_native *, int n);
/* Norn source; "prelude" is global. */
norn_status norn_add_library(norn_state *, const char *module, const unsigned char *text, size_t n);
norn_status norn_add_constant(norn_state *, const char *name, norn_datum, const char *doc);
/* Argument checks for natives: set the error and return false. */
bool norn_want_real(norn_state *, const norn_datum *args, int i, const char *what, double *out);
bool norn_want_int(norn_state *, const norn_datum *args, int i, const char *what, int64_t *out);
bool norn_want_string(norn_state *, const norn_datum *args, int i, const char *what,
                      const char **s, size_t *n);
bool norn_want_array(norn_state *, const norn_datum *args, int i, const char *what,
                     norn_view *out);
/* A numeric array as doubles: if need be converted, in scratch that lives until the native
   returns. */
const double *norn_want_reals(norn_state *, const norn_datum *args, int i, const char *what,
                              int64_t *n);

/* ---- random numbers: counters, not states ---------------------------------------------------- */

/* Philox4x32-10; counter = (lane, event, iteration, draw), key = stream (Salmon et al. 2011).
   pairs may be NULL, or point to 8 entries that remember the other half of normal pairs: it changes
   no number, it only saves making a block twice. */
typedef struct norn_pair { uint64_t stream, at, of; double other; } norn_pair;
typedef struct norn_rng {
  uint64_t stream;
  uint32_t lane, event, iter, draw;
  norn_pair *pairs;
} norn_rng;
uint64_t norn_rng_u64(norn_rng *);
double   norn_rng_uniform(norn_rng *);      /* in (0, 1), never 0 nor 1 */
double   norn_rng_normal(norn_rng *);       /* lanes 16b+j and 16b+8+j share a block (DESIGN 8) */
double   norn_rng_exponential(norn_rng *);
uint64_t norn_rng_below(norn_rng *, uint64_t n);   /* uniform on 0..n-1, without bias */
/* n at once, by vector registers: other numbers than n single draws, the same on every machine. */
void     norn_rng_uniforms(norn_rng *, double *out, int64_t n);
void     norn_rng_normals(norn_rng *, double *out, int64_t n);
/* A stream for a nested inference or a purpose of its own. */
uint64_t norn_stream_split(uint64_t stream, uint32_t lane, uint32_t event, uint32_t iter);

/* ---- distributions --------------------------------------------------------------------------- */

typedef struct norn_dist_row norn_dist_row;
/* A distribution: a row and its arguments (borrowed). */
typedef struct norn_dist { const norn_dist_row *row; const norn_datum *args; int n; } norn_dist;

/* Where a value may lie, and which map to R^n an engine uses. */
typedef enum {
  NORN_SUPPORT_REAL, NORN_SUPPORT_LOWER, NORN_SUPPORT_UPPER, NORN_SUPPORT_INTERVAL,
  NORN_SUPPORT_SIMPLEX, NORN_SUPPORT_ORDERED, NORN_SUPPORT_POSITIVE_ORDERED,
  NORN_SUPPORT_UNIT_VECTOR, NORN_SUPPORT_SUM_TO_ZERO,
  NORN_SUPPORT_CORR, NORN_SUPPORT_COV, NORN_SUPPORT_CHOLESKY_CORR, NORN_SUPPORT_CHOLESKY_COV,
  NORN_SUPPORT_BOOL, NORN_SUPPORT_INTEGER, NORN_SUPPORT_ANY
} norn_support_kind;
/* A value is `count` units of one kind: of numbers (size 1), vectors (size: the length) or square
   matrices (size: the order).  Numbers and ORDERED vectors have bounds; infinite: none.  A bound
   that units do not share is NaN: norn_dist_bounds has them.  lower_leaf, upper_leaf: the leaf of
   the distribution (norn_dist_leaves) that is the bound, the first of `count` where the bound is
   NaN; -1: the bound does not depend on a parameter; -2: it does in another way, which
   norn_dist_bounds_adjoint knows.  ANY: no such units; perhaps norn_dist_part has some. */
typedef struct {
  norn_support_kind kind;
  double lower, upper;
  int64_t size, count;
  int64_t lower_leaf, upper_leaf;
} norn_support;

enum {
  NORN_DIST_DISCRETE = 1, NORN_DIST_CONTINUOUS = 2,
  NORN_DIST_FINITE = 4,        /* enumerate ends for every argument */
  NORN_DIST_SCALAR = 8,        /* all parameters are real scalars; array arguments make a product;
                                  has sample1, logp1 */
  NORN_DIST_IMPROPER = 16,     /* has no normaliser: can't be sampled; evidence is refused */
  NORN_DIST_BOOL = 32,         /* its values are booleans */
  NORN_DIST_POSTERIOR = 64,    /* an inference result */
  NORN_DIST_COSTLY = 128       /* calls Norn code */
};
#define NORN_DIST_P 4          /* most parameters of a SCALAR row */
/* n elements of a SCALAR row at once.  arg[0] is x, arg[i] parameter i-1: n numbers where bit i of
   `many` is set, else one.  d[i] takes the n partial derivatives in arg[i]; all d NULL: densities
   only.  `keep`: bit i: arg[i] varies between the densities that will be compared; terms in which
   no such argument occurs may be left out (NORN_KEEP_ALL: none is). */
#define NORN_KEEP_ALL (~0u)
typedef struct norn_block {
  int64_t n;
  unsigned many, keep;
  const double *arg[1 + NORN_DIST_P];
  double *logp;
  double *d[1 + NORN_DIST_P];
} norn_block;
/* One row of the table of distributions.  What a row lacks is NULL: an engine that needs it refuses
   at the event.  p are the SCALAR parameters as doubles.  Errors by norn_fail. */
struct norn_dist_row {
  const char *name, *params, *doc;      /* doc: formula, support, meaning of the parameters */
  const char *hint;                     /* of an error about the parameters, or NULL */
  unsigned flags;
  /* SCALAR rows: the sentence that is wrong about parameter *which, or NULL; density; draw; cdf;
     quantile. */
  const char *(*check1)(const double *p, int *which);
  double (*logp1)(double x, const double *p);
  double (*sample1)(const double *p, norn_rng *);
  /* n draws, of parameters p[i][k] where bit i of `many` is set, else p[i][0].  NULL: sample1. */
  void (*samples)(norn_rng *, int64_t n, unsigned many, const double *const *p, double *out);
  /* What sample1 draws for each of n runs whose counters differ in the lane only: lane[k], or
     rng->lane + k where lane is NULL; to the same bits.  NULL: sample1. */
  void (*lane_samples)(const norn_rng *, const uint32_t *lane, int64_t n, unsigned many,
                       const double *const *p, double *out);
  double (*cdf1)(double x, const double *p);
  double (*quantile1)(double prob, const double *p);
  /* d logp / d (x, p[0], ...) into out[0..]; returns logp. */
  double (*partials1)(double x, const double *p, double *out);
  /* The convex hull of the support; 1 + the parameter that is its lower (upper) end, 0: none is. */
  void (*range1)(const double *p, double *lower, double *upper);
  int lower_is, upper_is;
  /* 1 + the parameter l, s or r of a density f((x - l) / s) / s or f(r x) r; 0: none is. */
  int location_is, scale_is, rate_is;
  /* log P(X <= x) and log P(X > x): right in both tails, where cdf1 is 0 or 1. */
  void (*tails1)(double x, const double *p, double *lower, double *upper);
  /* d P(X <= x) / d (x, p[0], ...) into out[0..]; returns P(X <= x).  NULL: by differences. */
  double (*cdf_partials1)(double x, const double *p, double *out);
  /* NaN: none; inf: infinite */
  void (*moments1)(const double *p, double *mean, double *variance);
  /* logp1 and partials1 of many elements, to the same bits.  NULL: these are called. */
  void (*block)(const norn_block *);
  /* Any row. */
  norn_status (*check)(norn_state *, const norn_dist *);
  norn_status (*sample)(norn_state *, const norn_dist *, norn_rng *, norn_datum *out);
  norn_status (*logp)(norn_state *, const norn_dist *, norn_datum x, double *out);
  /* Adds `scale` times the partial derivatives of the log density at x: in the elements of x to gx,
     in the leaves of the distribution (norn_dist_leaves) to g.  Either may be NULL.  A symmetric
     matrix is read as (A + A')/2, and the derivatives are in all of its elements. */
  norn_status (*partials)(norn_state *, const norn_dist *, norn_datum x, double scale, double *gx,
                          double *g);
  norn_status (*cdf)(norn_state *, const norn_dist *, norn_datum x, double *out);
  norn_status (*quantile)(norn_state *, const norn_dist *, double prob, norn_datum *out);
  void        (*support)(norn_state *, const norn_dist *, norn_support *);
  /* As norn_dist_bounds and norn_dist_bounds_adjoint; lower or g is NULL if not asked for.  NULL: by
     range1, or the bounds that `support` says. */
  norn_status (*bounds)(norn_state *, const norn_dist *, double *lower, double *upper,
                        const double *glower, const double *gupper, double *g);
  /* One number: log P(lower < x <= upper); adds scale times its derivatives by the leaves to g, if
     not NULL.  Of SCALAR rows by tails1, cdf1 and partials1. */
  norn_status (*mass)(norn_state *, const norn_dist *, double lower, double upper, double *out,
                      double scale, double *g);
  /* The k-th value of the support (k = 0, 1, ...) in natural order; NONE in *out past the last. */
  norn_status (*enumerate)(norn_state *, const norn_dist *, int64_t k, norn_datum *out);
  /* As norn_dist_count; NULL: by enumerating. */
  int64_t (*count)(norn_state *, const norn_dist *);
  norn_status (*moments)(norn_state *, const norn_dist *, norn_datum *mean, norn_datum *variance);
  /* As norn_dist_part. */
  norn_status (*part)(norn_state *, const norn_dist *, int64_t k, norn_datum *out);
  /* The flags of a combinator, which follow from what it combines. */
  unsigned (*flags_of)(const norn_dist *);
  /* A named part (`post.mu`, `post["z[3]"]`); NONE in *out if it has none of that name. */
  norn_status (*field)(norn_state *, const norn_dist *, const char *name, norn_datum *out);
  /* How it prints; NULL: name(args). */
  norn_status (*show)(norn_state *, const norn_dist *, norn_datum *text);
  /* The log density as a number, a big of `bits` bits where that can be had (norn_dist_logp_big);
     NULL: the library's families have theirs by name, others none. */
  norn_status (*logp_big)(norn_state *, const norn_dist *, norn_datum x, int64_t bits,
                          norn_datum *out);
  /* Of rows whose sample and logp wait for something slow that does many at once (a language model): what those
     of n distributions of this row will need, x[i] being NONE for a sample by the numbers g[i].  It changes no
     result: an engine that drives many runs calls it for all that stand at such rows (NORN_RUN_READY). */
  norn_status (*ready)(norn_state *, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g);
  /* The model value that draws it choice by choice, where there is one: sampled in a run, the run enters that; infer,
     given and do take it for that.  Scored and observed it stays what it is.  NONE in *model: it is drawn whole. */
  norn_status (*expand)(norn_state *, const norn_dist *, norn_datum *model);
};
/* Each becomes a constructor. */
norn_status norn_add_dists(norn_state *, const norn_dist_row *, int n);
/* Checked. */
norn_datum  norn_dist_new(norn_state *, const norn_dist_row *, const norn_datum *args, int n);
bool        norn_dist_view(norn_datum, norn_dist *);   /* false if not a distribution */
norn_status norn_dist_check(norn_state *, const norn_dist *);
/* The row's flags; for truncate, mixture and iid those of their parts (discrete, finite ...). */
unsigned    norn_dist_flags(const norn_dist *);
/* These dispatch on the row, make products over array arguments, and check the value's shape. */
norn_status norn_dist_sample(norn_state *, const norn_dist *, norn_rng *, norn_datum *out);
norn_status norn_dist_logp(norn_state *, const norn_dist *, norn_datum x, double *out);
norn_status norn_dist_partials(norn_state *, const norn_dist *, norn_datum x, double scale,
                               double *gx, double *g);
/* The log density as a big of `bits` bits, for families with a closed form; 0: those of with_bits,
   or of the longest big in d and x, or 256. */
norn_status norn_dist_logp_big(norn_state *, const norn_dist *, norn_datum x, int64_t bits,
                               norn_datum *out);
/* Is a big among the parameters, or in the value? */
bool        norn_dist_is_big(const norn_dist *, norn_datum x);
/* The leaves of a distribution are the numbers in its arguments, in order: a number is one, an array
   of numbers has its elements, a distribution its own, an array or record those of what is in it.
   Partial derivatives come in this order (that of a whole-number parameter is 0). */
int64_t     norn_dist_leaves(const norn_dist *);
norn_status norn_dist_support(norn_state *, const norn_dist *, norn_support *);
/* The bounds of each of the support's `count` units. */
norn_status norn_dist_bounds(norn_state *, const norn_dist *, double *lower, double *upper);
/* Reverse mode: adds to the leaves' g the derivatives by the bounds. */
norn_status norn_dist_bounds_adjoint(norn_state *, const norn_dist *, const double *glower,
                                     const double *gupper, double *g);
norn_status norn_dist_enumerate(norn_state *, const norn_dist *, int64_t k, norn_datum *out);
/* Number of values of a finite distribution; -1: infinite or not enumerable. */
int64_t     norn_dist_count(norn_state *, const norn_dist *);

/* Whether unit k of d is from noncentered(): an engine is asked for the coordinate u of x = location
   + scale u.  *location, *scale: their leaves. */
bool        norn_dist_noncentered(norn_state *, const norn_dist *, int64_t k, int64_t *location,
                                  int64_t *scale);
/* The k-th of independent distributions that this one is made of (product, iid; array parameters);
   the numbers of a value are those of their values, in order.  NONE: there is no such part. */
norn_status norn_dist_part(norn_state *, const norn_dist *, int64_t k, norn_datum *out);

/* The map between R^m and one unit of a support (Stan reference manual, "Constraint Transforms";
   src/dist/map.c).  m = norn_support_free(s), -1: there is no map; the unit has
   norn_support_elems(s) numbers (row-major matrices).  The bounds in s are those of this unit. */
int64_t norn_support_free(const norn_support *);
int64_t norn_support_elems(const norn_support *);
/* x from u; adds log |det dx/du| to *log_jacobian, if not NULL.  The free coordinates of x are the
   first n - 1 numbers of a simplex or a vector of sum 0 and the lower triangle of a matrix; for
   unit vectors the term makes a density on the sphere one on R^n. */
void norn_support_constrain(const norn_support *, const double *u, double *x,
                            double *log_jacobian);
/* u from x; false: x is not inside. */
bool norn_support_unconstrain(const norn_support *, const double *x, double *u);
/* Reverse mode: adds gx . dx/du + gj dlogjacobian/du to gu, and the same in the bounds to *glower
   and *gupper (which may be NULL).  gx: by each number of x.  work: room for as many numbers. */
void norn_support_adjoint(const norn_support *, const double *u, const double *x, const double *gx,
                          double gj, double *gu, double *glower, double *gupper, double *work);

/* ---- plug-ins -------------------------------------------------------------------------------- */

/* Shared objects: `norn --load engine.so` opens it and calls this one symbol. */
#define NORN_PLUGIN_ENTRY "norn_plugin"
typedef norn_status (*norn_plugin_fn)(norn_state *);
norn_status norn_load_plugin(norn_state *, const char *path);

#if defined __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#include "norn_infer.h"   /* runs, engines, densities, posteriors */
#endif
