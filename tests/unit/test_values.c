/* test_values.c: values against plain C.  Arrays against arrays of doubles under random pushes, forks,
   slices and joins; arithmetic against loops; maps against a list, with colliding hashes; the laws of
   equality, order and hash on random values; and how values print. */
#include "unit.h"
#include "lang/value/array.h"
#include "lang/value/hamt.h"
#include <stdlib.h>

static uint64_t rnd(uint64_t *s)
{
  return hash_mix(*s += 0x9e3779b97f4a7c15u);
}

static val text_val(norn_state *st, const char *s) { return norn_cstring(st, s); }

static val ints_of(norn_state *st, int n, const int64_t *x)
{
  val v[64];
  for (int i = 0; i < n; i++) v[i] = norn_int(x[i]);
  return vec_pack(st, v, n);
}

#define INTS(...) ints_of(st, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / 8), (int64_t[]){ __VA_ARGS__ })
#define PACK(...) vec_pack(st, (val[]){ __VA_ARGS__ }, (int64_t)(sizeof((val[]){ __VA_ARGS__ }) / sizeof(val)))
#define SHOWS(v, s) CHECK_STR(norn_show(st, (v), true, 0), s)
#define FAILS(v, s) (CHECK(norn_is_none(v)), CHECK_STR(norn_error(st)->text, s), norn_clear(st))

static void collect(norn_state *st, uint64_t *seed)
{
  uint64_t d = rnd(seed) % 64;
  if (d == 0) heap_collect_full(st);
  else if (d < 4) heap_collect(st, 64);
}

/* ---- packing ---- */

static norn_elem elem_of(val v)
{
  norn_view w;
  return norn_array_view(v, &w) ? w.elem : (norn_elem)-1;
}

static void packing(norn_state *st)
{
  val one = norn_int(1), half = norn_real(0.5), yes = norn_bool(true), s = text_val(st, "a");
  CHECK(elem_of(PACK(one, one)) == NORN_I64);
  CHECK(elem_of(PACK(one, half)) == NORN_F64);
  CHECK(elem_of(PACK(yes, yes)) == NORN_B8);
  CHECK(elem_of(PACK(yes, one)) == NORN_VALUES);
  CHECK(elem_of(PACK(s, one)) == NORN_VALUES);
  CHECK(elem_of(PACK(one, norn_missing())) == NORN_VALUES);
  SHOWS(PACK(one, half), "[1.0, 0.5]");
  val row = INTS(1, 2), real_row = PACK(half, half), m = PACK(row, real_row, row);
  norn_view w;
  CHECK(norn_array_view(m, &w) && w.rank == 2 && w.dims[0] == 3 && w.dims[1] == 2 && w.elem == NORN_F64);
  SHOWS(m, "[[1.0, 2.0], [0.5, 0.5], [1.0, 2.0]]");
  CHECK(elem_of(PACK(row, INTS(1, 2, 3))) == NORN_VALUES);
  CHECK(elem_of(PACK(row, one)) == NORN_VALUES);
  SHOWS(PACK(PACK(m, m), PACK(m, m)),
        "[[[[1.0, 2.0], [0.5, 0.5], [1.0, 2.0]], [[1.0, 2.0], [0.5, 0.5], [1.0, 2.0]]], "
        "[[[1.0, 2.0], [0.5, 0.5], [1.0, 2.0]], [[1.0, 2.0], [0.5, 0.5], [1.0, 2.0]]]]");
  SHOWS(vec_push(st, vec_push(st, vec_pack(st, NULL, 0), row), real_row), "[[1.0, 2.0], [0.5, 0.5]]");
  SHOWS(vec_push(st, PACK(row, row), one), "[[1, 2], [1, 2], 1]");
  SHOWS(vec_push(st, INTS(1, 2), half), "[1.0, 2.0, 0.5]");
  SHOWS(vec_push(st, INTS(1, 2), s), "[1, 2, \"a\"]");
  SHOWS(vec_push(st, PACK(half), one), "[0.5, 1.0]");
  SHOWS(vec_concat(st, INTS(1, 2), PACK(norn_real(3.5))), "[1.0, 2.0, 3.5]");
  SHOWS(vec_concat(st, PACK(norn_real(3.5)), INTS(1, 2)), "[3.5, 1.0, 2.0]");
  SHOWS(vec_concat(st, PACK(row, row), PACK(real_row)), "[[1.0, 2.0], [1.0, 2.0], [0.5, 0.5]]");
  SHOWS(vec_concat(st, PACK(row), INTS(7)), "[[1, 2], 7]");
  SHOWS(vec_concat(st, INTS(7), PACK(row)), "[7, [1, 2]]");
  SHOWS(vec_concat(st, PACK(s), PACK(row, row)), "[\"a\", [1, 2], [1, 2]]");
  SHOWS(vec_concat(st, vec_pack(st, NULL, 0), INTS(1)), "[1]");
  SHOWS(vec_concat(st, s, text_val(st, "b")), "\"ab\"");
  FAILS(vec_concat(st, INTS(1), one), "++ joins two arrays or two strings, got an array of 1 integer and an integer");
  SHOWS(vec_range(st, 2, 5), "[2, 3, 4]");
  SHOWS(vec_range(st, 5, 2), "[]");
  CHECK(norn_is_none(vec_range(st, INT64_MIN, INT64_MAX)));
  norn_clear(st);
}

