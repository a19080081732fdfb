/* gpu_weights.h: log weights to try, for checks of resampling: chunks as gpu/block.h has them. */
#ifndef NORN_GPU_WEIGHTS_H
#define NORN_GPU_WEIGHTS_H
#include "num/rng.h"
#include <math.h>

enum { PATTERNS = 9, WEIGHTS_CHUNK = 2048 };
static inline double weight(int pattern, uint32_t i, uint32_t n)
{
  norn_rng g = { .stream = 77, .lane = i, .iter = (uint32_t)pattern };
  double z = norn_rng_normal(&g);
  switch (pattern) {
  case 0: return z;
  case 1: return -3.25;                                  /* all equal */
  case 2: return i == n / 3 ? 0 : -40 - fabs(z);         /* one has nearly all */
  case 3: return i % 3 ? -HUGE_VAL : -1e4 + 3 * z;       /* the dead, far down */
  case 4: return z - 5.0 * (i / WEIGHTS_CHUNK % 7);        /* chunks of other scales */
  case 5: return i / WEIGHTS_CHUNK == 1 || n <= WEIGHTS_CHUNK ? z : -HUGE_VAL;
  case 6: return i + 1 < n ? -HUGE_VAL : 2.5;            /* the last alone */
  case 7: return i ? -HUGE_VAL : 700;                    /* the first alone */
  default: return -0.5 * z * z * 30;                     /* of few, a heavy tail */
  }
}
#endif
