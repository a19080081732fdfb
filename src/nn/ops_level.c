/* ops_level: the operations of ops.h that go by rows and numbers, compiled once per CPU level
   (src/nn/local.mk). */
#include "nn/ops.h"
#include "num/vec.h"

#define OPS_JOIN(a, b) a##b
#define OPS_NAME(a, b) OPS_JOIN(a, b)

static void axpy(int64_t n, float c, const float *x, float *y)
{
  for (int64_t j = 0; j < n; j += VEC)
    vec_store_part(y + j, vec_fma(vec_of(c), vec_load_part(x + j, n - j), vec_load_part(y + j, n - j)),
                   n - j);
}

static void columns(int64_t n, int64_t d, const float *x, float *sum)
{
  for (int64_t j = 0; j < d; j += VEC) {
    vec a = vec_load_part(sum + j, d - j), b = { 0 };
    int64_t i = 0;
    for (; i + 2 <= n; i += 2) {
      a += vec_load_part(x + i * d + j, d - j);
      b += vec_load_part(x + (i + 1) * d + j, d - j);
    }
    if (i < n) a += vec_load_part(x + i * d + j, d - j);
    vec_store_part(sum + j, a + b, d - j);
  }
}

static void spread(int64_t n, int64_t d, const float *b, const float *more, float *y)
{
  for (int64_t j = 0; j < d; j += VEC) {
    vec c = vec_load_part(b + j, d - j);
    for (int64_t i = 0; i < n; i++) {
      vec x = more ? vec_load_part(more + i * d + j, d - j) + c : c;
      vec_store_part(y + i * d + j, x, d - j);
    }
  }
}

/* ---- layer norm ---- */

static void norm_forward(int64_t n, int64_t d, const float *x, const float *gain, const float *bias, float *y,
                         float *stat)
{
  for (int64_t i = 0; i < n; i++, x += d, y += d) {
    vec sum = { 0 }, square = { 0 };
    for (int64_t j = 0; j < d; j += VEC) sum += vec_load_part(x + j, d - j);
    float mean = vec_sum(sum) / (float)d;
    for (int64_t j = 0; j < d; j += VEC) {
      vec c = vec_load_part(x + j, d - j) - mean;
      if (d - j < VEC) c = vec_load_part((const float *)&c, d - j);
      square = vec_fma(c, c, square);
    }
    float r = 1 / __builtin_sqrtf(vec_sum(square) / (float)d + 1e-5F);
    stat[2 * i] = mean;
    stat[2 * i + 1] = r;
    for (int64_t j = 0; j < d; j += VEC) {
      vec c = (vec_load_part(x + j, d - j) - mean) * r;
      vec_store_part(y + j, vec_fma(c, vec_load_part(gain + j, d - j), vec_load_part(bias + j, d - j)),
                     d - j);
    }
  }
}

/* With c = (x - mean) r and e = dy gain: dx = r (e - mean of e - c mean of e c). */
static void norm_backward(int64_t n, int64_t d, const float *dy, const float *x, const float *stat,
                          const float *gain, float *dx, float *dgain, float *dbias)
{
  for (int64_t i = 0; i < n; i++, x += d, dy += d, dx += d) {
    vec mean = vec_of(stat[2 * i]), r = vec_of(stat[2 * i + 1]), se = { 0 }, sec = { 0 };
    for (int64_t j = 0; j < d; j += VEC) {
      int64_t left = d - j;
      vec t = vec_load_part(dy + j, left), c = (vec_load_part(x + j, left) - mean) * r;
      vec e = t * vec_load_part(gain + j, left);
      se += e;
      sec = vec_fma(e, c, sec);
      vec_store_part(dgain + j, vec_fma(t, c, vec_load_part(dgain + j, left)), left);
      vec_store_part(dbias + j, t + vec_load_part(dbias + j, left), left);
    }
    float a = vec_sum(se) / (float)d, b = vec_sum(sec) / (float)d;
    for (int64_t j = 0; j < d; j += VEC) {
      int64_t left = d - j;
      vec e = vec_load_part(dy + j, left) * vec_load_part(gain + j, left);
      vec c = (vec_load_part(x + j, left) - mean) * r;
      vec_store_part(dx + j, vec_fma(r, e - a - c * b, vec_load_part(dx + j, left)), left);
    }
  }
}

/* ---- what makes it not linear ---- */

/* z = 2 c (x + .044715 x^3), y = x s, s = logistic(z): dy/dx = s + x s (1 - s) dz/dx */
static void gelu_forward(int64_t n, const float *x, float *y, float *slope)
{
  const vec c1 = vec_of(1.5957691216F), c3 = vec_of(0.0713548163F);       /* 2 c, 2 c .044715 */
  for (int64_t j = 0; j < n; j += VEC) {
    int64_t left = n - j;
    vec a = vec_load_part(x + j, left), square = a * a, p = vec_fma(c3, square, c1), s = vec_logistic(a * p);
    vec_store_part(y + j, a * s, left);
    if (!slope) continue;
    vec dz = vec_fma(c3 * 3, square, c1);
    vec_store_part(slope + j, vec_fma(a * s * (1 - s), dz, s), left);
  }
}

