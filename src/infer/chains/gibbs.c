/* gibbs: chains of sweeps over blocks of choices (Geman, Geman 1984): gibbs({ "mu": nuts(), "k[*]":
   enumerate() }).  A block is a pattern of addresses and an engine that is a kernel too (kernel.h); a sweep
   runs each block's kernel once, in the order written, on the choices that its pattern fits, given the
   values that all others have by then.  A choice that two patterns fit is moved by both; one that none fits
   would never move, which is an error; choices that begin to exist since another changed are drawn from
   their prior.

   Kernels learn in the burn-in; each chain has its own, and goes on on a thread of its own (branches.h)
   where no kernel records densities, which is the caller's thread's to do.

   Lanes: chain c is lane c; the k-th try for a start is iteration k < 1000 of the inference's stream, sweep
   s of block b is iteration 1000 + s of a stream of the block's own. */
#include "infer/chains/branches.h"
#include "infer/chains/chains.h"
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include "infer/chains/kernel_gradient.h"
#include "infer/chains/pattern.h"
#include <stdio.h>
#include <string.h>

enum { STARTS = 1000, WORK = 64, MOST_BLOCKS = 64, OWN = 13 };

typedef struct gibbs gibbs;
typedef struct block {
  gibbs *of;
  int index;
  norn_ref *pattern, *engine;
  kernel *k;
  bool met;                            /* a choice fits */
  gradient_report all;                 /* of the trunk: of all chains that are over */
} block;

struct gibbs {
  norn_infer *inf;
  int64_t draws, burn, thin, chains;
  block *b; int n;
  uint64_t only_continuous;            /* blocks that move nothing else */
  uint64_t only_finite;
  uint64_t *key, *mask; size_t size, used;     /* address -> blocks whose pattern fits; open addressing */
  bool failed;
  execution x;
  target g;
  trace t;
  int chain, last;                     /* last: 1 + the last chain that is over */
  int64_t start, at;                   /* tries for a start; sweeps of this chain */
  int now;                             /* the block whose turn it is */
  bool started, going, entered, diverged;
  bool *has; size_t nhas;
};

static norn_state *state_of(const gibbs *e) { return norn_infer_state(e->inf); }

/* ---- blocks ---- */

static const char *pattern_of(const block *b) { return norn_string_view(norn_get(b->pattern), NULL); }

static norn_status block_read(gibbs *e, int i, const char *name, norn_datum engine)
{
  norn_state *st = state_of(e);
  block *b = &e->b[i];
  *b = (block){.of = e, .index = i, .pattern = norn_keep(st, norn_cstring(st, name)),
               .engine = norn_keep(st, engine)};
  e->n = i + 1;
  if (!b->pattern || !b->engine || !(b->k = kernel_new(e->inf, engine, "gibbs")))
    return norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
  gradient_report r;
  if (b->k->row == &kernel_enumerate) e->only_finite |= (uint64_t)1 << i;
  if (kernel_gradient_report(b->k, &r)) e->only_continuous |= (uint64_t)1 << i;
  b->k->learning = e->burn;
  return NORN_OK;
}

static norn_status blocks_read(gibbs *e)
{
  norn_state *st = state_of(e);
  norn_datum blocks = norn_infer_option(e->inf, 0), v;
  char found[120];
  int n = norn_record_size(blocks);
  norn_status status = NORN_OK;
  if (n < 1 || n > MOST_BLOCKS) {
    norn_fail(st, NORN_ETYPE, -1, n > MOST_BLOCKS ? "gibbs takes at most 64 blocks, got %s" :
              "blocks of gibbs must be a record of engines by patterns of addresses, got %s",
              n ? norn_describe(st, blocks, found, sizeof found) : "an empty one");
    norn_hint(st, "gibbs({ \"mu\": nuts(), \"z[*]\": enumerate() })");
    return NORN_ETYPE;
  }
  e->b = engine_get(st, (size_t)n * sizeof *e->b);
  if (!e->b) return NORN_EMEMORY;
  for (int i = 0; i < n && !status; i++) {
    const char *name = norn_record_at(st, norn_infer_option(e->inf, 0), i, &v);
    status = block_read(e, i, name, v);
  }
  return status;
}

