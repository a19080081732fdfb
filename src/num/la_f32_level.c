/* la_f32_level: products of floats, compiled once per CPU level (src/num/local.mk). */
#include "num/la_in.h"
#include "num/vec.h"

#define LA_JOIN(a, b) a##b
#define LA_NAME(a, b) LA_JOIN(a, b)

static void block(int64_t m, int64_t n, int64_t k, const float *a, int64_t ai, int64_t ap, const float *b,
                  int64_t ldb, float *c, int64_t ldc)
{
  vec_block(m, n, k, a, ai, ap, b, ldb, true, c, ldc);
}

const la_kernels_f32 LA_NAME(la_f32_, LEVEL) = { block };
