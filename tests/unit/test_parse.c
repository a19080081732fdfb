/* test_parse.c: the lexer and the parser.  A case is a text and its tree as ast_print gives it, or
   a text and its errors as "line:column: sentence".  Then everything again with memory failing. */
#include "lang/parse/lex.h"
#include "lang/parse/parse.h"
#include "unit.h"
#include <stdlib.h>

/* One parse and all that belongs to it. */
typedef struct {
  mem m;
  sources files;
  arena a;
  diags d;
  ast_module *mod;
  parse_status status;
  uint32_t file;
} job;

static void job_open(job *j, const char *src, size_t n)
{
  sources_init(&j->files, &j->m);
  arena_init(&j->a, &j->m);
  diags_init(&j->d, &j->m);
  j->mod = NULL;
  j->status = PARSE_ERROR;
  j->file = sources_add(&j->files, "t", src, n);
  if (j->file) j->status = parse_module(&j->a, &j->d, &j->files, j->file, &j->mod);
}

static void job_close(job *j)
{
  arena_free(&j->a);
  diags_free(&j->d);
  sources_free(&j->files);
}

static void put_errors(text *t, const job *j)
{
  for (size_t i = 0; i < j->d.n; i++) {
    uint32_t line, column;
    sources_place(&j->files, j->d.v[i].e.span, &line, &column);
    text_printf(t, "%u:%u: %s\n", line, column, j->d.v[i].e.text);
  }
}

/* ---- trees ---- */

typedef struct { const char *src, *tree; } pair;

static void check_tree(const pair *c)
{
  job j;
  text t;
  mem_init(&j.m);
  job_open(&j, c->src, strlen(c->src));
  text_init(&t, &j.m);
  if (j.mod) ast_print_module(&t, j.mod);
  put_errors(&t, &j);
  if (t.n && t.s[t.n - 1] == '\n') t.s[t.n - 1] = 0;
  if (strcmp(t.n ? t.s : "", c->tree) != 0) fprintf(stderr, "of %s\n", c->src);
  CHECK_STR(t.n ? t.s : "", c->tree);
  CHECK(j.status == PARSE_OK);
  text_free(&t);
  job_close(&j);
  CHECK(j.m.used == 0);
}

static void check_trees(const pair *v, int n)
{
  for (int i = 0; i < n; i++) check_tree(&v[i]);
}

static void test_literals(void)
{
  static const pair v[] = {
    {"", ""}, {"\n\n;;\n", ""}, {"# only a comment", ""}, {"#!/usr/bin/env norn\n1", "1"},
    {"\xef\xbb\xbf" "1", "1"}, {"1\r\n2\r\n", "1\n2"}, {"0", "0"}, {"1_000_000", "1000000"},
    {"9223372036854775807", "9223372036854775807"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"- 9223372036854775808", "-9223372036854775808"}, {"1.5", "1.5"}, {"1e3", "1000.0"},
    {"1_0.2_5e-1_0", "1.025e-9"}, {"1E+2", "100.0"}, {"0.1", "0.1"}, {"1e308", "1e308"},
    {"1e-400", "0.0"}, {"123456789012345678901234567890.0", "1.2345678901234568e29"},
    {"4.9406564584124654e-324", "5e-324"}, {"9007199254740993.0", "9007199254740992.0"},
    {"1..3", "(.. 1 3)"}, {"1.0..3.0", "(.. 1.0 3.0)"}, {"true", "true"}, {"false", "false"},
    {"missing", "missing"}, {"()", "()"}, {"( )", "()"}, {"\"a\"", "\"a\""}, {"\"\"", "\"\""},
    {"\"\\n\\t\\r\\\"\\\\\\{\\}\"", "\"\\n\\t\\r\\\"\\\\\\{}\""},
    {"\"\\u{e9}\\u{1F600}\"", "\"\xc3\xa9\xf0\x9f\x98\x80\""}, {"\"a } b\"", "\"a } b\""},
    {"r\"a\\n{x}\"", "\"a\\\\n\\{x}\""}, {"r\"\"", "\"\""}, {"r", "r"}, {"r \n \"a\"", "r\n\"a\""},
    {"\"a{1}b\"", "(interp \"a\" 1 \"b\")"}, {"\"{x}\"", "(interp x)"},
    {"\"{x}{y}\"", "(interp x y)"}, {"\"{f(\"a\")} items\"", "(interp (f \"a\") \" items\")"},
    {"\"{\"{\"{1}\"}\"}\"", "(interp (interp (interp 1)))"},
    {"\"{ {a: 1} }{ {x} }\"", "(interp (record a: 1) (block x))"},
    {"\"a\\{{x}\\u{41}{y}\"", "(interp \"a\\{\" x \"A\" y)"},
    {"\xcf\x83_1 + \xd0\x96", "(+ \xcf\x83_1 \xd0\x96)"}, {"x\xe2\x82\x81", "x\xe2\x82\x81"},
  };
  check_trees(v, NORN_COUNT(v));
}

static void test_operators(void)
{
  static const pair v[] = {
    /* each rung of the ladder against the next: |> or and not compare .. ++ + * unary ^ ' call */
    {"a or b and c", "(or a (and b c))"}, {"a and b or c", "(or (and a b) c)"},
    {"not a and b", "(and (not a) b)"}, {"a and not b", "(and a (not b))"},
    {"a or not b or c", "(or (or a (not b)) c)"}, {"not a == b", "(not (== a b))"},
    {"not not a", "(not (not a))"}, {"not a..b == c", "(not (== (.. a b) c))"},
    {"a == b..c", "(== a (.. b c))"}, {"a..b ++ c", "(.. a (++ b c))"},
    {"a ++ b..c", "(.. (++ a b) c)"}, {"a ++ b + c", "(++ a (+ b c))"},
    {"a + b ++ c", "(++ (+ a b) c)"}, {"a + b * c", "(+ a (* b c))"},
    {"a * b + c", "(+ (* a b) c)"}, {"a @ b - c", "(- (@ a b) c)"}, {"-a * b", "(* (- a) b)"},
    {"a * -b", "(* a (- b))"}, {"a - -b", "(- a (- b))"}, {"--a", "(- (- a))"},
    {"-a^b", "(- (^ a b))"}, {"a^-b", "(^ a (- b))"}, {"a^b^c", "(^ a (^ b c))"},
    {"a^-b^c", "(^ a (- (^ b c)))"}, {"a^b'", "(^ a (' b))"}, {"-m'", "(- (' m))"},
    {"m'[0]", "(index (' m) 0)"}, {"m[0]'", "(' (index m 0))"}, {"m''", "(' (' m))"},
    {"f(x)'", "(' (f x))"}, {"-f(x)", "(- (f x))"}, {"-1", "(- 1)"}, {"-1^2", "(- (^ 1 2))"},
    /* associativity */
    {"a - b - c", "(- (- a b) c)"}, {"a / b // c % d", "(% (// (/ a b) c) d)"},
    {"a ++ b ++ c", "(++ (++ a b) c)"}, {"a |> f |> g", "(g (f a))"},
    {"a or b or c", "(or (or a b) c)"}, {"a != b", "(!= a b)"}, {"a < b", "(< a b)"},
    {"a <= b", "(<= a b)"}, {"a > b", "(> a b)"}, {"a >= b", "(>= a b)"},
    {"(a < b) == (c < d)", "(== (< a b) (< c d))"}, {"0..len(y)", "(.. 0 (len y))"},
    {"a<-1", "(< a (- 1))"}, {"a-1", "(- a 1)"}, {"(a + b) * c", "(* (+ a b) c)"},
    /* pipes */
    {"a |> f", "(f a)"}, {"a |> f()", "(f a)"}, {"a |> f(b)", "(f a b)"},
    {"a |> f(b, k = c)", "(f a b k: c)"}, {"a |> m.f(b)", "((. m f) a b)"},
    {"a |> m.f", "((. m f) a)"}, {"a |> f(b)(c)", "((f b) a c)"}, {"a |> (f(b))", "((f b) a)"},
    {"a |> (x -> x)", "((-> (x) x) a)"}, {"a |> x -> x |> g", "((-> (x) (g x)) a)"},
    {"a + 1 |> f", "(f (+ a 1))"},
    {"xs |> map(x -> x^2) |> sum", "(sum (map xs (-> (x) (^ x 2))))"},
    {"smc(n = 1) |> move(mh(steps = 3))", "(move (smc n: 1) (mh steps: 3))"},
  };
  check_trees(v, NORN_COUNT(v));
}

