/* decoder_level.c: the kernels of the decoder, compiled once per CPU level (src/llm/local.mk) with the registers of
   num/vec.h; sums are fused, so levels agree to rounding only.

   Of one level every number is the same chain of roundings whatever else is computed beside it.  A product of a row of
   weights and a row of the batch has one sum for each number of a register, over pieces of DEC_DEEP, and these are added
   by halves.  Scores are sums over a head's numbers in order, and so are values over positions, page after page; a softmax
   looks at all scores of a row at once. */
#include "llm/decoder_in.h"
#include "num/vec.h"

#define DEC_JOIN(a, b) a##b
#define DEC_NAME(a, b) DEC_JOIN(a, b)

/* ---- weights as floats ---- */

typedef int8_t vec_bytes __attribute__((vector_size(2 * LANES)));
typedef uint8_t vec_ubytes __attribute__((vector_size(2 * LANES)));
typedef uint16_t vec_shorts __attribute__((vector_size(4 * LANES)));

VEC_INLINE vec_ints bytes_at(const int8_t *p)
{
  vec_bytes b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, vec_ints);
}
VEC_INLINE vec_ints ubytes_at(const uint8_t *p)
{
  vec_ubytes b;
  memcpy(&b, p, sizeof b);
  return __builtin_convertvector(b, vec_ints);
}
VEC_INLINE vec floats(vec_ints i) { return __builtin_convertvector(i, vec); }

/* Of finite numbers: the fraction and exponent as those of a float that is 2^112 too small. */
VEC_INLINE vec halves_at(const uint8_t *p)
{
  vec_shorts s;
  memcpy(&s, p, sizeof s);
  vec_ints i = __builtin_convertvector(s, vec_ints);
  vec x = (vec)((i & 0x7fff) << 13) * 0x1p112f;
  return (vec)((vec_ints)x | (i & 0x8000) << 16);
}

static void from_f16(const uint8_t *p, int64_t n, float *x)
{
  int64_t i = 0;
  for (; i + VEC <= n; i += VEC) vec_store(x + i, halves_at(p + 2 * i));
  for (; i < n; i++) {
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    x[i] = quant_from_f16(h);
  }
}

static void from_bf16(const uint8_t *p, int64_t n, float *x)
{
  int64_t i = 0;
  for (; i + VEC <= n; i += VEC) {
    vec_shorts s;
    memcpy(&s, p + 2 * i, sizeof s);
    vec_store(x + i, (vec)(__builtin_convertvector(s, vec_ints) << 16));
  }
  for (; i < n; i++) {
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    x[i] = quant_from_bf16(h);
  }
}

static void from_q8_0(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i += 32, p += sizeof(block_q8_0)) {
    const block_q8_0 *b = (const void *)p;
    float d = quant_from_f16(b->d);
    for (int c = 0; c < 32; c += VEC) vec_store(x + i + c, d * floats(bytes_at(b->q + c)));
  }
}

static void from_q4_0(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i += 32, p += sizeof(block_q4_0)) {
    const block_q4_0 *b = (const void *)p;
    float d = quant_from_f16(b->d);
    for (int c = 0; c < 16; c += VEC) {
      vec_ints v = ubytes_at(b->q + c);
      vec_store(x + i + c, d * floats((v & 15) - 8));
      vec_store(x + i + 16 + c, d * floats((v >> 4) - 8));
    }
  }
}

/* The 8 groups of 32 of Q4_K, and of Q5_K, whose fifth bits stand in `high`. */
VEC_INLINE void groups(float d, float dmin, const uint8_t *scales, const uint8_t *high, const uint8_t *q, float *x)
{
  for (int j = 0; j < 8; j += 2) {
    int s0, m0, s1, m1;
    quant_scale_min(scales, j, &s0, &m0);
    quant_scale_min(scales, j + 1, &s1, &m1);
    float d0 = d * (float)s0, d1 = d * (float)s1, low0 = dmin * (float)m0, low1 = dmin * (float)m1;
    for (int c = 0; c < 32; c += VEC) {
      vec_ints v = ubytes_at(q + 16 * j + c), a = v & 15, b = v >> 4;
      if (high) {
        vec_ints h = ubytes_at(high + c) >> j;
        a |= (h & 1) << 4;
        b |= (h & 2) << 3;
      }
      vec_store(x + 32 * j + c, d0 * floats(a) - low0);
      vec_store(x + 32 * j + 32 + c, d1 * floats(b) - low1);
    }
  }
}

