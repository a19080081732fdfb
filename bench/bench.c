/* bench.c: every speed that Norn promises, beside hand-written C (bench/limits) and, where it is
   installed, Lua 5.4, in one run.  CPU seconds of this process, best of several; ratios are what
   counts, since machines differ and are busy.

     bench [NAME ...]      the groups of these names, or that start so; all without names

   The line of a row: what it measures, Norn, the limit or peer, their ratio, and the goal. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *bench_folder, *bench_binary;

double bench_cpu(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bench_die(norn_state *st, const char *what)
{
  char b[1000];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "bench: %s: %s\n", what, b);
  exit(1);
}

static void silent(void *user, const char *s, size_t n) { (void)user; (void)s; (void)n; }

norn_state *bench_state(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  c.output = silent;
  norn_state *st = norn_new(&c);
  if (!st) { fprintf(stderr, "bench: no memory\n"); exit(1); }
  return st;
}

norn_state *bench_load(const char *name)
{
  char path[600];
  norn_datum out;
  norn_state *st = bench_state();
  snprintf(path, sizeof path, "%s/%s", bench_folder, name);
  if (norn_eval_file(st, path, &out)) bench_die(st, path);
  return st;
}

/* Evaluates an expression in the session of a loaded file's names: the CPU seconds it takes. */
double bench_call(norn_state *st, const char *f, const norn_datum *args, int n, double *value)
{
  norn_datum fn = norn_global(st, f), out;
  norn_run *r = norn_run_new(st, fn, args, n);
  if (!r) bench_die(st, f);
  double t = bench_cpu();
  if (norn_drive(st, r, &out)) bench_die(st, f);
  t = bench_cpu() - t;
  if (!norn_as_real(out, value)) *value = NAN;
  return t;
}

void bench_row(const char *name, double norn, const char *unit, const char *beside, double other,
                const char *goal)
{
  if (other > 0)
    printf("%-44s %10.4g %-4s %10.4g %-8s %6.2f   %s\n", name, norn, unit, other, beside,
           norn / other, goal);
  else
    printf("%-44s %10.4g %-4s %10s %-8s %6s   %s\n", name, norn, unit, "-", beside, "-", goal);
  fflush(stdout);
}

static bool is_group(const char *name)
{
#define X(group) if (!strcmp(#group, name)) return true;
  GROUPS(X)
#undef X
  return false;
}

int main(int argc, char **argv)
{
  static const struct { const char *name; void (*f)(void); } all[] = {
#define X(name) { #name, bench_##name },
    GROUPS(X)
#undef X
  };
  bench_folder = getenv("NORN_BENCH") ? getenv("NORN_BENCH") : "bench";
  bench_binary = getenv("NORN") ? getenv("NORN") : "./norn";
  printf("%-44s %10s %-4s %10s %-8s %6s   %s\n", "", "Norn", "", "beside", "", "ratio", "goal");
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    bool wanted = argc == 1;
    for (int k = 1; k < argc; k++)
      wanted |= !strcmp(all[i].name, argv[k]) ||
                (!is_group(argv[k]) && !strncmp(all[i].name, argv[k], strlen(argv[k])));
    if (wanted) all[i].f();
  }
  return 0;
}
