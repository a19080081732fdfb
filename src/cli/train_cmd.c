/* norn train: a net for a model of a file; no script needed.

   FILE is loaded and the model chosen as norn infer does; a model without parameters may give another one, so
   that sizes of data and priors vary.  The work is train_work.c's. */
#include "train.h"
#include "norn_net.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
  train_work w;
  norn_ref *model, *spec;
  norn_training *t;
  const char *device, *precision;      /* --device, --precision; NULL: not given */
} job;

/* ---- before the work ---- */

static int usage(cli *c)
{
  static const char *const kinds[] = { "npe", "pfn", "distribution_transformer" };
  if (c->nwords != 1 || !c->out) {
    cli_complain(c, "train needs a file and where the net goes: norn train FILE --out NET.safetensors --seconds 60");
    return EXIT_USAGE;
  }
  if (c->seconds > 0 && c->train_steps) {
    cli_complain(c, "--seconds and --steps: one of them says how long");
    return EXIT_USAGE;
  }
  if (!c->kind) c->kind = "npe";
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) if (strcmp(c->kind, kinds[i]) == 0) return EXIT_FINE;
  cli_complain(c, "--kind takes npe, pfn or distribution_transformer, got '%s'", c->kind);
  return EXIT_USAGE;
}

/* The value of --NAME, which is no option of the kind, out of the flags; NULL: it was not given. */
static const char *take_flag(cli *c, const char *name)
{
  for (int i = 0; i < c->nflags; i++) {
    if (strcmp(c->flags[i].name, name) != 0) continue;
    const char *value = c->flags[i].value;
    free((char *)c->flags[i].name);
    c->nflags--;
    memmove(c->flags + i, c->flags + i + 1, (size_t)(c->nflags - i) * sizeof *c->flags);
    return value;
  }
  return NULL;
}

static bool one_of(cli *c, const char *option, const char *got, const char *const *words, const char *all)
{
  for (int i = 0; got && words[i]; i++) if (!strcmp(got, words[i])) return true;
  if (got) cli_complain(c, "--%s takes %s, got '%s'", option, all, got);
  return !got;
}

static int place(job *j)
{
  static const char *const devices[] = { "cpu", "gpu", "auto", NULL }, *const precisions[] = { "bf16", "f32", NULL };
  cli *c = j->w.c;
  j->device = take_flag(c, "device");
  j->precision = take_flag(c, "precision");
  return one_of(c, "device", j->device, devices, "cpu, gpu or auto") &&
         one_of(c, "precision", j->precision, precisions, "bf16 or f32") ? EXIT_FINE : EXIT_USAGE;
}

static int prepare(job *j)
{
  cli *c = j->w.c;
  int code = usage(c);
  if (code == EXIT_FINE) code = place(j);
  if (code != EXIT_FINE) return code;
  if (!train_files(&j->w)) return EXIT_PROGRAM;
  code = infer_subject(c, &j->model);
  if (code != EXIT_FINE) return code;
  c->engine = c->kind;                 /* flags are its options */
  return cli_engine_value(c, &j->spec);
}

/* ---- the work ---- */

/* What is given beside --resume must be what the checkpoint has. */
static norn_status agrees(job *j)
{
  cli *c = j->w.c;
  bool kind = c->said_kind || c->nflags;
  return norn_training_agrees(j->t, j->w.checkpoint, kind ? norn_get(j->spec) : norn_none(), c->seconds,
                              (int64_t)c->train_steps, c->said_seed ? &c->config.seed : NULL);
}

static norn_status net_begin(train_work *w, bool resumes)
{
  job *j = (job *)w;
  cli *c = w->c;
  norn_trained p;
  j->t = resumes ? norn_training_load(c->st, norn_get(j->model), w->checkpoint)
                 : norn_training_new(c->st, norn_get(j->model), norn_get(j->spec), c->seconds,
                                     (int64_t)c->train_steps, c->config.seed);
  if (!j->t) return norn_error(c->st)->code;
  norn_status s = resumes ? agrees(j) : NORN_OK;
  if (!s && j->device) s = norn_training_device(j->t, j->device, !j->precision || strcmp(j->precision, "f32") != 0);
  if (s || !resumes || c->quiet) return s;
  norn_training_look(j->t, &p);
  progress_wipe(c);
  fprintf(stderr, "resuming from %s, step %lld\n", w->checkpoint, (long long)p.step);
  return NORN_OK;
}

static norn_step net_step(train_work *w) { return norn_training_step(((job *)w)->t); }
static norn_status net_save(train_work *w) { return norn_training_save(((job *)w)->t, w->checkpoint); }
static void net_progress(const train_work *w, norn_progress *p) { norn_training_progress(((const job *)w)->t, p); }

static norn_status net_put(train_work *w)
{
  cli *c = w->c;
  norn_datum net = norn_training_net(((job *)w)->t);
  norn_ref *kept = norn_is_none(net) ? NULL : norn_keep(c->st, net);
  norn_status s = kept ? norn_net_save(c->st, norn_get(kept), c->out) : norn_error(c->st)->code;
  if (s == NORN_OK && !c->quiet) cli_print(c, norn_get(kept), false, 0);
  if (kept) norn_drop(kept);
  return s;
}

static int64_t net_where(const train_work *w, char *words, size_t n)
{
  norn_trained p;
  norn_training_look(((const job *)w)->t, &p);
  snprintf(words, n, "step %lld, %.0f %%", (long long)p.step, 100 * p.fraction);
  return p.step;
}

static const train_row net_row = { net_begin, net_step, net_save, net_progress, net_put, net_where };

int train_main(cli *c)
{
  if (c->text) return train_text_main(c);
  job j = { .w = { .c = c, .row = &net_row } };
  int code = prepare(&j);
  if (code == EXIT_FINE) code = train_run(&j.w);
  norn_training_free(j.t);
  if (j.model) norn_drop(j.model);
  if (j.spec) norn_drop(j.spec);
  free(j.w.checkpoint);
  return code;
}
