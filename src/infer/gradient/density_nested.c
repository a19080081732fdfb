/* density_nested: inferences inside of a model whose density is recorded (density.h): those by
   enumerate().

   A nested model that no parameter reaches is enumerated as ever.  Otherwise its paths are gone through
   with nodes for their weights: the posterior is a distribution over the values found, whose log
   probabilities are nodes (posterior_row_recorded), so gradients flow through it: through what is observed
   of it, a choice that is made from it (which is summed out), or expectations.  Its weights:

       w_i = log sum over paths that end in value i of the path's log weight,   log p_i = w_i - log sum e^w */
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <string.h>

enum { MOST_NESTED = 20000, DEEPEST = 64 };

/* ---- the posterior as a distribution: arguments values (n), log probabilities (n) ---- */

static norn_status recorded_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  *out = k < norn_array_length(d->args[0]) ? norn_array_at(st, d->args[0], k) : norn_none();
  return NORN_OK;
}

static int64_t recorded_count(norn_state *st, const norn_dist *d)
{
  (void)st;
  return norn_array_length(d->args[0]);
}

static norn_status recorded_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n = norn_array_length(d->args[0]);
  *out = -HUGE_VAL;
  for (int64_t i = 0; i < n; i++)
    if (norn_equal(norn_array_at(st, d->args[0], i), x)) norn_as_real(norn_array_at(st, d->args[1], i), out);
  return NORN_OK;
}

static norn_status recorded_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]), i = 0;
  double at = norn_rng_uniform(g), lp = 0;
  for (; i + 1 < n && at >= 0; i++) {
    norn_as_real(norn_array_at(st, d->args[1], i), &lp);
    if ((at -= exp(lp)) < 0) break;
  }
  *out = norn_array_at(st, d->args[0], i);
  return NORN_OK;
}

static norn_status recorded_check(norn_state *st, const norn_dist *d)
{
  (void)st;
  (void)d;
  return NORN_OK;
}

const norn_dist_row posterior_row_recorded = {
  .name = "posterior", .params = "values, log_weights", .doc = "The result of infer(...) in a recorded model.",
  .flags = NORN_DIST_POSTERIOR | NORN_DIST_DISCRETE | NORN_DIST_FINITE,
  .check = recorded_check, .sample = recorded_sample, .logp = recorded_logp,
  .enumerate = recorded_enumerate, .count = recorded_count};

/* ---- going through paths ---- */

/* A run and the nodes of its log weight. */
typedef struct nested_path { norn_run *run; norn_datum lw; } nested_path;
/* A value, and the log of the sum of the weights of the paths that end in it. */
typedef struct nested_end { uint64_t hash; norn_datum lw; bool parametric; } nested_end;
typedef struct nested {
  recording *r;
  int depth;
  nested_path *path; size_t n, c;
  column value; nested_end *end; size_t nend, cend;
  size_t paths;
} nested;

static norn_status failed(norn_state *st)
{
  return norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
}

static norn_datum sum_of(nested *s, norn_datum a, norn_datum b)
{
  return norn_is_none(a) || norn_is_none(b) ? norn_none() : graph_op2(s->r->t->g, G_ADD, a, b);
}

static bool is_dead(norn_datum lw) { return lw.tag == NORN_REAL && lw.d == -HUGE_VAL; }

/* A path that goes on with one value of its choice. */
static norn_status nested_fork(nested *s, const nested_path *p, norn_datum v, norn_datum lw)
{
  norn_state *st = s->r->d->st;
  if (!engine_room(st, &s->path, &s->c, s->n + 1, sizeof *s->path)) return NORN_EMEMORY;
  nested_path q = {norn_run_fork(p->run, 0), sum_of(s, p->lw, lw)};
  if (!q.run) return NORN_EMEMORY;
  norn_run_answer(q.run, v);
  s->path[s->n++] = q;
  return norn_is_none(q.lw) ? failed(st) : NORN_OK;
}

