/* test_dist: every scalar family at ordinary and extreme parameters.

   The density is recomputed in MPFR from the textbook formula; its integral over a cell must be the
   difference of the distribution function (so it integrates to 1 and the one differentiates to the
   other); quantiles invert it; partials meet differences of the density.  Draws: test_samplers. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "unit.h"
#include "big.h"

/* ---- densities in MPFR, by the textbook ------------------------------------------------------ */

typedef big (*oracle)(big x, const big *p);

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

/* ---- cases ----------------------------------------------------------------------------------- */

typedef struct { const char *name; oracle exact; double p[NORN_DIST_P]; } family;

static const family families[] = {
  {"normal", o_normal, {0, 1}}, {"normal", o_normal, {-3, 0.01}}, {"normal", o_normal, {1e8, 1e-3}},
  {"normal", o_normal, {0, 1e-300}}, {"normal", o_normal, {5, 1e200}},
  {"std_normal", o_std_normal, {0}}, {"half_normal", o_half_normal, {2}},
  {"half_normal", o_half_normal, {1e-5}}, {"lognormal", o_lognormal, {0, 1}},
  {"lognormal", o_lognormal, {3, 0.05}}, {"lognormal", o_lognormal, {-2, 5}},
  {"cauchy", o_cauchy, {0, 1}}, {"cauchy", o_cauchy, {7, 0.01}},
  {"half_cauchy", o_half_cauchy, {1}}, {"half_cauchy", o_half_cauchy, {25}},
  {"student_t", o_student_t, {1, 0, 1}}, {"student_t", o_student_t, {4, 1, 3}},
  {"student_t", o_student_t, {0.3, 0, 1}}, {"student_t", o_student_t, {39.5, -2, 0.1}},
  {"student_t", o_student_t, {1e6, 0, 2}}, {"laplace", o_laplace, {0, 1}},
  {"laplace", o_laplace, {4, 0.2}}, {"logistic", o_logistic, {0, 1}},
  {"logistic", o_logistic, {-4, 0.2}}, {"exponential", o_exponential, {1}},
  {"exponential", o_exponential, {1e-6}}, {"gamma", o_gamma, {1, 1}}, {"gamma", o_gamma, {0.3, 2}},
  {"gamma", o_gamma, {2.5, 0.1}}, {"gamma", o_gamma, {9.99, 1}}, {"gamma", o_gamma, {10, 1}},
  {"gamma", o_gamma, {300, 7}}, {"gamma", o_gamma, {1e-4, 1}}, {"gamma", o_gamma, {1e6, 1e3}},
  {"inv_gamma", o_inv_gamma, {0.5, 1}}, {"inv_gamma", o_inv_gamma, {3, 2}},
  {"inv_gamma", o_inv_gamma, {100, 50}}, {"uniform", o_uniform, {0, 1}},
  {"uniform", o_uniform, {-7, 1e6}}, {"beta", o_beta, {1, 1}}, {"beta", o_beta, {0.5, 0.5}},
  {"beta", o_beta, {2, 7}}, {"beta", o_beta, {30, 20}}, {"beta", o_beta, {5, 1000}},
  {"beta", o_beta, {1e5, 3e5}}, {"beta", o_beta, {1e-3, 1e-3}}, {"beta", o_beta, {1e-3, 5}},
  {"bernoulli", o_bernoulli, {0.5}}, {"bernoulli", o_bernoulli, {1e-3}},
  {"binomial", o_binomial, {1, 0.3}}, {"binomial", o_binomial, {15, 0.5}},
  {"binomial", o_binomial, {40, 0.9}}, {"binomial", o_binomial, {1000, 0.02}},
  {"binomial", o_binomial, {1e9, 0.25}}, {"binomial", o_binomial, {1e9, 3e-9}},
  {"poisson", o_poisson, {0.01}}, {"poisson", o_poisson, {3}}, {"poisson", o_poisson, {9.99}},
  {"poisson", o_poisson, {10}}, {"poisson", o_poisson, {250}}, {"poisson", o_poisson, {1e8}},
  {"geometric", o_geometric, {0.5}}, {"geometric", o_geometric, {0.01}},
  {"geometric", o_geometric, {1e-9}}, {"neg_binomial_2", o_neg_binomial_2, {3, 2}},
  {"neg_binomial_2", o_neg_binomial_2, {100, 0.3}}, {"neg_binomial_2", o_neg_binomial_2, {50, 1e6}},
  {"neg_binomial_2", o_neg_binomial_2, {1e4, 30}}, {"discrete_uniform", o_discrete_uniform, {0, 5}},
  {"discrete_uniform", o_discrete_uniform, {-1e6, 1e6}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

static const double probs[] = {1e-12, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1 - 1e-6,
                               1 - 1e-12};
enum { PROBS = sizeof probs / sizeof probs[0] };

typedef struct {
  const norn_dist_row *row;
  const double *p;
  int n;
  bool discrete;
} of;
static of open_family(const family *f)
{
  const norn_dist_row *row = dist_find(f->name);
  of o = {row, f->p, dist_arity(row), row->flags & NORN_DIST_DISCRETE};
  return o;
}

/* A failed check says which family. */
static void say(const family *f, double x)
{
  fprintf(stderr, "  in %s(%g, %g, %g) at %.17g\n", f->name, f->p[0], f->p[1], f->p[2], x);
}
#define CHECK_AT(cond, f, x) do { bool ok_ = (cond); CHECK(ok_); if (!ok_) say(f, x); } while (0)

/* What lies on the open support and can be told from its edge. */
static bool usable(const of *o, double x)
{
  double lo, hi;
  o->row->range1(o->p, &lo, &hi);
  if (!isfinite(x) || o->discrete) return isfinite(x);
  return x > lo && x < hi && (lo != 0 || x > 1e-290) && (hi != 1 || lo != 0 || x < 1 - 1e-13);
}

static void test_checks(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    of o = open_family(&families[i]);
    int which = -1;
    CHECK_AT(o.row->check1(o.p, &which) == NULL, &families[i], 0);
    /* Every parameter refuses NaN, with a sentence that names the family. */
    for (int k = 0; k < o.n; k++) {
      double p[NORN_DIST_P];
      memcpy(p, o.p, sizeof p);
      p[k] = (double)NAN;
      const char *sentence = o.row->check1(p, &which);
      CHECK_AT(sentence && strstr(sentence, families[i].name), &families[i], k);
      if (strcmp(families[i].name, "uniform")) CHECK_AT(which == k, &families[i], k);
    }
  }
  int which = -1;
  CHECK_STR(dist_find("normal")->check1((double[]){0, -1}, &which),
            "standard deviation of normal must be positive");
  CHECK_STR(dist_find("cauchy")->check1((double[]){0, 4.9e-324}, &which),
            "scale of cauchy must be within 2.3e-308..1.7e308");
  CHECK(which == 1);
}

/* ---- density against MPFR -------------------------------------------------------------------- */

static void test_density(void)
{
  double worst = 0;
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    for (int k = 0; k < PROBS; k++) {
      double x = o.row->quantile1(probs[k], o.p), d[NORN_DIST_P + 1];
      if (!usable(&o, x)) continue;
      big_reset();
      big p[NORN_DIST_P];
      for (int j = 0; j < o.n; j++) p[j] = num(o.p[j]);
      big exact = f->exact(num(x), p);
      double got = o.row->logp1(x, o.p), e = dbl(exact);
      double miss = fabs(dbl(sub(num(got), exact))) / fmax(1, fabs(e));
      worst = fmax(worst, miss);
      CHECK_AT(miss < 4e-14, f, x);
      CHECK_AT(o.row->partials1(x, o.p, d) == got, f, x);
    }
  }
  printf("densities: worst error %.2g of max(1, |log density|)\n", worst);
}

