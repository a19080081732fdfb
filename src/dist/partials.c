/* partials: derivatives of log densities by the leaves of a distribution.

   The leaves are the numbers in its arguments, in order (norn.h); a combinator walks its arguments
   and hands each part the place where its own leaves begin.  A grid of a SCALAR row adds the
   derivatives of its elements up where they share a parameter. */
#include "dist/dist.h"
#include <math.h>

static int64_t leaves_of(norn_datum v)
{
  norn_dist d;
  norn_view a;
  if (v.tag == NORN_INT || v.tag == NORN_REAL) return 1;
  if (norn_dist_view(v, &d)) return norn_dist_leaves(&d);
  if (!norn_array_view(v, &a)) return 0;
  if (a.elem != NORN_VALUES) return a.elem == NORN_B8 ? 0 : a.n;
  int64_t n = 0;
  for (int64_t k = 0; k < a.n; k++) n += leaves_of(a.v[k]);
  return n;
}

int64_t norn_dist_leaves(const norn_dist *d)
{
  int64_t n = 0;
  for (int i = 0; i < d->n; i++) n += leaves_of(d->args[i]);
  return n;
}

int64_t dist_leaf(const norn_dist *d, int i)
{
  int64_t n = 0;
  for (int k = 0; k < i; k++) n += leaves_of(d->args[k]);
  return n;
}

/* One element: its derivatives go to gx and to where each parameter's leaf is. */
static void element_partials(const norn_dist_row *row, int nargs, double x, const double *p,
                             double scale, double *gx, double *const *to)
{
  double d[1 + NORN_DIST_P];
  row->partials1(x, p, d);
  if (gx) *gx += scale * d[0];
  for (int i = 0; i < nargs; i++)
    if (to[i]) *to[i] += scale * d[i + 1];
}

static norn_status grid_partials(norn_state *st, const norn_dist *d, const dist_grid *g,
                                 norn_datum x, double scale, double *gx, double *leaf)
{
  int64_t first[NORN_DIST_P];
  for (int i = 0; i < d->n; i++) first[i] = dist_leaf(d, i);
  norn_view v = {0};
  bool many = norn_array_view(x, &v);
  if (many ? v.n != g->n : g->rank > 0)
    return norn_fail(st, NORN_EUSE, -1, "the value does not have the shape of %s", d->row->name);
  for (int64_t k = 0; k < g->n; k++) {
    double p[NORN_DIST_P], value, *to[NORN_DIST_P];
    norn_status status = dist_value(st, d->row, many ? dist_view_at(&v, k) : x, &value);
    if (status) return status;
    dist_grid_at(g, k, p);
    for (int i = 0; i < d->n; i++) to[i] = leaf ? leaf + first[i] + (g->array[i] ? k : 0) : NULL;
    element_partials(d->row, d->n, value, p, scale, gx ? gx + k : NULL, to);
  }
  return NORN_OK;
}

norn_status norn_dist_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                               double *gx, double *g)
{
  dist_grid grid;
  if (d->row->partials) return d->row->partials(st, d, x, scale, gx, g);
  if (!d->row->partials1)
    return norn_fail(st, NORN_EINFER, -1, "the derivatives of %s are not known", d->row->name);
  norn_status status = dist_grid_fill(st, d, &grid);
  return status ? status : grid_partials(st, d, &grid, x, scale, gx, g);
}
