/* kernel_gibbs: gibbs({ "mu": mh(drift = 1), "k[*]": enumerate() }) as a kernel: a transition is one sweep, in
   which each block's kernel moves the choices that its pattern fits, given the others.  Each leaves the
   target unchanged, and so does the sweep.  Choices that no pattern fits stay; those of particles may
   still be to come, so that is no error here as it is in chains (gibbs.c).

   Random numbers: block i has a stream of its own under the target's. */
#include "infer/chains/kernel.h"
#include "infer/infer.h"
#include "infer/chains/pattern.h"

enum { MOST_BLOCKS = 64, OWN = 14 };

typedef struct part {
  patterns fits;
  kernel *k;
  const target *of;                    /* the sweep's */
} part;
typedef struct sweep { part *b; int n, now; bool going; target g; } sweep;

static norn_status part_read(kernel *k, sweep *w, int i)
{
  norn_state *st = norn_infer_state(k->inf);
  part *b = &w->b[i];
  norn_datum engine, blocks = kernel_option(k, 0);
  const char *name = norn_record_at(st, blocks, i, &engine);
  norn_ref *keep = norn_keep(st, engine);
  w->n = i + 1;
  if (!keep) return NORN_EMEMORY;
  if (patterns_new(st, &b->fits, norn_cstring(st, name), "blocks of gibbs"))
    b->k = kernel_new(k->inf, norn_get(keep), "gibbs");
  norn_drop(keep);
  return b->k ? NORN_OK : norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
}

static norn_status gibbs_kernel_init(kernel *k)
{
  sweep *w = k->self;
  norn_state *st = norn_infer_state(k->inf);
  int n = norn_record_size(kernel_option(k, 0));
  norn_status status = NORN_OK;
  if (n < 1 || n > MOST_BLOCKS)
    return norn_fail(st, NORN_ETYPE, -1, "blocks of gibbs must be a record of at most 64 engines by patterns of "
                     "addresses");
  w->b = engine_get(st, MOST_BLOCKS * sizeof *w->b);
  if (!w->b) return NORN_EMEMORY;
  for (int i = 0; i < n && !status; i++) status = part_read(k, w, i);
  return status;
}

static bool part_has(void *user, uint64_t addr)
{
  part *b = user;
  return (!b->of->movable || b->of->movable(b->of->user, addr)) && patterns_have(&b->fits, addr);
}

static void aim(sweep *w, const target *g)
{
  part *b = &w->b[w->now];
  b->of = g;
  w->g = *g;
  w->g.movable = part_has;
  w->g.user = b;
  w->g.stream = norn_stream_split(g->stream, ENGINE_LANE, OWN, (uint32_t)w->now);
}

static norn_step gibbs_kernel_step(kernel *k, const target *g, trace *t)
{
  sweep *w = k->self;
  for (; w->now < w->n; w->now++) {
    part *b = &w->b[w->now];
    int64_t proposed = b->k->proposed, accepted = b->k->accepted;
    if (!w->going) aim(w, g);
    w->going = true;
    b->of = g;
    b->k->adapts = k->adapts;
    b->k->learning = k->learning;
    norn_step s = kernel_step(b->k, &w->g, t);
    k->proposed += b->k->proposed - proposed;
    k->accepted += b->k->accepted - accepted;
    if (b->fits.failed) return NORN_STEP_FAIL;
    if (s != NORN_STEP_DONE) return s;
    w->going = false;
  }
  w->now = 0;
  return NORN_STEP_DONE;
}

static void gibbs_kernel_free(kernel *k)
{
  sweep *w = k->self;
  norn_state *st = norn_infer_state(k->inf);
  for (int i = 0; i < w->n; i++) {
    patterns_free(&w->b[i].fits);
    kernel_free(w->b[i].k);
  }
  engine_put(st, w->b, MOST_BLOCKS * sizeof *w->b);
}

static bool gibbs_kernel_archive(kernel *k, const target *g, trace *t, norn_archive *a)
{
  sweep *w = k->self;
  int now = w->now;
  norn_archive_int(a, &now);
  norn_archive_bool(a, &w->going);
  if (now < 0 || now >= w->n) return norn_archive_fail(a, "a sweep is not whole");
  for (w->now = 0; w->now < w->n; w->now++) {
    aim(w, g);
    if (!kernel_archive(a, w->b[w->now].k, &w->g, t)) return false;
  }
  w->now = now;
  aim(w, g);
  return true;
}

const kernel_row kernel_gibbs = { .engine = &engine_gibbs,
                                  .size = sizeof(sweep),
                                  .init = gibbs_kernel_init,
                                  .step = gibbs_kernel_step,
                                  .free = gibbs_kernel_free,
                                  .archive = gibbs_kernel_archive };
