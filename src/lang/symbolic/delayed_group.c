/* delayed_group.c: choices and observations that are arrays, where some of it is delayed (delayed.h).

   iid(d, n), product of an array, and families of numbers with arrays as parameters are gone through element by
   element.  A choice of this kind is an array of random variables, each a node of its own (a member), and one
   node, the group, which is what the choice is when choices are kept.  So loops, indices and sums of such arrays
   need nothing of their own.

   Normal vectors are nodes of their own (delayed_gauss.c) as long as they keep to themselves.  One whose mean
   is made of single variables is its numbers one after the other: with L the Cholesky factor of its covariance

        y_i | y_0 .. y_(i-1)  is  m_i + sum_(j<i) M_ij (y_j - m_j)  with variance L_ii^2,  M = 1 - diag(L) L^-1

   and so is a vector that is taken apart (delayed_split).  An iteration over very many elements is not delayed. */
#include "lang/symbolic/delayed.h"
#include "lang/value/array.h"
#include "num/la.h"
#include "num/rng.h"
#include <math.h>
#include <string.h>

enum { MOST = 4096 };                          /* elements of a choice that is delayed */
enum { G_WHOLE, G_ARRAY, G_IID, G_PRODUCT };
enum { BAD = -2 };                             /* an element can't be: the whole says why */

/* ---- the elements of a distribution ---- */

static bool is_array(val x)
{
  return x.tag == NORN_ARRAY || (v_is_random(x) && v_rvar(x)->h.aux == RANDOM_VECTOR);
}

static int64_t length(val x)
{
  return x.tag == NORN_ARRAY ? norn_array_length(x) : gauss_length(v_rvar(x));
}

/* How d is made of others, and how many; -1: it can't be. */
static int kind_of(const norn_dist *d, int64_t *n)
{
  bool prior;
  double some[NORN_DIST_P];
  norn_dist part;
  *n = -1;
  if (d->n == 2 && delayed_is(d->row, "iid")) {
    if (V_IS_INT(d->args[1]) && d->args[1].i >= 0 && norn_dist_view(d->args[0], &part)) *n = d->args[1].i;
    return G_IID;
  }
  if (d->n == 1 && delayed_is(d->row, "product") && d->args[0].tag == NORN_ARRAY) {
    *n = norn_array_length(d->args[0]);
    return G_PRODUCT;
  }
  int kind = G_WHOLE;
  bool any = false;
  for (int i = 0; i < d->n; i++) any |= is_array(d->args[i]);
  if (!any || !delayed_of_numbers(d, &prior, some)) return kind;
  for (int i = 0; i < d->n; i++) {
    if (!is_array(d->args[i])) continue;
    int64_t k = length(d->args[i]);
    *n = kind == G_WHOLE || *n == k ? k : -1;
    if (kind == G_ARRAY && *n < 0) return kind;
    kind = G_ARRAY;
  }
  return kind;
}

/* Element k, with parameters of its own in args; false: there is none (an error is set or not). */
static bool element_of(norn_state *st, const norn_dist *d, int kind, int64_t k, val *args, norn_dist *out)
{
  if (kind != G_ARRAY) {
    val part = kind == G_IID ? d->args[0] : vec_at(st, v_vec(d->args[0]), k);
    if (!norn_dist_view(part, out) || out->n > NODE_VALUES) return false;
    memcpy(args, out->args, (size_t)out->n * sizeof *args);
    out->args = args;
    return true;
  }
  for (int i = 0; i < d->n; i++) {
    args[i] = is_array(d->args[i]) ? delayed_element(st, d->args[i], k) : d->args[i];
    if (norn_is_none(args[i])) return false;
  }
  *out = (norn_dist){d->row, args, d->n};
  return true;
}

/* What of the distributions that d is made of may be delayed, without any that is random? */
static bool has_prior(const norn_dist *d, int kind)
{
  bool prior;
  double some[NORN_DIST_P];
  norn_dist part;
  int64_t n;
  if (kind == G_IID) return norn_dist_view(d->args[0], &part) && has_prior(&part, kind_of(&part, &n));
  if (kind == G_PRODUCT) return false;
  if (delayed_of_numbers(d, &prior, some)) return prior;
  return delayed_is(d->row, "dirichlet") || delayed_is(d->row, "multi_normal");
}

/* All parameters become what they stand for: the event goes on as if nothing were delayed. */
static int undelayed(norn_run *r, const norn_dist *d)
{
  val *a = (val *)(uintptr_t)d->args;
  norn_clear(r->st);
  for (int i = 0; i < d->n; i++)
    if (norn_is_none(a[i] = delayed_force(r->st, a[i])) && r->st->err.code) return -1;
  return 0;
}

