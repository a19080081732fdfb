/* matrix.c: a matrix product and a Cholesky factor as plain loops. */
#include "limits.h"
#include <math.h>
#include <string.h>

void limit_product(const double *a, double *c, int n)
{
  memset(c, 0, sizeof *c * (size_t)n * (size_t)n);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++)
      for (int j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * a[k * n + j];
}

void limit_cholesky(const double *a, double *l, int n)
{
  for (int i = 0; i < n; i++)
    for (int j = 0; j <= i; j++) {
      double s = a[i * n + j];
      for (int k = 0; k < j; k++) s -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i == j ? sqrt(s) : s / l[j * n + j];
    }
}
