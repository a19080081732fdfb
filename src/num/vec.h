/* vec: one vector register of floats, for the files that are compiled once per CPU level: twice as many as
   doubles (lane.h).  Unlike formulas in lanes, what is built on it may round differently from level to level:
   sums are fused where the machine has it, so that training goes at the speed of the CPU. */
#ifndef NORN_VEC_H
#define NORN_VEC_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if LANES == 8 && defined __AVX512F__ || LANES == 4 && defined __FMA__
#define VEC_X86
#include <immintrin.h>
#endif

enum { VEC = 2 * LANES };                        /* floats in a register */
typedef float vec __attribute__((vector_size(8 * LANES)));
typedef int32_t vec_ints __attribute__((vector_size(8 * LANES)));
#define VEC_INLINE static inline __attribute__((always_inline, unused))
#define VEC_UNROLL _Pragma("GCC unroll 16")

VEC_INLINE vec vec_of(float x) { return x - (vec){ 0 }; }
VEC_INLINE vec vec_load(const float *p) { vec x; memcpy(&x, p, sizeof x); return x; }
VEC_INLINE void vec_store(float *p, vec x) { memcpy(p, &x, sizeof x); }
/* The first n <= VEC numbers, then zeros. */
VEC_INLINE vec vec_load_part(const float *p, int64_t n)
{
  if (n >= VEC) return vec_load(p);
#if defined VEC_X86 && LANES == 8
  return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
  vec x = { 0 };
  for (int i = 0; i < VEC && i < n; i++) x[i] = p[i];
  return x;
#endif
}
VEC_INLINE void vec_store_part(float *p, vec x, int64_t n)
{
  if (n >= VEC) {
    vec_store(p, x);
    return;
  }
#if defined VEC_X86 && LANES == 8
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#else
  for (int i = 0; i < VEC && i < n; i++) p[i] = x[i];
#endif
}
VEC_INLINE vec vec_fma(vec a, vec b, vec c)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_fmadd_ps(a, b, c);
#elif defined VEC_X86
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
VEC_INLINE vec vec_select(vec_ints c, vec a, vec b)
{
  return (vec)((c & (vec_ints)a) | (~c & (vec_ints)b));
}
/* b where one is NaN */
VEC_INLINE vec vec_max(vec a, vec b)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_max_ps(a, b);
#elif defined VEC_X86
  return _mm256_max_ps(a, b);
#else
  return vec_select(a > b, a, b);
#endif
}
VEC_INLINE vec vec_min(vec a, vec b)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_min_ps(a, b);
#elif defined VEC_X86
  return _mm256_min_ps(a, b);
#else
  return vec_select(a < b, a, b);
#endif
}
VEC_INLINE vec vec_sqrt(vec x)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_sqrt_ps(x);
#elif defined VEC_X86
  return _mm256_sqrt_ps(x);
#else
  for (int i = 0; i < VEC; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}
VEC_INLINE float vec_sum(vec x)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_reduce_add_ps(x);
#else
  float s[VEC];
  vec_store(s, x);
  for (int h = VEC / 2; h; h /= 2)
    for (int i = 0; i < h; i++) s[i] += s[i + h];
  return s[0];
#endif
}
VEC_INLINE float vec_greatest(vec x)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_reduce_max_ps(x);
#else
  float s[VEC];
  vec_store(s, x);
  for (int h = VEC / 2; h; h /= 2)
    for (int i = 0; i < h; i++) s[i] = s[i] > s[i + h] ? s[i] : s[i + h];
  return s[0];
#endif
}

/* exp x, within 2 ulp; 0 below -87.3, 2^127.5 above 88.4, NaN stays.  x = k log 2 + r; exp r = 1 + r + r^2
   P(r) with the fit of vmath_f32.h (3.1e-9). */
VEC_INLINE vec vec_exp(vec x)
{
  vec c = vec_min(vec_of(88.376F), vec_max(vec_of(-88), x));      /* NaN stays: it is the second */
  vec n = vec_fma(c, vec_of(1.442695041F), vec_of(12582912.0F)), k = n - 12582912.0F;
  vec r = vec_fma(k, vec_of(-1.428606766e-6F), vec_fma(k, vec_of(-0.6931457520F), c));
  vec p = vec_fma(vec_of(0.001381447595F), r, vec_of(0.008368780471F));
  p = vec_fma(vec_fma(vec_fma(p, r, vec_of(0.04166839402F)), r, vec_of(0.1666652011F)), r,
              vec_of(0.4999999341F));
  vec y = vec_fma(vec_fma(p, r, vec_of(1)), r, vec_of(1));
  vec_ints e = (((vec_ints)n - 0x4b400000) + 127) << 23;
  return y * (vec)e;                                              /* k = -127: the factor is 0 */
}
/* 1 / (1 + exp -x) */
VEC_INLINE vec vec_logistic(vec x) { return 1 / (1 + vec_exp(-x)); }

