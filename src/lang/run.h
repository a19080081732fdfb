/* run.h: a run, the suspended computation.

   The stack holds frames and windows (op.h).  While a run stands still its pc is the next
   instruction, `ans` is the register that the answer goes to, and the registers of the event
   (hold .. hold + nhold) stay roots, so that the event can be asked again. */
#ifndef NORN_LANG_RUN_H
#define NORN_LANG_RUN_H
#include "lang/state.h"
#include <stddef.h>

#define FRAME_SIZE 2
enum { WAIT_NONE, WAIT_SAMPLE, WAIT_OBSERVE, WAIT_INFER };
#define RUN_LANES (1u << 29)       /* in flags: of a group (lanes.h) */
#define RUN_IS_READY (1u << 28)    /* in flags: it has stood still with NORN_READY, at the instruction that comes */
#define RUN_IS_WAY (1u << 26)      /* in flags: it goes a way of a branch (norn_branch_ways) */
#define RUN_GUARDED (1u << 27)     /* in flags: the branch that comes leaves a guard (norn_branch_guard) */
#define RUN_REPLACED (1u << 30)    /* in flags: a scope replaces observations (_observing) */
/* A swarm of runs is stepped in turn, each from cold caches, so a run lies in one piece of memory:

     | rare, 128 bytes | hot, 128 bytes, a line boundary | the stack, until it outgrows its place |

   A step of a particle touches the hot part and the stack only. */
struct norn_run {
  struct norn_run *next, *all;     /* the pool; all runs ever made */
  norn_dist d1, d2;                /* of the event that waits */
  uint32_t nseen, seen_mask;
  struct rgraph *delay;            /* what is known of delayed choices (delayed.h), or NULL */
  val scope, memo, value;          /* given/do in force; mem's table; the observed value; units and
                                      NULL unless `rare` */
  /* ---- hot: 64 bytes that a step changes ---- */
  val *R;                          /* window */
  const ins *pc;                   /* next instruction */
  uint64_t addr;                   /* path hash */
  double logw;
  uint32_t lane, iter;
  unsigned flags;
  uint32_t nsample, nobserve;
  bool live, in_dirty;             /* in use; ran since the last collection (st->dirty) */
  bool finished, started, top, sealed;
  uint8_t wait;                    /* WAIT_* */
  bool answered, dist_in_reg;      /* dist_in_reg: d1 is the distribution value in register hold */
  bool rare;                       /* delay, scope, memo or value may be set */
  uint8_t cls, big;                /* size class of the stack in place; grown: 1 << big values */
  /* ---- 64 bytes that it only reads ---- */
  norn_state *st;
  val *stk, *lim;                  /* lim: end of the stack */
  uint64_t stream;
  const ins *wpc;                  /* return pc that WATER stands for */
  struct seen { uint64_t addr; norn_span span; } *seen;   /* CHECK */
  uint32_t ans, hold, nhold;       /* register indices from R */
  uint32_t bits;                   /* precision of bigs (with_bits); 0: by the operands */
};
#define RUN_RARE 128               /* bytes before `R` */
_Static_assert(offsetof(struct norn_run, R) == RUN_RARE &&
               offsetof(struct norn_run, st) == RUN_RARE + 64 && sizeof(struct norn_run) == 256,
               "the parts of a run fill cache lines");

/* The distance is stored in values, so that 64 GB of stack fit. */
#define FRAME_SET(f, ret, dist) do { \
    (f)[0].q = (ret); \
    (f)[0].tag = V_FRAME | (uint64_t)(dist) << 32; \
  } while (0)
#define FRAME_PC(f) ((const ins *)(f)[0].q)
#define FRAME_DIST(f) ((size_t)((f)[0].tag >> 32) * 16)

extern const ins run_halt_code[1], run_water_code[1];

/* A worker's run has come to an instruction that its thread can't do: the caller's goes on with it
   (crew.c).  No program sees this kind. */
#define RUN_AT_HOME ((norn_event_kind)100)
/* What an event may change before it fails on a worker; then it happens again at home. */
typedef struct run_mark {
  uint64_t addr;
  double logw;
  val scope;
  uint32_t iter, nsample, nobserve;
  unsigned flags;
  bool rare;
} run_mark;

/* vm.c: runs until an event. */
norn_event_kind vm_exec(norn_run *, norn_event *);
/* norn_run_next, but that RUN_AT_HOME may come of a worker's run. */
norn_event_kind run_next(norn_run *, norn_event *);
/* runs[to] becomes a copy of runs[from], which lies elsewhere, in the memory of st. */
bool  run_copy_to(norn_state *st, norn_run **runs, uint32_t to, uint32_t from);
norn_run *run_fork_to(norn_state *st, norn_run *, uint32_t lane);
bool  run_is_young(const norn_run *);                /* may it hold what lies in its nursery? */
void  run_mark_set(const norn_run *, run_mark *);
void  run_mark_back(norn_run *, const run_mark *);
bool  run_goes_home(norn_run *, const ins *pc);      /* on a worker, the state's error is set */
/* crew.c: the caller's thread steps a worker's run. */
norn_event_kind crew_run_next(norn_run *, norn_event *);
/* run.c */
#define RUN_SLOTS_MAX 32768       /* values that a stack in place may have */
/* A free run with room for `slots` values, from the pool if one is there; NULL: no memory, or more than
   RUN_SLOTS_MAX.  run_init: as before its first instruction, but for its stack. */