static void test_compounds(void)
{
  static const pair v[] = {
    {"[]", "(array)"}, {"[1, 2,]", "(array 1 2)"},
    {"[[1, 2], [3, 4]]", "(array (array 1 2) (array 3 4))"}, {"{}", "(record)"},
    {"{a: 1, \"b c\": 2}", "(record a: 1 \"b c\": 2)"},
    {"{ if: 1, in: 2, }", "(record if: 1 in: 2)"},
    {"{\n  a:\n 1,\n  b: 2\n}", "(record a: 1 b: 2)"}, {"{ \"\": 1 }", "(record \"\": 1)"},
    {"{r with a: 3}", "(record r with a: 3)"},
    {"{ f(x).y with a: 1, \"b\": 2 }", "(record (. (f x) y) with a: 1 b: 2)"},
    {"{ r\n  with a: 1\n}", "(record r with a: 1)"},
    {"{ {a: 1} with a: 2 }", "(record (record a: 1) with a: 2)"},
    {"{ for x in xs with a = 0 { next a } with a: 1 }",
     "(record (for x xs (with (a 0)) (block (next a))) with a: 1)"},
    {"{ x }", "(block x)"}, {"{ x; y }", "(block x y)"}, {"{ \"a\" }", "(block \"a\")"},
    {"{ let x = 1; x }", "(block (let x 1) x)"}, {"{ ; }", "(block)"}, {"{\n}", "(record)"},
    {"r.a.b", "(. (. r a) b)"}, {"r.if", "(. r if)"}, {"r[\"b c\"]", "(index r \"b c\")"},
    {"r\n  .a\n  .b", "(. (. r a) b)"}, {"a[1]", "(index a 1)"}, {"m[i, j]", "(index m i j)"},
    {"a[1..3]", "(index a (slice 1 3))"}, {"a[1..]", "(index a (slice 1 -))"},
    {"a[..3]", "(index a (slice - 3))"}, {"m[.., 0]", "(index m (slice - -) 0)"},
    {"m[1.., ..2,]", "(index m (slice 1 -) (slice - 2))"},
    {"a[i+1..n-1]", "(index a (slice (+ i 1) (- n 1)))"}, {"a[(1..3)]", "(index a (.. 1 3))"},
    {"a[f(1..3)]", "(index a (f (.. 1 3)))"}, {"a[b[1..]]", "(index a (index b (slice 1 -)))"},
    {"a[x |> f]", "(index a (f x))"}, {"a[[1, 2]]", "(index a (array 1 2))"},
    {"a[0][1]", "(index (index a 0) 1)"}, {"f()", "(f)"}, {"f(1)(2)", "((f 1) 2)"},
    {"f(a, b, k = 1, l = x -> x,)", "(f a b k: 1 l: (-> (x) x))"}, {"f(in = 1)", "(f in: 1)"},
    {"f(a == 1)", "(f (== a 1))"}, {"f(\n  a,\n  b\n)", "(f a b)"}, {"x -> x", "(-> (x) x)"},
    {"() -> 1", "(-> () 1)"}, {"(x) -> x", "(-> (x) x)"}, {"(x, y) -> x", "(-> (x y) x)"},
    {"_ -> 1", "(-> (_) 1)"}, {"(x, _) -> x", "(-> (x _) x)"},
    {"f -> x -> f(f(x))", "(-> (f) (-> (x) (f (f x))))"},
    {"(x, lo = 0) -> x", "(-> (x (lo = 0)) x)"}, {"(x: real) -> x", "(-> ((x : real)) x)"},
    {"f(x -> x, y)", "(f (-> (x) x) y)"}, {"x -> { x }", "(-> (x) (block x))"},
    {"x -> { a: x }", "(-> (x) (record a: x))"}, {"x ->\n  x", "(-> (x) x)"},
    {"x -> y -> x or y", "(-> (x) (-> (y) (or x y)))"}, {"if a { b }", "(if a (block b))"},
    {"if a { b } else { c }", "(if a (block b) (block c))"},
    {"if a { b } else if c { d } else { e }", "(if a (block b) (if c (block d) (block e)))"},
    {"if a {} else {}", "(if a (block) (block))"},
    {"if a\n{ b }\nelse\n{ c }", "(if a (block b) (block c))"},
    {"1 + if a { 1 } else { 2 } * 3", "(+ 1 (* (if a (block 1) (block 2)) 3))"},
    {"if {a: 1} == r { 1 }", "(if (== (record a: 1) r) (block 1))"},
    {"[x * y for x in 1..4 for y in 1..4 if x != y]",
     "(comp (* x y) (for x (.. 1 4)) (for y (.. 1 4)) (if (!= x y)))"},
    {"[x\n for x in xs\n if x > 0\n]", "(comp x (for x xs) (if (> x 0)))"},
    {"[a + b for {a, b} in rs]", "(comp (+ a b) (for (fields a: a b: b) rs))"},
    {"[for x in xs { x }]", "(array (for x xs (block x)))"},
    {"[if a { b } else { c }, d]", "(array (if a (block b) (block c)) d)"},
    {"[[y for y in x] for x in xs]", "(comp (comp y (for y x)) (for x xs))"},
  };
  check_trees(v, NORN_COUNT(v));
}

