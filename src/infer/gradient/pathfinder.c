/* pathfinder: normal approximations along several climbs (path.c), their draws chosen by smoothed
   importance weights (Zhang, Carpenter, Gelman, Vehtari 2022, algorithm 5).

   Where the paper weighs a draw by the normal of its own path, p / q_i, here it is weighed by their
   mixture, p / (q_1 + ... + q_I) I ("balance heuristic", Veach and Guibas 1995; Owen and Zhou
   2000). So places that several paths find do not count several times, the mean weight is the
   evidence, and no weight is large because a draw lies in the tail of its own normal but amid
   another's.

   Random numbers: path i has lane i (starts: iteration 0; ELBOs: path.c); its draw s has lane
   0x80000000 + i, event s; the choice and order of draws have lane 0xffffffd0, the overlap of
   normals 0xffffffd1. */
#include "infer/gradient/pathfinder.h"
#include "infer/infer.h"
#include "infer/particles/path.h"
#include "infer/trust/psis.h"
#include "num/la.h"
#include <stdio.h>
#include <string.h>

enum { PIECE = 200 };                    /* evaluations, or draws, of one step */
enum { HISTORY = 6, SAMPLES = 25, ITERATIONS = 1000 };   /* of a start for chains */
#define APART 0.01                       /* an overlap below it */
#define DRAW_LANE 0x80000000u

typedef enum { RECORD, CLIMB, DRAW, LEAVE } phase_of;
typedef struct pathfinder {
  approx a;
  path p;
  cloud drawn;
  phase_of phase;
  int64_t draws, paths, history, samples, iterations, at, from, each;
  bool correct;
  path_normal *normals;                /* (paths) */
  int64_t alive;                       /* of them, those with a normal */
  double *room, *u, *z, *work;         /* normals; (n), (n), (4 n) */
  double *lq;                          /* (paths) log densities of a draw */
  int64_t *origin;                     /* (draws in all) the path of a draw */
  double *elbo, *share;                /* (paths) */
  int64_t *order, chosen;              /* (chosen) the draws to leave */
} pathfinder;

static norn_status pathfinder_init(norn_infer *inf, void *self)
{
  pathfinder *e = self;
  if (!option_int(inf, 0, 1, &e->draws) || !option_int(inf, 1, 1, &e->paths) ||
      !option_bool(inf, 2, &e->correct) || !option_int(inf, 4, 1, &e->history) ||
      !option_int(inf, 5, 1, &e->samples) || !option_int(inf, 6, 1, &e->iterations))
    return norn_error(norn_infer_state(inf))->code;
  if (e->paths > 10000)
    return norn_fail(norn_infer_state(inf), NORN_EDOMAIN, 1,
                     "paths of pathfinder must be at most 10000");
  return approx_init(&e->a, inf, 3);
}

/* Draws of path i. */
static int64_t draws_of(const pathfinder *e, int64_t i)
{
  return e->correct ? e->draws : e->draws / e->alive + (i < e->draws % e->alive);
}

static int64_t most_draws(const pathfinder *e)
{
  return e->correct ? e->draws * e->paths : e->draws;
}

static size_t room_bytes(const pathfinder *e)
{
  size_t n = (size_t)e->a.t.n, i = (size_t)e->paths;
  return i * normal_bytes(e->a.t.n, e->history) + (6 * n + 3 * i) * sizeof(double);
}

static norn_step pathfinder_record(pathfinder *e)
{
  norn_state *st = e->a.t.st;
  norn_step s = approx_record(&e->a, 0);
  if (s != NORN_STEP_MORE) return s;
  int64_t n = e->a.t.n, m = most_draws(e);
  e->normals = engine_get(st, (size_t)e->paths * sizeof *e->normals);
  e->origin = engine_get(st, (size_t)m * sizeof *e->origin);
  e->order = engine_get(st, (size_t)e->draws * sizeof *e->order);
  e->room = engine_get(st, room_bytes(e));
  if (!e->normals || !e->origin || !e->order || !e->room || !cloud_new(st, &e->drawn, m, n) ||
      !path_new(&e->a.t, &e->p, e->history, e->iterations, e->samples))
    return NORN_STEP_FAIL;
  e->u = e->room + (size_t)e->paths * (normal_bytes(n, e->history) / sizeof(double));
  e->z = e->u + n;
  e->work = e->z + n;
  e->elbo = e->work + 4 * n;
  e->share = e->elbo + e->paths;
  e->lq = e->share + e->paths;
  e->phase = CLIMB;
  return NORN_STEP_MORE;
}

/* ---- paths ---- */

