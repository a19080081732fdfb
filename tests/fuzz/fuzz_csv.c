/* fuzz_csv.c: any bytes are a table or an error; a table that was read has columns of one length
   and can be written. */
#include "io/csv.h"
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
  static const char *const na[] = { "NA", "." };
  norn_datum v, column;
  mem m;
  text t;
  if (!st) return 0;
  mem_init(&m);
  m.alloc = state_alloc;
  m.user = st;
  text_init(&t, &m);
  for (int k = 0; k < 4; k++) {
    const csv_options how = {
      .na = na, .nna = 2, .nan = k & 1, .header = !(k & 2), .sep = k & 1 ? ';' : 0,
      .decimal = k & 2 ? ',' : '.', .types = norn_none()
    };
    norn_clear(st);
    if (csv_table_read(st, "fuzz", (const char *)s, n, &how, &v)) continue;
    int64_t rows = -1;
    for (int j = 0; j < norn_record_size(v); j++) {
      norn_record_at(st, v, j, &column);
      if (rows >= 0 && norn_array_length(column) != rows) abort();
      rows = norn_array_length(column);
    }
    t.n = 0;
    if (csv_table_write(st, v, &how, &t)) abort();
  }
  text_free(&t);
  norn_free(st);
  return 0;
}

#include "replay.h"
