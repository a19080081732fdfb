/* gpu_kernels: the operations of ops.h and the losses of heads for a device, in what C11 and CUDA C++ have in common
   (gpu/gpu.h); gpu_batch.c says in which order.  Products are cuBLASLt's.

   A `num` is what products read: a float, or with NN_BF16 the upper half of one.  The stream x, its
   derivative, weights, their gradients and moments are floats, losses doubles.  Nothing is added by
   atomics: sums over rows go by chunks of NN_ROWS rows whose parts are added in their order, so
   that the same batch gives the same bits.

   What is bound by memory moves 8 numbers a thread at once where rows are multiples of 8.  A warp takes a row in norms,
   softmax and softmax losses.  Attention of bf16 is gpu_attention.h's; else it goes by heads, (b, heads, tp, hd), tp: t
   padded to a multiple of 8 with rows of zeros. */
#ifndef NORN_NN_GPU_KERNELS_H
#define NORN_NN_GPU_KERNELS_H

/* Sums over rows: blocks of 256 threads, 4 for each of 64 columns of 8. */
enum { NN_ROWS = 32, NN_TILE = 64, NN_SIDE = 4, NN_EIGHT = 8 };

#ifdef NN_BF16
typedef uint16_t num;
DEVICE float nn_get(num x) { return __uint_as_float((uint32_t)x << 16); }
DEVICE num nn_put(float x)
{
  uint32_t u = __float_as_uint(x);
  return (num)(x != x ? 0x7fc0u : (u + 0x7fffu + (u >> 16 & 1)) >> 16);
}
/* Two, the first in the lower half. */
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
DEVICE uint32_t nn_put2(float x, float y)
{
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(y), "f"(x));
  return r;
}
#else
DEVICE uint32_t nn_put2(float x, float y) { return nn_put(x) | (uint32_t)nn_put(y) << 16; }
#endif
#else
typedef float num;
DEVICE float nn_get(num x) { return x; }
DEVICE num nn_put(float x) { return x; }
#endif

#define NN_AT ((int64_t)blockIdx.x * blockDim.x + threadIdx.x)
#define NN_WARP (NN_AT / 32)
#define NN_LANE ((int)threadIdx.x % 32)
#define NN_ALL 0xffffffffu

DEVICE float nn_sum(float x)
{
  for (int m = 16; m; m >>= 1) x += __shfl_xor_sync(NN_ALL, x, m);
  return x;
}
DEVICE double nn_sum_wide(double x)
{
  for (int m = 16; m; m >>= 1) x += __shfl_xor_sync(NN_ALL, x, m);
  return x;
}
DEVICE float nn_greatest(float x)
{
  for (int m = 16; m; m >>= 1) {
    const float y = __shfl_xor_sync(NN_ALL, x, m);
    x = y > x ? y : x;
  }
  return x;
}
#ifdef NN_BF16                           /* what bf16 does not tell apart */
DEVICE float nn_logistic(float x) { return __fdividef(1, 1 + __expf(-x)); }
#else
DEVICE float nn_logistic(float x) { return 1 / (1 + expf(-x)); }
#endif

/* ---- eight numbers at once ---------------------------------------------------------------------- */

#ifdef __CUDACC_RTC__
typedef uint4 nn_four;                   /* 16 bytes, by one instruction */
#else
typedef struct nn_four { uint32_t x, y, z, w; } nn_four;
#endif
#define NN_LINED __attribute__((aligned(16)))
typedef struct nn_eight { float x[8]; } nn_eight;

