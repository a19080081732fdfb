/* regex_parse.c: regular expressions as trees.  A parser of one character's look-ahead goes down: alternatives,
   sequences, repetitions, atoms.  Whatever means something in another dialect and nothing here is an error with its
   place, so that no expression means something else than its writer thought. */
#include "llm/regex_in.h"
#include <stdio.h>
#include <string.h>

enum { NESTED = 200, COUNT = 1000000 };

typedef struct parser {
  norn_state *st;
  arena *a;
  mem *m;                                /* of arrays that grow */
  const char *s;
  size_t n, at;
  int depth;
} parser;

/* ---- errors ---- */

/* What stands at a place, for messages: at most some 24 characters, without control characters. */
static void excerpt(const parser *p, size_t at, char out[128])
{
  size_t k = 0;
  uint32_t code;
  int shown = 0;
  for (; at < p->n && shown < 24; shown++) {
    int wide = utf8_next(p->s + at, p->n - at, &code);
    if (wide <= 0 || code < 32 || code == 127) out[k++] = '?';
    else {
      memcpy(out + k, p->s + at, (size_t)wide);
      k += (size_t)wide;
    }
    at += wide > 0 ? (size_t)wide : 1;
  }
  memcpy(out + k, at < p->n ? "..." : "", at < p->n ? 4 : 1);
}

static size_t characters(const char *s, size_t n)
{
  size_t count = 0;
  uint32_t code;
  for (size_t at = 0; at < n; count++) {
    int wide = utf8_next(s + at, n - at, &code);
    at += wide > 0 ? (size_t)wide : 1;
  }
  return count;
}

/* Sets the error of a place; gives NULL, for all that gives pointers. */
static void *wrong(parser *p, size_t at, const char *hint, const char *format, ...) NORN_PRINTF(4, 5);
static void *wrong(parser *p, size_t at, const char *hint, const char *format, ...)
{
  char what[240], here[128];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  excerpt(p, at, here);
  size_t k = characters(p->s, at) + 1;
  if (at < p->n)
    norn_fail(p->st, NORN_EDOMAIN, -1, "regular expression, character %zu, at '%s': %s", k, here, what);
  else norn_fail(p->st, NORN_EDOMAIN, -1, "regular expression, at its end (character %zu): %s", k, what);
  if (hint) norn_hint(p->st, "%s", hint);
  return NULL;
}

static void *no_memory(parser *p)
{
  rx_no_memory(p->st);
  return NULL;
}

/* ---- what trees are made of ---- */

static rx *node(parser *p, rx_kind kind, int n)
{
  rx *e = arena_get(p->a, sizeof *e);
  if (!e) return no_memory(p);
  e->kind = kind;
  e->n = n;
  return e;
}

typedef struct ranges { rx_range *v; size_t n, cap; } ranges;

static bool range_add(parser *p, ranges *r, uint32_t lo, uint32_t hi)
{
  if (!mem_grow(p->m, &r->v, &r->cap, r->n + 1, sizeof *r->v)) return no_memory(p) != NULL;
  r->v[r->n++] = (rx_range){ lo, hi };
  return true;
}

/* In order, those that touch made one: a heap sort, since what people write may be long. */
static void sift(rx_range *v, size_t at, size_t n)
{
  for (size_t k; (k = 2 * at + 1) < n; at = k) {
    if (k + 1 < n && v[k + 1].lo > v[k].lo) k++;
    if (v[at].lo >= v[k].lo) return;
    rx_range t = v[at];
    v[at] = v[k];
    v[k] = t;
  }
}
static void settle(ranges *r)
{
  for (size_t k = r->n / 2; k-- > 0;) sift(r->v, k, r->n);
  for (size_t k = r->n; k-- > 1;) {
    rx_range t = r->v[0];
    r->v[0] = r->v[k];
    r->v[k] = t;
    sift(r->v, 0, k);
  }
  size_t n = 0;
  for (size_t k = 0; k < r->n; k++) {
    if (n && r->v[k].lo <= r->v[n - 1].hi + 1) {
      if (r->v[k].hi > r->v[n - 1].hi) r->v[n - 1].hi = r->v[k].hi;
    } else {
      r->v[n++] = r->v[k];
    }
  }
  r->n = n;
}

