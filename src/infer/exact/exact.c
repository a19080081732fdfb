/* exact: enumerate(exact = true): every path of the program, its weight in any precision.

   A weight is no logarithm here but the number itself: exponents of bigs have room for 1e-400 and
   far less, and sums of probabilities are sums.  The log density of each choice and observation
   comes from norn_dist_logp_big, so families without a closed form are refused; factors enter with
   the value that they have.

   Runs wait on a stack.  A round takes some from its top, takes each one choice further, joins
   those in equal states (norn_run_same), and puts their children back: all of the stack while much
   is joined, so that a hidden Markov model stays as wide as its states are many, else at most
   NARROW, which keeps memory at depth times that.  States and the choices between them make a graph as in
   enumerate.c; one pass back over it gives the choices' marginals.  All edges out of a node are
   younger than those into it. */
#include "infer/exact/enumerate.h"
#include "base/archive.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include "num/real.h"
#include <string.h>

enum { GUARD = 64, NARROW = 4096, WIDE = 1 << 17, AT_ONCE = 256, PATIENCE = 256 };
#define NONE ENUMERATE_NONE

/* Numbers of one precision in a row: exponent, kind and sign, limbs of each. */
typedef struct numbers { uint64_t *cell; size_t n, cap; int64_t bits; } numbers;

/* A run that has been answered, or its end: where it comes from and by which value. */
typedef struct waiting { norn_run *run; uint32_t from, slot; } waiting;
typedef struct state {
  uint64_t hash, addr;
  norn_run *run; const norn_dist *dist;          /* its choice */
  uint32_t node; norn_span span;
} state;
typedef struct edge { uint32_t from, to, slot; } edge;
/* Values with the sum of their weights: of choices (by address) or of whole paths (address 0). */
typedef struct bag { value_slot *s; size_t n, cap; table t; column value; numbers sum; } bag;

struct exact_engine {
  int64_t bits, work_bits, max_leaves, leaves;
  uint32_t lane;
  waiting *stack; size_t nstack, cstack; numbers stack_weight;
  waiting *now; size_t nnow, cnow, at; numbers weight;      /* of this round */
  state *state; size_t nstate, cstate; table states;
  size_t joined;
  uint64_t rounds;
  numbers alpha;                     /* weight that reaches a node */
  edge *edge; size_t nedge, cedge; numbers mass;            /* weight that passes an edge */
  bag choices, paths;
  numbers scratch;                   /* 2: a factor, a product; then the values of a choice */
};

/* ---- rows of numbers ---- */

static size_t cell_words(const numbers *v) { return 2 + (size_t)real_limbs(v->bits); }

static bignum number_at(const numbers *v, size_t i)
{
  uint64_t *c = v->cell + i * cell_words(v);
  return (bignum){ v->bits, (int64_t)c[0], (norn_big_kind)(c[1] & 7), c[1] & 8 ? -1 : 1, c + 2 };
}

static void number_done(numbers *v, size_t i, const bignum *z)
{
  uint64_t *c = v->cell + i * cell_words(v);
  c[0] = (uint64_t)z->exponent;
  c[1] = (uint64_t)z->kind | (z->sign < 0 ? 8 : 0);
}

static void number_set(numbers *v, size_t i, const bignum *x)
{
  bignum z = number_at(v, i);
  real_set(&z, x);
  number_done(v, i, &z);
}

static void number_int(numbers *v, size_t i, int64_t x)
{
  bignum z = number_at(v, i);
  real_set_int(&z, x);
  number_done(v, i, &z);
}

/* v[i] = v[i] op x */
static void number_op(numbers *v, size_t i, real_op op, const bignum *x)
{
  bignum z = number_at(v, i);
  real_do(op, &z, &z, x);
  number_done(v, i, &z);
}

static bool number_is_zero(const numbers *v, size_t i)
{
  return number_at(v, i).kind == NORN_BIG_ZERO;
}

static bool numbers_room(norn_state *st, numbers *v, size_t n)
{
  return engine_room(st, &v->cell, &v->cap, n, cell_words(v) * sizeof *v->cell);
}

/* A new number at the end; false: error set. */
static bool numbers_add(norn_state *st, numbers *v, const bignum *x)
{
  if (!numbers_room(st, v, v->n + 1)) return false;
  v->n++;
  if (x) number_set(v, v->n - 1, x);
  else number_int(v, v->n - 1, 0);
  return true;
}