/* Numbers e .. e + 7 of a row of n; of an n that is no multiple of 8 one by one, 0 behind the end. */
DEVICE nn_eight nn_floats(const float *row, int e, int n)
{
  nn_eight v;
  if (n % 8) {
    for (int k = 0; k < 8; k++) v.x[k] = e + k < n ? row[e + k] : 0;
    return v;
  }
  const nn_four a = *(const nn_four *)(row + e), b = *(const nn_four *)(row + e + 4);
  v.x[0] = __uint_as_float(a.x);
  v.x[1] = __uint_as_float(a.y);
  v.x[2] = __uint_as_float(a.z);
  v.x[3] = __uint_as_float(a.w);
  v.x[4] = __uint_as_float(b.x);
  v.x[5] = __uint_as_float(b.y);
  v.x[6] = __uint_as_float(b.z);
  v.x[7] = __uint_as_float(b.w);
  return v;
}
DEVICE void nn_floats_to(float *row, int e, int n, nn_eight v)
{
  nn_four a, b;
  if (n % 8) {
    for (int k = 0; k < 8 && e + k < n; k++) row[e + k] = v.x[k];
    return;
  }
  a.x = __float_as_uint(v.x[0]);
  a.y = __float_as_uint(v.x[1]);
  a.z = __float_as_uint(v.x[2]);
  a.w = __float_as_uint(v.x[3]);
  b.x = __float_as_uint(v.x[4]);
  b.y = __float_as_uint(v.x[5]);
  b.z = __float_as_uint(v.x[6]);
  b.w = __float_as_uint(v.x[7]);
  *(nn_four *)(row + e) = a;
  *(nn_four *)(row + e + 4) = b;
}
#ifdef NN_BF16
DEVICE nn_eight nn_nums(const num *row, int e, int n)
{
  nn_eight v;
  if (n % 8) {
    for (int k = 0; k < 8; k++) v.x[k] = e + k < n ? nn_get(row[e + k]) : 0;
    return v;
  }
  const nn_four a = *(const nn_four *)(row + e);
  v.x[0] = __uint_as_float(a.x << 16);
  v.x[1] = __uint_as_float(a.x & 0xffff0000u);
  v.x[2] = __uint_as_float(a.y << 16);
  v.x[3] = __uint_as_float(a.y & 0xffff0000u);
  v.x[4] = __uint_as_float(a.z << 16);
  v.x[5] = __uint_as_float(a.z & 0xffff0000u);
  v.x[6] = __uint_as_float(a.w << 16);
  v.x[7] = __uint_as_float(a.w & 0xffff0000u);
  return v;
}
DEVICE void nn_nums_to(num *row, int e, int n, nn_eight v)
{
  nn_four a;
  if (n % 8) {
    for (int k = 0; k < 8 && e + k < n; k++) row[e + k] = nn_put(v.x[k]);
    return;
  }
  a.x = nn_put2(v.x[0], v.x[1]);
  a.y = nn_put2(v.x[2], v.x[3]);
  a.z = nn_put2(v.x[4], v.x[5]);
  a.w = nn_put2(v.x[6], v.x[7]);
  *(nn_four *)(row + e) = a;
}
#else
DEVICE nn_eight nn_nums(const num *row, int e, int n) { return nn_floats(row, e, n); }
DEVICE void nn_nums_to(num *row, int e, int n, nn_eight v) { nn_floats_to(row, e, n, v); }
#endif
/* As a num has it. */
DEVICE float nn_round(float x) { return nn_get(nn_put(x)); }
/* The place of the thread among groups of eight of rows of n: a row, and where in it. */
#define NN_GROUPS(n) (((n) + 7) / 8)

/* The sums of a block's four threads for the same columns, e .. e + 7 of o, to part. */
DEVICE void nn_columns_part(nn_eight v, int e, int o, float *restrict part)
{
  SHARED float sum[NN_SIDE][8][NN_TILE];
  const int side = (int)threadIdx.x / NN_TILE, c = (int)threadIdx.x % NN_TILE;
  __syncthreads();
  for (int k = 0; k < 8; k++) sum[side][k][c] = v.x[k];
  __syncthreads();
  if (side || e >= o) return;
  for (int k = 0; k < 8; k++)
    for (int s = 1; s < NN_SIDE; s++) v.x[k] += sum[s][k][c];
  nn_floats_to(part, e, o, v);
}
DEVICE nn_eight nn_nothing(void)
{
  nn_eight v;
#pragma unroll
  for (int k = 0; k < 8; k++) v.x[k] = 0;
  return v;
}

/* ---- tokens ------------------------------------------------------------------------------------- */

KERNEL nn_embed(int64_t n, int j, int d, const int32_t *restrict row, const float *restrict coef,
                const float *restrict table, float *restrict x)
{
  const int64_t at = NN_AT, i = at / NN_GROUPS(d);
  const int e = (int)(at % NN_GROUPS(d)) * 8;
  if (i >= n) return;
  nn_eight s = nn_nothing();
  for (int r = 0; r < j; r++) {
    const int32_t k = row[i * j + r];
    if (k < 0) continue;
    const float c = coef[i * j + r];
    const nn_eight v = nn_floats(table + (int64_t)k * d, e, d);
#pragma unroll
    for (int q = 0; q < 8; q++) s.x[q] += c * v.x[q];
  }
  nn_floats_to(x + i * d, e, d, s);
}

/* A block of 256 threads a chunk of entries (a token and its coefficient) of one row of the table: their sum. */
KERNEL nn_embed_part(int d, const int32_t *restrict start, const int32_t *restrict token, const float *restrict coef,
                     const float *restrict dx, float *restrict part)
{
  const int64_t c = blockIdx.x;
  const int side = (int)threadIdx.x / NN_TILE, from = start[c] + side, end = start[c + 1];
  for (int tile = 0; tile < d; tile += 8 * NN_TILE) {
    const int e = tile + 8 * ((int)threadIdx.x % NN_TILE);
    nn_eight s = nn_nothing();
#pragma unroll 4
    for (int k = from; k < end && e < d; k += NN_SIDE) {
      const nn_eight v = nn_floats(dx + (int64_t)token[k] * d, e, d);
#pragma unroll
      for (int q = 0; q < 8; q++) s.x[q] += coef[k] * v.x[q];
    }
    nn_columns_part(s, e, d, part + c * d);
  }
}
KERNEL nn_embed_end(int64_t rows, int d, const int32_t *restrict first, const float *restrict part,
                    float *restrict dtable)
{
  const int64_t at = NN_AT, r = at / d;
  const int e = (int)(at % d);
  if (r >= rows) return;
  float s = 0;
  for (int32_t c = first[r]; c < first[r + 1]; c++) s += part[(int64_t)c * d + e];
  dtable[at] = s;
}

