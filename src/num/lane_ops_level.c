/* lane_ops_level: the loops of lane_ops.h, compiled once per CPU level (src/num/local.mk). */
#include "num/lane_ops.h"
#include "num/vspecial.h"

#define OPS_JOIN(a, b) a##b
#define OPS_NAME(a, b) OPS_JOIN(a, b)
#define INLINE static inline __attribute__((always_inline))

/* ---- two operands ---- */

typedef lanes (*formula)(lanes x, lanes y);

INLINE lanes truth(lane_mask c) { return lane_of((lane_bits)c & 1); }
INLINE lanes op_add(lanes x, lanes y) { return x + y; }
INLINE lanes op_sub(lanes x, lanes y) { return x - y; }
INLINE lanes op_mul(lanes x, lanes y) { return x * y; }
INLINE lanes op_div(lanes x, lanes y) { return x / y; }
INLINE lanes op_lt(lanes x, lanes y) { return truth(x < y); }
INLINE lanes op_le(lanes x, lanes y) { return truth(x <= y); }
INLINE lanes op_eq(lanes x, lanes y) { return truth(x == y); }
INLINE lanes op_ne(lanes x, lanes y) { return truth(x != y); }

INLINE void loop(double *z, const double *x, int xs, const double *y, int ys, size_t n, formula f)
{
  lanes a = LANE(x[0]), b = LANE(y[0]);
  if (xs && ys) for (size_t k = 0; k < n; k += LANES) lane_store(z + k, f(lane_load(x + k), lane_load(y + k)));
  else if (xs) for (size_t k = 0; k < n; k += LANES) lane_store(z + k, f(lane_load(x + k), b));
  else for (size_t k = 0; k < n; k += LANES) lane_store(z + k, f(a, lane_load(y + k)));
}

static void op(int which, void *z, const double *x, int xs, const double *y, int ys, size_t n)
{
  switch (which) {
  case LANE_OP_ADD: loop(z, x, xs, y, ys, n, op_add); break;
  case LANE_OP_SUB: loop(z, x, xs, y, ys, n, op_sub); break;
  case LANE_OP_MUL: loop(z, x, xs, y, ys, n, op_mul); break;
  case LANE_OP_DIV: loop(z, x, xs, y, ys, n, op_div); break;
  case LANE_OP_LT: loop(z, x, xs, y, ys, n, op_lt); break;
  case LANE_OP_LE: loop(z, x, xs, y, ys, n, op_le); break;
  case LANE_OP_EQ: loop(z, x, xs, y, ys, n, op_eq); break;
  default: loop(z, x, xs, y, ys, n, op_ne); break;
  }
}

/* ---- one ---- */

#define EACH(e) \
  for (size_t k = 0; k < n; k += LANES) { const lanes v = lane_load(x + k); lane_store(z + k, e); } \
  break

static void map(int which, double *z, const double *x, size_t n)
{
  switch (which) {
  case LANE_MAP_NEG: EACH(-v);
  case LANE_MAP_SQRT: EACH(lane_sqrt(v));
  case LANE_MAP_EXP: EACH(v_exp(v));
  case LANE_MAP_INV_LOGIT: EACH(v_logit_inv(v));
  default: EACH(v_log1pexp(v));
  }
}

static void gather(void *to, const void *from, const uint32_t *at, size_t n)
{
  uint64_t *z = to;
  const uint64_t *x = from;
  size_t k = 0;
#if defined LANE_X86 && LANES == 8
  for (; k + 8 <= n; k += 8)
    _mm512_storeu_si512(z + k, _mm512_i32gather_epi64(_mm256_loadu_si256((const void *)(at + k)), x, 8));
#endif
  for (; k < n; k++) z[k] = x[at[k]];
}

/* ---- looking ---- */

INLINE double sum_of(lanes x)
{
  double s = 0;
  for (int i = 0; i < LANES; i++) s += x[i];
  return s;
}

/* x * 0 is 0 for a finite x and NaN for others. */
static bool range(const double *x, size_t n, double *lo, double *hi)
{
  lanes a = LANE(x[0]), b = a, zero = a * 0;
  size_t k = 0;
  double rest = 0;
  for (; k + LANES <= n; k += LANES) {
    lanes v = lane_load(x + k);
    a = v_min(a, v);
    b = v_max(b, v);
    zero += v * 0;
  }
  *lo = a[0], *hi = b[0];
  for (int i = 1; i < LANES; i++) {
    if (a[i] < *lo) *lo = a[i];
    if (b[i] > *hi) *hi = b[i];
  }
  for (; k < n; k++) {
    if (x[k] < *lo) *lo = x[k];
    if (x[k] > *hi) *hi = x[k];
    rest += x[k] * 0;
  }
  return sum_of(zero) + rest == 0;
}

static bool add(double *w, const double *x, size_t n)
{
  lanes zero = { 0 };
  size_t k = 0;
  double rest = 0;
  for (; k + LANES <= n; k += LANES) {
    lanes v = lane_load(x + k);
    lane_store(w + k, lane_load(w + k) + v);
    zero += v * 0;
  }
  for (; k < n; k++) {
    w[k] += x[k];
    rest += x[k] * 0;
  }
  return sum_of(zero) + rest == 0;
}

const lane_fns OPS_NAME(lane_ops_, LEVEL) = { op, map, gather, range, add };
