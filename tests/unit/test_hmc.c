/* test_hmc.c: the parts that nuts and hmc are made of: metrics, their fit, the windows of warm-up,
   leapfrog steps; and that draws depend neither on the number of threads nor on how a run is cut
   in pieces. */
#include "infer/gradient/hmc.h"
#include "infer/infer.h"
#include "num/la.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>

static norn_state *st;

enum { N = 4 };

/* ---- metrics ---- */

/* M^-1 as velocities of unit vectors. */
static void inverse_of(const metric *m, double *w)
{
  for (int64_t j = 0; j < m->n; j++) {
    double p[64] = {0}, v[64];
    p[j] = 1;
    metric_velocity(m, p, v);
    for (int64_t i = 0; i < m->n; i++) w[i * m->n + j] = v[i];
  }
}

/* Momenta have covariance M: that of W p is W. */
static void test_momentum(const metric *m)
{
  enum { DRAWS = 40000 };
  int64_t n = m->n;
  double w[N * N], sum[N * N] = {0}, p[N], v[N];
  inverse_of(m, w);
  for (uint32_t k = 0; k < DRAWS; k++) {
    norn_rng g = {.stream = 11, .iter = k};
    metric_momentum(m, &g, p);
    metric_velocity(m, p, v);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < n; j++) sum[i * n + j] += v[i] * v[j] / DRAWS;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      /* sd of a product of normals with covariance W: sqrt(w_ii w_jj + w_ij^2) */
      double se = sqrt((w[i * n + i] * w[j * n + j] + w[i * n + j] * w[i * n + j]) / DRAWS);
      CHECK_NEAR(w[i * n + j], w[j * n + i], 1e-12);
      CHECK_NEAR(sum[i * n + j], w[i * n + j], 5 * se);
    }
}

static const double sigma[N * N] = {4, 1.2, 0,    -0.3, 1.2,  1, 0.2, 0,
                                    0, 0.2, 0.25, 0.1,  -0.3, 0, 0.1, 9};

static void test_metrics(void)
{
  metric m;
  double w[N * N], scale[N] = {4, 0.25, 1, 9};
  CHECK(metric_new(st, &m, METRIC_DIAG, N, 0));
  inverse_of(&m, w);
  for (int i = 0; i < N * N; i++) CHECK_NEAR(w[i], i % (N + 1) == 0, 0);
  metric_diagonal(&m, scale);
  test_momentum(&m);
  metric_free(st, &m);

  CHECK(metric_new(st, &m, METRIC_DENSE, N, 0));
  memcpy(m.full, sigma, sizeof sigma);
  CHECK(metric_factor(&m));
  test_momentum(&m);
  norn_datum kept = metric_value(st, &m);
  metric_unit(&m);
  CHECK(metric_take(st, &m, kept));
  inverse_of(&m, w);
  for (int i = 0; i < N * N; i++) CHECK_NEAR(w[i], sigma[i], 1e-14);
  CHECK(!metric_take(st, &m, norn_array_f64(st, w, N)));
  metric_free(st, &m);

  /* D (I + u (L - I) u') D by hand */
  CHECK(metric_new(st, &m, METRIC_LOW_RANK, N, 2));
  metric_diagonal(&m, scale);
  const double u[2 * N] = {0.5, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, -0.5}, l[2] = {16, 0.1};
  memcpy(m.u, u, sizeof u);
  memcpy(m.value, l, sizeof l);
  m.rank = 2;
  inverse_of(&m, w);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      double x = i == j;
      for (int k = 0; k < 2; k++) x += u[k * N + i] * (l[k] - 1) * u[k * N + j];
      CHECK_NEAR(w[i * N + j], sqrt(scale[i] * scale[j]) * x, 1e-14);
    }
  test_momentum(&m);
  kept = metric_value(st, &m);
  metric_unit(&m);
  double again[N * N];
  CHECK(metric_take(st, &m, kept));
  inverse_of(&m, again);
  for (int i = 0; i < N * N; i++) CHECK_NEAR(again[i], w[i], 1e-13);
  metric_free(st, &m);
}

/* ---- the fit ---- */

/* Draws of a normal with covariance s (n, n), and gradients -s^-1 x. */
static void normal_rows(const double *s, int64_t n, int64_t rows, double *q, double *g)
{
  double l[400];
  memcpy(l, s, (size_t)(n * n) * sizeof *l);
  CHECK(la_cholesky(l, n) == 0);
  for (int64_t r = 0; r < rows; r++) {
    norn_rng z = {.stream = 5, .iter = (uint32_t)r};
    double *x = q + r * n, *y = g + r * n, e[20];
    for (int64_t i = 0; i < n; i++) e[i] = y[i] = rng_normal(&z);
    for (int64_t i = 0; i < n; i++) {
      x[i] = 3 * (double)i;              /* a mean */
      for (int64_t j = 0; j <= i; j++) x[i] += l[i * n + j] * e[j];
    }
    la_solve_lower(true, l, n, y, 1);
    for (int64_t i = 0; i < n; i++) y[i] = -y[i];
  }
}

