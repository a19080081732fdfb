/* test_count: the discrete families: link scales, negative binomials, urns.

   Masses and derivatives are recomputed in MPFR from the textbook formula (errors in ulp: run with
   the word `table`); distribution functions are sums of those masses; quantiles invert them; draws
   fit by chi-square and exceed far quantiles neither too often nor too rarely, all at a chance of
   1e-3 over the whole program. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include "unit.h"
#include "big.h"
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <stdlib.h>

/* ---- masses in MPFR, by the textbook --------------------------------------------------------- */

typedef big (*oracle)(big x, const big *p);

static big ln_logit(big a) { return neg(lg1p(ex(neg(a)))); }   /* log 1/(1 + exp -a) */
static big o_bernoulli_logit(big x, const big *p)
{
  return ln_logit(dbl(x) == 1 ? p[0] : neg(p[0]));
}
static big o_binomial_logit(big k, const big *p)
{
  big both = add(mul(k, ln_logit(p[1])), mul(sub(p[0], k), ln_logit(neg(p[1]))));
  return add(lnchoose(p[0], k), both);
}
static big o_poisson_log(big k, const big *p)
{
  return sub(sub(mul(k, p[0]), ex(p[0])), lnfact(k));
}
static big nb(big k, big shape, big odds)    /* odds = p/q; p the chance that ends a run */
{
  big ways = sub(sub(lngamma(add(k, shape)), lnfact(k)), lngamma(shape));
  return sub(ways, add(mul(k, lg1p(odds)), mul(shape, lg1p(over(one(), odds)))));
}
static big o_neg_binomial(big k, const big *p) { return nb(k, p[0], p[1]); }
static big o_neg_binomial_2(big k, const big *p) { return nb(k, p[1], over(p[1], p[0])); }
static big o_neg_binomial_2_log(big k, const big *p) { return nb(k, p[1], over(p[1], ex(p[0]))); }
static big o_beta_binomial(big k, const big *p)
{
  big l = sub(p[0], k);
  return add(lnchoose(p[0], k), sub(lnbeta(add(k, p[1]), add(l, p[2])), lnbeta(p[1], p[2])));
}
static big o_hypergeometric(big k, const big *p)
{
  big ways = add(lnchoose(p[1], k), lnchoose(p[2], sub(p[0], k)));
  return sub(ways, lnchoose(add(p[1], p[2]), p[0]));
}
static big o_beta_neg_binomial(big k, const big *p)
{
  big ways = sub(sub(lngamma(add(k, p[0])), lnfact(k)), lngamma(p[0]));
  return add(ways, sub(lnbeta(add(p[0], p[1]), add(k, p[2])), lnbeta(p[1], p[2])));
}
static big o_poisson(big k, const big *p) { return sub(sub(mul(k, lg(p[0])), p[0]), lnfact(k)); }
static big o_binomial(big k, const big *p)
{
  big l = sub(p[0], k);
  return add(lnchoose(p[0], k), add(mul(k, lg(p[1])), mul(l, lg1p(neg(p[1])))));
}
static big o_geometric(big k, const big *p) { return add(lg(p[0]), mul(k, lg1p(neg(p[0])))); }

/* ---- cases ----------------------------------------------------------------------------------- */

/* real: bit i: parameter i is not a whole number, so that it has a derivative */
typedef struct { const char *name; oracle exact; unsigned real; double p[NORN_DIST_P]; } family;