static void test_outside(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    of o = open_family(&families[i]);
    double lo, hi, step = o.discrete ? 1 : 1e-3;
    o.row->range1(o.p, &lo, &hi);
    if (lo > -HUGE_VAL) CHECK_AT(o.row->logp1(lo - step, o.p) == -HUGE_VAL, &families[i],
                                 lo - step);
    if (hi < HUGE_VAL) CHECK_AT(o.row->logp1(hi + step, o.p) == -HUGE_VAL, &families[i], hi + step);
    CHECK_AT(o.row->logp1(-HUGE_VAL, o.p) == -HUGE_VAL, &families[i], -HUGE_VAL);
    CHECK_AT(o.row->logp1(HUGE_VAL, o.p) == -HUGE_VAL, &families[i], HUGE_VAL);
  }
  CHECK_NEAR(dist_find("student_t")->cdf1(1e-310, (double[]){1e6, 0, 1}), 0.5, 1e-15);
  CHECK_NEAR(dist_find("student_t")->cdf1(-1e200, (double[]){2e-3, 0, 1}),
             0.5 * pow(1e200 / sqrt(2e-3), -2e-3), 2e-3);   /* the constant is 1 + O(nu) */
  CHECK(dist_find("gamma")->logp1(0, (double[]){0.5, 1}) == HUGE_VAL);
  CHECK_NEAR(dist_find("gamma")->logp1(0, (double[]){1, 3}), log(3), 1e-15);
  CHECK(dist_find("beta")->logp1(1, (double[]){2, 2}) == -HUGE_VAL);
  CHECK_NEAR(dist_find("beta")->logp1(1, (double[]){3, 1}), log(3), 1e-15);
  CHECK(dist_find("binomial")->logp1(0, (double[]){5, 0}) == 0);
  CHECK(dist_find("binomial")->logp1(4, (double[]){5, 1}) == -HUGE_VAL);
  CHECK(dist_find("poisson")->logp1(0, (double[]){0}) == 0);
  CHECK(dist_find("poisson")->logp1(1, (double[]){0}) == -HUGE_VAL);
  CHECK(dist_find("bernoulli")->logp1(2, (double[]){0.5}) == -HUGE_VAL);
  CHECK(dist_find("geometric")->logp1(0, (double[]){1}) == 0);
}

