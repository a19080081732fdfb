/* shared_device: where many chains run (chees.h): on threads and lanes, or on a GPU (gpu/chains.h); and
   whether both say the same (verify = true). */
#include "infer/gradient/chees.h"
#include "gpu/chains.h"
#include "gpu/gpu.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

/* The program that serves all points; NULL: there is none. */
static const program *whole_program(const norn_density *d)
{
  return d->pinned && d->ntape == 1 ? d->tape[0].p : NULL;
}

static int threads_of(norn_state *st)
{
  int n = norn_config_of(st)->threads;
  return n > 0 ? n : pool_processors();
}

static const char *lacks(const norn_density *d, char *why, size_t n)
{
  char part[200];
  const program *p = whole_program(d);
  const char *of = p ? gpu_chains_lacks(p, part, sizeof part) : "a run that goes more than one way";
  const graph *g = p ? d->tape[0].g : NULL;
  uint32_t line = 0;
  size_t len;
  if (!of) return NULL;
  if (g && g->nguard && norn_span_line(d->st, g->guard[0].span, &len, &line))
    snprintf(why, n, "%s has no code for it (line %u can't be recorded both ways)", of, line);
  else snprintf(why, n, "%s has no code for it", of);
  return why;
}

void shared_explain(const norn_density *d, text *t)
{
  char why[300];
  if (lacks(d, why, sizeof why)) text_printf(t, "many chains on a GPU: no, %s\n", why);
  else text_puts(t, "many chains on a GPU: whole transitions of chees() and hmc(shared = true)\n");
}

/* Seconds that the transitions would take here, of eight steps each. */
static double seconds_here(const norn_density *d, const shared_plan *p, int threads)
{
  program_stats s;
  program_stats_of(whole_program(d), &s);
  double steps = p->steps ? (double)p->steps : 8;
  return 1e-6 * s.us * steps * (double)shared_transitions(p) * (double)p->chains / threads;
}

/* auto: too little to do for what a compiler costs. */
static bool pays(const norn_density *d, const shared_plan *p, int threads, char *why, size_t n)
{
  double s = seconds_here(d, p, threads);
  if (s > 5 && p->chains >= 256) return true;
  snprintf(why, n, "%lld chains are about %.2g s of work here", (long long)p->chains, s);
  return false;
}

/* On the GPU; *out without ops: on the CPU, for the reason in why. */
static norn_status on_device(norn_infer *inf, shared *e, chains_run *out, char *why, size_t n)
{
  norn_state *st = norn_infer_state(inf);
  const device_wish *w = &e->plan.wish;
  struct gpu *g = NULL;
  bool order = w->device == DEVICE_GPU;
  *why = 0;
  if (w->device == DEVICE_CPU) return NORN_OK;
  if (lacks(e->density, why, n)) return order ? device_refused(inf, why) : NORN_OK;
  if (!order && !pays(e->density, &e->plan, threads_of(st), why, n)) return NORN_OK;
  norn_status s = device_open(inf, w, &g, why, n);
  if (s || !g) return s;
  gpu_chains_wish wish = {.f32 = w->f32, .flags = GPU_FMA};     /* a product and a sum in one rounding */
  s = gpu_chains_new(g, whole_program(e->density), e->plan.chains, e->plan.stream, &wish, out);
  if (!s || order) return s;
  snprintf(why, n, "%.200s", norn_error(st)->text);
  norn_clear(st);
  return NORN_OK;
}

norn_status shared_executor(norn_infer *inf, shared *e)
{
  norn_state *st = norn_infer_state(inf);
  char why[300];
  norn_status s = on_device(inf, e, &e->run, why, sizeof why);
  if (s) return s;
  if (e->plan.wish.device != DEVICE_CPU) device_note(inf, e->run.ops ? "gpu" : "cpu", why);
  if (e->run.ops) return NORN_OK;
  return chains_cpu_new(st, e->density, e->plan.chains, threads_of(st), e->recorded, e->plan.stream, &e->run)
             ? NORN_OK : norn_error(st)->code;
}

/* ---- verify ---- */

bool shared_verifies(const shared *e) { return e->plan.wish.verify && !strcmp(e->run.ops->name, "gpu"); }

static norn_status differs(norn_infer *inf, const char *what, double there, double here)
{
  return engine_fail(norn_infer_state(inf), NORN_EINFER, (norn_span){0, 0, 0},
                     "the GPU does not say what the CPU says: %s is %.10g there and %.10g here", what,
                     there, here);
}

/* `part` of the numbers may differ, of numbers about 1. */
static bool same(double a, double b, double part)
{
  return a == b || fabs(a - b) <= part * (1 + fabs(a) + fabs(b));
}

/* A transition of three steps from where the chains are, by both, after which no chain has moved. */
static norn_status compare(norn_infer *inf, shared *e, chains_run *cpu, double *q, bool *good)
{
  bool f32 = e->plan.wish.f32;
  double part = f32 ? 1e-2 : 1e-6;
  chains_ask ask = {.iter = 0x90000000u, .steps = 3, .step = e->a.step, .least = 0.05, .learn = true,
                    .trial = true};
  chains_told there, here;
  norn_status s = e->run.ops->read(e->run.self, q, NULL);
  if (!s) s = cpu->ops->put(cpu->self, q, good);
  if (!s) s = cpu->ops->metric(cpu->self, e->a.scale);
  if (!s) s = e->run.ops->transition(e->run.self, &ask, &there);
  if (!s) s = cpu->ops->transition(cpu->self, &ask, &here);
  if (s) return s;
  if (!same(there.accept, here.accept, part))
    return differs(inf, "the mean acceptance", there.accept, here.accept);
  if (!same(there.harmonic, here.harmonic, 5 * part))
    return differs(inf, "the harmonic mean of acceptances", there.harmonic, here.harmonic);
  if (!f32 && !same(there.slope, here.slope, 10 * part))
    return differs(inf, "the slope of the criterion", there.slope, here.slope);
  return NORN_OK;
}

norn_status shared_verify_start(norn_infer *inf, shared *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t m = (size_t)e->plan.chains, size = m * (size_t)e->n * sizeof(double);
  chains_run cpu = {0};
  double *q = engine_get(st, size);
  bool *good = engine_get(st, m * sizeof *good);
  norn_status s = q && good && chains_cpu_new(st, e->density, e->plan.chains, threads_of(st), e->recorded,
                                              e->plan.stream, &cpu)
                      ? NORN_OK : NORN_EMEMORY;
  if (!s) s = compare(inf, e, &cpu, q, good);
  if (cpu.ops) cpu.ops->free(cpu.self);
  engine_put(st, q, size);
  engine_put(st, good, m * sizeof *good);
  return s;
}

/* The log densities of up to 64 of the draws that were just kept. */
norn_status shared_verify_draws(norn_infer *inf, shared *e, int64_t k)
{
  int64_t m = e->plan.chains, most = m < 64 ? m : 64;
  double part = e->plan.wish.f32 ? 1e-4 : 1e-9;
  for (int64_t i = 0; i < most; i++) {
    int64_t row = k * m + i * m / most;
    double there = e->stat[row * CHAINS_STATS + CHAINS_LP], here;
    norn_status s = norn_density_eval(e->density, e->q + row * e->n, &here, NULL);
    if (s) return s;
    if (!same(there, here, part)) return differs(inf, "the log density of a draw", there, here);
  }
  return NORN_OK;
}
