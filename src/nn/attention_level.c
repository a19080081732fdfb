/* attention_level: attention as ops.h has it, compiled once per CPU level (src/nn/local.mk).

   The keys of one head that anybody but themselves may see are packed, as rows and as columns, into scratch
   that is padded to whole registers; what is left are small products (vec_block) between those and blocks of
   queries.  A query that is an unseen key itself (a question) has its own term apart.  Backwards the weights
   are computed again from the logarithms of their sums, so that memory grows with the number of tokens only:

       dv = p' dy,  dp = dy v',  ds = p (dp - dy . y) / sqrt(d),  dq = ds k,  dk = ds' q

   (as Dao, Fu, Ermon, Rudra, Re 2022, "FlashAttention", appendix B). */
#include "nn/ops.h"
#include "nn/tokens.h"
#include "num/vec.h"

#define OPS_JOIN(a, b) a##b
#define OPS_NAME(a, b) OPS_JOIN(a, b)
enum { ROWS = 64 };                              /* queries a block */

/* One sequence at work.  Keys in packed order; wide: their number, padded; dw: d, padded. */
typedef struct work {
  const nn_attention *a;
  int64_t n, wide, dw;
  float scale;
  int32_t *key;                                  /* (n) */
  float *order;                                  /* (wide) of packed keys; padding is seen by nobody */
  float *kt, *vt;                                /* (d, wide) of a head */
  float *k, *v, *dk, *dv;                        /* (n, dw) */
  float *p, *dp;                                 /* (ROWS, wide) */
  float *q, *dy;                                 /* (ROWS, dw) */
} work;

static int64_t padded(int64_t n) { return (n + VEC - 1) / VEC * VEC; }

/* Which keys are packed, and their orders, into the scratch; the rest of it is laid out behind. */
static void begin(work *w, const nn_attention *a, float *scratch)
{
  int64_t most = padded(a->nk), dw = padded(a->d);
  *w = (work){
    .a = a, .dw = dw, .scale = 1 / __builtin_sqrtf((float)a->d), .key = (int32_t *)(void *)scratch
  };
  w->order = scratch + most;
  for (int i = 0; i < a->nk; i++)
    if (a->order[i] != NN_UNSEEN) {
      w->order[w->n] = a->order[i];
      w->key[w->n++] = i;
    }
  w->wide = padded(w->n);
  for (int64_t i = w->n; i < w->wide; i++) w->order[i] = NN_UNSEEN;
  float *at = w->order + most;
  int64_t columns = (int64_t)a->d * most, rows = a->nk * dw;
  w->kt = at, at += columns + VEC;
  w->vt = at, at += columns + VEC;
  w->k = at, at += rows + VEC;
  w->v = at, at += rows + VEC;
  w->dk = at, at += rows + VEC;
  w->dv = at, at += rows + VEC;
  w->p = at, at += ROWS * most + VEC;
  w->dp = at, at += ROWS * most + VEC;
  w->q = at, at += ROWS * dw + VEC;
  w->dy = at;
}

/* x (n, dw) from rows of an array, padded with zeros. */
static void pack_rows(const work *w, const float *from, int64_t step, const int32_t *which, int64_t n,
                      float *x)
{
  for (int64_t i = 0; i < n; i++, x += w->dw) {
    const float *row = from + (which ? which[i] : i) * step;
    for (int64_t e = 0; e < w->dw; e += VEC) vec_store(x + e, vec_load_part(row + e, w->a->d - e));
  }
}

/* x (d, wide) from the packed keys' rows, padded with zeros, a register of keys and of numbers at a time. */
static void pack_columns(const work *w, const float *from, float *x)
{
  int64_t d = w->a->d;
  for (int64_t i = 0; i < w->wide; i += VEC)
    for (int64_t e = 0; e < d; e += VEC) {
      vec r[VEC];
      for (int64_t j = 0; j < VEC; j++)
        r[j] = i + j < w->n ? vec_load_part(from + w->key[i + j] * w->a->kstep + e, d - e) : (vec){ 0 };
      vec_transpose(r);
      for (int64_t j = 0; j < VEC && e + j < d; j++) vec_store(x + (e + j) * w->wide + i, r[j]);
    }
}

