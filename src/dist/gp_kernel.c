/* gp_kernel: covariance functions of points in R^d, and their derivatives.  With d = x - y,
   r = |d| (Stan functions reference, "Gaussian process covariance functions"; Rasmussen and
   Williams 2006, "Gaussian processes for machine learning", section 4.2):

     rbf       alpha^2 exp(-r^2 / (2 rho^2))
     matern12  alpha^2 exp(-s), s = r / rho
     matern32  alpha^2 (1 + s) exp(-s), s = sqrt(3) r / rho
     matern52  alpha^2 (1 + s + s^2/3) exp(-s), s = sqrt(5) r / rho
     periodic  alpha^2 exp(-2 q / rho^2), q = sum over the coordinates of sin(pi d / period)^2
     linear    bias^2 + alpha^2 x . y */
#include "dist/gp_kernel.h"
#include "dist/dist.h"
#include "num/vmath.h"
#include <string.h>

static const gp_kernel_shape shapes[] = {
  [GP_RBF] = {"rbf", 2, {"alpha", "rho"}, {0}},
  [GP_MATERN12] = {"matern12", 2, {"alpha", "rho"}, {0}},
  [GP_MATERN32] = {"matern32", 2, {"alpha", "rho"}, {0}},
  [GP_MATERN52] = {"matern52", 2, {"alpha", "rho"}, {0}},
  [GP_PERIODIC] = {"periodic", 3, {"alpha", "rho", "period"}, {0}},
  [GP_LINEAR] = {"linear", 2, {"alpha", "bias"}, {false, true}},
  [GP_SUM] = {"sum", 0, {"parts"}, {0}},
  [GP_PRODUCT] = {"product", 0, {"parts"}, {0}},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

const gp_kernel_shape *gp_kernel_shape_of(gp_kernel_kind kind) { return &shapes[kind]; }

/* ---- reading --------------------------------------------------------------------------------- */

norn_status gp_kernel_want(norn_state *st, const gp_kernel_shape *shape, int i, double x, int arg)
{
  if (isfinite(x) && (shape->zero[i] ? x >= 0 : x > 0)) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, arg, "%s of the kernel %s must be %s, got %s",
                   shape->param[i], shape->name,
                   shape->zero[i] ? "0 or more and finite" : "positive and finite",
                   norn_show(st, norn_real(x), true, 40));
}

/* The kind that a record names; SHAPES: none. */
static int kind_of(norn_state *st, norn_datum k)
{
  size_t n;
  const char *s = norn_string_view(norn_record_get(st, k, "kernel"), &n);
  int kind = 0;
  while (s && kind < SHAPES && strcmp(shapes[kind].name, s)) kind++;
  return s ? kind : SHAPES;
}

static norn_status not_a_kernel(norn_state *st, norn_datum k, int arg)
{
  char what[120];
  norn_fail(st, NORN_ETYPE, arg, "a kernel was expected, got %s", norn_describe(st, k, what,
      sizeof what));
  norn_hint(st, "rbf(alpha, rho), matern32(alpha, rho) ... make kernels; kernel_sum and "
            "kernel_product combine them");
  return NORN_ETYPE;
}

static gp_kernel_part *add_part(norn_state *st, gp_kernel *to, gp_kernel_kind kind, int arg)
{
  if (to->n < GP_KERNEL_PARTS) {
    to->part[to->n].kind = kind;
    return &to->part[to->n++];
  }
  norn_fail(st, NORN_EDOMAIN, arg, "a kernel has at most %d parts", GP_KERNEL_PARTS);
  return NULL;
}

/* The fields of a simple kernel in the record's order: numbers are leaves. */
static norn_status read_simple(norn_state *st, norn_datum k, gp_kernel_kind kind, int arg,
                               gp_kernel *to)
{
  const gp_kernel_shape *shape = &shapes[kind];
  gp_kernel_part *part = add_part(st, to, kind, arg);
  int found = 0;
  if (!part) return NORN_EDOMAIN;
  part->n = shape->n;
  for (int f = 0; f < norn_record_size(k); f++) {
    norn_datum v;
    const char *name = norn_record_at(st, k, f, &v);
    int i = 0;
    double x;
    if (!strcmp(name, "kernel")) continue;
    while (i < shape->n && strcmp(shape->param[i], name)) i++;
    if (i == shape->n || !norn_as_real(v, &x))
      return norn_fail(st, NORN_ETYPE, arg, i < shape->n
                       ? "%s of the kernel %s must be a number" : "there is no %s in a kernel %s",
                       name, shape->name);
    norn_status status = gp_kernel_want(st, shape, i, x, arg);
    if (status) return status;
    part->p[i] = x;
    part->leaf[i] = to->leaves++;
    found |= 1 << i;
  }
  for (int i = 0; i < shape->n; i++)
    if (!(found >> i & 1))
      return norn_fail(st, NORN_ETYPE, arg, "the kernel %s lacks its %s", shape->name,
                       shape->param[i]);
  return NORN_OK;
}

