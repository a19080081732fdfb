/* The command line.  One list of options gives the parser, `norn --help` and its order. */
#include "cli.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FOR_ALL = 1, FOR_MODEL = 2, FOR_INFER = 3, FOR_TRAIN = 4, FOR_WORK = 5 /* infer and train */,
       FOR_SAVED = 6 /* these, and programs */ };

/* letter, name, argument (NULL: none), for which commands, help */
#define OPTIONS(X)                                                                                 \
  X(eval, 'e', "eval", "EXPR", FOR_ALL, "evaluate and print EXPR (may be given several times)")    \
  X(load, 0, "load", "FILE.so", FOR_ALL, "open a shared object with engines, natives ...") \
  X(seed, 0, "seed", "N", FOR_ALL, "seed of all random numbers")                                   \
  X(quiet, 'q', "quiet", NULL, FOR_ALL, "no progress and no announcements")                        \
  X(memory, 0, "max-memory", "SIZE", FOR_ALL, "such as 2G (default: 4G or half the machine)")      \
  X(steps, 0, "max-steps", "N", FOR_ALL, "calls and loop turns, such as 1e9")                      \
  X(time, 0, "max-time", "TIME", FOR_ALL, "seconds, or such as 2m or 1h")                          \
  X(threads, 0, "threads", "N", FOR_ALL, "threads of an inference (default: one a processor)")     \
  X(no_jit, 0, "no-jit", NULL, FOR_ALL, "no code made by the C compiler")                          \
  X(no_gpu, 0, "no-gpu", NULL, FOR_ALL, "no GPU is looked for")                                    \
  X(safe, 0, "safe", NULL, FOR_ALL, "no foreign functions, plug-ins, or files but imports")        \
  X(version, 'V', "version", NULL, FOR_ALL, "the version and what this build has")                 \
  X(help, 'h', "help", NULL, FOR_ALL, "this text")                                                 \
  X(model, 0, "model", "NAME", FOR_MODEL, "the model in FILE (needed if it has several)")          \
  X(data, 0, "data", "FILE", FOR_MODEL, "JSON or CSV: fields or columns go to parameters by name") \
  X(engine, 0, "engine", "ENGINE", FOR_INFER, "such as smc or 'smc(particles = 1000)'")            \
  X(text, 0, "text", "FILE", FOR_TRAIN, "a language model is learned from this text, instead of a net")    \
  X(kind, 0, "kind", "KIND", FOR_TRAIN, "npe (the default), pfn or distribution_transformer")       \
  X(seconds, 0, "seconds", "TIME", FOR_TRAIN, "how long, such as 90 or 2h; or")                    \
  X(train_steps, 0, "steps", "N", FOR_TRAIN, "how many steps (default: 3000)")                     \
  X(resume, 0, "resume", NULL, FOR_TRAIN, "go on from the checkpoint, if it is there")             \
  X(out, 0, "out", "OUT", FOR_WORK, "infer: a folder for draws, summary, diagnostics; train: the net's file") \
  X(format, 0, "format", "FORMAT", FOR_INFER, "of the draws: csv, nc, json, or several: csv,nc")   \
  X(predictive, 0, "predictive", NULL, FOR_INFER, "draws.nc gets what the model predicts")         \
  X(chains, 0, "chains", "N", FOR_INFER, "independent chains")                                     \
  X(checkpoint, 0, "checkpoint", "CHECKPOINT", FOR_SAVED,                                          \
    "keep the work in that file, and go on from it (train: by --resume)")                           \
  X(every, 0, "every", "TIME", FOR_SAVED, "between two checkpoints, such as 30s or 5m (default: 60s)") \
  X(fresh, 0, "fresh", NULL, FOR_SAVED, "begin anew, whatever checkpoint is there")

#define DECLARE(id, letter, name, arg, who, text) static bool take_##id(cli *, const char *value);
OPTIONS(DECLARE)

typedef struct {
  char letter;
  const char *name, *arg;
  int who;
  const char *text;
  bool (*take)(cli *, const char *value);
} option;

#define ROW(id, letter, name, arg, who, text) { letter, name, arg, who, text, take_##id },
static const option rows[] = { OPTIONS(ROW) };
enum { NROWS = sizeof rows / sizeof rows[0] };

