/* cc: the C compiler in the background (cc.h).  The text is looked for in the cache; if it is not there, the
   compiler is started without a shell, writes beside it and is asked for now and then; what it made is renamed
   into place.  A compiler that is not there is no error. */
#include "graph/cc.h"
#include "base/base.h"
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

enum { FLAGS = 8 };

struct cc {
  norn_state *st;
  enum { IDLE, WAITS, BUILDS, RUNS, NEVER } state;
  int waited;                        /* looks at another's build */
  char *text; size_t n, size;        /* until it is no longer needed */
  const char *flags[FLAGS + 1];
  char base[CACHE_PATH];             /* folder/hash */
  char own[CACHE_FILE];              /* what this build writes, without ending */
  pid_t compiler;
  void *object;
  bool homeless;                     /* the cache has no folder */
  bool plain;                        /* without flags -f..., which not all compilers know */
};

bool cc_allowed(norn_state *st)
{
  const norn_config *c = norn_config_of(st);
  return !c->no_jit && !c->no_files && !c->no_foreign;
}

/* Loads the cached object, if it is there and right. */
static bool take(cc *c)
{
  char path[CACHE_FILE];
  if (!cache_has(cache_file(path, c->base, ".c"), c->text, c->n)) return false;
  int file = cache_open(cache_file(path, c->base, ".so"));
  if (file >= 0) close(file);
  if (file < 0 || !(c->object = dlopen(path, RTLD_NOW | RTLD_LOCAL))) return false;
  c->state = RUNS;
  return true;
}

/* Starts the compiler: $CC or cc, whose words are its first arguments; if one of them says how to optimise,
   we do not. */
static bool start(cc *c)
{
  char words[300], from[CACHE_FILE], object[CACHE_FILE], *argv[36], *save;
  int n = 0;
  posix_spawn_file_actions_t files;
  extern char **environ;
  const char *name = getenv("CC");
  snprintf(words, sizeof words, "%s", name && *name ? name : "cc");
  for (char *w = strtok_r(words, " ", &save); w && n < 10; w = strtok_r(NULL, " ", &save)) argv[n++] = w;
  if (!n || !cache_write(cache_file(from, c->own, ".c"), c->text, c->n)) return false;
  cache_file(object, c->own, ".so");
  char *rest[] = {"-std=c11", "-ffp-contract=off", "-fno-math-errno", "-w", "-shared", "-fPIC", "-o",
                  object, from};
  bool said = false;
  for (int i = 1; i < n; i++) said |= !strncmp(argv[i], "-O", 2);
  if (!said) argv[n++] = "-O2";
  for (int i = 0; c->flags[i]; i++) {
    if (said && !strncmp(c->flags[i], "-O", 2)) continue;
    if (!c->plain || strncmp(c->flags[i], "-f", 2)) argv[n++] = (char *)(uintptr_t)c->flags[i];
  }
  for (int i = 0; i < NORN_COUNT(rest); i++) argv[n++] = rest[i];
  argv[n] = NULL;
  if (posix_spawn_file_actions_init(&files)) return false;
  bool good = !posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) &&
              !posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) &&
              !posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) &&
              !posix_spawnp(&c->compiler, argv[0], &files, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  if (!good) unlink(from);
  return good;
}

static void finish(cc *c)
{
  norn_alloc(c->st, c->text, c->size, 0);
  c->text = NULL;
}

/* Takes what is there, or starts, or waits for another that builds the same. */
static void build(cc *c)
{
  enum { LOOKS = 5000 };
  c->state = NEVER;
  if (take(c)) finish(c);
  else if (!cache_lock(c->base)) {
    if (c->waited++ < LOOKS) c->state = WAITS;
    else finish(c);
  } else if (start(c)) c->state = BUILDS;
  else {
    cache_unlock(c->base);
    finish(c);
  }
}

cc *cc_new(norn_state *st, char *words, size_t n, size_t size, const char *const *flags)
{
  cc *c = norn_alloc(st, NULL, 0, sizeof *c);
  if (!c) {
    norn_alloc(st, words, size, 0);
    return NULL;
  }
  *c = (cc){ .st = st, .state = NEVER, .text = words, .n = n, .size = size };
  for (int i = 0; flags && flags[i] && i < FLAGS; i++) c->flags[i] = flags[i];
  if (!cache_base(c->base, c->text, c->n)) {
    c->homeless = true;
    finish(c);
    return c;
  }
  cache_own(c->own, c->base, c);
  c->state = IDLE;
  if (take(c)) finish(c);
  return c;
}

void cc_start(cc *c)
{
  if (c->state == IDLE) build(c);
}

/* The compiler has ended: what it made gets its name. */
static void complete(cc *c, bool made)
{
  char from[CACHE_FILE], to[CACHE_FILE];
  c->state = NEVER;
  if (!made && !c->plain && c->flags[0]) {
    c->plain = true;
    unlink(cache_file(from, c->own, ".c"));
    if (start(c)) {
      c->state = BUILDS;
      return;
    }
  }
  if (made && !rename(cache_file(from, c->own, ".c"), cache_file(to, c->base, ".c")) &&
      !rename(cache_file(from, c->own, ".so"), cache_file(to, c->base, ".so")))
    take(c);
  cache_unlock(c->base);
  unlink(cache_file(from, c->own, ".c"));
  unlink(cache_file(from, c->own, ".so"));
  finish(c);
}

static void ask(cc *c, int options)
{
  int status = 0;
  pid_t which = waitpid(c->compiler, &status, options);
  if (which == 0 || (which < 0 && errno == EINTR)) return;
  complete(c, which > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

cc_state cc_look(cc *c, bool wait)
{
  do {
    if (c->state == BUILDS) ask(c, wait ? 0 : WNOHANG);
    else if (c->state == WAITS) {
      if (wait) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
      build(c);
    }
  } while (wait && (c->state == BUILDS || c->state == WAITS));
  static const cc_state states[] = { CC_IDLE, CC_BUILDS, CC_BUILDS, CC_READY, CC_NEVER };
  return states[c->state];
}

const char *cc_why(const cc *c)
{
  return c->homeless ? "there is no folder to keep it in" : "the C compiler did not make it";
}

void *cc_symbol(cc *c, const char *name) { return c->object ? dlsym(c->object, name) : NULL; }

void cc_free(cc *c)
{
  char path[CACHE_FILE];
  if (!c) return;
  if (c->state == BUILDS) {
    kill(c->compiler, SIGTERM);
    while (waitpid(c->compiler, NULL, 0) < 0 && errno == EINTR) { }
    unlink(cache_file(path, c->own, ".c"));
    unlink(cache_file(path, c->own, ".so"));
    cache_unlock(c->base);
  }
  if (c->object) dlclose(c->object);
  norn_alloc(c->st, c->text, c->size, 0);
  norn_alloc(c->st, c, sizeof *c, 0);
}
