/* train.c: training of norn_llm.h: a causal transformer (nn/causal.h) on windows of a text (pieces.h) by AdamW.

   The windows of a step are cut into parts, always the same; threads take parts, each of which has a gradient of its
   own, and these are added in order.  So the model is a function of text, spec and steps. */
#include "base/pool.h"
#include "llm/file/gguf.h"
#include "llm/pieces.h"
#include "llm/file/vocab.h"
#include "nn/causal.h"
#include "nn/optimise.h"
#include "norn_llm.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 8, SLICES = 16, HELD = 128 /* windows */, LOOKS = 50 /* in all */ };
#define SMOOTH .02

typedef struct part {
  int32_t *token, *target, *first;     /* room for its windows */
  nn_texts texts;
  float *g, *room, *memory;            /* room: memory, aligned */
  size_t bytes;
  double loss;
} part;

struct norn_text_training {
  norn_state *st;
  norn_text_spec s;
  char type[8], name[64];
  pieces text;
  nn_params params;
  nn_causal *model;
  nn_adam adam;
  int each;                            /* windows of a part, at most */
  int nparts;
  part part[PARTS];
  bool learns;                         /* what the jobs do: a step, or a look at what was held out */
  float scale;
  pool pool; pthread_t thread[PARTS]; bool pooled;
  uint64_t text_hash;
  int64_t tokens;
  double loss, weight, held_out;       /* loss: smoothed, its weight 1 - SMOOTH's power */
};

norn_text_spec norn_text_spec_usual(void)
{
  return (norn_text_spec){ .layers = 4, .width = 128, .heads = 4, .context = 128, .batch = 32, .steps = 2000,
                           .rate = 2e-3, .decay = .1, .warm = .05, .type = "q8_0", .name = "norn", .seed = 1 };
}

/* ---- checks ---- */

static bool refuse(norn_state *st, const char *what, const char *found, const char *wanted)
{
  norn_fail(st, NORN_EDOMAIN, -1, "%s can't be %s", what, found);
  norn_hint(st, "%s", wanted);
  return false;
}

static bool within(norn_state *st, const char *what, double x, double low, double high)
{
  char found[40], wanted[120];
  if (x >= low && x <= high) return true;
  snprintf(found, sizeof found, "%g", x);
  snprintf(wanted, sizeof wanted, "%s is a number from %g to %g", what, low, high);
  return refuse(st, what, found, wanted);
}

static int type_of(const char *name)
{
  return strcmp(name, "f32") == 0 ? QUANT_F32 : strcmp(name, "f16") == 0 ? QUANT_F16
         : strcmp(name, "q8_0") == 0 ? QUANT_Q8_0 : -1;
}

/* Rows of q8_0 are blocks of 32 numbers. */
static bool spec_is_right(norn_state *st, const norn_text_spec *s)
{
  char found[40];
  if (!within(st, "layers", s->layers, 1, 64) || !within(st, "width", s->width, 8, 4096) ||
      !within(st, "heads", s->heads, 1, 64) || !within(st, "context", s->context, 8, 8192) ||
      !within(st, "batch", s->batch, 1, 4096) || !within(st, "steps", (double)s->steps, 1, 1e9) ||
      !within(st, "rate", s->rate, 1e-9, 1) || !within(st, "decay", s->decay, 0, 10) ||
      !within(st, "warm", s->warm, 0, 1))
    return false;
  if (type_of(s->type) < 0) return refuse(st, "type", s->type, "type is f32, f16 or q8_0");
  snprintf(found, sizeof found, "%d with %d heads", s->width, s->heads);
  if (s->width % s->heads) return refuse(st, "width", found, "the width is a multiple of heads");
  snprintf(found, sizeof found, "%d with type q8_0", s->width);
  if (type_of(s->type) == QUANT_Q8_0 && s->width % 32)
    return refuse(st, "width", found, "rows of q8_0 are blocks of 32 numbers: a multiple of 32, or type f16");
  return true;
}

/* ---- parts ---- */

