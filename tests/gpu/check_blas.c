/* check_blas.c: products of matrices on the GPU against loops on the CPU: every kind of number, transposed or
   not, row- and column-major, padded, several at once. */
#include "gpu_test.h"
#include "gpu/blas.h"
#include <math.h>

/* Numbers of bits b: what rounding to them gives. */
static double cut(double x, gpu_numbers of)
{
  float f = (float)x;
  uint32_t u;
  int drop = of == GPU_BF16 ? 16 : of == GPU_TF32 ? 13 : 0;
  if (of == GPU_F64) return x;
  memcpy(&u, &f, 4);
  if (drop) u = (u + (1u << (drop - 1)) - 1 + (u >> drop & 1)) >> drop << drop;
  memcpy(&f, &u, 4);
  return f;
}

static size_t size_of(gpu_numbers of, bool c, bool c_bf16)
{
  if (of == GPU_F64) return 8;
  return of == GPU_BF16 && (!c || c_bf16) ? 2 : 4;
}

static void store(void *p, int64_t at, double x, size_t size)
{
  float f = (float)x;
  uint32_t u;
  uint16_t h;
  memcpy(&u, &f, 4);
  h = (uint16_t)(u >> 16);
  if (size == 8) memcpy((char *)p + 8 * at, &x, 8);
  else if (size == 4) memcpy((char *)p + 4 * at, &f, 4);
  else memcpy((char *)p + 2 * at, &h, 2);
}

static double fetch(const void *p, int64_t at, size_t size)
{
  double x;
  float f;
  uint16_t h;
  uint32_t u;
  if (size == 8) return memcpy(&x, (const char *)p + 8 * at, 8), x;
  if (size == 4) return memcpy(&f, (const char *)p + 4 * at, 4), (double)f;
  memcpy(&h, (const char *)p + 2 * at, 2);
  u = (uint32_t)h << 16;
  memcpy(&f, &u, 4);
  return f;
}

typedef struct { void *host; gpu_ptr there; int64_t n; size_t size; } matrix;

static matrix matrix_new(gpu *g, int64_t n, size_t size, gpu_numbers of, unsigned *seed)
{
  matrix x = { .n = n, .size = size, .host = malloc((size_t)n * size), .there = gpu_alloc(g, (size_t)n * size, "numbers") };
  for (int64_t i = 0; i < n; i++) {
    *seed = *seed * 1103515245u + 12345u;
    store(x.host, i, cut((double)(*seed >> 8) / (1 << 23) - 1, of), size);
  }
  CHECK(x.there && gpu_upload(g, x.there, x.host, (size_t)n * size) == NORN_OK);
  return x;
}

static void matrix_free(gpu *g, matrix *x)
{
  free(x->host);
  gpu_release(g, x->there);
}

/* Element (i, j) of matrix q of a batch. */
static int64_t at(bool column, bool t, int64_t ld, int64_t q, int64_t stride, int64_t i, int64_t j)
{
  return q * stride + (column != t ? j * ld + i : i * ld + j);
}

static double gelu(double x) { return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x))); }

/* What an ending makes of x: `also` is what stood there, and what it has to be then. */
static double ended(gpu_ending end, double x, double bias, double *also)
{
  if (end != GPU_AS_IS) x += bias;
  if (end == GPU_GELU) *also = x;
  return end == GPU_GELU ? gelu(x) : x;
}

static void product(gpu *g, const gpu_product *given, int64_t lda, int64_t ldb, int64_t ldc, double tolerance)
{
  unsigned seed = 7;
  gpu_product with = *given, *p = &with;
  int64_t batch = p->batch > 1 ? p->batch : 1, bad = 0;
  int64_t sa = p->stride_a ? p->stride_a : p->m * p->k, sb = p->stride_b ? p->stride_b : p->k * p->n;
  int64_t sc = p->stride_c ? p->stride_c : p->m * p->n, most = p->m > p->n ? p->m : p->n;
  if (p->k > most) most = p->k;
  size_t in = size_of(p->of, false, false), out = size_of(p->of, true, p->c_bf16);
  gpu_numbers c_of = out == 2 ? GPU_BF16 : p->of == GPU_F64 ? GPU_F64 : GPU_F32;
  matrix a = matrix_new(g, batch * sa + lda * most, in, p->of, &seed);
  matrix b = matrix_new(g, batch * sb + ldb * most, in, p->of, &seed);
  matrix c = matrix_new(g, batch * sc + ldc * most, out, c_of, &seed);
  matrix bias = matrix_new(g, most, out, c_of, &seed), also = matrix_new(g, c.n, out, c_of, &seed);
  void *got = malloc((size_t)c.n * out), *kept = malloc((size_t)c.n * out);
  with.bias = bias.there;
  with.also = also.there;
  double alpha = 1.5, beta = -.5, worst = 0;
  CHECK(gpu_matmul(g, p, alpha, a.there, b.there, beta, c.there) == NORN_OK);
  CHECK(gpu_download(g, got, c.there, (size_t)c.n * out) == NORN_OK);
  CHECK(gpu_download(g, kept, also.there, (size_t)c.n * out) == NORN_OK);
  for (int64_t q = 0; q < batch; q++)
    for (int64_t i = 0; i < p->m; i++)
      for (int64_t j = 0; j < p->n; j++) {
        double s = 0;
        int64_t here = at(p->column, false, ldc, q, sc, i, j);
        for (int64_t k = 0; k < p->k; k++)
          s += fetch(a.host, at(p->column, p->ta, lda, q, sa, i, k), in) *
               fetch(b.host, at(p->column, p->tb, ldb, q, sb, k, j), in);
        double before = fetch(also.host, here, out);
        s = ended(p->end, alpha * s + beta * fetch(c.host, here, out), fetch(bias.host, p->column ? i : j, out), &before);
        double e = fmax(fabs(fetch(got, here, out) - s), fabs(fetch(kept, here, out) - before));
        if (!(e <= worst)) worst = e;
        bad += !(e <= tolerance);
      }
  CHECK(bad == 0);
  if (bad)
    fprintf(stderr, "numbers %d, column %d, ta %d, tb %d, batch %d: %lld of %lld differ by up to %g\n", p->of, p->column,
            p->ta, p->tb, (int)batch, (long long)bad, (long long)(batch * p->m * p->n), worst);
  matrix_free(g, &a);
  matrix_free(g, &b);
  matrix_free(g, &c);
  matrix_free(g, &bias);
  matrix_free(g, &also);
  free(kept);
  free(got);
}

