/* density_draw: values at a point of R^n, what was summed out drawn given it, and points for values. */
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

/* What was drawn of the lattice: the picks on the way, the last first; at (latents): the pick of each;
   `result` of its end. */
typedef struct drawn { uint32_t *pick, *at; size_t n, c, nat; norn_ref *result; } drawn;

static void drawn_free(norn_density *d, drawn *z)
{
  engine_put(d->st, z->pick, z->c * sizeof *z->pick);
  engine_put(d->st, z->at, z->nat * sizeof *z->at);
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

norn_datum choice_value(norn_density *d, const choice *c)
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
    if (graph_is_node(a->v[i]) ? (a->v[i].tag & (NODE_TRUTH | NODE_WHOLE)) != 0 : a->v[i].tag != NORN_REAL)
      return false;
  *out = norn_array(d->st, NORN_F64, 1, &a->n, &to);
  for (int64_t i = 0; !norn_is_none(*out) && i < a->n; i++)
    ((double *)to)[i] = graph_is_node(a->v[i]) ? program_value(d->last->p, graph_index(a->v[i]))
                                               : a->v[i].d;
  return true;
}

static norn_datum node_value(norn_density *d, norn_datum v)
{
  double x = program_value(d->last->p, graph_index(v));
  if (v.tag & NODE_TRUTH) return norn_bool(x != 0);
  return v.tag & NODE_WHOLE && fabs(x) < 0x1p53 ? norn_int((int64_t)x) : norn_real(x);
}

/* The recorded value with numbers for nodes; NONE without an error: not of simple kinds. */
static norn_datum realise(norn_density *d, const drawn *z, norn_datum v)
{
  norn_state *st = d->st;
  norn_view a;
  void *to;
  if (graph_is_node(v)) return node_value(d, v);
  if (v.tag == NORN_LATENT)
    return z->at ? column_at(st, &d->last->l.value, z->at[v.i]) : norn_none();
  int n = norn_record_size(v);
  if (n >= 0) {
    const char *names[64];
    norn_datum values[64];
    if (n > 64) return norn_none();
    for (int i = 0; i < n; i++) {
      names[i] = norn_record_at(st, v, i, &values[i]);
      values[i] = realise(d, z, values[i]);
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
    norn_datum e = realise(d, z, norn_array_at(st, v, i));
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[i] = e;
  }
  return norn_array_pack(st, to, a.dims[0]);
}

/* ---- what was summed out ---- */

/* One of the links by weight: by a number of g, or without it the heaviest. */
static uint32_t link_draw(const tape *t, meeting m, norn_rng *g)
{
  double top = -HUGE_VAL, sum = 0, at;
  uint32_t best = m.first;
  if (m.n == 1) return best;
  for (uint32_t i = m.first; i < m.first + m.n; i++) {
    const weight *w = &t->l.link[i].w;
    double x = w->node == NOTHING ? w->number : program_value(t->p, w->node);
    if (x > top) { top = x; best = i; }
  }
  if (!g) return best;
  for (uint32_t i = m.first; i < m.first + m.n; i++) {
    const weight *w = &t->l.link[i].w;
    sum += exp((w->node == NOTHING ? w->number : program_value(t->p, w->node)) - top);
  }
  at = norn_rng_uniform(g) * sum;
  for (uint32_t i = m.first; i < m.first + m.n; i++) {
    const weight *w = &t->l.link[i].w;
    at -= exp((w->node == NOTHING ? w->number : program_value(t->p, w->node)) - top);
    if (at < 0) return i;
  }
  return best;
}

/* From the end backwards, at the last point. */
static bool lattice_draw(norn_density *d, norn_rng *g, drawn *out)
{
  const tape *t = d->last;
  const lattice *l = &t->l;
  uint32_t k = link_draw(t, l->end, g);
  out->n = 0;
  if (l->npick && !out->at) {
    out->at = engine_get(d->st, d->nlatent * sizeof *out->at);
    out->nat = d->nlatent;
    if (!out->at) return false;
  }
  out->result = l->result[k - l->end.first];
  for (;;) {
    const link_in *in = &l->link[k];
    if (in->pick != NOTHING) {
      if (!engine_room(d->st, &out->pick, &out->c, out->n + 1, sizeof *out->pick)) return false;
      out->pick[out->n++] = in->pick;
      out->at[l->latent[in->pick]] = in->pick;
    }
    if (!l->state[in->from].n) return true;
    k = link_draw(t, l->state[in->from], g);
  }
}

/* Runs the model with its choices answered by their values at the last point. */
static norn_status run_again(norn_density *d, const drawn *z, norn_datum *out)
{
  norn_state *st = d->st;
  size_t k = 0, left = z->n;
  norn_run *run = norn_run_new(st, norn_get(d->model), NULL, 0);
  if (!run) return NORN_EMEMORY;
  norn_run_flags(run, 0);
  norn_status status = NORN_OK;
  for (bool more = true; more && !status;) {
    norn_event ev;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: *out = ev.value; more = false; break;
    case NORN_SAMPLE:
      if (engine_is_discrete(ev.dist) ? left == 0 : k >= d->nchoice)
        status = norn_fail(st, NORN_EUSE, -1, "one choice too many");
      else if (engine_is_discrete(ev.dist))
        norn_run_answer(run, column_at(st, &d->last->l.value, z->pick[--left]));
      else norn_run_answer(run, choice_value(d, &d->choice[k++]));
      break;
    case NORN_OBSERVE: break;
    case NORN_INFER: status = density_nested_again(st, run, &ev); break;
    default: status = norn_error(st)->code ? norn_error(st)->code : NORN_EINFER; break;
    }
  }
  norn_run_free(run);
  return status;
}

