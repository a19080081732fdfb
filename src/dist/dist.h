/* dist: the distributions, and how a call on one finds its way.

   A family is a norn_dist_row (norn.h) in a short file; a *shelf* is one file's table:

       norn_dist --> row ----------- check1, logp1, sample1, cdf1, ...     kernel.h has the formula

   dispatch.c makes products: a SCALAR row with array arguments is a grid of independent elements
   whose shape is the common shape of the arrays; scalars are the same for each.  block.c evaluates
   many elements at once.  Only norn.h is used below: a row from elsewhere works as well as one of
   ours. */
#ifndef NORN_DIST_H
#define NORN_DIST_H
#include "norn.h"
#include <math.h>

typedef struct dist_shelf { const norn_dist_row *rows; int n; } dist_shelf;
extern const dist_shelf dist_normals, dist_heavies, dist_gammas, dist_chis, dist_extremes,
  dist_paretos, dist_skews, dist_bounded, dist_counts,
  dist_links, dist_urns, dist_categories, dist_multinomials, dist_finites, dist_simplexes,
  dist_improper;
extern const dist_shelf dist_multi_normals, dist_lkjs, dist_wisharts, dist_gps, dist_glms;
/* Gives any number the log mass of d between two bounds, each missing or a number, that belong to it: what cdf, log_cdf and
   log_ccdf are in a recorded density, with the derivatives by d's parameters and by the bounds (truncate.c). */
extern const norn_dist_row dist_between;
extern const dist_shelf dist_truncate, dist_mixture, dist_products, dist_transforms, dist_inflated,
  dist_ordered, dist_noncentered, dist_empirical;
const dist_shelf *const *dist_shelves(int *n);
norn_status          dist_add_all(norn_state *);              /* norn_add_dists of every shelf */
const norn_dist_row *dist_find(const char *name);             /* NULL: no such family */
int                  dist_arity(const norn_dist_row *);       /* number of parameters */

/* ---- questions that norn.h has no call for: for src/lib and engines -------------------------- */

norn_status dist_cdf(norn_state *, const norn_dist *, norn_datum x, double *out);
norn_status dist_quantile(norn_state *, const norn_dist *, double prob, norn_datum *out);
/* The quantile of a single number whose row has none, from its distribution function. */
norn_status dist_invert(norn_state *, const norn_dist *, double prob, norn_datum *out);
/* log P(a < X <= b) of a single number, as the row's mass. */
norn_status dist_mass(norn_state *, const norn_dist *, double a, double b, double *out, double scale,
                      double *g);
norn_status dist_moments(norn_state *, const norn_dist *, norn_datum *mean, norn_datum *variance);
/* log P(X <= x) and log P(X > x) of a scalar family, by tails1 or else by cdf1. */
void        dist_tails(const norn_dist_row *, double x, const double *p, double *lower,
                       double *upper);

/* The map of a structured support in kernel_map.h, which generated code calls: NAME of map_NAME, and the two bounds
   that it takes.  NULL: it has none. */
const char *dist_map_kernel(const norn_support *, double bound[2]);

/* Of a family named *_glm (glm.c), in one pass: the log density, and derivatives by argument: what
   norn_dist_partials adds to the leaves of argument i is added to to[i], where that is not NULL,
   and work for what nobody wants is not done.  logp and gx may be NULL. */
norn_status dist_glm(norn_state *, const norn_dist *, norn_datum x, double scale, double *logp,
                     double *gx, double *const to[4]);

/* A number for checks, draws and distribution functions; a big that doubles can't hold becomes the
   nearest one that is neither 0 nor infinite. */
static inline bool dist_number(norn_datum v, double *x)
{
  norn_big_parts b;
  if (!norn_as_real(v, x)) return false;
  if (v.tag != NORN_BIG || !norn_big_view(v, &b) || b.kind != NORN_BIG_FINITE) return true;
  if (fabs(*x) < 2.2250738585072014e-308) *x = b.sign * 2.2250738585072014e-308;
  if (fabs(*x) > 1.7976931348623157e308) *x = b.sign * 1.7976931348623157e308;
  return true;
}

/* The parameters of a SCALAR row if all are numbers. */
static inline bool dist_scalars(const norn_dist *d, double p[NORN_DIST_P])
{
  for (int i = 0; i < d->n; i++)
    if (!dist_number(d->args[i], &p[i])) return false;
  return true;
}

