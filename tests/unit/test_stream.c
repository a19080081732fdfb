/* test_stream: arrays of uniforms and normals, and of draws that are made from one of these.  Every
   number is that of its counter by the scalar Philox and the scalar formula, at each CPU level; no
   counter serves twice, whatever single draws stand between arrays; and their distribution: cells,
   tails, correlations along each word of the counter.  Each
   statistical check has a chance of about 1e-6 of failing wrongly.  NORN_LONG=1 draws 10^8 numbers
   instead of 10^6. */
#include "num/rng.h"
#include "num/stats.h"
#include "num/stream.h"
#include "dist/dist.h"
#include "dist/draws.h"
#include "dist/kernel_draw.h"
#include "unit.h"
#include <gsl/gsl_cdf.h>
#include <stdlib.h>

static const char *const level_names[] = {"base", "avx2", "avx512"};
typedef void (*draw_fn)(int level, norn_rng *, double *out, int64_t n);

/* ---- numbers from their counters ------------------------------------------------------------- */

/* Number k of an array that begins at g->draw, the slow way. */
static double number(const norn_rng *g, bool normal, int64_t k)
{
  uint32_t block = (uint32_t)(k / 16 * 8 + k % 8);
  rng_block b = rng_philox(g->lane, g->event, g->iter, g->draw + block, g->stream);
  double u = rng_unit(b.w[0], b.w[1]), v = rng_unit(b.w[2], b.w[3]), s, c;
  if (!normal) return k % 16 < 8 ? u : v;
  v_sincos2pi(v, &s, &c);
  return sqrt(-2 * v_log_normal(u)) * (k % 16 < 8 ? c : s);
}

static void check_array(int level, norn_rng g, bool normal, int64_t n)
{
  double out[700], guard = -77;
  norn_rng from = g;
  bool same = true;
  for (int i = 0; i < 700; i++) out[i] = guard;
  (normal ? stream_normals : stream_uniforms)(level, &g, out + 1, n);
  for (int64_t k = 0; k < n; k++) same &= v_bits(out[k + 1]) == v_bits(number(&from, normal, k));
  CHECK(same);
  if (!same) fprintf(stderr, "  level %s, %lld numbers\n", level_names[level], (long long)n);
  CHECK(out[0] == guard && out[n + 1] == guard);
  CHECK(g.draw == from.draw + rng_blocks(n));
  CHECK(g.stream == from.stream && g.lane == from.lane && g.event == from.event &&
        g.iter == from.iter);
}

static void test_bits(void)
{
  const norn_rng at[] = {{7, 3, 5, 9, 0, NULL}, {~(uint64_t)0, ~0u, ~0u, ~0u, 12345, NULL},
                         {0x299f31d0a4093822u, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x370734, NULL},
                         {1, 2, 3, 4, 0x70000000u, NULL}};
  for (int level = 0; level < LEVELS; level++) {
    if (!level_has(level)) {
      printf("level %s: this machine does not have it\n", level_names[level]);
      continue;
    }
    for (int i = 0; i < 8; i++)
      for (int64_t n = 0; n <= 100; n++) check_array(level, at[i / 2], i & 1, n);
    for (int64_t n = 255; n <= 257; n++) check_array(level, at[0], true, n);
    check_array(level, at[1], false, 640);
  }
}

/* The public functions are those of the best level; cut at a sixteen, an array goes on as one. */
static void test_parts(void)
{
  norn_rng a = {5, 6, 7, 8, 9, NULL}, b = a, c = a;
  double whole[200], parts[200];
  for (int normal = 0; normal < 2; normal++) {
    if (normal) norn_rng_normals(&a, whole, 200);
    else norn_rng_uniforms(&a, whole, 200);
    (normal ? stream_normals : stream_uniforms)(LEVEL_BASE, &b, parts, 48);
    (normal ? stream_normals : stream_uniforms)(LEVEL_BASE, &b, parts + 48, 152);
    CHECK(!memcmp(whole, parts, sizeof whole) && a.draw == b.draw);
  }
  norn_rng_uniforms(&c, parts, 1);                /* one number: the single draw */
  b = (norn_rng){5, 6, 7, 8, 9, NULL};
  CHECK(parts[0] == norn_rng_uniform(&b) && c.draw == b.draw);
}

