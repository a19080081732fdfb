/* density_hold: densities over a block of a model's choices (norn.h, norn_density_block).

   A held choice is answered with its present value: real numbers as inputs of the graph, beside
   those of the coordinates, so that a recording serves all values; what is no real number (counts,
   categories) as a constant, so that it may be an index, a length, a side of a branch; if these
   change often, those with few values are switched (density.h, switching).  What a recording is
   made with is kept with it: it is void, as where a guard breaks, while a constant is another now,
   or a choice it made does not exist.

       program's inputs   u[0]  held  held  u[1]  ...      in the order of the run
       from               0     -     -     1

   The coordinates are those of the choices which exist now (norn_density_present runs the model with the
   present values to see them).  A point where the run makes others is outside: the density is that of
   the block given also which choices there are. */
#include "infer/gradient/density.h"
#include <string.h>

/* ---- what a recording is made with ---- */

bool hold_input(recording *r, uint32_t coordinate)
{
  norn_state *st = r->d->st;
  tape *t = r->t;
  size_t n = r->t->g->ninput;
  if (!engine_room(st, &t->from, &t->cfrom, n + 1, sizeof *t->from)) return false;
  t->from[n] = coordinate;
  return true;
}

static held *held_find(const tape *t, uint64_t addr)
{
  for (size_t i = t->nheld; i-- > 0;)
    if (t->held[i].addr == addr) return &t->held[i];
  return NULL;
}

/* Its numbers, if it is a real number or an array of them. */
static bool reals_of(norn_datum v, const double **x, double *one, norn_view *shape)
{
  memset(shape, 0, sizeof *shape);
  if (v.tag == NORN_REAL) {
    *one = v.d;
    *x = one;
    shape->n = 1;
    return true;
  }
  if (!norn_array_view(v, shape) || shape->elem != NORN_F64 || !shape->n) return false;
  *x = shape->f;
  return true;
}

/* The same value with inputs for its numbers. */
static norn_datum held_nodes(recording *r, const double *x, const norn_view *shape)
{
  norn_state *st = r->d->st;
  size_t n = (size_t)shape->n;
  norn_datum *node = engine_get(st, n * sizeof *node), v = norn_none();
  bool good = node != NULL;
  for (size_t i = 0; good && i < n; i++) {
    good = hold_input(r, NOTHING);
    if (good) node[i] = graph_input(r->t->g, x[i]);
    good = good && !norn_is_none(node[i]);
  }
  if (good) v = choice_nested(st, node, shape->rank, shape->dims);
  engine_put(st, node, n * sizeof *node);
  return v;
}

static held *no_answer(norn_state *st)
{
  norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return NULL;
}

held *hold_meet(recording *r, const norn_event *ev)
{
  norn_density *d = r->d;
  tape *t = r->t;
  norn_view shape;
  const double *x;
  double one;
  held *h = r->forked ? held_find(t, ev->addr) : NULL;
  if (h) return h;
  norn_datum v = d->hold.value(d->hold.user, ev->addr);
  if (norn_is_none(v)) return NULL;
  if (!engine_room(d->st, &t->held, &t->cheld, t->nheld + 1, sizeof *t->held)) return NULL;
  h = &t->held[t->nheld];
  *h = (held){.addr = ev->addr, .first = (uint32_t)t->g->ninput};
  if (!d->constants && reals_of(v, &x, &one, &shape)) {
    h->n = (uint32_t)shape.n;
    v = held_nodes(r, x, &shape);
  } else {
    h->hash = norn_hash(v);
  }
  h->answer = norn_is_none(v) ? NULL : norn_keep(d->st, v);
  if (!h->answer) return norn_error(d->st)->code ? NULL : no_answer(d->st);
  t->nheld++;
  return h;
}

/* Its values from the first on, which are integers or booleans; their number, or 0: there are more than
   SWITCHED, or others.  st has no error afterwards. */
