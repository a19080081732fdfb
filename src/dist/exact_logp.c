/* exact_logp.c: norn_dist_logp_big: which formula of exact.c a distribution needs, and products,
   truncations and mixtures of them.  It computes with 64 bits more than asked for, rounds once. */
#include "dist/exact.h"
#include <math.h>
#include <string.h>

enum { GUARD = 64, DEEPEST = 100, LONGEST_SUM = 1000000 };

typedef struct exact { norn_state *st; calc c; int depth; } exact;

#define DO(op, a, b) calc_do(&q->c, REAL_##op, a, b)
#define INT(i) calc_int(&q->c, i)
#define NOTHING calc_double(&q->c, -HUGE_VAL)

/* ---- bigs in values ---- */

/* The longest big in a value, 0: none. */
static int64_t longest(norn_datum v, int depth)
{
  norn_big_parts b;
  norn_dist d;
  norn_view a;
  int64_t most = 0;
  if (norn_big_view(v, &b)) return b.bits;
  if (depth > DEEPEST) return 0;
  for (int i = 0; i < norn_record_size(v); i++) {
    norn_datum field;
    norn_record_at(NULL, v, i, &field);
    int64_t bits = longest(field, depth + 1);
    if (bits > most) most = bits;
  }
  if (norn_kind_of(v) == NORN_ARRAY && norn_array_view(v, &a) && a.elem == NORN_VALUES) {
    for (int64_t k = 0; k < a.n; k++) {
      int64_t bits = longest(a.v[k], depth + 1);
      if (bits > most) most = bits;
    }
  } else if (norn_kind_of(v) == NORN_DIST && norn_dist_view(v, &d) &&
             !(d.row->flags & NORN_DIST_POSTERIOR)) {
    for (int i = 0; i < d.n; i++) {
      int64_t bits = longest(d.args[i], depth + 1);
      if (bits > most) most = bits;
    }
  }
  return most;
}

/* The parameters of a posterior are draws, not numbers: they are not looked through. */
static int64_t longest_of(const norn_dist *d, norn_datum x)
{
  int64_t most = norn_kind_of(x) < NORN_STR ? 0 : longest(x, 0);
  if (d->row->flags & NORN_DIST_POSTERIOR) return most;
  for (int i = 0; i < d->n; i++) {
    if (norn_kind_of(d->args[i]) < NORN_STR) continue;
    int64_t bits = longest(d->args[i], 0);
    if (bits > most) most = bits;
  }
  return most;
}

bool norn_dist_is_big(const norn_dist *d, norn_datum x) { return longest_of(d, x) > 0; }

/* ---- numbers ---- */

/* NULL: not a number. */
static num number(exact *q, norn_datum v)
{
  norn_big_parts b;
  if (v.tag == NORN_INT) return calc_int(&q->c, v.i);
  if (v.tag == NORN_BOOL) return calc_int(&q->c, v.i != 0);
  if (v.tag == NORN_REAL) return calc_double(&q->c, v.d);
  if (!norn_big_view(v, &b)) return NULL;
  bignum x = { b.bits, b.exponent, b.kind, b.sign, (uint64_t *)(uintptr_t)b.limbs };
  return calc_copy(&q->c, &x);
}

static norn_status unknown(exact *q, const norn_dist *d)
{
  norn_status code =
    norn_fail(q->st, NORN_ETYPE, -1, "%s has no density in big reals", d->row->name);
  norn_hint(q->st, "families with a closed form do; real(x) rounds to doubles");
  return code;
}

/* The elements of a vector argument as numbers in the arena; NULL: error set. */
static const num *numbers(exact *q, const norn_dist *d, norn_datum a, int arg, int64_t *n)
{
  norn_view v;
  char got[120];
  if (!norn_array_view(a, &v) || v.rank != 1) {
    norn_fail(q->st, NORN_ETYPE, arg, "%s needs an array of numbers, got %s", d->row->name,
              norn_describe(q->st, a, got, sizeof got));
    return NULL;
  }
  num *x = arena_get(&q->c.a, (size_t)(v.n + 1) * sizeof *x);
  for (int64_t k = 0; x && k < v.n; k++)
    if (!(x[k] = number(q, dist_view_at(&v, k)))) {
      norn_fail(q->st, NORN_ETYPE, arg, "%s needs an array of numbers", d->row->name);
      return NULL;
    }
  *n = v.n;
  if (!x) norn_fail(q->st, NORN_EMEMORY, -1, "out of memory");
  return x;
}

