/* mock_nvrtc.c: NVRTC's entry points: a text becomes a shared object by the C compiler ($CC, else cc).

   The text is preprocessed once to find its kernels (what __global__ stands before) and their parameters;
   for each a function is added that calls it with what the addresses of its arguments hold.  Messages of
   the compiler are turned into NVRTC's form, "name(line): error: ...", and behind them come lines such as
   ptxas writes. */
#include "mock.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef MOCK_FOLDER
#define MOCK_FOLDER "."              /* of mock_device.h; the build says where */
#endif
/* LONG: bytes of a text whose kernels run for less time than the compiler takes to make them quick (two thirds of its
   time; under sanitizers so is every text's). */
enum { HEADERS = 32, PATH = 400, LONG = 100000 };

typedef struct program {
  char *text, *name, *log, *code;
  size_t ncode;
  int n;
  char *header[HEADERS], *header_name[HEADERS];
  char dir[PATH];
  bool ptx;
} program;

/* ---- files ---- */

static char *file_in(const program *p, const char *name, char *path)
{
  snprintf(path, PATH + 80, "%s/%s", p->dir, name);
  return path;
}

static bool put_file(const program *p, const char *name, const char *a, const char *b, const char *c)
{
  char path[PATH + 80];
  FILE *f = fopen(file_in(p, name, path), "w");
  if (!f) return false;
  fprintf(f, "%s%s%s", a, b, c);
  return fclose(f) == 0;
}

static char *get_file(const program *p, const char *name, size_t *n)
{
  char path[PATH + 80];
  FILE *f = fopen(file_in(p, name, path), "rb");
  char *s = NULL;
  size_t cap = 0;
  *n = 0;
  if (!f) return NULL;
  do {
    if (*n + 4096 > cap) s = realloc(s, cap = 2 * cap + 8192);
    *n += fread(s + *n, 1, cap - *n - 1, f);
  } while (!feof(f) && !ferror(f));
  fclose(f);
  s[*n] = 0;
  return s;
}

