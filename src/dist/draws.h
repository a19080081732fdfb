/* draws: many draws of a scalar family at once (`samples` of norn_dist_row), where a draw is a
   function of one random number: an array of normals or uniforms (num/stream.h) goes through the
   formula of kernel_draw.h in the widest registers that the CPU has. */
#ifndef NORN_DRAWS_H
#define NORN_DRAWS_H
#include "norn.h"
#include "num/level.h"
#include "dist/families.h"

#define DRAW(name, np) DRAWS_##name,
enum { NORMAL_DRAWS(DRAW) DRAWS_OF_UNIFORM, DRAWS_BEFORE = DRAWS_OF_UNIFORM - 1,
       UNIFORM_DRAWS(DRAW) DRAWS_FAMILIES };
#undef DRAW
#define DRAW(name, np) \
  void name##_samples(norn_rng *, int64_t n, unsigned many, const double *const *p, double *out); \
  void name##_lane_samples(const norn_rng *, const uint32_t *lane, int64_t n, unsigned many, \
                           const double *const *p, double *out);
NORMAL_DRAWS(DRAW) UNIFORM_DRAWS(DRAW)
#undef DRAW

/* Each of the n numbers in out becomes a draw. */
typedef void (*draws_fn)(int64_t n, unsigned many, const double *const *p, double *out);
extern const draws_fn draws_base[], draws_avx2[], draws_avx512[];
/* At a level: for tests. */
void draws_at(int level, int family, int64_t n, unsigned many, const double *const *p, double *out);
#endif
