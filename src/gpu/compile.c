/* compile.c: a text to machine code, by NVRTC, which needs no device.

   ptxas is asked to say what each kernel takes (--ptxas-options=-v); its lines in the log become gpu_use.
   An error is the first of the log, with the line of the text and the place in the program of the last
   marker above it. */
#include "gpu/gpu_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was said ---------------------------------------------------------------------------- */

/* The line-th line of s (from 1), its length. */
static const char *line_of(const char *s, int line, size_t *n)
{
  for (int k = 1; k < line && s; k++) {
    s = strchr(s, '\n');
    if (s) s++;
  }
  if (s) s += strspn(s, " \t");
  *n = s ? strcspn(s, "\n") : 0;
  return s;
}

/* The last marker "at FILE:LINE:COL" in a comment, at or before that line; false: none. */
static bool marker_before(const char *s, int line, char *place, size_t size)
{
  static const char open[] = "/* at ";
  size_t n;
  const char *end = line_of(s, line, &n), *found = NULL;
  if (!end) return false;
  end += n;
  for (const char *p = s; (p = strstr(p, open)) && p < end; p++) found = p;
  if (!found) return false;
  found += sizeof open - 1;
  const char *close = strstr(found, " */");
  if (!close) return false;
  snprintf(place, size, "%.*s", (int)(close - found), found);
  return true;
}

/* "NAME(LINE): error: SENTENCE" is NVRTC's form.  Gives the sentence, and the line if it is of the text. */
static const char *first_error(const char *log, const char *name, int *line, size_t *n)
{
  *line = 0;
  const char *e = strstr(log, "error");
  if (!e) {
    *n = strcspn(log, "\n");
    return log;
  }
  const char *start = e;
  while (start > log && start[-1] != '\n') start--;
  size_t k = strlen(name);
  if (!strncmp(start, name, k) && start[k] == '(') *line = atoi(start + k + 1);
  const char *colon = strstr(e, ": ");
  if (colon) e = colon + 2;
  *n = strcspn(e, "\n");
  return e;
}

static norn_status compile_error(norn_state *st, const gpu_text *t, const char *log)
{
  char place[160];
  int line;
  size_t n, m;
  const char *what = first_error(log, t->name, &line, &n);
  if (n > 160) n = 160;
  const char *at = line > 0 ? line_of(t->text, line, &m) : NULL;
  if (!at)
    return norn_fail(st, NORN_EINFER, -1, "the generated code of %s can't be compiled for the GPU: %.*s", t->name,
                     (int)n, what);
  norn_fail(st, NORN_EINFER, -1, "the generated code of %s can't be compiled for the GPU: %.*s: its line %d, `%.*s`",
            t->name, (int)n, what, line, (int)(m < 120 ? m : 120), at);
  if (marker_before(t->text, line, place, sizeof place)) norn_hint(st, "that line is of %s", place);
  return NORN_EINFER;
}

/* ---- what ptxas says -------------------------------------------------------------------------- */

static gpu_use *use_named(norn_state *st, gpu_code *c, const char *name, size_t n)
{
  for (int k = 0; k < c->nuse; k++)
    if (strlen(c->use[k].name) == n && !memcmp(c->use[k].name, name, n)) return &c->use[k];
  if ((size_t)c->nuse == c->cuse) {
    size_t cap = c->cuse ? 2 * c->cuse : 8;
    gpu_use *more = norn_alloc(st, c->use, c->cuse * sizeof *more, cap * sizeof *more);
    if (!more) return NULL;
    c->use = more;
    c->cuse = cap;
  }
  gpu_use *u = &c->use[c->nuse++];
  *u = (gpu_use){ .registers = -1, .spill_stores = -1, .spill_loads = -1 };
  snprintf(u->name, sizeof u->name, "%.*s", (int)n, name);
  return u;
}

