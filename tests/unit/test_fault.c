/* test_fault.c: the n-th request for memory fails, for n = 1, 2, 3, ... and ever wider steps, in whole
   programs from text to posterior.  Nothing crashes or leaks, and the state works afterwards.  What
   follows the failure may be handled (a cache not kept), so a program may also end well. */
#include "unit.h"
#include "lang/state.h"
#include <stdlib.h>

static const char *const programs[] = {
  /* the language */
  "type Tree = Leaf(value) | Node(left, right)\n"
  "fn build(n) = if n == 0 { Leaf(1) } else { Node(build(n - 1), build(n - 1)) }\n"
  "fn total(t) = match t { Leaf(v) -> v, Node(l, r) -> total(l) + total(r) }\n"
  "fn deep(n) = if n == 0 { 0 } else { 1 + deep(n - 1) }\n"
  "fn loc(n) { fn f(k, s = 1) = if k == 0 { n } else { g(k - s) }; fn g(k) = f(k, s = 1); f(n) }\n"
  "let r = { a: [1, 2, 3], \"b c\": \"x{1 + 1}y\" }\n"
  "let w = for t in 0..300 with x = 0, xs = [] { next x + 0.5, push(xs, t) keep \"{t}\" }\n"
  "let m = [[1.0, 2.0], [3.0, 4.0]] @ [[1.0, 0.0], [0.0, 1.0]]\n"
  "let big = [x * y for x in 0..40 for y in 0..40 if x != y] |> map(x -> x + 1) |> sort\n"
  "print(total(build(6)) + deep(3000) + loc(5), { r with a: big }, w.x, m')",
  /* inference of every sort, nested, with mem, given, a distribution of its own */
  "distribution two(a, b) { sample = () -> if sample(bernoulli(0.5)) { a } else { b }\n  logpdf = x -> if x == a or x == b { log(0.5) } else { log(0.0) } }\n"
  "model flip(q) { let f ~ bernoulli(q); f }\n"
  "model inner(u) { let a ~ flip(0.5); let b ~ uniform_of([1, 2, 3]); condition(a or b > u); b }\n"
  "model outer(ys) {\n"
  "  let f = mem(i -> sample(normal(0, 1)))\n"
  "  let t ~ two(1, 2)\n"
  "  for i in 0..len(ys) { observe ys[i] ~ normal(f(i % 2) + t, 1) }\n"
  "  let u ~ bernoulli(prob(infer(inner(1), enumerate()), b -> b > 1))\n"
  "  { t: t, u: u, f: f(0) }\n"
  "}\n"
  "model walk(ys) { for y in ys with x = 0.0, xs = [] { let x2 ~ normal(x, 1); observe y ~ normal(x2, 1); next x2, push(xs, x2) } }\n"
  "let a = infer(outer([0.5, 1.5]), importance(20))\n"
  "let b = infer(walk([1, 2, missing, 4]), smc(particles = 20))\n"
  "let c = infer(outer([1.0]), mh(draws = 20, burn = 5))\n"
  "let d = infer(given(inner(0), { b: 2 }), enumerate())\n"
  "print(mean(a.t), evidence(b), summary(c), prob(d, x -> x == 2), post_shows(a))\n"
  "fn post_shows(p) = len(\"{p}\")",
  /* transitions of mh: on a recorded trace, in walks and blocks, and by a proposal */
  "model m(ys) { let s ~ gamma(2, 1); let v ~ normal(0, [s, s]); let k ~ poisson(2)\n"
  "  let x = for y in ys { let x ~ normal(v[0] + k, s); observe y ~ normal(x, 1); x }\n  { s: s, x: x, k: k } }\n"
  "model q(t) { let s ~ gamma(3, 3 / t.s) }\n"
  "let a = infer(m([1, 2]), mh(draws = 40, burn = 40, chains = 1, drift = { \"s\": 0.5 }, block = [\"v\", \"x*\"]))\n"
  "let b = infer(m([1, 2]), mh(draws = 20, burn = 5, chains = 1, proposal = t -> q(t), on = \"s\"))\n"
  "print(mean(a.s), mean(b.s))",
  /* delayed choices */
  "model m(ys) {\n"
  "  let g ~ gamma(2, 1); let x ~ normal(0, 1 / sqrt(g)); let p ~ dirichlet([1, 2]); let b ~ beta(1, 2); let k ~ binomial(3, b)\n"
  "  let v ~ multi_normal([0, 1], [[2, 0.5], [0.5, 1]])\n"
  "  for y in ys with u = v, xs = [] {\n"
  "    observe y ~ normal(x, 1 / sqrt(g)); observe 1 ~ categorical(p); observe 2 ~ poisson(3 * g)\n"
  "    let w ~ multi_normal([[1, 0.5], [0, 0.9]] @ u, [[0.3, 0.1], [0.1, 0.4]])\n"
  "    observe [y, y] ~ multi_normal(w + [1, 0], [[1, 0], [0, 1]]); observe y ~ normal(2 * w[0] - w[1], 1)\n"
  "    next w, push(xs, w)\n"
  "  } |> r -> { r: r, x: x, k: k, p: p, f: z -> z + b, e: exp(x) }\n"
  "}\n"
  "print(evidence(infer(m([1, 2]), smc(particles = 3, delayed = true))))\n"
  "print(evidence(infer(m([1, 2]), importance(2))))",
  /* sums of them, arrays, distributions as values */
  "model m(ys) {\n"
  "  let v ~ inv_gamma(3, 2); let a ~ normal(0, sqrt(v)); let b ~ normal([0, 1], sqrt(2 * v)); let d = normal(a - b[0], sqrt(v))\n"
  "  let x ~ multi_normal([0, 1], [[2, 0.5], [0.5, 1]]); let u ~ normal(x[0] + x[1], 1); let p ~ beta([1, 2], 2)\n"
  "  for y in ys with l = a, xs = [] {\n"
  "    let l2 ~ normal(l + b[1], sqrt(v)); observe y ~ d; observe [y, y] ~ normal([[1, y], [2, 1]] @ b + l2, sqrt(v))\n"
  "    observe [y, 1] ~ multi_normal([x[0] + u, u], [[2, 0.5], [0.5, 1]]); observe [1, 0] ~ bernoulli(p); next l2, push(xs, l2)\n"
  "  } |> r -> { r: r, s: sum(b), f: z -> z + u, e: exp(a + b[0]), x: x }\n"
  "}\n"
  "print(evidence(infer(m([1, 2]), smc(particles = 3, delayed = true))))\n"
  "print(evidence(infer(m([1, 2]), importance(2))))",
  /* functions of C, with copies of arrays, results by pointer, and one of Norn that C calls */
  "foreign \"libm.so.6\" {\n"
  "  ## Bessel.\n"
  "  fn bessel(x: c_double) -> c_double as \"j0\" derivative x -> -j1(x)\n"
  "  fn j1(x: c_double) -> c_double\n"
  "  fn frexp(x: c_double, e: out c_int) -> c_double\n"
  "}\n"
  "foreign \"libc.so.6\" {\n"
  "  fn getenv(s: c_string) -> c_string\n"
  "  fn qsort(base: inout array(c_double), _: c_size = len(base), _: c_size = 4 + 4,\n"
  "           compare: fn(ref c_double, ref c_double) -> c_int)\n"
  "}\n"
  "let up = (a, b) -> if len(\"{[a]}\") > 0 and a < b { -1 } else { 1 }\n"
  "print(bessel([1, 2]), derivative(bessel)(1), frexp(8), getenv(\"PATH\"))\n"
  "print(qsort([3, 1, 2], compare = up), map([1.0], bessel))",
  /* pictures as text */
  "model m() { let k ~ poisson(2); let c ~ uniform_of([\"a\", \"b\"]); let x ~ normal(0, 1)\n"
  "  observe 1 ~ normal(x, 1); { k: k, c: c, x: [x, 2 * x] } }\n"
  "let p = infer(m(), importance(30))\n"
  "plot(p)\nplot(p, kind = \"forest\")\nplot(p, only = [\"x\", \"k\"], kind = \"histogram\")\n"
  "plot(for i in 0..90 { i * i % 7 / 2 }, chains = 3, kind = \"trace\")",
  /* particles that are moved, annealed, and populations as values */
  "import inference\n"
  "model walk(ys) { let a ~ normal(0, 1)\n  for y in ys with x = [a] { let e ~ normal(x[0], 1)\n"
  "  let s ~ dirichlet([1, 2])\n  observe y ~ normal(e, 1)\n  next [e, s[0]] } }\n"
  "let ys = [0.1, 0.5]\n"
  "let a = infer(walk(ys), smc(4, threshold = 1, keep = \"choices\") |> move(mh(steps = 2)))\n"
  "let b = infer(walk(ys), anneal(4, runs = 2))\n"
  "let c = inference.rmsmc(walk(ys), 4, mh(), threshold = 1)\n"
  "let p = inference.advance(inference.spawn(walk(ys), 3), here = true)\n"
  "print(len(values(a)), evidence(b), mean(map(c, v -> v[0])), inference.resample(p, here = true))",
  /* modes and normals in their place */
  "model coin(y) { let p ~ beta(2, 3)\n let m ~ normal(0, 1)\n observe y ~ binomial(10, p)\n p + m }\n"
  "let o = infer(coin(7), optimize(2))\n"
  "let l = infer(coin(7), laplace_approx(30, starts = 1))\n"
  "let f = infer(coin(7), pathfinder(30, paths = 2))\n"
  "let a = infer(coin(7), advi(30, family = \"full_rank\", samples = 8, starts = 1, correct = true))\n"
  "print(mean(o), mean(l), mean(f), mean(a))",
  /* draws in files, and as they come */
  "model m() { let k ~ poisson(2); let x ~ normal(0, 1); observe 1 ~ normal(x, 1)\n"
  "  { k: if k < 3 { k } else { 0 }, x: [x, 2 * x], s: if k > 1 { \"a\" } else { \"b\" }, r: range(k) } }\n"
  "let p = infer(m(), importance(20))\nsave(p, \"fault_a.csv\")\nlet q = load(\"fault_a.csv\")\n"
  "keep_draws(\"fault_b.csv\")\nlet r = infer(m(), forward(20))\nkeep_draws()\n"
  "print(len(values(r)), values(q) == values(p))",
  /* tables */
  "import tables\n"
  "let t = { id: [1, 2, 3], g: [\"b\", \"a\", \"b\"], x: [1.5, missing, 2.5] }\n"
  "print(tables.filter(t, r -> r.id > 1), tables.sort_by(t, [\"g\", \"id\"]), tables.complete(t))\n"
  "print(tables.group_by(t, [\"g\", \"id\"]), tables.aggregate(t, \"g\", {n: tables.nrow}))\n"
  "print(tables.join(t, { g: [\"b\"], y: [7] }, \"g\", how = \"left\"), tables.one_hot(t.g), tables.show(t))",
  /* blocks: all kernels, choices that come and go, values in the heap */
  "let data = [-1.4, 0.2]\n"
  "model m() { let mu = [sample(normal(-1, 1)), sample(normal(1.5, 1))]; let k ~ categorical([0.5, 0.5])\n"
  "  let x = for j in 0..(k + 1) { let x ~ dirichlet([1.0, 2.0])\n x }; let s ~ uniform_of([\"a\", \"b\"])\n"
  "  let z = for y in data { let z ~ bernoulli(0.4)\n"
  "    observe y ~ normal(if z { mu[1] } else { mu[0] + x[0][0] }, if s == \"a\" { 0.8 } else { 1.1 })\n z }\n"
  "  { m: mu[0], z: z } }\n"
  "print(mean(infer(m(), gibbs({ \"#*\": nuts(), \"x.*\": slice_sampler(), \"*\": mh(), \"z.z[*]\": enumerate(), "
  "k: enumerate(), s: enumerate() }, draws = 3, burn = 3, chains = 2)).m))",
  /* functions of functions, plain, recorded, and in a gradient */
  "let f = (t, y) -> if t < 0.5 { [-y[0]] } else { [-2 * y[0]] }\n"
  "print(ode_rk45(f, [1], 0, [1]), ode_bdf(f, [1], 0, [1]), integrate(x -> if str(x) == \"\" { 0 } else { 1 }, 0, 2))\n"
  "print(find_root(x -> x^2 - 2, 0, 2), solve_powell(x -> [x[0] - 1], [0]), minimize(x -> x^2, 1))\n"
  "model m() { let k ~ exponential(1); let r ~ exponential(1)\n"
  "  let z = ode_rk45((t, y) -> if t < 0.5 { [-k * y[0]] } else { [-r * y[0]] }, [1], 0, [1])\n"
  "  let w = ode_bdf((t, y) -> [-k * y[0]], [r], 0, [1])\n"
  "  observe 0.3 ~ normal(z[0, 0] + w[0, 0] + integrate(x -> k * x, 0, r), 1)\n"
  "  observe 1 ~ normal(find_root(x -> x^3 - k, -1, 99) + minimize(x -> (x - r)^2, 0).x, 1); k }\n"
  "print(len(draws(infer(m(), nuts(draws = 2, warmup = 2, chains = 1)))))"
};

