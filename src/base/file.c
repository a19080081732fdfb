/* file.c: a whole file into memory (pipes and terminals have no size: it is read until it ends), and from
   there to the disk, all or nothing. */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- writing ---- */

static bool write_all(int fd, const char *s, size_t n)
{
  while (n) {
    ssize_t k = write(fd, s, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) {
      if (!k) errno = ENOSPC;
      return false;
    }
    s += k;
    n -= (size_t)k;
  }
  return true;
}

/* That the rename itself is on the disk; a file system that can't say so is taken at its word. */
static void sync_folder(const char *path)
{
  char folder[4096];
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 1;
  if (n >= sizeof folder) return;
  memcpy(folder, slash ? path : ".", n);
  folder[n] = 0;
  int fd = open(n ? folder : "/", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

bool file_replace(const char *path, const void *const *part, const size_t *size, int n,
                  const char **why)
{
  struct stat is;
  char fresh[4096];
  *why = "its name is too long";
  if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh) return false;
  *why = "it is there and is no file";
  if (stat(path, &is) == 0 && !S_ISREG(is.st_mode)) return false;
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool well = fd >= 0;
  for (int i = 0; well && i < n; i++) well = write_all(fd, part[i], size[i]);
  if (well) well = fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
  int err = well ? 0 : errno;
  if (fd >= 0 && close(fd) && well) well = false, err = errno;
  if (well && rename(fresh, path)) well = false, err = errno;
  if (well) {
    sync_folder(path);
    return true;
  }
  if (fd >= 0) unlink(fresh);
  *why = strerror(err);
  return false;
}