/* What the model returns at the last point, on the path z. */
static norn_status value_on(norn_density *d, const drawn *z, norn_datum *out)
{
  *out = realise(d, z, norn_get(z->result));
  if (!norn_is_none(*out)) return NORN_OK;
  if (norn_error(d->st)->code) return norn_error(d->st)->code;
  return run_again(d, z, out);
}

static norn_status no_value(norn_density *d)
{
  norn_status s = norn_error(d->st)->code;
  return s ? s : norn_fail(d->st, NORN_EUSE, -1, "this point has no value: its density is 0");
}

norn_status norn_density_value(norn_density *d, const double *u, norn_datum *out)
{
  void *to;
  drawn z = {0};
  *out = norn_none();
  if (d->f) {
    *out = norn_array(d->st, NORN_F64, 1, &d->dim, &to);
    if (!norn_is_none(*out)) memcpy(to, u, (size_t)d->dim * sizeof *u);
    return norn_is_none(*out) ? NORN_EMEMORY : NORN_OK;
  }
  density_gpu_look(d);
  if (!at_point(d, u)) return no_value(d);
  norn_status status = lattice_draw(d, NULL, &z) ? value_on(d, &z, out) : NORN_EMEMORY;
  drawn_free(d, &z);
  return status;
}

norn_status norn_density_constrain(norn_density *d, const double *u, double *x)
{
  if (d->f) return memcpy(x, u, (size_t)d->dim * sizeof *u), NORN_OK;
  if (!at_point(d, u)) return no_value(d);
  for (size_t i = 0; i < d->nchoice; i++)
    for (int64_t k = 0; k < d->choice[i].nelem; k++)
      x[d->choice[i].x + k] = element_value(d->last, d->choice[i].first + (size_t)k);
  return NORN_OK;
}

/* The choices of the draw that comes next. */
static norn_status choices_out(norn_density *d, norn_infer *inf, const drawn *z)
{
  norn_state *st = d->st;
  norn_status status = NORN_OK;
  if (infer_keeper(inf)->no_choices) return NORN_OK;
  for (size_t i = 0; i < d->nchoice && !status; i++) {
    norn_datum x = choice_value(d, &d->choice[i]);
    status = norn_is_none(x) ? NORN_EMEMORY : norn_infer_choice(inf, d->choice[i].addr, x);
  }
  for (size_t i = z->n; i-- > 0 && !status;) {
    norn_datum x = column_at(st, &d->last->l.value, z->pick[i]);
    status = norn_infer_choice(inf, d->latent[d->last->l.latent[z->pick[i]]].addr, x);
  }
  return status;
}

