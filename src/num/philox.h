/* philox: random numbers that are functions of a counter, for single numbers and for lanes; rng.h
   says which counter serves for what.

   Numbers of floats (NORN_F32) are made of the same blocks as those of doubles, from their upper
   words: uniforms are those of the doubles cut to 23 bits, normals those of the doubles within
   rounding, so that a run in floats is close to the run in doubles. */
#ifndef NORN_PHILOX_H
#define NORN_PHILOX_H
#include "num/vmath.h"

typedef struct { uint32_t w[4]; } rng_block;
#define RNG_NORMAL 0x80000000u   /* in the draw word: the block makes two normals */
#define RNG_SPLIT 0x7fffffffu    /* the draw word of streams split off */
#define RNG_FULL 0x7ffffffeu     /* and of the stream that goes on when all smaller ones are used */

/* The product of two words.  (NVRTC makes a 64-bit product of it, which costs a further addition.) */
#ifdef __CUDACC_RTC__
static inline uint64_t rng_product(uint32_t a, uint32_t b)
{
  uint64_t p;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(p) : "r"(a), "r"(b));
  return p;
}
#else
static inline uint64_t rng_product(uint32_t a, uint32_t b) { return (uint64_t)a * b; }
#endif

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).  (Both products of a round in one SSE2
   instruction were slower in a normal: the integer units are free there, the vector units are
   not.) */
static inline rng_block rng_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key)
{
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  LANE_UNROLL
  for (int round = 0; round < 10; round++) {
    uint64_t p = rng_product(0xd2511f53u, c0), q = rng_product(0xcd9e8d57u, c2);
    c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)q;
    c3 = (uint32_t)p;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  rng_block b = {{c0, c1, c2, c3}};
  return b;
}

/* ---- blocks in lanes: a word of a block in each lane -------------------------------------------- */

/* With doubles a word is the low half of its lane; what stands in the high half is noise, which the
   product of the low halves does not see. */
typedef struct { lane_bits w[4]; } lane_block;

#if LANES > 1 && !defined NORN_F32
/* The product of the low halves. */
LANE_INLINE lane_bits lane_half_product(lane_bits a, lane_bits b)
{
#ifdef LANE_X86
  return (lane_bits)LANE_X_TIMES(a, b);
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}
/* One round, with the keys of that round. */
LANE_INLINE void lane_round(lane_block *b, uint32_t k0, uint32_t k1)
{
  const lane_bits none = {0};
  lane_bits p = lane_half_product(b->w[0], none + 0xd2511f53u);
  lane_bits q = lane_half_product(b->w[2], none + 0xcd9e8d57u);
  b->w[0] = q >> 32 ^ b->w[1] ^ (none + k0);
  b->w[2] = p >> 32 ^ b->w[3] ^ (none + k1);
  b->w[1] = q;
  b->w[3] = p;
}
#elif LANES > 1
typedef uint64_t lane_wide __attribute__((vector_size(8 * LANES)));
LANE_INLINE void lane_round(lane_block *b, uint32_t k0, uint32_t k1)
{
  lane_wide p = __builtin_convertvector(b->w[0], lane_wide) * 0xd2511f53u;
  lane_wide q = __builtin_convertvector(b->w[2], lane_wide) * 0xcd9e8d57u;
  b->w[0] = __builtin_convertvector(q >> 32, lane_bits) ^ b->w[1] ^ k0;
  b->w[2] = __builtin_convertvector(p >> 32, lane_bits) ^ b->w[3] ^ k1;
  b->w[1] = __builtin_convertvector(q, lane_bits);
  b->w[3] = __builtin_convertvector(p, lane_bits);
}
#endif

