/* walk.h: the log density of a model over R^n in MPFR.  A run of the model goes on its way with bigs
   of 320 bits for its choices, so that the language's own arithmetic, and the textbook formulas of
   exact.c, give every term; the maps from R^n and their Jacobians stand here once more, by their
   definitions and not by what map.c makes of them.  Nothing of it is recorded, and no kernel of the
   library takes part.  Finite discrete choices are summed out by following each value. */
#ifndef NORN_TEST_WALK_H
#define NORN_TEST_WALK_H
#include "big.h"
#include "norn.h"
#include "unit.h"
#include <stdlib.h>

enum { WALK_NUMBERS = 256 };            /* of one choice */

/* ---- bigs of Norn and of MPFR ---------------------------------------------------------------- */

static inline norn_datum walk_datum(norn_state *st, big a)
{
  mpfr_t *v = &pool.v[a];
  uint64_t limbs[BIG_BITS / 64] = {0};
  norn_big_parts p = {.bits = BIG_BITS, .sign = mpfr_signbit(*v) ? -1 : 1, .limbs = limbs,
                      .nlimbs = BIG_BITS / 64, .kind = NORN_BIG_FINITE};
  if (mpfr_nan_p(*v)) p.kind = NORN_BIG_NAN;
  else if (mpfr_inf_p(*v)) p.kind = NORN_BIG_INF;
  else if (mpfr_zero_p(*v)) p.kind = NORN_BIG_ZERO;
  else {
    mpz_t z;
    size_t n;
    mpz_init(z);
    p.exponent = mpfr_get_z_2exp(z, *v) + BIG_BITS;
    mpz_export(limbs, &n, -1, 8, 0, 0, z);
    mpz_clear(z);
  }
  return norn_big_make(st, &p);
}

static inline big walk_big(norn_datum v)
{
  norn_big_parts p;
  double x = (double)NAN;
  if (!norn_big_view(v, &p)) return norn_as_real(v, &x), num(v.tag == NORN_BOOL ? (double)v.i : x);
  big r = num(p.kind == NORN_BIG_ZERO ? 0 : p.kind == NORN_BIG_INF ? p.sign * HUGE_VAL : NAN);
  if (p.kind != NORN_BIG_FINITE) return r;
  mpz_t z;
  mpz_init(z);
  mpz_import(z, (size_t)p.nlimbs, -1, 8, 0, 0, p.limbs);
  if (p.sign < 0) mpz_neg(z, z);
  mpfr_set_z_2exp(pool.v[r], z, p.exponent - 64 * p.nlimbs, MPFR_RNDN);
  mpz_clear(z);
  return r;
}

/* Leaf k of a distribution (norn_dist_leaves); *k is counted down on the way. */
static inline bool walk_leaf_in(norn_datum v, int64_t *k, norn_datum *out)
{
  norn_dist d;
  norn_view a;
  double x;
  if (norn_as_real(v, &x)) return *out = v, (*k)-- == 0;
  if (norn_dist_view(v, &d)) {
    for (int i = 0; i < d.n; i++)
      if (walk_leaf_in(d.args[i], k, out)) return true;
  } else if (norn_array_view(v, &a)) {
    for (int64_t i = 0; i < a.n; i++)
      if (walk_leaf_in(a.elem == NORN_VALUES ? a.v[i] : norn_real(norn_elem_real(v, i)), k, out))
        return true;
  }
  return false;
}

static inline big walk_leaf(const norn_dist *d, int64_t k)
{
  norn_datum v = norn_real(NAN);
  for (int i = 0; i < d->n; i++)
    if (walk_leaf_in(d->args[i], &k, &v)) break;
  return walk_big(v);
}

/* ---- maps (Stan reference manual, "Constraint Transforms") ------------------------------------ */

static inline big walk_sum(const big *x, int64_t n)
{
  big s = num(0);
  for (int64_t i = 0; i < n; i++) s = add(s, x[i]);
  return s;
}

