/* bench/llm_mask: constraints over a vocabulary of 32,000 tokens: what a step costs whose mask is kept, what a mask
   costs that is asked for the first time, and what comes before all masks. */
#include "bench.h"
#include "base/base.h"
#include "llm/guide/guide.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 32000, WIDE = 40 };

/* A vocabulary as those of real models: all bytes, then words and pieces of words by syllables, many with a space in
   front, marks and numbers, and characters of two and three bytes. */
typedef struct vocabulary { uint32_t at[TOKENS + 1]; uint8_t bytes[TOKENS * WIDE], kind[TOKENS]; } vocabulary;

static size_t word(uint64_t seed, char *s)
{
  static const char *const part[] = { "an", "er", "st", "in", "o", "tha", "re", "ing", "con", "e", "al", "qu", "mi", "t",
                                      "\xc3\xa9", "ou", "s", "ed", "\xd0\xb6", "\xe4\xb8\xad" };
  static const char *const mark[] = { "\"", "{", "}", ", ", ": ", "\n", "(", "==", "  ", "\\n", "\":", "[" };
  size_t n = 0;
  uint64_t r = hash_mix(seed), parts = 1 + r % 4;
  if (r >> 8 & 1) s[n++] = ' ';
  if (r % 16 == 7) return (size_t)sprintf(s, "%u", (unsigned)(r >> 32) % 1000);
  if (r % 16 == 9) n = (size_t)sprintf(s, "%s", mark[(r >> 40) % NORN_COUNT(mark)]);
  for (uint64_t k = 0; k < parts; k++) {
    const char *p = part[hash_mix(r + k) % NORN_COUNT(part)];
    memcpy(s + n, p, strlen(p));
    n += strlen(p);
  }
  if (s[0] >= 'a' && r % 5 == 0) s[0] = (char)(s[0] - 32);
  return n;
}

static void fill(lm *m, vocabulary *v)
{
  for (int t = 0; t < TOKENS; t++) {
    char s[WIDE];
    size_t n = t < 256 ? 1 : word((uint64_t)t, s);
    if (t < 256) s[0] = (char)t;
    memcpy(v->bytes + v->at[t], s, n);
    v->at[t + 1] = v->at[t] + (uint32_t)n;
  }
  v->kind[TOKENS - 1] = LM_END;
  m->vocab = (lm_vocab){ .n = TOKENS, .at = v->at, .bytes = v->bytes, .kind = v->kind, .begin = -1, .end = TOKENS - 1 };
}

/* Some token of a mask, another for each turn; -1: none but the end. */
static lm_token some(const uint64_t *mask, uint64_t turn)
{
  int first = (int)(hash_mix(turn) % TOKENS);
  for (int k = 0; k < TOKENS; k++) {
    int t = (first + k) % TOKENS;
    if (t != TOKENS - 1 && mask[t >> 6] >> (t & 63) & 1) return t;
  }
  return -1;
}

/* A text's tokens: at each step the mask, with at most `left` tokens to go (-1: no limit), then the state behind. */
static double steps(norn_state *st, lm_guide *e, const lm_token *path, int n, int left)
{
  int s = lm_guide_start(e);
  double t = bench_cpu();
  for (int k = 0; k < n; k++) {
    if (!lm_guide_mask(e, s, left < 0 ? left : left - k)) bench_die(st, "mask");
    s = lm_guide_next(e, s, path[k]);
  }
  return (bench_cpu() - t) / n;
}

static void row(norn_state *st, lm *m, const char *name, const char *re, bool gbnf)
{
  enum { LONG = 64, TURNS = 200 };
  lm_token path[LONG];
  char label[120];
  int n = 0;
  double t = bench_cpu(), kept = INFINITY, limited = INFINITY;
  lm_guide *e = gbnf ? lm_guide_grammar(m, re, strlen(re), "", 0) : lm_guide_regex(m, re, strlen(re));
  if (!e) bench_die(st, name);
  double made = bench_cpu() - t, first = 0;
  for (int s = lm_guide_start(e); n < LONG; n++) {
    t = bench_cpu();
    const uint64_t *mask = lm_guide_mask(e, s, -1);
    t = bench_cpu() - t;
    if (!mask) bench_die(st, name);
    if (t > first) first = t;
    path[n] = some(mask, (uint64_t)n);
    if (path[n] < 0) break;
    s = lm_guide_next(e, s, path[n]);
  }
  t = bench_cpu();
  lm_guide_least(e, lm_guide_start(e));
  double distances = bench_cpu() - t;
  steps(st, e, path, n, n);
  for (int turn = 0; turn < TURNS; turn++) {
    kept = least(kept, steps(st, e, path, n, -1));
    limited = least(limited, steps(st, e, path, n, n));
  }
  snprintf(label, sizeof label, "mask %s, a step", name);
  bench_row(label, 1e6 * kept, "us", "", 0, "50");
  snprintf(label, sizeof label, "mask %s, a step with a limit", name);
  bench_row(label, 1e6 * limited, "us", "", 0, "50");
  snprintf(label, sizeof label, "mask %s, the slowest first", name);
  bench_row(label, 1e6 * first, "us", "", 0, "");
  snprintf(label, sizeof label, "mask %s, automaton", name);
  bench_row(label, 1e6 * made, "us", "", 0, "");
  snprintf(label, sizeof label, "mask %s, distances", name);
  bench_row(label, 1e6 * distances, "us", "", 0, "");
}

