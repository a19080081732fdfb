/* chains_cpu: many chains of Hamiltonian dynamics on threads and lanes (graph/chains.h).

   Chains lie in blocks of eight, the points that a program is evaluated at at once; two blocks, whose
   momenta come from the same random blocks, are a *pair*, the unit of work.  Momenta and positions are
   whitened while they move: w = scale p is normal(0, I), a leapfrog is

       w += e/2 scale g,   q += e scale w,   w += e/2 scale g.

   Room behind the last chain is filled with copies, which are computed and not looked at.  A chain that
   meets an infinite density stands still from there on and is not accepted (so does the way back).

   Thread i has density i and every threads-th pair from the i-th on.  What is summed over chains is summed
   within pairs first, then over pairs in their order by the caller: the same for any number of threads. */
#include "infer/gradient/chees.h"
#include "infer/infer.h"
#include "num/rng.h"
#include <string.h>

enum { PAIR = 2 * POINTS };

/* Sums over the chains of a pair that count. */
typedef struct pair_sums { double accept, inverse, slope, criterion, counted, moved, diverged; } pair_sums;

typedef struct chains_cpu {
  norn_state *st;
  int64_t chains, pairs, n;
  uint64_t stream;
  norn_density **clone;                  /* (threads): the first is borrowed */
  int threads, clones;
  double recorded, worked;               /* seconds to record; of transitions */
  pool pool;
  pthread_t *thread;
  bool pooled;
  double *memory; size_t size;
  double *scale;                         /* (n) */
  double *q, *g, *q1, *g1, *w;           /* (PAIR pairs, n): here; the end of the path */
  double *logp, *logp1, *energy, *energy1, *accept, *stat;   /* (PAIR pairs); stat (.., CHAINS_STATS) */
  double *mean, *mean1;                  /* (n) */
  double *centre;                        /* (pairs, 2, n): sums of q and of q1 */
  pair_sums *sums;                       /* (pairs) */
  norn_status *failed;                   /* (threads) */
  chains_ask ask;
  void (*pair)(struct chains_cpu *, norn_density *, int64_t pair);
} chains_cpu;

static double *row(const chains_cpu *e, double *x, int64_t chain) { return x + chain * e->n; }

/* Is it a chain, or a copy that fills room. */
static bool real(const chains_cpu *e, int64_t chain) { return chain < e->chains; }

/* ---- evaluation ---- */

static norn_status evaluate(const chains_cpu *e, norn_density *d, int64_t from, double *q, double *logp,
                            double *g)
{
  for (int64_t c = from; c < from + PAIR; c += POINTS) {
    if (c > from && !real(e, c)) {                             /* a block of copies only */
      for (int64_t k = c; k < c + POINTS; k++) logp[k] = -HUGE_VAL;
      continue;
    }
    norn_status s = density_eval_block(d, row(e, q, c), logp + c, row(e, g, c));
    if (s) return s;
  }
  return NORN_OK;
}

static void put_pair(chains_cpu *e, norn_density *d, int64_t pair)
{
  e->failed[pair % e->clones] = evaluate(e, d, pair * PAIR, e->q, e->logp, e->g);
}

/* ---- paths ---- */

static void kick(const chains_cpu *e, int64_t chain, double h)
{
  const double *restrict s = e->scale, *restrict g = row(e, e->g1, chain);
  double *restrict w = row(e, e->w, chain);
  for (int64_t i = 0; i < e->n; i++) w[i] += h * s[i] * g[i];
}

static void drift(const chains_cpu *e, int64_t chain, double h)
{
  const double *restrict s = e->scale, *restrict w = row(e, e->w, chain);
  double *restrict q = row(e, e->q1, chain);
  for (int64_t i = 0; i < e->n; i++) q[i] += h * s[i] * w[i];
}

static double kinetic(const chains_cpu *e, int64_t chain)
{
  const double *w = row(e, e->w, chain);
  double k = 0;
  for (int64_t i = 0; i < e->n; i++) k += w[i] * w[i];
  return 0.5 * k;
}

static void momenta(const chains_cpu *e, int64_t from)
{
  for (int64_t c = from; c < from + POINTS; c++) {
    norn_rng r = {.stream = e->stream, .lane = (uint32_t)c, .iter = e->ask.iter};
    double *low = row(e, e->w, c), *high = row(e, e->w, c + POINTS);
    for (int64_t i = 0; i < e->n; i++, r.draw++) low[i] = rng_normal_pair(&r, &high[i]);
  }
}

