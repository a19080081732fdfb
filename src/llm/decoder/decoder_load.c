/* decoder_load.c: a decoder from a GGUF file: its sizes from the metadata (ggml-org/ggml, docs/gguf.md), its
   matrices where they stand, each with the shape that the sizes demand.  What this decoder does not compute
   (another architecture, experts, another way to scale positions) is an error that says so. */
#include "llm/decoder/decoder_in.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS = 1000, MOST = 1 << 24 };

static bool lacks(decoder *d, const char *what)
{
  norn_fail(d->st, NORN_EDOMAIN, 0, "%s: the built-in decoder can't compute %s", d->file->name, what);
  norn_hint(d->st, "serve the file by llama-server and use it as \"http://localhost:8080/v1#model\"");
  return false;
}

/* ---- sizes ---- */

static const char *key_of(const decoder *d, const char *name, char *key, size_t n)
{
  snprintf(key, n, "%s.%s", d->arch, name);
  return key;
}

/* An integer in [1, most]; one that is not there and not needed leaves *out. */
static bool size_of(const decoder *d, const char *name, bool needed, int most, int *out)
{
  char key[80];
  uint32_t x = (uint32_t)*out;
  if (!gguf_u32(d->file, key_of(d, name, key, sizeof key), needed, &x)) return false;
  if (x < 1 || x > (uint32_t)most) {
    norn_fail(d->st, NORN_EIO, 0, "%s: %s is %u, expected 1 to %d", d->file->name, key, x, most);
    return false;
  }
  *out = (int)x;
  return true;
}

static bool real_of(const decoder *d, const char *name, bool needed, float *out)
{
  char key[80];
  if (!gguf_f32(d->file, key_of(d, name, key, sizeof key), needed, out)) return false;
  if (isfinite(*out) && *out > 0) return true;
  norn_fail(d->st, NORN_EIO, 0, "%s: %s is %g, expected a positive number", d->file->name, key, (double)*out);
  return false;
}

static bool architecture(decoder *d)
{
  const char *s = NULL;
  size_t n = 0;
  char what[200];
  if (!gguf_string(d->file, "general.architecture", true, &s, &n)) return false;
  static const struct { const char *name; dec_rope rope; } known[] = {
    { "llama", DEC_ROPE_PAIRS }, { "qwen2", DEC_ROPE_HALVES }, { "gpt2", DEC_NO_ROPE }
  };
  for (int i = 0; i < NORN_COUNT(known); i++) {
    if (n != strlen(known[i].name) || memcmp(s, known[i].name, n)) continue;
    d->arch = known[i].name;
    d->rope = known[i].rope;
    d->layer_norm = d->rope == DEC_NO_ROPE;
    return true;
  }
  snprintf(what, sizeof what, "the architecture \"%.*s\" (it knows llama, qwen2 and gpt2)", (int)(n < 60 ? n : 60), s);
  return lacks(d, what);
}

static bool sizes(decoder *d)
{
  int experts = 1;
  char key[80];
  const gguf_pair *e = gguf_find(d->file, key_of(d, "expert_count", key, sizeof key));
  if (e && !(e->n == 1 && e->type < GGUF_F32 && gguf_integer(e, 0) == 0)) {
    if (!size_of(d, "expert_count", true, MOST, &experts)) return false;
    return lacks(d, "mixtures of experts");
  }
  if (!size_of(d, "block_count", true, LAYERS, &d->layers) || !size_of(d, "embedding_length", true, MOST, &d->width) ||
      !size_of(d, "feed_forward_length", true, MOST, &d->ff) ||
      !size_of(d, "context_length", true, 1 << 30, &d->window) ||
      !size_of(d, "attention.head_count", true, 1 << 16, &d->heads))
    return false;
  d->kv_heads = d->heads;
  d->d = d->width / d->heads;
  int values = 0;
  if (!size_of(d, "attention.head_count_kv", false, 1 << 16, &d->kv_heads)) return false;
  if (d->d * d->heads != d->width || gguf_find(d->file, key_of(d, "attention.key_length", key, sizeof key))) {
    if (!size_of(d, "attention.key_length", true, 1 << 12, &d->d)) return false;
  }
  values = d->d;
  if (!size_of(d, "attention.value_length", false, 1 << 12, &values)) return false;
  if (values != d->d) return lacks(d, "values of another length than keys");
  if (d->d <= 1 << 12 && d->heads % d->kv_heads == 0)
    return real_of(d, d->layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", true,
                   &d->eps);
  norn_fail(d->st, NORN_EIO, 0, "%s: %d heads of %d numbers do not share the %d heads of keys evenly", d->file->name,
            d->heads, d->d, d->kv_heads);
  return false;
}

