/* kernel_gradient: nuts, hmc and slice_sampler as kernels (kernel.h): a transition of the choices that may
   change and are continuous, all together, given the others, which are held (norn_density_block).

   Each set of such choices (programs may make others now than before) has a *setting* of its own: its
   density with what was recorded of it, its metric, step size and widths.  A setting learns while the
   kernel adapts, over as many transitions as are still to come, and then stays as it is; one that is new
   after that, or has hardly begun, learns for LEAST transitions (`late` counts them) and then stays too.

   Particles that are moved stand inside of a program, or under a part b of the likelihood (trace.h, target).
   A setting belongs to such a target: its density ends with the observation where the particles stand, and
   with b < 1 it is the mixture

       b log p(u, y) + (1 - b) log p(u),

   for which a second density is recorded without the observations.  At b = 0 nothing is moved: the
   particles are draws of the prior already.

   Random numbers: the kernel's own stream in the target's lane and iteration; event 0 the transition, 1
   and 200 searches of a step size, 2 jitter. */
#include "infer/chains/kernel_gradient.h"
#include "infer/gradient/density.h"
#include "infer/gradient/hmc.h"
#include "infer/infer.h"
#include "infer/chains/slice.h"
#include "num/rng.h"
#include <string.h>

enum { SETTINGS = 32, LEAST = 100, OWN = 12, MOST_RANK = 2 * FIT_ROWS };

typedef struct setting {
  uint64_t of, used;                   /* hash of its choices and target; when it was last used */
  norn_density *d;
  double beta;
  norn_density *prior, *mix;           /* beta < 1: without observations, and the mixture; else NULL */
  double *g; int64_t ng;               /* a gradient of the prior */
  bool failed;                         /* one of the mixture's densities: the error is set */
  int64_t n, at, learn;                /* transitions done; of them learning */
  bool frozen;
  switching switching; int64_t nchange; uint64_t labels;     /* of a density that is to be made again */
  hmc h;
  adapt a;
  tree t;
  phase sample;
  slicer s;
} setting;

typedef struct gradient {
  const target *g;                     /* of the transition that goes on */
  trace *t, next;
  execution x;
  bool refreshing, again;              /* again: a checkpoint was written while it did */
  setting *s[SETTINGS]; int ns;
  uint64_t clock;
  int64_t steps, max_depth, at;        /* at: transitions of the kernel */
  double target_accept, jitter, length_jitter, step;
  int metric, adapt_by;
  bool moved;
  gradient_report report;
} gradient;

static norn_state *state_of(const kernel *k) { return norn_infer_state(k->inf); }

/* ---- options ---- */

static int option_of(const kernel *k, const char *name)
{
  const norn_engine *e = k->row->engine;
  for (int i = 0; i < e->noptions; i++)
    if (!strcmp(e->options[i].name, name)) return i;
  return 0;
}

static bool word(kernel *k, const char *name, const char *const *words, int n, int *out)
{
  const char *s = norn_string_view(kernel_option(k, option_of(k, name)), NULL);
  for (*out = 0; s && *out < n; ++*out)
    if (!strcmp(s, words[*out])) return true;
  norn_fail(state_of(k), NORN_EDOMAIN, -1, "%s of %s is none of those that there are", name,
            k->row->engine->name);
  return false;
}

static bool between(kernel *k, const char *name, double v, double least, double most)
{
  if (v >= least && v < most) return true;
  norn_fail(state_of(k), NORN_EDOMAIN, -1, "%s of %s must be at least %g and below %g, got %g", name,
            k->row->engine->name, least, most, v);
  return false;
}

/* The run's length is that of gibbs, or of whoever uses the kernel. */
static bool no_lengths(kernel *k)
{
  static const char *const of_runs[] = {"draws", "warmup", "chains", "thin", "init", "device"};
  norn_state *st = state_of(k);
  const norn_engine *e = k->row->engine;
  for (int i = 0; i < e->noptions; i++)
    for (int j = 0; j < NORN_COUNT(of_runs); j++) {
      if (strcmp(e->options[i].name, of_runs[j])) continue;
      if (!engine_option_given(st, norn_get(k->engine), i)) continue;
      norn_fail(st, NORN_EDOMAIN, -1, "%s of %s means nothing where it is a kernel", of_runs[j], e->name);
      norn_hint(st, strcmp(of_runs[j], "device") ? "the engine around it says how long chains are: "
                "gibbs({...}, draws = 1000, burn = 1000)" : "kernels run on the CPU");
      return false;
    }
  return true;
}

