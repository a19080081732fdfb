/* weigher: see weigher.h.  The bytes of the text are made by the build (local.mk). */
#include "gpu/weigher.h"
#include "graph/dialect.h"
#include <math.h>
#include <string.h>

static const char bytes[] = {
#include "gpu/block.inc"
  0
};

const char *block_text(void) { return bytes; }

enum { THREADS = 256, CHUNK = 2048 };            /* as block.h has them */
#define LN2 0.69314718055994530942
#define MAP_FAR 0x80000000u
#define LAST_EPOCH ((1u << 30) - 1)

/* As block.h has them. */
typedef struct all { uint64_t sum; double scale, squares, spread; uint32_t flags, seen, at; } all;
typedef struct points { uint32_t n, each; double u; uint64_t stream; uint32_t iter, lane; } points;

enum { K_CHUNKS, K_TOTAL, K_ANCESTORS, K_COMPOSE, K_INHERIT, K_FILL, KERNELS };
static const char *const names[KERNELS] = { "weights_chunks", "weights_total", "weights_ancestors",
                                            "block_compose", "block_inherit", "weights_fill" };

struct weigher {
  gpu *g;
  uint32_t n, chunks, room;
  bool f32;
  int units;                                     /* K: sums are in units of 2^(scale - K) */
  gpu_module *m;
  gpu_kernel *k[KERNELS];
  gpu_ptr logw[2], scale, sum, squares, spread, base, status, all;
  uint32_t begun, epoch;                         /* of weights_ancestors */
  bool spread_known;
};

uint32_t weigher_room_of(uint32_t n) { return (n / CHUNK + (n % CHUNK != 0)) * CHUNK; }
size_t weigher_each(bool f32) { return f32 ? 9 : 17; }

uint32_t weigher_room(const weigher *b) { return b->room; }
gpu_ptr weigher_logw(const weigher *b, int which) { return b->logw[which]; }
gpu_ptr weigher_flags(const weigher *b) { return b->all + offsetof(all, flags); }
size_t weigher_map_size(const weigher *b) { return 2 * (size_t)b->room * sizeof(uint32_t); }

static size_t real_size(const weigher *b) { return b->f32 ? sizeof(float) : sizeof(double); }

static bool load(weigher *b)
{
  gpu_text t = { "weigher", dialect_text(b->f32), block_text(), GPU_HOT };
  if (!(b->m = gpu_module_new(b->g, &t))) return false;
  for (int i = 0; i < KERNELS; i++)
    if (!(b->k[i] = gpu_kernel_of(b->m, names[i]))) return false;
  return true;
}

static bool room(weigher *b)
{
  size_t word = b->chunks * sizeof(uint64_t);
  gpu_ptr *of[] = { &b->scale, &b->sum, &b->squares, &b->spread, &b->base, &b->status };
  for (int i = 0; i < 2; i++)
    if (!(b->logw[i] = gpu_alloc(b->g, b->room * real_size(b), "log weights"))) return false;
  for (int i = 0; i < NORN_COUNT(of); i++)
    if (!(*of[i] = gpu_alloc(b->g, word, "sums of weights"))) return false;
  return (b->all = gpu_alloc(b->g, sizeof(all), "sums of weights")) != 0;
}

