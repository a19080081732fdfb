/* distman: writes man/norn-distributions.7 from the table of distributions that `norn doc` shows: of
   each its signature, what its docstring says, and of one example the support, mean, standard
   deviation and a plot of its density as text.

   A family without an example below is an error, so that none is forgotten. */
#include "dist/dist.h"
#include "base/base.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Headings of shelves are words of the page; a heading ends at the next. */
static const struct { const char *name, *example; } examples[] = {
  {NULL, "On the real line"},
  {"normal", "normal(0, 1)"}, {"std_normal", "std_normal()"}, {"student_t", "student_t(4, 0, 1)"},
  {"cauchy", "cauchy(0, 1)"}, {"laplace", "laplace(0, 1)"},
  {"double_exponential", "double_exponential(0, 1)"}, {"logistic", "logistic(0, 1)"},
  {"gumbel", "gumbel(0, 1)"}, {"skew_normal", "skew_normal(0, 1, 4)"},
  {"exp_mod_normal", "exp_mod_normal(0, 1, 0.5)"}, {"von_mises", "von_mises(0, 2)"},
  {NULL, "On the positive half line"},
  {"half_normal", "half_normal(1)"}, {"half_cauchy", "half_cauchy(1)"},
  {"half_student_t", "half_student_t(4, 1)"}, {"lognormal", "lognormal(0, 0.5)"},
  {"exponential", "exponential(1)"}, {"gamma", "gamma(3, 1)"}, {"inv_gamma", "inv_gamma(4, 3)"},
  {"chi_square", "chi_square(4)"}, {"inv_chi_square", "inv_chi_square(6)"},
  {"scaled_inv_chi_square", "scaled_inv_chi_square(6, 1)"}, {"weibull", "weibull(1.5, 1)"},
  {"frechet", "frechet(3, 1)"}, {"rayleigh", "rayleigh(1)"}, {"pareto", "pareto(1, 3)"},
  {"pareto_type_2", "pareto_type_2(0, 1, 3)"}, {"loglogistic", "loglogistic(1, 4)"},
  {NULL, "On an interval"},
  {"uniform", "uniform(0, 1)"}, {"beta", "beta(2, 4)"},
  {"beta_proportion", "beta_proportion(0.3, 6)"},
  {NULL, "Truth values, counts and categories"},
  {"bernoulli", "bernoulli(0.3)"}, {"bernoulli_logit", "bernoulli_logit(1)"},
  {"binomial", "binomial(10, 0.3)"}, {"binomial_logit", "binomial_logit(10, 0.5)"},
  {"beta_binomial", "beta_binomial(10, 2, 3)"}, {"hypergeometric", "hypergeometric(8, 12, 10)"},
  {"poisson", "poisson(4)"}, {"poisson_log", "poisson_log(1)"}, {"geometric", "geometric(0.3)"},
  {"neg_binomial", "neg_binomial(3, 1)"}, {"neg_binomial_2", "neg_binomial_2(4, 2)"},
  {"neg_binomial_2_log", "neg_binomial_2_log(1, 2)"},
  {"beta_neg_binomial", "beta_neg_binomial(3, 4, 2)"},
  {"discrete_uniform", "discrete_uniform(1, 6)"}, {"categorical", "categorical([0.2, 0.5, 0.3])"},
  {"categorical_logit", "categorical_logit([0, 1, 0.5])"},
  {"ordered_logistic", "ordered_logistic(0.5, [-1, 0, 2])"},
  {"ordered_probit", "ordered_probit(0.5, [-1, 0, 2])"}, {"uniform_of", "uniform_of([2, 3, 5])"},
  {"multinomial", "multinomial(5, [0.2, 0.5, 0.3])"},
  {"dirichlet_multinomial", "dirichlet_multinomial(5, [1, 2, 3])"},
  {NULL, "Vectors"},
  {"multi_normal", "multi_normal([0, 0], [[1, 0.5], [0.5, 1]])"},
  {"multi_normal_cholesky", "multi_normal_cholesky([0, 0], [[1, 0], [0.5, 0.9]])"},
  {"multi_normal_prec", "multi_normal_prec([0, 0], [[1, 0.5], [0.5, 1]])"},
  {"multi_student_t", "multi_student_t(5, [0, 0], [[1, 0.5], [0.5, 1]])"},
  {"gaussian_process", "gaussian_process([0.0, 1.0, 2.0], rbf(1, 0.5))"},
  {"dirichlet", "dirichlet([1, 2, 3])"},
  {NULL, "Matrices"},
  {"lkj_corr", "lkj_corr(3, 2)"}, {"lkj_corr_cholesky", "lkj_corr_cholesky(3, 2)"},
  {"wishart", "wishart(4, [[1, 0], [0, 1]])"}, {"inv_wishart", "inv_wishart(5, [[1, 0], [0, 1]])"},
  {"normal_inverse_gamma", "normal_inverse_gamma(0, 1, 3, 2)"},
  {"normal_inverse_wishart", "normal_inverse_wishart([0, 0], 1, [[1, 0], [0, 1]], 5)"},
  {NULL, "Regressions in one piece"},
  {"normal_id_glm", "normal_id_glm([[1, 2], [3, 4]], 0, [1, 1], 1)"},
  {"bernoulli_logit_glm", "bernoulli_logit_glm([[1, 2], [3, 4]], 0, [1, 1])"},
  {"poisson_log_glm", "poisson_log_glm([[1, 2], [3, 4]], 0, [0.1, 0.1])"},
  {"neg_binomial_2_log_glm", "neg_binomial_2_log_glm([[1, 2], [3, 4]], 0, [0.1, 0.1], 3)"},
  {"categorical_logit_glm", "categorical_logit_glm([[1, 2], [3, 4]], [0, 0], [[1, 0], [0, 1]])"},
  {NULL, "Made of other distributions"},
  {"truncate", "truncate(normal(0, 1), lower = -1, upper = 2)"},
  {"mixture", "mixture([0.3, 0.7], [normal(-2, 1), normal(2, 1)])"},
  {"iid", "iid(normal(0, 1), 3)"}, {"product", "product([normal(0, 1), exponential(1)])"},
  {"transform", "transform(normal(0, 1), exp)"}, {"zero_inflated", "zero_inflated(0.3, poisson(4))"},
  {"ordered", "ordered(iid(normal(0, 1), 3))"}, {"noncentered", "noncentered(normal(0, 2))"},
  {"delta", "delta(3)"}, {"empirical", "empirical([1.0, 2.0, 4.0])"},
  {NULL, "Improper priors"},
  {"flat", "flat(lower = 0)"}, {"flat_simplex", "flat_simplex(3)"},
  {"flat_ordered", "flat_ordered(3)"}, {"flat_positive_ordered", "flat_positive_ordered(3)"},
  {"flat_unit_vector", "flat_unit_vector(3)"}, {"flat_sum_to_zero", "flat_sum_to_zero(3)"},
  {"flat_corr", "flat_corr(3)"}, {"flat_cov", "flat_cov(3)"},
  {"flat_cholesky_corr", "flat_cholesky_corr(3)"}, {"flat_cholesky_cov", "flat_cholesky_cov(3)"},
};

