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
#endif
