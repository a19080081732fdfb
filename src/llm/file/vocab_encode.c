/* vocab_encode.c: text as tokens (vocab.h).  Special tokens are taken out by their names, the rest
   is merged: of all pairs of neighbours that make a symbol the best first, the left one of equals,
   until there is none.  "gpt2" does this in each piece of its pre-tokenizer, from bytes, best by
   the number of the merge; "llama" in all of the text, from characters, best by the score of what
   comes out (Sennrich, Haddow, Birch 2016; Kudo, Richardson 2018; order and ties as in
   llama.cpp). */
#include "llm/file/vocab.h"
#include "llm/file/vocab_in.h"
#include <string.h>

/* A stretch of text; next and prev by number, -1: none; n 0: it went into the one before. */
typedef struct part { uint32_t from, n; uint32_t symbol; int prev, next; } part;
/* A pair that can be merged: n bytes into `result`. */
typedef struct pair { double order; int left, right; uint32_t n, result; } pair;

typedef struct encoder {
  const vocab *v;
  mem *m;
  lm_tokens *out;
  const uint8_t *s;
  size_t base;                        /* where s stands in the caller's text, for errors */
  part *part; size_t cpart;
  pair *heap; size_t nheap, cheap;
} encoder;

static bool no_memory(const encoder *e) { return !norn_fail(e->v->st, NORN_EMEMORY, -1, "not enough memory"); }
static bool put(encoder *e, uint32_t token)
{
  return lm_tokens_add(e->v->st, e->out, (lm_token)token);
}

/* ---- the heap ---- */

static bool before(const pair *a, const pair *b)
{
  return a->order != b->order ? a->order < b->order : a->left < b->left;
}
static bool push(encoder *e, pair p)
{
  if (!mem_grow(e->m, &e->heap, &e->cheap, e->nheap + 1, sizeof *e->heap)) return no_memory(e);
  size_t k = e->nheap++;
  for (size_t up; k > 0 && before(&p, &e->heap[up = (k - 1) / 2]); k = up) e->heap[k] = e->heap[up];
  e->heap[k] = p;
  return true;
}
static pair pop(encoder *e)
{
  pair top = e->heap[0], last = e->heap[--e->nheap];
  size_t k = 0;
  for (size_t down; (down = 2 * k + 1) < e->nheap; k = down) {
    if (down + 1 < e->nheap && before(&e->heap[down + 1], &e->heap[down])) down++;
    if (!before(&e->heap[down], &last)) break;
    e->heap[k] = e->heap[down];
  }
  e->heap[k] = last;
  return top;
}

/* ---- merging ---- */

static bool mergeable(const encoder *e, const part *l, const part *r, pair *p)
{
  const vocab *v = e->v;
  if (v->spm) {
    p->result = vocab_symbol(v, e->s + l->from, l->n + r->n);
    if (p->result == VOCAB_NONE) return false;
    p->order = -(double)v->score[p->result];
    return true;
  }
  size_t k = (size_t)vocab_merge_hash(l->symbol, r->symbol) & (v->nmerge - 1);
  for (; v->merge[k].rank != VOCAB_NONE; k = (k + 1) & (v->nmerge - 1))
    if (v->merge[k].left == l->symbol && v->merge[k].right == r->symbol) {
      p->result = v->merge[k].result;
      p->order = v->merge[k].rank;
      return true;
    }
  return false;
}
static bool consider(encoder *e, int left, int right)
{
  pair p = { .left = left, .right = right };
  if (left < 0 || right < 0 || !mergeable(e, &e->part[left], &e->part[right], &p)) return true;
  p.n = e->part[left].n + e->part[right].n;
  return push(e, p);
}

/* Characters ("llama") or bytes ("gpt2") of a piece; how many, or -1. */
static int parts_of(encoder *e, size_t from, size_t to)
{
  int k = 0;
  uint32_t code;
  for (size_t i = from, n; i < to; i += n, k++) {
    int wide = e->v->spm ? utf8_next((const char *)e->s + i, to - i, &code) : 1;
    n = wide > 0 ? (size_t)wide : 1;
    if (!mem_grow(e->m, &e->part, &e->cpart, (size_t)k + 1, sizeof *e->part)) return no_memory(e) - 1;
    uint32_t symbol = e->v->spm ? vocab_symbol(e->v, e->s + i, n) : e->v->byte[e->s[i]];
    e->part[k] = (part){ (uint32_t)i, (uint32_t)n, symbol, k - 1, i + n < to ? k + 1 : -1 };
  }
  return k;
}

static bool merge_all(encoder *e, int n)
{
  e->nheap = 0;
  for (int k = 1; k < n; k++)
    if (!consider(e, k - 1, k)) return false;
  while (e->nheap) {
    pair p = pop(e);
    part *l = &e->part[p.left], *r = &e->part[p.right];
    if (!l->n || !r->n || l->n + r->n != p.n) continue;       /* one of them has merged since */
    l->n = p.n;
    l->symbol = p.result;
    l->next = r->next;
    r->n = 0;
    if (r->next >= 0) e->part[r->next].prev = p.left;
    if (!consider(e, l->prev, p.left) || !consider(e, p.left, l->next)) return false;
  }
  return true;
}

