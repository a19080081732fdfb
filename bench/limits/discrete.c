/* discrete.c: single-site MH on one latent probability, and enumeration of coin flips, in plain C. */
#include "limits.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static double unit(uint64_t *s)
{
  uint64_t z = (*s += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

double limit_mh(int draws, const int *y, int n, uint64_t seed)
{
  double p = 0.5, lp = -INFINITY, sum = 0;
  for (int k = 0; k < draws; k++) {
    double q = unit(&seed), a = log(q), b = log1p(-q), lq = 0;
    for (int i = 0; i < n; i++) lq += y[i] ? a : b;
    if (log(unit(&seed)) < lq - lp) { p = q; lp = lq; }
    sum += p;
  }
  return sum / draws;
}

/* One site after the other of x_t ~ normal(0.9 x_(t-1), 1), y_t ~ normal(x_t, 0.5), t < n, drawn from its
   prior; only the terms that change. */
double limit_mh_chain(long steps, const double *y, int n, uint64_t seed)
{
  double *x = calloc((size_t)n + 1, sizeof *x), sum = 0, spare = 0;
  bool has = false;
  for (long k = 0; k < steps; k++) {
    int t = (int)(unit(&seed) * n);
    double z = spare, m = t ? 0.9 * x[t - 1] : 0;
    if (!has) {
      double r = sqrt(-2 * log(unit(&seed))), a = 6.283185307179586 * unit(&seed);
      z = r * cos(a);
      spare = r * sin(a);
    }
    has = !has;
    double q = m + z, d = (x[t] - y[t]) * (x[t] - y[t]) - (q - y[t]) * (q - y[t]), lp = 2 * d;
    if (t + 1 < n) {
      double u = x[t + 1] - 0.9 * x[t], v = x[t + 1] - 0.9 * q;
      lp += 0.5 * (u * u - v * v);
    }
    if (log(unit(&seed)) < lp) x[t] = q;
    sum += x[n - 1];
  }
  free(x);
  return sum / (double)steps;
}

/* Labels of a mixture of three normals, one after the other, each from its exact distribution given the
   means; then, if they are not known, each mean given its rows (prior normal(0, 5)). */
double limit_gibbs(long sweeps, const double *y, int n, int means, uint64_t seed)
{
  static const double share[] = { 0.3, 0.3, 0.4 };
  double mu[3] = { -3, 0.5, 4 }, all = 0;
  for (long k = 0; k < sweeps; k++) {
    double count[3] = { 0, 0, 0 }, sum[3] = { 0, 0, 0 };
    for (int i = 0; i < n; i++) {
      double w[3], at = 0;
      for (int j = 0; j < 3; j++)
        at += w[j] = exp(log(share[j]) - 0.5 * (y[i] - mu[j]) * (y[i] - mu[j]) - 0.9189385332046727);
      at *= unit(&seed);
      int z = at < w[0] ? 0 : at < w[0] + w[1] ? 1 : 2;
      count[z]++;
      sum[z] += y[i];
    }
    for (int j = 0; means && j < 3; j++) {
      double p = 0.04 + count[j], r = sqrt(-2 * log(unit(&seed)));
      mu[j] = sum[j] / p + r * cos(6.283185307179586 * unit(&seed)) / sqrt(p);
    }
    all += mu[0] + count[0];
  }
  return all / (double)sweeps;
}

typedef struct leaf { double w; unsigned char v[32]; } leaf;
static void flip(leaf *out, long *n, unsigned char *v, int at, int flips, double w, double p)
{
  if (at == flips) {
    out[*n].w = w;
    memcpy(out[(*n)++].v, v, (size_t)flips);
    return;
  }
  v[at] = 0; flip(out, n, v, at + 1, flips, w * (1 - p), p);
  v[at] = 1; flip(out, n, v, at + 1, flips, w * p, p);
}

long limit_enumerate(int flips, double p)
{
  leaf *out = malloc(sizeof *out << flips);
  unsigned char v[32];
  long n = 0;
  flip(out, &n, v, 0, flips, 1, p);
  double s = 0;
  for (long i = 0; i < n; i++) s += out[i].w;
  free(out);
  return fabs(s - 1) < 1e-9 ? n : -1;
}
