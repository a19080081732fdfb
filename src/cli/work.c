/* What every command does with a state: open it, run a text in it, say what went wrong. */
#include "cli.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double cli_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool cli_flushed(void) { return fflush(stdout) == 0 && !ferror(stdout); }

void cli_complain(cli *c, const char *format, ...)
{
  va_list ap;
  progress_wipe(c);
  fflush(stdout);
  fputs("norn: ", stderr);
  va_start(ap, format);
  vfprintf(stderr, format, ap);
  va_end(ap);
  fputc('\n', stderr);
}

/* ---- the state ---- */

static void write_output(void *user, const char *text, size_t n)
{
  progress_wipe(user);
  fwrite(text, 1, n, stdout);
}

/* A runaway recursion should meet a limit within seconds, and before it meets the swap: 4 GiB or
   half of the machine, whichever is less, unless --max-memory says otherwise. */
static size_t default_memory(void)
{
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  size_t half = pages > 0 && page > 0 ? (size_t)pages / 2 * (size_t)page : SIZE_MAX;
  return half < (size_t)4 << 30 ? half : (size_t)4 << 30;
}

/* FNV-1a of its place and its words without digits (Fowler, Noll, Vo). */
static uint64_t warning_kind(const norn_err *e)
{
  uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)e->span.file << 32 ^ e->span.start;
  for (const char *s = e->text; *s; s++)
    if (*s < '0' || *s > '9') h = (h ^ (unsigned char)*s) * 0x100000001b3u;
  return h;
}

/* A script that infers in a loop may be warned of the same a thousand times: of each kind the first
   few are shown, and at the end how many more there were. */
static bool is_one_too_many(cli *c, const norn_err *e)
{
  uint64_t kind = warning_kind(e);
  int i = 0;
  if (c->command == CMD_REPL) return false;
  while (i < c->nwarned && c->warned[i].kind != kind) i++;
  if (i == WARNING_KINDS) return false;
  if (i == c->nwarned) c->warned[c->nwarned++] = (cli_warned){ kind, 0 };
  return ++c->warned[i].n > WARNINGS_SHOWN;
}

static void tell_rest(cli *c)
{
  uint64_t more = 0;
  for (int i = 0; i < c->nwarned; i++)
    if (c->warned[i].n > WARNINGS_SHOWN) more += c->warned[i].n - WARNINGS_SHOWN;
  c->nwarned = 0;
  if (!more) return;
  progress_wipe(c);
  fflush(stdout);
  fprintf(stderr, "warning: %llu more warnings like these\n", (unsigned long long)more);
}

/* Warnings while a program runs, and notices, which are marked by their hint. */
static void on_warning(void *user, const norn_err *e)
{
  cli *c = user;
  if (strcmp(e->hint, "notice") == 0) {
    progress_wipe(c);
    fflush(stdout);
    fprintf(stderr, "%s\n", e->text);
  } else if (!is_one_too_many(c, e)) {
    cli_report(c, e, true);
  }
}

bool cli_open(cli *c)
{
  if (c->config.max_memory == 0) c->config.max_memory = default_memory();
  c->config.output = write_output;
  c->config.output_user = c;
  c->config.quiet = c->quiet;
  c->st = norn_new(&c->config);
  if (!c->st) {
    cli_complain(c, "out of memory");
    return false;
  }
  interrupt_arm(c->st);
  norn_on_progress(c->st, progress_report, c);
  norn_on_warning(c->st, on_warning, c);
  for (int i = 0; i < c->nplugins; i++)
    if (norn_load_plugin(c->st, c->plugins[i]) != NORN_OK) {
      cli_report(c, norn_error(c->st), false);
      return false;
    }
  return true;
}

void cli_close(cli *c)
{
  if (!c->st) return;
  tell_rest(c);
  interrupt_arm(NULL);
  norn_free(c->st);
  c->st = NULL;
}

/* ---- messages ---- */

/* The printer of norn.h says "error:"; a warning is the same text under its own name. */
static void put_report(const char *text, bool warning)
{
  const char *mark = strstr(text, "error: "), *line = strchr(text, '\n');
  if (warning && mark && (!line || mark < line))
    fprintf(stderr, "%.*swarning: %s", (int)(mark - text), text, mark + strlen("error: "));
  else
    fputs(text, stderr);
  size_t n = strlen(text);
  if (n == 0 || text[n - 1] != '\n') fputc('\n', stderr);
}

void cli_report(cli *c, const norn_err *e, bool warning)
{
  char small[2048], *big = NULL;
  size_t n;
  progress_wipe(c);
  fflush(stdout);
  if (!e) return;
  n = norn_error_text(c->st, e, small, sizeof small);
  if (n >= sizeof small && (big = malloc(n + 1)) != NULL) norn_error_text(c->st, e, big, n + 1);
  put_report(big ? big : small, warning);
  free(big);
}

int cli_diagnostics(cli *c)
{
  int errors = 0, n = norn_diag_count(c->st);
  for (int i = 0; i < n; i++) {
    bool warning = false;
    const norn_err *e = norn_diag_at(c->st, i, &warning);
    cli_report(c, e, warning);
    errors += !warning;
  }
  return errors;
}

int cli_exit_code(norn_status s)
{
  return s == NORN_OK ? EXIT_FINE : s == NORN_EINTERRUPT ? EXIT_INTERRUPT : EXIT_PROGRAM;
}

