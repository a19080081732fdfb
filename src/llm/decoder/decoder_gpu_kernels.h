/* decoder_gpu_kernels: the steps of the decoder for a device, in what C11 and CUDA C++ have in common (gpu/gpu.h);
   decoder_gpu_batch.c says in which order.

   A context's numbers have the same bits whatever is computed beside it, so each sum has an order of its own.  Of a
   product a warp has a few rows of weights and a few of the batch; of each DEC_SPAN numbers a lane has eight, as the
   format deals them out (DEC_FIRST), which it adds one after the other, and the lanes are added by halves: however
   many rows a warp has, a dot product is the same chain of roundings.  Attention goes by chunks of DEC_CHUNK positions,
   counted from the first of the context, each with its own greatest score, and the chunks are put together in their
   order: which page has a position does not matter.  Products and sums are fused only where fmaf says so.

   Weights are read as they lie in the file; DEC_F32, DEC_Q4_0 ... say for which formats there is code. */
#ifndef NORN_LLM_DECODER_GPU_KERNELS_H
#define NORN_LLM_DECODER_GPU_KERNELS_H

#define DEC_ALL 0xffffffffu
#define DEC_UNROLL _Pragma("unroll")
#ifdef __CUDACC_RTC__
typedef float4 dec_four;
typedef uint2 dec_words;
#else
typedef struct { float x, y, z, w; } dec_four;
typedef struct { uint32_t x, y; } dec_words;
#endif

DEVICE float dec_sum(float x)
{
  for (int m = 16; m; m >>= 1) x += __shfl_xor_sync(DEC_ALL, x, m);
  return x;
}
DEVICE float dec_greatest(float x)
{
  for (int m = 16; m; m >>= 1) {
    const float y = __shfl_xor_sync(DEC_ALL, x, m);
    x = y > x ? y : x;
  }
  return x;
}

/* ---- weights as floats ---------------------------------------------------------------------------- */

/* The fraction and exponent of a half are those of a float that is 2^112 too small. */
DEVICE float dec_half(uint32_t h)
{
  return __uint_as_float((h & 0x7fffu) << 13 | (h & 0x8000u) << 16) * 5192296858534827628530496329220096.0f;
}
DEVICE uint32_t dec_16(const uint8_t *p) { return *(const uint16_t *)p; }
DEVICE uint32_t dec_32(const uint8_t *p) { return dec_16(p) | dec_16(p + 2) << 16; }      /* at an even address */
DEVICE int dec_byte(uint32_t x, int i) { return (int)(x >> 8 * i & 255u); }
DEVICE int dec_signed(uint32_t x, int i) { return (int)(int8_t)(x >> 8 * i & 255u); }
/* quant.h's quant_scale_min. */
DEVICE void dec_scale_min(const uint8_t *s, int j, float d, float dmin, float *scale, float *low)
{
  const int a = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
  const int b = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
  *scale = d * (float)a;
  *low = dmin * (float)b;
}

/* Of DEC_SPAN numbers from `at` on a lane has eight: w[0 .. 3] from DEC_FIRST on and w[4 .. 7] DEC_NEXT behind them;
   what is beyond k is 0.  row: of the weights; whole: all are there, and groups of four are aligned. */
#define DEC_FIRST_F32 (4 * lane)
#define DEC_NEXT_F32 128
DEVICE void dec_open_F32(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const float *x = (const float *)row + at + 4 * lane;
  if (whole) {
    const dec_four a = *(const dec_four *)x, b = *(const dec_four *)(x + 128);
    w[0] = a.x, w[1] = a.y, w[2] = a.z, w[3] = a.w;
    w[4] = b.x, w[5] = b.y, w[6] = b.z, w[7] = b.w;
    return;
  }
  const int64_t left = k - at - 4 * lane;
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    w[i] = i < left ? x[i] : 0;
    w[4 + i] = 128 + i < left ? x[128 + i] : 0;
  }
}

#define DEC_FIRST_F16 DEC_FIRST_F32
#define DEC_NEXT_F16 128
DEVICE void dec_open_F16(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint16_t *x = (const uint16_t *)row + at + 4 * lane;
  if (whole) {
    const dec_words a = *(const dec_words *)x, b = *(const dec_words *)(x + 128);
    w[0] = dec_half(a.x), w[1] = dec_half(a.x >> 16), w[2] = dec_half(a.y), w[3] = dec_half(a.y >> 16);
    w[4] = dec_half(b.x), w[5] = dec_half(b.x >> 16), w[6] = dec_half(b.y), w[7] = dec_half(b.y >> 16);
    return;
  }
  const int64_t left = k - at - 4 * lane;
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    w[i] = i < left ? dec_half(x[i]) : 0;
    w[4 + i] = 128 + i < left ? dec_half(x[128 + i]) : 0;
  }
}

