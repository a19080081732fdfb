/* segment_cc: segments by the C compiler (segment_cc.h): the dialect and a segment's text become a shared
   object (cc.h), found again by the segment's structure.  A run goes over all lanes, or over pieces of them
   in threads: lanes do not meet, so that the numbers are the same. */
#include "graph/segment_cc.h"
#include "base/pool.h"
#include "graph/cc.h"
#include "graph/dialect.h"
#include "graph/segment_text.h"
#include "num/level.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PIECE: lanes of one at least; SHAPES: structures that are compiled, at most. */
enum { THREADS = 64, PIECE = 2048, SHAPES = 64 };
/* A compiler is started when lanes times operations were as many: about a second of lanes, which ask every 64th
   time.  (It takes about a second itself; measured: 1 ns for an operation of a lane.) */
#define WORTH (1e9 / 64)

/* As generated code has it (segment_kernel.h). */
typedef struct array_arg { const void *at; int64_t n; } array_arg;
typedef struct args {
  const segment_cell *slot, *plate;
  const void *const *in;
  void *const *out;
  const uint32_t *const *map;
  const array_arg *array;
  double *weights;
  uint64_t stream;
  uint32_t iter, n;
  void (*each)(const struct args *, unsigned op, uint32_t event, uint32_t k, uint32_t m, const double *p,
               double *out);
  const void *self;
  uint64_t key[20];
} args;
typedef unsigned (*segment_fn)(const args *, uint32_t from, uint32_t to);

typedef struct kernel {
  struct kernel *next;
  uint64_t hash;
  segment *shape;
  cc *made;                      /* NULL: it can't be */
  segment_fn f;                  /* NULL: not yet */
  double met;                    /* lanes times operations so far */
} kernel;

struct segment_cc {
  norn_state *st;
  bool wait;
  int threads;
  kernel *kernels; int nkernels;
  pool pool;
  pthread_t room[THREADS];
  const char *why;
  const void **at; size_t cat;   /* scratch: pointers to inputs, outputs */
  array_arg *array; size_t carray;
};

/* ---- operations without a text ---- */

static double one_lane(const args *a, const segment_op *o, uint32_t event, uint32_t lane, const double *p)
{
  int which;
  norn_rng g = { a->stream, lane, event, a->iter, 0, NULL };
  switch (o->op) {
  case S_DRAW: return o->row->sample1(p, &g);
  case S_LOGP: return o->row->logp1(p[0], p + 1);
  case S_GOOD: return o->row->check1(p, &which) == NULL;
  default: return o->fun(p[0]);
  }
}

static void each(const args *a, unsigned op, uint32_t event, uint32_t k, uint32_t m, const double *p,
                 double *out)
{
  const segment_op *o = (const segment_op *)a->self + op;
  for (uint32_t j = 0; j < m; j++) {
    double own[SEGMENT_ARGS];
    for (int i = 0; i < SEGMENT_ARGS; i++) own[i] = p[32 * i + j];
    out[j] = one_lane(a, o, event, k + j, own);
  }
}

/* ---- compiling ---- */

/* Scheduling before registers are given out: a tenth of the time (gcc 12). */
#define FLAGS "-O3", "-fno-tree-vectorize", "-fno-code-hoisting", "-fschedule-insns", "-fsched-pressure"
static const char *const flags_base[] = { FLAGS, NULL };
static const char *const flags_avx2[] = { FLAGS, "-mavx2", NULL };
static const char *const flags_avx512[] = { FLAGS, "-mavx512f", "-mavx512dq", "-mavx512vl", NULL };
static const char *const *const level_flags[LEVELS] = { flags_base, flags_avx2, flags_avx512 };

/* Where NORN_DUMP_KERNELS says.  Failing is nobody's affair. */
static void dump(const text *t, uint64_t hash)
{
  char path[700];
  const char *dir = getenv("NORN_DUMP_KERNELS");
  if (!dir || !*dir) return;
  int n = snprintf(path, sizeof path, "%s/segment-%016llx.c", dir, (unsigned long long)hash);
  FILE *f = n < (int)sizeof path ? fopen(path, "w") : NULL;
  if (!f) return;
  fwrite(t->s, 1, t->n, f);
  fclose(f);
}

/* The whole text in memory of norn_alloc; NULL: no memory. */
static char *text_of(norn_state *st, const segment *s, size_t *n)
{
  static const int width[LEVELS] = { 2, 4, 8 };
  mem m;
  text t;
  char *out = NULL;
  mem_init(&m);
  text_init(&t, &m);
  text_printf(&t, "/* norn %s:", norn_version());
  for (const char *const *flag = level_flags[level_best()]; *flag; flag++) text_printf(&t, " %s", *flag);
  text_printf(&t, " */\n#ifndef LANES\n#define LANES %d\n#endif\n#define NORN_MEMO\n", width[level_best()]);
  text_put(&t, dialect_text(false), dialect_size(false));
  size_t before = t.n;
  segment_text(&t, s);
  if (!t.failed && (out = norn_alloc(st, NULL, 0, t.n + 1))) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = before; i < t.n; i++) hash = (hash ^ (unsigned char)t.s[i]) * 0x100000001b3u;
    dump(&t, hash);
    memcpy(out, t.s, t.n + 1);
    *n = t.n;
  }
  text_free(&t);
  return out;
}

