/* net_train_engine: train() of the prelude is an inference whose answer is a net, so that training reports
   its progress, obeys limits and Ctrl-C, and lets memory be collected between two steps, as inferences do.

   Ctrl-C ends it early: the net is what was learned so far, and a warning says so. */
#include "infer/infer.h"
#include "infer/net/net_train.h"
#include <stdio.h>
#include <string.h>

#define EVERY 60.0                      /* seconds between two checkpoints */
#define SLICE .05                       /* seconds of a step of the engine */

typedef struct trainer {
  net_training *t;
  char *checkpoint;                     /* the name of its file, or NULL: a copy, since strings move
                                           when programs run */
  size_t ncheckpoint;
  double every, saved;
} trainer;

enum { TRAIN_what, TRAIN_spec, TRAIN_seconds, TRAIN_steps, TRAIN_seed, TRAIN_checkpoint, TRAIN_every, TRAIN_resume,
       TRAIN_device, TRAIN_precision, TRAIN_COUNT };
static const norn_option train_options[] = {
  [TRAIN_what] = { "model", NULL, "the program, or a function that gives one" },
  [TRAIN_spec] = { "spec", NULL, "npe(...), pfn(...) or distribution_transformer(...)" },
  [TRAIN_seconds] = { "seconds", "missing", "how long" },
  [TRAIN_steps] = { "steps", "missing", "or how many steps" },
  [TRAIN_seed] = { "seed", "missing", "of weights and simulated runs" },
  [TRAIN_checkpoint] = { "checkpoint", "missing", "a file from which it can go on" },
  [TRAIN_every] = { "every", "60", "seconds between two checkpoints" },
  [TRAIN_resume] = { "resume", "false", "goes on from the file, if it is there" },
  [TRAIN_device] = { "device", "\"cpu\"",
                     "\"cpu\", \"gpu\", or \"auto\": a GPU if there is one and the net is not small" },
  [TRAIN_precision] = { "precision", "\"bf16\"", "of products on the GPU; \"f32\"" }
};

static bool is_missing(norn_datum v)
{
  return v.tag == NORN_MISSING || norn_is_none(v);
}

/* How long: seconds, or 0 and steps in *spec. */
static norn_status train_length(norn_infer *inf, net_spec *spec, double *seconds)
{
  norn_datum s = norn_infer_option(inf, TRAIN_seconds), n = norn_infer_option(inf, TRAIN_steps);
  norn_state *st = norn_infer_state(inf);
  *seconds = 0;
  if (!is_missing(s) && !is_missing(n))
    return norn_fail(st, NORN_EDOMAIN, -1, "train takes seconds or steps, not both");
  if (!is_missing(n)) return option_int(inf, TRAIN_steps, 1, &spec->steps) ? NORN_OK : norn_error(st)->code;
  if (is_missing(s)) return NORN_OK;
  if (!option_real(inf, TRAIN_seconds, seconds)) return norn_error(st)->code;
  return *seconds > 0 && *seconds < 1e9 ? NORN_OK : option_must(inf, "seconds", "positive", *seconds);
}

static norn_status train_file(norn_infer *inf, trainer *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, TRAIN_checkpoint);
  char what[120];
  if (!option_real(inf, TRAIN_every, &e->every)) return norn_error(st)->code;
  if (!(e->every > 0)) return option_must(inf, "every", "positive", e->every);
  if (is_missing(v)) return NORN_OK;
  const char *name = norn_string_view(v, NULL);
  if (!name)
    return norn_fail(st, NORN_ETYPE, -1, "checkpoint must be the name of a file, got %s",
                     norn_describe(st, v, what, sizeof what));
  e->ncheckpoint = strlen(name) + 1;
  if (!(e->checkpoint = engine_get(st, e->ncheckpoint))) return NORN_EMEMORY;
  memcpy(e->checkpoint, name, e->ncheckpoint);
  return norn_config_of(st)->no_files ? norn_fail(st, NORN_EIO, -1, "files are not allowed here (--safe)") : NORN_OK;
}

static bool is_file(const char *path)
{
  FILE *f = fopen(path, "rb");
  if (f) fclose(f);
  return f != NULL;
}

