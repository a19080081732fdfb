/* Transformers: every operation and its derivative against slow ones in doubles, whose derivatives are
   differences, at every CPU level; the whole model against the same; masks; memories against whole sequences;
   AdamW. */
#include "nn/model.h"
#include "nn/ops.h"
#include "nn/optimise.h"
#include "base/pool.h"
#include "num/la_in.h"
#include "num/level.h"
#include "unit.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static norn_state *state;

/* ---- random inputs, and differences ---- */

static uint64_t seed = 7;
static double uniform(void)            /* in (-1, 1) */
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (double)(int64_t)seed * 0x1p-63;
}

static void *room(size_t n, size_t size)
{
  void *p = calloc(n + 16, size);
  if (!p) exit(99);
  return p;
}

/* n floats that are also doubles. */
static float *randoms(int64_t n, double *x)
{
  float *f = room((size_t)n, sizeof *f);
  for (int64_t i = 0; i < n; i++) x[i] = f[i] = (float)uniform();
  return f;
}

typedef double (*loss_fn)(const double *x, const void *of);
/* Derivatives of f in x (n) by differences of fourth order. */
static void differences(loss_fn f, double *x, int64_t n, const void *of, double *g)
{
  const double h = 1e-3;
  for (int64_t i = 0; i < n; i++) {
    double at = x[i], s[4];
    for (int k = 0; k < 4; k++) {
      x[i] = at + h * (k < 2 ? k - 2 : k - 1);
      s[k] = f(x, of);
    }
    x[i] = at;
    g[i] = (s[0] - 8 * s[1] + 8 * s[2] - s[3]) / (12 * h);
  }
}

/* The greatest difference of a from b, relative to the greatest of b (or 1). */
static double apart(const float *a, const double *b, int64_t n)
{
  double worst = 0, size = 1;
  for (int64_t i = 0; i < n; i++) {
    double e = fabs((double)a[i] - b[i]);
    if (!(e <= worst)) worst = e;
    if (fabs(b[i]) > size) size = fabs(b[i]);
  }
  return worst / size;
}

/* ---- operations in doubles ---- */

static void ref_linear(int64_t n, int64_t i, int64_t o, const double *x, const double *w, const double *b,
                       double *y)
{
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c < o; c++) {
      double s = b ? b[c] : 0;
      for (int64_t k = 0; k < i; k++) s += x[r * i + k] * w[c * i + k];
      y[r * o + c] = s;
    }
}

static void ref_norm(int64_t n, int64_t d, const double *x, const double *gain, const double *bias, double *y)
{
  for (int64_t r = 0; r < n; r++, x += d, y += d) {
    double mean = 0, square = 0;
    for (int64_t j = 0; j < d; j++) mean += x[j] / (double)d;
    for (int64_t j = 0; j < d; j++) square += (x[j] - mean) * (x[j] - mean) / (double)d;
    for (int64_t j = 0; j < d; j++) y[j] = (x[j] - mean) / sqrt(square + 1e-5) * gain[j] + bias[j];
  }
}

static double ref_gelu(double x)
{
  return .5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + .044715 * x * x * x)));
}

static double ref_silu(double x) { return x / (1 + exp(-x)); }

/* y (nq, heads d) of q (nq, qstep), k and v (nk, kstep) */
static void ref_attention(const nn_attention *a, const double *q, const double *k, const double *v, double *y)
{
  int64_t wide = (int64_t)a->heads * a->d;
  for (int h = 0; h < a->heads; h++)
    for (int i = 0; i < a->nq; i++) {
      double z = 0, *to = y + i * wide + h * a->d;
      for (int e = 0; e < a->d; e++) to[e] = 0;
      for (int j = 0; j < a->nk; j++) {
        bool seen = a->order[j] < a->see[i] || (a->own && a->own[i] == j);
        double s = 0;
        for (int e = 0; e < a->d; e++) s += q[i * a->qstep + h * a->d + e] * k[j * a->kstep + h * a->d + e];
        double p = seen ? exp(s / sqrt(a->d)) : 0;
        z += p;
        for (int e = 0; e < a->d; e++) to[e] += p * v[j * a->kstep + h * a->d + e];
      }
      for (int e = 0; e < a->d && z > 0; e++) to[e] /= z;
    }
}

/* ---- operations: linear ---- */

typedef struct shape { int64_t n, i, o; const double *r; } shape;
static double weighted(const double *y, const double *r, int64_t n)
{
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += y[i] * r[i];
  return s;
}

static double linear_loss(const double *x, const void *of)
{
  const shape *s = of;
  const double *w = x + s->n * s->i, *b = w + s->o * s->i;
  double *y = room((size_t)(s->n * s->o), sizeof *y);
  ref_linear(s->n, s->i, s->o, x, w, b, y);
  double l = weighted(y, s->r, s->n * s->o);
  free(y);
  return l;
}

static void check_linear(int64_t n, int64_t i, int64_t o)
{
  int64_t total = n * i + o * i + o, ny = n * o;
  double *x = room((size_t)total, sizeof *x), *r = room((size_t)ny, sizeof *r),
         *g = room((size_t)total, sizeof *g);
  float *f = randoms(total, x), *dy = randoms(ny, r), *y = room((size_t)ny, sizeof *y),
        *d = room((size_t)total, sizeof *d);
  double *want = room((size_t)ny, sizeof *want);
  shape s = { n, i, o, r };
  ref_linear(n, i, o, x, x + n * i, x + n * i + o * i, want);
  nn_linear_forward(n, i, o, f, f + n * i, f + n * i + o * i, NULL, y);
  CHECK(apart(y, want, ny) < 2e-6);
  for (int64_t k = 0; k < ny; k++) want[k] += r[k];
  nn_linear_forward(n, i, o, f, f + n * i, f + n * i + o * i, dy, y);
  CHECK(apart(y, want, ny) < 2e-6);
  if (total < 3000) {
    differences(linear_loss, x, total, &s, g);
    nn_linear_backward(n, i, o, dy, f, f + n * i, d, d + n * i, d + n * i + o * i);
    CHECK(apart(d, g, total) < 1e-5);
  }
  free(x), free(r), free(g), free(f), free(dy), free(y), free(d), free(want);
}

