/* mh: chains of Metropolis-Hastings transitions on traces (mh_kernel.c), each from a start of its own and
   with a kernel of its own, on threads (branches.h).

   Lanes: chain c runs in lane c; the k-th try for a start is iteration k < 1000, step s is
   iteration 1000 + s.  What the engine decides comes from a stream of its own (mh_kernel.c) in the
   same lane and iteration. */
#include "infer/chains/branches.h"
#include "infer/chains/chains.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/chains/mh.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <string.h>

enum { STARTS = 1000, WORK = 256, LOOK = 100 };

typedef struct mh {
  int64_t draws, burn, thin, chains;
  int chain;
  int64_t start, at;         /* tries for a start; steps of this chain */
  bool started, going;       /* going: a start is being run */
  execution x;
  target g;
  trace t;
  kernel *k;
  int64_t moved, stuck;      /* accepted before the draws of this chain; chains that never moved */
  bool resuming;
  bool choices;              /* of all: a chain has made some */
  int told;                  /* of all: the first chain whose counts have come */
} mh;

static norn_status mh_chain_init(norn_infer *inf, void *self)
{
  mh *e = self;
  if (!option_int(inf, 0, 1, &e->draws) || !option_int(inf, 1, 0, &e->burn) ||
      !option_int(inf, 2, 1, &e->thin) || !option_int(inf, 3, 1, &e->chains))
    return NORN_EDOMAIN;
  if (e->chains > 100000)
    return norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1,
                     "chains of mh must be at most 100000");
  e->chain = branch_index(inf);
  e->told = INT32_MAX;
  e->g = (target){.barriers = SIZE_MAX, .beta = 1, .stream = norn_infer_stream(inf), .lane = (uint32_t)e->chain};
  e->resuming = !norn_is_none(infer_resumed(inf));
  if (e->resuming) e->burn = 0;
  e->k = kernel_new(inf, norn_get(inf->options), "mh");
  if (!e->k) return norn_error(norn_infer_state(inf))->code;
  e->k->lazy = true;
  return NORN_OK;
}

/* ---- starts ---- */

static norn_datum mh_resumed(void *user, const norn_event *ev)
{
  norn_infer *inf = user;
  const mh *e = inf->self;
  return chains_resumed(inf, ev, e->chains, e->chain);
}

static norn_step mh_no_start(norn_infer *inf)
{
  norn_state *st = norn_infer_state(inf);
  char place[200];
  norn_span s = norn_infer_blame(inf, NULL);
  norn_span_text(st, s, place, sizeof place);
  engine_fail(st, NORN_EINFER, s,
              "mh found no start: each of %d draws from the prior has weight 0, most after the "
              "observation at %s",
              STARTS, *place ? place : "an unknown place");
  if (*inf->dead.why) norn_hint(st, "the first went wrong so: %s", inf->dead.why);
  else norn_hint(st, "make the observation less strict, or use smc or rejection");
  return NORN_STEP_FAIL;
}

/* One try, or a piece of it: DONE: it has ended. */
static norn_step mh_start(norn_infer *inf, mh *e)
{
  bool resumed = e->resuming && e->start == 0;
  e->g.iter = (uint32_t)e->start;
  if (!e->going &&
      !execution_start(&e->x, inf, &e->g, &e->t, resumed ? mh_resumed : NULL, inf))
    return NORN_STEP_FAIL;
  e->going = true;
  norn_step s = execution_step(&e->x);
  if (s != NORN_STEP_DONE) return s;
  e->started = !e->x.dead && !e->x.impossible;
  if (e->x.dead) norn_infer_dead(inf, e->x.where);
  execution_end(&e->x);
  e->going = false;
  return e->started || ++e->start < STARTS ? NORN_STEP_DONE : mh_no_start(inf);
}

/* ---- steps ---- */

/* The trace is a draw if its time has come. */
static norn_status mh_record(norn_infer *inf, mh *e)
{
  int64_t k = e->at - e->burn;
  if (k <= 0 || k % e->thin) return NORN_OK;
  if (!kernel_settle(e->k, &e->t)) return NORN_EMEMORY;
  for (size_t i = 0; i < e->t.n; i++)
    if (norn_infer_choice(inf, e->t.c[i].addr, trace_value(&e->t.c[i]))) return NORN_EMEMORY;
  return norn_infer_draw(inf, trace_result(&e->t), 0);
}

static int64_t mh_length(const mh *e) { return e->burn + e->draws * e->thin; }

static norn_step mh_one(norn_infer *inf, mh *e)
{
  int64_t last = mh_length(e);
  if (!e->started) return mh_start(inf, e);
  if (e->at == e->burn) e->moved = e->k->accepted;
  e->k->adapts = e->at < e->burn;
  e->g.iter = (uint32_t)(STARTS + e->at);
  norn_step s = kernel_step(e->k, &e->g, &e->t);
  if (s != NORN_STEP_DONE) return s;
  e->at++;
  if (!e->chain && e->at == (last < LOOK ? last : LOOK) && mh_patterns(e->k, &e->t)) return NORN_STEP_FAIL;
  return mh_record(inf, e) ? NORN_STEP_FAIL : NORN_STEP_DONE;
}

