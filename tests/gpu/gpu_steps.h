/* gpu_steps.h: steps of particle filters as segments made by hand, for checks and timings: what lanes would
   record of a state x' ~ normal(m + a (x - m), s) with an observation of it. */
#ifndef NORN_GPU_STEPS_H
#define NORN_GPU_STEPS_H
#include "gpu_test.h"
#include "dist/dist.h"
#include "gpu/segment_gpu.h"
#include "num/lane_ops.h"

/* volatility: y ~ normal(0, exp(x / 2)), else y ~ normal(x, r).  The first x ~ normal(m, first). */
typedef struct gpu_model { bool volatility; double m, a, s, first, r; uint32_t event; } gpu_model;

static inline int32_t gpu_real(segment *s, double x)
{
  return segment_slot(s, NORN_REAL, (segment_cell){ .d = x });
}
static inline int32_t gpu_word(segment *s, uint32_t x)
{
  return segment_slot(s, NORN_INT, (segment_cell){ .u = x });
}
static inline int32_t gpu_two(segment *s, segment_op_name op, unsigned kind, int32_t a, int32_t b)
{
  return segment_put(s, op, kind, 2, (uint32_t[]){ (uint32_t)a, (uint32_t)b });
}
/* DRAW or LOGP of a normal; x: the event's word, or the number. */
static inline int32_t gpu_normal(segment *s, segment_op_name op, int32_t x, int32_t mean, int32_t sd)
{
  uint32_t arg[] = { (uint32_t)x, (uint32_t)mean, (uint32_t)sd };
  const norn_dist_row *normal = dist_find("normal");
  if (segment_row(s, S_GOOD, 0, normal, 2, arg + 1) < 0) return -1;
  return segment_row(s, op, NORN_REAL, normal, 3, arg);
}

/* x: the states before (NULL at first), which map moves (NULL: it does not); out: the new ones.  ys: a datum for each of
   many populations, in place of y. */
static inline segment *gpu_step_of(norn_state *st, const gpu_model *m, const void *x, const void *map, double y,
                                   const void *ys, void *out)
{
  segment *s = segment_new(st);
  int32_t mean = gpu_real(s, m->m), sd = gpu_real(s, x ? m->s : m->first);
  if (x) {
    int32_t was = segment_load(s, NORN_REAL, x, map ? segment_map(s, map) : 0);
    int32_t pull = gpu_two(s, S_MUL, NORN_REAL, gpu_real(s, m->a), gpu_two(s, S_SUB, NORN_REAL, was, mean));
    mean = gpu_two(s, S_ADD, NORN_REAL, mean, pull);
  }
  int32_t h = gpu_normal(s, S_DRAW, gpu_word(s, m->event), mean, sd), lp;
  int32_t datum = ys ? segment_plate_of(s, NORN_REAL, ys) : gpu_real(s, y);
  if (m->volatility) {
    int32_t half = gpu_two(s, S_MUL, NORN_REAL, gpu_real(s, .5), h);
    int32_t scale = segment_fun(s, lane_exp, "exp", (uint32_t)half);
    lp = gpu_normal(s, S_LOGP, datum, gpu_real(s, 0), scale);
  } else lp = gpu_normal(s, S_LOGP, datum, h, gpu_real(s, m->r));
  segment_put(s, S_WEIGH, 0, 1, (uint32_t[]){ (uint32_t)lp });
  segment_output_to(s, (uint32_t)h, out);
  return s;
}

static inline segment *gpu_step(norn_state *st, const gpu_model *m, const void *x, const void *map, double y, void *out)
{
  return gpu_step_of(st, m, x, map, y, NULL, out);
}

/* A filter that goes on step by step; `resample` after the last step moves the states at the next one. */
typedef struct gpu_filter {
  segment_gpu *s;
  uint32_t n, t;
  uint64_t stream;
  void *x, *map;
  weigher_sums sums;
} gpu_filter;

static inline bool gpu_filter_step(gpu_filter *f, const gpu_model *m, double y)
{
  const segment_backend *b = &segment_gpu_backend;
  void *next = b->buffer_new(f->s, f->n);
  segment *seg = gpu_step(gpu_state(segment_gpu_device(f->s)), m, f->x, f->map, y, next);
  segment_call c = { .s = seg, .n = f->n, .iter = f->t++, .stream = f->stream };
  bool ran = b->run(f->s, &c) == SEGMENT_RAN && c.flags == 0 && segment_gpu_sums(f->s, &f->sums) == NORN_OK;
  segment_free(seg);
  if (f->x) b->buffer_free(f->s, f->x);
  if (f->map) b->map_free(f->s, f->map);
  f->x = next;
  f->map = NULL;
  return ran;
}

/* Many filters side by side, f of n particles, `each` lanes apart; step: with a datum for each; then their barrier. */
typedef struct gpu_filters { segment_gpu *s; uint32_t f, n, each, t; const uint64_t *streams; void *x, *map; } gpu_filters;

static inline bool gpu_filters_step(gpu_filters *f, const gpu_model *m, const segment_cell *y)
{
  const segment_backend *b = &segment_gpu_backend;
  uint32_t lanes = f->f * f->each;
  void *next = b->buffer_new(f->s, lanes), *ys = b->buffer_new(f->s, f->f);
  segment *seg = gpu_step_of(gpu_state(segment_gpu_device(f->s)), m, f->x, f->map, 0, ys, next);
  segment_call c = { .s = seg, .n = lanes, .iter = f->t, .plates = f->f, .each = f->each, .streams = f->streams };
  bool ran = b->buffer_write(f->s, ys, f->f, NORN_REAL, y) && b->run(f->s, &c) == SEGMENT_RAN && c.flags == 0;
  segment_free(seg);
  b->buffer_free(f->s, ys);
  if (f->x) b->buffer_free(f->s, f->x);
  if (f->map) b->map_free(f->s, f->map);
  f->x = next;
  f->map = ran ? segment_gpu_barrier(f->s, f->t++, false) : NULL;
  return ran && f->map;
}

static inline bool gpu_filter_resample(gpu_filter *f, weigher_how how)
{
  norn_rng g = { .stream = f->stream + 1, .iter = f->t - 1 };
  f->map = segment_gpu_resample(f->s, how, norn_rng_uniform(&g), g.stream, g.iter);
  return f->map != NULL;
}
#endif