/* Products of floats in all four forms, whichever way they go. */
static void check_product(int64_t m, int64_t n, int64_t k)
{
  double *x = room((size_t)(m * k), sizeof *x), *z = room((size_t)(k * n), sizeof *z),
         *c = room((size_t)(m * n), sizeof *c);
  float *a = randoms(m * k, x), *b = randoms(k * n, z), *y = room((size_t)(m * n), sizeof *y);
  for (int form = 0; form < 8; form++) {
    bool ta = form & 1, tb = form & 2, add = form & 4;
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++) {
        double s = add ? c[i * n + j] : 0;
        for (int64_t p = 0; p < k; p++)
          s += (ta ? x[p * m + i] : x[i * k + p]) * (tb ? z[j * k + p] : z[p * n + j]);
        c[i * n + j] = s;
      }
    if (!add) memset(y, 0xff, (size_t)(m * n) * sizeof *y);       /* NaN is overwritten */
    la_product_f32(ta, tb, m, n, k, a, ta ? m : k, b, tb ? k : n, add, y, n);
    CHECK(apart(y, c, m * n) < 4e-6);
  }
  free(x), free(z), free(c), free(a), free(b), free(y);
}

/* Few rows by a matrix as it lies: any strides, every size of a last tile, at every level; what a row gives does not
   depend on how many there are. */
static void check_few(int64_t m, int64_t n, int64_t k)
{
  enum { MORE = 5 };
  int64_t lda = k + MORE, ldb = k + 1, ldc = n + 3;
  double *x = room((size_t)(m * lda), sizeof *x), *z = room((size_t)(n * ldb), sizeof *z),
         *c = room((size_t)(m * ldc), sizeof *c);
  float *a = randoms(m * lda, x), *b = randoms(n * ldb, z), *y = room((size_t)(m * ldc), sizeof *y),
        *one = room((size_t)ldc, sizeof *one);
  const la_kernels_f32 *levels[2] = { &la_f32_base, NULL };
#ifdef HAVE_X86_LEVELS
  if (level_has(LEVEL_AVX2)) levels[1] = &la_f32_avx2;
#endif
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++)
      for (int64_t p = 0; p < k; p++) c[i * ldc + j] += x[i * lda + p] * z[j * ldb + p];
  for (int v = -1; v < 2; v++) {
    if (v >= 0 && !levels[v]) continue;
    for (int64_t i = 0; i < m * ldc; i++) y[i] = 0;
    if (v < 0) la_product_f32(false, true, m, n, k, a, lda, b, ldb, false, y, ldc);
    else levels[v]->dots(m, n, k, a, lda, b, ldb, y, ldc);
    CHECK(apart(y, c, m * ldc) < 4e-6);                             /* between the rows too, which stay 0 */
    if (v < 0) la_product_f32(false, true, 1, n, k, a + (m - 1) * lda, lda, b, ldb, false, one, ldc);
    else {
      memset(one, 0, (size_t)ldc * sizeof *one);
      levels[v]->dots(1, n, k, a + (m - 1) * lda, lda, b, ldb, one, ldc);
    }
    CHECK(memcmp(one, y + (m - 1) * ldc, (size_t)n * sizeof *one) == 0);
  }
  free(x), free(z), free(c), free(a), free(b), free(y), free(one);
}

/* ---- operations: by rows, at a level ---- */

static double norm_loss(const double *x, const void *of)
{
  const shape *s = of;
  double *y = room((size_t)(s->n * s->i), sizeof *y);
  ref_norm(s->n, s->i, x, x + s->n * s->i, x + s->n * s->i + s->i, y);
  double l = weighted(y, s->r, s->n * s->i);
  free(y);
  return l;
}

static void check_norm(const nn_ops *ops, int64_t n, int64_t d)
{
  int64_t total = n * d + 2 * d, ny = n * d;
  double *x = room((size_t)total, sizeof *x), *r = room((size_t)ny, sizeof *r),
         *g = room((size_t)total, sizeof *g);
  double *want = room((size_t)ny, sizeof *want);
  float *f = randoms(total, x), *dy = randoms(ny, r), *y = room((size_t)ny, sizeof *y),
        *stat = room((size_t)(2 * n), sizeof *stat);
  float *dx = room((size_t)total, sizeof *dx);
  shape s = { n, d, 0, r };
  ref_norm(n, d, x, x + ny, x + ny + d, want);
  ops->norm_forward(n, d, f, f + ny, f + ny + d, y, stat);
  CHECK(apart(y, want, ny) < 5e-6);
  differences(norm_loss, x, total, &s, g);
  for (int64_t i = 0; i < total; i++) g[i] += dx[i] = .5F;        /* it is added to */
  ops->norm_backward(n, d, dy, f, stat, f + ny, dx, dx + ny, dx + ny + d);
  CHECK(apart(dx, g, total) < 2e-5);
  free(x), free(r), free(g), free(want), free(f), free(dy), free(y), free(stat), free(dx);
}

static double gelu_loss(const double *x, const void *of)
{
  const shape *s = of;
  double l = 0;
  for (int64_t i = 0; i < s->n; i++) l += s->r[i] * ref_gelu(x[i]);
  return l;
}

static double swiglu_loss(const double *x, const void *of)
{
  const shape *s = of;
  double l = 0;
  for (int64_t i = 0; i < s->n; i++)
    for (int64_t j = 0; j < s->i; j++)
      l += s->r[i * s->i + j] * ref_silu(x[2 * i * s->i + j]) * x[(2 * i + 1) * s->i + j];
  return l;
}

