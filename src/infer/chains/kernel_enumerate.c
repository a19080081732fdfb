/* kernel_enumerate: Gibbs sampling of finite choices (Geman, Geman 1984): each that may change, in the
   order of the run, is drawn from its exact distribution given all others.

   One run of the program goes from choice to choice.  At one that may change it is forked, one candidate a
   value, and the candidates go on side by side, an event each in a round, with the present values of all
   other choices, gathering what these and the observations weigh.  When they come to be in the same state,
   or all have ended, one is drawn by its weight; the main run is answered with its value and goes on.  A
   choice costs what depends on it, its values times over: of a row the row, of a chain a step.

       main    --- z[0] --------------------- z[1] ---- ...
                    |                          |
                    +-- 0 --> y[0] --> same    +-- 0 --> ...
                    +-- 1 --> y[0] --> same    +-- 1 --> ...

   As in recordings (density.h) a run is answered with a latent value, so that keeping it in an array does
   not make states differ; whoever looks at one after its candidates were held to be in the same state
   makes the pass void: choices of that line are then told to runs at once, and it is made again.

   Where a candidate makes a choice that does not exist now, its value is drawn from the prior there, and
   belongs to all candidates that make it.  The values of choices that some candidates lack are so part of
   a larger state, in which each has the density q of the prior under the candidate that met it first;
   a candidate's weight is its joint density with its own choices' q divided out, and the draw leaves the
   larger state's distribution as it is (as Neal 2000, algorithm 8, does with new components).

   Random numbers: the program's in stream (stream, lane, 11, iteration) of the target, the k-th choice in
   lane k + 1; draws of values: the kernel's own stream, event k. */
#include "infer/checkpoint.h"
#include "infer/chains/kernel.h"
#include "infer/infer.h"
#include <string.h>

#define NOBODY UINT32_MAX

enum { MOST_VALUES = 1 << 16, EVENTS = 4096, OWN = 11 };

/* A choice that exists, or (gone) does not now.  The first are those of the trace, in its order. */
typedef struct item {
  uint64_t addr, support;
  const norn_dist_row *row;
  norn_datum value; norn_ref *ref;     /* if set; else as in the trace */
  bool set, gone, hard;                /* hard: its first density was 0 */
  norn_span span;                      /* of a choice that was drawn */
  uint64_t pass; double q;             /* met at choice `pass`, first with log density q */
} item;

typedef struct candidate {
  norn_run *run;
  norn_datum value;                    /* that is no heap value, or NONE: number `at` of the column */
  double logw;
  size_t passed, hard;                 /* observations; hard items met */
  bool ended, dead;
  uint32_t answer;                     /* the item that its choice is answered with in the next round */
  uint32_t *met; size_t nmet, cmet;    /* items */
} candidate;

typedef enum { IDLE, MAIN, ROUND, REFRESH } stage;
typedef struct enumerator {
  stage at;
  const target *g;
  trace *t, next;
  sites sites;
  execution x;
  norn_run *main;
  size_t passed;                       /* observations of the main run */
  uint64_t events, round;              /* events of the main run; of candidates beyond them */
  item *item; size_t nitem, citem;
  uint64_t pass;                       /* the choice that is being drawn, of all passes ever */
  candidate *c; size_t n, cc, cur;     /* cur: whose turn it is */
  column values;                       /* of candidates */
  size_t old;                          /* the candidate of the present value */
  norn_span span; uint64_t addr;       /* of the choice */
  bool hidden;
  norn_ref *dist; norn_dist seen;      /* an event's distribution without latents */
  /* latents of this pass: the item, and up to which event one may look */
  uint32_t *latent; uint64_t *until; size_t nlatent, clatent, cuntil;
  bool looking;                        /* a candidate is going: `cur` */
  uint32_t forgotten;
  norn_span *looked; size_t nlooked, clooked;
  uint32_t choices;                    /* drawn in this pass */
  int64_t changed;                     /* of them */
  bool waits;                          /* for a nested inference */
} enumerator;

static norn_state *state_of(const kernel *k) { return norn_infer_state(k->inf); }

/* ---- values ---- */

static norn_datum item_value(const enumerator *s, size_t i)
{
  const item *m = &s->item[i];
  if (!m->set) return trace_value(&s->t->c[i]);
  return m->ref && m->value.tag == NORN_NONE ? norn_get(m->ref) : m->value;
}

