/* test_quant.c: formats of numbers: blocks mean what the Python package gguf says they mean (quant_golden.h), floats
   become the same bits, and what is put into a block comes back as near as its steps allow. */
#include "unit.h"
#include "llm/file/quant.h"
#include "norn.h"
#include "quant_golden.h"
#include <stdlib.h>

static void meaning(quant_type t, const void *block, const float *want)
{
  float x[256];
  int n = quant_of[t].block;
  double scale = 0;
  quant_of[t].to_f32(block, x, (size_t)n);
  for (int i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
  for (int i = 0; i < n; i++) CHECK_NEAR(x[i], want[i], 3e-7 * scale);
}

static void same_bytes(quant_type t, const uint8_t *want)
{
  uint8_t out[256];
  quant_of[t].from_f32(golden_x, out, 64);
  CHECK(memcmp(out, want, quant_bytes(t, 64)) == 0);
}

static void test_golden(void)
{
  meaning(QUANT_Q8_0, golden_Q8_0, golden_Q8_0_f32);
  meaning(QUANT_Q4_0, golden_Q4_0, golden_Q4_0_f32);
  meaning(QUANT_Q4_K, golden_Q4_K, golden_Q4_K_f32);
  meaning(QUANT_Q5_K, golden_Q5_K, golden_Q5_K_f32);
  meaning(QUANT_Q6_K, golden_Q6_K, golden_Q6_K_f32);
  same_bytes(QUANT_Q8_0, golden_x_Q8_0);
  same_bytes(QUANT_Q4_0, golden_x_Q4_0);
  same_bytes(QUANT_F16, golden_x_F16);
  same_bytes(QUANT_BF16, golden_x_BF16);
}

/* Every half is its own nearest half; between two neighbours the nearer is taken, of equals the even. */
static void test_halves(void)
{
  for (uint32_t h = 0; h < 0x7c00; h++) {
    float x = quant_from_f16((uint16_t)h), next = quant_from_f16((uint16_t)(h + 1));
    CHECK(quant_to_f16(x) == h && quant_to_f16(-x) == (h | 0x8000));
    if (h == 0x7bff) continue;
    float mid = x + (next - x) / 2;
    CHECK(quant_to_f16(mid) == (h & 1 ? h + 1 : h));
    CHECK(quant_to_f16(nextafterf(mid, 0)) == h && quant_to_f16(nextafterf(mid, 1e9f)) == h + 1);
  }
  CHECK(quant_to_f16(65519.996f) == 0x7bff && quant_to_f16(65520) == 0x7c00 && quant_to_f16(INFINITY) == 0x7c00);
  CHECK(isnan(quant_from_f16(quant_to_f16(NAN))) && isnan(quant_from_bf16(quant_to_bf16(NAN))));
  CHECK(quant_to_bf16(1) == 0x3f80 && quant_to_bf16(1.00390625f) == 0x3f80 && quant_to_bf16(1.01171875f) == 0x3f82);
  CHECK(quant_to_bf16(3.4e38f) == 0x7f80 && quant_to_bf16(-INFINITY) == 0xff80);
}

/* The root mean square of what is lost of standard normal numbers, and the most. */
static void loss(quant_type t, double most_rms, double most)
{
  enum { N = 256 * 64 };
  float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
  uint8_t *bytes = malloc(quant_bytes(t, N));
  double sum = 0, worst = 0;
  norn_rng r = { .stream = 7 };
  for (int i = 0; i < N; i++) x[i] = (float)norn_rng_normal(&r);
  quant_of[t].from_f32(x, bytes, N);
  quant_of[t].to_f32(bytes, y, N);
  for (int i = 0; i < N; i++) {
    double e = (double)x[i] - (double)y[i];
    sum += e * e;
    worst = fmax(worst, fabs(e));
  }
  if (!(sqrt(sum / N) < most_rms) || !(worst < most)) fprintf(stderr, "%s loses %g, at most %g\n", quant_of[t].name,
                                                             sqrt(sum / N), worst);
  CHECK(sqrt(sum / N) < most_rms);
  CHECK(worst < most);
  free(x);
  free(y);
  free(bytes);
}

/* A step is s: an error of s / sqrt 12.  Of 32 standard normals the greatest magnitude is about 2.5 (at most about 4.5
   of 16,384), so s is 2.5 / 127, 2.5 / 8; a range of about 4.1 in 15 or 31 steps for Q4_K and Q5_K; of 16 about 2.2 in
   32 for Q6_K. */
static void test_losses(void)
{
  loss(QUANT_F32, 1e-30, 1e-30);
  loss(QUANT_F16, 3e-4, 2e-3);
  loss(QUANT_BF16, 2.5e-3, 1.6e-2);
  loss(QUANT_Q8_0, 7e-3, 2e-2);
  loss(QUANT_Q4_0, .1, .6);
  loss(QUANT_Q4_K, .085, .35);
  loss(QUANT_Q5_K, .042, .18);
  loss(QUANT_Q6_K, .022, .09);
}

/* Zeros, constants, tiny and large numbers, one sign only. */
static void test_edges(void)
{
  float x[256], y[256];
  uint8_t bytes[1024];
  for (int t = 0; t < QUANT_TYPES; t++)
    for (int shape = 0; shape < 7; shape++) {
      double most = 0;
      for (int i = 0; i < 256; i++) {
        static const float level[] = { 0, 1, -1, 1e-12f, 1000, 1, -1 };
        x[i] = level[shape] * (shape < 5 ? 1 : (float)(1 + i % 7));
        most = fmax(most, fabs((double)x[i]));
      }
      quant_of[t].from_f32(x, bytes, 256);
      quant_of[t].to_f32(bytes, y, 256);
      for (int i = 0; i < 256; i++) CHECK_NEAR(y[i], x[i], most * .13 + 1e-7);
    }
}

static void test_names(void)
{
  CHECK(quant_by_ggml(12) == QUANT_Q4_K && quant_by_ggml(10) == QUANT_TYPES && quant_by_ggml(99) == QUANT_TYPES);
  CHECK_STR(quant_of[QUANT_BF16].name, "BF16");
  CHECK_STR(quant_ggml_name(10), "Q2_K");
  CHECK_STR(quant_ggml_name(39), "MXFP4");
  CHECK(quant_ggml_name(4) == NULL && quant_ggml_name(40) == NULL && quant_ggml_name(UINT32_MAX) == NULL);
  for (int t = 0; t < QUANT_TYPES; t++) CHECK_STR(quant_ggml_name((uint32_t)quant_of[t].ggml), quant_of[t].name);
}

int main(void)
{
  test_golden();
  test_halves();
  test_losses();
  test_edges();
  test_names();
  return unit_end();
}