static norn_step climb(pathfinder *e)
{
  target *t = &e->a.t;
  int64_t limit = t->evaluations + PIECE;
  size_t each = normal_bytes(t->n, e->history) / sizeof(double);
  while (e->at < e->paths && t->evaluations < limit) {
    bool more = true;
    if (!e->p.begun) {
      norn_step s = approx_start(&e->a, (uint32_t)e->at, e->u);
      if (s != NORN_STEP_MORE) return s;
      path_begin(&e->p, e->u, e->a.stream, (uint32_t)e->at);
    } else more = path_step(&e->p);
    if (t->failed) return NORN_STEP_FAIL;
    if (more) continue;
    e->elbo[e->at++] = e->p.best.elbo;
    e->p.begun = false;
    if (e->p.best.elbo == -HUGE_VAL) continue;
    normal_copy(&e->normals[e->alive], &e->p.best, e->room + (size_t)e->alive * each);
    e->alive++;
  }
  if (e->at < e->paths) return NORN_STEP_MORE;
  e->at = 0;
  e->phase = DRAW;
  if (e->alive) return NORN_STEP_MORE;
  engine_fail(t->st, NORN_EINFER, norn_density_blame(t->density),
              "no path of pathfinder found a normal whose draws lie inside of the posterior");
  norn_hint(t->st, "the posterior is far from normal; nuts() or smc() have no need of that");
  return NORN_STEP_FAIL;
}

/* ---- draws ---- */

/* The next draw, of path e->at, with its density under each normal. */
static void draw_one(pathfinder *e)
{
  int64_t n = e->a.t.n;
  cloud *c = &e->drawn;
  norn_rng g = {.stream = e->a.stream, .lane = DRAW_LANE + (uint32_t)e->at,
                .event = (uint32_t)e->each};
  norn_rng_normals(&g, e->z, n);
  double own = normal_draw(&e->normals[e->at], e->z, e->u, e->work);
  double *lq = e->lq;
  for (int64_t i = 0; i < e->alive; i++)
    lq[i] = i == e->at ? own : normal_at(&e->normals[i], e->u, e->work);
  e->origin[c->kept] = e->at;
  cloud_add(c, &e->a.t, e->u, log_sum(lq, (size_t)e->alive) - log((double)e->alive));
  e->each++;
}

/* Chooses draws: by systematic resampling of the smoothed weights, or all of them. */
static void choose(pathfinder *e, norn_rng *g)
{
  cloud *c = &e->drawn;
  double total = log_sum(c->w, (size_t)c->kept), sum = 0, u = norn_rng_uniform(g);
  int64_t n = e->draws, last = 0;
  for (int64_t i = 0; i < c->kept; i++) {
    double w = e->correct ? exp(c->w[i] - total) : 1 / (double)n;
    sum += w;
    if (w > 0) last = i;
    if (!e->correct) e->order[e->chosen++] = i;
    else while (e->chosen < n && (double)e->chosen + u < sum * (double)n) e->order[e->chosen++] = i;
  }
  while (e->correct && e->chosen < n) e->order[e->chosen++] = last;      /* rounding at the end */
}

/* In any order: the first of them are then from all paths too (Fisher and Yates). */
static void shuffle(pathfinder *e, norn_rng *g)
{
  for (int64_t i = e->chosen; i > 1; i--) {
    int64_t k = (int64_t)norn_rng_below(g, (uint64_t)i), kept = e->order[i - 1];
    e->order[i - 1] = e->order[k];
    e->order[k] = kept;
  }
}

/* The places where paths end: paths whose normals overlap are in one.  place (alive): the first
   path of each path's. */
static void places(const pathfinder *e, int64_t *place)
{
  norn_rng g = {.stream = e->a.stream, .lane = 0xffffffd1u};
  for (int64_t i = 0; i < e->alive; i++) place[i] = i;
  for (int64_t i = 0; i < e->alive; i++)
    for (int64_t j = 0; j < i; j++) {
      if (place[i] == place[j] ||
          normal_overlap(&e->normals[i], &e->normals[j], &g, e->work) < APART)
        continue;
      int64_t to = place[i] < place[j] ? place[i] : place[j], from = place[i] + place[j] - to;
      for (int64_t k = 0; k < e->alive; k++)
        if (place[k] == from) place[k] = to;
    }
}

