/* gpu_batch.c: the loss of a batch and its gradient on a GPU: model.c's forward and backward, in the order of its
   kernels (gpu_kernels.h).

   What the last product of a half block gives (`step`) is added to the stream by the norm that
   comes next, with its bias.  Attention's weights are not kept: going back, scores are computed
   again (as in FlashAttention, Dao et al. 2022, but in memory: for as many sequences as have 2^26
   scores together), and the sum of their derivatives' products is dy . y of each row. */
#include "gpu/blas.h"
#include "nn/gpu_in.h"
#include <math.h>

/* c (m, n) = op(a) (m, k) op(b) (k, n) of nums; wide: c are floats.  batch: of matrices side by side. */
static void product(nn_gpu *e, bool ta, bool tb, bool wide, int64_t m, int64_t n, int64_t k, gpu_ptr a, gpu_ptr b,
                    gpu_ptr c, int64_t batch)
{
  gpu_product p = { .of = e->bf16 ? GPU_BF16 : GPU_F32, .c_bf16 = e->bf16 && !wide, .ta = ta, .tb = tb, .m = m, .n = n,
                    .k = k, .batch = batch };
  if (!e->bad && m > 0) e->bad = gpu_matmul(e->g, &p, 1, a, b, 0, c);
}

/* y (n, o) = x (n, i) w' */
static void linear(nn_gpu *e, int64_t n, int64_t i, int64_t o, gpu_ptr x, int w, bool wide, gpu_ptr y)
{
  product(e, false, true, wide, n, o, i, x, nn_gpu_weight(e, w), y, 1);
}

/* Sums of columns of dy (n, o); with x and stat the derivative of a gain stands in `gain`. */
static void columns(nn_gpu *e, int64_t n, int o, gpu_ptr dy, gpu_ptr x, gpu_ptr stat, gpu_ptr gain, gpu_ptr bias)
{
  nn_there *v = &e->v;
  int64_t chunks = (n + 255) / 256, tiles = (o + 63) / 64;
  int wide = x ? 2 * o : o, from = 0, second = o;
  nn_gpu_go(e, K_columns, chunks * tiles * 256, GPU_ARGS(&n, &o, &dy, &x, &stat, &v->part));
  if (x) nn_gpu_go(e, K_columns_end, o, GPU_ARGS(&chunks, &wide, &from, &o, &v->part, &gain));
  nn_gpu_go(e, K_columns_end, o, GPU_ARGS(&chunks, &wide, x ? &second : &from, &o, &v->part, &bias));
}

/* dw (o, i) = dy' x, db; dx (n, i) = dy w, unless it is 0. */
static void linear_back(nn_gpu *e, int64_t n, int64_t i, int64_t o, gpu_ptr dy, gpu_ptr x, nn_pair w, gpu_ptr dx)
{
  product(e, true, false, true, o, i, n, dy, x, nn_gpu_grad(e, w.weight), 1);
  columns(e, n, (int)o, dy, 0, 0, 0, nn_gpu_grad(e, w.bias));
  if (dx) product(e, false, false, false, n, i, o, dy, nn_gpu_weight(e, w.weight), dx, 1);
}

/* y = LN(x), or with t of x1 = x + t + its bias. */
static void norm(nn_gpu *e, int64_t n, gpu_ptr x, gpu_ptr t, int tbias, gpu_ptr x1, nn_pair w, gpu_ptr y, gpu_ptr stat)
{
  int d = e->m->s.d;
  gpu_ptr add = t ? nn_gpu_float(e, tbias) : 0, gain = nn_gpu_float(e, w.weight), bias = nn_gpu_float(e, w.bias);
  nn_gpu_go(e, K_norm, 32 * n, GPU_ARGS(&n, &d, &x, &t, &add, &x1, &gain, &bias, &y, &stat));
}

static void norm_back(nn_gpu *e, int64_t n, gpu_ptr dy, gpu_ptr x, gpu_ptr stat, nn_pair w, gpu_ptr dx, gpu_ptr dxn)
{
  int d = e->m->s.d;
  gpu_ptr gain = nn_gpu_float(e, w.weight);
  columns(e, n, d, dy, x, stat, nn_gpu_grad(e, w.weight), nn_gpu_grad(e, w.bias));
  nn_gpu_go(e, K_norm_back, 32 * n, GPU_ARGS(&n, &d, &dy, &x, &stat, &gain, &dx, &dxn));
}

/* ---- attention ---------------------------------------------------------------------------------- */

/* The sequences from .. of a chunk: their places in arrays by heads. */
typedef struct piece {
  int64_t rows, batch;
  gpu_ptr order, see;
  size_t skip;                         /* numbers by heads before it */
  int64_t row;                         /* rows before it */
} piece;

