/* filter_block: what becomes of the weights of many small populations (particle filters) side by side: each has a
   block for itself, which adds up, decides whether to resample, finds ancestors and keeps the genealogy, in one launch
   and without a look of the host.

       filter f | lanes f each .. f each + n - 1
                |   log weights -> scale, running sums, ESS --> due?  no: every place keeps what it has
                |                                               yes: points below each running sum (weights_points)
                |   place:  with offspring: stays;  the d-th without: the d-th of the further offspring

   In the dialect, of which block.h is before it with the formulas: weights are integers in units of 2^(e - 52), and
   so are their running sums, so that ancestors are those of a single population to the bit.  A filter goes by
   chunks of FILTER_CHUNK particles; those of more than one (FILTER_ROUNDS) have a scale for each.

   Where points are drawn (residual and multinomial resampling: FILTER_DRAWN, by the functions of drawn.h, which is
   before it then) the block draws them in order first, m of them; a particle gets those between its running sum, of
   weights or of fractions, and the one before, and what is certain of residual resampling beside.

   Further offspring: particle i with c of them begins at g(i), the sum of all before; it writes its number there, and a
   running maximum fills what lies between.

   Families (infer/particles/genealogy.h): of each particle its ancestor at the begin of two windows, as numbers of 16
   bits; what is counted of them is exact, since sums of weights are integers.

   Before it stand FILTER_THREADS (a multiple of 32), FILTER_ITEMS (4 or 8), FILTER_ROUNDS and FILTER_RESIDENT, how many
   blocks are wanted on a multiprocessor; FILTER_DRAWN: 0: points are k + u; else FILTER_MULTINOMIAL or FILTER_RESIDUAL. */
#ifndef NORN_FILTER_BLOCK_H
#define NORN_FILTER_BLOCK_H

enum { FILTER_CHUNK = FILTER_THREADS * FILTER_ITEMS, FILTER_WARPS = FILTER_THREADS / 32,
       FILTER_MOST = FILTER_CHUNK * FILTER_ROUNDS };
#define FILTER_MULTINOMIAL 1
#define FILTER_RESIDUAL 2
#define FILTER_ALL 0xffffffffu
#define FILTER_LANE (threadIdx.x % 32)
#define FILTER_WARP (threadIdx.x / 32)
#define FILTER_ADD(a, b) ((a) + (b))
#define FILTER_MAX(a, b) ((a) > (b) ? (a) : (b))

/* As filters.c has them.  DEAD: a flag of all: a filter has no weight left. */
enum { FILTER_OPEN = 1, FILTER_SECOND = 2, FILTER_DEAD = 4 };
typedef struct filter_state {
  double log_z, least, variance, spread[2], apart[2];
  uint32_t resamplings, left, eves, bits;       /* FILTER_OPEN; FILTER_SECOND: the first window is row 1 of `of`, `eve` */
} filter_state;

typedef struct filters_args {
  const lane_real *logw;         /* (filters each) */
  const uint64_t *stream;        /* (filters) of resampling */
  filter_state *state;           /* (filters) */
  uint32_t *same;                /* (filters) the weights are all the same: logw does not count */
  uint16_t *of, *eve;            /* (2, filters each) families; their ancestors at the start */
  uint64_t *scratch;             /* (filters each) */
  uint64_t *at;                  /* (filters each) points that are drawn, or NULL: they lie in shared memory */
  uint32_t *map;                 /* (filters each) ancestors, places of all; NULL: after the last leg */
  double *ess, *evidence;        /* (filters) told of this leg, or NULL; logarithms of evidence */
  uint32_t *ancestors;
  uint32_t *flags;
  uint64_t lanes;                /* filters each */
  double threshold;
  uint32_t n, each, iter, k;     /* k: units of sums are 2^(scale - k) */
  uint32_t stratified, weighed;                 /* weighed: the leg has weighed, so that logw counts */
} filters_args;

/* ---- a block together -------------------------------------------------------------------------- */

