/* check_resample.c: residual and multinomial resampling as a device does them (gpu/drawn.h): its source as its own
   twin on the host, and as kernels (the mock, or the card), in doubles and floats, beside the resampling of the
   CPU: the same offspring of each, at the same places. */
#include "gpu_test.h"
#include "gpu_weights.h"
#include "gpu/weigher.h"
#include "infer/engine.h"
#include "num/philox.h"
#include "num/points.h"
#include "num/weights.h"

#define KERNEL static __attribute__((unused)) void
#define DEVICE static inline __attribute__((unused))
#define SHARED static
#define BLOCK_TWIN
#include "gpu/block.h"
#include "gpu/drawn.h"

/* ---- what the CPU does ---- */

enum { STREAM = 0x1234567 };

typedef struct cpu { uint32_t *of; double spread; } cpu;

static void cpu_resample(cpu *c, resample_kind kind, const double *lw, uint32_t n, uint32_t iter)
{
  double *w = malloc(n * sizeof *w), *work = malloc(n * sizeof *work);
  uint32_t *below = malloc(n * sizeof *below), *to = malloc((n + WEIGHTS_ROOM) * sizeof *to);
  uint32_t *from = malloc((n + WEIGHTS_ROOM) * sizeof *from);
  norn_rng g = { .stream = STREAM, .iter = iter };
  double sum = weights_exp(lw, w, n).sum;
  c->of = malloc(n * sizeof *c->of);
  c->spread = resample_below(kind, w, sum, below, n, &g, work);
  size_t copies = weights_copies(below, n, to, from);
  CHECK(below[n - 1] == n);
  for (uint32_t i = 0; i < n; i++) c->of[i] = i;
  for (size_t k = 0; k < copies; k++) c->of[to[k]] = from[k];
  free(w), free(work), free(below), free(to), free(from);
}

/* ---- the twin ---- */

/* Of all chunks: what the kernels read and write. */
typedef struct buffers {
  double *logw, *scale, *squares, *spread;
  uint64_t *sum, *base, *status, *rest, *at, *spacing;
  uint32_t *map, *whole, *bound, room, chunks;
  weights_all all;
  drawn_all share;
} buffers;

static void buffers_new(buffers *b, const double *lw, uint32_t n)
{
  *b = (buffers){ .chunks = (n + BLOCK_CHUNK - 1) / BLOCK_CHUNK };
  b->room = b->chunks * BLOCK_CHUNK;
  double **reals[] = { &b->scale, &b->squares, &b->spread };
  uint64_t **words[] = { &b->sum, &b->base, &b->status, &b->rest, &b->spacing };
  b->logw = malloc(b->room * sizeof *b->logw);
  for (uint32_t i = 0; i < b->room; i++) b->logw[i] = i < n ? lw[i] : -HUGE_VAL;
  for (int i = 0; i < NORN_COUNT(reals); i++) *reals[i] = malloc(b->chunks * sizeof(double));
  for (int i = 0; i < NORN_COUNT(words); i++) *words[i] = calloc(b->chunks, sizeof(uint64_t));
  b->at = malloc(b->room * sizeof *b->at);
  b->whole = malloc(b->chunks * sizeof *b->whole);
  b->bound = malloc((b->chunks + 1) * sizeof *b->bound);
  b->map = malloc(2 * (size_t)b->room * sizeof *b->map);
}

static void buffers_free(buffers *b)
{
  void *all[] = { b->logw, b->scale, b->squares, b->spread, b->sum, b->base, b->status, b->rest, b->at, b->spacing,
                  b->map, b->whole, b->bound };
  for (int i = 0; i < NORN_COUNT(all); i++) free(all[i]);
}

#define BLOCKS(n, call) for (block_number = 0; block_number < (n); block_number++) call