static float dot(const float *x, const float *y, int64_t d)
{
  vec s = { 0 };
  for (int64_t e = 0; e < d; e += VEC)
    s = vec_fma(vec_load_part(x + e, d - e), vec_load_part(y + e, d - e), s);
  return vec_sum(s);
}

/* y += c x */
static void add(float c, const float *x, float *y, int64_t d)
{
  for (int64_t e = 0; e < d; e += VEC)
    vec_store_part(y + e, vec_fma(vec_of(c), vec_load_part(x + e, d - e), vec_load_part(y + e, d - e)),
                   d - e);
}

/* ---- weights ---- */

/* The key that query i is and sees apart, since it is not among the packed keys that i sees; -1: there is
   none. */
static int64_t own_key(const nn_attention *a, int64_t i)
{
  int own = a->own ? a->own[i] : -1;
  return own < 0 || (a->order[own] < a->see[i] && a->order[own] != NN_UNSEEN) ? -1 : own;
}

/* s (wide) scores of keys of these orders become weights that are seen from `see`; *own: one more score, or
   -infinity, which becomes its weight.  Their sum is 1.  Gives the logarithm of what it was. */
static float soften(int64_t wide, const float *order, float see, float c, float *s, float *own)
{
  const vec none = vec_of(-HUGE_VALF), limit = vec_of(see);
  vec most = vec_of(*own), sum = { 0 };
  for (int64_t j = 0; j < wide; j += VEC) {
    vec x = vec_select(vec_load(order + j) < limit, vec_load(s + j), none);
    vec_store(s + j, x);
    most = vec_max(x, most);
  }
  float top = vec_greatest(most);
  if (top == -HUGE_VALF) {                       /* nothing is seen */
    memset(s, 0, (size_t)wide * sizeof *s);
    *own = 0;
    return 0;
  }
  for (int64_t j = 0; j < wide; j += VEC) {
    vec x = vec_load(s + j), e = vec_select(x == none, vec_of(0), vec_exp((x - top) * c));
    vec_store(s + j, e);
    sum += e;
  }
  float self = *own == -HUGE_VALF ? 0 : vec_exp(vec_of((*own - top) * c))[0], z = vec_sum(sum) + self,
        r = 1 / z;
  for (int64_t j = 0; j < wide; j += VEC) vec_store(s + j, vec_load(s + j) * r);
  *own = self * r;
  return top * c + logf(z);
}

/* The same weights from the logarithm of the sum. */
static void soften_again(int64_t wide, const float *order, float see, float scale, float lse, float *s,
                         float *own)
{
  const vec limit = vec_of(see), c = vec_of(scale), top = vec_of(-lse);
  for (int64_t j = 0; j < wide; j += VEC) {
    vec e = vec_exp(vec_fma(vec_load(s + j), c, top));
    vec_store(s + j, vec_select(vec_load(order + j) < limit, e, vec_of(0)));
  }
  *own = *own == -HUGE_VALF ? 0 : vec_exp(vec_fma(vec_of(*own), c, top))[0];
}

/* Scores of queries from .. from + n - 1 of head h, into p. */
static void scores(const work *w, int h, int64_t from, int64_t n)
{
  const nn_attention *a = w->a;
  vec_block(n, w->wide, a->d, a->q + from * a->qstep + (int64_t)h * a->d, a->qstep, 1, w->kt, w->wide, false,
            w->p, w->wide);
}

/* ---- forward ---- */

