/* norn explain: how the first inference of a program will run, or (with --model, or where the program
   infers nothing itself) how a model of the file will. */
#include "cli.h"
#include <stdlib.h>

static int show_explained(cli *c, norn_datum model)
{
  norn_datum text = norn_explain(c->st, model);
  const char *s = norn_is_none(text) ? NULL : norn_string_view(text, NULL);
  if (!s) {
    cli_report(c, norn_error(c->st), false);
    return cli_exit_code(norn_error(c->st)->code);
  }
  fputs(s, stdout);
  return EXIT_FINE;
}

/* The program up to its first inference: its place and its model.  *found: there is one. */
static int first_inference(cli *c, norn_run *run, bool *found)
{
  char place[600];
  norn_event ev;
  norn_datum x;
  norn_rng g = {.stream = c->config.seed};
  for (;;)
    switch (norn_run_next(run, &ev)) {
    case NORN_DONE: return EXIT_FINE;
    case NORN_SAMPLE:
      g.event++;
      if (norn_dist_sample(c->st, ev.dist, &g, &x)) goto failed;
      norn_run_answer(run, x);
      break;
    case NORN_INFER:
      *found = true;
      printf("%s: inference\n", norn_span_text(c->st, ev.span, place, sizeof place));
      return show_explained(c, ev.value);
    case NORN_OBSERVE: break;
    default: goto failed;
    }
failed:
  cli_report(c, norn_error(c->st), false);
  return cli_exit_code(norn_error(c->st)->code);
}

int explain_main(cli *c)
{
  size_t n;
  bool found = false;
  int code = EXIT_FINE;
  if (c->nwords != 1) {
    cli_complain(c, "explain needs one file: norn explain FILE [--model NAME] [--data D.json]");
    return EXIT_USAGE;
  }
  if (!c->model && !c->data) {
    char *text = cli_read(c, c->words[0], &n);
    if (!text) return EXIT_PROGRAM;
    norn_run *run = norn_load(c->st, c->words[0], text, n, 0);
    free(text);
    if (cli_diagnostics(c) == 0 && !run) cli_report(c, norn_error(c->st), false);
    if (!run) return EXIT_PROGRAM;
    code = first_inference(c, run, &found);
    norn_run_free(run);
    if (found || code != EXIT_FINE) return code;
    cli_close(c);
    if (!cli_open(c)) return EXIT_PROGRAM;
  }
  norn_ref *model = NULL;
  code = infer_model(c, &model);
  if (model) code = show_explained(c, norn_get(model));
  if (model) norn_drop(model);
  return code;
}
