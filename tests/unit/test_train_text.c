/* test_train_text.c: language models learned from texts: the transformer of nn/causal.h against one in doubles, whose
   derivatives are differences; who sees whom; texts cut into windows; training learns, and gives the same bits on any
   number of threads and through a checkpoint in the middle; what can't be learned is refused. */
#include "llm/pieces.h"
#include "nn/causal.h"
#include "norn_llm.h"
#include "unit.h"
#include <stdlib.h>

static norn_state *state(int threads)
{
  norn_config c = norn_config_default();
  c.threads = threads;
  c.quiet = true;
  norn_state *st = norn_new(&c);
  if (!st) exit(99);
  return st;
}

static float *aligned(size_t n)
{
  float *p = aligned_alloc(64, (n * sizeof *p + 127) / 64 * 64);
  if (!p) exit(99);
  return p;
}

/* ---- the same in doubles ---- */

enum { D = 8, HEADS = 2, LAYERS = 2, FF = 12, WINDOW = 7, TOKENS = 11, MOST = 24 };
static const nn_causal_shape shape = { .d = D, .layers = LAYERS, .heads = HEADS, .ff = FF, .window = WINDOW,
                                       .tokens = TOKENS };
/* Texts of 7, 1 and 5 tokens. */
static const int32_t first[] = { 0, 7, 8, 13 };
static const int32_t token[] = { 3, 1, 4, 1, 5, 9, 2, 6, 10, 0, 3, 3, 8 };
static const int32_t target[] = { 1, 4, 1, 5, 9, 2, 7, 5, 0, 3, -1, 8, 4 };
static const nn_texts texts = { 3, first, token, target };

static const double *by_name(const nn_params *p, const double *w, const char *format, int l)
{
  char name[96];
  snprintf(name, sizeof name, format, l);
  const nn_tensor *t = nn_params_find(p, name);
  if (!t) exit(98);
  return w + t->at;
}
#define W(name) by_name(p, w, name, l)

static void normed(const double *x, const double *gain, const double *bias, double *y)
{
  double mean = 0, square = 0;
  for (int j = 0; j < D; j++) mean += x[j] / D;
  for (int j = 0; j < D; j++) square += (x[j] - mean) * (x[j] - mean) / D;
  for (int j = 0; j < D; j++) y[j] = (x[j] - mean) / sqrt(square + 1e-5) * gain[j] + bias[j];
}

static void times(int i, int o, const double *x, const double *w, const double *b, double *y)
{
  for (int c = 0; c < o; c++) {
    y[c] = b ? b[c] : 0;
    for (int k = 0; k < i; k++) y[c] += x[k] * w[c * i + k];
  }
}

static void attend(const double (*qkv)[3 * D], int n, double (*o)[D])
{
  enum { S = D / HEADS };
  for (int h = 0; h < HEADS; h++)
    for (int i = 0; i < n; i++) {
      double p[MOST], sum = 0;
      for (int k = 0; k <= i; k++) {
        double s = 0;
        for (int e = 0; e < S; e++) s += qkv[i][h * S + e] * qkv[k][D + h * S + e];
        sum += p[k] = exp(s / sqrt(S));
      }
      for (int e = 0; e < S; e++) {
        o[i][h * S + e] = 0;
        for (int k = 0; k <= i; k++) o[i][h * S + e] += p[k] / sum * qkv[k][2 * D + h * S + e];
      }
    }
}

static void block(const nn_params *p, const double *w, int l, int n, double (*x)[D])
{
  double a[D], qkv[MOST][3 * D], o[MOST][D], y[D], u[FF];
  for (int i = 0; i < n; i++) {
    normed(x[i], W("blk.%d.attn_norm.weight"), W("blk.%d.attn_norm.bias"), a);
    times(D, 3 * D, a, W("blk.%d.attn_qkv.weight"), W("blk.%d.attn_qkv.bias"), qkv[i]);
  }
  attend((const double (*)[3 * D])qkv, n, o);
  for (int i = 0; i < n; i++) {
    times(D, D, o[i], W("blk.%d.attn_output.weight"), W("blk.%d.attn_output.bias"), y);
    for (int j = 0; j < D; j++) x[i][j] += y[j];
    normed(x[i], W("blk.%d.ffn_norm.weight"), W("blk.%d.ffn_norm.bias"), a);
    times(D, FF, a, W("blk.%d.ffn_up.weight"), W("blk.%d.ffn_up.bias"), u);
    for (int j = 0; j < FF; j++) u[j] *= .5 * (1 + tanh(sqrt(2 / M_PI) * (u[j] + .044715 * u[j] * u[j] * u[j])));
    times(FF, D, u, W("blk.%d.ffn_down.weight"), W("blk.%d.ffn_down.bias"), y);
    for (int j = 0; j < D; j++) x[i][j] += y[j];
  }
}

