/* test_names.c: the names of choices, as a run meets them: an engine written against norn.h answers
   every sample and lists the printed addresses.  With a file as argument it prints those of its m(). */
#include "unit.h"
#include "norn.h"
#include <stdlib.h>

/* A name without the hashes of mem's arguments and what follows them. */
static const char *plain(const char *name)
{
  static char out[200];
  size_t n = 0;
  for (const char *s = name; *s && n + 8 < sizeof out; s++) {
    out[n++] = *s;
    if (*s != '{') continue;
    out[n++] = '}';
    break;
  }
  out[n] = 0;
  return out;
}

/* Answers every event of a run of the\nmodel m(); the names in order, joined by blanks, or the error. */
static const char *names_of(norn_state *st, norn_datum m, char *out, size_t size)
{
  size_t n = 0;
  char name[160];
  norn_event ev;
  norn_run *r = norn_run_new(st, m, NULL, 0);
  out[0] = 0;
  if (!r) return norn_error(st)->text;
  norn_run_flags(r, NORN_RUN_NAMES | NORN_RUN_CHECK);
  norn_run_stream(r, 7, 0, 0);
  for (;;) {
    norn_event_kind k = norn_run_next(r, &ev);
    if (k != NORN_SAMPLE && k != NORN_OBSERVE) {
      if (k == NORN_ERROR) snprintf(out, size, "%s", norn_error(st)->text);
      break;
    }
    if (k == NORN_OBSERVE) continue;
    n += (size_t)snprintf(out + n, n < size ? size - n : 0, "%s%s", n ? " " : "", plain(norn_addr_name(st, ev.addr, name, sizeof name)));
    norn_datum x;
    norn_rng g;
    norn_run_rng(r, &ev, &g);
    if (norn_dist_sample(st, ev.dist, &g, &x)) break;
    norn_run_answer(r, x);
  }
  norn_run_free(r);
  return out;
}

static char *names(const char *text)
{
  static char out[4000];
  norn_state *st = norn_new(NULL);
  norn_datum v;
  if (norn_eval(st, "names.norn", text, strlen(text), 0, &v)) snprintf(out, sizeof out, "%s", norn_error(st)->text);
  else {
    norn_datum m;
    if (norn_call(st, norn_global(st, "m"), NULL, 0, &m)) snprintf(out, sizeof out, "%s", norn_error(st)->text);
    else names_of(st, m, out, sizeof out);
  }
  norn_free(st);
  return out;
}


#define NAMES(want, text) unit_str(names(text), want, "names", __FILE__, __LINE__)
#define N "normal(0, 1)"

static void test_lets(void)
{
  NAMES("x y", "model m() { let x ~ " N "; let y ~ normal(x, 1); x + y }");
  NAMES("#0 #1", "model m() = sample(" N ") + sample(" N ")");
  NAMES("one two3 a b[0] b[1]",
        "model m() { let x ~ " N " as \"one\"; let y ~ " N " as \"two{1 + 2}\"; let [z] ~ iid(" N ", 1) as \"a\"\n"
        "  for i in 0..2 { let w ~ " N " as \"b\" } }");
  NAMES("x #0", "model m() { let x ~ " N " via normal(0, 2); let _ ~ " N "; x }");
  NAMES("x", "model m() { let d = " N "; let x ~ d; x }");
  NAMES("y #0", "model m() { observe 1 ~ " N "; let y = observe missing ~ " N "; observe 2 ~ " N "; observe missing ~ " N " }");
  NAMES("a[0]", "model m(xs = [missing, 2], r = { a: missing }) { for i in 0..1 { observe r.a ~ " N " } }");
  NAMES("xs[0] xs[2]", "model m(xs = [missing, 2, missing]) { for i in 0..3 { observe xs[i] ~ " N " } }");
}

static void test_models(void)
{
  NAMES("z.a z.b.a w.a", "model in1() { let a ~ " N "; a }\nmodel m() { let z ~ mid(); let w ~ in1(); z }\n"
        "model mid() { let a ~ " N "; let b ~ in1(); a + b }");
  NAMES("#0.a #1.a", "model in1() { let a ~ " N "; a }\nmodel m() = sample(in1()) + sample(in1())");
  NAMES("q[0].a q[1].a", "model in1() { let a ~ " N "; a }\nmodel m() { for i in 0..2 { let q ~ in1() } }");
  NAMES("zs.q[0].a zs.q[1].a", "model in1() { let a ~ " N "; a }\nmodel m() { let zs = for i in 0..2 { let q ~ in1(); q }; zs }");
  NAMES("z.a", "model m() { let k = 2; model local() { let a ~ normal(k, 1); a }; let z ~ local(); z }");
  NAMES("deep.rest.rest.stop", "model geo(n) { if n == 0 { let stop ~ " N "; 0 } else { let rest ~ geo(n - 1); 1 + rest } }\n"
        "model m() { let deep ~ geo(2); deep }");
  NAMES("f.x g.y x", "model pick(b) { if b { let x ~ " N "; x } else { let y ~ " N "; y } }\n"
        "model m() { let f ~ pick(true); let g ~ pick(false); if f < g { let x ~ " N "; x } else { let x ~ " N "; x } }");
}

