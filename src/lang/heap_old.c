/* heap_old.c: the old space, where objects do not move.

   Small objects lie in 64 KB blocks of equal cells (size classes 16 bytes apart up to 512, then
   four to a doubling up to 16 KB), larger ones are blocks of their own.  Empty blocks wait in a
   pool: a minor collection takes its cells from there and so cannot fail.  Sweeping rebuilds the
   free lists. */
#include "lang/heap_in.h"
#include <string.h>

static size_t class_of(size_t n)
{
  if (n <= 512) return (n + 15) / 16 - 1;
  size_t k = 63 - (size_t)__builtin_clzll(n - 1);      /* 2^k < n <= 2^(k+1) */
  return OLD_STEPS + (k - 9) * 4 + ((n - 1 - ((size_t)1 << k)) >> (k - 2));
}

static size_t class_cell(size_t c)
{
  if (c < OLD_STEPS) return (c + 1) * 16;
  size_t k = (c - OLD_STEPS) / 4 + 9, q = (c - OLD_STEPS) % 4 + 1;
  return ((size_t)1 << k) + (q << (k - 2));
}

/* The worst a block holds is 66 % young bytes (three cells of 16 KB for objects of just above 14
   KB), and each class may leave one block half empty. */
size_t old_blocks_for(size_t n)
{
  return (n + n / 2 + n / 16) / OLD_BLOCK + OLD_CLASSES + 1;
}

bool old_init(norn_state *st)
{
  st->heap.old = mem_zero(&st->mem, sizeof(old_space));
  return st->heap.old != NULL;
}

static void free_blocks(norn_state *st, old_block *b)
{
  for (old_block *next; b; b = next) {
    next = b->next;
    mem_put(&st->mem, b, OLD_BLOCK);
  }
}

void old_free(norn_state *st)
{
  old_space *s = st->heap.old;
  if (!s) return;
  for (size_t c = 0; c < OLD_CLASSES; c++) free_blocks(st, s->blocks[c]);
  free_blocks(st, s->pool);
  for (old_large *l = s->large, *next; l; l = next) {
    next = l->next;
    mem_put(&st->mem, l, l->size);
  }
  mem_put(&st->mem, s, sizeof *s);
  st->heap.old = NULL;
}

/* Blocks go behind the first of their class, as if they were used up; what is free in them is found
   by the next sweep. */
void old_adopt(old_space *to, old_space *from)
{
  for (size_t c = 0; c < OLD_CLASSES; c++) {
    old_block **at = to->blocks[c] ? &to->blocks[c]->next : &to->blocks[c], *rest = *at;
    *at = from->blocks[c];
    while (*at) at = &(*at)->next;
    *at = rest;
    from->blocks[c] = NULL;
    from->free[c] = NULL;
  }
  old_large **large = &to->large;
  while (*large) large = &(*large)->next;
  *large = from->large;
  from->large = NULL;
  to->nblocks += from->nblocks;
  from->nblocks = 0;
}

bool old_pool_fill(norn_state *st, size_t blocks)
{
  old_space *s = st->heap.old;
  while (s->npool < blocks) {
    old_block *b = mem_get(&st->mem, OLD_BLOCK);
    if (!b) return false;
    b->next = s->pool;
    s->pool = b;
    s->npool++;
  }
  return true;
}

static bool add_block(norn_state *st, size_t c, bool from_pool)
{
  old_space *s = st->heap.old;
  old_block *b = s->pool;
  if (from_pool && b) {
    s->pool = b->next;
    s->npool--;
  } else if (!(b = mem_get(&st->mem, OLD_BLOCK))) {
    return false;
  }
  b->cell = class_cell(c);
  b->at = (char *)(b + 1);
  b->end = b->at + (OLD_BLOCK - sizeof *b) / b->cell * b->cell;
  b->next = s->blocks[c];
  s->blocks[c] = b;
  s->nblocks++;
  return true;
}

