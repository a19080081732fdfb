/* mh_graph: a transition without a run.

   The present trace is recorded as a graph (graph/incremental.h): a choice of a family of numbers is an
   input, its prior and every observation a term; a branch leaves a guard.  A new value of one choice then
   costs what depends on it.  Whole numbers are nodes like others; if the program can't be recorded so
   (one is an index, the end of a loop), and truth values always, they are latent values (norn.h): the run
   may carry them about; where it looks at one, the choice is a constant, and changing it takes a run.  So
   do guards that break, and supports that move.  A vector has an input for each of its numbers, and what is
   drawn from its distribution lies on the heap: after some hundred of those a run lets the heap be
   collected.

   Random numbers and the ratio are those of a run, so draws are too, but for the rounding of sums.

   When is a trace recorded?  A recording costs some ten runs, and ends when a run is accepted.  After a
   graph that served few transitions the next one waits, twice as long each time; after one that served
   many, half as long.  Nothing of that depends on time. */
#include "infer/chains/mh.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

enum { PAYS = 30, LONGEST = 1 << 14, LITTER = 256, MOST = 1 << 21 /* operations */ };
#define NONE INCREMENTAL_NONE

typedef struct recorder {
  kernel *k;
  mh_graph *m;
  trace *t;
  norn_run *run;
  incremental_mark *mark; size_t nmark, cmark;
  size_t at;                           /* choices met */
  bool refused, away;                  /* away: the run must go on in the caller's thread */
} recorder;

static void graph_drop(mh_graph *m)
{
  for (size_t i = 0; i < m->n; i++) {
    if (m->c[i].dist) norn_drop(m->c[i].dist);
    m->c[i].dist = NULL;
  }
  incremental_free(m->inc);
  graph_free(m->g);
  if (m->result) norn_drop(m->result);
  if (m->like) norn_drop(m->like);
  m->inc = NULL;
  m->g = NULL;
  m->result = m->like = NULL;
  m->ready = m->stale = m->again_now = false;
  m->n = m->ninput = 0;
}

void mh_graph_free(norn_state *st, mh_graph *m)
{
  graph_drop(m);
  engine_put(st, m->c, m->cap * sizeof *m->c);
  engine_put(st, m->input, m->cinput * sizeof *m->input);
  engine_put(st, m->picked, m->cpicked * sizeof *m->picked);
  engine_put(st, m->to, m->cto * sizeof *m->to);
}

/* ---- recording ---- */

static bool refuse(recorder *r, const char *why)
{
  snprintf(r->m->why, sizeof r->m->why, "%s", why);
  r->refused = true;
  return false;
}

static bool mark(recorder *r, norn_datum node, incremental_kind kind, uint32_t of)
{
  norn_state *st = norn_infer_state(r->k->inf);
  if (!graph_is_node(node)) return true;
  if (!engine_room(st, &r->mark, &r->cmark, r->nmark + 1, sizeof *r->mark)) return false;
  r->mark[r->nmark++] = (incremental_mark){graph_index(node), of, kind};
  return true;
}

/* Marks each node in a value. */
static bool nodes_mark(recorder *r, norn_datum v, incremental_kind kind, uint32_t of)
{
  norn_view a;
  norn_dist d;
  if (graph_is_node(v)) return mark(r, v, kind, of);
  if (!norn_has_node(v)) return true;
  int n = 0;
  const norn_datum *part = norn_record_view(v, &n);
  if (norn_dist_view(v, &d)) {
    part = d.args;
    n = d.n;
  } else if (!part && norn_array_view(v, &a) && a.elem == NORN_VALUES) {
    part = a.v;
    n = (int)a.n;
  }
  if (!part) return refuse(r, "numbers that depend on choices are out of sight");
  for (int i = 0; i < n; i++)
    if (!nodes_mark(r, part[i], kind, of)) return false;
  return true;
}

/* A run looks at a choice: from now on it is a constant. */
static norn_datum look(void *user, int64_t i)
{
  recorder *r = user;
  r->m->c[i].easy = false;
  return trace_value(&r->t->c[i]);
}