static bool whole_number(exact *q, norn_datum x, int64_t *k)
{
  num v = number(q, x);
  return v && real_int(v, k);
}

/* ---- scalar families, and products of them ---- */

static norn_status scalar_logp(exact *q, const norn_dist *d, const exact_row *row, norn_datum x,
                               num *out)
{
  num p[NORN_DIST_P];
  double rough;
  norn_status code = dist_value(q->st, d->row, x, &rough);
  if (code) return code;
  for (int i = 0; i < d->n; i++)
    if (!(p[i] = number(q, d->args[i]))) return unknown(q, d);
  num v = number(q, x);
  if (d->row->flags & NORN_DIST_DISCRETE && v->kind == NORN_BIG_FINITE &&
      real_compare(v, DO(FLOOR, v, NULL)))
    return norn_fail(q->st, NORN_ETYPE, -1, "a value of %s must be an integer, got %s",
                     d->row->name, norn_show(q->st, x, true, 40));
  *out = row->logp(&q->c, v, p);
  return NORN_OK;
}

/* The common shape of array arguments; false: all are numbers. */
static bool product_shape(const norn_dist *d, norn_view *shape)
{
  for (int i = 0; i < d->n; i++) if (norn_array_view(d->args[i], shape)) return true;
  return false;
}

static norn_status product_logp(exact *q, const norn_dist *d, const exact_row *row,
                                const norn_view *shape, norn_datum x, num *out)
{
  norn_view v[NORN_DIST_P], y;
  norn_datum args[NORN_DIST_P];
  char a[80];
  bool array[NORN_DIST_P];
  if (!norn_array_view(x, &y) || y.rank != shape->rank ||
      memcmp(y.dims, shape->dims, (size_t)y.rank * sizeof y.dims[0]))
    return norn_fail(q->st, NORN_ETYPE, -1, "a value of this %s must have shape %s", d->row->name,
                     dist_shape_text(shape->rank, shape->dims, a, sizeof a));
  for (int i = 0; i < d->n; i++) array[i] = norn_array_view(d->args[i], &v[i]);
  *out = INT(0);
  for (int64_t k = 0; k < shape->n; k++) {
    for (int i = 0; i < d->n; i++) args[i] = array[i] ? dist_view_at(&v[i], k) : d->args[i];
    norn_dist one = { d->row, args, d->n };
    num l;
    norn_status code = scalar_logp(q, &one, row, dist_view_at(&y, k), &l);
    if (code) return code;
    *out = DO(ADD, *out, l);
  }
  return NORN_OK;
}

static norn_status family_logp(exact *q, const norn_dist *d, const exact_row *row, norn_datum x,
                               num *out)
{
  norn_view shape;
  char got[120];
  if (d->n != row->n || d->n > NORN_DIST_P) return unknown(q, d);
  if (product_shape(d, &shape)) return product_logp(q, d, row, &shape, x, out);
  if (norn_kind_of(x) == NORN_ARRAY)
    return norn_fail(q->st, NORN_ETYPE, -1, "a value of %s must be a number, got %s", d->row->name,
                     norn_describe(q->st, x, got, sizeof got));
  return scalar_logp(q, d, row, x, out);
}

/* ---- what is made of distributions ---- */

static norn_status logp_of(exact *q, const norn_dist *d, norn_datum x, num *out);

/* log P(lower <= X <= upper) of a discrete family by its values, of another by its tails. */
static norn_status log_mass(exact *q, const norn_dist *base, const exact_row *row, num lower,
                            num upper, num *out)
{
  num p[NORN_DIST_P];
  double pd[NORN_DIST_P], lo = -HUGE_VAL, hi = HUGE_VAL;
  for (int i = 0; i < base->n; i++)
    if (!(p[i] = number(q, base->args[i])) || !norn_as_real(base->args[i], &pd[i]))
      return unknown(q, base);
  if (!(base->row->flags & NORN_DIST_DISCRETE)) {
    if (!row->lower) return unknown(q, base);
    num below = row->lower(&q->c, lower, p), above = row->upper(&q->c, upper, p),
        not_below = row->upper(&q->c, lower, p), not_above = row->lower(&q->c, upper, p);
    *out = real_compare(not_below, below) == -1 ? DO(LOG_DIFF_EXP, not_below, above)
                                                : DO(LOG_DIFF_EXP, not_above, below);
    return NORN_OK;
  }
  if (base->row->range1) base->row->range1(pd, &lo, &hi);
  lo = fmax(lo, ceil(real_double(lower)));
  hi = fmin(hi, floor(real_double(upper)));
  bool rest = !(hi - lo < LONGEST_SUM);              /* 1 - P(X < lower) */
  if (rest && lo > -HUGE_VAL && base->row->range1) {
    double first;
    base->row->range1(pd, &first, &hi);
    hi = lo - 1;
    lo = first;
  }
  if (!(hi - lo < LONGEST_SUM)) return unknown(q, base);
  num sum = NOTHING;
  for (double k = lo; k <= hi; k++)
    sum = exact_log_add(&q->c, sum, row->logp(&q->c, calc_double(&q->c, k), p));
  *out = rest ? DO(LOG1M_EXP, sum, NULL) : sum;
  return NORN_OK;
}

