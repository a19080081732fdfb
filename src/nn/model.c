/* model.c: the transformer of model.h, forwards and backwards, on one part of a batch: tokens, the blocks of block.h, the
   last of them for questions alone, and heads. */
#include "nn/model_in.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- tensors ---- */

static const nn_block_names names = { "block", "norm1", "attention.qkv", "attention.out", "norm2", "mlp.in", "mlp.out" };

/* Of head h. */
static bool name_top(nn_model *m, int h)
{
  char in[32], out[32];
  snprintf(in, sizeof in, "head.%d.in", h);
  snprintf(out, sizeof out, "head.%d.out", h);
  return nn_pair_name(m->p, &m->top[h].in, m->s.ff, m->s.d, in) &&
         nn_pair_name(m->p, &m->top[h].out, nn_head_width(m->head + h), m->s.ff, out);
}

static bool name_tensors(nn_model *m)
{
  m->table = nn_params_add(m->p, "embedding.weight", 2, (int64_t[]){ m->s.rows, m->s.d }, false);
  if (m->table < 0) return false;
  for (int l = 0; l < m->s.layers; l++)
    if (!nn_block_name(&m->on, l, &names)) return false;
  if (!nn_pair_name(m->p, &m->norm, m->s.d, 0, "norm")) return false;
  for (int h = 0; h < m->nhead; h++)
    if (!name_top(m, h)) return false;
  return true;
}

static bool shape_is_right(norn_state *st, const nn_shape *s)
{
  if (s->d > 0 && s->layers > 0 && s->heads > 0 && s->ff > 0 && s->rows > 0 && s->d % s->heads == 0)
    return true;
  norn_fail(st, NORN_EDOMAIN, -1, "a net can't have d = %d, layers = %d, heads = %d, ff = %d", s->d,
            s->layers, s->heads, s->ff);
  norn_hint(st, "all are at least 1, and d is a multiple of heads");
  return false;
}

nn_model *nn_model_new(norn_state *st, nn_params *p, const nn_shape *s, const nn_head *head, int nhead)
{
  if (!shape_is_right(st, s)) return NULL;
  nn_model *m = norn_alloc(st, NULL, 0, sizeof *m);
  if (!m) {
    norn_fail(st, NORN_EMEMORY, -1, "no memory for a net");
    return NULL;
  }
  *m = (nn_model){ .st = st, .p = p, .s = *s, .head = head, .nhead = nhead };
  m->on = (nn_blocks){ .p = p, .d = s->d, .heads = s->heads, .ff = s->ff, .layers = s->layers, .swiglu = s->swiglu };
  m->on.block = norn_alloc(st, NULL, 0, (size_t)s->layers * sizeof *m->on.block);
  m->top = norn_alloc(st, NULL, 0, (size_t)(nhead + 1) * sizeof *m->top);
  if (!m->on.block || !m->top) norn_fail(st, NORN_EMEMORY, -1, "no memory for a net of %d blocks", s->layers);
  else if (name_tensors(m)) return m;
  nn_model_free(m);
  return NULL;
}

void nn_model_free(nn_model *m)
{
  if (!m) return;
  if (m->on.block) norn_alloc(m->st, m->on.block, (size_t)m->s.layers * sizeof *m->on.block, 0);
  if (m->top) norn_alloc(m->st, m->top, (size_t)(m->nhead + 1) * sizeof *m->top, 0);
  norn_alloc(m->st, m, sizeof *m, 0);
}

/* Sums of d terms have the size of one; blocks add nothing yet; answers are nearly 0. */
void nn_model_start(nn_model *m, norn_rng *g)
{
  double in = 1 / sqrt(m->s.d), out = .1 / sqrt(m->s.ff);
  nn_params_normal(m->p, m->table, .7, g);
  for (int l = 0; l < m->s.layers; l++) nn_block_start(&m->on, l, g);
  nn_params_fill(m->p, m->norm.weight, 1);
  for (int h = 0; h < m->nhead; h++) {
    nn_params_normal(m->p, m->top[h].in.weight, in, g);
    nn_params_normal(m->p, m->top[h].out.weight, out, g);
  }
}

/* ---- forward ---- */

/* Counts questions by their token, which makes the order stable. */
void nn_acts_ask(const nn_acts *v, const nn_tokens *k)
{
  int64_t n = v->s.n;
  int32_t *count = v->own, before = 0;
  memset(count, 0, (size_t)n * sizeof *count);
  for (int q = 0; q < k->nq; q++) count[k->at[q]]++;
  for (int64_t i = 0; i < n; i++) {
    int32_t here = count[i];
    if (i % k->t == 0) v->first[i / k->t] = before;
    count[i] = before;
    before += here;
  }
  v->first[k->b] = before;
  for (int q = 0; q < k->nq; q++) {
    int32_t at = k->at[q], to = v->place[q] = count[at]++;
    v->asked[to] = at;
    v->own_asked[to] = at % k->t;
    v->see_asked[to] = k->see[at];
  }
  for (int64_t i = 0; i < n; i++) v->own[i] = (int32_t)(i % k->t);
}

