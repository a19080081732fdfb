/* ops.c: the operations of ops.h: products by la_product_f32, the rest at the widest level that the CPU has.
 */
#include "nn/ops.h"
#include "num/la.h"
#include "num/level.h"
#include <string.h>

static const nn_ops *ops(void)
{
#ifdef HAVE_X86_LEVELS
  static const nn_ops *const levels[LEVELS] = { &nn_ops_base, &nn_ops_avx2, &nn_ops_avx512 };
  return levels[level_best()];
#else
  return &nn_ops_base;
#endif
}

static const nn_attention_ops *attention(void)
{
#ifdef HAVE_X86_LEVELS
  static const nn_attention_ops *const levels[LEVELS] = { &nn_attention_base, &nn_attention_avx2,
                                                          &nn_attention_avx512 };
  return levels[level_best()];
#else
  return &nn_attention_base;
#endif
}

/* ---- linear ---- */

void nn_linear_forward(int64_t n, int64_t i, int64_t o, const float *x, const float *w, const float *b,
                       const float *add, float *y)
{
  if (b) ops()->spread(n, o, b, add, y);
  else if (add && add != y) memcpy(y, add, (size_t)(n * o) * sizeof *y);
  la_product_f32(false, true, n, o, i, x, i, w, i, b || add, y, o);
}

void nn_linear_backward(int64_t n, int64_t i, int64_t o, const float *dy, const float *x, const float *w,
                        float *dx, float *dw, float *db)
{
  if (dx) la_product_f32(false, false, n, i, o, dy, o, w, i, false, dx, i);
  la_product_f32(true, false, o, i, n, dy, o, x, i, true, dw, i);
  if (db) ops()->columns(n, o, dy, db);
}

/* ---- by rows ---- */

void nn_norm_forward(int64_t n, int64_t d, const float *x, const float *gain, const float *bias, float *y,
                     float *stat)
{
  ops()->norm_forward(n, d, x, gain, bias, y, stat);
}

void nn_norm_backward(int64_t n, int64_t d, const float *dy, const float *x, const float *stat,
                      const float *gain, float *dx, float *dgain, float *dbias)
{
  ops()->norm_backward(n, d, dy, x, stat, gain, dx, dgain, dbias);
}

void nn_embed_forward(int64_t n, int64_t j, int64_t d, const int32_t *row, const float *coef,
                      const float *table, float *x)
{
  ops()->embed_forward(n, j, d, row, coef, table, x);
}

void nn_embed_backward(int64_t n, int64_t j, int64_t d, const int32_t *row, const float *coef,
                       const float *dx, float *dtable)
{
  ops()->embed_backward(n, j, d, row, coef, dx, dtable);
}

void nn_rows_forward(int64_t n, int64_t d, const int32_t *at, const float *x, float *y)
{
  for (int64_t i = 0; i < n; i++) memcpy(y + i * d, x + at[i] * d, (size_t)d * sizeof *y);
}

void nn_rows_backward(int64_t n, int64_t d, const int32_t *at, const float *dy, float *dx)
{
  for (int64_t i = 0; i < n; i++) nn_axpy(d, 1, dy + i * d, dx + at[i] * d);
}

/* ---- by numbers ---- */

void nn_gelu_forward(int64_t n, const float *x, float *y, float *slope)
{
  ops()->gelu_forward(n, x, y, slope);
}

void nn_gelu_backward(int64_t n, const float *dy, const float *slope, float *dx)
{
  ops()->gelu_backward(n, dy, slope, dx);
}

void nn_swiglu_forward(int64_t n, int64_t f, const float *x, float *y) { ops()->swiglu_forward(n, f, x, y); }

void nn_swiglu_backward(int64_t n, int64_t f, const float *dy, const float *x, float *dx)
{
  ops()->swiglu_backward(n, f, dy, x, dx);
}

void nn_adam_numbers_step(const nn_adam_numbers *a, int64_t n, const float *g, float *m, float *v, float *w)
{
  ops()->adam(a, n, g, m, v, w);
}

float nn_exps(int64_t n, const float *z, float *y, float *top) { return ops()->exps(n, z, y, top); }

void nn_axpy(int64_t n, float c, const float *x, float *y) { ops()->axpy(n, c, x, y); }

/* ---- attention ---- */

/* As attention_level.c lays it out, with registers of any level. */
int64_t nn_attention_room(int heads, int d, int nq, int nk)
{
  enum { PAD = 16, BLOCK = 64, ARRAYS = 10 };
  int64_t most = (nk + PAD - 1) / PAD * PAD, dw = (d + PAD - 1) / PAD * PAD;
  (void)heads, (void)nq;
  return 2 * most + 2 * d * most + 4 * nk * dw + 2 * BLOCK * (most + dw) + (ARRAYS + 1) * PAD;
}

void nn_attention_forward(const nn_attention *a, float *y, int64_t ystep, float *lse, float *scratch)
{
  attention()->forward(a, y, ystep, lse, scratch);
}

void nn_attention_backward(const nn_attention *a, const float *y, const float *dy, int64_t ystep,
                           const float *lse, float *dq, float *dk, float *dv, float *scratch)
{
  attention()->backward(a, y, dy, ystep, lse, dq, dk, dv, scratch);
}

void nn_recall_forward(const nn_recall *a, float *y, int64_t ystep, float *scratch)
{
  attention()->recall(a, y, ystep, scratch);
}
