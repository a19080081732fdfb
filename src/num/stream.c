/* stream: chooses the CPU level at which stream_level.c runs, and sees to it that no counter serves
   twice. */
#include "num/stream.h"
#include "num/rng.h"

static const stream_fns *const levels[LEVELS] = {
  &stream_base,
#ifdef HAVE_X86_LEVELS
  &stream_avx2, &stream_avx512,
#endif
};

/* In parts, since an array may have more numbers than there are draw words.  A part fills its
   sixteens, so that where it ends does not matter. */
static void fill(stream_fn f, norn_rng *g, double *out, int64_t n)
{
  enum { PART = 1 << 20 };
  while (n > 0) {
    int64_t m = n < PART ? n : PART;
    rng_room(g);
    f(g, out, m);
    g->draw += (uint32_t)rng_blocks(m);
    out += m;
    n -= m;
  }
}

void stream_uniforms(int level, norn_rng *g, double *out, int64_t n)
{
  fill(levels[level]->uniforms, g, out, n);
}
void stream_normals(int level, norn_rng *g, double *out, int64_t n)
{
  fill(levels[level]->normals, g, out, n);
}
const stream_fns *stream_best(void) { return levels[level_best()]; }

void norn_rng_uniforms(norn_rng *g, double *out, int64_t n)
{
  stream_uniforms(level_best(), g, out, n);
}
void norn_rng_normals(norn_rng *g, double *out, int64_t n)
{
  stream_normals(level_best(), g, out, n);
}
