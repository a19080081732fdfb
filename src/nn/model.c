/* model.c: the transformer of model.h, forwards and backwards, on one part of a batch.

   Pre-LN (Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture"): what a block adds to
   the stream begins at 0, since the weights of its last products do.  Going back, dx is the derivative in the
   stream. */
#include "nn/model_in.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- tensors ---- */

static bool pair(nn_model *m, nn_pair *to, bool norm, int64_t rows, int64_t columns, const char *format, ...)
  NORN_PRINTF(6, 7);
static bool pair(nn_model *m, nn_pair *to, bool norm, int64_t rows, int64_t columns, const char *format, ...)
{
  char base[64], name[96];
  va_list list;
  va_start(list, format);
  vsnprintf(base, sizeof base, format, list);
  va_end(list);
  snprintf(name, sizeof name, "%s.weight", base);
  to->weight = nn_params_add(m->p, name, norm ? 1 : 2, (int64_t[]){ rows, columns }, !norm);
  if (to->weight < 0) return false;
  snprintf(name, sizeof name, "%s.bias", base);
  to->bias = nn_params_add(m->p, name, 1, &rows, false);
  return to->bias >= 0;
}

static bool name_block(nn_model *m, int l)
{
  nn_block *b = m->block + l;
  int64_t d = m->s.d, ff = m->s.ff;
  return pair(m, &b->norm1, true, d, 1, "block.%d.norm1", l) &&
         pair(m, &b->qkv, false, 3 * d, d, "block.%d.attention.qkv", l) &&
         pair(m, &b->out, false, d, d, "block.%d.attention.out", l) &&
         pair(m, &b->norm2, true, d, 1, "block.%d.norm2", l) &&
         pair(m, &b->mlp_in, false, nn_model_mlp_width(&m->s), d, "block.%d.mlp.in", l) &&
         pair(m, &b->mlp_out, false, d, ff, "block.%d.mlp.out", l);
}

static bool name_tensors(nn_model *m)
{
  int64_t d = m->s.d, ff = m->s.ff;
  m->table = nn_params_add(m->p, "embedding.weight", 2, (int64_t[]){ m->s.rows, d }, false);
  if (m->table < 0) return false;
  for (int l = 0; l < m->s.layers; l++)
    if (!name_block(m, l)) return false;
  if (!pair(m, &m->norm, true, d, 1, "norm")) return false;
  for (int h = 0; h < m->nhead; h++)
    if (!pair(m, &m->top[h].in, false, ff, d, "head.%d.in", h) ||
        !pair(m, &m->top[h].out, false, nn_head_width(m->head + h), ff, "head.%d.out", h)) return false;
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
  m->block = norn_alloc(st, NULL, 0, (size_t)s->layers * sizeof *m->block);
  m->top = norn_alloc(st, NULL, 0, (size_t)(nhead + 1) * sizeof *m->top);
  if (!m->block || !m->top) norn_fail(st, NORN_EMEMORY, -1, "no memory for a net of %d blocks", s->layers);
  else if (name_tensors(m)) return m;
  nn_model_free(m);
  return NULL;
}

void nn_model_free(nn_model *m)
{
  if (!m) return;
  if (m->block) norn_alloc(m->st, m->block, (size_t)m->s.layers * sizeof *m->block, 0);
  if (m->top) norn_alloc(m->st, m->top, (size_t)(m->nhead + 1) * sizeof *m->top, 0);
  norn_alloc(m->st, m, sizeof *m, 0);
}

