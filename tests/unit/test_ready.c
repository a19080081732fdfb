/* test_ready.c: rows that get ready for many at once: runs stand still with NORN_READY before their events, once, in
   every form that an event has; forked, copied, saved while they stand; and engines ask for all their runs in one
   call, to the draws of a row that has no `ready`. */
#include "unit.h"
#include "lang/state.h"
#include <stdlib.h>

static struct { int calls, n, most, samples, scores, fail_at; } asked;

static norn_status slow_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  double mu = 0;
  (void)st;
  norn_as_real(d->args[0], &mu);
  *out = norn_real(mu + norn_rng_normal(g));
  return NORN_OK;
}

static norn_status slow_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double mu = 0, v;
  if (!norn_as_real(x, &v)) return norn_fail(st, NORN_ETYPE, -1, "slow scores numbers");
  norn_as_real(d->args[0], &mu);
  *out = -0.5 * (v - mu) * (v - mu) - 0.91893853320467274;
  return NORN_OK;
}

static norn_status slow_check(norn_state *st, const norn_dist *d)
{
  double mu;
  if (!norn_as_real(d->args[0], &mu)) return norn_fail(st, NORN_ETYPE, 0, "slow wants a number");
  if (mu > 1e6) return norn_fail(st, NORN_EDOMAIN, 0, "slow wants less, got %g", mu);
  return NORN_OK;
}

static norn_status slow_ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g)
{
  asked.calls++;
  asked.n += n;
  if (n > asked.most) asked.most = n;
  for (int i = 0; i < n; i++) {
    double mu;
    CHECK(d[i].n == 1 && norn_as_real(d[i].args[0], &mu) && !strcmp(d[i].row->name, "slow"));
    CHECK(g[i].stream != 0 || g[i].event != 0);
    if (norn_is_none(x[i])) asked.samples++;
    else {
      asked.scores++;
      CHECK(x[i].tag == NORN_REAL || x[i].tag == NORN_INT);
    }
  }
  if (asked.calls == asked.fail_at) return norn_fail(st, NORN_EIO, -1, "nobody answers");
  return NORN_OK;
}

/* 0, 1 or 2; 1 the likelier the larger the parameter. */
static norn_status pick_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double s = 0;
  (void)st;
  norn_as_real(d->args[0], &s);
  double p = 0.2 + 0.3 * s / (1 + s);
  *out = x.tag != NORN_INT || x.i < 0 || x.i > 2 ? -INFINITY : log(x.i == 1 ? p : (1 - p) / 2);
  return NORN_OK;
}

static norn_status pick_value(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  (void)st, (void)d;
  *out = k < 3 ? norn_int(k) : norn_none();
  return NORN_OK;
}

static norn_status pick_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  (void)st, (void)d;
  *out = norn_int((int64_t)norn_rng_below(g, 3));
  return NORN_OK;
}

static norn_status pick_ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g)
{
  (void)st, (void)d, (void)x, (void)g;
  asked.calls++;
  asked.n += n;
  if (n > asked.most) asked.most = n;
  return NORN_OK;
}

#define PICK(word, how) { .name = word, .params = "s", .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE, .check = slow_check, \
                          .sample = pick_sample, .logp = pick_logp, .enumerate = pick_value, .ready = how }
static const norn_dist_row rows[] = {
  { .name = "slow", .params = "mu", .flags = NORN_DIST_CONTINUOUS, .check = slow_check, .sample = slow_sample,
    .logp = slow_logp, .ready = slow_ready },
  { .name = "quick", .params = "mu", .flags = NORN_DIST_CONTINUOUS, .check = slow_check, .sample = slow_sample,
    .logp = slow_logp },
  PICK("slow_pick", pick_ready), PICK("quick_pick", NULL),
}, scalar = { .name = "wrong", .params = "mu", .flags = NORN_DIST_SCALAR, .ready = slow_ready };

