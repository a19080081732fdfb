/* test_net_tokens: programs to tokens: simulated runs are a pure function of their numbers and have the
   program's distribution; sites, kinds and sizes; rows, masks, questions and padding, token by token on small
   programs; what is refused, at its line. */
#include "unit.h"
#include "infer/net/net_in.h"
#include <stdlib.h>

static norn_state *st;

/* The value of an expression after a program; NONE: the error is shown. */
static norn_datum value_of(const char *program, const char *expression)
{
  char whole[4096], error[1200];
  norn_datum v = norn_none();
  snprintf(whole, sizeof whole, "%s\n%s\n", program, expression);
  if (norn_eval(st, "t", whole, strlen(whole), 0, &v)) {
    norn_error_text(st, norn_error(st), error, sizeof error);
    fprintf(stderr, "%s\n", error);
    CHECK(!"the program runs");
  }
  return v;
}

static const net_spec npe = { .kind = NET_NPE, .bars = 20, .components = 3, .head = "auto" };
static const net_spec pfn = { .kind = NET_PFN, .bars = 20, .components = 3, .head = "auto" };

/* A program with what is learned of it and some runs. */
typedef struct world {
  net_source *s;
  net_schema h;
  net_runs r;
  net_room *room;
  nn_tokens tk;
  bool good;
} world;

static norn_datum names(const char *a, const char *b)
{
  norn_datum v[2] = { norn_cstring(st, a ? a : ""), norn_cstring(st, b ? b : "") };
  return a ? norn_array_pack(st, v, b ? 2 : 1) : norn_missing();
}

static world world_of(const char *program, const char *expression, const net_spec *spec, norn_datum inputs,
                      int n)
{
  world w = { 0 };
  char error[1200];
  norn_datum what = value_of(program, expression);
  w.s = net_source_new(st, what, inputs, 7);
  w.room = net_room_new(st);
  w.good = w.s && w.room && net_schema_learn(st, &w.h, w.s, spec, 300) &&
           net_source_runs(w.s, &w.h, 0, n, &w.r) &&
           net_batch(&w.h, spec, &w.r, 0, 3, w.room, &w.tk);
  if (!w.good) {
    norn_error_text(st, norn_error(st), error, sizeof error);
    fprintf(stderr, "%s: %s\n", program, error);
  }
  CHECK(w.good);
  return w;
}

static void world_free(world *w)
{
  net_room_free(w->room);
  net_runs_free(st, &w->r);
  net_schema_free(st, &w->h);
  net_source_free(w->s);
}

static int site_of(const net_schema *h, const char *name)
{
  for (int i = 0; i < h->nsite; i++)
    if (!strcmp(h->site[i].name, name)) return i;
  fprintf(stderr, "no site %s\n", name);
  CHECK(!"there is a site of that name");
  return 0;
}

/* ---- the coin, by hand ---- */

static const char coin[] =
  "model coin(a, b, ys) { let p ~ beta(a, b); for i in 0..len(ys) { observe ys[i] ~ bernoulli(p) }; p }\n"
  "fn source() { let a ~ uniform(1, 4); let b ~ uniform(1, 4); let n ~ discrete_uniform(0, 5)\n"
  " coin(a, b, for i in 0..n { true }) }\n";

static bool has_row(const nn_tokens *tk, size_t at, int row, double coef)
{
  for (int j = 0; j < tk->j; j++)
    if (tk->row[at * (size_t)tk->j + (size_t)j] == row)
      return fabs(tk->coef[at * (size_t)tk->j + (size_t)j] - coef) < 1e-5;
  return false;
}

