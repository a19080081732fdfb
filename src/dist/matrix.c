/* matrix: vectors and matrices as arguments and values of distributions: views, checks that say
   which element is wrong, and what rounding needs. */
#include "dist/matrix.h"
#include "num/special.h"
#include <stdio.h>
#include <string.h>

/* ---- views ----------------------------------------------------------------------------------- */

bool dist_numbers(norn_datum x, int rank, norn_view *v)
{
  return norn_array_view(x, v) && (v->elem == NORN_F64 || v->elem == NORN_I64) &&
         (!rank || v->rank == rank);
}

void dist_fill(const norn_view *v, double *out)
{
  for (int64_t k = 0; k < v->n; k++) out[k] = dist_real_at(v, k);
}

void dist_fill_symmetric(const norn_view *v, double *out)
{
  int64_t n = v->dims[0];
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double a = dist_real_at(v, i * n + j), b = dist_real_at(v, j * n + i);
      out[i * n + j] = out[j * n + i] = a == b ? a : 0.5 * a + 0.5 * b;
    }
}

bool dist_is_symmetric(const norn_view *v, int64_t *row, int64_t *column)
{
  int64_t n = v->dims[0];
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) {
      double a = dist_real_at(v, i * n + j), b = dist_real_at(v, j * n + i);
      double scale = sqrt(fabs(dist_real_at(v, i * n + i))) *
                     sqrt(fabs(dist_real_at(v, j * n + j)));
      if (fabs(a - b) <= 1e-8 * fmax(scale, fmax(fabs(a), fabs(b)))) continue;
      *row = j;
      *column = i;
      return false;
    }
  return true;
}

int64_t dist_not_finite(const norn_view *v, bool finite)
{
  if (v->elem == NORN_I64) return -1;
  for (int64_t k = 0; k < v->n; k++)
    if (finite ? !isfinite(v->f[k]) : isnan(v->f[k])) return k;
  return -1;
}

/* "[2]" or "[1, 2]": where element k of a view stands. */
static const char *place_text(const norn_view *v, int64_t k, char *buf, size_t n)
{
  if (v->rank == 2)
    snprintf(buf, n, "[%lld, %lld]", (long long)(k / v->dims[1]), (long long)(k % v->dims[1]));
  else snprintf(buf, n, "[%lld]", (long long)k);
  return buf;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static norn_status wrong_kind(norn_state *st, const norn_dist *d, int i, const char *want)
{
  char name[40], what[120];
  return norn_fail(st, NORN_ETYPE, i, "%s of %s must be %s, got %s",
                   dist_param_name(d->row, i, name, sizeof name), d->row->name, want,
                   i < d->n ? norn_describe(st, d->args[i], what, sizeof what) : "nothing");
}

static norn_status wrong_number(norn_state *st, const norn_dist *d, int i, const char *want)
{
  char name[40];
  return norn_fail(st, NORN_EDOMAIN, i, "%s of %s must be %s, got %s",
                   dist_param_name(d->row, i, name, sizeof name), d->row->name, want,
                   norn_show(st, d->args[i], true, 40));
}

norn_status dist_want_number(norn_state *st, const norn_dist *d, int i, bool positive, double *out)
{
  if (i >= d->n || !norn_as_real(d->args[i], out)) return wrong_kind(st, d, i, "a number");
  if (!isfinite(*out) || (positive && !(*out > 0)))
    return wrong_number(st, d, i, positive ? "positive and finite" : "finite");
  return NORN_OK;
}

norn_status dist_want_above(norn_state *st, const norn_dist *d, int i, double least,
                            const char *text, double *out)
{
  char want[80];
  if (i >= d->n || !norn_as_real(d->args[i], out)) return wrong_kind(st, d, i, "a number");
  if (*out > least && isfinite(*out)) return NORN_OK;
  snprintf(want, sizeof want, "greater than %g (%s) and finite", least, text);
  return wrong_number(st, d, i, want);
}

static norn_status wrong_shape(norn_state *st, const norn_dist *d, int i, const norn_view *v,
                               int rank, int64_t n, int with)
{
  char name[40], other[40], want[40], go[80] = "", got[80];
  int64_t dims[] = {n, n};
  if (with >= 0)
    snprintf(go, sizeof go, " to go with %s", dist_param_name(d->row, with, other, sizeof other));
  return norn_fail(st, NORN_ETYPE, i, "%s of %s must have shape %s%s, got shape %s",
                   dist_param_name(d->row, i, name, sizeof name), d->row->name,
                   dist_shape_text(rank, dims, want, sizeof want), go,
                   dist_shape_text(v->rank, v->dims, got, sizeof got));
}

static norn_status all_finite(norn_state *st, const norn_dist *d, int i, const norn_view *v)
{
  char name[40], at[60];
  int64_t k = dist_not_finite(v, true);
  if (k < 0) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, i, "%s of %s must be finite, but element %s is %s",
                   dist_param_name(d->row, i, name, sizeof name), d->row->name,
                   place_text(v, k, at, sizeof at), norn_show(st, norn_real(v->f[k]), true, 40));
}

