/* segment_kernel: what the text of a segment (segment_text.h) is written in, for CPUs: a step goes over
   SEG_STEP lanes as SEG_R registers of the dialect (num/lane.h): 16, so that lanes j and j + 8 share the
   block of their normals (num/rng.h), or 32, so that two registers of blocks go side by side.  Embedded in the
   binary before generated text; other targets have macros of the same names.

     SEG_BEGIN  slots, terms and what is the same in all lanes
     SEG_LANES  the steps; a value v of lanes is an array, v[r] in SEG_EACH
     SEG_END

   A step at the end may have less lanes: numbers behind the last are computed like others, but
   raise no flag. */
#ifndef NORN_SEGMENT_KERNEL_H
#define NORN_SEGMENT_KERNEL_H
#include "num/philox.h"
#include "dist/kernel_draw.h"
#include "dist/domains.h"
#include "dist/terms.h"
#include "dist/kernel_real.h"
#include "dist/kernel_count.h"
#if !defined __CUDACC_RTC__ && !defined NORN_F32

enum { SEG_STEP = LANES == 8 ? 32 : 16, SEG_R = SEG_STEP / LANES };

typedef union seg_cell { double d; int64_t i; uint64_t u; } seg_cell;
typedef struct seg_array { const void *at; int64_t n; } seg_array;
/* What generated code is called with.  key: those of the ten rounds of Philox, two each.  each: operation
   `op` for m lanes from k on, for what has no text: parameters p (32 numbers for each) to out. */
typedef struct seg_args {
  const seg_cell *slot, *plate;
  const void *const *in;
  void *const *out;
  const uint32_t *const *map;
  const seg_array *array;
  double *weights;
  uint64_t stream;
  uint32_t iter, n;
  void (*each)(const struct seg_args *, unsigned op, uint32_t event, uint32_t k, uint32_t m, const double *p,
               double *out);
  const void *self;
  uint64_t key[20];
} seg_args;

#define SEG_INLINE static inline __attribute__((always_inline))

/* ---- registers ---- */

#if LANES == 1
#define SEG_NONE 0
SEG_INLINE lane_mask seg_truth(lane_ints x) { return x != 0; }
SEG_INLINE lane_ints seg_cells(lane_mask c) { return c; }
SEG_INLINE lanes seg_real(lane_ints x) { return (lanes)x; }
SEG_INLINE lane_ints seg_whole(lanes x) { return (lane_ints)x; }
SEG_INLINE lane_ints seg_pick(lane_mask c, lane_ints a, lane_ints b) { return c ? a : b; }
SEG_INLINE lane_ints seg_gather(const void *x, const uint32_t *at)
{
  return ((const lane_ints *)x)[*at];
}
SEG_INLINE int64_t seg_at(lane_ints x, int i) { return (void)i, x; }
SEG_INLINE void seg_set(lane_ints *x, int i, int64_t v) { (void)i, *x = v; }
#else
#define SEG_NONE ((lane_mask){0})
SEG_INLINE lane_mask seg_truth(lane_ints x) { return x != 0; }
SEG_INLINE lane_ints seg_cells(lane_mask c) { return c & 1; }
SEG_INLINE lanes seg_real(lane_ints x) { return __builtin_convertvector(x, lanes); }
SEG_INLINE lane_ints seg_whole(lanes x) { return __builtin_convertvector(x, lane_ints); }
SEG_INLINE lane_ints seg_pick(lane_mask c, lane_ints a, lane_ints b) { return (c & a) | (~c & b); }
SEG_INLINE lane_ints seg_gather(const void *x, const uint32_t *at)
{
#ifdef LANE_X_GATHER
  lane_places k;
  memcpy(&k, at, sizeof k);
  return (lane_ints)LANE_X_GATHER(x, k);
#else
  lane_ints z;
  for (int i = 0; i < LANES; i++) z[i] = ((const int64_t *)x)[at[i]];
  return z;
#endif
}
SEG_INLINE int64_t seg_at(lane_ints x, int i) { return x[i]; }
SEG_INLINE void seg_set(lane_ints *x, int i, int64_t v) { (*x)[i] = v; }
#endif
SEG_INLINE lane_ints seg_ints(lanes x) { return (lane_ints)lane_to_bits(x); }
SEG_INLINE lanes seg_lanes(lane_ints x) { return lane_of((lane_bits)x); }
SEG_INLINE lane_ints seg_load(const void *p) { lane_ints x; memcpy(&x, p, sizeof x); return x; }
SEG_INLINE void seg_store(void *p, lane_ints x) { memcpy(p, &x, sizeof x); }
SEG_INLINE lane_mask seg_negative(lane_ints x) { return x < 0; }
SEG_INLINE lane_bits seg_product(lane_bits a, lane_bits b)      /* of the low halves */
{
#if LANES == 1
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#else
  return lane_half_product(a, b);
#endif
}

