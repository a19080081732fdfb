/* Programs as a host sees them: loading, modules through the hook, globals, natives and constants
   of its own, completion and docs; and the same with every request for memory failing once. */
#include "unit.h"
#include "norn.h"
#include <stdlib.h>

static norn_datum eval(norn_state *st, const char *text)
{
  norn_datum v = norn_none();
  if (norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &v)) return norn_none();
  return v;
}

static int64_t eval_int(norn_state *st, const char *text)
{
  norn_datum v = eval(st, text);
  return v.tag == NORN_INT ? v.i : -999;
}

/* The program fails, and its error says `what`. */
static void fails(norn_state *st, const char *text, const char *what)
{
  unit.checks++;
  norn_datum v = eval(st, text);
  if (norn_is_none(v) && strstr(norn_error(st)->text, what)) return;
  unit_fail(__FILE__, __LINE__);
  fprintf(stderr, "%s\ngives \"%s\", not \"%s\"\n", text, norn_error(st)->text, what);
}

/* ---- what a host adds ---- */

static norn_status add3(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t sum = 0, x;
  for (int i = 0; i < n; i++) {
    if (!norn_want_int(st, args, i, "a summand", &x)) return NORN_ETYPE;
    sum += x;
  }
  *out = norn_int(sum);
  return NORN_OK;
}

static norn_status text_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)st;
  (void)n;
  *out = args[0];
  return NORN_OK;
}

static const norn_native natives[] = {
  {"h_add", "a, b = 10, c = -1", "Adds.", add3, NORN_PURE, NULL},
  {"h_sum", "first, more", "Sums.", add3, NORN_VARIADIC, NULL},
  {"h_text", "s = \"a \\\"b\\\", c\"", "A text.", text_of, 0, NULL},
  {"h_none", "s = ()", "Nothing.", text_of, 0, NULL},
  {"h_list", "s = []", "A list.", text_of, 0, NULL},
  {"h_bool", "s = true", "A boolean.", text_of, 0, NULL},
  {"h_real", "s = -1.5e3", "A real.", text_of, 0, NULL},
};
static const norn_native inside[] = {{"double_it", "a", "Twice.", add3, 0, NULL}};
static const char library[] = "## Four.\nfn four() = double_it(2) + 2\nlet five = four() + 1\n";

/* A variant and a run as a host looks at them. */
static void test_views(norn_state *st)
{
  const norn_datum *fields;
  int n;
  norn_datum v = eval(st, "type Shape = Dot | Box(w, h)\nBox(3, 4)");
  const char *name = norn_data_view(st, v, &fields, &n);
  CHECK(name && !strcmp(name, "Box"));
  CHECK(n == 2 && fields[0].i == 3 && fields[1].i == 4);
  name = norn_data_view(st, eval(st, "Dot"), &fields, &n);
  CHECK(name && !strcmp(name, "Dot") && n == 0);
  CHECK(!norn_data_view(st, norn_int(1), &fields, &n));
  norn_run *r = norn_run_new(st, eval(st, "() -> 1"), NULL, 0);
  CHECK(r && norn_run_state(r) == st);
  norn_run_stream(r, 1, 7, 0);
  CHECK(norn_run_lane(r) == 7);
  norn_run_free(r);
}

static void test_natives(norn_state *st)
{
  CHECK(norn_add_natives(st, NULL, natives, 7) == NORN_OK);
  CHECK(norn_add_natives(st, "host", inside, 1) == NORN_OK);
  CHECK(norn_add_library(st, "host", (const unsigned char *)library, sizeof library - 1) ==
        NORN_OK);
  CHECK(norn_add_constant(st, "h_name", norn_cstring(st, "a constant of the host"), "Its name.") ==
        NORN_OK);
  CHECK(norn_add_constant(st, "h_answer", norn_int(42), NULL) == NORN_OK);
  CHECK(eval_int(st, "h_add(1)") == 10);
  CHECK(eval_int(st, "h_add(1, c = 5)") == 16);
  CHECK(eval_int(st, "let f = h_add\nf(1, 2)") == 2);
  CHECK(eval_int(st, "h_sum(1, 2, 3, 4)") == 10);
  CHECK(eval_int(st, "h_sum(1)") == 1);
  CHECK(norn_equal(eval(st, "h_text()"), norn_cstring(st, "a \"b\", c")));
  CHECK(eval(st, "h_none()").tag == NORN_UNIT);
  CHECK(norn_array_length(eval(st, "h_list()")) == 0);
  CHECK(eval(st, "h_bool()").i == 1);
  CHECK_NEAR(eval(st, "h_real()").d, -1500, 0);
  CHECK(eval_int(st, "import host\nhost.four() + host.double_it(1) + host.five") == 10);
  CHECK(eval_int(st, "h_answer") == 42);
  fails(st, "double_it(1)", "double_it is not defined");
  fails(st, "h_add()", "h_add");
  fails(st, "h_add(1, d = 2)", "d");
  /* Constants and defaults live through collections. */
  eval(st, "let waste = [for i in 0..20000 { [i, i + 1] } for j in 0..20]");
  CHECK(norn_equal(eval(st, "h_name"), norn_cstring(st, "a constant of the host")));
  CHECK(norn_equal(eval(st, "h_text()"), norn_cstring(st, "a \"b\", c")));
}

