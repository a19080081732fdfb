/* decoder.c: a batch of tokens through the layers of a transformer (decoder.h).

   The rows of a batch go in pieces of at most DEC_ROWS.  A piece is a list of steps (a norm, some products,
   attention ...); all threads go through the steps together, take jobs of each one by one, and meet behind it.
   In the last layer only the rows that were asked for go on behind their keys and values. */
#include "llm/decoder/decoder_in.h"
#include "num/level.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { DEC_ROWS = 256, SCORES = 1 << 16, SPINS = 2000 };
#define WORTH 1e7      /* numbers times tokens from which on threads pay */

static const dec_kernels *kernels(void)
{
#ifdef HAVE_X86_LEVELS
  static const dec_kernels *const levels[LEVELS] = { &dec_base, &dec_avx2, &dec_avx512 };
  return levels[level_best()];
#else
  return &dec_base;
#endif
}

/* A piece at work.  Arrays of rows are (most, ...); node, asked: of all rows; m: rows that are still in it. */
typedef struct piece {
  decoder *d;
  pool *pool;
  lm *lm;
  const dec_kernels *f;
  dec_row *row;
  lm_node **node;
  int n, asked, m, most;
  int *ask;                                      /* rows that are asked for */
  float *x, *h, *q, *k, *v, *o, *gate, *up;      /* (rows, width), ..., (rows, ff) */
  float *turn;                                   /* (rows, nrope): cosine and sine of each pair */
  float **logits;
  dec_span *span, *last; size_t rspan, rlast; int spans, lasts;
  int *length, *last_length;
  float *scratch; size_t room;                   /* of a thread */
  /* how threads meet */
  int workers, layer;
  atomic_int next, come, asleep;
  atomic_uint turned;
  atomic_bool stopped;
  pthread_mutex_t lock;
  pthread_cond_t opened;
} piece;

/* ---- memory ---- */

/* From one block: what each array needs, rounded up to whole lines of the cache. */
typedef struct block { mem *m; char *p; size_t at, size; } block;
static void *take(block *b, size_t n, size_t size)
{
  void *p = b->p ? (char *)(((uintptr_t)b->p + 63) & ~(uintptr_t)63) + b->at : NULL;
  b->at += (n * size + 63) & ~(size_t)63;
  return p;
}

static size_t attention_scratch(const decoder *d, int longest)
{
  dec_attend a = { .kv = &d->kv, .group = d->heads / d->kv_heads };
  size_t one = dec_attend_room(&a, 1, longest), many = one > SCORES ? one : SCORES;
  return many > DEC_STRIPE * DEC_DEEP ? many : DEC_STRIPE * DEC_DEEP;
}

static void lay(piece *p, block *b, int longest)
{
  const decoder *d = p->d;
  size_t rows = (size_t)p->most, w = (size_t)d->width;
  size_t hd = (size_t)(d->heads * d->d), kd = (size_t)(d->kv_heads * d->d);
  p->node = take(b, rows, sizeof *p->node);
  p->ask = take(b, rows, sizeof *p->ask);
  p->length = take(b, rows, sizeof *p->length);
  p->last_length = take(b, rows, sizeof *p->last_length);
  p->logits = take(b, rows, sizeof *p->logits);
  p->x = take(b, rows * w, sizeof(float));
  p->h = take(b, rows * w, sizeof(float));
  p->q = take(b, rows * hd, sizeof(float));
  p->k = take(b, rows * kd, sizeof(float));
  p->v = take(b, rows * kd, sizeof(float));
  p->o = take(b, rows * hd, sizeof(float));
  p->gate = take(b, rows * (size_t)d->ff, sizeof(float));
  p->up = take(b, rows * (size_t)d->ff, sizeof(float));
  p->turn = take(b, rows * (size_t)d->nrope, sizeof(float));
  p->room = attention_scratch(d, longest);
  p->scratch = take(b, p->room * (size_t)p->workers, sizeof(float));
}

