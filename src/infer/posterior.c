/* posterior: weighted draws as a distribution: sampling, probabilities of values, moments, parts.

   A posterior whose values repeat, or which is exact, has atoms: a hash table from value to
   probability, so that scoring under a nested posterior costs the same for 10 and 10,000 values
   (posterior_row_atoms).  Draws of reals that do not repeat have no density: scoring them is
   refused rather than answered with -infinity (posterior_row_draws). */
#include "infer/exact/enumerate.h"
#include "infer/posterior.h"
#include "infer/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SORT_MAX 1000       /* atoms that are sorted; more only if they are in order already */

/* ---- making ---- */

static norn_datum posterior_f64(norn_state *st, int64_t n, double **data)
{
  void *p = NULL;
  norn_datum a = norn_array(st, NORN_F64, 1, &n, &p);
  *data = p;
  return a;
}

/* Normalised log weights, or a unit when all are equal; cumulative weights likewise. */
static bool posterior_weights(norn_state *st, const double *logw, int64_t n, norn_datum *lw,
                              norn_datum *cum)
{
  double *l, *c, sum = 0;
  int64_t k = 1;
  *lw = *cum = norn_unit();
  if (!logw) return true;
  while (k < n && logw[k] == logw[0]) k++;
  if (k == n) return true;
  *lw = posterior_f64(st, n, &l);
  *cum = posterior_f64(st, n, &c);
  if (norn_is_none(*lw) || norn_is_none(*cum)) return false;
  double z = log_sum(logw, (size_t)n);
  for (int64_t i = 0; i < n; i++) {
    l[i] = logw[i] - z;
    c[i] = sum += exp(l[i]);
  }
  return true;
}

static double posterior_logw_at(const norn_view *lw, int64_t n, int64_t i)
{
  return lw->n ? lw->f[i] : -log((double)n);
}

typedef struct { norn_state *st; norn_datum values; } atom_sorting;

static int atom_compare(const void *a, const void *b, void *user)
{
  atom_sorting *s = user;
  return norn_compare(norn_array_at(s->st, s->values, *(const int64_t *)a),
                      norn_array_at(s->st, s->values, *(const int64_t *)b));
}

/* Atoms in natural order where that is cheap; else as first seen. */
static void atoms_sort(norn_state *st, norn_datum values, int64_t *order, int64_t n)
{
  atom_sorting s = { st, values };
  if (n <= SORT_MAX) qsort_r(order, (size_t)n, sizeof *order, atom_compare, &s);
}

typedef struct atoms {
  int64_t m, n, *slot, *order;
  double *logp;
  norn_datum a_slot, a_order, a_logp;
} atoms;

static bool atoms_new(norn_state *st, int64_t n, atoms *t)
{
  void *p = NULL, *q = NULL;
  for (t->m = 16; t->m < 2 * n; t->m *= 2) { }
  t->a_slot = norn_array(st, NORN_I64, 1, &t->m, &p);
  t->a_logp = posterior_f64(st, t->m, &t->logp);
  t->a_order = norn_array(st, NORN_I64, 1, &n, &q);
  if (norn_is_none(t->a_slot) || norn_is_none(t->a_logp) || norn_is_none(t->a_order)) return false;
  t->slot = p;
  t->order = q;
  t->n = 0;
  for (int64_t k = 0; k < t->m; k++) t->slot[k] = -1;
  return true;
}

uint64_t posterior_hash(norn_datum v) { return hash_mix(norn_hash(v)); }

/* The slot of a value, or the free one where it belongs. */
static int64_t atoms_find(norn_state *st, const int64_t *slot, int64_t m, norn_datum values,
                          norn_datum x)
{
  int64_t k = (int64_t)(posterior_hash(x) & (uint64_t)(m - 1));
  while (slot[k] >= 0 && !norn_equal(norn_array_at(st, values, slot[k]), x)) k = (k + 1) & (m - 1);
  return k;
}