static norn_status gibbs_chain_init(norn_infer *inf, void *self)
{
  gibbs *e = self;
  norn_state *st = norn_infer_state(inf);
  e->inf = inf;
  e->chain = branch_index(inf);
  if (!option_int(inf, 1, 1, &e->draws) || !option_int(inf, 2, 0, &e->burn) ||
      !option_int(inf, 3, 1, &e->thin) || !option_int(inf, 4, 1, &e->chains))
    return NORN_EDOMAIN;
  if (e->chains > 100000) return norn_fail(st, NORN_EDOMAIN, -1, "chains of gibbs must be at most 100000");
  return blocks_read(e);
}

/* ---- which blocks a choice belongs to ---- */

static bool masks_grow(gibbs *e)
{
  norn_state *st = state_of(e);
  size_t n = e->size ? 2 * e->size : 256;
  uint64_t *key = engine_get(st, n * sizeof *key), *mask = engine_get(st, n * sizeof *mask);
  bool *has = engine_get(st, n * sizeof *has);
  if (!key || !mask || !has) {
    engine_put(st, key, n * sizeof *key);
    engine_put(st, mask, n * sizeof *mask);
    engine_put(st, has, n * sizeof *has);
    return !(e->failed = true);
  }
  for (size_t i = 0; i < e->size; i++) {
    if (!e->has[i]) continue;
    size_t k = e->key[i] & (n - 1);
    while (has[k]) k = (k + 1) & (n - 1);
    key[k] = e->key[i];
    mask[k] = e->mask[i];
    has[k] = true;
  }
  engine_put(st, e->key, e->size * sizeof *key);
  engine_put(st, e->mask, e->size * sizeof *mask);
  engine_put(st, e->has, e->size * sizeof *has);
  e->key = key;
  e->mask = mask;
  e->has = has;
  e->size = n;
  return true;
}

static uint64_t mask_of(gibbs *e, uint64_t addr)
{
  norn_state *st = state_of(e);
  char name[256];
  if (2 * (e->used + 1) > e->size && !masks_grow(e)) return 0;
  size_t k = addr & (e->size - 1);
  for (; e->has[k]; k = (k + 1) & (e->size - 1))
    if (e->key[k] == addr) return e->mask[k];
  norn_addr_name(st, addr, name, sizeof name);
  if (!*name || *name == '@') {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory: a choice has no name that a pattern could fit");
    return !(e->failed = true);
  }
  uint64_t mask = 0;
  for (int i = 0; i < e->n; i++) {
    if (!pattern_fits(name, pattern_of(&e->b[i]))) continue;
    mask |= (uint64_t)1 << i;
    e->b[i].met = true;
  }
  e->used++;
  e->key[k] = addr;
  e->has[k] = true;
  return e->mask[k] = mask;
}

/* A predicate has no error to give, and who asked it has gone on, with runs that clear the state's. */
static bool has_failed(gibbs *e)
{
  if (e->failed && !norn_error(state_of(e))->code)
    norn_fail(state_of(e), NORN_EMEMORY, -1, "out of memory");
  return e->failed;
}

static bool block_has(void *user, uint64_t addr)
{
  const block *b = user;
  return mask_of(b->of, addr) >> b->index & 1;
}

/* "mu", "z[*]": the patterns. */
static void patterns_text_of(const gibbs *e, char *buf, size_t n)
{
  size_t at = 0;
  buf[0] = 0;
  for (int i = 0; i < e->n && at < n; i++)
    at += (size_t)snprintf(buf + at, n - at, "%s\"%s\"", i ? ", " : "", pattern_of(&e->b[i]));
}

