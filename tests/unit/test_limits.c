/* test_limits.c: the limits on memory, steps, depth and time, and the interrupt: each stops whatever
   runs with its own error, and the state goes on working.  The interrupt comes from another thread. */
#include "unit.h"
#include "norn.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static void drop(void *user, const char *s, size_t n) { (void)user; (void)s; (void)n; }

static norn_state *made(void (*set)(norn_config *))
{
  norn_config c = norn_config_default();
  c.output = drop; c.quiet = true;
  if (set) set(&c);
  return norn_new(&c);
}

static norn_status eval(norn_state *st, const char *program)
{
  norn_datum v;
  return norn_eval(st, "limits.norn", program, strlen(program), 0, &v);
}

static void works(norn_state *st)
{
  norn_datum v;
  const char *program = "fn f(n) = if n == 0 { 0 } else { 1 + f(n - 1) }\nf(20) + sum([1, 2, 3])";
  CHECK(norn_eval(st, "after.norn", program, strlen(program), 0, &v) == NORN_OK &&
        v.tag == NORN_INT && v.i == 26);
}

/* A program must stop with this code, and a sentence that has these words. */
static void stops(void (*set)(norn_config *), const char *program, norn_status code,
                  const char *words)
{
  norn_state *st = made(set);
  for (int twice = 0; twice < 2; twice++) {
    norn_status s = eval(st, program);
    CHECK(s == code);
    if (!strstr(norn_error(st)->text, words)) {
      CHECK(!"the words");
      fprintf(stderr, "%s\n  says: %s\n", program, norn_error(st)->text);
    }
    works(st);
  }
  norn_free(st);
}

static const char deep[] = "fn deep(n) = 1 + deep(n + 1)\ndeep(0)";
static const char mutual[] = "fn a(n) = 1 + b(n)\nfn b(n) = 1 + c(n)\nfn c(n) = [a(n)][0]\na(0)";
static const char turns[] = "fn turn(n) = turn(n + 1)\nturn(0)";
static const char loop[] = "for i in 0..1000000000 with x = 0.0 { next x * 0.5 + i }";
static const char grows[] = "fn grow(xs, n) = grow(push(xs, [n, \"{n}\"]), n + 1)\ngrow([], 0)";
static const char doubles[] = "fn double(xs) = double(xs ++ xs)\ndouble([1.0])";
static const char lists[] =
  "type L = Nil | Cons(h, t)\nfn grow(l, n) = grow(Cons(n, l), n + 1)\ngrow(Nil, 0)";
static const char text_grows[] = "fn double(s) = double(\"{s}{s}\")\ndouble(\"abc\")";
static const char mems[] =
  "model m() { let f = mem(i -> i * 2); for i in 0..1000000000 with x = 0 { next f(i) } }\nsample(m())";
static const char endless_model[] =
  "model m() { let x ~ bernoulli(1.0); if x { let r ~ m(); r + 1 } else { 0 } }\nsample(m())";
static const char infers[] =
  "model m() { let x ~ normal(0, 1); let y = for i in 0..1000000000 with s = x { next s + 1 }; y }\ninfer(m(), importance(10))";
static const char many[] =
  "model m() { let x ~ normal(0, 1); observe 1 ~ normal(x, 1); x }\ninfer(m(), importance(1000000000))";
static const char nested[] =
  "model a() { let x ~ bernoulli(0.5); for i in 0..1000000000 with s = 0 { next s + 1 }; x }\n"
  "model b() { let p = prob(infer(a(), enumerate()), x -> x); let y ~ bernoulli(p); y }\n"
  "infer(b(), importance(3))";
static const char smc[] =
  "model w() { for t in 0..1000000000 with x = 0.0 { let x2 ~ normal(x, 1); observe 0 ~ normal(x2, 1); next x2 } }\n"
  "infer(w(), smc(particles = 10))";
static const char mh[] =
  "model m() { let x ~ normal(0, 1); observe 1 ~ normal(x, 1); x }\ninfer(m(), mh(draws = 1000000000))";

static void memory(norn_config *c) { c->max_memory = 40 << 20; }
static void steps(norn_config *c) { c->max_steps = 2000000; }
static void depth(norn_config *c) { c->max_depth = 5000; }
static void seconds(norn_config *c) { c->max_seconds = 0.1; }

static void test_memory(void)
{
  const char *const all[] = {
    deep, mutual, grows, doubles, lists, text_grows, mems, endless_model
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    stops(memory, all[i], NORN_EMEMORY, "out of memory");
}

static void test_steps(void)
{
  const char *const all[] = { turns, loop, deep, infers, nested, smc };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    stops(steps, all[i], NORN_ELIMIT, "2000000 steps");
}

static void test_depth(void)
{
  const char *const all[] = { deep, mutual, endless_model };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    stops(depth, all[i], NORN_ELIMIT, "the depth limit");
  norn_state *st = made(depth);
  CHECK(eval(st, "fn f(n) = if n == 0 { 0 } else { f(n - 1) }\nf(1000000)") ==
        NORN_OK); /* tail calls are not deep */
  CHECK(eval(st, "fn f(n) = if n == 0 { 0 } else { 1 + f(n - 1) }\nf(4000)") == NORN_OK);
  norn_free(st);
}

static void test_seconds(void)
{
  const char *const all[] = { turns, loop, infers, many, nested, smc, mh };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    stops(seconds, all[i], NORN_ELIMIT, "the time limit");
}

/* ---- interrupts ---- */

static void *interrupter(void *user)
{
  struct timespec t = { 0, 30 * 1000 * 1000 };
  nanosleep(&t, NULL);
  norn_interrupt(user);
  return NULL;
}

static void test_interrupt(void)
{
  const char *const all[] = { turns, loop, infers, many, nested, smc, mh };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    norn_state *st = made(NULL);
    pthread_t t;
    pthread_create(&t, NULL, interrupter, st);
    CHECK(eval(st, all[i]) == NORN_EINTERRUPT);
    pthread_join(t, NULL);
    works(st);
    norn_free(st);
  }
}

/* Limits may be changed between calls; a limit that is met exactly is no error. */
static void test_change(void)
{
  norn_state *st = made(NULL);
  const char *program = "for i in 0..1000000 with x = 0 { next x + 1 }";
  CHECK(eval(st, program) == NORN_OK);
  norn_config_of(st)->max_steps = 1000;
  CHECK(eval(st, program) == NORN_ELIMIT);
  norn_config_of(st)->max_steps = 0;
  CHECK(eval(st, program) == NORN_OK);
  size_t used = norn_memory_used(st);
  for (int i = 0; i < 30; i++) eval(st, "let xs = for i in 0..10000 { i }\nlen(xs)");
  CHECK(norn_memory_used(st) < used + (8 << 20));
  norn_free(st);
}

int main(void)
{
  test_memory();
  test_steps();
  test_depth();
  test_seconds();
  test_interrupt();
  test_change();
  return unit_end();
}
