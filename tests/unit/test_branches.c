/* test_branches.c: the chains of mh, gibbs, pmmh and pgibbs on threads: draws, columns, notes, what is printed
   and errors are the same with one thread, two, three and eight, also when every safepoint collects; ends that
   come too early leave the state usable; a checkpoint that is written with threads goes on to the same bits. */
#include "threads.h"

#define SHOW "let v = values(p)\nprint(len(v), v[0], v[len(v) - 1], hash(v))\nprint(p)\n" \
  "print(info(p).ess, info(p).chains, info(p).warnings)\n"

static const char *const programs[] = {
  /* numbers: recorded, with walks that learn */
  "model m(y) { let mu ~ normal(0, 10)\n let s ~ exponential(1)\n for v in y { observe v ~ normal(mu, s) }\n [mu, s] }\n"
  "let p = infer(m([1.0, 2, 0.5, 1.5]), mh(draws = 600, burn = 100, drift = 0.5))\n" SHOW "print(info(p).acceptance, info(p).incremental)\n",
  /* choices that come and go: columns that chains make in different orders */
  "model m() { let n ~ poisson(2)\n let xs = for i in 0..n { let x ~ normal(i, 1)\n x }\n"
  "  let t = if n > 3 { let far ~ normal(0, 1)\n far } else { let near ~ normal(0, 1)\n near }\n"
  "  observe 2.0 ~ normal(sum(push(xs, t)), 0.5)\n n }\n"
  "let p = infer(m(), mh(draws = 300, burn = 20, chains = 5))\n" SHOW,
  /* particles; records, closures, memoised choices, strings and shapes that workers meet first */
  "model ssm(y) { let s ~ exponential(1)\n let f = mem(i -> sample(normal(0, 1)))\n"
  "  for v in y with x = 0.0, seen = {} { let z ~ normal(x, s)\n observe v ~ normal(z + f(floor(abs(z)) % 2), 0.5)\n"
  "    next z, parse_json(\"\\{\\\"k{floor(z)}\\\": 1\\}\") keep len(seen) } }\n"
  "let p = infer(ssm([0.3, 0.7, 1.2, 0.9]), pgibbs(particles = 8, draws = 60, burn = 5, chains = 3))\n" SHOW "print(info(p).ancestors_changed)\n",
  "model ssm(y) { let s ~ exponential(1)\n for v in y with x = 0.0 { let z ~ normal(x, s)\n observe v ~ normal(z, 0.5)\n next z keep z } }\n"
  "let p = infer(ssm([0.3, 0.7, 1.2, 0.9]), pmmh(particles = 10, draws = 80, burn = 30, chains = 3))\n" SHOW "print(info(p).acceptance)\n",
  /* blocks */
  "model mix(y) { let mu ~ normal(0, 3)\n let d ~ exponential(1)\n"
  "  for v in y { let z ~ bernoulli(0.5)\n observe v ~ normal(if z { mu } else { mu + d }, 0.5) }\n { mu: mu, d: d } }\n"
  "let p = infer(mix([0.1, 0.3, 2.2, 2.5]), gibbs({ \"mu\": mh(drift = 0.5), \"d\": mh(drift = 0.5), \"z*\": enumerate() }, draws = 100, burn = 50, chains = 3))\n"
  SHOW "print(info(p).blocks)\n",
  "model mix(y) { let mu ~ normal(0, 3)\n let z ~ bernoulli(0.5)\n observe y ~ normal(if z { mu } else { -mu }, 0.5)\n mu }\n"
  "let p = infer(mix(1.5), gibbs({ \"mu\": nuts(), \"z\": enumerate() }, draws = 60, burn = 60, chains = 2))\n" SHOW,
  /* inference inside: by draws, and exact; what only the caller's thread does */
  "model inner(u) { let b ~ uniform_of([1, 2, 3]); condition(b > u); b }\n"
  "model m() { let u ~ uniform_of([0, 1])\n let q = mean(infer(inner(u), importance(50)))\n let e = mean(infer(inner(u), enumerate()))\n"
  "  let x ~ normal(q + e, 1)\n if x > 6 { print(\"far\") }\n observe 4.0 ~ normal(x, 1)\n x }\n"
  "let p = infer(m(), mh(draws = 40, burn = 10, chains = 2))\n" SHOW,
  "model inner(u) { let b ~ uniform_of([1, 2, 3]); condition(b > u); b }\n"
  "model m(y) { for v in y with x = 1.0 { let z ~ normal(mean(infer(inner(if x > 1 { 1 } else { 0 }), enumerate())), 1)\n observe v ~ normal(z, 1)\n next z keep z } }\n"
  "let p = infer(m([1.0, 2]), pgibbs(particles = 5, draws = 20, burn = 5, chains = 2))\n" SHOW,
  /* distributions that call Norn code, via, given, posteriors as priors */
  "distribution two(a, b) { sample = () -> if sample(bernoulli(0.5)) { a } else { b }\n  logpdf = x -> if x == a or x == b { log(0.5) } else { log(0.0) } }\n"
  "model prior() { let x ~ normal(0, 1)\n round(x) }\n"
  "let pr = infer(prior(), importance(100))\n"
  "model m(y) { let t ~ two(1.0, 2.0)\n let g ~ normal(0, 1)\n let w ~ normal(0, 1) via normal(0.5, 2)\n let r ~ pr\n"
  "  let v ~ multi_normal([0.0, g], [[1.0, 0.2], [0.2, 1.0]])\n observe y ~ normal(t + g + w + v[0] * v[1] + r, 1)\n [t, w] }\n"
  "let p = infer(given(m(2.0), { g: 0.25 }), mh(draws = 100, burn = 20, chains = 3))\n" SHOW,
  /* a proposal of the user's own; functions that C calls */
  "model m() { let x ~ normal(0, 1)\n let y ~ normal(x, 1)\n observe 1.0 ~ normal(integrate(u -> u * y, 0, 1), 1)\n x }\n"
  "let p = infer(m(), mh(draws = 50, burn = 5, chains = 2))\n" SHOW,
  /* errors: in all chains, in one after some steps, in the second only; no start */
  "model m() { let x ~ normal(0, 1)\n observe 1.0 ~ normal(x, 1)\n [1, 2, 3][floor(abs(x) * 2)] }\ninfer(m(), mh(draws = 1000, chains = 3))",
  "model m() { let k ~ poisson(3)\n observe 1.0 ~ normal(k, 9)\n 1 // (k - 11) }\ninfer(m(), mh(draws = 20000, chains = 4))",
  "model m() { let x ~ normal(0, 1)\n condition(x > 40)\n x }\ninfer(m(), mh(chains = 3))",
  "model m() { let x ~ normal(0, 1)\n let x ~ normal(0, 1)\n x }\ninfer(m(), mh(chains = 3))",
  "fn deep(n) = 1 + deep(n + 1)\nmodel m() { let x ~ normal(0, 1)\n observe 1.0 ~ normal(x, 1)\n if x > 2 { deep(0) } else { 0 } }\ninfer(m(), mh(chains = 3, draws = 2000))",
  "model m() { let x ~ normal(0, 1)\n observe 1.0 ~ normal(x, 1)\n x }\ninfer(given(m(), { z: 1 }), mh(chains = 3))",
  /* more of a posterior; nested mh */
  "model m() { let x ~ normal(0, 1)\n observe 1.0 ~ normal(x, 1)\n x }\n"
  "let p = more(infer(m(), mh(draws = 50, burn = 20, chains = 3)), 30)\n" SHOW,
  "model inner() { let b ~ normal(0, 1); observe 1.0 ~ normal(b, 1); b }\n"
  "model m() { let x ~ normal(0, 1)\n observe mean(infer(inner(), mh(draws = 20, burn = 5, chains = 2))) ~ normal(x, 1)\n x }\n"
  "let p = infer(m(), importance(30))\nprint(hash(values(p)))\n",
};