/* Of many lanes the number of one draw, and number e of an array that each begins, of lanes in a row and of others. */
static void test_lanes(void)
{
  static const stream_fns *const levels[] = {
    &stream_base,
#ifdef HAVE_X86_LEVELS
    &stream_avx2, &stream_avx512,
#endif
  };
  enum { N = 77 };
  uint32_t other[N];
  double out[N + 1];
  for (uint32_t k = 0; k < N; k++) other[k] = 3 + 5 * k;
  for (int level = 0; level < (int)(sizeof levels / sizeof *levels); level++)
    for (int64_t e = -1; level_has(level) && e < 40; e++)
      for (int kind = 0; kind < 4; kind++) {
        norn_rng g = {42, 32, 5, 6, e < 0 ? 0 : RNG_ELEMENT | (uint32_t)e, NULL}, h = g;
        bool same = true, normal = kind & 1;
        const uint32_t *lane = kind & 2 ? other : NULL;
        out[N] = -77;
        (normal ? levels[level]->lane_normals : levels[level]->lane_uniforms)(&g, lane, out, N);
        for (uint32_t k = 0; k < N; k++) {
          h.lane = lane ? lane[k] : 32 + k;
          h.draw = 0;
          double want = e >= 0 ? number(&h, normal, e) : normal ? norn_rng_normal(&h) : norn_rng_uniform(&h);
          same &= v_bits(out[k]) == v_bits(want);
        }
        CHECK(same && out[N] == -77);
      }
}

/* ---- no counter serves twice ----------------------------------------------------------------- */

typedef struct { uint64_t stream; uint32_t c[4]; int half; } place;
static int order(const void *a, const void *b) { return memcmp(a, b, sizeof(place)); }

/* What a draw is made of, as rng.h tells it: block and half, after checking that it is true. */
static place place_of(const norn_rng *g, int kind, int64_t k, double x)
{
  place p;
  memset(&p, 0, sizeof p);
  p.stream = g->stream;
  uint32_t word = g->draw, lane = g->lane;
  double other;
  if (kind == 0) {
    norn_rng h = *g;
    CHECK(rng_uniform(&h) == x);
  } else if (kind == 1) {
    p.half = lane >> 3 & 1;
    lane &= ~8u;
    word |= RNG_NORMAL;
    CHECK(rng_normal_pair(g, &other) == x);
  } else {
    p.half = k % 16 >= 8;
    word += (uint32_t)(k / 16 * 8 + k % 8);
    CHECK(number(g, kind == 3, k) == x);
  }
  memcpy(p.c, (uint32_t[]){lane, g->event, g->iter, word}, sizeof p.c);
  return p;
}

/* Events of two lanes that share normal pairs: single draws and arrays in turn. */
static void test_collisions(void)
{
  enum { PLACES = 20000 };
  static place all[PLACES];
  static double x[64];
  norn_rng pick = {.stream = 11};
  int n = 0;
  for (uint32_t lane = 0; lane < 32; lane++) {
    norn_rng g = {99, lane, 4, 2, 0, NULL};
    for (int i = 0; i < 20; i++) {
      int kind = (int)norn_rng_below(&pick, 4);
      int64_t many = kind < 2 ? 1 : (int64_t)norn_rng_below(&pick, 50);
      norn_rng from = g;
      if (kind == 0) x[0] = norn_rng_uniform(&g);
      else if (kind == 1) x[0] = norn_rng_normal(&g);
      else if (kind == 2) norn_rng_uniforms(&g, x, many);
      else norn_rng_normals(&g, x, many);
      for (int64_t k = 0; k < many && n < PLACES; k++) all[n++] = place_of(&from, kind, k, x[k]);
      CHECK(g.draw > from.draw || many == 0);
    }
  }
  CHECK(n > 5000 && n < PLACES);
  qsort(all, (size_t)n, sizeof *all, order);
  int twice = 0;
  for (int i = 1; i < n; i++) twice += !memcmp(&all[i], &all[i - 1], sizeof *all);
  CHECK(twice == 0);
}

