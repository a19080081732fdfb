/* many: infer() of an array of models: an array of posteriors, each by the same engine.

   Model k is an inference of its own, whose stream depends on that of the whole and on k only: so its posterior is
   the same whatever else the array holds, and however it was computed.  Particle filters of one program go side by
   side where that pays (particles.h, side_new); others one after the other.

   `auto` finds out what a filter costs by the first, which goes alone: code for all is waited for when the others
   would take longer than that.  On a GPU, where that is wished for or has enough to do, they go side by side from the
   first; what has no room there goes in parts. */
#include "infer/checkpoint.h"
#include "infer/device.h"
#include "infer/infer.h"
#include "infer/particles/particles.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOSE, STRICT, ALONE, DONE };    /* a model; LOOSE: beside any of its form; STRICT: of the same integers too */
#define WAIT_FOR 2.0                   /* seconds of work that code is waited for; about what compilers take */
enum { LANES = 1 << 17 };              /* of filters side by side, at most: they stay in the nearer caches */

typedef struct many {
  int64_t n, left, at;                 /* models; not DONE; that is waited for, or the next to be looked at */
  norn_ref **post;                     /* (n) */
  uint8_t *is;                         /* (n) */
  uint64_t *form;                      /* (n) of those that are LOOSE or STRICT, once it is known; 0: not */
  int64_t *beside;                     /* (n) those that go side by side now */
  size_t nbeside;
  side *s;
  double began, first;                 /* seconds: when a model began; that one takes, or 0 */
  bool asked, can;                     /* side_cant was asked; and they can */
  struct gpu *gpu;                     /* where they go side by side; NULL: on the CPU */
  device_wish wish;
  size_t most;                         /* at once, of the GPU */
  bool home;                           /* it was tried, and does not pay */
  int64_t warned;
  char why[200];                       /* why some go alone */
} many;

static norn_status many_init(norn_infer *inf, void *self)
{
  many *e = self;
  norn_state *st = inf->st;
  e->n = e->left = norn_array_length(norn_get(inf->model));
  size_t n = e->n ? (size_t)e->n : 1;
  e->post = engine_get(st, n * sizeof *e->post);
  e->is = engine_get(st, n);
  e->form = engine_get(st, n * sizeof *e->form);
  e->beside = engine_get(st, n * sizeof *e->beside);
  return e->post && e->is && e->form && e->beside ? NORN_OK : NORN_EMEMORY;
}

static norn_datum model_at(norn_infer *inf, int64_t k) { return norn_array_at(inf->st, norn_get(inf->model), k); }

/* Of model k; the last number is that of arrays among what an inference draws itself. */
static uint64_t stream_at(const norn_infer *inf, int64_t k)
{
  return norn_stream_split(inf->stream, ENGINE_LANE, (uint32_t)k, 0x616c6c);
}

/* ---- results ---- */

bool many_take(norn_infer *inf, norn_infer *inner, norn_datum posterior)
{
  many *e = inf->self;
  char head[64];
  int64_t k = e->at;
  snprintf(head, sizeof head, "model %lld of %lld: ", (long long)k + 1, (long long)e->n);
  infer_inherit(inf, inner, head);
  e->warned += inner->nwarning > 0;
  if (inner->by_rule && !inf->outer && e->left == e->n)
    norn_notice(inf->st, "engine: %s(%s), as %s (model %lld of %lld; each by the rule)", inner->engine->name,
                inner->with ? inner->with : "", inner->why, (long long)k + 1, (long long)e->n);
  if (!e->first) e->first = infer_seconds() - e->began;
  e->is[k] = DONE;
  e->left--;
  return (e->post[k] = norn_keep(inf->st, posterior)) != NULL;
}

void many_failed(norn_infer *inf)
{
  const many *e = inf->self;
  const norn_err *err = norn_error(inf->st);
  if (err->code == NORN_EINTERRUPT || err->code == NORN_ELIMIT || err->hint[0]) return;
  norn_hint(inf->st, "it is element %lld of the %lld models", (long long)e->at, (long long)e->n);
}

/* All have their posteriors. */
static norn_step finish(norn_infer *inf, many *e)
{
  norn_state *st = inf->st;
  norn_datum *v = engine_get(st, ((size_t)e->n + 1) * sizeof *v);
  for (int64_t k = 0; v && k < e->n; k++) v[k] = norn_get(e->post[k]);
  norn_datum all = v ? norn_array_pack(st, v, e->n) : norn_none();
  engine_put(st, v, ((size_t)e->n + 1) * sizeof *v);
  if (norn_is_none(all) || !(inf->answer = norn_keep(st, all))) return NORN_STEP_FAIL;
  if (e->warned > 1)
    norn_infer_warn(inf, (norn_span){ 0, 0, 0 }, "%lld of %lld models have warnings: info(posts[k]).warnings",
                    (long long)e->warned, (long long)e->n);
  return NORN_STEP_DONE;
}