static void test_coin(void)
{
  world w = world_of(coin, "source", &npe, norn_missing(), 50);
  const net_site *p = &w.h.site[site_of(&w.h, "p")], *y = &w.h.site[site_of(&w.h, "ys[]")];
  CHECK(w.h.nsite == 2 && p->latent && !p->observed && y->observed && !y->latent);
  CHECK(p->value == NET_REAL && p->coords == 1 && p->nargs == 2 && p->head == 0 && y->head == -1);
  CHECK(y->value == NET_BOOL && y->coords == 1 && y->hot == 0 && y->index_scale[0] > 0 &&
        y->index_scale[1] == 0);
  CHECK(w.h.nhead == 1 && w.h.head[0].kind == NN_BARS && w.h.context == 5 && w.h.longest == 7);
  CHECK(w.tk.b == 50 && w.tk.t <= 6 && w.tk.nq == 50 && w.tk.j == w.h.wide);
  for (int k = 0; k < w.tk.b; k++) {
    size_t first = w.r.start[k], n = w.r.start[k + 1] - first - 1;
    const net_event *e = &w.r.event[first];
    double u = w.r.number[e->x], a = w.r.number[e->arg], b = w.r.number[e->arg + 1];
    CHECK(e->site == p - w.h.site && !e->observed && e->nx == 1 && e->nargs == 2);
    CHECK(a >= 1 && a <= 4 && b >= 1 && b <= 4);
    size_t at = (size_t)k * (size_t)w.tk.t;
    for (size_t i = 0; i < n; i++) {                 /* rows: value; false, true; index */
      int32_t row = (int32_t)(w.r.number[e[1 + i].x] != 0);
      CHECK(e[1 + i].observed && e[1 + i].index[0] == (int)i && w.tk.order[at + i] == 0 &&
            w.tk.see[at + i] == 1);
      CHECK(has_row(&w.tk, at + i, y->row, 1) && has_row(&w.tk, at + i, y->row + 1 + row, 1));
      CHECK(!has_row(&w.tk, at + i, y->row + 1 + !row, 1));
      CHECK(has_row(&w.tk, at + i, y->row + 3, (double)i * y->index_scale[0]));
    }
    at += n;                                         /* rows: value, question, number, two arguments */
    CHECK(w.tk.at[k] == (int)at && w.tk.head[k] == 0 && w.tk.order[at] == NN_UNSEEN && w.tk.see[at] == 1);
    CHECK_NEAR(w.tk.target[k], (u - p->mean[0]) / p->sd[0], 1e-5);
    CHECK(has_row(&w.tk, at, p->row + 1, 1) && !has_row(&w.tk, at, p->row, 1));
    CHECK(has_row(&w.tk, at, p->row + 3, net_feature((asinh(a) - p->arg_mean[0]) / p->arg_sd[0])));
    CHECK(has_row(&w.tk, at, p->row + 4, net_feature((asinh(b) - p->arg_mean[1]) / p->arg_sd[1])));
    for (at++; at < (size_t)(k + 1) * (size_t)w.tk.t; at++) {
      CHECK(w.tk.order[at] == NN_UNSEEN && w.tk.see[at] == 0);
      for (int j = 0; j < w.tk.j; j++) CHECK(w.tk.row[at * (size_t)w.tk.j + (size_t)j] == -1);
    }
  }
  world_free(&w);
}

/* ---- latents in turn, vectors, kinds ---- */

static const char kinds[] =
  "model m(y) { let mu ~ normal(0, 1); let w ~ dirichlet([1, 2, 3]); let k ~ categorical([0.2, 0.3, 0.5])\n"
  "let b ~ bernoulli(0.3); let c ~ poisson(3); let s ~ uniform(0, exp(mu)); let v ~ iid(bernoulli(0.5), 3)\n"
  "observe y ~ multi_normal([mu, 0], [[1, 0], [0, 1]]); observe 3 ~ poisson(exp(mu))\n"
  "observe 1.5 ~ uniform(mu, mu + 1)\n"
  "observe 0.5 ~ exponential(1); mu }\n";

static void test_kinds(void)
{
  world w = world_of(kinds, "m([1, 2])", &npe, norn_missing(), 20);
  static const struct { const char *name; net_value value; int coords, categories; bool plain; } want[] = {
    { "mu", NET_REAL, 1, 0, false }, { "w", NET_REAL, 2, 0, false }, { "k", NET_CATEGORY, 1, 3, false },
    { "b", NET_BOOL, 1, 2, false }, { "c", NET_COUNT, 1, 0, false }, { "s", NET_REAL, 1, 0, false },
    { "v", NET_BOOL, 3, 2, false }, { "y", NET_REAL, 2, 0, false }, { "~1", NET_COUNT, 1, 0, false },
    { "~2", NET_REAL, 1, 0, true }, { "~3", NET_REAL, 1, 0, false } };
  CHECK(w.h.nsite == NORN_COUNT(want));
  for (int i = 0; i < NORN_COUNT(want) && i < w.h.nsite; i++) {
    const net_site *s = &w.h.site[i];
    CHECK_STR(s->name, want[i].name);
    CHECK(s->value == want[i].value && s->coords == want[i].coords && s->plain == want[i].plain);
    CHECK(want[i].categories == 0 || s->categories == want[i].categories);
  }
  CHECK(w.h.nhead == 10 && w.tk.nq == 20 * 10 && w.tk.t == 4 + 2 * 10 - 1);
  /* questions and values of the first run */
  for (int r = 1; r <= 10; r++) {
    size_t at = 4 + 2 * (size_t)(r - 1);
    CHECK(w.tk.order[at] == NN_UNSEEN && w.tk.see[at] == r);
    if (r < 10) CHECK(w.tk.order[at + 1] == r && w.tk.see[at + 1] == r);
  }
  for (int q = 0; q < w.tk.nq; q++) {
    CHECK(w.tk.head[q] == q / 20 && w.tk.at[q] == (q % 20) * w.tk.t + 4 + 2 * (q / 20));
    if (q / 20 == 3) CHECK(w.tk.target[q] == 0 || w.tk.target[q] == 1 || w.tk.target[q] == 2);
  }
  world_free(&w);
}