/* rng_philox of the counters (lane, event, iter, draw) */
static inline lane_block lane_philox(uint64_t key, lane_bits lane, uint32_t event, uint32_t iter,
                                     uint32_t draw)
{
  lane_block b;
#if LANES == 1
  rng_block one = rng_philox((uint32_t)lane, event, iter, draw, key);
  for (int i = 0; i < 4; i++) b.w[i] = one.w[i];
#else
  const lane_bits none = {0};
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  b.w[0] = lane;
  b.w[1] = none + event;
  b.w[2] = none + iter;
  b.w[3] = none + draw;
  LANE_UNROLL
  for (int round = 0; round < 10; round++) {
    lane_round(&b, k0, k1);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
#endif
  return b;
}

/* ---- of a block ---------------------------------------------------------------------------------- */

/* The middles of 2^52 (floats: 2^23) equal cells of (0, 1): never 0 or 1, 1 - u is exact and as
   likely as u. */
LANE_INLINE lanes lane_unit(lane_bits low, lane_bits high)
{
#ifdef NORN_F32
  (void)low;
  return lane_of(high >> 9 | 0x3f800000u) - (1 - 0x1p-24);
#else
  lane_bits x = high << 32 | (low & 0xffffffffu);
  return lane_of(x >> 12 | 0x3ff0000000000000u) - (1 - 0x1p-53);
#endif
}

/* Box and Muller 1958: sqrt(-2 log u) cos 2 pi v for the low lane of a pair, sin for the high one.
   Floats: u has all bits of its word, as many as a float holds, for the sake of the tails. */
LANE_INLINE void lane_box_muller(const lane_block *b, lanes *low, lanes *high)
{
  lanes s, c;
#ifdef NORN_F32
  lanes u = lane_fma(lane_from_word(b->w[1]), LANE(0x1p-32), LANE(0x1p-33));
#else
  lanes u = lane_unit(b->w[0], b->w[1]);
#endif
  lanes r = lane_sqrt(-2 * v_log_normal(u));
  v_sincos2pi(lane_unit(b->w[2], b->w[3]), &s, &c);
  *low = r * c;
  *high = r * s;
}

/* rng_uniform and rng_normal of the counters (lane, event, iter, draw); lane_normals: of the lanes
   with and without bit 8. */
static inline lanes lane_uniform(uint64_t key, lane_bits lane, uint32_t event, uint32_t iter,
                                 uint32_t draw)
{
  lane_block b = lane_philox(key, lane, event, iter, draw);
  return lane_unit(b.w[0], b.w[1]);
}
static inline void lane_normals(uint64_t key, lane_bits lane, uint32_t event, uint32_t iter,
                                uint32_t draw, lanes *low, lanes *high)
{
  lane_block b = lane_philox(key, lane & ~(lane_word)8, event, iter, draw | RNG_NORMAL);
  lane_box_muller(&b, low, high);
}
static inline lanes lane_normal(uint64_t key, lane_bits lane, uint32_t event, uint32_t iter,
                                uint32_t draw)
{
  lanes low, high;
  lane_normals(key, lane, event, iter, draw, &low, &high);
  return SEL((lane & 8) != 0, high, low);
}

/* ---- single numbers ------------------------------------------------------------------------------ */

#if LANES == 1
#ifdef NORN_DIALECT
typedef struct norn_rng {
  uint64_t stream;
  uint32_t lane, event, iter, draw;
} norn_rng;
#else
#include "norn.h"
#endif

static inline lane_real rng_unit(uint32_t low, uint32_t high) { return lane_unit(low, high); }

static inline rng_block rng_next(norn_rng *g)
{
  return rng_philox(g->lane, g->event, g->iter, g->draw++, g->stream);
}
static inline uint64_t rng_u64(norn_rng *g)
{
  rng_block b = rng_next(g);
  return (uint64_t)b.w[1] << 32 | b.w[0];
}
static inline lane_real rng_uniform(norn_rng *g)
{
  rng_block b = rng_next(g);
  return rng_unit(b.w[0], b.w[1]);
}
/* Two independent uniforms for the price of one. */
static inline void rng_uniform2(norn_rng *g, lane_real *u, lane_real *v)
{
  rng_block b = rng_next(g);
  *u = rng_unit(b.w[0], b.w[1]);
  *v = rng_unit(b.w[2], b.w[3]);
}
static inline lane_real rng_exponential(norn_rng *g) { return -v_log_normal(rng_uniform(g)); }

/* The normal of the counter, and that of the lane that shares its block. */
static inline lane_real rng_normal_pair(const norn_rng *g, lane_real *other)
{
  lanes low, high;
  lane_normals(g->stream, g->lane, g->event, g->iter, g->draw, &low, &high);
  *other = g->lane & 8 ? low : high;
  return g->lane & 8 ? high : low;
}
#ifdef NORN_DIALECT
static inline lane_real rng_normal(norn_rng *g)
{
  lane_real other, z = rng_normal_pair(g, &other);
  g->draw++;
  return z;
}
#endif

/* The blocks of an array of n numbers: both halves of eight serve for sixteen numbers. */
static inline int64_t rng_blocks(int64_t n) { return n / 16 * 8 + (n % 16 < 8 ? n % 16 : 8); }

/* Lemire 2019, "Fast random integer generation in an interval". */
#ifdef __CUDACC_RTC__
static inline uint64_t rng_high_product(uint64_t a, uint64_t b) { return __umul64hi(a, b); }
#else
static inline uint64_t rng_high_product(uint64_t a, uint64_t b)
{
  return (uint64_t)((unsigned __int128)a * b >> 64);
}
#endif
static inline uint64_t rng_below(norn_rng *g, uint64_t n)
{
  uint64_t x = rng_u64(g);
  if (x * n < n) {
    uint64_t least = n ? -n % n : 0;
    while (x * n < least) x = rng_u64(g);
  }
  return rng_high_product(x, n);
}
#endif
#endif
