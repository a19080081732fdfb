/* test_lanes: particles in lanes, and in lanes of generated code, against runs of their own: the same draws,
   weights and evidence (of smc, and of importance beside its runs that keep choices), to the bit, and the same
   errors, at numbers of particles around where groups are dissolved. */
#include "lang/state.h"
#include "unit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* m(ys) is the program; ys: 12 observations.  few: at most that many lanes may go on alone, at
   N = 1000 (-1: any). */
static const struct { const char *name; int few; const char *text; } programs[] = {
  {"lgss", 0, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\n"
   "observe y ~ normal(x2, 1)\n next x2 } }"},
  {"volatility", 0, "model m(ys) { for y in ys with h = -1.0 { let g ~ normal(-1 + 0.97 * (h + 1), 0.2)\n"
   "observe y ~ normal(0, exp(g / 2))\n next g } }"},
  {"parameters", 0, "model m(ys) { let phi ~ uniform(0, 1)\nlet s ~ exponential(1.0)\nlet idle ~ lognormal(0, 1)\n"
   "let x = for y in ys with x = 0 { let x2 ~ normal(phi * x, s)\nobserve y ~ student_t(3, x2, 1 + s^2)\n next x2 }\n"
   "{x: x, phi: phi, s: s, idle: idle} }"},
  {"rare jump", -1, "model m(ys) { for y in ys with x = 0.0 { let jump ~ bernoulli(0.1)\n"
   "let x2 ~ normal(0.9 * x, 0.5)\nlet x3 = if jump { let d ~ normal(0, 2)\n x2 + d } else { x2 }\n"
   "observe y ~ normal(x3, 1)\n next x3 } }"},
  {"geometric", -1, "fn geo(p) = if sample(bernoulli(p)) { 0 } else { 1 + geo(p) }\n"
   "model m(ys) { for y in ys with s = 0 { let k = geo(0.4)\nobserve y ~ normal(k + 0.1 * s, 1)\n next s + k } }"},
  {"model recursion", -1, "model geo(p) { let stop ~ bernoulli(p)\n if stop { 0 } else { let rest ~ geo(p)\n 1 + rest } }\n"
   "model m(ys) { let k ~ geo(0.5)\nfor y in ys { observe y ~ normal(k, 3) }\n k }"},
  {"kept", 0, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\n"
   "observe y ~ normal(x2, 1)\n next x2 keep x2 } }"},
  {"history read", 0, "model m(ys) { let r = for y in ys with x = 0.0, xs = [] { let x2 ~ normal(0.9 * x, 0.5)\n"
   "observe y ~ normal(x2 + (if len(xs) > 3 { 0.1 * xs[len(xs) - 3] } else { 0 }), 1)\n next x2, push(xs, x2) }\n"
   "sum(r.xs) + r.xs[0] }"},
  {"kept by some", -1, "model m(ys) { let r = for y in ys with x = 0.0, xs = [] { let x2 ~ normal(0.9 * x, 0.5)\n"
   "let c ~ bernoulli(0.4)\nlet z = if c { let u ~ normal(0, 1)\n x2 + 0.1 * u } else { x2 }\n"
   "observe y ~ normal(z + (if len(xs) > 40 { 0.01 * xs[len(xs) - 35] } else { 0 }), 1)\n next z, push(xs, z) }\n"
   "{sum: sum(r.xs), first: r.xs[0], all: r.xs} }"},
  {"records", 0, "model m(ys) { for y in ys with s = {x: 0.0, n: 0, v: [0.0, 1.0]} { let a ~ normal(s.x + s.v[0], 1)\n"
   "let b ~ gamma(2, 1 + s.n)\nobserve y ~ normal(a + b, 1 + s.v[1])\n next {s with x: a / 2, n: s.n + 1, v: [b, abs(a)]} } }"},
  {"closures", 0, "model m(ys) { let a ~ normal(0, 1)\nlet f = x -> a * x + 1\n"
   "for y in ys with g = f { let b ~ normal(g(0.5), 1)\nobserve y ~ normal(g(b), 2)\nlet h = g\n next (x -> h(x) / 2 + b) }\n f(2) }"},
  {"closures made", 0, "fn go(ys, t, g) = if t == len(ys) { g(1) } else { let b ~ normal(g(0.5), 1)\n"
   "observe ys[t] ~ normal(g(b), 2)\n go(ys, t + 1, x -> 0.5 * x + b) }\nmodel m(ys) { go(ys, 0, x -> x) }"},
  {"lists", 0, "type List = Nil | Cons(head, tail)\nfn total(l) = match l { Nil -> 0.0, Cons(h, t) -> h + total(t) }\n"
   "fn go(ys, t, l) = if t == len(ys) { l } else { let x ~ normal(0.3 * total(l), 1)\n"
   "observe ys[t] ~ normal(x, 1)\n go(ys, t + 1, Cons(x, l)) }\nmodel m(ys) { total(go(ys, 0, Nil)) }"},
  {"variants", -1, "type Shape = Round(r) | Square(a) | Point\n"
   "model m(ys) { for y in ys with s = Point { let k ~ categorical([0.3, 0.5, 0.2])\nlet z ~ exponential(1.0)\n"
   "let c = match s { Round(r) -> r, Square(a) -> -a, Point -> 0.0 }\nobserve y ~ normal(c, 1 + k)\n"
   " next (if k == 0 { Round(z) } else if k == 1 { Square(z) } else { Point }) } }"},
  {"ends early", -1, "fn go(ys, t, x) = if t == len(ys) { x } else { let x2 ~ normal(0.9 * x, 1)\n"
   "observe ys[t] ~ normal(x2, 1)\n if x2 > 1.5 { [x2, t] } else { go(ys, t + 1, x2) } }\nmodel m(ys) { go(ys, 0, 0.0) }"},
  {"dead", -1, "model m(ys) { for y in ys with x = 0.0 { let u ~ uniform(-1, 1)\nlet x2 = x + u\ncondition(x2 > -1)\n"
   "observe y ~ uniform(x2 - 4, x2 + 4)\n next x2 } }"},
  {"dead parameters", -1, "model m(ys) { let s ~ normal(1, 1)\nfor y in ys { observe y ~ normal(0, s) }\n s }"},
  {"side dies", -1, "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.2)\nlet x2 ~ normal(x, 1)\n"
   "factor(if c { -inf } else if x2 > 1 { -1 } else { -y^2 })\n next x2 } }"},
  {"factors", 0, "model m(ys) { let a ~ normal(0, 1)\nlet k ~ poisson(3)\nfor y in ys { factor(-abs(y - a) - k)\n"
   "condition(a < 3) }\n [a, k] }"},
  {"integers", -1, "model m(ys) { for y in ys with n = 0, b = true { let k ~ poisson(2)\nlet i ~ categorical([0.2, 0.3, 0.5])\n"
   "let j ~ discrete_uniform(0, 2)\nlet n2 = n + k * 2 - i^2 + (n // 3) % 5\nlet w = [0.5, 1.5, 2.5][i]\n"
   "observe y ~ normal(w * n2 / 7 + max(i, j), 1 + 0.1 * i)\n next n2, not b and i == j or k >= 2 } }"},
  {"nested branches", -1, "fn side(x, c) = if c { if x > 0 { x + 1 } else { let z ~ normal(x, 1)\n z } } else { 0.5 * x }\n"
   "fn deep(x, c, d) { let a = side(x, c)\n let b = side(a, d)\n a + b }\n"
   "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.5)\nlet d ~ bernoulli(inv_logit(x))\n"
   "let x2 ~ normal(deep(x, c, d) / 3, 1)\nobserve y ~ normal(x2, 1)\n next x2 } }"},
  {"uneven", -1, "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.5)\nlet x2 ~ normal(x / 2, 1)\n"
   "if c { observe y ~ normal(x2, 1)\n observe y ~ normal(0, 3) } else { observe y ~ normal(0, 1) }\n next x2 } }"},
  {"typed", -1, "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.5)\nlet s = if c { 1.0 } else { 2.5 }\n"
   "let t = if c { 3 } else { 4 }\nobserve y ~ normal(x, s)\nlet v = s * s + 0.5 * s\nlet w = t * t - t\n"
   "let x2 ~ normal(x / 2, v / w)\n next x2 } }"},
  {"loops", -1, "model m(ys) { for y in ys { let n ~ poisson(1.5)\nlet s = sum(for i in 0..n { let z ~ normal(i, 1)\n z })\n"
   "observe y ~ normal(s, 2)\n n } }"},
  {"mem", -1, "model m(ys) { let f = mem(i -> sample(normal(0, 1)))\nfor y in ys with k = 0 { let j ~ categorical([0.5, 0.3, 0.2])\n"
   "observe y ~ normal(f(j) + f(3), 1)\n next j } }"},
  {"mem of data", 0, "model m(ys) { let f = mem(i -> sample(normal(0, 1)))\nfor t in 0..len(ys) { observe ys[t] ~ normal(f(t // 3), 1) }\n f(1) }"},
  {"distributions", 0, "model m(ys) { for y in ys with x = 0.0 { let d = normal(0.5 * x, 1)\nlet x2 ~ d\nfactor(logpdf(normal(0, 2), x2))\n"
   "observe y ~ d\n next x2 } }"},
  {"arrays", -1, "model m(ys) { let mu ~ iid(normal(0, 1), 3)\nfor y in ys { let k ~ categorical([0.2, 0.3, 0.5])\n"
   "observe y ~ normal(mu[k], 1) }\n mu * 2 }"},
  {"natives", 0, "model m(ys) { for y in ys with x = 0.0 { let a ~ normal(x, 1)\nlet b ~ normal(0, 1)\nlet v = [a, b, 0.5]\n"
   "observe y ~ normal(sum(v) + max(a, b) + mean(v), 1 + abs(tanh(floor(a))))\n next sort(v)[1] } }"},
  {"strings", -1, "model m(ys) { for y in ys with w = \"\" { let k ~ categorical([0.2, 0.3, 0.5])\nlet s = [\"a\", \"b\", \"c\"][k]\n"
   "observe y ~ normal(len(w) / 5, 1)\n next \"{w}{s}{k}\" } }"},
  {"proposals", -1, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 1) via normal(y, 1)\n"
   "observe y ~ normal(x2, 1)\n next x2 } }"},
  {"missing", -1, "model m(ys) { for t in 0..len(ys) with x = 0.0 { let x2 ~ normal(0.9 * x, 1)\n"
   "let y ~ normal(x2, 1)\nobserve (if t % 3 == 0 { missing } else { ys[t] }) ~ normal(x2, 1)\n next x2 } }"},
  {"given", -1, "model n(ys) { let p ~ beta(2, 2)\nfor y in ys { let k ~ bernoulli(p)\nobserve y ~ normal(if k { 1 } else { -1 }, 2) }\n p }\n"
   "fn m(ys) = given(n(ys), {p: 0.3})"},
  {"inference inside", -1, "model n(a) { let k ~ bernoulli(0.4)\nobserve a ~ normal(if k { 1 } else { 0 }, 1)\n k }\n"
   "model m(ys) { for t in 0..3 with x = 0.0 { let x2 ~ normal(x, 1)\nlet q = infer(n(x2), enumerate())\n"
   "observe ys[t] ~ normal(prob(q, k -> k), 1)\n next x2 } }"},
  {"annotated", -1, "fn f(x: real, n: int) -> real = x * n\nmodel m(ys) { for y in ys with x = 0.0 { let k ~ poisson(2)\nlet a ~ normal(x, 1)\n"
   "observe y ~ normal(f(a, 2) + f(a, k), 1)\n next a / 4 } }"},
  {"unbounded", -1, "fn f(x) = 1 + f(x + sample(normal(0, 1)))\nmodel m(ys) { let x ~ normal(0, 1)\n"
   "observe ys[0] ~ normal(if x > 2 { f(x) } else { x }, 1)\n x }"},
  {"unbounded in all", -1, "fn f(x) = 1 + f(x + sample(normal(0, 1)))\nmodel m(ys) { let x ~ normal(0, 1)\n"
   "observe ys[0] ~ normal(f(x), 1)\n x }"},
  {"index outside", -1, "model m(ys) { let k ~ poisson(1)\nfor y in ys { observe y ~ normal([1, 2, 3][k], 1) }\n k }"},
  {"overflow", -1, "model m(ys) { for y in ys with n = 1 { let k ~ poisson(1)\nobserve y ~ normal(k, 1)\n next (n + 4)^4 + k } }"},
  {"wrong kind", -1, "model m(ys) { let k ~ bernoulli(0.1)\nlet x ~ normal(0, 1)\nobserve ys[0] ~ normal(x + (if k { \"a\" } else { 1 }), 1)\n x }"},
  {"no case", -1, "model m(ys) { let k ~ categorical([0.5, 0.4, 0.1])\nlet x = match k { 0 -> 1.0, 1 -> 2.0 }\n"
   "observe ys[0] ~ normal(x, 1)\n x }"},
  {"bad parameter", -1, "model m(ys) { observe ys[0] ~ normal(0, -1)\n 1 }"},
  {"taken twice", -1, "model m(ys) { let x ~ normal(0, 1) as \"a\"\nlet z ~ normal(0, 1) as \"a\"\nobserve ys[0] ~ normal(x, 1)\n z }"},
  {"select", 0, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.8)\nlet k ~ poisson(1)\n"
   "let a = if x2 > 0 { x2 } else { 0.3 * x2 + 0.1 }\n"
   "let b = if a > 1 and x2 < 1.5 { a + 1 } else if a < -1 or k == 2 { -a } else { max(a, 0.5) }\n"
   "let c = if k > 1 { k - 1 } else { 2 * k }\nlet d = k == 0 or b > 0.7\n"
   "let e = if d { if a < 0.2 { sqrt(abs(b)) } else { exp(-a) } } else { b^2 }\n"
   "let f = if not d { 1.5 } else { 2.0 }\nlet g = if x2 > 0.25 { true } else { d }\n"
   "observe y ~ normal(b / 3 + e / 5 + c, 1)\nfactor(if g { -0.1 } else { -0.2 })\n next 0.3 * (a + b) / f } }"},
  {"select returns", 0, "fn relu(x) = if x > 0 { x } else { 0.1 * x }\n"
   "fn three(x) = if x > 1 { 1.0 } else if x < -1 { -1.0 } else { x * x }\n"
   "fn typed(c) = if c { 1.0 } else { 2.5 }\n"
   "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1)\nlet c ~ bernoulli(0.4)\n"
   "observe y ~ normal(relu(x2) + three(x2) + (if c { relu(-x2) } else { 0.0 }), typed(c) * typed(not c))\n"
   " next three(x2) } }"},
  {"select elements", 0, "model m(ys) { let w = [0.5, 1.5, 2.5]\nfor y in ys with x = 0.0, v = [0.0, 0.5] {\n"
   "let i ~ discrete_uniform(0, 6)\nlet x2 ~ normal(x, 1)\nlet s = {a: x2, b: 0.5}\n"
   "let a = if i > 2 { if i < 5 { s.b } else { 0.25 } } else { w[i] + s.a }\n"
   "let b = if i > 0 { 6 / i } else { 0.75 }\nlet c = if i > 1 { 7 % i } else { len(w) }\n"
   "let z = if c > 1 { v[0] } else { v[1] }\n"
   "observe y ~ normal(a + z, 1 + b)\n next x2 / 3, [c * 0.2, x2] } }"},
  {"select draws", 0, "model m(ys) { for y in ys with x = 0.0 { let jump ~ bernoulli(0.1)\nlet x2 ~ normal(0.9 * x, 0.5)\n"
   "let x3 = if jump { let far ~ normal(x2, 2)\n far } else { x2 }\n"
   "let x4 = if x3 > 0 { let d ~ exponential(2)\n x3 + d } else if x3 < -1 { let d ~ normal(0, 1)\n d } else { x3 }\n"
   "observe y ~ normal(x4, 1)\n next x4 } }"},
  {"select of two kinds", -1, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1)\nlet z = if x2 > 0 { x2 } else { 0 }\n"
   "observe y ~ normal(z, 1)\n next z } }"},
  {"select of what fails", -1, "model m(ys) { for y in ys with x = 0.0, n = 1 { let x2 ~ normal(x, 1)\nlet k ~ poisson(1)\n"
   "let z = if x2 > 0 { let d ~ normal(0, x2)\n d } else { -0.5 }\n"
   "let n2 = if n < 1000000 { (n + k) * (n + 1) * (n + 2) } else { 1 }\n"
   "observe y ~ normal(z + [1, 2, 3][(if k > 4 { 7 } else { k // 2 })], 1)\n next z, n2 } }"},
  {"select, taken twice", -1, "model m(ys) { let c ~ bernoulli(0.5)\nlet x = if c { let a ~ normal(0, 1)\n a } else { let a ~ normal(1, 1)\n a }\n"
   "let z = if x > -9 { let b ~ normal(x, 1) as \"a\"\n b } else { 0.0 }\nobserve ys[0] ~ normal(z, 1)\n z }"},
  {"own distribution", -1, "distribution shifted(a) {\n sample = () -> { let u ~ uniform(0, 1)\n a + u }\n"
   " logpdf = x -> if x >= a and x <= a + 1 { 0 } else { -inf }\n support = real\n}\n"
   "model m(ys) { for y in ys with x = 0.0 { let z ~ shifted(x / 2)\nobserve y ~ normal(z, 1)\n next z } }"},
};

