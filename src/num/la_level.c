/* la_level: the inner loops of la.c, compiled once per CPU level (configure.ac, src/num/local.mk).
   Every element of a result is the same chain of roundings at every width (products and sums are
   not fused; a sum of many terms keeps one accumulator an element, or eight by index modulo 8), so
   all levels give the same bits.  la_in.h says what each function does. */
#include "num/la_in.h"
#include "num/lane.h"

#define LA_JOIN(a, b) a##b
#define LA_NAME(a, b) LA_JOIN(a, b)
#define W LANES

/* One row of at most 2 W columns: c[0 .. n) += alpha sum_p a[p ap] b[p, 0 .. 2 W) */
static void tile1(int64_t k, double alpha, const double *a, int64_t ap, const double *b,
                  int64_t ldb, double *c, int64_t n)
{
  lanes s0 = { 0 }, s1 = { 0 }, b0, b1;
  double out[2 * W];
  for (int64_t p = 0; p < k; p++) {
    b0 = lane_load(b + p * ldb);
    b1 = lane_load(b + p * ldb + W);
    s0 += a[p * ap] * b0;
    s1 += a[p * ap] * b1;
  }
  lane_store(out, s0);
  lane_store(out + W, s1);
  for (int64_t j = 0; j < n; j++) c[j] += alpha * out[j];
}

/* Four rows of 2 W columns. */
static void tile4(int64_t k, double alpha, const double *a, int64_t ai, int64_t ap,
                  const double *b, int64_t ldb, double *c, int64_t ldc, int64_t n)
{
  lanes s00 = { 0 }, s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  lanes b0, b1;
  for (int64_t p = 0; p < k; p++) {
    const double *q = a + p * ap;
    b0 = lane_load(b + p * ldb);
    b1 = lane_load(b + p * ldb + W);
    s00 += q[0] * b0;
    s01 += q[0] * b1;
    s10 += q[ai] * b0;
    s11 += q[ai] * b1;
    s20 += q[2 * ai] * b0;
    s21 += q[2 * ai] * b1;
    s30 += q[3 * ai] * b0;
    s31 += q[3 * ai] * b1;
  }
  double out[4][2 * W];
  lane_store(out[0], s00);
  lane_store(out[0] + W, s01);
  lane_store(out[1], s10);
  lane_store(out[1] + W, s11);
  lane_store(out[2], s20);
  lane_store(out[2] + W, s21);
  lane_store(out[3], s30);
  lane_store(out[3] + W, s31);
  for (int r = 0; r < 4; r++)
    for (int64_t j = 0; j < n; j++) c[r * ldc + j] += alpha * out[r][j];
}

static void block(int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t ai,
                  int64_t ap, const double *b, int64_t ldb, double *c, int64_t ldc)
{
  for (int64_t j = 0; j < n; j += 2 * W) {
    int64_t w = n - j < 2 * W ? n - j : 2 * W, i = 0;
    for (; i + 4 <= m; i += 4)
      tile4(k, alpha, a + i * ai, ai, ap, b + j, ldb, c + i * ldc + j, ldc, w);
    for (; i < m; i++) tile1(k, alpha, a + i * ai, ap, b + j, ldb, c + i * ldc + j, w);
  }
}

static void tri(const double *t, int64_t ti, int64_t tp, int64_t n, bool back, bool unit, double *b,
                int64_t ldb, int64_t m)
{
  for (int64_t step = 0; step < n; step++) {
    int64_t i = back ? n - 1 - step : step, from = back ? i + 1 : 0, to = back ? n : i, j = 0;
    const double *row = t + i * ti, d = unit ? 1 : row[i * tp];
    double *x = b + i * ldb;
    for (; j + W <= m; j += W) {
      lanes s, y;
      s = lane_load(x + j);
      for (int64_t p = from; p < to; p++) {
        y = lane_load(b + p * ldb + j);
        s -= row[p * tp] * y;
      }
      s /= d;
      lane_store(x + j, s);
    }
    for (; j < m; j++) {
      double s = x[j];
      for (int64_t p = from; p < to; p++) s -= row[p * tp] * b[p * ldb + j];
      x[j] = s / d;
    }
  }
}

/* Row k of u is what is left of a's after the rows above it, over the root of its first. */
static int64_t chol(double *u, int64_t n)
{
  for (int64_t k = 0; k < n; k++) {
    double *row = u + k * LA_SMALL, d = row[k];
    for (int64_t p = 0; p < k; p++) d -= u[p * LA_SMALL + k] * u[p * LA_SMALL + k];
    if (!(d > 0)) return k + 1;
    d = sqrt(d);
    for (int64_t j = k / W * W; j < n; j += W) {
      lanes s, y;
      s = lane_load(row + j);
      for (int64_t p = 0; p < k; p++) {
        y = lane_load(u + p * LA_SMALL + j);
        s -= u[p * LA_SMALL + k] * y;
      }
      s /= d;
      lane_store(row + j, s);
    }
    row[k] = d;
  }
  return 0;
}

/* Eight partial sums by index modulo 8, then ((0+4) + (2+6)) + ((1+5) + (3+7)), as stats.h. */
static double dot(const double *x, const double *y, int64_t n)
{
  double s[8];
  lanes sum[8 / W], a, b;
  memset(sum, 0, sizeof sum);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int q = 0; q < 8 / W; q++) {
      a = lane_load(x + i + q * W);
      b = lane_load(y + i + q * W);
      sum[q] += a * b;
    }
  memcpy(s, sum, sizeof s);
  for (; i < n; i++) s[i & 7] += x[i] * y[i];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void axpy(double c, const double *x, double *y, int64_t n)
{
  lanes a, b;
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    a = lane_load(x + i);
    b = lane_load(y + i);
    b += c * a;
    lane_store(y + i, b);
  }
  for (; i < n; i++) y[i] += c * x[i];
}

const la_kernels LA_NAME(la_, LEVEL) = { block, tri, chol, dot, axpy };
