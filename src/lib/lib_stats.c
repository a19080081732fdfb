/* lib_stats.c: mean, spread, quantiles, covariance: of arrays, posteriors and distributions.

   A statistic replaces each number of a value by that number's statistic over the collection: of
   records it gives a record, of vectors a vector.  An array is a collection with equal weights, a
   posterior one with its own; other distributions answer for themselves (lib_dist.c).

   Variances divide by n - 1; with weights w of sum 1 by 1 - sum w^2, which is the same for equal
   ones; of an exact posterior nothing is corrected.  Quantiles are type 7 of Hyndman and Fan (1996)
   for arrays and equally weighted reals; weighted reals interpolate between the middles of the
   steps of the distribution function; of integers and exact posteriors it is the least value that
   reaches p. */
#include "lib/lib.h"
#include "lib/dists.h"
#include "num/la.h"
#include "num/stats.h"
#include <math.h>
#include <string.h>

typedef enum { MEAN, VARIANCE, SD, QUANTILE } statistic;
static const char *const names[] = { "mean", "variance", "sd", "quantile" };

typedef struct query {
  norn_state *st;
  statistic what;
  const double *w;        /* (n), sum 1; NULL: equal */
  bool posterior, exact;
  const double *p;        /* (np): probabilities of QUANTILE */
  int64_t np;
  bool many;              /* p was an array */
} query;

/* ---- one column of numbers ---- */

static double variance_of(const query *q, const double *x, int64_t n)
{
  double v = stats_weighted_variance(x, q->w, n);
  if (q->exact) return v;
  if (!q->w) return v * (double)n / (double)(n - 1);
  double squares = 0;
  for (int64_t k = 0; k < n; k++) squares += q->w[k] * q->w[k];
  return v / (1 - squares);
}

/* The least value whose cumulative weight reaches p, but for rounding. */
static double inverse_cdf(const query *q, const double *x, const int64_t *order, int64_t n,
                          double p)
{
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    sum += q->w ? q->w[order[k]] : 1.0 / (double)n;
    if (sum >= p - 1e-12 && (p > 0 || sum > 0)) return x[order[k]];
  }
  return x[order[n - 1]];
}

static double quantile_7(const double *x, const int64_t *order, int64_t n, double p)
{
  double at = p * (double)(n - 1);
  int64_t k = (int64_t)floor(at);
  double lo = x[order[k]], hi = x[order[k + 1 < n ? k + 1 : k]];
  return at == (double)k || lo == hi ? lo : lo + (at - (double)k) * (hi - lo);
}

/* The statistic of n numbers into out: q->np of them for quantiles, else one. */
static bool column(const query *q, const double *x, int64_t n, bool whole, double *out)
{
  if (q->what == MEAN) *out = q->w ? stats_weighted_mean(x, q->w, n) : stats_mean(x, n);
  else if (q->what != QUANTILE) {
    *out = variance_of(q, x, n);
    if (q->what == SD) *out = sqrt(*out);
  } else {
    int64_t *order = lib_order(q->st, x, n);
    if (!order) return false;
    for (int64_t k = 0; k < q->np; k++) {
      if (n && isnan(x[order[n - 1]])) out[k] = NAN;
      else if (q->exact || (q->posterior && whole)) out[k] = inverse_cdf(q, x, order, n, q->p[k]);
      else if (q->w) out[k] = stats_quantile_weighted(x, q->w, order, n, q->p[k]);
      else out[k] = quantile_7(x, order, n, q->p[k]);
    }
  }
  return true;
}

/* ---- values of any structure ---- */

static norn_status collect(const query *q, norn_datum values, norn_datum *out);

static norn_status unfit(const query *q, norn_datum v)
{
  char got[160];
  norn_status code;
  if (v.tag == NORN_MISSING) {
    code = norn_fail(q->st, NORN_ETYPE, 0, "the %s of an array with missing values",
                     names[q->what]);
    norn_hint(q->st, "filter(xs, x -> not is_missing(x)) leaves them out");
    return code;
  }
  code = norn_fail(q->st, NORN_ETYPE, 0, "the %s of %s has no meaning", names[q->what],
                   norn_describe(q->st, v, got, sizeof got));
  if (lib_is_posterior(v)) lib_hint_each(q->st);
  return code;
}