static norn_state *st;
static bool stress;           /* collect at every safepoint */
static const char *engine = "smc";
static const char *observed = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7, 1.9, -1.1, 0.4, 0.0, 1.0, 0.6]";

/* What came of a run: a hash of draws and weights, the evidence, or the error. */
typedef struct outcome {
  uint64_t hash; size_t n;
  char evidence[64], error[900];
  int64_t alone, generated;
} outcome;

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
  const unsigned char *s = p;
  for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 0x100000001b3u;
  return h;
}

static bool drawn(void *user, norn_infer *inf, const norn_drawn *d)
{
  outcome *o = user;
  const char *shown = norn_show(st, d->value, true, 0);
  (void)inf;
  o->hash = mix(o->hash, &d->logw, sizeof d->logw);
  o->hash = mix(o->hash, shown, strlen(shown));
  o->n++;
  return true;
}

static void run(const char *model, const char *executor, const char *options, outcome *o)
{
  char program[4000];
  norn_config c = norn_config_default();
  norn_datum out, v;
  memset(o, 0, sizeof *o);
  c.seed = 7;
  c.threads = 3;                                   /* of generated code, from 4096 lanes on */
  c.quiet = true;
  c.max_depth = 3000;
  st = norn_new(&c);
  norn_on_draw(st, drawn, o);
  st->heap.stress = stress && strcmp(executor, "scalar");
  snprintf(program, sizeof program,
           "let ys = %s\n%s\n"
           "let post = infer(m(ys), %s(executor = \"%s\", delayed = false%s))\n"
           "info(post)",
           observed, model, engine, executor, options);
  if (norn_eval(st, "lanes.norn", program, strlen(program), 0, &out))
  {
    norn_error_text(st, norn_error(st), o->error, sizeof o->error);
    CHECK(norn_error(st)->span.file > 0);
    CHECK(!norn_eval(st, "after.norn", "1 + 1", 5, 0, &out) && out.i == 2);      /* nothing is lost */
  } else {
    snprintf(o->evidence, sizeof o->evidence, "%s", norn_show(st, norn_record_get(st, out, "log_evidence"), true, 0));
    v = norn_record_get(st, out, "lanes_alone");
    o->alone = v.tag == NORN_INT ? v.i : -1;
    v = norn_record_get(st, out, "generated_legs");
    o->generated = v.tag == NORN_INT ? v.i : -1;
  }
  norn_free(st);
}