/* The number before a word of a line; `otherwise` where it is not. */
static int number_before(const char *line, const char *word, int otherwise)
{
  const char *s = strstr(line, word), *end = line + strcspn(line, "\n");
  if (!s || s > end) return otherwise;
  while (s > line && s[-1] >= '0' && s[-1] <= '9') s--;
  return atoi(s);
}

static void read_stack(const char *line, gpu_use *u)
{
  u->local = number_before(line, " bytes stack frame", u->local);
  u->spill_stores = number_before(line, " bytes spill stores", u->spill_stores);
  u->spill_loads = number_before(line, " bytes spill loads", u->spill_loads);
}

static void read_used(const char *line, gpu_use *u)
{
  u->registers = number_before(line, " registers", u->registers);
  u->shared = number_before(line, " bytes smem", u->shared);
}

/* The lines of ptxas -v: "Compiling entry function 'f' for", then of it "N bytes stack frame ..." and
   "Used N registers ...".  false: no memory. */
static bool read_uses(norn_state *st, const char *log, gpu_code *c)
{
  static const char entry[] = "Compiling entry function '";
  gpu_use *u = NULL;
  bool mine = false;                 /* properties may be those of a function that is called */
  for (const char *line = log; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    const char *end = line + strcspn(line, "\n"), *p = strstr(line, entry), *f;
    if (p && p < end) {
      p += sizeof entry - 1;
      if (!(u = use_named(st, c, p, strcspn(p, "'\n")))) return false;
    }
    f = strstr(line, "Function properties for ");
    if (f && f < end) {
      f += strlen("Function properties for ");
      mine = u && !strncmp(f, u->name, strlen(u->name));
    }
    if (u && mine && strstr(line, "bytes stack frame") && strstr(line, "bytes stack frame") < end) read_stack(line, u);
    if (u && strstr(line, "Used ") && strstr(line, "Used ") < end) read_used(line, u);
  }
  return true;
}

/* ---- compiling -------------------------------------------------------------------------------- */

void gpu_code_free(norn_state *st, gpu_code *c)
{
  norn_alloc(st, c->bytes, c->room, 0);
  norn_alloc(st, c->use, c->cuse * sizeof *c->use, 0);
  *c = (gpu_code){ 0 };
}

/* The log: to be given back with *room.  NULL: no memory. */
static char *log_of(norn_state *st, const nvrtc_api *rt, void *program, size_t *room)
{
  size_t n = 0;
  if (rt->log_size(program, &n)) n = 0;
  char *s = norn_alloc(st, NULL, 0, *room = n + 1);
  if (!s) return NULL;
  if (n && rt->log(program, s)) n = 0;
  s[n] = 0;
  return s;
}

static norn_status take_code(norn_state *st, const nvrtc_api *rt, void *program, bool ptx, gpu_code *c)
{
  size_t n = 0;
  if (rt->ptx_size(program, &c->ptx)) c->ptx = 0;
  int code = ptx ? rt->ptx_size(program, &n) : rt->cubin_size(program, &n);
  if (code || !n) return norn_fail(st, NORN_EINFER, -1, "NVRTC made no code (%d)", code);
  if (!(c->bytes = norn_alloc(st, NULL, 0, n)))
    return norn_fail(st, NORN_EMEMORY, -1, "not enough memory for code of the GPU");
  c->n = c->room = n;
  code = ptx ? rt->ptx(program, c->bytes) : rt->cubin(program, c->bytes);
  return code ? norn_fail(st, NORN_EINFER, -1, "NVRTC made no code (%d)", code) : NORN_OK;
}

static int options_of(const gpu_text *t, const char *arch_option, bool ptx, const char **o)
{
  int n = 0;
  o[n++] = arch_option;
  o[n++] = "--std=c++17";
  o[n++] = "--device-as-default-execution-space";
  o[n++] = "--pre-include=norn_prelude.h";
  if (t->prologue) o[n++] = "--pre-include=norn_prologue.h";
  o[n++] = t->flags & GPU_FMA ? "--fmad=true" : "--fmad=false";
  if (t->flags & GPU_FAST) {
    o[n++] = "--ftz=true";
    o[n++] = "--prec-div=false";
    o[n++] = "--prec-sqrt=false";
  }
  if (!ptx) o[n++] = "--ptxas-options=-v";
  return n;
}