/* ---- running ---- */

/* A program that is kept in a checkpoint goes on from there. */
static norn_status resumed(cli *c, norn_run **run)
{
  norn_progress p;
  checkpoint_begin(c);
  if (!checkpoint_is_there(c)) return NORN_OK;
  norn_status s = norn_program_load(c->st, run, c->checkpoint);
  if (s != NORN_OK) return s;
  norn_program_progress(c->st, &p);
  checkpoint_told(c, &p);
  return NORN_OK;
}

norn_status cli_eval(cli *c, const char *name, const char *text, size_t n, unsigned flags,
                     norn_datum *out)
{
  norn_status s = NORN_OK;
  norn_datum ignored;
  *(out ? out : &ignored) = norn_unit();
  norn_clear(c->st);
  progress_start(c);
  interrupt_busy(true);
  norn_run *run = norn_load(c->st, name, text, n, flags);
  if (!run) {
    s = norn_error(c->st)->code;
    if (s == NORN_OK) s = NORN_ESYNTAX;
    if (s != NORN_EINCOMPLETE && cli_diagnostics(c) == 0) cli_report(c, norn_error(c->st), false);
  } else {
    cli_diagnostics(c);
    if (c->command == CMD_RUN) s = resumed(c, &run);
    if (s == NORN_OK) s = norn_drive(c->st, run, out ? out : &ignored);
    if (s != NORN_OK) cli_report(c, norn_error(c->st), false);
  }
  interrupt_busy(false);
  progress_wipe(c);
  fflush(stdout);
  return s;
}

/* Where the library also looks for data files: beside the program. */
static void set_script_dir(cli *c, const char *name)
{
  const char *slash = strrchr(name, '/');
  if (!slash) return;
  norn_datum dir = norn_string(c->st, name, slash > name ? (size_t)(slash - name) : 1);
  if (!norn_is_none(dir)) norn_set_global(c->st, "script_dir", dir);
}

norn_status cli_eval_whole(cli *c, const char *name, const char *text, size_t n, unsigned flags,
                           norn_datum *out)
{
  set_script_dir(c, name);
  norn_status s = cli_eval(c, name, text, n, flags, out);
  if (s == NORN_EINCOMPLETE && cli_diagnostics(c) == 0) cli_report(c, norn_error(c->st), false);
  return s;
}

/* Reads to the end of f; NULL with errno set if that fails. */
static char *read_all(FILE *f, size_t *n)
{
  size_t have = 0, room = 4096;
  char *text = malloc(room);
  while (text) {
    have += fread(text + have, 1, room - have - 1, f);
    if (have + 1 < room) break;
    char *more = realloc(text, room *= 2);
    if (!more) free(text);
    text = more;
  }
  if (text && ferror(f)) {
    int why = errno;
    free(text);
    errno = why;
    return NULL;
  }
  if (text) text[have] = 0;
  *n = have;
  return text;
}

char *cli_read(cli *c, const char *path, size_t *n)
{
  bool standard = strcmp(path, "-") == 0;
  FILE *f = standard ? stdin : fopen(path, "r");
  char *text = f ? read_all(f, n) : NULL;
  if (!text)
    cli_complain(c, "can't read %s: %s", standard ? "standard input" : path, strerror(errno));
  if (f && !standard) fclose(f);
  return text;
}

bool cli_is_posterior(norn_datum v)
{
  norn_dist d;
  return norn_dist_view(v, &d) && (d.row->flags & NORN_DIST_POSTERIOR) != 0;
}

const norn_engine *cli_engine_at(cli *c, int i)
{
  const norn_engine *e;
  for (int k = 0; (e = norn_engine_at(c->st, k)) != NULL; k++)
    if (e->name[0] != '_' && i-- == 0) return e;
  return NULL;
}

void cli_print(cli *c, norn_datum v, bool source_form, size_t limit)
{
  const char *s = norn_show(c->st, v, source_form, cli_is_posterior(v) ? 0 : limit);
  if (!s) return;
  size_t n = strlen(s);
  norn_output(c->st, s, n);
  if (n == 0 || s[n - 1] != '\n') norn_output(c->st, "\n", 1);
}

/* ---- the nearest known name ---- */

int cli_distance(const char *a, const char *b)
{
  int rows[3][64], *before = rows[0], *last = rows[1], *row = rows[2];
  int n = (int)strlen(b);
  if (n > 62 || strlen(a) > 62) return 64;
  for (int j = 0; j <= n; j++) last[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int best = last[j - 1] + (a[i - 1] != b[j - 1]);
      if (last[j] + 1 < best) best = last[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      bool swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swap && before[j - 2] + 1 < best) best = before[j - 2] + 1;
      row[j] = best;
    }
    int *spare = before;
    before = last; last = row; row = spare;
  }
  return last[n];
}

typedef struct { const char *want; char *out; size_t n; int best; } nearest;

static void consider(void *user, const char *name)
{
  nearest *x = user;
  int d = name[0] == '_' ? 64 : cli_distance(x->want, name);
  if (d < x->best) {
    x->best = d;
    snprintf(x->out, x->n, "%s", name);
  }
}

bool cli_nearest(cli *c, const char *name, char *out, size_t n)
{
  nearest x = { name, out, n, (int)strlen(name) / 3 + 2 };
  out[0] = 0;
  norn_complete(c->st, "", consider, &x);
  return out[0] != 0;
}
