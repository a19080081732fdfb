/* delayed_gauss.c: normal vectors that are delayed (delayed.h).

   A node x (n) is a root with mean m and covariance P, or the child a parent + c with covariance Q.  A
   value of it is the vector a x + b (a NONE: the identity; b NONE: 0) or the number a (w x) + b, of an
   element or a product with a vector.  Edges are reversed, and observations taken in, by

        S = a P a' + Q,  K = P a' S^-1:      x | y is  K y + m - K (a m + c)  with covariance  P - K a P

   (Kalman 1960; Sarkka 2013, "Bayesian filtering and smoothing", A.1). */
#include "lang/symbolic/delayed.h"
#include "lang/value/array.h"
#include "num/la.h"
#include <math.h>
#include <string.h>

#define LOG_2PI 1.8378770664093454836

/* ---- arrays of reals ---- */

/* A new one, (n) or (n, m); NULL: error set. */
static double *reals(norn_state *st, int64_t n, int64_t m, val *out)
{
  double *x = NULL;
  *out = norn_array(st, NORN_F64, m < 0 ? 1 : 2, (int64_t[]){n, m}, (void **)&x);
  return norn_is_none(*out) ? NULL : x;
}

static const double *elements(val x)
{
  norn_view v;
  return norn_array_view(x, &v) && v.elem == NORN_F64 ? v.f : NULL;
}

/* x as reals, if it is an array of numbers of that rank; else NONE. */
static val numbers(norn_state *st, val x, int rank, norn_view *v)
{
  val y = x;
  if (!norn_array_view(x, v) || v->rank != rank || v->n == 0) return norn_none();
  if (v->elem == NORN_F64) return x;
  if (v->elem != NORN_I64) return norn_none();
  double *to = reals(st, v->dims[0], rank == 2 ? v->dims[1] : -1, &y);
  for (int64_t i = 0; to && i < v->n; i++) to[i] = (double)v->i[i];
  if (to) norn_array_view(y, v);
  return y;
}

static val identity(norn_state *st, int64_t n)
{
  val x;
  double *a = reals(st, n, n, &x);
  for (int64_t i = 0; a && i < n * n; i++) a[i] = i % (n + 1) == 0;
  return x;
}

/* ---- values ---- */

val gauss_value(norn_state *st, int kind, int64_t id, double a, double b, val m, val c)
{
  rvar *x = heap_alloc(st, sizeof *x + 2 * sizeof(val));
  if (!x) return norn_none();
  obj_init(x, V_RANDOM, (unsigned)kind, 0);
  *x = (rvar){x->h, id, a, b, 1};
  rvar_arrays(x)[0] = m;
  rvar_arrays(x)[1] = c;
  return v_obj(V_RANDOM, x);
}

val gauss_row(norn_state *st, const rvar *x, double a, double b)
{
  return gauss_value(st, (int)x->h.aux, x->node, a, b, rvar_arrays(x)[0], rvar_arrays(x)[1]);
}

int64_t gauss_length(const rvar *x)
{
  norn_view v;
  return norn_array_view(rvar_arrays(x)[1], &v) ? v.n : -1;
}

val gauss_look(norn_state *st, const rvar *x, const dnode *n)
{
  norn_view v;
  val out;
  const double *at = elements(n->v[0]), *m = elements(rvar_arrays(x)[0]), *b = elements(rvar_arrays(x)[1]);
  norn_array_view(n->v[0], &v);
  if (x->h.aux == RANDOM_ROW) return norn_real(x->a * la_dot(m, at, v.n) + x->b);
  int64_t k = gauss_length(x);
  double *to = reals(st, k, -1, &out);
  if (!to) return norn_none();
  if (m) la_mul_vector(false, k, v.n, m, at, to);
  else memcpy(to, at, (size_t)k * sizeof *to);
  for (int64_t i = 0; i < k; i++) to[i] += b[i];
  return out;
}