static norn_datum run(norn_state *st, const char *code)
{
  norn_datum out = norn_none();
  norn_clear(st);
  norn_eval(st, "ready", code, strlen(code), NORN_LOAD_REPL, &out);
  if (norn_is_none(out)) fprintf(stderr, "%s: %s\n", code, norn_error(st)->text);
  return out;
}

/* The same text with `slow` and with `quick`. */
static norn_datum both(norn_state *st, const char *code, bool quick)
{
  char b[2000], *at = b;
  for (const char *s = code; *s;) {
    bool is = quick && !strncmp(s, "slow", 4);
    if (is) at = stpcpy(at, "quick");
    else *at++ = *s;
    s += is ? 4 : 1;
  }
  *at = 0;
  norn_seed(st, 11);
  memset(&asked, 0, sizeof asked);
  return run(st, b);
}

/* ---- one run ---- */

static const char events_text[] =
  "model m(ys) {\n"
  "  let a ~ slow(0)\n"
  "  observe 1.5 ~ slow(a)\n"
  "  observe missing ~ slow(2)\n"
  "  let b ~ slow(a) via slow(3)\n"
  "  let c ~ normal(0, 1) via slow(4)\n"
  "  let d ~ normal(0, 1)\n"
  "  let e ~ slow(5) as \"given\"\n"
  "  let f ~ slow(6) as \"done\"\n"
  "  let big = \"a text that lies in the heap {a}\"\n"
  "  observe 2 ~ quick(d)\n"
  "  [a, b, c, d, e, f, len(big)]\n"
  "}\n"
  "do(given(m([1]), { given: 5.5 }), { done: 6 })\n";

typedef struct { norn_event_kind kind; double mu, x; bool via; } want;

static void one_run(norn_state *st)
{
  static const want wants[] = {
    { NORN_READY, 0, NAN, false }, { NORN_READY, NAN, 1.5, false }, { NORN_OBSERVE, NAN, NAN, false },
    { NORN_READY, 2, NAN, false }, { NORN_READY, NAN, NAN, true }, { NORN_READY, NAN, NAN, true },
    { NORN_READY, 5, 5.5, false }, { NORN_OBSERVE, NAN, NAN, false }, { NORN_OBSERVE, NAN, NAN, false },
    { NORN_DONE, NAN, NAN, false } };
  norn_ref *model = norn_keep(st, run(st, events_text));
  norn_datum plain = norn_none();
  norn_event ev;
  double logw = 0, x;
  norn_run *r = norn_run_new(st, norn_get(model), NULL, 0);
  norn_run_flags(r, NORN_RUN_DRAW | NORN_RUN_SCORE | NORN_RUN_CHECK);
  norn_run_stream(r, 3, 0, 0);
  CHECK(norn_run_next(r, &ev) == NORN_DONE);
  plain = ev.value;
  logw = norn_run_logw(r);
  norn_ref *kept = norn_keep(st, plain);
  norn_run_free(r);
  /* with stops, forked and dropped at each event; collected in between */
  r = norn_run_new(st, norn_get(model), NULL, 0);
  norn_run_flags(r, NORN_RUN_DRAW | NORN_RUN_SCORE | NORN_RUN_CHECK | NORN_RUN_STOP | NORN_RUN_STAY | NORN_RUN_READY);
  norn_run_stream(r, 3, 0, 0);
  for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
    const want *w = &wants[i];
    norn_event_kind k = norn_run_next(r, &ev);
    CHECK(k == w->kind && ev.kind == k);
    if (k == NORN_READY) {
      norn_rng g;
      CHECK(ev.dist && (ev.proposal != NULL) == w->via);
      norn_run_rng(r, &ev, &g);
      CHECK(g.lane == norn_run_lane(r) && g.stream == 3);
      if (w->mu == w->mu) CHECK(norn_as_real(ev.dist->args[0], &x) && x == w->mu);
      if (w->x == w->x) CHECK(norn_as_real(ev.value, &x) && x == w->x);
      heap_collect_full(st);
      CHECK(norn_dist_check(st, ev.dist) == NORN_OK);
      CHECK(norn_events_ready(st, &r, &ev, 1) == NORN_OK);
    }
    if (k == NORN_DONE) break;
    norn_run *copy = norn_run_fork(r, 0);
    heap_collect_full(st);
    norn_run_free(i % 2 ? r : copy);
    r = i % 2 ? copy : r;
  }
  CHECK(norn_equal(ev.value, norn_get(kept)));
  CHECK(norn_run_logw(r) == logw);
  CHECK(!norn_run_fork(r, 1) && norn_error(st)->code == NORN_EUSE);  /* of what has ended there is no copy */
  norn_run_free(r);
  /* without DRAW and SCORE: READY, then the event itself */
  r = norn_run_new(st, norn_get(model), NULL, 0);
  norn_run_flags(r, NORN_RUN_READY | NORN_RUN_NAMES);
  CHECK(norn_run_next(r, &ev) == NORN_READY && norn_is_none(ev.value));
  uint64_t addr = ev.addr;
  CHECK(norn_run_next(r, &ev) == NORN_SAMPLE && ev.addr == addr && ev.ordinal == 0);
  norn_run_answer(r, norn_real(0.25));
  CHECK(norn_run_next(r, &ev) == NORN_READY && ev.value.d == 1.5);
  norn_run *other = norn_run_new(st, norn_get(model), NULL, 0);      /* no copy of a standing run is another's */
  CHECK(norn_run_hash(other) != norn_run_hash(r));
  norn_run_free(other);
  CHECK(norn_run_next(r, &ev) == NORN_OBSERVE && ev.dist && ev.ordinal == 0);
  norn_run_flags(r, NORN_RUN_NAMES);                                 /* no longer */
  CHECK(norn_run_next(r, &ev) == NORN_SAMPLE && ev.flags & NORN_EV_MISSING);
  norn_run_free(r);
  norn_drop(kept);
  norn_drop(model);
}

