/* mock_cuda.c: the driver's entry points.  Memory of the device is memory of the host; all work is done when it
   is asked for. */
#include "mock.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, INVALID = 1, NO_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
       NOT_FOUND = 500, TOO_MUCH = 701, LAUNCH_FAILED = 719 };

static struct {
  bool started, lost;
  int contexts;
  size_t used;
  struct block *blocks;
  struct { char word[12]; long n; } counts[8];
  char orders[400];
} device;

/* ---- calls, by name ---- */

enum { CALLS = 64 };
static struct { const char *name; long n; double bytes; } calls[CALLS];

static void called(const char *name, size_t bytes)
{
  int k = 0;
  while (k < CALLS - 1 && calls[k].name && strcmp(calls[k].name, name)) k++;
  calls[k].name = name;
  calls[k].n++;
  calls[k].bytes += (double)bytes;
}
#define CALLED(n) called(__func__, n)

MOCK_SHOWN long mock_calls(int k, const char **name, double *bytes)
{
  if (k < 0 || k >= CALLS || !calls[k].name) return -1;
  *name = calls[k].name;
  *bytes = calls[k].bytes;
  return calls[k].n;
}

/* ---- orders ---- */

static const char *orders(void)
{
  const char *s = getenv("NORN_MOCK");
  if (!s) s = "";
  if (strncmp(device.orders, s, sizeof device.orders - 1)) {
    snprintf(device.orders, sizeof device.orders, "%s", s);
    memset(device.counts, 0, sizeof device.counts);
    device.lost = false;
  }
  return s;
}

long mock_order(const char *word, long otherwise)
{
  size_t n = strlen(word);
  for (const char *p = orders(); p && *p; p = strchr(p, ',')) {
    if (*p == ',') p++;
    if (!strncmp(p, word, n) && p[n] == '=') return atol(p + n + 1);
    if (!strchr(p, ',')) break;
  }
  return otherwise;
}

bool mock_now(const char *word)
{
  long when = mock_order(word, 0);
  int k = 0;
  while (device.counts[k].word[0] && strcmp(device.counts[k].word, word)) k++;
  snprintf(device.counts[k].word, sizeof device.counts[k].word, "%s", word);
  return ++device.counts[k].n == when;
}

static __attribute__((destructor)) void tell(void)
{
  for (int k = 0; mock_order("tell", 0) && k < CALLS && calls[k].name; k++)
    fprintf(stderr, "mock: %8ld %-28s %.3g MB\n", calls[k].n, calls[k].name, calls[k].bytes / 1e6);
}

/* ---- the device ---- */

MOCK_SHOWN int cuInit(unsigned flags)
{
  (void)flags;
  device.started = true;
  return (int)mock_order("init", OK);
}

MOCK_SHOWN int cuDriverGetVersion(int *v) { *v = (int)mock_order("version", 13000); return OK; }

MOCK_SHOWN int cuGetErrorString(int code, const char **s)
{
  static const struct { int code; const char *text; } all[] = {
    { INVALID, "invalid argument" }, { NO_MEMORY, "out of memory" }, { NO_DEVICE, "no CUDA-capable device is detected" },
    { INVALID_IMAGE, "device kernel image is invalid" }, { 222, "the provided PTX was compiled with an unsupported toolchain." },
    { NOT_FOUND, "named symbol not found" }, { 700, "an illegal memory access was encountered" },
    { TOO_MUCH, "too many resources requested for launch" }, { LAUNCH_FAILED, "unspecified launch failure" },
    { 999, "unknown error" },
  };
  for (size_t k = 0; k < sizeof all / sizeof *all; k++)
    if (all[k].code == code) {
      *s = all[k].text;
      return OK;
    }
  *s = NULL;
  return INVALID;
}

MOCK_SHOWN int cuDeviceGetCount(int *n)
{
  *n = (int)mock_order("devices", 1);
  return OK;
}

MOCK_SHOWN int cuDeviceGet(int *d, int ordinal)
{
  *d = ordinal;
  return ordinal >= 0 && ordinal < mock_order("devices", 1) ? OK : INVALID_DEVICE;
}

MOCK_SHOWN int cuDeviceGetName(char *s, int n, int d)
{
  (void)d;
  snprintf(s, (size_t)n, "Mock GPU");
  return OK;
}

static size_t total(void) { return (size_t)mock_order("memory", 4l << 30); }

MOCK_SHOWN int cuDeviceTotalMem_v2(size_t *n, int d)
{
  (void)d;
  *n = total();
  return OK;
}