/* ---- pushes and forks ---- */

enum { ARRAYS = 12, LONGEST = 4000 };
typedef struct plain { norn_ref *ref; double x[LONGEST]; int64_t n; int row; } plain;

static bool agrees(norn_state *st, plain *p, uint64_t *seed)
{
  val v = norn_get(p->ref);
  if (norn_array_length(v) != p->n / p->row) return false;
  /* Reading near the end follows links; reading all of it flattens. */
  if (p->n && rnd(seed) % 3) {
    int64_t i = p->n / p->row - 1 - (int64_t)(rnd(seed) % 3);
    if (i < 0) i = 0;
    return norn_elem_real(vec_at(st, v_vec(v), i), 0) == p->x[i * p->row];
  }
  if (rnd(seed) % 8) return true;
  for (int64_t k = 0; k < p->n; k++)
    if (norn_elem_real(v, k) != p->x[k]) return false;
  return true;
}

/* A random row (or number) for p, appended to both. */
static void push_one(norn_state *st, plain *p, uint64_t *seed, bool whole)
{
  double x[3];
  for (int k = 0; k < p->row; k++) x[k] = whole ? (double)(rnd(seed) % 100) : (double)(rnd(seed) % 100) / 4;
  val v = p->row > 1 ? norn_array_f64(st, x, p->row) : whole ? norn_int((int64_t)x[0]) : norn_real(x[0]);
  CHECK(norn_push(p->ref, v) == NORN_OK);
  memcpy(p->x + p->n, x, (size_t)p->row * sizeof *x);
  p->n += p->row;
}

static void fork_step(norn_state *st, plain *all, uint64_t *seed)
{
  plain *p = &all[rnd(seed) % ARRAYS], *q = &all[rnd(seed) % ARRAYS];
  int64_t rows = p->n / p->row;
  switch (rnd(seed) % 10) {
  case 0:                                              /* a fork */
    norn_set(q->ref, norn_get(p->ref));
    memcpy(q->x, p->x, (size_t)p->n * sizeof *p->x);
    q->n = p->n;
    q->row = p->row;
    break;
  case 1: {                                            /* a slice */
    int64_t from = rows ? (int64_t)(rnd(seed) % (uint64_t)rows) / 2 : 0, to = rows - (rows > from + 3 ? (int64_t)(rnd(seed) % 3) : 0);
    norn_set(p->ref, vec_slice(st, norn_get(p->ref), from, to));
    memmove(p->x, p->x + from * p->row, (size_t)((to - from) * p->row) * sizeof *p->x);
    p->n = (to - from) * p->row;
    break;
  }
  case 2:                                              /* a join */
    if (p->row != q->row || p->n + q->n > LONGEST / 2) break;
    norn_set(p->ref, vec_concat(st, norn_get(p->ref), norn_get(q->ref)));
    memmove(p->x + p->n, q->x, (size_t)q->n * sizeof *p->x);
    p->n += q->n;
    break;
  case 3:                                              /* anew */
    if (rnd(seed) % 20) break;
    norn_set(p->ref, vec_pack(st, NULL, 0));
    p->n = 0;
    p->row = rnd(seed) % 2 ? 1 : 3;
    break;
  default:
    for (uint64_t k = rnd(seed) % 40; k > 0 && p->n + 3 < LONGEST; k--) push_one(st, p, seed, rnd(seed) % 4 == 0);
  }
}