/* ---- modules through the hook ---- */

static char *load(void *user, const char *name, const char *importer, size_t *n)
{
  static const char *const texts[][2] = {
      {"one", "import two\nlet x = two.y + 1"},
      {"two", "let y = 1"},
      {"bad", "let x = "},
      {"wrong", "let x = nothing_of_that_name"},
      {"ring", "import ring2\nlet x = 1"},
      {"ring2", "import ring\nlet x = 1"},
  };
  (void)importer;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!strcmp(name, texts[i][0])) {
      const char *t = ++*(int *)user > 10 && i == 1 ? "let y = 20" : texts[i][1];   /* edited */
      *n = strlen(t);
      char *s = malloc(*n + 1);
      if (s) memcpy(s, t, *n + 1);
      return s;
    }
  return NULL;
}

static void test_hook(norn_state *st, int *loads)
{
  CHECK(eval_int(st, "import one\none.x") == 2);
  CHECK(*loads == 2);
  CHECK(eval_int(st, "import two as t\nt.y") == 1);
  fails(st, "import ring", "circle: ring -> ring2 -> ring");
  fails(st, "import bad", "");
  fails(st, "import wrong", "nothing_of_that_name is not defined");
  fails(st, "import wrong", "nothing_of_that_name is not defined"); /* forgotten, so said again */
  fails(st, "import no_module_of_that_name", "there is no module no_module_of_that_name");
  fails(st, "import \"/no/such/file.norn\" as f", "No such file");
  CHECK(eval_int(st, "one.x + t.y") == 3);
  *loads = 10;                                     /* from now on `two` has another text */
  CHECK(eval_int(st, "import two\ntwo.y + t.y") == 21);
}

/* ---- globals ---- */

static void test_globals(norn_state *st)
{
  CHECK(norn_is_none(norn_global(st, "g_a")));
  CHECK(norn_set_global(st, "g_a", norn_int(5)) == NORN_OK);
  CHECK(norn_global(st, "g_a").i == 5);
  CHECK(eval_int(st, "g_a + 1") == 6);
  CHECK(eval_int(st, "let g_a = 7\ng_a") == 7);
  CHECK(norn_global(st, "g_a").i == 7);
  CHECK(norn_set_global(st, "g_a", norn_int(8)) == NORN_OK);
  CHECK(eval_int(st, "g_a") == 8);
  /* A script sees the host's data, not the session's names; then it is what norn_global sees. */
  norn_datum v;
  const char *script = "let only_here = g_a * 2\nfn f() = only_here\nf()";
  CHECK(norn_eval(st, "script", script, strlen(script), 0, &v) == NORN_OK && v.i == 16);
  CHECK(norn_global(st, "only_here").i == 16);
  CHECK(norn_global(st, "f").tag == NORN_FUN);
  CHECK(norn_call(st, norn_global(st, "f"), NULL, 0, &v) == NORN_OK && v.i == 16);
  CHECK(norn_is_none(eval(st, "only_here")));
}

/* A load that fails defines nothing; a definition whose run failed leaves the old one. */
static void test_session(norn_state *st)
{
  CHECK(eval_int(st, "let s_x = 1\ns_x") == 1);
  fails(st, "let s_x = 2\nlet s_y = s_unknown", "s_unknown is not defined");
  CHECK(eval_int(st, "s_x") == 1);
  fails(st, "s_y", "s_y is not defined");
  fails(st, "let s_x = [1][5]", "index 5");
  CHECK(eval_int(st, "s_x") == 1);
  CHECK(eval_int(st, "fn s_f() = s_x\nlet s_x = 3\ns_f()") == 3);
  CHECK(eval_int(st, "let s_x = 4\ns_f()") == 3);         /* compiled before: keeps the old one */
  CHECK(eval_int(st, "type S = SA | SB(v)\nmatch SB(3) { SA -> 0, SB(v) -> v }") == 3);
  norn_run *r = norn_load(st, "part", "fn f(a) {", 9, NORN_LOAD_REPL);
  CHECK(!r && norn_error(st)->code == NORN_EINCOMPLETE);
  r = norn_load(st, "bad", "let x = = 1\nlet y = * 2", 23, NORN_LOAD_REPL);
  CHECK(!r && norn_error(st)->code == NORN_ESYNTAX);
  CHECK(norn_diag_count(st) == 2);
  bool warning = true;
  CHECK(norn_diag_at(st, 1, &warning)->span.start > 11 && !warning);
  CHECK(!norn_diag_at(st, 2, NULL) && !norn_diag_at(st, -1, NULL));
  r = norn_load(st, "check", "let checked = 1", 15, NORN_LOAD_CHECK);
  CHECK(!r && norn_error(st)->code == NORN_OK && norn_diag_count(st) == 0);
}

