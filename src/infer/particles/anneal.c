/* anneal: annealed importance sampling and tempered sequential Monte Carlo for any program (Neal 2001; Del
   Moral, Doucet, Jasra 2006, section 3.3.2): for evidence, and for posteriors of several modes.

   Particles are whole runs.  They start as draws of the prior and follow prior(x) L(x)^b from b = 0 to 1:
   weights times L^(b' - b), resampling, and a kernel (kernel.h) that leaves prior L^b' unchanged.

       schedule given: these b; resample = false: weights go on to the end, plain annealed importance
                       sampling.  The evidence is unbiased.
       else            the next b is the one at which the effective sample size falls to `ess` of what it
                       was (bisection; Zhou, Johansen, Aston 2016): consistent in the number of particles, not
                       unbiased (Beskos, Jasra, Kantas, Thiery 2016), which info(post).biased_evidence says.

   A particle of likelihood 0 has died: it counts in the evidence.  `runs` populations give Z, their mean,
   and its standard error sd(Z_r) / sqrt(runs); each weighs in by its Z_r.

   temper does the same for models with gradients, by Hamiltonian Monte Carlo.

   Random numbers: population r has a stream of its own for its program and one for its moves (mover.h);
   resampling: the engine's, lane ENGINE_LANE, event r, iteration the number of the temperature. */
#include "infer/infer.h"
#include "infer/particles/mover.h"
#include <stdio.h>

enum { MOST_TEMPERATURES = 10000, MOST_RUNS = 1 << 20 };
enum { PARTICLES, RUNS, ESS, KERNEL, SCHEDULE, RESAMPLE };

typedef struct anneal {
  int64_t N, runs, run;
  double ess;
  bool resamples;
  double *schedule; int64_t nschedule;          /* NULL: adaptive */
  uint64_t stream;
  swarm s;
  mover m;
  double *log_z;                       /* (runs) since the start */
  double b;
  uint32_t temperature, most;
  uint32_t *path; size_t cpath;
  enum { START, ADVANCE, WEIGH, MOVE } at;
} anneal;

static norn_status read_schedule(norn_infer *inf, anneal *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, SCHEDULE);
  int64_t n = norn_array_length(v);
  if (v.tag == NORN_MISSING || norn_is_none(v)) return NORN_OK;
  if (n < 1)
    return norn_fail(st, NORN_ETYPE, -1, "schedule of anneal must be an array of rising numbers from 0 to 1");
  e->nschedule = n;
  e->schedule = engine_get(st, (size_t)n * sizeof *e->schedule);
  if (!e->schedule) return NORN_EMEMORY;
  double before = 0;
  for (int64_t i = 0; i < n; i++) {
    double b = e->schedule[i] = norn_elem_real(v, i);
    if (!(b <= 1) || !(i ? b > before : b >= 0))
      return norn_fail(st, NORN_EDOMAIN, -1, "schedule of anneal must rise from 0 to 1, but [%lld] is %g",
                       (long long)i, b);
    before = b;
  }
  if (before == 1) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, -1, "schedule of anneal must end at 1, not at %g", before);
}

static norn_status anneal_init(norn_infer *inf, void *self)
{
  anneal *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum by = norn_infer_option(inf, KERNEL), again = norn_infer_option(inf, RESAMPLE);
  if (!option_int(inf, PARTICLES, 2, &e->N) || !option_int(inf, RUNS, 1, &e->runs) ||
      !option_real(inf, ESS, &e->ess))
    return NORN_EDOMAIN;
  if (!(e->ess > 0 && e->ess < 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "ess of anneal must be between 0 and 1, got %g", e->ess);
  if (e->N > 1 << 24 || e->runs > MOST_RUNS)
    return norn_fail(st, NORN_EDOMAIN, -1, "%s of anneal must be at most %d",
                     e->N > 1 << 24 ? "particles" : "runs", e->N > 1 << 24 ? 1 << 24 : MOST_RUNS);
  if (again.tag != NORN_BOOL && !norn_is_none(again))
    return norn_fail(st, NORN_ETYPE, -1, "resample of anneal must be true or false");
  e->resamples = again.tag != NORN_BOOL || again.i;
  norn_status status = read_schedule(inf, e);
  if (status) return status;
  if (!e->resamples && !e->schedule)
    return norn_fail(st, NORN_EINFER, -1, "anneal without resampling needs a schedule");
  if (by.tag == NORN_MISSING || norn_is_none(by)) {
    by = norn_engine_new(st, &engine_mh, NULL, 0);
    if (norn_is_none(by)) return NORN_EMEMORY;
  }
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 11, 0);
  e->log_z = engine_get(st, (size_t)e->runs * sizeof *e->log_z);
  e->s.whole = true;
  if (!e->log_z || !swarm_new(inf, &e->s, (size_t)e->N)) return NORN_EMEMORY;
  status = mover_init(&e->m, inf, by, "anneal", 0);
  if (!status) e->m.k->adapts = !e->schedule;
  return status;
}

/* ---- temperatures ---- */

