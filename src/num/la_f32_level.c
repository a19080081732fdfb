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

#if LANES <= 4
/* Number i is the sum of s[i]'s: at stage h, registers i and i + h (bit h of i not set) become one, of whose numbers
   those with bit h are of the second. */
VEC_INLINE vec sums(vec *s)
{
#ifdef VEC_X86
  vec low = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
  vec high = _mm256_hadd_ps(_mm256_hadd_ps(s[4], s[5]), _mm256_hadd_ps(s[6], s[7]));
  return _mm256_permute2f128_ps(low, high, 0x20) + _mm256_permute2f128_ps(low, high, 0x31);
#else
  VEC_UNROLL
  for (int h = 1; h < VEC; h *= 2)
    VEC_UNROLL
    for (int i = 0; i < VEC; i++) {
      vec own, other;
      if (i & h) continue;
      VEC_UNROLL
      for (int j = 0; j < VEC; j++) {
        own[j] = s[j & h ? i + h : i][j];
        other[j] = s[j & h ? i + h : i][j ^ h];
      }
      s[i] = own + other;
    }
  return s[0];
#endif
}

/* The products of x and VEC rows of b, of which those from `last` on are the last. */
VEC_INLINE vec dot_rows(int64_t k, const float *x, const float *b, int64_t ldb, int64_t last)
{
  vec s[VEC];
  const float *row[VEC];
  int64_t p = 0;
  VEC_UNROLL
  for (int i = 0; i < VEC; i++) {
    s[i] = (vec){ 0 };
    row[i] = b + (i < last ? i : last) * ldb;
  }
  for (; p + VEC <= k; p += VEC) {
    vec y = vec_load(x + p);
    VEC_UNROLL
    for (int i = 0; i < VEC; i++) s[i] = vec_fma(y, vec_load(row[i] + p), s[i]);
  }
  if (p < k) {
    vec y = vec_load_part(x + p, k - p);
    VEC_UNROLL
    for (int i = 0; i < VEC; i++) s[i] = vec_fma(y, vec_load_part(row[i] + p, k - p), s[i]);
  }
  return sums(s);
}

/* The terms of a number are added in an order that depends on k alone. */
static void dots(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                 int64_t ldc)
{
  for (int64_t j = 0; j < n; j += VEC)
    for (int64_t i = 0; i < m; i++) {
      float *to = c + i * ldc + j;
      vec s = dot_rows(k, a + i * lda, b + j * ldb, ldb, n - j - 1);
      vec_store_part(to, vec_load_part(to, n - j) + s, n - j);
    }
}
#else
#define dots NULL                      /* wider registers take longer to add up than they save */
#endif

const la_kernels_f32 LA_NAME(la_f32_, LEVEL) = { block, dots };
