/* test_program_checkpoint.c: a program that is saved where it pauses, read into a fresh state and gone on with prints
   what is left of what one that was never stopped prints, and ends in the same value: whatever stands in its globals
   and frames.  And what is refused, by name. */
#include "norn.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const file = "test_program_checkpoint.tmp";

typedef struct output { char *s; size_t n; } output;
/* at: the pause at which it is saved (and ends); 0: never; pauses: so far; printed: when it was saved. */
typedef struct job { norn_state *st; output out; int at, pauses; size_t printed; norn_status saved; } job;

static void print(void *user, const char *s, size_t n)
{
  output *o = user;
  o->s = realloc(o->s, o->n + n + 1);
  memcpy(o->s + o->n, s, n);
  o->s[o->n += n] = 0;
}

static norn_status pauses(void *user, norn_state *st)
{
  job *j = user;
  if (++j->pauses != j->at) return NORN_OK;
  j->saved = norn_program_save(st, file);
  j->printed = j->out.n;
  if (j->saved == NORN_EINCOMPLETE) {                   /* so it stands: at the next pause */
    norn_clear(st);
    j->at++;
    return NORN_OK;
  }
  return j->saved ? j->saved : norn_fail(st, NORN_EINTERRUPT, -1, "saved");
}

static void begin(job *j, int at, uint64_t seed)
{
  norn_config c = norn_config_default();
  *j = (job){ .at = at };
  c.seed = seed;
  c.quiet = true;
  c.threads = 1;
  c.output = print;
  c.output_user = &j->out;
  print(&j->out, "", 0);
  j->st = norn_new(&c);
  norn_on_pause(j->st, pauses, j);
}

static void end(job *j)
{
  norn_free(j->st);
  free(j->out.s);
}

static void show_error(norn_state *st)
{
  char why[2000];
  norn_error_text(st, norn_error(st), why, sizeof why);
  fprintf(stderr, "%s\n", why);
}

/* Runs a text, from the checkpoint if `resumes`; what it comes to is printed, too. */
static norn_status go(job *j, const char *text, bool resumes)
{
  norn_datum v = norn_none();
  norn_run *run = norn_load(j->st, "program.norn", text, strlen(text), 0);
  norn_status s = run ? NORN_OK : norn_error(j->st)->code;
  if (!s && resumes) s = norn_program_load(j->st, &run, file);
  if (!s) s = norn_drive(j->st, run, &v);
  const char *shown = s ? "" : norn_show(j->st, v, true, 0);
  print(&j->out, shown, strlen(shown));
  return s;
}

/* Saved at the k-th pause, gone on with in a fresh state, saved there at the next one and gone on with once more. */
static void check_at(const char *of, const char *text, int k, const char *want)
{
  job a, b, c;
  begin(&a, k, 7);
  norn_status s = go(&a, text, false);
  if (!s) {                                              /* it ended before */
    end(&a);
    return;
  }
  unit.checks++;
  if (s != NORN_EINTERRUPT || a.saved) {
    unit_fail(__FILE__, __LINE__);
    fprintf(stderr, "%s, pause %d:\n", of, k);
    show_error(a.st);
    end(&a);
    return;
  }
  begin(&b, 2, 7);
  s = go(&b, text, true);
  begin(&c, 0, 7);
  if (s == NORN_EINTERRUPT && !b.saved) s = go(&c, text, true);
  else b.printed = b.out.n;
  char *got = calloc(1, a.printed + b.printed + c.out.n + 1);
  memcpy(got, a.out.s, a.printed);
  memcpy(got + a.printed, b.out.s, b.printed);
  memcpy(got + a.printed + b.printed, c.out.s, c.out.n);
  unit.checks++;
  if (s || strcmp(got, want)) {
    unit_fail(__FILE__, __LINE__);
    fprintf(stderr, "%s, saved at pause %d:\n%.800s\nnot\n%.800s\n", of, k, got, want);
    show_error(b.st);
    show_error(c.st);
  }
  free(got);
  end(&a);
  end(&b);
  end(&c);
}

/* At about `times` of its pauses. */
static void check(const char *of, const char *text, int times)
{
  job j;
  begin(&j, 0, 7);
  norn_status s = go(&j, text, false);
  if (s) show_error(j.st);
  CHECK(s == NORN_OK && j.pauses > 0);
  for (int k = 1; k <= j.pauses; k += 1 + j.pauses / times) check_at(of, text, k, j.out.s);
  end(&j);
}

/* ---- programs ---- */

#define MODELS \
  "model coin(p) { let x ~ bernoulli(p)\n let y ~ normal(if x { 1 } else { 0 }, 1)\n" \
  "  observe 0.7 ~ normal(y, 1)\n y }\n" \
  "model walk(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 1)\n observe y ~ normal(x2, 0.5)\n next x2 } }\n"

