/* gpu_attention: attention of bf16 numbers without its scores in memory (FlashAttention: Dao et al. 2022, Dao 2023), by the
   matrix units that sm_80 and later have, in what C11 and CUDA C++ have in common (gpu_kernels.h stands before it).

   A block of four warps has a head of a sequence and NN_TILE_ROWS of its rows, 16 a warp; tiles of as many other rows go
   through shared memory.  Tiles of which nothing is seen are left out.  Nothing is added across blocks, so derivatives come
   from two kernels: nn_attend_q, by queries, and nn_attend_kv, by keys; both compute weights again from the logarithms of
   the sums that nn_attend kept.

   NN_HEAD: numbers of a head (the host defines it; at most NN_HEAD_MOST of gpu_in.h); in shared memory they are padded with
   zeros to NN_HP, a multiple of 16, and rows lie NN_STEP apart, so that eight of them have no bank in common. */
#if defined NN_HEAD && defined NN_BF16
enum { NN_TILE_ROWS = 64, NN_HP = (NN_HEAD + 15) / 16 * 16, NN_STEP = NN_HP + 8, NN_CHUNKS = NN_HP / 8,
       NN_FRAGS = NN_HP / 16,
       /* blocks at once on a multiprocessor, for which registers are kept */
       NN_TOGETHER = NN_HP > 64 ? 2 : NN_HP > 32 ? 4 : 3, NN_TOGETHER_KV = NN_HP > 64 ? 1 : 3 };

/* ---- matrix units ------------------------------------------------------------------------------- */

/* Fragments of 16 x 16 (a), 16 x 8 (b) and 16 x 8 (c) as PTX has them for m16n8k16: with g = lane / 4 and t = lane % 4,
   c holds (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1); a the pairs from (g, 2 t), (g + 8, 2 t), (g, 2 t + 8),
   (g + 8, 2 t + 8); b those from (2 t, g), (2 t + 8, g) down. */
typedef struct nn_frag { uint32_t x[4]; } nn_frag;