/* What stands for a value in densities: the input behind a latent one, else itself. */
static norn_datum behind(const recorder *r, norn_datum v)
{
  if (v.tag != NORN_LATENT) return v;
  uint32_t input = r->m->input[r->m->c[v.i].input];
  norn_datum node = {.tag = NORN_NODE | (uint64_t)input << 32};
  node.d = r->m->g->value[input];
  return node;
}

/* The distribution of an event as the graph takes it; latents inside of arrays are told.  args (16). */
static bool dist_behind(recorder *r, const norn_dist *d, norn_datum *args, norn_dist *out)
{
  norn_state *st = norn_infer_state(r->k->inf);
  if (d->n > 16) return refuse(r, "a distribution has too many parameters");
  bool scalar = d->row->flags & NORN_DIST_SCALAR;
  for (int i = 0; i < d->n; i++) {
    args[i] = scalar ? behind(r, d->args[i]) : d->args[i];
    if (norn_has_latent(args[i])) args[i] = norn_force(st, args[i]);
  }
  *out = (norn_dist){d->row, args, d->n};
  return true;
}

static bool is_number(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || graph_is_node(v);
}

static bool can_be_input(const norn_event *ev, const norn_dist *d, norn_datum v)
{
  const norn_dist_row *row = d->row;
  if (ev->proposal || !(row->flags & NORN_DIST_SCALAR) || !row->logp1 || !row->check1 || d->n > NORN_DIST_P ||
      row->flags & (NORN_DIST_POSTERIOR | NORN_DIST_COSTLY))
    return false;
  for (int i = 0; i < d->n; i++)
    if (!is_number(d->args[i])) return false;
  return v.tag == NORN_REAL || ((v.tag == NORN_INT || v.tag == NORN_BOOL) && row->flags & NORN_DIST_DISCRETE);
}

/* May another value of its parameters give it another support?  By kinds whose bounds the row tells. */
static bool support_moves(norn_state *st, const norn_dist *d, bool node)
{
  norn_support s = {NORN_SUPPORT_ANY, 0, 0, 0, 1, -1, -1};
  if (!node) return false;
  if (d->row->support) d->row->support(st, d, &s);
  if (s.kind == NORN_SUPPORT_BOOL) return false;
  return s.kind >= NORN_SUPPORT_INTEGER || s.lower_leaf != -1 || s.upper_leaf != -1;
}

static bool can_be_inputs(const norn_event *ev, const norn_dist *d, norn_datum v)
{
  norn_view a;
  return !ev->proposal && norn_array_view(v, &a) && a.elem == NORN_F64 && a.n > 0 &&
         !(norn_dist_flags(d) & (NORN_DIST_DISCRETE | NORN_DIST_POSTERIOR | NORN_DIST_COSTLY));
}

/* A new input with this number; NONE: no memory. */
static norn_datum input_add(recorder *r, double x)
{
  mh_graph *m = r->m;
  norn_datum v = graph_input(m->g, x);
  if (norn_is_none(v) || !mark(r, v, INCREMENTAL_READ, NONE) ||
      !engine_room(norn_infer_state(r->k->inf), &m->input, &m->cinput, m->ninput + 1, sizeof *m->input))
    return norn_none();
  m->input[m->ninput++] = graph_index(v);
  return v;
}

/* Inputs for the numbers of an array from `at` on, in its shape. */
static norn_datum inputs_add(recorder *r, const norn_view *a, int depth, int64_t *at)
{
  void *to;
  if (depth == a->rank) return input_add(r, a->f[(*at)++]);
  norn_datum list = norn_array(norn_infer_state(r->k->inf), NORN_VALUES, 1, &a->dims[depth], &to);
  if (norn_is_none(list)) return list;
  for (int64_t i = 0; i < a->dims[depth]; i++) ((norn_datum *)to)[i] = norn_unit();
  for (int64_t i = 0; i < a->dims[depth]; i++) {
    norn_datum e = inputs_add(r, a, depth + 1, at);
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[i] = e;
  }
  return list;
}

