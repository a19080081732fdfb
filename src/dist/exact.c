/* exact.c: the formulas of exact.h, family by family.  Names and parameters are those of the Stan
   functions reference, where the densities stand too.

   Sums of large terms cancel here as they do anywhere; the caller computes with 64 bits more than
   it wants, which covers counts and shapes up to 2^60. */
#include "dist/exact.h"
#include <string.h>

#define ADD(a, b) calc_do(c, REAL_ADD, a, b)
#define SUB(a, b) calc_do(c, REAL_SUB, a, b)
#define MUL(a, b) calc_do(c, REAL_MUL, a, b)
#define DIV(a, b) calc_do(c, REAL_DIV, a, b)
#define POW(a, b) calc_do(c, REAL_POW, a, b)
#define NEG(a) calc_do(c, REAL_NEG, a, NULL)
#define ABS(a) calc_do(c, REAL_ABS, a, NULL)
#define SQR(a) calc_do(c, REAL_MUL, a, a)
#define SQRT(a) calc_do(c, REAL_SQRT, a, NULL)
#define LOG(a) calc_do(c, REAL_LOG, a, NULL)
#define LOG1P(a) calc_do(c, REAL_LOG1P, a, NULL)
#define LOG1M(a) calc_do(c, REAL_LOG1M, a, NULL)
#define EXP(a) calc_do(c, REAL_EXP, a, NULL)
#define LGAMMA(a) calc_do(c, REAL_LGAMMA, a, NULL)
#define LBETA(a, b) calc_do(c, REAL_LBETA, a, b)
#define LCHOOSE(a, b) calc_do(c, REAL_LCHOOSE, a, b)
#define ERFC(a) calc_do(c, REAL_ERFC, a, NULL)
#define ATAN2(a, b) calc_do(c, REAL_ATAN2, a, b)
#define PI calc_do(c, REAL_PI, NULL, NULL)
#define LN2 calc_do(c, REAL_LN2, NULL, NULL)
#define INT(i) calc_int(c, i)
#define HALF calc_double(c, 0.5)
#define NOTHING calc_double(c, -HUGE_VAL)

static bool less(num a, num b) { return real_compare(a, b) == -1; }
static bool below(num a, double b)
{
  uint64_t few[1];
  bignum r = real_at(53, few);
  real_set_double(&r, b);
  return real_compare(a, &r) == -1;
}

static bool is_zero(num a) { return a->kind == NORN_BIG_ZERO; }
static bool is_infinite(num a) { return a->kind == NORN_BIG_INF; }

/* x log y, 0 at x = 0 */
static num xlogy(calc *c, num x, num y) { return is_zero(x) ? INT(0) : MUL(x, LOG(y)); }
/* x log(1 - y), 0 at x = 0 */
static num xlog1my(calc *c, num x, num y) { return is_zero(x) ? INT(0) : MUL(x, LOG1M(y)); }
static num log_2pi_half(calc *c) { return DIV(ADD(LN2, LOG(PI)), INT(2)); }
static num log_factorial(calc *c, num k) { return LGAMMA(ADD(k, INT(1))); }
/* log inv_logit(a) and log inv_logit(-a) */
static num log_inv_logit(calc *c, num a) { return NEG(calc_do(c, REAL_LOG1P_EXP, NEG(a), NULL)); }
static num log_inv_logit_neg(calc *c, num a) { return NEG(calc_do(c, REAL_LOG1P_EXP, a, NULL)); }
static num scaled(calc *c, num x, num mu, num sigma) { return DIV(SUB(x, mu), sigma); }
num exact_log_add(calc *c, num a, num b) { return calc_do(c, REAL_LOG_ADD_EXP, a, b); }

/* ---- the normal and its kin ---- */