static void check_gates(const nn_ops *ops, int64_t n, int64_t f)
{
  int64_t nx = 2 * n * f;
  double *x = room((size_t)nx, sizeof *x), *r = room((size_t)nx, sizeof *r), *g = room((size_t)nx, sizeof *g);
  float *a = randoms(nx, x), *dy = randoms(nx, r), *y = room((size_t)nx, sizeof *y),
        *dx = room((size_t)nx, sizeof *dx);
  shape s = { n, f, 0, r };
  ops->swiglu_forward(n, f, a, y);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < f; j++)
      CHECK_NEAR(y[i * f + j], ref_silu(x[2 * i * f + j]) * x[(2 * i + 1) * f + j], 5e-7);
  differences(swiglu_loss, x, nx, &s, g);
  ops->swiglu_backward(n, f, dy, a, dx);
  CHECK(apart(dx, g, nx) < 1e-6);

  for (int64_t i = 0; i < nx; i++) x[i] = a[i] = (float)(6 * x[i]);
  s.n = nx;
  float *slope = room((size_t)nx, sizeof *slope);
  ops->gelu_forward(nx, a, y, slope);
  for (int64_t i = 0; i < nx; i++) CHECK_NEAR(y[i], ref_gelu(x[i]), 1e-6 * (1 + fabs(x[i])));
  differences(gelu_loss, x, nx, &s, g);
  ops->gelu_backward(nx, dy, slope, slope);
  CHECK(apart(slope, g, nx) < 2e-6);
  ops->gelu_forward(nx, a, dx, NULL);
  CHECK(memcmp(dx, y, (size_t)nx * sizeof *y) == 0);
  free(x), free(r), free(g), free(a), free(dy), free(y), free(dx), free(slope);
}

static void check_edges(const nn_ops *ops)
{
  float x[20] = { -1e4F, -90, -30, -1e-30F, 0, 1e-30F, 30, 90, 1e4F, NAN, -HUGE_VALF }, y[20], top, s[20];
  ops->gelu_forward(11, x, y, s);
  CHECK(fabsf(y[0]) < 1e-30F && fabsf(y[1]) < 1e-30F && y[4] == 0 && y[7] == 90 && y[8] == 1e4F &&
        isnan(y[9]));
  CHECK(fabsf(s[0]) < 1e-20F && s[8] == 1 && isnan(s[9]) && fabsf(s[4] - .5F) < 1e-7F);
  double sum = 0;
  for (int i = 0; i < 19; i++) sum += exp((double)(x[i] = (float)(i % 7) - 90 * (i == 3)) - 6);
  CHECK_NEAR(ops->exps(19, x, y, &top), sum, 1e-6 * sum);
  CHECK(top == 6);
  for (int i = 0; i < 19; i++) CHECK_NEAR(y[i], exp((double)x[i] - 6), 2e-7 * exp((double)x[i] - 6) + 1e-38);
}

static void check_embed(const nn_ops *ops, int64_t d)
{
  enum { N = 5, J = 3, R = 6 };
  int32_t row[N * J] = { 0, 1, -1, 2, 2, 3, -1, -1, -1, 5, 0, 4, 1, 1, 1 };
  double table[R * 64], c[N * J], want[N * 64], back[R * 64];
  float *t = randoms(R * d, table), *coef = randoms(N * J, c), x[N * 64], dt[R * 64];
  memset(want, 0, sizeof want);
  memset(back, 0, sizeof back);
  memset(dt, 0, sizeof dt);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < J; j++)
      for (int64_t e = 0; e < d && row[i * J + j] >= 0; e++)
        want[i * d + e] += c[i * J + j] * table[row[i * J + j] * d + e];
  ops->embed_forward(N, J, d, row, coef, t, x);
  CHECK(apart(x, want, N * d) < 1e-6);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < J; j++)
      for (int64_t e = 0; e < d && row[i * J + j] >= 0; e++)
        back[row[i * J + j] * d + e] += c[i * J + j] * (double)x[i * d + e];
  ops->embed_backward(N, J, d, row, coef, x, dt);
  CHECK(apart(dt, back, R * d) < 1e-6);
  free(t), free(coef);
}

/* ---- operations: attention ---- */

typedef struct seen { nn_attention a; const double *r; } seen;
static double attention_loss(const double *x, const void *of)
{
  const seen *s = of;
  const nn_attention *a = &s->a;
  int64_t wide = (int64_t)a->heads * a->d;
  double *y = room((size_t)(a->nq * wide), sizeof *y);
  const double *kv = a->own ? x : x + a->nq * a->qstep;
  ref_attention(a, x, kv + (a->own ? wide : 0), kv + (a->own ? 2 : 1) * wide, y);
  double l = weighted(y, s->r, a->nq * wide);
  free(y);
  return l;
}

