/* norn train: a net for a model of a file; no script needed.

   FILE is loaded and the model chosen as norn infer does; a model without parameters may give another one, so
   that sizes of data and priors vary.  What can be wrong is found before the work begins: the name of the
   net, its options, and that the file of the net can be written.  Beside it stands a checkpoint, from which
   --resume goes on to the same bits; it is removed when all is done.  Ctrl-C and SIGTERM leave both. */
#include "cli.h"
#include "norn_net.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROGRESS_EVERY .05
#define CHECKPOINT_EVERY 60

typedef struct {
  cli *c;
  norn_ref *model, *spec;
  norn_training *t;
  char *checkpoint;                    /* malloc'ed */
  double saved;                        /* when it was last written */
} job;

/* ---- before the work ---- */

char *train_joined(const char *a, const char *b)
{
  char *s = malloc(strlen(a) + strlen(b) + 1);
  if (s) strcat(strcpy(s, a), b);
  return s;
}

/* A file that is written beside another one first can be where a neighbour of it can be. */
bool train_writable(cli *c, const char *path)
{
  struct stat there;
  char *beside = train_joined(path, ".try");
  if (!beside) return false;
  FILE *f = stat(path, &there) == 0 && S_ISDIR(there.st_mode) ? (errno = EISDIR, NULL) : fopen(beside, "wb");
  if (f) {
    fclose(f);
    remove(beside);
  } else {
    cli_complain(c, "can't write %s: %s", path, strerror(errno));
  }
  free(beside);
  return f != NULL;
}

static int usage(cli *c)
{
  static const char *const kinds[] = { "npe", "pfn", "distribution_transformer" };
  if (c->nwords != 1 || !c->out) {
    cli_complain(c, "train needs a file and where the net goes: norn train FILE --out NET.safetensors --seconds 60");
    return EXIT_USAGE;
  }
  if (c->seconds > 0 && c->train_steps) {
    cli_complain(c, "--seconds and --steps: one of them says how long");
    return EXIT_USAGE;
  }
  if (!c->kind) c->kind = "npe";
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) if (strcmp(c->kind, kinds[i]) == 0) return EXIT_FINE;
  cli_complain(c, "--kind takes npe, pfn or distribution_transformer, got '%s'", c->kind);
  return EXIT_USAGE;
}

static int prepare(job *j)
{
  cli *c = j->c;
  int code = usage(c);
  if (code != EXIT_FINE) return code;
  j->checkpoint = c->checkpoint ? train_joined(c->checkpoint, "") : train_joined(c->out, ".training");
  if (!j->checkpoint || !train_writable(c, c->out) || !train_writable(c, j->checkpoint)) return EXIT_PROGRAM;
  code = infer_subject(c, &j->model);
  if (code != EXIT_FINE) return code;
  c->engine = c->kind;                 /* flags are its options */
  return cli_engine_value(c, &j->spec);
}

/* ---- the work ---- */

static norn_status begin(job *j)
{
  cli *c = j->c;
  bool there = c->resume && cli_is_there(j->checkpoint);
  norn_trained p;
  j->t = there ? norn_training_load(c->st, norn_get(j->model), j->checkpoint)
               : norn_training_new(c->st, norn_get(j->model), norn_get(j->spec), c->seconds,
                                   (int64_t)c->train_steps, c->config.seed);
  if (!j->t) return norn_error(c->st)->code;
  j->saved = cli_now();
  if (!there) return norn_training_save(j->t, j->checkpoint);
  norn_training_look(j->t, &p);
  if (c->quiet) return NORN_OK;
  progress_wipe(c);
  fprintf(stderr, "resuming from %s, step %lld\n", j->checkpoint, (long long)p.step);
  return NORN_OK;
}

/* The first checkpoint is written before the work, so that what can't be saved is known; a later one that can't be
   is a warning, since the last good one stays. */
static void keep(job *j)
{
  cli *c = j->c;
  double every = c->every > 0 ? c->every : CHECKPOINT_EVERY;
  if (cli_now() - j->saved < every) return;
  if (norn_training_save(j->t, j->checkpoint) != NORN_OK) cli_report(c, norn_error(c->st), true);
  norn_clear(c->st);
  j->saved = cli_now();
}

/* OK: it is done.  An interrupt is an error like others. */
static norn_status steps(job *j)
{
  cli *c = j->c;
  double last = cli_now();
  norn_step s;
  while ((s = norn_training_step(j->t)) == NORN_STEP_MORE) {
    if (interrupt_seen()) return norn_fail(c->st, NORN_EINTERRUPT, -1, "interrupted");
    keep(j);
    double now = cli_now();
    if (now - last < PROGRESS_EVERY) continue;
    norn_progress p;
    last = now;
    norn_training_progress(j->t, &p);
    progress_report(c, "train", &p);
  }
  if (s == NORN_STEP_DONE) return NORN_OK;
  norn_status code = norn_error(c->st)->code;
  return code ? code : norn_fail(c->st, NORN_EUSE, -1, "training failed without an error");
}

/* Writes what was learned, and says so.  *step: how far it is. */
static norn_status put_net(job *j)
{
  cli *c = j->c;
  norn_datum net = norn_training_net(j->t);
  norn_ref *kept = norn_is_none(net) ? NULL : norn_keep(c->st, net);
  norn_status s = kept ? norn_net_save(c->st, norn_get(kept), c->out) : norn_error(c->st)->code;
  if (s == NORN_OK && !c->quiet) cli_print(c, norn_get(kept), false, 0);
  if (kept) norn_drop(kept);
  return s;
}

/* It was stopped by s, an error that stands: what there is is kept. */
static void stopped(job *j, norn_status s)
{
  cli *c = j->c;
  norn_trained p;
  if (s != NORN_EINTERRUPT) cli_report(c, norn_error(c->st), false);
  norn_clear(c->st);
  norn_training_look(j->t, &p);
  if (p.step == 0) return;
  bool saved = s == NORN_EINTERRUPT && norn_training_save(j->t, j->checkpoint) == NORN_OK;
  if (put_net(j) != NORN_OK) cli_report(c, norn_error(c->st), false);
  else cli_complain(c, "stopped at step %lld, %.0f %%: %s has what was learned%s", (long long)p.step,
                    100 * p.fraction, c->out, saved ? "; --resume goes on from there" : "");
  norn_clear(c->st);
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
  if (s == NORN_OK) s = put_net(j);
  if (s == NORN_OK) remove(j->checkpoint);
  else cli_report(c, norn_error(c->st), false);
  return s;
}

int train_main(cli *c)
{
  if (c->text) return train_text_main(c);
  job j = { .c = c };
  int code = prepare(&j);
  if (code == EXIT_FINE) code = cli_exit_code(train(&j));
  norn_training_free(j.t);
  if (j.model) norn_drop(j.model);
  if (j.spec) norn_drop(j.spec);
  free(j.checkpoint);
  return code;
}