static bool is_same(const outcome *a, const outcome *b)
{
  return a->hash == b->hash && a->n == b->n && !strcmp(a->evidence, b->evidence) && !strcmp(a->error, b->error);
}

static int generated_somewhere, generated_importance;   /* programs of which generated code ran a leg */

static void compare(const char *name, const char *program, const char *options, int few)
{
  static const char *const executors[] = { "lanes", "generated" };
  outcome a, b;
  run(program, "scalar", options, &a);
  CHECK(a.n > 0 || a.error[0]);
  for (int i = 0; i < 2; i++) {
    run(program, executors[i], options, &b);
    bool same = is_same(&a, &b), alone = few < 0 || b.alone <= few;
    CHECK(same);
    CHECK(alone);
    if (getenv("LANES_SAY"))
      printf("%-18s %-42s %6zu alone %lld generated %lld %s %s\n", name, options, b.n, (long long)b.alone,
             (long long)b.generated, b.evidence, b.error);
    if (!same)
      fprintf(stderr, "  %s (%s): %zu draws, %s, %s\n  %s: %zu draws, %s, %s\n", name, options, a.n, a.evidence,
              a.error, executors[i], b.n, b.evidence, b.error);
    if (!alone) fprintf(stderr, "  %s (%s): %lld lanes went on alone\n", name, options, (long long)b.alone);
    generated_somewhere += b.generated > 0;
  }
}

