/* gpu_time.h: for timings on a GPU: the median of several, after a warm-up, by marks in the stream. */
#ifndef NORN_GPU_TIME_H
#define NORN_GPU_TIME_H
#include "../../tests/gpu/gpu_test.h"
#include <time.h>

/* On the mock, and under the sanitizer, sizes are small: only whether it runs is of interest. */
static inline bool gpu_time_small(void) { return !gpu_test_real() || getenv("NORN_GPU_SMALL"); }

static inline double gpu_time_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int gpu_time_order(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of one f(p), which puts work into the stream; NaN is a failed check. */
static inline double gpu_time(gpu *g, norn_status (*f)(void *), void *p)
{
  enum { WARM = 3, TIMES = 11 };
  double s[TIMES];
  gpu_mark from = { 0 }, to = { 0 };
  bool good = true;
  for (int i = 0; i < WARM + TIMES && good; i++) {
    good = gpu_mark_put(g, &from) == NORN_OK && f(p) == NORN_OK && gpu_mark_put(g, &to) == NORN_OK;
    double x = good ? gpu_seconds(&from, &to) : -1;
    good = x >= 0;
    if (i >= WARM) s[i - WARM] = x;
  }
  CHECK(good);
  if (!good) fprintf(stderr, "%s\n", norn_error(gpu_state(g))->text);
  gpu_mark_free(&from);
  gpu_mark_free(&to);
  if (!good) return NAN;
  qsort(s, TIMES, sizeof *s, gpu_time_order);
  return s[TIMES / 2];
}
#endif
