/* la_kernel: the inner loops of la.c, included once per CPU level with

     LEVEL   the target attribute of that level (nothing for the baseline)
     NAME(x) the name of x at that level
     W       doubles in one of its vector registers

   Every element of a result is the same chain of roundings whatever W is (products and sums are not
   fused, and a sum of many terms keeps one accumulator an element, or eight by index modulo 8), so
   all levels give the same bits. */

typedef double NAME(vec) __attribute__((vector_size(8 * W)));
#define V NAME(vec)
#define LOAD(x, p) memcpy(&(x), (p), sizeof(V))
#define STORE(p, x) memcpy((p), &(x), sizeof(V))

/* One row of at most 2 W columns: c[0 .. n) += alpha sum_p a[p ap] b[p, 0 .. 2 W) */
LEVEL static void NAME(tile1)(int64_t k, double alpha, const double *a, int64_t ap, const double *b,
                              int64_t ldb, double *c, int64_t n)
{
  V s0 = { 0 }, s1 = { 0 }, b0, b1;
  double out[2 * W];
  for (int64_t p = 0; p < k; p++) {
    LOAD(b0, b + p * ldb);
    LOAD(b1, b + p * ldb + W);
    s0 += a[p * ap] * b0;
    s1 += a[p * ap] * b1;
  }
  STORE(out, s0);
  STORE(out + W, s1);
  for (int64_t j = 0; j < n; j++) c[j] += alpha * out[j];
}

/* Four rows of 2 W columns. */
LEVEL static void NAME(tile4)(int64_t k, double alpha, const double *a, int64_t ai, int64_t ap,
                              const double *b, int64_t ldb, double *c, int64_t ldc, int64_t n)
{
  V s00 = { 0 }, s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  V b0, b1;
  for (int64_t p = 0; p < k; p++) {
    const double *q = a + p * ap;
    LOAD(b0, b + p * ldb);
    LOAD(b1, b + p * ldb + W);
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
  STORE(out[0], s00);
  STORE(out[0] + W, s01);
  STORE(out[1], s10);
  STORE(out[1] + W, s11);
  STORE(out[2], s20);
  STORE(out[2] + W, s21);
  STORE(out[3], s30);
  STORE(out[3] + W, s31);
  for (int r = 0; r < 4; r++)
    for (int64_t j = 0; j < n; j++) c[r * ldc + j] += alpha * out[r][j];
}

/* c (m, n) += alpha a b; a[i, p] at a[i ai + p ap], b (k, n) in memory that is readable up to whole
   tiles of 2 W columns, k <= LA_DEPTH. */
LEVEL static void NAME(block)(int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                              int64_t ai, int64_t ap, const double *b, int64_t ldb, double *c,
                              int64_t ldc)
{
  for (int64_t j = 0; j < n; j += 2 * W) {
    int64_t w = n - j < 2 * W ? n - j : 2 * W, i = 0;
    for (; i + 4 <= m; i += 4)
      NAME(tile4)(k, alpha, a + i * ai, ai, ap, b + j, ldb, c + i * ldc + j, ldc, w);
    for (; i < m; i++) NAME(tile1)(k, alpha, a + i * ai, ap, b + j, ldb, c + i * ldc + j, w);
  }
}

/* t x = b in place of b (n, m), t triangular: t[i, p] at t[i ti + p tp], p < i, or p > i if back. */
LEVEL static void NAME(tri)(const double *t, int64_t ti, int64_t tp, int64_t n, bool back, bool unit,
                            double *b, int64_t ldb, int64_t m)
{
  for (int64_t step = 0; step < n; step++) {
    int64_t i = back ? n - 1 - step : step, from = back ? i + 1 : 0, to = back ? n : i, j = 0;
    const double *row = t + i * ti, d = unit ? 1 : row[i * tp];
    double *x = b + i * ldb;
    for (; j + W <= m; j += W) {
      V s, y;
      LOAD(s, x + j);
      for (int64_t p = from; p < to; p++) {
        LOAD(y, b + p * ldb + j);
        s -= row[p * tp] * y;
      }
      s /= d;
      STORE(x + j, s);
    }
    for (; j < m; j++) {
      double s = x[j];
      for (int64_t p = from; p < to; p++) s -= row[p * tp] * b[p * ldb + j];
      x[j] = s / d;
    }
  }
}

/* The upper factor u' u of the upper half of u (n, LA_SMALL) in place; below it is rubbish. */
LEVEL static int64_t NAME(chol)(double *u, int64_t n)
{
  for (int64_t k = 0; k < n; k++) {
    double *row = u + k * LA_SMALL, d = row[k];
    for (int64_t p = 0; p < k; p++) d -= u[p * LA_SMALL + k] * u[p * LA_SMALL + k];
    if (!(d > 0)) return k + 1;
    d = sqrt(d);
    for (int64_t j = k / W * W; j < n; j += W) {
      V s, y;
      LOAD(s, row + j);
      for (int64_t p = 0; p < k; p++) {
        LOAD(y, u + p * LA_SMALL + j);
        s -= u[p * LA_SMALL + k] * y;
      }
      s /= d;
      STORE(row + j, s);
    }
    row[k] = d;
  }
  return 0;
}

/* Eight partial sums by index modulo 8, then ((0+4) + (2+6)) + ((1+5) + (3+7)), as stats.h. */
LEVEL static double NAME(dot)(const double *x, const double *y, int64_t n)
{
  double s[8];
  V sum[8 / W], a, b;
  memset(sum, 0, sizeof sum);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int q = 0; q < 8 / W; q++) {
      LOAD(a, x + i + q * W);
      LOAD(b, y + i + q * W);
      sum[q] += a * b;
    }
  memcpy(s, sum, sizeof s);
  for (; i < n; i++) s[i & 7] += x[i] * y[i];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* y += c x */
LEVEL static void NAME(axpy)(double c, const double *x, double *y, int64_t n)
{
  V a, b;
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    LOAD(a, x + i);
    LOAD(b, y + i);
    b += c * a;
    STORE(y + i, b);
  }
  for (; i < n; i++) y[i] += c * x[i];
}

static const la_kernels NAME(kernels) = { NAME(block), NAME(tri), NAME(chol), NAME(dot),
                                          NAME(axpy) };
#undef V
#undef LOAD
#undef STORE
#undef LEVEL
#undef NAME
#undef W