/* Importance: the runs that keep choices are the reference.  Which of several errors is met first depends on
   the order; what `via` and an observation after it weigh is added up in another order. */
static void compare_importance(const char *name, const char *program, int n)
{
  static const char *const executors[] = { "auto", "scalar", "lanes", "generated" };
  outcome a, b;
  char options[60];
  bool is_near = !strcmp(name, "proposals");
  engine = "importance";
  snprintf(options, sizeof options, ", n = %d", n);
  run(program, "auto", options, &a);
  CHECK(a.n > 0 || a.error[0]);
  snprintf(options, sizeof options, ", n = %d, keep = \"value\"", n);
  for (int i = 0; i < 4; i++) {
    run(program, executors[i], options, &b);
    bool same = a.error[0]  ? b.error[0] != 0
                : is_near   ? a.n == b.n && !b.error[0] && fabs(atof(a.evidence) - atof(b.evidence)) < 1e-9
                            : is_same(&a, &b);
    CHECK(same);
    if (!same)
      fprintf(stderr, "  importance, %s (%d): %zu draws, %s, %s\n  %s: %zu draws, %s, %s\n", name, n, a.n, a.evidence,
              a.error, executors[i], b.n, b.evidence, b.error);
    generated_importance += b.generated > 0;
  }
  engine = "smc";
}

