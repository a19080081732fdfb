/* check_blocks.c: what the threads of a block do together (gpu/block.h): sums, scans, compaction, the
   weights of particles and their ancestors.  The same source as its own twin on the host, as kernels of a
   device (the mock, or the card), in doubles and floats; beside a reference that goes through the particles
   one by one, and the resampling of the CPU. */
#include "gpu_test.h"
#include "gpu_weights.h"
#include "gpu/weigher.h"
#include "graph/dialect.h"
#include "infer/engine.h"
#include "num/philox.h"
#include "num/weights.h"
#include <math.h>

#define KERNEL static void
#define DEVICE static inline __attribute__((unused))
#define SHARED static
#define BLOCK_TWIN
#include "gpu/block.h"

/* ---- the reference ---- */

typedef struct plan { uint64_t total; double scale, squares, spread; uint32_t *of; } plan;

static int log2_up(uint64_t n)
{
  int k = 0;
  while ((uint64_t)1 << k < n) k++;
  return k;
}
static uint32_t chunks_of(uint32_t n) { return (n + BLOCK_CHUNK - 1) / BLOCK_CHUNK; }
static int units_of(uint32_t n) { return 62 - log2_up((uint64_t)chunks_of(n) * BLOCK_CHUNK); }

static double unit_of(double lw, double e, bool f32)
{
  if (!(e > -HUGE_VAL)) return 0;
  if (f32) return exp((float)(lw - e * BLOCK_LN2));    /* to about 1e-7 */
  return v_exp(lw - e * BLOCK_LN2);
}

/* Offspring stay or go to the dead, both in order.  c (n): the running sums of all particles. */
static void place(uint32_t n, const uint64_t *c, uint64_t total, const weights_points *p, uint32_t *of)
{
  uint32_t *count = calloc(n, sizeof *count), dead = 0, before = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t below = weights_points_below(p, c[i], total);
    count[i] = below - before;
    before = below;
    of[i] = i;
  }
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 1; k < count[i]; k++) {
      while (count[dead]) dead++;
      of[dead++] = i;
    }
  free(count);
}

static void reference(const double *lw, uint32_t n, const weights_points *p, plan *r)
{
  uint32_t chunks = chunks_of(n);
  int k = units_of(n);
  double *e = malloc(chunks * sizeof *e), from = 0;
  uint64_t *c = malloc(n * sizeof *c), base = 0;
  r->scale = -HUGE_VAL;
  r->squares = r->spread = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (i % BLOCK_CHUNK == 0) e[i / BLOCK_CHUNK] = -HUGE_VAL;
    e[i / BLOCK_CHUNK] = fmax(e[i / BLOCK_CHUNK], ceil(lw[i] * (1 / BLOCK_LN2)));
    r->scale = fmax(r->scale, e[i / BLOCK_CHUNK]);
  }
  for (uint32_t b = 0; b < chunks; b++) {
    uint64_t sum = 0;
    double by = r->scale - e[b] + (52 - k);
    int shift = by < 63 ? (int)by : 63;
    for (uint32_t i = b * BLOCK_CHUNK; i < n && i < (b + 1) * BLOCK_CHUNK; i++) {
      double y = unit_of(lw[i], e[b], false);
      sum += (uint64_t)(y * 0x1p52);
      r->squares += ldexp(y * y, (int)fmax(-2000, 2 * (e[b] - r->scale)));
      c[i] = base + (sum >> shift);
    }
    base += sum >> shift;
  }
  r->total = base;
  for (uint32_t i = 0; i < n; i++) {
    double x = (double)c[i] * ((double)n / (double)base), d = x - from, f = d - floor(d);
    r->spread += !p->each ? f * (1 - f) : floor(from) == floor(x) ? d * (1 - d)
                 : (ceil(from) - from) * (1 - ceil(from) + from) + (x - floor(x)) * (1 - x + floor(x));
    from = x;
  }
  place(n, c, base, p, r->of);
  free(c);
  free(e);
}

/* ---- the twin ---- */

typedef struct buffers {
  double *logw, *scale, *squares, *spread;
  uint64_t *sum, *base, *status;
  uint32_t *map, room, chunks;
  weights_all all;
} buffers;

static void buffers_new(buffers *b, const double *lw, uint32_t n)
{
  *b = (buffers){ .chunks = chunks_of(n), .room = chunks_of(n) * BLOCK_CHUNK };
  b->logw = malloc(b->room * sizeof *b->logw);
  for (uint32_t i = 0; i < b->room; i++) b->logw[i] = i < n ? lw[i] : -HUGE_VAL;
  b->scale = malloc(b->chunks * sizeof(double));
  b->squares = malloc(b->chunks * sizeof(double));
  b->spread = malloc(b->chunks * sizeof(double));
  b->sum = malloc(b->chunks * sizeof(uint64_t));
  b->base = malloc(b->chunks * sizeof(uint64_t));
  b->status = calloc(b->chunks, sizeof(uint64_t));
  b->map = malloc(2 * (size_t)b->room * sizeof *b->map);
}

