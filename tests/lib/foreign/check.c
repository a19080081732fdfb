/* check.c: what tests/foreign.sh calls from Norn. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Each type there and back. */
#define ECHO(name, type) type echo_##name(type x) { return x; }
ECHO(double, double) ECHO(float, float)
ECHO(int8, int8_t) ECHO(int16, int16_t) ECHO(int32, int32_t) ECHO(int64, int64_t)
ECHO(uint8, uint8_t) ECHO(uint16, uint16_t) ECHO(uint32, uint32_t) ECHO(uint64, uint64_t)
ECHO(bool, bool) ECHO(pointer, void *) ECHO(string, const char *)

/* Arithmetic in the type itself, so that the value was seen by C and not only carried. */
int8_t negate_int8(int8_t x) { return (int8_t)-x; }
uint64_t largest(void) { return UINT64_MAX; }
uint8_t high_byte(uint32_t x) { return (uint8_t)(x >> 24); }
float third(float x) { return x / 3; }
double mixed(int8_t a, double b, uint16_t c, float d, int64_t e, bool f)
{
  return a + b + c + (double)d + (double)e + f;
}
double ninth(double a, double b, double c, double d, double e, double f, double g, double h,
             double i)
{
  return a + 10 * (b + 10 * (c + 10 * (d + 10 * (e + 10 * (f + 10 * (g + 10 * (h + 10 * i)))))));
}
void nothing(void) { }

/* Strings. */
size_t bytes(const char *s) { return strlen(s); }
const char *no_string(void) { return NULL; }
const char *broken(void) { return "\xff\xfe"; }

/* Arrays. */
double sum(const double *x, size_t n) { double s = 0; while (n) s += x[--n]; return s; }
long sum_bytes(const uint8_t *x, int n) { long s = 0; while (n) s += x[--n]; return s; }
int count(const bool *x, int n) { int s = 0; while (n) s += x[--n]; return s; }
float sum_floats(const float *x, int n) { float s = 0; while (n) s += x[--n]; return s; }
void ramp(double *out, int n) { for (int i = 0; i < n; i++) out[i] = i * .5; }
void ramp_ints(int16_t *out, int n) { for (int i = 0; i < n; i++) out[i] = (int16_t)(i - 2); }
int divide(int a, int b, int *rest) { *rest = a % b; return a / b; }
void twice(double *x, size_t n) { while (n) x[--n] *= 2; }
void transpose(const double *a, int rows, int columns, double *out)
{
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j];
}
void overrun(double *x, int n) { x[n] = 1; }
const double *primes(int *n)
{
  static const double p[] = {2, 3, 5, 7, 11};
  *n = 5;
  return p;
}
double by_reference(const double *x, const int *n) { return *x * *n; }

/* Callbacks. */
double apply(double (*f)(double), double x) { return f(x); }
double compose(double (*f)(double), double (*g)(double), double x) { return f(g(x)); }
int repeat(int (*f)(int), int n) { int s = 0; for (int i = 0; i < n; i++) s += f(i); return s; }
double simpson(double (*f)(double, void *), void *user, double a, double b, int n)
{
  double h = (b - a) / n, s = f(a, user) + f(b, user);
  for (int i = 1; i < n; i++) s += (i % 2 ? 4 : 2) * f(a + i * h, user);
  return s * h / 3;
}
/* One step of the midpoint rule for y' = f(t, y). */
void step(int n, double t, double h, double *y, void (*f)(double, const double *, double *))
{
  double *d = calloc((size_t)n * 2 + 1, sizeof *d), *m = d + n;
  f(t, y, d);
  for (int i = 0; i < n; i++) m[i] = y[i] + h / 2 * d[i];
  f(t + h / 2, m, d);
  for (int i = 0; i < n; i++) y[i] += h * d[i];
  free(d);
}
bool all_of(bool (*f)(uint8_t), int n)
{
  for (int i = 0; i < n; i++)
    if (!f((uint8_t)i)) return false;
  return true;
}
float minimum(float (*f)(float, float *), float x, float *slope) { return f(x, slope); }
int calls(void (*f)(void), int n) { for (int i = 0; i < n; i++) f(); return n; }
int on_string(int (*f)(const char *)) { return f("häl"); }
double on_null(double (*f)(const double *)) { return f(NULL); }

/* A resource. */
typedef struct counter { int n; } counter;
counter *counter_new(int n) { counter *c = malloc(sizeof *c); if (c) c->n = n; return c; }
int counter_next(counter *c) { return c->n++; }
void counter_free(counter *c) { free(c); }
int counter_open(counter **out) { return (*out = counter_new(7)) ? 0 : -1; }
bool is_null(const void *p) { return p == NULL; }