/* What all have together: a tree in each warp, then the warps in their order. */
#define FILTER_TOGETHER(name, warp, type, join)                                                    \
  DEVICE type warp(type x)                                                                         \
  {                                                                                                \
    for (int m = 16; m; m >>= 1) {                                                                 \
      const type y = __shfl_xor_sync(FILTER_ALL, x, m);                                            \
      x = join(y, x);                                                                              \
    }                                                                                              \
    return x;                                                                                      \
  }                                                                                                \
  DEVICE type name(type x)                                                                         \
  {                                                                                                \
    SHARED type s[FILTER_WARPS];                                                                   \
    x = warp(x);                                                                                   \
    __syncthreads();                                                                               \
    if (FILTER_LANE == 0) s[FILTER_WARP] = x;                                                      \
    __syncthreads();                                                                               \
    x = s[0];                                                                                      \
    for (int w = 1; w < FILTER_WARPS; w++) x = join(s[w], x);                                      \
    return x;                                                                                      \
  }
FILTER_TOGETHER(filter_most_f64, filter_warp_most_f64, double, FILTER_MAX)
FILTER_TOGETHER(filter_sum_f64, filter_warp_f64, double, FILTER_ADD)
FILTER_TOGETHER(filter_sum_u32, filter_warp_u32, uint32_t, FILTER_ADD)

/* What the threads before this one have together, 0 for the first; *all: what all have.  more, or NULL: becomes the sum of
   all as well (filter_sum_f64). */
#define FILTER_BEFORE(name, type, join)                                                            \
  DEVICE type name(type x, type *all, double *more)                                                \
  {                                                                                                \
    SHARED type s[FILTER_WARPS];                                                                   \
    SHARED double d[FILTER_WARPS];                                                                 \
    type up = x, before = 0;                                                                       \
    double y = more ? filter_warp_f64(*more) : 0;                                                  \
    for (int m = 1; m < 32; m *= 2) {                                                              \
      const type from = __shfl_up_sync(FILTER_ALL, up, m);                                         \
      if ((int)FILTER_LANE >= m) up = join(up, from);                                              \
    }                                                                                              \
    __syncthreads();                                                                               \
    if (FILTER_LANE == 31) s[FILTER_WARP] = up, d[FILTER_WARP] = y;                                \
    __syncthreads();                                                                               \
    type sum = 0;                                                                                  \
    y = 0;                                                                                         \
    for (int w = 0; w < FILTER_WARPS; w++) {                                                       \
      if (w == (int)FILTER_WARP) before = sum;                                                     \
      sum = join(sum, s[w]);                                                                       \
      y += d[w];                                                                                   \
    }                                                                                              \
    *all = sum;                                                                                    \
    if (more) *more = y;                                                                           \
    up = __shfl_up_sync(FILTER_ALL, up, 1);                                                        \
    return FILTER_LANE ? join(before, up) : before;                                                \
  }
FILTER_BEFORE(filter_before_u64, uint64_t, FILTER_ADD)
FILTER_BEFORE(filter_before_u32, uint32_t, FILTER_ADD)
FILTER_BEFORE(filter_most_before_u64, uint64_t, FILTER_MAX)
FILTER_BEFORE(filter_most_before_u32, uint32_t, FILTER_MAX)

/* ---- memory: a thread's items lie side by side ------------------------------------------------- */

DEVICE void filter_load(const lane_real *from, lane_real *x)
{
#if defined __CUDACC_RTC__ && defined NORN_F32
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j += 4) {
    const float4 v = *(const float4 *)(from + j);
    x[j] = v.x, x[j + 1] = v.y, x[j + 2] = v.z, x[j + 3] = v.w;
  }
#elif defined __CUDACC_RTC__
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j += 2) {
    const double2 v = *(const double2 *)(from + j);
    x[j] = v.x, x[j + 1] = v.y;
  }
#else
  for (int j = 0; j < FILTER_ITEMS; j++) x[j] = from[j];
#endif
}

DEVICE void filter_load_u32(const uint32_t *from, uint32_t *x)
{
#ifdef __CUDACC_RTC__
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j += 4) {
    const uint4 v = *(const uint4 *)(from + j);
    x[j] = v.x, x[j + 1] = v.y, x[j + 2] = v.z, x[j + 3] = v.w;
  }
#else
  for (int j = 0; j < FILTER_ITEMS; j++) x[j] = from[j];
#endif
}

DEVICE void filter_store_u32(uint32_t *to, const uint32_t *x)
{
#ifdef __CUDACC_RTC__
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j += 4) *(uint4 *)(to + j) = make_uint4(x[j], x[j + 1], x[j + 2], x[j + 3]);
#else
  for (int j = 0; j < FILTER_ITEMS; j++) to[j] = x[j];
