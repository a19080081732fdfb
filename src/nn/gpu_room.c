/* gpu_room.c: a batch on a GPU: its tokens and questions, and memory for what is computed of them, in one piece that
   only grows. */
#include "nn/gpu_in.h"
#include <string.h>

enum { PIECE = 256, TOGETHER = 16 };                         /* entries of a piece; rows of questions */
static const size_t SCORES = (size_t)1 << 26;                /* numbers of attention's scores at once */

static int64_t padded(int64_t n, int64_t by) { return (n + by - 1) / by * by; }

/* ---- questions ---------------------------------------------------------------------------------- */

static norn_status groups_make(nn_gpu *e, const nn_tokens *k)
{
  nn_there *v = &e->v;
  e->ngroup = 0;
  v->nq = v->zn = 0;
  for (int q = 0; q < k->nq;) {
    int end = q;
    while (end < k->nq && k->head[end] == k->head[q]) end++;
    if (e->ngroup == e->cgroup) {
      int more = e->cgroup ? 2 * e->cgroup : 16;
      nn_group *x = norn_alloc(e->st, e->group, (size_t)e->cgroup * sizeof *x, (size_t)more * sizeof *x);
      if (!x) return norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
      e->group = x;
      e->cgroup = more;
    }
    nn_group *g = &e->group[e->ngroup++];
    *g = (nn_group){ .head = k->head[q], .q = q, .n = end - q, .from = v->nq, .rows = padded(end - q, TOGETHER),
                     .z = v->zn };
    v->nq += g->rows;
    v->zn += padded(g->rows * nn_gpu_width(e, g->head), 128);
    q = end;
  }
  return NORN_OK;
}

/* ---- memory ------------------------------------------------------------------------------------- */

static gpu_ptr take(nn_there *v, gpu_ptr base, int64_t n, size_t each)
{
  gpu_ptr at = base + v->bytes;
  v->bytes += (size_t)padded(n * (int64_t)each, 256);
  return at;
}

/* The widest rows whose columns are summed. */
static int64_t widest(const nn_gpu *e)
{
  const nn_shape *s = &e->m->s;
  int64_t w = 3 * s->d;
  if (nn_model_mlp_width(s) > w) w = nn_model_mlp_width(s);
  for (int h = 0; h < e->m->nhead; h++)
    if (nn_gpu_width(e, h) > w) w = nn_gpu_width(e, h);
  return w;
}

static void lay_tokens(nn_gpu *e, gpu_ptr base, const nn_tokens *k)
{
  nn_there *v = &e->v;
  int64_t all = v->n * k->j;
  v->row = take(v, base, all, 4);
  v->coef = take(v, base, all, 4);
  v->order = take(v, base, v->n, 2);
  v->see = take(v, base, v->n, 2);
  if (e->whole) v->marks = take(v, base, v->b * v->tp / NN_TILE_AT * 4, 2);
  v->where = take(v, base, v->nq, 4);
  v->target = take(v, base, v->nq, 4);
  v->loss = take(v, base, v->nq, 8);
  v->first = take(v, base, v->n + 1, 4);
  v->list = take(v, base, v->nq, 4);
  v->start = take(v, base, v->pieces + 1, 4);
  v->token = take(v, base, v->entries, 4);
  v->part_coef = take(v, base, v->entries, 4);
  v->row_first = take(v, base, e->m->s.rows + 1, 4);
}

static void lay_block(nn_gpu *e, gpu_ptr base, nn_layer *l)
{
  nn_there *v = &e->v;
  int64_t d = e->m->s.d, ff = e->m->s.ff, n = v->n, wide = nn_model_mlp_width(&e->m->s), by = v->b * v->tp;
  l->x = take(v, base, n * d, 4);
  l->a = take(v, base, n * d, e->real);
  if (e->whole) l->qkv = take(v, base, 3 * n * d, e->real);
  else {
    l->q = take(v, base, by * d, e->real);
    l->k = take(v, base, by * d, e->real);
    l->v = take(v, base, by * d, e->real);
  }
  l->lse = take(v, base, by * e->m->s.heads, 4);
  l->o = take(v, base, n * d, e->real);
  l->x1 = take(v, base, n * d, 4);
  l->c = take(v, base, n * d, e->real);
  l->u = take(v, base, n * wide, e->real);
  l->g = take(v, base, n * ff, e->real);
  l->stat1 = take(v, base, 2 * n, 4);
  l->stat2 = take(v, base, 2 * n, 4);
}

