/* head_level: softmax over many logits, compiled once per CPU level (src/nn/local.mk).  The sixteen
   accumulators of a sum are added in one order at every level. */
#include "nn/exp_f32.h"
#include "nn/head_in.h"

#define HEAD_JOIN(a, b) a##b
#define HEAD_NAME(a, b) HEAD_JOIN(a, b)

/* Sixteen numbers from z on, the last of n: what is missing is `fill`. */
static void last16(const float *z, int n, float fill, float out[16])
{
  for (int i = 0; i < 16; i++) out[i] = i < n ? z[i] : fill;
}

static float top(const float *z, int n)
{
  float last[16], most[16];
  f32v m[F32_SIDE];
  int i = 0;
  last16(z, n, z[0], last);                                    /* all of them if n < 16 */
  for (int k = 0; k < F32_SIDE; k++) m[k] = f32v_load((n < 16 ? last : z) + k * F32_WIDE);
  for (i = 16; i + 16 <= n; i += 16)
    for (int k = 0; k < F32_SIDE; k++) m[k] = f32v_max(m[k], f32v_load(z + i + k * F32_WIDE));
  for (int k = 0; k < F32_SIDE; k++) f32v_store(most + k * F32_WIDE, m[k]);
  float r = most[0];
  for (int k = 1; k < 16; k++) r = most[k] > r ? most[k] : r;
  for (; i < n; i++) r = z[i] > r ? z[i] : r;
  return r;
}

static double sum(const float *z, int n, float most, float *e)
{
  float last[16], part[16];
  f32v s[F32_SIDE], by = f32v_all(most);
  int i = 0;
  for (int k = 0; k < F32_SIDE; k++) s[k] = f32v_all(0);
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < F32_SIDE; k++) {
      f32v y = f32v_exp(f32v_load(z + i + k * F32_WIDE) - by);
      s[k] += y;
      if (e) f32v_store(e + i + k * F32_WIDE, y);
    }
  if (i < n) {
    last16(z + i, n - i, -3e38f, last);
    for (int k = 0; k < F32_SIDE; k++) {
      f32v y = f32v_exp(f32v_load(last + k * F32_WIDE) - by);
      f32v_store(part + k * F32_WIDE, y);
    }
    for (int k = n - i; k < 16; k++) part[k] = 0;
    for (int k = 0; k < F32_SIDE; k++) s[k] += f32v_load(part + k * F32_WIDE);
    if (e) memcpy(e + i, part, (size_t)(n - i) * sizeof *e);
  }
  for (int k = 0; k < F32_SIDE; k++) f32v_store(part + k * F32_WIDE, s[k]);
  double r = 0;
  for (int k = 0; k < 16; k++) r += part[k];
  return r;
}

static void scale(float *e, int n, float by)
{
  int i = 0;
  for (; i + F32_WIDE <= n; i += F32_WIDE) f32v_store(e + i, f32v_load(e + i) * by);
  for (; i < n; i++) e[i] *= by;
}

extern const head_loops HEAD_NAME(head_, LEVEL);
const head_loops HEAD_NAME(head_, LEVEL) = { top, sum, scale };
