/* quant_k.c: the formats of 256 numbers whose groups have scales that are themselves small integers (quant.h has the
   layouts; ggml-quants.c of ggml-org/ggml the formulas).  What puts numbers into them fits each group by least squares,
   a few rounds of it; llama.cpp searches longer: of normal numbers it loses 1 to 3 % less (root mean square). */
#include "llm/file/quant.h"
#include "llm/file/quant_in.h"
#include <math.h>

enum { ROUNDS = 6 };

/* ---- reading ---- */

void quant_q4_K_f32(const void *p, float *x, size_t n)
{
  const block_q4_K *b = p;
  for (size_t k = 0; k < n / 256; k++, b++) {
    float d = quant_from_f16(b->d), dmin = quant_from_f16(b->dmin);
    for (int j = 0; j < 8; j++) {
      const uint8_t *q = b->q + 32 * (j / 2);
      int scale, min;
      quant_scale_min(b->scales, j, &scale, &min);
      float s = d * (float)scale, m = dmin * (float)min;
      for (int i = 0; i < 32; i++) *x++ = s * (float)(j & 1 ? q[i] >> 4 : q[i] & 15) - m;
    }
  }
}

void quant_q5_K_f32(const void *p, float *x, size_t n)
{
  const block_q5_K *b = p;
  for (size_t k = 0; k < n / 256; k++, b++) {
    float d = quant_from_f16(b->d), dmin = quant_from_f16(b->dmin);
    for (int j = 0; j < 8; j++) {
      const uint8_t *q = b->q + 32 * (j / 2);
      int scale, min;
      quant_scale_min(b->scales, j, &scale, &min);
      float s = d * (float)scale, m = dmin * (float)min;
      for (int i = 0; i < 32; i++)
        *x++ = s * (float)((j & 1 ? q[i] >> 4 : q[i] & 15) + (b->high[i] >> j & 1) * 16) - m;
    }
  }
}

void quant_q6_K_f32(const void *p, float *x, size_t n)
{
  const block_q6_K *b = p;
  for (size_t k = 0; k < n / 256; k++, b++) {
    float d = quant_from_f16(b->d);
    for (int i = 0; i < 256; i++) {
      int half = i / 128, part = i % 128 / 32, at = i % 32;
      int low = b->low[64 * half + 32 * (part & 1) + at] >> (part & 2 ? 4 : 0) & 15;
      int high = b->high[32 * half + at] >> 2 * part & 3;
      *x++ = d * (float)b->scales[i / 16] * (float)((low | high << 4) - 32);
    }
  }
}

/* ---- writing ---- */

/* x ~ s q - m, q in 0 .. top, m >= 0: from the range, then by turns the nearest q, and s and m by least squares. */
static void fit_range(const float *x, int top, float *s, float *m)
{
  float low = 0, high = x[0];
  for (int i = 0; i < 32; i++) {
    low = fminf(low, x[i]);
    high = fmaxf(high, x[i]);
  }
  *m = -low;
  *s = (high - low) / (float)top;
  if (!(*s > 0)) {
    *s = 0;
    return;
  }
  float best = INFINITY, s1 = *s, m1 = *m;
  for (int round = 0; round < ROUNDS; round++) {
    float err = 0, sq = 0, sqq = 0, sx = 0, sxq = 0;
    for (int i = 0; i < 32; i++) {
      float q = (float)quant_clamp((x[i] + m1) / s1 + .5f, 0, top), e = s1 * q - m1 - x[i];
      err += e * e;
      sq += q;
      sqq += q * q;
      sx += x[i];
      sxq += x[i] * q;
    }
    if (err < best) {
      best = err;
      *s = s1;
      *m = m1;
    }
    float det = 32 * sqq - sq * sq;
    if (!(det > 0)) break;
    s1 = (32 * sxq - sx * sq) / det;
    m1 = (s1 * sq - sx) / 32;
    if (m1 < 0) {
      m1 = 0;
      s1 = sxq / sqq;
    }
    if (!(s1 > 0)) break;
  }
}