static inline big walk_inv_logit(big u) { return over(one(), add(one(), ex(neg(u)))); }

/* z = sum over j of u[j] v_j, where v_j is 1 at 0..j, -(j+1) at j+1, over sqrt((j+1)(j+2)). */
static inline void walk_ilr(const big *u, int64_t n, big *z)
{
  for (int64_t i = 0; i <= n; i++) z[i] = num(0);
  for (int64_t j = 0; j < n; j++) {
    double k = (double)(j + 1);
    big w = over(u[j], root(num(k * (k + 1))));
    for (int64_t i = 0; i <= j; i++) z[i] = add(z[i], w);
    z[j + 1] = sub(z[j + 1], mul(num(k), w));
  }
}

/* p = softmax(z) of n + 1 parts; log |dp[0..n-1]/du| = sum log p + log(n + 1)/2. */
static inline big walk_simplex(const big *u, int64_t n, big *p)
{
  big total = num(0), j = half(lg(num((double)(n + 1))));
  walk_ilr(u, n, p);
  for (int64_t i = 0; i <= n; i++) total = add(total, p[i] = ex(p[i]));
  for (int64_t i = 0; i <= n; i++) {
    p[i] = over(p[i], total);
    j = add(j, lg(p[i]));
  }
  return j;
}

static inline big walk_ordered(const norn_support *s, const big *u, big *x)
{
  int64_t n = s->size;
  big j = num(0), w = num(s->upper - s->lower), gap[WALK_NUMBERS];
  if (s->lower > -HUGE_VAL && s->upper < HUGE_VAL) {
    j = walk_simplex(u, n, gap);
    for (int64_t k = 0; k < n; k++)
      x[k] = add(num(s->lower), mul(w, walk_sum(gap, k + 1)));
    return add(j, mul(num((double)n), lg(w)));
  }
  for (int64_t k = 0; k < n; k++) {
    if (k == 0 && !(s->lower > -HUGE_VAL)) { x[0] = u[0]; continue; }
    x[k] = add(k ? x[k - 1] : num(s->lower), ex(u[k]));
    j = add(j, u[k]);
  }
  return j;
}

/* Rows of length 1 from partial correlations tanh u; log |dL/du| by the definition: each off-diagonal
   L[i, j] = tanh(u) r_j moves with its own u by r_j / cosh^2 u, and the matrix is triangular. */
static inline big walk_corr_factor(const norn_support *s, const big *u, big *l)
{
  int64_t n = s->size, at = 0;
  big j = num(0);
  for (int64_t i = 0; i < n; i++) {
    big left = one();                    /* 1 - the squares so far in the row */
    for (int64_t c = 0; c < n; c++) l[i * n + c] = num(0);
    for (int64_t c = 0; c < i; c++, at++) {
      big e = ex(mul(two(), u[at])), t = over(sub(e, one()), add(e, one()));
      big slope = sub(one(), sq(t));
      l[i * n + c] = mul(t, root(left));
      j = add(j, add(lg(slope), half(lg(left))));
      left = mul(left, slope);
    }
    l[i * n + i] = root(left);
  }
  return j;
}

static inline big walk_cov_factor(const norn_support *s, const big *u, big *l)
{
  int64_t n = s->size, at = 0;
  big j = num(0);
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < n; c++) {
      l[i * n + c] = c < i ? u[at] : c == i ? ex(u[at]) : num(0);
      if (c == i) j = add(j, u[at]);
      at += c <= i;
    }
  return j;
}

/* x = L L'; for a covariance log |dx/dL| = n log 2 + sum (n - i) log L[i, i], for a correlation
   matrix sum (n - 1 - i) log L[i, i] (i from 0). */