static bool no_memory(norn_text_training *t)
{
  norn_fail(t->st, NORN_EMEMORY, -1, "no memory to train a model of width %d with %d layers on %d texts a step",
            t->s.width, t->s.layers, t->s.batch);
  norn_hint(t->st, "a smaller batch, width or context, or more memory (--memory)");
  return false;
}

static bool make_parts(norn_text_training *t)
{
  t->nparts = t->s.batch < PARTS ? t->s.batch : PARTS;
  t->each = (t->s.batch + t->nparts - 1) / t->nparts;
  int held = (HELD + t->nparts - 1) / t->nparts;
  if (held > t->each) t->each = held;
  size_t tokens = (size_t)t->each * (size_t)t->s.context;
  for (int i = 0; i < t->nparts; i++) {
    part *p = t->part + i;
    p->token = norn_alloc(t->st, NULL, 0, tokens * sizeof *p->token);
    p->target = norn_alloc(t->st, NULL, 0, tokens * sizeof *p->target);
    p->first = norn_alloc(t->st, NULL, 0, ((size_t)t->each + 1) * sizeof *p->first);
    p->g = norn_alloc(t->st, NULL, 0, t->params.count * sizeof *p->g);
    if (!p->token || !p->target || !p->first || !p->g) return no_memory(t);
    p->texts = (nn_texts){ .first = p->first, .token = p->token, .target = p->target };
  }
  return true;
}

static void free_parts(norn_text_training *t)
{
  size_t tokens = (size_t)t->each * (size_t)t->s.context;
  for (int i = 0; i < t->nparts; i++) {
    part *p = t->part + i;
    if (p->token) norn_alloc(t->st, p->token, tokens * sizeof *p->token, 0);
    if (p->target) norn_alloc(t->st, p->target, tokens * sizeof *p->target, 0);
    if (p->first) norn_alloc(t->st, p->first, ((size_t)t->each + 1) * sizeof *p->first, 0);
    if (p->g) norn_alloc(t->st, p->g, t->params.count * sizeof *p->g, 0);
    if (p->memory) norn_alloc(t->st, p->memory, p->bytes, 0);
  }
}

/* Room for what the part has now. */
static bool fit(norn_text_training *t, part *p)
{
  int64_t n = p->first[p->texts.b];
  size_t bytes = nn_causal_room(t->model, n, t->s.context, t->learns) * sizeof(float) + 64;
  if (bytes <= p->bytes) return true;
  bytes += bytes / 4;
  if (p->memory) norn_alloc(t->st, p->memory, p->bytes, 0);
  p->memory = norn_alloc(t->st, NULL, 0, bytes);
  p->bytes = p->memory ? bytes : 0;
  p->room = (float *)(void *)(((uintptr_t)p->memory + 63) / 64 * 64);
  return p->memory || no_memory(t);
}

/* Fills the parts with n windows, of a step or held out; gives the number of tokens, or 0: error set. */
static int64_t fill(norn_text_training *t, int n, bool learns)
{
  int64_t tokens = 0;
  t->learns = learns;
  for (int i = 0, w = 0; i < t->nparts; i++) {
    part *p = t->part + i;
    int upto = (int)((int64_t)n * (i + 1) / t->nparts), at = 0, b = 0;
    for (p->first[0] = 0; w < upto; w++) {
      at += learns ? pieces_draw(&t->text, t->s.seed, t->adam.step, w, p->token + at, p->target + at)
                   : pieces_held(&t->text, (size_t)w, p->token + at, p->target + at);
      p->first[++b] = at;
    }
    p->texts.b = b;
    if (!fit(t, p)) return 0;
    tokens += at;
  }
  return tokens;
}

static void part_job(void *of, int i)
{
  norn_text_training *t = of;
  part *p = t->part + i;
  if (t->learns) memset(p->g, 0, t->params.count * sizeof *p->g);
  p->loss = p->texts.b ? nn_causal_loss(t->model, &p->texts, t->scale, t->learns ? p->g : NULL, p->room) : 0;
}

