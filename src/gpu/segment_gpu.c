/* segment_gpu: see segment_gpu.h. */
#include "gpu/segment_gpu.h"
#include "dist/draws.h"
#include "graph/dialect.h"
#include "graph/op_functions.h"
#include "graph/op_text.h"
#include "graph/segment_text.h"
#include "num/lane_ops.h"
#include <stdio.h>
#include <string.h>

static const char lanes_text[] = {
#include "gpu/segment_lanes.inc"
  0
};

enum { THREADS = 256, WORDS = 500 };               /* WORDS: of a kernel's arguments, below 4 KiB */

typedef struct kernel {
  struct kernel *next;
  uint64_t hash;
  segment *shape;
  gpu_module *module;
  gpu_kernel *k;
} kernel;

/* Device memory that is used again: of its own, or, where it is small (the numbers of many populations, a vector for each
   step), cut from a slab: each allocation is a call of the driver. */
typedef struct piece { struct piece *next; gpu_ptr at; size_t bytes; bool lent, own; } piece;
typedef struct slab { struct slab *next; gpu_ptr at; size_t bytes, used; } slab;
enum { SMALL = 1 << 18, SLAB = 1 << 16, ALIGN = 256 };

typedef struct data { struct data *next; int64_t n; unsigned elem; uint64_t sum; gpu_ptr at; } data;

struct segment_gpu {
  gpu *g;
  weigher *w;                    /* of one population */
  filters *f;                    /* of many, then n is all lanes */
  uint32_t n, room, used, each;  /* used: lanes of a population that are particles */
  bool weighed, died;            /* of many: since the last barrier; one has no weight left */
  gpu_ptr streams;               /* of many; in `arrays` */
  bool f32;
  bool fresh;                    /* the weights are all the same */
  gpu_ptr logw[2];               /* now, and after the next leg */
  weigher_sums sums;
  kernel *kernels;
  piece *pieces;
  slab *slabs;
  float *stage;                  /* (nstage) numbers on their way there */
  size_t nstage;
  data *arrays;
  size_t held, free0;            /* bytes; that were free at first */
  segment_gpu_times *times;
  gpu_mark mark[2];
  char why[300];
};

static norn_state *state_of(const segment_gpu *s) { return gpu_state(s->g); }
static gpu_ptr address(const void *p) { return (gpu_ptr)(uintptr_t)p; }
static void *pointer(gpu_ptr p) { return (void *)(uintptr_t)p; }

/* ---- memory ---- */

static norn_status no_room(segment_gpu *s, size_t more)
{
  norn_state *st = state_of(s);
  double each = (double)(s->held + more) / s->n, fit = .95 * (double)s->free0 / each;
  norn_clear(st);
  if (s->each) {
    norn_fail(st, NORN_EMEMORY, -1, "%u filters of %u particles need more than %.3g GiB on the GPU, which had %.3g GiB free; "
              "%.2g filters would fit", (unsigned)(s->n / s->each), (unsigned)s->used, (double)(s->held + more) / 0x1p30,
              (double)s->free0 / 0x1p30, fit / s->each);
    norn_hint(st, "fewer filters, fewer particles, or precision = \"f32\"");
    return NORN_EMEMORY;
  }
  norn_fail(st, NORN_EMEMORY, -1, "%u particles need more than %.3g GiB on the GPU, which had %.3g GiB free; "
            "%.2g would fit", (unsigned)s->n, (double)(s->held + more) / 0x1p30, (double)s->free0 / 0x1p30,
            fit);
  norn_hint(st, "fewer particles, or precision = \"f32\"");
  return NORN_EMEMORY;
}

/* Slabs grow as what they hold does, so that there are few.  0: no room, or no memory of the host. */
static gpu_ptr cut(segment_gpu *s, size_t bytes)
{
  norn_state *st = state_of(s);
  size_t want = (bytes + ALIGN - 1) / ALIGN * ALIGN, all = 0;
  for (slab *b = s->slabs; b; b = b->next) all += b->bytes;
  if (!s->slabs || s->slabs->bytes - s->slabs->used < want) {
    slab *b = norn_alloc(st, NULL, 0, sizeof *b);
    if (!b) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), 0;
    *b = (slab){ s->slabs, 0, all > SLAB ? all : SLAB, 0 };
    if (b->bytes < want) b->bytes = want;
    if (!(b->at = gpu_alloc(s->g, b->bytes, "particles"))) {
      norn_alloc(st, b, sizeof *b, 0);
      return 0;
    }
    s->slabs = b;
    s->held += b->bytes;
  }
  s->slabs->used += want;
  return s->slabs->at + (s->slabs->used - want);
}

