/* temper: tempered sequential Monte Carlo for models with gradients (Neal 2001; Del Moral, Doucet, Jasra
   2006, section 3.3.2.3), for evidence and for posteriors of several modes.

   Particles start as draws of the prior and follow prior(u) L(u)^b as b goes from 0 to 1.  The next b is
   the one at which the weights L^(b' - b) have an effective sample size of `ess` N (bisection); particles
   are resampled by it (systematic) and moved by `moves` transitions of Hamiltonian Monte Carlo that leave
   prior L^b' unchanged.  Metric and step size come from the population before: an adaptive scheme, which
   is consistent in N and not exactly unbiased (Beskos, Jasra, Kantas, Thiery 2016).

   `runs` populations do this one after the other; their evidences Z_r give Z, their mean, and its
   standard error sd(Z_r) / sqrt(runs); each population weighs in by its Z_r.

   The density of the likelihood is recorded beside that of the joint: log prior L^b = joint - (1 - b) L,
   and so the gradients.

   Random numbers: the engine's stream, lane run * N + particle, iteration the number of the temperature
   (0 the start); resampling in lane ENGINE_LANE. */
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include "num/rng.h"
#include <stdio.h>
#include <string.h>

enum { MOST_TEMPERATURES = 10000 };
static const double SHORTEST = 0.05;

typedef struct temper {
  int64_t N, moves, leaps, runs;
  double ess;
  uint64_t stream;
  norn_density *joint, *lik;
  int64_t n;                           /* coordinates */
  double *u, *l, *all, *all_l;         /* (runs, N, n); (N) log likelihoods; scratch of both */
  double *w, *scale, *q, *p, *g, *h;   /* (N); (n) each */
  uint32_t *count;
  double *log_z;                       /* (runs) */
  int64_t run, next;                   /* the run, the particle that is moved */
  uint32_t temperature, most;
  double b, step, accepted, tried;
  bool started;
} temper;

static norn_status temper_init(norn_infer *inf, void *self)
{
  temper *e = self;
  norn_state *st = norn_infer_state(inf);
  if (!option_int(inf, 0, 10, &e->N) || !option_int(inf, 1, 1, &e->runs) ||
      !option_real(inf, 2, &e->ess) || !option_int(inf, 3, 1, &e->moves) ||
      !option_int(inf, 4, 1, &e->leaps))
    return NORN_EDOMAIN;
  if (!(e->ess > 0 && e->ess < 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "ess of temper must be between 0 and 1, got %g", e->ess);
  if (e->N > 1 << 24 || e->runs > 1 << 20)
    return norn_fail(st, NORN_EDOMAIN, -1, "%s of temper must be at most %d",
                     e->N > 1 << 24 ? "particles" : "runs", e->N > 1 << 24 ? 1 << 24 : 1 << 20);
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 9, 0);
  return NORN_OK;
}

static norn_rng numbers(const temper *e, int64_t i)
{
  return (norn_rng){.stream = e->stream, .lane = (uint32_t)(e->run * e->N + i),
                    .iter = e->temperature};
}

/* ---- the two densities ---- */

/* A start is a draw of the prior, so it must be one. */
static norn_status refuse_improper(norn_state *st, const norn_density *d)
{
  char name[120];
  const choice *c = density_improper(d);
  if (!c) return NORN_OK;
  norn_status status =
    engine_fail(st, NORN_EINFER, c->span, "%s has an improper prior: it can't be drawn from, "
                "and the evidence would have no meaning",
                norn_addr_name(st, c->addr, name, sizeof name));
  norn_hint(st, "give it a proper prior, or use nuts()");
  return status;
}

static norn_step temper_record(norn_infer *inf, temper *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum model = norn_infer_model(inf);
  e->joint = norn_density_new(st, model, norn_infer_stream(inf), 0);
  if (!e->joint || refuse_improper(st, e->joint)) return NORN_STEP_FAIL;
  e->lik = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), DENSITY_LIKELIHOOD);
  if (!e->lik) return NORN_STEP_FAIL;
  int64_t n = e->n = norn_density_dim(e->joint), N = e->N;
  if (n == 0)
    return engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "this model makes no choice that temper can "
                       "move"), NORN_STEP_FAIL;
  e->u = engine_get(st, (size_t)(e->runs * N * n) * sizeof *e->u);
  e->all = engine_get(st, (size_t)(N * n) * sizeof *e->all);
  e->l = engine_get(st, (size_t)(3 * N) * sizeof *e->l);
  e->scale = engine_get(st, (size_t)(5 * n) * sizeof *e->scale);
  e->count = engine_get(st, (size_t)N * sizeof *e->count);
  e->log_z = engine_get(st, (size_t)e->runs * sizeof *e->log_z);
  if (!e->u || !e->all || !e->l || !e->scale || !e->count || !e->log_z) return NORN_STEP_FAIL;
  e->w = e->l + N;
  e->all_l = e->w + N;
  e->q = e->scale + n;
  e->p = e->q + n;
  e->g = e->p + n;
  e->h = e->g + n;
  return NORN_STEP_MORE;
}

