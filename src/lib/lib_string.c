/* lib_string.c: strings.  They are UTF-8 and count in code points; a string whose bytes are as many
   as its code points is ASCII, and there an index is an offset. */
#include "lib/lib.h"
#include "lib/strings.h"
#include <string.h>

/* Byte offset of the code point `index` (at most the number there are). */
static size_t offset_of(const char *s, size_t n, int64_t chars, int64_t index)
{
  if ((int64_t)n == chars) return (size_t)index;
  size_t at = 0;
  while (index-- > 0 && at < n) {
    uint32_t code;
    int k = utf8_next(s + at, n - at, &code);
    at += k ? (size_t)k : 1;
  }
  return at;
}

int64_t strings_length(norn_datum v)
{
  size_t n;
  const char *s = norn_string_view(v, &n);
  return s ? (int64_t)utf8_count(s, n) : -1;
}

norn_status strings_cut(norn_state *st, norn_datum v, int64_t from, int64_t to, norn_datum *out)
{
  size_t n;
  const char *s = norn_string_view(v, &n);
  int64_t chars = (int64_t)utf8_count(s, n);
  size_t a = offset_of(s, n, chars, from), b = offset_of(s, n, chars, to);
  return lib_give(st, norn_string(st, s + a, b - a), out);
}

static text text_of(mem *m)
{
  text t;
  text_init(&t, m);
  return t;
}

norn_status strings_repeat(norn_state *st, norn_datum v, int64_t times, norn_datum *out)
{
  size_t n;
  const char *s = norn_string_view(v, &n);
  mem m = lib_mem(st);
  text t = text_of(&m);
  if (n > 0 && (uint64_t)times > ((uint64_t)1 << 40) / n)
    return norn_fail(st, NORN_EDOMAIN, 1, "a string of that size is too long");
  for (int64_t k = 0; k < times && n && !t.failed; k++) text_put(&t, s, n);
  return lib_text(st, &t, out);
}

norn_status strings_reverse(norn_state *st, norn_datum v, norn_datum *out)
{
  size_t n;
  const char *s = norn_string_view(v, &n);
  mem m = lib_mem(st);
  text t = text_of(&m);
  for (size_t end = n; end > 0;) {
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80) at--;
    text_put(&t, s + at, end - at);
    end = at;
  }
  return lib_text(st, &t, out);
}

/* The byte offset of b in a from `at` on; -1. */
static int64_t find_bytes(const char *a, size_t n, size_t at, const char *b, size_t k)
{
  const char *p = k <= n - at ? memmem(a + at, n - at, b, k) : NULL;
  return p ? p - a : -1;
}

norn_status strings_find(norn_state *st, const norn_datum *args, int64_t *at)
{
  const char *a, *b;
  size_t n, k;
  if (!norn_want_string(st, args, 0, "the string", &a, &n) ||
      !norn_want_string(st, args, 1, "the part", &b, &k)) return lib_failed(st);
  *at = find_bytes(a, n, 0, b, k);
  if (*at > 0) *at = (int64_t)utf8_count(a, (size_t)*at);
  return NORN_OK;
}

static norn_status t_find(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t at = -1;
  (void)n;
  norn_status code = strings_find(st, args, &at);
  *out = at < 0 ? norn_missing() : norn_int(at);
  return code;
}

/* ---- case and space ---- */

static norn_status with_case(norn_state *st, const norn_datum *args, char first, char last,
                             norn_datum *out)
{
  const char *s;
  size_t n;
  if (!norn_want_string(st, args, 0, "the argument", &s, &n)) return lib_failed(st);
  mem m = lib_mem(st);
  text t = text_of(&m);
  text_put(&t, s, n);
  for (size_t k = 0; k < t.n; k++)
    if (t.s[k] >= first && t.s[k] <= last) t.s[k] = (char)(t.s[k] ^ 0x20);
  return lib_text(st, &t, out);
}

static norn_status t_upper(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return with_case(st, args, 'a', 'z', out);
}