static void from_q4_K(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i += 256, p += sizeof(block_q4_K)) {
    const block_q4_K *b = (const void *)p;
    groups(quant_from_f16(b->d), quant_from_f16(b->dmin), b->scales, NULL, b->q, x + i);
  }
}

static void from_q5_K(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i += 256, p += sizeof(block_q5_K)) {
    const block_q5_K *b = (const void *)p;
    groups(quant_from_f16(b->d), quant_from_f16(b->dmin), b->scales, b->high, b->q, x + i);
  }
}

static void from_q6_K(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i += 256, p += sizeof(block_q6_K)) {
    const block_q6_K *b = (const void *)p;
    float d = quant_from_f16(b->d);
    for (int half = 0; half < 2; half++)
      for (int c = 0; c < 32; c += VEC) {
        const int8_t *s = b->scales + 8 * half + c / 16;
        vec_ints l = ubytes_at(b->low + 64 * half + c), m = ubytes_at(b->low + 64 * half + 32 + c);
        vec_ints h = ubytes_at(b->high + 32 * half + c);
        float *to = x + i + 128 * half + c;
        vec_store(to, d * (float)s[0] * floats(((l & 15) | (h & 3) << 4) - 32));
        vec_store(to + 32, d * (float)s[2] * floats(((m & 15) | (h & 12) << 2) - 32));
        vec_store(to + 64, d * (float)s[4] * floats((l >> 4 | (h & 48)) - 32));
        vec_store(to + 96, d * (float)s[6] * floats((m >> 4 | (h & 192) >> 2) - 32));
      }
  }
}

/* Numbers from .. from + n - 1 of a row; where they stand as floats, or in x. */
static const float *weights(const dec_weight *w, int64_t row, int64_t from, int64_t n, float *x)
{
  const uint8_t *p = w->data + (size_t)row * w->row + quant_bytes(w->type, (size_t)from);
  switch (w->type) {
  case QUANT_F32: return (const float *)(const void *)p;
  case QUANT_F16: from_f16(p, n, x); break;
  case QUANT_BF16: from_bf16(p, n, x); break;
  case QUANT_Q8_0: from_q8_0(p, n, x); break;
  case QUANT_Q4_0: from_q4_0(p, n, x); break;
  case QUANT_Q4_K: from_q4_K(p, n, x); break;
  case QUANT_Q5_K: from_q5_K(p, n, x); break;
  case QUANT_Q6_K: from_q6_K(p, n, x); break;
  default: break;
  }
  return x;
}

/* ---- products ---- */

/* The sum of a register's numbers by halves, of four registers. */
VEC_INLINE void sums(const vec *s, float *out)
{
#if defined VEC_X86
  __m128 r[4];
  VEC_UNROLL
  for (int i = 0; i < 4; i++) {
#if LANES == 8
    __m256 h = _mm512_castps512_ps256(s[i]) +
               _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s[i]), 1));
#else
    __m256 h = s[i];
#endif
    r[i] = _mm256_castps256_ps128(h) + _mm256_extractf128_ps(h, 1);
  }
  __m128 a = _mm_unpacklo_ps(r[0], r[1]) + _mm_unpackhi_ps(r[0], r[1]);
  __m128 b = _mm_unpacklo_ps(r[2], r[3]) + _mm_unpackhi_ps(r[2], r[3]);
  _mm_storeu_ps(out, _mm_movelh_ps(a, b) + _mm_movehl_ps(b, a));
#else
  for (int i = 0; i < 4; i++) out[i] = vec_sum(s[i]);
#endif
}