static void test_match(void)
{
  static const pair v[] = {
    {"match t { Leaf(_) -> 0, Node(l, r) -> 1 + max(depth(l), depth(r)) }",
     "(match t ((Leaf _) 0) ((Node l r) (+ 1 (max (depth l) (depth r)))))"},
    {"match xs { [] -> 0, [x] -> x, [x, y, ..rest] if x > y -> x, _ -> -1 }",
     "(match xs ((list) 0) ((list x) x) ((list x y ..rest) if (> x y) x) (_ (- 1)))"},
    {"match xs {\n  [] -> 0\n  [x, ..] -> x\n}", "(match xs ((list) 0) ((list x ..) x))"},
    {"match x { [.._] -> 1 }", "(match x ((list ..) 1))"},
    {"match x { -1 -> 1, -1.5 -> 2, -9223372036854775808 -> 3 }",
     "(match x (-1 1) (-1.5 2) (-9223372036854775808 3))"},
    {"match x { \"a\" -> 1, true -> 2, () -> 3, missing -> 4, r\"\\\" -> 5 }",
     "(match x (\"a\" 1) (true 2) (() 3) (missing 4) (\"\\\\\" 5))"},
    {"match x { A -> 1, A() -> 2, m.B -> 3, m.B(C(x), D) -> 4 }",
     "(match x ((A) 1) ((A) 2) (((. m B)) 3) (((. m B) (C x) (D)) 4))"},
    {"match x { {a: p, b} -> 1, {} -> 2, {\"c d\": [y]} -> 3 }",
     "(match x ((fields a: p b: b) 1) ((fields) 2) ((fields \"c d\": (list y)) 3))"},
    {"match x { (a) -> a }", "(match x (a a))"},
    {"match x { a if f(y -> y) -> a, b if (y -> y)(b) -> 1 }",
     "(match x (a if (f (-> (y) y)) a) (b if ((-> (y) y) b) 1))"},
    {"match x { a if (a > 1) -> 2, b if (b) -> c -> 1 }",
     "(match x (a if (> a 1) 2) (b if b (-> (c) 1)))"},
    {"match x { a -> b -> a, c -> { d: 1 }, e -> { f } }",
     "(match x (a (-> (b) a)) (c (record d: 1)) (e (block f)))"},
    {"match x { a -> match a { 1 -> 2, _ -> 3 }, b -> 4 }",
     "(match x (a (match a (1 2) (_ 3))) (b 4))"},
    {"match x {\n a -> 1\n -1 -> 2\n [b] -> 3\n}", "(match x (a 1) (-1 2) ((list b) 3))"},
    {"match {a: 1} { {a} -> a }", "(match (record a: 1) ((fields a: a) a))"},
    {"match x { a -> 1; b -> 2;, }", "(match x (a 1) (b 2))"},
    {"match x { A -> a\n  + b\n B -> c }", "(match x ((A) (+ a b)) ((B) c))"},
  };
  check_trees(v, NORN_COUNT(v));
}

static void test_loops(void)
{
  static const pair v[] = {
    {"for x in xs { x + 1 }", "(for x xs (block (+ x 1)))"},
    {"for _ in 0..3 { 1 }", "(for _ (.. 0 3) (block 1))"},
    {"for {a, b} in rs { a }", "(for (fields a: a b: b) rs (block a))"},
    {"for X in xs { X }", "(for X xs (block X))"},
    {"for x in xs with acc = 0 { next acc + x }",
     "(for x xs (with (acc 0)) (block (next (+ acc x))))"},
    {"for t in 0..9 with x = 0.0 { let x2 = x + 1; next x2 keep x2 }",
     "(for t (.. 0 9) (with (x 0.0)) (block (let x2 (+ x 1)) (next x2 keep x2)))"},
    {"for x in xs with a = 0, b = 1 { next b, a + b keep a }",
     "(for x xs (with (a 0) (b 1)) (block (next b (+ a b) keep a)))"},
    {"for x in xs\n  with a = 0,\n    b = 1 {\n  next a,\n    b\n}",
     "(for x xs (with (a 0) (b 1)) (block (next a b)))"},
    {"for x in xs with a = 0 { if x { next a } else if y { next 1 } else { next 2 keep 3 } }",
     "(for x xs (with (a 0)) (block (if x (block (next a)) (if y (block (next 1)) (block (next "
     "2 keep 3))))))"},
    {"for x in xs with a = 0 { match x { 1 -> next a, 2 -> { next 3 }, _ -> next a } }",
     "(for x xs (with (a 0)) (block (match x (1 (next a)) (2 (block (next 3))) (_ (next a)))))"},
    {"for x in xs with a = 0, b = 0 { match x { 1 -> next a, b, _ -> next b, a } }",
     "(for x xs (with (a 0) (b 0)) (block (match x (1 (next a b)) (_ (next b a)))))"},
    {"for x in xs with a = 0 { let b = for y in x with c = 0 { next c + y }; next a + b }",
     "(for x xs (with (a 0)) (block (let b (for y x (with (c 0)) (block (next (+ c y))))) (next "
     "(+ a b))))"},
    {"for x in xs with a = 0 { next a\n keep x }",
     "(for x xs (with (a 0)) (block (next a keep x)))"},
    {"let keep = 1; keep", "(let keep 1)\nkeep"},
  };
  check_trees(v, NORN_COUNT(v));
}

static void test_statements(void)
{
  static const pair v[] = {
    {"let x = 3", "(let x 3)"}, {"let X = 3", "(let X 3)"}, {"let _ = f()", "(let _ (f))"},
    {"let x =\n  3", "(let x 3)"},
    {"let {a, b: [c, ..d]} = r", "(let (fields a: a b: (list c ..d)) r)"},
    {"let Node(l, r) = t", "(let (Node l r) t)"}, {"let m.A(x) = t", "(let ((. m A) x) t)"},
    {"let [x, y] = p", "(let (list x y) p)"}, {"let x ~ normal(0, 1)", "(let~ x (normal 0 1))"},
    {"let _ ~ d", "(let~ _ d)"}, {"let x ~ d via q(y)", "(let~ x d via (q y))"},
    {"let x ~ d as \"n\"", "(let~ x d as \"n\")"},
    {"let x ~ d via q as \"n[{i}]\"", "(let~ x d via q as (interp \"n[\" i \"]\"))"},
    {"let x ~ d\n  via q", "(let~ x d via q)"},
    {"let {a} ~ m() as \"m\"", "(let~ (fields a: a) (m) as \"m\")"},
    {"let N ~ poisson(3)", "(let~ N (poisson 3))"},
    {"let via = 1\nlet as = via\nas", "(let via 1)\n(let as via)\nas"},
    {"observe y ~ normal(x, 0.5)", "(observe y (normal x 0.5))"},
    {"observe \"84\" ~ ctx.text()", "(observe \"84\" ((. ctx text)))"},
    {"let yt = observe y[t] ~ normal(phi * prev, 1)",
     "(let yt (observe (index y t) (normal (* phi prev) 1)))"},
    {"f(observe y ~ d, 1)", "(f (observe y d) 1)"},
    {"factor(-0.5 * x^2)", "(factor (* (- 0.5) (^ x 2)))"}, {"fn f() = 1", "(fn f () 1)"},
    {"fn f(x) { x }", "(fn f (x) (block x))"}, {"fn f(x) {}", "(fn f (x) (block))"},
    {"fn f(x) = {}", "(fn f (x) (record))"}, {"fn f(x)\n{\n x\n}", "(fn f (x) (block x))"},
    {"fn f(x) =\n  x\n  + 1", "(fn f (x) (+ x 1))"},
    {"fn clamp(x, lo = 0, hi = 1) {\n  min(max(x, lo), hi)\n}",
     "(fn clamp (x (lo = 0) (hi = 1)) (block (min (max x lo) hi)))"},
    {"fn f(x: real, s: real(lower = 0)) -> real = x",
     "(fn f ((x : real) (s : (real lower: 0))) -> real x)"},
    {"fn f(a: array(array(real)), m: matrix(2, n = k), g: fn(int) -> fn, h: fn, t: tree.Tree = "
     "x) -> fn() -> T = 1",
     "(fn f ((a : (array (array real))) (m : (matrix 2 n: k)) (g : (fn int -> (fn))) (h : (fn)) "
     "(t : tree.Tree = x)) -> (fn -> T) 1)"},
    {"model m(y) { let x ~ d; x }", "(model m (y) (block (let~ x d) x))"},
    {"model m() = sample(d)", "(model m () (sample d))"},
    {"fn f() { fn g() = 1; g() }", "(fn f () (block (fn g () 1) (g)))"},
    {"distribution d(m, b) {\n sample = () -> 1\n logpdf = x -> -x; support = real\n}",
     "(distribution d (m b) sample: (-> () 1) logpdf: (-> (x) (- x)) support: real)"},
    {"distribution d() { support = interval(0, 1), sample = f }",
     "(distribution d () support: (interval 0 1) sample: f)"},
    {"type T = A(x, y) | B", "(type T (A (x y)) (B ()))"}, {"type T = A", "(type T (A ()))"},
    {"type T =\n  | A(x: int)\n  | B\n1", "(type T (A ((x : int))) (B ()))\n1"},
    {"import stats", "(import stats as stats)"}, {"import stats as s", "(import stats as s)"},
    {"import \"mine.norn\" as mine", "(import \"mine.norn\" as mine)"},
    /* words that are keywords only in their places */
    {"let model = 1; model", "(let model 1)\nmodel"}, {"type + 1", "(+ type 1)"},
    {"model(x)", "(model x)"}, {"import", "import"},
    {"let distribution = d; distribution.x", "(let distribution d)\n(. distribution x)"},
    {"model\nm", "model\nm"}, {"fn f(type, model) = type", "(fn f (type model) type)"},
    /* docstrings */
    {"## One.\n##   Two.\n##\nfn f() = 1", "(fn f doc \"One.\\n  Two.\\n\" () 1)"},
    {"# a\n## b\nlet x = 1 ## c\n\n## d\ntype T = A\n## e\n# f\nmodel m() {}",
     "(let x doc \"b\" 1)\n(type T doc \"d\" (A ()))\n(model m () (block))"},
    {"## Module.\n\n## D.\ndistribution d() {}",
     "(doc \"Module.\")\n(distribution d doc \"D.\" ())"},
    {"#!norn\n## Module.\r\n\r\n1", "(doc \"Module.\")\n1"},
    {"let y = 1 ## no\nlet x = 2", "(let y 1)\n(let x 2)"},
    {"fn f() {\n  ## inner\n  let a = 1\n  a\n}", "(fn f () (block (let a doc \"inner\" 1) a))"},
  };
  check_trees(v, NORN_COUNT(v));
}