/* ---- within src/dist ------------------------------------------------------------------------- */

/* The arguments of a SCALAR row as a grid of n elements; rank 0 and n = 1 if all are numbers. */
typedef struct dist_grid {
  int rank, nargs;
  int64_t n, dims[NORN_RANK_MAX];
  bool array[NORN_DIST_P];
  double number[NORN_DIST_P];
  norn_view view[NORN_DIST_P];
} dist_grid;
norn_status dist_grid_fill(norn_state *, const norn_dist *, dist_grid *);
void        dist_grid_at(const dist_grid *, int64_t k, double p[NORN_DIST_P]);
/* The log density of a product and its value, an array of g->n elements; and as
   norn_dist_partials. */
norn_status dist_rows_logp(norn_state *, const norn_dist *, const dist_grid *g, const norn_view *x,
                           double *out);
norn_status dist_rows_partials(norn_state *, const norn_dist *, const dist_grid *g,
                               const norn_view *x, double scale, double *gx, double *leaf);
/* A draw of a product, an array of the grid's shape. */
norn_status dist_rows_sample(norn_state *, const norn_dist_row *, const dist_grid *g, norn_rng *,
                             norn_datum *out);
/* Elements k .. k+n of an array as doubles of the row's kind, where they lie or in the buffer, or
   an error about the first that is none. */
norn_status dist_values_at(norn_state *, const norn_dist_row *, const norn_view *, int64_t k,
                           int64_t n, double *buffer, const double **out);
/* A value as a double of the row's kind (number, integer, boolean), or an error that says what it
   is. */
norn_status dist_value(norn_state *, const norn_dist_row *, norn_datum x, double *out);
/* A draw as a datum of the row's kind; fails when it is too large for an integer. */
norn_status dist_datum(norn_state *, const norn_dist_row *, double x, norn_datum *out);
/* Element k of an array of any packing as a datum. */
norn_datum  dist_view_at(const norn_view *, int64_t k);
/* How many numbers (or booleans) are in a value, however nested. */
int64_t     dist_count_numbers(norn_datum);
int64_t     dist_leaves_of(norn_datum);       /* the numbers in an argument */
/* Where the leaves of argument i begin (norn_dist_leaves). */
int64_t     dist_leaf(const norn_dist *, int i);
/* "(2, 3)" */
const char *dist_shape_text(int rank, const int64_t *dims, char *buf, size_t n);
/* "mu" of "mu, sigma = 1"; for messages. */
const char *dist_param_name(const norn_dist_row *, int i, char *buf, size_t n);

/* The argument i as probabilities: a vector of numbers >= 0 of sum 1 (within 1e-8), or an error
   that says the sum.  `what` as "probabilities of categorical". */
norn_status dist_probabilities(norn_state *, const norn_dist *, int i, const char *what,
                               int64_t *n);

