/* The folder of --out: draws as they come, and at the end draws with all that is known of the run,
   summary.txt (what is printed), diagnostics.txt, info.json and pictures.

   Files are written by the functions of the library (keep_draws, save, write_json), which were
   taken before the program was loaded: a program that has a save of its own does not get to write
   here. */
#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { F_KEEP, F_SAVE, F_JSON, F_SUMMARY, F_PLOT, FUNCTIONS };
static const char *const functions[FUNCTIONS] = { "keep_draws", "save", "write_json", "summary",
                                                  "plot" };

struct outdir {
  cli *c;
  norn_ref *f[FUNCTIONS];
  FILE *summary, *diagnostics;
  bool told;                      /* that there is no NetCDF */
};

static void path_in(const outdir *o, const char *name, int k, const char *end, char *out, size_t n)
{
  if (k > 0) snprintf(out, n, "%s/%s_%d.%s", o->c->out, name, k, end);
  else snprintf(out, n, "%s/%s.%s", o->c->out, name, end);
}

/* Calls a function of the library, which may write here whatever --safe says of the program. */
static norn_status call(outdir *o, int f, const norn_datum *args, int n, norn_datum *out)
{
  norn_config *config = norn_config_of(o->c->st);
  bool was = config->no_files;
  norn_datum ignored;
  config->no_files = false;
  norn_status s = norn_call(o->c->st, norn_get(o->f[f]), args, n, out ? out : &ignored);
  config->no_files = was;
  return s;
}

/* What went wrong, without the place in a program that no one wrote. */
static void complain(outdir *o)
{
  const norn_err *e = norn_error(o->c->st);
  if (e->hint[0]) cli_complain(o->c, "%s (%s)", e->text, e->hint);
  else cli_complain(o->c, "%s", e->text);
  norn_clear(o->c->st);
}

/* ---- opening ---- */

static bool take_functions(outdir *o)
{
  for (int k = 0; k < FUNCTIONS; k++) {
    norn_datum v;
    const char *name = functions[k];
    norn_status s = norn_eval(o->c->st, "--out", name, strlen(name), 0, &v);
    if (s != NORN_OK) return complain(o), false;
    if (!(o->f[k] = norn_keep(o->c->st, v))) return cli_complain(o->c, "out of memory"), false;
  }
  return true;
}

static FILE *open_in(outdir *o, const char *name)
{
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", o->c->out, name);
  FILE *f = fopen(path, "w");
  if (!f) cli_complain(o->c, "can't write %s: %s", path, strerror(errno));
  return f;
}

/* What an earlier run left must not be taken for this one's. */
static void remove_old(outdir *o)
{
  static const char *const old[][2] = { { "draws", "csv" }, { "draws", "nc" }, { "draws", "json" },
                                        { "info", "json" },  { "posterior", "svg" },
                                        { "forest", "svg" }, { "pairs", "svg" } };
  char path[4096];
  for (int e = 0; e < 7; e++)
    for (int k = 0, gap = 0; gap < 64; k++) {
      path_in(o, old[e][0], k, old[e][1], path, sizeof path);
      gap = unlink(path) == 0 ? 0 : gap + 1;
    }
}

outdir *outdir_open(cli *c, bool *failed)
{
  *failed = false;
  if (!c->out) return NULL;
  *failed = true;
  outdir *o = calloc(1, sizeof *o);
  if (!o) return cli_complain(c, "out of memory"), NULL;
  o->c = c;
  if (!take_functions(o)) return outdir_close(o), NULL;
  if (mkdir(c->out, 0777) != 0 && errno != EEXIST) {
    cli_complain(c, "can't make %s: %s", c->out, strerror(errno));
    return outdir_close(o), NULL;
  }
  if (access(c->out, W_OK | X_OK) != 0) {
    cli_complain(c, "can't write to %s: %s", c->out, strerror(errno));
    return outdir_close(o), NULL;
  }
  *failed = false;
  return o;
}

bool outdir_begin(outdir *o)
{
  if (!o) return true;
  if (!(o->summary = open_in(o, "summary.txt")) ||
      !(o->diagnostics = open_in(o, "diagnostics.txt")))
    return false;
  remove_old(o);
  return true;
}

/* A run that came to nothing leaves no empty files. */
static bool close_in(outdir *o, FILE *f, const char *name)
{
  char path[4096];
  if (!f) return true;
  bool empty = ftell(f) == 0, lost = ferror(f) != 0, good = fclose(f) == 0 && !lost;
  snprintf(path, sizeof path, "%s/%s", o->c->out, name);
  if (empty) unlink(path);
  return good;
}

bool outdir_close(outdir *o)
{
  bool good = true;
  if (!o) return true;
  if (o->f[F_KEEP]) call(o, F_KEEP, NULL, 0, NULL);
  errno = 0;
  if (!close_in(o, o->summary, "summary.txt")) good = false;
  if (!close_in(o, o->diagnostics, "diagnostics.txt")) good = false;
  if (!good)
    cli_complain(o->c, "can't write to %s: %s", o->c->out, errno ? strerror(errno) : "a part of what was written is lost");
  for (int k = 0; k < FUNCTIONS; k++) if (o->f[k]) norn_drop(o->f[k]);
  free(o);
  return good;
}