static norn_status nested_split(nested *s, const nested_path *p, const norn_event *ev)
{
  norn_state *st = s->r->d->st;
  norn_datum args[16], v, lw;
  norn_dist concrete = {ev->dist->row, args, ev->dist->n};
  norn_status status = NORN_OK;
  if (!engine_is_discrete(ev->dist) || !(norn_dist_flags(ev->dist) & NORN_DIST_FINITE) || ev->dist->n > 16)
    return engine_fail(st, NORN_EINFER, ev->span, "a choice of a nested inference in a recorded model must "
                       "have finitely many values");
  for (int i = 0; i < ev->dist->n; i++) args[i] = norn_concrete(st, ev->dist->args[i]);
  for (int64_t k = 0; !status; k++) {
    if ((status = norn_dist_enumerate(st, &concrete, k, &v)) || norn_is_none(v)) break;
    if (++s->paths > MOST_NESTED)
      return engine_fail(st, NORN_EINFER, ev->span, "this nested inference has more than %d paths: too many "
                         "to be recorded", MOST_NESTED);
    lw = graph_logpdf(s->r->t->g, ev->dist, v, false);
    if (norn_is_none(lw)) return failed(st);
    if (!is_dead(lw)) status = nested_fork(s, p, v, lw);
  }
  return status;
}

static norn_status nested_weigh(nested *s, nested_path *p, const norn_event *ev)
{
  graph *g = s->r->t->g;
  norn_datum lw = ev->value;
  if (!(ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION))) lw = graph_logpdf(g, ev->dist, ev->value, false);
  p->lw = is_dead(lw) ? lw : sum_of(s, p->lw, lw);
  if (!norn_is_none(p->lw)) return NORN_OK;
  engine_place(s->r->d->st, ev->span);
  return failed(s->r->d->st);
}

/* Paths that end in equal values are one. */
static norn_status nested_ended(nested *s, const nested_path *p, norn_datum v)
{
  norn_state *st = s->r->d->st;
  bool parametric = norn_has_node(v);
  uint64_t hash = parametric ? 0 : norn_hash(v);
  for (size_t i = 0; i < s->nend && !parametric; i++) {
    nested_end *e = &s->end[i];
    if (e->parametric || e->hash != hash || !norn_equal(column_at(st, &s->value, i), v)) continue;
    e->lw = graph_op2(s->r->t->g, G_LOG_ADD_EXP, e->lw, p->lw);
    return norn_is_none(e->lw) ? failed(st) : NORN_OK;
  }
  if (!engine_room(st, &s->end, &s->cend, s->nend + 1, sizeof *s->end) || !column_push(st, &s->value, v))
    return NORN_EMEMORY;
  s->end[s->nend++] = (nested_end){hash, p->lw, parametric};
  return NORN_OK;
}

static norn_status nested_infer(recording *r, const norn_event *ev, int depth, norn_datum *out);

/* One path, from where it stands to its next choice or its end. */
static norn_status nested_go(nested *s, nested_path *p)
{
  norn_state *st = s->r->d->st;
  norn_status status = NORN_OK;
  while (!status) {
    norn_event ev;
    norn_datum v;
    switch (norn_run_next(p->run, &ev)) {
    case NORN_SAMPLE: return nested_split(s, p, &ev);
    case NORN_OBSERVE:
      status = nested_weigh(s, p, &ev);
      if (!status && is_dead(p->lw)) return NORN_OK;
      break;
    case NORN_INFER:
      status = nested_infer(s->r, &ev, s->depth + 1, &v);
      if (!status) norn_run_answer(p->run, v);
      break;
    case NORN_DONE: return nested_ended(s, p, ev.value);
    default: return failed(st);
    }
  }
  return status;
}

