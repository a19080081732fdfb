/* particles_gpu: the particles of smc on a GPU (particles.h): one run of the VM stands for all, as in lanes,
   and what it computes between two observations is a kernel (gpu/segment_gpu.h).  States, log weights,
   ancestors and the families of the genealogy stay there; the host reads sums of weights after each leg, and
   what particles returned at the end.

   Places, random numbers and points of resampling are those of particles_runs, so that with precision = "f64"
   the draws are the same but for rounding. */
#include "infer/particles/particles.h"
#include "base/archive.h"
#include "gpu/segment_gpu.h"
#include "infer/device.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

typedef struct on_gpu {
  particles p;
  device_wish wish;
  segment_gpu *s;
  norn_lanes *l;
  norn_lanes_leg leg;
  gpu_ptr family[2];        /* (n) numbers of ancestors, as lineage.first and .second; 0: not asked for */
  bool weighed;             /* a leg has been */
} on_gpu;

static void gpu_dead(void *user, size_t i, norn_span span) { particles_dead(user, i, span); }

static norn_status gpu_start(particles *p)
{
  on_gpu *e = (on_gpu *)p;
  norn_state *st = norn_infer_state(p->inf);
  struct gpu *g;
  char why[300];
  norn_status s = device_read(p->inf, &e->wish);
  if (!s) s = device_open(p->inf, &e->wish, &g, why, sizeof why);
  if (s) return s;
  if (!g) return device_refused(p->inf, why);
  if (!(e->s = segment_gpu_new(g, (uint32_t)p->n, e->wish.f32))) return norn_error(st)->code;
  norn_run *r = norn_infer_run(p->inf, 0, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW | NORN_RUN_CHECK |
                                             p->more);
  e->l = r ? norn_lanes_new(r, p->n) : NULL;
  e->leg.dead = gpu_dead;
  e->leg.user = p;
  if (!e->l || !norn_lanes_defer(e->l, &segment_gpu_backend, e->s)) return NORN_EMEMORY;
  return (e->family[0] = segment_gpu_eves(e->s)) ? NORN_OK : norn_error(st)->code;
}

/* A leg that the GPU has not run.  With device = "auto" the first such makes smc begin anew with the CPU;
   later ones are done in lanes, and their weights put there. */
static norn_step gpu_not(on_gpu *e)
{
  particles *p = &e->p;
  norn_state *st = norn_infer_state(p->inf);
  norn_lanes_report r;
  norn_lanes_look(e->l, &r);
  const char *why = r.not_generated[0] ? r.not_generated : r.why[0] ? r.why : "its lanes part";
  if (e->wish.device == DEVICE_GPU) {
    device_refused(p->inf, why);
    engine_place(st, r.not_where.file ? r.not_where : r.where);
    return NORN_STEP_FAIL;
  }
  if (!e->weighed) {
    snprintf(p->refused, sizeof p->refused, "%s", why);
    return NORN_STEP_DONE;
  }
  if (segment_gpu_add(e->s, p->logw)) return NORN_STEP_FAIL;
  memset(p->logw, 0, p->n * sizeof *p->logw);
  return NORN_STEP_DONE;
}

static norn_step gpu_advance(particles *p)
{
  on_gpu *e = (on_gpu *)p;
  for (;;) {
    norn_event_kind kind = norn_lanes_next(e->l, p->logw, &e->leg);
    if (kind == NORN_INFER) {
      norn_step s = norn_infer_wait(p->inf, e->leg.run, &e->leg.ev);
      if (s != NORN_STEP_MORE) return s;
      continue;
    }
    if (kind != NORN_OBSERVE) return NORN_STEP_FAIL;
    break;
  }
  p->met.observing = e->leg.observing;
  p->met.running = e->leg.running;
  p->inf->improper |= e->leg.improper;
  norn_step s = e->leg.deferred || !e->leg.observing ? NORN_STEP_DONE : gpu_not(e);
  e->weighed |= e->leg.observing > 0;
  return s;
}

static bool gpu_sums(particles *p, particles_sums *to)
{
  weigher_sums w;
  if (segment_gpu_sums(((on_gpu *)p)->s, &w)) return false;
  *to = (particles_sums){ .log_sum = w.log_sum, .ess = w.ess, .spread = w.spread };
  return true;
}

