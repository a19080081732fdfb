/* gpu_test.h: for programs that check what runs on a GPU: on the card if the environment's NORN_GPU_TEST
   is 1, else on the mock (mock.h), which is looked for beside the program. */
#ifndef NORN_GPU_TEST_H
#define NORN_GPU_TEST_H
#include "norn.h"
#include "gpu/gpu.h"
#include "../unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool gpu_test_real(void)
{
  const char *s = getenv("NORN_GPU_TEST");
  return s && !strcmp(s, "1");
}

/* A file of tests/gpu as it was built: FOLDER/.libs/NAME, where this program lies in FOLDER, in a neighbour of
   it, or in bench/gpu. */
static inline const char *gpu_test_file(const char *name, char *path, size_t n)
{
  char self[1000];
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
  self[len > 0 ? len : 0] = 0;
  char *slash = strrchr(self, '/');
  if (slash) *slash = 0;
  static const char *const folders[] = { ".", "../gpu", "../../tests/gpu" };
  for (int k = 0; k < 3; k++) {
    snprintf(path, n, "%s/%s/.libs/%s", self, folders[k], name);
    if (!access(path, R_OK)) break;
  }
  return path;
}

/* From here on states find the mock of that name. */
static inline void gpu_test_mock(const char *name)
{
  char path[1100];
  gpu_test_file(name, path, sizeof path);
  setenv("NORN_CUDA", path, 1);
  setenv("NORN_NVRTC", path, 1);
  setenv("NORN_CUBLASLT", path, 1);
}

/* A state with everything built in. */
static inline norn_state *gpu_test_state(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  if (!gpu_test_real()) gpu_test_mock("mock_cuda.so");
  else if (!strcmp(getenv("NORN_CUDA") ? getenv("NORN_CUDA") : "", "none")) unsetenv("NORN_CUDA");
  return norn_new(&c);
}

/* The state's device; without one the program has failed. */
static inline gpu *gpu_test_open(norn_state *st)
{
  gpu *g = st ? gpu_open(st) : NULL;
  CHECK(g != NULL);
  if (!g && st) fprintf(stderr, "%s\n", norn_error(st)->text);
  return g;
}

/* A kernel of a text; NULL is a failed check, with the reason. */
static inline gpu_kernel *gpu_test_kernel(gpu *g, gpu_module **m, const char *name, const char *prologue,
                                          const char *body, unsigned flags)
{
  gpu_text t = { name, prologue, body, flags };
  gpu_kernel *k = (*m = gpu_module_new(g, &t)) ? gpu_kernel_of(*m, name) : NULL;
  CHECK(k != NULL);
  if (!k) fprintf(stderr, "%s\n  %s\n", norn_error(gpu_state(g))->text, norn_error(gpu_state(g))->hint);
  return k;
}

/* A line of the table that run.sh prints; goal "" if there is none. */
static inline void gpu_test_figure(const char *name, const char *goal, const char *format, double x)
{
  printf("figure: %s | ", name);
  printf(format, x);
  printf(" | %s\n", goal);
  fflush(stdout);
}
#endif