static norn_status gradient_init(kernel *k)
{
  static const char *const ways[] = {"nutpie", "stan"};
  gradient *m = k->self;
  bool nuts = k->row == &kernel_nuts;
  if (!no_lengths(k)) return NORN_EDOMAIN;
  if (k->row == &kernel_slice) return NORN_OK;
  if (!kernel_real(k, option_of(k, "target_accept"), &m->target_accept) ||
      !between(k, "target_accept", m->target_accept, 1e-6, 1) ||
      !word(k, "metric", metric_names, METRIC_COUNT, &m->metric) || !word(k, "adapt", ways, 2, &m->adapt_by))
    return NORN_EDOMAIN;
  if (m->metric == METRIC_LOW_RANK && m->adapt_by == ADAPT_STAN)
    return norn_fail(state_of(k), NORN_EDOMAIN, -1, "adapt = \"stan\" has no metric = \"low_rank\"");
  double *jitter = nuts ? &m->jitter : &m->length_jitter;
  bool nutpie = m->adapt_by == ADAPT_NUTPIE && m->metric != METRIC_UNIT;
  if (!kernel_real(k, option_of(k, "jitter"), jitter)) return NORN_EDOMAIN;
  if (*jitter != *jitter) *jitter = !nuts ? 0.5 : nutpie ? 0.1 : 0;
  if (!between(k, "jitter", *jitter, 0, 1)) return NORN_EDOMAIN;
  if (nuts) {
    bool good = kernel_int(k, option_of(k, "max_depth"), 1, &m->max_depth) &&
      between(k, "max_depth", (double)m->max_depth, 1, 31);
    return good ? NORN_OK : NORN_EDOMAIN;
  }
  if (!kernel_int(k, option_of(k, "steps"), 1, &m->steps) ||
      !between(k, "steps", (double)m->steps, 1, 1e6 + 1) ||
      !kernel_real(k, option_of(k, "step_size"), &m->step))
    return NORN_EDOMAIN;
  if (m->step != m->step) m->step = 0;
  else if (!between(k, "step_size", m->step, 1e-300, HUGE_VAL)) return NORN_EDOMAIN;
  return NORN_OK;
}

/* ---- the block ---- */

static bool may_change(const gradient *m, uint64_t addr)
{
  return !m->g->movable || m->g->movable(m->g->user, addr);
}

static norn_hold_kind hold_kind(void *user, const norn_event *ev)
{
  const gradient *m = user;
  bool free = may_change(m, ev->addr) && !(norn_dist_flags(ev->dist) & NORN_DIST_DISCRETE);
  return free ? NORN_HOLD_FREE : NORN_HOLD_HELD;
}

static norn_datum hold_value(void *user, uint64_t addr)
{
  const gradient *m = user;
  const trace_choice *c = trace_find(m->t, addr);
  return c ? trace_value(c) : norn_none();
}

static int64_t hold_count(void *user) { return (int64_t)((const gradient *)user)->t->n; }

/* What tells one set of choices from another. */
static uint64_t signature(const gradient *m)
{
  uint64_t h = m->g->barriers == SIZE_MAX ? 0 : hash_mix(m->g->barriers + 1);
  for (size_t i = 0; i < m->t->n; i++) {
    const trace_choice *c = &m->t->c[i];
    norn_datum v = trace_value(c);
    bool whole = v.tag == NORN_INT || v.tag == NORN_BOOL;
    if (may_change(m, c->addr) && !whole) h = hash_mix(h + c->addr);
  }
  return h;
}

/* ---- settings ---- */

static void setting_clear(norn_state *st, setting *s)
{
  phase_free(st, &s->sample, s->n);
  if (s->t.n) tree_free(st, &s->t);
  if (s->a.n) adapt_free(st, &s->a);
  if (s->h.m.n) metric_free(st, &s->h.m);
  slicer_free(st, &s->s);
  s->t = (tree){0};
  s->a = (adapt){0};
  s->h = (hmc){0};
  s->s = (slicer){0};
}