/* In lanes of the host, as they are after a leg that went on there. */
static bool copy_here(on_gpu *e, void *map)
{
  norn_state *st = norn_infer_state(e->p.inf);
  size_t n = e->p.n, copies = 0, bytes = 3 * n * sizeof(uint32_t);
  uint32_t *of = engine_get(st, bytes), *to = of + n, *from = to + n;
  bool good = of && segment_gpu_backend.map_read(e->s, map, (uint32_t)n, of);
  for (size_t i = 0; good && i < n; i++)
    if (of[i] != i) {
      to[copies] = (uint32_t)i;
      from[copies++] = of[i];
    }
  good = good && norn_lanes_copy(e->l, to, from, copies);
  engine_put(st, of, bytes);
  segment_gpu_backend.map_free(e->s, map);
  return good;
}

static bool gpu_resample(particles *p, resample_kind kind, norn_rng *g)
{
  on_gpu *e = (on_gpu *)p;
  static const weigher_how how[RESAMPLE_COUNT] = {
    [RESAMPLE_SYSTEMATIC] = WEIGHER_SYSTEMATIC, [RESAMPLE_STRATIFIED] = WEIGHER_STRATIFIED,
    [RESAMPLE_RESIDUAL] = WEIGHER_RESIDUAL, [RESAMPLE_MULTINOMIAL] = WEIGHER_MULTINOMIAL
  };
  double u = kind == RESAMPLE_SYSTEMATIC ? norn_rng_uniform(g) : 0;
  void *map = segment_gpu_resample(e->s, how[kind], u, g->stream, g->iter);
  if (!map) return false;
  for (int i = 0; i < 2; i++)
    if (e->family[i] && segment_gpu_inherit(e->s, map, e->family[i])) return false;
  return e->leg.deferred ? norn_lanes_copy_map(e->l, map) : copy_here(e, map);
}

static bool gpu_window(particles *p, bool opens)
{
  on_gpu *e = (on_gpu *)p;
  gpu_ptr was = e->family[0];
  if (opens) return (e->family[1] = segment_gpu_eves(e->s)) != 0;
  e->family[0] = e->family[1];
  e->family[1] = 0;
  segment_gpu_backend.buffer_free(e->s, (void *)(uintptr_t)was);
  return true;
}

static bool gpu_fetch(particles *p, double *logw, uint32_t *family, int which)
{
  on_gpu *e = (on_gpu *)p;
  gpu *g = segment_gpu_device(e->s);
  if (logw && segment_gpu_logw(e->s, logw)) return false;
  return !family || !e->family[which] || !gpu_download(g, family, e->family[which], p->n * sizeof *family);
}

/* smc resamples by the device's own weights. */
static bool gpu_copy_none(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  (void)to, (void)from, (void)n;
  norn_fail(norn_infer_state(p->inf), NORN_EUSE, -1, "particles of the GPU are copied by its maps");
  return false;
}

static norn_datum gpu_value(particles *p, size_t i) { return norn_lanes_value(((on_gpu *)p)->l, i); }

static const void *gpu_numbers(particles *p, uint64_t *tag)
{
  return norn_lanes_numbers(((on_gpu *)p)->l, tag);
}

static norn_status gpu_choices(particles *p, size_t i) { return (void)p, (void)i, NORN_OK; }

/* ---- checkpoints: all comes home, and goes there again ---- */

static bool weights_archive(on_gpu *e, norn_archive *a, double *w)
{
  size_t size = e->p.n * sizeof *w;
  bool reads = norn_archive_reading(a);
  if (!reads && segment_gpu_logw(e->s, w)) return norn_archive_fail(a, "%s", norn_error(norn_archive_state(a))->text);
  if (!norn_archive_bytes(a, w, size)) return false;
  return !reads || !segment_gpu_add(e->s, w) || norn_archive_fail(a, "%s", norn_error(norn_archive_state(a))->text);
}