#define LOGIT "bernoulli_logit", o_bernoulli_logit, 1
#define BLOGIT "binomial_logit", o_binomial_logit, 2
#define POISLOG "poisson_log", o_poisson_log, 1
#define NB "neg_binomial", o_neg_binomial, 3
#define NB2 "neg_binomial_2", o_neg_binomial_2, 3
#define NBLOG "neg_binomial_2_log", o_neg_binomial_2_log, 3
#define BB "beta_binomial", o_beta_binomial, 6
#define BNB "beta_neg_binomial", o_beta_neg_binomial, 7
#define HYPER "hypergeometric", o_hypergeometric, 0
static const family families[] = {
  {LOGIT, {0}}, {LOGIT, {-1.5}}, {LOGIT, {8}}, {LOGIT, {-40}}, {LOGIT, {600}},
  {BLOGIT, {1, 0.25}}, {BLOGIT, {15, -0.5}}, {BLOGIT, {40, 2}}, {BLOGIT, {1000, -4}},
  {BLOGIT, {1e9, -1}}, {BLOGIT, {1e9, 20}}, {BLOGIT, {50, 30}}, {BLOGIT, {50, -800}},
  {POISLOG, {-3}}, {POISLOG, {0}}, {POISLOG, {2.3}}, {POISLOG, {5.5}}, {POISLOG, {18.4206807}},
  {POISLOG, {-710}},
  {NB, {0.7, 2}}, {NB, {1, 1}}, {NB, {12, 0.3}}, {NB, {1e6, 1e4}}, {NB, {1e-3, 0.01}},
  {NB, {3, 1e-6}}, {NB2, {3, 2}}, {NB2, {100, 0.3}}, {NB2, {50, 1e6}}, {NB2, {1e4, 30}},
  {NB2, {1e8, 5}}, {NB2, {20, 1e9}}, {NBLOG, {1, 2}}, {NBLOG, {-4, 0.5}}, {NBLOG, {9, 30}},
  {NBLOG, {3, 1e6}}, {NBLOG, {-650, 3}}, {NBLOG, {18, 0.05}},
  {BB, {0, 1, 1}}, {BB, {1, 2, 3}}, {BB, {10, 1, 1}}, {BB, {15, 0.5, 2}}, {BB, {40, 3, 9}},
  {BB, {100, 0.02, 0.03}}, {BB, {1000, 20, 5}}, {BB, {500, 1e5, 3e5}}, {BB, {60, 1e-3, 1e-3}},
  {BB, {1e6, 2, 3}}, {BB, {1e9, 40, 200}}, {BB, {1e9, 0.1, 0.3}}, {BB, {1e9, 1e12, 3e12}},
  {BB, {30, 1e-12, 1}}, {BB, {100000, 1, 50}},
  {HYPER, {0, 3, 4}}, {HYPER, {5, 10, 7}}, {HYPER, {7, 7, 7}}, {HYPER, {20, 30, 5}},
  {HYPER, {50, 100, 1000}}, {HYPER, {900, 1000, 500}}, {HYPER, {1e4, 1e8, 1e8}},
  {HYPER, {1e8, 1e8, 1e8}}, {HYPER, {1e6, 50, 1e8}}, {HYPER, {3, 2, 1}}, {HYPER, {4, 4, 0}},
  {HYPER, {2e7, 3e7, 1e7}},
  {BNB, {1, 3, 2}}, {BNB, {0.4, 5, 0.7}}, {BNB, {30, 12, 4}}, {BNB, {1e5, 200, 3}},
  {BNB, {2, 1e6, 1e5}}, {BNB, {40, 2.5, 1e-3}},
  {"poisson", o_poisson, 1, {1e8}}, {"poisson", o_poisson, 1, {4}},
  {"binomial", o_binomial, 2, {1e9, 0.25}}, {"binomial", o_binomial, 2, {30, 1e-5}},
  {"geometric", o_geometric, 1, {0.2}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

static void say(const family *f, double x)
{
  fprintf(stderr, "  in %s(%g, %g, %g) at %.17g\n", f->name, f->p[0], f->p[1], f->p[2], x);
}
#define CHECK_AT(cond, f, x) do { bool ok_ = (cond); CHECK(ok_); if (!ok_) say(f, x); } while (0)

static void bigs(const family *f, big *p)
{
  for (int i = 0; i < NORN_DIST_P; i++) p[i] = num(f->p[i]);
}
static const double probs[] = {1e-12, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1 - 1e-6};
enum { PROBS = sizeof probs / sizeof probs[0], POINTS = PROBS + 4 };

/* Quantiles, the ends of the support, and their neighbours. */
static double point(const family *f, const norn_dist_row *row, int i)
{
  double lo, hi, x;
  row->range1(f->p, &lo, &hi);
  if (i < PROBS) x = row->quantile1(probs[i], f->p);
  else x = i == PROBS ? lo : i == PROBS + 1 ? lo + 1 : i == PROBS + 2 ? hi : hi - 1;
  return x >= lo && x <= hi && isfinite(x) ? x : lo;
}

/* ---- densities ------------------------------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static void report(const char *what, const family *f, double *ulps, int n)
{
  qsort(ulps, (size_t)n, sizeof *ulps, rising);
  if (n > 0)
    printf("%-20s(%6g, %6g, %6g) %s: median %5.1f, worst %8.1f ulp\n", f->name, f->p[0], f->p[1],
           f->p[2], what, ulps[n / 2], ulps[n - 1]);
}
static double ulp(double x)
{
  return fabs(x) < 2.3e-308 ? 4.9e-324 : nextafter(fabs(x), HUGE_VAL) - fabs(x);
}

static double slope(const family *, double x, int k);

/* Within 16 ulp or 1e-13, or what 4 ulp of the parameters make. */
static void test_density(bool table)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    const norn_dist_row *row = dist_find(f->name);
    double ulps[POINTS];
    int n = 0;
    for (int k = 0; k < POINTS; k++) {
      double x = point(f, row, k), d[NORN_DIST_P + 1];
      big_reset();
      big p[NORN_DIST_P];
      bigs(f, p);
      big exact = f->exact(num(x), p);
      double got = row->logp1(x, f->p), e = dbl(exact);
      double miss = fabs(dbl(sub(num(got), exact)));
      double moved = 0;
      for (int j = 0; j < NORN_DIST_P; j++)
        if (f->real >> j & 1) moved = fmax(moved, fabs(slope(f, x, j) * f->p[j]) * 0x1p-52);
      bool good = miss <= 16 * ulp(e) || miss <= 1e-13 * fmax(1, fabs(e)) || miss <= 4 * moved;
      CHECK_AT(good, f, x);
      if (!good) fprintf(stderr, "  %.17g, not %.17g\n", got, e);
      CHECK_AT(row->partials1(x, f->p, d) == got, f, x);
      ulps[n++] = miss / ulp(e);
    }
    if (table) report("log mass", f, ulps, n);
  }
}