/* k = 64 terms in (-1, 1): rounding of sums and of the result; tf32 is given numbers of its bits. */
static void all(gpu *g)
{
  static const double tolerance[] = { [GPU_F64] = 1e-13, [GPU_F32] = 1e-4, [GPU_TF32] = 1e-4, [GPU_BF16] = 1e-4 };
  for (int of = GPU_F64; of <= GPU_BF16; of++)
    for (int how = 0; how < 8; how++) {
      gpu_product p = { .of = (gpu_numbers)of, .column = how & 1, .ta = how >> 1 & 1, .tb = how >> 2 & 1, .m = 32, .n = 48,
                        .k = 64 };
      bool tall_a = p.ta != p.column, tall_b = p.tb != p.column;
      int64_t lda = tall_a ? p.m : p.k, ldb = tall_b ? p.k : p.n, ldc = p.column ? p.m : p.n;
      product(g, &p, lda, ldb, ldc, tolerance[of]);
      p.batch = 3;
      product(g, &p, lda, ldb, ldc, tolerance[of]);
      p.lda = lda += 16;             /* padded */
      p.ldb = ldb += 16;
      p.ldc = ldc += 16;
      p.stride_a = 80 * 80;
      p.stride_b = 80 * 80;
      p.stride_c = 80 * 80;
      product(g, &p, lda, ldb, ldc, tolerance[of]);
    }
  gpu_product p = { .of = GPU_BF16, .c_bf16 = true, .m = 16, .n = 32, .k = 64 };
  product(g, &p, 64, 32, 32, .1);
  for (gpu_ending end = GPU_BIAS; end <= GPU_GELU; end++) {
    p.end = end;
    product(g, &p, 64, 32, 32, .1);
    p.tb = true;                     /* as a layer of a net is */
    product(g, &p, 64, 64, 32, .1);
    p.tb = false;
  }
  product(g, &(gpu_product){ .of = GPU_F32, .end = GPU_BIAS, .m = 16, .n = 32, .k = 64 }, 64, 32, 32, 1e-4);
  product(g, &(gpu_product){ .of = GPU_F32, .end = GPU_BIAS, .column = true, .m = 16, .n = 32, .k = 64 }, 16, 64, 16, 1e-4);
  CHECK(gpu_product_there(g, &p) && !gpu_product_there(g, &(gpu_product){ .of = GPU_F64, .m = 4, .n = 4, .k = 4, .ldc = 2 }));
}

static void mistakes(gpu *g)
{
  gpu_product p = { .of = GPU_F64, .m = 4, .n = 4, .k = 4, .ldc = 2 };
  gpu_ptr x = gpu_alloc(g, 1024, "numbers");
  CHECK(gpu_matmul(g, &p, 1, x, x, 0, x) != NORN_OK);
  CHECK(strstr(norn_error(gpu_state(g))->text, "cuBLASLt has no product for (4, 4) x (4, 4)") != NULL);
  p = (gpu_product){ .m = 1, .n = 1 };
  CHECK(gpu_matmul(g, &p, 1, x, x, 0, x) == NORN_EUSE);
  gpu_release(g, x);
}

int main(void)
{
  const char *why;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g && gpu_test_real() && !gpu_blas_there(g, &why)) printf("skipped: %s\n", why);
  else if (g) {
    all(g);
    mistakes(g);
  }
  norn_free(st);
  if (gpu_test_real()) return unit_end();
  st = gpu_test_state();
  setenv("NORN_CUBLASLT", "none", 1);
  g = gpu_test_open(st);
  CHECK(g && !gpu_blas_there(g, &why) && strcmp(why, "NORN_CUBLASLT is none") == 0);
  CHECK(gpu_matmul(g, &(gpu_product){ .m = 1, .n = 1, .k = 1 }, 1, 0, 0, 0, 0) == NORN_EIO);
  CHECK_STR(norn_error(st)->text, "no matrix products on the GPU: NORN_CUBLASLT is none");
  norn_free(st);
  return unit_end();
}
