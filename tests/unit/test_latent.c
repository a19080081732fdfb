/* test_latent: discrete choices summed out of a recorded density, against enumerate at 100 random
   points: the log density is the log prior of the continuous choices plus the log evidence that
   enumerate gives when they are fixed; the gradient is what differences give. */
#include "norn.h"
#include "num/rng.h"
#include "unit.h"
#include <stdio.h>
#include <string.h>

static norn_state *st;

/* Each has a model z(p) of discrete choices, whose parameters p are standard normal. */
static const struct { const char *name; int n; const char *text; } models[] = {
  {"one", 2, "model z(p) { let k ~ bernoulli(inv_logit(p[0]))\n"
   "observe 0.5 ~ normal(if k { p[1] } else { -1 }, 1)\n k }"},
  {"rows", 3, "model z(p) { for y in [0.2, 1.5, -2, 0.1, 3] {\n let k ~ bernoulli(inv_logit(p[0]))\n"
   "observe y ~ normal(if k { p[1] } else { p[2] }, 1) } }"},
  {"three", 3, "model z(p) { for y in [0.2, 1.5, -2, 0.1, 3] {\n let k ~ categorical(softmax(p))\n"
   "observe y ~ normal(p[k], 0.5 + k) } }"},
  {"shared", 2, "model z(p) { let k ~ categorical([0.2, 0.3, 0.5])\n"
   "for y in [0.2, 1.5, -2] { observe y ~ normal(p[0] * k, exp(p[1])) }\n"
   "for y in [2, 3] { observe y ~ exponential(exp(p[0])) }\n k }"},
  {"hmm", 3, "model z(p) { let q = inv_logit(p[0])\nlet a = [[q, 1 - q], [0.3, 0.7]]\n"
   "for y in [0.2, 1.5, -2, 0.1, 3, 2, 1] with s = 0 { let k ~ categorical(a[s])\n"
   "observe y ~ normal(p[1 + k], 1)\n next k } }"},
  {"recursion", 2, "fn f(ys, s, p) = if len(ys) == 0 { s } else { let k ~ bernoulli(inv_logit(p[0] + s))\n"
   "observe first(ys) ~ normal(if k { p[1] } else { 0 }, 1)\n f(drop(ys, 1), if k { 1 } else { 0 }, p) }\n"
   "model z(p) { f([0.2, 1, -1, 2], 0, p) }"},
  {"two a row", 2, "model z(p) { for y in [1.0, 3, 0] { let a ~ bernoulli(inv_logit(p[0]))\n"
   "let b ~ binomial(3, inv_logit(p[1]))\nobserve y ~ normal(b + (if a { 1 } else { 0 }), 1) } }"},
  {"uneven", 2, "model z(p) { for y in [1.0, 3, 0, 2] { let a ~ bernoulli(inv_logit(p[0]))\n"
   "if a { observe y ~ normal(p[1], 1)\n observe y ~ normal(0, 3) } else { observe y ~ normal(0, 1) } } }"},
  {"dead", 2, "model z(p) { for y in [1.0, 3, 0, 2] { let a ~ uniform_of([0, 1, 5])\n"
   "condition(a != 1)\nobserve y ~ uniform(a - 3, a + 3 + exp(p[0]))\nobserve y ~ normal(p[1], 1 + a) } }"},
  {"outside", 1, "model z(p) { for y in [1.0, 3] { let a ~ bernoulli(0.5)\n"
   "observe y ~ uniform(0, if a { exp(p[0]) } else { 9 }) } }"},
  {"factor", 2, "model z(p) { let a ~ bernoulli(0.3)\nlet b ~ bernoulli(inv_logit(p[0]))\n"
   "factor(if a == b { p[1] } else { 0.5 })\n [a, b] }"},
  {"vectors", 2, "model z(p) { let a ~ iid(bernoulli(inv_logit(p[0])), 3)\nlet k = sum(for x in a { if x { 1 } else { 0 } })\n"
   "observe 2.0 ~ normal(k * p[1], 1)\n a }"},
  {"words", 2, "model z(p) { let w ~ uniform_of([\"a\", \"b\"])\n"
   "let v ~ bernoulli(if w == \"a\" { inv_logit(p[0]) } else { 0.1 })\nobserve v ~ bernoulli(inv_logit(p[1]))\n w }"},
  {"nested", 2, "model row(y, p) { let k ~ bernoulli(inv_logit(p[0]))\nobserve y ~ normal(if k { p[1] } else { 0 }, 1)\n k }\n"
   "model z(p) { let n = sum(for y in [0.1, 2, 1] { let r ~ row(y, p)\n if r { 1 } else { 0 } })\n"
   "observe 1 ~ poisson(0.5 + n) }"},
  {"counts", 1, "model z(p) { for y in [1, 0, 2] { let n ~ truncate(poisson(exp(p[0])), upper = 8)\n"
   "observe y ~ binomial(n, 0.4) } }"},
  {"kept", 3, "model z(p) { let zs = for y in [0.2, 1.5, -2, 0.1, 3, 1, 2, 0, 1] {\n let k ~ categorical(softmax(p))\n"
   "observe y ~ normal(p[k], 0.5 + k)\n {k: k, y: y} }\n zs }"},
  {"looked at again", 2, "model z(p) { let zs = for y in [0.2, 1.5, -2, 0.1] {\n let k ~ bernoulli(inv_logit(p[0]))\n"
   "observe y ~ normal(if k { p[1] } else { 0 }, 1)\n k }\n"
   "observe 2 ~ poisson(0.1 + sum(for k in zs { if k { 1 } else { 0 } }))\n zs }"},
  {"history", 2, "fn go(zs, t, p) = match t { 5 -> zs, _ -> { let k ~ categorical(if zs[t] == 0 { [0.3, 0.7] } else { [inv_logit(p[0]), 1 - inv_logit(p[0])] })\n"
   "observe t % 2 ~ normal(k * p[1], 1)\n go(push(zs, k), t + 1, p) } }\nmodel z(p) { go([0], 0, p) }"},
  {"in a record", 2, "model z(p) { for y in [0.2, 1.5, -2, 0.1] with s = {k: 0, n: 0} { let k ~ categorical([inv_logit(p[0]), 1 - inv_logit(p[0])])\n"
   "observe y ~ normal((k + s.k) * p[1], 1)\n next {k: k, n: s.n + 1} } }"},
  {"kinds of use", 2, "fn name(k) = match k { 0 -> \"none\", 1 -> \"one\", _ -> \"more\" }\n"
   "model z(p) { let f = mem(i -> sample(bernoulli(inv_logit(p[0]))))\nlet k ~ discrete_uniform(0, 3)\n"
   "let a = if f(k) { 1 } else { 0 }\nlet b = if f(2) { 1 } else { 0 }\n"
   "let w = {none: 1, one: 2, more: 3}\nlet t = \"{k}\"\nlet m = sum(for i in 0..k { p[1] })\n"
   "observe 1.5 ~ normal(w[name(k)] + m + a - b + min(k, 2) + (if t == \"2\" { 1 } else { 0 }) + (if [k] == [3] { -1 } else { 0 }) + sqrt(k) + [4, 5, 6, 7][k], 1)\n"
   "let q ~ binomial(k, 0.4)\nobserve k ~ binomial(4, inv_logit(p[1]))\n"
   "factor(logpdf(poisson(q + 1), k))\nfactor(0.1 * k)\n [k, q] }"},
  {"change point", 2, "model z(p) { let c ~ discrete_uniform(0, 6)\nfor t in 0..7 {\n"
   "observe t % 3 ~ poisson(exp(if t < c { p[0] } else { p[1] })) }\n c }"},
};

