/* draws: chooses the CPU level at which draws_level.c runs; numbers are made and transformed some
   hundred at a time, while they are in the nearest cache. */
#include "dist/draws.h"
#include "num/stream.h"

static const draws_fn *const levels[LEVELS] = {
  draws_base,
#ifdef HAVE_X86_LEVELS
  draws_avx2, draws_avx512,
#endif
};

void draws_at(int level, int family, int64_t n, unsigned many, const double *const *p, double *out)
{
  levels[level][family](n, many, p, out);
}

static void samples(int family, int np, norn_rng *g, int64_t n, unsigned many,
                    const double *const *p, double *out)
{
  enum { PART = 512 };                  /* a multiple of the stream's sixteen: one array goes on */
  int level = level_best();
  const double *at[NORN_DIST_P];
  for (int64_t k = 0; k < n; k += PART) {
    int64_t m = n - k < PART ? n - k : PART;
    for (int i = 0; i < np; i++) at[i] = p[i] + (many >> i & 1 ? k : 0);
    if (family < DRAWS_OF_UNIFORM) norn_rng_normals(g, out + k, m);
    else norn_rng_uniforms(g, out + k, m);
    draws_at(level, family, m, many, at, out + k);
  }
}

/* As sample1 of each lane, to the bit. */
static void lane_samples(int family, int np, const norn_rng *g, const uint32_t *lane, int64_t n,
                         unsigned many, const double *const *p, double *out)
{
  enum { PART = 512 };                  /* a multiple of sixteen: pairs of normals stay together */
  const stream_fns *fns = stream_best();
  int level = level_best();
  const double *at[NORN_DIST_P];
  norn_rng own = *g;
  for (int64_t k = 0; k < n; k += PART) {
    int64_t m = n - k < PART ? n - k : PART;
    for (int i = 0; i < np; i++) at[i] = p[i] + (many >> i & 1 ? k : 0);
    own.lane = g->lane + (uint32_t)k;
    (family < DRAWS_OF_UNIFORM ? fns->lane_normals : fns->lane_uniforms)(
        &own, lane ? lane + k : NULL, out + k, m);
    draws_at(level, family, m, many, at, out + k);
  }
}

#define DRAW(name, np)                                                                             \
  void name##_samples(norn_rng *g, int64_t n, unsigned many, const double *const *p, double *out)  \
  { samples(DRAWS_##name, np, g, n, many, p, out); }                                               \
  void name##_lane_samples(const norn_rng *g, const uint32_t *lane, int64_t n, unsigned many,      \
                           const double *const *p, double *out)                                    \
  { lane_samples(DRAWS_##name, np, g, lane, n, many, p, out); }
NORMAL_DRAWS(DRAW) UNIFORM_DRAWS(DRAW)