static const struct {
  const char *name;
  cli_command command;
  const char *use, *text;
} commands[] = {
  { "infer", CMD_INFER, "infer FILE", "infer a model of FILE and print its posterior" },
  { "train", CMD_TRAIN, "train FILE --out NET", "learn a net from a model of FILE, for amortized(NET)" },
  { "train", CMD_TRAIN, "train --text FILE --out OUT", "learn a language model from a text, for llm(\"builtin:OUT\")" },
  { "check", CMD_CHECK, "check FILE...", "names, arity, types, effects: all errors at once" },
  { "explain", CMD_EXPLAIN, "explain FILE", "how a model of FILE will be run: engine, gradient, by line" },
  { "dis", CMD_DIS, "dis FILE", "the bytecode of FILE" },
  { "doc", CMD_DOC, "doc NAME", "what a function, distribution or engine does" },
  { "devices", CMD_DEVICES, "devices", "the GPUs of this machine, and what can't be used and why" },
};
enum { NCOMMANDS = sizeof commands / sizeof commands[0] };

void options_help(FILE *f)
{
  char left[64];
  fputs("norn: a language for probabilistic programs\n\nUsage:\n"
        "  norn [OPTIONS]                   the REPL (:help inside)\n"
        "  norn [OPTIONS] FILE [ARGS]       run a program (-: standard input); ARGS: its `args`\n"
        "  norn [OPTIONS] -e EXPR [ARGS]    evaluate and print an expression\n", f);
  for (int i = 0; i < NCOMMANDS; i++)
    fprintf(f, "  norn %-28s%s\n", commands[i].use, commands[i].text);
  for (int who = FOR_ALL; who <= FOR_SAVED; who++) {
    fputs(who == FOR_ALL     ? "\nOptions:\n"
          : who == FOR_MODEL ? "\nOptions of norn infer, norn train and norn explain:\n"
          : who == FOR_INFER ? "\nOptions of norn infer:\n"
          : who == FOR_TRAIN ? "\nOptions of norn train:\n"
          : who == FOR_WORK  ? "\nOptions of norn infer and norn train:\n"
                             : "\nOptions of norn FILE, norn infer and norn train:\n", f);
    for (int i = 0; i < NROWS; i++) {
      const option *o = &rows[i];
      if (o->who != who) continue;
      int n = o->letter ? snprintf(left, sizeof left, "-%c, --%s", o->letter, o->name)
                        : snprintf(left, sizeof left, "    --%s", o->name);
      if (o->arg) snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg);
      fprintf(f, "  %-26s %s\n", left, o->text);
    }
  }
  fputs("      --OPTION VALUE         any option of the engine or the kind, such as --particles 1000\n"
        "\nExit status: 0 fine, 1 error in the program or inference, 2 wrong use, 130 interrupt.\n"
        "More: man norn, man 7 norn.\n", f);
}

/* ---- numbers with units ---- */

bool options_count(const char *text, uint64_t *out)
{
  char *end;
  errno = 0;
  double d = strtod(text, &end);
  if (end == text || *end || !(d >= 0 && d < 18e18) || d != floor(d)) return false;
  if (strspn(text, "0123456789") == strlen(text)) {
    *out = strtoull(text, &end, 10);
    return errno == 0;
  }
  *out = (uint64_t)d;
  return true;
}

bool options_bytes(const char *text, size_t *out)
{
  char *end;
  double d = strtod(text, &end);
  static const char units[] = "KMGT";
  if (end == text) return false;
  if (*end) {
    const char *u = strchr(units, toupper((unsigned char)*end));
    if (!u) return false;
    d = ldexp(d, 10 * (int)(u - units + 1));
    end++;
    if (*end == 'i') end++;
    if (*end == 'B') end++;
  }
  if (*end || !(d >= 1 && d < 9e18)) return false;
  *out = (size_t)d;
  return true;
}

bool options_seconds(const char *text, double *out)
{
  char *end;
  double d = strtod(text, &end);
  if (end == text || !(d > 0 && d < 1e9)) return false;
  if (strcmp(end, "ms") == 0) d /= 1000;
  else if (strcmp(end, "m") == 0 || strcmp(end, "min") == 0) d *= 60;
  else if (strcmp(end, "h") == 0) d *= 3600;
  else if (*end && strcmp(end, "s") != 0) return false;
  *out = d;
  return true;
}

/* ---- what each option does ---- */

/* Appends to an array of texts. */
static bool add(cli *c, const char ***list, int *n, const char *value)
{
  const char **more = realloc(*list, ((size_t)*n + 1) * sizeof **list);
  if (!more) {
    cli_complain(c, "out of memory");
    return false;
  }
  *list = more;
  more[(*n)++] = value;
  return true;
}

static bool wrong(cli *c, const char *name, const char *want, const char *got)
{
  cli_complain(c, "--%s takes %s, got '%s'", name, want, got);
  return false;
}