static inline big walk_square(const norn_support *s, const big *l, big *x, bool corr)
{
  int64_t n = s->size;
  big j = corr ? num(0) : mul(num((double)n), lg(two()));
  for (int64_t i = 0; i < n; i++) {
    for (int64_t c = 0; c < n; c++) {
      x[i * n + c] = num(0);
      for (int64_t k = 0; k < n; k++)
        x[i * n + c] = add(x[i * n + c], mul(l[i * n + k], l[c * n + k]));
    }
    j = add(j, mul(num((double)(n - corr - i)), lg(l[i * n + i])));
  }
  return j;
}

/* x = u / |u|; the term is documented in map.c and norn.h, since no Jacobian is there to derive. */
static inline big walk_unit(const norn_support *s, const big *u, big *x)
{
  big length = num(0), n = num((double)s->size);
  for (int64_t k = 0; k < s->size; k++) length = add(length, sq(u[k]));
  for (int64_t k = 0; k < s->size; k++) x[k] = over(u[k], root(length));
  return sub(sub(mul(sub(one(), half(n)), lg(two())), half(length)), lngamma(half(n)));
}

/* One unit of a support between these bounds: x from u, and the log Jacobian. */
static inline big walk_constrain(const norn_support *s, big lower, big upper, const big *u, big *x)
{
  big l[WALK_NUMBERS], j, w;
  switch (s->kind) {
  case NORN_SUPPORT_LOWER: x[0] = add(lower, ex(u[0])); return u[0];
  case NORN_SUPPORT_UPPER: x[0] = sub(upper, ex(u[0])); return u[0];
  case NORN_SUPPORT_INTERVAL:
    w = sub(upper, lower);
    x[0] = add(lower, mul(w, walk_inv_logit(u[0])));
    return add(lg(w), add(lg(walk_inv_logit(u[0])), lg(walk_inv_logit(neg(u[0])))));
  case NORN_SUPPORT_SIMPLEX: return walk_simplex(u, s->size - 1, x);
  case NORN_SUPPORT_SUM_TO_ZERO:
    walk_ilr(u, s->size - 1, x);
    return neg(half(lg(num((double)s->size))));
  case NORN_SUPPORT_ORDERED: case NORN_SUPPORT_POSITIVE_ORDERED: return walk_ordered(s, u, x);
  case NORN_SUPPORT_UNIT_VECTOR: return walk_unit(s, u, x);
  case NORN_SUPPORT_CHOLESKY_CORR: return walk_corr_factor(s, u, x);
  case NORN_SUPPORT_CHOLESKY_COV: return walk_cov_factor(s, u, x);
  case NORN_SUPPORT_CORR:
    j = walk_corr_factor(s, u, l);
    return add(j, walk_square(s, l, x, true));
  case NORN_SUPPORT_COV:
    j = walk_cov_factor(s, u, l);
    return add(j, walk_square(s, l, x, false));
  default: x[0] = u[0]; return num(0);
  }
}

/* ---- terms ----------------------------------------------------------------------------------- */

static inline bool walk_failed(norn_state *st, const char *what)
{
  char b[900];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "  walk, %s: %s\n", what, b);
  norn_clear(st);
  return false;
}

/* noncentered() and ordered(iid()) are their inner distributions (times n!), flat ones are 1. */
static inline bool walk_logp(norn_state *st, const norn_dist *d, norn_datum x, big *out)
{
  norn_datum l;
  norn_dist in;
  if (norn_dist_flags(d) & NORN_DIST_IMPROPER) return *out = num(0), true;
  bool ordered = !strcmp(d->row->name, "ordered");
  if ((ordered || !strcmp(d->row->name, "noncentered")) && norn_dist_view(d->args[0], &in)) {
    if (!walk_logp(st, &in, x, out)) return false;
    if (ordered) *out = add(*out, lnfact(num((double)norn_array_length(x))));
    return true;
  }
  if (norn_dist_logp_big(st, d, x, BIG_BITS, &l)) return walk_failed(st, d->row->name);
  *out = walk_big(l);
  return true;
}

