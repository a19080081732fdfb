/* netcdf_read.c: the reader of InferenceData (netcdf.h).

   HDF5 is not made for files that somebody has broken: some end the process.  So the file is read
   by a child, which sends what it finds through a pipe; if it dies, the file is damaged.  The
   stream is a row of records, all numbers in the machine's own form:

       'I' n text                     info of the run
       'V' n name  stat  n description  n levels  rank  dims (i64)  count  numbers (double)
       'E' n description              a variable without numbers
       'C' chains  draws              before the first 'V'
       '!' n text                     an error
       '.'                            the end

   The parent believes none of it: it checks every length. */
#include "io/netcdf_in.h"
#include "io/json.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPU_SECONDS = 120, LONGEST = 1 << 26, VARS = 100000 };

/* ---- the child ---- */

typedef struct sender {
  const netcdf_api *nc;
  int fd;
  size_t most;                        /* numbers of a variable */
  int64_t chains, draws;
  bool begun;
} sender;

static void send_bytes(sender *s, const void *p, size_t n)
{
  const char *at = p;
  while (n > 0) {
    ssize_t k = write(s->fd, at, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) _exit(2);
    at += k;
    n -= (size_t)k;
  }
}

static void send_count(sender *s, int64_t n) { send_bytes(s, &n, sizeof n); }

static void send_text(sender *s, const char *t, size_t n)
{
  send_count(s, (int64_t)n);
  send_bytes(s, t, n);
}

static void give_up(sender *s, const char *why)
{
  send_bytes(s, "!", 1);
  send_text(s, why, strlen(why));
  _exit(1);
}

static void must(sender *s, int code)
{
  if (code) give_up(s, s->nc->error(code));
}

static void *child_memory(sender *s, size_t n)
{
  void *p = n < (size_t)1 << 40 ? calloc(1, n + 1) : NULL;
  if (!p) give_up(s, "not enough memory");
  return p;
}

/* A text attribute and its pieces name_1, name_2, ...; "" if there is none. */
static char *attribute(sender *s, int group, int var, const char *name, size_t *n)
{
  char key[64];
  char *all = child_memory(s, 1);
  *n = 0;
  snprintf(key, sizeof key, "%s", name);
  for (int k = 1; k < 1000; k++) {
    int type;
    size_t len;
    if (s->nc->inq_att(group, var, key, &type, &len) != 0 || type != NC_CHAR_T) break;
    if (*n + len > LONGEST) give_up(s, "an attribute is too long");
    char *more = realloc(all, *n + len + 1);
    if (!more) give_up(s, "not enough memory");
    all = more;
    must(s, s->nc->get_att_text(group, var, key, all + *n));
    *n += len;
    snprintf(key, sizeof key, "%s_%d", name, k);
  }
  all[*n] = 0;
  return all;
}

/* The sizes of a variable: chain and draw, then its own.  false: it has no draws. */
static bool shape_of(sender *s, int group, int rank, const int *dims, size_t *sizes)
{
  char name[NC_NAME + 1];
  if (rank < 2 || rank > 2 + NORN_RANK_MAX) return false;
  for (int k = 0; k < rank; k++) {
    must(s, s->nc->inq_dim(group, dims[k], name, &sizes[k]));
    if (k == 0 && strcmp(name, "chain") != 0) return false;
    if (k == 1 && strcmp(name, "draw") != 0) return false;
  }
  return true;
}

static void send_var(sender *s, int group, int var, bool stat)
{
  char name[NC_NAME + 1];
  int type, rank, natts;
  int *dims = child_memory(s, NC_RANK * sizeof *dims);
  size_t sizes[2 + NORN_RANK_MAX], count = 1, n;
  must(s, s->nc->inq_var(group, var, name, &type, &rank, NULL, &natts));
  if (rank > NC_RANK || type == NC_CHAR_T || type > NC_INT64_T + 1) return;
  must(s, s->nc->inq_var(group, var, name, &type, &rank, dims, &natts));
  if (!shape_of(s, group, rank, dims, sizes)) return;
  for (int k = 0; k < rank; k++) {
    if (sizes[k] && count > s->most / sizes[k]) give_up(s, "a variable is too large");
    count *= sizes[k];
  }
  if (!s->begun) {
    s->chains = (int64_t)sizes[0];
    s->draws = (int64_t)sizes[1];
    s->begun = true;
    send_bytes(s, "C", 1);
    send_count(s, s->chains);
    send_count(s, s->draws);
  }
  if ((int64_t)sizes[0] != s->chains || (int64_t)sizes[1] != s->draws) return;
  double *x = child_memory(s, (count + 1) * sizeof *x);
  must(s, s->nc->get_double(group, var, x));
  send_bytes(s, "V", 1);
  send_text(s, name, strlen(name));
  send_count(s, stat);
  for (int k = 0; k < 2; k++) {
    char *t = attribute(s, group, var, k ? "norn_levels" : "norn", &n);
    send_text(s, t, n);
    free(t);
  }
  send_count(s, rank - 2);
  for (int k = 2; k < rank; k++) send_count(s, (int64_t)sizes[k]);
  send_count(s, (int64_t)count);
  send_bytes(s, x, count * sizeof *x);
  free(x);
  free(dims);
}