/* `depth` bounds the recursion: each level ends in a part. */
static norn_status read_any(norn_state *st, norn_datum k, int arg, int depth, gp_kernel *to)
{
  int kind = kind_of(st, k);
  if (kind == SHAPES) return not_a_kernel(st, k, arg);
  if (kind != GP_SUM && kind != GP_PRODUCT)
    return read_simple(st, k, (gp_kernel_kind)kind, arg, to);
  norn_datum parts = norn_record_get(st, k, "parts");
  int64_t n = norn_array_length(parts);
  if (n < 1 || norn_record_size(k) != 2) return not_a_kernel(st, k, arg);
  if (n > GP_KERNEL_PARTS || depth == GP_KERNEL_PARTS)
    return norn_fail(st, NORN_EDOMAIN, arg, "a kernel has at most %d parts", GP_KERNEL_PARTS);
  for (int64_t i = 0; i < n; i++) {
    norn_status status = read_any(st, norn_array_at(st, parts, i), arg, depth + 1, to);
    if (status) return status;
  }
  gp_kernel_part *part = add_part(st, to, (gp_kernel_kind)kind, arg);
  if (!part) return NORN_EDOMAIN;
  part->n = (int)n;
  return NORN_OK;
}

norn_status gp_kernel_read(norn_state *st, norn_datum k, int arg, gp_kernel *to)
{
  to->n = 0;
  to->leaves = 0;
  return read_any(st, k, arg, 0, to);
}

/* ---- values ---------------------------------------------------------------------------------- */

static double square_distance(const double *x, const double *y, int64_t dim)
{
  double sum = 0;
  for (int64_t k = 0; k < dim; k++) sum += (x[k] - y[k]) * (x[k] - y[k]);
  return sum;
}

/* sin and cos of pi d / period, up to a common sign: only squares and products are used. */
static void wave(double d, double period, double *s, double *c)
{
  double u = d / period;
  v_sincos2pi(0.5 * (u - rint(u)), s, c);
}

static double simple_at(const gp_kernel_part *k, const double *x, const double *y, int64_t dim)
{
  double a2 = k->p[0] * k->p[0], s, c, sum = 0;
  switch (k->kind) {
  case GP_RBF: return a2 * v_exp(-0.5 * square_distance(x, y, dim) / (k->p[1] * k->p[1]));
  case GP_MATERN12: return a2 * v_exp(-sqrt(square_distance(x, y, dim)) / k->p[1]);
  case GP_MATERN32:
    s = sqrt(3 * square_distance(x, y, dim)) / k->p[1];
    return a2 * (1 + s) * v_exp(-s);
  case GP_MATERN52:
    s = sqrt(5 * square_distance(x, y, dim)) / k->p[1];
    return a2 * (1 + s + s * s / 3) * v_exp(-s);
  case GP_PERIODIC:
    for (int64_t i = 0; i < dim; i++) {
      wave(x[i] - y[i], k->p[2], &s, &c);
      sum += s * s;
    }
    return a2 * v_exp(-2 * sum / (k->p[1] * k->p[1]));
  default:
    for (int64_t i = 0; i < dim; i++) sum += x[i] * y[i];
    return k->p[1] * k->p[1] + a2 * sum;
  }
}

/* The value of each part into v (n): a sum or product takes the last that stand free. */
static double run(const gp_kernel *k, const double *x, const double *y, int64_t dim, double *v,
                  int *from /* (n): the first part under each */)
{
  int stack[GP_KERNEL_PARTS], top = 0;
  for (int t = 0; t < k->n; t++) {
    const gp_kernel_part *part = &k->part[t];
    from[t] = t;
    if (part->kind == GP_SUM || part->kind == GP_PRODUCT) {
      v[t] = part->kind == GP_PRODUCT;
      top -= part->n;
      for (int i = 0; i < part->n; i++) {
        if (part->kind == GP_SUM) v[t] += v[stack[top + i]];
        else v[t] *= v[stack[top + i]];
      }
      from[t] = from[stack[top]];
    } else {
      v[t] = simple_at(part, x, y, dim);
    }
    stack[top++] = t;
  }
  return v[k->n - 1];
}

double gp_kernel_at(const gp_kernel *k, const double *x, const double *y, int64_t dim)
{
  double v[GP_KERNEL_PARTS];
  int from[GP_KERNEL_PARTS];
  return k->n == 1 ? simple_at(k->part, x, y, dim) : run(k, x, y, dim, v, from);
}

/* ---- derivatives ----------------------------------------------------------------------------- */

static void add(double *to, double x) { if (to) *to += x; }

