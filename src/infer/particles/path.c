/* path: one path of Pathfinder (Zhang, Carpenter, Gelman, Vehtari 2022, "Pathfinder: parallel
   quasi-Newton variational inference", JMLR 23(306), algorithms 1 to 4).

   With steps s and changes of the gradient of -log p z (columns of S and Z, the last J) the inverse
   Hessian at an iterate is  D + B C B',  B = [D Z, S],  R = upper triangle of S' Z,  E = diag(R),

       C = [ 0        -R^-1                      ]
           [ -R^-T    R^-T (E + Z' D Z) R^-1     ]     (Byrd, Nocedal, Schnabel 1994, theorem 2.2)

   and D = diag(alpha) follows the path by the formula of Gilbert and Lemarechal 1989: with a = z' D
   z, b = z' s, c = s' D^-1 s

       1 / alpha_i  <-  a / (b alpha_i) + z_i^2 / b - a s_i^2 / (b c alpha_i^2).

   The normal of an iterate x has covariance D + B C B' and mean x + (D + B C B') grad log p(x).

   Random numbers: sample s of the ELBO at iteration i: iteration i + 1, event s, of the path's
   lane. */
#include "infer/particles/path.h"
#include "num/la.h"
#include <string.h>

/* ---- normals ---- */

static int64_t most_columns(int64_t n, int64_t history)
{
  return 2 * history < n ? 2 * history : n;
}

size_t normal_bytes(int64_t n, int64_t history)
{
  int64_t k = most_columns(n, history);
  return (size_t)(2 * n + n * k + k * k) * sizeof(double);
}

/* Lays a normal of at most k columns into room. */
static void normal_lay(path_normal *q, double *room, int64_t n, int64_t k)
{
  q->n = n;
  q->mean = room;
  q->root = q->mean + n;
  q->q = q->root + n;
  q->l = q->q + n * k;
}

void normal_copy(path_normal *to, const path_normal *from, double *room)
{
  int64_t n = from->n, k = from->k < 0 ? n : from->k;
  *to = *from;
  normal_lay(to, room, n, from->k < 0 ? 0 : k);
  memcpy(to->mean, from->mean, (size_t)n * sizeof(double));
  memcpy(to->root, from->root, (size_t)n * sizeof(double));
  if (from->k >= 0) memcpy(to->q, from->q, (size_t)(n * k) * sizeof(double));
  memcpy(to->l, from->l, (size_t)(k * k) * sizeof(double));
}

double normal_draw(const path_normal *q, const double *z, double *u, double *work)
{
  int64_t n = q->n, k = q->k < 0 ? n : q->k;
  double *lz = work;
  if (q->k < 0) {
    for (int64_t i = 0; i < n; i++) u[i] = q->mean[i] + la_dot(q->l + i * n, z, i + 1);
  } else {
    /* z + Q (L - I) Q' z */
    double *t = u;                     /* (k): k <= n */
    la_mul_vector(true, n, k, q->q, z, t);
    for (int64_t i = 0; i < k; i++) lz[i] = la_dot(q->l + i * k, t, i + 1) - t[i];
    for (int64_t i = 0; i < n; i++)
      u[i] = q->mean[i] + q->root[i] * (z[i] + la_dot(q->q + i * k, lz, k));
  }
  return -q->log_det - 0.5 * la_dot(z, z, n) - 0.5 * (double)n * LOG_TWO_PI;
}

double normal_at(const path_normal *q, const double *u, double *work)
{
  int64_t n = q->n, k = q->k < 0 ? n : q->k;
  double *w = work, *t = work + n, size;
  for (int64_t i = 0; i < n; i++) w[i] = u[i] - q->mean[i];
  if (q->k < 0) {
    la_solve_lower(false, q->l, n, w, 1);
    size = la_dot(w, w, n);
  } else {
    /* |w|^2 outside of the span of Q, |L^-1 Q' w|^2 in it */
    for (int64_t i = 0; i < n; i++) w[i] /= q->root[i];
    la_mul_vector(true, n, k, q->q, w, t);
    size = la_dot(w, w, n) - la_dot(t, t, k);
    la_solve_lower(false, q->l, k, t, 1);
    size = fmax(size, 0) + la_dot(t, t, k);
  }
  return -q->log_det - 0.5 * size - 0.5 * (double)n * LOG_TWO_PI;
}

