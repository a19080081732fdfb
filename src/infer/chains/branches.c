/* branches: chains on threads (branches.h).

   A round: every worker steps its chain for some milliseconds; then the caller's thread steps those that
   could not go on there, serves their nested inferences, takes the draws over, and gives
   the next chain to a worker whose own is over.  If a chain fails, those before it go on: which error is
   reported does not depend on threads either. */
#include "infer/chains/branches.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

enum { THREADS = BRANCHES_THREADS };
#define ROUND .02                        /* seconds */

int branch_index(const norn_infer *inf) { return inf->branch; }
bool branch_is(const norn_infer *inf) { return inf->trunk != NULL; }

norn_step branch_away(norn_infer *inf)
{
  inf->away = true;
  return NORN_STEP_WAIT;
}

/* ---- making and ending ---- */

static int threads_of(norn_infer *inf, const branches *b)
{
  if (inf->outer || inf->resume || b->chains < 2 || (b->row->alone && b->row->alone(inf, b->all))) return 1;
  if (norn_may_get_ready(inf->st)) return 1;     /* a row that may want the caller's thread, wherever it is met */
  int k = norn_crew_threads(inf->st, 0);
  k = k < THREADS ? k : THREADS;
  return k < b->chains ? k : (int)b->chains;
}

norn_status branches_init(norn_infer *inf, void *self, const branches_row *row)
{
  branches *b = self;
  b->row = row;
  b->k = 1;
  b->all = engine_get(inf->st, row->size);
  if (!b->all) return NORN_EMEMORY;
  norn_status s = row->init(inf, b->all);
  b->chains = row->chains(b->all);
  return s;
}

static norn_state *state_of(const branches *b, norn_infer *inf, int j)
{
  return b->crew ? norn_crew_state(b->crew, j) : inf->st;
}

/* Chain `chain` begins at place j; false: error set, where it would have worked. */
static bool branch_open(norn_infer *inf, branches *b, int j, int chain)
{
  norn_state *st = state_of(b, inf, j);
  norn_infer *c = infer_branch(inf, st, chain, b->row->size);
  b->b[j] = (branch){.inf = c, .at = NORN_STEP_MORE};
  return c && !b->row->init(c, c->self);
}

static void branch_close(branches *b, int j)
{
  norn_infer *c = b->b[j].inf;
  b->b[j].inf = NULL;
  if (!c) return;
  if (c->self) b->row->free(c, c->self);
  engine_put(c->st, c->self, b->row->size);
  c->self = NULL;
  infer_branch_free(c);
}

void branches_free(norn_infer *inf, void *self)
{
  branches *b = self;
  if (!b->all) return;
  for (int j = 0; j < THREADS; j++) branch_close(b, j);
  norn_crew_free(b->crew);
  b->row->free(inf, b->all);
  engine_put(inf->st, b->all, b->row->size);
}

/* ---- a round ---- */

static void task(void *user, int k, norn_state *st)
{
  branches *b = user;
  branch *x = &b->b[k];
  double start = infer_seconds();
  (void)st;
  if (!x->inf || (x->at != NORN_STEP_MORE && !x->inf->rests)) return;
  x->inf->rests = x->inf->away = false;
  do x->at = b->row->step(x->inf, x->inf->self);
  while (x->at == NORN_STEP_MORE && infer_seconds() - start < ROUND);
}

/* Chains that wait go on in this thread; false: one waits for a nested inference. */
static bool serve(branches *b)
{
  for (int j = 0; j < b->k; j++) {
    branch *x = &b->b[j];
    while (x->inf && x->at == NORN_STEP_WAIT && !x->inf->rests) {
      x->inf->away = false;
      x->at = b->row->step(x->inf, x->inf->self);
      if (x->at == NORN_STEP_WAIT && !x->inf->away) return false;
    }
  }
  return true;
}

static bool waits(const branches *b)
{
  for (int j = 0; j < b->k; j++)
    if (b->b[j].inf && b->b[j].at == NORN_STEP_WAIT && !b->b[j].inf->rests) return true;
  return false;
}

/* Draws are taken over, chains that are over make room.  false: error set. */
static bool gather(norn_infer *inf, branches *b)
{
  for (int j = 0; j < b->k; j++) {
    branch *x = &b->b[j];
    if (!x->inf) continue;
    if (infer_take(inf, x->inf)) return false;
    if (x->at != NORN_STEP_DONE) continue;
    b->row->add(b->all, x->inf->self);
    b->over++;
    branch_close(b, j);
  }
  return true;
}

/* The lowest chain that has failed, -1: none; it is reported when no chain before it goes on. */
static int failed(const branches *b)
{
  int lowest = -1;
  for (int j = 0; j < b->k; j++)
    if (b->b[j].inf && b->b[j].at == NORN_STEP_FAIL &&
        (lowest < 0 || b->b[j].inf->branch < b->b[lowest].inf->branch))
      lowest = j;
  return lowest;
}

static bool is_of_all(norn_status s)
{
  return s == NORN_EINTERRUPT || s == NORN_ELIMIT || s == NORN_EMEMORY;
}

