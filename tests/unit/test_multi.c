/* test_multi: densities of vectors and matrices and their derivatives.

   The density is recomputed in MPFR by Gaussian elimination from the textbook formula; families of
   order 1 are the scalar families; densities of order 2 and 3 integrate to 1 by the trapezoidal
   rule after a map to R^n, where that rule is exact to rounding for these analytic functions;
   derivatives meet differences of the density. */
#include "multi.h"
#include "big.h"
#include "num/special.h"
#include <stdlib.h>

static norn_state *st;

/* ---- matrices in MPFR ------------------------------------------------------------------------ */

enum { N = 4 };
typedef struct { int n; big a[N][N]; } bigs;

static bigs bigs_of(int n, const double *x)
{
  bigs m = {.n = n};
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) m.a[i][j] = num(x[i * n + j]);
  return m;
}

/* Gaussian elimination without pivots (the matrices are positive definite): the determinant, and
   the inverse where it is asked for. */
static big eliminate(bigs m, bigs *inverse)
{
  big det = one();
  bigs r = {.n = m.n};
  for (int i = 0; i < m.n; i++)
    for (int j = 0; j < m.n; j++) r.a[i][j] = num(i == j);
  for (int k = 0; k < m.n; k++) {
    big pivot = m.a[k][k];
    det = mul(det, pivot);
    for (int j = 0; j < m.n; j++) {
      m.a[k][j] = over(m.a[k][j], pivot);
      r.a[k][j] = over(r.a[k][j], pivot);
    }
    for (int i = 0; i < m.n; i++) {
      big f = m.a[i][k];
      for (int j = 0; j < m.n && i != k; j++) {
        m.a[i][j] = sub(m.a[i][j], mul(f, m.a[k][j]));
        r.a[i][j] = sub(r.a[i][j], mul(f, r.a[k][j]));
      }
    }
  }
  if (inverse) *inverse = r;
  return det;
}

static big lndet(const bigs *m) { return lg(eliminate(*m, NULL)); }

static bigs times_transpose(const bigs *l)   /* l l' */
{
  bigs r = {.n = l->n};
  for (int i = 0; i < l->n; i++)
    for (int j = 0; j < l->n; j++) {
      r.a[i][j] = num(0);
      for (int k = 0; k < l->n; k++) r.a[i][j] = add(r.a[i][j], mul(l->a[i][k], l->a[j][k]));
    }
  return r;
}

static big quadratic(const bigs *m, const big *y)
{
  big sum = num(0);
  for (int i = 0; i < m->n; i++)
    for (int j = 0; j < m->n; j++) sum = add(sum, mul(mul(y[i], m->a[i][j]), y[j]));
  return sum;
}

static big trace_product(const bigs *a, const bigs *b)
{
  big sum = num(0);
  for (int i = 0; i < a->n; i++)
    for (int j = 0; j < a->n; j++) sum = add(sum, mul(a->a[i][j], b->a[j][i]));
  return sum;
}

/* ---- densities in MPFR, by the textbook ------------------------------------------------------ */

static big ln_2pi(void) { return lg(mul(two(), pi_())); }

static big o_gauss(int n, const big *y, bigs sigma)
{
  bigs inverse;
  big det = lg(eliminate(sigma, &inverse));
  return neg(half(add(add(mul(num(n), ln_2pi()), det), quadratic(&inverse, y))));
}

static bigs sigma_of(const instance *f, int at)
{
  bigs m = bigs_of(f->arg[at].n, f->arg[at].x), inverse;
  if (strstr(f->name, "cholesky")) return times_transpose(&m);
  if (!strstr(f->name, "prec")) return m;
  eliminate(m, &inverse);
  return inverse;
}

static void residual(const piece *x, const piece *mu, int row, big *y)
{
  for (int k = 0; k < mu->n; k++)
    y[k] = sub(num(x->x[row * mu->n + k]), num(mu->x[row * mu->n + k]));
}

static big o_normal(const instance *f)
{
  big y[N], sum = num(0);
  int rows = f->arg[0].kind == ROWS ? f->arg[0].m : 1;
  for (int r = 0; r < rows; r++) {
    residual(&f->value, &f->arg[0], r, y);
    sum = add(sum, o_gauss(f->arg[0].n, y, sigma_of(f, 1)));
  }
  return sum;
}

static big o_student(const instance *f)
{
  int n = f->arg[1].n;
  bigs sigma = sigma_of(f, 2), inverse;
  big y[N], nu = num(f->arg[0].x[0]), h = half(add(nu, num(n)));
  residual(&f->value, &f->arg[1], 0, y);
  big det = lg(eliminate(sigma, &inverse));
  big front = sub(lngamma(h), lngamma(half(nu)));
  front = sub(front, half(add(mul(num(n), lg(mul(nu, pi_()))), det)));
  return sub(front, mul(h, lg1p(over(quadratic(&inverse, y), nu))));
}

/* log c of LKJ 2009, eq. 16, as it stands there: prod over k of 2^((2 eta - 2 + n - k)(n - k)) and
   B(eta + (n-k-1)/2, same)^(n-k) */
static big o_lkj_constant(int n, double eta)
{
  big sum = num(0);
  for (int k = 1; k < n; k++) {
    big b = add(num(eta), num(0.5 * (n - k - 1))), power = num(n - k);
    big twos = mul(add(mul(two(), sub(num(eta), one())), num(n - k)), lg(two()));
    sum = add(sum, mul(power, add(twos, lnbeta(b, b))));
  }
  return sum;
}

static big o_lkj(const instance *f)
{
  bigs r = bigs_of(f->value.n, f->value.x);
  big power = mul(sub(num(f->arg[1].x[0]), one()), lndet(&r));
  return sub(power, o_lkj_constant(r.n, f->arg[1].x[0]));
}

/* The density of R = L L', times the Jacobian: R's entries of row i depend on those of L by the
   leading triangle, of determinant prod over j < i of L[j, j]. */