static norn_status train_device(norn_infer *inf, net_training *t)
{
  static const char *const devices[] = {"cpu", "gpu", "auto"}, *const precisions[] = {"bf16", "f32"};
  int device = 0, precision = 0;
  if (!option_choice(inf, TRAIN_device, devices, 3, &device) ||
      !option_choice(inf, TRAIN_precision, precisions, 2, &precision))
    return norn_error(norn_infer_state(inf))->code;
  return training_place(t, (device_kind)device, precision == 0);
}

static norn_status train_init(norn_infer *inf, void *self)
{
  trainer *e = self;
  norn_state *st = norn_infer_state(inf);
  net_spec spec;
  double seconds;
  int64_t seed = 0;
  norn_datum what = norn_infer_option(inf, TRAIN_what), resume = norn_infer_option(inf, TRAIN_resume);
  if (!net_spec_read(st, norn_infer_option(inf, TRAIN_spec), &spec)) return norn_error(st)->code;
  norn_status s = train_length(inf, &spec, &seconds);
  if (!s) s = train_file(inf, e);
  if (s) return s;
  bool seeded = !is_missing(norn_infer_option(inf, TRAIN_seed));
  if (seeded && !option_int(inf, TRAIN_seed, 0, &seed)) return norn_error(st)->code;
  bool again = resume.tag == NORN_BOOL && resume.i && e->checkpoint && is_file(e->checkpoint);
  e->t = again ? net_training_load(st, what, e->checkpoint)
               : net_training_new(st, what, &spec, seconds, seeded ? (uint64_t)seed : norn_infer_stream(inf));
  if (!e->t) return norn_error(st)->code;
  uint64_t wanted = (uint64_t)seed;
  if (again && (s = net_training_agrees(e->t, e->checkpoint, norn_infer_option(inf, TRAIN_spec), true, seconds,
                                        spec.steps, seeded ? &wanted : NULL)))
    return s;
  if ((s = train_device(inf, e->t))) return s;
  e->saved = infer_seconds();
  return e->checkpoint && !again ? net_training_save(e->t, e->checkpoint) : NORN_OK;
}

/* The answer is a net. */
static norn_step train_end(norn_infer *inf, trainer *e)
{
  norn_state *st = norn_infer_state(inf);
  net *n = net_training_result(e->t);
  if (!n) return NORN_STEP_FAIL;
  norn_datum v = net_datum(st, n);
  if (norn_is_none(v)) {
    net_free(n);
    return NORN_STEP_FAIL;
  }
  return (inf->answer = norn_keep(st, v)) ? NORN_STEP_DONE : NORN_STEP_FAIL;
}

/* Ctrl-C. */
static norn_step train_stop(norn_infer *inf, trainer *e)
{
  norn_state *st = norn_infer_state(inf);
  net_progress p;
  norn_clear(st);
  net_training_progress(e->t, &p);
  norn_warning(st, (norn_span){ 0 },
               "training was interrupted at step %lld, %.0f %%: the net is what was learned so far",
               (long long)p.step, 100 * p.fraction);
  return train_end(inf, e);
}

static norn_status train_save(norn_infer *inf, trainer *e)
{
  double now = infer_seconds();
  if (!e->checkpoint || now - e->saved < e->every) return NORN_OK;
  e->saved = now;
  (void)inf;
  return net_training_save(e->t, e->checkpoint);
}

static norn_step train_step(norn_infer *inf, void *self)
{
  trainer *e = self;
  norn_state *st = norn_infer_state(inf);
  double begun = infer_seconds();
  norn_step s;
  do {
    s = net_training_step(e->t);
    if (s == NORN_STEP_FAIL) return norn_error(st)->code == NORN_EINTERRUPT ? train_stop(inf, e) : s;
    if (norn_poll(st)) return norn_error(st)->code == NORN_EINTERRUPT ? train_stop(inf, e) : NORN_STEP_FAIL;
  } while (s == NORN_STEP_MORE && infer_seconds() - begun < SLICE);
  if (s == NORN_STEP_DONE) return train_end(inf, e);
  return train_save(inf, e) ? NORN_STEP_FAIL : s;
}

