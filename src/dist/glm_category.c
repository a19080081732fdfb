/* glm_category: categorical_logit_glm, by tiles of rows as glm.c: eta = alpha + X beta (n, K),
   P(y_i = c) = exp eta[i,c] / sum exp eta[i,:]; residuals are indicators less probabilities. */
#include "dist/glm.h"
#include "num/la.h"
#include "num/rng.h"
#include "num/stats.h"
#include "num/vmath.h"
#include <stdio.h>
#include <string.h>

norn_status categorical_logit_glm_check(norn_state *st, const norn_dist *d)
{
  char got[120];
  int64_t n, k, categories;
  norn_view v;
  norn_status status = glm_check_data(st, d, &n, &k);
  if (!status)
    status = dist_finite_vector(st, d, 1, "alpha of categorical_logit_glm", &categories);
  if (!status && categories < 1)
    status = norn_fail(st, NORN_EDOMAIN, 1, "alpha of categorical_logit_glm must not be empty");
  if (!status) status = dist_finite_array(st, d, 2, "beta of categorical_logit_glm");
  if (status) return status;
  norn_array_view(d->args[2], &v);
  if (v.rank == 2 && v.dims[0] == k && v.dims[1] == categories) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, 2, "beta of categorical_logit_glm must be a %lld by %lld "
                   "matrix, a row for each column of X and a column for each of alpha, got %s",
                   (long long)k, (long long)categories,
                   norn_describe(st, d->args[2], got, sizeof got));
}

/* One evaluation.  room: alpha, its derivative, beta, its derivative, eta of a tile, a tile. */
typedef struct glm {
  glm_data data;
  int64_t c;                  /* categories */
  const double *alpha, *beta;
  double *room, *galpha, *gbeta, *eta;
  size_t bytes;
} glm;

static norn_status glm_open(norn_state *st, const norn_dist *d, glm *g)
{
  norn_view alpha, beta;
  glm_data_of(d, &g->data);
  norn_array_view(d->args[1], &alpha);
  norn_array_view(d->args[2], &beta);
  g->c = alpha.n;
  size_t c = (size_t)g->c, rows = (size_t)g->data.rows, k = (size_t)g->data.k;
  size_t tile = g->data.x.elem == NORN_F64 ? 0 : k * rows;
  g->bytes = (2 * c + 2 * c * k + c * rows + tile) * sizeof(double);
  if (!(g->room = norn_alloc(st, NULL, 0, g->bytes)))
    return norn_fail(st, NORN_EMEMORY, -1, "no memory for %s", d->row->name);
  g->alpha = glm_reals(&alpha, g->room);
  g->galpha = g->room + c;
  g->beta = glm_reals(&beta, g->galpha + c);
  g->gbeta = g->galpha + c + c * k;
  g->eta = g->gbeta + c * k;
  g->data.tile = g->eta + c * rows;
  memset(g->galpha, 0, c * sizeof(double));
  memset(g->gbeta, 0, c * k * sizeof(double));
  return NORN_OK;
}
static void glm_close(norn_state *st, glm *g) { norn_alloc(st, g->room, g->bytes, 0); }

/* eta of m rows of a tile */
static void glm_eta(const glm *g, const double *tile, int64_t m)
{
  size_t row = (size_t)g->c * sizeof(double);
  for (int64_t i = 0; i < m; i++) memcpy(g->eta + i * g->c, g->alpha, row);
  la_mul(false, false, m, g->c, g->data.k, 1, tile, g->beta, 1, g->eta);
}

/* eta of a row becomes probabilities; their logarithm at category y (or -inf) */
static double softmax(double *eta, int64_t c, double y)
{
  double top = -HUGE_VAL, total = 0, at;
  bool inside = y >= 0 && y < (double)c;
  for (int64_t j = 0; j < c; j++) top = fmax(top, eta[j]);
  at = inside ? eta[(int64_t)y] - top : -HUGE_VAL;
  for (int64_t j = 0; j < c; j++) total += eta[j] = v_exp(eta[j] - top);
  for (int64_t j = 0; j < c; j++) eta[j] /= total;
  return at - v_log(total);
}

