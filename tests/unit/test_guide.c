/* test_guide.c: masks against brute force.  For small random vocabularies (tokens that are whole characters, parts of
   characters, bytes that are no UTF-8, several tokens with the same bytes, tokens without bytes) every state that
   tokens can reach is compared: each token's bytes are read one by one, distances come from going round until
   nothing changes. */
#include "unit.h"
#include "host.h"
#include "base/base.h"
#include "llm/guide/guide.h"
#include "llm/guide/regex.h"
#include <stdlib.h>

static uint64_t at = 1;
static uint64_t roll(uint64_t n) { return hash_mix(at++ ^ 0x5555) % n; }

/* ---- a model that is a vocabulary ---- */

enum { TOKENS = 200 };
typedef struct vocabulary { lm m; uint32_t at[TOKENS + 1]; uint8_t bytes[16 * TOKENS], kind[TOKENS]; } vocabulary;

static void begin(vocabulary *v, norn_state *st)
{
  *v = (vocabulary){ .m = { .st = st } };
  v->m.vocab = (lm_vocab){ .at = v->at, .bytes = v->bytes, .kind = v->kind, .begin = -1, .end = -1 };
}
static void token(vocabulary *v, const char *s, size_t n, int kind)
{
  int k = v->m.vocab.n++;
  memcpy(v->bytes + v->at[k], s, n);
  v->at[k + 1] = v->at[k] + (uint32_t)n;
  v->kind[k] = (uint8_t)kind;
}
static void texts(vocabulary *v, const char *const *s) { for (; *s; s++) token(v, *s, strlen(*s), LM_TEXT); }

static void random_vocabulary(vocabulary *v, norn_state *st)
{
  static const char *const pieces[] = { "a", "b", "c", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\n", " ", "7",
                                        "\"" };
  begin(v, st);
  int n = 1 + (int)roll(60);
  bool single = roll(2);
  for (int k = 0; k < n; k++) {
    char s[16];
    size_t len = 0, parts = roll(4);
    for (size_t p = 0; p < parts; p++) {
      const char *x = pieces[roll(roll(2) ? 3 : NORN_COUNT(pieces))];
      memcpy(s + len, x, strlen(x));
      len += strlen(x);
      if (len > 11) break;
    }
    size_t from = len && roll(4) == 0 ? roll(len) : 0, to = roll(4) == 0 ? from + roll(len - from + 1) : len;
    int kind = roll(12) ? LM_TEXT : (int)roll(4);
    token(v, s + from, to - from, kind);
  }
  for (int b = 0; single && b < 256; b++) {
    char c = (char)b;
    if (memchr("abc7\"\n ", b, 7) || (b >= 0x80 && roll(2)) || (b >= 0x80 && n < 10))
      if (v->m.vocab.n < TOKENS - 1) token(v, &c, 1, LM_TEXT);
  }
  token(v, "<end>", 5, LM_END);
}

/* ---- brute force ---- */

static const char *const expressions[] = {
  "", "a*", "(a|bc)*", "[a-c]{3}", "[abc]{0,7}", "(ab|c\xc3\xa9)+", ".*", "[^\"]*\"", ".{2,4}", "a{1,12}b", "(aa)*b?",
  "\"[^\"\\n]*\"(, ?\"[^\"\\n]*\")*", "\xe2\x82\xac?[0-9]{1,3}", "[\\u{80}-\\u{10ffff}]+", "(a|b)*abb", "c{8}", "x",
  "[\\n \\d]+(a|b|c)", "(.|\\n)*", "(a{3}){0,4}|b*", "[^a]*a[^a]*a[^a]*"
};

static int read_token(const regex *r, const lm_vocab *v, int s, int t)
{
  if (v->kind[t] != LM_TEXT) return -1;
  for (uint32_t k = v->at[t]; k < v->at[t + 1] && s >= 0; k++) s = regex_step(r, s, v->bytes[k]);
  return s;
}

static void distances(const regex *r, const lm_vocab *v, int *d)
{
  for (int s = 0; s < r->n; s++) d[s] = r->accepts[s] ? 0 : -1;
  for (bool more = true; more;) {
    more = false;
    for (int s = 0; s < r->n; s++)
      for (int t = 0; t < v->n; t++) {
        int to = read_token(r, v, s, t);
        if (to < 0 || d[to] < 0 || (d[s] >= 0 && d[s] <= d[to] + 1)) continue;
        d[s] = d[to] + 1;
        more = true;
      }
  }
}

