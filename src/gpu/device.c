/* device.c: the device of a state: found, opened, asked what it has, and closed with the state.

   The context is the device's primary one, retained; every entry of the shelf makes it current in the
   calling thread (gpu_enter), so that a state may be used from one thread after another.  Errors after
   which the driver promises nothing more (CUDA Driver API, CUresult: the context "must be destroyed") mark
   the device as lost for the rest of the state's life. */
#include "gpu/gpu_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT = 8 };                   /* of the state: norn_slot */

/* ---- what a device has ------------------------------------------------------------------------ */

/* Numbers of CUdevice_attribute. */
enum { THREADS_BLOCK = 1, SHARED_BLOCK = 8, CLOCK = 13, SMS = 16, MEMORY_CLOCK = 36, MEMORY_BITS = 37,
       L2 = 38, THREADS_SM = 39, MAJOR = 75, MINOR = 76, SHARED_SM = 81, REGISTERS_SM = 82,
       SHARED_MOST = 97 };

static int attribute(const cuda_api *cu, int device, int which)
{
  int v = 0;
  return cu->device_attribute(&v, which, device) == CU_OK ? v : 0;
}

static const char *said(const cuda_api *cu, int code)
{
  const char *s = NULL;
  return cu->error_string && cu->error_string(code, &s) == CU_OK && s ? s : "unknown error";
}

static void judge(gpu_info *i)
{
  i->usable = i->major >= 7;
  if (!i->usable)
    snprintf(i->why, sizeof i->why, "compute capability %d.%d: 7.0 is wanted at least", i->major, i->minor);
}

static bool describe(const cuda_api *cu, int ordinal, int *device, gpu_info *i)
{
  *i = (gpu_info){ .usable = false };
  int code = cu->device(device, ordinal);
  if (code == CU_OK) code = cu->device_name(i->name, sizeof i->name, *device);
  if (code == CU_OK) code = cu->device_memory(&i->memory, *device);
  if (code != CU_OK) {
    snprintf(i->why, sizeof i->why, "the driver can't describe it: %.150s", said(cu, code));
    return false;
  }
  int d = *device;
  i->major = attribute(cu, d, MAJOR);
  i->minor = attribute(cu, d, MINOR);
  i->sms = attribute(cu, d, SMS);
  i->clock_khz = attribute(cu, d, CLOCK);
  i->threads_sm = attribute(cu, d, THREADS_SM);
  i->threads_block = attribute(cu, d, THREADS_BLOCK);
  i->registers_sm = attribute(cu, d, REGISTERS_SM);
  i->shared_sm = (size_t)attribute(cu, d, SHARED_SM);
  i->shared_block = (size_t)attribute(cu, d, SHARED_BLOCK);
  i->shared_most = (size_t)attribute(cu, d, SHARED_MOST);
  if (i->shared_most < i->shared_block) i->shared_most = i->shared_block;
  i->l2 = (size_t)attribute(cu, d, L2);
  i->memory_khz = attribute(cu, d, MEMORY_CLOCK);
  i->memory_bits = attribute(cu, d, MEMORY_BITS);
  judge(i);
  return true;
}

/* ---- opening ---------------------------------------------------------------------------------- */

/* The driver, initialised; its devices are counted. */
static bool start_driver(cuda_api *cu, int *version, int *count, char *why, size_t n)
{
  *version = *count = 0;
  if (!cuda_open(cu, why, n)) return false;
  int code = cu->version(version);
  if (code == CU_OK && *version < GPU_OLDEST) {
    snprintf(why, n, "the driver (CUDA %d.%d) is too old: %d.%d is wanted at least", *version / 1000,
             *version % 1000 / 10, GPU_OLDEST / 1000, GPU_OLDEST % 1000 / 10);
    cuda_close(cu);
    return false;
  }
  if (code == CU_OK) code = cu->init(0);
  if (code == CU_OK) code = cu->count(count);
  if (code == CU_NO_DEVICE || (code == CU_OK && *count == 0)) {
    snprintf(why, n, "the driver (CUDA %d.%d) sees no device", *version / 1000, *version % 1000 / 10);
    *count = 0;
  } else if (code != CU_OK) snprintf(why, n, "the driver does not start: %s", said(cu, code));
  if (code == CU_OK && *count > 0) return true;
  cuda_close(cu);
  return false;
}

/* The number of the device that is wanted; false: it is none (why is set). */
static bool wanted(gpu *g)
{
  const char *s = getenv("NORN_GPU");
  char *end = NULL;
  long k = s && *s ? strtol(s, &end, 10) : 0;
  g->ordinal = k < 0 || k > INT32_MAX ? -1 : (int)k;
  if (!end || !*end) return true;
  snprintf(g->why, sizeof g->why, "NORN_GPU is %.40s, which is no device's number", s);
  return false;
}