static double overlap(const path_normal *a, const path_normal *b, const norn_rng *from,
                      double *work)
{
  enum { DRAWS = 100 };
  double *z = work, *u = z + a->n, *more = u + a->n, sum = 0;
  for (uint32_t s = 0; s < DRAWS; s++) {
    norn_rng g = {.stream = from->stream, .lane = from->lane, .event = s};
    norn_rng_normals(&g, z, a->n);
    double la = normal_draw(a, z, u, more), lb = normal_at(b, u, more);
    sum += 1 / (1 + exp(la - lb));
  }
  return sum / DRAWS;
}

double normal_overlap(const path_normal *a, const path_normal *b, const norn_rng *g, double *work)
{
  return fmax(overlap(a, b, g, work), overlap(b, a, g, work));
}

void normal_sd(const path_normal *q, double *sd)
{
  int64_t n = q->n, k = q->k;
  for (int64_t i = 0; i < n; i++) {
    if (k < 0) { sd[i] = sqrt(la_dot(q->l + i * n, q->l + i * n, i + 1)); continue; }
    /* D_i (1 - |Q_i|^2 + |L' Q_i|^2) */
    const double *row = q->q + i * k;
    double s = 1 - la_dot(row, row, k);
    for (int64_t c = 0; c < k; c++) {
      double t = 0;
      for (int64_t d = c; d < k; d++) t += q->l[d * k + c] * row[d];
      s += t * t;
    }
    sd[i] = q->root[i] * sqrt(fmax(s, 1e-12));
  }
}

bool normal_factor(const path_normal *q, double *l)
{
  int64_t n = q->n, k = q->k;
  memset(l, 0, (size_t)(n * n) * sizeof *l);
  if (k < 0) {
    memcpy(l, q->l, (size_t)(n * n) * sizeof *l);
    return true;
  }
  /* S = D^1/2 (I + Q (L L' - I) Q') D^1/2 */
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double s = i == j;
      for (int64_t c = 0; c < k; c++) {
        double t = 0;
        for (int64_t d = 0; d < k; d++) {
          const double *lc = q->l + c * k, *ld = q->l + d * k;
          t += (la_dot(lc, ld, (c < d ? c : d) + 1) - (c == d)) * q->q[j * k + d];
        }
        s += q->q[i * k + c] * t;
      }
      l[i * n + j] = s * q->root[i] * q->root[j];
    }
  return la_cholesky(l, n) == 0;
}

/* ---- the curvature of the path ---- */

/* D takes in the last pair. */
static void alpha_update(path *p)
{
  const double *s, *z;
  int64_t n = p->t->n;
  double a = 0, b = 0, c = 0;
  lbfgs_pair(&p->l, p->l.stored - 1, &s, &z);
  for (int64_t i = 0; i < n; i++) {
    a += p->alpha[i] * z[i] * z[i];
    b += z[i] * s[i];
    c += s[i] * s[i] / p->alpha[i];
  }
  if (!(b > 0 && c > 0)) return;
  for (int64_t i = 0; i < n; i++) {
    double x = p->alpha[i], r = s[i] / x;
    double next = 1 / (a / (b * x) + z[i] * z[i] / b - a * r * r / (b * c));
    if (next > 0 && next < HUGE_VAL) p->alpha[i] = next;
  }
}

/* B (n, 2 J) and C (2 J, 2 J) of the pairs kept. */
static void columns(path *p)
{
  int64_t n = p->t->n, m = p->l.stored, k = 2 * m;
  double *r = p->d, *inverse = r + m * m, *mid = inverse + m * m;
  const double *s, *z, *other, *unused;
  for (int64_t j = 0; j < m; j++) {
    lbfgs_pair(&p->l, j, &s, &z);
    for (int64_t i = 0; i < n; i++) {
      p->b[i * k + j] = p->alpha[i] * z[i];
      p->b[i * k + m + j] = s[i];
    }
    for (int64_t i = 0; i < m; i++) {
      lbfgs_pair(&p->l, i, &other, &unused);
      r[i * m + j] = i <= j ? la_dot(other, z, n) : 0;
    }
  }
  /* columns of R^-1 by back substitution */
  memset(inverse, 0, (size_t)(m * m) * sizeof *inverse);
  for (int64_t j = 0; j < m; j++)
    for (int64_t i = j; i >= 0; i--) {
      double x = i == j;
      for (int64_t d = i + 1; d <= j; d++) x -= r[i * m + d] * inverse[d * m + j];
      inverse[i * m + j] = x / r[i * m + i];
    }
  /* E + Z' D Z */
  for (int64_t i = 0; i < m; i++) {
    lbfgs_pair(&p->l, i, &other, &z);
    for (int64_t j = 0; j < m; j++) {
      double x = i == j ? r[i * m + i] : 0;
      for (int64_t d = 0; d < n; d++) x += z[d] * p->b[d * k + j];
      mid[i * m + j] = x;
    }
  }
  memset(p->c, 0, (size_t)(k * k) * sizeof *p->c);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < m; j++) {
      double x = 0;
      for (int64_t a = 0; a <= i; a++)
        for (int64_t b = 0; b <= j; b++)
          x += inverse[a * m + i] * mid[a * m + b] * inverse[b * m + j];
      p->c[i * k + m + j] = -inverse[i * m + j];
      p->c[(m + j) * k + i] = -inverse[i * m + j];
      p->c[(m + i) * k + m + j] = x;
    }
}

