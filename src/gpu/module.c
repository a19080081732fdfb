/* module.c: a text as code that is loaded: compiled for the device present, or found in the cache, and its
   kernels, launched.

   An entry of the cache (base/cache.h) is made from all that the code depends on: architecture, NVRTC's
   version, flags, prelude, prologue, text.  Architectures that NVRTC does not know yet get the PTX of the
   newest one below, which the driver compiles. */
#include "gpu/gpu_in.h"
#include "base/cache.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct gpu_kernel { void *function; gpu_use use; int threads_most; gpu_kernel *next; };
struct gpu_module { gpu *g; gpu_module *next; void *module; gpu_kernel *kernels; char name[100]; };

/* ---- for which architecture ------------------------------------------------------------------- */

/* "sm_90", or "compute_90" if NVRTC knows no newer one for a newer device. */
static bool arch_of(gpu *g, char *arch, size_t n)
{
  int known[64], count = 0, want = 10 * g->info.major + g->info.minor, best = 0;
  if (g->nvrtc.narchs(&count) || count <= 0 || count > 64 || g->nvrtc.archs(known)) {
    norn_fail(g->st, NORN_EINFER, -1, "NVRTC does not say what it compiles for");
    return false;
  }
  for (int k = 0; k < count; k++)
    if (known[k] <= want && known[k] > best) best = known[k];
  if (!best) {
    norn_fail(g->st, NORN_EINFER, -1, "NVRTC %d.%d does not compile for %s (compute capability %d.%d)",
              g->nvrtc_is / 1000, g->nvrtc_is % 1000 / 10, g->info.name, g->info.major, g->info.minor);
    return false;
  }
  snprintf(arch, n, best == want ? "sm_%d" : "compute_%d", best);
  return true;
}

/* ---- the cache -------------------------------------------------------------------------------- */

typedef struct { char *s; size_t n, room; char base[CACHE_PATH]; bool good; } key;

static void key_make(gpu *g, const gpu_text *t, const char *arch, key *k)
{
  char head[200];
  const char *part[] = { head, gpu_prelude(), t->prologue ? t->prologue : "", "\n", t->text };
  *k = (key){ .good = false };
  if (norn_config_of(g->st)->no_files) return;
  snprintf(head, sizeof head, "/* %.100s for %s by NVRTC %d, flags %u */\n", t->name, arch, g->nvrtc_is, t->flags);
  for (int i = 0; i < NORN_COUNT(part); i++) k->room += strlen(part[i]);
  if (!(k->s = norn_alloc(g->st, NULL, 0, k->room))) return;
  for (int i = 0; i < NORN_COUNT(part); i++) {
    size_t n = strlen(part[i]);
    memcpy(k->s + k->n, part[i], n);
    k->n += n;
  }
  k->good = cache_base(k->base, k->s, k->n);
}

static bool key_read(gpu *g, const key *k, gpu_code *c)
{
  char path[CACHE_FILE];
  struct stat s;
  if (!k->good || !cache_has(cache_file(path, k->base, ".cu"), k->s, k->n)) return false;
  int file = cache_open(cache_file(path, k->base, ".cubin"));
  if (file < 0) return false;
  bool good = !fstat(file, &s) && s.st_size > 0 && (c->bytes = norn_alloc(g->st, NULL, 0, (size_t)s.st_size));
  if (good) {
    c->n = c->room = (size_t)s.st_size;
    size_t at = 0;
    for (ssize_t got = 1; at < c->n && got > 0; at += got > 0 ? (size_t)got : 0)
      got = read(file, c->bytes + at, c->n - at);
    good = at == c->n;
  }
  close(file);
  return good;
}

