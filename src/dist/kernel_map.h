/* kernel_map: the maps from R^m to simplexes, ordered vectors and matrices with their log Jacobians and reverse
   modes (map.c says whose they are), once, for the host and for generated code: in the dialect of num/lane.h, for
   single numbers.

   A unit of size n goes from u (free numbers) to x (elements, matrices by rows); all arrays go in steps of s, since
   chains on a GPU may lie side by side.  a and b are its bounds, if it has any (-HUGE_VAL, HUGE_VAL: none).

     map_NAME       writes x, gives the log Jacobian
     map_NAME_back  from gx, the derivatives by x, and gj, by the log Jacobian: adds to gu (m) and to gbound (2);
                    work has as many numbers as x */
#ifndef NORN_KERNEL_MAP_H
#define NORN_KERNEL_MAP_H
#include "num/vspecial.h"

#if LANES == 1
#ifdef NORN_F32
#define MAP_NEXT(x, to) nextafterf(x, to)
#else
#define MAP_NEXT(x, to) nextafter(x, to)
#endif
static inline lane_real map_above(lane_real bound, lane_real x)
{
  return x <= bound ? MAP_NEXT(bound, HUGE_VAL) : x;
}
static inline lane_real map_below(lane_real bound, lane_real x)
{
  return x >= bound ? MAP_NEXT(bound, -HUGE_VAL) : x;
}
static inline lane_real map_positive(lane_real x) { return x < V_TINY ? (lane_real)V_TINY : x; }

/* ---- the isometric log ratio: vectors of sum 0, simplexes ------------------------------------ */

/* z = V u, z of n + 1 components and sum 0: column j of V is (1, ..., 1, -(j+1), 0, ...) over
   sqrt((j+1)(j+2)), with j + 1 ones.  The last component is returned. */
LANE_LARGE lane_real map_ilr(const lane_real *u /* (n) */, lane_real *z /* (n) */, int64_t n, int64_t s)
{
  lane_real sum = 0, last = 0;
  for (int64_t j = n; j-- > 0;) {
    lane_real k = (lane_real)(j + 1), w = u[j * s] / lane_sqrt(k * (k + 1));
    lane_real z_next = sum - k * w;
    if (j + 1 < n) z[(j + 1) * s] = z_next;
    else last = z_next;
    sum += w;
    z[j * s] = sum;
  }
  return last;
}

/* Component j of V'z where `sum` is z[0] + ... + z[j]. */
static inline lane_real map_ilr_free(lane_real sum, lane_real next, int64_t j)
{
  lane_real k = (lane_real)(j + 1);
  return (sum - k * next) / lane_sqrt(k * (k + 1));
}

LANE_LARGE lane_real map_zero(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n, int64_t s)
{
  (void)a, (void)b;
  if (n < 1) return 0;
  lane_real last = map_ilr(u, x, n - 1, s);
  x[(n - 1) * s] = last;
  return -0.5 * v_log((lane_real)n);
}

LANE_LARGE void map_zero_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                              const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                              lane_real *work, int64_t n, int64_t s)
{
  lane_real sum = 0;
  (void)a, (void)b, (void)u, (void)x, (void)gj, (void)gbound, (void)work;
  for (int64_t j = 0; j + 1 < n; j++) {
    sum += gx[j * s];
    gu[j * s] += map_ilr_free(sum, gx[(j + 1) * s], j);
  }
}

/* p = softmax(V u) of n + 1 parts, the last of them in *end; gives sum log p + log(n+1)/2.  The parts stay
   positive where exp underflows. */
LANE_LARGE lane_real map_soft(const lane_real *u /* (n) */, lane_real *p /* (n) */, lane_real *end, int64_t n,
                              int64_t s)
{
  lane_real last = map_ilr(u, p, n, s), top = last, sum = 0, logs = 0;
  for (int64_t k = 0; k < n; k++) top = p[k * s] > top ? p[k * s] : top;
  for (int64_t k = 0; k < n; k++) {
    logs += p[k * s] - top;
    p[k * s] = v_exp(p[k * s] - top);
    sum += p[k * s];
  }
  logs += last - top;
  last = v_exp(last - top);
  sum += last;
  for (int64_t k = 0; k < n; k++) p[k * s] = map_positive(p[k * s] / sum);
  lane_real parts = (lane_real)(n + 1);
  *end = map_positive(last / sum);
  return logs - parts * v_log(sum) + 0.5 * v_log(parts);
}

/* x (n), the last of them at x[(n - 1) s] */
LANE_LARGE lane_real map_simplex(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n,
                                 int64_t s)
{
  lane_real last = 0, log_jacobian;
  (void)a, (void)b;
  if (n < 1) return 0;
  log_jacobian = map_soft(u, x, &last, n - 1, s);
  x[(n - 1) * s] = last;
  return log_jacobian;
}

