/* lanes.h: many runs in lanes (norn_lanes in norn.h).

   Runs that are in the same state are one *group*: one norn_run, in whose registers a number that
   differs between lanes is a vector of cells behind a handle.  The VM executes a group like any run:
   its fast paths know integers and reals only, and the cold functions behind them have a case for
   lanes.  Where lanes disagree (a branch) both ways are gone, if they are
   short and pure (lanes_select.c), or the group splits; what lanes cannot do is done by runs of
   their own, one for each lane, from the same instruction on.  At a barrier groups and runs in the
   same state become one group again.

   A *layout* says which lanes a vector has.  It is made from another by a map (resampling, splitting):

        at the barrier   P0 <--ancestors-- P1 <--ancestors-- P2        lane k of P1 was map[k] of P0
                                           ^--lanes where c-- A        lane k of A was map[k] of P1
                                           ^--lanes where not c-- B

   A handle keeps its vector in the layout in which it was made.  Who reads it from a younger layout
   gathers it by the maps between them, then: so resampling and splitting touch no value, wherever
   in the heap its handle lies, and what nobody reads any more is never gathered.

   Handles that no run of the population can reach are found by marking, when enough of them have
   been made. */
#ifndef NORN_LANG_LANES_H
#define NORN_LANG_LANES_H
#include "graph/segment.h"
#include "lang/run.h"

enum { LANE_REAL = NORN_REAL, LANE_INT = NORN_INT, LANE_BOOL = NORN_BOOL };
enum { LANE_PAD = 32, LANES_FEW = 16 };    /* cells behind the last; smaller groups are dissolved */
enum { LANES_FEW_SIMULATED = 4 };          /* ... of runs that are simulated, which never meet again */

typedef segment_cell cell;

typedef struct layout {
  struct layout *up;            /* NULL: the first */
  uint32_t *map, room;          /* (n, room for `room`) */
  uint32_t *keep;               /* lanes_compact.c; else NULL */
  uint32_t n, depth;
  uint32_t refs, values;        /* groups, children and vectors that refer to it; of them vectors */
  void *dev;                    /* the map where the backend keeps its own; then map may be NULL (layout_host) */
  struct layout *far;           /* map from here to an older one, made last; not counted */
  uint32_t *far_map, far_depth;
} layout;

/* A vector of cells of one kind.  also: the same in other layouts. */
typedef struct lane_vec {
  struct lane_vec *next, *also;                  /* first what is always looked at: there are many */
  layout *at;
  cell *c;                      /* (at->n, and padding), or NULL: lane_host */
  double lo, hi;                /* if `ranged`: reals between these, which are finite */
  bool ranged;
  uint8_t kind;
  bool mark;
  bool within;                  /* c lies in its sheaf */
  uint32_t room;                /* cells that were taken for it alone; 0: a buffer of n */
  void *b;                      /* the same in a buffer of the backend, or NULL; without both it waits for
                                   the segment (lanes_defer.c) */
  cell *plate;                  /* (plates) lanes of population f have number f, in every layout: at is
                                   l->plate_at; else NULL */
  uint32_t op, serial;          /* its operation in segment number `serial` */
  struct lane_sheaf *sheaf;     /* of which it is part, or NULL */
} lane_vec;

/* Many vectors that are made together, as the elements of a matrix: one piece of memory, which goes when nobody has any
   of them.  Only simulated runs, which end soon, have sheaves. */
typedef struct lane_sheaf {
  struct lane_sheaf *next;
  size_t bytes;
  layout *at;                   /* in which they were made; of those that are in no other it is there */
  uint32_t n, left;             /* left: that somebody has; the others' `at` is NULL */
  lane_vec vec[];               /* (n), then their cells */
} lane_sheaf;

static inline val v_lanes(lane_vec *h)
{
  val v;
  v.tag = V_LANES | (uint64_t)h->kind << 32;
  v.p = h;
  return v;
}
static inline unsigned lanes_kind(val v) { return (unsigned)(v.tag >> 32); }
static inline val cell_value(unsigned kind, cell c)
{
  return kind == LANE_REAL ? norn_real(c.d) : kind == LANE_INT ? norn_int(c.i) : norn_bool(c.i);
}

