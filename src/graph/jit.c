/* jit: the C compiler makes the scans of a program (emit.c) into a shared object, in the
   background.

   When evaluations have taken LONG_ENOUGH, the text is looked for in the cache (base/cache.h).  If it is
   not there, cc ($CC) is started without a shell, writes beside it and is asked for now and then; what it
   made is renamed into place.  Evaluations go on meanwhile.  Since the code gives the same bits (emit.c),
   it does not matter when it comes in, or whether: a compiler that is not there is no error. */
#include "graph/jit.h"
#include "base/cache.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONG_ENOUGH 50000.0          /* microseconds */
#define WORTH 0.3                    /* microseconds of an evaluation in scans, at least */
enum { ASK = 2000 };                 /* microseconds between looks at the compiler */

struct jit {
  norn_state *st;
  enum { JIT_IDLE, JIT_WAITS, JIT_BUILDS, JIT_RUNS, JIT_NEVER } state;
  int waited;                        /* looks at another's build */
  int64_t left;                      /* evaluations until the next look */
  double us;                         /* of an evaluation */
  char *text; size_t n, size;
  char base[CACHE_PATH];             /* folder/hash */
  char own[CACHE_FILE];              /* what this build writes, without ending */
  pid_t compiler;
  void *object;
};

/* ---- the object ------------------------------------------------------------------------------ */

static void *symbol(void *object, const char *what, size_t k)
{
  char name[60];
  snprintf(name, sizeof name, "norn_%s_%zu", what, k);
  return dlsym(object, name);
}

/* Takes the functions from the cached object, if it is there and right. */
static bool take(program *p, jit *j)
{
  char path[CACHE_FILE];
  if (!cache_has(cache_file(path, j->base, ".c"), j->text, j->n)) return false;
  int file = cache_open(cache_file(path, j->base, ".so"));
  if (file >= 0) close(file);
  if (file < 0 || !(j->object = dlopen(path, RTLD_NOW | RTLD_LOCAL))) return false;
  for (size_t k = 0; k < p->nscan; k++) {
    scan *s = &p->scan[k];
    if (!jit_wants(s)) continue;
    void *f = symbol(j->object, "forward", k), *b = symbol(j->object, "backward", k);
    memcpy(&s->forward, &f, sizeof f);
    memcpy(&s->backward, &b, sizeof b);
  }
  j->state = JIT_RUNS;
  return true;
}

/* Starts the compiler: $CC or cc, whose words are its first arguments. */
static bool start(jit *j)
{
  char words[300], source[CACHE_FILE], object[CACHE_FILE], *argv[24];
  int n = 0;
  posix_spawn_file_actions_t files;
  extern char **environ;
  const char *cc = getenv("CC");
  snprintf(words, sizeof words, "%s", cc && *cc ? cc : "cc");
  for (char *w = strtok(words, " "); w && n < 10; w = strtok(NULL, " ")) argv[n++] = w;
  if (!n || !cache_write(cache_file(source, j->own, ".c"), j->text, j->n)) return false;
  cache_file(object, j->own, ".so");
  char *rest[] = {"-std=c11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-w", "-shared",
                  "-fPIC",
                  "-o", object, source, NULL};
  memcpy(argv + n, rest, sizeof rest);
  if (posix_spawn_file_actions_init(&files)) return false;
  bool good = !posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) &&
              !posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) &&
              !posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) &&
              !posix_spawnp(&j->compiler, argv[0], &files, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  if (!good) unlink(source);
  return good;
}

static void finish(jit *j)
{
  norn_alloc(j->st, j->text, j->size, 0);
  j->text = NULL;
}

/* Takes what is there, or starts, or waits for another that builds the same. */
static void build(program *p, jit *j)
{
  enum { LOOKS = 5000 };
  j->state = JIT_NEVER;
  if (take(p, j)) finish(j);
  else if (!cache_lock(j->base)) {
    if (j->waited++ < LOOKS) j->state = JIT_WAITS;
    else finish(j);
  } else if (start(j)) j->state = JIT_BUILDS;
  else {
    cache_unlock(j->base);
    finish(j);
  }
}

static void begin(program *p, jit *j)
{
  j->state = JIT_NEVER;
  if (!(j->text = jit_text(p, &j->n, &j->size))) return;
  if (!cache_base(j->base, j->text, j->n)) {
    finish(j);
    return;
  }
  cache_own(j->own, j->base, j);
  build(p, j);
}

/* The compiler has ended: what it made gets its name. */
static void complete(program *p, jit *j, bool made)
{
  char from[CACHE_FILE], to[CACHE_FILE];
  j->state = JIT_NEVER;
  if (made && !rename(cache_file(from, j->own, ".c"), cache_file(to, j->base, ".c")) &&
      !rename(cache_file(from, j->own, ".so"), cache_file(to, j->base, ".so")))
    take(p, j);
  cache_unlock(j->base);
  unlink(cache_file(from, j->own, ".c"));
  unlink(cache_file(from, j->own, ".so"));
  finish(j);
}

static void look(program *p, jit *j, int options)
{
  int status = 0;
  pid_t which = waitpid(j->compiler, &status, options);
  if (which == 0 || (which < 0 && errno == EINTR)) return;
  complete(p, j, which > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- a program's code ------------------------------------------------------------------------ */

jit *jit_new(program *p)
{
  const norn_config *c = norn_config_of(p->st);
  double us = 0;
  if (c->no_jit || c->no_files || c->no_foreign) return NULL;
  for (size_t k = 0; k < p->nscan; k++)
    if (jit_wants(&p->scan[k])) us += scan_cost(&p->scan[k]) / 1000;
  if (us < WORTH) return NULL;
  jit *j = norn_alloc(p->st, NULL, 0, sizeof *j);
  if (!j) return NULL;
  *j = (jit){.st = p->st, .us = us, .left = (int64_t)(LONG_ENOUGH / us)};
  return j;
}

void jit_free(jit *j)
{
  char path[CACHE_FILE];
  if (!j) return;
  if (j->state == JIT_BUILDS) {
    kill(j->compiler, SIGTERM);
    while (waitpid(j->compiler, NULL, 0) < 0 && errno == EINTR) { }
    unlink(cache_file(path, j->own, ".c"));
    unlink(cache_file(path, j->own, ".so"));
    cache_unlock(j->base);
  }
  if (j->object) dlclose(j->object);
  norn_alloc(j->st, j->text, j->size, 0);
  norn_alloc(j->st, j, sizeof *j, 0);
}

void jit_turn(program *p, jit *j)
{
  if (--j->left > 0) return;
  j->left = (int64_t)(ASK / j->us) + 1;
  norn_lock(j->st);                  /* clones may be in other threads */
  if (j->state == JIT_IDLE) begin(p, j);
  else if (j->state == JIT_WAITS) build(p, j);
  else if (j->state == JIT_BUILDS) look(p, j, WNOHANG);
  else j->left = INT64_MAX;
  norn_unlock(j->st);
}

bool jit_wait(program *p, jit *j)
{
  if (!j) return false;
  if (j->state == JIT_IDLE) begin(p, j);
  while (j->state == JIT_WAITS || j->state == JIT_BUILDS) {
    if (j->state == JIT_BUILDS) look(p, j, 0);
    else {
      nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
      build(p, j);
    }
  }
  return j->state == JIT_RUNS;
}