/* nk = 0: self-attention of rows q | k | v; else nq rows of q and nk of k | v. */
static void check_attention(const nn_attention_ops *ops, int heads, int d, int nq, int nk,
                            const int16_t *order, const int16_t *see)
{
  int64_t wide = (int64_t)heads * d, nx = nk ? (nq + 2 * nk) * wide : 3 * nq * wide, ny = nq * wide;
  double *x = room((size_t)nx, sizeof *x), *r = room((size_t)ny, sizeof *r),
         *want = room((size_t)ny, sizeof *want);
  double *g = room((size_t)nx, sizeof *g);
  float *f = randoms(nx, x), *dy = randoms(ny, r), *y = room((size_t)ny, sizeof *y),
        *dx = room((size_t)nx, sizeof *dx);
  float *lse = room((size_t)(nq * heads), sizeof *lse);
  float *scratch = room((size_t)nn_attention_room(heads, d, nq, nk ? nk : nq), sizeof *scratch);
  for (int64_t i = 0; i < nx; i++) x[i] = f[i] = (float)(2 * x[i]);
  int32_t own[80];
  for (int i = 0; i < 80; i++) own[i] = i;
  nn_attention a = { heads,
                     d,
                     nq,
                     nk ? nk : nq,
                     nk ? NULL : own,
                     f,
                     nk ? f + ny : f + wide,
                     nk ? f + ny + wide : f + 2 * wide,
                     nk ? wide : 3 * wide,
                     nk ? 2 * wide : 3 * wide,
                     see,
                     order };
  seen s = { a, r };
  const double *k = nk ? x + ny : x + wide;
  memset(dx, 0xff, (size_t)nx * sizeof *dx);
  ref_attention(&a, x, k, k + wide, want);
  ops->forward(&a, y, wide, lse, scratch);
  CHECK(apart(y, want, ny) < 3e-6);
  differences(attention_loss, x, nx, &s, g);
  ops->backward(&a, y, dy, wide, lse, dx, nk ? dx + ny : dx + wide, nk ? dx + ny + wide : dx + 2 * wide,
                scratch);
  CHECK(apart(dx, g, nx) < 1e-5);
  free(x), free(r), free(want), free(g), free(f), free(dy), free(y), free(dx), free(lse), free(scratch);
}

static void check_masks(const nn_attention_ops *ops)
{
  int16_t order[80], see[80], c_see[80];
  for (int i = 0; i < 80; i++) {                 /* context, then values with their questions, then padding */
    int r = (i - 6) / 2 + 1;
    order[i] = (int16_t)(i < 6 ? 0 : i >= 17 || i % 2 == 0 ? NN_UNSEEN : r);
    see[i] = (int16_t)(i < 6 ? 1 : i >= 17 ? 0 : r);
    c_see[i] = (int16_t)(i % 3);                 /* 0 sees nothing */
  }
  check_attention(ops, 2, 8, 20, 0, order, see);
  check_attention(ops, 1, 16, 17, 0, order, see);
  check_attention(ops, 3, 5, 7, 0, order, see);
  check_attention(ops, 1, 3, 1, 0, order, see);
  check_attention(ops, 2, 5, 9, 16, order, c_see);
  check_attention(ops, 1, 17, 3, 40, order, c_see);
  for (int i = 0; i < 80; i++) order[i] = see[i] = (int16_t)i;    /* causal, over more than a block */
  check_attention(ops, 1, 4, 70, 0, order, see);
  for (int i = 0; i < 80; i++) order[i] = 0, see[i] = 1;
  check_attention(ops, 1, 2, 67, 0, order, see);
}

static void check_level(const nn_ops *ops, const nn_attention_ops *attention)
{
  check_norm(ops, 4, 16);
  check_norm(ops, 3, 37);
  check_norm(ops, 2, 3);
  check_gates(ops, 3, 16);
  check_gates(ops, 3, 21);
  check_edges(ops);
  check_embed(ops, 16);
  check_embed(ops, 21);
  check_masks(attention);
}

static void check_ops(void)
{
  check_linear(3, 5, 4);
  check_linear(17, 20, 33);
  check_linear(200, 64, 192);
  check_product(1, 1, 1);
  check_product(5, 70, 9);
  check_product(33, 17, 140);
  check_product(64, 96, 300);
  check_product(8, 130, 270);
  for (int64_t n = 1; n < 20; n++) check_few(1 + n % 8, n, 3 * n);
  for (int64_t k = 1; k < 20; k++) check_few(9 - k % 8 - (k % 8 == 0), 33, k);
  check_few(8, 70, 1000);
  check_level(&nn_ops_base, &nn_attention_base);
#ifdef HAVE_X86_LEVELS
  if (level_has(LEVEL_AVX2)) check_level(&nn_ops_avx2, &nn_attention_avx2);
  if (level_has(LEVEL_AVX512)) check_level(&nn_ops_avx512, &nn_attention_avx512);
#endif
}

/* ---- the whole model ---- */

enum { B = 3, T = 9, J = 3, ROWS = 7, QUESTIONS = 9 };
typedef struct whole {
  nn_shape s;
  nn_params p;
  nn_model *m;
  nn_head head[2];
  nn_tokens k;
  int32_t row[B * T * J], at[QUESTIONS], which[QUESTIONS];
  float coef[B * T * J], target[QUESTIONS];
  int16_t order[B * T], see[B * T];
} whole;

/* Three tokens of context, then two values with their questions, one question more and one of padding. */
static void whole_tokens(whole *w)
{
  static const int16_t order[T] = { 0, 0, 0, NN_UNSEEN, 1, NN_UNSEEN, 2, NN_UNSEEN, NN_UNSEEN };
  static const int16_t see[T] = { 1, 1, 1, 1, 1, 2, 2, 3, 0 };
  for (int i = 0; i < B * T; i++) {
    w->order[i] = order[i % T];
    w->see[i] = see[i % T];
    for (int j = 0; j < J; j++) {
      w->row[i * J + j] = i % 4 == 3 && j == 2 ? -1 : (i * 5 + j * 3 + (i + j) % 2) % ROWS;
      w->coef[i * J + j] = (float)uniform();
    }
  }
  for (int q = 0; q < QUESTIONS; q++) { /* the first question of each sequence has head 0, others 1 */
    w->at[q] = q < B ? q * T + 3 : (q - B) / 2 * T + 5 + (q - B) % 2 * 2;
    w->which[q] = q >= B;
    w->target[q] = (float)(q % (q < B ? 3 : 5));
  }
  w->k = (nn_tokens){ B, T, J, w->row, w->coef, w->order, w->see, QUESTIONS, w->at, w->which, w->target };
}

