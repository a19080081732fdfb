/* cache.c: see cache.h. */
#include "base/cache.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
  if (cache && *cache == '/') n = snprintf(path, CACHE_PATH - 40, "%s", cache);
  else if (home && *home == '/') n = snprintf(path, CACHE_PATH - 40, "%s/.cache", home);
  else return false;
  if (n < 0 || n >= CACHE_PATH - 40) return false;
  if (mkdir(path, 0700) && errno != EEXIST) return false;
  strcat(path, "/norn");
  return folder_ours(path);
}

static uint64_t hash_of(const char *s, size_t n, uint64_t h)
{
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
  return h ^ h >> 29;
}

bool cache_base(char base[CACHE_PATH], const char *text, size_t n)
{
  char folder[CACHE_PATH];
  if (!cache_folder(folder)) return false;
  snprintf(base, CACHE_PATH, "%.600s/%016llx%016llx", folder,
           (unsigned long long)hash_of(text, n, 0xcbf29ce484222325u),
           (unsigned long long)hash_of(text, n, 0x9e3779b97f4a7c15u));
  return true;
}

const char *cache_file(char to[CACHE_FILE], const char *base, const char *ending)
{
  snprintf(to, CACHE_FILE, "%s%s", base, ending);
  return to;
}

void cache_own(char own[CACHE_FILE], const char *base, const void *self)
{
  snprintf(own, CACHE_FILE, "%s.%ld.%p", base, (long)getpid(), self);
}

bool cache_is_ours(int file)
{
  struct stat s;
  return !fstat(file, &s) && S_ISREG(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & 022);
}

int cache_open(const char *path)
{
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0 || cache_is_ours(file)) return file;
  close(file);
  return -1;
}

bool cache_has(const char *path, const char *text, size_t n)
{
  char b[4096];
  size_t at = 0;
  int file = cache_open(path);
  bool same = file >= 0;
  for (ssize_t k = 1; same && k > 0;) {
    k = read(file, b, sizeof b);
    same = k >= 0 && (size_t)k <= n - at && !memcmp(b, text + at, (size_t)(k > 0 ? k : 0));
    at += k > 0 ? (size_t)k : 0;
  }
  if (file >= 0) close(file);
  return same && at == n;
}

bool cache_write(const char *path, const void *bytes, size_t n)
{
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return false;
  size_t at = 0;
  for (ssize_t k = 1; at < n && k > 0; at += k > 0 ? (size_t)k : 0)
    k = write(file, (const char *)bytes + at, n - at);
  return !close(file) && at == n;
}

bool cache_lock(const char *base)
{
  char path[CACHE_FILE];
  struct stat s;
  cache_file(path, base, ".lock");
  if (!lstat(path, &s) && time(NULL) - s.st_mtime > 60) unlink(path);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return false;
  close(file);
  return true;
}

void cache_unlock(const char *base)
{
  char path[CACHE_FILE];
  unlink(cache_file(path, base, ".lock"));
}