static void send_group(sender *s, int group, bool stat)
{
  int n = 0;
  char key[40];
  size_t len;
  must(s, s->nc->inq_varids(group, &n, NULL));
  if (n < 0 || n > VARS) give_up(s, "it has too many variables");
  int *vars = child_memory(s, (size_t)n * sizeof *vars);
  must(s, s->nc->inq_varids(group, &n, vars));
  for (int k = 0; k < n; k++) send_var(s, group, vars[k], stat);
  for (int k = 0; k < 1000 && !stat; k++) {
    snprintf(key, sizeof key, "norn_empty_%d", k);
    char *t = attribute(s, group, NC_GLOBAL_ID, key, &len);
    if (!len) break;
    send_bytes(s, "E", 1);
    send_text(s, t, len);
    free(t);
  }
  free(vars);
}

static int group_of(sender *s, int file, const char *want)
{
  int n = 0;
  char name[NC_NAME + 1];
  must(s, s->nc->inq_grps(file, &n, NULL));
  if (n < 0 || n > VARS) give_up(s, "it has too many groups");
  int *groups = child_memory(s, (size_t)n * sizeof *groups), found = -1;
  must(s, s->nc->inq_grps(file, &n, groups));
  for (int k = 0; k < n && found < 0; k++) {
    must(s, s->nc->inq_grpname(groups[k], name));
    if (strcmp(name, want) == 0) found = groups[k];
  }
  free(groups);
  return found;
}

static void send_file(sender *s, const char *path)
{
  int file;
  size_t n;
  must(s, s->nc->open(path, NC_READ, &file));
  char *info = attribute(s, file, NC_GLOBAL_ID, "norn_info", &n);
  send_bytes(s, "I", 1);
  send_text(s, info, n);
  int posterior = group_of(s, file, "posterior"), stats = group_of(s, file, "sample_stats");
  if (posterior < 0) give_up(s, "it has no group posterior");
  send_group(s, posterior, false);
  if (stats >= 0) send_group(s, stats, true);
  send_bytes(s, ".", 1);
  _exit(0);
}

/* Handlers of the host are none of the child's; nor is its standard error. */
static void child_main(const netcdf_api *nc, int fd, size_t most, const char *path)
{
  static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGINT, SIGPIPE };
  struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS }, core = { 0, 0 };
  sender s = { .nc = nc, .fd = fd, .most = most };
  for (int k = 0; k < NORN_COUNT(signals); k++) signal(signals[k], SIG_DFL);
  setrlimit(RLIMIT_CPU, &cpu);
  setrlimit(RLIMIT_CORE, &core);
  int null = open("/dev/null", O_WRONLY);
  if (null >= 0) dup2(null, STDERR_FILENO);
  send_file(&s, path);
}

/* ---- the parent ---- */

typedef struct receiver {
  norn_state *st;
  drawset *s;
  const char *path;
  FILE *f;
  netcdf_file *file;
  int64_t draws;
  bool failed;
  norn_ref *info;
} receiver;

static bool damaged(receiver *r)
{
  if (!r->failed) norn_fail(r->st, NORN_EIO, 0, "%s is damaged: libnetcdf can't read it", r->path);
  return !(r->failed = true);
}

static bool out_of_memory(receiver *r)
{
  if (!r->failed)
    norn_fail(r->st, NORN_EMEMORY, -1, "not enough memory for the draws of %s", r->path);
  return !(r->failed = true);
}

static bool get_bytes(receiver *r, void *p, size_t n)
{
  return fread(p, 1, n, r->f) == n || damaged(r);
}

static bool get_count(receiver *r, int64_t least, int64_t most, int64_t *n)
{
  return get_bytes(r, n, sizeof *n) && ((*n >= least && *n <= most) || damaged(r));
}

