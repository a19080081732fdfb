/* drawn: residual and multinomial resampling on a device, with the counts that the CPU has
   (infer/particles/resample.c): behind block.h (BLOCK_NO_KERNELS will do) and num/points.h, in the same dialect and
   with the same twin on the host.

   m points are drawn in order, m = n (multinomial), or what the whole parts of residual resampling leave, which the
   host never learns:

       residual_scale, residual_chunks, residual_total   whole parts, fractions and their sums before each chunk; m
       points_chunks, points_total, points_place         points: their spacings added up
       drawn_bounds                                      how many points lie before each chunk of particles
       drawn_ancestors                                   before each particle; then the map (weights_lay)

   A particle gets the points between its running sum and the one before it, of weights or of fractions.  The
   running sums are whole numbers: of weights as block.h has them, of fractions in units of 2^-K.  Points are
   positive doubles, whose bits rise as they do: they are compared as uint64_t.

   An expected number of offspring is made of the particle's own 52 bits and the sum of all in doubles, so that
   equal weights are equal whatever the shifts of their chunks drop.

   DRAWN_NO_KERNELS: the functions alone, which many filters side by side have too (filter_block.h). */
#ifndef NORN_DRAWN_H
#define NORN_DRAWN_H

/* Of residual resampling what all chunks share. */
typedef struct drawn_all {
  double scale;                  /* n / the sum of weights, in units of 2^(52 - greatest scale) */
  uint64_t rest;                 /* sum of the fractions */
  uint32_t points;               /* m */
} drawn_all;

/* 2^-down, down whole and >= 0 */
DEVICE double drawn_power(double down)
{
  double power;
  uint64_t bits = down < 1000 ? (uint64_t)(1023 - (int)down) << 52 : 0;
  memcpy(&power, &bits, 8);
  return power;
}

/* What a thread of the one block that goes through all chunks has of them: from .. to. */
DEVICE uint32_t drawn_from(uint32_t chunks, int t)
{
  uint32_t each = (chunks + BLOCK_THREADS - 1) / BLOCK_THREADS, from = (uint32_t)t * each;
  return from < chunks ? from : chunks;
}

/* x (chunks) becomes the sum of those before each; the sum of all.  w: scratch (2, BLOCK_THREADS). */
#define DRAWN_BEFORE(name, type, scan)                                                             \
  DEVICE type name(type *x, uint32_t chunks, type *w)                                              \
  {                                                                                                \
    PHASE(t) {                                                                                     \
      type here = 0;                                                                               \
      for (uint32_t b = drawn_from(chunks, t); b < drawn_from(chunks, t + 1); b++) here += x[b];   \
      w[t] = here;                                                                                 \
    }                                                                                              \
    scan(w);                                                                                       \
    PHASE(t) {                                                                                     \
      type before = t ? w[t - 1] : 0;                                                              \
      for (uint32_t b = drawn_from(chunks, t); b < drawn_from(chunks, t + 1); b++) {               \
        type here = x[b];                                                                          \
        x[b] = before;                                                                             \
        before += here;                                                                            \
      }                                                                                            \
    }                                                                                              \
    return w[BLOCK_THREADS - 1];                                                                   \
  }
DRAWN_BEFORE(drawn_before_u64, uint64_t, block_scan_u64)
DRAWN_BEFORE(drawn_before_u32, uint32_t, block_scan_u32)

/* The place of a running sum in 0 .. 1, as points are. */
DEVICE uint64_t drawn_bits(uint64_t c, uint64_t total)
{
  double x = (double)c / (double)total;
  uint64_t bits;
  memcpy(&bits, &x, 8);
  return bits;
}