static double *particle(const temper *e, int64_t i) { return e->u + (e->run * e->N + i) * e->n; }

/* log prior L^b at q, its gradient into e->g; *l: log likelihood.  false: error set. */
static bool tempered(temper *e, const double *q, double *logp, double *l)
{
  if (norn_density_eval(e->joint, q, logp, e->g) || norn_density_eval(e->lik, q, l, e->h)) return false;
  if (!(*l > -HUGE_VAL) || !(*logp > -HUGE_VAL)) {
    *logp = *l = -HUGE_VAL;
    return true;
  }
  *logp -= (1 - e->b) * *l;
  for (int64_t k = 0; k < e->n; k++) e->g[k] -= (1 - e->b) * e->h[k];
  return true;
}

/* ---- a population ---- */

/* Draws of the prior, and their likelihoods. */
static norn_step population_start(norn_infer *inf, temper *e)
{
  norn_state *st = norn_infer_state(inf);
  e->b = 0;
  e->temperature = 0;
  e->step = 0.5 * pow((double)e->n, -0.25);
  for (int64_t i = 0; i < e->N; i++) {
    norn_rng g = numbers(e, i);
    if (norn_density_prior(e->joint, &g, particle(e, i)) ||
        norn_density_eval(e->lik, particle(e, i), &e->l[i], NULL))
      return NORN_STEP_FAIL;
  }
  for (int64_t i = 0; i < e->N; i++)
    if (e->l[i] > -HUGE_VAL) { e->started = true; return NORN_STEP_MORE; }
  engine_fail(st, NORN_EINFER, norn_density_blame(e->lik),
              "each of %lld draws of the prior has likelihood 0", (long long)e->N);
  norn_hint(st, "a prior closer to the data, or more particles");
  return NORN_STEP_FAIL;
}

/* Effective sample size of weights L^d, as a part of N. */
static double share_at(temper *e, double d, double *log_mean)
{
  double top = -HUGE_VAL, s = 0, q = 0;
  for (int64_t i = 0; i < e->N; i++) top = fmax(top, e->l[i]);
  for (int64_t i = 0; i < e->N; i++) {
    double w = e->w[i] = e->l[i] == -HUGE_VAL ? 0 : exp(d * (e->l[i] - top));
    s += w;
    q += w * w;
  }
  *log_mean = d * top + log(s / (double)e->N);
  return s * s / (q * (double)e->N);
}

/* The next b, its weights in e->w and its part of the evidence. */
static void next_temperature(temper *e)
{
  double z, low = 0, high = 1 - e->b;
  if (share_at(e, high, &z) < e->ess) {
    /* those of likelihood 0 go whatever the step is: the aim is what the others can have */
    double least = e->ess * share_at(e, 0, &z);
    for (int k = 0; k < 60; k++) {
      double mid = (low + high) / 2;
      if (share_at(e, mid, &z) < least) high = mid;
      else low = mid;
    }
    high = low > 0 ? low : high;
  }
  share_at(e, high, &z);
  e->log_z[e->run] += z;
  e->b = e->b + high >= 1 - 1e-12 ? 1 : e->b + high;
  e->temperature++;
}

/* Resampled, in place; and the scale of each coordinate. */
static void population_resample(temper *e)
{
  norn_rng g = {.stream = e->stream, .lane = ENGINE_LANE, .event = (uint32_t)e->run,
                .iter = e->temperature};
  double sum = 0;
  int64_t to = 0, n = e->n;
  for (int64_t i = 0; i < e->N; i++) sum += e->w[i];
  resample(RESAMPLE_SYSTEMATIC, e->w, sum, e->count, (size_t)e->N, &g);
  for (int64_t i = 0; i < e->N; i++)
    for (uint32_t c = e->count[i]; c > 0; c--, to++) {
      memcpy(e->all + to * n, particle(e, i), (size_t)n * sizeof(double));
      e->all_l[to] = e->l[i];
    }
  memcpy(particle(e, 0), e->all, (size_t)(e->N * n) * sizeof(double));
  memcpy(e->l, e->all_l, (size_t)e->N * sizeof(double));
  for (int64_t k = 0; k < n; k++) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < e->N; i++) mean += e->all[i * n + k] / (double)e->N;
    for (int64_t i = 0; i < e->N; i++) {
      double d = e->all[i * n + k] - mean;
      var += d * d / (double)e->N;
    }
    e->scale[k] = sqrt(var) > 1e-10 ? sqrt(var) : 1e-10;
  }
}