static void setting_free(norn_state *st, setting *s)
{
  setting_clear(st, s);
  norn_density_free(s->d);
  norn_density_free(s->prior);
  norn_density_free(s->mix);
  engine_put(st, s->g, (size_t)s->ng * sizeof *s->g);
  engine_put(st, s, sizeof *s);
}

/* Its memory, for n coordinates and so many transitions of learning. */
static bool setting_room(kernel *k, setting *s)
{
  norn_state *st = state_of(k);
  gradient *m = k->self;
  int64_t most = s->n < MOST_RANK ? s->n : MOST_RANK;
  if (!s->n) return true;
  if (k->row == &kernel_slice) return slicer_new(st, &s->s, s->n);
  s->h.n = s->n;
  return phase_new(st, &s->sample, s->n) && tree_new(st, &s->t, s->n, m->max_depth) &&
    metric_new(st, &s->h.m, (metric_kind)m->metric, s->n, most) &&
    adapt_new(st, &s->a, (adapt_kind)m->adapt_by, (metric_kind)m->metric, s->n, s->learn, m->target_accept,
              m->step);
}

/* Begins to learn, at the present point. */
static bool setting_begin(kernel *k, setting *s)
{
  const gradient *m = k->self;
  int64_t left = k->adapts ? k->learning - m->at : 0;
  bool part = m->g->barriers != SIZE_MAX || m->g->beta != 1;
  setting_clear(state_of(k), s);
  s->n = norn_density_dim(s->d);
  s->at = 0;
  s->learn = left > LEAST ? left : LEAST;
  if (!k->learning) s->learn = k->adapts && !part ? 1000 : LEAST;
  s->frozen = false;
  if (!setting_room(k, s)) return false;
  if (s->n && k->row == &kernel_slice) slicer_start(&s->s);
  return true;
}

static setting *setting_new(kernel *k, uint64_t of)
{
  norn_state *st = state_of(k);
  gradient *m = k->self;
  int at = m->ns;
  if (at == SETTINGS) {
    at = 0;
    for (int i = 1; i < SETTINGS; i++) if (m->s[i]->used < m->s[at]->used) at = i;
    setting_free(st, m->s[at]);
    m->s[at] = m->s[--m->ns];
    at = m->ns;
  }
  setting *s = engine_get(st, sizeof *s);
  if (!s) return NULL;
  m->s[at] = s;
  m->ns++;
  s->of = of;
  return s;
}

/* Its density; one that was read from a checkpoint has had one. */
static bool setting_record(kernel *k, setting *s)
{
  norn_hold hold = {hold_kind, hold_value, hold_count, k->self};
  bool was = s->learn > 0;
  const target *g = ((const gradient *)k->self)->g;
  size_t part = g->barriers == SIZE_MAX ? 0 : g->barriers;
  s->d = density_block_part(state_of(k), norn_infer_model(k->inf), k->inf->stream, 0, hold, part);
  if (!s->d) return false;
  if (was) {
    s->d->switching = s->switching;
    s->d->nchange = s->nchange;
    s->d->labels = s->labels;
  }
  return was && norn_density_dim(s->d) == s->n ? true : setting_begin(k, s);
}

/* ---- a part of the likelihood ---- */

static double mixture(void *user, const double *u, double *du)
{
  setting *s = user;
  double all = 0, prior = 0;
  s->failed = s->failed || norn_density_eval(s->d, u, &all, du) ||
    norn_density_eval(s->prior, u, &prior, du ? s->g : NULL);
  if (s->failed || !(all > -HUGE_VAL) || !(prior > -HUGE_VAL)) return -HUGE_VAL;
  for (int64_t i = 0; du && i < s->n; i++)
    du[i] = s->beta * du[i] + (1 - s->beta) * s->g[i];
  return s->beta * all + (1 - s->beta) * prior;
}