static void twin(buffers *b, bool residual, uint32_t n, uint32_t iter)
{
  weights_points p = { .n = n, .stream = STREAM, .iter = iter };
  const drawn_all *d = residual ? &b->share : NULL;
  const uint64_t *base = residual ? b->rest : b->base;
  int k = 62;
  while ((uint64_t)1 << (62 - k) < b->room) k--;
  BLOCKS(b->chunks, weights_chunks(b->logw, b->scale, b->sum, b->squares));
  BLOCKS(1, weights_total(b->chunks, k, b->scale, b->sum, b->squares, NULL, b->base, &b->all));
  if (residual) {
    BLOCKS(1, residual_scale(n, b->chunks, b->scale, b->sum, &b->all, &b->share));
    BLOCKS(b->chunks, residual_chunks(b->logw, k, b->scale, &b->all, &b->share, b->whole, b->rest));
    BLOCKS(1, residual_total(n, b->chunks, b->whole, b->rest, &b->share));
  }
  BLOCKS(b->chunks, points_chunks(p, d, b->at, b->spacing));
  BLOCKS(1, points_total(b->chunks, b->spacing));
  BLOCKS(b->chunks, points_place(p, d, b->spacing, b->at));
  BLOCKS(b->chunks / BLOCK_THREADS + 1, drawn_bounds(p, b->chunks, base, &b->all, d, b->at, b->bound));
  BLOCKS(b->chunks, drawn_ancestors(b->logw, k, p, b->scale, base, residual ? b->whole : NULL, d, b->at, b->bound,
                                    &b->all, 0, 1, b->status, b->room, b->map, b->spread));
  BLOCKS(1, weights_total(b->chunks, k, b->scale, b->sum, b->squares, b->spread, b->base, &b->all));
}

static uint32_t differ(const cpu *c, const uint32_t *of, uint32_t n)
{
  uint32_t bad = 0;
  for (uint32_t i = 0; i < n; i++) bad += of[i] != c->of[i];
  return bad;
}

static void twins(uint32_t n, int pattern, bool residual)
{
  double *lw = calloc(n, sizeof *lw);
  uint32_t *of = malloc(n * sizeof *of), bad;
  buffers b;
  cpu c;
  for (uint32_t i = 0; i < n; i++) lw[i] = weight(pattern, i, n);
  cpu_resample(&c, residual ? RESAMPLE_RESIDUAL : RESAMPLE_MULTINOMIAL, lw, n, (uint32_t)pattern);
  buffers_new(&b, lw, n);
  twin(&b, residual, n, (uint32_t)pattern);
  for (uint32_t i = 0; i < n; i++) of[i] = block_map_at(b.map, b.room, i);
  CHECK((bad = differ(&c, of, n)) == 0);
  CHECK_NEAR(b.all.spread / n, c.spread, 1e-9);
  if (bad) fprintf(stderr, "n %u, pattern %d, residual %d: %u of the ancestors differ\n", n, pattern, residual, bad);
  buffers_free(&b);
  free(lw), free(of), free(c.of);
}

/* What the twin does: of millions the CPU's running sums in doubles are off by 1e-10, and move a point now and then. */
static void twin_resample(cpu *c, bool residual, const double *lw, uint32_t n, uint32_t iter)
{
  buffers b;
  buffers_new(&b, lw, n);
  twin(&b, residual, n, iter);
  c->of = malloc(n * sizeof *c->of);
  for (uint32_t i = 0; i < n; i++) c->of[i] = block_map_at(b.map, b.room, i);
  c->spread = b.all.spread / n;
  buffers_free(&b);
}

/* ---- the same as kernels ---- */

static void kernels_match(gpu *g, uint32_t n, int pattern, bool residual, bool f32)
{
  double *lw = malloc(n * sizeof *lw);
  uint32_t *of = malloc(n * sizeof *of), bad;
  cpu c;
  for (uint32_t i = 0; i < n; i++) {
    lw[i] = weight(pattern, i, n);
    if (f32) lw[i] = (float)lw[i];
  }
  if (n > 1000000) twin_resample(&c, residual, lw, n, 3);
  else cpu_resample(&c, residual ? RESAMPLE_RESIDUAL : RESAMPLE_MULTINOMIAL, lw, n, 3);
  weigher *b = weigher_new(g, n, f32);
  CHECK(b != NULL);
  if (b) {
    weigher_sums sums;
    weigher_how how = residual ? WEIGHER_RESIDUAL : WEIGHER_MULTINOMIAL;
    gpu_ptr logw = weigher_logw(b, 1), map = gpu_alloc(g, weigher_map_size(b), "a map");
    CHECK(weigher_put_logw(b, logw, lw) == NORN_OK && weigher_weigh(b, logw) == NORN_OK);
    /* what one resampling leaves must not trouble the next, of its own kind or not */
    CHECK(weigher_ancestors(b, logw, WEIGHER_SYSTEMATIC, .5, 1, 1, map) == NORN_OK);
    for (uint32_t k = 2; k < 4; k++) CHECK(weigher_ancestors(b, logw, how, 0, STREAM, k, map) == NORN_OK);
    CHECK(weigher_weigh(b, logw) == NORN_OK && weigher_look(b, &sums) == NORN_OK);
    CHECK_NEAR(sums.spread, c.spread, f32 ? 1e-4 : 1e-9);
    CHECK(weigher_map_read(b, map, n, of) == NORN_OK);
    bad = differ(&c, of, n);
    CHECK(f32 ? bad <= 2 + n / 50 : bad == 0);   /* floats: weights to 1e-7, sums of them to n times that */
    if (bad && !f32) fprintf(stderr, "n %u, pattern %d, residual %d: %u differ\n", n, pattern, residual, bad);
    gpu_release(g, map);
    weigher_free(b);
  }
  free(lw), free(of), free(c.of);
}