static void test_lines(void)
{
  static const pair v[] = {
    {"a\nb", "a\nb"}, {"a; b", "a\nb"}, {"a +\nb", "(+ a b)"}, {"a\n+ b", "(+ a b)"},
    {"a\n- b", "a\n(- b)"}, {"a -\nb", "(- a b)"}, {"(a\n- b)", "(- a b)"},
    {"[a\n- b]", "(array (- a b))"}, {"f(a\n- b)", "(f (- a b))"},
    {"f({\na\n- b})", "(f (block a (- b)))"}, {"xs\n|> f\n|> g", "(g (f xs))"},
    {"a\nor b\nand c", "(or a (and b c))"}, {"a\n..b", "(.. a b)"}, {"a\n== b", "(== a b)"},
    {"a\n++ b\n@ c\n^ d", "(++ a (@ b (^ c d)))"}, {"a\n(b)", "a\nb"}, {"a\n[b]", "a\n(array b)"},
    {"(a\n, b) -> a", "(-> (a b) a)"}, {"a\nnot b", "a\n(not b)"},
    {"if a { b }\nelse { c }", "(if a (block b) (block c))"},
    {"for x in xs\nwith a = 0 { next a }", "(for x xs (with (a 0)) (block (next a)))"},
    {"a # c\n+ b # d", "(+ a b)"}, {"a\n\n\n|> f", "(f a)"}, {"(\na\n)", "a"}, {"f(\n)", "(f)"},
    {"{ a\n+ b }", "(block (+ a b))"}, {"x |>\n f", "(f x)"}, {"not\na", "(not a)"},
    {"-\na", "(- a)"}, {"let x\n= 1", "(let x 1)"},
  };
  check_trees(v, NORN_COUNT(v));
}

/* ---- errors ---- */

static void check_errors(const char *src, size_t n, const char *want)
{
  job j;
  text t;
  mem_init(&j.m);
  job_open(&j, src, n);
  text_init(&t, &j.m);
  put_errors(&t, &j);
  if (t.n) t.s[t.n - 1] = 0;
  if (strcmp(t.n ? t.s : "", want) != 0) fprintf(stderr, "of %.*s\n", n < 200 ? (int)n : 200, src);
  CHECK_STR(t.n ? t.s : "", want);
  CHECK(j.status != PARSE_OK && j.mod && !j.d.failed);
  text_free(&t);
  job_close(&j);
}

static void test_lexical_errors(void)
{
  static const pair v[] = {
    {"let x = \"abc\nlet y = 1", "1:9: this string is not closed"},
    {"f(\"abc", "1:3: this string is not closed"},
    {"\"a {x\nlet y = )", "1:1: this string is not closed\n2:9: this ')' closes nothing"},
    {"\"a {f(\n1)}\nlet y = 1", "1:1: this string is not closed\n2:2: this ')' closes nothing"},
    {"\"{\"{a\nb", "1:1: this string is not closed"},
    {"\"{}\"", "1:3: nothing stands between the braces of this string"},
    {"r\"abc", "1:1: this string is not closed"},
    {"\"{x:2}\"", "1:4: expected '}' after the expression in the string, found ':'"},
    {"\"\\q\"", "1:2: no such escape in a string"},
    {"\"\\u{}\" + \"\\u{d800}\" + \"\\ua\"",
     "1:2: \\u needs a code point in braces\n1:11: \\u needs a code point in braces\n1:24: \\u "
     "needs a code point in braces"},
    {"9223372036854775808", "1:1: this integer is too large"},
    {"-9223372036854775809", "1:2: this integer is too large"},
    {"99999999999999999999999", "1:1: this integer is too large"},
    {"-9223372036854775808^2", "1:2: this integer is too large"},
    {"1e999", "1:1: this real is too large"}, {"2x", "1:1: '2x' is neither a number nor a name"},
    {"1__0", "1:1: '1__0' is neither a number nor a name"},
    {"1_", "1:1: '1_' is neither a number nor a name"},
    {"0x1F", "1:1: '0x1F' is neither a number nor a name"},
    {"1e", "1:1: '1e' is neither a number nor a name"},
    {"1.", "1:1: a digit must follow the point"}, {"1.x", "1:1: a digit must follow the point"},
    {".5", "1:1: expected an expression, found '.'"},
    {"a && b || !c",
     "1:3: there is no operator '&&'\n1:8: there is no operator '||'\n1:11: there is no "
     "operator '!'"},
    {"a ** b", "1:3: there is no operator '**'"}, {"a %% b", "1:3: there is no operator '%%'"},
    {"x => x", "1:3: there is no operator '=>'"}, {"x += 1", "1:3: there is no operator '+='"},
    {"let x := 1", "1:7: there is no operator ':='"},
    {"a === b", "1:3: there is no operator '==='"}, {"a <> b", "1:3: there is no operator '<>'"},
    {"c ? a : b", "1:3: there is no operator '?'"}, {"\\x -> x", "1:1: there is no operator '\\'"},
    {"r$x + `y`",
     "1:2: there is no operator '$'\n1:7: there is no operator '`'\n1:9: there is no operator "
     "'`'"},
    {"let x = \xe2\x80\x9c" "a\xe2\x80\x9d",
     "1:9: the character '\xe2\x80\x9c' means nothing here\n1:11: the character '\xe2\x80\x9d' "
     "means nothing here"},
    {"x\xc2\xb2", "1:2: the character '\xc2\xb2' means nothing here"},
    {"a \x01 b", "1:3: a control character (U+0001) stands here"},
    {"let s = \"a\xff\" + \xfe", "1:11: byte 0xff is not UTF-8"},
    {"# caf\xe9\n1", "1:6: byte 0xe9 is not UTF-8"},
  };
  for (int i = 0; i < NORN_COUNT(v); i++) check_errors(v[i].src, strlen(v[i].src), v[i].tree);
  check_errors("a\0b", 3, "1:2: a control character (U+0000) stands here");
}