static bool same_mask(const lm_vocab *v, const regex *r, const int *d, int s, int left, const uint64_t *mask)
{
  for (int t = 0; t < (v->n + 63) / 64 * 64; t++) {
    int to = t < v->n ? read_token(r, v, s, t) : -1;
    bool want = t < v->n && v->kind[t] == LM_END ? r->accepts[s]
                : to >= 0 && d[to] >= 0 && (left < 0 || d[to] < left);
    if ((mask[t >> 6] >> (t & 63) & 1) != want) return false;
  }
  return true;
}

/* The guide's states are r's, since both are smallest and in the order of a search; that is asked for too. */
static long compare(norn_state *st, vocabulary *v, const char *s)
{
  regex r;
  int d[200];
  long masks = 0;
  lm_guide *e = lm_guide_regex(&v->m, s, strlen(s));
  CHECK(e && !regex_new(st, s, strlen(s), &r) && r.n <= 200);
  CHECK(lm_guide_regex(&v->m, s, strlen(s)) == e);
  CHECK(lm_guide_start(e) == 0);
  distances(&r, &v->m.vocab, d);
  bool first = roll(2);
  if (first) CHECK(lm_guide_least(e, 0) == d[0]);
  for (int s2 = 0; s2 < r.n; s2++) {
    int order = (int)roll(2), right = 0;
    for (int k = 0; k < 12; k++) {
      int left = order ? 10 - k : k - 1;
      const uint64_t *m = lm_guide_mask(e, s2, left);
      right += m && same_mask(&v->m.vocab, &r, d, s2, left, m) && lm_guide_mask(e, s2, left) == m;
      masks++;
    }
    CHECK(right == 12);
    CHECK(same_mask(&v->m.vocab, &r, d, s2, 300, lm_guide_mask(e, s2, 300)));
    CHECK(lm_guide_accepts(e, s2) == r.accepts[s2]);
    bool next = true;
    for (int t = 0; t < v->m.vocab.n; t++) {
      int to = read_token(&r, &v->m.vocab, s2, t);
      next = next && lm_guide_next(e, s2, t) == (to >= 0 && d[to] < 0 ? -1 : to);
    }
    CHECK(next);
    CHECK(lm_guide_least(e, s2) == d[s2]);
  }
  regex_free(&r);
  return masks;
}

static void test_random(norn_state *st)
{
  static vocabulary v;
  long masks = 0;
  for (int turn = 0; turn < 150; turn++) {
    random_vocabulary(&v, st);
    for (int k = 0; k < 5; k++) masks += compare(st, &v, expressions[roll(NORN_COUNT(expressions))]);
    lm_guides_free(&v.m);
    CHECK(v.m.guides == NULL);
  }
  CHECK(masks > 20000);
  printf("%ld masks\n", masks);
}

/* ---- by hand ---- */

static bool has(const uint64_t *mask, int t) { return mask[t >> 6] >> (t & 63) & 1; }

static void test_hand(norn_state *st)
{
  static vocabulary v;
  begin(&v, st);
  /*                                0    1     2      3       4       5           6 */
  texts(&v, (const char *const[]){ "a", "aa", "aaa", "\xc3", "\xa9", "b\xc3", "\xc3\xa9", NULL });
  token(&v, "<end>", 5, LM_END);
  token(&v, "a", 1, LM_CONTROL);
  token(&v, "a", 1, LM_UNUSED);
  /* Five a: with two tokens left only aa and aaa reach the end. */
  lm_guide *e = lm_guide_regex(&v.m, "a{5}", 4);
  const uint64_t *m = lm_guide_mask(e, 0, -1);
  CHECK(m[0] == 7);
  CHECK(lm_guide_least(e, 0) == 2);
  CHECK(lm_guide_mask(e, 0, 2)[0] == 6);
  CHECK(lm_guide_mask(e, 0, 1)[0] == 0);
  CHECK(lm_guide_mask(e, 0, 3) == m);
  int s = lm_guide_next(e, 0, 2);
  CHECK(lm_guide_mask(e, s, 1)[0] == 2);
  CHECK(lm_guide_next(e, s, 2) == -1);
  s = lm_guide_next(e, s, 1);
  CHECK(lm_guide_accepts(e, s) && lm_guide_mask(e, s, 0)[0] == 1 << 7 && lm_guide_mask(e, s, -1)[0] == 1 << 7);
  CHECK(lm_guide_next(e, s, 7) == -1);                             /* the end is no token of the text */
  CHECK(lm_guide_next(e, 0, 8) == -1 && lm_guide_next(e, 0, 9) == -1);
  /* A token may end inside a character. */
  e = lm_guide_regex(&v.m, "(b?\xc3\xa9)+", 7);
  CHECK(lm_guide_mask(e, 0, -1)[0] == (1 << 3 | 1 << 5 | 1 << 6));
  s = lm_guide_next(e, 0, 5);
  CHECK(lm_guide_mask(e, s, -1)[0] == 1 << 4);
  CHECK(lm_guide_mask(e, 0, 1)[0] == 1 << 6);
  /* b alone is no token and "bb" can't be spelled: nothing leads there. */
  e = lm_guide_regex(&v.m, "aa|abb|b\xc3\xa9" "b", 11);
  CHECK(lm_guide_mask(e, 0, -1)[0] == 3);
  s = lm_guide_next(e, 0, 0);
  CHECK(lm_guide_mask(e, s, -1)[0] == 1);
  CHECK(lm_guide_next(e, 0, 5) == -1);                             /* a way that can't be finished */
  e = lm_guide_regex(&v.m, "bb", 2);
  CHECK(lm_guide_least(e, 0) == -1 && lm_guide_mask(e, 0, -1)[0] == 0 && lm_guide_mask(e, 0, 9)[0] == 0);
  CHECK(lm_guide_mask(e, -1, -1)[0] == 0 && !lm_guide_accepts(e, -1) && lm_guide_next(e, -1, 0) == -1);
  CHECK(lm_guide_next(e, 0, -1) == -1 && lm_guide_next(e, 0, 99) == -1);
  CHECK(!lm_guide_regex(&v.m, "a(", 2));
  CHECK(norn_error(st)->code == NORN_EDOMAIN && strstr(norn_error(st)->text, "character 2"));
  norn_clear(st);
  lm_guides_free(&v.m);
  lm_guides_free(&v.m);
  /* Equal masks are one, whatever the state. */
  e = lm_guide_regex(&v.m, "a{0,40}", 7);
  CHECK(lm_guide_mask(e, 0, -1) == lm_guide_mask(e, 1, -1));
  CHECK(lm_guide_mask(e, 0, 5) == lm_guide_mask(e, 0, 2));
  lm_guides_free(&v.m);
}

