/* cc: the C compiler makes a text into a shared object, in the background (base/cache.h keeps it). */
#ifndef NORN_GRAPH_CC_H
#define NORN_GRAPH_CC_H
#include "norn.h"

typedef struct cc cc;
typedef enum { CC_IDLE, CC_BUILDS, CC_READY, CC_NEVER } cc_state;

/* May this state start a compiler and load what it made? */
bool     cc_allowed(norn_state *);
/* Takes the object of text (n bytes; of norn_alloc and `size`, now its own) from the cache, if it is there.
   flags: compiler arguments beside the usual, NULL at the end (at most 8); they must follow from the text.
   Those that begin with -f are left out for a compiler that fails with them.  NULL: no memory (no error is
   set). */
cc      *cc_new(norn_state *, char *text, size_t n, size_t size, const char *const *flags);
/* If it is idle: starts $CC (cc) without a shell, or waits for another that builds the same. */
void     cc_start(cc *);
/* Where it stands; wait: until it is no longer being built. */
cc_state cc_look(cc *, bool wait);
/* Of an object that is ready; NULL: it has no such name. */
void    *cc_symbol(cc *, const char *name);
/* Why there is none, after CC_NEVER. */
const char *cc_why(const cc *);
/* Ends what is being built; the object's functions are gone. */
void     cc_free(cc *);
#endif
