/* lib_io.c: files: text, JSON, CSV.  A relative name is looked up in the working directory, then in
   the directory of the program. */
#include "lib/lib.h"
#include "io/csv.h"
#include "io/json.h"
#include "base/number.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- whole files ---- */

/* The file named by argument i, to be freed by mem_put(m, text, n + 1); path: as it was found. */
static char *slurp(norn_state *st, const norn_datum *args, mem *m, char *path, size_t size,
                   size_t *n)
{
  const char *name, *why = "";
  if (!lib_want_file(st, args, 0, &name)) return NULL;
  char *s = file_read(m, lib_path(st, name, path, size), n, &why);
  if (!s) lib_unread(st, 0, name, why);
  return s;
}

static norn_status spill(norn_state *st, const norn_datum *args, int i, const char *s, size_t n,
                         norn_datum *out)
{
  const char *name;
  if (!lib_want_file(st, args, i, &name)) return lib_failed(st);
  errno = 0;
  FILE *f = fopen(name, "wb");
  bool fine = f && fwrite(s, 1, n, f) == n;
  int err = errno;
  if (f && fclose(f) != 0 && fine) {
    fine = false;
    err = errno;
  }
  if (!fine) return norn_fail(st, NORN_EIO, i, "can't write %s: %s", name, strerror(err));
  *out = norn_unit();
  return NORN_OK;
}

static norn_status i_read_text(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char path[4096];
  size_t len;
  mem m = lib_mem(st);
  (void)n;
  char *s = slurp(st, args, &m, path, sizeof path, &len);
  if (!s) return lib_failed(st);
  size_t at = 0;
  uint32_t code;
  int k;
  while (at < len && (k = utf8_next(s + at, len - at, &code)) > 0) at += (size_t)k;
  norn_datum v = at == len ? norn_string(st, s, len) : norn_none();
  mem_put(&m, s, len + 1);
  if (at < len) return norn_fail(st, NORN_EIO, 0, "%s is not UTF-8 text (byte %zu)", path, at);
  return lib_give(st, v, out);
}

static norn_status i_read_lines(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_datum whole, keep;
  size_t len;
  int64_t count = 0;
  norn_status code = i_read_text(st, args, n, &whole);
  if (code) return code;
  const char *s = norn_string_view(whole, &len);
  for (size_t k = 0; k < len; k++) count += s[k] == '\n' || k + 1 == len;
  norn_datum *v = lib_values(st, count, &keep);
  if (!v) return lib_failed(st);
  for (size_t at = 0, k = 0; at < len; k++) {
    const char *nl = memchr(s + at, '\n', len - at);
    size_t end = nl ? (size_t)(nl - s) : len, m = end - at;
    if (m && s[end - 1] == '\r') m--;
    v[k] = norn_string(st, s + at, m);
    if (norn_is_none(v[k])) return lib_failed(st);
    at = end + 1;
  }
  *out = keep;
  return NORN_OK;
}

static norn_status i_write_text(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *s;
  size_t len;
  (void)n;
  if (!norn_want_string(st, args, 0, "the text", &s, &len)) return lib_failed(st);
  return spill(st, args, 1, s, len, out);
}

static norn_status i_file_exists(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *name;
  char path[4096];
  (void)n;
  if (!lib_want_file(st, args, 0, &name)) return lib_failed(st);
  *out = norn_bool(access(lib_path(st, name, path, sizeof path), R_OK) == 0);
  return NORN_OK;
}

/* ---- JSON ---- */

/* The option `na`: "missing" or "nan". */
static norn_status json_flags(norn_state *st, const norn_datum *args, int i, int n, unsigned *flags)
{
  const char *s = "missing";
  size_t len;
  if (lib_given(args, i, n) && !norn_want_string(st, args, i, "na", &s, &len))
    return lib_failed(st);
  *flags = strcmp(s, "nan") == 0 ? JSON_IO_NAN : 0;
  if (!*flags && strcmp(s, "missing") != 0)
    return norn_fail(st, NORN_EDOMAIN, i, "na must be \"missing\" or \"nan\", got \"%s\"", s);
  return NORN_OK;
}

static norn_status i_read_json(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char path[4096];
  unsigned flags;
  size_t len;
  mem m = lib_mem(st);
  norn_status code = json_flags(st, args, 1, n, &flags);
  if (code) return code;
  char *s = slurp(st, args, &m, path, sizeof path, &len);
  if (!s) return lib_failed(st);
  code = json_read(st, path, s, len, flags, out);
  mem_put(&m, s, len + 1);
  return code;
}

static norn_status i_parse_json(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *s;
  size_t len;
  unsigned flags;
  norn_status code = json_flags(st, args, 1, n, &flags);
  if (code) return code;
  if (!norn_want_string(st, args, 0, "the text", &s, &len)) return lib_failed(st);
  return json_read(st, NULL, s, len, flags, out);
}

