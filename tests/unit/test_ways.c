/* test_ways: branches on parameters, recorded both ways, beside recordings of one way each: the same densities,
   derivatives and returned values on both sides, whatever NaN the way that is not gone has; derivatives are what
   differences say; eight points at once; which branches leave guards. */
#include "norn.h"
#include "infer/gradient/density.h"
#include "lang/state.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

static norn_state *st;

/* BOTH: one recording serves all points.  GUARDS: some branch leaves guards, and the density is right all the same. */
enum { BOTH, GUARDS };
#define DATA "let ys = for i in 0..21 { (i * 17 % 23) / 7.0 - 1.5 }\n"
static const struct { const char *name, *text; int how; } programs[] = {
  { "expression", DATA "model m() { let a ~ normal(0, 1)\nlet s ~ exponential(1)\nlet w = if a > 0.2 { s } else { 2 * s + 1 }\n"
    "for y in ys { observe y ~ normal(a, w) }\n[a, w] }", BOTH },
  { "no else", "model m() { let a ~ normal(0, 1)\nif a > 0.3 { factor(-a) }\na }", BOTH },
  { "observes", DATA "model m() { let a ~ normal(0, 1)\nif a < 0 { for y in ys { observe y ~ normal(a, 1) } } else {\n"
    "observe 0.5 ~ student_t(3, a, 2)\nfactor(-a * a) }\na }", BOTH },
  { "same choice", "model m() { let a ~ normal(0, 1)\nlet b = if a > 0 { let t ~ normal(a, 1); t } else { let t ~ normal(-a, 2); t * 2 }\n"
    "observe 1 ~ normal(b, 1)\n[a, b] }", BOTH },
  { "nested", "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet m = if a > 0 { if b > 0 { a + b } else { a - b } } "
    "else if b < -0.5 { 0 } else { a * b }\nobserve 0.7 ~ normal(m, 1)\nm }", BOTH },
  { "change point", DATA "model m() { let tau ~ uniform(0, 21)\nlet a ~ normal(0, 1)\nlet b ~ normal(0, 1)\n"
    "for i in 0..21 { observe ys[i] ~ normal(if i < tau { a } else { b }, 0.7) }\ntau }", BOTH },
  { "map", DATA "model m() { let k ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet mu = map(ys, u -> if u < k { b * (u - k) } else { u - k })\n"
    "observe ys ~ normal(mu, 1)\nmu }", BOTH },
  { "scan", DATA "model m() { let a ~ normal(0, 1)\nlet c ~ normal(0, 1)\nfor y in ys with h = 0.0 { let g = if h > c { a + 0.5 * h } "
    "else { 1 - 0.3 * h }\nobserve y ~ normal(g, 1)\nnext 0.5 * g + 0.2 * y } }", BOTH },
  { "recursion", DATA "fn walk(i, h, a, b) = if i == len(ys) { h } else { walk(i + 1, if h > a { 0.5 * h + ys[i] * 0.1 } else { b * 0.1 + 0.2 * h }, a, b) }\n"
    "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet h = walk(0, 0.0, a, b)\nobserve 0.7 ~ normal(h, 0.3)\nh }", BOTH },
  { "recursion by its condition", "fn halve(x, n) = if x < 0.1 { n + x } else { halve(x / 2, n + 1) }\n"
    "model m() { let a ~ exponential(1)\nlet h = halve(a, 0)\nobserve 3 ~ normal(h, 1)\nh }", GUARDS },
  { "and, or", DATA "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet inside = a > -1 and a < 1 and (b > 0 or b < -1)\n"
    "for y in ys { observe y ~ normal(if inside { a } else { b }, 1) }\nlet out = not inside\n[inside, out, inside == (a > 0), inside != true] }", BOTH },
  { "truth is looked at", "model m() { let a ~ normal(0, 1)\nlet f = a > 0\nobserve true ~ bernoulli(if f { 0.3 } else { 0.6 })\nobserve f ~ bernoulli(0.25)\na }", GUARDS },
  { "whole numbers", "model m() { let a ~ normal(0, 1)\nlet k = if a > 1 { 2 } else if a > 0 { 1 } else { 0 }\n"
    "let m = match k { 0 -> a, 1 -> 2 * a, _ -> 3 }\nobserve 1.1 ~ normal(m, 1)\n[k, k + 1, 2 * k - 5, -k] }", BOTH },
  { "an index", "let c = [0.5, 1.5, 3]\nmodel m() { let a ~ normal(0, 1)\nlet k = if a > 1 { 2 } else if a > 0 { 1 } else { 0 }\n"
    "observe 1.1 ~ normal(c[k] + a, 1)\nk }", GUARDS },
  { "a length", "model m() { let a ~ normal(0, 1)\nlet v = if a > 0 { [a, 1.0] } else { [a, 2.0, 3.0] }\nobserve 1 ~ normal(sum(v), 1)\nv }", GUARDS },
  { "arrays", "model m() { let a ~ normal(0, 1)\nlet v = if a > 0 { [[a, 1.0], [2.0, 3.0]] } else { [[0.5, a], [a * a, 3.0]] }\n"
    "observe 1 ~ normal(sum(v[0]) + v[1][0] * v[1][1], 1)\nv }", BOTH },
  { "records", "model m() { let a ~ normal(0, 1)\nlet v = if a > 0 { { x: a, y: [1, 2.5] } } else { { x: 0, y: [a, 2.5] } }\n"
    "observe 1 ~ normal(v.x + v.y[0], 1)\n{ v: v.x, w: v.y } }", BOTH },
  { "variants", "type T = A(u) | B(u)\nmodel m() { let a ~ normal(0, 1)\nlet v = if a > 0 { A(a) } else { A(1 - a) }\n"
    "let w = if a > 0.5 { A(1) } else { B(2) }\nlet x = match v { A(u) -> u, B(u) -> 9 }\nlet y = match w { A(u) -> u, B(u) -> a }\n"
    "observe 1 ~ normal(x + y, 1)\nx + y }", GUARDS },
  { "functions", "model m() { let a ~ normal(0, 1)\nlet k = a * 2\nlet f = if a > 0 { x -> x * k } else { x -> x - a }\nlet g = y -> if y > 1 { y * y } else { a }\n"
    "observe 1 ~ normal(f(2) + g(a) + g(a + 1), 1)\nf(1) }", GUARDS },
  { "distributions", "model m() { let a ~ normal(0, 1)\nlet d = if a > 0 { normal(a, 1) } else { normal(0, 2 - a) }\nobserve 0.4 ~ d\nlogpdf(d, 0.2) }", BOTH },
  { "log", "model m() { let x ~ normal(0, 1)\nif x > 0 { observe 1 ~ normal(log(x), 1) } else { observe 1 ~ normal(-x, 1) }\nx }", BOTH },
  { "scale", "model m() { let s ~ normal(0, 1)\nif s > 0 { observe 0.3 ~ normal(0, s) } else { observe 0.3 ~ normal(0.1, -s) }\ns }", BOTH },
  { "sqrt", "model m() { let x ~ normal(0, 1)\nlet y = if x > 0 { sqrt(x) } else { x }\nobserve 0.2 ~ normal(y, 1)\ny }", BOTH },
  { "power", "model m() { let x ~ normal(0, 1)\nlet y = if x > 0 { x ^ 1.5 + 1 / x } else { exp(x) / (1 - x) }\nobserve 0.2 ~ normal(y, 1)\ny }", BOTH },
  { "beta", DATA "model m() { let a ~ normal(0, 2)\nfor y in ys { if a > y { observe 0.3 ~ beta(a - y + 0.1, 2) } else { observe 0.6 ~ gamma(y - a + 0.1, exp(a)) } }\na }", BOTH },
  { "nested domains", "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nif a > 0 { if b > a { observe 0.4 ~ gamma(b - a, a) } else { observe 2 ~ poisson(a) } } "
    "else { if b > 0 { observe true ~ bernoulli(1 / (1 + b)) } else { observe 3 ~ weibull(-a, -b) } }\na }", BOTH },
  { "uniform", "model m() { let a ~ normal(0, 1)\nif a > 0 { observe 0.1 ~ uniform(-a - 1, a) } else { factor(a) }\na }", GUARDS },
  { "matrix", "model m() { let a ~ normal(0, 1)\nif a > 0 { observe [0.1, 0.2] ~ multi_normal([a, 0], [[1, 0.2], [0.2, 1]]) } else { factor(a) }\na }", GUARDS },
  { "condition", "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\ncondition(a < b + 1)\nobserve 1 ~ normal(a + b, 1)\na }", BOTH },
  { "condition in a way", "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nif a > 0 { condition(b > 0)\nfactor(b) } else { condition(b < 1) }\na }", BOTH },
  { "literals", "fn step(x) = if x > 0 { 1.0 } else { 2.0 }\nmodel m() { let a ~ normal(0, 1)\nlet w = if a > 0.1 { 1.0 } else { 2.0 }\nlet v = w * 3.0 + 1.0\n"
    "let n = if a > 0.4 { 5 } else { 7 }\nlet k = n * 2 - 1\nlet q = if v > 4.5 { k } else { 0 }\n"
    "observe 1 ~ normal(step(a) * 2.0 + 0.1 * v + 0.1 * q, 1)\n[v, k, q, step(a) - 1.0] }", BOTH },
  { "typed carry", DATA "model m() { let a ~ normal(0, 1)\nlet h = for y in ys with h = 0.0 { next if y > a { h * 0.5 + 1.0 } else { h * 0.25 } }\n"
    "observe 0.4 ~ normal(h, 1)\nh }", BOTH },
  { "loops and calls", DATA "fn far(y, a) = if y > a { abs(y) } else { early(y) + a }\nfn early(y) = if y < 0 { 0 - y } else { y * y }\n"
    "model m() { let a ~ normal(0, 1)\nlet t = if a > 0 { let s = for y in ys with s = 0 { next s + far(y, a) }\ns / 21 } else { max(for y in ys { y * a }) }\n"
    "observe 1 ~ normal(t, 1)\nt }", BOTH },
  { "tail", "fn early(a) = a * 2\nfn late(a, b) = a - b\nfn pick(a) = if a > 0 { early(a) } else { late(a, 3) }\n"
    "model n(a) = if a > 0 { observe 1 ~ normal(a, 1)\na } else { observe 2 ~ normal(a, 1)\n0 }\n"
    "model m() { let a ~ normal(0, 1)\nlet r ~ n(a - 0.3)\nlet b = pick(a) + r\nobserve 1 ~ normal(b, 1)\nb }", BOTH },
  { "kept", DATA "model m() { let a ~ normal(0, 1)\nlet v = for y in ys { if y > a { a } else { y } }\nlet w = for y in ys with s = 0 { if y > a { next s + a keep s } else { next s - 1 keep a } }\n"
    "observe 1 ~ normal(mean(v), 1)\nw }", BOTH },
  { "captured", "model m() { let a ~ normal(0, 1)\nfn self(n) = if n <= 0 { a } else { let r = self(n - 1); if r > 0.1 { r * 0.5 } else { r + 1 } }\n"
    "observe 1 ~ normal(self(4), 1)\nself(3) }", BOTH },
  { "summed out", DATA "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nfor y in ys { let z ~ bernoulli(0.3)\nobserve y ~ normal(if z { if a > y { a } else { b } } else { 0 }, 1) }\na }", BOTH },
  { "discrete in a way", "model m() { let a ~ normal(0, 1)\nif a > 0 { let z ~ bernoulli(0.3)\nobserve 1 ~ normal(if z { a } else { 0 }, 1) }\na }", GUARDS },
  { "min and max", DATA "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet c = clamp(a, -0.5, 0.5) + max(b, 0) + abs(a) + min([a, b, 1])\nobserve 0.3 ~ normal(c, 1)\nc }", BOTH },
  { "until", "model m() { let a ~ exponential(1)\nlet x = iterate(a, 3, x -> if x > 0.2 { x * 0.5 } else { x })\nlet y = until(a, x -> x < 0.3, x -> x / 2)\nobserve 1 ~ normal(x + y, 1)\na }", GUARDS },
  { "an error", "model m() { let a ~ normal(0, 1)\nlet v = [1, 2]\nlet w = if a > 0 { v[0] * a } else { if a < -90 { v[7] } else { a } }\nobserve 1 ~ normal(w, 1)\nw }", GUARDS },
  { "equal", "model m() { let a ~ normal(0, 1)\nlet k = round(a)\nlet w = if a == 0 { 5 } else { a }\nobserve 1 ~ normal(w, 1)\nw }", GUARDS },
};