#endif
}

/* ---- weights ----------------------------------------------------------------------------------- */

/* The filter of this block: where it lies, what its chunks add up to, and what all of them do. */
typedef struct filter_own {
  uint64_t base, total;
  uint32_t same, chunks;
  double most;                   /* the greatest scale */
  const double *scale;           /* of chunks, in shared memory, like the next */
  const uint64_t *before;
} filter_own;

/* Log weights of a thread's particles from `first` on; -infinity behind the last. */
DEVICE void filter_logw(const filters_args *a, const filter_own *o, uint32_t first, lane_real *x)
{
  const lane_real none = -(lane_real)HUGE_VAL;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) x[j] = 0;
  if (!o->same && first < a->each) filter_load(a->logw + o->base + first, x);
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) x[j] = first + (uint32_t)j < a->n ? x[j] : none;
}

/* Running sums within the thread, in units of 2^(e - 52); gives the sum of squares, in units of 4^e. */
DEVICE double filter_sums(const lane_real *x, double e, uint64_t *c)
{
  uint64_t sum = 0;
  double squares = 0;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    const lane_real y = e > -HUGE_VAL ? weights_unit(x[j], e) : 0;
    sum += weights_fixed(y);
    squares += (double)y * (double)y;
    c[j] = sum;
  }
  return squares;
}

/* A chunk's sums before a thread's particles, in the units of all. */
DEVICE uint64_t filter_at(const filters_args *a, const filter_own *o, uint32_t chunk, uint64_t c)
{
  return o->before[chunk] + (c >> weights_shift(o->scale[chunk], o->most, (int)a->k));
}

/* ---- families ---------------------------------------------------------------------------------- */

DEVICE uint32_t filter_few(uint32_t n) { return n / 8 < 32 ? n / 8 : 32; }

/* Has it weight?  As exp of doubles has, relative to the greatest. */
DEVICE bool filter_lives(const filter_own *o, lane_real x) { return (double)x - o->most * BLOCK_LN2 > -745.0; }

/* The state lies in shared memory, and the first thread writes it.
   Ancestors of the first window with descendants, and of them at the start: those of marks. */
DEVICE void filter_count(const filters_args *a, const filter_own *o, filter_state *s)
{
  SHARED uint32_t mark[2][FILTER_MOST / 32];
  const uint64_t row = (s->bits & FILTER_SECOND ? a->lanes : 0) + o->base;
  uint32_t left = 0, eves = 0;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < FILTER_MOST / 32; i += FILTER_THREADS) mark[0][i] = mark[1][i] = 0;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS) {
    const lane_real x = o->same ? (lane_real)0 : a->logw[o->base + i];
    const uint32_t of = a->of[row + i];
    if (filter_lives(o, x)) atomicOr(&mark[0][of / 32], 1u << of % 32);
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS)
    if (mark[0][i / 32] >> i % 32 & 1) {
      const uint32_t eve = a->eve[row + i];
      atomicOr(&mark[1][eve / 32], 1u << eve % 32);
    }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < FILTER_MOST / 32; i += FILTER_THREADS) {
    left += (uint32_t)__popc(mark[0][i]);
    eves += (uint32_t)__popc(mark[1][i]);
  }
  left = filter_sum_u32(left);
  eves = filter_sum_u32(eves);
  if (!threadIdx.x) s->left = left, s->eves = eves;
  __syncthreads();
}

/* -log(1 - V) of a window (genealogy.c). */
DEVICE double filter_window(const filters_args *a, const filter_own *o, const filter_state *s, uint32_t which)
{
  const uint64_t row = (((s->bits & FILTER_SECOND) != 0) != (which != 0) ? a->lanes : 0) + o->base;
  uint64_t *share = a->scratch + o->base;
  double q = 0, n = (double)a->n;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS) share[i] = 0;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS) {
    const uint32_t chunk = i / FILTER_CHUNK;
    const double e = o->scale[chunk];
    const lane_real x = o->same ? (lane_real)0 : a->logw[o->base + i];
    const uint64_t w = e > -HUGE_VAL ? weights_fixed(weights_unit(x, e)) >> weights_shift(e, o->most, (int)a->k) : 0;
    if (w) atomicAdd(share + a->of[row + i], w);
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS) {
    const double w = (double)*(volatile uint64_t *)(share + i) / (double)o->total;
    q += w * w;
  }
  q = filter_sum_f64(q);
  const double apart = 1 - q > 1 / n ? 1 - q : 1 / n;
  const double l = -(log(n / (n - 1)) + s->spread[which] + log(apart));
  return l > 1e-13 ? l : 0;
}

