/* particles_runs: each particle of smc is a run of the VM (particles.h), as any program allows.

   Without kept choices samples never leave the VM, and runs are stepped in blocks: what resampling
   asks to be copied into a block is copied just before it is stepped, so that a large population
   passes through the cache once per barrier and not twice.  Kept choices are answered here and go to
   the particles' history (history.h).

   Where rows get ready for many at once (ready.h), a leg goes in rounds: all to their next such row, or there. */
#include "infer/particles/particles.h"
#include "infer/checkpoint.h"
#include "infer/particles/history.h"
#include "infer/infer.h"
#include "infer/particles/ready.h"

enum { BLOCK = 128 };

typedef struct runs {
  particles p;
  norn_run **run;           /* (n); NULL: ended or dead */
  uint32_t *ended, *tip;    /* (n) place of its value in `value`, NONE while it runs; in the history */
  /* copies that resampling asks for, both rising; done up to `copied` */
  const uint32_t *to, *from;
  size_t ncopies, copied;
  column value;
  history history;
  /* of a leg that particles_crew has begun: the only places that are still to go on, rising */
  uint32_t *left; size_t nleft, cleft;
  norn_run *gather[BLOCK]; uint32_t place[BLOCK]; norn_event ev[BLOCK];
  bool in_rounds; rounds rounds;
} runs;

static norn_status runs_start(particles *p)
{
  runs *e = (runs *)p;
  norn_state *st = norn_infer_state(p->inf);
  e->run = engine_get(st, p->n * sizeof *e->run);
  e->ended = engine_get(st, p->n * sizeof *e->ended);
  e->tip = engine_get(st, p->n * sizeof *e->tip);
  if (!e->run || !e->ended || !e->tip) return NORN_EMEMORY;
  unsigned flags =
    NORN_RUN_SCORE | NORN_RUN_STOP | (p->choices ? NORN_RUN_NAMES : NORN_RUN_DRAW) |
    (p->delay ? NORN_RUN_DELAY : 0) | ready_flag(st) | p->more;
  e->in_rounds = flags & NORN_RUN_READY;
  if (e->in_rounds && !rounds_new(st, &e->rounds, p->n)) return NORN_EMEMORY;
  for (size_t i = 0; i < p->n; i++) {
    e->run[i] = norn_infer_run(p->inf, (uint32_t)i, 0, flags | (i ? 0 : NORN_RUN_CHECK));
    if (!e->run[i]) return NORN_EMEMORY;
    e->ended[i] = e->tip[i] = HISTORY_NONE;
  }
  return NORN_OK;
}

/* ---- one particle arrives ---- */

typedef struct keeping { runs *e; size_t i; } keeping;
static bool runs_keep_delayed(void *user, uint64_t addr, norn_datum v)
{
  const keeping *k = user;
  runs *e = k->e;
  return history_add(norn_infer_state(e->p.inf), &e->history, &e->tip[k->i], addr, v);
}

/* Particle i is at its end, and so are its delayed choices. */
static bool runs_end(runs *e, size_t i, norn_datum value)
{
  keeping k = { e, i };
  e->ended[i] = (uint32_t)e->value.n;
  if (!column_push(norn_infer_state(e->p.inf), &e->value, value)) return false;
  bool good = !e->p.choices || norn_run_delayed_choices(e->run[i], runs_keep_delayed, &k);
  norn_run_free(e->run[i]);
  e->run[i] = NULL;
  return good;
}

/* Particle i has come to where it waits for the others; false: error set. */
static bool runs_arrive(runs *e, size_t i, const norn_event *ev)
{
  particles *p = &e->p;
  double lw = norn_run_logw(e->run[i]);         /* of this observation, and of `via` before it */
  if (lw > -HUGE_VAL) norn_run_add_logw(e->run[i], -lw);
  p->logw[i] += lw;
  switch (ev->kind) {
  case NORN_OBSERVE:
    p->met.observing++;
    p->met.running++;
    return true;
  case NORN_DEAD:
    p->met.observing++;
    norn_run_free(e->run[i]);
    e->run[i] = NULL;
    e->tip[i] = HISTORY_NONE;
    particles_dead(p, i, ev->span);
    return true;
  case NORN_DONE:
    p->inf->improper |= (norn_run_flags_of(e->run[i]) & NORN_RUN_IMPROPER) != 0;
    return runs_end(e, i, ev->value);
  default: return false;
  }
}

