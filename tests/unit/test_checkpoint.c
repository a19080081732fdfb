/* test_checkpoint.c: an inference that is saved after its k-th step, read into a fresh state and gone on
   with gives the bits of one that was never stopped: draws, weights, choices and what is told about
   them.  Each engine on programs whose runs hold every kind of value; and what is refused, by name. */
#include "norn.h"
#include "unit.h"
#include <stdlib.h>
#include <unistd.h>

static const char *const file = "test_checkpoint.tmp";

/* ---- programs: each ends in a model value ---- */

#define WALK \
  "model walk(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 1)\n" \
  "  observe y ~ normal(x2, 0.5)\n next x2 } }\n" \
  "walk([0.5, 1.1, 0.3, -0.4, 0.9, 1.4, 2.0, 1.1])\n"
#define NORMAL \
  "model m(ys) { let mu ~ normal(0, 3)\n let s ~ gamma(2, 1)\n" \
  "  for y in ys { observe y ~ normal(mu, s) }\n { mu: mu, s: s } }\nm([1.2, 0.3, 2.2, 0.9])\n"
/* recursion, variants, closures, memo tables, maps, strings, records, bigs, histories that grow */
static const char rich[] =
  "type Tree = Leaf(value) | Node(left, right) | Empty\n"
  "fn grow(n, f) = if n == 0 { Leaf(f(n)) } else { Node(grow(n - 1, f), Empty) }\n"
  "fn total(t) = match t { Leaf(v) -> v, Node(l, r) -> total(l) + total(r), Empty -> 0 }\n"
  "import maps\n"
  "let table = [[1, 2, 3], [4, 5, 6]]\n"
  "model inner(a) { let u ~ normal(a, 1)\n observe 0.2 ~ normal(u, 1)\n u }\n"
  "model rich(ys) {\n"
  "  let f = mem(k -> sample(normal(k, 1)))\n"
  "  let g = x -> x + f(1)\n"
  "  let d = truncate(normal(0, 1), lower = 0)\n"
  "  let big_one = big(\"0.1\") + 1\n"
  "  let out = for y in ys with s = { x: 0.0, names: [], seen: [], rows: table, m: maps.empty() } {\n"
  "    let k ~ categorical([0.3, 0.3, 0.4])\n"
  "    let t = grow(k, g)\n"
  "    let z ~ inner(total(t))\n"
  "    let p ~ d\n"
  "    observe y ~ normal(z + p + f(k), 1)\n"
  "    next { x: z, names: push(s.names, \"step {k}\"), seen: push(s.seen, z),\n"
  "           rows: push(s.rows, [k, k, k]), m: maps.put(s.m, k, [z, t]) }\n"
  "  }\n"
  "  factor(-0.1 * real(big_one) * out.x^2)\n"
  "  { x: out.x, names: out.names, seen: out.seen, rows: out.rows, keys: maps.keys(out.m) }\n"
  "}\n"
  "rich([0.4, -0.3, 1.7, 0.2, 0.8])\n";
/* choices that are not made yet */
static const char delayed[] =
  "model m(ys) {\n"
  "  let g ~ gamma(2, 1)\n let x ~ normal(0, 1 / sqrt(g))\n let p ~ dirichlet([1, 2, 1])\n"
  "  let v ~ multi_normal([0, 1], [[2, 0.5], [0.5, 1]])\n"
  "  for y in ys with u = v, xs = [] {\n"
  "    let c ~ categorical(p)\n"
  "    observe y ~ normal(x + c, 1 / sqrt(g))\n"
  "    let w ~ multi_normal([[1, 0.5], [0, 0.9]] @ u, [[0.3, 0.1], [0.1, 0.4]])\n"
  "    observe y ~ normal(2 * w[0] - w[1], 1)\n"
  "    next w, push(xs, [w[0], c])\n"
  "  } |> r -> [r.xs[0][0] + r.xs[3][1], x, p[1]]\n"
  "}\n"
  "m([0.4, -0.3, 1.7, 0.2, 0.8])\n";
