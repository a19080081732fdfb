/* la_factor.c: QR factors, symmetric eigenvalues, singular values, the exponential.

   Small matrices, and all without OpenBLAS, by the plainest method that is also the most accurate:
   Householder reflections (Golub and Van Loan, Matrix Computations, 4th ed. 2013, 5.2), Jacobi
   rotations of both sides for eigenvalues (8.5) and of columns for singular values (8.6.3; Demmel
   and Veselic 1992).  Large ones by LAPACK.  Both give the same signs (la.h).  Rows of memory are
   columns of a matrix here, so that loops run along them; elements are scaled by a power of two to
   at most 1 first, so nothing overflows. */
#include "num/la_in.h"
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SWEEPS 60      /* ten is usual */

/* The exponent e with largest |x| in [2^(e-1), 2^e), but at least -1000, so that 2^-e is a number;
   false: something is not finite. */
static bool exponent_of(const double *x, int64_t n, int *e)
{
  double most = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(x[i])) return false;
    most = fmax(most, fabs(x[i]));
  }
  frexp(most, e);
  if (*e < -1000) *e = -1000;
  return true;
}

static double *reals(int64_t n)
{
  return (uint64_t)n < SIZE_MAX / sizeof(double) ? malloc(((size_t)n + 1) * sizeof(double)) : NULL;
}

/* to (n, m) = from (m, n) transposed, times 2^-e */
static void turn(const double *from, int64_t m, int64_t n, int e, double *to)
{
  double scale = ldexp(1, -e);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) to[j * m + i] = from[i * n + j] * scale;
}

/* -0 becomes 0, which reads better. */
static void plain_zeros(double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) x[i] += 0.0;
}

static void negate(double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) x[i] = -x[i];
}

/* Whether the rule for signs turns a vector round; its elements are `step` apart. */
static bool turns_round(const double *x, int64_t n, int64_t step)
{
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i * step]));
  for (int64_t i = 0; i < n; i++)
    if (fabs(x[i * step]) >= most / 2) return x[i * step] < 0;
  return false;
}

static void rotate(double *x, double *y, int64_t n, double c, double s)
{
  for (int64_t i = 0; i < n; i++) {
    double t = x[i];
    x[i] = c * t - s * y[i];
    y[i] = s * t + c * y[i];
  }
}

/* ---- QR ---- */

/* x (n) becomes (1, v) with H = 1 - tau (1, v)(1, v)', H x = (*head, 0 ...).  Columns may be of any
   size beside others, so each is scaled where its squares would vanish. */
static double reflector(double *x, int64_t n, double *head)
{
  int e = 0;
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
  if (most < 1e-100) frexp(most, &e);
  for (int64_t i = 0; i < n && e; i++) x[i] = ldexp(x[i], -e);
  double rest = la_dot(x + 1, x + 1, n - 1), x0 = x[0], norm = sqrt(x0 * x0 + rest);
  *head = ldexp(x0, e);
  x[0] = 1;
  if (rest == 0) return 0;
  if (x0 > 0) norm = -norm;
  *head = ldexp(norm, e);
  double pivot = x0 - norm;
  for (int64_t i = 1; i < n; i++) x[i] /= pivot;
  return -pivot / norm;
}

/* v (n, m): columns of a, which become those of q; tau (n) */
static void own_qr(double *v, int64_t m, int64_t n, double *tau, double *r)
{
  memset(r, 0, (size_t)(n * n) * sizeof *r);
  for (int64_t k = 0; k < n; k++) {
    double *x = v + k * m + k;
    tau[k] = reflector(x, m - k, &r[k * n + k]);
    for (int64_t j = k + 1; j < n; j++) {
      double *y = v + j * m + k;
      la_axpy(-tau[k] * la_dot(x, y, m - k), x, y, m - k);
      r[k * n + j] = y[0];
    }
  }
  for (int64_t k = n - 1; k >= 0; k--) {
    double *x = v + k * m + k;
    for (int64_t j = k + 1; j < n; j++) {
      double *y = v + j * m + k;
      y[0] = 0;
      la_axpy(-tau[k] * la_dot(x, y, m - k), x, y, m - k);
    }
    for (int64_t i = 1; i < m - k; i++) x[i] *= -tau[k];
    x[0] = 1 - tau[k];
  }
}

