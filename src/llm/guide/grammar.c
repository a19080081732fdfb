/* grammar.c: grammars in the notation of llama.cpp (GBNF) as trees.

       root   ::= "{" pair ("," pair)* "}"        # the whole text
       pair   ::= "\"" [a-z]{1,9} "\": " number
       number ::= [0-9] | [0-9] number

   Rules have names of letters, digits, - and _; root is the whole text.  There are literals "...", classes [...] and
   [^...], any character ., names, groups ( ), alternatives |, and * + ? {m} {m,} {m,n} behind these; escapes are \n \t
   \r \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH; # begins a comment.  A rule ends with its line, but for line breaks in
   parentheses, behind ::= and behind |.

   What comes of it is an automaton where rules come back to themselves only as the last of a sequence, as number does;
   and machines that call each other where they nest (grammar.h). */
#include "llm/guide/regex_in.h"
#include <string.h>

enum { RULES = 10000, WIDE = 2000, NEVER = INT32_MAX };

static bool more(const rx_parser *p) { return p->at < p->n; }
static char here(const rx_parser *p) { return more(p) ? p->s[p->at] : 0; }
static bool in_name(char c)
{
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_';
}

/* Over spaces and comments, and line breaks if they mean nothing here. */
static void skip(rx_parser *p, bool lines)
{
  for (; more(p); p->at++) {
    char c = p->s[p->at];
    if (c == '#') {
      const char *end = memchr(p->s + p->at, '\n', p->n - p->at);
      p->at = end ? (size_t)(end - p->s) : p->n;
      if (!more(p)) return;
      c = '\n';
    }
    if (c != ' ' && c != '\t' && c != '\r' && !(lines && c == '\n')) return;
  }
}

/* ---- rules by name ---- */

/* The rule of a name, new if there is none; -1: error set. */
static int rule_named(rx_parser *p, size_t from, size_t n)
{
  for (size_t k = 0; k < p->nrule; k++)
    if (p->rule[k].n == n && memcmp(p->rule[k].name, p->s + from, n) == 0) return (int)k;
  if (p->nrule >= RULES) {
    rx_wrong(p, from, NULL, "there are more than %d rules", RULES);
    return -1;
  }
  if (!mem_grow(p->m, &p->rule, &p->rule_cap, p->nrule + 1, sizeof *p->rule)) {
    rx_no_memory(p->st);
    return -1;
  }
  p->rule[p->nrule] = (rx_rule){ .name = p->s + from, .n = n, .at = from };
  return (int)p->nrule++;
}

static int name(rx_parser *p)
{
  size_t from = p->at;
  while (in_name(here(p))) p->at++;
  return rule_named(p, from, p->at - from);
}

/* ---- characters ---- */

static bool escape(rx_parser *p, size_t from, uint32_t *code)
{
  static const char letters[] = "ntr\\\"[]", codes[] = "\n\t\r\\\"[]";
  char c = here(p);
  const char *k = c ? strchr(letters, c) : NULL;
  if (more(p)) p->at++;
  if (k) *code = (uint8_t)codes[k - letters];
  else if (c == 'x') return rx_by_number(p, from, 2, false, code);
  else if (c == 'u') return rx_by_number(p, from, 4, false, code);
  else if (c == 'U') return rx_by_number(p, from, 8, false, code);
  else {
    rx_wrong(p, from, "there are \\n \\t \\r \\\\ \\\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH", "this escape is not known");
    return false;
  }
  return true;
}

/* A character of what began at open and ends with the mark `end`. */
static bool character(rx_parser *p, size_t open, char end, uint32_t *code)
{
  size_t from = p->at;
  if (!more(p) || here(p) == '\n') {
    rx_wrong(p, open, "a line break in a text is \\n", "%c is missing for this %c", end, p->s[open]);
    return false;
  }
  if (rx_takes(p, '\\')) return escape(p, from, code);
  *code = rx_character(p);
  return true;
}

static rx *literal(rx_parser *p)
{
  size_t open = p->at++;
  rx_parts k = { 0 };
  bool ok = true;
  while (ok && !rx_takes(p, '"')) {
    uint32_t c = 0;
    rx_ranges r = { 0 };
    ok = character(p, open, '"', &c);
    if (ok) ok = rx_part_add(p, &k, rx_set_of(p, &r, rx_range_add(p, &r, c, c)));
  }
  return rx_node_of(p, RX_CAT, &k, ok);
}

