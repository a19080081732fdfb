/* fuzz_json.c: any bytes are JSON or an error; what was read is written and read back the same. */
#include "io/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void *state_alloc(void *user, void *p, size_t old, size_t n)
{
  return norn_alloc(user, p, old, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  norn_state *st = norn_new_bare(&c);
  norn_datum v, again;
  mem m;
  text t;
  if (!st) return 0;
  mem_init(&m);
  m.alloc = state_alloc;
  m.user = st;
  text_init(&t, &m);
  for (unsigned flags = 0; flags <= JSON_IO_EXACT; flags += JSON_IO_EXACT) {
    norn_clear(st);
    if (json_read(st, "fuzz", (const char *)s, n, flags, &v)) continue;
    t.n = 0;
    if (json_write(st, v, (int)(n % 3), flags, &t)) abort();
    if (json_read(st, "fuzz", t.s, t.n, flags, &again) && t.n < 1 << 20) abort();
    if (!(flags & JSON_IO_EXACT) && !norn_equal(v, again)) abort();
  }
  text_free(&t);
  norn_free(st);
  return 0;
}

#include "replay.h"