static void many_runs(norn_state *st)
{
  enum { N = 7 };
  norn_ref *model = norn_keep(st, run(st, "model k(n) { for i in 0..n with x = 0.0 { let a ~ slow(x)\n"
                                          "observe 1 ~ slow(a); next a } }\nk(3)"));
  norn_run *r[N];
  norn_event ev[N];
  memset(&asked, 0, sizeof asked);
  for (int i = 0; i < N; i++) {
    r[i] = norn_run_new(st, norn_get(model), NULL, 0);
    norn_run_flags(r[i], NORN_RUN_DRAW | NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_READY);
    norn_run_stream(r[i], 5, (uint32_t)i, 0);
  }
  CHECK(norn_runs_next(r, ev, N) == N);
  for (int i = 0; i < N; i++) CHECK(ev[i].kind == NORN_READY);
  CHECK(norn_events_ready(st, r, ev, N) == NORN_OK && asked.calls == 1 && asked.n == N && asked.samples == N);
  const uint32_t to[] = { 1, 2 }, from[] = { 0, 3 };
  CHECK(norn_runs_copy(r, to, from, 2));
  CHECK(norn_runs_next(r, ev, N) == N);
  for (int i = 0; i < N; i++) CHECK(ev[i].kind == NORN_READY && ev[i].value.i == 1);
  ev[0].kind = NORN_DONE;                         /* others are passed over */
  CHECK(norn_events_ready(st, r, ev, N) == NORN_OK && asked.calls == 2 && asked.scores == N - 1);
  CHECK(norn_events_ready(st, r, ev, 0) == NORN_OK && asked.calls == 2);
  CHECK(norn_runs_next(r, ev, N) == N && ev[1].kind == NORN_OBSERVE);
  for (int i = 0; i < N; i++) norn_run_free(r[i]);
  norn_drop(model);
}

/* ---- engines ---- */

#define CHAIN "model m() { for t in 0..5 with x = 0.0 { let a ~ slow(x)\nobserve 0.5 * t ~ slow(a); next a } }\n"

