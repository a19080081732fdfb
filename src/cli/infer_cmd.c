/* norn infer: a model in a file, data in another, an engine by name; no script needed.

   FILE is loaded as in a session, the data's fields become the model's arguments by name, the model
   is called (which runs nothing: it gives the model value), and the engine infers.  What is a
   parameter and what is an engine's option is known from the state, not guessed. */
#include "cli.h"
#include "model.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  cli *c;
  signature sig;
  norn_ref **data, *model, *engine;    /* data: one record a file */
  draws *table;        /* of runs that will be compared, or NULL */
  outdir *dir;         /* --out, or NULL */
  char *program; /* the text of FILE */
  bool uncalled; /* a model without parameters is left as it is */
  int64_t length[SIGNATURE_MAX];       /* of the arguments that are arrays; else -1 */
} job;

/* ---- the model ---- */

/* The model that --model names, or the only one in the file. */
static int choose_model(job *j, const name_list *before)
{
  cli *c = j->c;
  name_list found = { NULL, 0 };
  int code = EXIT_USAGE;
  models_list(c->st, before, &found);
  if (c->model) {
    if (signature_read(c->st, c->model, &j->sig)) code = EXIT_FINE;
    else cli_complain(c, "%s has no model %s", c->words[0], c->model);
  } else if (found.n == 1) {
    code = signature_read(c->st, found.names[0], &j->sig) ? EXIT_FINE : EXIT_USAGE;
  } else if (found.n == 0) {
    cli_complain(c, "%s defines no model", c->words[0]);
  } else {
    cli_complain(c, "%s has several models: choose one with --model", c->words[0]);
  }
  for (int i = 0; code != EXIT_FINE && i < found.n; i++)
    fprintf(stderr, "  --model %s\n", found.names[i]);
  names_free(&found);
  return code;
}

/* ---- the data ---- */