/* ---- a choice ---- */

typedef struct group { norn_run *r; uint64_t addr; int64_t k; bool random; } group;

static uint64_t addr_of(const group *g) { return hash_mix(g->addr + (uint64_t)(g->k + 1) * 0x9e3779b97f4a7c15u); }

static int sample_one(group *g, const norn_dist *d, val *out)
{
  norn_state *st = g->r->st;
  uint64_t addr = addr_of(g);
  if (g->k++ >= MOST) return BAD;
  int k = delayed_sample_one(g->r, out, d, addr);
  if (k) return g->random |= k > 0, k;
  if (norn_dist_check(st, d)) return BAD;
  norn_rng rng = {g->r->stream, g->r->lane, (uint32_t)(addr ^ addr >> 32), g->r->iter, 0, st->pairs};
  return norn_dist_sample(st, d, &rng, out) ? -1 : 1;
}

static int sample_part(group *g, const norn_dist *d, val *out, int depth)
{
  norn_state *st = g->r->st;
  val args[NODE_VALUES];
  norn_dist part;
  int64_t n;
  int kind = kind_of(d, &n), k;
  if (kind == G_WHOLE) return sample_one(g, d, out);
  if (n < 0 || n > MOST || depth > NORN_RANK_MAX) return BAD;
  if (n == 0) return norn_is_none(*out = vec_empty(st)) ? -1 : 1;
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  if (!z) return -1;
  for (int64_t i = 0; i < n; i++) z->b->v[i] = norn_unit();
  for (int64_t i = 0; i < n; i++) {
    if (!element_of(st, d, kind, i, args, &part)) return st->err.code ? -1 : BAD;
    if ((k = sample_part(g, &part, &z->b->v[i], depth + 1)) <= 0) return k;
  }
  *out = vec_repack(st, v_obj(NORN_ARRAY, z));
  return norn_is_none(*out) ? -1 : 1;
}

/* The choice at addr is v, made of members. */
static int answer(norn_run *r, val *dst, val v, const norn_dist_row *row, uint64_t addr)
{
  dnode n = {.form = NODE_GROUP, .at = AT_ROOT, .parent = -1, .scale = -1, .addr = addr, .row = row,
             .n = 1, .v = {v}};
  if (delayed_add(r, &n) < 0) return -1;
  *dst = v;
  return 1;
}

/* Members are added between these. */
static bool members_begin(norn_run *r)
{
  rgraph *g = delayed_count(r);
  if (g) g->members = true;
  return g;
}

static void members_end(norn_run *r) { r->delay->members = false; }

/* ---- normal vectors out of sums ---- */

/* mean[i], M and L of k numbers; scale: a node, or -1. */
typedef struct wide {
  int64_t k, scale;
  dsum *mean;
  double *l, *m;
} wide;

static void wide_free(norn_state *st, wide *w)
{
  for (int64_t i = 0; w->mean && i < w->k; i++) dsum_free(st, &w->mean[i]);
  mem_put(&st->mem, w->mean, (size_t)w->k * sizeof *w->mean);
}

/* L and M of the covariance q, which l has: 1, 0 it is none, -1 error set. */
static int wide_factor(norn_state *st, wide *w)
{
  int64_t k = w->k;
  if (la_cholesky(w->l, k)) return 0;
  w->mean = mem_zero(&st->mem, (size_t)k * sizeof *w->mean);
  if (!w->mean) return state_memory(st), -1;
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < k; j++) w->m[i * k + j] = i == j;
  la_solve_lower(false, w->l, k, w->m, k);                           /* L^-1 */
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < i; j++) w->m[i * k + j] *= -w->l[i * k + i];
  return 1;
}

/* Room for L and M, the first filled with q. */
static bool wide_room(norn_state *st, wide *w, const double *q)
{
  double *to;
  int64_t k = w->k, n = 2 * k * k;
  if (norn_is_none(norn_array(st, NORN_F64, 1, &n, (void **)&to))) return false;
  w->l = to;
  w->m = to + k * k;
  if (q) memcpy(w->l, q, (size_t)(k * k) * sizeof *q);
  return true;
}

/* Means given those before: mean[i] -= sum M_ij mean[j], from the last on. */
static bool wide_means(norn_state *st, wide *w)
{
  for (int64_t i = w->k; i--;)
    for (int64_t j = 0; j < i; j++)
      if (w->m[i * w->k + j] != 0 && !dsum_add(st, &w->mean[i], -w->m[i * w->k + j], &w->mean[j])) return false;
  return true;
}

