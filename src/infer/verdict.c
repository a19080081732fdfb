/* verdict: what draws over R^n say about their chains, by coordinate or by choice. */
#include "infer/verdict.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <string.h>

/* Takes in the chains x (chains, draws) of a number. */
static norn_status worse(norn_state *st, const verdict_draws *e, verdict *v, const double *x, int64_t draws,
                         const char *name)
{
  double ess, rhat, limit = 1.01;
  if (!diagnose_chains(st, x, (int)e->chains, draws, &ess, &rhat)) return NORN_EMEMORY;
  if (e->groups && !diagnose_nested(st, x, (int)e->chains, (int)e->groups, draws, &rhat, &limit))
    return NORN_EMEMORY;
  v->draws = draws;
  if (rhat - limit > v->rhat - v->limit || (v->rhat == 0 && rhat > 0)) {
    v->rhat = rhat;
    v->limit = limit;
    snprintf(v->apart, sizeof v->apart, "%.150s", name);
  }
  if (!(ess < v->ess)) return NORN_OK;
  v->ess = ess;
  snprintf(v->worst, sizeof v->worst, "%.150s", name);
  return NORN_OK;
}

static norn_status worst_of(norn_state *st, const verdict_draws *e, verdict *v)
{
  int64_t draws = e->draws, total = e->chains * draws;
  double *x = engine_get(st, (size_t)total * sizeof *x);
  norn_status status = x ? NORN_OK : NORN_EMEMORY;
  char name[160];
  for (int64_t i = 0; i < e->n && !status; i++) {
    for (int64_t c = 0; c < e->chains; c++)
      for (int64_t k = 0; k < draws; k++) x[c * draws + k] = e->at(e->of, c, k)[i];
    status = worse(st, e, v, x, draws, norn_density_name(e->density, i, name, sizeof name));
  }
  engine_put(st, x, (size_t)total * sizeof *x);
  return status;
}

/* The numbers of all choices at the new draws, y (chains, draws, m). */
static norn_status constrain_all(const verdict_draws *e, double *y, int64_t m)
{
  norn_status status = NORN_OK;
  for (int64_t c = 0; c < e->chains && !status; c++)
    for (int64_t k = 0; k < e->draws && !status; k++, y += m)
      status = norn_density_constrain(e->density, e->at(e->of, c, k), y);
  return status;
}

/* Of a choice of which `kept` has the old draws: each number of old and new draws together. */
static norn_status worst_choice(norn_state *st, const verdict_draws *e, verdict *v,
                                const norn_density_choice *d, norn_datum kept, const double *y, int64_t m)
{
  int64_t new = e->draws, old = norn_array_length(kept) / e->chains, all = old + new;
  double *x = engine_get(st, (size_t)(e->chains * all) * sizeof *x);
  norn_status status = x ? NORN_OK : NORN_EMEMORY;
  char address[128] = "", name[160];
  norn_addr_name(st, d->addr, address, sizeof address);
  for (int64_t j = 0; j < d->nelem && !status; j++) {
    for (int64_t c = 0; c < e->chains; c++) {
      double *to = x + c * all;
      for (int64_t k = 0; k < old; k++) to[k] = norn_elem_real(norn_array_at(st, kept, c * old + k), j);
      for (int64_t k = 0; k < new; k++) to[old + k] = y[(c * new + k) * m + d->first + j];
    }
    if (d->rank) snprintf(name, sizeof name, "%s[%lld]", address, (long long)j);
    else snprintf(name, sizeof name, "%s", address);
    status = worse(st, e, v, x, all, name);
  }
  engine_put(st, x, (size_t)(e->chains * all) * sizeof *x);
  return status;
}

static norn_status worst_joined(norn_infer *inf, const verdict_draws *e, verdict *v)
{
  norn_state *st = norn_infer_state(inf);
  norn_posterior p;
  int64_t m = 0, n = norn_density_choices(e->density);
  norn_density_choice d;
  char name[256];
  if (!norn_posterior_view(st, infer_resumed(inf), &p)) return NORN_EMEMORY;
  for (int64_t i = 0; i < n; i++) {
    norn_density_choice_at(e->density, i, &d);
    if (d.discrete) continue;
    m += d.nelem;
    if (norn_record_size(p.choices) < 1 || !norn_addr_name(st, d.addr, name, sizeof name) ||
        norn_array_length(norn_record_get(st, p.choices, name)) != p.n)
      return worst_of(st, e, v);
  }
  size_t size = (size_t)(e->chains * e->draws * m) * sizeof(double);
  double *y = engine_get(st, size);
  norn_status status = y ? constrain_all(e, y, m) : NORN_EMEMORY;
  for (int64_t i = 0; i < n && !status; i++) {
    norn_density_choice_at(e->density, i, &d);
    if (d.discrete) continue;
    norn_addr_name(st, d.addr, name, sizeof name);
    status = worst_choice(st, e, v, &d, norn_record_get(st, p.choices, name), y, m);
  }
  engine_put(st, y, size);
  return status;
}

norn_status verdict_of(norn_infer *inf, const verdict_draws *e, verdict *v)
{
  *v = (verdict){.ess = HUGE_VAL, .limit = 1.01};
  return norn_is_none(infer_resumed(inf)) ? worst_of(norn_infer_state(inf), e, v) : worst_joined(inf, e, v);
}

void verdict_energy(const double *e, int64_t n, int64_t step, double *var, double *jump)
{
  double mean = 0;
  for (int64_t i = 0; i < n; i++) mean += e[i * step] / (double)n;
  for (int64_t i = 0; i < n; i++) {
    double x = e[i * step], d = i ? x - e[(i - 1) * step] : 0;
    *var += (x - mean) * (x - mean);
    *jump += d * d;
  }
}