/* ---- numbers that all return at once ---- */

/* Values and weights of a posterior as text, to be freed.  Nobody hears the draws, as when a program runs: only
   then are numbers taken as the vector that they are. */
static char *text_of_draws(const char *model, const char *executor, const char *options)
{
  char program[2000];
  norn_config c = norn_config_default();
  norn_datum out;
  c.seed = 7;
  c.quiet = true;
  st = norn_new(&c);
  snprintf(program, sizeof program,
           "let ys = %s\n%s\nlet post = infer(m(ys), smc(executor = \"%s\", delayed = false%s))\n"
           "[values(post), weights(post)]",
           observed, model, executor, options);
  CHECK(!norn_eval(st, "numbers.norn", program, strlen(program), 0, &out));
  const char *shown = norn_show(st, out, true, 0);
  char *copy = malloc(strlen(shown) + 1);
  strcpy(copy, shown);
  norn_free(st);
  return copy;
}

static void test_numbers(void)
{
  static const char *const models[] = {
    "model m(ys) { let x ~ normal(0, 1)\nfor y in ys { observe y ~ normal(x, 1) }\n3 * x }",
    "model m(ys) { let x ~ normal(0, 1)\ncondition(x > -1)\nx }",
    "model m(ys) { let x ~ normal(0, 1)\nfor y in ys { observe y ~ normal(x, 1)\ncondition(x < y + 3) }\nx }",
    "model m(ys) { let k ~ poisson(2)\nfor y in ys { observe y ~ normal(k, 1) }\nk + 1 }",
    "model m(ys) { let b ~ bernoulli(0.3)\nlet x ~ normal(0, 1)\nfactor(x)\nb }",
    "model m(ys) { let x ~ normal(0, 1)\nobserve 0.5 ~ uniform(0, exp(x))\nx }",
  };
  static const char *const options[] = {
    ", particles = 16, threshold = 1", ", particles = 17, threshold = 0", ", particles = 1003, threshold = 1",
    ", particles = 1024, threshold = 0",
  };
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++)
    for (int k = 0; k < (int)(sizeof options / sizeof *options); k++) {
      char *lanes = text_of_draws(models[i], "lanes", options[k]);
      char *scalar = text_of_draws(models[i], "scalar", options[k]);
      bool same = !strcmp(lanes, scalar);
      CHECK(same);
      if (!same) fprintf(stderr, "  numbers (%s) of %s\n", options[k], models[i]);
      free(lanes);
      free(scalar);
    }
}