MOCK_SHOWN int cuDeviceGetAttribute(int *v, int which, int d)
{
  long cc = mock_order("cc", 90);
  (void)d;
  switch (which) {
  case 1: *v = 1024; break;          /* threads of a block */
  case 8: *v = 49152; break;         /* shared memory of a block */
  case 13: *v = 1000000; break;      /* clock */
  case 16: *v = 4; break;            /* multiprocessors */
  case 36: *v = 1000000; break;      /* clock of memory */
  case 37: *v = 512; break;          /* its bits */
  case 38: *v = 1 << 20; break;      /* L2 */
  case 39: *v = 2048; break;         /* threads of a multiprocessor */
  case 75: *v = (int)(cc / 10); break;
  case 76: *v = (int)(cc % 10); break;
  case 81: *v = 233472; break;
  case 82: *v = 65536; break;
  case 97: *v = 232448; break;
  default: *v = 0; return INVALID;
  }
  return OK;
}

MOCK_SHOWN int cuDevicePrimaryCtxRetain(void **context, int d)
{
  (void)d;
  device.contexts++;
  *context = &device;
  return OK;
}

static int alive(void)
{
  orders();
  return device.lost ? LAUNCH_FAILED : OK;
}

MOCK_SHOWN int cuCtxSetCurrent(void *context)
{
  (void)context;
  return OK;
}

/* ---- memory ---- */

typedef struct block { size_t n; struct block *next; char pad[240]; } block;
_Static_assert(sizeof(block) == 256, "blocks are aligned to 256");

MOCK_SHOWN int cuMemGetInfo_v2(size_t *nfree, size_t *all)
{
  CALLED(0);
  *all = total();
  *nfree = *all > device.used ? *all - device.used : 0;
  return alive();
}

MOCK_SHOWN int cuMemAlloc_v2(uint64_t *p, size_t n)
{
  CALLED(n);
  if (alive()) return alive();
  if (mock_now("alloc") || !n || n > total() || device.used > total() - n) return n ? NO_MEMORY : INVALID;
  block *b = aligned_alloc(256, sizeof *b + (n + 255) / 256 * 256);
  if (!b) return NO_MEMORY;
  b->n = n;
  b->next = device.blocks;
  device.blocks = b;
  device.used += n;
  memset(b + 1, mock_order("run", 1) ? 0xff : 0, n);      /* NaN, or what the host may read where nothing runs */
  mock_race_memory(b + 1, n, false);
  *p = (uint64_t)(uintptr_t)(b + 1);
  return OK;
}

MOCK_SHOWN int cuMemFree_v2(uint64_t p)
{
  CALLED(0);
  block *b = (block *)(uintptr_t)p - 1, **at = &device.blocks;
  while (*at && *at != b) at = &(*at)->next;
  if (!*at) return INVALID;
  *at = b->next;
  device.used -= b->n;
  mock_race_forget(b + 1);
  free(b);
  return OK;
}

MOCK_SHOWN int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t n, void *stream)
{
  CALLED(n);
  (void)stream;
  if (!alive()) memcpy((void *)(uintptr_t)to, from, n);
  return alive();
}

MOCK_SHOWN int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t n, void *stream)
{
  CALLED(n);
  (void)stream;
  if (mock_now("copy")) return INVALID;
  if (!alive()) memcpy(to, (void *)(uintptr_t)from, n);
  return alive();
}

MOCK_SHOWN int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t n, void *stream)
{
  CALLED(n);
  (void)stream;
  if (!alive()) memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, n);
  return alive();
}

MOCK_SHOWN int cuMemsetD8Async(uint64_t p, unsigned char c, size_t n, void *stream)
{
  CALLED(n);
  (void)stream;
  if (!alive()) memset((void *)(uintptr_t)p, c, n);
  return alive();
}

/* With its last user a device's memory goes. */
MOCK_SHOWN int cuDevicePrimaryCtxRelease_v2(int d)
{
  (void)d;
  if (device.contexts <= 0) return INVALID;
  if (--device.contexts == 0)
    while (device.blocks) cuMemFree_v2((uint64_t)(uintptr_t)(device.blocks + 1));
  return OK;
}

/* ---- streams and events ---- */

MOCK_SHOWN int cuStreamCreate(void **s, unsigned flags)
{
  (void)flags;
  return (*s = malloc(1)) ? OK : NO_MEMORY;
}
MOCK_SHOWN int cuStreamDestroy_v2(void *s) { free(s); return OK; }
MOCK_SHOWN int cuStreamSynchronize(void *s) { CALLED(0); (void)s; return alive(); }
MOCK_SHOWN int cuEventCreate(void **e, unsigned flags)
{
  CALLED(0);
  (void)flags;
  return (*e = calloc(1, sizeof(struct timespec))) ? OK : NO_MEMORY;
}
MOCK_SHOWN int cuEventDestroy_v2(void *e) { CALLED(0); free(e); return OK; }
MOCK_SHOWN int cuEventRecord(void *e, void *s)
{
  CALLED(0);
  (void)s;
  clock_gettime(CLOCK_MONOTONIC, e);
  return alive();
}
MOCK_SHOWN int cuEventSynchronize(void *e) { CALLED(0); (void)e; return alive(); }
MOCK_SHOWN int cuEventElapsedTime(float *ms, void *from, void *to)
{
  const struct timespec *a = from, *b = to;
  *ms = (float)(1e3 * (double)(b->tv_sec - a->tv_sec) + 1e-6 * (double)(b->tv_nsec - a->tv_nsec));
  return alive();
}