/* Are nearly all of the first of these n reals distinct?  Then all are taken to be: before a table is made, as there
   may be many posteriors of some thousand draws. */
static bool begins_distinct(const double *x, int64_t n)
{
  enum { FIRST = 256, MOST_EQUAL = 5, SLOTS = 1024 };
  int16_t slot[SLOTS];
  int found = 0;
  if (n < FIRST) return false;
  memset(slot, 0xff, sizeof slot);
  for (int i = 0; i < FIRST; i++) {
    size_t k = posterior_hash(norn_real(x[i])) & (SLOTS - 1);
    while (slot[k] >= 0 && !norn_equal(norn_real(x[slot[k]]), norn_real(x[i]))) k = (k + 1) & (SLOTS - 1);
    if (slot[k] >= 0) continue;
    slot[k] = (int16_t)i;
    found++;
  }
  return found > FIRST - 1 - MOST_EQUAL;
}

/* Are more than n / 2 of these n reals distinct, by a bound from below: the bits that their hashes set?  A
   table of that many atoms would be made to be thrown away, which of 10^7 draws takes seconds,
   and of 1,000 draws each of 10,000 posteriors does so too. */
static bool mostly_distinct(norn_state *st, const double *x, int64_t n)
{
  enum { FROM = 64, EACH = 8, PIECE = 64 };
  size_t bits = 64, at[PIECE];
  int64_t found = 0;
  if (n < FROM) return false;
  while (bits < (size_t)n * EACH) bits *= 2;
  uint64_t *set = norn_alloc(st, NULL, 0, bits / 8);
  if (!set) return false;
  memset(set, 0, bits / 8);
  for (int64_t i = 0; i < n && found <= n / 2; i += PIECE) {
    int m = n - i < PIECE ? (int)(n - i) : PIECE;
    for (int k = 0; k < m; k++) {                        /* words are fetched while more is hashed */
      at[k] = posterior_hash(norn_real(x[i + k])) & (bits - 1);
      __builtin_prefetch(&set[at[k] >> 6], 1);
    }
    for (int k = 0; k < m; k++) {
      uint64_t bit = (uint64_t)1 << (at[k] & 63), *word = &set[at[k] >> 6];
      found += !(*word & bit);
      *word |= bit;
    }
  }
  norn_alloc(st, set, bits / 8, 0);
  return found > n / 2;
}

/* Fills the table; false when no two draws are equal reals (then it is of no use) or memory is
   out. */
static bool atoms_fill(norn_state *st, norn_datum values, const norn_view *v, const norn_view *lw,
                       bool exact, atoms *t)
{
  int64_t n = v->dims[0];
  bool reals = v->elem == NORN_F64 && !exact;
  if (reals && (v->rank > 1 || begins_distinct(v->f, n) || mostly_distinct(st, v->f, n))) return false;
  if (!atoms_new(st, n, t)) return false;
  for (int64_t i = 0; i < n; i++) {
    int64_t k = atoms_find(st, t->slot, t->m, values, norn_array_at(st, values, i));
    double p = posterior_logw_at(lw, n, i);
    if (t->slot[k] < 0) {
      t->slot[k] = i;
      t->logp[k] = p;
      t->order[t->n++] = i;
    } else {
      t->logp[k] = log_add(t->logp[k], p);
    }
  }
  return !reals || t->n <= n / 2;
}

/* The same for distinct values with these hashes. */
static bool atoms_fill_distinct(norn_state *st, const norn_view *v, const norn_view *lw,
                                const uint64_t *hash, atoms *t)
{
  int64_t n = v->dims[0];
  if (!atoms_new(st, n, t)) return false;
  for (int64_t i = 0; i < n; i++) {
    int64_t k = (int64_t)(hash[i] & (uint64_t)(t->m - 1));
    while (t->slot[k] >= 0) k = (k + 1) & (t->m - 1);
    t->slot[k] = t->order[i] = i;
    t->logp[k] = posterior_logw_at(lw, n, i);
  }
  t->n = n;
  return true;
}

