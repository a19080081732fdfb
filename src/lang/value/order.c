/* order.c: the total order of sort(), and hashes.

   Order: numbers (NaN last), booleans, strings, arrays lexicographically, variants by constructor
   and then fields, records by names and then fields, then all else; missing is last.  The hash is
   taken over the same walk, so equal values hash equally; constructors count by their number,
   which is the same in all states that loaded the same programs. */
#include "lang/value/big.h"
#include "lang/value/part.h"
#include <math.h>
#include <string.h>

/* ---- order ---- */

static int rank_of(val v)
{
  switch (V_KIND(v)) {
  case NORN_INT: case NORN_REAL: case NORN_BIG: return 0;
  case NORN_BOOL: return 1;
  case NORN_STR: return 2;
  case NORN_ARRAY: return 3;
  case NORN_ENUM: case NORN_DATA: return 4;
  case NORN_RECORD: return 5;
  case NORN_MISSING: return 1000;
  default: return 100 + (int)V_KIND(v);
  }
}

static bool is_nan(val v)
{
  return V_IS_REAL(v) ? isnan(v.d) : big_is(v) && ((const bign *)v.p)->what == NORN_BIG_NAN;
}

/* NaN stands above all other numbers and beside itself. */
static int numbers_compare(val a, val b)
{
  if (big_is(a) || big_is(b)) {
    int c = big_compare(a, b);
    return c == 2 ? is_nan(a) - is_nan(b) : c;
  }
  if (V_IS_INT(a) && V_IS_INT(b)) return a.i < b.i ? -1 : a.i > b.i;
  if (V_IS_INT(a)) {
    int c = compare_mixed(a.i, b.d);
    return c == 2 ? -1 : c;
  }
  if (V_IS_INT(b)) {
    int c = compare_mixed(b.i, a.d);
    return c == 2 ? 1 : -c;
  }
  if (isnan(a.d) || isnan(b.d)) return isnan(a.d) - isnan(b.d);
  return a.d < b.d ? -1 : a.d > b.d;
}

