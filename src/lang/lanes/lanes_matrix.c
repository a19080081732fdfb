/* lanes_matrix.c: matrices that hold lanes (lanes.h): arrays of rows, whose elements are numbers or vectors of lanes.
   What is common for Gaussian vectors - covariances of kernels, Cholesky factors, products and triangular solutions
   with a vector - goes column by column in registers of lanes (num/lane_ops.h), to the bits of one run.  Anything else,
   and what a run would refuse, is done lane by lane. */
#include "lang/lanes/lanes_in.h"
#include <math.h>
#include <string.h>

/* ---- arrays as columns ---- */

bool lanes_side(group *g, val x, lane_side *s, double *one)
{
  *s = (lane_side){ one, false };
  if (V_IS_REAL(x) || V_IS_INT(x)) {
    *one = V_IS_REAL(x) ? x.d : (double)x.i;
    return true;
  }
  if (!v_is_lanes(x) || lanes_kind(x) != LANE_REAL) return false;
  const cell *c = lane_cells(g, x.p);
  if (c) *s = (lane_side){ &c->d, true };
  return c != NULL;
}

/* The same of one that must be finite, with its bounds. */
static bool finite_side(group *g, val x, lane_side *s, double *one, double *lo, double *hi)
{
  if (!v_is_lanes(x)) {
    if (!lanes_side(g, x, s, one)) return false;
    *lo = *hi = *one;
    return isfinite(*one);
  }
  lane_vec *v = lanes_kind(x) == LANE_REAL ? lane_here(g, x.p) : NULL;
  if (!v) return false;
  *s = (lane_side){ &v->c->d, true };
  return lanes_range(g, v, lo, hi);
}

static bool is_vector(val x, int64_t n)
{
  return x.tag == NORN_ARRAY && vec_rank(v_vec(x)) == 1 && v_vec(x)->len == n && vec_elem(v_vec(x)) != NORN_B8;
}

/* The elements of a vector; in `room` where they do not lie together as values. */
static const val *elements_of(group *g, val x, val *room)
{
  const vec *v = v_vec(x);
  if (v->b && !v->b->parent && vec_elem(v) == NORN_VALUES) return vec_elems(v);
  for (int64_t i = 0; i < v->len; i++) room[i] = vec_at(g->run->st, v, i);
  return room;
}

bool lanes_vector_sides(group *g, val x, int64_t n, lane_side *s, double *one)
{
  double lo, hi;
  val room[LANE_ORDER];
  if (n > LANE_ORDER || !is_vector(x, n)) return false;
  const val *e = elements_of(g, x, room);
  for (int64_t i = 0; i < n; i++)
    if (!finite_side(g, e[i], s + i, one + i, &lo, &hi)) return false;
  return true;
}

/* Row i of a matrix with n columns.  false: it is none. */
static bool row_at(group *g, val a, int64_t i, int64_t n, val *row)
{
  *row = vec_at(g->run->st, v_vec(a), i);
  return is_vector(*row, n);
}

/* Are two elements the same number in all lanes? */
static bool is_equal(group *g, val x, val y)
{
  lane_side s, t;
  double a, b;
  if (x.tag == y.tag && x.i == y.i) return true;
  if (!lanes_side(g, x, &s, &a) || !lanes_side(g, y, &t, &b)) return false;
  for (uint32_t k = 0; k < (s.many || t.many ? g->at->n : 1); k++)
    if (s.p[s.many ? k : 0] != t.p[t.many ? k : 0]) return false;
  return true;
}

bool lanes_covariance_sides(group *g, val a, int64_t n, lane_side *s, double *one)
{
  val row, room[LANE_ORDER][LANE_ORDER];
  const val *e[LANE_ORDER];
  double lo, hi;
  if (a.tag != NORN_ARRAY || v_vec(a)->len != n || n > LANE_ORDER) return false;
  for (int64_t i = 0; i < n; i++) {
    if (!row_at(g, a, i, n, &row)) return false;
    e[i] = elements_of(g, row, room[i]);
    for (int64_t j = 0; j <= i; j++, s++, one++)
      if (!is_equal(g, e[i][j], e[j][i]) || !finite_side(g, e[i][j], s, one, &lo, &hi)) return false;
  }
  return true;
}

