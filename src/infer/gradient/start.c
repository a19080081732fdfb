/* start: where chains over R^n begin: at random, by the prior, near a mode, or where the user says. */
#include "infer/gradient/start.h"
#include "infer/infer.h"
#include "infer/gradient/pathfinder.h"
#include "infer/watch.h"
#include "num/rng.h"

enum { START_TRIES = 100 };

norn_status start_option(norn_infer *inf, start_way *w)
{
  static const char *const names[] = {"random", "prior", "pathfinder"};
  int i = option_at(inf, "init");
  norn_datum v = norn_infer_option(inf, i);
  if (norn_record_size(v) < 0)
    return option_choice(inf, i, names, 3, &w->kind) ? NORN_OK : norn_error(norn_infer_state(inf))->code;
  w->kind = START_GIVEN;
  w->given = norn_keep(norn_infer_state(inf), v);
  return w->given ? NORN_OK : NORN_EMEMORY;
}

void start_free(start_way *w)
{
  if (w->given) norn_drop(w->given);
  w->given = NULL;
}

bool start_finite(double logp, const double *g, int64_t n)
{
  if (!(logp > -HUGE_VAL)) return false;
  for (int64_t i = 0; i < n; i++) if (!isfinite(g[i])) return false;
  return true;
}

static norn_step no_start(norn_infer *inf, norn_density *d, uint32_t index, const start_point *p)
{
  norn_state *st = norn_infer_state(inf);
  norn_span span = norn_density_blame(d);
  char why[240];
  if (watch_why(d, st, norn_infer_model(inf), p->q, &span, why, sizeof why))
    engine_fail(st, NORN_EINFER, span, "no start of chain %lld has a finite log density, in %d "
                "tries: at the last, %s", (long long)index + 1, p->tries, why);
  else
    engine_fail(st, NORN_EINFER, span, "no start of chain %lld has a finite log density and "
                "gradient, in %d tries: this term was not finite", (long long)index + 1, p->tries);
  norn_hint(st, "%s(init = \"prior\") starts from draws of the prior, init = { name: value } from "
                "values of yours", infer_engine(inf)->name);
  return NORN_STEP_FAIL;
}

norn_step start_find(norn_infer *inf, norn_density *d, const start_way *w, norn_rng g, uint32_t index,
                     start_point *p)
{
  int64_t n = norn_density_dim(d);
  int tries = w->kind >= START_PATHFINDER ? 1 : START_TRIES;
  for (p->tries = 0; p->tries < tries;) {
    uint32_t i = (uint32_t)p->tries++;
    norn_rng pair = {.stream = g.stream, .lane = index & ~1u, .event = i};
    g.event = i;
    for (int64_t k = 0; k < n; k++) p->q[k] = (index & 1 ? -1 : 1) * (4 * rng_uniform(&pair) - 2);
    if (w->kind == START_PRIOR && norn_density_prior(d, &g, p->q)) return NORN_STEP_FAIL;
    if (w->kind == START_PATHFINDER && pathfinder_start(norn_infer_state(inf), d, &g, p->q))
      return NORN_STEP_FAIL;
    if (w->kind == START_GIVEN && norn_density_at(d, norn_get(w->given), p->q)) return NORN_STEP_FAIL;
    if (norn_density_eval(d, p->q, &p->logp, p->g)) return NORN_STEP_FAIL;
    if (start_finite(p->logp, p->g, n)) return NORN_STEP_MORE;
  }
  return no_start(inf, d, index, p);
}