static norn_status t_lower(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return with_case(st, args, 'A', 'Z', out);
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void trim_view(const char **s, size_t *n)
{
  while (*n && is_blank((*s)[*n - 1])) --*n;
  while (*n && is_blank((*s)[0])) ++*s, --*n;
}

static norn_status t_trim(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s;
  size_t k;
  if (!norn_want_string(st, args, 0, "the argument", &s, &k)) return lib_failed(st);
  trim_view(&s, &k);
  return lib_give(st, norn_string(st, s, k), out);
}

/* ---- taking apart and joining ---- */

/* An array of strings being made. */
typedef struct pieces { norn_state *st; norn_ref *ref; norn_status code; } pieces;

static pieces pieces_new(norn_state *st)
{
  norn_datum keep;
  pieces p = { st, NULL, NORN_OK };
  if (lib_values(st, 0, &keep)) p.ref = norn_keep(st, keep);
  if (!p.ref) p.code = lib_failed(st);
  return p;
}

static void pieces_add(pieces *p, const char *s, size_t n)
{
  if (p->code) return;
  norn_datum v = norn_string(p->st, s, n);
  p->code = norn_is_none(v) ? lib_failed(p->st) : norn_push(p->ref, v);
}

static norn_status pieces_done(pieces *p, norn_datum *out)
{
  if (!p->code) *out = norn_get(p->ref);
  if (p->ref) norn_drop(p->ref);
  return p->code;
}

static norn_status split_blanks(norn_state *st, const char *s, size_t n, norn_datum *out)
{
  pieces p = pieces_new(st);
  for (size_t at = 0; at < n;) {
    size_t end = at;
    while (end < n && !is_blank(s[end])) end++;
    if (end > at) pieces_add(&p, s + at, end - at);
    at = end + 1;
  }
  return pieces_done(&p, out);
}

static norn_status t_split(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *s, *sep;
  size_t len, k;
  if (!norn_want_string(st, args, 0, "the string", &s, &len)) return lib_failed(st);
  if (!lib_given(args, 1, n)) return split_blanks(st, s, len, out);
  if (!norn_want_string(st, args, 1, "the separator", &sep, &k)) return lib_failed(st);
  if (k == 0) {
    norn_status code = norn_fail(st, NORN_EDOMAIN, 1, "the separator can't be empty");
    norn_hint(st, "chars(s) gives the characters");
    return code;
  }
  pieces p = pieces_new(st);
  size_t at = 0;
  for (int64_t hit; (hit = find_bytes(s, len, at, sep, k)) >= 0; at = (size_t)hit + k)
    pieces_add(&p, s + at, (size_t)hit - at);
  pieces_add(&p, s + at, len - at);
  return pieces_done(&p, out);
}

static norn_status t_lines(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s;
  size_t len;
  if (!norn_want_string(st, args, 0, "the argument", &s, &len)) return lib_failed(st);
  pieces p = pieces_new(st);
  for (size_t at = 0; at < len;) {
    const char *nl = memchr(s + at, '\n', len - at);
    size_t end = nl ? (size_t)(nl - s) : len, k = end - at;
    if (k && s[end - 1] == '\r') k--;
    pieces_add(&p, s + at, k);
    at = end + 1;
  }
  return pieces_done(&p, out);
}

static norn_status t_chars(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s;
  size_t len;
  if (!norn_want_string(st, args, 0, "the argument", &s, &len)) return lib_failed(st);
  pieces p = pieces_new(st);
  for (size_t at = 0; at < len;) {
    uint32_t code;
    int k = utf8_next(s + at, len - at, &code);
    if (!k) k = 1;
    pieces_add(&p, s + at, (size_t)k);
    at += (size_t)k;
  }
  return pieces_done(&p, out);
}

/* The value as print shows it, at the end of a text. */
static void put_shown(norn_state *st, text *t, norn_datum v)
{
  size_t n;
  const char *s = norn_string_view(v, &n);
  if (s) text_put(t, s, n);
  else text_puts(t, norn_show(st, v, false, 0));
}

static norn_status t_join(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  const char *sep = "";
  size_t k = 0;
  if (!norn_want_array(st, args, 0, "the first argument of join", &v)) return lib_failed(st);
  if (lib_given(args, 1, n) && !norn_want_string(st, args, 1, "the separator", &sep, &k))
    return lib_failed(st);
  mem m = lib_mem(st);
  text t = text_of(&m);
  for (int64_t i = 0; i < v.dims[0]; i++) {
    if (i) text_put(&t, sep, k);
    put_shown(st, &t, norn_array_at(st, args[0], i));
  }
  return lib_text(st, &t, out);
}

static norn_status t_replace(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s, *a, *b;
  size_t len, ka, kb, at = 0;
  if (!norn_want_string(st, args, 0, "the string", &s, &len) ||
      !norn_want_string(st, args, 1, "what to replace", &a, &ka) ||
      !norn_want_string(st, args, 2, "the replacement", &b, &kb))
    return lib_failed(st);
  if (ka == 0) return norn_fail(st, NORN_EDOMAIN, 1, "what to replace can't be empty");
  mem m = lib_mem(st);
  text t = text_of(&m);
  for (int64_t hit; (hit = find_bytes(s, len, at, a, ka)) >= 0; at = (size_t)hit + ka) {
    text_put(&t, s + at, (size_t)hit - at);
    text_put(&t, b, kb);
  }
  text_put(&t, s + at, len - at);
  return lib_text(st, &t, out);
}

static norn_status t_starts_with(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s, *a;
  size_t len, k;
  if (!norn_want_string(st, args, 0, "the string", &s, &len) ||
      !norn_want_string(st, args, 1, "the start", &a, &k))
    return lib_failed(st);
  *out = norn_bool(k <= len && memcmp(s, a, k) == 0);
  return NORN_OK;
}

static norn_status t_ends_with(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s, *a;
  size_t len, k;
  if (!norn_want_string(st, args, 0, "the string", &s, &len) ||
      !norn_want_string(st, args, 1, "the end", &a, &k))
    return lib_failed(st);
  *out = norn_bool(k <= len && memcmp(s + len - k, a, k) == 0);
  return NORN_OK;
}

/* ---- code points ---- */

static norn_status t_code(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *s;
  size_t len;
  uint32_t code;
  if (!norn_want_string(st, args, 0, "the argument", &s, &len)) return lib_failed(st);
  if (!utf8_next(s, len, &code)) return norn_fail(st, NORN_EDOMAIN, 0, "code of an empty string");
  *out = norn_int(code);
  return NORN_OK;
}

static norn_status t_char_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t code;
  char s[4];
  if (!norn_want_int(st, args, 0, "the code point", &code)) return lib_failed(st);
  int k = code >= 0 && code <= 0x10ffff ? utf8_put((uint32_t)code, s) : 0;
  if (!k) return norn_fail(st, NORN_EDOMAIN, 0, "%lld is not a code point", (long long)code);
  return lib_give(st, norn_string(st, s, (size_t)k), out);
}

