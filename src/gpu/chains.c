/* chains: many chains of Hamiltonian dynamics on a GPU (chains.h): memory, launches, the table. */
#include "gpu/chains.h"
#include "graph/dialect.h"
#include "graph/program.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_CHAINS = 64, WORK = 7, TOLD = 6, WARP = 32 };   /* as chains_text.c has them */

typedef struct gpu_chains {
  gpu *g;
  norn_state *st;
  gpu_module *module;
  gpu_kernel *put, *paths, *end, *told, *part, *mean;
  gpu_arena arena;
  int64_t chains, n, chunks, stride;
  uint64_t stream;
  bool f32;
  int T, threads;                      /* to a chain, to a block */
  int64_t blocks;
  size_t shared;
  gpu_ptr D, I, room, q, gradient, q1, g1, w1, logp, logp1, scale, work, stat, means, parts, numbers;
  double *host; float *floats;         /* (chains, n) */
} gpu_chains;

static size_t real_size(bool f32) { return f32 ? sizeof(float) : sizeof(double); }

/* ---- what can be, and how ----------------------------------------------------------------------- */

const char *gpu_chains_lacks(const program *p, char *why, size_t n)
{
  const char *lacks = p->nguard ? "a branch on a parameter" : density_code_lacks(p);
  if (!lacks) return NULL;
  snprintf(why, n, "%s", lacks);
  return why;
}

/* The longest loop of elements. */
static uint32_t longest(const program *p)
{
  uint32_t n = 1;
  for (size_t i = 0; i < p->nfast; i++)
    if (p->fast[i].op != G_SCAN && p->fast[i].n > n) n = p->fast[i].n;
  return n;
}

/* Warps of a multiprocessor at once: by shared memory (threads 1: by the cache that it is part of), and by how
   many there are. */
static double warps_of(const gpu_info *info, const density_code *c, int64_t chains, int T, bool f32)
{
  double memory = (double)(c->room + c->ninput + 16) * (double)real_size(f32) * (WARP / T) + 1024;
  return fmin(fmin((double)info->shared_sm / memory, 64), (double)chains * T / WARP / info->sms);
}

/* What all threads of a chain do alike costs more with more of them: as few as hide the latencies, which WARPS
   warps of a multiprocessor do; no more than half of the elements of the longest loop. */
int gpu_chains_threads(const gpu_info *info, const program *p, int64_t chains, bool f32)
{
  enum { WARPS = 16 };
  density_code c;
  int64_t n = longest(p);
  int T = 1, best = 1;
  double most = 0;
  bool good = density_code_new(p, 8, f32, &c);
  for (; good && T <= WARP && (T == 1 || 2 * T <= n); T *= 2) {
    double warps = fmin(warps_of(info, &c, chains, T, f32), WARPS);
    if (warps <= 1.05 * most) continue;
    most = warps;
    best = T;
  }
  density_code_free(&c);
  return best;
}

/* Numbers of a chain's memory, and between those of two so that neighbours meet no bank twice. */
static uint32_t step_of(const density_code *c, bool f32)
{
  uint32_t n = c->room + c->ninput, banks = f32 ? 32 : 16, T = (uint32_t)c->threads;
  if (T >= banks) return n;
  while (n % banks != T) n++;
  return n;
}

/* ---- making ------------------------------------------------------------------------------------- */

static norn_status module_make(gpu_chains *e, const density_code *c, uint32_t step, unsigned flags)
{
  static const char before[] = "#define NORN_OP_FUNCTIONS\n#define NORN_MEMO\n";
  mem m;
  text prologue, body;
  mem_init(&m);
  text_init(&prologue, &m);
  text_init(&body, &m);
  text_puts(&prologue, before);
  text_put(&prologue, dialect_text(e->f32), dialect_size(e->f32));
  bool good = gpu_chains_text(&body, c, step, e->shared > 0) && !prologue.failed;
  if (!good) norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
  else e->module = gpu_module_new(e->g, &(gpu_text){"chains", prologue.s, body.s, flags});
  text_free(&prologue);
  text_free(&body);
  if (!e->module) return norn_error(e->st)->code;
  struct { const char *name; gpu_kernel **to; } all[] = {
    {"chains_put", &e->put}, {"chains_paths", &e->paths}, {"chains_end", &e->end},
    {"chains_told", &e->told}, {"chains_part", &e->part}, {"chains_mean", &e->mean}};
  for (int i = 0; i < NORN_COUNT(all); i++)
    if (!(*all[i].to = gpu_kernel_of(e->module, all[i].name))) return norn_error(e->st)->code;
  return NORN_OK;
}

/* Where the memory of chains is: in shared memory, if a warp's fits twice; how large blocks are. */
static void shape_make(gpu_chains *e, const density_code *c, uint32_t step)
{
  const gpu_info *info = gpu_info_of(e->g);
  size_t chain = step * real_size(e->f32), warp = chain * (size_t)(WARP / e->T);
  e->threads = 128;
  e->shared = 0;
  if (c->threads > 1 && warp <= info->shared_most && 2 * warp <= info->shared_sm) {
    while (e->threads > WARP && (size_t)e->threads / WARP * warp > info->shared_sm / 6) e->threads /= 2;
    e->shared = (size_t)e->threads / WARP * warp;
  }
  int64_t per = e->threads / e->T;
  e->blocks = (e->chains + per - 1) / per;
  e->stride = e->blocks * per;
}