static norn_status report_places(pathfinder *e)
{
  norn_state *st = e->a.t.st;
  const cloud *c = &e->drawn;
  int64_t *place = engine_get(st, (size_t)e->alive * sizeof *place), heavy = 0;
  double total = log_sum(c->w, (size_t)c->kept);
  if (!place) return NORN_EMEMORY;
  places(e, place);
  for (int64_t s = 0; s < c->kept; s++) e->share[place[e->origin[s]]] += exp(c->w[s] - total);
  for (int64_t i = 0; i < e->alive; i++) heavy += e->share[i] > 0.01;
  /* where k-hat is high the normals may lie apart because the posterior bends */
  if (heavy > 1 && c->khat - c->khat_se <= psis_threshold((size_t)c->tried))
    norn_infer_warn(e->a.inf, (norn_span){0, 0, 0}, "the paths end in %lld places apart from each "
                    "other: the posterior has several modes, and there may be more than were "
                    "found; raise paths", (long long)heavy);
  norn_infer_note(e->a.inf, "places", norn_int(heavy));
  engine_put(st, place, (size_t)e->alive * sizeof *place);
  return NORN_OK;
}

static norn_step draws_end(pathfinder *e)
{
  norn_infer *inf = e->a.inf;
  cloud *c = &e->drawn;
  if (!cloud_weigh(c)) return NORN_STEP_FAIL;
  norn_step s = approx_report(&e->a, c, e->correct);
  if (s != NORN_STEP_MORE) return s;
  norn_infer_note(inf, "elbo", norn_array_f64(e->a.t.st, e->elbo, e->paths));
  if (report_places(e)) return NORN_STEP_FAIL;
  if (e->correct) {
    if (!e->a.improper) norn_infer_evidence(inf, c->log_evidence, c->se);
    norn_infer_note(inf, "ess", norn_real(fmin(c->ess, (double)e->draws)));
  }
  norn_rng g = {.stream = e->a.stream, .lane = 0xffffffd0u};
  choose(e, &g);
  shuffle(e, &g);
  if (e->alive < e->paths)
    norn_infer_warn(inf, (norn_span){0, 0, 0}, "%lld of %lld paths found no normal whose draws lie "
                    "inside of the posterior", (long long)(e->paths - e->alive),
                    (long long)e->paths);
  e->phase = LEAVE;
  e->at = 0;
  return NORN_STEP_MORE;
}