/* logp1 and partials1 of a row from its formula in kernel.h. */
#define DIST_FORMULA(name, ...) \
  static double name##_logp1(double x, const double *p) \
  { return name##_logp(NORN_KEEP_ALL, x, __VA_ARGS__); } \
  static double name##_partials1(double x, const double *p, double *d) \
  { return name##_partials(NORN_KEEP_ALL, x, __VA_ARGS__, d); }
#define DIST_FORMULA_1(name) DIST_FORMULA(name, p[0])
#define DIST_FORMULA_2(name) DIST_FORMULA(name, p[0], p[1])
#define DIST_FORMULA_3(name) DIST_FORMULA(name, p[0], p[1], p[2])

/* sample1 of a row from kernel_sample.h. */
#define DIST_SAMPLE(name, ...) \
  static double name##_sample1(const double *p, norn_rng *g) \
  { return (void)p, name##_sample(__VA_ARGS__); }
#define DIST_SAMPLE_0(name) DIST_SAMPLE(name, g)
#define DIST_SAMPLE_1(name) DIST_SAMPLE(name, g, p[0])
#define DIST_SAMPLE_2(name) DIST_SAMPLE(name, g, p[0], p[1])
#define DIST_SAMPLE_3(name) DIST_SAMPLE(name, g, p[0], p[1], p[2])

/* The argument i as an array, or a vector of length n, of finite numbers, or an error about the
   first that is none. */
norn_status dist_finite_array(norn_state *, const norn_dist *, int i, const char *what);
norn_status dist_finite_vector(norn_state *, const norn_dist *, int i, const char *what,
                               int64_t *n);

/* cdf_partials1 of a location and a scale, and of a scale: the density
   at x times how fast x moves where its probability stays. */
static inline double dist_cdf_scale(double density, double x, double at, double scale)
{
  return density > 0 ? -density * ((x - at) / scale) : 0;
}
#define DIST_CDF_LOCATION_SCALE(name) \
  static double name##_cdf_partials1(double x, const double *p, double *d) \
  { \
    d[0] = exp(name##_logp1(x, p)); \
    d[1] = -d[0]; \
    d[2] = dist_cdf_scale(d[0], x, p[0], p[1]); \
    return name##_cdf1(x, p); \
  }
#define DIST_CDF_SCALE(name) \
  static double name##_cdf_partials1(double x, const double *p, double *d) \
  { \
    d[0] = exp(name##_logp1(x, p)); \
    d[1] = dist_cdf_scale(d[0], x, 0, p[0]); \
    return name##_cdf1(x, p); \
  }

/* Different values of an array (finite.c). */
int64_t     dist_distinct(norn_state *, norn_datum xs, norn_datum weights, int64_t k,
                          int64_t *count);

/* Rows share these: range1 of the reals and of x > 0; support and enumerate from range1, moments
   from moments1. */
void        dist_everywhere(const double *p, double *lower, double *upper);
void        dist_positive(const double *p, double *lower, double *upper);
void        dist_scalar_support(norn_state *, const norn_dist *, norn_support *);
norn_status dist_scalar_enumerate(norn_state *, const norn_dist *, int64_t k, norn_datum *out);
norn_status dist_scalar_moments(norn_state *, const norn_dist *, norn_datum *mean,
                                norn_datum *variance);

/* x with P(X <= x) = exp lp (upper false) or P(X > x) = exp lp (upper true), inside (lo, hi), by
   Newton's method on the logarithm of the tail. */
double dist_solve_tail(const norn_dist_row *, const double *p, double lp, bool upper, double lo,
                       double hi, double start);
/* The smallest whole k in lo..hi with P(X <= k) >= exp lp, or with P(X > k) <= exp lp. */
double dist_search_tail(const norn_dist_row *, const double *p, double lp, bool upper, double lo,
                        double hi, double guess);
/* The quantile of a continuous family without a closed form. */
double dist_solve_quantile(const norn_dist_row *, double prob, const double *p, double start);
/* The smallest whole k in lo..hi with cdf1(k) >= prob, searched from guess. */
double dist_search_quantile(double (*cdf1)(double, const double *), double prob, const double *p,
                            double lo, double hi, double guess);

/* Samplers used by several families (sample.c). */
/* its logarithm, also where it underflows */
double dist_draw_log_gamma(norn_rng *, double shape);
double dist_draw_binomial(norn_rng *, double n, double p);
double dist_draw_beta_binomial(norn_rng *, double n, double a, double b);

/* log of the sum of exp(logp1) over the whole numbers between `from` and `to`, both included and in
   the support.  concave: logp1 is, so that the sum may end where the rest is negligible. */
double dist_sum_mass(double (*logp1)(double, const double *), const double *p, double from,
                     double to, bool concave);
/* log P(X <= k) and log P(X > k) by such sums. */
void   dist_sum_tails(double (*logp1)(double, const double *), const double *p, double k,
                      const double range[2], double mean, bool concave, double *lower,
                      double *upper);
/* The sentence about a scale s, of which 1/s is used: NULL if it is good. */
static inline const char *dist_scale(double s, const char *not_positive, const char *not_ordinary)
{
  if (s >= 2.2250738585072014e-308 && s <= 1.7976931348623157e308) return NULL;
  return s > 0 ? not_ordinary : not_positive;
}
/* log(1 - exp(-exp l)), also where exp l is lost in 1. */
double dist_log_one_minus(double l);
/* Into the smallest and largest positive doubles: a draw never leaves an open support by
   rounding. */
static inline double dist_clamp_positive(double x)
{
  return x < 2.2250738585072014e-308 ? 2.2250738585072014e-308 :
      x > 1.7976931348623157e308 ? 1.7976931348623157e308 : x;
}
#endif