static bool item_set(norn_state *st, item *m, norn_datum v)
{
  m->set = true;
  m->value = v;
  if (!(v.tag & 0x40)) return true;
  m->value = norn_none();
  if (m->ref) norn_set(m->ref, v);
  else m->ref = norn_keep(st, v);
  return m->ref != NULL;
}

/* The item of this address; row NULL: whatever distribution it had. */
static uint32_t item_find(const enumerator *s, uint64_t addr, const norn_dist_row *row, uint64_t support)
{
  const trace_choice *c = trace_find(s->t, addr);
  size_t i = c ? (size_t)(c - s->t->c) : 0;
  if (c && !s->item[i].gone && (!row || (s->item[i].row == row && s->item[i].support == support)))
    return (uint32_t)i;
  for (size_t k = s->nitem; k-- > s->t->n;) {
    const item *m = &s->item[k];
    if (m->addr == addr && !m->gone && (!row || (m->row == row && m->support == support)))
      return (uint32_t)k;
  }
  return NOBODY;
}

static bool items_new(norn_state *st, enumerator *s)
{
  if (!engine_room(st, &s->item, &s->citem, s->t->n + 1, sizeof *s->item)) return false;
  for (size_t i = 0; i < s->t->n; i++) {
    const trace_choice *c = &s->t->c[i];
    norn_ref *ref = s->item[i].ref;
    s->item[i] = (item){.addr = c->addr, .support = c->support, .row = c->row, .ref = ref};
  }
  s->nitem = s->t->n;
  return true;
}

static uint32_t item_add(norn_state *st, enumerator *s, const norn_event *ev, uint64_t support, norn_datum v)
{
  if (!engine_room(st, &s->item, &s->citem, s->nitem + 1, sizeof *s->item)) return NOBODY;
  item *m = &s->item[s->nitem];
  norn_ref *ref = m->ref;
  *m = (item){.addr = ev->addr, .support = support, .row = ev->dist->row, .ref = ref};
  if (!item_set(st, m, v)) return NOBODY;
  return (uint32_t)s->nitem++;
}

/* ---- latents ---- */

static bool looked_at(const enumerator *s, norn_span span)
{
  for (size_t i = 0; i < s->nlooked; i++)
    if (s->looked[i].file == span.file && s->looked[i].start == span.start) return true;
  return false;
}

static norn_datum candidate_value(norn_state *st, const enumerator *s, size_t i)
{
  return column_at(st, &s->values, i);
}

static norn_datum look(void *user, int64_t k)
{
  enumerator *s = user;
  if ((size_t)k == s->nlatent) return s->c[s->cur].value;      /* of the candidate that is going */
  if (s->events + (s->looking ? s->round : 0) >= s->until[k] && s->forgotten == NOBODY)
    s->forgotten = (uint32_t)k;
  return s->item[s->latent[k]].value;
}

/* Is the latent of this choice live by itself? */
static bool other_latent(void *user, int64_t k)
{
  const enumerator *s = user;
  return (size_t)k != s->nlatent;
}

/* The event without latents.  false: error set. */
static bool event_known(norn_state *st, enumerator *s, norn_event *ev)
{
  norn_datum args[16];
  bool found = false;
  const norn_dist *d = ev->dist;
  if (ev->kind == NORN_OBSERVE && norn_has_latent(ev->value)) ev->value = norn_force(st, ev->value);
  for (int i = 0; d && i < d->n && !found; i++) found = norn_has_latent(d->args[i]);
  if (!found) return true;
  if (d->n > 16) return engine_fail(st, NORN_EINFER, ev->span, "too many parameters"), false;
  for (int i = 0; i < d->n; i++) args[i] = norn_force(st, d->args[i]);
  norn_datum v = norn_dist_new(st, d->row, args, d->n);
  if (norn_is_none(v)) return false;
  if (s->dist) norn_set(s->dist, v);
  else s->dist = norn_keep(st, v);
  if (!s->dist || !norn_dist_view(v, &s->seen)) return false;
  ev->dist = &s->seen;
  return true;
}

/* ---- candidates ---- */

