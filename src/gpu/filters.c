/* filters: see filters.h.  The bytes of the text are made by the build (local.mk). */
#include "gpu/filters.h"
#include "gpu/weigher_in.h"
#include "graph/dialect.h"
#include <stdio.h>
#include <string.h>

static const char bytes[] = {
#include "gpu/filter_block.inc"
  0
};

/* As filter_block.h has them. */
enum { OPEN = 1, SECOND = 2, DEAD = 4 };
typedef struct state {
  double log_z, least, variance, spread[2], apart[2];
  uint32_t resamplings, left, eves, bits;
} state;
typedef struct args {
  gpu_ptr logw, stream, state, same, of, eve, scratch, at, map, ess, evidence, ancestors, flags;
  uint64_t lanes;
  double threshold;
  uint32_t n, each, iter, k, stratified, weighed;
} args;

enum { ROWS = 32, CHUNK = 2048, THREADS = 256 };
/* ROWS: of the course, that get memory together. */
enum { K_BARRIER, K_START, K_COMPOSE, KERNELS };
static const char *const names[KERNELS] = { "filters_barrier", "filters_start", "filters_compose" };

/* What has come home, to be read filter by filter. */
typedef struct home {
  void *logw;
  uint32_t *same;
  uint16_t *of, *eve;
  char *course;                        /* (used) rows as they lie there */
} home;

struct filters {
  gpu *g;
  uint32_t f, n, each;
  bool f32;
  weigher_how how;
  double threshold;
  int threads, rounds;
  gpu_module *m;
  gpu_kernel *k[KERNELS];
  gpu_ptr logw[2], stream, state, same, of, eve, scratch, points, flags;
  gpu_ptr course[FILTERS_COURSE / ROWS];
  uint32_t row[FILTERS_COURSE], barrier[FILTERS_COURSE], rows, stride;     /* row: where the course's k-th lies */
  uint32_t used;                       /* rows that have been given out */
  home at;
};

/* Are points drawn, one after the other? */
static bool draws(const filters *s) { return s->how > WEIGHER_STRATIFIED; }
static size_t real_size(const filters *s) { return s->f32 ? sizeof(float) : sizeof(double); }
static size_t lanes(const filters *s) { return (size_t)s->f * s->each; }

size_t filters_each(bool f32) { return 2 * (f32 ? sizeof(float) : sizeof(double)) + 4 * sizeof(uint16_t) + sizeof(uint64_t); }
gpu_ptr filters_logw(const filters *s, int which) { return s->logw[which]; }
gpu_ptr filters_same(const filters *s) { return s->same; }
gpu_ptr filters_flags(const filters *s) { return s->flags; }
unsigned filters_dead_flag(void) { return DEAD; }

/* ---- making ---- */

/* Few particles: fewer threads, so that none waits without work. */
static void shape(uint32_t n, int *threads, int *items, int *rounds)
{
  *items = n > 512 ? 8 : 4;
  *rounds = n > CHUNK ? FILTERS_MOST / CHUNK : 1;
  *threads = 32;
  while (*threads < THREADS && (uint32_t)(*threads * *items) < n) *threads *= 2;
}

/* Threads of a multiprocessor that are wanted: as many as have the registers that they need (prove.c: no spills). */
static int resident(const filters *s, int items, int rounds)
{
  if (draws(s)) return items == 4 && s->threads <= 64 ? 512 : 256;
  if (items == 4) return s->threads <= 64 ? 512 : s->f32 ? 1024 : 768;
  return s->f32 ? rounds > 1 ? 512 : 768 : s->threads > 128 ? 256 : 512;
}

static const char *const drawn_names[] = { "FILTER_RESIDUAL", "FILTER_MULTINOMIAL" };

