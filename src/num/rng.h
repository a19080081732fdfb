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
#include "num/philox.h"

/* A stream made from a block that no draw uses, mixed once more so that no stream equals a draw. */
uint64_t rng_derive(const norn_rng *, uint32_t draw);
/* Turns to the stream that goes on. */
void     rng_go_on(norn_rng *);

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

/* Before drawing many numbers one after the other: sees that there are draw words for a million
   (one event of 2^31 draws would meet itself). */
static inline void rng_room(norn_rng *g)
{
  if (__builtin_expect(g->draw >= RNG_FULL - (1u << 20), 0)) rng_go_on(g);
}
#endif
