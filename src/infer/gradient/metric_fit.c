/* metric_fit: a dense or low-rank metric from draws and gradients (Seyboldt, Carlson, Carpenter
   2026, arXiv 2603.18845, algorithm 1).

   Of what is linear in the coordinates, the Fisher divergence to a standard normal is least for the
   inverse metric S that solves S C_g S = C_x, the geometric mean of the covariance C_x of the draws
   and the inverse of the covariance C_g of the gradients:

       S = C_g^-1/2 (C_g^1/2 C_x C_g^1/2)^1/2 C_g^-1/2

   (of draws from a normal, more than there are coordinates, it is their true covariance, exactly).
   First each coordinate is scaled by sigma_i = (var x_i / var g_i)^1/4; then C_x and C_g are looked
   at in the space that draws and gradients span, as X X'/gamma + I, and S is I outside of it.  Low
   rank keeps the eigenvectors whose eigenvalue is above 2 or below 1/2. */
#include "infer/gradient/hmc.h"
#include "num/la.h"
#include <string.h>

#define GAMMA 1e-5
#define CUTOFF 2.0

struct fit {
  int64_t n, rows, k;                    /* k: the most that rows span */
  size_t size;                           /* of memory, in numbers */
  double *scale, *x, *y;                 /* (n), (rows, n) */
  double *basis, *px, *py;               /* (n, k), (rows, k) */
  double *cx, *cg, *a, *b, *c;           /* (k, k) */
  double *value;                         /* (k) */
  double *u;                             /* (n, k) */
};

fit *fit_new(norn_state *st, int64_t n, int64_t rows)
{
  fit *f = engine_get(st, sizeof *f);
  if (!f) return NULL;
  *f = (fit){.n = n, .rows = rows, .k = n < 2 * rows ? n : 2 * rows};
  int64_t k = f->k, sizes[] = {n, rows * n, rows * n, n * k, rows * k, rows * k,
                               k * k, k * k, k * k, k * k, k * k, k, n * k};
  double **own[] = {&f->scale, &f->x, &f->y, &f->basis, &f->px,    &f->py, &f->cx,
                    &f->cg,    &f->a, &f->b, &f->c,     &f->value, &f->u};
  for (int i = 0; i < NORN_COUNT(sizes); i++) f->size += (size_t)sizes[i];
  double *at = engine_get(st, f->size * sizeof *at);
  if (!at) {
    engine_put(st, f, sizeof *f);
    return NULL;
  }
  for (int i = 0; i < NORN_COUNT(own); at += sizes[i++]) *own[i] = at;
  return f;
}

void fit_free(norn_state *st, fit *f)
{
  if (!f) return;
  engine_put(st, f->scale, f->size * sizeof *f->scale);
  engine_put(st, f, sizeof *f);
}

/* Mean and sum of squares of column i of x (rows, n). */
static double column_mean(const double *x, int64_t rows, int64_t n, int64_t i, double *square)
{
  double mean = 0, s = 0;
  for (int64_t r = 0; r < rows; r++) mean += x[r * n + i] / (double)rows;
  for (int64_t r = 0; r < rows; r++) s += (x[r * n + i] - mean) * (x[r * n + i] - mean);
  *square = s;
  return mean;
}

/* x = (q - mean) / sigma, y = (g - mean) sigma; a coordinate without variance keeps its scale. */
static void fit_scale(fit *f, const metric *m, const double *q, const double *g, int64_t rows)
{
  int64_t n = f->n;
  for (int64_t i = 0; i < n; i++) {
    double sq, sg, mq = column_mean(q, rows, n, i, &sq), mg = column_mean(g, rows, n, i, &sg);
    double ratio = sqrt(sq / sg), s = ratio > 1e-20 && ratio < 1e20 ? sqrt(ratio) : m->scale[i];
    f->scale[i] = s;
    for (int64_t r = 0; r < rows; r++) {
      f->x[r * n + i] = (q[r * n + i] - mq) / s;
      f->y[r * n + i] = (g[r * n + i] - mg) * s;
    }
  }
}

/* An orthonormal basis (n, k) of the span of the rows of x and y, and both in it. */
static bool fit_project(fit *f, int64_t rows, int64_t k)
{
  int64_t n = f->n;
  if (k == n) {
    memcpy(f->px, f->x, (size_t)(rows * n) * sizeof *f->x);
    memcpy(f->py, f->y, (size_t)(rows * n) * sizeof *f->y);
    return true;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t r = 0; r < rows; r++) {
      f->basis[i * k + r] = f->x[r * n + i];
      f->basis[i * k + rows + r] = f->y[r * n + i];
    }
  if (!la_qr(f->basis, n, k, f->a)) return false;
  la_mul(false, false, rows, k, n, 1, f->x, f->basis, 0, f->px);
  la_mul(false, false, rows, k, n, 1, f->y, f->basis, 0, f->py);
  return true;
}