static void text_of(const char *what)
{
  char b[900];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "  %s: %s\n", what, b);
  norn_clear(st);
}

/* From here on as if no branch could be recorded both ways. */
static void guards_only(norn_density *d)
{
  for (int i = 0; i < d->ntape; i++) tape_free(d, &d->tape[i]);
  d->ntape = 0;
  d->last = NULL;
  d->pinned = false;
  d->branches = BRANCHES_NONE;
}

static uint64_t sides(const norn_density *d)
{
  uint64_t h = d->last->made;
  const graph *g = d->last->g;
  for (size_t i = 0; i < g->nbranch; i++)
    h = 31 * h + (program_value(d->last->p, g->branch[i].condition) != 0);
  return h;
}

/* The derivative by differences, where both points go the same ways; NaN: they don't. */
static double difference(norn_density *d, const double *u, int64_t n, int64_t k)
{
  double v[16], up, down;
  const double h = 1e-5;
  memcpy(v, u, (size_t)n * sizeof *v);
  norn_density_eval(d, u, &up, NULL);
  uint64_t here = d->last ? sides(d) : 0;
  v[k] = u[k] + h;
  norn_density_eval(d, v, &up, NULL);
  bool same = d->last && sides(d) == here;
  v[k] = u[k] - h;
  norn_density_eval(d, v, &down, NULL);
  same = same && d->last && sides(d) == here;
  return same ? (up - down) / (2 * h) : (double)NAN;
}