/* upper: must there be zeros above? */
static bool triangle_sides(group *g, val a, int64_t n, bool zeros, lane_side *s, double *one)
{
  lane_side above;
  double lo, hi, zero;
  val row, room[LANE_ORDER];
  if (a.tag != NORN_ARRAY || v_vec(a)->len != n || n > LANE_ORDER) return false;
  for (int64_t i = 0; i < n; i++) {
    if (!row_at(g, a, i, n, &row)) return false;
    const val *e = elements_of(g, row, room);
    for (int64_t j = 0; j < n; j++) {
      if (j > i) {
        if (!finite_side(g, e[j], &above, &zero, &lo, &hi) || (zeros && (above.many || zero != 0))) return false;
        continue;
      }
      if (!finite_side(g, e[j], s++, one++, &lo, &hi)) return false;
      if (i == j && !(lo > 0)) return false;
    }
  }
  return true;
}

bool lanes_factor_sides(group *g, val a, int64_t n, lane_side *s, double *one)
{
  return triangle_sides(g, a, n, true, s, one);
}

/* ---- results ---- */

/* n new vectors; x[k] are their numbers.  false: no memory (error set). */
static bool vectors_new(group *g, int64_t n, val *v, double **x)
{
  lane_vec *z[LANE_ROWS];
  if (!lane_vecs_new(g->all, g->at, (uint32_t)n, z)) return false;
  for (int64_t k = 0; k < n; k++) {
    v[k] = v_lanes(z[k]);
    x[k] = &z[k]->c->d;
  }
  return true;
}

/* An array of n values.  NONE: no memory (error set). */
static val array_of(norn_state *st, const val *v, int64_t n)
{
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  if (!z) return norn_none();
  memcpy(z->b->v, v, (size_t)n * sizeof *v);
  return v_obj(NORN_ARRAY, z);
}

/* A matrix of order n of the elements of a lower triangle: mirrored, or with zeros above.  NONE: no memory. */
static val matrix_of(norn_state *st, const val *v, int64_t n, bool mirrored)
{
  val all[LANE_ORDER], row[LANE_ORDER];
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++)
      row[j] = j <= i ? v[i * (i + 1) / 2 + j] : mirrored ? v[j * (j + 1) / 2 + i] : norn_real(0);
    all[i] = array_of(st, row, n);
    if (norn_is_none(all[i])) return all[i];
  }
  return array_of(st, all, n);
}

/* ---- what is known ---- */

/* Bounds of the factor's elements, which nobody need look for: the squares of a row add up to the covariance's diagonal
   element but for rounding (Higham, Accuracy and Stability of Numerical Algorithms, 2002, theorem 10.3).  Those of its
   own diagonal, which must be positive, are looked for. */
static void factor_bounds(group *g, const lane_side *a, int64_t n, const val *v)
{
  for (int64_t i = 0, at = 0; i < n; i++) {
    const lane_side *d = a + i * (i + 1) / 2 + i;
    double lo, hi = *d->p;
    if (d->many && !lane_ops()->range(d->p, g->at->n, &lo, &hi)) return;
    double most = sqrt(hi) * (1 + 1e-9);
    for (int64_t j = 0; j <= i; j++, at++) {
      lane_vec *z = v[at].p;
      z->lo = -most, z->hi = most, z->ranged = j < i && isfinite(most);
    }
  }
}

static val factor_of(group *g, val a)
{
  lane_side s[LANE_ROWS];
  double one[LANE_ROWS], *x[LANE_ROWS];
  val v[LANE_ROWS];
  int64_t n = a.tag == NORN_ARRAY ? v_vec(a)->len : 0;
  if (n < 1 || n > LANE_ORDER || !lanes_covariance_sides(g, a, n, s, one) || !vectors_new(g, n * (n + 1) / 2, v, x))
    return norn_none();
  if (!lane_ops()->factors(s, (size_t)n, x, g->at->n)) return norn_none();
  factor_bounds(g, s, n, v);
  return matrix_of(g->run->st, v, n, false);
}

/* l^-1 b of a vector b. */
static val solved(group *g, val l, val b)
{
  lane_side s[LANE_ROWS], t[LANE_ORDER];
  double one[LANE_ROWS], other[LANE_ORDER], *x[LANE_ORDER];
  val v[LANE_ORDER];
  int64_t n = b.tag == NORN_ARRAY ? v_vec(b)->len : 0;
  if (n < 1 || n > LANE_ORDER || !triangle_sides(g, l, n, false, s, one) || !lanes_vector_sides(g, b, n, t, other) ||
      !vectors_new(g, n, v, x))
    return norn_none();
  for (int64_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < g->at->n; k++) x[i][k] = t[i].p[t[i].many ? k : 0];
  lane_ops()->solves(s, (size_t)n, x, g->at->n);
  return array_of(g->run->st, v, n);
}

