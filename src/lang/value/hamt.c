/* hamt.c: persistent maps as hash array mapped tries (Bagwell 2001), in the compressed form of
   Steindorfer and Vinju (2015).  hamt.h draws the nodes.  Paths are at most 14 nodes long, so
   recursion is fine. */
#include "lang/value/hamt.h"
#include "lang/state.h"
#include <string.h>

/* The node at shift LAST sees the last four bits; below it are lists. */
enum { BITS = 5, LAST = 60 };

static uint32_t bit_of(uint64_t hash, unsigned shift)
{
  return (uint32_t)1 << (hash >> shift & 31);
}

static uint32_t below(uint32_t map_bits, uint32_t bit)
{
  return hnode_bits(map_bits & (bit - 1));
}

/* A node with room for its maps; NULL: no memory (error set). */
static hnode *node_new(norn_state *st, uint32_t datamap, uint32_t nodemap, uint32_t n, bool list)
{
  size_t size = sizeof(hnode) + n * sizeof(hent) + hnode_bits(nodemap) * sizeof(hnode *);
  hnode *t = heap_alloc(st, size);
  if (!t) return NULL;
  obj_init(t, V_HNODE, list, n);
  t->datamap = datamap;
  t->nodemap = nodemap;
  t->count = n;
  return t;
}

static void entries_copy(hent *to, const hent *from, uint32_t n)
{
  if (n) memcpy(to, from, n * sizeof *to);
}

static void subs_copy(hnode **to, hnode *const *from, uint32_t n)
{
  if (n) memcpy(to, from, n * sizeof *to);
}

/* A copy of t whose k-th entry is e. */
static hnode *with_entry(norn_state *st, const hnode *t, uint32_t k, hent e)
{
  hnode *r = node_new(st, t->datamap, t->nodemap, t->h.n, t->h.aux);
  if (!r) return NULL;
  memcpy(r->e, t->e, hnode_size(t) - sizeof *t);
  r->count = t->count;
  r->e[k] = e;
  return r;
}

/* A copy of t with e put in before its k-th entry. */
static hnode *with_new_entry(norn_state *st, const hnode *t, uint32_t k, uint32_t bit, hent e)
{
  hnode *r = node_new(st, t->datamap | bit, t->nodemap, t->h.n + 1, t->h.aux);
  if (!r) return NULL;
  entries_copy(r->e, t->e, k);
  r->e[k] = e;
  entries_copy(r->e + k + 1, t->e + k, t->h.n - k);
  subs_copy(hnode_subs(r), hnode_subs(t), (uint32_t)hnode_nsubs(t));
  r->count = t->count + 1;
  return r;
}

static hnode *without_entry(norn_state *st, const hnode *t, uint32_t k, uint32_t bit)
{
  hnode *r = node_new(st, t->datamap & ~bit, t->nodemap, t->h.n - 1, t->h.aux);
  if (!r) return NULL;
  entries_copy(r->e, t->e, k);
  entries_copy(r->e + k, t->e + k + 1, t->h.n - k - 1);
  subs_copy(hnode_subs(r), hnode_subs(t), (uint32_t)hnode_nsubs(t));
  r->count = t->count - 1;
  return r;
}

/* A copy of t whose node at `bit` is s. */
static hnode *with_sub(norn_state *st, const hnode *t, uint32_t bit, hnode *s)
{
  hnode *r = node_new(st, t->datamap, t->nodemap, t->h.n, false);
  if (!r) return NULL;
  memcpy(r->e, t->e, hnode_size(t) - sizeof *t);
  hnode **at = hnode_subs(r) + below(t->nodemap, bit);
  r->count = t->count - (*at)->count + s->count;
  *at = s;
  return r;
}

/* A copy of t whose entry at `bit` has become the node s. */
static hnode *entry_to_sub(norn_state *st, const hnode *t, uint32_t bit, hnode *s)
{
  uint32_t k = below(t->datamap, bit), m = below(t->nodemap, bit), subs = (uint32_t)hnode_nsubs(t);
  hnode *r = node_new(st, t->datamap & ~bit, t->nodemap | bit, t->h.n - 1, false);
  if (!r) return NULL;
  entries_copy(r->e, t->e, k);
  entries_copy(r->e + k, t->e + k + 1, t->h.n - k - 1);
  subs_copy(hnode_subs(r), hnode_subs(t), m);
  hnode_subs(r)[m] = s;
  subs_copy(hnode_subs(r) + m + 1, hnode_subs(t) + m, subs - m);
  r->count = t->count - 1 + s->count;
  return r;
}

/* A copy of t whose node at `bit` has become the entry e. */
static hnode *sub_to_entry(norn_state *st, const hnode *t, uint32_t bit, hent e)
{
  uint32_t k = below(t->datamap, bit), m = below(t->nodemap, bit), subs = (uint32_t)hnode_nsubs(t);
  hnode *r = node_new(st, t->datamap | bit, t->nodemap & ~bit, t->h.n + 1, false);
  if (!r) return NULL;
  entries_copy(r->e, t->e, k);
  r->e[k] = e;
  entries_copy(r->e + k + 1, t->e + k, t->h.n - k);
  subs_copy(hnode_subs(r), hnode_subs(t), m);
  subs_copy(hnode_subs(r) + m, hnode_subs(t) + m + 1, subs - m - 1);
  r->count = t->count - hnode_subs(t)[m]->count + 1;
  return r;
}

/* ---- put ---- */

