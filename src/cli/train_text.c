/* norn train --text: a small language model, learned from the bytes of a text.  The work is train_work.c's. */
#include "train.h"
#include "norn_llm.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
  train_work w;
  char *text;                          /* malloc'ed */
  size_t n;
  norn_text_spec spec;
  norn_text_training *t;
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
  cli *c = j->w.c;
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
  cli *c = j->w.c;
  int code = usage(j);
  if (code != EXIT_FINE) return code;
  if (!train_files(&j->w)) return EXIT_PROGRAM;
  j->text = cli_read(c, c->text, &j->n);
  return j->text ? EXIT_FINE : interrupt_seen() ? EXIT_INTERRUPT : EXIT_PROGRAM;
}

/* ---- the work ---- */

/* What was given beside --resume is not looked at, and so it is said. */
static void tell_given(cli *c, const char *checkpoint)
{
  const char *given = c->nflags ? c->flags[0].name : c->train_steps ? "steps" : c->said_seed ? "seed" : NULL;
  if (given)
    cli_complain(c, "--resume goes on with the options, length and seed that are in %s: --%s and the like are not looked at",
                 checkpoint, given);
}

static norn_status text_begin(train_work *w, bool resumes)
{
  job *j = (job *)w;
  cli *c = w->c;
  norn_text_trained l;
  if (resumes) tell_given(c, w->checkpoint);
  j->t = resumes ? norn_text_training_load(c->st, j->text, j->n, w->checkpoint)
                 : norn_text_training_new(c->st, j->text, j->n, &j->spec);
  if (!j->t) return norn_error(c->st)->code;
  if (c->quiet) return NORN_OK;
  norn_text_training_look(j->t, &l);
  progress_wipe(c);
  fprintf(stderr, "%s%lld parameters, %zu bytes of text in %lld document%s, step %lld of %lld\n",
          resumes ? "resuming: " : "", (long long)l.parameters, j->n, (long long)l.documents,
          l.documents == 1 ? "" : "s", (long long)l.step, (long long)l.steps);
  return NORN_OK;
}

static norn_step text_step(train_work *w) { return norn_text_training_step(((job *)w)->t); }
static norn_status text_save(train_work *w) { return norn_text_training_save(((job *)w)->t, w->checkpoint); }
static void text_progress(const train_work *w, norn_progress *p)
{
  norn_text_training_progress(((const job *)w)->t, p);
}

static norn_status text_put(train_work *w)
{
  cli *c = w->c;
  job *j = (job *)w;
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

static int64_t text_where(const train_work *w, char *words, size_t n)
{
  norn_text_trained l;
  norn_text_training_look(((const job *)w)->t, &l);
  snprintf(words, n, "step %lld of %lld", (long long)l.step, (long long)l.steps);
  return l.step;
}

static const train_row text_row = { text_begin, text_step, text_save, text_progress, text_put, text_where };

int train_text_main(cli *c)
{
  job j = { .w = { .c = c, .row = &text_row } };
  int code = prepare(&j);
  if (code == EXIT_FINE) code = train_run(&j.w);
  norn_text_training_free(j.t);
  free(j.text);
  free(j.w.checkpoint);
  return code;
}