static big o_lkj_cholesky(const instance *f)
{
  bigs l = bigs_of(f->value.n, f->value.x);
  big sum = num(0), eta = num(f->arg[1].x[0]);
  for (int i = 1; i < l.n; i++) {
    sum = add(sum, mul(mul(two(), sub(eta, one())), lg(l.a[i][i])));
    for (int j = 0; j < i; j++) sum = add(sum, lg(l.a[j][j]));
  }
  return sub(sum, o_lkj_constant(l.n, f->arg[1].x[0]));
}

static big ln_multi_gamma(big a, int n)
{
  big sum = mul(num(0.25 * n * (n - 1)), lg(pi_()));
  for (int j = 1; j <= n; j++) sum = add(sum, lngamma(add(a, num(0.5 * (1 - j)))));
  return sum;
}

static big o_wish(bigs w, bigs s, double nu, bool inverse)
{
  int n = w.n;
  bigs wi, si;
  big ldw = lg(eliminate(w, &wi)), lds = lg(eliminate(s, &si)), h = half(num(nu));
  big front = add(mul(mul(h, num(n)), lg(two())), ln_multi_gamma(h, n));
  if (inverse) {
    big body = sub(mul(h, lds), half(mul(add(num(nu), num(n + 1)), ldw)));
    return sub(sub(body, half(trace_product(&s, &wi))), front);
  }
  big body = sub(half(mul(sub(num(nu), num(n + 1)), ldw)), mul(h, lds));
  return sub(sub(body, half(trace_product(&si, &w))), front);
}

static big o_wishart(const instance *f)
{
  return o_wish(bigs_of(f->value.n, f->value.x), bigs_of(f->value.n, f->arg[1].x),
                f->arg[0].x[0], strstr(f->name, "inv") != NULL);
}

static big o_niw(const instance *f)
{
  int n = f->value.n;
  bigs sigma = bigs_of(n, f->value.x + n), scaled = sigma;
  big y[N];
  residual(&f->value, &f->arg[0], 0, y);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) scaled.a[i][j] = over(sigma.a[i][j], num(f->arg[1].x[0]));
  return add(o_gauss(n, y, scaled), o_wish(sigma, bigs_of(n, f->arg[2].x), f->arg[3].x[0], true));
}

static big o_nig(const instance *f)
{
  big s = num(f->value.x[1]), y = sub(num(f->value.x[0]), num(f->arg[0].x[0]));
  big a = num(f->arg[2].x[0]), b = num(f->arg[3].x[0]), v = over(s, num(f->arg[1].x[0]));
  big gamma = sub(sub(mul(a, lg(b)), lngamma(a)), add(mul(add(a, one()), lg(s)), over(b, s)));
  return sub(gamma, half(add(add(ln_2pi(), lg(v)), over(sq(y), v))));
}

static big simple_cov(int form, const double *p, const double *x, const double *y, int dim)
{
  big r2 = num(0), dot = num(0), wave = num(0);
  for (int k = 0; k < dim; k++) {
    big d = sub(num(x[k]), num(y[k]));
    r2 = add(r2, sq(d));
    dot = add(dot, mul(num(x[k]), num(y[k])));
    if (form == 4) wave = add(wave, sq(sin_(over(mul(pi_(), d), num(p[2])))));
  }
  big a2 = sq(num(form == 4 ? p[1] : p[0])), rho = num(form == 4 ? p[0] : p[1]);
  big s = over(root(mul(num(form == 2 ? 3 : form == 3 ? 5 : 1), r2)), rho);
  switch (form) {
  case 0: return mul(a2, ex(neg(half(over(r2, sq(rho))))));
  case 1: return mul(a2, ex(neg(s)));
  case 2: return mul(mul(a2, add(one(), s)), ex(neg(s)));
  case 3: return mul(mul(a2, add(add(one(), s), over(sq(s), num(3)))), ex(neg(s)));
  case 4: return mul(a2, ex(neg(mul(two(), over(wave, sq(rho))))));
  default: return add(sq(num(p[1])), mul(a2, dot));
  }
}

static big kernel_cov(int form, const double *p, const double *x, const double *y, int dim)
{
  if (form < 6) return simple_cov(form, p, x, y, dim);
  if (form == 6) return mul(simple_cov(2, p, x, y, dim), simple_cov(0, p + 2, x, y, dim));
  return add(mul(simple_cov(0, p, x, y, dim), simple_cov(4, p + 2, x, y, dim)),
             mul(simple_cov(5, p + 5, x, y, dim), simple_cov(3, p + 7, x, y, dim)));
}

static big o_gp(const instance *f)
{
  const piece *x = &f->arg[0];
  int n = x->kind == ROWS ? x->m : x->n, dim = x->kind == ROWS ? x->n : 1;
  bigs k = {.n = n};
  big y[N];
  for (int i = 0; i < n; i++) {
    y[i] = sub(num(f->value.x[i]), num(f->arg[2].x[f->arg[2].kind == VECTOR ? i : 0]));
    for (int j = 0; j < n; j++) {
      k.a[i][j] = kernel_cov(f->arg[1].n, f->arg[1].x, x->x + i * dim, x->x + j * dim, dim);
      if (i == j) k.a[i][j] = add(k.a[i][j], sq(num(f->arg[3].x[0])));
    }
  }
  return o_gauss(n, y, k);
}

static big o_dirichlet(const instance *f)
{
  big total = num(0), sum = num(0);
  for (int k = 0; k < f->value.n; k++) {
    big a = num(f->arg[0].x[k]);
    total = add(total, a);
    sum = add(sum, sub(mul(sub(a, one()), lg(num(f->value.x[k]))), lngamma(a)));
  }
  return add(lngamma(total), sum);
}

/* ---- random instances ------------------------------------------------------------------------ */

typedef big (*oracle)(const instance *);

