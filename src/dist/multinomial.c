/* multinomial: vectors of counts with a given sum n: multinomial(n, theta), and
   dirichlet_multinomial(n, alpha), where theta is drawn from a Dirichlet distribution.  Stan's
   functions read n off the value; here it is a parameter, so that they can be sampled.  Masses
   stand in the form of kernel_count.h: corrections and deviances, which do not cancel for large
   counts. */
#include "dist/dist.h"
#include "dist/kernel.h"
#include "num/rng.h"
#include "num/stats.h"

/* ---- what both share ------------------------------------------------------------------------- */

static double trials(const norn_dist *d) { return norn_elem_real(d->args[0], 0); }
static int64_t categories(const norn_dist *d) { return norn_array_length(d->args[1]); }
static double part(const norn_dist *d, int64_t k) { return norn_elem_real(d->args[1], k); }

static norn_status trials_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  double n;
  if (!d->n || !norn_as_real(d->args[0], &n))
    return norn_fail(st, NORN_ETYPE, 0, "number of trials of %s must be an integer, got %s",
                     d->row->name,
                     d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
  if (n >= 0 && n == floor(n) && n <= 0x1p53) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, 0,
                   "number of trials of %s must be an integer within 0..2^53, got %s", d->row->name,
                   norn_show(st, d->args[0], true, 40));
}

/* Counts of a value and whether they are >= 0 and sum to n. */
typedef struct { norn_view v; bool inside; } counts;
static double count_at(const counts *c, int64_t k)
{
  return c->v.elem == NORN_I64 ? (double)c->v.i[k] : c->v.f[k];
}
static norn_status counts_of(norn_state *st, const norn_dist *d, norn_datum x, counts *c)
{
  char what[120];
  int64_t n = categories(d);
  double sum = 0;
  bool good = norn_array_view(x, &c->v) && c->v.rank == 1 && c->v.n == n &&
              (c->v.elem == NORN_I64 || c->v.elem == NORN_F64);
  for (int64_t k = 0; k < n && good; k++) good = count_at(c, k) == floor(count_at(c, k));
  if (!good)
    return norn_fail(st, NORN_ETYPE, -1, "a value of %s must be an array of %lld integers, got %s",
                     d->row->name, (long long)n, norn_describe(st, x, what, sizeof what));
  c->inside = true;
  for (int64_t k = 0; k < n; k++) {
    c->inside = c->inside && count_at(c, k) >= 0;
    sum += count_at(c, k);
  }
  c->inside = c->inside && sum == trials(d);
  return NORN_OK;
}

/* Room for the sums of parts k, k+1, ...: a draw's conditional probabilities are quotients of them.
   NULL: no memory. */
static double *sums_from_end(norn_state *st, const norn_dist *d)
{
  int64_t n = categories(d);
  void *data;
  if (norn_is_none(norn_array(st, NORN_F64, 1, &n, &data))) return NULL;
  double *sum = data;
  for (int64_t k = n - 1; k >= 0; k--) sum[k] = part(d, k) + (k + 1 < n ? sum[k + 1] : 0);
  return sum;
}

/* A binomial(m, a/(a + b)) or a beta_binomial(m, a, b) for the k-th count, the rest for the
   others. */
static norn_status counts_sample(norn_state *st, const norn_dist *d, norn_rng *g, bool mixed,
                                 norn_datum *out)
{
  int64_t n = categories(d);
  double left = trials(d), *sum = sums_from_end(st, d);
  void *data;
  if (!sum) return norn_error(st)->code;
  *out = norn_array(st, NORN_I64, 1, &n, &data);
  if (norn_is_none(*out)) return norn_error(st)->code;
  for (int64_t k = 0; k < n; k++) {
    double a = part(d, k), b = k + 1 < n ? sum[k + 1] : 0, x = left;
    if (b > 0 && left > 0)
      x = mixed ? dist_draw_beta_binomial(g, left, a, b) :
          a < b ? dist_draw_binomial(g, left, a / (a + b)) :
          left - dist_draw_binomial(g, left, b / (a + b));
    ((int64_t *)data)[k] = (int64_t)x;
    left -= x;
  }
  return NORN_OK;
}

static void counts_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_INTEGER, 0, trials(d), 1, categories(d), -1, -1};
}