/* 0: error set. */
static gpu_ptr take(segment_gpu *s, size_t bytes)
{
  norn_state *st = state_of(s);
  bool small = s->f && bytes <= SMALL;
  for (piece *p = s->pieces; p; p = p->next)
    if (!p->lent && p->bytes == bytes) {
      p->lent = true;
      return p->at;
    }
  piece *p = norn_alloc(st, NULL, 0, sizeof *p);
  if (!p) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return 0;
  }
  *p = (piece){ s->pieces, small ? cut(s, bytes) : gpu_alloc(s->g, bytes, "particles"), bytes, true, !small };
  if (p->at) {
    s->pieces = p;
    if (p->own) s->held += bytes;
    return p->at;
  }
  norn_alloc(st, p, sizeof *p, 0);
  if (!gpu_lost(s->g)) no_room(s, bytes);
  return 0;
}

static void give(segment_gpu *s, gpu_ptr at)
{
  for (piece *p = s->pieces; p; p = p->next)
    if (p->at == at) p->lent = false;
}

/* ---- making ---- */

gpu *segment_gpu_device(const segment_gpu *s) { return s->g; }

segment_gpu *segment_gpu_new(gpu *g, uint32_t n, bool f32)
{
  norn_state *st = gpu_state(g);
  segment_gpu *s = norn_alloc(st, NULL, 0, sizeof *s);
  if (!s) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *s = (segment_gpu){ .g = g, .n = n, .f32 = f32, .fresh = true, .free0 = gpu_free_memory(g) };
  s->room = weigher_room_of(n);
  s->held = (size_t)s->room * weigher_each(f32);
  s->w = weigher_new(g, n, f32);
  if (!s->w && norn_error(st)->code == NORN_EMEMORY && !gpu_lost(g)) no_room(s, 0);
  for (int i = 0; s->w && i < 2; i++) s->logw[i] = weigher_logw(s->w, i);
  if (s->w) return s;
  segment_gpu_free(s);
  return NULL;
}

segment_gpu *segment_gpu_plate(gpu *g, uint32_t f, uint32_t n, uint32_t each, bool f32, weigher_how how, double threshold,
                               const uint64_t *stream)
{
  norn_state *st = gpu_state(g);
  segment_gpu *s = norn_alloc(st, NULL, 0, sizeof *s);
  if (!s) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *s = (segment_gpu){ .g = g, .n = f * each, .used = n, .each = each, .f32 = f32, .free0 = gpu_free_memory(g) };
  s->room = weigher_room_of(s->n);
  s->held = (size_t)s->n * filters_each(f32);
  s->f = filters_new(g, f, n, each, f32, how, threshold, stream);
  if (!s->f && norn_error(st)->code == NORN_EMEMORY && !gpu_lost(g)) no_room(s, 0);
  for (int i = 0; s->f && i < 2; i++) s->logw[i] = filters_logw(s->f, i);
  if (s->f) return s;
  segment_gpu_free(s);
  return NULL;
}

static void kernel_free(segment_gpu *s, kernel *k)
{
  gpu_module_free(k->module);
  segment_free(k->shape);
  norn_alloc(state_of(s), k, sizeof *k, 0);
}