static piece number(double x) { return (piece){NUMBER, 1, 1, {x}}; }
static piece whole(double x) { return (piece){WHOLE, 1, 1, {x}}; }
static piece vector(norn_rng *g, int n)
{
  piece p = {VECTOR, n, 1, {0}};
  for (int k = 0; k < n; k++) p.x[k] = rng_normal(g);
  return p;
}
static piece rows_of(norn_rng *g, int m, int n)
{
  piece p = {ROWS, n, m, {0}};
  for (int k = 0; k < m * n; k++) p.x[k] = rng_normal(g);
  return p;
}
static piece matrix(norn_rng *g, piece_kind kind, int n)
{
  piece p = {kind, n, n, {0}};
  double l[36];
  if (kind == SYMMETRIC) random_definite(g, n, 0.3, p.x);
  else if (kind == LOWER) random_lower(g, n, p.x);
  else if (kind == FACTOR) random_factor(g, n, p.x);
  else { random_factor(g, n, l); product_with_self(n, l, p.x); }
  return p;
}
static piece pair(norn_rng *g, int n)
{
  piece p = vector(g, n);
  p.kind = PAIR;
  random_definite(g, n, 0.3, p.x + n);
  return p;
}
static piece simplex(norn_rng *g, int n)
{
  piece p = {SIMPLEX, n, 1, {0}};
  double sum = 0;
  for (int k = 0; k < n; k++) sum += p.x[k] = 0.05 + rng_uniform(g);
  for (int k = 0; k < n; k++) p.x[k] /= sum;
  return p;
}
static piece kernel(norn_rng *g, int form)
{
  piece p = {KERNEL, form, 1, {0}};
  for (int k = 0; k < piece_size(&p); k++) p.x[k] = 0.5 + rng_uniform(g);
  return p;
}

enum { FORMS = 30 };
/* Instance `form` in its seed-th copy, and its oracle; false past the last. */
static bool draw_instance(int form, uint32_t seed, instance *f, oracle *exact)
{
  norn_rng rng = stream_of(seed * 64 + (uint32_t)form), *g = &rng;
  int n = 1 + (int)(seed % 3);
  double eta = seed % 4 == 3 ? 1e-2 : v_exp(2 * rng_normal(g)), nu = n - 1 + 3 * rng_uniform(g);
  switch (form) {
  case 0: *f = (instance){"multi_normal", 2, {vector(g, n), matrix(g, SYMMETRIC, n)}, vector(g, n)};
          break;
  case 1: *f = (instance){"multi_normal_cholesky", 2, {vector(g, n), matrix(g, LOWER, n)},
                          vector(g, n)};
          break;
  case 2: *f = (instance){"multi_normal_prec", 2, {vector(g, n), matrix(g, SYMMETRIC, n)},
                          vector(g, n)};
          break;
  case 3: *f = (instance){"multi_normal", 2, {rows_of(g, 4, n), matrix(g, SYMMETRIC, n)},
                          rows_of(g, 4, n)};
          break;
  case 4: *f = (instance){"multi_normal_cholesky", 2, {rows_of(g, 2, n), matrix(g, LOWER, n)},
                          rows_of(g, 2, n)};
          break;
  case 5: *f = (instance){"multi_normal_prec", 2, {rows_of(g, 3, n), matrix(g, SYMMETRIC, n)},
                          rows_of(g, 3, n)};
          break;
  case 6: case 7: case 8:
    *f = (instance){"multi_student_t", 3, {number(form == 6 ? nu + 0.1 : form == 7 ? 47.5 : 1e6),
                                          vector(g, n), matrix(g, SYMMETRIC, n)}, vector(g, n)};
    break;
  case 9: case 10:
    *f = (instance){"lkj_corr", 2, {whole(n + 1), number(form == 9 ? eta : 1000)},
                    matrix(g, CORRELATION, n + 1)};
    break;
  case 11: case 12:
    *f = (instance){"lkj_corr_cholesky", 2, {whole(n + 1), number(form == 11 ? eta : 1000)},
                    matrix(g, FACTOR, n + 1)};
    break;
  case 13: case 14:
    *f = (instance){"wishart", 2, {number(form == 13 ? nu : 50), matrix(g, SYMMETRIC, n)},
                    matrix(g, SYMMETRIC, n)};
    break;
  case 15: case 16:
    *f = (instance){"inv_wishart", 2, {number(form == 15 ? nu : 50), matrix(g, SYMMETRIC, n)},
                    matrix(g, SYMMETRIC, n)};
    break;
  case 17:
    *f = (instance){"normal_inverse_wishart", 4, {vector(g, n), number(0.1 + rng_uniform(g)),
                                                 matrix(g, SYMMETRIC, n), number(nu)}, pair(g, n)};
    break;
  case 18:
    *f = (instance){"normal_inverse_gamma", 4, {number(rng_normal(g)), number(0.1 + rng_uniform(g)),
                                               number(eta), number(0.1 + rng_uniform(g))},
                    {GAMMA, 1, 1, {rng_normal(g), 0.1 + rng_uniform(g)}}};
    break;
  case 19:
    *f = (instance){"dirichlet", 1, {{VECTOR, n + 1, 1, {eta, 0.3, 2, 7}}}, simplex(g, n + 1)};
    break;
  default:
    if (form >= 20 + 8) return false;
    bool plane = seed & 1;
    int at = plane ? 4 : n + 1;
    *f = (instance){"gaussian_process", 4, {plane ? rows_of(g, at, 2) : vector(g, at),
                                           kernel(g, form - 20),
                                           seed % 4 < 2 ? number(0.7) : vector(g, at),
                                           number(0.3 + rng_uniform(g))}, vector(g, at)};
  }
  *exact = form < 6 ? o_normal : form < 9 ? o_student : form < 11 ? o_lkj : form < 13 ?
    o_lkj_cholesky : form < 17 ? o_wishart : form == 17 ? o_niw : form == 18 ? o_nig : form == 19 ?
    o_dirichlet : o_gp;
  return true;
}

