/* test_regex.c: regular expressions against a slow obvious matcher.  Expressions are made at random as trees, from
   which their text is written, and matched over characters as sets of places where a part may end, so that nothing
   is shown to be right by what is tested: neither the parser, nor UTF-8, nor automata. */
#include "unit.h"
#include "host.h"
#include "base/base.h"
#include "llm/guide/grammar.h"
#include <stdlib.h>

static uint64_t at = 1;
static uint64_t roll(uint64_t n) { return hash_mix(at++) % n; }

/* ---- expressions as trees ---- */

enum { SET, CAT, ALT, REP };
typedef struct tree {
  int kind, n, least, most;
  bool not;
  struct tree *kid[4];
  uint32_t lo[6], hi[6];
} tree;

static tree pool[4000];
static int used;

static const uint32_t letters[] = { 'a', 'b', 'c', '\n', 0xe9, 0x20ac, 0x1f600, 'a', 'b', 0, 0x7f, 0x80, 0x7ff, 0x800,
                                    0xd7ff, 0xe000, 0xffff, 0x10000, 0x3ffff, 0x40000, 0x10ffff, '-', ']', '^', '0', '_',
                                    ' ' };
static uint32_t letter(void) { return letters[roll(2) ? roll(4) : roll(NORN_COUNT(letters))]; }

