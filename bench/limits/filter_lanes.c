/* filter_lanes: bootstrap filters by hand for lanes: Philox and Box-Muller in vector registers, one
   fused loop for a step of all particles, a linear resampling by stores at the offspring's places.
   Compiled for AVX2 and for AVX-512 (local.mk).  The logarithm, exponential and sine are Norn's own
   (num/vmath.h): C's are not for vectors.

     LGSS   x' = 0.9 x + N(0, 0.5)                            y ~ N(x, 1)
     SV     x' = -1 + 0.97 (x + 1) + N(0, 0.2)                y ~ N(0, exp(x/2))
     JUMP   x' = 0.9 x + N(0, 0.5), and + N(0, 2) at 1 in 10  y ~ N(x, 1) */
#include "limits.h"
#include "num/vmath.h"
#include <stdlib.h>

#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)
#define INLINE static inline __attribute__((always_inline))
enum { PIECE = 64, CHAINS = 8, BLOCK = PIECE * CHAINS, PAIR = 2 * LANES };

INLINE lane_bits product(lane_bits a, lane_bits b)
{
#if defined LANE_X86 && LANES == 8
  return (lane_bits)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined LANE_X86 && LANES == 4
  return (lane_bits)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

INLINE lanes unit(lane_bits low, lane_bits high)
{
  lane_bits x = high << 32 | (low & 0xffffffffu);
  return lane_of(x >> 12 | 0x3ff0000000000000u) - (1 - 0x1p-53);
}

/* Two uniforms in each lane, of the counters (at, what, step, 0). */
INLINE void uniforms(uint64_t seed, uint64_t at, uint32_t what, uint32_t step, lanes *u, lanes *v)
{
  lane_bits none = {0}, a = none, b = none + what, c = none + step, d = none;
  const lane_bits m0 = none + 0xd2511f53u, m1 = none + 0xcd9e8d57u;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int i = 0; i < LANES; i++) a[i] = at + (uint64_t)i;
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    lane_bits p = product(a, m0), q = product(c, m1);
    a = q >> 32 ^ b ^ (none + k0);
    c = p >> 32 ^ d ^ (none + k1);
    b = q;
    d = p;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  *u = unit(a, b);
  *v = unit(c, d);
}

INLINE void normals(uint64_t seed, uint64_t at, uint32_t what, uint32_t step, lanes *z)
{
  lanes u, v, s, c;
  uniforms(seed, at, what, step, &u, &v);
  u = lane_sqrt(-2 * v_log_normal(u));
  v_sincos2pi(v, &s, &c);
  z[0] = u * c;
  z[1] = u * s;
}

/* Particles [i, i + PAIR) go one step; their log weights without constants. */
INLINE void move(int model, uint64_t seed, size_t i, uint32_t t, double y, double *x, double *w,
                 lanes *top)
{
  lanes z[2], u[2], far[2];
  normals(seed, i / 2, 0, t, z);
  if (model == LIMIT_JUMP) {
    uniforms(seed, i / 2, 1, t, u, u + 1);
    normals(seed, i / 2, 2, t, far);
  }
#pragma GCC unroll 2
  for (int k = 0; k < 2; k++) {
    lanes v = lane_load(x + i + (size_t)k * LANES), l;
    if (model == LIMIT_SV) {
      v = (0.97 * v - 0.03) + 0.2 * z[k];
      l = -0.5 * (v + y * y * v_exp(-v));
    } else {
      v = 0.9 * v + 0.5 * z[k];
      if (model == LIMIT_JUMP) v = SEL(u[k] < 0.1, v + 2 * far[k], v);
      l = -0.5 * (y - v) * (y - v);
    }
    lane_store(x + i + (size_t)k * LANES, v);
    lane_store(w + i + (size_t)k * LANES, l);
    *top = v_max(l, *top);
  }
}

/* c (n) running sums of w = exp(w - top), in chains of a block; gives the last. */
INLINE double running(double *w, double top, size_t n, double *c)
{
  double base = 0;
  for (size_t o = 0; o < n; o += BLOCK) {
    double at[CHAINS] = {0};
    for (size_t i = o; i < o + BLOCK; i += LANES) lane_store(w + i, v_exp(lane_load(w + i) - top));
    for (size_t i = n; i < o + BLOCK; i++) w[i] = 0;
    for (size_t i = 0; i < PIECE; i++)
#pragma GCC unroll 8
      for (size_t k = 0; k < CHAINS; k++) c[o + k * PIECE + i] = at[k] += w[o + k * PIECE + i];
    for (size_t k = 0; k < CHAINS; k++) {
      for (size_t i = 0; i < PIECE; i += LANES)
        lane_store(c + o + k * PIECE + i, lane_load(c + o + k * PIECE + i) + base);
      base += at[k];
    }
  }
  return base;
}

/* to = offspring of x: each value is stored at its first place, and once more, before its number is
   known. */
INLINE void offspring(const double *c, double scale, double u, size_t n, const double *x, double *to)
{
  size_t b = 0;
  for (size_t o = 0; o < n; o += BLOCK) {
    int32_t end[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) end[i] = (int32_t)(c[o + i] * scale + u);
    for (size_t i = 0; i < BLOCK && o + i < n; i++) {
      size_t e = (size_t)end[i] < n && o + i + 1 < n ? (size_t)end[i] : n;
      double v = x[o + i];
      to[b] = to[b + 1] = v;
      for (size_t k = b + 2; k < e; k++) to[k] = v;
      b = e;
    }
  }
}

INLINE double filter(int model, int steps, size_t n, const double *y, uint64_t seed)
{
  size_t room = (n + 2 * BLOCK) / BLOCK * BLOCK;
  double *x = aligned_alloc(64, 4 * room * sizeof *x), *to = x + room, *w = to + room, *c = w + room;
  double z = 0;
  memset(x, 0, 4 * room * sizeof *x);
  if (model == LIMIT_SV) for (size_t i = 0; i < n; i++) x[i] = -1;
  for (int t = 0; t < steps; t++) {
    lanes top = LANE(-1e300), u, v;
    double most = -1e300;
    for (size_t i = 0; i < n; i += PAIR) move(model, seed, i, (uint32_t)t, y[t], x, w, &top);
    for (int k = 0; k < LANES; k++) most = top[k] > most ? top[k] : most;
    double sum = running(w, most, n, c);
    z += most + __builtin_log(sum / (double)n) - V_LOG_SQRT_2PI;
    uniforms(seed, 0xffffffffu, 3, (uint32_t)t, &u, &v);
    offspring(c, (double)n / sum, u[0], n, x, to);
    double *swap = x;
    x = to;
    to = swap;
  }
  free(x < to ? x : to);
  return z;
}

double NAME(limit_filter_, LEVEL)(int model, int steps, int n, const double *y, uint64_t seed)
{
  switch (model) {
  case LIMIT_SV: return filter(LIMIT_SV, steps, (size_t)n, y, seed);
  case LIMIT_JUMP: return filter(LIMIT_JUMP, steps, (size_t)n, y, seed);
  default: return filter(LIMIT_LGSS, steps, (size_t)n, y, seed);
  }
}