/* What stands for the value of choice i in densities.  NONE: error set. */
static norn_datum choice_inputs(recorder *r, const norn_event *ev, const norn_dist *d, graph_choice *c,
                                norn_datum v)
{
  norn_view a;
  int64_t at = 0;
  c->input = r->m->ninput;
  if (can_be_input(ev, d, v)) v = input_add(r, v.tag == NORN_REAL ? v.d : (double)v.i);
  else if (can_be_inputs(ev, d, v) && norn_array_view(v, &a)) {
    norn_datum dist = norn_dist_new(norn_infer_state(r->k->inf), d->row, d->args, d->n);
    if (norn_is_none(dist) || !(c->dist = norn_keep(norn_infer_state(r->k->inf), dist))) return norn_none();
    v = inputs_add(r, &a, 0, &at);
  }
  c->ninput = r->m->ninput - c->input;
  c->easy = c->ninput > 0;
  return v;
}

/* What the graph must know of the arguments: all are read where a new value is drawn; where the support
   moves with them, when they change. */
static bool choice_args(recorder *r, const norn_event *ev, const norn_dist *d, graph_choice *c, uint32_t i)
{
  norn_state *st = norn_infer_state(r->k->inf);
  norn_datum now[16];
  norn_dist plain = {d->row, now, d->n};
  for (int j = 0; j < d->n; j++) {
    now[j] = norn_concrete(st, d->args[j]);
    c->depends |= norn_has_node(d->args[j]);
    if (c->easy && !c->dist)
      c->arg[j] = (graph_arg){graph_is_node(d->args[j]) ? graph_index(d->args[j]) : NONE, ev->dist->args[j]};
  }
  c->watched = support_moves(st, &plain, c->depends);
  for (int j = 0; c->depends && j < d->n; j++)
    if (!nodes_mark(r, d->args[j], c->watched ? INCREMENTAL_WATCH : INCREMENTAL_READ, c->watched ? i : NONE))
      return false;
  return true;
}

/* A choice of the run: its answer and the node of its prior. */
static bool choice_met(recorder *r, const norn_event *ev)
{
  mh_graph *m = r->m;
  norn_datum args[16], v, x, lw = norn_unit();
  norn_dist d;
  uint32_t i = (uint32_t)r->at;
  if (r->at >= r->t->n || r->t->c[r->at].addr != ev->addr)
    return refuse(r, "it does not make the same choices again");
  if (ev->proposal) return refuse(r, "a choice has a proposal of its own (via)");
  if (!dist_behind(r, ev->dist, args, &d)) return false;
  graph_choice *c = &m->c[r->at++];
  *c = (graph_choice){.row = d.row, .n = d.n, .prior = NONE};
  for (int j = 0; j < NORN_DIST_P; j++) c->arg[j].place = NONE;
  v = trace_value(&r->t->c[i]);
  x = choice_inputs(r, ev, &d, c, v);
  if (norn_is_none(x) || !choice_args(r, ev, &d, c, i)) return false;
  if (c->easy && !c->dist) lw = graph_density(m->g, d.row, x, d.args, d.n, false);
  else if (c->easy || c->depends) lw = graph_logpdf(m->g, &d, x, false);
  if (norn_is_none(lw) || !mark(r, lw, INCREMENTAL_PRIOR, i)) return false;
  c->prior = graph_is_node(lw) ? graph_index(lw) : NONE;
  if (c->easy && (v.tag == NORN_BOOL || (v.tag == NORN_INT && m->apart))) x = norn_latent(i);
  norn_run_answer(r->run, x);
  return true;
}

static bool row_met(void *user, norn_datum lw)
{
  recorder *r = user;
  double x;
  if (graph_is_node(lw)) return mark(r, lw, INCREMENTAL_OBSERVED, NONE);
  if (norn_as_real(lw, &x)) r->m->fixed += x;
  return true;
}

