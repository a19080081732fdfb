/* dists: log densities of distributions whose arguments hold nodes.  A family of numbers gives one
   density node an element; all else is a call that keeps a copy of the distribution, puts the
   current numbers into its leaves (norn.h, norn_dist_leaves) and asks its row. */
#include "dist/dist.h"
#include "graph/calls.h"
#include "graph/regression.h"
#include "num/la.h"
#include <string.h>

/* ---- leaves ---------------------------------------------------------------------------------- */

/* Visits the leaves of a value in order.  Whole numbers count but are not written. */
typedef struct visit { const double *from; norn_datum *nodes; int64_t n; } visit;
static bool leaves_walk(norn_datum *v, visit *w);

static bool array_walk(norn_datum a, visit *w)
{
  norn_view v;
  norn_array_view(a, &v);
  if (v.elem == NORN_VALUES) {
    for (int64_t i = 0; i < v.n; i++)
      if (!leaves_walk((norn_datum *)(uintptr_t)&v.v[i], w)) return false;
    return true;
  }
  for (int64_t i = 0; i < v.n && v.elem != NORN_B8; i++) {
    if (w->nodes) w->nodes[w->n] = v.elem == NORN_F64 ? norn_real(v.f[i]) : norn_int(v.i[i]);
    else if (v.elem == NORN_F64) ((double *)(uintptr_t)v.f)[i] = w->from[w->n];
    w->n++;
  }
  return true;
}

static bool leaves_walk(norn_datum *v, visit *w)
{
  norn_dist d;
  if (v->tag == NORN_REAL || v->tag == NORN_INT || graph_is_node(*v)) {
    if (w->nodes) w->nodes[w->n] = *v;
    else if (v->tag == NORN_REAL) v->d = w->from[w->n];
    w->n++;
    return true;
  }
  if (norn_dist_view(*v, &d)) {
    for (int i = 0; i < d.n; i++)
      if (!leaves_walk((norn_datum *)(uintptr_t)&d.args[i], w)) return false;
    return true;
  }
  int n = 0;
  const norn_datum *field = norn_record_view(*v, &n);
  for (int i = 0; i < n; i++)
    if (!leaves_walk((norn_datum *)(uintptr_t)&field[i], w)) return false;
  return norn_array_length(*v) < 0 || array_walk(*v, w);
}

static int64_t leaves_count(norn_datum v)
{
  norn_dist d;
  norn_view a;
  if (v.tag == NORN_REAL || v.tag == NORN_INT || graph_is_node(v)) return 1;
  int64_t n = 0;
  if (norn_dist_view(v, &d)) {
    for (int i = 0; i < d.n; i++) n += leaves_count(d.args[i]);
    return n;
  }
  int fields = 0;
  const norn_datum *field = norn_record_view(v, &fields);
  for (int i = 0; i < fields; i++) n += leaves_count(field[i]);
  if (!norn_array_view(v, &a) || a.elem == NORN_B8) return n;
  if (a.elem != NORN_VALUES) return a.n;
  for (int64_t i = 0; i < a.n; i++) n += leaves_count(a.v[i]);
  return n;
}

/* Leaf *k of a value, or NONE with *k less by how many it has. */
static norn_datum leaf_in(norn_datum v, int64_t *k)
{
  int64_t n = leaves_count(v);
  norn_dist d;
  norn_view a = {0};
  int many = 0;
  if (*k >= n) { *k -= n; return norn_none(); }
  if (v.tag == NORN_REAL || v.tag == NORN_INT || graph_is_node(v)) return v;
  const norn_datum *parts = norn_record_view(v, &many);
  if (norn_dist_view(v, &d)) {
    parts = d.args;
    many = d.n;
  } else if (norn_array_view(v, &a)) {
    if (a.elem == NORN_F64) return norn_real(a.f[*k]);
    if (a.elem == NORN_I64) return norn_int(a.i[*k]);
    parts = a.v;
    many = (int)a.n;
  }
  for (int i = 0; i < many; i++) {
    norn_datum leaf = leaf_in(parts[i], k);
    if (!norn_is_none(leaf)) return leaf;
  }
  return norn_none();
}