/* The derivatives of a tile, eta being its residuals. */
static void glm_adjoint(glm *g, const double *tile, int64_t i, int64_t m, double scale,
                        double *const *to)
{
  int64_t k = g->data.k, c = g->c;
  for (int64_t j = 0; to[1] && j < m; j++)
    for (int64_t q = 0; q < c; q++) g->galpha[q] += g->eta[j * c + q];
  if (to[2]) la_mul(true, false, k, c, m, 1, tile, g->eta, 1, g->gbeta);
  if (to[0]) la_mul(false, true, m, k, c, scale, g->eta, g->beta, 1, to[0] + i * k);
}

static norn_status glm_run(norn_state *st, const norn_dist *d, glm *g, const norn_view *x,
                           double scale, double *logp, double *const *to)
{
  double buffer[GLM_ROWS];
  const double *y;
  int64_t c = g->c;
  stats_tree sum = {{0}};
  for (int64_t i = 0; i < g->data.n; i += g->data.rows) {
    int64_t m = g->data.n - i < g->data.rows ? g->data.n - i : g->data.rows;
    const double *tile = glm_tile(&g->data, i, m);
    norn_status status = dist_values_at(st, d->row, x, i, m, buffer, &y);
    if (status) return status;
    glm_eta(g, tile, m);
    for (int64_t j = 0; j < m; j++) {
      double *row = g->eta + j * c;
      stats_tree_add(&sum, j, softmax(row, c, y[j]));
      for (int64_t q = 0; q < c; q++) row[q] = ((double)q == y[j]) - row[q];
    }
    glm_adjoint(g, tile, i, m, scale, to);
  }
  if (logp) *logp = stats_tree_sum(&sum);
  for (int64_t q = 0; to[1] && q < c; q++) to[1][q] += scale * g->galpha[q];
  for (int64_t q = 0; to[2] && q < c * g->data.k; q++) to[2][q] += scale * g->gbeta[q];
  return NORN_OK;
}

norn_status glm_category_evaluate(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                  double *logp, double *const *to)
{
  glm g;
  norn_view v;
  if (!glm_value(st, d, norn_array_length(d->args[0]), x, &v)) return norn_error(st)->code;
  norn_status status = glm_open(st, d, &g);
  if (status) return status;
  status = glm_run(st, d, &g, &v, scale, logp, to);
  glm_close(st, &g);
  return status;
}

norn_status glm_category_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double *const none[4] = {NULL};
  return glm_category_evaluate(st, d, x, 1, out, none);
}
norn_status glm_category_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                  double *gx, double *g)
{
  double *to[4] = {NULL};
  (void)gx;
  for (int i = 0; g && i < d->n; i++) to[i] = g + dist_leaf(d, i);
  return glm_category_evaluate(st, d, x, scale, NULL, to);
}

norn_status glm_category_sample(norn_state *st, const norn_dist *d, norn_rng *rng, norn_datum *out)
{
  glm g;
  int64_t n = norn_array_length(d->args[0]);
  void *data;
  *out = norn_array(st, NORN_I64, 1, &n, &data);
  if (norn_is_none(*out)) return norn_error(st)->code;
  norn_status status = glm_open(st, d, &g);
  if (status) return status;
  for (int64_t i = 0; i < n; i++) {
    if (i % g.data.rows == 0) {
      int64_t m = n - i < g.data.rows ? n - i : g.data.rows;
      glm_eta(&g, glm_tile(&g.data, i, m), m);
    }
    double *p = g.eta + i % g.data.rows * g.c, u = rng_uniform(rng);
    int64_t y = 0;
    softmax(p, g.c, 0);
    while (y < g.c - 1 && u >= p[y]) u -= p[y++];
    ((int64_t *)data)[i] = y;
  }
  glm_close(st, &g);
  return NORN_OK;
}

void glm_category_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_INTEGER, 0, (double)(norn_array_length(d->args[1]) - 1), 1,
                        norn_array_length(d->args[0]), -1, -1};
}
int64_t glm_category_count(norn_state *st, const norn_dist *d)
{
  int64_t total = 1;
  (void)st;
  for (int64_t i = norn_array_length(d->args[0]); i-- > 0;)
    if (__builtin_mul_overflow(total, norn_array_length(d->args[1]), &total)) return -1;
  return total;
}
/* The last outcome changes fastest. */
norn_status glm_category_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]), c = norn_array_length(d->args[1]);
  void *data;
  *out = norn_none();
  norn_datum a = norn_array(st, NORN_I64, 1, &n, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t i = n; i-- > 0; k /= c) ((int64_t *)data)[i] = k % c;
  if (k == 0) *out = a;
  return NORN_OK;
}