norn_run *run_get(norn_state *, size_t slots);
void  run_init(norn_run *);
void  run_free_all(norn_state *);
/* Room for a window at `at`: its new place; NULL: error set. */
val  *run_grow(norn_run *, val *at, size_t bytes);
/* Before a run goes on: the next collection must look at it. */
static inline void run_dirty(norn_run *r)
{
  norn_state *st = r->st;
  if (r->in_dirty) return;
  r->in_dirty = true;
  st->dirty[st->ndirty++] = r;                       /* has room for every run */
}
/* A run stops after an observation. */
static inline void run_next_iteration(norn_run *r) { r->iter += !(r->flags & NORN_RUN_STAY); }
void  run_water(norn_run *, val *R);
const proto *run_proto(const norn_run *);
struct delayed_visit;
bool  run_visit_values(const norn_run *, struct delayed_visit *);   /* of all that is live */
norn_span run_place(const norn_run *);               /* where a saved run stands, outside of stdlib */
void  run_fail(norn_run *, const ins *pc, int arg);   /* completes the error: span and trace */
/* vm_slow.c: cold halves of instructions.  false / NONE: error set. */
typedef enum { CALL_FAIL, CALL_ENTER, CALL_DONE } call_result;
/* Fills defaults, makes models, calls natives. */
call_result vm_call(norn_run *, val *W, int n, const proto **p);
bool  vm_call_named(norn_run *, val *W, int n, val names, int *count);
val   vm_native(norn_run *, const norn_native *, const val *args, int n);
val   vm_native_value(norn_state *, const norn_native *, const val *args, int n);
val   vm_getf(norn_run *, val x, sym name, uint64_t *cache);
/* Is this a native's method (field.c)?  A worker's run goes home before its arguments are moved. */
static inline bool is_method(val f) { return f.tag == NORN_FUN && v_clo(f)->p->aside && v_clo(f)->p->method_of; }
/* h.name; and the call of a native's method. */
enum { METHOD_ARGS = 24 };
val   field_of_handle(norn_state *, val h, sym name);
val   method_call(norn_state *, const clo *, const val *W, int n);
val   vm_index(norn_run *, val x, val i);
/* w[0] at the n places after it; `which` says which of them are there (vec_index). */
val  vm_index_many(norn_run *, const val *w, int n, unsigned which);
val   vm_iterlen(norn_run *, val x);
val   vm_len(norn_run *, val x);
void  vm_matchfail(norn_run *, val x, bool in_let);
bool  vm_holds_lanes(norn_run *, const val *, int n);        /* then they go alone */
bool  vm_may_run_again(const ins *pc, const val *R);
void  vm_want(norn_state *, int arg, const char *rule, val got);   /* "<rule>, got <this>" */
void  vm_bad_weight(norn_state *, double lw);
void  vm_bad_twist(norn_state *, double lw);
val   vm_logpdf_big(norn_state *, const norn_dist *, val x);
bool  vm_can_infer(norn_state *, val *model_and_engine);
/* Of a distribution that has a model (norn_dist_row's expand) and is no fixed choice: *w becomes it, 1; 0: it is drawn
   as it is; -1: error set.  comp: its name in the address. */
int   vm_expand(norn_run *, val *w, uint64_t comp);
void  vm_unset(norn_run *, uint64_t slot);                   /* a global that has no value yet */
/* event.c: CHECK: an address was reached; false: no memory */
bool  event_seen(norn_run *, uint64_t addr, norn_span);
/* event.c: 0 answered in place, 1 stop with *ev, -1 error, 2 dead */
int   event_sample(norn_run *, norn_event *, val *dst, const norn_dist *d, const norn_dist *q,
                   uint64_t comp, uint64_t span, unsigned flags);
/* Of lanes: a choice that only some of them make; was one made at that address; lane 0 has made these
   (false: one of them twice). */
bool  event_sample_some(norn_run *, val *dst, const norn_dist *d, uint64_t addr);
typedef struct event_place { uint64_t addr; norn_span span; } event_place;
bool  event_met(const norn_run *, uint64_t addr);
bool  event_is_fixed(const norn_run *, uint64_t addr);       /* by given() or do() */
bool  event_chosen(norn_run *, const event_place *, int n);
int   event_observe(norn_run *, norn_event *, val *dst, const norn_dist *d, val y, uint64_t comp,
                    uint64_t span, unsigned flags);
/* simulate.c: a choice or observation under NORN_RUN_SIMULATE; likewise. */
int   event_simulate(norn_run *, norn_event *, val *dst, const norn_dist *d, uint64_t addr, norn_span,
                     unsigned flags, bool observed);
/* NORN_RUN_MAKES: the run has come to its end with stk[0].  1: it goes on with that model, 0: it is none,
   -1: error set. */
int   event_made(norn_run *, const proto **);
/* w: the log weight as the program gave it, lw as a double */
int   event_weight(norn_run *, norn_event *, val w, double lw, uint64_t span, unsigned flags);
/* twist: adds lw instead of what the last one did; and at the end, nothing. */
int   event_twist(norn_run *, norn_event *, double lw, uint64_t span);
void  event_untwist(norn_run *);
/* factor or condition of what differs by lane */
int   event_lanes(norn_run *, norn_event *, val w, uint64_t span, unsigned flags);
int   event_node_weight(norn_run *, norn_event *, val lw, uint64_t span);
norn_status model_enter(norn_run *, val *W, val model, uint64_t path, const proto **p);
val   memo_key(norn_state *, const val *args, int n, val id);
val   memo_new(norn_run *, val f);
#endif
