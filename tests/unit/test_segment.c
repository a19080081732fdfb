/* test_segment: lanes whose legs a backend runs that keeps vectors and maps to itself (graph/segment.h), as a
   device does: here it is the C compiler's code on copies that nobody else sees.  The same weights and values
   as of lanes that compute, to the bit; and what segments say of themselves. */
#include "graph/segment_cc.h"
#include "lang/state.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

enum { N = 203, LEGS = 12, PAD = 32 };

/* ---- a backend with buffers and maps of its own ---- */

typedef struct far { norn_state *st; segment_cc *code; int buffers, maps, reads, runs; } far;

static void *far_new(void *self, uint32_t n)
{
  ((far *)self)->buffers++;
  return calloc(n + PAD, 8);
}
static void far_free(void *self, void *b)
{
  ((far *)self)->buffers--;
  free(b);
}
static bool far_read(void *self, const void *b, uint32_t n, unsigned kind, segment_cell *to)
{
  (void)kind;
  ((far *)self)->reads++;
  memcpy(to, b, n * 8);
  return true;
}
static bool far_write(void *self, void *b, uint32_t n, unsigned kind, const segment_cell *from)
{
  (void)self, (void)kind;
  memcpy(b, from, n * 8);
  return true;
}
static void *map_new(void *self, const uint32_t *map, uint32_t n)
{
  uint32_t *m = calloc(n + PAD, sizeof *m);
  ((far *)self)->maps++;
  if (m) memcpy(m, map, n * sizeof *m);
  return m;
}
static void *map_compose(void *self, const void *map, const void *further, uint32_t n)
{
  const uint32_t *a = map, *b = further;
  uint32_t *m = calloc(n + PAD, sizeof *m);
  ((far *)self)->maps++;
  for (uint32_t k = 0; m && k < n; k++) m[k] = b[a[k]];
  return m;
}
static bool map_read(void *self, const void *map, uint32_t n, uint32_t *to)
{
  (void)self;
  memcpy(to, map, n * sizeof *to);
  return true;
}
static void map_free(void *self, void *map)
{
  ((far *)self)->maps--;
  free(map);
}
static segment_status far_run(void *self, segment_call *c)
{
  far *f = self;
  f->runs++;
  return segment_cc_backend.run(f->code, c);
}
static void far_why(void *self, char *why, size_t n) { segment_cc_backend.why(((far *)self)->code, why, n); }
static const segment_backend far_away = {
  .name = "far", .run = far_run, .why = far_why, .buffer_new = far_new, .buffer_free = far_free,
  .buffer_read = far_read, .buffer_write = far_write, .map_new = map_new, .map_compose = map_compose,
  .map_read = map_read, .map_free = map_free
};

/* ---- a filter by hand ---- */

static const char walk[] =
  "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\nobserve y ~ normal(x2, 1)\n next x2 } }";
static const char history[] =
  "model m(ys) { let s ~ exponential(1.0)\nlet k ~ poisson(3)\nlet r = for y in ys with x = 0.0, xs = [] { "
  "let x2 ~ normal(0.9 * x, s)\nlet z = if len(xs) > 3 { 0.1 * xs[len(xs) - 3] + xs[0] } else { 0.0 }\n"
  "observe y ~ normal(x2 + z + k, 1)\n next x2, push(xs, x2) }\n[r.x, s, r.xs[0], r.xs[len(r.xs) - 2]] }";
static const char jump[] =
  "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.3)\nlet x2 ~ normal(0.9 * x, 0.5)\n"
  "let z = if c { let d ~ normal(0, 2)\n x2 + d } else { x2 }\nobserve y ~ normal(z, 1)\n next z } }";
static const char *const models[] = { walk, history, jump };

typedef struct outcome { uint64_t hash; int deferred, left; } outcome;

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
  const unsigned char *s = p;
  for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 0x100000001b3u;
  return h;
}

/* Lane k becomes a copy of a lane below it, some stay: in halves, so that ancestors differ by leg. */
static size_t copies(uint32_t leg, uint32_t *to, uint32_t *from, uint32_t *map)
{
  size_t n = 0;
  for (uint32_t k = 0; k < N; k++) map[k] = k;
  for (uint32_t k = 1 + leg % 3; k < N; k += 3) {
    to[n] = k;
    from[n++] = map[k] = k - 1;
  }
  return n;
}

