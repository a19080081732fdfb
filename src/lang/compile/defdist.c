/* defdist.c: distributions defined in Norn.

       distribution laplace2(m, b) {
         sample  = () -> ...          a draw
         logpdf  = x -> ...           the log density or log probability
         support = real               where values lie
         mean = m                     optional, as is variance
         cdf = x -> ...               optional: P(X <= x), asked inside the support
         quantile = p -> ...          optional: its inverse
       }

   compiles to a function of (m, b) that ends in the native @defdist("laplace2", sample, logpdf,
   support, [m, b], mean, variance, cdf, quantile); entries that are not written are `missing`.  The words for
   supports are constants: real, positive, unit_interval, natural, integer, boolean, anything;
   interval(lower, upper) is a function; an array lists all values of a finite distribution.
   Densities are asked only inside the support and are 0 outside.  Closures are called in sealed
   runs; draws inside `sample` come from the event's random numbers.

   The value's arguments:  name | sample | logpdf | support | arguments | mean | variance |
   cdf | quantile */
#include "lang/value/big.h"
#include "lang/env_in.h"
#include <math.h>
#include <string.h>

enum { D_NAME, D_SAMPLE, D_LOGPDF, D_SUPPORT, D_ARGS, D_MEAN, D_VARIANCE, D_CDF, D_QUANTILE,
       D_COUNT };

/* word, kind, bounds */
#define SUPPORTS(X)                                                                                \
  X(real, REAL, -INFINITY, INFINITY)                                                               \
  X(positive, LOWER, 0, INFINITY) X(unit_interval, INTERVAL, 0, 1)                                 \
      X(natural, INTEGER, 0, INFINITY) X(integer, INTEGER, -INFINITY, INFINITY)                    \
          X(boolean, BOOL, 0, 1) X(anything, ANY, -INFINITY, INFINITY)

typedef struct word { const char *name; norn_support_kind kind; double lower, upper; } word;
static const word words[] = {
#define X(name, kind, lower, upper) {#name, NORN_SUPPORT_##kind, lower, upper},
  SUPPORTS(X)
#undef X
};
enum { WORDS = sizeof words / sizeof words[0] };

/* Constructors 0 .. WORDS - 1 of the state are the words, WORDS is interval. */
bool defdist_init(norn_state *st)
{
  sym names[WORDS + 1], *fields[WORDS + 1] = {0};
  uint32_t arity[WORDS + 1] = {0};
  uint64_t tags[WORDS + 1];
  sym bounds[2] = {sym_intern(st, "lower", 5), sym_intern(st, "upper", 5)};
  for (int i = 0; i < WORDS; i++)
    if (!(names[i] = sym_intern(st, words[i].name, strlen(words[i].name)))) return false;
  names[WORDS] = sym_intern(st, "interval", 8);
  arity[WORDS] = 2;
  fields[WORDS] = bounds;
  if (!bounds[0] || !bounds[1] || !names[WORDS]) return false;
  if (env_type(st, names[WORDS], WORDS + 1, names, arity, fields, tags) == UINT32_MAX) return false;
  for (uint32_t i = 0; i < WORDS; i++)
    if (norn_add_constant(st, words[i].name, v_enum(i),
                          "A support, in the definition of a distribution."))
      return false;
  return true;
}

static norn_status interval(norn_state *st, const val *args, int n, val *out)
{
  double lower, upper;
  (void)n;
  if (!norn_want_real(st, args, 0, "lower", &lower) ||
      !norn_want_real(st, args, 1, "upper", &upper))
    return NORN_ETYPE;
  if (!(lower < upper))
    return norn_fail(st, NORN_EDOMAIN, 1, "upper must be above lower (%g), got %g", lower, upper);
  data *d = heap_alloc(st, sizeof *d + 2 * sizeof d->f[0]);
  if (!d) return NORN_EMEMORY;
  obj_init(d, NORN_DATA, WORDS, 2);
  d->f[0] = norn_real(lower), d->f[1] = norn_real(upper);
  *out = v_data(WORDS, d);
  return NORN_OK;
}

/* ---- the support ---- */

/* A native may have the name of a word: real(x) is a conversion. */
static val word_of(const char *name)
{
  for (uint32_t i = 0; i < WORDS; i++)
    if (!strcmp(words[i].name, name)) return v_enum(i);
  return norn_none();
}

