/* delayed_sum.c: sums of normal variables that are delayed (delayed.h).

   A SUM is a (w . x) + b of numbers x that are nodes of their own, whatever trees these stand in; with it go
   the numbers of a normal vector, which becomes as many nodes where one of its is met by a stranger
   (delayed_split).  Sums of a few terms are kept by rising ids, so that adding two is a merge.  Products of
   arrays of numbers with arrays of such variables, sum, mean and dot make sums too. */
#include "lang/symbolic/delayed.h"
#include "lang/value/array.h"
#include <math.h>
#include <string.h>

/* ---- terms ---- */

void dsum_free(norn_state *st, dsum *x) { mem_put(&st->mem, x->t, x->cap * sizeof *x->t); }

static bool room(norn_state *st, dsum *x, int64_t n)
{
  if (mem_grow(&st->mem, &x->t, &x->cap, (size_t)n, sizeof *x->t)) return true;
  return state_memory(st), false;
}

bool dsum_term(norn_state *st, dsum *y, int64_t id, double a)
{
  int64_t k = y->n;
  while (k > 0 && y->t[k - 1].id > id) k--;
  if (k > 0 && y->t[k - 1].id == id) return y->t[k - 1].a += a, true;
  if (!room(st, y, y->n + 1)) return false;
  memmove(y->t + k + 1, y->t + k, (size_t)(y->n - k) * sizeof *y->t);
  y->t[k] = (dterm){id, a};
  y->n++;
  return true;
}

bool dsum_add(norn_state *st, dsum *y, double s, const dsum *x)
{
  int64_t both = 0, i = y->n - 1, k = x->n - 1;
  for (int64_t p = 0, q = 0; p < y->n && q < x->n;) {
    both += y->t[p].id == x->t[q].id;
    if (y->t[p].id <= x->t[q].id) p++;
    else q++;
  }
  /* where ids are equal, p goes first and the next comparison finds q smaller: counted once */
  int64_t n = y->n + x->n - both;
  if (!room(st, y, n)) return false;
  for (int64_t to = n - 1; k >= 0; to--) {
    if (i >= 0 && y->t[i].id > x->t[k].id) y->t[to] = y->t[i--];
    else if (i >= 0 && y->t[i].id == x->t[k].id) y->t[to] = (dterm){x->t[k].id, y->t[i--].a + s * x->t[k].a}, k--;
    else y->t[to] = (dterm){x->t[k].id, s * x->t[k].a}, k--;
  }
  y->n = n;
  y->b += s * x->b;
  return true;
}

double dsum_take(dsum *y, int64_t id)
{
  for (int64_t k = 0; k < y->n; k++) {
    if (y->t[k].id != id) continue;
    double a = y->t[k].a;
    memmove(y->t + k, y->t + k + 1, (size_t)(y->n - k - 1) * sizeof *y->t);
    y->n--;
    return a;
  }
  return 0;
}

/* ---- values and terms ---- */

/* y += s x, x a normal node. */
static int add_node(norn_run *r, dsum *y, double s, int64_t id)
{
  dnode n;
  if (!delayed_load(r, id, &n)) return -1;
  if (n.form != NODE_NORMAL) return 0;
  if (n.at == AT_KNOWN) return y->b += s * n.x[0], 1;
  return dsum_term(r->st, y, id, s) ? 1 : -1;
}

/* y += s w . x, x a normal vector, which becomes single numbers. */
static int add_vector(norn_run *r, dsum *y, double s, const double *w, int64_t id)
{
  dnode n;
  norn_view v;
  if (!delayed_load(r, id, &n) || (n.form == NODE_VECTOR && n.at != AT_KNOWN && !delayed_split(r, id, &n))) return -1;
  norn_array_view(n.v[0], &v);
  if (n.at == AT_KNOWN) {
    for (int64_t i = 0; i < v.n; i++) y->b += s * w[i] * v.f[i];
    return 1;
  }
  for (int64_t i = 0, k; i < v.n; i++)
    if (w[i] != 0 && (k = add_node(r, y, s * w[i], v_rvar(v.v[i])->node)) <= 0) return k;
  return 1;
}

int dsum_of(norn_run *r, dsum *y, double s, val x)
{
  double number;
  norn_view w, ids;
  if (!v_is_random(x)) {
    if (x.tag == NORN_BIG || V_IS_BOOL(x) || !norn_as_real(x, &number) || !isfinite(number)) return 0;
    return y->b += s * number, 1;
  }
  const rvar *v = v_rvar(x);
  bool row = v->h.aux == RANDOM_ROW, sum = v->h.aux == RANDOM_SUM;
  if (!row && !sum && v->h.aux != RANDOM_AFFINE) return 0;
  y->b += s * v->b;
  if (!row && !sum) return add_node(r, y, s * v->a, v->node);
  norn_array_view(rvar_arrays(v)[0], &w);
  if (row) return add_vector(r, y, s * v->a, w.f, v->node);
  norn_array_view(rvar_arrays(v)[1], &ids);
  for (int64_t i = 0, k; i < w.n; i++)
    if ((k = add_node(r, y, s * v->a * w.f[i], ids.i[i])) <= 0) return k;
  return 1;
}

val dsum_value(norn_state *st, const dsum *x)
{
  int64_t n = 0;
  double *w, b = x->b;
  int64_t *ids;
  const dterm *one = NULL;
  if (!isfinite(b)) return norn_none();
  for (int64_t i = 0; i < x->n; i++) {
    if (!isfinite(x->t[i].a)) return norn_none();
    if (x->t[i].a != 0) one = &x->t[i], n++;
  }
  if (!n) return norn_real(b);
  if (n == 1) return delayed_value(st, RANDOM_AFFINE, one->id, one->a, b, 1);
  val at = norn_array(st, NORN_F64, 1, &n, (void **)&w);
  val of = norn_is_none(at) ? at : norn_array(st, NORN_I64, 1, &n, (void **)&ids);
  if (norn_is_none(of)) return of;
  for (int64_t i = 0, k = 0; i < x->n; i++) {
    if (x->t[i].a == 0) continue;
    w[k] = x->t[i].a;
    ids[k++] = x->t[i].id;
  }
  return gauss_value(st, RANDOM_SUM, ids[0], 1, b, at, of);
}

