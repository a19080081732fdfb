/* test_hold: densities over a block (norn_density_block) against the scalar VM.  At random points, with
   random values of what is held, the log density is what a run scores that makes all choices so, plus the
   log Jacobians of the block's maps; the gradient is what differences give.  What is held may change
   without a new recording, unless it is an index, a count or chooses a branch; if many such do, they are
   switched, which needs no new recording either. */
#include "norn.h"
#include "infer/gradient/density.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

static norn_state *st;

/* The choices whose names begin with one of `free` (letters) are the block. */
static const struct { const char *name, *text, *free; int most, switching; } models[] = {
  {"normal", "model m() { let x ~ normal(1, 2)\nlet y ~ normal(x, 1)\nobserve 3 ~ normal(y, 0.5)\n x }", "x", 1, SWITCH_NOT_YET},
  {"bounds", "model m() { let s ~ exponential(1)\nlet x ~ uniform(s - 1, s + 2)\nlet t ~ uniform(-2, x)\n"
   "observe 1 ~ normal(x * t, s)\n x }", "x", 1, SWITCH_NOT_YET},
  {"bounds, the other way", "model m() { let x ~ exponential(1)\nlet s ~ uniform(x - 1, x + 2)\n"
   "observe 1 ~ normal(x, 1)\n x }", "x", 1, SWITCH_NOT_YET},
  {"vectors", "model m() { let p ~ dirichlet([1.5, 2, 3])\nlet mu ~ iid(normal(0, 2), 3)\nlet s ~ gamma(2, 2)\n"
   "for i in 0..3 { observe i / 2 ~ normal(mu[i] * p[i], s) }\n p }", "ps", 1, SWITCH_NOT_YET},
  {"vectors, the other way", "model m() { let p ~ dirichlet([1.5, 2, 3])\nlet mu ~ iid(normal(0, 2), 3)\n"
   "let s ~ gamma(2, 2)\nfor i in 0..3 { observe i / 2 ~ normal(mu[i] * p[i], s) }\n p }", "m", 1, SWITCH_NOT_YET},
  {"matrices", "model m() { let l ~ lkj_corr_cholesky(3, 2)\nlet w ~ wishart(4, [[1, 0.2], [0.2, 2]])\n"
   "let mu ~ multi_normal([0, 1], w)\nobserve [0.1, 2] ~ multi_normal(mu, w)\n"
   "observe [0.3, 0.2, -1] ~ multi_normal_cholesky([mu[0], 0, 0], l)\n mu }", "m", 1, SWITCH_NOT_YET},
  {"branch", "model m() { let x ~ normal(0, 1)\nlet h ~ normal(0, 1)\n"
   "let y = if h > 0.3 { x^2 } else { exp(x / 3) }\nobserve 1.0 ~ normal(y, 1)\n y }", "x", 2, SWITCH_NOT_YET},
  {"index", "let ys = [1.2, 0.4, -0.7, 2.2]\nmodel m() { let x = for j in 0..3 { let x ~ normal(0, 2)\n x }\n"
   "let s ~ half_normal(1)\nfor y in ys { let k ~ categorical([0.2, 0.3, 0.5])\n observe y ~ normal(x[k], s) }\n x }",
   "x", KEPT, SWITCH_NOT_YET},
  {"count", "model m() { let k ~ poisson(2)\nlet x ~ normal(0, 1)\nlet b ~ bernoulli(0.5)\n"
   "let t = for i in 0..k with t = 0.0 { next t + x * i }\nobserve 2 ~ normal(t, if b { 1 } else { x^2 + 1 })\n t }",
   "x", KEPT, SWITCH_NOT_YET},
  {"summed out", "let ys = [1.2, 0.4, -0.7, 2.2]\nmodel m() { let mu ~ normal([0, 1], 2)\nlet x ~ half_normal(1)\n"
   "for y in ys { let z ~ bernoulli(0.3)\n observe y ~ normal(if z { mu[0] } else { mu[1] }, x) }\n x }", "xz", 1, SWITCH_NOT_YET},
  {"walk", "let ys = [1.0, 2.0, 2.5, 0.1, 1.1, 0.4]\nmodel m() { let phi ~ uniform(-1, 1)\nlet s ~ half_normal(1)\n"
   "for y in ys with h = 0.0 { let e ~ normal(phi * h, s)\n observe y ~ normal(e, 0.5)\n next e } }", "ps", 1, SWITCH_NOT_YET},
  {"noncentered", "model m() { let mu ~ normal(0, 5)\nlet tau ~ half_cauchy(5)\nlet x ~ noncentered(normal(mu, tau))\n"
   "observe 1 ~ normal(x, 1)\n x }", "x", 1, SWITCH_NOT_YET},
  {"noncentered, the other way", "model m() { let mu ~ normal(0, 5)\nlet tau ~ half_cauchy(5)\n"
   "let x ~ noncentered(normal(mu, tau))\nobserve 1 ~ normal(x, 1)\n x }", "mt", 1, SWITCH_NOT_YET},
  {"counts by value", "model m() { let x ~ gamma(2, 1)\nlet n ~ poisson(x)\nlet h ~ gamma(n + 1, x)\n"
   "observe 3 ~ poisson(h + x)\n n }", "x", KEPT, SWITCH_NOT_YET},
  {"labels", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 3.3]\nmodel m() { let x = for j in 0..3 { let x ~ normal(0, 2)\n x }\n"
   "let w ~ dirichlet([2, 2, 3])\nfor y in ys { let k ~ categorical(w)\n observe y ~ normal(x[k], 1 + 0.1 * k) }\n x }",
   "x", 1, SWITCH_ON},
  {"labels of branches", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 3.3]\nmodel m() { let x ~ normal(0, 2)\nlet s ~ gamma(3, 2)\n"
   "for y in ys { let k ~ bernoulli(0.4)\n let c ~ discrete_uniform(2, 4)\n let mu = if k { x^2 } else { s * c }\n"
   " observe y ~ normal(mu, s) }\n x }", "xs", 1, SWITCH_ON},
  {"chain of labels", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 3.3]\nlet p = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]\n"
   "model m() { let x = for j in 0..3 { let x ~ normal(0, 2)\n x }\nfor y in ys with k = 0 { let z ~ categorical(p[k])\n"
   " observe y ~ normal(x[z], 1)\n next z }\n x }", "x", 1, SWITCH_ON},
  {"labels and a count", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 3.3]\nmodel m() { let n ~ poisson(2)\nlet x ~ normal(0, 2)\n"
   "for y in ys { let k ~ bernoulli(0.4)\n observe y ~ normal(if k { x } else { n + x / 2 }, 1) }\n x }",
   "x", KEPT, SWITCH_ON},
  {"labels of no number", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 0.3]\nmodel m() { let x ~ normal(0, 1)\n"
   "for y in ys { let k ~ bernoulli(if x > 0 { 0.5 } else { 1e-12 })\n observe y ~ normal(x, if k { x } else { 1 }) }\n x }",
   "x", KEPT, SWITCH_ON},
  {"labels of no held number", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 0.3]\nmodel m() { let h ~ normal(0, 1)\nlet x ~ normal(0, 1)\n"
   "for y in ys { let k ~ bernoulli(inv_logit(200 * h))\n observe y ~ normal(x, if k { h } else { 1 }) }\n x }",
   "x", KEPT, SWITCH_ON},
  {"labels apart", "let ys = for i in 0..9 { 0.3 * i }\nmodel m() { let ks = for y in ys { let k ~ categorical([0.3, 0.3, 0.4])\n k }\n"
   "let x = for j in 0..3 { let x ~ normal(0, 2)\n x }\nlet total = sum(for k in ks { x[k] })\n"
   "for i in 0..9 { observe ys[i] ~ normal(x[ks[i]] + 0.1 * total, 1) }\n x }", "x", KEPT, SWITCH_NEVER},
  {"labels of structure", "let ys = [1.2, 0.4, -0.7, 2.2, 0.1, 3.3]\nmodel m() { let x ~ normal(0, 2)\n"
   "for y in ys { let k ~ bernoulli(0.5)\n let w = if k { let h ~ normal(0, 1)\n h } else { 0.0 }\n"
   " observe y ~ normal(x + w, 1) }\n x }", "x", KEPT, SWITCH_NEVER},
};