static bool support_read(val v, norn_support *s)
{
  *s = (norn_support){.kind = NORN_SUPPORT_ANY, .lower = -INFINITY, .upper = INFINITY,
                      .size = 1, .count = 1, .lower_leaf = -1, .upper_leaf = -1};
  if (v.tag == NORN_ARRAY) return true;
  if (v.tag == NORN_NATIVE) v = word_of(((const norn_native *)v.q)->name);
  if (V_KIND(v) == NORN_ENUM && V_CTOR(v) < WORDS) {
    const word *w = &words[V_CTOR(v)];
    s->kind = w->kind, s->lower = w->lower, s->upper = w->upper;
    return true;
  }
  if (V_KIND(v) != NORN_DATA || V_CTOR(v) != WORDS) return false;
  const data *d = v.q;
  *s = (norn_support){NORN_SUPPORT_INTERVAL, d->f[0].d, d->f[1].d, 1, 1, -1, -1};
  if (isinf(s->lower) && isinf(s->upper)) s->kind = NORN_SUPPORT_REAL;
  else if (isinf(s->upper)) s->kind = NORN_SUPPORT_LOWER;
  else if (isinf(s->lower)) s->kind = NORN_SUPPORT_UPPER;
  return true;
}

static int64_t value_place(norn_state *st, val values, val x)
{
  int64_t n = norn_array_length(values);
  for (int64_t i = 0; i < n; i++)
    if (value_equal(norn_array_at(st, values, i), x)) return i;
  return -1;
}

static norn_status wrong_value(norn_state *st, const norn_dist *d, const char *wanted, val x)
{
  char was[160];
  return norn_fail(st, NORN_ETYPE, -1, "values of %s are %s, got %s",
                   norn_string_view(d->args[D_NAME], NULL), wanted,
                   norn_describe(st, x, was, sizeof was));
}

/* Is x in the support?  An error if it is of the wrong kind. */
static norn_status inside(norn_state *st, const norn_dist *d, val x, bool *in)
{
  norn_support s;
  double at = 0;
  val support = d->args[D_SUPPORT];
  *in = true;
  if (support.tag == NORN_ARRAY) {
    *in = value_place(st, support, x) >= 0;
    return NORN_OK;
  }
  support_read(support, &s);
  if (s.kind == NORN_SUPPORT_ANY) return NORN_OK;
  if (s.kind == NORN_SUPPORT_BOOL) {
    if (!V_IS_BOOL(x)) return wrong_value(st, d, "booleans", x);
    return NORN_OK;
  }
  if (!norn_as_real(x, &at))
    return wrong_value(st, d, s.kind == NORN_SUPPORT_INTEGER ? "integers" : "reals", x);
  *in = at >= s.lower && at <= s.upper && (s.kind != NORN_SUPPORT_INTEGER || at == floor(at));
  return NORN_OK;
}

/* ---- the row ---- */

static norn_status row_sample(norn_state *st, const norn_dist *d, norn_rng *rng, val *out)
{
  bool in;
  char was[160];
  if (d->args[D_SAMPLE].tag == NORN_MISSING)
    return norn_fail(st, NORN_EINFER, -1, "%s can't be sampled: its definition has no `sample`",
                     norn_string_view(d->args[D_NAME], NULL));
  norn_status s = norn_call_random(st, d->args[D_SAMPLE], NULL, 0, rng, out);
  if (s == NORN_OK) s = inside(st, d, *out, &in);
  if (s == NORN_OK && !in)
    return norn_fail(st, NORN_EDOMAIN, -1, "`sample` of %s gave a value outside its support: %s",
                     norn_string_view(d->args[D_NAME], NULL),
                     norn_describe(st, *out, was, sizeof was));
  return s;
}

/* What `logpdf` gives for x, a number; outside the support -inf. */
static norn_status logp_of(norn_state *st, const norn_dist *d, val x, val *lp, double *out)
{
  bool in;
  char was[160];
  norn_status s = inside(st, d, x, &in);
  *out = -INFINITY;
  *lp = norn_real(*out);
  if (s || !in) return s;
  s = norn_call(st, d->args[D_LOGPDF], &x, 1, lp);
  if (s) return s;
  if (!norn_as_real(*lp, out))
    return norn_fail(st, NORN_ETYPE, -1, "`logpdf` of %s must give a real, got %s",
                     norn_string_view(d->args[D_NAME], NULL),
                     norn_describe(st, *lp, was, sizeof was));
  if (isnan(*out) || *out == INFINITY)
    return norn_fail(st, NORN_EDOMAIN, -1, "`logpdf` of %s gave %s",
                     norn_string_view(d->args[D_NAME], NULL), isnan(*out) ? "nan" : "inf");
  return NORN_OK;
}

static norn_status row_logp(norn_state *st, const norn_dist *d, val x, double *out)
{
  val lp;
  return logp_of(st, d, x, &lp, out);
}

/* A real comes to `logpdf` as a big, so that its arithmetic is in bigs; integers and others as they
   are. */