norn_datum graph_leaf(const norn_dist *d, int64_t k)
{
  for (int i = 0; i < d->n; i++) {
    norn_datum leaf = leaf_in(d->args[i], &k);
    if (!norn_is_none(leaf)) return leaf;
  }
  return norn_none();
}

/* ---- the call: value leaves first, then those of the distribution ---------------------------- */

typedef graph_density_self density;

static bool density_forward(void *self, const double *in, double *out)
{
  density *k = self;
  norn_dist d;
  norn_datum x = norn_get(k->x), dist = norn_get(k->dist);
  visit at = {.from = in}, params = {.from = in + k->nx};
  leaves_walk(&x, &at);
  leaves_walk(&dist, &params);
  norn_dist_view(dist, &d);
  if (norn_dist_check(k->st, &d) || norn_dist_logp(k->st, &d, x, out)) {
    norn_clear(k->st);
    return false;
  }
  return *out == *out;
}

static void density_adjoint(void *self, const double *in, const double *out, const double *gout,
                            double *gin)
{
  density *k = self;
  norn_dist d;
  norn_datum x = norn_get(k->x);
  visit at = {.from = in};
  (void)out;
  leaves_walk(&x, &at);                       /* a number alone is not in the kept value */
  norn_dist_view(norn_get(k->dist), &d);
  if (norn_dist_partials(k->st, &d, x, gout[0], gin, gin + k->nx)) {
    norn_clear(k->st);
    for (int64_t i = 0; i < k->nx + k->nleaf; i++) gin[i] = (double)NAN;
  }
}

static void density_free(norn_state *st, void *self)
{
  density *k = self;
  norn_drop(k->dist);
  norn_drop(k->x);
  norn_alloc(st, k, sizeof *k, 0);
}

const graph_call graph_density_call = {"density", density_forward, density_adjoint, density_free,
                                        .uses_state = true};

static norn_datum private_copy(norn_state *st, norn_datum v);

static norn_datum private_record(norn_state *st, norn_datum v, int n)
{
  const char *names[16];
  norn_datum fields[16], field;
  if (n > 16) return norn_fail(st, NORN_EUSE, -1, "a record with too many fields"), norn_none();
  for (int i = 0; i < n; i++) {
    names[i] = norn_record_at(st, v, i, &field);
    if (norn_is_none(fields[i] = private_copy(st, field))) return norn_none();
  }
  return norn_record(st, n, names, fields);
}

/* A copy that nothing else holds, with numbers for nodes; arrays of reals are copied too, since
   they will be written to. */
static norn_datum private_copy(norn_state *st, norn_datum v)
{
  norn_view a;
  norn_dist d;
  if (graph_is_node(v)) return norn_real(v.d);
  if (norn_dist_view(v, &d)) {
    norn_datum args[16];
    if (d.n > 16) return norn_none();
    for (int i = 0; i < d.n; i++) {
      args[i] = private_copy(st, d.args[i]);
      if (norn_is_none(args[i]) && !norn_is_none(d.args[i])) return norn_none();
    }
    return norn_dist_new(st, d.row, args, d.n);
  }
  if (norn_record_size(v) >= 0) return private_record(st, v, norn_record_size(v));
  if (!norn_array_view(v, &a)) return v;
  void *to;
  if (a.elem == NORN_F64) {
    norn_datum c = norn_array(st, NORN_F64, a.rank, a.dims, &to);
    if (!norn_is_none(c)) memcpy(to, a.f, (size_t)a.n * sizeof *a.f);
    return c;
  }
  if (a.elem != NORN_VALUES || !norn_has_node(v)) return v;
  int64_t n = a.dims[0];
  norn_datum list = norn_array(st, NORN_VALUES, 1, &n, &to);
  if (norn_is_none(list)) return list;
  for (int64_t i = 0; i < n; i++) ((norn_datum *)to)[i] = norn_unit();
  for (int64_t i = 0; i < n; i++) {
    norn_datum e = private_copy(st, norn_array_at(st, v, i));
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[i] = e;
  }
  return norn_array_pack(st, to, n);
}

/* Are the derivatives known?  Asked once, where the error has a place. */
static bool density_differentiable(norn_state *st, const norn_dist *d, norn_datum x, int64_t n)
{
  double *g = norn_alloc(st, NULL, 0, (size_t)(n + 1) * sizeof *g);
  if (!g) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), false;
  memset(g, 0, (size_t)n * sizeof *g);
  norn_status status = norn_dist_partials(st, d, x, 1, g, g + leaves_count(x));
  norn_alloc(st, g, (size_t)(n + 1) * sizeof *g, 0);
  return status == NORN_OK;
}