/* The stream behind the last block at questions; at -1: a row of zeros. */
KERNEL nn_rows(int64_t nq, int d, const int32_t *restrict where, const float *restrict x, const num *restrict t,
               const float *restrict bias, float *restrict y)
{
  const int64_t at = NN_AT, q = at / NN_GROUPS(d);
  const int e = (int)(at % NN_GROUPS(d)) * 8;
  if (q >= nq) return;
  const int64_t i = where[q];
  nn_eight s = nn_nothing();
  if (i >= 0) {
    const nn_eight a = nn_floats(x + i * d, e, d), b = nn_nums(t + i * d, e, d), c = nn_floats(bias, e, d);
#pragma unroll
    for (int k = 0; k < 8; k++) s.x[k] = a.x[k] + b.x[k] + c.x[k];
  }
  nn_floats_to(y + q * d, e, d, s);
}
/* And back: token i was asked list[first[i] .. first[i + 1] - 1]. */
KERNEL nn_rows_back(int64_t n, int d, const int32_t *restrict first, const int32_t *restrict list,
                    const float *restrict dxq, float *restrict dx, num *restrict dxn)
{
  const int64_t at = NN_AT, i = at / NN_GROUPS(d);
  const int e = (int)(at % NN_GROUPS(d)) * 8;
  if (i >= n) return;
  nn_eight s = nn_nothing();
  for (int32_t k = first[i]; k < first[i + 1]; k++) {
    const nn_eight v = nn_floats(dxq + (int64_t)list[k] * d, e, d);
#pragma unroll
    for (int q = 0; q < 8; q++) s.x[q] += v.x[q];
  }
  nn_floats_to(dx + i * d, e, d, s);
  nn_nums_to(dxn + i * d, e, d, s);
}

/* ---- layer norm --------------------------------------------------------------------------------- */

enum { NN_KEPT = 4 };                    /* groups of eight of a row that a lane has in registers: rows to 1,024 */

/* A lane's eight numbers of x1 = x + t + tbias (written there), or of x. */
DEVICE nn_eight nn_stream_at(int e, int d, const float *x, const num *restrict t, const float *restrict tbias, float *x1)
{
  nn_eight v = nn_floats(x, e, d);
  if (!t) return v;
  const nn_eight add = nn_nums(t, e, d), bias = nn_floats(tbias, e, d);
#pragma unroll
  for (int k = 0; k < 8; k++) v.x[k] += add.x[k] + bias.x[k];
  nn_floats_to(x1, e, d, v);
  return v;
}
DEVICE float nn_sum_eight(nn_eight v)
{
  return ((v.x[0] + v.x[1]) + (v.x[2] + v.x[3])) + ((v.x[4] + v.x[5]) + (v.x[6] + v.x[7]));
}
/* Squares of what is less than n. */
DEVICE float nn_squares_eight(nn_eight v, float mean, int e, int n)
{
  float s = 0;
#pragma unroll
  for (int k = 0; k < 8; k++) s += e + k < n ? (v.x[k] - mean) * (v.x[k] - mean) : 0;
  return s;
}
DEVICE void nn_norm_to(num *y, nn_eight v, float mean, float r, const float *restrict gain, const float *restrict bias,
                       int e, int d)
{
  const nn_eight g = nn_floats(gain, e, d), b = nn_floats(bias, e, d);
#pragma unroll
  for (int k = 0; k < 8; k++) v.x[k] = (v.x[k] - mean) * r * g.x[k] + b.x[k];
  nn_nums_to(y, e, d, v);
}

/* With t: x1 = x + t + tbias first; else x1 is x.  y = LN(x1) gain + bias; stat (n, 2): mean, 1 / sd. */
KERNEL nn_norm(int64_t n, int d, const float *x, const num *restrict t, const float *restrict tbias, float *x1,
               const float *restrict gain, const float *restrict bias, num *restrict y, float *restrict stat)
{
  const int64_t i = NN_WARP;
  const int first = 8 * NN_LANE, behind = 256 * NN_KEPT;
  nn_eight v[NN_KEPT];
  float sum = 0, square = 0;
  if (i >= n) return;
  const num *add = t ? t + i * d : NULL;
  float *to = t ? x1 + i * d : NULL;
  const float *from = t ? to : x + i * d;
#pragma unroll
  for (int c = 0; c < NN_KEPT; c++)
    if (first + 256 * c < d) sum += nn_sum_eight(v[c] = nn_stream_at(first + 256 * c, d, x + i * d, add, tbias, to));
  for (int e = first + behind; e < d; e += 256) sum += nn_sum_eight(nn_stream_at(e, d, x + i * d, add, tbias, to));
  const float mean = nn_sum(sum) / (float)d;
#pragma unroll
  for (int c = 0; c < NN_KEPT; c++)
    if (first + 256 * c < d) square += nn_squares_eight(v[c], mean, first + 256 * c, d);
  for (int e = first + behind; e < d; e += 256) square += nn_squares_eight(nn_floats(from, e, d), mean, e, d);
  const float r = 1 / sqrtf(nn_sum(square) / (float)d + 1e-5f);
#pragma unroll
  for (int c = 0; c < NN_KEPT; c++)
    if (first + 256 * c < d) nn_norm_to(y + i * d, v[c], mean, r, gain, bias, first + 256 * c, d);
  for (int e = first + behind; e < d; e += 256) nn_norm_to(y + i * d, nn_floats(from, e, d), mean, r, gain, bias, e, d);
  if (NN_LANE) return;
  stat[2 * i] = mean;
  stat[2 * i + 1] = r;
}