static int64_t posterior_length(norn_datum a)
{
  int64_t n = norn_array_length(a);
  return n < 0 ? 0 : n;
}

/* An exact posterior: its distinct values in order with their log probabilities; NULL: no
   memory. */
static double *posterior_merge(norn_state *st, norn_datum *values, const double *logw,
                               int64_t *count)
{
  norn_view v, none = { 0 };
  atoms t;
  int64_t n = posterior_length(*values), m = 0;
  norn_view lw = none;
  lw.n = n;
  lw.f = logw;
  if (!norn_array_view(*values, &v) || !atoms_fill(st, *values, &v, &lw, true, &t)) return NULL;
  norn_datum *x = engine_get(st, (size_t)t.n * sizeof *x);
  double *l = engine_get(st, (size_t)n * sizeof *l);
  if (!x || !l) {
    engine_put(st, x, (size_t)t.n * sizeof *x);
    engine_put(st, l, (size_t)n * sizeof *l);
    return NULL;
  }
  atoms_sort(st, *values, t.order, t.n);
  for (int64_t i = 0; i < t.n; i++) {
    norn_datum y = norn_array_at(st, *values, t.order[i]);
    double p = t.logp[atoms_find(st, t.slot, t.m, *values, y)];
    if (p == -HUGE_VAL) continue;
    x[m] = y;
    l[m++] = p;
  }
  *values = norn_array_pack(st, x, m);
  *count = m;
  engine_put(st, x, (size_t)t.n * sizeof *x);
  return l;
}

norn_datum posterior_new(norn_state *st, norn_datum values, const double *logw, norn_datum info,
                         norn_datum choices, norn_datum model, norn_datum engine, uint64_t stream,
                         bool exact)
{
  return posterior_make(st, values, logw, info, choices, model, engine, stream, exact, NULL);
}

norn_datum posterior_make(norn_state *st, norn_datum values, const double *logw, norn_datum info,
                          norn_datum choices, norn_datum model, norn_datum engine, uint64_t stream,
                          bool exact, const uint64_t *distinct)
{
  norn_datum a[POST_ARGS];
  norn_view v, lw = { 0 };
  int64_t n0 = posterior_length(values), n = n0;
  double *merged = NULL, zero = 0;
  if (n <= SORT_MAX) distinct = NULL;              /* few are sorted, which moves them */
  if (exact && !distinct) {
    double *equal = NULL;
    if (!logw) {
      equal = engine_get(st, (size_t)n * sizeof *equal);
      if (!equal) return norn_none();
      logw = equal;
    }
    merged = posterior_merge(st, &values, logw, &n);
    engine_put(st, equal, equal ? (size_t)n0 * sizeof *equal : 0);
    if (!merged) return norn_none();
    logw = merged;
  }
  if (!norn_array_view(values, &v) || !n) {
    engine_put(st, merged, (size_t)n0 * sizeof zero);
    return norn_none();
  }
  a[POST_VALUES] = values;
  bool good = posterior_weights(st, logw, n, &a[POST_LOGW], &a[POST_CUMULATIVE]);
  engine_put(st, merged, (size_t)n0 * sizeof *merged);
  if (!good) return norn_none();
  a[POST_INFO] = info;
  a[POST_CHOICES] = choices;
  a[POST_MODEL] = model;
  a[POST_ENGINE] = engine;
  a[POST_STREAM] = norn_int((int64_t)stream);
  a[POST_ATOMS] = a[POST_ATOM_LOGP] = a[POST_ORDER] = norn_unit();
  if (a[POST_LOGW].tag != NORN_UNIT) norn_array_view(a[POST_LOGW], &lw);
  atoms t;
  bool has = distinct ? atoms_fill_distinct(st, &v, &lw, distinct, &t)
                      : atoms_fill(st, values, &v, &lw, exact, &t);
  if (has) {
    if (!exact) atoms_sort(st, values, t.order, t.n);
    a[POST_ATOMS] = t.a_slot;
    a[POST_ATOM_LOGP] = t.a_logp;
    norn_datum order = norn_array(st, NORN_I64, 1, &t.n, &(void *){ NULL });
    norn_view o;
    if (norn_is_none(order) || !norn_array_view(order, &o)) return norn_none();
    memcpy((void *)o.i, t.order, (size_t)t.n * sizeof *t.order);
    a[POST_ORDER] = order;
  }
  return norn_dist_new(st, has ? &posterior_row_atoms : &posterior_row_draws, a, POST_ARGS);
}

