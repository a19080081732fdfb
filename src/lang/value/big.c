/* big.c: bigs as values.  An object holds its limbs itself, so it needs no destructor and moves
   like any other; num/real.h computes.

   A result has the precision that the run has been given (with_bits: norn_run.bits), else that of
   the longest of its operands; integers and reals enter exactly. */
#include "lang/value/arith_in.h"
#include "lang/value/big.h"
#include "lang/value/part.h"
#include "lang/run.h"
#include <string.h>

_Static_assert(sizeof(bign) == 32, "the limbs of a big follow its four words");

/* ---- making ---- */

/* A number of that precision and the view to compute into; big_done closes it.  NULL: no memory. */
static bign *big_new(norn_state *st, int64_t bits, bignum *z)
{
  int64_t n = real_limbs(bits);
  bign *b = heap_alloc(st, sizeof *b + (size_t)n * sizeof *b->limb);
  if (!b) return NULL;
  obj_init(b, NORN_BIG, 0, (uint32_t)n);
  b->bits = bits;
  memset(b->limb, 0, (size_t)n * sizeof *b->limb);
  *z = real_at(bits, b->limb);
  return b;
}

static val big_done(bign *b, const bignum *z)
{
  b->exponent = z->exponent;
  b->what = (int32_t)z->kind;
  b->sign = z->sign;
  return v_obj(NORN_BIG, b);
}

static bool bits_allowed(norn_state *st, int64_t bits, int arg)
{
  if (bits >= REAL_BITS_LEAST && bits <= REAL_BITS_MOST) return true;
  norn_fail(st, NORN_EDOMAIN, arg, "a precision must be between %d and %d bits, got %lld",
            REAL_BITS_LEAST, REAL_BITS_MOST, (long long)bits);
  norn_hint(st, "a decimal digit takes 3.33 bits");
  return false;
}

static int64_t bits_of_run(const norn_state *st) { return st->current ? st->current->bits : 0; }

int64_t norn_big_bits(norn_state *st) { return bits_of_run(st); }

norn_datum norn_big(norn_state *st, const char *s, int64_t bits)
{
  bignum z;
  if (!bits) bits = bits_of_run(st);
  if (!bits) bits = REAL_BITS_DEFAULT;
  if (!bits_allowed(st, bits, -1)) return norn_none();
  bign *b = big_new(st, bits, &z);
  if (!b) return norn_none();
  if (!real_parse(&z, s, strlen(s))) {
    state_fail(st, NORN_EDOMAIN, "\"%.60s\" is not a number", s);
    norn_hint(st, "for example big(\"0.1\"), big(\"-2.5e-400\"), big(\"inf\")");
    return norn_none();
  }
  return big_done(b, &z);
}

norn_datum norn_big_make(norn_state *st, const norn_big_parts *p)
{
  bignum z;
  if (!bits_allowed(st, p->bits, -1)) return norn_none();
  if (p->kind == NORN_BIG_FINITE &&
      (p->nlimbs != real_limbs(p->bits) || !(p->limbs[p->nlimbs - 1] >> 63)))
    return state_fail(st, NORN_EUSE, "norn_big_make: these limbs are no number of %lld bits",
                      (long long)p->bits);
  bign *b = big_new(st, p->bits, &z);
  if (!b) return norn_none();
  z.kind = p->kind;
  z.sign = p->sign < 0 ? -1 : 1;
  if (p->kind == NORN_BIG_FINITE) {
    z.exponent = p->exponent;
    memcpy(b->limb, p->limbs, (size_t)p->nlimbs * sizeof *b->limb);
    if (p->bits % 64) b->limb[0] &= ~UINT64_C(0) << (64 - p->bits % 64);
  }
  return big_done(b, &z);
}

/* ---- looking ---- */

bool norn_big_view(norn_datum v, norn_big_parts *out)
{
  if (!big_is(v)) return false;
  const bign *b = v.p;
  *out = (norn_big_parts){ b->bits, b->exponent, (norn_big_kind)b->what, b->sign, b->limb, b->h.n };
  return true;
}

double norn_big_double(norn_datum v)
{
  bignum x = big_view(v);
  return real_double(&x);
}

