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

/* Columns and rows of a factor that are done at once. */
enum { ACROSS = 4, DOWN = LANES == 8 ? 4 : 2 };

/* A lower triangle of one register of lanes, row by row, and where its numbers come from: columns a at k; and go to, unless
   it is NULL: columns l at k. */
typedef struct triangle {
  size_t order, k;
  const lane_side *a;
  double *const *l;
  lanes t[LANE_ROWS + LANE_ORDER];
} triangle;

static void triangle_begin(triangle *t, size_t order, const lane_side *a, double *const *l)
{
  t->order = order;                              /* t->t is large, and written before it is read */
  t->k = 0;
  t->a = a;
  t->l = l;
}

INLINE size_t row_of(size_t i) { return i * (i + 1) / 2; }
INLINE lanes given(const triangle *t, size_t i, size_t j) { return at(t->a[row_of(i) + j], t->k); }
/* Columns j .. j + ACROSS - 1 of row i will be asked for: they lie far apart. */
INLINE void soon(const triangle *t, size_t i, size_t j)
{
  for (size_t c = 0; c < ACROSS; c++) {
    const lane_side *a = t->a + row_of(i) + j + c;
    __builtin_prefetch(a->p + (a->many ? t->k : 0));
  }
}

INLINE void found(triangle *t, size_t i, size_t j, lanes x)
{
  t->t[row_of(i) + j] = x;
  if (t->l) lane_store(t->l[row_of(i) + j] + t->k, x);
}

/* s / d where y = 1 / d, rounded, is known: of few fma the quotient to the bit (Markstein, IBM J. Res. Dev. 34, 1990:
   q + (s - q d) y is it, if q is one of its neighbours, as the second one is), and where an operation could leave the
   range of normal numbers, or there is no fma, a division. */
#if defined LANE_X86 && LANES == 8
#define QUICK 1
INLINE lanes correct(lanes q, lanes s, lanes d, lanes y) { return _mm512_fmadd_pd(_mm512_fnmadd_pd(q, d, s), y, q); }
/* Are all |x| between 2^-e and 2^e? */
INLINE bool moderate(lanes x, int e)
{
  const lane_bits least = (lane_bits){ 0 } + ((uint64_t)(1023 - e) << 53), span = (lane_bits){ 0 } + ((uint64_t)e << 54);
  return _mm512_cmplt_epu64_mask((__m512i)((lane_to_bits(x) << 1) - least), (__m512i)span) == 0xff;
}
#elif defined LANE_X86 && LANES == 4
#define QUICK 1
INLINE lanes correct(lanes q, lanes s, lanes d, lanes y) { return _mm256_fmadd_pd(_mm256_fnmadd_pd(q, d, s), y, q); }
INLINE bool moderate(lanes x, int e)
{
  const lanes size = v_abs(x), least = LANE(v_double((uint64_t)(1023 - e) << 52)) + (lanes){ 0 };
  const lanes most = LANE(v_double((uint64_t)(1023 + e) << 52)) + (lanes){ 0 };
  return _mm256_movemask_pd((lanes)((size > least) & (size < most))) == 0xf;
}
#else
#define QUICK 0
INLINE lanes correct(lanes q, lanes s, lanes d, lanes y) { return (void)s, (void)d, (void)y, q; }
INLINE bool moderate(lanes x, int e) { return (void)x, (void)e, false; }
#endif

/* Divisors with what is known of them. */
typedef struct divisor { lanes d, inverse; bool quick; } divisor;

INLINE divisor divisor_of(lanes d)
{
  bool quick = QUICK && moderate(d, 60);
  return (divisor){ d, quick ? 1.0 / d : d, quick };
}

INLINE lanes over(lanes s, const divisor *by)
{
  if (!by->quick || !moderate(s, 900)) return s / by->d;
  lanes q = correct(s * by->inverse, s, by->d, by->inverse);
  return correct(q, s, by->d, by->inverse);
}

/* Less the products of two rows up to column j, as la_cholesky takes them: those of whole blocks of 32 columns are
   summed first. */