/* s (a x + b) + t */
static val scaled(norn_state *st, const rvar *x, double s, double t, const double *ts)
{
  norn_view v;
  val m = rvar_arrays(x)[0], c;
  int64_t k = gauss_length(x);
  const double *b = elements(rvar_arrays(x)[1]);
  double *to = reals(st, k, -1, &c);
  if (!to) return norn_none();
  for (int64_t i = 0; i < k; i++) to[i] = s * b[i] + (ts ? ts[i] : t);
  if (s != 1) {
    if (norn_is_none(m) && norn_is_none(m = identity(st, k))) return m;
    norn_array_view(m, &v);
    val of = m;
    double *a = reals(st, v.dims[0], v.dims[1], &m);
    for (int64_t i = 0; a && i < v.n; i++) a[i] = s * elements(of)[i];
    if (!a) return norn_none();
  }
  return gauss_value(st, RANDOM_VECTOR, x->node, 1, 0, m, c);
}

val gauss_arith(norn_state *st, arith op, val x, val y)
{
  norn_view v = {0};
  bool first = v_is_random(x);
  const rvar *r = v_rvar(first ? x : y);
  double k = 0, sign = !first && op == A_SUB ? -1 : 1;
  if (op == A_NEG) return scaled(st, r, -1, 0, NULL);
  val other = first ? y : x, array = numbers(st, other, 1, &v);
  if (v_is_random(other) || r->h.aux != RANDOM_VECTOR) return norn_none();
  bool is_array = !norn_is_none(array) && v.n == gauss_length(r);
  if (!is_array && (other.tag == NORN_BIG || !norn_as_real(other, &k) || !isfinite(k))) return norn_none();
  switch (op) {
  case A_ADD: return scaled(st, r, 1, k, is_array ? v.f : NULL);
  case A_SUB:
    if (!first) return scaled(st, r, sign, k, is_array ? v.f : NULL);
    if (is_array) {
      val less = arith_slow(st, A_NEG, array, array);
      return norn_is_none(less) ? less : scaled(st, r, 1, 0, elements(less));
    }
    return scaled(st, r, 1, -k, NULL);
  case A_MUL: return is_array || k == 0 ? norn_none() : scaled(st, r, k, 0, NULL);
  case A_DIV: return is_array || !first || k == 0 ? norn_none() : scaled(st, r, 1 / k, 0, NULL);
  default: return norn_none();
  }
}

/* Two numbers of one vector. */
val gauss_rows(norn_state *st, const rvar *x, const rvar *y, double sign)
{
  norn_view v;
  val w;
  norn_array_view(rvar_arrays(x)[0], &v);
  const double *p = v.f, *q = elements(rvar_arrays(y)[0]);
  double *to = reals(st, v.n, -1, &w);
  if (!to) return norn_none();
  for (int64_t i = 0; i < v.n; i++) to[i] = x->a * p[i] + sign * y->a * q[i];
  return gauss_value(st, RANDOM_ROW, x->node, 1, x->b + sign * y->b, w, norn_unit());
}

/* u . (a x + b) */
static val product_row(norn_state *st, const double *u, const rvar *x)
{
  norn_view v;
  val w, m = rvar_arrays(x)[0];
  int64_t k = gauss_length(x), n = norn_array_view(m, &v) ? v.dims[1] : k;
  double *to = reals(st, n, -1, &w);
  if (!to) return norn_none();
  if (elements(m)) la_mul_vector(true, k, n, elements(m), u, to);
  else memcpy(to, u, (size_t)n * sizeof *to);
  double b = la_dot(u, elements(rvar_arrays(x)[1]), k);
  return gauss_value(st, RANDOM_ROW, x->node, 1, b, w, norn_unit());
}

