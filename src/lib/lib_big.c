/* lib_big.c: big reals: making them, their digits, special functions that MPFR has, and what the
   natives for reals do when a big is among their arguments.

   Functions here that reals take too are computed for them in 53 bits, so a real gets the correctly
   rounded result. */
#include "lib/lib.h"
#include "num/real.h"
#include <math.h>

enum { DEEPEST = 100, MOST_DIGITS = 1000000 };

bool lib_has_big(const norn_datum *x, int64_t n)
{
  for (int64_t k = 0; k < n; k++) {
    norn_view v;
    if (x[k].tag == NORN_BIG) return true;
    if (x[k].tag == NORN_ARRAY && norn_array_view(x[k], &v) && v.elem == NORN_VALUES &&
        lib_has_big(v.v, v.n))
      return true;
  }
  return false;
}

norn_status lib_big_fold(norn_state *st, const char *f, const norn_datum *x, int64_t n,
                         norn_datum *out)
{
  *out = n > 0 ? x[0] : norn_int(0);
  for (int64_t k = 1; k < n; k++) {
    norn_datum two[2] = { *out, x[k] };
    norn_status code = norn_big_apply(st, f, two, 2, out);
    if (code) return code;
  }
  return NORN_OK;
}

/* ---- making ---- */

static norn_status want_bits(norn_state *st, const norn_datum *args, int i, int n, int64_t *bits)
{
  *bits = 0;
  if (!lib_given(args, i, n)) return NORN_OK;
  if (!norn_want_int(st, args, i, "the number of bits", bits)) return lib_failed(st);
  if (*bits >= REAL_BITS_LEAST && *bits <= REAL_BITS_MOST) return NORN_OK;
  norn_status code =
    norn_fail(st, NORN_EDOMAIN, i, "a precision must be between %d and %d bits, got %lld",
              REAL_BITS_LEAST, REAL_BITS_MOST, (long long)*bits);
  norn_hint(st, "a decimal digit takes 3.33 bits");
  return code;
}

static int64_t bits_or_default(norn_state *st, int64_t bits)
{
  if (!bits) bits = norn_big_bits(st);
  return bits ? bits : REAL_BITS_DEFAULT;
}

static norn_status give(norn_state *st, const bignum *z, norn_datum *out)
{
  const norn_big_parts p = { z->bits, z->exponent, z->kind, z->sign, z->limb,
                             real_limbs(z->bits) };
  return lib_give(st, norn_big_make(st, &p), out);
}

/* Limbs for a number of that precision, in an array nobody else sees; false: error set. */
static bool room(norn_state *st, int64_t bits, bignum *z)
{
  norn_datum keep;
  int64_t *limb = lib_ints(st, real_limbs(bits), &keep);
  *z = real_at(bits, (uint64_t *)limb);
  return limb;
}

static bignum view_of(norn_datum v)
{
  norn_big_parts p;
  norn_big_view(v, &p);
  return (bignum){ p.bits, p.exponent, p.kind, p.sign, (uint64_t *)(uintptr_t)p.limbs };
}

static norn_status big_of(norn_state *st, norn_datum v, int64_t bits, norn_datum *out)
{
  bignum z;
  size_t n;
  char got[160];
  const char *s = norn_string_view(v, &n);
  if (norn_array_length(v) >= 0) {
    int64_t len = norn_array_length(v);
    norn_datum keep, *x = lib_values(st, len, &keep);
    for (int64_t k = 0; x && k < len; k++) {
      norn_status code = big_of(st, norn_array_at(st, v, k), bits, &x[k]);
      if (code) return code;
    }
    return lib_give(st, x ? norn_array_pack(st, x, len) : norn_none(), out);
  }
  if (s) return lib_give(st, norn_big(st, s, bits), out);
  if (!room(st, bits_or_default(st, bits), &z)) return lib_failed(st);
  if (v.tag == NORN_INT || v.tag == NORN_BOOL) real_set_int(&z, v.i);
  else if (v.tag == NORN_REAL) real_set_double(&z, v.d);
  else if (v.tag == NORN_BIG) {
    bignum x = view_of(v);
    real_set(&z, &x);
  } else {
    return norn_fail(st, NORN_ETYPE, 0, "big needs a number or a text, got %s",
                     norn_describe(st, v, got, sizeof got));
  }
  return give(st, &z, out);
}

static norn_status b_big(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t bits;
  norn_status code = want_bits(st, args, 1, n, &bits);
  return code ? code : big_of(st, args[0], bits, out);
}

static norn_status constant(norn_state *st, real_op op, const norn_datum *args, int n,
                            norn_datum *out)
{
  int64_t bits;
  bignum z;
  norn_status code = want_bits(st, args, 0, n, &bits);
  if (code) return code;
  if (!room(st, bits_or_default(st, bits), &z)) return lib_failed(st);
  real_do(op, &z, NULL, NULL);
  return give(st, &z, out);
}

static norn_status b_pi(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return constant(st, REAL_PI, args, n, out);
}

static norn_status b_euler(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return constant(st, REAL_EULER, args, n, out);
}

/* ---- looking ---- */

static norn_status b_bits(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_big_parts p;
  (void)n;
  if (!norn_big_view(args[0], &p)) return lib_wrong(st, args, 0, "the argument", "a big");
  *out = norn_int(p.bits);
  return NORN_OK;
}

