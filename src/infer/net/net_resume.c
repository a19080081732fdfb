/* net_resume: a training as a file, from which it goes on to the same bits: the net with the moments of its
   optimiser, the weights that were good, of a budget their mean over rounds, and in one text the numbers of the
   schedule.  What follows from these and the program is made again: runs are functions of their numbers. */
#include "base/number.h"
#include "infer/infer.h"
#include "infer/net/net_file.h"
#include "infer/net/net_train.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of the schedule in their order: doubles as hexadecimal, which is exact. */
#define WHOLE(X)                                                                                          \
  X(t->adam.step) X(t->next) X(t->batch) X(t->skipped) X(t->looked_step) X(t->good_step) X(t->stale) \
  X(t->looks)
#define REAL(X)                                                                                           \
  X(t->loss) X(t->weight) X(t->looked) X(t->good_loss) X(t->limit) X(t->before) X(t->n->loss) X(t->n->held_out)
#define KEY "training"
#define GOOD "training.good"
#define MEAN "training.mean"

static tensor_entry weights(const net_training *t, const char *name, const float *w)
{
  size_t count = t->n->params.count;
  return (tensor_entry){ .name = name, .type = TENSOR_F32, .rank = 1, .dims = { (int64_t)count }, .data = w,
                         .size = count * sizeof *w };
}

norn_status net_training_save(net_training *t, const char *path)
{
  static const char *const key[] = { KEY };
  char all[800];
  const char *const value[] = { all };
  size_t n = 0;
  double before = t->before;
  tensor_entry entry[] = { weights(t, GOOD, t->good), weights(t, MEAN, t->mean) };
  net_more more = { .moments = true, .entry = entry, .n = t->mine ? 2 : 1, .key = key, .value = value, .nmeta = 1 };
  if (!training_home(t)) return norn_error(t->st)->code;
  t->before = training_seconds(t);
#define PUT(x) n += (size_t)snprintf(all + n, sizeof all - n, "%" PRId64 " ", (int64_t)(x));
  WHOLE(PUT)
#undef PUT
  number_locale l = number_plain();
#define PUT(x) n += (size_t)snprintf(all + n, sizeof all - n, "%a ", x);
  REAL(PUT)
#undef PUT
  number_plain_end(l);
  t->before = before;
  return net_file_write(t->st, t->n, &more, path);
}

static bool damaged(norn_state *st, const char *path)
{
  norn_fail(st, NORN_EIO, -1, "%s is no training that can go on, or it is damaged", path);
  return false;
}

/* false: the text is another's. */
static bool numbers(net_training *t, const char *line)
{
  char *end = NULL;
  bool good = line != NULL;
#define TAKE(x)                                                                                           \
  if (good) {                                                                                             \
    int64_t v = strtoll(line, &end, 10);                                                                  \
    good = end != line && v >= 0;                                                                         \
    (x) = (__typeof__(x))v;                                                                               \
    line = end;                                                                                           \
  }
  WHOLE(TAKE)
#undef TAKE
#define TAKE(x) if (good) { double v = number_first(line, &end); good = end != line; (x) = v; line = end; }
  REAL(TAKE)
#undef TAKE
  return good && t->batch >= 1 && t->batch <= 1 << 20 && t->adam.step < (int64_t)1 << 50;
}

/* The names of the schema's inputs, as a spec has them. */
static norn_datum inputs_of(norn_state *st, const net_schema *s)
{
  int64_t n = s->ninput;
  void *data;
  if (!n) return norn_missing();
  norn_datum a = norn_array(st, NORN_VALUES, 1, &n, &data);
  if (norn_is_none(a)) return a;
  for (int i = 0; i < s->ninput; i++) ((norn_datum *)data)[i] = norn_unit();
  for (int i = 0; i < s->ninput; i++) {
    norn_datum v = norn_cstring(st, s->input[i].name);
    if (norn_is_none(v)) return v;
    ((norn_datum *)data)[i] = v;
  }
  return a;
}

static bool take_weights(const net_training *t, const tensor_file *f, const char *name, float *w)
{
  const tensor_entry *e = tensor_file_find(f, name);
  return e && e->type == TENSOR_F32 && e->rank == 1 && e->dims[0] == (int64_t)t->n->params.count && tensor_to_f32(e, w);
}

/* Takes what the file has beside the net. */
static bool take(net_training *t, const tensor_file *f, const char *path)
{
  if (!numbers(t, tensor_file_meta(f, KEY)) || !take_weights(t, f, GOOD, t->good) ||
      (t->mine && !take_weights(t, f, MEAN, t->mean)))
    return damaged(t->st, path);
  t->sat = t->next;
  t->n->step = t->adam.step;
  return true;
}

net_training *net_training_load(norn_state *st, norn_datum what, const char *path)
{
  tensor_file f = { 0 };
  net *n = net_file_read(st, path, true, &f);
  net_training *t = NULL;
  norn_ref *keep = n ? norn_keep(st, what) : NULL;               /* values move when the program runs */
  uint64_t program = keep ? net_program(st, what) : 0;
  if (keep && net_must_be_of(st, n, program, norn_get(keep)) == NORN_OK) {
    norn_datum inputs = inputs_of(st, &n->schema);
    t = training_new(st, norn_get(keep), inputs, 0, n->seed);
  }
  if (keep) norn_drop(keep);
  if (t) t->n = n;
  else if (n) net_free(n);
  if (!n) return NULL;
  if (t && (!training_ready(t) || !take(t, &f, path))) {
    net_training_free(t);
    t = NULL;
  }
  if (t) training_schedule(t);
  tensor_file_close(&f);
  return t;
}

/* ---- is it the one that is asked for? ---- */

static void length_text(double seconds, int64_t steps, char *out, size_t n)
{
  if (seconds > 0) snprintf(out, n, "%.10g seconds", seconds);
  else snprintf(out, n, "%" PRId64 " steps", steps);
}

norn_status net_training_agrees(const net_training *t, const char *path, norn_datum spec, bool all, double seconds,
                                int64_t steps, const uint64_t *seed)
{
  norn_state *st = t->st;
  char differs[700] = "", there[40], here[40];
  if (!norn_is_none(spec) && !net_spec_differs(st, t->n, spec, all, differs, sizeof differs)) return norn_error(st)->code;
  length_text(t->limit, t->n->spec.steps, there, sizeof there);
  length_text(seconds, steps, here, sizeof here);
  size_t at = strlen(differs);
  if ((seconds > 0 || steps > 0) && strcmp(there, here) != 0)
    snprintf(differs + at, sizeof differs - at, "%sthe length is %s there and %s here", at ? "; " : "", there, here);
  at = strlen(differs);
  if (seed && *seed != t->n->seed)
    snprintf(differs + at, sizeof differs - at, "%sthe seed is %" PRIu64 " there and %" PRIu64 " here", at ? "; " : "",
             t->n->seed, *seed);
  if (!*differs) return NORN_OK;
  norn_fail(st, NORN_EDOMAIN, -1, "%s is another training: %s", path, differs);
  norn_hint(st, "go on with what it has, or begin anew with another file");
  return NORN_EDOMAIN;
}
