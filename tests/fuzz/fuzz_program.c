/* fuzz_program.c: any text is a program or an error at a place; small limits end what it does. */
#include "norn.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void no_output(void *user, const char *s, size_t n)
{
  (void)user;
  (void)s;
  (void)n;
}

/* No module but what is built in. */
static char *no_file(void *user, const char *name, const char *importer, size_t *n)
{
  (void)user;
  (void)name;
  (void)importer;
  *n = 0;
  return calloc(1, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.no_foreign = c.no_files = true;      /* a mutation must not call or write anything outside */
  c.output = no_output;
  c.load = no_file;
  c.quiet = true;
  c.max_memory = 64 << 20;
  c.max_steps = 20000;
  c.max_depth = 2000;
  c.max_seconds = 1;
  norn_state *st = norn_new_bare(&c);
  if (!st) return 0;
  norn_datum v;
  norn_status status = norn_eval(st, "fuzz", (const char *)s, n, 0, &v);
  char text[4096];
  if (status) {
    const norn_err *e = norn_error(st);
    if (!e || e->code == NORN_OK || e->text[0] == 0) abort();   /* a failure always says why */
    norn_error_text(st, e, text, sizeof text);
  } else {
    norn_show(st, v, true, 1000);
  }
  norn_free(st);
  return 0;
}

#include "replay.h"
