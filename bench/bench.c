/* bench.c: every speed that Norn promises, beside hand-written C (bench/limits) and, where it is
   installed, Lua 5.4, in one run.  CPU seconds of this process, best of several; ratios are what
   counts, since machines differ and are busy.

     bench [NAME ...]      the rows whose names start so; all without names

   The line of a row: what it measures, Norn, the limit or peer, their ratio, and the goal. */
#include "norn.h"
#include "limits/limits.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *folder;       /* bench/ of the sources */
static const char *binary;       /* the norn command */

static double cpu(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(norn_state *st, const char *what)
{
  char b[1000];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "bench: %s: %s\n", what, b);
  exit(1);
}

static void silent(void *user, const char *s, size_t n) { (void)user; (void)s; (void)n; }

static norn_state *state(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  c.output = silent;
  norn_state *st = norn_new(&c);
  if (!st) { fprintf(stderr, "bench: no memory\n"); exit(1); }
  return st;
}

static norn_state *load(const char *name)
{
  char path[600];
  norn_datum out;
  norn_state *st = state();
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (norn_eval_file(st, path, &out)) die(st, path);
  return st;
}

/* Evaluates an expression in the session of a loaded file's names: the CPU seconds it takes. */
static double call(norn_state *st, const char *f, const norn_datum *args, int n, double *value)
{
  norn_datum fn = norn_global(st, f), out;
  norn_run *r = norn_run_new(st, fn, args, n);
  if (!r) die(st, f);
  double t = cpu();
  if (norn_drive(st, r, &out)) die(st, f);
  t = cpu() - t;
  if (!norn_as_real(out, value)) *value = NAN;
  return t;
}

static double least(double a, double b) { return a < b ? a : b; }

static void row(const char *name, double norn, const char *unit, const char *beside, double other,
                const char *goal)
{
  if (other > 0)
    printf("%-44s %10.4g %-4s %10.4g %-8s %6.2f   %s\n", name, norn, unit, other, beside,
           norn / other, goal);
  else
    printf("%-44s %10.4g %-4s %10s %-8s %6s   %s\n", name, norn, unit, "-", beside, "-", goal);
  fflush(stdout);
}

/* ---- the language loops ---- */

static double lua(const char *name)
{
  char command[800];
  double t, best = INFINITY;
  for (int k = 0; k < 3; k++) {
    snprintf(command, sizeof command, "lua5.4 '%s/lang/bench.lua' %s 2>/dev/null", folder, name);
    FILE *p = popen(command, "r");
    if (!p) return 0;
    int got = fscanf(p, "%lf", &t);
    if (pclose(p) || got != 1) return 0;
    best = least(best, t);
  }
  return best;
}

static double norn_loop(const char *name)
{
  char path[200];
  double best = INFINITY;
  snprintf(path, sizeof path, "lang/%s.norn", name);
  for (int k = 0; k < 5; k++) {
    double t = cpu();
    norn_free(load(path));
    best = least(best, cpu() - t);
  }
  return best;
}

static double c_loop(int which)
{
  volatile double sink = 0;
  double best = INFINITY;
  for (int k = 0; k < 3; k++) {
    double t = cpu();
    switch (which) {
    case 0: sink += (double)limit_fib(32); break;
    case 1: sink += (double)limit_mandel(200); break;
    case 2: sink += limit_lpdf(2000000); break;
    case 3: sink += (double)limit_trees(16, 14); break;
    default: sink += (double)limit_closures(200);
    }
    best = least(best, cpu() - t);
  }
  return best;
}

static void bench_lang(void)
{
  static const char *const names[] = { "fib", "mandel", "lpdf", "trees", "closures" };
  for (int i = 0; i < 5; i++) {
    char label[80];
    double n = norn_loop(names[i]), l = lua(names[i]);
    snprintf(label, sizeof label, "lang %s, start included", names[i]);
    row(label, n, "s", "Lua 5.4", l, "at most 0.7");
    row(label, n, "s", "C", c_loop(i), "");
  }
}

/* ---- events ---- */

static double swallow(norn_state *st, const char *model, int n, bool answered)
{
  norn_datum arg = norn_int(n), m;
  if (norn_call(st, norn_global(st, model), &arg, 1, &m)) die(st, model);
  norn_run *r = norn_run_new(st, m, NULL, 0);
  norn_event ev;
  if (!r) die(st, model);
  double t = cpu();
  while (norn_run_next(r, &ev) == NORN_SAMPLE) norn_run_answer(r, norn_real(0.5));
  t = cpu() - t;
  if (ev.kind != NORN_DONE) die(st, model);
  (void)answered;
  norn_run_free(r);
  return t;
}

static void bench_events(void)
{
  norn_state *st = load("infer/events.norn");
  int n = 2000000;
  double a = INFINITY, b = INFINITY;
  for (int k = 0; k < 5; k++) {
    a = least(a, swallow(st, "events", n, true));
    b = least(b, swallow(st, "nothing", n, false));
  }
  row("events: suspend, answer, resume", 1e9 * (a - b) / n, "ns", "", 0, "at most 15 ns");
  norn_free(st);
}