/* out[r][i] = x_r . w_i for `rows` rows of the batch and DEC_TILE rows of weights. */
VEC_INLINE void tile(int rows, int64_t k, const float *const *w, const float *x, int64_t ldx, float (*out)[DEC_TILE])
{
  vec s[6][DEC_TILE];
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int i = 0; i < DEC_TILE; i++) s[r][i] = (vec){ 0 };
  int64_t p = 0;
  for (; p + VEC <= k; p += VEC) {
    vec a[DEC_TILE];
    VEC_UNROLL
    for (int i = 0; i < DEC_TILE; i++) a[i] = vec_load(w[i] + p);
    VEC_UNROLL
    for (int r = 0; r < rows; r++) {
      vec b = vec_load(x + r * ldx + p);
      VEC_UNROLL
      for (int i = 0; i < DEC_TILE; i++) s[r][i] = vec_fma(a[i], b, s[r][i]);
    }
  }
  if (p < k)
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
      for (int i = 0; i < DEC_TILE; i++)
        s[r][i] = vec_fma(vec_load_part(w[i] + p, k - p), vec_load_part(x + r * ldx + p, k - p), s[r][i]);
  VEC_UNROLL
  for (int r = 0; r < rows; r++) sums(s[r], out[r]);
}

#if LANES == 8
enum { ROWS = 6 };
#else
enum { ROWS = 3 };
#endif

static void tiles(int rows, int64_t k, const float *const *w, const float *x, int64_t ldx, float (*out)[DEC_TILE])
{
  switch (rows) {
  case 1: tile(1, k, w, x, ldx, out); break;
  case 2: tile(2, k, w, x, ldx, out); break;
#if LANES == 8
  case 3: tile(3, k, w, x, ldx, out); break;
  case 4: tile(4, k, w, x, ldx, out); break;
  case 5: tile(5, k, w, x, ldx, out); break;
#endif
  default: tile(ROWS, k, w, x, ldx, out); break;
  }
}

/* The pieces of DEC_TILE rows of weights from j on, all rows of the batch. */
static void stripe(const dec_product *p, int64_t j, int n, int64_t from, int64_t k, float *scratch)
{
  const float *w[DEC_TILE], *bias = p->of->bias;
  float out[6][DEC_TILE];
  for (int i = 0; i < DEC_TILE; i++)
    w[i] = i < n ? weights(&p->of->w, j + i, from, k, scratch + i * DEC_DEEP) : w[0];
  for (int r = 0; r < p->m; r += ROWS) {
    int rows = p->m - r < ROWS ? p->m - r : ROWS;
    tiles(rows, k, w, p->x + r * p->ldx + from, p->ldx, out);
    for (int q = 0; q < rows; q++) {
      float *y = (p->rows ? p->rows[r + q] : p->y + (r + q) * p->ldy) + j;
      bool sum = from > 0 || p->add;
      for (int i = 0; i < n; i++) {
        float start = sum ? y[i] : 0;
        if (bias && from == 0) start += bias[j + i];
        y[i] = start + out[q][i];
      }
    }
  }
}

static void product(const dec_product *p, int64_t from, int64_t to, float *scratch)
{
  int64_t k = p->of->w.k;
  for (int64_t at = 0; at < k; at += DEC_DEEP) {
    int64_t deep = k - at < DEC_DEEP ? k - at : DEC_DEEP;
    for (int64_t j = from; j < to; j += DEC_TILE)
      stripe(p, j, (int)(to - j < DEC_TILE ? to - j : DEC_TILE), at, deep, scratch);
  }
}

/* ---- attention ---- */

enum { WIDE = KV_PAGE / VEC, QUERIES = LANES == 8 ? 8 : 4, DEEP_QUERIES = 4 };

/* s (rows, KV_PAGE) = q (rows, d) keys (d, KV_PAGE) */
VEC_INLINE void score_tile(int rows, int d, const float *q, const float *keys, float *s, int64_t lds)
{
  vec sum[8][WIDE];
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int w = 0; w < WIDE; w++) sum[r][w] = (vec){ 0 };
  for (int e = 0; e < d; e++) {
    vec k[WIDE];
    VEC_UNROLL
    for (int w = 0; w < WIDE; w++) k[w] = vec_load(keys + e * KV_PAGE + w * VEC);
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
      for (int w = 0; w < WIDE; w++) sum[r][w] = vec_fma(vec_of(q[r * d + e]), k[w], sum[r][w]);
  }
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int w = 0; w < WIDE; w++) vec_store(s + r * lds + w * VEC, sum[r][w]);
}

static void page_scores(int rows, int d, const float *q, const float *keys, float *s, int64_t lds)
{
  int r = 0;
  for (; r + QUERIES <= rows; r += QUERIES) score_tile(QUERIES, d, q + r * d, keys, s + r * lds, lds);
  for (; r < rows; r++) score_tile(1, d, q + r * d, keys, s + r * lds, lds);
}