/* The choice is in these blocks, and none of them moves it. */
static norn_status never_moves(gibbs *e, const trace_choice *c, uint64_t mask, bool continuous)
{
  norn_state *st = state_of(e);
  char name[120], like[120], all[140];
  norn_addr_name(st, c->addr, name, sizeof name);
  patterns_text_of(e, all, sizeof all);
  pattern_like(name, like, sizeof like);
  if (!mask) {
    engine_fail(st, NORN_EINFER, c->span, "no pattern of gibbs fits the choice %s, so that it would never "
                "change", name);
    norn_hint(st, "the patterns are %s; \"%s\" would fit it", all, like);
    return NORN_EINFER;
  }
  int i = 0;
  while (!(mask >> i & 1)) i++;
  engine_fail(st, NORN_EINFER, c->span, "%s is %s, and %s() of \"%s\" moves %s choices only: it would never "
              "change", name, continuous ? "continuous" : "discrete", e->b[i].k->row->engine->name,
              pattern_of(&e->b[i]), continuous ? "finite" : "continuous");
  if (continuous) norn_hint(st, "add \"%.60s\": nuts(), slice_sampler() or mh()", like);
  else norn_hint(st, "add \"%.60s\": enumerate(), or mh() if it has no end of values", like);
  return NORN_EINFER;
}

/* Every choice is moved by a kernel that can. */
static norn_status check_choice(gibbs *e, const trace_choice *c)
{
  norn_view a = {.elem = NORN_VALUES};
  norn_datum v = trace_value(c);
  uint64_t mask = mask_of(e, c->addr);
  bool array = norn_array_view(v, &a), continuous = v.tag == NORN_REAL || (array && a.elem == NORN_F64);
  if (has_failed(e)) return NORN_EMEMORY;
  bool moves = mask & ~(continuous ? e->only_finite : e->only_continuous);
  if (moves || (mask && array && a.elem == NORN_VALUES)) return NORN_OK;
  return never_moves(e, c, mask, continuous);
}

static norn_status check_choices(gibbs *e)
{
  norn_status status = NORN_OK;
  for (size_t i = 0; i < e->t.n && !status; i++) status = check_choice(e, &e->t.c[i]);
  return status;
}

/* After the burn-in: a pattern that nothing fits is a slip of the pen. */
static norn_status check_patterns(gibbs *e)
{
  norn_state *st = state_of(e);
  char all[200];
  for (int i = 0; i < e->n; i++) {
    if (e->b[i].met) continue;
    norn_fail(st, NORN_EINFER, -1, "no choice fits the pattern \"%s\" of gibbs", pattern_of(&e->b[i]));
    if (!e->t.n) norn_hint(st, "the model makes no choices");
    else {
      patterns_list(st, &e->t.c->addr, e->t.n, sizeof *e->t.c, all, sizeof all);
      norn_hint(st, "the choices are %s", all);
    }
    return NORN_EINFER;
  }
  return NORN_OK;
}

/* ---- starts ---- */

static norn_step no_start(gibbs *e)
{
  norn_state *st = state_of(e);
  char place[200];
  norn_span s = norn_infer_blame(e->inf, NULL);
  norn_span_text(st, s, place, sizeof place);
  engine_fail(st, NORN_EINFER, s, "gibbs found no start: each of %d draws from the prior has weight 0, most "
              "after the observation at %s", STARTS, *place ? place : "an unknown place");
  if (*e->inf->dead.why) norn_hint(st, "the first went wrong so: %s", e->inf->dead.why);
  else norn_hint(st, "make the observation less strict, or use smc or rejection");
  return NORN_STEP_FAIL;
}

/* Where the posterior that goes on has ended.  What has no normaliser can't be drawn: it begins somewhere. */
static norn_datum start_value(void *user, const norn_event *ev)
{
  gibbs *e = user;
  norn_datum x = norn_none();
  if (!e->start && !norn_is_none(infer_resumed(e->inf)))
    x = chains_resumed(e->inf, ev, e->chains, e->chain);
  if (!norn_is_none(x)) return x;
  norn_rng g = {.stream = norn_stream_split(norn_infer_stream(e->inf), ENGINE_LANE, OWN, MOST_BLOCKS),
                .lane = (uint32_t)e->chain, .event = (uint32_t)(ev->addr ^ ev->addr >> 32),
                .iter = (uint32_t)e->start};
  if (!(norn_dist_flags(ev->dist) & NORN_DIST_IMPROPER) || ev->proposal) return norn_none();
  return density_somewhere(state_of(e), ev, &g, &x) ? norn_none() : x;
}