/* ---- engines ---- */

static double filter_norn(int steps, int particles, int repeats, double *z)
{
  norn_state *st = load("infer/lgss.norn");
  norn_datum args[2] = { norn_int(steps), norn_int(particles) };
  double best = INFINITY;
  for (int k = 0; k < repeats; k++) best = least(best, call(st, "run", args, 2, z));
  norn_free(st);
  return 1e9 * best / ((double)steps * particles);
}

static void bench_smc(void)
{
  enum { T = 1000 };
  double y[T], z, c = INFINITY;
  for (int t = 0; t < T; t++) y[t] = 3 * sin(t / 5.0);
  for (int k = 0; k < 3; k++) {
    double t = cpu();
    limit_filter(T, 10000, y, (uint64_t)k);
    c = least(c, cpu() - t);
  }
  c = 1e9 * c / (T * 1e4);
  double n = filter_norn(T, 10000, 3, &z);
  row("smc lgss T=1000 N=10000, a particle-step", n, "ns", "C", c, "at most 100 ns, C at 18");
  printf("%-44s log evidence %.3f, Kalman %.3f\n", "", z, limit_kalman(T, y));
  double small = filter_norn(T, 1000, 5, &z), large = filter_norn(100, 100000, 2, &z);
  row("smc lgss N=100000 beside N=1000", large, "ns", "N=1000", small, "at most 1.2");
}

static void bench_mh(void)
{
  int y[100], draws = 100000;
  double v, c = INFINITY, n = INFINITY;
  for (int i = 0; i < 100; i++) y[i] = i % 3 == 0;
  norn_state *st = load("infer/mh.norn");
  norn_datum arg = norn_int(draws);
  for (int k = 0; k < 3; k++) {
    double t = cpu();
    v = limit_mh(draws, y, 100, (uint64_t)k);
    c = least(c, cpu() - t);
    n = least(n, call(st, "run", &arg, 1, &v));
  }
  row("mh beta-bernoulli, 100 observations, a step", 1e6 * n / draws, "us", "C", 1e6 * c / draws,
      "at most 5 us");
  norn_free(st);
}

static void bench_enumerate(void)
{
  double v, c = INFINITY, n = INFINITY;
  norn_state *st = load("infer/enumerate.norn");
  for (int k = 0; k < 7; k++) {
    double t = cpu();
    v = (double)limit_enumerate(14, 0.4);
    c = least(c, cpu() - t);
    norn_datum p = norn_real(0.4 + 0.01 * k);   /* another each time: results are remembered */
    n = least(n, call(st, "run", &p, 1, &v));
  }
  row("enumerate 2^14 leaves", 1e3 * n, "ms", "C", 1e3 * c, "at most 10 ms");
  norn_free(st);
}

/* ---- start ---- */

static double start_once(char *const *argv)
{
  struct rusage u;
  int status;
  pid_t p = fork();
  if (p == 0) {
    if (!freopen("/dev/null", "w", stdout)) _exit(127);
    execv(argv[0], argv);
    _exit(127);
  }
  if (p < 0 || wait4(p, &status, 0, &u) < 0 || status) return INFINITY;
  return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
         1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void bench_start(void)
{
  char *program = (char *)(uintptr_t)binary, *option = (char *)(uintptr_t)"-e";
  char *one[] = {program, option, (char *)(uintptr_t)"1", NULL};
  char *prelude[] = {program, option, (char *)(uintptr_t)"[1, 2] |> map(x -> x + 1)", NULL};
  double a = INFINITY, b = INFINITY;
  for (int k = 0; k < 10; k++) {
    a = least(a, start_once(one));
    b = least(b, start_once(prelude));
  }
  if (isinf(a)) {
    printf("start: %s can't be run\n", binary);
    return;
  }
  row("start: norn -e 1", 1e3 * a, "ms", "", 0, "at most 10 ms");
  row("start: with the library in Norn", 1e3 * b, "ms", "", 0, "");
}

int main(int argc, char **argv)
{
  static const struct { const char *name; void (*f)(void); } all[] = {
    { "lang", bench_lang }, { "events", bench_events }, { "smc", bench_smc }, { "mh", bench_mh },
    { "enumerate", bench_enumerate }, { "start", bench_start } };
  folder = getenv("NORN_BENCH") ? getenv("NORN_BENCH") : "bench";
  binary = getenv("NORN") ? getenv("NORN") : "./norn";
  printf("%-44s %10s %-4s %10s %-8s %6s   %s\n", "", "Norn", "", "beside", "", "ratio", "goal");
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    bool wanted = argc == 1;
    for (int k = 1; k < argc; k++) wanted |= !strncmp(all[i].name, argv[k], strlen(argv[k]));
    if (wanted) all[i].f();
  }
  return 0;
}
