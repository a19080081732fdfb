/* arena.c: scratch that is freed all at once.

   Blocks form a list, the newest first; each is twice as large as the one before up to BLOCK_MAX.
   A request that does not fit opens a new block; what was left of the old one is lost. */
#include "base/base.h"
#include <stdio.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_MIN = 1024, BLOCK_MAX = 256 * 1024 };

struct arena_block { struct arena_block *next; size_t size; };   /* then the bytes given out */

void arena_init(arena *a, mem *m)
{
  *a = (arena){.m = m};
}

static bool arena_open(arena *a, size_t n)
{
  size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
  if (size > BLOCK_MAX) size = BLOCK_MAX;
  if (n > PTRDIFF_MAX / 2) return false;
  if (size < n + sizeof(struct arena_block) + ALIGN) size = n + sizeof(struct arena_block) + ALIGN;
  struct arena_block *b = mem_get(a->m, size);
  if (!b) return false;
  b->next = a->blocks;
  b->size = size;
  a->blocks = b;
  a->at = (char *)(b + 1);
  a->end = (char *)b + size;
  a->at += -(uintptr_t)a->at % ALIGN;
  return true;
}

void *arena_get(arena *a, size_t n)
{
  size_t room = (size_t)(a->end - a->at);
  size_t need = n ? n : 1;
  if (need > room && !arena_open(a, need)) return NULL;
  char *p = a->at;
  room = (size_t)(a->end - p);
  need += -need % ALIGN;
  a->at = need < room ? p + need : a->end;
  return memset(p, 0, n);
}

char *arena_text(arena *a, const char *s, size_t n)
{
  char *p = n < SIZE_MAX ? arena_get(a, n + 1) : NULL;
  if (p && n) memcpy(p, s, n);
  return p;
}

char *arena_printf(arena *a, const char *format, ...)
{
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  char *p = n < 0 ? NULL : arena_get(a, (size_t)n + 1);
  if (p) vsnprintf(p, (size_t)n + 1, format, again);
  va_end(again);
  va_end(args);
  return p;
}

void arena_free(arena *a)
{
  for (struct arena_block *b = a->blocks, *next; b; b = next) {
    next = b->next;
    mem_put(a->m, b, b->size);
  }
  arena_init(a, a->m);
}