static int signed_one(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

static int strings_compare(const str *a, const str *b)
{
  uint32_t n = a->h.n < b->h.n ? a->h.n : b->h.n;
  int c = memcmp(a->s, b->s, n);
  return c ? (c < 0 ? -1 : 1) : signed_one(a->h.n, b->h.n);
}

static int names_compare(const char *a, const char *b)
{
  int c = strcmp(a ? a : "", b ? b : "");
  return c < 0 ? -1 : c > 0;
}

static int shapes_compare(const shape *a, const shape *b)
{
  if (a == b) return 0;
  for (uint32_t i = 0; i < a->n && i < b->n; i++) {
    int c = names_compare(a->text[a->order[i]], b->text[b->order[i]]);
    if (c) return c;
  }
  return signed_one(a->n, b->n);
}

static int protos_compare(const proto *a, const proto *b)
{
  if (a == b) return 0;
  int c = names_compare(a->name, b->name);
  if (!c) c = signed_one(a->span.file, b->span.file);
  if (!c) c = signed_one(a->span.start, b->span.start);
  return c ? c : a < b ? -1 : 1;
}

static const char *row_name(val v)
{
  if (V_KIND(v) == NORN_DIST) return ((const norn_dist_row *)v_tab(v)->row)->name;
  if (V_KIND(v) == NORN_ENGINE) return ((const norn_engine *)v_tab(v)->row)->name;
  return ((const norn_native *)v.q)->name;
}

/* Objects of one kind by what is not among their children. */
static int labels_compare(val a, val b)
{
  switch (V_KIND(a)) {
  case NORN_RECORD: return shapes_compare(v_rec(a)->sh, v_rec(b)->sh);
  case NORN_FUN: return protos_compare(v_clo(a)->p, v_clo(b)->p);
  case NORN_DIST: case NORN_ENGINE: return names_compare(row_name(a), row_name(b));
  case NORN_HANDLE:
    return signed_one((int64_t)((const handle *)a.p)->serial, (int64_t)((const handle *)b.p)->serial);
  default: return 0;
  }
}

static int immediates_compare(val a, val b)
{
  if (V_KIND(a) == NORN_ENUM) return signed_one(V_CTOR(a), V_CTOR(b));
  if (V_KIND(a) == NORN_NATIVE) return names_compare(row_name(a), row_name(b));
  return signed_one(a.i, b.i);
}

/* The order of the heads; children go on the stack. */
static int heads_compare(tasks *s, part x, part y)
{
  val a = x.v, b = y.v;
  int r = rank_of(a), q = rank_of(b);
  if (r != q) return r < q ? -1 : 1;
  if (r == 0) return numbers_compare(a, b);
  if (r == 4 && V_CTOR(a) != V_CTOR(b)) return signed_one(V_CTOR(a), V_CTOR(b));
  if (!V_IS_HEAP(a) || !V_IS_HEAP(b)) return immediates_compare(a, b);
  if (V_KIND(a) == NORN_STR) return strings_compare(v_str(a), v_str(b));
  if (a.p == b.p && !part_is_array(&x)) return 0;
  int c = labels_compare(a, b);
  if (c) return c;
  int64_t n = part_children(&x), m = part_children(&y);
  if (n != m) tasks_push(s, x, y, 0, signed_one(n, m));
  tasks_push(s, x, y, n < m ? n : m, 0);
  return 0;
}

int value_compare(val a, val b)
{
  if (part_is_number(a) && part_is_number(b)) return numbers_compare(a, b);
  tasks s;
  tasks_init(&s);
  int c = heads_compare(&s, part_whole(a), part_whole(b));
  while (!c && s.n) {
    task *t = &s.v[s.n - 1], one = *t;
    if (one.n == 0 || ++t->i == t->n) s.n--;
    c = one.n == 0 ? one.after : 0;
    if (one.n) {
      part x = part_child(&one.x, one.i), y = part_child(&one.y, one.i);
      c = heads_compare(&s, x, y);
    }
  }
  tasks_free(&s);
  return c;
}

/* ---- hash ---- */

static uint64_t stir(uint64_t h, uint64_t token)
{
  return hash_mix((h ^ token) * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u);
}

/* Booleans come in long rows, so they are stirred lightly; value_hash mixes at its end. */
static inline uint64_t stir_bool(uint64_t h, bool b)
{
  return ((h << 9 | h >> 55) ^ (b ? 0xd6e8feb86659fd93u : 0xa3b195354a39b70du)) *
         0xbf58476d1ce4e5b9u;
}

/* Numbers that are equal have one token: reals by their bits, integers by those of their real if
   it is the same number. */
static uint64_t real_token(double d)
{
  uint64_t u;
  if (isnan(d)) return NORN_REAL;
  d += 0.0;                                      /* -0 is 0 */
  memcpy(&u, &d, sizeof u);
  return u ^ NORN_REAL;
}

static uint64_t int_token(int64_t i)
{
  double d = (double)i;
  return compare_mixed(i, d) == 0 ? real_token(d) : (uint64_t)i ^ 0xa5a5a5a5a5a5a5a5u;
}

static uint64_t big_token(val v)
{
  bignum x = big_view(v);
  int64_t i;
  if (real_int(&x, &i)) return int_token(i);
  double d = real_double(&x);
  bool same = isnan(d) || big_compare(v, norn_real(d)) == 0;
  return same ? real_token(d) : real_hash(&x);
}

static uint64_t name_token(const char *s)
{
  return s ? hash_bytes(s, strlen(s), 1) : 0;
}

static uint64_t label_token(val v)
{
  switch (V_KIND(v)) {
  case NORN_STR: return hash_bytes(v_str(v)->s, v_str(v)->h.n, 2);
  case NORN_DATA: return V_CTOR(v);
  case NORN_RECORD: return v_rec(v)->sh->hash;
  case NORN_FUN: return name_token(v_clo(v)->p->name) ^ v_clo(v)->p->span.start;
  case NORN_DIST: case NORN_ENGINE: return name_token(row_name(v));
  case NORN_HANDLE: return ((const handle *)v.p)->serial;
  default: return 0;
  }
}

static uint64_t head_hash(tasks *s, uint64_t h, part p)
{
  val v = p.v;
  if (V_IS_INT(v)) return stir(h, int_token(v.i));
  if (V_IS_REAL(v)) return stir(h, real_token(v.d));
  if (V_IS_BOOL(v)) return stir_bool(h, v.i);
  if (big_is(v)) return stir(h, big_token(v));
  if (V_KIND(v) == NORN_NATIVE) return stir(h, name_token(row_name(v)));
  if (!V_IS_HEAP(v)) return stir(stir(h, V_KIND(v)), V_CTOR(v) ^ (uint64_t)v.i);
  int64_t n = part_children(&p);
  h = stir(stir(h, V_KIND(v) ^ (uint64_t)n << 8), label_token(v));
  tasks_push(s, p, p, n, 0);
  return h;
}

/* Elements of a flat packed array. */
static uint64_t row_hash(uint64_t h, const part *p, int64_t n)
{
  const vec *v = v_vec(p->v);
  const void *e = buf_at(v->b, (uint64_t)p->at);
  switch (vec_elem(v)) {
  case NORN_F64: for (int64_t i = 0; i < n; i++) h = stir(h, real_token(((const double *)e)[i])); break;
  case NORN_I64: for (int64_t i = 0; i < n; i++) h = stir(h, int_token(((const int64_t *)e)[i])); break;
  default: for (int64_t i = 0; i < n; i++) h = stir_bool(h, ((const uint8_t *)e)[i]); break;
  }
  return h;
}

uint64_t value_hash(val v)
{
  tasks s;
  s.n = 0;
  if (!V_IS_HEAP(v) || V_KIND(v) == NORN_STR) return hash_mix(head_hash(&s, 0, (part){ v, 0, 0 }));
  tasks_init(&s);
  uint64_t h = head_hash(&s, 0, part_whole(v));
  while (s.n) {
    task *t = &s.v[s.n - 1], one = *t;
    const vec *a = v_vec(one.x.v);
    if (part_is_array(&one.x) && one.x.rank == 1 && vec_elem(a) != NORN_VALUES && !a->b->parent) {
      s.n--;
      h = row_hash(h, &one.x, one.n);
      continue;
    }
    if (++t->i == t->n) s.n--;
    h = head_hash(&s, h, part_child(&one.x, one.i));
  }
  tasks_free(&s);
  return hash_mix(h);
}
