/* density_choice: a continuous choice as nodes.  Its coordinates are inputs of the graph, put through
   the map of its support to R^n (norn.h, norn_support), with the log Jacobian as a term.  Bounds that
   move with other parameters are nodes too; a noncentered() choice is location + scale u. */
#include "infer/gradient/density.h"
#include "graph/calls.h"
#include "num/rng.h"
#include <string.h>

norn_status density_refuse(recording *r, const char *what, const char *hint)
{
  char name[120];
  norn_status status = engine_fail(r->d->st, NORN_EINFER, r->span, "%s %s",
                                   norn_addr_name(r->d->st, r->addr, name, sizeof name), what);
  if (hint) norn_hint(r->d->st, "%s", hint);
  return status;
}

/* Without a point: zeros, or at further tries uniform on (-2, 2). */
static norn_datum input(recording *r)
{
  norn_rng g = {.stream = r->d->stream, .lane = (uint32_t)r->d->tries, .iter = (uint32_t)r->at};
  double v = r->u ? r->u[r->at] : r->d->tries ? 4 * rng_uniform(&g) - 2 : 0;
  if (r->d->block && !hold_input(r, (uint32_t)r->at)) return norn_none();
  r->at++;
  return graph_input(r->t->g, v);
}

static bool term(recording *r, norn_datum x)
{
  if (r->d->flags & (NORN_DENSITY_NO_JACOBIAN | NORN_DENSITY_ROWS | DENSITY_LIKELIHOOD)) return true;
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

/* A structured support: its map as a call; the last result is the log Jacobian, a term.  If its bounds are nodes,
   they are inputs after the free numbers. */
static bool structured_map(recording *r, const norn_support *s, norn_datum lower, norn_datum upper,
                           norn_datum *x)
{
  norn_state *st = r->d->st;
  int64_t m = norn_support_free(s), n = norn_support_elems(s) + 1;
  size_t all = (size_t)(m + n + 2);
  bool moved = !norn_is_none(lower);
  norn_datum *in = engine_get(st, all * sizeof *in);
  if (!in) return false;
  for (int64_t i = 0; i < m; i++) in[i] = input(r);
  in[m] = lower;
  in[m + 1] = upper;
  norn_datum *out = in + m + 2;
  bool good = graph_constrain(r->t->g, s, in, moved, out);
  for (int64_t i = 0; good && i + 1 < n; i++) x[i] = out[i];
  good = good && term(r, out[n - 1]);
  engine_put(st, in, all * sizeof *in);
  return good;
}

norn_status choice_shape(recording *r, const norn_dist *d, choice *c)
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
  int64_t count = c->s.count;
  norn_dist own = *d;
  for (; !strcmp(own.row->name, "iid") && own.args[1].tag == NORN_INT && own.args[1].i > 0;
       norn_dist_view(own.args[0], &own)) {
    c->dims[c->rank++] = own.args[1].i;
    count /= own.args[1].i;
  }
  if (count > 1 || (own.n && norn_array_view(own.args[0], &v) && v.n == 1))
    c->dims[c->rank++] = count;
  if (c->s.kind >= NORN_SUPPORT_SIMPLEX) c->dims[c->rank++] = c->s.size;
  if (c->s.kind >= NORN_SUPPORT_CORR) c->dims[c->rank++] = c->s.size;
  return NORN_OK;
}

bool choice_same(const choice *a, const choice *b)
{
  return a->addr == b->addr && a->s.kind == b->s.kind && a->s.size == b->s.size &&
         a->s.count == b->s.count && a->nelem == b->nelem;
}

norn_status choice_read(recording *r, const norn_dist *concrete, choice *c)
{
  *c = (choice){.addr = r->addr, .span = r->span, .u = r->at, .x = r->x,
                .improper = norn_dist_flags(concrete) & NORN_DIST_IMPROPER};
  norn_status status = norn_dist_support(r->d->st, concrete, &c->s);
  if (status) return status;
  if (norn_dist_flags(concrete) & NORN_DIST_DISCRETE)
    return density_refuse(r, "is discrete and has no end of values: it can't be summed out",
                          "bound it: truncate(..., upper = N); or use mh() or smc()");
  if (c->s.kind >= NORN_SUPPORT_BOOL)
    return density_refuse(r, "has a support that has no map to R^n", "use mh() or smc()");
  c->nfree = norn_support_free(&c->s) * c->s.count;
  c->nelem = norn_support_elems(&c->s) * c->s.count;
  return NORN_OK;
}