/* Eight scales and eight minima of 6 bits into 12 bytes (quant_scale_min reads them). */
static void pack_scales(const int *scale, const int *min, uint8_t *out)
{
  for (int j = 0; j < 4; j++) {
    out[j] = (uint8_t)(scale[j] | (scale[j + 4] >> 4) << 6);
    out[j + 4] = (uint8_t)(min[j] | (min[j + 4] >> 4) << 6);
    out[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
  }
}

/* The scales of a block and the integers of its numbers, q[256] in 0 .. top. */
static void put_range(const float *x, int top, uint16_t *hd, uint16_t *hm, uint8_t *scales, uint8_t *q)
{
  float s[8], m[8], most = 0, mmost = 0;
  int scale[8], min[8];
  for (int j = 0; j < 8; j++) {
    fit_range(x + 32 * j, top, &s[j], &m[j]);
    most = fmaxf(most, s[j]);
    mmost = fmaxf(mmost, m[j]);
  }
  *hd = quant_to_f16(most / 63);
  *hm = quant_to_f16(mmost / 63);
  float d = quant_from_f16(*hd), dmin = quant_from_f16(*hm);
  for (int j = 0; j < 8; j++) {
    scale[j] = d > 0 ? quant_clamp(s[j] / d + .5f, 0, 63) : 0;
    min[j] = dmin > 0 ? quant_clamp(m[j] / dmin + .5f, 0, 63) : 0;
    float sj = d * (float)scale[j], mj = dmin * (float)min[j];
    for (int i = 32 * j; i < 32 * j + 32; i++)
      q[i] = (uint8_t)(sj > 0 ? quant_clamp((x[i] + mj) / sj + .5f, 0, top) : 0);
  }
  pack_scales(scale, min, scales);
}

void quant_q4_K_put(const float *x, void *p, size_t n)
{
  block_q4_K *b = p;
  uint8_t q[256];
  for (size_t k = 0; k < n / 256; k++, b++, x += 256) {
    put_range(x, 15, &b->d, &b->dmin, b->scales, q);
    for (int i = 0; i < 128; i++) {
      int at = 64 * (i / 32) + i % 32;
      b->q[i] = (uint8_t)(q[at] | q[at + 32] << 4);
    }
  }
}

void quant_q5_K_put(const float *x, void *p, size_t n)
{
  block_q5_K *b = p;
  uint8_t q[256];
  for (size_t k = 0; k < n / 256; k++, b++, x += 256) {
    put_range(x, 31, &b->d, &b->dmin, b->scales, q);
    memset(b->high, 0, sizeof b->high);
    for (int i = 0; i < 256; i++) b->high[i % 32] = (uint8_t)(b->high[i % 32] | (q[i] >> 4) << i / 32);
    for (int i = 0; i < 128; i++) {
      int at = 64 * (i / 32) + i % 32;
      b->q[i] = (uint8_t)((q[at] & 15) | (q[at + 32] & 15) << 4);
    }
  }
}

/* x ~ s q of 16 numbers, q in -32 .. 31; s has the sign that gives the greatest number the longer side. */
static float fit_scale(const float *x)
{
  float most = 0, best = INFINITY, s;
  for (int i = 0; i < 16; i++)
    if (fabsf(x[i]) > fabsf(most)) most = x[i];
  if (most == 0) return 0;
  float s1 = most / -32;
  s = s1;
  for (int round = 0; round < ROUNDS; round++) {
    float err = 0, sqq = 0, sxq = 0;
    for (int i = 0; i < 16; i++) {
      float q = (float)(quant_clamp(x[i] / s1 + 32.5f, 0, 63) - 32), e = s1 * q - x[i];
      err += e * e;
      sqq += q * q;
      sxq += x[i] * q;
    }
    if (err < best) {
      best = err;
      s = s1;
    }
    if (!(sqq > 0) || sxq == 0) break;
    s1 = sxq / sqq;
  }
  return s;
}

void quant_q6_K_put(const float *x, void *p, size_t n)
{
  block_q6_K *b = p;
  for (size_t k = 0; k < n / 256; k++, b++, x += 256) {
    float s[16], most = 0;
    for (int j = 0; j < 16; j++) {
      s[j] = fit_scale(x + 16 * j);
      if (fabsf(s[j]) > fabsf(most)) most = s[j];
    }
    memset(b, 0, sizeof *b);
    b->d = quant_to_f16(most / -128);
    float d = quant_from_f16(b->d);
    for (int i = 0; i < 256; i++) {
      int scale = d != 0 ? quant_clamp(s[i / 16] / d + 128.5f, 0, 255) - 128 : 0;
      float sj = d * (float)scale;
      int q = sj != 0 ? quant_clamp(x[i] / sj + 32.5f, 0, 63) : 32;
      int half = i / 128, part = i % 128 / 32, at = i % 32;
      uint8_t *low = &b->low[64 * half + 32 * (part & 1) + at], *high = &b->high[32 * half + at];
      b->scales[i / 16] = (int8_t)scale;
      *low = (uint8_t)(*low | (q & 15) << (part & 2 ? 4 : 0));
      *high = (uint8_t)(*high | (q >> 4) << 2 * part);
    }
  }
}
