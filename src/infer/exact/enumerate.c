/* enumerate: every path of the program, exactly.

   A run that stands at a choice is forked, once per value; its log weight holds the probability of
   its choices and of what it observed (NORN_RUN_SCORE).  Two ways through the tree of choices:

   - Layers.  All runs go one choice further; runs in equal states (norn_run_same) become one with
     the sum of their weights.  A hidden Markov model of 1,000 steps and 2 states is so 2 runs wide.
     What merged is remembered as a graph: node = state, edge = (choice, value).
   - Depth first, when a layer is wide and nothing merges: memory stays as small as one path.  A
     path whose weight falls below 2^-14 of where it began is put aside, so that programs without
     end get explored from the heavy paths to the light ones; what was put aside forms the next
     layers.

   Supports without end are listed in chunks; what is left of one (its mass) waits in `rest` and
   goes on only if it still matters: the search ends when all that is unexplored has at most
   `tolerance` of the weight.  That mass is reported (left_over); it bounds the error if later
   weights are at most 1.

   Marginals of choices: a backward pass over the graph; depth-first parts add the sum of each
   subtree to the value at its root on the way up.  No random numbers are used. */
#include "infer/exact/enumerate.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include "infer/particles/ready.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1000, WIDE = 256, WIDER = 4096, WIDEST = 1 << 17, PATIENCE = 256 };
#define NONE ENUMERATE_NONE
#define DEPTH_LOG (14 * .69314718055994531)

/* A run that has been answered and goes on from there. */
typedef struct pending { norn_run *run; uint32_t from, slot; } pending;
/* A state of the current layer: its values and their log probabilities are [first, first + n) of
   the layer's; rest: the place of what is left of them, or NONE. */
typedef struct state { uint64_t hash, addr; norn_run *run; uint32_t node, first, n, rest; } state;
/* What is left of an unending support: from its k-th value on. */
typedef struct rest {
  norn_run *run;
  norn_ref *dist;
  uint64_t addr;
  int64_t k;
  double mass;
  uint32_t node;
} rest;
/* from -> to by the value in slot; to NONE: `mass` is the log weight of all that lies behind. */
typedef struct edge { uint32_t from, to, slot; double mass; } edge;
/* Depth first: a state whose children from `base` on lie on the stack; `child` is the one that is
   being done, sum the weight of those done; node is its place in the graph, once it needs one. */
typedef struct frame { size_t base; pending child; double sum, logw; uint32_t node; } frame;

typedef struct enumeration {
  int64_t max_leaves, leaves, work;            /* work: runs stepped */
  uint32_t lane;                               /* forks get one each, for nested draws */
  double tolerance;
  enum { ADVANCE, DEPTH, FINISHED } phase;
  bool endless;                                /* a support without end was met */
  uint64_t layers;
  pending *todo; size_t ntodo, ctodo, at;      /* the layer's runs; at: the one that is stepped */
  state *layer; size_t nlayer, clayer;
  table states;
  size_t arrived, merged, quiet;               /* in this layer; layers since the last merge */
  column value; double *logp; size_t clogp;    /* choices of the layer's states */
  rest *rest; size_t nrest, crest;
  double *alpha; size_t nalpha, calpha;        /* log weight that reaches a graph node */
  edge *edge; size_t nedge, cedge;
  pending *stack; size_t nstack, cstack;       /* depth first: children to do */
  frame *frame; size_t nframe, cframe;
  pending *later; size_t nlater, clater;       /* put aside by depth first */
  /* put aside below this log weight; log weight unexplored at the end */
  double floor, left;
  double scale; bool scaled;                   /* sums are exp(log weight - scale) */
  /* by draw of the inference */
  double *leaf; uint64_t *leaf_hash; size_t cleaf, cleaf_hash; table leaves_by_value;
  value_slot *slot; size_t nslot, cslot; table slots_by_value;
  column slot_value;
  exact_engine *exact;                                /* exact = true: all is there */
} enumeration;

static bool option_exact(norn_infer *inf, bool *out)
{
  char what[120];
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, 2);
  *out = v.tag == NORN_BOOL && v.i;
  if (v.tag == NORN_BOOL || v.tag == NORN_NONE) return true;
  norn_fail(st, NORN_EDOMAIN, -1, "exact of enumerate must be true or false, got %s",
            norn_describe(st, v, what, sizeof what));
  return false;
}

static norn_status enumerate_init(norn_infer *inf, void *self)
{
  enumeration *e = self;
  norn_state *st = norn_infer_state(inf);
  bool exactly;
  int64_t bits;
  if (!option_int(inf, 0, 1, &e->max_leaves) || !option_real(inf, 1, &e->tolerance) ||
      !option_exact(inf, &exactly) || !option_int(inf, 3, 53, &bits))
    return NORN_EDOMAIN;
  if (bits > 100000)
    return norn_fail(st, NORN_EDOMAIN, -1, "bits of enumerate must be at most 100000, got %lld",
                     (long long)bits);
  if (!(e->tolerance >= 0 && e->tolerance < 1))
    return norn_fail(st, NORN_EDOMAIN, -1, "tolerance of enumerate must be in [0, 1), got %g",
                     e->tolerance);
  if (exactly) {
    e->exact = exact_new(inf, bits, e->max_leaves);
    return e->exact ? NORN_OK : norn_error(st)->code;
  }
  norn_run *run = norn_infer_run(inf, 0, 0, NORN_RUN_SCORE | NORN_RUN_NAMES | NORN_RUN_CHECK);
  if (!run) return NORN_EMEMORY;
  if (!engine_room(st, &e->todo, &e->ctodo, 1, sizeof *e->todo) ||
      !engine_room(st, &e->alpha, &e->calpha, 1, sizeof *e->alpha)) {
    norn_run_free(run);
    return NORN_EMEMORY;
  }
  e->todo[e->ntodo++] = (pending){ run, 0, NONE };
  e->alpha[e->nalpha++] = 0;
  e->left = -HUGE_VAL;
  return NORN_OK;
}