/* Values come back from their coordinates, with the slope. */
static net_met back_begin(void *user, int k, norn_datum model) { (void)user, (void)k,
                                                                (void)model; return NET_MET; }
static net_met back_meet(void *user, int k, const norn_event *ev, norn_datum value)
{
  world *w = user;
  net_event e;
  double there = 0, back = 0;
  (void)k;
  if (!net_event_of(&w->h, st, ev, value, false, &w->r, &e, &there)) return NET_MET_FAILED;
  if (e.site < 0) return e.site == -1 ? NET_MET : NET_MET_NAMES;
  norn_datum v = net_value_of(&w->h, st, ev, &e, w->r.number + e.x, &back);
  CHECK_NEAR(there, back, 1e-9);
  if (w->h.site[e.site].value != NET_REAL) CHECK(norn_equal(v, value));
  int64_t n = norn_array_length(value) < 0 ? 1 : norn_array_length(value);
  for (int64_t i = 0; i < n; i++) CHECK_NEAR(norn_elem_real(v, i), norn_elem_real(value, i), 1e-9);
  return NET_MET;
}

static void test_back(void)
{
  world w = world_of(kinds, "m([1, 2])", &npe, norn_missing(), 1);
  net_walk walk = { back_begin, back_meet, &w };
  CHECK(net_source_walk(w.s, 100, 20, &walk));
  net_event e = { .site = 0 };
  double slope = 0, t = net_target(&w.h, &e, 0, 1.25);
  CHECK_NEAR(net_from_target(&w.h, &e, 0, t, &slope), 1.25, 1e-12);
  CHECK_NEAR(slope, -log(w.h.site[0].sd[0]), 1e-12);
  world_free(&w);
}

/* ---- recursion, missing, given ---- */

static const char recursion[] =
  "model geo(q) { let stop ~ bernoulli(q); if stop { 0 } else { let rest ~ geo(q); 1 + rest } }\n"
  "model m(y) { let n ~ geo(0.4); observe y ~ normal(n, 1); n }\n";
static const char plate[] =
  "model m(ys) { let mu ~ normal(0, 1); let t ~ exponential(1)\n"
  "for y in ys { observe y ~ normal(mu, t) }; mu }\n";

static void test_structure(void)
{
  world w = world_of(recursion, "m(2)", &npe, norn_missing(), 200);
  int top = site_of(&w.h, "n.stop"), deep = site_of(&w.h, "n.rest.stop"), most = 0;
  CHECK(w.h.nsite == 3 && w.h.site[deep].hot > 2 && w.h.site[top].hot == 0);
  for (int k = 0; k < w.r.n; k++) {
    size_t n = w.r.start[k + 1] - w.r.start[k] - 1;
    for (size_t i = 0; i < n; i++) {
      const net_event *e = &w.r.event[w.r.start[k] + i];
      CHECK(e->site == (i ? deep : top) && e->index[0] == (i ? (int)i - 1 : 0));
    }
    if ((int)n > most) most = (int)n;
  }
  CHECK(most > 4 && w.tk.t == 1 + 2 * most - 1);
  world_free(&w);
}

static void test_missing(void)
{
  world w = world_of(plate, "given(m([1, missing, 2]), { t: 3 })", &npe, norn_missing(), 10);
  const net_site *t = &w.h.site[site_of(&w.h, "t")], *y = &w.h.site[site_of(&w.h, "y[]")];
  CHECK(t->head == -1 || !t->observed);
  CHECK(y->head >= 0 && y->observed && !y->latent);
  for (int k = 0; k < 10; k++) {
    const net_event *e = &w.r.event[w.r.start[k]];
    static const bool shown[] = { false, true, true, false, true };
    CHECK(w.r.start[k + 1] - w.r.start[k] == 5);
    for (int i = 0; i < 5; i++) CHECK(e[i].observed == shown[i]);
    CHECK(e[3].site == e[2].site && e[3].index[0] == 1);
  }
  CHECK(w.tk.t == 3 + 3 && w.tk.nq == 20);
  world_free(&w);
}