#ifdef __CUDACC_RTC__
DEVICE void nn_mma(float *c, nn_frag a, uint32_t b0, uint32_t b1)
{
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};" : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
}
/* Four 8 x 8 matrices: lane i has the address of row i % 8 of matrix i / 8; `turned`: transposed. */
DEVICE nn_frag nn_load_frag(const num *at, int turned)
{
  nn_frag f;
  const uint32_t p = (uint32_t)__cvta_generic_to_shared(at);
  if (turned)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3]) : "r"(p) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3]) : "r"(p) : "memory");
  return f;
}
/* 16 bytes to shared memory, without waiting; nn_arrived waits for all but the last `but` that were closed. */
DEVICE void nn_send(num *to, const num *from)
{
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" : : "r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from)
               : "memory");
}
DEVICE void nn_arrived(void) { asm volatile("cp.async.wait_all;" : : : "memory"); }
DEVICE float nn_exp2(float x)
{
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#else
DEVICE float nn_low(uint32_t x) { return nn_get((num)(x & 0xffff)); }
DEVICE float nn_high(uint32_t x) { return nn_get((num)(x >> 16)); }
DEVICE void nn_mma(float *c, nn_frag a, uint32_t b0, uint32_t b1)
{
  typedef struct pair { uint32_t x[2]; } pair;
  const int g = NN_LANE / 4, t = NN_LANE % 4;
  pair mine = {{b0, b1}};
  nn_frag row[4];
  pair column[2][4];
  for (int q = 0; q < 4; q++) row[q] = __shfl_sync(NN_ALL, a, 4 * g + q);
  for (int j = 0; j < 2; j++)
    for (int q = 0; q < 4; q++) column[j][q] = __shfl_sync(NN_ALL, mine, 4 * (2 * t + j) + q);
  for (int r = 0; r < 2; r++)
    for (int j = 0; j < 2; j++) {
      float s = 0;
      for (int half = 0; half < 2; half++)
        for (int q = 0; q < 4; q++)
          s += nn_low(row[q].x[2 * half + r]) * nn_low(column[j][q].x[half]) +
               nn_high(row[q].x[2 * half + r]) * nn_high(column[j][q].x[half]);
      c[2 * r + j] += s;
    }
}
DEVICE nn_frag nn_load_frag(const num *at, int turned)
{
  nn_frag f;
  const int g = NN_LANE / 4, t = NN_LANE % 4;
  for (int m = 0; m < 4; m++) {
    const num *a = __shfl_sync(NN_ALL, at, 8 * m + (turned ? 2 * t : g));
    const num *b = __shfl_sync(NN_ALL, at, 8 * m + (turned ? 2 * t + 1 : g));
    f.x[m] = turned ? (uint32_t)a[g] | (uint32_t)b[g] << 16 : (uint32_t)a[2 * t] | (uint32_t)b[2 * t + 1] << 16;
  }
  return f;
}
DEVICE void nn_send(num *to, const num *from) { memcpy(to, from, 16); }
DEVICE void nn_arrived(void) { }
DEVICE float nn_exp2(float x) { return exp2f(x); }
#endif

/* A 16 x 16 at row, column of a tile, as `a` of nn_mma. */
DEVICE nn_frag nn_frag_a(const num *tile, int row, int column)
{
  return nn_load_frag(tile + (row + NN_LANE % 16) * NN_STEP + column + NN_LANE / 16 * 8, 0);
}
/* As b, of two products side by side: x[0], x[1] and x[2], x[3].  Of (k, n) = tile[n][k]: 16 n from row, 16 k from
   column. */
DEVICE nn_frag nn_frag_b(const num *tile, int row, int column)
{
  return nn_load_frag(tile + (row + NN_LANE % 8 + NN_LANE / 16 * 8) * NN_STEP + column + NN_LANE / 8 % 2 * 8, 0);
}
/* Of (k, n) = tile[k][n]: 16 k from row, 16 n from column. */
DEVICE nn_frag nn_frag_turned(const num *tile, int row, int column)
{
  return nn_load_frag(tile + (row + NN_LANE % 16) * NN_STEP + column + NN_LANE / 16 * 8, 1);
}
/* Sums of 16 x 16, as a of the next product. */
DEVICE nn_frag nn_frag_of(const float *left, const float *right)
{
  nn_frag f;
  f.x[0] = nn_put2(left[0], left[1]);
  f.x[1] = nn_put2(left[2], left[3]);
  f.x[2] = nn_put2(right[0], right[1]);
  f.x[3] = nn_put2(right[2], right[3]);
  return f;
}

/* ---- tiles -------------------------------------------------------------------------------------- */

/* Rows from .. of t, `step` numbers apart in memory, on their way to a tile; zeros behind them. */
DEVICE void nn_tile(num *tile, const num *restrict from, int64_t step, int at, int t)
{
  for (int c = (int)threadIdx.x; c < NN_TILE_ROWS * NN_CHUNKS; c += (int)blockDim.x) {
    const int row = c / NN_CHUNKS, e = c % NN_CHUNKS * 8;
    num *to = tile + row * NN_STEP + e;
    if (at + row < t && e < NN_HEAD) nn_send(to, from + (at + row) * step + e);
    else for (int k = 0; k < 8; k++) to[k] = nn_put(0);
  }
}
/* 16 rows of a warp's sums, times a factor of each half, to its part of a tile and from there to memory. */
DEVICE void nn_tile_out(num *tile, float (*sum)[4], float up, float down, num *to, int64_t step, int at, int t)
{
  const int row = (int)threadIdx.x / 32 * 16, g = NN_LANE / 4, c = NN_LANE % 4 * 2;
#pragma unroll
  for (int k = 0; k < NN_CHUNKS; k++) {
    *(uint32_t *)(tile + (row + g) * NN_STEP + 8 * k + c) = nn_put2(sum[k][0] * up, sum[k][1] * up);
    *(uint32_t *)(tile + (row + g + 8) * NN_STEP + 8 * k + c) = nn_put2(sum[k][2] * down, sum[k][3] * down);
  }
  __syncwarp();
  for (int k = NN_LANE; k < 16 * NN_CHUNKS; k += 32) {
    const int i = row + k / NN_CHUNKS, e = k % NN_CHUNKS * 8;
    if (at + i < t && e < NN_HEAD) *(nn_four *)(to + (at + i) * step + e) = *(const nn_four *)(tile + i * NN_STEP + e);
  }
}

/* What a block is about: its tile of a head of a sequence. */
typedef struct nn_task { int at; int64_t first, row; } nn_task;       /* rows from at; the first token; of lse */
DEVICE nn_task nn_task_of(int t, int heads, int *h)
{
  const int tiles = (t + NN_TILE_ROWS - 1) / NN_TILE_ROWS;
  const int64_t head = blockIdx.x / (unsigned)tiles;
  nn_task k;
  k.at = (int)(blockIdx.x % (unsigned)tiles) * NN_TILE_ROWS;
  k.first = head / heads * t;
  k.row = head * t;
  *h = (int)(head % heads);
  return k;
}
/* Of a tile: order of keys, see of queries; of rows behind the end what nobody sees, and sees nobody. */
DEVICE void nn_who(int16_t *to, const int16_t *restrict from, int at, int t, int16_t none)
{
  for (int k = (int)threadIdx.x; k < NN_TILE_ROWS; k += (int)blockDim.x) to[k] = at + k < t ? from[at + k] : none;
}
/* Does one of these queries see one of these keys, beside itself. */
DEVICE int nn_tile_seen(const int16_t *order, const int16_t *see)
{
  int top = -32768, low = 32767;
  for (int k = NN_LANE; k < NN_TILE_ROWS; k += 32) {
    top = see[k] > top ? see[k] : top;
    low = order[k] < low ? order[k] : low;
  }
  for (int m = 16; m; m >>= 1) {
    const int a = __shfl_xor_sync(NN_ALL, top, m), b = __shfl_xor_sync(NN_ALL, low, m);
    top = a > top ? a : top;
    low = b < low ? b : low;
  }
  return low < top;
}

/* ---- forward ------------------------------------------------------------------------------------ */

#define NN_LOG2E 1.44269504088896f

/* s (16 rows, 64 keys of a warp) = q k', less than most of all where keys are not seen; columns from `keys` on are not
   computed. */
DEVICE void nn_scores(float (*s)[4], const nn_frag *q, const num *k, int keys, const int16_t *order, const int *see,
                      const int *self)
{
#pragma unroll
  for (int n = 0; n < 4; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) s[2 * n][i] = s[2 * n + 1][i] = 0;
    if (16 * n < keys) {
#pragma unroll
      for (int f = 0; f < NN_FRAGS; f++) {
        const nn_frag b = nn_frag_b(k, 16 * n, 16 * f);
        nn_mma(s[2 * n], q[f], b.x[0], b.x[1]);
        nn_mma(s[2 * n + 1], q[f], b.x[2], b.x[3]);
      }
    }
  }
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int column = 8 * n + NN_LANE % 4 * 2 + i % 2;
      if (!(order[column] < see[i / 2] || column == self[i / 2])) s[n][i] = -FLT_MAX;
    }
}

