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

/* The lower triangles of some registers, one behind the other: they are copied together, since their columns lie far
   apart; of large ones one. */
typedef struct tile {
  size_t order, rows, many;      /* rows: elements of one; many: of registers */
  lanes t[LANE_ROWS + LANE_ORDER];
} tile;

static void tile_begin(tile *t, size_t order)
{
  enum { TOGETHER = 32 / LANES, SMALL = 32 };
  t->order = order;
  t->rows = order * (order + 1) / 2;
  t->many = order <= SMALL && TOGETHER <= 4 ? TOGETHER : order <= SMALL ? 4 : 1;
}

static void tile_get(tile *t, const lane_side *a, size_t k, size_t n)
{
  for (size_t i = 0; i < t->rows; i++)
    for (size_t r = 0; r < t->many && k + r * LANES < n; r++) t->t[r * t->rows + i] = at(a[i], k + r * LANES);
}

/* Less the products of two rows up to column j, as la_cholesky takes them: those of whole blocks of 32 columns are
   summed first. */
INLINE lanes less(lanes s, const lanes *x, const lanes *y, size_t j)
{
  enum { BLOCK = 32 };
  size_t p = 0;
  if (j >= BLOCK) {
    lanes t = { 0 };
    for (; p < BLOCK; p++) t += x[p] * y[p];
    s -= t;
  }
  for (; p < j; p++) s -= x[p] * y[p];
  return s;
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
    lanes *row = l + j * (j + 1) / 2, d = less(row[j], row, row, j);
    bad = SEL(d > (double)order * 0x1p-51 * (whole[j] + d) * (j > 0), bad, one);
    d = row[j] = lane_sqrt(d);
    for (size_t i = j + 1; i < order; i++) {
      lanes *below = l + i * (i + 1) / 2, s = less(below[j], row, below, j) / d;
      below[j] = s;
      whole[i] += s * s;
    }
  }
  return bad;
}

/* Those of lanes k .. that a tile has.  false: one has none. */
static bool tile_factors(tile *t, size_t k, size_t n)
{
  for (size_t r = 0; r < t->many && k + r * LANES < n; r++)
    if (any_of(factor(t->t + r * t->rows, t->order), k + r * LANES, n)) return false;
  return true;
}

static bool factors(const lane_side *a, size_t order, double *const *l, size_t n)
{
  tile t;
  tile_begin(&t, order);
  for (size_t k = 0; k < n; k += t.many * LANES) {
    tile_get(&t, a, k, n);
    if (!tile_factors(&t, k, n)) return false;
    for (size_t i = 0; l && i < t.rows; i++)
      for (size_t r = 0; r < t.many && k + r * LANES < n; r++) lane_store(l[i] + k + r * LANES, t.t[r * t.rows + i]);
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
  tile t;
  tile_begin(&t, order);
  for (size_t k = 0; k < n; k += t.many * LANES) {
    tile_get(&t, l, k, n);
    if (is_factor && !tile_factors(&t, k, n)) return false;
    for (size_t r = 0; r < t.many && k + r * LANES < n; r++)
      gauss_at(mu, t.t + r * t.rows, z, order, out, k + r * LANES);
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
  lanes v[LANE_ORDER];
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
