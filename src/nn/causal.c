/* causal.c: the transformer of causal.h, forwards and backwards, on one thread.

   Pre-LN blocks, as GPT-2 has them; what a block adds to the stream begins at 0, since the weights of its last products
   do.  Going back, dx is the derivative in the stream. */
#include "nn/causal.h"
#include "nn/ops.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct pair { int weight, bias; } pair;
typedef struct layer { pair norm1, qkv, out, norm2, up, down; } layer;

struct nn_causal {
  norn_state *st;
  nn_params *p;
  nn_causal_shape s;
  int tokens, places, scores;
  pair norm;
  layer *block;                /* (layers) */
};

static const float *weight(const nn_causal *m, int tensor) { return m->p->w + m->p->tensor[tensor].at; }
static float *gradient(const nn_causal *m, float *g, int tensor) { return g + m->p->tensor[tensor].at; }

/* ---- tensors ---- */

/* A product's weight (rows, columns) and bias, or a norm's gain and bias (columns 0). */
static bool name_pair(nn_causal *m, pair *to, int64_t rows, int64_t columns, const char *format, ...)
  NORN_PRINTF(5, 6);
static bool name_pair(nn_causal *m, pair *to, int64_t rows, int64_t columns, const char *format, ...)
{
  char base[64], name[96];
  va_list list;
  va_start(list, format);
  vsnprintf(base, sizeof base, format, list);
  va_end(list);
  snprintf(name, sizeof name, "%s.weight", base);
  to->weight = nn_params_add(m->p, name, columns ? 2 : 1, (int64_t[]){ rows, columns }, columns > 0);
  snprintf(name, sizeof name, "%s.bias", base);
  if (to->weight >= 0) to->bias = nn_params_add(m->p, name, 1, &rows, false);
  return to->weight >= 0 && to->bias >= 0;
}

static bool name_block(nn_causal *m, layer *b, int l)
{
  int64_t d = m->s.d, ff = m->s.ff;
  return name_pair(m, &b->norm1, d, 0, "blk.%d.attn_norm", l) &&
         name_pair(m, &b->qkv, 3 * d, d, "blk.%d.attn_qkv", l) &&
         name_pair(m, &b->out, d, d, "blk.%d.attn_output", l) &&
         name_pair(m, &b->norm2, d, 0, "blk.%d.ffn_norm", l) &&
         name_pair(m, &b->up, ff, d, "blk.%d.ffn_up", l) && name_pair(m, &b->down, d, ff, "blk.%d.ffn_down", l);
}

static bool name_tensors(nn_causal *m)
{
  int64_t table[] = { m->s.tokens, m->s.d }, places[] = { m->s.window, m->s.d };
  m->tokens = nn_params_add(m->p, "token_embd.weight", 2, table, false);
  if (m->tokens < 0 || (m->places = nn_params_add(m->p, "position_embd.weight", 2, places, false)) < 0) return false;
  for (int l = 0; l < m->s.layers; l++)
    if (!name_block(m, m->block + l, l)) return false;
  if (!name_pair(m, &m->norm, m->s.d, 0, "output_norm")) return false;
  return (m->scores = nn_params_add(m->p, "output.weight", 2, table, true)) >= 0;
}

static bool shape_is_right(norn_state *st, const nn_causal_shape *s)
{
  if (s->d > 0 && s->layers > 0 && s->heads > 0 && s->ff > 0 && s->window > 0 && s->window < INT16_MAX &&
      s->tokens > 1 && s->d % s->heads == 0)
    return true;
  norn_fail(st, NORN_EDOMAIN, -1, "a transformer can't have width = %d, layers = %d, heads = %d, context = %d", s->d,
            s->layers, s->heads, s->window);
  norn_hint(st, "all are at least 1, the width is a multiple of heads, the context is under %d", INT16_MAX);
  return false;
}

nn_causal *nn_causal_new(norn_state *st, nn_params *p, const nn_causal_shape *s)
{
  if (!shape_is_right(st, s)) return NULL;
  nn_causal *m = norn_alloc(st, NULL, 0, sizeof *m);
  if (!m) {
    norn_fail(st, NORN_EMEMORY, -1, "no memory for a transformer");
    return NULL;
  }
  *m = (nn_causal){ .st = st, .p = p, .s = *s };
  m->block = norn_alloc(st, NULL, 0, (size_t)s->layers * sizeof *m->block);
  if (!m->block) norn_fail(st, NORN_EMEMORY, -1, "no memory for a transformer of %d blocks", s->layers);
  else if (name_tensors(m)) return m;
  nn_causal_free(m);
  return NULL;
}

