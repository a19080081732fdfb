/* jit: the C compiler makes the scans of a program (emit.c) into a shared object, in the
   background.

   When evaluations have taken LONG_ENOUGH, the text is looked for in the cache, a private folder
   ($XDG_CACHE_HOME/norn, or ~/.cache/norn), by a hash of it.  If it is not there, cc ($CC) is
   started without a shell, writes beside it and is asked for now and then; what it made is renamed
   into place. A cached object counts only if the text beside it is this one to the last byte, and
   both are ours.  Evaluations go on meanwhile.  Since the code gives the same bits (emit.c), it
   does not matter when it comes in, or whether: a compiler that is not there is no error. */
#include "graph/jit.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONG_ENOUGH 50000.0          /* microseconds */
#define WORTH 0.3                    /* microseconds of an evaluation in scans, at least */
enum { PATH = 700, ASK = 2000 };     /* ASK: microseconds between looks at the compiler */

struct jit {
  norn_state *st;
  enum { JIT_IDLE, JIT_WAITS, JIT_BUILDS, JIT_RUNS, JIT_NEVER } state;
  int waited;                        /* looks at another's build */
  int64_t left;                      /* evaluations until the next look */
  double us;                         /* of an evaluation */
  char *text; size_t n, size;
  char base[PATH];                   /* folder/hash */
  char own[PATH + 60];               /* what this build writes, without ending */
  pid_t compiler;
  void *object;
};

/* ---- files ----------------------------------------------------------------------------------- */

/* A folder of ours that nobody else may enter, made if it is not there. */
static bool folder_ours(const char *path)
{
  struct stat s;
  if (mkdir(path, 0700) && errno != EEXIST) return false;
  return !lstat(path, &s) && S_ISDIR(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & 077);
}

static bool cache_folder(char *path)
{
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  int n;
  if (cache && *cache == '/') n = snprintf(path, PATH - 40, "%s", cache);
  else if (home && *home == '/') n = snprintf(path, PATH - 40, "%s/.cache", home);
  else return false;
  if (n < 0 || n >= PATH - 40) return false;
  if (mkdir(path, 0700) && errno != EEXIST) return false;
  strcat(path, "/norn");
  return folder_ours(path);
}

static uint64_t hash_of(const char *s, size_t n, uint64_t h)
{
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
  return h ^ h >> 29;
}

static bool is_ours(int file)
{
  struct stat s;
  return !fstat(file, &s) && S_ISREG(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & 022);
}

static bool has_text(const char *path, const char *text, size_t n)
{
  char b[4096];
  size_t at = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return false;
  bool same = is_ours(file);
  for (ssize_t k = 1; same && k > 0;) {
    k = read(file, b, sizeof b);
    same = k >= 0 && (size_t)k <= n - at && !memcmp(b, text + at, (size_t)(k > 0 ? k : 0));
    at += k > 0 ? (size_t)k : 0;
  }
  close(file);
  return same && at == n;
}

static bool write_text(const char *path, const char *text, size_t n)
{
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return false;
  size_t at = 0;
  for (ssize_t k = 1; at < n && k > 0; at += k > 0 ? (size_t)k : 0)
    k = write(file, text + at, n - at);
  return !close(file) && at == n;
}

static const char *ending(char *to, const char *base, const char *end)
{
  snprintf(to, PATH + 80, "%s%s", base, end);
  return to;
}

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
  char path[PATH + 80];
  if (!has_text(ending(path, j->base, ".c"), j->text, j->n)) return false;
  int file = open(ending(path, j->base, ".so"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  bool good = file >= 0 && is_ours(file);
  if (file >= 0) close(file);
  if (!good || !(j->object = dlopen(path, RTLD_NOW | RTLD_LOCAL))) return false;
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
  char words[300], source[PATH + 80], object[PATH + 80], *argv[24];
  int n = 0;
  posix_spawn_file_actions_t files;
  extern char **environ;
  const char *cc = getenv("CC");
  snprintf(words, sizeof words, "%s", cc && *cc ? cc : "cc");
  for (char *w = strtok(words, " "); w && n < 10; w = strtok(NULL, " ")) argv[n++] = w;
  if (!n || !write_text(ending(source, j->own, ".c"), j->text, j->n)) return false;
  ending(object, j->own, ".so");
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

/* One of several chains or runs with this text builds it: that which could make the file that says
   so. It counts for a minute at most. */
static bool lock(jit *j)
{
  char path[PATH + 80];
  struct stat s;
  ending(path, j->base, ".lock");
  if (!lstat(path, &s) && time(NULL) - s.st_mtime > 60) unlink(path);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return false;
  close(file);
  return true;
}

static void unlock(jit *j)
{
  char path[PATH + 80];
  unlink(ending(path, j->base, ".lock"));
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
  else if (!lock(j)) {
    if (j->waited++ < LOOKS) j->state = JIT_WAITS;
    else finish(j);
  } else if (start(j)) j->state = JIT_BUILDS;
  else {
    unlock(j);
    finish(j);
  }
}

static void begin(program *p, jit *j)
{
  char folder[PATH];
  j->state = JIT_NEVER;
  if (!cache_folder(folder) || !(j->text = jit_text(p, &j->n, &j->size))) return;
  snprintf(j->base, sizeof j->base, "%.600s/%016llx%016llx", folder,
           (unsigned long long)hash_of(j->text, j->n, 0xcbf29ce484222325u),
           (unsigned long long)hash_of(j->text, j->n, 0x9e3779b97f4a7c15u));
  snprintf(j->own, sizeof j->own, "%s.%ld.%p", j->base, (long)getpid(), (void *)j);
  build(p, j);
}

/* The compiler has ended: what it made gets its name. */
static void complete(program *p, jit *j, bool made)
{
  char from[PATH + 80], to[PATH + 80];
  j->state = JIT_NEVER;
  if (made && !rename(ending(from, j->own, ".c"), ending(to, j->base, ".c")) &&
      !rename(ending(from, j->own, ".so"), ending(to, j->base, ".so")))
    take(p, j);
  unlock(j);
  unlink(ending(from, j->own, ".c"));
  unlink(ending(from, j->own, ".so"));
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
  char path[PATH + 80];
  if (!j) return;
  if (j->state == JIT_BUILDS) {
    kill(j->compiler, SIGTERM);
    while (waitpid(j->compiler, NULL, 0) < 0 && errno == EINTR) { }
    unlink(ending(path, j->own, ".c"));
    unlink(ending(path, j->own, ".so"));
    unlock(j);
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