static void test_syntax_errors(void)
{
  static const pair v[] = {
    {"if x = 3 { 1 }", "1:6: expected '{' after the condition of if, found '='"},
    {"x = 3", "1:3: expected the end of the statement, found '='"},
    {"if a { b } elif c { d }\n)",
     "1:12: expected the end of the statement, found 'elif'\n2:1: this ')' closes nothing"},
    {"if a { b } else c", "1:17: expected '{' or 'if' after else, found 'c'"},
    {"if a then b", "1:6: expected '{' after the condition of if, found 'then'"},
    {"while x { y }", "1:7: expected the end of the statement, found 'x'"},
    {"print \"a\"", "1:7: expected the end of the statement, found a string"},
    {"f(a b)", "1:5: expected ',' or ')' in the call, found 'b'"},
    {"f(a; b)", "1:4: expected ',' or ')' in the call, found ';'"},
    {"f(1, 2\nlet b = 3", "2:1: expected ',' or ')' in the call, found 'let'"},
    {"f(a, , b)", "1:6: expected an expression, found ','"},
    {"f(k = 1, 2)", "1:10: an argument without a name stands after a named one"},
    {"f(k = 1, k = 2)", "1:10: the argument 'k' stands here twice"},
    {"g(]", "1:3: this ']' closes nothing"},
    {"[f(a]\n1", "1:5: expected ',' or ')' in the call, found ']'"},
    {"a)", "1:2: this ')' closes nothing"}, {"}\na", "1:1: this '}' closes nothing"},
    {"(1, 2)", "1:3: expected ')', found ','"},
    {"f('abc')", "1:3: expected an expression, found \"'\""},
    {"a < b < c", "1:7: comparisons do not chain"}, {"a..b..c", "1:5: ranges do not chain"},
    {"1 + not a", "1:5: 'not' binds looser than the operator before it"},
    {"if a { x: 1 }", "1:9: expected the end of the statement, found ':'"},
    {"a |> f or g", "1:3: what stands right of '|>' is no function"},
    {"xs |> sum + 1", "1:4: what stands right of '|>' is no function"},
    {"xs |> 1", "1:4: what stands right of '|>' is no function"},
    {"a[]", "1:3: an index is missing"},
    {"a[1.. or b]", "1:7: expected an expression, found 'or'"},
    {"a[b or 1..]", "1:8: a range without an end must be the whole index"},
    {"f(1..)", "1:6: expected an expression, found ')'"},
    {"_ + 1", "1:1: '_' has no value: it stands in patterns only"},
    {"1 + 2 3", "1:7: expected the end of the statement, found '3'"},
    {"{ mu, tau }", "1:5: expected the end of the statement, found ','"},
    {"{ a: 1, a: 2 }", "1:9: the field 'a' stands here twice"},
    {"{ a: 1\n  b: 2 }", "2:3: expected ',' or '}' in the record, found 'b'"},
    {"{ a: 1, 2 }", "1:9: expected a field 'name: value' or '}', found '2'"},
    {"{ r with 1 }", "1:10: expected a field 'name: value' or '}', found '1'"},
    {"{ a: 1, b = 2 }", "1:11: expected ':' after the name of the field, found '='"},
    {"{ let x = 1; x with a: 1 }", "1:16: expected the end of the statement, found 'with'"},
    {"{ \"a\\u{0}\": 1 }", "1:3: a field's name can't hold \\u{0}"},
    {"let x == 3", "1:7: expected '=' or '~' after let and a pattern, found '=='"},
    {"let x: int = 3", "1:6: expected '=' or '~' after let and a pattern, found ':'"},
    {"let x\nlet y = 1",
     "1:6: expected '=' or '~' after let and a pattern, found the end of the line"},
    {"let f(x) = 1", "1:5: 'f' is no constructor"},
    {"let 1 = x", "1:5: this pattern binds names; it can't test for a value"},
    {"let {a: 1} = x", "1:9: this pattern binds names; it can't test for a value"},
    {"let {a} ~ d", "1:5: the choice needs a name of its own"},
    {"let x ~ d as y", "1:14: expected a string, the name of the choice, after as, found 'y'"},
    {"let x = 1, y = 2", "1:10: expected the end of the statement, found ','"},
    {"x ~ normal(0, 1)", "1:3: expected the end of the statement, found '~'"},
    {"observe y = d", "1:11: expected '~' and a distribution after the observed value, found '='"},
    {"fn (x) = 1", "1:4: expected the function's name after fn, found '('"},
    {"let f = fn(x) = 1", "1:9: expected an expression, found 'fn'"},
    {"fn f = 1", "1:6: expected '(' and the parameters, found '='"},
    {"fn f(1) = 1", "1:6: expected the name of a parameter, found '1'"},
    {"fn f(x, x) = 1", "1:9: the parameter 'x' stands here twice"},
    {"fn f(a = 1, b) = 1", "1:13: the parameter 'b' has no default, but one before it has"},
    {"fn f(x) x", "1:9: expected '=' or '{' after the parameters, found 'x'"},
    {"fn f(x) -> x + 1", "1:14: expected '=' or '{' after the result's type, found '+'"},
    {"fn f(x): real = 1", "1:8: expected '=' or '{' after the parameters, found ':'"},
    {"model m() -> real {}", "1:11: expected '=' or '{' after the parameters, found '->'"},
    {"(a, 1) -> a", "1:5: expected the name of a parameter, found '1'"},
    {"f(x) -> x", "1:6: expected the end of the statement, found '->'"},
    {"match x {}", "1:1: this match has no arms"},
    {"match x { A = 1, B -> 2 }", "1:13: expected '->' after the pattern, found '='"},
    {"match x { A | B -> 1 }", "1:13: expected '->' after the pattern, found '|'"},
    {"match x { A -> let y = 1\n B -> ) }",
     "1:16: expected an expression, found 'let'\n2:7: this ')' closes nothing"},
    {"match x { 1 + 2 -> 3 }", "1:13: expected '->' after the pattern, found '+'"},
    {"match x { f(y) -> 3 }", "1:11: 'f' is no constructor"},
    {"match x { [..r, x] -> 3 }",
     "1:17: expected ']': the rest comes last in a pattern, found 'x'"},
    {"match x { \"{a}\" -> 3 }", "1:11: a string in a pattern can't have { } in it"},
    {"match x { m.b -> 3 }", "1:13: expected the name of a constructor after '.', found 'b'"},
    {"match x { - -> 3 }", "1:13: expected a number after '-' in the pattern, found '->'"},
    {"match x { a -> 1 b -> 2 }",
     "1:18: expected ',' or the end of the line after the arm, found 'b'"},
    {"match x { a if b }", "1:18: expected '->' after the guard, found '}'"},
    {"next 3", "1:1: 'next' belongs in a loop 'with' a state"},
    {"for x in xs { next x }", "1:15: 'next' belongs in a loop 'with' a state"},
    {"for x in xs with a = 0 { x -> next x; next a }",
     "1:31: 'next' belongs in a loop 'with' a state"},
    {"for x in xs with a = 0 { if x { next a } }",
     "1:26: this if has no else, so a path of the loop has no 'next'"},
    {"for x in xs with a = 0 { if x { next a } else { 1 } }",
     "1:49: this path of the loop does not end in 'next'"},
    {"for x in xs with a = 0 { }", "1:24: this path of the loop does not end in 'next'"},
    {"for x in xs with a = 0 { let y = next a; next y }",
     "1:34: 'next' must be the last thing of its path through the loop"},
    {"for x in xs with a = 0, b = 0 { next a }",
     "1:33: this loop has 2 states, 'next' gives 1 value"},
    {"for x in xs with a = 0 { next a, a }",
     "1:26: this loop has 1 state, 'next' gives more than 1 value"},
    {"for x in xs with a = 0, a = 1 { next a, a }", "1:25: the state 'a' stands here twice"},
    {"for x in xs with 1 { next 1 }", "1:18: expected the name of a state after with, found '1'"},
    {"for x = 1 { x }", "1:7: expected 'in' after the variable of the loop, found '='"},
    {"[x for y]", "1:9: expected 'in' after the variable of the comprehension, found ']'"},
    {"type t = a", "1:10: the constructor 'a' must start with a capital letter"},
    {"type T(a) = A", "1:7: expected '=' and the constructors of the type, found '('"},
    {"type T = A | A", "1:14: the constructor 'A' stands here twice"},
    {"{ type T = A }", "1:3: type stands at the top level only"},
    {"{ import a }", "1:3: import stands at the top level only"},
    {"import \"a.norn\"",
     "1:16: expected 'as' and a name after the file, found the end of the text"},
    {"import \"a.norn\" as 1", "1:20: expected a name for the module after as, found '1'"},
    {"distribution d() { x }\n1", "1:22: expected '=' and the value of the entry, found '}'"},
    {"distribution d() { a = 1 b = 2\n c = ] }",
     "1:26: expected the end of the line after the entry, found 'b'\n2:6: this ']' closes "
     "nothing"},
    {"distribution d() { a = 1; a = 2 }", "1:27: the entry 'a' stands here twice"},
    {"r.1", "1:3: expected a field's name after '.', found '1'"},
    {"fn f(x) {\n  if x {\n    1\n  else {\n    2\n  }\n}\n)",
     "4:3: a '}' is missing before else\n8:1: this ')' closes nothing"},
    {"else { 1 }", "1:1: expected an expression, found 'else'"},
    {"fn f(x: 1) = 1", "1:9: expected a type, found '1'"},
    {"a |", "1:3: expected the end of the statement, found '|'"},
  };
  for (int i = 0; i < NORN_COUNT(v); i++) check_errors(v[i].src, strlen(v[i].src), v[i].tree);
}

