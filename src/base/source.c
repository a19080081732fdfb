/* source.c: the texts of a program, and the one printer of errors.

       coin.norn:4:21: error: standard deviation of normal must be positive, got -1
        4 |   let x ~ normal(0, -1)
          |                     ^^
       hint: normal(mu, sigma) takes the standard deviation, not the variance

   The line under the text repeats its tabs and counts its columns as a terminal does, so carets
   stand right.  A line wider than SHOWN columns is cut around them. */
#include "base/base.h"
#include <stdio.h>
#include <string.h>

enum { SHOWN = 96, BEFORE = 48, CALL_SHOWN = 60 };

void sources_init(sources *s, mem *m)
{
  *s = (sources){.m = m};
}

static void source_free(mem *m, source *f)
{
  mem_put(m, f->name, f->name ? strlen(f->name) + 1 : 0);
  mem_put(m, f->text, f->n + 1);
  mem_put(m, f->lines, f->nlines * sizeof *f->lines);
}

/* Where each line starts; the text ends in a line, maybe an empty one. */
static bool find_lines(mem *m, source *f)
{
  uint32_t count = 1;
  for (size_t i = 0; i < f->n; i++) count += f->text[i] == '\n';
  f->lines = mem_get(m, count * sizeof *f->lines);
  if (!f->lines) return false;
  f->lines[f->nlines++] = 0;
  for (size_t i = 0; i < f->n; i++)
    if (f->text[i] == '\n') f->lines[f->nlines++] = (uint32_t)i + 1;
  return true;
}

uint32_t sources_add(sources *s, const char *name, const char *t, size_t n)
{
  source f = {.n = n};
  size_t len = strlen(name) + 1;
  if (n >= UINT32_MAX || s->n >= UINT32_MAX - 1) return 0;
  if (!mem_grow(s->m, &s->v, &s->cap, s->n + 1, sizeof *s->v)) return 0;
  f.name = mem_get(s->m, len);
  if (f.name) memcpy(f.name, name, len);
  f.text = f.name ? mem_get(s->m, n + 1) : NULL;
  if (f.text) {
    if (n) memcpy(f.text, t, n);
    f.text[n] = 0;
  }
  if (!f.text || !find_lines(s->m, &f)) {
    source_free(s->m, &f);
    return 0;
  }
  s->v[s->n++] = f;
  return (uint32_t)s->n;
}

const source *sources_get(const sources *s, uint32_t file)
{
  return file >= 1 && file <= s->n ? &s->v[file - 1] : NULL;
}

/* The line (from 0) that holds byte `at`. */
static uint32_t line_of(const source *f, uint32_t at)
{
  uint32_t low = 0, high = f->nlines;
  while (high - low > 1) {
    uint32_t mid = low + (high - low) / 2;
    if (f->lines[mid] <= at) low = mid;
    else high = mid;
  }
  return low;
}

/* Bytes [*from, *to) of a line, without its end. */
static void line_bytes(const source *f, uint32_t line, size_t *from, size_t *to)
{
  *from = f->lines[line];
  *to = line + 1 < f->nlines ? f->lines[line + 1] - 1 : f->n;
  if (*to > *from && f->text[*to - 1] == '\r') --*to;
}

void sources_place(const sources *s, norn_span span, uint32_t *line, uint32_t *column)
{
  const source *f = sources_get(s, span.file);
  *line = *column = 0;
  if (!f) return;
  uint32_t at = span.start < f->n ? span.start : (uint32_t)f->n;
  uint32_t k = line_of(f, at);
  *line = k + 1;
  *column = (uint32_t)utf8_count(f->text + f->lines[k], at - f->lines[k]) + 1;
}

void sources_free(sources *s)
{
  for (size_t i = 0; i < s->n; i++) source_free(s->m, &s->v[i]);
  mem_put(s->m, s->v, s->cap * sizeof *s->v);
  sources_init(s, s->m);
}

/* ---- the printer ---- */

/* What a terminal can't show becomes '?'.  Returns the bytes read. */
static size_t put_shown(text *t, const char *s, size_t n)
{
  uint32_t code;
  int k = utf8_next(s, n, &code);
  if (k == 0 || code == 0x7f || (code < 32 && code != '\t') || (code >= 0x80 && code < 0xa0)) {
    text_putc(t, '?');
    return k ? (size_t)k : 1;
  }
  text_put(t, s, (size_t)k);
  return (size_t)k;
}

/* Columns of one character, and its bytes in *bytes. */
static int columns(const char *s, size_t n, size_t *bytes)
{
  uint32_t code;
  int k = utf8_next(s, n, &code);
  *bytes = k ? (size_t)k : 1;
  return k ? utf8_width(s, (size_t)k) : 1;
}

/* The part [*from, *to) of a line that is shown when the caret stands at byte `at`. */
static void window(const char *s, size_t at, size_t *from, size_t *to)
{
  size_t n = *to - *from;
  if (n <= SHOWN || (n < 8 * SHOWN && utf8_width(s + *from, n) <= SHOWN)) return;
  size_t low = at, high = at, bytes;
  int width = 0;
  while (low > *from && width < BEFORE) {
    low--;
    while (low > *from && ((unsigned char)s[low] & 0xc0) == 0x80) low--;
    width++;
  }
  for (; high < *to && width < SHOWN; high += bytes) width += columns(s + high, *to - high, &bytes);
  *from = low;
  *to = high < *to ? high : *to;
}

