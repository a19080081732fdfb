/* density: a model as a function of unconstrained coordinates (norn.h), by recording a run of it.

   The run is answered with nodes: each choice gets inputs of the graph, put through the map of its
   support; its prior, the log Jacobian and every observation are terms.  The compiled graph serves
   all points at which its guards hold; elsewhere the run is recorded again, and what was compiled is
   kept for when a point comes back (KEPT programs, the least recently used goes).  The choices and
   their supports must be the same in every run: a changing set has no fixed R^n. */
#include "infer/engine.h"
#include "graph/graph.h"
#include <stdio.h>
#include <string.h>

enum { KEPT = 16, TRIES = 100 };

typedef struct choice {
  uint64_t addr;
  norn_support s;
  int64_t u, nfree, x, nelem;          /* where in u and among the constrained numbers */
  int rank; int64_t dims[NORN_RANK_MAX];
  uint32_t first;                      /* nodes of its elements: index into `element` */
  bool improper;
} choice;

/* One recording. */
typedef struct tape {
  graph *g;
  program *p;
  uint32_t *element; size_t nelement, celement;   /* node of each constrained number */
  double *number; size_t cnumber;                  /* of those that are no node: constants */
  norn_ref *value;
  uint64_t used;
} tape;

struct norn_density {
  norn_state *st;
  int64_t dim;
  double (*f)(void *user, const double *u, double *gradient);
  void *user;
  norn_ref *model;
  uint64_t stream, clock;
  unsigned flags;
  choice *choice; size_t nchoice, cchoice;
  bool fixed;                          /* the choices are known */
  tape tape[KEPT]; int ntape;
  tape *last;                          /* that of the last point; NULL: there was none */
  norn_span blame;
};

/* ---- made of a C function ---- */

norn_density *norn_density_of(norn_state *st, int64_t n,
                              double (*f)(void *user, const double *u, double *gradient),
                              void *user)
{
  norn_density *d = engine_get(st, sizeof *d);
  if (!d) return NULL;
  d->st = st;
  d->dim = n;
  d->f = f;
  d->user = user;
  return d;
}

static void tape_free(norn_density *d, tape *t)
{
  norn_state *st = d->st;
  program_free(t->p);
  graph_free(t->g);
  engine_put(st, t->element, t->celement * sizeof *t->element);
  engine_put(st, t->number, t->cnumber * sizeof *t->number);
  if (t->value) norn_drop(t->value);
  memset(t, 0, sizeof *t);
}

void norn_density_free(norn_density *d)
{
  if (!d) return;
  norn_state *st = d->st;
  for (int i = 0; i < d->ntape; i++) tape_free(d, &d->tape[i]);
  engine_put(st, d->choice, d->cchoice * sizeof *d->choice);
  if (d->model) norn_drop(d->model);
  engine_put(st, d, sizeof *d);
}

int64_t norn_density_dim(const norn_density *d) { return d->dim; }
norn_span norn_density_blame(norn_density *d) { return d->blame; }

/* ---- recording a choice ---- */

typedef struct recording {
  norn_density *d;
  tape *t;
  const double *u;                     /* NULL: the dimension is not known yet: zeros */
  size_t nchoice;
  int64_t at, x;                       /* inputs and constrained numbers so far */
  norn_span span;
  uint64_t addr;
} recording;

static norn_status refuse(recording *r, const char *what, const char *hint)
{
  char name[120];
  norn_status status = engine_fail(r->d->st, NORN_EINFER, r->span, "%s %s",
                                   norn_addr_name(r->d->st, r->addr, name, sizeof name), what);
  if (hint) norn_hint(r->d->st, "%s", hint);
  return status;
}

static norn_datum input(recording *r)
{
  double v = r->u ? r->u[r->at] : 0;
  r->at++;
  return graph_input(r->t->g, v);
}

static bool term(recording *r, norn_datum x)
{
  if (r->d->flags & NORN_DENSITY_NO_JACOBIAN) return true;
  return !norn_is_none(x) && graph_target(r->t->g, x, r->span);
}

/* x = lower + exp u, upper - exp u, lower + (upper - lower) inv_logit u, or u, with log dx/du. */
static norn_datum scalar_map(recording *r, norn_support_kind kind, norn_datum lower,
                             norn_datum upper)
{
  graph *g = r->t->g;
  norn_datum u = input(r), e, w;
  if (kind == NORN_SUPPORT_REAL || norn_is_none(u)) return u;
  if (kind == NORN_SUPPORT_INTERVAL) {
    w = graph_op2(g, G_SUB, upper, lower);
    e = graph_op1(g, G_INV_LOGIT, u);
    if (!term(r, graph_op1(g, G_LOG, w)) || !term(r, graph_op1(g, G_LOGIT_JACOBIAN, u)))
      return norn_none();
    return graph_op2(g, G_ADD, graph_op2(g, G_MUL, e, w), lower);
  }
  e = graph_op1(g, G_EXP, u);
  if (!term(r, u)) return norn_none();
  return kind == NORN_SUPPORT_LOWER ? graph_op2(g, G_ADD, e, lower)
                                    : graph_op2(g, G_SUB, upper, e);
}