/* Several mistakes: each is found, none causes another. */
static void test_recovery(void)
{
  static const char src[] =
    "let a = 1 +* 2\n"                     /* 1:12 */
    "fn good(x) = x\n"
    "fn bad(x {\n"                         /* 3:10 */
    "  x\n"
    "}\n"
    "model m(y) {\n"
    "  let z ~ normal(0 1)\n"              /* 7:20 */
    "  if z > { 0 } {\n"
    "    let q = f(,)\n"                   /* 9:15 */
    "    g(q)\n"
    "  } else {\n"
    "    match z { A => 1, B -> , C -> 3 }\n"   /* 12:17 '=>', 12:28 */
    "  }\n"
    "  let w = [1, 2\n"
    "  w\n"                                /* 15:3 */
    "}\n"
    "let s = \"open\n"                     /* 17:9 */
    "let t = (1 + 2))\n"                   /* 18:16 */
    "print(a b\n"                          /* 19:9 */
    "  + c)\n"
    "let u = 2\n";
  check_errors(src, sizeof src - 1,
               "1:12: expected an expression, found '*'\n"
               "3:10: expected ',' or ')' in the parameters, found '{'\n"
               "7:20: expected ',' or ')' in the call, found '1'\n"
               "9:15: expected an expression, found ','\n"
               "12:17: there is no operator '=>'\n"
               "12:28: expected an expression, found ','\n"
               "15:3: expected ',' or ']' in the array, found 'w'\n"
               "17:9: this string is not closed\n"
               "18:16: this ')' closes nothing\n"
               "19:9: expected ',' or ')' in the call, found 'b'");
}

/* The hints, where there is one. */
static void test_hints(void)
{
  static const pair v[] = {
    {"if x = 3 { 1 }", "== compares; let x = ... binds a name"},
    {"x = 3", "no assignment exists: let x = ... binds a new name"},
    {"if a { b } elif c { d }", "write else if"}, {"a && b", "write and"},
    {"a ** b", "the power is ^"}, {"print \"a\"", "a call has parentheses: f(x)"},
    {"x ~ d", "let x ~ d samples, observe y ~ d conditions"},
    {"return x", "there is no return: the last expression of a block is its value"},
    {"f('a')", "strings stand in double quotes \"...\""},
    {".5", "write a digit before the point: 0.5"},
    {"{ mu, tau }", "a record names its fields: { mu: mu, ... }"},
    {"f(a; b)", "inside brackets separate with ','"},
    {"f(a,\n  b\nlet c = 1", "the '(' was opened in line 1"},
    {"a < b < c", "write a < b and b < c"}, {"match x { A = 1 }", "an arm is pattern -> value"},
    {"(1, 2)", "there are no tuples: write an array [a, b] or a record { a: a, b: b }"},
    {"fn f(x) -> x + 1", "the body comes after '=', the type of the result after '->'"},
    {"import \"a.norn\"\n", "import \"mine.norn\" as mine"},
    {"model m() {\n  for x in y {\n    x\n  let z = 1\n}\nfn g() = 1\n",
     "is a '}' missing for the '{' of line 2?"},
    {"let match = 3", "'match' is a word of the language"}, {"let x = 1)", ""},
    {"observe y = d", "observe y ~ normal(mu, sigma)"},
    {"xs |> sum + 1", "'|>' binds loosest: write (a |> f) + 1"},
    {"a b", "a call has parentheses: f(x)"},
    {"1 2", "a statement ends at the end of its line or at ';'"},
  };
  for (int i = 0; i < NORN_COUNT(v); i++) {
    job j;
    mem_init(&j.m);
    job_open(&j, v[i].src, strlen(v[i].src));
    CHECK(j.d.n == 1);
    CHECK_STR(j.d.n ? j.d.v[0].e.hint : NULL, v[i].tree);
    job_close(&j);
  }
}

/* ---- incomplete text ---- */

static parse_status status_of(const char *src, size_t n)
{
  job j;
  mem_init(&j.m);
  job_open(&j, src, n);
  job_close(&j);
  return j.status;
}

