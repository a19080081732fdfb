/* bench/nuts: whole runs of nuts on the public posteriors of examples/posteriordb, one chain of 1000 +
   1000 on one thread, medians of three seeds: microseconds a gradient (time of warm-up and sampling
   over leapfrogs), the smallest bulk ESS of a parameter per second of sampling, and milliseconds from
   the text to the first draw, which a chain of no warm-up gives.  Beside them what peers gave on this machine, if
   bench/peers/run.sh was run before: lines PEER,MODEL,us,ESS/s,seconds in $NORN_PEERS or
   peers/results.csv. */
#include "bench.h"
#include "../tests/unit/pair.h"
#include <unistd.h>

enum { SEEDS = 3, MOST = 64 };
typedef struct figures { double us, ess, first; } figures;
typedef struct peer { char name[16], model[40]; figures f; } peer;
typedef struct peers { peer p[MOST]; int n; } peers;

static void peers_read(peers *all)
{
  const char *path = getenv("NORN_PEERS");
  FILE *f = fopen(path ? path : "peers/results.csv", "r");
  all->n = 0;
  for (peer p; f && all->n < MOST; all->p[all->n++] = p)
    if (fscanf(f, " %15[^,],%39[^,],%lf,%lf,%lf", p.name, p.model, &p.f.us, &p.f.ess, &p.f.first) != 5)
      break;
  if (f) fclose(f);
}

static double middle(double *x)
{
  double least_ = least(least(x[0], x[1]), x[2]), most = -least(least(-x[0], -x[1]), -x[2]);
  return x[0] + x[1] + x[2] - least_ - most;
}

static norn_datum engine_of(norn_state *st, const char *text)
{
  norn_datum out;
  if (norn_eval(st, "bench", text, strlen(text), NORN_LOAD_REPL, &out)) bench_die(st, text);
  return out;
}

/* Steps to the end; *sampled: seconds since the warm-up was over. */
static norn_datum run(norn_state *st, norn_datum model, const char *engine, double warmup,
                      double *whole, double *sampled)
{
  norn_progress p = {0};
  norn_ref *kept = norn_keep(st, model);
  norn_datum e = engine_of(st, engine);
  double start = bench_cpu(), warm = -1;
  norn_infer *inf = norn_infer_new(st, norn_get(kept), e);
  if (!inf) bench_die(st, engine);
  norn_step s;
  while ((s = norn_infer_step(inf)) == NORN_STEP_MORE) {
    norn_infer_progress(inf, &p);
    if (warm < 0 && p.done >= warmup) warm = bench_cpu();
  }
  if (s != NORN_STEP_DONE) bench_die(st, engine);
  *whole = bench_cpu() - start;
  *sampled = bench_cpu() - (warm < 0 ? start : warm);
  norn_datum post = norn_infer_result(inf);
  norn_infer_free(inf);
  norn_drop(kept);
  return post;
}

static double note(norn_state *st, norn_datum post, const char *name)
{
  norn_posterior view;
  double x = NAN;
  if (norn_posterior_view(st, post, &view)) norn_as_real(norn_record_get(st, view.info, name), &x);
  return x;
}

static figures figures_of(const char *file)
{
  figures x[SEEDS], out;
  double column[SEEDS], whole, sampled;
  for (int k = 0; k < SEEDS; k++) {
    double start = bench_cpu();
    norn_state *st = bench_state();
    norn_config_of(st)->threads = 1;
    norn_seed(st, (uint64_t)k + 1);
    norn_datum m = pair_model(st, file, "");
    if (norn_is_none(m)) bench_die(st, file);
    norn_ref *kept = norn_keep(st, m);
    run(st, m, "nuts(chains = 1, draws = 1, warmup = 0)", 0, &whole, &sampled);
    x[k].first = 1e3 * (bench_cpu() - start);
    norn_datum post = run(st, norn_get(kept), "nuts(chains = 1, draws = 1000, warmup = 1000)", 1000, &whole,
                          &sampled);
    x[k].us = 1e6 * whole / note(st, post, "leapfrogs");
    x[k].ess = note(st, post, "ess") / sampled;
    norn_drop(kept);
    norn_free(st);
  }
  for (int k = 0; k < SEEDS; k++) column[k] = x[k].us;
  out.us = middle(column);
  for (int k = 0; k < SEEDS; k++) column[k] = x[k].ess;
  out.ess = middle(column);
  for (int k = 0; k < SEEDS; k++) column[k] = x[k].first;
  out.first = middle(column);
  return out;
}