static uint32_t few_values(norn_state *st, const norn_dist *d, int64_t *value)
{
  norn_datum args[16], v;
  norn_dist concrete = {d->row, args, d->n};
  norn_support range;
  uint32_t n = 0;
  bool good = d->n <= 16;
  for (int i = 0; good && i < d->n; i++) args[i] = norn_concrete(st, d->args[i]);
  good = good && !norn_dist_support(st, &concrete, &range);
  if (good && range.kind == NORN_SUPPORT_INTEGER) good = range.upper - range.lower < SWITCHED;
  while (good) {
    good = !norn_dist_enumerate(st, &concrete, n, &v);
    if (good && norn_is_none(v)) break;
    good = good && n < SWITCHED && (v.tag == NORN_INT || v.tag == NORN_BOOL);
    if (good) value[n++] = v.i;
  }
  norn_clear(st);
  return good ? n : 0;
}

bool hold_switches(recording *r, const norn_event *ev)
{
  int64_t value[SWITCHED];
  const norn_density *d = r->d;
  if (!r->switches || !engine_is_discrete(ev->dist)) return false;
  return !norn_is_none(d->hold.value(d->hold.user, ev->addr)) && few_values(d->st, ev->dist, value) > 0;
}

held *hold_switch(recording *r, uint64_t addr, const int64_t *value, uint32_t n)
{
  norn_state *st = r->d->st;
  tape *t = r->t;
  const int64_t dims = n;
  norn_datum node[SWITCHED];
  held *h = held_find(t, addr);
  if (h) {                                       /* of another path */
    if (h->value && h->n == n && !memcmp(h->value, value, n * sizeof *value)) return h;
    norn_fail(st, NORN_EINFER, -1, "a held choice has other values on another path");
    return NULL;
  }
  if (!engine_room(st, &t->held, &t->cheld, t->nheld + 1, sizeof *t->held)) return NULL;
  h = &t->held[t->nheld];
  *h = (held){.addr = addr, .first = (uint32_t)t->g->ninput, .n = n};
  for (uint32_t k = 0; k < n; k++) {
    if (!hold_input(r, NOTHING)) return NULL;
    node[k] = graph_input(t->g, 0);
    if (norn_is_none(node[k])) return NULL;
  }
  norn_datum all = choice_nested(st, node, 1, &dims);
  h->answer = norn_is_none(all) ? NULL : norn_keep(st, all);
  h->value = h->answer ? engine_get(st, n * sizeof *value) : NULL;
  t->nheld += h->answer != NULL;
  if (!h->value) return no_answer(st);
  memcpy(h->value, value, n * sizeof *value);
  return h;
}

bool hold_complete(const recording *r)
{
  const norn_density *d = r->d;
  int64_t met = (int64_t)(r->t->nheld + r->nchoice) + d->ndiscrete;
  return r->nchoice == d->nchoice && met == d->hold.count(d->hold.user);
}

void hold_free(norn_state *st, tape *t)
{
  for (size_t i = 0; i < t->nheld; i++) {
    held *h = &t->held[i];
    if (h->answer) norn_drop(h->answer);
    if (h->value) engine_put(st, h->value, h->n * sizeof *h->value);
  }
  engine_put(st, t->held, t->cheld * sizeof *t->held);
  engine_put(st, t->from, t->cfrom * sizeof *t->from);
  engine_put(st, t->in, 2 * t->nin * sizeof *t->in);
}

/* ---- evaluation ---- */

/* Where v is among the values that are switched; what is not weighs nothing.  false: it is none of them. */
static bool switch_fill(const held *h, norn_datum v, double *in)
{
  bool found = false;
  for (uint32_t k = 0; k < h->n; k++) {
    bool is = (v.tag == NORN_INT || v.tag == NORN_BOOL) && v.i == h->value[k];
    in[k] = is ? 0 : -HUGE_VAL;
    found |= is;
  }
  return found;
}

/* Fills in the held inputs as they are now; stands: the constants are the same. */
static bool hold_fill(norn_density *d, tape *t)
{
  norn_view shape;
  const double *x;
  double one;
  t->stands = (int64_t)(t->nheld + d->nchoice) + d->ndiscrete == d->hold.count(d->hold.user);
  for (size_t i = 0; i < t->nheld && t->stands; i++) {
    const held *h = &t->held[i];
    norn_datum v = d->hold.value(d->hold.user, h->addr);
    if (norn_is_none(v)) t->stands = false;
    else if (h->value) t->stands = switch_fill(h, v, t->in + h->first);
    else if (!h->n) t->stands = norn_hash(v) == h->hash;
    else {
      t->stands = reals_of(v, &x, &one, &shape) && shape.n == h->n;
      if (t->stands) memcpy(t->in + h->first, x, (size_t)h->n * sizeof *x);
    }
  }
  t->epoch = d->epoch;
  return t->stands;
}