/* From more draws of a normal than coordinates, its covariance, exactly (up to gamma). */
static void test_fit_exact(void)
{
  enum { ROWS = 12 };
  double q[ROWS * N], g[ROWS * N], w[N * N];
  fit *f = fit_new(st, N, ROWS);
  metric m;
  normal_rows(sigma, N, ROWS, q, g);
  CHECK(metric_new(st, &m, METRIC_DENSE, N, 0) && fit_metric(f, &m, q, g, ROWS));
  inverse_of(&m, w);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++)
      CHECK_NEAR(w[i * N + j], sigma[i * N + j], 1e-4 * sqrt(sigma[i * N + i] * sigma[j * N + j]));
  metric_free(st, &m);
  fit_free(st, f);
}

/* 20 coordinates that share one: two rows in five span less than all; directions with eigenvalues
   between 1/2 and 2 are left out, the strong one is found. */
static void test_fit_low_rank(void)
{
  enum { D = 20, ROWS = 8 };
  double s[D * D], q[ROWS * D], g[ROWS * D], a[D] = {0}, v[D];
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++) s[i * D + j] = (i == j) + 20.0;
  normal_rows(s, D, ROWS, q, g);
  fit *f = fit_new(st, D, ROWS);
  metric m;
  CHECK(metric_new(st, &m, METRIC_LOW_RANK, D, D) && fit_metric(f, &m, q, g, ROWS));
  CHECK(m.rank >= 1 && m.rank < 2 * ROWS);
  /* along the shared direction the variance is 1 + 20 * 20 */
  for (int i = 0; i < D; i++) a[i] = 1 / sqrt(D);
  metric_velocity(&m, a, v);
  double along = la_dot(a, v, D);
  CHECK(along > 100 && along < 1000);
  for (int64_t k = 0; k < m.rank; k++) {
    CHECK(m.value[k] > 2 || m.value[k] < 0.5);
    for (int64_t j = 0; j < m.rank; j++)
      CHECK_NEAR(la_dot(m.u + k * D, m.u + j * D, D), k == j, 1e-8);
  }
  metric_free(st, &m);
  fit_free(st, f);
}

/* ---- warm-up ---- */

static double normal_density(void *user, const double *u, double *gradient)
{
  (void)user;
  double s = 0;
  for (int i = 0; i < N; i++) {
    s -= 0.5 * u[i] * u[i];
    if (gradient) gradient[i] = -u[i];
  }
  return s;
}

/* The transitions, from 0, at which Stan's metric is set, by the written rule. */
static void test_windows(int64_t warmup, const int64_t *ends, int n)
{
  adapt a;
  hmc h = {.n = N, .step = 1};
  phase z = {.logp = 0};
  transition t = {.accept = 0.8, .index = 1};
  int at = 0;
  CHECK(phase_new(st, &z, N) && metric_new(st, &h.m, METRIC_DIAG, N, 0));
  CHECK(adapt_new(st, &a, ADAPT_STAN, METRIC_DIAG, N, warmup, 0.8, 0));
  adapt_start(&a, &h, &z);
  adapt_restart(&a, &h);
  for (int64_t i = 0; i < warmup; i++) {
    for (int k = 0; k < N; k++) z.q[k] = (double)(i % (k + 2));
    if (!adapt_update(&a, &h, &z, &t)) continue;
    CHECK(at < n && ends[at] == i);
    at++;
  }
  CHECK(at == n);
  adapt_free(st, &a);
  metric_free(st, &h.m);
  phase_free(st, &z, N);
}

