/* decoder_gpu_batch.c: a batch of tokens through the layers on a GPU, in the order of its kernels
   (decoder_gpu_kernels.h).

   The rows go in pieces of at most DEC_ROWS, fewer where the device has no room.  What the host knows of a piece goes
   there in one copy: the stream before the first layer, how far positions turn, the places of keys and values, who sees
   which pages.  The layers are launched one after the other without waiting; log-probabilities come home, for
   at most LOGITS bytes of rows together. */
#include "llm/decoder/decoder_gpu.h"
#include <math.h>
#include <string.h>

enum { DEC_ROWS = 256 };
#define LOGITS ((size_t)64 << 20)
#define PARTS ((size_t)256 << 20)                /* bytes of what chunks of attention give */

/* A piece: rows, those that are asked for, and where its arrays lie, on the device and (the first ones, `up` bytes of
   them) on the host. */
typedef struct piece {
  dec_gpu *e;
  decoder *d;
  lm *lm;
  lm_node *node[DEC_ROWS], *ask[DEC_ROWS];
  int which[DEC_ROWS], length[DEC_ROWS];
  int n, asked, m, longest;                      /* m: rows that are still at work; longest: a multiple of DEC_CHUNK */
  dec_span *span; size_t rspan; int spans;
  size_t width, wide, deep;                      /* of x and h; of o; of gate and up: floats from row to row */
  size_t x0, turn0, to0, length0, which0, view0, up;
  gpu_ptr x, turn, to, seen, chosen, view, place, h, q, q2, k, v, o, gate, upper, part, logits;
  size_t bytes;
} piece;

/* ---- memory --------------------------------------------------------------------------------------- */

static size_t padded(int n) { return (size_t)(n + DEC_SPAN - 1) / DEC_SPAN * DEC_SPAN; }

static size_t take(piece *p, size_t n, size_t size)
{
  size_t at = p->bytes;
  p->bytes += (n * size + 255) / 256 * 256;
  return at;
}

static int chunks_of(const piece *p) { return (p->longest + DEC_CHUNK - 1) / DEC_CHUNK; }
static int logit_rows(const piece *p)
{
  size_t n = LOGITS / ((size_t)p->d->vocab * sizeof(float));
  return n < 1 ? 1 : n < (size_t)p->asked ? (int)n : p->asked;
}

/* What the host fills comes first, then what it does not, from `base` on. */
static void lay(piece *p, gpu_ptr base)
{
  const decoder *d = p->d;
  size_t n = (size_t)p->n, all = (n + DEC_TILE_ROWS - 1) / DEC_TILE_ROWS * DEC_TILE_ROWS;
  size_t q = (size_t)(d->heads * d->d), few = (size_t)(d->kv_heads * d->d);
  p->bytes = 0;
  p->width = padded(d->width), p->wide = padded(d->heads * d->d), p->deep = padded(d->ff);
  p->x = base + (p->x0 = take(p, all * p->width, sizeof(float)));
  p->turn = base + (p->turn0 = take(p, n * (size_t)d->nrope, sizeof(float)));
  p->to = base + (p->to0 = take(p, n, sizeof(uint64_t)));
  p->seen = base + (p->length0 = take(p, n, sizeof(int)));
  p->chosen = base + (p->which0 = take(p, n, sizeof(int)));
  p->view = base + (p->view0 = take(p, (size_t)p->spans, sizeof(dec_view)));
  p->up = p->bytes;
  p->h = base + take(p, all * p->width, sizeof(float));
  p->o = base + take(p, all * p->wide, sizeof(float));
  p->gate = base + take(p, all * p->deep, sizeof(float));
  p->upper = base + take(p, all * p->deep, sizeof(float));
  p->place = base + take(p, n * (size_t)p->longest, sizeof(uint64_t));
  p->q = base + take(p, n * q, sizeof(float));
  p->q2 = base + take(p, n * q, sizeof(float));
  p->k = base + take(p, n * few, sizeof(float));
  p->v = base + take(p, n * few, sizeof(float));
  p->part = base + take(p, n * (size_t)(d->heads * chunks_of(p)) * (size_t)(d->d + 2), sizeof(float));
  p->logits = base + take(p, (size_t)logit_rows(p) * (size_t)d->vocab, sizeof(float));
}

/* What products read has zeros behind each row, and is written up to there only. */
static bool room(piece *p)
{
  dec_gpu *e = p->e;
  if (p->bytes > e->bytes) {
    gpu_release(e->g, e->memory);
    e->bytes = p->bytes + p->bytes / 4;            /* contexts grow */
    e->memory = gpu_alloc(e->g, e->bytes, "numbers of a batch of tokens");
    if (!e->memory) {
      e->bytes = 0;
      return dec_gpu_good(e, norn_error(e->st)->code);
    }
  }
  lay(p, e->memory);
  return dec_gpu_good(e, gpu_fill(e->g, p->h, 0, p->place - p->h));
}