nn_sequences nn_acts_sequences(const nn_acts *v, const nn_tokens *k)
{
  return (nn_sequences){ .b = k->b, .t = k->t, .own = v->own, .see = k->see, .order = k->order };
}

/* In the last block, whose keys are rows k | v and whose queries are the questions'. */
static nn_attention asked_attend(const nn_model *m, const nn_acts *v, const nn_tokens *k, int i,
                                 int64_t shift)
{
  int64_t d = m->s.d, first = (int64_t)i * k->t, from = v->first[i];
  const float *key = v->s.qkv + shift + first * 2 * d;
  return (nn_attention){ .heads = m->s.heads, .d = m->s.d / m->s.heads, .nq = v->first[i + 1] - v->first[i],
                         .nk = k->t, .own = v->own_asked + from, .q = v->q + from * d, .k = key, .v = key + d,
                         .qstep = d, .kstep = 2 * d, .see = v->see_asked + from, .order = k->order + first };
}

/* After the last block only questions are looked at: all tokens are keys there, but only they go on.  x2:
   (nq, d). */
static void last_forward(const nn_model *m, const nn_acts *v, const nn_tokens *k, const float *x, bool learn)
{
  const nn_block *b = m->on.block + m->s.layers - 1;
  int64_t d = m->s.d, shift = (m->s.layers - 1) * v->s.layer;
  const float *w = nn_w(m, b->qkv.weight), *bias = nn_w(m, b->qkv.bias);
  nn_norm_forward(v->s.n, d, x, nn_w(m, b->norm1.weight), nn_w(m, b->norm1.bias), v->s.a + shift,
                  v->s.stat1 + shift);
  nn_linear_forward(v->s.n, d, 2 * d, v->s.a + shift, w + d * d, bias + d, NULL, v->s.qkv + shift);
  nn_rows_forward(v->nq, d, v->asked, v->s.a + shift, v->aq);
  nn_rows_forward(v->nq, d, v->asked, x, v->xa);
  nn_linear_forward(v->nq, d, d, v->aq, w, bias, NULL, v->q);
  for (int i = 0; i < k->b; i++) {
    nn_attention at = asked_attend(m, v, k, i, shift);
    int64_t from = v->first[i];
    nn_attention_forward(&at, v->s.o + shift + from * d, d, v->s.lse + shift + from * m->s.heads, v->s.scratch);
  }
  nn_block_mlp(&m->on, b, &v->s, v->nq, v->xa, shift, v->s.x1 + shift, v->s.x2 + shift, learn);
}

/* The questions from .. of one head; how many. */
static int64_t same_head(const nn_tokens *k, int64_t from)
{
  int64_t to = from;
  while (to < k->nq && k->head[to] == k->head[from]) to++;
  return to - from;
}

void nn_model_heads(const nn_model *m, const nn_acts *v, const nn_tokens *k, const int32_t *at,
                    const float *x, bool learn)
{
  int64_t d = m->s.d, ff = m->s.ff;
  float *z = v->z;
  nn_rows_forward(k->nq, d, at, x, v->xq);
  nn_norm_forward(k->nq, d, v->xq, nn_w(m, m->norm.weight), nn_w(m, m->norm.bias), v->f, v->statf);
  for (int64_t q = 0, n; q < k->nq; q += n) {
    const nn_top *t = m->top + k->head[q];
    int64_t width = nn_head_width(m->head + k->head[q]);
    float *u = v->hu + q * ff, *g = v->hg + q * ff;
    n = same_head(k, q);
    nn_linear_forward(n, d, ff, v->f + q * d, nn_w(m, t->in.weight), nn_w(m, t->in.bias), NULL, u);
    nn_gelu_forward(n * ff, u, g, learn ? u : NULL);
    nn_linear_forward(n, ff, width, g, nn_w(m, t->out.weight), nn_w(m, t->out.bias), NULL, z);
    z += n * width;
  }
}

static void forward(const nn_model *m, const nn_acts *v, const nn_tokens *k, bool learn)
{
  nn_sequences all = nn_acts_sequences(v, k);
  const float *x = v->s.x;
  nn_acts_ask(v, k);
  nn_embed_forward(v->s.n, k->j, m->s.d, k->row, k->coef, nn_w(m, m->table), v->s.x);
  for (int l = 0; l < m->s.layers - 1; l++) {
    nn_block_forward(&m->on, l, &v->s, &all, x, learn);
    x = v->s.x2 + l * v->s.layer;
  }
  last_forward(m, v, k, x, learn);
  nn_model_heads(m, v, k, v->place, v->s.x2 + (m->s.layers - 1) * v->s.layer, learn);
}

void nn_model_answers(const nn_model *m, nn_room *room, const nn_tokens *k, float *z)
{
  if (!nn_room_lay(room, m, (int64_t)k->b * k->t, k->t, k, false)) return;
  forward(m, &room->acts, k, false);
  memcpy(z, room->acts.z, (size_t)room->acts.zn * sizeof *z);
}

/* ---- backward ---- */

