/* drawn: the host's side of drawn.h: residual and multinomial resampling by a weigher.  The bytes of the text are
   made by the build (local.mk). */
#include "gpu/weigher_in.h"
#include "graph/dialect.h"
#include <string.h>

static const char bytes[] = {
#include "gpu/drawn.inc"
  0
};

const char *drawn_text(void) { return bytes; }

/* As drawn.h has it. */
typedef struct drawn_all { double scale; uint64_t rest; uint32_t points; } drawn_all;

enum { K_POINTS, K_POINTS_TOTAL, K_PLACE, K_SCALE, K_CHUNKS, K_TOTAL, K_BOUNDS, K_ANCESTORS, KERNELS };
static const char *const names[KERNELS] = {
  "points_chunks", "points_total", "points_place",
  "residual_scale", "residual_chunks", "residual_total", "drawn_bounds", "drawn_ancestors"
};

struct drawn {
  gpu_module *m;
  gpu_kernel *k[KERNELS];
  gpu_ptr at, sum, bound, whole, rest, all;
};
typedef struct drawn drawn;

static gpu_module *module_new(gpu *g, bool f32)
{
  mem m;
  text prologue;
  gpu_module *to = NULL;
  mem_init(&m);
  text_init(&prologue, &m);
  text_printf(&prologue, "%s#define BLOCK_NO_KERNELS\n%s\n", dialect_text(f32), block_text());
  if (prologue.failed) norn_fail(gpu_state(g), NORN_EMEMORY, -1, "out of memory");
  else to = gpu_module_new(g, &(gpu_text){ "drawn", prologue.s, bytes, GPU_HOT });
  text_free(&prologue);
  return to;
}

static bool load(weigher *b, drawn *d)
{
  if (!(d->m = module_new(b->g, b->f32))) return false;
  for (int i = 0; i < KERNELS; i++) if (!(d->k[i] = gpu_kernel_of(d->m, names[i]))) return false;
  return true;
}

static bool room(weigher *b, drawn *d)
{
  size_t word = sizeof(uint64_t);
  struct { gpu_ptr *to; size_t bytes; } of[] = {
    { &d->at, b->room * word }, { &d->sum, b->chunks * word }, { &d->rest, b->chunks * word },
    { &d->whole, b->chunks * sizeof(uint32_t) }, { &d->bound, (b->chunks + 1) * sizeof(uint32_t) },
    { &d->all, sizeof(drawn_all) }
  };
  for (int i = 0; i < NORN_COUNT(of); i++)
    if (!(*of[i].to = gpu_alloc(b->g, of[i].bytes, "points of resampling"))) return false;
  return true;
}

void drawn_free(weigher *b)
{
  drawn *d = b->drawn;
  if (!d) return;
  gpu_ptr of[] = { d->at, d->sum, d->bound, d->whole, d->rest, d->all };
  for (int i = 0; i < NORN_COUNT(of); i++) gpu_release(b->g, of[i]);
  gpu_module_free(d->m);
  norn_alloc(gpu_state(b->g), d, sizeof *d, 0);
  b->drawn = NULL;
}

/* Its kernels and memory: from the first resampling on that wants them. */
static drawn *drawn_of(weigher *b)
{
  if (b->drawn) return b->drawn;
  if (!(b->drawn = norn_alloc(gpu_state(b->g), NULL, 0, sizeof(drawn)))) {
    norn_fail(gpu_state(b->g), NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *b->drawn = (drawn){ .m = NULL };
  if (load(b, b->drawn) && room(b, b->drawn)) return b->drawn;
  drawn_free(b);
  return NULL;
}

static norn_status launch(weigher *b, int kernel, uint32_t blocks, void *const *args)
{
  return gpu_launch(b->g, b->drawn->k[kernel], blocks, WEIGHER_THREADS, 0, args);
}

/* Whole parts, fractions, and how many points there are. */
static norn_status fractions(weigher *b, drawn *d, gpu_ptr logw)
{
  norn_status s = launch(b, K_SCALE, 1, GPU_ARGS(&b->n, &b->chunks, &b->scale, &b->sum, &b->all, &d->all));
  if (!s) s = launch(b, K_CHUNKS, b->chunks, GPU_ARGS(&logw, &b->units, &b->scale, &b->all, &d->all, &d->whole,
                                                      &d->rest));
  if (!s) s = launch(b, K_TOTAL, 1, GPU_ARGS(&b->n, &b->chunks, &d->whole, &d->rest, &d->all));
  return s;
}

/* share: d->all, or 0 where all n are drawn. */
static norn_status points(weigher *b, drawn *d, weigher_points *p, gpu_ptr share)
{
  norn_status s = launch(b, K_POINTS, b->chunks, GPU_ARGS(p, &share, &d->at, &d->sum));
  if (!s) s = launch(b, K_POINTS_TOTAL, 1, GPU_ARGS(&b->chunks, &d->sum));
  if (!s) s = launch(b, K_PLACE, b->chunks, GPU_ARGS(p, &share, &d->sum, &d->at));
  return s;
}

norn_status drawn_ancestors(weigher *b, gpu_ptr logw, bool residual, uint64_t stream, uint32_t iter, gpu_ptr map)
{
  drawn *d = drawn_of(b);
  if (!d) return norn_error(gpu_state(b->g))->code;
  weigher_points p = { .n = b->n, .stream = stream, .iter = iter };
  gpu_ptr share = residual ? d->all : 0, base = residual ? d->rest : b->base, whole = residual ? d->whole : 0;
  norn_status s = residual ? fractions(b, d, logw) : NORN_OK;
  if (!s) s = points(b, d, &p, share);
  if (!s) s = launch(b, K_BOUNDS, b->chunks / WEIGHER_THREADS + 1,
                     GPU_ARGS(&p, &b->chunks, &base, &b->all, &share, &d->at, &d->bound));
  if (s) return s;
  uint32_t epoch = weigher_epoch(b);
  s = launch(b, K_ANCESTORS, b->chunks,
             GPU_ARGS(&logw, &b->units, &p, &b->scale, &base, &whole, &share, &d->at, &d->bound, &b->all, &b->begun,
                      &epoch, &b->status, &b->room, &map, &b->spread));
  b->begun += b->chunks;
  b->spread_known = true;
  return s;
}
