/* stream_level: Philox with a block in each 64-bit lane of a register, compiled once per CPU level
   (configure.ac, src/num/local.mk).  A word of the counter is the low half of its lane; what stands
   in the high half is noise, which the 32-bit multiplication does not see.  Two registers go through
   the ten rounds side by side, because a multiplication takes some cycles. */
#include "num/stream.h"
#include "num/philox.h"

#define STREAM_JOIN(a, b) a##b
#define STREAM_NAME(a, b) STREAM_JOIN(a, b)
#define INLINE static inline __attribute__((always_inline))
enum {
  SIDE = 2,                                        /* registers side by side */
  BLOCKS = SIDE * LANES < 8 ? 8 : SIDE * LANES,    /* of a step */
  STEP = 2 * BLOCKS                                /* numbers of a step */
};

/* rng_philox of the counters (lane[r], event, iter, draw[r]). */
INLINE void philox(const norn_rng *g, const lane_bits *lane, const lane_bits *draw, lane_block *b)
{
  const lane_bits none = {0};
  uint32_t k0 = (uint32_t)g->stream, k1 = (uint32_t)(g->stream >> 32);
#pragma GCC unroll 2
  for (int r = 0; r < SIDE; r++) {
    b[r].w[0] = lane[r];
    b[r].w[1] = none + g->event;
    b[r].w[2] = none + g->iter;
    b[r].w[3] = draw[r];
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 2
    for (int r = 0; r < SIDE; r++) lane_round(&b[r], k0, k1);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
}

/* The two numbers of a block. */
INLINE void both(const lane_block *b, bool normal, lanes *u, lanes *v)
{
  if (normal) {
    lane_box_muller(b, u, v);
  } else {
    *u = lane_unit(b->w[0], b->w[1]);
    *v = lane_unit(b->w[2], b->w[3]);
  }
}

/* STEP numbers from block `at`: the two of block j are numbers j and j+8 of its sixteen. */
INLINE void step(const norn_rng *g, uint32_t at, bool normal, double *out)
{
  const lane_bits none = {0}, lane[SIDE] = {none + g->lane, none + g->lane};
  lane_bits count;
  for (int i = 0; i < LANES; i++) count[i] = at + (uint32_t)i;
#pragma GCC unroll 2
  for (int b = 0; b < BLOCKS; b += SIDE * LANES) {
    lane_bits draw[SIDE];
    lane_block w[SIDE];
    for (int r = 0; r < SIDE; r++) draw[r] = count + (uint64_t)(b + r * LANES);
    philox(g, lane, draw, w);
#pragma GCC unroll 2
    for (int r = 0; r < SIDE; r++) {
      int j = b + r * LANES;
      double *to = out + 2 * (j & ~7) + (j & 7);
      lanes u, v;
      both(&w[r], normal, &u, &v);
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
/* ---- lanes: a number of each of many runs ---- */

/* SIDE registers of counters of single lanes; both halves of a block of normals are made.  half: which of them, or
   that of the lane. */
enum { FIRST, SECOND, OF_LANE };
INLINE void lane_step(const norn_rng *g, const uint32_t *lane, bool normal, int half, double *out)
{
  const lane_bits none = {0};
  lane_bits at[SIDE], draw[SIDE], high[SIDE];
  lane_block w[SIDE];
#pragma GCC unroll 2
  for (int r = 0; r < SIDE; r++) {
    lane_bits x = {0};
    for (int i = 0; i < LANES; i++) x[i] = lane[r * LANES + i];
    at[r] = x;
    high[r] = at[r] & 8;
    if (half == OF_LANE) at[r] &= ~(none + 8);
    draw[r] = none + (half == OF_LANE ? g->draw | 0x80000000u : g->draw);
  }
  philox(g, at, draw, w);
#pragma GCC unroll 2
  for (int r = 0; r < SIDE; r++) {
    lanes u, v;
    both(&w[r], normal, &u, &v);
    if (half == OF_LANE) {
      for (int i = 0; i < LANES; i++) out[r * LANES + i] = high[r][i] ? v[i] : u[i];
    } else {
      lane_store(out + r * LANES, half == FIRST ? u : v);
    }
  }
}

/* Lanes first .. first + STEP - 1, `first` a multiple of 16: one block serves lanes j and j + 8. */
INLINE void pair_step(const norn_rng *g, uint32_t first, double *out)
{
  const lane_bits none = {0}, draw[SIDE] = {none + (g->draw | 0x80000000u), none + (g->draw | 0x80000000u)};
  lane_bits count;
  for (int i = 0; i < LANES; i++) count[i] = (uint64_t)i;
#pragma GCC unroll 2
  for (int b = 0; b < BLOCKS; b += SIDE * LANES) {
    lane_bits at[SIDE];
    lane_block w[SIDE];
    for (int r = 0; r < SIDE; r++) {
      int j = b + r * LANES;
      at[r] = count + (uint64_t)(first + (uint32_t)(2 * (j & ~7) + (j & 7)));
    }
    philox(g, at, draw, w);
#pragma GCC unroll 2
    for (int r = 0; r < SIDE; r++) {
      int j = b + r * LANES;
      double *to = out + 2 * (j & ~7) + (j & 7);
      lanes u, v;
      both(&w[r], true, &u, &v);
      lane_store(to, u);
      lane_store(to + 8, v);
    }
  }
}

/* By way of buffers where a step is not full. */
INLINE void lane_run(const norn_rng *g, const uint32_t *lane, bool normal, int half, double *out, int64_t n)
{
  enum { MANY = SIDE * LANES };
  const norn_rng own = *g;
  int64_t k = 0;
  if (half == OF_LANE && !lane && own.lane % 16 == 0) {
    for (; k + STEP <= n; k += STEP) pair_step(&own, own.lane + (uint32_t)k, out + k);
    if (k == n) return;
  }
  for (; k < n; k += MANY) {
    uint32_t at[MANY];
    double part[MANY];
    int64_t m = n - k < MANY ? n - k : MANY;
    for (int i = 0; i < MANY; i++) {
      int64_t j = i < m ? k + i : k;
      at[i] = lane ? lane[j] : own.lane + (uint32_t)j;
    }
    lane_step(&own, at, normal, half, m == MANY ? out + k : part);
    if (m < MANY) memcpy(out + k, part, (size_t)m * sizeof *out);
  }
}

/* The number of each lane that g->draw says: of one draw, or of an array. */
INLINE void lane_numbers(const norn_rng *g, const uint32_t *lane, bool normal, double *out, int64_t n)
{
  norn_rng own = *g;
  uint32_t e = g->draw & ~RNG_ELEMENT;
  if (!(g->draw & RNG_ELEMENT)) {
    if (normal) lane_run(&own, lane, true, OF_LANE, out, n);
    else lane_run(&own, lane, false, FIRST, out, n);
    return;
  }
  own.draw = e / 16 * 8 + e % 8;
  if (e & 8) lane_run(&own, lane, normal, SECOND, out, n);
  else lane_run(&own, lane, normal, FIRST, out, n);
}

static void uniforms_of_lanes(const norn_rng *g, const uint32_t *lane, double *out, int64_t n)
{
  lane_numbers(g, lane, false, out, n);
}
static void normals_of_lanes(const norn_rng *g, const uint32_t *lane, double *out, int64_t n)
{
  lane_numbers(g, lane, true, out, n);
}
const stream_fns STREAM_NAME(stream_, LEVEL) = {uniforms, normals, uniforms_of_lanes,
                                                  normals_of_lanes};
