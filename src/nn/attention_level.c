/* attention_level: attention as ops.h has it, compiled once per CPU level (src/nn/local.mk).

   The keys of one head that anybody but themselves may see are packed, as rows and as columns, into scratch that is
   padded to whole registers; what is left are small products (vec_block) between those and blocks of queries.  A
   query that is an unseen key itself (a question) has its own term apart.  Backwards the weights are computed again
   from the logarithms of their sums, so that memory grows with the number of tokens only:

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
  *w = (work){ .a = a, .dw = dw, .scale = 1 / __builtin_sqrtf((float)a->d), .key = (int32_t *)(void *)scratch };
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
static void pack_rows(const work *w, const float *from, int64_t step, const int32_t *which, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i++, x += w->dw) {
    const float *row = from + (which ? which[i] : i) * step;
    for (int64_t e = 0; e < w->dw; e += VEC) vec_store(x + e, vec_load_part(row + e, w->a->d - e));
  }
}

/* x (d, wide) from the packed keys' rows, padded with zeros. */
static void pack_columns(const work *w, const float *from, float *x)
{
  for (int64_t i = 0; i < w->wide; i++) {
    const float *row = from + (i < w->n ? w->key[i] : 0) * w->a->kstep;
    for (int64_t e = 0; e < w->a->d; e++) x[e * w->wide + i] = i < w->n ? row[e] : 0;
  }
}

static float dot(const float *x, const float *y, int64_t d)
{
  vec s = { 0 };
  for (int64_t e = 0; e < d; e += VEC) s = vec_fma(vec_load_part(x + e, d - e), vec_load_part(y + e, d - e), s);
  return vec_sum(s);
}

/* y += c x */
static void add(float c, const float *x, float *y, int64_t d)
{
  for (int64_t e = 0; e < d; e += VEC)
    vec_store_part(y + e, vec_fma(vec_of(c), vec_load_part(x + e, d - e), vec_load_part(y + e, d - e)), d - e);
}

/* ---- weights ---- */

/* The packed place of the key that query i is, or -1: it is none, or an unseen one; *own: which key it is, or -1. */
static int64_t place_of(const work *w, int i, int64_t *place, int *own)
{
  *own = w->a->self < 0 ? -1 : w->a->self + i;
  if (*own < 0 || w->a->order[*own] == NN_UNSEEN) return -1;
  while (w->key[*place] < *own) ++*place;
  return *place;
}

/* s (wide) scores become weights with sum 1; kept: one more score, of what the query itself is, which becomes its
   weight.  Gives the logarithm of the sum. */
static float soften(const work *w, float *s, float see, int64_t place, float *kept)
{
  const vec none = vec_of(-HUGE_VALF), limit = vec_of(see);
  if (place >= 0) *kept = s[place];
  vec most = vec_of(*kept);
  for (int64_t j = 0; j < w->wide; j += VEC) {
    vec x = vec_select(vec_load(w->order + j) < limit, vec_load(s + j), none);
    vec_store(s + j, x);
    most = vec_max(x, most);
  }
  if (place >= 0) s[place] = *kept;
  float top = vec_greatest(most), c = w->scale;
  if (top == -HUGE_VALF) {                       /* nothing is seen */
    memset(s, 0, (size_t)w->wide * sizeof *s);
    *kept = 0;
    return 0;
  }
  vec sum = { 0 };
  for (int64_t j = 0; j < w->wide; j += VEC) {
    vec x = vec_load(s + j), e = vec_exp((x - top) * c);
    e = vec_select(x == none, vec_of(0), e);
    vec_store(s + j, e);
    sum += e;
  }
  float own = place >= 0 || *kept == -HUGE_VALF ? 0 : vec_exp(vec_of((*kept - top) * c))[0];
  float z = vec_sum(sum) + own, r = 1 / z;
  for (int64_t j = 0; j < w->wide; j += VEC) vec_store(s + j, vec_load(s + j) * r);
  *kept = own * r;
  return top * c + logf(z);
}

/* The same weights from the logarithm of the sum. */
static void soften_again(const work *w, float *s, float see, int64_t place, float *kept, float lse)
{
  const vec limit = vec_of(see), c = vec_of(w->scale), top = vec_of(-lse);
  if (place >= 0) *kept = s[place];
  for (int64_t j = 0; j < w->wide; j += VEC)
    vec_store(s + j, vec_select(vec_load(w->order + j) < limit, vec_exp(vec_fma(vec_load(s + j), c, top)), vec_of(0)));
  float own = *kept == -HUGE_VALF ? 0 : vec_exp(vec_fma(vec_of(*kept), c, top))[0];
  if (place >= 0) s[place] = own;
  *kept = place >= 0 ? 0 : own;
}

/* Scores of queries from .. from + n - 1 of head h, into p. */
static void scores(const work *w, int h, int64_t from, int64_t n)
{
  const nn_attention *a = w->a;
  vec_block(n, w->wide, a->d, a->q + from * a->qstep + (int64_t)h * a->d, a->qstep, 1, w->kt, w->wide, false, w->p,
            w->wide);
}

/* ---- forward ---- */