/* Its numbers as nodes, the i-th under mean[i] and those before.  NONE: error set. */
static val wide_nodes(norn_run *r, wide *w, const norn_dist_row *row, uint64_t addr)
{
  norn_state *st = r->st;
  group g = {r, addr, 0, false};
  vec *z = vec_new(st, NORN_VALUES, 1, &w->k);
  if (!z || !members_begin(r)) return norn_none();
  for (int64_t i = 0; i < w->k; i++) z->b->v[i] = norn_unit();
  bool good = wide_means(st, w);
  for (int64_t i = 0; i < w->k && good; i++, g.k++) {
    dsum *m = &w->mean[i];
    dnode n = {.form = NODE_NORMAL, .parent = -1, .scale = w->scale, .addr = addr_of(&g), .row = row};
    for (int64_t j = 0; j < i && good; j++)
      if (w->m[i * w->k + j] != 0)
        good = dsum_term(st, m, v_rvar(z->b->v[j])->node, w->m[i * w->k + j]);
    good = good && delayed_under(r, &n, m);
    n.x[2] = w->l[i * w->k + i] * w->l[i * w->k + i];
    if (m->n < 2) {
      n.n = 0;
      n.at = m->n ? AT_CHILD : AT_ROOT;
      n.parent = m->n ? m->t[0].id : -1;
      n.x[0] = m->n ? m->t[0].a : m->b;
      if (!m->n) n.x[1] = n.x[2];
    }
    good = good && delayed_answer(r, &z->b->v[i], &n, RANDOM_AFFINE, 1) > 0;
  }
  members_end(r);
  return good ? v_obj(NORN_ARRAY, z) : norn_none();
}

bool delayed_split(norn_run *r, int64_t id, dnode *n)
{
  norn_state *st = r->st;
  norn_view mean, a, p;
  dnode parent;
  if (n->at == AT_CHILD && delayed_load(r, n->parent, &parent) && parent.form != NODE_GROUP &&
      !delayed_root(r, id, n)) return false;
  if (st->err.code || n->form == NODE_GROUP) return !st->err.code;
  bool child = n->at == AT_CHILD;
  norn_array_view(n->v[child ? 1 : 0], &mean);
  norn_array_view(n->v[child ? 2 : 1], &p);
  wide w = {.k = mean.n, .scale = -1};
  int good = wide_room(st, &w, p.f) ? wide_factor(st, &w) : -1;
  if (good == 0) norn_fail(st, NORN_EDOMAIN, -1, "the covariance of a delayed normal vector is not definite");
  if (child) norn_array_view(n->v[0], &a);
  for (int64_t i = 0; good > 0 && i < w.k; i++) {
    w.mean[i].b = mean.f[i];
    for (int64_t j = 0; child && good > 0 && j < a.dims[1]; j++)
      if (a.f[i * a.dims[1] + j] != 0)
        good = dsum_of(r, &w.mean[i], a.f[i * a.dims[1] + j], delayed_element(st, parent.v[0], j));
  }
  val z = good > 0 ? wide_nodes(r, &w, n->row, n->addr) : norn_none();
  wide_free(st, &w);
  if (norn_is_none(z)) return false;
  *n = (dnode){.form = NODE_GROUP, .at = AT_ROOT, .member = n->member, .parent = -1, .scale = -1, .addr = n->addr,
               .row = n->row, .n = 1, .v = {z}};
  return delayed_store(r, id, n);
}

/* A covariance whose elements are c v of one random v that is 1/g: the c into l.  false: it is not so. */
static bool scaled_covariance(norn_run *r, val q, wide *w)
{
  int64_t k = w->k;
  double c;
  dnode n;
  w->scale = -1;
  for (int64_t i = 0; i < k * k; i++) {
    val row = vec_at(r->st, v_vec(q), i / k);
    if (row.tag != NORN_ARRAY || norn_array_length(row) != k) return false;
    val e = vec_at(r->st, v_vec(row), i % k);
    if (!v_is_random(e)) {
      if (!norn_as_real(e, &c) || c != 0) return false;
      w->l[i] = 0;
      continue;
    }
    const rvar *x = v_rvar(e);
    if (x->h.aux != RANDOM_POWER || x->p != -1 || x->b != 0 || (w->scale >= 0 && w->scale != x->node)) return false;
    w->scale = x->node;
    w->l[i] = x->a;
  }
  for (int64_t i = 0; i < k * k; i++)
    if (w->l[i] != w->l[i % k * k + i / k]) return false;
  return w->scale >= 0 && delayed_load(r, w->scale, &n) && n.form == NODE_GAMMA && n.at != AT_KNOWN;
}