/* ---- reading ---- */

static norn_datum info_get(norn_state *st, const norn_dist *d, const char *name)
{
  return norn_record_get(st, d->args[POST_INFO], name);
}

norn_datum posterior_info(norn_state *st, norn_datum p, const char *name)
{
  norn_dist d;
  return posterior_args(p, &d) ? info_get(st, &d, name) : norn_none();
}

int posterior_chains(norn_state *st, norn_datum info, int64_t draws)
{
  norn_datum n = norn_record_get(st, info, "chains");
  if (!norn_is_none(norn_record_get(st, info, "chain_lengths"))) return 0;
  return n.tag == NORN_INT && n.i > 0 && draws % n.i == 0 ? (int)n.i : 0;
}

int posterior_superchains(norn_state *st, norn_datum info, int64_t draws)
{
  norn_datum n = norn_record_get(st, info, "superchains");
  int chains = posterior_chains(st, info, draws);
  return n.tag == NORN_INT && n.i > 1 && n.i < chains && chains % n.i == 0 ? (int)n.i : 0;
}

static double info_real(norn_state *st, const norn_dist *d, const char *name)
{
  double x;
  return norn_as_real(info_get(st, d, name), &x) ? x : NAN;
}

static bool info_exact(norn_state *st, const norn_dist *d)
{
  norn_datum v = info_get(st, d, "exact");
  return v.tag == NORN_BOOL && v.i;
}

bool norn_posterior_view(norn_state *st, norn_datum p, norn_posterior *out)
{
  norn_dist d;
  norn_view lw = { 0 };
  double *w;
  if (!posterior_args(p, &d)) return false;
  *out = (norn_posterior){ .n = posterior_length(d.args[POST_VALUES]),
                           .values = d.args[POST_VALUES],
                           .info = d.args[POST_INFO],
                           .choices = d.args[POST_CHOICES] };
  if (d.args[POST_LOGW].tag != NORN_UNIT) norn_array_view(d.args[POST_LOGW], &lw);
  out->weights = posterior_f64(st, out->n, &w);
  if (norn_is_none(out->weights)) return false;
  double sum = 0;
  for (int64_t i = 0; i < out->n; i++) sum += w[i] = lw.n ? exp(lw.f[i]) : 1;
  for (int64_t i = 0; i < out->n; i++) w[i] /= sum;
  out->log_evidence = info_real(st, &d, "log_evidence");
  out->evidence_se = info_real(st, &d, "evidence_se");
  out->exact = info_exact(st, &d);
  out->engine = norn_string_view(info_get(st, &d, "engine"), NULL);
  return true;
}

/* The field of v with which a path begins, and how long its name is.  A name may have dots and brackets of its own (a net
   that predicts returns { "y[2]": ... }), so the longest that fits is meant. */
static norn_datum field_part(norn_state *st, norn_datum v, const char *path, size_t *n)
{
  norn_datum found = norn_none(), x;
  int fields = norn_kind_of(v) == NORN_RECORD ? norn_record_size(v) : 0;
  *n = 0;
  for (int i = 0; i < fields; i++) {
    const char *name = norn_record_at(st, v, i, &x);
    size_t k = strlen(name);
    if (k <= *n || strncmp(path, name, k)) continue;
    if (path[k] && path[k] != '.' && path[k] != '[') continue;
    *n = k;
    found = x;
  }
  return found;
}

