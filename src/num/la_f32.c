/* la_f32.c: products of floats: small ones here, by the blocks of la_f32_level.c, those of few rows
   by its dot products, which read a matrix stored (n, k) as it lies, the others by OpenBLAS. */
#include "num/la_in.h"
#include "num/level.h"
#include <limits.h>
#include <string.h>

static const la_kernels_f32 *kernels(bool dots)
{
#ifdef HAVE_X86_LEVELS
  static const la_kernels_f32 *const levels[LEVELS] = { &la_f32_base, &la_f32_avx2, &la_f32_avx512 };
  int best = level_best();
  return levels[best == LEVEL_AVX512 && dots ? LEVEL_AVX2 : best];
#else
  (void)dots;
  return &la_f32_base;
#endif
}

/* FEW: rows for which packing b would cost more than the product does, here and in OpenBLAS. */
enum { FEW = 8, COLUMNS = 64, WHOLE = 32 };   /* columns of b that are packed together; whole tiles at every level */

/* b[p0 .. p0 + k, j0 .. j0 + n) where the kernel can read whole tiles. */
static const float *packed(bool tb, const float *b, int64_t ldb, int64_t p0, int64_t k, int64_t j0, int64_t n,
                           float *pack, int64_t *ld)
{
  if (!tb && n % WHOLE == 0 && ldb <= 4 * COLUMNS) {
    *ld = ldb;
    return b + p0 * ldb + j0;
  }
  int64_t wide = *ld = (n + WHOLE - 1) / WHOLE * WHOLE;
  for (int64_t p = 0; p < k && !tb; p++) {
    memcpy(pack + p * wide, b + (p0 + p) * ldb + j0, (size_t)n * sizeof *pack);
    for (int64_t j = n; j < wide; j++) pack[p * wide + j] = 0;
  }
  for (int64_t j = 0; j < wide && tb; j++)
    for (int64_t p = 0; p < k; p++) pack[p * wide + j] = j < n ? b[(j0 + j) * ldb + p0 + p] : 0;
  return pack;
}

static void own_product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                        const float *b, int64_t ldb, float *c, int64_t ldc)
{
  float pack[LA_DEPTH * COLUMNS];
  const la_kernels_f32 *f = kernels(false);
  int64_t ai = ta ? 1 : lda, ap = ta ? lda : 1, ld;
  for (int64_t p = 0; p < k; p += LA_DEPTH) {
    int64_t depth = k - p < LA_DEPTH ? k - p : LA_DEPTH;
    for (int64_t j = 0; j < n; j += COLUMNS) {
      int64_t wide = n - j < COLUMNS ? n - j : COLUMNS;
      const float *q = packed(tb, b, ldb, p, depth, j, wide, pack, &ld);
      f->block(m, wide, depth, a + p * ap, ai, ap, q, ld, c + j, ldc);
    }
  }
}

static bool big_product(int64_t m, int64_t n, int64_t k, int64_t ld)
{
  return (double)m * (double)n * (double)k > 2e4 && m <= INT_MAX && n <= INT_MAX && k <= INT_MAX &&
         ld <= INT_MAX;
}

void la_product_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                    const float *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
  if (m == 0 || n == 0) return;
  int64_t ld = lda > ldb ? lda : ldb;
  bool few = m <= FEW && tb && !ta;
  const la_blas *blas = k > 0 && !few && big_product(m, n, k, ld > ldc ? ld : ldc) ? la_open() : NULL;
  if (blas && blas->gemm_f32) {
    la_gemm_f32(blas, ta, tb, (int)m, (int)n, (int)k, a, (int)lda, b, (int)ldb, add, c, (int)ldc);
    return;
  }
  for (int64_t i = 0; i < m && !add; i++) memset(c + i * ldc, 0, (size_t)n * sizeof *c);
  if (k > 0 && few) kernels(true)->dots(m, n, k, a, lda, b, ldb, c, ldc);
  else if (k > 0) own_product(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);
}