/* n over k for k small beside n; -1 beyond 2^62 */
static int64_t choose(int64_t n, int64_t k)
{
  __int128 c = 1;
  if (k > n - k) k = n - k;
  for (int64_t i = 1; i <= k; i++) {
    c = c * (n - k + i) / i;
    if (c > (__int128)1 << 62) return -1;
  }
  return (int64_t)c;
}
/* How many vectors of `parts` counts sum to n. */
static int64_t compositions(int64_t n, int64_t parts)
{
  return parts == 0 ? n == 0 : choose(n + parts - 1, parts - 1);
}
static int64_t counts_count(norn_state *st, const norn_dist *d)
{
  (void)st;
  return compositions((int64_t)trials(d), categories(d));
}
/* The k-th in lexicographic order. */
static norn_status counts_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  int64_t n = categories(d), left = (int64_t)trials(d), total = compositions(left, n);
  void *data;
  *out = norn_none();
  if (total >= 0 && k >= total) return NORN_OK;
  norn_datum a = norn_array(st, NORN_I64, 1, &n, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  int64_t *x = data;
  for (int64_t i = 0; i < n - 1; i++) {
    x[i] = 0;
    for (int64_t rest; (rest = compositions(left, n - i - 1)) >= 0 && k >= rest; k -= rest) {
      x[i]++;
      left--;
    }
  }
  x[n - 1] = left;
  *out = a;
  return NORN_OK;
}

/* Mean n p and variance n p (1 - p) spread, p = part / total. */
static norn_status counts_moments(norn_state *st, const norn_dist *d, double total, double spread,
                                  norn_datum *mean, norn_datum *variance)
{
  int64_t n = categories(d);
  void *m, *v;
  *mean = norn_array(st, NORN_F64, 1, &n, &m);
  if (norn_is_none(*mean)) return norn_error(st)->code;
  *variance = norn_array(st, NORN_F64, 1, &n, &v);
  if (norn_is_none(*variance)) return norn_error(st)->code;
  for (int64_t k = 0; k < n; k++) {
    double p = part(d, k) / total;
    ((double *)m)[k] = trials(d) * p;
    ((double *)v)[k] = trials(d) * p * (1 - p) * spread;
  }
  return NORN_OK;
}

/* ---- multinomial(n, theta) ------------------------------------------------------------------- */

static norn_status multinomial_check(norn_state *st, const norn_dist *d)
{
  int64_t n;
  norn_status status = trials_check(st, d);
  return status ? status : dist_probabilities(st, d, 1, "probabilities of multinomial", &n);
}
static norn_status multinomial_sample(norn_state *st, const norn_dist *d, norn_rng *g,
                                      norn_datum *out)
{
  return counts_sample(st, d, g, false, out);
}

/* n (sum theta - 1) without the rounding of that sum (Knuth's two-sum) */
static double excess(const norn_dist *d)
{
  double sum = -1, rest = 0;
  for (int64_t k = 0; k < categories(d); k++) {
    double x = part(d, k), next = sum + x, y = next - sum;
    rest += (sum - (next - y)) + (x - y);
    sum = next;
  }
  return trials(d) * (sum + rest);
}

/* log n! - sum log x! + sum x log theta; as deviances of x from n theta, which sum to n if theta
   sums to 1 */
static norn_status multinomial_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  counts c;
  stats_tree sum = {{0}};
  double n = trials(d);
  norn_status status = counts_of(st, d, x, &c);
  *out = -HUGE_VAL;
  if (status || !c.inside) return status;
  for (int64_t k = 0; k < categories(d); k++) {
    double y = count_at(&c, k), theta = part(d, k);
    stats_tree_add(&sum, k, n < 16 ? v_xlogy(y, theta) - v_lfact(y) :
                            -count_lfact_rest(y) - v_deviance(y, n * theta));
  }
  *out = (n < 16 ? v_lfact(n) : count_lfact_rest(n) + excess(d)) + stats_tree_sum(&sum);
  return NORN_OK;
}
static norn_status multinomial_partials(norn_state *st, const norn_dist *d, norn_datum x,
                                        double scale, double *gx, double *g)
{
  counts c;
  norn_status status = counts_of(st, d, x, &c);
  (void)gx;
  if (status || !c.inside || !g) return status;
  g += dist_leaf(d, 1);
  for (int64_t k = 0; k < categories(d); k++)
    if (count_at(&c, k) > 0) g[k] += scale * (count_at(&c, k) / part(d, k));
  return NORN_OK;
}
static norn_status multinomial_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                       norn_datum *variance)
{
  return counts_moments(st, d, 1, 1, mean, variance);
}

/* ---- dirichlet_multinomial(n, alpha) --------------------------------------------------------- */

