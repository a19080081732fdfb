/* pgibbs: particle Gibbs (Andrieu, Doucet, Holenstein 2010, section 2.4.3), with ancestor sampling
   (Lindsten, Jordan, Schoen 2014).

   A sweep runs a particle filter in which one particle follows the reference, the choices of the last
   draw; the next reference is one of the final particles, by weight.  That leaves the posterior of all
   choices unchanged for any number of particles from 2 on.  Resampling is multinomial: the other
   particles draw their ancestors independently, which is the true conditional scheme, and the reference
   stands at place 0 because places are exchangeable.

   Ancestor sampling draws a new past for the rest of the reference at each barrier: particle i with
   weight w_i times the density of all that remains of it, choices and observations, after particle i's
   past; 0 if the program would make other choices.  Without it the early choices of long series rarely
   change (path degeneracy).  It costs a run of the rest for each particle at each barrier.

   each: the draws that a sweep leaves.  Given its particles, the next reference is particle k with probability w_k, so
   the weighted mean over all particles has the mean of f(reference) and less variance (the same paper on the reuse of all
   particles): further draws are points of systematic resampling by the same weights, which stand for that mean.

   Random numbers: each sweep has a stream of its own; particles lie in lanes (swarm.h); what the engine
   decides at barrier t of sweep k of chain c: its own stream, lane c, event k, iteration t.  Chains go on
   on threads (branches.h). */
#include "infer/chains/branches.h"
#include "infer/chains/chains.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/particles/swarm.h"
#include <stdio.h>
#include <string.h>

enum { STARTS = 100 };
typedef enum { BEGIN, ADVANCE, ANCESTORS } phase;

typedef struct pgibbs {
  int64_t particles, draws, burn, thin, chains, each;
  bool ancestor;
  uint64_t stream;
  swarm s;
  phase at;
  int chain;
  int64_t sweep, tries;                /* of this chain */
  bool has;                            /* there is a reference */
  uint64_t *addr; size_t naddr, caddr; /* of the reference's choices */
  column value;
  size_t used;                         /* of them by particle 0 */
  double *future;                      /* (particles) log density of the rest after each past */
  size_t candidate, used_there;        /* ancestor sampling: the particle that is asked */
  norn_run *ask;
  double changed, barriers;            /* how often the past changed */
} pgibbs;

static norn_status pgibbs_chain_init(norn_infer *inf, void *self)
{
  pgibbs *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, 5);
  if (!option_int(inf, 0, 2, &e->particles) || !option_int(inf, 1, 1, &e->draws) ||
      !option_int(inf, 2, 0, &e->burn) || !option_int(inf, 3, 1, &e->thin) ||
      !option_int(inf, 4, 1, &e->chains) || !option_int(inf, 6, 1, &e->each))
    return NORN_EDOMAIN;
  if (e->each > e->particles) return option_must(inf, "each", "at most the number of particles", (double)e->each);
  if (v.tag != NORN_BOOL)
    return norn_fail(st, NORN_ETYPE, -1, "ancestor of pgibbs must be true or false");
  if (e->particles > 1 << 24 || e->chains > 100000)
    return norn_fail(st, NORN_EDOMAIN, -1, "%s of pgibbs must be at most %d",
                     e->chains > 100000 ? "chains" : "particles",
                     e->chains > 100000 ? 100000 : 1 << 24);
  e->ancestor = v.i;
  e->chain = branch_index(inf);
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 7, 0);
  e->future = engine_get(st, (size_t)e->particles * sizeof *e->future);
  if (!branch_is(inf)) return e->future ? NORN_OK : NORN_EMEMORY;
  return e->future && swarm_new(inf, &e->s, (size_t)e->particles) ? NORN_OK : NORN_EMEMORY;
}

static norn_rng own_numbers(const pgibbs *e, uint32_t draw)
{
  return (norn_rng){.stream = e->stream, .lane = (uint32_t)e->chain,
                    .event = (uint32_t)(e->sweep + e->tries), .iter = e->s.barrier, .draw = draw};
}

/* ---- choices ---- */

/* The reference's next value, if that is the choice of this address. */
static bool reference_value(norn_infer *inf, const pgibbs *e, size_t *used, uint64_t addr,
                            norn_datum *v)
{
  if (*used >= e->naddr || e->addr[*used] != addr) return false;
  *v = column_at(norn_infer_state(inf), &e->value, (*used)++);
  return true;
}