void segment_gpu_free(segment_gpu *s)
{
  if (!s) return;
  norn_state *st = state_of(s);
  while (s->kernels) {
    kernel *k = s->kernels;
    s->kernels = k->next;
    kernel_free(s, k);
  }
  while (s->pieces) {
    piece *p = s->pieces;
    s->pieces = p->next;
    if (p->own) gpu_release(s->g, p->at);
    norn_alloc(st, p, sizeof *p, 0);
  }
  while (s->slabs) {
    slab *b = s->slabs;
    s->slabs = b->next;
    gpu_release(s->g, b->at);
    norn_alloc(st, b, sizeof *b, 0);
  }
  norn_alloc(st, s->stage, s->nstage * sizeof *s->stage, 0);
  while (s->arrays) {
    data *d = s->arrays;
    s->arrays = d->next;
    gpu_release(s->g, d->at);
    norn_alloc(st, d, sizeof *d, 0);
  }
  for (int i = 0; i < 2; i++) gpu_mark_free(&s->mark[i]);
  weigher_free(s->w);
  filters_free(s->f);
  norn_alloc(st, s, sizeof *s, 0);
}

/* ---- the text ---- */

static const char *const functions[] = {
#define F(name, value, slope) #name,
  OP_FUNCTIONS(F, 0, 0, 0, 0)
#undef F
  "log", "log1p", "expm1"
};

/* NULL, or the name of what has no form on a device. */
static const char *lacks(const segment *s)
{
  int np;
  for (size_t i = 0; i < s->nop; i++) {
    const segment_op *o = &s->op[i];
    if (o->op == S_MAP && lane_map_of(o->fun) < 0) {
      bool known = false;
      for (int k = 0; k < NORN_COUNT(functions); k++) known |= !strcmp(o->name, functions[k]);
      if (!known) return o->name;
    }
    if (o->op != S_DRAW && o->op != S_LOGP && o->op != S_GOOD) continue;
    const char *family = op_text_family(o->row, &np);
    if (!family || np < 0) return o->row->name;
    if (o->op == S_DRAW && !segment_draws(o->row) && strcmp(family, o->row->name)) return o->row->name;
  }
  return NULL;
}

static unsigned some(size_t n) { return n ? (unsigned)n : 1; }

bool segment_gpu_text(const segment *s, bool f32, bool plate, text *prologue, text *body)
{
  /* the macros of CPUs, which the dialect ends in, are not wanted */
  text_printf(prologue, "#define NORN_SEGMENT_KERNEL_H\n#define BLOCK_NO_KERNELS\n%s",
              s->nfun ? "#define NORN_OP_FUNCTIONS\n" : "");
  text_put(prologue, dialect_text(f32), dialect_size(f32));
  text_put(prologue, block_text(), strlen(block_text()));
  text_printf(prologue, "#define SEG_SLOTS %u\n#define SEG_INS %u\n#define SEG_OUTS %u\n#define SEG_MAPS %u\n"
              "#define SEG_ARRAYS %u\n", some(s->nslot), some(s->nin), some(s->nout), some(s->nmap),
              some(s->narray));
  if (plate) text_printf(prologue, "#define SEG_PLATES %u\n", some(s->nplate));
  text_put(prologue, lanes_text, sizeof lanes_text - 1);
  text_printf(prologue, "\n");
  segment_text(body, s);
  return !prologue->failed && !body->failed;
}

/* ---- kernels ---- */

static kernel *compile(segment_gpu *s, const segment *seg, uint64_t hash)
{
  norn_state *st = state_of(s);
  mem m;
  text prologue, body;
  kernel *k = norn_alloc(st, NULL, 0, sizeof *k);
  if (!k) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *k = (kernel){ .hash = hash, .shape = segment_shape(seg) };
  mem_init(&m);
  text_init(&prologue, &m);
  text_init(&body, &m);
  if (!k->shape || !segment_gpu_text(seg, s->f32, s->f != NULL, &prologue, &body))
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  else {
    gpu_text t = { "particles", prologue.s, body.s, GPU_HOT };
    k->module = gpu_module_new(s->g, &t);
    k->k = k->module ? gpu_kernel_of(k->module, "norn_segment") : NULL;
  }
  text_free(&prologue);
  text_free(&body);
  if (k->k) {
    k->next = s->kernels;
    return s->kernels = k;
  }
  kernel_free(s, k);
  return NULL;
}

static kernel *kernel_for(segment_gpu *s, const segment *seg)
{
  uint64_t hash = segment_hash(seg);
  for (kernel *k = s->kernels; k; k = k->next)
    if (k->hash == hash && segment_same(k->shape, seg)) return k;
  return compile(s, seg, hash);
}

