/* block: what the threads of a block do together, and what becomes of the log weights of particles: their
   sum, the effective sample size, ancestors.

   In the dialect of generated text (num/lane.h; f64 or f32), compiled twice.  On a device a block has
   BLOCK_THREADS threads, and a PHASE ends where all of them have come; on the host (BLOCK_TWIN) one thread
   goes through the phases of a block and in each through its threads, so that the same source is its own
   reference.  What a thread keeps from phase to phase is an array of BLOCK_OWN, of which OWN is its part.

   Sums of reals are trees of one shape, all others are sums of integers: nothing here depends on the order
   in which threads or blocks run, but where a block waits for those before it (block_look_back), and there
   it takes its number when it begins.

   Weights.  n log weights are cut into chunks of BLOCK_CHUNK.  Chunk b has a scale e_b, a whole number with
   exp(logw) <= 2^e_b, and its weights are integers in units of 2^(e_b - 52); their sums are exact.  E is the
   greatest scale.  The sum of all before a chunk and its own running sums, shifted down to units of
   2^(E - K), K = 62 - log2 of the chunks' places, are the running sums of all: they rise, by nothing where a
   weight is 0, and what the shifts drop is less than 2^-K of the greatest weight for each chunk:

       w of chunk   |  5 0 7 1  |  0 0 0 0  |  9 3 ...          in units of 2^(e_b - 52)
       base         0           13          13                  in units of 2^(E - K)
       below        1 1 2 3       3 3 3 3     5 ...             points (k + u) total / n below base + sum

   Ancestors, as weights_copies (num/weights.h) places them: a particle with offspring stays, and the d-th
   place without gets the d-th of the further offspring, both in order.  A map has room for twice the places:
   entry i is the ancestor of place i; or, with its top bit set, says at which of the entries from `room` on
   it stands.  So each chunk writes both parts side by side, and nothing is scattered.

   BLOCK_NO_KERNELS: the functions alone. */
#ifndef NORN_BLOCK_H
#define NORN_BLOCK_H

enum { BLOCK_THREADS = 256, BLOCK_ITEMS = 8, BLOCK_CHUNK = 2048 };
#define BLOCK_MAP_FAR 0x80000000u
#define BLOCK_LN2 0.69314718055994530942