static bool observed(recorder *r, const norn_event *ev)
{
  norn_state *st = norn_infer_state(r->k->inf);
  norn_datum args[16], v = behind(r, ev->value);
  norn_dist d;
  if (ev->flags & NORN_EV_CONDITION) return true;            /* it holds: its guards say so */
  if (norn_has_latent(v)) v = norn_force(st, v);
  if (ev->flags & NORN_EV_FACTOR) return row_met(r, v);
  return dist_behind(r, ev->dist, args, &d) && graph_rows(r->m->g, &d, v, row_met, r);
}

/* A recorded value with the present numbers, of the kinds that they have in `like`; NONE without an
   error: not of simple kinds. */
static norn_datum realise(mh_graph *m, norn_state *st, const trace *t, norn_datum v, norn_datum like)
{
  norn_view a;
  norn_dist d;
  void *to;
  if (graph_is_node(v)) {
    double x = incremental_value(m->inc, incremental_place(m->inc, graph_index(v)));
    return like.tag == NORN_INT ? norn_int((int64_t)x) : norn_real(x);
  }
  if (v.tag == NORN_LATENT) return trace_value(&t->c[v.i]);
  if (!norn_has_node(v) && !norn_has_latent(v)) return v;
  int n = norn_record_size(v);
  if (n >= 0) {
    const char *names[64];
    norn_datum values[64];
    int kinds = 0;
    const norn_datum *kind = norn_record_view(like, &kinds);
    if (n > 64 || (kind && n != kinds)) return norn_none();
    for (int i = 0; i < n; i++) {
      names[i] = norn_record_at(st, v, i, &values[i]);
      values[i] = realise(m, st, t, values[i], kind ? kind[i] : norn_none());
      if (norn_is_none(values[i])) return norn_none();
    }
    return norn_record(st, n, names, values);
  }
  if (norn_dist_view(v, &d)) {
    norn_datum args[16];
    if (d.n > 16) return norn_none();
    for (int i = 0; i < d.n; i++) {
      args[i] = realise(m, st, t, d.args[i], norn_none());
      if (norn_is_none(args[i]) && !norn_is_none(d.args[i])) return norn_none();
    }
    return norn_dist_new(st, d.row, args, d.n);
  }
  bool kinds = !norn_is_none(like);
  if (!norn_array_view(v, &a) || a.elem != NORN_VALUES || (kinds && norn_array_length(like) != a.dims[0]))
    return norn_none();
  norn_datum list = norn_array(st, NORN_VALUES, 1, a.dims, &to);
  if (norn_is_none(list)) return list;
  for (int64_t i = 0; i < a.dims[0]; i++) ((norn_datum *)to)[i] = norn_unit();
  for (int64_t i = 0; i < a.dims[0]; i++) {
    norn_datum e = realise(m, st, t, norn_array_at(st, v, i), kinds ? norn_array_at(st, like, i) : norn_none());
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[i] = e;
  }
  return norn_array_pack(st, to, a.dims[0]);
}

/* Runs the program to its end; false: error set, or refused. */
static bool run_recorded(recorder *r)
{
  norn_state *st = norn_infer_state(r->k->inf);
  norn_event ev;
  for (;;) {
    if (r->m->g->nnode > MOST) return refuse(r, "it has too many operations");
    switch (norn_run_next(r->run, &ev)) {
    case NORN_SAMPLE:
      if (!choice_met(r, &ev)) return false;
      break;
    case NORN_OBSERVE:
      if (!observed(r, &ev)) return false;
      break;
    case NORN_DONE:
      if (r->at != r->t->n) return refuse(r, "it does not make the same choices again");
      if (!(r->m->result = norn_keep(st, ev.value))) return false;
      return nodes_mark(r, ev.value, INCREMENTAL_READ, NONE);
    case NORN_INFER:
      r->away = norn_is_none(ev.value);
      return r->away ? false : refuse(r, "it runs an inference");
    case NORN_DEAD: case NORN_ERROR: case NORN_READY: case NORN_BRANCH: case NORN_JOINED: return false;
    }
  }
}