static bool whole_new(whole *w, bool swiglu)
{
  norn_rng g = { .stream = 11 };
  *w = (whole){ .s = { .d = 12, .layers = 2, .heads = 3, .ff = 10, .swiglu = swiglu, .rows = ROWS } };
  w->head[0] = (nn_head){ .kind = NN_CATEGORIES, .n = 3 };
  w->head[1] = (nn_head){ .kind = NN_CATEGORIES, .n = 5 };
  nn_params_init(&w->p, state);
  w->m = nn_model_new(state, &w->p, &w->s, w->head, 2);
  if (!w->m || !nn_params_make(&w->p, true)) return false;
  nn_model_start(w->m, &g);
  for (int i = 0; i < w->p.n; i++)               /* so that nothing is 0 or 1 */
    for (size_t j = 0; j < w->p.tensor[i].n; j++)
      w->p.w[w->p.tensor[i].at + j] += (float)(.2 * norn_rng_normal(&g));
  whole_tokens(w);
  return true;
}

static void whole_free(whole *w)
{
  nn_model_free(w->m);
  nn_params_free(&w->p);
}

/* A tensor of a block, or of none (l < 0), in x. */
static const double *tensor(const whole *w, const double *x, int l, const char *name)
{
  char full[100];
  if (l < 0) snprintf(full, sizeof full, "%s", name);
  else snprintf(full, sizeof full, "block.%d.%s", l, name);
  const nn_tensor *t = nn_params_find(&w->p, full);
  if (!t) exit(98);
  return x + t->at;
}

enum { N = B * T, D = 12, FF = 10 };
static void ref_block(const whole *w, const double *p, int l, double *x)
{
  static double a[N * D], qkv[N * 3 * D], o[N * D], u[N * 2 * FF], g[N * FF];
  ref_norm(N, D, x, tensor(w, p, l, "norm1.weight"), tensor(w, p, l, "norm1.bias"), a);
  ref_linear(N, D, 3 * D, a, tensor(w, p, l, "attention.qkv.weight"), tensor(w, p, l, "attention.qkv.bias"),
             qkv);
  for (int b = 0; b < B; b++) {
    int32_t own[T];
    for (int i = 0; i < T; i++) own[i] = i;
    nn_attention at = { .own = own,
                        .heads = 3,
                        .d = 4,
                        .nq = T,
                        .nk = T,
                        .qstep = 3 * D,
                        .kstep = 3 * D,
                        .see = w->see + b * T,
                        .order = w->order + b * T };
    const double *q = qkv + b * T * 3 * D;
    ref_attention(&at, q, q + D, q + 2 * D, o + b * T * D);
  }
  ref_linear(N, D, D, o, tensor(w, p, l, "attention.out.weight"), tensor(w, p, l, "attention.out.bias"), a);
  for (int i = 0; i < N * D; i++) x[i] += a[i];
  ref_norm(N, D, x, tensor(w, p, l, "norm2.weight"), tensor(w, p, l, "norm2.bias"), a);
  int wide = w->s.swiglu ? 2 * FF : FF;
  ref_linear(N, D, wide, a, tensor(w, p, l, "mlp.in.weight"), tensor(w, p, l, "mlp.in.bias"), u);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < FF; j++)
      g[i * FF + j] =
          w->s.swiglu ? ref_silu(u[i * wide + j]) * u[i * wide + FF + j] : ref_gelu(u[i * wide + j]);
  ref_linear(N, FF, D, g, tensor(w, p, l, "mlp.out.weight"), tensor(w, p, l, "mlp.out.bias"), a);
  for (int i = 0; i < N * D; i++) x[i] += a[i];
}

/* -log softmax(z)[target] summed over questions; p (count): all parameters. */
static double whole_loss(const double *p, const void *of)
{
  static double x[N * D], f[D], u[FF], z[5];
  const whole *w = of;
  double sum = 0;
  const double *table = tensor(w, p, -1, "embedding.weight");
  memset(x, 0, sizeof x);
  for (int i = 0; i < N * J; i++)
    for (int e = 0; e < D && w->row[i] >= 0; e++)
      x[i / J * D + e] += (double)w->coef[i] * table[w->row[i] * D + e];
  for (int l = 0; l < 2; l++) ref_block(w, p, l, x);
  for (int q = 0; q < QUESTIONS; q++) {
    bool second = w->which[q];
    int n = second ? 5 : 3;
    double total = 0;
    ref_norm(1, D, x + w->at[q] * D, tensor(w, p, -1, "norm.weight"), tensor(w, p, -1, "norm.bias"), f);
    ref_linear(1, D, FF, f, tensor(w, p, -1, second ? "head.1.in.weight" : "head.0.in.weight"),
               tensor(w, p, -1, second ? "head.1.in.bias" : "head.0.in.bias"), u);
    for (int j = 0; j < FF; j++) u[j] = ref_gelu(u[j]);
    ref_linear(1, FF, n, u, tensor(w, p, -1, second ? "head.1.out.weight" : "head.0.out.weight"),
               tensor(w, p, -1, second ? "head.1.out.bias" : "head.0.out.bias"), z);
    for (int j = 0; j < n; j++) total += exp(z[j]);
    sum += log(total) - z[(int)w->target[q]];
  }
  return sum;
}