/* A text, 0-terminated; NULL: error set.  Freed by text_done. */
static char *get_text(receiver *r, int64_t *n)
{
  if (!get_count(r, 0, LONGEST, n)) return NULL;
  char *t = mem_get(r->s->m, (size_t)*n + 1);
  if (!t) return out_of_memory(r), NULL;
  if (!get_bytes(r, t, (size_t)*n)) return mem_put(r->s->m, t, (size_t)*n + 1), NULL;
  t[*n] = 0;
  return t;
}

static void text_done(receiver *r, char *t, int64_t n)
{
  if (t) mem_put(r->s->m, t, (size_t)n + 1);
}

/* The variable that a description is of; NULL: error set. */
static drawset_var *described(receiver *r, const char *t, int64_t n, int64_t most)
{
  norn_datum v;
  norn_status code = json_read(r->st, NULL, t, (size_t)n, JSON_IO_EXACT, &v);
  if (code == NORN_EMEMORY) r->failed = true;
  if (code || norn_record_size(v) < 0) return damaged(r), NULL;
  drawset_var *x = drawset_described(r->s, v, most);
  if (!x && norn_error(r->st)->code == NORN_EIO) return damaged(r), NULL;
  if (!x) r->failed = true;
  return x;
}

/* Of a file that is not Norn's: a field of the value and a choice. */
static drawset_var *plain_var(receiver *r, const char *name, bool stat, int rank,
                              const int64_t *dims)
{
  char pattern[NC_NAME + 2 * NORN_RANK_MAX + 1];
  if (!drawset_is_utf8(name, strlen(name))) return damaged(r), NULL;
  snprintf(pattern, NC_NAME, "%s", name);
  for (int k = 0; k < rank; k++) strcat(pattern, "[]");
  const char *path = stat ? NULL : pattern;
  drawset_var *v = drawset_add(r->s, name, path, path, DRAWSET_REAL, rank, dims);
  if (!v) r->failed = true;
  return v;
}

/* Levels are an array of JSON values: each as a text of its own. */
static bool put_levels(receiver *r, drawset_var *v, const char *t, int64_t n)
{
  norn_datum a;
  text one;
  if (n == 0) return true;
  if (json_read(r->st, NULL, t, (size_t)n, JSON_IO_EXACT, &a) ||
      norn_array_length(a) < 0)
    return damaged(r);
  text_init(&one, r->s->m);
  bool good = true;
  for (int64_t k = 0; k < norn_array_length(a) && good; k++) {
    one.n = 0;
    good = !json_write(r->st, norn_array_at(r->st, a, k), 0, JSON_IO_EXACT, &one) &&
           drawset_add_level(r->s, v, one.s, one.n);
  }
  text_free(&one);
  if (!good) r->failed = true;
  return good;
}

/* A NaN is what a draw lacks where some lack something; levels must be there. */
static bool check_numbers(receiver *r, drawset_var *v)
{
  for (int64_t k = 0; k < r->draws * v->size; k++) {
    double x = v->all[k];
    if (isnan(x)) v->all[k] = v->ragged ? drawset_missing() : (double)NAN;
    else if (v->kind == DRAWSET_LEVEL && (!(x >= 1 && x <= (double)v->nlevel) || x != floor(x)))
      return damaged(r);
  }
  return true;
}

static bool get_numbers(receiver *r, drawset_var *v, int64_t count)
{
  if (count != r->draws * v->size) return damaged(r);
  if (count > 0 && !(v->all = mem_zero(r->s->m, (size_t)count * sizeof *v->all)))
    return out_of_memory(r);
  return get_bytes(r, v->all, (size_t)count * sizeof *v->all) && check_numbers(r, v);
}

static bool get_var(receiver *r)
{
  int64_t n, stat, nd = 0, nl = 0, rank, count, dims[NORN_RANK_MAX] = { 0 }, size = 1;
  char *name = get_text(r, &n), *desc = NULL, *levels = NULL;
  drawset_var *v = NULL;
  bool good = name && n > 0 && n <= NC_NAME && get_count(r, 0, 1, &stat) &&
              (desc = get_text(r, &nd)) &&
              (levels = get_text(r, &nl)) && get_count(r, 0, NORN_RANK_MAX, &rank);
  for (int64_t k = 0; good && k < rank; k++) {
    good = get_count(r, 0, INT32_MAX, &dims[k]);
    if (good && dims[k] && size > LONGEST / dims[k] * 4) good = damaged(r);
    size *= dims[k];
  }
  good = good && get_count(r, 0, INT64_MAX, &count);
  if (good && nd && !stat) v = described(r, desc, nd, size);
  else if (good) v = plain_var(r, name, stat, (int)rank, dims);
  good = v && v->rank == rank && v->size == size && v->stat == (stat != 0);
  if (v && !good) damaged(r);
  if (good && stat && strcmp(v->name, "diverging") == 0) v->kind = DRAWSET_BOOL;
  good = good && put_levels(r, v, levels, nl) && get_numbers(r, v, count);
  text_done(r, name, n);
  text_done(r, desc, nd);
  text_done(r, levels, nl);
  return good || damaged(r);
}

