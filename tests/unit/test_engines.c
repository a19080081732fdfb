/* test_engines.c: the pieces engines are made of, one by one; inference driven from C, dropped
   after any step, stopped, and with the n-th allocation failing. */
#include "unit.h"
#include "host.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdlib.h>
#include <time.h>

/* ---- weights ---- */

static void test_weights(void)
{
  double lw[3] = { log(1.0), log(2.0), log(5.0) }, none[2] = { -HUGE_VAL, -HUGE_VAL };
  CHECK_NEAR(log_sum(lw, 3), log(8.0), 1e-15);
  CHECK_NEAR(log_add(lw[0], lw[1]), log(3.0), 1e-15);
  CHECK_NEAR(log_add(-HUGE_VAL, 2), 2, 0);
  CHECK(log_add(-HUGE_VAL, -HUGE_VAL) == -HUGE_VAL);
  CHECK(log_sum(none, 2) == -HUGE_VAL);
  CHECK_NEAR(kish(lw, 3), 64.0 / 30, 1e-14);
  CHECK_NEAR(kish(none, 2), 0, 0);
}

/* ---- resampling ---- */

enum { N = 7, TIMES = 40000 };

/* Each scheme: always m offspring, none of the dead, mean m w, and the variance that it claims (for N). */
static void test_resample(resample_kind kind, size_t m)
{
  const double w[N] = { 0.1, 2.3, 0, 0.7, 1.4, 0.05, 0.45 };
  double sum = 0, mean[N] = { 0 }, var = 0;
  for (int i = 0; i < N; i++) sum += w[i];
  for (uint32_t t = 0; t < TIMES; t++) {
    norn_rng g = { .stream = 42 + kind, .lane = t };
    uint32_t count[N], all = 0;
    if (m == N) resample(kind, w, sum, count, N, &g);
    else resample_to(kind, w, sum, count, N, m, &g);
    for (int i = 0; i < N; i++) {
      double d = count[i] - (double)m * w[i] / sum;
      all += count[i];
      mean[i] += d / TIMES;
      var += d * d / TIMES / N;
      if (kind == RESAMPLE_SYSTEMATIC) CHECK(fabs(d) < 1);
    }
    CHECK(all == m);
    CHECK(count[2] == 0);
  }
  for (int i = 0; i < N; i++) CHECK_NEAR(mean[i], 0, 5 * sqrt((m == N ? 1.5 : 3.0) / TIMES));
  if (m == N) CHECK_NEAR(var / resample_spread(kind, w, sum, N), 1, .03);
}

/* ---- diagnostics ---- */

/* Stationary AR(1) chains: ESS = n (1 - phi) / (1 + phi). */
static void test_chains(norn_state *st, double phi, double shift, double least, double most,
                        double rhat_most)
{
  enum { CHAINS = 4, LENGTH = 5000 };
  double *x = malloc(sizeof *x * CHAINS * LENGTH), ess, rhat;
  for (int c = 0; c < CHAINS; c++)
    for (int i = 0; i < LENGTH; i++) {
      norn_rng g = { .stream = 7, .lane = (uint32_t)c, .iter = (uint32_t)i };
      double e = norn_rng_normal(&g);
      x[c * LENGTH + i] = i
        ? phi * (x[c * LENGTH + i - 1] - c * shift) + sqrt(1 - phi * phi) * e + c * shift
        : e + c * shift;
    }
  CHECK(diagnose_chains(st, x, CHAINS, LENGTH, &ess, &rhat));
  CHECK(ess > least && ess < most);
  CHECK(rhat < rhat_most);
  CHECK((rhat > 1.01) == (shift > 0));
  for (int i = 0; i < CHAINS * LENGTH; i++) x[i] = 3;
  CHECK(diagnose_chains(st, x, CHAINS, LENGTH, &ess, &rhat));
  CHECK(isnan(ess) && isnan(rhat));
  free(x);
}

/* Four chains of CmdStan from the tests of Stan (BSD-3), with the values Stan's diagnostics
   give. */
