/* test_stress.c: every test program and example, collecting at every safepoint: what it prints and
   where it fails must not change.  And a swarm of runs whose values are lists. */
#include "unit.h"
#include "lang/state.h"
#include <dirent.h>
#include <stdlib.h>

typedef struct printed { char *s; size_t n, cap; } printed;

static void print(void *user, const char *s, size_t n)
{
  printed *p = user;
  if (p->n + n + 1 > p->cap) p->s = realloc(p->s, p->cap = 2 * (p->n + n) + 100);
  memcpy(p->s + p->n, s, n);
  p->n += n;
  p->s[p->n] = 0;
}

static norn_state *quiet_state(printed *p, bool stress)
{
  norn_config c = norn_config_default();
  c.output = print;
  c.output_user = p;
  c.quiet = true;
  norn_state *st = norn_new(&c);
  if (st && stress) {
    st->heap.stress = true;
    st->heap.soft = st->heap.n0;
  }
  return st;
}

/* What a file (or a text of its own) prints, with its error at the end. */
static char *run(const char *path, const char *program, bool stress)
{
  printed p = { NULL, 0, 0 };
  char error[2000];
  norn_datum out;
  norn_state *st = quiet_state(&p, stress);
  norn_status s = program ? norn_eval(st, "program", program, strlen(program), 0, &out) : norn_eval_file(st, path, &out);
  if (s) {
    norn_error_text(st, norn_error(st), error, sizeof error);
    print(&p, error, strlen(error));
  }
  if (stress && program) CHECK(st->heap.minors > 100);
  print(&p, "", 0);
  norn_free(st);
  return p.s;
}

static void compare(const char *path, const char *program)
{
  char *a = run(path, program, false), *b = run(path, program, true);
  if (strcmp(a, b) != 0) fprintf(stderr, "%s:\n", path ? path : program);
  CHECK_STR(b, a);
  free(a);
  free(b);
}

static void folder(const char *top, const char *name)
{
  char path[1000];
  snprintf(path, sizeof path, "%s/%s", top, name);
  DIR *d = opendir(path);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    if (n < 6 || strcmp(e->d_name + n - 5, ".norn") != 0) continue;
    snprintf(path, sizeof path, "%s/%s/%s", top, name, e->d_name);
    if (strcmp(e->d_name, "files.norn") != 0 && strcmp(e->d_name, "save_load.norn") != 0) compare(path, NULL);
  }
  closedir(d);
}

static const char swarm[] =
  "type List = Nil | Cons(head, tail)\n"
  "fn total(l) = match l { Nil -> 0.0, Cons(h, t) -> h + total(t) }\n"
  "model walk(ys) {\n"
  "  for y in ys with xs = Cons(0.0, Nil), a = [0.0] {\n"
  "    let x ~ normal(match xs { Cons(h, _) -> h, Nil -> 0.0 }, 1)\n"
  "    observe y ~ normal(x, 0.5)\n"
  "    next Cons(x, xs), push(a, x)\n"
  "  }\n"
  "}\n"
  "let post = infer(walk([0.1 * t for t in 0..20]), smc(particles = 60))\n"
  "print(evidence(post))\n"
  "print(mean(post |> map(p -> total(p.xs))))\n"
  "print(mean(post |> map(p -> sum(p.a))))\n";

/* Bigs in runs that fork, in arrays, in maps, and as weights of exact enumeration. */
static const char bigs[] =
  "model m(n) {\n"
  "  let s = for i in 0..n with s = big(1) {\n"
  "    let x ~ bernoulli(big(\"0.25\"))\n"
  "    observe 0.5 ~ normal(if x { s } else { -s }, big(2))\n"
  "    next with_bits(100 + 10 * i, () -> s + big(1) / (3 + i))\n"
  "  }\n"
  "  [s, s * s]\n"
  "}\n"
  "let e = infer(m(6), enumerate(exact = true, bits = 300))\n"
  "print(evidence(e), expect(e, v -> v[0]), pmf(e[\"x[2]\"]))\n"
  "print(mean(infer(m(6), smc(particles = 50)) |> map(v -> real(v[1]))))\n"
  "let big_xs = [big(k, bits = 64 * (k + 1)) / 7 for k in 0..40]\n"
  "print(sum(big_xs), unique(big_xs ++ big_xs) == big_xs, sort(reverse(big_xs)) == big_xs)\n";