/* statements before and after; loops, functions and modules with inferences in them; numbers of its own */
static const char several[] = MODELS
  "import stats\nimport maps\n"
  "let f = mem(k -> sample(normal(k, 1)))\n"
  "let table = maps.put(maps.put(maps.empty(), \"a\", f(1)), { b: 2 }, x -> x + f(2))\n"
  "print(\"begin\", f(1))\n"
  "fn mean_of(p) = mean(infer(coin(p), importance(300)))\n"
  "let ms = for i in 0..4 { let m = mean_of(0.2 * i)\n print(\"{i}: {m}\")\n m }\n"
  "let post = infer(walk([0.5, 1.1, 0.3, -0.4]), smc(40))\n"
  "print(mean(post), f(1), f(3), sample(normal(0, 1)))\n"
  "let chosen = infer(coin(0.3))\n"
  "let more_of = infer(coin(0.3), mh(draws = 60, burn = 20, chains = 2))\n"
  "print(mean(chosen), mean(more_of), maps.get(table, { b: 2 })(1), stats.median([1.0, 2.0, 4.0]))\n"
  "let drawn = for i in 0..600 { sample(normal(f(4), 1)) }\n"
  "let last = mean(infer(coin(0.4), importance(300)))\n"
  "[sum(drawn), last, mean(ms), f(5)]\n";
/* posteriors of posteriors, models as values, distributions of its own */
static const char values[] = MODELS
  "type Shape = Round(r) | Square(a, b) | Nothing\n"
  "model outer(p) { let post = infer(coin(p), importance(40))\n let z ~ post\n observe 0.2 ~ normal(z, 1)\n z }\n"
  "let shapes = [Round(1.5), Square(1, 2), Nothing]\n"
  "let d = truncate(normal(0, 1), lower = 0)\n"
  "let m = outer(0.4)\n"
  "let g = given(coin(0.3), { y: 0.4 })\n"
  "let first = infer(m, importance(12))\n"
  "let second = infer(g, smc(30))\n"
  "let third = more(infer(walk([0.5, 0.2]), mh(draws = 30, burn = 10, chains = 2)), 30)\n"
  "let size = match shapes[1] { Round(r) -> r, Square(a, b) -> a * b, Nothing -> 0 }\n"
  "print(mean(first), mean(second), mean(third), size, mean(d), big(\"0.1\") + 1)\n"
  "let z = infer(outer(0.2), enumerate_or(1))\nz\n"
  "fn enumerate_or(k) = importance(12 + k)\n";
/* populations as values, in globals and in functions that wait */
static const char blocks[] = MODELS
  "import inference\n"
  "let pop = inference.advance(inference.spawn(walk([0.5, 1.1, 0.3, -0.4, 0.2]), 30))\n"
  "let two = inference.advance(inference.resample(pop))\n"
  "print(pop, two, inference.evidence(two))\n"
  "let moved = inference.move(two, mh(steps = 3))\n"
  "let a = inference.rmsmc(walk([0.5, 1.1, 0.3]), 20, mh(), threshold = 1)\n"
  "print(mean(a), mean(inference.posterior(inference.finish(moved))), inference.status(pop).ess)\n"
  "let b = inference.annealed(walk([0.5, 1.1]), 15, [0.1, 0.5, 1], mh())\n"
  "let c = inference.chain(walk([0.5]), 8, mh())\n"
  "model p() { let m ~ normal(0, 1)\n m }\n"
  "model l(m) { for y in [0.3, 0.8] { let x ~ normal(m, 1)\n observe y ~ normal(x, 1) } }\n"
  "let q = infer(inference.pmmh(p(), m -> l(m), smc(10)), mh(draws = 15, burn = 5, chains = 1))\n"
  "let r = infer(inference.pmmh_blocks(p(), m -> l(m), 6), mh(draws = 10, burn = 2, chains = 1))\n"
  "print(mean(b), c, mean(q), mean(r))\n"
  "model h() { let x ~ bernoulli(0.3)\n observe 1 ~ normal(if x { 1 } else { 0 }, 1)\n x }\n"
  "model inside() { let pop = inference.advance(inference.spawn(h(), 2), here = true)\n"
  "  factor(inference.evidence(pop))\n inference.values(pop)[0] }\n"
  "let e = infer(inside(), enumerate())\n"
  "let t = inference.temper(inference.spawn(walk([0.5]), 4), 0.5)\n"
  "print(e, t, inference.evidence(moved))\n";
/* a net is a value like others; a filter that is fed */
static const char fed[] = MODELS
  "import online\n"
  "let net = train(walk([0.5, 1.1]), npe(d = 16, layers = 1, heads = 2), steps = 2, seed = 1)\n"
  "let a = infer(walk([0.5, 1.1]), amortized(net, draws = 200, fallback = false, check = 0))\n"
  "let b = infer(walk([0.5, 1.1]), amortized(net, correct = smc(30), fallback = false, check = 0))\n"
  "print(mean(a), mean(b))\n"
  "model first() { let x ~ normal(0, 1)\n x }\n"
  "model step(x, y) { let x2 ~ normal(0.9 * x, 1)\n observe y ~ normal(x2, 0.5)\n x2 }\n"
  "let filter = for y in [0.3, 0.9, -0.2] with f = online.start(first(), (x, y) -> step(x, y), particles = 400) {\n"
  "  print(mean(f.posterior))\n next online.feed(f, y) }\n"
  "mean(filter.posterior)\n";
