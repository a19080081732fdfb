/* test_crew.c: worker threads: what a program prints, its draws and its errors are the same with one
   thread, two, three and eight, also when every safepoint collects; limits, an interrupt and memory that
   ends leave the state usable; and crews by their own calls. */
#include "threads.h"

#define SHOW "let v = values(p)\nprint(evidence(p), v[0], v[len(v) - 1], hash(v), info(p).resamplings)\n"

static const char *const programs[] = {
  /* numbers alone */
  "model walk(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\n observe y ~ normal(x2, 1)\n next x2 } }\n"
  "let p = infer(walk([1, 0.5, missing, 2, -1]), smc(executor = \"scalar\", delayed = false, particles = 2500, threshold = 1.0))\n" SHOW,
  /* histories: arrays that grow and fork, read far back; lists, records, closures, strings */
  "type List = Nil | Cons(head, tail)\n"
  "fn sum_of(l) = match l { Nil -> 0, Cons(h, t) -> h + sum_of(t) }\n"
  "model walk(ys) { for y in ys with x = 0.0, h = [], l = Nil, r = { a: 0, s: \"\" }, f = x -> x {\n"
  "  let x2 ~ normal(f(x) / 2, 1)\n"
  "  observe y ~ normal(x2 + (if len(h) > 2 { h[0] - h[len(h) - 2] + sum(h) / 10 } else { 0 }), 1)\n"
  "  next x2, push(h, x2), Cons(x2, l), { r with a: r.a + 1, s: \"{r.s}{len(h)}\" }, z -> z + x2 + sum_of(l) / 9 keep [x2, y] } }\n"
  "let p = infer(walk([1, 0.5, 2, -1, 3, 1, 0, 2, 1, 1, 1, 2]), smc(executor = \"scalar\", delayed = false, particles = 2000, threshold = 1.0))\n" SHOW,
  /* memoised choices, models in models, maps and shapes that workers meet first */
  "import maps\n"
  "model step(x) { let d ~ normal(0, 1); x + d }\n"
  "model m(ys) { let f = mem(i -> sample(normal(0, 1)))\n"
  "  for i in 0..len(ys) with x = 0.0, seen = {} {\n"
  "    let x2 ~ step(x) as \"step{i}\"\n observe ys[i] ~ normal(x2 + f(i % 2), 1)\n"
  "    next x2, parse_json(\"\\{\\\"k{i}\\\": {i}\\}\") keep len(seen) } }\n"
  "let p = infer(m([0.5, 1, 2]), smc(executor = \"scalar\", delayed = false, particles = 2000))\n" SHOW,
  /* early ends with values, dead particles, parameters that leave their domain */
  "model m() { let k ~ poisson(2)\n let s ~ normal(1, 1)\n for i in 0..k { observe 1.0 ~ normal(0, s) }\n"
  "  condition(k != 3)\n { k: k, l: [k, \"x\"] } }\n"
  "let p = infer(m(), smc(executor = \"scalar\", delayed = false, particles = 3000))\n" SHOW "print(info(p).course, info(p).warnings)\n",
  "model m(ys) { for y in ys with x = 0.0 { let s ~ normal(x, 1)\n observe y ~ normal(0, s - 9)\n next s } }\n"
  "infer(m([0.5, 1, 2]), smc(executor = \"scalar\", delayed = false, particles = 2000))\n",
  /* inference inside particles */
  "model inner(u) { let b ~ uniform_of([1, 2, 3]); condition(b > u); [b] }\n"
  "model m(ys) { for y in ys with x = 0.0 {\n"
  "  let u ~ bernoulli(0.01)\n let q = if u { prob(infer(inner(1), enumerate()), v -> v[0] > 2) } else { 0.0 }\n"
  "  let x2 ~ normal(x + q, 1)\n observe y ~ normal(x2, 1)\n next x2 } }\n"
  "let p = infer(m([1, 2, 3]), smc(executor = \"scalar\", delayed = false, particles = 2000))\n" SHOW,
  /* what only the caller's thread does */
  "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1)\n"
  "  let z = if x2 > 3.5 { print(\"far {x2}\")\n [x2] } else { [0.0] }\n observe y ~ normal(x2 + z[0] / 9, 1)\n next x2 } }\n"
  "let p = infer(m([1, 2, 1]), smc(executor = \"scalar\", delayed = false, particles = 2000))\n" SHOW,
  /* errors in many runs, and in one */
  "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1)\n observe y ~ normal(x2, 1)\n next [1, 2, 3][floor(abs(x2) * 2)] } }\n"
  "infer(m([1, 2, 1]), smc(executor = \"scalar\", delayed = false, particles = 2000))",
  "model m() { let k ~ uniform_of(0..2000)\n observe 1 ~ normal(0, 1)\n let x = 1 // (k % 500 - 3)\n x }\n"
  "infer(m(), smc(executor = \"scalar\", delayed = false, particles = 2000))",
  "distribution odd() { sample = () -> [1, 2][3]\n logpdf = x -> 0.0 }\n"
  "model m() { observe 1 ~ normal(0, 1)\n let x ~ odd()\n x }\ninfer(m(), smc(executor = \"scalar\", delayed = false, particles = 2000))",
  "model m() { observe 1 ~ normal(0, 1)\n let x ~ normal(0, 1)\n let x ~ normal(0, 1)\n x }\ninfer(m(), smc(executor = \"scalar\", delayed = false, particles = 2000))",
  "fn deep(n) = 1 + deep(n + 1)\nmodel m() { observe 1 ~ normal(0, 1)\n deep(0) }\ninfer(m(), smc(executor = \"scalar\", delayed = false, particles = 2000))",
  /* distributions of vectors, of its own, via, given */
  "distribution two(a, b) { sample = () -> if sample(bernoulli(0.5)) { a } else { b }\n  logpdf = x -> if x == a or x == b { log(0.5) } else { log(0.0) } }\n"
  "model m(ys) { let t ~ two(1.0, 2.0)\n let g ~ normal(0, 1)\n for y in ys with x = [0.0, 0.0] { let x2 ~ multi_normal(x, [[1.0, 0.2], [0.2, 1.0]])\n"
  "  let w ~ normal(0, 1) via normal(0.5, 2)\n observe y ~ normal(x2[0] + x2[1] * t + w + g, 1)\n next x2 } }\n"
  "let p = infer(given(m([1, 2]), { g: 0.25 }), smc(executor = \"scalar\", delayed = false, particles = 2000))\n" SHOW,
};

