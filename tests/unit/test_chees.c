/* test_chees: many chains at once (graph/chains.h, chains_cpu.c) beside a slow and obvious version that
   moves one chain after the other; that a transition leaves its target as it is; what warm-up learns, where
   that is known exactly; nested R-hat beside its formulas. */
#include "infer/gradient/chees.h"
#include "num/rng.h"
#include "num/special.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

enum { N = 4, CHAINS = 37, STEPS = 7 };
static norn_state *st;

/* ---- densities ------------------------------------------------------------------------------- */

static const double sd[N] = {1, 0.3, 2, 0.9};

/* A bent normal: x[1] has its mean on a parabola of x[0]; x[3] follows x[2]. */
static double bent(void *user, const double *x, double *g)
{
  (void)user;
  double r[N] = {x[0], x[1] - 0.5 * x[0] * x[0], x[2], x[3] - 0.8 * x[2]}, logp = 0;
  for (int i = 0; i < N; i++) logp -= 0.5 * r[i] * r[i] / (sd[i] * sd[i]);
  if (!g) return logp;
  for (int i = 0; i < N; i++) g[i] = -r[i] / (sd[i] * sd[i]);
  g[0] -= g[1] * x[0];
  g[2] -= g[3] * 0.8;
  return logp;
}

static void bent_draw(norn_rng *r, double *x)
{
  x[0] = rng_normal(r);
  x[1] = 0.5 * x[0] * x[0] + sd[1] * rng_normal(r);
  x[2] = sd[2] * rng_normal(r);
  x[3] = 0.8 * x[2] + sd[3] * rng_normal(r);
}

/* Above 0 only: paths that leave are divergences. */
static double half(void *user, const double *x, double *g)
{
  double logp = bent(user, x, g);
  return x[0] > 0 ? logp : -HUGE_VAL;
}

/* ---- the obvious version --------------------------------------------------------------------- */

typedef struct slow_chain {
  double q[N], g[N], q1[N], g1[N], w[N], logp, logp1, a, energy, energy1;
  bool bad, moved;
} slow_chain;

static void slow_path(double (*f)(void *, const double *, double *), slow_chain *c, int chain,
                      const double *scale, uint64_t stream, const chains_ask *ask)
{
  norn_rng r = {.stream = stream, .lane = (uint32_t)chain, .iter = ask->iter};
  double p[N];
  c->energy = -c->logp;
  for (int i = 0; i < N; i++) {
    p[i] = rng_normal(&r) / scale[i];
    c->energy += 0.5 * p[i] * p[i] * scale[i] * scale[i];
  }
  memcpy(c->q1, c->q, sizeof c->q);
  memcpy(c->g1, c->g, sizeof c->g);
  c->bad = false;
  for (int64_t k = 0; k < ask->steps && !c->bad; k++) {
    for (int i = 0; i < N; i++) p[i] += 0.5 * ask->step * c->g1[i];
    for (int i = 0; i < N; i++) c->q1[i] += ask->step * scale[i] * scale[i] * p[i];
    c->logp1 = f(NULL, c->q1, c->g1);
    c->bad = !(fabs(c->logp1) < HUGE_VAL);
    for (int i = 0; i < N; i++) p[i] += 0.5 * ask->step * c->g1[i];
  }
  c->energy1 = -c->logp1;
  for (int i = 0; i < N; i++) c->w[i] = scale[i] * p[i];
  for (int i = 0; i < N; i++) c->energy1 += 0.5 * c->w[i] * c->w[i];
  c->bad |= !(c->energy1 - c->energy <= 1000);
  c->a = c->bad ? 0 : fmin(1, exp(c->energy - c->energy1));
  c->moved = rng_uniform(&r) < c->a;
}

static chains_told slow_told(const slow_chain *c, const double *scale)
{
  chains_told t = {0};
  double m[N] = {0}, m1[N] = {0}, inverse = 0, all = 0, square = 0, slope = 0, counted = 0;
  for (int k = 0; k < CHAINS; k++) {
    t.accept += c[k].a / CHAINS;
    inverse += 1 / fmax(c[k].a, 0.05);
    t.moved += c[k].moved;
    t.diverged += c[k].bad;
    counted += !c[k].bad;
    for (int i = 0; i < N && !c[k].bad; i++) m[i] += c[k].q[i], m1[i] += c[k].q1[i];
  }
  for (int k = 0; k < CHAINS; k++) {
    double before = 0, after = 0, along = 0;
    for (int i = 0; i < N && !c[k].bad; i++) {
      double x = (c[k].q[i] - m[i] / counted) / scale[i], y = (c[k].q1[i] - m1[i] / counted) / scale[i];
      before += x * x;
      after += y * y;
      along += y * c[k].w[i];
    }
    if (c[k].bad) continue;
    all += c[k].a;
    slope += c[k].a * (after - before) * along;
    square += 0.25 * c[k].a * (after - before) * (after - before);
  }
  t.harmonic = CHAINS / inverse;
  t.slope = slope / all;
  t.criterion = square / all;
  return t;
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-10 * (1 + fabs(a)); }

