/* population: populations and the blocks that run programs (population.h). */
#include "infer/particles/population.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/particles/mover.h"
#include <stdio.h>

enum { KIND_ADVANCE = 12, KIND_MOVE = 13, KIND_RESAMPLE = 15, MOST = 1 << 24 /* particles */ };

/* ---- values ---- */

void population_free(norn_state *st, population *p)
{
  if (!p) return;
  swarm_free(&p->s);
  if (p->model) norn_drop(p->model);
  engine_put(st, p, sizeof *p);
}

static void handle_free(norn_state *st, void *p) { population_free(st, p); }

static void handle_show(norn_state *st, void *p, char *buf, size_t n)
{
  const population *q = p;
  size_t running = population_running(q);
  (void)st;
  if (q->s.asked) snprintf(buf, n, "<population of %zu, at a choice>", q->s.n);
  else if (q->s.barrier && !running) snprintf(buf, n, "<population of %zu, finished>", q->s.n);
  else snprintf(buf, n, "<population of %zu, %u observation%s>", q->s.n, q->s.barrier,
                q->s.barrier == 1 ? "" : "s");
}

static const norn_handle_row row = { .name = "population", .free = handle_free, .show = handle_show };

/* Of a checkpoint. */
static bool handle_archive(norn_archive *a, void **at)
{
  norn_state *st = norn_archive_state(a);
  bool reads = norn_archive_reading(a);
  population *p = reads ? engine_get(st, sizeof *p) : *at;
  if (!p) return norn_archive_fail(a, "out of memory");
  *at = p;
  size_t n = p->s.n;
  bool in_rounds = p->s.in_rounds;
  if (!norn_archive_size(a, &n) || !norn_archive_bool(a, &in_rounds)) return false;
  if (n < 1 || n > MOST) return norn_archive_fail(a, "a population is none");
  if (reads && !swarm_make(st, &p->s, n, in_rounds)) return norn_archive_fail(a, "out of memory");
  norn_archive_f64(a, &p->log_z);
  norn_archive_u32(a, &p->generation);
  return norn_archive_ref(a, &p->model) && (p->model || norn_archive_fail(a, "a population has no model")) &&
         swarm_archive(a, &p->s) && (swarm_fits(&p->s) || norn_archive_fail(a, "a population is none"));
}

static size_t population_bytes(const void *at)
{
  const population *p = at;
  return sizeof *p + p->s.n * 700 + p->s.cchoice * (sizeof *p->s.choice + sizeof(norn_datum));
}

const archive_handle population_archived = { &row, handle_archive, population_bytes };

population *population_of(norn_datum v) { return norn_handle_view(v, &row); }

norn_datum population_give(norn_state *st, population *p)
{
  p->s.inf = NULL;
  norn_datum v = norn_handle_new(st, &row, p, population_bytes(p));
  if (norn_is_none(v)) population_free(st, p);
  return v;
}

population *population_fork(const population *old, const uint32_t *from, size_t n, norn_infer *inf)
{
  norn_state *st = old->s.st;
  population *p = engine_get(st, sizeof *p);
  uint32_t *all = from ? NULL : engine_get(st, n * sizeof *all);
  if (!p || (!from && !all)) {
    engine_put(st, p, sizeof *p);
    engine_put(st, all, n * sizeof *all);
    return NULL;
  }
  for (size_t i = 0; all && i < n; i++) all[i] = (uint32_t)i;
  p->log_z = old->log_z;
  p->generation = old->generation + 1;
  p->model = norn_keep(st, norn_get(old->model));
  bool good = p->model && swarm_fork(&p->s, &old->s, from ? from : all, n, inf, 0);
  engine_put(st, all, n * sizeof *all);
  if (good) return p;
  population_free(st, p);
  return NULL;
}

population *population_want(norn_state *st, norn_datum v, bool asked)
{
  population *p = population_of(v);
  char what[120];
  if (p && (!p->s.asked || asked)) return p;
  if (p) norn_fail(st, NORN_EINFER, 0, "this population stands at a choice, not at an observation");
  else norn_fail(st, NORN_ETYPE, 0, "a population is needed, got %s", norn_describe(st, v, what, sizeof what));
  return NULL;
}

double population_evidence(population *p)
{
  double top, sum = swarm_weights(&p->s, &top);
  return sum > 0 ? p->log_z + top + log(sum / (double)p->s.n) : -HUGE_VAL;
}

size_t population_running(const population *p)
{
  size_t n = 0;
  for (size_t i = 0; i < p->s.n; i++) n += p->s.run[i] != NULL;
  return n;
}

population *population_select(population *old, const uint32_t *from, size_t n)
{
  double z = population_evidence(old);
  population *p = population_fork(old, from, n, NULL);
  if (!p || !(z > -HUGE_VAL)) return p;          /* all dead: so they stay */
  p->log_z = z;
  for (size_t i = 0; i < n; i++) p->s.logw[i] = 0;
  return p;
}

/* ---- what the engines share ---- */

typedef struct block {
  population *p;                       /* the one that is made */
  mover m;
} block;