static void candidates_free(enumerator *s)
{
  for (size_t i = 0; i < s->n; i++) {
    if (s->c[i].run) norn_run_free(s->c[i].run);
    s->c[i].run = NULL;
  }
  s->n = 0;
}

static norn_step refuse(kernel *k, const norn_event *ev, const char *what, const char *hint)
{
  norn_state *st = state_of(k);
  char name[160];
  engine_fail(st, NORN_EINFER, ev->span, "%s %s: enumerate() can't draw it",
              norn_addr_name(st, ev->addr, name, sizeof name), what);
  norn_hint(st, "%s", hint);
  return NORN_STEP_FAIL;
}

static norn_step candidate_add(kernel *k, const norn_event *ev, norn_datum v)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  double lp;
  if (!engine_logp(st, ev->dist, v, ev->span, &lp)) return NORN_STEP_FAIL;
  if (lp == -HUGE_VAL) return NORN_STEP_MORE;
  if (!engine_room(st, &s->c, &s->cc, s->n + 1, sizeof *s->c) || !column_push(st, &s->values, v))
    return NORN_STEP_FAIL;
  candidate *c = &s->c[s->n];
  uint32_t *met = c->met;
  size_t cmet = c->cmet;
  *c = (candidate){.run = norn_run_fork(s->main, s->choices + 1), .value = v, .logw = lp, .met = met,
                   .cmet = cmet, .passed = s->passed, .answer = NOBODY};
  if (!c->run) return NORN_STEP_FAIL;
  s->n++;
  norn_run_flags(c->run, NORN_RUN_DOMAIN);             /* the main run notes names */
  norn_run_answer(c->run, s->hidden ? norn_latent((int64_t)s->nlatent) : v);
  return NORN_STEP_MORE;
}

/* The main run has come to a choice that may change. */
static norn_step choice_begin(kernel *k, const norn_event *ev, norn_datum present)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  s->hidden = (present.tag == NORN_INT || present.tag == NORN_BOOL) && !looked_at(s, ev->span);
  s->span = ev->span;
  s->addr = ev->addr;
  s->old = SIZE_MAX;
  s->round = 0;
  s->cur = 0;
  s->pass++;
  column_clear(st, &s->values);
  for (int64_t i = 0;; i++) {
    norn_datum v;
    if (norn_dist_enumerate(st, ev->dist, i, &v)) return engine_failed(st, ev->span);
    if (norn_is_none(v)) break;
    if (i >= MOST_VALUES)
      return refuse(k, ev, "has no end of values", "mh() can; or bound it: truncate(..., upper = N)");
    size_t n = s->n;
    if (candidate_add(k, ev, v) != NORN_STEP_MORE) return NORN_STEP_FAIL;
    if (s->n > n && norn_equal(v, present)) s->old = n;
  }
  if (s->old == SIZE_MAX)
    return engine_fail(st, NORN_EINFER, ev->span, "the present value of this choice has probability 0"),
           NORN_STEP_FAIL;
  s->at = ROUND;
  return NORN_STEP_MORE;
}

/* A candidate meets a choice: it has its present value, one that another candidate has drawn, or one that
   is drawn now. */
static norn_step candidate_choice(kernel *k, candidate *c, norn_event *ev)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  uint64_t support = support_key(st, ev->dist);
  uint32_t i = item_find(s, ev->addr, ev->dist->row, support);
  double lp, excess;
  if (i == NOBODY) {
    norn_datum v;
    if (!engine_sample(st, c->run, ev, false, &v, &excess)) return NORN_STEP_FAIL;
    i = item_add(st, s, ev, support, v);
    if (i == NOBODY) return NORN_STEP_FAIL;
  }
  if (!engine_logp(st, ev->dist, item_value(s, i), ev->span, &lp)) return NORN_STEP_FAIL;
  item *m = &s->item[i];
  if (m->pass != s->pass) {
    m->pass = s->pass;
    m->hard = lp == -HUGE_VAL;
    m->q = m->hard ? 0 : lp;
  }
  c->hard += m->hard;
  c->logw += lp - m->q;
  c->dead = lp == -HUGE_VAL;
  if (!engine_room(st, &c->met, &c->cmet, c->nmet + 1, sizeof *c->met)) return NORN_STEP_FAIL;
  c->met[c->nmet++] = i;
  c->answer = i;
  return NORN_STEP_MORE;
}

