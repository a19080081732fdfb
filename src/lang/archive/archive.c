/* archive.c: the calls by which engines write and read what they keep (norn.h, checkpoints), and the
   image that they make: four sections with their hashes (archive.h). */
#include "lang/archive/archive.h"
#include "lang/run.h"
#include <stdio.h>
#include <string.h>

static const char *const section_name[SECTION_COUNT] = { "code", "heads", "bodies", "state" };


/* ---- failing ---- */

bool norn_archive_reading(const norn_archive *a) { return a->reading; }
norn_status norn_archive_status(const norn_archive *a) { return a->status; }
norn_state *norn_archive_state(norn_archive *a) { return a->st; }

bool norn_archive_fail(norn_archive *a, const char *format, ...)
{
  char msg[400];
  va_list ap;
  if (!archive_good(a)) return false;
  va_start(ap, format);
  vsnprintf(msg, sizeof msg, format, ap);
  va_end(ap);
  if (a->reading) norn_fail(a->st, NORN_EIO, -1, "%s can't be resumed: %s", a->file, msg);
  else norn_fail(a->st, NORN_EINFER, -1, "%s", msg);
  if (!a->reading && a->place.file) norn_error_place(a->st, a->place);
  a->status = a->st->err.code;
  return false;
}

bool archive_not_now(norn_archive *a, const char *why)
{
  if (archive_good(a)) a->status = norn_fail(a->st, NORN_EINCOMPLETE, -1, "%s", why);
  return false;
}

bool archive_damaged(norn_archive *a, const char *what)
{
  if (!archive_good(a)) return false;
  a->status = norn_fail(a->st, NORN_EIO, -1, "%s is damaged: %s", a->file, what);
  norn_hint(a->st, "a checkpoint can't be mended; begin anew without it");
  return false;
}

bool archive_no_memory(norn_archive *a)
{
  if (!archive_good(a)) return false;
  state_memory(a->st);
  a->status = NORN_EMEMORY;
  return false;
}

/* ---- bytes ---- */

static bool room(norn_archive *a, bytes *b, size_t n)
{
  if (n <= b->cap - b->n) return true;
  return mem_grow(&a->st->mem, &b->s, &b->cap, b->n + n, 1) || archive_no_memory(a);
}

void put_raw(norn_archive *a, const void *p, size_t n)
{
  bytes *b = &a->out[a->in];
  if (!archive_good(a) || !n || !room(a, b, n)) return;
  memcpy(b->s + b->n, p, n);
  b->n += n;
}

void put_byte(norn_archive *a, unsigned x)
{
  uint8_t u = (uint8_t)x;
  put_raw(a, &u, 1);
}

void put_uint(norn_archive *a, uint64_t x)
{
  uint8_t u[10];
  size_t n = 0;
  for (; x >= 128; x >>= 7) u[n++] = (uint8_t)(x | 128);
  u[n++] = (uint8_t)x;
  put_raw(a, u, n);
}

void put_text(norn_archive *a, const char *s, size_t n)
{
  put_uint(a, n);
  put_raw(a, s, n);
}

static bool ended(norn_archive *a)
{
  char what[80];
  snprintf(what, sizeof what, "its section %s ends too early", section_name[a->in]);
  return archive_damaged(a, what);
}

bool get_raw(norn_archive *a, void *p, size_t n)
{
  reading *r = &a->from[a->in];
  if (!archive_good(a)) return false;
  if (n > (size_t)(r->end - r->at)) return ended(a);
  if (n) memcpy(p, r->at, n);
  r->at += n;
  return true;
}

unsigned get_byte(norn_archive *a)
{
  uint8_t u = 0;
  return get_raw(a, &u, 1) ? u : 0;
}

uint64_t get_uint(norn_archive *a)
{
  reading *r = &a->from[a->in];
  uint64_t x = 0;
  if (!archive_good(a)) return 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (r->at == r->end) return ended(a), 0;
    uint8_t u = *r->at++;
    x |= (uint64_t)(u & 127) << shift;
    if (!(u & 128)) return x;
  }
  return archive_damaged(a, "a number has no end"), 0;
}