#ifdef BLOCK_TWIN
#define PHASE(t) for (int t = 0; t < BLOCK_THREADS; t++)
#define BLOCK_OWN BLOCK_THREADS
#define OWN(x, t) (x)[t]
static uint32_t block_number;                   /* of a twin: set by who calls the kernel */
#define BLOCK_NUMBER block_number
DEVICE uint32_t block_fetch_add(uint32_t *p, uint32_t x) { uint32_t was = *p; *p += x; return was; }
#else
#define PHASE(t)                                                                                   \
  for (int t = (int)threadIdx.x, t##_on = 1; t##_on; t##_on = 0, __syncthreads())
#define BLOCK_OWN 1
#define OWN(x, t) (x)[0]
#define BLOCK_NUMBER blockIdx.x
DEVICE uint32_t block_fetch_add(uint32_t *p, uint32_t x) { return atomicAdd(p, x); }
#endif

/* ---- reductions and scans of a block, in shared memory ---------------------------------------- */

/* s (BLOCK_THREADS): s[0] becomes the sum, or the greatest, of all: halves are added until one is left. */
DEVICE void block_sum_f64(double *s)
{
  for (int h = BLOCK_THREADS / 2; h; h /= 2) PHASE(t) if (t < h) s[t] += s[t + h];
}
DEVICE void block_sum_u32(uint32_t *s)
{
  for (int h = BLOCK_THREADS / 2; h; h /= 2) PHASE(t) if (t < h) s[t] += s[t + h];
}
DEVICE void block_min_u32(uint32_t *s)
{
  for (int h = BLOCK_THREADS / 2; h; h /= 2) PHASE(t) if (t < h) s[t] = s[t + h] < s[t] ? s[t + h] : s[t];
}
DEVICE void block_max_f64(double *s)
{
  for (int h = BLOCK_THREADS / 2; h; h /= 2) PHASE(t) if (t < h) s[t] = s[t + h] > s[t] ? s[t + h] : s[t];
}

/* s (2, BLOCK_THREADS), of which the first row is given: it becomes its running sums, each with its own
   number (Hillis and Steele 1986). */
DEVICE void block_scan_u64(uint64_t *s)
{
  int from = 0;
  for (int d = 1; d < BLOCK_THREADS; d *= 2, from ^= BLOCK_THREADS)
    PHASE(t) s[(from ^ BLOCK_THREADS) + t] = s[from + t] + (t >= d ? s[from + t - d] : 0);
}
DEVICE void block_scan_u32(uint32_t *s)
{
  int from = 0;
  for (int d = 1; d < BLOCK_THREADS; d *= 2, from ^= BLOCK_THREADS)
    PHASE(t) s[(from ^ BLOCK_THREADS) + t] = s[from + t] + (t >= d ? s[from + t - d] : 0);
}

/* ---- across blocks ---------------------------------------------------------------------------- */

/* The sum of the numbers of all blocks before `at`, each below 2^32 (Merrill and Garland 2016, "Single-pass
   parallel prefix scan with decoupled look-back").  status (blocks): of a block what it has told so far:
   its own sum, then the sum up to and with its own, behind the number of the launch, so that nothing need
   be cleared.  A block may only wait for such as have begun: `at` counts blocks as they begin.
   s: scratch (2, BLOCK_THREADS); own: this block's sum; epoch: in 1 .. 2^30 - 1, another for each launch. */
enum { BLOCK_TOLD_OWN = 1, BLOCK_TOLD_ALL = 2 };
DEVICE uint64_t block_told(uint32_t epoch, uint32_t what, uint32_t sum)
{
  return (uint64_t)epoch << 34 | (uint64_t)what << 32 | sum;
}
DEVICE uint32_t block_look_back(uint64_t *status, uint32_t at, uint32_t own, uint32_t epoch, uint32_t *s)
{
  uint32_t before = 0, back = 0, *sum = s + BLOCK_THREADS;
  bool done = at == 0;
  PHASE(t)
    if (!t) *(volatile uint64_t *)(status + at) = block_told(epoch, at ? BLOCK_TOLD_OWN : BLOCK_TOLD_ALL, own);
  while (!done) {
    uint64_t word[BLOCK_OWN];
    PHASE(t) {                                  /* the first that has told all, or not even its own */
      uint32_t k = back + (uint32_t)t, what = BLOCK_TOLD_ALL;
      OWN(word, t) = 0;
      if (k < at) {
        OWN(word, t) = *(volatile uint64_t *)(status + (at - 1 - k));
        what = OWN(word, t) >> 34 == epoch ? (uint32_t)(OWN(word, t) >> 32) & 3 : 0;
      }
      s[t] = what == BLOCK_TOLD_OWN ? 0xffffffffu : (uint32_t)t << 2 | what;
    }
    block_min_u32(s);
    uint32_t stop = s[0], last = stop >> 2;     /* all ones: none */
    bool wait = stop != 0xffffffffu && !(stop & 3);
    PHASE(t) sum[t] = !wait && (uint32_t)t <= last ? (uint32_t)OWN(word, t) : 0;
    if (wait) continue;
    block_sum_u32(sum);
    before += sum[0];
    back += BLOCK_THREADS;
    done = stop != 0xffffffffu;
    PHASE(t) s[t] = 0;                          /* all have read what was there */
  }
  PHASE(t)
    if (!t && at) *(volatile uint64_t *)(status + at) = block_told(epoch, BLOCK_TOLD_ALL, before + own);
  return before;
}

/* ---- memory: a thread's items lie side by side, aligned to 16 bytes --------------------------- */

DEVICE void block_load(const lane_real *from, lane_real *x)
{
#if defined __CUDACC_RTC__ && defined NORN_F32
  const float4 *p = (const float4 *)from;
  for (int j = 0; j < BLOCK_ITEMS / 4; j++) {
    float4 v = p[j];
    x[4 * j] = v.x, x[4 * j + 1] = v.y, x[4 * j + 2] = v.z, x[4 * j + 3] = v.w;
  }
#elif defined __CUDACC_RTC__
  const double2 *p = (const double2 *)from;
  for (int j = 0; j < BLOCK_ITEMS / 2; j++) {
    double2 v = p[j];
    x[2 * j] = v.x, x[2 * j + 1] = v.y;
  }
#else
  for (int j = 0; j < BLOCK_ITEMS; j++) x[j] = from[j];
#endif
}

DEVICE void block_store_u32(uint32_t *to, const uint32_t *x)
{
#ifdef __CUDACC_RTC__
  uint4 *p = (uint4 *)to;
  for (int j = 0; j < BLOCK_ITEMS / 4; j++)
    p[j] = make_uint4(x[4 * j], x[4 * j + 1], x[4 * j + 2], x[4 * j + 3]);
#else
  for (int j = 0; j < BLOCK_ITEMS; j++) to[j] = x[j];
#endif
}

/* ---- weights ---------------------------------------------------------------------------------- */

/* The least whole number e with exp(top) <= 2^e, but for rounding; -infinity of -infinity. */
DEVICE double weights_scale(double top) { return top > -HUGE_VAL ? ceil(top * 1.44269504088896338700) : top; }
/* exp(logw) in units of 2^scale, at most 1 but for rounding. */
DEVICE lane_real weights_unit(lane_real logw, double scale)
{
  return v_exp((lane_real)((double)logw - scale * BLOCK_LN2));
}
DEVICE uint64_t weights_fixed(lane_real w) { return (uint64_t)(w * (lane_real)0x1p52); }
/* How far sums of a chunk of scale e go down to the units of all. */
DEVICE uint32_t weights_shift(double e, double most, int k)
{
  double by = most - e + (52 - k);
  return by < 63 ? (uint32_t)by : 63;
}
/* 2^(2 (e - most)) */
DEVICE double weights_square_scale(double e, double most)
{
  double by = 2 * (most - e), power;
  uint64_t bits = by < 1000 ? (uint64_t)(1023 - (int)by) << 52 : 0;
  memcpy(&power, &bits, 8);
  return power;
}

/* What is known of all weights. */
typedef struct weights_all {
  uint64_t sum;                  /* of weights, in units of 2^(scale - K) */
  double scale, squares;         /* squares: the sum of their squares, in units of 4^scale */
  double spread;                 /* of the last resampling: sum over particles of the variance of offspring */
  uint32_t flags, seen;          /* flags: of kernels since the last total, which puts them into `seen` */
  uint32_t at;                   /* blocks of weights_ancestors that have begun, ever */
} weights_all;

#ifndef BLOCK_NO_KERNELS
/* Of each chunk: its scale, the sum of its weights and of their squares.  logw: room for whole chunks, what
   lies behind the last particle is -infinity. */
KERNEL weights_chunks(const lane_real *logw, double *scale, uint64_t *sum, double *squares)
{
  SHARED double s[BLOCK_THREADS];
  SHARED uint64_t w[2 * BLOCK_THREADS];
  lane_real x[BLOCK_OWN][BLOCK_ITEMS];
  const lane_real *from = logw + (int64_t)BLOCK_NUMBER * BLOCK_CHUNK;
  PHASE(t) {
    lane_real top;
    block_load(from + t * BLOCK_ITEMS, OWN(x, t));
    top = OWN(x, t)[0];
    for (int j = 1; j < BLOCK_ITEMS; j++) top = OWN(x, t)[j] > top ? OWN(x, t)[j] : top;
    s[t] = (double)top;
  }
  block_max_f64(s);
  double e = weights_scale(s[0]);
  PHASE(t) w[t] = 0;                            /* all have read s[0] */
  PHASE(t) {
    double squares_here = 0;
    s[t] = 0;
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      lane_real y = e > -HUGE_VAL ? weights_unit(OWN(x, t)[j], e) : 0;
      w[t] += weights_fixed(y);
      squares_here += (double)y * (double)y;
    }
    s[t] = squares_here;
  }
  block_sum_f64(s);
  block_scan_u64(w);
  PHASE(t)
    if (!t) {
      scale[BLOCK_NUMBER] = e;
      sum[BLOCK_NUMBER] = w[BLOCK_THREADS - 1];
      squares[BLOCK_NUMBER] = s[0];
    }
}

