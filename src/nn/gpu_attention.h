/* gpu_attention: attention of bf16 numbers without its scores in memory (FlashAttention: Dao et al. 2022, Dao 2023), by the
   matrix units that sm_80 and later have, in what C11 and CUDA C++ have in common (gpu_kernels.h stands before it).

   A block of four warps has a head of a sequence and NN_TILE_ROWS of its rows, 16 a warp; tiles of as many other rows go
   through shared memory, the next on its way while one is worked on.  Tiles of which nothing is seen are left out, and those
   that are seen whole need no look at who sees whom.  Nothing is added across blocks, so derivatives come from two kernels:
   nn_attend_q, by queries, and nn_attend_kv, by keys; both compute weights again from the logarithms (base 2) of the sums
   that nn_attend kept.  Those and the products dy . y lie (b, heads, tp), tp: t padded to a multiple of NN_TILE_ROWS.

   NN_HEAD: numbers of a head (the host defines it; at most NN_HEAD_MOST of gpu_in.h); in shared memory they are padded with
   zeros to NN_HP, a multiple of 16, and rows lie NN_STEP apart, so that eight of them have no bank in common. */
#if defined NN_HEAD && defined NN_BF16
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ < 900
#define NN_OLDER 1
#else
#define NN_OLDER 0
#endif
enum { NN_TILE_ROWS = 64, NN_CREW = 128, NN_HP = (NN_HEAD + 15) / 16 * 16, NN_STEP = NN_HP + 8, NN_CHUNKS = NN_HP / 8,
       NN_FRAGS = NN_HP / 16, NN_TILE_NUMS = NN_TILE_ROWS * NN_STEP,
       NN_STAGES = NN_HP > 64 ? 1 : 2,                      /* pairs of tiles in shared memory (48 KB) */
       /* blocks at once on a multiprocessor, for which registers are kept */
       NN_TOGETHER = NN_HP > 64 ? 2 : 3, NN_TOGETHER_KV = NN_HP > 64 ? 1 : NN_HP > 32 && NN_OLDER ? 2 : 3 };

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
/* 16 bytes to shared memory, without waiting, or zeros; nn_close ends what nn_arrived waits for together, which leaves the
   last that was closed under way, if so told. */
DEVICE void nn_send(void *to, const void *from, int is)
{
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from),
               "r"(is ? 16 : 0) : "memory");
}
DEVICE void nn_close(void) { asm volatile("cp.async.commit_group;" : : : "memory"); }
DEVICE void nn_arrived(int but_last)
{
  if (but_last) asm volatile("cp.async.wait_group 1;" : : : "memory");
  else asm volatile("cp.async.wait_group 0;" : : : "memory");
}
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
DEVICE void nn_send(void *to, const void *from, int is)
{
  if (is) memcpy(to, from, 16);
  else memset(to, 0, 16);
}
DEVICE void nn_close(void) { }
DEVICE void nn_arrived(int but_last) { (void)but_last; }
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
DEVICE void nn_tile(num *tile, const num *restrict from, int step, int at, int t)
{
#pragma unroll
  for (int k = 0; k < NN_CHUNKS / 2; k++) {
    const int c = (int)threadIdx.x + NN_CREW * k, row = c / NN_CHUNKS, e = c % NN_CHUNKS * 8;
    const int is = at + row < t && e < NN_HEAD;
    nn_send(tile + row * NN_STEP + e, from + (is ? (at + row) * step + e : 0), is);
  }
}
/* NN_TILE_ROWS floats, likewise. */
DEVICE void nn_line(float *to, const float *restrict from)
{
  if (threadIdx.x < NN_TILE_ROWS / 4) nn_send(to + 4 * threadIdx.x, from + 4 * threadIdx.x, 1);
}
/* 16 rows of a warp's sums, times a factor of each half, to its part of a tile and from there to memory. */
DEVICE void nn_tile_out(num *tile, float (*sum)[4], float up, float down, num *to, int step, int at, int t)
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
typedef struct nn_task {
  int at, tiles, h;                      /* its first row; tiles of a sequence; the head */
  int64_t first, row;                    /* the sequence's first token; where its logarithms begin */
  const int16_t *marks;                  /* of the sequence's tiles (nn_tiles) */
} nn_task;
DEVICE nn_task nn_task_of(int t, int heads, const int16_t *marks)
{
  nn_task k;
  k.tiles = (t + NN_TILE_ROWS - 1) / NN_TILE_ROWS;
  const int64_t head = blockIdx.x / (unsigned)k.tiles;
  k.at = (int)(blockIdx.x % (unsigned)k.tiles) * NN_TILE_ROWS;
  k.h = (int)(head % heads);
  k.first = head / heads * t;
  k.row = head * k.tiles * NN_TILE_ROWS;
  k.marks = marks + head / heads * k.tiles * 4;
  return k;
}

