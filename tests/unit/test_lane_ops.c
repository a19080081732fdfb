/* test_lane_ops: matrices of many lanes (num/lane_ops.h) are, to the bit, those of each lane alone: factors, products
   and solutions of num/la.c, normal vectors of dist/multi_normal.c, kernels of dist/gp_kernel.c; at every CPU level,
   for numbers of lanes that fill no register; a lane beyond them does not matter, one within that has no factor does. */
#include "unit.h"
#include "dist/gp_kernel.h"
#include "num/la.h"
#include "num/lane_ops.h"
#include <math.h>
#include <stdlib.h>

enum { PAD = 32, LANES_MOST = 100, ORDER = LANE_ORDER, ALL = ORDER * ORDER };
static double a[ALL][LANES_MOST + PAD], l[LANE_ROWS][LANES_MOST + PAD], z[ORDER + 4][LANES_MOST + PAD];
static double mu[ORDER][LANES_MOST + PAD], out[ORDER][LANES_MOST + PAD];
static lane_side lower[LANE_ROWS], full[ALL], side[ORDER + 4], mean[ORDER];
static norn_rng rng = { .stream = 5 };

/* A covariance of each lane, b b' + 1/2; of some tiny or huge, where divisions may not go by fma. */
static void fill(size_t n, size_t lanes)
{
  for (size_t k = 0; k < lanes; k++) {
    double b[ALL], scale = k % 37 == 4 ? 0x1p-1050 : k % 41 == 11 ? 0x1p900 : 1;
    norn_rng_normals(&rng, b, (int64_t)(n * n));
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j <= i; j++) {
        double s = i == j ? 0.5 : 0;
        for (size_t p = 0; p < n; p++) s += b[i * n + p] * b[j * n + p];
        a[i * n + j][k] = a[j * n + i][k] = s * scale;
      }
  }
  for (size_t i = 0; i < ORDER + 4; i++) {
    norn_rng_normals(&rng, z[i], (int64_t)lanes);
    side[i] = (lane_side){ z[i], i % 5 != 3 };
  }
  for (size_t i = 0; i < n; i++) {
    norn_rng_normals(&rng, mu[i], (int64_t)lanes);
    mean[i] = (lane_side){ mu[i], i % 3 != 1 };
    for (size_t j = 0; j < n; j++) {
      full[i * n + j] = (lane_side){ a[i * n + j], true };
      if (j <= i) lower[i * (i + 1) / 2 + j] = full[i * n + j];
    }
  }
}

static double number(const lane_side *s, size_t k) { return s->p[s->many ? k : 0]; }
static bool same(double x, double y) { return memcmp(&x, &y, sizeof x) == 0; }

static void check_factors(const lane_fns *f, size_t n, size_t lanes)
{
  double *to[LANE_ROWS], *y[ORDER], x[ALL], v[ORDER], w[ORDER], u[ORDER];
  const double *from[ORDER];
  for (size_t i = 0; i < LANE_ROWS; i++) to[i] = l[i];
  for (size_t i = 0; i < n; i++) y[i] = out[i], from[i] = z[i];
  CHECK(f->factors(lower, n, to, lanes) && f->factors(lower, n, NULL, lanes));
  CHECK(f->gauss(mean, lower, true, from, n, y, lanes));
  bool good = true;
  for (size_t k = 0; k < lanes; k++) {
    for (size_t i = 0; i < n * n; i++) x[i] = a[i][k];
    for (size_t i = 0; i < n; i++) v[i] = z[i][k];
    CHECK(la_cholesky(x, (int64_t)n) == 0);
    la_mul(false, false, (int64_t)n, 1, (int64_t)n, 1, x, v, 0, w);
    for (size_t i = 0; i < n; i++) {
      good &= same(out[i][k], number(mean + i, k) + w[i]);
      for (size_t j = 0; j <= i; j++) good &= same(l[i * (i + 1) / 2 + j][k], x[i * n + j]);
    }
  }
  CHECK(good);
  lane_side t[LANE_ROWS];
  for (size_t i = 0; i < LANE_ROWS; i++) t[i] = (lane_side){ l[i], true };
  for (size_t i = 0; i < n; i++) memcpy(out[i], z[i], sizeof out[i]);
  f->solves(t, n, y, lanes);
  for (size_t k = 0; k < lanes; k++) {
    for (size_t i = 0; i < n; i++) {
      u[i] = z[i][k];
      for (size_t j = 0; j < n; j++) x[i * n + j] = j <= i ? l[i * (i + 1) / 2 + j][k] : 0;
    }
    la_solve_lower(false, x, (int64_t)n, u, 1);
    for (size_t i = 0; i < n; i++) good &= same(out[i][k], u[i]);
  }
  CHECK(good);
}