static void test_golden(norn_state *st)
{
  enum { ROWS = 4000 };
  const char *srcdir = getenv("srcdir");
  char path[500], line[200];
  double *lp = malloc(sizeof *lp * ROWS), *theta = malloc(sizeof *theta * ROWS), ess, rhat;
  snprintf(path, sizeof path, "%s/tests/data/bern.csv", srcdir ? srcdir : ".");
  FILE *f = fopen(path, "r");
  CHECK(f);
  int n = 0, chain;
  if (f) {
    CHECK(fgets(line, sizeof line, f));
    while (n < ROWS && fscanf(f, "%d,%lf,%lf", &chain, &lp[n], &theta[n]) == 3) n++;
    fclose(f);
  }
  CHECK(n == ROWS);
  if (n == ROWS) {
    CHECK(diagnose_chains(st, lp, 4, 1000, &ess, &rhat));
    CHECK_NEAR(ess, 1512.7684, 1e-4);
    CHECK(diagnose_chains(st, theta, 4, 1000, &ess, &rhat));
    CHECK_NEAR(ess, 1407.5124, 1e-4);
  }
  free(lp);
  free(theta);
}

/* ---- columns ---- */

static void test_columns(norn_state *st)
{
  column c = { 0 };
  for (int i = 0; i < 100; i++) CHECK(column_push(st, &c, norn_real(i)));
  CHECK(!c.heap && column_at(st, &c, 7).d == 7);
  norn_view v;
  CHECK(norn_array_view(column_array(st, &c), &v) && v.elem == NORN_F64 && v.n == 100);
  /* from here on the heap keeps them */
  CHECK(column_push(st, &c, norn_missing()));
  CHECK(column_push(st, &c, norn_cstring(st, "a")));
  CHECK(c.heap && c.n == 102 && column_at(st, &c, 7).d == 7 &&
        column_at(st, &c, 100).tag == NORN_MISSING);
  CHECK_STR(norn_string_view(column_at(st, &c, 101), NULL), "a");
  column_clear(st, &c);
  CHECK(c.n == 0 && column_push(st, &c, norn_bool(true)) && column_at(st, &c, 0).tag == NORN_BOOL);
  /* integers among reals stay integers, also in a column that is used again */
  for (int turn = 0; turn < 2; turn++) {
    column_clear(st, &c);
    CHECK(column_push(st, &c, norn_int(5)) && column_push(st, &c, norn_real(2.5)) &&
          column_push(st, &c, norn_int(7)));
    CHECK(column_at(st, &c, 0).tag == NORN_INT && column_at(st, &c, 1).d == 2.5 &&
          column_at(st, &c, 2).i == 7 && c.n == 3);
  }
  CHECK(norn_array_length(column_array(st, &c)) == 3);
  column_free(st, &c);
}

static void test_blame(norn_state *st)
{
  blame b = { .n = 0 };
  uint64_t n;
  norn_span a = { 1, 2, 3 }, z = { 1, 5, 6 };
  CHECK(blame_most(&b, &n).file == 0 && n == 0);
  for (int i = 0; i < 10; i++) blame_add(st, &b, i < 3 ? a : z);
  CHECK(blame_most(&b, &n).start == 5 && n == 7);
  blame_free(st, &b);
}

/* ---- posteriors ---- */

static norn_datum record_of(norn_state *st, const char *name, norn_datum v)
{
  return norn_record(st, 1, &name, &v);
}

