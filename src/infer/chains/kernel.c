/* kernel: which engines are kernels, and their making (kernel.h). */
#include "infer/chains/kernel.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

static const kernel_row *const rows[] = {
  &kernel_mh, &kernel_enumerate, &kernel_slice, &kernel_nuts, &kernel_hmc, &kernel_gibbs
};

/* gibbs in gibbs would be its blocks once more. */
static bool fits_inside(const kernel_row *row, const char *inside)
{
  return row != &kernel_gibbs || strcmp(inside, "gibbs");
}

static const kernel_row *row_of(const norn_engine *e, const char *inside)
{
  for (int i = 0; i < NORN_COUNT(rows); i++)
    if (rows[i]->engine == e && fits_inside(rows[i], inside)) return rows[i];
  return NULL;
}

/* "mh, nuts": for the hint. */
static void kernel_names(const char *inside, char *buf, size_t n)
{
  size_t at = 0;
  buf[0] = 0;
  for (int i = 0; i < NORN_COUNT(rows) && at < n; i++)
    if (fits_inside(rows[i], inside))
      at += (size_t)snprintf(buf + at, n - at, "%s%s()", at ? ", " : "", rows[i]->engine->name);
}

kernel *kernel_new(norn_infer *inf, norn_datum engine, const char *inside)
{
  norn_state *st = norn_infer_state(inf);
  const norn_engine *e = norn_engine_view(engine, NULL);
  const kernel_row *row = e ? row_of(e, inside) : NULL;
  char what[160];
  if (!row) {
    if (e) norn_fail(st, NORN_EINFER, -1, "%s can't be used inside %s", e->name, inside);
    else norn_fail(st, NORN_ETYPE, -1, "%s wants an engine, got %s", inside,
                   norn_describe(st, engine, what, sizeof what));
    kernel_names(inside, what, sizeof what);
    norn_hint(st, "what moves a trace can: %s", what);
    return NULL;
  }
  kernel *k = engine_get(st, sizeof *k);
  if (!k) return NULL;
  *k = (kernel){.row = row, .inf = inf, .engine = norn_keep(st, engine),
                .self = engine_get(st, row->size)};
  if (k->engine && k->self && !row->init(k)) return k;
  kernel_free(k);
  return NULL;
}

norn_step kernel_step(kernel *k, const target *g, trace *t)
{
  norn_step s = k->row->step(k, g, t);
  if (s == NORN_STEP_FAIL && !norn_error(norn_infer_state(k->inf))->code)
    norn_fail(norn_infer_state(k->inf), NORN_EMEMORY, -1, "out of memory");
  return s;
}

bool kernel_archive(norn_archive *a, kernel *k, const target *g, trace *t)
{
  if (!k->row->archive) return norn_archive_fail(a, "%s can't be checkpointed", k->row->engine->name);
  return norn_archive_bool(a, &k->adapts) && norn_archive_i64(a, &k->proposed) &&
         norn_archive_i64(a, &k->accepted) && k->row->archive(k, g, t, a);
}
bool kernel_settle(kernel *k, trace *t) { return !k->row->settle || k->row->settle(k, t); }

void kernel_free(kernel *k)
{
  if (!k) return;
  norn_state *st = norn_infer_state(k->inf);
  if (k->self && k->row->free) k->row->free(k);
  engine_put(st, k->self, k->row->size);
  if (k->engine) norn_drop(k->engine);
  engine_put(st, k, sizeof *k);
}

norn_datum kernel_option(kernel *k, int i)
{
  norn_datum engine = norn_get(k->engine);
  return engine_option(norn_infer_state(k->inf), engine, i);
}

bool kernel_int(kernel *k, int i, int64_t least, int64_t *out)
{
  return engine_option_int(norn_infer_state(k->inf), norn_get(k->engine), i, least, out);
}

bool kernel_real(kernel *k, int i, double *out)
{
  return engine_option_real(norn_infer_state(k->inf), norn_get(k->engine), i, out);
}
