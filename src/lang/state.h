/* state.h: the inside of a norn_state. */
#ifndef NORN_LANG_STATE_H
#define NORN_LANG_STATE_H
#include "lang/value/value.h"
#include "lang/heap.h"
#include "lang/compile/code.h"
#include <pthread.h>

#define STATE_SLOTS 10
#define STATE_FUEL 10000              /* polls between two looks at limits and the interrupt flag */

struct norn_ref {
  norn_state *st;
  val v;
  norn_ref *next, *prev;
  bool fresh;                         /* set since the last collection */
};

/* Constructors of variants: id is the upper half of the tag. */
typedef struct ctor { sym name; uint32_t arity, type, index; sym *fields; } ctor;
/* Its constructors are first .. first + n - 1. */
typedef struct type_info { sym name; uint32_t first, n; } type_info;

/* Printed addresses: hash -> (parent, component), filled by runs with NORN_RUN_NAMES. */
typedef struct addr_entry { uint64_t hash, parent, comp; } addr_entry;
/* The name and number that a component of kind NAME or CALL stands for. */
typedef struct addr_named { uint64_t comp; sym name; uint32_t number; } addr_named;

struct norn_state {
  pthread_mutex_t lock;               /* recursive: whoever of several threads uses the state */
  /* crew.c.  home: of a worker, the state that it works for; crew: of that state, its workers;
     worker: its number, 0 at home; full_due: its old space has grown enough for a full collection */
  norn_state *home;
  struct norn_crew *crew;
  uint32_t worker;
  bool full_due;
  mem mem;
  norn_config cfg;
  heap heap;
  sources sources;
  diags diags;                        /* of the last load */
  norn_err err;                       /* the state's error; code NORN_OK: none */
  int err_arg;                        /* argument at fault of the native that failed, or -1 */

  /* record.c */
  struct sym_entry { char *s; uint32_t n, hash; } *syms;   /* index is the sym */
  size_t nsyms, csyms;
  uint32_t *sym_table;
  size_t sym_mask;
  shape **shapes;                     /* chained by next */
  size_t shape_mask, nshapes;

  /* env.c */
  struct env *env;
  ctor *ctors;
  size_t nctors, cctors;
  type_info *types;
  size_t ntypes, ctypes_;
  val *globals;                       /* all are roots of every collection */
  size_t nglobals, cglobals;
  proto *protos;
  bool consts_fresh;                  /* constants or defaults made since the last collection */

  /* handle.c: all that there are */
  handle **handles;
  size_t nhandles, chandles;
  uint64_t handle_serial;
  const norn_handle_row **handle_rows;          /* that can be saved, by their names */
  size_t nhandle_rows, chandle_rows;
  const struct archive_handle **archived;       /* and those of checkpoints only */
  size_t narchived, carchived;

  /* run.c */
  struct norn_run **dirty;            /* runs that ran since the last collection */
  size_t ndirty, cdirty;
  struct norn_run *all;               /* every run ever made: runs are kept for reuse */
  size_t nall;
  struct norn_run *pool[24];          /* free ones by size class */
  bool pool_made[24];                 /* a class has been used */
  struct slab *slabs;                 /* the memory of runs */
  struct norn_run *current;           /* the innermost that is executing */
  int64_t fuel;                       /* polls left before state_poll */
  uint64_t steps;                     /* polls done, in units that fuel counted down */
  double deadline;                    /* monotonic seconds; 0: none */
  int interrupted;                    /* atomic: norn_interrupt may come from anywhere */
  struct graph *graph;                /* being recorded, or NULL */
  struct branch_code *branches;       /* symbolic/branch.c: code of ways */
  norn_datum (*latent)(void *user, int64_t k);   /* latent.c; NULL: there are none */
  void *latent_user;
  struct group *lanes;                /* lanes.h: the group that executes, or NULL */
  bool (*simulated)(void *user, const norn_simulated *);      /* simulate.c; NULL: nobody is told */
  void *simulated_user;
  norn_choice_asked asked;            /* event.c; NULL: nobody is asked */
  void *asked_user;
  struct cells *spare;                /* lanes_vec.c: `spares` buffers of `spare_bytes` for the lanes to come, */
  struct lane_vec *idle;              /* with handles and without */
  struct lane_sheaf *sheaves;         /* and a few sheaves */
  size_t spare_bytes, spares;
  int sealed_depth;
  uint64_t mem_ids;                   /* mem() made outside runs */
  proto *memo_stubs[9];

  addr_entry *addrs;
  size_t naddrs, addr_mask;
  /* run.c: hashes of arrays that runs share; age: the collections before, after which another may lie there */
  struct array_hash { const void *of; uint64_t hash, age; } hashed[16];
  addr_entry *own;                    /* of a worker: what home has not taken over yet (addr_take) */
  size_t nown, own_mask;
  addr_named *named;
  size_t nnamed, named_mask;