static void drop(void *user, const char *s, size_t n) { (void)user; (void)s; (void)n; }

/* Runs a program whose k-th request from now on fails; true: the failure came. */
static bool run(norn_state *st, const char *program, uint64_t k)
{
  norn_datum v;
  uint64_t before = st->mem.requests;
  st->mem.fail_at = k ? before + k : 0;
  norn_status s = norn_eval(st, "fault.norn", program, strlen(program), 0, &v);
  bool reached = k && st->mem.requests >= before + k;
  st->mem.fail_at = 0;
  if (!reached) CHECK(s == NORN_OK);
  if (s && s != NORN_EMEMORY) {
    char b[2000];
    norn_error_text(st, norn_error(st), b, sizeof b);
    fprintf(stderr, "%.60s ...\nrequest %llu:\n%s\n", program, (unsigned long long)k, b);
    CHECK(s == NORN_EMEMORY);
  }
  return reached;
}

static norn_state *quiet(void)
{
  norn_config c = norn_config_default();
  c.output = drop; c.quiet = true;
  return norn_new(&c);
}

static bool works(norn_state *st)
{
  norn_datum v;
  const char *program =
    "sum(for i in 0..10 { i }) + len(draws(infer({ model m() { let x ~ bernoulli(0.5); x }; m() }, importance(8))))";
  norn_status s = norn_eval(st, "after.norn", program, strlen(program), 0, &v);
  if (s) {
    char b[2000];
    norn_error_text(st, norn_error(st), b, sizeof b);
    fprintf(stderr, "afterwards:\n%s\n", b);
  }
  return s == NORN_OK && v.tag == NORN_INT && v.i == 53;
}

