/* quant.h: how numbers of a model's tensors are kept: as floats, or in blocks of small integers that share a scale.

   The formats are those of ggml (ggml-org/ggml: ggml-common.h has the layouts, ggml-quants.c the formulas).  A row is a
   whole number of blocks; a block is read at any address, but its 16-bit fields want an even one. */
#ifndef NORN_LLM_QUANT_H
#define NORN_LLM_QUANT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum quant_type {
  QUANT_F32, QUANT_F16, QUANT_BF16, QUANT_Q8_0, QUANT_Q4_0, QUANT_Q4_K, QUANT_Q5_K, QUANT_Q6_K, QUANT_TYPES
} quant_type;

/* x[i] of 32: d q[i]. */
typedef struct block_q8_0 { uint16_t d; int8_t q[32]; } block_q8_0;
/* x[i] of 32: d (nibble i - 8); nibble i stands in the low half of q[i], nibble i + 16 in its high half. */
typedef struct block_q4_0 { uint16_t d; uint8_t q[16]; } block_q4_0;
/* x[i] of 256, in 8 groups j of 32: d scale(j) q - dmin min(j); quant_scale_min reads scales and minima of 6 bits.
   Groups 2 k and 2 k + 1 are the low and high nibbles of q[32 k ..]. */
typedef struct block_q4_K { uint16_t d, dmin; uint8_t scales[12], q[128]; } block_q4_K;
/* The same with a fifth bit: of group j, bit j of high[i]. */
typedef struct block_q5_K { uint16_t d, dmin; uint8_t scales[12], high[32], q[128]; } block_q5_K;
/* x[i] of 256, in 16 groups of 16: d scale (q - 32), q of 6 bits.  Of each half of 128 numbers
   (low[64], high[32]): number 32 k + i has the low nibble of low[32 k + i] for k = 0, 1, the high
   one of low[32 (k - 2) + i] for k = 2, 3, and bits 2 k, 2 k + 1 of high[i]. */
typedef struct block_q6_K { uint8_t low[128], high[64]; int8_t scales[16]; uint16_t d; } block_q6_K;
_Static_assert(sizeof(block_q8_0) == 34 && sizeof(block_q4_0) == 18 && sizeof(block_q4_K) == 144 &&
               sizeof(block_q5_K) == 176 && sizeof(block_q6_K) == 210, "blocks stand in files as they are here");

typedef struct quant_traits {
  const char *name;        /* as ggml calls it: "Q4_K" */
  int ggml;                /* its number in files */
  int block, bytes;        /* a block's numbers, and its bytes */
  /* n numbers, a multiple of `block`.  from_f32 rounds to nearest; numbers must be finite. */
  void (*to_f32)(const void *, float *, size_t n);
  void (*from_f32)(const float *, void *, size_t n);
} quant_traits;
extern const quant_traits quant_of[QUANT_TYPES];

/* By ggml's number; QUANT_TYPES: none that is read here. */
quant_type  quant_by_ggml(uint32_t);
/* What ggml calls a number, those that are not read here too; NULL: nothing that it ever called anything. */
const char *quant_ggml_name(uint32_t);
/* The bytes of n numbers, a multiple of the block. */
static inline size_t quant_bytes(quant_type t, size_t n)
{
  return n / (size_t)quant_of[t].block * (size_t)quant_of[t].bytes;
}

/* ---- numbers of 16 bits ---- */
static inline float quant_from_bits(uint32_t u)
{
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
static inline float quant_from_bf16(uint16_t h) { return quant_from_bits((uint32_t)h << 16); }
/* IEEE 754 binary16: 5 bits of exponent, 10 of fraction. */
static inline float quant_from_f16(uint16_t h)
{
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023;
  if (e == 31) return quant_from_bits(sign | 0x7f800000u | m << 13);
  if (e) return quant_from_bits(sign | (e + 112) << 23 | m << 13);
  return (sign ? -1.0f : 1.0f) * (float)m * 0x1p-24f;
}
/* To nearest, ties to even; beyond the format's range infinite; NaN stays one. */
uint16_t quant_to_f16(float);
uint16_t quant_to_bf16(float);

/* Scale and minimum j (of 8) of Q4_K and Q5_K, 6 bits each: the first four have bytes of their own, whose upper two
   bits belong to the last four. */
static inline void quant_scale_min(const uint8_t *s, int j, int *scale, int *min)
{
  if (j < 4) {
    *scale = s[j] & 63;
    *min = s[j + 4] & 63;
  } else {
    *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    *min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
  }
}
#endif