/* The derivative of the textbook formula by parameter k: a difference over 1e-40 of its size in 320
   bits. */
static double slope(const family *f, double x, int k)
{
  big_reset();
  big side[2], p[NORN_DIST_P], h = mul(num(fmax(fabs(f->p[k]), 1e-300)), num(1e-40));
  if (f->p[k] == 0) h = num(1e-40);
  for (int i = 0; i < 2; i++) {
    bigs(f, p);
    p[k] = add(p[k], i ? h : neg(h));
    side[i] = f->exact(num(x), p);
  }
  return dbl(over(sub(side[1], side[0]), mul(two(), h)));
}

/* How well a derivative can be had: what it changes by when a parameter moves by 2^-52. */
static double condition(const family *f, double x, int k)
{
  double most = 0;
  for (int j = 0; j < NORN_DIST_P; j++) {
    family g = *f;
    if (!(f->real >> j & 1)) continue;
    g.p[j] *= 1 + 0x1p-30;
    most = fmax(most, fabs(slope(&g, x, k) - slope(f, x, k)) * 0x1p30);
  }
  return most * 0x1p-52;
}

static void test_partials(bool table)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    const norn_dist_row *row = dist_find(f->name);
    double ulps[POINTS * NORN_DIST_P];
    int n = 0;
    for (int j = 0; j < POINTS; j++) {
      double x = point(f, row, j), d[NORN_DIST_P + 1];
      row->partials1(x, f->p, d);
      CHECK_AT(d[0] == 0, f, x);
      for (int k = 0; k < dist_arity(row); k++) {
        if (!(f->real >> k & 1)) { CHECK_AT(d[k + 1] == 0, f, x); continue; }
        double exact = slope(f, x, k), miss = fabs(d[k + 1] - exact);
        bool good = miss <= 16 * ulp(exact) || miss <= 1e-13 * fabs(exact) ||
                    miss <= 4 * condition(f, x, k) || miss <= 1e-15 / fabs(f->p[k]);
        CHECK_AT(good, f, x);
        if (!good) fprintf(stderr, "  partial %d: %.17g, not %.17g\n", k, d[k + 1], exact);
        ulps[n++] = miss / ulp(exact);
      }
    }
    if (table) report("partials", f, ulps, n);
  }
}