/* ---- sums over rows ----------------------------------------------------------------------------- */

/* Parts (chunks, o) of the sums of dy's columns: a block sums NN_ROWS rows of 512 columns. */
KERNEL nn_columns(int64_t n, int o, const num *restrict dy, float *restrict part)
{
  const int tiles = (o + 8 * NN_TILE - 1) / (8 * NN_TILE), side = (int)threadIdx.x / NN_TILE;
  const int64_t chunk = blockIdx.x / (unsigned)tiles, from = chunk * NN_ROWS;
  const int64_t end = from + NN_ROWS < n ? from + NN_ROWS : n;
  const int e = 8 * ((int)(blockIdx.x % (unsigned)tiles) * NN_TILE + (int)threadIdx.x % NN_TILE);
  nn_eight s = nn_nothing();
#pragma unroll 4
  for (int64_t i = from + side; i < end && e < o; i += NN_SIDE) {
    const nn_eight g = nn_nums(dy + i * o, e, o);
#pragma unroll
    for (int k = 0; k < 8; k++) s.x[k] += g.x[k];
  }
  nn_columns_part(s, e, o, part + chunk * o);
}
/* The parts' sums (chunks, wide), in the order of chunks: column k to out[k / o], if it is there.  A block of 1,024
   threads has 32 columns, and 32 threads each of them. */
KERNEL nn_columns_end(int64_t chunks, int wide, int o, const float *restrict part, float *restrict out0,
                      float *restrict out1, float *restrict out2)
{
  SHARED float sum[32][33];
  const int lane = (int)threadIdx.x % 32, side = (int)threadIdx.x / 32, c = (int)blockIdx.x * 32 + lane;
  const int64_t each = (chunks + 31) / 32, end = (side + 1) * each < chunks ? (side + 1) * each : chunks;
  float s = 0;
#pragma unroll 8
  for (int64_t k = side * each; k < end; k++) s += c < wide ? part[k * wide + c] : 0;
  sum[side][lane] = s;
  __syncthreads();
  if (side || c >= wide) return;
  for (int k = 1; k < 32; k++) s += sum[k][lane];
  float *out = c / o == 0 ? out0 : c / o == 1 ? out1 : out2;
  if (out) out[c % o] = s;
}

/* With c = (x - mean) r and e = dy gain: dx += r (e - mean of e - c mean of e c); dxn, if any, is the new dx.  And parts
   (chunks, 3 o) of the sums of columns of dy c, dy and the new dx.  A block has NN_ROWS rows: a warp a row for the means,
   then a thread eight columns of every fourth row. */
KERNEL nn_norm_back(int64_t n, int d, const num *restrict dy, const float *restrict x, const float *restrict stat,
                    const float *restrict gain, float *restrict dx, num *restrict dxn, float *restrict part)
{
  SHARED float as[NN_ROWS], bs[NN_ROWS], means[NN_ROWS], rs[NN_ROWS];
  const int warp = (int)threadIdx.x / 32, side = (int)threadIdx.x / NN_TILE;
  const int64_t from = (int64_t)blockIdx.x * NN_ROWS;
  const int rows = (int)(from + NN_ROWS < n ? NN_ROWS : n - from);
  for (int i = warp; i < rows; i += 8) {
    const int64_t at = from + i;
    const float mean = stat[2 * at], r = stat[2 * at + 1];
    float a = 0, b = 0;
#pragma unroll 2
    for (int e = 8 * NN_LANE; e < d; e += 256) {
      const nn_eight g = nn_nums(dy + at * d, e, d), w = nn_floats(gain, e, d), v = nn_floats(x + at * d, e, d);
#pragma unroll
      for (int k = 0; k < 8; k++) {
        a += g.x[k] * w.x[k];
        b += g.x[k] * w.x[k] * (v.x[k] - mean) * r;
      }
    }
    a = nn_sum(a) / (float)d;
    b = nn_sum(b) / (float)d;
    if (NN_LANE) continue;
    as[i] = a;
    bs[i] = b;
    means[i] = mean;
    rs[i] = r;
  }
  __syncthreads();
  for (int tile = 0; tile < d; tile += 8 * NN_TILE) {
    const int e = tile + 8 * ((int)threadIdx.x % NN_TILE);
    nn_eight up = nn_nothing(), down = up, all = up;
    if (e < d) {
      const nn_eight w = nn_floats(gain, e, d);
#pragma unroll 2
      for (int i = side; i < rows; i += NN_SIDE) {
        const int64_t at = (from + i) * d;
        const nn_eight g = nn_nums(dy + at, e, d), v = nn_floats(x + at, e, d);
        nn_eight s = nn_floats(dx + at, e, d);
#pragma unroll
        for (int k = 0; k < 8; k++) {
          const float c = (v.x[k] - means[i]) * rs[i];
          s.x[k] += rs[i] * (g.x[k] * w.x[k] - as[i] - c * bs[i]);
          up.x[k] += g.x[k] * c;
          down.x[k] += g.x[k];
          all.x[k] += nn_round(s.x[k]);
        }
        nn_floats_to(dx + at, e, d, s);
        if (dxn) nn_nums_to(dxn + at, e, d, s);
      }
    }
    float *to = part + (int64_t)blockIdx.x * 3 * d;
    nn_columns_part(up, e, d, to);
    nn_columns_part(down, e, d, to + d);
    nn_columns_part(all, e, d, to + 2 * d);
  }
}

