/* bench/net: values drawn from a program for a net, a second: simulated runs as numbers, and batches of them
   as tokens (infer/net.h). */
#include "bench.h"
#include "infer/net.h"
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

static void row(const char *name, const char *program)
{
  enum { RUNS = 1024, TURNS = 40 };
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
    n = (double)r.nevent;
    runs = least(runs, (bench_cpu() - t) / n);
    t = bench_cpu();
    if (!net_batch(&h, &spec, &r, 0, 1, room, &tk)) bench_die(st, name);
    batches = least(batches, (bench_cpu() - t) / n);
    t = bench_cpu();
    double m = 0;
    for (uint64_t k = 0; k < 16; k++) {
      if (!net_source_runs(s, &h, ((uint64_t)turn << 20) + 4 * k, 4, &r)) bench_die(st, name);
      m += (double)r.nevent;
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
}
