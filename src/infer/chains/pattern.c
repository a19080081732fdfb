/* pattern: patterns of addresses (pattern.h). */
#include "infer/chains/pattern.h"
#include <stdio.h>
#include <string.h>

bool pattern_fits(const char *name, const char *pattern)
{
  for (; *pattern; pattern++, name++) {
    if (*pattern == '*') {
      while (*++pattern == '*') {}
      for (; *name; name++)
        if (pattern_fits(name, pattern)) return true;
      return !*pattern;
    }
    if (*name != *pattern) return false;
  }
  return !*name;
}

void pattern_like(const char *name, char *buf, size_t n)
{
  size_t at = 0;
  for (; *name && at + 2 < n; name++) {
    buf[at++] = *name;
    if (*name != '[') continue;
    const char *end = strchr(name, ']');
    if (!end) continue;
    buf[at++] = '*';
    name = end - 1;
  }
  buf[at] = 0;
}

bool patterns_new(norn_state *st, patterns *p, norn_datum v, const char *what)
{
  char found[120];
  *p = (patterns){.st = st, .n = 1};
  if (norn_string_view(v, NULL)) v = norn_array_pack(st, &v, 1);
  else p->n = norn_array_length(v);
  bool good = p->n > 0;
  for (int64_t i = 0; good && i < p->n; i++) good = norn_string_view(norn_array_at(st, v, i), NULL);
  if (!good) {
    norn_fail(st, NORN_ETYPE, -1, "%s must be a pattern of addresses, such as \"theta*\", or an array of "
              "them, got %s", what, norn_describe(st, v, found, sizeof found));
    return false;
  }
  return !norn_is_none(v) && (p->text = norn_keep(st, v));
}

void patterns_free(patterns *p)
{
  if (p->text) norn_drop(p->text);
  if (!p->size) return;
  engine_put(p->st, p->key, p->size * sizeof *p->key);
  engine_put(p->st, p->which, p->size * sizeof *p->which);
}

const char *patterns_text(const patterns *p, int64_t i)
{
  return norn_string_view(norn_array_at(p->st, norn_get(p->text), i), NULL);
}

static int ask(patterns *p, norn_state *st, uint64_t addr)
{
  char name[256];
  int first = -1;
  norn_addr_name(st, addr, name, sizeof name);
  if (!*name || *name == '@') {                        /* there was no memory for it */
    p->failed = true;
    return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), -1;
  }
  for (int64_t i = 0; i < p->n; i++) {
    if (!pattern_fits(name, patterns_text(p, i))) continue;
    if (first < 0) first = (int)i;
    if (i < 64) p->hit |= (uint64_t)1 << i;
  }
  return first;
}

const char *patterns_unfit(const patterns *p)
{
  for (int64_t i = 0; i < p->n && i < 64; i++)
    if (!(p->hit >> i & 1)) return patterns_text(p, i);
  return NULL;
}

static bool grow(patterns *p)
{
  size_t n = p->size ? 2 * p->size : 64;
  uint64_t *key = engine_get(p->st, n * sizeof *key);
  int32_t *which = engine_get(p->st, n * sizeof *which);
  if (!key || !which) {
    engine_put(p->st, key, n * sizeof *key);
    engine_put(p->st, which, n * sizeof *which);
    return !(p->failed = true);
  }
  for (size_t i = 0; i < p->size; i++) {
    if (!p->which[i]) continue;
    size_t k = p->key[i] & (n - 1);
    while (which[k]) k = (k + 1) & (n - 1);
    key[k] = p->key[i];
    which[k] = p->which[i];
  }
  engine_put(p->st, p->key, p->size * sizeof *key);
  engine_put(p->st, p->which, p->size * sizeof *which);
  p->key = key;
  p->which = which;
  p->size = n;
  return true;
}

/* which: 0: a free entry; 1: none fits; 2 + i: the i-th. */
int patterns_which(patterns *p, uint64_t addr)
{
  if (2 * (p->used + 1) > p->size && !grow(p)) return -1;
  size_t k = addr & (p->size - 1);
  for (; p->which[k]; k = (k + 1) & (p->size - 1))
    if (p->key[k] == addr) return p->which[k] - 2;
  int which = ask(p, p->st, addr);
  if (p->failed) return -1;
  p->key[k] = addr;
  p->which[k] = 2 + which;
  p->used++;
  return which;
}

int patterns_elsewhere(patterns *p, norn_state *st, uint64_t addr) { return ask(p, st, addr); }

void patterns_list(norn_state *st, const uint64_t *addr, size_t n, size_t stride, char *buf,
                   size_t room)
{
  size_t at = 0, i = 0;
  char name[80];
  buf[0] = 0;
  for (; i < n && i < 8; i++) {
    uint64_t a;
    memcpy(&a, (const char *)addr + i * stride, sizeof a);
    if (!norn_addr_name(st, a, name, sizeof name)) continue;
    if (at + strlen(name) + 24 > room) break;
    at += (size_t)snprintf(buf + at, room - at, "%s%s", at ? ", " : "", name);
  }
  if (i < n && at + 24 < room) snprintf(buf + at, room - at, " and %zu more", n - i);
}