/* ---- threads ---- */

/* The next step has begun, for who waits awake and who sleeps. */
static void open_step(piece *p, unsigned turned)
{
  atomic_store(&p->turned, turned);
  if (!atomic_load(&p->asleep)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->opened);
  pthread_mutex_unlock(&p->lock);
}

/* Awake for about as long as a step takes, then asleep: where others want the processor, the thread that is waited for
   may not run. */
static void wait_step(piece *p, unsigned turned)
{
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&p->turned, memory_order_acquire) != turned) return;
#ifdef HAVE_X86_LEVELS
    __builtin_ia32_pause();
#endif
  }
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->asleep, 1);
  while (atomic_load(&p->turned) == turned) pthread_cond_wait(&p->opened, &p->lock);
  atomic_fetch_sub(&p->asleep, 1);
  pthread_mutex_unlock(&p->lock);
}

/* Waits until all have come; the last to come opens the next step.  false: the work is not wanted any more. */
static bool meet(piece *p)
{
  unsigned turned = atomic_load(&p->turned);
  if (atomic_fetch_add(&p->come, 1) + 1 == p->workers) {
    atomic_store(&p->come, 0);
    atomic_store(&p->next, 0);
    if (!pool_goes_on(p->pool)) atomic_store(&p->stopped, true);
    open_step(p, turned + 1);
  } else wait_step(p, turned);
  return !atomic_load(&p->stopped);
}

static int job(piece *p, int jobs)
{
  int i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
  return i < jobs ? i : -1;
}

/* ---- steps ---- */

static void norms(piece *p, const dec_norm *f, const float *x, float *y)
{
  const decoder *d = p->d;
  for (int i; (i = job(p, p->m)) >= 0;)
    p->f->norm(d->width, x + (int64_t)i * d->width, f, d->layer_norm, d->eps, y + (int64_t)i * d->width);
}

/* Products that read the same rows, in stripes of their weights. */
static void products(piece *p, const dec_product *of, int n, float *scratch)
{
  int jobs = 0, first[3];
  for (int i = 0; i < n; i++) {
    first[i] = jobs;
    jobs += (int)((of[i].of->w.rows + DEC_STRIPE - 1) / DEC_STRIPE);
  }
  for (int i; (i = job(p, jobs)) >= 0;) {
    int k = n - 1;
    while (first[k] > i) k--;
    int64_t from = (int64_t)(i - first[k]) * DEC_STRIPE, rows = of[k].of->w.rows;
    p->f->product(of + k, from, from + DEC_STRIPE < rows ? from + DEC_STRIPE : rows, scratch);
  }
}

static dec_product linear(const piece *p, const dec_linear *of, const float *x, float *y, bool add)
{
  return (dec_product){ .of = of, .x = x, .ldx = of->w.k, .y = y, .ldy = of->w.rows, .m = p->m, .add = add };
}

/* Turns the pairs of one head by its position. */
static void rotate(const decoder *d, const float *turn, float *x)
{
  int half = d->nrope / 2, step = d->rope == DEC_ROPE_PAIRS ? 2 : 1, other = d->rope == DEC_ROPE_PAIRS ? 1 : half;
  for (int i = 0; i < half; i++) {
    float *a = x + i * step, *b = a + other, c = turn[2 * i], s = turn[2 * i + 1], u = *a, v = *b;
    *a = u * c - v * s;
    *b = u * s + v * c;
  }
}

