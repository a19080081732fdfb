/* kv.h: keys and values of contexts, in pages of the prefix trie.

   A page has up to KV_PAGE tokens that follow one another on one path.  The first child of a path's last token
   goes on in the same page; another child begins a page of its own, which sees the first `fork` tokens of its
   parent.  So what contexts share is kept once, and extending one never copies.  A page goes when the nodes in
   it have gone and no page stands below it; under a limit the least recently used pages go first, leaves before
   what they stand on (their tokens are computed again when they are wanted).

   Of a layer and a head of keys a page has keys (d, KV_PAGE), a column a token, and values (KV_PAGE, wide),
   wide being d rounded up to KV_PAGE.

   The memory of pages is the host's, or that of a store (kv_elsewhere): then wide is d, and what is done there with
   the addresses that the store gives is its owner's affair. */
#ifndef NORN_LLM_KV_H
#define NORN_LLM_KV_H
#include "llm/llm.h"

enum { KV_PAGE = 16 };

typedef struct kv_page kv_page;
struct kv_page {
  kv_page *parent;         /* held; NULL: begins at the root */
  int fork;                /* tokens of the parent that are seen from here */
  int used;                /* slots, some of them of tokens that have gone */
  uint32_t first, level;   /* position of slot 0; pages above this one */
  uint32_t refs;           /* nodes in it, pages below it */
  uint64_t id, use;        /* order in which they were made; the last evaluation that used it */
  kv_page *newer, *older;  /* in order of use */
  lm_node *node[KV_PAGE];
  void *memory;
  float *data;             /* at a multiple of 64 bytes */
  uint64_t there;          /* of a store */
};

/* Memory of pages that is not the host's.  get: 0: there is none, and no error is set. */
typedef struct kv_store kv_store;
struct kv_store {
  uint64_t (*get)(kv_store *);
  void (*put)(kv_store *, uint64_t);
};

typedef struct kv {
  mem *m;
  int layers, heads, d, wide;
  size_t stride;           /* floats of a layer and a head */
  size_t bytes;            /* of a page */
  size_t limit;            /* bytes that may stay; more where one evaluation needs more */
  size_t pages;            /* how many there are */
  kv_store *store;         /* NULL: pages are in the host's memory */
  uint64_t made, now;
  kv_page *newest, *oldest;
} kv;

void   kv_init(kv *, mem *, int layers, int heads, int d, size_t limit);
/* From now on pages come from a store; there are none yet. */
void   kv_elsewhere(kv *, kv_store *);
void   kv_free(kv *);                          /* of nodes too that still stand in pages */
/* A place for a node's keys and values behind its parent's (the root has none), where the limit wants it in place
   of the oldest pages that this evaluation does not use, and where a store has no room.  false: no memory, nothing
   set. */
bool   kv_put(kv *, lm_node *);
void   kv_drop(kv *, lm_node *);               /* gives the place back */
/* A new evaluation; then marks what stands above a node, itself included, as used by it. */
void   kv_turn(kv *);
void   kv_touch(kv *, const lm_node *);
/* Evicts while so many more pages would pass the limit, but never what this evaluation uses. */
void   kv_make_room(kv *, size_t pages);
/* Before, with, behind: the order of two nodes that have places, in which what shares pages stands together and a
   node comes behind those above it. */
int    kv_order(const lm_node *, const lm_node *);
static inline int kv_slot(const lm_node *n) { return (int)(n->depth - 1 - ((const kv_page *)n->state)->first); }
static inline float *kv_keys(const kv *k, const kv_page *p, int layer, int head)
{
  return p->data + (size_t)(layer * k->heads + head) * k->stride;
}
static inline float *kv_values(const kv *k, const kv_page *p, int layer, int head)
{
  return kv_keys(k, p, layer, head) + (size_t)k->d * KV_PAGE;
}
#endif
