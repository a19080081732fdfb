/* segment_lanes: what the text of a segment (graph/segment_text.h) is written in, for a device: a thread has
   SEG_R = 2 lanes, j and j + 8 of sixteen, which share the block of their normals (num/rng.h).  The macros
   have the names and the meaning of those in graph/segment_kernel.h; the dialect and block.h stand before.

       thread    0 .. 7          8 .. 15           of a block
       lanes     0 .. 7, 8 .. 15 | 16 .. 23, 24 .. 31 | ...

   Of populations side by side (SEG_PLATES) each has some blocks for itself, seg.rounds of them: its lanes lie from
   f * each on, and count from 0 where random numbers are concerned.

   Before this text stand SEG_SLOTS, SEG_INS, SEG_OUTS, SEG_MAPS and SEG_ARRAYS, how many there are of each
   (at least 1), and SEG_PLATES where populations are side by side.  Vectors of reals have the dialect's format, of
   integers 64 bits, of booleans a byte.

   A lane whose weight is 0 already raises no flag; nor does one behind the last. */
#ifndef NORN_SEGMENT_LANES_H
#define NORN_SEGMENT_LANES_H

enum { SEG_R = 2 };
#define SEG_NONE 0
#define lane_ints int64_t                      /* also with floats */

typedef union seg_cell { double d; int64_t i; uint64_t u; } seg_cell;
typedef struct seg_array { const void *at; int64_t n; } seg_array;
/* All of it words of eight bytes, as segment_gpu.c writes them. */
typedef struct seg_args {
  uint64_t stream;
  uint32_t iter, n, room, fresh;               /* fresh: log weights are 0 */
  const lane_real *was;                        /* (n) log weights before, and after it */
  lane_real *logw;
  uint32_t *flags;
  seg_cell slot[SEG_SLOTS];
  const void *in[SEG_INS];
  void *out[SEG_OUTS];
  const uint32_t *map[SEG_MAPS];
  seg_array array[SEG_ARRAYS];
#ifdef SEG_PLATES
  const uint64_t *streams;                     /* (populations) */
  const uint32_t *all_same;                    /* (populations) in place of `fresh` */
  uint32_t each, rounds;                       /* lanes of one, a multiple of 16; blocks of one */
  const void *plate[SEG_PLATES];               /* (populations) */
#endif
} seg_args;

/* ---- the thread ---- */

#define SEG_EACH LANE_UNROLL for (int r = 0; r < SEG_R; r++)
/* SEG_K: which lane it is of its population; SEG_AT: where it lies. */
#define SEG_K(r) (seg_k + 8u * (uint32_t)(r))
#ifdef SEG_PLATES
#define SEG_AT(r) (seg_base + SEG_K(r))
#define SEG_STREAM seg_stream
#define SEG_WHERE                                                                                  \
    const uint32_t seg_f = blockIdx.x / seg.rounds, seg_base = seg_f * seg.each;                   \
    const uint32_t seg_thread = (blockIdx.x - seg_f * seg.rounds) * blockDim.x + threadIdx.x;      \
    const uint64_t seg_stream = seg.streams[seg_f];                                                \
    const uint32_t seg_fresh = seg.all_same[seg_f];                                                \
    (void)seg_stream, (void)seg_fresh;
#define SEG_PLATE_OF(k, type) ((const type *)seg.plate[k])[seg_f]
#define SEG_PLATE_REAL(u, k) const lanes u = SEG_PLATE_OF(k, lane_real); (void)u;
#define SEG_PLATE_INT(u, k) const lane_ints u = SEG_PLATE_OF(k, int64_t); (void)u;
#define SEG_PLATE_BOOL(u, k) const lane_mask u = SEG_PLATE_OF(k, uint8_t) != 0; (void)u;
#else
#define SEG_AT(r) SEG_K(r)
#define SEG_STREAM seg.stream
#define SEG_WHERE                                                                                  \
    const uint32_t seg_thread = blockIdx.x * blockDim.x + threadIdx.x, seg_fresh = seg.fresh;      \
    (void)seg_fresh;