/* Forks of a run that are dropped, values of other choices, recordings between runs. */
static const char blocks[] =
  "let data = [-1.4, 0.2, 0.4]\n"
  "model m() {\n"
  "  let mu = [sample(normal(-1, 1)), sample(normal(1.5, 1))]\n"
  "  let k ~ categorical([0.5, 0.5])\n"
  "  let x = for j in 0..(k + 1) { let x ~ dirichlet([1.0, 2.0])\n    x }\n"
  "  let s ~ uniform_of([\"a\", \"b\"])\n"
  "  let z = for y in data {\n"
  "    let z ~ bernoulli(0.4)\n"
  "    observe y ~ normal(if z { mu[1] } else { mu[0] + x[0][0] }, if s == \"a\" { 0.8 } else { 1.1 })\n"
  "    z\n  }\n"
  "  { m: mu[0], z: z, s: s }\n"
  "}\n"
  "let p = infer(m(), gibbs({ \"#*\": nuts(), \"x.*\": slice_sampler(), \"*\": mh(), \"z.z[*]\": enumerate(),\n"
  "  k: enumerate(), s: enumerate() }, draws = 30, burn = 20, chains = 2))\n"
  "print(mean(p.m), draws(p.s), mean(p[\"k\"]))\n";

/* Steps of mh on recorded traces and by runs: vectors, walks, a proposal, results of arrays and records. */
static const char steps[] =
  "model m(ys) {\n"
  "  let s ~ gamma(2, 1)\n"
  "  let p ~ dirichlet([1.0, 2.0, 3.0])\n"
  "  let v ~ normal(0, [s, 1.0])\n"
  "  let k ~ poisson(2)\n"
  "  let x = for y in ys { let x ~ normal(v[0] + k * p[1], s); observe y ~ normal(x, 1); [x, y] }\n"
  "  { s: s, x: x, v: v, k: k, name: \"k{k}\" }\n"
  "}\n"
  "model n(ys) { let r = m_of(ys); r }\n"
  "fn m_of(ys) { let a ~ normal(0, [1.0, 2.0]); let b ~ iid(normal(0, 1), 3); observe ys ~ normal(b * sum(a), 1); { a: a, b: b } }\n"
  "model q(t) { let s ~ gamma(3, 3 / t.s); let p ~ dirichlet([1.0, 1.0, 1.0]) }\n"
  "print([mean(infer(m([1, 2, 3]), mh(draws = 400, burn = 100, chains = 2, drift = d)).s) for d in [0.1, 1]])\n"
  "let e = infer(n([1.0, 2, 3]), mh(draws = 1500, burn = 100, chains = 1))\n"
  "print(mean(e |> map(v -> sum(v.b))), info(e).incremental > 0.9)\n"
  "print(mean(infer(m([1, 2]), mh(draws = 200, chains = 1, proposal = t -> q(t), on = [\"s\", \"p\"])).s))\n";

int main(void)
{
  const char *top = getenv("srcdir");
  if (!top) top = ".";
  compare(NULL, swarm);
  compare(NULL, blocks);
  compare(NULL, steps);
  compare(NULL, bigs);
  folder(top, "tests/lang");
  folder(top, "tests/lib");
  folder(top, "tests/errors");
#ifndef __SANITIZE_ADDRESS__      /* most of the time, and nothing of the language that is not in the others */
  folder(top, "examples");
#endif
  return unit_end();
}
