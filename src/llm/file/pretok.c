/* pretok.c: cutting text into pieces (pretok.h).  A way is up to four cutters: the first cuts the
   text, the next each of its pieces, and so on.  A cutter looks at one piece alone, as each
   expression of llama.cpp does, and says where the part that begins at a place ends; what an
   expression does not match is a part too. */
#include "llm/file/pretok.h"
#include "base/base.h"
#include "llm/file/uniclass.h"
#include <string.h>

typedef struct cut { const uint8_t *s; size_t n; } cut;
/* A character: its code (beyond Unicode for a byte that is no UTF-8), class and length; at the end length 0. */
typedef struct letter { uint32_t code; uniclass kind; size_t n; } letter;

static letter at(const cut *c, size_t i)
{
  letter l = { 0xffffffff, UNI_OTHER, 0 };
  if (i >= c->n) return l;
  int n = utf8_next((const char *)c->s + i, c->n - i, &l.code);
  if (n <= 0) {
    l.n = 1;
    l.code = 0xffffffff;
    return l;
  }
  l.n = (size_t)n;
  l.kind = uniclass_of(l.code);
  return l;
}

static bool is_letter(letter l) { return l.kind == UNI_UPPER || l.kind == UNI_LOWER || l.kind == UNI_LETTER; }
static bool is_space(letter l) { return l.kind == UNI_SPACE; }
static bool is_line(letter l) { return l.code == '\n' || l.code == '\r'; }
/* [^\s\p{L}\p{N}] */
static bool is_rest(letter l) { return l.n && !is_space(l) && !is_letter(l) && l.kind != UNI_NUMBER; }
static bool is_number(letter l) { return l.kind == UNI_NUMBER; }

/* The end of a run. */
static size_t run(const cut *c, size_t i, bool (*of)(letter))
{
  for (letter l = at(c, i); l.n && of(l); l = at(c, i)) i += l.n;
  return i;
}

/* 's 't 're 've 'm 'll 'd; `any`: capitals too.  The end, or i. */
static size_t contraction(const cut *c, size_t i, bool any)
{
  static const char *const ends[] = { "s", "t", "re", "ve", "m", "ll", "d" };
  if (i >= c->n || c->s[i] != '\'') return i;
  for (int k = 0; k < 7; k++) {
    size_t n = strlen(ends[k]), j = 0;
    while (j < n && i + 1 + j < c->n &&
           (c->s[i + 1 + j] == (uint8_t)ends[k][j] || (any && c->s[i + 1 + j] == (uint8_t)(ends[k][j] - 32))))
      j++;
    if (j == n) return i + 1 + n;
  }
  return i;
}