/* o (n, d) = softmax(scale q k') v of what is seen, from qkv (n, 3 d); lse (b, heads, t). */
KERNEL __launch_bounds__(128, NN_TOGETHER) nn_attend(int t, int heads, float scale, const num *restrict qkv,
                                        const int16_t *restrict order, const int16_t *restrict see, num *restrict o,
                                        float *restrict lse)
{
  SHARED num a[NN_TILE_ROWS * NN_STEP] NN_LINED, b[NN_TILE_ROWS * NN_STEP] NN_LINED;
  SHARED int16_t key[NN_TILE_ROWS], query[NN_TILE_ROWS];
  int h;
  const nn_task task = nn_task_of(t, heads, &h);
  const int64_t d = (int64_t)heads * NN_HEAD, step = 3 * d;
  const num *from = qkv + task.first * step + h * NN_HEAD;
  const int row = (int)threadIdx.x / 32 * 16, g = NN_LANE / 4, live = task.at + row < t;
  const float by = scale * NN_LOG2E;
  nn_frag q[NN_FRAGS];
  float sum[NN_CHUNKS][4], top[2] = {-FLT_MAX, -FLT_MAX}, all[2] = {0, 0}, s[8][4];
  nn_tile(b, from, step, task.at, t);
  nn_who(query, see + task.first, task.at, t, -32768);
  nn_arrived();
  __syncthreads();
  const int sees[2] = {query[row + g], query[row + g + 8]};
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) q[f] = nn_frag_a(b, row, 16 * f);
#pragma unroll
  for (int k = 0; k < NN_CHUNKS; k++)
