/* elsewhere.c: what a name that is not defined is called here.

   People bring names from Stan, WebPPL, Pyro and NumPyro, PyMC, Gen, Turing, R, Python and Julia.  A misspelling is
   base/edit.c's; these are spelled right, for somebody else.  On the right stands a name, or where no one name will do
   a sentence.  tests/unit/test_elsewhere.c looks that a program can use each name on the right, and none on the left. */
#include "lang/parse/elsewhere.h"
#include <string.h>

#define COUNTS "write neg_binomial_2 (mean and overdispersion) or neg_binomial (Stan's alpha, beta)"
#define ALONE "functions need no module: mean(xs), sqrt(x); norn doc lists them"
#define NOTHING "a value that is not there is written missing"

static const struct { const char *there, *here; } names[] = {
  /* distributions */
  {"flip", "bernoulli"}, {"bern", "bernoulli"}, {"gaussian", "normal"}, {"Gaussian", "normal"},
  {"rnorm", "write sample(normal(mu, sigma)), or let x ~ normal(mu, sigma)"},
  {"runif", "write sample(uniform(a, b)), or let x ~ uniform(a, b)"},
  {"rbinom", "write sample(binomial(n, p)), or let k ~ binomial(n, p)"},
  {"dnorm", "write pdf(normal(mu, sigma), x)"}, {"dbinom", "write pdf(binomial(n, p), k)"},
  {"bernoulli_lpmf", "write logpdf(bernoulli(p), x)"}, {"poisson_lpmf", "write logpdf(poisson(rate), x)"},
  {"mvnormal", "multi_normal"}, {"MvNormal", "multi_normal"}, {"mvn", "multi_normal"},
  {"multivariate_normal", "multi_normal"}, {"MultivariateNormal", "multi_normal"},
  {"MultivariateGaussian", "multi_normal"}, {"RandomInteger", "discrete_uniform"},
  {"random_integer", "discrete_uniform"}, {"randomInteger", "discrete_uniform"}, {"randint", "discrete_uniform"},
  {"uniform_discrete", "discrete_uniform"}, {"uniform_int", "discrete_uniform"},
  {"DiscreteUniform", "discrete_uniform"}, {"uniformDraw", "uniform_of"}, {"choice", "uniform_of"},
  {"inverse_gamma", "inv_gamma"}, {"InverseGamma", "inv_gamma"}, {"invgamma", "inv_gamma"},
  {"inverse_wishart", "inv_wishart"}, {"InverseWishart", "inv_wishart"}, {"negative_binomial", COUNTS},
  {"NegativeBinomial", COUNTS}, {"studentT", "student_t"}, {"StudentT", "student_t"}, {"TDist", "student_t"},
  {"HalfNormal", "half_normal"}, {"HalfCauchy", "half_cauchy"}, {"LogNormal", "lognormal"}, {"dirac", "delta"},
  {"Dirac", "delta"}, {"point_mass", "delta"}, {"Deterministic", "delta"}, {"LKJCholesky", "lkj_corr_cholesky"},
  {"LKJ", "lkj_corr"}, {"lkj", "lkj_corr"}, {"ImproperUniform", "flat"}, {"GP", "gaussian_process"},
  {"zero_inflated_poisson", "write zero_inflated(p, poisson(rate))"},
  {"ZeroInflatedPoisson", "write zero_inflated(p, poisson(rate))"},
  /* inference */
  {"Infer", "infer"}, {"Enumerate", "enumerate"}, {"NUTS", "nuts"}, {"HMC", "hmc"}, {"SMC", "smc"}, {"SVI", "advi"},
  {"svi", "advi"}, {"MCMC", "an engine is chosen by its name: nuts(...), mh(...), gibbs(...)"},
  {"mcmc", "an engine is chosen by its name: nuts(...), mh(...), gibbs(...)"},
  {"particle_mcmc", "write pmmh(...) or pgibbs(...)"}, {"PMCMC", "write pmmh(...) or pgibbs(...)"},
  {"plate", "a loop is one: for i in 0..n { ... }"}, {"target", "factor(lp) adds to the log density"},
  {"log_prob", "logpdf"}, {"lpdf", "logpdf"}, {"normal_lpdf", "write logpdf(normal(mu, sigma), x)"},
  {"expectation", "expect"}, {"posterior_mean", "write mean(post)"},
  /* functions */
  {"length", "len"}, {"size", "len"}, {"numel", "len"}, {"nchar", "len"}, {"nrow", "len"}, {"std", "sd"},
  {"stdev", "sd"}, {"stddev", "sd"}, {"std_dev", "sd"}, {"sigmoid", "inv_logit"}, {"expit", "inv_logit"},
  {"invlogit", "inv_logit"}, {"inverse_logit", "inv_logit"}, {"logsumexp", "log_sum_exp"},
  {"log1pexp", "log1p_exp"}, {"softplus", "log1p_exp"}, {"gammaln", "lgamma"}, {"loggamma", "lgamma"},
  {"arange", "range"}, {"foldl", "fold"}, {"transpose", "the transpose of A is A'"},
  {"matmul", "the product of matrices is A @ B"}, {"println", "print"},
  {"printf", "print"}, {"puts", "print"}, {"echo", "print"}, {"cat", "print"}, {"display", "print"},
  {"to_string", "str"}, {"toString", "str"}, {"string", "str"}, {"float", "real"}, {"double", "real"},
  {"corr", "cor"}, {"correlation", "cor"}, {"covariance", "cov"}, {"replicate", "repeat"},
  {"rep", "repeat"}, {"sorted", "sort"}, {"percentile", "quantile"}, {"clip", "clamp"},
  {"normal_quantile", "inv_Phi"}, {"probit", "inv_Phi"}, {"qnorm", "inv_Phi"}, {"pnorm", "Phi"},
  /* modules */
  {"np", ALONE}, {"numpy", ALONE}, {"jnp", ALONE}, {"scipy", ALONE}, {"math", ALONE}, {"Math", ALONE},
  {"plt", "pictures are drawn by plot(post, \"post.svg\")"},
  {"pd", "read_csv(path) gives a record of columns"}, {"pandas", "read_csv(path) gives a record of columns"},
  /* words */
  {"break", "there is no break: write a recursive function"}, {"continue", "there is no continue: write if"},
  {"True", "true"}, {"TRUE", "true"}, {"False", "false"}, {"FALSE", "false"}, {"None", NOTHING}, {"null", NOTHING},
  {"nil", NOTHING}, {"NA", NOTHING}, {"NULL", NOTHING}, {"undefined", NOTHING}, {"Infinity", "inf"},
  {"infinity", "inf"}, {"Inf", "inf"}, {"NaN", "nan"},
};

bool elsewhere_pair(size_t i, const char **there, const char **here)
{
  if (i >= sizeof names / sizeof *names) return false;
  *there = names[i].there;
  *here = names[i].here;
  return true;
}

const char *elsewhere_find(const char *name)
{
  const char *there, *here;
  for (size_t i = 0; elsewhere_pair(i, &there, &here); i++) if (!strcmp(there, name)) return here;
  return NULL;
}