const char *get_text(norn_archive *a, size_t *n)
{
  reading *r = &a->from[a->in];
  *n = (size_t)get_uint(a);
  if (!archive_good(a)) return NULL;
  if (*n > (size_t)(r->end - r->at)) return ended(a), NULL;
  r->at += *n;
  return (const char *)r->at - *n;
}

/* ---- numbers by address ---- */

static bool numbers_grow(norn_archive *a, numbers *t)
{
  size_t old = t->size, size = old ? 2 * old : 256;
  const void **was = t->key, **key = mem_zero(&a->st->mem, size * sizeof *key);
  uint32_t *had = t->number, *number = mem_get(&a->st->mem, size * sizeof *number);
  if (!key || !number) {
    mem_put(&a->st->mem, key, size * sizeof *key);
    mem_put(&a->st->mem, number, size * sizeof *number);
    return archive_no_memory(a);
  }
  for (size_t i = 0; i < old; i++) {
    if (!was[i]) continue;
    size_t k = hash_mix((uintptr_t)was[i]) & (size - 1);
    while (key[k]) k = (k + 1) & (size - 1);
    key[k] = was[i];
    number[k] = had[i];
  }
  mem_put(&a->st->mem, was, old * sizeof *was);
  mem_put(&a->st->mem, had, old * sizeof *had);
  t->key = key;
  t->number = number;
  t->size = size;
  return true;
}

uint32_t archive_number(norn_archive *a, numbers *t, const void *p, bool *is_new)
{
  *is_new = false;
  if (!archive_good(a) || (2 * t->n >= t->size && !numbers_grow(a, t))) return 0;
  if (t->n >= UINT32_MAX - 1) return norn_archive_fail(a, "there is too much to be saved"), 0u;
  size_t k = hash_mix((uintptr_t)p) & (t->size - 1);
  for (; t->key[k]; k = (k + 1) & (t->size - 1))
    if (t->key[k] == p) return t->number[k];
  *is_new = true;
  t->key[k] = p;
  return t->number[k] = (uint32_t)++t->n;
}

static void numbers_free(norn_state *st, numbers *t)
{
  mem_put(&st->mem, t->key, t->size * sizeof *t->key);
  mem_put(&st->mem, t->number, t->size * sizeof *t->number);
}

/* ---- plain data ---- */

bool norn_archive_bytes(norn_archive *a, void *p, size_t n)
{
  if (a->reading) return get_raw(a, p, n);
  put_raw(a, p, n);
  return archive_good(a);
}

bool norn_archive_u64(norn_archive *a, uint64_t *x)
{
  if (!archive_good(a)) return false;
  if (!a->reading) put_uint(a, *x);
  else *x = get_uint(a);
  return archive_good(a);
}

/* Small numbers of either sign are short: 0, -1, 1, -2 ... */
bool norn_archive_i64(norn_archive *a, int64_t *x)
{
  uint64_t u = (uint64_t)*x << 1 ^ (*x < 0 ? ~(uint64_t)0 : 0);
  if (!norn_archive_u64(a, &u)) return false;
  if (a->reading) *x = (int64_t)(u >> 1 ^ (~(u & 1) + 1));
  return true;
}

bool norn_archive_bool(norn_archive *a, bool *x)
{
  uint64_t u = *x;
  if (!norn_archive_u64(a, &u)) return false;
  if (u > 1) return archive_damaged(a, "a truth value is neither");
  if (a->reading) *x = u != 0;
  return true;
}

bool norn_archive_int(norn_archive *a, int *x)
{
  int64_t i = *x;
  if (!norn_archive_i64(a, &i)) return false;
  if (i < INT32_MIN || i > INT32_MAX) return archive_damaged(a, "a number is out of its range");
  if (a->reading) *x = (int)i;
  return true;
}

bool norn_archive_u32(norn_archive *a, uint32_t *x)
{
  uint64_t u = *x;
  if (!norn_archive_u64(a, &u)) return false;
  if (u > UINT32_MAX) return archive_damaged(a, "a number is out of its range");
  if (a->reading) *x = (uint32_t)u;
  return true;
}

