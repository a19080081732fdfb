/* host.h: a host's memory whose n-th request fails, and which counts the blocks that are not given back (norn_config's
   alloc and user). */
#ifndef NORN_TEST_HOST_H
#define NORN_TEST_HOST_H
#include <stdlib.h>

typedef struct host { long requests, fail_at, blocks; } host;

static inline void *host_alloc(void *user, void *p, size_t old, size_t n)
{
  host *h = user;
  (void)old;
  if (n == 0) {
    h->blocks -= p != NULL;
    free(p);
    return NULL;
  }
  if (++h->requests == h->fail_at) return NULL;
  void *q = realloc(p, n);
  h->blocks += q && !p;
  return q;
}
#endif