/* ---- side by side ---- */

static norn_infer *one_new(norn_infer *inf, int64_t k)
{
  norn_infer *one = infer_make(inf->st, model_at(inf, k), norn_get(inf->options), stream_at(inf, k));
  if (one) one->outer = inf;
  return one;
}

/* A GPU for them, if that is wished for and pays: it has room for so many at once.  NULL: the CPU has them (or error
   set). */
static struct gpu *gpu_for(norn_infer *inf, many *e, norn_infer *one)
{
  struct gpu *g = NULL;
  char why[300];
  int64_t n = 1;
  if (device_read(one, &e->wish) || !engine_option_int(inf->st, norn_get(inf->options), 0, 1, &n)) return NULL;
  if (e->home || e->wish.device == DEVICE_CPU || device_open(one, &e->wish, &g, why, sizeof why) || !g) return NULL;
  if (e->wish.device == DEVICE_AUTO && (double)n * (double)e->left < PARTICLES_DEVICE_FROM) return NULL;
  e->most = side_room(g, e->wish.f32, (size_t)n);
  return e->most > 1 ? g : NULL;
}

/* Asks once whether and where filters of this engine can go side by side.  false: error set. */
static bool ask(norn_infer *inf, many *e)
{
  norn_infer *one = one_new(inf, 0);
  if (!one) return false;
  const char *cant = NULL;
  e->asked = true;
  e->gpu = gpu_for(inf, e, one);
  if (e->gpu && (cant = side_cant(one, true)) && e->wish.device == DEVICE_AUTO) e->gpu = NULL, cant = NULL;
  if (!e->gpu && !cant && e->wish.device != DEVICE_GPU) cant = side_cant(one, false);
  bool wrong = norn_error(inf->st)->code != 0;
  norn_infer_free(one);
  e->can = !cant && !wrong && (e->gpu || e->wish.device != DEVICE_GPU);
  if (cant) snprintf(e->why, sizeof e->why, "%s", cant);
  if (wrong) norn_clear(inf->st);                /* the first that goes alone says it */
  return true;
}

/* May filters of this engine go side by side, and does it pay?  -1: error set. */
static int pays(norn_infer *inf, many *e)
{
  const norn_datum *options;
  norn_state *st = inf->st;
  norn_datum engine = norn_get(inf->options);
  if (norn_engine_view(engine, &options) != &engine_smc || e->left < 2) return 0;
  const char *executor = norn_string_view(engine_option(st, engine, 4), NULL),
             *device = norn_string_view(engine_option(st, engine, 6), NULL);
  bool wished = executor && !strcmp(executor, "generated");
  if (!e->asked && !ask(inf, e)) return -1;
  if (e->gpu || !e->can) return e->can;
  return device && strcmp(device, "gpu") && (wished || (e->first && e->first * (double)e->left >= WAIT_FOR));
}

/* The forms of models that are `of`: what begins with an error goes alone, and says it there.  false: error set. */
static bool forms(norn_infer *inf, many *e, uint8_t of)
{
  enum { SOME = 64 };
  norn_state *st = inf->st;
  for (int64_t k = 0; k < e->n;) {
    norn_run *run[SOME];
    int64_t who[SOME];
    uint64_t form[SOME];
    size_t m = 0;
    for (; k < e->n && m < SOME; k++) {
      if (e->is[k] != of || e->form[k]) continue;
      if ((run[m] = norn_run_new(st, model_at(inf, k), NULL, 0))) who[m++] = k;
      else if (norn_error(st)->code == NORN_EMEMORY || norn_error(st)->code == NORN_EINTERRUPT) break;
      else norn_clear(st), e->is[k] = ALONE;
    }
    bool good = !norn_error(st)->code && norn_runs_forms(run, m, of == STRICT, form);
    for (size_t i = 0; i < m; i++) {
      norn_run_free(run[i]);
      if (good) e->form[who[i]] = form[i] | 1;
    }
    if (!good) return false;
  }
  return true;
}

/* The next that go side by side, into e->beside: two at least.  false: error set. */
static bool choose(norn_infer *inf, many *e)
{
  int64_t n = 1;
  norn_state *st = inf->st;
  if (!forms(inf, e, LOOSE) || !forms(inf, e, STRICT) || !engine_option_int(st, norn_get(inf->options), 0, 1, &n))
    return false;
  size_t most = e->gpu ? e->most : (size_t)LANES / (size_t)((n + 31) / 32 * 32);
  for (int64_t k = 0; k < e->n; k++) {
    if (e->is[k] >= ALONE) continue;
    e->nbeside = 0;
    for (int64_t i = k; i < e->n && e->nbeside < (most > 2 ? most : 2); i++)
      if (e->is[i] == e->is[k] && e->form[i] == e->form[k]) e->beside[e->nbeside++] = i;
    if (e->nbeside > 1) return true;
    e->is[k] = ALONE;
    if (!e->why[0]) snprintf(e->why, sizeof e->why, "no other model of the array is of its form");
  }
  e->nbeside = 0;
  return true;
}