static norn_status truncate_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  norn_dist base;
  num bound[2] = { NOTHING, calc_double(&q->c, HUGE_VAL) }, v = number(q, x), l, mass = NULL;
  if (!d->n || !norn_dist_view(d->args[0], &base)) return unknown(q, d);
  const exact_row *row = exact_find(base.row->name);
  if (!row || row->n != base.n) return unknown(q, &base);
  for (int i = 0; i < 2; i++) {
    if (i + 1 >= d->n || d->args[i + 1].tag == NORN_NONE || d->args[i + 1].tag == NORN_MISSING)
      continue;
    if (!(bound[i] = number(q, d->args[i + 1]))) return unknown(q, d);
  }
  norn_status code = family_logp(q, &base, row, x, &l);
  if (!code) code = log_mass(q, &base, row, bound[0], bound[1], &mass);
  if (code) return code;
  bool inside = v && real_compare(v, bound[0]) != -1 && real_compare(bound[1], v) != -1;
  *out = inside ? DO(SUB, l, mass) : NOTHING;
  return NORN_OK;
}

static norn_status mixture_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  int64_t n = d->n > 1 ? norn_array_length(d->args[1]) : -1, m;
  const num *w = n < 0 ? NULL : numbers(q, d, d->args[0], 0, &m);
  if (!w) return n < 0 ? unknown(q, d) : norn_error(q->st)->code;
  *out = NOTHING;
  for (int64_t i = 0; i < n && i < m; i++) {
    norn_dist base;
    num l;
    if (w[i]->kind == NORN_BIG_ZERO) continue;
    if (!norn_dist_view(norn_array_at(q->st, d->args[1], i), &base)) return unknown(q, d);
    norn_status code = logp_of(q, &base, x, &l);
    if (code) return code;
    *out = exact_log_add(&q->c, *out, DO(ADD, DO(LOG, w[i], NULL), l));
  }
  return NORN_OK;
}

static norn_status iid_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  norn_dist base;
  int64_t n = norn_array_length(x);
  if (d->n < 2 || !norn_dist_view(d->args[0], &base)) return unknown(q, d);
  if (d->args[1].tag != NORN_INT || n != d->args[1].i)
    return norn_fail(q->st, NORN_ETYPE, -1, "a value of this iid must be an array of length %lld",
                     (long long)(d->args[1].tag == NORN_INT ? d->args[1].i : 0));
  *out = INT(0);
  for (int64_t k = 0; k < n; k++) {
    num l;
    norn_status code = logp_of(q, &base, norn_array_at(q->st, x, k), &l);
    if (code) return code;
    *out = DO(ADD, *out, l);
  }
  return NORN_OK;
}

/* ---- families of arrays ---- */

static norn_status categorical_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  int64_t n, k = -1;
  const num *p = numbers(q, d, d->args[0], 0, &n);
  if (!p) return norn_error(q->st)->code;
  whole_number(q, x, &k);
  if (!strcmp(d->row->name, "categorical_logit"))
    *out = exact_categorical_logit(&q->c, k, p, n);
  else *out = k < 0 || k >= n ? NOTHING : DO(LOG, p[k], NULL);
  return NORN_OK;
}

static norn_status ordered_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  int64_t n, k = -1;
  num eta = number(q, d->args[0]);
  if (!eta || d->n != 2) return unknown(q, d);
  const num *cut = numbers(q, d, d->args[1], 1, &n);
  if (!cut) return norn_error(q->st)->code;
  whole_number(q, x, &k);
  *out = exact_ordered(&q->c, k, eta, cut, n, !strcmp(d->row->name, "ordered_probit"));
  return NORN_OK;
}