static void test_programs(bool stress)
{
  programs_compare(programs, sizeof programs / sizeof *programs, stress);
}

/* ---- what ends too early ---- */

/* The n-th request for memory fails; limits of memory, steps and time; an interrupt: the state is usable
   after it. */
static void test_ends(void)
{
  printed p = {NULL, 0, 0};
  norn_datum out;
  const char *t = programs[1], *late = programs[0];
  norn_state *st = state_new(&p, 2, false);
  memory_fails(t, 4000);
  ends_compare("model walk() { for i in 0..1000000 with x = 0.0 { let x2 ~ normal(x, 1)\n"
               "observe 0.0 ~ normal(x2, 1)\n next x2 } }\n"
               "infer(walk(), smc(executor = \"scalar\", delayed = false, particles = 2000))", late);
  norn_config_of(st)->max_memory = norn_memory_used(st) + (3 << 20);
  norn_status s = norn_eval(st, "program", t, strlen(t), 0, &out);
  CHECK(s == NORN_EMEMORY || s == NORN_OK);
  norn_config_of(st)->max_memory = 0;
  norn_config_of(st);
  CHECK(norn_eval(st, "program", late, strlen(late), 0, &out) == NORN_OK);
  norn_free(st);
  free(p.s);
}

/* ---- checkpoints: written with threads, read without, also while a particle waits ---- */

static norn_infer *begin(norn_state *st)
{
  static const char program[] =
    "model inner(u) { let b ~ uniform_of([1, 2, 3]); condition(b > u); [b] }\n"
    "model m(ys) { for y in ys with x = 0.0 {\n"
    "  let u ~ bernoulli(0.001)\n let q = if u { prob(infer(inner(1), importance(300)), v -> v[0] > 2) } else { 0.0 }\n"
    "  let x2 ~ normal(x + q, 1)\n observe y ~ normal(x2, 1)\n next x2 } }\nm([1, 2, 3])";
  norn_datum model, engine;
  CHECK(!norn_eval(st, "engine", "smc(executor = \"scalar\", delayed = false, particles = 2000)", strlen("smc(executor = \"scalar\", delayed = false, particles = 2000)"), 0, &engine));
  norn_ref *kept = norn_keep(st, engine);
  CHECK(!norn_eval(st, "program", program, strlen(program), 0, &model));
  norn_infer *inf = norn_infer_new(st, model, norn_get(kept));
  norn_drop(kept);
  return inf;
}

static double end(norn_state *st, norn_infer *inf)
{
  norn_posterior p;
  norn_step s;
  while ((s = norn_infer_step(inf)) == NORN_STEP_MORE) { }
  CHECK(s == NORN_STEP_DONE && norn_posterior_view(st, norn_infer_result(inf), &p));
  double z = s == NORN_STEP_DONE ? p.log_evidence : NAN;
  norn_infer_free(inf);
  return z;
}

static void test_saved(void)
{
  printed p = {NULL, 0, 0};
  norn_state *one = state_new(&p, 1, false), *two = state_new(&p, 2, false);
  double z = end(one, begin(one));
  norn_infer *inf = begin(two);
  for (int k = 0; norn_infer_step(inf) == NORN_STEP_MORE; k++) {
    if (k > 12 && k % 5) continue;
    norn_status saved = norn_infer_save(inf, "test_crew.saved");
    if (saved) fprintf(stderr, "step %d: %s\n", k, norn_error(two)->text);
    CHECK(!saved);
    norn_state *st = state_new(&p, k % 2 + 1, false);
    norn_infer *again = begin(st);
    norn_status s = norn_infer_load(again, "test_crew.saved");
    if (s) fprintf(stderr, "step %d: %s\n", k, norn_error(st)->text);
    CHECK(!s);
    double got = end(st, again);
    if (got != z) fprintf(stderr, "step %d: %g\n", k, got);
    CHECK(got == z);
    norn_free(st);
  }
  norn_infer_free(inf);
  remove("test_crew.saved");
  norn_free(one);
  norn_free(two);
  free(p.s);
}

int main(void)
{
  if (!getenv("QUICK")) test_programs(false);
  if (!getenv("QUICK")) test_programs(true);
  test_ends();
  test_saved();
  return unit_end();
}
