/* room.c: a thread's memory for one part of a batch: all arrays of model_in.h in one piece, each beginning at
   a cache line.  The layout is computed again for each part, which is cheap; the piece only grows. */
#include "nn/model_in.h"

nn_room *nn_room_new(norn_state *st)
{
  nn_room *r = norn_alloc(st, NULL, 0, sizeof *r);
  if (r) *r = (nn_room){ .st = st };
  else norn_fail(st, NORN_EMEMORY, -1, "no memory for a net's answers");
  return r;
}

void nn_room_free(nn_room *r)
{
  if (!r) return;
  if (r->memory) norn_alloc(r->st, r->memory, r->bytes, 0);
  norn_alloc(r->st, r, sizeof *r, 0);
}

static int32_t *take_ints(nn_lay *y, int64_t n) { return (int32_t *)(void *)nn_take(y, n); }

static int64_t answers(const nn_model *m, const nn_tokens *k)
{
  int64_t n = 0;
  for (int q = 0; q < k->nq; q++) n += nn_head_width(m->head + k->head[q]);
  return n;
}

static void lay_questions(nn_acts *v, nn_lay *y, const nn_model *m, const nn_tokens *k)
{
  int64_t d = m->s.d, ff = m->s.ff, nq = v->nq;
  v->xq = nn_take(y, nq * d);
  v->f = nn_take(y, nq * d);
  v->statf = nn_take(y, 2 * nq);
  v->hu = nn_take(y, nq * ff);
  v->hg = nn_take(y, nq * ff);
  v->z = nn_take(y, v->zn);
  v->aq = nn_take(y, nq * d);
  v->q = nn_take(y, nq * d);
  v->xa = nn_take(y, nq * d);
  v->own = take_ints(y, v->s.n);
  v->place = take_ints(y, nq);
  v->asked = take_ints(y, nq);
  v->own_asked = take_ints(y, nq);
  v->see_asked = (int16_t *)(void *)nn_take(y, nq);
  v->first = take_ints(y, k->b + 1);
}

/* The last block has a row for each question, and there may be more of them than tokens. */
static void lay(nn_acts *v, float *base, const nn_model *m, int64_t n, int64_t keys, const nn_tokens *k,
                bool learn)
{
  int64_t d = m->s.d, nq = k->nq;
  nn_lay y = { .base = base };
  *v = (nn_acts){ .nq = nq, .zn = answers(m, k) };
  nn_stream_lay(&v->s, &y, &m->on, n, n > nq ? n : nq, learn);
  lay_questions(v, &y, m, k);
  if (learn) {
    v->dxq = nn_take(&y, nq * d);
    v->df = nn_take(&y, nq * d);
    v->dq = nn_take(&y, nq * d);
    v->dxa = nn_take(&y, nq * d);
    v->dz = nn_take(&y, v->zn);
  }
  nn_stream_lay_scratch(&v->s, &y, &m->on, keys);
  v->count = y.count;
}

/* Under the state's lock, since it may be a worker that asks. */
static bool grow(nn_room *r, size_t count)
{
  size_t bytes = count * sizeof(float) + 64;
  if (bytes <= r->bytes) return true;
  bytes += bytes / 4;
  norn_lock(r->st);
  if (r->memory) norn_alloc(r->st, r->memory, r->bytes, 0);
  r->memory = norn_alloc(r->st, NULL, 0, bytes);
  norn_unlock(r->st);
  r->bytes = r->memory ? bytes : 0;
  r->at = (float *)(void *)(((uintptr_t)r->memory + 63) / 64 * 64);
  return r->memory != NULL;
}

bool nn_room_lay(nn_room *r, const nn_model *m, int64_t n, int64_t keys, const nn_tokens *k, bool learn)
{
  lay(&r->acts, NULL, m, n, keys, k, learn);
  if (!grow(r, r->acts.count)) return false;
  lay(&r->acts, r->at, m, n, keys, k, learn);
  return true;
}

bool nn_room_fit(nn_room *r, const nn_model *m, const nn_tokens *k, bool learn)
{
  lay(&r->acts, NULL, m, (int64_t)k->b * k->t, k->t, k, learn);
  return grow(r, r->acts.count);
}