/* When the draw word is used up another stream goes on, so that an event never meets itself. */
static void test_room(void)
{
  enum { N = (1 << 20) + 40 };
  double *x = malloc(2 * N * sizeof *x), *y = x ? x + N : NULL;
  if (!x) return;
  norn_rng g = {3, 1, 4, 1, RNG_FULL - (1u << 20), NULL}, h = g;
  norn_rng_normals(&g, x, 40);
  CHECK(g.stream != 3 && g.draw == rng_blocks(40));
  h = (norn_rng){g.stream, 1, 4, 1, 0, NULL};
  norn_rng_normals(&h, y, 40);
  CHECK(!memcmp(x, y, 40 * sizeof *x));
  CHECK(g.stream != norn_stream_split(3, 1, 4, 1));
  /* the second part of a large array is in the other stream, the first is not */
  g = h = (norn_rng){3, 1, 4, 1, RNG_FULL - (1u << 20) - 1, NULL};
  norn_rng_uniforms(&g, x, N);
  CHECK(g.stream != 3 && g.draw == rng_blocks(40) && x[5] == number(&h, false, 5));
  h = (norn_rng){g.stream, 1, 4, 1, 0, NULL};
  CHECK(x[(1 << 20) + 3] == number(&h, false, 3));
  /* while there is room, parts are as one */
  g = h = (norn_rng){3, 1, 4, 1, 7, NULL};
  norn_rng_uniforms(&g, x, N);
  bool same = g.stream == 3;
  for (int64_t k = 0; k < N; k += 1013) same &= x[k] == number(&h, false, k);
  CHECK(same && x[N - 1] == number(&h, false, N - 1));
  free(x);
}

/* ---- families -------------------------------------------------------------------------------- */

#define ARGS_0
#define ARGS_1 , p[0]
#define ARGS_2 , p[0], p[1]
#define ARGS_3 , p[0], p[1], p[2]
#define ARGS_4 , p[0], p[1], p[2], p[3]
#define DRAW(name, np)                                                                             \
  static double name##_one(double u, const double *p) { (void)p; return name##_draw(u ARGS_##np); }
NORMAL_DRAWS(DRAW) UNIFORM_DRAWS(DRAW)
#undef DRAW
typedef struct { const char *name; int np, which; double (*one)(double u, const double *p); } maker;
#define DRAW(name, np) {#name, np, DRAWS_##name, name##_one},
static const maker makers[] = { NORMAL_DRAWS(DRAW) UNIFORM_DRAWS(DRAW) };
#undef DRAW

/* Parameters of the row, and n sets of them of which those in `many` differ. */
enum { MOST = 1200 };
static void some_parameters(const norn_dist_row *row, int np, unsigned many, norn_rng *g,
                                double (*p)[MOST])
{
  static const double from[] = {0.3, 1, 2.5, 0.9, 12, 0.01, 1e-5, 4, 1e6, -3, 0.5};
  double one[NORN_DIST_P], first[NORN_DIST_P];
  int which;
  for (int k = 0; k < MOST; k++) {
    int tries = 0;
    do
      for (int i = 0; i < np; i++)
        one[i] = tries > 200 || (k && !(many >> i & 1)) ? first[i] : from[norn_rng_below(g, 11)];
    while (tries++ < 400 && row->check1(one, &which));
    for (int i = 0; i < np; i++) p[i][k] = one[i];
    if (k == 0) memcpy(first, one, sizeof one);
  }
}

static void check_family(const maker *m, unsigned many, int64_t n, norn_rng *pick)
{
  static double p[NORN_DIST_P][MOST], out[MOST];
  const norn_dist_row *row = dist_find(m->name);
  const double *at[] = {p[0], p[1], p[2], p[3]};
  some_parameters(row, m->np, many, pick, p);
  bool normal = m->which < DRAWS_OF_UNIFORM, same[LEVELS + 2] = {0};
  norn_rng g = {31, 5, 6, (uint32_t)n, 17, NULL}, from = g;
  row->samples(&g, n, many, at, out);
  CHECK(g.draw == from.draw + rng_blocks(n));
  for (int level = -1; level < LEVELS; level++) {
    if (level >= 0 && !level_has(level)) continue;
    for (int64_t k = 0; k < n && level >= 0; k++) out[k] = number(&from, normal, k);
    if (level >= 0) draws_at(level, m->which, n, many, at, out);
    same[level + 1] = true;
    for (int64_t k = 0; k < n; k++) {
      double q[NORN_DIST_P] = {0};
      for (int i = 0; i < m->np; i++) q[i] = at[i][many >> i & 1 ? k : 0];
      same[level + 1] &= v_bits(out[k]) == v_bits(m->one(number(&from, normal, k), q));
    }
    CHECK(same[level + 1]);
    if (!same[level + 1]) fprintf(stderr, "  %s at %s\n", m->name,
                                  level < 0 ? "the row" : level_names[level]);
  }
}