/* Kernels of r alone: c such that dk/dx = -c (x - y) and dk/dy = c (x - y). */
static void add_pull(double c, const double *x, const double *y, int64_t dim, double *gx,
                     double *gy)
{
  for (int64_t i = 0; i < dim; i++) {
    if (gx) gx[i] -= c * (x[i] - y[i]);
    if (gy) gy[i] += c * (x[i] - y[i]);
  }
}

/* gk: the leaves; the derivative of matern12 in x at x = y, where it has none, is taken as 0. */
static void radial_partials(const gp_kernel_part *k, const double *x, const double *y, int64_t dim,
                            double g, double *gk, double *gx, double *gy)
{
  double a = k->p[0], rho = k->p[1], q = square_distance(x, y, dim), s, e, c, in_rho;
  double value = simple_at(k, x, y, dim);
  switch (k->kind) {
  case GP_RBF:
    in_rho = value * q / (rho * rho * rho);
    c = value / (rho * rho);
    break;
  case GP_MATERN12:
    s = sqrt(q) / rho;
    in_rho = value * s / rho;
    c = s > 0 ? value / (rho * rho * s) : 0;
    break;
  case GP_MATERN32:
    s = sqrt(3 * q) / rho;
    e = a * a * v_exp(-s);
    in_rho = e * s * s / rho;
    c = 3 * e / (rho * rho);
    break;
  default:
    s = sqrt(5 * q) / rho;
    e = a * a * v_exp(-s) * (1 + s) / 3;
    in_rho = e * s * s / rho;
    c = 5 * e / (rho * rho);
  }
  if (gk) {
    gk[k->leaf[0]] += g * 2 * value / a;
    gk[k->leaf[1]] += g * in_rho;
  }
  add_pull(g * c, x, y, dim, gx, gy);
}

static void periodic_partials(const gp_kernel_part *k, const double *x, const double *y,
                              int64_t dim, double g, double *gk, double *gx, double *gy)
{
  double rho = k->p[1], period = k->p[2], sum = 0, turn = 0, s, c;
  double value = simple_at(k, x, y, dim), front = -2 * value / (rho * rho);
  for (int64_t i = 0; i < dim; i++) {
    double d = x[i] - y[i];
    wave(d, period, &s, &c);
    sum += s * s;
    turn -= 2 * s * c * V_PI * d / (period * period);
    double pull = g * front * 2 * s * c * V_PI / period;
    add(gx ? gx + i : NULL, pull);
    add(gy ? gy + i : NULL, -pull);
  }
  if (!gk) return;
  gk[k->leaf[0]] += g * 2 * value / k->p[0];
  gk[k->leaf[1]] += g * value * 4 * sum / (rho * rho * rho);
  gk[k->leaf[2]] += g * front * turn;
}

static void linear_partials(const gp_kernel_part *k, const double *x, const double *y, int64_t dim,
                            double g, double *gk, double *gx, double *gy)
{
  double a = k->p[0], sum = 0;
  for (int64_t i = 0; i < dim; i++) {
    sum += x[i] * y[i];
    add(gx ? gx + i : NULL, g * a * a * y[i]);
    add(gy ? gy + i : NULL, g * a * a * x[i]);
  }
  if (!gk) return;
  gk[k->leaf[0]] += g * 2 * a * sum;
  gk[k->leaf[1]] += g * 2 * k->p[1];
}

static void simple_partials(const gp_kernel_part *k, const double *x, const double *y, int64_t dim,
                            double g, double *gk, double *gx, double *gy)
{
  (k->kind == GP_PERIODIC ? periodic_partials : k->kind == GP_LINEAR ? linear_partials :
   radial_partials)(k, x, y, dim, g, gk, gx, gy);
}

/* The parts of t, last first: the part before another's first is its left neighbour. */
static void split(const gp_kernel *k, int t, const double *v, const int *from, double *g)
{
  const gp_kernel_part *part = &k->part[t];
  int child[GP_KERNEL_PARTS];
  for (int i = part->n, c = t - 1; i-- > 0; c = from[c] - 1) child[i] = c;
  double before = 1;
  for (int i = 0; i < part->n; i++) {
    double others = before;
    for (int j = i + 1; j < part->n && part->kind == GP_PRODUCT; j++) others *= v[child[j]];
    g[child[i]] = g[t] * others;
    if (part->kind == GP_PRODUCT) before *= v[child[i]];
  }
}

void gp_kernel_partials(const gp_kernel *k, const double *x, const double *y, int64_t dim,
                        double scale, double *gk, double *gx, double *gy)
{
  double v[GP_KERNEL_PARTS], g[GP_KERNEL_PARTS];
  int from[GP_KERNEL_PARTS];
  run(k, x, y, dim, v, from);
  g[k->n - 1] = scale;
  for (int t = k->n; t-- > 0;) {
    if (k->part[t].kind == GP_SUM || k->part[t].kind == GP_PRODUCT) split(k, t, v, from, g);
    else simple_partials(&k->part[t], x, y, dim, g[t], gk, gx, gy);
  }
}
