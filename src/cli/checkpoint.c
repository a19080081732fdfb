/* Checkpoints of the work that goes on, an inference (norn infer) or a whole program (norn FILE): when they are
   written, what is said of them, and Ctrl-C, which leaves a last one. */
#include "cli.h"
#include <stdio.h>
#include <sys/stat.h>

#define CHECKPOINT_EVERY 60     /* seconds, without --every */

bool cli_is_there(const char *path)
{
  struct stat s;
  return stat(path, &s) == 0;
}

bool checkpoint_asked_well(cli *c)
{
  if (c->checkpoint || !(c->every > 0 || c->fresh)) return true;
  cli_complain(c, "--%s is of checkpoints: it needs --checkpoint FILE", c->every > 0 ? "every" : "fresh");
  return false;
}

bool checkpoint_is_there(const cli *c)
{
  return c->checkpoint && !c->fresh && cli_is_there(c->checkpoint);
}

void checkpoint_told(cli *c, const norn_progress *p)
{
  if (c->quiet) return;
  progress_wipe(c);
  if (p->total > 0) fprintf(stderr, "resuming from %s, %.0f %%\n", c->checkpoint, 100 * p->done / p->total);
  else fprintf(stderr, "resuming from %s\n", c->checkpoint);
}

void checkpoint_begin(cli *c)
{
  if (!c->checkpoint) return;
  c->saving = (saving){ .last = cli_now() };
  c->bar.saved = 0;
  interrupt_gently(true);
}

void checkpoint_end(cli *c, bool done)
{
  if (!c->checkpoint) return;
  interrupt_gently(false);
  /* What was printed must be out before the work that it cost is gone. */
  if (done && cli_flushed()) remove(c->checkpoint);
}

/* Where the work stands it can't be saved.  Said once, when that has lasted; a try that had written much before it
   found out is not made again at once. */
static norn_status not_now(cli *c, double begun, double every)
{
  saving *w = &c->saving;
  double now = cli_now();
  if (w->since == 0) w->since = now;
  if (!w->said && now - w->since >= every) {
    w->said = true;
    cli_complain(c, "there is no checkpoint for now: %s; the next is written when that is over",
                 norn_error(c->st)->text);
  }
  w->next = now + 10 * (now - begun);
  norn_clear(c->st);
  return NORN_OK;
}

/* If it is time.  The first one is written at once, so that what can't be saved is known before the work is done; a
   later one that can't be written is a warning, since the last good one stays.  Where the work stands so that it
   can't be saved now (NORN_EINCOMPLETE) a later pause may do. */
static norn_status write_one(cli *c, checkpoint_save *save, void *what)
{
  saving *w = &c->saving;
  double now = cli_now(), every = c->every > 0 ? c->every : CHECKPOINT_EVERY;
  if ((w->any && now - w->last < every) || now < w->next) return NORN_OK;
  norn_status s = save(what, c, c->checkpoint);
  if (s == NORN_EINCOMPLETE) return not_now(c, now, every);
  w->last = cli_now();
  w->since = 0;
  if (s == NORN_OK) c->bar.saved = w->last;
  if (s == NORN_OK || !w->any) {
    w->any = true;
    return s;
  }
  /* what a run holds is told once, what the disk says each time */
  if (s == NORN_EIO || !w->told) cli_report(c, norn_error(c->st), true);
  w->told |= s != NORN_EIO;
  norn_clear(c->st);
  return NORN_OK;
}

/* Ctrl-C or SIGTERM.  OK: where it stands it can't be saved, and it goes on until it can; the second of them stops it
   as it is. */
static norn_status interrupted(cli *c, checkpoint_save *save, void *what)
{
  bool first = c->saving.asked == 1;
  norn_status s = first ? save(what, c, c->checkpoint) : NORN_OK;
  if (s == NORN_EINCOMPLETE) {
    if (!c->saving.said)
      cli_complain(c, "%s: it stops as soon as it can be saved; once more, and it stops as it is",
                   norn_error(c->st)->text);
    c->saving.said = true;
    norn_clear(c->st);
    return NORN_OK;
  }
  if (s != NORN_OK) cli_report(c, norn_error(c->st), true);
  else if (first) cli_complain(c, "the work so far is in %s: the same command goes on from there", c->checkpoint);
  return norn_fail(c->st, NORN_EINTERRUPT, -1, "interrupted");
}

norn_status checkpoint_pause(cli *c, checkpoint_save *save, void *what)
{
  c->saving.asked += interrupt_seen();
  return c->saving.asked ? interrupted(c, save, what) : write_one(c, save, what);
}
