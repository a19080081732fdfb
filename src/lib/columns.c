/* columns.c: see columns.h. */
#include "lib/columns.h"
#include "infer/engine.h"
#include "infer/posterior.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static norn_status no_memory(norn_state *st)
{
  return norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
}

/* ---- leaves ---- */

enum { DEPTH = 4, LEAVES = 100000, SEARCHED = 500, NAME = 200 };

static bool is_numeric(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || v.tag == NORN_BOOL || v.tag == NORN_BIG ||
         v.tag == NORN_MISSING;
}

static norn_status add_leaf(columns *c, const char *head, const char *path)
{
  if (!mem_grow(c->a.m, &c->leaf, &c->cleaf, c->nleaf + 1, sizeof *c->leaf))
    return no_memory(c->st);
  const char *join = *head && *path && *path != '[' ? "." : "";
  column_leaf l = { .name = arena_printf(&c->a, "%s%s%s", head, join, path),
                    .path = arena_text(&c->a, path, strlen(path)),
                    .source = (int)c->nsource - 1 };
  if (!l.name || !l.path) return no_memory(c->st);
  c->leaf[c->nleaf++] = l;
  return NORN_OK;
}

/* Leaves of v, the part `path` of the first draw. */
static norn_status find_leaves(columns *c, norn_datum v, const char *head, const char *path,
                               int depth)
{
  char below[NAME];
  norn_status code = NORN_OK;
  int fields = norn_record_size(v);
  int64_t n = norn_array_length(v);
  if ((fields < 0 && n < 0) || depth == DEPTH) return add_leaf(c, head, path);
  for (int i = 0; i < fields && !code; i++) {
    norn_datum f;
    const char *name = norn_record_at(c->st, v, i, &f);
    if (snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", name) < NAME)
      code = find_leaves(c, f, head, below, depth + 1);
  }
  for (int64_t i = 0; i < n && !code && c->nleaf < LEAVES; i++)
    if (snprintf(below, sizeof below, "%s[%lld]", path, (long long)i) < NAME)
      code = find_leaves(c, norn_array_at(c->st, v, i), head, below, depth + 1);
  return code;
}

/* ---- sources ---- */

/* The name of a choice whose draws these are: a field of a posterior has lost its own. */
static const char *choice_name(columns *c, const column_source *s)
{
  int m = norn_record_size(s->choices);
  for (int k = 0; k < m && !s->exact; k++) {
    norn_datum v;
    const char *name = norn_record_at(c->st, s->choices, k, &v);
    if (norn_array_length(v) != s->n) continue;
    if (!norn_equal(norn_array_at(c->st, v, 0), norn_array_at(c->st, s->values, 0))) continue;
    if (norn_equal(v, s->values)) return name;
  }
  return "";
}

static bool flag_at(norn_view *v, int64_t i)
{
  norn_datum x = lib_elem(v, i);
  double d = 0;
  return x.tag == NORN_BOOL ? x.i != 0 : norn_as_real(x, &d) && d != 0;
}

/* Which draws' trajectories diverged: info.stats.diverging, an array as long as the draws, or
   info.divergent, their places. */
static const uint8_t *divergent_of(columns *c, const column_source *s)
{
  norn_view v;
  norn_datum stats = norn_record_get(c->st, s->info, "stats"), d = norn_none();
  if (norn_record_size(stats) >= 0) d = norn_record_get(c->st, stats, "diverging");
  bool flags = norn_array_view(d, &v) && v.rank == 1 && v.n == s->n;
  if (!flags) d = norn_record_get(c->st, s->info, "divergent");
  if (!flags && (!norn_array_view(d, &v) || v.rank != 1)) return NULL;
  uint8_t *out = arena_get(&c->a, (size_t)s->n);
  for (int64_t i = 0; out && i < v.n; i++) {
    double at;
    if (flags) out[i] = flag_at(&v, i);
    else if (norn_as_real(lib_elem(&v, i), &at) && at >= 0 && at < (double)s->n)
      out[(int64_t)at] = 1;
  }
  return out;
}

static norn_status add_source(columns *c, norn_datum x, const char *head, int64_t chains, int arg)
{
  norn_posterior post;
  char got[160];
  column_source s = { .values = x, .choices = norn_unit(), .info = norn_unit() };
  if (!mem_grow(c->a.m, &c->source, &c->csource, c->nsource + 1, sizeof *c->source))
    return no_memory(c->st);
  if (lib_is_posterior(x)) {
    if (!norn_posterior_view(c->st, x, &post)) return lib_failed(c->st);
    s.values = post.values;
    s.choices = post.choices;
    s.info = post.info;
    s.exact = post.exact;
    s.weights = post.weights;
    s.chains = posterior_chains(c->st, post.info, post.n);
    if (!lib_weights(c->st, &post, &s.w)) return lib_failed(c->st);
  }
  s.n = norn_array_length(s.values);
  if (s.n < 0) {
    norn_status code = norn_fail(c->st, NORN_ETYPE, 0,
                                 "plot takes a posterior, an array, or a record of them, got %s",
                                 norn_describe(c->st, x, got, sizeof got));
    if (norn_kind_of(x) == NORN_MODEL)
      norn_hint(c->st, "infer(m, engine) gives the posterior of a model value");
    return code;
  }
  if (s.n == 0) return norn_fail(c->st, NORN_EDOMAIN, 0, "there are no draws to plot");
  if (!s.chains && !s.w && !s.exact && chains > 0) {
    if (s.n % chains)
      return norn_fail(c->st, NORN_EDOMAIN, arg,
                       "%lld draws can't be of %lld chains of equal length", (long long)s.n,
                       (long long)chains);
    s.chains = (int)chains;
  }
  if (norn_record_size(s.info) >= 0) s.divergent = divergent_of(c, &s);
  c->source[c->nsource++] = s;
  if (!*head) head = choice_name(c, &s);
  return find_leaves(c, norn_array_at(c->st, s.values, 0), head, "", 0);
}

norn_status columns_open(norn_state *st, mem *m, norn_datum x, int64_t chains, int arg,
                         columns *c)
{
  norn_status code = NORN_OK;
  *c = (columns){ .st = st };
  arena_init(&c->a, m);
  int fields = norn_record_size(x);
  if (fields < 0) code = add_source(c, x, "", chains, arg);
  for (int i = 0; i < fields && !code; i++) {
    norn_datum v;
    const char *name = norn_record_at(st, x, i, &v);
    code = add_source(c, v, name, chains, arg);
  }
  if (!code && !c->nleaf) code = norn_fail(st, NORN_EDOMAIN, 0, "there is nothing to plot in it");
  return code;
}

void columns_free(columns *c)
{
  mem_put(c->a.m, c->source, c->csource * sizeof *c->source);
  mem_put(c->a.m, c->leaf, c->cleaf * sizeof *c->leaf);
  arena_free(&c->a);
}

/* ---- only ---- */

/* * stands for any characters. */
static bool matches(const char *pattern, const char *s)
{
  const char *star = NULL, *from = NULL;
  while (*s) {
    if (*pattern == '*') {
      star = pattern++;
      from = s;
    } else if (*pattern == *s) pattern++, s++;
    else if (star) {
      pattern = star + 1;
      s = ++from;
    } else return false;
  }
  while (*pattern == '*') pattern++;
  return !*pattern;
}

static bool named(const char *want, const char *name)
{
  size_t n = strlen(want);
  if (strncmp(want, name, n) == 0 && (!name[n] || name[n] == '[' || name[n] == '.')) return true;
  return matches(want, name);
}

/* A choice by its address: a source of its own, without the part of leaves. */
static norn_status add_choice(columns *c, const char *want, bool *found)
{
  for (size_t k = 0; k < c->nsource; k++) {
    column_source s = c->source[k];
    if (norn_record_size(s.choices) < 0) continue;
    norn_datum v = norn_record_get(c->st, s.choices, want);
    if (norn_array_length(v) != s.n) continue;
    if (!mem_grow(c->a.m, &c->source, &c->csource, c->nsource + 1, sizeof *c->source))
      return no_memory(c->st);
    s.values = v;
    c->source[c->nsource++] = s;
    *found = true;
    return find_leaves(c, norn_array_at(c->st, v, 0), want, "", 0);
  }
  return NORN_OK;
}

static norn_status not_there(columns *c, const char *want, int arg, size_t all)
{
  nearest near;
  char base[NAME];
  norn_status code = norn_fail(c->st, NORN_EDOMAIN, arg, "there is no parameter \"%s\" here", want);
  nearest_init(&near, want);
  for (size_t i = 0; i < all; i++) {
    snprintf(base, sizeof base, "%s", c->leaf[i].name);
    base[strcspn(base, "[")] = 0;
    nearest_try(&near, strchr(want, '[') ? c->leaf[i].name : base);
    if (nearest_found(&near) == base) break;
  }
  const char *best = nearest_found(&near);
  if (best) norn_hint(c->st, "did you mean \"%s\"?", best);
  else norn_hint(c->st, "the first is \"%s\"", all ? c->leaf[0].name : "");
  return code;
}

static norn_status only_one(columns *c, const char *want, int arg, size_t all, bool *keep)
{
  bool found = false;
  for (size_t i = 0; i < all; i++)
    if (named(want, c->leaf[i].name)) keep[i] = found = true;
  norn_status code = found ? NORN_OK : add_choice(c, want, &found);
  return code || found ? code : not_there(c, want, arg, all);
}

norn_status columns_only(columns *c, norn_datum only, int arg)
{
  size_t all = c->nleaf, kept = 0;
  bool *keep = arena_get(&c->a, all + 1);
  const char *s = norn_string_view(only, NULL);
  int64_t n = norn_array_length(only);
  if (!keep) return no_memory(c->st);
  if (!s && n < 1)
    return norn_fail(c->st, NORN_ETYPE, arg, "only must be a name, or an array of names");
  norn_status code = s ? only_one(c, s, arg, all, keep) : NORN_OK;
  for (int64_t i = 0; i < n && !code; i++) {
    s = norn_string_view(norn_array_at(c->st, only, i), NULL);
    code = s ? only_one(c, s, arg, all, keep)
             : norn_fail(c->st, NORN_ETYPE, arg, "only must be an array of names");
  }
  for (size_t i = 0; i < c->nleaf; i++)
    if (i >= all || keep[i]) c->leaf[kept++] = c->leaf[i];
  c->nleaf = kept;
  return code;
}

/* ---- draws ---- */

/* The part of draw i. */
static norn_datum part_at(columns *c, const column_leaf *l, int64_t i)
{
  norn_datum v = norn_array_at(c->st, c->source[l->source].values, i);
  return *l->path ? posterior_part(c->st, v, l->path) : v;
}

static bool gather_numbers(columns *c, const column_leaf *l, int64_t n, double *x, plot_type *type)
{
  bool real = false, whole = false;
  for (int64_t i = 0; i < n; i++) {
    norn_datum v = part_at(c, l, i);
    if (!is_numeric(v)) return false;
    if (v.tag == NORN_BOOL) x[i] = (double)v.i;
    else if (!norn_as_real(v, &x[i])) x[i] = (double)NAN;
    real |= v.tag == NORN_REAL || v.tag == NORN_BIG;
    whole |= v.tag == NORN_INT;
  }
  *type = real ? PLOT_REAL : whole ? PLOT_INTEGER : PLOT_BOOLEAN;
  return true;
}

enum { KINDS = 24 };
typedef struct kinds { norn_datum v[KINDS]; int n; bool more; } kinds;

static int by_value(const void *a, const void *b)
{
  return norn_compare(*(const norn_datum *)a, *(const norn_datum *)b);
}

static void find_kinds(columns *c, const column_leaf *l, int64_t n, kinds *k)
{
  *k = (kinds){ .n = 0 };
  for (int64_t i = 0; i < n; i++) {
    norn_datum v = part_at(c, l, i);
    int j = 0;
    while (j < k->n && !norn_equal(k->v[j], v)) j++;
    if (j == KINDS - 1) k->more = true;
    else if (j == k->n) k->v[k->n++] = v;
  }
  qsort(k->v, (size_t)k->n, sizeof k->v[0], by_value);
}

/* What is no number: the number of its kind, with the kinds' names. */
static norn_status gather_kinds(columns *c, const column_leaf *l, int64_t n, double *x,
                                plot_column *out)
{
  kinds k;
  find_kinds(c, l, n, &k);
  const char **label = arena_get(&c->a, (size_t)(k.n + 1) * sizeof *label);
  if (!label) return no_memory(c->st);
  for (int j = 0; j < k.n; j++) {
    const char *s = norn_show(c->st, k.v[j], false, 40);
    if (!s || !(label[j] = arena_text(&c->a, s, strlen(s)))) return no_memory(c->st);
  }
  if (k.more) label[k.n] = "others";
  for (int64_t i = 0; i < n; i++) {
    norn_datum v = part_at(c, l, i);
    int j = 0;
    while (j < k.n && !norn_equal(k.v[j], v)) j++;
    x[i] = j;
  }
  out->type = PLOT_LABEL;
  out->label = label;
  out->nlabel = k.n + k.more;
  return NORN_OK;
}

norn_status columns_gather(columns *c, size_t i, plot_column *out)
{
  const column_leaf *l = &c->leaf[i];
  const column_source *s = &c->source[l->source];
  double *x = arena_get(&c->a, (size_t)s->n * sizeof *x);
  if (!x) return no_memory(c->st);
  *out = (plot_column){ .name = l->name, .n = s->n, .x = x, .w = s->w, .divergent = s->divergent,
                        .chains = s->chains, .rhat = (double)NAN, .ess = (double)NAN };
  bool numbers = gather_numbers(c, l, s->n, x, &out->type);
  if (numbers && !(s->exact && out->type == PLOT_REAL && s->n <= KINDS)) return NORN_OK;
  return gather_kinds(c, l, s->n, x, out);
}

norn_status columns_measure(columns *c, plot_column *p)
{
  double square = 0;
  for (int64_t i = 0; i < p->n; i++) if (!isfinite(p->x[i])) return NORN_OK;
  if (p->type == PLOT_LABEL) return NORN_OK;
  if (p->chains > 0)
    return diagnose_chains(c->st, p->x, p->chains, p->n / p->chains, &p->ess, &p->rhat)
               ? NORN_OK : lib_failed(c->st);
  for (int64_t i = 0; p->w && i < p->n; i++) square += p->w[i] * p->w[i];
  if (p->w) p->ess = 1 / square;
  return NORN_OK;
}

/* ---- too many ---- */

typedef struct worst { double rhat; size_t leaf; } worst;

static int by_rhat(const void *a, const void *b)
{
  const worst *x = a, *y = b;
  if (x->rhat != y->rhat) return x->rhat > y->rhat ? -1 : 1;
  return x->leaf < y->leaf ? -1 : 1;
}

static int by_leaf(const void *a, const void *b)
{
  const worst *x = a, *y = b;
  return x->leaf < y->leaf ? -1 : x->leaf > y->leaf;
}

/* R-hat of each of the first n leaves, 0 where there is none. */
static norn_status rank_leaves(columns *c, worst *w, size_t n)
{
  norn_status code = NORN_OK;
  for (size_t i = 0; i < n && !code; i++) {
    columns one = *c;                  /* its draws are freed at once */
    plot_column p;
    arena_init(&one.a, c->a.m);
    code = columns_gather(&one, i, &p);
    if (!code) code = columns_measure(&one, &p);
    w[i] = (worst){ !code && p.rhat > 0 ? p.rhat : 0, i };
    arena_free(&one.a);
  }
  return code;
}

norn_status columns_limit(columns *c, int most, const char **note)
{
  size_t all = c->nleaf, n = all < SEARCHED ? all : SEARCHED, m = (size_t)most;
  bool chained = all && c->source[c->leaf[0].source].chains > 0;
  *note = NULL;
  if (all <= m) return NORN_OK;
  worst *w = chained ? arena_get(&c->a, n * sizeof *w) : NULL;
  if (chained && !w) return no_memory(c->st);
  norn_status code = chained ? rank_leaves(c, w, n) : NORN_OK;
  if (code) return code;
  if (chained) {
    qsort(w, n, sizeof *w, by_rhat);
    qsort(w, m, sizeof *w, by_leaf);
    for (size_t i = 0; i < m; i++) c->leaf[i] = c->leaf[w[i].leaf];
  }
  c->nleaf = m;
  const char *more = all >= LEAVES ? " and more" : "", *how = "only = [...] chooses others";
  if (!chained) *note = arena_printf(&c->a, "The first %d of %zu%s; %s.", most, all, more, how);
  else
    *note = arena_printf(&c->a, "The %d%s with the largest R-hat of %zu%s; %s.", most,
                         n < all ? ", among the first 500," : "", all, more, how);
  return *note ? NORN_OK : no_memory(c->st);
}