static norn_datum density_record(graph *g, const norn_dist *d, norn_datum x, bool node)
{
  norn_state *st = g->st;
  norn_datum args[16], made = norn_none(), out;
  double value = -HUGE_VAL;
  if (d->n > 16) return norn_fail(st, NORN_EUSE, -1, "too many arguments"), made;
  for (int i = 0; i < d->n; i++) {
    args[i] = private_copy(st, d->args[i]);
    if (norn_is_none(args[i]) && !norn_is_none(d->args[i])) return made;
  }
  norn_datum dist = norn_dist_new(st, d->row, args, d->n), at = private_copy(st, x);
  norn_dist c;
  if (!norn_dist_view(dist, &c) || norn_is_none(at)) return made;
  if (norn_dist_logp(st, &c, at, &value)) return made;
  if (!node) return norn_real(value);
  int64_t nleaf = 0;
  for (int i = 0; i < d->n; i++) nleaf += leaves_count(d->args[i]);
  if (!density_differentiable(st, &c, at, leaves_count(x) + nleaf)) return made;
  density *k = norn_alloc(st, NULL, 0, sizeof *k);
  if (!k) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), made;
  *k = (density){st, norn_keep(st, dist), norn_keep(st, at), leaves_count(x), nleaf};
  int64_t n = k->nx + k->nleaf;
  void *list;
  norn_datum in = norn_array(st, NORN_VALUES, 1, &n, &list);
  if (!k->dist || !k->x || norn_is_none(in)) return density_free(st, k), made;
  for (int64_t i = 0; i < n; i++) ((norn_datum *)list)[i] = norn_unit();
  visit w = {.nodes = list};
  leaves_walk(&x, &w);
  for (int i = 0; i < d->n; i++) leaves_walk((norn_datum *)(uintptr_t)&d->args[i], &w);
  if (!graph_called_new(g, &graph_density_call, k, list, (uint32_t)n, &value, &out, 1)) return made;
  return out;
}

/* ---- bounds that are no leaves --------------------------------------------------------------- */

static bool bounds_forward(void *self, const double *in, double *out)
{
  density *k = self;
  norn_dist d;
  norn_datum dist = norn_get(k->dist);
  visit params = {.from = in};
  leaves_walk(&dist, &params);
  norn_dist_view(dist, &d);
  if (!norn_dist_check(k->st, &d) && !norn_dist_bounds(k->st, &d, out, out + k->nx)) return true;
  norn_clear(k->st);
  return false;
}

static void bounds_adjoint(void *self, const double *in, const double *out, const double *gout,
                           double *gin)
{
  density *k = self;
  norn_dist d;
  (void)in, (void)out;
  norn_dist_view(norn_get(k->dist), &d);
  if (!norn_dist_bounds_adjoint(k->st, &d, gout, gout + k->nx, gin)) return;
  norn_clear(k->st);
  for (int64_t i = 0; i < k->nleaf; i++) gin[i] = (double)NAN;
}

static const graph_call bounds_call = {"bounds", bounds_forward, bounds_adjoint, density_free,
                                       .uses_state = true};

bool graph_bounds(graph *g, const norn_dist *d, int64_t n, norn_datum *out)
{
  norn_state *st = g->st;
  norn_datum args[16];
  norn_dist c;
  int64_t nleaf = 0;
  if (d->n > 16) return norn_fail(st, NORN_EUSE, -1, "too many arguments"), false;
  for (int i = 0; i < d->n; i++) {
    args[i] = private_copy(st, d->args[i]);
    if (norn_is_none(args[i]) && !norn_is_none(d->args[i])) return false;
    nleaf += leaves_count(d->args[i]);
  }
  void *list, *values;
  norn_datum dist = norn_dist_new(st, d->row, args, d->n);
  norn_datum in = norn_array(st, NORN_VALUES, 1, &nleaf, &list);
  norn_datum now = norn_array(st, NORN_F64, 1, (const int64_t[]){2 * n}, &values);
  if (!norn_dist_view(dist, &c) || norn_is_none(in) || norn_is_none(now)) return false;
  for (int64_t i = 0; i < nleaf; i++) ((norn_datum *)list)[i] = norn_unit();
  visit w = {.nodes = list};
  for (int i = 0; i < d->n; i++) leaves_walk((norn_datum *)(uintptr_t)&d->args[i], &w);
  if (norn_dist_bounds(st, &c, values, (double *)values + n)) return false;
  density *k = norn_alloc(st, NULL, 0, sizeof *k);
  if (!k) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), false;
  *k = (density){st, norn_keep(st, dist), NULL, n, nleaf};
  if (!k->dist) return density_free(st, k), false;
  return graph_called_new(g, &bounds_call, k, list, (uint32_t)nleaf, values, out,
                          (uint32_t)(2 * n));
}

