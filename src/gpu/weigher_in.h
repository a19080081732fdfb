/* weigher_in: the inside of a weigher (weigher.h), which weigher.c and drawn.c share. */
#ifndef NORN_GPU_WEIGHER_IN_H
#define NORN_GPU_WEIGHER_IN_H
#include "gpu/weigher.h"

enum { WEIGHER_THREADS = 256, WEIGHER_CHUNK = 2048, WEIGHER_KERNELS = 6 };       /* as block.h has them */

/* As block.h has them. */
typedef struct weigher_all { uint64_t sum; double scale, squares, spread; uint32_t flags, seen, at; } weigher_all;
typedef struct weigher_points { uint32_t n, each; double u; uint64_t stream; uint32_t iter, lane; } weigher_points;

struct weigher {
  gpu *g;
  uint32_t n, chunks, room;
  bool f32;
  int units;                                     /* K: sums are in units of 2^(scale - K) */
  gpu_module *m;
  gpu_kernel *k[WEIGHER_KERNELS];
  gpu_ptr logw[2], scale, sum, squares, spread, base, status, all;
  uint32_t begun, epoch;                         /* of kernels that take their blocks' numbers from all.at */
  bool spread_known;
  struct drawn *drawn;                           /* of resampling that draws its points; NULL: none has been */
};

/* Before a launch of one block a chunk that looks back (block.h): its epoch; after it the blocks have begun. */
uint32_t weigher_epoch(weigher *);

/* ---- drawn.c: residual and multinomial resampling (drawn.h) ---- */

/* Its text with that of num/points.h; it wants block.h before it. */
const char *drawn_text(void);

norn_status drawn_ancestors(weigher *, gpu_ptr logw, bool residual, uint64_t stream, uint32_t iter, gpu_ptr map);
void        drawn_free(weigher *);
#endif
