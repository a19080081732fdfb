/* particles_crew: the runs of particles_runs.c on several threads (norn.h, norn_crew), the same draws.

   A particle that is weighed is done with in its own thread.  What has ended or died, or must go on in the
   thread of the caller (a nested inference is one reason), is looked at by it, in order of places: so
   nothing depends on threads.  A checkpoint is that of particles_runs, which goes on from it. */
#include "infer/particles/particles.h"
#include "infer/checkpoint.h"
#include "infer/particles/history.h"
#include "infer/infer.h"

enum { LEAST = 2000 };      /* particles below which threads cost more than they bring */

typedef struct crew {
  particles p;
  norn_crew *crew;
  norn_run **run;           /* (n); NULL: ended or dead */
  uint32_t *ended, *tip;    /* (n) as in particles_runs; there is no history */
  const uint32_t *to, *from; size_t ncopies;
  column value;
  size_t going;             /* runs that are there */
  size_t waits;             /* the place whose inference goes on */
  bool out, asked;          /* the leg has been run and the rest is looked at; `waits` is one */
} crew;

static norn_status crew_start(particles *p)
{
  crew *e = (crew *)p;
  norn_state *st = norn_infer_state(p->inf);
  const unsigned flags = NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW | p->more;
  e->run = engine_get(st, p->n * sizeof *e->run);
  e->ended = engine_get(st, p->n * sizeof *e->ended);
  e->tip = engine_get(st, p->n * sizeof *e->tip);
  if (!e->run || !e->ended || !e->tip) return NORN_EMEMORY;
  for (size_t i = 0; i < p->n; i++) e->ended[i] = e->tip[i] = HISTORY_NONE;
  e->going = p->n;
  e->crew = norn_crew_new(st, p->n, particles_threads(p->inf, p->n, p->choices));
  norn_run *first = e->crew ? norn_infer_run(p->inf, 0, 0, flags) : NULL;
  bool well = first && norn_crew_start(e->crew, first, e->run);
  norn_run_free(first);
  if (well) norn_run_flags(e->run[0], flags | NORN_RUN_CHECK);
  return well ? NORN_OK : NORN_EMEMORY;
}

static bool crew_copy(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  crew *e = (crew *)p;
  e->to = to;
  e->from = from;
  e->ncopies = n;
  return true;
}

/* In the particle's thread: weighed, it waits for the others. */
static bool crew_met(void *user, size_t i, norn_run *r, const norn_event *ev)
{
  crew *e = user;
  if (ev->kind != NORN_OBSERVE) return false;
  double lw = norn_run_logw(r);
  norn_run_add_logw(r, -lw);
  e->p.logw[i] += lw;
  return true;
}

/* A particle has come to its end, or is dead, or was weighed by the caller; false: error set. */
static bool crew_arrive(crew *e, size_t i, const norn_event *ev)
{
  particles *p = &e->p;
  bool dead = ev->kind == NORN_DEAD;
  p->met.observing += dead || ev->kind == NORN_OBSERVE;
  if (crew_met(e, i, e->run[i], ev)) {
    p->met.running++;
    return true;
  }
  p->logw[i] += norn_run_logw(e->run[i]);
  p->inf->improper |= !dead && (norn_run_flags_of(e->run[i]) & NORN_RUN_IMPROPER) != 0;
  norn_run_free(e->run[i]);
  e->run[i] = NULL;
  e->going--;
  if (dead) {
    particles_dead(p, i, ev->span);
    return true;
  }
  e->ended[i] = (uint32_t)e->value.n;
  return column_push(norn_infer_state(p->inf), &e->value, ev->value);
}

/* All go on. */
static bool crew_leg(crew *e)
{
  particles *p = &e->p;
  bool gaps = e->going < p->n;
  size_t left;
  for (size_t k = 0; gaps && k < e->ncopies; k++) {
    e->going += (e->run[e->from[k]] != NULL) - (size_t)(e->run[e->to[k]] != NULL);
    e->ended[e->to[k]] = e->ended[e->from[k]];
  }
  if (!norn_crew_next(e->crew, e->run, e->to, e->from, e->ncopies, crew_met, e, &left))
    return false;
  e->ncopies = 0;
  p->met.running = p->met.observing = e->going - left;
  return true;
}

