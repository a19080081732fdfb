/* http.c: the door to libcurl: requests that go on side by side in one thread (its "multi interface").

   The library is opened when a server is first asked, and not needed to build: what is used of its documented
   interface (curl.se/libcurl/c) is declared here.  Redirections are not followed: they could carry a key elsewhere. */
#include "llm/http/http.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* CURLMsg: what it is about, and for a transfer that is over its result. */
typedef struct message { int msg; void *easy; union { void *whatever; int result; } data; } message;
typedef struct list list;

/* Result, name without curl_, arguments; CURL and CURLM are pointers to us. */
#define CURL_FUNCTIONS(F)                                                                                   \
  F(int, global_init, (long))                                                                               \
  F(const char *, version, (void))                                                                          \
  F(void *, easy_init, (void))                                                                              \
  F(void, easy_reset, (void *))                                                                             \
  F(void, easy_cleanup, (void *))                                                                           \
  F(int, easy_setopt, (void *, int, ...))                                                                   \
  F(int, easy_getinfo, (void *, int, ...))                                                                  \
  F(const char *, easy_strerror, (int))                                                                     \
  F(list *, slist_append, (list *, const char *))                                                           \
  F(void, slist_free_all, (list *))                                                                         \
  F(void *, multi_init, (void))                                                                             \
  F(int, multi_cleanup, (void *))                                                                           \
  F(int, multi_add_handle, (void *, void *))                                                                \
  F(int, multi_remove_handle, (void *, void *))                                                             \
  F(int, multi_perform, (void *, int *))                                                                    \
  F(message *, multi_info_read, (void *, int *))                                                            \
  F(int, multi_wait, (void *, void *, unsigned, int, int *))

/* The constants of curl.h and multi.h. */
enum { GLOBAL_ALL = 3, MSG_DONE = 1, PROTO_HTTP = 1, PROTO_HTTPS = 2,
       OPT_POST = 47, OPT_FOLLOWLOCATION = 52, OPT_POSTFIELDSIZE = 60, OPT_HTTPGET = 80, OPT_NOSIGNAL = 99,
       OPT_TIMEOUT_MS = 155, OPT_CONNECTTIMEOUT_MS = 156, OPT_PROTOCOLS = 181,
       OPT_WRITEDATA = 10001, OPT_URL = 10002, OPT_PROXY = 10004, OPT_ERRORBUFFER = 10010, OPT_POSTFIELDS = 10015,
       OPT_USERAGENT = 10018, OPT_HTTPHEADER = 10023, OPT_HEADERDATA = 10029, OPT_ACCEPT_ENCODING = 10102,
       OPT_PRIVATE = 10103, OPT_WRITEFUNCTION = 20011, OPT_HEADERFUNCTION = 20079,
       INFO_PRIVATE = 0x100015, INFO_STATUS = 0x200002 };
enum { LONGEST_BODY = 1 << 30, WHY = 256 };

#define FIELD(result, name, args) result (*name) args;
typedef struct curl { CURL_FUNCTIONS(FIELD) bool there; char name[40]; } curl;

/* A property of the process, written once before its first reader, as cairo is (io/canvas_cairo.c). */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static curl found;

static bool find(void *handle, const char *name, void *to)
{
  void *f = dlsym(handle, name);
  memcpy(to, &f, sizeof f);
  return f != NULL;
}

/* NORN_CURL names another library with these functions; "none" leaves it out.  It is never closed. */
static void find_curl(void)
{
  static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
  curl f = { .there = false };
  const char *file = getenv("NORN_CURL");
  void *handle = NULL;
  if (file && strcmp(file, "none") == 0) return;
  if (file && *file) handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  else
    for (int k = 0; k < NORN_COUNT(names) && !handle; k++) handle = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
#define FIND(result, name, args) && find(handle, "curl_" #name, &f.name)
  f.there = true CURL_FUNCTIONS(FIND);
  if (!f.there || f.global_init(GLOBAL_ALL)) return;
  const char *s = f.version();                     /* "libcurl/7.88.1 OpenSSL/..." */
  const char *slash = strchr(s, '/');
  snprintf(f.name, sizeof f.name, "libcurl %.*s", slash ? (int)strcspn(slash + 1, " ") : 0, slash ? slash + 1 : "");
  found = f;
}

static const curl *curl_open(void)
{
  pthread_once(&once, find_curl);
  return found.there ? &found : NULL;
}

const char *http_version(void)
{
  const curl *f = curl_open();
  return f ? f->name : NULL;
}

/* ---- the wire ---- */