/* Queries and keys get their positions; keys and values go to their page. */
static void store(piece *p)
{
  const decoder *d = p->d;
  for (int i; (i = job(p, p->m)) >= 0;) {
    const lm_node *n = p->node[i];
    const kv_page *page = n->state;
    int slot = kv_slot(n);
    float *q = p->q + (int64_t)i * d->heads * d->d, *k = p->k + (int64_t)i * d->kv_heads * d->d;
    const float *v = p->v + (int64_t)i * d->kv_heads * d->d, *turn = p->turn + (int64_t)i * d->nrope;
    for (int h = 0; h < d->heads && d->rope; h++) rotate(d, turn, q + h * d->d);
    for (int h = 0; h < d->kv_heads; h++, k += d->d, v += d->d) {
      if (d->rope) rotate(d, turn, k);
      float *keys = kv_keys(&d->kv, page, p->layer, h), *values = kv_values(&d->kv, page, p->layer, h);
      for (int e = 0; e < d->d; e++) keys[e * KV_PAGE + slot] = k[e];
      memcpy(values + slot * d->kv.wide, v, (size_t)d->d * sizeof *v);
    }
  }
}

static void attention(piece *p, bool last, float *scratch)
{
  decoder *d = p->d;
  dec_attend a = { .kv = &d->kv, .span = last ? p->last : p->span, .spans = last ? p->lasts : p->spans,
                   .length = last ? p->last_length : p->length, .q = p->q, .y = p->o,
                   .step = (int64_t)d->heads * d->d, .group = d->heads / d->kv_heads, .layer = p->layer };
  int longest = 0;
  for (int i = 0; i < p->m; i++) longest = a.length[i] > longest ? a.length[i] : longest;
  size_t one = dec_attend_room(&a, 1, longest) - 64;
  int rows = (int)((p->room - 64) / one), blocks;
  if (rows > 64) rows = 64;
  blocks = (p->m + rows - 1) / rows;
  for (int i; (i = job(p, blocks * d->kv_heads)) >= 0;) {
    int from = i / d->kv_heads * rows, to = from + rows < p->m ? from + rows : p->m;
    p->f->attend(&a, i % d->kv_heads, from, to, scratch);
  }
}

static void activation(piece *p)
{
  const decoder *d = p->d;
  for (int i; (i = job(p, p->m)) >= 0;) {
    float *gate = p->gate + (int64_t)i * d->ff, *up = p->up + (int64_t)i * d->ff;
    if (d->layer->gate.w.data) p->f->swiglu(d->ff, up, gate);
    else p->f->gelu(d->ff, up);
  }
}

/* The rows that are asked for, moved to the front: by the one that comes last, between two meetings. */
static void only_asked(piece *p)
{
  const decoder *d = p->d;
  size_t w = (size_t)d->width, hd = (size_t)(d->heads * d->d);
  for (int i = 0; i < p->asked; i++) {
    int r = p->ask[i];
    if (r == i) continue;
    memcpy(p->x + (size_t)i * w, p->x + (size_t)r * w, w * sizeof(float));
    memcpy(p->q + (size_t)i * hd, p->q + (size_t)r * hd, hd * sizeof(float));
  }
  p->m = p->asked;
}

/* From the stream to keys, values and queries. */
static bool look(piece *p, const dec_layer *l, float *scratch)
{
  norms(p, &l->before, p->x, p->h);
  if (!meet(p)) return false;
  dec_product of[3] = { linear(p, &l->q, p->h, p->q, false), linear(p, &l->k, p->h, p->k, false),
                        linear(p, &l->v, p->h, p->v, false) };
  products(p, of, 3, scratch);
  if (!meet(p)) return false;
  store(p);
  return meet(p);
}

static bool feed(piece *p, const dec_layer *l, float *scratch)
{
  norms(p, &l->middle, p->x, p->h);
  if (!meet(p)) return false;
  bool gated = l->gate.w.data;
  dec_product of[2] = { linear(p, &l->up, p->h, p->up, false) };
  if (gated) of[1] = linear(p, &l->gate, p->h, p->gate, false);
  products(p, of, gated ? 2 : 1, scratch);
  if (!meet(p)) return false;
  activation(p);
  if (!meet(p)) return false;
  dec_product down = linear(p, &l->down, gated ? p->gate : p->up, p->x, true);
  products(p, &down, 1, scratch);
  return meet(p);
}