val gauss_matmul(norn_state *st, val left, val right)
{
  norn_view v, w;
  bool first = v_is_random(left);
  if (first && v_is_random(right)) return norn_none();
  const rvar *x = v_rvar(first ? left : right);
  if (x->h.aux != RANDOM_VECTOR) return norn_none();
  int64_t k = gauss_length(x);
  val u = numbers(st, first ? right : left, 1, &v);
  if (!norn_is_none(u)) return v.n == k ? product_row(st, v.f, x) : norn_none();
  if (first || norn_is_none(u = numbers(st, left, 2, &v)) || v.dims[1] != k) return norn_none();
  val m = rvar_arrays(x)[0], a = u, c;
  if (norn_array_view(m, &w)) {
    double *to = reals(st, v.dims[0], w.dims[1], &a);
    if (!to) return norn_none();
    la_mul(false, false, v.dims[0], w.dims[1], k, 1, v.f, w.f, 0, to);
  }
  double *b = reals(st, v.dims[0], -1, &c);
  if (!b) return norn_none();
  la_mul_vector(false, v.dims[0], k, v.f, elements(rvar_arrays(x)[1]), b);
  return gauss_value(st, RANDOM_VECTOR, x->node, 1, 0, a, c);
}

val gauss_index(norn_state *st, const rvar *x, int64_t i)
{
  val unit;
  int64_t k = gauss_length(x);
  if (i < 0 || i >= k) return norn_none();
  double *e = reals(st, k, -1, &unit);
  if (!e) return norn_none();
  for (int64_t j = 0; j < k; j++) e[j] = j == i;
  return product_row(st, e, x);
}

/* ---- the tree ---- */

typedef struct step {
  int64_t n, k;
  double *ap, *s, *gain, *mean, *work;         /* (k, n) a P, (k, k) S, (n, k) K, (k) a m + c; e */
} step;

/* What both need: of x with m, P and a map a, c with covariance q; l: the Cholesky factor of S.  false:
   error set. */
static bool step_of(norn_state *st, step *s, const dnode *x, const double *a, const double *c,
                    const double *q, int64_t k)
{
  norn_view v;
  val keep;
  norn_array_view(x->v[0], &v);
  const double *m = v.f, *p = elements(x->v[1]);
  int64_t n = s->n = v.n;
  s->k = k;
  double *all = reals(st, 3 * k * n + 2 * k * k + 2 * k, -1, &keep);
  if (!all) return false;
  s->ap = all;
  s->gain = s->ap + k * n;
  double *t = s->gain + n * k;                 /* (k, n) */
  s->s = t + k * n;
  double *l = s->s + k * k;
  s->mean = l + k * k;
  s->work = s->mean + k;
  la_mul_vector(false, k, n, a, m, s->mean);
  for (int64_t i = 0; i < k; i++) s->mean[i] += c ? c[i] : 0;
  la_mul(false, false, k, n, n, 1, a, p, 0, s->ap);
  memcpy(s->s, q, (size_t)(k * k) * sizeof *q);
  la_mul(false, true, k, k, n, 1, s->ap, a, 1, s->s);
  memcpy(l, s->s, (size_t)(k * k) * sizeof *l);
  if (la_cholesky(l, k))
    return norn_fail(st, NORN_EDOMAIN, -1, "the covariance of a delayed normal vector is not definite"), false;
  memcpy(t, s->ap, (size_t)(k * n) * sizeof *t);
  la_solve_lower(false, l, k, t, n);
  la_solve_lower(true, l, k, t, n);            /* S^-1 a P */
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < n; j++) s->gain[j * k + i] = t[i * n + j];
  return true;
}

/* P - K a P, symmetric */
static val less(norn_state *st, const step *s, const double *p)
{
  val out;
  int64_t n = s->n;
  double *to = reals(st, n, n, &out);
  if (!to) return norn_none();
  memcpy(to, p, (size_t)(n * n) * sizeof *p);
  la_mul(false, false, n, n, s->k, -1, s->gain, s->ap, 1, to);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) to[i * n + j] = to[j * n + i] = (to[i * n + j] + to[j * n + i]) / 2;
  return out;
}