enum { WANT_NOTHING, WANT_ALONE, WANT_SPLIT, WANT_ERROR, WANT_AGAIN };
typedef struct group {
  norn_lanes *all;
  norn_run *run;
  layout *at;
  uint32_t *lane;               /* (at->n) rising; NULL: lane k is k */
  double *logw;                 /* (at->n) of this leg, if `weighed` */
  bool weighed, direct;         /* direct: the weights of the leg went to all->logw */
  bool dying;                   /* a lane has weight 0 */
  bool defers;                  /* what its lanes do goes to the segment */
  /* What it asks of who drives it, instead of going on: WANT_SPLIT: the lanes where `mask` is set
     go another way (as runs of their own if `alone`); WANT_ERROR: the error is one of the program;
     WANT_AGAIN: the leg is done once more, without a segment. */
  uint8_t want;
  bool alone;
  bool sizes;                   /* it has just parted by size: perhaps it parts again (lanes_size.c) */
  uint8_t *mask;                /* (at->n) */
} group;

enum { LANE_RUNNING, LANE_ENDED, LANE_DEAD };
static inline uint32_t lane_at(const group *g, uint32_t k) { return g->lane ? g->lane[k] : k; }

struct norn_lanes {
  norn_state *st;
  uint32_t n, first;                          /* lane k is that of the run with number first + k */
  group **group; size_t ngroup, cgroup;       /* all of them; [next, ngroup) are not at the barrier */
  size_t next;
  uint32_t next_run;                          /* the run that is stepped now */
  norn_run **run; uint32_t nruns;             /* (n) lanes that go alone; NULL: none has yet */
  uint8_t *state;                             /* (n) LANE_... */
  size_t history;                             /* lanes of older layouts that the last look at all left */
  uint32_t old;                               /* layouts up to this depth were looked at */
  bool any_gone;                              /* a lane has ended or died */
  double *logw;                               /* (n) the engine's, in a leg */
  uint32_t *identity;                         /* (n) 0, 1, ... */
  uint32_t *value;                            /* (n) where in `values` what it returned is */
  norn_ref *values;                           /* an array of what runs returned */
  uint32_t nvalues;
  cell *number; uint8_t number_kind;          /* (n) instead of these: all ended together with numbers */
  bool number_mixed;                          /* lanes were copied since */
  unsigned flags;                             /* of runs that go alone */
  bool removed;                               /* lanes of groups are dead */
  bool in_leg;
  int apart;                                  /* legs in a row in which runs alone are faster */
  size_t alone_before;                        /* report.alone when the leg began */
  lane_vec *vecs;                             /* all handles but those of */
  lane_sheaf *sheaves;
  size_t made, kept;                          /* since the last marking; that it left */
  size_t cells, made_cells;                   /* numbers of all vectors; made since the last marking */
  struct cells *free;                         /* buffers of n cells for reuse */
  lane_vec *idle, *last_idle; size_t nidle;   /* and handles that have one still */
  bool selecting;                             /* lanes_select.c holds values that no register does */
  int holding;                                /* so does who goes through an array (lanes_arith.c) */
  struct lanes_vain { const ins *pc; int n; } vain[16];           /* branches where it did in vain */
  struct typed { struct typed *next; const proto *p; uint64_t bits[]; } *typed;   /* lanes_merge.c */
  uint32_t plates, each;                      /* populations side by side, lanes of each; 0: there is one */
  uint64_t *stream;                           /* (plates) */
  layout *plate_at;
  bool plate_over;                            /* they can't go on so */
  const segment_backend *backend; void *device;                   /* of lanes_defer.c; NULL: lanes compute */
  const segment_backend *store; void *stored;                     /* whose buffers vectors may lie in, or NULL */
  void *maps[8]; int nmaps;                   /* its maps of this segment alone */
  segment *seg;
  uint32_t serial;                            /* of the segment; never 0 */
  norn_run *snapshot;                         /* the group's run at the start of the leg; NULL: none */
  norn_ref **array; size_t narray, carray;    /* the arrays of the segment */
  uint32_t iter;                              /* of the segment's draws */
  int rest;                                   /* legs until the backend is asked again */
  bool deferred;                              /* the backend ran this leg of all lanes */
  bool rests;                                 /* the group at `next` goes on in its worker's thread, later */
  int again;                                  /* legs in a row that had to be done again */
  norn_lanes_report report;
};
/* The number of lane k in the counters of its draws. */
static inline uint32_t lane_number(const group *g, uint32_t k) { return g->all->first + lane_at(g, k); }

