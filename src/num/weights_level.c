/* weights_level: weights and points below running sums (weights.h), compiled once per CPU level
   (configure.ac, src/num/local.mk).

   Sums have the shape of SUMS chains whatever the width of a register: number i goes to chain i mod
   SUMS, and these are added as a tree.  Running sums go by blocks of CHAINS pieces, each a chain that
   begins at 0; the sum of what lies before a piece is added at its end, so that the first number of a
   piece stands on just what the last of the piece before has. */
#include "num/weights.h"
#include "num/vmath.h"

#define WEIGHTS_JOIN(a, b) a##b
#define WEIGHTS_NAME(a, b) WEIGHTS_JOIN(a, b)
#define INLINE static inline __attribute__((always_inline))
enum { SUMS = 16, REGS = SUMS / LANES, CHAINS = 8, PIECE = 32, BLOCK = CHAINS * PIECE };

typedef uint32_t lane_words __attribute__((vector_size(4 * LANES)));

/* sum of the SUMS chains as a tree: halves are added until one is left */
INLINE double tree(const lanes *s)
{
  double a[SUMS];
  for (int r = 0; r < REGS; r++) lane_store(a + r * LANES, s[r]);
  for (int h = SUMS / 2; h; h /= 2)
    for (int i = 0; i < h; i++) a[i] += a[i + h];
  return a[0];
}

INLINE double greatest(const double *x, size_t n)
{
  lanes m[REGS];
  double top = -HUGE_VAL;
  size_t i = 0;
  for (int r = 0; r < REGS; r++) m[r] = LANE(top);
  for (; i + SUMS <= n; i += SUMS)
    for (int r = 0; r < REGS; r++) m[r] = v_max(lane_load(x + i + (size_t)r * LANES), m[r]);
  for (int r = 0; r < REGS; r++)
    for (int k = 0; k < LANES; k++) top = m[r][k] > top ? m[r][k] : top;
  for (; i < n; i++) top = x[i] > top ? x[i] : top;
  return top;
}

/* exp x for x <= 0, within 2 ulp; 0 below -708.8.  x = k log 2 + r; exp r = 1 + r + r^2 p(r), p of
   degree 9 by Chebyshev's points (relative error of the whole 1.7e-17): no division, which would take
   half of the time. */