static void buffers_free(buffers *b)
{
  void *all[] = { b->logw, b->scale, b->squares, b->spread, b->sum, b->base, b->status, b->map };
  for (int i = 0; i < NORN_COUNT(all); i++) free(all[i]);
}

static void twin(buffers *b, uint32_t n, const weights_points *p)
{
  int k = units_of(n);
  for (block_number = 0; block_number < b->chunks; block_number++)
    weights_chunks(b->logw, b->scale, b->sum, b->squares);
  block_number = 0;
  weights_total(b->chunks, k, b->scale, b->sum, b->squares, NULL, b->base, &b->all);
  for (; block_number < b->chunks; block_number++)
    weights_ancestors(b->logw, k, *p, b->scale, b->base, &b->all, 0, 1, b->status, b->room, b->map, b->spread);
  block_number = 0;
  weights_total(b->chunks, k, b->scale, b->sum, b->squares, b->spread, b->base, &b->all);
}

/* ---- twin against reference and CPU ---- */

static double cpu_differs(const double *lw, uint32_t n, const weights_points *p, const plan *r)
{
  double *w = malloc(n * sizeof *w), *work = malloc(n * sizeof *work);
  uint32_t *below = malloc(n * sizeof *below), *to = malloc((n + WEIGHTS_ROOM) * sizeof *to);
  uint32_t *from = malloc((n + WEIGHTS_ROOM) * sizeof *from), *of = malloc(n * sizeof *of);
  norn_rng g = { .stream = p->stream, .iter = p->iter };
  weights_sum all = weights_exp(lw, w, n);
  double rho = resample_below(p->each ? RESAMPLE_STRATIFIED : RESAMPLE_SYSTEMATIC, w, all.sum, below, n, &g, work);
  size_t copies = weights_copies(below, n, to, from), other = 0;
  for (uint32_t i = 0; i < n; i++) of[i] = i;
  for (size_t k = 0; k < copies; k++) of[to[k]] = from[k];
  for (uint32_t i = 0; i < n; i++) other += of[i] != r->of[i];
  CHECK_NEAR(r->scale * BLOCK_LN2 + log((double)r->total) - units_of(n) * BLOCK_LN2, all.top + log(all.sum),
             1e-12 * (1 + fabs(all.top)));
  CHECK_NEAR((double)r->total * (double)r->total / r->squares * exp(-2 * units_of(n) * BLOCK_LN2),
             all.sum * all.sum / all.squares, 1e-9 * n);
  CHECK_NEAR(r->spread / n, rho, 1e-7);
  free(w), free(work), free(below), free(to), free(from), free(of);
  return (double)other / n;
}

static weights_points points(uint32_t n, bool each)
{
  norn_rng g = { .stream = 0x123456789abcdefu, .iter = 5 };
  weights_points p = { .n = n, .each = each, .stream = g.stream, .iter = g.iter };
  p.u = norn_rng_uniform(&g);
  return p;
}

static void twins(uint32_t n, int pattern, bool each)
{
  weights_points p = points(n, each);
  plan r = { .of = malloc(n * sizeof *r.of) };
  double *lw = malloc(n * sizeof *lw);
  buffers b;
  uint32_t bad = 0;
  for (uint32_t i = 0; i < n; i++) lw[i] = weight(pattern, i, n);
  reference(lw, n, &p, &r);
  buffers_new(&b, lw, n);
  twin(&b, n, &p);
  for (uint32_t i = 0; i < n; i++) bad += block_map_at(b.map, b.room, i) != r.of[i];
  CHECK(bad == 0);
  CHECK(b.all.sum == r.total && b.all.scale == r.scale);
  CHECK_NEAR(b.all.squares, r.squares, 1e-12 * r.squares);
  CHECK_NEAR(b.all.spread, r.spread, 1e-9 * n);
  if (bad) fprintf(stderr, "n %u, pattern %d, each %d: %u of the ancestors differ\n", n, pattern, each, bad);
  CHECK(cpu_differs(lw, n, &p, &r) <= 1e-5);      /* a point within 1e-9 of a running sum moves one */
  buffers_free(&b);
  free(lw);
  free(r.of);
}

/* ---- the same as kernels ---- */