/* sums of them and arrays */
static const char sums[] =
  "model m(ys) {\n"
  "  let b ~ normal([0, 1, 2], 1)\n let x ~ multi_normal([0, 1], [[2, 0.5], [0.5, 1]])\n let d = normal(b[0] + x[1], 1)\n"
  "  for y in ys with l = b[2], s = b[1], xs = [] {\n"
  "    observe y ~ normal(l, 0.5)\n observe y ~ d\n let k ~ bernoulli(0.5)\n"
  "    let l2 ~ normal(l + s, if k { 0.3 } else { 0.6 })\n let s2 ~ normal(s, 0.1)\n"
  "    next l2, s2, push(xs, [l2 - s2, k])\n"
  "  } |> r -> [r.xs[0][0], sum(b), x[1]]\n"
  "}\n"
  "m([0.4, -0.3, 1.7, 0.2, 0.8])\n";
/* the inference waits for another inference */
static const char nesting[] =
  "model coin(p) { let x ~ bernoulli(p)\n let y ~ normal(if x { 1 } else { 0 }, 1)\n"
  "  observe 0.7 ~ normal(y, 1)\n y }\n"
  "model outer(ys) { for y in ys with a = 0.5 {\n"
  "  let post = infer(coin(a), importance(20))\n"
  "  let x ~ normal(mean(post), 1)\n observe y ~ normal(x, 1)\n"
  "  next min(max(0.5 + 0.1 * x, 0.1), 0.9) } }\n"
  "outer([0.3, 0.9, 0.5])\n";
static const char fixed[] =
  "model walk(ys) { let a ~ normal(0, 1)\n let xs = for y in ys with x = a {\n"
  "  let x2 ~ normal(0.9 * x, 1)\n observe y ~ normal(x2, 0.5)\n next x2 keep x2 }\n a }\n"
  "given(walk([0.5, 1.1, 0.3, -0.4]), { a: 0.4 })\n";
static const char crp[] =
  "model crp(n) { for i in 0..n with counts = [] {\n"
  "  let total = sum(counts) + 1\n"
  "  let k ~ categorical([c / total for c in counts] ++ [1 / total])\n"
  "  let mu = mem(j -> sample(normal(0, 2)))\n"
  "  observe 0.3 * i ~ normal(mu(k), 1)\n"
  "  next if k == len(counts) { push(counts, 1) } else { for j in 0..len(counts) { if j == k {\n"
  "    counts[j] + 1 } else { counts[j] } } } } }\n"
  "crp(6)\n";

/* choices of every kind, that come and go */
static const char blocks[] =
  "let ys = [0.3, 1.2, 0.7]\nmodel m() { let a ~ normal(0, 2)\n let k ~ categorical([0.5, 0.5])\n"
  "  let x = for j in 0..(k + 1) { let x ~ dirichlet([1.0, 2.0])\n x }\n"
  "  for y in ys { let z ~ bernoulli(0.4)\n observe y ~ normal(if z { a } else { x[0][0] + x[k][1] }, 0.5) }\n"
  "  { a: a, x: x, k: k } }\nm()\n";
static const char conjugate[] =
  "model conjugate(ys) {\n"
  "  let r ~ gamma(2, 1)\n let p ~ beta(2, 3)\n"
  "  for y in ys with x = 0.0 { let z ~ normal(x, 1)\n observe y ~ poisson(r)\n"
  "    let b ~ bernoulli(p)\n observe 0.1 * y ~ normal(if b { z } else { -z }, 1)\n next z }\n"
  "}\n"
  "conjugate([1, 0, 2, 3, 1, 1])\n";
static const char mixture[] =
  "model mixture(ys) {\n"
  "  let m0 ~ normal(-1, 2)\n let m1 ~ normal(1, 2)\n"
  "  for y in ys { let k ~ bernoulli(0.4)\n observe y ~ normal(if k { m1 } else { m0 }, 1) }\n"
  "  [m0, m1]\n}\n"
  "mixture([-1.2, 0.3, 2.2, 1.9, -0.4])\n";

/* merged states; endless supports; depth first, with what is put aside; a nested inference at a choice */
static const char hidden[] =
  "model hmm(ys) { for y in ys with s = 0 {\n"
  "  let s2 ~ categorical(if s == 0 { [0.7, 0.2, 0.1] } else if s == 1 { [0.1, 0.8, 0.1] } else { [0.3, 0.3, 0.4] })\n"
  "  observe y ~ normal(s2, 0.7)\n next s2 } }\n"
  "hmm([sin(1.0 * i * i) + 1 for i in 0..40])\n";
static const char endless[] =
  "model endless() { let n ~ geometric(0.05)\n let m ~ poisson(n + 1)\n observe 12 ~ poisson(m + 0.5)\n"
  "  if n > 3 { let k ~ bernoulli(0.3)\n [n, m, if k { 1 } else { 0 }] } else { [n, m, 0] } }\nendless()\n";
