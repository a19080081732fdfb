/* net_fields.c: the fields of a net's record, written or read (net_fields.h). */
#include "infer/net/net_fields.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fields_bad(fields *f, const char *name, const char *wanted)
{
  if (f->failed) return false;
  f->failed = true;
  norn_fail(f->st, NORN_EIO, 0, "%s holds no sound net: %s must be %s", f->file, name, wanted);
  norn_hint(f->st, "it was changed, or written by another version of Norn");
  return false;
}
static bool no_memory(fields *f)
{
  f->failed = true;
  return !norn_fail(f->st, NORN_EMEMORY, -1, "not enough memory");
}

/* ---- writing ---- */

static bool put_name(fields *f, const char *name)
{
  char last = f->out.n ? f->out.s[f->out.n - 1] : '{';
  if (last != '{' && last != '[') text_putc(&f->out, ',');
  if (name) text_printf(&f->out, "\"%s\":", name);
  return f->out.failed ? no_memory(f) : true;
}
static void put_real(fields *f, double x)
{
  if (isfinite(x)) text_real(&f->out, x);
  else text_printf(&f->out, "{\"$real\":\"%s\"}", isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}
static bool put_text(fields *f, const char *s)
{
  norn_datum d = norn_cstring(f->st, s);
  if (norn_is_none(d) || json_write(f->st, d, 0, 0, &f->out)) f->failed = true;
  return !f->failed;
}
static bool done(fields *f) { return f->out.failed ? no_memory(f) : !f->failed; }

/* ---- reading ---- */

static norn_datum get(fields *f, const char *name)
{
  norn_datum here = f->at[f->depth];
  return norn_record_size(here) >= 0 ? norn_record_get(f->st, here, name) : norn_none();
}

bool fields_i64(fields *f, const char *name, int64_t *x, int64_t lo, int64_t hi)
{
  char wanted[80];
  if (f->failed) return false;
  if (!f->reading) {
    if (put_name(f, name)) text_printf(&f->out, "%lld", (long long)*x);
    return done(f);
  }
  norn_datum d = get(f, name);
  snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)lo, (long long)hi);
  if (d.tag != NORN_INT || d.i < lo || d.i > hi) return fields_bad(f, name, wanted);
  *x = d.i;
  return true;
}
bool fields_int(fields *f, const char *name, int *x, int64_t lo, int64_t hi)
{
  int64_t y = *x;
  if (!fields_i64(f, name, &y, lo, hi)) return false;
  *x = (int)y;
  return true;
}
bool fields_bool(fields *f, const char *name, bool *x)
{
  if (f->failed) return false;
  if (!f->reading) {
    if (put_name(f, name)) text_puts(&f->out, *x ? "true" : "false");
    return done(f);
  }
  norn_datum d = get(f, name);
  if (d.tag != NORN_BOOL) return fields_bad(f, name, "true or false");
  *x = d.i != 0;
  return true;
}
bool fields_text(fields *f, const char *name, char *buf, size_t size)
{
  char wanted[60];
  size_t n;
  if (f->failed) return false;
  if (!f->reading) return put_name(f, name) && put_text(f, buf) && done(f);
  const char *s = norn_string_view(get(f, name), &n);
  snprintf(wanted, sizeof wanted, "a text of less than %zu bytes", size);
  if (!s || n >= size || memchr(s, 0, n)) return fields_bad(f, name, wanted);
  memcpy(buf, s, n + 1);
  return true;
}
bool fields_u64(fields *f, const char *name, uint64_t *x)
{
  char s[24] = "", *end;
  if (!f->reading) snprintf(s, sizeof s, "0x%llx", (unsigned long long)*x);
  if (!fields_text(f, name, s, sizeof s) || !f->reading) return !f->failed;
  *x = strtoull(s, &end, 16);
  return strncmp(s, "0x", 2) == 0 && strlen(s) <= 18 && s[2] != '-' && end > s + 2 && !*end
         ? true : fields_bad(f, name, "a hexadecimal number of 64 bits");
}
bool fields_word(fields *f, const char *name, int *x, const char *const *words, int n)
{
  char s[64] = "";
  if (!f->reading) snprintf(s, sizeof s, "%s", words[*x]);
  if (!fields_text(f, name, s, sizeof s) || !f->reading) return !f->failed;
  for (*x = 0; *x < n; ++*x)
    if (strcmp(s, words[*x]) == 0) return true;
  *x = 0;
  return fields_bad(f, name, "a word that this Norn knows");
}