/* Text as roff: backslashes, hyphens and leading dots are not commands. */
static void put(const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\\') fputs("\\e", stdout);
    else if (s[i] == '-') fputs("\\-", stdout);
    else if (s[i] == '~') fputs("\\(ti", stdout);
    else if (s[i] == '^') fputs("\\(ha", stdout);
    else if ((s[i] == '.' || s[i] == '\'') && (i == 0 || s[i - 1] == '\n')) printf("\\&%c", s[i]);
    else putchar(s[i]);
  }
}
static void puts_plain(const char *s) { put(s, strlen(s)); }

/* ---- the plot -------------------------------------------------------------------------------- */

enum { COLUMNS = 56, ROWS = 7 };

/* Bars of heights p (n), relative to the largest, under them a line with the ends. */
static void bars(const double *p, int n, int width, double from, double to)
{
  double most = 0;
  char left[40], right[40];
  for (int i = 0; i < n; i++) most = fmax(most, p[i]);
  puts(".PP\n.nf\n.RS 2");
  for (int row = ROWS; row > 0; row--) {
    int last = -1;
    for (int i = 0; i < n; i++)
      if (p[i] / most * ROWS >= row - 0.5) last = i;
    fputs("\\&", stdout);
    for (int i = 0; i <= last; i++)
      for (int w = 0; w < width; w++)
        putchar(p[i] / most * ROWS >= row - 0.5 && w < (width > 2 ? width - 1 : width) ? '#' : ' ');
    putchar('\n');
  }
  snprintf(left, sizeof left, "%.3g", from);
  snprintf(right, sizeof right, "%.3g", to);
  int gap = n * width - (int)strlen(left) - (int)strlen(right);
  puts_plain(left);
  printf("%*s", gap > 0 ? gap : 1, "");
  puts_plain(right);
  puts("\n.RE\n.fi");
}