static const char wide[] =
  "model wide(n) { for i in 0..n with a = 0 { let x ~ bernoulli(0.3)\n let k ~ categorical([0.5, 0.3, 0.2])\n"
  "  factor(-0.001 * a)\n next 6 * a + 3 * (if x { 1 } else { 0 }) + k } }\nwide(6)\n";
static const char tail[] =
  "fn tail(n) = if sample(bernoulli(0.8)) { tail(n + 1) } else { n }\n"
  "model m() { let a = tail(0)\n let b = tail(1)\n observe 9 ~ poisson(a + b)\n [a, b] }\nm()\n";
static const char asking[] =
  "model coin(p) { let y ~ bernoulli(p)\n observe 0.7 ~ normal(if y { 1 } else { 0 }, 1)\n y }\n"
  "model outer(n) { for i in 0..n with a = 0.5 { let x ~ bernoulli(0.3 + 0.1 * i)\n"
  "  let post = infer(coin(if x { a } else { 0.25 }), importance(40))\n next mean(post) } }\nouter(3)\n";
static const char learned[] =
  "model walk(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 1)\n observe y ~ normal(x2, 0.5)\n next x2 } }\n"
  "let net = train(walk([0.5, 1.1, 0.3]), npe(d = 16, layers = 1, heads = 2), steps = 3, seed = 1)\n"
  "walk([0.5, 1.1, 0.3])\n";
static const char learned_whole[] =
  "model m(ys) { let mu ~ normal(0, 3)\n let s ~ gamma(2, 1)\n for y in ys { observe y ~ normal(mu, s) }\n [mu, s] }\n"
  "let net = train(m([1.2, 0.3]), npe(d = 16, layers = 1, heads = 2), steps = 3, seed = 1)\nm([1.2, 0.3])\n";

/* ---- running ---- */

static void quiet(void *user, const char *s, size_t n) { (void)user; (void)s; (void)n; }

typedef struct job { norn_state *st; norn_infer *inf; } job;

static norn_datum text_value(norn_state *st, const char *text)
{
  norn_datum v = norn_none();
  if (norn_eval(st, "program", text, strlen(text), NORN_LOAD_REPL, &v)) {
    char why[2000];
    norn_error_text(st, norn_error(st), why, sizeof why);
    fprintf(stderr, "%s\n", why);
  }
  return v;
}

static job begin(const char *program, const char *engine, uint64_t seed)
{
  norn_config c = norn_config_default();
  c.seed = seed;
  c.quiet = true;
  c.output = quiet;
  c.threads = 1;
  job j = { norn_new(&c), NULL };
  norn_ref *model = norn_keep(j.st, text_value(j.st, program));
  norn_datum e = text_value(j.st, engine);
  j.inf = norn_infer_new(j.st, norn_get(model), e);
  CHECK(j.inf != NULL);
  norn_drop(model);
  return j;
}

static void end(job *j)
{
  norn_infer_free(j->inf);
  norn_free(j->st);
}

static void show_error(norn_state *st)
{
  char why[2000];
  norn_error_text(st, norn_error(st), why, sizeof why);
  fprintf(stderr, "%s\n", why);
}

/* How the work was done, not what came of it. */
static int told_of_work(const char *name)
{
  static const char *const names[] = { "seconds", "phases", "executor", "lane_splits", "lane_selects", "lanes_alone",
                                       "alone_for", "generated_legs", "not_generated_for" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) if (!strcmp(name, names[i])) return 1;
  return 0;
}

/* All that a posterior has but that; malloc'ed. */
static char *result(job *j, const char *of)
{
  norn_posterior p;
  norn_step s;
  do s = norn_infer_step(j->inf); while (s == NORN_STEP_MORE);
  norn_datum post = s == NORN_STEP_DONE ? norn_infer_result(j->inf) : norn_none();
  if (!norn_posterior_view(j->st, post, &p)) {
    fprintf(stderr, "%s: no result\n", of);
    show_error(j->st);
    return strdup("");
  }
  norn_datum part[64] = { p.values, p.weights, p.choices };
  int n = 3, m = norn_record_size(p.info);
  for (int i = 0; i < m && n < 60; i++) {
    norn_datum v;
    if (!told_of_work(norn_record_at(j->st, p.info, i, &v))) part[n++] = v;
  }
  char *out = calloc(1, 1);
  size_t len = 0;
  for (int i = 0; i < n; i++) {
    const char *t = norn_show(j->st, part[i], true, 0);
    size_t k = t ? strlen(t) : 0;
    out = realloc(out, len + k + 2);
    memcpy(out + len, t, k);
    memcpy(out + len + k, "\n", 2);
    len += k + 1;
  }
  return out;
}

