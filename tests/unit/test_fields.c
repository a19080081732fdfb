/* test_fields.c: handles with fields: h.f is what the function f of the row's module gives, natives and Norn code,
   values and methods; named arguments, defaults, effects, errors. */
#include "unit.h"
#include "lang/state.h"
#include <stdlib.h>

static void box_free(norn_state *st, void *p)
{
  (void)st;
  free(p);
}

static norn_datum box_save(norn_state *st, void *p)
{
  (void)st;
  return norn_int(*(int *)p);
}

static norn_datum box_load(norn_state *, norn_datum);
static const norn_handle_row boxes = { "box", box_free, NULL, "boxes", box_save, box_load },
                             bare = { "stone", box_free, NULL, NULL, NULL, NULL },
                             lost = { "orphan", box_free, NULL, "nowhere", NULL, NULL };

static norn_datum box_make(norn_state *st, const norn_handle_row *row, int v)
{
  int *p = malloc(sizeof *p);
  *p = v;
  norn_datum h = norn_handle_new(st, row, p, 64);
  if (norn_is_none(h)) free(p);
  return h;
}

static norn_datum box_load(norn_state *st, norn_datum v)
{
  if (v.tag != NORN_INT) return norn_none();
  return box_make(st, &boxes, (int)v.i);
}

/* A handle that holds another: saved with it. */
static void nest_free(norn_state *st, void *p)
{
  (void)st;
  norn_drop(p);
}

static norn_datum nest_save(norn_state *st, void *p)
{
  const norn_datum v[] = { norn_cstring(st, "a nest"), norn_get(p) };
  return norn_array_pack(st, v, 2);
}

static norn_datum nest_load(norn_state *, norn_datum);
static const norn_handle_row nests = { "nest", nest_free, NULL, "nests", nest_save, nest_load };

static norn_datum nest_make(norn_state *st, norn_datum v)
{
  norn_ref *r = norn_keep(st, v);
  norn_datum h = r ? norn_handle_new(st, &nests, r, 64) : norn_none();
  if (r && norn_is_none(h)) norn_drop(r);
  return h;
}

static norn_datum nest_load(norn_state *st, norn_datum v)
{
  norn_view a;
  if (!norn_array_view(v, &a) || a.n != 2) return norn_none();
  return nest_make(st, norn_array_at(st, v, 1));
}

