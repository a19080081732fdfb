/* coords: continuous choices as points of R^n (coords.h). */
#include "infer/gradient/coords.h"

int64_t coords_count(norn_state *st, const norn_dist *d, norn_support *s)
{
  if (norn_dist_flags(d) & NORN_DIST_DISCRETE || engine_is_discrete(d)) return -1;
  if (norn_dist_support(st, d, s)) return norn_clear(st), -1;
  return s->kind >= NORN_SUPPORT_BOOL ? -1 : norn_support_free(s) * s->count;
}

static norn_support_kind between(double lower, double upper)
{
  if (lower == -HUGE_VAL) return upper == HUGE_VAL ? NORN_SUPPORT_REAL : NORN_SUPPORT_UPPER;
  return upper == HUGE_VAL ? NORN_SUPPORT_LOWER : NORN_SUPPORT_INTERVAL;
}

/* Where units have bounds of their own: *b (2 count); else NULL.  false: error set. */
static bool own_bounds(norn_state *st, const norn_dist *d, const norn_support *s, double **b)
{
  *b = NULL;
  if (s->lower == s->lower && s->upper == s->upper) return true;
  *b = engine_get(st, (size_t)(2 * s->count) * sizeof **b);
  return *b && !norn_dist_bounds(st, d, *b, *b + s->count);
}

static norn_support unit_of(const norn_support *s, const double *b, int64_t k)
{
  norn_support u = *s;
  if (!b) return u;
  u.lower = b[k];
  u.upper = b[s->count + k];
  if (u.kind <= NORN_SUPPORT_INTERVAL) u.kind = between(u.lower, u.upper);
  return u;
}

bool coords_of(norn_state *st, const norn_dist *d, const norn_support *s, norn_datum v, double *u,
               double *jacobian)
{
  int64_t elems = norn_support_elems(s), m = norn_support_free(s), n = norn_array_length(v);
  double *b, *x = engine_get(st, (size_t)(2 * elems) * sizeof *x);
  bool good = x && own_bounds(st, d, s, &b);
  for (int64_t k = 0; k < s->count && good; k++) {
    norn_support unit = unit_of(s, b, k);
    for (int64_t i = 0; i < elems; i++)
      if (n < 0) norn_as_real(v, &x[i]);
      else x[i] = norn_elem_real(v, k * elems + i);
    good = norn_support_unconstrain(&unit, x, u + k * m);
    if (good) norn_support_constrain(&unit, u + k * m, x + elems, jacobian);
  }
  if (x) engine_put(st, b, (size_t)(2 * s->count) * sizeof *b);
  engine_put(st, x, (size_t)(2 * elems) * sizeof *x);
  return good;
}

norn_datum coords_value(norn_state *st, const norn_dist *d, const norn_support *s, const double *u,
                        norn_datum like, double *jacobian)
{
  norn_view w;
  int64_t elems = norn_support_elems(s), m = norn_support_free(s);
  double one, *b;
  void *to = &one;
  norn_datum v = norn_unit();
  if (norn_array_view(like, &w)) v = norn_array(st, NORN_F64, w.rank, w.dims, &to);
  if (norn_is_none(v)) return v;
  bool good = own_bounds(st, d, s, &b);
  for (int64_t k = 0; good && k < s->count; k++) {
    norn_support unit = unit_of(s, b, k);
    norn_support_constrain(&unit, u + k * m, (double *)to + k * elems, jacobian);
  }
  engine_put(st, b, (size_t)(2 * s->count) * sizeof *b);
  if (!good) return norn_none();
  return norn_array_length(v) < 0 ? norn_real(one) : v;
}