/* z (n, TOKENS) of one text */
static void scores_of(const nn_params *p, const double *w, const int32_t *k, int n, double (*z)[TOKENS])
{
  double x[MOST][D], a[D];
  int l = 0;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < D; j++)
      x[i][j] = W("token_embd.weight")[k[i] * D + j] + W("position_embd.weight")[i * D + j];
  for (l = 0; l < LAYERS; l++) block(p, w, l, n, x);
  for (int i = 0; i < n; i++) {
    normed(x[i], W("output_norm.weight"), W("output_norm.bias"), a);
    times(D, TOKENS, a, W("output.weight"), NULL, z[i]);
  }
}

static double loss_of(const nn_params *p, const double *w)
{
  double z[MOST][TOKENS], sum = 0;
  for (int t = 0; t < texts.b; t++) {
    int from = first[t], n = first[t + 1] - from;
    scores_of(p, w, token + from, n, z);
    for (int i = 0; i < n; i++) {
      double all = 0;
      if (target[from + i] < 0) continue;
      for (int j = 0; j < TOKENS; j++) all += exp(z[i][j]);
      sum += log(all) - z[i][target[from + i]];
    }
  }
  return sum;
}

/* ---- the transformer ---- */

typedef struct made { norn_state *st; nn_params p; nn_causal *m; double *w; } made;

/* All numbers random, so that nothing is at a place where its derivative is 0. */
static void make(made *a)
{
  a->st = state(1);
  nn_params_init(&a->p, a->st);
  a->m = nn_causal_new(a->st, &a->p, &shape);
  if (!a->m || !nn_params_make(&a->p, true)) exit(99);
  norn_rng g = { .stream = 5 };
  for (int i = 0; i < a->p.n; i++) nn_params_normal(&a->p, i, .5, &g);
  a->w = malloc(a->p.count * sizeof *a->w);
  for (size_t i = 0; i < a->p.count; i++) a->w[i] = a->p.w[i];
}

static void unmake(made *a)
{
  free(a->w);
  nn_causal_free(a->m);
  nn_params_free(&a->p);
  norn_free(a->st);
}

static void gradients(void)
{
  made a;
  make(&a);
  const double h = 1e-3;
  float *room = aligned(nn_causal_room(a.m, first[3], WINDOW, true));
  float *g = calloc(a.p.count, sizeof *g);
  double loss = nn_causal_loss(a.m, &texts, 1, g, room), worst = 0;
  CHECK_NEAR(loss, loss_of(&a.p, a.w), 2e-5);
  CHECK_NEAR(nn_causal_loss(a.m, &texts, 1, NULL, room), loss, 2e-5);
  for (int k = 0; k < a.p.n; k++) {
    const nn_tensor *t = a.p.tensor + k;
    double size = 0, off = 0;
    for (size_t i = t->at; i < t->at + t->n; i++) {
      double at = a.w[i], s[4];
      for (int j = 0; j < 4; j++) {
        a.w[i] = at + h * (j < 2 ? j - 2 : j - 1);
        s[j] = loss_of(&a.p, a.w);
      }
      a.w[i] = at;
      double d = (s[0] - 8 * s[1] + 8 * s[2] - s[3]) / (12 * h);
      size = fmax(size, fabs(d));
      off = fmax(off, fabs(d - (double)g[i]));
    }
    CHECK(size > 1e-3);                /* each tensor matters */
    worst = fmax(worst, off / size);
  }
  CHECK(worst < 1e-4);
  printf("gradients: worst difference %g of a tensor's largest derivative\n", worst);
  nn_causal_loss(a.m, &texts, 2, g, room);       /* it is added, times the scale */
  float *once = calloc(a.p.count, sizeof *once);
  nn_causal_loss(a.m, &texts, 1, once, room);
  double most = 0;
  for (size_t i = 0; i < a.p.count; i++) most = fmax(most, fabs((double)g[i] - 3 * (double)once[i]));
  CHECK(most < 1e-4);
  free(g);
  free(once);
  free(room);
  unmake(&a);
}