static norn_status b_digits(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t digits = 0;
  bignum x;
  uint64_t few[1];
  mem m = lib_mem(st);
  text t;
  if (lib_given(args, 1, n)) {
    if (!norn_want_int(st, args, 1, "the number of digits", &digits)) return lib_failed(st);
    if (digits < 1 || digits > MOST_DIGITS)
      return norn_fail(st, NORN_EDOMAIN, 1,
                       "the number of digits must be between 1 and %d, got %lld", MOST_DIGITS,
                       (long long)digits);
  }
  if (args[0].tag == NORN_BIG) x = view_of(args[0]);
  else if (args[0].tag == NORN_INT) x = real_at(64, few), real_set_int(&x, args[0].i);
  else if (args[0].tag == NORN_REAL) x = real_at(53, few), real_set_double(&x, args[0].d);
  else return lib_wrong(st, args, 0, "the argument", "a number");
  text_init(&t, &m);
  if (digits) real_text(&t, &x, digits);
  else real_text_exact(&t, &x);
  return lib_text(st, &t, out);
}

/* ---- special functions ---- */

static double of_double(real_op op, double a, double b)
{
  uint64_t few[3];
  bignum x = real_at(53, few), y = real_at(53, few + 1), z = real_at(53, few + 2);
  real_set_double(&x, a);
  real_set_double(&y, b);
  return real_do(op, &z, &x, &y) ? real_double(&z) : NAN;
}

#define ONE(name, op) static double name(double x) { return of_double(REAL_##op, x, 0); }
#define TWO(name, op, label) \
  static double name##_of(double x, double y) { return of_double(REAL_##op, x, y); } \
  static norn_status name(norn_state *st, const norn_datum *args, int n, norn_datum *out) \
  { (void)n; return lib_real2(st, args, label, name##_of, out); }
ONE(r_zeta, ZETA) ONE(r_eint, EINT) ONE(r_li2, LI2) ONE(r_ai, AI) ONE(r_j0, J0) ONE(r_j1, J1)
ONE(r_y0, Y0) ONE(r_y1, Y1) ONE(r_cbrt, CBRT) ONE(r_exp2, EXP2)
TWO(r_hypot, HYPOT, "hypot") TWO(r_jn, JN, "bessel_jn") TWO(r_yn, YN, "bessel_yn")
TWO(r_agm, AGM, "agm") TWO(r_gamma_inc, GAMMA_INC, "gamma_inc")

#define FN(name, params, fn, flags, doc, example, result) \
  { name, params, doc "\nExample: " example "\n=> " result, fn, flags, NULL }
#define REAL(name, fn, doc, example, result) \
  { name, "x", doc "\nExample: " example "\n=> " result, NULL, NORN_PURE, fn }

static const norn_native natives[] = {
  FN("big", "x, bits = missing", b_big, 0,
     "A real of any precision, from text, a number or an array of them, rounded to `bits` bits.\n"
     "Without bits it has those of with_bits, or 256.",
     "big(\"0.1\") == 0.1", "false"),
  FN("bits_of", "x", b_bits, NORN_PURE, "The precision of a big.", "bits_of(big(1, bits = 100))",
     "100"),
  FN("digits", "x, n = missing", b_digits, NORN_PURE,
     "A number as text with n significant digits; without n as many as tell it from its "
     "neighbours.",
     "digits(exp(big(1)), 30)", "\"2.71828182845904523536028747135\""),
  FN("big_pi", "bits = missing", b_pi, 0, "The ratio of a circle's circumference to its diameter.",
     "digits(big_pi(), 20)", "\"3.1415926535897932385\""),
  FN("big_euler", "bits = missing", b_euler, 0, "Euler's constant, 0.5772....",
     "digits(big_euler(), 10)", "\"0.5772156649\""),
  REAL("cbrt", r_cbrt, "The cube root.", "cbrt(27)", "3.0"),
  REAL("exp2", r_exp2, "2 to the power x.", "exp2(10)", "1024.0"),
  REAL("zeta", r_zeta, "Riemann's zeta function.", "zeta(0)", "-0.5"),
  REAL("eint", r_eint, "The exponential integral, the integral of exp(t)/t up to x.",
       "round(eint(1), 6)", "1.895118"),
  REAL("li2", r_li2, "The real part of the dilogarithm.", "li2(0)", "0.0"),
  REAL("airy_ai", r_ai, "The Airy function Ai.", "round(airy_ai(0), 6)", "0.355028"),
  REAL("bessel_j0", r_j0, "The Bessel function J of order 0.", "bessel_j0(0)", "1.0"),
  REAL("bessel_j1", r_j1, "The Bessel function J of order 1.", "bessel_j1(0)", "0.0"),
  FN("bessel_jn", "n, x", r_jn, NORN_PURE, "The Bessel function J of whole order n.",
     "bessel_jn(0, 0)", "1.0"),
  REAL("bessel_y0", r_y0, "The Bessel function Y of order 0.", "bessel_y0(0)", "-inf"),
  REAL("bessel_y1", r_y1, "The Bessel function Y of order 1.", "bessel_y1(0)", "-inf"),
  FN("bessel_yn", "n, x", r_yn, NORN_PURE, "The Bessel function Y of whole order n.",
     "bessel_yn(1, 0)", "-inf"),
  FN("hypot", "x, y", r_hypot, NORN_PURE, "sqrt(x^2 + y^2), without overflow.", "hypot(3, 4)",
     "5.0"),
  FN("agm", "x, y", r_agm, NORN_PURE, "The arithmetic-geometric mean.", "agm(1, 1)", "1.0"),
  FN("gamma_inc", "a, x", r_gamma_inc, NORN_PURE,
     "The upper incomplete gamma function, the integral of t^(a-1) exp(-t) from x on.",
     "gamma_inc(1, 0)", "1.0"),
};

norn_status lib_big_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
