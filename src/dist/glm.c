/* glm: regressions in one piece: normal_id_glm, bernoulli_logit_glm, poisson_log_glm and
   neg_binomial_2_log_glm (Stan functions reference, "... generalized linear model").

   Row i has the family's distribution with location eta_i = alpha_i + sum_j X[i,j] beta_j.  Some
   rows at a time go through product, density with residual r = d logp / d eta, and X' r, so that X
   comes from memory once; the density is the family's own block function. */
#include "dist/glm.h"
#include "dist/block.h"
#include "num/la.h"
#include <stdio.h>
#include <string.h>

/* ---- the matrix ------------------------------------------------------------------------------ */

norn_status glm_check_data(norn_state *st, const norn_dist *d, int64_t *n, int64_t *k)
{
  char what[80], got[120];
  norn_view v;
  snprintf(what, sizeof what, "X of %s", d->row->name);
  norn_status status = dist_finite_array(st, d, 0, what);
  if (status) return status;
  norn_array_view(d->args[0], &v);
  if (v.rank != 2)
    return norn_fail(st, NORN_ETYPE, 0, "%s must be a matrix of numbers, got %s", what,
                     norn_describe(st, d->args[0], got, sizeof got));
  *n = v.dims[0];
  *k = v.dims[1];
  return NORN_OK;
}

void glm_data_of(const norn_dist *d, glm_data *g)
{
  *g = (glm_data){0};
  norn_array_view(d->args[0], &g->x);
  g->n = g->x.dims[0];
  g->k = g->x.dims[1];
  int64_t rows = GLM_TILE / (g->k + 1) / 8 * 8;
  g->rows = rows < 16 ? 16 : rows < GLM_ROWS ? rows : GLM_ROWS;
}

const double *glm_tile(const glm_data *g, int64_t i, int64_t m)
{
  if (g->x.elem == NORN_F64) return g->x.f + i * g->k;
  for (int64_t j = 0; j < m * g->k; j++) g->tile[j] = (double)g->x.i[i * g->k + j];
  return g->tile;
}

const double *glm_reals(const norn_view *v, double *out)
{
  if (v->elem == NORN_F64) return v->f;
  for (int64_t j = 0; j < v->n; j++) out[j] = (double)v->i[j];
  return out;
}

bool glm_value(norn_state *st, const norn_dist *d, int64_t n, norn_datum x, norn_view *v)
{
  char what[120];
  if (norn_array_view(x, v) && v->rank == 1 && v->n == n) return true;
  norn_fail(st, NORN_ETYPE, -1, "a value of %s must be an array of length %lld, one for each row "
            "of X, got %s", d->row->name, (long long)n, norn_describe(st, x, what, sizeof what));
  return false;
}

/* ---- the families ---------------------------------------------------------------------------- */

typedef struct kind {
  const char *family;
  void (*block)(const norn_block *);
  bool scale;                 /* has a positive parameter after beta */
} kind;
static const kind normal_kind = {"normal", normal_block, true},
  bernoulli_kind = {"bernoulli_logit", bernoulli_logit_block, false},
  poisson_kind = {"poisson_log", poisson_log_block, false},
  neg_binomial_kind = {"neg_binomial_2_log", neg_binomial_2_log_block, true};
static const kind *kind_of(const norn_dist *d);

/* A parameter that is one number, or one for each row. */
typedef struct { bool many; double one; norn_view v; } column;
static column column_of(const norn_dist *d, int i)
{
  column c = {0};
  c.many = !norn_as_real(d->args[i], &c.one) && norn_array_view(d->args[i], &c.v);
  return c;
}
static const double *column_at(const column *c, int64_t i, int64_t m, double *buffer)
{
  if (!c->many) return &c->one;
  if (c->v.elem == NORN_F64) return c->v.f + i;
  for (int64_t j = 0; j < m; j++) buffer[j] = (double)c->v.i[i + j];
  return buffer;
}