static val copied(norn_state *st, const double *x, int64_t n, int64_t m)
{
  val out;
  double *to = reals(st, n, m, &out);
  if (to) memcpy(to, x, (size_t)(m < 0 ? n : n * m) * sizeof *x);
  return to ? out : norn_none();
}

bool gauss_reverse(norn_state *st, dnode *u, dnode *w, int64_t id_of_w)
{
  norn_view v;
  step s;
  norn_array_view(w->v[1], &v);
  if (!step_of(st, &s, u, elements(w->v[0]), v.f, elements(w->v[2]), v.n)) return false;
  val gain = copied(st, s.gain, s.n, s.k), p = less(st, &s, elements(u->v[1])), c;
  double *to = reals(st, s.n, -1, &c);
  if (norn_is_none(gain) || norn_is_none(p) || !to) return false;
  la_mul_vector(false, s.n, s.k, s.gain, s.mean, to);
  for (int64_t i = 0; i < s.n; i++) to[i] = elements(u->v[0])[i] - to[i];
  *u = (dnode){.form = NODE_VECTOR, .at = AT_CHILD, .parent = id_of_w, .scale = -1, .addr = u->addr,
               .row = u->row, .n = 3, .v = {gain, c, p}};
  *w = (dnode){.form = NODE_VECTOR, .at = AT_ROOT, .parent = -1, .scale = -1, .addr = w->addr,
               .row = w->row, .n = 2,
               .v = {copied(st, s.mean, s.k, -1), copied(st, s.s, s.k, s.k)}};
  return !norn_is_none(w->v[0]) && !norn_is_none(w->v[1]);
}

/* x a root: y (k) = a x + c with covariance q.  false: error set. */
static bool learn(norn_state *st, dnode *x, const double *a, const double *c, const double *q,
                  const double *y, int64_t k, double *lp)
{
  step s;
  val mean, l;
  if (!step_of(st, &s, x, a, c, q, k)) return false;
  double *e = s.work, *m = reals(st, s.n, -1, &mean), *f = reals(st, k, k, &l);
  val p = less(st, &s, elements(x->v[1]));
  if (!m || !f || norn_is_none(p)) return false;
  for (int64_t i = 0; i < k; i++) e[i] = y[i] - s.mean[i];
  la_mul_vector(false, s.n, k, s.gain, e, m);
  for (int64_t i = 0; i < s.n; i++) m[i] += elements(x->v[0])[i];
  memcpy(f, s.s, (size_t)(k * k) * sizeof *f);
  la_cholesky(f, k);
  la_solve_lower(false, f, k, e, 1);
  *lp = -0.5 * ((double)k * LOG_2PI + la_cholesky_log_det(f, k) + la_dot(e, e, k));
  x->v[0] = mean;
  x->v[1] = p;
  return true;
}

bool gauss_learn_row(norn_state *st, dnode *x, const rvar *row, double q, double y, double *lp)
{
  norn_view v;
  val w;
  norn_array_view(rvar_arrays(row)[0], &v);
  double *a = reals(st, v.n, -1, &w);
  if (!a) return false;
  for (int64_t i = 0; i < v.n; i++) a[i] = row->a * v.f[i];
  return learn(st, x, a, &row->b, &q, &y, 1, lp);
}

bool gauss_renew(norn_state *st, dnode *n, val parent)
{
  norn_view v;
  val mean;
  norn_array_view(n->v[1], &v);
  double *m = reals(st, v.n, -1, &mean);
  if (!m) return false;
  la_mul_vector(false, v.n, norn_array_length(parent), elements(n->v[0]), elements(parent), m);
  for (int64_t i = 0; i < v.n; i++) m[i] += v.f[i];
  n->at = AT_ROOT;
  n->v[0] = mean;
  n->v[1] = n->v[2];
  n->n = 2;
  return true;
}

