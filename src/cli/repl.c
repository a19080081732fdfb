/* The REPL, and the only door to readline.

   A `session` reads lines until norn_load says that the statement is whole (NORN_EINCOMPLETE: it
   wants another line), runs it, prints its value.  Lines come from readline on a terminal, through
   its callback interface, so that Ctrl-C is an interrupted wait and no jump; from getline when
   the input is a pipe or readline is not there. */
#include "cli.h"
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROMPT "norn> "
#define CONTINUATION "  ... "
#define SHOW_LIMIT 2000         /* characters of a printed value */

/* How a line came: text in *line (malloc'ed), end of input, or Ctrl-C. */
typedef enum { GOT_LINE, GOT_END, GOT_INTERRUPT } got;

static got plain_line(const char *prompt, char **line)
{
  size_t room = 0;
  ssize_t n;
  *line = NULL;
  if (prompt) {
    fputs(prompt, stdout);
    fflush(stdout);
  }
  errno = 0;
  n = getline(line, &room, stdin);
  if (n < 0) {
    bool stopped = interrupt_seen();
    free(*line);
    *line = NULL;
    clearerr(stdin);
    return stopped ? GOT_INTERRUPT : GOT_END;
  }
  if (n > 0 && (*line)[n - 1] == '\n') (*line)[n - 1] = 0;
  return GOT_LINE;
}

#ifdef HAVE_READLINE
#include <readline/history.h>
#include <readline/readline.h>

#define HISTORY_MAX 10000

/* Readline's hooks have no argument: what they need is here. */
static struct {
  norn_state *st;
  char *line;                 /* the line that on_line got */
  bool done, more;            /* on_line was called; a statement is pending */
  char **names; int n, room, next;    /* the completions being collected */
  char history[4096];         /* the file, or "" */
} rl;

static void on_line(char *line)
{
  rl.line = line;
  rl.done = true;
  rl_callback_handler_remove();
}

/* Ctrl-C at the prompt: what was typed stays visible, the line starts anew. */
static void drop_line(void)
{
  rl_callback_sigcleanup();
  rl_free_line_state();
  rl_replace_line("", 0);
  rl_callback_handler_remove();
  fputs("^C\n", stdout);
  fflush(stdout);
}

static got read_line(const char *prompt, char **line)
{
  rl.done = false;
  rl.more = strcmp(prompt, CONTINUATION) == 0;
  rl_callback_handler_install(prompt, on_line);
  while (!rl.done) {
    bool ready = interrupt_wait(STDIN_FILENO);
    if (interrupt_seen()) {
      drop_line();
      return GOT_INTERRUPT;
    }
    if (ready) rl_callback_read_char();
  }
  *line = rl.line;
  if (!rl.line) putchar('\n');
  return rl.line ? GOT_LINE : GOT_END;
}

/* ---- completion ---- */

/* The state may answer with the part after the last dot; readline wants the whole word. */
static void collect(void *user, const char *name)
{
  const char *word = user, *dot = strrchr(word, '.');
  size_t head = dot ? (size_t)(dot + 1 - word) : 0;
  bool whole = head == 0 || strncmp(name, word, head) == 0;
  if (name[0] == '_' && word[0] != '_') return;          /* helpers of the library */
  if (rl.n == rl.room) {
    int room = rl.room ? 2 * rl.room : 64;
    char **more = realloc(rl.names, (size_t)room * sizeof *more);
    if (!more) return;
    rl.names = more;
    rl.room = room;
  }
  size_t n = (whole ? 0 : head) + strlen(name) + 1;
  char *s = malloc(n);
  if (!s) return;
  snprintf(s, n, "%.*s%s", whole ? 0 : (int)head, word, name);
  if (strncmp(s, word, strlen(word)) == 0) rl.names[rl.n++] = s;
  else free(s);
}

static void forget_names(void)
{
  while (rl.n > 0) free(rl.names[--rl.n]);
}

static char *next_name(const char *word, int start)
{
  if (start == 0) {
    forget_names();
    rl.next = 0;
    norn_complete(rl.st, word, collect, (void *)(uintptr_t)word);
  }
  rl_completion_append_character = '\0';
  return rl.next < rl.n ? strdup(rl.names[rl.next++]) : NULL;
}

static char *next_command(const char *word, int start)
{
  if (start == 0) rl.next = 0;
  while (command_name(rl.next)) {
    const char *name = command_name(rl.next++);
    if (strncmp(name, word, strlen(word)) == 0) return strdup(name);
  }
  return NULL;
}

/* Is byte `at` of the line inside a string? */
static bool in_string(const char *line, int at)
{
  bool inside = false;
  for (int i = 0; i < at && line[i]; i++) {
    if (line[i] == '\\' && inside) i++;
    else if (line[i] == '"') inside = !inside;
    else if (line[i] == '#' && !inside) return false;
  }
  return inside;
}

static char **complete(const char *word, int start, int end)
{
  const char *line = rl_line_buffer;
  (void)end;
  rl_attempted_completion_over = 1;
  rl_completion_append_character = ' ';
  if (!rl.more && line[0] == ':' && start == 0)
    return rl_completion_matches(word, next_command);
  bool file = in_string(line, start) || (!rl.more && strncmp(line, ":load ", 6) == 0);
  if (file) {
    rl_filename_completion_desired = 1;
    if (line[0] == ':') rl_attempted_completion_over = 0;
    return rl_completion_matches(word, rl_filename_completion_function);
  }
  return rl_completion_matches(word, next_name);
}

/* Words end at operators and blanks.  A dot stays in (fields), a slash only where files are meant,
   a colon at the start of the line (commands). */