/* One step of a path: a field's name, or an index. */
static norn_datum part_step(norn_state *st, norn_datum v, const char **path)
{
  const char *s = *path;
  size_t n;
  if (*s == '[') {
    char *end;
    long long i = strtoll(s + 1, &end, 10);
    if (*end != ']' || i < 0 || i >= norn_array_length(v)) return norn_none();
    *path = end + 1;
    return norn_array_at(st, v, i);
  }
  if (*s == '.') s++;
  v = field_part(st, v, s, &n);
  *path = s + n;
  return v;
}

norn_datum posterior_part(norn_state *st, norn_datum v, const char *path)
{
  while (*path && !norn_is_none(v)) v = part_step(st, v, &path);
  return v;
}

/* The part of every draw as an array; NONE when a draw lacks it. */
static norn_datum posterior_parts(norn_state *st, norn_datum values, const char *path)
{
  int64_t n = posterior_length(values);
  if (!n || norn_is_none(posterior_part(st, norn_array_at(st, values, 0), path)))
    return norn_none();
  norn_datum out = norn_none(), *v = engine_get(st, (size_t)n * sizeof *v);
  if (!v) return out;
  int64_t i = 0;
  for (; i < n; i++) {
    v[i] = posterior_part(st, norn_array_at(st, values, i), path);
    if (norn_is_none(v[i])) break;
  }
  if (i == n) out = norn_array_pack(st, v, n);
  engine_put(st, v, (size_t)n * sizeof *v);
  return out;
}

/* The probabilities that exact enumeration keeps are by value: those of the new ones. */
static norn_datum projected_info(norn_state *st, norn_datum info, norn_datum old, norn_datum new)
{
  enum { MOST = 64 };
  const char *name[MOST];
  norn_datum v[MOST], map = norn_record_get(st, info, "probabilities");
  int n = norn_record_size(info);
  if (norn_map_size(map) < 0 || n > MOST) return info;
  size_t m = (size_t)norn_array_length(new);
  norn_datum *x = engine_get(st, m * sizeof *x), *p = engine_get(st, m * sizeof *p),
             sums = norn_none();
  bool good = x && p;
  for (size_t i = 0; good && i < m; i++) {
    x[i] = norn_array_at(st, new, (int64_t)i);
    p[i] = norn_map_get(map, norn_array_at(st, old, (int64_t)i));
    good = !norn_is_none(p[i]);
  }
  if (good) sums = enumerate_probabilities(st, x, p, m);
  engine_put(st, x, m * sizeof *x);
  engine_put(st, p, m * sizeof *p);
  if (norn_is_none(sums)) return sums;
  for (int i = 0; i < n; i++) {
    name[i] = norn_record_at(st, info, i, &v[i]);
    if (!strcmp(name[i], "probabilities")) v[i] = sums;
  }
  return norn_record(st, n, name, v);
}

norn_datum posterior_project(norn_state *st, norn_datum p, norn_datum values)
{
  norn_dist d;
  norn_view lw = { 0 };
  if (!posterior_args(p, &d) ||
      norn_array_length(values) != posterior_length(d.args[POST_VALUES])) {
    norn_fail(st, NORN_EUSE, -1,
              "a projection needs a posterior and a value for each of its draws");
    return norn_none();
  }
  if (d.args[POST_LOGW].tag != NORN_UNIT) norn_array_view(d.args[POST_LOGW], &lw);
  const norn_datum *a = d.args;
  norn_datum info = projected_info(st, a[POST_INFO], a[POST_VALUES], values);
  if (norn_is_none(info)) return info;
  return posterior_new(st, values, lw.n ? lw.f : NULL, info, a[POST_CHOICES], norn_unit(),
                       norn_unit(), 0, info_exact(st, &d));
}

enum { NAMED = 8 };             /* names that a hint lists */

