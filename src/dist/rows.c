/* rows: a product of a scalar family, some hundred elements at a time.  Arguments that are arrays of
   doubles are used where they lie; integers and booleans are converted into buffers; numbers stay
   numbers (norn_block).  A family without a block function is asked element by element.  Sums follow
   the fixed tree of num/stats.h, so that no executor gives another result. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/stats.h"
#include <math.h>

enum { CHUNK = 256 };              /* a multiple of the tree's eight and the stream's sixteen */
typedef struct chunk {
  norn_block b;
  double in[1 + NORN_DIST_P][CHUNK], logp[CHUNK], d[1 + NORN_DIST_P][CHUNK];
} chunk;

/* Elements k .. k+n of an array as doubles: where they lie, or in the buffer. */
static const double *reals_at(const norn_view *v, int64_t k, int64_t n, double *buffer)
{
  if (v->elem == NORN_F64) return v->f + k;
  if (v->elem == NORN_I64)
    for (int64_t j = 0; j < n; j++) buffer[j] = (double)v->i[k + j];
  else
    for (int64_t j = 0; j < n; j++) buffer[j] = (double)v->b[k + j];
  return buffer;
}

/* The value's elements as doubles of the row's kind, or an error about the first that is none. */
norn_status dist_values_at(norn_state *st, const norn_dist_row *row, const norn_view *v, int64_t k,
                           int64_t n, double *buffer, const double **out)
{
  bool whole = row->flags & NORN_DIST_DISCRETE, good = true, truth = row->flags & NORN_DIST_BOOL;
  norn_status status = NORN_OK;
  if (v->elem == NORN_VALUES || (v->elem == NORN_B8 && !truth)) {
    for (int64_t j = 0; j < n && !status; j++)
      status = dist_value(st, row, dist_view_at(v, k + j), &buffer[j]);
    *out = buffer;
    return status;
  }
  const double *x = *out = reals_at(v, k, n, buffer);
  if (v->elem != NORN_F64) return NORN_OK;
  for (int64_t j = 0; j < n; j++) good &= x[j] == x[j] && !(whole && x[j] != floor(x[j]));
  for (int64_t j = 0; j < n && !good && !status; j++) {
    double y;
    status = dist_value(st, row, norn_real(x[j]), &y);
  }
  return status;
}