/* The first option of the engine. */
static population *option_population(norn_infer *inf, bool asked)
{
  return population_want(norn_infer_state(inf), norn_infer_option(inf, 0), asked);
}

static norn_status fork_for(norn_infer *inf, block *e, uint32_t kind)
{
  const population *old = option_population(inf, infer_engine(inf) == &engine_ask);
  if (!old || !(e->p = population_fork(old, NULL, old->s.n, inf)))
    return norn_error(norn_infer_state(inf))->code;
  swarm *s = &e->p->s;
  s->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, kind, e->p->generation);
  for (size_t i = 0; i < s->n; i++)
    if (s->run[i]) norn_run_stream(s->run[i], s->stream, (uint32_t)i, s->barrier);
  return NORN_OK;
}

static norn_step give(norn_infer *inf, block *e)
{
  norn_state *st = norn_infer_state(inf);
  population *p = e->p;
  e->p = NULL;
  norn_datum v = population_give(st, p);
  return !norn_is_none(v) && (inf->answer = norn_keep(st, v)) ? NORN_STEP_DONE : NORN_STEP_FAIL;
}

static void block_free(norn_infer *inf, void *self)
{
  block *e = self;
  mover_free(&e->m);
  population_free(norn_infer_state(inf), e->p);
}

/* ---- spawn ---- */

static norn_status spawn_init(norn_infer *inf, void *self)
{
  block *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum whole = norn_infer_option(inf, 1);
  int64_t n;
  double b;
  if (!option_int(inf, 0, 1, &n) || !option_real(inf, 2, &b)) return NORN_EDOMAIN;
  if (n > MOST) return norn_fail(st, NORN_EDOMAIN, -1, "a population has at most %d particles", MOST);
  if (!(b >= 0 && b <= 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "the inverse temperature must be in [0, 1], got %g", b);
  e->p = engine_get(st, sizeof *e->p);
  if (!e->p || !(e->p->model = norn_keep(st, norn_infer_model(inf)))) return NORN_EMEMORY;
  e->p->s.whole = whole.tag == NORN_BOOL && whole.i;
  if (!swarm_new(inf, &e->p->s, (size_t)n) || !swarm_start(&e->p->s, norn_infer_stream(inf)))
    return norn_error(st)->code;
  e->p->s.beta = b;
  return NORN_OK;
}

static norn_step spawn_step(norn_infer *inf, void *self) { return give(inf, self); }

static const norn_option spawn_options[] = { { "n", NULL, "particles" },
                                             { "whole", "false", "advance goes to the end" },
                                             { "temperature", "1", "inverse temperature" } };

/* ---- advance ---- */

static norn_status draw_answer(void *user, size_t i, norn_run *run, const norn_event *ev, norn_datum *v,
                               double *lw)
{
  norn_state *st = user;
  (void)i;
  return engine_sample(st, run, ev, true, v, lw) ? NORN_OK : norn_error(st)->code;
}

static norn_status advance_init(norn_infer *inf, void *self)
{
  block *e = self;
  norn_status status = fork_for(inf, e, KIND_ADVANCE);
  if (!status) e->p->s.next = 0;
  return status;
}

static norn_step arrived(norn_infer *inf, block *e)
{
  swarm *s = &e->p->s;
  s->next = 0;
  s->barrier++;
  for (size_t i = 0; i < s->n; i++)
    if (s->run[i]) norn_run_stream(s->run[i], s->stream, (uint32_t)i, s->barrier);
  return give(inf, e);
}

static norn_step advance_step(norn_infer *inf, void *self)
{
  block *e = self;
  norn_step step = swarm_advance(&e->p->s, draw_answer, norn_infer_state(inf));
  return step == NORN_STEP_DONE ? arrived(inf, e) : step;
}

static const norn_option advance_options[] = { { "population", NULL, "a population" } };

/* Answers the choice at which a population stands, if it does. */
static norn_status ask_init(norn_infer *inf, void *self)
{
  block *e = self;
  norn_status status = fork_for(inf, e, KIND_ADVANCE);
  if (status) return status;
  const swarm *old = &option_population(inf, true)->s;
  if (!old->asked) return NORN_OK;
  return swarm_tell(&e->p->s, old->asked_addr, norn_infer_option(inf, 1)) ? NORN_OK : NORN_EMEMORY;
}

static norn_step ask_step(norn_infer *inf, void *self)
{
  block *e = self;
  norn_step step = swarm_advance(&e->p->s, NULL, NULL);
  if (step != NORN_STEP_DONE) return step;
  return e->p->s.asked ? give(inf, e) : arrived(inf, e);
}

static const norn_option ask_options[] = { { "population", NULL, "a population" },
                                           { "value", "missing", "of the choice at which it stands" } };

/* ---- resample ---- */

static norn_status resample_init(norn_infer *inf, void *self)
{
  block *e = self;
  norn_state *st = norn_infer_state(inf);
  population *old = option_population(inf, false);
  double top;
  int how;
  if (!old || !option_choice(inf, 1, resample_names, RESAMPLE_COUNT, &how)) return norn_error(st)->code;
  size_t n = old->s.n, m = 0;
  double sum = swarm_weights(&old->s, &top);
  norn_rng g = { .stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, KIND_RESAMPLE,
                                             old->generation) };
  uint32_t *count = engine_get(st, 2 * n * sizeof *count), *from = count + n;
  if (!count) return NORN_EMEMORY;
  if (sum > 0) resample((resample_kind)how, old->s.w, sum, count, n, &g);
  for (size_t i = 0; i < n; i++) {
    if (!(sum > 0)) from[i] = (uint32_t)i;
    for (uint32_t c = count[i]; c; c--) from[m++] = (uint32_t)i;
  }
  e->p = population_select(old, from, n);
  engine_put(st, count, 2 * n * sizeof *count);
  return e->p ? NORN_OK : norn_error(st)->code;
}