static bool start(gpu *g)
{
  int count = 0, code;
  char why[240];
  if (!start_driver(&g->cu, &g->driver, &count, g->why, sizeof g->why)) return false;
  if (!wanted(g)) return false;
  if (g->ordinal < 0 || g->ordinal >= count) {
    snprintf(g->why, sizeof g->why, "NORN_GPU is %.40s, but there %s %d", getenv("NORN_GPU"), count == 1 ? "is" : "are",
             count);
    return false;
  }
  if (!describe(&g->cu, g->ordinal, &g->device, &g->info) || !g->info.usable) {
    snprintf(g->why, sizeof g->why, "%s: %.150s", g->info.name[0] ? g->info.name : "the device", g->info.why);
    return false;
  }
  if (!nvrtc_open(&g->nvrtc, g->driver, why, sizeof why)) {
    snprintf(g->why, sizeof g->why, "there is no NVRTC to compile with: %s", why);
    return false;
  }
  g->nvrtc_is = nvrtc_version(&g->nvrtc);
  code = g->cu.retain(&g->context, g->device);
  if (code != CU_OK) g->context = NULL;
  if (code == CU_OK) code = g->cu.set_current(g->context);
  if (code == CU_OK) code = g->cu.stream_new(&g->stream, 1);       /* does not wait for the default stream */
  if (code != CU_OK) snprintf(g->why, sizeof g->why, "%s can't be opened: %s", g->info.name, said(&g->cu, code));
  return code == CU_OK;
}

static void stop(gpu *g)
{
  if (g->context) {
    g->cu.set_current(g->context);
    if (g->stream) g->cu.stream_free(g->stream);
    g->cu.release(g->device);
  }
  g->context = g->stream = NULL;
  g->open = false;
  nvrtc_close(&g->nvrtc);
  cuda_close(&g->cu);
}

static void free_gpu(norn_state *st, void *p)
{
  gpu *g = p;
  if (!g) return;
  while (g->guests) {
    gpu_guest *one = g->guests;
    g->guests = one->next;
    one->gone(one);
  }
  gpu_kept_free(g);
  gpu_blas_free(g);
  while (g->modules) gpu_module_free(g->modules);
  stop(g);
  norn_alloc(st, g, sizeof *g, 0);
}

gpu *gpu_of(norn_state *st)
{
  void **slot = norn_slot(st, SLOT);
  if (*slot) return *slot;
  gpu *g = norn_alloc(st, NULL, 0, sizeof *g);
  if (!g) return NULL;
  *g = (gpu){ .st = st };
  *slot = g;
  norn_slot_on_free(st, SLOT, free_gpu);
  return g;
}

gpu *gpu_there(norn_state *st, const char **why)
{
  static const char no_memory[] = "not enough memory";
  gpu *g = gpu_of(st);
  if (why) *why = g ? g->why : no_memory;
  if (!g) return NULL;
  if (!g->tried) {
    g->tried = true;
    if (norn_config_of(st)->no_gpu) snprintf(g->why, sizeof g->why, "it was asked to be left out");
    else if (!(g->open = start(g))) stop(g);
  }
  return g->open && !g->lost ? g : NULL;
}

gpu *gpu_open(norn_state *st)
{
  const char *why;
  gpu *g = gpu_there(st, &why);
  if (!g) norn_fail(st, NORN_EINFER, -1, "no GPU: %s", why);
  return g;
}

int gpu_list(norn_state *st, gpu_software *s, gpu_info *info, int most)
{
  cuda_api cu = { 0 };
  nvrtc_api rt = { 0 };
  int count = 0, device;
  *s = (gpu_software){ 0 };
  if (norn_config_of(st)->no_gpu) snprintf(s->why_driver, sizeof s->why_driver, "it was asked to be left out");
  else if (start_driver(&cu, &s->driver, &count, s->why_driver, sizeof s->why_driver))
    for (int k = 0; k < count && k < most; k++) describe(&cu, k, &device, &info[k]);
  if (nvrtc_open(&rt, s->driver, s->why_nvrtc, sizeof s->why_nvrtc)) s->nvrtc = nvrtc_version(&rt);
  nvrtc_close(&rt);
  cuda_close(&cu);
  return count;
}

const gpu_info *gpu_info_of(const gpu *g) { return &g->info; }
norn_state *gpu_state(const gpu *g) { return g->st; }
bool gpu_lost(const gpu *g) { return g->lost; }

void gpu_guest_come(gpu *g, gpu_guest *one)
{
  one->next = g->guests;
  g->guests = one;
}

void gpu_guest_leave(gpu *g, gpu_guest *one)
{
  gpu_guest **at = &g->guests;
  while (*at && *at != one) at = &(*at)->next;
  if (*at) *at = one->next;
}

/* ---- errors ----------------------------------------------------------------------------------- */

static bool fatal(int code)
{
  return code == CU_ECC || code == CU_ILLEGAL_ADDRESS || code == CU_LAUNCH_TIMEOUT || code == CU_UNKNOWN ||
         (code >= CU_CONTEXT_DESTROYED && code <= CU_LAUNCH_FAILED);
}

bool gpu_check(gpu *g, int code, const char *doing)
{
  if (code == CU_OK) return true;
  if (code == CU_NO_MEMORY) {
    norn_fail(g->st, NORN_EMEMORY, -1, "the GPU has no memory left, %s", doing);
    return false;
  }
  if (fatal(code)) {
    g->lost = true;
    snprintf(g->why, sizeof g->why, "the device was lost %.120s: %.120s", doing, said(&g->cu, code));
    norn_fail(g->st, NORN_EINFER, -1, "no GPU: %s", g->why);
    return false;
  }
  norn_fail(g->st, NORN_EINFER, -1, "the GPU failed %s: %s", doing, said(&g->cu, code));
  return false;
}

bool gpu_enter(gpu *g)
{
  if (!g->open || g->lost) {
    norn_fail(g->st, NORN_EINFER, -1, "no GPU: %s", g->why);
    return false;
  }
  return gpu_check(g, g->cu.set_current(g->context), "changing threads");
}
