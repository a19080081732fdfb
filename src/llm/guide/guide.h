/* guide.h: constraints on text as masks of tokens.

   A guide is a deterministic automaton over bytes (of a grammar whose rules nest: one without end, whose states are
   made when texts come to them, guide_nest.c), lifted to the tokens of one vocabulary: from a state a token is
   allowed if all of its bytes can be read and the state behind them is alive, that is, acceptance can be reached.
   Masks are made when they are first asked for, by one walk of the vocabulary's byte trie beside the automaton, and
   kept (Willard, Louf 2023, "Efficient guided generation for large language models"; Koo, Liu, He 2024,
   "Automata-based constraints for language model decoding"). */
#ifndef NORN_LLM_GUIDE_H
#define NORN_LLM_GUIDE_H
#include "llm/llm.h"

typedef struct lm_guide lm_guide;
/* Of a regular expression that the whole text matches (syntax: regex.h, over UTF-8 text; bytes that are no UTF-8
   are in nothing).  Kept with the model: the same expression again gives the same guide.  NULL: error set, which
   says the position in the expression. */
lm_guide *lm_guide_regex(lm *, const char *, size_t n);
/* The same of texts that may be ended by a stop: those that the expression matches and in which it does not occur;
   and those in which it does, whatever follows it (in its token), if what stands in front of its first occurrence
   is matched.  nstop 0: lm_guide_regex. */
lm_guide *lm_guide_until(lm *, const char *, size_t n, const char *stop, size_t nstop);
/* Of a grammar (GBNF: grammar.c, which says what it has of it) and a stop, or none.  Where rules nest, states and
   masks are made as they are asked for, and lm_guide_next and lm_guide_mask also fail with NORN_ELIMIT: where a
   text is nested too deep, or can be read in too many ways at once. */
lm_guide *lm_guide_grammar(lm *, const char *, size_t n, const char *stop, size_t nstop);
/* All guides of a model go (lm_close). */
void lm_guides_free(lm *);
int  lm_guide_start(const lm_guide *);
/* The state behind a token, whatever the limit; -1: it is not allowed here, or no TEXT token; -2: error set
   (memory, and limits of nested rules). */
int  lm_guide_next(lm_guide *, int state, lm_token);
/* A state as it may be kept where it outlives this process (in a checkpoint), at least 0; and the state that such a number
   is here; -1: it was made elsewhere and has to be found again, by the tokens of its text. */
int64_t lm_guide_shown(const lm_guide *, int state);
int  lm_guide_known(const lm_guide *, int64_t shown);
bool lm_guide_accepts(const lm_guide *, int state);
/* The tokens that may come next, so that the text can be accepted with at most `left` tokens from here (this one
   among them, the end not; left < 0: no limit); END tokens where the state accepts.  (vocab.n + 63) / 64 words that
   stay as they are as long as the model; equal masks of a guide are one array.  NULL: error set. */
const uint64_t *lm_guide_mask(lm_guide *, int state, int left);
/* The fewest tokens from here to acceptance; -1: it can't be reached; -2: no memory, error set. */
int  lm_guide_least(lm_guide *, int state);
/* Whether that is at most `left`: cheaper to know.  false: error set. */
bool lm_guide_within(lm_guide *, int state, int left, bool *is);
#endif