/* A grammar is a guide like others; the stop is part of what it is known by. */
static void test_grammar(norn_state *st)
{
  static vocabulary v;
  begin(&v, st);
  texts(&v, (const char *const[]){ "a", "b", "ab", "\n", "b\n", NULL });
  token(&v, "<end>", 5, LM_END);
  static const char pairs[] = "root ::= pair | pair root\npair ::= \"ab\"";
  lm_guide *e = lm_guide_grammar(&v.m, pairs, strlen(pairs), "", 0), *r = lm_guide_regex(&v.m, "(ab)+", 5);
  CHECK(e && r && e != r && lm_guide_grammar(&v.m, pairs, strlen(pairs), "", 0) == e);
  CHECK(!lm_guide_regex(&v.m, pairs, strlen(pairs)) || lm_guide_regex(&v.m, pairs, strlen(pairs)) != e);
  norn_clear(st);
  CHECK(lm_guide_mask(e, 0, -1)[0] == 5 && lm_guide_mask(e, 0, 1)[0] == 4 && lm_guide_least(e, 0) == 1);
  lm_guide *stopped = lm_guide_grammar(&v.m, pairs, strlen(pairs), "\n", 1);
  CHECK(stopped && stopped != e);
  CHECK(lm_guide_mask(stopped, lm_guide_next(stopped, 0, 2), -1)[0] == (1 | 4 | 8 | 32));
  CHECK(lm_guide_mask(stopped, lm_guide_next(stopped, 0, 0), -1)[0] == (2 | 16));
  CHECK(!lm_guide_grammar(&v.m, "root ::= x", 10, "", 0) && strstr(norn_error(st)->text, "character 10"));
  norn_clear(st);
  lm_guides_free(&v.m);
}

/* States of nested rules as they outlive a process: the same text has the same number only if it was met in the same
   order; what another has made is not taken for one's own. */
static void test_shown(norn_state *st)
{
  static vocabulary v[2];
  static const char nested[] = "root ::= \"a\" root \"b\" | \"b\" root \"a\" | \"\"";
  lm_guide *e[2];
  int s[2][6], t[2][6];
  for (int k = 0; k < 2; k++) {
    begin(&v[k], st);
    texts(&v[k], (const char *const[]){ "a", "b", NULL });
    e[k] = lm_guide_grammar(&v[k].m, nested, strlen(nested), "", 0);
    CHECK(e[k]);
    s[k][0] = t[k][0] = lm_guide_start(e[k]);
    for (int i = 0; i < 5; i++) {                                  /* first aaaaa then bbbbb, or the other way */
      if (k == 0) s[k][i + 1] = lm_guide_next(e[k], s[k][i], 0);
      t[k][i + 1] = lm_guide_next(e[k], t[k][i], 1);
    }
    for (int i = 0; i < 5 && k == 1; i++) s[k][i + 1] = lm_guide_next(e[k], s[k][i], 0);
  }
  for (int i = 1; i < 6; i++) {
    int64_t shown = lm_guide_shown(e[0], s[0][i]), other = lm_guide_shown(e[1], t[1][i]);
    CHECK(shown >= 0 && lm_guide_known(e[0], shown) == s[0][i] && lm_guide_known(e[1], shown) == -1);
    CHECK(lm_guide_known(e[1], other) == t[1][i] && lm_guide_known(e[0], other) == -1);
    CHECK(s[0][i] != s[1][i] && (uint64_t)shown >> 32 == (uint64_t)lm_guide_shown(e[1], s[1][i]) >> 32);
  }
  CHECK(lm_guide_known(e[0], lm_guide_shown(e[0], s[0][0])) == s[0][0]);
  CHECK(lm_guide_known(e[0], 1000000) == -1 && lm_guide_known(e[0], -1) == -1);
  for (int k = 0; k < 2; k++) lm_guides_free(&v[k].m);
}