/* ---- code ---- */

typedef struct function { struct module *m; void (*call)(void **); struct function *next; } function;
typedef struct module { void *library; mock_rt rt; function *functions; } module;

/* The bytes of a shared object, whose length ELF's header gives: the section headers are last. */
static size_t elf_size(const unsigned char *s)
{
  uint64_t at;
  uint16_t each, n;
  if (memcmp(s, "\177ELF\2", 5)) return 0;
  memcpy(&at, s + 40, 8);
  memcpy(&each, s + 58, 2);
  memcpy(&n, s + 60, 2);
  return (size_t)(at + (uint64_t)each * n);
}

MOCK_SHOWN int cuModuleLoadData(void **out, const void *image)
{
  CALLED(0);
  char path[300];
  const char *tmp = getenv("TMPDIR");
  int code = (int)mock_order("load", OK);
  size_t n = elf_size(image);
  if (code || alive()) return code ? code : alive();
  if (!n) return INVALID_IMAGE;
  snprintf(path, sizeof path, "%.200s/norn-mock-code-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  int file = mkstemp(path);
  if (file < 0) return INVALID_IMAGE;
  bool whole = write(file, image, n) == (ssize_t)n;
  module *m = calloc(1, sizeof *m);
  if (m && whole) m->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (m && whole && !m->library) fprintf(stderr, "mock: %s\n", dlerror());
  unlink(path);
  void (*bind)(mock_rt *) = NULL;
  if (m && m->library) {
    void *f = dlsym(m->library, "norn_bind");
    memcpy(&bind, &f, sizeof f);
  }
  if (!bind) {
    close(file);
    free(m);
    return INVALID_IMAGE;
  }
  bind(&m->rt);
  m->rt.code = file;
  *out = m;
  return OK;
}

MOCK_SHOWN int cuModuleUnload(void *module_p)
{
  CALLED(0);
  module *m = module_p;
  while (m->functions) {
    function *f = m->functions;
    m->functions = f->next;
    free(f);
  }
  dlclose(m->library);
  close(m->rt.code);
  free(m);
  return OK;
}

MOCK_SHOWN int cuModuleGetFunction(void **out, void *module_p, const char *name)
{
  CALLED(0);
  module *m = module_p;
  char symbol[300];
  snprintf(symbol, sizeof symbol, "norn_call_%s", name);
  void *p = dlsym(m->library, symbol);
  if (!p) return NOT_FOUND;
  function *f = calloc(1, sizeof *f);
  if (!f) return NO_MEMORY;
  f->m = m;
  memcpy(&f->call, &p, sizeof p);
  f->next = m->functions;
  m->functions = f;
  *out = f;
  return OK;
}

MOCK_SHOWN int cuFuncGetAttribute(int *v, int which, void *f)
{
  const module *m = ((function *)f)->m;
  switch (which) {
  case 0: *v = 1024; break;
  case 1: *v = (int)((char *)m->rt.block_end - (char *)m->rt.block_start); break;
  case 4: *v = 32; break;
  default: *v = 0;
  }
  return OK;
}

MOCK_SHOWN int cuFuncSetAttribute(void *f, int which, int value)
{
  (void)f;
  return which == 8 && value >= 0 && value <= 232448 ? OK : INVALID;
}

MOCK_SHOWN int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *f, int threads, size_t shared)
{
  (void)f;
  (void)shared;
  *blocks = threads > 0 ? 2048 / threads : 0;
  return OK;
}

MOCK_SHOWN int cuOccupancyMaxPotentialBlockSize(int *blocks, int *threads, void *f, size_t (*each)(int), size_t shared,
                                                int most)
{
  (void)f;
  (void)each;
  (void)shared;
  *threads = most && most < 256 ? most : 256;
  *blocks = 4 * (2048 / *threads);
  return OK;
}

#ifndef MOCK_OLD
MOCK_SHOWN int cuLaunchKernel(void *function_p, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                              unsigned bz, unsigned shared, void *stream, void **args, void **extra)
{
  CALLED(0);
  function *f = function_p;
  (void)stream;
  (void)extra;
  if (alive()) return alive();
  if (mock_now("refuse")) return TOO_MUCH;
  if (mock_now("launch")) {
    device.lost = true;
    return OK;
  }
  if (!mock_order("run", 1)) return OK;
  const char *wrong = mock_run(&f->m->rt, f->call, (mock_dim){ gx, gy, gz }, (mock_dim){ bx, by, bz }, shared, args);
  if (!wrong) return OK;
  fprintf(stderr, "mock: a kernel failed: %s\n", wrong);
  device.lost = true;
  return OK;
}
#endif
