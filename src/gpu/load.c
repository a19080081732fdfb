/* load.c: opens libcuda and libnvrtc, wherever they are.

   A driver installs libcuda.so.1 where the linker finds it.  NVRTC comes with CUDA's toolkit, whose folder
   the linker may not know, or in a Python wheel, whose path NORN_NVRTC can give. */
#include "gpu/gpu_in.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* They start threads and handlers of exit, so they stay when they were once here. */
#define OPENING (RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)

bool gpu_symbol(void *library, const char *name, void *to)
{
  void *f = dlsym(library, name);
  memcpy(to, &f, sizeof f);
  return f != NULL;
}

/* Where toolkits are, beside what the linker searches: each with a %s for the file. */
static void *in_folders(const char *file)
{
  static const char *const folders[] = {
    "/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/opt/cuda/lib64",
    "/usr/lib/x86_64-linux-gnu", "/usr/local/cuda/targets/sbsa-linux/lib",
  };
  static const char *const variables[] = { "CUDA_HOME", "CUDA_PATH" };
  char path[700];
  void *h = dlopen(file, OPENING);
  for (int k = 0; k < NORN_COUNT(variables) && !h; k++) {
    const char *home = getenv(variables[k]);
    if (!home || *home != '/') continue;
    if (snprintf(path, sizeof path, "%s/lib64/%s", home, file) < (int)sizeof path)
      h = dlopen(path, OPENING);
  }
  for (int k = 0; k < NORN_COUNT(folders) && !h; k++) {
    snprintf(path, sizeof path, "%s/%s", folders[k], file);
    h = dlopen(path, OPENING);
  }
  return h;
}

void *gpu_library(const char *environment, const char *const *names, int n, char *why, size_t size)
{
  const char *file = getenv(environment);
  if (file && strcmp(file, "none") == 0) {
    snprintf(why, size, "%s is none", environment);
    return NULL;
  }
  void *h = NULL;
  if (file && *file) {
    if (!(h = dlopen(file, OPENING))) {
      const char *said = dlerror();
      snprintf(why, size, "%s: %s", environment, said ? said : "can't be opened");
    }
    return h;
  }
  for (int k = 0; k < n && !h; k++) h = in_folders(names[k]);
  if (!h) snprintf(why, size, "%s is not here", names[0]);
  return h;
}

typedef struct { const char *name; void *to; } entry;

static bool find_all(void *library, const entry *all, int n, char *why, size_t size)
{
  for (int k = 0; k < n; k++)
    if (!gpu_symbol(library, all[k].name, all[k].to)) {
      snprintf(why, size, "it lacks %s", all[k].name);
      return false;
    }
  return true;
}

bool cuda_open(cuda_api *cu, char *why, size_t n)
{
  static const char *const names[] = { "libcuda.so.1", "libcuda.so" };
  char lacks[120];
  *cu = (cuda_api){ .library = gpu_library("NORN_CUDA", names, NORN_COUNT(names), why, n) };
  if (!cu->library) return false;
#define ENTRY(name, symbol, parameters) { symbol, &cu->name },
  const entry all[] = { CUDA_CALLS(ENTRY) };
#undef ENTRY
  if (find_all(cu->library, all, NORN_COUNT(all), lacks, sizeof lacks)) return true;
  int version = 0;
  if (cu->version && cu->version(&version) == CU_OK)
    snprintf(why, n, "the driver (CUDA %d.%d) is too old: %s", version / 1000, version % 1000 / 10, lacks);
  else snprintf(why, n, "the driver is too old: %s", lacks);
  cuda_close(cu);
  return false;
}

void cuda_close(cuda_api *cu)
{
  if (cu->library) dlclose(cu->library);
  *cu = (cuda_api){ 0 };
}

bool nvrtc_open(nvrtc_api *rt, int driver, char *why, size_t n)
{
  enum { NEWEST = 13, OLDEST = 11 };
  char file[4][40], lacks[120];
  const char *names[4];
  int k = 0, first = driver / 1000;
  if (first > NEWEST || first < OLDEST) first = NEWEST;
  snprintf(file[k++], sizeof *file, first == 11 ? "libnvrtc.so.11.2" : "libnvrtc.so.%d", first);
  for (int v = NEWEST; v >= OLDEST; v--)
    if (v != first) snprintf(file[k++], sizeof *file, v == 11 ? "libnvrtc.so.11.2" : "libnvrtc.so.%d", v);
  snprintf(file[k], sizeof *file, "libnvrtc.so");
  for (int i = 0; i <= k; i++) names[i] = file[i];
  *rt = (nvrtc_api){ .library = gpu_library("NORN_NVRTC", names, k + 1, why, n) };
  if (!rt->library) return false;
#define ENTRY(name, symbol, parameters) { symbol, &rt->name },
  const entry all[] = { NVRTC_CALLS(ENTRY) };
#undef ENTRY
  if (find_all(rt->library, all, NORN_COUNT(all), lacks, sizeof lacks)) return true;
  snprintf(why, n, "NVRTC is too old: %s", lacks);
  nvrtc_close(rt);
  return false;
}

void nvrtc_close(nvrtc_api *rt)
{
  if (rt->library) dlclose(rt->library);
  *rt = (nvrtc_api){ 0 };
}

int nvrtc_version(const nvrtc_api *rt)
{
  int major = 0, minor = 0;
  return rt->library && rt->version(&major, &minor) == 0 ? major * 1000 + minor * 10 : 0;
}