/* The first window is counted but for what the second holds, which takes its place. */
DEVICE void filter_shift(const filters_args *a, const filter_own *o, filter_state *s)
{
  const double more = filter_window(a, o, s, 0) - filter_window(a, o, s, 1);
  __syncthreads();
  if (!threadIdx.x) {
    s->variance += more;
    s->spread[0] = s->spread[1];
    s->apart[0] = s->apart[1];
    s->bits = (s->bits ^ FILTER_SECOND) & ~(uint32_t)FILTER_OPEN;
  }
  __syncthreads();
}

#if !FILTER_DRAWN
/* Of runs of neighbours of one family: the sum of their variances, for a thread's particles of a chunk, whose running sums
   c and start are.  carry: the running sum
   before the chunk's first run, which becomes that before the next one's. */
DEVICE double filter_runs(const filters_args *a, const weights_points *p, const filter_own *o, uint64_t row, uint32_t first,
                          uint32_t chunk, const uint64_t *c, uint64_t start, uint64_t *carry)
{
  uint32_t ends = 0;
  uint64_t last = 0, all;
  double v = 0;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    const uint32_t i = first + (uint32_t)j;
    if (i >= a->n || (i + 1 < a->n && a->of[row + i] == a->of[row + i + 1])) continue;
    ends |= 1u << j;
    last = filter_at(a, o, chunk, start + c[j]);
  }
  uint64_t from = filter_most_before_u64(last, &all, NULL);
  if (*carry > from) from = *carry;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    if (!(ends >> j & 1)) continue;
    const uint64_t at = filter_at(a, o, chunk, start + c[j]);
    v += weights_variance(p->each, weights_place(from, o->total, p->n), weights_place(at, o->total, p->n));
    from = at;
  }
  if (all > *carry) *carry = all;
  return v;
}
#endif

/* ---- ancestors --------------------------------------------------------------------------------- */

/* Where further offspring lie, in two bytes each. */
#if FILTER_ROUNDS == 1
#define FILTER_FAR(name, a, o) SHARED uint16_t name[FILTER_CHUNK];
#else
#define FILTER_FAR(name, a, o) uint16_t *const name = (uint16_t *)((a)->scratch + (o)->base);
#endif

/* Where points that are drawn lie. */
#if FILTER_ROUNDS == 1
#define FILTER_POINTS(name, a, o) SHARED uint64_t name[FILTER_CHUNK];
#else
#define FILTER_POINTS(name, a, o) uint64_t *const name = (a)->at + (o)->base;
#endif

/* far[k] becomes the greatest up to there, k < n. */
DEVICE void filter_fill(uint16_t *far, uint32_t n)
{
  uint32_t carry = 0;
  for (uint32_t from = 0; from < n; from += FILTER_CHUNK) {
    uint32_t x[FILTER_ITEMS], most = 0, all;
    const uint32_t first = from + threadIdx.x * FILTER_ITEMS;
    LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
      const uint32_t y = first + (uint32_t)j < n ? far[first + (uint32_t)j] : 0;
      x[j] = most = y > most ? y : most;
    }
    uint32_t before = filter_most_before_u32(most, &all, NULL);
    if (carry > before) before = carry;
    LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++)
      if (first + (uint32_t)j < n) far[first + (uint32_t)j] = (uint16_t)(x[j] > before ? x[j] : before);
    if (all > carry) carry = all;
  }
}

/* The particles of a thread that have no offspring take what is theirs of the further ones, with its families.
   row: the first window's; open: of the other too. */
DEVICE void filter_take(const filters_args *a, const filter_own *o, const uint16_t *far, uint32_t first, uint64_t row,
                        bool open, uint32_t *to)
{
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    const uint64_t i = o->base + first + (uint64_t)j;
    if (!(to[j] & BLOCK_MAP_FAR)) continue;
    const uint64_t from = o->base + far[to[j] & ~BLOCK_MAP_FAR];
    to[j] = (uint32_t)from;
    a->of[row + i] = a->of[row + from];
    if (open) a->of[a->lanes - row + i] = a->of[a->lanes - row + from];
  }
}

