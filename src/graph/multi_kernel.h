/* multi_kernel: log densities of vectors and matrices and their derivatives for generated code, in the dialect of
   num/lane.h, by one thread: the formulas of dist/simplex.c, lkj.c and multi_normal.c as plain loops (there they go
   through num/la.h).  test_density_text compares the two.

   v has the value and then the leaves of the arguments, g adjoints of the same; all go in steps of s.  c is what
   of the density is a constant. */
#ifndef NORN_GRAPH_MULTI_KERNEL_H
#define NORN_GRAPH_MULTI_KERNEL_H
#include "graph/op_functions.h"

#ifdef NORN_OP_FUNCTIONS
#if LANES == 1
#ifdef NORN_F32
#define MULTI_NEAR 1e-4
#else
#define MULTI_NEAR 1e-8
#endif

/* ---- dirichlet: x (n), alpha (n); known: c is the part of alpha --------------------------------- */

LANE_LARGE lane_real multi_dirichlet(const lane_real *v, lane_real c, int known, lane_real *work, int64_t n,
                                     int64_t s)
{
  lane_real logp = c, total = 0, sum = 0;
  const lane_real *alpha = v + n * s;
  int inside = 1;
  (void)work;
  for (int64_t k = 0; k < n; k++) {
    lane_real a = alpha[k * s], x = v[k * s];
    inside &= x >= 0 && a > 0 && a < HUGE_VAL;
    if (!known) logp -= lgamma(a);
    if (a != 1) logp += (a - 1) * v_log(x);
    total += a;
    sum += x;
  }
  if (!known) logp += lgamma(total);
  return inside && v_abs(sum - 1) <= MULTI_NEAR ? logp : -HUGE_VAL;
}

LANE_LARGE void multi_dirichlet_back(const lane_real *v, lane_real d, int known, lane_real *g, lane_real *work,
                                     int64_t n, int64_t s)
{
  const lane_real *alpha = v + n * s;
  lane_real total = 0, rise = 0;
  (void)work;
  for (int64_t k = 0; k < n && !known; k++) total += alpha[k * s];
  if (!known) rise = fun_psi(total);
  for (int64_t k = 0; k < n; k++) {
    lane_real a = alpha[k * s], x = v[k * s];
    if (a != 1) g[k * s] += d * (a - 1) / x;
    if (!known) g[(n + k) * s] += d * (rise - fun_psi(a) + v_log(x));
  }
}

/* ---- Cholesky's factor -------------------------------------------------------------------------- */

/* l (n, n), lower triangle, of the symmetric x; 0: it is not definite. */
LANE_LARGE int multi_cholesky(const lane_real *x, lane_real *l, int64_t n, int64_t s)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      lane_real sum = x[(i * n + j) * s];
      for (int64_t k = 0; k < j; k++) sum -= l[(i * n + k) * s] * l[(j * n + k) * s];
      if (i == j && !(sum > 0 && sum < HUGE_VAL)) return 0;
      l[(i * n + j) * s] = i == j ? lane_sqrt(sum) : sum / l[(j * n + j) * s];
    }
  return 1;
}

/* inverse (n, n) of L L', by columns: L y = e_j, L' x = y. */
LANE_LARGE void multi_inverse(const lane_real *l, lane_real *inverse, int64_t n, int64_t s)
{
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = 0; i < n; i++) {
      lane_real sum = i == j;
      for (int64_t k = 0; k < i; k++) sum -= l[(i * n + k) * s] * inverse[(k * n + j) * s];
      inverse[(i * n + j) * s] = sum / l[(i * n + i) * s];
    }
    for (int64_t i = n; i-- > 0;) {
      lane_real sum = inverse[(i * n + j) * s];
      for (int64_t k = i + 1; k < n; k++) sum -= l[(k * n + i) * s] * inverse[(k * n + j) * s];
      inverse[(i * n + j) * s] = sum / l[(i * n + i) * s];
    }
  }
}

static inline lane_real multi_log_diagonal(const lane_real *l, int64_t n, int64_t s)
{
  lane_real sum = 0;
  for (int64_t i = 0; i < n; i++) sum += v_log(l[(i * n + i) * s]);
  return sum;
}

/* ---- lkj_corr_cholesky, lkj_corr: x (n, n), n, eta; c: the constant at that eta ------------------- */

LANE_LARGE lane_real multi_lkj_corr_cholesky(const lane_real *v, lane_real c, int known, lane_real *work,
                                             int64_t n, int64_t s)
{
  lane_real logp = c, eta = v[(n * n + 1) * s];
  int inside = 1;
  (void)known, (void)work;
  for (int64_t i = 0; i < n; i++) {
    lane_real square = 0, diagonal = v[(i * n + i) * s];
    for (int64_t j = 0; j < n; j++) {
      inside &= j <= i || v[(i * n + j) * s] == 0;
      square += v[(i * n + j) * s] * v[(i * n + j) * s];
    }
    inside &= diagonal > 0 && v_abs(square - 1) <= MULTI_NEAR;
    if (i) logp += ((lane_real)(n - 1 - i) + 2 * (eta - 1)) * v_log(diagonal);
  }
  return inside ? logp : -HUGE_VAL;
}