/* ---- inputs, pfn ---- */

static const char line[] =
  "model line(x, sd, y) { let a ~ normal(0, 1); let b ~ normal(0, 1)\n"
  "for i in 0..len(x) { observe y[i] ~ normal(a + b * x[i], sd) }; a }\n"
  "fn source() { let n ~ discrete_uniform(1, 6); let x = for i in 0..n { sample(uniform(-1, 1)) }\n"
  "let sd ~ uniform(0.1, 1); line(x, sd, for i in 0..n { 0.0 }) }\n";

static void test_inputs(void)
{
  world w = world_of(line, "source", &pfn, names("x", "sd"), 200);
  const net_site *y = &w.h.site[0];
  double shown = 0;
  CHECK(w.h.nsite == 1 && y->ncovariates == 1 && y->inputs == 1 && y->index_scale[0] == 0 && y->head == 0);
  CHECK(w.h.ninput == 2 && w.h.input[0].array && w.h.input[0].width == 1 && !w.h.input[1].array);
  for (int k = 0; k < w.r.n; k++) {
    size_t at = (size_t)k * (size_t)w.tk.t;
    const uint32_t *in = w.r.input + 4 * (size_t)k;
    double x[NET_COVARIATES], z = (w.r.number[in[2]] - w.h.input[1].mean) / w.h.input[1].sd;
    int n = 0, asked = 0, context = 0;
    CHECK(in[3] == 1 && has_row(&w.tk, at, w.h.input[1].row, 1));
    CHECK(has_row(&w.tk, at, w.h.input[1].row + 1, z));
    for (size_t i = w.r.start[k]; i < w.r.start[k + 1]; i++) {
      const net_event *e = &w.r.event[i];
      if (e->site < 0) continue;
      CHECK(net_covariates(&w.h, &w.r, k, e, 0, x) == x && x[0] == w.r.number[in[0] + (uint32_t)n]);
      n++;
    }
    CHECK(n == (int)in[1]);
    for (int i = 1; i < w.tk.t; i++) {
      asked += w.tk.order[at + (size_t)i] == NN_UNSEEN && w.tk.see[at + (size_t)i] == 1;
      context += w.tk.order[at + (size_t)i] == 0 && w.tk.see[at + (size_t)i] == 1;
    }
    CHECK(asked >= 1 && asked + context == n);
    shown += (double)context / n;
  }
  CHECK_NEAR(shown / w.r.n, .36, .1);           /* mean of (n - 1) / (2 n), n uniform on 1 .. 6: .296 */
  world_free(&w);
}

/* ---- runs ---- */

static bool same_runs(const net_runs *a, int from, const net_runs *b)
{
  for (int k = 0; k < b->n; k++) {
    size_t i = a->start[from + k], j = b->start[k], n = b->start[k + 1] - j;
    if (a->start[from + k + 1] - i != n) return false;
    for (size_t m = 0; m < n; m++) {
      const net_event *e = &a->event[i + m], *f = &b->event[j + m];
      if (e->addr != f->addr || e->site != f->site || memcmp(e->index, f->index, sizeof e->index) ||
          e->observed != f->observed || e->nx != f->nx || e->nargs != f->nargs ||
          memcmp(a->number + e->x, b->number + f->x, e->nx * sizeof(double)) ||
          memcmp(a->number + e->arg, b->number + f->arg, e->nargs * sizeof(double)))
        return false;
    }
  }
  return true;
}

static void test_pure(void)
{
  world w = world_of(coin, "source", &npe, norn_missing(), 300);
  net_runs some = { 0 }, other = { 0 }, sum = { 0 };
  net_source *again = net_source_new(st, value_of(coin, "source"), norn_missing(), 7);
  net_source *else_ = net_source_new(st, value_of(coin, "source"), norn_missing(), 8);
  CHECK(net_source_runs(again, &w.h, 250, 20, &some) && same_runs(&w.r, 250, &some));
  CHECK(net_source_runs(again, &w.h, 3, 1, &some) && same_runs(&w.r, 3, &some));
  CHECK(net_source_runs(else_, &w.h, 3, 20, &other) && !same_runs(&w.r, 3, &other));
  CHECK(net_source_runs(again, &w.h, 3 + NET_BLOCK, 20, &other) && !same_runs(&w.r, 3, &other));
  for (int i = 5; i < 9; i++) CHECK(net_runs_add(st, &w.h, &sum, &w.r, i, 1));
  CHECK(sum.n == 4 && same_runs(&w.r, 5, &sum));
  net_source_free(again);
  net_source_free(else_);
  net_runs_free(st, &some);
  net_runs_free(st, &other);
  net_runs_free(st, &sum);
  world_free(&w);
}

