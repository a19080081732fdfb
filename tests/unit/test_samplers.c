/* test_samplers: draws of every scalar family against its distribution function, at ordinary and
   extreme parameters: single draws of many lanes, and arrays of one event.

   Kolmogorov-Smirnov (continuous), chi-square in 64 cells of equal probability (all), exceedances
   of the quantiles 1e-4 and 1 - 1e-4, neighbours and draws eight apart on the same side of the
   median (exact binomial chances), mean and variance where the fourth moment is small enough for
   their normal approximation.  Each check gives a two-sided chance p; that any is below
   1e-3 / (number of checks) has probability 1e-3 if all is right (Bonferroni).  A scalar family
   without a set of parameters in the table fails.

     test_samplers                 10^5 draws a set; 10^6 with NORN_LONG=1
     test_samplers FIRST SEEDS     with these seeds, and the root mean square of z by statistic */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/stats.h"
#include "unit.h"
#include <gsl/gsl_cdf.h>
#include <stdlib.h>

typedef struct { const char *name; double p[NORN_DIST_P]; } set;
static const set sets[] = {
  {"normal", {0, 1}}, {"normal", {-3, 0.01}}, {"normal", {1e8, 1e-3}}, {"normal", {5, 1e200}},
  {"std_normal", {0}}, {"half_normal", {2}}, {"half_normal", {1e-5}}, {"lognormal", {0, 1}},
  {"lognormal", {3, 0.05}}, {"lognormal", {-2, 5}}, {"cauchy", {0, 1}}, {"cauchy", {7, 0.01}},
  {"half_cauchy", {1}}, {"half_cauchy", {25}}, {"student_t", {1, 0, 1}}, {"student_t", {4, 1, 3}},
  {"student_t", {0.3, 0, 1}}, {"student_t", {39.5, -2, 0.1}}, {"student_t", {1e6, 0, 2}},
  {"laplace", {0, 1}}, {"laplace", {4, 0.2}}, {"logistic", {0, 1}}, {"logistic", {-4, 0.2}},
  {"exponential", {1}}, {"exponential", {1e-6}}, {"gamma", {1, 1}}, {"gamma", {0.3, 2}},
  {"gamma", {2.5, 0.1}}, {"gamma", {9.99, 1}}, {"gamma", {300, 7}}, {"gamma", {1e-4, 1}},
  {"gamma", {1e6, 1e3}}, {"inv_gamma", {0.5, 1}}, {"inv_gamma", {3, 2}}, {"inv_gamma", {100, 50}},
  {"uniform", {0, 1}}, {"uniform", {-7, 1e6}}, {"beta", {1, 1}}, {"beta", {0.5, 0.5}},
  {"beta", {2, 7}}, {"beta", {0.8, 20}}, {"beta", {5, 1000}}, {"beta", {1e5, 3e5}},
  {"beta", {1e-3, 1e-3}}, {"beta", {1e-3, 5}},
  {"half_student_t", {3, 2}}, {"half_student_t", {0.5, 1}}, {"double_exponential", {1, 2}},
  {"gumbel", {0, 1}}, {"gumbel", {-5, 0.01}}, {"skew_normal", {0, 1, 4}},
  {"skew_normal", {1, 2, -0.3}}, {"skew_normal", {0, 1, 1e4}}, {"von_mises", {0, 1}},
  {"von_mises", {2, 1e-3}}, {"von_mises", {-1, 50}}, {"von_mises", {0, 1e5}},
  {"beta_proportion", {0.2, 5}}, {"beta_proportion", {0.9, 0.1}}, {"chi_square", {1}},
  {"chi_square", {7.5}}, {"chi_square", {0.02}}, {"inv_chi_square", {1}}, {"inv_chi_square", {30}},
  {"scaled_inv_chi_square", {4, 2}}, {"scaled_inv_chi_square", {0.5, 1e-3}}, {"rayleigh", {2}},
  {"weibull", {1.5, 2}}, {"weibull", {0.1, 1}}, {"weibull", {200, 5}}, {"frechet", {3, 1}},
  {"frechet", {0.4, 10}}, {"pareto", {1, 3}}, {"pareto", {20, 0.2}}, {"pareto", {1, 5000}},
  {"pareto_type_2", {0, 1, 2}}, {"pareto_type_2", {-5, 0.1, 40}}, {"loglogistic", {1, 4}},
  {"loglogistic", {30, 0.5}},
  {"bernoulli", {0.5}}, {"bernoulli", {1e-3}}, {"bernoulli", {1}}, {"bernoulli_logit", {0.7}},
  {"bernoulli_logit", {-7}}, {"binomial", {1, 0.3}}, {"binomial", {15, 0.5}},
  {"binomial", {40, 0.9}}, {"binomial", {50, 0.2}}, {"binomial", {1000, 0.02}},
  {"binomial", {1e9, 0.25}}, {"binomial", {1e9, 3e-9}}, {"binomial", {1e9, 1 - 1e-8}},
  {"binomial_logit", {15, 0.4}}, {"binomial_logit", {1e9, -3}}, {"binomial_logit", {1000, 30}},
  {"poisson", {0.01}}, {"poisson", {3}}, {"poisson", {9.99}}, {"poisson", {10}},
  {"poisson", {250}}, {"poisson", {1e8}}, {"poisson_log", {-4}}, {"poisson_log", {2.5}},
  {"poisson_log", {18}}, {"geometric", {0.5}}, {"geometric", {0.01}}, {"geometric", {1e-9}},
  {"beta_neg_binomial", {3, 9, 2}}, {"beta_neg_binomial", {0.5, 20, 30}},
  {"geometric", {1}}, {"neg_binomial", {2, 0.5}}, {"neg_binomial", {0.3, 0.01}},
  {"neg_binomial", {50, 1e-6}}, {"neg_binomial_2", {3, 2}}, {"neg_binomial_2", {100, 0.3}},
  {"neg_binomial_2", {50, 1e6}}, {"neg_binomial_2", {1e4, 30}}, {"neg_binomial_2", {1, 1e-3}},
  {"neg_binomial_2_log", {1, 2}}, {"neg_binomial_2_log", {9, 30}},
  {"beta_binomial", {10, 0.5, 0.5}}, {"beta_binomial", {1000, 20, 3}},
  {"beta_binomial", {30, 1e-2, 2}}, {"hypergeometric", {10, 7, 20}},
  {"hypergeometric", {300, 1000, 2000}}, {"hypergeometric", {5, 100000, 3}},
  {"discrete_uniform", {0, 5}}, {"discrete_uniform", {-1e6, 1e6}}, {"discrete_uniform", {4, 4}},
};
enum { SETS = sizeof sets / sizeof sets[0] };

