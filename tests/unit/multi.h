/* multi.h: multivariate distributions as plain numbers, for the tests of these families.  A piece is
   a parameter or a value: its kind, its size and its numbers; an instance is a family with its
   parameters and a value. */
#ifndef NORN_TEST_MULTI_H
#define NORN_TEST_MULTI_H
#include "dist/dist.h"
#include "num/rng.h"
#include "unit.h"

/* NUMBER, WHOLE: one; VECTOR: n; ROWS: (m, n); the square ones: (n, n); GAMMA: {mu, sigma2};
   PAIR: {mu (n), sigma (n, n)}; KERNEL: form n of kernel_of. */
typedef enum {
  NUMBER, WHOLE, VECTOR, ROWS, SYMMETRIC, LOWER, CORRELATION, FACTOR, SIMPLEX, GAMMA, PAIR, KERNEL
} piece_kind;
typedef struct { piece_kind kind; int n, m; double x[40]; } piece;
typedef struct { const char *name; int n; piece arg[4], value; } instance;

static inline int piece_size(const piece *p)
{
  static const int kernels[] = {2, 2, 2, 2, 3, 2, 4, 9};
  switch (p->kind) {
  case NUMBER: case WHOLE: return 1;
  case VECTOR: case SIMPLEX: return p->n;
  case ROWS: return p->m * p->n;
  case GAMMA: return 2;
  case PAIR: return p->n * (p->n + 1);
  case KERNEL: return kernels[p->n];
  default: return p->n * p->n;
  }
}

static inline norn_datum array_of(norn_state *st, int rank, int64_t m, int64_t n, const double *x)
{
  void *to = NULL;
  norn_datum a = norn_array(st, NORN_F64, rank, (int64_t[]){m, n}, &to);
  if (to) memcpy(to, x, (size_t)(rank == 2 ? m * n : m) * sizeof *x);
  return a;
}

static inline norn_datum record_of(norn_state *st, int n, const char *const *names,
                                   const norn_datum *v)
{
  return norn_record(st, n, names, v);
}

static inline norn_datum simple_kernel(norn_state *st, const char *name, int n,
                                       const char *const *params, const double *x)
{
  const char *names[4] = {"kernel"};
  norn_datum v[4] = {norn_cstring(st, name)};
  for (int i = 0; i < n; i++) {
    names[i + 1] = params[i];
    v[i + 1] = norn_real(x[i]);
  }
  return record_of(st, n + 1, names, v);
}

static inline norn_datum joined_kernel(norn_state *st, const char *name, norn_datum a, norn_datum b)
{
  static const char *const names[] = {"kernel", "parts"};
  norn_datum parts = norn_array_pack(st, (norn_datum[]){a, b}, 2);
  return record_of(st, 2, names, (norn_datum[]){norn_cstring(st, name), parts});
}

/* 0..5: the simple ones; 6: a product of two; 7: rbf * periodic + linear * matern52 */
static inline norn_datum kernel_of(norn_state *st, int form, const double *x)
{
  static const char *const names[] = {"rbf", "matern12", "matern32", "matern52", "periodic",
                                      "linear"};
  static const char *const two_[] = {"alpha", "rho"}, *const three_[] = {"rho", "alpha", "period"},
    *const line_[] = {"alpha", "bias"};
  if (form < 4) return simple_kernel(st, names[form], 2, two_, x);
  if (form == 4) return simple_kernel(st, names[4], 3, three_, x);   /* an order of its own */
  if (form == 5) return simple_kernel(st, names[5], 2, line_, x);
  if (form == 6)
    return joined_kernel(st, "product", kernel_of(st, 2, x), kernel_of(st, 0, x + 2));
  return joined_kernel(st, "sum", joined_kernel(st, "product", kernel_of(st, 0, x),
                                                kernel_of(st, 4, x + 2)),
                       joined_kernel(st, "product", kernel_of(st, 5, x + 5),
                                     kernel_of(st, 3, x + 7)));
}

