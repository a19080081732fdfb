/* norn train --text: a small language model, learned from the bytes of a text.

   What can be wrong is found before the work begins: options, the text, and that the files can be written.  Beside the
   model stands a checkpoint, from which --resume goes on to the same bits; it is removed when all is done.  Ctrl-C and
   SIGTERM leave both. */
#include "cli.h"
#include "norn_llm.h"
#include <stdlib.h>
#include <string.h>

#define PROGRESS_EVERY .05
#define CHECKPOINT_EVERY 60

typedef struct {
  cli *c;
  char *text, *checkpoint;             /* malloc'ed */
  size_t n;
  norn_text_spec spec;
  norn_text_training *t;
  double saved;                        /* when the checkpoint was last written */
} job;

/* ---- before the work ---- */

static bool take_whole(cli *c, const cli_flag *f, int *out)
{
  uint64_t n;
  if (options_count(f->value, &n) && n <= 1000000) {
    *out = (int)n;
    return true;
  }
  cli_complain(c, "--%s takes a number such as %d, got '%s'", f->name, *out, f->value);
  return false;
}

static bool take_number(cli *c, const cli_flag *f, double *out)
{
  char *end;
  double x = strtod(f->value, &end);
  if (end != f->value && !*end) {
    *out = x;
    return true;
  }
  cli_complain(c, "--%s takes a number such as %g, got '%s'", f->name, *out, f->value);
  return false;
}

static bool take_documents(cli *c, const cli_flag *f, bool *out)
{
  *out = strcmp(f->value, "empty-lines") == 0;
  if (*out || strcmp(f->value, "whole") == 0) return true;
  cli_complain(c, "--documents takes whole or empty-lines, got '%s'", f->value);
  return false;
}

static bool take_flag(cli *c, const cli_flag *f, norn_text_spec *s)
{
  struct { const char *name; int *whole; double *number; } known[] = {
    { "layers", &s->layers, NULL }, { "width", &s->width, NULL }, { "heads", &s->heads, NULL },
    { "context", &s->context, NULL }, { "batch", &s->batch, NULL }, { "rate", NULL, &s->rate },
    { "decay", NULL, &s->decay }, { "warm", NULL, &s->warm }
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(f->name, known[i].name) == 0)
      return known[i].whole ? take_whole(c, f, known[i].whole) : take_number(c, f, known[i].number);
  if (strcmp(f->name, "documents") == 0) return take_documents(c, f, &s->documents);
  if (strcmp(f->name, "type") == 0) s->type = f->value;
  else if (strcmp(f->name, "name") == 0) s->name = f->value;
  else {
    cli_complain(c, "--%s is no option of norn train --text, which has --layers, --width, --heads, --context, --batch, "
                 "--documents, --steps, --rate, --warm, --decay, --type and --name", f->name);
    return false;
  }
  return true;
}

static int usage(job *j)
{
  cli *c = j->c;
  if (c->nwords || !c->out) {
    cli_complain(c, "train --text needs where the model goes, and no other file: norn train --text FILE --out "
                 "MODEL.gguf");
    return EXIT_USAGE;
  }
  const char *other = c->kind ? "kind" : c->model ? "model" : c->ndata ? "data" : c->seconds > 0 ? "seconds" : NULL;
  if (other) {
    cli_complain(c, "--%s is for nets of programs: a language model is learned from --text in --steps", other);
    return EXIT_USAGE;
  }
  j->spec = norn_text_spec_usual();
  for (int i = 0; i < c->nflags; i++)
    if (!take_flag(c, c->flags + i, &j->spec)) return EXIT_USAGE;
  if (c->train_steps) j->spec.steps = (int64_t)c->train_steps;
  j->spec.seed = c->config.seed;
  return EXIT_FINE;
}

static int prepare(job *j)
{
  cli *c = j->c;
  int code = usage(j);
  if (code != EXIT_FINE) return code;
  j->checkpoint = c->checkpoint ? train_joined(c->checkpoint, "") : train_joined(c->out, ".training");
  if (!j->checkpoint || !train_writable(c, c->out) || !train_writable(c, j->checkpoint)) return EXIT_PROGRAM;
  j->text = cli_read(c, c->text, &j->n);
  return j->text ? EXIT_FINE : interrupt_seen() ? EXIT_INTERRUPT : EXIT_PROGRAM;
}

/* ---- the work ---- */