/* s->w: weights of particles after d more of the likelihood; gives their effective number. */
static double effective(anneal *e, double d)
{
  swarm *s = &e->s;
  double top = -HUGE_VAL, sum = 0, squares = 0;
  for (size_t i = 0; i < s->n; i++)
    if (s->logw[i] > -HUGE_VAL) top = fmax(top, s->logw[i] + d * s->lik[i]);
  for (size_t i = 0; i < s->n; i++) {
    if (!(s->logw[i] > -HUGE_VAL)) continue;
    double w = exp(s->logw[i] + d * s->lik[i] - top);
    sum += w;
    squares += w * w;
  }
  return sum * sum / squares;
}

static double next_temperature(anneal *e)
{
  if (e->schedule) {
    int64_t k = e->temperature + (e->schedule[0] == 0);
    return k < e->nschedule ? e->schedule[k] : 1;
  }
  double least = e->ess * effective(e, 0), low = 0, high = 1 - e->b;
  if (effective(e, high) >= least) return 1;
  for (int k = 0; k < 60; k++) {
    double mid = (low + high) / 2;
    if (effective(e, mid) < least) high = mid;
    else low = mid;
  }
  high = low > 0 ? low : high;
  return e->b + high >= 1 - 1e-12 ? 1 : e->b + high;
}

/* No particle of the population is left: its evidence is 0, which counts.  All of them: an error. */
static norn_step run_died(norn_infer *inf, anneal *e)
{
  bool all = true;
  e->log_z[e->run++] = -HUGE_VAL;
  e->at = START;
  if (e->run < e->runs) return NORN_STEP_MORE;
  for (int64_t r = 0; r < e->runs; r++) all = all && !(e->log_z[r] > -HUGE_VAL);
  return all ? blame_all_dead(norn_infer_state(inf), &inf->dead, "particle") : NORN_STEP_DONE;
}