/* Without a block function. */
static void rows_one_by_one(const norn_dist_row *row, int nargs, const norn_block *b)
{
  double p[NORN_DIST_P], d[1 + NORN_DIST_P];
  bool slopes = false;
  for (int i = 0; i <= nargs; i++) slopes |= b->d[i] != NULL;
  for (int64_t k = 0; k < b->n; k++) {
    for (int i = 0; i < nargs; i++) p[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    double x = b->arg[0][b->many & 1 ? k : 0];
    b->logp[k] = slopes ? row->partials1(x, p, d) : row->logp1(x, p);
    for (int i = 0; slopes && i <= nargs; i++)
      if (b->d[i]) b->d[i][k] = d[i];
  }
}

/* Elements k .. of the grid and its value: densities into c->logp, and derivatives into c->d. */
static norn_status rows_chunk(norn_state *st, const norn_dist *d, const dist_grid *g,
                              const norn_view *v, int64_t k, bool slopes, chunk *c)
{
  int64_t n = g->n - k < CHUNK ? g->n - k : CHUNK;
  c->b = (norn_block){n, 1, NORN_KEEP_ALL, {0}, c->logp, {0}};
  norn_status status = dist_values_at(st, d->row, v, k, n, c->in[0], &c->b.arg[0]);
  for (int i = 0; i < g->nargs; i++) {
    c->b.arg[i + 1] = g->array[i] ? reals_at(&g->view[i], k, n, c->in[i + 1]) : &g->number[i];
    c->b.many |= (unsigned)g->array[i] << (i + 1);
  }
  for (int i = 0; slopes && i <= g->nargs; i++) c->b.d[i] = c->d[i];
  if (status) return status;
  if (d->row->block) d->row->block(&c->b);
  else rows_one_by_one(d->row, g->nargs, &c->b);
  return NORN_OK;
}

norn_status dist_rows_logp(norn_state *st, const norn_dist *d, const dist_grid *g,
                           const norn_view *v, double *out)
{
  chunk c;
  stats_tree sum = {{0}};
  for (int64_t k = 0; k < g->n; k += CHUNK) {
    norn_status status = rows_chunk(st, d, g, v, k, false, &c);
    if (status) return status;
    for (int64_t j = 0; j < c.b.n; j++) stats_tree_add(&sum, j, c.logp[j]);
  }
  *out = stats_tree_sum(&sum);
  return NORN_OK;
}

norn_status dist_rows_partials(norn_state *st, const norn_dist *d, const dist_grid *g,
                               const norn_view *v, double scale, double *gx, double *leaf)
{
  chunk c;
  int64_t first[NORN_DIST_P];
  stats_tree sum[NORN_DIST_P] = {{{0}}};
  for (int i = 0; i < d->n; i++) first[i] = dist_leaf(d, i);
  for (int64_t k = 0; k < g->n; k += CHUNK) {
    norn_status status = rows_chunk(st, d, g, v, k, true, &c);
    if (status) return status;
    for (int64_t j = 0; gx && j < c.b.n; j++) gx[k + j] += scale * c.d[0][j];
    for (int i = 0; leaf && i < g->nargs; i++) {
      double *to = leaf + first[i] + (g->array[i] ? k : 0);
      for (int64_t j = 0; j < c.b.n && g->array[i]; j++) to[j] += scale * c.d[i + 1][j];
      for (int64_t j = 0; j < c.b.n && !g->array[i]; j++)
        stats_tree_add(&sum[i], j, c.d[i + 1][j]);
    }
  }
  for (int i = 0; leaf && i < g->nargs; i++)
    if (!g->array[i]) leaf[first[i]] += scale * stats_tree_sum(&sum[i]);
  return NORN_OK;
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* Draws as integers or booleans at element k of the array's numbers. */
static norn_status rows_store(norn_state *st, const norn_dist_row *row, const double *x, int64_t n,
                              void *data, int64_t k)
{
  norn_datum v;
  for (int64_t j = 0; j < n; j++) {
    norn_status status = dist_datum(st, row, x[j], &v);
    if (status) return status;
    if (row->flags & NORN_DIST_BOOL) ((uint8_t *)data)[k + j] = (uint8_t)v.i;
    else ((int64_t *)data)[k + j] = v.i;
  }
  return NORN_OK;
}

/* Elements k .. k+n by a row's `samples`, or one by one. */
static void rows_draw(const norn_dist_row *row, const dist_grid *g, norn_rng *rng, int64_t k,
                      int64_t n, double *out)
{
  double buffer[NORN_DIST_P][CHUNK], one[NORN_DIST_P];
  const double *p[NORN_DIST_P];
  unsigned many = 0;
  if (!row->samples) {
    for (int64_t j = 0; j < n; j++) {
      dist_grid_at(g, k + j, one);
      rng_room(rng);
      out[j] = row->sample1(one, rng);
    }
    return;
  }
  for (int i = 0; i < g->nargs; i++) {
    p[i] = g->array[i] ? reals_at(&g->view[i], k, n, buffer[i]) : &g->number[i];
    many |= (unsigned)g->array[i] << i;
  }
  row->samples(rng, n, many, p, out);
}

norn_status dist_rows_sample(norn_state *st, const norn_dist_row *row, const dist_grid *g,
                             norn_rng *rng, norn_datum *out)
{
  double buffer[CHUNK];
  void *data;
  norn_elem elem = row->flags & NORN_DIST_BOOL ? NORN_B8 :
                   row->flags & NORN_DIST_DISCRETE ? NORN_I64 : NORN_F64;
  norn_datum a = norn_array(st, elem, g->rank, g->dims, &data);
  norn_status status = NORN_OK;
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t k = 0; k < g->n && !status; k += CHUNK) {
    int64_t n = g->n - k < CHUNK ? g->n - k : CHUNK;
    double *x = elem == NORN_F64 ? (double *)data + k : buffer;
    rows_draw(row, g, rng, k, n, x);
    if (elem != NORN_F64) status = rows_store(st, row, x, n, data, k);
  }
  if (!status) *out = a;
  return status;
}