/* A text gets the scores that it has alone, and what follows changes nothing. */
static void who_sees_whom(void)
{
  made a;
  make(&a);
  float *room = aligned(nn_causal_room(a.m, first[3], WINDOW, false)), z[13 * TOKENS], one[5 * TOKENS];
  nn_causal_scores(a.m, &texts, z, room);
  int32_t from[] = { 0, 5 }, k[5];
  memcpy(k, token + 8, sizeof k);
  nn_causal_scores(a.m, &(nn_texts){ 1, from, k, NULL }, one, room);
  double apart = 0, changed = 0;
  for (int i = 0; i < 5 * TOKENS; i++) apart = fmax(apart, fabs((double)one[i] - (double)z[8 * TOKENS + i]));
  CHECK(apart < 1e-5);
  k[3] = 7;
  nn_causal_scores(a.m, &(nn_texts){ 1, from, k, NULL }, one, room);
  for (int i = 0; i < 3 * TOKENS; i++) changed = fmax(changed, fabs((double)one[i] - (double)z[8 * TOKENS + i]));
  CHECK(changed < 1e-5);
  CHECK(fabsf(one[3 * TOKENS] - z[11 * TOKENS]) > 1e-3f);
  double ref[MOST][TOKENS];
  scores_of(&a.p, a.w, token, 7, ref);
  for (int i = 0; i < 7 * TOKENS; i++) CHECK_NEAR((double)z[i], ref[i / TOKENS][i % TOKENS], 2e-5);
  free(room);
  unmake(&a);
}

static void shapes_refused(void)
{
  norn_state *st = state(1);
  nn_params p;
  nn_params_init(&p, st);
  CHECK(!nn_causal_new(st, &p, &(nn_causal_shape){ .d = 9, .layers = 1, .heads = 2, .ff = 4, .window = 4, .tokens = 3 }));
  CHECK_STR(norn_error(st)->text, "a transformer can't have width = 9, layers = 1, heads = 2, context = 4");
  nn_params_free(&p);
  norn_free(st);
}

/* ---- pieces ---- */

static void windows(void)
{
  static const char s[] = "\n\nab\ncd\n\n\nefg\n\nthe third is the longest one of all of them, and by far\n\nx\n";
  norn_state *st = state(1);
  pieces p;
  int32_t in[8], out[8];
  bool seen[4] = { false };
  CHECK(pieces_make(&p, st, s, sizeof s - 1, true, 8));
  CHECK(p.documents == 4 && p.n == 4 && p.learned == 3);         /* the last is held out */
  for (int i = 0; i < 400; i++) {
    int n = pieces_draw(&p, 3, 1, i, in, out);
    for (int k = 0; k + 1 < n; k++) CHECK(in[k + 1] == out[k]);
    if (n == 7 && in[0] == 256 && in[1] == 'a' && in[6] == '\n' && out[6] == 256) seen[0] = true;
    if (n == 5 && in[0] == 256 && in[1] == 'e' && in[4] == '\n' && out[4] == 256) seen[1] = true;
    if (n == 8 && in[0] == 256 && in[1] == 't') seen[2] = true;
    if (n == 8 && out[7] == 256) seen[3] = true;
    for (int k = 0; k < n; k++) CHECK(in[k] != 'x');
  }
  CHECK(seen[0] && seen[1] && seen[2] && seen[3]);
  CHECK(pieces_held(&p, 0, in, out) == 3 && in[0] == 256 && in[1] == 'x' && in[2] == '\n' && out[2] == 256);
  pieces_free(&p);
  CHECK(!pieces_make(&p, st, "too short", 9, true, 8));
  CHECK_STR(norn_error(st)->text, "the text has 9 bytes: nothing can be learned from it");
  pieces_free(&p);
  static char empty[100];
  memset(empty, '\n', sizeof empty);
  CHECK(!pieces_make(&p, st, empty, sizeof empty, true, 8));
  CHECK_STR(norn_error(st)->text, "the text has empty lines only");
  pieces_free(&p);
  norn_free(st);
}

/* ---- training ---- */

static char *toy(size_t *n)
{
  static const char *const day[] = { "monday", "tuesday", "wednesday", "thursday", "friday" };
  char *s = malloc(300 * 64);
  *n = 0;
  for (int i = 0; i < 300; i++)
    *n += (size_t)sprintf(s + *n, "after %s comes %s\n\n", day[i % 5], day[(i + 1) % 5]);
  return s;
}

static norn_text_spec small(void)
{
  norn_text_spec s = norn_text_spec_usual();
  s.layers = 2;
  s.width = 32;
  s.heads = 2;
  s.context = 40;
  s.batch = 16;
  s.steps = 120;
  s.rate = 5e-3;
  s.documents = true;
  return s;
}

static void steps(norn_text_training *t, int n)
{
  for (int i = 0; i < n; i++) CHECK(norn_text_training_step(t) == (i < n - 1 ? NORN_STEP_MORE : NORN_STEP_DONE) ||
                                    i == n - 1);
}

