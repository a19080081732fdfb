/* kept.c: data that stay on the device while somebody holds them, found again by their content (gpu.h): two opened
   models of one file have its weights there once. */
#include "gpu/gpu_in.h"
#include <string.h>

enum { ALIGN = 256 };

typedef struct gpu_kept gpu_kept;
struct gpu_kept { gpu_ptr at; size_t bytes; uint64_t hash[2]; uint32_t holds; gpu_kept *next; };

/* Two hashes of 64 bits, by words and then by bytes. */
static void content(const void *x, size_t n, uint64_t h[2])
{
  const char *b = x;
  uint64_t word, a = h[0] ^ n, c = h[1] + n;
  for (; n >= 8; n -= 8, b += 8) {
    memcpy(&word, b, 8);
    a = (a ^ word) * 0x9e3779b97f4a7c15u;
    c = (c + word) * 0xd6e8feb86659fd93u;
    a ^= a >> 32;
    c ^= c >> 29;
  }
  for (; n; n--, b++) {
    a = (a ^ (unsigned char)*b) * 0x100000001b3u;
    c = (c + (unsigned char)*b) * 0xc2b2ae3d27d4eb4fu;
  }
  h[0] = a ^ a >> 29;
  h[1] = c ^ c >> 31;
}

static bool upload(gpu *g, const gpu_kept *k, const gpu_part *p, int n)
{
  for (int i = 0; i < n; i++)
    if (gpu_upload(g, k->at + p[i].at, p[i].from, p[i].bytes)) return false;
  return true;
}

gpu_ptr gpu_keep(gpu *g, gpu_part *p, int n, const char *what)
{
  gpu_kept new = { .holds = 1, .hash = { 0xcbf29ce484222325u, 0x84222325cbf29ce4u }, .next = g->kept };
  for (int i = 0; i < n; i++) {
    p[i].at = new.bytes;
    new.bytes += (p[i].bytes + ALIGN - 1) / ALIGN * ALIGN;
    content(p[i].from, p[i].bytes, new.hash);
  }
  for (gpu_kept *k = g->kept; k; k = k->next)
    if (k->bytes == new.bytes && !memcmp(k->hash, new.hash, sizeof k->hash)) {
      k->holds++;
      return k->at;
    }
  gpu_kept *k = norn_alloc(g->st, NULL, 0, sizeof *k);
  if (!k) return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), 0;
  *k = new;
  if ((k->at = gpu_alloc(g, k->bytes, what)) && upload(g, k, p, n)) {
    g->kept = k;
    return k->at;
  }
  gpu_release(g, k->at);
  norn_alloc(g->st, k, sizeof *k, 0);
  return 0;
}

void gpu_let_go(gpu *g, gpu_ptr at)
{
  for (gpu_kept **k = &g->kept; *k; k = &(*k)->next) {
    gpu_kept *one = *k;
    if (one->at != at) continue;
    if (--one->holds) return;
    *k = one->next;
    gpu_release(g, at);
    norn_alloc(g->st, one, sizeof *one, 0);
    return;
  }
}

void gpu_kept_free(gpu *g)
{
  while (g->kept) {
    g->kept->holds = 1;
    gpu_let_go(g, g->kept->at);
  }
}