static norn_status row_logp_big(norn_state *st, const norn_dist *d, val x, int64_t bits, val *out)
{
  double rough;
  if (V_IS_REAL(x) || V_KIND(x) == NORN_BIG) x = big_rounded(st, x, bits);
  return x.tag == NORN_NONE ? NORN_EMEMORY : logp_of(st, d, x, out, &rough);
}

static void row_support(norn_state *st, const norn_dist *d, norn_support *s)
{
  (void)st;
  support_read(d->args[D_SUPPORT], s);
}

static norn_status row_enumerate(norn_state *st, const norn_dist *d, int64_t k, val *out)
{
  norn_support s;
  val support = d->args[D_SUPPORT];
  *out = norn_none();
  if (support.tag == NORN_ARRAY) {
    if (k < norn_array_length(support)) *out = norn_array_at(st, support, k);
    return NORN_OK;
  }
  support_read(support, &s);
  if (s.kind == NORN_SUPPORT_BOOL && k < 2) *out = norn_bool(k == 1);
  else if (s.kind == NORN_SUPPORT_INTEGER && s.lower == 0) *out = norn_int(k);
  else if (s.kind == NORN_SUPPORT_INTEGER) *out = norn_int(k & 1 ? (k + 1) / 2 : -(k / 2));
  return NORN_OK;
}

static norn_status row_moments(norn_state *st, const norn_dist *d, val *mean, val *variance)
{
  (void)st;
  *mean = d->args[D_MEAN].tag == NORN_MISSING ? norn_none() : d->args[D_MEAN];
  *variance = d->args[D_VARIANCE].tag == NORN_MISSING ? norn_none() : d->args[D_VARIANCE];
  return NORN_OK;
}

static norn_status number_from(norn_state *st, const norn_dist *d, val f, const char *entry, double x,
                               double *out)
{
  val arg = norn_real(x), got;
  char was[160];
  norn_status s = norn_call(st, f, &arg, 1, &got);
  if (s || norn_as_real(got, out)) return s;
  return norn_fail(st, NORN_ETYPE, -1, "`%s` of %s must give a real, got %s", entry,
                   norn_string_view(d->args[D_NAME], NULL), norn_describe(st, got, was, sizeof was));
}

/* 0 under the support and 1 from its upper end on. */
static norn_status row_cdf(norn_state *st, const norn_dist *d, val x, double *out)
{
  norn_support s;
  double at;
  const char *name = norn_string_view(d->args[D_NAME], NULL);
  support_read(d->args[D_SUPPORT], &s);
  if (!norn_as_real(x, &at)) return wrong_value(st, d, "reals", x);
  if (s.kind == NORN_SUPPORT_INTEGER) at = floor(at);
  *out = at < s.lower ? 0 : 1;
  if (at < s.lower || at >= s.upper) return NORN_OK;
  norn_status status = number_from(st, d, d->args[D_CDF], "cdf", at, out);
  if (!status && !(*out >= 0 && *out <= 1))
    status = norn_fail(st, NORN_EDOMAIN, -1, "`cdf` of %s gave %g, which is no probability", name,
                       *out);
  return status;
}

static norn_status row_quantile(norn_state *st, const norn_dist *d, double prob, val *out)
{
  double x;
  norn_status s = number_from(st, d, d->args[D_QUANTILE], "quantile", prob, &x);
  *out = norn_real(x);
  if (!s && (d->row->flags & NORN_DIST_DISCRETE) && x == floor(x) && fabs(x) < 0x1p62)
    *out = norn_int((int64_t)x);
  return s;
}

static norn_status row_show(norn_state *st, const norn_dist *d, val *out)
{
  text t;
  int64_t n = norn_array_length(d->args[D_ARGS]);
  text_init(&t, &st->mem);
  text_printf(&t, "%s(", norn_string_view(d->args[D_NAME], NULL));
  for (int64_t i = 0; i < n; i++) {
    if (i) text_puts(&t, ", ");
    value_show(st, &t, norn_array_at(st, d->args[D_ARGS], i), true, 60);
  }
  text_putc(&t, ')');
  *out = norn_string(st, t.s ? t.s : "", t.n);
  text_free(&t);
  return out->tag == NORN_NONE ? NORN_EMEMORY : NORN_OK;
}

#define ROW(more, cdf_, quantile_)                                                                 \
  {                                                                                                \
    .name = "distribution",                                                                        \
    .params = "name, sample, logpdf, support, args, mean = missing, variance = missing, "          \
              "cdf = missing, quantile = missing",                                                 \
    .doc = "A distribution defined in Norn.", .flags = NORN_DIST_COSTLY | (more),                  \
    .sample = row_sample, .logp = row_logp, .support = row_support, .cdf = cdf_,                   \
    .quantile = quantile_, .enumerate = (more)&NORN_DIST_DISCRETE ? row_enumerate : NULL,          \
    .moments = row_moments, .show = row_show, .logp_big = row_logp_big                             \
  }