/* At the end of a window: n/(n+5) var + 1e-3 5/(n+5) of its draws alone; a dense one likewise. */
static void test_shrinkage(metric_kind kind)
{
  adapt a;
  hmc h = {.n = N, .step = 1};
  phase z = {.logp = 0};
  transition t = {.accept = 0.8, .index = 1};
  double rows[100][N], w[N * N], mean[N] = {0};
  CHECK(phase_new(st, &z, N) && metric_new(st, &h.m, kind, N, 0));
  CHECK(adapt_new(st, &a, ADAPT_STAN, kind, N, 1000, 0.8, 0));
  adapt_start(&a, &h, &z);
  adapt_restart(&a, &h);
  for (int i = 0; i < 100; i++) {
    norn_rng g = {.stream = 3, .iter = (uint32_t)i};
    for (int k = 0; k < N; k++)
      z.q[k] = rows[i][k] = rng_normal(&g) * (k + 1) + (k ? z.q[k - 1] : 7);
    CHECK(adapt_update(&a, &h, &z, &t) == (i == 99));
  }
  inverse_of(&h.m, w);
  for (int i = 75; i < 100; i++) for (int k = 0; k < N; k++) mean[k] += rows[i][k] / 25;
  for (int k = 0; k < N; k++)
    for (int j = 0; j < N; j++) {
      double c = 0;
      for (int i = 75; i < 100; i++) c += (rows[i][k] - mean[k]) * (rows[i][j] - mean[j]) / 24;
      c = 25.0 / 30 * c + (k == j ? 1e-3 * 5 / 30 : 0);
      CHECK_NEAR(w[k * N + j], kind == METRIC_DENSE || k == j ? c : 0, 1e-12);
    }
  adapt_free(st, &a);
  metric_free(st, &h.m);
  phase_free(st, &z, N);
}

/* Leapfrog steps can be taken back, and keep the energy to the second order. */
static void test_leapfrog(void)
{
  hmc h = {.n = N, .density = norn_density_of(st, N, normal_density, NULL)};
  phase z = {.logp = 0}, start = {.logp = 0};
  norn_rng g = {.stream = 9};
  CHECK(phase_new(st, &z, N) && phase_new(st, &start, N));
  CHECK(metric_new(st, &h.m, METRIC_DENSE, N, 0));
  memcpy(h.m.full, sigma, sizeof sigma);
  CHECK(metric_factor(&h.m));
  for (int i = 0; i < N; i++) start.q[i] = 0.3 * i - 0.5;
  hmc_evaluate(&h, &start);
  hmc_momentum(&h, &start, &g);
  double error[2];
  for (int k = 0; k < 2; k++) {
    double e = k ? 0.01 : 0.02;
    phase_copy(&z, &start, N);
    for (int i = 0; i < (k ? 20 : 10); i++) hmc_leapfrog(&h, &z, e);
    error[k] = hmc_energy(&h, &z) - hmc_energy(&h, &start);
    CHECK(z.index == (k ? 20 : 10));
    for (int i = 0; i < (k ? 20 : 10); i++) hmc_leapfrog(&h, &z, -e);
    CHECK(z.index == 0);
    for (int i = 0; i < N; i++) CHECK_NEAR(z.q[i], start.q[i], 1e-12);
  }
  CHECK_NEAR(error[0] / error[1], 4, 0.2);
  metric_free(st, &h.m);
  phase_free(st, &z, N);
  phase_free(st, &start, N);
  norn_density_free(h.density);
}

/* ---- whole runs ---- */

static norn_datum eval(norn_state *s, const char *code)
{
  norn_datum v = norn_none();
  if (norn_eval(s, "t", code, strlen(code), NORN_LOAD_REPL, &v)) {
    char b[500];
    norn_error_text(s, norn_error(s), b, sizeof b);
    CHECK_STR(b, "");
  }
  return v;
}

static const char program[] =
  "let ys = [0.3, -1.2, 2.2, 0.8]\n"
  "model m() { let mu ~ normal(0, 2)\n let tau ~ half_normal(1)\n"
  "let side = if mu > 0.5 { mu * mu } else { 0.5 * mu }\n"         /* recorded twice */
  "for y in ys { let th ~ normal(side, tau)\n observe y ~ normal(th, 1) }\n"
  "{mu: mu, tau: tau} }\n";

/* Draws as they come, hashed with their chains. */
typedef struct seen { uint64_t hash; int n; } seen;

static bool look(void *user, norn_infer *inf, const norn_drawn *d)
{
  seen *s = user;
  (void)inf;
  s->hash = hash_mix(s->hash * 3 + norn_hash(d->value) + (uint64_t)d->chain);
  s->n++;
  return true;
}

static void test_threads(const char *engine)
{
  char code[800];
  uint64_t first = 0, order = 0;
  const int threads[] = {1, 2, 8, 3};
  snprintf(code, sizeof code, "%sdraws(infer(m(), %s))", program, engine);
  for (int i = 0; i < 4; i++) {
    norn_config c = norn_config_default();
    seen s = {0, 0};
    c.threads = threads[i];
    norn_state *own = norn_new(&c);
    norn_on_draw(own, look, &s);
    uint64_t h = norn_hash(eval(own, code));
    if (!i) first = h, order = s.hash;
    CHECK(h == first);
    CHECK(s.hash == order && s.n == 5 * 400);
    norn_free(own);
  }
}

/* The value of the program with an engine of n draws, run afresh: the hash of its draws by chain
   and of their energies. */