#pragma unroll
    for (int i = 0; i < 4; i++) sum[k][i] = 0;
  for (int at = 0; at < t; at += NN_TILE_ROWS) {
    __syncthreads();                                        /* all have read what was there */
    nn_who(key, order + task.first, at, t, 32767);
    __syncthreads();
    if (at != task.at && !nn_tile_seen(key, query)) continue;
    nn_tile(a, from + d, step, at, t);
    nn_tile(b, from + 2 * d, step, at, t);
    nn_arrived();
    __syncthreads();
    if (!live) continue;
    const int self[2] = {task.at + row + g - at, task.at + row + g + 8 - at}, keys = t - at;
    nn_scores(s, q, a, keys, key, sees, self);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = top[r], part = 0;
#pragma unroll
      for (int n = 0; n < 8; n++) most = fmaxf(most, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
      most = fmaxf(most, __shfl_xor_sync(NN_ALL, most, 1));
      most = fmaxf(most, __shfl_xor_sync(NN_ALL, most, 2));
      const float shift = most == -FLT_MAX ? 0 : most * by, less = nn_exp2(top[r] * by - shift);
      top[r] = most;
#pragma unroll
      for (int n = 0; n < 8; n++)
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; i++) part += s[n][i] = nn_exp2(s[n][i] * by - shift);
      all[r] = all[r] * less + part;
#pragma unroll
      for (int k = 0; k < NN_CHUNKS; k++) {
        sum[k][2 * r] *= less;
        sum[k][2 * r + 1] *= less;
      }
    }
#pragma unroll
    for (int n = 0; n < 4; n++) {
      if (16 * n >= keys) continue;
      const nn_frag p = nn_frag_of(s[2 * n], s[2 * n + 1]);
#pragma unroll
      for (int f = 0; f < NN_FRAGS; f++) {
        const nn_frag v = nn_frag_turned(b, 16 * n, 16 * f);
        nn_mma(sum[2 * f], p, v.x[0], v.x[1]);
        nn_mma(sum[2 * f + 1], p, v.x[2], v.x[3]);
      }
    }
  }
  __syncthreads();
  if (!live) return;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    all[r] += __shfl_xor_sync(NN_ALL, all[r], 1);
    all[r] += __shfl_xor_sync(NN_ALL, all[r], 2);
    const int i = task.at + row + g + 8 * r;
    if (NN_LANE % 4 == 0 && i < t) lse[task.row + i] = top[r] * scale + logf(all[r]);
  }
  nn_tile_out(a, sum, 1 / all[0], 1 / all[1], o + task.first * d + h * NN_HEAD, d, task.at, t);
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* Two products of 16 rows with 16 rows of two tiles: s = x a', dp = y b'. */
DEVICE void nn_both(float (*s)[4], float (*dp)[4], const nn_frag *x, const nn_frag *y, const num *a, const num *b, int row)
{
#pragma unroll
  for (int i = 0; i < 4; i++) s[0][i] = s[1][i] = dp[0][i] = dp[1][i] = 0;
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) {
    const nn_frag p = nn_frag_b(a, row, 16 * f), q = nn_frag_b(b, row, 16 * f);
    nn_mma(s[0], x[f], p.x[0], p.x[1]);
    nn_mma(s[1], x[f], p.x[2], p.x[3]);
    nn_mma(dp[0], y[f], q.x[0], q.x[1]);
    nn_mma(dp[1], y[f], q.x[2], q.x[3]);
  }
}
/* sum (16 rows, hd) += p (16 rows, 16) times 16 rows of a tile. */
DEVICE void nn_onto(float (*sum)[4], nn_frag p, const num *tile, int row)
{
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) {
    const nn_frag v = nn_frag_turned(tile, row, 16 * f);
    nn_mma(sum[2 * f], p, v.x[0], v.x[1]);
    nn_mma(sum[2 * f + 1], p, v.x[2], v.x[3]);
  }
}