val delayed_sum(norn_state *st, val x, double sign, val y)
{
  norn_run *r = st->current;
  dsum s = {.n = 0};
  int k = r && r->delay ? dsum_of(r, &s, 1, x) : 0;
  if (k > 0) k = dsum_of(r, &s, sign, y);
  val z = k > 0 ? dsum_value(st, &s) : norn_none();
  dsum_free(st, &s);
  return z;
}

val sum_look(norn_state *st, const rvar *x)
{
  norn_view w, ids;
  dnode n;
  double sum = 0;
  norn_array_view(rvar_arrays(x)[0], &w);
  norn_array_view(rvar_arrays(x)[1], &ids);
  for (int64_t i = 0; i < w.n; i++) {
    if (!delayed_draw(st->current, ids.i[i], &n)) return norn_none();
    sum += w.f[i] * n.x[0];
  }
  return norn_real(x->a * sum + x->b);
}

/* ---- arrays ---- */

/* How many numbers x, a vector, has; -1: it is none. */
static int64_t length_of(val x)
{
  norn_view v;
  if (v_is_random(x)) return v_rvar(x)->h.aux == RANDOM_VECTOR ? gauss_length(v_rvar(x)) : -1;
  return norn_array_view(x, &v) && v.rank == 1 ? v.n : -1;
}

val delayed_element(norn_state *st, val x, int64_t i)
{
  if (v_is_random(x)) return gauss_index(st, v_rvar(x), i);
  return vec_at(st, v_vec(x), i);
}

/* y += sum w[i step] x[i] (w NULL: s x[i]): 1, 0 not of this kind, -1 error set. */
static int add_products(norn_run *r, dsum *y, double s, const double *w, int64_t step, val x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) {
    val e = delayed_element(r->st, x, i);
    int k = norn_is_none(e) ? -1 : dsum_of(r, y, w ? w[i * step] : s, e);
    if (k <= 0) return k;
  }
  return 1;
}

static val one_product(norn_run *r, double s, const double *w, int64_t step, val x, int64_t n)
{
  dsum y = {.n = 0};
  int k = add_products(r, &y, s, w, step, x, n);
  val z = k > 0 ? dsum_value(r->st, &y) : norn_none();
  dsum_free(r->st, &y);
  return z;
}

/* Numbers as reals; NULL: x is no packed array of that rank. */
static const double *reals_of(norn_state *st, val x, int rank, norn_view *v)
{
  double *to;
  if (!norn_array_view(x, v) || v->rank != rank) return NULL;
  if (v->elem == NORN_F64) return v->f;
  if (v->elem != NORN_I64) return NULL;
  val y = norn_array(st, NORN_F64, 1, &v->n, (void **)&to);
  for (int64_t i = 0; !norn_is_none(y) && i < v->n; i++) to[i] = (double)v->i[i];
  return norn_is_none(y) ? NULL : to;
}

val delayed_matmul(norn_state *st, val left, val right)
{
  norn_view v;
  norn_run *r = st->current;
  bool first = length_of(left) >= 0 && delayed_inside(st, left);
  val x = first ? left : right, m = first ? right : left;
  int64_t n = length_of(x);
  if (!r || !r->delay || n < 1 || !delayed_inside(st, x)) return norn_none();
  const double *a = reals_of(st, m, 1, &v);
  if (a) return v.n == n ? one_product(r, 1, a, 1, x, n) : norn_none();
  if (!(a = reals_of(st, m, 2, &v)) || v.dims[first ? 0 : 1] != n) return norn_none();
  int64_t k = v.dims[first ? 1 : 0];
  vec *z = vec_new(st, NORN_VALUES, 1, &k);
  for (int64_t i = 0; z && i < k; i++) {
    val e = one_product(r, 1, first ? a + i : a + i * n, first ? k : 1, x, n);
    if (norn_is_none(e)) return e;
    z->b->v[i] = e;
  }
  return z ? vec_repack(st, v_obj(NORN_ARRAY, z)) : norn_none();
}

val delayed_native(norn_state *st, const char *name, const val *args, int n)
{
  norn_view v;
  norn_run *r = st->current;
  bool sum = !strcmp(name, "sum"), mean = !strcmp(name, "mean"), dot = !strcmp(name, "dot");
  if (!r || !r->delay || !(n == 1 ? sum || mean : n == 2 && dot)) return norn_none();
  int64_t len = length_of(args[0]);
  if (len < 1 || !(delayed_inside(st, args[0]) || (dot && delayed_inside(st, args[1])))) return norn_none();
  if (!dot) return one_product(r, mean ? 1 / (double)len : 1, NULL, 0, args[0], len);
  bool first = delayed_inside(st, args[0]);
  const double *w = reals_of(st, args[first], 1, &v);
  return w && v.n == length_of(args[!first]) ? one_product(r, 1, w, 1, args[!first], v.n) : norn_none();
}

val delayed_rows(norn_state *st, val x)
{
  int64_t n = length_of(x);
  if (!v_is_random(x) || n < 0) return x;
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++)
    if (norn_is_none(z->b->v[i] = gauss_index(st, v_rvar(x), i))) return norn_none();
  return z ? v_obj(NORN_ARRAY, z) : norn_none();
}