/* They can't, nor others of their form: those of the same integers may, or each goes alone.  What was to pay on a GPU
   goes on as on the CPU. */
static void part(many *e, const char *why)
{
  if (e->gpu && e->wish.device == DEVICE_AUTO) {
    e->gpu = NULL;
    e->asked = false;
    e->home = true;
    e->nbeside = 0;
    return;
  }
  uint8_t is = e->is[e->beside[0]];
  uint64_t form = e->form[e->beside[0]];
  for (int64_t k = 0; k < e->n; k++) {
    if (e->is[k] != is || e->form[k] != form) continue;
    e->is[k] = is == LOOSE ? STRICT : ALONE;
    e->form[k] = 0;
  }
  snprintf(e->why, sizeof e->why, "%.190s", why);
  e->nbeside = 0;
}

/* They had no room on the GPU: half as many may.  false: the error stays. */
static bool fewer(norn_infer *inf, many *e)
{
  if (!e->gpu || norn_error(inf->st)->code != NORN_EMEMORY || e->nbeside < 4) return false;
  norn_clear(inf->st);
  e->most = e->nbeside / 2;
  e->nbeside = 0;
  return true;
}

/* 1: they have begun; 0: they can't; -1: error set. */
static int begin(norn_infer *inf, many *e)
{
  char why[200] = "";
  norn_infer **one = engine_get(inf->st, e->nbeside * sizeof *one);
  size_t k = 0;
  while (one && k < e->nbeside && (one[k] = one_new(inf, e->beside[k]))) k++;
  if (one && k == e->nbeside) e->s = side_new(inf, e->gpu, one, k, why, sizeof why);
  else for (size_t i = 0; one && i < k; i++) norn_infer_free(one[i]);
  engine_put(inf->st, one, e->nbeside * sizeof *one);
  if (e->s || fewer(inf, e)) return 1;
  if (!why[0]) return -1;
  part(e, why);
  return 0;
}

static norn_step go_on(norn_infer *inf, many *e)
{
  char why[200];
  norn_step step = side_step(e->s, why, sizeof why);
  if (step == NORN_STEP_MORE) return step;
  for (size_t i = 0; step == NORN_STEP_DONE && i < e->nbeside; i++) {
    norn_infer *one = side_one(e->s, i);
    norn_datum post = one ? norn_infer_result(one) : norn_none();
    e->at = e->beside[i];
    if (norn_is_none(post) || !many_take(inf, one, post)) step = NORN_STEP_FAIL;
    else side_drop(e->s, i);
  }
  bool taken = e->nbeside && e->is[e->beside[0]] == DONE;
  side_free(e->s);
  e->s = NULL;
  if (step == NORN_STEP_DONE) e->nbeside = 0;
  else if (why[0]) part(e, why);
  else if (taken || !fewer(inf, e)) return NORN_STEP_FAIL;
  return NORN_STEP_MORE;
}

/* ---- the engine ---- */

/* A filter that goes alone says so, and why. */
static void note_alone(norn_infer *inf, const many *e)
{
  const norn_datum *options;
  if (norn_engine_view(norn_get(inf->options), &options) != &engine_smc) return;
  const char *why = e->why[0]    ? e->why
                    : e->left < 2 ? "no other model is left"
                                  : "all of them take too little time to wait for code";
  norn_infer_note(inf->inner, "filters_together", norn_int(0));
  norn_infer_note(inf->inner, "filters_alone_for", norn_cstring(inf->st, why));
}

static norn_step many_step(norn_infer *inf, void *self)
{
  many *e = self;
  if (e->s) return go_on(inf, e);
  if (!e->left) return finish(inf, e);
  int beside = pays(inf, e);
  if (beside > 0 && !choose(inf, e)) return NORN_STEP_FAIL;
  if (beside > 0 && e->nbeside) beside = begin(inf, e);
  else if (beside > 0) beside = 0;
  if (beside) return beside < 0 ? NORN_STEP_FAIL : NORN_STEP_MORE;
  for (e->at = 0; e->is[e->at] == DONE;) e->at++;
  e->began = infer_seconds();
  norn_step s = infer_nest(inf, model_at(inf, e->at), norn_get(inf->options), stream_at(inf, e->at));
  if (s == NORN_STEP_WAIT) note_alone(inf, e);
  return s;
}

static void many_progress(norn_infer *inf, void *self, norn_progress *p)
{
  const many *e = self;
  (void)inf;
  p->done = (double)(e->n - e->left);
  p->total = (double)e->n;
  snprintf(p->state, sizeof p->state, !e->s ? ", models" : e->gpu ? ", %zu filters side by side on the GPU"
                                                                  : ", %zu filters side by side", e->nbeside);
}

