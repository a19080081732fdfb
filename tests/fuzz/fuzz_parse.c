/* fuzz_parse.c: any text gives a tree or errors at places in it; nothing leaks, also when memory
   fails on the way. */
#include "lang/parse/parse.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void require(bool holds)
{
  if (!holds) abort();
}

static void check_places(const ast_module *mod, const diags *d, size_t n)
{
  uint32_t at = 0;
  for (uint32_t i = 0; i < mod->n; i++) {
    norn_span span = mod->v[i]->span;
    require(mod->v[i]->height <= AST_HEIGHT_MAX + 1);
    require(span.start >= at && span.start <= span.end && span.end <= n);
    at = span.start;
  }
  for (size_t i = 0; i < d->n; i++) {
    norn_span span = d->v[i].e.span;
    require(span.start <= span.end && span.end <= n && d->v[i].e.text[0]);
    require(i == 0 || d->v[i - 1].e.span.start <= span.start);
  }
}

/* Parses and prints; the fail_at-th request for memory fails.  Gives the number of requests. */
static uint64_t parse(const uint8_t *s, size_t n, uint64_t fail_at)
{
  mem m;
  sources files;
  arena a;
  diags d;
  text t;
  ast_module *mod = NULL;
  mem_init(&m);
  m.fail_at = fail_at;
  sources_init(&files, &m);
  arena_init(&a, &m);
  diags_init(&d, &m);
  text_init(&t, &m);
  uint32_t file = sources_add(&files, "fuzz", (const char *)s, n);
  if (file) {
    parse_status status = parse_module(&a, &d, &files, file, &mod);
    require(mod ? !d.failed : d.failed && status == PARSE_ERROR);
    require(!mod || (status == PARSE_OK) == (d.errors == 0));
    require(status != PARSE_MORE || d.errors == 1);
    if (mod) check_places(mod, &d, n);
    if (mod) ast_print_module(&t, mod);
    for (size_t i = 0; i < d.n; i++) error_print(&t, &files, "error", &d.v[i].e);
  }
  uint64_t requests = m.requests;
  text_free(&t);
  arena_free(&a);
  diags_free(&d);
  sources_free(&files);
  require(m.used == 0);
  return requests;
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  uint64_t requests = parse(s, n, 0);
  if (requests) parse(s, n, 1 + hash_bytes(s, n, 7) % requests);
  return 0;
}

#include "replay.h"