static norn_status pgibbs_answer(void *user, size_t i, norn_run *run, const norn_event *ev,
                                 norn_datum *v, double *lw)
{
  norn_infer *inf = user;
  pgibbs *e = inf->self;
  norn_state *st = norn_infer_state(inf);
  *lw = 0;
  if (i || !e->has) return engine_sample(st, run, ev, true, v, lw) ? NORN_OK : norn_error(st)->code;
  if (!reference_value(inf, e, &e->used, ev->addr, v))
    return engine_fail(st, NORN_EINFER, ev->span,
                       "pgibbs needs a program that makes the same choices when it is given the same "
                       "values: is there a nested inference by draws?");
  double p, q;
  if (!ev->proposal) return NORN_OK;
  if (!engine_logp(st, ev->dist, *v, ev->span, &p) ||
      !engine_logp(st, ev->proposal, *v, ev->span, &q))
    return norn_error(st)->code;
  *lw = p - q;
  return NORN_OK;
}

/* The choices of particle k become the reference. */
static bool reference_take(norn_infer *inf, pgibbs *e, size_t k)
{
  norn_state *st = norn_infer_state(inf);
  swarm *s = &e->s;
  size_t n = 0;
  for (uint32_t at = s->past[k]; at != SWARM_NONE; at = s->choice[at].parent) n++;
  if (!engine_room(st, &e->addr, &e->caddr, n + 1, sizeof *e->addr)) return false;
  uint32_t *path = engine_get(st, (n + 1) * sizeof *path);
  if (!path) return false;
  size_t i = n;
  for (uint32_t at = s->past[k]; at != SWARM_NONE; at = s->choice[at].parent) path[--i] = at;
  column_clear(st, &e->value);
  bool good = true;
  for (i = 0; i < n && good; i++) {
    e->addr[i] = s->choice[path[i]].addr;
    good = column_push(st, &e->value, column_at(st, &s->value, s->choice[path[i]].value));
  }
  e->naddr = n;
  engine_put(st, path, (n + 1) * sizeof *path);
  return good;
}

/* ---- ancestor sampling ---- */

/* The rest of the reference after particle e->candidate's past: its log density in future[]. */
static norn_step ask_candidate(norn_infer *inf, pgibbs *e)
{
  norn_state *st = norn_infer_state(inf);
  double *lw = &e->future[e->candidate];
  for (;;) {
    norn_event ev;
    norn_datum v;
    switch (norn_run_next(e->ask, &ev)) {
    case NORN_SAMPLE:
      if (!reference_value(inf, e, &e->used_there, ev.addr, &v)) { *lw = -HUGE_VAL; return NORN_STEP_DONE; }
      swarm_weigh_value(st, &ev, v, lw);
      if (!(*lw > -HUGE_VAL)) return NORN_STEP_DONE;
      norn_run_answer(e->ask, v);
      break;
    case NORN_INFER: {
      norn_step step = norn_infer_wait(inf, e->ask, &ev);
      if (step != NORN_STEP_MORE) return step;
      break;
    }
    case NORN_OBSERVE: break;
    case NORN_DEAD: *lw = -HUGE_VAL; return NORN_STEP_DONE;
    case NORN_DONE:
      *lw += norn_run_logw(e->ask);
      if (e->used_there < e->naddr) *lw = -HUGE_VAL;
      return NORN_STEP_DONE;
    default: return NORN_STEP_FAIL;
    }
  }
}

/* All of them; DONE when they are. */
static norn_step ask_all(norn_infer *inf, pgibbs *e)
{
  swarm *s = &e->s;
  for (int work = 0; e->candidate < s->n; e->candidate++, work++) {
    size_t i = e->candidate;
    if (work == 256) return NORN_STEP_MORE;
    if (!e->ask) {
      e->future[i] = s->logw[i];
      e->used_there = e->used;
      if (!(s->logw[i] > -HUGE_VAL)) continue;
      if (!s->run[i]) {                                     /* at its end: nothing may remain */
        if (e->used < e->naddr) e->future[i] = -HUGE_VAL;
        continue;
      }
      if (!(e->ask = norn_run_fork(s->run[i], (uint32_t)i))) return NORN_STEP_FAIL;
    }
    norn_step step = ask_candidate(inf, e);
    if (step != NORN_STEP_DONE) return step;
    norn_run_free(e->ask);
    e->ask = NULL;
  }
  return NORN_STEP_DONE;
}

/* The particle whose past the reference goes on from. */
static size_t ancestor_of_reference(pgibbs *e)
{
  swarm *s = &e->s;
  norn_rng g = own_numbers(e, 1);
  if (!e->ancestor) return 0;
  size_t a = swarm_pick_log(e->future, s->n, &g);
  e->changed += a != 0;
  e->barriers++;
  return a;
}

/* ---- a sweep ---- */