static size_t list_names(norn_state *st, norn_datum record, nearest *near, char *buf, size_t n)
{
  norn_datum v;
  size_t at = 0;
  int count = norn_record_size(record);
  *buf = 0;
  for (int i = 0; i < count; i++) {
    const char *name = norn_record_at(st, record, i, &v);
    nearest_try(near, name);
    if (i < NAMED && at < n) at += (size_t)snprintf(buf + at, n - at, "%s%s", i ? ", " : "", name);
  }
  if (count > NAMED && at < n) snprintf(buf + at, n - at, " ...");
  return at;
}

/* Nothing is called so: what there is. */
static norn_status no_part(norn_state *st, const norn_dist *d, const char *name)
{
  char parts[400], choices[400];
  nearest near;
  norn_datum first = posterior_length(d->args[POST_VALUES]) > 0 ? norn_array_at(st, d->args[POST_VALUES], 0) : norn_none();
  nearest_init(&near, name);
  size_t np = list_names(st, first, &near, parts, sizeof parts);
  size_t nc = list_names(st, d->args[POST_CHOICES], &near, choices, sizeof choices);
  norn_fail(st, NORN_ETYPE, -1, "no field %s in a posterior", name);
  if (nearest_found(&near)) norn_hint(st, "did you mean %s?", nearest_found(&near));
  else if (np && nc) norn_hint(st, "its value has %s; its choices are %s", parts, choices);
  else if (np) norn_hint(st, "its value has %s; its choices were not kept", parts);
  else if (nc) norn_hint(st, "its choices are %s", choices);
  else norn_hint(st, "its value has no fields, and its choices were not kept");
  return NORN_ETYPE;
}

/* `post.mu`, `post["theta.z[3]"]`: parts of the returned value first, then choices by address. */
static norn_status posterior_field(norn_state *st, const norn_dist *d, const char *name,
                                   norn_datum *out)
{
  norn_datum whole = norn_dist_new(st, d->row, d->args, d->n);
  norn_datum part = posterior_parts(st, d->args[POST_VALUES], name);
  *out = norn_none();
  if (norn_is_none(part) && norn_kind_of(d->args[POST_CHOICES]) == NORN_RECORD) {
    part = norn_record_get(st, d->args[POST_CHOICES], name);
    if (norn_kind_of(part) == NORN_DIST) { *out = part; return NORN_OK; }
  }
  if (norn_is_none(part)) return norn_error(st)->code ? NORN_OK : no_part(st, d, name);
  *out = posterior_project(st, whole, part);
  return norn_is_none(*out) ? NORN_EMEMORY : NORN_OK;
}

static norn_status column_missing(norn_state *st, const norn_dist *d, const char *name)
{
  norn_datum c = d->args[POST_CHOICES];
  char what[100];
  if (!*name)
    return norn_fail(
      st, NORN_ETYPE, 0, "the draws are not numbers: each is %s",
      norn_describe(st, norn_array_at(st, d->args[POST_VALUES], 0), what, sizeof what));
  if (norn_kind_of(c) == NORN_RECORD && norn_kind_of(norn_record_get(st, c, name)) == NORN_DIST) {
    norn_status s = norn_fail(
      st, NORN_EINFER, 1, "the exact posterior of choice %s has probabilities of its own", name);
    norn_hint(st, "take it first: post[\"%s\"]", name);
    return s;
  }
  return norn_fail(st, NORN_EINFER, 1, "this posterior has no numeric part or choice named \"%s\"",
                   name);
}

norn_status norn_posterior_column(norn_state *st, norn_datum p, const char *name, norn_datum *array)
{
  norn_dist d;
  norn_view v;
  double *x;
  if (!posterior_args(p, &d)) return norn_fail(st, NORN_ETYPE, 0, "not a posterior");
  norn_datum part = *name ? posterior_parts(st, d.args[POST_VALUES], name) : d.args[POST_VALUES];
  if (norn_is_none(part) && norn_kind_of(d.args[POST_CHOICES]) == NORN_RECORD)
    part = norn_record_get(st, d.args[POST_CHOICES], name);
  int64_t n = posterior_length(d.args[POST_VALUES]);
  if (!norn_array_view(part, &v) || v.n != n || v.rank != 1) return column_missing(st, &d, name);
  *array = posterior_f64(st, n, &x);
  if (norn_is_none(*array)) return NORN_EMEMORY;
  for (int64_t i = 0; i < n; i++) {
    norn_datum e = norn_array_at(st, part, i);
    if (e.tag == NORN_BOOL) x[i] = (double)e.i;
    else if (e.tag == NORN_MISSING) x[i] = NAN;
    else if (!norn_as_real(e, &x[i])) return column_missing(st, &d, name);
  }
  return NORN_OK;
}

