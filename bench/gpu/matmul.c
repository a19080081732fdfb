/* matmul.c: products of square matrices by cuBLASLt, from 512 to 8192, as operations a second and as a share of what
   the card has at most (peaks of NVIDIA's data sheets for dense numbers, of H100 SXM, which H200 shares, and A100). */
#include "gpu_time.h"
#include "gpu/blas.h"

typedef struct { gpu *g; gpu_product p; gpu_ptr a, b, c; } job;

static norn_status multiply(void *q)
{
  job *j = q;
  return gpu_matmul(j->g, &j->p, 1, j->a, j->b, 0, j->c);
}

/* TFLOP/s by kind of number: f64 and f32 as the matrix and plain units do them. */
static double peak(const gpu_info *i, gpu_numbers of)
{
  static const double hopper[] = { 67, 67, 495, 990 }, ampere[] = { 19.5, 19.5, 156, 312 };
  if (i->major == 9) return hopper[of];
  return i->major == 8 && i->minor == 0 ? ampere[of] : 0;
}

/* Random bits that are numbers of (-2, -1) or (1, 2), of any kind: exponent 0, all else as it comes. */
static norn_status fill(gpu *g, gpu_ptr to, size_t n, gpu_numbers of)
{
  static const char body[] =
    "KERNEL fill(int64_t n, int kind, uint32_t *restrict x)\n"
    "{\n"
    "  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i >= n) return;\n"
    "  uint32_t h = (uint32_t)i * 2654435769u;\n"
    "  h = (h ^ h >> 15) * 2246822519u;\n"
    "  h ^= h >> 13;\n"
    "  if (kind == 0 && i % 2) h = (h & 0x800fffffu) | 0x3ff00000u;\n"
    "  if (kind == 1 || kind == 2) h = (h & 0x807fffffu) | 0x3f800000u;\n"
    "  if (kind == 3) h = (h & 0x807f807fu) | 0x3f803f80u;\n"
    "  x[i] = h;\n"
    "}\n";
  gpu_module *m;
  gpu_kernel *k = gpu_test_kernel(g, &m, "fill", NULL, body, 0);
  int64_t words = (int64_t)(n / 4);
  int kind = (int)of;
  norn_status s = k ? gpu_launch_n(g, k, words, 0, GPU_ARGS(&words, &kind, &to)) : NORN_EINFER;
  if (s == NORN_OK) s = gpu_wait(g);
  gpu_module_free(m);
  return s;
}

int main(void)
{
  static const char *const names[] = { "f64", "f32", "tf32", "bf16" };
  static const int sizes[] = { 512, 1024, 2048, 4096, 8192 };
  const char *why;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return 1;
  if (!gpu_blas_there(g, &why)) {
    printf("skipped: %s\n", why);
    return 77;
  }
  for (int of = GPU_F64; of <= GPU_BF16; of++)
    for (int k = 0; k < (gpu_time_small() ? 1 : 5); k++) {
      int64_t n = gpu_time_small() ? 64 : sizes[k];
      size_t bytes = (size_t)(n * n) * (of == GPU_F64 ? 8 : of == GPU_BF16 ? 2 : 4);
      char name[60], format[60];
      job j = { .g = g, .p = { .of = (gpu_numbers)of, .c_bf16 = of == GPU_BF16, .m = n, .n = n, .k = n },
                .a = gpu_alloc(g, bytes, "matrices"), .b = gpu_alloc(g, bytes, "matrices"),
                .c = gpu_alloc(g, bytes, "matrices") };
      CHECK(j.a && j.b && j.c && fill(g, j.a, bytes, j.p.of) == NORN_OK && fill(g, j.b, bytes, j.p.of) == NORN_OK);
      double flops = 2e-12 * (double)n * (double)n * (double)n / gpu_time(g, multiply, &j);
      double most = peak(gpu_info_of(g), j.p.of);
      snprintf(name, sizeof name, "product %s %lld", names[of], (long long)n);
      if (most > 0) snprintf(format, sizeof format, "%%.1f TFLOP/s, %.0f %%%% of peak", 100 * flops / most);
      else snprintf(format, sizeof format, "%%.1f TFLOP/s");
      printf("figure: %s | ", name);
      printf(format, flops);
      printf(" |\n");
      gpu_release(g, j.a);
      gpu_release(g, j.b);
      gpu_release(g, j.c);
    }
  norn_free(st);
  return unit_end();
}