/* x = location + scale u, of noncentered(). */
static norn_datum shifted_map(recording *r, norn_datum location, norn_datum scale)
{
  graph *g = r->t->g;
  norn_datum u = input(r);
  if (norn_is_none(u) || !term(r, graph_op1(g, G_LOG, scale))) return norn_none();
  return graph_op2(g, G_ADD, graph_op2(g, G_MUL, u, scale), location);
}

/* A bound of unit k: the leaf that it is, or a number. */
static norn_datum bound_of(const norn_dist *d, const norn_support *s, bool upper, int64_t k,
                           const double *bounds)
{
  int64_t leaf = upper ? s->upper_leaf : s->lower_leaf;
  double b = upper ? s->upper : s->lower;
  if (leaf >= 0) {
    norn_datum v = graph_leaf(d, leaf + (b == b ? 0 : k));
    if (!norn_is_none(v)) return v;
  }
  return norn_real(b == b ? b : *bounds);
}

/* A structured support: its map as a call; the last result is the log Jacobian.  If `moved`, the
   two bounds are inputs after the free numbers. */
typedef struct structured {
  norn_support s;
  size_t size;
  bool moved;
  double work[];
} structured;

static norn_support support_at(const structured *k, const double *u)
{
  norn_support s = k->s;
  if (k->moved) {
    s.lower = u[norn_support_free(&s)];
    s.upper = u[norn_support_free(&s) + 1];
  }
  return s;
}

static bool map_forward(void *self, const double *u, double *x)
{
  norn_support s = support_at(self, u);
  double j = 0;
  norn_support_constrain(&s, u, x, &j);
  x[norn_support_elems(&s)] = j;
  return j == j && j < HUGE_VAL && j > -HUGE_VAL;
}
static void map_adjoint(void *self, const double *u, const double *x, const double *gx, double *gu)
{
  structured *k = self;
  norn_support s = support_at(k, u);
  double *bound = gu + norn_support_free(&s);
  norn_support_adjoint(&s, u, x, gx, gx[norn_support_elems(&s)], gu, k->moved ? bound : NULL,
                       k->moved ? bound + 1 : NULL, k->work);
}
static void map_free(norn_state *st, void *self)
{
  engine_put(st, self, ((structured *)self)->size);
}
static const graph_call map_call = {"constraint", map_forward, map_adjoint, map_free,
                                    .uses_state = false};

static bool structured_map(recording *r, const norn_support *s, norn_datum lower, norn_datum upper,
                           norn_datum *x)
{
  norn_state *st = r->d->st;
  int64_t m = norn_support_free(s), n = norn_support_elems(s) + 1;
  size_t size = sizeof(structured) + (size_t)n * sizeof(double), all = (size_t)(m + n + 2);
  structured *self = engine_get(st, size);
  norn_datum *in = engine_get(st, all * sizeof *in);
  double *v = engine_get(st, all * sizeof *v);
  bool good = self && in && v;
  if (good) {
    self->s = *s;
    self->size = size;
    self->moved = !norn_is_none(lower);
    for (int64_t i = 0; i < m; i++) in[i] = input(r);
    if (self->moved) {
      in[m++] = lower;
      in[m++] = upper;
    }
    for (int64_t i = 0; i < m; i++) v[i] = in[i].d;
    map_forward(self, v, v + m);
    good = graph_called_new(r->t->g, &map_call, self, in, (uint32_t)m, v + m, in + m, (uint32_t)n);
    for (int64_t i = 0; good && i + 1 < n; i++) x[i] = in[m + i];
    good = good && term(r, in[m + n - 1]);
  }
  engine_put(st, in, all * sizeof *in);
  engine_put(st, v, all * sizeof *v);
  return good;
}

/* The shape of values: that of a draw, or for what can't be drawn that of the support. */
static norn_status shape_of(recording *r, const norn_dist *d, choice *c)
{
  norn_datum x;
  norn_view v;
  norn_rng g = {.stream = r->d->stream, .event = (uint32_t)r->nchoice};
  c->rank = 0;
  if (!c->improper) {
    norn_status status = norn_dist_sample(r->d->st, d, &g, &x);
    if (status) return status;
    if (norn_array_view(x, &v)) {
      c->rank = v.rank;
      memcpy(c->dims, v.dims, sizeof c->dims);
    }
    return NORN_OK;
  }
  if (c->s.count > 1) c->dims[c->rank++] = c->s.count;
  if (c->s.kind >= NORN_SUPPORT_SIMPLEX) c->dims[c->rank++] = c->s.size;
  if (c->s.kind >= NORN_SUPPORT_CORR) c->dims[c->rank++] = c->s.size;
  return NORN_OK;
}