static void put_char(text *t, uint32_t c)
{
  char b[4];
  int way = (int)roll(4);
  if (c < 128 && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z') && c > 32 && c != 127)
    text_printf(t, "\\%c", (int)c);
  else if (c == '\n') text_puts(t, roll(2) ? "\\n" : "\\x0a");
  else if (way == 0 || c == 0) text_printf(t, "\\u{%x}", c);
  else if (way == 1 && c < 256) text_printf(t, "\\x%02X", c);
  else if (way == 2 && c < 65536) text_printf(t, "\\u%04x", c);
  else text_put(t, b, (size_t)utf8_put(c, b));
}

static tree *node(int kind)
{
  tree *e = &pool[used++];
  *e = (tree){ .kind = kind };
  return e;
}

static tree *named(text *t, char c)
{
  static const uint32_t digit[] = { '0', '9' }, space[] = { '\t', '\r', ' ', ' ' },
                        word[] = { '0', '9', 'A', 'Z', '_', '_', 'a', 'z' };
  const uint32_t *v = (c | 32) == 'd' ? digit : (c | 32) == 's' ? space : word;
  tree *e = node(SET);
  e->n = (c | 32) == 'd' ? 1 : (c | 32) == 's' ? 2 : 4;
  for (int k = 0; k < e->n; k++) {
    e->lo[k] = v[2 * k];
    e->hi[k] = v[2 * k + 1];
  }
  e->not = c < 'a';
  text_printf(t, "\\%c", c);
  return e;
}

static tree *set(text *t)
{
  tree *e;
  switch (roll(6)) {
  case 0:
    e = node(SET);
    e->n = 1;
    e->lo[0] = e->hi[0] = '\n';
    e->not = true;
    text_putc(t, '.');
    return e;
  case 1: return named(t, "dDwWsS"[roll(6)]);
  case 2: case 3:
    e = node(SET);
    e->not = roll(2);
    text_puts(t, e->not ? "[^" : "[");
    e->n = 1 + (int)roll(5);
    for (int k = 0; k < e->n; k++) {
      uint32_t a = letter(), b = roll(2) ? a : letter();
      e->lo[k] = a < b ? a : b;
      e->hi[k] = a < b ? b : a;
      put_char(t, e->lo[k]);
      if (e->lo[k] == e->hi[k]) continue;
      text_putc(t, '-');
      put_char(t, e->hi[k]);
    }
    text_putc(t, ']');
    return e;
  default:
    e = node(SET);
    e->n = 1;
    e->lo[0] = e->hi[0] = letter();
    put_char(t, e->lo[0]);
    return e;
  }
}

static tree *expression(text *t, int depth);

static tree *repetition(text *t, int depth)
{
  tree *e = node(REP);
  text_puts(t, roll(2) ? "(" : "(?:");
  e->kid[0] = expression(t, depth - 1);
  text_putc(t, ')');
  e->least = (int)roll(3);
  e->most = e->least + (int)roll(3);
  switch (roll(5)) {
  case 0: e->least = 0; e->most = -1; text_putc(t, '*'); break;
  case 1: e->least = 1; e->most = -1; text_putc(t, '+'); break;
  case 2: e->least = 0; e->most = 1; text_putc(t, '?'); break;
  case 3: e->most = roll(2) ? -1 : e->least;
    text_printf(t, e->most < 0 ? "{%d,}" : "{%d}", e->least);
    break;
  default: text_printf(t, "{%d,%d}", e->least, e->most);
  }
  if (roll(5) == 0) text_putc(t, '?');
  return e;
}

static tree *expression(text *t, int depth)
{
  uint64_t kind = depth > 0 ? roll(5) : 0;
  if (kind < 2) return set(t);
  if (kind == 4) return repetition(t, depth);
  tree *e = node(kind == 2 ? ALT : CAT);
  e->n = (int)roll(4);
  if (e->kind == ALT && e->n == 0) e->n = 1;
  for (int k = 0; k < e->n; k++) {
    if (k && e->kind == ALT) text_putc(t, '|');
    bool open = e->kind == CAT;
    if (open) text_putc(t, '(');
    e->kid[k] = expression(t, depth - 1);
    if (open) text_putc(t, ')');
  }
  return e;
}

/* The automaton of a grammar that nests nowhere; of another r->n is 0. */
static norn_status of_grammar(norn_state *st, const char *s, size_t n, const char *stop, size_t nstop, regex *r)
{
  grammar g;
  norn_status code = grammar_new(st, s, n, stop, nstop, &g);
  *r = g.r;
  if (code || g.machines == 0) return code;
  grammar_free(&g);
  *r = (regex){ 0 };
  return code;
}

/* ---- the same trees as grammars: parts are rules, or stand where they are ---- */

static void put_code(text *t, uint32_t c)
{
  char b[4];
  if (c == '\n') text_puts(t, "\\n");
  else if (c == '"' || c == '\\' || c == '[' || c == ']') text_printf(t, "\\%c", (int)c);
  else if (c == '-' || c == '^' || c == 0 || roll(3) == 0) text_printf(t, c < 256 ? "\\x%02x" : "\\U%08x", c);
  else text_put(t, b, (size_t)utf8_put(c, b));
}

static void grammar_part(const tree *e, text *t, text *rules, int *n)
{
  text own;
  int rule = roll(3) == 0 ? ++*n : 0;
  text_init(&own, t->m);
  text *to = rule ? &own : t;
  if (e->kind == SET && e->n == 1 && !e->not && e->lo[0] == e->hi[0] && roll(2)) {
    text_putc(to, '"');
    put_code(to, e->lo[0]);
    text_putc(to, '"');
  } else if (e->kind == SET) {
    text_puts(to, e->not ? "[^" : "[");
    for (int k = 0; k < e->n; k++) {
      put_code(to, e->lo[k]);
      text_putc(to, '-');
      put_code(to, e->hi[k]);
    }
    text_putc(to, ']');
  } else {
    text_puts(to, roll(2) ? "(" : "( # a part\n ");
    int parts = e->kind == REP ? 1 : e->n;
    for (int k = 0; k < parts; k++) {
      if (k) text_puts(to, e->kind == ALT ? " | " : roll(2) ? " " : "\n  ");
      grammar_part(e->kid[k], to, rules, n);
    }
    text_puts(to, ")");
    if (e->kind == REP && e->most < 0) text_printf(to, "{%d,}", e->least);
    else if (e->kind == REP) text_printf(to, "{%d,%d}", e->least, e->most);
  }
  if (rule) {
    text_printf(rules, "r-%d ::= ", rule);
    text_put(rules, own.n ? own.s : "", own.n);
    text_puts(rules, roll(2) ? "\n" : "  # done\n\n");
    text_printf(t, " r-%d ", rule);
  }
  text_free(&own);
}

/* ---- the obvious matcher: from a set of places to the set of places where e may end ---- */

static bool in_set(const tree *e, uint32_t c)
{
  bool in = false;
  for (int k = 0; k < e->n; k++) in |= c >= e->lo[k] && c <= e->hi[k];
  return in != e->not;
}

static uint64_t ends(const tree *e, const uint32_t *s, int n, uint64_t from)
{
  uint64_t to = 0, before;
  switch (e->kind) {
  case SET:
    for (int k = 0; k < n; k++)
      if (from >> k & 1 && in_set(e, s[k])) to |= (uint64_t)1 << (k + 1);
    return to;
  case CAT:
    for (int k = 0; k < e->n; k++) from = ends(e->kid[k], s, n, from);
    return from;
  case ALT:
    for (int k = 0; k < e->n; k++) to |= ends(e->kid[k], s, n, from);
    return to;
  default:
    for (int k = 0; k < e->least; k++) from = ends(e->kid[0], s, n, from);
    to = from;
    for (int k = e->least; e->most < 0 || k < e->most; k++) {
      before = to;
      to |= from = ends(e->kid[0], s, n, from);
      if (e->most < 0 && to == before) break;
    }
    return to;
  }
}

/* A text that e may well match; characters of complements are tried. */
static int sample(const tree *e, uint32_t *s, int n, int most)
{
  int times;
  switch (e->kind) {
  case SET:
    if (n >= most) return n;
    for (int k = 0; k < 8; k++) {
      uint64_t r = roll((uint64_t)e->n);
      s[n] = e->not ? letter() : e->lo[r] + (uint32_t)roll(e->hi[r] - e->lo[r] + 1);
      if (s[n] >= 0xd800 && s[n] < 0xe000) s[n] = 0xd7ff;
      if (in_set(e, s[n])) break;
    }
    return n + 1;
  case CAT:
    for (int k = 0; k < e->n; k++) n = sample(e->kid[k], s, n, most);
    return n;
  case ALT: return sample(e->kid[roll((uint64_t)e->n)], s, n, most);
  default:
    times = e->least + (int)roll(e->most < 0 ? 3 : (uint64_t)(e->most - e->least) + 1);
    for (int k = 0; k < times; k++) n = sample(e->kid[0], s, n, most);
    return n;
  }
}

/* ---- the automaton ---- */

static bool matches(const regex *r, const char *s, size_t n)
{
  int state = 0;
  for (size_t k = 0; k < n && state >= 0; k++) state = regex_step(r, state, (uint8_t)s[k]);
  return state >= 0 && r->accepts[state];
}

static int to_utf8(const uint32_t *s, int n, char *out)
{
  int k = 0;
  for (int i = 0; i < n; i++) k += utf8_put(s[i], out + k);
  return k;
}

/* Every state but perhaps the first can reach the end, and is reached; no two are the same. */
static void check_smallest(const regex *r)
{
  static bool apart[400][400], alive[400], there[400];
  int n = r->n;
  if (n > 400) return;
  for (int a = 0; a < n; a++) {
    alive[a] = r->accepts[a];
    there[a] = a == 0;
    for (int b = 0; b < n; b++) apart[a][b] = r->accepts[a] != r->accepts[b];
  }
  for (bool more = true; more;) {
    more = false;
    for (int a = 0; a < n; a++)
      for (int c = 0; c < r->classes; c++) {
        int to = r->next[a * r->classes + c];
        if (to >= 0 && alive[to] && !alive[a]) alive[a] = more = true;
        if (to >= 0 && there[a] && !there[to]) there[to] = more = true;
        for (int b = 0; b < n; b++) {
          int too = r->next[b * r->classes + c];
          if (!apart[a][b] && to != too && (to < 0 || too < 0 || apart[to][too])) apart[a][b] = more = true;
        }
      }
  }
  bool good = true;
  for (int a = 0; a < n; a++) {
    good = good && there[a] && alive[a];
    for (int b = 0; b < a; b++) good = good && apart[a][b];
  }
  CHECK(good);
}

enum { LONG = 12 };
typedef struct tally { long matched, not, wrong; } tally;

static void try_text(const regex *r, const tree *e, const char *shown, tally *t)
{
  uint32_t s[LONG + 1], code;
  char b[4 * LONG + 4];
  bool likely = roll(3);
  int n = likely ? sample(e, s, 0, LONG) : (int)roll(5);
  if (!likely || roll(3) == 0)
    for (int k = 0; k < n; k++) s[k] = letter();
  if (n > 0 && roll(3) == 0) s[roll((uint64_t)n)] = letter();
  if (n > 0 && roll(6) == 0) n--;
  for (int k = 0; k < n; k++)
    if (s[k] >= 0xd800 && s[k] < 0xe000) s[k] = 'a';
  int len = to_utf8(s, n, b);
  bool want = ends(e, s, n, 1) >> n & 1, found = matches(r, b, (size_t)len);
  want ? t->matched++ : t->not++;
  if (want != found && t->wrong++ < 3)
    fprintf(stderr, "%s: '%.*s' (%d characters): %d, not %d\n", shown, len, b, n, found, want);
  /* What is no UTF-8 is in nothing. */
  if (len == 0) return;
  b[roll((uint64_t)len)] ^= (char)(1 << roll(8));
  for (int k = 0, wide; k < len; k += wide) {
    wide = utf8_next(b + k, (size_t)(len - k), &code);
    if (wide > 0) continue;
    t->wrong += matches(r, b, (size_t)len);
    break;
  }
}

/* Texts that may be ended by a stop: where it occurs first is looked for. */
static void try_stops(norn_state *st, const tree *e, const char *shown, tally *t)
{
  uint32_t stop[3], s[2 * LONG];
  char b[16], all[8 * LONG];
  regex r;
  int nstop = 1 + (int)roll(3), k;
  for (k = 0; k < nstop; k++) stop[k] = letters[roll(3)];
  if (regex_until(st, shown, strlen(shown), b, (size_t)to_utf8(stop, nstop, b), &r)) {
    CHECK(norn_error(st)->code == NORN_ELIMIT || strstr(norn_error(st)->text, "no text at all"));
    norn_clear(st);
    return;
  }
  check_smallest(&r);
  for (int turn = 0; turn < 30; turn++) {
    int n = sample(e, s, 0, LONG), tail = (int)roll(4);
    if (roll(2)) {
      memcpy(s + n, stop, (size_t)nstop * sizeof *s);
      n += nstop;
    }
    for (k = 0; k < tail; k++) s[n++] = letters[roll(3)];
    if (n > 0 && roll(3) == 0) s[roll((uint64_t)n)] = letters[roll(3)];
    for (k = 0; k + nstop <= n && memcmp(s + k, stop, (size_t)nstop * sizeof *s); k++) {}
    bool ended = k + nstop <= n, want = ends(e, s, ended ? k : n, 1) >> (ended ? k : n) & 1;
    bool found = matches(&r, all, (size_t)to_utf8(s, n, all));
    want ? t->matched++ : t->not++;
    t->wrong += want != found;
    if (want && ended && (!matches(&r, all, (size_t)to_utf8(s, k + nstop, all)))) t->wrong++;
  }
  regex_free(&r);
}

/* Both are smallest and numbered in the order of one search: the same text by text is the same number by number. */
static bool same(const regex *a, const regex *b)
{
  bool is = a->n == b->n;
  for (int s = 0; s < a->n && is; s++) {
    is = a->accepts[s] == b->accepts[s];
    for (int c = 0; c < 256; c++) is = is && regex_step(a, s, (uint8_t)c) == regex_step(b, s, (uint8_t)c);
  }
  return is;
}

static void try_grammar(norn_state *st, const tree *e, const regex *r)
{
  mem m;
  text t, rules;
  int n = 0;
  regex g;
  mem_init(&m);
  text_init(&t, &m);
  text_init(&rules, &m);
  text_puts(&t, "root ::= ");
  grammar_part(e, &t, &rules, &n);
  text_putc(&t, '\n');
  text_put(&t, rules.n ? rules.s : "", rules.n);
  if (of_grammar(st, t.s, t.n, "", 0, &g)) {
    fprintf(stderr, "%s\n%s\n", t.s, norn_error(st)->text);
    CHECK(!"a grammar");
    norn_clear(st);
  } else {
    if (!same(&g, r)) fprintf(stderr, "%s\n", t.s);
    CHECK(same(&g, r));
    regex_free(&g);
  }
  text_free(&t);
  text_free(&rules);
}

static void test_random(norn_state *st)
{
  tally t = { 0 }, stopped = { 0 };
  mem m;
  mem_init(&m);
  int large = 0;
  for (int turn = 0; turn < 4000; turn++) {
    text s;
    regex r;
    used = 0;
    text_init(&s, &m);
    bool begin = roll(4) == 0, end = roll(4) == 0;
    tree *e = expression(&s, 4);
    /* ^ and $ stand at the ends of each alternative: where there may be others they are left out. */
    char shown[4000];
    snprintf(shown, sizeof shown, begin && end ? "^(?:%s)$" : begin ? "^(?:%s)" : end ? "(?:%s)$" : "%s",
             s.n ? s.s : "");
    text_free(&s);
    if (regex_new(st, shown, strlen(shown), &r)) {
      const norn_err *why = norn_error(st);
      bool empty = strstr(why->text, "no text at all"), much = why->code == NORN_ELIMIT;
      if (!empty && !much) fprintf(stderr, "%s: %s\n", shown, why->text);
      CHECK(empty || much);
      for (int k = 0; k < 20 && empty; k++) {
        uint32_t x[LONG + 1];
        int n = sample(e, x, 0, LONG);
        CHECK(!(ends(e, x, n, 1) >> n & 1));
      }
      large += much;
      norn_clear(st);
      continue;
    }
    if (turn % 4 == 0) check_smallest(&r);
    for (int k = 0; k < 30; k++) try_text(&r, e, shown, &t);
    if (turn % 2 == 0) try_grammar(st, e, &r);
    regex_free(&r);
    if (turn % 3 == 0) try_stops(st, e, shown, &stopped);
  }
  CHECK(t.wrong == 0 && stopped.wrong == 0);
  CHECK(stopped.matched > 5000 && stopped.not > 5000);
  CHECK(t.matched > 20000 && t.not > 20000);
  CHECK(large < 40);
  printf("%ld matched, %ld not, %d too large\n", t.matched, t.not, large);
}

/* Ranges of characters split into ranges of bytes: every character of Unicode, in each of a few ranges. */
static void test_ranges(norn_state *st)
{
  static const uint32_t edge[] = { 0, 'a', 0x7f, 0x80, 0x81, 0xff, 0x7ff, 0x800, 0x812, 0xfff, 0x1000, 0x1fff, 0xcfff, 0xd7ff,
                                   0xe000, 0xfffd, 0xffff, 0x10000, 0x1f64f, 0x3ffff, 0x40000, 0xfffff, 0x100000,
                                   0x10ffff };
  long wrong = 0;
  for (int turn = 0; turn < 20; turn++) {
    regex r;
    char s[60], b[4];
    uint32_t lo = roll(2) ? edge[roll(NORN_COUNT(edge))] : (uint32_t)roll(0xd800),
             hi = roll(2) ? edge[roll(NORN_COUNT(edge))] : (uint32_t)roll(0xd800);
    bool not = roll(2);
    if (lo > hi) { uint32_t t = lo; lo = hi; hi = t; }
    snprintf(s, sizeof s, "[%s\\u{%x}-\\u{%x}]", not ? "^" : "", lo, hi);
    if (regex_new(st, s, strlen(s), &r)) {
      CHECK(not && lo == 0 && hi == 0x10ffff);
      norn_clear(st);
      continue;
    }
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
      int n = utf8_put(c, b);
      if (n) wrong += matches(&r, b, (size_t)n) != ((c >= lo && c <= hi) != not);
    }
    static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf",
                                       "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82" };
    for (int k = 0; k < NORN_COUNT(bad); k++) wrong += matches(&r, bad[k], strlen(bad[k]));
    check_smallest(&r);
    regex_free(&r);
  }
  CHECK(wrong == 0);
}

