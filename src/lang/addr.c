/* addr.c: addresses as people write them.

   A run's path is a hash of its components (code.h).  Runs that keep names note each (hash, parent,
   component) here, so that a hash can be printed:

        components            printed
        theta, 3, z           theta.z[3]        an index stands behind the next name
        i, j, x               x[i, j]
        call f number k       f#k
        anonymous number k    #k

   The reverse, addr_parse, pushes an element's indices before its name. */
#include "lang/state.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 1 << 20, SHOWN_MAX = 64 };

/* ---- notes ---- */

/* The entry of that hash in a table, or the free one where it belongs. */
static addr_entry *entry_of(addr_entry *table, size_t mask, uint64_t hash)
{
  size_t i = (size_t)hash & mask;
  while (table[i].comp && table[i].hash != hash) i = (i + 1) & mask;
  return &table[i];
}

static bool notes_grow(norn_state *st, addr_entry **table, size_t *mask, size_t n)
{
  size_t old = *table ? *mask + 1 : 0, size = old ? old * 2 : 256;
  if (old && n * 2 < old) return true;
  addr_entry *was = *table, *now = mem_zero(&st->mem, size * sizeof *now);
  if (!now) return false;
  for (size_t i = 0; i < old; i++)
    if (was[i].comp) *entry_of(now, size - 1, was[i].hash) = was[i];
  mem_put(&st->mem, was, old * sizeof *was);
  *table = now;
  *mask = size - 1;
  return true;
}

/* What is known of a hash; NULL: nothing. */
static const addr_entry *note_find(const norn_state *st, uint64_t hash)
{
  const addr_entry *e = st->addrs ? entry_of(st->addrs, st->addr_mask, hash) : NULL;
  if ((!e || !e->comp) && st->own) e = entry_of(st->own, st->own_mask, hash);
  return e && e->comp ? e : NULL;
}

/* Without memory, or past a million names, an address just prints as its hash. */
void addr_note_new(norn_state *st, uint64_t hash, uint64_t parent, uint64_t comp)
{
  addr_entry **table = st->home ? &st->own : &st->addrs;
  size_t *mask = st->home ? &st->own_mask : &st->addr_mask, *n = st->home ? &st->nown : &st->naddrs;
  if (!comp || (st->home && note_find(st, hash))) return;
  if (st->naddrs + st->nown >= NOTES_MAX || !notes_grow(st, table, mask, *n)) return;
  addr_entry *e = entry_of(*table, *mask, hash);
  if (e->comp) return;
  *e = (addr_entry){hash, parent, comp};
  ++*n;
}

void addr_take(norn_state *home, norn_state *w)
{
  if (!w->own) return;
  for (size_t i = 0; i <= w->own_mask; i++)
    if (w->own[i].comp) addr_note(home, w->own[i].hash, w->own[i].parent, w->own[i].comp);
  mem_put(&w->mem, w->own, (w->own_mask + 1) * sizeof *w->own);
  w->own = NULL;
  w->nown = w->own_mask = 0;
}

/* ---- named components ---- */

static addr_named *named_find(const norn_state *st, uint64_t comp)
{
  size_t i = (size_t)hash_mix(comp) & st->named_mask;
  while (st->named[i].comp && st->named[i].comp != comp) i = (i + 1) & st->named_mask;
  return &st->named[i];
}

static bool named_grow(norn_state *st)
{
  size_t old = st->named ? st->named_mask + 1 : 0, size = old ? old * 2 : 64;
  if (old && st->nnamed * 2 < old) return true;
  addr_named *was = st->named, *table = mem_zero(&st->mem, size * sizeof *table);
  if (!table) return false;
  st->named = table;
  st->named_mask = size - 1;
  for (size_t i = 0; i < old; i++)
    if (was[i].comp) *named_find(st, was[i].comp) = was[i];
  mem_put(&st->mem, was, old * sizeof *was);
  return true;
}

uint64_t addr_component(norn_state *st, unsigned kind, sym name, uint32_t number)
{
  const char *s = sym_name(st, name);
  uint64_t h = hash_mix(hash_bytes(s, strlen(s), kind) + number * 0x9e3779b97f4a7c15u);
  uint64_t comp = (uint64_t)kind << 56 | (h & 0xffffffffffffffu);
  if (st->home) return addr_is_named(st, comp) ? comp : (state_at_home(st), 0);
  if (!named_grow(st)) return 0;
  addr_named *e = named_find(st, comp);
  st->nnamed += !e->comp;
  *e = (addr_named){comp, name, number};
  return comp;
}

bool addr_is_named(const norn_state *st, uint64_t comp)
{
  return st->named && named_find(st, comp)->comp == comp;
}

