/* test_handle.c: values that stand for something C owns: freed once, when no value refers to them any
   more, in time when what they stand for is large, and with the state; they print, and equal themselves
   alone. */
#include "unit.h"
#include "lang/state.h"
#include <stdlib.h>

static int64_t made, freed, most;

static void box_free(norn_state *st, void *p)
{
  (void)st;
  freed++;
  CHECK(*(int *)p == 7);
  free(p);
}

static void box_show(norn_state *st, void *p, char *to, size_t n)
{
  (void)st;
  snprintf(to, n, "<box of %d>", *(int *)p);
}

static const norn_handle_row boxes = { .name = "box", .free = box_free, .show = box_show };
static const norn_handle_row others = { .name = "other", .free = box_free };

static norn_status f_box(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t bytes = 64;
  if (n > 0 && !norn_want_int(st, args, 0, "bytes", &bytes)) return norn_error(st)->code;
  int *p = malloc(sizeof *p);
  *p = 7;
  *out = norn_handle_new(st, &boxes, p, (size_t)bytes);
  if (norn_is_none(*out)) { free(p); return NORN_EMEMORY; }
  made++;
  if (made - freed > most) most = made - freed;
  return NORN_OK;
}

static const norn_native natives[] = {
  { "box", "bytes = 64", "A box.", f_box, 0, NULL },
};

static norn_datum run(norn_state *st, const char *code)
{
  norn_datum out = norn_none();
  norn_eval(st, "handles", code, strlen(code), NORN_LOAD_REPL, &out);
  return out;
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  CHECK(norn_add_natives(st, NULL, natives, 1) == NORN_OK);

  norn_datum b = run(st, "let a = box()\nlet b = box()\na");
  CHECK(norn_handle_view(b, &boxes) && !norn_handle_view(b, &others));
  CHECK(!norn_handle_view(norn_int(1), &boxes));
  CHECK_STR(norn_show(st, b, false, 0), "<box of 7>");
  CHECK_STR(norn_show(st, run(st, "type_of(a)"), false, 0), "box");
  CHECK(norn_equal(b, run(st, "a")) && !norn_equal(b, run(st, "b")));
  CHECK(norn_hash(b) == norn_hash(run(st, "a")) && norn_hash(b) != norn_hash(run(st, "b")));
  CHECK(norn_is_none(run(st, "a == b")));
  CHECK_STR(norn_error(st)->text, "a box can't be compared with another");
  norn_clear(st);

  /* a thousand in an array live as long as it does */
  norn_ref *all = norn_keep(st, run(st, "for i in 0..1000 { box() }"));
  heap_collect_full(st);
  CHECK(made - freed == 1002);
  norn_drop(all);
  run(st, "0");                                   /* nothing of the last text is looked at any more */
  heap_collect_full(st);
  CHECK(made - freed == 2 && freed == 1000);

  /* large ones die in time: at most some 16 MB and what the nursery holds */
  most = 0;
  run(st, "for i in 0..2000 with last = box() { next box(1000000) }");
  CHECK(most < 100);

  norn_free(st);
  CHECK(freed == made);
  return unit_end();
}