static void test_outside(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    const norn_dist_row *row = dist_find(f->name);
    double lo, hi;
    row->range1(f->p, &lo, &hi);
    CHECK_AT(row->logp1(lo - 1, f->p) == -HUGE_VAL, f, lo - 1);
    CHECK_AT(row->logp1(hi + 1, f->p) == -HUGE_VAL, f, hi + 1);
    CHECK_AT(row->logp1(-HUGE_VAL, f->p) == -HUGE_VAL, f, -HUGE_VAL);
    CHECK_AT(row->logp1(HUGE_VAL, f->p) == -HUGE_VAL, f, HUGE_VAL);
    CHECK_AT(row->cdf1(lo - 1, f->p) == 0 && row->cdf1(hi, f->p) == 1, f, lo);
    int which = -1;
    CHECK_AT(row->check1(f->p, &which) == NULL, f, 0);
    for (int k = 0; k < dist_arity(row); k++) {
      double p[NORN_DIST_P];
      memcpy(p, f->p, sizeof p);
      p[k] = (double)NAN;
      const char *sentence = row->check1(p, &which);
      CHECK_AT(sentence && strstr(sentence, f->name), f, k);
      CHECK_AT(which == k || !strcmp(f->name, "hypergeometric"), f, k);
    }
  }
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Small supports in full: the sum is 1 in MPFR's masses and in ours, every cdf a partial sum. */
static void test_sums(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    const norn_dist_row *row = dist_find(f->name);
    double lo, hi, sum = 0, low, up, mean = 0, square = 0, m, v;
    row->range1(f->p, &lo, &hi);
    if (hi - lo > 2000) continue;
    for (double k = lo; k <= hi; k++) {
      double mass = exp(row->logp1(k, f->p));
      sum += mass;
      mean += k * mass;
      square += k * k * mass;
      row->tails1(k, f->p, &low, &up);
      CHECK_AT(fabs(exp(low) - sum) < 4e-14 * fmax(sum, 1e-3), f, k);
      CHECK_AT(fabs(exp(low) + exp(up) - 1) < 4e-15, f, k);
      CHECK_AT(row->cdf1(k + 0.5, f->p) == row->cdf1(k, f->p), f, k);
    }
    CHECK_AT(fabs(sum - 1) < 4e-14, f, sum);
    row->moments1(f->p, &m, &v);
    CHECK_AT(fabs(m - mean) <= 1e-12 * fmax(1, m), f, mean);
    CHECK_AT(fabs(v - (square - mean * mean)) <= 1e-12 * fmax(v, square), f, v);
  }
}