static bool ends_in(const char *s, const char *end)
{
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

/* A file as a record, its fields or columns, through the reader that programs use. */
static norn_status read_data(job *j, const char *path, norn_datum *out)
{
  cli *c = j->c;
  const char *reader = ends_in(path, ".csv") || ends_in(path, ".tsv") ? "read_csv" : "read_json";
  char *text = NULL;
  size_t n;
  FILE *f = open_memstream(&text, &n);
  if (!f) return NORN_EMEMORY;
  fprintf(f, "%s(\"", reader);
  for (const char *p = path; *p; p++) fprintf(f, strchr("\\\"{}", *p) ? "\\%c" : "%c", *p);
  fputs("\")", f);
  fclose(f);
  norn_status s = cli_eval_whole(c, "--data", text, n, NORN_LOAD_REPL, out);
  free(text);
  if (s == NORN_OK && norn_record_size(*out) < 0) {
    char what[128];
    cli_complain(c, "%s should hold an object with the model's parameters, but holds %s", path,
                 norn_describe(c->st, *out, what, sizeof what));
    s = NORN_ETYPE;
  }
  return s;
}

/* ---- mistakes in the data, at the model that wants others ---- */

static bool is_word(char ch)
{
  unsigned char u = (unsigned char)ch;
  return isalnum(u) || u == '_' || u >= 128;
}

/* Where the program says `model NAME(`, or the parameter `param` of it (NULL: the name); NULL: it
   is not to be found, for the model is imported, say. */
static const char *find_param(const job *j, const char *param, size_t *len)
{
  const char *text = j->program, *p = text;
  size_t n = strlen(j->sig.name), m = param ? strlen(param) : 0;
  while (p && (p = strstr(p, "model")) != NULL) {
    const char *q = p + 5 + strspn(p + 5, " \t");
    bool here = q > p + 5 && (p == text || !is_word(p[-1])) && strncmp(q, j->sig.name, n) == 0 &&
                !is_word(q[n]);
    p += 5;
    if (!here) continue;
    *len = n;
    if (!param) return q;
    for (const char *r = q + n; *r && *r != ')' && *r != '{'; r++)
      if (!is_word(r[-1]) && strncmp(r, param, m) == 0 && !is_word(r[m])) return *len = m, r;
    *len = n;
    return q;
  }
  return NULL;
}

/* A mistake, or a note about one, with the line of the model's parameter, as the library prints
   those of programs. */
static void complain_at(job *j, const char *kind, const char *param, const char *message)
{
  cli *c = j->c;
  size_t len = 0, line = 1;
  const char *at = find_param(j, param, &len), *start = j->program;
  if (!at) {
    cli_complain(c, "%s", message);
    return;
  }
  for (const char *p = j->program; p < at; p++)
    if (*p == '\n') {
      line++;
      start = p + 1;
    }
  progress_wipe(c);
  fflush(stdout);
  fprintf(stderr, "%s:%zu:%zu: %s: %s\n", c->words[0], line, (size_t)(at - start) + 1, kind,
          message);
  int shown = fprintf(stderr, "%2zu | ", line);
  fprintf(stderr, "%.*s\n", (int)strcspn(start, "\n"), start);
  fprintf(stderr, "%*s|", shown > 2 ? shown - 2 : 0, "");
  fprintf(stderr, " %*s", (int)(at - start), "");
  for (size_t k = 0; k < len; k++) fputc('^', stderr);
  fputc('\n', stderr);
}

/* Puts a file's fields into the arguments by name; false: a repeated one. */
static bool take_fields(job *j, const char *path, norn_datum record, norn_datum *args)
{
  bool fine = true;
  for (int i = 0; i < norn_record_size(record); i++) {
    norn_datum v;
    const char *name = norn_record_at(j->c->st, record, i, &v);
    int k = signature_find(&j->sig, name);
    if (k < 0) continue;
    if (norn_is_none(args[k])) {
      args[k] = v;
      continue;
    }
    cli_complain(j->c, "%s gives %s again", path, name);
    fine = false;
  }
  return fine;
}

/* The parameter that has no value and could be meant by a field that is none. */
static const char *meant_by(const job *j, const char *field, const norn_datum *args)
{
  const char *best = NULL;
  int least = (int)strlen(field) / 3 + 2;
  for (int i = 0; i < j->sig.n; i++) {
    int d = norn_is_none(args[i]) ? cli_distance(field, j->sig.params[i].name) : least;
    if (d < least) best = j->sig.params[i].name, least = d;
  }
  return best;
}

/* Files have fields that a model does not use: those are told, once.  Where one could be a parameter that got no value, it
   is a mistake; false: there was one. */
static bool nothing_misspelled(job *j, const char *path, norn_datum record, const norn_datum *args)
{
  char message[1024], unused[512] = "";
  size_t n = 0;
  bool fine = true;
  for (int i = 0; i < norn_record_size(record); i++) {
    norn_datum v;
    const char *name = norn_record_at(j->c->st, record, i, &v), *meant;
    if (signature_find(&j->sig, name) >= 0) continue;
    if ((meant = meant_by(j, name, args))) {
      snprintf(message, sizeof message, "%s has %s, which is no parameter of %s: is it %s?", path, name, j->sig.text, meant);
      complain_at(j, "error", meant, message);
      fine = false;
    } else if (n < sizeof unused) {
      n += (size_t)snprintf(unused + n, sizeof unused - n, "%s%s", n ? ", " : "", name);
    }
  }
  if (n && fine && !j->c->quiet)
    cli_complain(j->c, "%s does not use %s%s of %s", j->sig.name, unused, n < sizeof unused ? "" : " ...", path);
  return fine;
}

static bool nothing_missing(job *j, const norn_datum *args)
{
  bool fine = true;
  char message[1024];
  for (int i = 0; i < j->sig.n; i++)
    if (norn_is_none(args[i]) && !j->sig.params[i].optional) {
      snprintf(message, sizeof message, "%s needs %s, which %s", j->sig.text, j->sig.params[i].name,
               j->c->ndata == 0 ? "--data gives" : "the data do not have");
      complain_at(j, "error", j->sig.params[i].name, message);
      fine = false;
    }
  return fine;
}

/* An inference that failed may have been given arrays that do not fit together. */
static void note_lengths(job *j)
{
  char message[400];
  int first = -1;
  for (int i = 0; i < j->sig.n; i++) {
    if (j->length[i] < 0) continue;
    if (first < 0) first = i;
    if (j->length[i] == j->length[first]) continue;
    snprintf(message, sizeof message, "in the data %s has length %lld, and %s %lld",
             j->sig.params[first].name,
             (long long)j->length[first], j->sig.params[i].name, (long long)j->length[i]);
    complain_at(j, "note", j->sig.params[i].name, message);
  }
}

/* The files are read one after the other, and each reading may collect: records stand in refs. */
static int read_all_data(job *j)
{
  cli *c = j->c;
  norn_datum record;
  j->data = calloc((size_t)c->ndata + 1, sizeof *j->data);
  for (int i = 0; j->data && i < c->ndata; i++) {
    norn_config_of(c->st)->no_files = false;      /* --data names what may be read */
    norn_status s = read_data(j, c->data[i], &record);
    norn_config_of(c->st)->no_files = c->config.no_files;
    if (s != NORN_OK) return cli_exit_code(s);
    if (!(j->data[i] = norn_keep(c->st, record))) return EXIT_PROGRAM;
  }
  return j->data ? EXIT_FINE : EXIT_PROGRAM;
}

/* Calls the model on the data: j->model is the model value. */
static int make_model(job *j)
{
  cli *c = j->c;
  norn_datum args[SIGNATURE_MAX], v;
  int code = j->data ? EXIT_FINE : read_all_data(j);
  bool fine = true;
  if (code != EXIT_FINE) return code;
  for (int i = 0; i < SIGNATURE_MAX; i++) args[i] = norn_none();
  for (int i = 0; i < c->ndata; i++)
    if (!take_fields(j, c->data[i], norn_get(j->data[i]), args)) fine = false;
  for (int i = 0; i < c->ndata; i++)
    if (!nothing_misspelled(j, c->data[i], norn_get(j->data[i]), args)) fine = false;
  if (!nothing_missing(j, args) || !fine) return EXIT_PROGRAM;
  for (int i = 0; i < j->sig.n; i++)
    j->length[i] = norn_is_none(args[i]) ? -1 : norn_array_length(args[i]);
  norn_status s = NORN_OK;
  v = norn_global(c->st, j->sig.name);
  if (!j->uncalled || j->sig.n) s = norn_call(c->st, v, args, j->sig.n, &v);
  if (s == NORN_OK && !(j->model = norn_keep(c->st, v))) s = NORN_EMEMORY;
  if (s != NORN_OK) {
    cli_report(c, norn_error(c->st), false);
    note_lengths(j);
  }
  return cli_exit_code(s);
}

/* ---- the engine ---- */

static const norn_engine *find_engine(cli *c, const char *name, size_t n)
{
  for (int i = 0; cli_engine_at(c, i); i++) {
    const norn_engine *e = cli_engine_at(c, i);
    if (strlen(e->name) == n && memcmp(e->name, name, n) == 0) return e;
  }
  return NULL;
}

/* The engine whose name is near the n bytes at `name`, or NULL. */
static const char *nearest_engine(cli *c, const char *name, size_t n)
{
  char want[64];
  const char *best = NULL;
  int least = (int)n / 3 + 1;
  snprintf(want, sizeof want, "%.*s", (int)n, name);
  for (int i = 0; cli_engine_at(c, i); i++) {
    int d = cli_distance(want, cli_engine_at(c, i)->name);
    if (d < least) best = cli_engine_at(c, i)->name, least = d;
  }
  return best;
}

static const norn_option *find_option(const norn_engine *e, const char *name)
{
  for (int i = 0; i < e->noptions; i++)
    if (strcmp(e->options[i].name, name) == 0) return &e->options[i];
  return NULL;
}

static void list_options(cli *c, const norn_engine *e, const char *name)
{
  const char *near = options_near(c, name, e);
  if (near) {
    cli_complain(c, "%s has no option --%s; did you mean --%s?", e->name, name, near);
    return;
  }
  cli_complain(c, "%s has no option --%s; it has", e->name, name);
  for (int i = 0; i < e->noptions; i++) {
    const norn_option *o = &e->options[i];
    fprintf(stderr, "  --%-18s %s\n", o->name, o->doc ? o->doc : "");
  }
}

/* Flags as named arguments: ", particles = 1000".  A text option may stand without its quotes. */
static bool write_flags(cli *c, const norn_engine *e, FILE *f, bool comma)
{
  for (int i = 0; i < c->nflags; i++) {
    const cli_flag *flag = &c->flags[i];
    const norn_option *o = find_option(e, flag->name);
    if (!o) {
      list_options(c, e, flag->name);
      return false;
    }
    bool quote = o->fallback && o->fallback[0] == '"' && flag->value[0] != '"' &&
      strcmp(flag->value, "true") != 0 && strcmp(flag->value, "false") != 0;
    fprintf(f, quote ? "%s%s = \"%s\"" : "%s%s = %s", comma ? ", " : "", flag->name, flag->value);
    comma = true;
  }
  if (c->chains && find_option(e, "chains"))
    fprintf(f, "%schains = %d", comma ? ", " : "", c->chains);
  return true;
}

/* --engine taken apart: "smc" is bare, "smc(particles = 10)" a call, all else an expression that no
   flag can be added to. */
typedef struct { const norn_engine *e; size_t name, end; bool bare, call, empty; } engine_form;

static engine_form read_form(cli *c, const char *s)
{
  engine_form f = { NULL, 0, strlen(s), false, false, false };
  while (isalnum((unsigned char)s[f.name]) || s[f.name] == '_') f.name++;
  while (f.end > f.name && isspace((unsigned char)s[f.end - 1])) f.end--;
  const char *rest = s + f.name + strspn(s + f.name, " ");
  f.e = find_engine(c, s, f.name);
  f.bare = *rest == 0;
  f.call = *rest == '(' && s[f.end - 1] == ')';
  f.empty = f.call && rest[1 + strspn(rest + 1, " ")] == ')';
  return f;
}

static bool form_fits(cli *c, const engine_form *f)
{
  if (!f->e && (f->bare || c->nflags)) {
    const char *near = nearest_engine(c, c->engine, f->name);
    if (near) return cli_complain(c, "no engine %.*s; did you mean %s?", (int)f->name, c->engine, near), false;
    cli_complain(c, "no engine %.*s; there are", (int)f->name, c->engine);
    for (int i = 0; cli_engine_at(c, i); i++)
      fprintf(stderr, "  --engine %s\n", cli_engine_at(c, i)->name);
    return false;
  }
  if (c->nflags && !f->bare && !f->call) {
    cli_complain(c, "--%s can't be added to this --engine: write it inside", c->flags[0].name);
    return false;
  }
  return true;
}

/* --engine and the flags as one expression, malloc'ed; NULL: said why. */
static char *engine_text(cli *c)
{
  engine_form f = read_form(c, c->engine);
  char *text = NULL;
  size_t size;
  bool fine = true;
  if (!form_fits(c, &f)) return NULL;
  FILE *out = open_memstream(&text, &size);
  if (!out) return NULL;
  if (f.bare) fprintf(out, "%.*s(", (int)f.name, c->engine);
  else fprintf(out, "%.*s", (int)(f.end - f.call), c->engine);
  if (f.e && (f.bare || f.call)) fine = write_flags(c, f.e, out, f.call && !f.empty);
  if (f.bare || f.call) fputc(')', out);
  fclose(out);
  if (fine) return text;
  free(text);
  return NULL;
}

static int make_engine(job *j)
{
  cli *c = j->c;
  norn_datum v;
  if (!c->engine) {
    const char *near = c->nflags ? options_near(c, c->flags[0].name, NULL) : NULL;
    if (near) cli_complain(c, "no option --%s; did you mean --%s?", c->flags[0].name, near);
    else if (c->nflags)
      cli_complain(c, "--%s is an option of an engine: say which by --engine", c->flags[0].name);
    j->engine = norn_keep(c->st, norn_unit());   /* infer's own rule chooses */
    return c->nflags ? EXIT_USAGE : j->engine ? EXIT_FINE : EXIT_PROGRAM;
  }
  char *text = engine_text(c);
  if (!text) return EXIT_USAGE;
  norn_status s = cli_eval_whole(c, "--engine", text, strlen(text), NORN_LOAD_REPL, &v);
  free(text);
  if (s != NORN_OK) return EXIT_USAGE;
  if (!norn_engine_view(v, NULL)) {
    char what[128];
    norn_describe(c->st, v, what, sizeof what);
    cli_complain(c, "--engine must be an engine, got %s", what);
    return EXIT_USAGE;
  }
  j->engine = norn_keep(c->st, v);
  return j->engine ? EXIT_FINE : EXIT_PROGRAM;
}

/* ---- inference and what it leaves ---- */

static void put_summary(job *j, const char *text)
{
  size_t n = strlen(text);
  norn_output(j->c->st, text, n);
  if (n == 0 || text[n - 1] != '\n') norn_output(j->c->st, "\n", 1);
  outdir_print(j->dir, text);
}

#define PROGRESS_EVERY .05      /* seconds between two looks */

static norn_status infer_save(void *inf, cli *c, const char *path)
{
  (void)c;
  return norn_infer_save(inf, path);
}

/* Goes on from the checkpoint, if there is one.  A file that is none of this inference is not written over. */
static norn_status infer_resume(cli *c, norn_infer *inf)
{
  norn_progress p;
  if (!checkpoint_is_there(c)) return NORN_OK;
  norn_status s = norn_infer_load(inf, c->checkpoint);
  if (s != NORN_OK) return s;
  norn_infer_progress(inf, &p);
  checkpoint_told(c, &p);
  return NORN_OK;
}

/* Steps an inference to its end; Ctrl-C is an error like others.  What was drawn until then is the
   result of either. */
static norn_status infer_steps(job *j, norn_infer *inf)
{
  cli *c = j->c;
  const norn_engine *e = norn_engine_view(norn_get(j->engine), NULL);
  double last = cli_now();
  norn_step s;
  do {
    s = norn_infer_step(inf);
    double now = cli_now();
    norn_status code = s == NORN_STEP_MORE && c->checkpoint ? checkpoint_pause(c, infer_save, inf) : NORN_OK;
    if (code != NORN_OK) return code;
    if (s != NORN_STEP_MORE || now - last < PROGRESS_EVERY) continue;
    norn_progress p;
    last = now;
    norn_infer_progress(inf, &p);
    progress_report(c, e ? e->name : "infer", &p);
    if (!c->checkpoint && interrupt_seen()) return norn_fail(c->st, NORN_EINTERRUPT, -1, "interrupted");
  } while (s == NORN_STEP_MORE);
  if (s == NORN_STEP_DONE) return NORN_OK;
  norn_status failed = norn_error(c->st)->code;
  return failed ? failed : norn_fail(c->st, NORN_EUSE, -1, "inference failed without an error");
}

/* What to do with a posterior: print it, save it, compare it. */
static norn_status infer_show(job *j, int chain, int of, norn_ref *post)
{
  cli *c = j->c;
  char title[64];
  norn_status s = NORN_OK;
  if (of > 1) {
    snprintf(title, sizeof title, "%schain %d of %d", chain > 1 ? "\n" : "", chain, of);
    put_summary(j, title);
  }
  const char *shown = norn_show(c->st, norn_get(post), false, 0);
  put_summary(j, shown ? shown : "");
  if (j->table) s = draws_add(j->table, chain, norn_get(post));
  if (s != NORN_OK) cli_complain(c, "out of memory for the draws");
  if (!outdir_save(j->dir, of > 1 ? chain : 0, norn_get(post))) s = NORN_EIO;
  return s;
}

static norn_status infer_once(job *j, int chain, int of)
{
  cli *c = j->c;
  norn_posterior p;
  if (interrupt_seen()) return NORN_EINTERRUPT;       /* while the program was read */
  outdir_keep(j->dir, of > 1 ? chain : 0);
  progress_start(c);
  norn_limits_start(c->st);
  norn_clear(c->st);
  interrupt_busy(true);
  norn_infer *inf = norn_infer_new(c->st, norn_get(j->model), norn_get(j->engine));
  norn_status s = inf ? infer_resume(c, inf) : norn_error(c->st)->code;
  checkpoint_begin(c);
  if (s == NORN_OK) s = infer_steps(j, inf);
  checkpoint_end(c, false);
  interrupt_busy(false);
  progress_wipe(c);
  if (s != NORN_OK) {
    cli_report(c, norn_error(c->st), false);
    if (s == NORN_EDOMAIN || s == NORN_ETYPE) note_lengths(j);
  }
  norn_datum post = inf ? norn_infer_result(inf) : norn_none();
  if (norn_is_none(post) && s == NORN_OK) {
    s = norn_error(c->st)->code;
    cli_report(c, norn_error(c->st), false);
  }
  norn_ref *kept = norn_is_none(post) ? NULL : norn_keep(c->st, post);
  norn_infer_free(inf);
  if (!kept) return s ? s : NORN_EMEMORY;
  if (s && norn_posterior_view(c->st, norn_get(kept), &p)) {
    cli_complain(c, "here is what was drawn so far: %lld draws", (long long)p.n);
    if (norn_array_length(norn_record_get(c->st, p.info, "chain_lengths")) > 1)
      cli_complain(c,
                   "the chains have unequal lengths: there is no R-hat, and ESS counts the draws "
                      "as if they were independent");
  }
  norn_status shown = infer_show(j, chain, of, kept);
  norn_drop(kept);
  if (s == NORN_OK && shown == NORN_OK) checkpoint_end(c, true);
  return s ? s : shown;
}

/* An engine with an option `chains` runs them itself; others run again with the next seed. */
static int infer_chains(job *j)
{
  cli *c = j->c;
  const norn_engine *e = norn_engine_view(norn_get(j->engine), NULL);
  int of = c->chains > 1 && !(e && find_option(e, "chains")) ? c->chains : 1;
  norn_status s = NORN_OK;
  if (of > 1 && c->checkpoint) {
    cli_complain(c, "--checkpoint is of one inference, and --chains %d makes several with this engine: run "
                 "them one by one, each with a --seed and a file of its own", c->chains);
    return EXIT_USAGE;
  }
  if (of > 1 && !(j->table = draws_new(c->st))) return EXIT_PROGRAM;
  for (int i = 1; s == NORN_OK && i <= of; i++) {
    if (i > 1) norn_seed(c->st, c->config.seed + (uint64_t)i - 1);
    s = infer_once(j, i, of);
  }
  if (s == NORN_OK && of > 1 && j->table) {
    char *text = draws_agreement(j->table);
    if (text) put_summary(j, text);
    free(text);
  }
  return cli_exit_code(s);
}

/* Loads the file, chooses the model and, with its engine if there is to be one, gives it its data.
   */
static int load_model(job *j, bool engine)
{
  cli *c = j->c;
  size_t n;
  name_list before = { NULL, 0 };
  int early = c->config.no_files ? read_all_data(j) : EXIT_FINE;   /* by nobody else's read_csv */
  j->program = early == EXIT_FINE ? cli_read(c, c->words[0], &n) : NULL;
  if (!j->program) return early == EXIT_FINE ? EXIT_PROGRAM : early;
  models_list(c->st, NULL, &before);
  norn_status s = cli_eval_whole(c, c->words[0], j->program, n, NORN_LOAD_REPL, NULL);
  int code = cli_exit_code(s);
  if (code == EXIT_FINE) code = choose_model(j, &before);
  names_free(&before);
  if (code == EXIT_FINE && engine) code = make_engine(j);
  return code == EXIT_FINE ? make_model(j) : code;
}

/* Everything that can be wrong before the work starts is said before it. */
static int infer_job(job *j)
{
  bool failed;
  j->dir = outdir_open(j->c, &failed);
  if (failed) return EXIT_PROGRAM;
  int code = load_model(j, true);
  if (code == EXIT_FINE && !outdir_begin(j->dir)) code = EXIT_PROGRAM;
  return code == EXIT_FINE ? infer_chains(j) : code;
}

static void job_free(job *j)
{
  draws_free(j->table);
  free(j->program);
  for (int i = 0; j->data && j->data[i]; i++) norn_drop(j->data[i]);
  free(j->data);
  if (j->model) norn_drop(j->model);
  if (j->engine) norn_drop(j->engine);
}

static int load_for(cli *c, bool uncalled, norn_ref **model)
{
  job j = { .c = c, .uncalled = uncalled };
  int code = load_model(&j, false);
  *model = j.model;
  j.model = NULL;
  job_free(&j);
  return code;
}

int infer_model(cli *c, norn_ref **model)
{
  return load_for(c, false, model);
}

int infer_subject(cli *c, norn_ref **model)
{
  return load_for(c, true, model);
}

int cli_engine_value(cli *c, norn_ref **engine)
{
  job j = { .c = c };
  int code = make_engine(&j);
  *engine = j.engine;
  return code;
}

int infer_main(cli *c)
{
  job j = { .c = c };
  if (!checkpoint_asked_well(c)) return EXIT_USAGE;
  if (c->nwords != 1) {
    cli_complain(c, "infer needs one file: norn infer FILE --data D.json --engine smc");
    return EXIT_USAGE;
  }
  int code = infer_job(&j);
  if (!outdir_close(j.dir) && code == EXIT_FINE) code = EXIT_PROGRAM;
  job_free(&j);
  return code;
}