/* A row names its own function, and a single draw is by the same formula. */
static void test_families(void)
{
  static const int64_t sizes[] = {0, 1, 3, 8, 17, 600, MOST};
  norn_rng pick = {.stream = 5};
  for (int f = 0; f < DRAWS_FAMILIES; f++) {
    const maker *m = &makers[f];
    const norn_dist_row *row = dist_find(m->name);
    CHECK(row && row->samples && dist_arity(row) == m->np && m->which == f);
    for (unsigned many = 0; many < 1u << m->np; many++)
      for (int i = 0; i < 7; i++) check_family(m, many, sizes[i], &pick);
    for (uint32_t i = 0; i < 100; i++) {
      static double p[NORN_DIST_P][MOST];
      some_parameters(row, m->np, 0, &pick, p);
      double q[] = {p[0][0], p[1][0], p[2][0], p[3][0]};
      norn_rng a = {3, i, 1, 4, 0, NULL}, b = a;
      double base = f < DRAWS_OF_UNIFORM ? norn_rng_normal(&b) : norn_rng_uniform(&b);
      CHECK(row->sample1(q, &a) == m->one(base, q) && a.draw == b.draw);
    }
  }
  int n, with = 0;
  const dist_shelf *const *shelves = dist_shelves(&n);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < shelves[i]->n; k++) with += shelves[i]->rows[k].samples != NULL;
  CHECK(with >= DRAWS_FAMILIES);   /* some are a family by another name */
}

/* ---- the distribution ------------------------------------------------------------------------ */

enum { PART = 1024 };
static double chance(const int64_t *count, int cells, double n)
{
  double sum = 0, e = n / cells;
  for (int i = 0; i < cells; i++) sum += ((double)count[i] - e) * ((double)count[i] - e) / e;
  double q = gsl_cdf_chisq_Q(sum, cells - 1);
  return fmin(q, 1 - q);                           /* too even is wrong as well */
}

static int64_t rounds(void) { return getenv("NORN_LONG") ? 100000 : 1000; }

/* Uniforms one by one, in pairs of neighbours and of the halves of a block; their lowest bits. */
static void test_uniforms(void)
{
  enum { CELLS = 1024 };
  static int64_t one[CELLS], pair[CELLS], low[CELLS], both[CELLS];
  double x[PART], n = (double)rounds() * PART;
  bool inside = true;
  for (int64_t r = 0; r < rounds(); r++) {
    norn_rng g = {20240607, 1, 2, (uint32_t)r, 0, NULL};
    norn_rng_uniforms(&g, x, PART);
    for (int k = 0; k < PART; k++) {
      inside &= x[k] > 0 && x[k] < 1;
      one[(int)(x[k] * CELLS)]++;
      pair[(int)(x[k] * 32) * 32 + (int)(x[(k + 1) % PART] * 32)]++;
      low[(int)(fmod(x[k] * 0x1p42, 1) * CELLS)]++;
      if (!(k & 8)) both[(int)(x[k] * 32) * 32 + (int)(x[k + 8] * 32)]++;
    }
  }
  CHECK(inside);
  CHECK(chance(one, CELLS, n) > 1e-6 && chance(pair, CELLS, n) > 1e-6);
  CHECK(chance(low, CELLS, n) > 1e-6);
  CHECK(chance(both, CELLS, n / 2) > 1e-6);
}

