/* test_dist_real: the continuous scalar families at ordinary, extreme and boundary parameters
   (dist_family.h); distribution functions against MPFR where the textbook has one; GSL's densities
   as a third opinion. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include "unit.h"
#include "big.h"
#include <gsl/gsl_randist.h>

/* ---- densities in MPFR, by the textbook ------------------------------------------------------ */

typedef big (*oracle)(big x, const big *p);
typedef struct { const char *name; oracle exact; double p[NORN_DIST_P]; } family;

static big ln_2pi(void) { return lg(mul(two(), pi_())); }

static big o_normal(big x, const big *p)
{
  big z = over(sub(x, p[0]), p[1]);
  return neg(add(half(sq(z)), add(lg(p[1]), half(ln_2pi()))));
}
static big o_std_normal(big x, const big *p)
{
  (void)p;
  return neg(half(add(sq(x), ln_2pi())));
}
static big o_half_normal(big x, const big *p)
{
  big q[] = {num(0), p[0]};
  return add(lg(two()), o_normal(x, q));
}
static big o_lognormal(big x, const big *p) { return sub(o_normal(lg(x), p), lg(x)); }
static big o_cauchy(big x, const big *p)
{
  return neg(lg(mul(mul(pi_(), p[1]), add(one(), sq(over(sub(x, p[0]), p[1]))))));
}
static big o_half_cauchy(big x, const big *p)
{
  big q[] = {num(0), p[0]};
  return add(lg(two()), o_cauchy(x, q));
}
static big o_student_t(big x, const big *p)
{
  big z = over(sub(x, p[1]), p[2]), h = half(add(p[0], one()));
  big front = sub(sub(lngamma(h), lngamma(half(p[0]))), half(lg(mul(p[0], pi_()))));
  return sub(sub(front, lg(p[2])), mul(h, lg1p(over(sq(z), p[0]))));
}
static big o_laplace(big x, const big *p)
{
  return neg(add(lg(mul(two(), p[1])), mag(over(sub(x, p[0]), p[1]))));
}
static big o_logistic(big x, const big *p)
{
  big z = over(sub(x, p[0]), p[1]);
  return neg(add(add(z, lg(p[1])), mul(two(), lg1p(ex(neg(z))))));
}
static big o_exponential(big x, const big *p) { return sub(lg(p[0]), mul(p[0], x)); }
static big o_gamma(big x, const big *p)
{
  big power = add(mul(p[0], lg(p[1])), mul(sub(p[0], one()), lg(x)));
  return sub(sub(power, lngamma(p[0])), mul(p[1], x));
}
static big o_inv_gamma(big x, const big *p)
{
  big power = sub(mul(p[0], lg(p[1])), mul(add(p[0], one()), lg(x)));
  return sub(sub(power, lngamma(p[0])), over(p[1], x));
}
static big o_uniform(big x, const big *p)
{
  (void)x;
  return neg(lg(sub(p[1], p[0])));
}
static big o_beta(big x, const big *p)
{
  big power = add(mul(sub(p[0], one()), lg(x)), mul(sub(p[1], one()), lg1p(neg(x))));
  return sub(power, lnbeta(p[0], p[1]));
}
static big o_half_student_t(big x, const big *p)
{
  big q[] = {p[0], num(0), p[1]};
  return add(lg(two()), o_student_t(x, q));
}
static big o_gumbel(big x, const big *p)
{
  big z = over(sub(x, p[0]), p[1]);
  return neg(add(add(z, ex(neg(z))), lg(p[1])));
}
static big phi_below(big z) { return half(erfc_(neg(over(z, root(two()))))); }
static big o_skew_normal(big x, const big *p)
{
  big z = over(sub(x, p[0]), p[1]);
  return add(add(lg(two()), o_normal(x, p)), lg(phi_below(mul(p[2], z))));
}
/* log I0: its series, or for large x DLMF 10.40.1 */
static big log_i0(big x)
{
  big sum = num(1), term = num(1), q = sq(half(x)), t = big_new();
  bool far = dbl(x) > 1e4;
  for (int k = 1; k < (far ? 12 : 40000); k++) {
    if (far) {
      mpfr_mul_si(pool.v[term], pool.v[term], (2 * k - 1) * (2 * k - 1), MPFR_RNDN);
      mpfr_mul_si(pool.v[t], pool.v[x], 8 * k, MPFR_RNDN);
      mpfr_div(pool.v[term], pool.v[term], pool.v[t], MPFR_RNDN);
    } else {
      mpfr_mul(pool.v[term], pool.v[term], pool.v[q], MPFR_RNDN);
      mpfr_div_si(pool.v[term], pool.v[term], (long)k * k, MPFR_RNDN);
    }
    mpfr_add(pool.v[sum], pool.v[sum], pool.v[term], MPFR_RNDN);
    if (mpfr_get_exp(pool.v[term]) < mpfr_get_exp(pool.v[sum]) - BIG_BITS) break;
  }
  return far ? add(lg(sum), sub(x, half(add(ln_2pi(), lg(x))))) : lg(sum);
}
static big o_von_mises(big x, const big *p)
{
  return sub(mul(p[1], cos_(sub(x, p[0]))), add(ln_2pi(), log_i0(p[1])));
}
static big o_beta_proportion(big x, const big *p)
{
  big q[] = {mul(p[0], p[1]), mul(sub(one(), p[0]), p[1])};
  return o_beta(x, q);
}
static big o_chi_square(big x, const big *p)
{
  big q[] = {half(p[0]), num(0.5)};
  return o_gamma(x, q);
}
static big o_inv_chi_square(big x, const big *p)
{
  big q[] = {half(p[0]), num(0.5)};
  return o_inv_gamma(x, q);
}
static big o_scaled_inv_chi_square(big x, const big *p)
{
  big q[] = {half(p[0]), half(mul(p[0], sq(p[1])))};
  return o_inv_gamma(x, q);
}
static big o_rayleigh(big x, const big *p)
{
  return sub(sub(lg(x), mul(two(), lg(p[0]))), half(sq(over(x, p[0]))));
}
static big o_weibull(big x, const big *p)
{
  big l = lg(over(x, p[1]));
  return sub(add(lg(over(p[0], p[1])), mul(sub(p[0], one()), l)), ex(mul(p[0], l)));
}
static big o_frechet(big x, const big *p)
{
  big l = lg(over(x, p[1]));
  return sub(sub(lg(over(p[0], p[1])), mul(add(p[0], one()), l)), ex(neg(mul(p[0], l))));
}
static big o_pareto(big x, const big *p)
{
  return sub(add(lg(p[1]), mul(p[1], lg(p[0]))), mul(add(p[1], one()), lg(x)));
}
static big o_pareto_type_2(big x, const big *p)
{
  return sub(lg(over(p[2], p[1])), mul(add(p[2], one()), lg1p(over(sub(x, p[0]), p[1]))));
}
static big o_loglogistic(big x, const big *p)
{
  big l = lg(over(x, p[0])), a = mul(p[1], l);
  return sub(add(lg(over(p[1], p[0])), sub(a, l)), mul(two(), lg1p(ex(a))));
}

