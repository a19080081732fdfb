/* filters: the weights of many populations side by side on a device, a block for each, from the host's side
   (filter_block.h is the text): a barrier adds them up, resamples those whose effective sample size has fallen, and
   counts families, with one launch and no look; what came of it is read at the end.

   Numbers are of the device's precision; logarithms of evidence and effective sample sizes are f64. */
#ifndef NORN_GPU_FILTERS_H
#define NORN_GPU_FILTERS_H
#include "gpu/weigher.h"

enum { FILTERS_MOST = 65536 };         /* particles of one */
typedef struct filters filters;
/* What a filter has come to: as smc keeps it (infer/particles/genealogy.h). */
typedef struct filters_state {
  double log_z, least, variance, spread[2], apart[2];    /* least: effective sample size */
  uint32_t resamplings, left, eves;
  bool open, second;                   /* a second window is open; the first window is row 1 of what filters_fetch gives */
} filters_state;

/* f populations of n particles, `each` (a multiple of 32) lanes apart; stream (f): of resampling, copied.  They are
   resampled where their effective sample size is at most `threshold` n.  NULL: error set. */
filters    *filters_new(gpu *, uint32_t f, uint32_t n, uint32_t each, bool f32, weigher_how, double threshold,
                        const uint64_t *stream);
void        filters_free(filters *);
/* Bytes that a lane takes (8 more where points of large filters are drawn). */
size_t      filters_each(bool f32);
/* Log weights (lanes): two of them; (f) whether those of one are all 0, whatever stands there; a uint32_t to which
   kernels add bits. */
gpu_ptr     filters_logw(const filters *, int which);
gpu_ptr     filters_same(const filters *);
gpu_ptr     filters_flags(const filters *);
/* The bit of filters_flags that says that all particles of a filter are dead. */
unsigned    filters_dead_flag(void);

/* All are at the end of leg `iter`, which has weighed or not; map (lanes): ancestors, 0: the program has ended. */
norn_status filters_barrier(filters *, gpu_ptr logw, bool weighed, uint32_t iter, gpu_ptr map);
/* to = map[further], of all lanes; further 0: the identity. */
norn_status filters_compose(filters *, gpu_ptr map, gpu_ptr further, gpu_ptr to);

/* At the end.  state (f).  Of a filter: log weights (n), its families and their ancestors at the start (2, n) each. */
norn_status filters_states(filters *, filters_state *);
norn_status filters_fetch(filters *, gpu_ptr logw, uint32_t k, double *to, uint16_t *of, uint16_t *eve);
/* How it went, at barriers that are evenly spaced, of filter k. */
enum { FILTERS_COURSE = 512 };
typedef struct filters_told {
  double barrier[FILTERS_COURSE], ess[FILTERS_COURSE], evidence[FILTERS_COURSE], ancestors[FILTERS_COURSE];
  uint32_t n, stride;
} filters_told;
norn_status filters_course(filters *, uint32_t k, filters_told *);
#endif