/* Sums and products of integers wrap around; *bad: where one did. */
SEG_INLINE lane_ints seg_add(lane_ints a, lane_ints b, lane_mask *bad)
{
  lane_ints z = (lane_ints)((lane_bits)a + (lane_bits)b);
  *bad = *bad | seg_negative((a ^ z) & (b ^ z));
  return z;
}
SEG_INLINE lane_ints seg_sub(lane_ints a, lane_ints b, lane_mask *bad)
{
  lane_ints z = (lane_ints)((lane_bits)a - (lane_bits)b);
  *bad = *bad | seg_negative((a ^ b) & (a ^ z));
  return z;
}
SEG_INLINE lane_ints seg_mul(lane_ints a, lane_ints b, lane_mask *bad)
{
  lane_ints z = a, over = a;
  for (int i = 0; i < LANES; i++) {
    int64_t product;
    seg_set(&over, i, __builtin_mul_overflow(seg_at(a, i), seg_at(b, i), &product));
    seg_set(&z, i, product);
  }
  *bad = *bad | seg_truth(over);
  return z;
}

/* ---- a step ---- */

#define SEG_BEGIN                                                                                  \
  unsigned norn_segment(const seg_args *, uint32_t, uint32_t);                                     \
  unsigned norn_segment(const seg_args *seg, uint32_t seg_from, uint32_t seg_to)                   \
  {                                                                                                \
    lane_mask seg_again = SEG_NONE, seg_dies = SEG_NONE;
#define SEG_LANES                                                                                  \
    for (uint32_t seg_k = seg_from; seg_k < seg_to; seg_k += SEG_STEP) {                                 \
      const uint32_t seg_m = seg_to - seg_k < SEG_STEP ? seg_to - seg_k : SEG_STEP;                \
      lane_mask seg_live[SEG_R];                                                                   \
      lanes seg_w[SEG_R] = {{0}};                                                                  \
      SEG_EACH seg_live[r] = seg_below((uint32_t)r * LANES, seg_m);                                \
      (void)seg_w;
#define SEG_END                                                                                    \
    }                                                                                              \
    return (ANY(seg_again) ? 1u : 0) | (ANY(seg_dies) ? 2u : 0);                                   \
  }
#define SEG_EACH _Pragma("GCC unroll 16") for (int r = 0; r < SEG_R; r++)

/* Which of `first` + 0, 1, ... are below m. */
SEG_INLINE lane_mask seg_below(uint32_t first, uint32_t m)
{
  return (lane_ints)(lane_count(first)) < (int64_t)m + (lane_ints)SEG_NONE;
}