/* ---- by hand ---- */

static void is(norn_state *st, const char *s, const char *whole, bool want)
{
  regex r;
  if (regex_new(st, s, strlen(s), &r)) {
    fprintf(stderr, "%s: %s\n", s, norn_error(st)->text);
    CHECK(!"an expression");
    norn_clear(st);
    return;
  }
  if (matches(&r, whole, strlen(whole)) != want) fprintf(stderr, "%s, %s\n", s, whole);
  CHECK(matches(&r, whole, strlen(whole)) == want);
  check_smallest(&r);
  regex_free(&r);
}

static void test_hand(norn_state *st)
{
  is(st, "", "", true);
  is(st, "", "a", false);
  is(st, "a|", "", true);
  is(st, "()", "", true);
  is(st, "^a|b$", "b", true);
  is(st, "^$", "", true);
  is(st, "^a$|^b$", "a", true);
  is(st, "a{3}{2}", "aaaaaa", true);
  is(st, "a{3}{2}", "aaaaa", false);
  is(st, "a*?b??", "aab", true);
  is(st, "(a{2,3}){2}", "aaaaaaa", false);
  is(st, "(a{2,3}){2}", "aaaaa", true);
  is(st, "(a*)*", "aaa", true);
  is(st, "(|a)+", "aa", true);
  is(st, "a{0}", "", true);
  is(st, "a{0,0}b", "ab", false);
  is(st, "a]", "a]", true);
  is(st, "}", "}", true);
  is(st, "[a-]", "-", true);
  is(st, "[-a]", "-", true);
  is(st, "[a^]", "^", true);
  is(st, "[[(*]", "*", true);
  is(st, "[\\w-]+", "a-b", true);
  is(st, "[^\\W\\d]", "7", false);
  is(st, "[^\\W\\d]", "x", true);
  is(st, "\\d{4}-\\d{2}", "2024-05", true);
  is(st, "\\x41\\u00e9\\u{1f600}", "A\xc3\xa9\xf0\x9f\x98\x80", true);
  is(st, "\\/\\'\\\"\\ ", "/'\" ", true);
  is(st, "\xc3\xa9+", "\xc3\xa9\xc3\xa9", true);
  is(st, "\\\xc3\xa9", "\xc3\xa9", true);
  is(st, ".", "\n", false);
  is(st, ".", "\r", true);
  is(st, "(yes|no)(, (yes|no))*\\.", "yes, no, no.", true);
  is(st, "(0|1(01*0)*1)*", "1001", true);                        /* multiples of three */
  is(st, "(0|1(01*0)*1)*", "1011", false);
  regex r;
  CHECK(!regex_new(st, "(0|1(01*0)*1)*", 14, &r));
  CHECK(r.n == 3);
  regex_free(&r);
  CHECK(!regex_new(st, "a\0b", 3, &r));                           /* a zero byte is a character */
  CHECK(matches(&r, "a\0b", 3));
  regex_free(&r);
  CHECK(!regex_new(st, "[a-z]{0,1000}", 13, &r));
  CHECK(r.n == 1001);
  regex_free(&r);
}