/* Sums of d terms have the size of one; blocks add nothing yet; answers are nearly 0. */
void nn_model_start(nn_model *m, norn_rng *g)
{
  double in = 1 / sqrt(m->s.d), out = .1 / sqrt(m->s.ff);
  nn_params_normal(m->p, m->table, .7, g);
  for (int l = 0; l < m->s.layers; l++) {
    const nn_block *b = m->block + l;
    nn_params_fill(m->p, b->norm1.weight, 1);
    nn_params_fill(m->p, b->norm2.weight, 1);
    nn_params_normal(m->p, b->qkv.weight, in, g);
    nn_params_normal(m->p, b->mlp_in.weight, in, g);
  }
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
  int64_t n = v->n;
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

/* Of sequence i in a block in which all tokens attend, with rows q | k | v. */
static nn_attention all_attend(const nn_model *m, const nn_acts *v, const nn_tokens *k, int i, int64_t shift)
{
  int64_t d = m->s.d, first = (int64_t)i * k->t;
  const float *q = v->qkv + shift + first * 3 * d;
  return (nn_attention){ .heads = m->s.heads,
                         .d = m->s.d / m->s.heads,
                         .nq = k->t,
                         .nk = k->t,
                         .own = v->own,
                         .q = q,
                         .k = q + d,
                         .v = q + 2 * d,
                         .qstep = 3 * d,
                         .kstep = 3 * d,
                         .see = k->see + first,
                         .order = k->order + first };
}

/* In the last block, whose keys are rows k | v and whose queries are the questions'. */
static nn_attention asked_attend(const nn_model *m, const nn_acts *v, const nn_tokens *k, int i,
                                 int64_t shift)
{
  int64_t d = m->s.d, first = (int64_t)i * k->t, from = v->first[i];
  const float *key = v->qkv + shift + first * 2 * d;
  return (nn_attention){ .heads = m->s.heads, .d = m->s.d / m->s.heads, .nq = v->first[i + 1] - v->first[i],
                         .nk = k->t, .own = v->own_asked + from, .q = v->q + from * d, .k = key, .v = key + d,
                         .qstep = d, .kstep = 2 * d, .see = v->see_asked + from, .order = k->order + first };
}

void nn_block_mlp(const nn_model *m, const nn_block *b, const nn_acts *v, int64_t n, const float *x,
                  int64_t shift, float *x1, float *x2, bool learn)
{
  int64_t d = m->s.d, ff = m->s.ff;
  float *c = v->c + shift, *u = v->u + shift, *g = v->g + shift;
  nn_linear_forward(n, d, d, v->o + shift, nn_w(m, b->out.weight), nn_w(m, b->out.bias), x, x1);
  nn_norm_forward(n, d, x1, nn_w(m, b->norm2.weight), nn_w(m, b->norm2.bias), c, v->stat2 + shift);
  nn_linear_forward(n, d, nn_model_mlp_width(&m->s), c, nn_w(m, b->mlp_in.weight), nn_w(m, b->mlp_in.bias),
                    NULL, u);
  if (m->s.swiglu) nn_swiglu_forward(n, ff, u, g);
  else nn_gelu_forward(n * ff, u, g, learn ? u : NULL);
  nn_linear_forward(n, ff, d, g, nn_w(m, b->mlp_out.weight), nn_w(m, b->mlp_out.bias), x1, x2);
}

void nn_block_forward(const nn_model *m, int l, const nn_acts *v, const nn_tokens *k, const float *x,
                      bool learn)
{
  const nn_block *b = m->block + l;
  int64_t d = m->s.d, shift = l * v->layer;
  nn_norm_forward(v->n, d, x, nn_w(m, b->norm1.weight), nn_w(m, b->norm1.bias), v->a + shift,
                  v->stat1 + shift);
  nn_linear_forward(v->n, d, 3 * d, v->a + shift, nn_w(m, b->qkv.weight), nn_w(m, b->qkv.bias), NULL,
                    v->qkv + shift);
  for (int i = 0; i < k->b; i++) {
    nn_attention at = all_attend(m, v, k, i, shift);
    int64_t first = (int64_t)i * k->t;
    nn_attention_forward(&at, v->o + shift + first * d, d, v->lse + shift + first * m->s.heads, v->scratch);
  }
  nn_block_mlp(m, b, v, v->n, x, shift, v->x1 + shift, v->x2 + shift, learn);
}

/* After the last block only questions are looked at: all tokens are keys there, but only they go on.  x2:
   (nq, d). */
static void last_forward(const nn_model *m, const nn_acts *v, const nn_tokens *k, const float *x, bool learn)
{
  const nn_block *b = m->block + m->s.layers - 1;
  int64_t d = m->s.d, shift = (m->s.layers - 1) * v->layer;
  const float *w = nn_w(m, b->qkv.weight), *bias = nn_w(m, b->qkv.bias);
  nn_norm_forward(v->n, d, x, nn_w(m, b->norm1.weight), nn_w(m, b->norm1.bias), v->a + shift,
                  v->stat1 + shift);
  nn_linear_forward(v->n, d, 2 * d, v->a + shift, w + d * d, bias + d, NULL, v->qkv + shift);
  nn_rows_forward(v->nq, d, v->asked, v->a + shift, v->aq);
  nn_rows_forward(v->nq, d, v->asked, x, v->xa);
  nn_linear_forward(v->nq, d, d, v->aq, w, bias, NULL, v->q);
  for (int i = 0; i < k->b; i++) {
    nn_attention at = asked_attend(m, v, k, i, shift);
    int64_t from = v->first[i];
    nn_attention_forward(&at, v->o + shift + from * d, d, v->lse + shift + from * m->s.heads, v->scratch);
  }
  nn_block_mlp(m, b, v, v->nq, v->xa, shift, v->x1 + shift, v->x2 + shift, learn);
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
  const float *x = v->x;
  nn_acts_ask(v, k);
  nn_embed_forward(v->n, k->j, m->s.d, k->row, k->coef, nn_w(m, m->table), v->x);
  for (int l = 0; l < m->s.layers - 1; l++) {
    nn_block_forward(m, l, v, k, x, learn);
    x = v->x2 + l * v->layer;
  }
  last_forward(m, v, k, x, learn);
  nn_model_heads(m, v, k, v->place, v->x2 + (m->s.layers - 1) * v->layer, learn);
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
    nn_linear_backward(n, ff, width, dz, v->hg + q * ff, nn_w(m, t->out.weight), v->dg,
                       nn_g(m, g, t->out.weight), nn_g(m, g, t->out.bias));
    nn_gelu_backward(n * ff, v->dg, v->hu + q * ff, v->dg);
    nn_linear_backward(n, d, ff, v->dg, v->f + q * d, nn_w(m, t->in.weight), v->df + q * d,
                       nn_g(m, g, t->in.weight), nn_g(m, g, t->in.bias));
    dz += n * width;
  }
  memset(v->dxq, 0, (size_t)(k->nq * d) * sizeof(float));
  nn_norm_backward(k->nq, d, v->df, v->xq, v->statf, nn_w(m, m->norm.weight), v->dxq,
                   nn_g(m, g, m->norm.weight), nn_g(m, g, m->norm.bias));
  for (int q = 0; q < k->nq; q++)
    memcpy(v->dx + v->place[q] * d, v->dxq + q * d, (size_t)d * sizeof(float));
}