/* Moments of simulated data against those that follow from the program: y = a + b x + noise. */
static void test_moments(void)
{
  enum { N = 4000 };
  world w = world_of("model m(y) { let a ~ normal(1, 2); let s ~ gamma(3, 2); let k ~ poisson(4)\n"
                     "observe y ~ normal(a + k, 1); observe 2 ~ poisson(s); a }\n", "m(100)", &npe,
                     norn_missing(), N);
  double sum[5] = { 0 }, square[5] = { 0 }, across = 0;
  static const double mean[5] = { 1, 1.5, 4, 5, 1.5 }, var[5] = { 4, .75, 4, 9, 2.25 };
  for (int k = 0; k < N; k++) {
    double x[5];
    for (int i = 0; i < 5; i++) x[i] = w.r.number[w.r.event[w.r.start[k] + (size_t)i].x];
    x[1] = exp(x[1]);
    for (int i = 0; i < 5; i++) sum[i] += x[i] / N, square[i] += x[i] * x[i] / N;
    across += x[0] * x[3] / N;
  }
  for (int i = 0; i < 5; i++) {
    CHECK_NEAR(sum[i], mean[i], 4 * sqrt(var[i] / N));
    CHECK_NEAR(square[i] - sum[i] * sum[i], var[i], 6 * var[i] * sqrt(3.0 / N));
  }
  CHECK_NEAR(across - sum[0] * sum[3], 4, .5);                   /* data belong to their latents */
  world_free(&w);
}

static int apart;                        /* blocks of which most lanes had to go alone */

/* Runs of the scalar VM on threads are these. */
static void on_threads(net_source *s, const net_schema *h, const net_runs *want, uint64_t first, const char *program)
{
  net_runs got = { 0 };
  s->each = 1;                           /* a second a run: worth it */
  bool good = net_runs_threads(s, h, first, want->n, &got) && same_runs(want, 0, &got) && got.n == want->n;
  if (!good) fprintf(stderr, "%s: on threads %s\n", program, norn_error(st)->text);
  CHECK(good && !s->threadless && s->each == 1);
  net_runs_free(st, &got);
}

/* What threads can't do goes on in the caller's; an error is that of the lowest run. */
static void test_threads(void)
{
  net_schema h = { 0 };
  net_runs one = { 0 }, many = { 0 };
  norn_datum what = value_of("fn odd(x) = if clock() < 0 { 0 } else { x % 2 }\n"
                             "model m(y) { let k ~ poisson(3); observe y ~ normal(odd(k), 1); k }\n", "m(2)");
  net_source *s = net_source_new(st, what, norn_missing(), 5);
  CHECK(net_schema_learn(st, &h, s, &npe, 60) && net_runs_alone(s, &h, 0, 100, &one));
  s->each = 1;
  CHECK(net_runs_threads(s, &h, 0, 100, &many) && many.n == 100 && same_runs(&many, 0, &one));
  CHECK(s->threadless);
  net_source_free(s);
  net_schema_free(st, &h);
  what = value_of("model m(y) { let k ~ poisson(3); observe y ~ normal(k, if k > 9 { -1 } else { 1 }); k }\n", "m(2)");
  s = net_source_new(st, what, norn_missing(), 5);
  char said[600];
  CHECK(net_schema_learn(st, &h, s, &npe, 60) && !net_runs_alone(s, &h, 0, 3000, &one));
  snprintf(said, sizeof said, "%s", norn_error(st)->text);
  s->each = 1;
  CHECK(!net_runs_threads(s, &h, 0, 3000, &many));
  CHECK_STR(norn_error(st)->text, said);
  net_source_free(s);
  net_schema_free(st, &h);
  net_runs_free(st, &one);
  net_runs_free(st, &many);
}

static bool same_input(const net_runs *a, int i, const net_runs *b, int j, size_t ninput)
{
  for (size_t k = 0; k < ninput; k++) {
    const uint32_t *x = a->input + 2 * ((size_t)i * ninput + k), *y = b->input + 2 * ((size_t)j * ninput + k);
    if (x[1] != y[1] || memcmp(a->number + x[0], b->number + y[0], y[1] * sizeof(double))) return false;
  }
  return true;
}