/* LAPACK sees the transposed: a' = L Q, so r = L' and q = Q'. */
static bool blas_qr(const la_blas *f, double *a, int64_t m, int64_t n, double *r)
{
  int rows = (int)n, cols = (int)m, all = -1, info = 0;
  double ask[2], *tau = NULL;
  f->gelqf(&rows, &cols, a, &rows, ask, ask, &all, &info);
  f->orglq(&rows, &cols, &rows, a, &rows, ask, ask + 1, &all, &info);
  all = (int)fmax(ask[0], ask[1]);
  if (info || !(tau = reals(n + all))) return false;
  f->gelqf(&rows, &cols, a, &rows, tau, tau + n, &all, &info);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) r[i * n + j] = j < i ? 0 : a[i * n + j];
  if (!info) f->orglq(&rows, &cols, &rows, a, &rows, tau, tau + n, &all, &info);
  free(tau);
  return info == 0;
}

/* Rows of r with a negative diagonal are turned round, with the columns of q. */
static void positive_diagonal(double *q, int64_t m, int64_t n, double *r)
{
  for (int64_t k = 0; k < n; k++) {
    if (!(r[k * n + k] < 0)) continue;
    negate(r + k * n + k, n - k);
    for (int64_t i = 0; i < m; i++) q[i * n + k] = -q[i * n + k];
  }
}

bool la_qr(double *a, int64_t m, int64_t n, double *r)
{
  int e;
  const la_blas *blas = n > LA_SMALL && m <= INT_MAX ? la_open() : NULL;
  if (!exponent_of(a, m * n, &e)) return false;
  if (blas) {
    if (!blas_qr(blas, a, m, n, r)) return false;
  } else {
    double *v = reals(m * n + n);
    if (!v) return false;
    turn(a, m, n, e, v);
    own_qr(v, m, n, v + m * n, r);
    turn(v, n, m, 0, a);
    free(v);
    for (int64_t k = 0; k < n * n; k++) r[k] = ldexp(r[k], e);
  }
  positive_diagonal(a, m, n, r);
  plain_zeros(a, m * n);
  plain_zeros(r, n * n);
  return true;
}

/* ---- eigenvalues ---- */

/* c and s of the rotation that makes a[p, q] zero (Golub and Van Loan, algorithm 8.5.1), and their
   ratio. */
static double jacobi(double pp, double pq, double qq, double *c, double *s)
{
  double tau = (qq - pp) / (2 * pq);
  double t = 1 / (fabs(tau) + sqrt(1 + tau * tau));
  if (tau < 0) t = -t;
  *c = 1 / sqrt(1 + t * t);
  *s = t * *c;
  return t;
}

/* Diagonalises a (n, n); the rows of v (n, n) become its eigenvectors. */
static bool own_eigen(double *a, int64_t n, double *v)
{
  double c, s, small = DBL_EPSILON * sqrt(la_dot(a, a, n * n)) / 1024;
  memset(v, 0, (size_t)(n * n) * sizeof *v);
  for (int64_t i = 0; i < n; i++) v[i * n + i] = 1;
  bool moved = true;
  for (int sweep = 0; moved; sweep++) {
    if (sweep == SWEEPS) return false;
    moved = false;
    for (int64_t p = 0; p < n; p++)
      for (int64_t q = p + 1; q < n; q++) {
        if (fabs(a[p * n + q]) <= small) continue;
        moved = true;
        double pp = a[p * n + p], pq = a[p * n + q], qq = a[q * n + q];
        double t = jacobi(pp, pq, qq, &c, &s);
        rotate(a + p * n, a + q * n, n, c, s);
        for (int64_t i = 0; i < n; i++) rotate(a + i * n + p, a + i * n + q, 1, c, s);
        a[p * n + p] = pp - t * pq;      /* what the rotation gives, with less rounding */
        a[q * n + q] = qq + t * pq;
        a[p * n + q] = a[q * n + p] = 0;
        rotate(v + p * n, v + q * n, n, c, s);
      }
  }
  return true;
}