/* ---- the law ---- */

/* Of many resamplings the mean number of offspring is n w, and points are in order between 0 and 1. */
static void points_law(void)
{
  enum { M = 50, TIMES = 20000 };
  double mean[M] = { 0 };
  bool good = true;
  norn_rng g = { .stream = 5 };
  for (int r = 0; r < TIMES; r++) {
    uint64_t sum = 0;
    double was = 0;
    for (uint32_t k = 0; k < M; k++) {
      double at = points_at(sum += points_spacing(norn_rng_uniform(&g), M - k));
      good &= at >= was && at < 1;
      mean[k] += was = at;
    }
  }
  CHECK(good);
  for (int k = 0; k < M; k++) {                  /* a beta(k + 1, M - k) number */
    double a = k + 1, b = M - k, sd = sqrt(a * b / ((a + b) * (a + b) * (a + b + 1) * TIMES));
    CHECK_NEAR(mean[k] / TIMES, a / (a + b), 4.5 * sd);
  }
}

/* Whole parts stay with those that expect them, and equal weights move nobody. */
static void residual_keeps(void)
{
  enum { N = 3000 };
  static double w[N];
  static uint32_t count[N];
  uint32_t bad = 0;
  norn_rng g = { .stream = 9 };
  for (int i = 0; i < N; i++) w[i] = 0.1 * (i % 3 + 1);         /* expected: 1/2, 1, 3/2 */
  double sum = 0;
  for (int i = 0; i < N; i++) sum += w[i];
  resample(RESAMPLE_RESIDUAL, w, sum, count, N, &g);
  for (int i = 0; i < N; i++) bad += i % 3 ? count[i] < 1 : 0;
  for (int i = 0; i < N; i++) bad += i % 3 == 1 && count[i] != 1;
  CHECK(bad == 0);
  CHECK(points_whole(1 - 0x1p-40) == 1 && points_rest(1 - 0x1p-40, 1) == 0 && points_whole(1 - 0x1p-30) == 0);
}

int main(void)
{
  static const uint32_t some[] = { 1, 2, 31, 1000, 2047, 2048, 2049, 4096, 10000, 100000 };
  points_law();
  residual_keeps();
  for (int i = 0; i < NORN_COUNT(some); i++)
    for (int k = 0; k < 2 * PATTERNS; k++) twins(some[i], k / 2, k % 2);
  twins(600000, 0, false);                       /* more chunks than a block has threads */
  twins(600000, 4, true);

  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    static const uint32_t sizes[] = { 1, 31, 2048, 2049, 10000 };
    for (int i = 0; i < NORN_COUNT(sizes); i++)
      for (int k = 0; k < 4 * PATTERNS; k++)
        if (gpu_test_real() || k % NORN_COUNT(sizes) == i) kernels_match(g, sizes[i], k / 4, k % 2, k & 2);
    for (int k = 0; k < 4; k++) kernels_match(g, 100000, k < 2 ? 0 : 8, k % 2, k == 3);
    if (gpu_test_real() && !getenv("NORN_GPU_SMALL"))
      for (int k = 0; k < 2 * PATTERNS; k++) if (k / 2 % 4 < 2) kernels_match(g, 3000001, k / 2, k % 2, false);
    if (!gpu_test_real())
      for (int order = 1; order <= 2; order++) {
        setenv("NORN_MOCK", order == 1 ? "order=1" : "order=2", 1);
        for (int k = 0; k < 2; k++) kernels_match(g, 10000, 4, k, false);
        unsetenv("NORN_MOCK");
      }
  }
  norn_free(st);
  return unit_end();
}
