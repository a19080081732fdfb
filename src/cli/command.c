/* The REPL's commands: lines that start with a colon.  One list gives the parser, :help and
   completion. */
#include "cli.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef enum { GO_ON, MISTAKE, LEAVE } outcome;

#define COMMANDS(X)                                                                        \
  X(help, "[TOPIC]", "language, engines, distributions, commands, or any name")            \
  X(load, "FILE", "run FILE; its definitions join the session")                            \
  X(reload, "", "run the last loaded file again")                                          \
  X(time, "EXPR", "evaluate and say how long it took")                                     \
  X(type, "EXPR", "evaluate and say what kind of value it is")                             \
  X(explain, "MODEL", "how a model value will be run")                                     \
  X(dis, "NAME", "the bytecode of a function")                                             \
  X(seed, "N", "start the random numbers from N")                                          \
  X(engine, "[NAME]", "the engines, or one engine's options")                              \
  X(quit, "", "leave (also Ctrl-D)")

#define DECLARE(name, args, text) static outcome do_##name(session *, const char *rest);
COMMANDS(DECLARE)

typedef struct {
  const char *name, *args, *text;
  outcome (*run)(session *, const char *rest);
} command;

#define ROW(name, args, text) { ":" #name, args, text, do_##name },
static const command rows[] = { COMMANDS(ROW) };
enum { NROWS = sizeof rows / sizeof rows[0] };

const char *command_name(int i)
{
  return i < NROWS ? rows[i].name : NULL;
}

static outcome needs(session *s, const char *what)
{
  cli_complain(s->c, "%s", what);
  return MISTAKE;
}

static outcome print_commands(session *s)
{
  for (int i = 0; i < NROWS; i++) {
    char left[32];
    snprintf(left, sizeof left, "%s %s", rows[i].name, rows[i].args);
    norn_outputf(s->c->st, "%-16s %s\n", left, rows[i].text);
  }
  return GO_ON;
}

static outcome do_help(session *s, const char *rest)
{
  if (strcmp(rest, "commands") == 0) return print_commands(s);
  return help_topic(s->c, rest[0] ? rest : "help") ? GO_ON : MISTAKE;
}

static outcome load_file(session *s, const char *path)
{
  size_t n;
  char *text = cli_read(s->c, path, &n);
  if (!text) return MISTAKE;
  norn_status status = cli_eval_whole(s->c, path, text, n, NORN_LOAD_REPL, NULL);
  free(text);
  return status == NORN_OK ? GO_ON : MISTAKE;
}

static outcome do_load(session *s, const char *rest)
{
  char *path;
  if (!rest[0]) return needs(s, ":load needs a file");
  path = strdup(rest);
  if (!path) return needs(s, "out of memory");
  size_t n = strlen(path);
  if (n > 1 && path[0] == '"' && path[n - 1] == '"') {
    memmove(path, path + 1, n - 2);
    path[n - 2] = 0;
  }
  free(s->loaded);
  s->loaded = path;
  return load_file(s, path);
}

static outcome do_reload(session *s, const char *rest)
{
  (void)rest;
  return s->loaded ? load_file(s, s->loaded) : needs(s, "nothing was loaded yet; see :load");
}

/* Evaluates the rest of a command's line. */
static bool eval_rest(session *s, const char *rest, norn_datum *v)
{
  char name[32];
  snprintf(name, sizeof name, "<input %d>", ++s->inputs);
  norn_status status = cli_eval_whole(s->c, name, rest, strlen(rest), NORN_LOAD_REPL, v);
  return status == NORN_OK;
}

static outcome do_time(session *s, const char *rest)
{
  norn_datum v;
  if (!rest[0]) return needs(s, ":time needs an expression");
  double start = cli_now();
  if (!eval_rest(s, rest, &v)) return MISTAKE;
  double spent = cli_now() - start;
  if (norn_kind_of(v) != NORN_UNIT) cli_print(s->c, v, true, 2000);
  if (spent >= 1) norn_outputf(s->c->st, "%.2f s\n", spent);
  else if (spent >= 1e-3) norn_outputf(s->c->st, "%.1f ms\n", 1e3 * spent);
  else norn_outputf(s->c->st, "%.0f us\n", 1e6 * spent);
  return GO_ON;
}

static outcome do_type(session *s, const char *rest)
{
  char buf[512];
  norn_datum v;
  if (!rest[0]) return needs(s, ":type needs an expression");
  if (!eval_rest(s, rest, &v)) return MISTAKE;
  norn_outputf(s->c->st, "%s\n", norn_describe(s->c->st, v, buf, sizeof buf));
  return GO_ON;
}

static outcome do_explain(session *s, const char *rest)
{
  norn_datum v;
  if (!rest[0]) return needs(s, ":explain needs a model value, such as :explain coin(0.5)");
  if (!eval_rest(s, rest, &v)) return MISTAKE;
  norn_datum text = norn_explain(s->c->st, v);
  const char *t = norn_is_none(text) ? NULL : norn_string_view(text, NULL);
  if (t) norn_outputf(s->c->st, "%s", t);
  else cli_report(s->c, norn_error(s->c->st), false);
  return t ? GO_ON : MISTAKE;
}

static outcome do_dis(session *s, const char *rest)
{
  if (!rest[0]) return needs(s, ":dis needs the name of a function");
  if (norn_disassemble(s->c->st, rest) == NORN_OK) return GO_ON;
  cli_report(s->c, norn_error(s->c->st), false);
  return MISTAKE;
}

static outcome do_seed(session *s, const char *rest)
{
  uint64_t n;
  if (!options_count(rest, &n)) return needs(s, ":seed needs a number such as 1");
  norn_seed(s->c->st, n);
  return GO_ON;
}

static outcome do_engine(session *s, const char *rest)
{
  if (rest[0] && strcmp(rest, "list") != 0) {
    if (help_engine(s->c, rest)) return GO_ON;
    cli_complain(s->c, "no engine %s; see :engine", rest);
    return MISTAKE;
  }
  help_engines(s->c);
  return GO_ON;
}

static outcome do_quit(session *s, const char *rest)
{
  (void)s; (void)rest;
  return LEAVE;
}

/* The row whose name starts with the n bytes of `word`: the only one, or the one that is equal. */
static const command *find(const char *word, size_t n)
{
  const command *found = NULL;
  int matches = 0;
  for (int i = 0; i < NROWS; i++) {
    if (strncmp(rows[i].name, word, n) != 0) continue;
    if (strlen(rows[i].name) == n) return &rows[i];
    found = &rows[i];
    matches++;
  }
  return matches == 1 ? found : NULL;
}

bool command_run(session *s, const char *line, bool *failed)
{
  size_t n = strcspn(line, " \t");
  const command *c = find(line, n);
  outcome done = MISTAKE;
  if (!c) {
    cli_complain(s->c, "no command %.*s; :help commands lists them", (int)n, line);
  } else {
    char *rest = strdup(line + n + strspn(line + n, " \t"));
    if (rest) {
      size_t end = strlen(rest);
      while (end > 0 && isspace((unsigned char)rest[end - 1])) rest[--end] = 0;
      done = c->run(s, rest);
      free(rest);
    }
  }
  fflush(stdout);
  *failed = done == MISTAKE;
  return done != LEAVE;
}