static bool load(filters *s)
{
  norn_state *st = gpu_state(s->g);
  int items;
  mem m;
  text body;
  shape(s->n, &s->threads, &items, &s->rounds);
  mem_init(&m);
  text_init(&body, &m);
  text_printf(&body, "#define BLOCK_NO_KERNELS\n#define FILTER_THREADS %d\n#define FILTER_ITEMS %d\n#define FILTER_ROUNDS %d\n"
              "#define FILTER_RESIDENT %d\n#define FILTER_DRAWN %s\n", s->threads, items, s->rounds,
              resident(s, items, s->rounds) / s->threads, draws(s) ? drawn_names[s->how - WEIGHER_RESIDUAL] : "0");
  text_put(&body, block_text(), strlen(block_text()));
  if (draws(s)) text_printf(&body, "#define DRAWN_NO_KERNELS\n%s", drawn_text());
  text_put(&body, bytes, sizeof bytes - 1);
  gpu_text t = { "filters", dialect_text(s->f32), body.s, GPU_HOT };
  if (body.failed) norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  else s->m = gpu_module_new(s->g, &t);
  text_free(&body);
  for (int i = 0; s->m && i < KERNELS; i++) if (!(s->k[i] = gpu_kernel_of(s->m, names[i]))) return false;
  return s->m != NULL;
}

static bool room(filters *s)
{
  size_t n = lanes(s);
  const struct { gpu_ptr *at; size_t bytes; } part[] = {
    { &s->logw[0], n * real_size(s) }, { &s->logw[1], n * real_size(s) }, { &s->of, 2 * n * sizeof(uint16_t) },
    { &s->eve, 2 * n * sizeof(uint16_t) }, { &s->scratch, n * sizeof(uint64_t) }, { &s->state, s->f * sizeof(state) },
    { &s->same, s->f * sizeof(uint32_t) }, { &s->stream, s->f * sizeof(uint64_t) }, { &s->flags, sizeof(uint32_t) } };
  for (int i = 0; i < NORN_COUNT(part); i++)
    if (!(*part[i].at = gpu_alloc(s->g, part[i].bytes, "weights of filters"))) return false;
  if (!draws(s) || s->rounds == 1) return true;
  return (s->points = gpu_alloc(s->g, n * sizeof(uint64_t), "points of filters")) != 0;
}

static norn_status start(filters *s, const uint64_t *stream)
{
  uint64_t n = lanes(s);
  norn_status status = gpu_upload(s->g, s->stream, stream, s->f * sizeof *stream);
  if (!status) status = gpu_fill(s->g, s->flags, 0, sizeof(uint32_t));
  if (status) return status;
  return gpu_launch(s->g, s->k[K_START], (int64_t)((n + THREADS - 1) / THREADS), THREADS, 0,
                    GPU_ARGS(&n, &s->f, &s->n, &s->each, &s->state, &s->same, &s->of, &s->eve));
}