#define SEG_REAL(v) lanes v[SEG_R];
#define SEG_INT(v) lane_ints v[SEG_R];
#define SEG_BOOL(v) lane_mask v[SEG_R];
#define SEG_SLOT_REAL(u, k) const lanes u = LANE(seg->slot[k].d); (void)u;
#define SEG_SLOT_INT(u, k) const lane_ints u = seg->slot[k].i + (lane_ints)SEG_NONE; (void)u;
#define SEG_SLOT_BOOL(u, k) const lane_mask u = seg_truth(seg->slot[k].i + (lane_ints)SEG_NONE); (void)u;
/* What the population has whose lanes these are. */
#define SEG_PLATE_REAL(u, k) const lanes u = LANE(seg->plate[k].d); (void)u;
#define SEG_PLATE_INT(u, k) const lane_ints u = seg->plate[k].i + (lane_ints)SEG_NONE; (void)u;
#define SEG_PLATE_BOOL(u, k) const lane_mask u = seg_truth(seg->plate[k].i + (lane_ints)SEG_NONE); (void)u;
/* What a slot of a draw holds: the event's word of the counter. */
#define SEG_WORD(k) ((uint32_t)seg->slot[k].u)
#define SEG_AT(p, r) ((const char *)(p) + 8 * ((size_t)seg_k + (size_t)(r) * LANES))
#define SEG_IN(i) seg_load(SEG_AT(seg->in[i], r))
#define SEG_GATHER(i, m) seg_gather(seg->in[i], seg->map[m] + seg_k + r * LANES)
#define SEG_OUT(o) ((char *)seg->out[o] + 8 * ((size_t)seg_k + (size_t)r * LANES))
#define SEG_LOAD_REAL(v, i) SEG_REAL(v) SEG_EACH v[r] = seg_lanes(SEG_IN(i));
#define SEG_LOAD_INT(v, i) SEG_INT(v) SEG_EACH v[r] = SEG_IN(i);
#define SEG_LOAD_BOOL(v, i) SEG_BOOL(v) SEG_EACH v[r] = seg_truth(SEG_IN(i));
#define SEG_GATHER_REAL(v, i, m) SEG_REAL(v) SEG_EACH v[r] = seg_lanes(SEG_GATHER(i, m));
#define SEG_GATHER_INT(v, i, m) SEG_INT(v) SEG_EACH v[r] = SEG_GATHER(i, m);
#define SEG_GATHER_BOOL(v, i, m) SEG_BOOL(v) SEG_EACH v[r] = seg_truth(SEG_GATHER(i, m));
#define SEG_STORE_REAL(o, x) seg_store(SEG_OUT(o), seg_ints(x));
#define SEG_STORE_INT(o, x) seg_store(SEG_OUT(o), x);
#define SEG_STORE_BOOL(o, x) seg_store(SEG_OUT(o), seg_cells(x));

/* ---- flags and weights ---- */

#define SEG_AGAIN(c) seg_again = seg_again | ((c) & seg_live[r]);
#define SEG_WEIGH(x)                                                                               \
  {                                                                                                \
    const lanes seg_x = (x);                                                                       \
    SEG_AGAIN(NOT(seg_x < HUGE_VAL))                                                               \
    seg_dies = seg_dies | ((seg_x == -HUGE_VAL) & seg_live[r]);                                    \
    seg_w[r] = seg_w[r] + seg_x;                                                                   \
  }
#define SEG_WEIGHTS SEG_EACH lane_store(seg->weights + seg_k + r * LANES, seg_w[r]);

/* Terms of densities that are computed once; `many`: bit i is set where argument i differs by lane. */
#if LANES == 1 && !defined NORN_MEMO
#define SEG_TERMS(t, varying) const terms t = ~0u; (void)t;
#elif LANES == 1
#define SEG_TERMS(t, varying)                                                                      \
  struct term_memo t##_memo;                                                                       \
  const terms t = &t##_memo;                                                                       \
  t->many = (varying);                                                                             \
  memset(t->done, 0, sizeof t->done);
#else
#define SEG_TERMS(t, varying)                                                                      \
  struct term_memo t##_memo;                                                                       \
  const terms t = &t##_memo;                                                                       \
  t->keep = ~0u, t->many = (varying);                                                              \
  memset(t->done, 0, sizeof t->done);
#endif

/* ---- integers ---- */

#define SEG_ARITH(v, op, a, b)                                                                     \
  SEG_INT(v) SEG_EACH { lane_mask bad = SEG_NONE; v[r] = op(a, b, &bad); SEG_AGAIN(bad) }
/* A draw as an integer: what doubles hold exactly, as a whole. */
#define SEG_TO_INT(v, x)                                                                           \
  SEG_INT(v) SEG_EACH {                                                                            \
    const lane_mask fits = (x < 0x1p62) & (x > -0x1p62);                                           \
    SEG_AGAIN(NOT(fits))                                                                           \
    v[r] = seg_whole(SEL(fits, x, 0));                                                             \
  }
#define SEG_INDEX_OF(v, a, i, type, convert)                                                       \
  SEG_EACH {                                                                                       \
    const int64_t seg_n = seg->array[a].n;                                                         \
    const lane_ints at = i;                                                                        \
    const lane_mask inside = (at >= 0) & (at < seg_n + (lane_ints)SEG_NONE);                       \
    SEG_AGAIN(NOT(inside))                                                                         \
    lane_ints got = (lane_ints)SEG_NONE;                                                           \
    for (int j = 0; j < LANES; j++) {                                                              \
      int64_t k = seg_at(at, j), x = 0;                                                            \
      if (k >= 0 && k < seg_n) x = (int64_t)((const type *)seg->array[a].at)[k];                   \
      seg_set(&got, j, x);                                                                         \
    }                                                                                              \
    v[r] = convert(got);                                                                           \
  }