void nn_causal_free(nn_causal *m)
{
  if (!m) return;
  if (m->block) norn_alloc(m->st, m->block, (size_t)m->s.layers * sizeof *m->block, 0);
  norn_alloc(m->st, m, sizeof *m, 0);
}

/* Sums of d terms have the size of one; blocks add nothing yet; all tokens are nearly alike. */
void nn_causal_start(nn_causal *m, norn_rng *g)
{
  double in = 1 / sqrt(m->s.d);
  nn_params_normal(m->p, m->tokens, .1, g);
  nn_params_normal(m->p, m->places, .1, g);
  for (int l = 0; l < m->s.layers; l++) {
    const layer *b = m->block + l;
    nn_params_fill(m->p, b->norm1.weight, 1);
    nn_params_fill(m->p, b->norm2.weight, 1);
    nn_params_normal(m->p, b->qkv.weight, in, g);
    nn_params_normal(m->p, b->up.weight, in, g);
  }
  nn_params_fill(m->p, m->norm.weight, 1);
  nn_params_normal(m->p, m->scores, .1 * in, g);
}

/* ---- where things lie ---- */

/* What a block keeps for going back lies `step` numbers further for each; if nothing is learned all use one. */
typedef struct acts {
  int64_t n, step;
  float *x, *a, *qkv, *lse, *o, *x1, *c, *u, *g, *x2, *stat1, *stat2;
  float *f, *statf, *z;
  float *dx, *dn, *dqkv, *dg, *scratch;
  int32_t *place;
  int16_t *order, *see;
  size_t count;
} acts;

enum { LINE = 16 };            /* numbers: a cache line, and the widest register, by which reads may end late */

static float *take(acts *v, float *base, int64_t n)
{
  float *x = base ? base + v->count : NULL;
  v->count += (size_t)(n + LINE - 1) / LINE * LINE + LINE;
  return x;
}

static void lay_block(acts *v, float *base, const nn_causal *m, bool learn)
{
  int64_t d = m->s.d, n = v->n;
  v->a = take(v, base, n * d);
  v->qkv = take(v, base, 3 * n * d);
  v->lse = take(v, base, n * m->s.heads);
  v->o = take(v, base, n * d);
  v->x1 = take(v, base, n * d);
  v->c = take(v, base, n * d);
  v->u = take(v, base, n * m->s.ff);
  v->g = take(v, base, n * m->s.ff);
  v->stat1 = take(v, base, 2 * n);
  v->stat2 = take(v, base, 2 * n);
  if (learn) v->x2 = take(v, base, n * d);
}

static acts lay(const nn_causal *m, int64_t n, int longest, bool learn, float *base)
{
  acts v = { .n = n };
  int64_t d = m->s.d;
  v.x = take(&v, base, n * d);
  size_t first = v.count;
  lay_block(&v, base, m, learn);
  if (learn) {
    v.step = (int64_t)(v.count - first);
    v.count += (size_t)(v.step * (m->s.layers - 1));
    v.dx = take(&v, base, n * d);
    v.dn = take(&v, base, n * d);
    v.dqkv = take(&v, base, 3 * n * d);
    v.dg = take(&v, base, n * m->s.ff);
  } else v.x2 = v.x;
  v.f = take(&v, base, n * d);
  v.statf = take(&v, base, 2 * n);
  v.z = take(&v, base, n * m->s.tokens);
  v.place = (int32_t *)(void *)take(&v, base, n);
  v.order = (int16_t *)(void *)take(&v, base, longest);
  v.see = (int16_t *)(void *)take(&v, base, longest);
  v.scratch = take(&v, base, nn_attention_room(m->s.heads, m->s.d / m->s.heads, longest, longest));
  return v;
}

size_t nn_causal_room(const nn_causal *m, int64_t n, int longest, bool learn)
{
  return lay(m, n, longest, learn, NULL).count;
}