/* gu += V'gz with gz[k] = p[k] (gp[k] - gp.p) + gj (1 - n p[k]), the reverse of map_soft. */
LANE_LARGE void map_simplex_back(lane_real a, lane_real b, const lane_real *u, const lane_real *p,
                                 const lane_real *gp, lane_real gj, lane_real *gu, lane_real *gbound,
                                 lane_real *work, int64_t n, int64_t s)
{
  lane_real dot = 0, sum = 0, parts = (lane_real)n;
  (void)a, (void)b, (void)u, (void)gbound, (void)work;
  if (n > 0) dot = gp[(n - 1) * s] * p[(n - 1) * s];
  for (int64_t k = 0; k + 1 < n; k++) dot += gp[k * s] * p[k * s];
  for (int64_t k = 0; k + 1 < n; k++) {
    lane_real pk = p[(k + 1) * s], gk = gp[(k + 1) * s];
    sum += p[k * s] * (gp[k * s] - dot) + gj * (1 - parts * p[k * s]);
    gu[k * s] += map_ilr_free(sum, pk * (gk - dot) + gj * (1 - parts * pk), k);
  }
}

/* ---- vectors in rising order, with a bound on either side or none ---------------------------- */

/* x[0] = u[0] or a + exp u[0]; x[k] = x[k-1] + exp u[k]; under an upper bound alone from the other
   end.  Between two bounds the n + 1 gaps over b - a are a simplex. */
LANE_LARGE lane_real map_ordered(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n,
                                 int64_t s)
{
  int from = a > -HUGE_VAL, to = b < HUGE_VAL;
  lane_real log_jacobian = 0, sum = 0, w = b - a, last;
  if (from && to) {
    log_jacobian = map_soft(u, x, &last, n, s);
    for (int64_t k = 0; k < n; k++) {
      sum += x[k * s];
      x[k * s] = map_above(k ? x[(k - 1) * s] : a, a + w * sum);
    }
    return log_jacobian + (lane_real)n * v_log(w);
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t k = to ? n - 1 - i : i;
    int first = i == 0 && !from && !to;
    lane_real base = i ? x[(to ? k + 1 : k - 1) * s] : to ? b : a;
    log_jacobian += first ? 0 : u[k * s];
    x[k * s] = first ? u[k * s] : to ? map_below(base, base - v_exp(u[k * s]))
                                     : map_above(base, base + v_exp(u[k * s]));
  }
  return log_jacobian;
}

/* Between two bounds, x[k] = a + w (g[0] + ... + g[k]); the reverse of map_soft with gp[k] = w (gx[k] + ... +
   gx[n-1]). */
LANE_LARGE void map_gaps_back(lane_real a, lane_real b, const lane_real *u, const lane_real *gx, lane_real gj,
                              lane_real *gu, lane_real *gbound, lane_real *gap /* (n) */, int64_t n, int64_t s)
{
  lane_real w = b - a, last;
  (void)map_soft(u, gap, &last, n, s);
  lane_real share = 0, after = 0, dot = 0, sum = 0, parts = (lane_real)(n + 1), inner = 0;
  for (int64_t k = 0; k < n; k++) {
    share += gap[k * s];
    gbound[0] += gx[k * s] * (1 - share);
    gbound[s] += gx[k * s] * share;
    dot += w * gx[k * s] * share;
    after += w * gx[k * s];
  }
  gbound[0] -= gj * (lane_real)n / w;
  gbound[s] += gj * (lane_real)n / w;
  for (int64_t k = 0; k < n; k++) {
    sum += gap[k * s] * (after - inner - dot) + gj * (1 - parts * gap[k * s]);
    inner += w * gx[k * s];
    lane_real pk = k + 1 < n ? gap[(k + 1) * s] : last, gk = k + 1 < n ? after - inner : 0;
    gu[k * s] += map_ilr_free(sum, pk * (gk - dot) + gj * (1 - parts * pk), k);
  }
}

LANE_LARGE void map_ordered_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                                 const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                                 lane_real *work, int64_t n, int64_t s)
{
  int from = a > -HUGE_VAL, to = b < HUGE_VAL;
  lane_real after = 0;   /* of the components that move with this one */
  (void)x;
  if (from && to) { map_gaps_back(a, b, u, gx, gj, gu, gbound, work, n, s); return; }
  for (int64_t i = n; i-- > 0;) {
    int64_t k = to ? n - 1 - i : i;
    after += gx[k * s];
    if (i == 0 && !from && !to) gu[k * s] += after;
    else gu[k * s] += (to ? -after : after) * v_exp(u[k * s]) + gj;
  }
  if (from) gbound[0] += after;
  if (to) gbound[s] += after;
}