static const char endless[] =
  "model m() { let x ~ normal(0, 1)\n observe 1.0 ~ normal(x, 1)\n x }\n"
  "infer(m(), mh(draws = 100, burn = 1000000000, chains = 3, incremental = false))";
static const char endless_particles[] =
  "model m(y) { for v in y with x = 0.0 { let z ~ normal(x, 1)\n observe v ~ normal(z, 1)\n next z } }\n"
  "infer(m([1.0, 2.0]), pgibbs(burn = 1000000000, chains = 3))";

/* ---- columns ---- */

/* The names of the choices, in the order in which the posterior has them. */
static void columns(int threads, char *names, size_t n)
{
  static const char program[] =
    "model m() { let k ~ poisson(40)\n let y ~ normal(0, 1) as \"y{k}\"\n y }\n"
    "infer(m(), mh(draws = 2000, burn = 2, thin = 10, chains = 4, incremental = false))\n";
  printed p = {NULL, 0, 0};
  norn_datum out, v;
  norn_posterior post = {0};
  norn_state *st = state_new(&p, threads, false);
  CHECK(!norn_eval(st, "program", program, strlen(program), 0, &out) && norn_posterior_view(st, out, &post));
  size_t at = 0;
  for (int i = 0; i < norn_record_size(post.choices) && at < n; i++)
    at += (size_t)snprintf(names + at, n - at, "%s ", norn_record_at(st, post.choices, i, &v));
  norn_free(st);
  free(p.s);
}