static void forks(norn_state *st, uint64_t seed)
{
  plain *all = calloc(ARRAYS, sizeof *all);
  for (int k = 0; k < ARRAYS; k++) {
    all[k].ref = norn_keep(st, vec_pack(st, NULL, 0));
    all[k].row = 1;
  }
  int wrong = 0;
  for (int i = 0; i < 20000; i++) {
    fork_step(st, all, &seed);
    collect(st, &seed);
    for (int k = 0; k < ARRAYS; k++) wrong += !agrees(st, &all[k], &seed);
  }
  CHECK(wrong == 0);
  for (int k = 0; k < ARRAYS; k++) norn_drop(all[k].ref);
  free(all);
}

/* Particles that share a history pay for what they append, in time and memory. */
static void swarm(norn_state *st)
{
  enum { N = 200, T = 500 };
  norn_ref *p[N];
  uint64_t seed = 5;
  for (int k = 0; k < N; k++) p[k] = norn_keep(st, vec_pack(st, NULL, 0));
  size_t before = st->heap.copied;
  for (int t = 0; t < T; t++) {
    val next[N];
    for (int k = 0; k < N; k++) next[k] = norn_get(p[rnd(&seed) % N]);
    for (int k = 0; k < N; k++) norn_set(p[k], next[k]);
    for (int k = 0; k < N; k++) CHECK(norn_push(p[k], norn_real(1000.0 * t + (double)(rnd(&seed) % N))) == NORN_OK);
    heap_collect(st, 64);
    for (int k = 0; k < N; k++) {
      const vec *v = v_vec(norn_get(p[k]));
      CHECK(floor(vec_at(st, v, t).d / 1000) == t && (t == 0 || floor(vec_at(st, v, t - 1).d / 1000) == t - 1));
    }
  }
  CHECK((st->heap.copied - before) / (N * T) < 250);
  for (int k = 0; k < N; k++) {
    norn_view v;
    CHECK(norn_array_view(norn_get(p[k]), &v) && v.n == T);
    for (int t = 0; t < T; t++) CHECK(floor(v.f[t] / 1000) == t);
    norn_drop(p[k]);
  }
}

/* ---- indexing ---- */

static void indexing(norn_state *st, uint64_t seed)
{
  int64_t dims[3] = { 4, 5, 6 };
  void *at;
  val a = norn_array(st, NORN_I64, 3, dims, &at);
  for (int64_t k = 0; k < 120; k++) ((int64_t *)at)[k] = k;
  for (int round = 0; round < 3000; round++) {
    val ix[6];
    unsigned mask = (unsigned)(rnd(&seed) % 8);
    int n = 0, places = 1 + (int)(rnd(&seed) % 3);
    int64_t from[3], to[3], want[120], m = 0;
    for (int d = 0; d < 3; d++) {
      from[d] = 0;
      to[d] = dims[d];
      if (d >= places) continue;
      from[d] = (int64_t)(rnd(&seed) % (uint64_t)dims[d]);
      to[d] = mask >> d & 1 ? from[d] + (int64_t)(rnd(&seed) % (uint64_t)(dims[d] - from[d] + 1)) : from[d] + 1;
      ix[n++] = mask >> d & 1 && from[d] == 0 ? norn_none() : norn_int(from[d]);
      if (mask >> d & 1) ix[n++] = to[d] == dims[d] ? norn_none() : norn_int(to[d]);
    }
    for (int64_t i = from[0]; i < to[0]; i++)
      for (int64_t j = from[1]; j < to[1]; j++)
        for (int64_t k = from[2]; k < to[2]; k++) want[m++] = (i * 5 + j) * 6 + k;
    val v = vec_index(st, a, ix, n, mask);
    CHECK(!norn_is_none(v));
    int64_t count = v.tag == NORN_ARRAY ? vec_count(v_vec(v)) : 1;
    CHECK(count == m);
    for (int64_t k = 0; k < m; k++) CHECK(norn_elem_real(v, k) == (double)want[k]);
  }
  val rag = PACK(INTS(1, 2, 3), INTS(4, 5)), s = text_val(st, "n\xc3\xa9""e");
  SHOWS(vec_index(st, rag, (val[]){ norn_int(1), norn_int(0) }, 2, 0), "4");
  SHOWS(vec_index(st, rag, (val[]){ norn_none(), norn_none(), norn_int(1) }, 3, 1), "[2, 5]");
  SHOWS(vec_index(st, rag, (val[]){ norn_none(), norn_none(), norn_int(1), norn_none() }, 4, 3), "[[2, 3], [5]]");
  SHOWS(vec_index(st, s, (val[]){ norn_int(1) }, 1, 0), "\"\xc3\xa9\"");
  SHOWS(vec_index(st, s, (val[]){ norn_int(1), norn_none() }, 2, 1), "\"\xc3\xa9""e\"");
  FAILS(vec_index(st, a, (val[]){ norn_int(4) }, 1, 0), "index 4 is outside an array of length 4");
  FAILS(vec_index(st, a, (val[]){ norn_int(0), norn_int(-1) }, 2, 0), "index -1 is outside a row of length 5");
  FAILS(vec_index(st, a, (val[]){ norn_real(1) }, 1, 0), "an index must be an integer, got a real");
  FAILS(vec_index(st, INTS(1), (val[]){ norn_int(0), norn_int(0) }, 2, 0), "one index too many: an integer can't be indexed");
  val bad = vec_index(st, rag, (val[]){ norn_int(1), norn_int(2) }, 2, 0);
  CHECK(st->err_arg == 2);
  FAILS(bad, "index 2 is outside an array of length 2");
}