/* Saved after step k, gone on with in a fresh state. */
static void check_at(const char *of, const char *program, const char *engine, int k, const char *want)
{
  job a = begin(program, engine, 7);
  norn_step s = NORN_STEP_MORE;
  for (int i = 0; i < k && s == NORN_STEP_MORE; i++) s = norn_infer_step(a.inf);
  if (s == NORN_STEP_MORE) {
    unit.checks++;
    if (norn_infer_save(a.inf, file)) {
      unit_fail(__FILE__, __LINE__);
      fprintf(stderr, "%s, %s, step %d:\n", of, engine, k);
      show_error(a.st);
    } else {
      job b = begin(program, engine, 7);
      if (norn_infer_load(b.inf, file)) {
        unit_fail(__FILE__, __LINE__);
        fprintf(stderr, "%s, %s, step %d:\n", of, engine, k);
        show_error(b.st);
      } else {
        char *got = result(&b, of);
        unit.checks++;
        if (strcmp(got, want)) {
          unit_fail(__FILE__, __LINE__);
          fprintf(stderr, "%s, %s: gone on after step %d it gives\n%.600s\nnot\n%.600s\n", of, engine, k, got,
                  want);
        }
        free(got);
      }
      end(&b);
      /* writing changes nothing */
      char *same = result(&a, of);
      CHECK(!strcmp(same, want));
      free(same);
    }
  }
  end(&a);
}

/* At about `times` steps of all; those at the beginning among them. */
static void check_engine(const char *of, const char *program, const char *engine, int times)
{
  job j = begin(program, engine, 7);
  int steps = 0;
  norn_step s;
  do s = norn_infer_step(j.inf), steps++; while (s == NORN_STEP_MORE);
  char *want = result(&j, of);
  CHECK(s == NORN_STEP_DONE && *want);
  end(&j);
  int by = steps / times + 1;
  for (int k = 0; k < steps; k += k < 3 ? 1 : by) check_at(of, program, engine, k, want);
  free(want);
}

/* ---- what is refused ---- */

static void check_refused(const char *program, const char *engine, uint64_t seed, const char *why)
{
  job j = begin(program, engine, seed);
  unit.checks++;
  if (!norn_infer_load(j.inf, file) || !strstr(norn_error(j.st)->text, why)) {
    unit_fail(__FILE__, __LINE__);
    fprintf(stderr, "not refused by \"%s\": %s\n", why, norn_error(j.st)->text);
  }
  end(&j);
}

static void save_at(const char *program, const char *engine, int k)
{
  job j = begin(program, engine, 7);
  for (int i = 0; i < k; i++) norn_infer_step(j.inf);
  CHECK(!norn_infer_save(j.inf, file));
  end(&j);
}

static char *slurp(size_t *n)
{
  FILE *f = fopen(file, "rb");
  char *s = malloc(1 << 22);
  *n = fread(s, 1, 1 << 22, f);
  fclose(f);
  return s;
}

static void spit(const char *s, size_t n)
{
  FILE *f = fopen(file, "wb");
  fwrite(s, 1, n, f);
  fclose(f);
}

static void check_foreign(void)
{
  save_at(WALK, "smc(100)", 3);
  check_refused(NORMAL, "smc(100)", 7, "another program");
  check_refused("let unused = 1\n" NORMAL, "smc(100)", 7, "another program");
  check_refused(WALK, "smc(101)", 7, "another engine or other options");
  check_refused(WALK, "mh(100)", 7, "(smc)");
  check_refused(WALK, "smc(100)", 8, "another seed");
  save_at("let k = 2\nmodel m(y) { let x ~ normal(k, 1)\n observe y ~ normal(x, 1)\n x }\nm(1)", "smc(100)", 2);
  check_refused("let k = 2\nmodel m(y) { let x ~ normal(k, 1)\n observe y ~ normal(x, 1)\n x }\nm(2)", "smc(100)",
                7, "another program");
}