/* ---- positions ---- */

/* turn[i] = scale base^(-2 i / nrope) / factor[i] (Su et al. 2021; the factors are a tensor of llama 3.1's files). */
static bool turns(decoder *d, float base, double scale)
{
  const gguf_tensor *f = gguf_tensor_find(d->file, "rope_freqs.weight");
  if (f && (f->type != QUANT_F32 || gguf_tensor_count(f) != d->nrope / 2)) {
    norn_fail(d->st, NORN_EIO, 0, "%s: rope_freqs.weight has %lld numbers (%s), expected %d (F32)",
              d->file->name, (long long)gguf_tensor_count(f), quant_of[f->type].name, d->nrope / 2);
    return false;
  }
  d->turn = mem_get(d->m, (size_t)(d->nrope / 2) * sizeof *d->turn);
  if (!d->turn) return !lm_no_memory(d->st);
  for (int i = 0; i < d->nrope / 2; i++) {
    float factor = 1;
    if (f) memcpy(&factor, (const char *)f->data + (size_t)i * sizeof factor, sizeof factor);
    d->turn[i] = scale * pow(base, -2.0 * i / d->nrope) / factor;
  }
  return true;
}

static bool positions(decoder *d)
{
  float base = 10000, factor = 1;
  const char *how = "none";
  size_t n = 4;
  char key[80], what[160];
  if (!d->rope) return true;
  d->nrope = d->d;
  if (!size_of(d, "rope.dimension_count", false, d->d, &d->nrope) || !real_of(d, "rope.freq_base", false, &base) ||
      !gguf_string(d->file, key_of(d, "rope.scaling.type", key, sizeof key), false, &how, &n) ||
      !real_of(d, "rope.scale_linear", false, &factor) || !real_of(d, "rope.scaling.factor", false, &factor))
    return false;
  if (d->nrope % 2) {
    norn_fail(d->st, NORN_EIO, 0, "%s: %s.rope.dimension_count is %d, expected an even number", d->file->name, d->arch,
              d->nrope);
    return false;
  }
  bool linear = n == 6 && memcmp(how, "linear", n) == 0, none = n == 4 && memcmp(how, "none", n) == 0;
  if (linear) return turns(d, base, 1 / (double)factor);
  bool old = gguf_find(d->file, key_of(d, "rope.scale_linear", key, sizeof key));
  if (none) return turns(d, base, old ? 1 / (double)factor : 1);
  snprintf(what, sizeof what, "positions scaled by \"%.*s\" (it knows linear and factors)", (int)(n < 40 ? n : 40),
           how);
  return lacks(d, what);
}

/* ---- tensors ---- */