/* o (rows, wide) += p (rows, seen) values (seen, wide), a register (or two) of columns. */
VEC_INLINE void value_tile(int rows, int pair, int seen, int64_t wide, const float *p, int64_t lds, const float *values,
                           float *o)
{
  vec sum[DEEP_QUERIES][2];
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int w = 0; w < pair; w++) sum[r][w] = vec_load(o + r * wide + w * VEC);
  for (int t = 0; t < seen; t++) {
    vec v[2];
    VEC_UNROLL
    for (int w = 0; w < pair; w++) v[w] = vec_load(values + t * wide + w * VEC);
    VEC_UNROLL
    for (int r = 0; r < rows; r++)
      VEC_UNROLL
      for (int w = 0; w < pair; w++) sum[r][w] = vec_fma(vec_of(p[r * lds + t]), v[w], sum[r][w]);
  }
  VEC_UNROLL
  for (int r = 0; r < rows; r++)
    VEC_UNROLL
    for (int w = 0; w < pair; w++) vec_store(o + r * wide + w * VEC, sum[r][w]);
}

static void page_values(int rows, int seen, int64_t wide, const float *p, int64_t lds, const float *values, float *o)
{
  int r = 0;
  for (; r < rows; r += r + DEEP_QUERIES <= rows ? DEEP_QUERIES : 1) {
    int64_t c = 0;
    bool many = r + DEEP_QUERIES <= rows;
    for (; c + 2 * VEC <= wide; c += 2 * VEC)
      if (many) value_tile(DEEP_QUERIES, 2, seen, wide, p + r * lds, lds, values + c, o + r * wide + c);
      else value_tile(1, 2, seen, wide, p + r * lds, lds, values + c, o + r * wide + c);
    for (; c < wide; c += VEC)
      if (many) value_tile(DEEP_QUERIES, 1, seen, wide, p + r * lds, lds, values + c, o + r * wide + c);
      else value_tile(1, 1, seen, wide, p + r * lds, lds, values + c, o + r * wide + c);
  }
}

/* exp(s - max s) in place of n scores, room for KV_PAGE more; 1 over their sum. */
static float soften(int64_t n, float *s)
{
  vec top = vec_of(-HUGE_VALF), sum = { 0 };
  for (int i = 0; i < KV_PAGE; i++) s[n + i] = -HUGE_VALF;
  for (int64_t i = 0; i < n; i += VEC) top = vec_max(vec_load(s + i), top);
  vec most = vec_of(vec_greatest(top));
  for (int64_t i = 0; i < n; i += VEC) {
    vec e = vec_exp(vec_load(s + i) - most);
    vec_store(s + i, e);
    sum += e;
  }
  return 1 / vec_sum(sum);
}

/* What of a span lies in rows from .. to - 1. */
static bool within(const dec_span *s, int from, int to, int *a, int *b)
{
  *a = s->from > from ? s->from : from;
  *b = s->to < to ? s->to : to;
  return *a < *b;
}

static void attend(const dec_attend *a, int head, int from, int to, float *scratch)
{
  int d = a->kv->d, g = a->group, queries = (to - from) * g, longest = 0, r0, r1;
  int64_t wide = a->kv->wide;
  for (int r = from; r < to; r++) longest = a->length[r] > longest ? a->length[r] : longest;
  int64_t lds = longest + 2 * KV_PAGE;
  float *q = scratch, *o = q + (int64_t)queries * wide, *s = o + (int64_t)queries * wide;
  float scale = 1 / __builtin_sqrtf((float)d);
  for (int i = 0; i < queries; i++) {
    const float *x = a->q + (from + i / g) * a->step + (int64_t)(head * g + i % g) * d;
    for (int e = 0; e < d; e++) q[i * d + e] = scale * x[e];
  }
  memset(o, 0, (size_t)(queries * wide) * sizeof *o);
  for (const dec_span *p = a->span; p < a->span + a->spans; p++)
    if (within(p, from, to, &r0, &r1))
      page_scores((r1 - r0) * g, d, q + (r0 - from) * g * d, kv_keys(a->kv, p->page, a->layer, head),
                  s + (r0 - from) * g * lds + p->first, lds);
  for (int i = 0; i < queries; i++) q[i] = soften(a->length[from + i / g], s + i * lds);
  for (const dec_span *p = a->span; p < a->span + a->spans; p++)
    if (within(p, from, to, &r0, &r1))
      page_values((r1 - r0) * g, p->seen, wide, s + (r0 - from) * g * lds + p->first, lds,
                  kv_values(a->kv, p->page, a->layer, head), o + (r0 - from) * g * wide);
  for (int i = 0; i < queries; i++) {
    float *y = a->y + (from + i / g) * a->step + (int64_t)(head * g + i % g) * d;
    for (int e = 0; e < d; e++) y[e] = q[i] * o[i * wide + e];
  }
}