static kernel *kernel_of(segment_cc *e, const segment *s)
{
  uint64_t hash = segment_hash(s);
  for (kernel *k = e->kernels; k; k = k->next)
    if (k->hash == hash && segment_same(k->shape, s)) return k;
  kernel *k = norn_alloc(e->st, NULL, 0, sizeof *k);
  segment *shape = k ? segment_shape(s) : NULL;
  if (!shape) {
    norn_alloc(e->st, k, sizeof *k, 0);
    norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  size_t n = 0;
  *k = (kernel){ .next = e->kernels, .hash = hash, .shape = shape };
  bool many = e->nkernels++ >= SHAPES;
  char *words = cc_allowed(e->st) && !many ? text_of(e->st, s, &n) : NULL;
  if (words) k->made = cc_new(e->st, words, n, n + 1, level_flags[level_best()]);
  return e->kernels = k;
}

/* Its function, if it is there. */
static segment_status ready(segment_cc *e, kernel *k, uint32_t n)
{
  if (k->f) return SEGMENT_RAN;
  k->met += (double)n * (double)k->shape->nop;
  if (k->made && (e->wait || k->met >= WORTH)) cc_start(k->made);
  cc_state state = k->made ? cc_look(k->made, e->wait) : CC_NEVER;
  if (state == CC_BUILDS || state == CC_IDLE) return SEGMENT_LATER;
  void *f = state == CC_READY ? cc_symbol(k->made, "norn_segment") : NULL;
  memcpy(&k->f, &f, sizeof f);
  if (k->f) return SEGMENT_RAN;
  e->why = !cc_allowed(e->st)       ? "compilers are not allowed here"
           : k->made              ? cc_why(k->made)
           : e->nkernels > SHAPES ? "each step computes something else"
                                  : "out of memory";
  return SEGMENT_NEVER;
}

/* ---- running ---- */

typedef struct work { const kernel *k; const args *a; uint32_t piece; atomic_uint flags; } work;

static void keys_of(args *a, uint64_t stream)
{
  uint32_t k0 = (uint32_t)stream, k1 = (uint32_t)(stream >> 32);
  a->stream = stream;
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u)
    a->key[2 * round] = k0, a->key[2 * round + 1] = k1;
}

static void piece_run(void *of, int i)
{
  work *w = of;
  uint32_t from = (uint32_t)i * w->piece, n = w->a->n, to = n - from < w->piece ? n : from + w->piece;
  atomic_fetch_or(&w->flags, w->k->f(w->a, from, to));
}

/* Room for the pointers of a segment.  false: no memory (error set). */
static bool room(segment_cc *e, const segment *s)
{
  size_t want = s->nin + s->nout + 1, arrays = s->narray + 1;
  if (want > e->cat) {
    const void **at = norn_alloc(e->st, e->at, e->cat * sizeof *at, 2 * want * sizeof *at);
    if (!at) return norn_fail(e->st, NORN_EMEMORY, -1, "out of memory"), false;
    e->at = at;
    e->cat = 2 * want;
  }
  if (arrays > e->carray) {
    array_arg *a = norn_alloc(e->st, e->array, e->carray * sizeof *a, 2 * arrays * sizeof *a);
    if (!a) return norn_fail(e->st, NORN_EMEMORY, -1, "out of memory"), false;
    e->array = a;
    e->carray = 2 * arrays;
  }
  return true;
}

static segment_status cc_run(void *self, segment_call *c)
{
  segment_cc *e = self;
  const segment *s = c->s;
  kernel *k = kernel_of(e, s);
  if (!k) return SEGMENT_FAILED;
  segment_status status = ready(e, k, c->n);
  if (status != SEGMENT_RAN) return status;
  if (!room(e, s)) return SEGMENT_FAILED;
  void **out = (void **)(e->at + s->nin);
  for (size_t i = 0; i < s->nin; i++) e->at[i] = s->in[i].at;
  for (size_t i = 0; i < s->nout; i++) out[i] = s->out[i].at;
  for (size_t i = 0; i < s->narray; i++) e->array[i] = (array_arg){ s->array[i].at, s->array[i].n };
  args a = { s->slot, NULL, e->at, out, (const uint32_t *const *)(const void *)s->map, e->array, c->weights,
             c->stream, c->iter, c->n, each, s->op, {0} };
  keys_of(&a, c->stream);
  if (e->pool.n > 1 && c->n >= 2 * PIECE) {
    uint32_t pieces = c->n / PIECE < 4u * (uint32_t)e->pool.n ? c->n / PIECE : 4u * (uint32_t)e->pool.n;
    work w = { .k = k, .a = &a, .piece = (c->n / pieces + 32) & ~31u };
    pool_run(&e->pool, (int)((c->n + w.piece - 1) / w.piece), piece_run, NULL, &w);
    c->flags = w.flags;
  } else c->flags = k->f(&a, 0, c->n);
  return SEGMENT_RAN;
}

