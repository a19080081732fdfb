/* number.h: a real number from text, correctly rounded, in any locale. */
#ifndef NORN_IO_NUMBER_H
#define NORN_IO_NUMBER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* s[0..n) must end in a 0 byte.  Digits, with sign, point and exponent; also inf and nan. */
bool number_real(const char *s, size_t n, double *out);
/* A 64-bit integer in decimal, with sign; false for anything else and when it overflows. */
bool number_int(const char *s, size_t n, int64_t *out);
#endif
