/* metric: the mass matrix of Hamiltonian dynamics, as unit, diagonal, dense, or a diagonal with a
   correction of low rank (Seyboldt, Carlson, Carpenter 2026, "Preconditioning Hamiltonian Monte
   Carlo by minimizing Fisher divergence", arXiv 2603.18845):

       M^-1 = D (I + U' (L - I) U) D,   M = D^-1 (I + U' (L^-1 - I) U) D^-1,
       p = D^-1 (z + U' (L^-1/2 - I) U z) is normal(0, M) for z normal(0, I). */
#include "infer/gradient/hmc.h"
#include "num/la.h"
#include "num/rng.h"
#include <string.h>

const char *const metric_names[METRIC_COUNT] = {"diag", "dense", "low_rank", "unit"};

static size_t square(const metric *m)
{
  return m->kind == METRIC_DENSE ? (size_t)(m->n * m->n) : 0;
}

bool metric_new(norn_state *st, metric *m, metric_kind kind, int64_t n, int64_t most)
{
  *m = (metric){.kind = kind, .n = n, .most = kind == METRIC_LOW_RANK ? most : 0};
  size_t size = (size_t)(2 * n + 2 * m->most + n * m->most + 1);
  m->scale = engine_get(st, size * sizeof *m->scale);
  if (kind == METRIC_DENSE) {
    m->full = engine_get(st, square(m) * sizeof *m->full);
    m->factor = engine_get(st, square(m) * sizeof *m->factor);
  }
  if (!m->scale || (kind == METRIC_DENSE && (!m->full || !m->factor))) return false;
  m->value = m->scale + n;
  m->work = m->value + m->most;
  m->u = m->work + n + m->most;
  metric_unit(m);
  return true;
}

void metric_free(norn_state *st, metric *m)
{
  size_t size = (size_t)(2 * m->n + 2 * m->most + m->n * m->most + 1);
  engine_put(st, m->scale, size * sizeof *m->scale);
  engine_put(st, m->full, square(m) * sizeof *m->full);
  engine_put(st, m->factor, square(m) * sizeof *m->factor);
  *m = (metric){.n = 0};
}

void metric_diagonal(metric *m, const double *x)
{
  int64_t n = m->n;
  m->rank = 0;
  for (int64_t i = 0; i < n; i++) m->scale[i] = sqrt(x[i]);
  if (m->kind != METRIC_DENSE) return;
  memset(m->full, 0, square(m) * sizeof *m->full);
  memset(m->factor, 0, square(m) * sizeof *m->factor);
  for (int64_t i = 0; i < n; i++) {
    m->full[i * n + i] = x[i];
    m->factor[i * n + i] = m->scale[i];
  }
}

void metric_unit(metric *m)
{
  for (int64_t i = 0; i < m->n; i++) m->work[i] = 1;
  metric_diagonal(m, m->work);
}

bool metric_factor(metric *m)
{
  memcpy(m->factor, m->full, square(m) * sizeof *m->full);
  if (!la_cholesky(m->factor, m->n)) return true;
  metric_unit(m);
  return false;
}

void metric_velocity(const metric *m, const double *p, double *v)
{
  int64_t n = m->n;
  if (m->kind == METRIC_DENSE) {
    la_mul_vector(false, n, n, m->full, p, v);
    return;
  }
  if (!m->rank) {
    for (int64_t i = 0; i < n; i++) v[i] = m->scale[i] * m->scale[i] * p[i];
    return;
  }
  for (int64_t i = 0; i < n; i++) m->work[i] = v[i] = m->scale[i] * p[i];
  for (int64_t k = 0; k < m->rank; k++) {
    const double *u = m->u + k * n;
    double c = (m->value[k] - 1) * la_dot(u, m->work, n);
    for (int64_t i = 0; i < n; i++) v[i] += c * u[i];
  }
  for (int64_t i = 0; i < n; i++) v[i] *= m->scale[i];
}

