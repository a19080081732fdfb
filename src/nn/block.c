/* block.c: the block of block.h.  What it adds to the stream begins at 0, since the weights of its last products do.
   Going back, dx is the derivative in the stream. */
#include "nn/block.h"
#include <math.h>
#include <stdio.h>

/* ---- tensors ---- */

bool nn_pair_name(nn_params *p, nn_pair *to, int64_t rows, int64_t columns, const char *base)
{
  char name[96];
  snprintf(name, sizeof name, "%s.weight", base);
  to->weight = nn_params_add(p, name, columns ? 2 : 1, (int64_t[]){ rows, columns }, columns > 0);
  if (to->weight < 0) return false;
  snprintf(name, sizeof name, "%s.bias", base);
  to->bias = nn_params_add(p, name, 1, &rows, false);
  return to->bias >= 0;
}

static bool name_of_block(const nn_blocks *m, const nn_block_names *names, int l, nn_pair *to, const char *name,
                          int64_t rows, int64_t columns)
{
  char base[80];
  snprintf(base, sizeof base, "%s.%d.%s", names->of, l, name);
  return nn_pair_name(m->p, to, rows, columns, base);
}

bool nn_block_name(const nn_blocks *m, int l, const nn_block_names *k)
{
  nn_block *b = m->block + l;
  int64_t d = m->d, ff = m->ff;
  return name_of_block(m, k, l, &b->norm1, k->norm1, d, 0) && name_of_block(m, k, l, &b->qkv, k->qkv, 3 * d, d) &&
         name_of_block(m, k, l, &b->out, k->out, d, d) && name_of_block(m, k, l, &b->norm2, k->norm2, d, 0) &&
         name_of_block(m, k, l, &b->mlp_in, k->mlp_in, nn_mlp_width(m), d) &&
         name_of_block(m, k, l, &b->mlp_out, k->mlp_out, d, ff);
}

void nn_block_start(const nn_blocks *m, int l, norn_rng *g)
{
  const nn_block *b = m->block + l;
  double in = 1 / sqrt(m->d);
  nn_params_fill(m->p, b->norm1.weight, 1);
  nn_params_fill(m->p, b->norm2.weight, 1);
  nn_params_normal(m->p, b->qkv.weight, in, g);
  nn_params_normal(m->p, b->mlp_in.weight, in, g);
}

/* ---- where things lie ---- */

enum { LINE = 16 };            /* numbers: a cache line, and the widest register, by which reads may end late */

float *nn_take(nn_lay *y, int64_t n)
{
  float *x = y->base ? y->base + y->count : NULL;
  y->count += (size_t)(n + LINE - 1) / LINE * LINE + LINE;
  return x;
}

static void lay_block(nn_stream *v, nn_lay *y, const nn_blocks *m, int64_t rows, bool learn)
{
  int64_t d = m->d, n = v->n;
  v->a = nn_take(y, n * d);
  v->qkv = nn_take(y, 3 * n * d);
  v->lse = nn_take(y, rows * m->heads);
  v->o = nn_take(y, rows * d);
  v->x1 = nn_take(y, rows * d);
  v->c = nn_take(y, rows * d);
  v->u = nn_take(y, rows * nn_mlp_width(m));
  v->g = nn_take(y, rows * m->ff);
  v->stat1 = nn_take(y, 2 * n);
  v->stat2 = nn_take(y, 2 * rows);
  if (learn) v->x2 = nn_take(y, rows * d);
}

void nn_stream_lay(nn_stream *v, nn_lay *y, const nn_blocks *m, int64_t n, int64_t rows, bool learn)
{
  int64_t d = m->d;
  *v = (nn_stream){ .n = n };
  v->x = nn_take(y, rows * d);
  size_t first = y->count;
  lay_block(v, y, m, rows, learn);
  if (!learn) {
    v->x2 = v->x;
    return;
  }
  v->layer = (int64_t)(y->count - first);
  y->count += (size_t)(v->layer * (m->layers - 1));
  v->dx = nn_take(y, rows * d);
  v->dn = nn_take(y, rows * d);
  v->dqkv = nn_take(y, 3 * n * d);
  v->dg = nn_take(y, rows * m->ff);
  v->du = m->swiglu ? nn_take(y, rows * nn_mlp_width(m)) : v->dg;
}

void nn_stream_lay_scratch(nn_stream *v, nn_lay *y, const nn_blocks *m, int64_t keys)
{
  v->scratch = nn_take(y, nn_attention_room(m->heads, m->d / m->heads, (int)keys, (int)keys));
}

/* ---- attention ---- */

static int64_t first_of(const nn_sequences *s, int i) { return s->first ? s->first[i] : (int64_t)i * s->t; }

/* Of sequence i, with rows q | k | v. */
static nn_attention attention_of(const nn_blocks *m, const nn_stream *v, const nn_sequences *s, int i, int64_t shift)
{
  int64_t d = m->d, first = first_of(s, i);
  const float *q = v->qkv + shift + first * 3 * d;
  int n = (int)(first_of(s, i + 1) - first);
  return (nn_attention){ .heads = m->heads, .d = m->d / m->heads, .nq = n, .nk = n,
                         .own = s->own ? s->own + first : NULL, .q = q, .k = q + d, .v = q + 2 * d, .qstep = 3 * d,
                         .kstep = 3 * d, .see = s->see + first, .order = s->order + first };
}