/* Chains that have met an infinite density stand where they started, with that of their path. */
static bool bury(const chains_cpu *e, int64_t from, bool *dead)
{
  bool any = false;
  size_t size = (size_t)e->n * sizeof(double);
  for (int64_t c = from; c < from + PAIR; c++) {
    dead[c - from] |= !start_finite(e->logp1[c], row(e, e->g1, c), e->n);
    if (dead[c - from]) {
      memcpy(row(e, e->q1, c), row(e, e->q, c), size);
      memcpy(row(e, e->g1, c), row(e, e->g, c), size);
    } else any |= real(e, c);
  }
  return any;
}

static norn_status paths(chains_cpu *e, norn_density *d, int64_t from, bool *dead)
{
  double h = e->ask.step;
  norn_status s = NORN_OK;
  bool any = true;
  for (int64_t k = 0; k < e->ask.steps && any && !s; k++) {
    for (int64_t c = from; c < from + PAIR; c++) {
      kick(e, c, 0.5 * h);
      drift(e, c, h);
    }
    s = evaluate(e, d, from, e->q1, e->logp1, e->g1);
    any = bury(e, from, dead);
    for (int64_t c = from; c < from + PAIR; c++) kick(e, c, 0.5 * h);
    if (!pool_goes_on(&e->pool)) return NORN_EINTERRUPT;
  }
  return s;
}

/* To the ends of their paths, and what is summed of them. */
static void path_pair(chains_cpu *e, norn_density *d, int64_t pair)
{
  int64_t from = pair * PAIR, n = e->n;
  size_t size = (size_t)(PAIR * n) * sizeof(double);
  bool dead[PAIR] = {false};
  pair_sums *s = &e->sums[pair];
  double *sum = e->centre + pair * 2 * n;
  *s = (pair_sums){0};
  memset(sum, 0, (size_t)(2 * n) * sizeof *sum);
  memcpy(row(e, e->q1, from), row(e, e->q, from), size);
  memcpy(row(e, e->g1, from), row(e, e->g, from), size);
  momenta(e, from);
  for (int64_t c = from; c < from + PAIR; c++) e->energy[c] = kinetic(e, c) - e->logp[c];
  norn_status status = paths(e, d, from, dead);
  if (status) e->failed[pair % e->clones] = status;
  for (int64_t c = from; c < from + PAIR && !status && real(e, c); c++) {
    double after = dead[c - from] ? HUGE_VAL : kinetic(e, c) - e->logp1[c];
    double error = after - e->energy[c];
    bool diverged = !(error <= CHAINS_MAX_ERROR);
    e->energy1[c] = after;
    e->accept[c] = diverged ? 0 : error > 0 ? exp(-error) : 1;
    e->stat[c * CHAINS_STATS + CHAINS_DIVERGED] = diverged;
    s->accept += e->accept[c];
    s->inverse += 1 / fmax(e->accept[c], e->ask.least);
    s->diverged += diverged;
    if (diverged) continue;
    s->counted++;
    const double *q = row(e, e->q, c), *q1 = row(e, e->q1, c);
    for (int64_t i = 0; i < n; i++) {
      sum[i] += q[i];
      sum[n + i] += q1[i];
    }
  }
}

/* ---- the criterion, and acceptance ---- */

/* (|x' - c'|^2 - |x - c|^2)^2 / 4, and its derivative in time. */
static double chain_criterion(const chains_cpu *e, int64_t chain, double *slope)
{
  const double *q = row(e, e->q, chain), *q1 = row(e, e->q1, chain), *w = row(e, e->w, chain);
  double before = 0, after = 0, along = 0;
  for (int64_t i = 0; i < e->n; i++) {
    double x = (q[i] - e->mean[i]) / e->scale[i], y = (q1[i] - e->mean1[i]) / e->scale[i];
    before += x * x;
    after += y * y;
    along += y * w[i];
  }
  *slope = (after - before) * along;
  return 0.25 * (after - before) * (after - before);
}

static void end_pair(chains_cpu *e, norn_density *d, int64_t pair)
{
  int64_t from = pair * PAIR;
  size_t size = (size_t)e->n * sizeof(double);
  pair_sums *s = &e->sums[pair];
  (void)d;
  for (int64_t c = from; c < from + PAIR && real(e, c); c++) {
    double *stat = e->stat + c * CHAINS_STATS, a = e->accept[c];
    if (e->ask.learn && a > 0) {
      double g, f = chain_criterion(e, c, &g);
      if (isfinite(f) && isfinite(g)) {
        s->criterion += a * f;
        s->slope += a * g;
      }
    }
    if (e->ask.trial) continue;
    norn_rng r = {.stream = e->stream, .lane = (uint32_t)c, .iter = e->ask.iter, .draw = (uint32_t)e->n};
    bool taken = rng_uniform(&r) < a;
    if (taken) {
      memcpy(row(e, e->q, c), row(e, e->q1, c), size);
      memcpy(row(e, e->g, c), row(e, e->g1, c), size);
      e->logp[c] = e->logp1[c];
      s->moved++;
    }
    stat[CHAINS_LP] = e->logp[c];
    stat[CHAINS_ACCEPT] = a;
    stat[CHAINS_ENERGY] = taken ? e->energy1[c] : e->energy[c];
  }
}