static char *word_breaks(void)
{
  static char names[] = " \t\n\"'@><=;|&{(}[])+-*/^%,!~:", files[] = " \t\n\"";
  static char commands[] = " \t\n";
  const char *line = rl_line_buffer;
  if (!rl.more && strncmp(line, ":load ", 6) == 0) return files;
  if (!rl.more && line[0] == ':' && !strchr(line, ' ')) return commands;
  return in_string(line, rl_point) ? files : names;
}

/* ---- history ---- */

static void make_folders(char *path)
{
  for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
    *p = 0;
    mkdir(path, 0700);
    *p = '/';
  }
}

static void open_history(void)
{
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  rl.history[0] = 0;
  if (state && state[0] == '/') snprintf(rl.history, sizeof rl.history, "%s/norn/history", state);
  else if (home && home[0]) snprintf(rl.history, sizeof rl.history, "%s/.norn_history", home);
  if (!rl.history[0]) return;
  if (state && state[0] == '/') make_folders(rl.history);
  using_history();
  history_comment_char = '#';
  history_write_timestamps = 1;     /* keeps statements of several lines whole */
  stifle_history(HISTORY_MAX);
  read_history(rl.history);
}

static void remember(const char *statement)
{
  HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
  if (last && strcmp(last->line, statement) == 0) return;
  add_history(statement);
  if (!rl.history[0]) return;
  if (append_history(1, rl.history) != 0) write_history(rl.history);
}

static void open_readline(norn_state *st)
{
  rl.st = st;
  rl_readline_name = "norn";
  rl_catch_signals = 0;             /* Ctrl-C is ours (interrupt.c) */
  rl_basic_word_break_characters = " \t\n";
  rl_completion_word_break_hook = word_breaks;
  rl_attempted_completion_function = complete;
  open_history();
}

static void close_readline(void)
{
  forget_names();
  free(rl.names);
  rl.names = NULL;
  rl.room = 0;
  if (rl.history[0]) history_truncate_file(rl.history, HISTORY_MAX);
}

static const char *line_editor(void) { return "readline"; }

#else   /* no readline */

static got read_line(const char *prompt, char **line)
{
  got g = plain_line(prompt, line);
  if (g == GOT_END) putchar('\n');
  if (g == GOT_INTERRUPT) puts("^C");
  return g;
}
static void remember(const char *statement) { (void)statement; }
static void open_readline(norn_state *st) { (void)st; }
static void close_readline(void) {}
static const char *line_editor(void) { return "no line editor"; }

#endif

/* ---- the loop ---- */

typedef struct { char *s; size_t n; } pending;

/* Adds a line to the statement that is being read. */
static bool add_line(pending *p, const char *line)
{
  size_t m = strlen(line);
  char *more = realloc(p->s, p->n + m + 2);
  if (!more) return false;
  p->s = more;
  if (p->n > 0) p->s[p->n++] = '\n';
  memcpy(p->s + p->n, line, m + 1);
  p->n += m;
  return true;
}

static bool is_blank(const char *s)
{
  while (isspace((unsigned char)*s)) s++;
  return *s == 0;
}

/* Runs a statement.  false: it is not whole yet. */
static bool run_statement(session *s, const pending *p, bool *failed)
{
  char name[32];
  norn_datum v;
  snprintf(name, sizeof name, "<input %d>", s->inputs + 1);
  norn_status status = cli_eval(s->c, name, p->s, p->n, NORN_LOAD_REPL, &v);
  if (status == NORN_EINCOMPLETE) return false;
  s->inputs++;
  *failed = status != NORN_OK;
  if (status == NORN_OK && norn_kind_of(v) != NORN_UNIT) cli_print(s->c, v, true, SHOW_LIMIT);
  fflush(stdout);
  return true;
}

/* One line of input.  false: leave. */
static bool take_line(session *s, pending *p, const char *line, bool terminal, bool *failed)
{
  const char *start = line + strspn(line, " \t");
  if (p->n == 0 && is_blank(line)) return true;
  if (p->n == 0 && *start == ':') {
    if (terminal) remember(start);
    return command_run(s, start, failed);
  }
  if (!add_line(p, line)) {
    cli_complain(s->c, "out of memory");
    return false;
  }
  if (!run_statement(s, p, failed)) return true;
  if (terminal) remember(p->s);
  p->n = 0;
  return true;
}

/* Input that ends inside a statement: say what is missing. */
static bool finish_statement(session *s, pending *p)
{
  return p->n == 0 || cli_eval_whole(s->c, "<input>", p->s, p->n, NORN_LOAD_REPL, NULL) == NORN_OK;
}

static int loop(session *s, bool terminal)
{
  pending p = { NULL, 0 };
  int code = EXIT_FINE;
  for (bool more = true; more;) {
    char *line = NULL;
    bool failed = false;
    got g = terminal ? read_line(p.n ? CONTINUATION : PROMPT, &line) : plain_line(NULL, &line);
    if (g == GOT_INTERRUPT) {
      p.n = 0;
      if (!terminal) { code = EXIT_INTERRUPT; break; }
      continue;
    }
    if (g == GOT_END) break;
    more = take_line(s, &p, line, terminal, &failed);
    if (failed && !terminal) code = EXIT_PROGRAM;
    free(line);
  }
  if (!terminal && !finish_statement(s, &p)) code = EXIT_PROGRAM;
  free(p.s);
  return code;
}

int repl_main(cli *c)
{
  session s = { c, 0, NULL };
  bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  if (terminal) {
    open_readline(c->st);
    if (!c->quiet)
      printf("Norn %s (%s). :help explains, Ctrl-D leaves.\n", norn_version(), line_editor());
  }
  int code = loop(&s, terminal);
  if (terminal) close_readline();
  free(s.loaded);
  return code;
}