/* Of a chunk, whose running sums c and start are: how many offspring there are of all before each of a thread's particles,
   and behind the last.  Gives the sum of the variances of theirs. */
#if !FILTER_DRAWN
DEVICE double filter_below(const filters_args *a, const weights_points *p, const filter_own *o, uint32_t chunk,
                           const uint64_t *c, uint64_t start, uint32_t *below)
{
  const uint64_t at0 = filter_at(a, o, chunk, start);
  double from = weights_place(at0, o->total, p->n), variance = 0;
  below[0] = weights_points_below(p, at0, o->total);
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    const uint64_t at = filter_at(a, o, chunk, start + c[j]);
    const double x = weights_place(at, o->total, p->n);
    below[j + 1] = weights_points_below(p, at, o->total);
    variance += weights_variance(p->each, from, x);
    from = x;
  }
  return variance;
}
#endif

#if FILTER_DRAWN
/* What a filter draws: m points, as bits that rise as they do.  Residual: offspring that a unit of weights expects
   (of scale `most`); what is certain and what fractions add up to, of all and before each chunk. */
typedef struct filter_points {
  uint64_t *at;
  uint32_t m;
  double scale;
  uint64_t rest;
  const uint32_t *certain;       /* of chunks, in shared memory, like the next */
  const uint64_t *fraction;
} filter_points;

/* The points: their spacings added up.  A thread reads and writes its own until all are there. */
DEVICE void filter_draw(const filters_args *a, const filter_points *q)
{
  const uint64_t stream = a->stream[blockIdx.x];
  uint64_t carry = 0;
  for (uint32_t from = 0; from < q->m; from += FILTER_CHUNK) {
    const uint32_t first = from + threadIdx.x * FILTER_ITEMS;
    uint64_t sum = 0, all;
    for (uint32_t i = first; i < first + FILTER_ITEMS && i < q->m; i++) {
      const rng_block b = rng_philox(0, 0, a->iter, i, stream);
      sum += points_spacing(rng_unit(b.w[0], b.w[1]), q->m - i);
      q->at[i] = sum;
    }
    const uint64_t before = carry + filter_before_u64(sum, &all, NULL);
    for (uint32_t i = first; i < first + FILTER_ITEMS && i < q->m; i++) {
      const double x = points_at(before + q->at[i]);
      memcpy(q->at + i, &x, 8);
    }
    carry += all;
  }
  __syncthreads();
}

/* The points below running sums to[j] of a thread's particles and `from`, the one before them, are added to below. */
DEVICE void filter_between(const filter_points *q, uint64_t total, uint64_t from, const uint64_t *to, uint32_t *below)
{
  uint32_t points = from >= total ? q->m : drawn_below(q->at, 0, q->m, drawn_bits(from, total));
  below[0] += points;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    points = to[j] >= total ? q->m : drawn_below(q->at, points, q->m, drawn_bits(to[j], total));
    below[j + 1] += points;
  }
}
#endif

#if FILTER_DRAWN == FILTER_MULTINOMIAL
DEVICE double filter_drawn_below(const filters_args *a, const filter_own *o, const filter_points *q, uint32_t chunk,
                                 const uint64_t *c, uint64_t start, uint32_t *below)
{
  const uint64_t from = filter_at(a, o, chunk, start);
  uint64_t to[FILTER_ITEMS];
  double variance = 0;
  below[0] = 0;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    to[j] = filter_at(a, o, chunk, start + c[j]);
    below[j + 1] = 0;
    const double x = weights_place(to[j] - (j ? to[j - 1] : from), o->total, a->n);
    variance += x * (1 - x / (double)a->n);
  }
  filter_between(q, o->total, from, to, below);
  return variance;
}
#endif

#if FILTER_DRAWN == FILTER_RESIDUAL
/* Running sums within the thread, of what is certain (below, from below[1] on) and of fractions. */
DEVICE double filter_expected(const filters_args *a, const filter_own *o, const filter_points *q, uint32_t chunk,
                              uint32_t first, uint64_t *to, uint32_t *below)
{
  const double e = o->scale[chunk], worth = e > -HUGE_VAL ? drawn_power(o->most - e) * q->scale : 0;
  lane_real x[FILTER_ITEMS];
  uint64_t sum = 0;
  uint32_t certain = 0;
  double variance = 0;
  filter_logw(a, o, first, x);
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    const double y = drawn_expected(x[j], e, worth);
    const uint32_t here = points_whole(y);
    const double f = points_rest(y, here);
    to[j] = sum += drawn_fraction(y, here, (int)a->k);
    below[j + 1] = certain += here;
    variance += q->m ? f * (1 - f / (double)q->m) : 0;
  }
  return variance;
}