/* log of the standard normal density */
static num phi(calc *c, num z) { return NEG(ADD(DIV(SQR(z), INT(2)), log_2pi_half(c))); }
/* log Phi(z) = log(erfc(-z / sqrt 2) / 2) */
static num log_Phi(calc *c, num z) { return SUB(LOG(ERFC(DIV(NEG(z), SQRT(INT(2))))), LN2); }

static num normal(calc *c, num x, const num *p)
{
  return SUB(phi(c, scaled(c, x, p[0], p[1])), LOG(p[1]));
}

static num normal_lower(calc *c, num x, const num *p)
{
  return log_Phi(c, scaled(c, x, p[0], p[1]));
}

static num normal_upper(calc *c, num x, const num *p)
{
  return log_Phi(c, NEG(scaled(c, x, p[0], p[1])));
}

static num std_normal(calc *c, num x, const num *p) { (void)p; return phi(c, x); }
static num std_normal_lower(calc *c, num x, const num *p) { (void)p; return log_Phi(c, x); }
static num std_normal_upper(calc *c, num x, const num *p) { (void)p; return log_Phi(c, NEG(x)); }

static num half_normal(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  return ADD(LN2, SUB(phi(c, DIV(x, p[0])), LOG(p[0])));
}

static num half_normal_upper(calc *c, num x, const num *p)
{
  return below(x, 0) ? INT(0) : ADD(LN2, log_Phi(c, NEG(DIV(x, p[0]))));
}

static num half_normal_lower(calc *c, num x, const num *p)       /* erf(x / (sigma sqrt 2)) */
{
  if (below(x, 0)) return NOTHING;
  return LOG(calc_do(c, REAL_ERF, DIV(DIV(x, p[0]), SQRT(INT(2))), NULL));
}

static num lognormal(calc *c, num x, const num *p)
{
  if (!below(NEG(x), 0)) return NOTHING;
  num l = LOG(x);
  return SUB(normal(c, l, p), l);
}

static num lognormal_lower(calc *c, num x, const num *p)
{
  return below(NEG(x), 0) ? normal_lower(c, LOG(x), p) : NOTHING;
}

static num lognormal_upper(calc *c, num x, const num *p)
{
  return below(NEG(x), 0) ? normal_upper(c, LOG(x), p) : INT(0);
}

/* 2 phi(z) Phi(alpha z) / omega */
static num skew_normal(calc *c, num x, const num *p)
{
  num z = scaled(c, x, p[0], p[1]);
  return ADD(ADD(LN2, SUB(phi(c, z), LOG(p[1]))), log_Phi(c, MUL(p[2], z)));
}

/* ---- heavy tails ---- */

static num student_t(calc *c, num x, const num *p)
{
  num nu = p[0], z = scaled(c, x, p[1], p[2]), h = DIV(ADD(nu, INT(1)), INT(2));
  if (is_infinite(nu)) return normal(c, x, p + 1);
  num front = SUB(LGAMMA(h), LGAMMA(DIV(nu, INT(2))));
  front = SUB(front, ADD(DIV(LOG(MUL(nu, PI)), INT(2)), LOG(p[2])));
  return SUB(front, MUL(h, LOG1P(DIV(SQR(z), nu))));
}

static num half_student_t(calc *c, num x, const num *p)
{
  const num q[] = { p[0], INT(0), p[1] };
  return below(x, 0) ? NOTHING : ADD(LN2, student_t(c, x, q));
}

static num cauchy(calc *c, num x, const num *p)
{
  num z = scaled(c, x, p[0], p[1]);
  return NEG(ADD(ADD(LOG(PI), LOG(p[1])), LOG1P(SQR(z))));
}

/* atan2(1, -z) / pi is right in both tails */
static num cauchy_lower(calc *c, num x, const num *p)
{
  return LOG(DIV(ATAN2(INT(1), NEG(scaled(c, x, p[0], p[1]))), PI));
}

static num cauchy_upper(calc *c, num x, const num *p)
{
  return LOG(DIV(ATAN2(INT(1), scaled(c, x, p[0], p[1])), PI));
}