static bool same_choice(const choice *a, const choice *b)
{
  return a->addr == b->addr && a->s.kind == b->s.kind && a->s.size == b->s.size &&
         a->s.count == b->s.count && a->nelem == b->nelem;
}

/* The choice that this event is; the first recording makes the list, later ones must follow it. */
static norn_status choice_of(recording *r, const norn_dist *concrete, choice **out)
{
  norn_density *d = r->d;
  choice c = {.addr = r->addr, .u = r->at, .x = r->x,
              .improper = norn_dist_flags(concrete) & NORN_DIST_IMPROPER};
  norn_status status = norn_dist_support(d->st, concrete, &c.s);
  if (status) return status;
  if (norn_dist_flags(concrete) & NORN_DIST_DISCRETE || c.s.kind >= NORN_SUPPORT_BOOL)
    return refuse(r, norn_dist_flags(concrete) & NORN_DIST_DISCRETE
                  ? "is discrete: a gradient can't move it"
                  : "has a support that has no map to R^n",
                  "sum it out in the model (mixture, log_sum_exp), or use mh(), smc() or "
                  "enumerate()");
  c.nfree = norn_support_free(&c.s) * c.s.count;
  c.nelem = norn_support_elems(&c.s) * c.s.count;
  if (d->fixed) {
    if (r->nchoice >= d->nchoice || !same_choice(&d->choice[r->nchoice], &c))
      return refuse(r, "is not a choice of every run: gradients need the same choices in each",
                    "mh() and smc() run programs whose choices change");
    c.rank = d->choice[r->nchoice].rank;
    memcpy(c.dims, d->choice[r->nchoice].dims, sizeof c.dims);
    c.first = (uint32_t)r->t->nelement;
    d->choice[r->nchoice] = c;
  } else {
    if ((status = shape_of(r, concrete, &c))) return status;
    c.first = (uint32_t)r->t->nelement;
    if (!engine_room(d->st, &d->choice, &d->cchoice, r->nchoice + 1, sizeof c)) return NORN_EMEMORY;
    d->choice[r->nchoice] = c;
    d->nchoice = r->nchoice + 1;
  }
  *out = &d->choice[r->nchoice];
  return NORN_OK;
}

/* n values as nested arrays of the shape. */
static norn_datum nested(norn_state *st, const norn_datum *x, int rank, const int64_t *dims)
{
  void *to;
  if (rank == 0) return *x;
  norn_datum a = norn_array(st, NORN_VALUES, 1, dims, &to);
  if (norn_is_none(a)) return a;
  int64_t row = 1;
  for (int i = 1; i < rank; i++) row *= dims[i];
  for (int64_t k = 0; k < dims[0]; k++) ((norn_datum *)to)[k] = norn_unit();
  for (int64_t k = 0; k < dims[0]; k++) {
    norn_datum e = nested(st, x + k * row, rank - 1, dims + 1);
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[k] = e;
  }
  return a;
}

/* Keeps where the choice's numbers are: nodes, or (a map may give constants) numbers. */
static bool elements_note(recording *r, const norn_datum *x, int64_t n)
{
  tape *t = r->t;
  norn_state *st = r->d->st;
  if (!engine_room(st, &t->element, &t->celement, t->nelement + (size_t)n, sizeof *t->element) ||
      !engine_room(st, &t->number, &t->cnumber, t->nelement + (size_t)n, sizeof *t->number))
    return false;
  for (int64_t i = 0; i < n; i++) {
    bool node = graph_is_node(x[i]);
    t->element[t->nelement] = node ? graph_index(x[i]) : UINT32_MAX;
    t->number[t->nelement++] = node ? 0 : x[i].d;
  }
  return true;
}

/* A number between bounds of which each may be infinite. */
static norn_support_kind kind_between(double lower, double upper)
{
  if (lower == -HUGE_VAL) return upper == HUGE_VAL ? NORN_SUPPORT_REAL : NORN_SUPPORT_UPPER;
  return upper == HUGE_VAL ? NORN_SUPPORT_LOWER : NORN_SUPPORT_INTERVAL;
}

/* Whether a bound moves with a parameter: then as itself, or (hidden) in another way. */
static bool moves(const norn_support *s, bool hidden)
{
  return hidden ? s->lower_leaf == -2 || s->upper_leaf == -2
                : s->lower_leaf != -1 || s->upper_leaf != -1;
}