DEVICE double filter_drawn_below(const filters_args *a, const filter_own *o, const filter_points *q, uint32_t chunk,
                                 uint32_t first, uint32_t *below)
{
  uint64_t to[FILTER_ITEMS], all;
  uint32_t sure;
  const double variance = filter_expected(a, o, q, chunk, first, to, below);
  const uint64_t from = q->fraction[chunk] + filter_before_u64(to[FILTER_ITEMS - 1], &all, NULL);
  const uint32_t certain = q->certain[chunk] + filter_before_u32(below[FILTER_ITEMS], &sure, NULL);
  below[0] = 0;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) to[j] += from;
  LANE_UNROLL for (int j = 0; j <= FILTER_ITEMS; j++) below[j] += certain;
  filter_between(q, q->rest, from, to, below);
  return variance;
}

/* Whole parts and fractions of all chunks; so m.  certain, fraction (chunks): shared memory. */
DEVICE void filter_share(const filters_args *a, const filter_own *o, const uint64_t *sum, filter_points *q,
                         uint32_t *certain, uint64_t *fraction)
{
  double weight = 0;
  uint32_t sure = 0;
  for (uint32_t b = 0; b < o->chunks; b++)
    if (o->scale[b] > -HUGE_VAL) weight += (double)sum[b] * drawn_power(o->most - o->scale[b]);
  q->scale = weight > 0 ? (double)a->n / weight : 0;
  q->m = 0;
  q->rest = 0;
  q->certain = certain;
  q->fraction = fraction;
  for (uint32_t b = 0; b < o->chunks; b++) {
    uint64_t to[FILTER_ITEMS], rest;
    uint32_t below[FILTER_ITEMS + 1], here;
    filter_expected(a, o, q, b, b * FILTER_CHUNK + threadIdx.x * FILTER_ITEMS, to, below);
    filter_before_u64(to[FILTER_ITEMS - 1], &rest, NULL);
    filter_before_u32(below[FILTER_ITEMS], &here, NULL);
    if (!threadIdx.x) certain[b] = sure, fraction[b] = q->rest;
    sure += here;
    q->rest += rest;
  }
  q->m = a->n - sure;
  __syncthreads();
}
#endif

/* Of a chunk: how its particles fare.  below: as filter_below gives it.  dead: those without offspring in the chunks
   before.  to: of each its place, or, with its top bit set, which of the dead it is.  variance becomes that of all. */
DEVICE double filter_offspring(const filters_args *a, const filter_own *o, uint32_t first, const uint32_t *below,
                               double variance, uint32_t *dead, uint16_t *far, uint32_t *to)
{
  uint32_t here = 0, all;
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++)
    here += first + (uint32_t)j < a->n && below[j + 1] == below[j];
  uint32_t before = *dead + filter_before_u32(here, &all, &variance);
  LANE_UNROLL for (int j = 0; j < FILTER_ITEMS; j++) {
    const uint32_t i = first + (uint32_t)j, count = below[j + 1] - below[j];
    to[j] = count || i >= a->n ? (uint32_t)o->base + i : BLOCK_MAP_FAR | before;
    if (count > 1) far[below[j] + before - i] = (uint16_t)i;
    before += i < a->n && !count;
  }
  *dead += all;
  return variance;
}

/* The second window opens. */
DEVICE void filter_open(const filters_args *a, const filter_own *o, filter_state *s)
{
  const bool second = (s->bits & FILTER_SECOND) != 0;
  const uint64_t was = (second ? a->lanes : 0) + o->base, now = (second ? 0 : a->lanes) + o->base;
  __syncthreads();                              /* all have read it, and families are where they belong */
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS) {
    a->of[now + i] = (uint16_t)i;
    a->eve[now + i] = a->eve[was + a->of[was + i]];
  }
  if (threadIdx.x) return;
  s->bits |= FILTER_OPEN;
  s->spread[1] = 0;
  s->apart[1] = 1;
}