void *old_cell(norn_state *st, size_t n, bool from_pool)
{
  old_space *s = st->heap.old;
  size_t c = class_of(n);
  obj *o = s->free[c];
  if (o) {
    s->free[c] = ((obj **)o)[1];
    return o;
  }
  old_block *b = s->blocks[c];
  if (!b || b->at == b->end) {
    if (!add_block(st, c, from_pool)) return NULL;
    b = s->blocks[c];
  }
  o = (obj *)b->at;
  b->at += b->cell;
  return o;
}

/* Gives back empty blocks until `keep` are left. */
static bool pool_trim(norn_state *st, size_t keep)
{
  old_space *s = st->heap.old;
  bool any = s->npool > keep;
  while (s->npool > keep) {
    old_block *b = s->pool;
    s->pool = b->next;
    s->npool--;
    mem_put(&st->mem, b, OLD_BLOCK);
  }
  return any;
}

void *old_large_get(norn_state *st, size_t n)
{
  heap *h = &st->heap;
  size_t size = sizeof(old_large) + 64 + n;
  if (size < n) return NULL;
  old_large *l = mem_get(&st->mem, size);
  if (!l && pool_trim(st, old_blocks_for((size_t)(h->charged - h->n0))))
    l = mem_get(&st->mem, size);
  if (!l) return NULL;
  uintptr_t at = (uintptr_t)(l + 1);
  at += (16 - at) & 63;
  l->size = size;
  l->o = (obj *)at;
  l->o->fwd = 0;
  l->next = st->heap.old->large;
  st->heap.old->large = l;
  return l->o;
}

/* ---- sweeping ---- */

/* Unmarks what lives in a block and lists the rest in `first`..; bytes that live. */
static size_t sweep_block(old_block *b, obj **first, obj **last)
{
  size_t live = 0;
  obj *head = NULL, **tail = &head, *end = NULL;
  for (char *p = (char *)(b + 1); p < b->at; p += b->cell) {
    obj *o = (obj *)p;
    if (o->kind && o->flags & OBJ_MARK) {
      o->flags &= (uint8_t)~OBJ_MARK;
      live += b->cell;
    } else {
      o->fwd = 0;
      *tail = end = o;
      tail = (obj **)o + 1;
    }
  }
  *tail = NULL;
  *first = head;
  *last = end;
  return live;
}

static size_t sweep_class(old_space *s, size_t c)
{
  size_t live = 0;
  old_block *first = s->blocks[c], **at = &s->blocks[c];
  obj **tail = &s->free[c];
  for (old_block *b; (b = *at);) {
    obj *head, *last;
    size_t n = sweep_block(b, &head, &last);
    live += n;
    if (n == 0 && b != first) {                /* empty: any class may have it */
      *at = b->next;
      b->next = s->pool;
      s->pool = b;
      s->npool++;
      s->nblocks--;
      continue;
    }
    if (n == 0) {                              /* the first begins anew */
      b->at = (char *)(b + 1);
    } else if (head) {
      *tail = head;
      tail = (obj **)last + 1;
    }
    at = &b->next;
  }
  *tail = NULL;
  return live;
}

static size_t sweep_large(norn_state *st)
{
  size_t live = 0;
  for (old_large **at = &st->heap.old->large, *l; (l = *at);) {
    if (l->o->kind && l->o->flags & OBJ_MARK) {
      l->o->flags &= (uint8_t)~OBJ_MARK;
      live += l->size;
      at = &l->next;
    } else {
      *at = l->next;
      mem_put(&st->mem, l, l->size);
    }
  }
  return live;
}

size_t old_sweep(norn_state *st, size_t keep)
{
  old_space *s = st->heap.old;
  size_t live = sweep_large(st);
  for (size_t c = 0; c < OLD_CLASSES; c++) live += sweep_class(s, c);
  pool_trim(st, keep + s->nblocks / 4 + 16);
  return live;
}

void old_each(old_space *s, void (*f)(void *, obj *), void *user)
{
  for (old_large *l = s->large; l; l = l->next) if (l->o->kind) f(user, l->o);
  for (size_t c = 0; c < OLD_CLASSES; c++)
    for (old_block *b = s->blocks[c]; b; b = b->next)
      for (char *p = (char *)(b + 1); p < b->at; p += b->cell)
        if (((obj *)p)->kind) f(user, (obj *)p);
}