/* ---- numbers ---- */

static norn_status t_str(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (norn_kind_of(args[0]) == NORN_STR) *out = args[0];
  else return lib_give(st, norn_cstring(st, norn_show(st, args[0], false, 0)), out);
  return NORN_OK;
}

static norn_status t_show(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_give(st, norn_cstring(st, norn_show(st, args[0], true, 0)), out);
}

static norn_status t_format_real(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  double x;
  int64_t digits;
  if (!norn_want_real(st, args, 0, "the number", &x) ||
      !norn_want_int(st, args, 1, "the number of digits", &digits))
    return lib_failed(st);
  if (digits < 0 || digits > 100)
    return norn_fail(st, NORN_EDOMAIN, 1,
                     "the number of digits must be between 0 and 100, got %lld", (long long)digits);
  mem m = lib_mem(st);
  text t = text_of(&m);
  text_printf(&t, "%.*f", (int)digits, x);
  return lib_text(st, &t, out);
}

/* ---- padding ---- */

static norn_status pad(norn_state *st, const norn_datum *args, int n, bool left, norn_datum *out)
{
  const char *s, *fill = " ";
  size_t len, k = 1;
  int64_t width;
  if (!norn_want_string(st, args, 0, "the string", &s, &len) ||
      !norn_want_int(st, args, 1, "the width", &width) ||
      (lib_given(args, 2, n) && !norn_want_string(st, args, 2, "the filling", &fill, &k)))
    return lib_failed(st);
  if (utf8_count(fill, k) != 1)
    return norn_fail(st, NORN_EDOMAIN, 2, "the filling must be one character, got %lld",
                     (long long)utf8_count(fill, k));
  if (width > (int64_t)1 << 32)
    return norn_fail(st, NORN_EDOMAIN, 1, "a string of that size is too long");
  mem m = lib_mem(st);
  text t = text_of(&m);
  int64_t more = width - (int64_t)utf8_count(s, len);
  if (!left) text_put(&t, s, len);
  while (more-- > 0 && !t.failed) text_put(&t, fill, k);
  if (left) text_put(&t, s, len);
  return lib_text(st, &t, out);
}

