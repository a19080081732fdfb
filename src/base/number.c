/* number.c: see number.h.

   Clinger (1990), "How to read floating point numbers accurately": up to 2^53 as mantissa and 10^22
   as power of ten are both exact, so one multiplication or division rounds correctly.  The rest is
   strtod's, in the C locale. */
#include "base/number.h"
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool number_int(const char *s, size_t n, int64_t *out)
{
  bool minus = n > 0 && s[0] == '-';
  size_t k = minus || (n > 0 && s[0] == '+');
  uint64_t x = 0;
  if (k == n || n - k > 19) return false;
  for (; k < n; k++) {
    unsigned digit = (unsigned char)s[k] - (unsigned)'0';
    if (digit > 9) return false;
    x = x * 10 + digit;
  }
  if (x > (uint64_t)INT64_MAX + minus) return false;
  *out = minus ? (int64_t)(0 - x) : (int64_t)x;
  return true;
}

static bool by_name(const char *s, size_t n, double *out)
{
  double sign = n > 0 && s[0] == '-' ? -1 : 1;
  if (n > 0 && (s[0] == '-' || s[0] == '+')) s++, n--;
  if (n == 3 && strncasecmp(s, "nan", 3) == 0) *out = (double)NAN;
  else if ((n == 3 && strncasecmp(s, "inf", 3) == 0) ||
           (n == 8 && strncasecmp(s, "infinity", 8) == 0))
    *out = sign * (double)INFINITY;
  else return false;
  return true;
}

/* Where numbers have a point anyway nothing is done. */
number_locale number_plain(void)
{
  if (!strcmp(nl_langinfo(RADIXCHAR), ".")) return (number_locale){ (locale_t)0, (locale_t)0 };
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  return (number_locale){ c, c == (locale_t)0 ? c : uselocale(c) };
}

void number_plain_end(number_locale l)
{
  if (l.c == (locale_t)0) return;
  uselocale(l.was);
  freelocale(l.c);
}

double number_first(const char *s, char **end)
{
  number_locale l = number_plain();
  double x = strtod(s, end);
  number_plain_end(l);
  return x;
}

static bool slowly(const char *s, size_t n, double *out)
{
  char *end;
  *out = number_first(s, &end);
  return end == s + n;
}

/* The parts of a decimal: false if s is none. */
typedef struct decimal { uint64_t digits; int count, exponent; } decimal;

static bool decimal_read(const char *s, size_t n, decimal *d)
{
  size_t k = n > 0 && (s[0] == '-' || s[0] == '+');
  int any = 0, point = 0, e = 0;
  *d = (decimal){ 0, 0, 0 };
  for (; k < n; k++) {
    unsigned digit = (unsigned char)s[k] - (unsigned)'0';
    if (s[k] == '.' && !point) {
      point = 1;
      continue;
    }
    if (digit > 9) break;
    any = 1;
    d->count += d->digits > 0 || digit > 0;
    if (d->count <= 19) d->digits = d->digits * 10 + digit;
    d->exponent -= point;
  }
  if (!any) return false;
  if (k == n) return true;
  if ((s[k] != 'e' && s[k] != 'E') || ++k == n) return false;
  bool minus = s[k] == '-';
  if (s[k] == '-' || s[k] == '+') k++;
  if (k == n) return false;
  for (; k < n; k++) {
    unsigned digit = (unsigned char)s[k] - (unsigned)'0';
    if (digit > 9) return false;
    if (e < 100000) e = e * 10 + (int)digit;
  }
  d->exponent += minus ? -e : e;
  return true;
}

bool number_real(const char *s, size_t n, double *out)
{
  static const double power[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
  decimal d;
  if (!decimal_read(s, n, &d)) return by_name(s, n, out);
  if (d.count > 19 || d.digits > (uint64_t)1 << 53 || d.exponent < -22 || d.exponent > 22)
    return slowly(s, n, out);
  double x = d.exponent < 0 ? (double)d.digits / power[-d.exponent]
                            : (double)d.digits * power[d.exponent];
  *out = s[0] == '-' ? -x : x;
  return true;
}
