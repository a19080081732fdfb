/* weigher: the log weights of n particles on a device, from the host's side: their sum and effective sample
   size, and the ancestors that a resampling gives (block.h, which is the text of the kernels).

   Numbers are of the device's precision, f64 or f32; sums are exact in 64 bits.  Work is put into the
   device's stream; weigher_look waits for it and copies some 50 bytes. */
#ifndef NORN_GPU_WEIGHER_H
#define NORN_GPU_WEIGHER_H
#include "gpu/gpu.h"

/* The text of block.h; it wants the dialect before it. */
const char *block_text(void);

typedef struct weigher weigher;
typedef struct weigher_sums {
  double log_sum;                /* log of the sum of the weights; -infinity: all are dead */
  double ess;                    /* (sum w)^2 / sum w^2 */
  double spread;                 /* of the last ancestors: mean variance of the number of offspring */
  unsigned flags;                /* what kernels have put into weigher_flags since the last weigher_weigh */
} weigher_sums;

/* For n particles.  NULL: error set. */
weigher    *weigher_new(gpu *, uint32_t n, bool f32);
void        weigher_free(weigher *);
/* n in whole chunks: so many numbers have room in log weights, and twice as many in a map. */
uint32_t    weigher_room_of(uint32_t n);
/* Log weights (room): two of them, all 0 at first; behind the n-th stands -infinity.  Which of them is meant,
   others say. */
gpu_ptr     weigher_logw(const weigher *, int which);
gpu_ptr     weigher_flags(const weigher *);          /* a uint32_t to which kernels add bits */
size_t      weigher_map_size(const weigher *);       /* bytes */
/* Bytes of a particle that a weigher takes. */
size_t      weigher_each(bool f32);

norn_status weigher_clear(weigher *, gpu_ptr logw);              /* all are 0 */
norn_status weigher_put_logw(weigher *, gpu_ptr logw, const double *);       /* (n) */
norn_status weigher_get_logw(weigher *, gpu_ptr logw, double *);
/* Adds up; then looks. */
norn_status weigher_weigh(weigher *, gpu_ptr logw);
norn_status weigher_look(weigher *, weigher_sums *);
/* The map of a resampling by the log weights that were added up last: systematic by u; the others by uniform numbers
   of the counter (lane 0, event 0, iter) of the stream: stratified by an array of them, residual and multinomial
   by single ones, as infer/particles/resample.c draws them. */
typedef enum { WEIGHER_SYSTEMATIC, WEIGHER_STRATIFIED, WEIGHER_RESIDUAL, WEIGHER_MULTINOMIAL } weigher_how;
norn_status weigher_ancestors(weigher *, gpu_ptr logw, weigher_how, double u, uint64_t stream, uint32_t iter,
                              gpu_ptr map);
/* to = map[further] (either may be 0: the identity), for n entries; x = x[map] in place, for what the map of
   a resampling left where it was; entries to the host. */
norn_status weigher_map_compose(weigher *, gpu_ptr map, gpu_ptr further, uint32_t n, gpu_ptr to);
norn_status weigher_inherit(weigher *, gpu_ptr map, gpu_ptr x);
norn_status weigher_map_read(weigher *, gpu_ptr map, uint32_t n, uint32_t *to);
#endif