static void key_write(const key *k, const gpu_code *c)
{
  char own[CACHE_FILE], from[2][CACHE_FILE + 8], to[CACHE_FILE];
  if (!k->good) return;
  cache_own(own, k->base, k);
  snprintf(from[0], sizeof *from, "%s.cu", own);
  snprintf(from[1], sizeof *from, "%s.cubin", own);
  if (!cache_write(from[1], c->bytes, c->n) || !cache_write(from[0], k->s, k->n) ||
      rename(from[1], cache_file(to, k->base, ".cubin")) || rename(from[0], cache_file(to, k->base, ".cu"))) {
    unlink(from[0]);
    unlink(from[1]);
  }
}

/* ---- modules ---------------------------------------------------------------------------------- */

static bool load(gpu *g, gpu_module *m, const gpu_code *c)
{
  int code = g->cu.load(&m->module, c->bytes);
  if (code == CU_OK) return true;
  m->module = NULL;
  if (code == CU_PTX_VERSION || code == CU_NO_BINARY || code == CU_INVALID_IMAGE || code == CU_INVALID_PTX)
    norn_fail(g->st, NORN_EINFER, -1, "the driver (CUDA %d.%d) does not take the code of NVRTC %d.%d for %s",
              g->driver / 1000, g->driver % 1000 / 10, g->nvrtc_is / 1000, g->nvrtc_is % 1000 / 10, m->name);
  else gpu_check(g, code, "loading code");
  return false;
}

/* From the cache, or compiled; what is in the cache and does not load is compiled anew. */
static bool make(gpu *g, gpu_module *m, const gpu_text *t, const char *arch)
{
  key k;
  gpu_code c = { 0 };
  key_make(g, t, arch, &k);
  bool good = key_read(g, &k, &c) && g->cu.load(&m->module, c.bytes) == CU_OK;
  if (!good) {
    m->module = NULL;
    gpu_code_free(g->st, &c);
    good = gpu_compile_by(g->st, &g->nvrtc, t, arch, &c) == NORN_OK && load(g, m, &c);
    if (good) key_write(&k, &c);
  }
  gpu_code_free(g->st, &c);
  norn_alloc(g->st, k.s, k.room, 0);
  return good;
}

gpu_module *gpu_module_new(gpu *g, const gpu_text *t)
{
  char arch[20];
  gpu_dump(t);
  if (!gpu_enter(g) || !arch_of(g, arch, sizeof arch)) return NULL;
  gpu_module *m = norn_alloc(g->st, NULL, 0, sizeof *m);
  if (!m) {
    norn_fail(g->st, NORN_EMEMORY, -1, "not enough memory for code of the GPU");
    return NULL;
  }
  *m = (gpu_module){ .g = g };
  snprintf(m->name, sizeof m->name, "%s", t->name);
  if (!make(g, m, t, arch)) {
    norn_alloc(g->st, m, sizeof *m, 0);
    return NULL;
  }
  m->next = g->modules;
  g->modules = m;
  return m;
}

void gpu_module_free(gpu_module *m)
{
  if (!m) return;
  gpu *g = m->g;
  gpu_module **at = &g->modules;
  while (*at && *at != m) at = &(*at)->next;
  if (*at) *at = m->next;
  if (m->module && g->open && !g->lost && g->cu.set_current(g->context) == CU_OK) g->cu.unload(m->module);
  while (m->kernels) {
    gpu_kernel *k = m->kernels;
    m->kernels = k->next;
    norn_alloc(g->st, k, sizeof *k, 0);
  }
  norn_alloc(g->st, m, sizeof *m, 0);
}

/* ---- kernels ---------------------------------------------------------------------------------- */

/* Numbers of CUfunction_attribute. */
enum { F_THREADS = 0, F_SHARED = 1, F_LOCAL = 3, F_REGISTERS = 4, F_SHARED_MOST = 8 };

static int ask(gpu *g, void *function, int which)
{
  int v = -1;
  return g->cu.attribute(&v, which, function) == CU_OK ? v : -1;
}