/* ---- what makes it not linear ------------------------------------------------------------------- */

/* z = 2 c (u + .044715 u^3): gelu(u) is u logistic(z) */
DEVICE float nn_gelu_of(float x) { return x * nn_logistic(x * (0.0713548163f * x * x + 1.5957691216f)); }
/* s + x s (1 - s) dz/dx */
DEVICE float nn_gelu_slope(float x)
{
  const float square = x * x, s = nn_logistic(x * (0.0713548163f * square + 1.5957691216f));
  return s + x * s * (1 - s) * (3 * 0.0713548163f * square + 1.5957691216f);
}
/* u (n, f) gets its bias; g = gelu(u).  A thread has eight. */
KERNEL nn_gelu(int64_t n, int f, num *restrict u, const float *restrict bias, num *restrict g)
{
  const int64_t at = NN_AT, i = at / NN_GROUPS(f);
  const int e = (int)(at % NN_GROUPS(f)) * 8;
  if (i >= n) return;
  nn_eight v = nn_nums(u + i * f, e, f);
  const nn_eight b = nn_floats(bias, e, f);
#pragma unroll
  for (int k = 0; k < 8; k++) v.x[k] = nn_round(v.x[k] + b.x[k]);
  nn_nums_to(u + i * f, e, f, v);
#pragma unroll
  for (int k = 0; k < 8; k++) v.x[k] = nn_gelu_of(v.x[k]);
  nn_nums_to(g + i * f, e, f, v);
}
/* du = dg times gelu's slope at u, in place too; parts (chunks, f) of the sums of du's columns, as nn_columns. */
KERNEL nn_gelu_back(int64_t n, int f, const num *dg, const num *restrict u, num *du, float *restrict part)
{
  const int tiles = (f + 8 * NN_TILE - 1) / (8 * NN_TILE), side = (int)threadIdx.x / NN_TILE;
  const int64_t chunk = blockIdx.x / (unsigned)tiles, from = chunk * NN_ROWS;
  const int64_t end = from + NN_ROWS < n ? from + NN_ROWS : n;
  const int e = 8 * ((int)(blockIdx.x % (unsigned)tiles) * NN_TILE + (int)threadIdx.x % NN_TILE);
  nn_eight s = nn_nothing();
#pragma unroll 2
  for (int64_t i = from + side; i < end && e < f; i += NN_SIDE) {
    nn_eight v = nn_nums(dg + i * f, e, f);
    const nn_eight x = nn_nums(u + i * f, e, f);
#pragma unroll
    for (int k = 0; k < 8; k++) s.x[k] += v.x[k] = nn_round(v.x[k] * nn_gelu_slope(x.x[k]));
    nn_nums_to(du + i * f, e, f, v);
  }
  nn_columns_part(s, e, f, part + chunk * f);
}
/* u (n, 2 f) = a | b gets its bias; g = a logistic(a) b */
KERNEL nn_swiglu(int64_t n, int f, num *restrict u, const float *restrict bias, num *restrict g)
{
  const int64_t at = NN_AT, i = at / f;
  const int e = (int)(at % f);
  if (i >= n) return;
  num *row = u + i * 2 * f;
  const num ha = nn_put(nn_get(row[e]) + bias[e]), hb = nn_put(nn_get(row[f + e]) + bias[f + e]);
  const float a = nn_get(ha);
  row[e] = ha;
  row[f + e] = hb;
  g[at] = nn_put(a * nn_logistic(a) * nn_get(hb));
}
KERNEL nn_swiglu_back(int64_t n, int f, const num *restrict dg, const num *restrict u, num *restrict du)
{
  const int64_t at = NN_AT, i = at / f;
  const int e = (int)(at % f);
  if (i >= n) return;
  const float a = nn_get(u[i * 2 * f + e]), b = nn_get(u[i * 2 * f + f + e]), g = nn_get(dg[at]);
  const float s = nn_logistic(a), as = a * s;
  du[i * 2 * f + e] = nn_put(g * b * (as * (1 - s) + s));
  du[i * 2 * f + f + e] = nn_put(g * as);
}

/* ---- attention ---------------------------------------------------------------------------------- */

