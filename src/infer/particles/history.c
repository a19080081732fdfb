/* history: choices shared by descendants, and the collection of those that nobody descends from
   (history.h). */
#include "infer/particles/history.h"
#include "infer/checkpoint.h"

enum { KIND_OTHER, KIND_REAL, KIND_INT, KIND_BOOL };
enum { YOUNG = 6 };                     /* records a particle between two collections */

bool history_add(norn_state *st, history *h, uint32_t *tip, uint64_t addr, norn_datum v)
{
  uint32_t kind = v.tag == NORN_REAL ? KIND_REAL : v.tag == NORN_INT ? KIND_INT
                  : v.tag == NORN_BOOL ? KIND_BOOL : KIND_OTHER;
  uint64_t word = kind ? (uint64_t)v.i : h->other.n;
  if (h->n == h->capacity &&
      !engine_room(st, &h->choice, &h->capacity, h->n + 1, sizeof *h->choice)) return false;
  if (h->n >= HISTORY_NONE - 1) {
    norn_fail(st, NORN_EMEMORY, -1, "particles made more choices than can be kept");
    return false;
  }
  h->choice[h->n] = (history_choice){ addr, word, *tip, kind };
  *tip = (uint32_t)h->n++;
  return kind || column_push(st, &h->other, v);
}

static norn_datum value(norn_state *st, const history *h, const history_choice *c)
{
  norn_datum v;
  if (c->kind == KIND_OTHER) return column_at(st, &h->other, c->word);
  v.tag = c->kind == KIND_REAL ? NORN_REAL : c->kind == KIND_INT ? NORN_INT : NORN_BOOL;
  v.i = (int64_t)c->word;
  return v;
}

/* Values that are no scalars, of the records that are left, in a column of their own. */
static bool collect_other(norn_state *st, history *h)
{
  column new = {0};
  bool good = true;
  for (size_t k = 0; k < h->n && good; k++) {
    history_choice *c = &h->choice[k];
    if (c->kind != KIND_OTHER) continue;
    size_t at = new.n;
    good = column_push(st, &new, column_at(st, &h->other, c->word));
    c->word = at;
  }
  column_free(st, &h->other);
  h->other = new;
  h->other_live = new.n;
  return good;
}

/* Records from `from` on that no tip needs go; move[k - from]: 0, or 1 and, once moved, its place. */
static bool collect(norn_state *st, history *h, size_t from, uint32_t *tip, size_t n)
{
  size_t at = from;
  if (!engine_room(st, &h->path, &h->cpath, h->n - from, sizeof *h->path)) return false;
  uint32_t *move = h->path;
  for (size_t k = from; k < h->n; k++) move[k - from] = 0;
  for (size_t i = 0; i < n; i++) if (tip[i] != HISTORY_NONE && tip[i] >= from) move[tip[i] - from] = 1;
  for (size_t k = h->n; k-- > from;) {
    uint32_t parent = h->choice[k].parent;
    if (move[k - from] && parent != HISTORY_NONE && parent >= from) move[parent - from] = 1;
  }
  for (size_t k = from; k < h->n; k++) {
    if (!move[k - from]) continue;
    history_choice c = h->choice[k];
    if (c.parent != HISTORY_NONE && c.parent >= from) c.parent = move[c.parent - from];
    h->choice[at] = c;
    move[k - from] = (uint32_t)at++;
  }
  for (size_t i = 0; i < n; i++) if (tip[i] != HISTORY_NONE && tip[i] >= from) tip[i] = move[tip[i] - from];
  h->n = h->old = at;
  if (from) return true;
  h->live = at;
  return !h->other.n || collect_other(st, h);
}

bool history_tidy(norn_state *st, history *h, uint32_t *tip, size_t n)
{
  size_t young = YOUNG * n + 1024;
  bool full = h->n > h->live + h->live / 2 + 2 * young || h->other.n > 2 * h->other_live + 2 * young;
  if (h->n - h->old < young && !full) return true;
  return collect(st, h, full ? 0 : h->old, tip, n);
}

norn_status history_tell(norn_infer *inf, history *h, uint32_t tip)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = 0;
  for (uint32_t at = tip; at != HISTORY_NONE; at = h->choice[at].parent) {
    if (n == h->cpath && !engine_room(st, &h->path, &h->cpath, n + 1, sizeof *h->path)) return NORN_EMEMORY;
    h->path[n++] = at;
  }
  while (n--) {
    const history_choice *c = &h->choice[h->path[n]];
    if (norn_infer_choice(inf, c->addr, value(st, h, c))) return NORN_EMEMORY;
  }
  return NORN_OK;
}

bool history_archive(norn_archive *a, history *h)
{
  norn_archive_size(a, &h->n);
  norn_archive_size(a, &h->old);
  norn_archive_size(a, &h->live);
  norn_archive_size(a, &h->other_live);
  return column_archive(a, &h->other) &&
         norn_archive_array(a, &h->choice, &h->capacity, h->n, sizeof *h->choice);
}

void history_free(norn_state *st, history *h)
{
  engine_put(st, h->choice, h->capacity * sizeof *h->choice);
  engine_put(st, h->path, h->cpath * sizeof *h->path);
  column_free(st, &h->other);
}
