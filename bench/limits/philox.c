/* philox.c: many uniforms and normals by Philox4x32-10 and Box-Muller as plain loops that a
   compiler turns into vector code, for the widest registers of the CPU: the limit for Norn's arrays
   of random numbers.  Logarithm and sine are those of num/vmath.h, since the C library's do not
   vectorise. */
#include "limits.h"
#include "num/vmath.h"

#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
#define WIDE __attribute__((optimize("O3,no-trapping-math,no-math-errno"), \
                            target_clones("default", "avx2", "arch=skylake-avx512")))
#else
#define WIDE
#endif
enum { BLOCKS = 512 };
typedef struct { uint32_t w[4][BLOCKS]; } blocks;

static inline __attribute__((always_inline)) void philox(blocks *b, uint32_t base, uint32_t event)
{
  for (int k = 0; k < BLOCKS; k++) {
    uint32_t c0 = base + (uint32_t)k, c1 = event, c2 = 0, c3 = 0, k0 = 1, k1 = 7;
#pragma GCC unroll 10
    for (int r = 0; r < 10; r++) {
      uint64_t p = (uint64_t)0xd2511f53u * c0, q = (uint64_t)0xcd9e8d57u * c2;
      c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
      c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
      c1 = (uint32_t)q;
      c3 = (uint32_t)p;
      k0 += 0x9e3779b9u;
      k1 += 0xbb67ae85u;
    }
    b->w[0][k] = c0; b->w[1][k] = c1; b->w[2][k] = c2; b->w[3][k] = c3;
  }
}

static inline double unit(uint32_t low, uint32_t high)
{
  return v_double(((uint64_t)high << 32 | low) >> 12 | 0x3ff0000000000000u) - (1 - 0x1p-53);
}

WIDE void limit_uniforms(double *out, int n, uint32_t event)
{
  blocks b;
  for (int i = 0; i + 2 * BLOCKS <= n; i += 2 * BLOCKS) {
    philox(&b, (uint32_t)i / 2, event);
    for (int k = 0; k < BLOCKS; k++) out[i + k] = unit(b.w[0][k], b.w[1][k]);
    for (int k = 0; k < BLOCKS; k++) out[i + BLOCKS + k] = unit(b.w[2][k], b.w[3][k]);
  }
}

WIDE void limit_normals(double *out, int n, uint32_t event)
{
  blocks b;
  for (int i = 0; i + 2 * BLOCKS <= n; i += 2 * BLOCKS) {
    philox(&b, (uint32_t)i / 2, event);
    for (int k = 0; k < BLOCKS; k++) {
      double s, c, r = __builtin_sqrt(-2 * v_log_normal(unit(b.w[0][k], b.w[1][k])));
      v_sincos2pi(unit(b.w[2][k], b.w[3][k]), &s, &c);
      out[i + k] = r * c;
      out[i + BLOCKS + k] = r * s;
    }
  }
}