static void test_more(void)
{
  static const char *const more[] = {
    "1 +", "f(", "f(1,", "[1, 2", "{", "{ a: 1,", "{ r with", "let x", "let x =", "let x ~",
    "let x ~ d via", "let x ~ d as", "observe y", "observe y ~", "fn", "fn f", "fn f(x)",
    "fn f(x) =", "fn f(x) ->", "fn f(x) {", "fn f(x) {\n  x\n",
    "model m() {\n  let x ~ normal(0, 1)", "if a", "if a {", "if a { b } else", "for x",
    "for x in", "for x in xs", "for x in xs with", "for x in xs with a = 0 {", "match x",
    "match x {", "match x { A ->", "match x { A -> 1,", "x ->", "not", "-", "xs |>", "a.", "a[1",
    "a[1..", "(", "((1)", "type T =", "type T = A |", "import \"a.norn\"", "import \"a.norn\" as",
    "distribution d() {", "[x for", "[x for x in xs", "f(x -> {\n y\n", "\"a\" ++", "a or",
    "a and not", "{ \"k\":", "match x { [a,", "fn f(x:", "model m() {\n  { a: 1",
  };
  static const char *const wrong[] = {
    "\"abc", "\"{", "\"{f(", "1 + )\nf(", ") + (", "f(a b", "f(]", "{ a: 1, 2", "let 1 = x\n{",
    "2x +", "(1;", "a && (", "f(a, k = 1, k = 2) + (",
  };
  for (int i = 0; i < NORN_COUNT(more); i++) {
    bool right = status_of(more[i], strlen(more[i])) == PARSE_MORE;
    if (!right) fprintf(stderr, "of %s\n", more[i]);
    CHECK(right);
  }
  for (int i = 0; i < NORN_COUNT(wrong); i++) {
    bool right = status_of(wrong[i], strlen(wrong[i])) == PARSE_ERROR;
    if (!right) fprintf(stderr, "of %s\n", wrong[i]);
    CHECK(right);
  }
}

/* Every line-wise prefix of a program is complete or asks for more, never wrong. */
static void test_prefixes(const char *src, size_t n)
{
  for (size_t i = 0; i <= n; i++)
    if (i == n || src[i] == '\n') CHECK(status_of(src, i) != PARSE_ERROR);
}

/* The examples of the language's description. */
static void test_description(void)
{
  static const char *const names[] = {"eight_schools", "expressions", "probability", "walk", "llm"};
  const char *srcdir = getenv("srcdir"), *why = "";
  for (int i = 0; i < NORN_COUNT(names); i++) {
    char path[1000];
    mem m;
    size_t n;
    mem_init(&m);
    if (!srcdir) srcdir = ".";
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/parse/%s.norn", srcdir, names[i]);
    char *s = file_read(&m, path, &n, &why);
    if (!s) fprintf(stderr, "%s: %s\n", path, why);
    CHECK(s && n > 0 && status_of(s, n) == PARSE_OK);
    if (!s) continue;
    test_prefixes(s, n);
    mem_put(&m, s, n + 1);
  }
}

/* ---- depth ---- */

/* `open` times `times`, then the middle, then `close` as often. */
static void check_deep(const char *open, const char *mid, const char *close, int times,
                       const char *want)
{
  job j;
  text t;
  mem_init(&j.m);
  text_init(&t, &j.m);
  for (int i = 0; i < times; i++) text_puts(&t, open);
  text_puts(&t, mid);
  for (int i = 0; i < times; i++) text_puts(&t, close);
  job_open(&j, t.s, t.n);
  bool right = want ? j.d.n == 1 && strncmp(j.d.v[0].e.text, want, strlen(want)) == 0 : j.d.n == 0;
  const char *got = j.d.n ? j.d.v[0].e.text : "no error";
  if (!right) fprintf(stderr, "%s... %d times: %s\n", open, times, got);
  CHECK(right);
  CHECK(!want == (j.status == PARSE_OK));
  text_free(&t);
  job_close(&j);
}

static const char too_deep[] = "this is nested too deeply";

static void test_depth(void)
{
  static const char *const forms[][3] = {
    {"(", "1", ")"}, {"[", "", "]"}, {"f(", "1", ")"}, {"{", "1", "}"}, {"{a: ", "1", "}"},
    {"- ", "1", ""}, {"not ", "a", ""}, {"2^", "1", ""}, {"x -> ", "x", ""}, {"if a {", "1", "}"},
    {"if a {} else ", "if b {}", ""}, {"for x in y {", "1", "}"}, {"match x { y -> ", "1", "}"},
    {"fn f() {", "1", "}"}, {"a[", "1", "]"}, {"\"{", "1", "}\""}, {"match x { A(", "", ")"},
    {"observe ", "1", " ~ 2"}, {"[x for x in ", "y", "]"}, {"{ r with a: ", "1", "}"},
    {"if ", "a", "{}"}, {"1 + (", "1", ")"}, {"a |> (", "b", ")"},
    {"a or b and not c == d .. e ++ f + g * -h ^ (", "1", ")"},
    {"for x in xs with a = 0 { next ", "1", "}"}, {"match ", "x", "{ a -> 1 }"},
  };
  for (int i = 0; i < NORN_COUNT(forms); i++) {
    bool pattern = strcmp(forms[i][0], "match x { A(") == 0;
    if (!pattern) check_deep(forms[i][0], forms[i][1], forms[i][2], 60, NULL);
    if (!pattern) check_deep(forms[i][0], forms[i][1], forms[i][2], 20000, too_deep);
  }
  check_deep("A(", "x", ")", 200, NULL);
  check_deep("", "fn f(x: ", "", 1, "expected a type");
  check_deep("+ 1", "1", "", 0, NULL);
  /* what loops build leans to the left: its height is limited too */
  check_deep("", "1", " + 1", 900, NULL);
  check_deep("", "1", " + 1", 20000, too_deep);
  check_deep("", "f", "(1)", 20000, too_deep);
  check_deep("", "a", ".b", 20000, too_deep);
  check_deep("", "a", "'", 20000, too_deep);
  check_deep("", "a", "[0]", 20000, too_deep);
  check_deep("", "a", " |> f", 20000, too_deep);
  check_deep("", "a", "\n|> f(1)", 900, NULL);
  check_deep("", "[1", ", 1", 20000, "this '[' is never closed");
  check_deep("let x = 1\n", "", "let y = 2\n", 20000, NULL);
}

static void test_many_errors(void)
{
  job j;
  text t;
  mem_init(&j.m);
  text_init(&t, &j.m);
  for (int i = 0; i < 1000; i++) text_puts(&t, "let = 1\n");
  job_open(&j, t.s, t.n);
  CHECK(j.d.n == PARSE_ERRORS_MAX + 1 && j.status == PARSE_ERROR);
  CHECK_STR(j.d.v[j.d.n - 1].e.text, "too many errors; the rest stays unread");
  job_close(&j);
  t.n = 0;
  for (int i = 0; i < 1000; i++) text_puts(&t, "a ? \x01\n");
  job_open(&j, t.s, t.n);
  CHECK(j.d.n >= 20 && j.d.n <= 22 && j.status == PARSE_ERROR);
  job_close(&j);
  text_free(&t);
}

/* ---- places ---- */

/* The text under the span of the first statement's node that `pick` takes. */
static void check_span(const char *src, norn_span (*pick)(const ast *), const char *want)
{
  job j;
  char buf[100] = "";
  mem_init(&j.m);
  job_open(&j, src, strlen(src));
  CHECK(j.status == PARSE_OK && j.mod->n > 0);
  norn_span s = pick(j.mod->v[0]);
  CHECK(s.file == j.file && s.end >= s.start && s.end - s.start < sizeof buf);
  memcpy(buf, src + s.start, s.end - s.start);
  CHECK_STR(buf, want);
  job_close(&j);
}