static void sum_job(void *of, int k)
{
  norn_text_training *t = of;
  size_t n = t->params.count / 16, from = n * (size_t)k / SLICES * 16, to = n * (size_t)(k + 1) / SLICES * 16;
  float *sum = t->part[0].g;
  for (int i = 1; i < t->nparts; i++) {
    const float *g = t->part[i].g;
    for (size_t j = from; j < to; j++) sum[j] += g[j];
  }
}

/* The mean loss of what was filled in. */
static double pass(norn_text_training *t, int64_t tokens)
{
  double sum = 0;
  t->scale = 1 / (float)tokens;
  pool_run(&t->pool, t->nparts, part_job, NULL, t);
  for (int i = 0; i < t->nparts; i++) sum += t->part[i].loss;
  return sum / (double)tokens;
}

/* ---- steps ---- */

static bool look(norn_text_training *t)
{
  size_t held = t->text.n - t->text.learned;
  if (held == 0) return true;
  int64_t tokens = fill(t, held < HELD ? (int)held : HELD, false);
  if (tokens) t->held_out = pass(t, tokens);
  return tokens > 0;
}

static norn_step not_finite(norn_text_training *t)
{
  norn_fail(t->st, NORN_EINFER, -1, "training stopped at step %lld: the loss or its gradient is not finite",
            (long long)t->adam.step);
  norn_hint(t->st, "a lower rate (it was %g)", t->s.rate);
  return NORN_STEP_FAIL;
}

norn_step norn_text_training_step(norn_text_training *t)
{
  if (t->adam.step >= t->s.steps) return NORN_STEP_DONE;
  int64_t tokens = fill(t, t->s.batch, true);
  if (!tokens) return NORN_STEP_FAIL;
  double loss = pass(t, tokens);
  pool_run(&t->pool, SLICES, sum_job, NULL, t);
  if (!isfinite(loss) || !isfinite(nn_adam_step(&t->adam, &t->params, t->part[0].g, -1))) return not_finite(t);
  t->tokens += tokens;
  t->loss += SMOOTH * (loss - t->loss);
  t->weight += SMOOTH * (1 - t->weight);
  int64_t step = t->adam.step, steps = t->s.steps;
  bool due = step == steps || step * LOOKS / steps != (step - 1) * LOOKS / steps;
  if (due && !look(t)) return NORN_STEP_FAIL;
  return step < steps ? NORN_STEP_MORE : NORN_STEP_DONE;
}

void norn_text_training_look(const norn_text_training *t, norn_text_trained *out)
{
  int64_t parameters = 0;
  for (int i = 0; i < t->params.n; i++) parameters += (int64_t)t->params.tensor[i].n;
  *out = (norn_text_trained){ .step = t->adam.step, .steps = t->s.steps, .tokens = t->tokens,
                              .loss = t->weight > 0 ? t->loss / t->weight : NAN, .held_out = t->held_out,
                              .rate = nn_adam_rate(&t->adam, -1), .parameters = parameters,
                              .documents = (int64_t)t->text.documents };
}

/* In tokens, so that the speed is that of tokens. */
void norn_text_training_progress(const norn_text_training *t, norn_progress *p)
{
  norn_text_trained l;
  norn_text_training_look(t, &l);
  double share = (double)l.step / (double)l.steps;
  *p = (norn_progress){ .done = (double)l.tokens, .total = share > 0 ? (double)l.tokens / share : 0 };
  int n = snprintf(p->state, sizeof p->state, "step %lld  loss %.4f", (long long)l.step, l.loss);
  if (!isnan(l.held_out)) snprintf(p->state + n, sizeof p->state - (size_t)n, "  held out %.4f", l.held_out);
}

/* ---- begin and end ---- */