static norn_status begin(job *j)
{
  cli *c = j->c;
  bool there = c->resume && cli_is_there(j->checkpoint);
  norn_text_trained l;
  j->t = there ? norn_text_training_load(c->st, j->text, j->n, j->checkpoint)
               : norn_text_training_new(c->st, j->text, j->n, &j->spec);
  if (!j->t) return norn_error(c->st)->code;
  j->saved = cli_now();
  norn_text_training_look(j->t, &l);
  if (!c->quiet) {
    progress_wipe(c);
    fprintf(stderr, "%s%lld parameters, %zu bytes of text in %lld document%s, step %lld of %lld\n",
            there ? "resuming: " : "", (long long)l.parameters, j->n, (long long)l.documents,
            l.documents == 1 ? "" : "s", (long long)l.step, (long long)l.steps);
  }
  return there ? NORN_OK : norn_text_training_save(j->t, j->checkpoint);
}

/* That a checkpoint can't be written is a warning, since the last good one stays. */
static void keep(job *j)
{
  cli *c = j->c;
  if (cli_now() - j->saved < (c->every > 0 ? c->every : CHECKPOINT_EVERY)) return;
  if (norn_text_training_save(j->t, j->checkpoint) != NORN_OK) cli_report(c, norn_error(c->st), true);
  norn_clear(c->st);
  j->saved = cli_now();
}

/* OK: it is done.  An interrupt is an error like others. */
static norn_status steps(job *j)
{
  cli *c = j->c;
  double last = cli_now();
  norn_step s;
  while ((s = norn_text_training_step(j->t)) == NORN_STEP_MORE) {
    if (interrupt_seen()) return norn_fail(c->st, NORN_EINTERRUPT, -1, "interrupted");
    keep(j);
    double now = cli_now();
    if (now - last < PROGRESS_EVERY) continue;
    norn_progress p;
    last = now;
    norn_text_training_progress(j->t, &p);
    progress_report(c, "train", &p);
  }
  if (s == NORN_STEP_DONE) return NORN_OK;
  norn_status code = norn_error(c->st)->code;
  return code ? code : norn_fail(c->st, NORN_EUSE, -1, "training failed without an error");
}

/* It was stopped by s, an error that stands: what there is is kept. */
static void stopped(job *j, norn_status s)
{
  cli *c = j->c;
  norn_text_trained l;
  if (s != NORN_EINTERRUPT) cli_report(c, norn_error(c->st), false);
  norn_clear(c->st);
  norn_text_training_look(j->t, &l);
  if (l.step == 0) return;
  bool saved = s == NORN_EINTERRUPT && norn_text_training_save(j->t, j->checkpoint) == NORN_OK;
  if (norn_text_training_write(j->t, c->out) != NORN_OK) cli_report(c, norn_error(c->st), false);
  else cli_complain(c, "stopped at step %lld of %lld: %s has what was learned%s", (long long)l.step,
                    (long long)l.steps, c->out, saved ? "; --resume goes on from there" : "");
  norn_clear(c->st);
}

static norn_status put_model(job *j)
{
  cli *c = j->c;
  norn_text_trained l;
  norn_status s = norn_text_training_write(j->t, c->out);
  norn_text_training_look(j->t, &l);
  if (s != NORN_OK || c->quiet) return s;
  printf("%s: %lld parameters, %lld steps, %lld tokens, loss %.4f", c->out, (long long)l.parameters, (long long)l.step,
         (long long)l.tokens, l.loss);
  if (l.held_out == l.held_out) printf(", held out %.4f", l.held_out);
  puts(" a byte");
  return NORN_OK;
}

static norn_status train(job *j)
{
  cli *c = j->c;
  progress_start(c);
  norn_limits_start(c->st);
  norn_clear(c->st);
  interrupt_busy(true);
  norn_status s = begin(j);
  interrupt_gently(true);
  if (s == NORN_OK) s = steps(j);
  interrupt_gently(false);
  interrupt_busy(false);
  progress_wipe(c);
  if (s != NORN_OK && j->t) {
    stopped(j, s);
    return s;
  }
  if (s == NORN_OK) s = put_model(j);
  if (s == NORN_OK) remove(j->checkpoint);
  else cli_report(c, norn_error(c->st), false);
  return s;
}

int train_text_main(cli *c)
{
  job j = { .c = c };
  int code = prepare(&j);
  if (code == EXIT_FINE) code = cli_exit_code(train(&j));
  norn_text_training_free(j.t);
  free(j.text);
  free(j.checkpoint);
  return code;
}