/* \s+(?!\S)|\s+ : all of the space but the last character, which goes with what follows, unless it is alone. */
static size_t space(const cut *c, size_t i)
{
  size_t last = i, end = i;
  for (letter l = at(c, i); is_space(l); l = at(c, end)) {
    last = end;
    end += l.n;
  }
  if (end == i) return i + at(c, i).n;
  return end < c->n && last > i ? last : end;
}
/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t lines(const cut *c, size_t i)
{
  size_t end = 0, j = i;
  for (letter l = at(c, i); is_space(l); l = at(c, j)) {
    j += l.n;
    if (is_line(l)) end = j;
  }
  return end ? end : space(c, i);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t cut_gpt2(const cut *c, size_t i)
{
  size_t end = contraction(c, i, false), p = i + (c->s[i] == ' ');
  letter l = at(c, p);
  if (end > i) return end;
  if (is_letter(l)) return run(c, p, is_letter);
  if (is_number(l)) return run(c, p, is_number);
  if (is_rest(l)) return run(c, p, is_rest);
  return space(c, i);
}

static size_t digits(const cut *c, size_t i, int most)
{
  for (int k = 0; k < most && is_number(at(c, i)); k++) i += at(c, i).n;
  return i;
}
static bool is_line_or_slash(letter l) { return is_line(l) || l.code == '/'; }
static bool is_letter_or_mark(letter l) { return is_letter(l) || l.kind == UNI_MARK; }
static bool is_rest_no_mark(letter l) { return is_rest(l) && l.kind != UNI_MARK; }

/* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,most}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ ; `marks`: with
   [\p{L}\p{M}] in place of \p{L}. */
static size_t cut_llama3(const cut *c, size_t i, int most, bool marks)
{
  bool (*word)(letter) = marks ? is_letter_or_mark : is_letter, (*rest)(letter) = marks ? is_rest_no_mark : is_rest;
  size_t end = contraction(c, i, true), p = i + (c->s[i] == ' ');
  letter l = at(c, i);
  if (end > i) return end;
  if (word(l)) return run(c, i, word);
  if (is_number(l)) return digits(c, i, most);
  if (!is_line(l) && word(at(c, i + l.n))) return run(c, i + l.n, word);
  if (rest(at(c, p))) return run(c, run(c, p, rest), is_line);
  return lines(c, i);
}
static size_t cut_digits3(const cut *c, size_t i) { return cut_llama3(c, i, 3, false); }
static size_t cut_digits1(const cut *c, size_t i) { return cut_llama3(c, i, 1, false); }
static size_t cut_marks(const cut *c, size_t i) { return cut_llama3(c, i, 1, true); }

static bool is_upper(letter l) { return l.kind == UNI_UPPER || l.kind == UNI_LETTER || l.kind == UNI_MARK; }
static bool is_lower(letter l) { return l.kind == UNI_LOWER || l.kind == UNI_LETTER || l.kind == UNI_MARK; }

/* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ : as many of the first as leave one of
   the second.  The end, or i. */
static size_t word_lower(const cut *c, size_t i)
{
  size_t upper = run(c, i, is_upper), end = run(c, upper, is_lower), both = i;
  if (end > upper) return end;
  for (size_t j = i; j < upper;) {
    letter l = at(c, j);
    j += l.n;
    if (is_lower(l)) both = j;
  }
  return both;
}
/* The two expressions of a word, each with and without a character in front; the end, or i. */
static size_t cased_word(const cut *c, size_t i)
{
  letter l = at(c, i);
  size_t behind = i + l.n, end;
  bool front = l.n && !is_line(l) && !is_letter(l) && !is_number(l);
  if (front && (end = word_lower(c, behind)) > behind) return end;
  if ((end = word_lower(c, i)) > i) return end;
  if (front && (end = run(c, behind, is_upper)) > behind) return run(c, end, is_lower);
  if ((end = run(c, i, is_upper)) > i) return run(c, end, is_lower);
  return i;
}
/* word|\p{N}{1,most}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t cut_cased(const cut *c, size_t i, int most, bool contracted)
{
  size_t end = cased_word(c, i), p = i + (c->s[i] == ' ');
  if (end > i) return contracted ? contraction(c, end, true) : end;
  if (is_number(at(c, i))) return digits(c, i, most);
  if (is_rest(at(c, p))) return run(c, run(c, p, is_rest), is_line_or_slash);
  return lines(c, i);
}
static size_t cut_tekken(const cut *c, size_t i) { return cut_cased(c, i, 1, false); }
static size_t cut_gpt4o(const cut *c, size_t i) { return cut_cased(c, i, 3, true); }

/* ---- cutters that take out what they match ---- */

/* What is matched at i ends at `match`; else the part goes on to the next match. */
static size_t taken(const cut *c, size_t i, size_t (*match)(const cut *, size_t))
{
  size_t end = match(c, i);
  if (end > i) return end;
  do i += at(c, i).n;
  while (i < c->n && match(c, i) == i);
  return i;
}
static bool is_falcon_mark(letter l)
{
  return l.kind == UNI_PUNCT || (l.code < 128 && strchr("$+<=>^~|`", (int)l.code) && l.code);
}
static bool is_default_mark(letter l) { return is_falcon_mark(l) && l.code != '`'; }
static bool is_punct(letter l) { return l.kind == UNI_PUNCT; }
static bool is_wide(letter l)
{
  return (l.code >= 0x800 && l.code <= 0x9fa5) || (l.code >= 0xac00 && l.code <= 0xd7ff);
}
static size_t match_digit(const cut *c, size_t i) { return digits(c, i, 1); }
static size_t match_number(const cut *c, size_t i) { return run(c, i, is_number); }
static size_t match_falcon(const cut *c, size_t i) { return run(c, i, is_falcon_mark); }
static size_t match_default(const cut *c, size_t i) { return run(c, i, is_default_mark); }
static size_t match_line(const cut *c, size_t i) { return is_line(at(c, i)) ? i + 1 : i; }
static size_t match_wide(const cut *c, size_t i) { return run(c, i, is_wide); }
static size_t match_three(const cut *c, size_t i)
{
  for (size_t k = i; k < i + 3; k++)
    if (k >= c->n || c->s[k] < '0' || c->s[k] > '9') return i;
  return i + 3;
}
/* \s?X+ */
static size_t spaced(const cut *c, size_t i, bool (*of)(letter))
{
  size_t p = i + (is_space(at(c, i)) ? at(c, i).n : 0), end = run(c, p, of);
  return end > p ? end : i;
}
static size_t match_word(const cut *c, size_t i) { return spaced(c, i, is_letter); }
static size_t match_punct(const cut *c, size_t i) { return spaced(c, i, is_punct); }

#define TAKES(name) static size_t cut_##name(const cut *c, size_t i) { return taken(c, i, match_##name); }
TAKES(digit)
TAKES(number)
TAKES(falcon)
TAKES(default)
TAKES(line)
TAKES(wide)
TAKES(three)
TAKES(word)
TAKES(punct)
#undef TAKES

/* ---- the ways ---- */

typedef size_t (*cutter)(const cut *, size_t);
struct pretok {
  const char *names;           /* each with a space behind it */
  cutter by[5];
  bool whole_first, add_begin;
};
static const pretok ways[] = {
  { "gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 modern-bert roberta-bpe jina-es jina-de jina-v2-es "
    "jina-v2-de jina-v1-en jina-v2-code gigachat a.x-4.0 mellum ", { cut_gpt2 }, false, false },
  { "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ", { cut_digits3 }, true, true },
  { "dbrx smaug-bpe chatglm-bpe ", { cut_digits3 }, false, false },
  { "glm4 ", { cut_digits3 }, true, false },
  { "qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan ", { cut_digits1 }, false, false },
  { "qwen35 ", { cut_marks }, false, false },
  { "starcoder refact command-r smollm codeshell exaone minerva-7b ", { cut_digit, cut_gpt2 }, false, false },
  { "falcon ", { cut_falcon, cut_gpt2, cut_three }, false, false },
  { "default ", { cut_default, cut_gpt2, cut_number, cut_three }, false, false },
  { "deepseek-coder ", { cut_line, cut_word, cut_punct, cut_wide, cut_digit }, false, false },
  { "tekken ", { cut_tekken }, true, true },
  { "gpt-4o llama4 kanana2 talkie ", { cut_gpt4o }, false, false },
};

const pretok *pretok_find(const char *name, size_t n)
{
  for (int k = 0; k < NORN_COUNT(ways); k++)
    for (const char *s = ways[k].names, *end; *s; s = end + 1) {
      end = strchr(s, ' ');
      if ((size_t)(end - s) == n && memcmp(s, name, n) == 0) return &ways[k];
    }
  return NULL;
}
bool pretok_whole_first(const pretok *p) { return p->whole_first; }
bool pretok_add_begin(const pretok *p) { return p->add_begin; }

static bool split(const pretok *p, int level, const uint8_t *s, size_t from, size_t to,
                  bool (*piece)(void *, size_t, size_t), void *user)
{
  cut c = { s + from, to - from };
  if (level == NORN_COUNT(p->by) || !p->by[level]) return piece(user, from, to);
  for (size_t i = 0, end; i < c.n; i = end) {
    end = p->by[level](&c, i);
    if (!split(p, level + 1, s, from + i, from + end, piece, user)) return false;
  }
  return true;
}
bool pretok_split(const pretok *p, const uint8_t *s, size_t n,
                  bool (*piece)(void *, size_t from, size_t to), void *user)
{
  return split(p, 0, s, 0, n, piece, user);
}