/* ---- arrays of the program ---- */

static uint64_t sum_of(const void *p, size_t n)
{
  const unsigned char *b = p;
  uint64_t h = 0xcbf29ce484222325u, word;
  for (; n >= 8; b += 8, n -= 8) {
    memcpy(&word, b, 8);
    h = (h ^ word) * 0x100000001b3u;
    h ^= h >> 29;
  }
  for (; n; b++, n--) h = (h ^ *b) * 0x100000001b3u;
  return h;
}

static size_t elem_size(unsigned elem) { return elem == NORN_B8 ? 1 : 8; }

/* The array on the device: the same content is put there once.  0: error set. */
static gpu_ptr array_at(segment_gpu *s, const segment_array *a)
{
  norn_state *st = state_of(s);
  size_t bytes = (size_t)a->n * elem_size(a->elem);
  uint64_t sum = sum_of(a->at, bytes);
  for (data *d = s->arrays; d; d = d->next)
    if (d->n == a->n && d->elem == a->elem && d->sum == sum) return d->at;
  data *d = norn_alloc(st, NULL, 0, sizeof *d);
  if (!d) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), 0;
  *d = (data){ s->arrays, a->n, a->elem, sum, gpu_alloc(s->g, bytes + 8, "an array") };
  bool good = d->at != 0;
  if (good && s->f32 && a->elem == NORN_F64) {
    const double *x = a->at;
    float f[1024];
    for (int64_t i = 0; i < a->n && good; i += 1024) {
      int64_t m = a->n - i < 1024 ? a->n - i : 1024;
      for (int64_t j = 0; j < m; j++) f[j] = (float)x[i + j];
      good = !gpu_upload(s->g, d->at + (gpu_ptr)i * sizeof *f, f, (size_t)m * sizeof *f);
    }
  } else if (good) good = !gpu_upload(s->g, d->at, a->at, bytes);
  if (good) {
    s->arrays = d;
    return d->at;
  }
  gpu_release(s->g, d->at);
  norn_alloc(st, d, sizeof *d, 0);
  return 0;
}

/* Streams of populations, which are put there once: they stay what and where they are. */
static gpu_ptr streams_at(segment_gpu *s, const uint64_t *stream, uint32_t n)
{
  if (!s->streams) s->streams = array_at(s, &(segment_array){ stream, n, NORN_I64 });
  return s->streams;
}

/* ---- a run ---- */

static uint64_t halves(uint32_t low, uint32_t high) { return (uint64_t)high << 32 | low; }

static gpu_ptr flags_at(const segment_gpu *s) { return s->f ? filters_flags(s->f) : weigher_flags(s->w); }

/* Blocks of a population, and their threads: two lanes each. */
typedef struct blocks { uint32_t rounds; int threads; } blocks;
static blocks blocks_of(const segment_gpu *s)
{
  uint32_t threads = (s->used + 15) / 16 * 8, rounds = (threads + THREADS - 1) / THREADS;
  return (blocks){ rounds, (int)(((threads + rounds - 1) / rounds + 31) / 32 * 32) };
}

/* The last of them, of a plate. */
static bool plate_arguments(segment_gpu *s, const segment_call *c, uint64_t *word)
{
  gpu_ptr streams = streams_at(s, c->streams, c->plates);
  *word++ = streams;
  *word++ = filters_same(s->f);
  *word++ = halves(s->each, blocks_of(s).rounds);
  for (size_t i = 0; i < c->s->nplate; i++) word[i] = address(c->s->plate[i].at);
  return streams != 0;
}