/* A fresh state for each failure: also the prelude is compiled under it. */
static void each(const char *program, double stride)
{
  double k = 1;
  for (bool more = true; more; k = k < 40 ? k + 1 : k * stride + 1) {
    norn_state *st = quiet();
    if (!st) continue;
    more = run(st, program, (uint64_t)k);
    CHECK(works(st));
    norn_free(st);
  }
}

/* One state for many failures: what is left of one must not disturb the next. */
static void same_state(const char *program, double stride)
{
  norn_state *st = quiet();
  double k = 1;
  for (bool more = true; more; k = k < 20 ? k + 1 : k * stride + 1)
    more = run(st, program, (uint64_t)k);
  CHECK(works(st));
  norn_free(st);
}

/* Making a state itself. */
static void *fail_alloc(void *user, void *p, size_t old, size_t n)
{
  int64_t *left = user;
  if (!n) { left[1] -= (int64_t)old; free(p); return NULL; }
  if (--left[0] == 0) return NULL;
  p = realloc(p, n);
  if (p) left[1] += (int64_t)n - (int64_t)old;
  return p;
}

static void making(void)
{
  for (int64_t k = 1;; k = k < 60 ? k + 1 : k + k / 12) {
    int64_t left[2] = { k, 0 };
    norn_config c = norn_config_default();
    c.alloc = fail_alloc; c.alloc_user = left;
    norn_state *st = norn_new(&c);
    norn_free(st);
    CHECK(left[1] == 0);
    if (left[0] > 0) break;
  }
}

int main(int argc, char **argv)
{
  double stride = argc > 1 ? atof(argv[1]) : 1.005;
  making();
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    each(programs[i], stride);
    same_state(programs[i], 1 + 4 * (stride - 1));
  }
  remove("fault_a.csv");
  remove("fault_b.csv");
  return unit_end();
}