static void test_posterior(norn_state *st)
{
  norn_datum v[4] = { norn_int(3), norn_int(1), norn_int(3), norn_int(2) }, x;
  double lw[4] = { log(1.0), log(2.0), log(3.0), log(4.0) }, lp;
  norn_datum info = record_of(st, "exact", norn_bool(true)), values = norn_array_pack(st, v, 4);
  norn_datum p =
    posterior_new(st, values, lw, info, norn_unit(), norn_unit(), norn_unit(), 0, true);
  norn_dist d;
  norn_posterior view;
  CHECK(norn_dist_view(p, &d) && norn_posterior_view(st, p, &view));
  /* merged, in order */
  CHECK(view.n == 3 && norn_elem_real(view.values, 0) == 1 && norn_elem_real(view.values, 2) == 3);
  CHECK_NEAR(norn_elem_real(view.weights, 2), .4, 1e-15);
  CHECK(!norn_dist_logp(st, &d, norn_int(3), &lp));
  CHECK_NEAR(lp, log(.4), 1e-15);
  CHECK(!norn_dist_logp(st, &d, norn_int(7), &lp) && lp == -HUGE_VAL);
  CHECK(!norn_dist_enumerate(st, &d, 1, &x) && x.i == 2);
  CHECK(!norn_dist_enumerate(st, &d, 3, &x) && norn_is_none(x));
  int count[4] = { 0 };
  for (uint32_t i = 0; i < 10000; i++) {
    norn_rng g = { .stream = 3, .lane = i };
    CHECK(!norn_dist_sample(st, &d, &g, &x));
    count[x.i]++;
  }
  CHECK_NEAR(count[1] / 1e4, .2, .02);
  CHECK_NEAR(count[3] / 1e4, .4, .025);

  /* The same draws as Monte Carlo keep their places; reals that do not repeat have no density. */
  norn_datum inexact = record_of(st, "exact", norn_bool(false));
  p = posterior_new(st, values, lw, inexact, norn_unit(), norn_unit(), norn_unit(), 0, false);
  CHECK(norn_posterior_view(st, p, &view) && view.n == 4 && norn_dist_view(p, &d));
  CHECK(!norn_dist_logp(st, &d, norn_int(3), &lp));
  CHECK_NEAR(lp, log(.4), 1e-15);
  norn_rng g = { .stream = 5 };
  norn_datum drawn = posterior_resampled(st, p, 10, &g);
  int threes = 0;
  for (int i = 0; i < 10; i++) threes += norn_elem_real(drawn, i) == 3;
  CHECK(threes == 4);                                            /* systematic: exact for tenths */
  norn_datum r[3] = { norn_real(.5), norn_real(1.5), norn_real(2.5) };
  p = posterior_new(st, norn_array_pack(st, r, 3), lw, inexact, norn_unit(), norn_unit(),
                    norn_unit(), 0, false);
  CHECK(norn_dist_view(p, &d) && norn_dist_logp(st, &d, norn_real(.5), &lp) == NORN_EINFER);
  norn_clear(st);
  norn_datum mean, variance;
  CHECK(!d.row->moments(st, &d, &mean, &variance));
  CHECK_NEAR(mean.d, (.5 + 3 + 7.5) / 6, 1e-15);

  /* Parts: fields, elements, and what is not there. */
  norn_datum rec[2] = { record_of(st, "a", norn_array_pack(st, r, 2)),
                        record_of(st, "a", norn_array_pack(st, r + 1, 2)) };
  p = posterior_new(st, norn_array_pack(st, rec, 2), NULL, inexact, norn_unit(), norn_unit(),
                    norn_unit(), 0, false);
  norn_datum a;
  CHECK(!norn_posterior_column(st, p, "a[1]", &a));
  CHECK(norn_elem_real(a, 0) == 1.5 && norn_elem_real(a, 1) == 2.5);
  CHECK(norn_posterior_column(st, p, "a[2]", &a) == NORN_EINFER);
  CHECK(norn_posterior_column(st, p, "b", &a) == NORN_EINFER);
  norn_clear(st);
}

/* ---- from C ---- */

static const char program[] =
  "model coin(ys) { let p ~ beta(2, 2); for y in ys { observe y ~ bernoulli(p) }; { p: p, twice: "
  "[p, 2 * p] } }\n"
  "model two() { let a ~ bernoulli(0.5); let b ~ bernoulli(0.5); condition(a or b); a }\n"
  "model inside() { let a ~ bernoulli(prob(infer(two(), enumerate()), x -> x)); observe a ~ "
  "infer(two(), enumerate()); a }\n"
  "model walk(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1); observe y ~ normal(x2, 1); "
  "next x2 } }\n"
  "[[coin([true, false, true]), forward(20)], [coin([true]), rejection(20)], [coin([true]), "
  "importance(20)],\n"
  " [two(), enumerate()], [coin([true]), mh(draws = 20, burn = 5, chains = 2)], [walk([1.0, 2]), "
  "smc(particles = 20)],\n"
  " [walk([1.0, 2]), smc(particles = 20, keep = \"choices\", threshold = 1)], [inside(), "
  "enumerate()], [inside(), mh(draws = 10, burn = 1)],\n"
  " [inside(), smc(particles = 10)], [inside(), importance(10)], [two(), ()], [walk([1.0]), ()]]";

