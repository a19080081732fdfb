/* fuzz_regex.c: any bytes are a regular expression, or with ::= in them a grammar, or an error; of an automaton, and of the
   machines of a grammar whose rules nest, each state but perhaps the first has its way to the end; and a small
   vocabulary's masks allow what can be read and finished.  A zero byte parts the expression and a stop. */
#include "llm/guide/grammar.h"
#include "llm/guide/guide.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void sound(const regex *r)
{
  bool *alive = calloc((size_t)r->n, 1), more = alive != NULL;
  for (int s = 0; s < r->n && alive; s++) alive[s] = r->accepts[s];
  while (more) {
    more = false;
    for (int s = r->n; s-- > 0;)
      for (int c = 0; c < r->classes; c++) {
        int to = r->next[s * r->classes + c];
        if (to < -1 || to >= r->n) abort();
        if (to >= 0 && alive[to] && !alive[s]) alive[s] = more = true;
      }
  }
  for (int s = 0; s < r->n && alive; s++)
    if (!alive[s]) abort();
  free(alive);
}

/* What a machine of a grammar calls has a number, and reads something; before a byte, a higher one. */
static void sound_machines(const grammar *g)
{
  for (int s = 0; s < g->r.n; s++)
    for (int i = g->call_at[s]; i < g->call_at[s + 1]; i++) {
      grammar_call c = g->call[i];
      if (c.machine < 0 || c.machine >= g->machines || c.to < -1 || c.to >= g->r.n) abort();
      if (g->machine[c.machine].start < 0 || g->r.accepts[g->machine[c.machine].start]) abort();
    }
  for (int m = 0; m < g->machines; m++) {
    int s = g->machine[m].start;
    for (int i = s < 0 ? 0 : g->call_at[s]; s >= 0 && i < g->call_at[s + 1]; i++)
      if (g->call[i].machine <= m) abort();
  }
  for (int s = 1; s < g->r.n; s++)
    if (g->bytes[s] >= GRAMMAR_FAR && g->r.n < 100) abort();
}

static void guided(norn_state *st, bool gbnf, const char *s, size_t n, const char *stop, size_t nstop)
{
  static const uint8_t bytes[] = "a" "b" "ab" "0" " " "\xc3" "\xa9" "\xc3\xa9" "\n" "<>";
  static const uint32_t at[] = { 0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 13 };
  static const uint8_t kind[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, LM_END };
  lm m = { .st = st, .vocab = { .n = 10, .at = at, .bytes = bytes, .kind = kind, .begin = -1, .end = 9 } };
  lm_guide *e = (gbnf ? lm_guide_grammar : lm_guide_until)(&m, s, n, stop, nstop);
  int state = e ? lm_guide_start(e) : -1;
  for (int k = 0; k < 20 && e; k++) {
    int left = k % 3 ? 20 - k : -1;
    const uint64_t *mask = lm_guide_mask(e, state, left);
    if (!mask) break;
    int t = -1;
    for (int i = 0; i < 9; i++)
      if (mask[0] >> i & 1) {
        int to = lm_guide_next(e, state, i), least = lm_guide_least(e, to);
        if (to == -2 || least == -2) goto end;
        if (to < 0 || least < 0 || (left >= 0 && least >= left)) abort();
        if (t < 0 || (k + i) % 3 == 0) t = i;
      }
    if ((mask[0] >> 9 & 1) != lm_guide_accepts(e, state)) abort();
    if (t < 0) break;
    state = lm_guide_next(e, state, t);
  }
end:
  lm_guides_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  norn_state *st = norn_new_bare(&c);
  const char *s = (const char *)bytes, *zero = n ? memchr(s, 0, n) : NULL;
  size_t ns = zero ? (size_t)(zero - s) : n, nstop = zero ? n - ns - 1 : 0;
  const char *stop = zero ? zero + 1 : "";
  grammar g = { .r = { .st = st } };
  bool gbnf = false;
  for (size_t k = 0; k + 3 <= ns; k++) gbnf |= memcmp(s + k, "::=", 3) == 0;
  if (!st) return 0;
  if (gbnf ? grammar_new(st, ns ? s : "", ns, stop, nstop, &g) : regex_until(st, ns ? s : "", ns, stop, nstop, &g.r)) {
    if (!norn_error(st)->code || !norn_error(st)->text[0] || g.r.next || g.r.accepts) abort();
  } else {
    if (g.machines) sound_machines(&g);
    else if (g.r.n < 2000) sound(&g.r);
    grammar_free(&g);
    guided(st, gbnf, ns ? s : "", ns, stop, nstop);
  }
  norn_free(st);
  return 0;
}

#include "replay.h"