/* Lanes that ended together and are copied have the copied numbers, which are no vector in order any more. */
static void test_numbers_copied(void)
{
  enum { N = 20 };
  const char *program = "model m() { let x ~ normal(0, 1)\nfactor(x)\nx }";
  const uint32_t to[] = { 3, 7, 19 }, from[] = { 2, 5, 18 };
  norn_lanes_leg leg = { .dead = NULL };
  norn_datum model;
  double logw[N + 32] = { 0 };
  uint64_t tag;
  st = norn_new(NULL);
  CHECK(!norn_eval(st, "copied.norn", program, strlen(program), 0, &model));
  CHECK(!norn_call(st, norn_global(st, "m"), NULL, 0, &model));
  norn_run *r = norn_run_new(st, model, NULL, 0);
  norn_run_stream(r, 99, 0, 0);
  norn_run_flags(r, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW);
  norn_lanes *l = norn_lanes_new(r, N);
  while (norn_lanes_next(l, logw, &leg) == NORN_OBSERVE && leg.running) { }
  const double *x = norn_lanes_numbers(l, &tag);
  CHECK(x && tag == NORN_REAL);
  for (int i = 0; x && i < N; i++) CHECK(x[i] == logw[i] && norn_lanes_value(l, (size_t)i).d == logw[i]);
  CHECK(norn_lanes_copy(l, to, from, 3));
  CHECK(!norn_lanes_numbers(l, &tag));
  for (int k = 0; k < 3; k++) CHECK(norn_lanes_value(l, to[k]).d == logw[from[k]]);
  CHECK(norn_lanes_value(l, 4).d == logw[4]);
  norn_lanes_free(l);
  norn_free(st);
}

