/* lib_math.c: mathematics: real functions, rounding, extremes, integers, and functions that add and
   subtract probabilities as logarithms.

   Real functions of one argument are given to the VM as such (real1) and work elementwise there.
   What keeps integers (abs, floor, max, ...) goes through one table of pairs: how it treats an
   integer, how a real. */
#include "lib/lib.h"
#include "num/lane_ops.h"
#include "num/special.h"
#include "num/stats.h"
#include <math.h>

/* ---- elementwise functions that keep integers ---- */

typedef struct rounder {
  const char *name;
  bool (*whole)(int64_t, int64_t *);     /* false: overflow */
  double (*part)(double);
  bool to_int;                           /* real results become integers where they fit */
} rounder;

static bool same(int64_t x, int64_t *y) { *y = x; return true; }
static bool int_abs(int64_t x, int64_t *y)
{
  *y = x < 0 && x != INT64_MIN ? -x : x;
  return x != INT64_MIN;
}

static bool int_sign(int64_t x, int64_t *y) { *y = (x > 0) - (x < 0); return true; }
static double real_sign(double x) { return isnan(x) ? x : (double)((x > 0) - (x < 0)); }

/* Whether a real holds an integer that 64 bits can: 2^63 is exact as a double, 2^63 - 1 is not. */
static bool fits_int(double x)
{
  return x >= -0x1p63 && x < 0x1p63;
}