#define ROWS(from, cdf_, quantile_)                                                                \
  [(from) + DEFDIST_REAL] = ROW(NORN_DIST_CONTINUOUS, cdf_, quantile_),                            \
  [(from) + DEFDIST_INTEGER] = ROW(NORN_DIST_DISCRETE, cdf_, quantile_),                           \
  [(from) + DEFDIST_FINITE] = ROW(NORN_DIST_DISCRETE | NORN_DIST_FINITE, cdf_, quantile_)
const norn_dist_row defdist_rows[DEFDIST_ROWS] = {
  ROWS(0, NULL, NULL), ROWS(DEFDIST_CDF, row_cdf, NULL), ROWS(DEFDIST_QUANTILE, NULL, row_quantile),
  ROWS(DEFDIST_CDF + DEFDIST_QUANTILE, row_cdf, row_quantile),
};

/* ---- making one ---- */

static norn_status want_function(norn_state *st, const val *args, int i, const char *entry,
                                 int nargs)
{
  char was[160];
  if (args[i].tag == NORN_NATIVE) return NORN_OK;
  if (args[i].tag != NORN_FUN)
    return norn_fail(st, NORN_ETYPE, i, "`%s` of %s must be a function, got %s", entry,
                     norn_string_view(args[0], NULL), norn_describe(st, args[i], was, sizeof was));
  const proto *p = v_clo(args[i])->p;
  if (nargs < p->nreq || nargs > p->nargs)
    return norn_fail(st, NORN_ETYPE, i,
                     "`%s` of %s must be a function of %d argument%s, this one takes %u", entry,
                     norn_string_view(args[0], NULL), nargs, nargs == 1 ? "" : "s", p->nargs);
  return NORN_OK;
}

/* The arguments are in the order of the value's, D_NAME ... */
static norn_status make(norn_state *st, const val *a, int n, val *out)
{
  norn_support s;
  char was[160];
  const char *name = norn_string_view(a[D_NAME], NULL);
  (void)n;
  if (a[D_SAMPLE].tag != NORN_MISSING && want_function(st, a, D_SAMPLE, "sample", 0))
    return NORN_ETYPE;
  if (a[D_LOGPDF].tag == NORN_MISSING)
    return norn_fail(st, NORN_ETYPE, -1, "%s has no `logpdf`", name);
  if (want_function(st, a, D_LOGPDF, "logpdf", 1)) return NORN_ETYPE;
  for (int i = D_CDF; i <= D_QUANTILE; i++)
    if (a[i].tag != NORN_MISSING && want_function(st, a, i, i == D_CDF ? "cdf" : "quantile", 1))
      return NORN_ETYPE;
  val support = a[D_SUPPORT].tag == NORN_MISSING ? v_enum(0) : a[D_SUPPORT];
  if (!support_read(support, &s)) {
    norn_fail(st, NORN_ETYPE, D_SUPPORT,
              "`support` of %s must be a word for a support or an array of values, got %s", name,
              norn_describe(st, support, was, sizeof was));
    norn_hint(st, "real, positive, unit_interval, natural, integer, boolean, anything, "
                  "interval(lower, upper), or [a, b, c]");
    return NORN_ETYPE;
  }
  int row = support.tag == NORN_ARRAY || s.kind == NORN_SUPPORT_BOOL ? DEFDIST_FINITE
            : s.kind == NORN_SUPPORT_INTEGER                         ? DEFDIST_INTEGER
                                                                     : DEFDIST_REAL;
  if (a[D_CDF].tag != NORN_MISSING) row += DEFDIST_CDF;
  if (a[D_QUANTILE].tag != NORN_MISSING) row += DEFDIST_QUANTILE;
  tab *t = heap_alloc(st, sizeof *t + D_COUNT * sizeof t->a[0]);
  if (!t) return NORN_EMEMORY;
  obj_init(t, NORN_DIST, 0, D_COUNT);
  t->row = &defdist_rows[row];
  memcpy(t->a, a, D_COUNT * sizeof *a);
  t->a[D_SUPPORT] = support;
  *out = v_obj(NORN_DIST, t);
  return NORN_OK;
}

const norn_native defdist_natives[2] = {
    {"@defdist", "name, sample, logpdf, support, args, mean, variance, cdf, quantile",
     "What `distribution` compiles to.", make, 0, NULL},
    {"interval", "lower, upper",
     "The support of values between lower and upper, in the definition of a distribution.\n"
     "Example: support = interval(-1, 1)",
     interval, NORN_PURE, NULL},
};
