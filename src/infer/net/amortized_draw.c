/* amortized_draw: blocks of draws of a net (amortized.h): runs that go side by side, whose choices all come from the
   net or, with probability `defensive`, all from the prior.

   Lanes: draw i runs in lane i, iteration 0; its part of the mixture comes from lane i of a stream of its
   own.  A block begins at a multiple of AMORTIZED_BLOCK, so that who makes it changes nothing. */
#include "infer/net/amortized.h"
#include "infer/infer.h"
#include <string.h>

enum { LANE_PART = 20 };

bool drawer_new(drawer *d, amortized *of, norn_infer *inf, swarm *s)
{
  norn_state *st = norn_infer_state(inf);
  size_t most = (size_t)(of->n < AMORTIZED_BLOCK ? of->n : AMORTIZED_BLOCK);
  d->of = of;
  d->inf = inf;
  d->s = s;
  d->most = most;
  d->q = engine_get(st, most * sizeof *d->q);
  d->p = engine_get(st, most * sizeof *d->p);
  d->draw = engine_get(st, most);
  d->who = engine_get(st, most * sizeof *d->who);
  return d->q && d->p && d->draw && d->who && together_new(&d->t, s, most);
}

void drawer_free(drawer *d)
{
  net_asked_free(d->asked);
  if (!d->inf) return;
  norn_state *st = norn_infer_state(d->inf);
  together_free(&d->t);
  engine_put(st, d->q, d->most * sizeof *d->q);
  engine_put(st, d->p, d->most * sizeof *d->p);
  engine_put(st, d->draw, d->most);
  engine_put(st, d->who, d->most * sizeof *d->who);
  engine_put(st, d->missing, d->cmissing * sizeof *d->missing);
}

bool drawer_missing(drawer *d, uint64_t addr)
{
  size_t k = d->nmissing;
  while (k > 0 && d->missing[k - 1] >= addr) if (d->missing[--k] == addr) return true;
  if (!engine_room(norn_infer_state(d->inf), &d->missing, &d->cmissing, d->nmissing + 1, sizeof *d->missing)) return false;
  memmove(d->missing + k + 1, d->missing + k, (d->nmissing++ - k) * sizeof *d->missing);
  d->missing[k] = addr;
  return true;
}

static bool answers(void *user, int n, const int32_t *who, norn_run *const *run, const norn_event *ev,
                    norn_datum *value, double *lw)
{
  drawer *d = user;
  amortized *e = d->of;
  norn_state *st = d->s->st;
  for (int k = 0; k < n; k++) {
    norn_rng g;
    d->who[k] = who[k] - (int32_t)d->t.from;
    d->draw[k] = !e->prior[d->first + who[k]];
    norn_run_rng(run[k], &ev[k], &g);
    if (!d->draw[k] && norn_dist_sample(st, ev[k].dist, &g, &value[k])) {
      engine_place(st, ev[k].span);
      return false;
    }
    if (ev[k].flags & NORN_EV_MISSING && e->predicts && !drawer_missing(d, ev[k].addr)) return false;
  }
  if (!net_asked_next(d->asked, n, d->who, run, ev, d->draw, value, d->q, d->p)) return false;
  for (int k = 0; k < n; k++) {
    e->logq[d->first + who[k]] += d->q[k];
    e->logp[d->first + who[k]] += d->p[k];
    lw[k] = d->p[k] > -HUGE_VAL ? 0 : -HUGE_VAL;       /* what the prior can't give is no trace */
  }
  return true;
}

static bool block_start(drawer *d, int64_t first, int64_t n)
{
  amortized *e = d->of;
  unsigned flags = NORN_RUN_NAMES | (e->predicts ? NORN_RUN_DOMAIN : NORN_RUN_SCORE);
  uint64_t parts = norn_stream_split(norn_infer_stream(d->inf), ENGINE_LANE, LANE_PART, 0);
  d->block = n - first < AMORTIZED_BLOCK ? n - first : AMORTIZED_BLOCK;
  for (int64_t i = first; i < first + d->block; i++) {
    norn_rng g = {.stream = parts, .lane = (uint32_t)i};
    size_t k = (size_t)(i - d->first);
    d->s->run[k] = norn_infer_run(d->inf, (uint32_t)i, 0, flags | (i ? 0 : NORN_RUN_CHECK));
    if (!d->s->run[k]) return false;
    d->s->logw[k] = d->s->lik[k] = e->logq[i] = e->logp[i] = 0;
    d->s->past[k] = d->s->ended[k] = SWARM_NONE;
    e->prior[i] = norn_rng_uniform(&g) < e->defensive;
  }
  net_asked_restart(d->asked);
  d->t.blind = e->predicts;
  together_begin(&d->t, (size_t)(first - d->first), (size_t)(first - d->first + d->block));
  return d->going = true;
}

/* log of p(x, y) over the density of the proposal. */
static double weight_of(const drawer *d, int64_t i)
{
  const amortized *e = d->of;
  size_t k = (size_t)(i - d->first);
  if (swarm_dead(d->s, k)) return -HUGE_VAL;
  double share = e->defensive, q = log1p(-share) + e->logq[i];
  return d->s->lik[k] + e->logp[i] - (share > 0 ? log_add(q, log(share) + e->logp[i]) : q);
}

norn_step drawer_step(drawer *d, int64_t first, int64_t n)
{
  if (!d->going && !block_start(d, first, n)) return NORN_STEP_FAIL;
  norn_step s = together_pass(&d->t, answers, d);
  if (s != NORN_STEP_DONE) return s;
  for (int64_t i = first; i < first + d->block; i++) d->of->logw[i] = weight_of(d, i);
  d->going = false;
  return s;
}

norn_step amortized_draw(norn_infer *inf, amortized *e)
{
  norn_step s = e->d.going ? NORN_STEP_MORE : draws_on_crew(inf, e);
  if (s != NORN_STEP_MORE) return s == NORN_STEP_DONE ? NORN_STEP_MORE : s;
  s = drawer_step(&e->d, e->done, e->n);
  if (s != NORN_STEP_DONE) return s;
  e->done += e->d.block;
  return NORN_STEP_MORE;
}