static void text_of(const char *what)
{
  char b[900];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "  %s: %s\n", what, b);
  norn_clear(st);
}

/* The log evidence of z at p, by enumerate. */
static double exact(int i, const double *p)
{
  char text[400];
  size_t at = (size_t)snprintf(text, sizeof text, "evidence(infer(z([");
  norn_datum v;
  double x = NAN;
  for (int k = 0; k < models[i].n; k++)
    at += (size_t)snprintf(text + at, sizeof text - at, "%s%.17g", k ? ", " : "", p[k]);
  snprintf(text + at, sizeof text - at, "]), enumerate()))");
  if (norn_eval(st, models[i].name, text, strlen(text), NORN_LOAD_REPL, &v)) {
    bool none = norn_error(st)->code == NORN_EINFER;      /* every path has weight 0 */
    norn_clear(st);
    return none ? -HUGE_VAL : NAN;
  }
  norn_as_real(v, &x);
  return x;
}

static void check_model(int i)
{
  char text[1400];
  double u[8], g[8], v[8], logp, up, down, gap = 0, worst = 0;
  norn_datum model;
  int n = models[i].n, inside = 0;
  snprintf(text, sizeof text, "%s\nmodel m() { let p ~ iid(normal(0, 1), %d)\n let r ~ z(p)\n r }\nm()",
           models[i].text, n);
  norn_density *d = NULL;
  if (!norn_eval(st, models[i].name, text, strlen(text), NORN_LOAD_REPL, &model))
    d = norn_density_new(st, model, 3, 0);
  if (!d) text_of(models[i].name);
  CHECK(d != NULL);
  if (!d) return;
  CHECK(norn_density_dim(d) == n);
  norn_rng rng = {.stream = 9, .lane = (uint32_t)i};
  for (int round = 0; round < 100; round++) {
    double want = 0;
    for (int k = 0; k < n; k++) {
      u[k] = norn_rng_normal(&rng);
      want -= 0.5 * u[k] * u[k] + 0.91893853320467274178;
    }
    want += exact(i, u);
    if (norn_density_eval(d, u, &logp, g)) { text_of(models[i].name); CHECK(0); break; }
    if (want == -HUGE_VAL) { CHECK(logp == want); continue; }
    inside++;
    gap = fmax(gap, fabs(logp - want));
    if (logp != logp) gap = HUGE_VAL;
    for (int k = 0; k < n && round < 20; k++) {
      const double h = 1e-5;
      memcpy(v, u, sizeof v);
      v[k] = u[k] + h;
      norn_density_eval(d, v, &up, NULL);
      v[k] = u[k] - h;
      norn_density_eval(d, v, &down, NULL);
      double slope = (up - down) / (2 * h), miss = fabs(slope - g[k]) / (1 + fabs(slope));
      if (!(fabs(up - down) < 1)) continue;               /* a jump lies between */
      worst = miss > worst || miss != miss ? miss : worst;
    }
  }
  printf("%-12s %3d points: log density off by %.1e, gradient by %.1e\n", models[i].name, inside, gap,
         worst);
  CHECK(inside > 10);
  CHECK(gap < 1e-10);
  CHECK(worst < 1e-6);
  norn_density_free(d);
}