static void test_stop(norn_state *st)
{
  regex r;
  CHECK(!regex_until(st, "^[a-z\\n]*$", 10, "\n", 1, &r));
  CHECK(matches(&r, "ab", 2) && matches(&r, "ab\n", 3) && matches(&r, "ab\n\xff?", 5) && !matches(&r, "a7", 2));
  CHECK(r.n == 2);
  regex_free(&r);
  CHECK(!regex_until(st, "(ab\n)*c", 7, "\n", 1, &r));               /* the stop is met where nothing is matched */
  CHECK(!matches(&r, "ab\n", 3) && regex_step(&r, 0, 'a') == -1 && matches(&r, "c", 1) && matches(&r, "c\nc", 3));
  regex_free(&r);
  CHECK(!regex_until(st, "a{3}", 4, "aa", 2, &r) || norn_error(st)->code == NORN_EDOMAIN);
  CHECK(strstr(norn_error(st)->text, "no text at all"));
  norn_clear(st);
}

static void refused(norn_state *st, const char *s, int character, const char *why)
{
  regex r;
  char place[60];
  snprintf(place, sizeof place, "character %d", character);
  CHECK(regex_new(st, s, strlen(s), &r) == NORN_EDOMAIN);
  CHECK(r.next == NULL && r.accepts == NULL);
  const norn_err *e = norn_error(st);
  const char *found = strstr(e->text, place);
  char after = found ? found[strlen(place)] : '0';
  if (!found || (after >= '0' && after <= '9')) CHECK_STR(e->text, place);
  if (!strstr(e->text, why)) CHECK_STR(e->text, why);
  CHECK(e->hint[0]);
  norn_clear(st);
}