#define DEC_FIRST_BF16 DEC_FIRST_F32
#define DEC_NEXT_BF16 128
DEVICE void dec_open_BF16(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint16_t *x = (const uint16_t *)row + at + 4 * lane;
  if (whole) {
    const dec_words a = *(const dec_words *)x, b = *(const dec_words *)(x + 128);
    w[0] = __uint_as_float(a.x << 16), w[1] = __uint_as_float(a.x & 0xffff0000u);
    w[2] = __uint_as_float(a.y << 16), w[3] = __uint_as_float(a.y & 0xffff0000u);
    w[4] = __uint_as_float(b.x << 16), w[5] = __uint_as_float(b.x & 0xffff0000u);
    w[6] = __uint_as_float(b.y << 16), w[7] = __uint_as_float(b.y & 0xffff0000u);
    return;
  }
  const int64_t left = k - at - 4 * lane;
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    w[i] = i < left ? __uint_as_float((uint32_t)x[i] << 16) : 0;
    w[4 + i] = 128 + i < left ? __uint_as_float((uint32_t)x[128 + i] << 16) : 0;
  }
}

/* Blocks of 34 bytes: d, then 32 bytes. */
#define DEC_FIRST_Q8_0 DEC_FIRST_F32
#define DEC_NEXT_Q8_0 128
DEVICE void dec_open_Q8_0(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint8_t *p = row + (at / 32 + lane / 8) * 34;
  const int byte = 2 + 4 * (lane % 8);
  (void)whole;
  DEC_UNROLL
  for (int part = 0; part < 2; part++, p += 4 * 34) {
    const bool there = at + 128 * part + 4 * lane < k;
    const float d = there ? dec_half(dec_16(p)) : 0;
    const uint32_t q = there ? dec_32(p + byte) : 0;
    DEC_UNROLL
    for (int i = 0; i < 4; i++) w[4 * part + i] = d * (float)dec_signed(q, i);
  }
}

/* Blocks of 18 bytes: d, then 16 pairs of nibbles. */
#define DEC_FIRST_Q4_0 (32 * (lane / 4) + 4 * (lane % 4))
#define DEC_NEXT_Q4_0 16
DEVICE void dec_open_Q4_0(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint8_t *p = row + (at / 32 + lane / 4) * 18;
  const bool there = at + 32 * (lane / 4) < k;
  const float d = there ? dec_half(dec_16(p)) : 0;
  const uint32_t q = there ? dec_32(p + 2 + 4 * (lane % 4)) : 0;
  (void)whole;
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    w[i] = d * (float)((dec_byte(q, i) & 15) - 8);
    w[4 + i] = d * (float)((dec_byte(q, i) >> 4) - 8);
  }
}

/* Blocks of 144 bytes: d, dmin, 12 of scales and minima, 128 of nibbles; 8 groups of 32, of which lane / 8 has two. */
#define DEC_FIRST_Q4_K (64 * (lane / 8) + 4 * (lane % 8))
#define DEC_NEXT_Q4_K 32
DEVICE void dec_open_Q4_K(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint8_t *p = row + at / 256 * 144;
  const float d = dec_half(dec_16(p)), dmin = dec_half(dec_16(p + 2));
  const uint32_t q = *(const uint32_t *)(p + 16 + 4 * lane);
  float d0, d1, low0, low1;
  (void)k, (void)whole;
  dec_scale_min(p + 4, 2 * (lane / 8), d, dmin, &d0, &low0);
  dec_scale_min(p + 4, 2 * (lane / 8) + 1, d, dmin, &d1, &low1);
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    w[i] = fmaf(d0, (float)(dec_byte(q, i) & 15), -low0);
    w[4 + i] = fmaf(d1, (float)(dec_byte(q, i) >> 4), -low1);
  }
}