#endif
#define SEG_BEGIN                                                                                  \
  KERNEL norn_segment(seg_args seg)                                                                \
  {                                                                                                \
    SEG_WHERE                                                                                      \
    const uint32_t seg_k = seg_thread / 8 * 16 + seg_thread % 8;                                   \
    lane_mask seg_again = 0, seg_dies = 0;
#define SEG_LANES                                                                                  \
    if (seg_k < seg.n) {                                                                           \
      lane_mask seg_live[SEG_R];                                                                   \
      lanes seg_was[SEG_R], seg_w[SEG_R];                                                          \
      SEG_EACH {                                                                                   \
        seg_was[r] = seg_fresh || SEG_K(r) >= seg.n ? (lane_real)0 : seg.was[SEG_AT(r)];            \
        seg_live[r] = (SEG_K(r) < seg.n) & (seg_was[r] > -HUGE_VAL);                               \
        seg_w[r] = 0;                                                                              \
      }
#define SEG_END                                                                                    \
    }                                                                                              \
    const uint32_t seg_bits = (seg_again ? 1u : 0) | (seg_dies ? 2u : 0);                          \
    if (seg_bits & ~*(volatile uint32_t *)seg.flags) atomicOr(seg.flags, seg_bits);                \
  }

#define SEG_AGAIN(c) seg_again |= (c) & seg_live[r];
#define SEG_WEIGH(x)                                                                               \
  {                                                                                                \
    const lanes seg_x = (x);                                                                       \
    SEG_AGAIN(NOT(seg_x < HUGE_VAL))                                                               \
    seg_dies |= (seg_x == -HUGE_VAL) & seg_live[r];                                                \
    seg_w[r] += seg_x;                                                                             \
  }
#define SEG_WEIGHTS                                                                                \
  SEG_EACH if (SEG_K(r) < seg.n) seg.logw[SEG_AT(r)] = seg_live[r] ? seg_was[r] + seg_w[r] : seg_was[r];

/* ---- vectors and slots ---- */

#define SEG_REAL(v) lanes v[SEG_R];
#define SEG_INT(v) lane_ints v[SEG_R];
#define SEG_BOOL(v) lane_mask v[SEG_R];
#define SEG_SLOT_REAL(u, k) const lanes u = (lane_real)seg.slot[k].d; (void)u;
#define SEG_SLOT_INT(u, k) const lane_ints u = seg.slot[k].i; (void)u;
#define SEG_SLOT_BOOL(u, k) const lane_mask u = seg.slot[k].i != 0; (void)u;
#define SEG_WORD(k) ((uint32_t)seg.slot[k].u)
#define SEG_IN(type, i, at) ((const type *)seg.in[i])[at]
#define SEG_FROM(m) (SEG_K(r) < seg.n ? block_map_at(seg.map[m], seg.room, SEG_AT(r)) : 0)
#define SEG_LOAD_REAL(v, i) SEG_REAL(v) SEG_EACH v[r] = SEG_IN(lane_real, i, SEG_AT(r));
#define SEG_LOAD_INT(v, i) SEG_INT(v) SEG_EACH v[r] = SEG_IN(int64_t, i, SEG_AT(r));
#define SEG_LOAD_BOOL(v, i) SEG_BOOL(v) SEG_EACH v[r] = SEG_IN(uint8_t, i, SEG_AT(r)) != 0;
#define SEG_GATHER_REAL(v, i, m) SEG_REAL(v) SEG_EACH v[r] = SEG_IN(lane_real, i, SEG_FROM(m));
#define SEG_GATHER_INT(v, i, m) SEG_INT(v) SEG_EACH v[r] = SEG_IN(int64_t, i, SEG_FROM(m));
#define SEG_GATHER_BOOL(v, i, m) SEG_BOOL(v) SEG_EACH v[r] = SEG_IN(uint8_t, i, SEG_FROM(m)) != 0;
/* Of all lanes that have room, so that whole groups of threads write whole pieces of memory. */
#define SEG_STORE_REAL(o, x) ((lane_real *)seg.out[o])[SEG_AT(r)] = x;
#define SEG_STORE_INT(o, x) ((int64_t *)seg.out[o])[SEG_AT(r)] = x;
#define SEG_STORE_BOOL(o, x) ((uint8_t *)seg.out[o])[SEG_AT(r)] = (x) != 0;

/* ---- integers ---- */

DEVICE lanes seg_real(lane_ints x) { return (lanes)x; }
DEVICE lane_ints seg_pick(lane_mask c, lane_ints a, lane_ints b) { return c ? a : b; }
DEVICE lane_ints seg_add(lane_ints a, lane_ints b, lane_mask *bad)
{
  lane_ints z = (lane_ints)((uint64_t)a + (uint64_t)b);
  *bad |= ((a ^ z) & (b ^ z)) < 0;
  return z;
}
DEVICE lane_ints seg_sub(lane_ints a, lane_ints b, lane_mask *bad)
{
  lane_ints z = (lane_ints)((uint64_t)a - (uint64_t)b);
  *bad |= ((a ^ b) & (a ^ z)) < 0;
  return z;
}
DEVICE lane_ints seg_mul(lane_ints a, lane_ints b, lane_mask *bad)
{
  lane_ints z = (lane_ints)((uint64_t)a * (uint64_t)b);
  *bad |= a != 0 && ((a == -1 && b == INT64_MIN) || (a != -1 && z / a != b));
  return z;
}