/* ---- vectors of length 1 --------------------------------------------------------------------- */

/* x = u / |u| of n free numbers.  The term is such that the integral of f over the sphere is that
   of f(x(u)) exp(term) over R^n: with u standard normal, x is uniform on the sphere, whose area is
   2 pi^(n/2) / Gamma(n/2); so the term is -|u|^2/2 + (1 - n/2) log 2 - log Gamma(n/2), of which the last two are
   the caller's: `a`. */
LANE_LARGE lane_real map_unit(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n, int64_t s)
{
  lane_real top = 0, sum = 0;
  (void)b;
  for (int64_t k = 0; k < n; k++) top = v_abs(u[k * s]) > top ? v_abs(u[k * s]) : top;
  if (!(top > 0)) top = 1;
  for (int64_t k = 0; k < n; k++) sum += (u[k * s] / top) * (u[k * s] / top);
  lane_real length = lane_sqrt(sum);
  for (int64_t k = 0; k < n; k++) x[k * s] = u[k * s] / top / length;
  lane_real size = top * length;
  return -0.5 * size * size + a;
}

LANE_LARGE void map_unit_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                              const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                              lane_real *work, int64_t n, int64_t s)
{
  lane_real dot = 0, square = 0;
  (void)a, (void)b, (void)gbound, (void)work;
  for (int64_t k = 0; k < n; k++) {
    dot += gx[k * s] * x[k * s];
    square += u[k * s] * u[k * s];
  }
  lane_real length = lane_sqrt(square);
  for (int64_t k = 0; k < n; k++) gu[k * s] += (gx[k * s] - dot * x[k * s]) / length - gj * u[k * s];
}

/* ---- matrices: L -> L L' --------------------------------------------------------------------- */

/* x = L L' of the L in the lower triangle of x. */
LANE_LARGE void map_square_up(lane_real *x /* (n, n) */, int64_t n, int64_t s)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++) {
      lane_real sum = 0;
      for (int64_t k = 0; k <= i; k++) sum += x[(i * n + k) * s] * x[(j * n + k) * s];
      x[(i * n + j) * s] = sum;
    }
  for (int64_t i = 0; i < n; i++) {
    lane_real sum = 0;
    for (int64_t k = 0; k <= i; k++) sum += x[(i * n + k) * s] * x[(i * n + k) * s];
    x[(i * n + i) * s] = sum;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) x[(i * n + j) * s] = x[(j * n + i) * s];
}

/* The derivative by L[i, j] of a function of L L' whose derivative is g: ((g + g') L)[i, j]. */
static inline lane_real map_square_back(const lane_real *g, const lane_real *l, int64_t i, int64_t j, int64_t n,
                                        int64_t s)
{
  lane_real sum = 0;
  for (int64_t k = j; k < n; k++) sum += (g[(i * n + k) * s] + g[(k * n + i) * s]) * l[(k * n + j) * s];
  return sum;
}

/* ---- Cholesky factors of covariance matrices, covariance matrices ---------------------------- */

/* u is the lower triangle of L, row by row, with the logarithm of the diagonal. */
LANE_LARGE lane_real map_factor(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n,
                                int64_t s)
{
  int64_t at = 0;
  lane_real log_jacobian = 0;
  (void)a, (void)b;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) x[(i * n + j) * s] = j < i ? u[s * at++] : 0;
    log_jacobian += u[at * s];
    x[(i * n + i) * s] = map_above(0, v_exp(u[s * at++]));
  }
  return log_jacobian;
}

LANE_LARGE void map_factor_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                                const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                                lane_real *work, int64_t n, int64_t s)
{
  int64_t at = 0;
  (void)a, (void)b, (void)x, (void)gbound, (void)work;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++, at++)
      gu[at * s] += j < i ? gx[(i * n + j) * s] : gx[(i * n + i) * s] * v_exp(u[at * s]) + gj;
}

/* log |d L L' / dL| = n log 2 + sum over i = 0 .. n-1 of (n - i) log L[i, i] */
LANE_LARGE lane_real map_cov(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n, int64_t s)
{
  int64_t at = 0;
  lane_real log_jacobian = map_factor(a, b, u, x, n, s) + (lane_real)n * V_LOG_2;
  for (int64_t i = 0; i < n; i++, at++) {
    at += i;
    log_jacobian += (lane_real)(n - i) * u[at * s];
  }
  map_square_up(x, n, s);
  return log_jacobian;
}