static bool start_begin(gibbs *e)
{
  e->g = (target){.barriers = SIZE_MAX, .beta = 1, .stream = norn_infer_stream(e->inf),
                  .lane = (uint32_t)e->chain, .iter = (uint32_t)e->start};
  return e->going = execution_start(&e->x, e->inf, &e->g, &e->t, start_value, e);
}

/* One try, or a piece of it: DONE: it has ended. */
static norn_step start_step(gibbs *e)
{
  if (!e->going && !start_begin(e)) return NORN_STEP_FAIL;
  norn_step s = execution_step(&e->x);
  if (s != NORN_STEP_DONE) return s;
  e->started = !e->x.dead && !e->x.impossible;
  if (e->x.dead) norn_infer_dead(e->inf, e->x.where);
  execution_end(&e->x);
  e->going = false;
  if (e->started && check_choices(e)) return NORN_STEP_FAIL;
  return e->started || ++e->start < STARTS ? NORN_STEP_DONE : no_start(e);
}

/* ---- sweeps ---- */

/* The trace is a draw if its time has come. */
static norn_status record(gibbs *e)
{
  int64_t k = e->at - e->burn;
  double lp = e->t.logw;
  norn_status status = NORN_OK;
  if (k <= 0 || k % e->thin) return NORN_OK;
  norn_infer_chain(e->inf, e->chain);
  for (size_t i = 0; i < e->t.n && !status; i++) {
    lp += e->t.c[i].logp;
    status = norn_infer_choice(e->inf, e->t.c[i].addr, trace_value(&e->t.c[i]));
  }
  if (!status) status = norn_infer_stat(e->inf, "lp", lp);
  if (!status && e->only_continuous) status = norn_infer_stat(e->inf, "diverging", e->diverged);
  return status ? status : norn_infer_draw(e->inf, trace_result(&e->t), 0);
}

static norn_step sweep_end(gibbs *e)
{
  e->now = 0;
  e->at++;
  if (check_choices(e) || (e->at == (e->burn > 0 ? e->burn : 1) && !e->chain && check_patterns(e)))
    return NORN_STEP_FAIL;
  if (record(e)) return NORN_STEP_FAIL;
  e->diverged = false;
  return NORN_STEP_DONE;
}

static void block_target(gibbs *e)
{
  block *b = &e->b[e->now];
  e->g = (target){.barriers = SIZE_MAX, .beta = 1, .movable = block_has, .user = b,
                  .stream = norn_stream_split(norn_infer_stream(e->inf), ENGINE_LANE, OWN,
                                              (uint32_t)b->index),
                  .lane = (uint32_t)e->chain, .iter = (uint32_t)(STARTS + e->at)};
}

static norn_step block_step(gibbs *e)
{
  block *b = &e->b[e->now];
  gradient_report r;
  if (!e->entered) block_target(e);
  e->entered = true;
  b->k->adapts = e->at < e->burn;
  norn_step s = kernel_step(b->k, &e->g, &e->t);
  if (has_failed(e)) return NORN_STEP_FAIL;
  if (s != NORN_STEP_DONE) return s;
  e->entered = false;
  if (kernel_gradient_report(b->k, &r)) e->diverged |= r.diverged;
  if (++e->now < e->n) return NORN_STEP_DONE;
  return sweep_end(e);
}

static int64_t length_of(const gibbs *e) { return e->burn + e->draws * e->thin; }

