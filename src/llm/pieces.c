/* pieces.c: texts cut into windows, as pieces.h has it. */
#include "llm/pieces.h"
#include <string.h>

enum { HELD_OF = 53, PIECE = 16 /* windows */, LEAST = 64 /* bytes of a text */ };

static bool no_memory(pieces *p)
{
  norn_fail(p->st, NORN_EMEMORY, -1, "no memory for the pieces of a text of %zu documents", p->documents);
  return false;
}

static bool add(pieces *p, size_t at, size_t n, bool begins, bool ends)
{
  if (p->n == p->cap) {
    size_t cap = p->cap ? 2 * p->cap : 1024;
    piece *v = norn_alloc(p->st, p->v, p->cap * sizeof *v, cap * sizeof *v);
    if (!v) return no_memory(p);
    p->v = v;
    p->cap = cap;
  }
  p->v[p->n++] = (piece){ .at = at, .n = (int32_t)n, .begins = begins, .ends = ends };
  return true;
}

static bool add_document(pieces *p, size_t at, size_t n)
{
  size_t most = (size_t)PIECE * (size_t)p->context;
  p->documents++;
  for (size_t done = 0, now; done < n; done += now) {
    now = n - done <= most + most / 2 ? n - done : most;
    if (!add(p, at + done, now, done == 0, done + now == n)) return false;
  }
  return true;
}

/* A document keeps the end of its last line; of more than one empty line all belong to the division. */
static bool divide(pieces *p, const char *s, size_t n)
{
  size_t at = 0;
  while (at < n) {
    while (at < n && s[at] == '\n') at++;
    size_t end = at;
    while (end < n && !(s[end] == '\n' && end + 1 < n && s[end + 1] == '\n')) end++;
    if (end < n) end++;
    if (end > at && !add_document(p, at, end - at)) return false;
    at = end;
  }
  return true;
}

/* Tokens that have a next one. */
static int asked_of(const piece *v) { return (int)v->n + v->begins + v->ends - 1; }

static size_t windows_of(const pieces *p, const piece *v)
{
  int n = asked_of(v);
  return (size_t)((n + p->context - 1) / p->context);
}

/* Those held out go behind the others, all in the order of the text. */
static bool hold_out(pieces *p)
{
  piece *held = norn_alloc(p->st, NULL, 0, p->cap * sizeof *held);
  size_t n = 0;
  if (!held) return no_memory(p);
  p->learned = 0;
  for (size_t i = 0; i < p->n; i++) {
    bool out = p->n < HELD_OF ? i + 1 == p->n && i > 0 : i % HELD_OF == HELD_OF - 1;
    if (out) held[n++] = p->v[i];
    else p->v[p->learned++] = p->v[i];
  }
  if (n) memcpy(p->v + p->learned, held, n * sizeof *held);
  norn_alloc(p->st, held, p->cap * sizeof *held, 0);
  p->windows = norn_alloc(p->st, NULL, 0, (p->cap + 1) * sizeof *p->windows);
  if (!p->windows) return no_memory(p);
  p->windows[0] = 0;
  for (size_t i = 0; i < p->learned; i++) p->windows[i + 1] = p->windows[i] + windows_of(p, p->v + i);
  return true;
}

bool pieces_make(pieces *p, norn_state *st, const char *s, size_t n, bool documents, int context)
{
  *p = (pieces){ .st = st, .text = s, .context = context };
  if (n < LEAST) {
    norn_fail(st, NORN_EDOMAIN, -1, "the text has %zu bytes: nothing can be learned from it", n);
    norn_hint(st, "a text of at least %d bytes; thousands of lines are usual", LEAST);
    return false;
  }
  bool fine = documents ? divide(p, s, n) : add_document(p, 0, n);
  if (fine && p->n == 0) {
    norn_fail(st, NORN_EDOMAIN, -1, "the text has empty lines only");
    return false;
  }
  return fine && hold_out(p);
}

void pieces_free(pieces *p)
{
  if (!p->st) return;
  if (p->windows) norn_alloc(p->st, p->windows, (p->cap + 1) * sizeof *p->windows, 0);
  if (p->v) norn_alloc(p->st, p->v, p->cap * sizeof *p->v, 0);
  *p = (pieces){ 0 };
}

/* The k-th token of a piece with its edges. */
static int32_t token_of(const pieces *p, const piece *v, int k)
{
  if (v->begins && k-- == 0) return PIECES_EDGE;
  return k < v->n ? (int32_t)(unsigned char)p->text[v->at + (size_t)k] : PIECES_EDGE;
}

static int window(const pieces *p, const piece *v, int from, int32_t *token, int32_t *target)
{
  int n = asked_of(v) - from;
  if (n > p->context) n = p->context;
  for (int k = 0; k < n; k++) {
    token[k] = token_of(p, v, from + k);
    target[k] = token_of(p, v, from + k + 1);
  }
  return n;
}

/* A window of all with equal probability; in a piece of several it begins anywhere. */
int pieces_draw(const pieces *p, uint64_t stream, int64_t step, int number, int32_t *token, int32_t *target)
{
  norn_rng g = { .stream = stream, .lane = (uint32_t)number, .event = (uint32_t)step, .iter = (uint32_t)(step >> 32) };
  uint64_t of = norn_rng_below(&g, p->windows[p->learned]);
  size_t low = 0, high = p->learned;
  while (high - low > 1) {
    size_t mid = low + (high - low) / 2;
    if (p->windows[mid] <= of) low = mid;
    else high = mid;
  }
  const piece *v = p->v + low;
  int room = asked_of(v) - p->context;
  return window(p, v, room > 0 ? (int)norn_rng_below(&g, (uint64_t)room + 1) : 0, token, target);
}

int pieces_held(const pieces *p, size_t i, int32_t *token, int32_t *target)
{
  return window(p, p->v + p->learned + i, 0, token, target);
}
