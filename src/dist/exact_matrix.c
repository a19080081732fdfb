/* exact_matrix: log densities of vectors and matrices in any precision, from the textbook formulas
   (of which multi_normal.c, lkj.c, wishart.c and gp_kernel.c name the sources) and Cholesky factors
   in bigs.  Parameters are doubles, as these families want them. */
#include "dist/exact.h"
#include "dist/gp.h"
#include "dist/matrix.h"
#include <string.h>

#define DO(op, a, b) calc_do(c, REAL_##op, a, b)
#define ADD(a, b) DO(ADD, a, b)
#define SUB(a, b) DO(SUB, a, b)
#define MUL(a, b) DO(MUL, a, b)
#define DIV(a, b) DO(DIV, a, b)
#define LOG(a) DO(LOG, a, NULL)
#define LGAMMA(a) DO(LGAMMA, a, NULL)
#define INT(i) calc_int(c, i)
#define REAL(x) calc_double(c, x)
#define HALF(a) MUL(REAL(0.5), a)
#define LN_PI LOG(DO(PI, NULL, NULL))
#define LN_2PI LOG(MUL(INT(2), DO(PI, NULL, NULL)))
#define NOTHING REAL(-HUGE_VAL)

/* ---- vectors and matrices -------------------------------------------------------------------- */

static num *room(calc *c, int64_t n)
{
  num *p = arena_get(&c->a, (size_t)n * sizeof *p);
  if (!p) c->failed = true;
  return p;
}

static num *from_doubles(calc *c, const norn_view *v)
{
  num *p = room(c, v->n);
  for (int64_t k = 0; p && k < v->n; k++) p[k] = REAL(dist_real_at(v, k));
  return p;
}

static num *argument(calc *c, const norn_dist *d, int i, int64_t *n)
{
  norn_view v;
  dist_numbers(d->args[i], 0, &v);
  *n = v.dims[0];
  return from_doubles(c, &v);
}

static num scalar(calc *c, const norn_dist *d, int i)
{
  double x = 0;
  norn_as_real(d->args[i], &x);
  return REAL(x);
}

/* The lower Cholesky factor of (a + a')/2, all of it (n, n); NULL: not positive definite. */
static num *factor(calc *c, const num *a, int64_t n)
{
  num *l = room(c, n * n);
  for (int64_t i = 0; l && i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      num s = HALF(ADD(a[i * n + j], a[j * n + i]));
      for (int64_t k = 0; k < j && j <= i; k++) s = SUB(s, MUL(l[i * n + k], l[j * n + k]));
      if (i == j && real_compare(s, INT(0)) != 1) return NULL;
      l[i * n + j] = j > i ? INT(0) : i == j ? DO(SQRT, s, NULL) : DIV(s, l[j * n + j]);
    }
  return l;
}

static num log_det(calc *c, const num *l, int64_t n)    /* of l l' */
{
  num sum = INT(0);
  for (int64_t i = 0; i < n; i++) sum = ADD(sum, LOG(l[i * n + i]));
  return ADD(sum, sum);
}

/* |l^-1 b|^2 of a vector b (n) whose elements are `step` apart, in place. */
static num solve_square(calc *c, const num *l, int64_t n, num *b, int64_t step)
{
  num sum = INT(0);
  for (int64_t i = 0; i < n; i++) {
    num s = b[i * step];
    for (int64_t k = 0; k < i; k++) s = SUB(s, MUL(l[i * n + k], b[k * step]));
    b[i * step] = DIV(s, l[i * n + i]);
    sum = ADD(sum, MUL(b[i * step], b[i * step]));
  }
  return sum;
}

static num square_through(calc *c, const num *l, int64_t n, const num *y)   /* |l' y|^2 */
{
  num sum = INT(0);
  for (int64_t j = 0; j < n; j++) {
    num s = INT(0);
    for (int64_t i = j; i < n; i++) s = ADD(s, MUL(l[i * n + j], y[i]));
    sum = ADD(sum, MUL(s, s));
  }
  return sum;
}

static num trace_solved(calc *c, const num *by, const num *of, int64_t n)   /* |by^-1 of|^2 */
{
  num *t = room(c, n * n), sum = INT(0);
  if (!t) return sum;
  memcpy(t, of, (size_t)(n * n) * sizeof *t);
  for (int64_t j = 0; j < n; j++) sum = ADD(sum, solve_square(c, by, n, t + j, n));
  return sum;
}

/* ---- densities: x the numbers of a value, row-major ------------------------------------------ */

