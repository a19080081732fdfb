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

/* ---- a matrix and a vector ---- */

/* The last n % 8 numbers of row i as eight: where they lie, or in the buffer if eight would reach
   past the end of the matrix. */
static inline const double *row_tail(const double *a, int64_t m, int64_t n, int64_t i,
                                     double *buffer)
{
  const double *p = a + i * n + n / 8 * 8;
  if (p + 8 <= a + m * n) return p;
  memset(buffer, 0, 8 * sizeof *buffer);
  memcpy(buffer, p, (size_t)(n % 8) * sizeof *p);
  return buffer;
}

#define UNROLL _Pragma("GCC unroll 8")     /* so that sums stay in registers */
#if defined __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE __builtin_shufflevector
#endif
#endif
/* Of W rows, each with eight partial sums in s[row], the sums as in dot(). */
static inline __attribute__((always_inline)) lanes row_sums(lanes (*s)[8 / W])
{
#if defined SHUFFLE && LANES == 8
  lanes p[4], q[2];
  UNROLL
  for (int r = 0; r < 4; r++)
    p[r] = SHUFFLE(s[2 * r][0], s[2 * r + 1][0], 0, 1, 2, 3, 8, 9, 10, 11) +
           SHUFFLE(s[2 * r][0], s[2 * r + 1][0], 4, 5, 6, 7, 12, 13, 14, 15);
  UNROLL
  for (int r = 0; r < 2; r++)
    q[r] = SHUFFLE(p[2 * r], p[2 * r + 1], 0, 1, 4, 5, 8, 9, 12, 13) +
           SHUFFLE(p[2 * r], p[2 * r + 1], 2, 3, 6, 7, 10, 11, 14, 15);
  return SHUFFLE(q[0], q[1], 0, 2, 4, 6, 8, 10, 12, 14) +
         SHUFFLE(q[0], q[1], 1, 3, 5, 7, 9, 11, 13, 15);
#elif defined SHUFFLE && LANES == 4
  lanes p[4], q[2];
  UNROLL
  for (int r = 0; r < 4; r++) p[r] = s[r][0] + s[r][1];
  UNROLL
  for (int r = 0; r < 2; r++)
    q[r] = SHUFFLE(p[2 * r], p[2 * r + 1], 0, 1, 4, 5) +
           SHUFFLE(p[2 * r], p[2 * r + 1], 2, 3, 6, 7);
  return SHUFFLE(q[0], q[1], 0, 2, 4, 6) + SHUFFLE(q[0], q[1], 1, 3, 5, 7);
#else
  double out[W];
  UNROLL
  for (int r = 0; r < W; r++) {
    double t[8];
    memcpy(t, s[r], sizeof t);
    out[r] = ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]));
  }
  return lane_load(out);
#endif
}

/* y (m) = a (m, n) x, W rows at a time, each summed as in dot(). */
static void rows(int64_t m, int64_t n, const double *a, const double *x, double *y)
{
  int64_t full = n / 8 * 8, i = 0;
  double last[8] = { 0 }, in[8], buffer[8];
  lane_mask within[8 / W];
  memcpy(last, x + full, (size_t)(n - full) * sizeof *x);
  for (int j = 0; j < 8; j++) in[j] = j < n - full;
  UNROLL
  for (int q = 0; q < 8 / W; q++) within[q] = lane_load(in + q * W) > 0;
  for (; i + W <= m; i += W) {
    lanes s[W][8 / W];
    UNROLL
    for (int r = 0; r < W; r++)
      UNROLL
      for (int q = 0; q < 8 / W; q++) s[r][q] = (lanes){ 0 };
    for (int64_t j = 0; j < full; j += 8)
      UNROLL
      for (int q = 0; q < 8 / W; q++) {
        lanes b = lane_load(x + j + q * W);
        UNROLL
        for (int r = 0; r < W; r++) s[r][q] += lane_load(a + (i + r) * n + j + q * W) * b;
      }
    UNROLL
    for (int r = 0; r < W && full < n; r++) {
      const double *p = row_tail(a, m, n, i + r, buffer);
      UNROLL
      for (int q = 0; q < 8 / W; q++)
        s[r][q] += SEL(within[q], lane_load(p + q * W), 0.0) * lane_load(last + q * W);
    }
    lane_store(y + i, row_sums(s));
  }
  for (; i < m; i++) y[i] = dot(a + i * n, x, n);
}

/* y (n) += a' x, a (m, n): eight columns at a time, rows in four sums by index modulo 4, then
   (0 + 1) + (2 + 3) */
static void columns(int64_t m, int64_t n, const double *a, const double *x, double *y)
{
  double buffer[8], out[8];
  for (int64_t j = 0; j < n; j += 8) {
    lanes s[4][8 / W];
    bool part = j + 8 > n;
    int64_t i = 0, spare = m * n - j - 8;
    int64_t safe = !part ? m : spare < 0 ? 0 : spare / n + 1;    /* rows to be read by eights */
    UNROLL
    for (int r = 0; r < 4; r++)
      UNROLL
      for (int q = 0; q < 8 / W; q++) s[r][q] = (lanes){ 0 };
    for (; i + 4 <= safe; i += 4)
      UNROLL
      for (int r = 0; r < 4; r++)
        UNROLL
        for (int q = 0; q < 8 / W; q++)
          s[r][q] += x[i + r] * lane_load(a + (i + r) * n + j + q * W);
    for (; i < m; i++) {
      const double *p = part ? row_tail(a, m, n, i, buffer) : a + i * n + j;
      UNROLL
      for (int q = 0; q < 8 / W; q++) s[i & 3][q] += x[i] * lane_load(p + q * W);
    }
    UNROLL
    for (int q = 0; q < 8 / W; q++)
      lane_store(out + q * W, (s[0][q] + s[1][q]) + (s[2][q] + s[3][q]));
    for (int64_t k = 0; k < 8 && j + k < n; k++) y[j + k] += out[k];
  }
}

const la_kernels LA_NAME(la_, LEVEL) = { block, tri, chol, dot, axpy, rows, columns };