/* r[i][j] and r[j][i] change places, of VEC registers.  At stage h, registers i and i + h (bit h of i not
   set) change the halves of their pieces of 2 h numbers. */
VEC_INLINE void vec_transpose(vec *r)
{
#if defined VEC_X86 && LANES == 8
  VEC_UNROLL
  for (int h = 1; h < VEC; h *= 2) {
    vec_ints low, high;
    VEC_UNROLL
    for (int j = 0; j < VEC; j++) {
      low[j] = j & h ? VEC + (j - h) : j;
      high[j] = j & h ? VEC + j : j + h;
    }
    VEC_UNROLL
    for (int i = 0; i < VEC; i++) {
      if (i & h) continue;
      vec a = r[i], b = r[i + h];
      r[i] = _mm512_permutex2var_ps(a, (__m512i)low, b);
      r[i + h] = _mm512_permutex2var_ps(a, (__m512i)high, b);
    }
  }
#else
  float x[VEC][VEC];
  for (int i = 0; i < VEC; i++) vec_store(x[i], r[i]);
  for (int i = 0; i < VEC; i++)
    for (int j = 0; j < VEC; j++) r[i][j] = x[j][i];
#endif
}

/* ---- products ---- */

/* Rows of at most two registers: c (rows, n) = a b, or added to c; a[i, p] at a[i ai + p ap]; b (k, n) is
   read by whole registers. */
VEC_INLINE void vec_tile(int rows, int wide, int64_t n, int64_t k, const float *a, int64_t ai, int64_t ap,
                         const float *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
  vec s[8][2];
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int w = 0; w < wide; w++) s[r][w] = (vec){ 0 };
  for (int64_t p = 0; p < k; p++) {
    vec x[2];
    VEC_UNROLL
    for (int w = 0; w < wide; w++) x[w] = vec_load(b + p * ldb + w * VEC);
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
      vec y = vec_of(a[r * ai + p * ap]);
      VEC_UNROLL
      for (int w = 0; w < wide; w++) s[r][w] = vec_fma(y, x[w], s[r][w]);
    }
  }
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int w = 0; w < wide; w++) {
      float *to = c + r * ldc + w * VEC;
      int64_t left = n - w * VEC;
      vec_store_part(to, add ? vec_load_part(to, left) + s[r][w] : s[r][w], left);
    }
}

/* Registers of a tile: what the machine has, less those of b and a. */
#if LANES == 8
enum { VEC_ROWS = 8 };
#else
enum { VEC_ROWS = 4 };
#endif

/* c (m, n) = a b, or added to c, as vec_tile has it, for operands that lie in the nearest cache. */
VEC_INLINE void vec_block(int64_t m, int64_t n, int64_t k, const float *a, int64_t ai, int64_t ap,
                          const float *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
  for (int64_t j = 0; j < n; j += 2 * VEC) {
    int64_t left = n - j, i = 0;
    if (left > VEC) {
      for (; i + VEC_ROWS <= m; i += VEC_ROWS)
        vec_tile(VEC_ROWS, 2, left, k, a + i * ai, ai, ap, b + j, ldb, add, c + i * ldc + j, ldc);
      for (; i + 2 <= m; i += 2)
        vec_tile(2, 2, left, k, a + i * ai, ai, ap, b + j, ldb, add, c + i * ldc + j, ldc);
      for (; i < m; i++) vec_tile(1, 2, left, k, a + i * ai, ai, ap, b + j, ldb, add, c + i * ldc + j, ldc);
    } else {
      for (; i + 8 <= m; i += 8)
        vec_tile(8, 1, left, k, a + i * ai, ai, ap, b + j, ldb, add, c + i * ldc + j, ldc);
      for (; i + 2 <= m; i += 2)
        vec_tile(2, 1, left, k, a + i * ai, ai, ap, b + j, ldb, add, c + i * ldc + j, ldc);
      for (; i < m; i++) vec_tile(1, 1, left, k, a + i * ai, ai, ap, b + j, ldb, add, c + i * ldc + j, ldc);
    }
  }
}
#endif