static uint64_t hash_of(const char *engine, const char *how)
{
  char code[900];
  norn_state *own = norn_new(NULL);
  snprintf(code, sizeof code, "%slet e = n -> %s\nlet a = infer(m(), e(%d))\nlet b = %s\n"
           "[draws(b), info(b).stats.energy, info(b).resume, info(b).divergent]",
           program, engine, strcmp(how, "a") ? 30 : 50, how);
  norn_datum v = eval(own, code);
  CHECK(norn_array_length(norn_array_at(own, v, 0)) == 100);
  uint64_t h = norn_hash(v);
  norn_free(own);
  return h;
}

/* 30 draws, 15 more and 5 more are 50 at once. */
static void test_more(const char *engine)
{
  CHECK(hash_of(engine, "a") == hash_of(engine, "more(more(a, 15), 5)"));
}

/* ---- the n-th allocation fails ---- */

typedef struct { long requests, fail_at, blocks; pthread_mutex_t lock; } host;

static void *host_alloc(void *user, void *p, size_t old, size_t n)
{
  host *h = user;
  void *q = NULL;
  (void)old;
  pthread_mutex_lock(&h->lock);
  if (n == 0) {
    h->blocks -= p != NULL;
    free(p);
  } else if (++h->requests != h->fail_at) {
    q = realloc(p, n);
    h->blocks += q && !p;
  }
  pthread_mutex_unlock(&h->lock);
  return q;
}

/* A run on two threads with one failing allocation: draws or an error, and nothing left behind. */
static long starve(const char *engine, long fail_at)
{
  host h = {.lock = PTHREAD_MUTEX_INITIALIZER};
  norn_config c = norn_config_default();
  char code[800];
  norn_datum v;
  c.alloc = host_alloc;
  c.alloc_user = &h;
  c.threads = 2;
  snprintf(code, sizeof code, "%slet a = infer(m(), %s)\nmore(a, 3)", program, engine);
  norn_state *own = norn_new(&c);
  long before = h.requests;
  h.fail_at = fail_at ? before + fail_at : 0;
  norn_status s = norn_eval(own, "t", code, strlen(code), NORN_LOAD_REPL, &v);
  CHECK(s == NORN_OK || s == NORN_EMEMORY);
  if (s && s != NORN_EMEMORY) fprintf(stderr, "fail_at %ld: %s\n", fail_at, norn_error(own)->text);
  norn_free(own);
  CHECK(h.blocks == 0);
  return h.requests - before;
}

static void test_starve(const char *engine)
{
  long n = starve(engine, 0);
  for (long k = 1; k <= n; k += 1 + k / 40) starve(engine, k);
}

int main(void)
{
  static const int64_t w1000[] = {99, 149, 249, 449, 949}, w300[] = {99, 149, 249}, w150[] = {99},
                       w100[] = {89};
  st = norn_new(NULL);
  CHECK(st);
  test_metrics();
  test_fit_exact();
  test_fit_low_rank();
  test_windows(1000, w1000, 5);
  test_windows(300, w300, 3);
  test_windows(150, w150, 1);
  test_windows(100, w100, 1);
  test_windows(19, NULL, 0);
  test_shrinkage(METRIC_DIAG);
  test_shrinkage(METRIC_DENSE);
  test_leapfrog();
  test_threads("nuts(draws = 400, warmup = 60, chains = 5)");
  test_threads("nuts(draws = 400, warmup = 60, chains = 5, metric = \"low_rank\", "
               "init = \"prior\")");
  test_threads("hmc(draws = 400, warmup = 60, chains = 5, steps = 5, metric = \"dense\")");
  test_threads("chees(draws = 50, warmup = 60, chains = 40)");
  test_threads("hmc(draws = 80, warmup = 60, chains = 25, steps = 5, shared = true)");
  test_more("nuts(draws = n, warmup = 60, chains = 2)");
  test_more("nuts(draws = n, warmup = 60, chains = 2, thin = 2, metric = \"low_rank\")");
  test_more("nuts(draws = n, warmup = 60, chains = 2, metric = \"dense\", adapt = \"stan\")");
  test_more("hmc(draws = n, warmup = 60, chains = 2, steps = 4)");
  test_more("chees(draws = n, warmup = 60, chains = 2)");
  test_more("hmc(draws = n, warmup = 60, chains = 2, steps = 4, thin = 3, shared = true)");
  test_starve("nuts(draws = 5, warmup = 20, chains = 3)");
  test_starve("chees(draws = 5, warmup = 20, chains = 33, superchains = 3)");
  test_starve("nuts(draws = 5, warmup = 20, chains = 2, metric = \"low_rank\")");
  test_starve("hmc(draws = 5, warmup = 20, chains = 2, metric = \"dense\", adapt = \"stan\")");
  norn_free(st);
  return unit_end();
}
