/* lines: the elements of a combinator of single numbers whose arguments, or those of the family it
   combines, are arrays: truncate(normal([0, 1], 1), lower = [0, 2]).  All arrays have one shape. */
#include "dist/line.h"
#include <math.h>
#include <string.h>

static norn_status own_misfit(norn_state *st, const norn_dist *d, const lines *e,
                              const lines_own *own, int i)
{
  char a[80], b[80];
  return norn_fail(st, NORN_ETYPE, own[i].at, "%s of %s has shape %s, the other arguments %s",
                   own[i].name, d->row->name,
                   dist_shape_text(e->own[i].rank, e->own[i].dims, a, sizeof a),
                   dist_shape_text(e->rank, e->dims, b, sizeof b));
}

static norn_status own_wrong(norn_state *st, const norn_dist *d, const lines_own *own)
{
  char what[120];
  return norn_fail(st, NORN_ETYPE, own->at, "%s of %s must be a number, got %s", own->name,
                   d->row->name, norn_describe(st, d->args[own->at], what, sizeof what));
}

static norn_status own_open(norn_state *st, const norn_dist *d, const lines_own *own, int i,
                            lines *e)
{
  int at = own[i].at;
  norn_view *v = &e->own[i];
  e->own_at[i] = at;
  e->own_array[i] = false;
  e->own_number[i] = own[i].fallback;
  e->own_leaf[i] = -1;
  bool missing = at >= d->n || d->args[at].tag == NORN_NONE || d->args[at].tag == NORN_MISSING;
  if (missing && own[i].fallback == own[i].fallback) return NORN_OK;
  e->own_leaf[i] = dist_leaf(d, at);
  if (norn_as_real(d->args[at], &e->own_number[i]))
    return e->own_number[i] == e->own_number[i] ? NORN_OK : own_wrong(st, d, &own[i]);
  if (!norn_array_view(d->args[at], v) || (v->elem != NORN_F64 && v->elem != NORN_I64))
    return own_wrong(st, d, &own[i]);
  e->own_array[i] = true;
  if (e->rank == 0) {
    e->rank = v->rank;
    e->n = v->n;
    memcpy(e->dims, v->dims, sizeof e->dims);
  } else if (v->rank != e->rank || memcmp(v->dims, e->dims, (size_t)v->rank * sizeof *v->dims)) {
    return own_misfit(st, d, e, own, i);
  }
  return NORN_OK;
}

norn_status lines_open(norn_state *st, const norn_dist *d, int base_at, const lines_own *own,
                       int nown, lines *e)
{
  char what[120], name[40];
  norn_status status = NORN_OK;
  if (base_at >= d->n || !norn_dist_view(d->args[base_at], &e->base))
    return norn_fail(st, NORN_ETYPE, base_at, "%s of %s must be a distribution, got %s",
                     dist_param_name(d->row, base_at, name, sizeof name), d->row->name,
                     base_at < d->n ? norn_describe(st, d->args[base_at], what, sizeof what)
                                    : "nothing");
  const norn_dist_row *row = e->base.row;
  e->plain = (row->flags & NORN_DIST_SCALAR) && row->cdf1 && e->base.n <= NORN_DIST_P;
  e->base_at = base_at;
  e->nown = nown;
  e->rank = 0;
  e->n = 1;
  e->base_leaf = dist_leaf(d, base_at);
  if (e->plain) {
    if ((status = dist_grid_fill(st, &e->base, &e->grid))) return status;
    e->rank = e->grid.rank;
    e->n = e->grid.n;
    memcpy(e->dims, e->grid.dims, sizeof e->dims);
    for (int i = 0; i < e->base.n; i++) e->first[i] = e->base_leaf + dist_leaf(&e->base, i);
  } else if ((status = line_open(st, &e->base, d->row->name, base_at, &e->one))) {
    return status;
  }
  for (int i = 0; i < nown && !status; i++) status = own_open(st, d, own, i, e);
  return status;
}

void lines_at(const lines *e, int64_t k, line *l, double own[2])
{
  double p[NORN_DIST_P];
  if (e->plain) {
    dist_grid_at(&e->grid, k, p);
    *l = line_of_row(e->base.row, p, e->base.n);
  } else {
    *l = e->one;
  }
  for (int i = 0; i < e->nown; i++)
    own[i] = !e->own_array[i] ? e->own_number[i] : e->own[i].elem == NORN_F64 ? e->own[i].f[k] :
        (double)e->own[i].i[k];
}

