/* hmc: leapfrog steps of Hamiltonian dynamics (Neal 2011, "MCMC using Hamiltonian dynamics") on a
   density over R^n. */
#include "infer/gradient/hmc.h"
#include <string.h>

bool phase_new(norn_state *st, phase *z, int64_t n)
{
  z->q = engine_get(st, (size_t)(4 * n + 1) * sizeof *z->q);
  if (!z->q) return false;
  z->p = z->q + n;
  z->g = z->p + n;
  z->v = z->g + n;
  return true;
}

void phase_free(norn_state *st, phase *z, int64_t n)
{
  engine_put(st, z->q, (size_t)(4 * n + 1) * sizeof *z->q);
  z->q = NULL;
}

void phase_copy(phase *to, const phase *from, int64_t n)
{
  memcpy(to->q, from->q, (size_t)(4 * n) * sizeof *to->q);
  to->logp = from->logp;
  to->index = from->index;
}

void hmc_momentum(const hmc *h, phase *z, norn_rng *g)
{
  metric_momentum(&h->m, g, z->p);
  metric_velocity(&h->m, z->p, z->v);
}

double hmc_energy(const hmc *h, const phase *z)
{
  double k = 0;
  if (!(z->logp > -HUGE_VAL)) return HUGE_VAL;           /* v is of an earlier point there */
  for (int64_t i = 0; i < h->n; i++) k += z->p[i] * z->v[i];
  double e = 0.5 * k - z->logp;
  return e == e ? e : HUGE_VAL;
}

void hmc_evaluate(hmc *h, phase *z)
{
  if (h->pool && !h->stopped && !pool_goes_on(h->pool)) h->stopped = true;
  if (h->stopped || h->failed) {
    z->logp = -HUGE_VAL;
    return;
  }
  h->leapfrogs++;
  norn_status status = norn_density_eval(h->density, z->q, &z->logp, z->g);
  if (status) h->failed = status;
  if (status) z->logp = -HUGE_VAL;
}

void hmc_leapfrog(hmc *h, phase *z, double e)
{
  int64_t n = h->n;
  double *restrict q = z->q, *restrict p = z->p, *restrict v = z->v;
  const double *g = z->g;
  for (int64_t i = 0; i < n; i++) p[i] += 0.5 * e * g[i];
  metric_velocity(&h->m, p, v);
  for (int64_t i = 0; i < n; i++) q[i] += e * v[i];
  z->index += e < 0 ? -1 : 1;
  hmc_evaluate(h, z);
  if (!(z->logp > -HUGE_VAL)) return;
  for (int64_t i = 0; i < n; i++) p[i] += 0.5 * e * g[i];
  metric_velocity(&h->m, p, v);
}

/* Is the log acceptance of one step from *start above log 0.8? */
static bool step_accepted(hmc *h, const phase *start, norn_rng *g, phase *z)
{
  phase_copy(z, start, h->n);
  hmc_momentum(h, z, g);
  double before = hmc_energy(h, z);
  hmc_leapfrog(h, z, h->step);
  return before - hmc_energy(h, z) > log(0.8);
}

step_search hmc_first_step(hmc *h, const phase *start, norn_rng *g, phase *z)
{
  bool grow = step_accepted(h, start, g, z);
  while (step_accepted(h, start, g, z) == grow && !h->failed && !h->stopped) {
    h->step = grow ? 2 * h->step : 0.5 * h->step;
    if (h->step > 1e7) return STEP_LARGE;
    if (h->step < 1e-300) return STEP_SMALL;
  }
  return STEP_FOUND;
}