static bool start_folder(program *p)
{
  const char *tmp = getenv("TMPDIR");
  snprintf(p->dir, sizeof p->dir, "%.300s/norn-mock-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  return mkdtemp(p->dir) != NULL;
}

static void remove_folder(program *p)
{
  static const char *const made[] = { "main.c", "calls.c", "all.c", "log", "main.i", "code.so" };
  char path[PATH + 80];
  if (!p->dir[0]) return;
  for (size_t k = 0; k < sizeof made / sizeof *made; k++) unlink(file_in(p, made[k], path));
  for (int k = 0; k < p->n; k++) unlink(file_in(p, p->header_name[k], path));
  rmdir(p->dir);
  p->dir[0] = 0;
}

/* ---- the compiler ---- */

/* What makes the compiler tell of accesses to memory (mock_race.c), where no other sanitizer wants to: in the words of
   clang, which gcc refuses at once, then of gcc, of which clang overlooks one. */
static const char *const watched[] = {
  "-DNORN_MOCK_RACES -g1 -fsanitize=thread -mllvm -tsan-distinguish-volatile=1 -nodefaultlibs -lm -lc",
  "-DNORN_MOCK_RACES -g1 -fsanitize=thread --param=tsan-distinguish-volatile=1 -nodefaultlibs -lm -lc -lgcc"
};

static int run_cc(program *p, const char *more)
{
  static char command[4000];
  const char *cc = getenv("CC"), *flags = getenv("NORN_MOCK_CFLAGS");
  const bool quick = strlen(p->text) < LONG && !(flags && strstr(flags, "-fsanitize"));
  snprintf(command, sizeof command,
           "%s -std=gnu11 -I'%s' -I'%s' -w -Werror=implicit-function-declaration -Werror=int-conversion "
           "-Werror=incompatible-pointer-types %s -ffp-contract=off -fno-math-errno -fno-strict-aliasing %s %s 2>'%s/log'",
           cc && *cc ? cc : "cc", MOCK_FOLDER, p->dir, quick ? "-O1" : "-O0", flags ? flags : "", more, p->dir);
  return system(command);
}

/* "DIR/main.c" and what is before the text's name in messages goes; "name:3:5: error: x" becomes
   "name(3): error: x". */
static char *nvrtc_form(program *p, char *log)
{
  size_t n = strlen(log);
  char *out = calloc(1, 2 * n + 100), *to = out;
  for (char *line = log; *line;) {
    size_t len = strcspn(line, "\n"), name = strlen(p->name);
    int at = 0, column = 0, used = 0;
    if (!strncmp(line, p->name, name) && sscanf(line + name, ":%d:%d:%n", &at, &column, &used) == 2 && used)
      to += sprintf(to, "%s(%d):%.*s\n", p->name, at, (int)(len - name - (size_t)used), line + name + used);
    else to += sprintf(to, "%.*s\n", (int)len, line);
    line += len + (line[len] == '\n');
  }
  return out;
}

/* ---- kernels and their parameters ---- */

/* A parameter without its name is its type. */
static size_t type_length(const char *s, size_t n)
{
  while (n && isspace((unsigned char)s[n - 1])) n--;
  while (n && (isalnum((unsigned char)s[n - 1]) || s[n - 1] == '_')) n--;
  return n;
}

static void write_call(FILE *f, const char *name, size_t n, const char *s)
{
  int k = 0, depth = 0;
  fprintf(f, "__attribute__((visibility(\"default\"))) void norn_call_%.*s(void **a)\n{\n  (void)a;\n  %.*s(", (int)n,
          name, (int)n, name);
  for (const char *from = s;; s++) {
    if (*s == '(') depth++;
    if (*s == ')' && depth > 0) {
      depth--;
      continue;
    }
    if (depth || (*s && *s != ',' && *s != ')')) continue;
    size_t type = type_length(from, (size_t)(s - from));
    while (type && isspace((unsigned char)*from)) {
      from++;
      type--;
    }
    if (type) fprintf(f, "%s*(%.*s *)a[%d]", k ? ", " : "", (int)type, from, k);
    k++;
    from = s + 1;
    if (*s != ',') break;
  }
  fprintf(f, ");\n}\n");
}

/* All that is NORN_MOCK_GLOBAL void NAME(...); also the text that a real ptxas would say. */
static bool write_calls(program *p, char *log, size_t size)
{
  size_t n, at = 0;
  char path[PATH + 80], *s = get_file(p, "main.i", &n);
  FILE *f = fopen(file_in(p, "calls.c", path), "w");
  if (!s || !f) return false;
  for (char *q = s; (q = strstr(q, "NORN_MOCK_GLOBAL"));) {
    q += strlen("NORN_MOCK_GLOBAL");
    q += strspn(q, " \t\n");
    if (strncmp(q, "void", 4)) continue;
    q += 4 + strspn(q + 4, " \t\n");
    size_t name = 0;
    while (isalnum((unsigned char)q[name]) || q[name] == '_') name++;
    char *open = q + name + strspn(q + name, " \t\n");
    char *close = *open == '(' ? open : NULL;
    int depth = 0;
    for (; close && *close; close++) {
      depth += (*close == '(') - (*close == ')');
      if (!depth) break;
    }
    if (!name || !close || close[1 + strspn(close + 1, " \t\n")] != '{') continue;     /* a declaration */
    write_call(f, q, name, open + 1);
    at += (size_t)snprintf(log + at, size - at, "ptxas info    : Compiling entry function '%.*s' for 'mock'\n"
                           "ptxas info    : Function properties for %.*s\n"
                           "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
                           "ptxas info    : Used 32 registers, 360 bytes cmem[0]\n", (int)name, q, (int)name, q);
    if (at + 600 > size) break;
  }
  free(s);
  return fclose(f) == 0;
}

static const char after[] =
  "\n#line 1 \"calls\"\n"
  "#include \"calls.c\"\n"
  "extern char __start_norn_shared[] __attribute__((weak)), __stop_norn_shared[] __attribute__((weak));\n"
  "extern const char __ehdr_start __attribute__((visibility(\"hidden\")));\n"
  "__attribute__((visibility(\"default\"), no_sanitize(\"thread\"))) void norn_bind(struct norn_rt *rt)\n"
  "{\n"
  "  norn_rt = rt;\n"
  "  rt->block_start = __start_norn_shared;\n"
  "  rt->block_end = __stop_norn_shared;\n"
  "  rt->base = &__ehdr_start;\n"
  "}\n";

static int make_object(program *p)
{
  char more[1600];
  const char *flags = getenv("NORN_MOCK_CFLAGS");
  bool plain = (flags && strstr(flags, "-fsanitize")) || !mock_order("races", 1);
  int bad = 1;
  for (int k = plain ? 2 : 0; k < 3 && bad; k++) {
    snprintf(more, sizeof more, "-DNORN_MOCK_GLOBAL= -shared -fPIC -fvisibility=hidden -o '%s/code.so' '%s/all.c' %s",
             p->dir, p->dir, k < 2 ? watched[k] : "-lm");
    bad = run_cc(p, more);
  }
  return bad;
}

static int compile(program *p, const char *includes)
{
  static char before[2000], more[1600], said[200000];
  snprintf(before, sizeof before, "#include \"mock_device.h\"\n%s#line 1 \"%s\"\n", includes, p->name);
  for (int k = 0; k < p->n; k++) {
    bool empty = strspn(p->header[k], " \n") == strlen(p->header[k]);
    if (!empty && !put_file(p, p->header_name[k], p->header[k], "", "")) return 1;
  }
  if (!put_file(p, "main.c", before, p->text, "") || !put_file(p, "all.c", before, p->text, after)) return 1;
  snprintf(more, sizeof more, "-E -P -o '%s/main.i' '%s/main.c'", p->dir, p->dir);
  int bad = run_cc(p, more) || !write_calls(p, said, sizeof said);
  if (!bad) bad = make_object(p);
  size_t n;
  char *log = get_file(p, "log", &n);
  free(p->log);
  p->log = bad ? nvrtc_form(p, log ? log : "") : strdup(said);
  free(log);
  if (!bad) p->code = get_file(p, "code.so", &p->ncode);
  return bad || !p->code;
}

/* ---- the entry points ---- */

MOCK_SHOWN int nvrtcVersion(int *major, int *minor)
{
  *major = (int)mock_order("nvrtc", 13);
  *minor = 0;
  return 0;
}

MOCK_SHOWN int nvrtcGetNumSupportedArchs(int *n) { *n = 3; return 0; }
MOCK_SHOWN int nvrtcGetSupportedArchs(int *archs)
{
  archs[0] = 75;
  archs[1] = 80;
  archs[2] = 90;
  return 0;
}

MOCK_SHOWN int nvrtcDestroyProgram(void **program_p)
{
  program *p = *program_p;
  remove_folder(p);
  for (int k = 0; k < p->n; k++) {
    free(p->header[k]);
    free(p->header_name[k]);
  }
  free(p->text);
  free(p->name);
  free(p->log);
  free(p->code);
  free(p);
  *program_p = NULL;
  return 0;
}

MOCK_SHOWN int nvrtcCreateProgram(void **out, const char *text, const char *name, int n,
                                  const char *const *headers, const char *const *names)
{
  program *p = calloc(1, sizeof *p);
  if (!p || n > HEADERS) return 1;
  p->text = strdup(text);
  p->name = strdup(name);
  p->log = strdup("");
  for (p->n = 0; p->n < n; p->n++) {
    p->header[p->n] = strdup(headers[p->n]);
    p->header_name[p->n] = strdup(names[p->n]);
  }
  *out = p;
  return 0;
}

MOCK_SHOWN int nvrtcCompileProgram(void *program_p, int n, const char *const *options)
{
  program *p = program_p;
  char includes[1000] = "";
  size_t at = 0;
  for (int k = 0; k < n; k++) {
    if (!strncmp(options[k], "--pre-include=", 14))
      at += (size_t)snprintf(includes + at, sizeof includes - at, "#include \"%s\"\n", options[k] + 14);
    if (!strncmp(options[k], "--gpu-architecture=compute_", 27)) p->ptx = true;
  }
  if (mock_now("compile")) return 11;     /* NVRTC_ERROR_INTERNAL_ERROR */
  if (!start_folder(p)) return 2;
  int bad = compile(p, includes);
  remove_folder(p);
  return bad ? 6 : 0;                /* NVRTC_ERROR_COMPILATION */
}

MOCK_SHOWN int nvrtcGetProgramLogSize(void *p, size_t *n) { *n = strlen(((program *)p)->log) + 1; return 0; }
MOCK_SHOWN int nvrtcGetProgramLog(void *p, char *to) { strcpy(to, ((program *)p)->log); return 0; }
MOCK_SHOWN int nvrtcGetCUBINSize(void *p, size_t *n)
{
  *n = ((program *)p)->ptx ? 0 : ((program *)p)->ncode;
  return 0;
}
MOCK_SHOWN int nvrtcGetPTXSize(void *p, size_t *n) { *n = ((program *)p)->ncode; return 0; }
MOCK_SHOWN int nvrtcGetCUBIN(void *p, char *to) { memcpy(to, ((program *)p)->code, ((program *)p)->ncode); return 0; }
MOCK_SHOWN int nvrtcGetPTX(void *p, char *to) { return nvrtcGetCUBIN(p, to); }