size_t norn_big_text(norn_datum v, int64_t digits, char *out, size_t n)
{
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  if (big_is(v)) {
    bignum x = big_view(v);
    real_text(&t, &x, digits);
  }
  size_t len = t.failed ? 0 : t.n;
  if (n) {
    size_t k = len < n ? len : n - 1;
    if (k) memcpy(out, t.s, k);
    out[k] = 0;
  }
  text_free(&t);
  return len;
}

const bignum *big_operand(val v, bignum *x, uint64_t *few)
{
  if (big_is(v)) {
    *x = big_view(v);
  } else if (V_IS_INT(v)) {
    *x = real_at(64, few);
    real_set_int(x, v.i);
  } else {
    *x = real_at(53, few);
    real_set_double(x, v.d);
  }
  return x;
}

val big_rounded(norn_state *st, val v, int64_t bits)
{
  bignum z, x;
  uint64_t few[1];
  bign *b = big_new(st, bits, &z);
  if (!b) return norn_none();
  real_set(&z, big_operand(v, &x, few));
  return big_done(b, &z);
}

int big_compare(val a, val b)
{
  bignum x, y;
  uint64_t few[2];
  return real_compare(big_operand(a, &x, few), big_operand(b, &y, few + 1));
}

/* ---- computing ---- */

static bool is_number(val v) { return part_is_number(v) || big_is(v); }

static val too_far(norn_state *st, const char *name)
{
  state_fail(st, NORN_EDOMAIN, "%s of a number beyond 2^1048576 can't be computed", name);
  return norn_none();
}

/* op of one or two numbers in `bits` bits. */
static val computed(norn_state *st, real_op op, const char *name, int64_t bits, const val *args,
                    int n)
{
  bignum z, x[2];
  uint64_t few[2];
  const bignum *a = n > 0 ? big_operand(args[0], &x[0], few) : NULL,
             *b = n > 1 ? big_operand(args[1], &x[1], few + 1) : NULL;
  bign *o = big_new(st, bits, &z);
  if (!o) return norn_none();
  if (!real_do(op, &z, a, b)) return too_far(st, name);
  return big_done(o, &z);
}

static int64_t longest(const val *args, int n)
{
  int64_t bits = 0;
  for (int i = 0; i < n; i++) {
    int64_t b = big_is(args[i]) ? ((const bign *)args[i].p)->bits : 0;
    if (b > bits) bits = b;
  }
  return bits;
}

/* The precision of a result. */
static int64_t bits_for(norn_state *st, const val *args, int n)
{
  int64_t run = bits_of_run(st), bits = run ? run : longest(args, n);
  return bits ? bits : REAL_BITS_DEFAULT;
}

static val ordered(arith op, val x, val y)
{
  int c = big_compare(x, y);
  return norn_bool(c != 2 && (op == A_LT ? c < 0 : c <= 0));
}

static bool is_zero(val v)
{
  if (V_IS_INT(v)) return v.i == 0;
  return big_is(v) ? ((const bign *)v.p)->what == NORN_BIG_ZERO : v.d == 0;
}

val big_arith(norn_state *st, arith op, val x, val y)
{
  static const real_op ops[] = { REAL_ADD,  REAL_SUB, REAL_MUL, REAL_DIV,
                                 REAL_IDIV, REAL_MOD, REAL_POW };
  val v[2] = { x, y };
  if (op == A_LT || op == A_LE) return ordered(op, x, y);
  if (op == A_NEG) return computed(st, REAL_NEG, "-", bits_for(st, v, 1), v, 1);
  if ((op == A_IDIV || op == A_MOD) && is_zero(y)) return arith_zero(st, op);
  return computed(st, ops[op], "^", bits_for(st, v, 2), v, 2);
}

/* floor and its like give an integer where 64 bits hold it, as of reals. */
static val whole(real_op op, val v)
{
  int64_t i;
  if (op < REAL_FLOOR || op > REAL_ROUND || !big_is(v)) return v;
  bignum x = big_view(v);
  return real_int(&x, &i) ? norn_int(i) : v;
}

val big_map1(norn_state *st, const norn_native *f, val x)
{
  int n, op = real_find(f->name, &n);
  if (op >= 0 && n == 1) return computed(st, (real_op)op, f->name, bits_for(st, &x, 1), &x, 1);
  norn_fail(st, NORN_ETYPE, 0, "%s is not known for big reals", f->name);
  norn_hint(st, "real(x) rounds to a double");
  return norn_none();
}