static char *host_room(dec_gpu *e, size_t n)
{
  if (n <= e->nhost) return e->host;
  mem_put(e->m, e->host, e->nhost);
  e->host = mem_get(e->m, n);
  e->nhost = e->host ? n : 0;
  if (!e->host) lm_no_memory(e->st);
  return e->host;
}

/* ---- what the host knows -------------------------------------------------------------------------- */

/* The rows from `from` on, at most n of them. */
static bool choose(piece *p, dec_row *row, int n)
{
  mem *m = p->d->m;
  p->n = p->m = n;
  p->asked = p->longest = 0;
  for (int i = 0; i < n; i++) {
    p->node[i] = row[i].node;
    if ((int)row[i].node->depth > p->longest) p->longest = (int)row[i].node->depth;
    if (!row[i].asked) continue;
    p->which[p->asked] = i;
    p->ask[p->asked++] = row[i].node;
  }
  p->longest = chunks_of(p) * DEC_CHUNK;
  return dec_spans(m, p->node, n, &p->span, &p->rspan, &p->spans, p->length) || !lm_no_memory(p->d->st);
}

static bool upload(piece *p)
{
  dec_gpu *e = p->e;
  char *host = host_room(e, p->up + p->width * sizeof(float));
  if (!host) return false;
  float *x = (float *)(void *)(host + p->x0), *turn = (float *)(void *)(host + p->turn0);
  uint64_t *to = (uint64_t *)(void *)(host + p->to0);
  dec_view *view = (dec_view *)(void *)(host + p->view0);
  memset(x, 0, p->turn0 - p->x0);
  dec_begin(p->d, p->node, p->n, x, (int64_t)p->width, (float *)(void *)(host + p->up), turn);
  for (int i = 0; i < p->n; i++) to[i] = ((const kv_page *)p->node[i]->state)->there + (uint64_t)kv_slot(p->node[i]);
  for (int i = 0; i < p->spans; i++) {
    const dec_span *s = p->span + i;
    view[i] = (dec_view){ s->page->there, s->seen, s->first, s->from, s->to };
  }
  memcpy(host + p->length0, p->length, (size_t)p->n * sizeof(int));
  memcpy(host + p->which0, p->which, (size_t)p->asked * sizeof(int));
  return dec_gpu_good(e, gpu_upload(e->g, e->memory, host, p->up));
}

/* ---- launches ------------------------------------------------------------------------------------- */

static void go(dec_gpu *e, int kernel, int64_t blocks, int threads, void *const *args)
{
  if (!e->bad) dec_gpu_good(e, gpu_launch(e->g, e->k[kernel], blocks, threads, 0, args));
}

/* Matrix `which` of a layer (of the last, DEC_MATRICES: the output's), and where its product goes. */
typedef struct target { const dec_linear *of; gpu_ptr w, y; int64_t ldy; } target;
static target target_of(const piece *p, int layer, int which, gpu_ptr y, size_t ldy)
{
  const dec_linear *of = which == DEC_MATRICES ? &p->d->out : dec_linear_of(p->d->layer + layer, which);
  return (target){ of, p->e->matrix[layer * DEC_MATRICES + which], y, (int64_t)ldy };
}

static gpu_ptr vector_of(const piece *p, const float *x)
{
  return x ? p->e->vectors + (gpu_ptr)(x - p->d->vectors) * sizeof(float) : 0;
}

/* Of one format.  How many rows a warp has changes no bit (decoder_gpu_kernels.h). */
static void launch(piece *p, dec_products *a, quant_type type)
{
  static const int rows[] = { 1, 4, 8 }, each[] = { 2, 2, 4 };
  dec_gpu *e = p->e;
  int kind = a->m == 1 ? 0 : a->m <= 4 ? 1 : 2, tiles = (a->m + rows[kind] - 1) / rows[kind];
  int64_t groups = 0;
  a->beside = tiles < DEC_WARPS ? tiles : DEC_WARPS;
  for (int i = 0; i < a->n; i++) groups += (a->of[i].rows + each[kind] - 1) / each[kind];
  int64_t blocks = (groups + DEC_WARPS - 1) / DEC_WARPS * ((tiles + a->beside - 1) / a->beside);
  if (!e->bad && a->m)
    dec_gpu_good(e, gpu_launch(e->g, e->product[type][kind], blocks, 32 * DEC_WARPS * a->beside, 0, GPU_ARGS(a)));
}