static bool in_range(norn_datum d, double lo, double hi, double *x)
{
  if (!norn_as_real(d, x)) return false;
  return isnan(*x) ? isnan(lo) : (isnan(lo) || *x >= lo) && *x <= hi;
}
bool fields_real(fields *f, const char *name, double *x, double lo, double hi)
{
  char wanted[80];
  if (f->failed) return false;
  if (!f->reading) {
    if (put_name(f, name)) put_real(f, *x);
    return done(f);
  }
  snprintf(wanted, sizeof wanted, "a number from %g to %g", lo, hi);
  return in_range(get(f, name), lo, hi, x) ? true : fields_bad(f, name, wanted);
}
bool fields_reals(fields *f, const char *name, double *x, size_t n, double lo, double hi)
{
  char wanted[80];
  if (f->failed) return false;
  if (!f->reading) {
    if (!put_name(f, name)) return false;
    text_putc(&f->out, '[');
    for (size_t i = 0; i < n; i++) {
      if (i > 0) text_putc(&f->out, ',');
      put_real(f, x[i]);
    }
    text_putc(&f->out, ']');
    return done(f);
  }
  norn_datum d = get(f, name);
  snprintf(wanted, sizeof wanted, "%zu numbers from %g to %g", n, lo, hi);
  if (norn_array_length(d) != (int64_t)n) return fields_bad(f, name, wanted);
  for (size_t i = 0; i < n; i++)
    if (!in_range(norn_array_at(f->st, d, (int64_t)i), lo, hi, x + i)) return fields_bad(f, name, wanted);
  return true;
}

/* ---- records and lists inside ---- */

static bool deeper(fields *f, norn_datum d)
{
  f->at[++f->depth] = d;
  return true;
}
bool fields_enter(fields *f, const char *name)
{
  if (f->failed) return false;
  if (!f->reading) {
    if (put_name(f, name)) text_putc(&f->out, '{');
    return deeper(f, norn_unit()) && done(f);
  }
  norn_datum d = get(f, name);
  return norn_record_size(d) >= 0 ? deeper(f, d) : fields_bad(f, name, "a record");
}
bool fields_list(fields *f, const char *name, int *n, int most)
{
  char wanted[60];
  if (f->failed) return false;
  if (!f->reading) {
    if (put_name(f, name)) text_putc(&f->out, '[');
    return deeper(f, norn_missing()) && done(f);
  }
  norn_datum d = get(f, name);
  int64_t length = norn_array_length(d);
  snprintf(wanted, sizeof wanted, "a list of at most %d", most);
  if (length < 0 || length > most) return fields_bad(f, name, wanted);
  *n = (int)length;
  return deeper(f, d);
}
bool fields_item(fields *f, int i)
{
  if (f->failed) return false;
  if (!f->reading) {
    if (put_name(f, NULL)) text_putc(&f->out, '{');
    return deeper(f, norn_unit()) && done(f);
  }
  norn_datum d = norn_array_at(f->st, f->at[f->depth], i);
  return norn_record_size(d) >= 0 ? deeper(f, d) : fields_bad(f, "an element of a list", "a record");
}
void fields_leave(fields *f)
{
  if (f->failed) return;
  if (!f->reading) text_putc(&f->out, f->at[f->depth].tag == NORN_MISSING ? ']' : '}');
  f->depth--;
}