/* The density of the target, at the present values; another part of the likelihood begins to learn anew. */
static bool setting_aim(kernel *k, setting *s)
{
  gradient *m = k->self;
  norn_state *st = state_of(k);
  norn_hold hold = {hold_kind, hold_value, hold_count, m};
  bool anew, other = s->beta != m->g->beta;
  size_t part = m->g->barriers == SIZE_MAX ? 0 : m->g->barriers;
  s->beta = m->g->beta;
  s->h.density = s->s.d = s->d;
  if (s->beta == 1 && !other) return true;
  if (other && s->at && !setting_begin(k, s)) return false;
  s->h.density = s->s.d = s->d;
  if (s->beta == 1) return true;
  if (!s->prior)
    s->prior = density_block_part(st, norn_infer_model(k->inf), k->inf->stream, DENSITY_PRIOR, hold, part);
  if (!s->prior || !norn_density_present(s->prior, &anew)) return false;
  if (s->ng != s->n + 1 || !s->mix) {
    norn_density_free(s->mix);
    engine_put(st, s->g, (size_t)s->ng * sizeof *s->g);
    s->ng = s->n + 1;
    s->g = engine_get(st, (size_t)s->ng * sizeof *s->g);
    s->mix = norn_density_of(st, s->n, mixture, s);
  }
  s->h.density = s->s.d = s->mix;
  return s->g && s->mix;
}

/* The setting of the choices that there are now; *here: their coordinates. */
static setting *setting_now(kernel *k, const double **here)
{
  gradient *m = k->self;
  uint64_t of = signature(m);
  setting *s = NULL;
  bool anew = false;
  for (int i = 0; i < m->ns && !s; i++)
    if (m->s[i]->of == of) s = m->s[i];
  if (!s && !(s = setting_new(k, of))) return NULL;
  s->used = ++m->clock;
  if (!s->d && !setting_record(k, s)) return NULL;
  *here = norn_density_present(s->d, &anew);
  if (!*here || (anew && !setting_begin(k, s))) return NULL;
  return setting_aim(k, s) ? s : NULL;
}

/* ---- transitions ---- */

static norn_rng numbers(const gradient *m, uint32_t event)
{
  return (norn_rng){.stream = norn_stream_split(m->g->stream, ENGINE_LANE, OWN, 0), .lane = m->g->lane,
                    .iter = m->g->iter, .event = event};
}

static norn_step search_failed(kernel *k, step_search found)
{
  norn_state *st = state_of(k);
  if (found == STEP_LARGE)
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "the step size of %s grew past 1e7: the log density "
                "does not fall off, so the posterior is improper", k->row->engine->name);
  else
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "no step size of %s is small enough: the density may "
                "not be continuous", k->row->engine->name);
  norn_hint(st, "slice_sampler() and mh() need no step size");
  return NORN_STEP_FAIL;
}

/* The step size for a first point, or a new metric. */
static norn_step search(kernel *k, setting *s, uint32_t event)
{
  norn_rng g = numbers(k->self, event);
  if (s->a.fixed) return NORN_STEP_MORE;
  step_search found = hmc_first_step(&s->h, &s->sample, &g, &s->t.z);
  if (s->h.failed) return NORN_STEP_FAIL;
  if (found != STEP_FOUND) return search_failed(k, found);
  adapt_restart(&s->a, &s->h);
  return NORN_STEP_MORE;
}

static void freeze(const kernel *k, setting *s)
{
  if (k->row != &kernel_slice) adapt_finish(&s->a, &s->h);
  s->frozen = true;
}

static bool learns(const kernel *k, const setting *s, int64_t at)
{
  return at < (k->adapts ? s->learn : LEAST);
}

static norn_step learn(kernel *k, setting *s, const transition *t)
{
  norn_step step = NORN_STEP_MORE;
  if (adapt_update(&s->a, &s->h, &s->sample, t)) step = search(k, s, 1);
  if (step == NORN_STEP_MORE && !learns(k, s, s->at + 1)) freeze(k, s);
  return step;
}

/* A number of steps, uniform within a part of the given one. */
static int64_t path_length(const gradient *m, double u)
{
  double least = ceil((double)m->steps * (1 - m->length_jitter));
  double most = floor((double)m->steps * (1 + m->length_jitter));
  double steps = floor(least + u * (most - least + 1));
  return steps < 1 ? 1 : steps > most ? (int64_t)most : (int64_t)steps;
}