static double alpha_sum(const norn_dist *d)
{
  stats_tree sum = {{0}};
  for (int64_t k = 0; k < categories(d); k++) stats_tree_add(&sum, k, part(d, k));
  return stats_tree_sum(&sum);
}
static norn_status dirichlet_multinomial_check(norn_state *st, const norn_dist *d)
{
  int64_t n;
  norn_status status = trials_check(st, d);
  if (!status) status = dist_finite_vector(st, d, 1, "alpha of dirichlet_multinomial", &n);
  if (status) return status;
  if (n < 1)
    return norn_fail(st, NORN_EDOMAIN, 1, "alpha of dirichlet_multinomial must not be empty");
  for (int64_t k = 0; k < n; k++)
    if (!(part(d, k) > 0))
      return norn_fail(st, NORN_EDOMAIN, 1,
                       "alpha of dirichlet_multinomial must be positive, got %s at element %lld",
                       norn_show(st, norn_real(part(d, k)), true, 40), (long long)k);
  if (alpha_sum(d) < HUGE_VAL) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, 1, "the sum of alpha of dirichlet_multinomial is infinite");
}
static norn_status dirichlet_multinomial_sample(norn_state *st, const norn_dist *d, norn_rng *g,
                                                norn_datum *out)
{
  return counts_sample(st, d, g, true, out);
}

/* n! Gamma(A)/Gamma(n + A) prod Gamma(x + alpha)/(x! Gamma(alpha)), A = sum alpha: as beta_binomial
   in kernel_count.h, deviances from n P and A P, P = (x + alpha)/(n + A) */
static norn_status dirichlet_multinomial_logp(norn_state *st, const norn_dist *d, norn_datum x,
                                              double *out)
{
  counts c;
  stats_tree sum = {{0}};
  double n = trials(d), total = alpha_sum(d);
  norn_status status = counts_of(st, d, x, &c);
  *out = -HUGE_VAL;
  if (status || !c.inside) return status;
  for (int64_t k = 0; k < categories(d); k++) {
    double y = count_at(&c, k), a = part(d, k), p = (y + a) / (n + total);
    stats_tree_add(&sum, k, (count_lgamma_rest(y + a) - count_lgamma_rest(a)) -
                            count_lfact_rest(y) - v_deviance(y, n * p) -
                            count_deviance_shape(a, total * p));
  }
  *out = (count_lfact_rest(n) - count_lgamma_rest(n + total) + count_lgamma_rest(total)) +
         stats_tree_sum(&sum);
  return NORN_OK;
}
static norn_status dirichlet_multinomial_partials(norn_state *st, const norn_dist *d,
                                                  norn_datum x, double scale, double *gx,
                                                  double *g)
{
  counts c;
  double n = trials(d), total = alpha_sum(d);
  norn_status status = counts_of(st, d, x, &c);
  (void)gx;
  if (status || !c.inside || !g) return status;
  g += dist_leaf(d, 1);
  for (int64_t k = 0; k < categories(d); k++) {
    double y = count_at(&c, k), a = part(d, k);
    g[k] += scale * beta_binomial_slope(y, a, n - y, total - a);
  }
  return NORN_OK;
}
static norn_status dirichlet_multinomial_moments(norn_state *st, const norn_dist *d,
                                                 norn_datum *mean, norn_datum *variance)
{
  double total = alpha_sum(d);
  return counts_moments(st, d, total, (trials(d) + total) / (1 + total), mean, variance);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define COUNTS(name) .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE, .check = name##_check, \
  .sample = name##_sample, .logp = name##_logp, .partials = name##_partials, \
  .moments = name##_moments, .support = counts_support, .enumerate = counts_enumerate, \
  .count = counts_count

static const norn_dist_row rows[] = {
  {.name = "multinomial", .params = "n, theta", COUNTS(multinomial),
   .doc = "The counts of n trials over categories of probabilities theta, which sum to 1.\n"
          "Mass n!/prod(x_k!) prod(theta_k^x_k) on vectors of counts that sum to n;\n"
          "Stan's reads n off the value.",
   .hint = "multinomial(n, theta) takes the number of trials first"},
  {.name = "dirichlet_multinomial", .params = "n, alpha", COUNTS(dirichlet_multinomial),
   .doc = "The counts of n trials over categories whose probabilities are dirichlet(alpha).\n"
          "Mass n! Gamma(A)/Gamma(n+A) prod(Gamma(x_k+alpha_k)/(x_k! Gamma(alpha_k))), "
          "A = sum(alpha);\nStan's reads n off the value.",
   .hint = "dirichlet_multinomial(n, alpha) takes the number of trials first"},
};

const dist_shelf dist_multinomials = {rows, sizeof rows / sizeof rows[0]};
