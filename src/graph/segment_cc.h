/* segment_cc: segments (segment.h) as code of the C compiler, LANES lanes to a register of this CPU. */
#ifndef NORN_SEGMENT_CC_H
#define NORN_SEGMENT_CC_H
#include "graph/segment.h"

/* The `self` of segment_cc_backend.  threads: that a run may use; wait: a segment is waited for, else it is
   taken from the cache, or compiled in the background when there is enough to do, and run when it is there.
   NULL: no memory (error set). */
typedef struct segment_cc segment_cc;
segment_cc *segment_cc_new(norn_state *, int threads, bool wait);
void        segment_cc_free(segment_cc *);
extern const segment_backend segment_cc_backend;

/* The `self` of segment_cc_plate_backend, all of it the caller's: lanes of a plate, n of `each` in use.  What a
   leg weighs is added to logw[f], (n) each, but where that is -infinity already.  scratch: (plates * each).  The
   code of a leg is waited for if cc waits, else a leg may be SEGMENT_LATER. */
typedef struct segment_cc_plate { segment_cc *cc; uint32_t n; double *const *logw, *scratch; } segment_cc_plate;
extern const segment_backend segment_cc_plate_backend;
/* Its threads, for what its caller has to do with them between two runs. */
struct pool *segment_cc_pool(segment_cc *);
#endif