/* Conditional multinomial resampling; false: error set. */
static bool next_generation(pgibbs *e, double sum)
{
  swarm *s = &e->s;
  norn_rng g = own_numbers(e, 16);
  if (!e->has) {
    for (size_t i = 0; i < s->n; i++) s->from[i] = (uint32_t)swarm_pick(s->w, s->n, sum, &g);
    return swarm_copy(s, s->from, 0);
  }
  size_t a = ancestor_of_reference(e);
  norn_run *run = NULL;
  uint32_t past = s->past[a], ended = s->ended[a];
  if (a && s->run[a] && !(run = norn_run_fork(s->run[a], 0))) return false;
  for (size_t i = 1; i < s->n; i++) s->from[i] = (uint32_t)swarm_pick(s->w, s->n, sum, &g);
  if (!swarm_copy(s, s->from, 1)) {
    if (run) norn_run_free(run);
    return false;
  }
  if (!a) return true;
  if (s->run[0]) norn_run_free(s->run[0]);
  s->run[0] = run;
  s->past[0] = past;
  s->ended[0] = ended;
  return true;
}

static norn_step no_start(norn_infer *inf, pgibbs *e)
{
  if (++e->tries < STARTS) { e->at = BEGIN; return NORN_STEP_MORE; }
  return blame_all_dead(norn_infer_state(inf), &inf->dead, "particle");
}

/* Particle k, whose choices are the reference, is a draw. */
static bool leave(norn_infer *inf, pgibbs *e, size_t k)
{
  norn_state *st = norn_infer_state(inf);
  for (size_t i = 0; i < e->naddr; i++)
    if (norn_infer_choice(inf, e->addr[i], column_at(st, &e->value, i))) return false;
  return !norn_infer_draw(inf, column_at(st, &e->s.result, e->s.ended[k]), 0);
}

/* n particles by weight are draws. */
static bool leave_others(norn_infer *inf, pgibbs *e, double sum, size_t n)
{
  norn_state *st = norn_infer_state(inf);
  swarm *s = &e->s;
  norn_rng g = own_numbers(e, 2);
  uint32_t *count = engine_get(st, s->n * sizeof *count);
  bool good = count != NULL;
  if (good) resample_to(RESAMPLE_SYSTEMATIC, s->w, sum, count, s->n, n, &g);
  for (size_t k = 0; good && k < s->n; k++) {
    good = !count[k] || reference_take(inf, e, k);
    for (uint32_t i = 0; good && i < count[k]; i++) good = leave(inf, e, k);
  }
  engine_put(st, count, s->n * sizeof *count);
  return good;
}

static int64_t sweeps_kept(const pgibbs *e) { return (e->draws + e->each - 1) / e->each; }