/* ---- chances --------------------------------------------------------------------------------- */

enum { Z_SMIRNOV, Z_CELLS, Z_TAIL, Z_PAIRS, Z_MEAN, Z_VARIANCE, STATISTICS, MOST = 100000 };
static const char *const statistic_names[] = {"Kolmogorov-Smirnov", "chi-square", "tail", "pairs",
                                              "mean", "variance"};
typedef struct { double p, z; int statistic; bool array; const set *s; uint64_t seed; } finding;
static struct { finding all[MOST]; int n; const set *s; bool array; uint64_t seed; } found;

/* z: NaN where it is far from normal. */
static void find(int statistic, double p, double z)
{
  if (found.n == MOST) abort();
  found.all[found.n++] = (finding){p, z, statistic, found.array, found.s, found.seed};
}
/* upper: P(larger).  Where its distribution is known roughly, only large values count. */
static void find_chance(int statistic, double upper, bool rough)
{
  double z = gsl_cdf_ugaussian_Pinv(fmin(fmax(1 - upper, 1e-15), 1 - 1e-15));
  find(statistic, rough ? upper : 2 * fmin(upper, 1 - upper), rough ? (double)NAN : z);
}
static void find_normal(int statistic, double z)
{
  find(statistic, 2 * gsl_cdf_ugaussian_Q(fabs(z)), z);
}
/* k of n, each with probability q */
static void find_count(int statistic, int64_t k, int64_t n, double q)
{
  double below = gsl_cdf_binomial_P((unsigned)k, q, (unsigned)n);
  double above = k > 0 ? gsl_cdf_binomial_Q((unsigned)(k - 1), q, (unsigned)n) : 1;
  double expect = (double)n * q, spread = expect * (1 - q);
  if (q >= 1) below = above = k == n ? 1 : 0;
  find(statistic, fmin(1, 2 * fmin(below, above)),
       spread < 5 ? (double)NAN : ((double)k - expect) / sqrt(spread));
}

/* Kolmogorov's distribution: P(D sqrt n > x) */
static double smirnov(double x)
{
  double sum = 0;
  if (x < 0.3) return 1;                           /* 1 - 1e-5 and more */
  for (int k = 1; k < 100; k++) sum += (k & 1 ? 2 : -2) * exp(-2.0 * k * k * x * x);
  return fmin(fmax(sum, 0), 1);
}

/* ---- the statistics -------------------------------------------------------------------------- */

typedef struct { const norn_dist_row *row; const double *p; double *x; int64_t n; } sample;
enum { CELLS = 64 };
#define NEAR_1 (1 - 1e-13)            /* above it the doubles are too coarse for a cell */