/* The bounds of the units as nodes, in b (2 count), where they move in a way that no leaf tells. */
static bool bound_nodes(recording *r, const norn_dist *d, const norn_support *s, norn_datum *b)
{
  for (int i = 0; i < d->n; i++)
    if (norn_has_node(d->args[i])) return graph_bounds(r->t->g, d, s->count, b);
  return true;
}

/* Numbers: `bounds` (2 count) has their present bounds; b: these as nodes, or none. */
static bool number_nodes(recording *r, const norn_dist *d, const norn_dist *concrete,
                         const norn_support *s, const double *bounds, const norn_datum *b, norn_datum *x)
{
  for (int64_t k = 0; k < s->count; k++) {
    norn_datum lower = bound_of(d, s, false, k, bounds + k), other = b[k];
    norn_datum upper = bound_of(d, s, true, k, bounds + s->count + k);
    int64_t at[2];
    if (!norn_is_none(other)) lower = other, upper = b[s->count + k];
    if (s->kind == NORN_SUPPORT_REAL &&
        norn_dist_noncentered(r->d->st, concrete, k, &at[0], &at[1]))
      x[k] = shifted_map(r, graph_leaf(d, at[0]), graph_leaf(d, at[1]));
    else x[k] = scalar_map(r, kind_between(bounds[k], bounds[s->count + k]), lower, upper);
    if (norn_is_none(x[k])) return false;
  }
  return true;
}

static bool choice_nodes(recording *r, const norn_dist *d, const norn_dist *concrete, choice *c,
                         norn_datum *x)
{
  norn_state *st = r->d->st;
  const norn_support *s = &c->s;
  size_t n = (size_t)(2 * s->count) + 1;
  bool vector = s->kind > NORN_SUPPORT_INTERVAL, good = true;
  double *bounds = engine_get(st, n * sizeof *bounds);
  norn_datum *b = engine_get(st, n * sizeof *b);
  good = bounds && b && !norn_dist_bounds(st, concrete, bounds, bounds + s->count);
  for (size_t k = 0; good && k < n; k++) b[k] = norn_none();
  if (good && moves(s, !vector)) good = bound_nodes(r, d, s, b);
  for (int64_t k = 0; vector && good && k < s->count; k++)
    good = structured_map(r, s, b[k], b[s->count + k], x + k * norn_support_elems(s));
  if (!vector && good) good = number_nodes(r, d, concrete, s, bounds, b, x);
  engine_put(st, bounds, n * sizeof *bounds);
  engine_put(st, b, n * sizeof *b);
  return good;
}

static norn_status record_sample(recording *r, norn_run *run, const norn_event *ev)
{
  norn_state *st = r->d->st;
  choice *c = NULL;
  norn_datum args[16];
  norn_dist concrete = {ev->dist->row, args, ev->dist->n};
  r->span = ev->span;
  r->addr = ev->addr;
  if (ev->dist->n > 16) return refuse(r, "has too many parameters", NULL);
  for (int i = 0; i < ev->dist->n; i++) args[i] = norn_concrete(st, ev->dist->args[i]);
  norn_status status = choice_of(r, &concrete, &c);
  if (status) return status;
  norn_datum *x = engine_get(st, (size_t)c->nelem * sizeof *x), value = norn_none();
  bool good = x && choice_nodes(r, ev->dist, &concrete, c, x) && elements_note(r, x, c->nelem);
  if (good) value = nested(st, x, c->rank, c->dims);
  engine_put(st, x, (size_t)c->nelem * sizeof *x);
  if (!good || norn_is_none(value)) return norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
  if (!c->improper && !graph_observe(r->t->g, ev->dist, value, ev->span)) {
    engine_place(st, ev->span);
    return norn_error(st)->code;
  }
  r->nchoice++;
  r->x += c->nelem;
  norn_run_answer(run, value);
  return NORN_OK;
}

/* ---- recording a run ---- */

/* outside: the run has weight 0 here, or a parameter left its domain: there is no tape. */
static norn_status record_events(recording *r, norn_run *run, bool *outside)
{
  norn_state *st = r->d->st;
  for (;;) {
    norn_event ev;
    norn_status status = NORN_OK;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE:
      r->t->value = norn_keep(st, ev.value);
      return r->t->value ? NORN_OK : NORN_EMEMORY;
    case NORN_SAMPLE: status = record_sample(r, run, &ev); break;
    case NORN_OBSERVE:
      r->d->blame = ev.span;
      if (ev.flags & NORN_EV_CONDITION) {
        double lw = 0;
        norn_as_real(ev.value, &lw);
        if (lw == -HUGE_VAL) *outside = true;
      } else if (ev.flags & NORN_EV_FACTOR) {
        if (!graph_target(r->t->g, ev.value, ev.span)) status = norn_error(st)->code;
      } else if (!graph_observe(r->t->g, ev.dist, ev.value, ev.span)) {
        engine_place(st, ev.span);
        status = norn_error(st)->code;
      }
      if (*outside && r->d->fixed) return NORN_OK;
      break;
    case NORN_INFER:
      return engine_fail(st, NORN_EINFER, ev.span,
                         "an inference inside a model can't be recorded for a gradient");
    default:
      if (r->nchoice > 0 && norn_error(st)->code == NORN_EDOMAIN && r->d->fixed) {
        r->d->blame = norn_error(st)->span;
        norn_clear(st);
        *outside = true;
        return NORN_OK;
      }
      return norn_error(st)->code;
    }
    if (status) return status;
  }
}