static norn_status column_check(norn_state *st, const norn_dist *d, int i, int64_t n,
                                bool positive)
{
  char what[80], got[120], name[40];
  double one;
  norn_view v = {0};
  snprintf(what, sizeof what, "%s of %s", dist_param_name(d->row, i, name, sizeof name),
           d->row->name);
  if (i < d->n && norn_as_real(d->args[i], &one)) {
    if (isfinite(one) && (one > 0 || !positive)) return NORN_OK;
    return norn_fail(st, NORN_EDOMAIN, i, positive ? "%s must be positive and finite, got %s" :
                     "%s must be finite, got %s", what, norn_show(st, d->args[i], true, 40));
  }
  if (i >= d->n || !norn_array_view(d->args[i], &v) || v.rank != 1 || v.n != n)
    return norn_fail(st, NORN_ETYPE, i, "%s must be a number or an array of %lld numbers, one for "
                     "each row of X, got %s", what, (long long)n,
                     i < d->n ? norn_describe(st, d->args[i], got, sizeof got) : "nothing");
  norn_status status = dist_finite_array(st, d, i, what);
  for (int64_t k = 0; !status && positive && k < n; k++)
    if (!(norn_elem_real(d->args[i], k) > 0))
      status = norn_fail(st, NORN_EDOMAIN, i, "%s must be positive, got %g at element %lld", what,
                         norn_elem_real(d->args[i], k), (long long)k);
  return status;
}

static norn_status glm_check(norn_state *st, const norn_dist *d)
{
  char what[80], got[120];
  int64_t n, k;
  norn_view v;
  norn_status status = glm_check_data(st, d, &n, &k);
  if (!status) status = column_check(st, d, 1, n, false);
  if (status) return status;
  snprintf(what, sizeof what, "beta of %s", d->row->name);
  if ((status = dist_finite_array(st, d, 2, what))) return status;
  norn_array_view(d->args[2], &v);
  if (v.rank != 1 || v.n != k)
    return norn_fail(st, NORN_ETYPE, 2, "%s must be an array of %lld numbers, one for each column "
                     "of X, got %s", what, (long long)k,
                     norn_describe(st, d->args[2], got, sizeof got));
  return kind_of(d)->scale ? column_check(st, d, 3, n, true) : NORN_OK;
}

/* Everything that one evaluation needs.  room: beta, its derivative, that of a tile, and a tile. */
typedef struct glm {
  glm_data data;
  const kind *kind;
  column alpha, scale;
  const double *beta;
  double *room, *gbeta, *part;
  size_t bytes;
} glm;

static norn_status glm_open(norn_state *st, const norn_dist *d, glm *g)
{
  norn_view beta;
  glm_data_of(d, &g->data);
  g->kind = kind_of(d);
  g->alpha = column_of(d, 1);
  g->scale = g->kind->scale ? column_of(d, 3) : (column){0};
  norn_array_view(d->args[2], &beta);
  size_t k = (size_t)g->data.k, tile = g->data.x.elem == NORN_F64 ? 0 : k * (size_t)g->data.rows;
  g->bytes = (3 * k + tile + 1) * sizeof(double);
  if (!(g->room = norn_alloc(st, NULL, 0, g->bytes)))
    return norn_fail(st, NORN_EMEMORY, -1, "no memory for %s", d->row->name);
  g->beta = glm_reals(&beta, g->room);
  g->gbeta = g->room + k;
  g->part = g->gbeta + k;
  g->data.tile = g->part + k;
  memset(g->gbeta, 0, k * sizeof(double));
  return NORN_OK;
}
static void glm_close(norn_state *st, glm *g) { norn_alloc(st, g->room, g->bytes, 0); }

static double sum_of(const double *x, int64_t n)
{
  double one[GLM_ROWS];
  for (int64_t j = 0; j < n; j++) one[j] = 1;
  return la_dot(x, one, n);
}