/* Nodes become places; choices that were looked at become constants. */
static bool places_find(recorder *r)
{
  mh_graph *m = r->m;
  norn_state *st = norn_infer_state(r->k->inf);
  m->inc = incremental_new(m->g, r->mark, r->nmark);
  if (!m->inc) return false;
  for (size_t i = 0; i < m->n; i++) {
    graph_choice *c = &m->c[i];
    if (c->prior != NONE) c->prior = incremental_place(m->inc, c->prior);
    for (int j = 0; j < c->n && j < NORN_DIST_P; j++)
      if (c->arg[j].place != NONE) c->arg[j].place = incremental_place(m->inc, c->arg[j].place);
  }
  for (size_t i = 0; i < m->ninput; i++) m->input[i] = incremental_place(m->inc, m->input[i]);
  if (!(m->like = norn_keep(st, trace_result(r->t)))) return false;
  if (!norn_is_none(realise(m, st, r->t, norn_get(m->result), norn_get(m->like)))) return true;
  return norn_error(st)->code ? false : refuse(r, "what it returns holds numbers out of sight");
}

/* false: error set. */
static bool record(kernel *k, trace *t)
{
  mh_kernel *mk = k->self;
  norn_state *st = norn_infer_state(k->inf);
  mh_graph *m = &mk->graph;
  recorder r = {.k = k, .m = m, .t = t};
  graph_drop(m);
  m->fixed = 0;
  norn_clear(st);                                      /* of dead runs */
  m->g = graph_new(st);
  r.run = norn_run_new(st, norn_infer_model(k->inf), NULL, 0);
  bool good = m->g && r.run && engine_room(st, &m->c, &m->cap, t->n + 1, sizeof *m->c);
  if (good) {
    m->n = t->n;
    m->g->whole = true;
    norn_run_flags(r.run, NORN_RUN_NAMES);
    norn_graph_attach(st, m->g);
    norn_latent_attach(st, look, &r);
    good = run_recorded(&r) && places_find(&r);
    norn_latent_attach(st, NULL, NULL);
    norn_graph_attach(st, NULL);
  }
  if (r.run) norn_run_free(r.run);
  engine_put(st, r.mark, r.cmark * sizeof *r.mark);
  m->ready = good;
  m->version = t->version;
  if (good) return true;
  graph_drop(m);
  if (r.away) {                                        /* so it is made anew there */
    m->again_now = m->away = true;
    return true;
  }
  bool memory = !r.refused && norn_error(st)->code == NORN_EMEMORY, stop = norn_error(st)->code == NORN_EINTERRUPT;
  if (!r.refused && (stop || norn_error(st)->code == NORN_ELIMIT)) return false;
  if (!m->apart && !memory) {
    norn_clear(st);
    m->apart = true;
    return record(k, t);
  }
  m->off = true;
  if (memory) snprintf(m->why, sizeof m->why, "there is no memory for it");
  else if (!r.refused) snprintf(m->why, sizeof m->why, "%.199s", norn_error(st)->text);
  norn_clear(st);
  return true;
}

bool mh_graph_look(kernel *k, trace *t)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  if (m->off || mk->g.barriers < SIZE_MAX || ((m->ready || m->again_now) && m->version == t->version))
    return true;
  if (m->ready || m->again_now) {                                      /* a run was accepted: it has ended */
    m->again = m->served < PAYS ? 2 * m->again : m->again / 2;
    m->again = m->again > LONGEST ? LONGEST : m->again < 1 ? 1 : m->again;
    m->wait = m->again;
    graph_drop(m);
  }
  if (m->wait-- > 0) return true;
  m->served = 0;
  m->recorded++;
  return record(k, t);
}

/* After a checkpoint: the same graph, of the same trace. */
static bool record_again(kernel *k, trace *t)
{
  mh_graph *m = &((mh_kernel *)k->self)->graph;
  bool stale = m->stale;
  m->away = false;
  if (!record(k, t)) return false;
  m->stale = stale && m->ready;
  return true;
}