/* Of all chunks, by one block: base (chunks): the sum of those before each.  spread: of each, or NULL. */
KERNEL weights_total(uint32_t chunks, int k, const double *scale, const uint64_t *sum, const double *squares,
                     const double *spread, uint64_t *base, weights_all *all)
{
  SHARED double s[BLOCK_THREADS], v[BLOCK_THREADS];
  SHARED uint64_t w[2 * BLOCK_THREADS];
  uint32_t each = (chunks + BLOCK_THREADS - 1) / BLOCK_THREADS;
  PHASE(t) {
    uint32_t from = (uint32_t)t * each, to = from + each < chunks ? from + each : chunks;
    s[t] = -HUGE_VAL;
    for (uint32_t b = from; b < to; b++) s[t] = scale[b] > s[t] ? scale[b] : s[t];
  }
  block_max_f64(s);
  double most = s[0];
  PHASE(t) w[t] = 0;                            /* all have read s[0] */
  PHASE(t) {
    uint32_t from = (uint32_t)t * each, to = from + each < chunks ? from + each : chunks;
    double squares_here = 0, spread_here = 0;
    uint64_t here = 0;
    for (uint32_t b = from; b < to; b++) {
      here += sum[b] >> weights_shift(scale[b], most, k);
      squares_here += squares[b] * weights_square_scale(scale[b], most);
      if (spread) spread_here += spread[b];
    }
    w[t] = here;
    s[t] = squares_here;
    v[t] = spread_here;
  }
  block_sum_f64(s);
  block_sum_f64(v);
  block_scan_u64(w);
  PHASE(t) {
    uint32_t from = (uint32_t)t * each, to = from + each < chunks ? from + each : chunks;
    uint64_t before = t ? w[t - 1] : 0;
    for (uint32_t b = from; b < to; b++) {
      base[b] = before;
      before += sum[b] >> weights_shift(scale[b], most, k);
    }
    if (!t) {
      all->sum = w[BLOCK_THREADS - 1];
      all->scale = most;
      all->squares = s[0];
      all->spread = v[0];
      all->seen = all->flags;
      all->flags = 0;
    }
  }
}