/* ---- distribution functions ------------------------------------------------------------------ */

/* Gauss and Legendre, 10 points a panel, in x, or in the logarithm of the distance from an end of
   the support or from the median where the cell spans a factor of it. */
static double integral(const of *o, double a, double b)
{
  double least, most, from = o->row->quantile1(0.5, o->p);
  o->row->range1(o->p, &least, &most);
  if (isfinite(least)) from = least;
  if (isfinite(most) && fabs(b - most) < 0.1 * fabs(b - least)) from = most;
  static const double node[] = {0.14887433898163121, 0.43339539412924719, 0.67940956829902441,
                                0.86506336668898451, 0.97390652851717172};
  static const double weight[] = {0.29552422471475287, 0.26926671930999636, 0.21908636251598204,
                                  0.14945134915058059, 0.066671344308688138};
  int sign = a > from && b - from > 4 * (a - from) ? 1 :
             b < from && from - a > 4 * (from - b) ? -1 : 0;
  double lo = sign ? log(sign * (a - from)) : a, hi = sign ? log(sign * (b - from)) : b, sum = 0;
  enum { PANELS = 200 };
  for (int k = 0; k < PANELS; k++) {
    double centre = lo + (hi - lo) * (k + 0.5) / PANELS, h = (hi - lo) / PANELS / 2;
    for (int j = 0; j < 10; j++) {
      double t = centre + (j & 1 ? h : -h) * node[j / 2], x = sign ? from + sign * exp(t) : t;
      sum += exp(o->row->logp1(x, o->p) + (sign ? t : 0)) * weight[j / 2] * h;
    }
  }
  return fabs(sum);
}

static double cell_mass(const of *o, double a, double b)
{
  if (!o->discrete) return integral(o, a, b);
  double sum = 0;
  for (double k = a + 1; k <= b; k++) sum += exp(o->row->logp1(k, o->p));
  return sum;
}