/* Sorts rising by insertion what own_eigen left: values, and the rows of v. */
static void sort_rising(double *values, double *v, int64_t n)
{
  for (int64_t i = 1; i < n; i++)
    for (int64_t j = i; j > 0 && values[j] < values[j - 1]; j--) {
      double t = values[j];
      values[j] = values[j - 1];
      values[j - 1] = t;
      rotate(v + (j - 1) * n, v + j * n, n, 0, 1);
    }
}

static bool blas_eigen(const la_blas *f, double *a, int64_t n, double *values)
{
  int size = (int)n, all = -1, ints = -1, info = 0;
  double ask = 0;
  f->syevd("V", "U", &size, a, &size, values, &ask, &all, &ints, &all, &info, 1, 1);
  all = (int)ask;
  double *work = info ? NULL : reals(all);
  int *iwork = work ? malloc((size_t)ints * sizeof *iwork) : NULL;
  info = 1;
  if (iwork) f->syevd("V", "U", &size, a, &size, values, work, &all, iwork, &ints, &info, 1, 1);
  free(work);
  free(iwork);
  return info == 0;
}

bool la_eigen_symmetric(double *a, int64_t n, double *values)
{
  int e;
  const la_blas *blas = n > 16 && n <= 20000 ? la_open() : NULL;
  double *v = reals(n * n);
  bool ok = v && exponent_of(a, n * n, &e);
  if (ok && blas) {
    ok = blas_eigen(blas, a, n, values);
    memcpy(v, a, (size_t)(n * n) * sizeof *v);
  } else if (ok) {
    double scale = ldexp(1, -e);
    for (int64_t k = 0; k < n * n; k++) a[k] *= scale;
    ok = own_eigen(a, n, v);
    for (int64_t i = 0; i < n; i++) values[i] = ldexp(a[i * n + i], e);
    sort_rising(values, v, n);
  }
  for (int64_t i = 0; i < n && ok; i++)
    if (turns_round(v + i * n, n, 1)) negate(v + i * n, n);
  if (ok) turn(v, n, n, 0, a);
  if (ok) plain_zeros(a, n * n);
  free(v);
  return ok;
}

/* ---- singular values ---- */

/* What is nothing but rounding: eps times the norm of all columns. */
static double svd_floor(const double *w, int64_t m, int64_t n)
{
  return DBL_EPSILON * sqrt(la_dot(w, w, m * n));
}

/* Makes the columns w (n, m) orthogonal by rotations, which are gathered in v (n, n). */
static bool own_svd(double *w, int64_t m, int64_t n, double *v)
{
  double c, s, tol = DBL_EPSILON * sqrt((double)m), least = svd_floor(w, m, n);
  memset(v, 0, (size_t)(n * n) * sizeof *v);
  for (int64_t i = 0; i < n; i++) v[i * n + i] = 1;
  bool moved = true;
  for (int sweep = 0; moved; sweep++) {
    if (sweep == SWEEPS) return false;
    moved = false;
    for (int64_t p = 0; p < n; p++)
      for (int64_t q = p + 1; q < n; q++) {
        double *x = w + p * m, *y = w + q * m, pq = la_dot(x, y, m), pp = la_dot(x, x, m),
               qq = la_dot(y, y, m);
        if (fabs(pq) <= tol * sqrt(pp) * sqrt(qq) || fmin(pp, qq) <= least * least) continue;
        moved = true;
        jacobi(pp, pq, qq, &c, &s);
        rotate(x, y, m, c, s);
        rotate(v + p * n, v + q * n, n, c, s);
      }
  }
  return true;
}

