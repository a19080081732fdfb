/* test_posteriordb: the two forms of each public posterior, loops and whole arrays, are one density: at
   random points they agree to 1e-10, and their gradients. */
#include "pair.h"
#include "unit.h"
#include <unistd.h>

enum { POINTS = 20, MOST = 100 };

static norn_density *density(norn_state *st, const char *path, const char *more)
{
  char b[900];
  norn_datum m = pair_model(st, path, more);
  norn_density *d = norn_is_none(m) ? NULL : norn_density_new(st, m, 1, 0);
  if (!d) {
    norn_error_text(st, norn_error(st), b, sizeof b);
    fprintf(stderr, "%s%s: %s\n", path, more, b);
  }
  return d;
}

/* The largest difference of densities and gradients, relative to 1 + |value|. */
static double apart(norn_density *a, norn_density *b, int64_t n)
{
  double u[MOST], g[MOST], h[MOST], p, q, worst = 0;
  norn_rng rng = {.stream = 3};
  for (int k = 0; k < POINTS; k++) {
    for (int64_t i = 0; i < n; i++) u[i] = norn_rng_normal(&rng);
    if (norn_density_eval(a, u, &p, g) || norn_density_eval(b, u, &q, h)) return HUGE_VAL;
    double error = p == q ? 0 : fabs(p - q) / (1 + fabs(p));
    for (int64_t i = 0; i < n && p > -HUGE_VAL; i++)
      error = fmax(error, fabs(g[i] - h[i]) / (1 + fabs(g[i])));
    worst = fmax(worst, error);
  }
  return worst;
}

static void check_pair(const char *file)
{
  norn_state *st = norn_new(NULL), *other = norn_new(NULL);
  norn_density *a = density(st, file, ""), *b = density(other, file, "_vectors");
  CHECK(a && b);
  if (a && b) {
    int64_t n = norn_density_dim(a);
    CHECK(n == norn_density_dim(b) && n <= MOST);
    double e = n == norn_density_dim(b) && n <= MOST ? apart(a, b, n) : HUGE_VAL;
    printf("%-28s dim %3lld: apart by %.1e\n", file, (long long)n, e);
    CHECK(e <= 1e-10);
  }
  norn_density_free(a);
  norn_density_free(b);
  norn_free(st);
  norn_free(other);
}

int main(void)
{
  char folder[500];
  struct dirent **list;
  const char *top = getenv("srcdir");
  snprintf(folder, sizeof folder, "%s/examples/posteriordb", top ? top : ".");
  int n = chdir(folder) ? -1 : scandir(".", &list, pair_file, alphasort);
  CHECK(n >= 7);
  for (int i = 0; i < n; i++) {
    check_pair(list[i]->d_name);
    free(list[i]);
  }
  if (n >= 0) free(list);
  return unit_end();
}