/* Argument 0 as JSON into t; argument i: the indent. */
static norn_status json_text(norn_state *st, const norn_datum *args, int i, int n, mem *m, text *t)
{
  int64_t indent = 0;
  text_init(t, m);
  if (lib_given(args, i, n) && !norn_want_int(st, args, i, "the indent", &indent))
    return lib_failed(st);
  if (indent < 0 || indent > 16)
    return norn_fail(st, NORN_EDOMAIN, i, "the indent must be between 0 and 16, got %lld",
                     (long long)indent);
  norn_status code = json_write(st, args[0], (int)indent, 0, t);
  if (code) text_free(t);
  return code;
}

static norn_status i_to_json(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  mem m = lib_mem(st);
  text t;
  norn_status code = json_text(st, args, 1, n, &m, &t);
  return code ? code : lib_text(st, &t, out);
}

static norn_status i_write_json(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  mem m = lib_mem(st);
  text t;
  norn_status code = json_text(st, args, 2, n, &m, &t);
  if (code) return code;
  text_putc(&t, '\n');
  code = t.failed ? lib_failed(st) : spill(st, args, 1, t.s, t.n, out);
  text_free(&t);
  return code;
}

/* ---- CSV ---- */

/* The separator; "auto" where a file is read. */
static norn_status csv_separator(norn_state *st, const norn_datum *args, int i, int n,
                                 bool reading, csv_options *o)
{
  const char *s = reading ? "auto" : ",";
  size_t len = strlen(s);
  if (lib_given(args, i, n) && !norn_want_string(st, args, i, "the separator", &s, &len))
    return lib_failed(st);
  if (reading && strcmp(s, "auto") == 0) return NORN_OK;
  if (len != 1 || s[0] == '"' || s[0] == '\n' || s[0] == '\r' || (s[0] & 0x80))
    return norn_fail(st, NORN_EDOMAIN, i,
                     "the separator must be one ASCII character, got %zu bytes", len);
  o->sep = s[0];
  return NORN_OK;
}

/* One text that stands for missing, or an array of them: at most NA_MAX. */
enum { NA_MAX = 32 };
static norn_status csv_missing(norn_state *st, const norn_datum *args, int i, const char **na,
                               csv_options *o)
{
  norn_view v;
  size_t len;
  o->na = na;
  na[0] = norn_string_view(args[i], &len);
  o->nna = 1;
  if (na[0]) return NORN_OK;
  if (!norn_array_view(args[i], &v) || v.n > NA_MAX || (v.n && v.elem != NORN_VALUES))
    return lib_wrong(st, args, i, "na", "a string or an array of strings");
  o->nna = (int)v.n;
  for (int k = 0; k < o->nna; k++)
    if (!(na[k] = norn_string_view(v.v[k], &len)))
      return lib_wrong(st, args, i, "na", "a string or an array of strings");
  return NORN_OK;
}

static norn_status csv_decimal(norn_state *st, const norn_datum *args, int i, csv_options *o)
{
  const char *s;
  size_t len;
  if (!norn_want_string(st, args, i, "the decimal sign", &s, &len)) return lib_failed(st);
  if (strcmp(s, ".") != 0 && strcmp(s, ",") != 0)
    return norn_fail(st, NORN_EDOMAIN, i, "the decimal sign must be \".\" or \",\", got \"%s\"", s);
  o->decimal = s[0];
  if (o->sep != o->decimal) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, i, "the decimal sign can't be the separator too");
}

static norn_status i_read_csv(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char path[4096];
  const char *na[NA_MAX] = { "NA" };
  csv_options o = { .na = na, .nna = 1, .header = true, .decimal = '.', .types = norn_none(),
                    .types_arg = 4 };
  size_t len;
  mem m = lib_mem(st);
  norn_status code = lib_given(args, 1, n) ? csv_missing(st, args, 1, na, &o) : NORN_OK;
  if (!code) code = csv_separator(st, args, 2, n, true, &o);
  if (!code && lib_given(args, 5, n)) code = csv_decimal(st, args, 5, &o);
  if (code) return code;
  if (lib_given(args, 3, n) && !lib_want_bool(st, args, 3, "header", &o.header))
    return lib_failed(st);
  if (lib_given(args, 4, n)) {
    if (norn_record_size(args[4]) < 0)
      return lib_wrong(st, args, 4, "types", "a record such as {age: \"real\"}");
    o.types = args[4];
  }
  o.nan = o.nna == 1 && strcmp(na[0], "nan") == 0;
  char *s = slurp(st, args, &m, path, sizeof path, &len);
  if (!s) return lib_failed(st);
  code = csv_table_read(st, path, s, len, &o, out);
  mem_put(&m, s, len + 1);
  return code;
}

static norn_status i_write_csv(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *na[1] = { "NA" };
  csv_options o = { .na = na, .nna = 1, .header = true, .decimal = '.', .types = norn_none() };
  mem m = lib_mem(st);
  text t;
  size_t len;
  norn_status code = csv_separator(st, args, 2, n, false, &o);
  if (code) return code;
  if (lib_given(args, 3, n) && !norn_want_string(st, args, 3, "na", &na[0], &len))
    return lib_failed(st);
  text_init(&t, &m);
  code = csv_table_write(st, args[0], &o, &t);
  if (!code) code = spill(st, args, 1, t.s, t.n, out);
  text_free(&t);
  return code;
}

