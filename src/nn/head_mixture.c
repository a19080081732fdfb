/* head_mixture.c: mixtures of n normals, and of n negative binomials.  Raw outputs are n logits, n numbers
   that move means, n that move spreads:

       normal              mean  at + scale (c + a)           sd   scale s0 exp(soft(b, 12))
       negative binomial   mean  m0 exp(c t + soft(a, 20))    phi  phi0 exp(soft(b, 10))

   (a negative binomial of variance m + m^2 / phi); c are evenly spaced in +- sqrt 2, so that components
   begin apart, and s0 gives the whole at 0 the variance of what it was fitted to.  soft(x, B) = x / sqrt(1
   + (x / B)^2) stays within +- B and is smooth: whatever the net says, no component has spread 0.  A
   mixture is small, so all is in f64 and a loss is the density's. */
#include "dist/kernel.h"
#include "dist/kernel_sample.h"
#include "nn/head_in.h"
#include "num/special.h"
#include <math.h>

#define HALF_LOG_2_PI 0.91893853320467274178

/* A component: log weight, and its two parameters with their slopes by a and b. */
typedef struct part { double logw, p[2], da, db; } part;
typedef void (*part_fn)(const nn_head *, const float *z, int k, double all, part *);

static double soft(double x, double most, double *slope)
{
  double r = sqrt(1 + (x / most) * (x / most));
  *slope = 1 / (r * r * r);
  return x / r;
}
/* The middle of the k-th of n equal parts of +- sqrt 2: their variance is (1 - 1 / n^2) 2 / 3. */
static double place(const nn_head *h, int k) { return 1.41421356237309504880 * ((2 * k + 1.0) / h->n - 1); }

static void normal_part(const nn_head *h, const float *z, int k, double all, part *c)
{
  double n = h->n, s0 = sqrt(1 - (1 - 1 / (n * n)) * 2 / 3);
  c->logw = z[k] - all;
  c->p[0] = h->at + h->scale * (place(h, k) + (double)z[h->n + k]);
  c->p[1] = h->scale * s0 * exp(soft(z[2 * h->n + k], 12, &c->db));
  c->da = h->scale;
  c->db *= c->p[1];
}
static void count_part(const nn_head *h, const float *z, int k, double all, part *c)
{
  double m0 = fmax(h->at, .1), extra = h->scale * h->scale - m0;
  double phi0 = extra > 0 ? fmin(fmax(m0 * (m0 / extra), .05), 1000) : 1000;
  double spread = sqrt(log1p(1 / phi0));
  c->logw = z[k] - all;
  c->p[0] = m0 * exp(place(h, k) * spread + soft(z[h->n + k], 20, &c->da));
  c->p[1] = phi0 * exp(soft(z[2 * h->n + k], 10, &c->db));
  c->da *= c->p[0];
  c->db *= c->p[1];
}

/* log density of a component, and its slopes by its two parameters into d (or NULL). */
static double normal_density(const part *c, double x, double *d)
{
  double t = (x - c->p[0]) / c->p[1];
  if (d) {
    d[0] = t / c->p[1];
    d[1] = (t * t - 1) / c->p[1];
  }
  return -HALF_LOG_2_PI - log(c->p[1]) - .5 * t * t;
}
static double count_density(const part *c, double x, double *d)
{
  double out[3];
  if (!(x >= 0) || x != floor(x) || isinf(x)) return -INFINITY;
  if (!d) return neg_binomial_2_logp(NORN_KEEP_ALL, x, c->p[0], c->p[1]);
  double r = neg_binomial_2_partials(NORN_KEEP_ALL, x, c->p[0], c->p[1], out);
  d[0] = out[1];
  d[1] = out[2];
  return r;
}
static double normal_cdf(const part *c, double x) { return special_norm_cdf((x - c->p[0]) / c->p[1]); }
static double count_cdf(const part *c, double x)
{
  double lower, upper, m = c->p[0], phi = c->p[1];
  if (!(x >= 0)) return 0;
  if (isinf(x)) return 1;
  special_beta_log(phi, floor(x) + 1, phi / (phi + m), m / (phi + m), &lower, &upper);
  return exp(lower);
}

/* The kinds differ in these. */
typedef struct family {
  part_fn part;
  double (*density)(const part *, double x, double *d);
  double (*cdf)(const part *, double x);
} family;
static const family normals = { normal_part, normal_density, normal_cdf };
static const family counts = { count_part, count_density, count_cdf };

