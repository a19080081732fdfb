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

/* ---- matrices: as many at once as a register has lanes ---- */

INLINE lanes at(lane_side x, size_t k) { return x.many ? lane_load(x.p + k) : LANE(*x.p); }

/* Of lanes k .. k + LANES - 1 those below n: is one set? */
INLINE bool any_of(lanes bad, size_t k, size_t n)
{
  double b[LANES];
  bool any = false;
  lane_store(b, bad);
  for (size_t i = 0; i < LANES && k + i < n; i++) any |= b[i] != 0;
  return any;
}

/* Matrices of so many registers are copied at once, since their columns lie far apart. */
enum { TILE = 32 / LANES };
typedef lanes triangle[LANE_ROWS];

static void tile_get(triangle *t, const lane_side *a, size_t order, size_t k, size_t n)
{
  for (size_t i = 0; i < order * (order + 1) / 2; i++)
    for (size_t r = 0; r < TILE && k + r * LANES < n; r++) t[r][i] = at(a[i], k + r * LANES);
}

/* Of a its lower factor in place, column by column, the rows below side by side: each is the chain of la.c.  Gives 1
   in lanes where a pivot is not positive, or could be rounding alone: its square no more than four times what
   dist_cholesky asks for. */
static lanes factor(lanes *l, size_t order)
{
  lanes whole[LANE_ORDER], bad = { 0 };
  const lanes one = bad + 1.0;
  for (size_t i = 0; i < order; i++) whole[i] = bad;
  for (size_t j = 0; j < order; j++) {
    const lanes *row = l + j * (j + 1) / 2;
    lanes d = row[j];
    for (size_t p = 0; p < j; p++) d -= row[p] * row[p];
    bad = SEL(d > (double)order * 0x1p-51 * (whole[j] + d) * (j > 0), bad, one);
    d = lane_sqrt(d);
    l[j * (j + 1) / 2 + j] = d;
    size_t i = j + 1;
    for (; i + 4 <= order; i += 4) {               /* four chains, so that none is waited for */
      lanes *a0 = l + i * (i + 1) / 2, *a1 = a0 + i + 1, *a2 = a1 + i + 2, *a3 = a2 + i + 3;
      lanes s0 = a0[j], s1 = a1[j], s2 = a2[j], s3 = a3[j];
      for (size_t p = 0; p < j; p++) {
        lanes x = row[p];
        s0 -= x * a0[p], s1 -= x * a1[p], s2 -= x * a2[p], s3 -= x * a3[p];
      }
      a0[j] = s0 /= d, a1[j] = s1 /= d, a2[j] = s2 /= d, a3[j] = s3 /= d;
      whole[i] += s0 * s0, whole[i + 1] += s1 * s1, whole[i + 2] += s2 * s2, whole[i + 3] += s3 * s3;
    }
    for (; i < order; i++) {
      lanes *below = l + i * (i + 1) / 2, s = below[j];
      for (size_t p = 0; p < j; p++) s -= row[p] * below[p];
      below[j] = s /= d;
      whole[i] += s * s;
    }
  }
  return bad;
}

/* Those of lanes k .. that a tile has.  false: one has none. */
static bool tile_factors(triangle *t, size_t order, size_t k, size_t n)
{
  for (size_t r = 0; r < TILE && k + r * LANES < n; r++)
    if (any_of(factor(t[r], order), k + r * LANES, n)) return false;
  return true;
}

static bool factors(const lane_side *a, size_t order, double *const *l, size_t n)
{
  triangle t[TILE];
  for (size_t k = 0; k < n; k += TILE * LANES) {
    tile_get(t, a, order, k, n);
    if (!tile_factors(t, order, k, n)) return false;
    for (size_t i = 0; l && i < order * (order + 1) / 2; i++)
      for (size_t r = 0; r < TILE && k + r * LANES < n; r++) lane_store(l[i] + k + r * LANES, t[r][i]);
  }
  return true;
}

