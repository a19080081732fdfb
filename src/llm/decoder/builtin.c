/* builtin.c: the back end `builtin`: GGUF files, which the decoder of this program evaluates (decoder.h).

   The file stays mapped.  A file that is removed or replaced while a model is open does no harm, since the map
   keeps the old one; one that is cut short or written over in place would, so its size and its time of change
   are looked at before each evaluation. */
#include "gpu/gpu.h"
#include "llm/file/chat.h"
#include "llm/decoder/decoder.h"
#include "llm/tiny.h"
#include "llm/file/vocab.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct builtin {
  lm lm;
  gguf file;
  bool opened, decodes;
  vocab *vocab;
  decoder decoder;
  int fd;                                        /* of the file; -1: none */
  struct stat was;
} builtin;

static norn_status failed(const lm *x) { return norn_error(x->st)->code ? norn_error(x->st)->code : NORN_EIO; }

/* ---- options ---- */

enum { CPU, GPU, AUTO };
typedef struct choices { int threads, device; double cache; } choices;      /* cache: negative: not said */

static bool whole(norn_state *st, norn_datum options, const char *name, double least, double most, double *out)
{
  norn_datum x = norn_is_none(options) ? options : norn_record_get(st, options, name);
  if (norn_is_none(x)) return true;
  double v;
  if (norn_as_real(x, &v) && v >= least && v <= most) {
    *out = v;
    return true;
  }
  norn_fail(st, NORN_EDOMAIN, 1, "the option %s of builtin: has to be a number from %.0f to %.0f", name, least, most);
  return false;
}

static bool device_of(norn_state *st, norn_datum options, int *out)
{
  static const char *const names[] = { "cpu", "gpu", "auto" };
  norn_datum x = norn_is_none(options) ? options : norn_record_get(st, options, "device");
  char got[100], wrong[60];
  if (norn_is_none(x)) return true;
  const char *s = norn_string_view(x, NULL);
  for (int i = 0; s && i < NORN_COUNT(names); i++)
    if (strcmp(s, names[i]) == 0) {
      *out = i;
      return true;
    }
  if (s) snprintf(wrong, sizeof wrong, "\"%.40s\"", s);
  norn_fail(st, s ? NORN_EDOMAIN : NORN_ETYPE, 1,
            "the option device of builtin: must be \"cpu\", \"gpu\" or \"auto\", got %s",
            s ? wrong : norn_describe(st, x, got, sizeof got));
  return false;
}

static bool choices_of(norn_state *st, norn_datum options, choices *c)
{
  double threads = 0, cache = -1;
  int device = CPU;
  if (!whole(st, options, "threads", 1, 1024, &threads) || !whole(st, options, "cache", 0, 1e15, &cache) ||
      !device_of(st, options, &device))
    return false;
  *c = (choices){ (int)threads, device, cache };
  return true;
}

/* cache: by default a quarter of the memory that the state may use, or 1 GiB. */
static size_t cache_here(norn_state *st, const choices *c)
{
  size_t most = norn_config_of(st)->max_memory;
  return c->cache >= 0 ? (size_t)c->cache : most ? most / 4 : (size_t)1 << 30;
}

/* ---- opening ---- */

static void watch(builtin *b, const char *path)
{
  b->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (b->fd >= 0 && fstat(b->fd, &b->was) == 0) return;
  if (b->fd >= 0) close(b->fd);
  b->fd = -1;
}

static bool unchanged(const builtin *b)
{
  struct stat now;
  if (b->fd < 0 || fstat(b->fd, &now)) return true;
  if (now.st_size == b->was.st_size && now.st_mtim.tv_sec == b->was.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == b->was.st_mtim.tv_nsec)
    return true;
  norn_fail(b->lm.st, NORN_EIO, 0, "the file of %s has been changed since it was opened", b->lm.name);
  norn_hint(b->lm.st, "a new version of a model goes to a new file, which then takes its name");
  return false;
}

static bool open_file(builtin *b, const char *rest)
{
  b->fd = -1;
  if (strcmp(rest, "tiny") == 0) {
    b->opened = gguf_view(b->lm.st, "builtin:tiny", lm_tiny_bytes, lm_tiny_size, &b->file);
    return b->opened;
  }
  b->opened = gguf_open(b->lm.st, rest, &b->file);
  if (b->opened) watch(b, rest);
  return b->opened;
}

static void describe(builtin *b, const char *rest)
{
  const decoder *d = &b->decoder;
  const char *slash = strrchr(rest, '/'), *s = slash ? slash + 1 : rest;
  size_t n = strlen(s);
  if (n > 5 && strcmp(s + n - 5, ".gguf") == 0) n -= 5;
  double p = d->parameters;
  const char *unit = p >= 1e9 ? "B" : p >= 1e6 ? "M" : "k";
  snprintf(b->lm.name, sizeof b->lm.name, "%.*s (%s, %.3g%s parameters, %s)", (int)(n < 60 ? n : 60), s, d->arch,
           p / (p >= 1e9 ? 1e9 : p >= 1e6 ? 1e6 : 1e3), unit, quant_of[d->layer->down.w.type].name);
}

