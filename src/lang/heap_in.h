/* heap_in.h: what the files of the heap share.

   heap.c lets young objects in and collects; heap_old.c is the old space.  A cell of the old space
   holds one object.  A free cell has kind 0 in its first word and the next free one in its second.
   */
#ifndef NORN_LANG_HEAP_IN_H
#define NORN_LANG_HEAP_IN_H
#include "lang/state.h"

enum {
  OLD_BLOCK = 65536,
  OLD_STEPS = 32,                   /* classes of 16, 32, ... 512 bytes; then four to a doubling */
  OLD_CLASSES = OLD_STEPS + 20
};

/* A block of equal cells; those from `at` on have never been used. */
typedef struct old_block {
  struct old_block *next;
  char *at, *end; size_t cell; char pad[32];
} old_block;
/* An object of its own: this header, a gap, the object at an address that is 16 more than a
   multiple of 64, so that the elements of an array are aligned to 64. */
typedef struct old_large { struct old_large *next; size_t size; obj *o; } old_large;

typedef struct old_space {
  obj *free[OLD_CLASSES];
  old_block *blocks[OLD_CLASSES];     /* the first has room from `at`, the others are used up */
  old_block *pool; size_t npool;      /* empty ones, ready for any class */
  size_t nblocks;                     /* in use */
  old_large *large;
} old_space;

static inline size_t heap_round(size_t n) { return (n + 15) & ~(size_t)15; }

bool  old_init(norn_state *);
void  old_free(norn_state *);
void  old_adopt(old_space *to, old_space *from);                 /* all objects; from is empty then */
/* A cell for n <= HEAP_LARGE bytes (a multiple of 16).  from_pool: a collection, which finds what
   it needs in the pool. */
void *old_cell(norn_state *, size_t n, bool from_pool);
/* The same for collections, with the commonest cases in line. */
static inline void *old_cell_quick(norn_state *st, size_t n)
{
  old_space *s = st->heap.old;
  if (n <= 512) {
    size_t c = n / 16 - 1;
    obj *o = s->free[c];
    old_block *b = s->blocks[c];
    if (o) {
      s->free[c] = ((obj **)o)[1];
      return o;
    }
    if (b && b->at != b->end) {
      void *p = b->at;
      b->at += n;
      return p;
    }
  }
  return old_cell(st, n, true);
}
void *old_large_get(norn_state *, size_t n);
bool  old_pool_fill(norn_state *, size_t blocks);                /* at least so many in the pool */
/* Frees what is not marked; bytes that live. */
size_t old_sweep(norn_state *, size_t keep);
void  old_each(old_space *, void (*f)(void *, obj *), void *);   /* every object */
/* Empty blocks that survivors of n young bytes may need at worst. */
size_t old_blocks_for(size_t n);
#endif