/* ---- threads ---- */

static void job(void *of, int i)
{
  chains_cpu *e = of;
  for (int64_t p = i; p < e->pairs && !e->failed[i]; p += e->clones) e->pair(e, e->clone[i], p);
}

static bool still_wanted(void *of)
{
  chains_cpu *e = of;
  return !norn_poll(e->st);
}

/* A density more, when the work has taken as long as it takes to record one. */
static norn_status more_densities(chains_cpu *e)
{
  if (e->clones >= e->threads || e->clones >= e->pairs || e->worked < e->recorded * e->clones) return NORN_OK;
  norn_density *d = norn_density_clone(e->clone[0]);
  if (!d) return norn_error(e->st)->code;
  e->clone[e->clones++] = d;
  return NORN_OK;
}

/* The state's error is set by who polls, which the end of a transition does not: it is done whole. */
static norn_status all_pairs(chains_cpu *e, void (*f)(chains_cpu *, norn_density *, int64_t))
{
  double begun = infer_seconds();
  bool whole = f == end_pair;
  memset(e->failed, 0, (size_t)e->threads * sizeof *e->failed);
  e->pair = f;
  pool_run(&e->pool, e->clones, job, whole ? NULL : still_wanted, e);
  e->worked += infer_seconds() - begun;
  if (!whole && norn_error(e->st)->code) return norn_error(e->st)->code;
  for (int i = 0; i < e->clones; i++)
    if (e->failed[i]) return e->failed[i];
  return NORN_OK;
}

/* ---- the table ---- */

static norn_status cpu_put(void *self, const double *q, bool *good)
{
  chains_cpu *e = self;
  int64_t n = e->n;
  for (int64_t c = 0; c < e->pairs * PAIR; c++)
    memcpy(row(e, e->q, c), q + (real(e, c) ? c : e->chains - 1) * n, (size_t)n * sizeof *q);
  norn_status s = more_densities(e);
  if (!s) s = all_pairs(e, put_pair);
  for (int64_t c = 0; c < e->chains && !s; c++) good[c] = start_finite(e->logp[c], row(e, e->g, c), n);
  return s;
}

static norn_status cpu_metric(void *self, const double *scale)
{
  chains_cpu *e = self;
  memcpy(e->scale, scale, (size_t)e->n * sizeof *scale);
  return NORN_OK;
}

/* The means of where chains that count were, and of where their paths ended. */
static void means(chains_cpu *e, double counted)
{
  int64_t n = e->n;
  for (int64_t i = 0; i < n; i++) {
    double a = 0, b = 0;
    for (int64_t p = 0; p < e->pairs; p++) {
      a += e->centre[p * 2 * n + i];
      b += e->centre[p * 2 * n + n + i];
    }
    e->mean[i] = counted > 0 ? a / counted : 0;
    e->mean1[i] = counted > 0 ? b / counted : 0;
  }
}

static norn_status cpu_transition(void *self, const chains_ask *ask, chains_told *told)
{
  chains_cpu *e = self;
  pair_sums all = {0};
  e->ask = *ask;
  *told = (chains_told){0};
  norn_status s = more_densities(e);
  if (!s) s = all_pairs(e, path_pair);
  if (s) return s;
  for (int64_t p = 0; p < e->pairs; p++) all.counted += e->sums[p].counted;
  if (ask->learn) means(e, all.counted);
  if ((s = all_pairs(e, end_pair))) return s;
  for (int64_t p = 0; p < e->pairs; p++) {
    const pair_sums *x = &e->sums[p];
    all.accept += x->accept;
    all.inverse += x->inverse;
    all.slope += x->slope;
    all.criterion += x->criterion;
    all.moved += x->moved;
    all.diverged += x->diverged;
  }
  told->accept = all.accept / (double)e->chains;
  told->harmonic = (double)e->chains / all.inverse;
  told->slope = all.accept > 0 ? all.slope / all.accept : 0;
  told->criterion = all.accept > 0 ? all.criterion / all.accept : 0;
  told->moved = (int64_t)all.moved;
  told->diverged = (int64_t)all.diverged;
  return NORN_OK;
}