static bool family_archive(on_gpu *e, norn_archive *a, int which, uint32_t *number)
{
  gpu *g = segment_gpu_device(e->s);
  size_t n = e->p.n;
  bool reads = norn_archive_reading(a), is = e->family[which] != 0, well = true;
  if (!norn_archive_bool(a, &is) || !is) return !norn_archive_status(a);
  if (!reads) well = !gpu_download(g, number, e->family[which], n * sizeof *number);
  if (!well) return norn_archive_fail(a, "%s", norn_error(norn_archive_state(a))->text);
  if (!norn_archive_bytes(a, number, n * sizeof *number)) return false;
  for (size_t i = 0; i < n; i++) if (number[i] >= n) return norn_archive_fail(a, "its particles have no ancestors");
  if (!reads) return true;
  if (!e->family[which]) e->family[which] = segment_gpu_eves(e->s);
  well = e->family[which] && !gpu_upload(g, e->family[which], number, n * sizeof *number);
  return well || norn_archive_fail(a, "%s", norn_error(norn_archive_state(a))->text);
}

static bool gpu_archive(particles *p, norn_archive *a, uint32_t *to, uint32_t *from)
{
  on_gpu *e = (on_gpu *)p;
  norn_state *st = norn_archive_state(a);
  double *w = engine_get(st, p->n * sizeof *w);
  uint32_t *number = engine_get(st, p->n * sizeof *number);
  (void)to, (void)from;
  bool well = w && number;
  if (!well) norn_archive_fail(a, "out of memory");
  norn_archive_bool(a, &e->weighed);
  norn_archive_size(a, &e->leg.observing);
  norn_archive_size(a, &e->leg.running);
  norn_archive_bool(a, &e->leg.deferred);
  norn_archive_bool(a, &e->leg.improper);
  well = well && lanes_archive(a, e->l) && weights_archive(e, a, w) && family_archive(e, a, 0, number) &&
         family_archive(e, a, 1, number);
  engine_put(st, w, p->n * sizeof *w);
  engine_put(st, number, p->n * sizeof *number);
  return well;
}

static void gpu_free(particles *p)
{
  on_gpu *e = (on_gpu *)p;
  norn_lanes_free(e->l);                /* its vectors are the device's */
  segment_gpu_free(e->s);
  e->l = NULL;
  e->s = NULL;
}

static void gpu_note(particles *p)
{
  on_gpu *e = (on_gpu *)p;
  norn_infer *inf = p->inf;
  norn_lanes_report r;
  int kernels;
  size_t bytes;
  segment_gpu_look(e->s, &kernels, &bytes);
  norn_lanes_look(e->l, &r);
  device_note(inf, "gpu", NULL);
  norn_infer_note(inf, "executor", norn_cstring(norn_infer_state(inf), "gpu"));
  norn_infer_note(inf, "gpu_legs", norn_int((int64_t)r.generated));
  norn_infer_note(inf, "gpu_kernels", norn_int(kernels));
  norn_infer_note(inf, "gpu_bytes", norn_int((int64_t)bytes));
}

norn_status particles_device(norn_infer *inf, int k, size_t n, const char *cant, const particles_ops **ops,
                             bool *verify)
{
  device_wish w;
  struct gpu *g = NULL;
  char why[300];
  norn_status s = device_read(inf, &w);
  if (s || w.device == DEVICE_CPU) return s;
  const char *executor = norn_string_view(norn_infer_option(inf, k), NULL);
  if (executor && strcmp(executor, "auto")) cant = "executor is chosen, which is of the CPU";
  if (cant && w.device == DEVICE_GPU) return device_refused(inf, cant);
  if (!cant && w.device == DEVICE_AUTO && n < PARTICLES_DEVICE_FROM) cant = "there are few particles";
  if (!cant && (s = device_open(inf, &w, &g, why, sizeof why))) return s;
  if (!g) device_note(inf, "cpu", cant ? cant : why);
  else *ops = &particles_gpu;
  *verify = g && w.verify;
  return NORN_OK;
}

const particles_ops particles_gpu = {
  .name = "gpu",
  .words = "particles on a GPU",
  .size = sizeof(on_gpu),
  .start = gpu_start,
  .advance = gpu_advance,
  .copy = gpu_copy_none,
  .value = gpu_value,
  .numbers = gpu_numbers,
  .choices = gpu_choices,
  .free = gpu_free,
  .note = gpu_note,
  .sums = gpu_sums,
  .resample = gpu_resample,
  .window = gpu_window,
  .fetch = gpu_fetch,
  .archive = gpu_archive
};