static char *contents(const char *path, size_t *n)
{
  FILE *f = fopen(path, "rb");
  char *s = malloc(4 << 20);
  *n = f ? fread(s, 1, 4 << 20, f) : 0;
  if (f) fclose(f);
  return s;
}

static void same_files(const char *a, const char *b)
{
  size_t n, m;
  char *x = contents(a, &n), *y = contents(b, &m);
  CHECK(n > 1000 && n == m && memcmp(x, y, n) == 0);
  free(x);
  free(y);
}

static void learns(void)
{
  size_t n;
  char *s = toy(&n);
  norn_state *one = state(1), *two = state(3);
  norn_text_spec spec = small();
  norn_text_trained l;
  norn_text_training *t = norn_text_training_new(one, s, n, &spec), *u = norn_text_training_new(two, s, n, &spec);
  norn_progress p;
  CHECK(t && u);
  CHECK(norn_text_training_step(t) == NORN_STEP_MORE);
  norn_text_training_look(t, &l);
  CHECK_NEAR(l.loss, log(257), .3);              /* it knows nothing yet */
  CHECK(l.documents == 300 && l.step == 1 && l.steps == 120);
  steps(t, 119);
  norn_text_training_look(t, &l);
  CHECK(l.held_out < .12);                       /* the first day has log(5) in 30 bytes, the rest is known */
  CHECK(l.held_out > .03);
  CHECK(norn_text_training_step(t) == NORN_STEP_DONE && l.tokens > 120 * 16 * 20);
  norn_text_training_progress(t, &p);
  CHECK(strstr(p.state, "held out") && p.done == p.total);
  CHECK(norn_text_training_save(t, "train_text.1") == NORN_OK);
  steps(u, 50);
  CHECK(norn_text_training_save(u, "train_text.2") == NORN_OK);
  norn_text_training_free(u);
  u = norn_text_training_load(two, s, n, "train_text.2");
  CHECK(u);
  if (u) steps(u, 70);
  if (u) CHECK(norn_text_training_save(u, "train_text.2") == NORN_OK);
  same_files("train_text.1", "train_text.2");
  s[7]++;
  CHECK(!norn_text_training_load(two, s, n, "train_text.2"));
  CHECK_STR(norn_error(two)->text, "can't go on from train_text.2: it is of another text");
  norn_text_training_free(t);
  norn_text_training_free(u);
  norn_free(one);
  norn_free(two);
  remove("train_text.1");
  remove("train_text.2");
  free(s);
}

static void refused(norn_text_spec s, const char *want)
{
  norn_state *st = state(1);
  static char some[500];
  memset(some, 'a', sizeof some - 1);
  size_t before = norn_memory_used(st);
  CHECK(!norn_text_training_new(st, some, sizeof some - 1, &s));
  CHECK_STR(norn_error(st)->text, want);
  CHECK(norn_error(st)->hint[0]);
  CHECK(norn_memory_used(st) == before);
  norn_free(st);
}

static void refusals(void)
{
  norn_text_spec s = small();
  s.width = 36;
  refused(s, "width can't be 36 with type q8_0");
  s = small();
  s.heads = 3;
  refused(s, "width can't be 32 with 3 heads");
  s = small();
  s.type = "q4_1";
  refused(s, "type can't be q4_1");
  s = small();
  s.steps = 0;
  refused(s, "steps can't be 0");
  s = small();
  s.rate = NAN;
  refused(s, "rate can't be nan");
}

/* No memory at any place is an error, and leaves nothing behind. */
static void short_of_memory(void)
{
  size_t n, short_of = 0;
  char *s = toy(&n);
  for (size_t limit = 1 << 18; limit < 64 << 20; limit += limit / 8) {
    norn_config c = norn_config_default();
    c.threads = 1;
    c.max_memory = limit;
    norn_state *st = norn_new(&c);
    norn_text_spec spec = small();
    if (!st) continue;
    size_t before = norn_memory_used(st);
    norn_text_training *t = norn_text_training_new(st, s, n, &spec);
    if (!t || norn_text_training_step(t) == NORN_STEP_FAIL) {
      CHECK(norn_error(st)->code == NORN_EMEMORY);
      short_of++;
    }
    norn_text_training_free(t);
    CHECK(norn_memory_used(st) == before);
    norn_free(st);
  }
  CHECK(short_of > 3);
  free(s);
}

int main(void)
{
  gradients();
  who_sees_whom();
  shapes_refused();
  windows();
  learns();
  refusals();
  short_of_memory();
  return unit_end();
}
