/* segment_text: a segment (segment.h) as the text of a function, in the macros of segment_kernel.h, which
   each target has in its own way, and the formulas of the dialect. */
#ifndef NORN_SEGMENT_TEXT_H
#define NORN_SEGMENT_TEXT_H
#include "graph/segment.h"
#include "base/base.h"

/* SEG_BEGIN .. SEG_END of a segment.  What has no formula in the dialect becomes a call for each lane:
   SEG_SAMPLE, SEG_LOGP, SEG_INSIDE, SEG_FUN with the family's or function's name, the number of parameters and
   the operation's place, between SEG_CALL_BEGIN and SEG_CALL_END. */
void segment_text(text *, const segment *);
/* Is the draw of a family a formula: 'n' of a normal, 'u' of a uniform, 0: no. */
char segment_draws(const norn_dist_row *);
#endif