/* how: 0: lanes compute; 1: the backend, copies by places; 2: by maps of its own where that may be. */
static outcome filter(const char *program, int how)
{
  norn_config c = norn_config_default();
  norn_datum ys, model;
  norn_lanes_leg leg = { .dead = NULL };
  outcome o = { 0 };
  static double logw[N + PAD];
  static uint32_t to[N], from[N], map[N + PAD];
  c.quiet = true;
  norn_state *st = norn_new(&c);
  far f = { .st = st, .code = segment_cc_new(st, 1, true) };
  const char *numbers = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7, 1.9, -1.1, 0.4, 0.0, 1.0, 0.6]";
  CHECK(!norn_eval(st, "data", numbers, strlen(numbers), 0, &ys));
  norn_ref *keep = norn_keep(st, ys);
  CHECK(!norn_eval(st, "model", program, strlen(program), 0, &model));
  norn_datum arg = norn_get(keep);
  CHECK(!norn_call(st, norn_global(st, "m"), &arg, 1, &model));
  norn_run *r = norn_run_new(st, model, NULL, 0);
  norn_run_stream(r, 99, 0, 0);
  norn_run_flags(r, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW);
  norn_lanes *l = norn_lanes_new(r, N);
  if (how) CHECK(norn_lanes_defer(l, &far_away, &f));
  memset(logw, 0, sizeof logw);
  for (uint32_t k = 0; k <= LEGS; k++) {
    norn_event_kind kind = norn_lanes_next(l, logw, &leg);
    CHECK(kind == NORN_OBSERVE);
    o.deferred += leg.deferred;
    o.hash = mix(o.hash, logw, N * sizeof *logw);
    size_t n = copies(k, to, from, map);
    if (leg.running == 0) break;
    if (how == 2 && leg.deferred) CHECK(norn_lanes_copy_map(l, map_new(&f, map, N)));
    else CHECK(norn_lanes_copy(l, to, from, n));
  }
  for (size_t i = 0; i < N; i++) {
    const char *shown = norn_show(st, norn_lanes_value(l, i), true, 0);
    o.hash = mix(o.hash, shown, strlen(shown));
  }
  norn_lanes_free(l);
  CHECK(how == 0 || f.runs > 0);
  o.left = f.buffers + f.maps;
  segment_cc_free(f.code);
  norn_drop(keep);
  norn_free(st);
  return o;
}

/* ---- structure ---- */

static void structure(void)
{
  norn_state *st = norn_new(NULL);
  segment *a = segment_new(st), *b = segment_new(st);
  segment *both[] = { a, b };
  static double x[40];
  for (int i = 0; i < 2; i++) {
    segment *s = both[i];
    uint32_t v = (uint32_t)segment_load(s, NORN_REAL, x, 0);
    uint32_t k = (uint32_t)segment_slot(s, NORN_REAL, (segment_cell){ .d = i });     /* outside of it */
    segment_put(s, S_MUL, NORN_REAL, 2, (uint32_t[]){ v, k });
    segment_output_to(s, 2, x);
  }
  CHECK(segment_same(a, b) && segment_hash(a) == segment_hash(b));
  segment *copied = segment_shape(a);
  CHECK(segment_same(a, copied));
  segment_put(b, S_ADD, NORN_REAL, 2, (uint32_t[]){ 2, 1 });
  CHECK(!segment_same(a, b) && segment_hash(a) != segment_hash(b));
  segment_output_to(a, 0, x);
  CHECK(!segment_same(a, copied));
  segment_clear(b);
  CHECK(b->nop == 0 && b->nslot == 0);
  segment_free(a);
  segment_free(b);
  segment_free(copied);
  norn_free(st);
}

int main(void)
{
  char cache[] = "/tmp/norn-segment-XXXXXX", command[100];
  bool made = mkdtemp(cache) && !setenv("XDG_CACHE_HOME", cache, 1);
  CHECK(made);
  structure();
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++) {
    outcome a = filter(models[i], 0), b = filter(models[i], 1), c = filter(models[i], 2);
    CHECK(a.hash == b.hash);
    CHECK(a.hash == c.hash);
    CHECK(a.deferred == 0 && (b.deferred >= LEGS || i == 2));
    CHECK(b.left == 0 && c.left == 0);
  }
  snprintf(command, sizeof command, "rm -rf %s", cache);
  int gone = system(command);
  CHECK(gone == 0);
  return unit_end();
}
