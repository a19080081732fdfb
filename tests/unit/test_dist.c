/* test_dist: the scalar families of truth values and counts, at ordinary and extreme parameters
   (dist_family.h). */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include "unit.h"
#include "big.h"

/* ---- densities in MPFR, by the textbook ------------------------------------------------------ */

typedef big (*oracle)(big x, const big *p);
typedef struct { const char *name; oracle exact; double p[NORN_DIST_P]; } family;

static big o_bernoulli(big x, const big *p) { return dbl(x) == 1 ? lg(p[0]) : lg1p(neg(p[0])); }
static big o_binomial(big k, const big *p)
{
  big l = sub(p[0], k);
  return add(lnchoose(p[0], k), add(mul(k, lg(p[1])), mul(l, lg1p(neg(p[1])))));
}
static big o_poisson(big k, const big *p) { return sub(sub(mul(k, lg(p[0])), p[0]), lnfact(k)); }
static big o_geometric(big k, const big *p)
{
  return dbl(k) == 0 ? lg(p[0]) : add(lg(p[0]), mul(k, lg1p(neg(p[0]))));
}
static big o_neg_binomial_2(big k, const big *p)
{
  big n = add(p[0], p[1]), ways = sub(sub(lngamma(add(k, p[1])), lnfact(k)), lngamma(p[1]));
  return add(ways, add(mul(k, lg(over(p[0], n))), mul(p[1], lg(over(p[1], n)))));
}
static big o_discrete_uniform(big k, const big *p)
{
  (void)k;
  return neg(lg(add(sub(p[1], p[0]), one())));
}

static const family families[] = {
  {"bernoulli", o_bernoulli, {0.5}}, {"bernoulli", o_bernoulli, {1e-3}},
  {"binomial", o_binomial, {1, 0.3}}, {"binomial", o_binomial, {15, 0.5}},
  {"binomial", o_binomial, {40, 0.9}}, {"binomial", o_binomial, {1000, 0.02}},
  {"binomial", o_binomial, {1e9, 0.25}}, {"binomial", o_binomial, {1e9, 3e-9}},
  {"poisson", o_poisson, {0.01}}, {"poisson", o_poisson, {3}}, {"poisson", o_poisson, {9.99}},
  {"poisson", o_poisson, {10}}, {"poisson", o_poisson, {250}}, {"poisson", o_poisson, {1e8}},
  {"geometric", o_geometric, {0.5}}, {"geometric", o_geometric, {0.01}},
  {"geometric", o_geometric, {1e-9}}, {"neg_binomial_2", o_neg_binomial_2, {3, 2}},
  {"neg_binomial_2", o_neg_binomial_2, {100, 0.3}},
  {"neg_binomial_2", o_neg_binomial_2, {50, 1e6}},
  {"neg_binomial_2", o_neg_binomial_2, {1e4, 30}},
  {"discrete_uniform", o_discrete_uniform, {0, 5}},
  {"discrete_uniform", o_discrete_uniform, {-1e6, 1e6}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };
#include "dist_family.h"

static void test_edges(void)
{
  CHECK(dist_find("binomial")->logp1(0, (double[]){5, 0}) == 0);
  CHECK(dist_find("binomial")->logp1(4, (double[]){5, 1}) == -HUGE_VAL);
  CHECK(dist_find("poisson")->logp1(0, (double[]){0}) == 0);
  CHECK(dist_find("poisson")->logp1(1, (double[]){0}) == -HUGE_VAL);
  CHECK(dist_find("bernoulli")->logp1(2, (double[]){0.5}) == -HUGE_VAL);
  CHECK(dist_find("geometric")->logp1(0, (double[]){1}) == 0);
}

static void test_extremes(void)
{
  static const family wild[] = {
    {"poisson", NULL, {1e15}}, {"poisson", NULL, {1e-300}}, {"poisson", NULL, {0}},
    {"binomial", NULL, {9e15, 0.5}}, {"binomial", NULL, {9e15, 1e-300}},
    {"binomial", NULL, {0, 0.5}}, {"geometric", NULL, {1}}, {"geometric", NULL, {1e-15}},
    {"neg_binomial_2", NULL, {1e-300, 1e-300}}, {"neg_binomial_2", NULL, {1e5, 1e-3}},
    {"discrete_uniform", NULL, {-9e15, 9e15}},
  };
  check_extremes(wild, (int)(sizeof wild / sizeof wild[0]));
}

int main(void)
{
  test_edges();
  test_checks();
  test_density();
  test_outside();
  test_cells();
  test_quantiles();
  test_partials();
  test_scales();
  test_extremes();
  print_errors();
  return unit_end();
}