typedef struct choice_is { uint64_t addr; norn_ref *value; } choice_is;
typedef struct table { choice_is c[64]; int n; const char *free; } table;

static void text_of(const char *what)
{
  char b[900];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "  %s: %s\n", what, b);
  norn_clear(st);
}

static int place_of(const table *t, uint64_t addr)
{
  for (int i = 0; i < t->n; i++) if (t->c[i].addr == addr) return i;
  return -1;
}

static norn_datum value_of(void *user, uint64_t addr)
{
  int i = place_of(user, addr);
  return i < 0 ? norn_none() : norn_get(((table *)user)->c[i].value);
}

static norn_hold_kind kind_of(void *user, const norn_event *ev)
{
  char name[100];
  const table *t = user;
  norn_addr_name(st, ev->addr, name, sizeof name);
  return strchr(t->free, name[0]) ? NORN_HOLD_FREE : NORN_HOLD_HELD;
}

static int64_t count_of(void *user) { return ((table *)user)->n; }

static norn_status take_value(void *user, uint64_t addr, norn_datum v)
{
  int i = place_of(user, addr);
  CHECK(i >= 0);
  if (i >= 0) norn_set(((table *)user)->c[i].value, v);
  return NORN_OK;
}

/* A run of the model: draws its choices into the table (g), or takes them from it; the log joint density,
   and the coordinates of the block with their log Jacobian. */
