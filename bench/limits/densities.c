/* densities: log densities as one writes them with the C library, one number at a time: the limit
   that Norn's densities of many elements are compared with.  Constants of the parameters are inside
   the loop, as in a function that gets its parameters anew. */
#include "limits.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#define LOG_2PI 1.8378770664093453
static double lbeta_(double a, double b) { return lgamma(a) + lgamma(b) - lgamma(a + b); }
static double lchoose_(double n, double k)
{
  return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}
static double log1pexp_(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

/* name, density of x with parameters p, parameters */
#define DENSITIES(X)                                                                               \
  X(normal, -0.5 * (x - p[0]) / p[1] * (x - p[0]) / p[1] - log(p[1]) - LOG_2PI / 2, 0.3, 1.7, 0)   \
  X(lognormal, -0.5 * (log(x) - p[0]) / p[1] * (log(x) - p[0]) / p[1] - log(x * p[1]) -            \
    LOG_2PI / 2, 0.3, 0.7, 0)                                                                      \
  X(cauchy, -log1p((x - p[0]) / p[1] * (x - p[0]) / p[1]) - log(M_PI * p[1]), 0.3, 1.7, 0)         \
  X(student_t, lgamma((p[0] + 1) / 2) - lgamma(p[0] / 2) - 0.5 * log(p[0] * M_PI) - log(p[2]) -    \
    (p[0] + 1) / 2 * log1p((x - p[1]) / p[2] * (x - p[1]) / p[2] / p[0]), 4, 0.3, 1.7)             \
  X(laplace, -fabs(x - p[0]) / p[1] - log(2 * p[1]), 0.3, 1.7, 0)                                  \
  X(logistic, -(x - p[0]) / p[1] - log(p[1]) - 2 * log1p(exp(-(x - p[0]) / p[1])), 0.3, 1.7, 0)    \
  X(gumbel, -(x - p[0]) / p[1] - exp(-(x - p[0]) / p[1]) - log(p[1]), 0.3, 1.7, 0)                 \
  X(skew_normal, log(2) - log(p[1]) - LOG_2PI / 2 - 0.5 * pow((x - p[0]) / p[1], 2) +              \
    log(0.5 * erfc(-p[2] * (x - p[0]) / p[1] / M_SQRT2)), 0.3, 1.7, 2)                             \
  X(exponential, log(p[0]) - p[0] * x, 1.3, 0, 0)                                                  \
  X(gamma, p[0] * log(p[1]) - lgamma(p[0]) + (p[0] - 1) * log(x) - p[1] * x, 2.5, 1.3, 0)          \
  X(inv_gamma, p[0] * log(p[1]) - lgamma(p[0]) - (p[0] + 1) * log(x) - p[1] / x, 2.5, 1.3, 0)      \
  X(chi_square, (p[0] / 2 - 1) * log(x) - x / 2 - p[0] / 2 * log(2) - lgamma(p[0] / 2), 5, 0, 0)   \
  X(weibull, log(p[0] / p[1]) + (p[0] - 1) * log(x / p[1]) - pow(x / p[1], p[0]), 1.5, 2, 0)       \
  X(rayleigh, log(x) - 2 * log(p[0]) - x * x / (2 * p[0] * p[0]), 2, 0, 0)                         \
  X(pareto, log(p[1]) + p[1] * log(p[0]) - (p[1] + 1) * log(x), 1, 3, 0)                           \
  X(half_normal, log(2) - 0.5 * (x / p[0]) * (x / p[0]) - log(p[0]) - LOG_2PI / 2, 1.7, 0, 0)      \
  X(half_cauchy, log(2) - log1p((x / p[0]) * (x / p[0])) - log(M_PI * p[0]), 1.7, 0, 0)            \
  X(half_student_t, log(2) + lgamma((p[0] + 1) / 2) - lgamma(p[0] / 2) - 0.5 * log(p[0] * M_PI) -  \
    log(p[1]) - (p[0] + 1) / 2 * log1p(x / p[1] * x / p[1] / p[0]), 4, 1.7, 0)                     \
  X(inv_chi_square, -p[0] / 2 * log(2) - lgamma(p[0] / 2) - (p[0] / 2 + 1) * log(x) - 1 / (2 * x), \
    5, 0, 0)                                                                                       \
  X(frechet, log(p[0] / p[1]) - (p[0] + 1) * log(x / p[1]) - pow(x / p[1], -p[0]), 3, 2, 0)        \
  X(loglogistic, log(p[1] / p[0]) + (p[1] - 1) * log(x / p[0]) - 2 * log1p(pow(x / p[0], p[1])),   \
    1, 4, 0)                                                                                       \
  X(von_mises, p[1] * cos(x - p[0]) - log(2 * M_PI) - p[1] - log(0.3085083), 0.3, 2, 0)            \
  X(beta_proportion, (p[0] * p[1] - 1) * log(x) + ((1 - p[0]) * p[1] - 1) * log1p(-x) -            \
    lbeta_(p[0] * p[1], (1 - p[0]) * p[1]), 0.3, 6, 0)                                             \
  X(beta, (p[0] - 1) * log(x) + (p[1] - 1) * log1p(-x) - lbeta_(p[0], p[1]), 2.5, 1.3, 0)          \
  X(bernoulli, x != 0 ? log(p[0]) : log1p(-p[0]), 0.3, 0, 0)                                       \
  X(bernoulli_logit, x != 0 ? -log1pexp_(-p[0]) : -log1pexp_(p[0]), 0.3, 0, 0)                     \
  X(binomial, lchoose_(p[0], x) + x * log(p[1]) + (p[0] - x) * log1p(-p[1]), 20, 0.3, 0)           \
  X(binomial_logit, lchoose_(p[0], x) - x * log1pexp_(-p[1]) - (p[0] - x) * log1pexp_(p[1]), 20,   \
    0.3, 0)                                                                                        \
  X(beta_binomial, lchoose_(p[0], x) + lbeta_(x + p[1], p[0] - x + p[2]) - lbeta_(p[1], p[2]), 20, \
    2.5, 1.3)                                                                                      \
  X(poisson, x * log(p[0]) - p[0] - lgamma(x + 1), 4, 0, 0)                                        \
  X(poisson_log, x * p[0] - exp(p[0]) - lgamma(x + 1), 1.4, 0, 0)                                  \
  X(neg_binomial, lgamma(x + p[0]) - lgamma(p[0]) - lgamma(x + 1) +                                \
    p[0] * log(p[1] / (p[1] + 1)) - x * log(p[1] + 1), 3, 1.2, 0)                                  \
  X(neg_binomial_2_log, lgamma(x + p[1]) - lgamma(p[1]) - lgamma(x + 1) -                          \
    p[1] * log1p(exp(p[0]) / p[1]) + x * (p[0] - log(exp(p[0]) + p[1])), 1.4, 2, 0)                \
  X(hypergeometric, lchoose_(p[1], x) + lchoose_(p[2], p[0] - x) - lchoose_(p[1] + p[2], p[0]), 8, \
    12, 10)                                                                                        \
  X(geometric, log(p[0]) + x * log1p(-p[0]), 0.3, 0, 0)                                            \
  X(neg_binomial_2, lgamma(x + p[1]) - lgamma(p[1]) - lgamma(x + 1) +                              \
    p[1] * log(p[1] / (p[0] + p[1])) + x * log(p[0] / (p[0] + p[1])), 4, 2, 0)

#define X(name, density, a, b, c)                                                                  \
  static double name##_(double x, const double *p) { return density; }
DENSITIES(X)
#undef X

static const limit_density table[] = {
#define X(name, density, a, b, c) {#name, name##_, {a, b, c}},
  DENSITIES(X)
#undef X
};

const limit_density *limit_density_at(int i)
{
  return i < (int)(sizeof table / sizeof *table) ? &table[i] : NULL;
}

__attribute__((noinline)) void limit_density_run(const limit_density *d, const double *x,
                                                 double *out, int n, const double *p)
{
  double (*f)(double, const double *) = d->logp;
  for (int i = 0; i < n; i++) out[i] = f(x[i], p);
}