static void same(norn_state *st, norn_state *plain, const char *program, int calls, int most)
{
  norn_ref *slow = norn_keep(st, both(st, program, false));
  int got = asked.calls, width = asked.most;
  norn_datum quick = both(plain, program, true);
  CHECK(asked.calls == 0 && !norn_may_get_ready(plain));
  CHECK(!norn_is_none(quick) && norn_equal(norn_get(slow), quick));
  if (!norn_equal(norn_get(slow), quick)) fprintf(stderr, "differs: %s\n", program);
  if (calls >= 0) {
    CHECK(got == calls && width == most);
    if (got != calls || width != most) fprintf(stderr, "%d calls, at most %d, in: %s\n", got, width, program);
  }
  norn_drop(slow);
}

static void engines(norn_state *st)
{
  norn_state *plain = norn_new(NULL);            /* nothing there gets ready */
  norn_config_of(plain)->quiet = true;
  CHECK(norn_add_dists(plain, rows, 4) == NORN_OK);
  /* five choices and five observations of each particle: ten calls */
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 300))\n[draws(p), evidence(p)]", 10, 300);
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 12, threshold = 1))\n[draws(p), evidence(p)]", 10, 12);
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 300, keep = \"choices\"))\n[draws(p), draws(p[\"a[3]\"]), evidence(p)]", 10, 300);
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 3000))\n[draws(p), evidence(p)]", 10, 3000);
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 50, delayed = true))\n[draws(p), evidence(p)]", 10, 50);
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 300, executor = \"lanes\"))\n[draws(p), evidence(p)]", 0, 0);
  same(st, plain, CHAIN "let p = infer(m(), importance(300))\n[draws(p), draws(p[\"a[3]\"]), evidence(p)]", 20, 256);
  same(st, plain, CHAIN "let p = infer(m(), importance(300, keep = \"value\"))\n[draws(p), evidence(p)]", 20, 256);
  same(st, plain, CHAIN "let p = infer(m(), forward(300))\n[draws(p), draws(p[\"a[3]\"])]", 20, 256);
  same(st, plain, CHAIN "prior(m(), 100)", -1, 0);
  /* as many tries at once as draws are wanted: 300 of which some are kept, then as many as are missing, ... */
  same(st, plain, CHAIN "let p = infer(m(), rejection(300, bound = -4))\n[draws(p), draws(p[\"a[3]\"]), evidence(p), info(p).acceptance]", -1, 0);
  both(st, CHAIN "draws(infer(m(), rejection(300, bound = -4)))", false);
  CHECK(asked.most == 256 && asked.n > 20 * asked.calls);
  same(st, plain, "model m() { let u ~ slow(0)\nlet v ~ slow(u)\nlet k = int(floor(abs(v))) % 3\nobserve k ~ poisson(1)\nlet w ~ slow(v)\n"
           "observe int(floor(abs(w))) % 3 ~ poisson(1)\n[u, v, w] }\n"
           "let p = infer(m(), rejection(300))\n[draws(p), draws(p[\"v\"]), evidence(p), info(p).acceptance]", -1, 0);
  same(st, plain, CHAIN "let p = infer(m(), pgibbs(particles = 10, draws = 6, burn = 2))\n[draws(p), draws(p[\"a[3]\"])]", 320, 10);
  same(st, plain, CHAIN "let p = infer(m(), pgibbs(particles = 10, draws = 6, burn = 0, ancestor = false))\n[draws(p), draws(p[\"a[3]\"])]", 240, 10);
  same(st, plain, CHAIN "let p = infer(m(), smc(particles = 40) |> move(mh(steps = 2)))\n[draws(p), evidence(p)]", 10, 40);
  same(st, plain, CHAIN "let p = infer(m(), mh(draws = 50, warmup = 10))\ndraws(p)", -1, 0);
  same(st, plain, "model m() { let u ~ normal(0, 1)\nfor t in 0..3 { let a ~ slow(u) via slow(u + 1)\nobserve 2 ~ normal(a, 1) } }\n"
           "let p = infer(m(), smc(particles = 60))\n[draws(p), evidence(p)]", 3, 120);
  same(st, plain, "model m() { let u ~ normal(0, 1)\nif u > 0 { let a ~ slow(u)\nobserve 2 ~ slow(a); a } else { observe 1 ~ normal(u, 1); let b ~ slow(u); condition(b < 3); b } }\n"
           "let p = infer(m(), smc(particles = 60))\n[draws(p), evidence(p)]", -1, 0);
  same(st, plain, "model m() { let u ~ normal(0, 1)\nfor t in 0..3 with x = u { let a ~ slow(x)\nobserve 1 ~ slow(a); next a } }\n"
           "let p = infer(m(), pmmh(particles = 8, draws = 4, burn = 2, on = \"u\"))\n[draws(p), draws(p[\"a[2]\"])]", -1, 0);
  /* layers of 3, 9, 27 runs; then deep: the children of each choice */
  same(st, plain, "model e() { for t in 0..4 with s = 0 { let k ~ slow_pick(s)\nnext 3 * s + k } }\n"
           "let p = infer(e(), enumerate())\n[draws(p), weights(p), evidence(p)]", 3, 27);
  same(st, plain, "model e() { let r = for t in 0..7 with s = 0 { let k ~ slow_pick(s)\nobserve k ~ poisson(1)\nnext 3 * s + k }; r % 5 }\n"
           "let p = infer(e(), enumerate())\n[draws(p), weights(p), evidence(p)]", -1, 0);
  /* a nested inference inside of a leg */
  same(st, plain, "model inner(x) { let z ~ slow(x)\nobserve 1 ~ slow(z); z }\n"
           "model m() { let u ~ slow(0)\nlet q = mean(infer(inner(u), importance(10)))\nlet w ~ slow(q)\nobserve 1 ~ slow(w); w }\n"
           "let p = infer(m(), smc(particles = 9))\n[draws(p), evidence(p)]", -1, 0);
  norn_free(plain);
}

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