static void say(const instance *f, int form, uint32_t seed)
{
  fprintf(stderr, "  in form %d of %s, seed %u\n", form, f->name, seed);
}

/* Errors are measured against the largest terms: |log density| and the numbers in it. */
static void test_density(void)
{
  double worst = 0;
  instance f;
  oracle exact;
  for (uint32_t seed = 0; seed < 24; seed++)
    for (int form = 0; form < FORMS && draw_instance(form, seed, &f, &exact); form++) {
      big_reset();
      big e = exact(&f);
      double got = instance_logp(st, &f);
      double miss = fabs(dbl(sub(num(got), e))) / fmax(f.name[0] == 'g' ? 10 : 1, fabs(dbl(e)));
      if (strstr(f.name, "wish")) miss /= 1 + fabs(f.arg[0].x[0]) / 10;
      worst = fmax(worst, miss);
      CHECK(miss < 4e-13);
      if (!(miss < 4e-13)) {
        say(&f, form, seed);
        fprintf(stderr, "  %.17g, not %.17g\n", got, dbl(e));
      }
    }
  printf("densities: worst error %.2g\n", worst);
}

/* The same in bigs of 256 bits, to 10^-70. */
static void test_big(void)
{
  instance f;
  oracle exact;
  for (uint32_t seed = 0; seed < 4; seed++)
    for (int form = 0; form < FORMS && draw_instance(form, seed, &f, &exact); form++) {
      norn_dist d;
      norn_datum got = norn_none();
      char text_[400];
      big_reset();
      big want = exact(&f), have = big_new();
      norn_dist_view(instance_dist(st, &f), &d);
      CHECK(!norn_dist_logp_big(st, &d, piece_datum(st, &f.value), 256, &got));
      norn_big_text(got, 77, text_, sizeof text_);
      mpfr_set_str(pool.v[have], text_, 10, MPFR_RNDN);
      double miss = fabs(dbl(sub(have, want))) / fmax(1, fabs(dbl(want)));
      CHECK(miss < 1e-70);
      if (!(miss < 1e-70)) say(&f, form, seed);
    }
}

/* ---- order 1 is a scalar family -------------------------------------------------------------- */

static double scalar_logp(const char *name, double x, double a, double b, double c)
{
  return dist_find(name)->logp1(x, (double[]){a, b, c});
}

static void near_scalar(const instance *f, double want)
{
  double got = instance_logp(st, f), tol = 4e-15 * fmax(1, fabs(want));
  CHECK_NEAR(got, want, tol);
  if (!(fabs(got - want) <= tol)) fprintf(stderr, "  in %s at %g\n", f->name, f->value.x[0]);
}

static void test_order_one(void)
{
  static const double xs[] = {1e-8, 0.3, 1, 2.5, 70}, ss[] = {1e-6, 0.5, 3, 1e8};
  static const double nus[] = {0.01, 1, 7.5, 300};
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 4; j++) {
      double x = xs[i] * sqrt(ss[j]), s = ss[j], mu = 0.25 * sqrt(s);
      piece m = {VECTOR, 1, 1, {mu}}, v = {VECTOR, 1, 1, {x}};
      piece a = {SYMMETRIC, 1, 1, {s}}, w = {SYMMETRIC, 1, 1, {xs[i] * s}};
      double sd = sqrt(s), normal = scalar_logp("normal", x, mu, sd, 0);
      near_scalar(&(instance){"multi_normal", 2, {m, a}, v}, normal);
      near_scalar(&(instance){"multi_normal_cholesky", 2, {m, {LOWER, 1, 1, {sd}}}, v}, normal);
      near_scalar(&(instance){"multi_normal_prec", 2, {m, {SYMMETRIC, 1, 1, {1 / s}}}, v}, normal);
      for (int k = 0; k < 4; k++) {
        double nu = nus[k], y = xs[i] * s;
        near_scalar(&(instance){"multi_student_t", 3, {number(nu), m, a}, v},
                    scalar_logp("student_t", x, nu, mu, sd));
        near_scalar(&(instance){"wishart", 2, {number(nu), a}, w},
                    scalar_logp("gamma", y, nu / 2, 0.5 / s, 0));
        near_scalar(&(instance){"inv_wishart", 2, {number(nu), a}, w},
                    scalar_logp("inv_gamma", y, nu / 2, s / 2, 0));
        piece both = {PAIR, 1, 1, {x, y}}, two_ = {GAMMA, 1, 1, {x, y}};
        double niw = instance_logp(st, &(instance){"normal_inverse_wishart", 4,
                                                  {m, number(0.3), a, number(nu)}, both});
        near_scalar(&(instance){"normal_inverse_gamma", 4,
                               {number(mu), number(0.3), number(nu / 2), number(s / 2)}, two_},
                    niw);
      }
    }
  near_scalar(&(instance){"lkj_corr", 2, {whole(1), number(3)}, {CORRELATION, 1, 1, {1}}}, 0);
  near_scalar(&(instance){"lkj_corr_cholesky", 2, {whole(1), number(3)}, {FACTOR, 1, 1, {1}}}, 0);
}

/* ---- integrals ------------------------------------------------------------------------------- */

/* Puts the value of f at a point u of R^3 and gives log |dx/du|. */
typedef double (*place)(instance *f, const double *u);