/* ---- sums ---- */

static void sums_rescale(norn_infer *inf, enumeration *e, double to)
{
  double f = exp(e->scale - to);
  for (size_t i = 0; i < inf->nlogw; i++) e->leaf[i] *= f;
  for (size_t i = 0; i < e->nslot; i++) e->slot[i].sum *= f;
  for (size_t i = 0; i < e->nframe; i++) e->frame[i].sum *= f;
  e->scale = to;
}

/* e^lw in the scale of all sums. */
static double sums_weight(norn_infer *inf, enumeration *e, double lw)
{
  if (!e->scaled) { e->scale = lw; e->scaled = true; }
  if (lw - e->scale > 500) sums_rescale(inf, e, lw);
  return exp(lw - e->scale);
}

static double sums_total(const norn_infer *inf, const enumeration *e)
{
  double s = 0;
  for (size_t i = 0; i < inf->nlogw; i++) s += e->leaf[i];
  return s;
}

/* The slot of a choice's value; NONE: no memory. */
static uint32_t slot_of(norn_state *st, enumeration *e, uint64_t addr, norn_datum v)
{
  uint64_t h = hash_mix(addr + 0x9e3779b97f4a7c15u * norn_hash(v));
  if (!enumerate_room(st, &e->slots_by_value, e->nslot, e->slot, sizeof *e->slot)) return NONE;
  size_t k = h & (e->slots_by_value.n - 1);
  for (uint32_t i; (i = e->slots_by_value.at[k]); k = (k + 1) & (e->slots_by_value.n - 1)) {
    const value_slot *s = &e->slot[i - 1];
    if (s->hash == h && s->addr == addr && norn_equal(column_at(st, &e->slot_value, i - 1), v))
      return i - 1;
  }
  if (!engine_room(st, &e->slot, &e->cslot, e->nslot + 1, sizeof *e->slot) ||
      !column_push(st, &e->slot_value, v))
    return NONE;
  e->slot[e->nslot] = (value_slot){ h, addr, 0 };
  e->slots_by_value.at[k] = (uint32_t)++e->nslot;
  return (uint32_t)e->nslot - 1;
}

/* Adds a path's weight to its returned value; false: error set. */
static bool leaf_add(norn_infer *inf, enumeration *e, norn_datum v, double w, norn_span span)
{
  norn_state *st = norn_infer_state(inf);
  uint64_t h = posterior_hash(v);
  if (++e->leaves > e->max_leaves) {
    engine_fail(st, NORN_ELIMIT, span, "enumerate met more than %lld paths",
                (long long)e->max_leaves);
    norn_hint(st, "raise max_leaves, or use smc, mh or importance");
    return false;
  }
  if (!enumerate_room(st, &e->leaves_by_value, inf->nlogw, e->leaf_hash, sizeof *e->leaf_hash))
    return false;
  size_t k = h & (e->leaves_by_value.n - 1);
  for (uint32_t i; (i = e->leaves_by_value.at[k]); k = (k + 1) & (e->leaves_by_value.n - 1))
    if (e->leaf_hash[i - 1] == h && norn_equal(column_at(st, &inf->values, i - 1), v)) {
      e->leaf[i - 1] += w;
      return true;
    }
  if (!engine_room(st, &e->leaf, &e->cleaf, inf->nlogw + 1, sizeof *e->leaf) ||
      !engine_room(st, &e->leaf_hash, &e->cleaf_hash, inf->nlogw + 1, sizeof *e->leaf_hash))
    return false;
  e->leaf[inf->nlogw] = w;
  e->leaf_hash[inf->nlogw] = h;
  if (norn_infer_draw(inf, v, 0)) return false;
  e->leaves_by_value.at[k] = (uint32_t)inf->nlogw;
  return true;
}

/* ---- the graph ---- */

static bool edge_add(norn_state *st, enumeration *e, uint32_t from, uint32_t to, uint32_t by,
                     double mass)
{
  if (!engine_room(st, &e->edge, &e->cedge, e->nedge + 1, sizeof *e->edge)) return false;
  e->edge[e->nedge++] = (edge){ from, to, by, mass };
  return true;
}

static uint32_t node_add(norn_state *st, enumeration *e, double alpha)
{
  if (!engine_room(st, &e->alpha, &e->calpha, e->nalpha + 1, sizeof *e->alpha)) return NONE;
  e->alpha[e->nalpha++] = alpha;
  return (uint32_t)e->nalpha - 1;
}

/* beta[i]: log of what follows node i, per unit of weight that reaches it.  All edges out of a node
   are younger than all edges into it, so one pass from the youngest does; each edge adds the weight
   that passes it to its value. */
static bool graph_backward(norn_infer *inf, enumeration *e)
{
  norn_state *st = norn_infer_state(inf);
  double *beta = engine_get(st, e->nalpha * sizeof *beta);
  if (!beta) return false;
  for (size_t i = 0; i < e->nalpha; i++) beta[i] = -HUGE_VAL;
  for (size_t i = e->nedge; i-- > 0;) {
    edge d = e->edge[i];
    double behind = d.to == NONE ? d.mass : d.mass + beta[d.to];      /* absolute log weight */
    if (behind == -HUGE_VAL) continue;
    beta[d.from] = log_add(beta[d.from], behind - e->alpha[d.from]);
    if (d.slot != NONE) { double w = sums_weight(inf, e, behind); e->slot[d.slot].sum += w; }
  }
  engine_put(st, beta, e->nalpha * sizeof *beta);
  return true;
}