/* ---- arithmetic ---- */

static double want_real(arith op, double a, double b)
{
  switch (op) {
  case A_ADD: return a + b;
  case A_SUB: return a - b;
  case A_MUL: return a * b;
  case A_DIV: return a / b;
  case A_IDIV: return floor(a / b);
  case A_MOD: return a - b * floor(a / b);
  default: return pow(a, b);
  }
}

/* A number, or an array of three, in one of the ways it may be packed. */
static val operand(norn_state *st, uint64_t *seed, bool real, double *x)
{
  val v[4];
  for (int k = 0; k < 3; k++) {
    x[k] = (double)(rnd(seed) % 9) - 4;
    if (x[k] == 0) x[k] = 5;
    if (real) x[k] /= 2;
    v[k] = real ? norn_real(x[k]) : norn_int((int64_t)x[k]);
  }
  v[3] = text_val(st, "end");
  if (rnd(seed) % 3 == 0) {
    x[1] = x[2] = x[0];
    return v[0];
  }
  if (rnd(seed) % 3) return vec_pack(st, v, 3);
  return vec_slice(st, vec_pack(st, v, 4), 0, 3);      /* kept as values */
}

static void elementwise(norn_state *st, uint64_t seed)
{
  static const arith ops[] = { A_ADD, A_SUB, A_MUL, A_DIV, A_IDIV, A_MOD, A_POW };
  for (int round = 0; round < 20000; round++) {
    double a[3], b[3];
    bool ra = rnd(&seed) % 2, rb = rnd(&seed) % 2;
    val x = operand(st, &seed, ra, a), y = operand(st, &seed, rb, b);
    arith op = ops[rnd(&seed) % 7];
    if (op == A_POW && (ra || rb)) for (int k = 0; k < 3; k++) a[k] = fabs(a[k]);
    if (op == A_POW && (ra || rb)) {
      if (x.tag == NORN_ARRAY) x = norn_array_f64(st, a, 3);
      else x = norn_real(a[0]);
      ra = true;
    }
    val z = arith_slow(st, op, x, y);
    CHECK(!norn_is_none(z));
    bool real = ra || rb || op == A_DIV, scalar = x.tag != NORN_ARRAY && y.tag != NORN_ARRAY;
    for (int k = 0; k < (scalar ? 1 : 3); k++) {
      double w = want_real(op, a[k], b[k]);
      CHECK_NEAR(norn_elem_real(z, k), w, 1e-9 * fabs(w));
    }
    if (op != A_POW) CHECK(scalar ? (real ? V_IS_REAL(z) : V_IS_INT(z)) : elem_of(z) == (real ? NORN_F64 : NORN_I64));
  }
}