/* The words of seg_args; 0: error set (or too many: then none is). */
static size_t arguments(segment_gpu *s, const segment_call *c, uint64_t *word)
{
  const segment *g = c->s;
  size_t n = 6 + some(g->nslot) + some(g->nin) + some(g->nout) + some(g->nmap) + 2 * some(g->narray) +
             (s->f ? 3 + some(g->nplate) : 0);
  if (n > WORDS) return 0;
  memset(word, 0, n * sizeof *word);
  *word++ = c->stream;
  *word++ = halves(c->iter, s->f ? s->used : c->n);
  *word++ = halves(s->room, s->fresh);
  *word++ = s->logw[0];
  *word++ = s->logw[1];
  *word++ = flags_at(s);
  for (size_t i = 0; i < g->nslot; i++) word[i] = g->slot[i].u;
  word += some(g->nslot);
  for (size_t i = 0; i < g->nin; i++) word[i] = address(g->in[i].at);
  word += some(g->nin);
  for (size_t i = 0; i < g->nout; i++) word[i] = address(g->out[i].at);
  word += some(g->nout);
  for (size_t i = 0; i < g->nmap; i++) word[i] = address(g->map[i]);
  word += some(g->nmap);
  for (size_t i = 0; i < g->narray; i++) {
    if (!(word[2 * i] = array_at(s, &g->array[i]))) return 0;
    word[2 * i + 1] = (uint64_t)g->array[i].n;
  }
  word += 2 * some(g->narray);
  return !s->f || plate_arguments(s, c, word) ? n : 0;
}

/* From the mark before to now is of *part. */
static void timed(segment_gpu *s, double *part)
{
  if (!s->times) return;
  if (!gpu_mark_put(s->g, &s->mark[1])) *part += gpu_seconds(&s->mark[0], &s->mark[1]);
  gpu_mark_put(s->g, &s->mark[0]);
}

static void timing_begins(segment_gpu *s)
{
  if (s->times) gpu_mark_put(s->g, &s->mark[0]);
}

/* Flags of a segment that weighs nothing. */
static norn_status flags_of(segment_gpu *s, unsigned *flags)
{
  uint32_t f = 0;
  norn_status status = gpu_download(s->g, &f, flags_at(s), sizeof f);
  if (!status && f) status = gpu_fill(s->g, flags_at(s), 0, sizeof f);
  s->died |= s->f && f & filters_dead_flag();
  *flags = f & (SEGMENT_AGAIN | SEGMENT_DYING);
  return status;
}

static void turn(segment_gpu *s)
{
  gpu_ptr was = s->logw[0];
  s->logw[0] = s->logw[1];
  s->logw[1] = was;
}

/* Of many populations: weights are added up at the barrier. */
static norn_status weighed_all(segment_gpu *s, unsigned *flags)
{
  norn_status status = flags_of(s, flags);
  if (status || *flags & SEGMENT_AGAIN) return status;
  turn(s);
  s->weighed = true;
  return NORN_OK;
}

static norn_status launch(segment_gpu *s, const segment_call *c, const kernel *k, uint64_t *word)
{
  int64_t threads = ((int64_t)c->n + 15) / 16 * 8;
  if (!s->f) return gpu_launch(s->g, k->k, (threads + THREADS - 1) / THREADS, THREADS, 0, GPU_ARGS(word));
  blocks own = blocks_of(s);
  /* what a leg has weighed counts when it weighs once more */
  norn_status status = s->weighed ? gpu_fill(s->g, filters_same(s->f), 0, c->plates * sizeof(uint32_t)) : NORN_OK;
  return status ? status : gpu_launch(s->g, k->k, (int64_t)c->plates * own.rounds, own.threads, 0, GPU_ARGS(word));
}

static norn_status weighed(segment_gpu *s, unsigned *flags)
{
  weigher_sums sums;
  norn_status status = weigher_weigh(s->w, s->logw[1]);
  timed(s, s->times ? &s->times->sums : NULL);
  if (!status) status = weigher_look(s->w, &sums);
  if (status) return status;
  *flags = sums.flags;
  if (sums.flags & SEGMENT_AGAIN) return NORN_OK;
  turn(s);
  s->sums = sums;
  s->fresh = false;
  return NORN_OK;
}

