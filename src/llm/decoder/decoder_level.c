/* decoder_level.c: the kernels of the decoder, compiled once per CPU level (src/llm/local.mk) with the registers
   of num/vec.h; sums are fused, so levels agree to rounding only.

   Of one level every number is the same chain of roundings whatever else is computed beside it.  A product of a
   row of weights and a row of the batch has one sum for each number of a register, over pieces of DEC_DEEP, and
   these are added by halves.  Scores are sums over a head's numbers in order, and so are values over positions,
   page after page; a softmax looks at all scores of a row at once. */
#include "llm/decoder/decoder_in.h"
#include "num/vec.h"

#define DEC_JOIN(a, b) a##b
#define DEC_NAME(a, b) DEC_JOIN(a, b)

/* ---- weights as floats ---- */

#if defined VEC_X86
/* A register of small integers from memory (compilers convert such vectors number by number). */
VEC_INLINE vec_ints bytes_at(const int8_t *p)
{
#if LANES == 8
  return (vec_ints)_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
#else
  return (vec_ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p));
#endif
}
VEC_INLINE vec_ints ubytes_at(const uint8_t *p)
{
#if LANES == 8
  return (vec_ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
#else
  return (vec_ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
#endif
}
VEC_INLINE vec_ints shorts_at(const uint8_t *p)
{
#if LANES == 8
  return (vec_ints)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
#else
  return (vec_ints)_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
#endif
}
#else
VEC_INLINE vec_ints bytes_at(const int8_t *p)
{
  vec_ints x;
  for (int i = 0; i < VEC; i++) x[i] = p[i];
  return x;
}
VEC_INLINE vec_ints ubytes_at(const uint8_t *p)
{
  vec_ints x;
  for (int i = 0; i < VEC; i++) x[i] = p[i];
  return x;
}
VEC_INLINE vec_ints shorts_at(const uint8_t *p)
{
  vec_ints x;
  for (int i = 0; i < VEC; i++) x[i] = p[2 * i] | p[2 * i + 1] << 8;
  return x;
}
#endif
VEC_INLINE vec floats(vec_ints i) { return __builtin_convertvector(i, vec); }

/* Of finite numbers: the fraction and exponent as those of a float that is 2^112 too small. */
VEC_INLINE vec halves_at(const uint8_t *p)
{
#if defined VEC_X86 && LANES == 8
  return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
#else
  vec_ints i = shorts_at(p);
  vec x = (vec)((i & 0x7fff) << 13) * 0x1p112f;
  return (vec)((vec_ints)x | (i & 0x8000) << 16);
#endif
}
VEC_INLINE float half(uint16_t h)
{
  return quant_from_bits((uint32_t)(h & 0x7fff) << 13 | (uint32_t)(h & 0x8000) << 16) * 0x1p112f;
}

/* A block of each format as registers; formats without blocks come by 32. */
VEC_INLINE void open_f16(const uint8_t *p, vec *x)
{
  VEC_UNROLL
  for (int c = 0; c < 32; c += VEC) x[c / VEC] = halves_at(p + 2 * c);
}

VEC_INLINE void open_bf16(const uint8_t *p, vec *x)
{
  VEC_UNROLL
  for (int c = 0; c < 32; c += VEC) x[c / VEC] = (vec)(shorts_at(p + 2 * c) << 16);
}

VEC_INLINE void open_q8_0(const uint8_t *p, vec *x)
{
  const block_q8_0 *b = (const void *)p;
  float d = half(b->d);
  VEC_UNROLL
  for (int c = 0; c < 32; c += VEC) x[c / VEC] = d * floats(bytes_at(b->q + c));
}

VEC_INLINE void open_q4_0(const uint8_t *p, vec *x)
{
  const block_q4_0 *b = (const void *)p;
  float d = half(b->d);
  VEC_UNROLL
  for (int c = 0; c < 16; c += VEC) {
    vec_ints v = ubytes_at(b->q + c);
    x[c / VEC] = d * floats((v & 15) - 8);
    x[(16 + c) / VEC] = d * floats((v >> 4) - 8);
  }
}

/* The 8 groups of 32 of Q4_K, and of Q5_K, whose fifth bits stand in `high`. */
VEC_INLINE void groups(float d, float dmin, const uint8_t *scales, const uint8_t *high, const uint8_t *q, vec *x)
{
  VEC_UNROLL
  for (int j = 0; j < 8; j += 2) {
    int s0, m0, s1, m1;
    quant_scale_min(scales, j, &s0, &m0);
    quant_scale_min(scales, j + 1, &s1, &m1);
    float d0 = d * (float)s0, d1 = d * (float)s1, low0 = dmin * (float)m0, low1 = dmin * (float)m1;
    VEC_UNROLL
    for (int c = 0; c < 32; c += VEC) {
      vec_ints v = ubytes_at(q + 16 * j + c), a = v & 15, b = v >> 4;
      if (high) {
        vec_ints h = ubytes_at(high + c) >> j;
        a |= (h & 1) << 4;
        b |= (h & 2) << 3;
      }
      x[(32 * j + c) / VEC] = d0 * floats(a) - low0;
      x[(32 * j + 32 + c) / VEC] = d1 * floats(b) - low1;
    }
  }
}

VEC_INLINE void open_q4_K(const uint8_t *p, vec *x)
{
  const block_q4_K *b = (const void *)p;
  groups(half(b->d), half(b->dmin), b->scales, NULL, b->q, x);
}

VEC_INLINE void open_q5_K(const uint8_t *p, vec *x)
{
  const block_q5_K *b = (const void *)p;
  groups(half(b->d), half(b->dmin), b->scales, b->high, b->q, x);
}

VEC_INLINE void open_q6_K(const uint8_t *p, vec *x)
{
  const block_q6_K *b = (const void *)p;
  float d = half(b->d);
  VEC_UNROLL
  for (int part = 0; part < 2; part++)
    VEC_UNROLL
    for (int c = 0; c < 32; c += VEC) {
      const int8_t *s = b->scales + 8 * part + c / 16;
      vec_ints l = ubytes_at(b->low + 64 * part + c), m = ubytes_at(b->low + 64 * part + 32 + c);
      vec_ints h = ubytes_at(b->high + 32 * part + c);
      vec *to = x + (128 * part + c) / VEC;
      to[0] = d * (float)s[0] * floats(((l & 15) | (h & 3) << 4) - 32);
      to[32 / VEC] = d * (float)s[2] * floats(((m & 15) | (h & 12) << 2) - 32);
      to[64 / VEC] = d * (float)s[4] * floats((l >> 4 | (h & 48)) - 32);
      to[96 / VEC] = d * (float)s[6] * floats((m >> 4 | (h & 192) >> 2) - 32);
    }
}

/* What is left behind the blocks, of formats that have none. */
static void rest_f16(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    x[i] = quant_from_f16(h);
  }
}
static void rest_bf16(const uint8_t *p, int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    x[i] = quant_from_bf16(h);
  }
}
static void rest_none(const uint8_t *p, int64_t n, float *x) { (void)p, (void)n, (void)x; }

