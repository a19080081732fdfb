/* ops.h: the operations of a transformer, in pairs: X_forward, and X_backward, which takes the derivative of
   a loss in what X gave (dy) to those in what X took.  f32, row-major, one thread, nothing is allocated.
   Derivatives in parameters are added to what is there; those in x as each says.  The same call gives the
   same bits on the same CPU; sums are fused where the CPU has it, so another CPU level may round differently.

   Products are la_product_f32's; all else is compiled once per CPU level (ops_level.c, attention_level.c). */
#ifndef NORN_NN_OPS_H
#define NORN_NN_OPS_H
#include <stdbool.h>
#include <stdint.h>

/* y (n, o) = x (n, i) w' + b + add; w (o, i); b (o) and add (n, o) may be NULL; add may be y. */
void nn_linear_forward(int64_t n, int64_t i, int64_t o, const float *x, const float *w, const float *b,
                       const float *add, float *y);
/* dx (n, i) = dy w, not if dx is NULL; dw += dy' x; db += sum of rows of dy, not if NULL */
void nn_linear_backward(int64_t n, int64_t i, int64_t o, const float *dy, const float *x, const float *w,
                        float *dx, float *dw, float *db);

/* y = (x - mean) / sd gain + bias of each row of d, sd^2 = variance + 1e-5; mean and 1 / sd into stat (n, 2).
   Ba, Kiros, Hinton 2016, "Layer normalization" */
void nn_norm_forward(int64_t n, int64_t d, const float *x, const float *gain, const float *bias, float *y,
                     float *stat);
/* dx += */
void nn_norm_backward(int64_t n, int64_t d, const float *dy, const float *x, const float *stat,
                      const float *gain, float *dx, float *dgain, float *dbias);

/* y = x / (1 + exp(-2 c (x + .044715 x^3))), c = sqrt(2 / pi): Hendrycks, Gimpel 2016, "Gaussian Error Linear
   Units", its tanh form; slope: dy/dx in place of x, or not (NULL).  n numbers. */
void nn_gelu_forward(int64_t n, const float *x, float *y, float *slope);
/* dx = dy slope; in place too */
void nn_gelu_backward(int64_t n, const float *dy, const float *slope, float *dx);
/* y (n, f) = a logistic(a) b of x (n, 2 f) = a | b: Shazeer 2020, "GLU Variants Improve Transformer" */
void nn_swiglu_forward(int64_t n, int64_t f, const float *x, float *y);
/* dx (n, 2 f) */
void nn_swiglu_backward(int64_t n, int64_t f, const float *dy, const float *x, float *dx);

/* x[i] = sum_j coef[i, j] table[row[i, j]]: sparse rows of tokens.h; row -1: none */
void nn_embed_forward(int64_t n, int64_t j, int64_t d, const int32_t *row, const float *coef,
                      const float *table, float *x);
void nn_embed_backward(int64_t n, int64_t j, int64_t d, const int32_t *row, const float *coef,
                       const float *dx, float *dtable);
/* y[i] = x[at[i]], and dx[at[i]] += dy[i] */
void nn_rows_forward(int64_t n, int64_t d, const int32_t *at, const float *x, float *y);
void nn_rows_backward(int64_t n, int64_t d, const int32_t *at, const float *dy, float *dx);

/* Attention of nq queries to nk keys in each of `heads` pieces of size d of their rows, for one sequence:

       y[i] = sum_k p[i, k] v[k],   p[i, k] = softmax over the seen k of q[i] . k[k] / sqrt(d)

   (Vaswani et al. 2017, "Attention Is All You Need").  i sees k if order[k] < see[i]; and query i is key
   own[i], which it sees whatever these say, or none of them (own is NULL).  What sees nothing gets 0.
   Queries and keys may be rows of one array or of two; nk may differ from nq. */
typedef struct nn_attention {
  int heads, d;
  int nq, nk;
  const int32_t *own;          /* (nq) or NULL */
  const float *q, *k, *v;
  int64_t qstep, kstep;        /* from row to row of q; of k and v */
  const int16_t *see, *order;  /* (nq), (nk) */
} nn_attention;
/* Numbers of scratch for it, backward too. */
int64_t nn_attention_room(int heads, int d, int nq, int nk);
/* y (nq, ystep from row to row); lse (nq, heads): the logarithms of softmax's sums */
void nn_attention_forward(const nn_attention *, float *y, int64_t ystep, float *lse, float *scratch);
/* dq (as q), dk and dv (as k): overwritten */
void nn_attention_backward(const nn_attention *, const float *y, const float *dy, int64_t ystep,
                           const float *lse, float *dq, float *dk, float *dv, float *scratch);

