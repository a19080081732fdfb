/* test_real.c: num/real.h: constants to 50 digits (Abramowitz and Stegun; DLMF), identities between
   functions, text both ways, exact comparison and hashing, the edges of doubles. */
#include "unit.h"
#include "num/real.h"
#include <stdlib.h>

enum { BITS = 320 };
static mem m;
static calc k;

static void same_text(const bignum *x, int64_t digits, const char *want, int line)
{
  text t;
  text_init(&t, &m);
  real_text(&t, x, digits);
  unit_str(t.s, want, "text", __FILE__, line);
  text_free(&t);
}
#define TEXT(x, digits, want) same_text(x, digits, want, __LINE__)

static const bignum *number(const char *s)
{
  bignum *z = calc_new(&k, BITS);
  CHECK(real_parse(z, s, strlen(s)));
  return z;
}

static const bignum *one(real_op op, const bignum *a) { return calc_do(&k, op, a, NULL); }
static const bignum *two(real_op op, const bignum *a, const bignum *b) { return calc_do(&k, op, a,
    b); }
static const bignum *i(int64_t n) { return calc_int(&k, n); }
static const bignum *over(int64_t p, int64_t q) { return two(REAL_DIV, i(p), i(q)); }

/* |a - b| <= 2^-bits |b| */
static bool near(const bignum *a, const bignum *b, int64_t bits)
{
  const bignum *d = one(REAL_ABS, two(REAL_SUB, a, b));
  if (d->kind == NORN_BIG_ZERO) return true;
  return d->kind == NORN_BIG_FINITE && b->kind == NORN_BIG_FINITE &&
      d->exponent <= b->exponent - bits;
}
#define NEAR(a, b) CHECK(near(a, b, BITS - 16))

static void constants(void)
{
  const bignum *pi = calc_do(&k, REAL_PI, NULL, NULL);
  TEXT(pi, 50, "3.1415926535897932384626433832795028841971693993751");
  TEXT(one(REAL_EXP, i(1)), 50, "2.7182818284590452353602874713526624977572470937");
  TEXT(calc_do(&k, REAL_EULER, NULL, NULL), 50,
      "0.57721566490153286060651209008240243104215933593992");
  TEXT(calc_do(&k, REAL_CATALAN, NULL, NULL), 50,
      "0.91596559417721901505460351493238411077414937428167");
  TEXT(calc_do(&k, REAL_LN2, NULL, NULL), 50,
      "0.69314718055994530941723212145817656807550013436026");
  TEXT(one(REAL_SQRT, i(2)), 50, "1.4142135623730950488016887242096980785696718753769");
  TEXT(one(REAL_ZETA, i(3)), 50, "1.2020569031595942853997381615114499907649862923405");
  TEXT(one(REAL_GAMMA, over(1, 3)), 50, "2.6789385347077476336556929409746776441286893779573");
  TEXT(one(REAL_AI, i(0)), 50, "0.35502805388781723926006318600418317639797917419918");
  TEXT(one(REAL_J0, i(1)), 20, "0.76519768655796655145");      /* A&S table 9.1 */
  TEXT(one(REAL_Y1, i(1)), 10, "-0.7812128213");
  TEXT(two(REAL_JN, i(2), i(1)), 10, "0.1149034849");
  TEXT(one(REAL_ERF, i(1)), 20, "0.84270079294971486934");
  TEXT(one(REAL_EINT, i(1)), 15, "1.89511781635594");
  NEAR(one(REAL_LI2, i(1)), two(REAL_DIV, two(REAL_MUL, pi, pi), i(6)));
  /* Gauss: pi / agm(1, sqrt 2) is the lemniscate */
  NEAR(two(REAL_AGM, i(1), one(REAL_SQRT, i(2))),
       two(REAL_DIV, pi, two(REAL_DIV, two(REAL_POW, one(REAL_GAMMA, over(1, 4)), i(2)),
                             two(REAL_MUL, i(2), one(REAL_SQRT, two(REAL_MUL, i(2), pi))))));
}

