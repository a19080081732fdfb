/* array_linalg.c: transpose and products of vectors and matrices.  Reals go to num/la.h; integers
   stay integers, by the obvious loop with a check for overflow. */
#include "lang/value/array.h"
#include "lang/symbolic/delayed.h"
#include "lang/lanes/lanes.h"
#include "lang/state.h"
#include "num/la.h"
#include <string.h>

#define TILE 16     /* both sides of a transpose stay in cache for a tile of that many rows */

/* to (cols, rows) = from (rows, cols) transposed; `size` is known where this is called. */
static inline void turn(const char *from, int64_t rows, int64_t cols, size_t size, char *to)
{
  for (int64_t i0 = 0; i0 < rows; i0 += TILE)
    for (int64_t j0 = 0; j0 < cols; j0 += TILE)
      for (int64_t i = i0; i < rows && i < i0 + TILE; i++)
        for (int64_t j = j0; j < cols && j < j0 + TILE; j++)
          memcpy(to + (size_t)(j * rows + i) * size, from + (size_t)(i * cols + j) * size, size);
}

/* The same of rows that are arrays of one length but not packed (text, numbers that are recorded); NONE without an
   error if they are not. */
static val turn_values(norn_state *st, vec *v)
{
  if (!(v = vec_flat(st, v))) return norn_none();
  const val *rows = vec_elem(v) == NORN_VALUES ? vec_elems(v) : NULL;
  int64_t n = v->len, m = rows && n && rows[0].tag == NORN_ARRAY ? v_vec(rows[0])->len : 0;
  for (int64_t i = 0; i < n && m; i++)
    if (rows[i].tag != NORN_ARRAY || v_vec(rows[i])->len != m) m = 0;
  if (!m) return norn_none();
  vec *t = vec_new(st, NORN_VALUES, 1, &m);
  for (int64_t j = 0; t && j < m; j++) {
    vec *row = vec_new(st, NORN_VALUES, 1, &n);
    if (!row) return norn_none();
    for (int64_t i = 0; i < n; i++) {
      val e = vec_at(st, v_vec(rows[i]), j);
      if (norn_is_none(e)) return e;
      row->b->v[i] = e;
    }
    val packed = vec_pack(st, row->b->v, n);
    if (norn_is_none(packed)) return packed;
    t->b->v[j] = packed;
  }
  return t ? v_obj(NORN_ARRAY, t) : norn_none();
}

val vec_transpose(norn_state *st, val x)
{
  char found[96];
  if (x.tag == NORN_ARRAY && vec_rank(v_vec(x)) == 1) x = vec_repack(st, x);
  if (norn_is_none(x)) return x;
  if (x.tag == NORN_ARRAY && vec_rank(v_vec(x)) == 1) {
    val t = turn_values(st, v_vec(x));
    if (!norn_is_none(t) || st->err.code) return t;
  }
  if (x.tag != NORN_ARRAY || vec_rank(v_vec(x)) != 2) {
    norn_fail(st, NORN_ETYPE, 0, "only a matrix can be transposed, got %s",
              norn_describe(st, x, found, sizeof found));
    if (x.tag == NORN_ARRAY && vec_rank(v_vec(x)) == 1)
      norn_hint(st, "[x] is a matrix with the row x and [x]' one with the column x; a @ b of two "
                    "vectors is their inner product");
    return norn_none();
  }
  vec *v = vec_flat(st, v_vec(x));
  if (!v) return norn_none();
  int64_t rows = v->len, cols = v->dims[0], dims[2] = { cols, rows };
  vec *t = vec_raw(st, vec_elem(v), 2, dims);
  if (!t) return norn_none();
  size_t size = elem_bytes(vec_elem(v));
  if (size == 8) turn(vec_elems(v), rows, cols, 8, vec_elems(t));
  else turn(vec_elems(v), rows, cols, size, vec_elems(t));
  return v_obj(NORN_ARRAY, t);
}

/* ---- products ---- */

/* c (m, n) = a (m, k) b (k, n) */
static void mul_real(double *c, const double *a, const double *b, int64_t m, int64_t k, int64_t n)
{
  if (n == 1) la_mul_vector(false, m, k, a, b, c);
  else if (m == 1) la_mul_vector(true, k, n, b, a, c);
  else la_mul(false, false, m, n, k, 1, a, b, 0, c);
}