/* The covariance, numbers or in units of a scale, into l: 1, 0 it is none of these, -1 error set. */
static int covariance(norn_run *r, const norn_dist *d, wide *w)
{
  norn_state *st = r->st;
  norn_view v;
  val zero, q = d->args[1];
  double *to;
  if (q.tag != NORN_ARRAY || norn_array_length(q) != w->k) return 0;
  if (!wide_room(st, w, NULL)) return -1;
  w->scale = -1;
  if (!norn_array_view(q, &v) || v.elem == NORN_VALUES) {
    if (scaled_covariance(r, q, w)) return 1;
    return st->err.code ? -1 : 0;
  }
  if (v.rank != 2 || v.dims[1] != w->k) return 0;
  if (norn_is_none(zero = norn_array(st, NORN_F64, 1, &w->k, (void **)&to))) return -1;
  memset(to, 0, (size_t)w->k * sizeof *to);
  norn_dist like = {d->row, (val[]){zero, q}, 2};
  if (norn_dist_check(st, &like)) return norn_clear(st), 0;
  for (int64_t i = 0; i < v.n; i++) w->l[i] = v.elem == NORN_F64 ? v.f[i] : (double)v.i[i];
  return 1;
}

/* multi_normal whose mean has sums in it, or whose covariance a scale: 1, 0 it is another, -1 error set. */
static int wide_of(norn_run *r, const norn_dist *d, wide *w)
{
  norn_state *st = r->st;
  val m = d->args[0];
  dnode n;
  *w = (wide){.k = 0};
  if (!delayed_is(d->row, "multi_normal") || d->n != 2 || !is_array(m) || (w->k = length(m)) < 1) return 0;
  bool has = m.tag == NORN_ARRAY ? delayed_inside(st, m) : false, odd = delayed_inside(st, d->args[1]);
  if (v_is_random(m)) {
    if (!delayed_load(r, v_rvar(m)->node, &n)) return -1;
    has = n.form == NODE_GROUP && n.at != AT_KNOWN;
  }
  if (!has && !odd) return 0;
  int k = covariance(r, d, w);
  if (k > 0) k = wide_factor(st, w);
  for (int64_t i = 0; i < w->k && k > 0; i++) {
    val e = delayed_element(st, m, i);
    k = norn_is_none(e) ? -1 : dsum_of(r, &w->mean[i], 1, e);
  }
  for (int64_t i = 0; i < w->k && k > 0; i++) k = delayed_settle(r, &w->mean[i], w->scale);
  if (k != 2) return k;
  wide_free(st, w);                            /* a scale was drawn */
  if (norn_is_none(((val *)(uintptr_t)d->args)[1] = odd ? delayed_force(st, d->args[1]) : d->args[1])) return -1;
  return wide_of(r, d, w);
}

static int wide_sample(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  wide w;
  int k = wide_of(r, d, &w);
  val z = k > 0 ? wide_nodes(r, &w, d->row, addr) : norn_none();
  wide_free(r->st, &w);
  return k <= 0 ? k : norn_is_none(z) ? -1 : answer(r, dst, z, d->row, addr);
}

/* Its numbers one after the other. */
static bool wide_learn(norn_run *r, wide *w, const double *y, double *lp)
{
  dsum all = {.n = 0};
  dnode scale;
  bool good = wide_means(r->st, w) && (w->scale < 0 || delayed_load(r, w->scale, &scale));
  for (int64_t i = 0; i < w->k && good; i++) good = dsum_add(r->st, &all, 1, &w->mean[i]);
  joint *j = good ? joint_open(r, &all) : NULL;
  for (int64_t i = 0; i < w->k && j && good; i++) {
    for (int64_t p = 0; p < i; p++) w->mean[i].b += w->m[i * w->k + p] * y[p];
    double l = w->l[i * w->k + i];
    good = delayed_sum_learn(j, &w->mean[i], l * l, w->scale < 0 ? NULL : &scale, y[i], lp);
  }
  dsum_free(r->st, &all);
  if (!good) joint_free(j);
  return good && j && joint_close(j) && (w->scale < 0 || delayed_store(r, w->scale, &scale));
}

static int wide_observe(norn_run *r, const norn_dist *d, val y, double *lp)
{
  wide w;
  norn_view v;
  int k = wide_of(r, d, &w);
  double *at = NULL;
  bool fits = norn_array_view(y, &v) && v.rank == 1 && v.n == w.k && (v.elem == NORN_F64 || v.elem == NORN_I64);
  if (k > 0 && !fits) k = 0;
  if (k > 0 && norn_is_none(norn_array(r->st, NORN_F64, 1, &v.n, (void **)&at))) k = -1;
  for (int64_t i = 0; k > 0 && i < v.n; i++) {
    at[i] = v.elem == NORN_F64 ? v.f[i] : (double)v.i[i];
    if (!isfinite(at[i])) k = 0;
  }
  *lp = 0;
  if (k > 0 && !wide_learn(r, &w, at, lp)) k = -1;
  wide_free(r->st, &w);
  return k;
}

