/* rng: random numbers that are functions of a counter (Salmon, Moraes, Dror, Shaw 2011, "Parallel
   random numbers: as easy as 1, 2, 3"; DESIGN 8).

     counter, 4 x 32 bits     lane | event | iteration | draw        key, 64 bits     stream
     uniform, 53 bits         lane | event | iter | draw, top bit 0
     normal                   lane & ~8 | event | iter | draw, top bit 1
                              lanes 16b+j and 16b+8+j (j < 8) share the block: cosine and sine
     arrays                   lane | event | iter | draw, top bit 0
                              numbers 16b+j and 16b+8+j (j < 8) share block draw + 8b + j: two
                              uniforms, or a cosine and a sine
     split                    lane | event | iter | 0x7fffffff
     full                     lane | event | iter | 0x7ffffffe: the stream that goes on

   A draw costs one block and advances `draw` by one, an array of n by rng_blocks(n), so that no
   counter serves twice; nothing else is kept. */
#ifndef NORN_RNG_H
#define NORN_RNG_H
#include "norn.h"
#include "num/vmath.h"

typedef struct { uint32_t w[4]; } rng_block;
#define RNG_NORMAL 0x80000000u   /* in the draw word: the block makes two normals */
#define RNG_SPLIT 0x7fffffffu    /* the draw word of streams split off */
#define RNG_FULL 0x7ffffffeu     /* and of the stream that goes on when all smaller ones are used */

/* Philox4x32-10.  (Both products of a round in one SSE2 instruction were slower in a normal: the
   integer units are free there, the vector units are not.) */
static inline rng_block rng_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key)
{
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)0xd2511f53u * c0, q = (uint64_t)0xcd9e8d57u * c2;
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

/* The middles of 2^52 equal cells of (0, 1): never 0 or 1, 1 - u is exact and as likely as u. */
static inline double rng_unit(uint32_t low, uint32_t high)
{
  uint64_t x = (uint64_t)high << 32 | low;
  return v_double(x >> 12 | 0x3ff0000000000000u) - (1 - 0x1p-53);
}

/* A stream made from a block that no draw uses, mixed once more so that no stream equals a draw. */
uint64_t rng_derive(const norn_rng *, uint32_t draw);
/* Turns to the stream that goes on. */
void     rng_go_on(norn_rng *);

static inline uint64_t rng_u64(norn_rng *g)
{
  rng_block b = rng_philox(g->lane, g->event, g->iter, g->draw++, g->stream);
  return (uint64_t)b.w[1] << 32 | b.w[0];
}

static inline double rng_uniform(norn_rng *g)
{
  rng_block b = rng_philox(g->lane, g->event, g->iter, g->draw++, g->stream);
  return rng_unit(b.w[0], b.w[1]);
}

/* Two independent uniforms for the price of one. */
static inline void rng_uniform2(norn_rng *g, double *u, double *v)
{
  rng_block b = rng_philox(g->lane, g->event, g->iter, g->draw++, g->stream);
  *u = rng_unit(b.w[0], b.w[1]);
  *v = rng_unit(b.w[2], b.w[3]);
}

/* Box and Muller 1958: sqrt(-2 log u) cos 2 pi v in the low lane of a pair, sin in the high one. */
static inline double rng_normal_pair(const norn_rng *g, double *other)
{
  rng_block b = rng_philox(g->lane & ~8u, g->event, g->iter, g->draw | RNG_NORMAL, g->stream);
  double s, c, r = __builtin_sqrt(-2 * v_log_normal(rng_unit(b.w[0], b.w[1])));
  v_sincos2pi(rng_unit(b.w[2], b.w[3]), &s, &c);
  *other = r * (g->lane & 8 ? c : s);
  return r * (g->lane & 8 ? s : c);
}

/* With a memory: a lane leaves the half that its partner will ask for, under the partner's whole
   counter. */
static inline double rng_normal_kept(norn_rng *g)
{
  norn_pair *p = g->pairs + (g->lane & 7);
  uint64_t at = (uint64_t)g->event << 32 | g->lane, of = (uint64_t)g->iter << 32 | g->draw;
  if (p->at == at && p->of == of && p->stream == g->stream) {
    p->of = ~(uint64_t)0;
    g->draw++;
    return p->other;
  }
  *p = (norn_pair){ g->stream, at ^ 8, of, 0 };
  double z = rng_normal_pair(g, &p->other);
  g->draw++;
  return z;
}

static inline double rng_normal(norn_rng *g)
{
  double other;
  if (g->pairs) return rng_normal_kept(g);
  double z = rng_normal_pair(g, &other);
  g->draw++;
  return z;
}

static inline double rng_exponential(norn_rng *g) { return -v_log_normal(rng_uniform(g)); }

/* The blocks of an array of n numbers: both halves of eight serve for sixteen numbers. */
static inline int64_t rng_blocks(int64_t n) { return n / 16 * 8 + (n % 16 < 8 ? n % 16 : 8); }

/* Before drawing many numbers one after the other: sees that there are draw words for a million
   (one event of 2^31 draws would meet itself). */
static inline void rng_room(norn_rng *g)
{
  if (__builtin_expect(g->draw >= RNG_FULL - (1u << 20), 0)) rng_go_on(g);
}

/* Lemire 2019, "Fast random integer generation in an interval". */
static inline uint64_t rng_below(norn_rng *g, uint64_t n)
{
  unsigned __int128 m = (unsigned __int128)rng_u64(g) * n;
  if ((uint64_t)m < n) {
    uint64_t least = n ? -n % n : 0;
    while ((uint64_t)m < least) m = (unsigned __int128)rng_u64(g) * n;
  }
  return (uint64_t)(m >> 64);
}
#endif