/* The trapezoidal rule on a box of steps h with 2 m + 1 points a side, in `dims` dimensions. */
static double integral(instance *f, place at, int dims, double h, int m)
{
  double sum = 0;
  int i[3], side = 2 * m + 1;
  int64_t total = dims == 1 ? side : dims == 2 ? side * side : (int64_t)side * side * side;
  norn_datum args[4];
  norn_dist d;
  for (int k = 0; k < f->n; k++) args[k] = piece_datum(st, &f->arg[k]);
  norn_dist_view(norn_dist_new(st, dist_find(f->name), args, f->n), &d);
  for (int64_t k = 0; k < total; k++) {
    i[0] = (int)(k % side), i[1] = (int)(k / side % side), i[2] = (int)(k / side / side);
    double u[3] = {h * (i[0] - m), h * (i[1] - m), h * (i[2] - m)}, logp;
    double jacobian = at(f, u);
    if (norn_dist_logp(st, &d, piece_datum(st, &f->value), &logp)) return (double)NAN;
    sum += exp(logp + jacobian);
  }
  return sum * pow(h, dims);
}

static double at_plain(instance *f, const double *u)
{
  for (int k = 0; k < f->value.n; k++) f->value.x[k] = f->arg[0].x[k] + u[k];
  return 0;
}

static double at_sinh(instance *f, const double *u)
{
  double sum = 0;
  for (int k = 0; k < f->value.n; k++) {
    f->value.x[k] = f->arg[1].x[k] + sinh(u[k]);
    sum += log(cosh(u[k]));
  }
  return sum;
}

/* Partial correlations p = tanh u: r21 = p0, r31 = p1, and r32 has p2 given the first. */
static double at_correlation(instance *f, const double *u)
{
  double p[3], rest[3], *r = f->value.x;
  for (int k = 0; k < 3; k++) p[k] = tanh(u[k]), rest[k] = 1 / cosh(u[k]);
  if (f->value.n == 2) {
    r[0] = r[3] = 1;
    r[1] = r[2] = p[0];
    return 2 * log(rest[0]);
  }
  double r32 = p[0] * p[1] + p[2] * rest[0] * rest[1];
  const double all[] = {1, p[0], p[1], p[0], 1, r32, p[1], r32, 1};
  memcpy(r, all, sizeof all);
  return 2 * log(rest[0] * rest[1] * rest[2]) + log(rest[0] * rest[1]);
}

static double at_factor(instance *f, const double *u)
{
  double p[3], rest[3], *l = f->value.x;
  for (int k = 0; k < 3; k++) p[k] = tanh(u[k]), rest[k] = 1 / cosh(u[k]);
  if (f->value.n == 2) {
    const double all[] = {1, 0, p[0], rest[0]};
    memcpy(l, all, sizeof all);
    return 2 * log(rest[0]);
  }
  const double all[] = {1, 0, 0, p[0], rest[0], 0, p[1], p[2] * rest[1], rest[1] * rest[2]};
  memcpy(l, all, sizeof all);
  return 2 * log(rest[0] * rest[1] * rest[2]) + log(rest[1]);
}

/* Variances exp u, correlation tanh u. */
static double at_covariance(instance *f, const double *u)
{
  double a = exp(u[0]), b = exp(u[1]), c = tanh(u[2]) * sqrt(a) * sqrt(b);
  const double all[] = {a, c, c, b};
  memcpy(f->value.x, all, sizeof all);
  return 1.5 * (u[0] + u[1]) - 2 * log(cosh(u[2]));
}

static double at_gamma(instance *f, const double *u)
{
  double s = exp(u[0]);
  f->value.x[0] = f->arg[0].x[0] + sqrt(s) * sinh(u[1]);
  f->value.x[1] = s;
  return 1.5 * u[0] + log(cosh(u[1]));
}

static void test_normal_integrals(void)
{
  piece mu = {VECTOR, 2, 1, {1, -2}}, mu3 = {VECTOR, 3, 1, {0, 1, 2}}, v = mu, v3 = mu3;
  piece s = {SYMMETRIC, 2, 2, {2, 0.7, 0.7, 0.8}}, l = {LOWER, 2, 2, {0.9, 0, -0.4, 1.2}};
  piece s3 = {SYMMETRIC, 3, 3, {1, 0.4, 0.2, 0.4, 1.5, -0.3, 0.2, -0.3, 0.8}};
  CHECK_NEAR(integral(&(instance){"multi_normal", 2, {mu, s}, v}, at_plain, 2, 0.25, 50), 1, 1e-12);
  CHECK_NEAR(integral(&(instance){"multi_normal_cholesky", 2, {mu, l}, v}, at_plain, 2, 0.25, 50),
             1, 1e-12);
  CHECK_NEAR(integral(&(instance){"multi_normal_prec", 2, {mu, s}, v}, at_plain, 2, 0.2, 60), 1,
             1e-12);
  CHECK_NEAR(integral(&(instance){"multi_normal", 2, {mu3, s3}, v3}, at_plain, 3, 0.4, 22), 1,
             1e-9);
  CHECK_NEAR(integral(&(instance){"multi_student_t", 3, {number(4.5), mu, s}, v}, at_sinh, 2, 0.1,
                      110), 1, 1e-9);
  piece k = {KERNEL, 2, 1, {1.2, 0.7}}, at = {VECTOR, 2, 1, {0, 0.4}};
  CHECK_NEAR(integral(&(instance){"gaussian_process", 4, {at, k, number(0), number(0.2)}, v},
                      at_plain, 2, 0.15, 70), 1, 1e-9);
}