static bool get_empty(receiver *r)
{
  int64_t n;
  char *t = get_text(r, &n);
  drawset_var *v = t ? described(r, t, n, 0) : NULL;
  text_done(r, t, n);
  return v && (v->size == 0 || damaged(r));
}

static bool get_info(receiver *r)
{
  int64_t n;
  norn_datum v;
  char *t = get_text(r, &n);
  if (!t) return false;
  bool good = n == 0 || (!json_read(r->st, NULL, t, (size_t)n, JSON_IO_EXACT, &v) &&
                         norn_record_size(v) >= 0);
  text_done(r, t, n);
  if (!good) return damaged(r);
  if (n == 0) return true;
  if (r->info) return damaged(r);
  return (r->info = norn_keep(r->st, v)) || out_of_memory(r);
}

static bool get_sizes(receiver *r)
{
  if (r->draws) return damaged(r);
  if (!get_count(r, 0, INT32_MAX, &r->file->chains) ||
      !get_count(r, 0, INT32_MAX, &r->draws))
    return false;
  r->draws *= r->file->chains;
  if (r->draws == 0 || r->draws > INT32_MAX) {
    norn_fail(r->st, NORN_EIO, 0, "%s has %s draws", r->path, r->draws ? "too many" : "no");
    return !(r->failed = true);
  }
  return true;
}

static bool get_error(receiver *r)
{
  int64_t n;
  char *t = get_text(r, &n);
  if (t && !r->failed) norn_fail(r->st, NORN_EIO, 0, "can't read %s: %.200s", r->path, t);
  text_done(r, t, n);
  r->failed = true;
  return false;
}

static bool receive(receiver *r)
{
  for (;;) {
    int tag = getc(r->f);
    switch (tag) {
    case 'I': if (!get_info(r)) return false; break;
    case 'C': if (!get_sizes(r)) return false; break;
    case 'V': if (!r->draws || !get_var(r)) return damaged(r); break;
    case 'E': if (!get_empty(r)) return damaged(r); break;
    case '!': return get_error(r);
    case '.':
      if (r->draws) return true;
      norn_fail(r->st, NORN_EIO, 0, "%s has no draws", r->path);
      return !(r->failed = true);
    default: return damaged(r);
    }
  }
}

/* Starts the child; *f is what it sends.  -1: error set. */
static pid_t start_child(norn_state *st, const char *path, FILE **f)
{
  int ends[2];
  const netcdf_api *nc = netcdf_open();
  if (!nc) return netcdf_absent(st), -1;
  if (pipe(ends) != 0)
    return norn_fail(st, NORN_EIO, 0, "can't read %s: %s", path, strerror(errno)), -1;
  netcdf_lock();                                  /* nobody is inside the library while it forks */
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    size_t limit = norn_config_of(st)->max_memory;
    child_main(nc, ends[1], limit ? limit / sizeof(double) : (size_t)1 << 31, path);
    _exit(3);
  }
  netcdf_unlock();
  close(ends[1]);
  *f = child > 0 ? fdopen(ends[0], "rb") : NULL;
  if (*f) return child;
  close(ends[0]);
  if (child > 0) waitpid(child, NULL, 0);
  return norn_fail(st, NORN_EIO, 0, "can't read %s: %s", path, strerror(errno)), -1;
}

norn_status netcdf_read(norn_state *st, const char *path, drawset *set, netcdf_file *file)
{
  char full[4200];
  receiver r = { .st = st, .s = set, .path = path, .file = file };
  *file = (netcdf_file){ 0, norn_none() };
  norn_clear(st);
  /* a name that libnetcdf would take for an address on the network is a file here */
  snprintf(full, sizeof full, "%s%s", *path == '/' ? "" : "./", path);
  pid_t child = start_child(st, full, &r.f);
  if (child < 0) return norn_error(st)->code;
  bool good = receive(&r);
  fclose(r.f);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) { }
  if (good) {
    set->kept = set->n = r.draws;
    file->info = r.info ? norn_get(r.info) : norn_record(st, 0, NULL, NULL);
  }
  if (!good) set->kept = r.draws;                 /* what there is of `all` is freed with it */
  if (r.info) norn_drop(r.info);
  return good ? NORN_OK : norn_error(st)->code ? norn_error(st)->code : NORN_EIO;
}
