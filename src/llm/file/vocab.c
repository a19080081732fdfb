/* vocab.c: a vocabulary from the metadata of a GGUF file (vocab.h).  Tokens become bytes once and
   for all: "gpt2" writes each byte as a character of its own (Radford et al. 2019, encoder.py:
   printable ones as themselves, the others from U+0100 on), "llama" a space as U+2581 and lone
   bytes as <0x0A>.  Which tokens end a text is known by number and, where files forget to say so,
   by name, as in llama.cpp (llama-vocab.cpp). */
#include "llm/file/vocab.h"
#include "llm/file/vocab_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 24 };                    /* tokens */

static void *alloc_hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }
static bool no_memory(norn_state *st) { return !norn_fail(st, NORN_EMEMORY, -1, "not enough memory"); }

static bool wrong(const gguf *f, const char *format, ...) NORN_PRINTF(2, 3);
static bool wrong(const gguf *f, const char *format, ...)
{
  char why[200];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  for (char *s = why; *s; s++)
    if ((unsigned char)*s < 32) *s = '?';
  norn_fail(f->st, NORN_EIO, 0, "the vocabulary of %s can't be used: %s", f->name, why);
  norn_hint(f->st, "a server of the model knows its vocabulary: llm(\"http://...#model\")");
  return false;
}

/* ---- symbols ---- */

static size_t find_slot(const vocab *v, const uint8_t *s, size_t n)
{
  size_t k = (size_t)hash_bytes(s, n, 0) & (v->nslot - 1);
  for (; v->slot[k] != VOCAB_NONE; k = (k + 1) & (v->nslot - 1)) {
    uint32_t i = v->slot[k], from = v->at[i];
    if (v->at[i + 1] - from == n && memcmp(v->bytes + from, s, n) == 0) break;
  }
  return k;
}
uint32_t vocab_symbol(const vocab *v, const uint8_t *s, size_t n) { return v->slot[find_slot(v, s, n)]; }

/* Bytes behind the last symbol become the next one. */
static bool add_symbol(vocab *v, const uint8_t *s, size_t n)
{
  size_t end = v->at[v->nat - 1];
  if (n > UINT32_MAX / 2 - end) return !norn_fail(v->st, NORN_ELIMIT, 0, "a vocabulary of more than 2 GB is not read");
  if (!mem_grow(&v->m, &v->bytes, &v->cbytes, end + n + 1, 1) ||
      !mem_grow(&v->m, &v->at, &v->cat, v->nat + 1, sizeof *v->at))
    return no_memory(v->st);
  if (n) memcpy(v->bytes + end, s, n);
  v->at[v->nat++] = (uint32_t)(end + n);
  return true;
}
/* The symbol of these bytes, made if need be; VOCAB_NONE: error set.  There are slots enough for all. */
static uint32_t intern(vocab *v, const uint8_t *s, size_t n)
{
  size_t k = find_slot(v, s, n);
  if (v->slot[k] == VOCAB_NONE) {
    if (!add_symbol(v, s, n)) return VOCAB_NONE;
    v->slot[k] = (uint32_t)v->nat - 2;
  }
  return v->slot[k];
}

static size_t power_above(size_t n)
{
  size_t p = 64;
  while (p < n) p *= 2;
  return p;
}
static bool make_slots(vocab *v, size_t symbols)
{
  v->nslot = power_above(2 * symbols);
  v->slot = mem_get(&v->m, v->nslot * sizeof *v->slot);
  if (!v->slot) return no_memory(v->st);
  memset(v->slot, 0xff, v->nslot * sizeof *v->slot);
  return true;
}

/* ---- how tokens are written ---- */

/* The byte that a character stands for in "gpt2"; -1: none. */
static int byte_of(uint32_t code)
{
  if ((code >= 33 && code <= 126) || (code >= 161 && code <= 172) || (code >= 174 && code <= 255)) return (int)code;
  if (code < 256 || code > 256 + 67) return -1;
  int k = (int)code - 256;                     /* the k-th byte that is not itself: 0 to 32, 127 to 160, 173 */
  return k < 33 ? k : k < 67 ? k + 94 : 173;
}
static uint32_t code_of(int byte)
{
  if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174) return (uint32_t)byte;
  return (uint32_t)(256 + (byte < 33 ? byte : byte < 161 ? byte - 94 : 67));
}