/* multinomial(theta) or multinomial(N, theta), and dirichlet_multinomial likewise */
static norn_status multinomial_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  int64_t n, m, total = 0, k;
  const num *p = numbers(q, d, d->args[d->n - 1], d->n - 1, &n),
            *y = p ? numbers(q, d, x, -1, &m) : NULL;
  if (!y) return norn_error(q->st)->code;
  if (m != n)
    return norn_fail(q->st, NORN_ETYPE, -1, "a value of this %s must be an array of %lld counts",
                     d->row->name, (long long)n);
  for (int64_t i = 0; i < n; i++) total += real_int(y[i], &k) ? k : 0;
  bool other = d->n > 1 && (!whole_number(q, d->args[0], &k) || k != total);
  *out = other ? NOTHING
         : *d->row->name == 'm' ? exact_multinomial(&q->c, y, p, n)
                                : exact_dirichlet_multinomial(&q->c, y, p, n);
  return NORN_OK;
}

static norn_status dirichlet_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  int64_t n, m;
  const num *alpha = numbers(q, d, d->args[0], 0, &n),
            *y = alpha ? numbers(q, d, x, -1, &m) : NULL;
  if (!y) return norn_error(q->st)->code;
  if (m != n)
    return norn_fail(q->st, NORN_ETYPE, -1, "a value of this dirichlet must be an array of %lld "
                     "numbers", (long long)n);
  num sum = INT(0);
  for (int64_t i = 0; i < n; i++) sum = DO(ADD, sum, y[i]);
  bool inside = fabs(real_double(sum) - 1) <= 1e-8;
  *out = inside ? exact_dirichlet(&q->c, y, alpha, n) : NOTHING;
  return NORN_OK;
}

/* The numbers of a value of arrays and records in order; how many, -1: something else in it. */
static int64_t flatten(exact *q, norn_datum x, int depth, num *to, int64_t room)
{
  int64_t n = norn_array_length(x), at = 0;
  if (n < 0) {
    if (room < 1 || !(*to = number(q, x))) return -1;
    return 1;
  }
  for (int64_t k = 0; k < n && depth < 2; k++) {
    int64_t m = flatten(q, norn_array_at(q->st, x, k), depth + 1, to + at, room - at);
    if (m < 0) return -1;
    at += m;
  }
  return depth < 2 ? at : -1;
}

/* The value with doubles for bigs. */
static norn_datum in_doubles(norn_state *st, norn_datum x, int depth)
{
  const char *names[4];
  norn_datum field[4], list;
  norn_view v;
  void *to;
  int n = norn_record_size(x);
  if (x.tag == NORN_BIG) return norn_real(norn_big_double(x));
  for (int i = 0; i < n && n <= 4; i++) {
    names[i] = norn_record_at(st, x, i, &field[i]);
    if (norn_is_none(field[i] = in_doubles(st, field[i], depth + 1))) return field[i];
  }
  if (n >= 0 && n <= 4) return norn_record(st, n, names, field);
  if (depth > 3 || !norn_array_view(x, &v) || v.elem != NORN_VALUES) return x;
  list = norn_array(st, NORN_VALUES, 1, &v.n, &to);
  if (norn_is_none(list)) return list;
  for (int64_t k = 0; k < v.n; k++) ((norn_datum *)to)[k] = norn_unit();
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum e = in_doubles(st, v.v[k], depth + 1);
    if (norn_is_none(e)) return e;
    ((norn_datum *)to)[k] = e;
  }
  return norn_array_pack(st, to, v.n);
}

/* The rounded value says whether it has the right shape and is inside. */
static norn_status matrix_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  static const char *const fields[] = { "mu", "sigma", "sigma2" };
  norn_datum near = in_doubles(q->st, x, 0);
  norn_view v;
  double rough = -HUGE_VAL;
  if (norn_is_none(near)) return norn_error(q->st)->code;
  norn_status code = d->row->logp(q->st, d, near, &rough);
  if (code) return code;
  int64_t most = norn_array_view(near, &v) ? v.n : 0, at = 0;
  for (int i = 0; i < 3 && norn_record_size(x) > 0; i++) {
    norn_datum f = norn_record_get(q->st, near, fields[i]);
    most += norn_is_none(f) ? 0 : norn_array_view(f, &v) ? v.n : 1;
  }
  num *y = arena_get(&q->c.a, (size_t)(most + 1) * sizeof *y);
  if (!y) return norn_fail(q->st, NORN_EMEMORY, -1, "out of memory");
  if (norn_record_size(x) < 0) at = flatten(q, x, 0, y, most);
  for (int i = 0; i < 3 && norn_record_size(x) > 0 && at >= 0; i++) {
    norn_datum f = norn_record_get(q->st, x, fields[i]);
    int64_t m = norn_is_none(f) ? 0 : flatten(q, f, 0, y + at, most - at);
    at = m < 0 ? -1 : at + m;
  }
  if (at != most) return unknown(q, d);
  *out = rough == -HUGE_VAL ? NOTHING : exact_matrix(&q->c, q->st, d, y);
  return *out ? NORN_OK : unknown(q, d);
}