/* ---- choices ---- */

static norn_step choice_refuse(norn_state *st, const norn_event *ev, int64_t work)
{
  if (engine_is_discrete(ev->dist)) {
    engine_fail(st, NORN_ELIMIT, ev->span,
                "enumerate gave up after %lld runs without an end in sight", (long long)work);
    norn_hint(st, "raise max_leaves or tolerance, or use smc, mh or importance");
  } else {
    engine_fail(st, NORN_EINFER, ev->span,
                "enumerate needs choices with a list of values, %s has none", ev->dist->row->name);
    norn_hint(st, "use smc, mh or importance for continuous choices");
  }
  return NORN_STEP_FAIL;
}

/* The mass from the k-th value on, when the last two probabilities were p0 and p and the sum is
   `sum`: by subtraction, or where that has no digits left, the geometric bound of a log-concave
   tail. */
static double tail_mass(double sum, double p0, double p)
{
  double more = 1 - sum;
  if (more > 1e-9 || !(p < p0)) return more > 0 ? more : 0;
  return p * (p / p0) / (1 - p / p0);
}

/* The two values of a boolean family with plain parameters, the commonest choice: false to go the
   long way. */
static bool coin_list(norn_state *st, enumeration *e, const norn_dist *d)
{
  const unsigned want = NORN_DIST_SCALAR | NORN_DIST_BOOL;
  double p[NORN_DIST_P];
  if ((d->row->flags & want) != want || !d->row->logp1 || d->n > NORN_DIST_P) return false;
  for (int i = 0; i < d->n; i++)
    if (d->args[i].tag == NORN_BIG || !norn_as_real(d->args[i], p + i)) return false;
  if (!engine_room(st, &e->logp, &e->clogp, e->value.n + 2, sizeof *e->logp)) return false;
  for (int b = 0; b < 2; b++) {
    double lp = d->row->logp1(b, p);
    if (lp == -HUGE_VAL) continue;
    e->logp[e->value.n] = lp;
    if (!column_push(st, &e->value, norn_bool(b))) return false;
  }
  return true;
}

/* Lists values of d from the k-th on into e->value and e->logp; *next is the first not listed, or
   -1 when the list has ended; *mass what is left. */
static bool choice_list(norn_state *st, enumeration *e, const norn_dist *d, norn_span span,
                        int64_t k, double before, int64_t *next, double *mass)
{
  if (k == 0 && coin_list(st, e, d)) { *next = -1; *mass = 0; return true; }
  int64_t count = norn_dist_count(st, d), stop = count >= 0 ? INT64_MAX : k + CHUNK;
  double p0 = 0, sum = 1 - before, lp;
  for (;; k++) {
    norn_datum v;
    *next = k;
    if (k == stop || (count < 0 && *mass <= 1e-3 * e->tolerance && p0 > 0)) return true;
    if (norn_dist_enumerate(st, d, k, &v)) { engine_place(st, span); return false; }
    if (norn_is_none(v)) { *next = -1; *mass = 0; return true; }
    if (!engine_logp(st, d, v, span, &lp)) return false;
    double p = exp(lp);
    sum += p;
    *mass = tail_mass(sum, p0, p);
    p0 = p;
    if (lp == -HUGE_VAL) continue;
    if (!engine_room(st, &e->logp, &e->clogp, e->value.n + 1, sizeof *e->logp)) return false;
    e->logp[e->value.n] = lp;
    if (!column_push(st, &e->value, v)) return false;
    if ((int64_t)e->value.n > e->max_leaves) {
      engine_fail(st, NORN_ELIMIT, span, "enumerate met more than %lld values",
                  (long long)e->max_leaves);
      norn_hint(st, "raise max_leaves or tolerance, or use smc, mh or importance");
      return false;
    }
  }
}

/* What is left of the support at `run` waits. */
static bool rest_add(norn_state *st, enumeration *e, norn_run *run, const norn_dist *d,
                     uint64_t addr, int64_t k, double mass, uint32_t node)
{
  rest r = { NULL, NULL, addr, k, mass, node };
  e->endless = true;
  if (!(mass > 0)) return true;
  if (!engine_room(st, &e->rest, &e->crest, e->nrest + 1, sizeof *e->rest)) return false;
  norn_datum keep = norn_dist_new(st, d->row, d->args, d->n);
  if (norn_is_none(keep) || !(r.dist = norn_keep(st, keep)) ||
      !(r.run = norn_run_fork(run, ++e->lane))) {
    if (r.dist) norn_drop(r.dist);
    return false;
  }
  e->rest[e->nrest++] = r;
  return true;
}