/* A cache of its own, and a compiler that is quick. */
static char cache[] = "/tmp/norn-lanes-XXXXXX";
static void cache_begin(void)
{
#ifdef __SANITIZE_ADDRESS__      /* one lane, and looked at by the sanitizers too */
  static const char *const mine = " -O1 -DLANES=1 -fsanitize=address,undefined -fno-sanitize-recover=undefined";
#else
  static const char *const mine = " -O0";
#endif
  char cc[300];
  const char *given = getenv("CC");
  snprintf(cc, sizeof cc, "%s%s", given && *given ? given : "cc", mine);
  bool made = mkdtemp(cache) && !setenv("XDG_CACHE_HOME", cache, 1) && !setenv("CC", cc, 1);
  CHECK(made);
}
static void cache_end(void)
{
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s", cache);
  int gone = system(command);
  CHECK(gone == 0);
}

/* Where no compiler is to be had, auto does without, and "generated" is an error that says so. */
static void without_compiler(void)
{
  outcome a, b;
  char folder[200], *was = strdup(getenv("CC"));
  snprintf(folder, sizeof folder, "%s/none", cache);
  bool set = !setenv("CC", "/bin/false", 1) && !setenv("XDG_CACHE_HOME", folder, 1) && !mkdir(folder, 0700);
  CHECK(set);
  run(programs[0].text, "scalar", ", particles = 100", &a);
  run(programs[0].text, "auto", ", particles = 100", &b);
  CHECK(is_same(&a, &b) && b.generated <= 0);
  run(programs[0].text, "generated", ", particles = 100", &b);
  CHECK(strstr(b.error, "there is no generated code for these particles: the C compiler did not make it"));
  set = !setenv("CC", was, 1) && !setenv("XDG_CACHE_HOME", cache, 1);
  CHECK(set);
  free(was);
}