static void numbers_free(norn_state *st, numbers *v)
{
  engine_put(st, v->cell, v->cap * cell_words(v) * sizeof *v->cell);
}

/* The big that a number rounds to. */
static norn_datum big_of(norn_state *st, int64_t bits, const bignum *x)
{
  norn_datum keep, big;
  void *limb;
  int64_t n = real_limbs(bits);
  keep = norn_array(st, NORN_I64, 1, &n, &limb);
  if (norn_is_none(keep)) return keep;
  bignum z = real_at(bits, limb);
  real_set(&z, x);
  const norn_big_parts p = { bits, z.exponent, z.kind, z.sign, z.limb, n };
  big = norn_big_make(st, &p);
  return big;
}

/* e^l of a log weight as the program has it; false: not finite, error set. */
static bool weight_of(norn_state *st, exact_engine *e, norn_datum l, norn_span span, size_t to)
{
  norn_big_parts p;
  bignum z = number_at(&e->scratch, to), x = real_at(0, NULL);
  uint64_t few[1];
  if (norn_big_view(l, &p)) {
    x = (bignum){ p.bits, p.exponent, p.kind, p.sign, (uint64_t *)(uintptr_t)p.limbs };
  } else {
    double d = (double)NAN;
    norn_as_real(l, &d);
    x = real_at(53, few);
    real_set_double(&x, d);
  }
  if (x.kind == NORN_BIG_NAN || (x.kind == NORN_BIG_INF && x.sign > 0)) {
    engine_fail(st, NORN_EDOMAIN, span, "this log weight is %s",
                x.kind == NORN_BIG_NAN ? "not a number" : "infinite");
    return false;
  }
  real_do(REAL_EXP, &z, &x, NULL);
  number_done(&e->scratch, to, &z);
  return true;
}

/* The weight of x under d; false: error set. */
static bool density_of(norn_state *st, exact_engine *e, const norn_dist *d, norn_datum x,
                       norn_span span, size_t to)
{
  norn_datum l;
  if (norn_dist_logp_big(st, d, x, e->work_bits, &l)) {
    engine_place(st, span);
    return false;
  }
  return weight_of(st, e, l, span, to);
}

/* ---- bags ---- */

/* The place of a value; NONE: error set. */
static uint32_t bag_at(norn_state *st, bag *b, uint64_t addr, norn_datum v)
{
  uint64_t h = hash_mix(addr + 0x9e3779b97f4a7c15u * norn_hash(v));
  if (!enumerate_room(st, &b->t, b->n, b->s, sizeof *b->s)) return NONE;
  size_t k = h & (b->t.n - 1);
  for (uint32_t i; (i = b->t.at[k]); k = (k + 1) & (b->t.n - 1)) {
    const value_slot *s = &b->s[i - 1];
    if (s->hash == h && s->addr == addr && norn_equal(column_at(st, &b->value, i - 1), v))
      return i - 1;
  }
  if (!engine_room(st, &b->s, &b->cap, b->n + 1, sizeof *b->s) ||
      !column_push(st, &b->value, v) || !numbers_add(st, &b->sum, NULL))
    return NONE;
  b->s[b->n] = (value_slot){ h, addr, 0 };
  b->t.at[k] = (uint32_t)++b->n;
  return (uint32_t)b->n - 1;
}

static void bag_free(norn_state *st, bag *b)
{
  engine_put(st, b->s, b->cap * sizeof *b->s);
  engine_put(st, b->t.at, b->t.n * sizeof *b->t.at);
  column_free(st, &b->value);
  numbers_free(st, &b->sum);
}

/* ---- the round ---- */