/* A layer; one of the threads, `first`, says between two meetings what follows. */
static bool layer(piece *p, int i, bool first, float *scratch)
{
  const dec_layer *l = p->d->layer + i;
  bool last = i == p->d->layers - 1;
  if (!look(p, l, scratch)) return false;
  if (last) {
    if (first) only_asked(p);
    if (!meet(p)) return false;
    if (!p->m) return true;
  }
  attention(p, last, scratch);
  if (!meet(p)) return false;
  dec_product out = linear(p, &l->o, p->o, p->x, true);
  products(p, &out, 1, scratch);
  if (!meet(p) || !feed(p, l, scratch)) return false;
  if (first) p->layer = i + 1;
  return meet(p);
}

static bool finish(piece *p, float *scratch)
{
  norms(p, &p->d->last, p->x, p->h);
  if (!meet(p)) return false;
  dec_product out = linear(p, &p->d->out, p->h, NULL, false);
  out.rows = p->logits;
  products(p, &out, 1, scratch);
  if (!meet(p)) return false;
  for (int i; (i = job(p, p->m)) >= 0;) p->f->log_softmax(p->d->vocab, p->logits[i]);
  return true;
}

static void work(void *of, int i)
{
  piece *p = of;
  float *scratch = p->scratch + (size_t)i * p->room;
  for (int k = 0; k < p->d->layers; k++)
    if (!layer(p, k, i == 0, scratch)) return;
  if (p->m) finish(p, scratch);
}

/* ---- a piece ---- */

void dec_begin(const decoder *d, lm_node *const *node, int n, float *x, int64_t ldx, float *more, float *turn)
{
  for (int i = 0; i < n; i++, x += ldx, turn += d->nrope) {
    uint32_t at = node[i]->depth - 1;
    quant_of[d->embed.type].to_f32(d->embed.data + (size_t)node[i]->token * d->embed.row, x, (size_t)d->width);
    if (d->position.data) {
      quant_of[d->position.type].to_f32(d->position.data + at * d->position.row, more, (size_t)d->width);
      kernels()->add(d->width, more, x);
    }
    for (int k = 0; k < d->nrope / 2; k++) {
      double angle = d->turn[k] * at;
      turn[2 * k] = (float)cos(angle);
      turn[2 * k + 1] = (float)sin(angle);
    }
  }
}

/* Its nodes, those that are asked for with room for their numbers, and their spans. */
static bool prepare(piece *p, dec_row *row, int n)
{
  lm_node *ask[DEC_ROWS];
  p->row = row;
  p->n = p->m = n;
  p->asked = p->layer = 0;
  atomic_store(&p->next, 0);
  for (int i = 0; i < n; i++) {
    p->node[i] = row[i].node;
    if (!row[i].asked) continue;
    p->ask[p->asked] = i;
    p->logits[p->asked] = lm_node_room(row[i].node);
    if (!p->logits[p->asked]) return false;
    ask[p->asked++] = row[i].node;
  }
  mem *m = p->d->m;
  if (!dec_spans(m, p->node, n, &p->span, &p->rspan, &p->spans, p->length) ||
      (p->asked && !dec_spans(m, ask, p->asked, &p->last, &p->rlast, &p->lasts, p->last_length)))
    return !lm_no_memory(p->d->st);
  dec_begin(p->d, p->node, n, p->x, p->d->width, p->h, p->turn);
  return true;
}

static bool wanted(void *of) { return norn_poll(((piece *)of)->d->st) == NORN_OK; }

void dec_count(const decoder *d, lm *x, const int *length, int n)
{
  double keys = 0;
  for (int i = 0; i < n; i++) keys += length[i];
  x->ledger.computed += (uint64_t)n;
  x->ledger.flops += 2 * d->parameters * n + 4 * keys * d->heads * d->d * d->layers;
}