static void test_errors(norn_state *st)
{
  refused(st, "(ab", 1, ") is missing for this (");
  refused(st, "a(b|(c)", 2, ") is missing");
  refused(st, "ab)c", 3, "closes nothing");
  refused(st, "x[abc", 2, "] is missing for this [");
  refused(st, "x[", 2, "] is missing");
  refused(st, "[a-", 1, "] is missing");
  refused(st, "a[]b]", 2, "this class is empty");
  refused(st, "a[^]b]", 2, "this class is empty");
  refused(st, "[z-a]", 2, "wrong way round");
  refused(st, "[\\d-z]", 2, "\\d can't be the end of a range");
  refused(st, "[a-\\s]", 2, "\\s can't be the end of a range");
  refused(st, "[[:alpha:]]", 2, "names of classes");
  refused(st, "*a", 1, "* repeats nothing");
  refused(st, "a|+", 3, "+ repeats nothing");
  refused(st, "(?)", 1, "this kind of group");
  refused(st, "({2})", 2, "{ repeats nothing");
  refused(st, "a**", 3, "* follows a repetition");
  refused(st, "a*+", 3, "+ follows a repetition");
  refused(st, "a{2,1}", 2, "2 to 1 repetitions are none");
  refused(st, "a{,3}", 2, "no number of repetitions");
  refused(st, "a{", 2, "no number");
  refused(st, "a{x}", 2, "no number");
  refused(st, "a{3,4", 2, "no number");
  refused(st, "a{99999999999999999999}", 2, "at most 1000000");
  refused(st, "a^b", 2, "^ can only stand at the beginning");
  refused(st, "(^a)", 2, "^ can only");
  refused(st, "a$b", 2, "$ can only stand at the end");
  refused(st, "(a$)", 3, "$ can only");
  refused(st, "a$*", 2, "$ can only");
  refused(st, "^*", 2, "* repeats nothing");
  refused(st, "(a)\\1", 4, "refers back to a group");
  refused(st, "a(?=b)", 2, "looking ahead or behind");
  refused(st, "(?!b)", 1, "looking ahead");
  refused(st, "(?<=b)", 1, "looking ahead");
  refused(st, "(?<!b)", 1, "looking ahead");
  refused(st, "(?<n>b)", 1, "this kind of group");
  refused(st, "(?P<n>b)", 1, "this kind of group");
  refused(st, "(?i)b", 1, "this kind of group");
  refused(st, "\\bword", 1, "a place between characters");
  refused(st, "\\p{L}", 1, "\\p is not known");
  refused(st, "a\\q", 2, "\\q is not known");
  refused(st, "\\0", 1, "\\0 is not known");
  refused(st, "a\\", 2, "expected behind");
  refused(st, "\\x4", 1, "two hexadecimal digits");
  refused(st, "\\xg0", 1, "two hexadecimal digits");
  refused(st, "\\u12", 1, "four hexadecimal digits");
  refused(st, "\\u{}", 1, "a hexadecimal number and }");
  refused(st, "\\u{12", 1, "a hexadecimal number and }");
  refused(st, "\\u{110000}", 1, "110000 is the number of no character");
  refused(st, "\\ud800", 1, "d800 is the number of no character");
  refused(st, "\xc3\xa9\xc3\xa9(", 3, ") is missing");           /* characters, not bytes */
  refused(st, "ab\xff", 3, "byte 3 is not UTF-8 (ff)");
  refused(st, "ab\xc3", 3, "byte 3 is not UTF-8 (c3)");
  refused(st, "\n\t(", 3, ") is missing");
}