static num half_cauchy(calc *c, num x, const num *p)
{
  const num q[] = { INT(0), p[0] };
  return below(x, 0) ? NOTHING : ADD(LN2, cauchy(c, x, q));
}

static num half_cauchy_upper(calc *c, num x, const num *p)
{
  const num q[] = { INT(0), p[0] };
  return below(x, 0) ? INT(0) : ADD(LN2, cauchy_upper(c, x, q));
}

static num half_cauchy_lower(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  return LOG(DIV(MUL(INT(2), ATAN2(x, p[0])), PI));
}

static num laplace(calc *c, num x, const num *p)
{
  return NEG(ADD(ADD(LN2, LOG(p[1])), ABS(scaled(c, x, p[0], p[1]))));
}

static num laplace_lower(calc *c, num x, const num *p)
{
  num z = scaled(c, x, p[0], p[1]);
  return below(z, 0) ? SUB(z, LN2) : LOG1M(DIV(EXP(NEG(z)), INT(2)));
}

static num laplace_upper(calc *c, num x, const num *p)
{
  const num q[] = { NEG(p[0]), p[1] };
  return laplace_lower(c, NEG(x), q);
}

static num logistic(calc *c, num x, const num *p)
{
  num z = ABS(scaled(c, x, p[0], p[1]));
  return NEG(ADD(ADD(z, LOG(p[1])), MUL(INT(2), LOG1P(EXP(NEG(z))))));
}

static num logistic_lower(calc *c, num x, const num *p)
{
  return log_inv_logit(c, scaled(c, x, p[0], p[1]));
}

static num logistic_upper(calc *c, num x, const num *p)
{
  return log_inv_logit_neg(c, scaled(c, x, p[0], p[1]));
}

static num gumbel(calc *c, num x, const num *p)
{
  num z = scaled(c, x, p[0], p[1]);
  return NEG(ADD(LOG(p[1]), ADD(z, EXP(NEG(z)))));
}

static num gumbel_lower(calc *c, num x, const num *p)
{
  return NEG(EXP(NEG(scaled(c, x, p[0], p[1]))));
}

static num gumbel_upper(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, gumbel_lower(c, x, p), NULL);
}

/* log I_0(k): the power series sum (k^2/4)^j / j!^2, or for large k the asymptotic one,
   e^k / sqrt(2 pi k) sum ((2j-1)!!)^2 / (j! (8k)^j); its terms fall for j < 2k (DLMF 10.25.2,
   10.40.1).  All terms are positive. */
static num log_bessel_i0(calc *c, num k)
{
  bool large = !below(k, (double)c->bits);
  bignum *sum = calc_new(c, c->bits), *term = calc_new(c, c->bits), *f = calc_new(c, c->bits),
       *j = calc_new(c, 64);
  if (!sum || !term || !f || !j) return INT(0);
  num q = large ? MUL(k, INT(8)) : DIV(SQR(k), INT(4));
  real_set_int(sum, 1);
  real_set_int(term, 1);
  for (int64_t i = 1; i < 100000000; i++) {
    if (large) {
      real_set_int(j, 2 * i - 1);
      real_do(REAL_MUL, f, j, j);
      real_do(REAL_MUL, term, term, f);
      real_do(REAL_DIV, term, term, q);
      real_set_int(j, i);
      real_do(REAL_DIV, term, term, j);
    } else {
      real_set_int(j, i);
      real_do(REAL_MUL, f, j, j);
      real_do(REAL_MUL, term, term, q);
      real_do(REAL_DIV, term, term, f);
    }
    real_do(REAL_ADD, sum, sum, term);
    if (term->kind != NORN_BIG_FINITE || term->exponent < sum->exponent - c->bits) break;
  }
  num l = LOG(sum);
  return large ? ADD(l, SUB(k, DIV(LOG(MUL(MUL(INT(2), PI), k)), INT(2)))) : l;
}

