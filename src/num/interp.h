/* interp: curves through points (x[i], y[i]), x rising strictly. */
#ifndef NORN_INTERP_H
#define NORN_INTERP_H
#include <stdbool.h>
#include <stdint.h>

/* How many of the rising x (n) are below t; with `right` how many are not above it. */
int64_t interp_place(const double *x, int64_t n, double t, bool right);
/* The polygon through n >= 1 points at t; before and after them the first and the last y. */
double interp_linear(const double *x, const double *y, int64_t n, double t);
/* Slopes d (n) of the cubics between n >= 2 points whose second derivative has no steps and is 0
   at both ends; scratch (n). */
void interp_natural(const double *x, const double *y, int64_t n, double *d, double *scratch);
/* Slopes d (n) of cubics that rise and fall only where the points do. */
void interp_monotone(const double *x, const double *y, int64_t n, double *d);
/* The cubics of given slopes at t; beyond the ends the straight lines that go on. */
double interp_cubic(const double *x, const double *y, const double *d, int64_t n, double t);
#endif