static void too_large(norn_state *st, const char *s)
{
  regex r;
  CHECK(regex_new(st, s, strlen(s), &r) == NORN_ELIMIT);
  CHECK(strstr(norn_error(st)->text, "too large") != NULL && norn_error(st)->hint[0]);
  norn_clear(st);
}

static void test_limits(norn_state *st)
{
  too_large(st, "(a{1000}){1000}");
  too_large(st, "a{1000}{1000}");
  too_large(st, "(((()){1000}){1000}){1000}");
  too_large(st, "((((a{0}){1000000}){1000000}){1000000})*");
  too_large(st, "(a|b)*a(a|b){20}");
  too_large(st, ".*a.{20}");
  too_large(st, "((a?){100}){1000}b");
  too_large(st, "(a?){20000}");
  too_large(st, "((|a)?){50000}");
  too_large(st, "(([ab]{0,300}c?){0,300}d){1,2}");
  char deep[1000];
  memset(deep, '(', 999);
  deep[999] = 0;
  refused(st, deep, 201, "more than 200 groups");
  regex r;
  CHECK(regex_new(st, "[^\\s\\S]", 7, &r) == NORN_EDOMAIN);
  CHECK(strstr(norn_error(st)->text, "no text at all") != NULL);
  norn_clear(st);
  CHECK(regex_new(st, "a[^\\w\\W]b", 9, &r) == NORN_EDOMAIN);
  norn_clear(st);
  CHECK(!regex_new(st, "a|b[^\\w\\W]c", 11, &r));
  CHECK(r.n == 2);
  regex_free(&r);
}