exact_engine *exact_new(norn_infer *inf, int64_t bits, int64_t max_leaves)
{
  norn_state *st = norn_infer_state(inf);
  exact_engine *e = engine_get(st, sizeof *e);
  if (!e) return NULL;
  e->bits = bits;
  e->work_bits = bits + GUARD;
  e->max_leaves = max_leaves;
  numbers *const all[] = { &e->stack_weight, &e->weight, &e->alpha, &e->mass, &e->choices.sum,
                           &e->paths.sum, &e->scratch };
  for (int i = 0; i < NORN_COUNT(all); i++) all[i]->bits = e->work_bits;
  norn_run *run = norn_infer_run(inf, 0, 0, NORN_RUN_NAMES | NORN_RUN_CHECK | NORN_RUN_DOMAIN);
  bool good = run && numbers_add(st, &e->scratch, NULL) && numbers_add(st, &e->scratch, NULL) &&
    numbers_add(st, &e->alpha, NULL) && numbers_add(st, &e->stack_weight, NULL) &&
    engine_room(st, &e->stack, &e->cstack, 1, sizeof *e->stack);
  if (!good) {
    norn_run_free(run);
    exact_free(st, e);
    return NULL;
  }
  number_int(&e->alpha, 0, 1);
  number_int(&e->stack_weight, 0, 1);
  e->stack[e->nstack++] = (waiting){ run, 0, NONE };
  return e;
}

static void take_round(norn_state *st, exact_engine *e)
{
  size_t most = e->joined * 8 >= e->nnow ? WIDE : NARROW, n = e->nstack < most ? e->nstack : most;
  e->nnow = e->at = e->nstate = e->joined = 0;
  e->weight.n = 0;
  if (e->states.n) memset(e->states.at, 0, e->states.n * sizeof *e->states.at);
  if (!engine_room(st, &e->now, &e->cnow, n, sizeof *e->now) ||
      !numbers_room(st, &e->weight, n))
    return;
  for (size_t i = e->nstack - n; i < e->nstack; i++) {
    bignum w = number_at(&e->stack_weight, i);
    numbers_add(st, &e->weight, &w);
    e->now[e->nnow++] = e->stack[i];
  }
  e->nstack -= n;
  e->stack_weight.n -= n;
}

static bool edge_add(norn_state *st, exact_engine *e, waiting p, uint32_t to, const bignum *w)
{
  if (!engine_room(st, &e->edge, &e->cedge, e->nedge + 1, sizeof *e->edge) ||
      !numbers_add(st, &e->mass, w))
    return false;
  e->edge[e->nedge++] = (edge){ p.from, to, p.slot };
  return true;
}

/* A run has come to a choice: it joins an equal state of this round or becomes a new one. */
static bool join(norn_state *st, exact_engine *e, waiting p, const norn_event *ev, const bignum *w)
{
  uint64_t h = hash_mix(norn_run_hash(p.run));
  if (!enumerate_room(st, &e->states, e->nstate, e->state, sizeof *e->state)) return false;
  size_t k = h & (e->states.n - 1);
  for (uint32_t i; (i = e->states.at[k]); k = (k + 1) & (e->states.n - 1)) {
    const state *s = &e->state[i - 1];
    if (s->hash != h || s->addr != ev->addr || !norn_run_same(s->run, p.run)) continue;
    number_op(&e->alpha, s->node, REAL_ADD, w);
    norn_run_free(p.run);
    e->joined++;
    return edge_add(st, e, p, s->node, w);
  }
  if (!engine_room(st, &e->state, &e->cstate, e->nstate + 1, sizeof *e->state) ||
      !numbers_add(st, &e->alpha, w) || !edge_add(st, e, p, (uint32_t)e->alpha.n - 1, w))
    return false;
  e->state[e->nstate] = (state){ h, ev->addr, p.run, ev->dist, (uint32_t)e->alpha.n - 1, ev->span };
  e->states.at[k] = (uint32_t)++e->nstate;
  return true;
}

static bool ended(norn_state *st, exact_engine *e, waiting p, const norn_event *ev, const bignum *w)
{
  if (++e->leaves > e->max_leaves) {
    engine_fail(st, NORN_ELIMIT, ev->span, "enumerate met more than %lld paths",
                (long long)e->max_leaves);
    norn_hint(st, "raise max_leaves, or use smc, mh or importance");
    return false;
  }
  uint32_t k = bag_at(st, &e->paths, 0, ev->value);
  if (k == NONE) return false;
  number_op(&e->paths.sum, k, REAL_ADD, w);
  norn_run_free(p.run);
  return edge_add(st, e, p, NONE, w);
}

/* The weight of an observe, factor or condition times that of the run; *alive: it is not 0. */
static bool weigh(norn_state *st, exact_engine *e, const norn_event *ev, bool *alive)
{
  bool factor = ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION);
  if (factor ? !weight_of(st, e, ev->value, ev->span, 0)
             : !density_of(st, e, ev->dist, ev->value, ev->span, 0))
    return false;
  bignum f = number_at(&e->scratch, 0);
  number_op(&e->weight, e->at, REAL_MUL, &f);
  *alive = !number_is_zero(&e->weight, e->at);
  return true;
}