bool hold_ready(norn_density *d, tape *t)
{
  size_t n = t->g->ninput + 1;
  t->in = engine_get(d->st, 2 * n * sizeof *t->in);
  if (!t->in) return false;
  t->nin = n;
  t->gradient = t->in + n;
  return true;
}

eval_status hold_eval(norn_density *d, tape *t, const double *u, double *logp, double *gradient,
                      size_t *where)
{
  if (!d->block) return program_eval(t->p, u, logp, gradient, where);
  *where = (size_t)-1;
  if (t->epoch != d->epoch) hold_fill(d, t);
  if (!t->stands) return EVAL_GUARD;
  size_t n = t->g->ninput;
  for (size_t i = 0; i < n; i++)
    if (t->from[i] != NOTHING) t->in[i] = u[t->from[i]];
  eval_status s = program_eval(t->p, t->in, logp, gradient ? t->gradient : NULL, where);
  if (t->switched && s == EVAL_OUTSIDE) {        /* perhaps only what is not held */
    d->doubt = true;
    return EVAL_GUARD;
  }
  for (size_t i = 0; gradient && i < n; i++)
    if (t->from[i] != NOTHING) gradient[t->from[i]] = t->gradient[i];
  return s;
}

/* ---- the coordinates that there are now ---- */

/* A run with the present values, and the list of choices that it makes. */
typedef struct seen {
  recording r;                         /* for messages, and the places of choices */
  choice *choice; size_t n, c;
  int64_t ndiscrete, nheld;            /* nheld: discrete ones that are held, and the hash of their values */
  uint64_t labels;
} seen;

static norn_status here_room(norn_density *d, int64_t n)
{
  int64_t want = d->nhere ? d->nhere : 16;
  if (n <= d->nhere) return NORN_OK;
  while (want < n) want *= 2;
  double *x = engine_get(d->st, (size_t)want * sizeof *x);
  if (!x) return NORN_EMEMORY;
  if (d->nhere) memcpy(x, d->here, (size_t)d->nhere * sizeof *x);
  engine_put(d->st, d->here, (size_t)d->nhere * sizeof *x);
  d->here = x;
  d->nhere = want;
  return NORN_OK;
}

/* A free choice. */
static norn_status seen_choice(seen *s, const norn_event *ev, norn_datum v)
{
  norn_density *d = s->r.d;
  norn_view shape;
  choice c;
  if (engine_is_discrete(ev->dist)) return s->ndiscrete++, NORN_OK;
  s->r.span = ev->span;
  s->r.addr = ev->addr;
  norn_status status = choice_read(&s->r, ev->dist, &c);
  if (!status) status = here_room(d, s->r.at + c.nfree);
  if (status) return status;
  if (norn_array_view(v, &shape)) {
    c.rank = shape.rank;
    memcpy(c.dims, shape.dims, sizeof c.dims);
  }
  if (!engine_room(d->st, &s->choice, &s->c, s->n + 1, sizeof c)) return NORN_EMEMORY;
  if (!choice_unconstrain(&c, d->st, ev->dist, v, d->here))
    return engine_fail(d->st, NORN_EDOMAIN, ev->span, "a value lies outside of the support");
  s->choice[s->n++] = c;
  s->r.at += c.nfree;
  s->r.x += c.nelem;
  return NORN_OK;
}

static norn_status seen_run(seen *s, norn_run *run)
{
  norn_density *d = s->r.d;
  size_t passed = 0;
  for (;;) {
    norn_event ev;
    norn_datum v;
    norn_status status = NORN_OK;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: return NORN_OK;
    case NORN_OBSERVE:
      if (++passed == d->barriers) return NORN_OK;
      break;
    case NORN_SAMPLE:
      v = d->hold.value(d->hold.user, ev.addr);
      if (norn_is_none(v))
        return engine_fail(d->st, NORN_EINFER, ev.span, "a choice of this run has no value at present");
      if (d->hold.kind(d->hold.user, &ev) == NORN_HOLD_FREE) status = seen_choice(s, &ev, v);
      else if (engine_is_discrete(ev.dist)) {
        s->nheld++;
        s->labels = hash_mix(s->labels + ev.addr) + norn_hash(v);
      }
      if (status) return status;
      norn_run_answer(run, d->hold.value(d->hold.user, ev.addr));
      break;
    case NORN_INFER:
      if ((status = density_nested_again(d->st, run, &ev))) return status;
      break;
    default: return norn_error(d->st)->code ? norn_error(d->st)->code : NORN_EINFER;
    }
  }
}