static num von_mises(calc *c, num x, const num *p)
{
  num cosine = calc_do(c, REAL_COS, SUB(x, p[0]), NULL);
  return SUB(MUL(p[1], cosine), ADD(ADD(LN2, LOG(PI)), log_bessel_i0(c, p[1])));
}

/* ---- positive ---- */

static bool not_positive(calc *c, num x) { return !below(NEG(x), 0); }

static num exponential(calc *c, num x, const num *p)
{
  return below(x, 0) ? NOTHING : SUB(LOG(p[0]), MUL(p[0], x));
}

static num exponential_upper(calc *c, num x, const num *p)
{
  return below(x, 0) ? INT(0) : NEG(MUL(p[0], x));
}

static num exponential_lower(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, exponential_upper(c, x, p), NULL);
}

static num gamma_(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  num front = SUB(MUL(p[0], LOG(p[1])), LGAMMA(p[0]));
  return ADD(front, SUB(xlogy(c, SUB(p[0], INT(1)), x), MUL(p[1], x)));
}

static num chi_square(calc *c, num x, const num *p)
{
  const num q[] = { DIV(p[0], INT(2)), HALF };
  return gamma_(c, x, q);
}

static num inv_gamma(calc *c, num x, const num *p)
{
  if (not_positive(c, x)) return NOTHING;
  num front = SUB(MUL(p[0], LOG(p[1])), LGAMMA(p[0]));
  return SUB(front, ADD(MUL(ADD(p[0], INT(1)), LOG(x)), DIV(p[1], x)));
}

static num inv_chi_square(calc *c, num x, const num *p)
{
  const num q[] = { DIV(p[0], INT(2)), HALF };
  return inv_gamma(c, x, q);
}

static num scaled_inv_chi_square(calc *c, num x, const num *p)
{
  num half = DIV(p[0], INT(2));
  const num q[] = { half, MUL(half, SQR(p[1])) };
  return inv_gamma(c, x, q);
}

static num weibull(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  num r = DIV(x, p[1]);
  num front = ADD(LOG(DIV(p[0], p[1])), xlogy(c, SUB(p[0], INT(1)), r));
  return SUB(front, POW(r, p[0]));
}

static num weibull_upper(calc *c, num x, const num *p)
{
  return below(x, 0) ? INT(0) : NEG(POW(DIV(x, p[1]), p[0]));
}

static num weibull_lower(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, weibull_upper(c, x, p), NULL);
}

static num rayleigh(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  return SUB(LOG(x), ADD(MUL(INT(2), LOG(p[0])), DIV(SQR(DIV(x, p[0])), INT(2))));
}

static num rayleigh_upper(calc *c, num x, const num *p)
{
  return below(x, 0) ? INT(0) : NEG(DIV(SQR(DIV(x, p[0])), INT(2)));
}

static num rayleigh_lower(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, rayleigh_upper(c, x, p), NULL);
}

static num pareto(calc *c, num x, const num *p)
{
  if (less(x, p[0])) return NOTHING;
  return SUB(ADD(LOG(p[1]), MUL(p[1], LOG(p[0]))), MUL(ADD(p[1], INT(1)), LOG(x)));
}

static num pareto_upper(calc *c, num x, const num *p)
{
  return less(x, p[0]) ? INT(0) : MUL(p[1], LOG(DIV(p[0], x)));
}

static num pareto_lower(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, pareto_upper(c, x, p), NULL);
}

static num pareto_type_2(calc *c, num x, const num *p)
{
  if (less(x, p[0])) return NOTHING;
  num t = LOG1P(scaled(c, x, p[0], p[1]));
  return SUB(LOG(DIV(p[2], p[1])), MUL(ADD(p[2], INT(1)), t));
}