static norn_step gibbs_chain_step(norn_infer *inf, void *self)
{
  gibbs *e = self;
  (void)inf;
  for (int work = 0; work < WORK && e->at < length_of(e); work++) {
    norn_step s = e->started ? block_step(e) : start_step(e);
    if (s != NORN_STEP_DONE) return s;
  }
  return e->at < length_of(e) ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- all chains ---- */

static void gibbs_add(void *all, const void *one)
{
  gibbs *e = all;
  const gibbs *c = one;
  for (int i = 0; i < e->n; i++) {
    gradient_report r, *sum = &e->b[i].all;
    e->b[i].k->proposed += c->b[i].k->proposed;
    e->b[i].k->accepted += c->b[i].k->accepted;
    if (!kernel_gradient_report(c->b[i].k, &r)) continue;
    sum->transitions += r.transitions;
    sum->divergent += r.divergent;
    sum->accept += r.accept;
    sum->late += r.late;
    if (c->chain + 1 > e->last) sum->step = r.step;
  }
  if (c->chain + 1 > e->last) e->last = c->chain + 1;
}

static bool gibbs_counts(norn_archive *a, void *all)
{
  gibbs *e = all;
  for (int i = 0; i < e->n; i++) {
    kernel *k = e->b[i].k;
    if (!norn_archive_bytes(a, &e->b[i].all, sizeof e->b[i].all) || !norn_archive_i64(a, &k->proposed) ||
        !norn_archive_i64(a, &k->accepted))
      return false;
  }
  return norn_archive_int(a, &e->last);
}

static int64_t gibbs_chains(const void *all) { return ((const gibbs *)all)->chains; }

static bool gibbs_alone(norn_infer *inf, const void *all)
{
  const gibbs *e = all;
  gradient_report r;
  (void)inf;
  for (int i = 0; i < e->n; i++)
    if (kernel_gradient_report(e->b[i].k, &r) || kernel_mh_proposes(e->b[i].k)) return true;
  return false;
}

/* ---- the end ---- */

/* What each block's kernel did: a list of records. */
static norn_status note_blocks(gibbs *e)
{
  norn_state *st = state_of(e);
  static const char *const names[] = {"pattern", "engine", "acceptance", "divergences", "step_size"};
  int64_t none = 0;
  void *to;
  norn_ref *list = norn_keep(st, norn_array(st, NORN_VALUES, 1, &none, &to));
  norn_status status = list ? NORN_OK : NORN_EMEMORY;
  for (int i = 0; i < e->n && !status; i++) {
    const block *b = &e->b[i];
    const gradient_report *r = &b->all;
    bool steps = b->k->row == &kernel_nuts || b->k->row == &kernel_hmc;
    double rate = b->k->proposed ? (double)b->k->accepted / (double)b->k->proposed : 0;
    if (steps) rate = r->transitions ? r->accept / (double)r->transitions : 0;
    norn_datum v[] = {norn_get(b->pattern), norn_cstring(st, b->k->row->engine->name), norn_real(rate),
                      norn_int(r->divergent), norn_real(r->step)};
    norn_datum one = norn_record(st, steps ? 5 : 3, names, v);
    status = norn_is_none(one) ? NORN_EMEMORY : norn_push(list, one);
  }
  if (!status) norn_infer_note(e->inf, "blocks", norn_get(list));
  if (list) norn_drop(list);
  return status;
}

static void warn_block(gibbs *e, const block *b)
{
  const gradient_report *r = &b->all;
  const char *name = b->k->row->engine->name;
  norn_span nowhere = {0, 0, 0};
  if (r->divergent)
    norn_infer_warn(e->inf, nowhere, "%lld of %lld transitions of %s() on \"%s\" diverged: the block has "
                    "places that its steps can't follow; a larger target_accept, or noncentered(), may help",
                    (long long)r->divergent, (long long)r->transitions, name, pattern_of(b));
  if (r->late)
    norn_infer_warn(e->inf, nowhere, "%s() on \"%s\" met other choices after the burn-in, or too little of "
                    "it, and began anew there: in %lld transitions it still learnt; take a longer burn",
                    name, pattern_of(b), (long long)r->late);
  if (!b->k->accepted && b->k->proposed)
    norn_infer_warn(e->inf, nowhere, "%s() on \"%s\" never moved", name, pattern_of(b));
}

static norn_status gibbs_finish(norn_infer *inf, void *self)
{
  gibbs *e = branches_all(self);
  int64_t divergent = 0;
  norn_infer_note(inf, "thin", norn_int(e->thin));
  norn_status status = note_blocks(e);
  for (int i = 0; i < e->n && !status; i++) {
    divergent += e->b[i].all.divergent;
    warn_block(e, &e->b[i]);
  }
  if (e->only_continuous) norn_infer_note(inf, "divergences", norn_int(divergent));
  return status ? status : chains_report(inf, (int)e->chains, e->draws, "other blocks");
}

static void gibbs_progress(const void *self, norn_progress *p)
{
  const gibbs *e = self;
  p->done = (double)e->at;
  p->total = (double)length_of(e);
  if (e->at < e->burn) snprintf(p->state, sizeof p->state, ", burning in");
}

static void gibbs_free(norn_infer *inf, void *self)
{
  gibbs *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->going) execution_end(&e->x);
  for (int i = 0; i < e->n; i++) {
    kernel_free(e->b[i].k);
    if (e->b[i].pattern) norn_drop(e->b[i].pattern);
    if (e->b[i].engine) norn_drop(e->b[i].engine);
  }
  int n = e->b ? norn_record_size(norn_infer_option(inf, 0)) : 0;
  engine_put(st, e->b, (size_t)n * sizeof *e->b);
  engine_put(st, e->key, e->size * sizeof *e->key);
  engine_put(st, e->mask, e->size * sizeof *e->mask);
  engine_put(st, e->has, e->size * sizeof *e->has);
  trace_free(st, &e->t);
}

