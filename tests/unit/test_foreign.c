/* test_foreign.c: foreign functions as a host sees them: how it forbids them (and files), the
   declared derivative, calls of natives from C, and what natives keep while they call Norn. */
#include "norn.h"
#include "unit.h"
#include <math.h>
#include <stdlib.h>

static const char bessel[] =
    "foreign \"libm.so.6\" {\n"
    "  fn j0(x: c_double) -> c_double derivative x -> -j1(x)\n"
    "  fn j1(x: c_double) -> c_double\n"
    "  fn pow(x: c_double, y: c_double) -> c_double derivative "
    "(x, y) -> [y * x^(y - 1), x^y * log(x)]\n"
    "  fn ldexp(x: c_double, n: c_int = 1) -> c_double\n"
    "}\n";

static norn_state *made(bool no_foreign, bool no_files)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  c.no_foreign = no_foreign;
  c.no_files = no_files;
  return norn_new(&c);
}

static norn_status eval(norn_state *st, const char *text, norn_datum *out)
{
  return norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, out);
}

static void refuses(norn_state *st, const char *text, const char *message)
{
  norn_datum v;
  CHECK(eval(st, text, &v) != NORN_OK);
  if (!strstr(norn_error(st)->text, message))
    fprintf(stderr, "%s: %s\n", text, norn_error(st)->text);
  CHECK(strstr(norn_error(st)->text, message) != NULL);
}

static void forbidden(void)
{
  norn_datum v;
  norn_state *st = made(true, false);
  refuses(st, bessel, "foreign functions are turned off here");
  CHECK(norn_load_plugin(st, "./x.so") == NORN_EUSE);
  CHECK(strstr(norn_error(st)->text, "plug-ins are turned off here") != NULL);
  CHECK(eval(st, "file_exists(\"no such file\")", &v) == NORN_OK && v.tag == NORN_BOOL);
  norn_free(st);
  st = made(false, true);
  CHECK(eval(st, bessel, &v) == NORN_OK);
  static const char *const files[] = {
      "read_text(\"f\")", "read_lines(\"f\")", "write_text(\"a\", \"f\")", "file_exists(\"f\")",
      "read_json(\"f\")", "write_json(1, \"f\")", "read_csv(\"f\")", "write_csv({a: [1]}, \"f\")",
      "load(\"f\")",
      "model m() { let x ~ bernoulli(0.5); x }\nsave(infer(m(), enumerate()), \"f\")"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    refuses(st, files[i], "reading and writing files is turned off here");
  CHECK(eval(st, "to_json([1])", &v) == NORN_OK);
  norn_config_of(st)->no_files = false;
  CHECK(eval(st, "file_exists(\"no such file\")", &v) == NORN_OK);
  norn_free(st);
}

static double call(norn_state *st, norn_datum f, double x, double y, int n)
{
  norn_datum args[2] = {norn_real(x), norn_real(y)}, out;
  double d = NAN;
  CHECK(norn_call(st, f, args, n, &out) == NORN_OK);
  norn_as_real(out, &d);
  return d;
}

/* d j0/dx = -j1 and (y x^(y-1), x^y log x), against the C library and central differences. */
static void derivatives(void)
{
  norn_datum v, args[2] = {norn_real(2), norn_real(3)};
  norn_view view;
  norn_state *st = made(false, false);
  CHECK(eval(st, bessel, &v) == NORN_OK);
  norn_datum f = norn_global(st, "j0"), d = norn_foreign_derivative(st, f);
  CHECK(norn_kind_of(f) == NORN_NATIVE && norn_kind_of(d) == NORN_FUN);
  double h = 1e-5, x = 1.25;
  double slope = (call(st, f, x + h, 0, 1) - call(st, f, x - h, 0, 1)) / (2 * h);
  CHECK(call(st, f, x, 0, 1) == j0(x));
  CHECK(call(st, d, x, 0, 1) == -j1(x));
  CHECK(fabs(call(st, d, x, 0, 1) - slope) < 1e-9);
  d = norn_foreign_derivative(st, norn_global(st, "pow"));
  CHECK(norn_call(st, d, args, 2, &v) == NORN_OK && norn_array_view(v, &view) && view.n == 2);
  CHECK(view.f[0] == 12 && fabs(view.f[1] - 8 * log(2)) < 1e-14);
  CHECK(norn_is_none(norn_foreign_derivative(st, norn_global(st, "j1"))));
  CHECK(norn_is_none(norn_foreign_derivative(st, norn_int(1))));
  CHECK(eval(st, "sqrt", &v) == NORN_OK && norn_is_none(norn_foreign_derivative(st, v)));
  norn_free(st);
}

static void natives(void)
{
  norn_datum v, args[3] = {norn_real(3), norn_int(2), norn_int(1)};
  norn_state *st = made(false, false);
  CHECK(eval(st, bessel, &v) == NORN_OK);
  norn_datum f = norn_global(st, "ldexp");
  CHECK(norn_call(st, f, args, 2, &v) == NORN_OK && v.tag == NORN_REAL && v.d == 12);
  CHECK(norn_call(st, f, args, 1, &v) == NORN_OK && v.d == 6);
  CHECK(norn_call(st, f, args, 3, &v) == NORN_ETYPE);
  CHECK(norn_call(st, f, args, 0, &v) == NORN_ETYPE);
  const char *doc = norn_doc(st, "ldexp");
  CHECK(doc && strstr(doc, "ldexp(x: c_double, n: c_int = 1)") != NULL);
  CHECK(doc && strstr(doc, "of libm.so.6") != NULL);
  norn_free(st);
}

/* A native that borrows doubles and then calls Norn, whose natives borrow too. */
static norn_status sum_by(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t count;
  norn_datum v;
  double s = 0;
  const double *x = norn_want_reals(st, args, 0, "xs", &count);
  (void)n;
  if (!x) return norn_error(st)->code;
  for (int64_t i = 0; i < count; i++) {
    norn_status code = norn_call(st, args[1], &(norn_datum){.tag = NORN_REAL, .d = x[i]}, 1, &v);
    if (code) return code;
    s += v.d;
  }
  *out = norn_real(s);
  return NORN_OK;
}
static const norn_native own[] = {{"sum_by", "xs, f", "The sum of f over xs.", sum_by, 0, NULL}};

static void scratch(void)
{
  norn_datum v;
  norn_state *st = made(false, false);
  CHECK(norn_add_natives(st, NULL, own, 1) == NORN_OK);
  CHECK(eval(st, "sum_by(0..1000, x -> mean(0..10) + 2 * x)", &v) == NORN_OK);
  CHECK(v.tag == NORN_REAL && v.d == 4500 + 999000);
  norn_free(st);
}

int main(void)
{
  forbidden();
  derivatives();
  natives();
  scratch();
  return unit_end();
}