/* dq into dqkv (n, 3 d) from dy, the derivative in y = o (n, d); dot (b, heads, t): dy . y of each row. */
KERNEL __launch_bounds__(128, NN_TOGETHER) nn_attend_q(int t, int heads, float scale, const num *restrict qkv,
                                          const int16_t *restrict order, const int16_t *restrict see,
                                          const num *restrict dy, const num *restrict y, const float *restrict lse,
                                          float *restrict dot, num *restrict dqkv)
{
  SHARED num a[NN_TILE_ROWS * NN_STEP] NN_LINED, b[NN_TILE_ROWS * NN_STEP] NN_LINED;
  SHARED int16_t key[NN_TILE_ROWS], query[NN_TILE_ROWS];
  SHARED float dots[NN_TILE_ROWS];
  int h;
  const nn_task task = nn_task_of(t, heads, &h);
  const int64_t d = (int64_t)heads * NN_HEAD, step = 3 * d;
  const num *from = qkv + task.first * step + h * NN_HEAD;
  const int row = (int)threadIdx.x / 32 * 16, g = NN_LANE / 4, live = task.at + row < t;
  const float by = scale * NN_LOG2E;
  nn_frag q[NN_FRAGS], back[NN_FRAGS];
  float sum[NN_CHUNKS][4];
  nn_tile(a, dy + task.first * d + h * NN_HEAD, d, task.at, t);
  nn_tile(b, y + task.first * d + h * NN_HEAD, d, task.at, t);
  nn_who(query, see + task.first, task.at, t, -32768);
  nn_arrived();
  __syncthreads();
  {                                                         /* two threads a row */
    const int i = (int)threadIdx.x / 2, side = (int)threadIdx.x % 2 * (NN_HP / 2);
    float s = 0;
    for (int e = side; e < side + NN_HP / 2; e++) s += nn_get(a[i * NN_STEP + e]) * nn_get(b[i * NN_STEP + e]);
    s += __shfl_xor_sync(NN_ALL, s, 1);
    if (threadIdx.x % 2 == 0) {
      dots[i] = s;
      if (task.at + i < t) dot[task.row + task.at + i] = s;
    }
  }
  __syncthreads();
  nn_tile(b, from, step, task.at, t);
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) back[f] = nn_frag_a(a, row, 16 * f);
  nn_arrived();
  __syncthreads();
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) q[f] = nn_frag_a(b, row, 16 * f);
#pragma unroll
  for (int k = 0; k < NN_CHUNKS; k++)
#pragma unroll
    for (int i = 0; i < 4; i++) sum[k][i] = 0;
  const int up = task.at + row + g, down = up + 8;
  const int sees[2] = {query[row + g], query[row + g + 8]};
  const float less[2] = {up < t ? lse[task.row + up] * NN_LOG2E : 0, down < t ? lse[task.row + down] * NN_LOG2E : 0};
  const float mean[2] = {dots[row + g], dots[row + g + 8]};
  for (int at = 0; at < t; at += NN_TILE_ROWS) {
    __syncthreads();
    nn_who(key, order + task.first, at, t, 32767);
    __syncthreads();
    if (at != task.at && !nn_tile_seen(key, query)) continue;
    nn_tile(a, from + d, step, at, t);
    nn_tile(b, from + 2 * d, step, at, t);
    nn_arrived();
    __syncthreads();
    for (int n = 0; live && n < NN_TILE_ROWS && at + n < t; n += 16) {
      float s[2][4], dp[2][4];
      nn_both(s, dp, q, back, a, b, n);
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int column = n + 8 * half + NN_LANE % 4 * 2 + i % 2, r = i / 2;
          const int is = at + column < t && (key[column] < sees[r] || at + column == up + 8 * r);
          s[half][i] = is ? nn_exp2(s[half][i] * by - less[r]) * (dp[half][i] - mean[r]) * scale : 0;
        }
      nn_onto(sum, nn_frag_of(s[0], s[1]), a, n);
    }
  }
  __syncthreads();
  if (live) nn_tile_out(a, sum, 1, 1, dqkv + task.first * step + h * NN_HEAD, step, task.at, t);
}