static num pareto_type_2_upper(calc *c, num x, const num *p)
{
  return less(x, p[0]) ? INT(0) : NEG(MUL(p[2], LOG1P(scaled(c, x, p[0], p[1]))));
}

static num pareto_type_2_lower(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, pareto_type_2_upper(c, x, p), NULL);
}

static num frechet(calc *c, num x, const num *p)
{
  if (not_positive(c, x)) return NOTHING;
  num l = LOG(DIV(x, p[1]));
  num power = EXP(NEG(MUL(p[0], l)));
  return SUB(LOG(DIV(p[0], p[1])), ADD(MUL(ADD(p[0], INT(1)), l), power));
}

static num frechet_lower(calc *c, num x, const num *p)
{
  return not_positive(c, x) ? NOTHING : NEG(EXP(NEG(MUL(p[0], LOG(DIV(x, p[1]))))));
}

static num frechet_upper(calc *c, num x, const num *p)
{
  return calc_do(c, REAL_LOG1M_EXP, frechet_lower(c, x, p), NULL);
}

/* log x is logistic */
static num loglogistic(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  num r = DIV(x, p[0]), power = POW(r, p[1]);
  num front = ADD(LOG(DIV(p[1], p[0])), xlogy(c, SUB(p[1], INT(1)), r));
  return SUB(front, MUL(INT(2), LOG1P(power)));
}

static num loglogistic_lower(calc *c, num x, const num *p)
{
  if (not_positive(c, x)) return NOTHING;
  return log_inv_logit(c, MUL(p[1], LOG(DIV(x, p[0]))));
}

static num loglogistic_upper(calc *c, num x, const num *p)
{
  if (not_positive(c, x)) return INT(0);
  return log_inv_logit_neg(c, MUL(p[1], LOG(DIV(x, p[0]))));
}

/* ---- bounded ---- */

static num uniform(calc *c, num x, const num *p)
{
  return less(x, p[0]) || less(p[1], x) ? NOTHING : NEG(LOG(SUB(p[1], p[0])));
}

static num uniform_lower(calc *c, num x, const num *p)
{
  if (less(p[1], x)) return INT(0);
  return less(x, p[0]) ? NOTHING : LOG(DIV(SUB(x, p[0]), SUB(p[1], p[0])));
}

static num uniform_upper(calc *c, num x, const num *p)
{
  if (less(x, p[0])) return INT(0);
  return less(p[1], x) ? NOTHING : LOG(DIV(SUB(p[1], x), SUB(p[1], p[0])));
}

static num beta(calc *c, num x, const num *p)
{
  if (below(x, 0) || less(INT(1), x)) return NOTHING;
  num a = SUB(p[0], INT(1)), b = SUB(p[1], INT(1));
  return SUB(ADD(xlogy(c, a, x), xlog1my(c, b, x)), LBETA(p[0], p[1]));
}

static num beta_proportion(calc *c, num x, const num *p)
{
  const num q[] = { MUL(p[0], p[1]), MUL(SUB(INT(1), p[0]), p[1]) };
  return beta(c, x, q);
}

/* ---- counts ---- */

static num bernoulli(calc *c, num x, const num *p)
{
  if (is_zero(x)) return LOG1M(p[0]);
  return real_compare(x, INT(1)) == 0 ? LOG(p[0]) : NOTHING;
}

static num bernoulli_logit(calc *c, num x, const num *p)
{
  if (is_zero(x)) return log_inv_logit_neg(c, p[0]);
  return real_compare(x, INT(1)) == 0 ? log_inv_logit(c, p[0]) : NOTHING;
}

static bool outside(num x, num n) { return below(x, 0) || less(n, x); }

static num binomial(calc *c, num x, const num *p)
{
  if (outside(x, p[0])) return NOTHING;
  num rest = SUB(p[0], x);
  return ADD(LCHOOSE(p[0], x), ADD(xlogy(c, x, p[1]), xlog1my(c, rest, p[1])));
}

