/* mock_blas.c: cuBLASLt's entry points, as far as Norn calls them: products by three loops, column-major, sums in
   doubles. */
#include "mock.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { R_32F = 0, R_64F = 1, R_16BF = 14, UNSUPPORTED = 15 };

typedef struct { int compute, scale, ta, tb; uint32_t end; const void *bias; void *also; int64_t ld; } description;
typedef struct { int type; uint64_t rows, cols; int64_t ld; int32_t batch; int64_t stride; } layout;

MOCK_SHOWN size_t cublasLtGetVersion(void) { return 130000; }
MOCK_SHOWN int cublasLtCreate(void **h) { return (*h = malloc(1)) ? 0 : 3; }
MOCK_SHOWN int cublasLtDestroy(void *h) { free(h); return 0; }
MOCK_SHOWN int cublasLtMatmulPreferenceCreate(void **p) { return (*p = malloc(1)) ? 0 : 3; }
MOCK_SHOWN int cublasLtMatmulPreferenceDestroy(void *p) { free(p); return 0; }
MOCK_SHOWN int cublasLtMatmulPreferenceSetAttribute(void *p, int which, const void *v, size_t n)
{
  (void)p;
  (void)v;
  return which == 1 && n == 8 ? 0 : 7;
}

MOCK_SHOWN int cublasLtMatmulDescCreate(void **out, int compute, int scale)
{
  description *d = calloc(1, sizeof *d);
  if (!d) return 3;
  *d = (description){ .compute = compute, .scale = scale, .end = 1 };   /* CUBLASLT_EPILOGUE_DEFAULT */
  *out = d;
  return 0;
}
MOCK_SHOWN int cublasLtMatmulDescDestroy(void *d) { free(d); return 0; }
MOCK_SHOWN int cublasLtMatmulDescSetAttribute(void *d, int which, const void *v, size_t n)
{
  description *x = d;
  if (n != (which == 8 || which == 11 || which == 12 ? 8 : 4)) return 7;
  switch (which) {
  case 3: memcpy(&x->ta, v, n); break;
  case 4: memcpy(&x->tb, v, n); break;
  case 7: memcpy(&x->end, v, n); break;
  case 8: memcpy(&x->bias, v, n); break;
  case 11: memcpy(&x->also, v, n); break;
  case 12: memcpy(&x->ld, v, n); break;
  default: return 7;
  }
  return 0;
}

MOCK_SHOWN int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t cols, int64_t ld)
{
  layout *l = calloc(1, sizeof *l);
  if (!l) return 3;
  *l = (layout){ .type = type, .rows = rows, .cols = cols, .ld = ld, .batch = 1 };
  *out = l;
  return 0;
}
MOCK_SHOWN int cublasLtMatrixLayoutDestroy(void *l) { free(l); return 0; }
MOCK_SHOWN int cublasLtMatrixLayoutSetAttribute(void *l, int which, const void *v, size_t n)
{
  if (which == 5 && n == 4) memcpy(&((layout *)l)->batch, v, n);
  else if (which == 6 && n == 8) memcpy(&((layout *)l)->stride, v, n);
  else return 7;
  return 0;
}

static double get(const layout *l, const void *p, int64_t at)
{
  uint32_t u;
  uint16_t h;
  float f;
  if (l->type == R_64F) return ((const double *)p)[at];
  if (l->type == R_32F) return ((const float *)p)[at];
  memcpy(&h, (const char *)p + 2 * at, 2);
  u = (uint32_t)h << 16;
  memcpy(&f, &u, 4);
  return f;
}

static void put(const layout *l, void *p, int64_t at, double x)
{
  float f = (float)x;
  uint32_t u;
  if (l->type == R_64F) ((double *)p)[at] = x;
  else if (l->type == R_32F) ((float *)p)[at] = f;
  else {
    memcpy(&u, &f, 4);
    uint16_t h = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    memcpy((char *)p + 2 * at, &h, 2);
  }
}

enum { PLAIN = 1, BIAS = 4, GELU_ALSO_BIAS = 164 };

static bool ending_fits(const description *d, const layout *c)
{
  bool also = d->end == GELU_ALSO_BIAS;
  if (d->end != BIAS && !also) return d->end == PLAIN;
  if (!d->bias || (uintptr_t)d->bias % 16) return false;
  return !also || (d->also && (uintptr_t)d->also % 16 == 0 && d->ld % 8 == 0 && d->ld >= (int64_t)c->rows && c->batch == 1);
}

static double gelu(double x) { return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x))); }

/* What becomes of x, the number (i, j) of the product. */
static double ended(const description *d, const layout *c, int64_t i, int64_t j, double x)
{
  if (d->end != PLAIN) x += get(c, d->bias, i);
  if (d->end != GELU_ALSO_BIAS) return x;
  put(c, d->also, j * d->ld + i, x);
  return gelu(x);
}

static bool fits(const description *d, const layout *a, const layout *b, const layout *c)
{
  uint64_t m = d->ta ? a->cols : a->rows, k = d->ta ? a->rows : a->cols;
  uint64_t k2 = d->tb ? b->cols : b->rows, n = d->tb ? b->rows : b->cols;
  if (!ending_fits(d, c)) return false;
  return m == c->rows && n == c->cols && k == k2 && a->ld >= (int64_t)a->rows && b->ld >= (int64_t)b->rows &&
         c->ld >= (int64_t)c->rows && a->type == b->type && a->batch == c->batch && b->batch == c->batch;
}

typedef struct { uint64_t algorithm[8]; size_t workspace; int state; float waves; int reserved[4]; } heuristic;

MOCK_SHOWN int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *e, void *prefer, int most,
                                              heuristic *out, int *found)
{
  (void)h;
  (void)e;
  (void)prefer;
  *found = 0;
  if (most < 1 || !fits(d, a, b, c)) return UNSUPPORTED;
  memset(out, 0, sizeof *out);
  out->algorithm[0] = 1;
  out->workspace = 1024;
  *found = 1;
  return 0;
}

MOCK_SHOWN int cublasLtMatmul(void *h, void *desc, const void *alpha, const void *pa, void *la, const void *pb, void *lb,
                              const void *beta, const void *pc, void *lc, void *pd, void *ld, const uint64_t *algorithm,
                              void *workspace, size_t n, void *stream)
{
  const description *d = desc;
  const layout *a = la, *b = lb, *c = lc;
  (void)h;
  (void)stream;
  if (pc != pd || lc != ld || !fits(d, a, b, c) || algorithm[0] != 1 || !workspace || n < 1024) return 7;
  double al = d->scale == R_64F ? *(const double *)alpha : (double)*(const float *)alpha;
  double be = d->scale == R_64F ? *(const double *)beta : (double)*(const float *)beta;
  int64_t K = (int64_t)(d->ta ? a->rows : a->cols);
  for (int64_t q = 0; q < c->batch; q++)
    for (int64_t i = 0; i < (int64_t)c->rows; i++)
      for (int64_t j = 0; j < (int64_t)c->cols; j++) {
        double s = 0;
        int64_t at = q * c->stride + j * c->ld + i;
        for (int64_t k = 0; k < K; k++)
          s += get(a, pa, q * a->stride + (d->ta ? i * a->ld + k : k * a->ld + i)) *
               get(b, pb, q * b->stride + (d->tb ? k * b->ld + j : j * b->ld + k));
        s = al * s + (be != 0 ? be * get(c, pd, at) : 0);
        put(c, pd, at, ended(d, c, i, j, s));
      }
  return 0;
}
