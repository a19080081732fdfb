/* http_store.c: what was answered, kept.

   The cache has one file for each draw or score: its name is a hash of the key (URL, body, number
   of the draw), it holds the key itself, the answer and a sum over both.  A file is written beside
   its name and renamed, so several processes may use one folder, and what was paid for is there as
   soon as it came.  A damaged one is passed over with a warning.

   A record is a file of whole requests and answers, a line of JSON each, appended as they come; what stands in it
   already is not asked again.  Replaying it needs no network.  Neither holds a key: headers are not kept. */
#include "llm/http/http.h"
#include "base/cache.h"
#include "io/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char opening[] = "norn llm 1 ";
enum { HEAD = 80 };

static uint64_t sum_of(const char *key, size_t nkey, const char *answer, size_t n)
{
  return hash_bytes(answer, n, hash_bytes(key, nkey, 0x6c6c6d));
}

/* ---- the cache ---- */

static bool default_folder(char out[HTTP_PATH])
{
  char base[CACHE_PATH];
  if (!cache_base(base, "", 0)) return false;
  char *slash = strrchr(base, '/');
  snprintf(out, HTTP_PATH, "%.*s/llm", (int)(slash - base), base);
  return !mkdir(out, 0700) || errno == EEXIST;
}

static const char *entry_path(const http *h, const text *key, char out[HTTP_PATH + 64])
{
  snprintf(out, HTTP_PATH + 64, "%s/%016llx%016llx", h->store.folder, (unsigned long long)hash_bytes(key->s, key->n, 1),
           (unsigned long long)hash_bytes(key->s, key->n, 2));
  return out;
}

static void warn(http *h, const char *path, const char *why)
{
  if (h->store.warned) return;
  h->store.warned = true;
  norn_warning(h->base.st, norn_here(h->base.st), "the cache of answers: %.300s: %s", path, why);
}

/* Reads an entry's bytes: 1: it is this key's; 0: another's (the same hash); -1: damaged. */
static int entry_read(const char *s, size_t n, const text *key, text *answer)
{
  unsigned long long nkey, len, sum;
  int at = 0;
  size_t head = sizeof opening - 1;
  if (n < HEAD || memcmp(s, opening, head) || s[HEAD - 1] != '\n') return -1;
  if (sscanf(s + head, "%llu %llu %llx%n", &nkey, &len, &sum, &at) != 3 || nkey > n || len > n) return -1;
  if (HEAD + nkey + len != n || sum != sum_of(s + HEAD, nkey, s + HEAD + nkey, len)) return -1;
  if (nkey != key->n || memcmp(s + HEAD, key->s, nkey)) return 0;
  answer->n = 0;
  text_put(answer, s + HEAD + nkey, len);
  return answer->failed ? 0 : 1;
}

bool http_store_get(http *h, const text *key, text *answer)
{
  char path[HTTP_PATH + 64];
  const char *why;
  size_t n;
  if (!h->store.folder[0] || h->store.record[0] || h->store.replay[0]) return false;
  entry_path(h, key, path);
  if (access(path, R_OK)) return false;
  char *s = file_read(&h->m, path, &n, &why);
  if (!s) return false;
  int found = entry_read(s, n, key, answer);
  mem_put(&h->m, s, n + 1);
  if (found < 0) warn(h, path, "it is damaged, so the server is asked again");
  return found > 0;
}