/* ---- distribution functions in MPFR ---------------------------------------------------------- */

static big c_normal(big x, const big *p) { return phi_below(over(sub(x, p[0]), p[1])); }
static big c_half_normal(big x, const big *p)
{
  return sub(one(), erfc_(over(x, mul(root(two()), p[0]))));
}
static big c_lognormal(big x, const big *p) { return c_normal(lg(x), p); }
static big c_cauchy(big x, const big *p)
{
  return add(num(0.5), over(atan_(over(sub(x, p[0]), p[1])), pi_()));
}
static big c_half_cauchy(big x, const big *p)
{
  return over(mul(two(), atan_(over(x, p[0]))), pi_());
}
/* I_w(nu/2, 1/2)/2, w = nu/(nu + z^2), below 0 */
static big c_student_t(big x, const big *p)
{
  big z = over(sub(x, p[1]), p[2]), w = over(p[0], add(p[0], sq(z))), h = half(p[0]);
  big tail = half(dbl(w) < 0.5 ? big_beta_inc(h, num(0.5), w) :
                  sub(one(), big_beta_inc(num(0.5), h, sub(one(), w))));
  return dbl(z) < 0 ? tail : sub(one(), tail);
}
static big c_half_student_t(big x, const big *p)
{
  big q[] = {p[0], num(0), p[1]};
  return sub(mul(two(), c_student_t(x, q)), one());
}
static big c_laplace(big x, const big *p)
{
  big e = half(ex(neg(mag(over(sub(x, p[0]), p[1])))));
  return dbl(sub(x, p[0])) < 0 ? e : sub(one(), e);
}
static big c_logistic(big x, const big *p)
{
  return over(one(), add(one(), ex(neg(over(sub(x, p[0]), p[1])))));
}
static big c_gumbel(big x, const big *p) { return ex(neg(ex(neg(over(sub(x, p[0]), p[1]))))); }
static big c_exponential(big x, const big *p) { return sub(one(), ex(neg(mul(p[0], x)))); }
static big below_gamma(big a, big x)
{
  return sub(one(), over(gamma_upper(a, x), ex(lngamma(a))));
}
static big c_gamma(big x, const big *p) { return below_gamma(p[0], mul(p[1], x)); }
static big c_inv_gamma(big x, const big *p)
{
  return sub(one(), below_gamma(p[0], over(p[1], x)));
}
static big c_chi_square(big x, const big *p) { return below_gamma(half(p[0]), half(x)); }
static big c_inv_chi_square(big x, const big *p)
{
  return sub(one(), below_gamma(half(p[0]), over(num(0.5), x)));
}
static big c_scaled_inv_chi_square(big x, const big *p)
{
  return sub(one(), below_gamma(half(p[0]), over(half(mul(p[0], sq(p[1]))), x)));
}
static big c_uniform(big x, const big *p) { return over(sub(x, p[0]), sub(p[1], p[0])); }
static big c_beta(big x, const big *p)
{
  if (dbl(x) < 0.5) return big_beta_inc(p[0], p[1], x);
  return sub(one(), big_beta_inc(p[1], p[0], sub(one(), x)));
}
static big c_beta_proportion(big x, const big *p)
{
  big q[] = {mul(p[0], p[1]), mul(sub(one(), p[0]), p[1])};
  return c_beta(x, q);
}
static big c_rayleigh(big x, const big *p) { return sub(one(), ex(neg(half(sq(over(x, p[0])))))); }
static big c_weibull(big x, const big *p)
{
  return sub(one(), ex(neg(ex(mul(p[0], lg(over(x, p[1])))))));
}
static big c_frechet(big x, const big *p) { return ex(neg(ex(neg(mul(p[0], lg(over(x, p[1]))))))); }
static big c_pareto(big x, const big *p)
{
  return sub(one(), ex(neg(mul(p[1], lg(over(x, p[0]))))));
}
static big c_pareto_type_2(big x, const big *p)
{
  return sub(one(), ex(neg(mul(p[2], lg1p(over(sub(x, p[0]), p[1]))))));
}
static big c_loglogistic(big x, const big *p)
{
  return over(one(), add(one(), ex(neg(mul(p[1], lg(over(x, p[0])))))));
}