#endif

/* ---- ancestors -------------------------------------------------------------------------------- */

/* Points are at k + u (systematic), or at k + u_k, u_k the k-th number of the array of the counter
   (num/rng.h): of a resampling what stays the same for all particles. */
typedef struct weights_points {
  uint32_t n, each;              /* each: every point has a u of its own */
  double u;
  uint64_t stream;
  uint32_t iter, lane;
} weights_points;

DEVICE double weights_point_u(const weights_points *p, uint32_t k)
{
  rng_block b = rng_philox(p->lane, 0, p->iter, k / 16 * 8 + k % 8, p->stream);
  uint64_t x = k & 8 ? (uint64_t)b.w[3] << 32 | b.w[2] : (uint64_t)b.w[1] << 32 | b.w[0];
  return ((double)(x >> 12) + 0.5) * 0x1p-52;
}

/* A running sum on the scale of particles: the whole is n. */
DEVICE double weights_place(uint64_t c, uint64_t total, uint32_t n)
{
  return (double)c * ((double)n / (double)total);
}

/* How many points lie below it: it rises with c, is 0 at 0 and n at the total. */
DEVICE uint32_t weights_points_below(const weights_points *p, uint64_t c, uint64_t total)
{
  if (c >= total) return p->n;
  double x = weights_place(c, total, p->n);
  if (!p->each) {
    uint32_t k = (uint32_t)(x + (1 - p->u));
    return k < p->n ? k : p->n;
  }
  uint32_t k = (uint32_t)x;
  if (k >= p->n) return p->n;
  return k + (weights_point_u(p, k) < x - k);
}