static void check_whole(bool swiglu)
{
  whole w;
  nn_room *r = nn_room_new(state);
  CHECK(r && whole_new(&w, swiglu));
  if (!r || !w.m) return;
  size_t n = w.p.count;
  double *p = room(n, sizeof *p), *want = room(n, sizeof *want), loss[QUESTIONS], sum = 0;
  float *g = room(n, sizeof *g);
  for (size_t i = 0; i < n; i++) p[i] = w.p.w[i];
  CHECK(nn_room_fit(r, w.m, &w.k, true));
  CHECK_NEAR(nn_model_loss(w.m, r, &w.k, .25F, g, loss), whole_loss(p, &w), 1e-5);
  for (int q = 0; q < QUESTIONS; q++) sum += loss[q];
  CHECK_NEAR(sum, whole_loss(p, &w), 1e-5);
  CHECK_NEAR(nn_model_loss(w.m, r, &w.k, 1, NULL, NULL), whole_loss(p, &w), 1e-5);
  differences(whole_loss, p, (int64_t)n, &w, want);
  for (size_t i = 0; i < n; i++) want[i] *= .25;
  CHECK(apart(g, want, (int64_t)n) < 1e-5);
  double size = 0;                               /* every tensor learns something, to its own measure */
  for (int t = 0; t < w.p.n; t++) {
    const nn_tensor *x = w.p.tensor + t;
    double most = 0, off = 0;
    for (size_t i = x->at; i < x->at + x->n; i++) {
      most = fmax(most, fabs(want[i]));
      off = fmax(off, fabs(want[i] - (double)g[i]));
    }
    CHECK(most > 1e-4 && off < 2e-4 * most);
    if (most > size) size = most;
  }
  nn_model_loss(w.m, r, &w.k, .25F, g, NULL);    /* it is added */
  for (size_t i = 0; i < n; i++) want[i] *= 2;
  CHECK(apart(g, want, (int64_t)n) < 2e-5);
  nn_room_free(r);
  free(p), free(want), free(g);
  whole_free(&w);
}

/* Parts of a batch have the same answers to the bit, and gradients that add up to the whole's. */
static void check_parts(void)
{
  whole w;
  nn_room *r = nn_room_new(state);
  if (!r || !whole_new(&w, false)) return;
  size_t n = w.p.count;
  float *all = room(n, sizeof *all), *sum = room(n, sizeof *sum), *again = room(n, sizeof *again),
        target[QUESTIONS];
  float z[5 * QUESTIONS], zp[5 * QUESTIONS];
  int32_t at[QUESTIONS], head[QUESTIONS];
  double loss = nn_model_loss(w.m, r, &w.k, 1, all, NULL), parts = 0;
  CHECK(nn_room_fit(r, w.m, &w.k, false));
  nn_model_answers(w.m, r, &w.k, z);
  for (int b = 0; b < B; b++) {
    nn_tokens part;
    nn_tokens_part(&w.k, b, 1, &part, at, head, target);
    CHECK(part.b == 1 && part.nq == 3 && part.at[0] == 3 && part.head[2] == 1 && part.at[2] == 7);
    parts += nn_model_loss(w.m, r, &part, 1, sum, NULL);
    nn_model_loss(w.m, r, &part, 1, again, NULL);
    nn_model_answers(w.m, r, &part, zp);
    for (int c = 0; c < 3; c++) CHECK_NEAR(zp[c], z[3 * b + c], 2e-6);
    for (int c = 0; c < 10; c++) CHECK_NEAR(zp[3 + c], z[9 + 10 * b + c], 2e-6);
  }
  CHECK_NEAR(parts, loss, 1e-5);
  CHECK(memcmp(sum, again, n * sizeof *sum) == 0);
  for (size_t i = 0; i < n; i++) CHECK_NEAR(sum[i], all[i], 2e-5);
  free(all), free(sum), free(again);
  nn_room_free(r);
  whole_free(&w);
}

/* Parts on threads: each its own room and gradient. */
typedef struct crew {
  const whole *w;
  nn_room *room[B];
  float *g[B], target[B][QUESTIONS];
  int32_t at[B][QUESTIONS], head[B][QUESTIONS];
  double loss[B];
} crew;
static void one_part(void *of, int i)
{
  crew *c = of;
  nn_tokens part;
  nn_tokens_part(&c->w->k, i, 1, &part, c->at[i], c->head[i], c->target[i]);
  c->loss[i] = nn_room_fit(c->room[i], c->w->m, &part, true) ?
    nn_model_loss(c->w->m, c->room[i], &part, 1, c->g[i], NULL) : NAN;
}

static void check_threads(void)
{
  whole w;
  if (!whole_new(&w, false)) return;
  float *sum[3];
  double loss[3];
  for (int k = 0; k < 3; k++) {                  /* on 1, 2 and 8 threads */
    pthread_t threads[8];
    pool p;
    crew c = { .w = &w };
    for (int i = 0; i < B; i++) {
      c.room[i] = nn_room_new(state);
      c.g[i] = room(w.p.count, sizeof(float));
    }
    pool_start(&p, threads, k == 0 ? 1 : k == 1 ? 2 : 8);
    pool_run(&p, B, one_part, NULL, &c);
    pool_end(&p);
    sum[k] = room(w.p.count, sizeof(float));
    loss[k] = 0;
    for (int i = 0; i < B; i++) {
      nn_axpy((int64_t)w.p.count, 1, c.g[i], sum[k]);
      loss[k] += c.loss[i];
      nn_room_free(c.room[i]);
      free(c.g[i]);
    }
    CHECK(loss[k] > 0 && loss[k] == loss[0] && memcmp(sum[k], sum[0], w.p.count * sizeof(float)) == 0);
  }
  for (int k = 0; k < 3; k++) free(sum[k]);
  whole_free(&w);
}

/* What may not be seen changes no answer and no gradient but its own, bit for bit. */
static void check_unseen(void)
{
  whole w;
  nn_room *r = nn_room_new(state);
  if (!r || !whole_new(&w, false)) return;
  float z[5 * QUESTIONS], y[5 * QUESTIONS];
  CHECK(nn_room_fit(r, w.m, &w.k, false));
  nn_model_answers(w.m, r, &w.k, z);
  for (int i = 0; i < N; i++) /* padding, and the second value (seen by the third question) */
    if (i % T == 8)
      for (int j = 0; j < J; j++) w.row[i * J + j] = (w.row[i * J + j] + 2) % ROWS, w.coef[i * J + j] = 7;
  nn_model_answers(w.m, r, &w.k, y);
  CHECK(memcmp(y, z, 39 * sizeof *y) == 0);
  for (int i = 0; i < N; i++)
    if (i % T == 6) w.coef[i * J] += 1;
  nn_model_answers(w.m, r, &w.k, y);
  CHECK(memcmp(y, z, 9 * sizeof *y) == 0);       /* first questions, then of each sequence second and third */
  for (int b = 0; b < B; b++) {
    CHECK(memcmp(y + 9 + 10 * b, z + 9 + 10 * b, 5 * sizeof *y) == 0);
    CHECK(memcmp(y + 14 + 10 * b, z + 14 + 10 * b, 5 * sizeof *y) != 0);
  }
  nn_room_free(r);
  whole_free(&w);
}

