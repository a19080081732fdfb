/* why: what makes a log density -inf at a point, in words: a run of the model goes with the values that
   its choices have there until something has weight 0 or fails. */
#include "infer/gradient/density.h"
#include "infer/watch.h"
#include <stdio.h>
#include <string.h>

/* ---- the run ---------------------------------------------------------------------------------- */

static bool choice_find(norn_density *d, uint64_t addr, norn_density_choice *c)
{
  for (int64_t k = 0; k < norn_density_choices(d); k++) {
    norn_density_choice_at(d, k, c);
    if (c->addr == addr) return !c->discrete;
  }
  return false;
}

static double leaf_of(const norn_dist *d, int64_t k)
{
  double x = (double)NAN;
  norn_as_real(graph_leaf(d, k), &x);
  return x;
}

/* The numbers of a choice, x (nelem), from u; bounds (2 count). */
static void constrain(norn_state *st, const norn_dist *d, const norn_density_choice *c,
                      const norn_support *s, const double *u, const double *bounds, double *x)
{
  int64_t m = norn_support_free(s), n = norn_support_elems(s), at[2];
  for (int64_t k = 0; k < s->count; k++) {
    norn_support unit = *s;
    unit.lower = bounds[k];
    unit.upper = bounds[s->count + k];
    if (s->kind <= NORN_SUPPORT_INTERVAL) unit.kind = density_kind_between(unit.lower, unit.upper);
    if (norn_dist_noncentered(st, d, k, &at[0], &at[1]))
      x[k] = leaf_of(d, at[0]) + leaf_of(d, at[1]) * u[c->from + k];
    else norn_support_constrain(&unit, u + c->from + k * m, x + k * n, NULL);
  }
}

/* NONE: the value can't be had. */
static norn_datum choice_at(norn_state *st, const norn_dist *d, const norn_density_choice *c,
                            const double *u)
{
  norn_support s;
  void *to = NULL;
  norn_datum out = norn_none();
  if (norn_dist_support(st, d, &s)) return out;
  size_t room = (2 * (size_t)s.count + 1) * sizeof(double);
  double *bounds = engine_get(st, room), one = 0;
  if (bounds && !norn_dist_bounds(st, d, bounds, bounds + s.count)) {
    out = c->rank ? norn_array(st, NORN_F64, c->rank, c->dims, &to) : norn_unit();
    if (!norn_is_none(out)) constrain(st, d, c, &s, u, bounds, c->rank ? to : &one);
  }
  engine_put(st, bounds, room);
  return c->rank ? out : norn_real(one);
}

/* ---- the words -------------------------------------------------------------------------------- */

/* The first part of an observation that has weight 0: an element of a product. */
static void part_find(norn_state *st, const norn_dist *d, norn_datum x, norn_datum *dist, norn_datum *value)
{
  norn_datum part;
  norn_dist one;
  double lp;
  *dist = norn_dist_new(st, d->row, d->args, d->n);
  *value = x;
  for (int64_t k = 0; k < norn_array_length(x); k++) {
    if (norn_dist_part(st, d, k, &part) || !norn_dist_view(part, &one)) break;
    norn_datum e = norn_array_at(st, x, k);
    if (norn_dist_logp(st, &one, e, &lp) || lp > -HUGE_VAL) continue;
    *dist = part;
    *value = e;
    break;
  }
  norn_clear(st);
}

static void say_outside(norn_state *st, const norn_event *ev, char *out, size_t n)
{
  norn_datum dist, value;
  norn_dist d;
  double p[NORN_DIST_P], lo, hi, x;
  char shown[48], with[80], end[80] = "";
  part_find(st, ev->dist, ev->value, &dist, &value);
  snprintf(shown, sizeof shown, "%s", norn_show(st, value, true, 40));
  snprintf(with, sizeof with, "%s", norn_show(st, dist, true, 70));
  if (norn_dist_view(dist, &d) && d.row->range1 && d.n <= NORN_DIST_P && norn_as_real(value, &x)) {
    bool numbers = true;
    for (int i = 0; i < d.n; i++) numbers &= norn_as_real(d.args[i], &p[i]);
    if (numbers) d.row->range1(p, &lo, &hi);
    if (numbers && x <= lo) snprintf(end, sizeof end, ", whose values begin at %.6g", lo);
    else if (numbers && x >= hi) snprintf(end, sizeof end, ", whose values end at %.6g", hi);
  }
  snprintf(out, n, "the observed value %s has density 0 under %s%s", shown, with, end);
}

/* Does this observation have weight 0? */
static bool is_dead(norn_state *st, const norn_event *ev, char *out, size_t n)
{
  double lp = 0;
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) {
    norn_as_real(ev->value, &lp);
    if (lp > -HUGE_VAL) return false;
    snprintf(out, n, ev->flags & NORN_EV_CONDITION ? "this condition does not hold"
             : lp != lp ? "this factor is not a number" : "this factor is -inf");
    return true;
  }
  if (norn_dist_logp(st, ev->dist, ev->value, &lp)) {
    snprintf(out, n, "%s", norn_error(st)->text);
    return norn_clear(st), true;
  }
  if (lp > -HUGE_VAL) return false;
  return say_outside(st, ev, out, n), true;
}

bool watch_why(norn_density *d, norn_state *st, norn_datum model, const double *u, norn_span *span,
               char *out, size_t n)
{
  bool found = false;
  norn_run *run = norn_run_new(st, model, NULL, 0);
  if (!run) return norn_clear(st), false;
  for (bool more = true; more && !found;) {
    norn_event ev;
    norn_density_choice c;
    norn_datum x;
    switch (norn_run_next(run, &ev)) {
    case NORN_SAMPLE:
      x = choice_find(d, ev.addr, &c) ? choice_at(st, ev.dist, &c, u) : norn_none();
      more = !norn_is_none(x);
      if (more) norn_run_answer(run, x);
      break;
    case NORN_OBSERVE: found = is_dead(st, &ev, out, n); break;
    case NORN_ERROR:
      found = true;
      snprintf(out, n, "%s", norn_error(st)->text);
      ev.span = norn_error(st)->span;
      break;
    default: more = false;
    }
    if (found) *span = ev.span;
  }
  norn_clear(st);
  norn_run_free(run);
  return found;
}