static norn_step resample_step(norn_infer *inf, void *self) { return give(inf, self); }

static const norn_option resample_options[] = {
  { "population", NULL, "a population" },
  { "how", "\"systematic\"", "systematic, stratified, residual or multinomial" }
};

/* ---- move ---- */

static norn_status block_move_init(norn_infer *inf, void *self)
{
  block *e = self;
  norn_status status = fork_for(inf, e, KIND_MOVE);
  if (status) return status;
  return mover_init(&e->m, inf, norn_infer_option(inf, 1), "move",
                    norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, KIND_MOVE + 1, e->p->generation));
}

static norn_step block_move_step(norn_infer *inf, void *self)
{
  block *e = self;
  norn_step step = mover_step(&e->m, &e->p->s);
  if (step != NORN_STEP_DONE) return step;
  return swarm_tidy(&e->p->s) ? give(inf, e) : NORN_STEP_FAIL;
}

static const norn_option move_options[] = { { "population", NULL, "a population" },
                                            { "kernel", NULL, "mh(...) and the like" } };

/* ---- a posterior ---- */

static norn_status collect_init(norn_infer *inf, void *self)
{
  population *p = option_population(inf, false);
  (void)self;
  if (!p) return NORN_ETYPE;
  if (population_running(p) || !p->s.barrier) {
    norn_fail(norn_infer_state(inf), NORN_EINFER, 0, "this population has not come to its end");
    norn_hint(norn_infer_state(inf), "finish(pop) takes it there");
    return NORN_EINFER;
  }
  if (population_evidence(p) > -HUGE_VAL) return NORN_OK;
  return norn_fail(norn_infer_state(inf), NORN_EINFER, 0, "every particle of this population has weight 0");
}

static norn_step collect_step(norn_infer *inf, void *self)
{
  population *p = option_population(inf, false);
  swarm *s = &p->s;
  uint32_t *path = NULL;
  size_t cpath = 0;
  norn_status status = NORN_OK;
  (void)self;
  s->inf = inf;
  for (size_t i = 0; i < s->n && !status; i++) {
    if (!(s->logw[i] > -HUGE_VAL)) continue;
    status = swarm_choices(s, i, &path, &cpath);
    if (!status) status = norn_infer_draw(inf, column_at(s->st, &s->result, s->ended[i]), s->logw[i]);
  }
  s->inf = NULL;
  engine_put(s->st, path, cpath * sizeof *path);
  if (status) return NORN_STEP_FAIL;
  norn_infer_evidence(inf, population_evidence(p), (double)NAN);
  return NORN_STEP_DONE;
}

/* ---- checkpoints: what follows from the options alone is what init has made ---- */

static norn_status block_archive(norn_infer *inf, void *self, norn_archive *a)
{
  (void)inf;
  (void)self;
  return norn_archive_status(a);
}

static norn_status running_archive(norn_infer *inf, void *self, norn_archive *a)
{
  block *e = self;
  (void)inf;
  if (!e->p) norn_archive_fail(a, "a block has ended");
  else swarm_archive(a, &e->p->s);
  return norn_archive_status(a);
}

static norn_status moving_archive(norn_infer *inf, void *self, norn_archive *a)
{
  block *e = self;
  if (!running_archive(inf, self, a)) mover_archive(a, &e->m, &e->p->s);
  return norn_archive_status(a);
}

#define BLOCK(symbol, title, start, go, archives) \
  const norn_engine symbol = { .version = NORN_ENGINE_VERSION, .name = title, \
                               .doc = "A block of `import inference`.", .options = start##_options, \
                               .noptions = NORN_COUNT(start##_options), .size = sizeof(block), \
                               .init = go##_init, .step = go##_step, .free = block_free, .archive = archives##_archive }
BLOCK(engine_spawn, "_spawn", spawn, spawn, block);
BLOCK(engine_advance, "_advance", advance, advance, running);
BLOCK(engine_ask, "_ask", ask, ask, running);
BLOCK(engine_resample, "_resample", resample, resample, block);
BLOCK(engine_move_block, "_move", move, block_move, moving);
BLOCK(engine_population, "_population", advance, collect, block);