enum { SUMMED = 32 };
INLINE lanes less(lanes s, const lanes *x, const lanes *y, size_t j)
{
  size_t p = 0;
  if (j >= SUMMED) {
    lanes t = { 0 };
    for (; p < SUMMED; p++) t += x[p] * y[p];
    s -= t;
  }
  for (; p < j; p++) s -= x[p] * y[p];
  return s;
}

/* The same of DOWN rows x from column j, a multiple of ACROSS, on, and ACROSS rows y at once: each number that is loaded
   serves several.  s[r][c] is of x[r] and y[c]. */
typedef lanes patch[DOWN][ACROSS];
#define EACH_OF(v, n) _Pragma("GCC unroll 4") for (int v = 0; v < (n); v++)

INLINE void patch_add(patch s, lanes *const *x, lanes *const *y, size_t from, size_t to, bool minus)
{
  for (size_t p = from; p < to; p++) {
    lanes a[ACROSS];
    EACH_OF(c, ACROSS) a[c] = y[c][p];
    EACH_OF(r, DOWN) {
      lanes b = x[r][p];
      EACH_OF(c, ACROSS) s[r][c] = minus ? s[r][c] - b * a[c] : s[r][c] + b * a[c];
    }
  }
}

INLINE void patch_less(patch s, lanes *const *x, lanes *const *y, size_t j)
{
  size_t from = 0;
  if (j >= SUMMED) {
    patch t;
    EACH_OF(r, DOWN) EACH_OF(c, ACROSS) t[r][c] = (lanes){ 0 };
    patch_add(t, x, y, 0, SUMMED, false);
    EACH_OF(r, DOWN) EACH_OF(c, ACROSS) s[r][c] -= t[r][c];
    from = SUMMED;
  }
  patch_add(s, x, y, from, j, true);
}

/* 1 in lanes where a pivot is not positive, or could be rounding alone: its square no more than four times what
   dist_cholesky asks for, of a row whose squares so far are whole. */
INLINE lanes refused(lanes bad, lanes d, lanes whole, size_t order, size_t j)
{
  return SEL(d > (double)order * 0x1p-51 * (whole + d) * (j > 0), bad, bad * 0 + 1.0);
}

/* Row r from i on, or the last. */
INLINE size_t row_within(const triangle *t, size_t i, int r)
{
  return i + (size_t)r < t->order ? i + (size_t)r : t->order - 1;
}

/* Rows y of columns j .. j + ACROSS - 1, those of the block itself, whose divisors are d. */
INLINE lanes factor_block(triangle *t, lanes *const *y, size_t j, divisor *d, lanes *whole, lanes bad)
{
  lanes b[ACROSS][ACROSS];
  EACH_OF(i, ACROSS / DOWN) {
    patch s;
    EACH_OF(r, DOWN)
      EACH_OF(c, ACROSS)
        s[r][c] = c <= i * DOWN + r ? given(t, j + (size_t)(i * DOWN + r), j + (size_t)c) : (lanes){ 0 };
    patch_less(s, y + i * DOWN, y, j);
    EACH_OF(r, DOWN) EACH_OF(c, ACROSS) b[i * DOWN + r][c] = s[r][c];
  }
  EACH_OF(c, ACROSS) {
    lanes *sum = whole + j + c;
    for (int k = 0; k < c; k++) {
      for (int p = 0; p < k; p++) b[c][k] -= b[c][p] * b[k][p];
      b[c][k] = over(b[c][k], &d[k]);
      found(t, j + (size_t)c, j + (size_t)k, b[c][k]);
      *sum += b[c][k] * b[c][k];
    }
    for (int p = 0; p < c; p++) b[c][c] -= b[c][p] * b[c][p];
    bad = refused(bad, b[c][c], *sum, t->order, j + (size_t)c);
    d[c] = divisor_of(lane_sqrt(b[c][c]));
    found(t, j + (size_t)c, j + (size_t)c, d[c].d);
  }
  return bad;
}

