/* equal.c: structural equality.  Packing does not count: [[1, 2], [3, 4]] as a matrix equals the
   same rows kept as values, 1 equals 1.0, records are compared by field name, functions by code
   and captures.  What is one object is equal without a look inside. */
#include "lang/value/big.h"
#include "lang/value/part.h"
#include <string.h>

static bool strings_equal(const str *a, const str *b)
{
  return a == b || (a->hash == b->hash && a->h.n == b->h.n && memcmp(a->s, b->s, a->h.n) == 0);
}

static bool shapes_equal(const shape *a, const shape *b)
{
  if (a == b) return true;
  if (a->n != b->n || a->hash != b->hash) return false;
  for (uint32_t i = 0; i < a->n; i++)
    if (strcmp(a->text[a->order[i]], b->text[b->order[i]]) != 0) return false;
  return true;
}

/* Packed numbers of one kind, compared without ado.  -1: not this simple. */
static int rows_equal(const part *x, const part *y, int64_t n)
{
  const vec *a = v_vec(x->v), *b = v_vec(y->v);
  if (x->rank != 1 || y->rank != 1 || vec_elem(a) != vec_elem(b) || a->b->parent || b->b->parent)
    return -1;
  const buf *p = a->b, *q = b->b;
  int64_t i = 0;
  if (p == q && x->at == y->at && vec_elem(a) != NORN_F64) return 1;      /* no NaN among them */
  switch (vec_elem(a)) {
  case NORN_F64: while (i < n && p->f[x->at + i] == q->f[y->at + i]) i++; return i == n;
  case NORN_I64: while (i < n && p->i[x->at + i] == q->i[y->at + i]) i++; return i == n;
  case NORN_B8: while (i < n && !p->b[x->at + i] == !q->b[y->at + i]) i++; return i == n;
  default: return -1;
  }
}

static bool arrays_equal(tasks *s, part x, part y)
{
  int64_t n = part_len(&x);
  if (n != part_len(&y)) return false;
  int quick = n ? rows_equal(&x, &y, n) : 1;
  if (quick < 0) tasks_push(s, x, y, n, 0);
  return quick != 0;
}

/* Keys are looked up, since entries of one hash stand in an order that need not be the same. */
static bool maps_equal(tasks *s, part x, part y)
{
  const map *a = x.v.p, *b = y.v.p;
  int64_t n = a->root ? a->root->count : 0;
  if (n != (b->root ? b->root->count : 0)) return false;
  tasks_push(s, x, y, n, 0);
  return true;
}

static bool is_number(val v) { return part_is_number(v) || big_is(v); }

static bool numbers_equal(val a, val b)
{
  if (big_is(a) || big_is(b)) return big_compare(a, b) == 0;
  if (V_IS_INT(a)) return V_IS_INT(b) ? a.i == b.i : compare_mixed(a.i, b.d) == 0;
  return V_IS_REAL(b) ? a.d == b.d : compare_mixed(b.i, a.d) == 0;
}

/* False if x and y differ at their heads; their children go on the stack. */
static bool heads_equal(tasks *s, part x, part y)
{
  val a = x.v, b = y.v;
  if (is_number(a)) return is_number(b) && numbers_equal(a, b);
  if (a.tag != b.tag) return false;
  if (!V_IS_HEAP(a)) return a.i == b.i;
  if (part_is_array(&x)) return arrays_equal(s, x, y);
  if (V_KIND(a) == NORN_STR) return strings_equal(v_str(a), v_str(b));
  if (V_KIND(a) == NORN_MAP) return maps_equal(s, x, y);
  int64_t n, m;
  const val *f = fields_of(a, &n), *g = fields_of(b, &m);
  if (n != m || (!f && a.p != b.p)) return false;
  if (V_KIND(a) == NORN_RECORD && !shapes_equal(v_rec(a)->sh, v_rec(b)->sh)) return false;
  if (V_KIND(a) == NORN_FUN && v_clo(a)->p != v_clo(b)->p) return false;
  if ((V_KIND(a) == NORN_DIST || V_KIND(a) == NORN_ENGINE) && v_tab(a)->row != v_tab(b)->row)
    return false;
  if (g && f != g) tasks_push(s, x, y, n, 0);
  return true;
}

static bool next_equal(tasks *s)
{
  task *t = &s->v[s->n - 1], one = *t;
  if (++t->i == t->n) s->n--;          /* before its children are pushed: a chain needs no room */
  if (V_KIND(one.x.v) == NORN_MAP) {
    const hent *e = hamt_at(one.x.v.p, one.i);
    val v = hamt_get(one.y.v, e->key, e->hash);
    return !norn_is_none(v) && heads_equal(s, part_whole(e->value), part_whole(v));
  }
  return heads_equal(s, part_child(&one.x, one.i), part_child(&one.y, one.i));
}

bool value_equal(val a, val b)
{
  if (big_is(a) || big_is(b)) return is_number(a) && is_number(b) && numbers_equal(a, b);
  if (!V_IS_HEAP(a) || !V_IS_HEAP(b))
    return part_is_number(a) ? part_is_number(b) && numbers_equal(a, b)
                             : a.tag == b.tag && a.i == b.i;
  tasks s;
  tasks_init(&s);
  bool equal = heads_equal(&s, part_whole(a), part_whole(b));
  while (equal && s.n) equal = next_equal(&s);
  tasks_free(&s);
  return equal && !s.failed;
}
