/* engine_chees: chees, Hamiltonian Monte Carlo of many chains that learn one step size, one metric and one
   length of trajectories together (Hoffman, Radul, Sountsov 2021, "An adaptive-MCMC scheme for setting
   trajectory lengths in Hamiltonian Monte Carlo"); and hmc(shared = true), of given steps.  The loop is
   shared.c's, the numbers of a transition graph/chains.h's. */
#include "infer/gradient/chees.h"
#include "infer/infer.h"
#include <string.h>

static norn_status code(norn_infer *inf) { return norn_error(norn_infer_state(inf))->code; }

/* 16 superchains where chains can be parted so, or as many below that as can; of fewer than 2 chains each
   there are none. */
static int64_t default_groups(int64_t chains)
{
  for (int64_t k = 16; k > 3; k--)
    if (chains % k == 0 && chains / k >= 2) return k;
  return chains;
}

/* A number above 0, or 0 where it is missing. */
static norn_status positive(norn_infer *inf, const char *name, double *out)
{
  if (!option_real(inf, option_at(inf, name), out)) return code(inf);
  if (*out != *out) { *out = 0; return NORN_OK; }
  return *out > 0 && *out < HUGE_VAL ? NORN_OK : option_must(inf, name, "above 0", *out);
}

static norn_status read_counts(norn_infer *inf, shared_plan *p)
{
  if (!option_int(inf, option_at(inf, "draws"), 1, &p->draws) ||
      !option_int(inf, option_at(inf, "warmup"), 0, &p->warmup) ||
      !option_int(inf, option_at(inf, "chains"), 2, &p->chains) ||
      !option_int(inf, option_at(inf, "thin"), 1, &p->thin))
    return code(inf);
  if (p->chains > 10000000) return option_must(inf, "chains", "at most 10000000", (double)p->chains);
  p->groups = default_groups(p->chains);
  return NORN_OK;
}

static norn_status read_groups(norn_infer *inf, shared_plan *p)
{
  int i = option_at(inf, "superchains");
  if (norn_infer_option(inf, i).tag == NORN_MISSING) return NORN_OK;
  if (!option_int(inf, i, 1, &p->groups)) return code(inf);
  return p->groups <= p->chains && p->chains % p->groups == 0
           ? NORN_OK : option_must(inf, "superchains", "a divisor of chains", (double)p->groups);
}

static norn_status read_common(norn_infer *inf, shared_plan *p)
{
  static const char *const metrics[] = {"diag", "unit"};
  int which;
  if (!option_real(inf, option_at(inf, "target_accept"), &p->target) ||
      !option_choice(inf, option_at(inf, "metric"), metrics, 2, &which) ||
      !option_real(inf, option_at(inf, "jitter"), &p->jitter))
    return code(inf);
  p->metric = which ? METRIC_UNIT : METRIC_DIAG;
  if (!(p->target > 0 && p->target < 1))
    return option_must(inf, "target_accept", "between 0 and 1", p->target);
  if (!(p->jitter >= 0 && p->jitter <= 1)) return option_must(inf, "jitter", "between 0 and 1", p->jitter);
  norn_status s = positive(inf, "step_size", &p->step);
  return s ? s : start_option(inf, &p->start);
}

static norn_status chees_init(norn_infer *inf, void *self)
{
  shared *e = self;
  shared_plan *p = &e->plan;
  norn_status s = read_counts(inf, p);
  if (!s) s = read_groups(inf, p);
  if (!s) s = read_common(inf, p);
  if (!s) s = positive(inf, "length", &p->length);
  if (!s && !option_int(inf, option_at(inf, "max_steps"), 1, &p->max_steps)) s = code(inf);
  if (!s && p->max_steps > 1000000)
    s = option_must(inf, "max_steps", "at most 1000000", (double)p->max_steps);
  if (!s) s = device_read(inf, &p->wish);
  return s ? s : shared_init(inf, e);
}

/* hmc's other metrics, and Stan's windows, are learnt by each chain for itself. */
static norn_status refuse_own(norn_infer *inf)
{
  norn_state *st = norn_infer_state(inf);
  const char *way = norn_string_view(norn_infer_option(inf, option_at(inf, "adapt")), NULL);
  if (!way || strcmp(way, "stan")) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, -1, "adapt = \"stan\" of hmc is learnt by each chain for itself: with "
                   "shared = true it must be \"nutpie\"");
}

norn_status shared_hmc_init(norn_infer *inf, shared *e)
{
  shared_plan *p = &e->plan;
  norn_status s = refuse_own(inf);
  if (!s) s = read_counts(inf, p);
  if (!s) s = read_common(inf, p);
  if (!s && !option_int(inf, option_at(inf, "steps"), 1, &p->steps)) s = code(inf);
  if (!s && p->steps > 1000000) s = option_must(inf, "steps", "at most 1000000", (double)p->steps);
  p->max_steps = 2 * p->steps;
  if (!s) s = device_read(inf, &p->wish);
  return s ? s : shared_init(inf, e);
}

static norn_step chees_step(norn_infer *inf, void *self) { return shared_step(inf, self); }
static norn_status chees_finish(norn_infer *inf, void *self) { return shared_finish(inf, self); }
static void chees_progress(norn_infer *inf, void *self, norn_progress *p) { shared_progress(inf, self, p); }
static void chees_free(norn_infer *inf, void *self) { shared_free(inf, self); }
static norn_status chees_archive(norn_infer *inf, void *self, norn_archive *a)
{
  return shared_archive(inf, self, a);
}

static const norn_option chees_options[] = {
  {"draws", "100", "draws kept of each chain"},
  {"warmup", "400", "transitions before, in which step size, metric and length are learnt"},
  {"chains", "64", "chains, which learn together; in lanes, on as many threads as there are"},
  {"target_accept", "0.651", "the harmonic mean of acceptance that the step size is adapted to"},
  {"metric", "\"diag\"", "\"diag\": learnt from draws and gradients; or \"unit\""},
  {"init", "\"random\"", "\"random\" (uniform on (-2, 2), unconstrained), \"prior\", \"pathfinder\" (a "
                         "normal near a mode), or a record of values by address"},
  {"superchains", "missing", "groups of chains with one start each, for nested R-hat; missing: 16, or what "
                             "divides chains below that"},
  {"thin", "1", "transitions from draw to draw"},
  {"jitter", "1", "the part of the length that varies from transition to transition; 0: fixed"},
  {"step_size", "missing", "of a leapfrog step; missing: adapted"},
  {"length", "missing", "of the longest trajectory, in units of the metric; missing: adapted"},
  {"max_steps", "1000", "leapfrog steps a transition, at most"},
  DEVICE_OPTIONS,
};

const norn_engine engine_chees = {
  .version = NORN_ENGINE_VERSION, .name = "chees",
  .doc = "Hamiltonian Monte Carlo of many chains that learn the length of their trajectories together; "
         "for models whose choices are all continuous.",
  .options = chees_options, .noptions = NORN_COUNT(chees_options), .size = sizeof(shared),
  .init = chees_init, .step = chees_step, .finish = chees_finish, .progress = chees_progress,
  .free = chees_free, .archive = chees_archive};