/* ---- lanes_vec.c: layouts and vectors ---- */
layout   *layout_new(norn_lanes *, layout *up, uint32_t n);        /* map is to be filled; NULL: no memory */
void      layout_drop(norn_lanes *, layout *);
/* The map from `from` to `up`, which is above it (or `from` itself: NULL). */
const uint32_t *layout_map(norn_lanes *, layout *from, layout *up);
lane_vec *lane_vec_new(norn_lanes *, layout *, unsigned kind);     /* NULL: no memory (error set) */
/* n new vectors of reals.  false: no memory (error set). */
bool      lane_vecs_new(norn_lanes *, layout *, uint32_t n, lane_vec **);
lane_vec *lane_vec_plate(norn_lanes *, unsigned kind, cell *plate);     /* takes plate; likewise */
lane_vec *lane_vec_waiting(norn_lanes *, layout *, unsigned kind, uint32_t op); /* without cells; likewise */
/* It, or that of its `also` from which it is gathered. */
lane_vec *lane_nearest(group *, lane_vec *);
/* h has its cells in the group's layout now: c, of a buffer, or b, of the backend.  false: no memory (error
   set), they are given back. */
bool      lane_moved(group *, lane_vec *, cell *c, void *b);
bool      lane_waits(const lane_vec *);
/* Cells of the host, read back if need be; the map likewise; false, NULL: error set. */
bool      lane_host(norn_lanes *, lane_vec *);
bool      layout_host(norn_lanes *, layout *);
void      lane_vec_free(norn_lanes *, lane_vec *);                 /* with all its `also` */
void      lane_sheaves_free(norn_lanes *);
/* It, or that of its `also`, in the group's layout; and the cells there.  NULL: no memory (error
   set). */
lane_vec *lane_here(group *, lane_vec *);
cell     *lane_cells(group *, lane_vec *);
/* The same for a segment, which alone may look at what is one number for each population within a leg. */
lane_vec *lane_gathered(group *, lane_vec *);
size_t    lane_bytes(const norn_lanes *);                          /* of a vector */
void     *lane_buffer(norn_lanes *);                               /* n cells; NULL: error set */
void      lane_buffer_put(norn_lanes *, void *);
/* Those that nobody has, for good; of simulated runs, of which there will be more at once, some are kept. */
void      lane_buffers_leave(norn_lanes *);
/* Marks what runs reach and frees the rest, if it is time for that. */
bool      lanes_sweep(norn_lanes *, bool now);                     /* false: no memory to look */
/* Its halves: marks what runs reach, and the run at the start of the leg if asked; frees the rest, and takes
   the marks away.  false: no memory to look (all are marked, then). */
bool      lanes_mark(norn_lanes *, bool snapshot);
void      lanes_free_unmarked(norn_lanes *);

void      lane_cells_put(norn_lanes *, lane_vec *);
void      layout_forget(norn_lanes *, layout *);                   /* its `far` */

/* ---- lanes_compact.c ---- */
void      lanes_compact(norn_lanes *);          /* if it is time: of the one group that there is */

/* ---- lanes_merge.c ---- */
/* Groups and runs in the same state become one group.  false: no memory (error set). */
bool      lanes_merge(norn_lanes *);
void      lanes_merge_free(norn_lanes *);
/* Does an instruction from word pc on read the register as a number, without looking? */
bool      lanes_reads_unseen(norn_lanes *, const proto *, uint32_t pc, int reg);

/* ---- lanes_walk.c: values inside of values ---- */
bool      lanes_inside(val);                                       /* is, or holds, lanes */
/* The value of lane k of the group.  NONE: error set. */
val       lane_of(group *, val, uint32_t k);
/* An array whose elements from `from` on are new, with what packing would have made of its numbers:
   reals where one is real.  NONE: error set, or they go alone. */
val       lanes_settled(norn_state *, val array, int64_t from);
/* One value of many: where each came from. */
typedef struct lane_source {
  val v;
  group *g;                     /* NULL: a single lane */
  const uint32_t *to;           /* (g->at->n, or 1) its lanes in the result */
} lane_source;
/* The value that is v of each lane_source, in the layout; NONE: there is none (or error set). */
val       lanes_joined(norn_lanes *, layout *, const lane_source *, size_t n);
/* Every register that is live and the closures that run, innermost frame first, and what the run
   keeps beside them.  pc: where p goes on; reg: -1: no register of p.  false: f said so. */
typedef bool lanes_visitor(void *user, val *, const proto *p, const ins *pc, int reg);
bool      lanes_walk(norn_run *, lanes_visitor *, void *user);