static norn_span whole(const ast *e) { return e->span; }
static norn_span operator_of(const ast *e) { return e->u.bin.at; }
static norn_span second(const ast *e) { return e->u.bin.b->span; }
static norn_span argument(const ast *e) { return e->u.call.v[e->u.call.n - 1].value->span; }
static norn_span argument_name(const ast *e) { return e->u.call.v[e->u.call.n - 1].name.span; }
static norn_span param_name(const ast *e) { return e->u.fn->params[1].name.span; }
static norn_span field_name(const ast *e) { return e->u.field.name.span; }
static norn_span record_name(const ast *e) { return e->u.record.v[e->u.record.n - 1].name.span; }
static norn_span drawn(const ast *e) { return e->u.draw.pattern->span; }
static norn_span arm_of(const ast *e) { return e->u.match.v[0].span; }

static void test_spans(void)
{
  check_span("  a + b * c  # d", whole, "a + b * c");
  check_span("(a + b) * c", whole, "(a + b) * c");
  check_span("a + (b * c)", second, "b * c");
  check_span("a + b", operator_of, "+");
  check_span("xs |> f(1)", whole, "xs |> f(1)");
  check_span("f(1, -2)", argument, "-2");
  check_span("f(1, sd = 2)", argument_name, "sd");
  check_span("fn f(x, sigma: real = 2) = 1", param_name, "sigma");
  check_span("fn f(x) {\n  x\n}\n1", whole, "fn f(x) {\n  x\n}");
  check_span("r.mu + 1", whole, "r.mu + 1");
  check_span("r.mu", field_name, "mu");
  check_span("{ a: 1, \"b c\": 2 }", record_name, "\"b c\"");
  check_span("let tau ~ d", drawn, "tau");
  check_span("match x { A(b) if c -> d, e -> f }", arm_of, "A(b) if c -> d");
  check_span("-9223372036854775808", whole, "-9223372036854775808");
  check_span("let s = \"a {b} c\"", whole, "let s = \"a {b} c\"");
}

/* Two names are one pointer exactly when they are equal. */
static void test_names(void)
{
  job j;
  text t;
  mem_init(&j.m);
  text_init(&t, &j.m);
  for (int i = 0; i < 2000; i++) text_printf(&t, "n%d\n", i % 1000);
  text_puts(&t, "r.n7; {\"n7\": 1}");
  job_open(&j, t.s, t.n);
  CHECK(j.status == PARSE_OK && j.mod->n == 2002);
  for (int i = 0; i < 1000; i++) CHECK(j.mod->v[i]->u.name == j.mod->v[i + 1000]->u.name);
  CHECK(j.mod->v[0]->u.name != j.mod->v[1]->u.name);
  CHECK(j.mod->v[2000]->u.field.name.s == j.mod->v[7]->u.name);
  CHECK(j.mod->v[2001]->u.record.v[0].name.s == j.mod->v[7]->u.name);
  job_close(&j);
  text_free(&t);
}

/* ---- memory ---- */

static const char program[] =
  "## Doc.\n"
  "import stats as s\n"
  "type Tree = Leaf(value) | Node(left, right: Tree)\n"
  "## A function.\n"
  "fn depth(t: Tree, k: real(lower = 0) = 1) -> int = match t {\n"
  "  Leaf(_) -> 0, m.Node(l, r) if l > 0 -> 1, [a, ..b] -> -2 }\n"
  "model m(y, \xcf\x83) {\n"
  "  let x ~ normal(0, 1.5) via normal(1, 2) as \"x{y}\\n\"\n"
  "  let {a, b: [c]} = f(x, k = 3) |> g((p, q) -> p.x[1.., 2]')\n"
  "  for t in 0..3 with u = 0, v = {r with z: 1, \"w\": ()} {\n"
  "    if t { next u, v keep u } else { next v, u } }\n"
  "  observe y ~ d\n"
  "  [x^2 for x in xs if not x == 1]\n"
  "}\n"
  "distribution d(a) { sample = () -> { 1 }\n logpdf = x -> -1e300 * 12345678901234567890.5 }\n";

/* Fails every request in turn: no crash, no leak, no claim of success. */
static void test_memory(const char *src, size_t n)
{
  job j;
  mem_init(&j.m);
  job_open(&j, src, n);
  parse_status status = j.status;
  uint64_t requests = j.m.requests;
  int errors = j.d.errors;
  job_close(&j);
  CHECK(j.m.used == 0 && requests > 5);
  for (uint64_t k = 1; k <= requests; k++) {
    mem_init(&j.m);
    j.m.fail_at = k;
    job_open(&j, src, n);
    CHECK(!j.file || j.d.failed);
    CHECK(j.status == PARSE_ERROR && j.mod == NULL && j.d.errors <= errors);
    job_close(&j);
    CHECK(j.m.used == 0);
  }
  mem_init(&j.m);
  job_open(&j, src, n);
  CHECK(j.status == status && j.d.errors == errors);
  job_close(&j);
}

static void test_memory_all(void)
{
  text t;
  mem m;
  mem_init(&m);
  text_init(&t, &m);
  test_memory(program, sizeof program - 1);
  text_puts(&t, "let x = 1 ? 2\nf(a b)\nlet s = \"\\q\nx = 3\n{ a, b }\nfn f(x) {\n  for x in {\n");
  test_memory(t.s, t.n);
  t.n = 0;
  for (int i = 0; i < 300; i++) text_printf(&t, "let n%d = [%d, \"s%d\"]\n", i, i, i);
  test_memory(t.s, t.n);
  text_free(&t);
}

/* ---- the lexer alone ---- */

static void test_mates(void)
{
  static const char src[] = "f([{\"a{(b)}c{d}e\"}]) ( ] }";
  mem m;
  diags d;
  mem_init(&m);
  diags_init(&d, &m);
  tokens t = {.m = &m};
  CHECK(lex_text(&t, &d, 1, src, sizeof src - 1) && d.n == 0);
  CHECK(t.v[2].kind == TOK_LPAREN && t.v[t.v[2].mate].mate == 2);
  CHECK(t.v[t.v[2].mate].kind == TOK_RPAREN);
  CHECK(t.v[5].kind == TOK_STR_HEAD && t.v[t.v[5].mate].kind == TOK_STR_MID);
  uint32_t mid = t.v[5].mate;
  CHECK(t.v[t.v[mid].mate].kind == TOK_STR_TAIL && t.v[t.v[mid].mate].mate == mid);
  CHECK(t.v[t.n - 4].kind == TOK_LPAREN && t.v[t.n - 4].mate == 0);
  CHECK(t.v[t.n - 3].mate == 0 && t.v[t.n - 2].mate == 0 && t.v[t.n - 1].kind == TOK_END);
  tokens_free(&t);
  diags_free(&d);
  CHECK(m.used == 0);
}

int main(void)
{
  test_literals();
  test_operators();
  test_compounds();
  test_match();
  test_loops();
  test_statements();
  test_lines();
  test_lexical_errors();
  test_syntax_errors();
  test_recovery();
  test_hints();
  test_more();
  test_prefixes(program, sizeof program - 1);
  test_description();
  test_depth();
  test_many_errors();
  test_spans();
  test_names();
  test_memory_all();
  test_mates();
  return unit_end();
}