/* ---- by name, elementwise ---- */

typedef struct call { norn_state *st; const char *name; real_op op; int n; int64_t bits; } call;

enum { DEEPEST = 200 };

/* The longest big in a value; DEEPEST arrays within arrays at most are looked into. */
static int64_t longest_in(norn_state *st, val v, int depth)
{
  norn_view view;
  if (v.tag != NORN_ARRAY || depth > DEEPEST) return longest(&v, 1);
  if (!norn_array_view(v, &view) || view.elem != NORN_VALUES) return 0;
  int64_t most = 0;
  for (int64_t k = 0; k < view.n; k++) {
    int64_t bits = longest_in(st, view.v[k], depth + 1);
    if (bits > most) most = bits;
  }
  return most;
}

static val each(const call *c, const val *args, int depth);

static val each_row(const call *c, const val *args, int64_t n, int depth)
{
  void *at;
  val z = norn_array(c->st, NORN_VALUES, 1, &n, &at), row[2];
  for (int64_t k = 0; !norn_is_none(z) && k < n; k++) {
    for (int i = 0; i < c->n; i++) {
      row[i] = args[i].tag == NORN_ARRAY ? vec_at(c->st, v_vec(args[i]), k) : args[i];
      if (norn_is_none(row[i])) return row[i];
    }
    val r = each(c, row, depth + 1);
    if (norn_is_none(r)) return r;
    ((val *)at)[k] = r;
  }
  return norn_is_none(z) ? z : vec_repack(c->st, z);
}

static val each(const call *c, const val *args, int depth)
{
  char found[96];
  int64_t n = -1;
  for (int i = 0; i < c->n; i++) {
    if (is_number(args[i])) continue;
    if (args[i].tag != NORN_ARRAY || depth > DEEPEST) {
      norn_fail(c->st, NORN_ETYPE, i, "%s needs numbers or arrays of numbers, got %s", c->name,
                norn_describe(c->st, args[i], found, sizeof found));
      return norn_none();
    }
    int64_t len = v_vec(args[i])->len;
    if (n >= 0 && len != n) {
      norn_fail(c->st, NORN_ETYPE, i, "%s needs arrays of equal shape, got lengths %lld and %lld",
                c->name, (long long)n, (long long)len);
      return norn_none();
    }
    n = len;
  }
  if (n >= 0) return each_row(c, args, n, depth);
  if ((c->op == REAL_IDIV || c->op == REAL_MOD) && is_zero(args[1]))
    return arith_zero(c->st, c->op == REAL_IDIV ? A_IDIV : A_MOD);
  return whole(c->op, computed(c->st, c->op, c->name, c->bits, args, c->n));
}

norn_status norn_big_apply(norn_state *st, const char *f, const norn_datum *args, int n,
                           norn_datum *out)
{
  int takes = 0, op = real_find(f, &takes);
  if (op < 0 || takes != n)
    return norn_fail(st, NORN_ETYPE, -1, "%s of %d arguments is not known for big reals", f, n);
  call c = { st, f, (real_op)op, n, bits_of_run(st) };
  for (int i = 0; !bits_of_run(st) && i < n; i++) {
    int64_t bits = longest_in(st, args[i], 0);
    if (bits > c.bits) c.bits = bits;
  }
  if (!c.bits) c.bits = REAL_BITS_DEFAULT;
  *out = each(&c, args, 0);
  return norn_is_none(*out) ? st->err.code : NORN_OK;
}

/* ---- the precision of a run ---- */

static norn_status set_bits(norn_state *st, const val *args, int n, val *out)
{
  int64_t bits;
  (void)n;
  if (!norn_want_int(st, args, 0, "the precision of with_bits", &bits)) return st->err.code;
  if (bits && !bits_allowed(st, bits, 0)) return st->err.code;
  *out = norn_int(bits_of_run(st));
  if (st->current) st->current->bits = (uint32_t)bits;
  return NORN_OK;
}

const norn_native big_natives[1] = {
  { "_set_bits", "bits",
    "Sets the precision of bigs in this run, 0 for none, and gives what it was: with_bits.\n"
    "Example: _set_bits(0)\n=> 0",
    set_bits, 0, NULL },
};