/* Columns j .. j + ACROSS - 1, with the rows below. */
INLINE lanes factor_columns(triangle *t, size_t j, lanes *whole, lanes bad)
{
  lanes *y[ACROSS], *x[DOWN];
  divisor d[ACROSS];
  for (int c = 0; c < ACROSS; c++) y[c] = t->t + row_of(j + (size_t)c);
  bad = factor_block(t, y, j, d, whole, bad);
  for (size_t i = j + ACROSS; i < t->order; i += DOWN) {
    patch s;
    for (int r = 0; r < DOWN; r++) x[r] = t->t + row_of(row_within(t, i, r));
    for (int r = 0; r < DOWN; r++) soon(t, row_within(t, i + DOWN, r), j);
    EACH_OF(r, DOWN) EACH_OF(c, ACROSS) s[r][c] = given(t, row_within(t, i, r), j + (size_t)c);
    patch_less(s, x, y, j);
    EACH_OF(c, ACROSS) {
      for (int p = 0; p < c; p++) EACH_OF(r, DOWN) s[r][c] -= s[r][p] * y[c][j + (size_t)p];
      EACH_OF(r, DOWN) s[r][c] = over(s[r][c], &d[c]);
    }
    for (int r = 0; r < DOWN && i + (size_t)r < t->order; r++)
      EACH_OF(c, ACROSS) {
        found(t, i + (size_t)r, j + (size_t)c, s[r][c]);
        whole[i + (size_t)r] += s[r][c] * s[r][c];
      }
  }
  return bad;
}

/* The lower factor, ACROSS columns after the other, the rows below side by side: each element is the chain of la.c. */
static lanes factor(triangle *t)
{
  lanes whole[LANE_ORDER], bad = { 0 };
  size_t j = 0;
  for (size_t i = 0; i < t->order; i++) whole[i] = bad;
  for (; j + ACROSS <= t->order; j += ACROSS) bad = factor_columns(t, j, whole, bad);
  for (; j < t->order; j++) {
    const lanes *row = t->t + row_of(j);
    lanes d = less(given(t, j, j), row, row, j);
    bad = refused(bad, d, whole[j], t->order, j);
    d = lane_sqrt(d);
    found(t, j, j, d);
    for (size_t i = j + 1; i < t->order; i++) {
      lanes s = less(given(t, i, j), row, t->t + row_of(i), j) / d;
      found(t, i, j, s);
      whole[i] += s * s;
    }
  }
  return bad;
}

static bool factors(const lane_side *a, size_t order, double *const *l, size_t n)
{
  triangle t;
  triangle_begin(&t, order, a, l);
  for (; t.k < n; t.k += LANES)
    if (any_of(factor(&t), t.k, n)) return false;
  return true;
}

/* Register k of mu + f z. */
INLINE void gauss_at(const lane_side *mu, const lanes *f, const double *const *z, size_t order, double *const *out,
                     size_t k)
{
  const lanes most = LANE(0x1.fffffffffffffp1023) + (lanes){ 0 };
  for (size_t i = 0; i < order; i++) {
    lanes s = { 0 };
    for (size_t p = 0; p <= i; p++) s += f[row_of(i) + p] * lane_load(z[p] + k);
    s += at(mu[i], k);
    s = SEL(s < most, s, most);
    lane_store(out[i] + k, SEL(s > -most, s, -most));
  }
}

static bool gauss(const lane_side *mu, const lane_side *l, bool is_factor, const double *const *z, size_t order,
                  double *const *out, size_t n)
{
  triangle t;
  triangle_begin(&t, order, l, NULL);
  for (; t.k < n; t.k += LANES) {
    if (is_factor && any_of(factor(&t), t.k, n)) return false;
    for (size_t i = 0; !is_factor && i < row_of(order); i++) t.t[i] = at(l[i], t.k);
    gauss_at(mu, t.t, z, order, out, t.k);
  }
  return true;
}

/* Eight partial sums by index modulo 8, then in pairs (la_level.c). */
INLINE lanes by_eights(const lane_side *a, const lanes *x, size_t columns, size_t k)
{
  lanes s[8];
  size_t p = 0;
  _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) s[i] = (lanes){ 0 };
  for (; p + 8 <= columns; p += 8)
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) s[i] += at(a[p + (size_t)i], k) * x[p + (size_t)i];
  _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++)
    if (p + (size_t)i < columns) s[i] += at(a[p + (size_t)i], k) * x[p + (size_t)i];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Terms that are 0 in all lanes change no sum, since x are finite and sums begin at 0: of a triangle's row those
   behind the diagonal. */