/* ---- to the barrier ---- */

static bool runs_copy(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  runs *e = (runs *)p;
  e->to = to;
  e->from = from;
  e->ncopies = n;
  e->copied = 0;
  return true;
}

/* The copies that concern particles before `end`. */
static bool runs_follow(runs *e, size_t end)
{
  size_t k = e->copied;
  for (; k < e->ncopies && (e->to[k] < end || e->from[k] < end); k++) {
    e->ended[e->to[k]] = e->ended[e->from[k]];
    e->tip[e->to[k]] = e->tip[e->from[k]];
  }
  int m = (int)(k - e->copied);
  if (m && !norn_runs_copy(e->run, e->to + e->copied, e->from + e->copied, m)) return false;
  e->copied = k;
  return true;
}

/* Has particle i still to go on in this leg? */
static bool runs_waits(const runs *e, size_t i)
{
  if (!e->nleft) return true;
  for (size_t k = 0; k < e->nleft; k++) if (e->left[k] == i) return true;
  return false;
}

/* Particles [next, ...) in blocks; what each block met is weighed while it is in the cache. */
static norn_step runs_advance_drawn(runs *e)
{
  particles *p = &e->p;
  while (p->next < p->n) {
    int m = 0;
    size_t i = p->next;
    if (!runs_follow(e, i + BLOCK)) return NORN_STEP_FAIL;
    for (; i < p->n && i < p->next + BLOCK; i++)
      if (e->run[i] && runs_waits(e, i)) { e->gather[m] = e->run[i]; e->place[m++] = (uint32_t)i; }
    int done = m ? norn_runs_next(e->gather, e->ev, m) : 0;
    bool waits = false;
    for (int k = 0; k < done; k++) {
      if (e->ev[k].kind == NORN_INFER) {
        p->next = e->place[k];
        norn_step s = norn_infer_wait(p->inf, e->gather[k], &e->ev[k]);
        if (s != NORN_STEP_MORE) return s;
        waits = true;
        break;
      }
      if (!runs_arrive(e, e->place[k], &e->ev[k])) return NORN_STEP_FAIL;
    }
    if (waits) continue;
    if (m && done < m) p->next = e->place[done];
    else p->next = i;
  }
  e->nleft = 0;
  return NORN_STEP_DONE;
}

/* Particle i to where it waits for the others, or until it stands at what gets ready (*stands); samples of kept
   choices are answered here. */
static norn_step runs_go_on(runs *e, size_t i, norn_event *ev, bool *stands)
{
  norn_state *st = norn_infer_state(e->p.inf);
  *stands = false;
  for (;;) {
    norn_event_kind k = norn_run_next(e->run[i], ev);
    if (k == NORN_INFER) {
      norn_step s = norn_infer_wait(e->p.inf, e->run[i], ev);
      if (s != NORN_STEP_MORE) return s;
    } else if (k == NORN_SAMPLE) {
      norn_datum v;
      double excess;
      if (!engine_sample(st, e->run[i], ev, true, &v, &excess)) return NORN_STEP_FAIL;
      norn_run_add_logw(e->run[i], excess);
      norn_run_answer(e->run[i], v);
      if (!history_add(st, &e->history, &e->tip[i], ev->addr, v)) return NORN_STEP_FAIL;
    } else if (k == NORN_READY) {
      *stands = true;
      return NORN_STEP_DONE;
    } else {
      return runs_arrive(e, i, ev) ? NORN_STEP_DONE : NORN_STEP_FAIL;
    }
  }
}

/* The same with choices kept. */
static norn_step runs_advance_kept(runs *e)
{
  particles *p = &e->p;
  norn_event ev;
  bool stands;
  if (!runs_follow(e, p->n) || (!p->next && !history_tidy(norn_infer_state(p->inf), &e->history, e->tip, p->n)))
    return NORN_STEP_FAIL;
  for (; p->next < p->n; p->next++) {
    norn_step s = e->run[p->next] ? runs_go_on(e, p->next, &ev, &stands) : NORN_STEP_DONE;
    if (s != NORN_STEP_DONE) return s;
  }
  return NORN_STEP_DONE;
}