LANE_LARGE void map_cov_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                             const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                             lane_real *work, int64_t n, int64_t s)
{
  int64_t at = 0;
  (void)x, (void)gbound;
  (void)map_factor(a, b, u, work, n, s);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++, at++) {
      lane_real g = map_square_back(gx, work, i, j, n, s);
      gu[at * s] += j < i ? g : g * work[(i * n + i) * s] + gj * (lane_real)(n - i + 1);
    }
}

/* ---- Cholesky factors of correlation matrices, correlation matrices -------------------------- */

/* Row i of L has length 1: L[i, j] = r[j] tanh u[j], r[j+1] = r[j] / cosh u[j], r[0] = 1, and r[i]
   stands on the diagonal.  u holds the rows without the diagonal.  Each 1 / cosh enters the log
   Jacobian twice for the slope of tanh and once for every later element of the row off the
   diagonal; `more` times again for what follows from L. */
LANE_LARGE lane_real map_row(const lane_real *u, int64_t i, int64_t more, lane_real *row, int64_t s)
{
  lane_real r = 1, log_jacobian = 0;
  for (int64_t j = 0; j < i; j++) {
    lane_real v = v_abs(u[j * s]), e = v_exp(-v), sech = 2 * e / (1 + e * e);
    row[j * s] = r * (lane_real)tanh(u[j * s]);
    r *= sech;
    log_jacobian += (lane_real)(1 + i - j + more) * (V_LOG_2 - v - v_log1p(e * e));
  }
  row[i * s] = map_positive(r);
  return log_jacobian;
}

static inline lane_real map_rows(const lane_real *u, lane_real *x, int whole, int64_t n, int64_t s)
{
  lane_real log_jacobian = 0;
  for (int64_t i = 0; i < n; i++) {
    log_jacobian += map_row(u + i * (i - 1) / 2 * s, i, whole ? n - 1 - i : 0, x + i * n * s, s);
    for (int64_t j = i + 1; j < n; j++) x[(i * n + j) * s] = 0;
  }
  return log_jacobian;
}

/* From the last element of a row on; the derivative by L[i, j] is grow[j stride], by r[i] gr. */
LANE_LARGE void map_row_back(const lane_real *u, int64_t i, int64_t more, const lane_real *row,
                             const lane_real *grow, int64_t stride, lane_real gr, lane_real gj, lane_real *gu,
                             int64_t s)
{
  lane_real r = row[i * s];
  for (int64_t j = i; j-- > 0;) {
    lane_real e = v_exp(-v_abs(u[j * s])), sech = 2 * e / (1 + e * e), t = (lane_real)tanh(u[j * s]);
    lane_real g = grow[j * stride];
    r = (lane_real)hypot(r, row[j * s]);   /* r[j] */
    gu[j * s] += r * sech * (g * sech - gr * t) - gj * t * (lane_real)(1 + i - j + more);
    gr = g * t + gr * sech;
  }
}

LANE_LARGE lane_real map_corr_factor(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n,
                                     int64_t s)
{
  (void)a, (void)b;
  return map_rows(u, x, 0, n, s);
}

LANE_LARGE void map_corr_factor_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                                     const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                                     lane_real *work, int64_t n, int64_t s)
{
  (void)a, (void)b, (void)gbound, (void)work;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * (i - 1) / 2 * s;
    map_row_back(u + at, i, 0, x + i * n * s, gx + i * n * s, s, gx[(i * n + i) * s], gj, gu + at, s);
  }
}

/* log |d L L' / dL| = sum over i of (n - 1 - i) log L[i, i] */
LANE_LARGE lane_real map_corr(lane_real a, lane_real b, const lane_real *u, lane_real *x, int64_t n, int64_t s)
{
  lane_real log_jacobian = map_rows(u, x, 1, n, s);
  (void)a, (void)b;
  map_square_up(x, n, s);
  for (int64_t i = 0; i < n; i++) x[(i * n + i) * s] = 1;
  return log_jacobian;
}

/* The derivative by row i of L stands in column i of work, above the diagonal. */
LANE_LARGE void map_corr_back(lane_real a, lane_real b, const lane_real *u, const lane_real *x,
                              const lane_real *gx, lane_real gj, lane_real *gu, lane_real *gbound,
                              lane_real *work, int64_t n, int64_t s)
{
  (void)a, (void)b, (void)x, (void)gbound;
  (void)map_rows(u, work, 1, n, s);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * (i - 1) / 2 * s;
    for (int64_t j = 0; j < i; j++) work[(j * n + i) * s] = map_square_back(gx, work, i, j, n, s);
    map_row_back(u + at, i, n - 1 - i, work + i * n * s, work + i * s, n * s,
                 map_square_back(gx, work, i, i, n, s), gj, gu + at, s);
  }
}
#endif
#endif