norn_status dist_want_vector(norn_state *st, const norn_dist *d, int i, int64_t n, norn_view *v)
{
  if (i >= d->n || !dist_numbers(d->args[i], 1, v))
    return wrong_kind(st, d, i, "a vector of numbers");
  if (v->n < 1) return wrong_kind(st, d, i, "a vector of at least one number");
  if (n && v->n != n) return wrong_shape(st, d, i, v, 1, n, -1);
  return all_finite(st, d, i, v);
}

norn_status dist_want_square(norn_state *st, const norn_dist *d, int i, int64_t n, int with,
                             norn_view *v)
{
  char name[40], got[80];
  if (i >= d->n || !dist_numbers(d->args[i], 0, v))
    return wrong_kind(st, d, i, "a square matrix of numbers");
  if (n && (v->rank != 2 || v->dims[0] != n || v->dims[1] != n))
    return wrong_shape(st, d, i, v, 2, n, with);
  if (v->rank != 2 || v->dims[0] != v->dims[1] || v->n < 1)
    return norn_fail(st, NORN_ETYPE, i, "%s of %s must be a square matrix, got shape %s",
                     dist_param_name(d->row, i, name, sizeof name), d->row->name,
                     dist_shape_text(v->rank, v->dims, got, sizeof got));
  return all_finite(st, d, i, v);
}

static norn_status not_symmetric(norn_state *st, const norn_dist *d, int i, const norn_view *v,
                                 int64_t row, int64_t column)
{
  char name[40];
  int64_t n = v->dims[0];
  return norn_fail(st, NORN_EDOMAIN, i,
                   "%s of %s must be symmetric, but element [%lld, %lld] is %.10g and element "
                   "[%lld, %lld] is %.10g", dist_param_name(d->row, i, name, sizeof name),
                   d->row->name, (long long)row, (long long)column,
                   dist_real_at(v, row * n + column), (long long)column, (long long)row,
                   dist_real_at(v, column * n + row));
}

norn_status dist_want_definite(norn_state *st, const norn_dist *d, int i, int64_t n, int with,
                               norn_view *v)
{
  dist_space s;
  int64_t row, column;
  norn_status status = dist_want_square(st, d, i, n, with, v);
  if (status) return status;
  if (!dist_is_symmetric(v, &row, &column)) return not_symmetric(st, d, i, v, row, column);
  double *a = dist_space_open(&s, st, v->n);
  if (!a) return NORN_EMEMORY;
  dist_fill_symmetric(v, a);
  status = dist_factor(st, d, i, a, v->dims[0]);
  dist_space_close(&s);
  return status;
}

norn_status dist_want_factor(norn_state *st, const norn_dist *d, int i, int64_t n, int with,
                             norn_view *v)
{
  char name[40];
  norn_status status = dist_want_square(st, d, i, n, with, v);
  if (status) return status;
  n = v->dims[0];
  for (int64_t k = 0; k < v->n; k++) {
    double a = dist_real_at(v, k);
    int64_t row = k / n, column = k % n;
    if (row < column ? a == 0 : row > column || a > 0) continue;
    return norn_fail(st, NORN_EDOMAIN, i, "%s of %s must %s, but element [%lld, %lld] is %.10g",
                     dist_param_name(d->row, i, name, sizeof name), d->row->name,
                     row < column ? "be lower triangular" : "have a positive diagonal",
                     (long long)row, (long long)column, a);
  }
  return NORN_OK;
}

/* The sum of squares of row i of L is a[i, i], of which rounding has left about n 2^-53: a smaller
   pivot says nothing. */
int64_t dist_cholesky(double *a, int64_t n, bool *rounding)
{
  int64_t minor = la_cholesky(a, n);
  *rounding = !minor;
  for (int64_t i = 0; !minor && i < n; i++) {
    double pivot = a[i * n + i], whole = la_dot(a + i * n, a + i * n, i + 1);
    if (pivot * pivot <= (double)n * 0x1p-53 * whole && i > 0) minor = i + 1;
  }
  return minor;
}