static void rows(const char *what, const char *unit, const char *name, int n, double norn,
                 const peers *all, size_t field, double by, const char *goal)
{
  char line[120];
  bool any = false;
  snprintf(line, sizeof line, "nuts: %.*s, %s", n, name, what);
  for (int i = 0; i < all->n; i++) {
    const peer *p = &all->p[i];
    if (strncmp(p->model, name, (size_t)n) || p->model[n]) continue;
    bench_row(line, norn, unit, p->name, by * *(const double *)((const char *)&p->f + field), goal);
    any = true;
  }
  if (!any) bench_row(line, norn, unit, "", 0, goal);
}

/* How often better Norn is than a peer, for each model that both have. */
typedef struct ratios { double us[MOST], ess[MOST]; int n; } ratios;
static void ratios_add(const peers *all, const char *name, int n, const figures *f, const char *peer_name,
                       ratios *r)
{
  for (int i = 0; i < all->n; i++) {
    const peer *p = &all->p[i];
    if (strcmp(p->name, peer_name) || strncmp(p->model, name, (size_t)n) || p->model[n]) continue;
    r->us[r->n] = p->f.us / f->us;
    r->ess[r->n++] = f->ess / p->f.ess;
  }
}

static double mean_of(const double *x, int n)                /* geometric */
{
  double s = 0;
  for (int i = 0; i < n; i++) s += log(x[i]);
  return exp(s / n);
}

static int by_size(const void *x, const void *y)
{
  const double a = *(const double *)x, b = *(const double *)y;
  return a < b ? -1 : a > b;
}

static double median_of(double *x, int n)
{
  qsort(x, (size_t)n, sizeof *x, by_size);
  return 0.5 * (x[n / 2] + x[(n - 1) / 2]);
}

static void one(const char *file, const peers *all, ratios *rstan)
{
  int n = (int)strlen(file) - 5;
  figures f = figures_of(file);
  rows("a gradient", "us", file, n, f.us, all, offsetof(figures, us), 1, "1/8 of rstan, median");
  rows("min bulk ESS", "/s", file, n, f.ess, all, offsetof(figures, ess), 1, "5 times rstan");
  rows("text to first draw", "ms", file, n, f.first, all, offsetof(figures, first), 1e3, "50 ms");
  ratios_add(all, file, n, &f, "rstan", rstan);
}

void bench_nuts(void)
{
  char folder[600], here[600];
  struct dirent **list;
  static peers all;
  static ratios rstan;
  peers_read(&all);
  if (!getcwd(here, sizeof here)) return;
  snprintf(folder, sizeof folder, "%s/../examples/posteriordb", bench_folder);
  int n = chdir(folder) ? -1 : scandir(".", &list, pair_file, alphasort);
  for (int i = 0; i < n; i++) {
    one(list[i]->d_name, &all, &rstan);
    free(list[i]);
  }
  if (n >= 0) free(list);
  if (rstan.n) {
    double mean = mean_of(rstan.us, rstan.n);
    bench_row("nuts: rstan's time a gradient over Norn's", median_of(rstan.us, rstan.n), "", "", 0, "8, median");
    bench_row("nuts: the same, geometric mean", mean, "", "", 0, "");
    bench_row("nuts: Norn's ESS/s over rstan's", mean_of(rstan.ess, rstan.n), "", "", 0, "5, geometric mean");
  }
  if (n < 0 || chdir(here)) fprintf(stderr, "bench: can't read %s\n", folder);
}