static norn_status gibbs_archive(norn_infer *inf, void *self, norn_archive *a)
{
  gibbs *e = self;
  bool going = e->going, reads = norn_archive_reading(a);
  (void)inf;
  norn_archive_i64(a, &e->start);
  norn_archive_i64(a, &e->at);
  norn_archive_int(a, &e->now);
  bool *flags[] = {&e->started, &going, &e->entered, &e->diverged};
  for (int i = 0; i < NORN_COUNT(flags); i++) norn_archive_bool(a, flags[i]);
  if (norn_archive_status(a)) return norn_archive_status(a);
  if (e->now < 0 || e->now >= e->n) {
    norn_archive_fail(a, "its blocks are others");
    return norn_archive_status(a);
  }
  if (reads && e->entered) block_target(e);
  if (reads && going && !start_begin(e)) return norn_error(state_of(e))->code;
  if (!trace_archive(a, &e->t) || (going && !execution_archive(a, &e->x))) return norn_archive_status(a);
  for (int i = 0; i < e->n; i++) {
    block *b = &e->b[i];
    norn_archive_bool(a, &b->met);
    norn_archive_bytes(a, &b->all, sizeof b->all);
    if (!kernel_archive(a, b->k, &e->g, &e->t)) break;
  }
  return norn_archive_status(a);
}

static const branches_row gibbs_row = {
  .size = sizeof(gibbs), .init = gibbs_chain_init, .step = gibbs_chain_step, .free = gibbs_free,
  .archive = gibbs_archive, .add = gibbs_add, .counts = gibbs_counts, .chains = gibbs_chains,
  .progress = gibbs_progress, .alone = gibbs_alone};

static norn_status gibbs_init(norn_infer *inf, void *self) { return branches_init(inf, self, &gibbs_row); }

static const norn_option gibbs_options[] = {
  {"blocks", NULL, "a record of engines by patterns of addresses, such as { \"mu\": nuts(), \"z[*]\": "
                   "enumerate() }"},
  {"draws", "1000", "draws kept of each chain"},
  {"burn", "1000", "sweeps before, in which the blocks' engines learn"},
  {"thin", "1", "sweeps from draw to draw"},
  {"chains", "4", "chains, each from a draw of the prior"},
};

const norn_engine engine_gibbs = {
  .version = NORN_ENGINE_VERSION, .name = "gibbs",
  .doc = "Gibbs sampling: blocks of choices, by patterns of addresses, each moved by an engine of its own "
         "given the others.",
  .options = gibbs_options, .noptions = NORN_COUNT(gibbs_options), .size = sizeof(branches),
  .init = gibbs_init, .step = branches_step, .finish = gibbs_finish, .progress = branches_progress,
  .free = branches_free, .archive = branches_archive};
