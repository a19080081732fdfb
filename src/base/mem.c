/* mem.c: one door for all memory.  Every block's size is known to its owner, who hands it back with
   the block, so that the count needs no headers and a host's allocator sees true sizes. */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

static void *mem_malloc(void *user, void *p, size_t old, size_t n)
{
  (void)user;
  (void)old;
  if (n == 0) {
    free(p);
    return NULL;
  }
  return realloc(p, n);
}

void mem_init(mem *m)
{
  *m = (mem){.alloc = mem_malloc};
}

/* A block of no bytes still has an address: it is one byte long, here and for the hook. */
static size_t true_size(size_t n)
{
  return n ? n : 1;
}

/* All requests pass here: p NULL and old 0 for a new block. */
static void *request(mem *m, void *p, size_t old, size_t n)
{
  size_t rest = m->used - old;
  bool refuse = ++m->requests == m->fail_at || n > PTRDIFF_MAX ||
                (m->limit && n > old && (n > m->limit || rest > m->limit - n));
  void *q = refuse ? NULL : m->alloc(m->user, p, old, n);
  if (!q) {
    m->refused++;
    return NULL;
  }
  m->used = rest + n;
  if (m->used > m->peak) m->peak = m->used;
  return q;
}

void *mem_get(mem *m, size_t n)
{
  return request(m, NULL, 0, true_size(n));
}

void *mem_zero(mem *m, size_t n)
{
  void *p = mem_get(m, n);
  if (p) memset(p, 0, true_size(n));
  return p;
}

void *mem_resize(mem *m, void *p, size_t old, size_t n)
{
  if (!p) return mem_get(m, n);
  return request(m, p, true_size(old), true_size(n));
}

void mem_put(mem *m, void *p, size_t n)
{
  if (!p) return;
  m->alloc(m->user, p, true_size(n), 0);
  m->used -= true_size(n);
}

bool mem_grow(mem *m, void *array_pointer, size_t *capacity, size_t want, size_t size)
{
  if (want <= *capacity) return true;
  void *old, *p;
  size_t cap = *capacity < 8 ? 8 : *capacity + *capacity / 2;
  if (cap < want) cap = want;
  if (cap > PTRDIFF_MAX / size) return false;
  /* The array's own type is unknown here: its pointer is read and written as bytes. */
  memcpy(&old, array_pointer, sizeof old);
  p = mem_resize(m, old, *capacity * size, cap * size);
  if (!p) return false;
  memcpy(array_pointer, &p, sizeof p);
  *capacity = cap;
  return true;
}