int main(int argc, char **argv)
{
  static const char *const options[] = {
    ", particles = 2", ", particles = 15, threshold = 1", ", particles = 16", ", particles = 17, threshold = 1",
    ", particles = 100", ", particles = 1000, threshold = 1", ", particles = 1003, resample = \"multinomial\"",
  };
  cache_begin();
  if (argc < 2) without_compiler();
  if (argc < 2 || !strcmp(argv[1], "numbers")) {
    test_numbers();
    test_numbers_copied();
  }
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++) {
    if (argc > 1 && strcmp(argv[1], programs[i].name)) continue;
    for (int k = 0; k < (int)(sizeof options / sizeof *options); k++)
      compare(programs[i].name, programs[i].text, options[k], k >= 5 ? programs[i].few : -1);
    compare_importance(programs[i].name, programs[i].text, 17);
    compare_importance(programs[i].name, programs[i].text, 1000);
  }
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++) {
    static const char *const large[] = { "lgss", "parameters", "integers", "dead parameters", "mem of data" };
    for (int k = 0; k < (int)(sizeof large / sizeof *large); k++)
      if (!strcmp(large[k], programs[i].name) && (argc < 2 || !strcmp(argv[1], programs[i].name)))
        compare(programs[i].name, programs[i].text, ", particles = 5003, threshold = 1", -1);
  }
  observed = "for t in 0..200 { sin(t * t) }";         /* histories long enough to be closed up */
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++) {
    static const char *const longs[] = { "kept", "history read", "closures made", "rare jump", "dead", "ends early",
                                         "nested branches", "parameters", "kept by some" };
    bool is_long = false;
    for (int k = 0; k < (int)(sizeof longs / sizeof *longs); k++) is_long |= !strcmp(longs[k], programs[i].name);
    if (!is_long || (argc > 1 && strcmp(argv[1], programs[i].name))) continue;
    compare(programs[i].name, programs[i].text, ", particles = 100, threshold = 1", -1);
    compare(programs[i].name, programs[i].text, ", particles = 300", -1);
  }
  observed = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7]";
  stress = true;
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++)
    if (argc < 2 || !strcmp(argv[1], programs[i].name))
      compare(programs[i].name, programs[i].text, ", particles = 40", -1);
  cache_end();
  CHECK(argc > 1 || (generated_somewhere > 100 && generated_importance > 20));
  return unit_end();
}
