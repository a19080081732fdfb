/* version.c: the versions of what is opened for GPUs, for norn --version and norn devices: properties of the
   process, written once before their first reader. */
#include "gpu/gpu_in.h"
#include <pthread.h>
#include <stdio.h>

static pthread_once_t once = PTHREAD_ONCE_INIT, blas_once = PTHREAD_ONCE_INIT;
static char cuda[40], nvrtc[40], blas[40];

static void look(void)
{
  char why[240];
  cuda_api cu;
  nvrtc_api rt;
  int driver = 0;
  if (cuda_open(&cu, why, sizeof why) && cu.version(&driver) == CU_OK && driver > 0)
    snprintf(cuda, sizeof cuda, "CUDA %d.%d", driver / 1000, driver % 1000 / 10);
  cuda_close(&cu);
  if (nvrtc_open(&rt, driver, why, sizeof why)) {
    int v = nvrtc_version(&rt);
    snprintf(nvrtc, sizeof nvrtc, "NVRTC %d.%d", v / 1000, v % 1000 / 10);
  }
  nvrtc_close(&rt);
}

static void look_blas(void)
{
  size_t v = gpu_blas_version();
  if (v) snprintf(blas, sizeof blas, "cuBLASLt %zu.%zu.%zu", v / 10000, v % 10000 / 100, v % 100);
}

const char *gpu_version_cuda(void) { pthread_once(&once, look); return cuda[0] ? cuda : NULL; }
const char *gpu_version_nvrtc(void) { pthread_once(&once, look); return nvrtc[0] ? nvrtc : NULL; }
const char *gpu_version_blas(void) { pthread_once(&blas_once, look_blas); return blas[0] ? blas : NULL; }