/* How many of the points at[low .. high) lie below x, and `low`. */
DEVICE uint32_t drawn_below(const uint64_t *at, uint32_t low, uint32_t high, uint64_t x)
{
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (at[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* ---- residual: whole parts and fractions ---- */

/* Of a chunk of scale e: what one unit of its weights expects. */
DEVICE double drawn_unit(const drawn_all *d, double e, double most)
{
  return e > -HUGE_VAL ? drawn_power(most - e) * d->scale : 0;
}
/* Offspring that are expected of a particle. */
DEVICE double drawn_expected(lane_real logw, double e, double worth)
{
  return worth > 0 ? (double)weights_fixed(weights_unit(logw, e)) * worth : 0;
}
DEVICE uint64_t drawn_fraction(double x, uint32_t whole, int k)
{
  return (uint64_t)(points_rest(x, whole) * (double)((uint64_t)1 << k));
}

#ifndef DRAWN_NO_KERNELS
/* By one block. */
KERNEL residual_scale(uint32_t n, uint32_t chunks, const double *scale, const uint64_t *sum, const weights_all *all,
                      drawn_all *d)
{
  SHARED double s[BLOCK_THREADS];
  double most = all->scale;
  PHASE(t) {
    double here = 0;
    for (uint32_t b = drawn_from(chunks, t); b < drawn_from(chunks, t + 1); b++)
      if (scale[b] > -HUGE_VAL) here += (double)sum[b] * drawn_power(most - scale[b]);
    s[t] = here;
  }
  block_sum_f64(s);
  PHASE(t) if (!t) d->scale = s[0] > 0 ? (double)n / s[0] : 0;
}

/* Of each chunk the sums: whole (chunks), rest (chunks). */
KERNEL residual_chunks(const lane_real *logw, int k, const double *scale, const weights_all *all, const drawn_all *d,
                       uint32_t *whole, uint64_t *rest)
{
  SHARED uint64_t w[2 * BLOCK_THREADS];
  SHARED uint32_t s[BLOCK_THREADS];
  const lane_real *from = logw + (int64_t)BLOCK_NUMBER * BLOCK_CHUNK;
  double e = scale[BLOCK_NUMBER], worth = drawn_unit(d, e, all->scale);
  PHASE(t) {
    lane_real x[BLOCK_ITEMS];
    uint64_t rest_here = 0;
    uint32_t whole_here = 0;
    block_load(from + t * BLOCK_ITEMS, x);
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      double y = drawn_expected(x[j], e, worth);
      uint32_t certain = points_whole(y);
      whole_here += certain;
      rest_here += drawn_fraction(y, certain, k);
    }
    s[t] = whole_here;
    w[t] = rest_here;
  }
  block_sum_u32(s);
  block_scan_u64(w);
  PHASE(t)
    if (!t) {
      whole[BLOCK_NUMBER] = s[0];
      rest[BLOCK_NUMBER] = w[BLOCK_THREADS - 1];
    }
}

/* By one block: whole, rest: what is before each chunk. */
KERNEL residual_total(uint32_t n, uint32_t chunks, uint32_t *whole, uint64_t *rest, drawn_all *d)
{
  SHARED uint64_t w[2 * BLOCK_THREADS];
  SHARED uint32_t s[2 * BLOCK_THREADS];
  uint64_t fractions = drawn_before_u64(rest, chunks, w);
  uint32_t certain = drawn_before_u32(whole, chunks, s);
  PHASE(t)
    if (!t) {
      d->rest = fractions;
      d->points = n - certain;
    }
}

/* ---- points ---- */

DEVICE uint32_t drawn_points(const weights_points *p, const drawn_all *d) { return d ? d->points : p->n; }

/* Of each chunk of points the running sums of spacings, at (room), and their sum.  The k-th point is made of the
   k-th uniform number of the counter (lane, event 0, iter).  d: NULL: n points. */
KERNEL points_chunks(weights_points p, const drawn_all *d, uint64_t *at, uint64_t *sum)
{
  SHARED uint64_t w[2 * BLOCK_THREADS];
  uint64_t c[BLOCK_OWN][BLOCK_ITEMS];
  uint32_t first = BLOCK_NUMBER * BLOCK_CHUNK, m = drawn_points(&p, d);
  PHASE(t) {
    uint64_t here = 0;
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      uint32_t i = first + (uint32_t)(t * BLOCK_ITEMS + j);
      if (i < m) {
        rng_block b = rng_philox(p.lane, 0, p.iter, i, p.stream);
        here += points_spacing(rng_unit(b.w[0], b.w[1]), m - i);
      }
      OWN(c, t)[j] = here;
    }
    w[t] = here;
  }
  block_scan_u64(w);
  PHASE(t) {
    uint64_t before = t ? w[t - 1] : 0;
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      uint32_t i = first + (uint32_t)(t * BLOCK_ITEMS + j);
      if (i < m) at[i] = before + OWN(c, t)[j];
    }
    if (!t) sum[BLOCK_NUMBER] = w[BLOCK_THREADS - 1];
  }
}

/* By one block: sum: of all chunks before each. */
KERNEL points_total(uint32_t chunks, uint64_t *sum)
{
  SHARED uint64_t w[2 * BLOCK_THREADS];
  drawn_before_u64(sum, chunks, w);
}

/* at: the points themselves, as bits. */
KERNEL points_place(weights_points p, const drawn_all *d, const uint64_t *sum, uint64_t *at)
{
  uint32_t first = BLOCK_NUMBER * BLOCK_CHUNK, m = drawn_points(&p, d);
  uint64_t before = sum[BLOCK_NUMBER];
  PHASE(t)
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      uint32_t i = first + (uint32_t)(j * BLOCK_THREADS + t);
      if (i >= m) break;
      double x = points_at(before + at[i]);
      memcpy(at + i, &x, 8);
    }
}