/* The choice that this event is; the first recording makes the list, later ones must follow it. */
static norn_status choice_of(recording *r, const norn_dist *concrete, choice **out)
{
  norn_density *d = r->d;
  choice c;
  norn_status status = choice_read(r, concrete, &c);
  if (status) return status;
  if (d->fixed) {
    bool other = r->nchoice >= d->nchoice || !choice_same(&d->choice[r->nchoice], &c);
    if (other && d->block) return NORN_OK;
    if (other)
      return density_refuse(r, "is not a choice of every run: gradients need the same choices in each",
                    "mh() and smc() run programs whose choices change");
    c.rank = d->choice[r->nchoice].rank;
    memcpy(c.dims, d->choice[r->nchoice].dims, sizeof c.dims);
    c.first = (uint32_t)r->t->nelement;
    d->choice[r->nchoice] = c;
  } else {
    if ((status = choice_shape(r, concrete, &c))) return status;
    c.first = (uint32_t)r->t->nelement;
    if (!engine_room(d->st, &d->choice, &d->cchoice, r->nchoice + 1, sizeof c)) return NORN_EMEMORY;
    d->choice[r->nchoice] = c;
    d->nchoice = r->nchoice + 1;
  }
  *out = &d->choice[r->nchoice];
  return NORN_OK;
}

norn_datum choice_nested(norn_state *st, const norn_datum *x, int rank, const int64_t *dims)
{
  void *to;
  if (rank == 0) return *x;
  norn_datum a = norn_array(st, NORN_VALUES, 1, dims, &to);
  if (norn_is_none(a)) return a;
  int64_t row = 1;
  for (int i = 1; i < rank; i++) row *= dims[i];
  for (int64_t k = 0; k < dims[0]; k++) ((norn_datum *)to)[k] = norn_unit();
  for (int64_t k = 0; k < dims[0]; k++) {
    norn_datum e = choice_nested(st, x + k * row, rank - 1, dims + 1);
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
norn_support_kind density_kind_between(double lower, double upper)
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
    else x[k] = scalar_map(r, density_kind_between(bounds[k], bounds[s->count + k]), lower, upper);
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
  int64_t at[2];
  c->shifted = s->kind == NORN_SUPPORT_REAL && norn_dist_noncentered(st, concrete, 0, &at[0], &at[1]);
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

norn_status choice_record(recording *r, const norn_event *ev, norn_datum *value, choice **out)
{
  norn_state *st = r->d->st;
  choice *c = NULL;
  norn_datum args[16];
  norn_dist concrete = {ev->dist->row, args, ev->dist->n};
  if (ev->dist->n > 16) return density_refuse(r, "has too many parameters", NULL);
  for (int i = 0; i < ev->dist->n; i++) args[i] = norn_concrete(st, ev->dist->args[i]);
  norn_status status = choice_of(r, &concrete, &c);
  *out = NULL;
  if (status || !c) return status;
  norn_datum *x = engine_get(st, (size_t)c->nelem * sizeof *x);
  bool good = x && choice_nodes(r, ev->dist, &concrete, c, x) && elements_note(r, x, c->nelem);
  *value = norn_none();
  if (good) *value = choice_nested(st, x, c->rank, c->dims);
  engine_put(st, x, (size_t)c->nelem * sizeof *x);
  if (norn_is_none(*value)) return norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
  r->nchoice++;
  r->x += c->nelem;
  *out = c;
  return NORN_OK;
}

bool choice_like(norn_state *st, const choice *c, const norn_event *ev)
{
  norn_datum args[16];
  norn_dist concrete = {ev->dist->row, args, ev->dist->n};
  norn_support s;
  int64_t at[2];
  if (c->addr != ev->addr || ev->dist->n > 16) return false;
  for (int i = 0; i < ev->dist->n; i++) args[i] = norn_concrete(st, ev->dist->args[i]);
  if (norn_dist_support(st, &concrete, &s)) return norn_clear(st), false;
  bool still = s.lower_leaf == -1 && s.upper_leaf == -1 && s.lower == c->s.lower &&
               s.upper == c->s.upper;
  return still && c->s.lower_leaf == -1 && c->s.upper_leaf == -1 && s.kind == c->s.kind &&
         s.size == c->s.size && s.count == c->s.count &&
         !norn_dist_noncentered(st, &concrete, 0, &at[0], &at[1]);
}