/* Attention from memory, forward only: queries (rows) of many sequences, which share `keys` keys (a context)
   and have up to `most` of their own. */
typedef struct nn_recalled {   /* of one query */
  const float *kv;             /* (n, step): k | v of what its sequence remembers */
  const int16_t *order;        /* (n) */
  int n;
  int16_t see;
  const float *k, *v;          /* itself as a key that is seen apart, or NULL */
} nn_recalled;
typedef struct nn_recall {
  int heads, d;
  int64_t rows, keys, wide, dw, most, step; /* wide, dw: keys and d as multiples of 16; step: 2 heads d */
  const float *q;
  int64_t qstep;
  const float *kt, *v;         /* (heads, d, wide), (heads, keys, dw) of the context, padded with zeros */
  const float *order;          /* (wide); padding: NN_UNSEEN */
  const nn_recalled *row;      /* (rows) */
} nn_recall;
/* y (rows, ystep); scratch as of nn_attention_room(heads, d, rows, wide + most) */
void nn_recall_forward(const nn_recall *, float *y, int64_t ystep, float *scratch);

/* One step of AdamW on n numbers (optimise.h): m = beta1 m + fresh1 s g, v = beta2 v + fresh2 s^2 g^2,
   w -= shrink w + rate m / (sqrt(v) root + eps); s: scale, fresh = 1 - beta as f64 has it */
typedef struct nn_adam_numbers {
  float beta1, fresh1, beta2, fresh2, eps, scale, rate, root, shrink;
} nn_adam_numbers;
void nn_adam_numbers_step(const nn_adam_numbers *, int64_t n, const float *g, float *m, float *v, float *w);

/* For heads: z (n) becomes exp(z - greatest z) in y (y may be z); gives the sum, and the greatest in *top. */
float nn_exps(int64_t n, const float *z, float *y, float *top);
/* y += c x */
void nn_axpy(int64_t n, float c, const float *x, float *y);

/* The same at a CPU level, for the dispatch in ops.c. */
typedef struct nn_ops {
  void (*columns)(int64_t n, int64_t d, const float *x, float *sum);      /* sum (d) += rows of x (n, d) */
  /* each row of y (n, d): b + add's; add may be NULL */
  void (*spread)(int64_t n, int64_t d, const float *b, const float *add, float *y);
  void (*norm_forward)(int64_t, int64_t, const float *, const float *, const float *, float *, float *);
  void (*norm_backward)(int64_t, int64_t, const float *, const float *, const float *, const float *, float *,
                        float *, float *);
  void (*gelu_forward)(int64_t, const float *, float *, float *);
  void (*gelu_backward)(int64_t, const float *, const float *, float *);
  void (*swiglu_forward)(int64_t, int64_t, const float *, float *);
  void (*swiglu_backward)(int64_t, int64_t, const float *, const float *, float *);
  void (*embed_forward)(int64_t, int64_t, int64_t, const int32_t *, const float *, const float *, float *);
  void (*embed_backward)(int64_t, int64_t, int64_t, const int32_t *, const float *, const float *, float *);
  void (*adam)(const nn_adam_numbers *, int64_t, const float *, float *, float *, float *);
  float (*exps)(int64_t, const float *, float *, float *);
  void (*axpy)(int64_t, float, const float *, float *);
} nn_ops;
typedef struct nn_attention_ops {
  void (*forward)(const nn_attention *, float *, int64_t, float *, float *);
  void (*backward)(const nn_attention *, const float *, const float *, int64_t, const float *, float *,
                   float *, float *, float *);
  void (*recall)(const nn_recall *, float *, int64_t, float *);
} nn_attention_ops;
extern const nn_ops nn_ops_base, nn_ops_avx2, nn_ops_avx512;
extern const nn_attention_ops nn_attention_base, nn_attention_avx2, nn_attention_avx512;
#endif
