/* memory.c: sequences that go on token by token (model.h).

   Of each block, keys and values are kept: those of the context once, laid out as attention wants them (keys
   as columns of a head, values as rows), those of a sequence as rows k | v.  New tokens of all sequences go
   through the blocks together, so that products are large; what they remember is written before they attend,
   and order and see say who sees it. */
#include "nn/model_in.h"
#include <string.h>

enum { PAD = 16 };                     /* the widest register */

struct nn_memory {
  norn_state *st;
  const nn_model *m;
  int n, most, layers, d;
  int keys;                            /* of the context */
  int64_t wide, dw;                    /* keys, and a head's size, as whole registers */
  float *kt, *v, *order;               /* (layers, heads, dh, wide), (layers, heads, keys, dw), (wide) */
  size_t context_bytes;
  float *kv;                           /* (layers, n, most, 2 d) */
  int16_t *own;                        /* (n, most) orders */
  int32_t *len;                        /* (n) */
  nn_recalled *row;                    /* of new tokens */
  int rows;
};

static int64_t padded(int64_t n) { return (n + PAD - 1) / PAD * PAD; }

static void *make(norn_state *st, size_t bytes)
{
  void *p = norn_alloc(st, NULL, 0, bytes + PAD * sizeof(float));
  if (p) memset(p, 0, bytes + PAD * sizeof(float));
  else
    norn_fail(st, NORN_EMEMORY, -1, "no memory for the %zu bytes that a net keeps of its sequences", bytes);
  return p;
}

static void drop(norn_state *st, void *p, size_t bytes)
{
  if (p) norn_alloc(st, p, bytes + PAD * sizeof(float), 0);
}

static size_t kv_bytes(const nn_memory *y)
{
  return (size_t)y->layers * (size_t)y->n * (size_t)y->most * 2 * (size_t)y->d * sizeof(float);
}
static size_t own_bytes(const nn_memory *y) { return (size_t)y->n * (size_t)y->most * sizeof *y->own; }

nn_memory *nn_memory_new(norn_state *st, const nn_model *m, int n, int most)
{
  nn_memory *y = make(st, sizeof *y);
  if (!y) return NULL;
  *y = (nn_memory){ .st = st, .m = m, .n = n, .most = most, .layers = m->s.layers, .d = m->s.d,
                    .dw = padded(m->s.d / m->s.heads) };
  y->kv = make(st, kv_bytes(y));
  y->own = make(st, own_bytes(y));
  y->len = make(st, (size_t)n * sizeof *y->len);
  if (y->kv && y->own && y->len) return y;
  nn_memory_free(y);
  return NULL;
}

void nn_memory_free(nn_memory *y)
{
  if (!y) return;
  drop(y->st, y->kt, y->context_bytes);
  drop(y->st, y->kv, kv_bytes(y));
  drop(y->st, y->own, own_bytes(y));
  drop(y->st, y->len, (size_t)y->n * sizeof *y->len);
  drop(y->st, y->row, (size_t)y->rows * sizeof *y->row);
  drop(y->st, y, sizeof *y);
}

/* ---- the context ---- */

static bool context_room(nn_memory *y, int keys)
{
  int64_t h = y->m->s.heads, dh = y->d / h;
  drop(y->st, y->kt, y->context_bytes);
  y->keys = keys;
  y->wide = padded(keys);
  int64_t columns = y->layers * h * dh * y->wide, rows = y->layers * h * keys * y->dw;
  y->context_bytes = (size_t)(columns + rows + y->wide) * sizeof(float);
  if (!(y->kt = make(y->st, y->context_bytes))) {
    y->context_bytes = 0;
    return false;
  }
  y->v = y->kt + columns;
  y->order = y->v + rows;
  return true;
}