static void arithmetic(norn_state *st)
{
  val max = norn_int(INT64_MAX), min = norn_int(INT64_MIN), one = norn_int(1), s = text_val(st, "a");
  FAILS(arith_slow(st, A_ADD, max, one), "integer overflow: 9223372036854775807 + 1");
  FAILS(arith_slow(st, A_NEG, min, min), "integer overflow: -(-9223372036854775808)");
  FAILS(arith_slow(st, A_IDIV, min, norn_int(-1)), "integer overflow: -9223372036854775808 // -1");
  CHECK(arith_slow(st, A_MOD, min, norn_int(-1)).i == 0);
  FAILS(arith_slow(st, A_POW, norn_int(10), norn_int(19)), "integer overflow: 10 ^ 19");
  FAILS(arith_slow(st, A_ADD, PACK(one, max), one), "integer overflow: 9223372036854775807 + 1");
  CHECK(arith_slow(st, A_POW, norn_int(-3), norn_int(3)).i == -27);
  CHECK(arith_slow(st, A_POW, norn_int(0), norn_int(0)).i == 1);
  CHECK(arith_slow(st, A_POW, norn_int(2), norn_int(-1)).d == 0.5);
  CHECK(arith_slow(st, A_POW, norn_int(2), norn_int(62)).i == (int64_t)1 << 62);
  CHECK(arith_slow(st, A_POW, norn_int(-2), norn_int(63)).i == INT64_MIN);
  FAILS(arith_slow(st, A_DIV, one, norn_int(0)), "division by zero");
  FAILS(arith_slow(st, A_IDIV, norn_real(1), norn_real(0)), "division by zero");
  FAILS(arith_slow(st, A_MOD, INTS(1, 2), norn_int(0)), "remainder of a division by zero");
  CHECK(isinf(arith_slow(st, A_DIV, norn_real(1), norn_int(0)).d));
  CHECK(arith_slow(st, A_IDIV, norn_int(-7), norn_int(2)).i == -4 && arith_slow(st, A_MOD, norn_int(-7), norn_int(2)).i == 1);
  CHECK(arith_slow(st, A_IDIV, norn_int(7), norn_int(-2)).i == -4 && arith_slow(st, A_MOD, norn_int(7), norn_int(-2)).i == -1);
  CHECK(arith_slow(st, A_MOD, norn_real(-7.5), norn_int(2)).d == 0.5 && arith_slow(st, A_IDIV, norn_real(-7.5), norn_int(2)).d == -4);
  val bad = arith_slow(st, A_ADD, one, s);
  CHECK(strstr(norn_error(st)->hint, "++") != NULL);
  FAILS(bad, "can't add a string to an integer");
  FAILS(arith_slow(st, A_SUB, s, INTS(1, 2)), "can't subtract an array of 2 integers from a string");
  FAILS(arith_slow(st, A_ADD, INTS(1, 2, 3), INTS(1, 2)), "can't add arrays element by element: shapes [3] and [2] differ");
  FAILS(arith_slow(st, A_MUL, norn_missing(), one), "arithmetic on a missing value");
  FAILS(arith_slow(st, A_MUL, PACK(norn_missing(), one), one), "arithmetic on a missing value");
  FAILS(arith_slow(st, A_LT, INTS(1), INTS(2)), "can't order an array of 1 integer and an array of 1 integer");
  FAILS(arith_slow(st, A_NOT, one, one), "'not' needs a boolean, got an integer");
  CHECK(arith_slow(st, A_LT, s, text_val(st, "b")).i == 1 && arith_slow(st, A_LE, s, s).i == 1);
  CHECK(arith_slow(st, A_LT, max, norn_real(0x1p63)).i == 1 && arith_slow(st, A_LE, norn_real(0x1p63), max).i == 0);
  CHECK(arith_slow(st, A_LT, one, norn_real(NAN)).i == 0 && arith_slow(st, A_LE, norn_real(NAN), one).i == 0);
  SHOWS(arith_slow(st, A_NEG, INTS(1, -2), norn_none()), "[-1, 2]");
  SHOWS(arith_slow(st, A_NEG, PACK(norn_real(0.0)), norn_none()), "[-0.0]");
  SHOWS(arith_slow(st, A_ADD, PACK(INTS(1), INTS(1, 2)), one), "[[2], [2, 3]]");
  SHOWS(arith_slow(st, A_POW, norn_int(2), INTS(1, -1)), "[2.0, 0.5]");
  norn_native root = { .name = "sqrt", .real1 = sqrt };
  SHOWS(arith_map1(st, &root, PACK(INTS(1, 4), INTS(9, 16))), "[[1.0, 2.0], [3.0, 4.0]]");
  SHOWS(arith_map1(st, &root, PACK(INTS(1), INTS(9, 16))), "[[1.0], [3.0, 4.0]]");
  FAILS(arith_map1(st, &root, s), "sqrt needs a number or an array of numbers, got a string");
}