/* from_: n numbers as floats.  dot_: of DEC_TILE rows the products with x, a register of sums for each, as `tile` has
   them. */
#define FORMAT(name, block, bytes, rest, unroll) \
  static void from_##name(const uint8_t *p, int64_t n, float *x) \
  { \
    int64_t i = 0; \
    for (; i + block <= n; i += block, p += bytes) { \
      vec v[block / VEC]; \
      open_##name(p, v); \
      VEC_UNROLL \
      for (int c = 0; c < block / VEC; c++) vec_store(x + i + c * VEC, v[c]); \
    } \
    if (i < n) rest(p, n - i, x + i); \
  } \
  static void dot_##name(const uint8_t *const *row, int64_t n, const float *x, vec *s) \
  { \
    int64_t i = 0; \
    size_t at = 0; \
    vec sum[DEC_TILE]; \
    VEC_UNROLL \
    for (int r = 0; r < DEC_TILE; r++) sum[r] = (vec){ 0 }; \
    for (; i + block <= n; i += block, at += bytes) \
      unroll \
      for (int r = 0; r < DEC_TILE; r++) { \
        vec v[block / VEC]; \
        open_##name(row[r] + at, v); \
        VEC_UNROLL \
        for (int c = 0; c < block / VEC; c++) sum[r] = vec_fma(v[c], vec_load(x + i + c * VEC), sum[r]); \
      } \
    for (int r = 0; r < DEC_TILE; r++) s[r] = sum[r]; \
    for (int r = 0; r < DEC_TILE && i < n; r++) { \
      float last[block] = { 0 }; \
      rest(row[r] + at, n - i, last); \
      for (int64_t c = 0; i + c < n; c += VEC) \
        s[r] = vec_fma(vec_load(last + c), vec_load_part(x + i + c, n - i - c), s[r]); \
    } \
  }
FORMAT(f16, 32, 64, rest_f16, VEC_UNROLL)
FORMAT(bf16, 32, 64, rest_bf16, VEC_UNROLL)
FORMAT(q8_0, 32, sizeof(block_q8_0), rest_none, VEC_UNROLL)
FORMAT(q4_0, 32, sizeof(block_q4_0), rest_none, VEC_UNROLL)
FORMAT(q4_K, 256, sizeof(block_q4_K), rest_none, )
FORMAT(q5_K, 256, sizeof(block_q5_K), rest_none, )
FORMAT(q6_K, 256, sizeof(block_q6_K), rest_none, )