/* Packed numbers of any rank: a statistic per column of the rows. */
static norn_status numbers(const query *q, const norn_view *v, norn_datum *out)
{
  int64_t n = v->dims[0], row = lib_row(v), dims[NORN_RANK_MAX],
          each = q->what == QUANTILE ? q->np : 1;
  norn_datum keep, a;
  void *p = NULL;
  double *x = lib_reals(q->st, n, &keep), *r = x ? lib_reals(q->st, row * each, &a) : NULL;
  bool whole = v->elem != NORN_F64;
  if (n == 1 && !q->exact && (q->what == VARIANCE || q->what == SD))
    return norn_fail(q->st, NORN_EDOMAIN, 0, "the %s of a single value is not defined",
                     names[q->what]);
  if (!r) return lib_failed(q->st);
  for (int64_t j = 0; j < row; j++) {
    for (int64_t k = 0; k < n; k++)
      x[k] = v->elem == NORN_F64   ? v->f[k * row + j]
             : v->elem == NORN_I64 ? (double)v->i[k * row + j]
                                   : v->b[k * row + j] != 0;
    if (!column(q, x, n, whole, r + j * each)) return lib_failed(q->st);
  }
  int rank = v->rank - 1;
  memcpy(dims, v->dims + 1, sizeof dims - sizeof dims[0]);
  if (q->many && rank < NORN_RANK_MAX) dims[rank++] = each;
  bool ints = v->elem == NORN_I64 && q->posterior && q->what == QUANTILE;
  if (rank == 0) {
    *out = ints ? norn_int((int64_t)r[0]) : norn_real(r[0]);
    return NORN_OK;
  }
  a = norn_array(q->st, ints ? NORN_I64 : NORN_F64, rank, dims, &p);
  if (norn_is_none(a)) return lib_failed(q->st);
  for (int64_t k = 0; k < row * each; k++)
    if (ints) ((int64_t *)p)[k] = (int64_t)r[k];
    else ((double *)p)[k] = r[k];
  *out = a;
  return NORN_OK;
}

static norn_status records(const query *q, norn_datum values, const norn_view *v, norn_datum *out)
{
  norn_datum keep, unused;
  int m = norn_record_size(v->v[0]);
  norn_datum *field = lib_values(q->st, v->n, &keep),
             *result = field ? lib_values(q->st, m, &keep) : NULL;
  const char **name = result ? (const char **)(void *)lib_ints(q->st, m, &keep) : NULL;
  if (!name) return lib_failed(q->st);
  (void)values;
  for (int j = 0; j < m; j++) {
    name[j] = norn_record_at(q->st, v->v[0], j, &unused);
    for (int64_t k = 0; k < v->n; k++) {
      field[k] = norn_record_size(v->v[k]) < 0 ? norn_none()
                                               : norn_record_get(q->st, v->v[k], name[j]);
      if (norn_is_none(field[k]))
        return norn_fail(q->st, NORN_ETYPE, 0, "the %s of records where some have no field \"%s\"",
                         names[q->what], name[j]);
    }
    norn_datum packed = norn_array_pack(q->st, field, v->n);
    if (norn_is_none(packed)) return lib_failed(q->st);
    norn_status code = collect(q, packed, &result[j]);
    if (code) return code;
  }
  return lib_give(q->st, norn_record(q->st, m, name, result), out);
}

/* Numbers among which are bigs count as doubles: their spread needs no more. */
static norn_status rounded(const query *q, const norn_view *v, norn_datum *out)
{
  norn_datum a;
  norn_view packed;
  double *x = lib_reals(q->st, v->n, &a);
  if (!x) return lib_failed(q->st);
  for (int64_t k = 0; k < v->n; k++)
    if (!norn_as_real(v->v[k], &x[k])) return unfit(q, v->v[k]);
  norn_array_view(a, &packed);
  return numbers(q, &packed, out);
}