/* Tails: how many lie beyond the quantiles 1e-4 and 1e-6 of either side. */
static void test_normals(void)
{
  enum { CELLS = 512 };
  static const double far[] = {3.719016485455681, 4.753424308822899}, p[] = {1e-4, 1e-6};
  static int64_t cell[CELLS];
  int64_t below[2] = {0}, above[2] = {0};
  double x[PART], n = (double)rounds() * PART, sum[4] = {0}, cross[24] = {0};
  for (int64_t r = 0; r < rounds(); r++) {
    norn_rng g = {20240608, 1, (uint32_t)r, 2, 0, NULL};
    norn_rng_normals(&g, x, PART);
    for (int k = 0; k < PART; k++) {
      double z = x[k];
      cell[(int)(gsl_cdf_ugaussian_P(z) * CELLS)]++;
      for (int i = 0; i < 2; i++) { below[i] += z < -far[i]; above[i] += z > far[i]; }
      sum[0] += z;
      sum[1] += z * z - 1;
      sum[2] += z * z * z;
      sum[3] += z * z * z * z - 3;
      for (int lag = 1; lag < 24 && k + lag < PART; lag++) cross[lag] += z * x[k + lag];
    }
  }
  CHECK(chance(cell, CELLS, n) > 1e-6);
  const double variance[] = {1, 2, 15, 96};
  for (int i = 0; i < 4; i++) CHECK_NEAR(sum[i] / sqrt(variance[i] * n), 0, 5);
  for (int lag = 1; lag < 24; lag++)
    CHECK_NEAR(cross[lag] / sqrt((double)rounds() * (PART - lag)), 0, 5);
  for (int i = 0; i < 2; i++) {
    double e = n * p[i];
    printf("beyond the quantile %g: %lld and %lld, %g expected\n", p[i], (long long)below[i],
           (long long)above[i], e);
    CHECK(gsl_cdf_poisson_P((unsigned)below[i], e) > 1e-7 &&
          gsl_cdf_poisson_Q((unsigned)below[i], e) > 1e-7);
    CHECK(gsl_cdf_poisson_P((unsigned)above[i], e) > 1e-7 &&
          gsl_cdf_poisson_Q((unsigned)above[i], e) > 1e-7);
  }
}

/* Kolmogorov and Smirnov: sup |F_n - F| sqrt n is beyond 2.69 with probability 1e-6. */
static void test_smirnov(void)
{
  enum { N = 100000 };
  static double x[N];
  for (int normal = 0; normal < 2; normal++) {
    norn_rng g = {20240609, 1, 2, 3, 0, NULL};
    double most = 0;
    if (normal) norn_rng_normals(&g, x, N);
    else norn_rng_uniforms(&g, x, N);
    stats_sort(x, N);
    for (int k = 0; k < N; k++) {
      double c = normal ? gsl_cdf_ugaussian_P(x[k]) : x[k];
      most = fmax(most, fmax((k + 1.0) / N - c, c - (double)k / N));
    }
    CHECK(most * sqrt(N) < 2.69 && most * sqrt(N) > 0.28);
  }
}

/* Arrays whose counters differ in one word, by 1 or by 8, and an array and single draws of the same
   event: no correlation, neither of the numbers nor of their squares. */
static void test_between(void)
{
  enum { N = 64 };
  double x[N], y[N];
  for (int word = 0; word < 6; word++)
    for (uint32_t by = 1; by <= 8; by *= 8) {
      double cross = 0, squares = 0;
      for (int64_t r = 0; r < rounds(); r++) {
        norn_rng g = {42, 16 * (uint32_t)r, 3, 5, 0, NULL}, h = g;
        switch (word) {
        case 0: h.lane += by; break;
        case 1: h.event += by; break;
        case 2: h.iter += by; break;
        case 3: h.stream += by; break;
        case 4: h.stream += (uint64_t)by << 32; break;
        default: h.lane += by - 1;
        }
        norn_rng_normals(&g, x, N);
        if (word < 5) norn_rng_normals(&h, y, N);
        else for (int k = 0; k < N; k++) y[k] = norn_rng_normal(&h);
        for (int k = 0; k < N; k++) {
          cross += x[k] * y[k];
          squares += (x[k] * x[k] - 1) * (y[k] * y[k] - 1);
        }
      }
      CHECK_NEAR(cross / sqrt((double)rounds() * N), 0, 5);
      CHECK_NEAR(squares / 2 / sqrt((double)rounds() * N), 0, 5);
    }
}

int main(void)
{
  test_bits();
  test_parts();
  test_lanes();
  test_collisions();
  test_room();
  test_families();
  test_uniforms();
  test_normals();
  test_smirnov();
  test_between();
  return unit_end();
}