/* Written as bytes into `out` (no longer than s); characters that stand for none stay, and there are some: *raw. */
static size_t from_gpt2(const char *s, size_t n, uint8_t *out, bool *raw)
{
  size_t to = 0;
  for (size_t i = 0, k; i < n; i += k) {
    uint32_t code;
    int wide = utf8_next(s + i, n - i, &code), byte = wide > 0 ? byte_of(code) : -1;
    k = wide > 0 ? (size_t)wide : 1;
    if (byte >= 0) {
      out[to++] = (uint8_t)byte;
    } else {
      memcpy(out + to, s + i, k);
      to += k;
      *raw = true;
    }
  }
  return to;
}
static size_t from_llama(const char *s, size_t n, uint8_t *out)
{
  size_t to = 0;
  for (size_t i = 0; i < n;) {
    bool blank = n - i >= 3 && memcmp(s + i, "\xe2\x96\x81", 3) == 0;
    out[to++] = blank ? ' ' : (uint8_t)s[i];
    i += blank ? 3 : 1;
  }
  return to;
}
static int hex(char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10
         : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* "<0x0A>"; -1: another. */
static int byte_named(const char *s, size_t n)
{
  if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>' || hex(s[3]) < 0 || hex(s[4]) < 0) return -1;
  return 16 * hex(s[3]) + hex(s[4]);
}

/* ---- what a token is ---- */

/* Names that end a text or a turn, wherever they are no plain text. */
static bool ends(const char *s, size_t n)
{
  static const char *const names[] = {
    "</s>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
    "<|end_of_text|>", "<eos>", "<EOT>", "_<EOT>", "<|EOT|>", "<|end_of_turn|>",
    "<|END_OF_TURN_TOKEN|>", "<end_of_utterance>",
    "<\xef\xbd\x9c\x65nd\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"
  };
  for (int k = 0; k < NORN_COUNT(names); k++)
    if (strlen(names[k]) == n && memcmp(names[k], s, n) == 0) return true;
  return false;
}
static uint8_t kind_of(int type, const char *s, size_t n)
{
  if ((type == VOCAB_CONTROL || type == VOCAB_USER) && ends(s, n)) return LM_END;
  return type == VOCAB_CONTROL || type == VOCAB_UNKNOWN ? LM_CONTROL
         : type == VOCAB_UNUSED || n == 0 ? LM_UNUSED : LM_TEXT;
}

static bool put_token(vocab *v, const gguf *f, uint32_t i, const char *s, size_t n, uint8_t *room)
{
  int type = v->type[i];
  v->kind[i] = kind_of(type, s, n);
  if (type == VOCAB_BYTE && v->spm) {
    int byte = byte_named(s, n);
    if (byte < 0) return wrong(f, "token %u is a byte, but is not called as <0x0A> is", i);
    room[0] = (uint8_t)byte;
    v->byte[byte] = i;
    return add_symbol(v, room, 1);
  }
  if (type != VOCAB_NORMAL && type != VOCAB_BYTE) return add_symbol(v, (const uint8_t *)s, n);
  bool raw = false;
  n = v->spm ? from_llama(s, n, room) : from_gpt2(s, n, room, &raw);
  v->type[i] = raw ? VOCAB_BYTE : VOCAB_NORMAL;            /* a raw one is said, but no text is made of it */
  return add_symbol(v, room, n);
}

/* Types and scores of n tokens; what the file leaves out is normal, and 0. */
static bool read_types(vocab *v, const gguf *f, uint64_t n)
{
  const gguf_pair *type, *score;
  if (!gguf_array(f, "tokenizer.ggml.scores", GGUF_F32, v->spm, &score) ||
      !gguf_array(f, "tokenizer.ggml.token_type", GGUF_I32, v->spm, &type))
    return false;
  if ((type && type->n != n) || (score && score->n != n))
    return wrong(f, "%s has %llu elements for %llu tokens", type && type->n != n ? type->key : score->key,
                 (unsigned long long)(type && type->n != n ? type->n : score->n), (unsigned long long)n);
  v->kind = mem_zero(&v->m, (size_t)n + 1);
  v->type = mem_zero(&v->m, (size_t)n + 1);
  v->score = mem_zero(&v->m, ((size_t)n + 1) * sizeof *v->score);
  if (!v->kind || !v->type || !v->score) return no_memory(v->st);
  for (uint64_t i = 0; i < n; i++) {
    int64_t t = type ? gguf_integer(type, i) : VOCAB_NORMAL;
    if (t < VOCAB_NORMAL || t > VOCAB_BYTE)
      return wrong(f, "token %llu is of type %lld; 1 to 6 is expected", (unsigned long long)i, (long long)t);
    v->type[i] = (uint8_t)t;
    v->score[i] = score ? (float)gguf_real(score, i) : 0;
    if (v->score[i] != v->score[i]) return wrong(f, "the score of token %llu is no number", (unsigned long long)i);
  }
  return true;
}

static bool read_tokens(vocab *v, const gguf *f)
{
  const gguf_pair *p;
  size_t n, longest = 8;
  if (!gguf_array(f, "tokenizer.ggml.tokens", GGUF_STRING, true, &p)) return false;
  if (p->n == 0 || p->n > MOST) return wrong(f, "it has %llu tokens", (unsigned long long)p->n);
  v->v.n = (int)p->n;
  if (!read_types(v, f, p->n)) return false;
  const uint8_t *at = p->at;
  for (uint64_t i = 0; i < p->n; i++) {
    gguf_next_string(&at, &n);
    if (n > longest) longest = n;
  }
  uint8_t *room = mem_get(&v->m, longest);
  if (!room || !mem_grow(&v->m, &v->at, &v->cat, (size_t)p->n + 2, sizeof *v->at)) {
    mem_put(&v->m, room, longest);
    return no_memory(v->st);
  }
  v->at[v->nat++] = 0;
  at = p->at;
  bool fine = true;
  for (uint32_t i = 0; fine && i < p->n; i++) {
    const char *s = gguf_next_string(&at, &n);
    fine = put_token(v, f, i, s, n, room);
  }
  mem_put(&v->m, room, longest);
  return fine;
}

/* Text by its bytes: the first of equals.  Lone bytes of "llama" are found by v->byte only; nor are
   tokens of "gpt2" found that are not written byte by byte, as the models' own tokenizers never
   make them. */
static bool find_texts(vocab *v, size_t parts)
{
  if (!make_slots(v, (size_t)v->v.n + parts)) return false;
  for (uint32_t i = 0; i < (uint32_t)v->v.n; i++) {
    if (v->kind[i] != LM_TEXT || v->type[i] == VOCAB_BYTE) continue;
    size_t k = find_slot(v, v->bytes + v->at[i], v->at[i + 1] - v->at[i]);
    if (v->slot[k] == VOCAB_NONE) v->slot[k] = i;
  }
  return true;
}

/* ---- merges ---- */

static bool put_merge(vocab *v, const gguf *f, uint32_t rank, const char *s, size_t n, uint8_t *room)
{
  const char *blank = n > 1 ? memchr(s + 1, ' ', n - 1) : NULL;
  if (!blank || blank == s + n - 1) return wrong(f, "merge %u is not two parts", rank);
  bool raw = false;
  size_t a = from_gpt2(s, (size_t)(blank - s), room, &raw);
  size_t b = from_gpt2(blank + 1, (size_t)(s + n - blank - 1), room + a, &raw);
  uint32_t left = intern(v, room, a), right = left == VOCAB_NONE ? left : intern(v, room + a, b);
  uint32_t result = right == VOCAB_NONE ? right : intern(v, room, a + b);
  if (result == VOCAB_NONE) return false;
  size_t k = (size_t)vocab_merge_hash(left, right) & (v->nmerge - 1);
  for (; v->merge[k].rank != VOCAB_NONE; k = (k + 1) & (v->nmerge - 1))
    if (v->merge[k].left == left && v->merge[k].right == right) return true;
  v->merge[k] = (vocab_merge){ left, right, rank, result };
  return true;
}

static bool read_merges(vocab *v, const gguf *f)
{
  const gguf_pair *p;
  size_t n, longest = 8;
  if (!gguf_array(f, "tokenizer.ggml.merges", GGUF_STRING, true, &p)) return false;
  if (p->n > MOST) return wrong(f, "it has %llu merges", (unsigned long long)p->n);
  v->nmerge = power_above(2 * (size_t)p->n);
  v->merge = mem_get(&v->m, v->nmerge * sizeof *v->merge);
  if (!v->merge) return no_memory(v->st);
  memset(v->merge, 0xff, v->nmerge * sizeof *v->merge);
  if (!find_texts(v, 3 * (size_t)p->n + 256)) return false;
  for (int b = 0; b < 256; b++) {
    v->byte[b] = intern(v, &(uint8_t){ (uint8_t)b }, 1);
    if (v->byte[b] == VOCAB_NONE) return false;
  }
  const uint8_t *at = p->at;
  for (uint64_t i = 0; i < p->n; i++) {
    gguf_next_string(&at, &n);
    if (n > longest) longest = n;
  }
  uint8_t *room = mem_get(&v->m, longest);
  if (!room) return no_memory(v->st);
  at = p->at;
  bool fine = true;
  for (uint32_t i = 0; fine && i < p->n; i++) {
    const char *s = gguf_next_string(&at, &n);
    fine = put_merge(v, f, i, s, n, room);
  }
  mem_put(&v->m, room, longest);
  return fine;
}

/* ---- special tokens ---- */

static bool token_named(vocab *v, const gguf *f, const char *key, lm_token otherwise, lm_token *out)
{
  uint32_t t = VOCAB_NONE;
  *out = otherwise < v->v.n ? otherwise : -1;
  if (!gguf_u32(f, key, false, &t)) return false;
  if (!gguf_find(f, key) || t == VOCAB_NONE) return true;
  if (t >= (uint32_t)v->v.n) return wrong(f, "%s is %u, and there are %d tokens", key, t, v->v.n);
  *out = (lm_token)t;
  return true;
}
static bool read_special(vocab *v, const gguf *f)
{
  lm_token eot, eom;
  v->add_begin = v->spm || pretok_add_begin(v->pre);
  v->space_prefix = v->spm;
  if (!token_named(v, f, "tokenizer.ggml.bos_token_id", v->spm ? 1 : -1, &v->v.begin) ||
      !token_named(v, f, "tokenizer.ggml.eos_token_id", v->spm ? 2 : -1, &v->v.end) ||
      !token_named(v, f, "tokenizer.ggml.eot_token_id", -1, &eot) ||
      !token_named(v, f, "tokenizer.ggml.eom_token_id", -1, &eom) ||
      !gguf_bool(f, "tokenizer.ggml.add_bos_token", false, &v->add_begin) ||
      !gguf_bool(f, "tokenizer.ggml.add_space_prefix", false, &v->space_prefix))
    return false;
  if (v->v.begin < 0) v->add_begin = false;
  if (!v->spm) v->space_prefix = false;
  if (v->v.begin >= 0 && v->kind[v->v.begin] == LM_TEXT) v->kind[v->v.begin] = LM_CONTROL;
  lm_token all[] = { v->v.end, eot, eom };
  for (int k = 0; k < 3; k++)
    if (all[k] >= 0) v->kind[all[k]] = LM_END;
  return true;
}

typedef struct by_name { const uint8_t *s; uint32_t n, token; } by_name;
static int longest_first(const void *a, const void *b)
{
  const by_name *x = a, *y = b;
  if (*x->s != *y->s) return *x->s < *y->s ? -1 : 1;
  return x->n != y->n ? (x->n < y->n ? 1 : -1) : (x->token > y->token) - (x->token < y->token);
}
static bool is_special(const vocab *v, uint32_t i)
{
  return v->at[i + 1] > v->at[i] && (v->kind[i] == LM_CONTROL || v->kind[i] == LM_END || v->type[i] == VOCAB_USER);
}
static bool list_special(vocab *v)
{
  for (uint32_t i = 0; i < (uint32_t)v->v.n; i++) v->nspecial += is_special(v, i);
  size_t n = (size_t)v->nspecial + 1;
  by_name *all = mem_get(&v->m, n * sizeof *all);
  v->special = mem_get(&v->m, n * sizeof *v->special);
  if (!all || !v->special) {
    mem_put(&v->m, all, n * sizeof *all);
    return no_memory(v->st);
  }
  int k = 0;
  for (uint32_t i = 0; i < (uint32_t)v->v.n; i++)
    if (is_special(v, i)) all[k++] = (by_name){ v->bytes + v->at[i], v->at[i + 1] - v->at[i], i };
  qsort(all, (size_t)k, sizeof *all, longest_first);
  for (int i = 0, b = 0; b <= 256; b++) {
    while (i < k && *all[i].s < b) i++;
    v->first[b] = i;
  }
  for (int i = 0; i < k; i++) v->special[i] = all[i].token;
  mem_put(&v->m, all, n * sizeof *all);
  return true;
}

/* ---- the whole ---- */

static bool read_model(vocab *v, const gguf *f)
{
  const char *s = "", *pre = "default";
  size_t n = 0, npre = 7;
  if (!gguf_string(f, "tokenizer.ggml.model", true, &s, &n) ||
      !gguf_string(f, "tokenizer.ggml.pre", false, &pre, &npre))
    return false;
  v->spm = n == 5 && memcmp(s, "llama", 5) == 0;
  if (!v->spm && (n != 4 || memcmp(s, "gpt2", 4)))
    return wrong(f, "it is of the kind \"%.*s\"; \"llama\" and \"gpt2\" are read", (int)(n < 40 ? n : 40), s);
  v->pre = v->spm ? NULL : pretok_find(pre, npre);
  if (!v->spm && !v->pre)
    return wrong(f, "it cuts text in the way \"%.*s\" (tokenizer.ggml.pre), which this Norn does not know",
                 (int)(npre < 40 ? npre : 40), pre);
  return true;
}

vocab *vocab_new(norn_state *st, const gguf *f)
{
  vocab *v = norn_alloc(st, NULL, 0, sizeof *v);
  if (!v) {
    no_memory(st);
    return NULL;
  }
  *v = (vocab){ .st = st };
  mem_init(&v->m);
  v->m.alloc = alloc_hook;
  v->m.user = st;
  memset(v->byte, 0xff, sizeof v->byte);
  if (read_model(v, f) && read_tokens(v, f) && read_special(v, f) && (v->spm ? find_texts(v, 0) : read_merges(v, f)) &&
      list_special(v)) {
    v->v.at = v->at;
    v->v.bytes = v->bytes;
    v->v.kind = v->kind;
    return v;
  }
  vocab_free(v);
  return NULL;
}

void vocab_free(vocab *v)
{
  if (!v) return;
  size_t n = (size_t)v->v.n + 1;
  mem_put(&v->m, v->at, v->cat * sizeof *v->at);
  mem_put(&v->m, v->bytes, v->cbytes);
  mem_put(&v->m, v->kind, n);
  mem_put(&v->m, v->type, n);
  mem_put(&v->m, v->score, n * sizeof *v->score);
  mem_put(&v->m, v->slot, v->nslot * sizeof *v->slot);
  mem_put(&v->m, v->merge, v->nmerge * sizeof *v->merge);
  mem_put(&v->m, v->special, ((size_t)v->nspecial + 1) * sizeof *v->special);
  norn_alloc(v->st, v, sizeof *v, 0);
}

const lm_vocab *vocab_tokens(const vocab *v) { return &v->v; }
bool vocab_add_begin(const vocab *v) { return v->add_begin; }

void vocab_put_bytes(gguf_writer *w)
{
  char room[256][4];
  const char *s[257];
  size_t n[257];
  int32_t type[257];
  for (int b = 0; b < 256; b++) {
    n[b] = (size_t)utf8_put(code_of(b), room[b]);
    s[b] = room[b];
    type[b] = VOCAB_NORMAL;
  }
  s[256] = "<|endoftext|>";
  n[256] = strlen(s[256]);
  type[256] = VOCAB_CONTROL;
  gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
  gguf_put_string(w, "tokenizer.ggml.pre", "gpt-2", 5);
  gguf_put_strings(w, "tokenizer.ggml.tokens", s, n, 257);
  gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, type, 257);
  gguf_put_strings(w, "tokenizer.ggml.merges", s, n, 0);
  gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 256);
  gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 256);
  gguf_put_bool(w, "tokenizer.ggml.add_bos_token", true);
}