static norn_status upload_reals(gpu_chains *e, gpu_ptr to, const double *x, size_t n)
{
  if (!e->f32) return gpu_upload(e->g, to, x, n * sizeof *x);
  float *f = norn_alloc(e->st, NULL, 0, (n + 1) * sizeof *f);
  if (!f) return norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
  for (size_t i = 0; i < n; i++) f[i] = (float)x[i];
  norn_status s = gpu_upload(e->g, to, f, n * sizeof *f);
  norn_alloc(e->st, f, (n + 1) * sizeof *f, 0);
  return s;
}

static norn_status memory_make(gpu_chains *e, const density_code *c, uint32_t step)
{
  size_t real = real_size(e->f32), n = (size_t)e->n, wide = sizeof(double), rows = (size_t)e->chains;
  size_t room = e->shared ? 1 : (size_t)e->stride * step;
  size_t parts = (size_t)e->chunks * (n + 1) * wide;
  struct { gpu_ptr *to; size_t bytes; } all[] = {
    {&e->D, (c->ndata + 1) * real}, {&e->I, (c->nindex + 1) * sizeof(uint32_t)}, {&e->room, room * real},
    {&e->scale, n * real}, {&e->means, 4 * n * wide}, {&e->parts, parts}, {&e->numbers, TOLD * wide},
    {&e->q, rows * n * real}, {&e->gradient, rows * n * real}, {&e->q1, rows * n * real},
    {&e->g1, rows * n * real}, {&e->w1, rows * n * real}, {&e->logp, rows * wide},
    {&e->logp1, rows * wide}, {&e->work, rows * WORK * wide}, {&e->stat, rows * CHAINS_STATS * wide}};
  size_t each = (5 * n + (e->shared ? 0 : step)) * real + (2 + WORK + CHAINS_STATS) * wide, fixed = 0;
  for (int i = 0; i < 7; i++) fixed += i == 2 ? 0 : all[i].bytes;
  fixed += (NORN_COUNT(all) + 2) * 256 + (e->shared ? 0 : (size_t)(e->stride - e->chains) * step * real);
  norn_status s = gpu_arena_new(e->g, &e->arena, fixed, each, e->chains, "chains");
  for (int i = 0; i < NORN_COUNT(all) && !s; i++)
    if (!(*all[i].to = gpu_arena_get(&e->arena, all[i].bytes))) s = norn_error(e->st)->code;
  if (!s) s = upload_reals(e, e->D, c->data, c->ndata);
  if (!s && c->nindex) s = gpu_upload(e->g, e->I, c->index, c->nindex * sizeof *c->index);
  if (!s) s = gpu_fill(e->g, e->stat, 0, rows * CHAINS_STATS * wide);
  return s;
}

static void chains_free(void *self)
{
  gpu_chains *e = self;
  gpu_arena_free(&e->arena);
  gpu_module_free(e->module);
  norn_alloc(e->st, e->host, (size_t)(e->chains * e->n + 1) * sizeof *e->host, 0);
  norn_alloc(e->st, e, sizeof *e, 0);
}

/* ---- the table ---------------------------------------------------------------------------------- */

static norn_status chains_put(void *self, const double *q, bool *good)
{
  gpu_chains *e = self;
  norn_status s = upload_reals(e, e->q, q, (size_t)(e->chains * e->n));
  if (!s)
    s = gpu_launch(e->g, e->put, e->blocks, e->threads, e->shared,
                   GPU_ARGS(&e->chains, &e->D, &e->I, &e->room, &e->stride, &e->q, &e->gradient, &e->logp));
  if (!s) s = gpu_download(e->g, e->host, e->logp, (size_t)e->chains * sizeof *e->host);
  for (int64_t c = 0; c < e->chains && !s; c++) good[c] = fabs(e->host[c]) < HUGE_VAL;
  return s;
}

static norn_status chains_metric(void *self, const double *scale)
{
  gpu_chains *e = self;
  return upload_reals(e, e->scale, scale, (size_t)e->n);
}

/* Means over chains, or squares about `mean`, of x into out (n); counts: only of chains that did not
   diverge. */
static norn_status mean_of(gpu_chains *e, gpu_ptr x, gpu_ptr mean, int counts, gpu_ptr out)
{
  int centred = mean != 0;
  norn_status s = gpu_launch(e->g, e->part, e->chunks, 128, 0,
                             GPU_ARGS(&e->chains, &x, &mean, &centred, &e->work, &counts, &e->parts));
  if (s) return s;
  return gpu_launch(e->g, e->mean, (e->n + 127) / 128, 128, 0, GPU_ARGS(&e->chunks, &e->parts, &out));
}