/* Keys and values of block l from qkv (t, 3 d). */
static void remember_context(nn_memory *y, int l, const nn_tokens *k, const float *qkv)
{
  int64_t heads = y->m->s.heads, dh = y->d / heads;
  for (int64_t h = 0; h < heads; h++) {
    float *kt = y->kt + (l * heads + h) * dh * y->wide, *v = y->v + (l * heads + h) * y->keys * y->dw;
    for (int64_t i = 0, to = 0; i < k->t; i++) {
      const float *row = qkv + i * 3 * y->d + h * dh;
      if (k->order[i] == NN_UNSEEN) continue;
      for (int64_t e = 0; e < dh; e++) kt[e * y->wide + to] = row[y->d + e];
      memcpy(v + to++ * y->dw, row + 2 * y->d, (size_t)dh * sizeof *v);
    }
  }
}

static bool no_room(norn_state *st)
{
  norn_fail(st, NORN_EMEMORY, -1, "no memory for a net's answers");
  return false;
}

bool nn_memory_context(nn_memory *y, nn_room *r, const nn_tokens *k)
{
  const nn_model *m = y->m;
  int keys = 0;
  for (int i = 0; i < k->t; i++) keys += k->order[i] != NN_UNSEEN;
  if (!context_room(y, keys)) return false;
  for (int64_t i = 0; i < y->wide; i++) y->order[i] = NN_UNSEEN;
  for (int i = 0, to = 0; i < k->t; i++)
    if (k->order[i] != NN_UNSEEN) y->order[to++] = k->order[i];
  if (keys == 0) return true;
  nn_tokens only = *k;
  only.nq = 0;
  if (!nn_room_lay(r, m, k->t, k->t, &only, false)) return no_room(y->st);
  nn_sequences all = nn_acts_sequences(&r->acts, &only);
  nn_acts_ask(&r->acts, &only);
  nn_embed_forward(k->t, k->j, y->d, k->row, k->coef, nn_w(m, m->table), r->acts.s.x);
  for (int l = 0; l < y->layers; l++) {
    nn_block_forward(&m->on, l, &r->acts.s, &all, r->acts.s.x, false);
    remember_context(y, l, k, r->acts.s.qkv);
  }
  return true;
}

/* ---- what comes next ---- */

/* New tokens that are remembered get a place, after what their sequence has; false: it has none left. */
static bool places(nn_memory *y, const int32_t *who, const nn_tokens *k)
{
  for (int b = 0; b < k->b; b++) {
    int32_t *len = y->len + who[b];
    int64_t at = (int64_t)who[b] * y->most;
    for (int i = 0; i < k->t; i++) {
      if (k->order[b * k->t + i] == NN_UNSEEN) continue;
      if (*len == y->most) {
        norn_fail(y->st, NORN_EUSE, -1,
                  "a net's memory has room for %d tokens, and more are to be remembered", y->most);
        return false;
      }
      y->own[at + (*len)++] = k->order[b * k->t + i];
    }
  }
  return true;
}

static bool rows_fit(nn_memory *y, int rows)
{
  if (rows <= y->rows) return true;
  drop(y->st, y->row, (size_t)y->rows * sizeof *y->row);
  y->row = make(y->st, (size_t)rows * sizeof *y->row);
  y->rows = y->row ? rows : 0;
  return y->row != NULL;
}

/* Keys and values of block l go to their places; then who sees what. */
static void remember(nn_memory *y, int l, const int32_t *who, const nn_tokens *k, const float *qkv)
{
  int64_t d = y->d;
  for (int b = 0; b < k->b; b++) {
    int64_t s = who[b], at = (l * y->n + s) * y->most, len = y->len[s];
    int fresh = 0;
    for (int i = 0; i < k->t; i++) fresh += k->order[b * k->t + i] != NN_UNSEEN;
    float *to = y->kv + (at + len - fresh) * 2 * d;
    for (int i = 0; i < k->t; i++) {
      int64_t row = (int64_t)b * k->t + i;
      const float *kv = qkv + row * 3 * d + d;
      bool kept = k->order[row] != NN_UNSEEN, apart = !kept || k->order[row] >= k->see[row];
      if (kept) {
        memcpy(to, kv, 2 * (size_t)d * sizeof *to);
        to += 2 * d;
      }
      y->row[row] = (nn_recalled){ y->kv + at * 2 * d, y->own + s * y->most, (int)len,
                                   k->see[row],        apart ? kv : NULL,    apart ? kv + d : NULL };
    }
  }
}