static bool listable(norn_state *st, const norn_event *ev)
{
  if (engine_is_discrete(ev->dist) && norn_dist_count(st, ev->dist) >= 0) return true;
  engine_fail(st, NORN_EINFER, ev->span,
              "enumerate(exact = true) needs choices with finitely many values, %s has %s",
              ev->dist->row->name, engine_is_discrete(ev->dist) ? "no end" : "no list of them");
  norn_hint(st, engine_is_discrete(ev->dist) ? "truncate(d, upper = n) ends it"
                                             : "continuous quantities can be observed");
  return false;
}

/* Steps the run at e->at to its next choice or its end. */
static norn_step step_run(norn_infer *inf, exact_engine *e)
{
  norn_state *st = norn_infer_state(inf);
  waiting *p = &e->now[e->at];
  norn_event ev;
  bool alive = true;
  for (;;) {
    norn_event_kind kind = norn_run_next(p->run, &ev);
    if (kind == NORN_INFER) {
      norn_step s = norn_infer_wait(inf, p->run, &ev);
      if (s != NORN_STEP_MORE) return s;
      continue;
    }
    if (kind == NORN_OBSERVE) {
      if (!weigh(st, e, &ev, &alive)) return NORN_STEP_FAIL;
      if (alive) continue;
      kind = NORN_DEAD;
    }
    bignum w = number_at(&e->weight, e->at);
    waiting one = *p;
    if (kind == NORN_DEAD) {
      norn_clear(st);
      norn_infer_dead(inf, ev.span);
      norn_run_free(one.run);
    } else if (kind == NORN_ERROR) {
      return NORN_STEP_FAIL;
    } else if (kind == NORN_SAMPLE ? !listable(st, &ev) || !join(st, e, one, &ev, &w)
                                   : !ended(st, e, one, &ev, &w)) {
      return NORN_STEP_FAIL;
    }
    p->run = NULL;
    e->at++;
    return NORN_STEP_MORE;
  }
}

/* Forks of a state's run (consumed), answered with the value of each child, go on the stack. */
static bool put_children(norn_state *st, exact_engine *e, state *s, const norn_datum *v, size_t n)
{
  if (!engine_room(st, &e->stack, &e->cstack, e->nstack + n, sizeof *e->stack)) return false;
  for (size_t i = n; i-- > 0;) {
    uint32_t k = bag_at(st, &e->choices, s->addr, v[i]);
    bignum p = number_at(&e->scratch, 2 + i), a = number_at(&e->alpha, s->node);
    if (k == NONE || !numbers_add(st, &e->stack_weight, &a)) return false;
    number_op(&e->stack_weight, e->stack_weight.n - 1, REAL_MUL, &p);
    norn_run *run = i ? norn_run_fork(s->run, ++e->lane) : s->run;
    if (!run) {
      e->stack_weight.n--;
      return false;
    }
    norn_run_answer(run, v[i]);
    e->stack[e->nstack++] = (waiting){ run, s->node, k };
  }
  s->run = NULL;
  return true;
}

/* The values of the choice at which a state stands, with their probabilities. */
static bool open_state(norn_state *st, exact_engine *e, state *s)
{
  const norn_dist *d = s->dist;
  int64_t count = norn_dist_count(st, d), n = 0;
  norn_datum keep, *v = NULL;
  void *at = NULL;
  if (count > e->max_leaves) {
    engine_fail(st, NORN_ELIMIT, s->span, "enumerate met more than %lld values",
                (long long)e->max_leaves);
    return false;
  }
  keep = norn_array(st, NORN_VALUES, 1, &count, &at);      /* nobody else sees it */
  if (norn_is_none(keep) || !numbers_room(st, &e->scratch, 2 + (size_t)count)) return false;
  v = at;
  for (int64_t k = 0; k < count; k++) v[k] = norn_unit();
  for (int64_t k = 0; k < count; k++) {
    if (norn_dist_enumerate(st, d, k, &v[n])) { engine_place(st, s->span); return false; }
    if (!density_of(st, e, d, v[n], s->span, 2 + (size_t)n)) return false;
    if (!number_is_zero(&e->scratch, 2 + (size_t)n)) n++;
  }
  if (n) return put_children(st, e, s, v, (size_t)n);
  norn_run_free(s->run);                                   /* no value has a probability */
  s->run = NULL;
  return true;
}