static const family families[] = {
  {"normal", o_normal, {0, 1}}, {"normal", o_normal, {-3, 0.01}},
  {"normal", o_normal, {1e8, 1e-3}}, {"normal", o_normal, {0, 1e-300}},
  {"normal", o_normal, {5, 1e200}}, {"std_normal", o_std_normal, {0}},
  {"half_normal", o_half_normal, {2}}, {"half_normal", o_half_normal, {1e-5}},
  {"lognormal", o_lognormal, {0, 1}}, {"lognormal", o_lognormal, {3, 0.05}},
  {"lognormal", o_lognormal, {-2, 5}}, {"cauchy", o_cauchy, {0, 1}},
  {"cauchy", o_cauchy, {7, 0.01}}, {"half_cauchy", o_half_cauchy, {1}},
  {"half_cauchy", o_half_cauchy, {25}}, {"student_t", o_student_t, {1, 0, 1}},
  {"student_t", o_student_t, {4, 1, 3}}, {"student_t", o_student_t, {0.3, 0, 1}},
  {"student_t", o_student_t, {39.5, -2, 0.1}}, {"student_t", o_student_t, {1e6, 0, 2}},
  {"laplace", o_laplace, {0, 1}}, {"laplace", o_laplace, {4, 0.2}},
  {"logistic", o_logistic, {0, 1}}, {"logistic", o_logistic, {-4, 0.2}},
  {"exponential", o_exponential, {1}}, {"exponential", o_exponential, {1e-6}},
  {"gamma", o_gamma, {1, 1}}, {"gamma", o_gamma, {0.3, 2}}, {"gamma", o_gamma, {2.5, 0.1}},
  {"gamma", o_gamma, {9.99, 1}}, {"gamma", o_gamma, {10, 1}}, {"gamma", o_gamma, {300, 7}},
  {"gamma", o_gamma, {1e-4, 1}}, {"gamma", o_gamma, {1e6, 1e3}},
  {"inv_gamma", o_inv_gamma, {0.5, 1}}, {"inv_gamma", o_inv_gamma, {3, 2}},
  {"inv_gamma", o_inv_gamma, {100, 50}}, {"uniform", o_uniform, {0, 1}},
  {"uniform", o_uniform, {-7, 1e6}}, {"beta", o_beta, {1, 1}}, {"beta", o_beta, {0.5, 0.5}},
  {"beta", o_beta, {2, 7}}, {"beta", o_beta, {30, 20}}, {"beta", o_beta, {5, 1000}},
  {"beta", o_beta, {1e5, 3e5}}, {"beta", o_beta, {1e-3, 1e-3}}, {"beta", o_beta, {1e-3, 5}},
  {"half_student_t", o_half_student_t, {4, 1}}, {"half_student_t", o_half_student_t, {0.7, 25}},
  {"double_exponential", o_laplace, {-1, 2}}, {"gumbel", o_gumbel, {0, 1}},
  {"gumbel", o_gumbel, {-3, 0.1}}, {"gumbel", o_gumbel, {20, 300}},
  {"skew_normal", o_skew_normal, {0, 1, 0}}, {"skew_normal", o_skew_normal, {0, 1, 0.5}},
  {"skew_normal", o_skew_normal, {2, 3, 4}}, {"skew_normal", o_skew_normal, {0, 1, -4}},
  {"skew_normal", o_skew_normal, {0, 1, 200}}, {"skew_normal", o_skew_normal, {-5, 1e-3, -30}},
  {"von_mises", o_von_mises, {0, 1}}, {"von_mises", o_von_mises, {0, 1e-3}},
  {"von_mises", o_von_mises, {1, 4}}, {"von_mises", o_von_mises, {-2.5, 0.3}},
  {"von_mises", o_von_mises, {10, 9.9}}, {"von_mises", o_von_mises, {0.5, 11}},
  {"von_mises", o_von_mises, {3, 50}}, {"von_mises", o_von_mises, {0, 300}},
  {"von_mises", o_von_mises, {-1, 1e8}}, {"beta_proportion", o_beta_proportion, {0.5, 2}},
  {"beta_proportion", o_beta_proportion, {0.1, 7}},
  {"beta_proportion", o_beta_proportion, {0.9, 1000}},
  {"beta_proportion", o_beta_proportion, {0.25, 4e-3}}, {"chi_square", o_chi_square, {1}},
  {"chi_square", o_chi_square, {3}}, {"chi_square", o_chi_square, {0.01}},
  {"chi_square", o_chi_square, {50}}, {"chi_square", o_chi_square, {1e5}},
  {"inv_chi_square", o_inv_chi_square, {1}}, {"inv_chi_square", o_inv_chi_square, {5}},
  {"inv_chi_square", o_inv_chi_square, {200}},
  {"scaled_inv_chi_square", o_scaled_inv_chi_square, {3, 1}},
  {"scaled_inv_chi_square", o_scaled_inv_chi_square, {0.5, 10}},
  {"scaled_inv_chi_square", o_scaled_inv_chi_square, {300, 0.01}}, {"rayleigh", o_rayleigh, {1}},
  {"rayleigh", o_rayleigh, {1e-4}}, {"weibull", o_weibull, {1, 1}},
  {"weibull", o_weibull, {0.3, 2}}, {"weibull", o_weibull, {2.5, 10}},
  {"weibull", o_weibull, {60, 0.1}}, {"frechet", o_frechet, {1, 1}},
  {"frechet", o_frechet, {0.4, 3}}, {"frechet", o_frechet, {5, 0.2}},
  {"frechet", o_frechet, {80, 1}}, {"pareto", o_pareto, {1, 1}}, {"pareto", o_pareto, {0.1, 3}},
  {"pareto", o_pareto, {1e6, 0.4}}, {"pareto", o_pareto, {2, 1000}},
  {"pareto_type_2", o_pareto_type_2, {0, 1, 1}},
  {"pareto_type_2", o_pareto_type_2, {-4, 2, 3.5}},
  {"pareto_type_2", o_pareto_type_2, {10, 1e5, 200}}, {"loglogistic", o_loglogistic, {1, 1}},
  {"loglogistic", o_loglogistic, {3, 0.5}}, {"loglogistic", o_loglogistic, {0.2, 8}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* The distribution function where MPFR can do it at these parameters. */
static oracle below_of(const family *f)
{
  static const struct { const char *name; oracle below; double most; } known[] = {
    {"normal", c_normal, 1e9}, {"half_normal", c_half_normal, 1e9},
    {"lognormal", c_lognormal, 1e9}, {"cauchy", c_cauchy, 1e9},
    {"half_cauchy", c_half_cauchy, 1e9}, {"student_t", c_student_t, 1e9},
    {"half_student_t", c_half_student_t, 1e9}, {"laplace", c_laplace, 1e9},
    {"double_exponential", c_laplace, 1e9}, {"logistic", c_logistic, 1e9},
    {"gumbel", c_gumbel, 1e9}, {"exponential", c_exponential, 1e9}, {"gamma", c_gamma, 500},
    {"inv_gamma", c_inv_gamma, 500}, {"chi_square", c_chi_square, 500},
    {"inv_chi_square", c_inv_chi_square, 500},
    {"scaled_inv_chi_square", c_scaled_inv_chi_square, 500}, {"uniform", c_uniform, 1e9},
    {"beta", c_beta, 2000}, {"beta_proportion", c_beta_proportion, 2000},
    {"rayleigh", c_rayleigh, 1e9}, {"weibull", c_weibull, 1e9}, {"frechet", c_frechet, 1e9},
    {"pareto", c_pareto, 1e9}, {"pareto_type_2", c_pareto_type_2, 1e9},
    {"loglogistic", c_loglogistic, 1e9},
  };
  for (int i = 0; i < (int)(sizeof known / sizeof known[0]); i++)
    if (!strcmp(known[i].name, f->name)) return f->p[0] <= known[i].most ? known[i].below : NULL;
  return NULL;
}

#define TEST_BELOW
#include "dist_family.h"

static void test_edges(void)
{
  int which = -1;
  CHECK_STR(dist_find("normal")->check1((double[]){0, -1}, &which),
            "standard deviation of normal must be positive");
  CHECK_STR(dist_find("cauchy")->check1((double[]){0, 4.9e-324}, &which),
            "scale of cauchy must be within 2.3e-308..1.7e308");
  CHECK(which == 1);
  CHECK_NEAR(dist_find("student_t")->cdf1(1e-310, (double[]){1e6, 0, 1}), 0.5, 1e-15);
  CHECK_NEAR(dist_find("student_t")->cdf1(-1e200, (double[]){2e-3, 0, 1}),
             0.5 * pow(1e200 / sqrt(2e-3), -2e-3), 2e-3);   /* the constant is 1 + O(nu) */
  CHECK(dist_find("gamma")->logp1(0, (double[]){0.5, 1}) == HUGE_VAL);
  CHECK_NEAR(dist_find("gamma")->logp1(0, (double[]){1, 3}), log(3), 1e-15);
  CHECK(dist_find("beta")->logp1(1, (double[]){2, 2}) == -HUGE_VAL);
  CHECK_NEAR(dist_find("beta")->logp1(1, (double[]){3, 1}), log(3), 1e-15);
  CHECK_NEAR(dist_find("weibull")->logp1(0, (double[]){1, 4}), -log(4), 1e-15);
  CHECK(dist_find("weibull")->logp1(0, (double[]){0.5, 4}) == HUGE_VAL);
  CHECK(dist_find("weibull")->logp1(0, (double[]){2, 4}) == -HUGE_VAL);
  CHECK_NEAR(dist_find("loglogistic")->logp1(0, (double[]){4, 1}), -log(4), 1e-15);
  CHECK(dist_find("frechet")->logp1(0, (double[]){1, 1}) == -HUGE_VAL);
  CHECK_NEAR(dist_find("pareto")->logp1(3, (double[]){3, 2}), log(2.0 / 3), 1e-15);
  CHECK_NEAR(dist_find("chi_square")->logp1(0, (double[]){2}), -log(2), 1e-15);
  /* an angle in any turn */
  CHECK_NEAR(dist_find("von_mises")->logp1(7, (double[]){1, 2}),
             dist_find("von_mises")->logp1(7 - 2 * V_PI, (double[]){1, 2}), 1e-14);
  CHECK(dist_find("von_mises")->check1((double[]){0, 0}, &which) && which == 1);
  CHECK(dist_find("beta_proportion")->check1((double[]){1, 3}, &which) && which == 0);
  /* the far tails of the skew normal: twice Phi(-z sqrt(1 + alpha^2)) / sqrt(...) to first order */
  double lower, upper;
  dist_find("skew_normal")->tails1(-10, (double[]){0, 1, 3}, &lower, &upper);
  CHECK_NEAR(lower, -500 - log(V_PI) - log(3 * 100 * 10.0), 2e-2);
  CHECK(upper <= 0 && upper > -1e-200);
  dist_find("skew_normal")->tails1(50, (double[]){0, 1, 3}, &lower, &upper);
  CHECK_NEAR(upper, V_LOG_2 + special_norm_log_cdf(-50), 1e-10);
}

/* A rejection loop must not share its numbers with the next event, lane or iteration. */
static void test_draw_counters(void)
{
  const norn_dist_row *gamma = dist_find("gamma");
  const double p[] = {0.5, 1};
  norn_rng a = {.stream = 1, .lane = 2, .event = 3}, b = a, c = a;
  double first = gamma->sample1(p, &a);
  CHECK(gamma->sample1(p, &b) == first && a.draw == b.draw && a.draw >= 2);
  c.event++;
  CHECK(gamma->sample1(p, &c) != first);
}

/* GSL has these, in its own parameters. */
static void test_gsl(void)
{
  static const double at[] = {0.05, 0.4, 0.9, 1.7, 3, 12};
  for (int k = 0; k < 6; k++) {
    double x = at[k], u = x / 13;
    struct { const char *name; double p[3], x, density; } cases[] = {
      {"normal", {0, 2}, x, gsl_ran_gaussian_pdf(x, 2)},
      {"laplace", {0, 2}, x, gsl_ran_laplace_pdf(x, 2)},
      {"double_exponential", {0, 2}, -x, gsl_ran_laplace_pdf(-x, 2)},
      {"cauchy", {0, 0.7}, x, gsl_ran_cauchy_pdf(x, 0.7)},
      {"student_t", {5, 0, 1}, x, gsl_ran_tdist_pdf(x, 5)},
      {"half_student_t", {5, 1}, x, 2 * gsl_ran_tdist_pdf(x, 5)},
      {"logistic", {0, 1.5}, x, gsl_ran_logistic_pdf(x, 1.5)},
      {"lognormal", {0.3, 0.8}, x, gsl_ran_lognormal_pdf(x, 0.3, 0.8)},
      {"exponential", {0.5}, x, gsl_ran_exponential_pdf(x, 2)},
      {"gamma", {2.5, 0.5}, x, gsl_ran_gamma_pdf(x, 2.5, 2)},
      {"chi_square", {3.5}, x, gsl_ran_chisq_pdf(x, 3.5)},
      {"rayleigh", {1.2}, x, gsl_ran_rayleigh_pdf(x, 1.2)},
      {"weibull", {1.7, 2}, x, gsl_ran_weibull_pdf(x, 2, 1.7)},
      {"pareto", {0.04, 2}, x, gsl_ran_pareto_pdf(x, 2, 0.04)},
      {"gumbel", {0.4 * log(3), 0.4}, x, gsl_ran_gumbel1_pdf(x, 2.5, 3)},
      {"frechet", {2, sqrt(3)}, x, gsl_ran_gumbel2_pdf(x, 2, 3)},
      {"uniform", {0, 13}, x, gsl_ran_flat_pdf(x, 0, 13)},
      {"beta", {2.5, 0.7}, u, gsl_ran_beta_pdf(u, 2.5, 0.7)},
      {"beta_proportion", {0.25, 4}, u, gsl_ran_beta_pdf(u, 1, 3)},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
      double got = exp(dist_find(cases[i].name)->logp1(cases[i].x, cases[i].p));
      if (got == 0 && cases[i].density == 0) continue;
      unit_near(got / cases[i].density, 1, 3e-13, cases[i].name, __FILE__, __LINE__);
    }
  }
}

static void test_extremes(void)
{
  static const family wild[] = {
    {"gamma", NULL, {1e-300, 1e300}}, {"gamma", NULL, {1e300, 1e-5}},
    {"gamma", NULL, {1e-4, 1e-300}}, {"inv_gamma", NULL, {1e-4, 1}},
    {"inv_gamma", NULL, {1e10, 1e-300}}, {"beta", NULL, {1e-300, 1e-300}},
    {"beta", NULL, {1e300, 1e-300}}, {"beta", NULL, {1e15, 1e15}},
    {"student_t", NULL, {1e-3, 0, 1}}, {"student_t", NULL, {1e300, 0, 1}},
    {"cauchy", NULL, {0, 1e300}}, {"lognormal", NULL, {0, 1e5}}, {"normal", NULL, {0, 2.3e-308}},
    {"logistic", NULL, {0, 1e300}}, {"exponential", NULL, {1e-300}},
    {"uniform", NULL, {-1e307, 1e307}}, {"half_cauchy", NULL, {1e300}},
    {"half_student_t", NULL, {1e-3, 1}}, {"gumbel", NULL, {0, 1e300}},
    {"skew_normal", NULL, {0, 1, 1e300}}, {"skew_normal", NULL, {0, 1e-300, -1e8}},
    {"von_mises", NULL, {0, 1e-300}}, {"von_mises", NULL, {3, 1e300}},
    {"von_mises", NULL, {1e15, 1e-8}}, {"beta_proportion", NULL, {1e-9, 1e-9}},
    {"beta_proportion", NULL, {0.5, 1e15}}, {"chi_square", NULL, {1e-4}},
    {"chi_square", NULL, {1e12}}, {"inv_chi_square", NULL, {1e-4}},
    {"inv_chi_square", NULL, {1e12}}, {"scaled_inv_chi_square", NULL, {1e-3, 1e-100}},
    {"rayleigh", NULL, {1e300}}, {"weibull", NULL, {1e-3, 1}}, {"weibull", NULL, {1e6, 1e-300}},
    {"frechet", NULL, {1e-3, 1}}, {"frechet", NULL, {1e6, 1e300}}, {"pareto", NULL, {1, 1e-4}},
    {"pareto", NULL, {1e-300, 1e6}}, {"pareto_type_2", NULL, {0, 1, 1e-4}},
    {"pareto_type_2", NULL, {1e10, 1e-300, 1e10}}, {"loglogistic", NULL, {1, 1e-4}},
    {"loglogistic", NULL, {1e-300, 1e5}},
  };
  check_extremes(wild, (int)(sizeof wild / sizeof wild[0]));
}

int main(void)
{
  test_edges();
  test_draw_counters();
  test_gsl();
  test_checks();
  test_density();
  test_outside();
  test_cells();
  test_tails();
  test_cdf_partials();
  test_cdf_slopes();
  test_quantiles();
  test_partials();
  test_scales();
  test_extremes();
  print_errors();
  return unit_end();
}
