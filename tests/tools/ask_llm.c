/* ask_llm URI OPTIONS draw CONTEXT STOP MAX TEMPERATURE SEED N
   ask_llm URI OPTIONS score CONTEXT STOP MAX TEMPERATURE TEXT
   ask_llm URI OPTIONS next CONTEXT
   ask_llm URI OPTIONS chat MESSAGE STOP MAX TEMPERATURE SEED N
   ask_llm URI OPTIONS chat-next MESSAGE

   Asks a language model as the library does, below its natives: N texts by the seeds SEED, SEED + 1, ... in one call; the
   log-probability of a text; the likeliest next tokens, and the
   standard deviation of all of their log-probabilities.  OPTIONS is a record in Norn.  Last come what the ledger says. */
#include "io/json.h"
#include "llm/llm.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(norn_state *st)
{
  const norn_err *e = norn_error(st);
  printf("error: %s\n", e ? e->text : "?");
  if (e && e->hint[0]) printf("hint: %s\n", e->hint);
  return 1;
}

static void show_warning(void *user, const norn_err *e)
{
  (void)user;
  printf("warning: %s\n", e->text);
}

static void show_text(const char *s, size_t n)
{
  for (size_t k = 0; k < n; k++)
    if (s[k] == '\n') printf("\\n");
    else putchar(s[k]);
}

static int texts(lm *l, lm_node *at, char **v, int n, bool given)
{
  static lm_ask a[1000];
  static lm_said s[1000];
  if (n < 1 || n > 1000 || !l->row->texts) return 2;
  for (int k = 0; k < n; k++) {
    a[k] = (lm_ask){ .at = at, .stop = v[0], .nstop = strlen(v[0]), .max = atoi(v[1]), .temperature = atof(v[2]), .top_p = 1 };
    if (given) a[k].given = v[3], a[k].ngiven = strlen(v[3]);
    else a[k].seed = strtoull(v[3], NULL, 10) + (unsigned)k;
  }
  if (l->row->texts(l, n, a, s)) return failed(l->st);
  for (int k = 0; k < n; k++) {
    show_text(s[k].text ? s[k].text : v[3], s[k].text ? s[k].n : strlen(v[3]));
    printf(s[k].scored ? " | %s %.6f\n" : " | %s unscored\n", s[k].stopped ? "stopped" : "cut", s[k].logp);
    lm_said_free(l->st, s + k);
  }
  return 0;
}

static int next(lm *l, lm_node *at)
{
  if (!(l->can & LM_TOKENS)) return 2;
  if (lm_eval(l, &at, 1)) return failed(l->st);
  double sum = 0, squares = 0;
  int n = 0;
  for (int k = 0; k < l->vocab.n; k++)
    if (at->logp[k] > -1e30f) sum += at->logp[k], squares += (double)at->logp[k] * at->logp[k], n++;
  printf("sd %.5f\n", sqrt(squares / n - sum / n * (sum / n)));
  for (int round = 0; round < 5; round++) {
    int best = 0;
    for (int k = 1; k < l->vocab.n; k++)
      if (at->logp[k] > at->logp[best]) best = k;
    printf("\"");
    show_text((const char *)l->vocab.bytes + l->vocab.at[best], l->vocab.at[best + 1] - l->vocab.at[best]);
    printf("\" %.5f\n", at->logp[best]);
    at->logp[best] = -1e30f;
  }
  return 0;
}

static lm_node *chat_of(lm *l, const char *said)
{
  static const char *const names[] = { "role", "content" };
  const norn_datum v[] = { norn_cstring(l->st, "user"), norn_cstring(l->st, said) };
  norn_datum message = norn_record(l->st, 2, names, v), all = norn_array_pack(l->st, &message, 1);
  lm_node *node = NULL;
  text t;
  text_init(&t, l->m);
  norn_status bad = l->row->chat(l, all, &t, &node);
  text_free(&t);
  return bad ? NULL : node;
}

static int work(norn_state *st, int argc, char **argv)
{
  norn_datum options = norn_none();
  if (norn_eval(st, "options", argv[2], strlen(argv[2]), 0, &options)) return failed(st);
  lm *l = lm_open(st, argv[1], norn_record_size(options) < 0 ? norn_none() : options);
  if (!l) return failed(st);
  const char *what = argv[3];
  lm_node *at = strncmp(what, "chat", 4) ? lm_start(l, argv[4], strlen(argv[4])) : chat_of(l, argv[4]);
  int status = at ? 2 : failed(st);
  if (at && (strcmp(what, "draw") == 0 || strcmp(what, "chat") == 0) && argc == 10) status = texts(l, at, argv + 5, atoi(argv[9]), false);
  if (at && strcmp(what, "score") == 0 && argc == 9) status = texts(l, at, argv + 5, 1, true);
  if (at && (strcmp(what, "next") == 0 || strcmp(what, "chat-next") == 0)) status = next(l, at);
  printf("ledger: texts %llu, prompt %llu, answer %llu, cached %llu\n", (unsigned long long)l->ledger.texts, (unsigned long long)l->ledger.prompt_tokens,
         (unsigned long long)l->ledger.answer_tokens, (unsigned long long)l->ledger.cached);
  if (at) lm_drop(at);
  lm_close(l);
  return status;
}

int main(int argc, char **argv)
{
  if (argc < 5) return 99;
  norn_config c = norn_config_default();
  norn_state *st = norn_new(&c);
  if (!st) return 99;
  norn_on_warning(st, show_warning, NULL);
  int status = work(st, argc, argv);
  norn_free(st);
  return status;
}