static void differ(const char *name, norn_datum a, norn_datum b)
{
  fprintf(stderr, "  %s: %s", name, norn_show(st, a, true, 200));
  fprintf(stderr, ", not %s\n", norn_show(st, b, true, 200));
}

static void check_points(norn_density *d, norn_density *one, const char *name, uint32_t lane)
{
  enum { N = 40 };
  int64_t n = norn_density_dim(d);
  norn_rng rng = { .stream = 5, .lane = lane };
  double u[16], g[16], h[16], logp, way, gap = 0, worst = 0, slope = 0;
  int inside = 0;
  norn_datum value, other;
  for (int round = 0; round < N; round++) {
    for (int64_t k = 0; k < n; k++) u[k] = 1.3 * norn_rng_normal(&rng);
    if (norn_density_eval(d, u, &logp, g) || norn_density_eval(one, u, &way, h)) { text_of(name); CHECK(0); return; }
    CHECK((logp > -HUGE_VAL) == (way > -HUGE_VAL));
    if (!(logp > -HUGE_VAL && way > -HUGE_VAL)) continue;
    inside++;
    gap = fmax(gap, fabs(logp - way) / (1 + fabs(way)));
    for (int64_t k = 0; k < n; k++) {
      double s = difference(d, u, n, k);
      worst = fmax(worst, fabs(g[k] - h[k]) / (1 + fabs(h[k])));
      if (s == s) slope = fmax(slope, fabs(g[k] - s) / (1 + fabs(s)));
    }
    bool good = !norn_density_value(d, u, &value);
    norn_ref *kept = norn_keep(st, value);
    good = good && !norn_density_value(one, u, &other);
    bool same = good && kept && norn_equal(norn_get(kept), other);
    if (!same && good) differ(name, norn_get(kept), other);
    CHECK(same);
    norn_drop(kept);
  }
  if (!(gap < 1e-12 && worst < 1e-11 && slope < 2e-5) || inside < N / 4)
    fprintf(stderr, "  %s: off by %g, %g, %g from differences; %d inside\n", name, gap, worst, slope, inside);
  CHECK(gap < 1e-12);
  CHECK(worst < 1e-11);
  CHECK(slope < 2e-5);
  CHECK(inside >= N / 4);
}

