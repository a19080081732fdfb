/* gpu_batch.c: the loss of a batch and its gradient on a GPU: model.c's forward and backward, in the order of its
   kernels (gpu_kernels.h).

   What the last product of a half block gives (`step`) is added to the stream by the norm that
   comes next, with its bias.  Attention's weights are not kept: going back, scores are computed
   again (FlashAttention, Dao et al. 2022), and the sum of their derivatives' products is dy . y of each row.  bf16 does
   that in kernels of its own (gpu_attention.h); else scores are in memory, of as many sequences as have 2^26 together. */
#include "gpu/blas.h"
#include "nn/gpu_in.h"
#include <math.h>

static void multiply(nn_gpu *e, const gpu_product *p, gpu_ptr a, gpu_ptr b, gpu_ptr c)
{
  if (e->bad || p->m <= 0) return;
  nn_gpu_now(e, NN_GPU_PRODUCTS);
  e->bad = gpu_matmul(e->g, p, 1, a, b, 0, c);
}

/* c (m, n) = op(a) (m, k) op(b) (k, n) of nums; wide: c are floats.  batch: of matrices side by side. */
static void product(nn_gpu *e, bool ta, bool tb, bool wide, int64_t m, int64_t n, int64_t k, gpu_ptr a, gpu_ptr b,
                    gpu_ptr c, int64_t batch)
{
  gpu_product p = { .of = e->bf16 ? GPU_BF16 : GPU_F32, .c_bf16 = e->bf16 && !wide, .ta = ta, .tb = tb, .m = m, .n = n,
                    .k = k, .batch = batch };
  multiply(e, &p, a, b, c);
}

/* y (n, o) = x (n, i) w' */
static void linear(nn_gpu *e, int64_t n, int64_t i, int64_t o, gpu_ptr x, int w, bool wide, gpu_ptr y)
{
  product(e, false, true, wide, n, o, i, x, nn_gpu_weight(e, w), y, 1);
}

/* Groups of eight numbers in a row of n. */
static int64_t eights(int64_t n) { return (n + 7) / 8; }

/* ---- sums over rows ----------------------------------------------------------------------------- */

static int64_t bands(int64_t n) { return (n + NN_BAND - 1) / NN_BAND; }

/* Threads of a kernel that sums rows of o columns. */
static int64_t summing(int64_t n, int64_t o) { return bands(n) * ((o + NN_COLUMNS - 1) / NN_COLUMNS) * 256; }

/* The sums of parts (bands of n rows, wide): o columns for each of up to three. */
static void columns_end(nn_gpu *e, int64_t n, int wide, int o, gpu_ptr one, gpu_ptr two, gpu_ptr three)
{
  int64_t chunks = bands(n);
  nn_gpu_launch(e, K_columns_end, n > 0 ? (wide + 31) / 32 : 0, 1024,
                GPU_ARGS(&chunks, &wide, &o, &e->v.part, &one, &two, &three));
}

/* Sums of columns of dy (n, o). */
static void columns(nn_gpu *e, int64_t n, int o, gpu_ptr dy, gpu_ptr sum)
{
  nn_gpu_go(e, K_columns, summing(n, o), GPU_ARGS(&n, &o, &dy, &e->v.part));
  columns_end(e, n, o, o, sum, 0, 0);
}

/* dw (o, i) = dy' x; dx (n, i) = dy w, unless it is 0. */
static void linear_back(nn_gpu *e, int64_t n, int64_t i, int64_t o, gpu_ptr dy, gpu_ptr x, int w, gpu_ptr dx)
{
  product(e, true, false, true, o, i, n, dy, x, nn_gpu_grad(e, w), 1);
  if (dx) product(e, false, false, false, n, i, o, dy, nn_gpu_weight(e, w), dx, 1);
}

