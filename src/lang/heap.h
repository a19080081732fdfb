/* heap.h: allocation and collection.

   A copying nursery (3 MB soft, more when C code overshoots) promotes at first survival into a
   non-moving old space: size-class blocks swept after marking, large objects from the allocator
   (their array data 64-byte aligned).

   Allocation from the VM fails when the nursery is full: the instruction goes to its safepoint,
   collects and runs again.  Allocation from C (heap_alloc) never collects: it overshoots into the
   reserve of the nursery, then into the old space, so C code may hold pointers freely.

        n0             hp       soft      charged                                  n1
        | objects ...  | free   |         | paid for: old blocks stand ready        | addresses only
                                            for all survivors of [n0, charged)

   A collection cannot fail half-way: whoever fills the nursery up to some address has set aside the
   old blocks that its survivors could need at worst, so only heap_alloc and the preparations at the
   end of a collection ever meet the memory limit.

   Objects above HEAP_LARGE bytes never enter the nursery: heap_alloc makes them old at once.

   Minor roots: frames and runs that ran since the last collection (WATER marks in stacks; clean and
   dirty lists of runs), refs set since then, globals, the memo tables and scopes of dirty runs, old
   objects allocated or written since then (the remembered list: in-place appends of pointers, old
   objects made by C code, flattened arrays, answers given to clean runs).

   Workers (crew.c) have each a heap.  What lies in another heap counts as old; no nursery is pointed
   into from outside, but by the runs that its owner scans.  A full collection marks and sweeps all. */
#ifndef NORN_LANG_HEAP_H
#define NORN_LANG_HEAP_H
#include "lang/value/value.h"

enum { HEAP_LARGE = 16384 };

typedef struct heap {
  char *hp, *soft;                    /* the bump pointer; where the VM collects (may lie below) */
  char *n0, *n1;                      /* the nursery and the end of its reserve */
  char *charged;                      /* memory and old blocks are set aside up to here */
  size_t nursery;                     /* soft size */
  struct old_space *old;              /* heap.c */
  obj **remembered;
  size_t nremembered, cremembered;
  bool remember_all;                  /* the list could not grow: all old objects are remembered */
  int nogc;                           /* > 0 inside sealed calls: safepoints allocate as C does */
  bool stress;                        /* collect at every safepoint (tests) */
  uint64_t minors, majors;
  size_t copied, live_after_major, allocated_old;
} heap;

bool heap_init(norn_state *);
void heap_free(norn_state *);
/* At a VM safepoint, all roots in runs: makes at least `need` bytes of nursery available (or the VM
   will get them from heap_alloc).  false: memory limit (error set). */
bool heap_collect(norn_state *, size_t need);
void heap_collect_full(norn_state *);                      /* only at a safepoint */
/* Workers and who works with them (crew.c): a minor collection, only at a safepoint; is there
   nothing in the nursery; and all old objects of a worker that ends become home's. */
void heap_settle(norn_state *);
static inline bool heap_is_empty(const heap *h)
{
  return h->hp == h->n0 && !h->nremembered && !h->remember_all;
}
void heap_adopt(norn_state *home, norn_state *worker);
/* n bytes of object memory, 16-byte aligned; NULL: memory limit (error set).  Only the header is
   written: kind 0 and the flags, which the caller keeps (obj_init).  Fields must be filled before
   Norn code runs. */
void *heap_alloc(norn_state *, size_t n);
/* Memory outside of the heap that dies with an object in it counts towards the next full collection. */
void heap_outside(norn_state *, size_t n);
/* Non-moving from the start; remembered until the next collection. */
void *heap_alloc_old(norn_state *, size_t n);
/* An old object was written: scan it at the next minor collection. */
void heap_remember(norn_state *, obj *);
size_t heap_size_of(const obj *);
/* Writes a header but for its flags, which heap_alloc has set. */
static inline void obj_init(void *p, unsigned kind, unsigned aux, uint32_t n)
{
  obj *o = (obj *)p;
  o->kind = (uint8_t)kind;
  o->aux = (uint16_t)aux;
  o->n = n;
}

static inline bool heap_is_young(const heap *h, const void *p)
{
  return (const char *)p >= h->n0 && (const char *)p < h->n1;
}

/* The collector calls back for the roots it cannot see; implemented in run.c (frames by liveness)
   and state.c (globals, constants, refs, slots).  visit updates the value in place. */
typedef struct gc gc;
void gc_value(gc *, val *);
void gc_object(gc *, obj **);
bool gc_minor(const gc *);
void run_scan_all(norn_state *, gc *);
void state_scan(norn_state *, gc *);
void state_scan_refs(norn_state *, gc *);
#endif
