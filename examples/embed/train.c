/* train.c: a net learns the bias of coins from a program, is kept in a file, and answers for data that it has
   never seen: norn_net.h. */
#include <norn.h>
#include <norn_net.h>
#include <stdio.h>

static const char program[] =
  "model coin(flips) { let p ~ beta(2, 2); for f in flips { observe f ~ bernoulli(p) }; p }\n"
  "model coins() { let n ~ discrete_uniform(0, 8); coin(repeat(false, n)) }\n";

static int complain(norn_state *st)
{
  char text[1000];
  norn_error_text(st, norn_error(st), text, sizeof text);
  fprintf(stderr, "%s\n", text);
  norn_free(st);
  return 1;
}

/* The mean of p, given eight heads; negative: an error. */
static double ask(norn_state *st, norn_datum net)
{
  static const char question[] =
    "mean(infer(coin(repeat(true, 8)), amortized(net, draws = 2000)))";
  norn_datum answer;
  double p;
  if (norn_set_global(st, "net", net) != NORN_OK) return -1;
  if (norn_eval(st, "question", question, sizeof question - 1, NORN_LOAD_REPL, &answer) != NORN_OK) return -1;
  return norn_as_real(answer, &p) ? p : -1;
}

int main(void)
{
  norn_config config = norn_config_default();
  norn_datum spec;
  norn_trained now;
  config.quiet = true;
  norn_state *st = norn_new(&config);
  if (!st) return 1;
  if (norn_eval(st, "coins", program, sizeof program - 1, NORN_LOAD_REPL, NULL) != NORN_OK) return complain(st);
  if (norn_eval(st, "spec", "npe(d = 16, layers = 1, batch = 64)", 35, NORN_LOAD_REPL, &spec) != NORN_OK)
    return complain(st);
  norn_training *t = norn_training_new(st, norn_global(st, "coins"), spec, 0, 300, 1);
  if (!t) return complain(st);
  while (norn_training_step(t) == NORN_STEP_MORE) {
    norn_training_look(t, &now);
    if (now.step % 100 == 0) printf("step %lld of 300\n", (long long)now.step);
  }
  norn_datum net = norn_training_net(t);
  bool kept = !norn_is_none(net) && norn_net_save(st, net, "coins.safetensors") == NORN_OK;
  norn_training_free(t);
  if (!kept) return complain(st);
  double p = ask(st, norn_net_load(st, "coins.safetensors"));      /* exact: 10/12 */
  if (p < 0) return complain(st);
  printf("p is about %.1f\n", p);
  norn_free(st);
  return 0;
}