/* A place for a new recording. */
static tape *tape_take(norn_density *d)
{
  if (d->ntape < KEPT) return &d->tape[d->ntape++];
  tape *t = &d->tape[0];
  for (int i = 1; i < KEPT; i++)
    if (d->tape[i].used < t->used) t = &d->tape[i];
  tape_free(d, t);
  return t;
}

static void tape_drop(norn_density *d, tape *t)
{
  tape_free(d, t);
  tape *end = &d->tape[--d->ntape];
  if (t != end) { *t = *end; memset(end, 0, sizeof *end); }
  d->last = NULL;
}

/* Records at u (NULL: at zeros, to learn the choices).  *out NULL: the point is outside. */
static norn_status record(norn_density *d, const double *u, tape **out)
{
  norn_state *st = d->st;
  bool outside = false;
  tape *t = tape_take(d);
  recording r = {.d = d, .t = t, .u = u};
  *out = NULL;
  d->last = NULL;
  t->g = graph_new(st);
  norn_run *run = t->g ? norn_run_new(st, norn_get(d->model), NULL, 0) : NULL;
  norn_status status = run ? NORN_OK : NORN_EMEMORY;
  if (run) {
    norn_run_flags(run, NORN_RUN_NAMES | NORN_RUN_CHECK);
    norn_run_stream(run, d->stream, 0, 0);
    norn_graph_attach(st, t->g);
    status = record_events(&r, run, &outside);
    norn_graph_attach(st, NULL);
    norn_run_free(run);
  }
  if (!status && !outside && d->fixed && r.nchoice != d->nchoice)
    status = norn_fail(st, NORN_EINFER, -1,
                       "this run makes %zu choices and another %zu: gradients need the same in each",
                       r.nchoice, d->nchoice);
  if (!status && !outside && t->g->failed) status = NORN_EMEMORY;
  if (!status && !outside && !(t->p = program_new(t->g))) status = NORN_EMEMORY;
  if (status || outside) { tape_drop(d, t); return status; }
  if (!d->fixed) { d->fixed = true; d->dim = r.at; }
  t->used = ++d->clock;
  *out = t;
  return NORN_OK;
}

norn_density *norn_density_new(norn_state *st, norn_datum model, uint64_t stream, unsigned flags)
{
  tape *t;
  norn_density *d = engine_get(st, sizeof *d);
  if (!d) return NULL;
  d->st = st;
  d->stream = stream;
  d->flags = flags;
  d->model = norn_keep(st, model);
  if (d->model && !record(d, NULL, &t)) {
    if (d->fixed || t) return d;
    norn_fail(st, NORN_EINFER, -1, "the model has weight 0 at its first point");
  }
  norn_density_free(d);
  return NULL;
}

/* ---- asking ---- */

/* Tries what is compiled, the last used first. */
static eval_status eval_kept(norn_density *d, const double *u, double *logp, double *gradient)
{
  size_t where;
  tape *first = d->last;
  for (int i = -1; i < d->ntape; i++) {
    tape *t = i < 0 ? first : &d->tape[i];
    if (!t || (i >= 0 && t == first)) continue;
    eval_status s = program_eval(t->p, u, logp, gradient, &where);
    if (s == EVAL_GUARD) continue;
    t->used = ++d->clock;
    d->last = t;
    d->blame = where < t->g->nterm ? t->g->term[where].span : (norn_span){0, 0, 0};
    return s;
  }
  return EVAL_GUARD;
}

norn_status norn_density_eval(norn_density *d, const double *u, double *logp, double *gradient)
{
  tape *t;
  size_t where;
  if (d->f) {
    *logp = d->f(d->user, u, gradient);
    if (*logp != *logp || *logp == HUGE_VAL) *logp = -HUGE_VAL;
    return NORN_OK;
  }
  if (eval_kept(d, u, logp, gradient) != EVAL_GUARD) return NORN_OK;
  *logp = -HUGE_VAL;
  norn_status status = record(d, u, &t);
  if (status || !t) return status;
  if (program_eval(t->p, u, logp, gradient, &where) == EVAL_GUARD) *logp = -HUGE_VAL;
  d->last = t;
  return NORN_OK;
}