static int longest_of(const nn_texts *t)
{
  int most = 0;
  for (int i = 0; i < t->b; i++)
    if (t->first[i + 1] - t->first[i] > most) most = t->first[i + 1] - t->first[i];
  return most;
}

/* Lays out the room, and says who sees whom: the k-th of a text those before it and itself. */
static acts begin(const nn_causal *m, const nn_texts *t, bool learn, float *room)
{
  int longest = longest_of(t);
  acts v = lay(m, t->first[t->b], longest, learn, room);
  for (int i = 0; i < t->b; i++)
    for (int32_t k = t->first[i]; k < t->first[i + 1]; k++) v.place[k] = k - t->first[i];
  for (int k = 0; k < longest; k++) v.see[k] = (int16_t)((v.order[k] = (int16_t)k) + 1);
  return v;
}

/* ---- forward ---- */

static nn_attention attention_of(const nn_causal *m, const acts *v, const nn_texts *t, int i, int64_t shift)
{
  int64_t d = m->s.d;
  const float *q = v->qkv + shift + t->first[i] * 3 * d;
  int n = t->first[i + 1] - t->first[i];
  return (nn_attention){ .heads = m->s.heads, .d = m->s.d / m->s.heads, .nq = n, .nk = n, .q = q, .k = q + d,
                         .v = q + 2 * d, .qstep = 3 * d, .kstep = 3 * d, .see = v->see, .order = v->order };
}

static void embed(const nn_causal *m, const acts *v, const nn_texts *t)
{
  int64_t d = m->s.d;
  const float *token = weight(m, m->tokens), *place = weight(m, m->places);
  for (int64_t k = 0; k < v->n; k++) {
    memcpy(v->x + k * d, token + t->token[k] * d, (size_t)d * sizeof *token);
    nn_axpy(d, 1, place + v->place[k] * d, v->x + k * d);
  }
}

static void block_forward(const nn_causal *m, int l, const acts *v, const nn_texts *t, const float *x, bool learn)
{
  const layer *b = m->block + l;
  int64_t d = m->s.d, ff = m->s.ff, n = v->n, shift = l * v->step;
  float *a = v->a + shift, *x1 = v->x1 + shift, *c = v->c + shift, *u = v->u + shift, *g = v->g + shift;
  nn_norm_forward(n, d, x, weight(m, b->norm1.weight), weight(m, b->norm1.bias), a, v->stat1 + shift);
  nn_linear_forward(n, d, 3 * d, a, weight(m, b->qkv.weight), weight(m, b->qkv.bias), NULL, v->qkv + shift);
  for (int i = 0; i < t->b; i++) {
    nn_attention at = attention_of(m, v, t, i, shift);
    nn_attention_forward(&at, v->o + shift + t->first[i] * d, d, v->lse + shift + t->first[i] * m->s.heads,
                         v->scratch);
  }
  nn_linear_forward(n, d, d, v->o + shift, weight(m, b->out.weight), weight(m, b->out.bias), x, x1);
  nn_norm_forward(n, d, x1, weight(m, b->norm2.weight), weight(m, b->norm2.bias), c, v->stat2 + shift);
  nn_linear_forward(n, d, ff, c, weight(m, b->up.weight), weight(m, b->up.bias), NULL, u);
  nn_gelu_forward(n * ff, u, g, learn ? u : NULL);
  nn_linear_forward(n, ff, d, g, weight(m, b->down.weight), weight(m, b->down.bias), x1, v->x2 + shift);
}

static const float *stream_before(const acts *v, int l) { return l ? v->x2 + (l - 1) * v->step : v->x; }

static void forward(const nn_causal *m, const acts *v, const nn_texts *t, bool learn, float *z)
{
  int64_t d = m->s.d;
  embed(m, v, t);
  for (int l = 0; l < m->s.layers; l++) block_forward(m, l, v, t, stream_before(v, l), learn);
  nn_norm_forward(v->n, d, stream_before(v, m->s.layers), weight(m, m->norm.weight), weight(m, m->norm.bias), v->f,
                  v->statf);
  nn_linear_forward(v->n, d, m->s.tokens, v->f, weight(m, m->scores), NULL, NULL, z);
}

void nn_causal_scores(const nn_causal *m, const nn_texts *t, float *z, float *room)
{
  acts v = begin(m, t, false, room);
  forward(m, &v, t, false, z);
}

