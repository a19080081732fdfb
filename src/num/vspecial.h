/* vspecial: special functions of densities in the dialect of lane.h, beside vmath.h.  special.h has
   the same and more for single numbers. */
#ifndef NORN_VSPECIAL_H
#define NORN_VSPECIAL_H
#include "num/vmath.h"
#include "num/special.h"

/* Which arguments a term of a density depends on: x, then the parameters (norn_block.keep). */
enum { K_X = 1, K_1 = 2, K_2 = 4, K_3 = 8, K_4 = 16 };
#define TERM(keep, mask, e) ((keep) & (mask) ? LANE(e) : LANE(0.0))
#endif