  norn_ref *refs_fresh, *refs_old;    /* doubly linked */
  text shown;                         /* norn_show's text */
  struct { void *scratch; size_t size; } *scratch;   /* norn_want_reals: until the native returns */
  size_t nscratch, cscratch;

  norn_pair pairs[8];                 /* rng.h: halves of normal pairs made in advance */
  uint64_t top_stream;                /* random numbers of top-level runs */
  uint32_t top_iter;
  const struct foreign_maker *maker;  /* makes natives of C functions; NULL: none */
  const struct archive_row *unnamed; int nunnamed;     /* archive_code.c: archive_rows */
  bool checking;                      /* this load only checks: nothing is opened */
  bool gets_ready;                    /* ready.c: programs may meet rows with `ready` */
  void *slot[STATE_SLOTS];
  void (*slot_free[STATE_SLOTS])(norn_state *, void *);
  void (*on_warning)(void *, const norn_err *);
  void *on_warning_user;
  proto *last_load;
};

/* state.c */
/* Fuel ran out: limits, time, interrupt; false: error set.  Refills fuel. */
bool state_poll(norn_state *);
/* Sets the error, gives NONE. */
val  state_fail(norn_state *, norn_status, const char *format, ...) NORN_PRINTF(3, 4);
val  state_memory(norn_state *);      /* the out-of-memory error; gives NONE */
/* What norn_want_reals lent since there were `keep` pieces: when a native returns. */
void state_scratch_free(norn_state *, size_t keep);
double state_now(void);               /* monotonic seconds */
void state_drop_refs(norn_state *);   /* of a state that ends */

/* crew.c: worker threads.  What a worker can't do (a new name, an impure native) fails with
   state_at_home; so does what goes wrong: the instruction then runs again at home. */
norn_state *crew_worker(const struct norn_crew *, int k);        /* NULL past the last */
void crew_charge_lock(norn_state *worker);                       /* around changes of home's count */
void crew_charge_unlock(norn_state *worker);
bool crew_poll(norn_state *worker);                              /* state_poll of a worker */
bool crew_works(const norn_state *worker);                       /* is its thread at work, not the caller's? */
/* Whoever calls without a state at hand: the worker of this thread, or `home` itself. */
norn_state *crew_here(norn_state *home);
/* May a worker call this native with these arguments? */
bool crew_may_call(const norn_native *, const val *args, int n);
val  state_at_home(norn_state *);                                /* sets an error, gives NONE */

/* record.c, env.c: freeing and roots of what they own */
void record_free(norn_state *);       /* symbols and shapes */
/* Constants and defaults in entries; whoever makes one sets consts_fresh. */
void env_scan(norn_state *, gc *);

/* handle.c: frees what handles without a mark own; or all of them own. */
void handles_sweep(norn_state *, bool all);

/* addr.c */
/* Of kind NAME or CALL; 0: no memory. */
uint64_t addr_component(norn_state *, unsigned kind, sym name, uint32_t number);
bool addr_is_named(const norn_state *, uint64_t comp);
void addr_note_new(norn_state *, uint64_t hash, uint64_t parent, uint64_t comp);
/* A run has met an address, which most often is known and lies where it belongs. */
static inline void addr_note(norn_state *st, uint64_t hash, uint64_t parent, uint64_t comp)
{
  const addr_entry *e = st->addrs ? &st->addrs[hash & st->addr_mask] : NULL;
  if (!e || !e->comp || e->hash != hash) addr_note_new(st, hash, parent, comp);
}
void addr_show(norn_state *, text *, uint64_t comp);     /* one component as text */
/* What a worker has noted becomes home's, when no worker works. */
void addr_take(norn_state *home, norn_state *worker);
/* "theta.z[3]" to the hash that a run whose path is `base` reaches; false: not an address. */
bool addr_parse(norn_state *, uint64_t base, const char *name, uint64_t *hash);

/* mem.c */
proto *memo_stub(norn_state *, int nargs);              /* bytecode that looks up, calls, stores */
/* model.c: given, do, their scopes */
scope *scope_enter(norn_state *, const modl *, scope *up, uint64_t path);
bool scope_replaces(const scope *);                     /* observations, by _observing */
extern const norn_native model_natives[3];              /* given, do, _observing */
/* defdist.c: distributions defined in Norn; one row each for real, integer and finite supports, the
   same with a cdf, with a quantile, with both. */
enum { DEFDIST_REAL, DEFDIST_INTEGER, DEFDIST_FINITE, DEFDIST_CDF, DEFDIST_QUANTILE = 6,
       DEFDIST_ROWS = 12 };
extern const norn_dist_row defdist_rows[DEFDIST_ROWS];
/* @defdist(name, sample, logpdf, support, args, mean, variance, cdf, quantile), interval */
extern const norn_native defdist_natives[2];
bool defdist_init(norn_state *);                        /* the words for supports */
/* annot.c: an annotation's check; NULL if well, else the sentence (into buf). */
const char *annot_check(norn_state *, val description, val x, char *buf, size_t n);
void lane_spares_free(norn_state *);      /* lanes_vec.c */
#endif