const char *norn_density_name(norn_density *d, int64_t i, char *buf, size_t n)
{
  char name[160];
  snprintf(buf, n, "u[%lld]", (long long)i);
  for (size_t k = 0; k < d->nchoice; k++) {
    const choice *c = &d->choice[k];
    if (i < c->u || i >= c->u + c->nfree) continue;
    norn_addr_name(d->st, c->addr, name, sizeof name);
    int64_t j = i - c->u;
    if (c->rank == 0) snprintf(buf, n, "%s", name);
    else if (c->rank == 2 && c->s.kind <= NORN_SUPPORT_INTERVAL)
      snprintf(buf, n, "%s[%lld, %lld]", name, (long long)(j / c->dims[1]),
               (long long)(j % c->dims[1]));
    else snprintf(buf, n, "%s[%lld]", name, (long long)j);
  }
  return buf;
}

/* ---- values at a point ---- */

static bool at_point(norn_density *d, const double *u)
{
  double logp;
  return norn_density_eval(d, u, &logp, NULL) == NORN_OK && d->last;
}

static double element_value(const tape *t, size_t i)
{
  return t->element[i] == UINT32_MAX ? t->number[i] : program_value(t->p, t->element[i]);
}

/* A choice's value at the last point, packed. */
static norn_datum choice_value(norn_density *d, const choice *c)
{
  const tape *t = d->last;
  void *to;
  if (c->rank == 0) return norn_real(element_value(t, c->first));
  norn_datum a = norn_array(d->st, NORN_F64, c->rank, c->dims, &to);
  for (int64_t i = 0; !norn_is_none(a) && i < c->nelem; i++)
    ((double *)to)[i] = element_value(t, c->first + (size_t)i);
  return a;
}

/* An array of nodes and reals, packed at once: nothing is collected while an engine works, so that
   what is in between would stay. */
static bool realise_reals(norn_density *d, const norn_view *a, norn_datum *out)
{
  void *to;
  for (int64_t i = 0; i < a->n; i++)
    if (!graph_is_node(a->v[i]) && a->v[i].tag != NORN_REAL) return false;
  *out = norn_array(d->st, NORN_F64, 1, &a->n, &to);
  for (int64_t i = 0; !norn_is_none(*out) && i < a->n; i++)
    ((double *)to)[i] = graph_is_node(a->v[i]) ? program_value(d->last->p, graph_index(a->v[i]))
                                               : a->v[i].d;
  return true;
}

/* The recorded value with numbers for nodes; NONE without an error: not of simple kinds. */
static norn_datum realise(norn_density *d, norn_datum v)
{
  norn_state *st = d->st;
  norn_view a;
  void *to;
  if (graph_is_node(v)) return norn_real(program_value(d->last->p, graph_index(v)));
  int n = norn_record_size(v);
  if (n >= 0) {
    const char *names[64];
    norn_datum values[64];
    if (n > 64) return norn_none();
    for (int i = 0; i < n; i++) {
      names[i] = norn_record_at(st, v, i, &values[i]);
      values[i] = realise(d, values[i]);
      if (norn_is_none(values[i])) return norn_none();
    }
    return norn_record(st, n, names, values);
  }
  if (!norn_array_view(v, &a)) {
    unsigned kind = norn_kind_of(v);
    return kind <= NORN_ENUM || kind == NORN_STR ? v : norn_none();
  }
  if (a.elem != NORN_VALUES) return v;
  norn_datum packed;
  if (a.rank == 1 && a.n > 0 && realise_reals(d, &a, &packed)) return packed;
  norn_datum list = norn_array(st, NORN_VALUES, 1, a.dims, &to);
  if (norn_is_none(list)) return list;
  for (int64_t i = 0; i < a.dims[0]; i++) ((norn_datum *)to)[i] = norn_unit();
  for (int64_t i = 0; i < a.dims[0]; i++) {
    norn_datum e = realise(d, norn_array_at(st, v, i));
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[i] = e;
  }
  return norn_array_pack(st, to, a.dims[0]);
}

/* Runs the model with its choices answered by their values at the last point. */
static norn_status run_again(norn_density *d, norn_datum *out)
{
  norn_state *st = d->st;
  size_t k = 0;
  norn_run *run = norn_run_new(st, norn_get(d->model), NULL, 0);
  if (!run) return NORN_EMEMORY;
  norn_run_flags(run, 0);
  norn_status status = NORN_OK;
  for (bool more = true; more && !status;) {
    norn_event ev;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: *out = ev.value; more = false; break;
    case NORN_SAMPLE:
      if (k >= d->nchoice) { status = norn_fail(st, NORN_EUSE, -1, "one choice too many"); break; }
      norn_run_answer(run, choice_value(d, &d->choice[k++]));
      break;
    case NORN_OBSERVE: break;
    default: status = norn_error(st)->code ? norn_error(st)->code : NORN_EINFER; break;
    }
  }
  norn_run_free(run);
  return status;
}