/* Ten transitions of both, on so many threads. */
static void test_slow(double (*f)(void *, const double *, double *), double step, int threads)
{
  static slow_chain c[CHAINS];
  static double q[CHAINS * N], now[CHAINS * N], stat[CHAINS * CHAINS_STATS], scale[N] = {0.8, 0.5, 1.7, 1};
  bool good[CHAINS];
  norn_density *d = norn_density_of(st, N, f, NULL);
  chains_run run;
  CHECK(d && chains_cpu_new(st, d, CHAINS, threads, 0, 77, &run));
  int64_t diverged = 0;
  for (int k = 0; k < CHAINS; k++) {
    norn_rng r = {.stream = 5, .lane = (uint32_t)k};
    bent_draw(&r, c[k].q);
    if (f == half) c[k].q[0] = fabs(c[k].q[0]);
    memcpy(q + k * N, c[k].q, sizeof c[k].q);
    c[k].logp = f(NULL, c[k].q, c[k].g);
  }
  CHECK(!run.ops->put(run.self, q, good) && !run.ops->metric(run.self, scale));
  for (int t = 0; t < 10; t++) {
    chains_ask ask = {.iter = (uint32_t)t + 1, .steps = STEPS - t % 3, .step = step, .learn = true, .least = 0.05};
    chains_told told, want, trial;
    chains_ask try = ask;
    try.trial = true;
    for (int k = 0; k < CHAINS; k++) slow_path(f, &c[k], k, scale, 77, &ask);
    want = slow_told(c, scale);
    CHECK(!run.ops->transition(run.self, &try, &trial) && trial.moved == 0);
    CHECK(!run.ops->transition(run.self, &ask, &told));
    CHECK(near(told.accept, want.accept) && near(told.harmonic, want.harmonic));
    CHECK(near(trial.accept, want.accept));
    CHECK(near(told.slope, want.slope) && near(told.criterion, want.criterion));
    CHECK( told.moved == want.moved && told.diverged == want.diverged);
    CHECK(!run.ops->read(run.self, now, stat));
    diverged += told.diverged;
    for (int k = 0; k < CHAINS; k++) {
      const double *s = stat + k * CHAINS_STATS;
      if (c[k].moved) {
        memcpy(c[k].q, c[k].q1, sizeof c[k].q);
        memcpy(c[k].g, c[k].g1, sizeof c[k].g);
        c[k].logp = c[k].logp1;
      }
      for (int i = 0; i < N; i++) CHECK(near(now[k * N + i], c[k].q[i]));
      CHECK(near(s[CHAINS_LP], c[k].logp) && near(s[CHAINS_ACCEPT], c[k].a) && s[CHAINS_DIVERGED] == c[k].bad);
      CHECK(near(s[CHAINS_ENERGY], c[k].moved ? c[k].energy1 : c[k].energy));
    }
  }
  CHECK(f != half || diverged > 0);
  run.ops->free(run.self);
  norn_density_free(d);
}

/* ---- invariance ------------------------------------------------------------------------------ */

enum { MANY = 40000 };

/* Chains that begin in the target are in it after three transitions with large, fixed steps: moments of the
   bent normal, within 4 standard errors. */