static num binomial_logit(calc *c, num x, const num *p)
{
  if (outside(x, p[0])) return NOTHING;
  num yes = MUL(x, log_inv_logit(c, p[1])), no = MUL(SUB(p[0], x), log_inv_logit_neg(c, p[1]));
  return ADD(LCHOOSE(p[0], x), ADD(is_zero(x) ? INT(0) : yes, real_compare(x, p[0]) ? no : INT(0)));
}

static num beta_binomial(calc *c, num x, const num *p)
{
  if (outside(x, p[0])) return NOTHING;
  num top = LBETA(ADD(x, p[1]), ADD(SUB(p[0], x), p[2]));
  return ADD(LCHOOSE(p[0], x), SUB(top, LBETA(p[1], p[2])));
}

/* hypergeometric(N, a, b): N drawn without putting back, of a that count and b that do not */
static num hypergeometric(calc *c, num x, const num *p)
{
  num rest = SUB(p[0], x);
  if (outside(x, p[1]) || outside(rest, p[2])) return NOTHING;
  return SUB(ADD(LCHOOSE(p[1], x), LCHOOSE(p[2], rest)), LCHOOSE(ADD(p[1], p[2]), p[0]));
}

static num poisson(calc *c, num x, const num *p)
{
  return below(x, 0) ? NOTHING : SUB(xlogy(c, x, p[0]), ADD(p[0], log_factorial(c, x)));
}

static num poisson_log(calc *c, num x, const num *p)
{
  return below(x, 0) ? NOTHING : SUB(MUL(x, p[0]), ADD(EXP(p[0]), log_factorial(c, x)));
}

/* log Gamma(x + a) / (Gamma(a) x!) */
static num rising(calc *c, num x, num a)
{
  return SUB(LGAMMA(ADD(x, a)), ADD(LGAMMA(a), log_factorial(c, x)));
}

static num neg_binomial(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  num t = ADD(p[1], INT(1));
  return ADD(rising(c, x, p[0]), SUB(MUL(p[0], LOG(DIV(p[1], t))), MUL(x, LOG(t))));
}

static num beta_neg_binomial(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  num top = LBETA(ADD(p[0], p[1]), ADD(x, p[2]));
  return ADD(rising(c, x, p[0]), SUB(top, LBETA(p[1], p[2])));
}

static num neg_binomial_2(calc *c, num x, const num *p)
{
  if (below(x, 0)) return NOTHING;
  num t = ADD(p[0], p[1]);
  return ADD(rising(c, x, p[1]), ADD(xlogy(c, x, DIV(p[0], t)), MUL(p[1], LOG(DIV(p[1], t)))));
}

static num neg_binomial_2_log(calc *c, num x, const num *p)
{
  const num q[] = { EXP(p[0]), p[1] };
  return neg_binomial_2(c, x, q);
}

static num geometric(calc *c, num x, const num *p)
{
  return below(x, 0) ? NOTHING : ADD(LOG(p[0]), xlog1my(c, x, p[0]));
}

static num discrete_uniform(calc *c, num x, const num *p)
{
  if (less(x, p[0]) || less(p[1], x)) return NOTHING;
  return NEG(LOG(ADD(SUB(p[1], p[0]), INT(1))));
}

/* ---- families of arrays ---- */

num exact_categorical_logit(calc *c, int64_t k, const num *beta, int64_t n)
{
  num sum = NOTHING;
  if (k < 0 || k >= n) return sum;
  for (int64_t i = 0; i < n; i++) sum = exact_log_add(c, sum, beta[i]);
  return SUB(beta[k], sum);
}

/* log(F(a) - F(b)), a >= b, on the side of 0 where F is small */
static num log_between(calc *c, num a, num b, bool probit)
{
  bool right = !below(b, 0);
  num lo = right ? NEG(a) : b, hi = right ? NEG(b) : a;
  num f = probit ? log_Phi(c, lo) : log_inv_logit(c, lo),
      g = probit ? log_Phi(c, hi) : log_inv_logit(c, hi);
  return calc_do(c, REAL_LOG_DIFF_EXP, g, f);
}

