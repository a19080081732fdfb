/* amortized_crew: many draws of a net on threads (amortized.h): each worker of a crew makes whole blocks, with a net_asked, a
   swarm and places of addresses of its own; between two rounds they become the engine's.

   A block is the same whoever makes it, and workers' parts follow one another, so threads change nothing: not the
   draws, and not which error is said.  What a worker can't do with a run (a native that is not pure) the caller's
   thread does. */
#include "infer/chains/branches.h"
#include "infer/infer.h"
#include "infer/net/amortized.h"
#include "infer/net/net_in.h"

/* LEAST: draws that are worth threads.  BLOCKS: of a worker in a round, at most. */
enum { WORKERS = 16, LEAST = 2048, BLOCKS = 8 };
#define ROUND .05                                     /* seconds of one */

typedef struct worker {
  norn_state *st;
  norn_infer *inf;                     /* a branch of the engine's */
  net net;                             /* with places of its own; else the engine's */
  drawer d;
  swarm s;                             /* (BLOCKS blocks) */
  int64_t next, end;                   /* draws of this round */
  norn_step at;
} worker;
typedef struct draws_crew {
  norn_crew *crew;
  int n, blocks;                       /* workers; blocks of each in a round */
  worker w[WORKERS];
  uint32_t *path; size_t cpath;
} draws_crew;

/* ---- beginning and end ---- */

static bool worker_open(norn_infer *inf, amortized *e, draws_crew *c, int k)
{
  worker *w = &c->w[k];
  w->st = norn_crew_state(c->crew, k);
  w->net = *e->net;
  w->net.schema.places = NULL;
  if (!net_places_copy(w->st, &w->net.schema, &e->net->schema) || !(w->inf = infer_branch(inf, w->st, k, 1)) ||
      !swarm_new(w->inf, &w->s, (size_t)BLOCKS * AMORTIZED_BLOCK))
    return false;
  w->s.whole = true;
  w->d.asked = net_asked_new(w->st, &w->net, norn_infer_model(w->inf), AMORTIZED_BLOCK, norn_infer_stream(inf));
  return w->d.asked && drawer_new(&w->d, e, w->inf, &w->s);
}

static void worker_close(worker *w)
{
  if (!w->st) return;
  drawer_free(&w->d);
  swarm_free(&w->s);
  net_places_free(w->st, &w->net.schema);
  if (!w->inf) return;
  engine_put(w->st, w->inf->self, 1);
  w->inf->self = NULL;
  infer_branch_free(w->inf);
}

void draws_crew_free(amortized *e)
{
  draws_crew *c = e->crew;
  if (!c) return;
  norn_state *st = e->s.st;
  e->crew = NULL;
  for (int k = 0; k < WORKERS; k++) worker_close(&c->w[k]);
  norn_crew_free(c->crew);
  engine_put(st, c->path, c->cpath * sizeof *c->path);
  engine_put(st, c, sizeof *c);
}

/* 1: there is one; 0: it is not worth it, or can't be; -1: error set. */
static int crew_ready(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  if (e->crew) return 1;
  if (inf->outer || inf->resume || e->n - e->done < LEAST || norn_may_get_ready(st)) return 0;
  int threads = norn_crew_threads(st, 0);
  if (threads < 2) return 0;
  draws_crew *c = e->crew = engine_get(st, sizeof *c);
  if (!c) return -1;
  c->blocks = 1;
  c->n = threads < WORKERS ? threads : WORKERS;
  if (!(c->crew = norn_crew_new(st, (size_t)c->n, c->n))) return -1;
  c->n = norn_crew_size(c->crew);
  for (int k = 0; k < c->n; k++)
    if (!worker_open(inf, e, c, k)) {
      norn_crew_error(c->crew, k);
      return -1;
    }
  return 1;
}

/* ---- a round ---- */