/* ---- drawing ---- */

/* The draw at cumulative weight u. */
static int64_t posterior_pick(const norn_dist *d, double u)
{
  int64_t n = posterior_length(d->args[POST_VALUES]), lo = 0, hi = n - 1;
  norn_view c;
  if (d->args[POST_CUMULATIVE].tag == NORN_UNIT || !norn_array_view(d->args[POST_CUMULATIVE], &c)) {
    int64_t k = (int64_t)(u * (double)n);
    return k < n ? k : n - 1;
  }
  u *= c.f[n - 1];
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (c.f[mid] > u) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

static norn_status posterior_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                    norn_datum *out)
{
  *out = norn_array_at(st, d->args[POST_VALUES], posterior_pick(d, norn_rng_uniform(rng)));
  return NORN_OK;
}

norn_datum posterior_resampled(norn_state *st, norn_datum p, int64_t m, norn_rng *rng)
{
  norn_dist d;
  if (!posterior_args(p, &d)) return norn_none();
  if (m == posterior_length(d.args[POST_VALUES]) && d.args[POST_LOGW].tag == NORN_UNIT)
    return d.args[POST_VALUES];
  norn_datum out, *v = engine_get(st, (size_t)m * sizeof *v);
  if (!v) return norn_none();
  double u = norn_rng_uniform(rng);
  for (int64_t i = 0; i < m; i++)
    v[i] = norn_array_at(st, d.args[POST_VALUES], posterior_pick(&d, ((double)i + u) / (double)m));
  out = norn_array_pack(st, v, m);
  engine_put(st, v, (size_t)m * sizeof *v);
  return out;
}

/* ---- probabilities ---- */

static norn_status posterior_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_view slot, logp;
  if (!norn_array_view(d->args[POST_ATOMS], &slot) ||
      !norn_array_view(d->args[POST_ATOM_LOGP], &logp)) {
    norn_fail(st, NORN_EINFER, 0, "a posterior made of draws of reals has no density");
    norn_hint(
      st, "score under a distribution fitted to its draws, or infer it exactly with enumerate()");
    return NORN_EINFER;
  }
  int64_t k = atoms_find(st, slot.i, slot.n, d->args[POST_VALUES], x);
  *out = slot.i[k] < 0 ? -HUGE_VAL : logp.f[k];
  return NORN_OK;
}

/* What exact enumeration knows is a big. */
static norn_status posterior_logp_big(norn_state *st, const norn_dist *d, norn_datum x,
                                      int64_t bits, norn_datum *out)
{
  norn_datum map = norn_record_get(st, d->args[POST_INFO], "probabilities");
  (void)bits;
  if (norn_map_size(map) < 0) {
    norn_fail(st, NORN_EINFER, 0, "this posterior has no probabilities in big reals");
    norn_hint(st, "infer it with enumerate(exact = true)");
    return NORN_EINFER;
  }
  norn_datum p = norn_map_get(map, x);
  *out = norn_real(-HUGE_VAL);
  return norn_is_none(p) ? NORN_OK : norn_big_apply(st, "log", &p, 1, out);
}

static norn_status posterior_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                       norn_datum *out)
{
  norn_view order;
  *out = norn_none();
  if (norn_array_view(d->args[POST_ORDER], &order) && k < order.n)
    *out = norn_array_at(st, d->args[POST_VALUES], order.i[k]);
  return NORN_OK;
}