/* A vocabulary without tokens of text, and one without tokens. */
static void test_empty(norn_state *st)
{
  static vocabulary v;
  begin(&v, st);
  lm_guide *e = lm_guide_regex(&v.m, "a*", 2);
  CHECK(e && lm_guide_mask(e, 0, -1) && lm_guide_least(e, 0) == 0);
  lm_guides_free(&v.m);
  token(&v, "<end>", 5, LM_END);
  e = lm_guide_regex(&v.m, "a*", 2);
  CHECK(has(lm_guide_mask(e, 0, -1), 0));
  CHECK(lm_guide_mask(lm_guide_regex(&v.m, "a+", 2), 0, -1)[0] == 0);
  lm_guides_free(&v.m);
}

/* ---- memory ---- */

static lm_guide *guide_of(vocabulary *v, const char *nested)
{
  return nested ? lm_guide_grammar(&v->m, nested, strlen(nested), "bb", 2)
                : lm_guide_regex(&v->m, "\"[ab\xc3\xa9]{0,9}\"", 14);
}

/* All of a guide's work; what fails once works when it is asked for again. */
static void use(norn_state *st, vocabulary *v, const char *nested, host *h, long fail_at, bool *reached)
{
  bool failed = false;
  h->fail_at = h->requests + fail_at;
  lm_guide *e = guide_of(v, nested);
  if (!e) {
    CHECK(norn_error(st)->code == NORN_EMEMORY);
    failed = true;
    e = guide_of(v, nested);
  }
  CHECK(e);
  for (int s = 0; e && s < 12; s++)
    for (int left = -1; left < 6; left++) {
      const uint64_t *m = lm_guide_mask(e, s, left);
      if (!m) {
        CHECK(norn_error(st)->code == NORN_EMEMORY);
        failed = true;
        m = lm_guide_mask(e, s, left);
      }
      CHECK(m);
      int n = lm_guide_next(e, s, 0);
      if (n == -2) {
        CHECK(norn_error(st)->code == NORN_EMEMORY);
        failed = true;
      }
    }
  *reached = h->requests >= h->fail_at;
  /* A trie that can't be made smaller stays as it is. */
  if (failed) CHECK(*reached);
  norn_clear(st);
  h->fail_at = 0;
  lm_guides_free(&v->m);
}

static void test_memory(void)
{
  static vocabulary v;
  host h = { 0, 0, 0 };
  norn_config cfg = norn_config_default();
  cfg.alloc = host_alloc;
  cfg.alloc_user = &h;
  norn_state *st = norn_new_bare(&cfg);
  CHECK(st);
  static const char nests[] = "root ::= | v | root \",\" v\nv ::= \"\\\"\" root \"\\\"\" | [a-b] | v v | w\nw ::= v";
  for (int turn = 0; turn < 4; turn++) {
    begin(&v, st);
    texts(&v, (const char *const[]){ "a", "ab", "\"", "\"a", "\xc3", "\xa9", "bb", NULL });
    if (turn % 2) texts(&v, (const char *const[]){ "b", NULL });
    if (turn == 3) texts(&v, (const char *const[]){ ",", NULL });
    long blocks = h.blocks, fails = 0;
    for (bool reached = true; reached; fails++) {
      use(st, &v, turn < 2 ? NULL : nests, &h, fails + 1, &reached);
      CHECK(h.blocks == blocks);
      if (h.blocks != blocks) break;
    }
    CHECK(fails > 60);
  }
  norn_free(st);
  CHECK(h.blocks == 0);
}

int main(void)
{
  norn_state *st = norn_new_bare(NULL);
  CHECK(st);
  test_hand(st);
  test_grammar(st);
  test_shown(st);
  test_empty(st);
  test_random(st);
  test_memory();
  norn_free(st);
  return unit_end();
}