/* eta of rows i .. i+m */
static void glm_eta(const glm *g, const double *tile, int64_t i, int64_t m, double *eta)
{
  double buffer[GLM_ROWS];
  const double *alpha = column_at(&g->alpha, i, m, buffer);
  la_mul_vector(false, m, g->data.k, tile, g->beta, eta);
  for (int64_t j = 0; j < m; j++) eta[j] += alpha[g->alpha.many ? j : 0];
}

/* Adds scale * r to the leaves of a parameter, or to the sum if it is one number. */
static void add_column(const column *c, int64_t i, int64_t m, double scale, const double *r,
                       double *to, double *sum)
{
  if (!to) return;
  for (int64_t j = 0; j < m && c->many; j++) to[i + j] += scale * r[j];
  if (!c->many) *sum += sum_of(r, m);
}

/* The derivatives of a tile by way of its residuals r: to[0..2] for X, alpha, beta. */
static void glm_adjoint(glm *g, const double *tile, int64_t i, int64_t m, double scale,
                        const double *r, double *const *to, double *alpha)
{
  int64_t k = g->data.k;
  add_column(&g->alpha, i, m, scale, r, to[1], alpha);
  if (to[2]) {
    la_mul_vector(true, m, k, tile, r, g->part);
    for (int64_t j = 0; j < k; j++) g->gbeta[j] += g->part[j];
  }
  for (int64_t j = 0; to[0] && j < m; j++)
    for (int64_t c = 0; c < k; c++) to[0][(i + j) * k + c] += scale * r[j] * g->beta[c];
}

static norn_status glm_run(norn_state *st, const norn_dist *d, glm *g, const norn_view *x,
                           double scale, double *logp, double *gx, double *const *to)
{
  double y[GLM_ROWS], eta[GLM_ROWS], l[GLM_ROWS], r[GLM_ROWS], dx[GLM_ROWS], ds[GLM_ROWS];
  double buffer[GLM_ROWS];
  bool slopes = to[0] || to[1] || to[2];
  double sum = 0, alpha = 0, scales = 0;
  for (int64_t i = 0; i < g->data.n; i += g->data.rows) {
    int64_t m = g->data.n - i < g->data.rows ? g->data.n - i : g->data.rows;
    const double *tile = glm_tile(&g->data, i, m);
    norn_block b = {m, 3u | (unsigned)g->scale.many << 2, NORN_KEEP_ALL, {NULL, eta}, l,
                    {gx ? dx : NULL, slopes ? r : NULL, to[3] ? ds : NULL}};
    norn_status status = dist_values_at(st, d->row, x, i, m, y, &b.arg[0]);
    if (status) return status;
    b.arg[2] = column_at(&g->scale, i, m, buffer);
    glm_eta(g, tile, i, m, eta);
    g->kind->block(&b);
    sum += sum_of(l, m);
    for (int64_t j = 0; gx && j < m; j++) gx[i + j] += scale * dx[j];
    if (slopes) glm_adjoint(g, tile, i, m, scale, r, to, &alpha);
    add_column(&g->scale, i, m, scale, ds, to[3], &scales);
  }
  if (logp) *logp = sum;
  if (to[1] && !g->alpha.many) to[1][0] += scale * alpha;
  for (int64_t j = 0; to[2] && j < g->data.k; j++) to[2][j] += scale * g->gbeta[j];
  if (to[3] && !g->scale.many) to[3][0] += scale * scales;
  return NORN_OK;
}

static norn_status glm_evaluate(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                double *logp, double *gx, double *const *to)
{
  glm g;
  norn_view v;
  if (!glm_value(st, d, norn_array_length(d->args[0]), x, &v)) return norn_error(st)->code;
  norn_status status = glm_open(st, d, &g);
  if (status) return status;
  status = glm_run(st, d, &g, &v, scale, logp, gx, to);
  glm_close(st, &g);
  return status;
}