/* The sum of a row into scratch[to]. */
static bignum sum_of(exact_engine *e, const numbers *v, size_t to)
{
  bignum z = number_at(&e->scratch, to);
  real_set_int(&z, 0);
  for (size_t i = 0; i < v->n; i++) {
    bignum w = number_at(v, i);
    real_do(REAL_ADD, &z, &z, &w);
  }
  return z;
}

/* A program may have no end.  What waits is left when it is below the last bit of the sum; later
   weights should be at most 1, and left_over says how much it is. */
static bool enough(norn_infer *inf, exact_engine *e)
{
  if (++e->rounds < PATIENCE || !e->paths.n) return false;
  bignum left = sum_of(e, &e->stack_weight, 0), all = sum_of(e, &e->paths.sum, 1);
  real_do(REAL_DIV, &left, &left, &all);
  if (left.kind == NORN_BIG_FINITE && left.exponent > -e->bits) return false;
  for (; e->nstack; e->nstack--) norn_run_free(e->stack[e->nstack - 1].run);
  infer_left_over(inf, real_double(&left));
  return true;
}

norn_step exact_step(norn_infer *inf, exact_engine *e)
{
  norn_state *st = norn_infer_state(inf);
  for (int k = 0; k < AT_ONCE && e->at < e->nnow; k++) {
    norn_step s = step_run(inf, e);
    if (s != NORN_STEP_MORE) return s;
  }
  if (e->at < e->nnow) return NORN_STEP_MORE;
  for (size_t i = e->nstate; i-- > 0;)
    if (!open_state(st, e, &e->state[i])) return NORN_STEP_FAIL;
  if (e->nstack && !enough(inf, e)) {
    size_t waits = e->nstack;
    take_round(st, e);
    return e->nstack < waits ? NORN_STEP_MORE : NORN_STEP_FAIL;
  }
  if (e->paths.n) return NORN_STEP_DONE;
  return blame_all_dead(st, &inf->dead, "path");
}

/* ---- the posterior ---- */

/* beta[i]: what follows node i, per unit of weight that reaches it; each edge adds the weight that
   passes it to its value (see enumerate.c). */
static bool backward(norn_state *st, exact_engine *e)
{
  numbers beta = { .bits = e->work_bits };
  bool good = numbers_room(st, &beta, e->alpha.n);
  for (size_t i = 0; good && i < e->alpha.n; i++) numbers_add(st, &beta, NULL);
  for (size_t i = e->nedge; good && i-- > 0;) {
    edge d = e->edge[i];
    bignum w = number_at(&e->mass, i), z = number_at(&e->scratch, 0);
    if (d.to == NONE) real_set(&z, &w);
    else {
      bignum b = number_at(&beta, d.to);
      real_do(REAL_MUL, &z, &w, &b);
    }
    if (d.slot != NONE) number_op(&e->choices.sum, d.slot, REAL_ADD, &z);
    bignum a = number_at(&e->alpha, d.from);
    if (a.kind == NORN_BIG_ZERO) continue;
    real_do(REAL_DIV, &z, &z, &a);
    number_op(&beta, d.from, REAL_ADD, &z);
  }
  numbers_free(st, &beta);
  return good;
}

/* The sums over their total as bigs, and as log weights; false: error set. */
static bool normalised(norn_state *st, const exact_engine *e, bag *b, const bignum *total,
                       norn_datum *p, double *logw)
{
  for (size_t i = 0; i < b->n; i++) {
    bignum l = number_at(&e->scratch, 0);
    number_op(&b->sum, i, REAL_DIV, total);
    bignum q = number_at(&b->sum, i);
    p[i] = big_of(st, e->bits, &q);
    if (norn_is_none(p[i])) return false;
    b->s[i].sum = real_double(&q);
    if (!logw) continue;
    real_do(REAL_LOG, &l, &q, NULL);
    logw[i] = real_double(&l);
  }
  return true;
}

