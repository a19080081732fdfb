/* test_big.c: bigs through norn.h: text, views, making from limbs, functions by name, densities;
   that they are values of the heap like others. */
#include "unit.h"
#include "norn.h"
#include <mpfr.h>

static norn_state *st;

static const char *shown(norn_datum v) { return norn_show(st, v, true, 0); }

static void texts(void)
{
  char buf[100];
  norn_datum x = norn_big(st, "-0.1", 100);
  CHECK(norn_kind_of(x) == NORN_BIG && norn_big_double(x) == -0.1);
  CHECK(norn_big_text(x, 0, buf, sizeof buf) == 4);
  CHECK_STR(buf, "-0.1");
  CHECK(norn_big_text(x, 40, buf, 6) > 6 && strlen(buf) == 5);
  CHECK_STR(shown(norn_big(st, "1e-400", 0)), "1e-400");
  CHECK(norn_is_none(norn_big(st, "1,5", 0)) && norn_error(st)->code == NORN_EDOMAIN);
  CHECK(norn_is_none(norn_big(st, "1", 1)) && norn_is_none(norn_big(st, "1", 1000001)));
  norn_clear(st);
  double d;
  CHECK(norn_as_real(norn_big(st, "1e400", 0), &d) && d == HUGE_VAL);
  CHECK(norn_big_text(norn_int(1), 0, buf, sizeof buf) == 0);
}

/* The limbs are MPFR's: a number of MPFR over a view has the same value. */
static void views(void)
{
  norn_big_parts p;
  mpfr_t m;
  norn_datum x = norn_big(st, "-2.75", 200);
  CHECK(norn_big_view(x, &p) && p.bits == 200 && p.nlimbs == 4 && p.sign < 0 &&
      p.kind == NORN_BIG_FINITE);
  /* 0.1011 in binary, times 4 */
  CHECK(p.exponent == 2 && p.limbs[3] == 0xb000000000000000u);
  mpfr_custom_init_set(m, -MPFR_REGULAR_KIND, p.exponent, p.bits, (void *)(uintptr_t)p.limbs);
  CHECK(mpfr_cmp_d(m, -2.75) == 0);
  CHECK(norn_equal(norn_big_make(st, &p), x) && norn_equal(x, norn_real(-2.75)));
  uint64_t limbs[4] = { 0, 0, 0, UINT64_C(1) << 63 };
  norn_big_parts one = { 200, 1, NORN_BIG_FINITE, 1, limbs, 4 };
  CHECK(norn_equal(norn_big_make(st, &one), norn_int(1)));
  limbs[3] >>= 1;                                                     /* not normalised */
  CHECK(norn_is_none(norn_big_make(st, &one)) && norn_error(st)->code == NORN_EUSE);
  one.nlimbs = 3;
  CHECK(norn_is_none(norn_big_make(st, &one)));
  norn_clear(st);
  one.kind = NORN_BIG_INF;
  CHECK(norn_big_double(norn_big_make(st, &one)) == HUGE_VAL);
  CHECK(!norn_big_view(norn_int(1), &p));
}

static void functions(void)
{
  norn_datum out, args[2] = { norn_big(st, "2", 300), norn_int(3) }, e[2] = { norn_int(1),
      norn_real(2.5) };
  CHECK(!norn_big_apply(st, "pow", args, 2, &out) && norn_equal(out, norn_int(8)));
  args[1] = norn_array_pack(st, e, 2);
  CHECK(!norn_big_apply(st, "*", args, 2, &out) && norn_array_length(out) == 2);
  CHECK(norn_equal(norn_array_at(st, out, 1), norn_int(5)));
  CHECK(norn_big_apply(st, "nonsense", args, 1, &out) == NORN_ETYPE);
  CHECK(norn_big_apply(st, "exp", args, 2, &out) == NORN_ETYPE);
  args[0] = norn_cstring(st, "2");
  CHECK(norn_big_apply(st, "exp", args, 1, &out) == NORN_ETYPE);
  CHECK(norn_big_bits(st) == 0);
  norn_clear(st);
}

/* log density of N(0, 1) at 2 is -2 - log(2 pi)/2; in bits asked for */
static void densities(void)
{
  norn_datum d, l;
  norn_dist v;
  norn_big_parts p;
  CHECK(!norn_eval(st, "d", "normal(0, 1)", 12, 0, &d) && norn_dist_view(d, &v));
  CHECK(!norn_dist_is_big(&v, norn_int(2)) && norn_dist_is_big(&v, norn_big(st, "2", 0)));
  CHECK(!norn_dist_logp_big(st, &v, norn_int(2), 400, &l) && norn_big_view(l, &p) && p.bits == 400);
  char buf[60];
  norn_big_text(l, 40, buf, sizeof buf);
  CHECK_STR(buf, "-2.918938533204672741780329736405617639861");
  CHECK(norn_dist_logp_big(st, &v, norn_cstring(st, "x"), 0, &l) == NORN_ETYPE);
  norn_clear(st);
}

static void values(void)
{
  norn_datum map = norn_map_new(st), x = norn_big(st, "0.5", 90);
  norn_ref *keep = norn_keep(st, x);
  map = norn_map_put(st, map, x, norn_int(7));
  CHECK(norn_equal(norn_map_get(map, norn_real(0.5)), norn_int(7)));
  CHECK(norn_hash(x) == norn_hash(norn_real(0.5)) && norn_compare(x, norn_real(0.75)) < 0);
  norn_datum out;
  const char *churn = "len(for i in 0..50000 { [i, big(i)] })";     /* collections meanwhile */
  CHECK(!norn_eval(st, "churn", churn, strlen(churn), 0, &out) && norn_equal(out, norn_int(50000)));
  CHECK(norn_equal(norn_get(keep), norn_real(0.5)));
  norn_drop(keep);
}

int main(void)
{
  st = norn_new(NULL);
  texts();
  views();
  functions();
  densities();
  values();
  norn_free(st);
  return unit_end();
}
