/* unit.h: the harness of the unit tests.  A failed check says where and goes on; a program ends
   with `return unit_end();`, which is 1 when anything failed. */
#ifndef NORN_UNIT_H
#define NORN_UNIT_H
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What numbers of draws are divided by: sanitizers look at the code, whose laws the plain build tests with all of them. */
#ifdef __SANITIZE_ADDRESS__
enum { UNIT_PART = 10 };
#else
enum { UNIT_PART = 1 };
#endif

/* Counts of this program; the one mutable global, since a test is one file. */
static struct { int checks, failed; } unit;

static inline int unit_fail(const char *file, int line)
{
  unit.failed++;
  return fprintf(stderr, "%s:%d: ", file, line);
}

static inline void unit_check(int ok, const char *what, const char *file, int line)
{
  unit.checks++;
  if (ok) return;
  unit_fail(file, line);
  fprintf(stderr, "not true: %s\n", what);
}

static inline void unit_near(double a, double b, double tol, const char *what, const char *file,
                             int line)
{
  unit.checks++;
  if (fabs(a - b) <= tol || a == b) return;
  unit_fail(file, line);
  fprintf(stderr, "%s is %.17g, not %.17g +- %g\n", what, a, b, tol);
}

static inline void unit_str(const char *a, const char *b, const char *what, const char *file,
                            int line)
{
  unit.checks++;
  if (a && b ? strcmp(a, b) == 0 : a == b) return;
  unit_fail(file, line);
  fprintf(stderr, "%s is\n%s\nnot\n%s\n", what, a ? a : "(null)", b ? b : "(null)");
}

static inline int unit_end(void)
{
  printf("%d checks, %d failed\n", unit.checks, unit.failed);
  return unit.failed != 0;
}

#define CHECK(cond) unit_check(!!(cond), #cond, __FILE__, __LINE__)
/* |a - b| <= tol; equal infinities are near, NaN is near nothing. */
#define CHECK_NEAR(a, b, tol) unit_near(a, b, tol, #a, __FILE__, __LINE__)
#define CHECK_STR(a, b) unit_str(a, b, #a, __FILE__, __LINE__)
#endif