static norn_status round_array(norn_state *st, const norn_datum *args, const rounder *r,
                               norn_datum *out)
{
  norn_view v;
  void *p = NULL;
  if (!norn_array_view(args[0], &v) || (v.n > 0 && v.elem != NORN_I64 && v.elem != NORN_F64))
    return lib_wrong(st, args, 0, "the argument", "a number or an array of numbers");
  bool ints = v.elem != NORN_F64;
  norn_datum a = norn_array(st, ints ? NORN_I64 : NORN_F64, v.rank, v.dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  if (ints) {
    for (int64_t k = 0; k < v.n; k++)
      if (!r->whole(v.i[k], (int64_t *)p + k))
        return norn_fail(st, NORN_EDOMAIN, 0, "%s of %lld overflows", r->name, (long long)v.i[k]);
    *out = a;
    return NORN_OK;
  }
  bool fit = r->to_int;
  for (int64_t k = 0; k < v.n; k++) {
    double y = r->part(v.f[k]);
    ((double *)p)[k] = y;
    fit = fit && fits_int(y);
  }
  if (!fit) {
    *out = a;
    return NORN_OK;
  }
  void *q = NULL;
  norn_datum whole = norn_array(st, NORN_I64, v.rank, v.dims, &q);
  if (norn_is_none(whole)) return lib_failed(st);
  for (int64_t k = 0; k < v.n; k++) ((int64_t *)q)[k] = (int64_t)((double *)p)[k];
  *out = whole;
  return NORN_OK;
}

static norn_status rounded(norn_state *st, const norn_datum *args, const rounder *r,
                           norn_datum *out)
{
  if (args[0].tag == NORN_INT) {
    int64_t y;
    if (!r->whole(args[0].i, &y))
      return norn_fail(st, NORN_EDOMAIN, 0, "%s of %lld overflows", r->name, (long long)args[0].i);
    *out = norn_int(y);
    return NORN_OK;
  }
  if (lib_has_big(args, 1)) return norn_big_apply(st, r->name, args, 1, out);
  if (args[0].tag != NORN_REAL) return round_array(st, args, r, out);
  double y = r->part(args[0].d);
  *out = r->to_int && fits_int(y) ? norn_int((int64_t)y) : norn_real(y);
  return NORN_OK;
}

#define ROUNDER(fn, label, whole, part, to_int) \
  static norn_status fn(norn_state *st, const norn_datum *args, int n, norn_datum *out) \
  { \
    (void)n; \
    static const rounder r = { label, whole, part, to_int }; \
    return rounded(st, args, &r, out); \
  }
ROUNDER(m_abs, "abs", int_abs, fabs, false)
ROUNDER(m_sign, "sign", int_sign, real_sign, false)
ROUNDER(m_floor, "floor", same, floor, true)
ROUNDER(m_ceil, "ceil", same, ceil, true)
ROUNDER(m_trunc, "trunc", same, trunc, true)
ROUNDER(m_round_whole, "round", same, round, true)

/* round(x, digits): decimal digits kept, as a real. */
static double round_digits(double x, double digits)
{
  double scale = pow(10, digits), y = round(x * scale) / scale;
  return isfinite(y) ? y : x;
}

/* round(x 10^digits) / 10^digits */
static norn_status round_big(norn_state *st, norn_datum x, int64_t digits, norn_datum *out)
{
  norn_datum v[2] = { norn_none(), norn_int(digits) }, scale;
  v[0] = norn_big(st, "10", 0);
  if (norn_is_none(v[0])) return lib_failed(st);
  norn_status code = norn_big_apply(st, "pow", v, 2, &scale);
  v[0] = x;
  v[1] = scale;
  if (!code) code = norn_big_apply(st, "*", v, 2, &v[0]);
  if (!code) code = norn_big_apply(st, "round", v, 1, &v[0]);
  return code ? code : norn_big_apply(st, "/", v, 2, out);
}

static norn_status m_round(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t digits;
  if (!lib_given(args, 1, n)) return m_round_whole(st, args, n, out);
  if (!norn_want_int(st, args, 1, "the number of digits", &digits)) return lib_failed(st);
  if (lib_has_big(args, 1)) return round_big(st, args[0], digits, out);
  return lib_real2(st, args, "round", round_digits, out);
}

/* ---- conversions ---- */

static norn_status int_of(norn_state *st, norn_datum v, norn_datum *out)
{
  norn_datum whole;
  if (v.tag == NORN_BIG && !norn_big_apply(st, "trunc", &v, 1, &whole) &&
      whole.tag == NORN_INT && norn_equal(whole, v)) {
    *out = whole;
    return NORN_OK;
  }
  if (v.tag == NORN_REAL && v.d == floor(v.d) && fits_int(v.d)) *out = norn_int((int64_t)v.d);
  else if (v.tag == NORN_INT || v.tag == NORN_BOOL) *out = norn_int(v.i);
  else {
    char got[160];
    bool is_real = v.tag == NORN_REAL || v.tag == NORN_BIG;
    norn_status code = norn_fail(
        st, is_real ? NORN_EDOMAIN : NORN_ETYPE, 0, "int needs a whole number, got %s",
        is_real ? norn_show(st, v, true, 40) : norn_describe(st, v, got, sizeof got));
    if (is_real) norn_hint(st, "floor, ceil, round and trunc give integers");
    else if (norn_kind_of(v) == NORN_STR) norn_hint(st, "parse_int(text) reads an integer");
    return code;
  }
  return NORN_OK;
}

static norn_status m_int(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  void *p = NULL;
  if (!norn_array_view(args[0], &v)) return int_of(st, args[0], out);
  norn_datum a = norn_array(st, NORN_I64, v.rank, v.dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum one;
    norn_status code = int_of(st, lib_elem(&v, k), &one);
    if (code) return code;
    ((int64_t *)p)[k] = one.i;
  }
  *out = a;
  return NORN_OK;
}

static norn_status m_real(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  void *p = NULL;
  double x;
  if (norn_as_real(args[0], &x) || args[0].tag == NORN_BOOL) {
    *out = norn_real(args[0].tag == NORN_BOOL ? (double)args[0].i : x);
    return NORN_OK;
  }
  if (!norn_array_view(args[0], &v)) {
    norn_status code = lib_wrong(st, args, 0, "the argument of real",
                                 "a number or an array of numbers");
    if (norn_kind_of(args[0]) == NORN_STR) norn_hint(st, "parse_real(text) reads a number");
    return code;
  }
  norn_datum a = norn_array(st, NORN_F64, v.rank, v.dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum e = lib_elem(&v, k);
    if (e.tag == NORN_BOOL) x = (double)e.i;
    else if (!norn_as_real(e, &x))
      return lib_wrong(st, args, 0, "the argument of real", "a number or an array of numbers");
    ((double *)p)[k] = x;
  }
  *out = a;
  return NORN_OK;
}

/* ---- tests on reals ---- */

static int test_nan(double x) { return isnan(x); }
static int test_inf(double x) { return isinf(x); }
static int test_finite(double x) { return isfinite(x); }

/* A big that doubles can't hold is tested for what it is. */
static bool number_to_test(norn_datum v, double *x)
{
  norn_big_parts b;
  if (!norn_big_view(v, &b)) return norn_as_real(v, x);
  *x = b.kind == NORN_BIG_NAN ? (double)NAN : b.kind == NORN_BIG_INF ? (double)INFINITY : 0;
  return true;
}

static norn_status tested(norn_state *st, const norn_datum *args, int (*test)(double),
                          norn_datum *out)
{
  norn_view v;
  void *p = NULL;
  double x;
  if (number_to_test(args[0], &x)) {
    *out = norn_bool(test(x) != 0);
    return NORN_OK;
  }
  if (!norn_array_view(args[0], &v))
    return lib_wrong(st, args, 0, "the argument", "a number or an array of numbers");
  norn_datum a = norn_array(st, NORN_B8, v.rank, v.dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t k = 0; k < v.n; k++) {
    if (!number_to_test(lib_elem(&v, k), &x))
      return lib_wrong(st, args, 0, "the argument", "a number or an array of numbers");
    ((uint8_t *)p)[k] = test(x) != 0;
  }
  *out = a;
  return NORN_OK;
}

static norn_status m_is_nan(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return tested(st, args, test_nan, out);
}

static norn_status m_is_inf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return tested(st, args, test_inf, out);
}