static norn_ref *jobs_of(norn_state *st)
{
  norn_datum jobs;
  if (norn_eval(st, "jobs", program, sizeof program - 1, 0, &jobs)) {
    char buf[600];
    norn_error_text(st, norn_error(st), buf, sizeof buf);
    CHECK_STR(buf, "");
    return NULL;
  }
  return norn_keep(st, jobs);
}

static norn_infer *job_start(norn_state *st, const norn_ref *jobs, int64_t i)
{
  norn_datum job = norn_array_at(st, norn_get(jobs), i);
  return norn_infer_new(st, norn_array_at(st, job, 0), norn_array_at(st, job, 1));
}

/* Every engine runs to its end, and may be dropped after any step before. */
static void test_steps(norn_state *st)
{
  norn_ref *jobs = jobs_of(st);
  if (!jobs) return;
  int64_t n = norn_array_length(norn_get(jobs));
  for (int64_t i = 0; i < n; i++)
    for (int stop = 1;; stop++) {
      norn_infer *inf = job_start(st, jobs, i);
      norn_step s = NORN_STEP_MORE;
      norn_progress at;
      CHECK(inf);
      if (!inf) break;
      for (int k = 0; k < stop && s == NORN_STEP_MORE; k++) s = norn_infer_step(inf);
      norn_infer_progress(inf, &at);
      CHECK(s == NORN_STEP_MORE || s == NORN_STEP_DONE);
      bool done = s != NORN_STEP_MORE;
      if (done) {
        norn_posterior p;
        norn_datum shown, post = norn_infer_result(inf);
        norn_dist d;
        CHECK(norn_posterior_view(st, post, &p) && p.n > 0);
        CHECK(norn_dist_view(post, &d) && !d.row->show(st, &d, &shown));
      }
      norn_infer_free(inf);
      if (done) break;
    }
  norn_drop(jobs);
}

/* Choices of lineages that died out are reclaimed: 200 particles of 4000 steps with two choices each
   stay below 2 MB on the way (38 MB without). */
static void test_history(void)
{
  static const char walks[] =
    "model walk(n) { for t in 0..n with x = 0.0 {\n"
    "  let x2 ~ normal(0.9 * x, 1)\n"
    "  let v ~ bernoulli(0.5)\n"
    "  observe sin(t) ~ normal(if v { x2 } else { 0 }, 1)\n"
    "  next x2 } }\n"
    "[walk(4000), smc(particles = 200, keep = \"choices\", threshold = 1.0, delayed = false)]";
  norn_state *st = norn_new(NULL);
  norn_datum job = norn_none();
  CHECK(st && !norn_eval(st, "history", walks, sizeof walks - 1, 0, &job));
  size_t least = norn_memory_used(st), most = 0;
  norn_infer *inf = norn_infer_new(st, norn_array_at(st, job, 0), norn_array_at(st, job, 1));
  norn_step step = NORN_STEP_MORE;
  while (inf && step == NORN_STEP_MORE) {
    step = norn_infer_step(inf);
    if (norn_memory_used(st) > most) most = norn_memory_used(st);
  }
  CHECK(inf && step == NORN_STEP_DONE);
  CHECK(most - least < 2000000);
  if (most - least >= 2000000) fprintf(stderr, "%zu bytes on the way\n", most - least);
  if (inf) norn_infer_free(inf);
  norn_free(st);
}

static bool never_again(void *user, const char *engine, const norn_progress *p)
{
  (void)engine;
  (void)p;
  ++*(int *)user;
  return false;
}

