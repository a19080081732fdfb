/* segment_gpu: segments of particles in lanes (graph/segment.h) on a GPU, which keeps all there is of a
   particle: vectors, maps of resamplings, log weights (weigher.h).

       run: load x[map] --> draw, compute --> store vectors, log weights --> sums of weights --> one look:
            flags, evidence, effective sample size

   The log weights after a leg lie beside those before it, so that a leg whose flags say that it is to be done
   again has changed nothing.

   Populations side by side (a plate) have a block or more each, and the weights of filters.h: a look is at flags
   alone, and what becomes of the weights is not waited for. */
#ifndef NORN_GPU_SEGMENT_H
#define NORN_GPU_SEGMENT_H
#include "gpu/filters.h"
#include "gpu/weigher.h"
#include "graph/segment.h"

typedef struct segment_gpu segment_gpu;
/* `self` is a segment_gpu; it keeps weights. */
extern const segment_backend segment_gpu_backend;

/* For populations of n lanes (vectors and maps may have fewer).  NULL: error set; if there is no room, it says
   how many would have. */
segment_gpu *segment_gpu_new(gpu *, uint32_t n, bool f32);
/* For f populations of n lanes, `each` apart (as filters_new, whose arguments they are).  Likewise. */
segment_gpu *segment_gpu_plate(gpu *, uint32_t f, uint32_t n, uint32_t each, bool f32, weigher_how, double threshold,
                               const uint64_t *stream);
/* Buffers and maps that others still hold are given back with it. */
void         segment_gpu_free(segment_gpu *);
gpu         *segment_gpu_device(const segment_gpu *);

/* What the weights add up to since they were last all the same: after a run that weighed, no look at the
   device. */
norn_status  segment_gpu_sums(segment_gpu *, weigher_sums *);
/* Log weights that the host has found (n) are added. */
norn_status  segment_gpu_add(segment_gpu *, const double *);
norn_status  segment_gpu_logw(segment_gpu *, double *);
/* The map of a resampling by the weights (weigher_ancestors), which are all the same after it.  NULL: error
   set. */
void        *segment_gpu_resample(segment_gpu *, weigher_how, double u, uint64_t stream, uint32_t iter);
/* What is carried along by each particle beside its vectors: a number, at first its own.  0: error set. */
gpu_ptr      segment_gpu_eves(segment_gpu *);
norn_status  segment_gpu_inherit(segment_gpu *, const void *map, gpu_ptr);

/* ---- of a plate ---- */
/* The leg has ended: its weights count, and what is due is resampled; the map of that (NULL: error set, or, with `last`,
   no wish: the program has ended). */
void        *segment_gpu_barrier(segment_gpu *, uint32_t iter, bool last);
/* All particles of some population were dead at a barrier, as far as is known (at the next run, and at a look). */
bool         segment_gpu_died(segment_gpu *, bool look);
filters     *segment_gpu_filters(segment_gpu *);
/* Its log weights now, for filters_fetch. */
gpu_ptr      segment_gpu_weights(const segment_gpu *);

/* Where time goes: seconds of the device since this was switched on, which makes every step wait. */
typedef struct segment_gpu_times { double propagate, sums, ancestors, rest; int64_t legs; } segment_gpu_times;
void         segment_gpu_timing(segment_gpu *, segment_gpu_times *);
/* For reports: kernels that were made, bytes that are held. */
void         segment_gpu_look(const segment_gpu *, int *kernels, size_t *bytes);
/* The whole text of a segment's kernel, of one population or of many; text_free.  false: no memory. */
bool         segment_gpu_text(const segment *, bool f32, bool plate, text *prologue, text *body);
#endif
