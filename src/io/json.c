/* json.c: the door of jansson.

   Reading: jansson parses and checks (duplicate keys, UTF-8, depth); its tree becomes values from
   the leaves up, arrays of one kind of number packed directly.  jansson refuses integers beyond 64
   bits; then they get an exponent (123...e0), which makes them reals, and the text is parsed again.
   jansson's own tree is in malloc's memory: its hook is one per process, so a state can't count it.
   Writing needs no tree: values are written as they are met. */
#include "io/json.h"
#include "num/real.h"
#include "base/number.h"
#include <jansson.h>
#include <math.h>
#include <string.h>

/* ---- reading ---- */

typedef struct reader { norn_state *st; unsigned flags; } reader;

static norn_datum value_of(const reader *, const json_t *);

/* All numbers: reals where one is, null as nan where asked.  NONE and no error: something else. */
static norn_datum numbers_of(const reader *r, const json_t *j, size_t n)
{
  bool real = false, integer = false;
  for (size_t k = 0; k < n; k++) {
    const json_t *e = json_array_get(j, k);
    if (json_is_null(e) && (r->flags & JSON_IO_NAN)) real = true;
    else if (json_is_real(e)) real = true;
    else if (json_is_integer(e)) integer = true;
    else return norn_none();
  }
  void *p = NULL;
  int64_t dims = (int64_t)n;
  norn_datum a = norn_array(r->st, real || !integer ? NORN_F64 : NORN_I64, 1, &dims, &p);
  for (size_t k = 0; k < n && p; k++) {
    const json_t *e = json_array_get(j, k);
    if (real) ((double *)p)[k] = json_is_null(e) ? (double)NAN : json_number_value(e);
    else ((int64_t *)p)[k] = json_integer_value(e);
  }
  return a;
}

static norn_datum array_of(const reader *r, const json_t *j)
{
  size_t n = json_array_size(j);
  const json_t *first = n ? json_array_get(j, 0) : NULL;
  if (first && (json_is_number(first) || json_is_null(first))) {
    norn_datum a = numbers_of(r, j, n);
    if (!norn_is_none(a)) return a;
  }
  int64_t dims = (int64_t)n;
  void *p = NULL;
  norn_datum keep = norn_array(r->st, NORN_VALUES, 1, &dims, &p), *v = p;
  if (norn_is_none(keep)) return keep;
  for (size_t k = 0; k < n; k++) {
    v[k] = value_of(r, json_array_get(j, k));
    if (norn_is_none(v[k])) return v[k];
  }
  return norn_array_pack(r->st, v, dims);
}

/* {"$handle": "name of its row", "saved": ...}: a handle is made again. */
static norn_datum handle_of(const reader *r, const json_t *j, const char *name)
{
  norn_datum saved = value_of(r, json_object_get(j, "saved"));
  return norn_is_none(saved) ? saved : norn_handle_load(r->st, name, saved);
}

/* {"$real": "nan"}, {"$unit": true} and {"$big": [bits, text]}; NONE if it is none of them. */
static norn_datum special_of(norn_state *st, const json_t *j)
{
  const json_t *b = json_object_size(j) == 1 ? json_object_get(j, "$big") : NULL;
  const char *digits = json_string_value(json_array_get(b, 1));
  if (digits) {
    norn_datum v = norn_big(st, digits, json_integer_value(json_array_get(b, 0)));
    if (norn_is_none(v)) norn_clear(st);
    return v;
  }
  const char *s = json_object_size(j) == 1 ? json_string_value(json_object_get(j, "$real")) : NULL;
  if (s && strcmp(s, "nan") == 0) return norn_real((double)NAN);
  if (s && strcmp(s, "inf") == 0) return norn_real((double)INFINITY);
  if (s && strcmp(s, "-inf") == 0) return norn_real(-(double)INFINITY);
  if (json_object_size(j) == 1 && json_object_get(j, "$unit")) return norn_unit();
  return norn_none();
}

static norn_datum record_of(const reader *r, const json_t *j)
{
  size_t n = json_object_size(j), k = 0;
  norn_datum out = r->flags & JSON_IO_EXACT ? special_of(r->st, j) : norn_none();
  const char *kind = n == 2 && r->flags & JSON_IO_EXACT ? json_string_value(json_object_get(j, "$handle")) : NULL;
  if (!norn_is_none(out)) return out;
  if (kind && json_object_get(j, "saved")) return handle_of(r, j, kind);
  const char **name = norn_alloc(r->st, NULL, 0, (n + 1) * sizeof *name);
  norn_datum *v = norn_alloc(r->st, NULL, 0, (n + 1) * sizeof *v);
  bool fine = name && v;
  for (void *it = json_object_iter((json_t *)(uintptr_t)j); fine && it;
       it = json_object_iter_next((json_t *)(uintptr_t)j, it)) {
    name[k] = json_object_iter_key(it);
    v[k] = value_of(r, json_object_iter_value(it));
    fine = !norn_is_none(v[k++]);
  }
  if (fine) out = norn_record(r->st, (int)n, name, v);
  if (name) norn_alloc(r->st, name, (n + 1) * sizeof *name, 0);
  if (v) norn_alloc(r->st, v, (n + 1) * sizeof *v, 0);
  return out;
}