double *lines_sum(const lines *e, double *g, lines_sums *sums)
{
  memset(sums->p, 0, sizeof sums->p);
  memset(sums->own, 0, sizeof sums->own);
  sums->base = !g ? NULL : e->plain ? sums->p : g + e->base_leaf;
  return sums->base;
}

void lines_scatter(const lines *e, int64_t k, const lines_sums *sums, double *g)
{
  for (int i = 0; e->plain && i < e->base.n; i++)
    g[e->first[i] + (e->grid.array[i] ? k : 0)] += sums->p[i];
  for (int i = 0; i < e->nown; i++)
    if (e->own_leaf[i] >= 0) g[e->own_leaf[i] + (e->own_array[i] ? k : 0)] += sums->own[i];
}

norn_status lines_shape(norn_state *st, const norn_dist *d, const lines *e, norn_datum x,
                        norn_view *v)
{
  char shape[80], what[120];
  bool array = norn_array_view(x, v);
  if (e->rank == 0 && !array) return NORN_OK;
  if (array && v->rank == e->rank && !memcmp(v->dims, e->dims, (size_t)e->rank * sizeof *v->dims))
    return NORN_OK;
  norn_describe(st, x, what, sizeof what);
  if (e->rank == 0)
    return norn_fail(st, NORN_ETYPE, -1, "this %s of %s has single values, got %s", d->row->name,
                     e->base.row->name, what);
  return norn_fail(st, NORN_ETYPE, -1, "this %s of %s has values of shape %s, got %s",
                   d->row->name, e->base.row->name,
                   dist_shape_text(e->rank, e->dims, shape, sizeof shape), what);
}

norn_status lines_part(norn_state *st, const norn_dist *d, const lines *e, int64_t k,
                       norn_datum *out)
{
  norn_datum p[NORN_DIST_P], args[NORN_DIST_P] = {norn_none()};
  line l;
  double own[2];
  *out = norn_none();
  if (e->rank == 0 || k < 0 || k >= e->n || d->n > NORN_DIST_P) return NORN_OK;
  lines_at(e, k, &l, own);
  for (int i = 0; i < d->n; i++) args[i] = d->args[i];
  for (int i = 0; e->plain && i < e->base.n; i++)
    p[i] = e->grid.array[i] ? dist_view_at(&e->grid.view[i], k) : e->base.args[i];
  if (e->plain) args[e->base_at] = norn_dist_new(st, e->base.row, p, e->base.n);
  if (norn_is_none(args[e->base_at])) return norn_error(st)->code;
  for (int i = 0; i < e->nown; i++)
    if (e->own_array[i]) args[e->own_at[i]] = dist_view_at(&e->own[i], k);
  *out = norn_dist_new(st, d->row, args, d->n);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

norn_status lines_map(norn_state *st, const lines *e, lines_element f, void *with, bool real,
                      norn_datum *out)
{
  line l;
  double own[2], x;
  void *data;
  unsigned flags = norn_dist_flags(&e->base);
  norn_status status = NORN_OK;
  *out = norn_none();
  if (e->rank == 0) {
    lines_at(e, 0, &l, own);
    if ((status = f(st, &l, own, with, &x))) return status;
    *out = norn_real(x);
    return real || !isfinite(x) ? NORN_OK : line_datum(st, &l, x, out);
  }
  norn_elem elem = real ? NORN_F64 : flags & NORN_DIST_BOOL ? NORN_B8 :
      flags & NORN_DIST_DISCRETE ? NORN_I64 : NORN_F64;
  norn_datum a = norn_array(st, elem, e->rank, e->dims, &data), value;
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t k = 0; k < e->n; k++) {
    lines_at(e, k, &l, own);
    if ((status = f(st, &l, own, with, &x))) return status;
    if (elem != NORN_F64 && (status = line_datum(st, &l, x, &value))) return status;
    if (elem == NORN_F64) ((double *)data)[k] = x;
    else if (elem == NORN_I64) ((int64_t *)data)[k] = value.i;
    else ((uint8_t *)data)[k] = (uint8_t)value.i;
  }
  *out = a;
  return NORN_OK;
}
