/* room.c: a thread's memory for one part of a batch: all arrays of model_in.h in one piece, each beginning at
   a cache line.  The layout is computed again for each part, which is cheap; the piece only grows. */
#include "nn/model_in.h"

enum { LINE = 16 }; /* floats: a cache line, and the widest register, by which reads may end late */

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

/* The next n numbers. */
static float *take(nn_acts *v, float *base, int64_t n)
{
  float *x = base ? base + v->count : NULL;
  v->count += (size_t)(n + LINE - 1) / LINE * LINE + LINE;
  return x;
}

static int32_t *take_ints(nn_acts *v, float *base, int64_t n) { return (int32_t *)(void *)take(v, base, n); }

static int64_t answers(const nn_model *m, const nn_tokens *k)
{
  int64_t n = 0;
  for (int q = 0; q < k->nq; q++) n += nn_head_width(m->head + k->head[q]);
  return n;
}

/* Of one block; the last one's has a row for each question, and there may be more of them than tokens. */
static void lay_block(nn_acts *v, float *base, const nn_model *m, bool learn)
{
  int64_t d = m->s.d, n = v->n, rows = v->nq > n ? v->nq : n;
  v->a = take(v, base, n * d);
  v->qkv = take(v, base, 3 * n * d);
  v->lse = take(v, base, rows * m->s.heads);
  v->o = take(v, base, rows * d);
  v->x1 = take(v, base, rows * d);
  v->c = take(v, base, rows * d);
  v->u = take(v, base, rows * nn_model_mlp_width(&m->s));
  v->g = take(v, base, rows * m->s.ff);
  v->stat1 = take(v, base, 2 * n);
  v->stat2 = take(v, base, 2 * rows);
  if (learn) v->x2 = take(v, base, rows * d);
}

static void lay_questions(nn_acts *v, float *base, const nn_model *m, const nn_tokens *k)
{
  int64_t d = m->s.d, ff = m->s.ff, nq = v->nq;
  v->xq = take(v, base, nq * d);
  v->f = take(v, base, nq * d);
  v->statf = take(v, base, 2 * nq);
  v->hu = take(v, base, nq * ff);
  v->hg = take(v, base, nq * ff);
  v->z = take(v, base, v->zn);
  v->aq = take(v, base, nq * d);
  v->q = take(v, base, nq * d);
  v->xa = take(v, base, nq * d);
  v->own = take_ints(v, base, v->n);
  v->place = take_ints(v, base, nq);
  v->asked = take_ints(v, base, nq);
  v->own_asked = take_ints(v, base, nq);
  v->see_asked = (int16_t *)(void *)take(v, base, nq);
  v->first = take_ints(v, base, k->b + 1);
}

static void lay(nn_acts *v, float *base, const nn_model *m, int64_t n, int64_t keys, const nn_tokens *k,
                bool learn)
{
  int64_t d = m->s.d, nq = k->nq, rows = n > nq ? n : nq;
  *v = (nn_acts){ .n = n, .nq = nq, .zn = answers(m, k) };
  v->x = take(v, base, rows * d);
  size_t first = v->count;
  lay_block(v, base, m, learn);
  if (learn) {
    v->layer = (int64_t)(v->count - first);
    v->count += (size_t)(v->layer * (m->s.layers - 1));
  } else v->x2 = v->x;
  lay_questions(v, base, m, k);
  if (learn) {
    v->dx = take(v, base, rows * d);
    v->dn = take(v, base, rows * d);
    v->dqkv = take(v, base, 3 * n * d);
    v->du = take(v, base, rows * nn_model_mlp_width(&m->s));
    v->dg = take(v, base, rows * m->s.ff);
    v->dxq = take(v, base, nq * d);
    v->df = take(v, base, nq * d);
    v->dq = take(v, base, nq * d);
    v->dxa = take(v, base, nq * d);
    v->dz = take(v, base, v->zn);
  }
  v->scratch = take(v, base, nn_attention_room(m->s.heads, m->s.d / m->s.heads, (int)keys, (int)keys));
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