/* ---- as the run goes on ---- */

void outdir_keep(outdir *o, int k)
{
  char path[4096];
  if (!o) return;
  path_in(o, "draws", k, "csv", path, sizeof path);
  norn_datum arg = norn_cstring(o->c->st, path);
  if (call(o, F_KEEP, &arg, 1, NULL) != NORN_OK) complain(o);
}

static void put_line(FILE *f, const char *text)
{
  size_t n = strlen(text);
  fprintf(f, n == 0 || text[n - 1] != '\n' ? "%s\n" : "%s", text);
  fflush(f);
}

void outdir_print(outdir *o, const char *text)
{
  if (o && o->summary) put_line(o->summary, text);
}

/* ---- info.json ---- */

/* A value with what JSON lacks made null.  NONE: no memory. */
static norn_datum plain(norn_state *st, norn_datum v)
{
  norn_view a;
  if (v.tag == NORN_REAL && !isfinite(v.d)) return norn_missing();
  if (!norn_array_view(v, &a) || a.elem != NORN_F64 || a.rank > 1) return v;
  norn_datum *x = calloc((size_t)a.n + 1, sizeof *x), out = norn_none();
  for (int64_t k = 0; x && k < a.n; k++)
    x[k] = isfinite(a.f[k]) ? norn_real(a.f[k]) : norn_missing();
  if (x) out = norn_array_pack(st, x, a.n);
  free(x);
  return out;
}

/* info without the numbers of each draw, which are with the draws. */
static norn_datum short_info(norn_state *st, norn_datum info)
{
  enum { MOST = 100 };
  const char *name[MOST];
  norn_datum v[MOST], x;
  int n = 0;
  for (int k = 0; k < norn_record_size(info) && n < MOST; k++) {
    const char *s = norn_record_at(st, info, k, &x);
    if (strcmp(s, "stats") == 0 || strcmp(s, "probabilities") == 0) continue;
    name[n] = s;
    if (norn_is_none(v[n] = plain(st, x))) return v[n];
    n++;
  }
  return norn_record(st, n, name, v);
}

static bool save_info(outdir *o, int k, norn_datum info)
{
  char path[4096];
  norn_state *st = o->c->st;
  path_in(o, "info", k, "json", path, sizeof path);
  norn_datum args[] = { short_info(st, info), norn_cstring(st, path), norn_int(2) };
  if (!norn_is_none(args[0]) && call(o, F_JSON, args, 3, NULL) == NORN_OK) return true;
  return complain(o), false;
}

/* ---- diagnostics.txt ---- */

static void put_numbers(norn_state *st, FILE *f, norn_datum info, const char *field,
                        const char *what)
{
  norn_datum a = norn_record_get(st, info, field);
  double x;
  if (norn_as_real(a, &x)) fprintf(f, "%s: %.4g\n", what, x);
  if (norn_array_length(a) < 1) return;
  fprintf(f, "%s, by chain:", what);
  for (int64_t k = 0; k < norn_array_length(a); k++)
    fprintf(f, " %.4g", norn_elem_real(norn_array_at(st, a, k), 0));
  fputc('\n', f);
}

/* Warnings first: each is in norn-diagnostics(7). */
static void put_warnings(norn_state *st, FILE *f, norn_datum info)
{
  norn_datum all = norn_record_get(st, info, "warnings");
  int64_t n = norn_array_length(all);
  if (n < 1) fputs("no warnings\n", f);
  for (int64_t k = 0; k < n; k++) {
    size_t len;
    const char *s = norn_string_view(norn_array_at(st, all, k), &len);
    if (s) fprintf(f, "warning: %s\n", s);
  }
}

/* Of chains the table of all parts, the worst first. */
static void put_worst(outdir *o, norn_datum posterior)
{
  norn_state *st = o->c->st;
  norn_datum args[] = { posterior, norn_bool(true) }, out;
  size_t n;
  if (call(o, F_SUMMARY, args, 2, &out) != NORN_OK) {
    /* draws without chains: no part is the worst */
    norn_clear(st);
    return;
  }
  const char *s = norn_string_view(out, &n);
  if (!s) s = norn_show(st, out, false, 0);
  if (s) fprintf(o->diagnostics, "\nthe worst first\n%s\n", s);
}

static void save_diagnostics(outdir *o, int k, norn_ref *posterior, norn_datum info)
{
  norn_state *st = o->c->st;
  FILE *f = o->diagnostics;
  if (k > 1) fputc('\n', f);
  if (k > 0) fprintf(f, "run %d\n", k);
  if (norn_record_get(st, info, "stopped").tag == NORN_BOOL)
    fputs("the run was stopped: this is of what was drawn until then\n", f);
  put_warnings(st, f, info);
  put_numbers(st, f, info, "divergences", "divergent transitions");
  put_numbers(st, f, info, "max_depth_reached", "transitions at the greatest tree depth");
  put_numbers(st, f, info, "acceptance", "acceptance");
  put_numbers(st, f, info, "step_size", "step size");
  put_numbers(st, f, info, "bfmi", "E-BFMI");
  put_numbers(st, f, info, "ess", "least effective sample size");
  put_numbers(st, f, info, "rhat", "greatest R-hat");
  put_numbers(st, f, info, "superchains", "superchains");
  put_numbers(st, f, info, "nested_rhat", "greatest nested R-hat");
  put_worst(o, norn_get(posterior));
  fflush(f);
}