static piece piece_at(const nn_gpu *e, int64_t from)
{
  const nn_there *v = &e->v;
  int64_t n = v->b - from < v->chunk ? v->b - from : v->chunk, heads = e->m->s.heads;
  return (piece){ .rows = n * heads * v->tp, .batch = n * heads, .order = v->order + (gpu_ptr)(from * v->t * 2),
                  .see = v->see + (gpu_ptr)(from * v->t * 2), .skip = (size_t)(from * v->tp * e->m->s.d),
                  .row = from * heads * v->tp };
}

static float scale_of(const nn_gpu *e) { return (float)(1 / sqrt((double)e->m->s.d / e->m->s.heads)); }

static void attention(nn_gpu *e, const nn_block *b, nn_layer *l)
{
  nn_there *v = &e->v;
  int t = (int)v->t, tp = (int)v->tp, heads = e->m->s.heads, hd = e->m->s.d / heads;
  int64_t all = v->b * v->tp * e->m->s.d;
  float scale = scale_of(e);
  gpu_ptr bias = nn_gpu_float(e, b->qkv.bias);
  linear(e, v->n, e->m->s.d, 3 * e->m->s.d, l->a, b->qkv.weight, false, v->qkv);
  nn_gpu_go(e, K_split, all, GPU_ARGS(&all, &t, &tp, &heads, &hd, &v->qkv, &bias, &l->q, &l->k, &l->v));
  for (int64_t from = 0; from < v->b && !e->bad; from += v->chunk) {
    piece p = piece_at(e, from);
    size_t skip = p.skip * e->real;
    gpu_ptr lse = l->lse + (gpu_ptr)p.row * sizeof(float);
    product(e, false, true, true, tp, tp, hd, l->q + skip, l->k + skip, v->s, p.batch);
    nn_gpu_go(e, K_softmax, 32 * p.rows,
              GPU_ARGS(&p.rows, &t, &tp, &heads, &p.order, &p.see, &scale, &v->s, &v->p, &lse));
    product(e, false, false, false, tp, hd, tp, v->p, l->v + skip, v->oh + skip, p.batch);
  }
  nn_gpu_go(e, K_merge, all, GPU_ARGS(&all, &t, &tp, &heads, &hd, &v->oh, &l->o));
}

/* From dn, the derivative in o, to that in a, in dn. */
static void attention_back(nn_gpu *e, const nn_block *b, nn_layer *l)
{
  nn_there *v = &e->v;
  int t = (int)v->t, tp = (int)v->tp, heads = e->m->s.heads, hd = e->m->s.d / heads;
  int64_t all = v->b * v->tp * e->m->s.d, rows = v->b * heads * v->tp, d = e->m->s.d;
  float scale = scale_of(e);
  nn_gpu_go(e, K_split_back, 32 * rows, GPU_ARGS(&rows, &t, &tp, &heads, &hd, &v->dn, &l->o, &v->dyh, &v->dot));
  for (int64_t from = 0; from < v->b && !e->bad; from += v->chunk) {
    piece p = piece_at(e, from);
    size_t skip = p.skip * e->real;
    gpu_ptr lse = l->lse + (gpu_ptr)p.row * sizeof(float), dot = v->dot + (gpu_ptr)p.row * sizeof(float);
    product(e, false, true, true, tp, tp, hd, l->q + skip, l->k + skip, v->s, p.batch);
    product(e, false, true, true, tp, tp, hd, v->dyh + skip, l->v + skip, v->dp, p.batch);
    nn_gpu_go(e, K_softmax_back, p.rows * tp,
              GPU_ARGS(&p.rows, &t, &tp, &heads, &p.order, &p.see, &scale, &v->s, &v->dp, &lse, &dot, &v->p, &v->ds));
    product(e, true, false, false, tp, hd, tp, v->p, v->dyh + skip, v->dv + skip, p.batch);
    product(e, false, false, false, tp, hd, tp, v->ds, l->k + skip, v->dq + skip, p.batch);
    product(e, true, false, false, tp, hd, tp, v->ds, l->q + skip, v->dk + skip, p.batch);
  }
  nn_gpu_go(e, K_merge_back, all, GPU_ARGS(&all, &t, &tp, &heads, &hd, &v->dq, &v->dk, &v->dv, &v->qkv));
  linear_back(e, v->n, d, 3 * d, v->qkv, l->a, b->qkv, v->dn);
}

/* ---- blocks ------------------------------------------------------------------------------------- */

/* u gets its bias, g its function. */
static void bend(nn_gpu *e, int64_t n, int bias, bool gated, gpu_ptr u, gpu_ptr g)
{
  int f = e->m->s.ff;
  gpu_ptr b = nn_gpu_float(e, bias);
  nn_gpu_go(e, gated ? K_swiglu : K_gelu, n * f, GPU_ARGS(&n, &f, &u, &b, &g));
}