/* The n-th request for memory fails. */
static void short_of_memory(void)
{
  static const char program[] =
    CHAIN "model e() { for t in 0..4 with s = 0 { let k ~ slow_pick(s)\nnext 3 * s + k } }\n"
    "[evidence(infer(m(), smc(particles = 20))), evidence(infer(m(), smc(particles = 9, keep = \"choices\"))), "
    "evidence(infer(m(), importance(9))), evidence(infer(e(), enumerate())), "
    "mean(infer(m(), pgibbs(particles = 4, draws = 3, burn = 1))[\"a[1]\"]) ]";
  bool whole = false;
  norn_datum out;
  for (int64_t at = 1; !whole; at += 1 + at / 50) {
    norn_config c = norn_config_default();
    c.alloc = counted;
    c.quiet = true;
    memory.live = 0, memory.n = 0, memory.fail_at = at;
    norn_state *st = norn_new(&c);
    norn_status s = !st ? NORN_EMEMORY : norn_add_dists(st, rows, 4);
    if (!s) s = norn_eval(st, "short", program, sizeof program - 1, 0, &out);
    whole = memory.n < at;
    CHECK(whole ? !s : !s || !st || norn_error(st)->code != NORN_OK);
    if (whole && s) fprintf(stderr, "%s\n", norn_error(st)->text);
    norn_free(st);
    CHECK(memory.live == 0);
  }
  CHECK(memory.n > 500);
}

