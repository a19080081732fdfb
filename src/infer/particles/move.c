/* move: smc(...) |> move(kernel): sequential Monte Carlo whose particles are moved after each resampling
   (Gilks and Berzuini 2001): the kernel changes choices of the past, so that copies part again.

   smc.c does what it always does; the particles (particles.h) are a swarm, whose choices are known, and a
   mover (mover.h).  A kernel leaves the target of its barrier unchanged, so weights, the evidence (which
   stays unbiased) and its error are those of smc.

       leg:  resampled? move all  ->  all to the next barrier

   Random numbers: of the program as in smc; moves have a stream of their own (mover.h). */
#include "infer/infer.h"
#include "infer/particles/mover.h"
#include "infer/particles/population.h"
#include "infer/particles/smc.h"

enum { OPTION_ENGINE, OPTION_KERNEL, OPTION_EXECUTOR = 4, OPTION_DELAYED /* of smc */ };

typedef struct moving {
  void *smc;                           /* of smc.c */
  mover m;
  swarm *s;                            /* of its particles */
  int64_t moves;                       /* rounds */
} moving;

/* ---- the particles ---- */

typedef struct movers {
  particles p;
  swarm s;
  bool due;                            /* resampled, and not yet moved */
  uint32_t *path; size_t cpath;
} movers;

static void movers_died(void *user, size_t i, norn_span span)
{
  particles_dead(user, i, span);
}

static norn_status movers_start(particles *p)
{
  movers *e = (movers *)p;
  moving *own = p->inf->self;
  own->s = &e->s;
  e->s.died = movers_died;
  e->s.died_user = p;
  return swarm_new(p->inf, &e->s, p->n) && swarm_start(&e->s, norn_infer_stream(p->inf)) ? NORN_OK
                                                                                         : NORN_EMEMORY;
}

static norn_status movers_answer(void *user, size_t i, norn_run *run, const norn_event *ev, norn_datum *v,
                                 double *lw)
{
  norn_state *st = user;
  (void)i;
  return engine_sample(st, run, ev, true, v, lw) ? NORN_OK : norn_error(st)->code;
}

static norn_step movers_advance(particles *p)
{
  movers *e = (movers *)p;
  swarm *s = &e->s;
  moving *own = p->inf->self;
  if (e->due) {
    norn_step step = mover_step(&own->m, s);
    if (step != NORN_STEP_DONE) return step;
    e->due = false;
    own->moves++;
    s->running = 0;
  }
  norn_step step = swarm_advance(s, movers_answer, s->st);
  if (step != NORN_STEP_DONE) return step;
  particles_met(p, s);
  return NORN_STEP_DONE;
}

static bool movers_copy(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  movers *e = (movers *)p;
  e->due = true;
  return swarm_places(&e->s, to, from, n);
}

static norn_datum movers_value(particles *p, size_t i)
{
  movers *e = (movers *)p;
  return column_at(e->s.st, &e->s.result, e->s.ended[i]);
}

static norn_status movers_choices(particles *p, size_t i)
{
  movers *e = (movers *)p;
  return swarm_choices(&e->s, i, &e->path, &e->cpath);
}

static bool movers_archive(particles *p, norn_archive *a, uint32_t *to, uint32_t *from)
{
  movers *e = (movers *)p;
  (void)to;
  (void)from;
  return norn_archive_bool(a, &e->due) && swarm_archive(a, &e->s);
}

static void movers_free(particles *p)
{
  movers *e = (movers *)p;
  engine_put(norn_infer_state(p->inf), e->path, e->cpath * sizeof *e->path);
  swarm_free(&e->s);
}

static const particles_ops particles_movers = {
  .name = "move",
  .words = "a run of the virtual machine for each particle, whose choices are moved",
  .size = sizeof(movers),
  .start = movers_start,
  .advance = movers_advance,
  .copy = movers_copy,
  .value = movers_value,
  .choices = movers_choices,
  .free = movers_free,
  .archive = movers_archive
};