typedef struct transfer {
  void *easy;
  list *headers;
  http_reply reply;
  char why[WHY];
  bool flies, over, too_long;
} transfer;
typedef struct line { const curl *f; mem *m; void *multi; int slots; transfer *v; } line;

static size_t take_body(char *s, size_t size, size_t n, void *user)
{
  transfer *t = user;
  n *= size;
  t->too_long = n > LONGEST_BODY - t->reply.body.n;
  if (t->too_long) return 0;
  text_put(&t->reply.body, s, n);
  return t->reply.body.failed ? 0 : n;
}

/* A header's value into a small buffer; one that is too long is left out. */
static void take_value(const char *s, size_t n, char *out, size_t room)
{
  while (n && (*s == ' ' || *s == '\t')) s++, n--;
  while (n && (unsigned char)s[n - 1] <= ' ') n--;
  if (n >= room) return;
  memcpy(out, s, n);
  out[n] = 0;
}

static size_t take_header(char *s, size_t size, size_t n, void *user)
{
  transfer *t = user;
  n *= size;
  if (n > 13 && strncasecmp(s, "content-type:", 13) == 0)
    take_value(s + 13, n - 13, t->reply.type, sizeof t->reply.type);
  if (n > 12 && strncasecmp(s, "retry-after:", 12) == 0)
    take_value(s + 12, n - 12, t->reply.retry_after, sizeof t->reply.retry_after);
  return n;
}

/* Takes the list, also if it can't be made longer. */
static list *header_add(const line *l, list *all, bool *well, const char *s)
{
  list *more = *well ? l->f->slist_append(all, s) : NULL;
  *well = more != NULL;
  return more ? more : all;
}

static bool set_headers(const line *l, transfer *t, const http_request *r)
{
  bool well = true;
  list *all = header_add(l, NULL, &well, "Accept: application/json");
  all = header_add(l, all, &well, "Expect:");
  if (r->post) all = header_add(l, all, &well, "Content-Type: application/json");
  if (r->key) {
    text line_text;
    text_init(&line_text, l->m);
    text_printf(&line_text, "Authorization: Bearer %s", r->key);
    well = well && !line_text.failed;
    all = header_add(l, all, &well, line_text.s);
    if (line_text.s) memset(line_text.s, 0, line_text.n);
    text_free(&line_text);
  }
  t->headers = all;
  return well;
}

/* Does the URL name this machine? Then no proxy is asked. */
static bool is_here(const char *url)
{
  static const char *const hosts[] = { "localhost", "127.", "[::1]" };
  const char *host = strstr(url, "://");
  for (int k = 0; host && k < NORN_COUNT(hosts); k++)
    if (strncasecmp(host + 3, hosts[k], strlen(hosts[k])) == 0) return true;
  return false;
}

static void line_drop(void *self, int slot)
{
  line *l = self;
  transfer *t = l->v + slot;
  if (t->flies) l->f->multi_remove_handle(l->multi, t->easy);
  if (t->headers) l->f->slist_free_all(t->headers);
  text_free(&t->reply.body);
  memset(&t->reply, 0, sizeof t->reply);
  text_init(&t->reply.body, l->m);
  t->headers = NULL;
  t->flies = t->over = t->too_long = false;
  t->why[0] = 0;
}

static bool line_send(void *self, int slot, const http_request *r)
{
  line *l = self;
  const curl *f = l->f;
  transfer *t = l->v + slot;
  line_drop(l, slot);
  if (!t->easy) t->easy = f->easy_init();
  if (!t->easy) return false;
  f->easy_reset(t->easy);
  if (!set_headers(l, t, r)) return false;
  long ms = (long)(r->timeout * 1000) + 1;
  int bad = f->easy_setopt(t->easy, OPT_URL, r->url);
  bad |= f->easy_setopt(t->easy, OPT_PROTOCOLS, (long)(PROTO_HTTP | PROTO_HTTPS));
  bad |= f->easy_setopt(t->easy, OPT_NOSIGNAL, 1L);
  bad |= f->easy_setopt(t->easy, OPT_FOLLOWLOCATION, 0L);
  bad |= f->easy_setopt(t->easy, OPT_TIMEOUT_MS, ms);
  bad |= f->easy_setopt(t->easy, OPT_CONNECTTIMEOUT_MS, ms < 20000 ? ms : 20000L);
  bad |= f->easy_setopt(t->easy, OPT_USERAGENT, "norn/" NORN_VERSION);
  bad |= f->easy_setopt(t->easy, OPT_HTTPHEADER, t->headers);
  bad |= f->easy_setopt(t->easy, OPT_ACCEPT_ENCODING, "");
  bad |= f->easy_setopt(t->easy, OPT_ERRORBUFFER, t->why);
  bad |= f->easy_setopt(t->easy, OPT_PRIVATE, (void *)t);
  bad |= f->easy_setopt(t->easy, OPT_WRITEFUNCTION, take_body);
  bad |= f->easy_setopt(t->easy, OPT_WRITEDATA, (void *)t);
  bad |= f->easy_setopt(t->easy, OPT_HEADERFUNCTION, take_header);
  bad |= f->easy_setopt(t->easy, OPT_HEADERDATA, (void *)t);
  if (is_here(r->url)) bad |= f->easy_setopt(t->easy, OPT_PROXY, "");
  if (r->post) {
    bad |= f->easy_setopt(t->easy, OPT_POST, 1L);
    bad |= f->easy_setopt(t->easy, OPT_POSTFIELDSIZE, (long)r->n);
    bad |= f->easy_setopt(t->easy, OPT_POSTFIELDS, r->body);
  }
  if (bad || f->multi_add_handle(l->multi, t->easy)) return false;
  return t->flies = true;
}