static norn_status collect(const query *q, norn_datum values, norn_datum *out)
{
  norn_view v;
  if (!norn_array_view(values, &v)) return unfit(q, values);
  if (v.dims[0] == 0)
    return norn_fail(q->st, NORN_EDOMAIN, 0, "%s of an empty array", names[q->what]);
  if (v.elem != NORN_VALUES) return numbers(q, &v, out);
  if (v.rank == 1 && norn_record_size(v.v[0]) >= 0) return records(q, values, &v, out);
  return v.rank == 1 ? rounded(q, &v, out) : unfit(q, v.v[0]);
}

/* ---- what a native was asked about ---- */

bool lib_weights(norn_state *st, const norn_posterior *post, const double **w)
{
  norn_view v;
  *w = NULL;
  if (!norn_array_view(post->weights, &v)) return true;   /* equal weights need no column */
  if (v.elem != NORN_F64 || v.n != post->n) {
    norn_fail(st, NORN_EUSE, 0, "this posterior has %lld draws and %lld weights",
              (long long)post->n, (long long)v.n);
    return false;
  }
  bool equal = true;
  for (int64_t k = 1; k < v.n && equal; k++) equal = v.f[k] == v.f[0];
  if (!equal) *w = v.f;
  return true;
}

static norn_status asked(query *q, const norn_datum *args, norn_datum *out)
{
  norn_posterior post;
  norn_dist d;
  if (lib_is_posterior(args[0]) && norn_posterior_view(q->st, args[0], &post)) {
    q->posterior = true;
    q->exact = post.exact;
    if (!lib_weights(q->st, &post, &q->w)) return lib_failed(q->st);
    return collect(q, post.values, out);
  }
  if (norn_dist_view(args[0], &d)) {
    if (q->what == QUANTILE) return dists_quantiles(q->st, &d, q->p, q->many ? q->np : -1, out);
    return dists_moment(q->st, &d,
                        q->what == MEAN ? DISTS_MEAN
                        : q->what == SD ? DISTS_SD
                                        : DISTS_VARIANCE,
                        out);
  }
  if (norn_array_length(args[0]) < 0)
    return lib_wrong(q->st, args, 0, "the argument", "an array, a posterior or a distribution");
  return collect(q, args[0], out);
}

static norn_status s_mean(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  query q = { .st = st, .what = MEAN };
  norn_view v;
  (void)n;
  if (args[0].tag == NORN_ARRAY && lib_has_big(args, 1) && norn_array_view(args[0], &v)) {
    norn_datum two[2] = { norn_none(), norn_int(v.n) };
    norn_status code = lib_big_fold(st, "+", v.v, v.n, &two[0]);
    return code ? code : norn_big_apply(st, "/", two, 2, out);
  }
  return asked(&q, args, out);
}

static norn_status s_variance(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  query q = { .st = st, .what = VARIANCE };
  (void)n;
  return asked(&q, args, out);
}

static norn_status s_sd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  query q = { .st = st, .what = SD };
  (void)n;
  return asked(&q, args, out);
}

static norn_status s_median(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const double half = 0.5;
  query q = { .st = st, .what = QUANTILE, .p = &half, .np = 1 };
  (void)n;
  return asked(&q, args, out);
}

static norn_status s_quantile(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  double one;
  query q = { .st = st, .what = QUANTILE, .p = &one, .np = 1 };
  (void)n;
  if (!norn_as_real(args[1], &one)) {
    q.many = true;
    if (!(q.p = norn_want_reals(st, args, 1, "the probability", &q.np))) return lib_failed(st);
  }
  for (int64_t k = 0; k < q.np; k++)
    if (!(q.p[k] >= 0 && q.p[k] <= 1))
      return norn_fail(st, NORN_EDOMAIN, 1, "a probability must be between 0 and 1, got %g",
                       q.p[k]);
  return asked(&q, args, out);
}