/* A row of weights after the other, since memory is read fastest so. */
static void dot_f32(const uint8_t *const *row, int64_t n, const float *x, vec *s)
{
  for (int r = 0; r < DEC_TILE; r++) {
    const float *w = (const float *)(const void *)row[r];
    int64_t i = 0;
    s[r] = (vec){ 0 };
    for (; i + VEC <= n; i += VEC) s[r] = vec_fma(vec_load(w + i), vec_load(x + i), s[r]);
    if (i < n) s[r] = vec_fma(vec_load_part(w + i, n - i), vec_load_part(x + i, n - i), s[r]);
  }
}

typedef struct format {
  void (*from)(const uint8_t *, int64_t n, float *x);
  void (*dot)(const uint8_t *const *, int64_t n, const float *x, vec *s);
} format;
static const format formats[QUANT_TYPES] = {
  [QUANT_F32] = { NULL, dot_f32 }, [QUANT_F16] = { from_f16, dot_f16 }, [QUANT_BF16] = { from_bf16, dot_bf16 },
  [QUANT_Q8_0] = { from_q8_0, dot_q8_0 }, [QUANT_Q4_0] = { from_q4_0, dot_q4_0 },
  [QUANT_Q4_K] = { from_q4_K, dot_q4_K }, [QUANT_Q5_K] = { from_q5_K, dot_q5_K }, [QUANT_Q6_K] = { from_q6_K, dot_q6_K }
};

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

/* Sums of one piece become, or are added to, row r of the result. */
static void put(const dec_product *p, int r, int64_t j, int n, bool first, const float *sum)
{
  float *y = (p->rows ? p->rows[r] : p->y + r * p->ldy) + j;
  const float *bias = first ? p->of->bias : NULL;
  for (int i = 0; i < n; i++) {
    float start = !first || p->add ? y[i] : 0;
    if (bias) start += bias[j + i];
    y[i] = start + sum[i];
  }
}

/* n <= DEC_TILE rows of weights from j on, where they stand in the file; the first again in place of more. */
static void rows_at(const dec_weight *w, int64_t j, int64_t n, int64_t from, const uint8_t **raw)
{
  for (int i = 0; i < DEC_TILE; i++)
    raw[i] = w->data + (size_t)(i < n ? j + i : j) * w->row + quant_bytes(w->type, (size_t)from);
}

static void product_of_one(const dec_product *p, int64_t j, int64_t n, int64_t from, int64_t k)
{
  const uint8_t *raw[DEC_TILE];
  vec s[DEC_TILE];
  float out[DEC_TILE];
  rows_at(&p->of->w, j, n, from, raw);
  formats[p->of->w.type].dot(raw, k, p->x + from, s);
  sums(s, out);
  put(p, 0, j, (int)n, from == 0, out);
}

/* The pieces of at most DEC_STRIPE rows of weights: of a few rows of the batch, which stay in the nearest cache, all
   products one after the other. */
static void stripe(const dec_product *p, int64_t j, int64_t n, int64_t from, int64_t k, float *scratch)
{
  const format *f = formats + p->of->w.type;
  const uint8_t *raw[DEC_STRIPE];
  const float *w[DEC_STRIPE];
  float out[6][DEC_TILE];
  for (int64_t i = 0; i < n; i += DEC_TILE) rows_at(&p->of->w, j + i, n - i, from, raw + i);
  for (int64_t i = 0; i < (n + DEC_TILE - 1) / DEC_TILE * DEC_TILE; i++) {
    w[i] = f->from ? scratch + i * DEC_DEEP : (const float *)(const void *)raw[i];
    if (f->from) f->from(raw[i], k, scratch + i * DEC_DEEP);
  }
  for (int r = 0; r < p->m; r += ROWS) {
    int rows = p->m - r < ROWS ? p->m - r : ROWS;
    for (int64_t i = 0; i < n; i += DEC_TILE) {
      tiles(rows, k, w + i, p->x + r * p->ldx + from, p->ldx, out);
      for (int q = 0; q < rows; q++)
        put(p, r + q, j + i, (int)(n - i < DEC_TILE ? n - i : DEC_TILE), from == 0, out[q]);
    }
  }
}

static void product(const dec_product *p, int64_t from, int64_t to, float *scratch)
{
  int64_t k = p->of->w.k, step = p->m == 1 ? DEC_TILE : DEC_STRIPE;
  for (int64_t at = 0; at < k; at += DEC_DEEP) {
    int64_t deep = k - at < DEC_DEEP ? k - at : DEC_DEEP;
    for (int64_t j = from; j < to; j += step) {
      int64_t n = to - j < step ? to - j : step;
      if (p->m == 1) product_of_one(p, j, n, at, deep);
      else stripe(p, j, n, at, deep, scratch);
    }
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
