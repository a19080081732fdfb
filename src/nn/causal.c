/* causal.c: the transformer of causal.h, forwards and backwards, on one thread: tables of tokens and places, the blocks
   of block.h, scores. */
#include "nn/causal.h"
#include "nn/block.h"
#include <math.h>
#include <string.h>

struct nn_causal {
  norn_state *st;
  nn_params *p;
  nn_causal_shape s;
  int tokens, places, scores;
  nn_pair norm;
  nn_blocks on;
};

static const float *weight(const nn_causal *m, int tensor) { return nn_weight(m->p, tensor); }
static float *gradient(const nn_causal *m, float *g, int tensor) { return nn_gradient(m->p, g, tensor); }

/* ---- tensors ---- */

static const nn_block_names names = { "blk", "attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down" };

static bool name_tensors(nn_causal *m)
{
  int64_t table[] = { m->s.tokens, m->s.d }, places[] = { m->s.window, m->s.d };
  m->tokens = nn_params_add(m->p, "token_embd.weight", 2, table, false);
  if (m->tokens < 0 || (m->places = nn_params_add(m->p, "position_embd.weight", 2, places, false)) < 0) return false;
  for (int l = 0; l < m->s.layers; l++)
    if (!nn_block_name(&m->on, l, &names)) return false;
  if (!nn_pair_name(m->p, &m->norm, m->s.d, 0, "output_norm")) return false;
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
  m->on = (nn_blocks){ .p = p, .d = s->d, .heads = s->heads, .ff = s->ff, .layers = s->layers };
  m->on.block = norn_alloc(st, NULL, 0, (size_t)s->layers * sizeof *m->on.block);
  if (!m->on.block) norn_fail(st, NORN_EMEMORY, -1, "no memory for a transformer of %d blocks", s->layers);
  else if (name_tensors(m)) return m;
  nn_causal_free(m);
  return NULL;
}

void nn_causal_free(nn_causal *m)
{
  if (!m) return;
  if (m->on.block) norn_alloc(m->st, m->on.block, (size_t)m->s.layers * sizeof *m->on.block, 0);
  norn_alloc(m->st, m, sizeof *m, 0);
}

/* Sums of d terms have the size of one; blocks add nothing yet; all tokens are nearly alike. */
void nn_causal_start(nn_causal *m, norn_rng *g)
{
  double in = 1 / sqrt(m->s.d);
  nn_params_normal(m->p, m->tokens, .1, g);
  nn_params_normal(m->p, m->places, .1, g);
  for (int l = 0; l < m->s.layers; l++) nn_block_start(&m->on, l, g);
  nn_params_fill(m->p, m->norm.weight, 1);
  nn_params_normal(m->p, m->scores, .1 * in, g);
}

/* ---- where things lie ---- */

typedef struct acts {
  nn_stream s;
  float *f, *statf, *z;
  int32_t *place;
  int16_t *order, *see;        /* (n): the k-th of a text sees those before it and itself */
  nn_sequences of;
  size_t count;
} acts;

static acts lay(const nn_causal *m, int64_t n, int longest, bool learn, float *base)
{
  acts v;
  nn_lay y = { .base = base };
  int64_t d = m->s.d;
  nn_stream_lay(&v.s, &y, &m->on, n, n, learn);
  v.f = nn_take(&y, n * d);
  v.statf = nn_take(&y, 2 * n);
  v.z = nn_take(&y, n * m->s.tokens);
  v.place = (int32_t *)(void *)nn_take(&y, n);
  v.order = (int16_t *)(void *)nn_take(&y, n);
  v.see = (int16_t *)(void *)nn_take(&y, n);
  nn_stream_lay_scratch(&v.s, &y, &m->on, longest);
  v.count = y.count;
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

/* Lays out the room, and says who sees whom. */
static acts begin(const nn_causal *m, const nn_texts *t, bool learn, float *room)
{
  acts v = lay(m, t->first[t->b], longest_of(t), learn, room);
  for (int i = 0; i < t->b; i++)
    for (int32_t k = t->first[i]; k < t->first[i + 1]; k++) {
      v.place[k] = k - t->first[i];
      v.order[k] = (int16_t)v.place[k];
      v.see[k] = (int16_t)(v.place[k] + 1);
    }
  v.of = (nn_sequences){ .b = t->b, .first = t->first, .see = v.see, .order = v.order };
  return v;
}

/* ---- forward ---- */

static void embed(const nn_causal *m, const acts *v, const nn_texts *t)
{
  int64_t d = m->s.d;
  const float *token = weight(m, m->tokens), *place = weight(m, m->places);
  for (int64_t k = 0; k < v->s.n; k++) {
    memcpy(v->s.x + k * d, token + t->token[k] * d, (size_t)d * sizeof *token);
    nn_axpy(d, 1, place + v->place[k] * d, v->s.x + k * d);
  }
}

static void forward(const nn_causal *m, const acts *v, const nn_texts *t, bool learn, float *z)
{
  int64_t d = m->s.d;
  embed(m, v, t);
  for (int l = 0; l < m->s.layers; l++) nn_block_forward(&m->on, l, &v->s, &v->of, nn_stream_before(&v->s, l), learn);
  nn_norm_forward(v->s.n, d, nn_stream_before(&v->s, m->s.layers), weight(m, m->norm.weight), weight(m, m->norm.bias), v->f,
                  v->statf);
  nn_linear_forward(v->s.n, d, m->s.tokens, v->f, weight(m, m->scores), NULL, NULL, z);
}

void nn_causal_scores(const nn_causal *m, const nn_texts *t, float *z, float *room)
{
  acts v = begin(m, t, false, room);
  forward(m, &v, t, false, z);
}

/* ---- backward ---- */

/* From derivatives in scores, which lie in place of the scores. */
static void backward(const nn_causal *m, const acts *v, const nn_texts *t, float *g)
{
  int64_t d = m->s.d;
  float *token = gradient(m, g, m->tokens), *place = gradient(m, g, m->places);
  nn_linear_backward(v->s.n, d, m->s.tokens, v->z, v->f, weight(m, m->scores), v->s.dn, gradient(m, g, m->scores), NULL);
  memset(v->s.dx, 0, (size_t)(v->s.n * d) * sizeof *v->s.dx);
  nn_norm_backward(v->s.n, d, v->s.dn, nn_stream_before(&v->s, m->s.layers), v->statf, weight(m, m->norm.weight), v->s.dx,
                   gradient(m, g, m->norm.weight), gradient(m, g, m->norm.bias));
  for (int l = m->s.layers - 1; l >= 0; l--) nn_block_backward(&m->on, l, &v->s, &v->of, nn_stream_before(&v->s, l), g);
  for (int64_t k = 0; k < v->s.n; k++) {
    nn_axpy(d, 1, v->s.dx + k * d, token + t->token[k] * d);
    nn_axpy(d, 1, v->s.dx + k * d, place + v->place[k] * d);
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
  for (int64_t k = 0; k < v.s.n; k++) sum += asked(m->s.tokens, v.z + k * m->s.tokens, t->target[k], scale);
  if (g) backward(m, &v, t, g);
  return sum;
}
