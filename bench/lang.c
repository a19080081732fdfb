/* bench/lang: the loops of the language beside C and Lua 5.4, and the start of the command. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the language loops ---- */

static double lua(const char *name)
{
  char command[800];
  double t, best = INFINITY;
  for (int k = 0; k < 3; k++) {
    snprintf(command, sizeof command, "lua5.4 '%s/lang/bench.lua' %s 2>/dev/null", bench_folder,
             name);
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
    double t = bench_cpu();
    norn_free(bench_load(path));
    best = least(best, bench_cpu() - t);
  }
  return best;
}

static double c_loop(int which)
{
  volatile double sink = 0;        /* so that nothing is left out */
  double best = INFINITY;
  for (int k = 0; k < 3; k++) {
    double t = bench_cpu();
    switch (which) {
    case 0: sink += (double)limit_fib(32); break;
    case 1: sink += (double)limit_mandel(200); break;
    case 2: sink += limit_lpdf(2000000); break;
    case 3: sink += (double)limit_trees(16, 14); break;
    default: sink += (double)limit_closures(200);
    }
    best = least(best, bench_cpu() - t);
  }
  (void)sink;
  return best;
}

void bench_lang(void)
{
  static const char *const names[] = { "fib", "mandel", "lpdf", "trees", "closures" };
  for (int i = 0; i < 5; i++) {
    char label[80];
    double n = norn_loop(names[i]), l = lua(names[i]);
    snprintf(label, sizeof label, "lang %s, start included", names[i]);
    bench_row(label, n, "s", "Lua 5.4", l, "at most 0.7");
    bench_row(label, n, "s", "C", c_loop(i), "");
  }
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

void bench_start(void)
{
  char *program = (char *)(uintptr_t)bench_binary, *option = (char *)(uintptr_t)"-e";
  char *one[] = {program, option, (char *)(uintptr_t)"1", NULL};
  char *prelude[] = {program, option, (char *)(uintptr_t)"[1, 2] |> map(x -> x + 1)", NULL};
  double a = INFINITY, b = INFINITY;
  for (int k = 0; k < 10; k++) {
    a = least(a, start_once(one));
    b = least(b, start_once(prelude));
  }
  if (isinf(a)) {
    printf("start: %s can't be run\n", bench_binary);
    return;
  }
  bench_row("start: norn -e 1", 1e3 * a, "ms", "", 0, "at most 10 ms");
  bench_row("start: with the library in Norn", 1e3 * b, "ms", "", 0, "");
}
