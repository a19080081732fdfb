/* distribution: a family that Norn does not have, as one row of functions.

   Rayleigh(sigma): the length of a vector whose two coordinates are normal(0, sigma).
     p(x) = x / sigma^2 exp(-x^2 / (2 sigma^2)), x > 0
   A SCALAR row sees its parameters as doubles; arrays of parameters, shapes, printing and errors
   are Norn's business.  Every engine can use it at once. */
#include <norn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *check(const double *p, int *which)
{
  *which = 0;
  return p[0] > 0 ? NULL : "sigma of rayleigh must be positive";
}

static double logp(double x, const double *p)
{
  if (!(x > 0)) return -INFINITY;
  return log(x) - 2 * log(p[0]) - x * x / (2 * p[0] * p[0]);
}

static double draw(const double *p, norn_rng *rng)
{
  return p[0] * sqrt(2 * norn_rng_exponential(rng));
}

static double cdf(double x, const double *p)
{
  return x > 0 ? -expm1(-x * x / (2 * p[0] * p[0])) : 0;
}

static void support(norn_state *st, const norn_dist *d, norn_support *s)
{
  (void)st; (void)d;
  *s = (norn_support){ .kind = NORN_SUPPORT_LOWER, .lower = 0, .upper = INFINITY, .size = 1 };
}

static const norn_dist_row rayleigh = {
  .name = "rayleigh", .params = "sigma",
  .doc = "The length of a vector with two normal(0, sigma) coordinates.",
  .flags = NORN_DIST_CONTINUOUS | NORN_DIST_SCALAR,
  .check1 = check, .logp1 = logp, .sample1 = draw, .cdf1 = cdf, .support = support,
};

/* Wind speeds in m/s.  With the prior sigma^2 ~ inv_gamma(2, 10) the posterior is
   inv_gamma(2 + 5, 10 + sum(x^2) / 2): its mean is (10 + 71.13) / 6 = 13.52. */
static const char program[] =
  "model wind(speeds) {\n"
  "  let variance ~ inv_gamma(2, 10)\n"
  "  for x in speeds { observe x ~ rayleigh(sqrt(variance)) }\n"
  "  variance\n"
  "}\n"
  "let post = infer(wind([3.1, 5.4, 7.2, 2.6, 6.7]), importance(20000))\n"
  "print(\"variance {round(mean(post) * 10) / 10}\")\n"
  "print(\"below 5 m/s: {round(cdf(rayleigh(4), 5) * 1000) / 1000}\")\n"
  "rayleigh(-1)\n";

int main(void)
{
  char message[1024];
  norn_datum v;
  norn_state *st = norn_new(NULL);
  if (!st || norn_add_dists(st, &rayleigh, 1) != NORN_OK) return 1;
  norn_status status = norn_eval(st, "wind", program, sizeof program - 1, 0, &v);
  norn_error_text(st, norn_error(st), message, sizeof message);
  fputs(message, stdout);
  norn_free(st);
  return status != NORN_EDOMAIN;   /* the last line is a mistake on purpose */
}