/* Register k of mu + f z. */
INLINE void gauss_at(const lane_side *mu, const lanes *f, const double *const *z, size_t order, double *const *out,
                     size_t k)
{
  const lanes most = LANE(0x1.fffffffffffffp1023) + (lanes){ 0 };
  for (size_t i = 0; i < order; i++) {
    lanes s = { 0 };
    for (size_t p = 0; p <= i; p++) s += f[i * (i + 1) / 2 + p] * lane_load(z[p] + k);
    s += at(mu[i], k);
    s = SEL(s < most, s, most);
    lane_store(out[i] + k, SEL(s > -most, s, -most));
  }
}

static bool gauss(const lane_side *mu, const lane_side *l, bool is_factor, const double *const *z, size_t order,
                  double *const *out, size_t n)
{
  triangle t[TILE];
  for (size_t k = 0; k < n; k += TILE * LANES) {
    tile_get(t, l, order, k, n);
    if (is_factor && !tile_factors(t, order, k, n)) return false;
    for (size_t r = 0; r < TILE && k + r * LANES < n; r++) gauss_at(mu, t[r], z, order, out, k + r * LANES);
  }
  return true;
}

/* Eight partial sums by index modulo 8, then in pairs (la_level.c). */
INLINE lanes by_eights(const lane_side *a, const lanes *x, size_t columns, size_t k)
{
  lanes s[8];
  for (int i = 0; i < 8; i++) s[i] = (lanes){ 0 };
  for (size_t p = 0; p < columns; p++) s[p % 8] += at(a[p], k) * x[p];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void products(const lane_side *a, const lane_side *x, size_t rows, size_t columns, double *const *out, size_t n)
{
  lanes v[2 * LANE_ORDER];
  for (size_t k = 0; k < n; k += LANES) {
    for (size_t p = 0; p < columns; p++) v[p] = at(x[p], k);
    for (size_t i = 0; i < rows; i++) lane_store(out[i] + k, by_eights(a + i * columns, v, columns, k));
  }
}

static void solves(const lane_side *l, size_t order, double *const *x, size_t n)
{
  lanes v[LANE_ORDER];
  for (size_t k = 0; k < n; k += LANES)
    for (size_t i = 0; i < order; i++) {
      const lane_side *row = l + i * (i + 1) / 2;
      v[i] = (lane_load(x[i] + k) - by_eights(row, v, i, k)) / at(row[i], k);
      lane_store(x[i] + k, v[i]);
    }
}

INLINE lanes square_distance(const lane_side *x, const lane_side *y, size_t dim, size_t k)
{
  lanes s = { 0 };
  for (size_t i = 0; i < dim; i++) {
    lanes d = at(x[i], k) - at(y[i], k);
    s += d * d;
  }
  return s;
}

INLINE lanes kernel_at(int which, lanes a2, lanes rho, lanes q)
{
  lanes s;
  switch (which) {
  case LANE_RBF: return a2 * v_exp(-0.5 * q / (rho * rho));
  case LANE_MATERN12: return a2 * v_exp(-lane_sqrt(q) / rho);
  case LANE_MATERN32:
    s = lane_sqrt(3.0 * q) / rho;
    return a2 * (1.0 + s) * v_exp(-s);
  default:
    s = lane_sqrt(5.0 * q) / rho;
    return a2 * (1.0 + s + s * s / 3.0) * v_exp(-s);
  }
}

INLINE void kernels_of(int which, lane_side alpha, lane_side rho, const lane_side *x, const lane_side *y, size_t dim,
                       double *out, size_t n)
{
  for (size_t k = 0; k < n; k += LANES) {
    lanes a = at(alpha, k);
    lane_store(out + k, kernel_at(which, a * a, at(rho, k), square_distance(x, y, dim, k)));
  }
}

static void kernel(int which, lane_side alpha, lane_side rho, const lane_side *x, const lane_side *y, size_t dim,
                   double *out, size_t n)
{
  switch (which) {
  case LANE_RBF: kernels_of(LANE_RBF, alpha, rho, x, y, dim, out, n); break;
  case LANE_MATERN12: kernels_of(LANE_MATERN12, alpha, rho, x, y, dim, out, n); break;
  case LANE_MATERN32: kernels_of(LANE_MATERN32, alpha, rho, x, y, dim, out, n); break;
  default: kernels_of(LANE_MATERN52, alpha, rho, x, y, dim, out, n); break;
  }
}

const lane_fns OPS_NAME(lane_ops_, LEVEL) = { op, map, gather, range, add, factors, gauss, products, solves, kernel };
