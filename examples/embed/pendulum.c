/* pendulum: a numerical routine of one's own, for examples/foreign_function.norn.

   A pendulum that is let go at an angle a swings with the period 2 pi sqrt(l / g) / M(1, cos(a / 2)),
   where M is the arithmetic-geometric mean (Gauss 1799; Carvalhaes and Suppes 2008, equation 3).  The
   file knows nothing of Norn: cc -shared -fPIC -o pendulum.so pendulum.c -lm */
#include <math.h>

/* periods[i] for angles[i] in degrees; length in metres, gravity in m/s^2. */
void pendulum_periods(double length, double gravity, const double *angles, int n, double *periods)
{
  const double pi = acos(-1);
  for (int i = 0; i < n; i++) {
    double a = 1, b = cos(angles[i] * pi / 360);
    while (fabs(a - b) > 1e-15 * a) {
      double mean = (a + b) / 2;
      b = sqrt(a * b);
      if (mean == a) break;
      a = mean;
    }
    periods[i] = 2 * pi * sqrt(length / gravity) / a;
  }
}

/* Where f changes its sign between low and high, by bisection. */
double pendulum_root(double (*f)(double), double low, double high)
{
  int rising = f(low) < 0;
  for (int i = 0; i < 60; i++) {
    double middle = low + (high - low) / 2;
    if ((f(middle) < 0) == rising) low = middle;
    else high = middle;
  }
  return low;
}