static bool member(rx_parser *p, size_t open, rx_ranges *r)
{
  size_t from = p->at;
  uint32_t lo = 0, hi = 0;
  if (!character(p, open, ']', &lo)) return false;
  hi = lo;
  if (here(p) == '-' && p->at + 1 < p->n && p->s[p->at + 1] != ']') {
    p->at++;
    if (!character(p, open, ']', &hi)) return false;
  }
  if (lo <= hi) return rx_range_add(p, r, lo, hi);
  rx_wrong(p, from, "a range goes upwards; a - itself stands first or last", "this range is the wrong way round");
  return false;
}

static rx *class(rx_parser *p)
{
  size_t open = p->at++;
  rx_ranges r = { 0 };
  bool not = rx_takes(p, '^'), ok = true;
  if (here(p) == ']') return rx_wrong(p, open, "a ] in a class is \\]", "this class is empty");
  while (ok && !rx_takes(p, ']')) ok = member(p, open, &r);
  if (ok && not) {
    rx_settle(&r);
    ok = rx_complement(p, &r);
  }
  return rx_set_of(p, &r, ok);
}

/* ---- parts ---- */

static rx *alternatives(rx_parser *p, bool nested);

static rx *group(rx_parser *p)
{
  size_t open = p->at++;
  if (++p->depth > RX_NESTED)
    return rx_wrong(p, open, "give parts names of their own", "more than %d groups stand inside each other", RX_NESTED);
  skip(p, true);
  rx *e = alternatives(p, true);
  p->depth--;
  if (e && !rx_takes(p, ')'))
    return rx_wrong(p, open, "a parenthesis itself is \"(\"", ") is missing for this (");
  return e;
}

/* NULL with no error: none begins here. */
static rx *part(rx_parser *p, bool *none)
{
  rx_ranges r = { 0 };
  *none = false;
  switch (here(p)) {
  case '"': return literal(p);
  case '[': return class(p);
  case '(': return group(p);
  case '.':
    p->at++;
    return rx_set_of(p, &r, rx_range_add(p, &r, 0, RX_CHARACTERS));
  default: break;
  }
  if (in_name(here(p))) {
    size_t from = p->at;
    int k = name(p);
    rx *e = k < 0 ? NULL : rx_node(p, RX_RULE, k);
    if (e) e->at = from;
    return e;
  }
  *none = true;
  return NULL;
}

static rx *repeated(rx_parser *p, bool nested, rx *e)
{
  skip(p, nested);
  while (e) {
    size_t from = p->at;
    int least = 0, most = -1;
    char c = here(p);
    if (c != '*' && c != '+' && c != '?' && c != '{') break;
    p->at++;
    if (c == '+') least = 1;
    if (c == '?') most = 1;
    if (c == '{' && !rx_braces(p, from, &least, &most)) return NULL;
    e = rx_repeat(p, e, least, most);
    skip(p, nested);
  }
  return e;
}

static rx *sequence(rx_parser *p, bool nested)
{
  rx_parts k = { 0 };
  bool ok = true, none = false;
  while (ok) {
    rx *e = part(p, &none);
    if (none) break;
    ok = rx_part_add(p, &k, e ? repeated(p, nested, e) : NULL);
  }
  return rx_node_of(p, RX_CAT, &k, ok);
}

static rx *alternatives(rx_parser *p, bool nested)
{
  rx_parts k = { 0 };
  for (bool ok;;) {
    skip(p, nested);
    ok = rx_part_add(p, &k, sequence(p, nested));
    if (!ok || !rx_takes(p, '|')) return rx_node_of(p, RX_ALT, &k, ok);
    skip(p, true);
  }
}

static bool rule(rx_parser *p)
{
  size_t from = p->at;
  if (!in_name(here(p)))
    return rx_wrong(p, from, "a rule is name ::= \"text\" [a-z]+ other", "the name of a rule is expected") != NULL;
  int k = name(p);
  if (k < 0) return false;
  skip(p, false);
  if (p->n - p->at < 3 || memcmp(p->s + p->at, "::=", 3))
    return rx_wrong(p, p->at, "a rule is name ::= \"text\" [a-z]+ other", "::= is expected behind the name of a rule")
           != NULL;
  if (p->rule[k].is)
    return rx_wrong(p, from, "alternatives are parted by |", "rule %.*s is defined twice", (int)p->rule[k].n,
                    p->rule[k].name) != NULL;
  p->at += 3;
  skip(p, true);
  rx *e = alternatives(p, false);
  if (!e) return false;
  p->rule[k].is = e;
  p->rule[k].at = from;
  if (more(p) && here(p) != '\n')
    return rx_wrong(p, p->at, "there are \"text\", [a-z], ., names, ( ), | and * + ? {2,3} behind them",
                    "this begins no part of a rule") != NULL;
  skip(p, true);
  return true;
}

