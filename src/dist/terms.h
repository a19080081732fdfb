/* terms: the parts of a density that do not change from element to element.

     TERM(t, K_2 | K_3, e)   e, which depends on parameters 2 and 3 only, and is left out (0) where
                             the densities to be compared share these (norn_block.keep)
     ONCE(t, K_2, e)         e, never left out

   For a single number both are e, and for lanes of generated code (NORN_DIALECT), whose compiler sees
   what does not change.  Over many elements e is computed once if those parameters are single
   numbers, when it is first needed, and remembered in a slot of its own; with NORN_MEMO also where
   LANES is 1, which is for generated loops: once inlined, slots and marks are registers. */
#ifndef NORN_TERMS_H
#define NORN_TERMS_H
#include "num/vspecial.h"

enum { K_X = 1, K_1 = 2, K_2 = 4, K_3 = 8, K_4 = 16 };   /* x, then the parameters */

#ifdef NORN_DIALECT
#define NORN_KEEP_ALL 0xffffffffu
#endif

/* In generated code each has a number k (build-aux/dialect.sh): NVRTC counts nothing. */
#if defined NORN_DIALECT && defined NORN_MEMO && LANES == 1
enum { TERM_SLOTS = 512 };
typedef struct term_memo {
  unsigned many;                     /* bits of what varies; constant wherever it is used */
  bool done[TERM_SLOTS];
  lanes memo[TERM_SLOTS];
} *terms;
#define ONCE_N(k, t, mask, e)                                                                      \
  ((t)->many & (mask) ? (e) : (t)->done[k] ? (t)->memo[k]                                          \
                                           : ((t)->done[k] = true, (t)->memo[k] = (e)))
#define TERM_N(k, t, mask, e) ONCE_N(k, t, mask, e)

#elif defined NORN_DIALECT && !defined NORN_MEMO
typedef unsigned terms;
#define TERM_N(k, t, mask, e) ((t) & (mask) ? LANE(e) : LANE(0.0))
#define ONCE_N(k, t, mask, e) ((void)(t), (void)(mask), LANE(e))

#elif LANES == 1
typedef unsigned terms;
#define TERM(t, mask, e) ((t) & (mask) ? (e) : 0.0)
#define ONCE(t, mask, e) ((void)(t), (void)(mask), (e))

#else
enum { TERM_SLOTS = 512 };
typedef struct term_memo {
  unsigned keep, many;
  uint64_t done[TERM_SLOTS / 64];
  lanes memo[TERM_SLOTS];
} *terms;

/* Whether slot k must be computed now. */
static inline __attribute__((always_inline)) bool term_due(terms t, unsigned mask, int k)
{
  uint64_t bit = (uint64_t)1 << (k & 63);
  if (t->many & mask) return true;
  if (__builtin_expect(t->done[k >> 6] & bit, 1)) return false;
  t->done[k >> 6] |= bit;
  return true;
}
static inline __attribute__((always_inline)) bool term_kept(terms t, unsigned mask)
{
  return t->keep & mask;
}
#define ONCE_AT(t, mask, e, k) __extension__({                                                     \
    if (term_due(t, mask, k)) (t)->memo[k] = LANE(e);                                              \
    (t)->memo[k]; })
#define TERM_AT(t, mask, e, k) __extension__({                                                     \
    if (term_due(t, mask, k)) {                                                                    \
      if (term_kept(t, mask)) (t)->memo[k] = LANE(e);                                              \
      else memset(&(t)->memo[k], 0, sizeof (t)->memo[k]);                                          \
    }                                                                                              \
    (t)->memo[k]; })
#define TERM(t, mask, e) TERM_AT(t, mask, e, __COUNTER__)
#define ONCE(t, mask, e) ONCE_AT(t, mask, e, __COUNTER__)
#define TERM_N(k, t, mask, e) TERM_AT(t, mask, e, k)
#define ONCE_N(k, t, mask, e) ONCE_AT(t, mask, e, k)
#endif
#endif