/* n rows, through the MLP and the product after attention: dx is then that in the stream before it, dn in
   attention. */
static void mlp_backward(const nn_model *m, const nn_block *b, const nn_acts *v, int64_t n, int64_t shift,
                         float *g)
{
  int64_t d = m->s.d, ff = m->s.ff;
  float *du = m->s.swiglu ? v->du : v->dg;
  nn_linear_backward(n, ff, d, v->dx, v->g + shift, nn_w(m, b->mlp_out.weight), v->dg,
                     nn_g(m, g, b->mlp_out.weight), nn_g(m, g, b->mlp_out.bias));
  if (m->s.swiglu) nn_swiglu_backward(n, ff, v->dg, v->u + shift, du);
  else nn_gelu_backward(n * ff, v->dg, v->u + shift, du);
  nn_linear_backward(n, d, nn_model_mlp_width(&m->s), du, v->c + shift, nn_w(m, b->mlp_in.weight), v->dn,
                     nn_g(m, g, b->mlp_in.weight), nn_g(m, g, b->mlp_in.bias));
  nn_norm_backward(n, d, v->dn, v->x1 + shift, v->stat2 + shift, nn_w(m, b->norm2.weight), v->dx,
                   nn_g(m, g, b->norm2.weight), nn_g(m, g, b->norm2.bias));
  nn_linear_backward(n, d, d, v->dx, v->o + shift, nn_w(m, b->out.weight), v->dn, nn_g(m, g, b->out.weight),
                     nn_g(m, g, b->out.bias));
}

