/* stream_level: Philox with a block in each 64-bit lane of a register, compiled once per CPU level
   (configure.ac, src/num/local.mk).  A word of the counter is the low half of its lane; what stands
   in the high half is noise, which the 32-bit multiplication does not see.  Two registers go through
   the ten rounds side by side, because a multiplication takes some cycles. */
#include "num/stream.h"
#include "num/vmath.h"

#define STREAM_JOIN(a, b) a##b
#define STREAM_NAME(a, b) STREAM_JOIN(a, b)
#define INLINE static inline __attribute__((always_inline))
enum {
  SIDE = 2,                                        /* registers side by side */
  BLOCKS = SIDE * LANES < 8 ? 8 : SIDE * LANES,    /* of a step */
  STEP = 2 * BLOCKS                                /* numbers of a step */
};

/* The product of the low halves. */
INLINE lane_bits half_product(lane_bits a, lane_bits b)
{
#if defined LANE_X86 && LANES == 8
  return (lane_bits)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined LANE_X86 && LANES == 4
  return (lane_bits)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined LANE_X86 && LANES == 2
  return (lane_bits)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

/* rng_philox of the counters (lane, event, iter, at[r]). */
INLINE void philox(const norn_rng *g, const lane_bits *at, lane_bits (*w)[4])
{
  const lane_bits none = {0}, m0 = none + 0xd2511f53u, m1 = none + 0xcd9e8d57u;
  uint32_t k0 = (uint32_t)g->stream, k1 = (uint32_t)(g->stream >> 32);
#pragma GCC unroll 2
  for (int r = 0; r < SIDE; r++) {
    w[r][0] = none + g->lane;
    w[r][1] = none + g->event;
    w[r][2] = none + g->iter;
    w[r][3] = at[r];
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 2
    for (int r = 0; r < SIDE; r++) {
      lane_bits p = half_product(w[r][0], m0), q = half_product(w[r][2], m1);
      w[r][0] = q >> 32 ^ w[r][1] ^ (none + k0);
      w[r][2] = p >> 32 ^ w[r][3] ^ (none + k1);
      w[r][1] = q;
      w[r][3] = p;
    }
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
}

/* rng_unit */
INLINE lanes unit(lane_bits low, lane_bits high)
{
  lane_bits x = high << 32 | (low & 0xffffffffu);
  return lane_of(x >> 12 | 0x3ff0000000000000u) - (1 - 0x1p-53);
}

/* STEP numbers from block `at`: the two of block j are numbers j and j+8 of its sixteen. */
INLINE void step(const norn_rng *g, uint32_t at, bool normal, double *out)
{
  lane_bits count;
  for (int i = 0; i < LANES; i++) count[i] = at + (uint32_t)i;
#pragma GCC unroll 2
  for (int b = 0; b < BLOCKS; b += SIDE * LANES) {
    lane_bits draw[SIDE], w[SIDE][4];
    for (int r = 0; r < SIDE; r++) draw[r] = count + (uint64_t)(b + r * LANES);
    philox(g, draw, w);
#pragma GCC unroll 2
    for (int r = 0; r < SIDE; r++) {
      int j = b + r * LANES;
      double *to = out + 2 * (j & ~7) + (j & 7);
      lanes u = unit(w[r][0], w[r][1]), v = unit(w[r][2], w[r][3]);
      if (normal) {
        lanes s, c, radius = lane_sqrt(-2 * v_log_normal(u));
        v_sincos2pi(v, &s, &c);
        u = radius * c;
        v = radius * s;
      }
      lane_store(to, u);
      lane_store(to + 8, v);
    }
  }
}

INLINE void run(const norn_rng *g, bool normal, double *out, int64_t n)
{
  const norn_rng own = *g;                         /* `out` can't change it */
  uint32_t at = g->draw;
  for (; n >= STEP; n -= STEP, out += STEP, at += BLOCKS) step(&own, at, normal, out);
  if (n > 0) {
    double rest[STEP];
    step(&own, at, normal, rest);
    memcpy(out, rest, (size_t)n * sizeof *out);
  }
}

static void uniforms(const norn_rng *g, double *out, int64_t n) { run(g, false, out, n); }
static void normals(const norn_rng *g, double *out, int64_t n) { run(g, true, out, n); }
const stream_fns STREAM_NAME(stream_, LEVEL) = {uniforms, normals};