static bool real_of(norn_state *st, const norn_dist *d, double prob, double *x)
{
  norn_datum v;
  if (dist_quantile(st, d, prob, &v) || !norn_as_real(v, x)) { norn_clear(st); return false; }
  return isfinite(*x);
}

static void plot_continuous(norn_state *st, const norn_dist *d)
{
  double lo, hi, p[COLUMNS], logp;
  if (!real_of(st, d, 0.005, &lo) || !real_of(st, d, 0.995, &hi) || !(lo < hi)) return;
  double quarter, rest;               /* heavy tails would leave a needle */
  if (real_of(st, d, 0.25, &quarter) && real_of(st, d, 0.75, &rest) &&
      hi - lo > 20 * (rest - quarter) && (!real_of(st, d, 0.05, &lo) || !real_of(st, d, 0.95, &hi)))
    return;
  for (int i = 0; i < COLUMNS; i++) {
    norn_datum x = norn_real(lo + (i + 0.5) * (hi - lo) / COLUMNS);
    if (norn_dist_logp(st, d, x, &logp)) { norn_clear(st); return; }
    p[i] = exp(logp);
  }
  bars(p, COLUMNS, 1, lo, hi);
}

static void plot_discrete(norn_state *st, const norn_dist *d)
{
  double p[COLUMNS], first = 0, last = 0, sum = 0, logp;
  int n = 0;
  for (; n < COLUMNS && sum < 0.995; n++) {
    norn_datum x = norn_none();
    if (norn_dist_enumerate(st, d, n, &x)) { norn_clear(st); return; }
    if (norn_is_none(x)) break;
    if (x.tag == NORN_BOOL) x = norn_int(x.i);
    if (!norn_as_real(x, &last) || norn_dist_logp(st, d, x, &logp)) { norn_clear(st); return; }
    if (n == 0) first = last;
    sum += p[n] = exp(logp);
  }
  if (n > 1) bars(p, n, n < 10 ? 5 : n < 20 ? 3 : 2, first, last);
}

/* ---- a family -------------------------------------------------------------------------------- */

static const char *support_words(const norn_support *s, char *buf, size_t n)
{
  static const char *const words[] = {"the reals", "x > %g", "x < %g", "between %g and %g",
    "a simplex of %lld", "%lld rising numbers", "%lld rising positive numbers",
    "a vector of length 1 in %lld dimensions", "%lld numbers of sum 0",
    "a correlation matrix of order %lld", "a covariance matrix of order %lld",
    "the Cholesky factor of a correlation matrix of order %lld",
    "the Cholesky factor of a covariance matrix of order %lld", "false and true",
    "whole numbers from %g to %g", ""};
  const char *w = words[s->kind];
  if (s->kind == NORN_SUPPORT_LOWER) snprintf(buf, n, "x > %g", s->lower);
  else if (s->kind == NORN_SUPPORT_UPPER) snprintf(buf, n, "x < %g", s->upper);
  else if (s->kind == NORN_SUPPORT_INTERVAL)
    snprintf(buf, n, "between %g and %g", s->lower, s->upper);
  else if (s->kind == NORN_SUPPORT_INTEGER && !isfinite(s->upper))
    snprintf(buf, n, "whole numbers%s", s->lower == 0 ? ", 0 or more" : "");
  else if (s->kind == NORN_SUPPORT_INTEGER)
    snprintf(buf, n, "whole numbers from %g to %g", s->lower, s->upper);
  else if (s->kind >= NORN_SUPPORT_SIMPLEX && s->kind <= NORN_SUPPORT_CHOLESKY_COV) {
    const char *at = strstr(w, "%lld");
    snprintf(buf, n, "%.*s%lld%s", (int)(at - w), w, (long long)s->size, at + 4);
  } else snprintf(buf, n, "%s", w);
  return buf;
}

