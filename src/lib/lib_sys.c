/* lib_sys.c: printing, errors, kinds of values, time. */
#include "lib/lib.h"
#include <string.h>
#include <time.h>

static norn_status y_print(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  size_t len;
  for (int k = 0; k < n; k++) {
    const char *s = norn_string_view(args[k], &len);
    if (k) norn_output(st, " ", 1);
    if (!s) {
      s = norn_show(st, args[k], false, 0);
      if (!s) return lib_failed(st);
      len = strlen(s);
      if (lib_is_posterior(args[k]) && len && s[len - 1] == '\n')
        len--; /* a table ends its last line itself */
    }
    norn_output(st, s, len);
  }
  norn_output(st, "\n", 1);
  *out = norn_unit();
  return NORN_OK;
}

static norn_status y_error(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  (void)out;
  return norn_fail(st, NORN_EDOMAIN, -1, "%s", norn_show(st, args[0], false, 400));
}

static norn_status y_assert(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  bool holds;
  if (!lib_want_bool(st, args, 0, "what is asserted", &holds)) return lib_failed(st);
  *out = norn_unit();
  if (holds) return NORN_OK;
  const char *why = n > 1 && args[1].tag != NORN_NONE ? norn_show(st, args[1], false, 400) : "";
  return norn_fail(st, NORN_EDOMAIN, 0, "%s%s", *why ? "assertion failed: " : "assertion failed",
                   why);
}

static const char *kind_name(norn_datum v)
{
  switch (norn_kind_of(v)) {
  case NORN_INT: return "int";
  case NORN_REAL: return "real";
  case NORN_BOOL: return "bool";
  case NORN_UNIT: return "unit";
  case NORN_MISSING: return "missing";
  case NORN_ENUM: case NORN_DATA: return "variant";
  case NORN_NATIVE: case NORN_FUN: return "function";
  case NORN_STR: return "string";
  case NORN_ARRAY: return "array";
  case NORN_RECORD: return "record";
  case NORN_DIST: return lib_is_posterior(v) ? "posterior" : "distribution";
  case NORN_MODEL: return "model";
  case NORN_ENGINE: return "engine";
  case NORN_MAP: return "map";
  case NORN_BIG: return "big";
  case NORN_POINTER: return "pointer";
  default: return "value";
  }
}

static norn_status y_type_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char what[120];
  (void)n;
  if (norn_kind_of(args[0]) != NORN_HANDLE)
    return lib_give(st, norn_cstring(st, kind_name(args[0])), out);
  return lib_give(st, norn_cstring(st, norn_describe(st, args[0], what, sizeof what) + 2), out);
}

static norn_status y_is_missing(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)st;
  (void)n;
  *out = norn_bool(args[0].tag == NORN_MISSING);
  return NORN_OK;
}

static norn_status y_is_posterior(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)st;
  (void)n;
  *out = norn_bool(lib_is_posterior(args[0]));
  return NORN_OK;
}

static norn_status y_hash(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)st;
  (void)n;
  *out = norn_int((int64_t)norn_hash(args[0]));
  return NORN_OK;
}

static norn_status y_clock(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  struct timespec t;
  (void)st;
  (void)args;
  (void)n;
  clock_gettime(CLOCK_MONOTONIC, &t);
  *out = norn_real((double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
  return NORN_OK;
}

#define FN(name, params, fn, flags, doc) { name, params, doc, fn, flags, NULL }

static const norn_native natives[] = {
  FN("print", "values...", y_print, NORN_VARIADIC,
     "Prints values separated by spaces, and a newline.\n"
     "Example: print()\n=> ()"),
  FN("error", "message", y_error, 0, "Stops the program with a message."),
  FN("assert", "holds, message = \"\"", y_assert, 0,
     "Stops the program unless a condition holds.\n"
     "Example: assert(1 < 2)\n=> ()"),
  FN("type_of", "x", y_type_of, NORN_PURE,
     "The name of the kind of a value: \"int\", \"real\", \"array\", ...\n"
     "Example: type_of(1.5)\n=> \"real\""),
  FN("is_missing", "x", y_is_missing, NORN_PURE,
     "Whether a value is missing.\nExample: is_missing(missing)\n=> true"),
  FN("is_posterior", "x", y_is_posterior, NORN_PURE,
     "Whether a value is a posterior.\nExample: is_posterior(normal(0, 1))\n=> false"),
  FN("hash", "x", y_hash, NORN_PURE,
     "An integer that is the same for equal values.\n"
     "Example: hash(1) == hash(1.0)\n=> true"),
  FN("clock", "", y_clock, 0, "Seconds from an arbitrary moment, to measure time.\n"
     "Example: clock() > 0\n=> true"),
};

norn_status lib_sys_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