void metric_momentum(const metric *m, norn_rng *g, double *p)
{
  int64_t n = m->n;
  for (int64_t i = 0; i < n; i++) p[i] = rng_normal(g);
  if (m->kind == METRIC_DENSE) {
    la_solve_lower(true, m->factor, n, p, 1);
    return;
  }
  if (m->rank) memcpy(m->work, p, (size_t)n * sizeof *p);
  for (int64_t k = 0; k < m->rank; k++) {
    const double *u = m->u + k * n;
    double c = (1 / sqrt(m->value[k]) - 1) * la_dot(u, m->work, n);
    for (int64_t i = 0; i < n; i++) p[i] += c * u[i];
  }
  for (int64_t i = 0; i < n; i++) p[i] /= m->scale[i];
}

/* ---- as Norn has it ---- */

static norn_datum numbers(norn_state *st, const double *x, int rank, int64_t rows, int64_t n)
{
  int64_t dims[] = {rows, n};
  void *to;
  norn_datum out = norn_array(st, NORN_F64, rank, rank == 2 ? dims : dims + 1, &to);
  if (!norn_is_none(out)) memcpy(to, x, (size_t)(rows * n) * sizeof *x);
  return out;
}

norn_datum metric_value(norn_state *st, const metric *m)
{
  static const char *const names[] = {"diagonal", "values", "vectors"};
  if (m->kind == METRIC_DENSE) return numbers(st, m->full, 2, m->n, m->n);
  for (int64_t i = 0; i < m->n; i++) m->work[i] = m->scale[i] * m->scale[i];
  norn_datum v[3] = {numbers(st, m->work, 1, 1, m->n)};
  if (m->kind != METRIC_LOW_RANK || norn_is_none(v[0])) return v[0];
  v[1] = numbers(st, m->value, 1, 1, m->rank);
  v[2] = numbers(st, m->u, 2, m->rank, m->n);
  return norn_is_none(v[1]) || norn_is_none(v[2]) ? norn_none() : norn_record(st, 3, names, v);
}

/* (rows, n) numbers, all finite; rows < 0: n numbers of rank 1. */
static bool take(norn_datum v, double *to, int64_t rows, int64_t n)
{
  norn_view a;
  int64_t all = rows < 0 ? n : rows * n;
  if (!norn_array_view(v, &a) || a.n != all || (all && a.rank != (rows < 0 ? 1 : 2))) return false;
  for (int64_t i = 0; i < all; i++)
    if (!isfinite(to[i] = norn_elem_real(v, i))) return false;
  return true;
}

bool metric_take(norn_state *st, metric *m, norn_datum v)
{
  int64_t n = m->n;
  if (m->kind == METRIC_DENSE) return take(v, m->full, n, n) && metric_factor(m);
  norn_datum diagonal = m->kind == METRIC_LOW_RANK ? norn_record_get(st, v, "diagonal") : v;
  if (!take(diagonal, m->work, -1, n)) return false;
  for (int64_t i = 0; i < n; i++) if (!(m->work[i] > 0)) return false;
  metric_diagonal(m, m->work);
  if (m->kind != METRIC_LOW_RANK) return true;
  norn_datum values = norn_record_get(st, v, "values");
  int64_t rank = norn_array_length(values);
  if (rank < 0 || rank > m->most || !take(values, m->value, -1, rank) ||
      !take(norn_record_get(st, v, "vectors"), m->u, rank, n))
    return false;
  for (int64_t k = 0; k < rank; k++) if (!(m->value[k] > 0)) return false;
  m->rank = rank;
  return true;
}

bool metric_archive(norn_archive *a, metric *m)
{
  size_t n = (size_t)m->n;
  norn_archive_i64(a, &m->rank);
  if (m->rank < 0 || m->rank > m->most) return norn_archive_fail(a, "the rank of a metric is none");
  norn_archive_bytes(a, m->scale, n * sizeof *m->scale);
  norn_archive_bytes(a, m->value, (size_t)m->rank * sizeof *m->value);
  norn_archive_bytes(a, m->u, (size_t)m->rank * n * sizeof *m->u);
  norn_archive_bytes(a, m->full, square(m) * sizeof *m->full);
  return norn_archive_bytes(a, m->factor, square(m) * sizeof *m->factor);
}