/* "Mean 3, standard deviation 1.73." of an example of numbers. */
static void moments(norn_state *st, const norn_dist *d)
{
  norn_datum mean, variance;
  double m, v;
  if (dist_moments(st, d, &mean, &variance)) { norn_clear(st); return; }
  if (!norn_as_real(mean, &m) || !norn_as_real(variance, &v)) return;
  char what[120];
  if (isfinite(m) && isfinite(v)) snprintf(what, sizeof what, "%.4g, standard deviation %.4g", m,
                                           sqrt(v));
  else if (isfinite(m)) snprintf(what, sizeof what, "%.4g, no finite variance", m);
  else snprintf(what, sizeof what, "none");
  fputs(" mean ", stdout);
  puts_plain(what);
  putchar('.');
}

static bool family(norn_state *st, const norn_dist_row *row, const char *example)
{
  norn_datum out;
  norn_dist d;
  norn_support s;
  char words[120];
  if (norn_eval(st, "example", example, strlen(example), 0, &out) || !norn_dist_view(out, &d)) {
    fprintf(stderr, "distman: %s: %s\n", example, norn_error(st)->text);
    return false;
  }
  fputs(".SS \"", stdout);
  puts_plain(row->name);
  putchar('(');
  puts_plain(row->params ? row->params : "");
  puts(")\"");
  for (const char *line = row->doc; *line;) {
    size_t n = strcspn(line, "\n");
    if (!strncmp(line, "Example:", 8) || !strncmp(line, "=> ", 3)) break;
    put(line, n);
    line += n + (line[n] == '\n');
    puts(*line ? "\n.br" : "");
  }
  fputs(".PP\n\\fB", stdout);
  puts_plain(example);
  fputs("\\fR:", stdout);
  norn_dist_support(st, &d, &s);
  if (*support_words(&s, words, sizeof words)) {
    putchar(' ');
    puts_plain(words);
    putchar(';');
  }
  moments(st, &d);
  putchar('\n');
  if (s.count > 1 || s.size > 1) return true;
  if (norn_dist_flags(&d) & NORN_DIST_DISCRETE) plot_discrete(st, &d);
  else plot_continuous(st, &d);
  return true;
}

static bool has_example(const char *name)
{
  for (int i = 0; i < NORN_COUNT(examples); i++)
    if (examples[i].name && !strcmp(examples[i].name, name)) return true;
  return false;
}

static bool all_have_examples(void)
{
  int n;
  bool good = true;
  const dist_shelf *const *shelves = dist_shelves(&n);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < shelves[i]->n; k++)
      if (!has_example(shelves[i]->rows[k].name)) {
        fprintf(stderr, "distman: %s has no example in man/distman.c\n", shelves[i]->rows[k].name);
        good = false;
      }
  return good;
}

int main(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  norn_state *st = norn_new(&c);
  if (!st) return 1;
  bool good = all_have_examples();
  puts(".TH NORN-DISTRIBUTIONS 7 \"\" \"Norn " NORN_VERSION "\" Norn\n.SH NAME\n"
       "norn\\-distributions \\- the distributions of the Norn language\n.SH DESCRIPTION\n"
       "Names and parameters are Stan's where Stan has the family. A family of numbers with array\n"
       "parameters is a product of independent elements. \\fBsample\\fR, \\fBlogpdf\\fR, \\fBpdf\\fR,\n"
       "\\fBcdf\\fR, \\fBquantile\\fR, \\fBmean\\fR, \\fBsd\\fR and \\fBvariance\\fR take any of them\n"
       "where these exist.");
  for (int i = 0; i < NORN_COUNT(examples); i++) {
    const norn_dist_row *row = examples[i].name ? dist_find(examples[i].name) : NULL;
    if (!examples[i].name) printf(".SH %s\n", examples[i].example);
    else if (row) good &= family(st, row, examples[i].example);
  }
  puts(".SH SEE ALSO\nnorn(1), norn(7)");
  norn_free(st);
  return good ? 0 : 1;
}