norn_status norn_density_value(norn_density *d, const double *u, norn_datum *out)
{
  void *to;
  *out = norn_none();
  if (d->f) {
    *out = norn_array(d->st, NORN_F64, 1, &d->dim, &to);
    if (!norn_is_none(*out)) memcpy(to, u, (size_t)d->dim * sizeof *u);
    return norn_is_none(*out) ? NORN_EMEMORY : NORN_OK;
  }
  if (!at_point(d, u)) {
    norn_status s = norn_error(d->st)->code;
    return s ? s : norn_fail(d->st, NORN_EUSE, -1, "this point has no value: its density is 0");
  }
  *out = realise(d, norn_get(d->last->value));
  if (!norn_is_none(*out)) return NORN_OK;
  if (norn_error(d->st)->code) return norn_error(d->st)->code;
  return run_again(d, out);
}

norn_status norn_density_draw(norn_density *d, norn_infer *inf, const double *u, double logw,
                              norn_rng *g)
{
  norn_datum value;
  (void)g;
  norn_status status = norn_density_value(d, u, &value);
  if (status) return status;
  norn_ref *kept = norn_keep(d->st, value);
  if (!kept) return NORN_EMEMORY;
  for (size_t i = 0; i < d->nchoice && !status; i++) {
    norn_datum x = choice_value(d, &d->choice[i]);
    status = norn_is_none(x) ? NORN_EMEMORY : norn_infer_choice(inf, d->choice[i].addr, x);
  }
  if (!status) status = norn_infer_draw(inf, norn_get(kept), logw);
  norn_drop(kept);
  return status;
}

/* ---- starts ---- */

/* The support of unit k with the bounds that it has in this run. */
static bool unit_support(const choice *c, norn_state *st, const norn_dist *dist, int64_t k,
                         norn_support *s)
{
  *s = c->s;
  bool shared = s->lower == s->lower && s->upper == s->upper;
  if (shared && s->lower_leaf == -1 && s->upper_leaf == -1) return true;
  size_t n = (size_t)(2 * s->count);
  double *b = engine_get(st, n * sizeof *b);
  bool good = b && !norn_dist_bounds(st, dist, b, b + s->count);
  if (good) {
    s->lower = b[k];
    s->upper = b[s->count + k];
  }
  engine_put(st, b, n * sizeof *b);
  return good;
}

/* A value of a choice as its free coordinates; false: it is not inside. */
static bool unconstrain(const choice *c, norn_state *st, const norn_dist *dist, norn_datum x,
                        double *u)
{
  int64_t elems = norn_support_elems(&c->s), m = norn_support_free(&c->s);
  double stack[64], *v = elems <= 64 ? stack : engine_get(st, (size_t)elems * sizeof *v);
  bool good = v != NULL;
  for (int64_t k = 0; k < c->s.count && good; k++) {
    norn_support s;
    for (int64_t i = 0; i < elems; i++) v[i] = norn_elem_real(x, k * elems + i);
    good = unit_support(c, st, dist, k, &s) && norn_support_unconstrain(&s, v, u + c->u + k * m);
    int64_t at[2];
    double from, by;
    if (good && s.kind == NORN_SUPPORT_REAL && norn_dist_noncentered(st, dist, k, &at[0], &at[1]) &&
        norn_as_real(graph_leaf(dist, at[0]), &from) && norn_as_real(graph_leaf(dist, at[1]), &by))
      u[c->u + k] = (v[0] - from) / by;
  }
  if (v != stack) engine_put(st, v, (size_t)elems * sizeof *v);
  return good;
}

/* Walks a run with concrete choices: pick gives each its value. */
typedef norn_status (*pick_fn)(norn_density *, const choice *, const norn_event *, void *of,
                               norn_datum *x);
static norn_status walk(norn_density *d, pick_fn pick, void *of, double *u)
{
  norn_state *st = d->st;
  size_t k = 0;
  norn_status status = NORN_OK;
  norn_run *run = norn_run_new(st, norn_get(d->model), NULL, 0);
  if (!run) return NORN_EMEMORY;
  norn_run_flags(run, 0);
  for (bool more = true; more && !status;) {
    norn_event ev;
    norn_datum x;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: more = false; break;
    case NORN_OBSERVE: break;
    case NORN_SAMPLE:
      if (k >= d->nchoice) { status = norn_fail(st, NORN_EUSE, -1, "one choice too many"); break; }
      if ((status = pick(d, &d->choice[k], &ev, of, &x))) break;
      if (!unconstrain(&d->choice[k], st, ev.dist, x, u) && u)
        status = engine_fail(st, NORN_EDOMAIN, ev.span, "a start lies outside of the support");
      k++;
      norn_run_answer(run, x);
      break;
    default: status = norn_error(st)->code ? norn_error(st)->code : NORN_EINFER; break;
    }
  }
  norn_run_free(run);
  return status;
}