/* A number of (b, heads, tp, hd): of which token (-1: padding), and which of its d. */
typedef struct nn_place { int64_t token; int e; } nn_place;
DEVICE nn_place nn_place_of(int64_t at, int t, int tp, int heads, int hd)
{
  const int64_t row = at / hd, block = row / tp;
  const int s = (int)(row % tp), r = (int)(at % hd), h = (int)(block % heads);
  nn_place p;
  p.token = s < t ? block / heads * t + s : -1;
  p.e = h * hd + r;
  return p;
}

/* q, k, v by heads from qkv (n, 3 d), with its bias; all: numbers of each. */
KERNEL nn_split(int64_t all, int t, int tp, int heads, int hd, const num *restrict qkv, const float *restrict bias,
                num *restrict q, num *restrict k, num *restrict v)
{
  const int64_t at = NN_AT;
  const int d = heads * hd;
  if (at >= all) return;
  const nn_place p = nn_place_of(at, t, tp, heads, hd);
  const num *from = qkv + p.token * 3 * d;
  const int e = p.e, real = p.token >= 0;
  q[at] = real ? nn_put(nn_get(from[e]) + bias[e]) : nn_put(0);
  k[at] = real ? nn_put(nn_get(from[d + e]) + bias[d + e]) : nn_put(0);
  v[at] = real ? nn_put(nn_get(from[2 * d + e]) + bias[2 * d + e]) : nn_put(0);
}
/* y (n, d) from x by heads. */
KERNEL nn_merge(int64_t all, int t, int tp, int heads, int hd, const num *restrict x, num *restrict y)
{
  const int64_t at = NN_AT;
  if (at >= all) return;
  const nn_place p = nn_place_of(at, t, tp, heads, hd);
  if (p.token >= 0) y[p.token * heads * hd + p.e] = x[at];
}
/* dqkv (n, 3 d) from dq, dk, dv by heads. */
KERNEL nn_merge_back(int64_t all, int t, int tp, int heads, int hd, const num *restrict dq, const num *restrict dk,
                     const num *restrict dv, num *restrict dqkv)
{
  const int64_t at = NN_AT;
  const int d = heads * hd;
  if (at >= all) return;
  const nn_place p = nn_place_of(at, t, tp, heads, hd);
  if (p.token < 0) return;
  num *to = dqkv + p.token * 3 * d + p.e;
  to[0] = dq[at];
  to[d] = dk[at];
  to[2 * d] = dv[at];
}
/* dy by heads from dy (n, d), and dot (rows) = dy . y of each head's row; a warp a row of hd. */
KERNEL nn_split_back(int64_t rows, int t, int tp, int heads, int hd, const num *restrict dy, const num *restrict y,
                     num *restrict to, float *restrict dot)
{
  const int64_t row = NN_WARP;
  float s = 0;
  if (row >= rows) return;
  for (int r = NN_LANE; r < hd; r += 32) {
    const nn_place p = nn_place_of(row * hd + r, t, tp, heads, hd);
    const int64_t from = p.token * heads * hd + p.e;
    to[row * hd + r] = p.token < 0 ? nn_put(0) : dy[from];
    if (p.token >= 0) s += nn_get(dy[from]) * nn_get(y[from]);
  }
  s = nn_sum(s);
  if (!NN_LANE) dot[row] = s;
}

/* Does query i of a sequence see key k. */
DEVICE int nn_sees(int i, int k, int t, const int16_t *restrict order, const int16_t *restrict see)
{
  return i < t && k < t && (k == i || order[k] < see[i]);
}

/* p = softmax(scale s) of what is seen, in rows of tp; lse: the logarithm of the sum.  order, see: of the first of
   these sequences. */
KERNEL nn_softmax(int64_t rows, int t, int tp, int heads, const int16_t *restrict order, const int16_t *restrict see,
                  float scale, const float *restrict s, num *restrict p, float *restrict lse)
{
  const int64_t row = NN_WARP, first = row / tp / heads * t;
  const int i = (int)(row % tp);
  float top = -FLT_MAX, sum = 0;
  if (row >= rows) return;
  for (int k = NN_LANE; k < tp; k += 32)
    if (nn_sees(i, k, t, order + first, see + first) && s[row * tp + k] > top) top = s[row * tp + k];
  top = nn_greatest(top) * scale;
  for (int k = NN_LANE; k < tp; k += 32)
    if (nn_sees(i, k, t, order + first, see + first)) sum += expf(s[row * tp + k] * scale - top);
  sum = nn_sum(sum);
  const float l = i < t ? top + logf(sum) : 0;
  for (int k = NN_LANE; k < tp; k += 32)
    p[row * tp + k] = nn_sees(i, k, t, order + first, see + first) ? nn_put(expf(s[row * tp + k] * scale - l))
                                                                   : nn_put(0);
  if (!NN_LANE) lse[row] = l;
}
/* p again, and ds = p (dp - dot) scale. */
KERNEL nn_softmax_back(int64_t rows, int t, int tp, int heads, const int16_t *restrict order,
                       const int16_t *restrict see, float scale, const float *restrict s, const float *restrict dp,
                       const float *restrict lse, const float *restrict dot, num *restrict p, num *restrict ds)
{
  const int64_t at = NN_AT, row = at / tp, first = row / tp / heads * t;
  if (row >= rows) return;
  const int seen = nn_sees((int)(row % tp), (int)(at % tp), t, order + first, see + first);
  const float w = seen ? expf(s[at] * scale - lse[row]) : 0;
  p[at] = nn_put(w);
  ds[at] = nn_put(seen ? w * (dp[at] - dot[row]) * scale : 0);
}