/* The value up to which, and from which on, a draw x may stand for others: its neighbours, and all
   beyond what a draw is kept inside of. */
static double stands_up_to(double x, double hi)
{
  if (x >= 1.7976931348623157e308 || (hi == 1 && x >= 1 - 0x1p-53)) return hi;
  return nextafter(x, HUGE_VAL);
}
static double stands_from(double x, double lo)
{
  if (x <= -1.7976931348623157e308 || (lo == 0 && x <= 2.2250738585072014e-308)) return lo;
  return nextafter(x, -HUGE_VAL);
}

/* sup |F_n - F| at 10^4 of the sorted draws.  Equal draws are one step of F_n; where many are equal
   there is less to differ. */
static void distance(const sample *s)
{
  double most = 0, lo, hi;
  int64_t equal = 0, steps = 10000;
  s->row->range1(s->p, &lo, &hi);
  for (int64_t i = 0; i < s->n; i += s->n / steps) {
    double x = s->x[i];
    int64_t a = i, b = i + 1;
    while (a > 0 && s->x[a - 1] == x) a--;
    while (b < s->n && s->x[b] == x) b++;
    if (b - a > equal) equal = b - a;
    most = fmax(most, (double)b / (double)s->n - s->row->cdf1(stands_up_to(x, hi), s->p));
    most = fmax(most, s->row->cdf1(stands_from(x, lo), s->p) - (double)a / (double)s->n);
  }
  find_chance(Z_SMIRNOV, smirnov(most * sqrt((double)s->n)), equal > s->n / 100);
}

/* Cells between quantiles, each with its chance by cdf1; a discrete family may have fewer. */
static void cells(const sample *s)
{
  double edge[CELLS], sum = 0, lo, hi;
  int n = 0;
  s->row->range1(s->p, &lo, &hi);
  bool discrete = s->row->flags & NORN_DIST_DISCRETE;
  for (int b = 1; b < CELLS; b++) {
    double x = s->row->quantile1((double)b / CELLS, s->p);
    if (!discrete && lo == 0 && x < 2.3e-308) x = 2.3e-308;        /* draws are kept inside */
    if (!discrete && hi == 1 && x > NEAR_1) continue;
    if (x < hi && (n == 0 || x > edge[n - 1])) edge[n++] = x;
  }
  double under = 0;
  int freedom = -1;
  int64_t i = 0, held = 0;
  double due = 0;
  for (int b = 0; b <= n; b++) {                   /* cells with few draws join the next one */
    double to = b == n ? 1 : s->row->cdf1(edge[b], s->p);
    for (; i < s->n && (b == n || s->x[i] <= edge[b]); i++) held++;
    due += (double)s->n * (to - under);
    under = to;
    if (due < 10 && b < n) continue;
    if (due < 1e-6) { CHECK(held == 0); continue; }
    sum += ((double)held - due) * ((double)held - due) / due;
    freedom++;
    held = 0;
    due = 0;
  }
  if (freedom > 0) find_chance(Z_CELLS, gsl_cdf_chisq_Q(sum, freedom), freedom < 10);
}

static void tails(const sample *s)
{
  double low = s->row->quantile1(1e-4, s->p), high = s->row->quantile1(1 - 1e-4, s->p);
  double lower, upper, lo, hi;
  bool discrete = s->row->flags & NORN_DIST_DISCRETE;
  int64_t below = 0, above = 0;
  s->row->range1(s->p, &lo, &hi);
  if (!discrete && lo == 0) low = fmax(low, 2.3e-308);
  if (!discrete && hi == 1) high = fmin(high, NEAR_1);
  if (discrete) low--;
  for (int64_t k = 0; k < s->n; k++) {
    below += s->x[k] <= low;
    above += s->x[k] > high;
  }
  dist_tails(s->row, low, s->p, &lower, &upper);
  find_count(Z_TAIL, below, s->n, fmin(exp(lower), 1));
  dist_tails(s->row, high, s->p, &lower, &upper);
  find_count(Z_TAIL, above, s->n, fmin(exp(upper), 1));
}

/* Draws k and k + 1, k and k + 8: as often on the same side of the median as if independent.
   (Lanes and array elements eight apart are made of the two halves of a block.) */