gpu_kernel *gpu_kernel_of(gpu_module *m, const char *name)
{
  gpu *g = m->g;
  void *f = NULL;
  for (gpu_kernel *k = m->kernels; k; k = k->next)
    if (!strcmp(k->use.name, name)) return k;
  if (!gpu_enter(g)) return NULL;
  int code = g->cu.function(&f, m->module, name);
  if (code == CU_NOT_FOUND) norn_fail(g->st, NORN_EUSE, -1, "%s has no kernel %s", m->name, name);
  else gpu_check(g, code, "looking for a kernel");
  if (code != CU_OK) return NULL;
  gpu_kernel *k = norn_alloc(g->st, NULL, 0, sizeof *k);
  if (!k) {
    norn_fail(g->st, NORN_EMEMORY, -1, "not enough memory for code of the GPU");
    return NULL;
  }
  *k = (gpu_kernel){ .function = f, .next = m->kernels, .threads_most = ask(g, f, F_THREADS),
                     .use = { .registers = ask(g, f, F_REGISTERS), .local = ask(g, f, F_LOCAL),
                              .shared = ask(g, f, F_SHARED), .spill_stores = -1, .spill_loads = -1 } };
  snprintf(k->use.name, sizeof k->use.name, "%s", name);
  m->kernels = k;
  return k;
}

const gpu_use *gpu_kernel_use(const gpu_kernel *k) { return &k->use; }

norn_status gpu_kernel_shared(gpu *g, gpu_kernel *k, size_t bytes)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  if (bytes > g->info.shared_most)
    return norn_fail(g->st, NORN_EINFER, -1, "%s needs %zu bytes of shared memory a block; %s has %zu", k->use.name,
                     bytes, g->info.name, g->info.shared_most);
  int code = g->cu.set_attribute(k->function, F_SHARED_MOST, (int)bytes);
  return gpu_check(g, code, "asking for shared memory") ? NORN_OK : NORN_EINFER;
}

norn_status gpu_launch(gpu *g, const gpu_kernel *k, int64_t blocks, int threads, size_t shared, void *const *args)
{
  char doing[140];
  if (!gpu_enter(g)) return NORN_EINFER;
  if (blocks <= 0) return NORN_OK;
  if (blocks > INT32_MAX) return norn_fail(g->st, NORN_EUSE, -1, "%lld blocks of a kernel", (long long)blocks);
  void **a;                          /* the driver reads it only */
  memcpy(&a, &args, sizeof a);
  int code = g->cu.launch(k->function, (unsigned)blocks, 1, 1, (unsigned)threads, 1, 1, (unsigned)shared, g->stream,
                          a, NULL);
  if (code == CU_OK) return NORN_OK;
  snprintf(doing, sizeof doing, "launching %s", k->use.name);
  gpu_check(g, code, doing);
  return NORN_EINFER;
}

int gpu_threads(gpu *g, const gpu_kernel *k, size_t shared, int most)
{
  int blocks = 0, threads = 0;
  if (!g->open || g->lost || g->cu.set_current(g->context) != CU_OK ||
      g->cu.best_block(&blocks, &threads, k->function, NULL, shared, most) != CU_OK || threads <= 0)
    return most && most < 128 ? most : 128;
  return threads;
}

int64_t gpu_resident(gpu *g, const gpu_kernel *k, int threads, size_t shared)
{
  int blocks = 0;
  if (!g->open || g->lost || g->cu.set_current(g->context) != CU_OK ||
      g->cu.resident(&blocks, k->function, threads, shared) != CU_OK || blocks <= 0)
    return 1;
  return (int64_t)blocks * (g->info.sms > 0 ? g->info.sms : 1);
}

norn_status gpu_launch_n(gpu *g, const gpu_kernel *k, int64_t n, size_t shared, void *const *args)
{
  int threads = gpu_threads(g, k, shared, 0);
  while (threads > 64 && n < (int64_t)threads * g->info.sms) threads /= 2;    /* few: spread them */
  return gpu_launch(g, k, (n + threads - 1) / threads, threads, shared, args);
}
