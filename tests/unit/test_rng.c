/* test_rng: Philox against the known answers of Random123, the scheme of counters (DESIGN 8), and
   the distribution of what comes out. */
#include "num/rng.h"
#include "num/stats.h"
#include "unit.h"
#include "big.h"
#include <gsl/gsl_cdf.h>

static bool block_is(rng_block b, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
  return b.w[0] == w0 && b.w[1] == w1 && b.w[2] == w2 && b.w[3] == w3;
}

/* Random123 1.14, tests/kat_vectors, philox4x32 10. */
static void test_known_answers(void)
{
  CHECK(block_is(rng_philox(0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  CHECK(block_is(rng_philox(~0u, ~0u, ~0u, ~0u, ~(uint64_t)0),
                 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  CHECK(block_is(rng_philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0x299f31d0a4093822u),
                 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

static void test_units(void)
{
  CHECK(rng_unit(0, 0) == 0x1p-53);
  CHECK(rng_unit(~0u, ~0u) == 1 - 0x1p-53);
  CHECK(rng_unit(0, 0x80000000u) == 0.5 + 0x1p-53);
  for (uint32_t h = 1; h; h <<= 1) CHECK(rng_unit(~0u, ~h) == 1 - rng_unit(0, h));
}

static norn_rng at(uint64_t stream, uint32_t lane, uint32_t event, uint32_t iter)
{
  norn_rng g = {stream, lane, event, iter, 0, NULL};
  return g;
}

/* Each draw is its counter's alone: same words, same number; one word changed, another number. */
static void test_counters(void)
{
  norn_rng a = at(7, 3, 5, 9), b = a;
  uint64_t first = norn_rng_u64(&a);
  CHECK(a.draw == 1 && norn_rng_u64(&b) == first);
  norn_rng changed[] = {at(8, 3, 5, 9), at(7 + ((uint64_t)1 << 32), 3, 5, 9), at(7, 4, 5, 9),
                        at(7, 3, 6, 9), at(7, 3, 5, 8), {7, 3, 5, 9, 1, NULL}};
  for (int i = 0; i < 6; i++) CHECK(norn_rng_u64(&changed[i]) != first);
  b = at(7, 3, 5, 9);
  double u = norn_rng_uniform(&b);
  CHECK(u == (double)((first >> 12) + 0.5) * 0x1p-52 && b.draw == 1);
  b = at(7, 3, 5, 9);
  double e = norn_rng_exponential(&b);
  CHECK_NEAR(e, -log(u), 1e-15 * e);
  norn_rng_normal(&b);
  norn_rng_below(&b, 10);
  CHECK(b.draw == 3);
}

/* Lanes 16b+j and 16b+8+j are the cosine and the sine of one block; no uniform uses that block. */
static void test_pairs(void)
{
  for (uint32_t lane = 0; lane < 64; lane++) {
    norn_rng low = at(99, lane & ~8u, 4, 2), high = at(99, lane | 8, 4, 2);
    low.draw = high.draw = lane;
    double c = norn_rng_normal(&low), s = norn_rng_normal(&high);
    rng_block b = rng_philox(lane & ~8u, 4, 2, lane | 0x80000000u, 99);
    double u = rng_unit(b.w[0], b.w[1]), v = rng_unit(b.w[2], b.w[3]), r = sqrt(-2 * log(u));
    CHECK_NEAR(c, r * cos(2 * V_PI * v), 4e-15);
    CHECK_NEAR(s, r * sin(2 * V_PI * v), 4e-15);
  }
}

/* A memory of other halves changes no number, in whatever order lanes come. */
static void test_kept_pairs(void)
{
  norn_pair pairs[8];
  for (int k = 0; k < 8; k++) pairs[k] = (norn_pair){0, 0, ~(uint64_t)0, 0};
  bool same = true;
  int kept = 0;
  for (uint32_t i = 0; i < 4000; i++) {
    uint32_t lane = i < 64 ? i : i < 128 ? i ^ 8 : (uint32_t)(i * 2654435761u >> 27);
    norn_rng plain = at(i % 3, lane, i / 32 % 5, i / 700), kept_ = plain;
    kept_.pairs = pairs;
    for (uint32_t draw = 0; draw < 1 + i / 2000; draw++) {
      uint64_t before = pairs[lane & 7].of;
      same = same && norn_rng_normal(&plain) == norn_rng_normal(&kept_) && plain.draw == kept_.draw;
      kept += before != ~(uint64_t)0 && pairs[lane & 7].of == ~(uint64_t)0;
    }
  }
  CHECK(same && kept > 0);
}

static void test_split(void)
{
  uint64_t base = norn_stream_split(1, 2, 3, 4);
  CHECK(base == norn_stream_split(1, 2, 3, 4));
  CHECK(base != norn_stream_split(2, 2, 3, 4) && base != norn_stream_split(1, 3, 3, 4));
  CHECK(base != norn_stream_split(1, 2, 4, 4) && base != norn_stream_split(1, 2, 3, 5));
  /* Every input bit flips half of the output bits. */
  for (int bit = 0; bit < 160; bit++) {
    int flips = 0;
    for (uint32_t i = 0; i < 64; i++) {
      uint64_t s = 11 * i;
      uint32_t w[3] = {i, i * i, 7};
      uint64_t from = norn_stream_split(s, w[0], w[1], w[2]);
      if (bit < 64) s ^= (uint64_t)1 << bit;
      else w[(bit - 64) / 32] ^= 1u << bit % 32;
      flips += __builtin_popcountll(from ^ norn_stream_split(s, w[0], w[1], w[2]));
    }
    CHECK_NEAR(flips, 2048, 6 * 32);   /* binomial(4096, 1/2): 6 sd */
  }
}

static double chi_square(const int *count, int bins, double expected)
{
  double sum = 0;
  for (int i = 0; i < bins; i++) sum += (count[i] - expected) * (count[i] - expected) / expected;
  return gsl_cdf_chisq_Q(sum, bins - 1);
}

/* Along each of the four words of the counter, as engines walk them. */
static void test_uniform(void)
{
  enum { N = 200000, BINS = 200 };
  for (int word = 0; word < 4; word++) {
    int count[BINS] = {0}, pairs[BINS] = {0};
    double before = 0.5, product = 0;
    for (uint32_t i = 0; i < N; i++) {
      norn_rng g = at(5, 1, 1, 1);
      *(word == 0 ? &g.lane : word == 1 ? &g.event : word == 2 ? &g.iter : &g.draw) = i;
      double u = norn_rng_uniform(&g);
      count[(int)(u * BINS)]++;
      pairs[(int)(fmod(u + before, 1) * BINS)]++;
      product += (u - 0.5) * (before - 0.5);
      before = u;
    }
    CHECK(chi_square(count, BINS, (double)N / BINS) > 1e-5);
    CHECK(chi_square(pairs, BINS, (double)N / BINS) > 1e-5);
    CHECK_NEAR(product * 12 / sqrt(N), 0, 5);
  }
}

static void test_normal(void)
{
  enum { N = 400000, BINS = 200 };
  int count[BINS] = {0}, beyond = 0;
  double sum = 0, square = 0, cross = 0;
  for (uint32_t i = 0; i < N; i++) {
    norn_rng g = at(6, i, 1, 1), partner = at(6, i ^ 8, 1, 1);
    double z = norn_rng_normal(&g), other = norn_rng_normal(&partner);
    count[(int)(gsl_cdf_ugaussian_P(z) * BINS)]++;
    beyond += fabs(z) > 3.890591886413;   /* probability 1e-4 */
    sum += z;
    square += z * z - 1;
    cross += z * other;
  }
  CHECK(chi_square(count, BINS, (double)N / BINS) > 1e-5);
  CHECK_NEAR(sum / sqrt(N), 0, 5);
  CHECK_NEAR(square / sqrt(2.0 * N), 0, 5);
  CHECK_NEAR(cross / sqrt(2.0 * N), 0, 5);   /* each pair twice */
  CHECK_NEAR(beyond, 40, 32);
}

static void test_below(void)
{
  const uint64_t sizes[] = {1, 2, 3, 10, 1000};
  for (int k = 0; k < 5; k++) {
    int count[1000] = {0}, n = (int)sizes[k];
    norn_rng g = at(1, 2, (uint32_t)k, 0);
    for (int i = 0; i < 100000; i++) count[norn_rng_below(&g, sizes[k])]++;
    if (n > 1) CHECK(chi_square(count, n, 100000.0 / n) > 1e-5);
    else CHECK(count[0] == 100000);
  }
  /* At 3 * 2^62 a product without rejection gives every third value twice as often. */
  int third[3] = {0};
  norn_rng g = at(1, 2, 77, 0);
  for (int i = 0; i < 90000; i++) third[norn_rng_below(&g, (uint64_t)3 << 62) % 3]++;
  CHECK(chi_square(third, 3, 30000) > 1e-5);
  CHECK(g.draw > 90000);   /* some were rejected */
  CHECK(norn_rng_below(&g, 0) == 0);
}

/* ---- the functions of vmath.h, against MPFR ---- */

static double ulps(double got, big exact)
{
  double e = dbl(exact), unit_ = nextafter(fabs(e), HUGE_VAL) - fabs(e);
  return fabs(dbl(over(sub(num(got), exact), num(unit_))));
}

static void test_vmath(void)
{
  double worst[5] = {0};
  norn_rng g = at(3, 1, 4, 1);
  for (int i = 0; i < 20000; i++) {
    big_reset();
    double u = norn_rng_uniform(&g), x = i & 1 ? u : ldexp(u, i % 2040 - 1020), s, c;
    worst[0] = fmax(worst[0], ulps(v_log(x), lg(num(x))));
    double y = (u - 0.5) * 1400;
    worst[1] = fmax(worst[1], ulps(v_exp(y), ex(num(y))));
    double z = ldexp(i & 1 ? u : -u, -(i % 60));
    worst[2] = fmax(worst[2], ulps(v_log1p(z), lg1p(num(z))));
    v_sincos2pi(u, &s, &c);
    big angle = mul(two(), mul(pi_(), num(u)));
    worst[3] = fmax(worst[3], fabs(dbl(sub(num(s), sin_(angle)))) * 0x1p53);
    worst[3] = fmax(worst[3], fabs(dbl(sub(num(c), cos_(angle)))) * 0x1p53);
    double a = v_asin_unit(u), off = dbl(over(sub(sin_(num(a)), num(u)), cos_(num(a))));
    worst[4] = fmax(worst[4], fabs(off) / (nextafter(a, HUGE_VAL) - a));
  }
  printf("log %.2f, exp %.2f, log1p %.2f, asin %.2f ulp, sincos %.2f eps\n",
         worst[0], worst[1], worst[2], worst[4], worst[3]);
  CHECK(worst[0] < 2 && worst[1] < 1 && worst[2] < 2 && worst[3] < 2.5 && worst[4] < 2);
  CHECK(v_asin_unit(0) == 0 && v_asin_unit(1) == V_PI / 2);
}

static void test_vmath_edges(void)
{
  CHECK(v_log(0) == -HUGE_VAL && v_log(HUGE_VAL) == HUGE_VAL && v_log(1) == 0);
  CHECK(isnan(v_log(-1)) && isnan(v_log((double)NAN)));
  CHECK_NEAR(v_log(0x1p-1074), log(0x1p-1074), 1e-12);
  CHECK(v_exp(-HUGE_VAL) == 0 && v_exp(HUGE_VAL) == HUGE_VAL && v_exp(0) == 1);
  CHECK(v_exp(-746) == 0 && v_exp(710) == HUGE_VAL && isnan(v_exp((double)NAN)));
  CHECK(v_exp(-745.1) == 0x1p-1074 && v_exp(709.78) < HUGE_VAL);
  CHECK(v_log1p(-1) == -HUGE_VAL && isnan(v_log1p(-2)) && v_log1p(HUGE_VAL) == HUGE_VAL);
  CHECK(v_log1p(0x1p-80) == 0x1p-80 && isnan(v_log1p((double)NAN)));
}

int main(void)
{
  test_known_answers();
  test_units();
  test_counters();
  test_pairs();
  test_kept_pairs();
  test_split();
  test_uniform();
  test_normal();
  test_below();
  test_vmath();
  test_vmath_edges();
  return unit_end();
}