static void test_columns(void)
{
  char one[4000] = "", more[4000] = "";
  columns(1, one, sizeof one);
  CHECK(strlen(one) > 150);
  for (int t = 2; t < 5; t++) {
    columns(t, more, sizeof more);
    CHECK_STR(more, one);
  }
}

/* Values of chains outlive full collections: little memory, and much that grows old. */
static void test_full(void)
{
  static const char program[] =
    "model m() { let v ~ multi_normal([0.0, 1], [[1.0, 0.2], [0.2, 1.0]])\n"
    "  let junk = for i in 0..30000 with l = [] { next push(l, [v[0], i]) }\n"
    "  let w ~ multi_normal(v, [[1.0, 0.2], [0.2, 1.0]])\n observe 2.0 ~ normal(w[0] + len(junk) / 30000, 0.5)\n [v, w] }\n"
    "let p = infer(m(), mh(draws = 40, burn = 20, chains = 3, incremental = false))\nprint(hash(values(p)))\nlen(values(p))";
  uint64_t majors = 0;
  char *said[2];
  for (int t = 0; t < 2; t++) {
    printed p = {NULL, 0, 0};
    norn_datum out;
    norn_state *st = state_new(&p, t + 1, false);
    norn_config_of(st)->max_memory = 40 << 20;
    CHECK(!norn_eval(st, "program", program, strlen(program), 0, &out));
    if (norn_error(st)->code) fprintf(stderr, "%s\n", norn_error(st)->text);
    majors = st->heap.majors;
    said[t] = p.s;
    norn_free(st);
  }
  CHECK(majors > 2);
  CHECK_STR(said[1], said[0]);
  free(said[0]);
  free(said[1]);
}

/* ---- who looks on ---- */

typedef struct told { pthread_t by; int n, elsewhere; uint64_t sum[5]; } told;

static bool tell(void *user, norn_infer *inf, const norn_drawn *d)
{
  told *t = user;
  (void)inf;
  t->n++;
  t->elsewhere += !pthread_equal(t->by, pthread_self());
  t->sum[d->chain] = t->sum[d->chain] * 31 + norn_hash(d->value) + (uint64_t)d->nchoice;
  return true;
}