static void pairs(const sample *s)
{
  double m = s->row->quantile1(0.5, s->p), lower, upper, lo, hi;
  s->row->range1(s->p, &lo, &hi);
  if (!(s->row->flags & NORN_DIST_DISCRETE) && lo == 0) m = fmax(m, 2.3e-308);
  if (!(s->row->flags & NORN_DIST_DISCRETE) && hi == 1) m = fmin(m, NEAR_1);
  dist_tails(s->row, m, s->p, &lower, &upper);
  double q = fmin(exp(upper), 1), same = q * q + (1 - q) * (1 - q);
  for (int apart = 1; apart <= 8; apart += 7) {
    int64_t n = 0, k = 0;
    for (int64_t i = 0; i + apart < s->n; i++) {
      if (i / apart & 1) continue;                 /* each draw is in one pair */
      n++;
      k += (s->x[i] > m) == (s->x[i + apart] > m);
    }
    find_count(Z_PAIRS, k, n, same);
  }
}

/* E z^4 of z = (X - mean)/sd from quantiles, the probability in steps of 1/4 of its logit: roughly,
   but a heavy tail is seen whether or not it was drawn. */
static double kurtosis(const sample *s, double mean, double variance)
{
  double sum = 0;
  for (double t = -33; t <= 33; t += 0.25) {
    double u = 1 / (1 + exp(-t)), x = s->row->quantile1(u, s->p), q = (x - mean) * (x - mean);
    sum += 0.25 * u * (1 - u) * (q / variance) * (q / variance);
  }
  return sum;
}

static void moments(const sample *s)
{
  double mean, variance, two = 0, four = 0, n = (double)s->n;
  if (!s->row->moments1) return;
  s->row->moments1(s->p, &mean, &variance);
  if (!isfinite(variance) || !isfinite(mean) || variance > 1e300) return;
  if (variance == 0) { CHECK(s->x[0] == mean && s->x[s->n - 1] == mean); return; }
  stats_tree sum = {{0}};
  for (int64_t k = 0; k < s->n; k++) {
    double z = (s->x[k] - mean) / sqrt(variance), q = z * z;
    stats_tree_add(&sum, k, z);
    two += q / n;
    four += q * q / n;
  }
  double most = fmax(four, kurtosis(s, mean, variance));
  if (!(most < 1e-3 * n)) return;                  /* a few draws decide: not normal */
  find_normal(Z_MEAN, stats_tree_sum(&sum) / sqrt(n));
  if (four > 1 + 1e-3 && most < 2e-4 * n)
    find_normal(Z_VARIANCE, (two - 1) / sqrt((four - 1) / n));
}

/* ---- the draws ------------------------------------------------------------------------------- */

/* Single draws, a lane each as engines have them, or an array of one event. */
static void make(norn_state *st, const sample *s, bool array, uint32_t event, uint64_t seed)
{
  norn_rng g = {seed * 0x9e3779b97f4a7c15u, 0, event, 1, 0, NULL};
  if (!array) {
    for (int64_t k = 0; k < s->n; k++) {
      g.lane = (uint32_t)k;
      g.draw = 0;
      s->x[k] = s->row->sample1(s->p, &g);
    }
    return;
  }
  dist_grid grid = {.rank = 1, .nargs = dist_arity(s->row), .n = s->n, .dims = {s->n}};
  norn_datum out;
  norn_view v;
  g.event += 1u << 20;
  memcpy(grid.number, s->p, sizeof grid.number);
  CHECK(dist_rows_sample(st, s->row, &grid, &g, &out) == NORN_OK && norn_array_view(out, &v));
  for (int64_t k = 0; k < s->n; k++) s->x[k] = norn_elem_real(out, k);
}

static void check_set(norn_state *st, const set *which, double *x, int64_t n, uint64_t seed)
{
  sample s = {dist_find(which->name), which->p, x, n};
  for (int array = 0; array < 2; array++) {
    double lo, hi;
    bool inside = true, discrete = s.row->flags & NORN_DIST_DISCRETE;
    found.array = array;
    make(st, &s, array, (uint32_t)(which - sets), seed);
    s.row->range1(s.p, &lo, &hi);
    for (int64_t k = 0; k < n; k++)
      inside &= isfinite(x[k]) && x[k] >= lo && x[k] <= hi && (!discrete || x[k] == floor(x[k]));
    for (int64_t k = 0; k < n; k += 10) inside &= isfinite(s.row->logp1(x[k], s.p));
    CHECK(inside);
    if (!inside) fprintf(stderr, "  %s(%g, %g, %g)\n", which->name, s.p[0], s.p[1], s.p[2]);
    moments(&s);
    pairs(&s);
    stats_sort(x, n);
    if (!discrete) distance(&s);
    cells(&s);
    tails(&s);
  }
}

/* dirichlet with tiny alphas: in logarithms, or all of its gamma draws would be 0.  A component is
   beta(alpha, rest), and the largest is near 1. */