static bool take_eval(cli *c, const char *v) { return add(c, &c->evals, &c->nevals, v); }
static bool take_load(cli *c, const char *v) { return add(c, &c->plugins, &c->nplugins, v); }
static bool take_data(cli *c, const char *v) { return add(c, &c->data, &c->ndata, v); }
static bool take_model(cli *c, const char *v) { c->model = v; return true; }
static bool take_engine(cli *c, const char *v) { c->engine = v; return true; }
static bool take_out(cli *c, const char *v) { c->out = v; return true; }
static bool take_format(cli *c, const char *v)
{
  c->formats = 0;
  for (const char *p = v; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
    size_t n = strcspn(p, ",");
    if (n == 3 && memcmp(p, "csv", 3) == 0) c->formats |= FORMAT_CSV;
    else if (n == 2 && memcmp(p, "nc", 2) == 0) c->formats |= FORMAT_NC;
    else if (n == 4 && memcmp(p, "json", 4) == 0) c->formats |= FORMAT_JSON;
    else return wrong(c, "format", "csv, nc, json, or several as in csv,nc", v);
  }
  return c->formats || wrong(c, "format", "csv, nc, json, or several as in csv,nc", v);
}
static bool take_predictive(cli *c, const char *v) { (void)v; return c->predictive = true; }
static bool take_quiet(cli *c, const char *v) { (void)v; return c->quiet = true; }
static bool take_no_jit(cli *c, const char *v)
{
  (void)v;
  return c->config.no_jit = true;
}

static bool take_no_gpu(cli *c, const char *v)
{
  (void)v;
  return c->config.no_gpu = true;
}

static bool take_safe(cli *c, const char *v)
{
  (void)v;
  return c->config.no_foreign = c->config.no_files = true;
}
static bool take_version(cli *c, const char *v) { (void)v; c->command = CMD_VERSION; return true; }
static bool take_help(cli *c, const char *v) { (void)v; c->command = CMD_HELP; return true; }

static bool take_seed(cli *c, const char *v)
{
  c->said_seed = true;
  return options_count(v, &c->config.seed) || wrong(c, "seed", "a number such as 1", v);
}

static bool take_memory(cli *c, const char *v)
{
  return options_bytes(v, &c->config.max_memory) ||
         wrong(c, "max-memory", "a size such as 500M or 2G", v);
}

static bool take_steps(cli *c, const char *v)
{
  return options_count(v, &c->config.max_steps) || wrong(c, "max-steps", "a number such as 1e9", v);
}

static bool take_time(cli *c, const char *v)
{
  return options_seconds(v, &c->config.max_seconds) ||
         wrong(c, "max-time", "a time such as 30, 2m or 1h", v);
}

static bool take_threads(cli *c, const char *v)
{
  uint64_t n;
  if (!options_count(v, &n) || n < 1 || n > 10000)
    return wrong(c, "threads", "a number from 1 to 10000", v);
  c->config.threads = (int)n;
  return true;
}

static bool take_chains(cli *c, const char *v)
{
  uint64_t n;
  if (!options_count(v, &n) || n < 1 || n > 10000)
    return wrong(c, "chains", "a number from 1 to 10000", v);
  c->chains = (int)n;
  return true;
}

static bool take_checkpoint(cli *c, const char *v)
{
  if (!*v) return wrong(c, "checkpoint", "the name of a file", v);
  c->checkpoint = v;
  return true;
}

static bool take_every(cli *c, const char *v)
{
  return options_seconds(v, &c->every) || wrong(c, "every", "a time such as 60s, 500ms or 5m", v);
}

static bool take_kind(cli *c, const char *v)
{
  c->kind = v;
  return c->said_kind = true;
}

static bool take_text(cli *c, const char *v) { c->text = v; return true; }
static bool take_resume(cli *c, const char *v) { (void)v; return c->resume = true; }

static bool take_seconds(cli *c, const char *v)
{
  return options_seconds(v, &c->seconds) || wrong(c, "seconds", "a time such as 90, 2m or 1h", v);
}

static bool take_train_steps(cli *c, const char *v)
{
  return (options_count(v, &c->train_steps) && c->train_steps > 0 && c->train_steps < (uint64_t)1 << 40) ||
         wrong(c, "steps", "a number such as 3000", v);
}

static bool take_fresh(cli *c, const char *v) { (void)v; return c->fresh = true; }

/* ---- parsing ---- */

typedef struct { cli *c; char **argv; int at, argc; bool decided; } reader;

