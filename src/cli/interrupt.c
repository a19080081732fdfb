/* Ctrl-C.  A signal handler has no argument, so this is the one place with state of its own: the
   norn_state to stop, and whether it computes at the moment.  A second Ctrl-C while the first has
   not been obeyed ends the process: a native that does not come back must not hold the terminal.
   Where checkpoints are written the first one lets the step end (interrupt_gently). */
#include "cli.h"
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static norn_state *volatile target;
static volatile sig_atomic_t busy, seen, gentle;

static void on_interrupt(int sig)
{
  (void)sig;
  if (gentle && !seen) {
    seen = 1;
    return;
  }
  if (busy && (gentle ? seen > 1 : seen)) _exit(EXIT_INTERRUPT);
  seen = gentle ? 2 : 1;
  if (busy && target) norn_interrupt(target);
}

void interrupt_arm(norn_state *st)
{
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = st ? on_interrupt : SIG_DFL;   /* no SA_RESTART: a read must come back */
  sigemptyset(&a.sa_mask);
  target = st;
  sigaction(SIGINT, &a, NULL);
}

void interrupt_gently(bool on)
{
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = on ? on_interrupt : SIG_DFL;
  sigemptyset(&a.sa_mask);
  gentle = on;
  sigaction(SIGTERM, &a, NULL);
  a.sa_handler = on ? SIG_IGN : SIG_DFL;         /* a file that may not grow is an error of its writer */
  sigaction(SIGXFSZ, &a, NULL);
}

void interrupt_busy(bool on)
{
  if (on) seen = 0;
  busy = on;
}

bool interrupt_seen(void)
{
  bool was = seen != 0;
  seen = 0;
  return was;
}

bool interrupt_wait(int fd)
{
  sigset_t sigint, before;
  fd_set in;
  int ready = -1;
  sigemptyset(&sigint);
  sigaddset(&sigint, SIGINT);
  sigprocmask(SIG_BLOCK, &sigint, &before); /* one just before pselect is not slept over */
  FD_ZERO(&in);
  FD_SET(fd, &in);
  if (!seen) ready = pselect(fd + 1, &in, NULL, NULL, NULL, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
  return ready > 0;
}