/* What real.c puts together, beside another way to the same value. */
static void composed(void)
{
  const bignum *x = number("0.3"), *y = number("2.75"), *b = one(REAL_EXP, two(REAL_LBETA, x, y));
  NEAR(b, two(REAL_DIV, two(REAL_MUL, one(REAL_GAMMA, x), one(REAL_GAMMA, y)),
              one(REAL_GAMMA, two(REAL_ADD, x, y))));
  NEAR(two(REAL_BETA, x, y), b);
  NEAR(one(REAL_EXP, two(REAL_LCHOOSE, i(52), i(5))), i(2598960));
  CHECK(two(REAL_LCHOOSE, i(3), i(4))->kind == NORN_BIG_INF);
  NEAR(two(REAL_ADD, one(REAL_NORMAL_CDF, y), one(REAL_NORMAL_CDF, one(REAL_NEG, y))), i(1));
  NEAR(one(REAL_LOGIT, one(REAL_INV_LOGIT, y)), y);
  CHECK(near(one(REAL_LOGIT, number("0.50000000000000000000000000001")), number("4e-29"), 90));
  NEAR(one(REAL_LOG1P_EXP, y), one(REAL_LOG, two(REAL_ADD, i(1), one(REAL_EXP, y))));
  NEAR(one(REAL_LOG1P_EXP, i(-40)), one(REAL_LOG1P, one(REAL_EXP, i(-40))));
  NEAR(one(REAL_LOG1M_EXP, number("-1e-30")), one(REAL_LOG, one(REAL_NEG, one(REAL_EXPM1,
      number("-1e-30")))));
  NEAR(two(REAL_LOG_ADD_EXP, number("-1e6"), number("-1e6")),
       two(REAL_ADD, number("-1e6"), calc_do(&k, REAL_LN2, NULL, NULL)));
  NEAR(two(REAL_LOG_DIFF_EXP, one(REAL_LOG, i(7)), one(REAL_LOG, i(5))), calc_do(&k, REAL_LN2,
      NULL, NULL));
  CHECK(two(REAL_LOG_DIFF_EXP, i(1), i(2))->kind == NORN_BIG_NAN);
  const bignum *none = calc_double(&k, -HUGE_VAL);
  CHECK(real_compare(two(REAL_LOG_ADD_EXP, none, i(3)), i(3)) == 0);
  CHECK(two(REAL_LOG_ADD_EXP, none, none)->kind == NORN_BIG_INF);
  NEAR(two(REAL_GAMMA_INC, i(1), y), one(REAL_EXP, one(REAL_NEG, y)));
  NEAR(two(REAL_HYPOT, i(3), i(4)), i(5));
}

static void divisions(void)
{
  static const struct { int64_t a, b, quotient, rest; } t[] = {
    { 7, 2, 3, 1 }, { -7, 2, -4, 1 }, { 7, -2, -4, -1 }, { -7, -2, 3, -1 }, { 6, 3, 2, 0 } };
  for (int j = 0; j < NORN_COUNT(t); j++) {
    CHECK(real_compare(two(REAL_IDIV, i(t[j].a), i(t[j].b)), i(t[j].quotient)) == 0);
    CHECK(real_compare(two(REAL_MOD, i(t[j].a), i(t[j].b)), i(t[j].rest)) == 0);
  }
  CHECK(real_compare(two(REAL_IDIV, number("1e60"), i(7)),
      number("142857142857142857142857142857142857142857142857142857142857")) == 0);
  CHECK(real_compare(two(REAL_MOD, number("1e60"), i(7)), i(1)) == 0);
  CHECK(real_compare(two(REAL_MOD, number("1e-400"), i(7)), number("1e-400")) == 0);
}

static void texts(void)
{
  static const char *const good[] = { "0.1", "1e-400", "-2.5", "123456789.0", "1e+400", "1.5e-10",
      "inf",
                                      "-inf", "nan", "0.0", "-0.0", "0.00001" };
  for (int j = 0; j < NORN_COUNT(good); j++) TEXT(number(good[j]), 0, good[j]);
  static const char *const bad[] = { "", "-", ".", "1e", "1e+", "0x10", "1.2.3", " 1", "1 ",
      "infinity", "e5",
                                     "1e9999999999999999" };
  for (int j = 0; j < NORN_COUNT(bad); j++) {
    uint64_t limb[1];
    bignum z = real_at(60, limb);
    CHECK(!real_parse(&z, bad[j], strlen(bad[j])));
  }
  TEXT(two(REAL_POW, i(2), i(70)), 0, "1180591620717411303424.0");
  TEXT(over(2, 3), 1, "0.7");
  TEXT(over(2, 3), 5, "0.66667");
  /* every text reads back equal at its own precision */
  srand(7);
  for (int j = 0; j < 500; j++) {
    uint64_t limb[4];
    bignum z = real_at(2 + rand() % 200, limb), back = real_at(z.bits, limb + 0);
    uint64_t again[4];
    back.limb = again;
    real_do(REAL_EXP, &z, over(rand() - rand(), 1 + rand() % 1000000), NULL);
    if (z.kind != NORN_BIG_FINITE || z.exponent > 4000 || z.exponent < -4000) continue;
    text t;
    text_init(&t, &m);
    real_text_exact(&t, &z);
    CHECK(real_parse(&back, t.s, t.n) && real_compare(&back, &z) == 0);
    text_free(&t);
  }
}