/* In rounds; p->next counts those that are there. */
static norn_step runs_advance_rounds(runs *e)
{
  particles *p = &e->p;
  rounds *r = &e->rounds;
  norn_event ev;
  bool stands;
  int next = 1;
  if (!r->on) {
    if (!runs_follow(e, p->n)) return NORN_STEP_FAIL;
    if (p->choices && !history_tidy(norn_infer_state(p->inf), &e->history, e->tip, p->n))
      return NORN_STEP_FAIL;
    rounds_begin(r);
    for (size_t i = 0; i < p->n; i++)
      if (e->run[i] && runs_waits(e, i)) rounds_add(r, i);
    e->nleft = 0;
  }
  while (next > 0) {
    for (; r->at < r->n; r->at++) {
      if (!e->run[r->place[r->at]]) continue;
      norn_step s = runs_go_on(e, r->place[r->at], &ev, &stands);
      if (s != NORN_STEP_DONE) return s;
      if (stands) rounds_stand(r, e->run[r->place[r->at]], &ev);
      else p->next++;
    }
    next = rounds_next(r);
  }
  return next ? NORN_STEP_FAIL : NORN_STEP_DONE;
}

static norn_step runs_advance(particles *p)
{
  runs *e = (runs *)p;
  return e->in_rounds ? runs_advance_rounds(e) : p->choices ? runs_advance_kept(e) : runs_advance_drawn(e);
}

/* ---- the end ---- */

static norn_datum runs_value(particles *p, size_t i)
{
  runs *e = (runs *)p;
  return column_at(norn_infer_state(p->inf), &e->value, e->ended[i]);
}

static norn_status runs_choices(particles *p, size_t i)
{
  runs *e = (runs *)p;
  return history_tell(p->inf, &e->history, e->tip[i]);
}

static void runs_free(particles *p)
{
  runs *e = (runs *)p;
  norn_state *st = norn_infer_state(p->inf);
  for (size_t i = 0; e->run && i < p->n; i++) if (e->run[i]) norn_run_free(e->run[i]);
  engine_put(st, e->run, p->n * sizeof *e->run);
  engine_put(st, e->ended, p->n * sizeof *e->ended);
  engine_put(st, e->tip, p->n * sizeof *e->tip);
  column_free(st, &e->value);
  history_free(st, &e->history);
  engine_put(st, e->left, e->cleft * sizeof *e->left);
  rounds_free(&e->rounds);
}

/* ---- checkpoints ---- */

static bool runs_archive(particles *p, norn_archive *a, uint32_t *to, uint32_t *from)
{
  runs *e = (runs *)p;
  for (size_t i = 0; i < p->n; i++) if (!norn_archive_run(a, &e->run[i])) return false;
  norn_archive_array(a, &e->ended, NULL, p->n, sizeof *e->ended);
  norn_archive_array(a, &e->tip, NULL, p->n, sizeof *e->tip);
  norn_archive_size(a, &e->ncopies);
  norn_archive_size(a, &e->copied);
  if (!norn_archive_status(a) && (e->ncopies > p->n || e->copied > e->ncopies))
    return norn_archive_fail(a, "its particles are not whole");
  if (norn_archive_reading(a)) e->to = to, e->from = from;
  if (e->ncopies) {
    norn_archive_array(a, &to, NULL, e->ncopies, sizeof *to);
    norn_archive_array(a, &from, NULL, e->ncopies, sizeof *from);
  }
  if (!column_archive(a, &e->value) || !history_archive(a, &e->history)) return false;
  norn_archive_size(a, &e->nleft);
  norn_archive_array(a, &e->left, &e->cleft, e->nleft, sizeof *e->left);
  norn_archive_bool(a, &e->in_rounds);
  return rounds_archive(a, &e->rounds, e->in_rounds ? p->n : 0);
}

const particles_ops particles_runs = {
  .name = "scalar",
  .words = "a run of the virtual machine for each particle",
  .size = sizeof(runs),
  .start = runs_start,
  .advance = runs_advance,
  .copy = runs_copy,
  .value = runs_value,
  .choices = runs_choices,
  .free = runs_free,
  .archive = runs_archive
};