static void over(line *l, transfer *t, int result)
{
  long status = 0;
  l->f->easy_getinfo(t->easy, INFO_STATUS, &status);
  l->f->multi_remove_handle(l->multi, t->easy);
  t->flies = false;
  t->over = true;
  t->reply.status = result ? 0 : (int)status;
  if (!result) return;
  const char *why = t->why[0] ? t->why : l->f->easy_strerror(result);
  if (t->too_long) why = "the answer has no end";
  else if (t->reply.body.failed) why = "not enough memory for the answer";
  snprintf(t->reply.why, sizeof t->reply.why, "%.190s", why);
}

static int is_over(line *l)
{
  int running = 0, left = 0;
  l->f->multi_perform(l->multi, &running);
  for (message *m; (m = l->f->multi_info_read(l->multi, &left)) != NULL;) {
    void *p = NULL;
    if (m->msg != MSG_DONE) continue;
    int result = m->data.result;
    l->f->easy_getinfo(m->easy, INFO_PRIVATE, &p);
    if (p) over(l, p, result);
  }
  for (int k = 0; k < l->slots; k++)
    if (l->v[k].over) {
      l->v[k].over = false;
      return k;
    }
  return -1;
}

static void pause_for(double seconds)
{
  struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
  nanosleep(&t, NULL);
}

static int line_wait(void *self, double seconds)
{
  line *l = self;
  int there = is_over(l), n = 0;
  bool flies = false;
  for (int k = 0; k < l->slots; k++) flies = flies || l->v[k].flies;
  if (there >= 0 || seconds <= 0) return there;
  if (!flies) pause_for(seconds);
  else if (l->f->multi_wait(l->multi, NULL, 0, (int)(seconds * 1000) + 1, &n) || n == 0)
    pause_for(seconds < .001 ? seconds : .001);   /* no socket yet: multi_wait returns at once */
  return is_over(l);
}

static http_reply *line_reply(void *self, int slot) { return &((line *)self)->v[slot].reply; }

static double line_now(void *self)
{
  struct timespec t;
  (void)self;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t line_date(void *self)
{
  (void)self;
  return (int64_t)time(NULL);
}

static void line_free(void *self)
{
  line *l = self;
  for (int k = 0; k < l->slots; k++) {
    line_drop(l, k);
    if (l->v[k].easy) l->f->easy_cleanup(l->v[k].easy);
  }
  if (l->multi) l->f->multi_cleanup(l->multi);
  mem_put(l->m, l->v, (size_t)l->slots * sizeof *l->v);
  mem_put(l->m, l, sizeof *l);
}

bool http_wire_curl(norn_state *st, mem *m, int slots, http_wire *out)
{
  const curl *f = curl_open();
  if (!f) {
    norn_fail(st, NORN_EIO, 0, "servers of language models need libcurl, which is not here");
    norn_hint(st, "on Debian: apt-get install libcurl4");
    return false;
  }
  line *l = mem_zero(m, sizeof *l);
  if (!l) return !http_no_memory(st);
  l->f = f;
  l->m = m;
  l->v = mem_zero(m, (size_t)slots * sizeof *l->v);
  l->slots = l->v ? slots : 0;
  for (int k = 0; k < l->slots; k++) text_init(&l->v[k].reply.body, m);
  l->multi = l->v ? f->multi_init() : NULL;
  if (!l->multi) {
    line_free(l);
    return !http_no_memory(st);
  }
  *out = (http_wire){ l, line_send, line_wait, line_reply, line_drop, line_now, line_date, line_free };
  return true;
}