/* arrays of models: what is there of them, and the one that is waited for; inside of a model, too */
static const char arrays[] = MODELS
  "let posts = infer([coin(p) for p in [0.2, 0.4, 0.6]], importance(300))\n"
  "print([mean(x) for x in posts])\n"
  "let walks = infer([walk([0.5, y]) for y in [1.1, 0.3, -0.4]], mh(draws = 30, burn = 10, chains = 2))\n"
  "let chosen = infer([coin(0.3), coin(0.4)])\n"
  "model deep() { let z ~ bernoulli(0.4)\n let ps = infer([coin(0.2), coin(0.3)], importance(40))\n"
  "  observe mean(ps[0]) ~ normal(if z { 1 } else { 0 }, 1)\n mean(ps[1]) }\n"
  "print([mean(x) for x in walks], [mean(x) for x in chosen])\n"
  "mean(infer(deep(), importance(6)))\n";
/* a language model and its contexts; a table that is keyed by one; a field of a library that was asked for late */
static const char spoken[] = MODELS
  "let lm = llm(\"builtin:tiny\")\n"
  "let c = lm.context(\"1 + 2 =\")\n"
  "let f = mem(x -> sample(normal(0, 1)))\n"
  "print(f(c), c.entropy)\n"
  "let a = infer(coin(0.3), importance(600))\n"
  "let b = infer(coin(0.4), importance(600))\n"
  "print(f(c), mean(a), mean(b), c.extend(\" 3\").string)\n";

/* ---- what is refused ---- */

static void refused(const char *of, const char *text, uint64_t seed, const char *host, const char *why)
{
  job j;
  begin(&j, 0, seed);
  if (host) norn_set_global(j.st, "args", norn_cstring(j.st, host));
  unit.checks++;
  if (!go(&j, text, true) || !strstr(norn_error(j.st)->text, why)) {
    unit_fail(__FILE__, __LINE__);
    fprintf(stderr, "%s: not refused by \"%s\": %s\n", of, why, norn_error(j.st)->text);
  }
  end(&j);
}

static void check_refused(void)
{
  static const char one[] = MODELS "let a = infer(coin(0.3), importance(600))\nprint(mean(a), args)\n";
  static const char two[] = MODELS "let a = infer(coin(0.4), importance(600))\nprint(mean(a), args)\n";
  job j;
  begin(&j, 2, 7);
  norn_set_global(j.st, "args", norn_cstring(j.st, "x"));
  CHECK(go(&j, one, false) == NORN_EINTERRUPT && !j.saved);
  end(&j);
  refused("text", two, 7, "x", "another program");
  refused("arguments", one, 7, "y", "other arguments");
  refused("seed", one, 8, "x", "another seed");

  begin(&j, 0, 7);
  norn_datum model = norn_none();
  CHECK(!norn_eval(j.st, "m", MODELS "coin(0.3)", strlen(MODELS "coin(0.3)"), NORN_LOAD_REPL, &model));
  norn_infer *inf = norn_infer_new(j.st, model, norn_unit());
  CHECK(inf && norn_infer_load(inf, file) && strstr(norn_error(j.st)->text, "a whole program"));
  norn_infer_free(inf);
  norn_datum engine = norn_none();
  norn_ref *kept = norn_keep(j.st, model);
  CHECK(!norn_eval(j.st, "e", "mh(draws = 50)", 14, NORN_LOAD_REPL, &engine));
  inf = norn_infer_new(j.st, norn_get(kept), engine);
  CHECK(inf && norn_infer_step(inf) == NORN_STEP_MORE && !norn_infer_save(inf, file));
  norn_infer_free(inf);
  end(&j);
  refused("an inference", one, 7, "x", "a single inference");

  begin(&j, 0, 7);
  CHECK(norn_program_save(j.st, file) == NORN_EUSE);       /* nothing is driven */
  end(&j);
  unlink(file);
  refused("no file", one, 7, "x", "can't read the checkpoint");
}

/* What a program holds that means nothing elsewhere is named, with its line. */
static void check_held(void)
{
  static const char held[] = MODELS
    "foreign \"libc.so.6\" { fn malloc(n: c_size) -> c_pointer }\n"
    "let p = malloc(8)\nlet a = infer(coin(0.3), importance(600))\n";
  job j;
  begin(&j, 1, 7);
  norn_status s = go(&j, held, false);
  const norn_err *e = norn_error(j.st);
  char why[2000];
  norn_error_text(j.st, e, why, sizeof why);
  unit.checks++;
  if (s != NORN_EINFER || !strstr(why, "a pointer of C can't be saved") || !strstr(why, "let p = malloc(8)")) {
    unit_fail(__FILE__, __LINE__);
    fprintf(stderr, "%s\n", why);
  }
  end(&j);
}

int main(void)
{
  check("several", several, 14);
  check("values", values, 12);
  check("blocks", blocks, 24);
  check("fed", fed, 12);
  check("arrays", arrays, 24);
  check("spoken", spoken, 8);
  check_refused();
  check_held();
  unlink(file);
  return unit_end();
}
