/* amortized_smc: smc whose particles ask a net for their choices (amortized.h), each with

       value ~ (1 - d) q + d p,     weight  p / ((1 - d) q + d p)

   times the weight of its observations; smc.c does the rest (weights, resampling, evidence, its error).  A
   net's proposal for a choice knows all the data, also those that come later, which the bootstrap filter
   does not.

   Random numbers: of the program as in smc; which part of the mixture proposes, from streams split off the
   event's. */
#include "infer/net/amortized.h"
#include "infer/infer.h"
#include "infer/particles/particles.h"
#include "infer/particles/smc.h"

enum { OPTION_EXECUTOR = 4, OPTION_DELAYED, LANE_CHOICE = 19 };

typedef struct guided {
  particles p;
  swarm s;
  together t;
  net_asked *asked;
  bool begun;                          /* the leg */
  double defensive, *q, *l;            /* (n) */
  bool *draw;
  uint32_t *path; size_t cpath;
} guided;

static void guided_died(void *user, size_t i, norn_span span) { particles_dead(user, i, span); }

void amortized_numbers(const norn_run *run, const norn_event *ev, norn_rng *g)
{
  norn_run_rng(run, ev, g);
  *g = (norn_rng){.stream = norn_stream_split(g->stream, ENGINE_LANE, LANE_CHOICE, 0), .lane = g->lane,
                  .event = g->event, .iter = g->iter};
}

static norn_status guided_start(particles *p)
{
  guided *e = (guided *)p;
  norn_state *st = norn_infer_state(p->inf);
  amortized *own = p->inf->self;
  uint64_t stream = norn_infer_stream(p->inf);
  e->defensive = own->defensive;
  e->s.died = guided_died;
  e->s.died_user = p;
  e->q = engine_get(st, p->n * sizeof *e->q);
  e->l = engine_get(st, p->n * sizeof *e->l);
  e->draw = engine_get(st, p->n);
  if (!e->q || !e->l || !e->draw || !swarm_new(p->inf, &e->s, p->n) || !swarm_start(&e->s, stream) ||
      !together_new(&e->t, &e->s, p->n))
    return NORN_EMEMORY;
  e->asked = net_asked_new(st, own->net, norn_infer_model(p->inf), (int)p->n, stream);
  return e->asked ? NORN_OK : norn_error(st)->code;
}

static bool guided_answers(void *user, int n, const int32_t *who, norn_run *const *run, const norn_event *ev,
                           norn_datum *value, double *lw)
{
  guided *e = user;
  norn_state *st = e->s.st;
  for (int k = 0; k < n; k++) {
    norn_rng g;
    amortized_numbers(run[k], &ev[k], &g);
    e->draw[k] = norn_rng_uniform(&g) >= e->defensive;
    norn_run_rng(run[k], &ev[k], &g);
    if (!e->draw[k] && norn_dist_sample(st, ev[k].dist, &g, &value[k])) {
      engine_place(st, ev[k].span);
      return false;
    }
  }
  if (!net_asked_next(e->asked, n, who, run, ev, e->draw, value, e->q, e->l)) return false;
  for (int k = 0; k < n; k++) {
    double d = e->defensive, q = log1p(-d) + e->q[k];
    if (d > 0) q = log_add(q, log(d) + e->l[k]);
    lw[k] = e->l[k] > -HUGE_VAL ? e->l[k] - q : -HUGE_VAL;
  }
  return true;
}

static norn_step guided_advance(particles *p)
{
  guided *e = (guided *)p;
  swarm *s = &e->s;
  if (!e->begun) {
    if (!swarm_tidy(s)) return NORN_STEP_FAIL;
    together_begin(&e->t, 0, p->n);
  }
  e->begun = true;
  norn_step step = together_pass(&e->t, guided_answers, e);
  if (step != NORN_STEP_DONE) return step;
  e->begun = false;
  particles_met(p, s);
  return NORN_STEP_DONE;
}

static bool guided_copy(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  guided *e = (guided *)p;
  return swarm_places(&e->s, to, from, n) && net_asked_copy(e->asked, to, from, n);
}

static norn_datum guided_value(particles *p, size_t i)
{
  guided *e = (guided *)p;
  return column_at(e->s.st, &e->s.result, e->s.ended[i]);
}

static norn_status guided_choices(particles *p, size_t i)
{
  guided *e = (guided *)p;
  return swarm_choices(&e->s, i, &e->path, &e->cpath);
}

static void guided_free(particles *p)
{
  guided *e = (guided *)p;
  norn_state *st = norn_infer_state(p->inf);
  net_asked_free(e->asked);
  together_free(&e->t);
  swarm_free(&e->s);
  engine_put(st, e->q, p->n * sizeof *e->q);
  engine_put(st, e->l, p->n * sizeof *e->l);
  engine_put(st, e->draw, p->n);
  engine_put(st, e->path, e->cpath * sizeof *e->path);
}

static bool guided_archive(particles *p, norn_archive *a, uint32_t *to, uint32_t *from)
{
  guided *e = (guided *)p;
  (void)to;
  (void)from;
  return norn_archive_bool(a, &e->begun) && swarm_archive(a, &e->s) && (!e->begun || together_archive(a, &e->t)) &&
         net_asked_archive(a, e->asked);
}

static const particles_ops particles_guided = {
  .name = "guided",
  .words = "runs of the virtual machine whose choices a net proposes",
  .size = sizeof(guided),
  .start = guided_start,
  .advance = guided_advance,
  .copy = guided_copy,
  .value = guided_value,
  .choices = guided_choices,
  .free = guided_free,
  .archive = guided_archive
};

norn_status amortized_smc_begin(norn_infer *inf, amortized *e)
{
  static const char *const executors[] = {"auto", "scalar"};
  norn_state *st = norn_infer_state(inf);
  norn_datum engine = norn_get(e->engine), delayed = engine_option(st, engine, OPTION_DELAYED);
  int how;
  if (!engine_option_choice(st, engine, OPTION_EXECUTOR, executors, 2, &how)) {
    norn_hint(st, "a net is asked for the choices of all particles at once");
    return NORN_EDOMAIN;
  }
  if (delayed.tag == NORN_BOOL && delayed.i) {
    norn_fail(st, NORN_EINFER, -1, "smc(delayed = true) can't be used inside amortized");
    norn_hint(st, "choices that are delayed have no values that a net could propose");
    return NORN_EINFER;
  }
  if (!(e->smc = engine_get(st, smc_size()))) return NORN_EMEMORY;
  e->at = AMORTIZED_PARTICLES;
  return smc_begin(inf, e->smc, engine, &particles_guided);
}

norn_status amortized_smc_finish(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_status s = smc_finish(inf, e->smc);
  if (s) return s;
  size_t n = inf->nlogw;
  double khat, *w = engine_get(st, n * sizeof *w);
  if (!w) return NORN_EMEMORY;
  for (size_t i = 0; i < n; i++) w[i] = inf->logw[i];
  bool good = amortized_khat(st, w, n, &khat);
  engine_put(st, w, n * sizeof *w);
  if (!good) return NORN_EMEMORY;
  amortized_note(inf, e);
  norn_infer_note(inf, "khat", norn_real(khat));
  return NORN_OK;
}