/* ---- the engine ---- */

static norn_status move_init(norn_infer *inf, void *self)
{
  moving *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum engine = norn_infer_option(inf, OPTION_ENGINE);
  const norn_engine *of = norn_engine_view(engine, NULL);
  char what[120];
  if (!of)
    return norn_fail(st, NORN_ETYPE, -1, "move wants an engine of particles first, got %s",
                     norn_describe(st, engine, what, sizeof what));
  if (of != &engine_smc) {
    norn_fail(st, NORN_EINFER, -1, "%s has no particles that move could move", of->name);
    norn_hint(st, "smc(...) |> move(mh(steps = 3))");
    return NORN_EINFER;
  }
  int how;
  static const char *const executors[] = { "auto", "scalar" };
  if (!engine_option_choice(st, engine, OPTION_EXECUTOR, executors, 2, &how)) {
    norn_hint(st, "move runs its particles one by one");
    return NORN_EDOMAIN;
  }
  norn_datum delayed = engine_option(st, engine, OPTION_DELAYED);
  if (delayed.tag == NORN_BOOL && delayed.i) {
    norn_fail(st, NORN_EINFER, -1, "smc(delayed = true) can't be used inside move");
    norn_hint(st, "choices that are delayed have no values that could be moved");
    return NORN_EINFER;
  }
  norn_status status = mover_init(&e->m, inf, norn_infer_option(inf, OPTION_KERNEL), "move",
                                  norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 10, 0));
  if (status) return status;
  if (!(e->smc = engine_get(st, smc_size()))) return NORN_EMEMORY;
  return smc_begin(inf, e->smc, norn_infer_option(inf, OPTION_ENGINE), &particles_movers);
}

static norn_step move_step(norn_infer *inf, void *self)
{
  moving *e = self;
  return smc_step(inf, e->smc);
}

static norn_status move_finish(norn_infer *inf, void *self)
{
  moving *e = self;
  const kernel *k = e->m.k;
  norn_infer_note(inf, "moves", norn_int(e->moves));
  if (k->proposed)
    norn_infer_note(inf, "acceptance", norn_real((double)k->accepted / (double)k->proposed));
  return smc_finish(inf, e->smc);
}

static void move_progress(norn_infer *inf, void *self, norn_progress *p)
{
  moving *e = self;
  smc_progress(inf, e->smc, p);
}

static void move_free(norn_infer *inf, void *self)
{
  moving *e = self;
  if (e->smc) {
    smc_free(inf, e->smc);
    engine_put(norn_infer_state(inf), e->smc, smc_size());
  }
  mover_free(&e->m);
}

static norn_status move_archive(norn_infer *inf, void *self, norn_archive *a)
{
  moving *e = self;
  norn_archive_i64(a, &e->moves);
  if (!smc_archive(inf, e->smc, a)) mover_archive(a, &e->m, e->s);
  return norn_archive_status(a);
}

static const norn_option move_options[] = {
  { "engine", NULL, "smc(...): smc(...) |> move(mh(steps = 3))" },
  { "kernel", NULL, "what moves each particle after each resampling: mh(steps = 3) and the like" }
};

static const norn_engine engine_move = {
  .version = NORN_ENGINE_VERSION,
  .name = "move",
  .doc = "Particles of smc that are moved by a kernel after each resampling, so that copies part again.",
  .options = move_options,
  .noptions = NORN_COUNT(move_options),
  .size = sizeof(moving),
  .init = move_init,
  .step = move_step,
  .finish = move_finish,
  .progress = move_progress,
  .free = move_free,
  .archive = move_archive
};

const norn_engine *const engines_composed[] = {
  &engine_move, &engine_anneal, &engine_spawn, &engine_advance, &engine_ask, &engine_move_block,
  &engine_resample, &engine_population
};
const int engines_composed_n = NORN_COUNT(engines_composed);
