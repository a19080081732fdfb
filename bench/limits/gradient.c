/* Log densities with their gradients as one would write them by hand in C, over unconstrained
   coordinates u, for the models of bench/gradient.c: scalar loops and the C library. */
#include "limits.h"
#include <math.h>

#define HALF_LOG_2PI 0.91893853320467274178

static double normal(double x, double at, double scale, double *dx, double *dscale)
{
  double z = (x - at) / scale;
  *dx = -z / scale;
  *dscale = (z * z - 1) / scale;
  return -0.5 * z * z - log(scale) - HALF_LOG_2PI;
}

static double logit_inv(double x) { return 1 / (1 + exp(-x)); }

/* mu, log tau, log s, b, z (85) */
double limit_radon(const double *u, const double *y, double *g)
{
  double tau = exp(u[1]), s = exp(u[2]), al[85], gal[85] = {0}, gs = 0, gtau = 0, d, ds;
  double lp = normal(u[0], 0, 10, &g[0], &d) + normal(u[3], 0, 10, &g[3], &d);
  lp += 2 * 0.69314718055994530942 + normal(tau, 0, 1, &gtau, &d) +
        normal(s, 0, 1, &gs, &d) + u[1] + u[2];
  for (int j = 0; j < 85; j++) {
    lp += normal(u[4 + j], 0, 1, &g[4 + j], &d);
    al[j] = u[0] + tau * u[4 + j];
  }
  double r = 1 / s, l = log(s) + HALF_LOG_2PI;
  for (int i = 0; i < 919; i++) {
    int c = i * 85 / 919, f = i % 2;
    double z = (y[i] - al[c] - u[3] * f) * r;
    lp += -0.5 * z * z - l;
    gal[c] += z * r;
    g[3] += f * z * r;
    gs += (z * z - 1) * r;
  }
  for (int j = 0; j < 85; j++) {
    g[0] += gal[j];
    gtau += gal[j] * u[4 + j];
    g[4 + j] += gal[j] * tau;
  }
  g[1] = gtau * tau + 1;
  g[2] = gs * s + 1;
  (void)ds;
  return lp;
}

/* alpha, beta (5), log sigma */
double limit_ark(const double *u, const double *y, double *g)
{
  double s = exp(u[6]), r = 1 / s, l = u[6] + HALF_LOG_2PI, gs, d, q = s * s / 6.25;
  double lp = log(2 / (3.14159265358979323846 * 2.5)) - log1p(q) + u[6];
  gs = -2 * s / 6.25 / (1 + q);
  for (int j = 0; j < 6; j++) lp += normal(u[j], 0, 10, &g[j], &d);
  for (int t = 5; t < 200; t++) {
    double mu = u[0];
    for (int k = 0; k < 5; k++) mu += u[1 + k] * y[t - 1 - k];
    double z = (y[t] - mu) * r, w = z * r;
    lp += -0.5 * z * z - l;
    gs += (z * z - 1) * r;
    g[0] += w;
    for (int k = 0; k < 5; k++) g[1 + k] += w * y[t - 1 - k];
  }
  g[6] = gs * s + 1;
  return lp;
}

/* mu, log w, logit a, logit of b / (1 - a) */
double limit_garch(const double *u, const double *y, double *g)
{
  double w = exp(u[1]), a = logit_inv(u[2]), v = logit_inv(u[3]), b = (1 - a) * v, h[200], lp, d,
    ds;
  double gh = 0, gmu = 0, gw = 0, ga = 0, gb = 0;
  lp = u[1] + log(a) + log1p(-a) + log(v) + log1p(-v);
  h[0] = 1;
  for (int t = 1; t < 200; t++) {
    h[t] = w + a * (y[t - 1] - u[0]) * (y[t - 1] - u[0]) + b * h[t - 1];
    lp += normal(y[t], u[0], sqrt(h[t]), &d, &ds);
  }
  for (int t = 199; t >= 1; t--) {
    double e = y[t] - u[0], o = y[t - 1] - u[0];
    gmu += e / h[t];
    gh = b * gh + 0.5 * (e * e / h[t] - 1) / h[t];       /* of h[t]; b gh came from h[t + 1] */
    gw += gh;
    ga += gh * o * o;
    gb += gh * h[t - 1];
    gmu -= 2 * gh * a * o;
  }
  g[0] = gmu;
  g[1] = gw * w + 1;
  g[2] = (ga - gb * v) * a * (1 - a) + 1 - 2 * a;
  g[3] = gb * (1 - a) * v * (1 - v) + 1 - 2 * v;
  return lp;
}

/* logit p, logit q, mu[0], log(mu[1] - mu[0]): the forward and backward algorithms in
   probabilities, each step scaled. */
double limit_hmm(const double *u, const double *y, double *g)
{
  enum { N = 416 };
  double p = logit_inv(u[0]), q = logit_inv(u[1]), mu[2] = {u[2], u[2] + exp(u[3])}, lp, d;
  double A[2][2] = {{p, 1 - p}, {1 - q, q}}, gA[2][2] = {{0}}, gmu[2], e[N][2],
    a[N + 1][2] = {{1, 1}},
         c[N], back[2] = {1, 1};
  lp = 0.69314718055994530942;        /* of two in order: 2! */
  lp += log(6 * p * (1 - p)) + log(6 * q * (1 - q)) + log(p * (1 - p)) + log(q * (1 - q)) + u[3];
  lp += normal(mu[0], 0, 3, &gmu[0], &d) + normal(mu[1], 0, 3, &gmu[1], &d);
  for (int t = 0; t < N; t++) {
    for (int j = 0; j < 2; j++) {
      e[t][j] = exp(-0.5 * (y[t] - mu[j]) * (y[t] - mu[j]));
      a[t + 1][j] = (a[t][0] * A[0][j] + a[t][1] * A[1][j]) * e[t][j];
    }
    c[t] = 1 / (a[t + 1][0] + a[t + 1][1]);
    a[t + 1][0] *= c[t];
    a[t + 1][1] *= c[t];
    lp -= log(c[t]) + HALF_LOG_2PI;
  }
  for (int t = N - 1; t >= 0; t--) {
    double w[2], x[2];
    for (int j = 0; j < 2; j++) {
      w[j] = back[j] * e[t][j] * c[t];
      gmu[j] += a[t + 1][j] * back[j] * (y[t] - mu[j]);
    }
    for (int i = 0; i < 2; i++) {
      x[i] = A[i][0] * w[0] + A[i][1] * w[1];
      for (int j = 0; j < 2; j++) gA[i][j] += a[t][i] * w[j];
    }
    back[0] = x[0];
    back[1] = x[1];
  }
  g[0] = (gA[0][0] - gA[0][1]) * p * (1 - p) + 2 * (1 - 2 * p);
  g[1] = (gA[1][1] - gA[1][0]) * q * (1 - q) + 2 * (1 - 2 * q);
  g[2] = gmu[0] + gmu[1];
  g[3] = gmu[1] * exp(u[3]) + 1;
  return lp;
}
