/* filter.c: a bootstrap particle filter for x' = 0.9 x + N(0, 0.5), y = x + N(0, 1), scalar C: the
   limit for smc in the scalar VM.  Random numbers: xoshiro256++ (Blackman and Vigna) and the Ziggurat
   of Marsaglia and Tsang 2000, 128 layers, 53-bit uniforms. */
#include "limits.h"
#include <math.h>
#include <stdlib.h>

typedef struct { uint64_t s[4]; double x[129], ratio[128]; } source;

static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }

static uint64_t next(source *g)
{
  uint64_t *s = g->s, r = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t; s[3] = rotate(s[3], 45);
  return r;
}

static double unit(source *g) { return ((double)(next(g) >> 11) + 0.5) * 0x1p-53; }

static void source_init(source *g, uint64_t seed)
{
  const double r = 3.442619855899, v = 9.91256303526217e-3;
  for (int i = 0; i < 4; i++) {
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    g->s[i] = z ^ z >> 31;
  }
  double f = exp(-0.5 * r * r);
  g->x[0] = v / f; g->x[1] = r; g->x[128] = 0;
  for (int i = 2; i < 128; i++) {
    g->x[i] = sqrt(-2 * log(v / g->x[i - 1] + f));
    f = exp(-0.5 * g->x[i] * g->x[i]);
  }
  for (int i = 0; i < 128; i++) g->ratio[i] = g->x[i + 1] / g->x[i];
}

static double tail(source *g, double sign)
{
  const double r = 3.442619855899;
  double x, y;
  do { x = log(unit(g)) / r; y = log(unit(g)); } while (-2 * y < x * x);
  return sign < 0 ? x - r : r - x;
}

static double normal(source *g)
{
  for (;;) {
    uint64_t b = next(g);
    int i = b & 127;
    double u = 2 * ((double)(b >> 11) * 0x1p-53) - 1;
    if (fabs(u) < g->ratio[i]) return u * g->x[i];
    if (i == 0) return tail(g, u);
    double x = u * g->x[i], f0 = exp(-0.5 * (g->x[i] * g->x[i] - x * x)), f1 = exp(-0.5 * (g->x[i + 1] * g->x[i + 1] - x * x));
    if (f1 + unit(g) * (f0 - f1) < 1.0) return x;
  }
}

void limit_xoshiro(double *out, int n, uint64_t seed)
{
  source g = { .s = {seed, 1, 2, 3} };
  for (int i = 0; i < n; i++) out[i] = unit(&g);
}

void limit_ziggurat(double *out, int n, uint64_t seed)
{
  source g;
  source_init(&g, seed);
  for (int i = 0; i < n; i++) out[i] = normal(&g);
}

double limit_filter(int steps, int n, const double *ys, uint64_t seed)
{
  source g;
  double *x = malloc(sizeof *x * (size_t)n), *xn = malloc(sizeof *x * (size_t)n), *w = malloc(sizeof *w * (size_t)n), z = 0;
  source_init(&g, seed);
  for (int i = 0; i < n; i++) x[i] = 0;
  for (int t = 0; t < steps; t++) {
    double top = -1e300, s = 0, y = ys[t];
    for (int i = 0; i < n; i++) {
      double v = 0.9 * x[i] + 0.5 * normal(&g), d = y - v, l = -0.5 * d * d;
      x[i] = v; w[i] = l;
      if (l > top) top = l;
    }
    for (int i = 0; i < n; i++) s += w[i] = exp(w[i] - top);
    z += top + log(s / n) - 0.918938533204672742;
    double u = unit(&g), c = w[0] * n / s;
    for (int i = 0, j = 0; i < n; i++) {
      double p = i + u;
      while (c < p && j < n - 1) c += w[++j] * n / s;
      xn[i] = x[j];
    }
    double *q = x; x = xn; xn = q;
  }
  free(x); free(xn); free(w);
  return z;
}

double limit_weights(const double *logw, double *w, int n)
{
  double top = -1e300, s = 0;
  for (int i = 0; i < n; i++) if (logw[i] > top) top = logw[i];
  for (int i = 0; i < n; i++) s += w[i] = exp(logw[i] - top);
  return s;
}

void limit_resample(const double *w, double sum, double u, uint32_t *from, int n)
{
  double c = w[0] * n / sum;
  for (int i = 0, j = 0; i < n; i++) {
    while (c < i + u && j < n - 1) c += w[++j] * n / sum;
    from[i] = (uint32_t)j;
  }
}

double limit_kalman(int steps, const double *y)
{
  double m = 0, p = 0, z = 0;
  for (int t = 0; t < steps; t++) {
    m = 0.9 * m; p = 0.81 * p + 0.25;
    double s = p + 1, v = y[t] - m, k = p / s;
    z += -0.5 * (log(2 * M_PI * s) + v * v / s);
    m += k * v; p *= 1 - k;
  }
  return z;
}