norn_status dist_glm(norn_state *st, const norn_dist *d, norn_datum x, double scale, double *logp,
                     double *gx, double *const to[4])
{
  if (d->row->check == categorical_logit_glm_check)
    return glm_category_evaluate(st, d, x, scale, logp, to);
  return glm_evaluate(st, d, x, scale, logp, gx, to);
}

static norn_status glm_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double *const none[4] = {NULL};
  return glm_evaluate(st, d, x, 1, out, NULL, none);
}
static norn_status glm_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                double *gx, double *g)
{
  double *to[4] = {NULL};
  for (int i = 0; g && i < d->n; i++) to[i] = g + dist_leaf(d, i);
  return glm_evaluate(st, d, x, scale, NULL, d->row->flags & NORN_DIST_DISCRETE ? NULL : gx, to);
}

/* ---- draws, moments, support ----------------------------------------------------------------- */

/* The family's parameters of every row. */
typedef void (*each_row)(void *of, int64_t i, const double p[2]);
static norn_status for_rows(norn_state *st, const norn_dist *d, each_row f, void *of)
{
  glm g;
  double eta[GLM_ROWS], buffer[GLM_ROWS];
  norn_status status = glm_open(st, d, &g);
  if (status) return status;
  for (int64_t i = 0; i < g.data.n; i += g.data.rows) {
    int64_t m = g.data.n - i < g.data.rows ? g.data.n - i : g.data.rows;
    const double *scale = column_at(&g.scale, i, m, buffer);
    glm_eta(&g, glm_tile(&g.data, i, m), i, m, eta);
    for (int64_t j = 0; j < m; j++) f(of, i + j, (double[]){eta[j], scale[g.scale.many ? j : 0]});
  }
  glm_close(st, &g);
  return NORN_OK;
}

typedef struct { const norn_dist_row *family; norn_rng *rng; double *x; } draws;
static void draw_row(void *of, int64_t i, const double p[2])
{
  draws *o = of;
  o->x[i] = o->family->sample1(p, o->rng);
}
static norn_status glm_sample(norn_state *st, const norn_dist *d, norn_rng *rng, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]);
  void *data;
  unsigned flags = d->row->flags;
  norn_elem elem = flags & NORN_DIST_BOOL ? NORN_B8 : flags & NORN_DIST_DISCRETE ? NORN_I64 :
                   NORN_F64;
  norn_datum a = norn_array(st, NORN_F64, 1, &n, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  draws o = {dist_find(kind_of(d)->family), rng, data};
  norn_status status = for_rows(st, d, draw_row, &o);
  *out = a;
  if (status || elem == NORN_F64) return status;
  *out = norn_array(st, elem, 1, &n, &data);
  if (norn_is_none(*out)) return norn_error(st)->code;
  for (int64_t i = 0; i < n; i++) {
    norn_datum x;
    if ((status = dist_datum(st, d->row, o.x[i], &x))) return status;
    if (elem == NORN_I64) ((int64_t *)data)[i] = x.i;
    else ((uint8_t *)data)[i] = (uint8_t)x.i;
  }
  return NORN_OK;
}

typedef struct { const norn_dist_row *family; double *mean, *variance; } moments;
static void moments_of_row(void *of, int64_t i, const double p[2])
{
  moments *o = of;
  o->family->moments1(p, &o->mean[i], &o->variance[i]);
}
static norn_status glm_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                               norn_datum *variance)
{
  int64_t n = norn_array_length(d->args[0]);
  void *m, *v;
  *mean = norn_array(st, NORN_F64, 1, &n, &m);
  if (norn_is_none(*mean)) return norn_error(st)->code;
  *variance = norn_array(st, NORN_F64, 1, &n, &v);
  if (norn_is_none(*variance)) return norn_error(st)->code;
  moments o = {dist_find(kind_of(d)->family), m, v};
  return for_rows(st, d, moments_of_row, &o);
}