/* Whole supports from one probability to the next; of huge discrete ones a stretch of 2000. */
static void test_cells(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    for (int k = 0; k + 1 < PROBS; k++) {
      double a = o.row->quantile1(probs[k], o.p), b = o.row->quantile1(probs[k + 1], o.p);
      if (o.discrete) b = fmin(b, a + 2000);
      if (!(a < b) || !usable(&o, a) || !usable(&o, b)) continue;
      /* a kink */
      if (o.row->moments1 && a < 0 && b > 0 && !strcmp(f->name, "laplace")) continue;
      double la, ua, lb, ub;
      o.row->tails1(a, o.p, &la, &ua);
      o.row->tails1(b, o.p, &lb, &ub);
      double mass = la < -V_LOG_2 ? exp(lb) - exp(la) : exp(ua) - exp(ub);
      double got = cell_mass(&o, a, b), scale = fmax(mass, 1e-3 * fmin(exp(lb), exp(ua)));
      double tol = 3e-11 + 1e-15 * fabs(a / (b - a)) + 1e-16 / (1 - fmin(b, 0.999999));
      if (o.discrete) tol = 1e-9;
      CHECK_AT(fabs(got - mass) <= tol * scale, f, a);
      if (fabs(got - mass) > tol * scale)
        fprintf(stderr, "  to %g: %.15g, not %.15g\n", b, got,
                                                  mass);
    }
    double lo, hi;
    o.row->range1(o.p, &lo, &hi);
    double under = o.discrete && isfinite(lo) ? lo - 1 : lo;
    CHECK_AT(o.row->cdf1(under, o.p) == 0, f, under);
    CHECK_AT(o.row->cdf1(hi, o.p) == 1, f, hi);
  }
}

static void test_quantiles(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    double lo, hi, before = -HUGE_VAL;
    o.row->range1(o.p, &lo, &hi);
    for (int k = 0; k < PROBS; k++) {
      double x = o.row->quantile1(probs[k], o.p), lower, upper;
      CHECK_AT(x >= before && x >= lo && x <= hi, f, x);
      before = x;
      o.row->tails1(x, o.p, &lower, &upper);
      double c = o.row->cdf1(x, o.p);
      CHECK_AT(fabs(exp(lower) - c) <= 1e-13 * fmax(c, 1e-3), f, x);
      CHECK_AT(fabs(exp(lower) + exp(upper) - 1) <= 1e-13, f, x);
      if (o.discrete) {
        CHECK_AT(c >= probs[k] && (x == lo || o.row->cdf1(x - 1, o.p) < probs[k]), f, x);
      } else if (usable(&o, x)) {
        double miss = probs[k] < 0.5 ? lower - log(probs[k]) : upper - log1p(-probs[k]);
        /* One ulp of x moves the tail by its hazard. */
        double hazard = exp(o.row->logp1(x, o.p) - (probs[k] < 0.5 ? lower : upper));
        CHECK_AT(fabs(miss) <= 2e-11 + 8e-16 * fabs(x) * hazard, f, x);
      }
    }
    double least = o.row->quantile1(0, o.p), most = o.row->quantile1(1, o.p);
    CHECK_AT(least == lo && most == hi, f, least);
  }
}

/* ---- partials -------------------------------------------------------------------------------- */

/* The slope of the textbook formula in argument k (0: x): a difference over 1e-40 of its size
   in 320 bits. */
static double slope(const family *f, const of *o, double x, int k, double size)
{
  big_reset();
  big side[2], h = mul(num(size), num(1e-40));
  for (int i = 0; i < 2; i++) {
    big at = num(x), p[NORN_DIST_P], step = i ? h : neg(h);
    for (int j = 0; j < o->n; j++) p[j] = k == j + 1 ? add(num(o->p[j]), step) : num(o->p[j]);
    side[i] = f->exact(k == 0 ? add(at, step) : at, p);
  }
  return dbl(over(sub(side[1], side[0]), mul(two(), h)));
}

/* Relative to the slope, or where that is near 0 to the terms that cancel in it: 1/p for a small
   argument, and for a large one the 1/p^2 of a curvature. */
static void test_partials(void)
{
  double worst = 0;
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    double width = o.row->quantile1(0.75, o.p) - o.row->quantile1(0.25, o.p);
    for (int j = 0; j < 5; j++) {
      double x = o.row->quantile1((double[]){0.03, 0.3, 0.6, 0.9, 0.99}[j], o.p);
      double d[NORN_DIST_P + 1];
      if (!usable(&o, x) || f->exact == o_discrete_uniform) continue;
      o.row->partials1(x, o.p, d);
      for (int k = o.discrete; k <= o.n; k++) {
        if (f->exact == o_binomial && k == 1) continue;   /* the number of trials */
        double size = fabs(k ? o.p[k - 1] : x);
        if (size == 0 || (size > width && !o.discrete)) size = width;
        double exact = slope(f, &o, x, k, size);
        double miss = fabs(d[k] - exact) / fmax(fabs(exact), 1 / (size < 1 ? size : size * size));
        worst = fmax(worst, miss);
        bool good = miss < (f->exact == o_neg_binomial_2 ? 1e-9 : 1e-11);
        CHECK_AT(good, f, x);
        if (!good) fprintf(stderr, "  partial %d: %.17g, not %.17g\n", k, d[k], exact);
      }
      if (o.discrete) CHECK_AT(d[0] == 0, f, x);
    }
  }
  printf("partials: worst error %.2g\n", worst);
}