/* ---- two columns ---- */

typedef struct pair { const double *x, *y, *w; int64_t n; bool exact; } pair;

static const double *reals_of(norn_state *st, const norn_datum *args, int i, norn_datum *values,
                              norn_posterior *post, int64_t *n)
{
  *values = args[i];
  if (lib_is_posterior(args[i]) && norn_posterior_view(st, args[i], post)) *values = post->values;
  norn_datum pack[3] = { norn_none(), norn_none(), norn_none() };
  pack[i] = *values;
  return norn_want_reals(st, pack, i, "each argument", n);
}

static norn_status pair_of(norn_state *st, const norn_datum *args, pair *p)
{
  norn_posterior post[2];
  norn_datum v[2];
  int64_t n[2];
  bool is[2] = { lib_is_posterior(args[0]), lib_is_posterior(args[1]) };
  if (is[0] != is[1])
    return norn_fail(st, NORN_ETYPE, 1, "two arrays or two posteriors are needed, got one of each");
  p->x = reals_of(st, args, 0, &v[0], &post[0], &n[0]);
  p->y = p->x ? reals_of(st, args, 1, &v[1], &post[1], &n[1]) : NULL;
  if (!p->y) return lib_failed(st);
  p->w = NULL;
  p->exact = false;
  p->n = n[0];
  if (n[0] != n[1])
    return norn_fail(st, NORN_ETYPE, 1, "%lld numbers beside %lld", (long long)n[0],
                     (long long)n[1]);
  if (!is[0]) return NORN_OK;
  p->exact = post[0].exact;
  if (!norn_equal(post[0].weights, post[1].weights)) {
    norn_status code = norn_fail(st, NORN_ETYPE, 1, "the two posteriors are not fields of one");
    norn_hint(st, "cov(post.a, post.b) pairs the draws of post");
    return code;
  }
  return lib_weights(st, &post[0], &p->w) ? NORN_OK : lib_failed(st);
}

static double covariance(const pair *p)
{
  double c = stats_covariance(p->x, p->y, p->w, p->n), squares = 0;
  if (p->exact) return c;
  if (!p->w) return c * (double)p->n / (double)(p->n - 1);
  for (int64_t k = 0; k < p->n; k++) squares += p->w[k] * p->w[k];
  return c / (1 - squares);
}

/* What sums of products are divided by. */
static double divisor(const pair *p)
{
  double squares = 0;
  if (!p->w) return p->exact ? (double)p->n : (double)(p->n - 1);
  for (int64_t k = 0; k < p->n && !p->exact; k++) squares += p->w[k] * p->w[k];
  return 1 - squares;
}

/* Two copies of x (n, m) without the means of its columns, one of them times the weights; rows of
   weight 0 are 0 in both, since they may be infinite. */
static bool centred(norn_state *st, const pair *p, const double *x, int64_t m, double **plain,
                    double **weighted)
{
  norn_datum keep;
  int64_t n = p->n;
  double *column = lib_reals(st, n, &keep);
  *plain = column ? lib_reals(st, n * m, &keep) : NULL;
  *weighted = *plain && p->w ? lib_reals(st, n * m, &keep) : *plain;
  if (!*weighted) return false;
  for (int64_t j = 0; j < m; j++) {
    for (int64_t k = 0; k < n; k++) column[k] = x[k * m + j];
    double mean = stats_weighted_mean(column, p->w, n);
    for (int64_t k = 0; k < n; k++) {
      bool counts = !p->w || p->w[k] != 0;
      (*plain)[k * m + j] = counts ? column[k] - mean : 0;
      if (p->w) (*weighted)[k * m + j] = counts ? p->w[k] * (column[k] - mean) : 0;
    }
  }
  return true;
}