static void block_next(nn_memory *y, int l, const nn_acts *v, const int32_t *who, const nn_tokens *k)
{
  const nn_model *m = y->m;
  const nn_block *b = m->on.block + l;
  int64_t d = y->d, heads = m->s.heads, dh = d / heads;
  nn_norm_forward(v->s.n, d, v->s.x, nn_w(m, b->norm1.weight), nn_w(m, b->norm1.bias), v->s.a, v->s.stat1);
  nn_linear_forward(v->s.n, d, 3 * d, v->s.a, nn_w(m, b->qkv.weight), nn_w(m, b->qkv.bias), NULL, v->s.qkv);
  remember(y, l, who, k, v->s.qkv);
  nn_recall a = { .heads = m->s.heads,
                  .d = (int)dh,
                  .rows = v->s.n,
                  .keys = y->keys,
                  .wide = y->wide,
                  .dw = y->dw,
                  .most = y->most,
                  .step = 2 * d,
                  .q = v->s.qkv,
                  .qstep = 3 * d,
                  .kt = y->kt + l * d * y->wide,
                  .v = y->v + l * heads * y->keys * y->dw,
                  .order = y->order,
                  .row = y->row };
  nn_recall_forward(&a, v->s.o, d, v->s.scratch);
  nn_block_mlp(&m->on, b, &v->s, v->s.n, v->s.x, 0, v->s.x1, v->s.x2, false);
}

bool nn_memory_next(nn_memory *y, nn_room *r, const int32_t *who, const nn_tokens *k, float *z)
{
  const nn_model *m = y->m;
  int64_t n = (int64_t)k->b * k->t;
  if (n == 0) return true;
  if (!y->kt && !context_room(y, 0)) return false;
  if (!rows_fit(y, (int)n) || !places(y, who, k)) return false;
  if (!nn_room_lay(r, m, n, y->wide + padded(y->most), k, false)) return no_room(y->st);
  nn_embed_forward(n, k->j, y->d, k->row, k->coef, nn_w(m, m->table), r->acts.s.x);
  for (int l = 0; l < y->layers; l++) block_next(y, l, &r->acts, who, k);
  nn_model_heads(m, &r->acts, k, k->at, r->acts.s.x, false);
  if (k->nq) memcpy(z, r->acts.z, (size_t)r->acts.zn * sizeof *z);
  return true;
}

void nn_memory_copy(nn_memory *y, const int32_t *to, const int32_t *from, int n)
{
  for (int c = 0; c < n; c++) {
    int64_t a = to[c], b = from[c], each = (int64_t)y->most * 2 * y->d;
    size_t len = (size_t)y->len[b];
    for (int64_t l = 0; l < y->layers; l++)
      memcpy(y->kv + (l * y->n + a) * each, y->kv + (l * y->n + b) * each,
             len * 2 * (size_t)y->d * sizeof *y->kv);
    memcpy(y->own + a * y->most, y->own + b * y->most, len * sizeof *y->own);
    y->len[a] = y->len[b];
  }
}

void nn_memory_restart(nn_memory *y) { memset(y->len, 0, (size_t)y->n * sizeof *y->len); }

bool nn_memory_archive(norn_archive *a, nn_memory *y)
{
  size_t row = 2 * (size_t)y->d;
  if (!norn_archive_bytes(a, y->len, (size_t)y->n * sizeof *y->len)) return false;
  for (int i = 0; i < y->n; i++) {
    if (y->len[i] < 0 || y->len[i] > y->most) return norn_archive_fail(a, "a net remembers more than it can");
    size_t len = (size_t)y->len[i];
    norn_archive_bytes(a, y->own + (size_t)i * (size_t)y->most, len * sizeof *y->own);
    for (int l = 0; l < y->layers; l++) {
      size_t at = ((size_t)l * (size_t)y->n + (size_t)i) * (size_t)y->most;
      if (!norn_archive_bytes(a, y->kv + at * row, len * row * sizeof *y->kv)) return false;
    }
  }
  return !norn_archive_status(a);
}
