/* test_exact.c: the two formulas of every scalar family, that of kernel.h in doubles and that of
   exact.c in bigs, which share nothing; and, of what has tails in closed form, that truncation by
   tails has the mass which the density has.  Families without a formula in exact.c stand here. */
#include "unit.h"
#include "dist/dist.h"
#include "num/rng.h"
#include <stdlib.h>

/* Improper, or arrays of another kind. */
static const char *const without[] = { "flat" };

static norn_state *st;

static bool is_without(const char *name)
{
  for (size_t k = 0; k < sizeof without / sizeof without[0]; k++) if (!strcmp(without[k],
      name)) return true;
  return false;
}

static double big_logp(const norn_dist *d, norn_datum x)
{
  norn_datum l;
  if (norn_dist_logp_big(st, d, x, 200, &l)) {
    fprintf(stderr, "%s: %s\n", d->row->name, norn_error(st)->text);
    norn_clear(st);
    return NAN;
  }
  norn_big_parts p;
  CHECK(norn_big_view(l, &p) && p.bits == 200);
  return norn_big_double(l);
}

/* A parameter in the domain of most families, by number of the try. */
static double parameter(int i, int k, norn_rng *g)
{
  static const double usual[] = { 0.5, 2, 1, 0.25, 5, 3, 12, 0.75, 40 };
  if (k >= 30) return floor(rng_uniform(g) * 20);
  return k < 9 ? usual[(k + i * (1 + k / 3)) % 9] : floor(rng_uniform(g) * 20) / 8 + (k % 2) * 5;
}

/* The doubles' error: some ulp of the result, and of terms that cancel in it. */
static void compare(const norn_dist *d, double x, const double *p)
{
  bool discrete = d->row->flags & NORN_DIST_DISCRETE;
  double a = d->row->logp1(x, p),
         b = big_logp(d, discrete ? norn_int((int64_t)x) : norn_real(x));
  double tol = 1e-12 * (1 + fabs(b) + fabs(x));
  for (int i = 0; i < d->n; i++) tol += 1e-13 * fabs(p[i] * log(fabs(p[i]) + 2));
  if (!(fabs(a - b) <= tol || a == b)) {
    fprintf(stderr, "%s(%g, %g, %g) at %.17g: %.17g, exactly %.17g\n", d->row->name, p[0], p[1],
        p[2], x, a, b);
    CHECK(!"the formulas differ");
  }
  CHECK(1);
}

static int family(const norn_dist_row *row)
{
  norn_rng g = { 5, 1, 2, 3, 0, NULL };
  norn_datum args[NORN_DIST_P];
  double p[NORN_DIST_P] = { 0 };
  int n = dist_arity(row), good = 0;
  const norn_dist d = { row, args, n };
  for (int k = 0; k < 60; k++) {
    int which;
    for (int i = 0; i < n; i++) args[i] = norn_real(p[i] = parameter(i, k, &g));
    if (row->check1(p, &which)) continue;
    good++;
    for (int j = 0; j < 6; j++) {
      double x = row->sample1(p, &g);
      if (isfinite(x) && fabs(x) < 1e15) compare(&d, x, p);
    }
    compare(&d, -1, p);
    compare(&d, 1, p);
    if (!(row->flags & NORN_DIST_DISCRETE)) compare(&d, 0.375, p);
  }
  return good;
}

static void families(void)
{
  int n, seen = 0;
  const dist_shelf *const *shelf = dist_shelves(&n);
  for (int s = 0; s < n; s++)
    for (int k = 0; k < shelf[s]->n; k++) {
      const norn_dist_row *row = &shelf[s]->rows[k];
      if (!(row->flags & NORN_DIST_SCALAR) || !row->logp1 || is_without(row->name)) continue;
      int good = family(row);
      if (good < 3) fprintf(stderr, "%s: parameters fit %d times\n", row->name, good);
      CHECK(good >= 3);
      seen++;
    }
  CHECK(seen >= 30);
}

/* A truncated density sums or integrates (Simpson's rule, within its error h^4) to 1. */
static void tails(void)
{
  static const char *const program[] = {
    "normal(b(0.5), 2)", "std_normal()", "half_normal(b(2))", "lognormal(b(0.25), 1)",
        "cauchy(b(0.5), 2)",
    "half_cauchy(b(2))", "laplace(b(0.5), 2)", "logistic(b(0.5), 2)", "gumbel(b(0.5), 2)",
        "exponential(b(2))",
    "weibull(b(1.5), 2)", "rayleigh(b(2))", "pareto(b(0.25), 2)", "pareto_type_2(b(0.25), 2, 1.5)",
    "frechet(b(1.5), 2)", "loglogistic(b(1.5), 2)", "uniform(b(0.25), 9)", "poisson(b(2))",
        "geometric(b(0.25))",
    "binomial(9, b(0.25))" };
  char text[600];
  norn_datum out;
  for (size_t k = 0; k < sizeof program / sizeof program[0]; k++) {
    snprintf(text, sizeof text, k >= 17
               ? "let b = x -> big(x)\nlet d = %s\nlet t = truncate(d, lower = 1, upper = 4)\n"
                 "let inside = sum([pdf(t, big(i)) for i in 1..5])\n"
                 "abs(inside - 1) < 1e-60 and pdf(t, big(0)) == 0 and pdf(t, big(5)) == 0"
               : "let b = x -> big(x)\nlet d = %s\nlet t = truncate(d, lower = 1, upper = 3)\n"
                 "let n = 200\nfn w(i) = if i == 0 or i == n { 1 } else { 2 + 2 * (i %% 2) }\n"
                 "let f = [w(i) * pdf(t, big(1) + big(2) * i / n) for i in 0..n + 1]\n"
                 "abs(sum(f) * 2 / n / 3 - 1) < 2e-7",
             program[k]);
    norn_status s = norn_eval(st, "tails", text, strlen(text), 0, &out);
    if (s || out.tag != NORN_BOOL || !out.i)
      fprintf(stderr, "%s: %s\n", program[k], s ? norn_error(st)->text : "not the mass");
    CHECK(!s && out.tag == NORN_BOOL && out.i);
    norn_clear(st);
  }
}

int main(void)
{
  st = norn_new(NULL);
  families();
  tails();
  norn_free(st);
  return unit_end();
}