static void swap_reals(double *x, double *y, int64_t n)
{
  for (int64_t i = 0; i < n; i++) {
    double t = x[i];
    x[i] = y[i];
    y[i] = t;
  }
}

/* A unit vector orthogonal to u[0 .. k) (k, m), k < m: what is left of the unit vector of which
   they have the least. */
static void complete(double *u, int64_t k, int64_t m)
{
  int64_t best = 0;
  double least = INFINITY, *x = u + k * m;
  for (int64_t i = 0; i < m; i++) {
    double s = 0;
    for (int64_t j = 0; j < k; j++) s += u[j * m + i] * u[j * m + i];
    if (s < least) {
      least = s;
      best = i;
    }
  }
  memset(x, 0, (size_t)m * sizeof *x);
  x[best] = 1;
  for (int twice = 0; twice < 2; twice++)
    for (int64_t j = 0; j < k; j++) la_axpy(-la_dot(u + j * m, x, m), u + j * m, x, m);
  double norm = sqrt(la_dot(x, x, m));
  for (int64_t i = 0; i < m; i++) x[i] /= norm;
}

/* Norms of the columns w (n, m) falling into s, w scaled to them; rounding becomes 0. */
static void singular_values(double *w, int64_t m, int64_t n, double *v, double *s)
{
  double least = svd_floor(w, m, n);
  for (int64_t j = 0; j < n; j++) s[j] = sqrt(la_dot(w + j * m, w + j * m, m));
  for (int64_t j = 0; j < n; j++) {
    int64_t best = j;
    for (int64_t k = j + 1; k < n; k++)
      if (s[k] > s[best]) best = k;
    if (best != j) {
      swap_reals(s + j, s + best, 1);
      swap_reals(w + j * m, w + best * m, m);
      swap_reals(v + j * n, v + best * n, n);
    }
    if (s[j] <= least) {
      s[j] = 0;
      complete(w, j, m);
    } else
      for (int64_t i = 0; i < m; i++) w[j * m + i] /= s[j];
  }
}

/* m >= n: the columns of a are rotated.  m < n: those of a' = v diag(s) u'. */
static bool jacobi_svd(double *a, int64_t m, int64_t n, int e, double *u, double *s, double *vt)
{
  bool wide = m < n;
  int64_t longer = wide ? n : m, k = wide ? m : n;
  double *w = reals(longer * k), *v = reals(k * k);
  bool ok = w && v;
  if (ok) {
    if (wide) turn(a, 1, m * n, e, w);
    else turn(a, m, n, e, w);
    ok = own_svd(w, longer, k, v);
  }
  if (ok) {
    singular_values(w, longer, k, v, s);
    for (int64_t j = 0; j < k; j++) s[j] = ldexp(s[j], e);
    memcpy(vt, wide ? w : v, (size_t)(k * n) * sizeof *vt);
    turn(wide ? v : w, k, m, 0, u);
  }
  free(w);
  free(v);
  return ok;
}

/* LAPACK sees a' = v diag(s) u', and its column-major v and u' are our vt and u. */
static bool blas_svd(const la_blas *f, double *a, int64_t m, int64_t n, double *u, double *s,
                     double *vt)
{
  int rows = (int)n, cols = (int)m, k = rows < cols ? rows : cols, all = -1, info = 0;
  double ask = 0;
  int *iwork = malloc(8 * (size_t)k * sizeof *iwork);
  if (!iwork) return false;
  f->gesdd("S", &rows, &cols, a, &rows, s, vt, &rows, u, &k, &ask, &all, iwork, &info, 1);
  all = (int)ask;
  double *work = info ? NULL : reals(all);
  info = 1;
  if (work)
    f->gesdd("S", &rows, &cols, a, &rows, s, vt, &rows, u, &k, work, &all, iwork, &info, 1);
  free(work);
  free(iwork);
  return info == 0;
}