/* Variance of the number of points in a piece that ends at x and began at `from`. */
DEVICE double weights_variance(bool each, double from, double x)
{
  double d = x - from, low = floor(from), high = floor(x), f = d - floor(d), a, b;
  if (!each) return f * (1 - f);
  a = low < from ? low + 1 - from : 0;
  b = x - high;
  return low == high ? d * (1 - d) : a * (1 - a) + b * (1 - b);
}

/* More further offspring than these are written by all threads of a block, not by the particle's own. */
enum { BLOCK_LARGE = 256 };

/* far: where in the second half of the map the further offspring go of those of this chunk that have many.
   dead, many (BLOCK_THREADS): of each thread the dead before it, and whether it has such. */
DEVICE void weights_large(uint32_t n, uint32_t first, uint32_t below[BLOCK_OWN][BLOCK_ITEMS + 1], uint32_t *dead,
                          const uint32_t *many, uint32_t *far)
{
  SHARED uint32_t where, who, count;
  for (int of = 0; of < BLOCK_THREADS; of++) {
    if (!many[of]) continue;
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      PHASE(t)
        if (t == of) {                          /* its thread tells where they go, all write */
          who = first + (uint32_t)(t * BLOCK_ITEMS + j);
          count = OWN(below, t)[j + 1] - OWN(below, t)[j];
          where = OWN(below, t)[j] + dead[t] - who;
          dead[t] += who < n && !count;
        }
      uint32_t to = where, from = who, copies = count > BLOCK_LARGE ? count - 1 : 0;
      PHASE(t)
        for (uint32_t q = (uint32_t)t; q < copies; q += BLOCK_THREADS) far[to + q] = from;
    }
  }
}

/* Of the map (2, room) what belongs to chunk b.  below: how many offspring there are of all before each of a
   thread's particles, and behind the last.  status, epoch: as in block_look_back. */
DEVICE void weights_lay(uint32_t n, uint32_t b, uint32_t below[BLOCK_OWN][BLOCK_ITEMS + 1], uint32_t epoch,
                        uint64_t *status, uint32_t room, uint32_t *map)
{
  SHARED uint32_t s[2 * BLOCK_THREADS], start[BLOCK_THREADS], many[BLOCK_THREADS];
  uint32_t first = b * BLOCK_CHUNK, low = (1u << 16) - 1;
  PHASE(t) {                                    /* who has none; in the upper half: in whose threads some have many */
    uint32_t dead = 0, more = 0;
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      uint32_t count = OWN(below, t)[j + 1] - OWN(below, t)[j];
      dead += first + (uint32_t)(t * BLOCK_ITEMS + j) < n && !count;
      more |= count > BLOCK_LARGE;
    }
    s[t] = more << 16 | dead;
    many[t] = more;
  }
  block_scan_u32(s);
  PHASE(t) start[t] = t ? s[t - 1] & low : 0;
  uint32_t all_dead = s[BLOCK_THREADS - 1] & low, large = s[BLOCK_THREADS - 1] >> 16;
  PHASE(t) (void)t;                             /* all have read it */
  uint32_t dead_before = block_look_back(status, b, all_dead, epoch, s);
  PHASE(t) {
    uint32_t to[BLOCK_ITEMS], dead = dead_before + start[t], i = first + (uint32_t)(t * BLOCK_ITEMS);
    start[t] = dead;
    for (int j = 0; j < BLOCK_ITEMS; j++, i++) {
      uint32_t count = OWN(below, t)[j + 1] - OWN(below, t)[j];
      uint32_t *far = map + room + (OWN(below, t)[j] + dead - i);      /* dead - i: further offspring so far */
      to[j] = count || i >= n ? i : BLOCK_MAP_FAR | dead;
      dead += i < n && !count;
      if (count <= BLOCK_LARGE)
        for (uint32_t q = 1; q < count; q++) *far++ = i;
    }
    block_store_u32(map + first + t * BLOCK_ITEMS, to);
  }
  if (large) weights_large(n, first, below, start, many, map + room);
}