bool mh_graph_archive(kernel *k, const trace *t, norn_archive *a)
{
  mh_graph *m = &((mh_kernel *)k->self)->graph;
  bool ready = m->ready || m->again_now, stale = m->stale;
  ready = ready && m->version == t->version;
  norn_archive_bool(a, &m->off);
  norn_archive_bool(a, &m->apart);
  norn_archive_bool(a, &ready);
  norn_archive_bool(a, &stale);
  int64_t *const count[] = {&m->wait, &m->again, &m->served, &m->litter, &m->steps, &m->recorded};
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  if (!norn_archive_bytes(a, m->why, sizeof m->why)) return false;
  if (!norn_archive_reading(a)) return true;
  m->why[sizeof m->why - 1] = 0;
  m->again_now = ready;
  m->stale = ready && stale;
  m->version = t->version;
  return true;
}

/* ---- a transition ---- */

/* The distribution of choice i as it is now; args (NORN_DIST_P) is room.  false: error set. */
static bool dist_now(mh_graph *m, norn_state *st, const trace *t, size_t i, norn_datum *args, norn_dist *out)
{
  const graph_choice *c = &m->c[i];
  *out = (norn_dist){c->row, args, c->n};
  if (c->dist) {
    m->litter++;
    return norn_dist_view(c->depends ? realise(m, st, t, norn_get(c->dist), norn_none()) : norn_get(c->dist), out);
  }
  for (int j = 0; j < c->n; j++) {
    const graph_arg *a = &c->arg[j];
    args[j] = a->place == NONE ? a->value : norn_real(incremental_value(m->inc, a->place));
  }
  return true;
}

/* Which choices are renewed; false: one of them takes a run, or (failed) there is no memory. */
static bool picks_find(kernel *k, const trace *t, bool *failed)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  norn_state *st = norn_infer_state(k->inf);
  m->npicked = 0;
  size_t from = mk->whole_block ? 0 : mk->site, to = mk->whole_block ? t->n : mk->site + 1;
  for (size_t i = from; i < to && i < t->n; i++) {
    if (mk->whole_block && !mh_picked(mk, &t->c[i])) continue;
    if (!m->c[i].easy) return false;
    if (!engine_room(st, &m->picked, &m->cpicked, m->npicked + 1, sizeof *m->picked) ||
        !engine_room(st, &m->to, &m->cto, m->npicked + 1, sizeof *m->to))
      return !(*failed = true);
    m->picked[m->npicked++] = (uint32_t)i;
  }
  return m->npicked > 0;
}

/* The new value of pick p; a walk that leaves its support makes *outside.  false: error set. */
static bool pick_draw(kernel *k, const trace *t, size_t p, double *jacobian, bool *outside)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  norn_state *st = norn_infer_state(k->inf);
  const trace_choice *c = &t->c[m->picked[p]];
  norn_datum args[NORN_DIST_P];
  norn_dist d;
  if (!dist_now(m, st, t, m->picked[p], args, &d)) return false;
  norn_event ev = {.kind = NORN_SAMPLE, .addr = c->addr, .dist = &d, .span = c->span};
  double j;
  if (mk->has_drift) {
    norn_rng g = mh_numbers(mk, 1 + (uint32_t)mk->drift.nmoved, 0);
    int how = drift_move(st, &mk->drift, &ev, trace_value(c), &g, &m->to[p], &j);
    if (how == MH_MOVED && norn_is_none(m->to[p])) {
      *outside = true;
      m->to[p] = trace_value(c);
    } else if (how == MH_MOVED) {
      *jacobian += j;
    }
    if (how != MH_FRESH) return how >= 0;
  }
  norn_rng g = {.stream = mk->g.stream, .lane = mk->g.lane, .event = (uint32_t)(c->addr ^ c->addr >> 32),
                .iter = mk->g.iter};                   /* as norn_run_rng */
  incremental_skip(m->inc, m->picked[p]);
  return !norn_dist_sample(st, &d, &g, &m->to[p]);
}

