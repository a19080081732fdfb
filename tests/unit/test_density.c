/* test_density: recorded densities against the scalar VM: at random points the log density is what a
   run with the same choices scores, plus the log Jacobians of the maps; the gradient is what
   differences of the density give. */
#include "norn.h"
#include "infer/gradient/density.h"
#include "num/rng.h"
#include "density_models.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static norn_state *st;

static void text_of(const char *what)
{
  char b[900];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "  %s: %s\n", what, b);
  norn_clear(st);
}

/* The log joint density of a run whose choices have the values of the recorded point, by the scalar
   VM and the distributions alone. */
typedef struct point { double x[64]; int n; } point;

/* Leaf k of a distribution, a number (norn_dist_leaves). */
static bool leaf_find(norn_datum v, int64_t *k, double *out)
{
  norn_dist d;
  norn_view a;
  if (norn_as_real(v, out)) return (*k)-- == 0;
  if (norn_dist_view(v, &d)) {
    for (int i = 0; i < d.n; i++)
      if (leaf_find(d.args[i], k, out)) return true;
  } else if (norn_array_view(v, &a)) {
    for (int64_t i = 0; i < a.n; i++)
      if (leaf_find(a.elem == NORN_VALUES ? a.v[i] : norn_real(norn_elem_real(v, i)), k, out))
        return true;
  }
  return false;
}

static double leaf_of(const norn_dist *d, int64_t k)
{
  double x = (double)NAN;
  for (int i = 0; i < d->n; i++)
    if (leaf_find(d->args[i], &k, &x)) return x;
  return (double)NAN;
}

static double score(norn_datum model, norn_density *d, const double *u, double *jacobian)
{
  norn_datum none;
  (void)none;
  double total = 0, lp = 0;
  int64_t at = 0;
  *jacobian = 0;
  norn_run *run = norn_run_new(st, model, NULL, 0);
  norn_run_flags(run, 0);
  (void)d;
  for (;;) {
    norn_event ev;
    norn_support s;
    norn_datum x;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: norn_run_free(run); return total;
    case NORN_OBSERVE:
      if (ev.flags & NORN_EV_FACTOR) norn_as_real(ev.value, &lp);
      else if (norn_dist_logp(st, ev.dist, ev.value, &lp)) { text_of("observe"); lp = NAN; }
      total += lp;
      break;
    case NORN_SAMPLE: {
      double v[64], b[128];
      norn_dist_support(st, ev.dist, &s);
      int64_t m = norn_support_free(&s), n = norn_support_elems(&s), count = s.count;
      if (s.lower != s.lower || s.upper != s.upper) norn_dist_bounds(st, ev.dist, b, b + count);
      for (int64_t k = 0; k < count; k++) {
        norn_support one = s;
        if (s.lower != s.lower) one.lower = b[k];
        if (s.upper != s.upper) one.upper = b[count + k];
        norn_support_constrain(&one, u + at, v + k * n, jacobian);
        int64_t where[2];
        if (norn_dist_noncentered(st, ev.dist, k, &where[0], &where[1])) {
          double scale = leaf_of(ev.dist, where[1]);
          v[k] = leaf_of(ev.dist, where[0]) + scale * u[at];
          *jacobian += log(scale);
        }
        at += m;
      }
      norn_rng g = {.stream = 1};
      void *to;
      norn_view shape;
      norn_datum like;
      if (!(norn_dist_flags(ev.dist) & NORN_DIST_IMPROPER) &&
          !norn_dist_sample(st, ev.dist, &g, &like) && norn_array_view(like, &shape)) {
        x = norn_array(st, NORN_F64, shape.rank, shape.dims, &to);
        memcpy(to, v, (size_t)shape.n * 8);
      } else x = norn_real(v[0]);
      norn_clear(st);
      if (norn_dist_logp(st, ev.dist, x, &lp)) { text_of("sample"); lp = NAN; }
      total += lp;
      norn_run_answer(run, x);
      break;
    }
    default: text_of("run"); norn_run_free(run); return NAN;
    }
  }
}

/* Eight points at once are what they are one by one; so are a ninth and points outside. */
static void check_many(norn_density *d, const char *name, norn_rng *rng)
{
  enum { N = 9 };
  int64_t n = norn_density_dim(d);
  double *u = calloc((size_t)(N * n), sizeof *u), *g = calloc((size_t)(N * n), sizeof *g);
  double *one = calloc((size_t)n, sizeof *one), logp[N], l;
  for (int64_t k = 0; k < N * n; k++) u[k] = norn_rng_normal(rng);
  for (int64_t k = 0; k < n; k++) u[3 * n + k] = 700 + 50 * k;               /* most likely outside */
  for (int with = 0; with < 2; with++) {
    norn_density_eval(d, u, &l, NULL);
    CHECK(norn_density_eval_many(d, N, u, logp, with ? g : NULL) == NORN_OK);
    for (int b = 0; b < N; b++) {
      double worst = 0;
      CHECK(norn_density_eval(d, u + b * n, &l, with ? one : NULL) == NORN_OK);
      bool same = l == logp[b] || (l != l && logp[b] != logp[b]) ||
                  fabs(l - logp[b]) < 1e-12 * (1 + fabs(l));
      if (!same) fprintf(stderr, "  %s: point %d: %.17g, alone %.17g\n", name, b, logp[b], l);
      CHECK(same);
      for (int64_t k = 0; with && l > -HUGE_VAL && k < n; k++)
        worst = fmax(worst, fabs(g[b * n + k] - one[k]) / (1 + fabs(one[k])));
      if (!(worst < 1e-9)) fprintf(stderr, "  %s: point %d: gradient off by %g\n", name, b, worst);
      CHECK(worst < 1e-9);
    }
  }
  free(u);
  free(g);
  free(one);
}