/* n numbers as nested arrays of a shape. */
static inline norn_datum walk_nested(norn_state *st, const big *x, int rank, const int64_t *dims)
{
  void *to;
  int64_t row = 1;
  if (rank == 0) return walk_datum(st, *x);
  norn_datum a = norn_array(st, NORN_VALUES, 1, dims, &to);
  for (int i = 1; i < rank; i++) row *= dims[i];
  for (int64_t k = 0; k < dims[0]; k++) ((norn_datum *)to)[k] = norn_unit();
  for (int64_t k = 0; k < dims[0]; k++)
    ((norn_datum *)to)[k] = walk_nested(st, x + k * row, rank - 1, dims + 1);
  return a;
}

/* The shape of a choice's values: that of a draw, or for what can't be drawn that of its support. */
static inline int walk_shape(norn_state *st, const norn_dist *d, const norn_support *s, int64_t *dims)
{
  norn_rng g = {.stream = 1};
  norn_datum x;
  norn_view v;
  int rank = 0;
  if (!(norn_dist_flags(d) & NORN_DIST_IMPROPER) && !norn_dist_sample(st, d, &g, &x)) {
    if (!norn_array_view(x, &v)) return 0;
    memcpy(dims, v.dims, sizeof v.dims);
    return v.rank;
  }
  norn_clear(st);
  int64_t count = s->count;
  norn_dist own = *d;
  for (; !strcmp(own.row->name, "iid"); norn_dist_view(own.args[0], &own)) {
    dims[rank++] = own.args[1].i;
    count /= own.args[1].i;
  }
  if (count > 1) dims[rank++] = count;
  if (s->kind >= NORN_SUPPORT_SIMPLEX) dims[rank++] = s->size;
  if (s->kind >= NORN_SUPPORT_CORR) dims[rank++] = s->size;
  return rank;
}

/* A value with doubles for bigs: what a distribution is asked that answers in doubles. */
static inline norn_datum walk_rounded(norn_state *st, norn_datum v)
{
  norn_datum part[WALK_NUMBERS];
  norn_view a;
  norn_dist d;
  int64_t n = 0;
  if (v.tag == NORN_BIG) return norn_real(norn_big_double(v));
  if (norn_array_view(v, &a) && a.elem == NORN_VALUES) {
    for (; n < a.n; n++) part[n] = walk_rounded(st, a.v[n]);
    return norn_array_pack(st, part, n);
  }
  if (!norn_dist_view(v, &d)) return v;
  for (; n < d.n; n++) part[n] = walk_rounded(st, d.args[n]);
  return norn_dist_new(st, d.row, part, d.n);
}

