/* test_docs.c: every example of the documentation of builtins and of the standard library is run: "Example: PROGRAM", of
   one line or several, that is followed by a line "=> RESULT". */
#include "norn.h"
#include "unit.h"
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const modules[] = { "its", "lists", "maps", "sets", "stats", "strings",
                                       "tables" };

typedef struct { char *name[2000]; int n; } names;

static void collect(void *user, const char *name)
{
  names *all = user;
  if (all->n < 2000) all->name[all->n++] = strdup(name);
}

static void free_names(names *all)
{
  for (int k = 0; k < all->n; k++) free(all->name[k]);
}

/* The rest of the line after s as a new string. */
static char *line_after(const char *s)
{
  size_t n = strcspn(s, "\n");
  char *line = malloc(n + 1);
  if (!line) abort();
  memcpy(line, s, n);
  line[n] = 0;
  return line;
}

static void run_example(norn_state *st, const char *name, const char *program, const char *result)
{
  norn_datum v;
  unit.checks++;
  norn_clear(st);
  if (norn_eval(st, "example", program, strlen(program), NORN_LOAD_REPL, &v) != NORN_OK) {
    char text[1024];
    norn_error_text(st, norn_error(st), text, sizeof text);
    unit.failed++;
    fprintf(stderr, "%s: the example fails\n%s\n", name, text);
    return;
  }
  const char *got = norn_show(st, v, true, 0);
  if (strcmp(got, result) == 0) return;
  unit.failed++;
  fprintf(stderr, "%s: %s\n  gives %s\n  not   %s\n", name, program, got, result);
}

/* The program at s, as a new string, and where the result behind it begins; NULL: it has none, before the next example. */
static char *program_at(const char *s, const char **result)
{
  const char *end = strstr(s, "\n=> "), *next = strstr(s, "Example: ");
  if (!end || (next && next < end)) return NULL;
  *result = end + strlen("\n=> ");
  size_t n = (size_t)(end - s);
  char *program = malloc(n + 1);
  if (!program) abort();
  memcpy(program, s, n);
  program[n] = 0;
  return program;
}

/* Runs the examples in a documentation text; how many there are. */
static int run_examples(norn_state *st, const char *name, const char *doc)
{
  int count = 0;
  char *copy = strdup(doc);   /* the text belongs to the state until it is asked again */
  for (const char *at = copy; (at = strstr(at, "Example: ")) != NULL;) {
    const char *behind;
    char *program = program_at(at += strlen("Example: "), &behind);
    if (!program) continue;
    char *result = line_after(behind);
    run_example(st, name, program, result);
    free(result);
    free(program);
    at = behind;
    count++;
  }
  free(copy);
  return count;
}

static int run_all(norn_state *st, const char *prefix)
{
  names all = { .n = 0 };
  int count = 0;
  norn_complete(st, prefix, collect, &all);
  for (int k = 0; k < all.n; k++) {
    char full[256];
    const char *dot = strrchr(all.name[k], '.'), *last = dot ? dot + 1 : all.name[k];
    if (*prefix && (*last == '_' || strcmp(all.name[k], "sets.maps") == 0 ||
                    strcmp(all.name[k], "tables.strings") == 0 || strcmp(all.name[k], "its.strings") == 0)) continue;
    bool whole = strncmp(all.name[k], prefix, strlen(prefix)) == 0;
    snprintf(full, sizeof full, "%s%s", whole ? "" : prefix, all.name[k]);
    const char *doc = norn_doc(st, full);
    int more = doc ? run_examples(st, full, doc) : 0;
    count += more;
    if (!more && getenv("NORN_UNTESTED_DOCS")) printf("%s has no example with a result\n", full);
    if (!more && *prefix) unit_check(0, full, "a name of a module without an example", 0);
  }
  free_names(&all);
  return count;
}

/* Examples may write files: in a folder of their own. */
static void leave(const char *folder)
{
  char path[512];
  DIR *d = opendir(".");
  for (struct dirent *e; d && (e = readdir(d)) != NULL;)
    if (e->d_name[0] != '.') unlink(e->d_name);
  if (d) closedir(d);
  snprintf(path, sizeof path, "%s", folder);
  if (chdir("/") == 0) rmdir(path);
}

static void no_output(void *user, const char *s, size_t n)
{
  (void)user;
  (void)s;
  (void)n;
}

int main(void)
{
  char folder[] = "/tmp/norn-docs-XXXXXX";
  if (!mkdtemp(folder) || chdir(folder)) return 99;
  norn_config config = norn_config_default();
  config.quiet = true;
  config.output = no_output;
  norn_state *st = norn_new(&config);
  if (!st) return 1;
  int count = run_all(st, "");
  unit_check(count > 150, "the global names have more than 150 examples", __FILE__, __LINE__);
  for (size_t k = 0; k < sizeof modules / sizeof modules[0]; k++) {
    char text[64];
    norn_datum v;
    snprintf(text, sizeof text, "import %s", modules[k]);
    unit_check(norn_eval(st, "import", text, strlen(text), NORN_LOAD_REPL, &v) == NORN_OK, text,
               __FILE__, __LINE__);
    snprintf(text, sizeof text, "%s.", modules[k]);
    count = run_all(st, text);
    unit_check(count > 7, text, __FILE__, __LINE__);
  }
  norn_free(st);
  leave(folder);
  return unit_end();
}