static size_t row_end(const lane_side *a, size_t columns)
{
  while (columns && !a[columns - 1].many && *a[columns - 1].p == 0) columns--;
  return columns;
}

static void products(const lane_side *a, const lane_side *x, size_t rows, size_t columns, double *const *out, size_t n)
{
  lanes v[LANE_ORDER];
  for (size_t i = 0; i < rows; i++) {
    size_t end = row_end(a + i * columns, columns);
    for (size_t k = 0; k < n; k += LANES) {
      for (size_t p = 0; p < end; p++) v[p] = at(x[p], k);
      lane_store(out[i] + k, by_eights(a + i * columns, v, end, k));
    }
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

/* What of a kernel is the same for all points: alpha^2, and the divisor. */
typedef struct kernel_scale { lanes a2; divisor by; } kernel_scale;

INLINE kernel_scale scale_of(int which, lanes a, lanes rho)
{
  return (kernel_scale){ a * a, divisor_of(which == LANE_RBF ? rho * rho : rho) };
}

INLINE lanes kernel_at(int which, const kernel_scale *z, lanes q)
{
  lanes s;
  switch (which) {
  case LANE_RBF: return z->a2 * v_exp(over(-0.5 * q, &z->by));
  case LANE_MATERN12: return z->a2 * v_exp(over(-lane_sqrt(q), &z->by));
  case LANE_MATERN32:
    s = over(lane_sqrt(3.0 * q), &z->by);
    return z->a2 * (1.0 + s) * v_exp(-s);
  default:
    s = over(lane_sqrt(5.0 * q), &z->by);
    return z->a2 * (1.0 + s + s * s / 3.0) * v_exp(-s);
  }
}

INLINE void kernel_of(int which, lane_side alpha, lane_side rho, const lane_side *x, const lane_side *y, size_t dim,
                      double *out, size_t n)
{
  for (size_t k = 0; k < n; k += LANES) {
    kernel_scale z = scale_of(which, at(alpha, k), at(rho, k));
    lane_store(out + k, kernel_at(which, &z, square_distance(x, y, dim, k)));
  }
}

/* Some registers of all pairs, so that what one pair writes lies together; of a point and itself q = 0, and alpha^2
   times 1. */
INLINE void kernels_of(int which, lane_side alpha, lane_side rho, const lane_side *x, size_t order, double *const *out,
                       size_t n)
{
  enum { SOME = 32 };
  kernel_scale z[SOME];
  for (size_t from = 0; from < n; from += SOME * LANES) {
    size_t most = (n - from + LANES - 1) / LANES, m = most < SOME ? most : SOME, pair = 0;
    for (size_t r = 0; r < m; r++) z[r] = scale_of(which, at(alpha, from + r * LANES), at(rho, from + r * LANES));
    for (size_t i = 0; i < order; i++)
      for (size_t j = 0; j <= i; j++, pair++)
        for (size_t r = 0; r < m; r++) {
          size_t k = from + r * LANES;
          lanes d = at(x[i], k) - at(x[j], k);
          lane_store(out[pair] + k, i == j ? z[r].a2 : kernel_at(which, &z[r], d * d));
        }
  }
}

/* f(which, ...) with a constant first argument, so that each kernel has a loop of its own. */
#define FOR_KERNEL(f, ...) \
  switch (which) { \
  case LANE_RBF: f(LANE_RBF, __VA_ARGS__); break; \
  case LANE_MATERN12: f(LANE_MATERN12, __VA_ARGS__); break; \
  case LANE_MATERN32: f(LANE_MATERN32, __VA_ARGS__); break; \
  default: f(LANE_MATERN52, __VA_ARGS__); break; \
  }

static void kernel(int which, lane_side alpha, lane_side rho, const lane_side *x, const lane_side *y, size_t dim,
                   double *out, size_t n)
{
  FOR_KERNEL(kernel_of, alpha, rho, x, y, dim, out, n)
}

static void kernels(int which, lane_side alpha, lane_side rho, const lane_side *x, size_t order, double *const *out,
                    size_t n)
{
  FOR_KERNEL(kernels_of, alpha, rho, x, order, out, n)
}

const lane_fns OPS_NAME(lane_ops_, LEVEL) = { op, map, gather, range, add, factors, gauss, products, solves, kernel,
                                             kernels };