static num gauss(calc *c, const norn_dist *d, const num *x)
{
  bool student = d->n == 3, precision = strstr(d->row->name, "prec") != NULL;
  int64_t n, total;
  norn_view mu;
  const num *m = argument(c, d, student + 1, &n);
  const num *l = strstr(d->row->name, "cholesky") || !m ? m : factor(c, m, n);
  num *y = room(c, n), sum = INT(0);
  dist_numbers(d->args[student], 0, &mu);
  total = mu.n;
  if (!l || !y) return NOTHING;
  num half_det = HALF(log_det(c, l, n)), front = HALF(MUL(INT(n), LN_2PI));
  front = SUB(precision ? half_det : SUB(INT(0), half_det), front);
  if (student) {
    num nu = scalar(c, d, 0), h = HALF(ADD(nu, INT(n)));
    front = ADD(front, SUB(LGAMMA(h), LGAMMA(HALF(nu))));
    front = SUB(front, MUL(HALF(INT(n)), LOG(HALF(nu))));
  }
  for (int64_t r = 0; r < total / n; r++) {
    for (int64_t k = 0; k < n; k++) y[k] = SUB(x[r * n + k], REAL(dist_real_at(&mu, r * n + k)));
    num q = precision ? square_through(c, l, n, y) : solve_square(c, l, n, y, 1);
    if (student) {
      num nu = scalar(c, d, 0);
      q = MUL(ADD(nu, INT(n)), DO(LOG1P, DIV(q, nu), NULL));
    }
    sum = ADD(sum, SUB(front, HALF(q)));
  }
  return sum;
}

/* (n-1) log Gamma(eta + (n-1)/2) - sum over k of k/2 log pi + log Gamma(eta + (n-1-k)/2) */
static num lkj_constant(calc *c, int64_t n, num eta)
{
  num sum = MUL(INT(n - 1), LGAMMA(ADD(eta, HALF(INT(n - 1)))));
  for (int64_t k = 1; k < n; k++)
    sum = SUB(sum, ADD(MUL(HALF(INT(k)), LN_PI), LGAMMA(ADD(eta, HALF(INT(n - 1 - k))))));
  return sum;
}

static num lkj(calc *c, const norn_dist *d, const num *x)
{
  int64_t n = d->args[0].i;
  num eta = scalar(c, d, 1), power = SUB(eta, INT(1)), sum = lkj_constant(c, n, eta);
  if (strstr(d->row->name, "cholesky")) {
    power = ADD(power, power);
    for (int64_t i = 1; i < n; i++)
      sum = ADD(sum, MUL(ADD(power, INT(n - 1 - i)), LOG(x[i * (n + 1)])));
    return sum;
  }
  const num *l = factor(c, x, n);
  return l ? ADD(sum, MUL(power, log_det(c, l, n))) : NOTHING;
}

static num wish(calc *c, const norn_dist *d, int at_s, int at_nu, const num *x)
{
  int64_t n;
  bool inverse = strstr(d->row->name, "inv") != NULL;
  const num *s = argument(c, d, at_s, &n), *ls = s ? factor(c, s, n) : NULL;
  const num *lw = ls ? factor(c, x, n) : NULL;
  if (!lw) return NOTHING;
  num nu = scalar(c, d, at_nu), h = HALF(nu), log_w = log_det(c, lw, n);
  num ratio = SUB(log_w, log_det(c, ls, n));
  if (inverse) ratio = SUB(INT(0), ratio);
  num sum = MUL(h, SUB(ratio, MUL(INT(n), LOG(INT(2)))));
  sum = SUB(sum, MUL(REAL(0.25), MUL(INT(n * (n - 1)), LN_PI)));
  for (int64_t i = 0; i < n; i++) sum = SUB(sum, LGAMMA(SUB(h, HALF(INT(i)))));
  num trace = inverse ? trace_solved(c, lw, ls, n) : trace_solved(c, ls, lw, n);
  return SUB(sum, HALF(ADD(MUL(INT(n + 1), log_w), trace)));
}

/* x: mu (n), then sigma (n, n) */
static num niw(calc *c, const norn_dist *d, const num *x)
{
  int64_t n;
  const num *mu = argument(c, d, 0, &n), *l = mu ? factor(c, x + n, n) : NULL;
  num *y = room(c, n), lambda = scalar(c, d, 1);
  if (!l || !y) return NOTHING;
  for (int64_t k = 0; k < n; k++) y[k] = SUB(x[k], mu[k]);
  num sum = MUL(INT(n), SUB(LOG(lambda), LN_2PI));
  sum = SUB(sum, ADD(log_det(c, l, n), MUL(lambda, solve_square(c, l, n, y, 1))));
  return ADD(HALF(sum), wish(c, d, 2, 3, x + n));
}

/* x: mu, sigma2 */
static num nig(calc *c, const norn_dist *d, const num *x)
{
  num s = x[1], y = SUB(x[0], scalar(c, d, 0)), lambda = scalar(c, d, 1);
  num alpha = scalar(c, d, 2), beta = scalar(c, d, 3), ls = LOG(s);
  if (real_compare(s, INT(0)) != 1) return NOTHING;
  num sum = SUB(MUL(alpha, SUB(LOG(beta), ls)), ADD(LGAMMA(alpha), DIV(beta, s)));
  num mean = SUB(SUB(LOG(lambda), ls), ADD(LN_2PI, DIV(MUL(lambda, MUL(y, y)), s)));
  return ADD(SUB(sum, ls), HALF(mean));
}