/* Every draw is told once, by the caller's thread, in the order of its chain. */
static void test_told(void)
{
  told one = {.by = pthread_self()}, t;
  for (int threads = 1; threads < 4; threads++) {
    printed p = {NULL, 0, 0};
    norn_datum out;
    norn_state *st = state_new(&p, threads, false);
    t = (told){.by = pthread_self()};
    norn_on_draw(st, tell, &t);
    CHECK(!norn_eval(st, "program", programs[1], strlen(programs[1]), 0, &out));
    CHECK(t.n == 5 * 300 && t.elsewhere == 0);
    if (threads == 1) one = t;
    for (int c = 0; c < 5; c++) CHECK(t.sum[c] == one.sum[c]);
    norn_free(st);
    free(p.s);
  }
}

/* ---- checkpoints ---- */

static const char *const saved[] = {
  "mh(draws = 200, burn = 50, chains = 3, drift = 0.5)", "pgibbs(particles = 5, draws = 60, burn = 10, chains = 3)",
  "pmmh(particles = 5, draws = 60, burn = 30, chains = 3)",
  "gibbs({ \"s\": mh(drift = 0.2), \"*\": mh() }, draws = 100, burn = 50, chains = 3)"
};

static norn_infer *begin(norn_state *st, const char *engine)
{
  static const char program[] =
    "model inner(u) { let b ~ uniform_of([1, 2, 3]); condition(b > u); b }\n"
    "model m(ys) { let s ~ exponential(1)\n for y in ys with x = 0.0 {\n"
    "  let q = if x > 2.5 { mean(infer(inner(1), importance(20))) / 10 } else { 0.0 }\n"
    "  let z ~ normal(x + q, s)\n observe y ~ normal(z, 1)\n next z } }\nm([1, 2, 3])";
  norn_datum model, e;
  CHECK(!norn_eval(st, "engine", engine, strlen(engine), 0, &e));
  norn_ref *kept = norn_keep(st, e);
  CHECK(!norn_eval(st, "program", program, strlen(program), 0, &model));
  norn_infer *inf = norn_infer_new(st, model, norn_get(kept));
  norn_drop(kept);
  return inf;
}

static uint64_t end(norn_state *st, norn_infer *inf)
{
  norn_posterior p;
  norn_step s;
  while ((s = norn_infer_step(inf)) == NORN_STEP_MORE) { }
  if (s != NORN_STEP_DONE) fprintf(stderr, "%s\n", norn_error(st)->text);
  CHECK(s == NORN_STEP_DONE && norn_posterior_view(st, norn_infer_result(inf), &p));
  uint64_t h = s == NORN_STEP_DONE ? norn_hash(p.values) ^ norn_hash(p.choices) : 0;
  norn_infer_free(inf);
  return h;
}

static void test_saved(const char *engine)
{
  printed p = {NULL, 0, 0};
  norn_state *one = state_new(&p, 1, false), *two = state_new(&p, 2, false);
  uint64_t want = end(one, begin(one, engine));
  norn_infer *inf = begin(two, engine);
  for (int k = 0; norn_infer_step(inf) == NORN_STEP_MORE; k++) {
    if (k > 5 && k % 149) continue;
    norn_status s = norn_infer_save(inf, "test_branches.saved");
    if (s) fprintf(stderr, "%s, step %d: %s\n", engine, k, norn_error(two)->text);
    CHECK(!s);
    norn_state *st = state_new(&p, k % 2 + 1, false);
    norn_infer *again = begin(st, engine);
    s = norn_infer_load(again, "test_branches.saved");
    if (s) fprintf(stderr, "%s, step %d: %s\n", engine, k, norn_error(st)->text);
    CHECK(!s);
    CHECK(end(st, again) == want);
    norn_free(st);
  }
  CHECK(end(two, inf) == want);
  remove("test_branches.saved");
  norn_free(one);
  norn_free(two);
  free(p.s);
}

int main(void)
{
  test_columns();
  test_full();
  test_told();
  programs_compare(programs, sizeof programs / sizeof *programs, false);
  programs_compare(programs, sizeof programs / sizeof *programs, true);
  ends_compare(endless, programs[0]);
  ends_compare(endless_particles, programs[0]);
  memory_fails(programs[1], 4000);
  memory_fails(programs[2], 4000);
  for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) test_saved(saved[i]);
  return unit_end();
}