static void products(norn_state *st)
{
  val a = PACK(INTS(1, 2), INTS(3, 4), INTS(5, 6)), x = INTS(1, 2), y = INTS(1, 2, 3);
  SHOWS(vec_transpose(st, a), "[[1, 3, 5], [2, 4, 6]]");
  SHOWS(vec_matmul(st, a, x), "[5, 11, 17]");
  SHOWS(vec_matmul(st, y, a), "[22, 28]");
  SHOWS(vec_matmul(st, y, y), "14");
  SHOWS(vec_matmul(st, a, vec_transpose(st, a)), "[[5, 11, 17], [11, 25, 39], [17, 39, 61]]");
  SHOWS(vec_matmul(st, vec_transpose(st, a), PACK(norn_real(.5), norn_int(0), norn_int(1))), "[5.5, 7.0]");
  FAILS(vec_matmul(st, a, a), "shapes [3, 2] and [3, 2] can't be multiplied: the last dimension of the first must be the first of the second");
  FAILS(vec_transpose(st, x), "only a matrix can be transposed, got an array of 2 integers");
  FAILS(vec_matmul(st, a, norn_int(1)), "@ multiplies vectors and matrices of numbers, got an integer");
}

/* ---- maps ---- */

/* Puts and removals against a plain table, with only as many bits of hash as `mask` leaves. */
static void maps(norn_state *st, uint64_t seed, uint64_t mask)
{
  enum { KEYS = 300 };
  int64_t want[KEYS], n = 0;
  norn_ref *old = norn_keep(st, hamt_new(st)), *m = norn_keep(st, hamt_new(st));
  for (int k = 0; k < KEYS; k++) want[k] = -1;
  for (int i = 0; i < 4000; i++) {
    int64_t k = (int64_t)(rnd(&seed) % KEYS), x = (int64_t)(rnd(&seed) % 1000);
    val key = norn_int(k);
    uint64_t hash = value_hash(key) & mask;
    if (i % 1000 == 0) norn_set(old, norn_get(m));
    if (rnd(&seed) % 3) {
      norn_set(m, hamt_put(st, norn_get(m), key, hash, norn_int(x)));
      n += want[k] < 0;
      want[k] = x;
    } else {
      norn_set(m, hamt_remove(st, norn_get(m), key, hash));
      n -= want[k] >= 0;
      want[k] = -1;
    }
    CHECK(norn_map_size(norn_get(m)) == n);
    collect(st, &seed);
    k = (int64_t)(rnd(&seed) % KEYS);
    val v = hamt_get(norn_get(m), norn_int(k), value_hash(norn_int(k)) & mask);
    CHECK(want[k] < 0 ? norn_is_none(v) : v.i == want[k]);
  }
  val again = hamt_new(st), key, value;                /* built in another order it is the same trie */
  for (int64_t k = KEYS - 1; k >= 0; k--)
    if (want[k] >= 0) again = hamt_put(st, again, norn_int(k), value_hash(norn_int(k)) & mask, norn_int(want[k]));
  CHECK(value_equal(again, norn_get(m)) && value_hash(again) == value_hash(norn_get(m)));
  CHECK(value_compare(again, norn_get(m)) == 0 && !value_equal(again, norn_get(old)));
  for (int64_t i = 0; i < n; i++) {
    val k2, v2;
    CHECK(norn_map_at(again, i, &key, &value) && norn_map_at(norn_get(m), i, &k2, &v2));
    CHECK(key.i == k2.i && value.i == v2.i && want[key.i] == value.i);
  }
  CHECK(!norn_map_at(again, n, &key, &value));
  norn_drop(old);
  norn_drop(m);
}

