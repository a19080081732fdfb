/* simplex: distributions of probability vectors: dirichlet. */
#include "dist/dist.h"
#include "num/special.h"
#include "num/stats.h"
#include "num/rng.h"

/* ---- dirichlet(alpha) ------------------------------------------------------------------------ */

static norn_status dirichlet_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  norn_view v;
  if (!d->n || !norn_array_view(d->args[0], &v) || v.rank != 1 || (v.elem != NORN_F64 &&
      v.elem != NORN_I64))
    return norn_fail(st, NORN_ETYPE, 0, "alpha of dirichlet must be an array of numbers, got %s",
                     d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
  if (v.n < 1) return norn_fail(st, NORN_EDOMAIN, 0, "alpha of dirichlet must not be empty");
  for (int64_t k = 0; k < v.n; k++) {
    double a = norn_elem_real(d->args[0], k);
    if (!(a > 0 && a < HUGE_VAL))
      return norn_fail(st, NORN_EDOMAIN, 0,
                       "alpha of dirichlet must be positive and finite, got %s at element %lld",
                       norn_show(st, norn_real(a), true, 40), (long long)k);
  }
  return NORN_OK;
}

/* Gamma draws over their sum, in logarithms so that tiny alphas do not give 0/0; inside the
   simplex. */
static norn_status dirichlet_sample(norn_state *st, const norn_dist *d, norn_rng *g,
                                    norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]);
  void *data;
  norn_datum a = norn_array(st, NORN_F64, 1, &n, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  double *x = data;
  for (int64_t k = 0; k < n; k++) x[k] = dist_draw_log_gamma(g, norn_elem_real(d->args[0], k));
  stats_normalise(x, x, n);
  for (int64_t k = 0; k < n; k++) x[k] = dist_clamp_positive(x[k]);
  *out = a;
  return NORN_OK;
}

static norn_status not_of_length(norn_state *st, int64_t n, norn_datum x)
{
  char what[120];
  return norn_fail(st, NORN_ETYPE, -1,
                   "a value of dirichlet must be an array of %lld numbers, got %s",
                   (long long)n, norn_describe(st, x, what, sizeof what));
}

/* log Gamma(sum alpha) - sum log Gamma(alpha) + sum (alpha - 1) log x; -inf off the simplex */
static norn_status dirichlet_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n = norn_array_length(d->args[0]);
  norn_view v;
  if (!norn_array_view(x, &v) || v.rank != 1 || v.n != n || (v.elem != NORN_F64 &&
      v.elem != NORN_I64))
    return not_of_length(st, n, x);
  stats_tree logp = {{0}}, total = {{0}}, sum = {{0}};
  bool inside = true;
  for (int64_t k = 0; k < n; k++) {
    double a = norn_elem_real(d->args[0], k), y = v.elem == NORN_F64 ? v.f[k] : (double)v.i[k];
    if (y != y) return norn_fail(st, NORN_ETYPE, -1,
                                 "a value of dirichlet has a nan at element %lld", (long long)k);
    if (y < 0) inside = false;
    else stats_tree_add(&logp, k, special_xlogy(a - 1, y) - special_lgamma(a));
    stats_tree_add(&total, k, a);
    stats_tree_add(&sum, k, y);
  }
  inside = inside && fabs(stats_tree_sum(&sum) - 1) <= 1e-8;
  *out = inside ? special_lgamma(stats_tree_sum(&total)) + stats_tree_sum(&logp) : -HUGE_VAL;
  return NORN_OK;
}

/* In x (alpha - 1) / x; in alpha psi(sum alpha) - psi(alpha) + log x.  As in logp, the entries of x
   are free: whatever map leads to the simplex brings the constraint. */
static norn_status dirichlet_partials(norn_state *st, const norn_dist *d, norn_datum x,
                                      double scale, double *gx, double *g)
{
  double logp, total = 0;
  norn_status status = dirichlet_logp(st, d, x, &logp);
  if (status || !(logp > -HUGE_VAL)) return status;
  int64_t n = norn_array_length(d->args[0]);
  for (int64_t k = 0; k < n; k++) total += norn_elem_real(d->args[0], k);
  double rise = special_digamma(total);
  for (int64_t k = 0; k < n; k++) {
    double a = norn_elem_real(d->args[0], k), y = norn_elem_real(x, k);
    if (gx && a != 1) gx[k] += scale * (a - 1) / y;
    if (g) g[k] += scale * (rise - special_digamma(a) + v_log(y));
  }
  return NORN_OK;
}

static void dirichlet_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_SIMPLEX, 0, 1, norn_array_length(d->args[0]), 1,
                        -1, -1};
}

static norn_status dirichlet_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                     norn_datum *variance)
{
  int64_t n = norn_array_length(d->args[0]);
  void *m, *v;
  double total = 0;
  *mean = norn_array(st, NORN_F64, 1, &n, &m);
  if (norn_is_none(*mean)) return norn_error(st)->code;
  *variance = norn_array(st, NORN_F64, 1, &n, &v);
  if (norn_is_none(*variance)) return norn_error(st)->code;
  for (int64_t k = 0; k < n; k++) total += norn_elem_real(d->args[0], k);
  for (int64_t k = 0; k < n; k++) {
    double p = norn_elem_real(d->args[0], k) / total;
    ((double *)m)[k] = p;
    ((double *)v)[k] = p * (1 - p) / (total + 1);
  }
  return NORN_OK;
}

static const norn_dist_row rows[] = {
  {.name = "dirichlet", .params = "alpha", .flags = NORN_DIST_CONTINUOUS,
   .doc = "A probability vector of len(alpha) entries, alpha > 0 (mean alpha/sum(alpha)).\n"
          "Density Gamma(sum alpha) / prod Gamma(alpha_k) prod x_k^(alpha_k - 1) on the simplex.",
   .check = dirichlet_check, .sample = dirichlet_sample, .logp = dirichlet_logp,
   .partials = dirichlet_partials, .support = dirichlet_support, .moments = dirichlet_moments},
};

const dist_shelf dist_simplexes = {rows, sizeof rows / sizeof rows[0]};
