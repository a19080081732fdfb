/* regex_parse.c: regular expressions as trees.  A parser of one character's look-ahead goes down: alternatives,
   sequences, repetitions, atoms.  Whatever means something in another dialect and nothing here is an error with its
   place, so that no expression means something else than its writer thought. */
#include "llm/guide/regex_in.h"
#include <stdio.h>
#include <string.h>

enum { COUNT = 1000000 };

/* ---- errors ---- */

/* What stands at a place, for messages: at most some 24 characters, without control characters. */
static void excerpt(const rx_parser *p, size_t at, char out[128])
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

int rx_line(const rx_parser *p, size_t at)
{
  int line = 1;
  for (size_t k = 0; k < at; k++) line += p->s[k] == '\n';
  return line;
}
int rx_column(const rx_parser *p, size_t at)
{
  size_t begin = at;
  while (begin > 0 && p->s[begin - 1] != '\n') begin--;
  return (int)characters(p->s + begin, at - begin) + 1;
}

/* Sets the error of a place; gives NULL, for all that gives pointers. */
void *rx_wrong(rx_parser *p, size_t at, const char *hint, const char *format, ...)
{
  char what[240], here[128];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  excerpt(p, at, here);
  char where[60];
  if (p->lines) snprintf(where, sizeof where, "grammar, line %d", rx_line(p, at));
  else snprintf(where, sizeof where, "regular expression");
  int column = p->lines ? rx_column(p, at) : (int)characters(p->s, at) + 1;
  if (at < p->n) norn_fail(p->st, NORN_EDOMAIN, -1, "%s, character %d, at '%s': %s", where, column, here, what);
  else norn_fail(p->st, NORN_EDOMAIN, -1, "%s, at its end (character %d): %s", where, column, what);
  if (hint) norn_hint(p->st, "%s", hint);
  return NULL;
}

static void *no_memory(rx_parser *p)
{
  rx_no_memory(p->st);
  return NULL;
}

/* ---- what trees are made of ---- */

rx *rx_node(rx_parser *p, rx_kind kind, int n)
{
  rx *e = arena_get(p->a, sizeof *e);
  if (!e) return no_memory(p);
  e->kind = kind;
  e->n = n;
  return e;
}

bool rx_range_add(rx_parser *p, rx_ranges *r, uint32_t lo, uint32_t hi)
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
void rx_settle(rx_ranges *r)
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
bool rx_complement(rx_parser *p, rx_ranges *r)
{
  rx_ranges out = { 0 };
  uint32_t from = 0;
  bool ok = true;
  for (size_t k = 0; k < r->n && ok; k++) {
    if (r->v[k].lo > from) ok = rx_range_add(p, &out, from, r->v[k].lo - 1);
    from = r->v[k].hi + 1;
  }
  if (ok && from <= RX_CHARACTERS) ok = rx_range_add(p, &out, from, RX_CHARACTERS);
  mem_put(p->m, r->v, r->cap * sizeof *r->v);
  *r = out;
  return ok;
}

/* The set of r, which is given up. */
rx *rx_set_of(rx_parser *p, rx_ranges *r, bool ok)
{
  rx *e = NULL;
  if (ok) {
    rx_settle(r);
    e = rx_node(p, RX_SET, (int)r->n);
    if (e) e->range = arena_get(p->a, r->n * sizeof *r->v);
    if (e && !e->range) e = no_memory(p);
    if (e && r->n) memcpy(e->range, r->v, r->n * sizeof *r->v);
  }
  mem_put(p->m, r->v, r->cap * sizeof *r->v);
  return e;
}

/* ---- characters and classes ---- */

static bool more(const rx_parser *p) { return p->at < p->n; }
static bool looks(const rx_parser *p, const char *s)
{
  size_t n = strlen(s);
  return p->n - p->at >= n && memcmp(p->s + p->at, s, n) == 0;
}
bool rx_takes(rx_parser *p, char c)
{
  if (!more(p) || p->s[p->at] != c) return false;
  p->at++;
  return true;
}