static void test_matrix_integrals(void)
{
  static const double etas[] = {0.5, 1, 4};
  piece r2 = {CORRELATION, 2, 2, {0}}, r3 = {CORRELATION, 3, 3, {0}};
  piece s = {SYMMETRIC, 2, 2, {2, 0.5, 0.5, 0.7}}, w = {SYMMETRIC, 2, 2, {0}};
  for (int i = 0; i < 3; i++) {
    piece eta = number(etas[i]);
    CHECK_NEAR(integral(&(instance){"lkj_corr", 2, {whole(2), eta}, r2}, at_correlation, 1, 0.05,
                        320), 1, 2e-7);   /* near the ends r is rounded */
    CHECK_NEAR(integral(&(instance){"lkj_corr_cholesky", 2, {whole(2), eta}, r2}, at_factor, 1,
                        0.1, 350), 1, 1e-11);
    CHECK_NEAR(integral(&(instance){"lkj_corr", 2, {whole(3), eta}, r3}, at_correlation, 3, 0.3,
                        25), 1, i ? 1e-6 : 2e-3);
    CHECK_NEAR(integral(&(instance){"lkj_corr_cholesky", 2, {whole(3), eta}, r3}, at_factor, 3,
                        i ? 0.25 : 0.3, i ? 36 : 45), 1, i ? 1e-7 : 1e-5);
  }
  CHECK_NEAR(integral(&(instance){"wishart", 2, {number(3.5), s}, w}, at_covariance, 3, 0.3, 30),
             1, 1e-5);
  CHECK_NEAR(integral(&(instance){"inv_wishart", 2, {number(4), s}, w}, at_covariance, 3, 0.3, 30),
             1, 1e-5);
  piece pair_ = {GAMMA, 1, 1, {0}};
  CHECK_NEAR(integral(&(instance){"normal_inverse_gamma", 4,
                                 {number(1), number(0.5), number(2), number(3)}, pair_}, at_gamma,
                      2, 0.1, 200), 1, 1e-10);
}

/* At n = 3 the density of r21, the others integrated out, is that of (r+1)/2 being
   beta(eta + 1/2, eta + 1/2). */
static void test_lkj_marginal(void)
{
  static const double rs[] = {-0.9, -0.2, 0, 0.5, 0.95};
  for (int i = 0; i < 5; i++) {
    instance f = {"lkj_corr", 2, {whole(3), number(1.7)}, {CORRELATION, 3, 3, {0}}};
    double sum = 0, h = 0.1;
    for (int a = -150; a <= 150; a++)
      for (int b = -150; b <= 150; b++) {
        double u[] = {atanh(rs[i]), h * a, h * b};
        double jacobian = at_correlation(&f, u) - log1p(-rs[i] * rs[i]);
        if (fabs(u[1]) > 9 || fabs(u[2]) > 9) continue;      /* there r rounds to 1 */
        sum += exp(instance_logp(st, &f) + jacobian) * h * h;
      }
    double beta = scalar_logp("beta", (rs[i] + 1) / 2, 2.2, 2.2, 0);
    CHECK_NEAR(sum, 0.5 * exp(beta), 1e-7);
  }
}

/* ---- derivatives ----------------------------------------------------------------------------- */

/* The directions in which a piece may move. */
static int directions(const piece *p)
{
  switch (p->kind) {
  case WHOLE: return 0;
  case SYMMETRIC: case LOWER: return p->n * (p->n + 1) / 2;
  case CORRELATION: case FACTOR: return p->n * (p->n - 1) / 2;
  case SIMPLEX: return p->n - 1;
  case PAIR: return p->n + p->n * (p->n + 1) / 2;
  default: return piece_size(p);
  }
}

/* Place (i, j) of entry k of a lower triangle, with or without its diagonal. */
static void entry(int k, bool diagonal, int *i, int *j)
{
  for (*i = !diagonal; k >= *i + diagonal; k -= *i + diagonal, ++*i) { }
  *j = k;
}

static piece moved(const piece *p, int k, double h)
{
  piece r = *p;
  int i, j, at = p->kind == PAIR ? p->n : 0;
  bool diagonal = p->kind != CORRELATION && p->kind != FACTOR;
  switch (p->kind) {
  case PAIR:
    if (k < p->n) { r.x[k] += h; break; }
    k -= p->n;   /* fall through */
  case SYMMETRIC: case LOWER: case CORRELATION: case FACTOR:
    entry(k, diagonal, &i, &j);
    r.x[at + i * p->n + j] += h;
    if (i != j && p->kind != LOWER && p->kind != FACTOR) r.x[at + j * p->n + i] += h;
    if (p->kind == FACTOR) close_factor(p->n, r.x);
    break;
  case SIMPLEX:
    r.x[k] += h;
    r.x[p->n - 1] -= h;
    break;
  default: r.x[k] += h;
  }
  return r;
}

/* The derivative along a direction of `which` (an argument of f, or its value) by Richardson's
   extrapolation of central differences, and by the chain rule from g. */
static void check_direction(const instance *f, piece *which, int k, const double *g, int form,
                            uint32_t seed)
{
  const piece here = *which;
  double diff[2], chain = 0, h = 2e-4;
  for (int r = 0; r < 2; r++, h /= 2) {
    *which = moved(&here, k, h);
    double up = instance_logp(st, f);
    *which = moved(&here, k, -h);
    diff[r] = (up - instance_logp(st, f)) / (2 * h);
  }
  piece up = moved(&here, k, 1e-4), down = moved(&here, k, -1e-4);
  for (int e = 0; e < piece_size(&here); e++) chain += g[e] * (up.x[e] - down.x[e]) / 2e-4;
  *which = here;
  double want = (4 * diff[1] - diff[0]) / 3, tol = 2e-7 * fmax(10, fabs(want));
  CHECK_NEAR(chain, want, tol);
  if (!(fabs(chain - want) <= tol)) {
    say(f, form, seed);
    fprintf(stderr, "  direction %d of %s\n", k, which == &f->value ? "the value" : "an argument");
  }
}

static bool is_symmetric(const piece *p, const double *g)
{
  int at = p->kind == PAIR ? p->n : 0;
  for (int i = 0; i < p->n; i++)
    for (int j = 0; j < i; j++)
      if (fabs(g[at + i * p->n + j] - g[at + j * p->n + i]) >
          1e-11 * (1 + fabs(g[at + i * p->n + j])))
        return false;
  return true;
}