static segment_status run(void *self, segment_call *c)
{
  segment_gpu *s = self;
  uint64_t word[WORDS];
  const char *without = lacks(c->s);
  if (without) {
    snprintf(s->why, sizeof s->why, "%s has no form on the GPU", without);
    return SEGMENT_NEVER;
  }
  kernel *k = kernel_for(s, c->s);
  if (!k) return SEGMENT_FAILED;
  if (!arguments(s, c, word)) {
    snprintf(s->why, sizeof s->why, "a leg has too many operations for one kernel");
    return norn_error(state_of(s))->code ? SEGMENT_FAILED : SEGMENT_NEVER;
  }
  timing_begins(s);
  norn_status status = launch(s, c, k, word);
  timed(s, s->times ? &s->times->propagate : NULL);
  if (!status) status = !c->s->nweigh ? flags_of(s, &c->flags) : s->f ? weighed_all(s, &c->flags) : weighed(s, &c->flags);
  if (s->times) s->times->legs++;
  return status ? SEGMENT_FAILED : SEGMENT_RAN;
}

static void why(void *self, char *to, size_t n) { snprintf(to, n, "%s", ((segment_gpu *)self)->why); }

/* ---- buffers ---- */

static void *buffer_new(void *self, uint32_t n)
{
  segment_gpu *s = self;
  return pointer(take(s, (size_t)weigher_room_of(n) * sizeof(segment_cell)));
}

static void put_back(void *self, void *p) { give(self, address(p)); }

/* Bytes of a number on the device. */
static size_t width(const segment_gpu *s, unsigned kind)
{
  return kind == NORN_BOOL ? 1 : kind == NORN_REAL && s->f32 ? sizeof(float) : 8;
}

/* Narrow numbers come to lie at the end of `to`, and are widened from there. */
static bool buffer_read(void *self, const void *buffer, uint32_t n, unsigned kind, segment_cell *to)
{
  segment_gpu *s = self;
  size_t each = width(s, kind);
  const char *at = (char *)to + n * (sizeof *to - each);
  if (gpu_download(s->g, (char *)to + n * (sizeof *to - each), address(buffer), n * each)) return false;
  for (uint32_t i = 0; i < n && each < 8; i++, at += each) {
    float f;
    if (kind == NORN_BOOL) to[i].i = *at != 0;
    else {
      memcpy(&f, at, sizeof f);
      to[i].d = f;
    }
  }
  return true;
}

static bool buffer_write(void *self, void *buffer, uint32_t n, unsigned kind, const segment_cell *from)
{
  segment_gpu *s = self;
  size_t each = width(s, kind);
  if (each == 8) return !gpu_upload(s->g, address(buffer), from, n * each);
  if (s->nstage < n) {                             /* floats or bytes: one copy of all */
    float *more = norn_alloc(state_of(s), s->stage, s->nstage * sizeof *more, n * sizeof *more);
    if (!more) return norn_fail(state_of(s), NORN_EMEMORY, -1, "out of memory"), false;
    s->stage = more;
    s->nstage = n;
  }
  unsigned char *b = (unsigned char *)s->stage;
  if (kind == NORN_BOOL) for (uint32_t i = 0; i < n; i++) b[i] = from[i].i != 0;
  else for (uint32_t i = 0; i < n; i++) s->stage[i] = (float)from[i].d;
  return !gpu_upload(s->g, address(buffer), s->stage, n * each);
}

/* ---- maps: of n entries, or of a resampling: two halves ---- */

static gpu_ptr map_take(segment_gpu *s)
{
  return take(s, s->f ? s->n * sizeof(uint32_t) : weigher_map_size(s->w));
}

static void *map_new(void *self, const uint32_t *map, uint32_t n)
{
  segment_gpu *s = self;
  gpu_ptr p = map_take(s);
  if (p && gpu_upload(s->g, p, map, n * sizeof *map)) {
    give(s, p);
    p = 0;
  }
  return pointer(p);
}

static void *map_compose(void *self, const void *map, const void *further, uint32_t n)
{
  segment_gpu *s = self;
  gpu_ptr p = map_take(s);
  if (p && (s->f ? filters_compose(s->f, address(further), address(map), p)
                 : weigher_map_compose(s->w, address(further), address(map), n, p))) {
    give(s, p);
    p = 0;
  }
  return pointer(p);
}

static bool map_read(void *self, const void *map, uint32_t n, uint32_t *to)
{
  segment_gpu *s = self;
  if (s->f) return !gpu_download(s->g, to, address(map), n * sizeof *to);
  return !weigher_map_read(s->w, address(map), n, to);
}