/* Runs of a whole block, which are written behind others at once, are those that were copied out of one. */
static void same_whole(net_source *s, const net_schema *h, const net_runs *many, uint64_t first, const char *program)
{
  net_runs all = { 0 }, part;
  int before = (int)(NET_BLOCK - first % NET_BLOCK), n = before + (int)s->width;
  bool good = s->width && net_source_runs(s, h, first, n, &all) && all.n == n;
  part = all;
  if (part.n > many->n) part.n = many->n;
  good = good && same_runs(many, 0, &part);
  for (int k = 0; good && k < part.n; k++) good = same_input(many, k, &all, k, (size_t)h->ninput);
  if (!good) fprintf(stderr, "%s: whole blocks\n", program);
  CHECK(good);
  net_runs_free(st, &all);
}

/* Many at once in lanes, across a block's edge, are the same as each alone, to the bit. */
static void same_in_lanes(const char *program, const char *expression, norn_datum inputs,
                          const net_spec *spec,
                          bool lanes)
{
  enum { N = 200, FIRST = NET_BLOCK - 60 };
  net_runs many = { 0 }, one = { 0 };
  net_schema h = { 0 };
  norn_datum what = value_of(program, expression);
  net_source *s = net_source_new(st, what, inputs, 11);
  net_source *t = net_source_new(st, norn_get(s->what), inputs, 11);
  bool good = net_schema_learn(st, &h, s, spec, 60) && net_source_runs(s, &h, FIRST, N, &many);
  CHECK(good && many.n == N && s->whole == lanes);
  apart += s->apart;
  for (int k = 0; good && k < N; k++) {
    good = net_source_runs(t, &h, FIRST + (uint64_t)k, 1, &one) && same_runs(&many, k, &one);
    good = good && same_input(&many, k, &one, 0, (size_t)h.ninput);
    if (!good) fprintf(stderr, "%s: run %d\n", program, k);
  }
  CHECK(good);
  if (lanes) same_whole(s, &h, &many, FIRST, program);
  on_threads(t, &h, &many, FIRST, program);
  net_source_free(s);
  net_source_free(t);
  net_schema_free(st, &h);
  net_runs_free(st, &many);
  net_runs_free(st, &one);
}

static void test_lanes(void)
{
  norn_datum none = norn_missing();
  same_in_lanes(coin, "coin(2, 3, [true, false, true])", none, &npe, true);
  same_in_lanes(coin, "coin(2, 3, [true, false, true])", names("a", "b"), &npe, true);
  same_in_lanes(coin, "source", none, &npe, true);
  same_in_lanes(line, "line([1, 2], 0.5, [0, 0])", names("x", "sd"), &pfn, true);
  same_in_lanes(line, "source", names("x", "sd"), &pfn, true);
  same_in_lanes("model m(a, y) { let x ~ normal(a, 1); observe y ~ poisson(exp(x)); x }\n"
                "fn source() { let x ~ uniform(0, 1); let b ~ bernoulli(0.5)\n"
                " m(if b { x } else { 2 + x }, 3) }\n",
                "source", names("a", NULL), &npe, true);
  same_in_lanes("model m(y) { let x ~ normal(0, 1); let k ~ discrete_uniform(3, 6)\n"
                "let j ~ binomial(5, 0.3)\n"
                "let b ~ bernoulli(0.4); let e ~ exponential(1 + x^2); let g ~ beta(2, 1 + e)\n"
                "let c ~ poisson(2)\n"
                "let u ~ uniform(x, x + e); observe y ~ normal(k + j, e); observe 3 ~ poisson(e)\n"
                "observe b ~ bernoulli(g)\n"
                "observe 0.5 ~ uniform(0, e); x }\n", "m(2)", none, &npe, true);
  same_in_lanes("model m(y) { let c ~ bernoulli(0.3); let x = if c { let a ~ normal(0, 1); a } else {"
                " let b ~ gamma(2, 2); b }\n"
                "observe y ~ normal(x, 1); let z ~ normal(x, 2) via normal(0, 1); z }\n", "m(2)", none,
                &npe, true);
  same_in_lanes(recursion, "m(2)", none, &npe, true);
  same_in_lanes(plate, "given(m([1, missing, 2]), { t: 3 })", none, &npe, true);
  same_in_lanes("model m(ys) { let mu ~ normal(0, 1); for y in ys { observe y ~ normal(mu, 1) }; mu }\n",
                "m([1, missing, 2])", none, &npe, true);
  same_in_lanes(kinds, "m([1, 2])", none, &npe, true);
}