INLINE lanes weight(lanes x)
{
  lanes c = v_max(x, LANE(-709.2));                  /* k = -1023: the factor is 0 */
  lanes k = (c * 1.44269504088896338700 + V_ROUND) - V_ROUND;
  lanes r = (c - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  lanes s = r * r, w = s * s;
  lanes low = (0.50000000000000011 + r * 0.16666666666666669) +
              s * (0.04166666666662399 + r * 0.0083333333333300511);
  lanes mid = (0.0013888888917281794 + r * 0.00019841269863105968) +
              s * (2.4801521190217729e-05 + r * 2.7557268378684192e-06);
  lanes high = 2.7620138719733994e-07 + r * 2.5100424157005067e-08;
  lanes y = 1 + (r + s * (low + w * (mid + w * high)));
  return y * lane_of((lane_to_bits(k + V_ROUND) + 1023) << 52);
}

static weights_sum exps(const double *logw, double *w, size_t n)
{
  const lanes zero = {0};
  lanes s[REGS], q[REGS];
  double last[SUMS];
  weights_sum all = {greatest(logw, n), 0, 0};
  double top = all.top > -HUGE_VAL ? all.top : 0;
  size_t i = 0;
  for (int r = 0; r < REGS; r++) s[r] = q[r] = zero;
  for (; i + SUMS <= n; i += SUMS)
#pragma GCC unroll 8
    for (int r = 0; r < REGS; r++) {
      lanes y = weight(lane_load(logw + i + (size_t)r * LANES) - top);
      lane_store(w + i + (size_t)r * LANES, y);
      s[r] += y;
      q[r] += y * y;
    }
  for (int k = 0; k < SUMS; k++) last[k] = i + (size_t)k < n ? logw[i + (size_t)k] : -HUGE_VAL;
  for (int r = 0; i < n && r < REGS; r++) {
    lanes y = weight(lane_load(last + r * LANES) - top);
    lane_store(last + r * LANES, y);
    s[r] += y;
    q[r] += y * y;
  }
  memcpy(w + i, last, (n - i) * sizeof *w);
  all.sum = tree(s);
  all.squares = tree(q);
  return all;
}

/* c: running sums of each piece of a block; gives the base of each, the sum of all before it, and at
   [CHAINS] that of the block's end.  A number's running sum is its c + base. */
INLINE void running(const double *w, double *c, double *base)
{
  double at[CHAINS] = {0};
  for (int i = 0; i < PIECE; i++)
#pragma GCC unroll 8
    for (int k = 0; k < CHAINS; k++) c[k * PIECE + i] = at[k] += w[k * PIECE + i];
  for (int k = 0; k < CHAINS; k++) base[k + 1] = at[k] + base[k];
}

INLINE void store_words(uint32_t *to, lanes whole)
{
  lane_words low = __builtin_convertvector(lane_to_bits(whole + V_ROUND), lane_words);
  memcpy(to, &low, sizeof low);
}

/* Number of points k + u below c: c - u rounded up.  (A whole c - u gives either neighbour, which is
   as good: u is not on a grid.)  A c beyond n, by rounding, is n. */
INLINE lanes points_same(lanes c, lanes n, double u) { return v_min(c + (0.5 - u), n); }
/* The same with the k-th point's own u: the whole part of c, and one more if the next is below. */
INLINE lanes points_each(lanes c, lanes n, const double *u)
{
  lanes k = v_floor(c), v = lane_table(u, v_min(k, n - 1));
  return k + SEL(v < c - k, LANE(1.0), LANE(0.0));
}

/* Variance of the number of points in x: its whole part, and one more with probability f, the
   fraction; d is f or f - 1. */
INLINE lanes variance_same(lanes x)
{
  lanes d = v_abs(x - ((x + V_ROUND) - V_ROUND));
  return d * (1 - d);
}
/* The cells at both ends of (c, end) are hit with probability of what they share with it. */
INLINE lanes variance_each(lanes c, lanes end)
{
  lanes x = end - c, from = v_floor(c), to = v_floor(end), a = from + 1 - c, b = end - to;
  return SEL(from == to, x * (1 - x), a * (1 - a) + b * (1 - b));
}

INLINE double below_block(const double *w, double start, double scale, double n, const double *u,
                          bool each, lanes *s, uint32_t *below)
{
  double c[BLOCK], base[CHAINS + 1] = { start };
  lanes most = LANE(n);
  running(w, c, base);
  for (int k = 0; k < CHAINS; k++)
    for (int i = k * PIECE; i < (k + 1) * PIECE; i += SUMS)
#pragma GCC unroll 8
      for (int r = 0; r < REGS; r++) {
        int at = i + r * LANES;
        lanes sum = lane_load(c + at) + base[k], x = lane_load(w + at) * scale;
        if (each) {
          lanes end = v_min(sum * scale, most);
          s[r] += variance_each(end - v_min(x, end), end);
          store_words(below + at, points_each(end, most, u));
        } else {
          s[r] += variance_same(x);
          store_words(below + at, points_same(sum * scale, most, u[0]));
        }
      }
  return base[CHAINS];
}

INLINE double below_all(const double *w, double sum, size_t n, const double *u, bool each,
                        uint32_t *below)
{
  double last[BLOCK] = {0}, base = 0, scale = (double)n / sum;
  uint32_t word[BLOCK];
  size_t i = 0;
  lanes s[REGS];
  for (int r = 0; r < REGS; r++) s[r] = (lanes){0};
  for (; i + BLOCK <= n; i += BLOCK)
    base = below_block(w + i, base, scale, (double)n, u, each, s, below + i);
  if (i < n) {
    memcpy(last, w + i, (n - i) * sizeof *w);
    below_block(last, base, scale, (double)n, u, each, s, word);
    memcpy(below + i, word, (n - i) * sizeof *below);
  }
  for (i = n; i && !(w[i - 1] > 0);) below[--i] = (uint32_t)n;
  if (i) below[i - 1] = (uint32_t)n;           /* what rounding left over */
  return tree(s) / (double)n;
}

static double belows(const double *w, double sum, size_t n, const double *u, bool each,
                     uint32_t *below)
{
  return each ? below_all(w, sum, n, u, true, below) : below_all(w, sum, n, u, false, below);
}

const weights_fns WEIGHTS_NAME(weights_, LEVEL) = { exps, belows };
