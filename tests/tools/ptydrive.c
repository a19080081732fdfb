/* ptydrive SCRIPT COMMAND [ARGS]: runs COMMAND on a terminal of its own and follows SCRIPT, a line
   at a time:

     send TEXT        type TEXT; \r \t \e \\ and \xHH are what they are in C, ^C is Ctrl-C
     see TEXT         wait until the terminal shows TEXT after what was seen last
     unseen TEXT      nothing since the start of the script has shown TEXT
     wait MS          let time pass
     status N         wait until the command ends, with exit status N

   Escape sequences of the terminal are taken out before TEXT is looked for.  The first line that
   fails ends the test with status 1 and a picture of what the terminal showed. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 120.0     /* seconds that `see` and `status` wait */

typedef struct {
  int fd;
  pid_t pid;
  char *text;              /* what the terminal showed, without escape sequences */
  size_t n, room, seen;    /* seen: where the last `see` ended */
  int escape;              /* inside an escape sequence: its state */
  bool ended;
} terminal;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what)
{
  perror(what);
  exit(99);
}

/* ---- the command and its terminal ---- */

static void child(const char *name, char **argv)
{
  setsid();
  int fd = open(name, O_RDWR);
  if (fd < 0) die(name);
  ioctl(fd, TIOCSCTTY, 0);
  struct winsize size = { .ws_row = 40, .ws_col = 100 };
  ioctl(fd, TIOCSWINSZ, &size);
  for (int i = 0; i < 3; i++) dup2(fd, i);
  if (fd > 2) close(fd);
  setenv("TERM", "xterm", 1);
  setenv("INPUTRC", "/dev/null", 1);
  unsetenv("LINES");
  unsetenv("COLUMNS");
  execvp(argv[0], argv);
  die(argv[0]);
}

static terminal start(char **argv)
{
  terminal t = { .fd = posix_openpt(O_RDWR | O_NOCTTY) };
  if (t.fd < 0 || grantpt(t.fd) || unlockpt(t.fd)) die("posix_openpt");
  const char *name = ptsname(t.fd);
  t.pid = fork();
  if (t.pid < 0) die("fork");
  if (t.pid == 0) {
    close(t.fd);
    child(name, argv);
  }
  return t;
}

/* Takes out CSI (ESC [ ... letter), OSC (ESC ] ... BEL) and two-byte escapes, \r and \a. */
static void show_byte(terminal *t, char c)
{
  switch (t->escape) {
  case 1:
    t->escape = c == '[' ? 2 : c == ']' ? 3 : 0;
    return;
  case 2:
    if (c >= '@' && c <= '~') t->escape = 0;
    return;
  case 3:
    if (c == '\a') t->escape = 0;
    return;
  default: break;
  }
  if (c == 27) t->escape = 1;
  if (c == 27 || c == '\r' || c == '\a') return;
  if (t->n + 1 >= t->room) {
    t->room = t->room ? 2 * t->room : 4096;
    t->text = realloc(t->text, t->room);
    if (!t->text) die("realloc");
  }
  t->text[t->n++] = c;
  t->text[t->n] = 0;
}

/* Reads what comes within `seconds`; false: the command has closed the terminal. */
static bool listen_for(terminal *t, double seconds)
{
  struct pollfd p = { t->fd, POLLIN, 0 };
  char buf[4096];
  if (t->ended) return false;
  if (poll(&p, 1, (int)(seconds * 1000)) <= 0) return true;
  ssize_t n = read(t->fd, buf, sizeof buf);
  if (n <= 0) t->ended = true;
  for (ssize_t i = 0; i < n; i++) show_byte(t, buf[i]);
  return n > 0;
}

/* ---- the script's lines ---- */

static size_t unescape(const char *s, char *out)
{
  char *o = out;
  while (*s) {
    if (s[0] == '^' && isupper((unsigned char)s[1])) {
      *o++ = (char)(s[1] - '@');
      s += 2;
    } else if (s[0] == '\\' && s[1]) {
      static const char from[] = "rnte\\^", to[] = "\r\n\t\033\\^";
      const char *p = strchr(from, s[1]);
      if (p) {
        *o++ = to[p - from];
        s += 2;
      } else if (s[1] == 'x' && s[2] && s[3]) {
        char hex[3] = { s[2], s[3], 0 };
        *o++ = (char)strtol(hex, NULL, 16);
        s += 4;
      } else {
        *o++ = *s++;
      }
    } else {
      *o++ = *s++;
    }
  }
  *o = 0;
  return (size_t)(o - out);
}

static bool do_send(terminal *t, const char *text)
{
  char *raw = malloc(strlen(text) + 1);
  if (!raw) die("malloc");
  size_t n = unescape(text, raw), at = 0;
  while (at < n) {
    ssize_t m = write(t->fd, raw + at, n - at);
    if (m < 0 && errno != EINTR && errno != EAGAIN) break;
    if (m > 0) at += (size_t)m;
  }
  free(raw);
  return at == n;
}

static bool do_see(terminal *t, const char *text)
{
  double until = now() + PATIENCE;
  for (;;) {
    char *hit = t->n > t->seen ? strstr(t->text + t->seen, text) : NULL;
    if (hit) {
      t->seen = (size_t)(hit - t->text) + strlen(text);
      return true;
    }
    if (now() > until || !listen_for(t, 0.1)) return false;
  }
}

static bool do_unseen(terminal *t, const char *text)
{
  return t->n == 0 || !strstr(t->text, text);
}

static bool do_wait(terminal *t, const char *text)
{
  double until = now() + atof(text) / 1000;
  while (now() < until && listen_for(t, 0.02)) continue;
  return true;
}

static bool do_status(terminal *t, const char *text)
{
  double until = now() + PATIENCE;
  int status;
  while (now() < until && listen_for(t, 0.1)) continue;
  while (now() < until) {
    pid_t got = waitpid(t->pid, &status, WNOHANG);
    if (got == t->pid) {
      t->pid = 0;
      int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      if (code != atoi(text)) printf("ended with status %d\n", code);
      return code == atoi(text);
    }
    usleep(20000);
  }
  return false;
}

static const struct { const char *name; bool (*run)(terminal *, const char *); } verbs[] = {
  { "send", do_send }, { "see", do_see }, { "unseen", do_unseen }, { "wait", do_wait },
  { "status", do_status },
};

static bool run_line(terminal *t, char *line)
{
  size_t n = strcspn(line, " ");
  const char *rest = line[n] ? line + n + 1 : line + n;
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
    if (strlen(verbs[i].name) == n && memcmp(verbs[i].name, line, n) == 0)
      return verbs[i].run(t, rest);
  printf("no such line: %s\n", line);
  return false;
}

int main(int argc, char **argv)
{
  char line[4096];
  int number = 0, bad = 0;
  if (argc < 3) {
    fputs("usage: ptydrive SCRIPT COMMAND [ARGS]\n", stderr);
    return 99;
  }
  FILE *script = fopen(argv[1], "r");
  if (!script) die(argv[1]);
  terminal t = start(argv + 2);
  while (!bad && fgets(line, sizeof line, script)) {
    number++;
    line[strcspn(line, "\n")] = 0;
    if (line[0] == 0 || line[0] == '#') continue;
    if (!run_line(&t, line)) {
      printf("%s:%d: failed: %s\n--- the terminal showed\n", argv[1], number, line);
      puts(t.text ? t.text : "");
      bad = 1;
    }
  }
  if (t.pid > 0) {
    kill(t.pid, SIGKILL);
    waitpid(t.pid, NULL, 0);
  }
  fclose(script);
  free(t.text);
  return bad;
}