static norn_status f_nest(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  *out = nest_make(st, args[0]);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status f_egg(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_ref *r = norn_handle_view(args[0], &nests);
  (void)n;
  if (!r) return norn_fail(st, NORN_ETYPE, 0, "egg needs a nest");
  *out = norn_get(r);
  return NORN_OK;
}

static norn_status f_box(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t v;
  (void)n;
  if (!norn_want_int(st, args, 0, "a size", &v)) return norn_error(st)->code;
  *out = box_make(st, &boxes, (int)v);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status f_stone(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)args, (void)n;
  *out = box_make(st, n ? &lost : &bare, 1);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status f_size(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int *p = norn_handle_view(args[0], &boxes);
  (void)n;
  if (!p) return norn_fail(st, NORN_ETYPE, 0, "size needs a box");
  *out = norn_int(*p);
  return NORN_OK;
}

static norn_status f_plus(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int *p = norn_handle_view(args[0], &boxes);
  int64_t x, y;
  (void)n;
  if (!p || !norn_want_int(st, args, 1, "x", &x) || !norn_want_int(st, args, 2, "y", &y)) return NORN_ETYPE;
  if (x < 0) return norn_fail(st, NORN_EDOMAIN, 1, "x must not be negative, got %lld", (long long)x);
  *out = norn_int(*p + x + 100 * y);
  return NORN_OK;
}

static const norn_native globals[] = {
  { "box", "size", "A box.", f_box, 0, NULL },
  { "stone", "more...", "A handle without fields.", f_stone, NORN_VARIADIC, NULL },
  { "nest", "egg", "A handle in a handle.", f_nest, 0, NULL },
}, nest_fields[] = {
  { "egg", "n", "What lies in it.", f_egg, 0, NULL },
}, fields[] = {
  { "size", "b", "How large it is.", f_size, 0, NULL },
  { "plus", "b, x, y = 7", "size + x + 100 y.", f_plus, 0, NULL },
  { "_hidden", "b", "No field.", f_size, 0, NULL },
};

static const char library[] =
  "let unit = 2\n"
  "fn twice(b) = unit * size(b)\n"
  "fn text(b, stop = \"x\", max = size(b)) = \"{size(b)} {stop} {max}\"\n"
  "fn draw(b, sd = 1.0) = sample(normal(size(b), sd))\n"
  "model noisy(b, sd = 1.0) { let x ~ normal(size(b), sd); x }\n"
  "fn deep(b, n = 3) = for i in 0..n { let t ~ normal(size(b), 1); t }\n"
  "fn bad(b) = sample(normal(0, 1))\n"
  "fn fails(b, i = 3) = [1, 2][i]\n";

static norn_datum run(norn_state *st, const char *code)
{
  norn_datum out = norn_none();
  norn_clear(st);
  norn_eval(st, "fields", code, strlen(code), NORN_LOAD_REPL, &out);
  return out;
}

#define GIVES(code, shown) CHECK_STR(norn_show(st, run(st, code), true, 0), shown)
static void fails(norn_state *st, const char *code, const char *what, const char *hint, uint32_t start)
{
  CHECK(norn_is_none(run(st, code)));
  CHECK_STR(norn_error(st)->text, what);
  if (hint) CHECK_STR(norn_error(st)->hint, hint);
  CHECK(norn_error(st)->span.file && norn_error(st)->span.start == start);
  if (norn_error(st)->span.start != start) fprintf(stderr, "%s: at %u, not %u\n", code, norn_error(st)->span.start, start);
}

static void values(norn_state *st)
{
  run(st, "let b = box(5)");
  GIVES("b.size", "5");
  GIVES("b.twice", "10");
  GIVES("b.plus(1)", "706");
  GIVES("b.plus(1, 2)", "206");
  GIVES("b.plus(y = 0, x = 3)", "8");
  GIVES("b.plus(3, y = 0)", "8");
  GIVES("map([1, 2], b.plus)", "[706, 707]");
  GIVES("let f = b.plus\nf(x = 2)", "707");
  GIVES("b.text()", "\"5 x 5\"");
  GIVES("b.text(max = 9)", "\"5 x 9\"");
  GIVES("b.text(\"s\")", "\"5 s 5\"");
  GIVES("b.text(max = 1, stop = \"q\")", "\"5 q 1\"");
  GIVES("let r = { c: b }\nr.c.text(max = 2)", "\"5 x 2\"");
  GIVES("fn tail(c, n) = c.plus(n)\ntail(b, 2)", "707");
  GIVES("fn through(c) = c.size\nmap([b, box(3)], through)", "[5, 3]");
  GIVES("b == b", "true");
  GIVES("b == box(5)", "false");
}

/* In lanes or not: the same draws. */
static void executors(norn_state *st, const char *model)
{
  static const char *const how[] = { "scalar", "lanes" };
  norn_ref *draws[2];
  char code[600];
  for (int k = 0; k < 2; k++) {
    snprintf(code, sizeof code, "%s\ndraws(infer(m(), smc(particles = 40, delayed = false, executor = \"%s\")))", model, how[k]);
    norn_seed(st, 5);
    norn_datum v = run(st, code);
    CHECK(norn_array_length(v) > 0);
    draws[k] = norn_keep(st, v);
  }
  CHECK(norn_equal(norn_get(draws[0]), norn_get(draws[1])));
  for (int k = 0; k < 2; k++) norn_drop(draws[k]);
}

static void models(norn_state *st)
{
  run(st, "let b = box(5)");
  GIVES("evidence(infer(b.noisy(sd = 2), importance(3)))", "0.0");
  executors(st, "model m() { let a = b.draw(sd = 0.5)\nlet v ~ b.noisy()\nobserve 5 ~ normal(a + v, 1)\nb.deep() }");
  executors(st, "model m() { let y ~ normal(b.plus(1), 1)\nobserve 700 ~ normal(y, b.size)\ny * b.twice }");
  executors(st, "model m() { let y ~ normal(0, 1)\nlet c = box(if y > 0 { 3 } else { 4 })\nobserve 2 ~ normal(y, c.size)\n"
                "let z ~ c.noisy()\nz + c.plus(x = 1) }");
}

static void errors(norn_state *st)
{
  run(st, "let b = box(5)");
  fails(st, "b.siz", "no field siz in a box", "did you mean size? a box has bad, deep, draw, fails, noisy, plus, size, text, twice", 2);
  fails(st, " b.zzzzzz", "no field zzzzzz in a box", "a box has bad, deep, draw, fails, noisy, plus, size, text, twice", 3);
  fails(st, "b._hidden", "no field _hidden in a box", NULL, 2);
  fails(st, "1 + stone().x", "no field x in a stone", "", 12);
  fails(st, "stone(1).x", "there is no module nowhere, which the fields of handles are in", NULL, 9);
  fails(st, "b.plus()", "plus takes 1 to 2 arguments, got 0", "plus(x, y = ...)", 0);
  fails(st, "b.plus(1, 2, 3)", "plus takes 1 to 2 arguments, got 3", "plus(x, y = ...)", 0);
  fails(st, "b.plus(1, z = 3)", "plus has no parameter z", "plus(x, y = ...)", 0);
  fails(st, "b.plus(-1)", "x must not be negative, got -1", NULL, 0);
  fails(st, "b.plus(x = -1)", "x must not be negative, got -1", NULL, 0);
  fails(st, "fn t(c) = c.plus(-2)\nt(b)", "x must not be negative, got -2", NULL, 10);
  fails(st, "b.plus(\"a\")", "x must be an integer, got a string", NULL, 0);
  fails(st, "b.plus(y = 2)", "plus needs its parameter x", NULL, 0);
  fails(st, "1 + b.fails()", "index 3 is outside an array of length 2", NULL, 4);
  fails(st, "b.size()", "only functions can be called, this is an integer", "size is a field, which is written without ()", 0);
  fails(st, "let r = { a: [1] }\nr.a(x = 0)", "only functions take named arguments here, this is an array of 1 integer",
        "a is a field, which is written without ()", 19);
  fails(st, "b.bad", "sample inside a function that must have no effects", NULL, 2);
  fails(st, "{b with size: 3}", "'with' changes the fields of a record, got a box", NULL, 1);
  fails(st, "b.noisy(1, 2)", "noisy takes 0 to 1 arguments, got 2", NULL, 0);
}

/* ---- in files ---- */

static norn_state *with_boxes(void)
{
  norn_state *st = norn_new(NULL);
  norn_config_of(st)->quiet = true;
  CHECK(norn_add_natives(st, NULL, globals, 3) == NORN_OK);
  CHECK(norn_add_natives(st, "boxes", fields, 3) == NORN_OK);
  CHECK(norn_add_natives(st, "nests", nest_fields, 1) == NORN_OK);
  CHECK(norn_add_library(st, "boxes", (const unsigned char *)library, sizeof library - 1) == NORN_OK);
  CHECK(norn_add_handles(st, &boxes, 1) == NORN_OK && norn_add_handles(st, &nests, 1) == NORN_OK);
  return st;
}

static void posteriors(void)
{
  norn_state *st = with_boxes();
  CHECK(norn_add_handles(st, &boxes, 1) == NORN_EUSE && norn_add_handles(st, &bare, 1) == NORN_EUSE);
  run(st, "model m(b) { let k ~ bernoulli(0.5)\nobserve 3 ~ normal(b.size, 1)\nif k { { c: b } } else { { c: nest(b) } } }\n"
          "let p = infer(m(box(8)), importance(50, keep = \"value\"))\nsave(p, \"fields.json\")\n"
          "let q = load(\"fields.json\")\nlet ds = draws(q)");
  GIVES("map(ds, d -> if type_of(d.c) == \"box\" { d.c.size } else { d.c.egg.plus(0) - 700 }) |> unique", "[8]");
  GIVES("map(ds, d -> type_of(d.c)) |> unique |> sort", "[\"box\", \"nest\"]");
  fails(st, "model s() { stone() }\nsave(infer(s(), importance(2)), \"fields.json\")", "a stone can't be saved", NULL, 22);
  norn_free(st);
  st = norn_new(NULL);                           /* where nobody knows the row */
  CHECK(norn_is_none(run(st, "load(\"fields.json\")")));
  CHECK(strstr(norn_error(st)->text, "there is no kind of handle") != NULL);
  norn_free(st);
  remove("fields.json");
}

static norn_infer *inference(norn_state *st, const char *program)
{
  norn_ref *two = norn_keep(st, run(st, program));
  norn_infer *inf = norn_infer_new(st, norn_array_at(st, norn_get(two), 0), norn_array_at(st, norn_get(two), 1));
  CHECK(inf != NULL);
  return inf;
}

/* A method as a value, a handle by two ways, a handle in a handle: the runs of a checkpoint go on with them. */
#define PROGRAM(size) "let b = box(" #size ")\nmodel m(n, c) { let f = b.plus\nlet g = n.egg.text\nfor t in 0..4 {\n" \
  "let x ~ normal(b.size, 1)\nobserve 5 ~ normal(x, 1)\nfactor(0.001 * f(t))\ncondition(c.size == n.egg.size and c == c and g(max = 1) == \"5 x 1\") } }\n" \
  "[m(nest(b), b), smc(particles = 20, executor = \"scalar\", delayed = false)]"

static void checkpoints(void)
{
  norn_posterior p, q;
  norn_state *a = with_boxes(), *b = with_boxes(), *c = with_boxes(), *d = with_boxes();
  norn_infer *whole = inference(a, PROGRAM(5)), *first = inference(b, PROGRAM(5)), *second = inference(c, PROGRAM(5)),
             *other = inference(d, PROGRAM(6));
  while (norn_infer_step(whole) == NORN_STEP_MORE) { }
  CHECK(norn_posterior_view(a, norn_infer_result(whole), &p));
  for (int i = 0; i < 5; i++) CHECK(norn_infer_step(first) == NORN_STEP_MORE);
  CHECK(norn_infer_save(first, "fields.checkpoint") == NORN_OK);
  bool loaded = norn_infer_load(second, "fields.checkpoint") == NORN_OK;
  CHECK(loaded);
  if (!loaded) fprintf(stderr, "%s\n", norn_error(c)->text);
  heap_collect_full(c);
  while (loaded && norn_infer_step(second) == NORN_STEP_MORE) { }
  CHECK(loaded && norn_posterior_view(c, norn_infer_result(second), &q) && norn_equal(p.weights, q.weights) &&
        p.log_evidence == q.log_evidence);
  CHECK(norn_infer_load(other, "fields.checkpoint") != NORN_OK);     /* another box */
  norn_infer_free(whole), norn_infer_free(first), norn_infer_free(second), norn_infer_free(other);
  norn_free(a), norn_free(b), norn_free(c), norn_free(d);
  a = norn_new(NULL);
  CHECK(norn_add_natives(a, NULL, globals, 2) == NORN_OK);
  first = inference(a, "let s = stone()\nmodel m() { let x ~ normal(0, 1)\nobserve 1 ~ normal(x, 1)\nobserve 2 ~ normal(x, len([s])) }\n"
                       "[m(), smc(particles = 5, executor = \"scalar\", delayed = false)]");
  norn_infer_step(first);
  CHECK(norn_infer_save(first, "fields.checkpoint") != NORN_OK);
  CHECK_STR(norn_error(a)->text, "a stone can't be saved");
  norn_infer_free(first);
  norn_free(a);
  remove("fields.checkpoint");
}

/* ---- the n-th request for memory fails ---- */

static struct { size_t live; int64_t n, fail_at; } memory;

static void *counted(void *user, void *p, size_t old, size_t n)
{
  (void)user;
  if (n > old && ++memory.n == memory.fail_at) return NULL;
  memory.live += n - old;
  if (n) return realloc(p, n);
  free(p);
  return NULL;
}

static void short_of_memory(void)
{
  static const char program[] =
    "let b = box(5)\nlet f = b.text\nmodel m(n) { let v ~ n.egg.noisy(sd = 2)\nobserve 5 ~ normal(v + b.plus(y = 0, x = 1), 1)\ntwist(v / 9)\n"
    "let w ~ b.noisy()\n[f(max = 2), \"{b.size + b.twice}\"] }\n"
    "draws(infer(m(nest(b)), smc(particles = 12, executor = \"scalar\", delayed = false)))";
  bool whole = false;
  norn_datum out;
  for (int64_t at = 1; !whole; at += 1 + at / 50) {
    norn_config c = norn_config_default();
    c.alloc = counted;
    c.quiet = true;
    memory.live = 0, memory.n = 0, memory.fail_at = at;
    norn_state *st = norn_new(&c);
    norn_status s = !st ? NORN_EMEMORY : norn_add_natives(st, NULL, globals, 3);
    if (!s) s = norn_add_natives(st, "boxes", fields, 3);
    if (!s) s = norn_add_natives(st, "nests", nest_fields, 1);
    if (!s) s = norn_add_library(st, "boxes", (const unsigned char *)library, sizeof library - 1);
    if (!s) s = norn_eval(st, "short", program, sizeof program - 1, 0, &out);
    whole = memory.n < at;
    CHECK(whole ? !s : !s || !st || norn_error(st)->code != NORN_OK);
    norn_free(st);
    CHECK(memory.live == 0);
  }
  CHECK(memory.n > 500);
}

static void name_add(void *user, const char *name)
{
  char *t = user;
  strcat(strcat(t, " "), name);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  char names[300] = "";
  CHECK(norn_add_natives(st, NULL, globals, 2) == NORN_OK);
  CHECK(norn_add_natives(st, "boxes", fields, 3) == NORN_OK);
  CHECK(norn_add_library(st, "boxes", (const unsigned char *)library, sizeof library - 1) == NORN_OK);
  values(st);
  models(st);
  errors(st);
  norn_complete(st, "b.t", name_add, names);
  CHECK_STR(names, " b.text b.twice");
  heap_collect_full(st);
  GIVES("b.text(max = 4)", "\"5 x 4\"");
  norn_free(st);
  posteriors();
  checkpoints();
  short_of_memory();
  return unit_end();
}