static norn_step leave(pathfinder *e)
{
  for (int work = 0; work < PIECE && e->at < e->chosen; work++, e->at++) {
    int64_t i = e->order[e->at];
    if (approx_leave(&e->a, &e->drawn, i, i + 1, false) != NORN_STEP_MORE) return NORN_STEP_FAIL;
  }
  return e->at < e->chosen ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step pathfinder_step(norn_infer *inf, void *self)
{
  pathfinder *e = self;
  (void)inf;
  switch (e->phase) {
  case RECORD: return pathfinder_record(e);
  case CLIMB: return climb(e);
  case DRAW:
    for (int i = 0; i < PIECE && e->at < e->alive && !e->a.t.failed; i++) {
      if (e->each < draws_of(e, e->at)) draw_one(e);
      else e->at++, e->each = 0;
    }
    if (e->a.t.failed) return NORN_STEP_FAIL;
    return e->at < e->alive ? NORN_STEP_MORE : draws_end(e);
  default: return leave(e);
  }
}

static void pathfinder_progress(norn_infer *inf, void *self, norn_progress *p)
{
  pathfinder *e = self;
  (void)inf;
  if (e->phase == CLIMB) {
    p->done = (double)e->at;
    p->total = (double)e->paths;
    if (e->p.begun)
      snprintf(p->state, sizeof p->state, "path %lld, iteration %lld, ELBO %.6g",
               (long long)e->at + 1, (long long)e->p.l.iterations, e->p.best.elbo);
  } else if (e->phase == DRAW) {
    p->done = (double)e->drawn.tried;
    p->total = (double)most_draws(e);
    snprintf(p->state, sizeof p->state, "draws");
  }
}

static void pathfinder_free(norn_infer *inf, void *self)
{
  pathfinder *e = self;
  norn_state *st = norn_infer_state(inf);
  size_t m = (size_t)most_draws(e);
  engine_put(st, e->normals, (size_t)e->paths * sizeof *e->normals);
  engine_put(st, e->origin, m * sizeof *e->origin);
  engine_put(st, e->order, (size_t)e->draws * sizeof *e->order);
  if (e->room) engine_put(st, e->room, room_bytes(e));
  path_free(&e->p);
  cloud_free(&e->drawn);
  approx_free(&e->a);
}

static norn_status pathfinder_archive(norn_infer *inf, void *self, norn_archive *a)
{
  pathfinder *e = self;
  int phase = (int)e->phase;
  norn_archive_int(a, &phase);
  if (phase < RECORD || phase > LEAVE) norn_archive_fail(a, "its phase is none");
  if (norn_archive_status(a) || phase == RECORD) return norn_archive_status(a);
  if (norn_archive_reading(a) && pathfinder_record(e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  e->phase = (phase_of)phase;
  int64_t *count[] = {&e->at, &e->from, &e->each, &e->alive, &e->chosen, &e->a.t.evaluations};
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  if (e->alive < 0 || e->alive > e->paths || e->chosen < 0 || e->chosen > e->draws || e->at < 0)
    norn_archive_fail(a, "its paths are others");
  if (norn_archive_status(a)) return norn_archive_status(a);
  norn_archive_bytes(a, e->room, room_bytes(e));
  norn_archive_bytes(a, e->origin, (size_t)most_draws(e) * sizeof *e->origin);
  norn_archive_bytes(a, e->order, (size_t)e->draws * sizeof *e->order);
  for (int64_t i = 0; i < e->alive; i++)
    if (!normal_archive(a, &e->normals[i], e->room, room_bytes(e))) return norn_archive_status(a);
  if (path_archive(a, &e->p)) cloud_archive(a, &e->drawn);
  return norn_archive_status(a);
}

static const norn_option pathfinder_options[] = {
  {"draws", "1000", "draws kept"},
  {"paths", "4", "climbs from different starts"},
  {"correct", "true",
   "draws are chosen by smoothed importance weights; false: equally from all normals"},
  APPROX_INIT_OPTION,
  {"history", "6", "steps that L-BFGS remembers: the rank of the normals is twice that"},
  {"elbo_draws", "25", "draws by which the normals of a path are compared"},
  {"iterations", "1000", "at most so many of each climb"},
  DEVICE_OPTIONS,
};

const norn_engine engine_pathfinder = {
  .version = NORN_ENGINE_VERSION, .name = "pathfinder",
  .doc = "Normals along climbs to the mode: quick draws that are near the posterior; k-hat says "
         "how near.",
  .options = pathfinder_options, .noptions = NORN_COUNT(pathfinder_options),
  .size = sizeof(pathfinder),
  .init = pathfinder_init, .step = pathfinder_step, .progress = pathfinder_progress,
  .free = pathfinder_free, .archive = pathfinder_archive};

/* ---- starts for chains ---- */

static bool random_start(path *p, const norn_rng *from, double *u)
{
  norn_rng g = *from;
  for (uint32_t i = 0; i < 100 && !p->t->failed; i++) {
    g.event = i;
    g.draw = 0;
    for (int64_t k = 0; k < p->t->n; k++) u[k] = 4 * norn_rng_uniform(&g) - 2;
    path_begin(p, u, from->stream, 0);
    if (p->l.end != LBFGS_STUCK) return true;
  }
  return false;
}

/* One of SAMPLES draws of the best normal by weight, into u; best has room for one, work for 3 n.
   */
static void weighted_draw(path *p, const norn_rng *from, double *u, double *work)
{
  int64_t n = p->t->n;
  double *z = work, *x = z + n, *more = x + n, total = -HUGE_VAL;
  norn_rng pick = *from;
  pick.lane = 2;
  for (uint32_t s = 0; s < SAMPLES; s++) {
    norn_rng g = {.stream = from->stream, .lane = 1, .event = s};
    norn_rng_normals(&g, z, n);
    double lq = normal_draw(&p->best, z, x, more), w = target_at(p->t, x, NULL) - lq;
    if (w == -HUGE_VAL) continue;
    total = log_add(total, w);
    if (norn_rng_uniform(&pick) < exp(w - total)) memcpy(u, x, (size_t)n * sizeof *u);
  }
}

norn_status pathfinder_start(norn_state *st, norn_density *density, const norn_rng *g, double *u)
{
  target t = {.st = st, .density = density, .n = norn_density_dim(density)};
  path p = {.t = NULL};
  norn_rng own = {.stream = norn_stream_split(g->stream, g->lane, g->event, g->iter)};
  size_t bytes = (size_t)(3 * t.n) * sizeof(double);
  double *work = engine_get(st, bytes);
  norn_status status = NORN_EMEMORY;
  if (work && path_new(&t, &p, HISTORY, ITERATIONS, SAMPLES)) {
    bool found = random_start(&p, &own, u);
    while (found && path_step(&p)) { }
    if (found) memcpy(u, p.l.x, (size_t)t.n * sizeof *u);
    if (found && p.best.elbo > -HUGE_VAL) weighted_draw(&p, &own, u, work);
    status = t.failed || found ? t.failed
      : engine_fail(st, NORN_EINFER, norn_density_blame(density),
                    "no start has a finite log density and gradient, in 100 tries: this term was "
                    "not finite");
  }
  path_free(&p);
  engine_put(st, work, bytes);
  return status;
}
