/* draws_level: the formulas of kernel_draw.h over many numbers, compiled once per CPU level
   (configure.ac, src/dist/local.mk).  Where all parameters are single numbers, what follows from
   them alone is moved out of the loop by the compiler. */
#include "dist/draws.h"
#include "dist/kernel_draw.h"

#define DRAWS_JOIN(a, b) a##b
#define DRAWS_NAME(a, b) DRAWS_JOIN(a, b)
#define INLINE static inline __attribute__((always_inline))

typedef lanes (*formula)(const lanes *a);          /* of u or z and the parameters */

/* The numbers at k that do not fill a register, by way of buffers. */
INLINE void rest(int64_t n, unsigned many, const double *const *p, double *out, int np, formula f,
                 lanes *a, int64_t k)
{
  double buffer[LANES];
  int64_t left = n - k;
  for (int i = 0; i <= np; i++) {
    if (i > 0 && !(many >> (i - 1) & 1)) continue;
    const double *from = i ? p[i - 1] : out;
    for (int j = 0; j < LANES; j++) buffer[j] = from[k + (j < left ? j : left - 1)];
    a[i] = lane_load(buffer);
  }
  lane_store(buffer, f(a));
  memcpy(out + k, buffer, (size_t)left * sizeof *out);
}

INLINE void shape(int64_t n, unsigned many, const double *const *p, double *out, int np, formula f)
{
  lanes a[1 + NORN_DIST_P];
  int64_t k = 0;
  for (int i = 0; i < np; i++) a[i + 1] = LANE(p[i][0]);
  for (; k + LANES <= n; k += LANES) {
    a[0] = lane_load(out + k);
    for (int i = 0; i < np; i++)
      if (many >> i & 1) a[i + 1] = lane_load(p[i] + k);
    lane_store(out + k, f(a));
  }
  if (k < n) rest(n, many, p, out, np, f, a, k);
}

INLINE void run(int64_t n, unsigned many, const double *const *p, double *out, int np, formula f)
{
  if (n < 1) return;
  if (many) shape(n, many, p, out, np, f);
  else shape(n, 0, p, out, np, f);
}

#define ARGS_0
#define ARGS_1 , a[1]
#define ARGS_2 , a[1], a[2]
#define ARGS_3 , a[1], a[2], a[3]
#define ARGS_4 , a[1], a[2], a[3], a[4]
#define DRAW(name, np)                                                                             \
  INLINE lanes name##_lanes(const lanes *a) { return name##_draw(a[0] ARGS_##np); }                \
  static void name##_run(int64_t n, unsigned many, const double *const *p, double *out)            \
  { run(n, many, p, out, np, name##_lanes); }
NORMAL_DRAWS(DRAW) UNIFORM_DRAWS(DRAW)
#undef DRAW

const draws_fn DRAWS_NAME(draws_, LEVEL)[] = {
#define DRAW(name, np) name##_run,
  NORMAL_DRAWS(DRAW) UNIFORM_DRAWS(DRAW)
#undef DRAW
};
