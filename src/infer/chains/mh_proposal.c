/* mh_proposal: proposals of the user's own: proposal = t -> model(...), a function of the current values
   (a record by address of the choices that `on` fits) that gives a model value.  The choices of a run of
   that model are the new values of the program's choices of the same addresses; what it returns does
   not matter.  Both densities of the ratio come from its runs: forth with its choices drawn, back given
   the proposed values with its choices fixed to the present ones.

   The program runs with the proposed values; the other choices are kept where they can be, and else
   fresh, as ever (mh_kernel.c).  With x the trace and x' the proposed one:

       log alpha = beta (log w' - log w)
                 + sum over x', given and kept, of log p' + sum over its fresh ones of e'
                 - sum over x, of those that the way back gives or keeps, of log p
                 - sum over the stale ones of e
                 + log q(x | x') - log q(x' | x)

   The way back must lead to x: q given x' must make only choices that x has, and whatever q given x gave
   a new value must be given by q given x' too; where not, log q(x | x') is -infinity. */
#include "infer/chains/mh.h"
#include "infer/infer.h"
#include <string.h>

norn_status proposer_new(norn_state *st, proposer *q, norn_datum f)
{
  char what[120];
  if (norn_kind_of(f) == NORN_FUN)
    return (q->f = norn_keep(st, f)) ? NORN_OK : NORN_EMEMORY;
  norn_fail(st, NORN_ETYPE, -1, "proposal of mh must be a function of the current values, got %s",
            norn_describe(st, f, what, sizeof what));
  norn_hint(st, "proposal = t -> name(t), where `name` is a model whose choices are the new values");
  return NORN_ETYPE;
}

void proposer_free(norn_state *st, proposer *q)
{
  trace_free(st, &q->forth.t);
  trace_free(st, &q->back.t);
  if (q->f) norn_drop(q->f);
}

/* The values that `on` fits, by address.  NONE: error set. */
static norn_datum values_of(kernel *k, const trace *t)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  norn_datum out = norn_none(), *v = engine_get(st, t->n * sizeof *v);
  const char **name = engine_get(st, t->n * sizeof *name);
  arena names;
  mem mm;
  char buf[256];
  int n = 0;
  bool good = v && name;
  mem_init(&mm);
  arena_init(&names, &mm);
  for (size_t i = 0; good && i < t->n; i++) {
    const trace_choice *c = &t->c[i];
    bool may = mh_movable(m, c->addr);
    good = !m->on.failed;
    if (!may) continue;
    norn_addr_name(st, c->addr, buf, sizeof buf);
    good = *buf;                                       /* empty: there was no memory for it */
    if (!good) break;
    v[n] = trace_value(c);
    name[n] = arena_text(&names, buf, strlen(buf));
    good = name[n++];
  }
  if (good) out = norn_record(st, n, name, v);
  else if (v && name && !m->on.failed) norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  arena_free(&names);
  engine_put(st, v, t->n * sizeof *v);
  engine_put(st, name, t->n * sizeof *name);
  return out;
}

/* The proposal's run given a trace; NULL: error set. */
static norn_run *run_given(kernel *k, const trace *t)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  norn_datum values = values_of(k, t), model;
  char what[120];
  if (norn_is_none(values) || norn_call(st, norn_get(m->q.f), &values, 1, &model)) return NULL;
  if (norn_kind_of(model) != NORN_MODEL) {
    norn_fail(st, NORN_ETYPE, -1, "proposal of mh must give a model value, got %s",
              norn_describe(st, model, what, sizeof what));
    norn_hint(st, "proposal = t -> name(t), where `name` is a model whose choices are the new values");
    return NULL;
  }
  norn_run *r = norn_run_new(st, model, NULL, 0);
  if (!r) return NULL;
  norn_run_stream(r, norn_stream_split(m->g.stream, m->g.lane, 8, m->g.iter), m->g.lane, 0);
  norn_run_flags(r, NORN_RUN_NAMES | NORN_RUN_CHECK);
  return r;
}