/* ---- ancestors ---- */

/* bound (chunks + 1): how many points lie before each chunk.  base (chunks): its running sum, of weights or (d) of
   fractions. */
KERNEL drawn_bounds(weights_points p, uint32_t chunks, const uint64_t *base, const weights_all *all,
                    const drawn_all *d, const uint64_t *at, uint32_t *bound)
{
  uint64_t total = d ? d->rest : all->sum;
  uint32_t m = drawn_points(&p, d);
  PHASE(t) {
    uint32_t b = BLOCK_NUMBER * BLOCK_THREADS + (uint32_t)t;
    if (b < chunks) bound[b] = base[b] >= total ? m : drawn_below(at, 0, m, drawn_bits(base[b], total));
    else if (b == chunks) bound[b] = m;
  }
}

/* As weights_ancestors.  whole: NULL: multinomial; then base, d are those of fractions. */
KERNEL drawn_ancestors(const lane_real *logw, int k, weights_points p, const double *scale, const uint64_t *base,
                       const uint32_t *whole, const drawn_all *d, const uint64_t *at, const uint32_t *bound,
                       weights_all *all, uint32_t begun, uint32_t epoch, uint64_t *status, uint32_t room,
                       uint32_t *map, double *spread)
{
  SHARED uint64_t w[2 * BLOCK_THREADS];
  SHARED uint32_t s[2 * BLOCK_THREADS], chunk;
  SHARED double v[BLOCK_THREADS];
  uint32_t below[BLOCK_OWN][BLOCK_ITEMS + 1];
  uint64_t c[BLOCK_OWN][BLOCK_ITEMS];
  PHASE(t) if (!t) chunk = block_fetch_add(&all->at, 1) - begun;
  uint32_t b = chunk, first = b * BLOCK_CHUNK, m = drawn_points(&p, d);
  uint64_t total = d ? d->rest : all->sum, before = base[b];
  double e = scale[b], worth = d ? drawn_unit(d, e, all->scale) : 0;
  uint32_t shift = d ? 0 : weights_shift(e, all->scale, k), certain = whole ? whole[b] : 0;
  PHASE(t) {                                    /* running sums of a thread's particles */
    lane_real x[BLOCK_ITEMS];
    double variance = 0;
    uint64_t sum = 0;
    uint32_t sum_whole = 0;
    block_load(logw + first + t * BLOCK_ITEMS, x);
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      if (d) {
        double y = drawn_expected(x[j], e, worth), f;
        uint32_t here = points_whole(y);
        f = points_rest(y, here);
        sum += drawn_fraction(y, here, k);
        sum_whole += here;
        variance += m ? f * (1 - f / (double)m) : 0;
      } else if (e > -HUGE_VAL) sum += weights_fixed(weights_unit(x[j], e));
      OWN(c, t)[j] = sum;
      OWN(below, t)[j + 1] = sum_whole;
    }
    w[t] = sum;
    s[t] = sum_whole;
    v[t] = variance;
  }
  block_scan_u64(w);
  block_scan_u32(s);
  PHASE(t) {                                    /* in the sums of all; points before a thread's first */
    uint64_t start = t ? w[t - 1] : 0, from = before + (start >> shift);
    uint32_t sure = certain + (t ? s[t - 1] : 0);
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      OWN(c, t)[j] = before + ((start + OWN(c, t)[j]) >> shift);
      OWN(below, t)[j + 1] += sure;
      if (d) continue;
      double x = weights_place(OWN(c, t)[j] - (j ? OWN(c, t)[j - 1] : from), total, p.n);
      v[t] += x * (1 - x / (double)p.n);
    }
    s[BLOCK_THREADS + t] = !t ? bound[b] : from >= total ? m
                           : drawn_below(at, bound[b], bound[b + 1], drawn_bits(from, total));
    OWN(below, t)[0] = sure + s[BLOCK_THREADS + t];
  }
  PHASE(t) {                                    /* and before its others: between its first and the next thread's */
    uint32_t points = s[BLOCK_THREADS + t], end = t + 1 < BLOCK_THREADS ? s[BLOCK_THREADS + t + 1] : bound[b + 1];
    for (int j = 0; j < BLOCK_ITEMS; j++) {
      uint64_t to = OWN(c, t)[j];
      points = j + 1 == BLOCK_ITEMS || to >= total ? end : drawn_below(at, points, end, drawn_bits(to, total));
      OWN(below, t)[j + 1] += points;
    }
  }
  block_sum_f64(v);
  PHASE(t) if (!t) spread[b] = v[0];
  weights_lay(p.n, b, below, epoch, status, room, map);
}
#endif
#endif
