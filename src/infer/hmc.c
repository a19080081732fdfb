/* hmc: leapfrog steps of Hamiltonian dynamics (Neal 2011, "MCMC using Hamiltonian dynamics") on a
   density over R^n. */
#include "infer/hmc.h"
#include "num/rng.h"
#include <string.h>

bool phase_new(norn_state *st, phase *z, int64_t n)
{
  z->q = engine_get(st, (size_t)(3 * n + 1) * sizeof *z->q);
  if (!z->q) return false;
  z->p = z->q + n;
  z->g = z->p + n;
  return true;
}

void phase_free(norn_state *st, phase *z, int64_t n)
{
  engine_put(st, z->q, (size_t)(3 * n + 1) * sizeof *z->q);
  z->q = NULL;
}

void phase_copy(phase *to, const phase *from, int64_t n)
{
  memcpy(to->q, from->q, (size_t)(3 * n) * sizeof *to->q);
  to->logp = from->logp;
}

void hmc_momentum(const hmc *h, phase *z, norn_rng *g)
{
  for (int64_t i = 0; i < h->n; i++) z->p[i] = rng_normal(g) / sqrt(h->inverse[i]);
}

void hmc_velocity(const hmc *h, const double *p, double *v)
{
  for (int64_t i = 0; i < h->n; i++) v[i] = h->inverse[i] * p[i];
}

double hmc_energy(const hmc *h, const phase *z)
{
  double k = 0;
  for (int64_t i = 0; i < h->n; i++) k += h->inverse[i] * z->p[i] * z->p[i];
  double e = 0.5 * k - z->logp;
  return e == e ? e : HUGE_VAL;
}

void hmc_evaluate(hmc *h, phase *z)
{
  h->leapfrogs++;
  norn_status status = norn_density_eval(h->density, z->q, &z->logp, z->g);
  if (status && !h->failed) h->failed = status;
  if (status) z->logp = -HUGE_VAL;
}

void hmc_leapfrog(hmc *h, phase *z, double e)
{
  for (int64_t i = 0; i < h->n; i++) {
    z->p[i] += 0.5 * e * z->g[i];
    z->q[i] += e * h->inverse[i] * z->p[i];
  }
  hmc_evaluate(h, z);
  if (!(z->logp > -HUGE_VAL)) return;
  for (int64_t i = 0; i < h->n; i++) z->p[i] += 0.5 * e * z->g[i];
}

void hmc_first_step(hmc *h, const phase *start, norn_rng *g, phase *z)
{
  int direction = 0;
  for (int i = 0; i < 60 && !h->failed; i++) {
    phase_copy(z, start, h->n);
    hmc_momentum(h, z, g);
    double before = hmc_energy(h, z);
    hmc_leapfrog(h, z, h->step);
    int way = before - hmc_energy(h, z) > log(0.8) ? 1 : -1;
    if (direction && way != direction) break;
    direction = way;
    h->step = way == 1 ? 2 * h->step : 0.5 * h->step;
    if (h->step > 1e7 || h->step < 1e-300) break;
  }
}