/* All characters that are in none of r (settled).  Surrogates have no UTF-8; regex_nfa.c leaves them out. */
static bool complement(parser *p, ranges *r)
{
  ranges out = { 0 };
  uint32_t from = 0;
  bool ok = true;
  for (size_t k = 0; k < r->n && ok; k++) {
    if (r->v[k].lo > from) ok = range_add(p, &out, from, r->v[k].lo - 1);
    from = r->v[k].hi + 1;
  }
  if (ok && from <= RX_CHARACTERS) ok = range_add(p, &out, from, RX_CHARACTERS);
  mem_put(p->m, r->v, r->cap * sizeof *r->v);
  *r = out;
  return ok;
}

/* The set of r, which is given up. */
static rx *set_of(parser *p, ranges *r, bool ok)
{
  rx *e = NULL;
  if (ok) {
    settle(r);
    e = node(p, RX_SET, (int)r->n);
    if (e) e->range = arena_get(p->a, r->n * sizeof *r->v);
    if (e && !e->range) e = no_memory(p);
    if (e && r->n) memcpy(e->range, r->v, r->n * sizeof *r->v);
  }
  mem_put(p->m, r->v, r->cap * sizeof *r->v);
  return e;
}

/* ---- characters and classes ---- */

static bool more(const parser *p) { return p->at < p->n; }
static bool looks(const parser *p, const char *s)
{
  size_t n = strlen(s);
  return p->n - p->at >= n && memcmp(p->s + p->at, s, n) == 0;
}
static bool takes(parser *p, char c)
{
  if (!more(p) || p->s[p->at] != c) return false;
  p->at++;
  return true;
}

/* The next character as it stands; the text was found to be UTF-8 (rx_parse). */
static uint32_t character(parser *p)
{
  uint32_t code = 0;
  int wide = utf8_next(p->s + p->at, p->n - p->at, &code);
  p->at += (size_t)wide;
  return code;
}