filters *filters_new(gpu *g, uint32_t f, uint32_t n, uint32_t each, bool f32, weigher_how how, double threshold,
                     const uint64_t *stream)
{
  filters *s = norn_alloc(gpu_state(g), NULL, 0, sizeof *s);
  if (!s) {
    norn_fail(gpu_state(g), NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  memset(s, 0, sizeof *s);
  s->g = g;
  s->f = f, s->n = n, s->each = each;
  s->f32 = f32, s->how = how;
  s->threshold = threshold;
  s->stride = 1;
  if (load(s) && room(s) && !start(s, stream)) return s;
  filters_free(s);
  return NULL;
}

/* Of a row of the course: ess, evidence and ancestors of all. */
static size_t row_bytes(const filters *s)
{
  return (s->f * (2 * sizeof(double) + sizeof(uint32_t)) + 255) / 256 * 256;
}

static void home_free(filters *s)
{
  norn_state *st = gpu_state(s->g);
  size_t n = lanes(s);
  norn_alloc(st, s->at.logw, n * real_size(s), 0);
  norn_alloc(st, s->at.same, s->f * sizeof *s->at.same, 0);
  norn_alloc(st, s->at.of, 2 * n * sizeof *s->at.of, 0);
  norn_alloc(st, s->at.eve, 2 * n * sizeof *s->at.eve, 0);
  norn_alloc(st, s->at.course, s->used * row_bytes(s), 0);
  s->at = (home){ 0 };
}

void filters_free(filters *s)
{
  if (!s) return;
  home_free(s);
  gpu_ptr of[] = { s->logw[0], s->logw[1], s->stream, s->state, s->same, s->of, s->eve, s->scratch, s->points, s->flags };
  for (int i = 0; i < NORN_COUNT(of); i++) gpu_release(s->g, of[i]);
  for (int i = 0; i < NORN_COUNT(s->course); i++) gpu_release(s->g, s->course[i]);
  gpu_module_free(s->m);
  norn_alloc(gpu_state(s->g), s, sizeof *s, 0);
}

/* ---- the course: numbers of all filters at some of the barriers ---- */

/* Where numbers of a barrier lie, ess first; 0: error set. */
static gpu_ptr row_at(filters *s, uint32_t row)
{
  gpu_ptr *p = &s->course[row / ROWS];
  if (!*p && !(*p = gpu_alloc(s->g, ROWS * row_bytes(s), "the course of filters"))) return 0;
  return *p + row % ROWS * row_bytes(s);
}

/* A full course loses every other barrier, whose row is given out again.  (As smc_keep_course.) */
static void thin(filters *s)
{
  uint32_t free[FILTERS_COURSE], nfree = 0, n = 0;
  for (uint32_t k = 0; k < s->rows; k++) {
    if (k % 2) free[nfree++] = s->row[k];
    else s->row[n] = s->row[k], s->barrier[n++] = s->barrier[k];
  }
  for (uint32_t k = 0; k < nfree; k++) s->row[n + k] = free[k];
  s->rows = n;
  s->stride *= 2;
}

/* The row of this barrier into *at, or 0: it has none.  false: error set. */
static bool tells(filters *s, uint32_t barrier, gpu_ptr *at)
{
  *at = 0;
  if (barrier % s->stride) return true;
  if (s->rows == FILTERS_COURSE) thin(s);
  if (barrier % s->stride) return true;
  if (s->rows == s->used) s->row[s->used] = s->used, s->used++;
  s->barrier[s->rows] = barrier;
  *at = row_at(s, s->row[s->rows]);
  s->rows += *at != 0;
  return *at != 0;
}

/* ---- a leg ---- */

norn_status filters_barrier(filters *s, gpu_ptr logw, bool weighed, uint32_t iter, gpu_ptr map)
{
  gpu_ptr row = 0;
  uint32_t k = 62, whole = weigher_room_of(s->n);
  if (map && !tells(s, iter, &row)) return norn_error(gpu_state(s->g))->code;
  while (((uint64_t)1 << (62 - k)) < whole) k--;
  size_t reals = s->f * sizeof(double);
  args a = { logw, s->stream, s->state, s->same, s->of, s->eve, s->scratch, s->points, map, row, row ? row + reals : 0,
             row ? row + 2 * reals : 0, s->flags, lanes(s), s->threshold, s->n, s->each, iter, k,
             s->how == WEIGHER_STRATIFIED, weighed };
  return gpu_launch(s->g, s->k[K_BARRIER], s->f, s->threads, 0, GPU_ARGS(&a));
}

norn_status filters_compose(filters *s, gpu_ptr map, gpu_ptr further, gpu_ptr to)
{
  uint64_t n = lanes(s);
  return gpu_launch(s->g, s->k[K_COMPOSE], (int64_t)((n + THREADS - 1) / THREADS), THREADS, 0,
                    GPU_ARGS(&n, &map, &further, &to));
}

/* ---- the end ---- */

norn_status filters_states(filters *s, filters_state *to)
{
  norn_state *st = gpu_state(s->g);
  state *x = norn_alloc(st, NULL, 0, s->f * sizeof *x);
  if (!x) return norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  norn_status status = gpu_download(s->g, x, s->state, s->f * sizeof *x);
  for (uint32_t k = 0; k < s->f && !status; k++)
    to[k] = (filters_state){ x[k].log_z, x[k].least, x[k].variance, { x[k].spread[0], x[k].spread[1] },
                             { x[k].apart[0], x[k].apart[1] }, x[k].resamplings, x[k].left, x[k].eves,
                             (x[k].bits & OPEN) != 0, (x[k].bits & SECOND) != 0 };
  norn_alloc(st, x, s->f * sizeof *x, 0);
  return status;
}

/* n bytes from there into new memory of the host; NULL after a failure. */
static norn_status bring(filters *s, void *to, gpu_ptr from, size_t n)
{
  norn_state *st = gpu_state(s->g);
  void *p = norn_alloc(st, NULL, 0, n);
  norn_status status = p ? gpu_download(s->g, p, from, n) : norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  if (status) {
    norn_alloc(st, p, n, 0);
    p = NULL;
  }
  memcpy(to, &p, sizeof p);
  return status;
}

norn_status filters_fetch(filters *s, gpu_ptr logw, uint32_t k, double *to, uint16_t *of, uint16_t *eve)
{
  home *h = &s->at;
  size_t n = lanes(s), from = (size_t)k * s->each;
  norn_status status = h->logw ? NORN_OK : bring(s, &h->logw, logw, n * real_size(s));
  if (!status && !h->same) status = bring(s, &h->same, s->same, s->f * sizeof *h->same);
  if (!status && !h->of) status = bring(s, &h->of, s->of, 2 * n * sizeof *h->of);
  if (!status && !h->eve) status = bring(s, &h->eve, s->eve, 2 * n * sizeof *h->eve);
  if (status) return status;
  for (uint32_t i = 0; i < s->n; i++) {
    to[i] = h->same[k] ? 0 : s->f32 ? (double)((float *)h->logw)[from + i] : ((double *)h->logw)[from + i];
    for (int r = 0; r < 2; r++) {
      of[(size_t)r * s->n + i] = h->of[(size_t)r * n + from + i];
      eve[(size_t)r * s->n + i] = h->eve[(size_t)r * n + from + i];
    }
  }
  return NORN_OK;
}

/* The course of all, some rows at a time. */
static bool course_home(filters *s)
{
  size_t each = row_bytes(s);
  if (s->at.course) return true;
  char *to = norn_alloc(gpu_state(s->g), NULL, 0, s->used * each);
  if (!to) return norn_fail(gpu_state(s->g), NORN_EMEMORY, -1, "out of memory"), false;
  for (uint32_t k = 0; k < s->used; k += ROWS) {
    uint32_t n = s->used - k < ROWS ? s->used - k : ROWS;
    if (!gpu_download(s->g, to + k * each, s->course[k / ROWS], n * each)) continue;
    norn_alloc(gpu_state(s->g), to, s->used * each, 0);
    return false;
  }
  s->at.course = to;
  return true;
}

norn_status filters_course(filters *s, uint32_t k, filters_told *to)
{
  if (s->rows && !course_home(s)) return norn_error(gpu_state(s->g))->code;
  to->n = s->rows;
  to->stride = s->stride;
  for (uint32_t i = 0; i < s->rows; i++) {
    const char *row = s->at.course + s->row[i] * row_bytes(s);
    to->barrier[i] = s->barrier[i];
    memcpy(&to->ess[i], row + k * sizeof(double), sizeof(double));
    memcpy(&to->evidence[i], row + ((size_t)s->f + k) * sizeof(double), sizeof(double));
    uint32_t ancestors;
    memcpy(&ancestors, row + 2 * s->f * sizeof(double) + k * sizeof ancestors, sizeof ancestors);
    to->ancestors[i] = ancestors;
  }
  return NORN_OK;
}