static void test_invariant(void)
{
  double *q = malloc(MANY * N * sizeof *q), scale[N] = {0.8, 0.5, 1.7, 1};
  bool *good = malloc(MANY);
  norn_density *d = norn_density_of(st, N, bent, NULL);
  chains_run run;
  CHECK(q && good && d && chains_cpu_new(st, d, MANY, 2, 0, 78, &run));
  for (int k = 0; k < MANY; k++) {
    norn_rng r = {.stream = 6, .lane = (uint32_t)k};
    bent_draw(&r, q + k * N);
  }
  run.ops->put(run.self, q, good);
  run.ops->metric(run.self, scale);
  double accept = 0;
  for (int t = 0; t < 3; t++) {
    chains_ask ask = {.iter = (uint32_t)t + 1, .steps = 4, .step = 0.5};
    chains_told told;
    CHECK(!run.ops->transition(run.self, &ask, &told));
    accept += told.accept / 3;
  }
  CHECK(accept > 0.2 && accept < 0.9);           /* much is refused: a wrong refusal would show */
  run.ops->read(run.self, q, NULL);
  double s[6] = {0}, want[6] = {0, 1, 0.5, 0.09 + 0.5, 4, 3.2}, v[6] = {1, 2, 0.59, 0, 32, 0};
  for (int k = 0; k < MANY; k++) {
    const double *x = q + k * N, y = x[1] - 0.5;
    double part[6] = {x[0], x[0] * x[0], x[1], y * y, x[2] * x[2], x[2] * x[3]};
    for (int i = 0; i < 6; i++) s[i] += part[i] / MANY;
  }
  v[3] = 15 * 0.25 + 2 * 0.59 * 0.59;            /* bounds of the fourth moments */
  v[5] = 2 * 4 * (0.81 + 0.64 * 4) + 3.2 * 3.2;
  for (int i = 0; i < 6; i++) CHECK(fabs(s[i] - want[i]) < 4 * sqrt(v[i] / MANY));
  run.ops->free(run.self);
  norn_density_free(d);
  free(q);
  free(good);
}

/* ---- what is learnt -------------------------------------------------------------------------- */

static double number(const char *code)
{
  norn_datum v;
  double x = NAN;
  norn_status s = norn_eval(st, "t", code, strlen(code), NORN_LOAD_REPL, &v);
  CHECK(s == NORN_OK);
  if (s) fprintf(stderr, "%s\n", norn_error(st)->text);
  else norn_as_real(v, &x);
  return x;
}

/* Of a standard normal x' = x cos t + w sin t, so that the criterion goes as sin^2 t; over t uniform on
   (0, T) it is 1/2 - sin(2 T) / (4 T), which over sqrt(T) has its maximum at T = 1.9283.  Of normals with
   other scales too, in units of the metric. */
static void test_length(void)
{
  double t = number("model m() { let x ~ iid(normal(0, 1), 10); x }\n"
                    "let e = chees(draws = 5, warmup = 1000, chains = 256, step_size = 0.1)\n"
                    "info(infer(m(), e)).trajectory_length");
  CHECK(fabs(t - 1.9283) < 0.2);
  if (!(fabs(t - 1.9283) < 0.2)) fprintf(stderr, "length %g\n", t);
  t = number("model m() { let x ~ iid(normal(0, 1), 10); for i in 0..10 { let y ~ normal(0, 100) }; x }\n"
             "info(infer(m(), e)).trajectory_length");
  CHECK(fabs(t - 1.9283) < 0.2);
  double v = number("model m() { let x ~ iid(normal(3, 50), 4); let y ~ normal(0, 0.1); y }\n"
                    "let i = info(infer(m(), chees(draws = 5, warmup = 200, chains = 128)))\n"
                    "max(abs(i.inverse_metric / [2500, 2500, 2500, 2500, 0.01] - 1))");
  CHECK(v < 1e-6);                               /* exact for normals, whatever the chains are */
}

static void test_halton(void)
{
  static const double want[] = {0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0625};
  for (int i = 0; i < 8; i++) CHECK(shared_halton((uint64_t)i + 1) == want[i]);
}

/* ---- nested R-hat ---------------------------------------------------------------------------- */

/* Chains of independent draws with a shift of each group, and one of each chain. */
static void fill(double *x, int groups, int each, int n, double group_sd, double chain_sd, uint32_t seed)
{
  norn_rng r = {.stream = 9, .lane = seed};
  for (int k = 0; k < groups; k++) {
    double a = group_sd * rng_normal(&r);
    for (int c = 0; c < each; c++) {
      double b = chain_sd * rng_normal(&r);
      for (int i = 0; i < n; i++) x[(k * each + c) * n + i] = a + b + rng_normal(&r);
    }
  }
}

/* In equilibrium the limit is hardly ever passed, though R-hat of so short chains always is; groups that
   have not forgotten are found.  Large n: sqrt(1 + v / (1 + u)) of variances v of groups, u of chains. */
