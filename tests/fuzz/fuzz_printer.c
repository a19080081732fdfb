/* fuzz_printer.c: the printer of errors on any text and any span. */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  if (n < 4) return 0;
  mem m;
  mem_init(&m);
  sources all;
  sources_init(&all, &m);
  text t;
  text_init(&t, &m);
  norn_err e;
  uint32_t file = sources_add(&all, "fuzz", (const char *)s, n);
  uint32_t start = (uint32_t)(s[0] * 5u + s[1]), end = start + s[2] % 128;
  error_set(&e, NORN_EUSE, (norn_span){file, start, end}, "%.*s", (int)n, (const char *)s);
  error_hint(&e, "%.*s", (int)n, (const char *)s);
  e.trace[e.ntrace++] = (norn_span){file, end, start};
  e.trace[e.ntrace++] = (norn_span){file, s[3], (uint32_t)n + 5};
  error_print(&t, &all, "error", &e);
  text_quoted(&t, (const char *)s, n);
  if (t.failed || strlen(t.s) != t.n) abort();
  text_free(&t);
  sources_free(&all);
  if (m.used) abort();
  return 0;
}

#include "replay.h"
