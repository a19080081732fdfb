/* array.h: what the files about arrays share.

   Growing.  An append goes in place when the array ends where its buffer's filled part ends.  When
   the buffer is full the first to append copies it to one twice as large and marks it grown: an
   array with one owner stays flat.  Whoever comes second (a forked particle) gets a short tail
   whose parent is the shared buffer, so that forks pay for what they add and not for what they
   share:

        b:   [0 ........................ 1000)  grown or appended to by another
                                       ^ end of this array
        tail:                           [1000 .. 1004 |cap)   parent b, base 1000

   A tail is flattened when something far back in it is read. */
#ifndef NORN_LANG_ARRAY_H
#define NORN_LANG_ARRAY_H
#include "lang/state.h"

static inline size_t elem_bytes(unsigned elem)
{
  return elem == NORN_B8 ? 1 : elem == NORN_VALUES ? sizeof(val) : 8;
}

/* Where element i (base <= i) of a buffer lies. */
static inline void *buf_at(const buf *b, uint64_t i)
{
  return (char *)b + BUF_HEADER + (i - b->base) * elem_bytes(b->h.aux);
}

/* A tail keeps its state behind its elements, so that whoever reads it can flatten it. */
static inline norn_state **buf_state(const buf *b)
{
  return (norn_state **)(void *)((char *)b + BUF_HEADER +
                                 ((b->cap - b->base) * elem_bytes(b->h.aux) + 7) / 8 * 8);
}

static inline val elem_value(unsigned elem, const void *p, int64_t i)
{
  switch (elem) {
  case NORN_F64: return norn_real(((const double *)p)[i]);
  case NORN_I64: return norn_int(((const int64_t *)p)[i]);
  case NORN_B8: return norn_bool(((const uint8_t *)p)[i]);
  default: return ((const val *)p)[i];
  }
}

static inline unsigned vec_elem(const vec *v) { return v->b ? v->b->h.aux : NORN_VALUES; }
static inline int vec_rank(const vec *v) { return v->h.aux; }
/* The elements of a flat array. */
static inline void *vec_elems(const vec *v) { return v->b ? buf_at(v->b, (uint64_t)v->off) : NULL; }
/* len rows of a buffer from element off; inner: the rank - 1 inner dimensions.  NULL: no memory
   (error set). */
vec *vec_view(norn_state *, buf *, int rank, int64_t off, int64_t len, const int64_t *inner);
/* As vec_new, but with elements that are not yet written; not for VALUES that are not filled at
   once. */
vec *vec_raw(norn_state *, unsigned elem, int rank, const int64_t *dims);
val  vec_empty(norn_state *);
/* vec_flat for code that has no state at hand; NULL: no memory. */
vec *vec_settle(vec *);
static inline bool vec_is_own(const norn_state *st, const vec *v)
{
  return !st->home || v->h.n == st->worker;
}
/* Whoever has the end of a buffer and is its worker may append to it. */
static inline bool buf_is_own(const norn_state *st, const buf *b) { return b->h.n >> 1 == st->worker; }
/* An array of VALUES packed again, if it can be; else the same.  NONE: no memory (error set). */
val  vec_repack(norn_state *, val);
/* True if both are arrays of the same shape (packing aside). */
bool vec_same_shape(const vec *, const vec *);
/* "[3, 4]" */
const char *vec_shape_text(const vec *, char *out, size_t n);
#endif