static void task(void *user, int k, norn_state *st)
{
  amortized *e = user;
  worker *w = &e->crew->w[k];
  (void)st;
  if (w->at != NORN_STEP_MORE && !w->inf->rests) return;
  w->inf->rests = w->inf->away = false;
  for (w->at = NORN_STEP_MORE; w->next < w->end;) {
    w->at = drawer_step(&w->d, w->next, e->n);
    if (w->at == NORN_STEP_WAIT || w->at == NORN_STEP_FAIL) return;
    if (w->at == NORN_STEP_DONE) w->next += w->d.block;
  }
  w->at = NORN_STEP_DONE;
}

/* Runs that can't go on in their worker's thread do so here; gives whether there is more to do there. */
static bool serve(amortized *e)
{
  draws_crew *c = e->crew;
  bool more = false;
  for (int k = 0; k < c->n; k++) {
    worker *w = &c->w[k];
    while (w->at == NORN_STEP_WAIT && !w->inf->rests) {
      w->inf->away = false;
      w->at = drawer_step(&w->d, w->next, e->n);
      if (w->at == NORN_STEP_DONE) {
        w->next += w->d.block;
        w->at = NORN_STEP_MORE;
      }
    }
    more |= w->at == NORN_STEP_MORE || w->at == NORN_STEP_WAIT;
  }
  return more;
}

/* Draws of a worker become the engine's.  false: error set. */
static bool take(norn_infer *inf, amortized *e, worker *w)
{
  draws_crew *c = e->crew;
  size_t n;
  for (int64_t i = w->d.first; i < w->end; i++) {
    size_t p = (size_t)(i - w->d.first), at = (size_t)i;
    e->s.lik[at] = w->s.lik[p];
    e->s.logw[at] = w->s.logw[p];
    e->s.past[at] = e->s.ended[at] = SWARM_NONE;
    if (!swarm_path(&w->s, p, &c->path, &c->cpath, &n)) return false;
    for (size_t k = 0; k < n; k++) {
      const swarm_choice *x = &w->s.choice[c->path[k]];
      if (!swarm_choose(&e->s, at, x->addr, column_at(w->st, &w->s.value, x->value))) return false;
    }
    if (w->s.ended[p] == SWARM_NONE) continue;
    e->s.ended[at] = (uint32_t)e->s.result.n;
    if (!column_push(e->s.st, &e->s.result, column_at(w->st, &w->s.result, w->s.ended[p]))) return false;
  }
  for (size_t k = 0; k < w->d.nmissing; k++) if (!drawer_missing(&e->d, w->d.missing[k])) return false;
  inf->improper |= w->inf->improper;
  w->s.nchoice = 0;
  column_clear(w->st, &w->s.value);
  column_clear(w->st, &w->s.result);
  return true;
}

/* Who does what: places in a row, the lower ones first. */
static void part(amortized *e)
{
  draws_crew *c = e->crew;
  int64_t at = e->done, each = (int64_t)c->blocks * AMORTIZED_BLOCK;
  for (int k = 0; k < c->n; k++) {
    worker *w = &c->w[k];
    w->d.first = w->next = at;
    at = w->end = at + each < e->n ? at + each : e->n;
    w->at = NORN_STEP_MORE;
  }
}

norn_step draws_on_crew(norn_infer *inf, amortized *e)
{
  int ready = crew_ready(inf, e);
  if (ready <= 0) return ready < 0 ? NORN_STEP_FAIL : NORN_STEP_MORE;
  draws_crew *c = e->crew;
  double begun = infer_seconds();
  part(e);
  do norn_crew_work(c->crew, task, e);
  while (serve(e));
  norn_crew_state(c->crew, 0);                          /* what they have left lies still */
  for (int k = 0; k < c->n; k++) {
    worker *w = &c->w[k];
    if (w->at == NORN_STEP_FAIL) {
      norn_crew_error(c->crew, k);
      return NORN_STEP_FAIL;
    }
    if (!take(inf, e, w)) return NORN_STEP_FAIL;
  }
  e->done = c->w[c->n - 1].end;
  double each = (infer_seconds() - begun) / c->blocks;
  c->blocks = each * BLOCKS < ROUND ? BLOCKS : each < ROUND ? (int)(ROUND / each) : 1;
  if (e->done == e->n) draws_crew_free(e);
  return NORN_STEP_DONE;
}