static norn_status leave_draws(norn_infer *inf, exact_engine *e, const norn_datum *p)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum keep, *v;
  void *at = NULL;
  int64_t n = (int64_t)e->paths.n;
  keep = norn_array(st, NORN_VALUES, 1, &n, &at);
  if (norn_is_none(keep)) return NORN_EMEMORY;
  v = at;
  for (size_t i = 0; i < e->paths.n; i++) {
    v[i] = column_at(st, &e->paths.value, i);
    if (norn_infer_draw(inf, v[i], 0)) return NORN_EMEMORY;
  }
  norn_datum map = enumerate_probabilities(st, v, p, e->paths.n);
  if (norn_is_none(map)) return NORN_EMEMORY;
  norn_infer_note(inf, "probabilities", map);
  return NORN_OK;
}

norn_status exact_finish(norn_infer *inf, exact_engine *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = e->paths.n > e->choices.n ? e->paths.n : e->choices.n;
  norn_datum *p = engine_get(st, n * sizeof *p);
  double *logw = engine_get(st, e->paths.n * sizeof *logw);
  bool good = p && logw && backward(st, e);
  bignum total = sum_of(e, &e->paths.sum, 1), l = number_at(&e->scratch, 0);
  real_do(REAL_LOG, &l, &total, NULL);
  norn_datum evidence = big_of(st, e->bits, &l);
  norn_infer_evidence(inf, real_double(&l), 0);
  good = good && !norn_is_none(evidence) && normalised(st, e, &e->choices, &total, p, NULL) &&
    !enumerate_marginals(inf, e->choices.s, e->choices.n, &e->choices.value, 1, p) &&
    normalised(st, e, &e->paths, &total, p, logw) && !leave_draws(inf, e, p);
  for (size_t i = 0; good && i < e->paths.n; i++) inf->logw[i] = logw[i];
  if (good && !inf->improper) norn_infer_note(inf, "log_evidence", evidence);
  norn_infer_note(inf, "paths", norn_int(e->leaves));
  engine_put(st, p, n * sizeof *p);
  engine_put(st, logw, e->paths.n * sizeof *logw);
  if (good) return NORN_OK;
  const norn_err *why = norn_error(st);
  return why->code ? why->code : norn_fail(st, NORN_EMEMORY, -1, "out of memory");
}

/* ---- checkpoints ---- */

static bool numbers_archive(norn_archive *a, numbers *v)
{
  return norn_archive_size(a, &v->n) &&
         norn_archive_array(a, &v->cell, &v->cap, v->n, cell_words(v) * sizeof *v->cell);
}

/* After a failure all that was read can be freed. */
static bool waitings_archive(norn_archive *a, waiting **v, size_t *n, size_t *cap)
{
  size_t m = *n;
  if (!norn_archive_size(a, &m) || !archive_room(a, v, cap, m, sizeof **v)) return false;
  *n = m;
  for (size_t i = 0; i < m; i++) {
    waiting *w = &(*v)[i];
    if (!norn_archive_run(a, &w->run) || !norn_archive_u32(a, &w->from) || !norn_archive_u32(a, &w->slot)) return false;
  }
  return true;
}

static bool states_archive(norn_archive *a, exact_engine *e)
{
  bool reads = norn_archive_reading(a);
  size_t n = e->nstate;
  if (!norn_archive_size(a, &n) || !archive_room(a, &e->state, &e->cstate, n, sizeof *e->state)) return false;
  e->nstate = n;
  for (size_t i = 0; i < n; i++) {
    state *s = &e->state[i];
    if (!norn_archive_bytes(a, &s->addr, sizeof s->addr) || !norn_archive_run(a, &s->run) ||
        !norn_archive_u32(a, &s->node) || !norn_archive_span(a, &s->span))
      return false;
    if (!reads || !s->run) continue;
    s->hash = hash_mix(norn_run_hash(s->run));
    s->dist = archive_choice(s->run);
    if (!s->dist->row) return norn_archive_fail(a, "a state stands at no choice");
  }
  return !reads || enumerate_table(norn_archive_state(a), &e->states, n, e->state, sizeof *e->state);
}

static bool bag_archive(norn_archive *a, bag *b)
{
  norn_state *st = norn_archive_state(a);
  if (!norn_archive_size(a, &b->n) || !norn_archive_array(a, &b->s, &b->cap, b->n, sizeof *b->s) ||
      !column_archive(a, &b->value) || !numbers_archive(a, &b->sum))
    return false;
  if (!norn_archive_reading(a)) return true;
  if (b->value.n != b->n || b->sum.n != b->n) return norn_archive_fail(a, "its values do not fit");
  for (size_t i = 0; i < b->n; i++)
    b->s[i].hash = hash_mix(b->s[i].addr + 0x9e3779b97f4a7c15u * norn_hash(column_at(st, &b->value, i)));
  return enumerate_table(st, &b->t, b->n, b->s, sizeof *b->s);
}