/* mean = x - S g, with g the gradient of -log p. */
static void mean_of(path *p, path_normal *q, int64_t k)
{
  int64_t n = q->n;
  double *t = p->u, *ct = p->z;
  la_mul_vector(true, n, k, p->b, p->l.g, t);
  la_mul_vector(false, k, k, p->c, t, ct);
  for (int64_t i = 0; i < n; i++)
    q->mean[i] = p->l.x[i] - p->alpha[i] * p->l.g[i] - la_dot(p->b + i * k, ct, k);
}

/* B C B' + D as L L'. */
static bool dense_factor(path *p, path_normal *q, int64_t k)
{
  int64_t n = q->n;
  q->k = -1;
  q->l = q->q;                         /* in the room of q and l */
  la_mul(false, false, n, k, k, 1, p->b, p->c, 0, p->d);
  la_mul(false, true, n, n, k, 1, p->d, p->b, 0, q->l);
  for (int64_t i = 0; i < n; i++) {
    q->l[i * n + i] += p->alpha[i];
    for (int64_t j = 0; j < i; j++) q->l[i * n + j] = 0.5 * (q->l[i * n + j] + q->l[j * n + i]);
  }
  if (la_cholesky(q->l, n)) return false;
  q->log_det = 0.5 * la_cholesky_log_det(q->l, n);
  return true;
}

/* D^-1/2 B = Q R, L L' = I + R C R'. */
static bool thin_factor(path *p, path_normal *q, int64_t k)
{
  int64_t n = q->n;
  double *r = p->d, *rc = r + k * k;
  q->k = k;
  q->log_det = 0;
  for (int64_t i = 0; i < n; i++) {
    q->root[i] = sqrt(p->alpha[i]);
    q->log_det += log(q->root[i]);
    for (int64_t j = 0; j < k; j++) q->q[i * k + j] = p->b[i * k + j] / q->root[i];
  }
  if (k == 0) return true;
  if (!la_qr(q->q, n, k, r)) return false;
  la_mul(false, false, k, k, k, 1, r, p->c, 0, rc);
  la_mul(false, true, k, k, k, 1, rc, r, 0, q->l);
  for (int64_t i = 0; i < k; i++) {
    q->l[i * k + i] += 1;
    for (int64_t j = 0; j < i; j++) q->l[i * k + j] = 0.5 * (q->l[i * k + j] + q->l[j * k + i]);
  }
  if (la_cholesky(q->l, k)) return false;
  q->log_det += 0.5 * la_cholesky_log_det(q->l, k);
  return true;
}

/* The mean of log p - log q over samples of q; -infinity if one of them is outside. */
static double elbo_of(path *p, const path_normal *q)
{
  double sum = 0;
  for (int64_t s = 0; s < p->samples; s++) {
    norn_rng g = {.stream = p->stream, .lane = p->lane, .iter = (uint32_t)p->l.iterations + 1,
                  .event = (uint32_t)s};
    norn_rng_normals(&g, p->z, q->n);
    double lq = normal_draw(q, p->z, p->u, p->b), lp = target_at(p->t, p->u, NULL);
    if (lp == -HUGE_VAL) return lp;
    sum += lp - lq;
  }
  return sum / (double)p->samples;
}

/* Looks at the normal of this iterate. */
static void propose(path *p)
{
  int64_t n = p->t->n, k = 2 * p->l.stored;
  path_normal *q = &p->now;
  normal_lay(q, q->mean, n, most_columns(n, p->l.limit.history));
  columns(p);
  mean_of(p, q, k);
  bool good = k >= n ? dense_factor(p, q, k) : thin_factor(p, q, k);
  for (int64_t i = 0; i < n && good; i++) good = fabs(q->mean[i]) < HUGE_VAL;
  if (!good) return;
  q->elbo = elbo_of(p, q);
  if (!(q->elbo > p->best.elbo)) return;
  path_normal kept = p->best;
  p->best = *q;
  *q = kept;
  p->at = p->l.iterations;
}