/* The choice at u[*at ...]: its value and, added to *total, the log Jacobian. */
static inline norn_datum walk_choice(norn_state *st, const norn_dist *exact, const big *u, int *at,
                                     big *total)
{
  norn_datum args[NORN_DIST_P + 12];
  norn_dist rounded = {exact->row, args, exact->n}, *d = &rounded;
  for (int i = 0; i < exact->n; i++) args[i] = walk_rounded(st, exact->args[i]);
  norn_support s;
  big x[WALK_NUMBERS];
  double b[2 * WALK_NUMBERS];
  int64_t dims[NORN_RANK_MAX], leaf[2];
  norn_dist_support(st, d, &s);
  int64_t m = norn_support_free(&s), n = norn_support_elems(&s);
  norn_dist_bounds(st, d, b, b + s.count);
  for (int64_t k = 0; k < s.count; k++) {
    norn_support own = s;
    own.lower = b[k];
    own.upper = b[s.count + k];
    big lower = s.lower_leaf < 0 ? num(b[k])
                                 : walk_leaf(exact, s.lower_leaf + (s.lower == s.lower ? 0 : k));
    big upper = s.upper_leaf < 0 ? num(b[s.count + k])
                                 : walk_leaf(exact, s.upper_leaf + (s.upper == s.upper ? 0 : k));
    if (s.kind <= NORN_SUPPORT_INTERVAL)
      own.kind = own.lower > -HUGE_VAL ? own.upper < HUGE_VAL ? NORN_SUPPORT_INTERVAL
                                                                  : NORN_SUPPORT_LOWER
                                         : own.upper < HUGE_VAL ? NORN_SUPPORT_UPPER
                                                                  : NORN_SUPPORT_REAL;
    if (norn_dist_noncentered(st, d, k, &leaf[0], &leaf[1])) {
      big scale = walk_leaf(exact, leaf[1]);
      x[k] = add(walk_leaf(exact, leaf[0]), mul(scale, u[*at]));
      *total = add(*total, lg(scale));
    } else {
      *total = add(*total, walk_constrain(&own, lower, upper, u + *at, x + k * n));
    }
    *at += (int)m;
  }
  return walk_nested(st, x, walk_shape(st, d, &s, dims), dims);
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* log(exp a + exp b) */
static inline big walk_log_add(big a, big b)
{
  if (mpfr_inf_p(pool.v[a])) return b;
  if (mpfr_inf_p(pool.v[b])) return a;
  bool less = mpfr_cmp(pool.v[a], pool.v[b]) < 0;
  return add(less ? b : a, lg1p(ex(less ? sub(a, b) : sub(b, a))));
}

static inline bool walk_run(norn_run *run, const big *u, int at, big total, big *out);

/* A discrete choice: the log of the sum over its values. */
static inline bool walk_discrete(norn_run *run, const norn_event *ev, const big *u, int at, big *out)
{
  norn_state *st = norn_run_state(run);
  norn_datum x;
  big sum = num(-HUGE_VAL), p, each;
  bool good = true;
  for (int64_t k = 0; good; k++) {
    if (norn_dist_enumerate(st, ev->dist, k, &x)) good = walk_failed(st, "values");
    else if (norn_is_none(x)) break;
    else if (!walk_logp(st, ev->dist, x, &p)) good = false;
    else {
      norn_run *branch = norn_run_fork(run, 0);
      norn_run_answer(branch, x);
      good = walk_run(branch, u, at, p, &each);
      if (good) sum = walk_log_add(sum, each);
    }
  }
  norn_run_free(run);
  *out = sum;
  return good;
}

/* Consumes the run; false: it failed. */
static inline bool walk_run(norn_run *run, const big *u, int at, big total, big *out)
{
  norn_state *st = norn_run_state(run);
  for (;;) {
    norn_event ev;
    norn_datum x;
    big l = 0;
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: norn_run_free(run); return *out = total, true;
    case NORN_OBSERVE:
      if (ev.flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) l = walk_big(ev.value);
      else if (!walk_logp(st, ev.dist, ev.value, &l)) goto failed;
      total = add(total, l);
      break;
    case NORN_SAMPLE:
      if (norn_dist_flags(ev.dist) & NORN_DIST_DISCRETE) {
        if (!walk_discrete(run, &ev, u, at, &l)) return false;
        return *out = add(total, l), true;
      }
      x = walk_choice(st, ev.dist, u, &at, &total);
      if (!walk_logp(st, ev.dist, x, &l)) goto failed;
      total = add(total, l);
      norn_run_answer(run, x);
      break;
    default: walk_failed(st, "run"); goto failed;
    }
  }
failed:
  norn_run_free(run);
  return false;
}

/* The log density of the model at u + step v (u, v: n doubles; v NULL: at u) into z. */
static inline bool walk_density(norn_state *st, norn_datum model, const double *u, const double *v,
                                double step, int n, mpfr_t z)
{
  big at[WALK_NUMBERS], out;
  big_reset();
  for (int i = 0; i < n; i++) at[i] = v ? add(num(u[i]), mul(num(step), num(v[i]))) : num(u[i]);
  norn_run *run = norn_run_new(st, model, NULL, 0);
  if (!run || !walk_run(run, at, 0, num(0), &out)) return false;
  mpfr_set(z, pool.v[out], MPFR_RNDN);
  return true;
}
#endif