static norn_step crew_advance(particles *p)
{
  crew *e = (crew *)p;
  norn_event ev;
  size_t i;
  if (!e->out && !crew_leg(e)) return NORN_STEP_FAIL;
  e->out = true;
  while (e->asked || norn_crew_rest(e->crew, &i, &ev)) {
    if (e->asked) norn_run_next(e->run[i = e->waits], &ev);
    e->asked = ev.kind == NORN_INFER;
    if (e->asked) {
      p->next = e->waits = i;
      norn_step s = norn_infer_wait(p->inf, e->run[i], &ev);
      if (s != NORN_STEP_MORE) return s;
    } else if (ev.kind == NORN_ERROR || !crew_arrive(e, i, &ev)) {
      return NORN_STEP_FAIL;
    }
  }
  e->out = false;
  p->next = 0;
  return NORN_STEP_DONE;
}

static norn_datum crew_value(particles *p, size_t i)
{
  crew *e = (crew *)p;
  return column_at(norn_infer_state(p->inf), &e->value, e->ended[i]);
}

static void crew_free(particles *p)
{
  crew *e = (crew *)p;
  norn_state *st = norn_infer_state(p->inf);
  for (size_t i = 0; e->run && i < p->n; i++) norn_run_free(e->run[i]);
  norn_crew_free(e->crew);
  engine_put(st, e->run, p->n * sizeof *e->run);
  engine_put(st, e->ended, p->n * sizeof *e->ended);
  engine_put(st, e->tip, p->n * sizeof *e->tip);
  column_free(st, &e->value);
}

/* The places whose runs are still to go on in this leg: none when it is over. */
static uint32_t *crew_left(crew *e, size_t *n, size_t *cap)
{
  norn_state *st = norn_infer_state(e->p.inf);
  uint32_t *left = NULL;
  size_t place;
  *n = *cap = 0;
  if (!e->asked) return NULL;
  do {
    if (!engine_room(st, &left, cap, *n + 1, sizeof *left)) break;
    left[*n] = (uint32_t)(*n ? place : e->waits);
  } while (norn_crew_left(e->crew, (*n)++, &place));
  return left;
}

/* Written as by particles_runs, which reads it (smc.c). */
static bool crew_archive(particles *p, norn_archive *a, uint32_t *to, uint32_t *from)
{
  crew *e = (crew *)p;
  history none = { 0 };
  size_t zero = 0, n, cap;
  for (size_t i = 0; i < p->n; i++) if (!norn_archive_run(a, &e->run[i])) return false;
  norn_archive_array(a, &e->ended, NULL, p->n, sizeof *e->ended);
  norn_archive_array(a, &e->tip, NULL, p->n, sizeof *e->tip);
  norn_archive_size(a, &e->ncopies);
  norn_archive_size(a, &zero);
  if (e->ncopies) {
    norn_archive_array(a, &to, NULL, e->ncopies, sizeof *to);
    norn_archive_array(a, &from, NULL, e->ncopies, sizeof *from);
  }
  column_archive(a, &e->value);
  history_archive(a, &none);
  uint32_t *left = crew_left(e, &n, &cap);
  norn_archive_size(a, &n);
  bool in_rounds = false;
  bool well = norn_archive_array(a, &left, NULL, n, sizeof *left) && norn_archive_bool(a, &in_rounds);
  engine_put(norn_infer_state(p->inf), left, cap * sizeof *left);
  return well;
}

int particles_threads(norn_infer *inf, size_t n, bool choices)
{
  if (choices || n < LEAST) return 1;
  int k = norn_crew_threads(norn_infer_state(inf), 0);
  return (size_t)k < n / (LEAST / 2) ? k : (int)(n / (LEAST / 2));
}

const particles_ops particles_crew = {
  .name = "scalar",
  .words = "a run of the virtual machine for each particle, on several threads",
  .size = sizeof(crew),
  .start = crew_start,
  .advance = crew_advance,
  .copy = crew_copy,
  .value = crew_value,
  .free = crew_free,
  .archive = crew_archive
};