/* Of these no lane goes alone: sizes that differ part them, vectors are drawn lane by lane. */
static void test_lanes_of_sizes(void)
{
  norn_datum none = norn_missing();
  apart = 0;
  same_in_lanes(coin, "source", none, &npe, true);
  same_in_lanes("model m(y) { let mu ~ normal(0, 1); for v in y { observe v ~ normal(mu, 1) }; mu }\n"
                "fn source() { let n ~ discrete_uniform(1, 3); let k ~ binomial(3, 0.5)\n"
                " m(take(repeat(0.0, 9), n + k)) }\n", "source", none, &npe, true);
  same_in_lanes("model m(y) { let k ~ discrete_uniform(1, 3); let mu = for j in 0..k { let z ~ normal(0, 1); z }\n"
                "observe y ~ normal(sum(mu), 1); k }\n", "m(2)", none, &npe, true);
  same_in_lanes("model m(x, y) { let a ~ normal(0, 1); for i in 0..len(x) { observe y[i] ~ normal(a * x[i], 1) }; a }\n"
                "fn source() { let n ~ discrete_uniform(1, 4); let x ~ iid(uniform(0, 1), n); m(x, repeat(0.0, n)) }\n",
                "source", names("x", NULL), &npe, true);
  same_in_lanes("model m(y) { let t ~ iid(uniform(-3, 3), 3); let w ~ dirichlet([1, exp(t[0])])\n"
                "let d = multi_normal([t[1], 0], [[1 + t[2] ^ 2, t[2]], [t[2], 2]]); let z ~ d; let k ~ categorical(w)\n"
                "observe y ~ normal(z, exp(t[0])); observe [1, 2, 3] ~ poisson(exp(t)); k }\n", "m([1, 2])", none, &npe,
                true);
  same_in_lanes("model m(y) { let t ~ normal(0, 1); let u ~ mixture([0.4, 0.6], [normal(t, 1), normal(0, 2)])\n"
                "observe y ~ iid(normal(u, 1), 2); t }\n", "m([1, 2])", none, &npe, true);
  CHECK(apart == 0);
}

/* Nor of these: vectors by columns, and matrices of lanes (lanes_draw.c, lanes_matrix.c). */
static void test_lanes_of_vectors(void)
{
  norn_datum none = norn_missing();
  apart = 0;
  same_in_lanes("model m(y) { let t ~ iid(normal(0, 2), 37); let u ~ iid(uniform(t[0] - 1, t[0]), 9)\n"
                "let v ~ normal(t, exp(t[1])); let w ~ exponential([1, exp(t[2]), 3]); let g ~ iid(gamma(2, 1 + w[0]), 3)\n"
                "let k ~ iid(poisson(w[1]), 2); let b ~ iid(bernoulli(0.3), 20); let c ~ iid(discrete_uniform(2, 5), 2)\n"
                "observe y ~ normal(v, 1); observe [1, 2] ~ poisson([1 + k[0], 1 + k[1]]); observe 1 ~ poisson(1 + c[1])\n"
                "t }\n",
                "m(repeat(0.0, 37))", none, &npe, true);
  same_in_lanes("model m(y) { let t ~ normal([1, 2, 3], 2); let l = [[exp(t[0]), 0, 0], [t[1], 2, 0], [t[2], t[0], 1]]\n"
                "observe y ~ multi_normal_cholesky(t, l); let z ~ multi_normal([0, t[0]], [[2, 1], [1, 3]]); z }\n",
                "m([1, 2, 3])", none, &npe, true);
  same_in_lanes("model m(y) { let a ~ lognormal(0, 0.3); let r ~ gamma(8, 8); let z ~ iid(normal(0, 1), 13)\n"
                "let x = [0.1 * i for i in 0..13]\n"
                "let k = cov_matrix(rbf(a, r), x) + 0.01 * identity_matrix(13); let l = cholesky(k); let f = l @ z\n"
                "let k3 = cov_matrix(matern32(a, 0.5), x) + cov_matrix(matern52(1, r), x) + cov_matrix(matern12(a, r), x)\n"
                "let h = solve_lower(cholesky(k3 + 0.1 * k), f); let s = h @ z; let m2 = (l @ l) @ h\n"
                "for i in 0..13 { observe y[i] ~ normal(f[i] + 0.1 * h[i] + 0.01 * s + m2[i], 0.1) } }\n",
                "m(repeat(0.0, 13))", none, &npe, true);
  same_in_lanes("model m(x, y) { let n = len(x); let z ~ iid(normal(0, 1), n)\n"
                "let f = cholesky(cov_matrix(rbf(1, 0.2), x) + 1e-8 * identity_matrix(n)) @ z\n"
                "for i in 0..n { observe y[i] ~ normal(f[i], 0.1) } }\n"
                "fn gps() { let n = sample(discrete_uniform(31, 34)); m([sample(uniform(0, 1)) for i in 0..n], repeat(0.0, n)) }\n",
                "gps", names("x", NULL), &pfn, true);
  same_in_lanes("model m(x, y) { let z ~ iid(normal(0, 1), 9)\n"                /* lanes part while matrices are there */
                "let l = cholesky(cov_matrix(rbf(1, 0.3), x) + 1e-6 * identity_matrix(9)); let f = l @ z\n"
                "let b ~ bernoulli(0.4)\n"
                "let g = if b { let u ~ normal(f[0], 1); solve_lower(l, f)[1] + u }\n"
                " else { let w ~ exponential(1); (l @ f)[8] * w }\n"
                "for i in 0..9 { observe y[i] ~ normal(f[i] + g * l[8][i], 0.1) } }\n"
                "fn gps() = m([sample(uniform(0, 1)) for i in 0..9], repeat(0.0, 9))\n",
                "gps", names("x", NULL), &npe, true);
  CHECK(apart == 0);
}