static void test_loops(void)
{
  NAMES("t.z[0] t.z[1]", "model m() { let t = for i in 0..2 { let z ~ " N "; z }; t }");
  NAMES("z[0] z[1]", "model m() = for i in 5..7 { let z ~ " N "; z }");
  NAMES("z[0] z[1]", "model m() = for x in [\"a\", \"b\"] { let z ~ " N "; z }");
  NAMES("x[0, 0] x[0, 1] x[1, 0] x[1, 1]", "model m() = for i in 0..2 { for j in 0..2 { let x ~ " N "; x } }");
  NAMES("t.u[0].x[0] t.u[1].x[0]", "model m() { let t = for i in 0..2 { let u = for j in 0..1 { let x ~ " N "; x }; u }; t }");
  NAMES("t.#0[0] t.#0[1]", "model m() { let t = [sample(" N ") for i in 0..2]; t }");
  NAMES("#0[0, 1] #0[1, 0]", "model m() = [sample(" N ") for i in 0..2 for j in 0..2 if i != j]");
  NAMES("w.e[0] w.e[1]", "model m() { let w = for i in 0..2 with x = 0.0 { let e ~ normal(x, 1); next e }; w }");
  NAMES("e[0] e[1] last", "model m() { for i in 0..2 with x = 0.0 { let e ~ normal(x, 1); next e keep e }; let last ~ " N "; last }");
  NAMES("t.u[0] t.u[1]", "model m() { let t = map([1, 2], x -> { let u ~ normal(x, 1); u }); t }");
  NAMES("map#0.#0[0] map#0.#0[1] map#1.#1[0]", "model m() { [1, 2] |> map(x -> sample(normal(x, 1))) |> sum\n  map([3], x -> sample(" N ")) }");
  NAMES("s.g[0] s.g[1]", "model m() { let s = fold([1, 2], 0, (a, x) -> { let g ~ normal(a, x); g }); s }");
  NAMES("some.b[0] some.b[1] some.b[2]", "model m() { let some = any_of([1, 2, 3], x -> { let b ~ bernoulli(0.0); b }); some }");
}

static void test_calls(void)
{
  NAMES("k.p two#0.p two#1.p", "fn two(m) { let p ~ normal(m, 1); p }\nmodel m() { let k = two(1); two(2) + two(3) }");
  NAMES("a.b.p", "fn f(x) { let p ~ " N "; p }\nfn g(x) { let b = f(x); b }\nmodel m() { let a = g(1); a }");
  NAMES("a.f#0.p", "fn f(x) { let p ~ " N "; p }\nfn g(x) = f(x)\nmodel m() { let a = g(1); a }");
  NAMES("d.p", "fn f(x) { let p ~ " N "; p }\nmodel m() { let d = if 1 < 2 { f(1) } else { f(2) }; d }");
  NAMES("d.p e.p", "fn f(x) { let p ~ " N "; p }\nmodel m() { let d = { let k = 1; f(k) }; let e = match d { 0 -> 1, _ -> { f(2) } }; d + e }");
  NAMES("a.s#0[0].#0 a.s#0[1].#0 b.f#0.#0 s#1.#0",
        "fn mk() = x -> sample(normal(x, 1))\nfn pick(f) = f(1)\n"
        "model m() { let s = mk(); let a = for i in 0..2 { s(i) }; let b = pick(s); s(2) }");
  NAMES("a.#0[0] a.#0[1]", "fn mk() = x -> sample(normal(x, 1))\nmodel m() { let a = map([1, 2], mk()); a }");
  NAMES("a.g#1.f#0.#0", "fn via_inner(f) { let g = x -> f(x); g(1) }\nmodel m() { let a = { via_inner(x -> sample(" N ")) }; a }");
  NAMES("down#0.x down#0.down#0.x", "fn down(n) { let x ~ " N " as \"x\"; if n == 0 { 0 } else { down(n - 1) } }\nmodel m() { down(1) }");
  NAMES("f#0.p", "fn f() { let p ~ " N "; p }\nmodel m() { let o = { f: f }; let r = [o.f()]; r }");
}

static void test_mem(void)
{
  NAMES("f.mem{} f.mem{}", "model m() { let f = mem(i -> sample(normal(i, 1))); f(1) + f(1) + f(2) + f(1) }");
  NAMES("f.mem#0.mem{} g.mem#0.mem{}", "fn mk() = mem(i -> sample(" N "))\nmodel m() { let f = mk(); let g = mk(); f(1) + g(1) + f(1) }");
  NAMES("h.mem#0[0].mem{} h.mem#0[1].mem{}", "model m() { let h = for k in 0..2 { mem(i -> sample(" N ")) }; h[0](1) + h[1](1) + h[0](1) }");
  NAMES("f.mem{} f.mem{}", "let f = mem(i -> { let x ~ " N "; x })\nmodel m() { f(1) + f(2) + f(1) + (for i in 0..2 { f(i + 1) })[0] }");
}

static void test_twice(void)
{
  const char *twice = "the choice x is made twice in one run: first at names.norn:1:13";
  NAMES(twice, "model m() { let x ~ " N "; let x ~ " N "; x }");
  NAMES("the choice x[0] is made twice in one run: first at names.norn:1:29",
        "model m() { for i in 0..2 { let x ~ " N "; x }; for i in 0..2 { let x ~ " N "; x } }");
  NAMES("x y.x", "model in1() { let x ~ " N "; x }\nmodel m() { let x ~ " N "; let y ~ in1(); x }");
}

int main(int argc, char **argv)
{
  if (argc > 1) {
    FILE *f = fopen(argv[1], "r");
    static char text[100000];
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
    puts(names(text));
    return 0;
  }
  test_lets();
  test_models();
  test_loops();
  test_calls();
  test_mem();
  test_twice();
  return unit_end();
}