static void bend_back(nn_gpu *e, int64_t n, bool gated, gpu_ptr dg, gpu_ptr u, gpu_ptr du)
{
  int f = e->m->s.ff;
  nn_gpu_go(e, gated ? K_swiglu_back : K_gelu_back, n * f, GPU_ARGS(&n, &f, &dg, &u, &du));
}

static void block(nn_gpu *e, int i)
{
  nn_there *v = &e->v;
  nn_layer *l = &e->layer[i];
  const nn_block *b = &e->m->on.block[i], *was = i ? b - 1 : NULL;
  int64_t d = e->m->s.d, ff = e->m->s.ff;
  gpu_ptr before = i ? e->layer[i - 1].x1 : l->x;
  norm(e, v->n, before, i ? v->step : 0, i ? was->mlp_out.bias : 0, i ? l->x : 0, b->norm1, l->a, l->stat1);
  attention(e, b, l);
  linear(e, v->n, d, d, l->o, b->out.weight, false, v->step);
  norm(e, v->n, l->x, v->step, b->out.bias, l->x1, b->norm2, l->c, l->stat2);
  linear(e, v->n, d, nn_model_mlp_width(&e->m->s), l->c, b->mlp_in.weight, false, l->u);
  bend(e, v->n, b->mlp_in.bias, e->m->s.swiglu, l->u, l->g);
  linear(e, v->n, ff, d, l->g, b->mlp_out.weight, false, v->step);
}

/* From dx and dxn behind the block to those before it. */
static void block_back(nn_gpu *e, int i)
{
  nn_there *v = &e->v;
  nn_layer *l = &e->layer[i];
  const nn_block *b = &e->m->on.block[i];
  int64_t d = e->m->s.d, ff = e->m->s.ff;
  gpu_ptr du = e->m->s.swiglu ? v->du : v->dg;
  linear_back(e, v->n, ff, d, v->dxn, l->g, b->mlp_out, v->dg);
  bend_back(e, v->n, e->m->s.swiglu, v->dg, l->u, du);
  linear_back(e, v->n, d, nn_model_mlp_width(&e->m->s), du, l->c, b->mlp_in, v->dn);
  norm_back(e, v->n, v->dn, l->x1, l->stat2, b->norm2, v->dx, v->dxn);
  linear_back(e, v->n, d, d, v->dxn, l->o, b->out, v->dn);
  attention_back(e, b, l);
  norm_back(e, v->n, v->dn, l->x, l->stat1, b->norm1, v->dx, v->dxn);
}

/* ---- heads -------------------------------------------------------------------------------------- */

static void loss_of(nn_gpu *e, const nn_group *g, float scale, bool learn)
{
  nn_there *v = &e->v;
  const nn_head *h = &e->m->head[g->head];
  int width = nn_gpu_width(e, g->head), n = h->n, counts = h->kind == NN_COUNTS;
  gpu_ptr z = v->z + (gpu_ptr)g->z * 4, dz = learn ? v->dz + (gpu_ptr)g->z * e->real : 0;
  gpu_ptr bias = nn_gpu_float(e, e->m->top[g->head].out.bias), target = v->target + (gpu_ptr)g->from * 4;
  gpu_ptr loss = v->loss + (gpu_ptr)g->from * 8;
  gpu_ptr border = h->kind == NN_BARS ? e->border + e->border_at[g->head] * sizeof(double) : 0;
  int64_t rows = g->rows, real = g->n;
  double left = h->tail[0], right = h->tail[1], at = h->at, spread = h->scale;
  switch (h->kind) {
  case NN_BARS: case NN_CATEGORIES:
    nn_gpu_go(e, K_loss_soft, 32 * rows,
              GPU_ARGS(&rows, &real, &n, &width, &z, &bias, &target, &border, &left, &right, &scale, &loss, &dz));
    break;
  case NN_BERNOULLI:
    nn_gpu_go(e, K_loss_bit, rows, GPU_ARGS(&rows, &real, &width, &z, &bias, &target, &scale, &loss, &dz));
    break;
  default:
    nn_gpu_go(e, K_loss_mixture, rows,
              GPU_ARGS(&rows, &real, &counts, &n, &width, &at, &spread, &z, &bias, &target, &scale, &loss, &dz));
  }
}

