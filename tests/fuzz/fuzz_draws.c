/* fuzz_draws.c: any bytes are draws in CSV or an error; draws that were read make up values, and what
   is written of them is read again. */
#include "io/stan_csv.h"
#include "drawset_use.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void write_again(norn_state *st, mem *m, drawset *set)
{
  text t;
  drawset copy;
  stan_csv_file file;
  text_init(&t, m);
  if (!stan_csv_head(set, "# again\n", NULL, &t)) abort();
  size_t head = t.n;
  for (int64_t i = 0; i < set->n; i++) {
    for (size_t k = 0; k < set->nvar; k++)
      if (set->var[k].size > 0)
        memcpy(set->var[k].x, set->var[k].all + i * set->var[k].size,
               (size_t)set->var[k].size * sizeof(double));
    if (!stan_csv_row(set, &t)) abort();
  }
  drawset_init(&copy, st, m);
  if (t.n > head + (size_t)set->n && !t.failed && stan_csv_read(st, "again", t.s, t.n, &copy, &file) &&
      norn_error(st)->code != NORN_EMEMORY) abort();
  drawset_free(&copy);
  text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  mem m;
  drawset set;
  stan_csv_file file;
  norn_state *st = state_with(&m);
  if (!st) return 0;
  drawset_init(&set, st, &m);
  if (stan_csv_read(st, "fuzz", (const char *)s, n, &set, &file) == NORN_OK) {
    use_set(&set);
    write_again(st, &m, &set);
  } else if (!norn_error(st)->code) abort();
  drawset_free(&set);
  norn_free(st);
  return 0;
}

#include "replay.h"