/* The line and the carets below it. */
static void print_line(text *t, const source *f, norn_span span, uint32_t line)
{
  size_t first, last, bytes;
  line_bytes(f, line, &first, &last);
  size_t start = span.start < last ? span.start : last, end = span.end < last ? span.end : last;
  size_t from = first, to = last;
  window(f->text, start, &from, &to);
  int gutter = snprintf(NULL, 0, " %u ", line + 1);
  text_printf(t, " %u |%s%s", line + 1, to > from ? " " : "", from > first ? "..." : "");
  for (size_t i = from; i < to;) i += put_shown(t, f->text + i, to - i);
  text_printf(t, "%s\n%*s| %s", to < last ? "..." : "", gutter, "", from > first ? "   " : "");
  for (size_t i = from; i < start; i += bytes) {
    int width = columns(f->text + i, start - i, &bytes);
    if (f->text[i] == '\t') text_putc(t, '\t');
    else text_printf(t, "%*s", width, "");
  }
  int carets = 0;
  for (size_t i = start; i < end && i < to; i += bytes)
    carets += columns(f->text + i, end - i, &bytes);
  for (int i = 0; i < (carets ? carets : 1); i++) text_putc(t, '^');
  text_putc(t, '\n');
}

/* One line for each call that led here, with its text. */
static void print_call(text *t, const sources *s, norn_span span)
{
  const source *f = sources_get(s, span.file);
  if (!f || span.start > f->n) return;
  uint32_t line, column;
  size_t from, to, shown = 0;
  sources_place(s, span, &line, &column);
  line_bytes(f, line - 1, &from, &to);
  text_printf(t, "called at %s:%u:%u: ", f->name, line, column);
  size_t at = span.start, end = span.end < to ? span.end : to;
  for (; at < end && shown < CALL_SHOWN; shown++) at += put_shown(t, f->text + at, end - at);
  text_puts(t, at < span.end ? "...\n" : "\n");
}

void error_print(text *t, const sources *s, const char *kind, const norn_err *e)
{
  const source *f = sources_get(s, e->span.file);
  uint32_t line, column;
  if (f) {
    norn_span span = e->span;
    if (span.start > f->n) span.start = span.end = (uint32_t)f->n;
    sources_place(s, span, &line, &column);
    text_printf(t, "%s:%u:%u: %s: %s\n", f->name, line, column, kind, e->text);
    print_line(t, f, span, line - 1);
  } else {
    text_printf(t, "%s: %s\n", kind, e->text);
  }
  if (e->hint[0]) text_printf(t, "hint: %s\n", e->hint);
  for (int i = 0; i < e->ntrace; i++) print_call(t, s, e->trace[i]);
}

/* ---- filling errors ---- */

/* A message that was cut does not end inside a character. */
static void cut_clean(char *s, size_t size)
{
  size_t n = strlen(s);
  uint32_t code;
  if (n + 1 < size) return;
  size_t start = n - 1;
  while (start > 0 && n - start < 4 && ((unsigned char)s[start] & 0xc0) == 0x80) start--;
  if (utf8_next(s + start, n - start, &code) == 0) s[start] = 0;
}

void error_setv(norn_err *e, norn_status code, norn_span span, const char *format, va_list args)
{
  *e = (norn_err){.code = code, .span = span};
  vsnprintf(e->text, sizeof e->text, format, args);
  cut_clean(e->text, sizeof e->text);
}

void error_set(norn_err *e, norn_status code, norn_span span, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  error_setv(e, code, span, format, args);
  va_end(args);
}

void error_hint(norn_err *e, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(e->hint, sizeof e->hint, format, args);
  va_end(args);
  cut_clean(e->hint, sizeof e->hint);
}

/* ---- diagnostics ---- */

void diags_init(diags *d, mem *m)
{
  *d = (diags){.m = m};
}

diag *diags_add(diags *d, bool warning, norn_span span, const char *format, ...)
{
  if (!mem_grow(d->m, &d->v, &d->cap, d->n + 1, sizeof *d->v)) {
    d->failed = true;
    return NULL;
  }
  diag *g = &d->v[d->n++];
  va_list args;
  va_start(args, format);
  error_setv(&g->e, NORN_ESYNTAX, span, format, args);
  va_end(args);
  g->warning = warning;
  d->errors += !warning;
  return g;
}

static bool diag_after(const diag *a, const diag *b)
{
  norn_span x = a->e.span, y = b->e.span;
  return x.file != y.file ? x.file > y.file : x.start > y.start;
}

static bool same_place(const diag *a, const diag *b)
{
  norn_span x = a->e.span, y = b->e.span;
  return x.file && x.file == y.file && x.start == y.start && !a->warning && !b->warning;
}

void diags_settle(diags *d)
{
  for (size_t i = 1; i < d->n; i++)                /* few, and nearly in order: insertion, stable */
    for (size_t k = i; k > 0 && diag_after(&d->v[k - 1], &d->v[k]); k--) {
      diag t = d->v[k];
      d->v[k] = d->v[k - 1];
      d->v[k - 1] = t;
    }
  size_t n = 0;
  for (size_t i = 0; i < d->n; i++) {
    if (n && same_place(&d->v[n - 1], &d->v[i])) { d->errors--; continue; }
    d->v[n++] = d->v[i];
  }
  d->n = n;
}

void diags_free(diags *d)
{
  mem_put(d->m, d->v, d->cap * sizeof *d->v);
  diags_init(d, d->m);
}
