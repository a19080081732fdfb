/* string.c: strings.  The bytes are UTF-8 as far as the program made them; malformed bytes are kept
   and count as one character each. */
#include "lang/state.h"
#include <string.h>

/* Room for n bytes, to be filled and then sealed. */
static str *str_room(norn_state *st, size_t n)
{
  if (n >= UINT32_MAX) {
    state_memory(st);
    return NULL;
  }
  str *s = heap_alloc(st, sizeof(str) + n + 1);
  if (!s) return NULL;
  obj_init(s, NORN_STR, 0, (uint32_t)n);
  s->s[n] = 0;
  return s;
}

/* Characters of n bytes; most texts have one byte for each. */
static size_t chars_of(const char *s, size_t n)
{
  uint64_t eight, high = 0;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    memcpy(&eight, s + i, 8);
    high |= eight;
  }
  for (; i < n; i++) high |= (uint64_t)(unsigned char)s[i];
  return high & 0x8080808080808080u ? utf8_count(s, n) : n;
}

static val str_seal(str *s)
{
  s->hash = (uint32_t)hash_bytes(s->s, s->h.n, 0);
  s->chars = (uint32_t)chars_of(s->s, s->h.n);
  return v_obj(NORN_STR, s);
}

str *str_new(norn_state *st, const char *bytes, size_t n)
{
  str *s = str_room(st, n);
  if (!s) return NULL;
  if (n) memcpy(s->s, bytes, n);
  str_seal(s);
  return s;
}

/* All parts are strings of n bytes together. */
static val join(norn_state *st, const val *parts, int count, size_t n)
{
  str *s = str_room(st, n);
  if (!s) return norn_none();
  char *at = s->s;
  for (int i = 0; i < count; i++) {
    memcpy(at, v_str(parts[i])->s, v_str(parts[i])->h.n);
    at += v_str(parts[i])->h.n;
  }
  return str_seal(s);
}

val str_concat(norn_state *st, const val *parts, int n)
{
  size_t bytes = 0;
  int strings = 0;
  for (; strings < n && parts[strings].tag == NORN_STR; strings++)
    bytes += v_str(parts[strings])->h.n;
  if (strings == n) return join(st, parts, n, bytes);
  text t;
  text_init(&t, &st->mem);
  for (int i = 0; i < n; i++) value_show(st, &t, parts[i], false, 0);
  str *s = t.failed ? NULL : str_new(st, t.s, t.n);
  if (t.failed) state_memory(st);
  text_free(&t);
  return s ? v_obj(NORN_STR, s) : norn_none();
}