static bool not_movable(kernel *k, const norn_event *ev)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  char name[120];
  if (mh_movable(m, ev->addr)) return true;
  if (m->on.failed) return false;
  norn_addr_name(st, ev->addr, name, sizeof name);
  engine_fail(st, NORN_EINFER, ev->span, "this proposal makes a choice %s, which mh may not change%s", name,
              m->has_on ? ": `on` does not fit it" : "");
  norn_hint(st, "the choices of the proposal's model are the new values of the program's choices of the "
                "same addresses; `let x ~ d as \"theta[0]\"` gives one any address");
  return false;
}

/* A choice of the proposal: drawn, or that of `old` (NULL: drawn).  false: error set. */
static bool choose(kernel *k, norn_run *r, const norn_event *ev, proposal_run *p, const trace *old)
{
  norn_state *st = norn_infer_state(k->inf);
  const trace_choice *was = old ? trace_find(old, ev->addr) : NULL;
  double logq, excess;
  norn_datum v = norn_none();
  if (!not_movable(k, ev)) return false;
  if (old && !was) { p->logq = -HUGE_VAL; return true; }
  if (was) v = trace_value(was);
  else if (!engine_sample(st, r, ev, false, &v, &excess)) return false;
  if (!engine_logp(st, ev->dist, v, ev->span, &logq)) return false;
  p->logq += logq;
  trace_choice *c = trace_add(st, &p->t, ev->addr);
  if (!c || !trace_set(st, c, v)) return false;
  c->span = ev->span;
  norn_run_answer(r, v);
  return true;
}

/* Runs the proposal to its end; stops where its density is 0. */
static bool propose(kernel *k, const trace *given, const trace *fixed, proposal_run *p)
{
  norn_state *st = norn_infer_state(k->inf);
  norn_run *r = run_given(k, given);
  norn_event ev;
  bool good = r != NULL, going = good;
  trace_clear(&p->t);
  p->logq = 0;
  while (good && going && p->logq > -HUGE_VAL) {
    switch (norn_run_next(r, &ev)) {
    case NORN_SAMPLE: good = choose(k, r, &ev, p, fixed); break;
    case NORN_DONE: going = false; break;
    case NORN_OBSERVE:
      engine_fail(st, NORN_EINFER, ev.span, "a proposal can't observe: its density must be that of its "
                  "choices");
      good = false;
      break;
    case NORN_INFER:
      engine_fail(st, NORN_EINFER, ev.span, "a proposal can't run an inference of its own");
      good = false;
      break;
    case NORN_DEAD: case NORN_ERROR: case NORN_READY: case NORN_BRANCH: case NORN_JOINED: good = false; break;
    }
  }
  if (r) norn_run_free(r);
  return good;
}

bool proposer_forth(kernel *k, const trace *t)
{
  mh_kernel *m = k->self;
  return propose(k, t, NULL, &m->q.forth);
}

bool proposer_back(kernel *k, const trace *new, const trace *old)
{
  mh_kernel *m = k->self;
  proposer *q = &m->q;
  if (!propose(k, new, old, &q->back)) return false;
  for (size_t i = 0; i < old->n && q->back.logq > -HUGE_VAL; i++) {
    const trace_choice *o = &old->c[i], *c = trace_find(new, o->addr);
    bool kept = c && c->row == o->row && c->support == o->support;
    if (kept && c->mark == MH_GIVEN && !trace_find(&q->back.t, o->addr) &&
        !norn_equal(trace_value(c), trace_value(o)))
      q->back.logq = -HUGE_VAL;
  }
  return true;
}

bool proposer_used(kernel *k)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  char name[120];
  for (size_t i = 0; i < m->q.forth.t.n; i++) {
    const trace_choice *c = &m->q.forth.t.c[i];
    if (c->mark) continue;
    norn_addr_name(st, c->addr, name, sizeof name);
    engine_fail(st, NORN_EINFER, c->span, "this proposal gives %s a value, but the program then makes no "
                "such choice", name);
    norn_hint(st, "a proposal makes exactly the choices whose values it changes: what it draws for itself "
                  "would have to be part of its density");
    return false;
  }
  return true;
}