static void glm_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  bool discrete = d->row->flags & NORN_DIST_DISCRETE, truth = d->row->flags & NORN_DIST_BOOL;
  (void)st;
  *out = (norn_support){truth ? NORN_SUPPORT_BOOL : discrete ? NORN_SUPPORT_INTEGER :
                        NORN_SUPPORT_REAL, discrete ? 0 : -HUGE_VAL, truth ? 1 : HUGE_VAL, 1,
                        norn_array_length(d->args[0]), -1, -1};
}

/* Of n truth values the last changes fastest. */
static int64_t truths_count(norn_state *st, const norn_dist *d)
{
  int64_t n = norn_array_length(d->args[0]);
  (void)st;
  return n < 62 ? (int64_t)1 << n : -1;
}
static norn_status truths_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]);
  void *data;
  *out = norn_none();
  if (n < 62 && k >> n) return NORN_OK;
  norn_datum a = norn_array(st, NORN_B8, 1, &n, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t i = n; i-- > 0; k >>= 1) ((uint8_t *)data)[i] = k & 1;
  *out = a;
  return NORN_OK;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

/* A row is known by its check. */
#define CHECK(name)                                                                                \
  static norn_status name##_check(norn_state *st, const norn_dist *d) { return glm_check(st, d); }
CHECK(normal_id_glm)
CHECK(bernoulli_logit_glm)
CHECK(poisson_log_glm)
CHECK(neg_binomial_2_log_glm)

static const kind *kind_of(const norn_dist *d)
{
  return d->row->check == normal_id_glm_check ? &normal_kind :
         d->row->check == bernoulli_logit_glm_check ? &bernoulli_kind :
         d->row->check == poisson_log_glm_check ? &poisson_kind : &neg_binomial_kind;
}

#define GLM(row) .name = #row, .check = row##_check, .sample = glm_sample, .logp = glm_logp, \
  .partials = glm_partials, .moments = glm_moments, .support = glm_support
static const char columns_hint[] = "X has a row for each outcome and a column for each of beta";

static const norn_dist_row rows[] = {
  {GLM(normal_id_glm), .params = "X, alpha, beta, sigma", .flags = NORN_DIST_CONTINUOUS,
   .hint = columns_hint,
   .doc = "Outcomes normal(alpha + X beta, sigma), one for each row of the matrix X.\n"
          "alpha and sigma > 0 are numbers or have one for each row."},
  {GLM(bernoulli_logit_glm), .params = "X, alpha, beta", .hint = columns_hint,
   .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE | NORN_DIST_BOOL,
   .enumerate = truths_enumerate, .count = truths_count,
   .doc = "Outcomes bernoulli_logit(alpha + X beta), one for each row of the matrix X.\n"
          "alpha is a number or has one for each row."},
  {GLM(poisson_log_glm), .params = "X, alpha, beta", .flags = NORN_DIST_DISCRETE,
   .hint = columns_hint,
   .doc = "Outcomes poisson_log(alpha + X beta), one for each row of the matrix X.\n"
          "alpha is a number or has one for each row."},
  {GLM(neg_binomial_2_log_glm), .params = "X, alpha, beta, phi", .flags = NORN_DIST_DISCRETE,
   .hint = columns_hint,
   .doc = "Outcomes neg_binomial_2_log(alpha + X beta, phi), one for each row of the matrix X.\n"
          "alpha and phi > 0 are numbers or have one for each row."},
  {.name = "categorical_logit_glm", .params = "X, alpha, beta", .hint = columns_hint,
   .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE, .check = categorical_logit_glm_check,
   .sample = glm_category_sample, .logp = glm_category_logp, .partials = glm_category_partials,
   .support = glm_category_support, .enumerate = glm_category_enumerate,
   .count = glm_category_count,
   .doc = "Outcomes categorical_logit(alpha + X[i] beta), one for each row i of the matrix X.\n"
          "alpha has a number for each category; beta is a matrix, a row for each column of X and "
          "a\ncolumn for each category."},
};

const dist_shelf dist_glms = {rows, sizeof rows / sizeof rows[0]};