/* ---- grammars ---- */

static void as_regex(norn_state *st, const char *gbnf, const char *re)
{
  regex a, b;
  if (of_grammar(st, gbnf, strlen(gbnf), "", 0, &a)) {
    fprintf(stderr, "%s: %s\n", gbnf, norn_error(st)->text);
    CHECK(!"a grammar");
    norn_clear(st);
    return;
  }
  CHECK(!regex_new(st, re, strlen(re), &b));
  if (!same(&a, &b)) fprintf(stderr, "%s\n%s\n", gbnf, re);
  CHECK(same(&a, &b));
  regex_free(&a);
  regex_free(&b);
}

static void no_grammar(norn_state *st, const char *s, int line, int character, const char *why)
{
  regex r;
  char place[60], end[80];
  snprintf(place, sizeof place, "line %d, character %d,", line, character);
  snprintf(end, sizeof end, "line %d, at its end (character %d)", line, character);
  CHECK(of_grammar(st, s, strlen(s), "", 0, &r) == NORN_EDOMAIN && !r.next);
  const norn_err *e = norn_error(st);
  if (!strstr(e->text, place) && !strstr(e->text, end)) CHECK_STR(e->text, place);
  if (!strstr(e->text, why)) CHECK_STR(e->text, why);
  norn_clear(st);
}