static norn_step mh_chain_step(norn_infer *inf, void *self)
{
  mh *e = self;
  for (int work = 0; work < WORK && e->at < mh_length(e); work++) {
    norn_step s = mh_one(inf, e);
    if (s != NORN_STEP_DONE) return s;
  }
  return e->at < mh_length(e) ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- all chains ---- */

static void mh_add(void *all, const void *one)
{
  mh *e = all;
  const mh *c = one;
  e->k->accepted += c->k->accepted;
  e->k->proposed += c->k->proposed;
  e->stuck += c->k->accepted == c->moved;
  e->choices |= c->t.n > 0;
  mh_graph_add(e->k, c->k, c->chain < e->told);
  if (c->chain < e->told) e->told = c->chain;
}

static bool mh_counts(norn_archive *a, void *all)
{
  mh *e = all;
  return norn_archive_i64(a, &e->k->accepted) && norn_archive_i64(a, &e->k->proposed) &&
         norn_archive_i64(a, &e->stuck) && norn_archive_bool(a, &e->choices) && norn_archive_int(a, &e->told) &&
         mh_graph_counts(a, e->k);
}

static int64_t mh_chains(const void *all) { return ((const mh *)all)->chains; }

/* A proposal of the user's own calls Norn functions from C. */
static bool mh_alone(norn_infer *inf, const void *all)
{
  (void)inf;
  return kernel_mh_proposes(((const mh *)all)->k);
}

/* ---- the end ---- */

static norn_status mh_finish(norn_infer *inf, void *self)
{
  mh *e = branches_all(self);
  norn_span nowhere = { 0, 0, 0 };
  int64_t proposed = e->k->proposed;
  norn_infer_note(inf, "acceptance",
                  norn_real(proposed ? (double)e->k->accepted / (double)proposed : 1));
  norn_infer_note(inf, "thin", norn_int(e->thin));
  mh_graph_note(e->k);
  if (!e->choices) return chains_report(inf, (int)e->chains, e->draws, "a larger thin");
  if (e->stuck == e->chains) {
    norn_infer_warn(inf, nowhere, "no move was accepted: each chain is one value, %lld times",
                    (long long)e->draws);
    return chains_report(inf, (int)e->chains, e->draws, NULL);
  }
  if (e->stuck)
    norn_infer_warn(inf, nowhere, "%lld of %lld chains never moved", (long long)e->stuck,
                    (long long)e->chains);
  return chains_report(inf, (int)e->chains, e->draws, "a larger thin");
}

static void mh_progress(const void *self, norn_progress *p)
{
  const mh *e = self;
  p->done = (double)e->at;
  p->total = (double)mh_length(e);
  if (e->at < e->burn) snprintf(p->state, sizeof p->state, ", burning in");
}

static void mh_free(norn_infer *inf, void *self)
{
  mh *e = self;
  if (e->going) execution_end(&e->x);
  kernel_free(e->k);
  trace_free(norn_infer_state(inf), &e->t);
}

static norn_status mh_archive(norn_infer *inf, void *self, norn_archive *a)
{
  mh *e = self;
  bool going = e->going;
  int64_t *count[] = { &e->start, &e->at, &e->moved };
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_bool(a, &e->started);
  norn_archive_bool(a, &going);
  norn_archive_u32(a, &e->g.iter);
  if (norn_archive_status(a)) return norn_archive_status(a);
  if (norn_archive_reading(a) && going) {
    bool resumed = e->resuming && e->start == 0;
    if (!execution_start(&e->x, inf, &e->g, &e->t, resumed ? mh_resumed : NULL, inf))
      return norn_error(norn_infer_state(inf))->code;
    e->going = true;
  }
  if (trace_archive(a, &e->t) && (!going || execution_archive(a, &e->x)))
    kernel_archive(a, e->k, &e->g, &e->t);
  return norn_archive_status(a);
}

static const branches_row mh_row = {
  .size = sizeof(mh), .init = mh_chain_init, .step = mh_chain_step, .free = mh_free, .archive = mh_archive,
  .add = mh_add, .counts = mh_counts, .chains = mh_chains, .progress = mh_progress, .alone = mh_alone};

static norn_status mh_init(norn_infer *inf, void *self) { return branches_init(inf, self, &mh_row); }

static const norn_option mh_options[] = {
  { "draws", "1000", "draws kept of each chain" },
  { "burn", "1000", "steps before the first draw" },
  { "thin", "1", "steps from draw to draw" },
  { "chains", "4", "chains, each from a start of its own" },
  { "steps", "1", "transitions of a step: of move(mh(steps = 3))" },
  { "proposal", "missing", "a function of the current values that gives a model of the new ones" },
  { "on", "missing", "which choices may change: a pattern of addresses, or an array of them" },
  { "drift", "missing", "size of random walks in the place of draws from the prior; or a record of sizes "
                        "by pattern" },
  { "block", "missing", "patterns of choices that are renewed together" },
  { "incremental", "true", "run again only what depends on the change, where the program can be recorded" }
};

const norn_engine engine_mh = { .version = NORN_ENGINE_VERSION,
                                .name = "mh",
                                .doc = "Single-site Metropolis-Hastings: one choice at a time is "
                                       "drawn anew and the program run again.",
                                .options = mh_options,
                                .noptions = NORN_COUNT(mh_options),
                                .size = sizeof(branches),
                                .init = mh_init,
                                .step = branches_step,
                                .finish = mh_finish,
                                .progress = branches_progress,
                                .free = branches_free,
                                .archive = branches_archive };