/* ---- laws ---- */

static val any_value(norn_state *st, uint64_t *seed, int depth)
{
  static const char *const names[] = { "a", "b", "c" };
  val v[3];
  int n = (int)(rnd(seed) % 4);
  int64_t i = (int64_t)(rnd(seed) % 3);
  switch (rnd(seed) % (depth > 0 ? 12 : 6)) {
  case 0: return norn_int(i);
  case 1: return norn_real((double)i);
  case 2: return norn_bool(i & 1);
  case 3: return text_val(st, names[i]);
  case 4: return i == 0 ? norn_unit() : i == 1 ? norn_missing() : v_enum(2);
  case 5: return norn_real((double)i + 0.5);
  case 6: case 7: case 8:
    for (int k = 0; k < 3; k++) v[k] = any_value(st, seed, rnd(seed) % 2 ? 0 : depth - 1);
    return vec_pack(st, v, n < 3 ? n : 3);
  case 9: {
    for (int k = 0; k < 3; k++) v[k] = any_value(st, seed, depth - 1);
    bool turned = rnd(seed) % 2;
    if (turned) return norn_record(st, 2, (const char *const[]){ "b", "a" }, (val[]){ v[1], v[0] });
    return norn_record(st, 2, names, v);
  }
  case 10: {
    data *d = heap_alloc(st, sizeof(data) + 2 * sizeof(val));
    obj_init(d, NORN_DATA, 3, 2);
    d->f[0] = norn_unit();
    d->f[0] = any_value(st, seed, depth - 1);
    d->f[1] = any_value(st, seed, depth - 1);
    return v_data(3, d);
  }
  default:
    v[0] = norn_map_new(st);
    for (int k = 0; k < n; k++) v[0] = norn_map_put(st, v[0], any_value(st, seed, 0), any_value(st, seed, depth - 1));
    return v[0];
  }
}

static void laws(norn_state *st, uint64_t seed)
{
  enum { N = 400 };
  static val v[N];
  for (int k = 0; k < N; k++) v[k] = any_value(st, &seed, 2);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      bool e = value_equal(v[i], v[j]);
      int c = value_compare(v[i], v[j]);
      CHECK(e == value_equal(v[j], v[i]) && c == -value_compare(v[j], v[i]));
      CHECK(e == (c == 0));
      if (e) CHECK(value_hash(v[i]) == value_hash(v[j]));
      if (i == j) CHECK(e);
      int k = (int)(rnd(&seed) % N);
      if (c <= 0 && value_compare(v[j], v[k]) <= 0) CHECK(value_compare(v[i], v[k]) <= 0);
      if (e && value_equal(v[j], v[k])) CHECK(value_equal(v[i], v[k]));
    }
  CHECK(!value_equal(norn_real(NAN), norn_real(NAN)) && value_compare(norn_real(NAN), norn_real(NAN)) == 0);
  CHECK(!value_equal(norn_int(((int64_t)1 << 53) + 1), norn_real(0x1p53)));
  CHECK(value_equal(PACK(norn_int(1)), vec_slice(st, PACK(norn_real(1), text_val(st, "x")), 0, 1)));
  CHECK(value_equal(vec_pack(st, NULL, 0), vec_slice(st, INTS(1), 0, 0)));
}

/* The hash of a value is the same in another state, where names have other numbers. */
static void across(norn_state *st)
{
  norn_state *other = norn_new_bare(NULL);
  norn_record(other, 1, (const char *const[]){ "b" }, (val[]){ norn_unit() });
  val x = norn_record(st, 2, (const char *const[]){ "a", "b" }, (val[]){ text_val(st, "s"), INTS(1, 2) });
  val two[2] = { norn_real(1), norn_real(2) };
  val y = norn_record(other, 2, (const char *const[]){ "b", "a" }, (val[]){ vec_pack(other, two, 2), norn_cstring(other, "s") });
  CHECK(value_hash(x) == value_hash(y) && value_equal(x, y));
  norn_free(other);
}

/* ---- printing ---- */