/* ---- forward ---- */

void nn_block_mlp(const nn_blocks *m, const nn_block *b, const nn_stream *v, int64_t n, const float *x, int64_t shift,
                  float *x1, float *x2, bool learn)
{
  const nn_params *p = m->p;
  int64_t d = m->d, ff = m->ff;
  float *c = v->c + shift, *u = v->u + shift, *g = v->g + shift;
  nn_linear_forward(n, d, d, v->o + shift, nn_weight(p, b->out.weight), nn_weight(p, b->out.bias), x, x1);
  nn_norm_forward(n, d, x1, nn_weight(p, b->norm2.weight), nn_weight(p, b->norm2.bias), c, v->stat2 + shift);
  nn_linear_forward(n, d, nn_mlp_width(m), c, nn_weight(p, b->mlp_in.weight), nn_weight(p, b->mlp_in.bias), NULL, u);
  if (m->swiglu) nn_swiglu_forward(n, ff, u, g);
  else nn_gelu_forward(n * ff, u, g, learn ? u : NULL);
  nn_linear_forward(n, ff, d, g, nn_weight(p, b->mlp_out.weight), nn_weight(p, b->mlp_out.bias), x1, x2);
}

void nn_block_forward(const nn_blocks *m, int l, const nn_stream *v, const nn_sequences *s, const float *x, bool learn)
{
  const nn_block *b = m->block + l;
  const nn_params *p = m->p;
  int64_t d = m->d, shift = l * v->layer;
  nn_norm_forward(v->n, d, x, nn_weight(p, b->norm1.weight), nn_weight(p, b->norm1.bias), v->a + shift,
                  v->stat1 + shift);
  nn_linear_forward(v->n, d, 3 * d, v->a + shift, nn_weight(p, b->qkv.weight), nn_weight(p, b->qkv.bias), NULL,
                    v->qkv + shift);
  for (int i = 0; i < s->b; i++) {
    nn_attention at = attention_of(m, v, s, i, shift);
    int64_t first = first_of(s, i);
    nn_attention_forward(&at, v->o + shift + first * d, d, v->lse + shift + first * m->heads, v->scratch);
  }
  nn_block_mlp(m, b, v, v->n, x, shift, v->x1 + shift, v->x2 + shift, learn);
}

/* ---- backward ---- */

void nn_block_mlp_backward(const nn_blocks *m, const nn_block *b, const nn_stream *v, int64_t n, int64_t shift, float *g)
{
  const nn_params *p = m->p;
  int64_t d = m->d, ff = m->ff;
  nn_linear_backward(n, ff, d, v->dx, v->g + shift, nn_weight(p, b->mlp_out.weight), v->dg,
                     nn_gradient(p, g, b->mlp_out.weight), nn_gradient(p, g, b->mlp_out.bias));
  if (m->swiglu) nn_swiglu_backward(n, ff, v->dg, v->u + shift, v->du);
  else nn_gelu_backward(n * ff, v->dg, v->u + shift, v->du);
  nn_linear_backward(n, d, nn_mlp_width(m), v->du, v->c + shift, nn_weight(p, b->mlp_in.weight), v->dn,
                     nn_gradient(p, g, b->mlp_in.weight), nn_gradient(p, g, b->mlp_in.bias));
  nn_norm_backward(n, d, v->dn, v->x1 + shift, v->stat2 + shift, nn_weight(p, b->norm2.weight), v->dx,
                   nn_gradient(p, g, b->norm2.weight), nn_gradient(p, g, b->norm2.bias));
  nn_linear_backward(n, d, d, v->dx, v->o + shift, nn_weight(p, b->out.weight), v->dn,
                     nn_gradient(p, g, b->out.weight), nn_gradient(p, g, b->out.bias));
}

void nn_block_backward(const nn_blocks *m, int l, const nn_stream *v, const nn_sequences *s, const float *x, float *g)
{
  const nn_block *b = m->block + l;
  const nn_params *p = m->p;
  int64_t d = m->d, n = v->n, shift = l * v->layer;
  nn_block_mlp_backward(m, b, v, n, shift, g);
  for (int i = 0; i < s->b; i++) {
    nn_attention at = attention_of(m, v, s, i, shift);
    int64_t first = first_of(s, i);
    float *dq = v->dqkv + first * 3 * d;
    nn_attention_backward(&at, v->o + shift + first * d, v->dn + first * d, d, v->lse + shift + first * m->heads, dq,
                          dq + d, dq + 2 * d, v->scratch);
  }
  nn_linear_backward(n, d, 3 * d, v->dqkv, v->a + shift, nn_weight(p, b->qkv.weight), v->dn,
                     nn_gradient(p, g, b->qkv.weight), nn_gradient(p, g, b->qkv.bias));
  nn_norm_backward(n, d, v->dn, x, v->stat1 + shift, nn_weight(p, b->norm1.weight), v->dx,
                   nn_gradient(p, g, b->norm1.weight), nn_gradient(p, g, b->norm1.bias));
}