/* Counts a resampling; opens a window where it is time. */
DEVICE void filter_passed(const filters_args *a, const filter_own *o, filter_state *s, double rho)
{
  const double n = (double)a->n;
  if (!threadIdx.x) {
    for (int k = 0; k < 2; k++) s->spread[k] += log1p(rho * s->apart[k] / (n - 1));
    s->resamplings++;
  }
  if (!(s->bits & FILTER_OPEN) && s->left < 2 * filter_few(a->n)) filter_open(a, o, s);
}

/* sum: of each chunk; c, start: of the only one, the thread's running sums and the sum before it. */
DEVICE void filter_resample(const filters_args *a, const filter_own *o, filter_state *s, const uint64_t *sum, uint64_t *c,
                            uint64_t start, bool look)
{
  FILTER_FAR(far, a, o)
  const bool open = (s->bits & FILTER_OPEN) != 0;
  const uint64_t row = s->bits & FILTER_SECOND ? a->lanes : 0;
  uint32_t to[FILTER_ITEMS], dead = 0;
  double rho = 0;
#if FILTER_DRAWN
  FILTER_POINTS(at, a, o)
  filter_points q = { at, a->n, 0, 0, NULL, NULL };
#if FILTER_DRAWN == FILTER_RESIDUAL
  SHARED uint32_t certain[FILTER_ROUNDS];
  SHARED uint64_t fraction[FILTER_ROUNDS];
  filter_share(a, o, sum, &q, certain, fraction);
#endif
  filter_draw(a, &q);
#else
  weights_points p = { a->n, a->stratified, 0, a->stream[blockIdx.x], a->iter, 0 };
  uint64_t carry0 = 0, carry1 = 0;
  double runs0 = 0, runs1 = 0;
  p.u = weights_point_u(&p, 0);
#endif
  (void)sum;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < a->n; i += FILTER_THREADS) far[i] = 0;
  for (uint32_t b = 0; b < o->chunks; b++) {
    const uint32_t first = b * FILTER_CHUNK + threadIdx.x * FILTER_ITEMS;
    uint32_t below[FILTER_ITEMS + 1];
#if FILTER_DRAWN == FILTER_RESIDUAL
    const double variance = filter_drawn_below(a, o, &q, b, first, below);
#else
    if (FILTER_ROUNDS > 1) {
      lane_real x[FILTER_ITEMS];
      uint64_t all;
      filter_logw(a, o, first, x);
      filter_sums(x, o->scale[b], c);
      start = filter_before_u64(c[FILTER_ITEMS - 1], &all, NULL);
    }
#if FILTER_DRAWN
    const double variance = filter_drawn_below(a, o, &q, b, c, start, below);
#else
    const double variance = filter_below(a, &p, o, b, c, start, below);
#endif
#endif
    rho += filter_offspring(a, o, first, below, variance, &dead, far, to);
#if !FILTER_DRAWN
    if (look) runs0 += filter_runs(a, &p, o, row + o->base, first, b, c, start, &carry0);
    if (look && open) runs1 += filter_runs(a, &p, o, a->lanes - row + o->base, first, b, c, start, &carry1);
#endif
    if (FILTER_ROUNDS > 1 && first < a->each) filter_store_u32(a->map + o->base + first, to);
  }
  __syncthreads();
  filter_fill(far, dead);
  __syncthreads();
  for (uint32_t b = 0; b < o->chunks; b++) {
    const uint32_t first = b * FILTER_CHUNK + threadIdx.x * FILTER_ITEMS;
    if (first >= a->each) continue;
    if (FILTER_ROUNDS > 1) filter_load_u32(a->map + o->base + first, to);
    filter_take(a, o, far, first, row, open, to);
    filter_store_u32(a->map + o->base + first, to);
  }
  rho /= (double)a->n;
#if !FILTER_DRAWN
  if (look) {
    runs0 = filter_sum_f64(runs0) / (double)a->n;
    if (open) runs1 = filter_sum_f64(runs1) / (double)a->n;
    if (!threadIdx.x) s->apart[0] = runs0 < rho ? runs0 / rho : 1;
    if (!threadIdx.x && open) s->apart[1] = runs1 < rho ? runs1 / rho : 1;
  }
#endif
  filter_passed(a, o, s, rho);
}