/* log of the sum of MPFR's masses over from..to */
static double exact_sum(const family *f, double from, double to)
{
  double sum = 0, top = -HUGE_VAL;
  for (int turn = 0; turn < 2; turn++) {
    for (double k = from; k <= to; k++) {
      big_reset();
      big p[NORN_DIST_P];
      bigs(f, p);
      double l = dbl(f->exact(num(k), p));
      if (turn) sum += exp(l - top); else top = fmax(top, l);
    }
  }
  return top + log(sum);
}

/* Far tails, where the cdf is 0 or 1 in doubles: the sum of masses down to where they vanish. */
static void test_far_tails(void)
{
  static const struct { int lower; double k, to; family f; } far[] = {
    {1, 12000, 0, {BB, {100000, 300, 600}}}, {0, 60000, 100000, {BB, {100000, 300, 600}}},
    {1, 3, 0, {BB, {1000, 20, 5}}}, {0, 995, 1000, {BB, {1000, 20, 5}}},
    {1, 4400, 0, {HYPER, {1e4, 1e8, 1e8}}}, {0, 5600, 1e4, {HYPER, {1e4, 1e8, 1e8}}},
    {0, 45, 50, {HYPER, {1e6, 50, 1e8}}}, {1, 550, 400, {HYPER, {900, 1000, 500}}},
    {0, 40, 200, {NBLOG, {-4, 0.5}}}, {1, 5, 0, {NB, {1e6, 1e4}}},
    {0, 200, 600, {POISLOG, {2.3}}}, {1, 10, 0, {BLOGIT, {40, 5}}},
    {0, 30, 40, {BLOGIT, {40, -5}}},
  };
  for (int i = 0; i < (int)(sizeof far / sizeof far[0]); i++) {
    const family *f = &far[i].f;
    double low, up, from = far[i].lower ? far[i].to : far[i].k + 1;
    dist_find(f->name)->tails1(far[i].k, f->p, &low, &up);
    double to = far[i].lower ? far[i].k : far[i].to, exact;
    if (to - from > 3000) {                       /* the rest is below 1e-17 of it */
      if (far[i].lower) from = to - 3000; else to = from + 3000;
    }
    exact = exact_sum(f, from, to);
    double got = far[i].lower ? low : up;
    CHECK_AT(exact < -3 && fabs(got - exact) < 2e-13 * fabs(exact), f, far[i].k);
    if (!(fabs(got - exact) < 2e-13 * fabs(exact)))
      fprintf(stderr, "  %.17g, not %.17g\n", got, exact);
  }
}

/* Long sums: against the sum term by term, against a closed form, and against the same by another
   order of draws (hypergeometric(N, a, b) is that of (a, N, c - N)). */
static void test_long_sums(void)
{
  const norn_dist_row *bb = dist_find("beta_binomial"), *hyper = dist_find("hypergeometric");
  double low, up, other_low, other_up;
  /* alpha = beta = 1: uniform on 0..n */
  for (double k = 3; k < 1e9; k = floor(7.3 * k)) {
    bb->tails1(k, (double[]){1e9, 1, 1}, &low, &up);
    CHECK_NEAR(low, log((k + 1) / (1e9 + 1)), 1e-12);
    CHECK_NEAR(up, log((1e9 - k) / (1e9 + 1)), 1e-12);
  }
  /* beta = 1: P(X <= k) = B(n + 1, alpha)/B(k + 1, alpha) (hockey stick) */
  for (double k = 2; k < 1e8; k = floor(11.3 * k)) {
    bb->tails1(k, (double[]){1e8, 0.5, 1}, &low, &up);
    double exact = special_lbeta(1e8 + 1, 0.5) - special_lbeta(k + 1, 0.5);
    CHECK_NEAR(low, exact, 2e-12 * fmax(1, fabs(exact)));
  }
  for (int i = -3; i <= 3; i++) {
    double k = 5e7 + 5e3 * i;
    hyper->tails1(k, (double[]){1e8, 1e8, 1e8}, &low, &up);
    double z = (k + 0.5 - 5e7) / sqrt(1e8 / 8);
    CHECK_NEAR(low, special_norm_log_cdf(z), 1e-7 * (1 + z * z));
    hyper->tails1(1e8 - k - 1, (double[]){1e8, 1e8, 1e8}, &other_low, &other_up);
    CHECK_NEAR(low, other_up, 1e-12);
    hyper->tails1(3e4 + 150 * i, (double[]){1e5, 3e6, 7e6}, &low, &up);
    hyper->tails1(3e4 + 150 * i, (double[]){3e6, 1e5, 1e7 - 1e5}, &other_low, &other_up);
    CHECK_NEAR(low, other_low, 1e-12);
    CHECK_NEAR(up, other_up, 1e-12);
  }
  /* term by term */
  static const double sets[][3] = {{2e5, 0.3, 0.2}, {2e5, 3, 0.5}, {2e5, 40, 90}, {2e5, 1e7, 2e7},
                                   {2e5, 1, 1e4}};
  for (int i = 0; i < 5; i++) {
    double sum = 0;
    for (double k = 0; k < 2e5; k++) {
      sum += exp(bb->logp1(k, sets[i]));
      if (sum < 1e-290 || (fmod(k, 23457) != 100 && k != 30000)) continue;
      bb->tails1(k, sets[i], &low, &up);
      CHECK_NEAR(exp(low) / sum, 1, 2e-12);
      CHECK_NEAR(exp(low) + exp(up), 1, 4e-15);
    }
  }
}

