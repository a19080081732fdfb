/* memory.c: memory of the device, copies, and marks in time. */
#include "gpu/gpu_in.h"
#include <stdio.h>

enum { ALIGN = 256 };

size_t gpu_free_memory(gpu *g)
{
  size_t nfree = 0, total = 0;
  if (!g->open || g->lost || g->cu.set_current(g->context) != CU_OK) return 0;
  return g->cu.memory_info(&nfree, &total) == CU_OK ? nfree : 0;
}

/* "1.2 GiB" */
static const char *size_text(char *buf, size_t n, double bytes)
{
  static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
  int k = 0;
  while (bytes >= 1024 && k < 4) {
    bytes /= 1024;
    k++;
  }
  snprintf(buf, n, bytes < 10 && k ? "%.1f %s" : "%.0f %s", bytes, units[k]);
  return buf;
}

gpu_ptr gpu_alloc(gpu *g, size_t n, const char *what)
{
  char need[40], have[40];
  gpu_ptr p = 0;
  if (!gpu_enter(g)) return 0;
  int code = g->cu.alloc(&p, n ? n : 1);
  if (code == CU_OK) return p;
  if (code == CU_NO_MEMORY)
    norn_fail(g->st, NORN_EMEMORY, -1, "%s need %s on the GPU, which has %s free", what,
              size_text(need, sizeof need, (double)n),
              size_text(have, sizeof have, (double)gpu_free_memory(g)));
  else gpu_check(g, code, "taking memory");
  return 0;
}

void gpu_release(gpu *g, gpu_ptr p)
{
  if (p && g->open && !g->lost && g->cu.set_current(g->context) == CU_OK) g->cu.free(p);
}

static norn_status status(gpu *g, int code, const char *doing)
{
  return gpu_check(g, code, doing) ? NORN_OK : norn_error(g->st)->code;
}

norn_status gpu_upload(gpu *g, gpu_ptr to, const void *from, size_t n)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  return n ? status(g, g->cu.to_device(to, from, n, g->stream), "copying to it") : NORN_OK;
}

norn_status gpu_download(gpu *g, void *to, gpu_ptr from, size_t n)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  int code = n ? g->cu.to_host(to, from, n, g->stream) : CU_OK;
  if (code == CU_OK) code = g->cu.stream_wait(g->stream);
  return status(g, code, "copying from it");
}

norn_status gpu_copy(gpu *g, gpu_ptr to, gpu_ptr from, size_t n)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  return n ? status(g, g->cu.copy(to, from, n, g->stream), "copying") : NORN_OK;
}

norn_status gpu_fill(gpu *g, gpu_ptr p, int byte, size_t n)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  return n ? status(g, g->cu.fill(p, (unsigned char)byte, n, g->stream), "filling memory") : NORN_OK;
}

norn_status gpu_wait(gpu *g)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  return status(g, g->cu.stream_wait(g->stream), "in a kernel");
}

/* ---- arenas ----------------------------------------------------------------------------------- */

norn_status gpu_arena_new(gpu *g, gpu_arena *a, size_t fixed, size_t each, int64_t n, const char *what)
{
  enum { SLACK = 1 << 16 };          /* for the alignment of what is taken */
  char need[40], have[40];
  *a = (gpu_arena){ .g = g };
  if (!gpu_enter(g)) return NORN_EINFER;
  double size = (double)fixed + SLACK + (double)each * (double)n;
  size_t nfree = gpu_free_memory(g);
  int code = CU_NO_MEMORY;
  if (size < (double)nfree) {
    a->size = (fixed + SLACK + each * (size_t)n + ALIGN - 1) / ALIGN * ALIGN;
    code = g->cu.alloc(&a->base, a->size);
  }
  if (code == CU_OK) return NORN_OK;
  a->base = 0;
  a->size = 0;
  if (code != CU_NO_MEMORY) return status(g, code, "taking memory");
  double fit = each ? (.95 * (double)nfree - (double)fixed - SLACK) / (double)each : 0;
  norn_fail(g->st, NORN_EMEMORY, -1, "%lld %s need %s on the GPU, which has %s free; %.0f would fit", (long long)n,
            what, size_text(need, sizeof need, size), size_text(have, sizeof have, (double)nfree),
            fit > 0 ? fit : 0);
  return NORN_EMEMORY;
}

gpu_ptr gpu_arena_get(gpu_arena *a, size_t n)
{
  size_t want = (n + ALIGN - 1) / ALIGN * ALIGN;
  if (a->base && want >= n && want <= a->size - a->used) {
    gpu_ptr p = a->base + a->used;
    a->used += want;
    return p;
  }
  norn_fail(a->g->st, NORN_EUSE, -1, "an arena of the GPU has %zu bytes left, not %zu", a->size - a->used, n);
  return 0;
}

void gpu_arena_free(gpu_arena *a)
{
  if (a->g) gpu_release(a->g, a->base);
  *a = (gpu_arena){ 0 };
}

/* ---- time ------------------------------------------------------------------------------------- */

norn_status gpu_mark_put(gpu *g, gpu_mark *m)
{
  if (!gpu_enter(g)) return NORN_EINFER;
  int code = m->event ? CU_OK : g->cu.event_new(&m->event, 0);
  m->g = g;
  if (code == CU_OK) code = g->cu.event_put(m->event, g->stream);
  return status(g, code, "marking time");
}

double gpu_seconds(const gpu_mark *from, const gpu_mark *to)
{
  gpu *g = to->g;
  float ms = 0;
  if (!g || !gpu_enter(g)) return -1;
  int code = g->cu.event_wait(to->event);
  if (code == CU_OK) code = g->cu.event_time(&ms, from->event, to->event);
  return gpu_check(g, code, "in a kernel") ? ms / 1000.0 : -1;
}

void gpu_mark_free(gpu_mark *m)
{
  gpu *g = m->g;
  if (g && m->event && g->open && !g->lost && g->cu.set_current(g->context) == CU_OK) g->cu.event_free(m->event);
  *m = (gpu_mark){ 0 };
}