static bool make_model(norn_text_training *t)
{
  nn_causal_shape shape = { .d = t->s.width, .layers = t->s.layers, .heads = t->s.heads, .ff = 4 * t->s.width,
                            .window = t->s.context, .tokens = PIECES_TOKENS };
  nn_params_init(&t->params, t->st);
  t->model = nn_causal_new(t->st, &t->params, &shape);
  if (!t->model || !nn_params_make(&t->params, true)) return false;
  nn_causal_start(t->model, &(norn_rng){ .stream = norn_stream_split(t->s.seed, 1, 0, 0) });
  t->adam = nn_adam_usual;
  t->adam.rate = t->s.rate;
  t->adam.decay = t->s.decay;
  t->adam.beta2 = .98;
  t->adam.steps = t->s.steps;
  t->adam.warm = (int64_t)ceil(t->s.warm * (double)t->s.steps);
  return true;
}

static void begin_pool(norn_text_training *t)
{
  int n = norn_config_of(t->st)->threads;
  if (n <= 0) n = pool_processors();
  pool_start(&t->pool, t->thread, n < PARTS ? n : PARTS);
  t->pooled = true;
}

norn_text_training *norn_text_training_new(norn_state *st, const char *bytes, size_t n, const norn_text_spec *s)
{
  if (!spec_is_right(st, s)) return NULL;
  norn_text_training *t = norn_alloc(st, NULL, 0, sizeof *t);
  if (!t) {
    norn_fail(st, NORN_EMEMORY, -1, "no memory to train a model");
    return NULL;
  }
  *t = (norn_text_training){ .st = st, .s = *s, .held_out = NAN };
  snprintf(t->type, sizeof t->type, "%s", s->type);
  snprintf(t->name, sizeof t->name, "%s", s->name);
  t->s.type = t->type;
  t->s.name = t->name;
  t->text_hash = hash_bytes(bytes, n, 0);
  if (pieces_make(&t->text, st, bytes, n, s->documents, s->context) && make_model(t) && make_parts(t)) {
    begin_pool(t);
    return t;
  }
  norn_text_training_free(t);
  return NULL;
}

void norn_text_training_free(norn_text_training *t)
{
  if (!t) return;
  if (t->pooled) pool_end(&t->pool);
  free_parts(t);
  nn_causal_free(t->model);
  if (t->params.st) nn_params_free(&t->params);
  pieces_free(&t->text);
  norn_alloc(t->st, t, sizeof *t, 0);
}

/* ---- files ---- */

static void put_numbers(norn_text_training *t, gguf_writer *w)
{
  const norn_text_spec *s = &t->s;
  gguf_put_string(w, "general.architecture", "gpt2", 4);
  gguf_put_string(w, "general.name", s->name, strlen(s->name));
  gguf_put_u32(w, "gpt2.context_length", (uint32_t)s->context);
  gguf_put_u32(w, "gpt2.embedding_length", (uint32_t)s->width);
  gguf_put_u32(w, "gpt2.feed_forward_length", 4 * (uint32_t)s->width);
  gguf_put_u32(w, "gpt2.block_count", (uint32_t)s->layers);
  gguf_put_u32(w, "gpt2.attention.head_count", (uint32_t)s->heads);
  gguf_put_f32(w, "gpt2.attention.layer_norm_epsilon", 1e-5f);
  vocab_put_bytes(w);
}

/* Products and tables in the type that was asked for; what is added or multiplied by numbers stays f32, and so do the
   rows of places, as other writers of such files have it. */
norn_status norn_text_training_write(norn_text_training *t, const char *path)
{
  gguf_writer *w = gguf_writer_new(t->st);
  if (!w) return norn_error(t->st)->code;
  put_numbers(t, w);
  for (int i = 0; i < t->params.n; i++) {
    const nn_tensor *a = t->params.tensor + i;
    int64_t dims[2] = { a->rank == 2 ? a->dims[1] : a->dims[0], a->dims[0] };
    bool places = strcmp(a->name, "position_embd.weight") == 0;
    gguf_put_floats(w, a->name, a->rank == 2 && !places ? (quant_type)type_of(t->s.type) : QUANT_F32, a->rank, dims,
                    t->params.w + a->at);
  }
  norn_status s = gguf_write(w, path);
  gguf_writer_free(w);
  return s;
}