static void posterior_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  norn_view v, order;
  (void)st;
  *out = (norn_support){ NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1 };
  if (norn_array_view(d->args[POST_ORDER], &order)) out->size = order.n;
  if (!norn_array_view(d->args[POST_VALUES], &v) || v.rank != 1) return;
  if (v.elem == NORN_B8) out->kind = NORN_SUPPORT_BOOL;
  if (v.elem != NORN_I64) return;
  out->kind = NORN_SUPPORT_INTEGER;
  out->lower = HUGE_VAL;
  out->upper = -HUGE_VAL;
  for (int64_t i = 0; i < v.n; i++) {
    if ((double)v.i[i] < out->lower) out->lower = (double)v.i[i];
    if ((double)v.i[i] > out->upper) out->upper = (double)v.i[i];
  }
}

/* Weighted mean and variance, element by element for arrays of one shape. */
static norn_status posterior_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                     norn_datum *variance)
{
  norn_view v, lw = { 0 };
  *mean = *variance = norn_none();
  if (!norn_array_view(d->args[POST_VALUES], &v) || v.elem == NORN_VALUES)
    return norn_fail(st, NORN_ETYPE, 0,
                     "moments need draws that are numbers or arrays of one shape");
  if (d->args[POST_LOGW].tag != NORN_UNIT) norn_array_view(d->args[POST_LOGW], &lw);
  int64_t n = v.dims[0], row = n ? v.n / n : 0;
  void *pm = NULL, *pv = NULL;
  norn_datum am =
    norn_array(st, NORN_F64, v.rank > 1 ? v.rank - 1 : 1, v.rank > 1 ? v.dims + 1 : &row, &pm);
  norn_datum av =
    norn_array(st, NORN_F64, v.rank > 1 ? v.rank - 1 : 1, v.rank > 1 ? v.dims + 1 : &row, &pv);
  if (norn_is_none(am) || norn_is_none(av)) return NORN_EMEMORY;
  double *m = pm, *q = pv;
  for (int64_t k = 0; k < row; k++) {
    m[k] = q[k] = 0;
    double w, x;
    for (int64_t i = 0; i < n; i++) {
      w = exp(posterior_logw_at(&lw, n, i));
      x = v.elem == NORN_F64 ? v.f[i * row + k]
        : v.elem == NORN_I64 ? (double)v.i[i * row + k]
                             : v.b[i * row + k];
      m[k] += w * x;
    }
    for (int64_t i = 0; i < n; i++) {
      w = exp(posterior_logw_at(&lw, n, i));
      x = v.elem == NORN_F64 ? v.f[i * row + k]
        : v.elem == NORN_I64 ? (double)v.i[i * row + k]
                             : v.b[i * row + k];
      q[k] += w * (x - m[k]) * (x - m[k]);
    }
  }
  *mean = v.rank > 1 ? am : norn_real(m[0]);
  *variance = v.rank > 1 ? av : norn_real(q[0]);
  return NORN_OK;
}

static norn_status posterior_check(norn_state *st, const norn_dist *d)
{
  (void)st;
  (void)d;
  return NORN_OK;
}

#define POSTERIOR_COMMON                                                                           \
  .name = "posterior", .params = "", .doc = "The result of infer(...).", .check = posterior_check, \
  .sample = posterior_sample, .logp = posterior_logp, .support = posterior_support,                \
  .moments = posterior_moments, .field = posterior_field, .show = posterior_show,                  \
  .logp_big = posterior_logp_big

const norn_dist_row posterior_row_atoms = { POSTERIOR_COMMON,
                                            .flags = NORN_DIST_POSTERIOR | NORN_DIST_DISCRETE |
                                              NORN_DIST_FINITE,
                                            .enumerate = posterior_enumerate };
const norn_dist_row posterior_row_draws = { POSTERIOR_COMMON,
                                            .flags = NORN_DIST_POSTERIOR | NORN_DIST_CONTINUOUS };