/* On to the next temperature, and resampled. */
static norn_step weigh(norn_infer *inf, anneal *e)
{
  swarm *s = &e->s;
  double top, b = next_temperature(e), d = b - e->b;
  for (size_t i = 0; i < s->n; i++)
    if (s->logw[i] > -HUGE_VAL) s->logw[i] += d * s->lik[i];
  s->beta = e->b = b;
  double sum = swarm_weights(s, &top);
  if (!(sum > 0)) return run_died(inf, e);
  e->at = MOVE;
  e->temperature++;
  if (!e->resamples) return NORN_STEP_MORE;
  norn_rng g = { .stream = e->stream, .lane = ENGINE_LANE, .event = (uint32_t)e->run,
                 .iter = e->temperature };
  e->log_z[e->run] += top + log(sum / (double)s->n);
  return swarm_ancestors(s, sum, &g) && swarm_copy(s, s->from, 0) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* ---- populations ---- */

static norn_status anneal_answer(void *user, size_t i, norn_run *run, const norn_event *ev, norn_datum *v,
                                 double *lw)
{
  norn_state *st = user;
  (void)i;
  return engine_sample(st, run, ev, true, v, lw) ? NORN_OK : norn_error(st)->code;
}

static bool start(anneal *e)
{
  uint32_t r = (uint32_t)e->run;
  e->b = 0;
  e->temperature = 0;
  e->m.g.stream = norn_stream_split(e->stream, ENGINE_LANE, r, 2);
  e->m.g.iter = 0;
  if (!swarm_start(&e->s, norn_stream_split(e->stream, ENGINE_LANE, r, 1))) return false;
  e->s.beta = 0;
  return true;
}

/* The population has come to b = 1: its particles are draws. */
static norn_step finish_run(norn_infer *inf, anneal *e)
{
  swarm *s = &e->s;
  double top, sum = swarm_weights(s, &top), z = e->log_z[e->run];
  for (size_t i = 0; i < s->n; i++) {
    if (!(s->logw[i] > -HUGE_VAL)) continue;
    if (swarm_choices(s, i, &e->path, &e->cpath) ||
        norn_infer_draw(inf, column_at(s->st, &s->result, s->ended[i]), z + s->logw[i]))
      return NORN_STEP_FAIL;
  }
  e->log_z[e->run++] = z + top + log(sum / (double)s->n);
  if (e->temperature > e->most) e->most = e->temperature;
  e->at = START;
  return e->run < e->runs ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step moved(norn_infer *inf, anneal *e)
{
  if (!swarm_tidy(&e->s)) return NORN_STEP_FAIL;
  e->at = WEIGH;
  if (e->b >= 1) return finish_run(inf, e);
  if (e->temperature < MOST_TEMPERATURES) return NORN_STEP_MORE;
  engine_fail(norn_infer_state(inf), NORN_EINFER, (norn_span){ 0, 0, 0 },
              "anneal took %d temperatures and is at %.3g: the likelihood is too peaked for these particles",
              MOST_TEMPERATURES, e->b);
  return NORN_STEP_FAIL;
}

static norn_step anneal_step(norn_infer *inf, void *self)
{
  anneal *e = self;
  norn_step step;
  switch (e->at) {
  case START:
    if (!start(e)) return NORN_STEP_FAIL;
    e->at = ADVANCE;
    return NORN_STEP_MORE;
  case ADVANCE:
    step = swarm_advance(&e->s, anneal_answer, norn_infer_state(inf));
    if (step != NORN_STEP_DONE) return step;
    for (size_t i = 0; i < e->s.n; i++)
      if (!swarm_dead(&e->s, i)) { e->at = WEIGH; return NORN_STEP_MORE; }
    return run_died(inf, e);
  case WEIGH: return weigh(inf, e);
  default:
    step = mover_step(&e->m, &e->s);
    return step == NORN_STEP_DONE ? moved(inf, e) : step;
  }
}

/* ---- the end ---- */

static norn_status anneal_finish(norn_infer *inf, void *self)
{
  anneal *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_span nowhere = { 0, 0, 0 };
  double top = -HUGE_VAL, mean = 0, var = 0, squares = 0, R = (double)e->run;
  for (int64_t r = 0; r < e->run; r++) top = fmax(top, e->log_z[r]);
  for (int64_t r = 0; r < e->run; r++) mean += exp(e->log_z[r] - top) / R;
  for (int64_t r = 0; r < e->run; r++) {
    double z = exp(e->log_z[r] - top);
    var += (z - mean) * (z - mean);
    squares += z * z;
  }
  norn_infer_evidence(inf, top + log(mean), R > 1 ? sqrt(var / (R - 1) / R) / mean : (double)NAN);
  norn_infer_note(inf, "log_evidences", norn_array_f64(st, e->log_z, e->run));
  norn_infer_note(inf, "temperatures", norn_int((int64_t)e->most));
  const kernel *k = e->m.k;
  if (k->proposed)
    norn_infer_note(inf, "acceptance", norn_real((double)k->accepted / (double)k->proposed));
  if (!e->schedule)
    norn_infer_note(inf, "biased_evidence", norn_cstring(st, "temperatures were chosen by the particles"));
  double runs = mean * mean * R * R / squares;
  if (R > 1 && runs < 0.5 * R)
    norn_infer_warn(inf, nowhere, "the runs disagree: %.2g of %lld count (their log evidences are in "
                    "log_evidences); take more particles or steps", runs, (long long)e->run);
  return NORN_OK;
}

static void anneal_progress(norn_infer *inf, void *self, norn_progress *p)
{
  anneal *e = self;
  (void)inf;
  p->done = (double)e->run + (e->at == START ? 0 : e->b);
  p->total = (double)e->runs;
  snprintf(p->state, sizeof p->state, "run %lld, b %.3g", (long long)e->run + 1, e->b);
}

static void anneal_free(norn_infer *inf, void *self)
{
  anneal *e = self;
  norn_state *st = norn_infer_state(inf);
  mover_free(&e->m);
  swarm_free(&e->s);
  engine_put(st, e->schedule, (size_t)e->nschedule * sizeof *e->schedule);
  engine_put(st, e->log_z, (size_t)e->runs * sizeof *e->log_z);
  engine_put(st, e->path, e->cpath * sizeof *e->path);
}

static norn_status anneal_archive(norn_infer *inf, void *self, norn_archive *a)
{
  anneal *e = self;
  int at = e->at;
  (void)inf;
  norn_archive_int(a, &at);
  norn_archive_i64(a, &e->run);
  norn_archive_u32(a, &e->temperature);
  norn_archive_u32(a, &e->most);
  norn_archive_f64(a, &e->b);
  norn_archive_array(a, &e->log_z, NULL, (size_t)e->runs, sizeof *e->log_z);
  if (at < START || at > MOVE || e->run < 0 || e->run > e->runs) norn_archive_fail(a, "its phase is none");
  e->at = at;
  if (swarm_archive(a, &e->s)) mover_archive(a, &e->m, &e->s);
  return norn_archive_status(a);
}

static const norn_option anneal_options[] = {
  { "particles", "500", "particles of a population" },
  { "runs", "8", "independent populations, for the error of the evidence" },
  { "ess", "0.5", "the part of the effective sample size that is left after a temperature" },
  { "kernel", "missing", "what moves the particles at each temperature, mh() if missing: mh(steps = 3)" },
  { "schedule", "missing", "inverse temperatures, rising to 1, such as [0, 0.1, 1]; else they are found" },
  { "resample", "true", "false, with a schedule: plain annealed importance sampling" }
};

const norn_engine engine_anneal = {
  .version = NORN_ENGINE_VERSION,
  .name = "anneal",
  .doc = "Annealed importance sampling with resampling: from the prior to the posterior in steps, for the "
         "evidence of any program and for several modes.",
  .options = anneal_options,
  .noptions = NORN_COUNT(anneal_options),
  .size = sizeof(anneal),
  .init = anneal_init,
  .step = anneal_step,
  .finish = anneal_finish,
  .progress = anneal_progress,
  .free = anneal_free,
  .archive = anneal_archive
};