/* To its next event.  It is answered only then: what a run is answered with is no part of its state. */
static norn_step candidate_next(kernel *k, candidate *c)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  norn_event ev;
  double lw;
  if (c->answer != NOBODY) norn_run_answer(c->run, item_value(s, c->answer));
  c->answer = NOBODY;
  s->looking = true;
  norn_event_kind kind = norn_run_next(c->run, &ev);
  if ((kind == NORN_SAMPLE || kind == NORN_OBSERVE) && s->forgotten == NOBODY && !event_known(st, s, &ev))
    return engine_failed(st, ev.span);
  s->looking = false;
  if (s->forgotten != NOBODY) return NORN_STEP_DONE;
  switch (kind) {
  case NORN_SAMPLE: return candidate_choice(k, c, &ev);
  case NORN_OBSERVE:
    if (!engine_weight(st, &ev, &lw)) return NORN_STEP_FAIL;
    c->dead = lw == -HUGE_VAL;
    c->logw += s->g->beta * lw;
    c->ended = ++c->passed == s->g->barriers;
    return NORN_STEP_MORE;
  case NORN_DEAD:
    norn_clear(st);
    c->dead = true;
    return NORN_STEP_MORE;
  case NORN_DONE: c->ended = true; return NORN_STEP_MORE;
  case NORN_INFER: return norn_infer_wait(k->inf, c->run, &ev);
  default: return NORN_STEP_FAIL;
  }
}

static bool are_same(enumerator *s, const candidate *a, const candidate *b)
{
  return a->passed == b->passed && a->answer == b->answer && norn_run_same(a->run, b->run) &&
         norn_run_latents(b->run, other_latent, s);
}

/* After a round: nothing can come to differ any more. */
static bool round_decides(enumerator *s, bool *merged)
{
  size_t living = 0, ended = 0;
  const candidate *first = NULL;
  *merged = false;
  for (size_t i = 0; i < s->n; i++) {
    const candidate *c = &s->c[i];
    if (c->dead) continue;
    if (!first) first = c;
    living++;
    ended += c->ended;
  }
  if (living <= 1 || ended == living) return true;
  if (ended || !norn_run_latents(first->run, other_latent, s)) return false;
  for (size_t i = 0; i < s->n; i++)
    if (&s->c[i] != first && !s->c[i].dead && !are_same(s, first, &s->c[i])) return false;
  return *merged = true;
}

/* ---- drawing ---- */

static size_t pick(const kernel *k)
{
  const enumerator *s = k->self;
  norn_rng g = {.stream = norn_stream_split(s->g->stream, ENGINE_LANE, OWN, 0), .lane = s->g->lane,
                .event = s->choices, .iter = s->g->iter};
  double top = -HUGE_VAL, sum = 0;
  size_t hard = 0, last = s->old;
  for (size_t i = 0; i < s->n; i++)
    if (!s->c[i].dead && s->c[i].hard > hard) hard = s->c[i].hard;
  for (size_t i = 0; i < s->n; i++) {
    candidate *c = &s->c[i];
    if (c->dead || c->hard < hard) c->logw = -HUGE_VAL;
    if (c->logw > top) top = c->logw;
  }
  for (size_t i = 0; i < s->n; i++) sum += exp(s->c[i].logw - top);
  double at = norn_rng_uniform(&g) * sum;
  for (size_t i = 0; i < s->n; i++) {
    double w = exp(s->c[i].logw - top);
    if (!(w > 0)) continue;
    last = i;
    if ((at -= w) < 0) break;
  }
  return last;
}

/* What the candidates did not all make: which choices exist now. */
static void existence(enumerator *s, const candidate *old, const candidate *now)
{
  for (size_t i = s->nitem; i-- > s->t->n && s->item[i].pass == s->pass;) s->item[i].gone = true;
  for (size_t i = 0; i < old->nmet; i++) s->item[old->met[i]].gone = true;
  for (size_t i = 0; i < now->nmet; i++) s->item[now->met[i]].gone = false;
}