/* All particles have ended: one of them is the next reference and a draw, as others are. */
static norn_step sweep_end(norn_infer *inf, pgibbs *e, double sum)
{
  swarm *s = &e->s;
  norn_rng g = own_numbers(e, 1);
  size_t k = swarm_pick(s->w, s->n, sum, &g);
  int64_t past_burn = e->sweep + 1 - e->burn, left = e->draws - (past_burn / e->thin - 1) * e->each;
  if (past_burn > 0 && past_burn % e->thin == 0) {
    size_t n = (size_t)(left < e->each ? left : e->each);
    if (n > 1 && !leave_others(inf, e, sum, n)) return NORN_STEP_FAIL;
    if (!reference_take(inf, e, k) || (n == 1 && !leave(inf, e, k))) return NORN_STEP_FAIL;
  } else if (!reference_take(inf, e, k)) {
    return NORN_STEP_FAIL;
  }
  e->sweep++;
  e->has = true;
  e->at = BEGIN;
  return past_burn < sweeps_kept(e) * e->thin ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step at_barrier(norn_infer *inf, pgibbs *e)
{
  double top, sum = swarm_weights(&e->s, &top);
  if (!(sum > 0)) return e->has ? blame_all_dead(norn_infer_state(inf), &inf->dead, "particle")
                                : no_start(inf, e);
  if (!e->s.running) return sweep_end(inf, e, sum);
  if (e->has && e->ancestor && e->at != ANCESTORS) {
    e->at = ANCESTORS;
    e->candidate = 0;
    return NORN_STEP_MORE;
  }
  e->at = ADVANCE;
  return next_generation(e, sum) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

static norn_step pgibbs_chain_step(norn_infer *inf, void *self)
{
  pgibbs *e = self;
  norn_step step;
  for (int work = 0; work < 64; work++) {
    if (e->at == BEGIN) {
      uint64_t stream = norn_stream_split(e->stream, (uint32_t)e->chain,
                                          (uint32_t)(e->sweep + e->tries), 1);
      if (!swarm_start(&e->s, stream)) return NORN_STEP_FAIL;
      e->used = 0;
      e->at = ADVANCE;
    }
    step = e->at == ANCESTORS ? ask_all(inf, e) : swarm_advance(&e->s, pgibbs_answer, inf);
    if (step == NORN_STEP_DONE) step = at_barrier(inf, e);
    if (step != NORN_STEP_MORE) return step;
  }
  return NORN_STEP_MORE;
}

static void pgibbs_add(void *all, const void *one)
{
  pgibbs *e = all;
  const pgibbs *c = one;
  e->changed += c->changed;
  e->barriers += c->barriers;
}

static bool pgibbs_counts(norn_archive *a, void *all)
{
  pgibbs *e = all;
  return norn_archive_f64(a, &e->changed) && norn_archive_f64(a, &e->barriers);
}

static int64_t pgibbs_chains(const void *all) { return ((const pgibbs *)all)->chains; }

static norn_status pgibbs_finish(norn_infer *inf, void *self)
{
  pgibbs *e = branches_all(self);
  norn_infer_note(inf, "sweeps", norn_int(e->chains * (e->burn + sweeps_kept(e) * e->thin)));
  if (e->barriers > 0) norn_infer_note(inf, "ancestors_changed", norn_real(e->changed / e->barriers));
  return chains_report(inf, (int)e->chains, e->draws, "more particles");
}

static void pgibbs_progress(const void *self, norn_progress *p)
{
  const pgibbs *e = self;
  p->done = (double)e->sweep;
  p->total = (double)(e->burn + sweeps_kept(e) * e->thin);
  if (e->sweep < e->burn) snprintf(p->state, sizeof p->state, ", burning in");
}

static void pgibbs_free(norn_infer *inf, void *self)
{
  pgibbs *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->ask) norn_run_free(e->ask);
  swarm_free(&e->s);
  column_free(st, &e->value);
  engine_put(st, e->addr, e->caddr * sizeof *e->addr);
  engine_put(st, e->future, (size_t)e->particles * sizeof *e->future);
}

static norn_status pgibbs_archive(norn_infer *inf, void *self, norn_archive *a)
{
  pgibbs *e = self;
  int at = (int)e->at;
  (void)inf;
  norn_archive_int(a, &at);
  if (at < BEGIN || at > ANCESTORS) norn_archive_fail(a, "its phase is none");
  e->at = (phase)at;
  norn_archive_i64(a, &e->sweep);
  norn_archive_i64(a, &e->tries);
  norn_archive_bool(a, &e->has);
  size_t *count[] = { &e->naddr, &e->used, &e->candidate, &e->used_there };
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_size(a, count[i]);
  norn_archive_array(a, &e->addr, &e->caddr, e->naddr, sizeof *e->addr);
  norn_archive_array(a, &e->future, NULL, (size_t)e->particles, sizeof *e->future);
  norn_archive_f64(a, &e->changed);
  norn_archive_f64(a, &e->barriers);
  if (column_archive(a, &e->value) && swarm_archive(a, &e->s)) norn_archive_run(a, &e->ask);
  return norn_archive_status(a);
}

static const branches_row pgibbs_row = {
  .size = sizeof(pgibbs), .init = pgibbs_chain_init, .step = pgibbs_chain_step, .free = pgibbs_free,
  .archive = pgibbs_archive, .add = pgibbs_add, .counts = pgibbs_counts, .chains = pgibbs_chains,
  .progress = pgibbs_progress};

static norn_status pgibbs_init(norn_infer *inf, void *self) { return branches_init(inf, self, &pgibbs_row); }

static const norn_option pgibbs_options[] = {
  {"particles", "20", "particles of a sweep, the reference among them"},
  {"draws", "1000", "draws kept of each chain"},
  {"burn", "100", "sweeps before the first draw"},
  {"thin", "1", "sweeps from draw to draw"},
  {"chains", "4", "chains, each from a particle filter of its own"},
  {"ancestor", "true", "draw the reference's past anew at each observation"},
  {"each", "1", "draws that a sweep leaves, of its particles by weight (draws / each sweeps)"},
};

const norn_engine engine_pgibbs = {
  .version = NORN_ENGINE_VERSION, .name = "pgibbs",
  .doc = "Particle Gibbs: a particle filter around the last draw gives the next; for series of choices "
         "and observations.",
  .options = pgibbs_options, .noptions = NORN_COUNT(pgibbs_options), .size = sizeof(branches),
  .init = pgibbs_init, .step = branches_step, .finish = pgibbs_finish, .progress = branches_progress,
  .free = branches_free, .archive = branches_archive};