#define SEG_INDEX_REAL(v, a, i) SEG_REAL(v) SEG_INDEX_OF(v, a, i, int64_t, seg_lanes)
#define SEG_INDEX_INT(v, a, i) SEG_INT(v) SEG_INDEX_OF(v, a, i, int64_t, )
#define SEG_INDEX_BOOL(v, a, i) SEG_BOOL(v) SEG_INDEX_OF(v, a, i, uint8_t, seg_truth)

/* ---- random numbers ---- */

#define SEG_NORMALS(v, k) SEG_REAL(v) seg_normals(v, seg, seg_k, SEG_WORD(k));
#define SEG_UNIFORMS(v, k) SEG_REAL(v) seg_uniforms(v, seg, seg_k, SEG_WORD(k));

/* The lane of register r of a step's first halves: 0 .. 7, 16 .. 23; the others are 8 lanes on. */
#define SEG_FIRST(r) ((uint32_t)((r) * LANES / 8 * 16 + (r) * LANES % 8))

/* lane_philox of registers side by side, with keys that lie in memory. */
SEG_INLINE void seg_philox(const seg_args *a, int many, lane_block *b)
{
  const lane_bits none = {0};
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 16
    for (int r = 0; r < many; r++) {
      lane_bits p = seg_product(b[r].w[0], none + 0xd2511f53u);
      lane_bits q = seg_product(b[r].w[2], none + 0xcd9e8d57u);
      b[r].w[0] = q >> 32 ^ b[r].w[1] ^ (none + a->key[2 * round]);
      b[r].w[2] = p >> 32 ^ b[r].w[3] ^ (none + a->key[2 * round + 1]);
      b[r].w[1] = q;
      b[r].w[3] = p;
    }
  }
}

/* Lanes k .. k + SEG_STEP - 1, k a multiple of 16: a block makes numbers j and j + 8 of sixteen. */
SEG_INLINE void seg_normals(lanes *z, const seg_args *a, uint32_t k, uint32_t event)
{
  enum { HALF = SEG_R / 2 };
  const lane_bits none = {0};
  lane_block b[HALF];
#pragma GCC unroll 16
  for (int r = 0; r < HALF; r++)
    b[r] = (lane_block){{ lane_count(k + SEG_FIRST(r)), none + event, none + a->iter, none + RNG_NORMAL }};
  seg_philox(a, HALF, b);
#pragma GCC unroll 16
  for (int r = 0; r < HALF; r++)
    lane_box_muller(&b[r], &z[SEG_FIRST(r) / LANES], &z[(SEG_FIRST(r) + 8) / LANES]);
}

SEG_INLINE void seg_uniforms(lanes *z, const seg_args *a, uint32_t k, uint32_t event)
{
  const lane_bits none = {0};
  lane_block b[SEG_R];
#pragma GCC unroll 16
  for (int r = 0; r < SEG_R; r++)
    b[r] = (lane_block){{ lane_count(k + (uint32_t)(r * LANES)), none + event, none + a->iter, none }};
  seg_philox(a, SEG_R, b);
#pragma GCC unroll 16
  for (int r = 0; r < SEG_R; r++) z[r] = lane_unit(b[r].w[0], b[r].w[1]);
}

/* ---- what has no text: a call for each lane ---- */

#define SEG_CALL_BEGIN(v) SEG_REAL(v) { double seg_p[5 * 32] = {0}, seg_o[32] = {0};
#define SEG_PARAMETER(i, x) SEG_EACH lane_store(seg_p + 32 * (i) + r * LANES, LANE(x));
#define SEG_CALL_END(v) SEG_EACH v[r] = lane_load(seg_o + r * LANES); }
#define SEG_EACH_LANE(op, event) seg->each(seg, op, event, seg_k, seg_m, seg_p, seg_o);
#define SEG_SAMPLE(name, np, op, k) SEG_EACH_LANE(op, SEG_WORD(k))
#define SEG_LOGP(name, np, op) SEG_EACH_LANE(op, 0)
#define SEG_INSIDE(name, np, op) SEG_EACH_LANE(op, 0)
#define SEG_FUN(name, op) SEG_EACH_LANE(op, 0)
#endif
#endif