static double run_model(norn_datum model, table *t, norn_rng *g, double *u, double *jacobian)
{
  double total = 0, lp;
  int64_t at = 0;
  norn_run *run = norn_run_new(st, model, NULL, 0);
  norn_run_flags(run, NORN_RUN_NAMES);
  *jacobian = 0;
  if (g) {
    for (int i = 0; i < t->n; i++) norn_drop(t->c[i].value);
    t->n = 0;
  }
  for (;;) {
    norn_event ev;
    norn_support s;
    norn_datum x;
    norn_event_kind kind = norn_run_next(run, &ev);
    if (kind == NORN_DONE) { norn_run_free(run); return total; }
    if (kind != NORN_SAMPLE && kind != NORN_OBSERVE) { text_of("run"); norn_run_free(run); return NAN; }
    if (kind == NORN_OBSERVE) {
      if (norn_dist_logp(st, ev.dist, ev.value, &lp)) { text_of("observe"); lp = NAN; }
      total += lp;
      continue;
    }
    if (g) {
      norn_dist_sample(st, ev.dist, g, &x);
      t->c[t->n].addr = ev.addr;
      t->c[t->n++].value = norn_keep(st, x);
    } else x = value_of(t, ev.addr);
    if (norn_dist_logp(st, ev.dist, x, &lp)) { text_of("sample"); lp = NAN; }
    total += lp;
    if (kind_of(t, &ev) == NORN_HOLD_FREE && !engine_is_discrete(ev.dist)) {
      double v[64], w[64];
      norn_dist_support(st, ev.dist, &s);
      int64_t where[2], m = norn_support_free(&s), n = norn_support_elems(&s);
      for (int64_t k = 0; k < s.count; k++, at += m) {
        norn_support one = s;
        if (s.lower != s.lower || s.upper != s.upper) CHECK(0);
        for (int64_t i = 0; i < n; i++) v[i] = norn_array_length(x) < 0 ? x.d : norn_elem_real(x, k * n + i);
        CHECK(norn_support_unconstrain(&one, v, u + at));
        norn_support_constrain(&one, u + at, w, jacobian);
        if (norn_dist_noncentered(st, ev.dist, k, &where[0], &where[1])) {
          double loc = 0, scale = 1;
          norn_as_real(graph_leaf(ev.dist, where[0]), &loc);
          norn_as_real(graph_leaf(ev.dist, where[1]), &scale);
          u[at] = (v[0] - loc) / scale;
          *jacobian += log(scale);
        }
      }
    }
    norn_run_answer(run, x);
  }
}

static void check_gradient(norn_density *d, const double *u, const char *name)
{
  double v[64], g[64], logp, up, down;
  int64_t n = norn_density_dim(d);
  CHECK(norn_density_eval(d, u, &logp, g) == NORN_OK);
  for (int64_t k = 0; k < n; k++) {
    const double h = 1e-5;
    memcpy(v, u, sizeof v);
    v[k] = u[k] + h;
    norn_density_eval(d, v, &up, NULL);
    v[k] = u[k] - h;
    norn_density_eval(d, v, &down, NULL);
    double slope = (up - down) / (2 * h);
    if (!(fabs(slope - g[k]) < 1e-6 * (1 + fabs(slope))))
      fprintf(stderr, "  %s: gradient %lld is %g, by differences %g\n", name, (long long)k, g[k], slope);
    CHECK(fabs(slope - g[k]) < 1e-6 * (1 + fabs(slope)));
  }
}

/* Discrete choices of the block are summed out by trying all their values. */
static double summed(norn_datum model, table *t, double *u, double *jacobian, int from)
{
  for (int i = from; i < t->n; i++) {
    norn_datum was = norn_get(t->c[i].value);
    if (was.tag != NORN_BOOL || !strchr(t->free, 'z')) continue;
    norn_set(t->c[i].value, norn_bool(false));
    double a = summed(model, t, u, jacobian, i + 1);
    norn_set(t->c[i].value, norn_bool(true));
    double b = summed(model, t, u, jacobian, i + 1);
    norn_set(t->c[i].value, was);
    return log_add(a, b);
  }
  return run_model(model, t, NULL, u, jacobian);
}