static int hex_digit(int c)
{
  if (c >= '0' && c <= '9') return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind \x or \u, which stands at `from`: digits, `wide` of them, or any number in braces where that is allowed. */
static bool by_number(parser *p, size_t from, int wide, bool braces, uint32_t *code)
{
  bool open = braces && takes(p, '{');
  int k = 0;
  uint32_t x = 0;
  for (; more(p) && hex_digit(p->s[p->at]) >= 0 && k < (open ? 8 : wide); k++)
    x = x * 16 + (uint32_t)hex_digit(p->s[p->at++]);
  if (open ? k == 0 || !takes(p, '}') : k < wide) {
    wrong(p, from, "characters by number are \\x41, \\u00e9 and \\u{1f600}", "%s is expected behind \\%c",
          open ? "a hexadecimal number and }" : wide == 2 ? "two hexadecimal digits" : "four hexadecimal digits",
          wide == 2 ? 'x' : 'u');
    return false;
  }
  if (x > RX_CHARACTERS || (x >= 0xd800 && x <= 0xdfff)) {
    wrong(p, from, x > RX_CHARACTERS ? "the last character is \\u{10ffff}"
                                     : "d800 to dfff are halves of characters in UTF-16 and nothing in UTF-8",
          "%x is the number of no character", x);
    return false;
  }
  *code = x;
  return true;
}

/* \d and the like; NULL: c is none of them. */
static const char *class_named(char c)
{
  switch (c | 32) {
  case 'd': return "09";
  case 'w': return "09AZ__az";
  case 's': return "\t\r  ";
  default: return NULL;
  }
}
static bool add_named(parser *p, ranges *r, char c)
{
  const char *pairs = class_named(c);
  ranges own = { 0 };
  bool ok = true;
  for (; *pairs && ok; pairs += 2) ok = range_add(p, &own, (uint8_t)pairs[0], (uint8_t)pairs[1]);
  if (ok && c < 'a') ok = complement(p, &own);
  for (size_t k = 0; k < own.n && ok; k++) ok = range_add(p, r, own.v[k].lo, own.v[k].hi);
  mem_put(p->m, own.v, own.cap * sizeof *own.v);
  return ok;
}

static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

static bool unknown_escape(parser *p, size_t from, char c)
{
  const char *hint = "a character by its number is \\x41 or \\u{1f600}";
  if (c >= '1' && c <= '9') {
    wrong(p, from, "write out what the group may be", "\\%c refers back to a group, which is nothing regular", c);
  } else if (c == '0') {
    wrong(p, from, "the zero byte is \\x00", "\\0 is not known");
  } else if (strchr("bBAZzGK", c)) {
    wrong(p, from, "the expression describes the whole text; \\\\ is a backslash",
          "\\%c (a place between characters) is not supported", c);
  } else {
    if (c == 'p' || c == 'P') hint = "write the characters as ranges, as [a-z\\u{e0}-\\u{ff}]";
    wrong(p, from, hint, "\\%c is not known", c);
  }
  return false;
}

/* Behind a backslash at from: a character (*named 0), or a class by its letter. */
static bool escape(parser *p, size_t from, uint32_t *code, char *named)
{
  static const char letters[] = "ntrfv", codes[] = "\n\t\r\f\v";
  *named = 0;
  if (!more(p)) return wrong(p, from, "a backslash itself is \\\\", "a character is expected behind \\") != NULL;
  char c = p->s[p->at];
  const char *at = c ? strchr(letters, c) : NULL;
  if (!is_letter(c) && !(c >= '0' && c <= '9')) {
    *code = character(p);
    return true;
  }
  p->at++;
  if (at) *code = (uint8_t)codes[at - letters];
  else if (c == 'x') return by_number(p, from, 2, false, code);
  else if (c == 'u') return by_number(p, from, 4, true, code);
  else if (class_named(c)) *named = c;
  else return unknown_escape(p, from, c);
  return true;
}

/* One member of a class that begins at from: a character, or with *named a class. */
static bool member(parser *p, size_t from, uint32_t *code, char *named)
{
  *named = 0;
  if (!more(p)) return wrong(p, from, "a bracket itself is \\[", "] is missing for this [") != NULL;
  if (looks(p, "[:") || looks(p, "[=") || looks(p, "[."))
    return wrong(p, p->at, "write the characters as ranges, as a-z; a bracket itself is \\[",
                 "names of classes are not supported") != NULL;
  size_t at = p->at;
  if (takes(p, '\\')) return escape(p, at, code, named);
  *code = character(p);
  return true;
}

static bool range_to(parser *p, size_t open, size_t from, ranges *r, uint32_t lo, char named)
{
  uint32_t hi;
  char last;
  p->at++;
  if (!member(p, open, &hi, &last)) return false;
  if (named || last)
    return wrong(p, from, "a - itself is \\-", "\\%c can't be the end of a range", named ? named : last) != NULL;
  if (lo > hi) return wrong(p, from, "a range goes upwards; a - itself is \\-", "this range is the wrong way round")
                      != NULL;
  return range_add(p, r, lo, hi);
}

/* Behind the [ that stands at open. */
static rx *class(parser *p, size_t open)
{
  ranges r = { 0 };
  bool ok = true, not = takes(p, '^');
  if (more(p) && p->s[p->at] == ']')
    return wrong(p, open, "a ] in a class is \\]", "this class is empty");
  while (ok && !takes(p, ']')) {
    size_t from = p->at;
    uint32_t code = 0;
    char named;
    ok = member(p, open, &code, &named);
    if (!ok) break;
    bool range = looks(p, "-") && p->at + 1 < p->n && p->s[p->at + 1] != ']';
    if (range) ok = range_to(p, open, from, &r, code, named);
    else ok = named ? add_named(p, &r, named) : range_add(p, &r, code, code);
  }
  if (ok && not) {
    settle(&r);
    ok = complement(p, &r);
  }
  return set_of(p, &r, ok);
}

static rx *one(parser *p, uint32_t lo, uint32_t hi)
{
  ranges r = { 0 };
  return set_of(p, &r, range_add(p, &r, lo, hi));
}

/* ---- atoms, repetitions, sequences, alternatives ---- */

static rx *alternatives(parser *p);

static rx *group(parser *p, size_t open)
{
  if (takes(p, '?') && !takes(p, ':')) {
    if (looks(p, "=") || looks(p, "!") || looks(p, "<=") || looks(p, "<!"))
      return wrong(p, open, "say what the text is, by alternatives or a class as [^...]",
                   "looking ahead or behind is not supported");
    return wrong(p, open, "groups are ( ) and (?: )", "this kind of group is not supported");
  }
  if (++p->depth > NESTED)
    return wrong(p, open, "most parentheses are not needed", "more than %d groups stand inside each other", NESTED);
  rx *e = alternatives(p);
  p->depth--;
  if (e && !takes(p, ')')) return wrong(p, open, "a parenthesis itself is \\(", ") is missing for this (");
  return e;
}

static rx *escaped(parser *p, size_t from)
{
  uint32_t code = 0;
  char named;
  ranges r = { 0 };
  if (!escape(p, from, &code, &named)) return NULL;
  return named ? set_of(p, &r, add_named(p, &r, named)) : one(p, code, code);
}

static rx *atom(parser *p)
{
  size_t from = p->at;
  ranges r = { 0 };
  switch (p->s[p->at]) {
  case '(': p->at++; return group(p, from);
  case '[': p->at++; return class(p, from);
  case '\\': p->at++; return escaped(p, from);
  case '.':
    p->at++;
    return set_of(p, &r, range_add(p, &r, 0, '\n' - 1) && range_add(p, &r, '\n' + 1, RX_CHARACTERS));
  case '*': case '+': case '?':
    return wrong(p, from, "the character itself is written with a \\ in front", "%c repeats nothing here", p->s[from]);
  case '{': return wrong(p, from, "a brace itself is \\{", "{ repeats nothing here");
  case '^': return wrong(p, from, "the whole text is matched anyway; the character itself is \\^",
                         "^ can only stand at the beginning");
  case '$': return wrong(p, from, "the whole text is matched anyway; the character itself is \\$",
                         "$ can only stand at the end");
  default: break;
  }
  uint32_t code = character(p);
  return one(p, code, code);
}

/* A count; -1: there is none; -2: error set. */
static int count(parser *p, size_t open)
{
  int64_t x = -1;
  for (; more(p) && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++) {
    x = (x < 0 ? 0 : x * 10) + (p->s[p->at] - '0');
    if (x > COUNT) {
      wrong(p, open, "without end is {m,}", "at most %d repetitions can be counted", COUNT);
      return -2;
    }
  }
  return (int)x;
}

/* Behind a { at open. */
static bool braces(parser *p, size_t open, int *least, int *most)
{
  *least = count(p, open);
  if (*least == -2) return false;
  *most = *least;
  if (*least >= 0 && takes(p, ',')) {
    *most = count(p, open);
    if (*most == -2) return false;
  }
  if (*least < 0 || !takes(p, '}'))
    return wrong(p, open, "repetitions are {3}, {3,} and {3,5}, from none {0,5}; a brace itself is \\{",
                 "this is no number of repetitions") != NULL;
  if (*most >= 0 && *most < *least)
    return wrong(p, open, "the smaller number is the first", "%d to %d repetitions are none", *least, *most) != NULL;
  return true;
}

static rx *repeat(parser *p, rx *kid, int least, int most)
{
  rx *e = node(p, RX_REPEAT, 1);
  if (e) e->kid = arena_get(p->a, sizeof *e->kid);
  if (e && !e->kid) return no_memory(p);
  if (!e) return NULL;
  e->kid[0] = kid;
  e->least = least;
  e->most = most;
  return e;
}

/* An atom with its repetitions. */
static rx *repeated(parser *p)
{
  rx *e = atom(p);
  for (bool again = false; e && more(p); again = true) {
    size_t from = p->at;
    char c = p->s[p->at];
    int least = c == '+', most = c == '?' ? 1 : -1;
    if (c != '*' && c != '+' && c != '?' && c != '{') break;
    if (again && c != '{')
      return wrong(p, from, "put what is repeated in (?: )", "%c follows a repetition", c);
    p->at++;
    if (c == '{' && !braces(p, from, &least, &most)) return NULL;
    takes(p, '?');
    e = repeat(p, e, least, most);
  }
  return e;
}

typedef struct parts { rx **v; size_t n, cap; } parts;
static bool part_add(parser *p, parts *k, rx *e)
{
  if (!e) return false;
  if (!mem_grow(p->m, &k->v, &k->cap, k->n + 1, sizeof *k->v)) return no_memory(p) != NULL;
  k->v[k->n++] = e;
  return true;
}
/* The node of parts, which are given up; one part alone is itself. */
static rx *node_of(parser *p, rx_kind kind, parts *k, bool ok)
{
  rx *e = NULL;
  if (ok && k->n == 1) {
    e = k->v[0];
  } else if (ok) {
    e = node(p, kind, (int)k->n);
    if (e) e->kid = arena_get(p->a, k->n * sizeof *k->v);
    if (e && !e->kid) e = no_memory(p);
    if (e && k->n) memcpy(e->kid, k->v, k->n * sizeof *k->v);
  }
  mem_put(p->m, k->v, k->cap * sizeof *k->v);
  return e;
}

/* A $ that stands at the end of the whole expression or of one of its alternatives. */
static bool at_dollar(const parser *p)
{
  return p->depth == 0 && p->s[p->at] == '$' && (p->at + 1 == p->n || p->s[p->at + 1] == '|');
}

static rx *sequence(parser *p)
{
  parts k = { 0 };
  bool ok = true;
  if (p->depth == 0) takes(p, '^');
  while (ok && more(p) && p->s[p->at] != '|' && p->s[p->at] != ')') {
    if (at_dollar(p)) p->at++;
    else ok = part_add(p, &k, repeated(p));
  }
  return node_of(p, RX_CAT, &k, ok);
}

static rx *alternatives(parser *p)
{
  parts k = { 0 };
  bool ok;
  do ok = part_add(p, &k, sequence(p));
  while (ok && takes(p, '|'));
  return node_of(p, RX_ALT, &k, ok);
}

static bool is_utf8(parser *p)
{
  uint32_t code;
  for (size_t at = 0; at < p->n;) {
    int wide = utf8_next(p->s + at, p->n - at, &code);
    if (wide <= 0) {
      wrong(p, at, "the expression is text; a character by its number is \\u{e9}", "byte %zu is not UTF-8 (%02x)",
            at + 1, (unsigned)(uint8_t)p->s[at]);
      return false;
    }
    at += (size_t)wide;
  }
  return true;
}

rx *rx_parse(norn_state *st, arena *a, const char *s, size_t n)
{
  parser p = { .st = st, .a = a, .m = a->m, .s = s, .n = n };
  if (!is_utf8(&p)) return NULL;
  rx *e = alternatives(&p);
  if (e && more(&p)) return wrong(&p, p.at, "a parenthesis itself is \\)", "this ) closes nothing");
  return e;
}