static void test_program(void)
{
  uint64_t a = net_program(st, value_of(coin, "coin(1, 2, [true])"));
  uint64_t b = net_program(st, value_of(coin, "source"));
  char moved[2048];
  snprintf(moved, sizeof moved, "let unused = 3\n# elsewhere\n%s", coin);
  CHECK(a && a == b && a == net_program(st, value_of(moved, "coin(3, 3, [])")));
  CHECK(a != net_program(st, value_of(line, "line([1], 1, [2])")));
}

/* ---- refused ---- */

static void refuses(const char *program, const char *expression, norn_datum inputs, const char *want)
{
  char error[1200] = "";
  net_schema h = { 0 };
  norn_datum what = value_of(program, expression);
  net_source *s = net_source_new(st, what, inputs, 1);
  bool good = s && net_schema_learn(st, &h, s, &npe, 50);
  if (!good) norn_error_text(st, norn_error(st), error, sizeof error);
  CHECK(!good);
  if (!strstr(error, want)) {
    CHECK(!"the error says so");
    fprintf(stderr, "%s\nnot\n%s\n", error, want);
  }
  net_schema_free(st, &h);
  net_source_free(s);
}

static void test_refused(void)
{
  norn_datum none = norn_missing();
  refuses("model m() {\n let x ~ normal(0, 1)\n factor(x) }", "m()", none,
          "t:3:2: error: factor can't be simulated");
  refuses("model m() {\n let x ~ normal(0, 1)\n condition(x > 0) }", "m()", none,
          "t:3:2: error: condition can't be");
  refuses("model m(y) { let x ~ normal(0, 1)\n observe y[0] ~ normal(x, 1)\n y[0] }", "m([1])", none,
          "t:2:2: error: what is observed here is read elsewhere");
  refuses("model n() { sample(normal(0, 1)) }\nmodel m() {\n infer(n(), importance(10)) }", "m()", none,
          "t:3:2: error: inference inside");
  refuses("model m() {\n let x ~ product({ a: normal(0, 1), b: poisson(3) })\n x }", "m()", none,
          "t:2:2: error: this choice");
  refuses("fn f() = 3", "f", none, "must give a model value");
  refuses("fn f(n) = 3", "f", none, "takes 1 argument");
  refuses("fn f() = 3", "3", none, "a net is trained on a model value");
  refuses("model m(x) {\n let a ~ normal(0, 1)\n a }", "m(3)", names("z", NULL),
          "z is no parameter of the model");
  refuses("model m(x) {\n let a ~ normal(0, 1)\n a }", "m([1, 2])", names("x", NULL),
          "no observed site has as many");
  refuses("model m(x) {\n let a ~ normal(0, 1)\n a }", "m(\"a\")", names("x", NULL),
          "must be a number or an array");
  refuses("model m() {\n let a ~ normal(0, 1)\n let b ~ normal(0, a)\n b }", "m()", none,
          "t:3:20: error: standard deviation");
}

int main(void)
{
  norn_config cfg = norn_config_default();
  cfg.quiet = true;
  cfg.threads = 3;
  st = norn_new(&cfg);
  test_coin();
  test_kinds();
  test_back();
  test_structure();
  test_missing();
  test_inputs();
  test_pure();
  test_moments();
  test_lanes();
  test_lanes_of_sizes();
  test_lanes_of_vectors();
  test_threads();
  test_program();
  test_refused();
  norn_free(st);
  return unit_end();
}
