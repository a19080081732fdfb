/* packages.c: the outside libraries that are opened when they are first wanted, and which of them are
   here. */
#include "gpu/gpu.h"
#include "io/canvas.h"
#include "io/netcdf.h"
#include "llm/http/http.h"
#include <string.h>

static const struct { const char *name; const char *(*version)(void); } packages[] = {
  { "cairo", canvas_cairo }, { "netcdf", netcdf_version }, { "cuda", gpu_version_cuda },
  { "nvrtc", gpu_version_nvrtc }, { "cublaslt", gpu_version_blas }, { "curl", http_version },
};

const char *norn_package(const char *name)
{
  for (int k = 0; k < NORN_COUNT(packages); k++)
    if (strcmp(packages[k].name, name) == 0) return packages[k].version();
  return NULL;
}