static norn_step fail(branches *b, int at)
{
  b->failing = true;
  bool before = false;
  for (int j = 0; j < b->k; j++) {
    branch *x = &b->b[j];
    if (!x->inf || j == at) continue;
    if (x->inf->branch > b->b[at].inf->branch) branch_close(b, j);
    else before = true;
  }
  if (before && !is_of_all(norn_error(b->b[at].inf->st)->code)) return NORN_STEP_MORE;
  if (b->crew) norn_crew_error(b->crew, at);
  return NORN_STEP_FAIL;
}

/* Workers, once nothing goes on that a checkpoint has brought. */
static void crew_begin(norn_infer *inf, branches *b)
{
  int k = threads_of(inf, b);
  for (int j = 0; j < THREADS; j++) if (b->b[j].inf) return;
  if (k < 2 || b->chains - b->next < 2) return;
  b->crew = norn_crew_new(inf->st, (size_t)k, k);
  if (b->crew) b->k = norn_crew_size(b->crew);
  else norn_clear(inf->st);
}

static bool begin(norn_infer *inf, branches *b)
{
  if (!b->crew) crew_begin(inf, b);
  for (int j = 0; j < b->k && !b->failing && b->next < b->chains; j++) {
    if (b->b[j].inf) continue;
    if (!branch_open(inf, b, j, b->next++)) {
      b->b[j].at = NORN_STEP_FAIL;
      if (b->b[j].inf) return true;
      if (b->crew) norn_crew_error(b->crew, j);
      return false;
    }
  }
  return true;
}

/* Where there are no workers: the first chain that can goes on. */
static void step_here(branches *b)
{
  for (int j = 0; j < b->k; j++) {
    branch *x = &b->b[j];
    if (!x->inf || x->at != NORN_STEP_MORE) continue;
    x->at = b->row->step(x->inf, x->inf->self);
    return;
  }
}

norn_step branches_step(norn_infer *inf, void *self)
{
  branches *b = self;
  bool again = waits(b);
  if (!again && !begin(inf, b)) return NORN_STEP_FAIL;
  if (!again && b->crew) norn_crew_work(b->crew, task, b);
  if (!again && !b->crew) step_here(b);
  bool served = inf->inner ? false : serve(b);
  if (b->crew) norn_crew_state(b->crew, 0);              /* what they have left lies still */
  if (!gather(inf, b)) return NORN_STEP_FAIL;
  if (!served) return NORN_STEP_WAIT;
  int at = failed(b);
  if (at >= 0) return fail(b, at);
  return b->over < b->chains ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- the rest of an engine ---- */

void branches_progress(norn_infer *inf, void *self, norn_progress *p)
{
  branches *b = self;
  const norn_infer *first = NULL;
  norn_progress one = {0};
  (void)inf;
  if (!b->all) return;
  b->row->progress(b->all, &one);
  p->total = one.total * (double)b->chains;
  p->done = one.total * b->over;
  for (int j = 0; j < b->k; j++) {
    norn_infer *c = b->b[j].inf;
    if (!c) continue;
    memset(&one, 0, sizeof one);
    b->row->progress(c->self, &one);
    p->done += one.done;
    if (first && first->branch < c->branch) continue;
    first = c;
    snprintf(p->state, sizeof p->state, "chain %d%.50s", c->branch + 1, one.state);
  }
}

/* What was read goes on in the caller's thread, chain by chain; the others on threads again. */
static bool branch_archive(norn_infer *inf, branches *b, int j, norn_archive *a)
{
  bool reads = norn_archive_reading(a);
  int chain = reads ? 0 : b->b[j].inf->branch, at = (int)b->b[j].at;
  norn_archive_int(a, &chain);
  norn_archive_int(a, &at);
  if (norn_archive_status(a)) return false;
  if (chain < 0 || chain >= b->next || (at != NORN_STEP_MORE && at != NORN_STEP_WAIT))
    return norn_archive_fail(a, "its chains are others");
  if (reads && !branch_open(inf, b, j, chain)) return norn_archive_fail(a, "a chain does not begin");
  norn_infer *c = b->b[j].inf;
  b->b[j].at = (norn_step)at;
  return norn_archive_u64(a, &c->stamps) && norn_archive_bool(a, &c->away) && blame_archive(a, &c->dead) &&
         !b->row->archive(c, c->self, a) && !norn_archive_status(a);
}

norn_status branches_archive(norn_infer *inf, void *self, norn_archive *a)
{
  branches *b = self;
  bool reads = norn_archive_reading(a);
  int live = 0;
  for (int j = 0; j < b->k; j++) live += b->b[j].inf != NULL;
  norn_archive_int(a, &b->next);
  norn_archive_int(a, &b->over);
  norn_archive_int(a, &live);
  if (norn_archive_status(a)) return norn_archive_status(a);
  if (b->next < 0 || b->next > b->chains || b->over < 0 || live < 0 || live > THREADS ||
      b->over + live != b->next) {
    norn_archive_fail(a, "its chains are others");
    return norn_archive_status(a);
  }
  if (reads) b->k = live > 1 ? live : 1;
  if (!b->row->counts(a, b->all)) return norn_archive_status(a);
  for (int j = 0, at = 0; at < live; j++) {
    if (!reads && !b->b[j].inf) continue;
    if (!branch_archive(inf, b, j, a)) break;
    at++;
  }
  return norn_archive_status(a);
}