/* The same in integers, c zero before; false on overflow. */
static bool mul_int(int64_t *c, const int64_t *a, const int64_t *b, int64_t m, int64_t k, int64_t n)
{
  for (int64_t i = 0; i < m; i++)
    for (int64_t p = 0; p < k; p++)
      for (int64_t j = 0; j < n; j++) {
        int64_t x;
        if (__builtin_mul_overflow(a[i * k + p], b[p * n + j], &x)) return false;
        if (__builtin_add_overflow(c[i * n + j], x, &c[i * n + j])) return false;
      }
  return true;
}

/* An operand: flat, numeric, of rank 1 or 2.  NULL: error set. */
static vec *operand(norn_state *st, val x, int arg)
{
  char found[96];
  val y = x;
  if (x.tag == NORN_ARRAY) {
    y = vec_repack(st, x);
    if (norn_is_none(y)) return NULL;
    unsigned elem = vec_elem(v_vec(y));
    if (vec_rank(v_vec(y)) <= 2 && (elem == NORN_F64 || elem == NORN_I64)) return v_vec(y);
  }
  norn_fail(st, NORN_ETYPE, arg, "@ multiplies vectors and matrices of numbers, got %s",
            norn_describe(st, y, found, sizeof found));
  if (x.tag == NORN_INT || x.tag == NORN_REAL) norn_hint(st, "* multiplies by a number");
  return NULL;
}

static vec *as_real(norn_state *st, vec *v)
{
  if (vec_elem(v) == NORN_F64) return v;
  int64_t dims[2] = { v->len, vec_rank(v) == 2 ? v->dims[0] : 0 };
  vec *r = vec_raw(st, NORN_F64, vec_rank(v), dims);
  const int64_t *from = vec_elems(v);
  for (int64_t i = 0; r && i < vec_count(v); i++) r->b->f[i] = (double)from[i];
  return r;
}

/* x (m, k) or (k), y (k, n) or (k); an axis that the operands lack is not in the result. */
static val product(norn_state *st, vec *x, vec *y)
{
  int64_t m = vec_rank(x) == 2 ? x->len : 1, k = vec_rank(x) == 2 ? x->dims[0] : x->len;
  int64_t n = vec_rank(y) == 2 ? y->dims[0] : 1, dims[2];
  int rank = 0;
  if (vec_rank(x) == 2) dims[rank++] = m;
  if (vec_rank(y) == 2) dims[rank++] = n;
  bool real = vec_elem(x) == NORN_F64 || vec_elem(y) == NORN_F64;
  if (real && (!(x = as_real(st, x)) || !(y = as_real(st, y)))) return norn_none();
  int64_t one = 1;
  vec *r = vec_new(st, real ? NORN_F64 : NORN_I64, rank ? rank : 1, rank ? dims : &one);
  if (!r) return norn_none();
  if (real) {
    mul_real(vec_elems(r), vec_elems(x), vec_elems(y), m, k, n);
  } else if (!mul_int(vec_elems(r), vec_elems(x), vec_elems(y), m, k, n)) {
    state_fail(st, NORN_EDOMAIN, "integer overflow in a matrix product");
    norn_hint(st, "write 1.0 for real arithmetic");
    return norn_none();
  }
  return rank ? v_obj(NORN_ARRAY, r) : elem_value(vec_elem(r), vec_elems(r), 0);
}

val vec_matmul(norn_state *st, val a, val b)
{
  if (NORN_UNLIKELY(st->lanes != NULL) && (lanes_inside(a) || lanes_inside(b))) return lanes_matmul(st, a, b);
  if (v_is_random(a) || v_is_random(b)) {
    val z = gauss_matmul(st, a, b);
    if (norn_is_none(z) && !st->err.code) z = delayed_matmul(st, a, b);
    if (!norn_is_none(z) || st->err.code) return z;
    if (norn_is_none(a = delayed_force(st, a)) || norn_is_none(b = delayed_force(st, b))) return norn_none();
  }
  if (NORN_UNLIKELY(latent_on(st))) {
    val z = delayed_matmul(st, a, b);
    if (!norn_is_none(z) || st->err.code) return z;
  }
  if (st->graph && (norn_has_node(a) || norn_has_node(b))) return node_matmul(st, a, b);
  vec *x = operand(st, a, 0), *y = x ? operand(st, b, 1) : NULL;
  if (!y) return norn_none();
  int64_t k = vec_rank(x) == 2 ? x->dims[0] : x->len;
  if (k == y->len) return product(st, x, y);
  char s[96], t[96];
  norn_fail(st, NORN_ETYPE, -1,
            "shapes %s and %s can't be multiplied: the last dimension of the first must be the "
            "first of the second",
            vec_shape_text(x, s, sizeof s), vec_shape_text(y, t, sizeof t));
  return norn_none();
}