static void test_stopping(norn_state *st)
{
  norn_ref *jobs = jobs_of(st);
  if (!jobs) return;
  int calls = 0;
  norn_datum post, job = norn_array_at(st, norn_get(jobs), 5), option = norn_int(200000);
  norn_datum engine = norn_engine_new(st, &engine_importance, &option, 1);
  norn_on_progress(st, never_again, &calls);
  CHECK(norn_infer_all(st, norn_array_at(st, job, 0), engine, &post) == NORN_EINTERRUPT);
  CHECK(calls == 1);
  norn_on_progress(st, NULL, NULL);
  norn_clear(st);
  job = norn_array_at(st, norn_get(jobs), 3);
  /* usable afterwards */
  CHECK(!norn_infer_all(st, norn_array_at(st, job, 0), norn_array_at(st, job, 1), &post));
  CHECK(norn_infer_new(st, norn_int(3), norn_unit()) == NULL && norn_error(st)->code == NORN_ETYPE);
  norn_clear(st);
  norn_drop(jobs);
}

/* ---- costs grow linearly ---- */

static double smc_seconds(norn_state *st, const norn_ref *jobs, int64_t particles)
{
  norn_datum post, job = norn_array_at(st, norn_get(jobs), 5), options[3];
  options[0] = norn_int(particles);
  options[1] = norn_cstring(st, "systematic");
  options[2] = norn_real(1);
  norn_datum engine = norn_engine_new(st, &engine_smc, options, 3);
  clock_t start = clock();
  CHECK(!norn_infer_all(st, norn_array_at(st, job, 0), engine, &post));
  return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* 32 times the particles: quadratic costs would take 1,024 times as long. */
static void test_linear(norn_state *st)
{
  norn_ref *jobs = jobs_of(st);
  if (!jobs) return;
  double few = HUGE_VAL, many;
  for (int i = 0; i < 5; i++) few = fmin(few, smc_seconds(st, jobs, 4000));
  many = smc_seconds(st, jobs, 128000);
  CHECK(many < 32 * 6 * few + .05);
  norn_drop(jobs);
}

/* ---- the n-th allocation fails ---- */

/* Runs all jobs with one failing allocation; returns how many allocations there were. */
static long starve(long fail_at)
{
  host h = { 0, 0, 0 };
  norn_config cfg = norn_config_default();
  cfg.alloc = host_alloc;
  cfg.alloc_user = &h;
  norn_state *st = norn_new(&cfg);
  norn_ref *jobs = st ? jobs_of(st) : NULL;
  long before = h.requests;
  if (jobs) {
    h.fail_at = fail_at ? before + fail_at : 0;
    for (int64_t i = 0; i < norn_array_length(norn_get(jobs)); i++) {
      norn_datum post, job = norn_array_at(st, norn_get(jobs), i);
      norn_status s =
        norn_infer_all(st, norn_array_at(st, job, 0), norn_array_at(st, job, 1), &post);
      CHECK(s == NORN_OK || s == NORN_EMEMORY);
      norn_clear(st);
    }
    norn_drop(jobs);
  }
  norn_free(st);
  CHECK(h.blocks == 0);
  if (h.blocks) fprintf(stderr, "fail_at %ld: %ld blocks left\n", fail_at, h.blocks);
  return h.requests - before;
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  CHECK(st);
  if (!st) return unit_end();
  test_weights();
  for (int k = 0; k < RESAMPLE_COUNT; k++)
    for (size_t m = 3; m <= 11; m += 4) test_resample((resample_kind)k, m);
  test_chains(st, 0, 0, 15000, 25000, 1.01);
  test_chains(st, .9, 0, 800, 1350, 1.01);
  test_chains(st, 0, .5, 10, 100, 2);
  test_golden(st);
  test_columns(st);
  test_blame(st);
  test_posterior(st);
  test_steps(st);
  test_stopping(st);
  test_history();
  test_linear(st);
  norn_free(st);
  long n = starve(0);
  for (long k = 1; k <= n; k += 1 + k / 60) starve(k);
  return unit_end();
}
