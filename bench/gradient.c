/* bench/gradient: microseconds of a log density with its gradient, of models written as a user
   would, by the recorded program; and what preparing it takes.  Goals: YARDSTICKS of the design. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char logistic[] =
  "model m() { let a ~ normal(0, 1)\nlet b ~ iid(normal(0, 1), 20)\nlet eta = X @ b + a\n"
  "observe y ~ bernoulli_logit(eta) }\nm()";
static const char radon[] =
  "model m() { let mu ~ normal(0, 10)\nlet tau ~ half_normal(1)\nlet s ~ half_normal(1)\n"
  "let b ~ normal(0, 10)\nlet al = for j in 0..85 { let z ~ normal(0, 1)\n mu + tau * z }\n"
  "for i in 0..919 { observe y[i] ~ normal(al[county[i]] + b * floor_[i], s) } }\nm()";
static const char ark[] =
  "model m() { let alpha ~ normal(0, 10)\nlet beta ~ iid(normal(0, 10), 5)\n"
  "let sigma ~ half_cauchy(2.5)\n"
  "for t in 5..200 { let mu = for k in 0..5 with m = alpha { next m + beta[k] * y[t - 1 - k] }\n"
  "observe y[t] ~ normal(mu, sigma) } }\nm()";
static const char garch[] =
  "model m() { let mu ~ flat()\nlet w ~ flat(lower = 0)\nlet a ~ uniform(0, 1)\n"
  "let b ~ uniform(0, 1 - a)\n"
  "for t in 1..200 with h = 1.0 { let h2 = w + a * (y[t - 1] - mu)^2 + b * h\n"
  "observe y[t] ~ normal(mu, sqrt(h2))\n next h2 } }\nm()";
static const char hmm[] =
  "model m() { let p ~ beta(2, 2)\nlet q ~ beta(2, 2)\nlet mu ~ ordered(iid(normal(0, 3), 2))\n"
  "let A = [[log(p), log1p(-p)], [log1p(-q), log(q)]]\n"
  "let lp = for t in 0..416 with lp = [0.0, 0.0] { next for j in 0..2 {\n"
  "log_sum_exp(lp[0] + A[0][j], lp[1] + A[1][j]) + logpdf(normal(mu[j], 1), y[t]) } }\n"
  "factor(log_sum_exp(lp)) }\nm()";
static const char schools[] =
  "let s = [15, 10, 16, 11, 9, 11, 10, 18]\nlet z_ = [28, 8, -3, 7, -1, 1, 18, 12]\n"
  "model m() { let mu ~ normal(0, 5)\nlet tau ~ half_cauchy(5)\nlet theta = for j in 0..8 {\n"
  "let z ~ normal(0, 1)\n mu + tau * z }\n"
  "for j in 0..8 { observe z_[j] ~ normal(theta[j], s[j]) } }\nm()";

static norn_datum reals(norn_state *st, int rank, int64_t n, int64_t k, uint64_t seed)
{
  void *to;
  int64_t dims[2] = {n, k};
  norn_datum a = norn_array(st, NORN_F64, rank, dims, &to);
  norn_rng g = {.stream = seed};
  norn_rng_normals(&g, to, rank == 2 ? n * k : n);
  return a;
}

/* The data that the models name, as globals of the session. */
static void data(norn_state *st, const char *model)
{
  void *to;
  int64_t n = model == logistic ? 10000 : model == radon ? 919 : model == hmm ? 416 : 200;
  if (model == logistic) {
    norn_set_global(st, "X", reals(st, 2, n, 20, 1));
    norn_datum y = norn_array(st, NORN_I64, 1, &n, &to);
    for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = i % 3 == 0;
    norn_set_global(st, "y", y);
    return;
  }
  norn_set_global(st, "y", reals(st, 1, n, 0, 2));
  norn_datum c = norn_array(st, NORN_I64, 1, &n, &to);
  for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = i * 85 / n;
  norn_set_global(st, "county", c);
  norn_datum f = norn_array(st, NORN_I64, 1, &n, &to);
  for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = i % 2;
  norn_set_global(st, "floor_", f);
}