static void block_backward(const nn_model *m, int l, const nn_acts *v, const nn_tokens *k, float *g)
{
  const nn_block *b = m->block + l;
  int64_t d = m->s.d, n = v->n, shift = l * v->layer;
  const float *x = l ? v->x2 + shift - v->layer : v->x;
  mlp_backward(m, b, v, n, shift, g);
  for (int i = 0; i < k->b; i++) {
    nn_attention at = all_attend(m, v, k, i, shift);
    int64_t first = (int64_t)i * k->t;
    float *dq = v->dqkv + first * 3 * d;
    nn_attention_backward(&at, v->o + shift + first * d, v->dn + first * d, d,
                          v->lse + shift + first * m->s.heads, dq, dq + d, dq + 2 * d, v->scratch);
  }
  nn_linear_backward(n, d, 3 * d, v->dqkv, v->a + shift, nn_w(m, b->qkv.weight), v->dn,
                     nn_g(m, g, b->qkv.weight), nn_g(m, g, b->qkv.bias));
  nn_norm_backward(n, d, v->dn, x, v->stat1 + shift, nn_w(m, b->norm1.weight), v->dx,
                   nn_g(m, g, b->norm1.weight), nn_g(m, g, b->norm1.bias));
}

/* The last block: dx (nq, d) before, (n, d) after. */
static void last_backward(const nn_model *m, const nn_acts *v, const nn_tokens *k, float *g)
{
  const nn_block *b = m->block + m->s.layers - 1;
  int64_t d = m->s.d, n = v->n, nq = v->nq, shift = (m->s.layers - 1) * v->layer;
  const float *w = nn_w(m, b->qkv.weight), *x = m->s.layers > 1 ? v->x2 + shift - v->layer : v->x;
  float *dw = nn_g(m, g, b->qkv.weight), *db = nn_g(m, g, b->qkv.bias);
  mlp_backward(m, b, v, nq, shift, g);
  for (int i = 0; i < k->b; i++) {
    nn_attention at = asked_attend(m, v, k, i, shift);
    int64_t from = v->first[i];
    float *dk = v->dqkv + (int64_t)i * k->t * 2 * d;
    nn_attention_backward(&at, v->o + shift + from * d, v->dn + from * d, d,
                          v->lse + shift + from * m->s.heads, v->dq + from * d, dk, dk + d, v->scratch);
  }
  memcpy(v->dxa, v->dx, (size_t)(nq * d) * sizeof(float));
  memset(v->dx, 0, (size_t)(n * d) * sizeof(float));
  nn_rows_backward(nq, d, v->asked, v->dxa, v->dx);
  nn_linear_backward(n, d, 2 * d, v->dqkv, v->a + shift, w + d * d, v->dn, dw + d * d, db + d);
  nn_linear_backward(nq, d, d, v->dq, v->aq, w, v->dxa, dw, db);
  nn_rows_backward(nq, d, v->asked, v->dxa, v->dn);
  nn_norm_backward(n, d, v->dn, x, v->stat1 + shift, nn_w(m, b->norm1.weight), v->dx,
                   nn_g(m, g, b->norm1.weight), nn_g(m, g, b->norm1.bias));
}

static void backward(const nn_model *m, const nn_acts *v, const nn_tokens *k, float *g)
{
  heads_backward(m, v, k, g);
  last_backward(m, v, k, g);
  for (int l = m->s.layers - 2; l >= 0; l--) block_backward(m, l, v, k, g);
  nn_embed_backward(v->n, k->j, m->s.d, k->row, k->coef, v->dx, nn_g(m, g, m->table));
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
