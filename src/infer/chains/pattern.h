/* pattern: which choices the user means: patterns of addresses, in which * stands for anything:
   "theta*", "z[*].k".  (pmmh(on = ...), mh(on = ...), gibbs({...}).) */
#ifndef NORN_INFER_PATTERN_H
#define NORN_INFER_PATTERN_H
#include "infer/engine.h"

bool pattern_fits(const char *name, const char *pattern);

/* The pattern of a name's like: "z[*].k" of "z[3].k", for hints. */
void pattern_like(const char *name, char *buf, size_t n);

/* Patterns in order, and what was found for each address so far. */
typedef struct patterns {
  norn_state *st;
  norn_ref *text;                      /* an array of strings; NULL: there are none */
  int64_t n;
  uint64_t *key; int32_t *which; size_t size, used;    /* open addressing; which + 1 */
  uint64_t hit;                        /* bit i: an address that was asked for fits pattern i < 64 */
  bool failed;                         /* no memory: the error is set */
} patterns;
/* A string, or an array of strings; `what` for the message: "on of mh".  false: error set. */
bool       patterns_new(norn_state *, patterns *, norn_datum, const char *what);
void       patterns_free(patterns *);
/* The first that the address fits, or -1.  Its name must be known (NORN_RUN_NAMES). */
int        patterns_which(patterns *, uint64_t addr);
static inline bool patterns_have(patterns *p, uint64_t addr) { return patterns_which(p, addr) >= 0; }
/* The same by the names of another state, in which a run of this one goes on for now (crew.c): nothing is kept. */
int        patterns_elsewhere(patterns *, norn_state *, uint64_t addr);
const char *patterns_text(const patterns *, int64_t i);
/* The first pattern that none of the addresses asked for so far fits, or NULL. */
const char *patterns_unfit(const patterns *);
/* "a, b, theta[0] and 7 more": the addresses, for hints. */
void       patterns_list(norn_state *, const uint64_t *addr, size_t n, size_t stride, char *buf,
                         size_t room);
#endif