static void report_transition(gradient *m, const setting *s, const transition *t)
{
  gradient_report *r = &m->report;
  r->diverged = t->diverged;
  r->step = s->h.step;
  if (!s->frozen) return;
  r->transitions++;
  r->divergent += t->diverged;
  r->accept += t->accept;
}

static norn_step hmc_transition(kernel *k, setting *s)
{
  gradient *m = k->self;
  norn_rng g = numbers(m, 0), jitter = numbers(m, 2);
  transition t;
  if (!s->at) {
    adapt_start(&s->a, &s->h, &s->sample);
    s->h.step = m->step > 0 ? m->step : 1;
    norn_step step = search(k, s, 200);
    if (step != NORN_STEP_MORE) return step;
  }
  double step = s->h.step;
  if (m->jitter > 0) s->h.step *= 1 + m->jitter * (2 * rng_uniform(&jitter) - 1);
  if (m->steps) path_transition(&s->t, &s->h, &s->sample, path_length(m, rng_uniform(&jitter)), &g, &t);
  else tree_transition(&s->t, &s->h, &s->sample, &g, &t);
  s->h.step = step;
  if (s->h.failed) return NORN_STEP_FAIL;
  m->moved = t.index != 0;
  report_transition(m, s, &t);
  return s->frozen ? NORN_STEP_MORE : learn(k, s, &t);
}

static norn_step slice_transition(kernel *k, setting *s)
{
  gradient *m = k->self;
  norn_rng g = numbers(m, 0);
  m->moved = true;
  if (!slicer_sweep(&s->s, &g, !s->frozen)) return NORN_STEP_FAIL;
  s->frozen = s->frozen || !learns(k, s, s->at + 1);
  return NORN_STEP_MORE;
}

static norn_status take(void *user, uint64_t addr, norn_datum v)
{
  gradient *m = user;
  trace_choice *c = trace_find(m->t, addr);
  norn_state *st = norn_infer_state(m->x.inf);
  return c && trace_set(st, c, v) ? NORN_OK : NORN_EMEMORY;
}

static norn_step no_density(kernel *k, setting *s)
{
  norn_state *st = state_of(k);
  engine_fail(st, NORN_EINFER, norn_density_blame(s->d), "the density of this block of %s is 0 where the "
              "chain is", k->row->engine->name);
  norn_hint(st, "a parameter at the end of its support? mh() and slice_sampler() may do");
  return NORN_STEP_FAIL;
}

