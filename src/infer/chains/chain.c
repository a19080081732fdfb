/* chain: one chain of nuts or hmc, which may run on a thread of its own: it computes, and leaves
   draws and numbers about them in memory that was taken before.

   Lanes: chain c draws in lane c of a stream of the engine's own, so its draws do not depend on how
   many there are.  Iteration 0 is the start, i + 1 transition i (counted on by more()).  Events: 0
   the transition; 1 the search of a step size after it; 2 the jitter of step size and length; 200
   the first search; 300 discrete choices that were summed out. */
#include "infer/gradient/hmc.h"
#include "num/rng.h"
#include <string.h>

bool chain_new(norn_state *st, hmc_chain *c, const hmc_plan *plan, int index, int64_t n,
               int64_t max_depth)
{
  size_t draws = (size_t)plan->draws;
  c->plan = plan;
  c->index = index;
  c->n = n;
  c->q = engine_get(st, (draws * (size_t)n + 1) * sizeof *c->q);
  c->stat = engine_get(st, draws * STAT_COUNT * sizeof *c->stat);
  c->clock = engine_get(st, draws * sizeof *c->clock);
  c->point = engine_get(st, (size_t)(plan->points_max * n + 1) * sizeof *c->point);
  return c->q && c->stat && c->clock && c->point && phase_new(st, &c->sample, n) &&
    tree_new(st, &c->t, n, max_depth);
}

void chain_free(norn_state *st, hmc_chain *c)
{
  if (!c->plan) return;
  size_t draws = (size_t)c->plan->draws, n = (size_t)c->n;
  engine_put(st, c->q, (draws * n + 1) * sizeof *c->q);
  engine_put(st, c->stat, draws * STAT_COUNT * sizeof *c->stat);
  engine_put(st, c->clock, draws * sizeof *c->clock);
  engine_put(st, c->point, ((size_t)c->plan->points_max * n + 1) * sizeof *c->point);
  phase_free(st, &c->sample, c->n);
  if (c->t.n) tree_free(st, &c->t);
  if (c->a.n) adapt_free(st, &c->a);
  if (c->h.m.n) metric_free(st, &c->h.m);
}

norn_rng chain_rng(const hmc_chain *c, int64_t i)
{
  return (norn_rng){.stream = c->plan->stream, .lane = (uint32_t)c->index,
                    .iter = (uint32_t)(i ? i + c->plan->before : 0)};
}

bool chain_over(const hmc_chain *c)
{
  return c->at >= c->plan->warmup + c->plan->draws * c->plan->thin;
}

static void chain_keep(hmc_chain *c, const transition *t, double step)
{
  int64_t n = c->h.n, k = c->kept++;
  double *s = c->stat + k * STAT_COUNT;
  memcpy(c->q + k * n, c->sample.q, (size_t)n * sizeof *c->q);
  c->clock[k] = c->h.leapfrogs;
  s[STAT_LP] = c->sample.logp;
  s[STAT_ACCEPTANCE] = t->accept;
  s[STAT_STEP] = step;
  s[STAT_DEPTH] = (double)t->depth;
  s[STAT_LEAPS] = (double)t->leaps;
  s[STAT_DIVERGING] = t->diverged;
  s[STAT_ENERGY] = hmc_energy(&c->h, &c->sample);
}

/* What is counted of a transition after warm-up. */
static void chain_count(hmc_chain *c, const transition *t)
{
  c->moved += t->index != 0;
  c->accept_sum += t->accept;
  c->accepts++;
  c->deep += !c->plan->steps && t->depth >= c->t.max_depth;
  c->divergent += t->diverged;
  if (!t->diverged || c->points == c->plan->points_max) return;
  memcpy(c->point + c->points++ * c->h.n, c->t.z.q, (size_t)c->h.n * sizeof *c->point);
}

static void chain_adapt(hmc_chain *c, const transition *t, norn_rng *g)
{
  c->warm_divergent += t->diverged;
  if (adapt_update(&c->a, &c->h, &c->sample, t)) {
    g->event = 1;
    g->draw = 0;
    c->search = hmc_first_step(&c->h, &c->sample, g, &c->t.z);
    adapt_restart(&c->a, &c->h);
  }
  if (c->at + 1 == c->plan->warmup) adapt_finish(&c->a, &c->h);
}

