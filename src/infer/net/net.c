/* net.c: a net as a whole: made, freed, and as a value of Norn, a handle (net.h). */
#include "infer/net/net.h"
#include "infer/checkpoint.h"
#include "infer/net/net_file.h"
#include "infer/net/net_train.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const net_kind_names[NET_KINDS] = { "pfn", "npe", "distribution_transformer" };

/* The spec's word for heads, as a text that lives for ever. */
static const char *head_word(const char *s)
{
  return s && strcmp(s, "bars") == 0 ? "bars" : s && strcmp(s, "mixture") == 0 ? "mixture" : "auto";
}

net *net_new(norn_state *st, const net_spec *spec, net_schema *take, uint64_t seed, bool learn)
{
  net *n = engine_get(st, sizeof *n);
  if (!n) {
    net_schema_free(st, take);
    return NULL;
  }
  n->st = st;
  n->spec = *spec;
  n->spec.inputs = norn_missing();
  n->spec.head = head_word(spec->head);
  n->schema = *take;
  n->spec.shape.rows = n->schema.rows;
  memset(take, 0, sizeof *take);
  nn_params_init(&n->params, st);
  n->seed = seed;
  n->loss = n->held_out = n->marginal = n->efficiency = n->kl = NAN;
  n->model = nn_model_new(st, &n->params, &n->spec.shape, n->schema.head, n->schema.nhead);
  if (!n->model || !nn_params_make(&n->params, learn)) {
    net_free(n);
    return NULL;
  }
  norn_rng g = { .stream = norn_stream_split(seed, ENGINE_LANE, 0, 1) };
  nn_model_start(n->model, &g);
  return n;
}

void net_free(net *n)
{
  if (!n) return;
  norn_state *st = n->st;
  nn_model_free(n->model);
  nn_params_free(&n->params);
  net_schema_free(st, &n->schema);
  if (n->what) norn_drop(n->what);
  engine_put(st, n, sizeof *n);
}

/* ---- as a value ---- */

static void handle_free(norn_state *st, void *p)
{
  (void)st;
  net_free(p);
}

/* 34512 as 34,512. */
static void with_commas(uint64_t x, char out[32])
{
  char digits[24];
  int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)x), at = 0;
  for (int i = 0; i < n; i++) {
    if (i > 0 && (n - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = 0;
}

/* <npe of model coin: 34,512 parameters, 3,000 steps, loss 0.53, ESS 93 %> */
static void handle_show(norn_state *st, void *p, char *buf, size_t size)
{
  const net *n = p;
  char parameters[32], steps[32], loss[40] = "", score[32] = ", ";
  size_t count = 0;
  (void)st;
  for (int i = 0; i < n->params.n; i++) count += n->params.tensor[i].n;
  with_commas(count, parameters);
  with_commas((uint64_t)n->step, steps);
  if (isfinite(n->held_out)) snprintf(loss, sizeof loss, ", loss %.4g", n->held_out);
  else if (isfinite(n->loss)) snprintf(loss, sizeof loss, ", loss %.4g", n->loss);
  net_score_text(n->efficiency, n->kl, n->marginal - n->held_out, score + 2, sizeof score - 2);
  snprintf(buf, size, "<%s of model %s: %s parameters, %s step%s%s%s>", net_kind_names[n->spec.kind],
           n->model_name[0] ? n->model_name : "without a name", parameters, steps, n->step == 1 ? "" : "s",
           loss, score[2] ? score : "");
}

static const norn_handle_row row = { .name = "net", .free = handle_free, .show = handle_show };

norn_datum net_datum(norn_state *st, net *n)
{
  size_t bytes = sizeof *n + n->params.count * sizeof(float) * (n->params.m ? 3 : 1);
  return norn_handle_new(st, &row, n, bytes);
}
net *net_view(norn_datum v) { return norn_handle_view(v, &row); }

/* In a checkpoint it is what it is in a file. */
static bool handle_archive(norn_archive *a, void **p)
{
  norn_state *st = norn_archive_state(a);
  void *bytes = NULL;
  size_t size = 0, room = 0;
  bool well = norn_archive_reading(a) || net_bytes_write(st, *p, &bytes, &size) == NORN_OK;
  if (bytes) room = size;
  if (!well) return norn_archive_fail(a, "%s", norn_error(st)->text);
  well = norn_archive_size(a, &size) && norn_archive_array(a, &bytes, &room, size, 1);
  if (well && norn_archive_reading(a) && !(*p = net_bytes_read(st, "a checkpoint", bytes, size)))
    well = norn_archive_fail(a, "%s", norn_error(st)->text);
  if (bytes) norn_alloc(st, bytes, room, 0);
  return well;
}

static size_t handle_bytes(const void *p)
{
  const net *n = p;
  return sizeof *n + n->params.count * sizeof(float);
}

const archive_handle net_archived = { &row, handle_archive, handle_bytes };

/* ---- whose net ---- */

void net_model_name(norn_state *st, norn_datum model, char *name, size_t n)
{
  const char *s = norn_show(st, model, true, 200);
  if (!s) s = "";
  s += *s == '<' ? strcspn(s, " ") + 1 : 0;
  snprintf(name, n, "%.*s", (int)strcspn(s, "(/> "), s);
}

norn_status net_must_be_of(norn_state *st, const net *n, uint64_t program, norn_datum model)
{
  char name[96];
  if (!program || program == n->program) return NORN_OK;
  net_model_name(st, model, name, sizeof name);
  if (strcmp(name, n->model_name) == 0) {
    norn_fail(st, NORN_EINFER, -1,
              "this net was trained for another program: its model %s had other code than %s has now",
              n->model_name, name);
    norn_hint(st, "train it anew; a net knows the program that it learned from, whatever the data");
  } else {
    norn_fail(st, NORN_EINFER, -1, "this net was trained for model %s, not for %s", n->model_name, name);
    norn_hint(st, "train a net for %s; if %s is what made its models, %s had other code then", name, n->model_name, name);
  }
  return NORN_EINFER;
}