/* ---- completion and docs ---- */

typedef struct list { char text[4000]; int n; } list;

static void gather(void *user, const char *name)
{
  list *l = user;
  snprintf(l->text + strlen(l->text), sizeof l->text - strlen(l->text), "%s ", name);
  l->n++;
}

static void completes(norn_state *st, const char *prefix, const char *want)
{
  list l = {"", 0};
  norn_complete(st, prefix, gather, &l);
  CHECK_STR(l.text, want);
}

static bool documents(norn_state *st, const char *name, const char *what)
{
  const char *doc = norn_doc(st, name);
  return doc && strstr(doc, what);
}

static void test_docs(norn_state *st)
{
  eval(st, "let c_rec = {alpha: 1, alto: {inner: 2}, beta: 3}\nimport host as c_host\n## "
           "Sentence.\nfn c_fun(a, b = 2) = a\nmodel c_mod(x) { x }");
  completes(st, "c_", "c_fun c_host c_mod c_null c_rec ");
  completes(st, "c_rec.al", "c_rec.alpha c_rec.alto ");
  completes(st, "c_rec.alto.", "c_rec.alto.inner ");
  completes(st, "c_host.f", "c_host.five c_host.four ");
  completes(st, "h_a", "h_add h_answer ");
  completes(st, "obse", "observe ");
  completes(st, "@", "");
  completes(st, "c_fun.", "");
  completes(st, "no_such_name", "");
  CHECK(documents(st, "c_fun", "c_fun(a, b = 2)") && documents(st, "c_fun", "Sentence."));
  CHECK(documents(st, "c_mod", "model c_mod(x)"));
  CHECK(documents(st, "h_add", "h_add(a, b = 10, c = -1)"));
  CHECK(documents(st, "h_answer", "= 42"));
  CHECK(documents(st, "c_host.four", "Four."));
  CHECK(documents(st, "host", "double_it, five, four"));
  CHECK(documents(st, "for", "next"));
  CHECK(documents(st, "infer", "posterior"));
  CHECK(!norn_doc(st, "no_such_name") && !norn_doc(st, "") && !norn_doc(st, "@defdist") &&
        !norn_doc(st, "a.b.c"));
}

/* ---- memory that runs out ---- */

typedef struct failing { uint64_t n, fail_at; size_t used; } failing;

static void *fail_alloc(void *user, void *p, size_t old, size_t n)
{
  failing *f = user;
  if (n && ++f->n == f->fail_at) return NULL;
  f->used = f->used - old + n;
  if (n) return realloc(p, n);
  free(p);
  return NULL;
}

static const char small_program[] =
  "type T = A(x) | B\nfn f(t: T, k = 2) = match t { A(x) -> x * k, B -> 0 }\n"
  "model m() { 1 }\nlet g = mem(x -> x + 1)\nlet d = given(m(), { z: 1.0 })\nf(A(20)) + g(1)";

static bool once(failing *f)
{
  norn_config c = norn_config_default();
  c.alloc = fail_alloc;
  c.alloc_user = f;
  norn_state *st = norn_new_bare(&c);
  if (!st) return false;
  norn_datum v;
  bool ok = !norn_add_natives(st, NULL, natives, 7) &&
            !norn_eval(st, "small", small_program, strlen(small_program), NORN_LOAD_REPL, &v) &&
            v.i == 42;
  if (!ok && f->fail_at == UINT64_MAX) fprintf(stderr, "%s\n", norn_error(st)->text);
  f->fail_at = UINT64_MAX;
  ok = ok && norn_doc(st, "f") != NULL;
  norn_free(st);
  return ok;
}

static void test_memory(void)
{
  failing f = {.fail_at = UINT64_MAX};
  int leaks = 0, wrong = 0;
  wrong += !once(&f);
  uint64_t requests = f.n;
  for (uint64_t k = 1; k <= requests; k++) {
    f = (failing){.fail_at = k};
    once(&f);
    leaks += f.used != 0;
  }
  CHECK(wrong == 0);
  CHECK(leaks == 0);
}

int main(void)
{
  int loads = 0;
  norn_config c = norn_config_default();
  c.load = load;
  c.load_user = &loads;
  norn_state *st = norn_new(&c);
  if (!st) return 99;
  test_views(st);
  test_natives(st);
  test_hook(st, &loads);
  test_globals(st);
  test_session(st);
  test_docs(st);
  norn_free(st);
  test_memory();
  return unit_end();
}