/* ---- by rows ---- */

/* RMSNorm: x / sqrt(mean x^2 + eps) gain (Zhang, Sennrich 2019); LayerNorm: (x - mean) / sqrt(variance + eps) gain +
   bias (Ba, Kiros, Hinton 2016). */
static void norm(int64_t n, const float *x, const dec_norm *f, bool layer_norm, float eps, float *y)
{
  vec sum = { 0 }, square = { 0 };
  float mean = 0;
  if (layer_norm) {
    for (int64_t i = 0; i < n; i += VEC) sum += vec_load_part(x + i, n - i);
    mean = vec_sum(sum) / (float)n;
  }
  int64_t i = 0;
  for (; i + VEC <= n; i += VEC) {
    vec c = vec_load(x + i) - mean;
    square = vec_fma(c, c, square);
  }
  float rest = 0;
  for (; i < n; i++) rest += (x[i] - mean) * (x[i] - mean);
  float scale = 1 / __builtin_sqrtf((vec_sum(square) + rest) / (float)n + eps);
  for (i = 0; i < n; i += VEC) {
    vec c = (vec_load_part(x + i, n - i) - mean) * scale * vec_load_part(f->gain + i, n - i);
    if (f->bias) c += vec_load_part(f->bias + i, n - i);
    vec_store_part(y + i, c, n - i);
  }
}

/* silu x = x / (1 + exp -x) (Shazeer 2020) */
static void swiglu(int64_t n, const float *up, float *gate)
{
  for (int64_t i = 0; i < n; i += VEC) {
    vec g = vec_load_part(gate + i, n - i);
    vec_store_part(gate + i, g * vec_logistic(g) * vec_load_part(up + i, n - i), n - i);
  }
}

/* x / 2 (1 + tanh(sqrt(2 / pi) (x + .044715 x^3))) (Hendrycks, Gimpel 2016) = x / (1 + exp(-2 ...)) */
static void gelu(int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i += VEC) {
    vec v = vec_load_part(x + i, n - i);
    vec_store_part(x + i, v * vec_logistic(v * (1.5957691216f + 0.0713548163f * v * v)), n - i);
  }
}

static void add(int64_t n, const float *x, float *y)
{
  for (int64_t i = 0; i < n; i += VEC)
    vec_store_part(y + i, vec_load_part(y + i, n - i) + vec_load_part(x + i, n - i), n - i);
}

/* x - log sum exp x, sums of PIECE numbers added as doubles. */
static void log_softmax(int64_t n, float *x)
{
  enum { PIECE = 512 };
  vec top = vec_of(-HUGE_VALF);
  int64_t i = 0;
  float most = -HUGE_VALF;
  double sum = 0;
  for (; i + VEC <= n; i += VEC) top = vec_max(vec_load(x + i), top);
  most = vec_greatest(top);
  for (; i < n; i++) most = x[i] > most ? x[i] : most;
  for (int64_t at = 0; at < n; at += PIECE) {
    vec part = { 0 };
    for (i = at; i + VEC <= n && i < at + PIECE; i += VEC) part += vec_exp(vec_load(x + i) - most);
    sum += vec_sum(part);
    for (; i < n && i < at + PIECE; i++) sum += expf(x[i] - most);
  }
  float c = (float)(log(sum) + (double)most);
  for (i = 0; i < n; i += VEC) vec_store_part(x + i, vec_load_part(x + i, n - i) - c, n - i);
}

const dec_kernels DEC_NAME(dec_, LEVEL) = { product, attend, norm, swiglu, gelu, add, log_softmax };