static void forward_head(const work *w, int h, float *y, int64_t ystep, float *lse)
{
  const nn_attention *a = w->a;
  int64_t at = (int64_t)h * a->d, own[ROWS];
  float self[ROWS];
  pack_columns(w, a->k + at, w->kt);
  pack_rows(w, a->v + at, a->kstep, w->key, w->n, w->v);
  for (int64_t from = 0; from < a->nq; from += ROWS) {
    int64_t n = a->nq - from < ROWS ? a->nq - from : ROWS;
    scores(w, h, from, n);
    for (int64_t r = 0; r < n; r++) {
      int64_t i = from + r;
      own[r] = own_key(a, i);
      self[r] = own[r] < 0 ? -HUGE_VALF : dot(a->q + i * a->qstep + at, a->k + own[r] * a->kstep + at, a->d);
      lse[i * a->heads + h] = soften(w->wide, w->order, a->see[i], w->scale, w->p + r * w->wide, self + r);
    }
    vec_block(n, a->d, w->n, w->p, w->wide, 1, w->v, w->dw, false, y + from * ystep + at, ystep);
    for (int64_t r = 0; r < n; r++)
      if (own[r] >= 0) add(self[r], a->v + own[r] * a->kstep + at, y + (from + r) * ystep + at, a->d);
  }
}

static void forward(const nn_attention *a, float *y, int64_t ystep, float *lse, float *scratch)
{
  work w;
  begin(&w, a, scratch);
  for (int h = 0; h < a->heads; h++) forward_head(&w, h, y, ystep, lse);
}

/* ---- backward ---- */

/* Of query i (row r of the block): its weights and, in place of dp, the derivatives in its scores; dq begins
   with what comes of its own term, which also adds to the derivatives of the key that it is. */
static void backward_row(const work *w, int64_t at, int64_t i, int64_t r, const float *y, const float *dy,
                         float lse, float *dq, float *dk, float *dv)
{
  const nn_attention *a = w->a;
  int64_t own = own_key(a, i), step = (own < 0 ? 0 : own) * a->kstep + at;
  const float *q = a->q + i * a->qstep + at, *k = a->k + step, *v = a->v + step;
  float self = own < 0 ? -HUGE_VALF : dot(q, k, a->d);
  float *p = w->p + r * w->wide, *dp = w->dp + r * w->wide, mean = dot(dy, y, a->d);
  soften_again(w->wide, w->order, a->see[i], w->scale, lse, p, &self);
  for (int64_t j = 0; j < w->wide; j += VEC)
    vec_store(dp + j, vec_load(p + j) * (vec_load(dp + j) - mean) * w->scale);
  memset(dq, 0, (size_t)a->d * sizeof *dq);
  if (own < 0) return;
  float ds = self * (dot(dy, v, a->d) - mean) * w->scale;
  add(ds, k, dq, a->d);
  add(ds, q, dk + step, a->d);
  add(self, dy, dv + step, a->d);
}

static void backward_head(const work *w, int h, const float *y, const float *dy, int64_t ystep,
                          const float *lse, float *dq, float *dk, float *dv)
{
  const nn_attention *a = w->a;
  int64_t at = (int64_t)h * a->d;
  pack_columns(w, a->k + at, w->kt);
  pack_columns(w, a->v + at, w->vt);
  pack_rows(w, a->k + at, a->kstep, w->key, w->n, w->k);
  memset(w->dk, 0, (size_t)(w->n * w->dw) * sizeof(float));
  memset(w->dv, 0, (size_t)(w->n * w->dw) * sizeof(float));
  for (int64_t from = 0; from < a->nq; from += ROWS) {
    int64_t n = a->nq - from < ROWS ? a->nq - from : ROWS;
    const float *g = dy + from * ystep + at, *q = a->q + from * a->qstep + at;
    float *to = dq + from * a->qstep + at;
    scores(w, h, from, n);
    vec_block(n, w->wide, a->d, g, ystep, 1, w->vt, w->wide, false, w->dp, w->wide);
    for (int64_t r = 0; r < n; r++)
      backward_row(w, at, from + r, r, y + (from + r) * ystep + at, g + r * ystep,
                   lse[(from + r) * a->heads + h], to + r * a->qstep, dk, dv);
    pack_rows(w, q, a->qstep, NULL, n, w->q);
    pack_rows(w, g, ystep, NULL, n, w->dy);
    vec_block(n, a->d, w->n, w->dp, w->wide, 1, w->k, w->dw, true, to, a->qstep);
    vec_block(w->n, w->dw, n, w->dp, 1, w->wide, w->q, w->dw, true, w->dk, w->dw);
    vec_block(w->n, w->dw, n, w->p, 1, w->wide, w->dy, w->dw, true, w->dv, w->dw);
  }
  for (int64_t j = 0; j < w->n; j++) {
    add(1, w->dk + j * w->dw, dk + w->key[j] * a->kstep + at, a->d);
    add(1, w->dv + j * w->dw, dv + w->key[j] * a->kstep + at, a->d);
  }
}