/* dk and dv into dqkv; after nn_attend_q, whose dot it reads. */
KERNEL __launch_bounds__(128, NN_TOGETHER_KV) nn_attend_kv(int t, int heads, float scale, const num *restrict qkv,
                                           const int16_t *restrict order, const int16_t *restrict see,
                                           const num *restrict dy, const float *restrict lse, const float *restrict dot,
                                           num *restrict dqkv)
{
  SHARED num a[NN_TILE_ROWS * NN_STEP] NN_LINED, b[NN_TILE_ROWS * NN_STEP] NN_LINED;
  SHARED int16_t key[NN_TILE_ROWS], query[NN_TILE_ROWS];
  SHARED float dots[NN_TILE_ROWS], logs[NN_TILE_ROWS];
  int h;
  const nn_task task = nn_task_of(t, heads, &h);
  const int64_t d = (int64_t)heads * NN_HEAD, step = 3 * d;
  const num *from = qkv + task.first * step + h * NN_HEAD, *back = dy + task.first * d + h * NN_HEAD;
  const int row = (int)threadIdx.x / 32 * 16, g = NN_LANE / 4, live = task.at + row < t;
  const float by = scale * NN_LOG2E;
  nn_frag k[NN_FRAGS], v[NN_FRAGS];
  float dk[NN_CHUNKS][4], dv[NN_CHUNKS][4];
  nn_tile(a, from + d, step, task.at, t);
  nn_tile(b, from + 2 * d, step, task.at, t);
  nn_who(key, order + task.first, task.at, t, 32767);
  nn_arrived();
  __syncthreads();
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) {
    k[f] = nn_frag_a(a, row, 16 * f);
    v[f] = nn_frag_a(b, row, 16 * f);
  }
#pragma unroll
  for (int c = 0; c < NN_CHUNKS; c++)
#pragma unroll
    for (int i = 0; i < 4; i++) dk[c][i] = dv[c][i] = 0;
  const int up = task.at + row + g;
  const int orders[2] = {key[row + g], key[row + g + 8]};
  for (int at = 0; at < t; at += NN_TILE_ROWS) {
    __syncthreads();
    nn_who(query, see + task.first, at, t, -32768);
    for (int i = (int)threadIdx.x; i < NN_TILE_ROWS; i += (int)blockDim.x) {
      dots[i] = at + i < t ? dot[task.row + at + i] : 0;
      logs[i] = at + i < t ? lse[task.row + at + i] * NN_LOG2E : 0;
    }
    __syncthreads();
    if (at != task.at && !nn_tile_seen(key, query)) continue;
    nn_tile(a, from, step, at, t);
    nn_tile(b, back, d, at, t);
    nn_arrived();
    __syncthreads();
    for (int n = 0; live && n < NN_TILE_ROWS && at + n < t; n += 16) {
      float s[2][4], dp[2][4];
      nn_both(s, dp, k, v, a, b, n);
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int column = n + 8 * half + NN_LANE % 4 * 2 + i % 2, r = i / 2;
          const int is = at + column < t && (orders[r] < query[column] || at + column == up + 8 * r);
          const float w = is ? nn_exp2(s[half][i] * by - logs[column]) : 0;
          s[half][i] = w;
          dp[half][i] = w * (dp[half][i] - dots[column]) * scale;
        }
      nn_onto(dv, nn_frag_of(s[0], s[1]), b, n);
      nn_onto(dk, nn_frag_of(dp[0], dp[1]), a, n);
    }
  }
  __syncthreads();
  if (!live) return;
  num *to = dqkv + task.first * step + h * NN_HEAD;
  nn_tile_out(a, dk, 1, 1, to + d, step, task.at, t);
  nn_tile_out(b, dv, 1, 1, to + 2 * d, step, task.at, t);
}
#endif