typedef double (*by_hand)(const double *u, const double *y, double *g);

/* Seconds of an evaluation by hand, which must give what Norn does. */
static double beside(norn_state *st, by_hand f, const double *u, int64_t n, double logp,
                     const double *gradient)
{
  norn_view y;
  double g[100], lp = 0, best = INFINITY;
  if (!norn_array_view(norn_global(st, "y"), &y)) return 0;
  for (int k = 0; k < 8; k++) {
    double t = bench_cpu();
    for (int i = 0; i < 1000; i++) lp = f(u, y.f, g);
    best = least(best, (bench_cpu() - t) / 1000);
  }
  double worst = fabs(lp - logp) / (1 + fabs(lp));
  for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs(g[i] - gradient[i]) / (1 + fabs(g[i])));
  if (worst > 1e-9) printf("  differs from C by hand: %.1e\n", worst);
  return best;
}

/* Seconds a point, of eight in one evaluation. */
static double many(norn_density *d, int64_t n)
{
  double *u = calloc((size_t)(16 * n), sizeof *u), logp[8], best = 1e9;
  for (int64_t i = 0; i < 8 * n; i++) u[i] = 0.1 + 0.01 * (double)(i % n) + 0.001 * (double)(i / n);
  for (int k = 0; k < 8; k++) {
    double t = bench_cpu();
    int rounds = 0;
    while (bench_cpu() - t < 0.03) {
      for (int i = 0; i < 4; i++) norn_density_eval_many(d, 8, u, logp, u + 8 * n);
      rounds += 4;
    }
    best = least(best, (bench_cpu() - t) / rounds / 8);
  }
  free(u);
  return best;
}

static void one(const char *name, const char *model, by_hand hand, const char *goal)
{
  char what[80];
  norn_datum m;
  double logp, best = INFINITY;
  norn_state *st = bench_state();
  data(st, model);
  if (norn_eval(st, "bench", model, strlen(model), NORN_LOAD_REPL, &m)) bench_die(st, name);
  double t = bench_cpu();
  norn_density *d = norn_density_new(st, m, 1, 0);
  if (!d) bench_die(st, name);
  double prepare = bench_cpu() - t;
  int64_t n = norn_density_dim(d);
  double *u = calloc((size_t)(2 * n), sizeof *u);
  for (int64_t i = 0; i < n; i++) u[i] = 0.1 + 0.01 * (double)i;
  for (int k = 0; k < 8; k++) {
    t = bench_cpu();
    int rounds = 0;
    while (bench_cpu() - t < 0.03) {
      for (int i = 0; i < 10; i++) norn_density_eval(d, u, &logp, u + n);
      rounds += 10;
    }
    best = least(best, (bench_cpu() - t) / rounds);
  }
  snprintf(what, sizeof what, "gradient: %s", name);
  double other = hand ? beside(st, hand, u, n, logp, u + n) : 0;
  bench_row(what, best * 1e6, "us", hand ? "C" : "", other * 1e6, goal);
  snprintf(what, sizeof what, "gradient: %s, one of 8 at once", name);
  bench_row(what, many(d, n) * 1e6, "us", "", 0, "");
  snprintf(what, sizeof what, "gradient: %s, preparing", name);
  bench_row(what, prepare * 1e3, "ms", "", 0, "50 ms to the first draw");
  free(u);
  norn_density_free(d);
  norn_free(st);
}

void bench_gradient(void)
{
  one("eight schools", schools, NULL, "");
  one("logistic 10,000 x 20", logistic, NULL, "70 us");
  one("radon shape, 919 rows", radon, limit_radon, "2.2 us");
  one("arK, T = 200", ark, limit_ark, "0.5 us");
  one("GARCH(1,1), T = 200", garch, limit_garch, "5 us without a compiler");
  one("HMM of 2 states, N = 416", hmm, limit_hmm, "50 us without a compiler");
}