/* r = 1, beta = 1: P(X > k) = B(alpha, k + 2)/B(alpha, 1) = alpha B(alpha, k + 2), far out too. */
static void test_power_tails(void)
{
  const norn_dist_row *row = dist_find("beta_neg_binomial");
  static const double alphas[] = {0.05, 0.5, 1, 3, 20};
  for (int i = 0; i < 5; i++)
    for (double k = 0; k < 1e13; k = floor(9.7 * k + 1)) {
      double low, up, exact = log(alphas[i]) + special_lbeta(alphas[i], k + 2);
      row->tails1(k, (double[]){1, alphas[i], 1}, &low, &up);
      CHECK_NEAR(up, exact, 3e-12 * fmax(1, fabs(exact)));
      CHECK_NEAR(low, special_log1mexp(exact), 3e-12);
    }
}

static void test_quantiles(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    const norn_dist_row *row = dist_find(f->name);
    double lo, hi;
    row->range1(f->p, &lo, &hi);
    for (int k = 0; k < PROBS; k++) {
      double x = row->quantile1(probs[k], f->p);
      CHECK_AT(x >= lo && x <= hi && row->cdf1(x, f->p) >= probs[k], f, x);
      CHECK_AT(x == lo || row->cdf1(x - 1, f->p) < probs[k], f, x);
    }
    CHECK_AT(row->quantile1(0, f->p) == lo && row->quantile1(1, f->p) == hi, f, 0);
  }
}

/* ---- draws ----------------------------------------------------------------------------------- */

enum { DRAWS = 100000 / UNIT_PART, BINS = 50 };
static double draw[DRAWS];
#define CHANCE (1e-3 / (4 * FAMILIES))          /* Bonferroni over all tests of draws here */

/* The chance of as many draws past a quantile, of probability q each, or more extreme. */
static double exceed(int count, double q)
{
  double low = gsl_cdf_binomial_P((unsigned)count, q, DRAWS);
  double up = count ? gsl_cdf_binomial_Q((unsigned)count - 1, q, DRAWS) : 1;
  return fmin(1, 2 * fmin(low, up));
}

