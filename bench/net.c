/* bench/net: values drawn from a program for a net, a second: simulated runs as numbers, and batches of them
   as tokens (infer/net/net.h). */
#include "bench.h"
#include "infer/net/net.h"
#include <stdio.h>
#include <string.h>

static const char coin[] =
  "model coin(ys) { let p ~ beta(2, 2); for y in ys { observe y ~ bernoulli(p) }; p }\n"
  "coin(for i in 0..20 { true })\n";
static const char line[] =
  "model line(x, ys) { let a ~ normal(0, 1); let b ~ normal(0, 1); let s ~ exponential(1.0)\n"
  "for i in 0..len(x) { observe ys[i] ~ normal(a + b * x[i], s) }; a }\n"
  "line(for i in 0..20 { i / 10 }, for i in 0..20 { 0.0 })\n";
static const char tosses[] =
  "model coin(a, b, ys) { let p ~ beta(a, b); for y in ys { observe y ~ bernoulli(p) }; p }\n"
  "fn source() { let a ~ uniform(1, 4); let b ~ uniform(1, 4); let n ~ discrete_uniform(0, 16)\n"
  " coin(a, b, for i in 0..n { true }) }\nsource\n";

static const char slcp[] =
  "model slcp(x) { let t ~ iid(uniform(-3, 3), 5); let a = t[2] ^ 2; let b = t[3] ^ 2; let c = tanh(t[4]) * a * b\n"
  "let cov = [[a * a + 1e-6, c], [c, b * b + 1e-6]]\n"
  "for i in 0..4 { observe x[i] ~ multi_normal([t[0], t[1]], cov) }; t }\n"
  "slcp([[0, 0], [0, 0], [0, 0], [0, 0]])\n";
static const char linear[] =
  "model linear(x) { let t ~ iid(normal(0, 0.3), 10); observe x ~ normal(t, 0.3); t }\n"
  "linear(for i in 0..10 { 0.0 })\n";
static const char gp[] =
  "model gp(x, y) { let n = len(x); let z ~ iid(normal(0, 1), n)\n"
  "let f = cholesky(cov_matrix(rbf(1, 0.2), x) + 1e-8 * identity_matrix(n)) @ z\n"
  "for i in 0..n { observe y[i] ~ normal(f[i], 0.1) } }\n"
  "fn gps() = gp([sample(uniform(0, 1)) for i in 0..32], repeat(0.0, 32))\ngps\n";
static const char hyper[] =
  "model gp(x, y) { let n = len(x); let z ~ iid(normal(0, 1), n); let a ~ lognormal(0, 0.3); let r ~ gamma(4, 16)\n"
  "let f = cholesky(cov_matrix(rbf(a, r), x) + 1e-8 * identity_matrix(n)) @ z\n"
  "for i in 0..n { observe y[i] ~ normal(f[i], 0.1) } }\n"
  "fn gps() = gp([sample(uniform(0, 1)) for i in 0..48], repeat(0.0, 48))\ngps\n";
static const char lines[] =
  "model line(x, ys) { let a ~ normal(0, 1); let b ~ normal(0, 1); let s ~ exponential(1.0)\n"
  "for i in 0..len(x) { observe ys[i] ~ normal(a + b * x[i], s) }; a }\n"
  "fn source() { let n = sample(discrete_uniform(1, 60)); line([i / n for i in 0..n], repeat(0.0, n)) }\nsource\n";

/* Numbers that were drawn: of a vector its coordinates. */
static double numbers_in(const net_runs *r)
{
  double n = 0;
  for (size_t i = 0; i < r->nevent; i++) n += r->event[i].nx;
  return n;
}

static void row(const char *name, const char *program)
{
  enum { RUNS = 4096, TURNS = 20 };                 /* whole blocks, that none is there already */
  norn_state *st = bench_state();
  norn_datum what;
  net_spec spec = { .kind = NET_NPE, .bars = 50, .head = "auto" };
  net_schema h = { 0 };
  net_runs r = { 0 };
  nn_tokens tk;
  char label[120];
  double runs = INFINITY, batches = INFINITY, one = INFINITY, n = 0;
  if (norn_eval(st, "bench", program, strlen(program), 0, &what)) bench_die(st, name);
  net_source *s = net_source_new(st, what, norn_missing(), 1);
  net_room *room = net_room_new(st);
  if (!s || !room || !net_schema_learn(st, &h, s, &spec, 200)) bench_die(st, name);
  for (int turn = 0; turn < TURNS; turn++) {
    double t = bench_cpu();
    if (!net_source_runs(s, &h, (uint64_t)turn * RUNS, RUNS, &r)) bench_die(st, name);
    n = numbers_in(&r);
    runs = least(runs, (bench_cpu() - t) / n);
    t = bench_cpu();
    if (!net_batch(&h, &spec, &r, 0, 1, room, &tk)) bench_die(st, name);
    batches = least(batches, (bench_cpu() - t) / n);
    t = bench_cpu();
    double m = 0;
    for (uint64_t k = 0; k < 16; k++) {
      if (!net_source_runs(s, &h, ((uint64_t)(turn + 1) << 20) + 4 * k, 4, &r)) bench_die(st, name);
      m += numbers_in(&r);
    }
    one = least(one, (bench_cpu() - t) / m);
  }
  snprintf(label, sizeof label, "net %s, a value, scalar VM", name);
  bench_row(label, 1e9 * one, "ns", "", 0, "1000");
  snprintf(label, sizeof label, "net %s, a value, lanes", name);
  bench_row(label, 1e9 * runs, "ns", "scalar", 1e9 * one, "100");
  snprintf(label, sizeof label, "net %s, a value, as tokens", name);
  bench_row(label, 1e9 * batches, "ns", "", 0, "");
  net_room_free(room);
  net_runs_free(st, &r);
  net_schema_free(st, &h);
  net_source_free(s);
  norn_free(st);
}

void bench_nn_runs(void)
{
  row("coin", coin);
  row("line", line);
  row("coin, sizes vary", tosses);
  row("line, 1 to 60 points", lines);
  row("vectors of 5 and 2", slcp);
  row("vectors of 10", linear);
  row("GP of 32 points", gp);
  row("GP of 48, kernel drawn", hyper);
}