const segment_backend segment_gpu_backend = {
  .name = "gpu",
  .keeps_weights = true,
  .run = run,
  .why = why,
  .buffer_new = buffer_new,
  .buffer_free = put_back,
  .buffer_read = buffer_read,
  .buffer_write = buffer_write,
  .map_new = map_new,
  .map_compose = map_compose,
  .map_read = map_read,
  .map_free = put_back
};

/* ---- weights ---- */

norn_status segment_gpu_sums(segment_gpu *s, weigher_sums *to)
{
  norn_status status = NORN_OK;
  if (s->fresh) {
    status = weigher_clear(s->w, s->logw[0]);
    if (!status) status = weigher_weigh(s->w, s->logw[0]);
    if (!status) status = weigher_look(s->w, &s->sums);
    s->fresh = status != NORN_OK;
  }
  *to = s->sums;
  return status;
}

norn_status segment_gpu_logw(segment_gpu *s, double *to)
{
  if (!s->fresh) return weigher_get_logw(s->w, s->logw[0], to);
  memset(to, 0, s->n * sizeof *to);
  return NORN_OK;
}

norn_status segment_gpu_add(segment_gpu *s, const double *more)
{
  norn_state *st = state_of(s);
  double *logw = norn_alloc(st, NULL, 0, s->n * sizeof *logw);
  if (!logw) return norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  norn_status status = segment_gpu_logw(s, logw);
  for (uint32_t i = 0; i < s->n && !status; i++) if (logw[i] > -HUGE_VAL) logw[i] += more[i];
  if (!status) status = weigher_put_logw(s->w, s->logw[0], logw);
  if (!status) status = weigher_weigh(s->w, s->logw[0]);
  if (!status) status = weigher_look(s->w, &s->sums);
  if (!status) s->fresh = false;
  norn_alloc(st, logw, s->n * sizeof *logw, 0);
  return status;
}

void *segment_gpu_resample(segment_gpu *s, weigher_how how, double u, uint64_t stream, uint32_t iter)
{
  gpu_ptr map = map_take(s);
  if (!map) return NULL;
  timing_begins(s);
  if (!weigher_ancestors(s->w, s->logw[0], how, u, stream, iter, map)) {
    timed(s, s->times ? &s->times->ancestors : NULL);
    s->fresh = true;
    return pointer(map);
  }
  give(s, map);
  return NULL;
}

gpu_ptr segment_gpu_eves(segment_gpu *s)
{
  gpu_ptr p = take(s, (size_t)s->room * sizeof(uint32_t));
  if (p && weigher_map_compose(s->w, 0, 0, s->n, p)) {
    give(s, p);
    return 0;
  }
  return p;
}

norn_status segment_gpu_inherit(segment_gpu *s, const void *map, gpu_ptr x)
{
  timing_begins(s);
  norn_status status = weigher_inherit(s->w, address(map), x);
  timed(s, s->times ? &s->times->rest : NULL);
  return status;
}

/* ---- populations side by side ---- */

void *segment_gpu_barrier(segment_gpu *s, uint32_t iter, bool last)
{
  gpu_ptr map = last ? 0 : map_take(s);
  if (!last && !map) return NULL;
  timing_begins(s);
  norn_status status = filters_barrier(s->f, s->logw[0], s->weighed, iter, map);
  timed(s, s->times ? &s->times->ancestors : NULL);
  s->weighed = false;
  if (!status) return pointer(map);
  if (map) give(s, map);
  return NULL;
}

bool segment_gpu_died(segment_gpu *s, bool look)
{
  unsigned flags;
  if (look && !s->died) (void)flags_of(s, &flags);
  return s->died;
}

filters *segment_gpu_filters(segment_gpu *s) { return s->f; }
gpu_ptr segment_gpu_weights(const segment_gpu *s) { return s->logw[0]; }

/* ---- reports ---- */

void segment_gpu_timing(segment_gpu *s, segment_gpu_times *t)
{
  s->times = t;
  if (t) *t = (segment_gpu_times){ 0 };
}

void segment_gpu_look(const segment_gpu *s, int *kernels, size_t *bytes)
{
  *kernels = 0;
  for (kernel *k = s->kernels; k; k = k->next) ++*kernels;
  *bytes = s->held;
}