static norn_datum value_of(const reader *r, const json_t *j)
{
  switch (json_typeof(j)) {
  case JSON_OBJECT:  return record_of(r, j);
  case JSON_ARRAY:   return array_of(r, j);
  case JSON_STRING:  return norn_string(r->st, json_string_value(j), json_string_length(j));
  case JSON_INTEGER: return norn_int(json_integer_value(j));
  case JSON_REAL:    return norn_real(json_real_value(j));
  case JSON_TRUE:    return norn_bool(true);
  case JSON_FALSE:   return norn_bool(false);
  default:           return norn_missing();
  }
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_numeric(char c)
{
  return is_digit(c) || c == '-' || c == '+' || c == '.' || (c | 32) == 'e';
}

/* The text with "e0" after every integer that does not fit 64 bits. */
static bool widen_integers(const char *s, size_t n, text *t)
{
  for (size_t k = 0; k < n;) {
    size_t from = k;
    if (s[k] == '"') {
      for (k++; k < n && s[k] != '"'; k++)
        if (s[k] == '\\' && k + 1 < n) k++;
      if (k < n) k++;
      text_put(t, s + from, k - from);
    } else if (s[k] == '-' || is_digit(s[k])) {
      bool whole = true;
      int64_t fits;
      for (; k < n && is_numeric(s[k]); k++) whole = whole && (s[k] == '-' || is_digit(s[k]));
      text_put(t, s + from, k - from);
      if (whole && k - from > 1 && !number_int(s + from, k - from, &fits)) text_puts(t, "e0");
    } else {
      text_putc(t, s[k++]);
    }
  }
  return !t->failed;
}

static void *alloc_hook(void *user, void *p, size_t old, size_t n)
{
  return norn_alloc(user, p, old, n);
}

/* jansson's sentences, in our words where they help. */
static norn_status malformed(norn_state *st, const char *name, const char *s, size_t n,
                             const json_error_t *e)
{
  char sentence[200];
  size_t len = strlen(e->text);
  memcpy(sentence, e->text, len < sizeof sentence ? len + 1 : sizeof sentence);
  sentence[sizeof sentence - 1] = 0;
  char *near = strstr(sentence,
                      " near '"); /* "... near '<the text so far>'": only its end is of use */
  if (near && strlen(near) > 40) *near = 0;
  norn_status code = norn_fail(st, NORN_EIO, 0, "%s:%d:%d: not JSON: %s", name ? name : "text",
                               e->line, e->column, sentence);
  size_t at = e->position > 0 && (size_t)e->position <= n ? (size_t)e->position : 0;
  const char *bad = at >= 3 ? s + at - 3 : s;
  if (strstr(e->text, "duplicate")) norn_hint(st, "every key of an object may occur once");
  else if (n - (size_t)(bad - s) >= 3 &&
           (strncmp(bad, "NaN", 3) == 0 || strncmp(bad, "Inf", 3) == 0))
    norn_hint(st, "JSON has no NaN or Infinity: write null");
  return code;
}

norn_status json_read(norn_state *st, const char *name, const char *s, size_t n, unsigned flags,
                      norn_datum *out)
{
  const size_t how = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
  const reader r = { st, flags };
  json_error_t e;
  json_t *j = json_loadb(s, n, how, &e);
  if (!j && json_error_code(&e) == json_error_numeric_overflow) {
    mem m;
    text t;
    mem_init(&m);
    m.alloc = alloc_hook;
    m.user = st;
    text_init(&t, &m);
    if (widen_integers(s, n, &t)) j = json_loadb(t.n ? t.s : "", t.n, how, &e);
    text_free(&t);
  }
  if (!j) return malformed(st, name, s, n, &e);
  *out = value_of(&r, j);
  json_decref(j);
  if (!norn_is_none(*out)) return NORN_OK;
  const norn_err *err = norn_error(st);
  return err && err->code ? err->code : norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
}

/* ---- writing ---- */

typedef struct writer { norn_state *st; text *t; int indent; unsigned flags; } writer;

static norn_status put_value(const writer *, norn_datum, int depth);

static void put_string(text *t, const char *s, size_t n)
{
  text_putc(t, '"');
  for (size_t k = 0; k < n; k++) {
    unsigned char c = (unsigned char)s[k];
    size_t from = k;
    while (k < n && (unsigned char)s[k] >= 0x20 && s[k] != '"' && s[k] != '\\' && s[k] != 0x7f) k++;
    if (k > from) text_put(t, s + from, k - from);
    if (k == n) break;
    c = (unsigned char)s[k];
    if (c == '\n') text_puts(t, "\\n");
    else if (c == '\t') text_puts(t, "\\t");
    else if (c == '\r') text_puts(t, "\\r");
    else if (c == '"' || c == '\\') text_printf(t, "\\%c", c);
    else text_printf(t, "\\u%04x", c);
  }
  text_putc(t, '"');
}

static void new_line(const writer *w, int depth)
{
  if (w->indent == 0) return;
  text_putc(w->t, '\n');
  for (int k = 0; k < w->indent * depth; k++) text_putc(w->t, ' ');
}

static norn_status put_real(const writer *w, double x)
{
  if (isfinite(x)) text_real(w->t, x);
  else if (w->flags & JSON_IO_EXACT)
    text_printf(w->t, "{\"$real\": \"%s\"}", isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
  else {
    norn_status code = norn_fail(w->st, NORN_EDOMAIN, 0, "JSON can't hold %s",
                                 isnan(x) ? "nan" : "an infinite number");
    norn_hint(w->st, "missing is written as null");
    return code;
  }
  return NORN_OK;
}

/* As a number; where all must come back, as {"$big": [bits, text]}. */
static norn_status put_big(const writer *w, norn_datum v)
{
  norn_big_parts p;
  norn_big_view(v, &p);
  bool exact = w->flags & JSON_IO_EXACT;
  if (!exact && p.kind != NORN_BIG_FINITE && p.kind != NORN_BIG_ZERO)
    return put_real(w, norn_big_double(v));
  const bignum x = { p.bits, p.exponent, p.kind, p.sign, (uint64_t *)(uintptr_t)p.limbs };
  if (exact) text_printf(w->t, "{\"$big\": [%lld, \"", (long long)p.bits);
  real_text_exact(w->t, &x);
  if (exact) text_puts(w->t, "\"]}");
  return NORN_OK;
}

/* Rows of numbers stay on one line; other arrays have one element a line. */
static norn_status put_array(const writer *w, norn_datum a, int depth)
{
  norn_view v;
  norn_array_view(a, &v);
  int64_t n = v.dims[0];
  bool open = n > 0 && (v.rank > 1 || (v.elem == NORN_VALUES && norn_kind_of(v.v[0]) > NORN_STR));
  norn_status code = NORN_OK;
  text_putc(w->t, '[');
  for (int64_t k = 0; k < n && !code; k++) {
    if (k) text_puts(w->t, open && w->indent ? "," : ", ");
    if (open) new_line(w, depth + 1);
    code = put_value(w, norn_array_at(w->st, a, k), depth + 1);
  }
  if (open) new_line(w, depth);
  text_putc(w->t, ']');
  return code;
}

static norn_status put_record(const writer *w, norn_datum r, int depth)
{
  int n = norn_record_size(r);
  norn_status code = NORN_OK;
  text_putc(w->t, '{');
  for (int k = 0; k < n && !code; k++) {
    norn_datum v;
    const char *name = norn_record_at(w->st, r, k, &v);
    if (k) text_puts(w->t, w->indent ? "," : ", ");
    new_line(w, depth + 1);
    put_string(w->t, name, strlen(name));
    text_puts(w->t, ": ");
    code = put_value(w, v, depth + 1);
  }
  if (n) new_line(w, depth);
  text_putc(w->t, '}');
  return code;
}

static norn_status put_handle(const writer *w, norn_datum v, int depth)
{
  const char *name;
  norn_datum saved = norn_handle_save(w->st, v, &name);
  if (norn_is_none(saved)) return norn_error(w->st)->code;
  text_puts(w->t, "{\"$handle\": ");
  put_string(w->t, name, strlen(name));
  text_puts(w->t, ", \"saved\": ");
  norn_status s = put_value(w, saved, depth + 1);
  text_puts(w->t, "}");
  return s;
}

static norn_status put_value(const writer *w, norn_datum v, int depth)
{
  char got[160];
  size_t n;
  if (depth > 1000)
    return norn_fail(w->st, NORN_EDOMAIN, 0, "the value is nested too deeply for JSON");
  switch (norn_kind_of(v)) {
  case NORN_INT:     text_printf(w->t, "%lld", (long long)v.i); return NORN_OK;
  case NORN_REAL:    return put_real(w, v.d);
  case NORN_BIG:     return put_big(w, v);
  case NORN_BOOL:    text_puts(w->t, v.i ? "true" : "false"); return NORN_OK;
  case NORN_MISSING: text_puts(w->t, "null"); return NORN_OK;
  case NORN_UNIT:
    text_puts(w->t, w->flags & JSON_IO_EXACT ? "{\"$unit\": true}" : "null");
    return NORN_OK;
  case NORN_STR: {
    const char *s = norn_string_view(v, &n);
    put_string(w->t, s, n);
    return NORN_OK;
  }
  case NORN_ARRAY:   return put_array(w, v, depth);
  case NORN_RECORD:  return put_record(w, v, depth);
  case NORN_HANDLE:
    if (w->flags & JSON_IO_EXACT) return put_handle(w, v, depth);
    /* fall through */
  default:
    return norn_fail(w->st, NORN_ETYPE, 0, "JSON can't hold %s",
                     norn_describe(w->st, v, got, sizeof got));
  }
}

norn_status json_write(norn_state *st, norn_datum v, int indent, unsigned flags, text *out)
{
  const writer w = { st, out, indent, flags };
  norn_status code = put_value(&w, v, 0);
  if (!code && out->failed) code = norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  return code;
}
