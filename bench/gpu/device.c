/* device.c: what the card does at best, for the shares in other rows: bandwidth of copies, time of a launch, of a
   copy of 8 bytes to the host, of a compilation. */
#include "gpu_time.h"

static const char copy_text[] =
  "KERNEL copy(int64_t n, const double *restrict x, double *restrict y)\n"
  "{\n"
  "  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, step = (int64_t)gridDim.x * blockDim.x;\n"
  "  for (; i < n; i += step) y[i] = x[i];\n"
  "}\n"
  "KERNEL nothing(double *y) { if (y) y[0] = 1; }\n";

typedef struct { gpu *g; gpu_kernel *k; gpu_ptr x, y; int64_t n; int times; } job;

static norn_status copies(void *p)
{
  job *j = p;
  return gpu_copy(j->g, j->y, j->x, (size_t)j->n * 8);
}

static norn_status kernel_copies(void *p)
{
  job *j = p;
  return gpu_launch(j->g, j->k, gpu_resident(j->g, j->k, 256, 0), 256, 0, GPU_ARGS(&j->n, &j->x, &j->y));
}

static norn_status launches(void *p)
{
  job *j = p;
  gpu_ptr none = 0;
  norn_status s = NORN_OK;
  for (int i = 0; i < j->times && s == NORN_OK; i++) s = gpu_launch(j->g, j->k, 1, 32, 0, GPU_ARGS(&none));
  return s;
}

static norn_status looks(void *p)
{
  job *j = p;
  double x;
  return gpu_download(j->g, &x, j->x, sizeof x);
}

int main(void)
{
  gpu_module *m;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return 1;
  job j = { .g = g, .n = gpu_time_small() ? 1 << 16 : 1 << 28, .times = 1000 };
  double t = gpu_time_now();
  j.k = gpu_test_kernel(g, &m, "copy", NULL, copy_text, 0);
  gpu_test_figure("compilation of a small kernel", "", "%.0f ms", 1e3 * (gpu_time_now() - t));
  j.x = gpu_alloc(g, (size_t)j.n * 8, "numbers");
  j.y = gpu_alloc(g, (size_t)j.n * 8, "numbers");
  if (!j.k || !j.x || !j.y || gpu_fill(g, j.x, 1, (size_t)j.n * 8) != NORN_OK) return 1;
  gpu_test_figure("copy by the driver", "", "%.0f GB/s", 2e-9 * 8 * (double)j.n / gpu_time(g, copies, &j));
  gpu_test_figure("copy by a kernel", "", "%.0f GB/s", 2e-9 * 8 * (double)j.n / gpu_time(g, kernel_copies, &j));
  j.k = gpu_kernel_of(m, "nothing");
  gpu_test_figure("launch", "", "%.2f us", 1e6 * gpu_time(g, launches, &j) / j.times);
  t = gpu_time_now();
  for (int i = 0; i < 200; i++) looks(&j);
  gpu_test_figure("look at a number from the host", "", "%.1f us", 1e6 * (gpu_time_now() - t) / 200);
  gpu_module_free(m);
  norn_free(st);
  return unit_end();
}