static void check_damaged(void)
{
  size_t n;
  save_at(WALK, "smc(100)", 3);
  char *s = slurp(&n);
  CHECK(n > 1000);
  for (size_t cut = 0; cut < n; cut += 1 + n / 50) {
    spit(s, cut);
    check_refused(WALK, "smc(100)", 7, cut < 24 ? "is no checkpoint" : "is damaged");
  }
  for (size_t at = 24; at < n; at += 1 + n / 100) {
    s[at] ^= 4;
    spit(s, n);
    check_refused(WALK, "smc(100)", 7, "is damaged");
    s[at] ^= 4;
  }
  s[16] ^= 1;
  spit(s, n);
  check_refused(WALK, "smc(100)", 7, "another build");
  free(s);
  unlink(file);
  check_refused(WALK, "smc(100)", 7, "can't read the checkpoint");
}

int main(void)
{
  static const char *const both[][2] = { { "walk", WALK }, { "normal", NORMAL } };
  for (int i = 0; i < 2; i++) {
    const char *const *p = both[i];
    check_engine(p[0], p[1], "smc(50, executor = \"lanes\")", 12);
    check_engine(p[0], p[1], "smc(50, executor = \"scalar\")", 12);
    check_engine(p[0], p[1], "smc(40, keep = \"choices\")", 12);
    check_engine(p[0], p[1], "importance(700)", 8);
    check_engine(p[0], p[1], "importance(700, keep = \"value\", executor = \"lanes\")", 12);
    check_engine(p[0], p[1], "forward(600)", 8);
    check_engine(p[0], p[1], "mh(300, burn = 200, chains = 2)", 12);
    check_engine(p[0], p[1], "pgibbs(5, draws = 60, burn = 10, chains = 2)", 12);
    check_engine(p[0], p[1], "nuts(draws = 100, warmup = 200, chains = 2)", 12);
    check_engine(p[0], p[1], "hmc(draws = 60, warmup = 150, chains = 2)", 8);
    check_engine(p[0], p[1], "chees(draws = 20, warmup = 100, chains = 20)", 12);
    check_engine(p[0], p[1], "hmc(draws = 20, warmup = 100, chains = 18, steps = 4, shared = true)", 8);
    check_engine(p[0], p[1], "slice_sampler(draws = 100, warmup = 50, chains = 2)", 8);
    check_engine(p[0], p[1], "temper(particles = 60, runs = 2)", 8);
    check_engine(p[0], p[1], "adaptive_importance(x -> 1, budget = 400)", 6);
  }
  for (int i = 0; i < 2; i++) {
    const char *const *p = both[i];
    check_engine(p[0], p[1], "optimize(starts = 3)", 8);
    check_engine(p[0], p[1], "laplace_approx(draws = 500)", 10);
    check_engine(p[0], p[1], "pathfinder(draws = 500, paths = 3)", 10);
    check_engine(p[0], p[1], "advi(draws = 500)", 14);
    check_engine(p[0], p[1], "advi(draws = 300, family = \"full_rank\", correct = true)", 10);
  }
  check_engine("normal", NORMAL, "anneal(20, runs = 2, kernel = nuts())", 12);
  check_engine("walk", WALK, "smc(10) |> move(hmc(steps = 3))", 10);
  check_engine("normal", NORMAL, "rejection(30, bound = 3)", 6);
  check_engine("normal", NORMAL, "pmmh(5, draws = 40, burn = 20, chains = 2)", 12);
  check_engine("normal", NORMAL, "pmmh(20, draws = 20, burn = 10, chains = 2, executor = \"lanes\")", 12);
  check_engine("rich", rich, "pmmh(20, draws = 10, burn = 5, chains = 1, executor = \"lanes\")", 10);
  check_engine("walk", WALK, "pmmh(20, draws = 10, burn = 5, chains = 2, on = \"*\", executor = \"lanes\")", 10);
  check_engine("normal", NORMAL, "nuts(draws = 100, warmup = 100, chains = 2, metric = \"dense\")", 8);
  check_engine("normal", NORMAL, "nuts(draws = 100, warmup = 100, chains = 2, metric = \"low_rank\")", 8);
  check_engine("normal", NORMAL,
               "nuts(draws = 100, warmup = 100, chains = 2, metric = \"dense\", adapt = \"stan\")", 8);
  check_engine("walk", WALK, "backward_simulation(20, 10)", 12);
  check_engine("delayed", delayed, "smc(30, delayed = true)", 10);
  check_engine("delayed", delayed, "smc(20, keep = \"choices\", delayed = true)", 10);
  check_engine("delayed", delayed, "importance(600, delayed = true)", 4);
  check_engine("sums", sums, "smc(30, delayed = true)", 10);
  check_engine("sums", sums, "smc(20, keep = \"choices\", delayed = true)", 10);
  check_engine("sums", sums, "importance(600, delayed = true)", 4);
  check_engine("rich", rich, "smc(30, executor = \"lanes\")", 10);
  check_engine("rich", rich, "smc(30, executor = \"scalar\")", 10);
  check_engine("rich", rich, "smc(30, keep = \"choices\")", 10);
  check_engine("walk", WALK, "smc(12, delayed = true)", 9);
  check_engine("walk", WALK, "smc(12, delayed = true, keep = \"choices\")", 9);
  check_engine("conjugate", conjugate, "smc(20, delayed = true)", 9);
  check_engine("conjugate", conjugate, "importance(600, delayed = true)", 4);
  check_engine("rich", rich, "importance(300)", 4);
  check_engine("rich", rich, "importance(300, keep = \"value\", executor = \"lanes\")", 6);
  check_engine("rich", rich, "importance(300, keep = \"value\", executor = \"scalar\")", 4);
  check_engine("rich", rich, "mh(100, burn = 50, chains = 2)", 6);
  check_engine("rich", rich, "pgibbs(4, draws = 20, burn = 5, chains = 1)", 6);
  check_engine("nesting", nesting, "smc(4)", 30);
  check_engine("nesting", nesting, "smc(4, keep = \"choices\")", 20);
  check_engine("nesting", nesting, "importance(20)", 20);
  check_engine("nesting", nesting, "mh(10, burn = 10, chains = 1)", 20);
  check_engine("given", fixed, "smc(50)", 8);
  check_engine("given", fixed, "mh(100, burn = 50, chains = 2)", 4);
  check_engine("normal", NORMAL, "gibbs({ mu: nuts(), s: slice_sampler() }, draws = 60, burn = 120, chains = 2)", 8);
  check_engine("blocks", blocks, "gibbs({ \"*\": mh(steps = 3), \"x*\": nuts(), a: hmc(steps = 4), \"z[*]\": enumerate(), "
               "k: enumerate() }, draws = 60, burn = 120, chains = 2)", 12);
  check_engine("crp", crp, "gibbs({ \"*\": enumerate(), \"mu*\": slice_sampler(), \"*.#0\": mh() }, draws = 60, burn = 60, "
               "chains = 1)", 8);
  check_engine("crp", crp, "smc(40, executor = \"lanes\")", 10);
  check_engine("nesting", nesting, "smc(20, executor = \"scalar\")", 10);
  check_engine("crp", crp, "mh(200, burn = 50, chains = 1)", 8);
  check_engine("walk", WALK, "smc(40) |> move(mh(steps = 2))", 12);
  check_engine("crp", crp, "smc(20) |> move(mh())", 8);
  check_engine("normal", NORMAL, "gibbs({ mu: hmc(), s: mh() }, draws = 60, burn = 150, chains = 2)", 8);
  check_engine("mixture", mixture,
               "gibbs({ \"k*\": enumerate(), \"m*\": nuts(metric = \"dense\") }, draws = 60, burn = 150, chains = 2)", 8);
  check_engine("hidden", hidden, "enumerate()", 8);
  check_engine("hidden", hidden, "enumerate(exact = true)", 8);
  check_engine("endless", endless, "enumerate()", 10);
  check_engine("wide", wide, "enumerate()", 12);
  check_engine("wide", wide, "enumerate(exact = true, bits = 80)", 12);
  check_engine("tail", tail, "enumerate()", 10);
  check_engine("asking", asking, "enumerate()", 30);
  check_engine("asking", asking, "enumerate(exact = true)", 30);
  check_engine("learned", learned, "amortized(net, correct = smc(30), fallback = false, check = 0)", 8);
  check_engine("learned", learned, "amortized(net, correct = smc(25, threshold = 1, keep = \"choices\"), fallback = false)", 8);
  check_engine("learned whole", learned_whole, "amortized(net, draws = 1500, fallback = false, check = 0)", 8);
  check_foreign();
  check_damaged();
  unlink(file);
  return unit_end();
}