norn_status dist_factor(norn_state *st, const norn_dist *d, int i, double *a, int64_t n)
{
  char name[40];
  bool rounding;
  int64_t minor = dist_cholesky(a, n, &rounding);
  if (!minor) return NORN_OK;
  norn_fail(st, NORN_EDOMAIN, i, "%s of %s must be positive definite, but its leading minor of "
            "order %lld is %s", dist_param_name(d->row, i, name, sizeof name), d->row->name,
            (long long)minor, rounding ? "0 but for rounding" : "not positive");
  if (d->row->hint) norn_hint(st, "%s", d->row->hint);
  return NORN_EDOMAIN;
}

/* ---- values ---------------------------------------------------------------------------------- */

norn_status dist_want_value(norn_state *st, const norn_dist *d, norn_datum x, int rank,
                            const int64_t *dims, norn_view *v)
{
  char want[80], got[120], at[60];
  bool numbers = dist_numbers(x, 0, v);
  if (!numbers || v->rank != rank || memcmp(v->dims, dims, (size_t)rank * sizeof dims[0]))
    return norn_fail(st, NORN_ETYPE, -1, "a value of %s with these parameters has shape %s, got "
                     "%s%s", d->row->name, dist_shape_text(rank, dims, want, sizeof want),
                     numbers ? "shape " : "", numbers
                     ? dist_shape_text(v->rank, v->dims, got, sizeof got)
                     : norn_describe(st, x, got, sizeof got));
  int64_t k = dist_not_finite(v, false);
  if (k < 0) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, -1, "a value of %s has a nan at element %s", d->row->name,
                   place_text(v, k, at, sizeof at));
}

void dist_keep_definite(double *a, double *scratch, int64_t n)
{
  for (double shrink = 0x1p-52; shrink < 1; shrink *= 2) {
    memcpy(scratch, a, (size_t)(n * n) * sizeof *a);
    if (!la_cholesky(scratch, n)) return;
    for (int64_t k = 0; k < n * n; k++)
      if (k / n != k % n) a[k] -= shrink * a[k];
  }
}

/* With r(h) = log Gamma(h + 1/2) - log Gamma(h), an odd d begins by r(a) - 1/2 log a; each further
   pair of halves multiplies Gamma by its argument. */
double dist_gamma_rise(double a, int64_t d)
{
  double start = d & 1 ? 0.5 : 0, sum = d & 1 ? special_half_gamma_ratio(a) - 0.5 * v_log(a) : 0;
  for (int64_t k = 0; k < d / 2; k++) sum += v_log1p((start + (double)k) / a);
  return sum;
}

/* psi(a + d/2) - psi(a) - d/(2 a) in the same steps.  psi(a + 1/2) - psi(a) - 1/(2 a) for large a
   is the derivative of DLMF 5.11.13, as in student_t. */
double dist_gamma_rise_slope(double a, int64_t d)
{
  double start = d & 1 ? 0.5 : 0, sum = 0;
  if (d & 1) {
    double s = 1 / (a * a);
    sum = a < 20 ? special_digamma(a + 0.5) - special_digamma(a) - 0.5 / a :
          s * (1.0 / 8 - s * (1.0 / 64 - s * (1.0 / 128 - s * (17.0 / 2048))));
  }
  for (int64_t k = 0; k < d / 2; k++) {
    double b = start + (double)k;
    sum -= b / (a * (a + b));           /* 1/(a + b) - 1/a */
  }
  return sum;
}

/* ---- scratch memory -------------------------------------------------------------------------- */

double *dist_space_open(dist_space *s, norn_state *st, int64_t n)
{
  s->st = st;
  s->bytes = 0;
  s->p = s->small;
  if (n <= (int64_t)(sizeof s->small / sizeof s->small[0])) return s->p;
  s->p = n < (int64_t)1 << 58 ? norn_alloc(st, NULL, 0, (size_t)n * sizeof *s->p) : NULL;
  if (!s->p) {
    norn_fail(st, NORN_EMEMORY, -1, "not enough memory for a matrix");
    return NULL;
  }
  s->bytes = (size_t)n * sizeof *s->p;
  return s->p;
}

void dist_space_close(dist_space *s)
{
  if (s->bytes) norn_alloc(s->st, s->p, s->bytes, 0);
  s->bytes = 0;
}

double *dist_new_array(norn_state *st, int rank, const int64_t *dims, norn_datum *out)
{
  void *data = NULL;
  *out = norn_array(st, NORN_F64, rank, dims, &data);
  return norn_is_none(*out) ? NULL : data;
}