/* Products of m rows of x with up to three matrices: those of one format together. */
static void products(piece *p, gpu_ptr x, size_t ldx, int m, const target *t, int n, bool add)
{
  bool done[3] = { false };
  for (int i = 0; i < n; i++) {
    const dec_weight *w = &t[i].of->w;
    dec_products a = { .x = x, .k = w->k, .row = (int64_t)w->row, .ldx = (int)ldx, .m = m, .add = add,
                       .whole = w->row % 16 == 0 };
    for (int j = i; j < n; j++) {
      if (done[j] || t[j].of->w.type != w->type) continue;
      a.of[a.n++] = (dec_matrix){ t[j].w, vector_of(p, t[j].of->bias), t[j].y, t[j].of->w.rows, t[j].ldy };
      done[j] = true;
    }
    if (a.n) launch(p, &a, w->type);
  }
}

static void norm(piece *p, const dec_norm *f)
{
  int d = p->d->width, centred = p->d->layer_norm;
  float eps = p->d->eps;
  int64_t ld = (int64_t)p->width;
  gpu_ptr gain = vector_of(p, f->gain), bias = vector_of(p, f->bias);
  go(p->e, DEC_K_norm, p->m, 256, GPU_ARGS(&d, &centred, &eps, &ld, &p->x, &gain, &bias, &p->h));
}

/* ---- a layer -------------------------------------------------------------------------------------- */

static int64_t where(const piece *p, int layer)
{
  return (int64_t)p->d->kv.stride * layer * p->d->kv_heads;
}

/* From the stream to keys, values and queries. */
static void look(piece *p, int i)
{
  const decoder *d = p->d;
  int half = d->nrope / 2;
  size_t q = (size_t)(d->heads * d->d), few = (size_t)(d->kv_heads * d->d);
  norm(p, &d->layer[i].before);
  target t[] = { target_of(p, i, DEC_Q, p->q, q), target_of(p, i, DEC_K, p->k, few),
                 target_of(p, i, DEC_V, p->v, few) };
  products(p, p->h, p->width, p->m, t, 3, false);
  dec_stores a = { .place = p->to, .turn = p->turn, .q = p->q, .k = p->k, .v = p->v, .where = where(p, i),
                   .stride = (int64_t)d->kv.stride, .m = p->m, .heads = d->heads, .few = d->kv_heads, .d = d->d,
                   .turned = d->nrope, .step = d->rope == DEC_ROPE_PAIRS ? 2 : 1,
                   .other = d->rope == DEC_ROPE_PAIRS ? 1 : half };
  go(p->e, DEC_K_store, p->m, 128, GPU_ARGS(&a));
}

/* In the last layer only rows that are asked for go on. */
static bool only_asked(piece *p)
{
  const decoder *d = p->d;
  int q = d->heads * d->d, w = d->width;
  int64_t n = p->asked, ld = (int64_t)p->width, ldq = q;
  if (p->asked == p->n) return false;
  gpu_ptr h = p->h, q2 = p->q2;
  go(p->e, DEC_K_gather, (n * w + 255) / 256, 256, GPU_ARGS(&n, &w, &ld, &p->chosen, &p->x, &p->h));
  go(p->e, DEC_K_gather, (n * q + 255) / 256, 256, GPU_ARGS(&n, &q, &ldq, &p->chosen, &p->q, &p->q2));
  p->h = p->x, p->x = h;
  p->q2 = p->q, p->q = q2;
  p->m = p->asked;
  return true;
}

static void attention(piece *p, int i, bool few)
{
  const decoder *d = p->d;
  dec_looks a = { .place = p->place, .length = p->seen, .which = few ? p->chosen : 0, .q = p->q, .part = p->part,
                  .y = p->o, .longest = p->longest, .where = where(p, i), .ldy = (int64_t)p->wide, .m = p->m,
                  .heads = d->heads, .group = d->heads / d->kv_heads, .d = d->d, .chunks = chunks_of(p),
                  .scale = 1 / sqrtf((float)d->d) };
  int64_t blocks = (int64_t)((p->m + DEC_DEEP_WARPS - 1) / DEC_DEEP_WARPS) * a.chunks * d->heads;
  go(p->e, DEC_K_attend, blocks, 32 * DEC_DEEP_WARPS, GPU_ARGS(&a));
  go(p->e, DEC_K_attend_end, ((int64_t)p->m * d->heads + 3) / 4, 128, GPU_ARGS(&a));
  target t = target_of(p, i, DEC_O, p->x, p->width);
  products(p, p->o, p->wide, p->m, &t, 1, true);
}