/* ---- heads -------------------------------------------------------------------------------------- */

/* Losses of n questions (rows: with padding behind, whose dz is 0) from z (rows, width) + bias; dz: the gradient times
   scale, or NULL.  Columns from `outputs` on are padding. */

/* Softmax of `outputs` logits: categories (border NULL), or bars: border (outputs + 1), tail standard deviations. */
KERNEL nn_loss_soft(int64_t rows, int64_t n, int outputs, int width, const float *restrict z,
                    const float *restrict bias, const float *restrict target,
                    const double *restrict border, double left, double right, float scale,
                    double *restrict loss, num *restrict dz)
{
  const int64_t q = NN_WARP;
  const float *row = z + q * width;
  float top = -FLT_MAX;
  double sum = 0, inside = 0;
  int hit = 0, high = outputs - 1;
  if (q >= rows) return;
  for (int k = NN_LANE; k < outputs; k += 32) top = row[k] + bias[k] > top ? row[k] + bias[k] : top;
  top = nn_greatest(top);
  for (int k = NN_LANE; k < outputs; k += 32) sum += expf(row[k] + bias[k] - top);
  sum = nn_sum_wide(sum);
  if (q < n && border) {                 /* the last piece whose lower border is <= target */
    const double x = target[q];
    while (hit < high) {
      const int mid = hit + (high - hit + 1) / 2;
      if (border[mid] <= x) hit = mid;
      else high = mid - 1;
    }
    if (hit > 0 && hit < outputs - 1) inside = -log(border[hit + 1] - border[hit]);
    else {
      const double s = hit ? right : left, u = (x - border[hit ? outputs - 1 : 1]) / s;
      inside = 0.69314718055994530942 - 0.91893853320467274178 - log(s) - 0.5 * u * u;
    }
  } else if (q < n) {
    const float x = target[q];
    hit = x >= 0 && x < (float)outputs && x == floorf(x) ? (int)x : -1;
  }
  const int live = q < n && hit >= 0;
  if (q < n && !NN_LANE)
    loss[q] = live ? log(sum) + ((double)top - (double)(row[hit] + bias[hit])) - inside : (double)INFINITY;
  for (int k = NN_LANE; dz && k < width; k += 32) {
    const float p = live && k < outputs ? expf(row[k] + bias[k] - top) * (float)(1 / sum) : 0;
    dz[q * width + k] = nn_put((p - (float)(live && k == hit)) * scale);
  }
}

/* One bit by its log odds. */
KERNEL nn_loss_bit(int64_t rows, int64_t n, int width, const float *restrict z, const float *restrict bias,
                   const float *restrict target, float scale, double *restrict loss, num *restrict dz)
{
  const int64_t q = NN_AT;
  if (q >= rows) return;
  for (int k = 0; dz && k < width; k++) dz[q * width + k] = nn_put(0);
  if (q >= n) return;
  const double x = (double)(z[q * width] + bias[0]), y = target[q], e = exp(-fabs(x));
  const int fine = y == 0 || y == 1;
  const double against = (y == 1 ? -x : x), up = (against > 0 ? against : 0) + log1p(e);
  loss[q] = fine ? up : (double)INFINITY;
  if (dz && fine) dz[q * width] = nn_put((float)((x >= 0 ? 1 / (1 + e) : e / (1 + e)) - y) * scale);
}

/* Mixtures (nn/head_mixture.c): a component's logarithm of weight, its parameters and their slopes. */
typedef struct nn_part { double logw, p[2], da, db; } nn_part;
DEVICE double nn_soft(double x, double most, double *slope)
{
  const double r = sqrt(1 + (x / most) * (x / most));
  *slope = 1 / (r * r * r);
  return x / r;
}
DEVICE nn_part nn_part_of(int kind, double at, double scale, int n, int k,
                          const float *z, const float *bias, double all)
{
  const double place = 1.41421356237309504880 * ((2 * k + 1.0) / n - 1);
  const double a = (double)(z[n + k] + bias[n + k]), b = (double)(z[2 * n + k] + bias[2 * n + k]);
  nn_part c;
  c.logw = (double)(z[k] + bias[k]) - all;
  if (!kind) {
    const double s0 = sqrt(1 - (1 - 1 / ((double)n * n)) * 2 / 3);
    c.p[0] = at + scale * (place + a);
    c.p[1] = scale * s0 * exp(nn_soft(b, 12, &c.db));
    c.da = scale;
    c.db *= c.p[1];
  } else {
    const double m0 = fmax(at, 0.1), extra = scale * scale - m0;
    const double phi0 = extra > 0 ? fmin(fmax(m0 * (m0 / extra), 0.05), 1000.0) : 1000;
    const double spread = sqrt(log1p(1 / phi0));
    c.p[0] = m0 * exp(place * spread + nn_soft(a, 20, &c.da));
    c.p[1] = phi0 * exp(nn_soft(b, 10, &c.db));
    c.da *= c.p[0];
    c.db *= c.p[1];
  }
  return c;
}
/* The log density of a component; d: its slopes by the two parameters. */
DEVICE double nn_density(int kind, const nn_part *c, double x, double *d)
{
#ifdef NN_COUNTS
  if (kind) {
    double out[3];
    if (!(x >= 0) || x != floor(x) || x > 1e300) return -HUGE_VAL;
    const double r = neg_binomial_2_partials(NORN_KEEP_ALL, x, c->p[0], c->p[1], out);
    d[0] = out[1];
    d[1] = out[2];
    return r;
  }
#endif
  (void)kind;
  const double t = (x - c->p[0]) / c->p[1];
  d[0] = t / c->p[1];
  d[1] = (t * t - 1) / c->p[1];
  return -0.91893853320467274178 - log(c->p[1]) - 0.5 * t * t;
}
DEVICE float nn_finite(double x) { return x > 1e30 ? 1e30f : x < -1e30 ? -1e30f : (float)x; }