#define SEG_ARITH(v, op, a, b) SEG_INT(v) SEG_EACH { lane_mask bad = 0; v[r] = op(a, b, &bad); SEG_AGAIN(bad) }
/* A draw as an integer: what doubles hold exactly, as a whole. */
#define SEG_TO_INT(v, x)                                                                           \
  SEG_INT(v) SEG_EACH {                                                                            \
    const lane_mask fits = (x < (lane_real)0x1p62) & (x > -(lane_real)0x1p62);                     \
    SEG_AGAIN(NOT(fits))                                                                           \
    v[r] = fits ? (lane_ints)(x) : 0;                                                              \
  }
#define SEG_INDEX_OF(v, a, i, type)                                                                \
  SEG_EACH {                                                                                       \
    const lane_ints at = i;                                                                        \
    const lane_mask inside = (at >= 0) & (at < seg.array[a].n);                                    \
    SEG_AGAIN(NOT(inside))                                                                         \
    v[r] = inside ? ((const type *)seg.array[a].at)[at] : 0;                                       \
  }
#define SEG_INDEX_REAL(v, a, i) SEG_REAL(v) SEG_INDEX_OF(v, a, i, lane_real)
#define SEG_INDEX_INT(v, a, i) SEG_INT(v) SEG_INDEX_OF(v, a, i, int64_t)
#define SEG_INDEX_BOOL(v, a, i) SEG_BOOL(v) SEG_INDEX_OF(v, a, i, uint8_t)

/* ---- random numbers and densities ---- */

#define SEG_NORMALS(v, k)                                                                          \
  SEG_REAL(v) lane_normals(SEG_STREAM, (lane_bits)seg_k, SEG_WORD(k), seg.iter, 0, &v[0], &v[1]);
#define SEG_UNIFORMS(v, k)                                                                         \
  SEG_REAL(v) SEG_EACH v[r] = lane_uniform(SEG_STREAM, (lane_bits)SEG_K(r), SEG_WORD(k), seg.iter, 0);
#define SEG_TERMS(t, varying) const terms t = NORN_KEEP_ALL; (void)t;

/* ---- one number after the other: draws that loop, functions by name ---- */

#define SEG_CALL_BEGIN(v) SEG_REAL(v) { lanes *const seg_o = v; lanes seg_p[5][SEG_R]; (void)seg_p;
#define SEG_PARAMETER(i, x) SEG_EACH seg_p[i][r] = x;
#define SEG_CALL_END(v) }
#define SEG_P(i) seg_p[i][r]
#define SEG_CALL_0(f) f(&seg_g)
#define SEG_CALL_1(f) f(&seg_g, SEG_P(0))
#define SEG_CALL_2(f) f(&seg_g, SEG_P(0), SEG_P(1))
#define SEG_CALL_3(f) f(&seg_g, SEG_P(0), SEG_P(1), SEG_P(2))
#define SEG_CALL_4(f) f(&seg_g, SEG_P(0), SEG_P(1), SEG_P(2), SEG_P(3))
/* Not with parameters that are outside of their domain: it might not end. */
#define SEG_SAMPLE(name, np, op, k)                                                                \
  SEG_EACH {                                                                                       \
    norn_rng seg_g;                                                                                \
    seg_g.stream = SEG_STREAM, seg_g.lane = SEG_K(r), seg_g.event = SEG_WORD(k);                   \
    seg_g.iter = seg.iter, seg_g.draw = 0;                                                         \
    seg_o[r] = seg_live[r] && !seg_again ? SEG_CALL_##np(name##_sample) : (lane_real)0;            \
  }
#define SEG_FUN(name, op) SEG_EACH seg_o[r] = fun_##name(SEG_P(0));
#ifdef NORN_OP_FUNCTIONS
DEVICE lane_real fun_log(lane_real x) { return v_log(x); }
DEVICE lane_real fun_log1p(lane_real x) { return (lane_real)log1p(x); }
DEVICE lane_real fun_expm1(lane_real x) { return (lane_real)expm1(x); }
#endif
#endif
