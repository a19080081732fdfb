/* sim.c: a solver of tasks of several steps whose accuracy is known, for tests of inference-time scaling.

   A text is `steps` lines "ok" or "no", then the line "A: k", then the end; a line is a token and a
   newline.  A step is ok with the probability `accuracy` if all before it were; after the first
   that is not, all are "no".  The answer is 0 if all steps are ok, else one of 1 ... `wrong`,
   evenly.  What stands before the first step is the question: it may be any printable text, of
   which the model never writes any.  With spread > 0 questions differ: the log odds of a step are
   those of accuracy plus spread z, z a normal number that is made of the question's bytes.
   Verifiers and rewards with known errors are stdlib/its.norn's. */
#include "base/number.h"
#include "llm/toy/toy.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK, NO, ANSWERS, PRINTABLE = 95, WRONG_MOST = 1000 };
typedef struct sim { lm lm; toy_vocab vocab; int64_t steps, wrong; double accuracy, spread; } sim;

/* ---- settings: "steps=8,accuracy=.78", then the options of llm() ---- */

static norn_status bad_setting(sim *m, const char *at)
{
  norn_fail(m->lm.st, NORN_EDOMAIN, 0, "sim: is followed by settings name=number, got \"%.40s\"", at);
  norn_hint(m->lm.st, "sim:steps=8,accuracy=0.78; there are steps, accuracy, wrong and spread");
  return NORN_EDOMAIN;
}

static norn_status settings(sim *m, const char *s)
{
  while (*s) {
    const char *eq = strchr(s, '=');
    char *end = NULL;
    double x = eq ? number_first(eq + 1, &end) : 0;
    size_t n = eq ? (size_t)(eq - s) : 0;
    if (!eq || end == eq + 1 || (*end && *end != ',')) return bad_setting(m, s);
    if (n == 5 && !memcmp(s, "steps", n) && x == floor(x) && fabs(x) < 1e6) m->steps = (int64_t)x;
    else if (n == 5 && !memcmp(s, "wrong", n) && x == floor(x) && fabs(x) < 1e6) m->wrong = (int64_t)x;
    else if (n == 8 && !memcmp(s, "accuracy", n)) m->accuracy = x;
    else if (n == 6 && !memcmp(s, "spread", n)) m->spread = x;
    else return bad_setting(m, s);
    s = end + (*end == ',');
  }
  return NORN_OK;
}

static norn_status settings_right(sim *m)
{
  norn_state *st = m->lm.st;
  if (m->steps < 1 || m->steps > 10000)
    return norn_fail(st, NORN_EDOMAIN, 0, "steps of sim: must be from 1 to 10000, got %lld", (long long)m->steps);
  if (m->wrong < 1 || m->wrong > WRONG_MOST)
    return norn_fail(st, NORN_EDOMAIN, 0, "wrong of sim: must be from 1 to %d, got %lld",
                     WRONG_MOST, (long long)m->wrong);
  if (!(m->accuracy >= 0 && m->accuracy <= 1))
    return norn_fail(st, NORN_EDOMAIN, 0, "accuracy of sim: must be in [0, 1], got %g", m->accuracy);
  if (!(m->spread >= 0 && m->spread <= 100))
    return norn_fail(st, NORN_EDOMAIN, 0, "spread of sim: must be in [0, 100], got %g", m->spread);
  return NORN_OK;
}

/* "ok", "no", the answers "A: 0" ..., then newline and the printable bytes, of which questions are made. */
static bool vocabulary(sim *m)
{
  size_t length[ANSWERS + WRONG_MOST + 1 + 1 + PRINTABLE];
  int n = 0;
  text all;
  text_init(&all, m->lm.m);
  for (int64_t i = -ANSWERS; i <= m->wrong; i++) {
    char buf[32];
    if (i < 0) snprintf(buf, sizeof buf, "%s", i == -ANSWERS ? "ok" : "no");
    else snprintf(buf, sizeof buf, "A: %d", (int)i);
    length[n++] = strlen(buf);
    text_put(&all, buf, strlen(buf));
  }
  for (int i = -1; i < PRINTABLE; i++) {
    char c = i < 0 ? '\n' : (char)(' ' + i);
    length[n++] = 1;
    text_put(&all, &c, 1);
  }
  bool good = !all.failed && toy_vocab_make(&m->lm, &m->vocab, all.s, length, n);
  if (all.failed) lm_no_memory(m->lm.st);
  text_free(&all);
  m->lm.vocab = m->vocab.v;
  return good;
}