static norn_status t_pad_left(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return pad(st, args, n, true, out);
}

static norn_status t_pad_right(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return pad(st, args, n, false, out);
}

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("upper", "s", t_upper, "The string with a to z in upper case; other letters stay.",
     "upper(\"abc\")", "\"ABC\""),
  FN("lower", "s", t_lower, "The string with A to Z in lower case; other letters stay.",
     "lower(\"ABC\")", "\"abc\""),
  FN("trim", "s", t_trim, "The string without white space at its ends.", "trim(\"  a b \")",
     "\"a b\""),
  FN("split", "s, sep = missing", t_split,
     "The parts of a string between separators, by default between runs of white space.",
     "split(\"a,b\", \",\")", "[\"a\", \"b\"]"),
  FN("join", "xs, sep = \"\"", t_join, "The elements as print shows them, joined by a separator.",
     "join([\"a\", \"b\"], \"-\")", "\"a-b\""),
  FN("replace", "s, old, new", t_replace,
     "The string with every occurrence of old replaced by new.", "replace(\"aXbX\", \"X\", \"-\")",
     "\"a-b-\""),
  FN("starts_with", "s, start", t_starts_with, "Whether a string begins with another.",
     "starts_with(\"abc\", \"ab\")", "true"),
  FN("ends_with", "s, end", t_ends_with, "Whether a string ends with another.",
     "ends_with(\"abc\", \"bc\")", "true"),
  FN("find", "s, part", t_find, "The place of a part in a string; missing if it is not there.",
     "find(\"abc\", \"c\")", "2"),
  FN("chars", "s", t_chars, "The characters of a string.", "chars(\"abc\")",
     "[\"a\", \"b\", \"c\"]"),
  FN("lines", "s", t_lines, "The lines of a string, without their ends.", "lines(\"a\\nb\\n\")",
     "[\"a\", \"b\"]"),
  FN("code", "s", t_code, "The code point of a string's first character.", "code(\"A\")", "65"),
  FN("char_of", "code", t_char_of, "The character with a code point.", "char_of(65)", "\"A\""),
  FN("str", "x", t_str, "The value as print shows it.", "str([1.5, 2])", "\"[1.5, 2.0]\""),
  FN("show", "x", t_show, "The value as it is written in a program.", "show([\"a\"])",
     "\"[\\\"a\\\"]\""),
  FN("format_real", "x, digits", t_format_real, "A number with so many decimals.",
     "format_real(pi, 2)", "\"3.14\""),
  FN("pad_left", "s, width, fill = \" \"", t_pad_left, "The string filled on the left to a width.",
     "pad_left(\"7\", 3, \"0\")", "\"007\""),
  FN("pad_right", "s, width, fill = \" \"", t_pad_right,
     "The string filled on the right to a width.", "pad_right(\"a\", 3)", "\"a  \""),
};

norn_status lib_string_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