void net_score_text(double efficiency, double kl, double gain, char *out, size_t n)
{
  if (isfinite(efficiency)) snprintf(out, n, "ESS %.3g %%", 100 * efficiency);
  else if (isfinite(kl)) snprintf(out, n, "KL %.2g", kl);
  else if (isfinite(gain)) snprintf(out, n, "gain %.3g", gain);
  else *out = 0;
}

void net_progress_text(const net_progress *p, norn_progress *out)
{
  char held[24] = "", skipped[32] = "", score[24];
  if (isfinite(p->held_out)) snprintf(held, sizeof held, "  held-out %.4g", p->held_out);
  if (p->skipped) snprintf(skipped, sizeof skipped, "  skipped %lld", (long long)p->skipped);
  net_score_text(p->efficiency, p->kl, p->marginal - p->held_out, score, sizeof score);
  snprintf(out->state, sizeof out->state, "loss %.4g%s%s%s  %.3g runs/s%s", p->loss, *score ? "  " : "", score, held,
           p->runs_per_second, skipped);
  out->done = (double)p->step;
  out->total = p->fraction > 0 ? (double)p->step / p->fraction : 0;
}

static void train_progress(norn_infer *inf, void *self, norn_progress *out)
{
  trainer *e = self;
  net_progress p;
  (void)inf;
  if (!e->t) return;
  net_training_progress(e->t, &p);
  net_progress_text(&p, out);
}

static void train_free(norn_infer *inf, void *self)
{
  trainer *e = self;
  net_training_free(e->t);
  if (e->checkpoint) engine_put(norn_infer_state(inf), e->checkpoint, e->ncheckpoint);
}

const norn_engine engine_train = {
  .version = NORN_ENGINE_VERSION,
  .name = "_train",
  .doc = "Learns a net: train() of the prelude.",
  .options = train_options,
  .noptions = TRAIN_COUNT,
  .size = sizeof(trainer),
  .init = train_init,
  .step = train_step,
  .progress = train_progress,
  .free = train_free
};

/* ---- what a net tells of itself ---- */

/* Names of sites, or of inputs. */
static norn_datum names_of(norn_state *st, const net_schema *s, bool inputs)
{
  int64_t n = inputs ? s->ninput : s->nsite;
  void *data;
  norn_datum a = norn_array(st, NORN_VALUES, 1, &n, &data);
  if (norn_is_none(a)) return a;
  for (int64_t i = 0; i < n; i++) ((norn_datum *)data)[i] = norn_unit();
  for (int64_t i = 0; i < n; i++) {
    norn_datum v = norn_cstring(st, inputs ? s->input[i].name : s->site[i].name);
    if (norn_is_none(v)) return v;
    ((norn_datum *)data)[i] = v;
  }
  return a;
}

static size_t parameters_of(const net *n)
{
  size_t sum = 0;
  for (int i = 0; i < n->params.n; i++) sum += n->params.tensor[i].n;
  return sum;
}

static norn_datum known(double x) { return isnan(x) ? norn_missing() : norn_real(x); }

norn_datum net_info(norn_state *st, const net *n)
{
  static const char *const names[] = { "kind", "model", "loss", "held_out", "marginal", "efficiency", "kl", "steps", "runs", "seconds",
                                       "parameters", "seed", "sites", "inputs" };
  norn_datum v[] = {
    norn_cstring(st, net_kind_names[n->spec.kind]), norn_cstring(st, n->model_name), norn_real(n->loss),
    norn_real(n->held_out), known(n->marginal), known(n->efficiency), known(n->kl), norn_int(n->step), norn_int((int64_t)n->runs),
    n->seconds > 0 ? norn_real(n->seconds) : norn_missing(),
    norn_int((int64_t)parameters_of(n)), norn_int((int64_t)(n->seed & INT64_MAX)), names_of(st, &n->schema, false),
    names_of(st, &n->schema, true)
  };
  for (int i = 0; i < NORN_COUNT(v); i++) if (norn_is_none(v[i])) return v[i];
  return norn_record(st, NORN_COUNT(v), names, v);
}