static void shows(norn_state *st)
{
  char b[256];
  val s = text_val(st, "a \"b\"\n");
  CHECK_STR(norn_show(st, s, false, 0), "a \"b\"\n");
  CHECK_STR(norn_show(st, PACK(s, norn_int(1)), false, 0), "[\"a \\\"b\\\"\\n\", 1]");
  SHOWS(norn_record(st, 2, (const char *const[]){ "x", "b c" }, (val[]){ norn_int(1), norn_unit() }), "{x: 1, \"b c\": ()}");
  SHOWS(vec_pack(st, NULL, 0), "[]");
  SHOWS(norn_map_put(st, norn_map_new(st), norn_int(1), s), "maps.from([[1, \"a \\\"b\\\"\\n\"]])");
  CHECK_STR(norn_show(st, vec_range(st, 0, 1000), true, 60), "[0, 1, 2, 3, 4, 5, 6, ... 990 more ..., 997, 998, 999]");
  CHECK_STR(norn_show(st, vec_range(st, 0, 5), true, 60), "[0, 1, 2, 3, 4]");
  CHECK_STR(norn_describe(st, INTS(1, 2, 3), b, sizeof b), "an array of 3 integers");
  CHECK_STR(norn_describe(st, PACK(INTS(1, 2), INTS(1, 2)), b, sizeof b), "a 2 by 2 matrix of integers");
  CHECK_STR(norn_describe(st, norn_record(st, 2, (const char *const[]){ "x", "y" }, (val[]){ s, s }), b, sizeof b), "a record with fields x, y");
  CHECK_STR(norn_describe(st, norn_real(1), b, 5), "a re");
  int64_t dims[2] = { 300, 300 };
  CHECK(strlen(norn_show(st, norn_array(st, NORN_F64, 2, dims, NULL), true, 200)) < 500);
  val deep = norn_unit();
  for (int k = 0; k < 100000; k++) deep = PACK(deep, norn_unit());
  CHECK(strlen(norn_show(st, deep, true, 0)) == 2 + 100000 * 6);
  CHECK(strlen(norn_show(st, deep, true, 100)) < 200);
  CHECK(value_equal(deep, deep) && value_compare(deep, PACK(deep, norn_unit())) != 0);
}

/* ---- records and symbols ---- */

static void records(norn_state *st)
{
  char name[32];
  for (int k = 0; k < 5000; k++) {
    sprintf(name, "name%d", k);
    sym y = sym_intern(st, name, strlen(name));
    CHECK(y && sym_intern(st, name, strlen(name)) == y && strcmp(sym_name(st, y), name) == 0);
  }
  val r = norn_record(st, 2, (const char *const[]){ "a", "b" }, (val[]){ norn_int(1), norn_int(2) });
  sym names[2] = { sym_intern(st, "b", 1), sym_intern(st, "c", 1) };
  SHOWS(rec_with(st, r, names, (val[]){ norn_int(3), norn_int(4) }, 2), "{a: 1, b: 3, c: 4}");
  SHOWS(r, "{a: 1, b: 2}");
  FAILS(rec_with(st, norn_int(1), names, &r, 1), "'with' changes the fields of a record, got an integer");
  val q = norn_record(st, 2, (const char *const[]){ "a", "b" }, (val[]){ norn_int(5), norn_int(6) });
  CHECK(v_rec(q)->sh == v_rec(r)->sh && norn_record_get(st, q, "b").i == 6 && norn_is_none(norn_record_get(st, q, "z")));
  val t = str_concat(st, (val[]){ text_val(st, "n = "), norn_int(3), text_val(st, ", "), PACK(norn_real(.5)) }, 4);
  CHECK_STR(norn_string_view(t, NULL), "n = 3, [0.5]");
  CHECK(v_str(text_val(st, "n\xc3\xa9""e"))->chars == 3);
}

int main(void)
{
  norn_state *st = norn_new_bare(NULL);
  if (!st) return 1;
  packing(st);
  for (uint64_t s = 1; s <= 4; s++) forks(st, s);
  swarm(st);
  indexing(st, 1);
  elementwise(st, 2);
  arithmetic(st);
  products(st);
  maps(st, 3, ~(uint64_t)0);
  maps(st, 4, 0xff00000000000003u);
  maps(st, 5, 0x7);
  maps(st, 6, 0);
  laws(st, 7);
  across(st);
  shows(st);
  records(st);
  norn_free(st);
  return unit_end();
}