/* A number of steps, uniform within a part of the given one. */
static int64_t path_length(const hmc_plan *p, double u)
{
  double least = ceil((double)p->steps * (1 - p->length_jitter)),
         most = floor((double)p->steps * (1 + p->length_jitter));
  double steps = floor(least + u * (most - least + 1));
  return steps < 1 ? 1 : steps > most ? (int64_t)most : (int64_t)steps;
}

static void chain_step(hmc_chain *c)
{
  const hmc_plan *p = c->plan;
  norn_rng g = chain_rng(c, c->at + 1), jitter = g;
  transition t;
  double step = c->h.step;
  jitter.event = 2;
  if (p->jitter > 0) c->h.step *= 1 + p->jitter * (2 * rng_uniform(&jitter) - 1);
  double used = c->h.step;
  int64_t steps = p->steps ? path_length(p, rng_uniform(&jitter)) : 0;
  if (steps) path_transition(&c->t, &c->h, &c->sample, steps, &g, &t);
  else tree_transition(&c->t, &c->h, &c->sample, &g, &t);
  c->h.step = step;
  if (c->h.failed || c->h.stopped) return;
  if (c->at < p->warmup) {
    chain_adapt(c, &t, &g);
  } else {
    chain_count(c, &t);
    if ((c->at - p->warmup + 1) % p->thin == 0) chain_keep(c, &t, used);
  }
  c->at++;
}

static void chain_begin(hmc_chain *c)
{
  norn_rng g = chain_rng(c, 0);
  g.event = 200;
  c->search = hmc_first_step(&c->h, &c->sample, &g, &c->t.z);
  adapt_restart(&c->a, &c->h);
  c->started = true;
}

void chain_advance(hmc_chain *c, uint64_t leapfrogs)
{
  if (!c->started) chain_begin(c);
  while (c->search == STEP_FOUND && !c->h.failed && !c->h.stopped && !chain_over(c) &&
         c->h.leapfrogs < leapfrogs)
    chain_step(c);
}

/* The tree is scratch, and momenta are drawn anew. */
static bool phase_archive(norn_archive *a, phase *z, int64_t n)
{
  size_t size = (size_t)n * sizeof(double);
  return norn_archive_bytes(a, z->q, size) && norn_archive_bytes(a, z->g, size) &&
         norn_archive_f64(a, &z->logp) && norn_archive_i64(a, &z->index);
}

bool chain_archive(norn_archive *a, hmc_chain *c)
{
  int64_t *count[] = { &c->at, &c->kept, &c->told, &c->points, &c->divergent, &c->deep, &c->moved,
                       &c->warm_divergent };
  int search = (int)c->search;
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  if (c->kept < 0 || c->kept > c->plan->draws || c->told < 0 || c->told > c->kept || c->points < 0 ||
      c->points > c->plan->points_max)
    return norn_archive_fail(a, "a chain is not whole");
  size_t n = (size_t)c->n, kept = (size_t)c->kept;
  norn_archive_bytes(a, c->q, kept * n * sizeof *c->q);
  norn_archive_bytes(a, c->stat, kept * STAT_COUNT * sizeof *c->stat);
  norn_archive_bytes(a, c->clock, kept * sizeof *c->clock);
  norn_archive_bytes(a, c->point, (size_t)c->points * n * sizeof *c->point);
  norn_archive_f64(a, &c->accept_sum);
  norn_archive_f64(a, &c->accepts);
  norn_archive_bool(a, &c->started);
  norn_archive_int(a, &search);
  if (search < STEP_FOUND || search > STEP_SMALL) return norn_archive_fail(a, "a chain is not whole");
  c->search = (step_search)search;
  norn_archive_f64(a, &c->h.step);
  norn_archive_u64(a, &c->h.leapfrogs);
  return phase_archive(a, &c->sample, c->n) && metric_archive(a, &c->h.m) && adapt_archive(a, &c->a);
}