/* 176 bytes: the same with 32 bytes of fifth bits before the nibbles, bit j of group j. */
#define DEC_FIRST_Q5_K DEC_FIRST_Q4_K
#define DEC_NEXT_Q5_K 32
DEVICE void dec_open_Q5_K(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint8_t *p = row + at / 256 * 176;
  const float d = dec_half(dec_16(p)), dmin = dec_half(dec_16(p + 2));
  const uint32_t q = *(const uint32_t *)(p + 48 + 4 * lane);
  const uint32_t h = *(const uint32_t *)(p + 16 + 4 * (lane % 8)) >> 2 * (lane / 8);
  float d0, d1, low0, low1;
  (void)k, (void)whole;
  dec_scale_min(p + 4, 2 * (lane / 8), d, dmin, &d0, &low0);
  dec_scale_min(p + 4, 2 * (lane / 8) + 1, d, dmin, &d1, &low1);
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    const int high = dec_byte(h, i);
    w[i] = fmaf(d0, (float)((dec_byte(q, i) & 15) | (high & 1) << 4), -low0);
    w[4 + i] = fmaf(d1, (float)(dec_byte(q, i) >> 4 | (high & 2) << 3), -low1);
  }
}

/* 210 bytes: 128 of low nibbles, 64 of pairs of high bits, 16 scales, d; halves of 128 numbers (quant.h). */
#define DEC_FIRST_Q6_K (128 * (lane / 16) + 4 * (lane % 16))
#define DEC_NEXT_Q6_K 64
DEVICE void dec_open_Q6_K(const uint8_t *row, int64_t at, int64_t k, int lane, int whole, float *w)
{
  const uint8_t *p = row + at / 256 * 210;
  const int half = lane / 16, in = 4 * (lane % 16), quarter = in / 32;
  const uint32_t low = dec_32(p + 64 * half + in), high = dec_32(p + 128 + 32 * half + in % 32) >> 2 * quarter;
  const int8_t *s = (const int8_t *)(p + 192) + 8 * half + in / 16;
  const float d = dec_half(dec_16(p + 208)), d0 = d * (float)s[0], d1 = d * (float)s[4];
  (void)k, (void)whole;
  DEC_UNROLL
  for (int i = 0; i < 4; i++) {
    const int l = dec_byte(low, i), h = dec_byte(high, i);
    w[i] = d0 * (float)(((l & 15) | (h & 3) << 4) - 32);
    w[4 + i] = d1 * (float)((l >> 4 | (h & 48)) - 32);
  }
}

/* ---- products ------------------------------------------------------------------------------------- */

/* Sums of all lanes: where a lane has more than one, it gives half of them to the lane m away and keeps the others of
   both, n each; `which` is the first number that it keeps.  What is left alone is added between all lanes.  Loops of
   counts that are known, since arrays are registers only then. */
#define DEC_HALVE(n, m) \
  DEC_UNROLL \
  for (int i = 0; i < n; i++) { \
    const float give = lane & m ? s[i] : s[i + n], keep = lane & m ? s[i + n] : s[i]; \
    s[i] = keep + __shfl_xor_sync(DEC_ALL, give, m); \
  } \
  which += lane & m ? n : 0;
#define DEC_ADD(m) s[0] += __shfl_xor_sync(DEC_ALL, s[0], m);
#define DEC_FOLD_2 DEC_HALVE(1, 16) DEC_ADD(8) DEC_ADD(4) DEC_ADD(2) DEC_ADD(1)
#define DEC_FOLD_8 DEC_HALVE(4, 16) DEC_HALVE(2, 8) DEC_HALVE(1, 4) DEC_ADD(2) DEC_ADD(1)
#define DEC_FOLD_32 DEC_HALVE(16, 16) DEC_HALVE(8, 8) DEC_HALVE(4, 4) DEC_HALVE(2, 2) DEC_HALVE(1, 1)

/* Which matrix, and which of its rows comes first: *j; groups of `each` rows are counted through all of them.  -1:
   none. */
DEVICE int dec_matrix_of(dec_products p, int64_t group, int each, int64_t *j)
{
  int of = -1;
  DEC_UNROLL
  for (int i = 0; i < 3; i++) {
    const int64_t groups = i < p.n ? (p.of[i].rows + each - 1) / each : 0;
    if (of < 0 && group < groups) {
      *j = group * each;
      of = i;
    }
    group -= groups;
  }
  return of;
}

/* A block has DEC_WARPS groups of J rows of weights for `beside` tiles of R rows of the batch; tiles go fastest, since
   blocks that read the same weights should be near one another.  Of x there are as many rows as tiles have, read
   whatever stands there; N is R J. */