/* Of n tiles of tokens: the least and the greatest order, the least and the greatest see; rows behind the end count as who
   is not seen, and sees nobody.  A warp a tile. */
KERNEL nn_tiles(int64_t n, int t, const int16_t *restrict order, const int16_t *restrict see, int16_t *restrict marks)
{
  const int64_t i = NN_WARP;
  const int tiles = (t + NN_TILE_ROWS - 1) / NN_TILE_ROWS;
  int m[4] = {32767, -32768, 32767, -32768};
  if (i >= n) return;
  for (int k = NN_LANE; k < NN_TILE_ROWS; k += 32) {
    const int at = (int)(i % tiles) * NN_TILE_ROWS + k, real = at < t;
    const int64_t token = i / tiles * t + at;
    const int o = real ? order[token] : 32767, s = real ? see[token] : -32768;
    m[0] = o < m[0] ? o : m[0];
    m[1] = o > m[1] ? o : m[1];
    m[2] = s < m[2] ? s : m[2];
    m[3] = s > m[3] ? s : m[3];
  }
  for (int by = 16; by; by >>= 1)
    for (int k = 0; k < 4; k++) {
      const int x = __shfl_xor_sync(NN_ALL, m[k], by);
      m[k] = (k % 2 ? x > m[k] : x < m[k]) ? x : m[k];
    }
  if (NN_LANE < 4) marks[4 * i + NN_LANE] = (int16_t)(NN_LANE == 0 ? m[0] : NN_LANE == 1 ? m[1] : NN_LANE == 2 ? m[2] : m[3]);
}

/* The first tile from `at` on with which the task has to do, in *how 1: in part, 2: whole; its own in any case.  keys: the
   others are keys. */
DEVICE int nn_next(const nn_task *k, int at, int t, int keys, int *how)
{
  const int16_t *mine = k->marks + k->at / NN_TILE_ROWS * 4;
  for (; at < t; at += NN_TILE_ROWS) {
    const int16_t *other = k->marks + at / NN_TILE_ROWS * 4, *key = keys ? other : mine, *query = keys ? mine : other;
    *how = key[0] < query[3] ? 1 + (key[1] < query[2]) : at == k->at;
    if (*how) break;
  }
  return at;
}

/* The walk over those others, alike in all kernels: two tiles of each, of x and of y, and where they are wanted its
   numbers of a row, go to shared memory, the next ones' (NN_STAGES 2) while one's are worked on:

       own tiles sent;  nn_walk_start;  own tiles read;  nn_walk_first;
       for (; walk.at < t; nn_walk_go) { nn_walk_come;  work on stage walk.stage of a, b, logs, dots } */