bool norn_archive_size(norn_archive *a, size_t *x)
{
  uint64_t u = *x;
  if (!norn_archive_u64(a, &u)) return false;
  if (u > PTRDIFF_MAX) return archive_damaged(a, "a number is out of its range");
  if (a->reading) *x = (size_t)u;
  return true;
}

bool norn_archive_f64(norn_archive *a, double *x) { return norn_archive_bytes(a, x, sizeof *x); }

/* An array that a fresh inference has too is of equal size there; n is as it was, so memory grows with
   the file, not with what a damaged number says. */
bool norn_archive_array(norn_archive *a, void *array_pointer, size_t *capacity, size_t n, size_t size)
{
  void *p;
  memcpy(&p, array_pointer, sizeof p);
  if (!archive_good(a)) return false;
  if (!a->reading) {
    put_raw(a, p, n * size);
    return archive_good(a);
  }
  if (size && n > left_in(a, a->in) / size) return ended(a);
  size_t have = capacity ? *capacity : p ? n : 0;
  if (n > have) {
    void *q = norn_alloc(a->st, p, have * size, n * size);
    if (!q) return archive_no_memory(a);
    memcpy(array_pointer, &q, sizeof q);
    if (capacity) *capacity = n;
    p = q;
  }
  return get_raw(a, p, n * size);
}

bool norn_archive_text(norn_archive *a, char *s, size_t n)
{
  size_t len;
  if (!archive_good(a)) return false;
  if (!a->reading) {
    put_text(a, s, strlen(s));
    return archive_good(a);
  }
  const char *t = get_text(a, &len);
  if (!t) return false;
  if (len >= n || memchr(t, 0, len)) return archive_damaged(a, "a text does not fit");
  memcpy(s, t, len);
  s[len] = 0;
  return true;
}

bool norn_archive_name(norn_archive *a, const char **s)
{
  size_t len;
  bool is = *s != NULL;
  if (!norn_archive_bool(a, &is)) return false;
  if (a->reading) *s = NULL;
  if (!is) return true;
  if (!a->reading) {
    put_text(a, *s, strlen(*s));
    return archive_good(a);
  }
  const char *t = get_text(a, &len);
  if (!t) return false;
  if (memchr(t, 0, len)) return archive_damaged(a, "a name is none");
  sym name = sym_intern(a->st, t, len);
  if (!name) return archive_no_memory(a);
  *s = sym_name(a->st, name);
  return true;
}

bool norn_archive_span(norn_archive *a, norn_span *s)
{
  uint64_t file = 0, start = s->start, end = s->end;
  if (!archive_good(a)) return false;
  if (!a->reading) file = code_file(a, s->file);
  if (!norn_archive_u64(a, &file) || !norn_archive_u64(a, &start) || !norn_archive_u64(a, &end))
    return false;
  if (!a->reading) return true;
  const thing *t = file ? code_thing(a, file, THING_SOURCE) : NULL;
  if (file && !t) return false;
  if (start > UINT32_MAX || end > UINT32_MAX) return archive_damaged(a, "a place is out of its file");
  s->file = t ? (uint32_t)(uintptr_t)t->p : 0;
  s->start = (uint32_t)start;
  s->end = (uint32_t)end;
  return true;
}

bool norn_archive_rng(norn_archive *a, norn_rng *g)
{
  return norn_archive_u64(a, &g->stream) && norn_archive_u32(a, &g->lane) &&
         norn_archive_u32(a, &g->event) && norn_archive_u32(a, &g->iter) &&
         norn_archive_u32(a, &g->draw);
}

bool norn_archive_row(norn_archive *a, const norn_dist_row **row)
{
  uint64_t k = 0;
  if (!archive_good(a)) return false;
  if (!a->reading && *row) k = code_row(a, *row);
  if (!norn_archive_u64(a, &k)) return false;
  if (!a->reading) return true;
  const thing *t = k ? code_thing(a, k, THING_ROW) : NULL;
  *row = t ? t->p : NULL;
  return !k || t;
}

/* ---- values ---- */

bool norn_archive_value(norn_archive *a, norn_datum *v)
{
  if (!archive_good(a)) return false;
  if (!a->reading) {
    value_put(a, *v);
  } else {
    val x = value_get(a);
    if (archive_good(a)) *v = x;
  }
  return archive_good(a);
}