static inline norn_datum piece_datum(norn_state *st, const piece *p)
{
  static const char *const gamma_[] = {"mu", "sigma2"}, *const pair_[] = {"mu", "sigma"};
  switch (p->kind) {
  case NUMBER: return norn_real(p->x[0]);
  case WHOLE: return norn_int((int64_t)p->x[0]);
  case VECTOR: case SIMPLEX: return array_of(st, 1, p->n, 0, p->x);
  case ROWS: return array_of(st, 2, p->m, p->n, p->x);
  case GAMMA:
    return record_of(st, 2, gamma_, (norn_datum[]){norn_real(p->x[0]), norn_real(p->x[1])});
  case PAIR:
    return record_of(st, 2, pair_, (norn_datum[]){array_of(st, 1, p->n, 0, p->x),
                                                 array_of(st, 2, p->n, p->n, p->x + p->n)});
  case KERNEL: return kernel_of(st, p->n, p->x);
  default: return array_of(st, 2, p->n, p->n, p->x);
  }
}

/* NONE and the error in the state when the parameters are refused. */
static inline norn_datum instance_dist(norn_state *st, const instance *f)
{
  norn_datum args[4];
  for (int i = 0; i < f->n; i++) args[i] = piece_datum(st, &f->arg[i]);
  const norn_dist_row *row = dist_find(f->name);
  return row ? norn_dist_new(st, row, args, f->n) : norn_none();
}

static inline double instance_logp(norn_state *st, const instance *f)
{
  norn_dist d;
  double logp = (double)NAN;
  norn_datum v = instance_dist(st, f);
  if (!norn_dist_view(v, &d) || norn_dist_logp(st, &d, piece_datum(st, &f->value), &logp))
    fprintf(stderr, "  %s: %s\n", f->name, norn_error(st) ? norn_error(st)->text : "?");
  return logp;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static inline norn_rng stream_of(uint32_t lane) { return (norn_rng){2026, lane, 3, 0, 0, NULL}; }

/* A positive definite matrix a a' + shift I from a normal a. */
static inline void random_definite(norn_rng *g, int n, double shift, double *out)
{
  double a[36];
  for (int k = 0; k < n * n; k++) a[k] = rng_normal(g);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      double sum = i == j ? shift : 0;
      for (int k = 0; k < n; k++) sum += a[i * n + k] * a[j * n + k];
      out[i * n + j] = sum;
    }
}

static inline void random_lower(norn_rng *g, int n, double *out)
{
  for (int k = 0; k < n * n; k++)
    out[k] = k / n > k % n ? rng_normal(g) : k / n == k % n ? 0.5 + rng_uniform(g) : 0;
}

/* The diagonal of a lower triangle whose rows have length 1. */
static inline void close_factor(int n, double *l)
{
  for (int i = 0; i < n; i++) {
    double left = 1;
    for (int j = 0; j < i; j++) left -= l[i * n + j] * l[i * n + j];
    l[i * n + i] = sqrt(left);
  }
}

static inline void random_factor(norn_rng *g, int n, double *l)
{
  memset(l, 0, (size_t)(n * n) * sizeof *l);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) l[i * n + j] = (2 * rng_uniform(g) - 1) / sqrt(i + 0.5);
  close_factor(n, l);
}

static inline void product_with_self(int n, const double *l, double *out)   /* l l' */
{
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      out[i * n + j] = 0;
      for (int k = 0; k < n; k++) out[i * n + j] += l[i * n + k] * l[j * n + k];
    }
}

/* The textbook's Cholesky factor, and L^-1 b in place. */
static inline void plain_factor(int n, const double *a, double *l)
{
  memset(l, 0, (size_t)(n * n) * sizeof *l);
  for (int i = 0; i < n; i++)
    for (int j = 0; j <= i; j++) {
      double s = a[i * n + j];
      for (int k = 0; k < j; k++) s -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i == j ? sqrt(s) : s / l[j * n + j];
    }
}

static inline void plain_solve(int n, const double *l, double *b)
{
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < i; k++) b[i] -= l[i * n + k] * b[k];
    b[i] /= l[i * n + i];
  }
}
#endif
