/* Progress on stderr: on a terminal one line that is drawn over itself and wiped at the end, or one
   a chain while there is room; else a line every ten seconds.  Work that takes less than half a
   second shows nothing. */
#include "cli.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SILENT 0.5        /* seconds before the first line */
#define REDRAW 0.1        /* between two drawings on a terminal */
#define RELINE 10.0       /* between two lines elsewhere */
#define BAR 20            /* cells of the bar */

/* 1234567 as "1.23M". */
static void put_rate(double r, char *buf, size_t n)
{
  const char *unit = "";
  if (r >= 1e6) { r /= 1e6; unit = "M"; }
  else if (r >= 1e4) { r /= 1e3; unit = "k"; }
  snprintf(buf, n, "%.*f%s/s", r < 10 ? 2 : r < 100 ? 1 : 0, r, unit);
}

static void put_time(double s, char *buf, size_t n)
{
  if (s < 99.5) snprintf(buf, n, "%.0f s", s);
  else if (s < 5970) snprintf(buf, n, "%.0f min", s / 60);
  else snprintf(buf, n, "%.1f h", s / 3600);
}

static void put_bar(double share, char *buf)
{
  int full = (int)(share * BAR + 0.5);
  memset(buf, '#', (size_t)full);
  memset(buf + full, '-', (size_t)(BAR - full));
  buf[BAR] = 0;
}

void progress_line(const progress *b, const char *engine, const norn_progress *p, double now,
                   int width, char *buf, size_t n)
{
  char rate[32] = "", left[32], bar[BAR + 1];
  double spent = now - b->engine_begun, work = p->done - b->first_done;
  double speed = spent > 0 && work > 0 ? work / spent : 0;
  int used;
  if (speed > 0) put_rate(speed, rate, sizeof rate);
  if (p->total > 0) {
    double share = p->done / p->total;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    put_bar(share, bar);
    used = snprintf(buf, n, "%s [%s] %3.0f %%  %s", engine, bar, 100 * share, rate);
    if (speed > 0 && used > 0 && (size_t)used < n) {
      put_time(p->total > p->done ? (p->total - p->done) / speed : 0, left, sizeof left);
      used += snprintf(buf + used, n - (size_t)used, "  %s left", left);
    }
  } else {
    put_time(now - b->begun, left, sizeof left);
    used = snprintf(buf, n, "%s %.0f  %s  %s", engine, p->done, rate, left);
  }
  if (p->state[0] && used > 0 && (size_t)used < n)
    used += snprintf(buf + used, n - (size_t)used, "  %s", p->state);
  if (b->saved > 0 && used > 0 && (size_t)used < n) {
    put_time(now - b->saved, left, sizeof left);
    snprintf(buf + used, n - (size_t)used, "  saved %s ago", left);
  }
  if (width > 0 && (size_t)width < n) buf[width] = 0;
}

void progress_start(cli *c)
{
  c->bar.on = !c->quiet;
  c->bar.terminal = isatty(STDERR_FILENO);
  c->bar.shown = 0;
  c->bar.begun = c->bar.engine_begun = cli_now();
  c->bar.drawn = c->bar.terminal ? 0 : c->bar.begun;
  c->bar.first_done = c->bar.last_done = 0;
  c->bar.engine[0] = 0;
}

/* Back to the first of the lines that stand there. */
static void to_top(const progress *b)
{
  if (b->shown > 1) fprintf(stderr, "\033[%dA", b->shown - 1);
  fputc('\r', stderr);
}

void progress_wipe(cli *c)
{
  if (!c->bar.shown) return;
  to_top(&c->bar);
  fputs("\033[J", stderr);
  fflush(stderr);
  c->bar.shown = 0;
}

/* Another inference than at the last report starts its own clock. */
static void notice(progress *b, const char *engine, const norn_progress *p, double now)
{
  if (strncmp(b->engine, engine, sizeof b->engine - 1) != 0 || p->done < b->last_done) {
    snprintf(b->engine, sizeof b->engine, "%s", engine);
    b->engine_begun = now;
    b->first_done = p->done;
  }
  b->last_done = p->done;
}

/* Of each part a line, and the whole in one if there is but one part or no room for all. */
static void draw(progress *b, const char *engine, const norn_progress *p, double now, int width,
                 int height)
{
  char line[256], name[32];
  int parts = p->nparts > 1 && p->nparts < height ? p->nparts : 0;
  fflush(stdout);
  to_top(b);
  for (int i = 0; i < (parts ? parts : 1); i++) {
    if (parts) {
      norn_progress one = {.done = p->parts[i].done, .total = p->parts[i].total};
      progress own = *b;
      own.first_done = 0;
      if (i + 1 < parts) own.saved = 0;                       /* it is of all of them */
      snprintf(one.state, sizeof one.state, "%s", p->parts[i].state);
      snprintf(name, sizeof name, "chain %d", i + 1);
      progress_line(&own, name, &one, now, width, line, sizeof line);
    } else progress_line(b, engine, p, now, width, line, sizeof line);
    fprintf(stderr, "%s%s\033[K", i ? "\n" : "", line);
  }
  fputs("\033[J", stderr);
  fflush(stderr);
  b->shown = parts ? parts : 1;
}

bool progress_report(void *cli_, const char *engine, const norn_progress *p)
{
  cli *c = cli_;
  progress *b = &c->bar;
  double now = cli_now();
  char line[256];
  struct winsize size;
  if (!b->on) return true;
  notice(b, engine, p, now);
  if (now - b->begun < SILENT || now - b->drawn < (b->terminal ? REDRAW : RELINE)) return true;
  b->drawn = now;
  if (!b->terminal) {
    progress_line(b, engine, p, now, 0, line, sizeof line);
    fprintf(stderr, "%s\n", line);
    return true;
  }
  bool sized = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10;
  draw(b, engine, p, now, sized ? size.ws_col - 1 : 79, sized && size.ws_row ? size.ws_row : 24);
  return true;
}