static bool seen_same(const norn_density *d, const seen *s)
{
  bool same = s->n == d->nchoice && s->ndiscrete == d->ndiscrete;
  for (size_t i = 0; i < s->n && same; i++) same = choice_same(&d->choice[i], &s->choice[i]);
  return same;
}

static void tapes_free(norn_density *d)
{
  for (int i = 0; i < d->ntape; i++) tape_free(d, &d->tape[i]);
  d->ntape = 0;
  d->last = NULL;
}

/* So many discrete ones that recordings for their values would not be met again, and they change: they are
   switched from now on. */
static void labels_look(norn_density *d, const seen *s)
{
  enum { CHANGES = 8, MANY = 5 };
  if (s->labels == d->labels) return;
  d->labels = s->labels;
  if (++d->nchange < CHANGES || s->nheld < MANY || d->switching != SWITCH_NOT_YET) return;
  d->switching = SWITCH_ON;
  tapes_free(d);
}

/* The block has other choices: what is recorded goes. */
static void seen_take(norn_density *d, seen *s)
{
  tapes_free(d);
  engine_put(d->st, d->choice, d->cchoice * sizeof *d->choice);
  d->choice = s->choice;
  d->nchoice = s->n;
  d->cchoice = s->c;
  d->ndiscrete = s->ndiscrete;
  d->dim = s->r.at;
  s->choice = NULL;
  s->c = 0;
}

const double *norn_density_present(norn_density *d, bool *anew)
{
  seen s = {.r = {.d = d}};
  norn_status status = here_room(d, 1);
  *anew = false;
  d->epoch++;
  norn_run *run = status ? NULL : norn_run_new(d->st, norn_get(d->model), NULL, 0);
  if (!run) return NULL;
  norn_run_flags(run, NORN_RUN_NAMES);
  status = seen_run(&s, run);
  norn_run_free(run);
  if (!status && (*anew = !d->fixed || !seen_same(d, &s))) seen_take(d, &s);
  engine_put(d->st, s.choice, s.c * sizeof *s.choice);
  if (status) return NULL;
  d->fixed = true;
  labels_look(d, &s);
  return d->here;
}

norn_density *norn_density_block(norn_state *st, norn_datum model, uint64_t stream, unsigned flags,
                                 norn_hold hold)
{
  return density_block_part(st, model, stream, flags, hold, 0);
}

norn_density *density_block_part(norn_state *st, norn_datum model, uint64_t stream, unsigned flags,
                                 norn_hold hold, size_t barriers)
{
  bool anew;
  norn_density *d = engine_get(st, sizeof *d);
  if (!d) return NULL;
  d->st = st;
  d->stream = stream;
  d->flags = flags;
  d->block = true;
  d->barriers = barriers;
  d->hold = hold;
  d->model = norn_keep(st, model);
  if (d->model && norn_density_present(d, &anew)) return d;
  norn_density_free(d);
  return NULL;
}

norn_status norn_density_tell(norn_density *d, const double *u,
                              norn_status (*f)(void *user, uint64_t addr, norn_datum), void *user)
{
  double logp;
  if (d->f) return norn_fail(d->st, NORN_EUSE, -1, "this density has no named choices");
  norn_status status = norn_density_eval(d, u, &logp, NULL);
  if (!status && !d->last)
    return norn_fail(d->st, NORN_EUSE, -1, "this point has no values: its density is 0");
  for (size_t i = 0; i < d->nchoice && !status; i++) {
    norn_datum x = choice_value(d, &d->choice[i]);
    status = norn_is_none(x) ? NORN_EMEMORY : f(user, d->choice[i].addr, x);
  }
  return status;
}