/* The tensor `name` of layer i (-1: of none) and this shape; NULL: not there (an error if it is needed), or wrong. */
static const gguf_tensor *tensor(decoder *d, int i, const char *name, bool needed, int64_t k, int64_t rows,
                                 bool *wrong)
{
  char full[96];
  if (i < 0) snprintf(full, sizeof full, "%s", name);
  else snprintf(full, sizeof full, "blk.%d.%s", i, name);
  const gguf_tensor *t = gguf_tensor_find(d->file, full);
  if (!t) {
    if (needed)
      norn_fail(d->st, NORN_EIO, 0, "%s: there is no tensor %s, which %s models have", d->file->name, full, d->arch);
    *wrong |= needed;
    return NULL;
  }
  if (t->dims[0] == k && (rows < 0 || t->dims[1] == rows) && t->dims[2] == 1 && t->dims[3] == 1) return t;
  norn_fail(d->st, NORN_EIO, 0, "%s: the tensor %s is %lld by %lld by %lld by %lld, expected %lld by %lld",
            d->file->name, full, (long long)t->dims[0], (long long)t->dims[1], (long long)t->dims[2],
            (long long)t->dims[3], (long long)k, (long long)(rows < 0 ? t->dims[1] : rows));
  *wrong = true;
  return NULL;
}

/* Rows from .. from + n - 1 of a matrix. */
static dec_weight rows_of(const gguf_tensor *t, int64_t from, int64_t n)
{
  if (!t) return (dec_weight){ .data = NULL };
  size_t row = quant_bytes(t->type, (size_t)t->dims[0]);
  return (dec_weight){ t->type, (const uint8_t *)t->data + (size_t)from * row, n, t->dims[0], row };
}

/* A vector as floats of our own (files keep some in halves). */
static const float *vector(decoder *d, int i, const char *name, bool needed, int64_t n, bool *wrong)
{
  const gguf_tensor *t = tensor(d, i, name, needed, n, 1, wrong);
  if (!t || (size_t)n > d->avectors - d->nvectors) return NULL;      /* never, since a tensor comes once */
  float *x = d->vectors + d->nvectors;
  d->nvectors += (size_t)n;
  quant_of[t->type].to_f32(t->data, x, (size_t)n);
  return x;
}

static dec_norm norm_of(decoder *d, int i, const char *name, bool *wrong)
{
  char gain[48], bias[48];
  snprintf(gain, sizeof gain, "%s.weight", name);
  snprintf(bias, sizeof bias, "%s.bias", name);
  dec_norm f = { .gain = vector(d, i, gain, true, d->width, wrong) };
  if (d->layer_norm) f.bias = vector(d, i, bias, true, d->width, wrong);
  return f;
}

static dec_linear linear_of(decoder *d, int i, const char *name, bool bias, int64_t k, int64_t rows, bool *wrong)
{
  char w[48], b[48];
  snprintf(w, sizeof w, "%s.weight", name);
  snprintf(b, sizeof b, "%s.bias", name);
  dec_linear l = { .w = rows_of(tensor(d, i, w, true, k, rows, wrong), 0, rows) };
  l.bias = vector(d, i, b, bias, rows, wrong);
  return l;
}

static dec_linear part_of(const dec_linear *l, int64_t from, int64_t n)
{
  dec_linear part = *l;
  if (part.w.data) part.w.data += (size_t)from * l->w.row;
  part.w.rows = n;
  if (part.bias) part.bias += from;
  return part;
}

static bool layer_of(decoder *d, int i, dec_layer *l)
{
  bool wrong = false, biased = !d->rope, halves = d->rope == DEC_ROPE_HALVES;
  int64_t q = (int64_t)d->heads * d->d, few = (int64_t)d->kv_heads * d->d;
  l->before = norm_of(d, i, "attn_norm", &wrong);
  l->middle = norm_of(d, i, "ffn_norm", &wrong);
  if (d->rope) {
    l->q = linear_of(d, i, "attn_q", halves, d->width, q, &wrong);
    l->k = linear_of(d, i, "attn_k", halves, d->width, few, &wrong);
    l->v = linear_of(d, i, "attn_v", halves, d->width, few, &wrong);
    l->gate = linear_of(d, i, "ffn_gate", false, d->width, d->ff, &wrong);
  } else {
    dec_linear all = linear_of(d, i, "attn_qkv", true, d->width, q + 2 * few, &wrong);
    l->q = part_of(&all, 0, q);
    l->k = part_of(&all, q, few);
    l->v = part_of(&all, q + few, few);
  }
  l->o = linear_of(d, i, "attn_output", biased, q, d->width, &wrong);
  l->up = linear_of(d, i, "ffn_up", biased, d->width, d->ff, &wrong);
  l->down = linear_of(d, i, "ffn_down", biased, d->ff, d->width, &wrong);
  return !wrong;
}