/* ---- families of numbers --------------------------------------------------------------------- */

static bool is_number(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || graph_is_node(v);
}

static norn_datum element_of(norn_state *st, norn_datum v, int64_t k)
{
  return norn_array_length(v) < 0 ? v : norn_array_at(st, v, k);
}

/* Rows of a product: elements k of all arguments that are arrays. */
static norn_datum product_record(graph *g, const norn_dist *d, norn_datum x, int64_t n)
{
  norn_state *st = g->st;
  void *to;
  norn_datum list = norn_array(st, NORN_VALUES, 1, &n, &to);
  if (norn_is_none(list)) return list;
  for (int64_t k = 0; k < n; k++) ((norn_datum *)to)[k] = norn_unit();
  for (int64_t k = 0; k < n; k++) {
    norn_datum args[NORN_DIST_P];
    for (int i = 0; i < d->n; i++) args[i] = element_of(st, d->args[i], k);
    norn_dist one = {d->row, args, d->n};
    norn_datum l = graph_logpdf(g, &one, element_of(st, x, k), false);
    if (norn_is_none(l)) return l;
    ((norn_datum *)to)[k] = l;
  }
  return graph_sum(g, to, n);
}

/* A distribution defined in Norn: its function records itself.  Its arguments are name, sample,
   logpdf, support ... (lang/compile/defdist.c); a number outside of the support has density 0. */
static norn_datum defined_record(graph *g, const norn_dist *d, norn_datum x)
{
  norn_datum out = norn_none();
  double logp = 0;
  if (!graph_is_node(x) && norn_dist_logp(g->st, d, x, &logp)) {
    if (norn_error(g->st)->code != NORN_ETYPE) return out;
    norn_clear(g->st);                         /* the density is a node: x is inside */
    logp = 0;
  }
  if (logp == -HUGE_VAL) return norn_real(logp);
  if (norn_call(g->st, d->args[2], &x, 1, &out)) return norn_none();
  return out;
}

norn_datum graph_logpdf(graph *g, const norn_dist *d, norn_datum x, bool term)
{
  norn_dist base;
  if (!strcmp(d->row->name, "noncentered") && d->n && norn_dist_view(d->args[0], &base))
    return graph_logpdf(g, &base, x, term);
  if (d->row->flags & NORN_DIST_COSTLY && !strcmp(d->row->name, "distribution"))
    return defined_record(g, d, x);
  bool scalar = d->row->flags & NORN_DIST_SCALAR && d->row->partials1 && d->row->check1;
  bool node = norn_has_node(x), numbers = scalar && (is_number(x) || x.tag == NORN_BOOL);
  int64_t n = -1;
  for (int i = 0; i < d->n; i++) {
    node |= norn_has_node(d->args[i]);
    numbers = numbers && is_number(d->args[i]);
    int64_t length = norn_array_length(d->args[i]);
    if (length >= 0) n = length;
  }
  if (numbers && node) return graph_density(g, d->row, x, d->args, d->n, term);
  if (scalar && node && n >= 0 && norn_array_length(x) == n)
    return product_record(g, d, x, n);
  norn_datum direct;
  if (node && graph_regression_record(g, d, x, &direct)) return direct;
  if (node && graph_direct(g, d, x, &direct)) return direct;
  return density_record(g, d, x, node);
}

