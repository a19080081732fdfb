/* kv.c: pages of keys and values (kv.h). */
#include "llm/decoder/kv.h"
#include <string.h>

enum { ALIGN = 64 };

void kv_init(kv *k, mem *m, int layers, int heads, int d, size_t limit)
{
  int wide = (d + KV_PAGE - 1) / KV_PAGE * KV_PAGE;
  size_t stride = (size_t)(d + wide) * KV_PAGE;
  *k = (kv){ .m = m, .layers = layers, .heads = heads, .d = d, .wide = wide, .stride = stride, .limit = limit,
             .bytes = stride * (size_t)(layers * heads) * sizeof(float) + ALIGN };
}

void kv_elsewhere(kv *k, kv_store *store)
{
  k->store = store;
  k->wide = k->d;
  k->stride = (size_t)(2 * k->d) * KV_PAGE;
  k->bytes = k->stride * (size_t)(k->layers * k->heads) * sizeof(float);
}

/* ---- the order of use ---- */

static void use_out(kv *k, kv_page *p)
{
  if (p->newer) p->newer->older = p->older;
  else k->newest = p->older;
  if (p->older) p->older->newer = p->newer;
  else k->oldest = p->newer;
}

static void use_in(kv *k, kv_page *p)
{
  p->use = k->now;
  p->older = k->newest;
  p->newer = NULL;
  if (k->newest) k->newest->newer = p;
  else k->oldest = p;
  k->newest = p;
}

void kv_turn(kv *k) { k->now++; }

/* A parent comes behind its child, so that the oldest page is always a leaf. */
void kv_touch(kv *k, const lm_node *n)
{
  for (kv_page *p = n->state; p; p = p->parent) {
    use_out(k, p);
    use_in(k, p);
  }
}

/* ---- pages ---- */

static bool page_memory(kv *k, kv_page *p)
{
  if (k->store) return (p->there = k->store->get(k->store)) != 0;
  p->memory = mem_get(k->m, k->bytes);
  if (!p->memory) return false;
  p->data = (float *)(((uintptr_t)p->memory + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
  memset(p->data, 0, k->bytes - ALIGN);          /* what is not a key yet is multiplied by 0, so no NaN */
  return true;
}

static void page_free(kv *k, kv_page *p)
{
  if (k->store) k->store->put(k->store, p->there);
  else mem_put(k->m, p->memory, k->bytes);
  mem_put(k->m, p, sizeof *p);
}

static kv_page *page_new(kv *k, kv_page *parent, int fork, uint32_t first)
{
  kv_page *p = mem_get(k->m, sizeof *p);
  if (!p) return NULL;
  *p = (kv_page){ .parent = parent, .fork = fork, .first = first, .id = k->made,
                  .level = parent ? parent->level + 1 : 0 };
  if (!page_memory(k, p)) {
    mem_put(k->m, p, sizeof *p);
    return NULL;
  }
  k->made++;
  if (parent) parent->refs++;
  use_in(k, p);
  if (parent) kv_touch(k, &(lm_node){ .state = parent });
  k->pages++;
  return p;
}

/* A hold less, and pages that nothing holds go. */
static void page_drop(kv *k, kv_page *p)
{
  while (p && --p->refs == 0) {
    kv_page *parent = p->parent;
    use_out(k, p);
    page_free(k, p);
    k->pages--;
    p = parent;
  }
}

/* Slots at the end that are free again can be used again. */
void kv_drop(kv *k, lm_node *n)
{
  kv_page *p = n->state;
  if (!p) return;
  p->node[kv_slot(n)] = NULL;
  while (p->used > 0 && !p->node[p->used - 1]) p->used--;
  n->state = NULL;
  page_drop(k, p);
}

/* All nodes of a leaf lose their place. */
static void evict(kv *k, kv_page *p)
{
  int held = 0;
  lm_node *node[KV_PAGE];
  for (int i = 0; i < p->used; i++)
    if (p->node[i]) node[held++] = p->node[i];
  while (held) kv_drop(k, node[--held]);
}

static bool leaf(const kv_page *p)
{
  uint32_t nodes = 0;
  for (int i = 0; i < p->used; i++) nodes += p->node[i] != NULL;
  return nodes == p->refs;
}

/* The oldest page goes, if this evaluation does not use it. */
static bool evict_oldest(kv *k)
{
  if (!k->oldest || k->oldest->use >= k->now || !leaf(k->oldest)) return false;
  evict(k, k->oldest);
  return true;
}

void kv_make_room(kv *k, size_t pages)
{
  while ((k->pages + pages) * k->bytes > k->limit && evict_oldest(k)) { }
}

bool kv_put(kv *k, lm_node *n)
{
  kv_page *up = n->parent->state, *p = up;
  int at = up ? kv_slot(n->parent) + 1 : 0;
  if (!up || at < up->used || at == KV_PAGE) {
    kv_make_room(k, 1);
    while (!(p = page_new(k, up, at, n->depth - 1)))
      if (!k->store || !evict_oldest(k)) return false;
    at = 0;
  }
  p->node[at] = n;
  p->used = at + 1;
  p->refs++;
  n->state = p;
  return true;
}

void kv_free(kv *k)
{
  kv_turn(k);
  while (k->oldest) {
    kv_page *p = k->oldest;
    for (int i = 0; i < p->used; i++)
      if (p->node[i]) p->node[i]->state = NULL;
    use_out(k, p);
    page_free(k, p);
  }
  k->pages = 0;
}

/* ---- order ---- */

static int compare(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

int kv_order(const lm_node *m, const lm_node *n)
{
  const kv_page *p = m->state, *q = n->state;
  int a = 2 * kv_slot(m), b = 2 * kv_slot(n);    /* a fork behind slot s is 2 s + 1 */
  uint64_t i = 0, j = 0;
  while (p != q) {
    bool deeper = !q || (p && p->level >= q->level), other = !p || (q && q->level >= p->level);
    if (deeper) {
      a = 2 * p->fork - 1;
      i = p->id + 1;
      p = p->parent;
    }
    if (other) {
      b = 2 * q->fork - 1;
      j = q->id + 1;
      q = q->parent;
    }
  }
  return a != b ? compare((uint64_t)(a + 1), (uint64_t)(b + 1)) : compare(i, j);
}
