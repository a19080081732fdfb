/* test_locale.c: in a host whose numbers have a comma the library reads and writes as ever: defaults of options and of
   natives, files that are read again, generated text, what programs print.  The locale is made by localedef; where
   that can't be, the test is skipped. */
#include "base/base.h"
#include "base/number.h"
#include "infer/net/net_train.h"
#include "unit.h"
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

/* The host's numbers have a comma from here on, or (false) a point. */
static bool comma(bool on) { return setlocale(LC_ALL, on ? "de_DE.UTF-8" : "C") != NULL; }

static bool has_comma(void)
{
  char s[8];
  snprintf(s, sizeof s, "%.1f", 0.5);
  return s[1] == ',';
}

/* A folder with the locale, if localedef makes it; to be removed. */
static void make_locale(const char *folder)
{
  char command[300];
  snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
  if (!system(command)) setenv("LOCPATH", folder, 1);
}

static void test_numbers(void)
{
  static const struct { const char *s; double x; } whole[] = {
    { "0.25", .25 }, { "-1.5e-3", -1.5e-3 }, { "3.14159265358979323846264", M_PI }, { "0x1.8p+1", 3 } };
  char *end;
  double x;
  for (int k = 0; k < NORN_COUNT(whole); k++) CHECK(number_first(whole[k].s, &end) == whole[k].x && *end == 0);
  CHECK(number_first("0.5]", &end) == .5 && *end == ']');
  CHECK(number_real("3.14159265358979323846264", 25, &x) && x == M_PI);
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  text_printf(&t, "%.1f %g %.17g", 1000., .5, .1);
  CHECK_STR(t.s, "1000.0 0.5 0.10000000000000001");
  text_free(&t);
  CHECK(has_comma());                            /* and the host's is as it was */
}

static norn_datum value(norn_state *st, const char *program)
{
  norn_datum v = norn_none();
  if (norn_eval(st, "program", program, strlen(program), NORN_LOAD_REPL, &v)) printf("%s\n", norn_error(st)->text);
  return v;
}

static norn_status first(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)st, (void)n;
  *out = args[0];
  return NORN_OK;
}

static void test_programs(norn_state *st)
{
  static const norn_native natives[] = { { .name = "half", .params = "x = 0.5", .doc = "Its argument.", .f = first } };
  CHECK(!norn_add_natives(st, NULL, natives, 1));
  const char *s = norn_show(st, value(st, "\"{half()} {format_real(0.5, 2)} {1e-3}\""), false, 0);
  CHECK_STR(s ? s : "nothing", "0.5 0.50 0.001");
}

/* Defaults of options that have a point. */
static void test_options(norn_state *st)
{
  static const char *const engines[] = { "nuts()", "smc(10)", "npe()", "amortized(\"x\")" };
  for (int k = 0; k < NORN_COUNT(engines); k++) {
    norn_datum v = value(st, engines[k]);
    const norn_engine *e = norn_engine_view(v, NULL);
    int n = 0;
    for (int i = 0; e && i < e->noptions; i++) {
      if (!e->options[i].fallback || strncmp(e->options[i].fallback, "0.", 2)) continue;
      double x = 0;
      CHECK(norn_as_real(engine_option(st, v, i), &x) && x > 0);
      n++;
    }
    CHECK(n > 0);
  }
}

static net_training *trained(norn_state *st, int64_t steps)
{
  net_spec spec;
  if (!net_spec_read(st, value(st, "npe(d = 8, layers = 1, heads = 1, ff = 8, batch = 8)"), &spec)) return NULL;
  spec.steps = 4;
  net_training *t = net_training_new(st, value(st, "coin(true)"), &spec, 0, 1);
  for (int64_t i = 0; t && i < steps; i++) CHECK(net_training_step(t) == NORN_STEP_MORE);
  return t;
}

/* A training that was saved where numbers have a comma goes on where they have a point, and the other way round. */
static void test_training(norn_state *st, const char *folder)
{
  char path[100];
  snprintf(path, sizeof path, "%s/net.safetensors", folder);
  value(st, "model coin(y) { let p ~ beta(1, 1); observe y ~ bernoulli(p); p }");
  for (int from = 0; from < 2; from++) {
    CHECK(comma(from));
    net_training *a = trained(st, 2), *b = NULL;
    CHECK(a && !net_training_save(a, path) && comma(!from));
    CHECK((b = net_training_load(st, value(st, "coin(true)"), path)) != NULL);
    if (a && b) CHECK(a->loss == b->loss && a->weight == b->weight && a->looked == b->looked && a->loss != 0);
    net_training_free(a);
    net_training_free(b);
  }
  CHECK(comma(true));
}

int main(void)
{
  char folder[] = "/tmp/norn_locale_XXXXXX", command[100];
  if (!mkdtemp(folder)) return 99;
  make_locale(folder);
  bool there = comma(true) && has_comma();
  if (there) {
    norn_config c = norn_config_default();
    c.quiet = true;
    norn_state *st = norn_new(&c);
    test_numbers();
    test_programs(st);
    test_options(st);
    test_training(st, folder);
    norn_free(st);
  }
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command)) return 99;
  return there ? unit_end() : 77;
}