/* ---- the path ---- */

typedef struct sizes { size_t vector, b, c, d, normal, all; } sizes;
static sizes sizes_of(const path *p)
{
  int64_t n = p->t->n, h = p->l.limit.history, k = 2 * h;
  sizes s = {.vector = (size_t)(n > k ? n : k), .b = (size_t)(n * k), .c = (size_t)(k * k),
             .normal = normal_bytes(n, h) / sizeof(double)};
  if (s.b < (size_t)n) s.b = (size_t)n;
  s.d = (size_t)(2 * k * k) > s.b ? (size_t)(2 * k * k) : s.b;
  s.all = 3 * s.vector + s.b + s.c + s.d + 2 * s.normal;
  return s;
}

bool path_new(target *t, path *p, int64_t history, int64_t iterations, int64_t samples)
{
  lbfgs_limits limits = LBFGS_DEFAULTS;
  *p = (path){.t = t, .samples = samples};
  limits.history = history;
  limits.iterations = iterations;
  if (!lbfgs_new(t->st, &p->l, t->n, &limits, target_cost, t)) return false;
  sizes s = sizes_of(p);
  double *at = p->room = engine_get(t->st, s.all * sizeof *at);
  if (!at) return false;
  p->alpha = at;
  p->z = p->alpha + s.vector;
  p->u = p->z + s.vector;
  p->b = p->u + s.vector;
  p->c = p->b + s.b;
  p->d = p->c + s.c;
  p->now.mean = p->d + s.d;
  p->best.mean = p->now.mean + s.normal;
  return true;
}

void path_free(path *p)
{
  if (!p->t) return;
  if (p->room) engine_put(p->t->st, p->room, sizes_of(p).all * sizeof *p->room);
  lbfgs_free(&p->l);
  p->t = NULL;
}

static bool place_archive(norn_archive *a, double **at, double *room, size_t bytes)
{
  int64_t k = norn_archive_reading(a) || !*at ? -1 : (int64_t)(*at - room);
  if (!norn_archive_i64(a, &k)) return false;
  if (k < -1 || k >= (int64_t)(bytes / sizeof **at)) return norn_archive_fail(a, "a normal is not whole");
  *at = k < 0 ? NULL : room + k;
  return true;
}

bool normal_archive(norn_archive *a, path_normal *q, double *room, size_t bytes)
{
  norn_archive_i64(a, &q->n);
  norn_archive_i64(a, &q->k);
  norn_archive_f64(a, &q->log_det);
  return norn_archive_f64(a, &q->elbo) && place_archive(a, &q->mean, room, bytes) &&
         place_archive(a, &q->root, room, bytes) && place_archive(a, &q->q, room, bytes) &&
         place_archive(a, &q->l, room, bytes);
}

bool path_archive(norn_archive *a, path *p)
{
  size_t bytes = sizes_of(p).all * sizeof *p->room;
  norn_archive_u64(a, &p->stream);
  norn_archive_u32(a, &p->lane);
  norn_archive_i64(a, &p->at);
  norn_archive_bool(a, &p->begun);
  return lbfgs_archive(a, &p->l) && norn_archive_bytes(a, p->room, bytes) &&
         normal_archive(a, &p->now, p->room, bytes) && normal_archive(a, &p->best, p->room, bytes);
}

void path_begin(path *p, const double *u, uint64_t stream, uint32_t lane)
{
  p->stream = stream;
  p->lane = lane;
  p->at = 0;
  p->now.elbo = p->best.elbo = -HUGE_VAL;
  for (int64_t i = 0; i < p->t->n; i++) p->alpha[i] = 1;
  lbfgs_start(&p->l, u);
  p->begun = true;
  /* a start that is the mode already */
  if (lbfgs_converged(p->l.end)) propose(p);
}

bool path_step(path *p)
{
  if (p->l.end || p->t->failed) return false;
  int64_t before = p->l.iterations;
  lbfgs_step(&p->l);
  if (p->t->failed || p->l.iterations == before) return false;
  if (p->l.paired) alpha_update(p);
  propose(p);
  return !p->l.end && !p->t->failed;
}