typedef struct nn_walk {
  nn_task task;
  const num *x, *y;                      /* of the sequence and head; rows x_step and y_step apart */
  num *a, *b;                            /* (NN_STAGES, NN_TILE_NUMS) */
  int x_step, y_step, t, keys;
  int lines;                             /* whether there are numbers of rows: lse and dot, of the head */
  const float *lse, *dot;
  float *logs, *dots;                    /* (NN_STAGES, NN_TILE_ROWS) */
  int at, how, stage;                    /* where it is, and as nn_next says */
  int next, then;                        /* likewise of the one after */
} nn_walk;
DEVICE nn_walk nn_walk_of(const nn_task *task, int t, int keys, const num *x, int x_step, const num *y, int y_step, num *a,
                          num *b)
{
  nn_walk w;
  w.task = *task, w.t = t, w.keys = keys;
  w.x = x, w.x_step = x_step, w.y = y, w.y_step = y_step;
  w.a = a, w.b = b;
  w.lse = w.dot = NULL, w.logs = w.dots = NULL;
  w.lines = w.next = w.then = w.stage = 0;
  w.at = nn_next(task, 0, t, keys, &w.how);
  return w;
}
DEVICE void nn_walk_send(const nn_walk *w, int stage, int at)
{
  nn_tile(w->a + stage * NN_TILE_NUMS, w->x, w->x_step, at, w->t);
  nn_tile(w->b + stage * NN_TILE_NUMS, w->y, w->y_step, at, w->t);
  if (!w->lines) return;
  nn_line(w->logs + stage * NN_TILE_ROWS, w->lse + at);
  nn_line(w->dots + stage * NN_TILE_ROWS, w->dot + at);
}
DEVICE void nn_walk_start(const nn_walk *w)
{
  if (NN_STAGES == 2) nn_walk_send(w, 0, w->at);
  nn_close();
  nn_arrived(0);
  __syncthreads();
}
DEVICE void nn_walk_first(const nn_walk *w)
{
  __syncthreads();
  if (NN_STAGES == 2) return;
  nn_walk_send(w, 0, w->at);
  nn_close();
}
DEVICE void nn_walk_come(nn_walk *w)
{
  w->next = nn_next(&w->task, w->at + NN_TILE_ROWS, w->t, w->keys, &w->then);
  if (NN_STAGES == 2) {
    if (w->next < w->t) nn_walk_send(w, 1 - w->stage, w->next);
    nn_close();
  }
  nn_arrived(NN_STAGES == 2);
  __syncthreads();
}
DEVICE void nn_walk_go(nn_walk *w)
{
  __syncthreads();
  if (NN_STAGES == 1 && w->next < w->t) {
    nn_walk_send(w, 0, w->next);
    nn_close();
  }
  w->at = w->next;
  w->how = w->then;
  w->stage = NN_STAGES - 1 - w->stage;
}

/* ---- forward ------------------------------------------------------------------------------------ */

#define NN_LOG2E 1.44269504088896f

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
/* s (16 rows, 64 keys of a warp) = q k'; of keys from `keys` on it is 0. */
DEVICE void nn_scores(float (*s)[4], const nn_frag *q, const num *k, int keys)
{
#pragma unroll
  for (int n = 0; n < 4; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) s[2 * n][i] = s[2 * n + 1][i] = 0;
    if (16 * n >= keys) continue;
#pragma unroll
    for (int f = 0; f < NN_FRAGS; f++) {
      const nn_frag b = nn_frag_b(k, 16 * n, 16 * f);
      nn_mma(s[2 * n], q[f], b.x[0], b.x[1]);
      nn_mma(s[2 * n + 1], q[f], b.x[2], b.x[3]);
    }
  }
}
/* Bits 4 k + i of what is seen: number i of the k-th of `count` sums of 16 x 8, whose columns are keys from `at` on; row:
   the sequence's number of the thread's upper row; sees: of both. */
DEVICE uint32_t nn_seen(int count, int at, int t, const int16_t *restrict order, int row, const int *sees)
{
  uint32_t seen = 0;
#pragma unroll
  for (int k = 0; k < count; k++)
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const int c = at + 8 * k + NN_LANE % 4 * 2 + j, o = c < t ? order[c] : 32767;
      seen |= (uint32_t)((o < sees[0]) | (c == row)) << (4 * k + j);
      seen |= (uint32_t)((o < sees[1]) | (c == row + 8)) << (4 * k + 2 + j);
    }
  return seen;
}