/* x' x / gamma + I, x (rows, k) */
static void covariance(const double *x, int64_t rows, int64_t k, double *c)
{
  la_mul(true, false, k, k, rows, 1 / GAMMA, x, x, 0, c);
  for (int64_t i = 0; i < k; i++) c[i * k + i] += 1;
}

/* out = V diag(w^power) V', V (k, k) with vectors in its columns; work (k, k) */
static void spectral(const double *v, const double *w, double power, int64_t k, double *work,
                     double *out)
{
  for (int64_t j = 0; j < k; j++) {
    double s = pow(w[j], power);
    for (int64_t i = 0; i < k; i++) work[i * k + j] = v[i * k + j] * s;
  }
  la_mul(false, true, k, k, k, 1, work, v, 0, out);
}

/* The geometric mean of cx and the inverse of cg into cx, by its eigenvectors in columns, and its
   eigenvalues in value. */
static bool fit_mean(fit *f, int64_t k)
{
  double *v = f->cg, *root = f->b, *inverse = f->c, *w = f->value;
  if (!la_eigen_symmetric(v, k, w)) return false;
  for (int64_t i = 0; i < k; i++) if (!(w[i] > 0)) return false;
  spectral(v, w, 0.5, k, f->a, root);
  spectral(v, w, -0.5, k, f->a, inverse);
  la_mul(false, false, k, k, k, 1, root, f->cx, 0, f->a);
  la_mul(false, false, k, k, k, 1, f->a, root, 0, f->cx);
  if (!la_eigen_symmetric(f->cx, k, w)) return false;
  for (int64_t i = 0; i < k; i++) if (!(w[i] > 0)) return false;
  spectral(f->cx, w, 0.5, k, f->a, f->b);
  la_mul(false, false, k, k, k, 1, inverse, f->b, 0, f->a);
  la_mul(false, false, k, k, k, 1, f->a, inverse, 0, f->cx);
  if (!la_eigen_symmetric(f->cx, k, w)) return false;
  for (int64_t i = 0; i < k; i++) if (!(w[i] > 0) || !isfinite(w[i])) return false;
  return true;
}

static void low_rank_set(const fit *f, metric *m, int64_t k)
{
  int64_t n = f->n;
  m->rank = 0;
  for (int64_t j = 0; j < k && m->rank < m->most; j++) {
    if (f->value[j] <= CUTOFF && f->value[j] >= 1 / CUTOFF) continue;
    double *u = m->u + m->rank * n;
    for (int64_t i = 0; i < n; i++) u[i] = f->u[i * k + j];
    m->value[m->rank++] = f->value[j];
  }
  memcpy(m->scale, f->scale, (size_t)n * sizeof *m->scale);
}

/* full = D (I + u (L - I) u') D */
static bool dense_set(fit *f, metric *m, int64_t k)
{
  int64_t n = f->n;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < k; j++) f->basis[i * k + j] = f->u[i * k + j] * (f->value[j] - 1);
  la_mul(false, true, n, n, k, 1, f->basis, f->u, 0, m->full);
  for (int64_t i = 0; i < n; i++) m->full[i * n + i] += 1;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) m->full[i * n + j] *= f->scale[i] * f->scale[j];
  memcpy(m->scale, f->scale, (size_t)n * sizeof *m->scale);
  return metric_factor(m);
}

bool fit_metric(fit *f, metric *m, const double *q, const double *g, int64_t rows)
{
  int64_t n = f->n, k = n < 2 * rows ? n : 2 * rows;
  fit_scale(f, m, q, g, rows);
  if (!fit_project(f, rows, k)) return false;
  covariance(f->px, rows, k, f->cx);
  covariance(f->py, rows, k, f->cg);
  if (!fit_mean(f, k)) return false;
  if (k == n) memcpy(f->u, f->cx, (size_t)(n * n) * sizeof *f->u);
  else la_mul(false, false, n, k, k, 1, f->basis, f->cx, 0, f->u);
  if (m->kind == METRIC_DENSE) return dense_set(f, m, k);
  low_rank_set(f, m, k);
  return true;
}