/* c (m, m): covariances become correlations; then both halves are the same. */
static void finish_matrix(double *c, int64_t m, bool correlation)
{
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < i; j++) {
      if (correlation) c[i * m + j] /= sqrt(c[i * m + i] * c[j * m + j]);
      c[j * m + i] = c[i * m + j];
    }
  for (int64_t i = 0; i < m && correlation; i++) c[i * m + i] /= c[i * m + i];
}

/* The matrix of the columns of an array (n, k) or of a posterior of vectors. */
static norn_status matrix_of(norn_state *st, const norn_datum *args, bool correlation,
                             norn_datum *out)
{
  norn_posterior post;
  norn_datum values;
  norn_view v;
  pair p = { .exact = false };
  void *r = NULL;
  double *plain, *weighted;
  const double *x = reals_of(st, args, 0, &values, &post, &p.n);
  if (!x) return lib_failed(st);
  if (!norn_array_view(values, &v) || v.rank != 2)
    return lib_wrong(st, args, 0, "a single argument", "a matrix (n, k) or a posterior of vectors");
  if (lib_is_posterior(args[0])) {
    p.exact = post.exact;
    if (!lib_weights(st, &post, &p.w)) return lib_failed(st);
  }
  int64_t m = v.dims[1], dims[2] = { m, m };
  p.n = v.dims[0];
  if (p.n < 2 && !p.exact)
    return norn_fail(st, NORN_EDOMAIN, 0, "two or more rows are needed, got %lld",
                     (long long)p.n);
  *out = norn_array(st, NORN_F64, 2, dims, &r);
  if (norn_is_none(*out) || !centred(st, &p, x, m, &plain, &weighted)) return lib_failed(st);
  la_mul(true, false, m, m, p.n, 1 / divisor(&p), plain, weighted, 0, r);
  finish_matrix(r, m, correlation);
  return NORN_OK;
}

static norn_status two(norn_state *st, const norn_datum *args, int n, bool correlation,
                       norn_datum *out)
{
  pair p;
  if (!lib_given(args, 1, n)) return matrix_of(st, args, correlation, out);
  norn_status code = pair_of(st, args, &p);
  if (code) return code;
  if (p.n < 2)
    return norn_fail(st, NORN_EDOMAIN, 0, "two or more pairs are needed, got %lld", (long long)p.n);
  *out = norn_real(correlation ? stats_correlation(p.x, p.y, p.w, p.n) : covariance(&p));
  return NORN_OK;
}

static norn_status s_cov(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return two(st, args, n, false, out);
}

static norn_status s_cor(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return two(st, args, n, true, out);
}

/* ---- the table ---- */

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("mean", "x", s_mean,
     "The mean of an array, posterior or distribution; of records and vectors, that of each part.",
     "mean([1, 2, 6])", "3.0"),
  FN("variance", "x", s_variance, "The variance (of an array over n - 1), part by part as mean.",
     "variance([1, 2, 6])", "7.0"),
  FN("var", "x", s_variance, "The variance: another name of variance.", "var([1, 2, 6])", "7.0"),
  FN("sd", "x", s_sd, "The standard deviation, part by part as mean.", "sd([1, 3, 5])", "2.0"),
  FN("median", "x", s_median, "The median, part by part as mean.", "median([1, 2, 6])", "2.0"),
  FN("quantile", "x, p", s_quantile,
     "The quantile at probability p (or each of an array) of an array, posterior or distribution.",
     "quantile([1, 2, 6], [0, 0.75])", "[1.0, 4.0]"),
  FN("cov", "x, y = missing", s_cov,
     "The covariance of two arrays or posteriors, or the matrix of one with vectors as elements.",
     "cov([1, 2, 3], [2, 4, 6])", "2.0"),
  FN("cor", "x, y = missing", s_cor,
     "The correlation of two arrays or posteriors, or the matrix of one with vectors as elements.",
     "cor([1, 2, 3], [6, 4, 2])", "-1.0"),
};

norn_status lib_stats_open(norn_state *st)
{
  norn_status code = norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
  return code ? code : norn_add_natives(st, "stats", natives, NORN_COUNT(natives));
}
