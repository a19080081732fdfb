/* history: choices of particles that are resampled, each kept once for all descendants of the particle
   that made it:

       particle i --tip[i]--> (addr, value) --parent--> (addr, value) --parent--> ... NONE

   Lineages that have died out are reclaimed: a record lies behind its parent, so one pass backwards
   marks what the tips still need and one forwards moves it together.  Most records die young, so that
   usually only those since the last collection are looked at; the old ones when they have grown by half.
   What stays is O(T + N log N) records for T steps of N particles (Jacob, Murray, Rubenthaler 2015,
   Statistics and Computing 25). */
#ifndef NORN_INFER_HISTORY_H
#define NORN_INFER_HISTORY_H
#include "infer/engine.h"

#define HISTORY_NONE UINT32_MAX
/* word: a scalar's bits, or a place in history.other. */
typedef struct history_choice { uint64_t addr, word; uint32_t parent, kind; } history_choice;
typedef struct history {
  history_choice *choice; size_t n, capacity;
  size_t old, live;                     /* records that were there after the last collection; the last full one */
  column other; size_t other_live;      /* values that are no scalars */
  uint32_t *path; size_t cpath;         /* scratch: one lineage; where records move */
} history;

/* A particle has chosen v: its tip moves.  false: error set. */
bool        history_add(norn_state *, history *, uint32_t *tip, uint64_t addr, norn_datum v);
/* Collects if there is enough to do.  tip (n): their places change. */
bool        history_tidy(norn_state *, history *, uint32_t *tip, size_t n);
/* The choices of a lineage, oldest first, to norn_infer_choice. */
norn_status history_tell(norn_infer *, history *, uint32_t tip);
bool        history_archive(norn_archive *, history *);
void        history_free(norn_state *, history *);
#endif