/* ---- lanes_arith.c: what the VM asks.  NONE, false: the error, or `want`, says why. ---- */
val  lanes_arith(norn_state *, arith, val x, val y);
val  lanes_map1(norn_state *, const norn_native *, val x);
/* false: no argument holds lanes, or f only carries them. */
bool lanes_native(norn_state *, const norn_native *, const val *args, int n, val *out);
val  lanes_index(norn_state *, val x, val i);
val  lanes_matmul(norn_state *, val a, val b);                 /* lanes_matrix.c */
/* x + y of a matrix of reals that holds lanes and one of numbers.  NONE: it is something else, or error set. */
val  lanes_add_matrix(group *, val x, val y);                  /* lanes_matrix.c */
/* A branch: *v becomes what all lanes have; false: they disagree. */
bool lanes_decide(norn_state *, val *v);
/* a in the lanes where c (booleans) holds, b in others: numbers or booleans of one kind. */
val  lanes_choose(group *, val c, val a, val b);
bool lanes_fit(norn_state *, val x, val lower, val upper);     /* an annotation: numbers in bounds */

/* ---- lanes_select.c ---- */
/* The branch at r->pc, on *v.  0: *v is what all lanes have; 1: both ways were gone, r->pc is where they meet;
   -1: the lanes part, or an error. */
int  lanes_branch(norn_run *r, val *v);

/* ---- lanes_size.c ---- */
/* Of a group whose lanes can't do the instruction at which it stands, by the integers that it reads: those that are the
   same in all lanes became numbers, and it goes on; it parts by one of them (its mask is set: those that have the
   number of the first lane); it reads none; no memory (error set). */
typedef enum { SIZES_SAME, SIZES_PART, SIZES_NONE, SIZES_FAILED } lanes_sizes;
lanes_sizes lanes_by_size(group *);

/* ---- lanes_event.c ---- */
/* event: the word of the counters; tell: what is to be told of it, or NULL. */
bool lanes_sample(norn_run *, val *dst, const norn_dist *, uint32_t event, norn_simulated *tell);
bool lanes_observe(norn_run *, const norn_dist *, val y);      /* adds to the weights */
bool lanes_weight(norn_run *, val lw);                         /* numbers; booleans: conditions */
bool lanes_dist(norn_state *, const norn_dist *);              /* are the parameters good? */
val  lanes_logpdf(norn_state *, const norn_dist *, val y);

/* ---- lanes_plate.c ---- */
/* The leg needs what populations side by side do not have.  true: so it is, and the group stops. */
bool lanes_apart(group *);

/* ---- lanes_defer.c: the leg of a group that has all lanes as a segment (graph/segment.h) ---- */
void lanes_defer_begin(norn_lanes *);          /* at the start of a leg: the group defers, if it can */
/* A group that defers has stopped.  1: it goes on from there; 0: the leg is done again; -1: error set. */
int  lanes_defer_end(group *, norn_event_kind);
void lanes_defer_free(norn_lanes *);
/* What waits is computed, and what of it is kept: all; what registers tell is read later, and *wanted, which
   no register holds; the same at the end of the leg, when others go.  false: no memory (error set), or the group
   wants the leg again. */
typedef enum { FLUSH_ALL, FLUSH_READ, FLUSH_END } flush_how;
bool lanes_flush(group *, lane_vec *wanted, flush_how);
/* Nothing of the leg counts, which is done again.  Gives false. */
bool lanes_again(group *);
/* Before effects, which must not happen twice: the group computes from here on.  false: likewise. */
bool lanes_compute(group *);
/* As those without `_later`; false: not such a thing, the lanes compute it. */
bool lanes_arith_later(group *, arith, val x, val y, val *out);
bool lanes_map1_later(group *, const norn_native *, val x, val *out);
bool lanes_index_later(group *, val x, val i, val *out);
val  lanes_choose_later(group *, val c, val a, val b);
bool lanes_fit_later(group *, val x, double lower, double upper);
bool lanes_sample_later(group *, const norn_dist *, uint32_t event, val *out);
bool lanes_observe_later(group *, const norn_dist *, val y, bool *good);
bool lanes_weight_later(group *, val lw, bool *good);
bool lanes_dist_later(group *, const norn_dist *, bool *good);
bool lanes_logpdf_later(group *, const norn_dist *, val y, val *out);

/* ---- lanes.c ---- */
void group_free(norn_lanes *, group *);
void lanes_lift_water(norn_run *);                              /* before older frames are written */
bool group_add(norn_lanes *, group *);                         /* false: no memory (error set) */
/* What lanes can't do: each goes on by itself, from this instruction on. */
void lanes_alone(norn_state *, const char *why);
/* An instruction of r failed.  true: the group's driver knows what to do. */
bool lanes_leave(norn_run *r);
#endif