/* The smallest trie from `shift` on that has both entries. */
static hnode *node_of_two(norn_state *st, unsigned shift, hent a, hent b)
{
  if (shift > LAST) {
    hnode *t = node_new(st, 0, 0, 2, true);
    bool first = value_compare(a.key, b.key) <= 0;
    if (t) t->e[0] = first ? a : b;
    if (t) t->e[1] = first ? b : a;
    return t;
  }
  uint32_t x = bit_of(a.hash, shift), y = bit_of(b.hash, shift);
  if (x == y) {
    hnode *s = node_of_two(st, shift + BITS, a, b), *t = s ? node_new(st, 0, x, 0, false) : NULL;
    if (t) hnode_subs(t)[0] = s;
    if (t) t->count = 2;
    return t;
  }
  hnode *t = node_new(st, x | y, 0, 2, false);
  if (t) t->e[0] = x < y ? a : b;
  if (t) t->e[1] = x < y ? b : a;
  return t;
}

static hnode *list_put(norn_state *st, const hnode *t, hent e)
{
  uint32_t k = 0;
  for (uint32_t i = 0; i < t->h.n; i++)
    if (value_equal(t->e[i].key, e.key)) return with_entry(st, t, i, e);
  while (k < t->h.n && value_compare(t->e[k].key, e.key) <= 0) k++;
  return with_new_entry(st, t, k, 0, e);
}

static hnode *node_put(norn_state *st, const hnode *t, unsigned shift, hent e)
{
  if (t->h.aux) return list_put(st, t, e);
  uint32_t bit = bit_of(e.hash, shift), k = below(t->datamap, bit);
  if (t->nodemap & bit) {
    hnode *s = node_put(st, hnode_subs(t)[below(t->nodemap, bit)], shift + BITS, e);
    return s ? with_sub(st, t, bit, s) : NULL;
  }
  if (!(t->datamap & bit)) return with_new_entry(st, t, k, bit, e);
  if (t->e[k].hash == e.hash && value_equal(t->e[k].key, e.key)) return with_entry(st, t, k, e);
  hnode *s = node_of_two(st, shift + BITS, t->e[k], e);
  return s ? entry_to_sub(st, t, bit, s) : NULL;
}

static val map_of(norn_state *st, hnode *root)
{
  map *m = heap_alloc(st, sizeof *m);
  if (!m) return norn_none();
  obj_init(m, NORN_MAP, 0, 0);
  m->root = root;
  return v_obj(NORN_MAP, m);
}

val hamt_new(norn_state *st)
{
  return map_of(st, NULL);
}

val hamt_put(norn_state *st, val m, val key, uint64_t hash, val value)
{
  hnode *t = ((map *)m.p)->root;
  hent e = { hash, key, value };
  if (!t && !(t = node_new(st, 0, 0, 0, false))) return norn_none();
  t = node_put(st, t, 0, e);
  return t ? map_of(st, t) : norn_none();
}

/* ---- get ---- */

static const hent *find(const hnode *t, val key, uint64_t hash)
{
  unsigned shift = 0;
  for (; t && !t->h.aux; shift += BITS) {
    uint32_t bit = bit_of(hash, shift);
    if (t->datamap & bit) {
      const hent *e = &t->e[below(t->datamap, bit)];
      return e->hash == hash && value_equal(e->key, key) ? e : NULL;
    }
    t = t->nodemap & bit ? hnode_subs(t)[below(t->nodemap, bit)] : NULL;
  }
  for (uint32_t i = 0; t && i < t->h.n; i++)
    if (t->e[i].hash == hash && value_equal(t->e[i].key, key)) return &t->e[i];
  return NULL;
}

val hamt_get(val m, val key, uint64_t hash)
{
  const hent *e = find(((map *)m.p)->root, key, hash);
  return e ? e->value : norn_none();
}

const hent *hamt_at(const map *m, int64_t i)
{
  const hnode *t = m->root;
  if (!t || i < 0 || i >= t->count) return NULL;
  while (!t->h.aux) {
    const hent *e = t->e;
    hnode *const *s = hnode_subs(t);
    uint32_t left = t->datamap | t->nodemap;
    for (;; left &= left - 1) {
      uint32_t bit = left & -left;
      if (t->datamap & bit) {
        if (i-- == 0) return e;
        e++;
      } else if (i < (*s)->count) {
        break;
      } else {
        i -= (*s++)->count;
      }
    }
    t = *s;
  }
  return &t->e[i];
}

/* ---- remove: the key is there ---- */

static hnode *node_remove(norn_state *st, const hnode *t, unsigned shift, val key, uint64_t hash)
{
  if (t->h.aux) {
    uint32_t k = 0;
    while (!value_equal(t->e[k].key, key)) k++;
    return without_entry(st, t, k, 0);
  }
  uint32_t bit = bit_of(hash, shift);
  if (t->datamap & bit) return without_entry(st, t, below(t->datamap, bit), bit);
  hnode *s = node_remove(st, hnode_subs(t)[below(t->nodemap, bit)], shift + BITS, key, hash);
  if (!s) return NULL;
  /* An entry alone moves up; it stops where the node above has anything else, or at the root. */
  if (s->count == 1 && s->h.n == 1) return sub_to_entry(st, t, bit, s->e[0]);
  return with_sub(st, t, bit, s);
}

val hamt_remove(norn_state *st, val m, val key, uint64_t hash)
{
  const hnode *t = ((map *)m.p)->root;
  if (!find(t, key, hash)) return m;
  hnode *r = node_remove(st, t, 0, key, hash);
  if (!r) return norn_none();
  return map_of(st, r->count ? r : NULL);
}