/* ---- events ---- */

int delayed_group_sample(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  int64_t n;
  val v;
  group g = {r, addr, 0, false};
  int kind = kind_of(d, &n);
  if (kind == G_WHOLE) return wide_sample(r, dst, d, addr);
  if (n < 1 || n > MOST || (!delayed_args(r, d) && !has_prior(d, kind))) return 0;
  if (!members_begin(r)) return -1;
  int k = sample_part(&g, d, &v, 0);
  members_end(r);
  if (k == BAD) return undelayed(r, d);
  if (k < 0) return -1;
  return answer(r, dst, v, d->row, addr);
}

static int observe_part(norn_run *r, const norn_dist *d, val y, double *lp, int depth)
{
  norn_state *st = r->st;
  val args[NODE_VALUES];
  norn_dist part;
  int64_t n;
  double one;
  int kind = kind_of(d, &n), k;
  if (kind == G_WHOLE) {
    k = delayed_args(r, d) ? delayed_observe(r, d, y, &one) : 0;
    if (k < 0) return k;
    if (!k && (norn_dist_check(st, d) || norn_dist_logp(st, d, y, &one))) return BAD;
    *lp += one;
    return 1;
  }
  if (n < 0 || depth > NORN_RANK_MAX || y.tag != NORN_ARRAY || norn_array_length(y) != n) return BAD;
  for (int64_t i = 0; i < n; i++) {
    if (!element_of(st, d, kind, i, args, &part)) return st->err.code ? -1 : BAD;
    val e = vec_at(st, v_vec(y), i);
    k = norn_is_none(e) ? -1 : observe_part(r, &part, e, lp, depth + 1);
    if (k <= 0) return k;
  }
  return 1;
}

int delayed_group_observe(norn_run *r, const norn_dist *d, val y, double *lp)
{
  int64_t n;
  int kind = kind_of(d, &n);
  if (kind == G_WHOLE) return wide_observe(r, d, y, lp);
  *lp = 0;
  int k = observe_part(r, d, y, lp, 0);
  return k == BAD ? undelayed(r, d) : k;
}

/* ---- distributions as values ---- */

/* x with some number for what is random. */
static val stand_in(norn_state *st, val x, double some, int depth)
{
  if (v_is_random(x)) {
    if (v_rvar(x)->h.aux != RANDOM_VECTOR) return norn_real(some);
    x = delayed_rows(st, x);
  }
  if (norn_is_none(x) || x.tag != NORN_ARRAY || depth > NORN_RANK_MAX || !delayed_inside(st, x)) return x;
  int64_t n = norn_array_length(x);
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++)
    if (norn_is_none(z->b->v[i] = stand_in(st, vec_at(st, v_vec(x), i), some, depth + 1))) return norn_none();
  return z ? vec_repack(st, v_obj(NORN_ARRAY, z)) : norn_none();
}

int delayed_dist(norn_state *st, const norn_dist *d)
{
  static const char *const others[] = {"categorical", "multinomial", "multi_normal", "iid"};
  bool prior;
  double some[NORN_DIST_P];
  val args[NORN_DIST_P];
  if (!delayed_of_numbers(d, &prior, some)) {
    for (int i = 0; i < NORN_COUNT(others); i++)
      if (delayed_is(d->row, others[i])) return true;
    return false;
  }
  for (int i = 0; i < d->n; i++)
    if (norn_is_none(args[i] = stand_in(st, d->args[i], some[i], 0))) return norn_clear(st), false;
  bool good = !norn_dist_check(st, &(norn_dist){d->row, args, d->n});
  norn_clear(st);
  return good;
}

bool delayed_own_dist(norn_run *r, norn_dist *d)
{
  norn_state *st = r->st;
  const tab *from = v_tab(r->R[r->hold]);
  size_t size = heap_size_of(&from->h);
  tab *to = heap_alloc(st, size);
  if (!to) return state_memory(st), false;
  memcpy((char *)to + sizeof to->h, (const char *)from + sizeof from->h, size - sizeof to->h);
  obj_init(to, from->h.kind, from->h.aux, from->h.n);
  r->R[r->hold].p = to;
  return norn_dist_view(r->R[r->hold], d);
}