static norn_step choice_end(kernel *k, bool merged)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  size_t i = pick(k);
  uint32_t at = item_find(s, s->addr, NULL, 0);
  norn_datum v = candidate_value(st, s, i);
  if (at == NOBODY || !item_set(st, &s->item[at], v)) return NORN_STEP_FAIL;
  s->item[at].span = s->span;
  s->changed += i != s->old;
  existence(s, &s->c[s->old], &s->c[i]);
  if (s->hidden) {
    if (!engine_room(st, &s->latent, &s->clatent, s->nlatent + 1, sizeof *s->latent) ||
        !engine_room(st, &s->until, &s->cuntil, s->nlatent + 1, sizeof *s->until))
      return NORN_STEP_FAIL;
    s->latent[s->nlatent] = at;
    s->until[s->nlatent] = merged ? s->events + s->round : UINT64_MAX;
    norn_run_answer(s->main, norn_latent((int64_t)s->nlatent++));
  } else {
    norn_run_answer(s->main, v);
  }
  s->choices++;
  candidates_free(s);
  s->at = MAIN;
  return NORN_STEP_MORE;
}

static norn_step round_step(kernel *k)
{
  enumerator *s = k->self;
  bool merged = false;
  if (!s->cur && (s->n == 1 || (s->round && round_decides(s, &merged)))) return choice_end(k, merged);
  for (; s->cur < s->n; s->cur++) {
    candidate *c = &s->c[s->cur];
    if (c->dead || c->ended) continue;
    norn_step step = candidate_next(k, c);
    if (step != NORN_STEP_MORE) return step;
  }
  s->round++;
  s->cur = 0;
  return NORN_STEP_MORE;
}

/* ---- the main run ---- */

static void pass_end(enumerator *s)
{
  candidates_free(s);
  if (s->main) norn_run_free(s->main);
  s->main = NULL;
}

static bool pass_begin(kernel *k)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  const target *g = s->g;
  s->events = s->nlatent = s->passed = 0;
  s->choices = 0;
  s->changed = 0;
  s->forgotten = NOBODY;
  s->looking = false;
  if (!items_new(st, s)) return false;
  s->main = norn_run_new(st, norn_infer_model(k->inf), NULL, 0);
  if (!s->main) return false;
  norn_run_flags(s->main, NORN_RUN_NAMES | NORN_RUN_DOMAIN);
  norn_run_stream(s->main, norn_stream_split(g->stream, g->lane, OWN, g->iter), 0, 0);
  s->at = MAIN;
  return true;
}

/* Somebody has looked at what was held to make no difference: choices of that line are told at once. */
static norn_step pass_again(kernel *k)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  norn_span span = s->item[s->latent[s->forgotten]].span;
  pass_end(s);
  norn_clear(st);
  if (!engine_room(st, &s->looked, &s->clooked, s->nlooked + 1, sizeof *s->looked)) return NORN_STEP_FAIL;
  s->looked[s->nlooked++] = span;
  return pass_begin(k) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

static norn_datum given(void *user, const norn_event *ev)
{
  const enumerator *s = user;
  uint32_t i = item_find(s, ev->addr, NULL, 0);
  return i == NOBODY ? norn_none() : item_value(s, i);
}

static norn_step main_over(kernel *k)
{
  enumerator *s = k->self;
  pass_end(s);
  s->at = REFRESH;
  return execution_start(&s->x, k->inf, s->g, &s->next, given, s) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

static norn_step main_choice(kernel *k, norn_event *ev)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  const target *g = s->g;
  double excess;
  uint32_t i = item_find(s, ev->addr, NULL, 0);
  if (i == NOBODY) {                   /* of a nested inference that came out otherwise */
    norn_datum v;
    if (!engine_sample(st, s->main, ev, false, &v, &excess)) return NORN_STEP_FAIL;
    i = item_add(st, s, ev, support_key(st, ev->dist), v);
    if (i == NOBODY) return NORN_STEP_FAIL;
  } else if (engine_is_discrete(ev->dist) && (!g->movable || g->movable(g->user, ev->addr))) {
    return choice_begin(k, ev, item_value(s, i));
  }
  norn_run_answer(s->main, item_value(s, i));
  return NORN_STEP_MORE;
}