static void check_instance(instance *f, int form, uint32_t seed)
{
  double gx[40], g[80], start[80];
  norn_dist d;
  norn_dist_view(instance_dist(st, f), &d);
  int64_t leaves = norn_dist_leaves(&d);
  int total = 0;
  for (int i = 0; i < f->n; i++) total += piece_size(&f->arg[i]);
  CHECK(leaves == total);
  for (int k = 0; k < 80; k++) start[k] = g[k] = 1 + k;
  for (int k = 0; k < 40; k++) gx[k] = 5;
  CHECK(!norn_dist_partials(st, &d, piece_datum(st, &f->value), 0.5, gx, g));
  for (int k = total; k < 80; k++) CHECK(g[k] == start[k]);        /* added to its leaves alone */
  for (int k = piece_size(&f->value); k < 40; k++) CHECK(gx[k] == 5);
  for (int k = 0; k < 80; k++) g[k] = (g[k] - start[k]) / 0.5;
  for (int k = 0; k < 40; k++) gx[k] = (gx[k] - 5) / 0.5;
  double *at = g;
  for (int i = 0; i < f->n; at += piece_size(&f->arg[i++])) {
    if (f->arg[i].kind == WHOLE) CHECK(at[0] == 0);
    if (f->arg[i].kind == SYMMETRIC) CHECK(is_symmetric(&f->arg[i], at));
    for (int k = 0; k < directions(&f->arg[i]); k++)
      check_direction(f, &f->arg[i], k, at, form, seed);
  }
  piece_kind kind = f->value.kind;
  if (kind == SYMMETRIC || kind == CORRELATION || kind == PAIR)
    CHECK(is_symmetric(&f->value, gx));
  for (int k = 0; k < directions(&f->value); k++)
    check_direction(f, &f->value, k, gx, form, seed);
  /* either may be left out */
  double again[80] = {0};
  CHECK(!norn_dist_partials(st, &d, piece_datum(st, &f->value), 1, NULL, again));
  for (int k = 0; k < total; k++) CHECK_NEAR(again[k], g[k], 1e-10 * (1 + fabs(g[k])));
  CHECK(!norn_dist_partials(st, &d, piece_datum(st, &f->value), 1, again, NULL));
}

/* Of matern12 the derivative in x has a kink at equal points only; eta = 0.01 and nu = 1e6 are left
   to the densities: differences lose too much there. */
static void test_partials(void)
{
  instance f;
  oracle exact;
  for (uint32_t seed = 0; seed < 6; seed++)
    for (int form = 0; form < FORMS && draw_instance(form, seed, &f, &exact); form++)
      if (form != 8) check_instance(&f, form, seed);
}

/* The derivative of a correlation matrix is (eta - 1) R^-1 in all entries, the diagonal too. */
static void test_correlation_diagonal(void)
{
  norn_rng g = stream_of(99);
  instance f = {"lkj_corr", 2, {whole(3), number(2.5)}, matrix(&g, CORRELATION, 3)};
  double gx[9] = {0};
  norn_dist d;
  bigs inverse;
  big_reset();
  eliminate(bigs_of(3, f.value.x), &inverse);
  norn_dist_view(instance_dist(st, &f), &d);
  norn_dist_partials(st, &d, piece_datum(st, &f.value), 1, gx, NULL);
  for (int k = 0; k < 9; k++) CHECK_NEAR(gx[k], 1.5 * dbl(inverse.a[k / 3][k % 3]), 1e-12);
}

/* ---- through the map to R^m ---------------------------------------------------------------- */

static norn_support map_of(const piece *p)
{
  norn_support_kind kind = p->kind == SYMMETRIC ? NORN_SUPPORT_COV : p->kind == FACTOR ?
    NORN_SUPPORT_CHOLESKY_CORR : NORN_SUPPORT_CORR;
  return (norn_support){kind, -HUGE_VAL, HUGE_VAL, p->n, 1, -1, -1};
}

static double at_map(instance *f, const double *u)
{
  norn_support s = map_of(&f->value);
  double jacobian = 0;
  norn_support_constrain(&s, u, f->value.x, &jacobian);
  return jacobian;
}

static double mapped_logp(instance *f, const double *u)
{
  double jacobian = at_map(f, u);
  return jacobian + instance_logp(st, f);
}

/* What a gradient engine does: derivatives in all entries of a matrix, taken back through the map,
   are those of the density over R^m; there it integrates to 1 too. */
