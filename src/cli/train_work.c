/* train_work.c: what norn train does whatever learns, a net (train_cmd.c) or a language model (train_text.c).

   What can be wrong is found before the work begins: that the files can be written, and by a first checkpoint, that
   the work can be saved.  From the checkpoint --resume goes on to the same bits; it is removed when all is done.
   Ctrl-C and SIGTERM leave both what was learned and the checkpoint. */
#include "train.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROGRESS_EVERY .05
#define CHECKPOINT_EVERY 60

static char *joined(const char *a, const char *b)
{
  char *s = malloc(strlen(a) + strlen(b) + 1);
  if (s) strcat(strcpy(s, a), b);
  return s;
}

/* A file that is written beside another one first can be where a neighbour of it can be. */
static bool writable(cli *c, const char *path)
{
  struct stat there;
  char *beside = joined(path, ".try");
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

bool train_files(train_work *w)
{
  cli *c = w->c;
  if (c->fresh) {
    cli_complain(c, "--fresh is an option of norn FILE and norn infer: norn train begins anew without --resume");
    return false;
  }
  w->checkpoint = c->checkpoint ? joined(c->checkpoint, "") : joined(c->out, ".training");
  return w->checkpoint && writable(c, c->out) && writable(c, w->checkpoint);
}

/* A later checkpoint that can't be written is a warning, since the last good one stays. */
static void keep(train_work *w)
{
  cli *c = w->c;
  if (cli_now() - w->saved < (c->every > 0 ? c->every : CHECKPOINT_EVERY)) return;
  if (w->row->save(w) != NORN_OK) cli_report(c, norn_error(c->st), true);
  norn_clear(c->st);
  w->saved = cli_now();
}

/* OK: it is done.  An interrupt is an error like others. */
static norn_status steps(train_work *w)
{
  cli *c = w->c;
  double last = cli_now();
  norn_step s;
  while ((s = w->row->step(w)) == NORN_STEP_MORE) {
    if (interrupt_seen()) return norn_fail(c->st, NORN_EINTERRUPT, -1, "interrupted");
    keep(w);
    double now = cli_now();
    if (now - last < PROGRESS_EVERY) continue;
    norn_progress p;
    last = now;
    w->row->progress(w, &p);
    progress_report(c, "train", &p);
  }
  if (s == NORN_STEP_DONE) return NORN_OK;
  norn_status code = norn_error(c->st)->code;
  return code ? code : norn_fail(c->st, NORN_EUSE, -1, "training failed without an error");
}

/* It was stopped by s, an error that stands: what there is is kept. */
static void stopped(train_work *w, norn_status s)
{
  cli *c = w->c;
  char where[80];
  if (s != NORN_EINTERRUPT) cli_report(c, norn_error(c->st), false);
  norn_clear(c->st);
  if (w->row->where(w, where, sizeof where) == 0) return;
  bool saved = s == NORN_EINTERRUPT && w->row->save(w) == NORN_OK;
  if (w->row->put(w) != NORN_OK) cli_report(c, norn_error(c->st), false);
  else cli_complain(c, "stopped at %s: %s has what was learned%s", where, c->out,
                    saved ? "; --resume goes on from there" : "");
  norn_clear(c->st);
}

/* --resume without a checkpoint: the training has ended, or did not begin.  false: what it left would be lost. */
static bool anew(train_work *w)
{
  cli *c = w->c;
  if (cli_is_there(c->out)) {
    cli_complain(c, "there is no %s to go on from, and %s is there: its training has ended; without --resume it is "
                 "trained anew", w->checkpoint, c->out);
    return false;
  }
  if (!c->quiet) cli_complain(c, "there is no %s to go on from: the training begins", w->checkpoint);
  return true;
}

static norn_status begin(train_work *w)
{
  cli *c = w->c;
  bool there = c->resume && cli_is_there(w->checkpoint);
  norn_status s = w->row->begin(w, there);
  w->begun = s == NORN_OK;
  w->saved = cli_now();
  interrupt_gently(true);          /* before there is a checkpoint: who sees one may stop the training by SIGTERM */
  return s || there ? s : w->row->save(w);
}

static norn_status train(train_work *w)
{
  cli *c = w->c;
  if (c->resume && !cli_is_there(w->checkpoint) && !anew(w)) return NORN_EIO;
  progress_start(c);
  norn_limits_start(c->st);
  norn_clear(c->st);
  interrupt_busy(true);
  norn_status s = begin(w);
  if (s == NORN_OK) s = steps(w);
  interrupt_gently(false);
  interrupt_busy(false);
  progress_wipe(c);
  if (s != NORN_OK && w->begun) {
    stopped(w, s);
    return s;
  }
  if (s == NORN_OK) s = w->row->put(w);
  if (s == NORN_OK) remove(w->checkpoint);
  else cli_report(c, norn_error(c->st), false);
  return s;
}

int train_run(train_work *w) { return cli_exit_code(train(w)); }