/* y = LN(x), or with t of x1 = x + t + its bias. */
static void norm(nn_gpu *e, int64_t n, gpu_ptr x, gpu_ptr t, int tbias, gpu_ptr x1, nn_pair w, gpu_ptr y, gpu_ptr stat)
{
  int d = e->m->s.d;
  gpu_ptr add = t ? nn_gpu_float(e, tbias) : 0, gain = nn_gpu_float(e, w.weight), bias = nn_gpu_float(e, w.bias);
  nn_gpu_go(e, K_norm, 32 * n, GPU_ARGS(&n, &d, &x, &t, &add, &x1, &gain, &bias, &y, &stat));
}

/* before: the bias of what was added to the stream there, whose derivative is the sum of dx; -1: none. */
static void norm_back(nn_gpu *e, int64_t n, gpu_ptr dy, gpu_ptr x, gpu_ptr stat, nn_pair w, gpu_ptr dx, gpu_ptr dxn,
                      int before)
{
  int d = e->m->s.d;
  gpu_ptr gain = nn_gpu_float(e, w.weight), last = before < 0 ? 0 : nn_gpu_grad(e, before);
  nn_gpu_go(e, K_norm_back, 256 * bands(n), GPU_ARGS(&n, &d, &dy, &x, &stat, &gain, &dx, &dxn, &e->v.part));
  columns_end(e, n, 3 * d, d, nn_gpu_grad(e, w.weight), nn_gpu_grad(e, w.bias), last);
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

/* Without scores in memory: a kernel of gpu_attention.h with the addresses that it takes behind those of all three. */
static void attend(nn_gpu *e, int kernel, gpu_ptr qkv, const gpu_ptr *more)
{
  nn_there *v = &e->v;
  int t = (int)v->t, heads = e->m->s.heads;
  int64_t blocks = v->b * heads * v->tp / NN_TILE_AT;
  float scale = scale_of(e);
  void *args[12] = { &t, &heads, &scale, &qkv, &v->order, &v->see, &v->marks };
  gpu_ptr rest[5];
  for (int i = 0; i < 5; i++) {
    rest[i] = more[i];
    args[7 + i] = &rest[i];
  }
  nn_gpu_launch(e, kernel, blocks, 128, args);
}

/* o from q, k, v by heads. */
static void attention_heads(nn_gpu *e, const nn_block *b, nn_layer *l)
{
  nn_there *v = &e->v;
  int t = (int)v->t, tp = (int)v->tp, heads = e->m->s.heads, hd = e->m->s.d / heads;
  int64_t all = v->b * v->tp * e->m->s.d;
  float scale = scale_of(e);
  gpu_ptr bias = nn_gpu_float(e, b->qkv.bias);
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

static void attention(nn_gpu *e, const nn_block *b, nn_layer *l)
{
  nn_there *v = &e->v;
  int64_t d = e->m->s.d;
  if (!e->whole) {
    linear(e, v->n, d, 3 * d, l->a, b->qkv.weight, false, v->qkv);
    attention_heads(e, b, l);
    return;
  }
  gpu_product p = { .of = GPU_BF16, .c_bf16 = true, .tb = true, .end = GPU_BIAS, .bias = nn_gpu_weight(e, b->qkv.bias),
                    .m = v->n, .n = 3 * d, .k = d };
  multiply(e, &p, l->a, nn_gpu_weight(e, b->qkv.weight), l->qkv);
  attend(e, K_attend, l->qkv, (gpu_ptr[5]){ l->o, l->lse });
}

/* dqkv in v->qkv, from dn. */
static void attention_heads_back(nn_gpu *e, nn_layer *l)
{
  nn_there *v = &e->v;
  int t = (int)v->t, tp = (int)v->tp, heads = e->m->s.heads, hd = e->m->s.d / heads;
  int64_t all = v->b * v->tp * e->m->s.d, rows = v->b * heads * v->tp;
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
}

/* From dn, the derivative in o, to that in a, in dn. */
static void attention_back(nn_gpu *e, const nn_block *b, nn_layer *l)
{
  nn_there *v = &e->v;
  int d = e->m->s.d;
  if (!e->whole) attention_heads_back(e, l);
  else {
    attend(e, K_attend_q, l->qkv, (gpu_ptr[5]){ v->dn, l->o, l->lse, v->dot, v->qkv });
    attend(e, K_attend_kv, l->qkv, (gpu_ptr[5]){ v->dn, l->lse, v->dot, v->qkv });
  }
  columns(e, v->n, 3 * d, v->qkv, nn_gpu_grad(e, b->qkv.bias));
  linear_back(e, v->n, d, 3 * d, v->qkv, l->a, b->qkv.weight, v->dn);
}

/* ---- blocks ------------------------------------------------------------------------------------- */

/* u (n, ff or 2 ff) = x w' with its bias, g its function. */
static void bend(nn_gpu *e, int64_t n, nn_pair w, bool gated, gpu_ptr x, gpu_ptr u, gpu_ptr g)
{
  int f = e->m->s.ff, d = e->m->s.d;
  gpu_ptr b = nn_gpu_float(e, w.bias);
  gpu_product p = { .of = GPU_BF16, .c_bf16 = true, .tb = true, .end = GPU_GELU, .bias = nn_gpu_weight(e, w.bias),
                    .also = u, .m = n, .n = f, .k = d };
  /* Its slope going back stays a kernel, which sums the bias' derivative too: cuBLASLt's that end by it are slower. */
  if (!gated && e->fused && !e->bad && (e->fused = gpu_product_there(e->g, &p))) {
    multiply(e, &p, x, nn_gpu_weight(e, w.weight), g);
    return;
  }
  linear(e, n, d, gated ? 2 * f : f, x, w.weight, false, u);
  nn_gpu_go(e, gated ? K_swiglu : K_gelu, gated ? n * f : n * eights(f), GPU_ARGS(&n, &f, &u, &b, &g));
}

/* du from dg, and the derivative of the bias. */
static void bend_back(nn_gpu *e, int64_t n, int bias, bool gated, gpu_ptr dg, gpu_ptr u, gpu_ptr du)
{
  int f = e->m->s.ff;
  gpu_ptr sum = nn_gpu_grad(e, bias);
  if (gated) {
    nn_gpu_go(e, K_swiglu_back, n * f, GPU_ARGS(&n, &f, &dg, &u, &du));
    columns(e, n, 2 * f, du, sum);
    return;
  }
  nn_gpu_go(e, K_gelu_back, summing(n, f), GPU_ARGS(&n, &f, &dg, &u, &du, &e->v.part));
  columns_end(e, n, f, f, sum, 0, 0);
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
  bend(e, v->n, b->mlp_in, e->m->s.swiglu, l->c, l->u, l->g);
  linear(e, v->n, ff, d, l->g, b->mlp_out.weight, false, v->step);
}

/* From dx and dxn behind the block to those before it; the derivative of its last bias is there. */
static void block_back(nn_gpu *e, int i)
{
  nn_there *v = &e->v;
  nn_layer *l = &e->layer[i];
  const nn_block *b = &e->m->on.block[i];
  int64_t d = e->m->s.d, ff = e->m->s.ff;
  gpu_ptr du = e->m->s.swiglu ? v->du : v->dg;
  linear_back(e, v->n, ff, d, v->dxn, l->g, b->mlp_out.weight, v->dg);
  bend_back(e, v->n, b->mlp_in.bias, e->m->s.swiglu, v->dg, l->u, du);
  linear_back(e, v->n, d, nn_model_mlp_width(&e->m->s), du, l->c, b->mlp_in.weight, v->dn);
  norm_back(e, v->n, v->dn, l->x1, l->stat2, b->norm2, v->dx, v->dxn, b->out.bias);
  linear_back(e, v->n, d, d, v->dxn, l->o, b->out.weight, v->dn);
  attention_back(e, b, l);
  norm_back(e, v->n, v->dn, l->x, l->stat1, b->norm1, v->dx, v->dxn, i ? e->m->on.block[i - 1].mlp_out.bias : -1);
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
  nn_gpu_go(e, K_rows, v->nq * eights(d), GPU_ARGS(&v->nq, &d, &v->where, &e->layer[last].x1, &v->step, &bias, &v->xq));
  norm(e, v->nq, v->xq, 0, 0, 0, m->norm, v->f, v->statf);
  for (int i = 0; i < e->ngroup && !e->bad; i++) {
    const nn_group *g = &e->group[i];
    const nn_top *t = &m->top[g->head];
    gpu_ptr hu = v->hu + (gpu_ptr)(g->from * m->s.ff) * e->real, hg = v->hg + (gpu_ptr)(g->from * m->s.ff) * e->real;
    bend(e, g->rows, t->in, false, v->f + (gpu_ptr)(g->from * d) * e->real, hu, hg);
    linear(e, g->rows, m->s.ff, nn_gpu_width(e, g->head), hg, t->out.weight, true, v->z + (gpu_ptr)g->z * 4);
    loss_of(e, g, scale, learn);
  }
}

/* Of heads that this batch does not ask, derivatives are 0; all others are written. */
static void silent_heads(nn_gpu *e)
{
  const nn_params *p = e->m->p;
  for (int h = 0; h < e->m->nhead; h++) {
    const nn_top *t = &e->m->top[h];
    const int all[] = { t->in.weight, t->in.bias, t->out.weight, t->out.bias };
    bool asked = false;
    for (int i = 0; i < e->ngroup; i++) asked |= e->group[i].head == h;
    for (int i = 0; i < 4 && !asked && !e->bad; i++)
      e->bad = gpu_fill(e->g, nn_gpu_grad(e, all[i]), 0, p->tensor[all[i]].n * sizeof(float));
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
    gpu_ptr dz = v->dz + (gpu_ptr)g->z * e->real;
    int width = nn_gpu_width(e, g->head);
    columns(e, g->rows, width, dz, nn_gpu_grad(e, t->out.bias));
    linear_back(e, g->rows, ff, width, dz, hg, t->out.weight, v->dg);
    bend_back(e, g->rows, t->in.bias, false, v->dg, hu, v->dg);
    linear_back(e, g->rows, d, ff, v->dg, v->f + part, t->in.weight, v->df + part);
  }
  if (!e->bad) e->bad = gpu_fill(e->g, v->dxq, 0, (size_t)(v->nq * d) * sizeof(float));
  norm_back(e, v->nq, v->df, v->xq, v->statf, m->norm, v->dxq, 0, -1);
  nn_gpu_go(e, K_rows_back, v->n * eights(d), GPU_ARGS(&v->n, &d, &v->first, &v->list, &v->dxq, &v->dx, &v->dxn));
  columns(e, v->n, d, v->dxn, nn_gpu_grad(e, m->on.block[m->s.layers - 1].mlp_out.bias));
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static void forward(nn_gpu *e, int j, float scale, bool learn)
{
  nn_there *v = &e->v;
  int d = e->m->s.d;
  gpu_ptr table = nn_gpu_float(e, e->m->table);
  nn_gpu_go(e, K_embed, v->n * eights(d), GPU_ARGS(&v->n, &j, &d, &v->row, &v->coef, &table, &e->layer[0].x));
  int t = (int)v->t;
  int64_t tiles = v->b * v->tp / NN_TILE_AT;
  if (e->whole) nn_gpu_go(e, K_tiles, 32 * tiles, GPU_ARGS(&tiles, &t, &v->order, &v->see, &v->marks));
  for (int i = 0; i < e->m->s.layers; i++) block(e, i);
  heads(e, scale, learn);
}

static void backward(nn_gpu *e, const nn_tokens *k)
{
  nn_there *v = &e->v;
  int d = e->m->s.d;
  int64_t rows = e->m->s.rows, pieces = 0;
  gpu_ptr dtable = nn_gpu_grad(e, e->m->table);
  silent_heads(e);
  heads_back(e);
  for (int i = e->m->s.layers - 1; i >= 0; i--) block_back(e, i);
  if (!e->bad) e->bad = nn_gpu_lay_entries(e, k, &pieces);
  nn_gpu_launch(e, K_embed_part, pieces, 256,
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
  if (learn) backward(e, k);
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