static rx *undefined(rx_parser *p, const rx_rule *r)
{
  nearest near;
  const char *want = arena_text(p->a, r->name, r->n);
  if (!want) {
    rx_no_memory(p->st);
    return NULL;
  }
  nearest_init(&near, want);
  for (size_t k = 0; k < p->nrule; k++) {
    const char *other = p->rule[k].is ? arena_text(p->a, p->rule[k].name, p->rule[k].n) : NULL;
    if (other) nearest_try(&near, other);
  }
  rx_wrong(p, r->at, NULL, "there is no rule of this name");
  if (nearest_found(&near)) norn_hint(p->st, "did you mean %s?", nearest_found(&near));
  else norn_hint(p->st, "a text itself is written in quotes");
  return NULL;
}

rx *rx_parse_grammar(rx_parser *p)
{
  if (!rx_is_utf8(p)) return NULL;
  skip(p, true);
  while (more(p))
    if (!rule(p)) return NULL;
  for (size_t k = 0; k < p->nrule; k++)
    if (!p->rule[k].is) return undefined(p, &p->rule[k]);
  for (size_t k = 0; k < p->nrule; k++) {
    if (p->rule[k].n != 4 || memcmp(p->rule[k].name, "root", 4)) continue;
    rx *e = rx_node(p, RX_RULE, (int)k);
    if (e) e->at = p->rule[k].at;
    return e;
  }
  return rx_wrong(p, p->n, "the rule of the whole text is root ::= ...", "there is no rule root");
}

/* ---- what is made of it ---- */

/* Rules that take more than `wide` steps are called. */
static bool make(rx_parser *p, const rx *root, int wide, const char *stop, size_t nstop, grammar *g)
{
  rx_nfa nfa = { .m = p->m };
  bool ok = rx_find_calls(p, root, wide) >= 0 && rx_nfa_new(p, root, stop, nstop, &nfa);
  if (ok && nfa.machines) ok = grammar_net_new(p, &nfa, stop, nstop, g);
  else if (ok) ok = rx_determined(p->st, p->m, &nfa, stop, nstop, &g->r);
  rx_nfa_free(&nfa);
  return ok;
}

/* One automaton if that can be.  What is too large for it may be small where rules are called. */
static bool made(rx_parser *p, const char *stop, size_t nstop, grammar *g)
{
  const rx *root = rx_parse_grammar(p);
  int nests = root ? rx_find_calls(p, root, NEVER) : -1;
  if (nests < 0) return false;
  if (nests > 0) return make(p, root, WIDE, stop, nstop, g);
  if (make(p, root, NEVER, stop, nstop, g)) return true;
  if (norn_error(p->st)->code != NORN_ELIMIT) return false;
  const norn_err was = *norn_error(p->st);
  grammar_free(g);
  norn_clear(p->st);
  nests = rx_find_calls(p, root, WIDE);
  if (nests > 0) return make(p, root, WIDE, stop, nstop, g);
  if (nests < 0) return false;
  norn_fail(p->st, was.code, -1, "%s", was.text);
  if (*was.hint) norn_hint(p->st, "%s", was.hint);
  return false;
}

norn_status grammar_new(norn_state *st, const char *s, size_t n, const char *stop, size_t nstop, grammar *g)
{
  mem m = rx_mem(st);
  arena a;
  rx_parser p = { .st = st, .a = &a, .m = &m, .s = s, .n = n, .lines = true };
  arena_init(&a, &m);
  *g = (grammar){ .r = { .st = st } };
  bool ok = made(&p, stop, nstop, g);
  arena_free(&a);
  mem_put(&m, p.rule, p.rule_cap * sizeof *p.rule);
  if (ok) return NORN_OK;
  grammar_free(g);
  return norn_error(st)->code;
}

void grammar_free(grammar *g)
{
  norn_state *st = g->r.st;
  if (!st) return;
  mem m = rx_mem(st);
  size_t n = (size_t)g->r.n, machines = (size_t)g->machines;
  mem_put(&m, g->machine, machines * sizeof *g->machine);
  mem_put(&m, g->call_at, (n + 1) * sizeof *g->call_at);
  mem_put(&m, g->call, (g->ncall + 1) * sizeof *g->call);
  mem_put(&m, g->first, n * sizeof *g->first);
  mem_put(&m, g->bytes, n * sizeof *g->bytes);
  mem_put(&m, g->owner, n * sizeof *g->owner);
  regex_free(&g->r);
  *g = (grammar){ .r = { .st = st } };
}