static void fit(const family *f, const norn_dist_row *row)
{
  double edge[BINS + 1], sum = 0;
  int cells = 0, i = 0;
  for (int b = 1; b <= BINS; b++) {
    double x = row->quantile1((double)b / BINS, f->p);
    if (cells == 0 || x > edge[cells - 1]) edge[cells++] = x;
  }
  int used = 0;
  double under = 0, waiting = 0;
  int count = 0;
  for (int b = 0; b < cells; b++) {          /* cells with fewer than 5 expected join the next */
    for (; i < DRAWS && draw[i] <= edge[b]; i++) count++;
    double c = b == cells - 1 ? 1 : row->cdf1(edge[b], f->p);
    waiting += DRAWS * (c - under);
    under = c;
    if (waiting < 5 && b < cells - 1) continue;
    if (waiting < 5) { CHECK_AT(count < 40, f, count); continue; }
    sum += (count - waiting) * (count - waiting) / waiting;
    used++;
    waiting = count = 0;
  }
  if (used > 1) CHECK_AT(gsl_cdf_chisq_Q(sum, used - 1) > CHANCE, f, sum);
}

static void test_draws(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    const norn_dist_row *row = dist_find(f->name);
    norn_rng g = {.stream = 20250611, .event = (uint32_t)i};
    double lo, hi;
    bool inside = true;
    row->range1(f->p, &lo, &hi);
    for (int k = 0; k < DRAWS; k++) {
      g.lane = (uint32_t)k;
      g.draw = 0;
      double x = draw[k] = row->sample1(f->p, &g);
      inside = inside && x >= lo && x <= hi && x == floor(x) && row->logp1(x, f->p) > -HUGE_VAL;
    }
    CHECK_AT(inside, f, 0);
    stats_sort(draw, DRAWS);
    fit(f, row);
    double low = row->quantile1(1e-4, f->p), high = row->quantile1(1 - 1e-4, f->p), tail, rest;
    int below = 0, above = 0;
    for (int k = 0; k < DRAWS; k++) {
      below += draw[k] < low;
      above += draw[k] > high;
    }
    row->tails1(low - 1, f->p, &tail, &rest);
    CHECK_AT(exceed(below, exp(tail)) > CHANCE, f, below);
    row->tails1(high, f->p, &rest, &tail);
    CHECK_AT(exceed(above, exp(tail)) > CHANCE, f, above);
  }
}

/* Stadlober's hat stands above the mass everywhere: |x + 1/2 - mean| sqrt(f(k)/f(mode)) <= h/2 at
   both ends of each cell. */
static void test_hat(void)
{
  const norn_dist_row *row = dist_find("hypergeometric");
  for (int i = 0; i < 3000; i++) {
    norn_rng g = {.stream = 3, .lane = (uint32_t)i};
    double a = floor(exp(rng_uniform(&g) * 9)), b = floor(exp(rng_uniform(&g) * 9));
    double p[] = {floor(rng_uniform(&g) * (a + b + 1)), a, b}, mean, variance, lo, hi;
    row->moments1(p, &mean, &variance);
    row->range1(p, &lo, &hi);
    double h = 2 * sqrt(2 / exp(1)) * sqrt(variance + 0.5) + 3 - 2 * sqrt(3 / exp(1));
    double top = row->logp1(fmin(fmax(floor((p[0] + 1) * ((a + 1) / (a + b + 2))), lo), hi), p);
    for (double k = fmax(lo, mean - 9 * sqrt(variance) - 2);
         k <= fmin(hi, mean + 9 * sqrt(variance) + 2); k++) {
      double l = row->logp1(floor(k), p) - top, centre = mean + 0.5;
      double reach = fmax(fabs(floor(k) - centre), fabs(floor(k) + 1 - centre));
      CHECK(l < 1e-9);
      CHECK(reach * exp(0.5 * l) <= h / 2 + 1e-9);
    }
  }
}

int main(int n, char **words)
{
  bool table = n > 1 && !strcmp(words[1], "table");
  test_density(table);
  test_partials(table);
  test_outside();
  test_sums();
  test_far_tails();
  test_long_sums();
  test_power_tails();
  test_quantiles();
  test_draws();
  test_hat();
  return unit_end();
}