/* o (n, d) = softmax(scale q k') v of what is seen, from qkv (n, 3 d); lse. */
KERNEL __launch_bounds__(128, NN_TOGETHER) nn_attend(int t, int heads, float scale, const num *restrict qkv,
                                                     const int16_t *restrict order, const int16_t *restrict see,
                                                     const int16_t *restrict marks, num *restrict o, float *restrict lse)
{
  SHARED num a[NN_STAGES * NN_TILE_NUMS] NN_LINED, b[NN_STAGES * NN_TILE_NUMS] NN_LINED;
  const nn_task task = nn_task_of(t, heads, marks);
  const int d = heads * NN_HEAD, step = 3 * d;
  const num *from = qkv + task.first * step + task.h * NN_HEAD;
  const int row = (int)threadIdx.x / 32 * 16, mine = task.at + row + NN_LANE / 4, live = task.at + row < t;
  const int sees[2] = {mine < t ? see[task.first + mine] : -32768, mine + 8 < t ? see[task.first + mine + 8] : -32768};
  const float by = scale * NN_LOG2E;
  nn_frag q[NN_FRAGS];
  float sum[NN_CHUNKS][4], top[2] = {-FLT_MAX, -FLT_MAX}, all[2] = {0, 0}, s[8][4];
  nn_walk w = nn_walk_of(&task, t, 1, from + d, step, from + 2 * d, step, a, b);
  num *spare = a + (NN_STAGES - 1) * NN_TILE_NUMS;
  nn_tile(spare, from, step, task.at, t);
  nn_walk_start(&w);
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) q[f] = nn_frag_a(spare, row, 16 * f);
  nn_walk_first(&w);
#pragma unroll
  for (int k = 0; k < NN_CHUNKS; k++)
#pragma unroll
    for (int i = 0; i < 4; i++) sum[k][i] = 0;
  for (; w.at < t; nn_walk_go(&w)) {
    const num *ks = a + w.stage * NN_TILE_NUMS, *vs = b + w.stage * NN_TILE_NUMS;
    nn_walk_come(&w);
    if (live) {
      const int keys = t - w.at;
      nn_scores(s, q, ks, keys);
      if (w.how == 1) {
        const uint32_t seen = nn_seen(8, w.at, t, order + task.first, mine, sees);
#pragma unroll
        for (int n = 0; n < 8; n++)
#pragma unroll
          for (int i = 0; i < 4; i++) s[n][i] = seen >> (4 * n + i) & 1 ? s[n][i] : -FLT_MAX;
      }
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
      for (int n = 0; n < 4; n++)
        if (16 * n < keys) nn_onto(sum, nn_frag_of(s[2 * n], s[2 * n + 1]), vs, 16 * n);
    }
  }
  if (!live) return;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    all[r] += __shfl_xor_sync(NN_ALL, all[r], 1);
    all[r] += __shfl_xor_sync(NN_ALL, all[r], 2);
    if (NN_LANE % 4 == 0 && mine + 8 * r < t) lse[task.row + mine + 8 * r] = top[r] * by + log2f(all[r]);
  }
  nn_tile_out(a, sum, 1 / all[0], 1 / all[1], o + task.first * d + task.h * NN_HEAD, d, task.at, t);
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
/* dq into dqkv (n, 3 d) from dy, the derivative in y = o (n, d); dot: dy . y of each row. */
KERNEL __launch_bounds__(128, NN_TOGETHER) nn_attend_q(int t, int heads, float scale, const num *restrict qkv,
                                                       const int16_t *restrict order, const int16_t *restrict see,
                                                       const int16_t *restrict marks, const num *restrict dy,
                                                       const num *restrict y, const float *restrict lse,
                                                       float *restrict dot, num *restrict dqkv)
{
  SHARED num a[NN_STAGES * NN_TILE_NUMS] NN_LINED, b[NN_STAGES * NN_TILE_NUMS] NN_LINED;
  SHARED float dots[NN_TILE_ROWS];
  const nn_task task = nn_task_of(t, heads, marks);
  const int d = heads * NN_HEAD, step = 3 * d;             /* t 3 d < 2^31: t is at most 2^15 */
  const int64_t head = task.first * d + task.h * NN_HEAD;
  const num *from = qkv + task.first * step + task.h * NN_HEAD;
  const int row = (int)threadIdx.x / 32 * 16, g = NN_LANE / 4, mine = task.at + row + g, live = task.at + row < t;
  const int sees[2] = {mine < t ? see[task.first + mine] : -32768, mine + 8 < t ? see[task.first + mine + 8] : -32768};
  const float by = scale * NN_LOG2E;
  nn_frag q[NN_FRAGS], back[NN_FRAGS];
  float sum[NN_CHUNKS][4];
  nn_walk w = nn_walk_of(&task, t, 1, from + d, step, from + 2 * d, step, a, b);
  num *spare = a + (NN_STAGES - 1) * NN_TILE_NUMS, *backs = b + (NN_STAGES - 1) * NN_TILE_NUMS;
  nn_tile(spare, from, step, task.at, t);
  nn_tile(backs, dy + head, d, task.at, t);
  nn_walk_start(&w);
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) {
    q[f] = nn_frag_a(spare, row, 16 * f);
    back[f] = nn_frag_a(backs, row, 16 * f);
  }
  {                                                         /* two threads a row */
    const int i = (int)threadIdx.x / 2, side = (int)threadIdx.x % 2 * (NN_HP / 2), real = task.at + i < t;
    float s = 0;
#pragma unroll
    for (int e = side; e < side + NN_HP / 2; e += 8) {
      if (!real || e >= NN_HEAD) continue;
      const nn_eight u = nn_nums(backs + i * NN_STEP, e, 8), v = nn_nums(y + head + (task.at + i) * d, e, 8);
#pragma unroll
      for (int k = 0; k < 8; k++) s += u.x[k] * v.x[k];
    }
    s += __shfl_xor_sync(NN_ALL, s, 1);
    if (threadIdx.x % 2 == 0) {
      dots[i] = s;
      if (real) dot[task.row + task.at + i] = s;
    }
  }
  nn_walk_first(&w);