static void backward(const nn_attention *a, const float *y, const float *dy, int64_t ystep, const float *lse,
                     float *dq, float *dk, float *dv, float *scratch)
{
  work w;
  begin(&w, a, scratch);
  for (int i = 0; i < a->nk; i++) {
    memset(dk + i * a->kstep, 0, (size_t)(a->heads * a->d) * sizeof *dk);
    memset(dv + i * a->kstep, 0, (size_t)(a->heads * a->d) * sizeof *dv);
  }
  for (int h = 0; h < a->heads; h++) backward_head(&w, h, y, dy, ystep, lse, dq, dk, dv);
}

/* ---- from memory ---- */

static void recall_head(const nn_recall *a, int h, float *y, int64_t ystep, float *scratch)
{
  int64_t at = (int64_t)h * a->d, room = a->wide + padded(a->most);
  float *p = scratch, *order = p + ROWS * room, own[ROWS], c = 1 / __builtin_sqrtf((float)a->d);
  memcpy(order, a->order, (size_t)a->wide * sizeof *order);
  for (int64_t from = 0; from < a->rows; from += ROWS) {
    int64_t n = a->rows - from < ROWS ? a->rows - from : ROWS;
    vec_block(n, a->wide, a->d, a->q + from * a->qstep + at, a->qstep, 1, a->kt + h * a->d * a->wide, a->wide,
              false, p, room);
    for (int64_t r = 0; r < n; r++) {
      const nn_recalled *m = a->row + from + r;
      const float *q = a->q + (from + r) * a->qstep + at;
      float *s = p + r * room + a->wide;
      int64_t wide = padded(m->n);
      for (int64_t j = 0; j < wide; j++) {
        order[a->wide + j] = j < m->n ? m->order[j] : NN_UNSEEN;
        s[j] = j < m->n ? dot(q, m->kv + j * a->step + at, a->d) : 0;
      }
      own[r] = m->k ? dot(q, m->k + at, a->d) : -HUGE_VALF;
      soften(a->wide + wide, order, m->see, c, p + r * room, own + r);
    }
    vec_block(n, a->d, a->keys, p, room, 1, a->v + h * a->keys * a->dw, a->dw, false, y + from * ystep + at,
              ystep);
    for (int64_t r = 0; r < n; r++) {
      const nn_recalled *m = a->row + from + r;
      const float *s = p + r * room + a->wide;
      float *to = y + (from + r) * ystep + at;
      for (int64_t j = 0; j < m->n; j++) add(s[j], m->kv + j * a->step + a->step / 2 + at, to, a->d);
      if (m->k) add(own[r], m->v + at, to, a->d);
    }
  }
}

static void recall(const nn_recall *a, float *y, int64_t ystep, float *scratch)
{
  for (int h = 0; h < a->heads; h++) recall_head(a, h, y, ystep, scratch);
}

const nn_attention_ops OPS_NAME(nn_attention_, LEVEL) = { forward, backward, recall };
