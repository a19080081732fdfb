/* hamt.h: the layout of persistent maps.

   A node of the trie has a slot for each of 32 values of five bits of the hash (low bits first).
   A slot is empty, an entry (its bit is in datamap) or a node one level down (its bit is in
   nodemap); the entries lie in the node in slot order, then the pointers to nodes.  Where all bits
   are used up a node is a plain list of entries with one hash, aux 1, sorted by key.  Nodes are in
   the smallest form (an entry alone below is kept above), so equal maps have equal shapes. */
#ifndef NORN_LANG_HAMT_H
#define NORN_LANG_HAMT_H
#include "lang/value/value.h"

typedef struct hent { uint64_t hash; val key, value; } hent;
/* n: entries here; count: in all. */
typedef struct hnode { obj h; uint32_t datamap, nodemap; int64_t count; hent e[]; } hnode;
typedef struct map { obj h; hnode *root; } map;   /* root NULL: empty */

/* Bits that are set; without an instruction of the machine's for it this beats the call of a
   table. */
static inline uint32_t hnode_bits(uint32_t x)
{
  x -= x >> 1 & 0x55555555u;
  x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
  return ((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
}
static inline hnode **hnode_subs(const hnode *t) { return (hnode **)(t->e + t->h.n); }
static inline int hnode_nsubs(const hnode *t) { return (int)hnode_bits(t->nodemap); }
static inline size_t hnode_size(const hnode *t)
{
  return sizeof *t + t->h.n * sizeof(hent) + (size_t)hnode_nsubs(t) * sizeof(hnode *);
}
/* The i-th entry of a map in the order of its trie; NULL past the last. */
const hent *hamt_at(const map *, int64_t i);
#endif
