/* bench/stream: nanoseconds of a random number, single and in arrays at each CPU level, beside
   sequential generators (xoshiro256++, Ziggurat) and Philox as plain loops (limits/philox.c); and
   of a draw among many, by family. */
#include "bench.h"
#include "num/stream.h"
#include <stdio.h>
#include <string.h>

enum { N = 4096, TIMES = 40 };
static double numbers[N];

typedef struct { int level; norn_rng g; } source;
static void single_uniforms(source *s)
{
  for (int i = 0; i < N; i++) numbers[i] = norn_rng_uniform(&s->g);
}
static void single_normals(source *s)
{
  for (int i = 0; i < N; i++) numbers[i] = norn_rng_normal(&s->g);
}
static void uniforms(source *s) { stream_uniforms(s->level, &s->g, numbers, N); }
static void normals(source *s) { stream_normals(s->level, &s->g, numbers, N); }
static void xoshiro(source *s) { limit_xoshiro(numbers, N, s->g.draw++); }
static void ziggurat(source *s) { limit_ziggurat(numbers, N, s->g.draw++); }
static void loop_uniforms(source *s) { limit_uniforms(numbers, N, s->g.draw++); }
static void loop_normals(source *s) { limit_normals(numbers, N, s->g.draw++); }

/* ns a number, best of several */
static double per_number(void (*f)(source *), int level)
{
  double best = INFINITY;
  for (int i = 0; i < 15; i++) {
    source s = {level, {.stream = 3, .event = (uint32_t)i}};
    double t = bench_cpu();
    for (int k = 0; k < TIMES; k++) f(&s);
    best = least(best, (bench_cpu() - t) / ((double)TIMES * N) * 1e9);
  }
  return best;
}

/* Many draws of a family into memory that is there: by the row's `samples`, or one by one. */
static void family(norn_state *st, const char *name)
{
  char what[80];
  norn_datum d;
  norn_dist view;
  double best = INFINITY, p[NORN_DIST_P];
  const double *at[] = {p, p + 1, p + 2, p + 3};
  if (norn_eval(st, "bench", name, strlen(name), 0, &d) || !norn_dist_view(d, &view))
    bench_die(st, name);
  for (int i = 0; i < view.n; i++) norn_as_real(view.args[i], &p[i]);
  for (int i = 0; i < 15; i++) {
    norn_rng g = {.stream = 5, .event = (uint32_t)i};
    double t = bench_cpu();
    for (int k = 0; k < 4; k++) {
      if (view.row->samples) view.row->samples(&g, N, 0, at, numbers);
      else for (int j = 0; j < N; j++) numbers[j] = view.row->sample1(p, &g);
    }
    best = least(best, (bench_cpu() - t) / (4.0 * N) * 1e9);
  }
  snprintf(what, sizeof what, "stream: many of %s%s", name, view.row->samples ? "" : ", in turn");
  bench_row(what, best, "ns", "", 0, "");
}

/* norn_dist_sample of iid: the array's memory is most of it. */
static void whole_array(norn_state *st)
{
  static const char text[] = "iid(normal(0, 1), 10000)";
  norn_datum d, x;
  norn_dist view;
  double best = INFINITY;
  if (norn_eval(st, "bench", text, strlen(text), 0, &d) || !norn_dist_view(d, &view))
    bench_die(st, text);
  for (int i = 0; i < 15; i++) {
    norn_rng g = {.stream = 5, .event = (uint32_t)i};
    double t = bench_cpu();
    for (int k = 0; k < 10; k++) if (norn_dist_sample(st, &view, &g, &x)) bench_die(st, text);
    best = least(best, (bench_cpu() - t) / 1e5 * 1e9);
  }
  bench_row("stream: iid(normal(0, 1), 10^4), an element", best, "ns", "", 0, "");
}

void bench_stream(void)
{
  static const char *const level_names[] = {"SSE2", "AVX2", "AVX-512"};
  double u = per_number(loop_uniforms, 0), z = per_number(loop_normals, 0);
  bench_row("stream: a uniform, single", per_number(single_uniforms, 0), "ns", "xoshiro",
            per_number(xoshiro, 0), "");
  bench_row("stream: a normal, single", per_number(single_normals, 0), "ns", "Ziggurat",
            per_number(ziggurat, 0), "");
  for (int level = 0; level < LEVELS; level++) {
    char what[80];
    if (!level_has(level)) continue;
    snprintf(what, sizeof what, "stream: a uniform of an array, %s", level_names[level]);
    bench_row(what, per_number(uniforms, level), "ns", "C loop", u, level ? "at most 1.5 ns" : "");
    snprintf(what, sizeof what, "stream: a normal of an array, %s", level_names[level]);
    bench_row(what, per_number(normals, level), "ns", "C loop", z, level ? "at most 3.7 ns" : "");
  }
  norn_state *st = bench_state();
  static const char *const families[] = {
    "normal(0, 1)", "lognormal(0, 1)", "exponential(1)", "cauchy(0, 1)", "weibull(1.5, 2)",
    "bernoulli(0.3)", "student_t(4, 0, 1)", "gamma(2.5, 1)", "beta(2, 3)", "poisson(4)",
    "poisson(100)", "binomial(20, 0.3)"};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) family(st, families[i]);
  whole_array(st);
  norn_free(st);
}