/* The values and their normalised weights as a distribution. */
static norn_datum nested_posterior(nested *s, norn_span span)
{
  norn_state *st = s->r->d->st;
  graph *g = s->r->t->g;
  norn_datum all = norn_real(-HUGE_VAL), args[2], *values, *weights;
  int64_t n = (int64_t)s->nend;
  for (size_t i = 0; i < s->nend; i++) {
    all = i ? graph_op2(g, G_LOG_ADD_EXP, all, s->end[i].lw) : s->end[i].lw;
    if (norn_is_none(all)) return all;
  }
  if (is_dead(all)) {
    engine_fail(st, NORN_EINFER, span, "every path of this nested inference has weight 0");
    return norn_none();
  }
  args[0] = norn_array(st, NORN_VALUES, 1, &n, (void **)&values);
  if (norn_is_none(args[0])) return args[0];
  args[1] = norn_array(st, NORN_VALUES, 1, &n, (void **)&weights);
  if (norn_is_none(args[1])) return args[1];
  for (int64_t i = 0; i < n; i++) {
    values[i] = column_at(st, &s->value, (size_t)i);
    weights[i] = graph_op2(g, G_SUB, s->end[i].lw, all);
    if (norn_is_none(weights[i])) return norn_none();
  }
  return norn_dist_new(st, &posterior_row_recorded, args, 2);
}

static norn_status nested_paths(nested *s, norn_datum model, norn_span span, norn_datum *out)
{
  norn_state *st = s->r->d->st;
  norn_status status = NORN_OK;
  if (!engine_room(st, &s->path, &s->c, 1, sizeof *s->path)) return NORN_EMEMORY;
  s->path[0] = (nested_path){norn_run_new(st, model, NULL, 0), norn_real(0)};
  if (!s->path[0].run) return failed(st);
  norn_run_flags(s->path[0].run, 0);
  s->n = 1;
  while (s->n && !status) {
    nested_path p = s->path[--s->n];
    status = nested_go(s, &p);
    norn_run_free(p.run);
  }
  if (status) return status;
  *out = nested_posterior(s, span);
  return norn_is_none(*out) ? failed(st) : NORN_OK;
}

/* Only enumerate(), and what is left to the rule, which then has to be it. */
static norn_status engine_for(norn_state *st, const norn_event *ev, norn_datum *engine)
{
  const norn_datum *options;
  const norn_engine *e = norn_engine_view(ev->engine, &options);
  *engine = ev->engine;
  if (e == &engine_enumerate) return NORN_OK;
  if (!e || e == &engine_auto) {
    *engine = norn_engine_new(st, &engine_enumerate, NULL, 0);
    return norn_is_none(*engine) ? NORN_EMEMORY : NORN_OK;
  }
  engine_fail(st, NORN_EINFER, ev->span, "an inference by %s inside a model can't be recorded for a gradient",
              e->name);
  norn_hint(st, "enumerate() can; or use smc() or mh() outside");
  return NORN_EINFER;
}

static norn_status nested_infer(recording *r, const norn_event *ev, int depth, norn_datum *out)
{
  norn_state *st = r->d->st;
  norn_datum engine, model = norn_force(st, ev->value);
  norn_status status = engine_for(st, ev, &engine);
  if (status) return status;
  if (depth > DEEPEST)
    return engine_fail(st, NORN_EINFER, ev->span, "inferences are nested deeper than %d", DEEPEST);
  if (!norn_has_node(model)) {
    norn_graph_attach(st, NULL);
    status = infer_exact(st, model, engine, ev->span, out);
    norn_graph_attach(st, r->t->g);
    return status;
  }
  nested s = {.r = r, .depth = depth};
  norn_ref *keep = norn_keep(st, model);
  if (!keep) return NORN_EMEMORY;
  status = nested_paths(&s, model, ev->span, out);
  for (size_t i = 0; i < s.n; i++) norn_run_free(s.path[i].run);
  engine_put(st, s.path, s.c * sizeof *s.path);
  engine_put(st, s.end, s.cend * sizeof *s.end);
  column_free(st, &s.value);
  norn_drop(keep);
  return status;
}

norn_status density_nested(recording *r, const norn_event *ev, norn_datum *out)
{
  return nested_infer(r, ev, 0, out);
}

norn_status density_nested_again(norn_state *st, norn_run *run, const norn_event *ev)
{
  norn_datum engine, posterior;
  norn_status status = engine_for(st, ev, &engine);
  if (!status) status = infer_exact(st, ev->value, engine, ev->span, &posterior);
  if (!status) norn_run_answer(run, posterior);
  return status;
}