/* ---- numbers from text: here, because src/io reads them in any locale ---- */

static bool trimmed(norn_state *st, const norn_datum *args, char buf[512], size_t *n)
{
  const char *s;
  size_t len, from = 0;
  *n = 0;
  if (!norn_want_string(st, args, 0, "the text", &s, &len)) return false;
  while (len && strchr(" \t\r\n", s[len - 1])) len--;
  while (from < len && strchr(" \t\r\n", s[from])) from++;
  if (len - from < 512) *n = len - from;
  memcpy(buf, s + from, *n);
  buf[*n] = 0;
  return true;
}

static norn_status i_parse_int(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char buf[512];
  size_t len;
  int64_t i;
  (void)n;
  if (!trimmed(st, args, buf, &len)) return lib_failed(st);
  *out = number_int(buf, len, &i) ? norn_int(i) : norn_missing();
  return NORN_OK;
}

static norn_status i_parse_real(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char buf[512];
  size_t len;
  double x;
  (void)n;
  if (!trimmed(st, args, buf, &len)) return lib_failed(st);
  *out = number_real(buf, len, &x) ? norn_real(x) : norn_missing();
  return NORN_OK;
}

#define FN(name, params, fn, flags, doc) { name, params, doc, fn, flags, NULL }

static const norn_native natives[] = {
  FN("read_text", "path", i_read_text, 0,
     "The whole text of a file.\n"
     "Example: write_text(\"a\", \"example.txt\"); read_text(\"example.txt\")"
     "\n=> \"a\""),
  FN("read_lines", "path", i_read_lines, 0,
     "The lines of a file, without their ends.\n"
     "Example: write_text(\"a\\nb\", \"example.txt\"); read_lines(\"example.txt\")"
     "\n=> [\"a\", \"b\"]"),
  FN("write_text", "s, path", i_write_text, 0,
     "Writes a string to a file.\n"
     "Example: write_text(\"a\", \"example.txt\")\n=> ()"),
  FN("file_exists", "path", i_file_exists, 0,
     "Whether there is a file of that name that can be read.\n"
     "Example: file_exists(\"no such file\")\n=> false"),
  FN("read_json", "path, na = \"missing\"", i_read_json, 0,
     "The value in a JSON file; null is missing, or nan beside numbers with na = \"nan\".\n"
     "Example: write_json([1, missing], \"example.json\"); "
     "read_json(\"example.json\", na = \"nan\")"
     "\n=> [1.0, nan]"),
  FN("parse_json", "s, na = \"missing\"", i_parse_json, NORN_PURE,
     "The value in a text in JSON; null is missing, or nan beside numbers with na = \"nan\".\n"
     "Example: parse_json(\"[1, 2.5, null]\")\n=> [1, 2.5, missing]"),
  FN("to_json", "x, indent = 0", i_to_json, NORN_PURE,
     "The value as text in JSON.\nExample: to_json([1.0, 2.5])\n=> \"[1.0, 2.5]\""),
  FN("write_json", "x, path, indent = 2", i_write_json, 0,
     "Writes a value to a file in JSON.\n"
     "Example: write_json({a: 1}, \"example.json\"); read_json(\"example.json\")"
     "\n=> {a: 1}"),
  FN("read_csv",
     "path, na = \"NA\", sep = \"auto\", header = true, types = missing, decimal = \".\"",
     i_read_csv, 0,
     "The table in a CSV file as a record of columns: of integers, reals, booleans or strings.\n"
     "Empty cells and `na` (a text or an array of texts) are missing; with na = \"nan\", those of\n"
     "numeric columns are nan. The separator is found in the first row: , ; tab or |. A column\n"
     "holds what all its cells can be, or what types = {id: \"string\", age: \"real\"} says.\n"
     "Example: write_text(\"x,y\\n1,a\\n2,\\n\", \"example.csv\"); read_csv(\"example.csv\")"
     "\n=> {x: [1, 2], y: [\"a\", missing]}"),
  FN("write_csv", "columns, path, sep = \",\", na = \"NA\"", i_write_csv, 0,
     "Writes a record of columns to a CSV file.\n"
     "Example: write_csv({x: [1, 2]}, \"example.csv\"); read_lines(\"example.csv\")"
     "\n=> [\"x\", \"1\", \"2\"]"),
  FN("parse_int", "s", i_parse_int, NORN_PURE,
     "The integer that a text spells; missing if it does not.\n"
     "Example: parse_int(\" 42 \")\n=> 42"),
  FN("parse_real", "s", i_parse_real, NORN_PURE,
     "The real that a text spells; missing if it does not.\n"
     "Example: parse_real(\"2.5\")\n=> 2.5"),
};

norn_status lib_io_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