LANE_LARGE void multi_lkj_corr_cholesky_back(const lane_real *v, lane_real d, int known, lane_real *g,
                                             lane_real *work, int64_t n, int64_t s)
{
  lane_real eta = v[(n * n + 1) * s];
  (void)known, (void)work;
  for (int64_t i = 1; i < n; i++)
    g[i * (n + 1) * s] += d * ((lane_real)(n - 1 - i) + 2 * (eta - 1)) / v[i * (n + 1) * s];
}

LANE_LARGE lane_real multi_lkj_corr(const lane_real *v, lane_real c, int known, lane_real *work, int64_t n,
                                    int64_t s)
{
  lane_real eta = v[(n * n + 1) * s];
  (void)known;
  for (int64_t i = 0; i < n; i++)
    if (!(v_abs(v[(i * n + i) * s] - 1) <= MULTI_NEAR)) return -HUGE_VAL;
  if (!multi_cholesky(v, work, n, s)) return -HUGE_VAL;
  return c + (eta - 1) * 2 * multi_log_diagonal(work, n, s);
}

LANE_LARGE void multi_lkj_corr_back(const lane_real *v, lane_real d, int known, lane_real *g, lane_real *work,
                                    int64_t n, int64_t s)
{
  lane_real eta = v[(n * n + 1) * s], *inverse = work + n * n * s;
  (void)known;
  if (!multi_cholesky(v, work, n, s)) return;
  multi_inverse(work, inverse, n, s);
  for (int64_t k = 0; k < n * n; k++) g[k * s] += d * (eta - 1) * inverse[k * s];
}

/* ---- multi_normal_cholesky, multi_normal: x (n), mu (n), L or sigma (n, n) ------------------------ */

/* z = L^-1 (x - mu) into z (n); the log density without c. */
static inline lane_real multi_residual(const lane_real *v, const lane_real *l, lane_real *z, int64_t n, int64_t s)
{
  lane_real square = 0;
  for (int64_t i = 0; i < n; i++) {
    lane_real sum = v[i * s] - v[(n + i) * s];
    for (int64_t k = 0; k < i; k++) sum -= l[(i * n + k) * s] * z[k * s];
    z[i * s] = sum / l[(i * n + i) * s];
    square += z[i * s] * z[i * s];
  }
  return -0.5 * square - multi_log_diagonal(l, n, s);
}

/* a = L'^-1 z, and the derivatives in x and mu. */
static inline void multi_residual_back(const lane_real *l, const lane_real *z, lane_real *a, lane_real d,
                                       lane_real *g, int64_t n, int64_t s)
{
  for (int64_t i = n; i-- > 0;) {
    lane_real sum = z[i * s];
    for (int64_t k = i + 1; k < n; k++) sum -= l[(k * n + i) * s] * a[k * s];
    a[i * s] = sum / l[(i * n + i) * s];
    g[i * s] -= d * a[i * s];
    g[(n + i) * s] += d * a[i * s];
  }
}

LANE_LARGE lane_real multi_multi_normal_cholesky(const lane_real *v, lane_real c, int known, lane_real *work,
                                                 int64_t n, int64_t s)
{
  const lane_real *l = v + 2 * n * s;
  (void)known;
  for (int64_t i = 0; i < n; i++)
    if (!(l[(i * n + i) * s] > 0)) return -HUGE_VAL;
  return c + multi_residual(v, l, work, n, s);
}

/* In L: a z' - diag(1/L). */
LANE_LARGE void multi_multi_normal_cholesky_back(const lane_real *v, lane_real d, int known, lane_real *g,
                                                 lane_real *work, int64_t n, int64_t s)
{
  const lane_real *l = v + 2 * n * s;
  lane_real *a = work + n * s, *gl = g + 2 * n * s;
  (void)known;
  (void)multi_residual(v, l, work, n, s);
  multi_residual_back(l, work, a, d, g, n, s);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++)
      gl[(i * n + j) * s] += d * (a[i * s] * work[j * s] - (i == j ? 1 / l[(i * n + i) * s] : 0));
}

LANE_LARGE lane_real multi_multi_normal(const lane_real *v, lane_real c, int known, lane_real *work, int64_t n,
                                        int64_t s)
{
  (void)known;
  if (!multi_cholesky(v + 2 * n * s, work, n, s)) return -HUGE_VAL;
  return c + multi_residual(v, work, work + n * n * s, n, s);
}

/* In sigma: (a a' - sigma^-1) / 2. */
LANE_LARGE void multi_multi_normal_back(const lane_real *v, lane_real d, int known, lane_real *g, lane_real *work,
                                        int64_t n, int64_t s)
{
  lane_real *z = work + n * n * s, *a = z + n * s, *inverse = a + n * s, *gs = g + 2 * n * s;
  (void)known;
  if (!multi_cholesky(v + 2 * n * s, work, n, s)) return;
  (void)multi_residual(v, work, z, n, s);
  multi_residual_back(work, z, a, d, g, n, s);
  multi_inverse(work, inverse, n, s);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      gs[(i * n + j) * s] += d * 0.5 * (a[i * s] * a[j * s] - inverse[(i * n + j) * s]);
}
#endif
#endif
#endif
