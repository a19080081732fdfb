/* quant.c: the table of formats, and those that are easy: floats of 16 bits, and blocks of 32 numbers with one scale
   (quant.h has the layouts; ggml-quants.c of ggml-org/ggml the formulas). */
#include "llm/file/quant.h"
#include "llm/file/quant_in.h"
#include <math.h>

/* ---- floats ---- */

/* The discarded bits are rounded away by adding half a unit less the parity of what stays. */
uint16_t quant_to_bf16(float x)
{
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 64);
  return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

uint16_t quant_to_f16(float x)
{
  uint32_t u, sign, mag;
  memcpy(&u, &x, 4);
  sign = u >> 16 & 0x8000;
  mag = u & 0x7fffffffu;
  if (mag > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
  if (mag >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);       /* 65520 and more round to infinity */
  if (mag < 0x38800000u) {                                        /* below 2^-14: multiples of 2^-24 */
    float m = quant_from_bits(mag);
    return (uint16_t)(sign | (uint32_t)lrintf(m * 0x1p24f));
  }
  mag += 0xfff + (mag >> 13 & 1);
  return (uint16_t)(sign | (mag - 0x38000000u) >> 13);
}

static void f32_f32(const void *p, float *x, size_t n) { if (n) memcpy(x, p, n * 4); }
static void f32_put(const float *x, void *p, size_t n) { if (n) memcpy(p, x, n * 4); }
static void f16_f32(const void *p, float *x, size_t n)
{
  const uint8_t *s = p;
  uint16_t h;
  for (size_t i = 0; i < n; i++) {
    memcpy(&h, s + 2 * i, 2);
    x[i] = quant_from_f16(h);
  }
}
static void f16_put(const float *x, void *p, size_t n)
{
  uint8_t *s = p;
  for (size_t i = 0; i < n; i++) {
    uint16_t h = quant_to_f16(x[i]);
    memcpy(s + 2 * i, &h, 2);
  }
}
static void bf16_f32(const void *p, float *x, size_t n)
{
  const uint8_t *s = p;
  uint16_t h;
  for (size_t i = 0; i < n; i++) {
    memcpy(&h, s + 2 * i, 2);
    x[i] = quant_from_bf16(h);
  }
}
static void bf16_put(const float *x, void *p, size_t n)
{
  uint8_t *s = p;
  for (size_t i = 0; i < n; i++) {
    uint16_t h = quant_to_bf16(x[i]);
    memcpy(s + 2 * i, &h, 2);
  }
}

/* ---- blocks of 32 ---- */

static void q8_0_f32(const void *p, float *x, size_t n)
{
  const block_q8_0 *b = p;
  for (size_t k = 0; k < n / 32; k++, b++, x += 32) {
    float d = quant_from_f16(b->d);
    for (int i = 0; i < 32; i++) x[i] = (float)b->q[i] * d;
  }
}
/* d = max |x| / 127. */
static void q8_0_put(const float *x, void *p, size_t n)
{
  block_q8_0 *b = p;
  for (size_t k = 0; k < n / 32; k++, b++, x += 32) {
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    float d = most / 127, inverse = d > 0 ? 1 / d : 0;
    b->d = quant_to_f16(d);
    for (int i = 0; i < 32; i++) b->q[i] = (int8_t)quant_clamp(roundf(x[i] * inverse), -127, 127);
  }
}

static void q4_0_f32(const void *p, float *x, size_t n)
{
  const block_q4_0 *b = p;
  for (size_t k = 0; k < n / 32; k++, b++, x += 32) {
    float d = quant_from_f16(b->d);
    for (int i = 0; i < 16; i++) {
      x[i] = (float)((b->q[i] & 15) - 8) * d;
      x[i + 16] = (float)((b->q[i] >> 4) - 8) * d;
    }
  }
}
/* The number of greatest magnitude becomes -8, which has no positive counterpart. */
static void q4_0_put(const float *x, void *p, size_t n)
{
  block_q4_0 *b = p;
  for (size_t k = 0; k < n / 32; k++, b++, x += 32) {
    float most = 0;
    for (int i = 0; i < 32; i++)
      if (fabsf(x[i]) > fabsf(most)) most = x[i];
    float d = most / -8, inverse = d != 0 ? 1 / d : 0;
    b->d = quant_to_f16(d);
    for (int i = 0; i < 16; i++) {
      int low = quant_clamp(x[i] * inverse + 8.5f, 0, 15), high = quant_clamp(x[i + 16] * inverse + 8.5f, 0, 15);
      b->q[i] = (uint8_t)(low | high << 4);
    }
  }
}

/* ---- the table ---- */

const quant_traits quant_of[QUANT_TYPES] = {
  [QUANT_F32] = { "F32", 0, 1, 4, f32_f32, f32_put },
  [QUANT_F16] = { "F16", 1, 1, 2, f16_f32, f16_put },
  [QUANT_BF16] = { "BF16", 30, 1, 2, bf16_f32, bf16_put },
  [QUANT_Q8_0] = { "Q8_0", 8, 32, sizeof(block_q8_0), q8_0_f32, q8_0_put },
  [QUANT_Q4_0] = { "Q4_0", 2, 32, sizeof(block_q4_0), q4_0_f32, q4_0_put },
  [QUANT_Q4_K] = { "Q4_K", 12, 256, sizeof(block_q4_K), quant_q4_K_f32, quant_q4_K_put },
  [QUANT_Q5_K] = { "Q5_K", 13, 256, sizeof(block_q5_K), quant_q5_K_f32, quant_q5_K_put },
  [QUANT_Q6_K] = { "Q6_K", 14, 256, sizeof(block_q6_K), quant_q6_K_f32, quant_q6_K_put },
};

/* enum ggml_type of ggml.h; those without a name were given up. */
static const char *const names[] = {
  "F32", "F16", "Q4_0", "Q4_1", NULL, NULL, "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K",
  "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S",
  "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16", NULL, NULL, NULL, "TQ1_0",
  "TQ2_0", NULL, NULL, NULL, "MXFP4"
};
const char *quant_ggml_name(uint32_t type)
{
  return type < sizeof names / sizeof *names ? names[type] : NULL;
}
quant_type quant_by_ggml(uint32_t type)
{
  int k = 0;
  while (k < QUANT_TYPES && (uint32_t)quant_of[k].ggml != type) k++;
  return (quant_type)k;
}
