/* families: the scalar families whose formula stands in kernel.h, and the number of their
   parameters: the list from which block.c and its levels make NAME_block; and those whose draw is a
   function of one normal or one uniform (kernel_draw.h), from which draws.c makes NAME_samples. */
#ifndef NORN_FAMILIES_H
#define NORN_FAMILIES_H

#define REAL_FAMILIES(FAMILY)                                                                      \
  FAMILY(normal, 2) FAMILY(std_normal, 0) FAMILY(half_normal, 1) FAMILY(lognormal, 2)              \
  FAMILY(cauchy, 2) FAMILY(half_cauchy, 1) FAMILY(student_t, 3) FAMILY(laplace, 2)                 \
  FAMILY(logistic, 2) FAMILY(uniform, 2) FAMILY(exponential, 1) FAMILY(gamma, 2)                   \
  FAMILY(inv_gamma, 2) FAMILY(beta, 2) FAMILY(half_student_t, 2) FAMILY(double_exponential, 2)     \
  FAMILY(gumbel, 2) FAMILY(skew_normal, 3) FAMILY(von_mises, 2) FAMILY(beta_proportion, 2)         \
  FAMILY(chi_square, 1) FAMILY(inv_chi_square, 1) FAMILY(scaled_inv_chi_square, 2)                 \
  FAMILY(rayleigh, 1) FAMILY(weibull, 2) FAMILY(frechet, 2) FAMILY(pareto, 2)                      \
  FAMILY(pareto_type_2, 3) FAMILY(loglogistic, 2)

#define COUNT_FAMILIES(FAMILY)                                                                     \
  FAMILY(bernoulli, 1) FAMILY(binomial, 2) FAMILY(poisson, 1) FAMILY(geometric, 1)                 \
  FAMILY(neg_binomial_2, 2) FAMILY(discrete_uniform, 2) FAMILY(bernoulli_logit, 1)                \
  FAMILY(binomial_logit, 2) FAMILY(poisson_log, 1) FAMILY(neg_binomial_2_log, 2)                   \
  FAMILY(neg_binomial, 2) FAMILY(beta_binomial, 3) FAMILY(hypergeometric, 3)                  \
  FAMILY(beta_neg_binomial, 3)

#define FAMILIES(FAMILY) REAL_FAMILIES(FAMILY) COUNT_FAMILIES(FAMILY)

#define NORMAL_DRAWS(DRAW)                                                                         \
  DRAW(normal, 2) DRAW(std_normal, 0) DRAW(half_normal, 1) DRAW(lognormal, 2)
#define UNIFORM_DRAWS(DRAW)                                                                        \
  DRAW(uniform, 2) DRAW(exponential, 1) DRAW(cauchy, 2) DRAW(half_cauchy, 1) DRAW(laplace, 2)      \
  DRAW(logistic, 2) DRAW(gumbel, 2) DRAW(rayleigh, 1) DRAW(weibull, 2) DRAW(frechet, 2)            \
  DRAW(pareto, 2) DRAW(pareto_type_2, 3) DRAW(loglogistic, 2) DRAW(bernoulli, 1)                   \
  DRAW(bernoulli_logit, 1) DRAW(geometric, 1)
#endif