static void check_round(norn_density *d, norn_ref *model, table *t, const char *name)
{
  bool anew;
  double jacobian, u[64], logp;
  const double *here = norn_density_present(d, &anew);
  if (!here) { text_of(name); CHECK(here != NULL); return; }
  CHECK(!anew);
  double exact = summed(norn_get(model), t, u, &jacobian, 0) + jacobian;
  for (int64_t k = 0; k < norn_density_dim(d); k++) CHECK(fabs(u[k] - here[k]) < 1e-9 * (1 + fabs(u[k])));
  memcpy(u, here, (size_t)norn_density_dim(d) * sizeof *u);
  if (norn_density_eval(d, u, &logp, NULL)) { text_of(name); CHECK(0); return; }
  if (!(fabs(logp - exact) < 1e-11 * (1 + fabs(exact)))) fprintf(stderr, "  %s: %.17g, exact %.17g\n", name, logp, exact);
  CHECK(fabs(logp - exact) < 1e-11 * (1 + fabs(exact)));
  check_gradient(d, u, name);
  /* another point of the block, told back, is where the density is that of a run */
  for (int64_t k = 0; k < norn_density_dim(d); k++) u[k] += 0.1;
  CHECK(norn_density_tell(d, u, take_value, t) == NORN_OK);
  norn_density_eval(d, u, &logp, NULL);
  exact = summed(norn_get(model), t, u, &jacobian, 0) + jacobian;
  bool both = logp == exact || (!(logp > -HUGE_VAL) && !(exact > -HUGE_VAL));
  CHECK(both || fabs(logp - exact) < 1e-9 * (1 + fabs(exact)));
}

static void check_model(int i)
{
  norn_datum model;
  char written[1400];
  double u[64], jacobian;
  table t = {.free = models[i].free};
  norn_rng rng = {.stream = 5, .lane = (uint32_t)i};
  snprintf(written, sizeof written, "%s\nm()", models[i].text);
  if (norn_eval(st, models[i].name, written, strlen(written), 0, &model)) { text_of(models[i].name); CHECK(0); return; }
  norn_ref *kept = norn_keep(st, model);
  norn_hold hold = {kind_of, value_of, count_of, &t};
  run_model(norn_get(kept), &t, &rng, u, &jacobian);
  norn_density *d = norn_density_block(st, norn_get(kept), 7, 0, hold);
  if (!d) { text_of(models[i].name); CHECK(d != NULL); return; }
  for (int round = 0; round < 30; round++) {
    if (round) run_model(norn_get(kept), &t, &rng, u, &jacobian);
    check_round(d, kept, &t, models[i].name);
  }
  if (d->ntape > models[i].most) fprintf(stderr, "  %s: %d recordings\n", models[i].name, d->ntape);
  CHECK(d->ntape <= models[i].most && !d->constants);
  if (models[i].most == KEPT) CHECK(d->ntape > 1);
  CHECK((int)d->switching == models[i].switching);
  printf("%-24s dim %lld, %d recordings\n", models[i].name, (long long)norn_density_dim(d), d->ntape);
  norn_density_free(d);
  for (int k = 0; k < t.n; k++) norn_drop(t.c[k].value);
  norn_drop(kept);
}

/* Where the run would make other choices the density is 0; when those exist, the block is another. */
static void check_structure(void)
{
  static const char *const written = "model m() { let x ~ normal(0, 1)\nlet y = if x > 0 { let x2 ~ normal(0, 1)\n x2 } "
    "else { let h ~ normal(0, 1)\n h }\nobserve 1 ~ normal(y, 1)\n y }\nm()";
  norn_datum model;
  table t = {.free = "x"};
  norn_rng rng = {.stream = 9};
  double u[64], jacobian, logp;
  bool anew;
  int seen[3] = {0};
  CHECK(norn_eval(st, "structure", written, strlen(written), 0, &model) == NORN_OK);
  norn_ref *kept = norn_keep(st, model);
  norn_hold hold = {kind_of, value_of, count_of, &t};
  run_model(norn_get(kept), &t, &rng, u, &jacobian);
  norn_density *d = norn_density_block(st, norn_get(kept), 7, 0, hold);
  CHECK(d != NULL);
  for (int round = 0; round < 20 && d; round++) {
    int64_t before = norn_density_dim(d);
    run_model(norn_get(kept), &t, &rng, u, &jacobian);
    const double *here = norn_density_present(d, &anew);
    if (!here) { text_of("structure"); CHECK(0); break; }
    int64_t n = norn_density_dim(d);
    CHECK(anew == (n != before));
    seen[n]++;
    memcpy(u, here, (size_t)n * sizeof *u);
    CHECK(norn_density_eval(d, u, &logp, NULL) == NORN_OK && logp > -HUGE_VAL);
    u[0] = -u[0];
    CHECK(norn_density_eval(d, u, &logp, NULL) == NORN_OK && logp == -HUGE_VAL);
  }
  CHECK(seen[1] && seen[2]);
  norn_density_free(d);
  for (int k = 0; k < t.n; k++) norn_drop(t.c[k].value);
  norn_drop(kept);
}

int main(void)
{
  st = norn_new(NULL);
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++) check_model(i);
  check_structure();
  norn_free(st);
  return unit_end();
}