/* ---- gaussian_process ------------------------------------------------------------------------ */

static num simple_cov(calc *c, const gp_kernel_part *k, const num *x, const num *y, int64_t dim)
{
  num square = INT(0), dot = INT(0), waves = INT(0), rho = REAL(k->p[1]);
  num a2 = MUL(REAL(k->p[0]), REAL(k->p[0])), s;
  for (int64_t i = 0; i < dim; i++) {
    num d = SUB(x[i], y[i]);
    square = ADD(square, MUL(d, d));
    dot = ADD(dot, MUL(x[i], y[i]));
    if (k->kind != GP_PERIODIC) continue;
    s = DO(SIN, DIV(MUL(DO(PI, NULL, NULL), d), REAL(k->p[2])), NULL);
    waves = ADD(waves, MUL(s, s));
  }
  int64_t grow = k->kind == GP_MATERN52 ? 5 : k->kind == GP_MATERN32 ? 3 : 1;
  s = DIV(DO(SQRT, MUL(INT(grow), square), NULL), rho);
  num fall = DO(EXP, SUB(INT(0), s), NULL), rho2 = MUL(rho, rho);
  switch (k->kind) {
  case GP_RBF: return MUL(a2, DO(EXP, SUB(INT(0), HALF(DIV(square, rho2))), NULL));
  case GP_MATERN12: return MUL(a2, fall);
  case GP_MATERN32: return MUL(MUL(a2, ADD(INT(1), s)), fall);
  case GP_MATERN52:
    return MUL(MUL(a2, ADD(ADD(INT(1), s), DIV(MUL(s, s), INT(3)))), fall);
  case GP_PERIODIC: return MUL(a2, DO(EXP, DIV(MUL(INT(-2), waves), rho2), NULL));
  default: return ADD(rho2, MUL(a2, dot));
  }
}

/* The parts of a kernel stand in postfix order. */
static num kernel_cov(calc *c, const gp_kernel *k, const num *x, const num *y, int64_t dim)
{
  num stack[GP_KERNEL_PARTS];
  int top = 0;
  for (int t = 0; t < k->n; t++) {
    const gp_kernel_part *part = &k->part[t];
    if (part->kind != GP_SUM && part->kind != GP_PRODUCT) {
      stack[top++] = simple_cov(c, part, x, y, dim);
      continue;
    }
    num joined = INT(part->kind == GP_PRODUCT);
    for (int i = 0; i < part->n; i++) {
      num next = stack[--top];
      joined = part->kind == GP_SUM ? ADD(joined, next) : MUL(joined, next);
    }
    stack[top++] = joined;
  }
  return stack[0];
}

static num process(calc *c, norn_state *st, const norn_dist *d, const num *x)
{
  gp_points points;
  gp_kernel kernel;
  norn_view mean;
  if (gp_points_read(st, d->args[0], 0, "x of gaussian_process", &points) ||
      gp_kernel_read(st, d->args[1], 1, &kernel))
    return NULL;
  int64_t n = points.n, dim = points.dim;
  bool many = dist_numbers(d->args[2], 1, &mean);
  const num *at = from_doubles(c, &points.view);
  num *k = room(c, n * n), *y = room(c, n), noise = scalar(c, d, 3);
  if (!at || !k || !y) return NOTHING;
  for (int64_t i = 0; i < n; i++) {
    y[i] = SUB(x[i], many ? REAL(dist_real_at(&mean, i)) : scalar(c, d, 2));
    for (int64_t j = 0; j < n; j++)
      k[i * n + j] = kernel_cov(c, &kernel, at + i * dim, at + j * dim, dim);
    k[i * n + i] = ADD(k[i * n + i], MUL(noise, noise));
  }
  const num *l = factor(c, k, n);
  if (!l) return NOTHING;
  num sum = ADD(MUL(INT(n), LN_2PI), log_det(c, l, n));
  return SUB(INT(0), HALF(ADD(sum, solve_square(c, l, n, y, 1))));
}

static num wishart(calc *c, const norn_dist *d, const num *x) { return wish(c, d, 1, 0, x); }

static const struct {
  const char *name;
  num (*logp)(calc *, const norn_dist *, const num *x);
} table[] = {
  {"multi_normal", gauss}, {"multi_normal_cholesky", gauss}, {"multi_normal_prec", gauss},
  {"multi_student_t", gauss}, {"lkj_corr", lkj}, {"lkj_corr_cholesky", lkj}, {"wishart", wishart},
  {"inv_wishart", wishart}, {"normal_inverse_wishart", niw}, {"normal_inverse_gamma", nig},
};

num exact_matrix(calc *c, norn_state *st, const norn_dist *d, const num *x)
{
  if (!strcmp(d->row->name, "gaussian_process")) return process(c, st, d, x);
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (!strcmp(table[i].name, d->row->name)) return table[i].logp(c, d, x);
  return NULL;
}