static void backend_why(void *self, char *why, size_t n)
{
  const segment_cc *e = self;
  snprintf(why, n, "%s", e->why ? e->why : "");
}

/* ---- populations side by side ---- */

enum { WORDS = 128 };                    /* of each kind of argument, at most */
typedef struct plate_work {
  const segment_cc_plate *p;
  const kernel *k;
  const segment_call *c;
  const array_arg *array;
  uint32_t job;                        /* populations of one */
  atomic_uint flags;
} plate_work;

/* Population f: its arguments are those of all, moved to its lanes.  A vector that is gathered is not moved, since
   maps name lanes of all. */
static void plate_arguments(const segment_call *c, uint32_t f, const void **in, void **out, const uint32_t **map,
                            segment_cell *plate)
{
  const segment *s = c->s;
  size_t from = (size_t)f * c->each;
  for (size_t i = 0; i < s->nin; i++)
    in[i] = s->in[i].map ? s->in[i].at : (const segment_cell *)s->in[i].at + from;
  for (size_t i = 0; i < s->nout; i++) out[i] = (segment_cell *)s->out[i].at + from;
  for (size_t i = 0; i < s->nmap; i++) map[i] = (const uint32_t *)s->map[i] + from;
  for (size_t i = 0; i < s->nplate; i++) plate[i] = ((const segment_cell *)s->plate[i].at)[f];
}

/* Lanes of weight 0 stay what they are. */
static void add_weights(double *restrict logw, const double *restrict w, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) if (logw[i] > -HUGE_VAL) logw[i] += w[i];
}

static void plate_run(plate_work *w, uint32_t f)
{
  const segment_call *c = w->c;
  const segment_cc_plate *p = w->p;
  const void *in[WORDS];
  void *out[WORDS];
  const uint32_t *map[WORDS];
  segment_cell plate[WORDS];
  double *weights = p->scratch + (size_t)f * c->each;
  plate_arguments(c, f, in, out, map, plate);
  args a = { c->s->slot, plate, in, out, map, w->array, weights, 0, c->iter, p->n, each, c->s->op, {0} };
  keys_of(&a, c->streams[f]);
  atomic_fetch_or(&w->flags, w->k->f(&a, 0, p->n));
  if (c->s->nweigh) add_weights(p->logw[f], weights, p->n);
}

static void plate_job(void *of, int i)
{
  plate_work *w = of;
  uint32_t from = (uint32_t)i * w->job, to = from + w->job;
  for (uint32_t f = from; f < to && f < w->c->plates; f++) plate_run(w, f);
}

static segment_status cc_run_plate(void *self, segment_call *c)
{
  segment_cc_plate *p = self;
  segment_cc *e = p->cc;
  const segment *s = c->s;
  if (s->nin > WORDS || s->nout > WORDS || s->nmap > WORDS || s->nplate > WORDS) {
    e->why = "a leg has too many operations for filters side by side";
    return SEGMENT_NEVER;
  }
  kernel *k = kernel_of(e, s);
  if (!k) return SEGMENT_FAILED;
  segment_status status = ready(e, k, c->n);
  if (status != SEGMENT_RAN) return status;
  if (!room(e, s)) return SEGMENT_FAILED;
  for (size_t i = 0; i < s->narray; i++) e->array[i] = (array_arg){ s->array[i].at, s->array[i].n };
  plate_work w = { .p = p, .k = k, .c = c, .array = e->array, .job = c->each < PIECE ? PIECE / c->each : 1 };
  pool_run(&e->pool, (int)((c->plates + w.job - 1) / w.job), plate_job, NULL, &w);
  c->flags = w.flags;
  return SEGMENT_RAN;
}

static void plate_why(void *self, char *why, size_t n) { backend_why(((segment_cc_plate *)self)->cc, why, n); }

const segment_backend segment_cc_plate_backend = {
  .name = "generated", .keeps_weights = true, .run = cc_run_plate, .why = plate_why
};

struct pool *segment_cc_pool(segment_cc *e) { return &e->pool; }

const segment_backend segment_cc_backend = { .name = "generated", .run = cc_run, .why = backend_why };

/* ---- making and freeing ---- */

segment_cc *segment_cc_new(norn_state *st, int threads, bool wait)
{
  segment_cc *e = norn_alloc(st, NULL, 0, sizeof *e);
  if (!e) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  memset(e, 0, sizeof *e);
  e->st = st;
  e->wait = wait;
  pool_start(&e->pool, e->room, threads < THREADS ? threads : THREADS);
  return e;
}

void segment_cc_free(segment_cc *e)
{
  if (!e) return;
  norn_state *st = e->st;
  pool_end(&e->pool);
  while (e->kernels) {
    kernel *k = e->kernels;
    e->kernels = k->next;
    cc_free(k->made);
    segment_free(k->shape);
    norn_alloc(st, k, sizeof *k, 0);
  }
  norn_alloc(st, e->at, e->cat * sizeof *e->at, 0);
  norn_alloc(st, e->array, e->carray * sizeof *e->array, 0);
  norn_alloc(st, e, sizeof *e, 0);
}