/* What is no token by its bytes. */
static bool put_bytes(encoder *e, const part *p)
{
  for (uint32_t i = p->from; i < p->from + p->n; i++) {
    uint32_t t = e->v->byte[e->s[i]];
    if (t >= (uint32_t)e->v->v.n) {
      norn_fail(e->v->st, NORN_EDOMAIN, 0,
                "the model's vocabulary has no token for byte 0x%02x, at byte %zu of the text",
                e->s[i], e->base + i);
      norn_hint(e->v->st, "the model can neither say nor read it");
      return false;
    }
    if (!put(e, t)) return false;
  }
  return true;
}

static bool encode_piece(void *user, size_t from, size_t to)
{
  encoder *e = user;
  const vocab *v = e->v;
  if (!v->spm && pretok_whole_first(v->pre)) {
    uint32_t whole = vocab_symbol(v, e->s + from, to - from);
    if (whole < (uint32_t)v->v.n) return put(e, whole);
  }
  int n = parts_of(e, from, to);
  if (n < 0 || !merge_all(e, n)) return false;
  for (int k = n ? 0 : -1; k >= 0; k = e->part[k].next) {
    const part *p = &e->part[k];
    if (!(p->symbol < (uint32_t)v->v.n ? put(e, p->symbol) : put_bytes(e, p))) return false;
  }
  return true;
}

/* Text without special tokens; `space`: one in front. */
static bool encode_text(encoder *e, const uint8_t *s, size_t n, bool space)
{
  uint8_t *room = NULL;
  if (n == 0) return true;
  e->s = s;
  if (space) {
    room = mem_get(e->m, n + 1);
    if (!room) return no_memory(e);
    room[0] = ' ';
    memcpy(room + 1, s, n);
    e->s = room;
  }
  bool fine = e->v->spm ? encode_piece(e, 0, n + space) : pretok_split(e->v->pre, s, n, encode_piece, e);
  mem_put(e->m, room, n + 1);
  return fine;
}

/* ---- special tokens ---- */

typedef struct wanted { unsigned flags; const vocab_span *span; int nspan; } wanted;

static bool plain(const wanted *w, size_t from, size_t to)
{
  for (int k = 0; k < w->nspan; k++)
    if (from < w->span[k].to && to > w->span[k].from) return true;
  return false;
}
/* The longest special token that stands at byte i; VOCAB_NONE. */
static uint32_t special_at(const vocab *v, const wanted *w, const uint8_t *s, size_t n, size_t i)
{
  for (int k = v->first[s[i]]; k < v->first[s[i] + 1]; k++) {
    uint32_t t = v->special[k];
    size_t len = v->at[t + 1] - v->at[t];
    if (len > n - i || memcmp(v->bytes + v->at[t], s + i, len)) continue;
    if (v->kind[t] == LM_TEXT || ((w->flags & VOCAB_SPECIAL) && !plain(w, i, i + len))) return t;
  }
  return VOCAB_NONE;
}

static bool encode_all(encoder *e, const uint8_t *s, size_t n, const wanted *w)
{
  const vocab *v = e->v;
  bool prefix = v->space_prefix && (w->flags & VOCAB_SPACE), space = prefix;
  size_t from = 0;
  for (size_t i = 0; i < n;) {
    uint32_t t = v->first[s[i]] < v->first[s[i] + 1] ? special_at(v, w, s, n, i) : VOCAB_NONE;
    if (t == VOCAB_NONE) {
      i++;
      continue;
    }
    e->base = from - (i > from && space);
    if (!encode_text(e, s + from, i - from, space) || !put(e, t)) return false;
    i += v->at[t + 1] - v->at[t];
    from = i;
    space = prefix;
  }
  e->base = from - (n > from && space);
  return encode_text(e, s + from, n - from, space);
}

norn_status vocab_encode_spans(const vocab *v, const char *s, size_t n, unsigned flags,
                               const vocab_span *span, int nspan, lm_tokens *out)
{
  mem m = v->m;                       /* the vocab's is not changed */
  wanted w = { flags, span, nspan };
  encoder e = { .v = v, .m = &m, .out = out };
  int had = out->n;
  if (n > 1u << 30) return norn_fail(v->st, NORN_ELIMIT, 0, "a text of %zu bytes is too long to be made tokens of", n);
  bool fine = encode_all(&e, (const uint8_t *)s, n, &w);
  if (!fine) out->n = had;
  mem_put(&m, e.part, e.cpart * sizeof *e.part);
  mem_put(&m, e.heap, e.cheap * sizeof *e.heap);
  return fine ? NORN_OK : norn_error(v->st)->code;
}
norn_status vocab_encode(const vocab *v, const char *s, size_t n, unsigned flags, lm_tokens *out)
{
  return vocab_encode_spans(v, s, n, flags, NULL, 0, out);
}