/* Calls f with the log density of each part that is a term by itself: an element of a product. */
typedef struct parts { bool (*f)(void *user, norn_datum lw); void *user; bool term; } parts;
static bool each_part(graph *g, const norn_dist *d, norn_datum x, const parts *to)
{
  norn_dist base;
  if (!strcmp(d->row->name, "noncentered") && d->n && norn_dist_view(d->args[0], &base))
    return each_part(g, &base, x, to);
  if (!strcmp(d->row->name, "iid") && d->n == 2 && norn_dist_view(d->args[0], &base)) {
    for (int64_t k = 0; k < norn_array_length(x); k++)
      if (!each_part(g, &base, norn_array_at(g->st, x, k), to)) return false;
    return true;
  }
  int64_t n = -1;
  bool node = norn_has_node(x), scalar = d->row->flags & NORN_DIST_SCALAR && d->row->partials1;
  for (int i = 0; i < d->n; i++) {
    node |= norn_has_node(d->args[i]);
    int64_t length = norn_array_length(d->args[i]);
    if (length >= 0) n = length;
  }
  if (scalar && (node || !to->term) && n >= 0 && norn_array_length(x) == n) {
    for (int64_t k = 0; k < n; k++) {
      norn_datum args[NORN_DIST_P];
      for (int i = 0; i < d->n; i++) args[i] = element_of(g->st, d->args[i], k);
      norn_dist one = {d->row, args, d->n};
      if (!each_part(g, &one, element_of(g->st, x, k), to)) return false;
    }
    return true;
  }
  norn_datum l = graph_logpdf(g, d, x, to->term);
  return !norn_is_none(l) && to->f(to->user, l);
}

typedef struct target_to { graph *g; norn_span span; } target_to;
static bool part_to_target(void *user, norn_datum lw)
{
  target_to *t = user;
  return graph_target(t->g, lw, t->span);
}

bool graph_observe(graph *g, const norn_dist *d, norn_datum x, norn_span span)
{
  target_to t = {g, span};
  parts to = {part_to_target, &t, true};
  return each_part(g, d, x, &to);
}

bool graph_rows(graph *g, const norn_dist *d, norn_datum x, bool (*f)(void *user, norn_datum lw),
                void *user)
{
  parts to = {f, user, false};
  return each_part(g, d, x, &to);
}

/* ---- a matrix of numbers times a vector of nodes --------------------------------------------- */

/* (program.c makes an instruction of it, where there are more than a few rows.) */
static bool matvec_forward(void *self, const double *in, double *out)
{
  graph_matrix *k = self;
  la_mul_vector(false, k->m, k->n, k->x, in, out);
  return true;
}
static void matvec_adjoint(void *self, const double *in, const double *out, const double *gout,
                           double *gin)
{
  graph_matrix *k = self;
  (void)in, (void)out;
  la_mul_vector(true, k->m, k->n, k->x, gout, gin);   /* gin is zero before */
}
static void matvec_free(norn_state *st, void *self)
{
  graph_matrix *k = self;
  norn_alloc(st, k->x, (size_t)(k->m * k->n) * sizeof *k->x, 0);
  norn_alloc(st, k, sizeof *k, 0);
}
const graph_call graph_matvec_call = {"matrix product", matvec_forward, matvec_adjoint,
                                       matvec_free, .uses_state = false, .total = true};

bool graph_matvec(graph *g, const norn_view *x, const norn_datum *v, double *values,
                  norn_datum *out)
{
  graph_matrix *k = norn_alloc(g->st, NULL, 0, sizeof *k);
  if (!k) return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), false;
  *k = (graph_matrix){x->dims[0], x->dims[1],
                      norn_alloc(g->st, NULL, 0, (size_t)x->n * sizeof(double))};
  if (!k->x) {
    norn_alloc(g->st, k, sizeof *k, 0);
    return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), false;
  }
  for (int64_t i = 0; i < x->n; i++)
    k->x[i] = x->elem == NORN_F64 ? x->f[i] : (double)x->i[i];
  for (int64_t i = 0; i < k->m; i++) {
    values[i] = 0;
    for (int64_t j = 0; j < k->n; j++)
      values[i] += k->x[i * k->n + j] * (v[j].tag == NORN_INT ? (double)v[j].i : v[j].d);
  }
  return graph_called_new(g, &graph_matvec_call, k, v, (uint32_t)k->n, values, out, (uint32_t)k->m);
}

const norn_dist_row *graph_mass_row(void) { return &dist_between; }