/* The inputs of a choice become the numbers of a value. */
static void inputs_set(mh_graph *m, const graph_choice *c, norn_datum v)
{
  for (size_t i = 0; i < c->ninput; i++)
    incremental_set(m->inc, m->input[c->input + i],
                    c->dist ? norn_elem_real(v, (int64_t)i) : v.tag == NORN_REAL ? v.d : (double)v.i);
}

/* Each choice whose support may have moved still has the one that it had. */
static bool supports_hold(kernel *k, const trace *t)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  norn_state *st = norn_infer_state(k->inf);
  const uint32_t *of;
  size_t n = incremental_seen(m->inc, &of);
  norn_datum args[NORN_DIST_P];
  for (size_t i = 0; i < n; i++) {
    if (!m->c[of[i]].easy) return false;
    norn_dist d;
    if (!dist_now(m, st, t, of[i], args, &d)) return norn_clear(st), false;
    if (support_key(st, &d) != t->c[of[i]].support) return false;
  }
  return true;
}

/* Picks that depend on other picks are drawn one after the other: by a run. */
static bool picks_apart(const mh_graph *m)
{
  const incremental_change *log;
  size_t n = m->npicked > 1 ? incremental_changes(m->inc, &log) : 0;
  for (size_t p = 0; p < m->npicked && n; p++)
    if (m->c[m->picked[p]].dist && m->c[m->picked[p]].depends) return false;
  for (size_t i = 0; i < n; i++)
    for (size_t p = 0; p < m->npicked; p++) {
      const graph_choice *c = &m->c[m->picked[p]];
      for (int j = 0; j < c->n && j < NORN_DIST_P; j++)
        if (c->arg[j].place == log[i].at) return false;
    }
  return true;
}

/* The trace takes what the graph has. */
static bool graph_take(kernel *k, trace *t)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  const incremental_change *log;
  size_t n = incremental_changes(m->inc, &log);
  for (size_t i = 0; i < n; i++) {
    uint32_t of = incremental_prior_of(m->inc, log[i].at);
    if (of != NONE) t->c[of].logp = incremental_value(m->inc, log[i].at);
  }
  for (size_t p = 0; p < m->npicked; p++)
    if (!trace_set(norn_infer_state(k->inf), &t->c[m->picked[p]], m->to[p])) return false;
  incremental_keep(m->inc);
  t->logw = m->fixed + incremental_sum(m->inc);
  t->version = m->version = ++k->inf->stamps;
  m->stale = true;
  return true;
}

static int by_run(kernel *k)
{
  mh_kernel *mk = k->self;
  incremental_undo(mk->graph.inc);
  mk->drift.nmoved = 0;
  mk->drift.dim = 0;
  return 0;
}

int mh_graph_step(kernel *k, trace *t)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  bool failed = false, outside = false;
  double jacobian = 0, a = -HUGE_VAL;
  if (m->again_now && m->version == t->version && !record_again(k, t)) return -1;
  if (m->away) return 2;
  if (!m->ready || m->version != t->version || mk->g.barriers < SIZE_MAX) return 0;
  if (m->litter > LITTER) {                            /* a run collects */
    m->litter = 0;
    return 0;
  }
  if (!picks_find(k, t, &failed)) return failed ? -1 : 0;
  for (size_t p = 0; p < m->npicked; p++)
    if (!pick_draw(k, t, p, &jacobian, &outside)) return -1;
  for (size_t p = 0; p < m->npicked; p++)
    inputs_set(m, &m->c[m->picked[p]], m->to[p]);
  incremental_status s = incremental_run(m->inc);
  if (s == INCREMENTAL_BROKEN || !supports_hold(k, t) || !picks_apart(m)) return by_run(k);
  if (s == INCREMENTAL_OK && !outside)
    a = mk->g.beta * incremental_observed(m->inc) + incremental_priors(m->inc) + jacobian;
  m->served++;
  m->steps++;
  if (mh_decide(k, a)) return graph_take(k, t) ? 1 : -1;
  incremental_undo(m->inc);
  return 1;
}

