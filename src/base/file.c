/* file.c: a whole file into memory.  Pipes and terminals have no size: it is read until it ends. */
#include "base/base.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Reads to the end into a growing buffer of *cap bytes; 0 or an errno value. */
static int read_all(mem *m, FILE *f, char **s, size_t *n, size_t *cap)
{
  for (;;) {
    if (*cap - *n < 4096 && !mem_grow(m, s, cap, *n + 16384, 1)) return ENOMEM;
    size_t got = fread(*s + *n, 1, *cap - *n, f);
    *n += got;
    if (ferror(f)) return errno ? errno : EIO;
    if (got == 0) return 0;
  }
}

char *file_read(mem *m, const char *path, size_t *n, const char **why)
{
  char *s = NULL, *exact = NULL;
  size_t cap = 0;
  *n = 0;
  errno = 0;
  FILE *f = fopen(path, "rb");
  if (!f) {
    *why = strerror(errno);
    return NULL;
  }
  int err = read_all(m, f, &s, n, &cap);
  fclose(f);
  if (!err) {
    exact = mem_resize(m, s, cap, *n + 1);
    if (!exact) err = ENOMEM;
  }
  if (err) {
    mem_put(m, s, cap);
    *why = err == ENOMEM ? "not enough memory" : strerror(err);
    return NULL;
  }
  exact[*n] = 0;
  return exact;
}