static void lay_back(nn_gpu *e, gpu_ptr base)
{
  nn_there *v = &e->v;
  int64_t d = e->m->s.d, ff = e->m->s.ff, n = v->n, most = n > v->nq ? n : v->nq, by = v->b * v->tp * d;
  int64_t chunks = (most + NN_BAND - 1) / NN_BAND, parts = chunks * widest(e);
  if (parts < v->pieces * d) parts = v->pieces * d;
  v->dz = take(v, base, v->zn, e->real);
  v->df = take(v, base, v->nq * d, e->real);
  v->dxq = take(v, base, v->nq * d, 4);
  v->dg = take(v, base, most * ff, e->real);
  v->dx = take(v, base, n * d, 4);
  v->dxn = take(v, base, n * d, e->real);
  v->dn = take(v, base, n * d, e->real);
  v->du = take(v, base, n * nn_model_mlp_width(&e->m->s), e->real);
  if (!e->whole) {
    v->dyh = take(v, base, by, e->real);
    v->dq = take(v, base, by, e->real);
    v->dk = take(v, base, by, e->real);
    v->dv = take(v, base, by, e->real);
  }
  v->dot = take(v, base, by / d * e->m->s.heads, 4);
  v->part = take(v, base, parts, 4);
}

static void lay(nn_gpu *e, gpu_ptr base, const nn_tokens *k, bool learn)
{
  nn_there *v = &e->v;
  int64_t d = e->m->s.d, ff = e->m->s.ff, scores = v->chunk * e->m->s.heads * v->tp * v->tp;
  v->bytes = 0;
  lay_tokens(e, base, k);
  for (int l = 0; l < e->m->s.layers; l++) {
    if (l && !learn) e->layer[l] = e->layer[0];
    else lay_block(e, base, &e->layer[l]);
  }
  v->qkv = take(v, base, 3 * v->n * d, e->real);
  v->step = take(v, base, v->n * d, e->real);
  if (!e->whole) {
    v->oh = take(v, base, v->b * v->tp * d, e->real);
    v->s = take(v, base, scores, 4);
    v->p = take(v, base, scores, e->real);
    v->dp = learn ? take(v, base, scores, 4) : 0;
    v->ds = learn ? take(v, base, scores, e->real) : 0;
  }
  v->xq = take(v, base, v->nq * d, 4);
  v->f = take(v, base, v->nq * d, e->real);
  v->statf = take(v, base, 2 * v->nq, 4);
  v->hu = take(v, base, v->nq * ff, e->real);
  v->hg = take(v, base, v->nq * ff, e->real);
  v->z = take(v, base, v->zn, 4);
  if (learn) lay_back(e, base);
}

/* ---- what is uploaded --------------------------------------------------------------------------- */

static norn_status put(nn_gpu *e, gpu_ptr to, const void *from, int64_t n, size_t each)
{
  return n ? gpu_upload(e->g, to, from, (size_t)n * each) : NORN_OK;
}

/* Where questions are and what is asked, in padded rows; which were asked of each token. */
static norn_status put_questions(nn_gpu *e, const nn_tokens *k)
{
  nn_there *v = &e->v;
  int32_t *where = nn_gpu_host(e, (size_t)(2 * v->nq + k->nq + v->n + 1) * 4);
  if (!where) return e->bad;
  float *target = (float *)(void *)(where + v->nq);
  int32_t *list = where + 2 * v->nq, *first = list + k->nq;
  for (int64_t q = 0; q < v->nq; q++) where[q] = -1, target[q] = 0;
  memset(first, 0, (size_t)(v->n + 1) * sizeof *first);
  for (int i = 0; i < e->ngroup; i++)
    for (int64_t j = 0; j < e->group[i].n; j++) {
      const nn_group *g = &e->group[i];
      where[g->from + j] = k->at[g->q + j];
      target[g->from + j] = k->target[g->q + j];
      first[k->at[g->q + j] + 1]++;
    }
  for (int64_t i = 0; i < v->n; i++) first[i + 1] += first[i];
  for (int64_t q = v->nq; q-- > 0;)                 /* backwards: each place is filled from its end */
    if (where[q] >= 0) list[--first[where[q] + 1]] = (int32_t)q;
  for (int64_t i = 0; i < v->n; i++) first[i] = first[i + 1];
  first[v->n] = k->nq;
  norn_status s = put(e, v->where, where, v->nq, 4);
  if (!s) s = put(e, v->target, target, v->nq, 4);
  if (!s) s = put(e, v->list, list, k->nq, 4);
  return s ? s : put(e, v->first, first, v->n + 1, 4);
}