static norn_status delta_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  *out = norn_equal(d->args[0], x) ? INT(0) : NOTHING;
  return NORN_OK;
}

static norn_status uniform_of_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  int64_t n = norn_array_length(d->args[0]), same = 0;
  for (int64_t k = 0; k < n; k++) same += norn_equal(norn_array_at(q->st, d->args[0], k), x);
  *out = same ? DO(LOG, DO(DIV, INT(same), INT(n)), NULL) : NOTHING;
  return NORN_OK;
}

static const struct {
  const char *name;
  norn_status (*logp)(exact *, const norn_dist *, norn_datum, num *);
} others[] = {
  { "truncate", truncate_logp },       { "mixture", mixture_logp },
  { "iid", iid_logp },                 { "categorical", categorical_logp },
  { "categorical_logit", categorical_logp },
  { "ordered_logistic", ordered_logp }, { "ordered_probit", ordered_logp },
  { "multinomial", multinomial_logp }, { "dirichlet_multinomial", multinomial_logp },
  { "dirichlet", dirichlet_logp },     { "delta", delta_logp },
  { "uniform_of", uniform_of_logp },
  { "multi_normal", matrix_logp }, { "multi_normal_cholesky", matrix_logp },
  { "multi_normal_prec", matrix_logp }, { "multi_student_t", matrix_logp },
  { "lkj_corr", matrix_logp }, { "lkj_corr_cholesky", matrix_logp },
  { "wishart", matrix_logp }, { "inv_wishart", matrix_logp },
  { "gaussian_process", matrix_logp }, { "normal_inverse_wishart", matrix_logp },
  { "normal_inverse_gamma", matrix_logp },
};

/* By the row's own function. */
static norn_status own_logp(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  norn_datum l = norn_none();
  norn_status code = d->row->logp_big(q->st, d, x, q->c.bits, &l);
  if (!code && !(*out = number(q, l))) code = unknown(q, d);
  return code;
}

static norn_status logp_of(exact *q, const norn_dist *d, norn_datum x, num *out)
{
  const exact_row *row = exact_find(d->row->name);
  if (d->row->logp_big) return own_logp(q, d, x, out);
  if (row && d->row->flags & NORN_DIST_SCALAR) return family_logp(q, d, row, x, out);
  if (q->depth > DEEPEST) return unknown(q, d);
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (!strcmp(others[i].name, d->row->name) && d->n > 0) {
      q->depth++;
      norn_status code = others[i].logp(q, d, x, out);
      q->depth--;
      return code;
    }
  return unknown(q, d);
}

/* ---- the call ---- */

static norn_status rounded(exact *q, num l, int64_t bits, norn_datum *out)
{
  bignum *z = calc_new(&q->c, bits);
  if (z) real_set(z, l);
  if (!z || q->c.failed) return norn_fail(q->st, NORN_EMEMORY, -1, "out of memory");
  const norn_big_parts parts = { bits, z->exponent, z->kind, z->sign, z->limb, real_limbs(bits) };
  *out = norn_big_make(q->st, &parts);
  return norn_is_none(*out) ? norn_error(q->st)->code : NORN_OK;
}

norn_status norn_dist_logp_big(norn_state *st, const norn_dist *d, norn_datum x, int64_t bits,
                               norn_datum *out)
{
  mem m;
  num l = NULL;
  if (!bits) bits = norn_big_bits(st);
  if (!bits) bits = longest_of(d, x);
  if (!bits) bits = REAL_BITS_DEFAULT;
  exact q = { .st = st };
  mem_init(&m);
  calc_init(&q.c, &m, bits + GUARD);
  norn_status code = logp_of(&q, d, x, &l);
  if (!code) code = rounded(&q, l, bits, out);
  calc_free(&q.c);
  return code;
}