/* ---- multi_normal(mu, sigma) ---- */

/* sigma, checked, of the order of mu: NONE: not of this kind. */
static val covariance(norn_run *r, const norn_dist *d, int64_t k)
{
  norn_state *st = r->st;
  norn_view v;
  val zero, q = numbers(st, d->args[1], 2, &v);
  if (norn_is_none(q) || v.dims[0] != k || v.dims[1] != k || !reals(st, k, -1, &zero)) return norn_none();
  memset((double *)(uintptr_t)elements(zero), 0, (size_t)k * sizeof(double));
  norn_dist like = {d->row, (val[]){zero, q}, 2};
  if (!norn_dist_check(st, &like)) return q;
  norn_clear(st);
  return norn_none();
}

/* The random mean: 1, 0 it is none, -1 error set. */
static int find_mean(norn_run *r, const norn_dist *d, dnode *n)
{
  if (!v_is_random(d->args[0]) || v_rvar(d->args[0])->h.aux != RANDOM_VECTOR) return 0;
  if (!delayed_load(r, v_rvar(d->args[0])->node, n)) return -1;
  return n->at != AT_KNOWN;
}

int gauss_sample(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  norn_state *st = r->st;
  norn_view v;
  dnode parent, n = {.form = NODE_VECTOR, .at = AT_ROOT, .parent = -1, .scale = -1, .addr = addr,
                     .row = d->row, .n = 2};
  int found = find_mean(r, d, &parent);
  if (found < 0) return -1;
  int64_t k = found ? gauss_length(v_rvar(d->args[0])) : norn_array_length(d->args[0]);
  val q = covariance(r, d, k), mean = found ? norn_unit() : numbers(st, d->args[0], 1, &v);
  if (norn_is_none(q) || norn_is_none(mean)) return st->err.code ? -1 : 0;
  if (found) {
    const rvar *x = v_rvar(d->args[0]);
    n.at = AT_CHILD;
    n.parent = x->node;
    n.n = 3;
    n.v[0] = norn_is_none(rvar_arrays(x)[0]) ? identity(st, k) : rvar_arrays(x)[0];
    n.v[1] = rvar_arrays(x)[1];
    n.v[2] = q;
    if (norn_is_none(n.v[0])) return -1;
  } else {
    n.v[0] = mean;
    n.v[1] = q;
  }
  int64_t id = delayed_add(r, &n);
  val b;
  double *zero = id < 0 ? NULL : reals(st, k, -1, &b);
  if (!zero) return -1;
  memset(zero, 0, (size_t)k * sizeof *zero);
  val x = gauss_value(st, RANDOM_VECTOR, id, 1, 0, norn_none(), b);
  if (norn_is_none(x)) return -1;
  *dst = x;
  return 1;
}

int gauss_observe(norn_run *r, const norn_dist *d, val y, double *lp)
{
  norn_state *st = r->st;
  norn_view v;
  dnode n;
  int k = find_mean(r, d, &n);
  if (k <= 0) return k;
  const rvar *x = v_rvar(d->args[0]);
  int64_t len = gauss_length(x);
  val q = covariance(r, d, len), at = numbers(st, y, 1, &v);
  if (norn_is_none(q) || norn_is_none(at) || v.n != len) return st->err.code ? -1 : 0;
  for (int64_t i = 0; i < len; i++) if (!isfinite(v.f[i])) return 0;
  val a = norn_is_none(rvar_arrays(x)[0]) ? identity(st, len) : rvar_arrays(x)[0];
  if (norn_is_none(a) || !delayed_root(r, x->node, &n)) return -1;
  if (!learn(st, &n, elements(a), elements(rvar_arrays(x)[1]), elements(q), v.f, len, lp)) return -1;
  return delayed_store(r, x->node, &n) ? 1 : -1;
}