#ifndef BLOCK_NO_KERNELS
/* map (2, room): of every place its ancestor; spread (chunks): sum of the variances of their offspring.
   begun: how many blocks had begun before this launch (it counts on in all->at). */
KERNEL weights_ancestors(const lane_real *logw, int k, weights_points p, const double *scale, const uint64_t *base,
                         weights_all *all, uint32_t begun, uint32_t epoch, uint64_t *status, uint32_t room,
                         uint32_t *map, double *spread)
{
  SHARED uint64_t w[2 * BLOCK_THREADS];
  SHARED uint32_t chunk;
  SHARED double v[BLOCK_THREADS];
  uint32_t below[BLOCK_OWN][BLOCK_ITEMS + 1];
  uint64_t c[BLOCK_OWN][BLOCK_ITEMS];
  PHASE(t) if (!t) chunk = block_fetch_add(&all->at, 1) - begun;
  uint32_t b = chunk, first = b * BLOCK_CHUNK;
  uint64_t total = all->sum, before = base[b];
  double e = scale[b];
  uint32_t shift = weights_shift(e, all->scale, k);
  PHASE(t) {                                    /* running sums of a thread's particles */
    lane_real x[BLOCK_ITEMS];
    uint64_t sum = 0;
    block_load(logw + first + t * BLOCK_ITEMS, x);
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      if (e > -HUGE_VAL) sum += weights_fixed(weights_unit(x[j], e));
      OWN(c, t)[j] = sum;
    }
    w[t] = sum;
  }
  block_scan_u64(w);
  PHASE(t) {                                    /* points below */
    uint64_t start_of = t ? w[t - 1] : 0, at = before + (start_of >> shift);
    double from = weights_place(at, total, p.n), variance = 0;
    OWN(below, t)[0] = weights_points_below(&p, at, total);
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      at = before + ((start_of + OWN(c, t)[j]) >> shift);
      double x = weights_place(at, total, p.n);
      OWN(below, t)[j + 1] = weights_points_below(&p, at, total);
      variance += weights_variance(p.each, from, x);
      from = x;
    }
    v[t] = variance;
  }
  block_sum_f64(v);
  PHASE(t) if (!t) spread[b] = v[0];
  weights_lay(p.n, b, below, epoch, status, room, map);
}
#endif

/* ---- maps ------------------------------------------------------------------------------------- */

DEVICE uint32_t block_map_at(const uint32_t *map, uint32_t room, uint32_t i)
{
  uint32_t a = map[i];
  return a & BLOCK_MAP_FAR ? map[room + (a & ~BLOCK_MAP_FAR)] : a;
}

#if !defined BLOCK_TWIN && !defined BLOCK_NO_KERNELS
DEVICE uint32_t block_thread(void) { return blockIdx.x * blockDim.x + threadIdx.x; }

/* to[i] = map[further[i]]; without a map, or a further one, that is the identity. */
KERNEL block_compose(uint32_t n, uint32_t room, const uint32_t *map, const uint32_t *further, uint32_t *to)
{
  uint32_t i = block_thread();
  if (i >= n) return;
  uint32_t k = further ? block_map_at(further, room, i) : i;
  to[i] = map ? block_map_at(map, room, k) : k;
}

/* What a particle carries along and has not changed: a place without offspring gets that of the particle
   that it is a copy of, which stays where it is. */
KERNEL block_inherit(uint32_t n, uint32_t room, const uint32_t *map, uint32_t *x)
{
  uint32_t i = block_thread();
  if (i < n && map[i] & BLOCK_MAP_FAR) x[i] = x[map[room + (map[i] & ~BLOCK_MAP_FAR)]];
}

/* n numbers x, and -infinity behind them. */
KERNEL weights_fill(uint32_t n, uint32_t room, lane_real x, lane_real *logw)
{
  uint32_t i = block_thread();
  if (i < room) logw[i] = i < n ? x : -(lane_real)HUGE_VAL;
}
#endif
#endif
