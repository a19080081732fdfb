/* norn: from the command line to one of the commands. */
#include "cli.h"
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A script's words after its name, as the array of strings `args`. */
static bool set_args(cli *c, const char *const *words, int n)
{
  norn_datum *items = calloc((size_t)n + 1, sizeof *items);
  bool fine = items != NULL;
  for (int i = 0; fine && i < n; i++) {
    items[i] = norn_cstring(c->st, words[i]);
    fine = !norn_is_none(items[i]);
  }
  norn_datum array = fine ? norn_array_pack(c->st, items, n) : norn_none();
  free(items);
  if (norn_is_none(array) || norn_set_global(c->st, "args", array) != NORN_OK) {
    cli_report(c, norn_error(c->st), false);
    return false;
  }
  return true;
}

/* What was printed must be out before the checkpoint says that it was. */
static norn_status program_save(void *what, cli *c, const char *path)
{
  (void)what;
  if (!cli_flushed()) return norn_fail(c->st, NORN_EIO, -1, "can't write the output");
  return norn_program_save(c->st, path);
}

static norn_status program_pauses(void *c, norn_state *st)
{
  (void)st;
  return checkpoint_pause(c, program_save, NULL);
}

static int run_main(cli *c)
{
  size_t n;
  if (!checkpoint_asked_well(c)) return EXIT_USAGE;
  char *text = cli_read(c, c->words[0], &n);
  if (!text) return interrupt_seen() ? EXIT_INTERRUPT : EXIT_PROGRAM;
  const char *name = strcmp(c->words[0], "-") == 0 ? "<stdin>" : c->words[0];
  if (c->checkpoint) norn_on_pause(c->st, program_pauses, c);
  norn_status s = set_args(c, c->words + 1, c->nwords - 1)
                  ? cli_eval_whole(c, name, text, n, 0, NULL) : NORN_EMEMORY;
  free(text);
  checkpoint_end(c, s == NORN_OK);
  return cli_exit_code(s);
}

static int eval_main(cli *c)
{
  if (!set_args(c, c->words, c->nwords)) return EXIT_PROGRAM;
  for (int i = 0; i < c->nevals; i++) {
    norn_datum v;
    norn_status s = cli_eval_whole(c, "-e", c->evals[i], strlen(c->evals[i]), NORN_LOAD_REPL, &v);
    if (s != NORN_OK) return cli_exit_code(s);
    if (norn_kind_of(v) != NORN_UNIT) cli_print(c, v, false, 0);
  }
  return EXIT_FINE;
}

/* Each file in a state of its own, so that none sees the names of another. */
static int check_main(cli *c)
{
  int errors = 0;
  if (c->nwords == 0) {
    cli_complain(c, "check needs a file");
    return EXIT_USAGE;
  }
  for (int i = 0; i < c->nwords; i++) {
    size_t n;
    char *text = cli_read(c, c->words[i], &n);
    if (!text || (i > 0 && (cli_close(c), !cli_open(c)))) {
      free(text);
      errors++;
      continue;
    }
    norn_run *run = norn_load(c->st, c->words[i], text, n, NORN_LOAD_CHECK);
    int found = cli_diagnostics(c);
    if (!run && found == 0 && norn_error(c->st)->code != NORN_OK) {
      cli_report(c, norn_error(c->st), false);
      found = 1;
    }
    errors += found;
    if (run) norn_run_free(run);
    free(text);
  }
  return errors ? EXIT_PROGRAM : EXIT_FINE;
}

static int dis_main(cli *c)
{
  size_t n;
  if (c->nwords != 1) {
    cli_complain(c, "dis needs one file");
    return EXIT_USAGE;
  }
  char *text = cli_read(c, c->words[0], &n);
  if (!text) return EXIT_PROGRAM;
  norn_run *run = norn_load(c->st, c->words[0], text, n, 0);
  free(text);
  int errors = cli_diagnostics(c);
  if (!run) {
    if (errors == 0) cli_report(c, norn_error(c->st), false);
    return EXIT_PROGRAM;
  }
  norn_status s = norn_disassemble(c->st, NULL);
  if (s != NORN_OK) cli_report(c, norn_error(c->st), false);
  norn_run_free(run);
  return cli_exit_code(s);
}