static void forward_head(const work *w, int h, float *y, int64_t ystep, float *lse)
{
  const nn_attention *a = w->a;
  int64_t at = (int64_t)h * a->d, place = 0;
  int own;
  pack_columns(w, a->k + at, w->kt);
  pack_rows(w, a->v + at, a->kstep, w->key, w->n, w->v);
  for (int64_t from = 0; from < a->nq; from += ROWS) {
    int64_t n = a->nq - from < ROWS ? a->nq - from : ROWS;
    float self[ROWS];
    scores(w, h, from, n);
    for (int64_t r = 0; r < n; r++) {
      int i = (int)(from + r);
      int64_t here = place_of(w, i, &place, &own);
      self[r] = here < 0 && own >= 0 ? dot(a->q + i * a->qstep + at, a->k + own * a->kstep + at, a->d) : -HUGE_VALF;
      lse[(int64_t)i * a->heads + h] = soften(w, w->p + r * w->wide, a->see[i], here, self + r);
    }
    vec_block(n, a->d, w->n, w->p, w->wide, 1, w->v, w->dw, false, y + from * ystep + at, ystep);
    for (int64_t r = 0; r < n; r++)
      if (self[r] != 0) add(self[r], a->v + (a->self + from + r) * a->kstep + at, y + (from + r) * ystep + at, a->d);
  }
}

static void forward(const nn_attention *a, float *y, int64_t ystep, float *lse, float *scratch)
{
  work w;
  begin(&w, a, scratch);
  for (int h = 0; h < a->heads; h++) forward_head(&w, h, y, ystep, lse);
}

/* ---- backward ---- */

/* Of query i (row r of the block): its weights and, in place of dp, the derivatives in its scores; also what its own
   term adds to the derivatives of the key that it is. */
static void backward_row(const work *w, int h, int i, int64_t r, int64_t *place, const float *y, const float *dy,
                         float lse, float *dq, float *dk, float *dv)
{
  const nn_attention *a = w->a;
  int64_t at = (int64_t)h * a->d;
  int own;
  int64_t here = place_of(w, i, place, &own);
  const float *q = a->q + i * a->qstep + at, *k = a->k + own * a->kstep + at, *v = a->v + own * a->kstep + at;
  float self = here < 0 && own >= 0 ? dot(q, k, a->d) : -HUGE_VALF;
  float *p = w->p + r * w->wide, *dp = w->dp + r * w->wide, mean = dot(dy, y, a->d);
  soften_again(w, p, a->see[i], here, &self, lse);
  for (int64_t j = 0; j < w->wide; j += VEC)
    vec_store(dp + j, vec_load(p + j) * (vec_load(dp + j) - mean) * w->scale);
  if (here >= 0 || own < 0) return;
  float ds = self * (dot(dy, v, a->d) - mean) * w->scale;
  add(ds, k, dq, a->d);
  add(ds, q, dk + own * a->kstep + at, a->d);
  add(self, dy, dv + own * a->kstep + at, a->d);
}

static void backward_head(const work *w, int h, const float *y, const float *dy, int64_t ystep, const float *lse,
                          float *dq, float *dk, float *dv)
{
  const nn_attention *a = w->a;
  int64_t at = (int64_t)h * a->d, place = 0;
  pack_columns(w, a->k + at, w->kt);
  pack_columns(w, a->v + at, w->vt);
  pack_rows(w, a->k + at, a->kstep, w->key, w->n, w->k);
  memset(w->dk, 0, (size_t)(w->n * w->dw) * sizeof(float));
  memset(w->dv, 0, (size_t)(w->n * w->dw) * sizeof(float));
  for (int64_t from = 0; from < a->nq; from += ROWS) {
    int64_t n = a->nq - from < ROWS ? a->nq - from : ROWS;
    const float *g = dy + from * ystep + at;
    scores(w, h, from, n);
    vec_block(n, w->wide, a->d, g, ystep, 1, w->vt, w->wide, false, w->dp, w->wide);
    for (int64_t r = 0; r < n; r++) {
      int64_t i = from + r;
      memset(dq + i * a->qstep + at, 0, (size_t)a->d * sizeof *dq);
      backward_row(w, h, (int)i, r, &place, y + i * ystep + at, dy + i * ystep + at, lse[i * a->heads + h],
                   dq + i * a->qstep + at, dk, dv);
    }
    pack_rows(w, a->q + from * a->qstep + at, a->qstep, NULL, n, w->q);
    pack_rows(w, g, ystep, NULL, n, w->dy);
    vec_block(n, a->d, w->n, w->dp, w->wide, 1, w->k, w->dw, true, dq + from * a->qstep + at, a->qstep);
    vec_block(w->n, w->dw, n, w->dp, 1, w->wide, w->q, w->dw, true, w->dk, w->dw);
    vec_block(w->n, w->dw, n, w->p, 1, w->wide, w->dy, w->dw, true, w->dv, w->dw);
  }
  for (int64_t j = 0; j < w->n; j++) {
    memcpy(dk + w->key[j] * a->kstep + at, w->dk + j * w->dw, (size_t)a->d * sizeof *dk);
    memcpy(dv + w->key[j] * a->kstep + at, w->dv + j * w->dw, (size_t)a->d * sizeof *dv);
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

const nn_attention_ops OPS_NAME(nn_attention_, LEVEL) = { forward, backward };