bool la_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *vt)
{
  int e;
  int64_t k = m < n ? m : n;
  const la_blas *blas = k > 12 && m <= 40000 && n <= 40000 ? la_open() : NULL;
  if (!exponent_of(a, m * n, &e)) return false;
  if (!(blas ? blas_svd(blas, a, m, n, u, s, vt) : jacobi_svd(a, m, n, e, u, s, vt)))
    return false;
  for (int64_t j = 0; j < k; j++) {
    if (!turns_round(u + j, m, k)) continue;
    for (int64_t i = 0; i < m; i++) u[i * k + j] = -u[i * k + j];
    negate(vt + j * n, n);
  }
  plain_zeros(u, m * k);
  plain_zeros(vt, k * n);
  return true;
}

/* ---- exponential ---- */

/* The Pade approximant of degree 13 of exp(a), a (n, n) of norm at most 5.37: of three even powers
   (p2, p4, p6), u of odd terms and v of even ones, (v - u) out = v + u.  w is scratch (n, n). */
static bool pade(const double *a, int64_t n, double *p2, double *u, double *v, double *w,
                 double *out)
{
  static const double b[] = { 64764752532480000, 32382376266240000, 7771770303897600,
                              1187353796428800, 129060195264000, 10559470521600, 670442572800,
                              33522128640, 1323241920, 40840800, 960960, 16380, 182, 1 };
  int64_t all = n * n;
  double *p4 = p2 + all, *p6 = p4 + all;
  size_t bytes = (size_t)all * sizeof *a;
  la_mul(false, false, n, n, n, 1, a, a, 0, p2);
  la_mul(false, false, n, n, n, 1, p2, p2, 0, p4);
  la_mul(false, false, n, n, n, 1, p4, p2, 0, p6);
  for (int even = 0; even < 2; even++) {
    double *to = even ? v : out;
    const double *c = even ? b : b + 1;
    memset(w, 0, bytes);
    memset(to, 0, bytes);
    for (int64_t i = 0; i < n; i++) to[i * n + i] = c[0];
    for (int k = 1; k <= 3; k++) {
      la_axpy(c[2 * k + 6], p2 + (k - 1) * all, w, all);
      la_axpy(c[2 * k], p2 + (k - 1) * all, to, all);
    }
    la_mul(false, false, n, n, n, 1, p6, w, 1, to);
  }
  la_mul(false, false, n, n, n, 1, a, out, 0, u);
  for (int64_t k = 0; k < all; k++) {
    out[k] = v[k] + u[k];
    w[k] = v[k] - u[k];
  }
  return la_solve(w, n, out, n);
}

/* Scaling and squaring (Higham 2005, algorithm 2.3, always at degree 13). */
bool la_exp(double *a, int64_t n, double *out)
{
  int e, squarings = 0;
  double norm = 0, *work = reals(6 * n * n);
  bool ok = work && exponent_of(a, n * n, &e);
  for (int64_t j = 0; j < n && ok; j++) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += fabs(a[i * n + j]);
    norm = fmax(norm, s);
  }
  ok = ok && isfinite(norm);
  if (ok && norm > 5.371920351148152) frexp(norm / 5.371920351148152, &squarings);
  for (int64_t k = 0; k < n * n && ok; k++) a[k] = ldexp(a[k], -squarings);
  if (ok) {
    int64_t all = n * n;
    ok = pade(a, n, work, work + 3 * all, work + 4 * all, work + 5 * all, out);
    for (int k = 0; k < squarings && ok; k++) {
      memcpy(work, out, (size_t)all * sizeof *out);
      la_mul(false, false, n, n, n, 1, work, work, 0, out);
    }
  }
  free(work);
  return ok;
}