static bool tensors(decoder *d)
{
  bool wrong = false;
  const gguf_tensor *e = tensor(d, -1, "token_embd.weight", true, d->width, -1, &wrong), *o;
  if (!e) return false;
  if (e->dims[1] < 1 || e->dims[1] > MOST) return lacks(d, "so many tokens");
  d->vocab = (int)e->dims[1];
  d->embed = rows_of(e, 0, d->vocab);
  if (!d->rope) {
    const gguf_tensor *p = tensor(d, -1, "position_embd.weight", true, d->width, -1, &wrong);
    if (!p) return false;
    if (p->dims[1] < d->window) d->window = (int)p->dims[1];
    d->position = rows_of(p, 0, p->dims[1]);
  }
  d->last = norm_of(d, -1, "output_norm", &wrong);
  o = tensor(d, -1, "output.weight", false, d->width, d->vocab, &wrong);
  d->out = (dec_linear){ .w = o ? rows_of(o, 0, d->vocab) : d->embed };
  for (int i = 0; i < d->layers && !wrong; i++) wrong = !layer_of(d, i, d->layer + i);
  for (int i = 0; i < d->file->ntensor; i++) d->parameters += (double)gguf_tensor_count(d->file->tensor + i);
  if (o) d->parameters -= (double)d->vocab * d->width;                   /* a row of it is looked up */
  if (d->position.data) d->parameters -= (double)d->position.rows * d->width;
  return !wrong;
}

/* Vectors: what the file has of them, whatever its sizes say. */
static bool memory(decoder *d)
{
  for (int i = 0; i < d->file->ntensor; i++) {
    const gguf_tensor *t = d->file->tensor + i;
    if (gguf_tensor_count(t) == t->dims[0]) d->avectors += (size_t)t->dims[0];
  }
  d->layer = mem_zero(d->m, (size_t)d->layers * sizeof *d->layer);
  d->vectors = mem_zero(d->m, d->avectors * sizeof *d->vectors);
  return (d->layer && d->vectors) || !lm_no_memory(d->st);
}

static bool start(decoder *d, size_t cache, int threads)
{
  d->threads = threads > 0 ? threads : norn_config_of(d->st)->threads;
  if (d->threads <= 0) d->threads = pool_processors();
  d->cache = cache;
  kv_init(&d->kv, d->m, d->layers, d->kv_heads, d->d, cache);
  d->thread = mem_get(d->m, (size_t)d->threads * sizeof *d->thread);
  if (!d->thread) return !lm_no_memory(d->st);
  pool_start(&d->pool, d->thread, d->threads);
  pool_start(&d->solo, NULL, 0);
  return true;
}

static void give_back(decoder *d)
{
  kv_free(&d->kv);
  dec_gpu_free(d);
  if (d->thread) {
    pool_end(&d->pool);
    pool_end(&d->solo);
    mem_put(d->m, d->thread, (size_t)d->threads * sizeof *d->thread);
  }
  mem_put(d->m, d->layer, (size_t)d->layers * sizeof *d->layer);
  mem_put(d->m, d->vectors, d->avectors * sizeof *d->vectors);
  mem_put(d->m, d->turn, (size_t)(d->nrope / 2) * sizeof *d->turn);
}

bool decoder_open(decoder *d, norn_state *st, mem *m, const gguf *file, size_t cache, int threads)
{
  *d = (decoder){ .st = st, .m = m, .file = file };
  if (architecture(d) && sizes(d) && positions(d) && memory(d) && tensors(d) && start(d, cache, threads)) return true;
  give_back(d);
  return false;
}

void decoder_close(decoder *d)
{
  give_back(d);
  *d = (decoder){ .st = d->st };
}