/* Entries of the table's rows: each row's tokens in their order, in pieces of at most PIECE. */
norn_status nn_gpu_lay_entries(nn_gpu *e, const nn_tokens *k, int64_t *pieces)
{
  nn_there *v = &e->v;
  int64_t rows = e->m->s.rows, all = v->n * k->j, piece = 0, at = 0;
  int32_t *next = nn_gpu_host(e, (size_t)(2 * rows + 1 + v->pieces + 1 + 2 * v->entries) * 4);
  if (!next) return e->bad;
  int32_t *first = next + rows, *start = first + rows + 1, *token = start + v->pieces + 1;
  float *coef = (float *)(void *)(token + v->entries);
  memset(next, 0, (size_t)rows * sizeof *next);
  for (int64_t i = 0; i < all; i++)
    if (k->row[i] >= 0) next[k->row[i]]++;
  for (int64_t r = 0; r < rows; r++) {
    int64_t n = next[r];
    first[r] = (int32_t)piece;
    next[r] = (int32_t)at;
    for (int64_t c = 0; c < n; c += PIECE) start[piece++] = (int32_t)(at + c);
    at += n;
  }
  first[rows] = (int32_t)piece;
  start[piece] = (int32_t)at;
  *pieces = piece;
  for (int64_t i = 0; i < v->n; i++)
    for (int64_t j = i * k->j; j < (i + 1) * k->j; j++) {
      if (k->row[j] < 0) continue;
      int32_t to = next[k->row[j]]++;
      token[to] = (int32_t)i;
      coef[to] = k->coef[j];
    }
  norn_status s = put(e, v->row_first, first, rows + 1, 4);
  if (!s) s = put(e, v->start, start, piece + 1, 4);
  if (!s) s = put(e, v->token, token, at, 4);
  return s ? s : put(e, v->part_coef, coef, at, 4);
}

static norn_status grow(nn_gpu *e, size_t bytes)
{
  if (bytes <= e->bytes) return NORN_OK;
  gpu_release(e->g, e->memory);
  e->bytes = 0;
  e->memory = gpu_alloc(e->g, bytes, "a batch of sequences");
  if (!e->memory) {
    norn_hint(e->st, "smaller batches (batch = ...), shorter sequences, or a smaller net");
    return NORN_EMEMORY;
  }
  e->bytes = bytes;
  return NORN_OK;
}

norn_status nn_gpu_lay(nn_gpu *e, const nn_tokens *k, bool learn)
{
  nn_there *v = &e->v;
  *v = (nn_there){ .b = k->b, .t = k->t, .n = (int64_t)k->b * k->t, .tp = padded(k->t, e->whole ? NN_TILE_AT : 8) };
  size_t each = (size_t)e->m->s.heads * (size_t)v->tp * (size_t)v->tp;
  v->chunk = (int64_t)(SCORES / each);
  if (v->chunk * e->m->s.heads > 32768) v->chunk = 32768 / e->m->s.heads;
  v->chunk = v->chunk < 1 ? 1 : v->chunk > v->b ? v->b : v->chunk;
  e->bad = groups_make(e, k);
  if (e->bad) return e->bad;
  v->entries = learn ? v->n * k->j : 0;
  v->pieces = learn ? v->entries / PIECE + e->m->s.rows : 0;        /* each row may begin one */
  lay(e, 0, k, learn);
  if ((e->bad = grow(e, v->bytes))) return e->bad;
  lay(e, e->memory, k, learn);
  norn_status s = put(e, v->row, k->row, v->n * k->j, 4);
  if (!s) s = put(e, v->coef, k->coef, v->n * k->j, 4);
  if (!s) s = put(e, v->order, k->order, v->n, 2);
  if (!s) s = put(e, v->see, k->see, v->n, 2);
  return e->bad = s ? s : put_questions(e, k);
}