/* What says how a program is run. */
static void told(norn_state *st)
{
  memset(&asked, 0, sizeof asked);
  CHECK_STR(norn_show(st, run(st, CHAIN "info(infer(m())).engine"), false, 0), "smc");
  CHECK(asked.most == 1000);                     /* probes ask for nothing */
  CHECK_STR(norn_show(st, run(st, CHAIN "info(infer(m(), smc(particles = 20))).ready"), false, 0), "slow at ready:1:42");
  norn_datum text_ = norn_explain(st, run(st, CHAIN "m()"));
  CHECK(strstr(norn_string_view(text_, NULL), "engine: smc(), as what a slow needs is found for all particles at once") &&
        strstr(norn_string_view(text_, NULL), "(first at ready:1:42)"));
}

static void failing(norn_state *st)
{
  norn_datum out;
  const char *program = CHAIN "infer(m(), smc(particles = 30))";
  memset(&asked, 0, sizeof asked);
  asked.fail_at = 3;
  CHECK(norn_eval(st, "ready", program, strlen(program), NORN_LOAD_REPL, &out) == NORN_EIO);
  CHECK_STR(norn_error(st)->text, "nobody answers");
  CHECK(norn_error(st)->span.file && norn_error(st)->span.start == 41);
  if (norn_error(st)->span.start != 41) fprintf(stderr, "at %u\n", norn_error(st)->span.start);
  memset(&asked, 0, sizeof asked);
  CHECK(norn_add_dists(st, &scalar, 1) == NORN_EUSE);
}

typedef struct { norn_state *st; norn_infer *inf; } fresh;
static fresh begin(const char *program)
{
  fresh f = { norn_new(NULL), NULL };
  norn_config_of(f.st)->quiet = true;
  CHECK(norn_add_dists(f.st, rows, 4) == NORN_OK);
  norn_ref *both_ = norn_keep(f.st, run(f.st, program));
  f.inf = norn_infer_new(f.st, norn_array_at(f.st, norn_get(both_), 0), norn_array_at(f.st, norn_get(both_), 1));
  if (!f.inf) fprintf(stderr, "%s: %s\n", program, norn_error(f.st)->text);
  return f;
}

static int finish(fresh *f, norn_posterior *p)
{
  int steps = 0;
  while (norn_infer_step(f->inf) == NORN_STEP_MORE) steps++;
  CHECK(norn_posterior_view(f->st, norn_infer_result(f->inf), p));
  return steps;
}

static void end(fresh *f)
{
  norn_infer_free(f->inf);
  norn_free(f->st);
}

/* A checkpoint at each step, gone on with in another state, gives what goes on without one. */
static void saved(const char *program)
{
  norn_posterior p, q;
  fresh whole = begin(program);
  int steps = finish(&whole, &p);
  CHECK(steps >= 2);
  for (int at = 1; at <= steps; at++) {
    fresh first = begin(program), second = begin(program);
    for (int i = 0; i < at; i++) norn_infer_step(first.inf);
    CHECK(norn_infer_save(first.inf, "ready.checkpoint") == NORN_OK);
    end(&first);
    bool loaded = norn_infer_load(second.inf, "ready.checkpoint") == NORN_OK;
    CHECK(loaded);
    if (!loaded) fprintf(stderr, "%s\n", norn_error(second.st)->text);
    if (loaded) finish(&second, &q);
    CHECK(loaded && norn_equal(p.values, q.values) && norn_equal(p.weights, q.weights));
    end(&second);
  }
  end(&whole);
  remove("ready.checkpoint");
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  norn_config_of(st)->quiet = true;
  CHECK(norn_add_dists(st, rows, 4) == NORN_OK);
  CHECK(!norn_may_get_ready(st));
  one_run(st);
  CHECK(norn_may_get_ready(st));
  many_runs(st);
  engines(st);
  told(st);
  failing(st);
  norn_free(st);
  short_of_memory();
  saved(CHAIN "[m(), smc(particles = 20)]");
  saved(CHAIN "[m(), smc(particles = 20, keep = \"choices\")]");
  saved(CHAIN "[m(), importance(300)]");
  saved(CHAIN "[m(), rejection(40, bound = -4)]");
  saved(CHAIN "[m(), pgibbs(particles = 5, draws = 6, burn = 2)]");
  return unit_end();
}