/* A parameter that leaves its domain at some of the points, where the formula would give numbers. */
static void check_domains(void)
{
  static const char *const programs[] = {
    "model m() { let a ~ normal(0, 2)\nobserve 0.5 ~ von_mises(0, a + 0.5)\na }\nm()",
    "model m() { let a ~ iid(normal(0, 2), 5)\nobserve [0.1, 0.2, 0.3, 0.4, 0.5] ~ von_mises(0, a + 1)\na }\nm()"};
  for (int k = 0; k < 2; k++) {
    norn_datum model;
    double u[8 * 5], logp[8], l;
    int outside = 0;
    CHECK(norn_eval(st, "domains", programs[k], strlen(programs[k]), 0, &model) == NORN_OK);
    norn_density *d = norn_density_new(st, model, 7, 0);
    CHECK(d != NULL);
    if (!d) return;
    int64_t n = norn_density_dim(d);
    for (int64_t i = 0; i < 8 * n; i++) u[i] = i % 3 == 0 ? 0.7 * (double)(i / n - 4) : 0.2;
    d->always_lanes = true;
    norn_density_eval(d, u, &l, NULL);
    CHECK(norn_density_eval_many(d, 8, u, logp, NULL) == NORN_OK);
    for (int b = 0; b < 8; b++) {
      norn_density_eval(d, u + b * n, &l, NULL);
      CHECK(l == logp[b]);
      outside += l == -HUGE_VAL;
    }
    CHECK(outside > 1 && outside < 8);
    norn_density_free(d);
  }
}

static void check_model(int i)
{
  norn_datum model;
  char written[1400];
  double u[64], v[64], g[64], logp, up, down, jacobian, worst = 0, gap = 0;
  snprintf(written, sizeof written, "%s\nm()", models[i].text);
  if (norn_eval(st, models[i].name, written, strlen(written), 0, &model)) {
    text_of(models[i].name);
    CHECK(0);
    return;
  }
  norn_ref *kept = norn_keep(st, model);
  norn_density *d = norn_density_new(st, model, 7, 0);
  if (!d) { text_of(models[i].name); CHECK(d != NULL); return; }
  int64_t n = norn_density_dim(d);
  norn_rng rng = {.stream = 5, .lane = (uint32_t)i};
  for (int round = 0; round < 20; round++) {
    for (int64_t k = 0; k < n; k++) u[k] = 2 * norn_rng_normal(&rng) / 2;
    if (norn_density_eval(d, u, &logp, g)) { text_of(models[i].name); CHECK(0); break; }
    CHECK(!norn_density_eval(d, u, &up, NULL) && up == logp);     /* with or without a gradient */
    double exact = score(norn_get(kept), d, u, &jacobian);
    double error = fabs(logp - (exact + jacobian)) / (1 + fabs(exact));
    gap = error > gap || error != error ? error : gap;
    for (int64_t k = 0; k < n; k++) {
      const double h = 1e-5;
      memcpy(v, u, sizeof v);
      v[k] = u[k] + h;
      norn_density_eval(d, v, &up, NULL);
      v[k] = u[k] - h;
      norn_density_eval(d, v, &down, NULL);
      double slope = (up - down) / (2 * h), miss = fabs(slope - g[k]) / (1 + fabs(slope));
      worst = miss > worst || miss != miss ? miss : worst;
    }
    norn_datum value;
    CHECK(norn_density_value(d, u, &value) == NORN_OK);
  }
  CHECK(gap < 1e-11);
  CHECK(worst < 1e-6);
  printf("%-10s dim %lld: log density off by %.1e, gradient by %.1e\n", models[i].name, (long long)n,
         gap, worst);
  d->always_lanes = true;
  check_many(d, models[i].name, &rng);
  norn_density_free(d);
  norn_drop(kept);
}

/* While a density is asked for its gradient, code of the C compiler may come in: no bit changes. */
static void check_swap(int i)
{
  norn_datum model;
  char written[1400];
  double u[64], g[64], first[64], logp, value = 0;
  snprintf(written, sizeof written, "%s\nm()", models[i].text);
  if (norn_eval(st, models[i].name, written, strlen(written), 0, &model)) { CHECK(0); return; }
  norn_density *d = norn_density_new(st, model, 7, 0);
  CHECK(d != NULL);
  if (!d) return;
  int64_t n = norn_density_dim(d), bad = 0;
  for (int64_t k = 0; k < n; k++) u[k] = 0.1 + 0.03 * (double)k;
  clock_t end = clock() + CLOCKS_PER_SEC / 4;
  for (int64_t k = 0; k % 100 || clock() < end; k++) {
    bad += norn_density_eval(d, u, &logp, g) != NORN_OK;
    if (k == 0) memcpy(first, g, sizeof g), value = logp;
    bad += logp != value || memcmp(first, g, (size_t)n * sizeof *g);
  }
  CHECK(bad == 0);
  norn_density_free(d);
}

int main(void)
{
  char cache[] = "/tmp/norn-test-XXXXXX", command[100];
  bool folder = mkdtemp(cache) != NULL && !setenv("XDG_CACHE_HOME", cache, 1);
  st = norn_new(NULL);
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++) check_model(i);
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++)
    if (folder && strncmp(models[i].text, SERIES, strlen(SERIES)) == 0) check_swap(i);
  check_domains();
  norn_free(st);
  snprintf(command, sizeof command, "ls %s/norn 2>/dev/null | grep -c so; rm -r %s", cache, cache);
  if (folder) CHECK(system(command) == 0);
  return unit_end();
}