static norn_step transition_now(kernel *k)
{
  gradient *m = k->self;
  const double *here;
  bool slice = k->row == &kernel_slice;
  norn_step step;
  m->moved = false;
  m->report.diverged = false;
  setting *s = setting_now(k, &here);
  if (!s) return NORN_STEP_FAIL;
  if (!s->n) return NORN_STEP_DONE;
  memcpy(slice ? s->s.u : s->sample.q, here, (size_t)s->n * sizeof *here);
  if (slice && norn_density_eval(s->s.d, s->s.u, &s->s.logp, NULL)) return NORN_STEP_FAIL;
  if (!slice) hmc_evaluate(&s->h, &s->sample);
  if (s->h.failed) return NORN_STEP_FAIL;
  if (!((slice ? s->s.logp : s->sample.logp) > -HUGE_VAL)) return no_density(k, s);
  if (!s->frozen && s->at && !learns(k, s, s->at)) freeze(k, s);
  m->report.late += !k->adapts && !s->frozen;
  step = slice ? slice_transition(k, s) : hmc_transition(k, s);
  if (s->failed) step = NORN_STEP_FAIL;
  if (step != NORN_STEP_MORE) return step;
  s->at++;
  k->proposed++;
  k->accepted += m->moved;
  m->x.inf = k->inf;
  if (m->moved && norn_density_tell(s->d, slice ? s->s.u : s->sample.q, take, m)) return NORN_STEP_FAIL;
  return m->moved ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_datum given(void *user, const norn_event *ev) { return hold_value(user, ev->addr); }

/* The densities of the new values, and what the program returns, by a run of it. */
static norn_step refresh(kernel *k)
{
  gradient *m = k->self;
  if (!m->refreshing && !execution_start(&m->x, k->inf, m->g, &m->next, given, m)) return NORN_STEP_FAIL;
  m->refreshing = true;
  norn_step step = execution_step(&m->x);
  if (step != NORN_STEP_DONE) return step;
  execution_end(&m->x);
  m->refreshing = false;
  trace old = *m->t;
  *m->t = m->next;
  m->next = old;
  return NORN_STEP_DONE;
}

static norn_step gradient_step(kernel *k, const target *g, trace *t)
{
  gradient *m = k->self;
  m->g = g;
  m->t = t;
  if (g->beta == 0) return NORN_STEP_DONE;
  if (!m->refreshing && !m->again) {
    norn_step step = transition_now(k);
    m->at++;
    if (step != NORN_STEP_MORE) return step;
  }
  m->again = false;
  return refresh(k);
}

/* ---- checkpoints ---- */

static bool setting_archive(kernel *k, setting *s, norn_archive *a)
{
  bool begun = s->learn > 0;
  int64_t *count[] = {&s->n, &s->at, &s->learn};
  norn_archive_u64(a, &s->of);
  norn_archive_u64(a, &s->used);
  norn_archive_f64(a, &s->beta);
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_bool(a, &s->frozen);
  int how = (int)(s->d ? s->d->switching : s->switching);
  if (s->d) s->nchange = s->d->nchange, s->labels = s->d->labels;
  norn_archive_int(a, &how);
  norn_archive_i64(a, &s->nchange);
  norn_archive_u64(a, &s->labels);
  if (how < SWITCH_NOT_YET || how > SWITCH_NEVER) return norn_archive_fail(a, "a block has no such choices");
  s->switching = (switching)how;
  if (!norn_archive_bool(a, &begun)) return false;
  if (s->n < 0 || s->n > INT32_MAX || s->learn < 0) return norn_archive_fail(a, "a block has another size");
  if (!begun || !s->n) return true;
  if (norn_archive_reading(a) && !setting_room(k, s)) return norn_archive_fail(a, "out of memory");
  if (k->row == &kernel_slice) return slicer_archive(a, &s->s);
  return norn_archive_f64(a, &s->h.step) && norn_archive_u64(a, &s->h.leapfrogs) &&
    metric_archive(a, &s->h.m) && adapt_archive(a, &s->a);
}

/* Densities are recorded again when they are needed. */
static bool gradient_archive(kernel *k, const target *g, trace *t, norn_archive *a)
{
  gradient *m = k->self;
  int n = m->ns;
  bool reads = norn_archive_reading(a), again = m->refreshing;
  (void)g;
  (void)t;
  norn_archive_u64(a, &m->clock);
  norn_archive_i64(a, &m->at);
  norn_archive_bool(a, &again);
  norn_archive_bytes(a, &m->report, sizeof m->report);
  if (!norn_archive_int(a, &n)) return false;
  if (n < 0 || n > SETTINGS) return norn_archive_fail(a, "a kernel has too many settings");
  if (reads) m->again = again;
  for (int i = 0; i < n; i++) {
    if (reads && !setting_new(k, 0)) return norn_archive_fail(a, "out of memory");
    if (!setting_archive(k, m->s[i], a)) return false;
  }
  return true;
}

bool kernel_gradient_report(const kernel *k, gradient_report *out)
{
  if (k->row != &kernel_nuts && k->row != &kernel_hmc && k->row != &kernel_slice) return false;
  *out = ((const gradient *)k->self)->report;
  return true;
}

static void gradient_free(kernel *k)
{
  norn_state *st = state_of(k);
  gradient *m = k->self;
  if (m->refreshing) execution_end(&m->x);
  trace_free(st, &m->next);
  for (int i = 0; i < m->ns; i++) setting_free(st, m->s[i]);
}

#define GRADIENT_ROW \
  .size = sizeof(gradient), .init = gradient_init, .step = gradient_step, .free = gradient_free, \
  .archive = gradient_archive
const kernel_row kernel_nuts = {.engine = &engine_nuts, GRADIENT_ROW};
const kernel_row kernel_hmc = {.engine = &engine_hmc, GRADIENT_ROW};
const kernel_row kernel_slice = {.engine = &engine_slice, GRADIENT_ROW};
