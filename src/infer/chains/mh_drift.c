/* mh_drift: random walks in the place of draws from the prior.

   A continuous choice x is moved on the unconstrained scale, u' = u + s z (norn.h, norn_support): the
   walk is symmetric there, so the ratio has the prior's density and |dx/du| at both ends.  Discrete
   choices, and those whose support has no map to R^n, are drawn from their prior as ever.

   In the burn-in the size s of each address learns from the acceptance a of the transitions that moved
   it (Robbins and Monro 1951; Andrieu and Thoms 2008, algorithm 4):

       log s <- log s + (a - a*) / k^.6,   k its transitions so far, a* .44 for one coordinate, .234 for more

   and then stays, so that the chain of the draws is a Markov chain with one kernel. */
#include "infer/chains/mh.h"
#include "infer/gradient/coords.h"
#include <stdio.h>

static norn_status refuse(norn_state *st, norn_datum v)
{
  char what[120];
  double x;
  if (norn_as_real(v, &x)) snprintf(what, sizeof what, "%.6g", x);
  else norn_describe(st, v, what, sizeof what);
  norn_status s = norn_fail(st, NORN_EDOMAIN, -1, "drift of mh must be a positive number, or a record of "
                            "them by pattern, got %s", what);
  norn_hint(st, "drift = 0.5, or drift = { \"theta*\": 0.1, \"mu\": 2 }");
  return s;
}

norn_status drift_new(norn_state *st, drift *d, norn_datum v)
{
  double x;
  int n = norn_record_size(v);
  *d = (drift){.size = (double)NAN};
  if (norn_as_real(v, &x)) return x > 0 && x < HUGE_VAL ? (d->size = x, NORN_OK) : refuse(st, v);
  if (n < 1) return refuse(st, v);
  norn_datum *name = engine_get(st, 2 * (size_t)n * sizeof *name), *size = name + n;
  if (!name) return NORN_EMEMORY;
  norn_status s = NORN_OK;
  for (int i = 0; i < n && !s; i++) {
    name[i] = norn_cstring(st, norn_record_at(st, v, i, &size[i]));
    if (!norn_as_real(size[i], &x) || !(x > 0 && x < HUGE_VAL)) s = refuse(st, size[i]);
  }
  if (!s && (!patterns_new(st, &d->by, norn_array_pack(st, name, n), "drift of mh") ||
             !(d->sizes = norn_keep(st, norn_array_pack(st, size, n)))))
    s = NORN_EMEMORY;
  engine_put(st, name, 2 * (size_t)n * sizeof *name);
  return s;
}

void drift_free(norn_state *st, drift *d)
{
  patterns_free(&d->by);
  if (d->sizes) norn_drop(d->sizes);
  engine_put(st, d->at, d->cap * sizeof *d->at);
  engine_put(st, d->table, (d->table ? d->mask + 1 : 0) * sizeof *d->table);
  engine_put(st, d->moved, d->cmoved * sizeof *d->moved);
}

static bool table_grow(norn_state *st, drift *d)
{
  size_t had = d->table ? d->mask + 1 : 0, n = had ? 2 * had : 32;
  if (2 * (d->n + 1) <= had) return true;
  uint32_t *table = engine_get(st, n * sizeof *table);
  if (!table) return false;
  for (size_t i = 0; i < d->n; i++) {
    size_t k = d->at[i].addr & (n - 1);
    while (table[k]) k = (k + 1) & (n - 1);
    table[k] = (uint32_t)i + 1;
  }
  engine_put(st, d->table, had * sizeof *table);
  d->table = table;
  d->mask = n - 1;
  return true;
}

/* Its place; UINT32_MAX: error set. */
static uint32_t size_of(norn_state *st, drift *d, uint64_t addr)
{
  if (!table_grow(st, d) || !engine_room(st, &d->at, &d->cap, d->n + 1, sizeof *d->at))
    return UINT32_MAX;
  size_t k = addr & d->mask;
  for (; d->table[k]; k = (k + 1) & d->mask)
    if (d->at[d->table[k] - 1].addr == addr) return d->table[k] - 1;
  double size = d->size;
  int which = d->sizes ? patterns_which(&d->by, addr) : -1;
  if (d->by.failed) return UINT32_MAX;
  if (which >= 0) size = norn_elem_real(norn_get(d->sizes), which);
  d->at[d->n] = (drift_size){.addr = addr, .log_size = log(size), .none = size != size};
  d->table[k] = (uint32_t)++d->n;
  return (uint32_t)d->n - 1;
}

int drift_move(norn_state *st, drift *d, const norn_event *ev, norn_datum old, norn_rng *g,
               norn_datum *v, double *jacobian)
{
  norn_support s;
  uint32_t i = size_of(st, d, ev->addr);
  double before = 0, after = 0;
  *v = norn_none();
  if (i == UINT32_MAX) return -1;
  if (d->at[i].none) return MH_FRESH;
  int64_t n = coords_count(st, ev->dist, &s);
  if (n < 1) return MH_FRESH;
  if (!engine_room(st, &d->moved, &d->cmoved, d->nmoved + 1, sizeof *d->moved)) return -1;
  double *u = engine_get(st, (size_t)(2 * n) * sizeof *u), size = exp(d->at[i].log_size);
  if (!u) return -1;
  norn_clear(st);
  bool inside = coords_of(st, ev->dist, &s, old, u, &before);
  for (int64_t k = 0; k < n; k++) u[k] += size * norn_rng_normal(g);
  if (inside) *v = coords_value(st, ev->dist, &s, u, old, &after);
  /* a step that rounding put on the edge can't be taken back */
  if (!norn_is_none(*v) && !coords_of(st, ev->dist, &s, *v, u + n, NULL)) *v = norn_none();
  engine_put(st, u, (size_t)(2 * n) * sizeof *u);
  d->moved[d->nmoved++] = i;
  d->dim += n;
  *jacobian = after - before;
  return norn_error(st)->code ? -1 : MH_MOVED;
}

void drift_learn(drift *d, double accept)
{
  double want = d->dim == 1 ? .44 : .234;
  for (size_t i = 0; i < d->nmoved; i++) {
    drift_size *s = &d->at[d->moved[i]];
    s->log_size += (accept - want) / pow((double)++s->learnt, .6);
    s->log_size = fmin(fmax(s->log_size, -50), 50);
  }
}

bool drift_archive(norn_archive *a, drift *d)
{
  size_t n = d->n;
  norn_archive_u64(a, &d->by.hit);
  if (!norn_archive_size(a, &n)) return false;
  for (size_t i = 0; i < n; i++) {
    drift_size s = i < d->n ? d->at[i] : (drift_size){ .addr = 0 };
    if (!norn_archive_bytes(a, &s.addr, sizeof s.addr) || !norn_archive_f64(a, &s.log_size) ||
        !norn_archive_i64(a, &s.learnt) || !norn_archive_bool(a, &s.none))
      return false;
    if (!norn_archive_reading(a)) continue;
    uint32_t k = size_of(norn_archive_state(a), d, s.addr);
    if (k != i) return norn_archive_fail(a, "the sizes of its walks are not whole");
    d->at[k] = s;
  }
  norn_archive_size(a, &d->nmoved);
  norn_archive_i64(a, &d->dim);
  return norn_archive_array(a, &d->moved, &d->cmoved, d->nmoved, sizeof *d->moved);
}