bool norn_archive_ref(norn_archive *a, norn_ref **r)
{
  bool is = *r != NULL;
  if (!norn_archive_bool(a, &is)) return false;
  norn_datum v = is && !a->reading ? norn_get(*r) : norn_none();
  if (is && !norn_archive_value(a, &v)) return false;
  if (!a->reading) return true;
  if (!is) {
    norn_drop(*r);
    *r = NULL;
  } else if (*r) {
    norn_set(*r, v);
  } else if (!(*r = norn_keep(a->st, v))) {
    a->status = NORN_EMEMORY;
  }
  return archive_good(a);
}

/* ---- names of addresses ---- */

bool archive_addresses(norn_archive *a)
{
  norn_state *st = a->st;
  uint64_t n = st->naddrs, m = st->nnamed, serial = st->handle_serial;
  norn_archive_u64(a, &serial);
  if (serial > st->handle_serial) st->handle_serial = serial;
  norn_archive_u64(a, &n);
  if (!a->reading) {
    for (size_t i = 0; st->addrs && i <= st->addr_mask; i++)
      if (st->addrs[i].comp) put_raw(a, &st->addrs[i], sizeof st->addrs[i]);
  } else {
    for (addr_entry e; n-- && get_raw(a, &e, sizeof e);) addr_note(st, e.hash, e.parent, e.comp);
  }
  norn_archive_u64(a, &m);
  for (size_t i = 0; !a->reading && st->named && i <= st->named_mask; i++) {
    const addr_named *e = &st->named[i];
    const char *s = sym_name(st, e->name);
    if (!e->comp) continue;
    put_uint(a, e->comp >> 56);
    put_text(a, s, strlen(s));
    put_uint(a, e->number);
  }
  while (a->reading && archive_good(a) && m--) {
    size_t len;
    uint64_t kind = get_uint(a);
    const char *s = get_text(a, &len);
    uint64_t number = get_uint(a);
    if (!archive_good(a)) break;
    sym name = sym_intern(st, s, len);
    if (kind > 255 || number > UINT32_MAX) archive_damaged(a, "the name of an address is none");
    else if (!name || !addr_component(st, (unsigned)kind, name, (uint32_t)number)) archive_no_memory(a);
  }
  return archive_good(a);
}

/* ---- opening and closing ---- */

static norn_archive *archive_new(norn_state *st, bool read, const char *file)
{
  norn_archive *a = mem_zero(&st->mem, sizeof *a);
  if (!a) {
    state_memory(st);
    return NULL;
  }
  a->st = st;
  a->reading = read;
  a->file = file;
  a->in = SECTION_STATE;
  st->heap.nogc++;
  return a;
}

norn_archive *archive_writer(norn_state *st) { return archive_new(st, false, ""); }

void archive_free(norn_archive *a)
{
  if (!a) return;
  norn_state *st = a->st;
  mem *m = &st->mem;
  st->heap.nogc--;
  for (int k = 0; k < SECTION_COUNT; k++) mem_put(m, a->out[k].s, a->out[k].cap);
  mem_put(m, a->whole.s, a->whole.cap);
  for (size_t i = 0; i < a->nthing; i++)
    if (a->thing[i].starts) mem_put(m, a->thing[i].starts, ((const proto *)a->thing[i].p)->ncode);
  mem_put(m, a->thing, a->cthing * sizeof *a->thing);
  mem_put(m, a->object, a->cobject * sizeof *a->object);
  mem_put(m, a->origin, a->corigin * sizeof *a->origin);
  mem_put(m, a->run, a->crun * sizeof *a->run);
  mem_put(m, a->follow, a->cfollow * sizeof *a->follow);
  numbers_free(st, &a->objects);
  numbers_free(st, &a->things);
  numbers_free(st, &a->runs);
  mem_put(m, a, sizeof *a);
}