static double log_add(double a, double b)
{
  double hi = a > b ? a : b, lo = a > b ? b : a;
  return hi == -INFINITY ? hi : hi + log1p(exp(lo - hi));
}
static double mixture_logq(const nn_head *h, const family *f, const float *z, double x)
{
  double all = head_logsum(z, h->n), r = -INFINITY;
  part c;
  for (int k = 0; k < h->n; k++) {
    f->part(h, z, k, all, &c);
    r = log_add(r, c.logw + f->density(&c, x, NULL));
  }
  return r;
}
static double mixture_loss(const nn_head *h, const family *f, const float *z, double x, float *dz)
{
  double all = head_logsum(z, h->n), logq = mixture_logq(h, f, z, x);
  part c;
  for (int k = 0; dz && k < h->n; k++) {
    double d[2] = { 0, 0 }, share;
    f->part(h, z, k, all, &c);
    double logp = f->density(&c, x, d);
    share = logq == -INFINITY ? 0 : exp(c.logw + logp - logq);
    dz[k] = logq == -INFINITY ? 0 : head_float(exp(c.logw) - share);
    dz[h->n + k] = share > 0 ? head_float(-share * d[0] * c.da) : 0;
    dz[2 * h->n + k] = share > 0 ? head_float(-share * d[1] * c.db) : 0;
  }
  return -logq;
}
static double mixture_cdf(const nn_head *h, const family *f, const float *z, double x)
{
  double all = head_logsum(z, h->n), sum = 0;
  part c;
  if (isnan(x)) return NAN;
  for (int k = 0; k < h->n; k++) {
    f->part(h, z, k, all, &c);
    sum += exp(c.logw) * f->cdf(&c, x);
  }
  return fmin(sum, 1);
}
static void mixture_moments(const nn_head *h, const family *f, const float *z, double *mean, double *variance)
{
  double all = head_logsum(z, h->n), m = 0, v = 0;
  part c;
  for (int k = 0; k < h->n; k++) {
    f->part(h, z, k, all, &c);
    m += exp(c.logw) * c.p[0];
  }
  for (int k = 0; k < h->n; k++) {
    f->part(h, z, k, all, &c);
    double own = f == &normals ? c.p[1] * c.p[1] : c.p[0] + c.p[0] * (c.p[0] / c.p[1]);
    v += exp(c.logw) * (own + (c.p[0] - m) * (c.p[0] - m));
  }
  *mean = m;
  *variance = v;
}

/* ---- normals ---- */

static double normals_loss(const nn_head *h, const float *z, double x, float *dz)
{
  return mixture_loss(h, &normals, z, x, dz);
}
static double normals_logq(const nn_head *h, const float *z, double x)
{
  return mixture_logq(h, &normals, z, x);
}
static double normals_cdf(const nn_head *h, const float *z, double x)
{
  return mixture_cdf(h, &normals, z, x);
}
static void normals_moments(const nn_head *h, const float *z, double *mean, double *variance)
{
  mixture_moments(h, &normals, z, mean, variance);
}
static double normals_draw(const nn_head *h, const float *z, norn_rng *g)
{
  part c;
  int k = head_pick(z, h->n, norn_rng_uniform(g), NULL);
  normal_part(h, z, k, 0, &c);
  return c.p[0] + c.p[1] * norn_rng_normal(g);
}
typedef struct asked { const nn_head *h; const float *z; } asked;
static double rising(double x, const void *of, double *slope)
{
  const asked *a = of;
  *slope = exp(normals_logq(a->h, a->z, x));
  return normals_cdf(a->h, a->z, x);
}
/* Between the least and the greatest quantile of the components. */
static double normals_quantile(const nn_head *h, const float *z, double p)
{
  asked of = { h, z };
  double lo = INFINITY, hi = -INFINITY, q = special_norm_quantile(p);
  part c;
  for (int k = 0; k < h->n; k++) {
    normal_part(h, z, k, 0, &c);
    lo = fmin(lo, c.p[0] + c.p[1] * q);
    hi = fmax(hi, c.p[0] + c.p[1] * q);
  }
  double room = 1e-12 * fmax(fabs(lo), fabs(hi));
  if (!(hi - lo > room)) return lo;
  return special_solve(rising, &of, p, lo - room, hi + room, .5 * lo + .5 * hi);
}
const nn_head_row head_mixture = { 3, normals_loss, normals_logq, normals_draw, normals_cdf, normals_quantile,
                                   normals_moments };

/* ---- counts ---- */

static double counts_loss(const nn_head *h, const float *z, double x, float *dz)
{
  return mixture_loss(h, &counts, z, x, dz);
}
static double counts_logq(const nn_head *h, const float *z, double x)
{
  return mixture_logq(h, &counts, z, x);
}
static double counts_cdf(const nn_head *h, const float *z, double x)
{
  return mixture_cdf(h, &counts, z, x);
}
static void counts_moments(const nn_head *h, const float *z, double *mean, double *variance)
{
  mixture_moments(h, &counts, z, mean, variance);
}
static double counts_draw(const nn_head *h, const float *z, norn_rng *g)
{
  part c;
  int k = head_pick(z, h->n, norn_rng_uniform(g), NULL);
  count_part(h, z, k, 0, &c);
  return neg_binomial_2_sample(g, c.p[0], c.p[1]);
}
/* The least count whose cdf is at least p: doubled, then halved. */
static double counts_quantile(const nn_head *h, const float *z, double p)
{
  double lo = -1, hi = 1;
  while (hi < 0x1p52 && counts_cdf(h, z, hi) < p) {
    lo = hi;
    hi *= 2;
  }
  while (hi - lo > 1) {
    double mid = floor(.5 * (lo + hi));
    if (counts_cdf(h, z, mid) < p) lo = mid;
    else hi = mid;
  }
  return hi;
}
const nn_head_row head_counts = { 3, counts_loss, counts_logq, counts_draw, counts_cdf, counts_quantile,
                                  counts_moments };