/* What a checkpoint begins with; then come weights and both moments. */
typedef struct header {
  char magic[24];
  int32_t layers, width, heads, context, batch, documents;
  double rate, decay, warm;
  char type[8], name[64];
  uint64_t seed, text_hash, count;
  int64_t steps, step, tokens;
  double loss, weight, held_out;
} header;
static const char magic[24] = "norn text training 1\n";

norn_status norn_text_training_save(norn_text_training *t, const char *path)
{
  const norn_text_spec *s = &t->s;
  const char *why;
  header h = { .layers = s->layers, .width = s->width, .heads = s->heads, .context = s->context, .batch = s->batch,
               .documents = s->documents, .rate = s->rate, .decay = s->decay, .warm = s->warm, .seed = s->seed,
               .text_hash = t->text_hash, .count = t->params.count, .steps = s->steps, .step = t->adam.step,
               .tokens = t->tokens, .loss = t->loss, .weight = t->weight, .held_out = t->held_out };
  memcpy(h.magic, magic, sizeof magic);
  memcpy(h.type, t->type, sizeof h.type);
  memcpy(h.name, t->name, sizeof h.name);
  size_t n = t->params.count * sizeof(float);
  const void *piece_of[] = { &h, t->params.w, t->params.m, t->params.v };
  if (file_replace(path, piece_of, (size_t[]){ sizeof h, n, n, n }, 4, &why)) return NORN_OK;
  norn_fail(t->st, NORN_EIO, -1, "can't write %s: %s", path, why);
  return NORN_EIO;
}

static norn_text_training *no_checkpoint(norn_state *st, const char *path, const char *why)
{
  norn_fail(st, NORN_EIO, -1, "can't go on from %s: %s", path, why);
  norn_hint(st, "without --resume, training begins anew");
  return NULL;
}

static norn_text_training *load(norn_state *st, const char *learned, size_t n, const char *path, const char *bytes,
                                size_t size)
{
  header h;
  if (size < sizeof h || memcmp(bytes, magic, sizeof magic)) return no_checkpoint(st, path, "it is no checkpoint");
  memcpy(&h, bytes, sizeof h);
  if (h.text_hash != hash_bytes(learned, n, 0)) return no_checkpoint(st, path, "it is of another text");
  h.type[sizeof h.type - 1] = h.name[sizeof h.name - 1] = 0;
  norn_text_spec s = { .layers = h.layers, .width = h.width, .heads = h.heads, .context = h.context,
                       .batch = h.batch, .steps = h.steps, .rate = h.rate, .decay = h.decay, .warm = h.warm,
                       .documents = h.documents != 0, .type = h.type, .name = h.name, .seed = h.seed };
  norn_text_training *t = norn_text_training_new(st, learned, n, &s);
  if (!t) return NULL;
  size_t each = t->params.count * sizeof(float);
  if (h.count != t->params.count || size != sizeof h + 3 * each || h.step < 0) {
    norn_text_training_free(t);
    return no_checkpoint(st, path, "it is cut off, or of another version");
  }
  memcpy(t->params.w, bytes + sizeof h, each);
  memcpy(t->params.m, bytes + sizeof h + each, each);
  memcpy(t->params.v, bytes + sizeof h + 2 * each, each);
  t->adam.step = h.step;
  t->tokens = h.tokens;
  t->loss = h.loss;
  t->weight = h.weight;
  t->held_out = h.held_out;
  return t;
}

static void *take_memory(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }

norn_text_training *norn_text_training_load(norn_state *st, const char *learned, size_t n, const char *path)
{
  mem m;
  const char *why;
  size_t size;
  mem_init(&m);
  m.alloc = take_memory;
  m.user = st;
  char *bytes = file_read(&m, path, &size, &why);
  if (!bytes) return no_checkpoint(st, path, why);
  norn_text_training *t = load(st, learned, n, path, bytes, size);
  mem_put(&m, bytes, size + 1);
  return t;
}