static norn_status refused(const lm *x, const char *why)
{
  norn_fail(x->st, NORN_EINFER, 1, "device = \"gpu\" of %s can't be had: %s", x->uri, why);
  norn_hint(x->st, "device = \"auto\" takes the CPU where there is no other way");
  return NORN_EINFER;
}

/* Where it computes.  "gpu" is an order; "auto" takes the GPU if there is one, if it is predicted to be faster, and as
   long as it works. */
static norn_status place(builtin *b, const choices *c)
{
  lm *x = &b->lm;
  decoder *d = &b->decoder;
  char why[300];
  const char *none = NULL;
  x->device = "cpu";
  if (c->device == CPU) return NORN_OK;
  gpu *g = gpu_there(x->st, &none);
  if (!g && c->device == GPU) return refused(x, none);
  if (!g) snprintf(d->why, sizeof d->why, "%s", none);
  else if (c->device == AUTO && !decoder_pays_there(d))
    snprintf(d->why, sizeof d->why, "a model as small as this is predicted to be faster here");
  if (d->why[0]) return NORN_OK;
  if (decoder_there(d, g, c->cache, c->device == AUTO)) {
    x->device = "gpu";
    return NORN_OK;
  }
  snprintf(why, sizeof why, "%.290s", norn_error(x->st)->text);
  if (c->device == GPU) return refused(x, why);
  norn_clear(x->st);
  snprintf(d->why, sizeof d->why, "%s", why);
  return NORN_OK;
}

static norn_status builtin_open(lm *x, const char *rest, norn_datum options)
{
  builtin *b = (builtin *)x;
  choices c;
  if (!choices_of(x->st, options, &c) || !open_file(b, rest)) return failed(x);
  b->decodes = decoder_open(&b->decoder, x->st, x->m, &b->file, cache_here(x->st, &c), c.threads);
  if (!b->decodes) return failed(x);
  b->vocab = vocab_new(x->st, &b->file);
  if (!b->vocab) return failed(x);
  x->vocab = *vocab_tokens(b->vocab);
  if (x->vocab.n != b->decoder.vocab)
    return norn_fail(x->st, NORN_EIO, 0, "%s: the vocabulary has %d tokens, and token_embd.weight %d", b->file.name,
                     x->vocab.n, b->decoder.vocab);
  x->can = LM_TOKENS;
  x->window = b->decoder.window;
  x->add_begin = vocab_add_begin(b->vocab);
  describe(b, rest);
  x->device_why = b->decoder.why;
  return place(b, &c);
}

static void builtin_close(lm *x)
{
  builtin *b = (builtin *)x;
  if (b->decodes) decoder_close(&b->decoder);
  vocab_free(b->vocab);
  if (b->opened) gguf_close(&b->file);
  if (b->opened && b->fd >= 0) close(b->fd);
}

/* ---- use ---- */

static norn_status builtin_encode(lm *x, const char *s, size_t n, lm_tokens *out)
{
  return vocab_encode(((builtin *)x)->vocab, s, n, 0, out);
}

/* llama models were taught texts with a space in front. */
static norn_status builtin_encode_start(lm *x, const char *s, size_t n, lm_tokens *out)
{
  return vocab_encode(((builtin *)x)->vocab, s, n, VOCAB_SPACE, out);
}

static norn_status builtin_eval(lm *x, lm_node *const *node, int n)
{
  builtin *b = (builtin *)x;
  norn_status s = unchanged(b) ? decoder_eval(&b->decoder, x, node, n) : failed(x);
  x->device = b->decoder.there ? "gpu" : "cpu";
  return s;
}

static void builtin_forget(lm *x, lm_node *n) { decoder_forget(&((builtin *)x)->decoder, n); }

static norn_status builtin_chat(lm *x, norn_datum messages, text *out, lm_node **node)
{
  builtin *b = (builtin *)x;
  const char *template = NULL;
  size_t n = 0;
  lm_tokens t = { NULL, 0, 0 };
  (void)out;
  if (!gguf_string(&b->file, "tokenizer.chat_template", false, &template, &n)) return failed(x);
  norn_status s = chat_tokens(x->st, b->vocab, template, n, messages, &t);
  lm_node *at = x->root;
  if (!s) lm_hold(at);
  for (int i = 0; !s && i < t.n; i++) {
    lm_node *next = lm_extend(at, t.v[i]);
    lm_drop(at);
    at = next;
    if (!at) s = failed(x);
  }
  lm_tokens_free(x->st, &t);
  if (!s) *node = at;
  return s;
}

static const char *const options_of[] = { "threads", "cache", "device", NULL };
const lm_row lm_builtin = {
  .scheme = "builtin",
  .doc = "builtin:FILE.gguf is a language model in a GGUF file, evaluated on this machine's processors or on an NVIDIA "
         "GPU: the architectures llama, qwen2 and gpt2, numbers as F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K or Q6_K.  "
         "builtin:tiny is a small one that is always there.  Options: threads; cache, the bytes of keys and values "
         "that are kept between evaluations; device, \"cpu\" (if nothing is said), \"gpu\" or \"auto\".",
  .options = options_of,
  .size = sizeof(builtin),
  .open = builtin_open,
  .close = builtin_close,
  .encode = builtin_encode,
  .encode_start = builtin_encode_start,
  .eval = builtin_eval,
  .forget = builtin_forget,
  .chat = builtin_chat,
};