/* Steps a run to its next choice or its end; WAIT and FAIL are for the driver. */
static norn_step enumerate_next(norn_infer *inf, enumeration *e, norn_run *run, norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  e->work++;
  for (;;)
    switch (norn_run_next(run, ev)) {
    case NORN_SAMPLE:
      if (engine_is_discrete(ev->dist) && e->work <= 4 * e->max_leaves + PATIENCE)
        return NORN_STEP_MORE;
      return choice_refuse(st, ev, e->work);
    case NORN_DONE: case NORN_DEAD: return NORN_STEP_MORE;
    case NORN_OBSERVE: break;                    /* weighed by the VM */
    case NORN_INFER: {
      norn_step s = norn_infer_wait(inf, run, ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    }
    default: return NORN_STEP_FAIL;
    }
}

/* Answers forks of `run` (consumed) with values [first, first + n) and puts them on a list, the
   first value last if `reversed`. */
static bool fork_values(norn_state *st, enumeration *e, norn_run *run, uint64_t addr, uint32_t node,
                        size_t first, size_t n, bool reversed, pending **list, size_t *nlist,
                        size_t *clist)
{
  bool good = engine_room(st, list, clist, *nlist + n, sizeof **list);
  for (size_t i = 0; good && i < n; i++) {
    size_t k = first + (reversed ? n - 1 - i : i);
    norn_datum v = column_at(st, &e->value, k);
    uint32_t s = slot_of(st, e, addr, v);
    norn_run *f = s == NONE ? NULL : i + 1 < n ? norn_run_fork(run, ++e->lane) : run;
    if (!f) { good = false; break; }
    norn_run_answer(f, v);
    norn_run_add_logw(f, e->logp[k]);
    (*list)[(*nlist)++] = (pending){ f, node, s };
    if (f == run) return true;
  }
  norn_run_free(run);
  if (!good) engine_place(st, (norn_span){ 0, 0, 0 });
  return good;
}

/* ---- layers ---- */

/* A run has come to a choice: it joins an equal state of this layer or becomes a new one. */
static bool layer_join(norn_infer *inf, enumeration *e, pending p, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  uint64_t h = hash_mix(norn_run_hash(p.run));
  double lw = norn_run_logw(p.run), mass = 1;
  e->arrived++;
  if (!enumerate_room(st, &e->states, e->nlayer, e->layer, sizeof *e->layer)) return false;
  size_t k = h & (e->states.n - 1);
  for (uint32_t i; (i = e->states.at[k]); k = (k + 1) & (e->states.n - 1)) {
    state *s = &e->layer[i - 1];
    if (s->hash != h || s->addr != ev->addr || !norn_run_same(s->run, p.run)) continue;
    double was = norn_run_logw(s->run), sum = log_add(was, lw);
    norn_run_add_logw(s->run, sum - was);
    if (s->rest != NONE) norn_run_add_logw(e->rest[s->rest].run, sum - was);
    norn_run_free(p.run);
    e->merged++;
    return edge_add(st, e, p.from, s->node, p.slot, lw);
  }
  state s = { h, ev->addr, p.run, node_add(st, e, lw), (uint32_t)e->value.n, 0, NONE };
  int64_t next;
  size_t rests = e->nrest;
  bool good = s.node != NONE &&
    engine_room(st, &e->layer, &e->clayer, e->nlayer + 1, sizeof *e->layer) &&
    choice_list(st, e, ev->dist, ev->span, 0, 1, &next, &mass) &&
    (next < 0 || rest_add(st, e, p.run, ev->dist, ev->addr, next, mass, s.node)) &&
    edge_add(st, e, p.from, s.node, p.slot, lw);
  if (!good) { norn_run_free(p.run); return false; }
  s.n = (uint32_t)e->value.n - s.first;
  if (e->nrest > rests) s.rest = (uint32_t)rests;
  e->layer[e->nlayer] = s;
  e->states.at[k] = (uint32_t)++e->nlayer;
  return true;
}

/* The end of a run outside depth first. */
static bool layer_end(norn_infer *inf, enumeration *e, pending p, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  double lw = norn_run_logw(p.run);
  bool good = true;
  if (ev->kind == NORN_DEAD) norn_infer_dead(inf, ev->span);
  else if (lw > -HUGE_VAL) {
    double w = sums_weight(inf, e, lw);
    good = leaf_add(inf, e, ev->value, w, ev->span) && edge_add(st, e, p.from, NONE, p.slot, lw);
  }
  norn_run_free(p.run);
  return good;
}

/* Log weight of all that waits. */
static double enumerate_left(const enumeration *e)
{
  double s = -HUGE_VAL;
  for (size_t i = 0; i < e->ntodo; i++) s = log_add(s, norn_run_logw(e->todo[i].run));
  for (size_t i = 0; i < e->nrest; i++)
    s = log_add(s, norn_run_logw(e->rest[i].run) + log(e->rest[i].mass));
  return s;
}

/* The heaviest rest gives its next values. */
static bool rest_expand(norn_state *st, enumeration *e)
{
  size_t best = 0;
  double most = -HUGE_VAL;
  for (size_t i = 0; i < e->nrest; i++) {
    double w = norn_run_logw(e->rest[i].run) + log(e->rest[i].mass);
    if (w > most) { most = w; best = i; }
  }
  rest r = e->rest[best];
  norn_dist d;
  int64_t next = -1;
  double mass = r.mass;
  norn_span nowhere = { 0, 0, 0 };
  e->rest[best] = e->rest[--e->nrest];
  column_clear(st, &e->value);
  bool good = norn_dist_view(norn_get(r.dist), &d) &&
    choice_list(st, e, &d, nowhere, r.k, r.mass, &next, &mass) &&
    (next < 0 || rest_add(st, e, r.run, &d, r.addr, next, mass, r.node));
  norn_drop(r.dist);
  if (!good) { norn_run_free(r.run); return false; }
  return fork_values(st, e, r.run, r.addr, r.node, 0, e->value.n, false, &e->todo, &e->ntodo,
                     &e->ctodo);
}

/* Is what waits too light to matter?  Only asked of programs that may have no end. */
static bool enumerate_enough(norn_infer *inf, enumeration *e)
{
  if (!e->endless && e->layers < PATIENCE && e->leaves < 100000) return false;
  double left = enumerate_left(e), total = sums_total(inf, e);
  if (left == -HUGE_VAL) return true;
  if (!(total > 0)) return false;
  double done = log(total) + e->scale;
  if (left - log_add(done, left) > log(e->tolerance)) return false;
  e->left = left;
  return true;
}

static void enumerate_drop(norn_state *st, enumeration *e)
{
  for (size_t i = 0; i < e->ntodo; i++) if (e->todo[i].run) norn_run_free(e->todo[i].run);
  for (size_t i = 0; i < e->nlater; i++) norn_run_free(e->later[i].run);
  for (size_t i = 0; i < e->nstack; i++) norn_run_free(e->stack[i].run);
  for (size_t i = 0; i < e->nlayer; i++) if (e->layer[i].run) norn_run_free(e->layer[i].run);
  for (size_t i = 0; i < e->nframe; i++)
    if (e->frame[i].child.run) norn_run_free(e->frame[i].child.run);
  for (size_t i = 0; i < e->nrest; i++) {
    norn_run_free(e->rest[i].run);
    norn_drop(e->rest[i].dist);
  }
  e->ntodo = e->nlater = e->nstack = e->nlayer = e->nframe = e->nrest = 0;
  (void)st;
}

/* What comes after a list of runs: stop, go deep, or another layer. */
static bool enumerate_turn(norn_infer *inf, enumeration *e)
{
  norn_state *st = norn_infer_state(inf);
  if (enumerate_enough(inf, e)) { enumerate_drop(st, e); e->phase = FINISHED; return true; }
  while (!e->ntodo && e->nrest) if (!rest_expand(st, e)) return false;
  e->at = 0;
  e->phase = ADVANCE;
  if (!e->ntodo) e->phase = FINISHED;
  size_t wide = e->quiet > 2 ? WIDE : 8 * e->merged < e->arrived ? WIDER : WIDEST;
  if (e->ntodo <= wide) return true;
  double all = -HUGE_VAL;
  for (size_t i = 0; i < e->ntodo; i++) all = log_add(all, norn_run_logw(e->todo[i].run));
  e->floor = all - DEPTH_LOG;
  e->phase = DEPTH;
  return true;
}

/* All runs of the layer stand at choices: fork them. */
static bool layer_close(norn_infer *inf, enumeration *e)
{
  norn_state *st = norn_infer_state(inf);
  e->ntodo = 0;
  for (size_t i = 0; i < e->nlayer; i++) {
    state s = e->layer[i];
    e->layer[i].run = NULL;
    e->alpha[s.node] = norn_run_logw(s.run);
    if (!fork_values(st, e, s.run, s.addr, s.node, s.first, s.n, false, &e->todo, &e->ntodo,
                     &e->ctodo))
      return false;
  }
  e->quiet = e->merged ? 0 : e->quiet + 1;
  if (!enumerate_turn(inf, e)) return false;
  e->nlayer = 0;
  if (e->states.n) memset(e->states.at, 0, e->states.n * sizeof *e->states.at);
  e->arrived = e->merged = 0;
  column_clear(st, &e->value);
  e->layers++;
  return true;
}

/* The first n of these go on soon. */
static void look_ahead(norn_infer *inf, const pending *p, size_t n)
{
  norn_run *run[READY_AHEAD];
  for (size_t i = 0; i < n && i < READY_AHEAD; i++) run[i] = p[i].run;
  ready_ahead(inf, run, n < READY_AHEAD ? n : READY_AHEAD);
}

static norn_step layer_step(norn_infer *inf, enumeration *e)
{
  norn_event ev;
  for (int work = 0; work < 1024 && e->at < e->ntodo; work++) {
    pending p = e->todo[e->at];
    if (e->at % READY_AHEAD == 0) look_ahead(inf, e->todo + e->at, e->ntodo - e->at);
    norn_step s = enumerate_next(inf, e, p.run, &ev);
    if (s != NORN_STEP_MORE) return s;
    e->todo[e->at++].run = NULL;
    bool good = ev.kind == NORN_SAMPLE ? layer_join(inf, e, p, &ev) : layer_end(inf, e, p, &ev);
    if (!good) return NORN_STEP_FAIL;
  }
  if (e->at < e->ntodo) return NORN_STEP_MORE;
  return layer_close(inf, e) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* ---- depth first ---- */

/* The graph node of the top frame: those below it get theirs first. */
static uint32_t depth_node(norn_state *st, enumeration *e)
{
  for (size_t i = 0; i < e->nframe; i++) {
    frame *f = &e->frame[i];
    if (f->node != NONE) continue;
    f->node = node_add(st, e, f->logw);
    pending by = e->frame[i - 1].child;
    if (f->node == NONE || !edge_add(st, e, e->frame[i - 1].node, f->node, by.slot, f->logw))
      return NONE;
  }
  return e->frame[e->nframe - 1].node;
}

/* The child that the top frame is doing has weight w in all; frames that are done go.  What was put
   aside below them is not in w: it comes to the same choices through the graph. */
static bool depth_done(norn_infer *inf, enumeration *e, double w)
{
  for (;;) {
    frame *f = &e->frame[e->nframe - 1];
    if (f->child.slot != NONE) e->slot[f->child.slot].sum += w;
    f->child.run = NULL;
    f->sum += w;
    if (e->nframe == 1)
      return !(w > 0) || edge_add(norn_infer_state(inf), e, f->node, NONE, NONE, log(w) + e->scale);
    if (e->nstack > f->base) return true;
    w = f->sum;
    e->nframe--;
  }
}

/* The next child of the top frame; the bottom frame's are the layer's. */
static bool depth_take(enumeration *e)
{
  frame *f = &e->frame[e->nframe - 1];
  if (f->child.run) return true;
  if (e->nframe > 1) {
    f->child = e->stack[--e->nstack];
    return true;
  }
  if (e->at == e->ntodo) return false;
  f->child = e->todo[e->at];
  f->node = f->child.from;
  f->logw = 0;
  e->todo[e->at++].run = NULL;
  return true;
}

/* A run below the floor, put aside with its place in the graph. */
static bool depth_put_aside(norn_infer *inf, enumeration *e)
{
  norn_state *st = norn_infer_state(inf);
  uint32_t node = depth_node(st, e);
  frame *f = &e->frame[e->nframe - 1];
  if (node == NONE || !engine_room(st, &e->later, &e->clater, e->nlater + 1, sizeof *e->later))
    return false;
  e->later[e->nlater++] = (pending){ f->child.run, node, f->child.slot };
  return depth_done(inf, e, 0);
}

/* The child has come to a choice: its values become the children of a new frame. */
static bool depth_open(norn_infer *inf, enumeration *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  frame *f = &e->frame[e->nframe - 1];
  norn_run *run = f->child.run;
  double lw = norn_run_logw(run), mass = 1;
  size_t base = e->nstack;
  int64_t next;
  if (!engine_room(st, &e->frame, &e->cframe, e->nframe + 1, sizeof *e->frame)) return false;
  column_clear(st, &e->value);
  if (!choice_list(st, e, ev->dist, ev->span, 0, 1, &next, &mass)) return false;
  e->frame[e->nframe++] = (frame){ .base = base, .logw = lw, .node = NONE };
  if (next >= 0) {
    uint32_t node = depth_node(st, e);
    if (node == NONE || !rest_add(st, e, run, ev->dist, ev->addr, next, mass, node)) return false;
  }
  e->frame[e->nframe - 2].child.run = NULL;
  if (!fork_values(st, e, run, ev->addr, NONE, 0, e->value.n, true, &e->stack, &e->nstack,
                   &e->cstack))
    return false;
  size_t n = e->nstack - base, soon = n < READY_AHEAD ? n : READY_AHEAD;
  look_ahead(inf, e->stack + e->nstack - soon, soon);          /* the last are the first */
  if (n) return true;
  e->nframe--;                                   /* no value has a probability */
  return depth_done(inf, e, 0);
}

static bool depth_end(norn_infer *inf, enumeration *e, const norn_event *ev)
{
  norn_run *run = e->frame[e->nframe - 1].child.run;
  double lw = norn_run_logw(run), w = 0;
  bool good = true;
  if (ev->kind == NORN_DEAD) norn_infer_dead(inf, ev->span);
  else if (lw > -HUGE_VAL) {
    w = sums_weight(inf, e, lw);
    good = leaf_add(inf, e, ev->value, w, ev->span);
  }
  e->frame[e->nframe - 1].child.run = NULL;
  norn_run_free(run);
  return depth_done(inf, e, w) && good;
}

static bool depth_close(norn_infer *inf, enumeration *e)
{
  pending *t = e->todo;
  size_t c = e->ctodo;
  e->nframe = 0;
  e->todo = e->later;
  e->ntodo = e->nlater;
  e->ctodo = e->clater;
  e->later = t;
  e->nlater = 0;
  e->clater = c;
  e->quiet = 0;
  return enumerate_turn(inf, e);
}

static norn_step depth_step(norn_infer *inf, enumeration *e)
{
  norn_event ev;
  if (!e->nframe) {
    if (!engine_room(norn_infer_state(inf), &e->frame, &e->cframe, 1, sizeof *e->frame))
      return NORN_STEP_FAIL;
    e->frame[e->nframe++] = (frame){ .node = NONE };
  }
  for (int work = 0; work < 1024; work++) {
    if (!depth_take(e)) return depth_close(inf, e) ? NORN_STEP_MORE : NORN_STEP_FAIL;
    norn_run *run = e->frame[e->nframe - 1].child.run;
    if (norn_run_logw(run) < e->floor && e->nframe > 1) {
      if (!depth_put_aside(inf, e)) return NORN_STEP_FAIL;
      continue;
    }
    norn_step s = enumerate_next(inf, e, run, &ev);
    if (s != NORN_STEP_MORE) return s;
    bool good = ev.kind == NORN_SAMPLE ? depth_open(inf, e, &ev) : depth_end(inf, e, &ev);
    if (!good) return NORN_STEP_FAIL;
  }
  return NORN_STEP_MORE;
}

/* ---- the engine ---- */

static norn_step enumerate_step(norn_infer *inf, void *self)
{
  enumeration *e = self;
  if (e->exact) return exact_step(inf, e->exact);
  if (e->phase == ADVANCE) return layer_step(inf, e);
  if (e->phase == DEPTH) return depth_step(inf, e);
  if (sums_total(inf, e) > 0) return NORN_STEP_DONE;
  return blame_all_dead(norn_infer_state(inf), &inf->dead, "path");
}

static norn_status enumerate_finish(norn_infer *inf, void *self)
{
  enumeration *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->exact) return exact_finish(inf, e->exact);
  if (!graph_backward(inf, e)) return NORN_EMEMORY;
  double total = log(sums_total(inf, e)) + e->scale;
  for (size_t i = 0; i < inf->nlogw; i++) inf->logw[i] = log(e->leaf[i]) + e->scale;
  inf->distinct = e->leaf_hash;
  norn_infer_evidence(inf, total, 0);
  norn_infer_note(inf, "paths", norn_int(e->leaves));
  if (e->left > -HUGE_VAL) infer_left_over(inf, exp(e->left - log_add(total, e->left)));
  norn_status s = enumerate_marginals(inf, e->slot, e->nslot, &e->slot_value, sums_total(inf, e),
                                      NULL);
  return s ? norn_fail(st, s, -1, "out of memory") : NORN_OK;
}

static void enumerate_progress(norn_infer *inf, void *self, norn_progress *p)
{
  enumeration *e = self;
  (void)inf;
  p->done = (double)(e->exact ? exact_leaves(e->exact) : e->leaves);
}

static void enumerate_free(norn_infer *inf, void *self)
{
  enumeration *e = self;
  norn_state *st = norn_infer_state(inf);
  enumerate_drop(st, e);
  exact_free(st, e->exact);
  engine_put(st, e->todo, e->ctodo * sizeof *e->todo);
  engine_put(st, e->later, e->clater * sizeof *e->later);
  engine_put(st, e->stack, e->cstack * sizeof *e->stack);
  engine_put(st, e->frame, e->cframe * sizeof *e->frame);
  engine_put(st, e->layer, e->clayer * sizeof *e->layer);
  engine_put(st, e->rest, e->crest * sizeof *e->rest);
  engine_put(st, e->logp, e->clogp * sizeof *e->logp);
  engine_put(st, e->alpha, e->calpha * sizeof *e->alpha);
  engine_put(st, e->edge, e->cedge * sizeof *e->edge);
  engine_put(st, e->leaf, e->cleaf * sizeof *e->leaf);
  engine_put(st, e->leaf_hash, e->cleaf_hash * sizeof *e->leaf_hash);
  engine_put(st, e->slot, e->cslot * sizeof *e->slot);
  engine_put(st, e->states.at, e->states.n * sizeof *e->states.at);
  engine_put(st, e->leaves_by_value.at, e->leaves_by_value.n * sizeof *e->leaves_by_value.at);
  engine_put(st, e->slots_by_value.at, e->slots_by_value.n * sizeof *e->slots_by_value.at);
  column_free(st, &e->value);
  column_free(st, &e->slot_value);
}

/* ---- checkpoints ---- */

static bool pendings_archive(norn_archive *a, pending **v, size_t *n, size_t *cap)
{
  if (!norn_archive_size(a, n) || !archive_room(a, v, cap, *n, sizeof **v)) return false;
  for (size_t i = 0; i < *n; i++) {
    pending *p = &(*v)[i];
    if (!norn_archive_run(a, &p->run) || !norn_archive_u32(a, &p->from) || !norn_archive_u32(a, &p->slot)) return false;
  }
  return true;
}

/* Hashes of runs are of this process. */
static bool layer_archive(norn_archive *a, enumeration *e)
{
  bool reads = norn_archive_reading(a);
  if (!norn_archive_size(a, &e->nlayer) || !archive_room(a, &e->layer, &e->clayer, e->nlayer, sizeof *e->layer))
    return false;
  for (size_t i = 0; i < e->nlayer; i++) {
    state *s = &e->layer[i];
    if (!norn_archive_bytes(a, &s->addr, sizeof s->addr) || !norn_archive_run(a, &s->run) ||
        !norn_archive_u32(a, &s->node) || !norn_archive_u32(a, &s->first) || !norn_archive_u32(a, &s->n) ||
        !norn_archive_u32(a, &s->rest))
      return false;
    if (reads && !s->run) return norn_archive_fail(a, "a state has no run");
    if (reads) s->hash = hash_mix(norn_run_hash(s->run));
  }
  return !reads || enumerate_table(norn_archive_state(a), &e->states, e->nlayer, e->layer, sizeof *e->layer);
}

static bool rests_archive(norn_archive *a, enumeration *e)
{
  if (!norn_archive_size(a, &e->nrest) || !archive_room(a, &e->rest, &e->crest, e->nrest, sizeof *e->rest))
    return false;
  for (size_t i = 0; i < e->nrest; i++) {
    rest *r = &e->rest[i];
    if (!norn_archive_run(a, &r->run) || !norn_archive_ref(a, &r->dist) ||
        !norn_archive_bytes(a, &r->addr, sizeof r->addr) || !norn_archive_i64(a, &r->k) ||
        !norn_archive_f64(a, &r->mass) || !norn_archive_u32(a, &r->node))
      return false;
    if (!r->run || !r->dist) return norn_archive_fail(a, "what is left of a choice has no run");
  }
  return true;
}

static bool frames_archive(norn_archive *a, enumeration *e)
{
  if (!norn_archive_size(a, &e->nframe) || !archive_room(a, &e->frame, &e->cframe, e->nframe, sizeof *e->frame))
    return false;
  for (size_t i = 0; i < e->nframe; i++) {
    frame *f = &e->frame[i];
    if (!norn_archive_size(a, &f->base) || !norn_archive_run(a, &f->child.run) ||
        !norn_archive_u32(a, &f->child.from) || !norn_archive_u32(a, &f->child.slot) ||
        !norn_archive_f64(a, &f->sum) || !norn_archive_f64(a, &f->logw) || !norn_archive_u32(a, &f->node))
      return false;
  }
  return true;
}

static bool graph_archive(norn_archive *a, enumeration *e)
{
  return norn_archive_size(a, &e->nalpha) &&
         norn_archive_array(a, &e->alpha, &e->calpha, e->nalpha, sizeof *e->alpha) && norn_archive_size(a, &e->nedge) &&
         norn_archive_array(a, &e->edge, &e->cedge, e->nedge, sizeof *e->edge);
}

/* Weights of what was returned and of the choices' values. */
static bool sums_archive(norn_archive *a, norn_infer *inf, enumeration *e)
{
  norn_state *st = norn_archive_state(a);
  size_t n = inf->nlogw;
  if (!norn_archive_array(a, &e->leaf, &e->cleaf, n, sizeof *e->leaf) || !norn_archive_size(a, &e->nslot) ||
      !norn_archive_array(a, &e->slot, &e->cslot, e->nslot, sizeof *e->slot) || !column_archive(a, &e->slot_value))
    return false;
  if (!norn_archive_reading(a)) return true;
  if (e->slot_value.n != e->nslot || inf->values.n != n) return norn_archive_fail(a, "its values do not fit");
  if (!engine_room(st, &e->leaf_hash, &e->cleaf_hash, n, sizeof *e->leaf_hash)) return false;
  for (size_t i = 0; i < n; i++) e->leaf_hash[i] = posterior_hash(column_at(st, &inf->values, i));
  for (size_t i = 0; i < e->nslot; i++)
    e->slot[i].hash = hash_mix(e->slot[i].addr + 0x9e3779b97f4a7c15u * norn_hash(column_at(st, &e->slot_value, i)));
  return enumerate_table(st, &e->leaves_by_value, n, e->leaf_hash, sizeof *e->leaf_hash) &&
         enumerate_table(st, &e->slots_by_value, e->nslot, e->slot, sizeof *e->slot);
}

/* Of what was read: places are places. */
static bool is_slot(const enumeration *e, const pending *p) { return p->slot == NONE || p->slot < e->nslot; }

static bool pendings_fit(const enumeration *e, const pending *v, size_t n, bool nodes)
{
  for (size_t i = 0; i < n; i++)
    if (!is_slot(e, &v[i]) || (nodes && v[i].from >= e->nalpha)) return false;
  return true;
}

static bool enumerate_fits(const enumeration *e)
{
  bool well = e->at <= e->ntodo && e->nalpha > 0 && pendings_fit(e, e->todo, e->ntodo, true) &&
              pendings_fit(e, e->later, e->nlater, true) && pendings_fit(e, e->stack, e->nstack, false);
  for (size_t i = e->at; well && i < e->ntodo; i++) well = e->todo[i].run != NULL;
  for (size_t i = 0; well && i < e->nlayer; i++) {
    const state *s = &e->layer[i];
    well = s->node < e->nalpha && s->first <= e->value.n && s->n <= e->value.n - s->first &&
           (s->rest == NONE || s->rest < e->nrest);
  }
  for (size_t i = 0; well && i < e->nrest; i++) well = e->rest[i].node < e->nalpha;
  for (size_t i = 0; well && i < e->nedge; i++) {
    const edge *d = &e->edge[i];
    well = d->from < e->nalpha && (d->to == NONE || d->to < e->nalpha) && (d->slot == NONE || d->slot < e->nslot);
  }
  for (size_t i = 0; well && i < e->nframe; i++) {
    const frame *f = &e->frame[i];
    well = f->base <= e->nstack && is_slot(e, &f->child) && (f->node == NONE ? i > 0 : f->node < e->nalpha || !i);
  }
  for (size_t i = 0; well && i < e->nlater; i++) well = e->later[i].run != NULL;
  for (size_t i = 0; well && i < e->nstack; i++) well = e->stack[i].run != NULL;
  return well;
}

static norn_status enumerate_archive(norn_infer *inf, void *self, norn_archive *a)
{
  enumeration *e = self;
  bool reads = norn_archive_reading(a);
  int phase = (int)e->phase;
  if (e->exact) return exact_archive(a, inf, e->exact) ? NORN_OK : norn_archive_status(a);
  if (reads) {
    enumerate_drop(norn_infer_state(inf), e);
    memset(e->todo, 0, e->ctodo * sizeof *e->todo);
  }
  norn_archive_int(a, &phase);
  if (!norn_archive_status(a) && (phase < ADVANCE || phase > FINISHED)) norn_archive_fail(a, "it is in no phase");
  if (norn_archive_status(a)) return norn_archive_status(a);
  e->phase = phase;
  norn_archive_i64(a, &e->leaves);
  norn_archive_i64(a, &e->work);
  norn_archive_u32(a, &e->lane);
  norn_archive_bool(a, &e->endless);
  norn_archive_u64(a, &e->layers);
  size_t *const size[] = { &e->at, &e->arrived, &e->merged, &e->quiet };
  for (int i = 0; i < NORN_COUNT(size); i++) norn_archive_size(a, size[i]);
  double *const number[] = { &e->floor, &e->left, &e->scale };
  for (int i = 0; i < NORN_COUNT(number); i++) norn_archive_f64(a, number[i]);
  norn_archive_bool(a, &e->scaled);
  bool well = pendings_archive(a, &e->todo, &e->ntodo, &e->ctodo) && layer_archive(a, e) &&
              column_archive(a, &e->value) && norn_archive_array(a, &e->logp, &e->clogp, e->value.n, sizeof *e->logp) &&
              rests_archive(a, e) && graph_archive(a, e) && pendings_archive(a, &e->stack, &e->nstack, &e->cstack) &&
              frames_archive(a, e) && pendings_archive(a, &e->later, &e->nlater, &e->clater) && sums_archive(a, inf, e);
  if (well && reads && !enumerate_fits(e)) norn_archive_fail(a, "its paths do not fit");
  if (!well && !norn_archive_status(a)) norn_archive_fail(a, "out of memory");
  return norn_archive_status(a);
}

static const norn_option enumerate_options[] = {
  { "max_leaves", "10000000", "give up after so many paths" },
  { "tolerance", "1e-9", "weight that may stay unexplored in a program without end" },
  { "exact", "false", "weights and evidence as big reals: for finitely many paths" },
  { "bits", "256", "their precision" }
};

const norn_engine engine_enumerate = {
  .version = NORN_ENGINE_VERSION,
  .name = "enumerate",
  .doc = "Goes through every value of every choice: the exact posterior of a discrete program.",
  .options = enumerate_options,
  .noptions = NORN_COUNT(enumerate_options),
  .flags = NORN_ENGINE_EXACT,
  .size = sizeof(enumeration),
  .init = enumerate_init,
  .step = enumerate_step,
  .finish = enumerate_finish,
  .progress = enumerate_progress,
  .free = enumerate_free,
  .archive = enumerate_archive
};