/* Lane `lanes`, which nobody asked for, has no factor; then the last that is asked for. */
static void check_refused(const lane_fns *f, size_t n, size_t lanes)
{
  double was = a[n * n - 1][lanes - 1];
  a[n * n - 1][lanes] = -1;
  CHECK(f->factors(lower, n, NULL, lanes));
  a[n * n - 1][lanes - 1] = -1;
  CHECK(!f->factors(lower, n, NULL, lanes));
  a[n * n - 1][lanes - 1] = NAN;
  CHECK(!f->factors(lower, n, NULL, lanes));
  if (n > 1) {                                      /* two rows that are the same: positive but for rounding */
    for (size_t j = 0; j < n; j++) a[(n - 1) * n + j][lanes - 1] = a[(n - 2) * n + j][lanes - 1];
    a[n * n - 1][lanes - 1] = a[(n - 2) * n + n - 2][lanes - 1] * (1 + 1e-16);
    CHECK(!f->factors(lower, n, NULL, lanes));
  }
  a[n * n - 1][lanes - 1] = was;
}

static void check_products(const lane_fns *f, size_t n, size_t columns, size_t lanes)
{
  double *y[ORDER], x[ALL], v[ORDER], w[ORDER];
  lane_side s[ALL];
  size_t rows = n * n / columns;
  bool good = true;
  if (rows > ORDER) rows = ORDER;
  for (size_t i = 0; i < rows; i++) y[i] = out[i];
  for (size_t i = 0; i < rows * columns; i++) s[i] = (lane_side){ a[i], i % 7 != 2 };
  f->products(s, side, rows, columns, y, lanes);
  for (size_t k = 0; k < lanes; k++) {
    for (size_t i = 0; i < rows * columns; i++) x[i] = number(s + i, k);
    for (size_t i = 0; i < columns; i++) v[i] = number(side + i, k);
    la_mul_vector(false, (int64_t)rows, (int64_t)columns, x, v, w);
    for (size_t i = 0; i < rows; i++) good &= same(out[i][k], w[i]);
  }
  CHECK(good);
}

static double kernel_alone(int kind, double alpha, double rho, const double *x, const double *y, size_t dim)
{
  gp_kernel one = { .n = 1 };
  one.part[0] = (gp_kernel_part){ .kind = (gp_kernel_kind)kind, .n = 2, .p = { alpha, rho } };
  return gp_kernel_at(&one, x, y, (int64_t)dim);
}

static void check_kernels(const lane_fns *f, size_t lanes)
{
  static const int kinds[] = { [LANE_RBF] = GP_RBF, [LANE_MATERN12] = GP_MATERN12, [LANE_MATERN32] = GP_MATERN32,
                               [LANE_MATERN52] = GP_MATERN52 };
  const double alpha = 1.7;
  double rho[LANES_MOST + PAD];
  bool good = true;
  for (size_t k = 0; k < lanes; k++) rho[k] = 0.1 + fabs(mu[0][k]);
  for (int which = 0; which < LANE_KERNELS; which++)
    for (size_t dim = 1; dim <= 3; dim++) {
      f->kernel(which, (lane_side){ &alpha, false }, (lane_side){ rho, true }, side, side + 4, dim, out[0], lanes);
      for (size_t k = 0; k < lanes; k++) {
        double x[3], y[3];
        for (size_t i = 0; i < dim; i++) x[i] = number(side + i, k), y[i] = number(side + 4 + i, k);
        good &= same(out[0][k], kernel_alone(kinds[which], alpha, rho[k], x, y, dim));
      }
    }
  CHECK(good);
  double *to[LANE_ROWS];
  for (size_t i = 0; i < LANE_ROWS; i++) to[i] = l[i];
  for (int which = 0; which < LANE_KERNELS; which++) {
    f->kernels(which, (lane_side){ rho, true }, (lane_side){ rho, true }, side, ORDER, to, lanes);
    for (size_t i = 0; i < ORDER; i++)
      for (size_t j = 0; j <= i; j++)
        for (size_t k = 0; k < lanes; k++) {
          double x = number(side + i, k), y = number(side + j, k);
          good &= same(l[i * (i + 1) / 2 + j][k], kernel_alone(kinds[which], rho[k], rho[k], &x, &y, 1));
        }
  }
  CHECK(good);
}

int main(void)
{
  static const size_t orders[] = { 1, 2, 3, 8, 9, 12, 13, 31, 32, 33, 45, 63, 64 }, lanes[] = { 1, 7, 8, 33, LANES_MOST };
  for (int level = 0; level <= level_best(); level++)
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
      for (size_t k = 0; k < sizeof lanes / sizeof *lanes; k++) {
        size_t n = orders[i];
        fill(n, lanes[k]);
        check_factors(lane_ops_at(level), n, lanes[k]);
        check_products(lane_ops_at(level), n, n, lanes[k]);
        if (n == 32) check_products(lane_ops_at(level), n, 61, lanes[k]);
        check_kernels(lane_ops_at(level), lanes[k]);
        check_refused(lane_ops_at(level), n, lanes[k]);
      }
  return unit_end();
}