/* As those of llama.cpp. */
static const char json[] =
  "root ::= object\nvalue ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
  "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
  "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
  "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" ws\n"
  "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws\n"
  "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}";
static const char arithmetic[] =
  "root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] term)*\n"
  "term ::= ident | num | \"(\" ws expr \")\" ws\nident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws\nws ::= [ \\t\\n]*";

/* Texts that nobody has written yet, when others have been: of each step the mask and the state behind. */
static void fresh(norn_state *st, lm *m, const char *name, const char *gbnf)
{
  enum { LONG = 64, TEXTS = 60, BEFORE = 20 };
  char label[120];
  double first = 0, all = 0;
  int steps_made = 0;
  lm_guide *e = lm_guide_grammar(m, gbnf, strlen(gbnf), "", 0);
  if (!e) bench_die(st, name);
  for (int turn = 0; turn < TEXTS; turn++) {
    int s = lm_guide_start(e);
    for (int k = 0; k < LONG; k++) {
      double t = bench_cpu();
      const uint64_t *mask = lm_guide_mask(e, s, LONG + 100);
      double took = bench_cpu() - t;
      if (!mask) bench_die(st, name);
      /* Letters make nothing new: mostly marks are taken where they may be. */
      lm_token next = -1;
      for (int tries = 0; tries < 30 && next < 0; tries++) {
        next = some(mask, (uint64_t)(turn * LONG + k) * 31 + (uint64_t)tries);
        if (next >= 0 && m->vocab.at[next + 1] - m->vocab.at[next] > 2 && tries < 29) next = -1;
      }
      if (next < 0) break;
      t = bench_cpu();
      s = lm_guide_next(e, s, next);
      took += bench_cpu() - t;
      if (s < 0) bench_die(st, name);
      if (turn < BEFORE) continue;
      all += took;
      steps_made++;
      if (took > first) first = took;
    }
  }
  snprintf(label, sizeof label, "mask %s, a step of a new text", name);
  bench_row(label, 1e6 * all / steps_made, "us", "", 0, "50");
  snprintf(label, sizeof label, "mask %s, the slowest of them", name);
  bench_row(label, 1e6 * first, "us", "", 0, "");
}

void bench_llm_mask(void)
{
  norn_state *st = bench_state();
  vocabulary *v = calloc(1, sizeof *v);
  lm m = { .st = st };
  if (!v) bench_die(st, "memory");
  fill(&m, v);
  double t = bench_cpu();
  if (!lm_guide_regex(&m, "a", 1)) bench_die(st, "mask");
  bench_row("mask trie of 32,000 tokens", 1e3 * (bench_cpu() - t), "ms", "", 0, "");
  row(st, &m, "any text", "(.|\\n)*", false);
  row(st, &m, "letters", "[a-z ]{1,200}", false);
  row(st, &m, "date", "(19|20)\\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])", false);
  row(st, &m, "json", "\\{\"name\": \"([^\"\\\\\\n]|\\\\[\"\\\\n]){0,60}\", \"age\": \\d{1,3}(, \"tags\": "
      "\\[(\"[^\"\\\\\\n]*\"(, \"[^\"\\\\\\n]*\")*)?\\])?\\}", false);
  row(st, &m, "nested json", json, true);
  row(st, &m, "nested arithmetic", arithmetic, true);
  fresh(st, &m, "nested json", json);
  fresh(st, &m, "nested arithmetic", arithmetic);
  lm_guides_free(&m);
  free(v);
  norn_free(st);
}
