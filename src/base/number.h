/* number.h: numbers from text and as text, in any locale: a host may have one whose numbers have a comma. */
#ifndef NORN_BASE_NUMBER_H
#define NORN_BASE_NUMBER_H
#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Correctly rounded.  s[0..n) must end in a 0 byte.  Digits, with sign, point and exponent; also inf and nan. */
bool number_real(const char *s, size_t n, double *out);
/* A 64-bit integer in decimal, with sign; false for anything else and when it overflows. */
bool number_int(const char *s, size_t n, int64_t *out);
/* The number at the beginning of s, as strtod has it in the C locale. */
double number_first(const char *s, char **end);

/* From number_plain to number_plain_end printf of the calling thread writes a point. */
typedef struct number_locale { locale_t c, was; } number_locale;
number_locale number_plain(void);
void          number_plain_end(number_locale);
#endif