static norn_status m_is_finite(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return tested(st, args, test_finite, out);
}

/* ---- extremes ---- */

/* The greater of two numbers times `way` (1 or -1); nan wins, an equal pair keeps the first. */
static double further(double a, double b, double way)
{
  if (isnan(a) || isnan(b)) return NAN;
  return way * b > way * a ? b : a;
}

static norn_status extreme_array(norn_state *st, const norn_datum *args, const char *name, int way,
                                 norn_datum *out)
{
  norn_view v;
  if (!norn_array_view(args[0], &v)) {
    norn_status code = lib_wrong(st, args, 0, "the argument", "an array of numbers");
    norn_hint(st, "%s takes one array, or two or more numbers", name);
    return code;
  }
  if (v.n == 0) return norn_fail(st, NORN_EDOMAIN, 0, "%s of an empty array", name);
  if (v.elem == NORN_I64) {
    int64_t best = v.i[0];
    for (int64_t k = 1; k < v.n; k++)
      if (way > 0 ? v.i[k] > best : v.i[k] < best) best = v.i[k];
    *out = norn_int(best);
    return NORN_OK;
  }
  if (v.elem == NORN_VALUES && v.rank == 1 && lib_has_big(v.v, v.n))
    return lib_big_fold(st, name, v.v, v.n, out);
  if (v.elem != NORN_F64) return lib_wrong(st, args, 0, "the argument", "an array of numbers");
  double best = v.f[0];
  for (int64_t k = 1; k < v.n; k++) best = further(best, v.f[k], way);
  *out = norn_real(best);
  return NORN_OK;
}

static norn_status extreme(norn_state *st, const norn_datum *args, int n, const char *name, int way,
                           norn_datum *out)
{
  if (n == 1) return extreme_array(st, args, name, way, out);
  norn_datum best = args[0];
  bool real = false;
  if (lib_has_big(args, n)) return lib_big_fold(st, name, args, n, out);
  for (int k = 0; k < n; k++) {
    if (!lib_is_number(args[k])) {
      norn_status code = lib_wrong(st, args, k, "each argument", "a number");
      norn_hint(st, "%s takes one array, or two or more numbers", name);
      return code;
    }
    real = real || args[k].tag == NORN_REAL;
    if (best.tag == NORN_INT && args[k].tag == NORN_INT) {
      if (way > 0 ? args[k].i > best.i : args[k].i < best.i) best = args[k];
    } else {
      double a = 0, b = 0;
      norn_as_real(best, &a);
      norn_as_real(args[k], &b);
      best = norn_real(further(a, b, way));
    }
  }
  if (real && best.tag == NORN_INT) best = norn_real((double)best.i);
  *out = best;
  return NORN_OK;
}

static norn_status m_min(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return extreme(st, args, n, "min", -1, out);
}

static norn_status m_max(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return extreme(st, args, n, "max", 1, out);
}

/* ---- functions of two reals ---- */

static double logit(double p) { return log(p) - log1p(-p); }
static double log_choose(double n, double k)
{
  return k < 0 || k > n ? -INFINITY : special_lchoose(n, k);
}

static double beta_of(double a, double b) { return exp(special_lbeta(a, b)); }

static norn_status m_atan2(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_real2(st, args, "atan2", atan2, out);
}

static norn_status m_pow(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_real2(st, args, "pow", pow, out);
}

static norn_status m_lbeta(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_real2(st, args, "lbeta", special_lbeta, out);
}

static norn_status m_beta_fn(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_real2(st, args, "beta_fn", beta_of, out);
}