/* ---- memory ---- */

/* Tokens from .. from + n - 1 of sequences who[0 .. b-1] as a batch in *k (arrays of w and of `at`, `head`),
   with the questions among them. */
typedef struct piece {
  nn_tokens k;
  int32_t row[B * T * J], at[QUESTIONS], head[QUESTIONS];
  float coef[B * T * J];
  int16_t order[B * T], see[B * T];
  int question[QUESTIONS];
} piece;
static void cut(const whole *w, const int32_t *who, int b, int from, int n, piece *p)
{
  p->k = (nn_tokens){ b, n, J, p->row, p->coef, p->order, p->see, 0, p->at, p->head, NULL };
  for (int i = 0; i < b * n; i++) {
    int src = who[i / n] * T + from + i % n;
    memcpy(p->row + i * J, w->row + src * J, sizeof(int32_t) * J);
    memcpy(p->coef + i * J, w->coef + src * J, sizeof(float) * J);
    p->order[i] = w->order[src];
    p->see[i] = w->see[src];
  }
  for (int h = 0; h < 2; h++)
    for (int i = 0; i < b * n; i++)
      for (int q = 0; q < QUESTIONS; q++)
        if (w->at[q] == who[i / n] * T + from + i % n && w->which[q] == h) {
          p->question[p->k.nq] = q;
          p->at[p->k.nq] = i;
          p->head[p->k.nq++] = h;
        }
}

/* Where the answer to question q begins among all. */
static int answer_at(int q) { return q < B ? 3 * q : 9 + 5 * (q - B); }

static double pieces_apart(const piece *p, const float *z, const float *all)
{
  double worst = 0;
  for (int q = 0; q < p->k.nq; q++)
    for (int c = 0; c < (p->head[q] ? 5 : 3); c++)
      worst = fmax(worst, fabs((double)*z++ - (double)all[answer_at(p->question[q]) + c]));
  return worst;
}

