/* rng: the public face of the counter-based generator; the generator itself is inline in rng.h. */
#include "num/rng.h"
#include "base/base.h"

uint64_t norn_rng_u64(norn_rng *g) { return rng_u64(g); }
double norn_rng_uniform(norn_rng *g) { return rng_uniform(g); }
double norn_rng_normal(norn_rng *g) { return rng_normal(g); }
double norn_rng_exponential(norn_rng *g) { return rng_exponential(g); }
uint64_t norn_rng_below(norn_rng *g, uint64_t n) { return rng_below(g, n); }

/* A block that no draw of the parent uses, mixed once more so that no stream equals a draw. */
uint64_t norn_stream_split(uint64_t stream, uint32_t lane, uint32_t event, uint32_t iter)
{
  rng_block b = rng_philox(lane, event, iter, RNG_SPLIT, stream);
  return hash_mix(((uint64_t)b.w[1] << 32 | b.w[0]) ^ hash_mix((uint64_t)b.w[3] << 32 | b.w[2]));
}