static void heads(nn_gpu *e, float scale, bool learn)
{
  nn_there *v = &e->v;
  const nn_model *m = e->m;
  int last = m->s.layers - 1, d = m->s.d;
  gpu_ptr bias = nn_gpu_float(e, m->on.block[last].mlp_out.bias);
  nn_gpu_go(e, K_rows, v->nq * d, GPU_ARGS(&v->nq, &d, &v->where, &e->layer[last].x1, &v->step, &bias, &v->xq));
  norm(e, v->nq, v->xq, 0, 0, 0, m->norm, v->f, v->statf);
  for (int i = 0; i < e->ngroup && !e->bad; i++) {
    const nn_group *g = &e->group[i];
    const nn_top *t = &m->top[g->head];
    gpu_ptr hu = v->hu + (gpu_ptr)(g->from * m->s.ff) * e->real, hg = v->hg + (gpu_ptr)(g->from * m->s.ff) * e->real;
    linear(e, g->rows, d, m->s.ff, v->f + (gpu_ptr)(g->from * d) * e->real, t->in.weight, false, hu);
    bend(e, g->rows, t->in.bias, false, hu, hg);
    linear(e, g->rows, m->s.ff, nn_gpu_width(e, g->head), hg, t->out.weight, true, v->z + (gpu_ptr)g->z * 4);
    loss_of(e, g, scale, learn);
  }
}

static void heads_back(nn_gpu *e)
{
  nn_there *v = &e->v;
  const nn_model *m = e->m;
  int d = m->s.d;
  int64_t ff = m->s.ff;
  for (int i = 0; i < e->ngroup && !e->bad; i++) {
    const nn_group *g = &e->group[i];
    const nn_top *t = &m->top[g->head];
    gpu_ptr hu = v->hu + (gpu_ptr)(g->from * ff) * e->real, hg = v->hg + (gpu_ptr)(g->from * ff) * e->real;
    gpu_ptr part = (gpu_ptr)(g->from * d) * e->real;
    linear_back(e, g->rows, ff, nn_gpu_width(e, g->head), v->dz + (gpu_ptr)g->z * e->real, hg, t->out, v->dg);
    bend_back(e, g->rows, false, v->dg, hu, v->dg);
    linear_back(e, g->rows, d, ff, v->dg, v->f + part, t->in, v->df + part);
  }
  if (!e->bad) e->bad = gpu_fill(e->g, v->dxq, 0, (size_t)(v->nq * d) * sizeof(float));
  norm_back(e, v->nq, v->df, v->xq, v->statf, m->norm, v->dxq, 0);
  nn_gpu_go(e, K_rows_back, v->n * d, GPU_ARGS(&v->n, &d, &v->first, &v->list, &v->dxq, &v->dx, &v->dxn));
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static void forward(nn_gpu *e, int j, float scale, bool learn)
{
  nn_there *v = &e->v;
  int d = e->m->s.d;
  gpu_ptr table = nn_gpu_float(e, e->m->table);
  nn_gpu_go(e, K_embed, v->n * d, GPU_ARGS(&v->n, &j, &d, &v->row, &v->coef, &table, &e->layer[0].x));
  for (int i = 0; i < e->m->s.layers; i++) block(e, i);
  heads(e, scale, learn);
}

static void backward(nn_gpu *e)
{
  nn_there *v = &e->v;
  int d = e->m->s.d;
  int64_t rows = e->m->s.rows;
  gpu_ptr dtable = nn_gpu_grad(e, e->m->table);
  if (!e->bad) e->bad = gpu_fill(e->g, e->grad, 0, e->count * sizeof(float));
  heads_back(e);
  for (int i = e->m->s.layers - 1; i >= 0; i--) block_back(e, i);
  if (!e->bad && v->pieces)
    e->bad = gpu_launch(e->g, e->k[K_embed_part], v->pieces, d < 256 ? (d + 31) / 32 * 32 : 256, 0,
                        GPU_ARGS(&d, &v->start, &v->token, &v->part_coef, &v->dx, &v->part));
  nn_gpu_go(e, K_embed_end, rows * d, GPU_ARGS(&rows, &d, &v->row_first, &v->part, &dtable));
}

norn_status nn_gpu_loss(nn_gpu *e, const nn_tokens *k, float scale, bool learn, double *sum, double *loss)
{
  const nn_there *v = &e->v;
  *sum = 0;
  if (!k->nq) return learn ? gpu_fill(e->g, e->grad, 0, e->count * sizeof(float)) : NORN_OK;
  if (nn_gpu_lay(e, k, learn)) return e->bad;
  forward(e, k->j, scale, learn);
  if (learn) backward(e);
  double *all = nn_gpu_host(e, (size_t)v->nq * sizeof *all);
  if (!e->bad) e->bad = gpu_download(e->g, all, v->loss, (size_t)v->nq * sizeof *all);
  for (int i = 0; i < e->ngroup && !e->bad; i++)
    for (int64_t j = 0; j < e->group[i].n; j++) {
      double one = all[e->group[i].from + j];
      *sum += one;
      if (loss) loss[e->group[i].q + j] = one;
    }
  return e->bad;
}