static norn_status sim_open(lm *x, const char *rest, norn_datum options)
{
  sim *m = (sim *)x;
  m->steps = 8;
  m->accuracy = .78;
  m->wrong = 4;
  norn_status s = settings(m, rest);
  if (s) return s;
  if (!toy_int(x, options, "steps", 1, 10000, &m->steps) || !toy_int(x, options, "wrong", 1, WRONG_MOST, &m->wrong)
      || !toy_real(x, options, "accuracy", 0, &m->accuracy) || !toy_real(x, options, "spread", 0, &m->spread))
    return NORN_EDOMAIN;
  s = settings_right(m);
  if (s) return s;
  if (!vocabulary(m)) return NORN_EMEMORY;
  x->can = LM_TOKENS;
  snprintf(x->name, sizeof x->name, "sim (%lld steps, accuracy %g)", (long long)m->steps, m->accuracy);
  return NORN_OK;
}

static void sim_close(lm *x) { toy_vocab_free(x, &((sim *)x)->vocab); }

/* ---- the next token ---- */

/* What stands in a context: steps, whether all were ok, whether the answer and the end are there
   and a line is open; and the probability that the next step is ok. */
typedef struct standing { int64_t steps; bool ok, answered, ended, open; double p; } standing;

/* A normal number made of 64 bits: Box and Muller. */
static double normal_of(uint64_t h)
{
  double u = ((double)(uint32_t)(h >> 32) + 1) * 0x1p-32, v = (double)(uint32_t)h * 0x1p-32;
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static standing stands(const sim *m, const lm_node *n)
{
  standing s = { .ok = true, .p = m->accuracy };
  uint64_t h = 0;
  lm_token newline = ANSWERS + (lm_token)m->wrong + 1, end = m->lm.vocab.end;
  s.open = n->parent && n->token < newline;
  for (; n->parent; n = n->parent) {
    lm_token t = n->token;
    if (t == end) s.ended = true;
    else if (t == newline) continue;
    else if (t > newline) h = hash_mix(h ^ (uint64_t)(t + 1));
    else if (t >= ANSWERS) s.answered = true;
    else {
      s.steps++;
      if (t == NO) s.ok = false;
    }
  }
  if (m->spread > 0 && s.p > 0 && s.p < 1)
    s.p = 1 / (1 + exp(-(log(s.p) - log1p(-s.p) + m->spread * normal_of(hash_mix(h)))));
  return s;
}

static norn_status sim_eval(lm *x, lm_node *const *node, int n)
{
  sim *m = (sim *)x;
  for (int i = 0; i < n; i++) {
    float *to = lm_node_room(node[i]);
    if (!to) return NORN_EMEMORY;
    standing s = stands(m, node[i]);
    for (int t = 0; t < x->vocab.n; t++) to[t] = -INFINITY;
    if (s.open) to[ANSWERS + m->wrong + 1] = 0;
    else if (s.answered || s.ended) to[x->vocab.end] = 0;
    else if (s.steps < m->steps) {
      to[OK] = s.ok ? (float)log(s.p) : -INFINITY;
      to[NO] = s.ok ? (float)log1p(-s.p) : 0;
    }
    else if (s.ok) to[ANSWERS] = 0;
    else for (int64_t k = 1; k <= m->wrong; k++) to[ANSWERS + k] = -(float)log((double)m->wrong);
  }
  x->ledger.computed += (uint64_t)n;
  return NORN_OK;
}

static const char *const options_of[] = { "steps", "accuracy", "wrong", "spread", NULL };
const lm_row lm_sim = {
  .scheme = "sim",
  .doc = "sim:steps=8,accuracy=0.78,wrong=4 is a solver whose accuracy is known: it writes so many "
         "lines \"ok\" or \"no\", each ok with that probability if all before were, else \"no\"; "
         "then \"A: 0\" if all are ok, or one of \"A: 1\" ... evenly; and the end. Before that any "
         "question may stand; spread=s makes questions differ, by s in the standard deviation of a "
         "step's log odds.",
  .options = options_of,
  .size = sizeof(sim),
  .open = sim_open,
  .close = sim_close,
  .eval = sim_eval
};
