/* test_elsewhere.c: names of other languages: what a hint proposes is there, what it corrects is not. */
#include "unit.h"
#include "norn.h"
#include "lang/parse/elsewhere.h"

static bool defined(norn_state *st, const char *name)
{
  norn_datum v;
  return norn_eval(st, "name.norn", name, strlen(name), 0, &v) == NORN_OK;
}

static void test_pairs(norn_state *st)
{
  const char *there, *here;
  size_t n = 0;
  for (; elsewhere_pair(n, &there, &here); n++) {
    if (defined(st, there)) CHECK_STR(there, "a name that is not defined");
    if (!strchr(here, ' ') && !defined(st, here)) CHECK_STR(here, "a name that is defined");
    const char *again, *other;
    for (size_t i = 0; i < n && elsewhere_pair(i, &again, &other); i++) CHECK(strcmp(again, there));
  }
  CHECK(n > 100);
  CHECK(!elsewhere_find("normal") && !elsewhere_find(""));
}

static void test_hints(norn_state *st)
{
  static const char *cases[][2] = {
    {"flip(0.5)", "did you mean bernoulli?"},
    {"null", "a value that is not there is written missing"},
    {"let normall = 1; normall + norma1l", "did you mean normall?"},
    {"let lengthy = 2; length", "did you mean len?"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    norn_datum v;
    norn_eval(st, "hint.norn", cases[i][0], strlen(cases[i][0]), 0, &v);
    CHECK_STR(norn_error(st)->hint, cases[i][1]);
  }
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  test_pairs(st);
  test_hints(st);
  norn_free(st);
  return unit_end();
}