static void many_free(norn_infer *inf, void *self)
{
  many *e = self;
  norn_state *st = inf->st;
  size_t n = e->n ? (size_t)e->n : 1;
  side_free(e->s);
  for (int64_t k = 0; e->post && k < e->n; k++) if (e->post[k]) norn_drop(e->post[k]);
  engine_put(st, e->post, n * sizeof *e->post);
  engine_put(st, e->is, n);
  engine_put(st, e->form, n * sizeof *e->form);
  engine_put(st, e->beside, n * sizeof *e->beside);
}

/* Posteriors that are there, and which model is waited for; what goes side by side is waited for.  How models go
   changes no number, so what led to that is not kept but for who can't. */
static norn_status many_archive(norn_infer *inf, void *self, norn_archive *a)
{
  many *e = self;
  int64_t left = 0;
  (void)inf;
  if (e->s) {
    archive_not_now(a, "filters go side by side");
    return norn_archive_status(a);
  }
  norn_archive_i64(a, &e->left);
  norn_archive_i64(a, &e->at);
  norn_archive_i64(a, &e->warned);
  norn_archive_f64(a, &e->first);
  norn_archive_text(a, e->why, sizeof e->why);
  norn_archive_bytes(a, e->is, (size_t)e->n);
  for (int64_t k = 0; k < e->n && !norn_archive_status(a); k++) {
    norn_archive_ref(a, &e->post[k]);
    left += e->is[k] != DONE;
    if (e->is[k] > DONE || (e->is[k] == DONE) != (e->post[k] != NULL)) norn_archive_fail(a, "its models do not fit");
  }
  if (!norn_archive_status(a) && (e->left != left || e->at < 0 || e->at > e->n))
    norn_archive_fail(a, "its models do not fit");
  if (norn_archive_reading(a)) e->began = infer_seconds();
  return norn_archive_status(a);
}

/* ---- what explain says of an array ---- */

static int by_form(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* The forms of all models, rising; of those that begin with an error 0.  false: error set. */
static bool all_forms(norn_state *st, const norn_ref *models, uint64_t *form, int64_t n)
{
  for (int64_t k = 0; k < n; k++) {
    norn_run *run = norn_run_new(st, norn_array_at(st, norn_get(models), k), NULL, 0);
    form[k] = 0;
    bool good = !run || norn_runs_forms(&run, 1, false, form + k);
    if (run) form[k] |= 1;
    norn_run_free(run);
    norn_status s = norn_error(st)->code;
    if (!good || s == NORN_EMEMORY || s == NORN_EINTERRUPT) return false;
    norn_clear(st);
  }
  qsort(form, (size_t)n, sizeof *form, by_form);
  return true;
}

bool many_explain(norn_state *st, const norn_ref *models, text *t)
{
  char what[120];
  int64_t n = norn_array_length(norn_get(models)), forms = 0, most = 0, bad = 0;
  for (int64_t k = 0; k < n; k++) {
    norn_datum v = norn_array_at(st, norn_get(models), k);
    if (norn_kind_of(v) == NORN_MODEL) continue;
    norn_fail(st, NORN_ETYPE, 0, "explain needs model values, got %s", norn_describe(st, v, what, sizeof what));
    return false;
  }
  uint64_t *form = engine_get(st, ((size_t)n + 1) * sizeof *form);
  bool good = form && all_forms(st, models, form, n);
  for (int64_t k = 0, m; good && k < n; k += m) {
    for (m = 1; k + m < n && form[k + m] == form[k];) m++;
    if (!form[k]) bad = m;
    else forms++;
    if (form[k] && m > most) most = m;
  }
  engine_put(st, form, ((size_t)n + 1) * sizeof *form);
  if (!good) return false;
  text_printf(t, "%lld model%s, an inference each, whose draws do not depend on the others\n", (long long)n, n == 1 ? "" : "s");
  if (forms == 1 && n - bad > 1) text_puts(t, "all are of one form: they differ in numbers of their arguments alone\n");
  if (forms > 1)
    text_printf(t, "they are of %lld forms, %lld of the most frequent: those of one form differ in numbers of their "
                "arguments alone\n", (long long)forms, (long long)most);
  if (bad) text_printf(t, "%lld can't begin: their inference will say why\n", (long long)bad);
  if (n > 1) text_puts(t, "the first:\n");
  return true;
}

const norn_engine engine_many = {
  .version = NORN_ENGINE_VERSION,
  .name = "_models",
  .doc = "Each of an array of models by an engine.",
  .size = sizeof(many),
  .init = many_init,
  .step = many_step,
  .progress = many_progress,
  .free = many_free,
  .archive = many_archive
};