static void test_nested(void)
{
  static double x[64 * 2000];
  double rhat, limit;
  int over = 0, found = 0;
  for (uint32_t i = 0; i < 400; i++) {
    fill(x, 16, 4, 3, 0, 0.5, i);
    CHECK(diagnose_nested(st, x, 64, 16, 3, &rhat, &limit));
    over += rhat > limit;
    fill(x, 16, 4, 3, 1, 0.5, i + 1000);
    diagnose_nested(st, x, 64, 16, 3, &rhat, &limit);
    found += rhat > limit;
  }
  CHECK(over <= 1 && found >= 380);
  if (over > 1 || found < 380) fprintf(stderr, "over %d found %d of 400\n", over, found);
  double sum = 0;
  for (uint32_t i = 0; i < 200; i++) {
    fill(x, 16, 4, 2000 / 4, 0.3, 0, i);
    diagnose_nested(st, x, 64, 16, 500, &rhat, &limit);
    sum += (rhat * rhat - 1) / 200;
  }
  CHECK(fabs(sum - 0.09) < 4 * 0.09 * sqrt(2.0 / 15 / 200) + 0.002);
  for (int i = 0; i < 64; i++) x[i] = 1;
  CHECK(diagnose_nested(st, x, 64, 16, 1, &rhat, &limit) && isnan(rhat));
}

/* R-hat, plainly: of ranks counted one by one, of x (m, n) with m chains halved already. */
static double plain_rhat(const double *x, int m, int n)
{
  double z[400], grand = 0, b = 0, w = 0, mean[400];
  int all = m * n;
  for (int i = 0; i < all; i++) {
    double below = 0, same = 0;
    for (int k = 0; k < all; k++) { below += x[k] < x[i]; same += x[k] == x[i]; }
    z[i] = special_norm_quantile((below + 0.5 * (same + 1) - 0.375) / (all + 0.25));
  }
  for (int c = 0; c < m; c++) {
    double q = 0;
    mean[c] = 0;
    for (int i = 0; i < n; i++) mean[c] += z[c * n + i] / n;
    for (int i = 0; i < n; i++) q += (z[c * n + i] - mean[c]) * (z[c * n + i] - mean[c]);
    w += q / (n - 1) / m;
    grand += mean[c] / m;
  }
  for (int c = 0; c < m; c++) b += (mean[c] - grand) * (mean[c] - grand) / (m - 1);
  return sqrt((w * (n - 1) / n + b) / w);
}

/* Draws ranked once give what they give one by one, with ties (rounded draws), with few on one side of the
   median, and where a draw of each chain is left out. */
static void test_ranked_once(void)
{
  static double x[360], folded[360];
  int far = 0;
  for (int times = 0; times < 40; times++) {
    int n = 8 + times % 2, m = 40, all = m * 8;
    double ess, rhat, nested, limit;
    fill(x, 8, 5, n, times % 5 * 0.4, 0.5, (uint32_t)times);
    if (times % 3 == 0) for (int i = 0; i < m * n; i++) x[i] = rint(4 * x[i]) / 4;
    if (times % 4 == 1) for (int i = 0; i < m * n; i++) x[i] = exp(2 * x[i]);
    if (times % 4 == 2)                                  /* of other scales: distances tell chains apart */
      for (int i = 0; i < m * n; i++) x[i] *= i / n % 5 ? 1 : 9;
    diagnose_room *room = diagnose_room_new(st, m, n);
    diagnosed v;
    diagnose_draws(room, folded, 8, &v);                 /* a room is used again */
    diagnose_draws(room, x, 8, &v);
    CHECK(diagnose_chains(st, x, m, n, &ess, &rhat) && diagnose_nested(st, x, m, 8, n, &nested, &limit));
    CHECK(v.ess == ess && v.rhat == rhat && v.nested == nested && v.limit == limit);
    diagnose_room_free(room);
    if (n > 8) continue;
    double most[360];
    memcpy(most, x, sizeof most);
    for (int i = 0; i < all; i++)                        /* sorted, for the median */
      for (int k = i; k > 0 && most[k] < most[k - 1]; k--) {
        double y = most[k];
        most[k] = most[k - 1];
        most[k - 1] = y;
      }
    double median = 0.5 * (most[all / 2 - 1] + most[all / 2]);
    for (int i = 0; i < all; i++) folded[i] = fabs(x[i] - median);
    double straight = plain_rhat(x, 2 * m, 4), distances = plain_rhat(folded, 2 * m, 4);
    CHECK(fabs(rhat - fmax(straight, distances)) < 1e-12);
    far += distances > straight;
  }
  CHECK(far > 5);
}

int main(void)
{
  st = norn_new(NULL);
  CHECK(st);
  test_slow(bent, 0.25, 1);
  test_slow(bent, 0.6, 3);
  test_slow(half, 0.5, 2);
  test_invariant();
  test_halton();
  test_length();
  test_nested();
  test_ranked_once();
  norn_free(st);
  return unit_end();
}