#pragma unroll
  for (int k = 0; k < NN_CHUNKS; k++)
#pragma unroll
    for (int i = 0; i < 4; i++) sum[k][i] = 0;
  const float less[2] = {mine < t ? lse[task.row + mine] : 0, mine + 8 < t ? lse[task.row + mine + 8] : 0};
  const float mean[2] = {dots[row + g], dots[row + g + 8]};
  for (; w.at < t; nn_walk_go(&w)) {
    const num *ks = a + w.stage * NN_TILE_NUMS, *vs = b + w.stage * NN_TILE_NUMS;
    nn_walk_come(&w);
    const int end = !live ? 0 : t - w.at < NN_TILE_ROWS ? t - w.at : NN_TILE_ROWS;
#pragma unroll 1
    for (int n = 0; n < end; n += 16) {
      float s[2][4], dp[2][4];
      const uint32_t seen = w.how == 2 ? 255u : nn_seen(2, w.at + n, t, order + task.first, mine, sees);
      nn_both(s, dp, q, back, ks, vs, n);
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float x = nn_exp2(s[half][i] * by - less[i / 2]) * (dp[half][i] - mean[i / 2]);
          s[half][i] = seen >> (4 * half + i) & 1 ? x : 0;
        }
      nn_onto(sum, nn_frag_of(s[0], s[1]), ks, n);
    }
  }
  if (live) nn_tile_out(a, sum, scale, scale, dqkv + task.first * step + task.h * NN_HEAD, step, task.at, t);
}

/* Bits as nn_seen's, where rows are keys (order of both) and columns queries. */
DEVICE uint32_t nn_seen_by(int at, int t, const int16_t *restrict see, int row, const int *order)
{
  uint32_t seen = 0;
#pragma unroll
  for (int k = 0; k < 2; k++)
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const int c = at + 8 * k + NN_LANE % 4 * 2 + j, s = c < t ? see[c] : -32768;
      seen |= (uint32_t)((order[0] < s) | ((c == row) & (c < t))) << (4 * k + j);
      seen |= (uint32_t)((order[1] < s) | ((c == row + 8) & (c < t))) << (4 * k + 2 + j);
    }
  return seen;
}