/* The next character as it stands; the text was found to be UTF-8 (rx_parse). */
uint32_t rx_character(rx_parser *p)
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
bool rx_by_number(rx_parser *p, size_t from, int wide, bool braces, uint32_t *code)
{
  bool open = braces && rx_takes(p, '{');
  int k = 0;
  uint32_t x = 0;
  for (; more(p) && hex_digit(p->s[p->at]) >= 0 && k < (open ? 8 : wide); k++)
    x = x * 16 + (uint32_t)hex_digit(p->s[p->at++]);
  if (open ? k == 0 || !rx_takes(p, '}') : k < wide) {
    rx_wrong(p, from, open || braces ? "characters by number are \\x41, \\u00e9 and \\u{1f600}"
             : "characters by number are \\x41, \\u00e9", "behind \\%c must stand %s",
             wide == 2 ? 'x' : wide == 4 ? 'u' : 'U', open ? "a hexadecimal number and }" : wide == 2
             ? "two hexadecimal digits" : wide == 4 ? "four hexadecimal digits" : "eight hexadecimal digits");
    return false;
  }
  if (x > RX_CHARACTERS || (x >= 0xd800 && x <= 0xdfff)) {
    rx_wrong(p, from, x > RX_CHARACTERS ? "the last character is \\u{10ffff}"
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
static bool add_named(rx_parser *p, rx_ranges *r, char c)
{
  const char *pairs = class_named(c);
  rx_ranges own = { 0 };
  bool ok = true;
  for (; *pairs && ok; pairs += 2) ok = rx_range_add(p, &own, (uint8_t)pairs[0], (uint8_t)pairs[1]);
  if (ok && c < 'a') ok = rx_complement(p, &own);
  for (size_t k = 0; k < own.n && ok; k++) ok = rx_range_add(p, r, own.v[k].lo, own.v[k].hi);
  mem_put(p->m, own.v, own.cap * sizeof *own.v);
  return ok;
}

static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

static bool unknown_escape(rx_parser *p, size_t from, char c)
{
  const char *hint = "a character by its number is \\x41 or \\u{1f600}";
  if (c >= '1' && c <= '9') {
    rx_wrong(p, from, "write out what the group may be", "\\%c refers back to a group, which is nothing regular", c);
  } else if (c == '0') {
    rx_wrong(p, from, "the zero byte is \\x00", "\\0 is not known");
  } else if (strchr("bBAZzGK", c)) {
    rx_wrong(p, from, "the expression describes the whole text; \\\\ is a backslash",
          "\\%c (a place between characters) is not supported", c);
  } else {
    if (c == 'p' || c == 'P') hint = "write the characters as ranges, as [a-z\\u{e0}-\\u{ff}]";
    rx_wrong(p, from, hint, "\\%c is not known", c);
  }
  return false;
}

/* Behind a backslash at from: a character (*named 0), or a class by its letter. */
static bool escape(rx_parser *p, size_t from, uint32_t *code, char *named)
{
  static const char letters[] = "ntrfv", codes[] = "\n\t\r\f\v";
  *named = 0;
  if (!more(p)) return rx_wrong(p, from, "a backslash itself is \\\\", "a character is expected behind \\") != NULL;
  char c = p->s[p->at];
  const char *at = c ? strchr(letters, c) : NULL;
  if (!is_letter(c) && !(c >= '0' && c <= '9')) {
    *code = rx_character(p);
    return true;
  }
  p->at++;
  if (at) *code = (uint8_t)codes[at - letters];
  else if (c == 'x') return rx_by_number(p, from, 2, false, code);
  else if (c == 'u') return rx_by_number(p, from, 4, true, code);
  else if (class_named(c)) *named = c;
  else return unknown_escape(p, from, c);
  return true;
}

/* One member of a class that begins at from: a character, or with *named a class. */
static bool member(rx_parser *p, size_t from, uint32_t *code, char *named)
{
  *named = 0;
  if (!more(p)) return rx_wrong(p, from, "a bracket itself is \\[", "] is missing for this [") != NULL;
  if (looks(p, "[:") || looks(p, "[=") || looks(p, "[."))
    return rx_wrong(p, p->at, "write the characters as ranges, as a-z; a bracket itself is \\[",
                 "names of classes are not supported") != NULL;
  size_t at = p->at;
  if (rx_takes(p, '\\')) return escape(p, at, code, named);
  *code = rx_character(p);
  return true;
}

static bool range_to(rx_parser *p, size_t open, size_t from, rx_ranges *r, uint32_t lo, char named)
{
  uint32_t hi;
  char last;
  p->at++;
  if (!member(p, open, &hi, &last)) return false;
  if (named || last)
    return rx_wrong(p, from, "a - itself is \\-", "\\%c can't be the end of a range", named ? named : last) != NULL;
  if (lo > hi) return rx_wrong(p, from, "a range goes upwards; a - itself is \\-", "this range is the wrong way round")
                      != NULL;
  return rx_range_add(p, r, lo, hi);
}

/* Behind the [ that stands at open. */
static rx *class(rx_parser *p, size_t open)
{
  rx_ranges r = { 0 };
  bool ok = true, not = rx_takes(p, '^');
  if (more(p) && p->s[p->at] == ']')
    return rx_wrong(p, open, "a ] in a class is \\]", "this class is empty");
  while (ok && !rx_takes(p, ']')) {
    size_t from = p->at;
    uint32_t code = 0;
    char named;
    ok = member(p, open, &code, &named);
    if (!ok) break;
    bool range = looks(p, "-") && p->at + 1 < p->n && p->s[p->at + 1] != ']';
    if (range) ok = range_to(p, open, from, &r, code, named);
    else ok = named ? add_named(p, &r, named) : rx_range_add(p, &r, code, code);
  }
  if (ok && not) {
    rx_settle(&r);
    ok = rx_complement(p, &r);
  }
  return rx_set_of(p, &r, ok);
}

static rx *one(rx_parser *p, uint32_t lo, uint32_t hi)
{
  rx_ranges r = { 0 };
  return rx_set_of(p, &r, rx_range_add(p, &r, lo, hi));
}

/* ---- atoms, repetitions, sequences, alternatives ---- */

static rx *alternatives(rx_parser *p);

static rx *group(rx_parser *p, size_t open)
{
  if (rx_takes(p, '?') && !rx_takes(p, ':')) {
    if (looks(p, "=") || looks(p, "!") || looks(p, "<=") || looks(p, "<!"))
      return rx_wrong(p, open, "say what the text is, by alternatives or a class as [^...]",
                   "looking ahead or behind is not supported");
    return rx_wrong(p, open, "groups are ( ) and (?: )", "this kind of group is not supported");
  }
  if (++p->depth > RX_NESTED)
    return rx_wrong(p, open, "most parentheses are not needed", "more than %d groups stand inside each other",
                    RX_NESTED);
  rx *e = alternatives(p);
  p->depth--;
  if (e && !rx_takes(p, ')')) return rx_wrong(p, open, "a parenthesis itself is \\(", ") is missing for this (");
  return e;
}

static rx *escaped(rx_parser *p, size_t from)
{
  uint32_t code = 0;
  char named;
  rx_ranges r = { 0 };
  if (!escape(p, from, &code, &named)) return NULL;
  return named ? rx_set_of(p, &r, add_named(p, &r, named)) : one(p, code, code);
}

static rx *atom(rx_parser *p)
{
  size_t from = p->at;
  rx_ranges r = { 0 };
  switch (p->s[p->at]) {
  case '(': p->at++; return group(p, from);
  case '[': p->at++; return class(p, from);
  case '\\': p->at++; return escaped(p, from);
  case '.':
    p->at++;
    return rx_set_of(p, &r, rx_range_add(p, &r, 0, '\n' - 1) && rx_range_add(p, &r, '\n' + 1, RX_CHARACTERS));
  case '*': case '+': case '?':
    return rx_wrong(p, from, "the character itself is written with a \\ in front", "%c repeats nothing here",
                    p->s[from]);
  case '{': return rx_wrong(p, from, "a brace itself is \\{", "{ repeats nothing here");
  case '^': return rx_wrong(p, from, "the whole text is matched anyway; the character itself is \\^",
                         "^ can only stand at the beginning");
  case '$': return rx_wrong(p, from, "the whole text is matched anyway; the character itself is \\$",
                         "$ can only stand at the end");
  default: break;
  }
  uint32_t code = rx_character(p);
  return one(p, code, code);
}

/* A count; -1: there is none; -2: error set. */
static int count(rx_parser *p, size_t open)
{
  int64_t x = -1;
  for (; more(p) && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++) {
    x = (x < 0 ? 0 : x * 10) + (p->s[p->at] - '0');
    if (x > COUNT) {
      rx_wrong(p, open, "without end is {m,}", "at most %d repetitions can be counted", COUNT);
      return -2;
    }
  }
  return (int)x;
}

/* Behind a { at open. */
bool rx_braces(rx_parser *p, size_t open, int *least, int *most)
{
  *least = count(p, open);
  if (*least == -2) return false;
  *most = *least;
  if (*least >= 0 && rx_takes(p, ',')) {
    *most = count(p, open);
    if (*most == -2) return false;
  }
  if (*least < 0 || !rx_takes(p, '}'))
    return rx_wrong(p, open, "repetitions are {3}, {3,} and {3,5}, from none {0,5}; a brace itself is \\{",
                 "this is no number of repetitions") != NULL;
  if (*most >= 0 && *most < *least)
    return rx_wrong(p, open, "the smaller number is the first", "%d to %d repetitions are none", *least, *most) != NULL;
  return true;
}

rx *rx_repeat(rx_parser *p, rx *kid, int least, int most)
{
  rx *e = rx_node(p, RX_REPEAT, 1);
  if (e) e->kid = arena_get(p->a, sizeof *e->kid);
  if (e && !e->kid) return no_memory(p);
  if (!e) return NULL;
  e->kid[0] = kid;
  e->least = least;
  e->most = most;
  return e;
}

/* An atom with its repetitions. */
static rx *repeated(rx_parser *p)
{
  rx *e = atom(p);
  for (bool again = false; e && more(p); again = true) {
    size_t from = p->at;
    char c = p->s[p->at];
    int least = c == '+', most = c == '?' ? 1 : -1;
    if (c != '*' && c != '+' && c != '?' && c != '{') break;
    if (again && c != '{')
      return rx_wrong(p, from, "put what is repeated in (?: )", "%c follows a repetition", c);
    p->at++;
    if (c == '{' && !rx_braces(p, from, &least, &most)) return NULL;
    rx_takes(p, '?');
    e = rx_repeat(p, e, least, most);
  }
  return e;
}

bool rx_part_add(rx_parser *p, rx_parts *k, rx *e)
{
  if (!e) return false;
  if (!mem_grow(p->m, &k->v, &k->cap, k->n + 1, sizeof *k->v)) return no_memory(p) != NULL;
  k->v[k->n++] = e;
  return true;
}
/* The node of parts, which are given up; one part alone is itself. */
rx *rx_node_of(rx_parser *p, rx_kind kind, rx_parts *k, bool ok)
{
  rx *e = NULL;
  if (ok && k->n == 1) {
    e = k->v[0];
  } else if (ok) {
    e = rx_node(p, kind, (int)k->n);
    if (e) e->kid = arena_get(p->a, k->n * sizeof *k->v);
    if (e && !e->kid) e = no_memory(p);
    if (e && k->n) memcpy(e->kid, k->v, k->n * sizeof *k->v);
  }
  mem_put(p->m, k->v, k->cap * sizeof *k->v);
  return e;
}

/* A $ that stands at the end of the whole expression or of one of its alternatives. */
static bool at_dollar(const rx_parser *p)
{
  return p->depth == 0 && p->s[p->at] == '$' && (p->at + 1 == p->n || p->s[p->at + 1] == '|');
}

static rx *sequence(rx_parser *p)
{
  rx_parts k = { 0 };
  bool ok = true;
  if (p->depth == 0) rx_takes(p, '^');
  while (ok && more(p) && p->s[p->at] != '|' && p->s[p->at] != ')') {
    if (at_dollar(p)) p->at++;
    else ok = rx_part_add(p, &k, repeated(p));
  }
  return rx_node_of(p, RX_CAT, &k, ok);
}

static rx *alternatives(rx_parser *p)
{
  rx_parts k = { 0 };
  bool ok;
  do ok = rx_part_add(p, &k, sequence(p));
  while (ok && rx_takes(p, '|'));
  return rx_node_of(p, RX_ALT, &k, ok);
}

bool rx_is_utf8(rx_parser *p)
{
  uint32_t code;
  for (size_t at = 0; at < p->n;) {
    int wide = utf8_next(p->s + at, p->n - at, &code);
    if (wide <= 0) {
      rx_wrong(p, at, "the expression is text; a character by its number is \\u{e9}", "byte %zu is not UTF-8 (%02x)",
            at + 1, (unsigned)(uint8_t)p->s[at]);
      return false;
    }
    at += (size_t)wide;
  }
  return true;
}

rx *rx_parse(rx_parser *p)
{
  if (!rx_is_utf8(p)) return NULL;
  rx *e = alternatives(p);
  if (e && more(p)) return rx_wrong(p, p->at, "a parenthesis itself is \\)", "this ) closes nothing");
  return e;
}
