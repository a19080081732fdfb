/* rng: the public face of the counter-based generator; the generator itself is inline in rng.h. */
#include "num/rng.h"
#include "base/base.h"

uint64_t norn_rng_u64(norn_rng *g) { return rng_u64(g); }
double norn_rng_uniform(norn_rng *g) { return rng_uniform(g); }
double norn_rng_normal(norn_rng *g) { return rng_normal(g); }
double norn_rng_exponential(norn_rng *g) { return rng_exponential(g); }
uint64_t norn_rng_below(norn_rng *g, uint64_t n) { return rng_below(g, n); }

uint64_t rng_derive(const norn_rng *g, uint32_t draw)
{
  rng_block b = rng_philox(g->lane, g->event, g->iter, draw, g->stream);
  return hash_mix(((uint64_t)b.w[1] << 32 | b.w[0]) ^ hash_mix((uint64_t)b.w[3] << 32 | b.w[2]));
}

void rng_go_on(norn_rng *g)
{
  g->stream = rng_derive(g, RNG_FULL);
  g->draw = 0;
}

uint64_t norn_stream_split(uint64_t stream, uint32_t lane, uint32_t event, uint32_t iter)
{
  norn_rng g = {stream, lane, event, iter, 0, NULL};
  return rng_derive(&g, RNG_SPLIT);
}
