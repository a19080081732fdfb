/* pair.h: the two models of a program in examples/posteriordb, NAME(...) as its formulas are written and
   NAME_vectors(...), which takes the same.  The program is read as far as its inference, whose model
   is then what the text ends in. */
#ifndef NORN_TEST_PAIR_H
#define NORN_TEST_PAIR_H
#include "norn.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text up to `let post`, and NAME<more>(...) of `let post = infer(NAME(...), ...)`; NULL: it has
   no such line.  To be freed. */
static inline char *pair_text(const char *path, const char *more)
{
  FILE *f = fopen(path, "rb");
  char *text = calloc(1, 1 << 16), *out = NULL, *name, *post;
  if (f && text && fread(text, 1, (1 << 16) - 1, f) && (post = strstr(text, "\nlet post = infer("))) {
    int depth = 0;
    size_t called, n;
    name = post + strlen("\nlet post = infer(");
    called = strcspn(name, "(");
    for (n = called; name[n] && (depth += (name[n] == '(') - (name[n] == ')')); n++) {}
    out = malloc(strlen(text) + 64);
    if (out) sprintf(out, "%.*s\n%.*s%s%.*s", (int)(post - text), text, (int)called, name, more,
                     (int)(n + 1 - called), name + called);
  }
  if (f) fclose(f);
  free(text);
  return out;
}

/* The model: a NONE with the state's error set, or, if the file is none of such programs, without. */
static inline norn_datum pair_model(norn_state *st, const char *path, const char *more)
{
  norn_datum m = norn_none();
  char *text = pair_text(path, more);
  if (text && norn_eval(st, path, text, strlen(text), 0, &m)) m = norn_none();
  free(text);
  return m;
}

static inline int pair_file(const struct dirent *e)
{
  size_t n = strlen(e->d_name);
  return n > 5 && n < 60 && !strcmp(e->d_name + n - 5, ".norn") && strcmp(e->d_name, "reference.norn");
}
#endif