static void check_lanes(norn_density *d)
{
  int64_t n = norn_density_dim(d);
  norn_rng rng = { .stream = 6 };
  double u[8 * 16], g[8 * 16], one[16], logp[8], l;
  d->always_lanes = true;
  for (int64_t k = 0; k < 8 * n; k++) u[k] = norn_rng_normal(&rng);
  norn_density_eval(d, u, &l, NULL);
  CHECK(norn_density_eval_many(d, 8, u, logp, g) == NORN_OK);
  for (int b = 0; b < 8; b++) {
    norn_density_eval(d, u + b * n, &l, one);
    CHECK(l == logp[b] || fabs(l - logp[b]) < 1e-12 * (1 + fabs(l)));
    for (int64_t k = 0; k < n && l > -HUGE_VAL; k++) CHECK(fabs(one[k] - g[b * n + k]) < 1e-10 * (1 + fabs(one[k])));
  }
}

static void check_program(int i)
{
  char written[2400];
  norn_datum model;
  const char *name = programs[i].name;
  snprintf(written, sizeof written, "%s\nm()", programs[i].text);
  if (norn_eval(st, name, written, strlen(written), 0, &model)) { text_of(name); CHECK(0); return; }
  norn_ref *kept = norn_keep(st, model);
  norn_density *d = norn_density_new(st, model, 7, 0), *one = norn_density_new(st, norn_get(kept), 7, 0);
  if (!d || !one) { text_of(name); CHECK(0); return; }
  guards_only(one);
  check_points(d, one, name, (uint32_t)i);
  size_t guards = 0;
  for (int k = 0; k < d->ntape; k++) guards += d->tape[k].g->nguard;
  bool both = d->ntape == 1 && !guards;
  if (both != (programs[i].how == BOTH)) fprintf(stderr, "  %s: %d recordings, %zu guards\n", name, d->ntape, guards);
  CHECK(both == (programs[i].how == BOTH));
  check_lanes(d);
  norn_density_free(d);
  norn_density_free(one);
  norn_drop(kept);
}

int main(int argc, char **argv)
{
  for (int stress = 0; stress < 2; stress++) {          /* where every safepoint collects, too */
    st = norn_new(NULL);
    st->heap.stress = stress;
    for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++)
      if (argc < 2 || !strcmp(argv[1], programs[i].name)) check_program(i);
    norn_free(st);
  }
  return unit_end();
}