norn_status norn_density_draw(norn_density *d, norn_infer *inf, const double *u, double logw,
                              norn_rng *g)
{
  norn_datum value;
  drawn z = {0};
  if (d->f) {
    norn_status status = norn_density_value(d, u, &value);
    return status ? status : norn_infer_draw(inf, value, logw);
  }
  if (!at_point(d, u)) return no_value(d);
  norn_status status = lattice_draw(d, g, &z) ? value_on(d, &z, &value) : NORN_EMEMORY;
  norn_ref *kept = status ? NULL : norn_keep(d->st, value);
  if (!status && !kept) status = NORN_EMEMORY;
  if (!status) status = choices_out(d, inf, &z);
  if (!status) status = norn_infer_draw(inf, norn_get(kept), logw);
  if (kept) norn_drop(kept);
  drawn_free(d, &z);
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

bool choice_unconstrain(const choice *c, norn_state *st, const norn_dist *dist, norn_datum x, double *u)
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

/* Walks a run with concrete choices: pick gives each its value, also those that are summed out
   (choice NULL). */
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
    case NORN_INFER: status = density_nested_again(st, run, &ev); break;
    case NORN_SAMPLE:
      if (engine_is_discrete(ev.dist)) {
        if (!(status = pick(d, NULL, &ev, of, &x))) norn_run_answer(run, x);
        break;
      }
      if (k >= d->nchoice) { status = norn_fail(st, NORN_EUSE, -1, "one choice too many"); break; }
      if ((status = pick(d, &d->choice[k], &ev, of, &x))) break;
      if (!choice_unconstrain(&d->choice[k], st, ev.dist, x, u) && u)
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
  if (!c || !c->improper) {
    norn_rng own = *g;
    own.event = (uint32_t)(ev->addr ^ ev->addr >> 32);
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

norn_status density_somewhere(norn_state *st, const norn_event *ev, norn_rng *g, norn_datum *x)
{
  norn_density d = {.st = st};
  recording r = {.d = &d, .span = ev->span, .addr = ev->addr};
  choice c;
  norn_status status = choice_read(&r, ev->dist, &c);
  if (!status) status = choice_shape(&r, ev->dist, &c);
  return status ? status : pick_prior(&d, &c, ev, g, x);
}

norn_status norn_density_prior(norn_density *d, norn_rng *g, double *u)
{
  for (int64_t i = 0; d->f && i < d->dim; i++) u[i] = 4 * norn_rng_uniform(g) - 2;
  return d->f ? NORN_OK : walk(d, pick_prior, g, u);
}

/* Some value of a discrete choice: no coordinate depends on which. */
static norn_status first_value(norn_density *d, const norn_event *ev, norn_datum *x)
{
  double lp;
  for (int64_t k = 0;; k++) {
    norn_status status = norn_dist_enumerate(d->st, ev->dist, k, x);
    if (status || norn_is_none(*x)) return status ? status : NORN_EINFER;
    if (!engine_logp(d->st, ev->dist, *x, ev->span, &lp)) return norn_error(d->st)->code;
    if (lp > -HUGE_VAL) return NORN_OK;
  }
}

typedef struct wanted { norn_ref *values; const double *u; int met; } wanted;
static norn_status pick_wanted(norn_density *d, const choice *c, const norn_event *ev, void *of,
                               norn_datum *x)
{
  char name[160];
  wanted *w = of;
  norn_addr_name(d->st, ev->addr, name, sizeof name);
  *x = norn_record_get(d->st, norn_get(w->values), name);
  if (!norn_is_none(*x)) {
    int64_t n = norn_array_length(*x);
    w->met++;
    if (!c || (n < 0) == (c->rank == 0)) return NORN_OK;
    return engine_fail(d->st, NORN_ETYPE, ev->span, "the start of %s has not the shape of its value",
                       name);
  }
  double logp;
  if (!c) return first_value(d, ev, x);
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
    for (size_t k = 0; k < d->nlatent && !there; k++)
      there = !strcmp(norn_addr_name(d->st, d->latent[k].addr, name, sizeof name), wants);
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