bool archive_written(norn_archive *a, const uint8_t **s, size_t *n)
{
  bytes *w = &a->whole;
  if (!objects_put(a)) return false;
  w->n = 0;
  for (int k = 0; k < SECTION_COUNT; k++) {
    const bytes *b = &a->out[k];
    uint64_t head[2] = { b->n, hash_bytes(b->s, b->n, (uint64_t)k) };
    if (!room(a, w, sizeof head + b->n)) return false;
    memcpy(w->s + w->n, head, sizeof head);
    if (b->n) memcpy(w->s + w->n + sizeof head, b->s, b->n);
    w->n += sizeof head + b->n;
  }
  *s = w->s;
  *n = w->n;
  return archive_good(a);
}

static bool open_sections(norn_archive *a, const uint8_t *s, size_t n)
{
  char what[80];
  for (int k = 0; k < SECTION_COUNT; k++) {
    uint64_t head[2] = { 0, 0 };
    bool well = n >= sizeof head;
    if (well) memcpy(head, s, sizeof head);
    well = well && head[0] <= n - sizeof head;
    if (well) {
      s += sizeof head;
      n -= sizeof head;
      well = hash_bytes(s, (size_t)head[0], (uint64_t)k) == head[1];
    }
    snprintf(what, sizeof what, "its section %s is not what was written", section_name[k]);
    if (!well) return archive_damaged(a, what);
    a->from[k] = (reading){ s, s + head[0] };
    s += head[0];
    n -= (size_t)head[0];
  }
  return !n || archive_damaged(a, "there is more than was written");
}

/* Of what stands in another archive. */
norn_archive *archive_reader_in(norn_archive *a, const uint8_t *s, size_t n)
{
  norn_archive *in = archive_new(a->st, true, a->file);
  if (!in) return NULL;
  in->depth = a->depth + 1;
  if (open_sections(in, s, n) && code_read(in) && objects_get(in)) return in;
  archive_free(in);
  return NULL;
}

norn_archive *archive_reader(norn_state *st, const char *file, const uint8_t *s, size_t n)
{
  norn_archive *a = archive_new(st, true, file);
  if (!a) return NULL;
  if (open_sections(a, s, n) && code_read(a) && objects_get(a)) return a;
  archive_free(a);
  return NULL;
}

size_t archive_left(const norn_archive *a) { return left_in(a, SECTION_STATE); }

bool archive_finished(norn_archive *a)
{
  if (archive_good(a) && left_in(a, SECTION_STATE)) archive_damaged(a, "more was written than is read");
  return archive_good(a);
}

/* ---- fingerprints ---- */

/* The archive of a value and of the code that it may come to run; NULL: no memory. */
static norn_archive *followed(norn_state *st, norn_datum v, bool code_only)
{
  norn_archive *a = archive_writer(st);
  if (!a) return NULL;
  a->prints = true;
  a->code_only = code_only;
  value_put(a, v);
  while (archive_good(a) && (a->written < a->nobject || a->nfollow)) {
    objects_put(a);
    code_follow(a);
  }
  return a;
}

bool archive_prints(norn_state *st, norn_datum v, uint64_t *program, uint64_t *values)
{
  norn_archive *a = followed(st, v, false);
  if (!a) return false;
  const bytes *b = a->out;
  *program = hash_bytes(b[SECTION_CODE].s, b[SECTION_CODE].n, 0);
  *values = hash_bytes(b[SECTION_HEADS].s, b[SECTION_HEADS].n,
                     hash_bytes(b[SECTION_BODIES].s, b[SECTION_BODIES].n,
                                hash_bytes(b[SECTION_STATE].s, b[SECTION_STATE].n, 0)));
  bool good = archive_good(a);
  archive_free(a);
  return good;
}

bool archive_program(norn_state *st, norn_datum v, uint64_t *program)
{
  norn_archive *a = followed(st, v, true);
  if (!a) return false;
  *program = hash_bytes(a->out[SECTION_CODE].s, a->out[SECTION_CODE].n, 0);
  bool good = archive_good(a);
  archive_free(a);
  return good;
}

uint64_t archive_build(void)
{
  uint64_t h = NORN_VERSION_NUMBER;
  for (int i = 0; i < OP_COUNT; i++) {
    const op_info *o = &op_table[i];
    h = hash_bytes(o->name, strlen(o->name), h);
    h = hash_bytes(o->modes, strlen(o->modes), h);
    h = hash_bytes(o->literals, strlen(o->literals), h);
  }
  return h;
}