static void test_grammar(norn_state *st)
{
  regex r;
  as_regex(st, "root ::= \"a\" | \"bc\"", "a|bc");
  as_regex(st, "# yes\nroot ::= # no\n  a b |\n  \"x\" # last\na ::= \"a\"+\n\nb::=[0-9]{2,3}\n", "a+[0-9]{2,3}|x");
  as_regex(st, "root ::= (\n \"a\"\n | \"b\" )? \"\"", "[ab]?");
  as_regex(st, "root ::= number\nnumber ::= [0-9] | [0-9] number", "[0-9]+");
  as_regex(st, "root ::= \"x\" even | \"\"\neven ::= \"y\" root", "(xy)*");
  as_regex(st, "root ::= item (\",\" root)?\nitem ::= [a-c]", "[a-c](,[a-c])*");
  as_regex(st, "root ::= ws \"a\" ws\nws ::= \" \" ws |", " *a *");
  as_regex(st, "root ::= \"\\\"\" [^\\\"\\n] \"\\x41\\u00e9\\U0001f600\\[\" .", "\"[^\"\\n]A\\u{e9}\\u{1f600}\\[(.|\\n)");
  as_regex(st, "root ::= [a-] \"b\" * [x] {2}", "[a-]b*x{2}");
  CHECK(!of_grammar(st, "root ::= [a-z]+ \"\\n\"?", 21, "\n", 1, &r));
  CHECK(matches(&r, "ab\nx", 4) && !matches(&r, "\n", 1));
  regex_free(&r);
  no_grammar(st, "root ::= number\nnumbr ::= [0-9]", 1, 10, "no rule of this name");
  no_grammar(st, "a ::= \"b\"", 1, 10, "there is no rule root");
  no_grammar(st, "root ::= \"a\"\nroot ::= \"b\"", 2, 1, "defined twice");
  no_grammar(st, "root = \"a\"", 1, 6, "::= is expected");
  no_grammar(st, "root ::= \"a\" ; \"b\"", 1, 14, "begins no part");
  no_grammar(st, "root ::= \"a\"\n  | \"b\"", 2, 3, "the name of a rule is expected");
  no_grammar(st, "root ::= \"a\n\"", 1, 10, "\" is missing");
  no_grammar(st, "root ::= [a-z", 1, 10, "] is missing");
  no_grammar(st, "root ::= []", 1, 10, "class is empty");
  no_grammar(st, "root ::= [z-a]", 1, 11, "wrong way round");
  no_grammar(st, "root ::= (\"a\"", 1, 10, ") is missing");
  no_grammar(st, "root ::= \"a\" )", 1, 14, "begins no part");
  no_grammar(st, "root ::= \"\\d\"", 1, 11, "escape is not known");
  no_grammar(st, "root ::= \"\\x4\"", 1, 11, "two hexadecimal digits");
  no_grammar(st, "root ::= \"\\U0001f6\"", 1, 11, "behind \\U must stand eight hexadecimal digits");
  no_grammar(st, "root ::= \"a\"{2,1}", 1, 13, "2 to 1");
  no_grammar(st, "root ::= \"a\"\n\xff", 2, 1, "not UTF-8");
  no_grammar(st, "root ::= *", 1, 10, "begins no part");
  CHECK(of_grammar(st, "root ::= \"x\" root", 17, "", 0, &r) == NORN_EDOMAIN);
  CHECK(strstr(norn_error(st)->text, "no text at all"));
  norn_clear(st);
  CHECK(of_grammar(st, "root ::= root", 13, "", 0, &r) == NORN_EDOMAIN);
  norn_clear(st);
  CHECK(of_grammar(st, "", 0, "", 0, &r) == NORN_EDOMAIN);
  norn_clear(st);
  /* Rules in rules in rules: a limit, no overflow. */
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  text_puts(&t, "root ::= r0\n");
  for (int k = 0; k < 9000; k++) text_printf(&t, "r%d ::= \"a\" r%d\n", k, k + 1);
  text_puts(&t, "r9000 ::= \"b\"");
  CHECK(of_grammar(st, t.s, t.n, "", 0, &r) == NORN_ELIMIT);
  norn_clear(st);
  text_free(&t);
  text_init(&t, &m);
  text_puts(&t, "root ::= r0\n");
  for (int k = 0; k < 40; k++) text_printf(&t, "r%d ::= r%d r%d\n", k, k + 1, k + 1);
  text_puts(&t, "r40 ::= \"b\"");
  CHECK(of_grammar(st, t.s, t.n, "", 0, &r) == NORN_OK && r.n == 0);      /* rules that are large are called */
  text_free(&t);
}

/* ---- memory ---- */

static void test_memory(void)
{
  static const char *const all[] = { "(a|bc)*[^x-z\\d]{2,5}|\\u{1f600}+?.{0,40}", "a(b", "[a-z", "(a?){20000}",
                                     "[^\\s\\S]", "root ::= \"a\" (x | y){2,9}\nx ::= [a-c] x | .\ny ::= \"z\"*",
                                     "root ::= aa\nab ::= [x" };
  host h = { 0, 0, 0 };
  norn_config cfg = norn_config_default();
  cfg.alloc = host_alloc;
  cfg.alloc_user = &h;
  norn_state *st = norn_new_bare(&cfg);
  CHECK(st);
  for (int k = 0; k < NORN_COUNT(all); k++) {
    long blocks = h.blocks, fails = 0;
    for (bool reached = true; reached; fails++) {
      regex r;
      h.fail_at = h.requests + fails + 1;
      norn_status s = (k >= 5 ? of_grammar : regex_until)(st, all[k], strlen(all[k]), "ab", k == 0 ? 2 : 0, &r);
      reached = h.requests >= h.fail_at;
      h.fail_at = 0;
      if (reached) CHECK(s == NORN_EMEMORY);
      if (s == NORN_OK) regex_free(&r);
      norn_clear(st);
      CHECK(h.blocks == blocks);
      if (h.blocks != blocks) break;
    }
    CHECK(k > 0 || fails > 20);
  }
  norn_free(st);
  CHECK(h.blocks == 0);
}

int main(void)
{
  norn_state *st = norn_new_bare(NULL);
  CHECK(st);
  test_hand(st);
  test_stop(st);
  test_errors(st);
  test_limits(st);
  test_grammar(st);
  test_ranges(st);
  test_random(st);
  test_memory();
  norn_free(st);
  return unit_end();
}
