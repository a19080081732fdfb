/* eval.c: a text or a file, compiled and run to its end. */
#include "lib/lib.h"
#include <string.h>

norn_status norn_eval(norn_state *st, const char *name, const char *program, size_t n,
                      unsigned flags, norn_datum *out)
{
  norn_datum unused;
  norn_run *run = norn_load(st, name, program, n, flags);
  if (!run) {
    const norn_err *e = norn_error(st);
    bool fine = !e || e->code == NORN_OK;
    if (out) *out = norn_unit();
    return fine && (flags & NORN_LOAD_CHECK) ? NORN_OK : lib_failed(st);
  }
  return norn_drive(st, run, out ? out : &unused);
}

/* Where lib_path also looks for data files: beside the program. */
static norn_status set_script_dir(norn_state *st, const char *path)
{
  const char *slash = strrchr(path, '/');
  if (!slash) return NORN_OK;
  norn_datum dir = norn_string(st, path, slash > path ? (size_t)(slash - path) : 1);
  return norn_is_none(dir) ? lib_failed(st) : norn_set_global(st, "script_dir", dir);
}

norn_status norn_eval_file(norn_state *st, const char *path, norn_datum *out)
{
  mem m = lib_mem(st);
  size_t n;
  const char *why = "";
  char *s = file_read(&m, path, &n, &why);
  if (!s) return lib_unread(st, -1, path, why);
  norn_status code = set_script_dir(st, path);
  if (!code) code = norn_eval(st, path, s, n, 0, out);
  mem_put(&m, s, n + 1);
  return code;
}