static norn_step main_step(kernel *k)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  norn_event ev;
  if (s->passed == s->g->barriers) return main_over(k);
  norn_event_kind kind = norn_run_next(s->main, &ev);
  if (kind == NORN_SAMPLE && s->forgotten == NOBODY && !event_known(st, s, &ev))
    return engine_failed(st, ev.span);
  if (s->forgotten != NOBODY) return NORN_STEP_DONE;
  if (kind != NORN_INFER) s->events++;
  switch (kind) {
  case NORN_SAMPLE: return main_choice(k, &ev);
  case NORN_OBSERVE: s->passed++; return NORN_STEP_MORE;
  case NORN_DONE: return main_over(k);
  case NORN_INFER: return norn_infer_wait(k->inf, s->main, &ev);
  default:
    if (!norn_error(st)->code) engine_fail(st, NORN_EINFER, ev.span, "the state of this chain has weight 0");
    return NORN_STEP_FAIL;
  }
}

/* The new values once more, for their densities and what the program returns. */
static norn_step refresh_step(kernel *k)
{
  enumerator *s = k->self;
  norn_step step = execution_step(&s->x);
  if (step != NORN_STEP_DONE) return step;
  k->proposed += s->choices;
  k->accepted += s->changed;
  execution_end(&s->x);
  s->at = IDLE;
  trace old = *s->t;
  *s->t = s->next;
  s->next = old;
  return NORN_STEP_DONE;
}

static norn_step pass_step(kernel *k)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  norn_step step = NORN_STEP_MORE;
  for (int i = 0; i < EVENTS && step == NORN_STEP_MORE; i++) {
    if (s->at == REFRESH) {
      norn_latent_attach(st, NULL, NULL);
      return refresh_step(k);
    }
    norn_latent_attach(st, look, s);
    step = s->at == ROUND ? round_step(k) : main_step(k);
    if (s->forgotten != NOBODY && (step == NORN_STEP_DONE || step == NORN_STEP_FAIL)) step = pass_again(k);
  }
  norn_latent_attach(st, NULL, NULL);
  return step;
}

static norn_step enumerate_step(kernel *k, const target *g, trace *t)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  s->g = g;
  s->t = t;
  if (s->at == IDLE && !sites_of(st, &s->sites, t, g)) return NORN_STEP_FAIL;
  if (s->at == IDLE && !s->sites.n) return NORN_STEP_DONE;
  if (s->at == IDLE && !pass_begin(k)) return NORN_STEP_FAIL;
  norn_step step = pass_step(k);
  s->waits = step == NORN_STEP_WAIT;
  return step;
}

/* A pass on its way is made again from its start: it comes out the same. */
static bool enumerate_archive(kernel *k, const target *g, trace *t, norn_archive *a)
{
  enumerator *s = k->self;
  size_t n = s->nlooked;
  (void)g;
  (void)t;
  if (!norn_archive_reading(a) && s->waits)
    return norn_archive_fail(a, "enumerate() waits for an inference inside of the model");
  if (!norn_archive_size(a, &n) || !archive_room(a, &s->looked, &s->clooked, n, sizeof *s->looked))
    return false;
  for (size_t i = 0; i < n; i++)
    if (!norn_archive_span(a, &s->looked[i])) return false;
  s->nlooked = n;
  return true;
}

static norn_status enumerate_init(kernel *k)
{
  (void)k;
  return NORN_OK;
}

static void enumerate_free(kernel *k)
{
  norn_state *st = state_of(k);
  enumerator *s = k->self;
  pass_end(s);
  if (s->at == REFRESH) execution_end(&s->x);
  trace_free(st, &s->next);
  sites_free(st, &s->sites);
  for (size_t i = 0; i < s->citem; i++) if (s->item[i].ref) norn_drop(s->item[i].ref);
  for (size_t i = 0; i < s->cc; i++) engine_put(st, s->c[i].met, s->c[i].cmet * sizeof *s->c[i].met);
  engine_put(st, s->item, s->citem * sizeof *s->item);
  engine_put(st, s->c, s->cc * sizeof *s->c);
  engine_put(st, s->latent, s->clatent * sizeof *s->latent);
  engine_put(st, s->until, s->cuntil * sizeof *s->until);
  engine_put(st, s->looked, s->clooked * sizeof *s->looked);
  column_free(st, &s->values);
  if (s->dist) norn_drop(s->dist);
}

const kernel_row kernel_enumerate = {.engine = &engine_enumerate, .size = sizeof(enumerator),
                                     .init = enumerate_init, .step = enumerate_step,
                                     .free = enumerate_free, .archive = enumerate_archive};