/* ---- draws ----------------------------------------------------------------------------------- */

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

/* Parameters from which draws must come all the same, and never NaN. */
static void test_extremes(void)
{
  static const family wild[] = {
    {"gamma", NULL, {1e-300, 1e300}}, {"gamma", NULL, {1e300, 1e-5}},
    {"gamma", NULL, {1e-4, 1e-300}}, {"inv_gamma", NULL, {1e-4, 1}},
    {"inv_gamma", NULL, {1e10, 1e-300}}, {"beta", NULL, {1e-300, 1e-300}},
    {"beta", NULL, {1e300, 1e-300}}, {"beta", NULL, {1e15, 1e15}},
    {"student_t", NULL, {1e-3, 0, 1}}, {"student_t", NULL, {1e300, 0, 1}},
    {"cauchy", NULL, {0, 1e300}}, {"lognormal", NULL, {0, 1e5}}, {"normal", NULL, {0, 2.3e-308}},
    {"logistic", NULL, {0, 1e300}}, {"poisson", NULL, {1e15}}, {"poisson", NULL, {1e-300}},
    {"poisson", NULL, {0}}, {"binomial", NULL, {9e15, 0.5}}, {"binomial", NULL, {9e15, 1e-300}},
    {"binomial", NULL, {0, 0.5}}, {"geometric", NULL, {1}}, {"geometric", NULL, {1e-15}},
    {"neg_binomial_2", NULL, {1e-300, 1e-300}}, {"neg_binomial_2", NULL, {1e5, 1e-3}},
    {"discrete_uniform", NULL, {-9e15, 9e15}}, {"exponential", NULL, {1e-300}},
    {"uniform", NULL, {-1e307, 1e307}}, {"half_cauchy", NULL, {1e300}},
  };
  for (int i = 0; i < (int)(sizeof wild / sizeof wild[0]); i++) {
    const family *f = &wild[i];
    of o = open_family(f);
    int which;
    double lo, hi, d[NORN_DIST_P + 1];
    CHECK_AT(o.row->check1(o.p, &which) == NULL, f, 0);
    o.row->range1(o.p, &lo, &hi);
    bool good = true;
    for (uint32_t k = 0; k < 1000; k++) {
      norn_rng g = {.stream = 5, .lane = k};
      double x = o.row->sample1(o.p, &g), l = o.row->logp1(x, o.p);
      bool fine = isfinite(x) && x >= lo && x <= hi && !isnan(l) && g.draw < 200;
      o.row->partials1(x, o.p, d);
      if (good && !fine) say(f, x);
      good = good && fine;
    }
    CHECK(good);
  }
}

/* What a row says of location, scale and rate: P(X <= x) is as before when they and x move. */
static void test_scales(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    const norn_dist_row *r = o.row;
    if (!r->location_is && !r->scale_is && !r->rate_is) continue;
    double q[NORN_DIST_P], x = r->quantile1(0.3, o.p);
    double l = r->location_is ? o.p[r->location_is - 1] : 0;
    double shift = r->location_is ? 0.5 * (x - l) : 0, by = r->scale_is || r->rate_is ? 2 : 1;
    if (fabs(x - l) < 1e-9 * fabs(l) || x == 0) continue;   /* no digits left */
    memcpy(q, o.p, sizeof q);
    if (r->location_is) q[r->location_is - 1] += shift;
    if (r->scale_is) q[r->scale_is - 1] *= by;
    if (r->rate_is) q[r->rate_is - 1] /= by;
    unit_near(r->cdf1(l + shift + by * (x - l), q), 0.3, 1e-7, f->name, __FILE__, __LINE__);
  }
}

int main(void)
{
  test_checks();
  test_density();
  test_outside();
  test_cells();
  test_quantiles();
  test_partials();
  test_scales();
  test_draw_counters();
  test_extremes();
  return unit_end();
}