static norn_status m_log_diff_exp(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_real2(st, args, "log_diff_exp", special_logsubexp, out);
}

static norn_status m_lchoose(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_real2(st, args, "lchoose", log_choose, out);
}

/* ---- integers ---- */

static norn_status two_ints(norn_state *st, const norn_datum *args, int64_t *a, int64_t *b)
{
  if (!norn_want_int(st, args, 0, "the first argument", a) ||
      !norn_want_int(st, args, 1, "the second argument", b))
    return lib_failed(st);
  return NORN_OK;
}

static uint64_t gcd_of(int64_t x, int64_t y)
{
  uint64_t a = x < 0 ? 0 - (uint64_t)x : (uint64_t)x, b = y < 0 ? 0 - (uint64_t)y : (uint64_t)y;
  while (b) {
    uint64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

static norn_status m_gcd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t a, b;
  norn_status code = two_ints(st, args, &a, &b);
  if (code) return code;
  uint64_t g = gcd_of(a, b);
  if (g > INT64_MAX)
    return norn_fail(st, NORN_EDOMAIN, 0, "gcd of %lld and %lld overflows", (long long)a,
                     (long long)b);
  *out = norn_int((int64_t)g);
  return NORN_OK;
}

static norn_status m_lcm(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t a, b, m;
  norn_status code = two_ints(st, args, &a, &b);
  if (code) return code;
  uint64_t g = gcd_of(a, b);
  if (g == 0 || g > INT64_MAX) g = 1;
  if (__builtin_mul_overflow(a / (int64_t)g, b, &m) || m == INT64_MIN)
    return norn_fail(st, NORN_EDOMAIN, 0, "lcm of %lld and %lld overflows", (long long)a,
                     (long long)b);
  *out = norn_int(m < 0 ? -m : m);
  return NORN_OK;
}

/* n choose k, exactly: each partial product is itself a binomial coefficient. */
static norn_status m_choose(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t m, k;
  norn_status code = two_ints(st, args, &m, &k);
  if (code) return code;
  if (m < 0) return norn_fail(st, NORN_EDOMAIN, 0, "choose needs n >= 0, got %lld", (long long)m);
  if (k > m - k) k = m - k;
  unsigned __int128 c = k < 0 ? 0 : 1;
  for (int64_t j = 1; j <= k; j++) {
    c = c * (unsigned __int128)(m - k + j) / (unsigned __int128)j;
    if (c > INT64_MAX) {
      code = norn_fail(st, NORN_EDOMAIN, 0, "choose(%lld, %lld) overflows", (long long)args[0].i,
                       (long long)args[1].i);
      norn_hint(st, "lchoose(n, k) gives its logarithm");
      return code;
    }
  }
  *out = norn_int((int64_t)c);
  return NORN_OK;
}

static norn_status m_factorial(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t m, f = 1;
  if (!norn_want_int(st, args, 0, "the argument of factorial", &m)) return lib_failed(st);
  if (m < 0)
    return norn_fail(st, NORN_EDOMAIN, 0, "factorial needs n >= 0, got %lld", (long long)m);
  for (int64_t j = 2; j <= m; j++)
    if (__builtin_mul_overflow(f, j, &f)) {
      norn_status code = norn_fail(st, NORN_EDOMAIN, 0, "factorial(%lld) overflows", (long long)m);
      norn_hint(st, "lgamma(n + 1) gives its logarithm");
      return code;
    }
  *out = norn_int(f);
  return NORN_OK;
}

/* ---- sums of exponentials ---- */

static norn_status log_sum_exp_big(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  if (n > 1 || !norn_array_view(args[0], &v)) return lib_big_fold(st, "log_add_exp", args, n, out);
  return lib_big_fold(st, "log_add_exp", v.v, v.n, out);
}

static norn_status softmax_big(norn_state *st, const norn_datum *args, norn_datum *out)
{
  norn_datum v[2] = { args[0], norn_none() };
  norn_status code = log_sum_exp_big(st, args, 1, &v[1]);
  if (!code) code = norn_big_apply(st, "-", v, 2, &v[0]);
  return code ? code : norn_big_apply(st, "exp", v, 1, out);
}

static norn_status m_log_sum_exp(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t m = n;
  norn_datum keep;
  if (lib_has_big(args, n)) return log_sum_exp_big(st, args, n, out);
  if (n == 1 && !lib_is_number(args[0])) {
    const double *x = norn_want_reals(st, args, 0, "the argument of log_sum_exp", &m);
    if (!x) return lib_failed(st);
    *out = norn_real(stats_logsumexp(x, m));
    return NORN_OK;
  }
  double *x = lib_reals(st, n, &keep);
  if (!x) return lib_failed(st);
  for (int k = 0; k < n; k++)
    if (!norn_want_real(st, args, k, "each argument of log_sum_exp", &x[k])) return lib_failed(st);
  *out = norn_real(stats_logsumexp(x, m));
  return NORN_OK;
}

static norn_status m_softmax(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t m;
  if (lib_has_big(args, 1)) return softmax_big(st, args, out);
  const double *x = norn_want_reals(st, args, 0, "the argument of softmax", &m);
  norn_datum a;
  double *p = x ? lib_reals(st, m, &a) : NULL;
  if (!p) return lib_failed(st);
  double total = stats_logsumexp(x, m);
  for (int64_t k = 0; k < m; k++) p[k] = exp(x[k] - total);
  *out = a;
  return NORN_OK;
}

/* ---- the table ---- */

#define REAL(name, fn, sentence, example, result) \
  { name, "x", sentence "\nExample: " example "\n=> " result, NULL, NORN_PURE, fn }
#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }
#define MANY(name, params, fn, sentence, example, result) \
  { \
    name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE | NORN_VARIADIC, \
        NULL \
  }

static const norn_native natives[] = {
  REAL("sqrt", sqrt, "The square root.", "sqrt(4)", "2.0"),
  REAL("exp", lane_exp, "e to the power x.", "exp(0)", "1.0"),
  REAL("log", log, "The natural logarithm.", "log([1, e])", "[0.0, 1.0]"),
  REAL("log1p", log1p, "log(1 + x), exact for small x.", "log1p(0)", "0.0"),
  REAL("expm1", expm1, "exp(x) - 1, exact for small x.", "expm1(0)", "0.0"),
  REAL("log2", log2, "The logarithm to base 2.", "log2(8)", "3.0"),
  REAL("log10", log10, "The logarithm to base 10.", "log10(1000)", "3.0"),
  REAL("sin", sin, "The sine of x radians.", "sin(0)", "0.0"),
  REAL("cos", cos, "The cosine of x radians.", "cos(0)", "1.0"),
  REAL("tan", tan, "The tangent of x radians.", "tan(0)", "0.0"),
  REAL("asin", asin, "The angle in [-pi/2, pi/2] whose sine is x.", "asin(0)", "0.0"),
  REAL("acos", acos, "The angle in [0, pi] whose cosine is x.", "acos(1)", "0.0"),
  REAL("atan", atan, "The angle in (-pi/2, pi/2) whose tangent is x.", "4 * atan(1) == pi", "true"),
  FN("atan2", "y, x", m_atan2, "The angle of the point (x, y), in (-pi, pi].", "atan2(0, 1)",
     "0.0"),
  REAL("sinh", sinh, "The hyperbolic sine.", "sinh(0)", "0.0"),
  REAL("cosh", cosh, "The hyperbolic cosine.", "cosh(0)", "1.0"),
  REAL("tanh", tanh, "The hyperbolic tangent.", "tanh(0)", "0.0"),
  REAL("asinh", asinh, "The inverse hyperbolic sine.", "asinh(0)", "0.0"),
  REAL("acosh", acosh, "The inverse hyperbolic cosine.", "acosh(1)", "0.0"),
  REAL("atanh", atanh, "The inverse hyperbolic tangent.", "atanh(0)", "0.0"),
  FN("pow", "x, y", m_pow, "x to the power y, as a real.", "pow(2, 10)", "1024.0"),
  FN("abs", "x", m_abs, "The absolute value; integers stay integers.", "abs([-2, 3])", "[2, 3]"),
  FN("sign", "x", m_sign, "-1, 0 or 1 as x is negative, zero or positive; of the same kind as x.",
     "sign(-2.5)", "-1.0"),
  FN("floor", "x", m_floor, "The greatest integer that is not above x.", "floor(-2.5)", "-3"),
  FN("ceil", "x", m_ceil, "The least integer that is not below x.", "ceil(2.1)", "3"),
  FN("trunc", "x", m_trunc, "The integer part of x, towards zero.", "trunc(-2.5)", "-2"),
  FN("round", "x, digits = missing", m_round,
     "The nearest integer, halves away from zero; with digits, a real rounded to so many decimals.",
     "[round(2.5), round(3.14159, 2)]", "[3.0, 3.14]"),
  FN("int", "x", m_int,
     "A whole number, or true or false, as an integer; any other value is an error.", "int(3.0)",
     "3"),
  FN("real", "x", m_real, "A number, or true or false, as a real.", "real([1, 2])", "[1.0, 2.0]"),
  FN("is_nan", "x", m_is_nan, "Whether x is not a number.", "is_nan([0.0, nan])", "[false, true]"),
  FN("is_inf", "x", m_is_inf, "Whether x is infinite.", "is_inf(-inf)", "true"),
  FN("is_finite", "x", m_is_finite, "Whether x is neither infinite nor nan.", "is_finite(1.5)",
     "true"),
  MANY("min", "x, more", m_min,
       "The least of the elements of one array, or of two or more numbers.", "min(3, 1, 2)", "1"),
  MANY("max", "x, more", m_max,
       "The greatest of the elements of one array, or of two or more numbers.", "max([3, 1.5])",
       "3.0"),
  FN("gcd", "a, b", m_gcd, "The greatest common divisor of two integers.", "gcd(12, 18)", "6"),
  FN("lcm", "a, b", m_lcm, "The least common multiple of two integers.", "lcm(4, 6)", "12"),
  FN("choose", "n, k", m_choose, "The number of ways to choose k of n, exactly.", "choose(5, 2)",
     "10"),
  FN("lchoose", "n, k", m_lchoose, "The logarithm of the number of ways to choose k of n.",
     "lchoose(5, 5)", "0.0"),
  FN("factorial", "n", m_factorial, "1 * 2 * ... * n, exactly.", "factorial(5)", "120"),
  REAL("lgamma", special_lgamma, "The logarithm of the absolute value of the gamma function.",
       "lgamma(1)", "0.0"),
  REAL("gamma_fn", tgamma, "The gamma function (gamma is the distribution).", "gamma_fn(5)",
       "24.0"),
  REAL("digamma", special_digamma, "The derivative of lgamma.", "round(digamma(1), 6)",
       "-0.577216"),
  FN("lbeta", "a, b", m_lbeta, "The logarithm of the beta function.", "lbeta(1, 1)", "0.0"),
  FN("beta_fn", "a, b", m_beta_fn, "The beta function (beta is the distribution).", "beta_fn(1, 1)",
     "1.0"),
  REAL("erf", erf, "The error function.", "erf(0)", "0.0"),
  REAL("erfc", erfc, "1 - erf(x), exact for large x.", "erfc(0)", "1.0"),
  REAL("normal_cdf", special_norm_cdf, "The distribution function of normal(0, 1).",
       "normal_cdf(0)", "0.5"),
  REAL("inv_logit", lane_inv_logit, "1 / (1 + exp(-x)).", "inv_logit(0)", "0.5"),
  REAL("logit", logit, "log(p / (1 - p)).", "logit(0.5)", "0.0"),
  REAL("log1p_exp", lane_log1p_exp, "log(1 + exp(x)), without overflow.", "log1p_exp(1000)",
       "1000.0"),
  MANY("log_sum_exp", "x, more", m_log_sum_exp,
       "log(sum(exp(x))) of an array or of several numbers, without overflow.",
       "log_sum_exp([1000, -inf])", "1000.0"),
  FN("log_diff_exp", "a, b", m_log_diff_exp, "log(exp(a) - exp(b)), without overflow.",
     "log_diff_exp(1000, -inf)", "1000.0"),
  FN("softmax", "x", m_softmax, "exp(x) / sum(exp(x)), without overflow.", "softmax([0, 0])",
     "[0.5, 0.5]"),
};

norn_status lib_math_open(norn_state *st)
{
  norn_status code = norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
  if (!code)
    code = norn_add_constant(
        st, "pi", norn_real(M_PI),
        "The ratio of a circle's circumference to its diameter.\nExample: round(pi, 4)\n=> 3.1416");
  if (!code)
    code = norn_add_constant(st, "e", norn_real(M_E),
                             "The base of natural logarithms.\nExample: log(e)\n=> 1.0");
  if (!code)
    code = norn_add_constant(st, "inf", norn_real(INFINITY),
                             "Infinity.\nExample: -inf < 0\n=> true");
  if (!code)
    code = norn_add_constant(
        st, "nan", norn_real(NAN),
        "Not a number: differs even from itself.\nExample: nan == nan\n=> false");
  return code;
}