/* ---- the end of a leg --------------------------------------------------------------------------- */

KERNEL __launch_bounds__(FILTER_THREADS, FILTER_RESIDENT) filters_barrier(filters_args a)
{
  SHARED filter_state s;
  SHARED double scale[FILTER_ROUNDS], square[FILTER_ROUNDS];
  SHARED uint64_t sum[FILTER_ROUNDS], before[FILTER_ROUNDS];
  const uint32_t f = blockIdx.x, t = threadIdx.x;
  filter_own o;
  uint64_t c[FILTER_ITEMS], start = 0;          /* kept from the first pass to the second where there is one chunk */
  if (!t) s = a.state[f];
  o.base = (uint64_t)f * a.each;
  o.same = a.weighed ? 0 : a.same[f];
  o.chunks = (a.n + FILTER_CHUNK - 1) / FILTER_CHUNK;
  o.scale = scale;
  o.before = before;
  for (uint32_t b = 0; b < o.chunks; b++) {
    lane_real x[FILTER_ITEMS], top;
    uint64_t all;
    filter_logw(&a, &o, b * FILTER_CHUNK + t * FILTER_ITEMS, x);
    top = x[0];
    LANE_UNROLL for (int j = 1; j < FILTER_ITEMS; j++) top = x[j] > top ? x[j] : top;
    const double e = weights_scale(filter_most_f64((double)top));
    double squares = filter_sums(x, e, c);
    start = filter_before_u64(c[FILTER_ITEMS - 1], &all, &squares);
    if (!t) scale[b] = e, sum[b] = all, square[b] = squares;
  }
  __syncthreads();
  double squares = 0;
  o.most = -HUGE_VAL;
  o.total = 0;
  for (uint32_t b = 0; b < o.chunks; b++) o.most = scale[b] > o.most ? scale[b] : o.most;
  for (uint32_t b = 0; b < o.chunks; b++) {
    if (!t) before[b] = o.total;
    o.total += sum[b] >> weights_shift(scale[b], o.most, (int)a.k);
    squares += square[b] * weights_square_scale(scale[b], o.most);
  }
  __syncthreads();
  const double n = (double)a.n, all = (double)o.total * (double)(UINT64_C(1) << (62 - a.k)) * 0x1p-62;
  const double ess = all * all / squares;
  const bool dead = o.total == 0, due = !dead && a.map && (a.threshold >= 1 || ess <= a.threshold * n);
  if (!t && dead) atomicOr(a.flags, (uint32_t)FILTER_DEAD);
  if (!t && !dead) {
    const double now = s.log_z + (o.most * BLOCK_LN2 + log(all) - log(n));
    if (ess < s.least) s.least = ess;
    if (a.ess) {
      a.ess[f] = ess;
      a.evidence[f] = now;
      a.ancestors[f] = s.eves;
    }
    if (due) s.log_z = now;
  }
  if (due) {
    const uint32_t every = a.n < 4096 ? 4 : 16;
    const bool look = a.n >= 2 && s.resamplings % every == every - 1;
    if (look) filter_count(&a, &o, &s);
    if (look && s.bits & FILTER_OPEN && s.left < filter_few(a.n)) filter_shift(&a, &o, &s);
    filter_resample(&a, &o, &s, sum, c, start, look);
  } else
    for (uint32_t i = t; a.map && i < a.each; i += FILTER_THREADS) a.map[o.base + i] = (uint32_t)o.base + i;
  if (t) return;
  a.state[f] = s;
  a.same[f] = due ? 1 : o.same;
}

/* All begin: no weight, everyone its own ancestor. */
KERNEL filters_start(uint64_t lanes, uint32_t filters, uint32_t n, uint32_t each, filter_state *state, uint32_t *same,
                     uint16_t *of, uint16_t *eve)
{
  const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < lanes) of[i] = eve[i] = (uint16_t)(i % each);
  if (i >= filters) return;
  filter_state s = { 0, (double)n, 0, { 0, 0 }, { 1, 1 }, 0, n, n, 0 };
  state[i] = s;
  same[i] = 1;
}

/* to[i] = map[further[i]]; without a further one, that is the identity. */
KERNEL filters_compose(uint64_t lanes, const uint32_t *map, const uint32_t *further, uint32_t *to)
{
  const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < lanes) to[i] = map[further ? further[i] : i];
}
#endif