/* A covariance function: its parameters, positive and finite in all lanes, and their bounds. */
typedef struct kernel {
  int which;
  lane_side alpha, rho;
  double one[2], most_alpha, alpha_from, rho_from;
} kernel;

/* false: a record that has another, or none. */
static bool kernel_of(group *g, val k, kernel *q)
{
  static const char *const names[] = { [LANE_RBF] = "rbf", [LANE_MATERN12] = "matern12",
                                       [LANE_MATERN32] = "matern32", [LANE_MATERN52] = "matern52" };
  norn_state *st = g->run->st;
  double hi;
  if (k.tag != NORN_RECORD || norn_record_size(k) != 3) return false;
  const char *s = norn_string_view(norn_record_get(st, k, "kernel"), NULL);
  for (q->which = 0; s && q->which < LANE_KERNELS && strcmp(s, names[q->which]);) q->which++;
  if (!s || q->which == LANE_KERNELS) return false;
  return finite_side(g, norn_record_get(st, k, "alpha"), &q->alpha, q->one, &q->alpha_from, &q->most_alpha) &&
         finite_side(g, norn_record_get(st, k, "rho"), &q->rho, q->one + 1, &q->rho_from, &hi) && q->alpha_from > 0 &&
         q->rho_from > 0;
}

/* Bounds of all its values of points in a vector, which are finite: they fall with the distance and rise with the
   parameters. */
static void kernel_bounds(group *g, const kernel *q, val points, double *lo, double *hi)
{
  double from = INFINITY, to = -INFINITY, a, b, one, out[LANE_PAD], zero = 0;
  for (int64_t i = 0; i < v_vec(points)->len; i++) {
    lane_side s;
    finite_side(g, vec_at(g->run->st, v_vec(points), i), &s, &one, &a, &b);
    from = fmin(from, a);
    to = fmax(to, b);
  }
  double far = to - from;
  lane_ops()->kernel(q->which, (lane_side){ &q->alpha_from, false }, (lane_side){ &q->rho_from, false },
                     &(lane_side){ &far, false }, &(lane_side){ &zero, false }, 1, out, 1);
  *lo = out[0] * (1 - 1e-9);
  *hi = q->most_alpha * q->most_alpha * (1 + 1e-9);
}

/* The matrix of a kernel between points on a line and themselves.  Bounds are kept: they tell that a 0 that is added
   changes nothing. */
static val covariance(group *g, val from, val points)
{
  kernel q;
  lane_side s[LANE_ORDER];
  double one[LANE_ORDER], lo, hi, *x[LANE_ROWS];
  val v[LANE_ROWS];
  int64_t n = points.tag == NORN_ARRAY ? v_vec(points)->len : 0;
  if (n < 1 || n > LANE_ORDER || !kernel_of(g, from, &q) || !lanes_vector_sides(g, points, n, s, one) ||
      !vectors_new(g, n * (n + 1) / 2, v, x))
    return norn_none();
  kernel_bounds(g, &q, points, &lo, &hi);
  lane_ops()->kernels(q.which, q.alpha, q.rho, s, (size_t)n, x, g->at->n);
  for (int64_t i = 0; i < n * (n + 1) / 2; i++) {
    lane_vec *z = v[i].p;
    z->lo = lo, z->hi = hi, z->ranged = isfinite(hi);
  }
  return matrix_of(g->run->st, v, n, true);
}

/* a (rows, columns) x, or a vector by a vector. */
static val product(group *g, val a, val x)
{
  norn_state *st = g->run->st;
  enum { MOST = LANE_ORDER };
  lane_side t[MOST], s[MOST];
  double one[MOST], other[MOST], *out;
  val v[MOST], row = a;
  int64_t n = x.tag == NORN_ARRAY ? v_vec(x)->len : 0, rows = a.tag == NORN_ARRAY ? v_vec(a)->len : 0;
  if (n < 1 || n > MOST || rows < 1 || rows > MOST || !lanes_vector_sides(g, x, n, t, other)) return norn_none();
  val first = vec_at(st, v_vec(a), 0);
  bool matrix = first.tag == NORN_ARRAY;
  for (int64_t i = 0; i < (matrix ? rows : 1); i++) {
    if (matrix && !row_at(g, a, i, n, &row)) return norn_none();
    if (!lanes_vector_sides(g, row, n, s, one) || !vectors_new(g, 1, v + i, &out)) return norn_none();
    lane_ops()->products(s, t, 1, (size_t)n, &out, g->at->n);
  }
  return matrix ? array_of(st, v, rows) : v[0];
}