/* Means, then squares about them, in order of chains. */
static void moments_of(const chains_cpu *e, double *x, double *mean, double *var)
{
  int64_t n = e->n;
  memset(mean, 0, (size_t)n * sizeof *mean);
  memset(var, 0, (size_t)n * sizeof *var);
  for (int64_t c = 0; c < e->chains; c++)
    for (int64_t i = 0; i < n; i++) mean[i] += row(e, x, c)[i];
  for (int64_t i = 0; i < n; i++) mean[i] /= (double)e->chains;
  for (int64_t c = 0; c < e->chains; c++)
    for (int64_t i = 0; i < n; i++) {
      double d = row(e, x, c)[i] - mean[i];
      var[i] += d * d;
    }
  for (int64_t i = 0; i < n; i++) var[i] /= (double)e->chains;
}

static norn_status cpu_moments(void *self, double *m)
{
  chains_cpu *e = self;
  moments_of(e, e->q, m, m + e->n);
  moments_of(e, e->g, m + 2 * e->n, m + 3 * e->n);
  return NORN_OK;
}

static norn_status cpu_read(void *self, double *q, double *stat)
{
  chains_cpu *e = self;
  if (q) memcpy(q, e->q, (size_t)(e->chains * e->n) * sizeof *q);
  if (stat) memcpy(stat, e->stat, (size_t)(e->chains * CHAINS_STATS) * sizeof *stat);
  return NORN_OK;
}

static void cpu_free(void *self)
{
  chains_cpu *e = self;
  norn_state *st = e->st;
  if (e->pooled) pool_end(&e->pool);
  for (int i = 1; i < e->clones; i++) norn_density_free(e->clone[i]);
  engine_put(st, e->clone, (size_t)e->threads * sizeof *e->clone);
  engine_put(st, e->thread, (size_t)e->threads * sizeof *e->thread);
  engine_put(st, e->failed, (size_t)e->threads * sizeof *e->failed);
  engine_put(st, e->sums, (size_t)e->pairs * sizeof *e->sums);
  engine_put(st, e->memory, e->size);
  engine_put(st, e, sizeof *e);
}

static const chains_ops ops_cpu = {
  .name = "cpu", .put = cpu_put, .metric = cpu_metric, .transition = cpu_transition,
  .moments = cpu_moments, .read = cpu_read, .free = cpu_free};

static bool cpu_room(chains_cpu *e)
{
  size_t n = (size_t)e->n, all = (size_t)e->pairs * PAIR, wide = all * n;
  e->size = (5 * wide + (5 + CHAINS_STATS) * all + 3 * n + (size_t)e->pairs * 2 * n + 1) * sizeof(double);
  e->memory = engine_get(e->st, e->size);
  if (!e->memory) return false;
  double *at = e->memory, **big[] = {&e->q, &e->g, &e->q1, &e->g1, &e->w},
         **small[] = {&e->logp, &e->logp1, &e->energy, &e->energy1, &e->accept},
         **of_n[] = {&e->scale, &e->mean, &e->mean1};
  for (int i = 0; i < NORN_COUNT(big); i++, at += wide) *big[i] = at;
  for (int i = 0; i < NORN_COUNT(small); i++, at += all) *small[i] = at;
  for (int i = 0; i < NORN_COUNT(of_n); i++, at += n) *of_n[i] = at;
  e->stat = at;
  e->centre = at + all * CHAINS_STATS;
  for (size_t i = 0; i < n; i++) e->scale[i] = 1;
  return true;
}

bool chains_cpu_new(norn_state *st, norn_density *d, int64_t chains, int threads, double recorded,
                    uint64_t stream, chains_run *out)
{
  chains_cpu *e = engine_get(st, sizeof *e);
  if (!e) return false;
  *e = (chains_cpu){.st = st, .chains = chains, .pairs = (chains + PAIR - 1) / PAIR, .stream = stream,
                    .n = norn_density_dim(d), .recorded = recorded};
  e->threads = threads < 1 ? 1 : threads < e->pairs ? threads : (int)e->pairs;
  e->clone = engine_get(st, (size_t)e->threads * sizeof *e->clone);
  e->thread = engine_get(st, (size_t)e->threads * sizeof *e->thread);
  e->failed = engine_get(st, (size_t)e->threads * sizeof *e->failed);
  e->sums = engine_get(st, (size_t)e->pairs * sizeof *e->sums);
  if (!e->clone || !e->thread || !e->failed || !e->sums || !cpu_room(e)) {
    cpu_free(e);
    return false;
  }
  e->clone[e->clones++] = d;
  pool_start(&e->pool, e->thread, e->threads);
  e->pooled = true;
  *out = (chains_run){&ops_cpu, e};
  return true;
}