static int doc_main(cli *c)
{
  int missing = 0;
  if (c->nwords == 0) {
    cli_complain(c, "doc needs a name");
    return EXIT_USAGE;
  }
  for (int i = 0; i < c->nwords; i++) missing += !help_topic(c, c->words[i]);
  return missing ? EXIT_PROGRAM : EXIT_FINE;
}

static int version_main(cli *c)
{
  printf("norn %s\n", norn_version());
#ifdef HAVE_READLINE
  puts("readline: yes");
#else
  puts("readline: no (the REPL has no history and no completion)");
#endif
  printf("engines:");
  for (int i = 0; cli_engine_at(c, i); i++) printf(" %s", cli_engine_at(c, i)->name);
  printf("\nlinear algebra: %s", norn_linear_algebra());
  const char *cairo = norn_package("cairo");
  printf("\npictures: SVG, %s%s", cairo ? "PNG and PDF by " : "but no PNG and PDF: there is no cairo",
         cairo ? cairo : "");
  const char *netcdf = norn_package("netcdf");
  printf("\ndraws in files: CSV, JSON, %s%s", netcdf ? "NetCDF by " : "but no NetCDF: there is no libnetcdf",
         netcdf ? netcdf : "");
  const char *curl = norn_package("curl");
  printf("\nlanguage models: builtin:, ngram:, hmm:, sim:, switch:, %s%s",
         curl ? "and servers by " : "but no servers: there is no libcurl", curl ? curl : "");
  norn_device d;
  char why[300];
  int n = norn_devices(c->st, &d, 1, why, sizeof why);
  if (n > 0 && d.usable) printf("\nGPU: %s, by %s", d.name, norn_package("cuda"));
  else printf("\nGPU: none (%s)", why);
#ifdef __VERSION__
  printf("\ncompiled by: %s%s\n",
#ifdef __clang__
         "",
#else
         "gcc ",
#endif
         __VERSION__);
#endif
  puts("licence: GPL-3.0-or-later");
  return EXIT_FINE;
}

static int dispatch(cli *c)
{
  bool saves = c->command == CMD_RUN || c->command == CMD_INFER || c->command == CMD_TRAIN;
  if (!saves && (c->checkpoint || c->every > 0 || c->fresh)) {
    cli_complain(c, "--%s is an option of norn FILE, norn infer and norn train",
                 c->checkpoint ? "checkpoint" : c->every > 0 ? "every" : "fresh");
    return EXIT_USAGE;
  }
  switch (c->command) {
  case CMD_RUN: return run_main(c);
  case CMD_EVAL: return eval_main(c);
  case CMD_INFER: return infer_main(c);
  case CMD_TRAIN: return train_main(c);
  case CMD_CHECK: return check_main(c);
  case CMD_EXPLAIN: return explain_main(c);
  case CMD_DIS: return dis_main(c);
  case CMD_DOC: return doc_main(c);
  case CMD_DEVICES: return devices_main(c);
  case CMD_VERSION: return version_main(c);
  default: return repl_main(c);
  }
}

int main(int argc, char **argv)
{
  cli c;
  int code = EXIT_USAGE;
  memset(&c, 0, sizeof c);
  c.config = norn_config_default();
  if (options_parse(&c, argc, argv)) {
    if (c.command == CMD_HELP) {
      options_help(stdout);
      code = EXIT_FINE;
    } else {
      code = cli_open(&c) ? dispatch(&c) : EXIT_PROGRAM;
    }
  }
  cli_close(&c);
  if (!cli_flushed() && code == EXIT_FINE) {
    fputs("norn: can't write the output\n", stderr);
    code = EXIT_PROGRAM;
  }
  options_free(&c);
  return code;
}