/* dk and dv into dqkv; after nn_attend_q, whose dot it reads. */
KERNEL __launch_bounds__(128, NN_TOGETHER_KV) nn_attend_kv(int t, int heads, float scale, const num *restrict qkv,
                                                           const int16_t *restrict order, const int16_t *restrict see,
                                                           const int16_t *restrict marks, const num *restrict dy,
                                                           const float *restrict lse, const float *restrict dot,
                                                           num *restrict dqkv)
{
  SHARED num a[NN_STAGES * NN_TILE_NUMS] NN_LINED, b[NN_STAGES * NN_TILE_NUMS] NN_LINED;
  SHARED float dots[NN_STAGES * NN_TILE_ROWS] NN_LINED, logs[NN_STAGES * NN_TILE_ROWS] NN_LINED;
  const nn_task task = nn_task_of(t, heads, marks);
  const int d = heads * NN_HEAD, step = 3 * d;
  const num *from = qkv + task.first * step + task.h * NN_HEAD, *back = dy + task.first * d + task.h * NN_HEAD;
  const int row = (int)threadIdx.x / 32 * 16, mine = task.at + row + NN_LANE / 4, live = task.at + row < t;
  const int orders[2] = {mine < t ? order[task.first + mine] : 32767, mine + 8 < t ? order[task.first + mine + 8] : 32767};
  const float by = scale * NN_LOG2E;
  nn_frag k[NN_FRAGS], v[NN_FRAGS];
  float dk[NN_CHUNKS][4], dv[NN_CHUNKS][4];
  nn_walk w = nn_walk_of(&task, t, 0, from, step, back, d, a, b);
  w.lines = 1;
  w.lse = lse + task.row, w.logs = logs;
  w.dot = dot + task.row, w.dots = dots;
  num *spare = a + (NN_STAGES - 1) * NN_TILE_NUMS, *spares = b + (NN_STAGES - 1) * NN_TILE_NUMS;
  nn_tile(spare, from + d, step, task.at, t);
  nn_tile(spares, from + 2 * d, step, task.at, t);
  nn_walk_start(&w);
#pragma unroll
  for (int f = 0; f < NN_FRAGS; f++) {
    k[f] = nn_frag_a(spare, row, 16 * f);
    v[f] = nn_frag_a(spares, row, 16 * f);
  }
  nn_walk_first(&w);
#pragma unroll
  for (int c = 0; c < NN_CHUNKS; c++)
#pragma unroll
    for (int i = 0; i < 4; i++) dk[c][i] = dv[c][i] = 0;
  for (; w.at < t; nn_walk_go(&w)) {
    const num *qs = a + w.stage * NN_TILE_NUMS, *backs = b + w.stage * NN_TILE_NUMS;
    const float *less = logs + w.stage * NN_TILE_ROWS, *mean = dots + w.stage * NN_TILE_ROWS;
    nn_walk_come(&w);
    const int end = !live ? 0 : t - w.at < NN_TILE_ROWS ? t - w.at : NN_TILE_ROWS;
#pragma unroll 1
    for (int n = 0; n < end; n += 16) {
      float s[2][4], dp[2][4];
      const uint32_t seen = w.how == 2 ? 255u : nn_seen_by(w.at + n, t, see + task.first, mine, orders);
      nn_both(s, dp, k, v, qs, backs, n);
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int column = n + 8 * half + NN_LANE % 4 * 2 + i % 2;
          const float p = nn_exp2(s[half][i] * by - less[column]), x = p * (dp[half][i] - mean[column]);
          s[half][i] = seen >> (4 * half + i) & 1 ? p : 0;
          dp[half][i] = seen >> (4 * half + i) & 1 ? x : 0;
        }
      nn_onto(dv, nn_frag_of(s[0], s[1]), backs, n);
      nn_onto(dk, nn_frag_of(dp[0], dp[1]), qs, n);
    }
  }
  if (!live) return;
  num *to = dqkv + task.first * step + task.h * NN_HEAD;
  nn_tile_out(a, dk, scale, scale, to + d, step, task.at, t);
  nn_tile_out(b, dv, 1, 1, to + 2 * d, step, task.at, t);
}
#endif