static const option *find_option(const char *name, size_t n, char letter)
{
  for (int i = 0; i < NROWS; i++)
    if (letter ? rows[i].letter == letter
               : strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
      return &rows[i];
  return NULL;
}

/* An option that is none of ours belongs to the engine or the kind of net: the command checks it against its list. */
static bool take_flag(reader *r, const char *name, size_t n, const char *value)
{
  cli *c = r->c;
  char *own = malloc(n + 1);
  cli_flag *more = realloc(c->flags, ((size_t)c->nflags + 1) * sizeof *more);
  if (more) c->flags = more;
  if (!own || !more) {
    free(own);
    cli_complain(c, "out of memory");
    return false;
  }
  for (size_t i = 0; i < n; i++) own[i] = name[i] == '-' ? '_' : name[i];
  own[n] = 0;
  more[c->nflags++] = (cli_flag){ own, value };
  return true;
}

/* May an option of that kind stand with this command? */
static bool fits(cli_command c, int who)
{
  switch (who) {
  case FOR_ALL: return true;
  case FOR_MODEL: return c == CMD_INFER || c == CMD_EXPLAIN || c == CMD_TRAIN;
  case FOR_INFER: return c == CMD_INFER;
  case FOR_TRAIN: return c == CMD_TRAIN;
  case FOR_WORK: return c == CMD_INFER || c == CMD_TRAIN;
  default: return c == CMD_INFER || c == CMD_TRAIN || c == CMD_RUN || c == CMD_REPL;   /* REPL: not known yet */
  }
}

const char *options_near(const cli *c, const char *name, const norn_engine *e)
{
  const char *best = NULL;
  char own[64];
  int least = (int)strlen(name) / 3 + 1;
  for (int i = 0; i < NROWS + (e ? e->noptions : 0); i++) {
    const char *at = i < NROWS ? rows[i].name : e->options[i - NROWS].name;
    if (i < NROWS && !fits(c->command, rows[i].who)) continue;
    snprintf(own, sizeof own, "%s", at);
    for (char *k = own; *k; k++) if (*k == '-') *k = '_';
    int d = cli_distance(name, own);
    if (d < least) best = at, least = d;
  }
  return best;
}

static bool take_long(reader *r, const char *word)
{
  cli *c = r->c;
  const char *name = word + 2, *equal = strchr(name, '=');
  size_t n = equal ? (size_t)(equal - name) : strlen(name);
  const option *o = find_option(name, n, 0);
  const char *value = equal ? equal + 1 : NULL;
  bool known = o && fits(c->command, o->who), flags = c->command == CMD_INFER || c->command == CMD_TRAIN;
  if (!known && !flags) {
    cli_complain(c, !o ? "no option --%.*s; see norn --help"
                 : o->who == FOR_TRAIN ? "--%.*s is an option of norn train" : "--%.*s is an option of norn infer",
                 (int)n, name);
    return false;
  }
  if (!value && (!known || o->arg)) {
    if (r->at >= r->argc) {
      cli_complain(c, "--%.*s needs a value%s%s", (int)n, name, known ? ": " : "",
                   known ? o->arg : "");
      return false;
    }
    value = r->argv[r->at++];
  } else if (known && !o->arg && value) {
    cli_complain(c, "--%.*s takes no value", (int)n, name);
    return false;
  }
  return known ? o->take(c, value) : take_flag(r, name, n, value);
}

static bool take_short(reader *r, const char *word)
{
  const option *o = find_option(NULL, 0, word[1]);
  const char *value = word[2] ? word + 2 : NULL;
  if (!o || (value && !o->arg)) {
    cli_complain(r->c, "no option %s; see norn --help", word);
    return false;
  }
  if (o->arg && !value) {
    if (r->at >= r->argc) {
      cli_complain(r->c, "-%c needs a value: %s", o->letter, o->arg);
      return false;
    }
    value = r->argv[r->at++];
  }
  return o->take(r->c, value);
}

/* The first word that is no option decides: a command's name, or the file to run. */
static bool take_word(reader *r, const char *word)
{
  cli *c = r->c;
  if (!r->decided && c->command == CMD_REPL) {
    r->decided = true;
    for (int i = 0; i < NCOMMANDS && c->nevals == 0; i++)
      if (strcmp(word, commands[i].name) == 0) {
        c->command = commands[i].command;
        return true;
      }
    c->command = c->nevals ? CMD_EVAL : CMD_RUN;
  }
  return add(c, &c->words, &c->nwords, word);
}

bool options_parse(cli *c, int argc, char **argv)
{
  reader r = { c, argv, 1, argc, false };
  bool options = true;
  while (r.at < argc) {
    const char *word = argv[r.at++];
    bool fine;
    if (options && c->command != CMD_RUN && c->command != CMD_EVAL && word[0] == '-' && word[1]) {
      if (strcmp(word, "--") == 0) options = !(fine = true);
      else fine = word[1] == '-' ? take_long(&r, word) : take_short(&r, word);
    } else {
      fine = take_word(&r, word);
    }
    if (!fine) return false;
  }
  if (c->nevals && c->command == CMD_REPL) c->command = CMD_EVAL;
  return true;
}

void options_free(cli *c)
{
  for (int i = 0; i < c->nflags; i++) free((char *)c->flags[i].name);
  free(c->flags);
  free(c->words);
  free(c->evals);
  free(c->plugins);
  free(c->data);
}