num exact_ordered(calc *c, int64_t k, num eta, const num *cut, int64_t n, bool probit)
{
  if (k < 0 || k > n) return NOTHING;
  num a = k > 0 ? SUB(eta, cut[k - 1]) : calc_double(c, HUGE_VAL);
  num b = k < n ? SUB(eta, cut[k]) : NOTHING;
  if (k == 0) return probit ? log_Phi(c, NEG(b)) : log_inv_logit_neg(c, b);
  if (k == n) return probit ? log_Phi(c, a) : log_inv_logit(c, a);
  return log_between(c, a, b, probit);
}

num exact_multinomial(calc *c, const num *y, const num *p, int64_t n)
{
  num total = INT(0), sum = INT(0);
  for (int64_t i = 0; i < n; i++) {
    if (below(y[i], 0)) return NOTHING;
    total = ADD(total, y[i]);
    sum = ADD(sum, SUB(xlogy(c, y[i], p[i]), log_factorial(c, y[i])));
  }
  return ADD(sum, log_factorial(c, total));
}

num exact_dirichlet_multinomial(calc *c, const num *y, const num *alpha, int64_t n)
{
  num total = INT(0), all = INT(0), sum = INT(0);
  for (int64_t i = 0; i < n; i++) {
    if (below(y[i], 0)) return NOTHING;
    total = ADD(total, y[i]);
    all = ADD(all, alpha[i]);
    sum = ADD(sum, rising(c, y[i], alpha[i]));
  }
  return SUB(sum, rising(c, total, all));
}

num exact_dirichlet(calc *c, const num *x, const num *alpha, int64_t n)
{
  num all = INT(0), sum = INT(0);
  for (int64_t i = 0; i < n; i++) {
    if (below(x[i], 0)) return NOTHING;
    all = ADD(all, alpha[i]);
    sum = ADD(sum, SUB(xlogy(c, SUB(alpha[i], INT(1)), x[i]), LGAMMA(alpha[i])));
  }
  return ADD(sum, LGAMMA(all));
}

/* ---- the table ---- */

#define F(name, n) { #name, n, name, NULL, NULL }
#define T(name, n) { #name, n, name, name##_lower, name##_upper }
static const exact_row table[] = {
  T(normal, 2), T(std_normal, 0), T(half_normal, 1), T(lognormal, 2), F(skew_normal, 3),
  F(student_t, 3), F(half_student_t, 2), T(cauchy, 2), T(half_cauchy, 1), T(laplace, 2),
  { "double_exponential", 2, laplace, laplace_lower, laplace_upper }, T(logistic, 2),
  T(gumbel, 2), F(von_mises, 2), T(exponential, 1),
  { "gamma", 2, gamma_, NULL, NULL }, F(chi_square, 1),
  F(inv_gamma, 2), F(inv_chi_square, 1), T(weibull, 2), T(rayleigh, 1), T(pareto, 2),
  T(pareto_type_2, 3), T(frechet, 2), T(loglogistic, 2), F(scaled_inv_chi_square, 2),
  T(uniform, 2), F(beta, 2), F(beta_proportion, 2), F(bernoulli, 1), F(bernoulli_logit, 1),
  F(binomial, 2), F(binomial_logit, 2), F(beta_binomial, 3), F(hypergeometric, 3),
  F(beta_neg_binomial, 3),
  F(poisson, 1), F(poisson_log, 1), F(neg_binomial, 2), F(neg_binomial_2, 2),
  F(neg_binomial_2_log, 2), F(geometric, 1), F(discrete_uniform, 2),
};

const exact_row *exact_find(const char *name)
{
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (!strcmp(table[i].name, name)) return &table[i];
  return NULL;
}