static void feed(piece *p, int i)
{
  const decoder *d = p->d;
  bool gated = d->layer[i].gate.w.data;
  int ff = d->ff;
  int64_t n = p->m, ld = (int64_t)p->deep, blocks = (n * ff + 255) / 256;
  norm(p, &d->layer[i].middle);
  target t[] = { target_of(p, i, DEC_UP, p->upper, p->deep), { 0 } };
  if (gated) t[1] = target_of(p, i, DEC_GATE, p->gate, p->deep);
  products(p, p->h, p->width, p->m, t, gated ? 2 : 1, false);
  if (gated) go(p->e, DEC_K_swiglu, blocks, 256, GPU_ARGS(&n, &ff, &ld, &p->upper, &p->gate));
  else go(p->e, DEC_K_gelu, blocks, 256, GPU_ARGS(&n, &ff, &ld, &p->upper));
  target down = target_of(p, i, DEC_DOWN, p->x, p->width);
  products(p, gated ? p->gate : p->upper, p->deep, p->m, &down, 1, true);
}

static void layers(piece *p)
{
  int64_t longest = p->longest;
  go(p->e, DEC_K_places, p->spans, 128, GPU_ARGS(&p->view, &longest, &p->place));
  for (int i = 0; i < p->d->layers; i++) {
    bool few = false;
    look(p, i);
    if (i == p->d->layers - 1) few = only_asked(p);
    if (!p->m) return;
    attention(p, i, few);
    feed(p, i);
  }
}

/* ---- what comes home ------------------------------------------------------------------------------ */

/* Log-probabilities of the rows that are asked for. */
static norn_status finish(piece *p)
{
  dec_gpu *e = p->e;
  int v = p->d->vocab, most = logit_rows(p);
  size_t row = (size_t)v * sizeof(float);
  norm(p, &p->d->last);
  for (int from = 0; from < p->asked && !e->bad; from += most) {
    int n = p->asked - from < most ? p->asked - from : most;
    target t = target_of(p, p->d->layers - 1, DEC_MATRICES, p->logits, (size_t)v);
    products(p, p->h + (gpu_ptr)((size_t)from * p->width * sizeof(float)), p->width, n, &t, 1, false);
    go(e, DEC_K_log_softmax, n, 256, GPU_ARGS(&v, &p->logits));
    char *home = host_room(e, (size_t)n * row);
    if (!home) return norn_error(e->st)->code;
    if (!e->bad) dec_gpu_good(e, gpu_download(e->g, home, p->logits, (size_t)n * row));
    for (int i = 0; i < n && !e->bad; i++) {
      float *to = lm_node_room(p->ask[from + i]);
      if (!to) return norn_error(e->st)->code;
      memcpy(to, home + (size_t)i * row, row);
    }
  }
  return e->bad;
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* Rows of a piece: of the attention of more there would be too much. */
static int rows_most(const decoder *d, const dec_batch *b)
{
  uint32_t longest = 1;
  for (size_t i = 0; i < b->n; i++) longest = b->row[i].node->depth > longest ? b->row[i].node->depth : longest;
  size_t each = (size_t)d->heads * (longest / DEC_CHUNK + 1) * (size_t)(d->d + 2) * sizeof(float), n = PARTS / each;
  n = n < 1 ? 1 : n < DEC_ROWS ? n : DEC_ROWS;
  return (int)(n < b->n ? n : b->n);
}

/* The next rows of the batch, as many as there is room for. */
static norn_status piece_of(piece *p, dec_batch *b, size_t done, int *most)
{
  dec_gpu *e = p->e;
  for (;; *most = (*most + 1) / 2) {
    int n = b->n - done < (size_t)*most ? (int)(b->n - done) : *most;
    if (!choose(p, b->row + done, n)) return norn_error(e->st)->code;
    lay(p, e->memory);
    if (room(p)) return NORN_OK;
    if (e->bad != NORN_EMEMORY || n == 1) return e->bad;
    e->bad = NORN_OK;
    norn_clear(e->st);
    *most = n;
  }
}

static norn_status pieces(piece *p, dec_batch *b, size_t *done)
{
  dec_gpu *e = p->e;
  norn_status s = NORN_OK;
  int most = rows_most(p->d, b);
  while (*done < b->n) {
    if ((s = norn_poll(e->st)) || (s = piece_of(p, b, *done, &most))) return s;
    if (!upload(p)) return norn_error(e->st)->code;
    layers(p);
    s = !e->bad && p->asked ? finish(p) : e->bad;
    if (!s && !p->asked && *done + (size_t)p->n == b->n) dec_gpu_good(e, s = gpu_wait(e->g));
    if (s) return s;
    dec_count(p->d, p->lm, p->length, p->n);
    *done += (size_t)p->n;
  }
  return NORN_OK;
}

norn_status dec_gpu_run(decoder *d, lm *x, dec_batch *b, size_t *done)
{
  dec_gpu *e = d->there;
  piece p = { .e = e, .d = d, .lm = x };
  e->bad = NORN_OK;
  *done = 0;
  norn_status s = pieces(&p, b, done);
  mem_put(d->m, p.span, p.rspan * sizeof *p.span);
  return s;
}