/* ---- moves ---- */

/* One transition of particle i: momenta standard normal in units of the scales.  Each second one is shorter,
   down to SHORTEST: where a scale is itself a choice, as in a regression, its small values leave the others
   so little room that steps made for the population are never taken there. */
static bool move_once(temper *e, int64_t i, int64_t nth, norn_rng *g)
{
  double *u = particle(e, i), logp, l, start, end, l_start;
  int64_t n = e->n, steps = 1 + (int64_t)(rng_uniform(g) * (double)e->leaps);
  double h = e->step * (0.8 + 0.4 * rng_uniform(g)) * (nth % 2 ? pow(SHORTEST, rng_uniform(g)) : 1);
  if (!tempered(e, u, &start, &l_start)) return false;
  memcpy(e->q, u, (size_t)n * sizeof *u);
  end = 0;
  for (int64_t k = 0; k < n; k++) {
    e->p[k] = rng_normal(g);
    end += 0.5 * e->p[k] * e->p[k];
  }
  start -= end;
  for (int64_t s = 0; s < steps; s++) {
    for (int64_t k = 0; k < n; k++) {
      e->p[k] += 0.5 * h * e->scale[k] * e->g[k];
      e->q[k] += h * e->scale[k] * e->p[k];
    }
    if (!tempered(e, e->q, &logp, &l)) return false;
    if (!(logp > -HUGE_VAL)) break;
    for (int64_t k = 0; k < n; k++) e->p[k] += 0.5 * h * e->scale[k] * e->g[k];
  }
  double a = 0;
  if (logp > -HUGE_VAL) {
    end = logp;
    for (int64_t k = 0; k < n; k++) end -= 0.5 * e->p[k] * e->p[k];
    a = exp(fmin(0, end - start));
  }
  if (nth % 2 == 0) {                                 /* from which the step size learns */
    e->accepted += a >= 0 ? a : 0;
    e->tried++;
  }
  e->l[i] = l_start;
  if (!(rng_uniform(g) < a)) return true;
  memcpy(u, e->q, (size_t)n * sizeof *u);
  e->l[i] = l;
  return true;
}

/* All particles, a piece at a time; then the step size learns. */
static norn_step population_move(temper *e)
{
  for (int work = 0; work < 64 && e->next < e->N; work++, e->next++) {
    norn_rng g = numbers(e, e->next);
    for (int64_t k = 0; k < e->moves; k++)
      if (!move_once(e, e->next, k, &g)) return NORN_STEP_FAIL;
  }
  if (e->next < e->N) return NORN_STEP_MORE;
  double a = e->accepted / e->tried;
  e->step *= exp(a - 0.75);
  return NORN_STEP_DONE;
}