/* ---- backward ---- */

static void block_backward(const nn_causal *m, int l, const acts *v, const nn_texts *t, float *g)
{
  const layer *b = m->block + l;
  int64_t d = m->s.d, ff = m->s.ff, n = v->n, shift = l * v->step;
  nn_linear_backward(n, ff, d, v->dx, v->g + shift, weight(m, b->down.weight), v->dg,
                     gradient(m, g, b->down.weight), gradient(m, g, b->down.bias));
  nn_gelu_backward(n * ff, v->dg, v->u + shift, v->dg);
  nn_linear_backward(n, d, ff, v->dg, v->c + shift, weight(m, b->up.weight), v->dn, gradient(m, g, b->up.weight),
                     gradient(m, g, b->up.bias));
  nn_norm_backward(n, d, v->dn, v->x1 + shift, v->stat2 + shift, weight(m, b->norm2.weight), v->dx,
                   gradient(m, g, b->norm2.weight), gradient(m, g, b->norm2.bias));
  nn_linear_backward(n, d, d, v->dx, v->o + shift, weight(m, b->out.weight), v->dn,
                     gradient(m, g, b->out.weight), gradient(m, g, b->out.bias));
  for (int i = 0; i < t->b; i++) {
    nn_attention at = attention_of(m, v, t, i, shift);
    int64_t first = t->first[i];
    float *dq = v->dqkv + first * 3 * d;
    nn_attention_backward(&at, v->o + shift + first * d, v->dn + first * d, d,
                          v->lse + shift + first * m->s.heads, dq, dq + d, dq + 2 * d, v->scratch);
  }
  nn_linear_backward(n, d, 3 * d, v->dqkv, v->a + shift, weight(m, b->qkv.weight), v->dn,
                     gradient(m, g, b->qkv.weight), gradient(m, g, b->qkv.bias));
  nn_norm_backward(n, d, v->dn, stream_before(v, l), v->stat1 + shift, weight(m, b->norm1.weight), v->dx,
                   gradient(m, g, b->norm1.weight), gradient(m, g, b->norm1.bias));
}

/* From derivatives in scores, which lie in place of the scores. */
static void backward(const nn_causal *m, const acts *v, const nn_texts *t, float *g)
{
  int64_t d = m->s.d;
  float *token = gradient(m, g, m->tokens), *place = gradient(m, g, m->places);
  nn_linear_backward(v->n, d, m->s.tokens, v->z, v->f, weight(m, m->scores), v->dn, gradient(m, g, m->scores), NULL);
  memset(v->dx, 0, (size_t)(v->n * d) * sizeof *v->dx);
  nn_norm_backward(v->n, d, v->dn, stream_before(v, m->s.layers), v->statf, weight(m, m->norm.weight), v->dx,
                   gradient(m, g, m->norm.weight), gradient(m, g, m->norm.bias));
  for (int l = m->s.layers - 1; l >= 0; l--) block_backward(m, l, v, t, g);
  for (int64_t k = 0; k < v->n; k++) {
    nn_axpy(d, 1, v->dx + k * d, token + t->token[k] * d);
    nn_axpy(d, 1, v->dx + k * d, place + v->place[k] * d);
  }
}

/* -log softmax(z)[target], and in place of z its derivative times scale. */
static double asked(int64_t n, float *z, int32_t target, float scale)
{
  float top, of = target >= 0 ? z[target] : 0, sum = nn_exps(n, z, z, &top);
  if (target < 0) {
    memset(z, 0, (size_t)n * sizeof *z);
    return 0;
  }
  float c = scale / sum;
  for (int64_t j = 0; j < n; j++) z[j] *= c;
  z[target] -= scale;
  return log((double)sum) + (double)top - (double)of;
}

double nn_causal_loss(const nn_causal *m, const nn_texts *t, float scale, float *g, float *room)
{
  acts v = begin(m, t, g != NULL, room);
  double sum = 0;
  forward(m, &v, t, g != NULL, v.z);
  for (int64_t k = 0; k < v.n; k++) sum += asked(m->s.tokens, v.z + k * m->s.tokens, t->target[k], scale);
  if (g) backward(m, &v, t, g);
  return sum;
}