/* ---- the draws ---- */

/* --predictive: what inference_data says of a posterior; missing if it can't, which is said. */
static norn_datum predictive(outdir *o, norn_ref *posterior)
{
  static const char text[] = "inference_data(_posterior)";
  norn_state *st = o->c->st;
  norn_datum v = norn_missing();
  norn_status s = norn_set_global(st, "_posterior", norn_get(posterior));
  if (s == NORN_OK) s = norn_eval(st, "--predictive", text, sizeof text - 1, NORN_LOAD_REPL, &v);
  if (s == NORN_OK) return v;
  cli_complain(o->c, "draws.nc without what the model predicts:");
  complain(o);
  return norn_missing();
}

static bool save_as(outdir *o, int k, norn_ref *posterior, const char *end, bool asked)
{
  char path[4096];
  norn_state *st = o->c->st;
  bool more = o->c->predictive && strcmp(end, "nc") == 0;
  path_in(o, "draws", k, end, path, sizeof path);
  norn_datum groups = more ? predictive(o, posterior) : norn_missing();
  norn_datum args[] = { norn_get(posterior), norn_cstring(st, path), groups };
  if (call(o, F_SAVE, args, 3, NULL) == NORN_OK) return true;
  if (asked || !strstr(norn_error(st)->text, "libnetcdf")) return complain(o), false;
  if (!o->told && !o->c->quiet) cli_complain(o->c, "no draws.nc: %s", norn_error(st)->text);
  o->told = true;
  norn_clear(st);
  return true;
}

/* The files that draws were kept in, where they were not asked for. */
static void remove_kept(outdir *o, int k)
{
  char path[4096], base[64];
  path_in(o, "draws", k, "csv", path, sizeof path);
  unlink(path);
  snprintf(base, sizeof base, k > 0 ? "draws_%d" : "draws", k);
  for (int i = 1, gap = 0; gap < 64; i++) {
    path_in(o, base, i, "csv", path, sizeof path);
    gap = unlink(path) == 0 ? 0 : gap + 1;
  }
}

/* ---- pictures ---- */

static bool save_picture(outdir *o, int k, norn_ref *posterior, const char *name, const char *kind)
{
  char path[4096];
  norn_state *st = o->c->st;
  path_in(o, name, k, "svg", path, sizeof path);
  norn_datum args[] = { norn_get(posterior), norn_cstring(st, path),
                        kind ? norn_cstring(st, kind) : norn_none() };
  if (call(o, F_PLOT, args, kind ? 3 : 2, NULL) == NORN_OK) return true;
  if (!strstr(norn_error(st)->text, "nothing to plot")) return complain(o), false;
  norn_clear(st);                                    /* the program returns {} or [] */
  return true;
}

/* Traces or densities and intervals; of trajectories that diverged, where. */
static bool save_pictures(outdir *o, int k, norn_ref *posterior, norn_datum info)
{
  double diverged = 0;
  bool some = norn_as_real(norn_record_get(o->c->st, info, "divergences"), &diverged) && diverged > 0,
       good = save_picture(o, k, posterior, "posterior", NULL) &&
              save_picture(o, k, posterior, "forest", "forest");
  return good && (!some || save_picture(o, k, posterior, "pairs", "pairs"));
}

bool outdir_save(outdir *o, int k, norn_datum posterior)
{
  if (!o) return true;
  cli *c = o->c;
  norn_posterior post;
  norn_ref *kept = norn_keep(c->st, posterior);
  unsigned formats = c->formats ? c->formats : FORMAT_CSV | FORMAT_NC;
  if (!kept) return cli_complain(c, "out of memory for the draws"), false;
  call(o, F_KEEP, NULL, 0, NULL);
  bool good = true;
  if (formats & FORMAT_CSV) good = save_as(o, k, kept, "csv", true);
  if (formats & FORMAT_NC) good = save_as(o, k, kept, "nc", c->formats != 0) && good;
  if (formats & FORMAT_JSON) good = save_as(o, k, kept, "json", true) && good;
  if (good && !(formats & FORMAT_CSV)) remove_kept(o, k);
  if (norn_posterior_view(c->st, norn_get(kept), &post)) {
    save_diagnostics(o, k, kept, post.info);
    good = norn_posterior_view(c->st, norn_get(kept), &post) && save_info(o, k, post.info) && good;
  }
  if (norn_posterior_view(c->st, norn_get(kept), &post))
    good = save_pictures(o, k, kept, post.info) && good;
  norn_drop(kept);
  return good;
}