#define DEC_PRODUCT(format, R, J, N, threads, blocks) \
  KERNEL __launch_bounds__(threads, blocks) dec_product_##format##_##R(dec_products p) \
  { \
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32; \
    const int tiles = (p.m + R - 1) / R, across = (tiles + p.beside - 1) / p.beside; \
    const int64_t group = (int64_t)(blockIdx.x / (unsigned)across) * DEC_WARPS + warp % DEC_WARPS; \
    const int r0 = ((int)(blockIdx.x % (unsigned)across) * p.beside + warp / DEC_WARPS) * R; \
    int64_t j0 = 0; \
    const int of = dec_matrix_of(p, group, J, &j0); \
    if (of < 0 || r0 >= p.m) return; \
    const dec_matrix y = of == 0 ? p.of[0] : of == 1 ? p.of[1] : p.of[2]; \
    const uint8_t *w[J]; \
    const float *x = (const float *)p.x + r0 * p.ldx + DEC_FIRST_##format; \
    float s[N]; \
    DEC_UNROLL \
    for (int j = 0; j < J; j++) w[j] = (const uint8_t *)y.w + (j0 + j < y.rows ? j0 + j : j0) * p.row; \
    DEC_UNROLL \
    for (int i = 0; i < N; i++) s[i] = 0; \
    for (int64_t at = 0; at < p.k; at += DEC_SPAN) { \
      float v[J][8]; \
      const int whole = p.whole && at + DEC_SPAN <= p.k; \
      DEC_UNROLL \
      for (int j = 0; j < J; j++) dec_open_##format(w[j], at, p.k, lane, whole, v[j]); \
      DEC_UNROLL \
      for (int r = 0; r < R; r++) { \
        const float *from = x + r * p.ldx + at; \
        const dec_four a = *(const dec_four *)from, b = *(const dec_four *)(from + DEC_NEXT_##format); \
        DEC_UNROLL \
        for (int j = 0; j < J; j++) { \
          float t = s[r * J + j]; \
          t = fmaf(v[j][0], a.x, t), t = fmaf(v[j][1], a.y, t); \
          t = fmaf(v[j][2], a.z, t), t = fmaf(v[j][3], a.w, t); \
          t = fmaf(v[j][4], b.x, t), t = fmaf(v[j][5], b.y, t); \
          t = fmaf(v[j][6], b.z, t), t = fmaf(v[j][7], b.w, t); \
          s[r * J + j] = t; \
        } \
      } \
    } \
    int which = 0; \
    DEC_FOLD_##N \
    const int r = r0 + which / J; \
    const int64_t j = j0 + which % J; \
    if (lane % (32 / N) || r >= p.m || j >= y.rows) return; \
    float *to = (float *)y.y + r * y.ldy + j; \
    float start = p.add ? *to : 0; \
    if (y.bias) start += ((const float *)y.bias)[j]; \
    *to = start + s[0]; \
  }
#define DEC_FORMAT(format) \
  DEC_PRODUCT(format, 1, 2, 2, 128, 6) DEC_PRODUCT(format, 4, 2, 8, 128, 4) DEC_PRODUCT(format, 8, 4, 32, 512, 1)
#ifdef DEC_F32
DEC_FORMAT(F32)
#endif
#ifdef DEC_F16
DEC_FORMAT(F16)
#endif
#ifdef DEC_BF16
DEC_FORMAT(BF16)
#endif
#ifdef DEC_Q8_0
DEC_FORMAT(Q8_0)
#endif
#ifdef DEC_Q4_0
DEC_FORMAT(Q4_0)
#endif
#ifdef DEC_Q4_K
DEC_FORMAT(Q4_K)
#endif
#ifdef DEC_Q5_K
DEC_FORMAT(Q5_K)
#endif
#ifdef DEC_Q6_K
DEC_FORMAT(Q6_K)
#endif

/* ---- attention ------------------------------------------------------------------------------------ */

DEVICE uint64_t dec_page(uint64_t place) { return place & ~(uint64_t)15; }
DEVICE int dec_slot(uint64_t place) { return (int)(place & 15); }

/* The places of a span's positions: a block a span. */
KERNEL dec_places(const dec_view *restrict view, int64_t longest, uint64_t *restrict place)
{
  const dec_view v = view[blockIdx.x];
  const int64_t n = (int64_t)(v.to - v.from) * v.seen;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    place[(v.from + i / v.seen) * longest + v.first + i % v.seen] = v.page + (uint64_t)(i % v.seen);
}

/* A block a row: pairs of queries and keys are turned; keys (d, 16) and values (16, d) go to the page. */
KERNEL dec_store(dec_stores p)
{
  const int64_t row = blockIdx.x;
  const uint64_t place = ((const uint64_t *)p.place)[row];
  const int slot = dec_slot(place), half = p.turned / 2, rest = p.d - p.turned, step = (int)blockDim.x;
  float *page = (float *)dec_page(place) + p.where, *q = (float *)p.q + row * p.heads * p.d;
  const float *k = (const float *)p.k + row * p.few * p.d, *v = (const float *)p.v + row * p.few * p.d;
  const float *turn = (const float *)p.turn + row * p.turned;
  for (int i = (int)threadIdx.x; i < p.heads * half; i += step) {
    float *a = q + i / half * p.d + i % half * p.step, *b = a + p.other;
    const float c = turn[2 * (i % half)], s = turn[2 * (i % half) + 1], x = *a, y = *b;
    *a = x * c - y * s;
    *b = x * s + y * c;
  }
  for (int i = (int)threadIdx.x; i < p.few * half; i += step) {
    const int e = i % half * p.step;
    const float *a = k + i / half * p.d + e, *b = a + p.other;
    const float c = turn[2 * (i % half)], s = turn[2 * (i % half) + 1];
    float *to = page + i / half * p.stride + slot;
    to[e * 16] = *a * c - *b * s;
    to[(e + p.other) * 16] = *a * s + *b * c;
  }
  for (int i = (int)threadIdx.x; i < p.few * rest; i += step) {
    const int e = p.turned + i % rest;
    page[i / rest * p.stride + e * 16 + slot] = k[i / rest * p.d + e];
  }
  for (int i = (int)threadIdx.x; i < p.few * p.d; i += step)
    page[i / p.d * p.stride + (16 + slot) * p.d + i % p.d] = v[i];
}

/* A warp a row, a head and a chunk of positions; a block has DEC_DEEP_WARPS rows that follow one another, which mostly
   see the same pages. */
KERNEL __launch_bounds__(32 * DEC_DEEP_WARPS) dec_attend(dec_looks p)
{
  SHARED float weight[DEC_DEEP_WARPS][DEC_CHUNK];
  SHARED uint64_t at[DEC_DEEP_WARPS][DEC_CHUNK];
  const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, head = (int)(blockIdx.x % (unsigned)p.heads);
  const int chunk = (int)(blockIdx.x / (unsigned)p.heads % (unsigned)p.chunks);
  const int64_t r = (int64_t)(blockIdx.x / (unsigned)p.heads / (unsigned)p.chunks) * DEC_DEEP_WARPS + warp;
  if (r >= p.m) return;
  const int64_t row = p.which ? ((const int *)p.which)[r] : r;
  const int left = ((const int *)p.length)[row] - chunk * DEC_CHUNK, n = left < DEC_CHUNK ? left : DEC_CHUNK;
  if (n <= 0) return;
  const int64_t where = p.where + (int64_t)(head / p.group) * 2 * 16 * p.d;
  const float *q = (const float *)p.q + (r * p.heads + head) * p.d;
  const uint64_t *place = (const uint64_t *)p.place + row * p.longest + chunk * DEC_CHUNK;
  const uint64_t a = place[lane < n ? lane : 0], b = place[lane + 32 < n ? lane + 32 : 0];
  const float *ka = (const float *)dec_page(a) + where + dec_slot(a);
  const float *kb = (const float *)dec_page(b) + where + dec_slot(b);
  float sa = 0, sb = 0;
  for (int e = 0; e < p.d; e++) {
    const float x = p.scale * q[e];
    sa = fmaf(x, ka[e * 16], sa);
    sb = fmaf(x, kb[e * 16], sb);
  }
  if (lane >= n) sa = -INFINITY;
  if (lane + 32 >= n) sb = -INFINITY;
  const float most = dec_greatest(sa > sb ? sa : sb), ea = expf(sa - most), eb = expf(sb - most);
  const float sum = dec_sum(ea + eb);
  at[warp][lane] = a, at[warp][lane + 32] = b;
  weight[warp][lane] = ea, weight[warp][lane + 32] = eb;
  __syncwarp();
  float *part = (float *)p.part + ((r * p.heads + head) * p.chunks + chunk) * (p.d + 2);
  if (!lane) part[0] = most, part[1] = sum;
  for (int e = lane; e < p.d; e += 32) {
    float o = 0;
    for (int i = 0; i < n; i++) {
      const float *value = (const float *)dec_page(at[warp][i]) + where + (16 + dec_slot(at[warp][i])) * p.d;
      o = fmaf(weight[warp][i], value[e], o);
    }
    part[2 + e] = o;
  }
}

/* The chunks of a row and a head, a warp. */
KERNEL dec_attend_end(dec_looks p)
{
  const int64_t at = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32, r = at / p.heads;
  const int lane = (int)threadIdx.x % 32, head = (int)(at % p.heads);
  if (r >= p.m) return;
  const int length = ((const int *)p.length)[p.which ? ((const int *)p.which)[r] : r];
  const int chunks = (length + DEC_CHUNK - 1) / DEC_CHUNK, wide = p.d + 2;
  const float *part = (const float *)p.part + at * p.chunks * wide;
  float most = -INFINITY, sum = 0;
  for (int c = 0; c < chunks; c++) most = part[c * wide] > most ? part[c * wide] : most;
  for (int c = 0; c < chunks; c++) sum = fmaf(expf(part[c * wide] - most), part[c * wide + 1], sum);
  for (int e = lane; e < p.d; e += 32) {
    float o = 0;
    for (int c = 0; c < chunks; c++) o = fmaf(expf(part[c * wide] - most), part[c * wide + 2 + e], o);
    ((float *)p.y)[r * p.ldy + head * p.d + e] = o / sum;
  }
}

/* ---- by rows -------------------------------------------------------------------------------------- */

/* The sum of a block of 256 threads, for each of them. */
DEVICE float dec_block_sum(float x, float *part)
{
  float s = 0;
  x = dec_sum(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
  __syncthreads();
  for (int i = 0; i < 8; i++) s += part[i];
  return s;
}

/* A block a row: LayerNorm where it is centred, otherwise RMSNorm (decoder_level.c). */
KERNEL dec_norm(int d, int centred, float eps, int64_t ld, const float *restrict x, const float *restrict gain,
                const float *restrict bias, float *restrict y)
{
  SHARED float part[8];
  const float *from = x + blockIdx.x * ld;
  float sum = 0, square = 0, mean = 0;
  if (centred) {
    for (int e = (int)threadIdx.x; e < d; e += 256) sum += from[e];
    mean = dec_block_sum(sum, part) / (float)d;
  }
  for (int e = (int)threadIdx.x; e < d; e += 256) square = fmaf(from[e] - mean, from[e] - mean, square);
  const float scale = 1 / sqrtf(dec_block_sum(square, part) / (float)d + eps);
  for (int e = (int)threadIdx.x; e < d; e += 256) {
    float c = (from[e] - mean) * scale * gain[e];
    if (bias) c += bias[e];
    y[blockIdx.x * ld + e] = c;
  }
}

/* gate = silu(gate) up (n, f) */
KERNEL dec_swiglu(int64_t n, int f, int64_t ld, const float *restrict up, float *restrict gate)
{
  const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, at = i / f * ld + i % f;
  if (i >= n * f) return;
  const float g = gate[at];
  gate[at] = g / (1 + expf(-g)) * up[at];
}
KERNEL dec_gelu(int64_t n, int f, int64_t ld, float *restrict x)
{
  const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, at = i / f * ld + i % f;
  if (i >= n * f) return;
  const float v = x[at];
  x[at] = v / (1 + expf(-v * fmaf(0.0713548163f * v, v, 1.5957691216f)));
}

/* y (n, f) are rows `which` of x. */
KERNEL dec_gather(int64_t n, int f, int64_t ld, const int *restrict which, const float *restrict x, float *restrict y)
{
  const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n * f) y[i / f * ld + i % f] = x[which[i / f] * ld + i % f];
}

/* A block a row of n numbers: x - log sum exp x. */
KERNEL dec_log_softmax(int n, float *restrict x)
{
  SHARED float top[8];
  SHARED double part[8];
  float *row = x + (int64_t)blockIdx.x * n, most = -INFINITY;
  double sum = 0;
  for (int i = (int)threadIdx.x; i < n; i += 256) most = row[i] > most ? row[i] : most;
  most = dec_greatest(most);
  if (threadIdx.x % 32 == 0) top[threadIdx.x / 32] = most;
  __syncthreads();
  for (int i = 0; i < 8; i++) most = top[i] > most ? top[i] : most;
  for (int i = (int)threadIdx.x; i < n; i += 256) sum += expf(row[i] - most);
  for (int m = 16; m; m >>= 1) sum += __shfl_xor_sync(DEC_ALL, sum, m);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < 8; i++) sum += part[i];
  const float c = (float)(log(sum) + (double)most);
  for (int i = (int)threadIdx.x; i < n; i += 256) row[i] -= c;
}
#endif
