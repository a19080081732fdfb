/* text.c: text that grows, and numbers and strings as Norn writes them.

   After a failed allocation a text keeps what it has, ignores what follows and says so in `failed`:
   callers check once, at the end. */
#include "base/base.h"
#include "base/number.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(text *t, mem *m)
{
  *t = (text){.m = m};
}

/* Room for n more bytes and the final 0. */
static bool text_room(text *t, size_t n)
{
  if (t->failed) return false;
  if (n < t->cap - t->n) return true;   /* also false for cap = n = 0 */
  bool fits = n <= PTRDIFF_MAX - 1 - t->n && mem_grow(t->m, &t->s, &t->cap, t->n + n + 1, 1);
  t->failed = !fits;
  return fits;
}

void text_put(text *t, const char *s, size_t n)
{
  if (n == 0 || !text_room(t, n)) return;
  memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = 0;
}

void text_puts(text *t, const char *s)
{
  text_put(t, s, strlen(s));
}

void text_putc(text *t, char c)
{
  text_put(t, &c, 1);
}

void text_printf(text *t, const char *format, ...)
{
  char small[256];
  va_list args, again;
  number_locale l = number_plain();
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(small, sizeof small, format, args);
  if (n < 0) {
    t->failed = true;
  } else if ((size_t)n < sizeof small) {
    text_put(t, small, (size_t)n);
  } else if (text_room(t, (size_t)n)) {
    vsnprintf(t->s + t->n, (size_t)n + 1, format, again);
    t->n += (size_t)n;
  }
  va_end(again);
  va_end(args);
  number_plain_end(l);
}

/* C's form of a number, in any locale, as Norn's: the decimal point is '.', the exponent has no
   plus and no leading zeros, and what looks like an integer gets ".0".  In place. */
static void real_form(char *s)
{
  char *w = s;
  bool real = false;
  for (const char *r = s; *r;) {
    if (*r == 'e') {
      real = true;
      *w++ = *r++;
      if (*r == '-') *w++ = *r++;
      while (*r == '+' || *r == '0') r++;
    } else if (strchr("0123456789-", *r)) {
      *w++ = *r++;
    } else {
      real = true;
      *w++ = '.';
      while (*r && !strchr("0123456789e", *r)) r++;   /* a locale's point may take several bytes */
    }
  }
  if (!real) {
    *w++ = '.';
    *w++ = '0';
  }
  *w = 0;
}

void text_real(text *t, double x)
{
  char s[64];
  if (isnan(x)) {
    text_puts(t, "nan");
  } else if (isinf(x)) {
    text_puts(t, x < 0 ? "-inf" : "inf");
  } else if (x == floor(x) && fabs(x) < 1e15) {   /* whole numbers need no search for digits */
    int n = snprintf(s, sizeof s, "%s%lld.0", signbit(x) ? "-" : "", (long long)fabs(x));
    text_put(t, s, (size_t)n);
  } else {
    for (int digits = fabs(x) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
      snprintf(s, sizeof s, "%.*g", digits, x);
      if (strtod(s, NULL) == x) break;
    }
    real_form(s);
    text_puts(t, s);
  }
}

void text_quoted(text *t, const char *s, size_t n)
{
  text_putc(t, '"');
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    const char *plain = "\n\t\r\"\\{", *letter = "ntr\"\\{";
    const char *at = c ? strchr(plain, c) : NULL;
    if (at) {
      text_putc(t, '\\');
      text_putc(t, letter[at - plain]);
    } else if (c < 32 || c == 127) {
      text_printf(t, "\\u{%x}", c);
    } else {
      text_putc(t, s[i]);
    }
  }
  text_putc(t, '"');
}

void text_free(text *t)
{
  mem_put(t->m, t->s, t->cap);
  text_init(t, t->m);
}