/* kind 0: normals, 1: negative binomials. */
KERNEL nn_loss_mixture(int64_t rows, int64_t n, int kind, int parts, int width, double at, double spread,
                       const float *restrict z, const float *restrict bias, const float *restrict target, float scale,
                       double *restrict loss, num *restrict dz)
{
  const int64_t q = NN_AT;
  const float *row = z + q * width;
  if (q >= rows) return;
  num *to = dz + q * width;
  for (int k = 0; dz && k < width; k++) to[k] = nn_put(0);
  if (q >= n) return;
  double top = -HUGE_VAL, all = 0, logq = -HUGE_VAL, d[2] = {0, 0};
  const double x = target[q];
  for (int k = 0; k < parts; k++) top = fmax(top, (double)(row[k] + bias[k]));
  for (int k = 0; k < parts; k++) all += exp((double)(row[k] + bias[k]) - top);
  all = top + log(all);
  for (int k = 0; k < parts; k++) {
    const nn_part c = nn_part_of(kind, at, spread, parts, k, row, bias, all);
    const double l = c.logw + nn_density(kind, &c, x, d), hi = l > logq ? l : logq, lo = l > logq ? logq : l;
    logq = hi == -HUGE_VAL ? hi : hi + log1p(exp(lo - hi));
  }
  loss[q] = -logq;
  for (int k = 0; dz && logq > -HUGE_VAL && k < parts; k++) {
    const nn_part c = nn_part_of(kind, at, spread, parts, k, row, bias, all);
    const double share = exp(c.logw + nn_density(kind, &c, x, d) - logq);
    to[k] = nn_put(nn_finite(exp(c.logw) - share) * scale);
    to[parts + k] = share > 0 ? nn_put(nn_finite(-share * d[0] * c.da) * scale) : nn_put(0);
    to[2 * parts + k] = share > 0 ? nn_put(nn_finite(-share * d[1] * c.db) * scale) : nn_put(0);
  }
}

/* ---- AdamW -------------------------------------------------------------------------------------- */

enum { NN_SQUARES = 4096 };
/* A block of 256 threads: the sum of squares of NN_SQUARES numbers of n, a multiple of 8. */
KERNEL nn_squares(int64_t n, const float *restrict g, double *restrict part)
{
  SHARED double sum[256];
  const int t = (int)threadIdx.x;
  const int64_t from = (int64_t)blockIdx.x * NN_SQUARES;
  double s = 0;
#pragma unroll
  for (int e = 8 * t; e < NN_SQUARES; e += 8 * 256) {
    if (from + e >= n) break;
    const nn_eight v = nn_floats(g + from, e, NN_SQUARES);
#pragma unroll
    for (int k = 0; k < 8; k++) s += (double)v.x[k] * (double)v.x[k];
  }
  sum[t] = s;
  for (int half = 128; half; half /= 2) {
    __syncthreads();
    if (t < half) sum[t] += sum[t + half];
  }
  if (!t) part[blockIdx.x] = sum[0];
}

/* As nn_adam_numbers_step; shrinks (a byte for each 128 numbers): decay is for these.  wn: the weights as products
   read them, or NULL. */
KERNEL nn_adam(int64_t n, float beta1, float fresh1, float beta2, float fresh2, float eps, float scale, float rate,
               float root, float shrink, const uint8_t *restrict shrinks, const float *restrict g, float *restrict m,
               float *restrict v, float *restrict w, num *restrict wn)
{
  const int64_t i = NN_AT;
  if (i >= n) return;
  const float e = g[i] * scale, p = beta1 * m[i] + fresh1 * e, q = beta2 * v[i] + fresh2 * e * e, x = w[i];
  const float y = x - ((shrinks[i / 128] ? shrink * x : 0) + rate * p / (sqrtf(q) * root + eps));
  m[i] = p;
  v[i] = q;
  w[i] = y;
  if (wn) wn[i] = nn_put(y);
}
KERNEL nn_numbers(int64_t n, const float *restrict w, num *restrict wn)
{
  const int64_t i = NN_AT;
  if (i < n) wn[i] = nn_put(w[i]);
}
#endif