static bool write_all(int file, const char *s, size_t n)
{
  for (size_t at = 0; at < n;) {
    ssize_t k = write(file, s + at, n - at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    at += (size_t)k;
  }
  return true;
}

void http_store_put(http *h, const text *key, const char *answer, size_t n)
{
  char path[HTTP_PATH + 64], fresh[HTTP_PATH + 160], head[HEAD + 1];
  if (!h->store.folder[0] || h->store.replay[0] || http_has_key(h, answer, n) || http_has_key(h, key->s, key->n))
    return;
  entry_path(h, key, path);
  snprintf(fresh, sizeof fresh, "%s.%ld.%p", path, (long)getpid(), (void *)h);
  memset(head, ' ', HEAD);
  int used = snprintf(head, sizeof head, "%s%zu %zu %016llx", opening, key->n, n,
                      (unsigned long long)sum_of(key->s, key->n, answer, n));
  if (used < 0 || used >= HEAD) return;
  head[used] = ' ';
  head[HEAD - 1] = '\n';
  int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool well = file >= 0 && write_all(file, head, HEAD) && write_all(file, key->s, key->n) && write_all(file, answer, n);
  if (file >= 0 && close(file)) well = false;
  if (well && rename(fresh, path) == 0) return;
  int err = errno;
  if (file >= 0) unlink(fresh);
  warn(h, path, strerror(err));
}

/* ---- records ---- */

bool http_replays(const http *h) { return h->store.replay[0] != 0; }

static struct http_entry *entry_of(const http *h, uint64_t key, const char *s, size_t n)
{
  for (size_t k = 0; k < h->store.n; k++) {
    struct http_entry *e = h->store.v + k;
    if (e->key == key && e->ntext == n && memcmp(e->text, s, n) == 0) return e;
  }
  return NULL;
}

static char *kept(http *h, const char *s, size_t n)
{
  char *p = mem_get(&h->m, n + 1);
  if (!p) return NULL;
  memcpy(p, s, n);
  p[n] = 0;
  return p;
}

static bool entry_add(http *h, const char *s, size_t n, const char *answer, size_t nanswer)
{
  http_store *o = &h->store;
  if (!mem_grow(&h->m, &o->v, &o->cap, o->n + 1, sizeof *o->v)) return false;
  struct http_entry *e = o->v + o->n;
  *e = (struct http_entry){ hash_bytes(s, n, 3), kept(h, s, n), kept(h, answer, nanswer), n, nanswer };
  o->n++;
  return e->text && e->answer;
}

static void request_text(const http_job *j, text *out)
{
  text_printf(out, "%s ", j->post ? "POST" : "GET");
  text_puts(out, j->url);
  text_putc(out, '\n');
  text_put(out, j->body.s, j->body.n);
}

bool http_recorded(http *h, const http_job *j, const char **answer, size_t *n)
{
  text t;
  if (h->store.n == 0) return false;
  text_init(&t, &h->m);
  request_text(j, &t);
  const struct http_entry *e = t.failed ? NULL : entry_of(h, hash_bytes(t.s, t.n, 3), t.s, t.n);
  text_free(&t);
  if (!e) return false;
  *answer = e->answer;
  *n = e->nanswer;
  return true;
}

static norn_status append(http *h, const text *line)
{
  const char *why = NULL;
  int file = open(h->store.record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || !write_all(file, line->s, line->n)) why = strerror(errno);
  if (file >= 0 && close(file) && !why) why = strerror(errno);
  return why ? norn_fail(h->base.st, NORN_EIO, 0, "can't write the record %.200s: %s", h->store.record, why) : NORN_OK;
}

norn_status http_record(http *h, const http_job *j, const char *answer, size_t n)
{
  text t, line;
  if (!h->store.record[0] || http_has_key(h, answer, n) || http_has_key(h, j->body.s, j->body.n)) return NORN_OK;
  text_init(&t, &h->m);
  text_init(&line, &h->m);
  request_text(j, &t);
  text_puts(&line, "{\"request\": ");
  http_json_string(&line, t.s, t.n);
  text_puts(&line, ", \"answer\": ");
  http_json_string(&line, answer, n);
  text_puts(&line, "}\n");
  bool well = !t.failed && !line.failed && entry_add(h, t.s, t.n, answer, n);
  norn_status bad = well ? append(h, &line) : http_no_memory(h->base.st);
  text_free(&t);
  text_free(&line);
  return bad;
}

/* A line of a record; false: it is none. */
static bool line_read(http *h, const char *name, const char *s, size_t n)
{
  norn_datum v = norn_none();
  size_t nr, na;
  if (json_read(h->base.st, name, s, n, 0, &v)) return false;
  const char *request = norn_string_view(norn_record_get(h->base.st, v, "request"), &nr);
  const char *answer = norn_string_view(norn_record_get(h->base.st, v, "answer"), &na);
  return request && answer && entry_add(h, request, nr, answer, na);
}

/* must: the file has to be there. */
static norn_status record_read(http *h, const char *path, bool must)
{
  norn_state *st = h->base.st;
  const char *why;
  size_t n;
  int number = 0;
  if (!must && access(path, F_OK)) return NORN_OK;
  char *s = file_read(&h->m, path, &n, &why);
  if (!s) return norn_fail(st, NORN_EIO, 0, "can't read the record %.200s: %s", path, why);
  norn_status bad = NORN_OK;
  for (size_t at = 0; at < n && !bad; number++) {
    const char *end = memchr(s + at, '\n', n - at);
    size_t len = end ? (size_t)(end - s) - at : n - at;
    if (len && !line_read(h, path, s + at, len)) {
      norn_clear(st);
      bad = norn_fail(st, NORN_EIO, 0, "%.200s:%d: not a line of a record: "
                      "an object with request and answer was expected", path, number + 1);
      norn_hint(st, "it was cut short or changed; without that line the rest is of use");
    }
    at += len + 1;
  }
  mem_put(&h->m, s, n + 1);
  return bad;
}

/* ---- options ---- */

static norn_status path_option(http *h, norn_datum options, const char *name, char out[HTTP_PATH])
{
  char got[100];
  size_t n;
  norn_datum v = norn_is_none(options) ? norn_none() : norn_record_get(h->base.st, options, name);
  out[0] = 0;
  if (norn_is_none(v)) return NORN_OK;
  const char *s = norn_string_view(v, &n);
  if (!s || n == 0 || n >= HTTP_PATH || memchr(s, 0, n))
    return norn_fail(h->base.st, NORN_ETYPE, 0, "the option %s is %s, not the name of a file", name,
                     norn_describe(h->base.st, v, got, sizeof got));
  memcpy(out, s, n + 1);
  return NORN_OK;
}

static norn_status cache_option(http *h, norn_datum options)
{
  norn_datum v = norn_is_none(options) ? norn_none() : norn_record_get(h->base.st, options, "cache");
  if (norn_kind_of(v) == NORN_BOOL && !v.i) return NORN_OK;
  if (norn_is_none(v) || norn_kind_of(v) == NORN_BOOL) {
    if (!default_folder(h->store.folder)) h->store.folder[0] = 0;
    return NORN_OK;
  }
  norn_status bad = path_option(h, options, "cache", h->store.folder);
  if (bad) {
    norn_hint(h->base.st, "cache = false keeps nothing, cache = \"FOLDER\" keeps answers there");
    return bad;
  }
  struct stat s;
  if ((mkdir(h->store.folder, 0777) && errno != EEXIST) || stat(h->store.folder, &s) || !S_ISDIR(s.st_mode)) {
    bad = norn_fail(h->base.st, NORN_EIO, 0, "the folder for the cache, %.200s, can't be made: %s", h->store.folder,
                    errno == EEXIST ? "it is a file" : strerror(errno));
    h->store.folder[0] = 0;
  }
  return bad;
}

norn_status http_store_open(http *h, norn_datum options)
{
  norn_status bad = cache_option(h, options);
  if (!bad) bad = path_option(h, options, "record", h->store.record);
  if (!bad) bad = path_option(h, options, "replay", h->store.replay);
  if (!bad && h->store.record[0] && h->store.replay[0]) {
    bad = norn_fail(h->base.st, NORN_EDOMAIN, 0, "record and replay are both given");
    norn_hint(h->base.st, "record asks for what its file lacks; replay never asks");
  }
  if (!bad && h->store.record[0]) bad = record_read(h, h->store.record, false);
  if (!bad && h->store.replay[0]) bad = record_read(h, h->store.replay, true);
  return bad;
}

void http_store_close(http *h)
{
  http_store *o = &h->store;
  for (size_t k = 0; k < o->n; k++) {
    mem_put(&h->m, o->v[k].text, o->v[k].ntext + 1);
    mem_put(&h->m, o->v[k].answer, o->v[k].nanswer + 1);
  }
  mem_put(&h->m, o->v, o->cap * sizeof *o->v);
  o->v = NULL;
  o->n = o->cap = 0;
}