static norn_status compile(norn_state *st, const nvrtc_api *rt, void *program, const gpu_text *t, const char *arch,
                           gpu_code *c)
{
  char arch_option[60];
  const char *o[16];
  bool ptx = !strncmp(arch, "compute_", 8);
  size_t room = 0;
  snprintf(arch_option, sizeof arch_option, "--gpu-architecture=%s", arch);
  int code = rt->compile(program, options_of(t, arch_option, ptx, o), o);
  char *log = log_of(st, rt, program, &room);
  norn_status s = NORN_OK;
  if (!log) s = norn_fail(st, NORN_EMEMORY, -1, "not enough memory for what NVRTC says");
  else if (code) s = compile_error(st, t, log);
  else if (!ptx && !read_uses(st, log, c)) s = norn_fail(st, NORN_EMEMORY, -1, "not enough memory for code of the GPU");
  if (s == NORN_OK) s = take_code(st, rt, program, ptx, c);
  norn_alloc(st, log, room, 0);
  return s;
}

norn_status gpu_compile_by(norn_state *st, const nvrtc_api *rt, const gpu_text *t, const char *arch, gpu_code *c)
{
  enum { MOST = 20 };
  const char *source_of[MOST], *names[MOST];
  int n = 0;
  void *program = NULL;
  *c = (gpu_code){ 0 };
  for (; n < gpu_nheaders; n++) {
    names[n] = gpu_headers[n];
    source_of[n] = "\n";
  }
  names[n] = "norn_prelude.h";
  source_of[n++] = gpu_prelude();
  if (t->prologue) {
    names[n] = "norn_prologue.h";
    source_of[n++] = t->prologue;
  }
  int code = rt->create(&program, t->text, t->name, n, source_of, names);
  if (code) return norn_fail(st, NORN_EINFER, -1, "NVRTC does not take %s (%d)", t->name, code);
  norn_status s = compile(st, rt, program, t, arch, c);
  rt->destroy(&program);
  if (s != NORN_OK) gpu_code_free(st, c);
  return s;
}

norn_status gpu_compile(norn_state *st, const gpu_text *t, const char *arch, gpu_code *c)
{
  char why[240];
  nvrtc_api rt;
  *c = (gpu_code){ 0 };
  gpu_dump(t);
  if (!nvrtc_open(&rt, 0, why, sizeof why))
    return norn_fail(st, NORN_EIO, -1, "there is no NVRTC to compile for a GPU with: %s", why);
  norn_status s = gpu_compile_by(st, &rt, t, arch, c);
  nvrtc_close(&rt);
  return s;
}

/* ---- what was compiled ------------------------------------------------------------------------ */

/* DIR/NAME-HASH.cu: whole, so that it can be compiled by itself.  Failing is nobody's affair. */
void gpu_dump(const gpu_text *t)
{
  char path[700];
  const char *dir = getenv("NORN_DUMP_KERNELS"), *prologue = t->prologue ? t->prologue : "";
  if (!dir || !*dir) return;
  uint64_t h = hash_bytes(t->text, strlen(t->text), hash_bytes(prologue, strlen(prologue), t->flags));
  if (snprintf(path, sizeof path, "%s/%.100s-%08x.cu", dir, t->name, (unsigned)h) >= (int)sizeof path) return;
  FILE *f = fopen(path, "w");
  if (!f) return;
  fprintf(f, "/* norn kernel %s, flags %u */\n%s%s\n#line 1 \"%s\"\n%s\n", t->name, t->flags, gpu_prelude(), prologue,
          t->name, t->text);
  fclose(f);
}