/* The work for a latent in each of n rows grows as n: no path stays apart. */
static void check_width(void)
{
  const char *text = "let ys = for i in 0..2000 { i * 0.001 }\n"
    "model w() { let m ~ normal(0, 1)\nfor y in ys { let k ~ bernoulli(0.4)\n"
    "observe y ~ normal(if k { m } else { 1 }, 1) } }\nw()";
  norn_datum model;
  double u = 0.3, logp, want = -0.5 * u * u - 0.91893853320467274178;
  CHECK(norn_eval(st, "width", text, strlen(text), NORN_LOAD_REPL, &model) == NORN_OK);
  norn_density *d = norn_density_new(st, model, 3, 0);
  CHECK(d && norn_density_eval(d, &u, &logp, NULL) == NORN_OK);
  for (int i = 0; i < 2000; i++) {
    double y = i * 0.001, a = y - u, b = y - 1;
    want += log(0.4 * exp(-a * a / 2) + 0.6 * exp(-b * b / 2)) - 0.91893853320467274178;
  }
  CHECK_NEAR(logp, want, 1e-10 * fabs(want));
  CHECK(norn_density_choices(d) == 2001);
  norn_density_free(d);
}

/* Rows: the terms of single observations, with what was summed out inside. */
static void check_rows(void)
{
  const char *text = "model w() { let m ~ normal(0, 1)\nobserve [0.1, 0.2] ~ normal(m, 1)\n"
    "observe 3 ~ iid(poisson(exp(m)), 1)[0]\n }\n"
    "model r() { let m ~ normal(0, 1)\nobserve [0.1, 0.2] ~ normal([m, 1], 1)\n"
    "for y in [0.5, 0.7] { let k ~ bernoulli(0.4)\nobserve y ~ normal(if k { m } else { 2 }, 1) }\n"
    "factor(m)\n m }\nr()";
  norn_datum model;
  double u = 0.3, out[4], ys[] = {0.1, 0.2, 0.5, 0.7};
  int64_t element;
  CHECK(norn_eval(st, "rows", text, strlen(text), NORN_LOAD_REPL, &model) == NORN_OK);
  norn_density *d = norn_density_new(st, model, 3, NORN_DENSITY_ROWS);
  if (!d) text_of("rows");
  CHECK(d && norn_density_rows(d) == 4);
  if (!d || norn_density_rows(d) != 4) { norn_density_free(d); return; }
  norn_density_row(d, 1, &element);
  CHECK(element == 1);
  CHECK(norn_density_loglik(d, &u, out) == NORN_OK);
  for (int i = 0; i < 4; i++) {
    double a = exp(-(ys[i] - u) * (ys[i] - u) / 2), b = exp(-(ys[i] - 2) * (ys[i] - 2) / 2);
    double c = exp(-(ys[i] - 1) * (ys[i] - 1) / 2), p = i == 0 ? a : i == 1 ? c : 0.4 * a + 0.6 * b;
    CHECK_NEAR(out[i], log(p) - 0.91893853320467274178, 1e-12);
  }
  norn_density_free(d);
}

int main(void)
{
  st = norn_new(NULL);
  norn_config_of(st)->quiet = true;
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++) check_model(i);
  check_width();
  check_rows();
  norn_free(st);
  return unit_end();
}
