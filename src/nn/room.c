/* room.c: a thread's memory for one part of a batch: all arrays of model_in.h in one piece, each beginning at a cache
   line.  The layout is computed again for each part, which is cheap; the piece only grows. */
#include "nn/model_in.h"

enum { LINE = 16 };                    /* floats: a cache line, and the widest register, by which reads may end late */

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

static int64_t answers(const nn_model *m, const nn_tokens *k)
{
  int64_t n = 0;
  for (int q = 0; q < k->nq; q++) n += nn_head_width(m->head + k->head[q]);
  return n;
}

static void lay(nn_acts *v, float *base, const nn_model *m, int64_t n, int64_t keys, const nn_tokens *k, bool learn)
{
  int64_t d = m->s.d, ff = m->s.ff, wide = nn_model_mlp_width(&m->s), nq = k->nq;
  *v = (nn_acts){ .n = n, .nq = nq, .zn = answers(m, k) };
  v->x = take(v, base, n * d);
  size_t first = v->count;
  v->a = take(v, base, n * d);
  v->qkv = take(v, base, 3 * n * d);
  v->lse = take(v, base, n * m->s.heads);
  v->o = take(v, base, n * d);
  v->x1 = take(v, base, n * d);
  v->c = take(v, base, n * d);
  v->u = take(v, base, n * wide);
  v->g = take(v, base, n * ff);
  v->x2 = take(v, base, n * d);
  v->stat1 = take(v, base, 2 * n);
  v->stat2 = take(v, base, 2 * n);
  if (learn) {
    v->layer = (int64_t)(v->count - first);
    v->count += (size_t)(v->layer * (m->s.layers - 1));
  } else v->x2 = v->x;
  v->xq = take(v, base, nq * d);
  v->f = take(v, base, nq * d);
  v->statf = take(v, base, 2 * nq);
  v->hu = take(v, base, nq * ff);
  v->hg = take(v, base, nq * ff);
  v->z = take(v, base, v->zn);
  if (learn) {
    v->dx = take(v, base, n * d);
    v->dn = take(v, base, n * d);
    v->dqkv = take(v, base, 3 * n * d);
    v->du = take(v, base, n * wide);
    v->dg = take(v, base, (n > nq ? n : nq) * ff);
    v->dxq = take(v, base, nq * d);
    v->df = take(v, base, nq * d);
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