static void test_mapped(void)
{
  static const int forms[] = {9, 11, 13, 15};
  for (int k = 0; k < 16; k++) {
    instance f;
    oracle exact;
    norn_rng rng = stream_of(900 + (uint32_t)k);
    double u[10], gx[40] = {0}, gu[10] = {0}, work[40], jacobian = 0;
    norn_dist d;
    draw_instance(forms[k % 4], (uint32_t)k / 4, &f, &exact);
    norn_support s = map_of(&f.value);
    int m = (int)norn_support_free(&s);
    for (int i = 0; i < m; i++) u[i] = 0.7 * rng_normal(&rng);
    norn_support_constrain(&s, u, f.value.x, &jacobian);
    norn_dist_view(instance_dist(st, &f), &d);
    norn_dist_partials(st, &d, piece_datum(st, &f.value), 1, gx, NULL);
    norn_support_adjoint(&s, u, f.value.x, gx, 1, gu, NULL, NULL, work);
    for (int i = 0; i < m; i++) {
      double here = u[i], diff[2], h = 2e-4;
      for (int r = 0; r < 2; r++, h /= 2) {
        u[i] = here + h;
        double up = mapped_logp(&f, u);
        u[i] = here - h;
        diff[r] = (up - mapped_logp(&f, u)) / (2 * h);
      }
      u[i] = here;
      double want = (4 * diff[1] - diff[0]) / 3;
      CHECK_NEAR(gu[i], want, 2e-7 * fmax(10, fabs(want)));
    }
  }
  piece s2 = {SYMMETRIC, 2, 2, {2, 0.5, 0.5, 0.7}}, w = {SYMMETRIC, 2, 2, {0}};
  piece s10 = {SYMMETRIC, 2, 2, {20, 5, 5, 12}};
  piece r3 = {CORRELATION, 3, 3, {0}}, l3 = {FACTOR, 3, 3, {0}};
  instance all[] = {{"lkj_corr", 2, {whole(3), number(2)}, r3},
                    {"lkj_corr_cholesky", 2, {whole(3), number(2)}, l3},
                    {"wishart", 2, {number(4), s2}, w}, {"inv_wishart", 2, {number(10), s10}, w}};
  for (int k = 0; k < 4; k++) CHECK_NEAR(integral(&all[k], at_map, 3, 0.25, 32), 1, 1e-4);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void check_minus_infinity(const char *name, int n, const piece *args, piece value)
{
  instance f = {name, n, {args[0], n > 1 ? args[1] : args[0]}, value};
  double got = instance_logp(st, &f);
  CHECK(got == -HUGE_VAL);
  if (got != -HUGE_VAL) fprintf(stderr, "  in %s\n", name);
}

static void test_outside(void)
{
  piece lkj[] = {whole(2), number(2)}, w[] = {number(3), {SYMMETRIC, 2, 2, {1, 0, 0, 1}}};
  check_minus_infinity("lkj_corr", 2, lkj, (piece){CORRELATION, 2, 2, {1, 1, 1, 1}});
  check_minus_infinity("lkj_corr", 2, lkj, (piece){CORRELATION, 2, 2, {1, 0.5, 0.4, 1}});
  check_minus_infinity("lkj_corr", 2, lkj, (piece){CORRELATION, 2, 2, {1.1, 0.5, 0.5, 1}});
  check_minus_infinity("lkj_corr_cholesky", 2, lkj, (piece){FACTOR, 2, 2, {1, 0, 0.6, 0.7}});
  check_minus_infinity("lkj_corr_cholesky", 2, lkj, (piece){FACTOR, 2, 2, {1, 0, 0.6, -0.8}});
  check_minus_infinity("lkj_corr_cholesky", 2, lkj, (piece){FACTOR, 2, 2, {1, 0.1, 0.6, 0.8}});
  check_minus_infinity("wishart", 2, w, (piece){SYMMETRIC, 2, 2, {1, 2, 2, 1}});
  check_minus_infinity("wishart", 2, w, (piece){SYMMETRIC, 2, 2, {1, 0.1, 0.2, 1}});
  check_minus_infinity("inv_wishart", 2, w, (piece){SYMMETRIC, 2, 2, {0, 0, 0, 1}});
}

/* A covariance of condition 4e10: the density is good to what the matrix itself lets through. */
static void test_nearly_singular(void)
{
  double r = 1 - 1e-10;
  instance f = {"multi_normal", 2, {{VECTOR, 2, 1, {0, 0}}, {SYMMETRIC, 2, 2, {1, r, r, 1}}},
                {VECTOR, 2, 1, {0.3, 0.30001}}};
  big_reset();
  double want = dbl(o_normal(&f));
  CHECK_NEAR(instance_logp(st, &f), want, 1e-5);
  f.value.x[0] = 1e160;   /* no overflow of what is finite */
  CHECK(instance_logp(st, &f) == -HUGE_VAL);
  instance t = {"multi_student_t", 3, {number(2), f.arg[0], {SYMMETRIC, 2, 2, {1, 0, 0, 1}}},
                {VECTOR, 2, 1, {3e200, 4e200}}};
  big_reset();
  CHECK_NEAR(instance_logp(st, &t), dbl(o_student(&t)), 1e-12 * 2000);
  double gx[2] = {0}, g[7] = {0};
  norn_dist d;
  norn_dist_view(instance_dist(st, &t), &d);
  CHECK(!norn_dist_partials(st, &d, piece_datum(st, &t.value), 1, gx, g));
  CHECK_NEAR(gx[0], -4 * 3e200 / 25e200 / 1e200, 1e-12 / 1e200);
  CHECK_NEAR(g[0], 0.5 * (1.0 / 1 - 2 / 2.0 - log(25e200) - log(1e200) + log(2) + 2), 1e-9);
}

static void test_supports(void)
{
  static const struct { int form; norn_support_kind kind; int size, count; } want[] = {
    {0, NORN_SUPPORT_REAL, 1, 3}, {4, NORN_SUPPORT_REAL, 1, 6}, {7, NORN_SUPPORT_REAL, 1, 3},
    {9, NORN_SUPPORT_CORR, 4, 1}, {11, NORN_SUPPORT_CHOLESKY_CORR, 4, 1},
    {13, NORN_SUPPORT_COV, 3, 1}, {15, NORN_SUPPORT_COV, 3, 1}, {17, NORN_SUPPORT_ANY, 1, 1},
    {18, NORN_SUPPORT_ANY, 1, 1}, {20, NORN_SUPPORT_REAL, 1, 4},
  };
  for (int i = 0; i < 10; i++) {
    instance f;
    oracle exact;
    norn_dist d;
    norn_support s;
    draw_instance(want[i].form, 2, &f, &exact);
    norn_dist_view(instance_dist(st, &f), &d);
    norn_dist_support(st, &d, &s);
    CHECK(s.kind == want[i].kind && s.size == want[i].size && s.count == want[i].count);
    if (s.kind != want[i].kind || s.size != want[i].size || s.count != want[i].count)
      fprintf(stderr, "  in %s: %d %lld %lld\n", f.name, s.kind, (long long)s.size,
              (long long)s.count);
  }
}

int main(void)
{
  norn_config config = norn_config_default();
  config.quiet = true;
  st = norn_new(&config);
  if (!st) return 99;
  test_density();
  test_big();
  test_order_one();
  test_normal_integrals();
  test_matrix_integrals();
  test_lkj_marginal();
  test_partials();
  test_correlation_diagonal();
  test_mapped();
  test_outside();
  test_nearly_singular();
  test_supports();
  norn_free(st);
  return unit_end();
}