/* From dz to dx (nq, d) of what the last block gave. */
static void heads_backward(const nn_model *m, const nn_acts *v, const nn_tokens *k, float *g)
{
  int64_t d = m->s.d, ff = m->s.ff;
  const float *dz = v->dz;
  for (int64_t q = 0, n; q < k->nq; q += n) {
    const nn_top *t = m->top + k->head[q];
    int64_t width = nn_head_width(m->head + k->head[q]);
    n = same_head(k, q);
    nn_linear_backward(n, ff, width, dz, v->hg + q * ff, nn_w(m, t->out.weight), v->s.dg,
                       nn_g(m, g, t->out.weight), nn_g(m, g, t->out.bias));
    nn_gelu_backward(n * ff, v->s.dg, v->hu + q * ff, v->s.dg);
    nn_linear_backward(n, d, ff, v->s.dg, v->f + q * d, nn_w(m, t->in.weight), v->df + q * d,
                       nn_g(m, g, t->in.weight), nn_g(m, g, t->in.bias));
    dz += n * width;
  }
  memset(v->dxq, 0, (size_t)(k->nq * d) * sizeof(float));
  nn_norm_backward(k->nq, d, v->df, v->xq, v->statf, nn_w(m, m->norm.weight), v->dxq,
                   nn_g(m, g, m->norm.weight), nn_g(m, g, m->norm.bias));
  for (int q = 0; q < k->nq; q++)
    memcpy(v->s.dx + v->place[q] * d, v->dxq + q * d, (size_t)d * sizeof(float));
}

/* The last block: dx (nq, d) before, (n, d) after. */
static void last_backward(const nn_model *m, const nn_acts *v, const nn_tokens *k, float *g)
{
  const nn_block *b = m->on.block + m->s.layers - 1;
  int64_t d = m->s.d, n = v->s.n, nq = v->nq, shift = (m->s.layers - 1) * v->s.layer;
  const float *w = nn_w(m, b->qkv.weight), *x = m->s.layers > 1 ? v->s.x2 + shift - v->s.layer : v->s.x;
  float *dw = nn_g(m, g, b->qkv.weight), *db = nn_g(m, g, b->qkv.bias);
  nn_block_mlp_backward(&m->on, b, &v->s, nq, shift, g);
  for (int i = 0; i < k->b; i++) {
    nn_attention at = asked_attend(m, v, k, i, shift);
    int64_t from = v->first[i];
    float *dk = v->s.dqkv + (int64_t)i * k->t * 2 * d;
    nn_attention_backward(&at, v->s.o + shift + from * d, v->s.dn + from * d, d,
                          v->s.lse + shift + from * m->s.heads, v->dq + from * d, dk, dk + d, v->s.scratch);
  }
  memcpy(v->dxa, v->s.dx, (size_t)(nq * d) * sizeof(float));
  memset(v->s.dx, 0, (size_t)(n * d) * sizeof(float));
  nn_rows_backward(nq, d, v->asked, v->dxa, v->s.dx);
  nn_linear_backward(n, d, 2 * d, v->s.dqkv, v->s.a + shift, w + d * d, v->s.dn, dw + d * d, db + d);
  nn_linear_backward(nq, d, d, v->dq, v->aq, w, v->dxa, dw, db);
  nn_rows_backward(nq, d, v->asked, v->dxa, v->s.dn);
  nn_norm_backward(n, d, v->s.dn, x, v->s.stat1 + shift, nn_w(m, b->norm1.weight), v->s.dx,
                   nn_g(m, g, b->norm1.weight), nn_g(m, g, b->norm1.bias));
}

static void backward(const nn_model *m, const nn_acts *v, const nn_tokens *k, float *g)
{
  nn_sequences all = nn_acts_sequences(v, k);
  heads_backward(m, v, k, g);
  last_backward(m, v, k, g);
  for (int l = m->s.layers - 2; l >= 0; l--)
    nn_block_backward(&m->on, l, &v->s, &all, nn_stream_before(&v->s, l), g);
  nn_embed_backward(v->s.n, k->j, m->s.d, k->row, k->coef, v->s.dx, nn_g(m, g, m->table));
}

double nn_model_loss(const nn_model *m, nn_room *room, const nn_tokens *k, float scale, float *g,
                     double *loss)
{
  const nn_acts *v = &room->acts;
  double sum = 0;
  if (!nn_room_lay(room, m, (int64_t)k->b * k->t, k->t, k, g != NULL)) return NAN;
  forward(m, v, k, g != NULL);
  float *z = v->z, *dz = g ? v->dz : NULL;
  for (int64_t q = 0, n; q < k->nq; q += n) {
    const nn_head *head = m->head + k->head[q];
    int64_t numbers = (n = same_head(k, q)) * nn_head_width(head);
    sum += nn_head_loss(head, (int)n, z, k->target + q, loss ? loss + q : NULL, dz);
    z += numbers;
    if (dz) dz += numbers;
  }
  if (!g) return sum;
  for (int64_t i = 0; i < v->zn; i++) v->dz[i] *= scale;
  backward(m, v, k, g);
  return sum;
}