weigher *weigher_new(gpu *g, uint32_t n, bool f32)
{
  weigher *b = norn_alloc(gpu_state(g), NULL, 0, sizeof *b);
  if (!b) {
    norn_fail(gpu_state(g), NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *b = (weigher){ .g = g, .n = n, .f32 = f32, .room = weigher_room_of(n) };
  b->chunks = b->room / CHUNK;
  for (b->units = 62; ((uint64_t)1 << (62 - b->units)) < b->room;) b->units--;
  if (load(b) && room(b) && !gpu_fill(g, b->status, 0, b->chunks * sizeof(uint64_t)) &&
      !gpu_fill(g, b->all, 0, sizeof(all)) && !weigher_clear(b, b->logw[0]) && !weigher_clear(b, b->logw[1]))
    return b;
  weigher_free(b);
  return NULL;
}

void weigher_free(weigher *b)
{
  if (!b) return;
  gpu_ptr of[] = { b->logw[0], b->logw[1], b->scale, b->sum, b->squares, b->spread, b->base, b->status,
                   b->all };
  for (int i = 0; i < NORN_COUNT(of); i++) gpu_release(b->g, of[i]);
  gpu_module_free(b->m);
  norn_alloc(gpu_state(b->g), b, sizeof *b, 0);
}

/* ---- log weights ---- */

norn_status weigher_clear(weigher *b, gpu_ptr logw)
{
  float f = 0;
  double d = 0;
  void *zero = b->f32 ? (void *)&f : (void *)&d;
  return gpu_launch(b->g, b->k[K_FILL], b->room / THREADS, THREADS, 0,
                    GPU_ARGS(&b->n, &b->room, zero, &logw));
}

enum { PIECE = 4096 };

norn_status weigher_put_logw(weigher *b, gpu_ptr logw, const double *from)
{
  float f[PIECE];
  norn_status s = NORN_OK;
  if (!b->f32) return gpu_upload(b->g, logw, from, b->n * sizeof *from);
  for (uint32_t i = 0; i < b->n && !s; i += PIECE) {
    uint32_t m = b->n - i < PIECE ? b->n - i : PIECE;
    for (uint32_t j = 0; j < m; j++) f[j] = (float)from[i + j];
    s = gpu_upload(b->g, logw + i * sizeof *f, f, m * sizeof *f);
  }
  return s;
}

/* Floats lie in the upper half of `to` at first. */
norn_status weigher_get_logw(weigher *b, gpu_ptr logw, double *to)
{
  if (!b->f32) return gpu_download(b->g, to, logw, b->n * sizeof *to);
  char *at = (char *)to + b->n * sizeof(float);
  norn_status s = gpu_download(b->g, at, logw, b->n * sizeof(float));
  for (uint32_t i = 0; i < b->n && !s; i++) {
    float f;
    memcpy(&f, at + i * sizeof f, sizeof f);
    to[i] = f;
  }
  return s;
}

/* ---- sums ---- */

norn_status weigher_weigh(weigher *b, gpu_ptr logw)
{
  gpu_ptr spread = b->spread_known ? b->spread : 0;
  norn_status s = gpu_launch(b->g, b->k[K_CHUNKS], b->chunks, THREADS, 0,
                             GPU_ARGS(&logw, &b->scale, &b->sum, &b->squares));
  if (s) return s;
  return gpu_launch(b->g, b->k[K_TOTAL], 1, THREADS, 0,
                    GPU_ARGS(&b->chunks, &b->units, &b->scale, &b->sum, &b->squares, &spread, &b->base,
                             &b->all));
}

norn_status weigher_look(weigher *b, weigher_sums *to)
{
  all a;
  norn_status s = gpu_download(b->g, &a, b->all, sizeof a);
  if (s) return s;
  double sum = ldexp((double)a.sum, -b->units);
  to->log_sum = a.sum ? a.scale * LN2 + log(sum) : -HUGE_VAL;
  to->ess = a.sum ? sum * sum / a.squares : 0;
  to->spread = a.spread / b->n;
  to->flags = a.seen;
  return NORN_OK;
}

/* ---- ancestors ---- */

norn_status weigher_ancestors(weigher *b, gpu_ptr logw, bool each, double u, uint64_t stream, uint32_t iter,
                              gpu_ptr map)
{
  points p = { b->n, each, u, stream, iter, 0 };
  if (++b->epoch > LAST_EPOCH) b->epoch = 1;
  norn_status s = gpu_launch(b->g, b->k[K_ANCESTORS], b->chunks, THREADS, 0,
                             GPU_ARGS(&logw, &b->units, &p, &b->scale, &b->base, &b->all, &b->begun, &b->epoch,
                                      &b->status, &b->room, &map, &b->spread));
  b->begun += b->chunks;
  b->spread_known = true;
  return s;
}

/* As block.h lays maps out. */
static void lay_map(const weigher *b, const uint32_t *count, uint32_t *map)
{
  uint32_t dead = 0, further = 0;
  for (uint32_t i = 0; i < b->n; i++) {
    map[i] = count[i] ? i : MAP_FAR | dead++;
    for (uint32_t k = 1; k < count[i]; k++) map[b->room + further++] = i;
  }
  for (uint32_t i = b->n; i < b->room; i++) map[i] = i;
}

norn_status weigher_by_counts(weigher *b, const uint32_t *count, double spread, gpu_ptr map)
{
  norn_state *st = gpu_state(b->g);
  size_t size = weigher_map_size(b), parts = b->chunks * sizeof(double);
  uint32_t *laid = norn_alloc(st, NULL, 0, size);
  double *of = norn_alloc(st, NULL, 0, parts);
  norn_status s = laid && of ? NORN_OK : norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  if (!s) {
    memset(laid, 0, size);
    memset(of, 0, parts);
    lay_map(b, count, laid);
    of[0] = spread * b->n;
    s = gpu_upload(b->g, map, laid, size);
  }
  if (!s) s = gpu_upload(b->g, b->spread, of, parts);
  b->spread_known = true;
  if (laid) norn_alloc(st, laid, size, 0);
  if (of) norn_alloc(st, of, parts, 0);
  return s;
}

norn_status weigher_map_compose(weigher *b, gpu_ptr map, gpu_ptr further, uint32_t n, gpu_ptr to)
{
  return gpu_launch(b->g, b->k[K_COMPOSE], (n + THREADS - 1) / THREADS, THREADS, 0,
                    GPU_ARGS(&n, &b->room, &map, &further, &to));
}

norn_status weigher_inherit(weigher *b, gpu_ptr map, gpu_ptr x)
{
  return gpu_launch(b->g, b->k[K_INHERIT], (b->n + THREADS - 1) / THREADS, THREADS, 0,
                    GPU_ARGS(&b->n, &b->room, &map, &x));
}

norn_status weigher_map_read(weigher *b, gpu_ptr map, uint32_t n, uint32_t *to)
{
  gpu_ptr plain = gpu_alloc(b->g, (size_t)n * sizeof *to, "ancestors");
  if (!plain) return NORN_EMEMORY;
  norn_status s = weigher_map_compose(b, map, 0, n, plain);
  if (!s) s = gpu_download(b->g, to, plain, (size_t)n * sizeof *to);
  gpu_release(b->g, plain);
  return s;
}