static norn_status pick_prior(norn_density *d, const choice *c, const norn_event *ev, void *of,
                              norn_datum *x)
{
  norn_rng *g = of;
  if (!c->improper) {
    norn_rng own = *g;
    own.event = (uint32_t)(c->addr ^ c->addr >> 32);
    return norn_dist_sample(d->st, ev->dist, &own, x);
  }
  /* uniform on (-2, 2) in u */
  int64_t m = norn_support_free(&c->s), n = norn_support_elems(&c->s);
  void *to;
  double one = 0, *v = &one, stack[64], *u = m <= 64 ? stack : engine_get(d->st, (size_t)m * 8);
  if (!u) return NORN_EMEMORY;
  if (c->rank) {
    *x = norn_array(d->st, NORN_F64, c->rank, c->dims, &to);
    if (norn_is_none(*x)) return NORN_EMEMORY;
    v = to;
  }
  for (int64_t k = 0; k < c->s.count; k++) {
    norn_support s;
    for (int64_t i = 0; i < m; i++) u[i] = 4 * norn_rng_uniform(g) - 2;
    if (!unit_support(c, d->st, ev->dist, k, &s)) s = c->s;
    norn_support_constrain(&s, u, v + k * n, NULL);
  }
  if (!c->rank) *x = norn_real(one);
  if (u != stack) engine_put(d->st, u, (size_t)m * 8);
  return NORN_OK;
}

norn_status norn_density_prior(norn_density *d, norn_rng *g, double *u)
{
  for (int64_t i = 0; d->f && i < d->dim; i++) u[i] = 4 * norn_rng_uniform(g) - 2;
  return d->f ? NORN_OK : walk(d, pick_prior, g, u);
}

typedef struct wanted { norn_ref *values; const double *u; int met; } wanted;
static norn_status pick_wanted(norn_density *d, const choice *c, const norn_event *ev, void *of,
                               norn_datum *x)
{
  char name[160];
  wanted *w = of;
  norn_addr_name(d->st, c->addr, name, sizeof name);
  *x = norn_record_get(d->st, norn_get(w->values), name);
  if (!norn_is_none(*x)) {
    int64_t n = norn_array_length(*x);
    w->met++;
    if ((n < 0) == (c->rank == 0)) return NORN_OK;
    return engine_fail(d->st, NORN_ETYPE, ev->span, "the start of %s has not the shape of its value",
                       name);
  }
  double logp;
  norn_status status = norn_density_eval(d, w->u, &logp, NULL);
  if (status) return status;
  if (!d->last) return norn_fail(d->st, NORN_EINFER, -1, "the start of %s must be given", name);
  *x = choice_value(d, c);
  return norn_is_none(*x) ? NORN_EMEMORY : NORN_OK;
}

static norn_datum values_of(const wanted *w) { return norn_get(w->values); }

/* The first name of a start that no choice has. */
static norn_status unmet(norn_density *d, norn_datum values)
{
  char name[160];
  norn_datum v;
  for (int i = 0; i < norn_record_size(values); i++) {
    const char *wants = norn_record_at(d->st, values, i, &v);
    bool there = false;
    for (size_t k = 0; k < d->nchoice && !there; k++)
      there = !strcmp(norn_addr_name(d->st, d->choice[k].addr, name, sizeof name), wants);
    if (!there)
      return norn_fail(d->st, NORN_EINFER, -1, "a start is given for %s, but no choice is called so",
                       wants);
  }
  return NORN_OK;
}

norn_status norn_density_at(norn_density *d, norn_datum values, double *u)
{
  if (d->f) return norn_fail(d->st, NORN_EUSE, -1, "this density has no named choices");
  double *before = engine_get(d->st, (size_t)(d->dim + 1) * sizeof *before);
  if (!before) return NORN_EMEMORY;
  memcpy(before, u, (size_t)d->dim * sizeof *u);
  wanted w = {norn_keep(d->st, values), before, 0};
  norn_status status = w.values ? walk(d, pick_wanted, &w, u) : NORN_EMEMORY;
  if (!status && w.met < norn_record_size(values_of(&w)))
    status = unmet(d, values_of(&w));
  if (w.values) norn_drop(w.values);
  engine_put(d->st, before, (size_t)(d->dim + 1) * sizeof *before);
  return status;
}
