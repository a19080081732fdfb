/* compiled.h: for tests of generated text: the C compiler makes a shared object of it, with the headers
   of the source tree. */
#ifndef NORN_COMPILED_H
#define NORN_COMPILED_H
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The object, or NULL with what the compiler said on stderr.  flags: more words for it. */
static void *compiled(const char *code, size_t n, const char *flags)
{
  char folder[] = "/tmp/norn_text_XXXXXX", path[80], command[2000];
  const char *cc = getenv("CC"), *top = getenv("srcdir");
  if (!mkdtemp(folder)) return NULL;
  snprintf(path, sizeof path, "%s/t.c", folder);
  FILE *f = fopen(path, "w");
  if (!f || fwrite(code, 1, n, f) != n || fclose(f)) return NULL;
  snprintf(command, sizeof command,
           "%s -std=c11 -D_GNU_SOURCE -O1 -ffp-contract=off -fno-math-errno -w -shared -fPIC %s -I%s/src "
           "-I%s/include -o %s/t.so %s -lm", cc && *cc ? cc : "cc", flags, top ? top : "..", top ? top : "..",
           folder, path);
  int failed = system(command);
  char object[80];
  snprintf(object, sizeof object, "%s/t.so", folder);
  void *o = failed ? NULL : dlopen(object, RTLD_NOW | RTLD_LOCAL);
  if (!o && !failed) fprintf(stderr, "%s\n", dlerror());
  if (!getenv("NORN_KEEP_TEXT")) {
    unlink(path);
    unlink(object);
    rmdir(folder);
  }
  return o;
}

/* A function of the object, as a pointer of any type: memcpy from what this gives. */
#define COMPILED(object, name, to)                        \
  do {                                                    \
    void *compiled_p = dlsym(object, name);               \
    memcpy(&(to), &compiled_p, sizeof(to));               \
  } while (0)
#endif