bool mh_graph_settle(kernel *k, trace *t)
{
  mh_kernel *mk = k->self;
  mh_graph *m = &mk->graph;
  norn_state *st = norn_infer_state(k->inf);
  if (!m->stale || m->version != t->version) return true;
  norn_datum v = realise(m, st, t, norn_get(m->result), norn_get(m->like));
  m->stale = false;
  m->litter += v.tag & 0x40 ? 1 : 0;
  return !norn_is_none(v) && trace_set_result(st, t, v);
}

void mh_graph_add(kernel *k, const kernel *of, bool first)
{
  mh_graph *m = &((mh_kernel *)k->self)->graph;
  const mh_graph *n = &((const mh_kernel *)of->self)->graph;
  m->steps += n->steps;
  m->recorded += n->recorded;
  if (*n->why && (first || !*m->why)) memcpy(m->why, n->why, sizeof m->why);
}

bool mh_graph_counts(norn_archive *a, kernel *k)
{
  mh_graph *m = &((mh_kernel *)k->self)->graph;
  return norn_archive_i64(a, &m->steps) && norn_archive_i64(a, &m->recorded) &&
         norn_archive_text(a, m->why, sizeof m->why);
}

void mh_graph_note(kernel *k)
{
  mh_kernel *mk = k->self;
  const mh_graph *m = &mk->graph;
  norn_infer_note(k->inf, "incremental", norn_real(k->proposed ? (double)m->steps / (double)k->proposed : 0));
  if (*m->why) norn_infer_note(k->inf, "not_incremental", norn_cstring(norn_infer_state(k->inf), m->why));
}

/* ---- explain ---- */

/* A start, as mh would find one.  false: error set; *found: there is one. */
static bool start_find(norn_infer *inf, const target *g, trace *t, bool *found)
{
  execution x;
  target at = *g;
  norn_step s = NORN_STEP_DONE;
  *found = false;
  for (at.iter = 0; at.iter < 100 && !*found && s == NORN_STEP_DONE; at.iter++) {
    if (!execution_start(&x, inf, &at, t, NULL, NULL)) return false;
    do s = execution_step(&x);
    while (s == NORN_STEP_MORE);
    *found = s == NORN_STEP_DONE && !x.dead;
    execution_end(&x);
  }
  return s != NORN_STEP_FAIL;
}

static void graph_explain(const mh_graph *m, const trace *t, norn_state *st, text *out)
{
  size_t runs = 0, named = 0;
  char name[80];
  for (size_t i = 0; i < m->n; i++) runs += !m->c[i].easy;
  if (!m->ready) {
    text_printf(out, "a step: the program is run%s%s\n", *m->why ? ": " : "", m->why);
    return;
  }
  text_printf(out, "a step: what depends on the changed choice, of %zu operations", incremental_size(m->inc));
  for (size_t i = 0; i < m->n && named < 5; i++)
    if (!m->c[i].easy && norn_addr_name(st, t->c[i].addr, name, sizeof name))
      text_printf(out, "%s%s", named++ ? ", " : "; the program is run for ", name);
  if (runs > named) text_printf(out, " and %zu more", runs - named);
  text_putc(out, '\n');
}

bool mh_explain(norn_infer *inf, text *out)
{
  norn_state *st = norn_infer_state(inf);
  trace t = {0};
  target g = {.barriers = SIZE_MAX, .beta = 1, .stream = norn_infer_stream(inf)};
  kernel *k = kernel_new(inf, norn_get(inf->options), "explain");
  bool found, good = k && start_find(inf, &g, &t, &found);
  if (good && found) {
    mh_kernel *m = k->self;
    m->g = g;
    good = record(k, &t);
    if (good) graph_explain(&m->graph, &t, st, out);
  }
  kernel_free(k);
  trace_free(st, &t);
  return good;
}
