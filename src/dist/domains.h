/* domains: where the parameters of each scalar family may be, in the dialect of num/lane.h, for
   generated code: NAME_inside(parameters) is a mask.  What check1 of the family's row says in
   sentences (test_op_text compares them); parameters that must be whole numbers are asked for that
   only as far as 2^51. */
#ifndef NORN_DOMAINS_H
#define NORN_DOMAINS_H
#include "num/vspecial.h"

#ifdef NORN_F32
#define DOMAIN_LEAST 1.2e-38
#else
#define DOMAIN_LEAST 2.3e-308
#endif

static inline lane_mask domain_finite(lanes x) { return v_abs(x) < HUGE_VAL; }
static inline lane_mask domain_positive(lanes x) { return (x > 0) & (x < HUGE_VAL); }
static inline lane_mask domain_scale(lanes s)
{
  return (s >= V_TINY) & (s <= V_HUGE);
}
static inline lane_mask domain_whole(lanes x)
{
  lane_mask whole = v_floor(x) == x, large = v_abs(x) >= V_WHOLE / 2;
  return whole | large;
}
static inline lane_mask domain_count(lanes n) { return (n >= 0) & (n <= 0x1p53) & domain_whole(n); }

/* D(NAME, number of parameters, mask): those of the families' list, by kernel name. */
#define DOMAINS_1(D)                                                                                \
  D(half_normal, domain_scale(a)) D(half_cauchy, domain_scale(a)) D(exponential, domain_positive(a)) \
  D(chi_square, domain_positive(a)) D(inv_chi_square, domain_positive(a))                           \
  D(rayleigh, domain_scale(a)) D(bernoulli, (a >= 0) & (a <= 1))                                    \
  D(poisson, (a >= 0) & (a < HUGE_VAL)) D(geometric, (a > 0) & (a <= 1))                            \
  D(bernoulli_logit, domain_finite(a)) D(poisson_log, domain_finite(a))
#define DOMAINS_2(D)                                                                                \
  D(normal, domain_finite(a) & domain_scale(b)) D(lognormal, domain_finite(a) & domain_scale(b))    \
  D(cauchy, domain_finite(a) & domain_scale(b)) D(laplace, domain_finite(a) & domain_scale(b))      \
  D(double_exponential, domain_finite(a) & domain_scale(b))                                         \
  D(logistic, domain_finite(a) & domain_scale(b)) D(gumbel, domain_finite(a) & domain_scale(b))     \
  D(half_student_t, domain_positive(a) & domain_scale(b))                                           \
  D(uniform, domain_finite(a) & domain_finite(b) & (a < b) & (b - a < HUGE_VAL))                    \
  D(gamma, domain_positive(a) & domain_positive(b))                                                 \
  D(inv_gamma, domain_positive(a) & domain_positive(b))                                             \
  D(beta, domain_positive(a) & domain_positive(b))                                                  \
  D(von_mises, domain_finite(a) & domain_positive(b))                                               \
  D(beta_proportion, (a > 0) & (a < 1) & domain_positive(b) & (a * b > 0) & ((1 - a) * b > 0))      \
  D(scaled_inv_chi_square, domain_positive(a) & (b > 0) & (0.5 * a * b * b >= DOMAIN_LEAST) &           \
    (0.5 * a * b * b < HUGE_VAL))                                                                   \
  D(weibull, domain_positive(a) & domain_scale(b)) D(frechet, domain_positive(a) & domain_scale(b)) \
  D(pareto, domain_scale(a) & domain_positive(b)) D(loglogistic, domain_scale(a) & domain_positive(b)) \
  D(binomial, domain_count(a) & (b >= 0) & (b <= 1))                                                \
  D(neg_binomial_2, domain_positive(a) & domain_positive(b))                                        \
  D(neg_binomial, domain_positive(a) & domain_positive(b))                                          \
  D(discrete_uniform, domain_whole(a) & domain_whole(b) & (v_abs(a) <= 0x1p53) &                    \
    (v_abs(b) <= 0x1p53) & (a <= b))                                                                \
  D(binomial_logit, domain_count(a) & domain_finite(b))                                             \
  D(neg_binomial_2_log, domain_finite(a) & domain_positive(b))
#define DOMAINS_3(D)                                                                                \
  D(student_t, domain_positive(a) & domain_finite(b) & domain_scale(c))                             \
  D(skew_normal, domain_finite(a) & domain_scale(b) & domain_finite(c))                             \
  D(pareto_type_2, domain_finite(a) & domain_scale(b) & domain_positive(c))                         \
  D(beta_binomial, domain_count(a) & domain_positive(b) & domain_positive(c) & (b + c < HUGE_VAL))  \
  D(hypergeometric, (a >= 0) & domain_whole(a) & (b >= 0) & domain_whole(b) & (c >= 0) &            \
    domain_whole(c) & (b + c <= 0x1p53) & (a <= b + c))                                             \
  D(beta_neg_binomial, domain_positive(a) & domain_positive(b) & domain_positive(c) &               \
    (a + b + c < V_SAFE_MAX * 1e-10))

#define DOMAIN_DEFINE(name, mask)                                                                   \
  static inline lane_mask name##_inside(lanes a) { return mask; }
DOMAINS_1(DOMAIN_DEFINE)
#undef DOMAIN_DEFINE
#define DOMAIN_DEFINE(name, mask)                                                                   \
  static inline lane_mask name##_inside(lanes a, lanes b) { return mask; }
DOMAINS_2(DOMAIN_DEFINE)
#undef DOMAIN_DEFINE
#define DOMAIN_DEFINE(name, mask)                                                                   \
  static inline lane_mask name##_inside(lanes a, lanes b, lanes c) { return mask; }
DOMAINS_3(DOMAIN_DEFINE)
#undef DOMAIN_DEFINE
#endif