static void doubles(void)
{
  static const double d[] = { 0, 1, -1, 0.1, 1e308, -1e-308, 4.9406564584124654e-324,
      1.7976931348623157e308,
                              HUGE_VAL, -HUGE_VAL };
  for (int j = 0; j < NORN_COUNT(d); j++) {
    CHECK(real_double(calc_double(&k, d[j])) == d[j]);
    CHECK(real_compare(calc_copy(&k, calc_double(&k, d[j])), calc_double(&k, d[j])) == 0);
  }
  int64_t n;
  CHECK(real_int(i(INT64_MAX), &n) && n == INT64_MAX);
  CHECK(real_int(i(INT64_MIN), &n) && n == INT64_MIN);
  CHECK(!real_int(two(REAL_ADD, i(INT64_MAX), i(1)), &n) && !real_int(number("0.5"), &n));
  CHECK(real_double(number("1e-400")) == 0 && real_double(number("1e400")) == HUGE_VAL);
  /* 0.1 as a double is larger */
  CHECK(real_compare(calc_double(&k, 0.1), number("0.1")) == 1);
  CHECK(real_compare(calc_double(&k, NAN), i(1)) == 2);
}

static void hashes(void)
{
  uint64_t few[1], many[16];
  bignum a = real_at(53, few), b = real_at(1000, many);
  real_set_double(&a, 0.1);
  real_set(&b, &a);
  CHECK(real_hash(&a) == real_hash(&b) && real_compare(&a, &b) == 0);
  real_do(REAL_NEG, &b, &b, NULL);
  CHECK(real_hash(&a) != real_hash(&b));
  real_do(REAL_MUL, &a, &a, i(2));
  CHECK(real_hash(&a) != real_hash(calc_double(&k, 0.1)));
}

static void refusals(void)
{
  uint64_t limb[1];
  bignum z = real_at(53, limb);
  const bignum *far = two(REAL_POW, i(2), i(1 << 21));
  CHECK(!real_do(REAL_SIN, &z, far, NULL) && z.kind == NORN_BIG_NAN);
  CHECK(!real_do(REAL_J0, &z, far, NULL));
  CHECK(!real_do(REAL_GAMMA, &z, one(REAL_NEG, far), NULL));
  CHECK(real_do(REAL_EXP, &z, far, NULL));
  CHECK(real_do(REAL_LOG, &z, far, NULL) &&
      fabs(real_double(&z) / (log(2) * (1 << 21)) - 1) < 1e-15);
  CHECK(one(REAL_LOG, i(-1))->kind == NORN_BIG_NAN && one(REAL_LOG, i(0))->kind == NORN_BIG_INF);
  CHECK(two(REAL_JN, over(1, 2), i(1))->kind == NORN_BIG_NAN);
  int n;
  CHECK(real_find("exp", &n) == REAL_EXP && n == 1 && real_find("", &n) < 0 && real_find("expo",
      &n) < 0);
}

/* A number may be its own operand; memory that fails gives nan and says so. */
static void memory(void)
{
  uint64_t limb[5];
  bignum z = real_at(BITS, limb);
  real_set_int(&z, 3);
  real_do(REAL_MUL, &z, &z, &z);
  real_do(REAL_ADD, &z, i(1), &z);
  real_do(REAL_SUB, &z, &z, i(2));
  CHECK(real_compare(&z, i(8)) == 0);
  mem poor;
  calc c;
  mem_init(&poor);
  poor.fail_at = 1;
  calc_init(&c, &poor, 100);
  CHECK(calc_do(&c, REAL_ADD, calc_int(&c, 1), calc_int(&c, 1))->kind == NORN_BIG_NAN && c.failed);
  calc_free(&c);
}

int main(void)
{
  mem_init(&m);
  calc_init(&k, &m, BITS);
  constants();
  composed();
  divisions();
  texts();
  doubles();
  hashes();
  refusals();
  memory();
  calc_free(&k);
  real_forget();
  CHECK(m.used == 0);
  return unit_end();
}