static norn_step temper_step(norn_infer *inf, void *self)
{
  temper *e = self;
  if (!e->joint) return temper_record(inf, e);
  if (!e->started) return population_start(inf, e);
  if (e->next == 0) {
    next_temperature(e);
    population_resample(e);
    e->accepted = e->tried = 0;
  }
  norn_step step = population_move(e);
  if (step != NORN_STEP_DONE) return step;
  e->next = 0;
  if (e->temperature > e->most) e->most = e->temperature;
  if (e->b < 1) {
    if (e->temperature < MOST_TEMPERATURES) return NORN_STEP_MORE;
    engine_fail(norn_infer_state(inf), NORN_EINFER, norn_density_blame(e->lik),
                "temper took %d temperatures and is at %.3g: the likelihood is too peaked for these "
                "particles", MOST_TEMPERATURES, e->b);
    return NORN_STEP_FAIL;
  }
  e->started = false;
  return ++e->run < e->runs ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- the end ---- */

/* The standard deviation of Student's t of R - 1 degrees of freedom, by which an error that R runs tell
   is widened: two of it cover as two of a normal one do.  For two and three runs, which have none, the
   ratio of their quantiles of 95 %. */
static double widened(int64_t R)
{
  double r = (double)R;
  return R == 2 ? 6.4 : R == 3 ? 2.2 : sqrt((r - 1) / (r - 3));
}

static norn_status temper_finish(norn_infer *inf, void *self)
{
  temper *e = self;
  norn_span nowhere = {0, 0, 0};
  double top = -HUGE_VAL, mean = 0, var = 0, squares = 0;
  int64_t R = e->run;                                 /* those that came to their end */
  if (!R) return NORN_OK;
  for (int64_t r = 0; r < R; r++) top = fmax(top, e->log_z[r]);
  for (int64_t r = 0; r < R; r++) mean += exp(e->log_z[r] - top) / (double)R;
  for (int64_t r = 0; r < R; r++) {
    double z = exp(e->log_z[r] - top);
    var += (z - mean) * (z - mean);
    squares += z * z;
  }
  double se = R > 1 ? widened(R) * sqrt(var / ((double)R - 1) / (double)R) / mean : (double)NAN;
  e->temperature = MOST_TEMPERATURES + 1;             /* numbers for what is summed out */
  for (e->run = 0; e->run < R; e->run++)
    for (int64_t i = 0; i < e->N; i++) {
      norn_rng g = numbers(e, i);
      norn_status status = norn_density_draw(e->joint, inf, particle(e, i), e->log_z[e->run], &g);
      if (status) return status;
    }
  norn_infer_evidence(inf, top + log(mean), se);
  norn_infer_note(inf, "log_evidences", norn_array_f64(norn_infer_state(inf), e->log_z, R));
  norn_infer_note(inf, "temperatures", norn_int((int64_t)e->most));
  norn_infer_note(inf, "step_size", norn_real(e->step));
  norn_status status = density_note_summed(e->joint, inf);
  double runs = mean * mean * (double)(R * R) / squares;
  if (R > 1 && runs < 0.5 * (double)R)
    norn_infer_warn(inf, nowhere, "the runs disagree: %.2g of %lld count (their log evidences are in "
                    "log_evidences); take more particles or moves", runs, (long long)R);
  return status;
}

static void temper_progress(norn_infer *inf, void *self, norn_progress *p)
{
  temper *e = self;
  (void)inf;
  p->done = (double)e->run + e->b * (e->run < e->runs && e->started);
  p->total = (double)e->runs;
  snprintf(p->state, sizeof p->state, "run %lld, b %.3g", (long long)e->run + 1, e->b);
}

static void temper_free(norn_infer *inf, void *self)
{
  temper *e = self;
  norn_state *st = norn_infer_state(inf);
  int64_t n = e->n, N = e->N;
  engine_put(st, e->u, (size_t)(e->runs * N * n) * sizeof *e->u);
  engine_put(st, e->all, (size_t)(N * n) * sizeof *e->all);
  engine_put(st, e->l, (size_t)(3 * N) * sizeof *e->l);
  engine_put(st, e->scale, (size_t)(5 * n) * sizeof *e->scale);
  engine_put(st, e->count, (size_t)N * sizeof *e->count);
  engine_put(st, e->log_z, (size_t)e->runs * sizeof *e->log_z);
  norn_density_free(e->joint);
  norn_density_free(e->lik);
}

static norn_status temper_archive(norn_infer *inf, void *self, norn_archive *a)
{
  temper *e = self;
  bool recorded = e->joint != NULL;
  if (!norn_archive_bool(a, &recorded) || !recorded) return norn_archive_status(a);
  if (norn_archive_reading(a) && temper_record(inf, e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  int64_t n = e->n;
  norn_archive_i64(a, &n);
  norn_archive_i64(a, &e->run);
  norn_archive_i64(a, &e->next);
  if (n != e->n || e->run < 0 || e->run > e->runs || e->next < 0 || e->next > e->N) {
    norn_archive_fail(a, "its populations are not whole");
    return norn_archive_status(a);
  }
  int64_t begun = e->run < e->runs ? e->run + 1 : e->runs;
  norn_archive_bytes(a, e->u, (size_t)(begun * e->N * n) * sizeof *e->u);
  norn_archive_bytes(a, e->l, (size_t)e->N * sizeof *e->l);
  norn_archive_bytes(a, e->scale, (size_t)n * sizeof *e->scale);
  norn_archive_bytes(a, e->log_z, (size_t)e->runs * sizeof *e->log_z);
  norn_archive_u32(a, &e->temperature);
  norn_archive_u32(a, &e->most);
  double *x[] = { &e->b, &e->step, &e->accepted, &e->tried };
  for (int i = 0; i < NORN_COUNT(x); i++) norn_archive_f64(a, x[i]);
  norn_archive_bool(a, &e->started);
  return norn_archive_status(a);
}

static const norn_option temper_options[] = {
  {"particles", "500", "particles of a run"},
  {"runs", "8", "independent runs, for the error of the evidence"},
  {"ess", "0.5", "the effective sample size that a temperature may cost, as a part of the particles"},
  {"moves", "3", "transitions of Hamiltonian Monte Carlo at each temperature"},
  {"leaps", "10", "at most so many leapfrog steps a transition"},
};

const norn_engine engine_temper = {
  .version = NORN_ENGINE_VERSION, .name = "temper",
  .doc = "Tempered sequential Monte Carlo: from the prior to the posterior in steps, for evidence and for "
         "several modes; for models with gradients.",
  .options = temper_options, .noptions = NORN_COUNT(temper_options), .size = sizeof(temper),
  .init = temper_init, .step = temper_step, .finish = temper_finish, .progress = temper_progress,
  .free = temper_free, .archive = temper_archive};