static void kernels_match(gpu *g, uint32_t n, int pattern, bool each, bool f32)
{
  weights_points p = points(n, each);
  plan r = { .of = malloc(n * sizeof *r.of) };
  double *lw = malloc(n * sizeof *lw);
  uint32_t *of = malloc(n * sizeof *of), bad = 0;
  for (uint32_t i = 0; i < n; i++) {
    lw[i] = weight(pattern, i, n);
    if (f32) lw[i] = (float)lw[i];
  }
  reference(lw, n, &p, &r);
  weigher *b = weigher_new(g, n, f32);
  CHECK(b != NULL);
  if (b) {
    weigher_sums sums;
    gpu_ptr logw = weigher_logw(b, 1), map = gpu_alloc(g, weigher_map_size(b), "a map");
    CHECK(weigher_put_logw(b, logw, lw) == NORN_OK && weigher_weigh(b, logw) == NORN_OK);
    CHECK(weigher_look(b, &sums) == NORN_OK);
    double want = r.scale * BLOCK_LN2 + log((double)r.total) - units_of(n) * BLOCK_LN2;
    CHECK_NEAR(sums.log_sum, want, (f32 ? 1e-6 : 1e-12) * (1 + fabs(want)));
    CHECK_NEAR(sums.ess, (double)r.total * (double)r.total / r.squares * exp(-2 * units_of(n) * BLOCK_LN2),
               (f32 ? 1e-5 : 1e-9) * n);
    /* twice: what one launch leaves must not trouble the next */
    for (int k = 0; k < 2; k++) CHECK(weigher_ancestors(b, logw, each, p.u, p.stream, p.iter, map) == NORN_OK);
    CHECK(weigher_weigh(b, logw) == NORN_OK && weigher_look(b, &sums) == NORN_OK);
    CHECK_NEAR(sums.spread, r.spread / n, f32 ? 1e-4 : 1e-9);
    CHECK(weigher_map_read(b, map, n, of) == NORN_OK);
    for (uint32_t i = 0; i < n; i++) bad += of[i] != r.of[i];
    CHECK(f32 ? bad <= 2 + n / 50 : bad == 0);   /* floats: weights to 1e-7, sums of them to n times that */
    if (bad && !f32) fprintf(stderr, "n %u, pattern %d, each %d: %u differ\n", n, pattern, each, bad);
    gpu_release(g, map);
    weigher_free(b);
  }
  free(lw);
  free(of);
  free(r.of);
}

/* ---- primitives: running sums, sums, compaction ---- */

static void scans(void)
{
  static uint64_t w[2 * BLOCK_THREADS];
  static uint32_t s[2 * BLOCK_THREADS], kept[BLOCK_THREADS];
  static double v[BLOCK_THREADS];
  uint64_t sum = 0;
  uint32_t n = 0, bad = 0;
  for (uint32_t t = 0; t < BLOCK_THREADS; t++) {
    w[t] = (uint64_t)(t + 1) << 40;
    s[t] = t % 3 == 1 || t > 200;
    v[t] = t + 0.25;
  }
  block_scan_u64(w);
  block_scan_u32(s);
  block_sum_f64(v);
  for (uint32_t t = 0; t < BLOCK_THREADS; t++) {
    sum += (uint64_t)(t + 1) << 40;
    bad += w[t] != sum;
    if (t % 3 == 1 || t > 200) kept[s[t] - 1] = t;        /* compaction: a running sum of who stays */
  }
  for (uint32_t t = 0; t < BLOCK_THREADS; t++)
    if (t % 3 == 1 || t > 200) bad += kept[n++] != t;
  CHECK(bad == 0 && n == s[BLOCK_THREADS - 1]);
  CHECK(v[0] == BLOCK_THREADS * (BLOCK_THREADS - 1) / 2 + 0.25 * BLOCK_THREADS);
  for (uint32_t t = 0; t < BLOCK_THREADS; t++) s[t] = 1000 - (t ^ 77), v[t] = -(double)(t ^ 55);
  block_min_u32(s);
  block_max_f64(v);
  CHECK(s[0] == 1000 - 255 && v[0] == 0);
}

int main(void)
{
  static const uint32_t small[] = { 1, 2, 17, 2047, 2048, 2049, 10000 };
  scans();
  for (int i = 0; i < NORN_COUNT(small); i++)
    for (int k = 0; k < 2 * PATTERNS; k++) twins(small[i], k / 2, k % 2);
  twins(300000, 0, false);
  twins(300000, 8, true);

  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    static const uint32_t sizes[] = { 2, 2049, 10000 };
    for (int i = 0; i < NORN_COUNT(sizes); i++)
      for (int k = 0; k < 4 * PATTERNS; k++)
        if (gpu_test_real() || k % 4 == i) kernels_match(g, sizes[i], k / 4, k % 2, k & 2);
    kernels_match(g, 10000, 8, true, false);
    kernels_match(g, 10000, 0, false, true);
    if (gpu_test_real()) {
      kernels_match(g, 3000001, 0, false, false);
      kernels_match(g, 3000001, 8, true, false);
      kernels_match(g, 3000001, 2, false, false);
    }
    if (!gpu_test_real()) {
      setenv("NORN_MOCK", "order=1", 1);
      kernels_match(g, 10000, 0, false, false);
      setenv("NORN_MOCK", "order=2", 1);
      kernels_match(g, 10000, 4, true, false);
      unsetenv("NORN_MOCK");
    }
  }
  norn_free(st);
  return unit_end();
}
