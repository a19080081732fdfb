/* test_gradient: models of the kinds that people fit (tests/models), each at random points: the log
   density is the one that MPFR gives (walk.h), and so is each element of the gradient: beside the
   central difference of MPFR's density at a step of 2^-70, whose error is some 1e-40, and beside that
   of the recorded density itself in doubles.

   A model file ends in its model.  Where that needs functions that bigs lack (matrix products,
   Cholesky's factor), `exact` is the same model without them.  `tolerance` is for models that lose
   digits by themselves, as differences of probabilities do. */
#include "walk.h"
#include <dirent.h>

enum { POINTS = 10, ALL = 16 };          /* more coordinates than ALL: some, and directions */
#define STEP 0x1p-70
#define DIFF 1e-5
/* Relative to 1 + |value|. */
#define TOL_DENSITY 1e-13
#define TOL_GRADIENT 1e-12
#define TOL_DIFFERENCE 1e-6

static norn_state *st;

static bool text_of(const char *what)
{
  char b[900];
  norn_error_text(st, norn_error(st), b, sizeof b);
  fprintf(stderr, "  %s: %s\n", what, b);
  norn_clear(st);
  return false;
}

typedef struct errors { double density, gradient, difference; } errors;

static void worse(double *worst, double error)
{
  if (error > *worst || error != error) *worst = error;
}

/* The derivative along v: by the gradient, MPFR, and differences in doubles. */
static bool along(norn_density *d, const norn_ref *exact, const double *u, const double *g,
                  const double *v, int n, errors *e)
{
  double mine = 0, up, down, w[WALK_NUMBERS];
  mpfr_t a, b;
  mpfr_inits2(BIG_BITS, a, b, (mpfr_ptr)0);
  bool good = walk_density(st, norn_get(exact), u, v, STEP, n, a) &&
              walk_density(st, norn_get(exact), u, v, -STEP, n, b);
  mpfr_sub(a, a, b, MPFR_RNDN);
  double want = mpfr_get_d(a, MPFR_RNDN) / (2 * STEP);
  mpfr_clears(a, b, (mpfr_ptr)0);
  for (int i = 0; i < n; i++) mine += g[i] * v[i];
  worse(&e->gradient, fabs(mine - want) / (1 + fabs(want)));
  for (int i = 0; i < n; i++) w[i] = u[i] + DIFF * v[i];
  norn_density_eval(d, w, &up, NULL);
  for (int i = 0; i < n; i++) w[i] = u[i] - DIFF * v[i];
  norn_density_eval(d, w, &down, NULL);
  worse(&e->difference, fabs(mine - (up - down) / (2 * DIFF)) / (1 + fabs(mine)));
  return good;
}

static bool point(norn_density *d, const norn_ref *exact, norn_rng *rng, int n, errors *e)
{
  double u[WALK_NUMBERS], g[WALK_NUMBERS], v[WALK_NUMBERS], logp;
  bool good = true;
  mpfr_t z;
  for (int i = 0; i < n; i++) u[i] = 0.7 * norn_rng_normal(rng);
  if (norn_density_eval(d, u, &logp, g)) return text_of("evaluation");
  mpfr_init2(z, BIG_BITS);
  good = walk_density(st, norn_get(exact), u, NULL, 0, n, z);
  double want = mpfr_get_d(z, MPFR_RNDN);
  mpfr_clear(z);
  worse(&e->density, logp == want ? 0 : fabs(logp - want) / (1 + fabs(want)));
  if (!good || !(logp > -HUGE_VAL)) return good;
  for (int k = 0; good && k < (n < ALL ? n : ALL); k++) {
    memset(v, 0, sizeof v);
    if (n <= ALL || k < ALL / 2) v[n <= ALL ? k : (int)norn_rng_below(rng, (uint64_t)n)] = 1;
    else for (int i = 0; i < n; i++) v[i] = norn_rng_normal(rng) / sqrt(n);
    good = along(d, exact, u, g, v, n, e);
  }
  return good;
}

static bool check_model(norn_datum model, norn_datum other, const char *name)
{
  errors e = {0, 0, 0};
  double own = 0;
  norn_as_real(norn_global(st, "tolerance"), &own);
  norn_ref *kept = norn_keep(st, model), *exact = norn_keep(st, other);
  norn_density *d = norn_density_new(st, norn_get(kept), 7, 0);
  bool good = d || text_of(name);
  norn_rng rng = {.stream = 11, .lane = (uint32_t)norn_hash(norn_string(st, name, strlen(name)))};
  int n = d ? (int)norn_density_dim(d) : 0;
  for (int i = 0; good && i < POINTS; i++) good = point(d, exact, &rng, n, &e);
  printf("%-24s dim %3d: density off by %.1e, gradient by %.1e, differences by %.1e%s\n", name, n,
         e.density, e.gradient, e.difference, good ? "" : "  FAILED");
  norn_density_free(d);
  norn_drop(kept);
  norn_drop(exact);
  return good && e.density < fmax(own, TOL_DENSITY) && e.gradient < fmax(own, TOL_GRADIENT) &&
         e.difference < fmax(1000 * own, TOL_DIFFERENCE);
}

/* A state of its own for each: names do not meet. */
static bool check_file(const char *folder, const char *file)
{
  char path[800], name[80];
  norn_datum model;
  snprintf(path, sizeof path, "%s/%s", folder, file);
  snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - 5), file);
  st = norn_new(NULL);
  bool good = !norn_eval_file(st, path, &model) || text_of(file);
  norn_datum exact = good ? norn_global(st, "exact") : norn_none();
  if (good) good = check_model(model, norn_is_none(exact) ? model : exact, name);
  norn_free(st);
  return good;
}

static int is_model(const struct dirent *e)
{
  size_t n = strlen(e->d_name);
  return n > 5 && n < 80 && !strcmp(e->d_name + n - 5, ".norn");
}

int main(int argc, char **argv)
{
  char folder[500];
  struct dirent **list;
  const char *top = getenv("srcdir");
  snprintf(folder, sizeof folder, "%s/tests/models", top ? top : ".");
  int n = scandir(folder, &list, is_model, alphasort);
  CHECK(argc > 1 || n >= 40);
  for (int i = 0; i < n; i++) {
    bool wanted = argc < 2;
    for (int k = 1; k < argc; k++) wanted |= !strncmp(argv[k], list[i]->d_name, strlen(argv[k]));
    if (wanted && !check_file(folder, list[i]->d_name)) {
      fprintf(stderr, "%s: the gradient is not right\n", list[i]->d_name);
      CHECK(0);
    } else CHECK(1);
    free(list[i]);
  }
  if (n >= 0) free(list);
  for (int i = 0; i < pool.made; i++) mpfr_clear(pool.v[i]);
  return unit_end();
}