/* ---- printing ---- */

static int64_t index_of(uint64_t comp)
{
  return (int64_t)(comp << 8) >> 8;
}

static void show_named(norn_state *st, text *t, uint64_t comp)
{
  const addr_named *e = st->named ? named_find(st, comp) : NULL;
  text_puts(t, e && e->comp ? sym_name(st, e->name) : "?");
  if (comp >> 56 == ADDR_CALL) text_printf(t, "#%u", e ? e->number : 0);
}

void addr_show(norn_state *st, text *t, uint64_t comp)
{
  uint32_t number = (uint32_t)(comp >> 32) & 0xffffff;
  switch (comp >> 56) {
  case ADDR_NAME: case ADDR_CALL: show_named(st, t, comp); break;
  case ADDR_INDEX: text_printf(t, "[%" PRId64 "]", index_of(comp)); break;
  case ADDR_ANON: text_printf(t, "#%u", number); break;
  case ADDR_MEMO: text_printf(t, "mem{%06x}", (unsigned)comp & 0xffffff); break;
  }
}

static void show_indices(text *t, const uint64_t *comps, int n)
{
  for (int i = 0; i < n; i++) text_printf(t, "%s%" PRId64, i ? ", " : "[", index_of(comps[i]));
  if (n) text_putc(t, ']');
}

static void show_path(norn_state *st, text *t, const uint64_t *comps, int n)
{
  int first = 0;                      /* of the indices that wait for a name */
  for (int i = 0; i < n; i++) {
    if (comps[i] >> 56 == ADDR_INDEX) continue;
    if (t->n) text_putc(t, '.');
    addr_show(st, t, comps[i]);
    show_indices(t, comps + first, i - first);
    first = i + 1;
  }
  show_indices(t, comps + first, n - first);
}

const char *norn_addr_name(norn_state *st, uint64_t addr, char *out, size_t size)
{
  uint64_t comps[SHOWN_MAX];
  int n = 0;
  while (n < SHOWN_MAX) {
    const addr_entry *e = note_find(st, addr);
    if (!e) break;
    comps[SHOWN_MAX - ++n] = e->comp;
    addr = e->parent;
  }
  text t;
  text_init(&t, &st->mem);
  if (n == SHOWN_MAX) text_puts(&t, "..");
  show_path(st, &t, comps + SHOWN_MAX - n, n);
  if (!n || t.failed) t.n = 0, text_printf(&t, "@%016" PRIx64, addr);
  if (size) {
    size_t k = t.n < size ? t.n : size - 1;
    memcpy(out, t.s ? t.s : "", k);
    out[k] = 0;
  }
  text_free(&t);
  return out;
}

/* ---- reading ---- */

typedef struct reader { norn_state *st; const char *s; uint64_t path; } reader;

static bool read_index(reader *r)
{
  char *end;
  while (*r->s == ' ') r->s++;
  long long i = strtoll(r->s, &end, 10);
  if (end == r->s) return false;
  r->path = addr_push(r->path, addr_index(i));
  r->s = end;
  while (*r->s == ' ') r->s++;
  return true;
}

/* "[1, 2]" or nothing. */
static bool read_indices(reader *r)
{
  while (*r->s == '[') {
    do {
      r->s++;
      if (!read_index(r)) return false;
    } while (*r->s == ',');
    if (*r->s++ != ']') return false;
  }
  return true;
}

/* One element: name[i], f#k[i], #k[i]. */
static bool read_element(reader *r)
{
  const char *name = r->s;
  size_t n = strcspn(name, ".[]#{}");
  uint64_t comp;
  sym s = n ? sym_intern(r->st, name, n) : 0;
  r->s += n;
  if (*r->s == '#') {
    char *end;
    unsigned long k = strtoul(r->s + 1, &end, 10);
    if (end == r->s + 1 || k > 0xffffff) return false;
    r->s = end;
    comp = s ? addr_component(r->st, ADDR_CALL, s, (uint32_t)k) : addr_numbered(ADDR_ANON, (uint32_t)k);
  } else {
    if (!s) return false;
    comp = addr_component(r->st, ADDR_NAME, s, 0);
  }
  if (!read_indices(r)) return false;
  r->path = addr_push(r->path, comp);
  return *r->s == '.' || !*r->s;
}

bool addr_parse(norn_state *st, uint64_t base, const char *name, uint64_t *hash)
{
  reader r = {st, name, base};
  for (bool more = true; more; r.s += more) {
    if (!read_element(&r)) return false;
    more = *r.s == '.';
  }
  *hash = r.path;
  return true;
}
