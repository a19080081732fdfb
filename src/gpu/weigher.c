/* weigher: see weigher.h.  The bytes of the text are made by the build (local.mk). */
#include "gpu/weigher_in.h"
#include "graph/dialect.h"
#include <math.h>
#include <string.h>

static const char bytes[] = {
#include "gpu/block.inc"
  0
};

const char *block_text(void) { return bytes; }

#define LN2 0.69314718055994530942

enum { K_CHUNKS, K_TOTAL, K_ANCESTORS, K_COMPOSE, K_INHERIT, K_FILL };
static const char *const names[WEIGHER_KERNELS] = { "weights_chunks", "weights_total", "weights_ancestors",
                                                    "block_compose", "block_inherit", "weights_fill" };

uint32_t weigher_room_of(uint32_t n) { return (n / WEIGHER_CHUNK + (n % WEIGHER_CHUNK != 0)) * WEIGHER_CHUNK; }
size_t weigher_each(bool f32) { return f32 ? 9 : 17; }

gpu_ptr weigher_logw(const weigher *b, int which) { return b->logw[which]; }
gpu_ptr weigher_flags(const weigher *b) { return b->all + offsetof(weigher_all, flags); }
size_t weigher_map_size(const weigher *b) { return 2 * (size_t)b->room * sizeof(uint32_t); }

static size_t real_size(const weigher *b) { return b->f32 ? sizeof(float) : sizeof(double); }

static bool load(weigher *b)
{
  gpu_text t = { "weigher", dialect_text(b->f32), block_text(), GPU_HOT };
  if (!(b->m = gpu_module_new(b->g, &t))) return false;
  for (int i = 0; i < WEIGHER_KERNELS; i++)
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
  return (b->all = gpu_alloc(b->g, sizeof(weigher_all), "sums of weights")) != 0;
}

weigher *weigher_new(gpu *g, uint32_t n, bool f32)
{
  weigher *b = norn_alloc(gpu_state(g), NULL, 0, sizeof *b);
  if (!b) {
    norn_fail(gpu_state(g), NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *b = (weigher){ .g = g, .n = n, .f32 = f32, .room = weigher_room_of(n) };
  b->chunks = b->room / WEIGHER_CHUNK;
  for (b->units = 62; ((uint64_t)1 << (62 - b->units)) < b->room;) b->units--;
  if (load(b) && room(b) && !gpu_fill(g, b->status, 0, b->chunks * sizeof(uint64_t)) &&
      !gpu_fill(g, b->all, 0, sizeof(weigher_all)) && !weigher_clear(b, b->logw[0]) && !weigher_clear(b, b->logw[1]))
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
  drawn_free(b);
  gpu_module_free(b->m);
  norn_alloc(gpu_state(b->g), b, sizeof *b, 0);
}

/* ---- log weights ---- */

norn_status weigher_clear(weigher *b, gpu_ptr logw)
{
  float f = 0;
  double d = 0;
  void *zero = b->f32 ? (void *)&f : (void *)&d;
  return gpu_launch(b->g, b->k[K_FILL], b->room / WEIGHER_THREADS, WEIGHER_THREADS, 0,
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
  norn_status s = gpu_launch(b->g, b->k[K_CHUNKS], b->chunks, WEIGHER_THREADS, 0,
                             GPU_ARGS(&logw, &b->scale, &b->sum, &b->squares));
  if (s) return s;
  return gpu_launch(b->g, b->k[K_TOTAL], 1, WEIGHER_THREADS, 0,
                    GPU_ARGS(&b->chunks, &b->units, &b->scale, &b->sum, &b->squares, &spread, &b->base,
                             &b->all));
}

norn_status weigher_look(weigher *b, weigher_sums *to)
{
  weigher_all a;
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

uint32_t weigher_epoch(weigher *b)
{
  if (++b->epoch >= 1u << 30) b->epoch = 1;
  return b->epoch;
}

norn_status weigher_ancestors(weigher *b, gpu_ptr logw, weigher_how how, double u, uint64_t stream, uint32_t iter,
                              gpu_ptr map)
{
  if (how >= WEIGHER_RESIDUAL) return drawn_ancestors(b, logw, how == WEIGHER_RESIDUAL, stream, iter, map);
  weigher_points p = { b->n, how == WEIGHER_STRATIFIED, u, stream, iter, 0 };
  uint32_t epoch = weigher_epoch(b);
  norn_status s = gpu_launch(b->g, b->k[K_ANCESTORS], b->chunks, WEIGHER_THREADS, 0,
                             GPU_ARGS(&logw, &b->units, &p, &b->scale, &b->base, &b->all, &b->begun, &epoch,
                                      &b->status, &b->room, &map, &b->spread));
  b->begun += b->chunks;
  b->spread_known = true;
  return s;
}

norn_status weigher_map_compose(weigher *b, gpu_ptr map, gpu_ptr further, uint32_t n, gpu_ptr to)
{
  return gpu_launch(b->g, b->k[K_COMPOSE], (n + WEIGHER_THREADS - 1) / WEIGHER_THREADS, WEIGHER_THREADS, 0,
                    GPU_ARGS(&n, &b->room, &map, &further, &to));
}

norn_status weigher_inherit(weigher *b, gpu_ptr map, gpu_ptr x)
{
  return gpu_launch(b->g, b->k[K_INHERIT], (b->n + WEIGHER_THREADS - 1) / WEIGHER_THREADS, WEIGHER_THREADS, 0,
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