static norn_status chains_transition(void *self, const chains_ask *ask, chains_told *told)
{
  gpu_chains *e = self;
  double t[TOLD];
  int learn = ask->learn, trial = ask->trial;
  uint32_t iter = ask->iter;
  int64_t steps = ask->steps;
  double step = ask->step, least = ask->least;
  *told = (chains_told){0};
  norn_status s = gpu_launch(e->g, e->paths, e->blocks, e->threads, e->shared,
    GPU_ARGS(&e->chains, &e->D, &e->I, &e->room, &e->stride, &e->q, &e->gradient, &e->q1, &e->g1, &e->w1,
             &e->logp, &e->logp1, &e->scale, &e->work, &e->stream, &iter, &steps, &step));
  if (!s && learn) s = mean_of(e, e->q, 0, 1, e->means);
  if (!s && learn) s = mean_of(e, e->q1, 0, 1, e->means + (gpu_ptr)e->n * sizeof(double));
  if (!s)
    s = gpu_launch(e->g, e->end, e->blocks, e->threads, 0,
      GPU_ARGS(&e->chains, &e->q, &e->gradient, &e->q1, &e->g1, &e->w1, &e->logp, &e->logp1, &e->scale,
               &e->means, &e->work, &e->stat, &e->stream, &iter, &learn, &trial));
  if (!s) s = gpu_launch(e->g, e->told, 1, 256, 0, GPU_ARGS(&e->chains, &e->work, &least, &e->numbers));
  if (!s) s = gpu_download(e->g, t, e->numbers, sizeof t);
  if (s) return s;
  told->accept = t[0] / (double)e->chains;
  told->harmonic = (double)e->chains / t[1];
  told->slope = t[0] > 0 ? t[2] / t[0] : 0;
  told->criterion = t[0] > 0 ? t[5] / t[0] : 0;
  told->moved = (int64_t)t[3];
  told->diverged = (int64_t)t[4];
  return NORN_OK;
}

static norn_status chains_moments(void *self, double *m)
{
  gpu_chains *e = self;
  gpu_ptr x[] = {e->q, e->gradient}, at = e->means;
  size_t n = (size_t)e->n * sizeof(double);
  norn_status s = NORN_OK;
  for (int i = 0; i < 2 && !s; i++, at += 2 * n) {
    s = mean_of(e, x[i], 0, 0, at);
    if (!s) s = mean_of(e, x[i], at, 0, at + n);
  }
  return s ? s : gpu_download(e->g, m, e->means, 4 * n);
}

static norn_status chains_read(void *self, double *q, double *stat)
{
  gpu_chains *e = self;
  size_t n = (size_t)(e->chains * e->n);
  norn_status s = NORN_OK;
  if (q && !e->f32) s = gpu_download(e->g, q, e->q, n * sizeof *q);
  else if (q) {
    float *f = (float *)(void *)e->host;
    s = gpu_download(e->g, f, e->q, n * sizeof *f);
    for (size_t i = 0; i < n && !s; i++) q[i] = f[i];
  }
  if (stat && !s) s = gpu_download(e->g, stat, e->stat, (size_t)(e->chains * CHAINS_STATS) * sizeof *stat);
  return s;
}

static const chains_ops ops_gpu = {
  .name = "gpu", .put = chains_put, .metric = chains_metric, .transition = chains_transition,
  .moments = chains_moments, .read = chains_read, .free = chains_free};

static norn_status chains_make(gpu_chains *e, const program *p, const gpu_chains_wish *w)
{
  density_code c;
  norn_status s = NORN_OK;
  if (!density_code_new(p, e->T, e->f32, &c))
    s = *c.why ? norn_fail(e->st, NORN_EUSE, -1, "no GPU: %s has no code for it", c.why)
               : norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
  if (!s) {
    uint32_t step = step_of(&c, e->f32);
    shape_make(e, &c, step);
    s = module_make(e, &c, step, w->flags | (w->threads ? 0 : GPU_HOT));       /* forced numbers may spill */
    if (!s && e->shared) {
      s = gpu_kernel_shared(e->g, e->put, e->shared);
      if (!s) s = gpu_kernel_shared(e->g, e->paths, e->shared);
    }
    if (!s) s = memory_make(e, &c, step);
  }
  density_code_free(&c);
  return s;
}

norn_status gpu_chains_new(gpu *g, const program *p, int64_t chains, uint64_t stream,
                           const gpu_chains_wish *w, chains_run *out)
{
  norn_state *st = gpu_state(g);
  gpu_chains *e = norn_alloc(st, NULL, 0, sizeof *e);
  if (!e) return norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  *e = (gpu_chains){.g = g, .st = st, .chains = chains, .n = (int64_t)p->ninput, .stream = stream,
                    .f32 = w->f32, .chunks = (chains + CHUNK_CHAINS - 1) / CHUNK_CHAINS};
  e->T = w->threads ? w->threads : gpu_chains_threads(gpu_info_of(g), p, chains, w->f32);
  e->host = norn_alloc(st, NULL, 0, (size_t)(chains * e->n + 1) * sizeof *e->host);
  norn_status s = e->host ? chains_make(e, p, w) : norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  if (s) {
    chains_free(e);
    return s;
  }
  *out = (chains_run){&ops_gpu, e};
  return NORN_OK;
}
