/* partials: derivatives of log densities by the leaves of a distribution.

   The leaves are the numbers in its arguments, in order (norn.h); a combinator walks its arguments
   and hands each part the place where its own leaves begin.  A grid of a SCALAR row adds the
   derivatives of its elements up where they share a parameter. */
#include "dist/dist.h"
#include <math.h>

#define DEEPEST 200   /* what lies deeper in arrays and records has no leaves: no endless recursion */

static int64_t leaves_of(norn_datum v, int depth)
{
  norn_dist d;
  norn_view a;
  if (v.tag == NORN_INT || v.tag == NORN_REAL) return 1;
  if (norn_dist_view(v, &d)) return norn_dist_leaves(&d);
  int64_t n = 0;
  if (depth > DEEPEST) return 0;
  for (int i = 0; i < norn_record_size(v); i++) {
    norn_datum field;
    norn_record_at(NULL, v, i, &field);
    n += leaves_of(field, depth + 1);
  }
  if (!norn_array_view(v, &a)) return n;
  if (a.elem != NORN_VALUES) return a.elem == NORN_B8 ? 0 : a.n;
  for (int64_t k = 0; k < a.n; k++) n += leaves_of(a.v[k], depth + 1);
  return n;
}

int64_t dist_leaves_of(norn_datum v) { return leaves_of(v, 0); }

static int64_t numbers_of(norn_datum v, int depth)
{
  norn_view a;
  int64_t n = v.tag == NORN_INT || v.tag == NORN_REAL || v.tag == NORN_BOOL;
  if (depth > DEEPEST) return 0;
  for (int i = 0; i < norn_record_size(v); i++) {
    norn_datum field;
    norn_record_at(NULL, v, i, &field);
    n += numbers_of(field, depth + 1);
  }
  if (!norn_array_view(v, &a)) return n;
  if (a.elem != NORN_VALUES) return a.n;
  for (int64_t k = 0; k < a.n; k++) n += numbers_of(a.v[k], depth + 1);
  return n;
}

int64_t dist_count_numbers(norn_datum v) { return numbers_of(v, 0); }

int64_t norn_dist_leaves(const norn_dist *d)
{
  int64_t n = 0;
  for (int i = 0; i < d->n; i++) n += leaves_of(d->args[i], 0);
  return n;
}

int64_t dist_leaf(const norn_dist *d, int i)
{
  int64_t n = 0;
  for (int k = 0; k < i; k++) n += leaves_of(d->args[k], 0);
  return n;
}

/* One number. */
static norn_status number_partials(norn_state *st, const norn_dist *d, const double *p,
                                   norn_datum x, double scale, double *gx, double *g)
{
  double value, slope[1 + NORN_DIST_P];
  norn_status status = dist_value(st, d->row, x, &value);
  if (status) return status;
  d->row->partials1(value, p, slope);
  if (gx) *gx += scale * slope[0];
  for (int i = 0; g && i < d->n; i++) g[i] += scale * slope[i + 1];
  return NORN_OK;
}

norn_status norn_dist_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                               double *gx, double *g)
{
  dist_grid grid;
  norn_view v;
  double p[NORN_DIST_P];
  if (d->row->partials) return d->row->partials(st, d, x, scale, gx, g);
  if (!d->row->partials1)
    return norn_fail(st, NORN_EINFER, -1, "the derivatives of %s are not known", d->row->name);
  if (d->n <= NORN_DIST_P && dist_scalars(d, p)) return number_partials(st, d, p, x, scale, gx, g);
  norn_status status = dist_grid_fill(st, d, &grid);
  if (status) return status;
  if (!norn_array_view(x, &v) || v.n != grid.n)
    return norn_fail(st, NORN_EUSE, -1, "the value does not have the shape of %s", d->row->name);
  return dist_rows_partials(st, d, &grid, &v, scale, gx, g);
}