static void check_dirichlet(norn_state *st, double *x, int64_t n, uint64_t seed)
{
  static const set as_beta[] = {{"beta", {1e-3, 2e-3}}, {"beta", {0.5, 3.5}}, {"beta", {1e-5, 1}}};
  static const double alphas[][3] = {{1e-3, 1e-3, 1e-3}, {0.5, 3, 0.5}, {1e-5, 0.5, 0.5}};
  static const norn_dist_row *dirichlet;
  dirichlet = dist_find("dirichlet");
  for (int i = 0; i < 3; i++) {
    void *data;
    int64_t three = 3;
    norn_datum alpha = norn_array(st, NORN_F64, 1, &three, &data), out;
    memcpy(data, alphas[i], sizeof alphas[i]);
    norn_dist d = {dirichlet, &alpha, 1};
    bool good = true;
    for (int64_t k = 0; k < n; k++) {
      norn_rng g = {seed * 0x9e3779b97f4a7c15u, (uint32_t)k, 1000 + (uint32_t)i, 2, 0, NULL};
      good &= norn_dist_sample(st, &d, &g, &out) == NORN_OK;
      double sum = 0;
      for (int j = 0; j < 3; j++) sum += norn_elem_real(out, j);
      good &= fabs(sum - 1) < 1e-14;
      x[k] = fmin(norn_elem_real(out, 0), 1 - 0x1p-53);
    }
    CHECK(good);
    sample s = {dist_find("beta"), as_beta[i].p, x, n};
    found.s = &as_beta[i];
    found.array = true;
    stats_sort(x, n);
    distance(&s);
    cells(&s);
  }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void check_table(void)
{
  int n;
  const dist_shelf *const *shelves = dist_shelves(&n);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < shelves[i]->n; k++) {
      const norn_dist_row *row = &shelves[i]->rows[k];
      bool has = !(row->flags & NORN_DIST_SCALAR) || !row->sample1;
      for (int j = 0; j < SETS && !has; j++) has = !strcmp(sets[j].name, row->name);
      CHECK(has);
      if (!has) fprintf(stderr, "  %s has no parameters in the table of this test\n", row->name);
    }
  for (int j = 0; j < SETS; j++) {
    const norn_dist_row *row = dist_find(sets[j].name);
    int which = -1;
    CHECK(row && row->sample1 && row->cdf1 && row->quantile1 && row->range1);
    CHECK(row && row->check1(sets[j].p, &which) == NULL);
  }
}

static void report(bool many)
{
  double bound = 1e-3 / found.n, all = 0;
  int n_all = 0, wrong = 0;
  for (int i = 0; i < found.n; i++) {
    const finding *f = &found.all[i];
    if (f->p >= bound) continue;
    wrong++;
    fprintf(stderr, "  %s(%g, %g, %g), %s: %s, chance %.2g, z %.2f, seed %llu\n", f->s->name,
            f->s->p[0], f->s->p[1], f->s->p[2], f->array ? "an array" : "single draws",
            statistic_names[f->statistic], f->p, f->z, (unsigned long long)f->seed);
  }
  CHECK(wrong == 0);
  for (int k = 0; k < STATISTICS; k++) {
    double squares = 0;
    int n = 0;
    for (int i = 0; i < found.n; i++)
      if (found.all[i].statistic == k && !isnan(found.all[i].z)) {
        squares += found.all[i].z * found.all[i].z;
        n++;
      }
    if (many)
      printf("%-20s %6d z, root mean square %.4f\n", statistic_names[k], n, sqrt(squares / n));
    all += squares;
    n_all += n;
  }
  printf("%d checks of draws, least chance allowed %.2g, root mean square of %d z: %.4f\n", found.n,
         bound, n_all, sqrt(all / n_all));
  /* Statistics of the same draws are correlated: five standard errors as if all were. */
  if (many) CHECK_NEAR(sqrt(all / n_all), 1, 5 * sqrt(STATISTICS / (2.0 * n_all)));
}

int main(int argc, char **argv)
{
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  int64_t n = getenv("NORN_LONG") ? 1000000 : 100000;
  norn_state *st = norn_new(NULL);
  double *x = malloc((size_t)n * sizeof *x);
  check_table();
  for (uint64_t seed = first; st && x && seed < first + seeds; seed++) {
    found.seed = seed;
    for (int i = 0; i < SETS; i++) {
      found.s = &sets[i];
      check_set(st, &sets[i], x, n, seed);
    }
    check_dirichlet(st, x, n < 100000 ? n : 100000, seed);
  }
  CHECK(st && x);
  report(seeds > 1);
  free(x);
  norn_free(st);
  return unit_end();
}