/* NORN_OK, or an error is set, and *done of the rows are computed. */
static norn_status pieces(piece *p, dec_batch *b, size_t *done)
{
  while (*done < b->n) {
    int n = (int)(b->n - *done < (size_t)p->most ? b->n - *done : (size_t)p->most);
    if (!prepare(p, b->row + *done, n)) return norn_error(p->d->st)->code;
    pool_run(p->pool, p->workers, work, wanted, p);
    if (atomic_load(&p->stopped)) return norn_poll(p->d->st);
    dec_count(p->d, p->lm, p->length, n);
    *done += (size_t)n;
  }
  return NORN_OK;
}

static norn_status fits(const lm *x, lm_node *const *node, int n)
{
  for (int i = 0; i < n; i++) {
    if (!node[i]->depth) {
      norn_fail(x->st, NORN_EDOMAIN, 0, "the model %s has no distribution behind an empty context", x->name);
      norn_hint(x->st, "begin with some text: lm.context(\"...\")");
      return NORN_EDOMAIN;
    }
    if (node[i]->depth <= (uint32_t)x->window) continue;
    return norn_fail(x->st, NORN_EDOMAIN, 0, "a context of %u tokens is longer than the %d that the model %s sees",
                     node[i]->depth, x->window, x->name);
  }
  return NORN_OK;
}

static norn_status computed(decoder *d, lm *x, dec_batch *b)
{
  piece p = { .d = d, .lm = x, .f = kernels(), .most = b->n < DEC_ROWS ? (int)b->n : DEC_ROWS,
              .workers = 1, .pool = &d->solo, .lock = PTHREAD_MUTEX_INITIALIZER,
              .opened = PTHREAD_COND_INITIALIZER };
  if (d->pool.n && d->parameters * (double)b->n > WORTH) {
    p.workers = d->pool.n;
    p.pool = &d->pool;
  }
  uint32_t longest = 0;
  size_t done = 0;
  for (size_t i = 0; i < b->n; i++) longest = b->row[i].node->depth > longest ? b->row[i].node->depth : longest;
  block all = { .m = d->m };
  lay(&p, &all, (int)longest);
  all.size = all.at + 64;
  all.p = mem_get(d->m, all.size);
  all.at = 0;
  norn_status s = NORN_EMEMORY;
  if (all.p) {
    lay(&p, &all, (int)longest);
    s = pieces(&p, b, &done);
  } else lm_no_memory(d->st);
  mem_put(d->m, all.p, all.size);
  mem_put(d->m, p.span, p.rspan * sizeof *p.span);
  mem_put(d->m, p.last, p.rlast * sizeof *p.last);
  dec_batch_free(d, b, done);
  return s;
}

static norn_status evaluate(decoder *d, lm *x, lm_node *const *node, int n)
{
  dec_batch b;
  size_t done = 0;
  if (!dec_batch_make(d, node, n, &b)) {
    norn_status s = d->there ? dec_gpu_full(d) : NORN_OK;
    return s ? s : lm_no_memory(d->st);
  }
  if (!d->there) return computed(d, x, &b);
  norn_status s = dec_gpu_run(d, x, &b, &done);
  dec_batch_free(d, &b, done);
  return s;
}

/* What failed on the GPU is done here, from the first token on; so is all that follows. */
static void return_home(decoder *d)
{
  snprintf(d->why, sizeof d->why, "%.290s", norn_error(d->st)->text);
  norn_clear(d->st);
  norn_warning(d->st, (norn_span){ 0 }, "%s: the CPU goes on with the language model", d->why);
  kv_free(&d->kv);
  dec_gpu_free(d);
  kv_init(&d->kv, d->m, d->layers, d->kv_heads, d->d, d->cache);
}

norn_status decoder_eval(decoder *d, lm *x, lm_node *const *node, int n)
{
  if (fits(x, node, n)) return norn_error(x->st)->code;
  norn_status s = evaluate(d, x, node, n);
  if (!s || !d->there || !d->returns || !dec_gpu_failed(d)) return s;
  return_home(d);
  return evaluate(d, x, node, n);
}