static void gelu_backward(int64_t n, const float *dy, const float *slope, float *dx)
{
  for (int64_t j = 0; j < n; j += VEC)
    vec_store_part(dx + j, vec_load_part(dy + j, n - j) * vec_load_part(slope + j, n - j), n - j);
}

static void swiglu_forward(int64_t n, int64_t f, const float *x, float *y)
{
  for (int64_t i = 0; i < n; i++, x += 2 * f, y += f)
    for (int64_t j = 0; j < f; j += VEC) {
      vec a = vec_load_part(x + j, f - j), b = vec_load_part(x + f + j, f - j);
      vec_store_part(y + j, a * vec_logistic(a) * b, f - j);
    }
}

static void swiglu_backward(int64_t n, int64_t f, const float *dy, const float *x, float *dx)
{
  for (int64_t i = 0; i < n; i++, x += 2 * f, dx += 2 * f, dy += f)
    for (int64_t j = 0; j < f; j += VEC) {
      int64_t left = f - j;
      vec a = vec_load_part(x + j, left), b = vec_load_part(x + f + j, left), e = vec_load_part(dy + j, left);
      vec s = vec_logistic(a), as = a * s;
      vec_store_part(dx + j, e * b * vec_fma(as, 1 - s, s), left);
      vec_store_part(dx + f + j, e * as, left);
    }
}

/* ---- embedding ---- */

static void embed_forward(int64_t n, int64_t rows, int64_t d, const int32_t *row, const float *coef,
                          const float *table, float *x)
{
  for (int64_t i = 0; i < n; i++, row += rows, coef += rows, x += d)
    for (int64_t j = 0; j < d; j += VEC) {
      vec s = { 0 };
      for (int64_t r = 0; r < rows; r++)
        if (row[r] >= 0) s = vec_fma(vec_of(coef[r]), vec_load_part(table + row[r] * d + j, d - j), s);
      vec_store_part(x + j, s, d - j);
    }
}

static void embed_backward(int64_t n, int64_t rows, int64_t d, const int32_t *row, const float *coef,
                           const float *dx, float *dtable)
{
  for (int64_t i = 0; i < n; i++, row += rows, coef += rows, dx += d)
    for (int64_t r = 0; r < rows; r++)
      if (row[r] >= 0) axpy(d, coef[r], dx, dtable + row[r] * d);
}

/* ---- others ---- */

static void adam(const nn_adam_numbers *a, int64_t n, const float *g, float *m, float *v, float *w)
{
  vec b1 = vec_of(a->beta1), b2 = vec_of(a->beta2), c1 = vec_of(a->fresh1), c2 = vec_of(a->fresh2);
  for (int64_t j = 0; j < n; j += VEC) {
    int64_t left = n - j;
    vec e = vec_load_part(g + j, left) * a->scale, x = vec_load_part(w + j, left);
    vec p = vec_fma(b1, vec_load_part(m + j, left), c1 * e),
        q = vec_fma(b2, vec_load_part(v + j, left), c2 * e * e);
    vec_store_part(m + j, p, left);
    vec_store_part(v + j, q, left);
    vec_store_part(w + j, x - (a->shrink * x + a->rate * p / (vec_sqrt(q) * a->root + a->eps)), left);
  }
}

static float exps(int64_t n, const float *z, float *y, float *top)
{
  vec most = vec_of(-HUGE_VALF), sum = { 0 };
  int64_t j = 0;
  for (; j + VEC <= n; j += VEC) most = vec_max(vec_load(z + j), most);
  float m = vec_greatest(most);
  for (int64_t k = j; k < n; k++) m = z[k] > m ? z[k] : m;
  for (j = 0; j + VEC <= n; j += VEC) {
    vec e = vec_exp(vec_load(z + j) - m);
    sum += e;
    vec_store(y + j, e);
  }
  float s = vec_sum(sum);
  if (j < n) {
    vec e = vec_exp(vec_load_part(z + j, n - j) - m);
    for (int k = 0; k < n - j; k++) s += e[k];
    vec_store_part(y + j, e, n - j);
  }
  *top = m;
  return s;
}

const nn_ops OPS_NAME(nn_ops_, LEVEL) = {
  columns, spread, norm_forward, norm_backward, gelu_forward, gelu_backward, swiglu_forward, swiglu_backward,
  embed_forward, embed_backward, adam, exps, axpy,
};