/* The same answers from sequences that share the context of the first and go on by pieces. */
static void check_memory(bool swiglu)
{
  whole w;
  piece p;
  nn_room *r = nn_room_new(state);
  if (!r || !whole_new(&w, swiglu)) return;
  for (int b = 1; b < B; b++) {
    memcpy(w.row + b * T * J, w.row, sizeof(int32_t) * 3 * J);
    memcpy(w.coef + b * T * J, w.coef, sizeof(float) * 3 * J);
  }
  float all[39], z[39];
  CHECK(nn_room_fit(r, w.m, &w.k, false));
  nn_model_answers(w.m, r, &w.k, all);
  nn_memory *y = nn_memory_new(state, w.m, B, 2);
  static const int32_t every[] = { 0, 1, 2 }, some[] = { 1, 2 }, one[] = { 0 };
  cut(&w, every, 1, 0, 3, &p);
  CHECK(y && nn_memory_context(y, r, &p.k));
  cut(&w, every, 3, 3, 2, &p);                   /* a question, and the value that was drawn */
  CHECK(p.k.nq == 3 && nn_memory_next(y, r, every, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  cut(&w, some, 2, 5, 1, &p);
  CHECK(p.k.nq == 2 && nn_memory_next(y, r, some, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  cut(&w, some, 2, 6, 3, &p);                    /* a value, a question that sees it, padding */
  CHECK(p.k.nq == 2 && nn_memory_next(y, r, some, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  cut(&w, one, 1, 5, 4, &p);
  CHECK(p.k.nq == 2 && nn_memory_next(y, r, one, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  CHECK(!nn_memory_next(y, r, one, &p.k, z));    /* it is full */
  CHECK_STR(norn_error(state)->text, "a net's memory has room for 2 tokens, and more are to be remembered");
  norn_clear(state);
  cut(&w, one, 1, 7, 1, &p);                     /* sequence 2 as a copy of 0: its third question again */
  nn_memory_copy(y, (const int32_t[]){ 2 }, one, 1);
  CHECK(nn_memory_next(y, r, (const int32_t[]){ 2 }, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  nn_memory_restart(y);
  cut(&w, every, 3, 3, 6, &p);
  CHECK(p.k.nq == 9 && nn_memory_next(y, r, every, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  nn_memory_free(y);
  y = nn_memory_new(state, w.m, 1, 8);           /* all of it in one piece, without a context */
  cut(&w, one, 1, 0, T, &p);
  CHECK(y && nn_memory_next(y, r, one, &p.k, z) && pieces_apart(&p, z, all) < 3e-6);
  nn_memory_free(y);
  nn_room_free(r);
  whole_free(&w);
}

/* ---- steps ---- */

/* Two tensors, of which the first decays. */
static bool small_params(nn_params *p)
{
  nn_params_init(p, state);
  bool made = nn_params_add(p, "a", 2, (int64_t[]){ 3, 6 }, true) == 0 &&
              nn_params_add(p, "b", 1, (int64_t[]){ 5 }, false) == 1;
  return made && nn_params_make(p, true);
}

/* AdamW as Loshchilov and Hutter's algorithm 2 has it, in doubles. */
static void ref_adam(const nn_adam *a, int64_t step, double rate, double decay, double g, double *m,
                     double *v, double *w)
{
  *m = a->beta1 * *m + (1 - a->beta1) * g;
  *v = a->beta2 * *v + (1 - a->beta2) * g * g;
  double mh = *m / (1 - pow(a->beta1, (double)step)), vh = *v / (1 - pow(a->beta2, (double)step));
  *w -= rate * mh / (sqrt(vh) + a->eps) + rate * decay * *w;
}

static void check_adam(void)
{
  nn_params p;
  nn_adam a = {
    .rate = .01, .beta1 = .9, .beta2 = .99, .eps = 1e-6, .decay = .1, .clip = 2, .warm = 2, .steps = 10
  };
  if (!small_params(&p)) return;
  CHECK(p.tensor[1].at == 32 && p.count == 48 && nn_params_find(&p, "b") == p.tensor + 1 &&
        !nn_params_find(&p, "c"));
  double m[48] = { 0 }, v[48] = { 0 }, w[48] = { 0 };
  for (int i = 0; i < 48; i++) if (i < 18 || (i >= 32 && i < 37)) w[i] = p.w[i] = (float)uniform();
  for (int step = 1; step <= 6; step++) {
    float g[48] = { 0 };
    double norm = 0,
           rate = .01 * (step == 1 ? .5 : 1) * (step <= 3 ? 1 : .5 * (1 + cos(M_PI * (step - 3) / 8.0)));
    for (int i = 0; i < 48; i++) {
      if (i < 18 || (i >= 32 && i < 37)) g[i] = (float)uniform() * (step < 4 ? 1 : .1F);
      norm += (double)g[i] * (double)g[i];
    }
    CHECK_NEAR(nn_adam_rate(&a, -1), rate, 1e-15);
    CHECK_NEAR(nn_adam_step(&a, &p, g, -1), sqrt(norm), 1e-6);
    CHECK((sqrt(norm) > 2) == (step < 4));       /* both sides of the clip */
    for (int i = 0; i < 48; i++) {
      ref_adam(&a, step, rate, i < 32 ? .1 : 0, g[i] * fmin(1, 2 / sqrt(norm)), m + i, v + i, w + i);
      CHECK_NEAR(p.w[i], w[i], 1e-6);
    }
  }
  CHECK(a.step == 6);
  CHECK_NEAR(nn_adam_rate(&a, .25), .01 * .5 * (1 + sqrt(.5)), 1e-12);
  CHECK_NEAR(nn_adam_rate(&a, 1), 0, 1e-12);
  /* by hand: from moments of 0 the first step is the rate, against the gradient's sign */
  nn_adam b = { .rate = .5, .beta1 = .9, .beta2 = .999, .eps = 0 };
  float g[48] = { 3, -1e-3F }, old[2] = { p.w[0], p.w[1] }, before[48];
  memset(p.m, 0, sizeof m / 2);
  memset(p.v, 0, sizeof v / 2);
  for (int i = 2; i < 48; i++) g[i] = 1;
  nn_adam_step(&b, &p, g, -1);
  CHECK_NEAR(p.w[0], old[0] - .5, 1e-6);
  CHECK_NEAR(p.w[1], old[1] + .5, 1e-6);
  /* what is not finite changes nothing */
  memcpy(before, p.w, sizeof before);
  g[7] = NAN;
  CHECK(isnan(nn_adam_step(&b, &p, g, -1)) && b.step == 2);
  g[7] = HUGE_VALF;
  CHECK(isinf(nn_adam_step(&b, &p, g, -1)) && b.step == 3 && memcmp(before, p.w, sizeof before) == 0);
  nn_params_free(&p);
}

/* Parts' gradients: all of 1 +- e in one number: the variance of a part's mean is e^2 n / (n - 1). */
static void check_batch_size(void)
{
  nn_params p;
  if (!small_params(&p)) return;
  float g[4][48] = { { 0 } };
  const float *part[4] = { g[0], g[1], g[2], g[3] };
  for (int k = 0; k < 4; k++) g[k][5] = (k % 2 ? 1.5F : .5F) / 4;
  /* sum 1; means .5 and 1.5: variance 1/3 of means of 8 / 4 sequences, 2/3 of one's */
  CHECK(nn_batch_size(&p, part, 4, 8, .1, 1000) == 67);
  CHECK(nn_batch_size(&p, part, 4, 8, .1, 50) == 50);
  CHECK(nn_batch_size(&p, part, 4, 8, .5, 1000) == 8);
  for (int k = 0; k < 4; k++) g[k][5] = .25F;
  CHECK(nn_batch_size(&p, part, 4, 8, .1, 1000) == 8);
  for (int k = 0; k < 4; k++) g[k][5] = k % 2 ? 1 : -1;        /* no signal at all */
  CHECK(nn_batch_size(&p, part, 4, 8, .1, 1000) == 1000);
  nn_params_free(&p);
}

static void check_refused(void)
{
  nn_params p;
  nn_params_init(&p, state);
  nn_shape s = { .d = 10, .layers = 1, .heads = 3, .ff = 4, .rows = 2 };
  CHECK(!nn_model_new(state, &p, &s, NULL, 0));
  CHECK_STR(norn_error(state)->text, "a net can't have d = 10, layers = 1, heads = 3, ff = 4");
  norn_clear(state);
  nn_params_free(&p);
}

static int tests(void)
{
  state = norn_new(NULL);
  if (!state) return 99;
  check_ops();
  check_whole(false);
  check_whole(true);
  check_parts();
  check_threads();
  check_unseen();
  check_memory(false);
  check_memory(true);
  check_adam();
  check_batch_size();
  check_refused();
  norn_free(state);
  return unit_end();
}

/* All of it without OpenBLAS too, in a child. */
int main(void)
{
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    setenv("NORN_BLAS", "own", 1);
    return tests();
  }
  if (child < 0 || waitpid(child, &status, 0) < 0) return 99;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return tests();
}