bool lanes_matrix_native(group *g, const norn_native *f, const val *args, int n, val *out)
{
  *out = norn_none();
  g->all->holding++;
  if (!strcmp(f->name, "cholesky")) *out = factor_of(g, args[0]);
  else if (!strcmp(f->name, "solve_lower")) *out = solved(g, args[0], args[1]);
  else if (!strcmp(f->name, "cov_matrix") && (n < 3 || args[2].tag == NORN_MISSING))
    *out = covariance(g, args[0], args[1]);
  g->all->holding--;
  return !norn_is_none(*out);
}

/* ---- the sum ---- */

/* e + q, both real.  Where q is 0 most stay what they are, as their bounds say.  NONE: error set, or `want`. */
static val element_plus(group *g, val e, double q)
{
  if (!v_is_lanes(e)) return norn_real(e.d + q);
  const lane_vec *v = e.p;
  bool stays = q == 0 && v->at == g->at && v->ranged && (v->lo > 0 || v->hi < 0);
  return stays ? e : lanes_arith(g->run->st, A_ADD, e, norn_real(q));
}

static bool all_reals(const val *e, int64_t n)
{
  for (int64_t j = 0; j < n; j++)
    if (!V_IS_REAL(e[j]) && (!v_is_lanes(e[j]) || lanes_kind(e[j]) != LANE_REAL)) return false;
  return true;
}

val lanes_add_matrix(group *g, val x, val y)
{
  norn_state *st = g->run->st;
  val row, room[LANE_ORDER], v[LANE_ORDER], all[LANE_ORDER];
  if (x.tag != NORN_ARRAY || y.tag != NORN_ARRAY || vec_rank(v_vec(x)) != 1 || vec_elem(v_vec(x)) != NORN_VALUES)
    return norn_none();
  const vec *w = v_vec(y);
  int64_t n = w->len, m = vec_rank(w) == 2 ? w->dims[0] : 0;
  if (n < 1 || n > LANE_ORDER || m < 1 || m > LANE_ORDER || v_vec(x)->len != n || vec_elem(w) != NORN_F64 || w->b->parent)
    return norn_none();
  for (int64_t i = 0; i < n; i++)
    if (!row_at(g, x, i, m, &row) || !all_reals(elements_of(g, row, room), m)) return norn_none();
  for (int64_t i = 0; i < n; i++) {
    if (!row_at(g, x, i, m, &row)) return norn_none();
    const val *e = elements_of(g, row, room);
    bool lanes = false;
    for (int64_t j = 0; j < m; j++) {
      if (norn_is_none(v[j] = element_plus(g, e[j], ((const double *)vec_elems(w))[i * m + j]))) return v[j];
      lanes |= v_is_lanes(v[j]);
    }
    all[i] = array_of(st, v, m);
    if (!norn_is_none(all[i]) && !lanes) all[i] = vec_repack(st, all[i]);
    if (norn_is_none(all[i])) return all[i];
  }
  return array_of(st, all, n);
}

/* ---- the product ---- */

/* That of each lane by itself. */
static val product_each(group *g, val a, val b)
{
  norn_state *st = g->run->st;
  uint32_t n = g->at->n, k = 0;
  size_t bytes = n * (sizeof(lane_source) + sizeof(uint32_t));
  lane_source *s = mem_get(&st->mem, bytes);
  val out = norn_none();
  if (!s) return state_memory(st);
  uint32_t *to = (uint32_t *)(void *)(s + n);
  for (; k < n; k++) {
    val x = lane_of(g, a, k), y = norn_is_none(x) ? x : lane_of(g, b, k);
    to[k] = k;
    s[k] = (lane_source){ norn_is_none(y) ? y : vec_matmul(st, x, y), NULL, to + k };
    if (norn_is_none(s[k].v)) break;
  }
  if (k == n) {
    out = lanes_joined(g->all, g->at, s, n);
    if (norn_is_none(out) && !st->err.code) lanes_alone(st, "products of several kinds");
  }
  mem_put(&st->mem, s, bytes);
  return out;
}

val lanes_matmul(norn_state *st, val a, val b)
{
  group *g = st->lanes;
  lanes_sweep(g->all, false);
  g->all->holding++;
  val z = product(g, a, b);
  g->all->holding--;
  return norn_is_none(z) && !st->err.code ? product_each(g, a, b) : z;
}