static bool waitings_fit(const exact_engine *e, const waiting *w, size_t from, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (w[i].from >= e->alpha.n || (w[i].slot != NONE && w[i].slot >= e->choices.n) || (i >= from && !w[i].run))
      return false;
  return true;
}

static bool exact_fits(const exact_engine *e)
{
  bool well = e->at <= e->nnow && e->alpha.n && e->stack_weight.n == e->nstack && e->weight.n == e->nnow &&
              e->mass.n == e->nedge && waitings_fit(e, e->stack, 0, e->nstack) &&
              waitings_fit(e, e->now, e->at, e->nnow);
  for (size_t i = 0; well && i < e->nstate; i++) well = e->state[i].node < e->alpha.n && e->state[i].run;
  for (size_t i = 0; well && i < e->nedge; i++) {
    const edge *d = &e->edge[i];
    well = d->from < e->alpha.n && (d->to == NONE || d->to < e->alpha.n) && (d->slot == NONE || d->slot < e->choices.n);
  }
  return well;
}

/* Kinds of numbers that were read are such. */
static bool numbers_are(const numbers *v)
{
  for (size_t i = 0; i < v->n; i++) if ((v->cell[i * cell_words(v) + 1] & 7) > NORN_BIG_FINITE) return false;
  return true;
}

bool exact_archive(norn_archive *a, norn_infer *inf, exact_engine *e)
{
  numbers *const all[] = { &e->stack_weight, &e->weight, &e->alpha, &e->mass };
  (void)inf;
  while (norn_archive_reading(a) && e->nstack) norn_run_free(e->stack[--e->nstack].run), e->stack[e->nstack].run = NULL;
  norn_archive_i64(a, &e->leaves);
  norn_archive_u32(a, &e->lane);
  norn_archive_u64(a, &e->rounds);
  norn_archive_size(a, &e->at);
  norn_archive_size(a, &e->joined);
  bool well = waitings_archive(a, &e->stack, &e->nstack, &e->cstack) &&
              waitings_archive(a, &e->now, &e->nnow, &e->cnow) &&
              states_archive(a, e) && norn_archive_size(a, &e->nedge) &&
              norn_archive_array(a, &e->edge, &e->cedge, e->nedge, sizeof *e->edge) && bag_archive(a, &e->choices) &&
              bag_archive(a, &e->paths);
  for (int i = 0; well && i < NORN_COUNT(all); i++) well = numbers_archive(a, all[i]) && numbers_are(all[i]);
  well = well && numbers_are(&e->choices.sum) && numbers_are(&e->paths.sum);
  if (!norn_archive_status(a) && (!well || (norn_archive_reading(a) && !exact_fits(e))))
    norn_archive_fail(a, "its paths do not fit");
  return !norn_archive_status(a);
}

int64_t exact_leaves(const exact_engine *e) { return e->leaves; }

void exact_free(norn_state *st, exact_engine *e)
{
  if (!e) return;
  for (size_t i = 0; i < e->nstack; i++) norn_run_free(e->stack[i].run);
  for (size_t i = 0; i < e->nnow; i++) norn_run_free(e->now[i].run);
  for (size_t i = 0; i < e->nstate; i++) norn_run_free(e->state[i].run);
  engine_put(st, e->stack, e->cstack * sizeof *e->stack);
  engine_put(st, e->now, e->cnow * sizeof *e->now);
  engine_put(st, e->state, e->cstate * sizeof *e->state);
  engine_put(st, e->states.at, e->states.n * sizeof *e->states.at);
  engine_put(st, e->edge, e->cedge * sizeof *e->edge);
  numbers *const all[] = { &e->stack_weight, &e->weight, &e->alpha, &e->mass, &e->scratch };
  for (int i = 0; i < NORN_COUNT(all); i++) numbers_free(st, all[i]);
  bag_free(st, &e->choices);
  bag_free(st, &e->paths);
  engine_put(st, e, sizeof *e);
}
