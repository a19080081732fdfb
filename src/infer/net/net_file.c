/* net_file.c: nets as files .safetensors: weights as tensors by their names, all else (schema, spec, the
   hash of the program, scales, seed, step) as one record of JSON in the metadata.  What is read is checked
   as if by an enemy: sizes before memory is taken for them, and whatever follows from the rest (rows of the
   table) is computed anew.  How long training took is not written: the same net gives the same bytes. */
#include "infer/net/net_file.h"
#include "infer/net/net_fields.h"
#include "infer/net/net_in.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "norn net 1"
/* Limits of what is read: far beyond what trains in a life, and no sum or product of them overflows. */
enum {
  MOST_WIDTH = 1 << 14, MOST_LAYERS = 1 << 10, MOST_SITES = 1 << 12, MOST_HEADS = 1 << 14, MOST_INPUTS = 32,
  MOST_COORDS = 1 << 24, MOST_CATEGORIES = 1 << 16, MOST_PIECES = 1 << 16, MOST_TOKENS = 1 << 24,
  MOST_ROWS = 1 << 24, MOST_SIMULATIONS = 1 << 30
};
#define ANY (double)NAN, (double)INFINITY
#define FINITE -1e300, 1e300

static const char *const value_names[] = { "real", "bool", "category", "count" };
static const char *const head_words[] = { "auto", "bars", "mixture" };

/* ---- one walk for both ways ---- */

static bool walk_spec(fields *f, net_spec *s)
{
  int kind = (int)s->kind, head = 0;
  for (int k = 1; k < 3; k++)
    if (s->head && strcmp(s->head, head_words[k]) == 0) head = k;
  nn_shape *n = &s->shape;
  bool fine =
    fields_word(f, "kind", &kind, net_kind_names, NET_KINDS) && fields_int(f, "d", &n->d, 1, MOST_WIDTH) &&
    fields_int(f, "layers", &n->layers, 1, MOST_LAYERS) && fields_int(f, "heads", &n->heads, 1, n->d) &&
    fields_int(f, "ff", &n->ff, 1, 8 * MOST_WIDTH) && fields_bool(f, "swiglu", &n->swiglu) &&
    fields_int(f, "bars", &s->bars, 0, MOST_PIECES) &&
    fields_int(f, "components", &s->components, 0, MOST_PIECES) &&
    fields_word(f, "head", &head, head_words, 3) && fields_real(f, "subsets", &s->subsets, 0, 1) &&
    fields_int(f, "batch", &s->batch, 0, 1 << 24) &&
    fields_int(f, "most_batch", &s->most_batch, 0, 1 << 24) &&
    fields_bool(f, "adapt", &s->adapt) && fields_i64(f, "steps", &s->steps, 0, (int64_t)1 << 50) &&
    fields_i64(f, "simulations", &s->simulations, 0, MOST_SIMULATIONS) &&
    fields_int(f, "patience", &s->patience, 0, 1 << 30) && fields_real(f, "rate", &s->rate, 0, 1e6) &&
    fields_real(f, "decay", &s->decay, 0, 1e6) && fields_real(f, "clip", &s->clip, 0, 1e30) &&
    fields_real(f, "warm", &s->warm, 0, 1);
  if (!fine) return false;
  s->kind = (net_kind)kind;
  s->head = head_words[head];
  s->inputs = norn_missing();
  return n->d % n->heads == 0 ? true : fields_bad(f, "d", "a multiple of heads");
}

/* Memory for numbers that are read. */
static bool room(fields *f, double **x, size_t n)
{
  if (f->reading && !f->failed && !(*x = engine_get(f->st, n * sizeof **x))) f->failed = true;
  return !f->failed;
}

static bool walk_site(fields *f, net_site *s, int ninput, int nhead)
{
  int value = (int)s->value;
  int64_t inputs = s->inputs;
  double *sd;
  bool fine =
    fields_text(f, "name", s->name, sizeof s->name) && fields_bool(f, "latent", &s->latent) &&
    fields_bool(f, "observed", &s->observed) && fields_bool(f, "split", &s->split) &&
    fields_bool(f, "plain", &s->plain) && fields_word(f, "value", &value, value_names, 4) &&
    fields_int(f, "coords", &s->coords, 1, MOST_COORDS) &&
    fields_int(f, "categories", &s->categories, 0, MOST_CATEGORIES) &&
    fields_int(f, "nargs", &s->nargs, 0, NET_ARGS) &&
    fields_int(f, "ncovariates", &s->ncovariates, 0, NET_COVARIATES) &&
    fields_i64(f, "inputs", &inputs, 0, ((int64_t)1 << ninput) - 1) &&
    fields_int(f, "hot", &s->hot, 0, NET_HOT) && fields_int(f, "first_head", &s->head, -1, nhead - 1);
  if (!fine) return false;
  s->value = (net_value)value;
  s->inputs = (uint32_t)inputs;
  size_t n = s->split ? 1 : (size_t)s->coords;
  if (!room(f, &s->mean, n) || !room(f, &s->sd, n)) return false;
  sd = s->sd;
  return fields_reals(f, "mean", s->mean, n, FINITE) && fields_reals(f, "sd", sd, n, 1e-300, 1e300) &&
         fields_reals(f, "arg_mean", s->arg_mean, NET_ARGS, FINITE) &&
         fields_reals(f, "arg_sd", s->arg_sd, NET_ARGS, 0, 1e300) &&
         fields_reals(f, "index_scale", s->index_scale, NET_INDICES, FINITE);
}

static bool walk_input(fields *f, net_input *s)
{
  return fields_text(f, "name", s->name, sizeof s->name) && fields_bool(f, "array", &s->array) &&
         fields_int(f, "width", &s->width, 0, NET_COVARIATES) && fields_real(f, "mean", &s->mean, FINITE) &&
         fields_real(f, "sd", &s->sd, 1e-300, 1e300);
}

static bool walk_head(fields *f, nn_head *h)
{
  int kind = (int)h->kind;
  if (!fields_word(f, "kind", &kind, nn_head_names, NN_HEAD_KINDS) ||
      !fields_int(f, "n", &h->n, 1, MOST_PIECES) || !fields_real(f, "at", &h->at, FINITE) ||
      !fields_real(f, "scale", &h->scale, 0, 1e300)) return false;
  h->kind = (nn_head_kind)kind;
  if (h->kind != NN_BARS) return true;
  size_t n = (size_t)h->n + 1;
  if (!room(f, &h->border, n) || !fields_reals(f, "border", h->border, n, FINITE) ||
      !fields_reals(f, "tail", h->tail, 2, 1e-300, 1e300)) return false;
  if (h->n < 3) return fields_bad(f, "n", "at least 3 of bars");
  for (int k = 0; k < h->n; k++)
    if (!(h->border[k] < h->border[k + 1])) return fields_bad(f, "border", "rising");
  return true;
}

/* The heads of a site are there, and of its kind. */
static bool heads_fit(fields *f, const net_schema *s, const net_site *site)
{
  static const nn_head_kind kinds[] = { NN_BARS, NN_BERNOULLI, NN_CATEGORIES, NN_COUNTS };
  int n = site->split ? 1 : site->coords;
  bool rows = site->value != NET_CATEGORY || site->categories > 0;
  if (!rows) return fields_bad(f, "categories", "at least 1");
  if (site->head < 0) return true;
  if (site->head + n > s->nhead) return fields_bad(f, "first_head", "that of heads which are there");
  for (int k = 0; k < n; k++) {
    const nn_head *h = &s->head[site->head + k];
    bool right = h->kind == kinds[site->value] || (site->value == NET_REAL && h->kind == NN_MIXTURE);
    if (!right || (h->kind == NN_CATEGORIES && h->n != site->categories))
      return fields_bad(f, "first_head", "that of heads of its kind");
  }
  return true;
}
/* How many rows the table has at most, before they are laid out by sums of ints. */
static bool rows_fit(fields *f, const net_schema *s)
{
  int64_t rows = (int64_t)NET_INDICES * NET_HOT + 2 * s->ninput;
  for (int i = 0; i < s->nsite; i++) {
    const net_site *t = &s->site[i];
    int64_t coords = t->split ? 1 : t->coords, each = t->categories > 1 ? t->categories : 1;
    rows += 1 + coords + coords * each + t->nargs + NET_INDICES + t->ncovariates;
  }
  return rows <= MOST_ROWS ? true : fields_bad(f, "sites", "of fewer coordinates and categories");
}

/* A token's covariates are its inputs' numbers, for which who asks has room for NET_COVARIATES. */
static bool covariates_fit(fields *f, const net_schema *s, const net_site *site)
{
  int n = 0;
  for (int i = 0; i < s->ninput; i++) n += site->inputs >> i & 1 ? s->input[i].width : 0;
  return n == site->ncovariates ? true : fields_bad(f, "ncovariates", "the width of all its inputs");
}

static bool walk_list(fields *f, const char *name, void *array, int *n, int *cap, size_t size, int most)
{
  void **to = array;
  if (!fields_list(f, name, n, most)) return false;
  if (!f->reading) return true;
  *to = engine_get(f->st, (size_t)*n * size);
  if (!*to) f->failed = true;
  if (cap) *cap = *to ? *n : 0;
  if (!*to) *n = 0;
  return *to != NULL;
}

static bool walk_schema(fields *f, net_schema *s)
{
  int nsite = s->nsite, nhead = s->nhead;
  if (!fields_int(f, "longest", &s->longest, 0, MOST_TOKENS) ||
      !fields_int(f, "context", &s->context, 0, MOST_TOKENS) ||
      !walk_list(f, "inputs", &s->input, &s->ninput, NULL, sizeof *s->input, MOST_INPUTS)) return false;
  for (int i = 0; i < s->ninput; i++) {
    if (!fields_item(f, i) || !walk_input(f, &s->input[i])) return false;
    fields_leave(f);
  }
  fields_leave(f);
  if (!walk_list(f, "heads", &s->head, &nhead, NULL, sizeof *s->head, MOST_HEADS)) return false;
  s->nhead = nhead;
  for (int i = 0; i < nhead; i++) {
    if (!fields_item(f, i) || !walk_head(f, &s->head[i])) return false;
    fields_leave(f);
  }
  fields_leave(f);
  if (!walk_list(f, "sites", &s->site, &nsite, &s->csite, sizeof *s->site, MOST_SITES)) return false;
  for (int i = 0; i < nsite; i++) {
    if (f->reading) s->nsite = i + 1;
    if (!fields_item(f, i) || !walk_site(f, &s->site[i], s->ninput, nhead)) return false;
    fields_leave(f);
    if (f->reading && (!heads_fit(f, s, &s->site[i]) || !covariates_fit(f, s, &s->site[i]))) return false;
  }
  fields_leave(f);
  return !f->reading || rows_fit(f, s);
}

/* The whole, but weights. */
static bool walk_net(fields *f, net *n)
{
  if (!fields_text(f, "model", n->model_name, sizeof n->model_name) ||
      !fields_u64(f, "program", &n->program) ||
      !fields_u64(f, "seed", &n->seed) || !fields_i64(f, "step", &n->step, 0, (int64_t)1 << 50) ||
      !fields_real(f, "runs", &n->runs, 0, 1e30) || !fields_real(f, "loss", &n->loss, ANY) ||
      !fields_real(f, "held_out", &n->held_out, ANY) || !fields_real(f, "marginal", &n->marginal, ANY) ||
      !fields_real(f, "efficiency", &n->efficiency, ANY) || !fields_real(f, "kl", &n->kl, ANY) ||
      !fields_enter(f, "spec") || !walk_spec(f, &n->spec)) return false;
  fields_leave(f);
  if (!fields_enter(f, "schema") || !walk_schema(f, &n->schema)) return false;
  fields_leave(f);
  return !f->failed;
}

static void *alloc_hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }

/* ---- writing ---- */

static tensor_entry entry_of(const nn_params *p, int k)
{
  const nn_tensor *t = &p->tensor[k];
  tensor_entry e = { .name = t->name, .type = TENSOR_F32, .rank = t->rank, .data = p->w + t->at,
                     .size = t->n * sizeof(float) };
  memcpy(e.dims, t->dims, sizeof t->dims);
  return e;
}
static tensor_entry moment_of(const nn_params *p, const char *name, const float *x)
{
  return (tensor_entry){ .name = name, .type = TENSOR_F32, .rank = 1, .dims = { (int64_t)p->count },
                         .data = x, .size = p->count * sizeof *x };
}

/* path NULL: into *bytes. */
static norn_status write_all(norn_state *st, const net *n, const net_more *more, const char *json,
                             const char *path, void **bytes_out, size_t *size)
{
  bool moments = more && more->moments && n->params.m;
  int nmeta = more ? more->nmeta : 0, extra = more ? more->n : 0, m = n->params.n;
  size_t bytes = (size_t)(m + 2 + extra) * sizeof(tensor_entry);
  size_t words = (size_t)(nmeta + 2) * 2 * sizeof(char *);
  tensor_entry *e = engine_get(st, bytes);
  const char **key = engine_get(st, words), **value = key ? key + nmeta + 2 : NULL;
  norn_status code = NORN_EMEMORY;
  if (e && key) {
    for (int k = 0; k < m; k++) e[k] = entry_of(&n->params, k);
    if (moments) e[m++] = moment_of(&n->params, "adam.m", n->params.m);
    if (moments) e[m++] = moment_of(&n->params, "adam.v", n->params.v);
    for (int k = 0; k < extra; k++) e[m++] = more->entry[k];
    key[0] = "format", value[0] = FORMAT;
    key[1] = "net", value[1] = json;
    for (int k = 0; k < nmeta; k++) {
      key[k + 2] = more->key[k];
      value[k + 2] = more->value[k];
    }
    code = path ? tensor_file_write(st, path, e, m, key, value, nmeta + 2)
                : tensor_file_bytes(st, e, m, key, value, nmeta + 2, bytes_out, size);
  }
  engine_put(st, e, bytes);
  engine_put(st, key, words);
  return code;
}

static norn_status net_write(norn_state *st, const net *n, const net_more *more, const char *path, void **bytes,
                             size_t *size)
{
  net copy = *n;                             /* the walk changes nothing when it writes, but wants it */
  mem m;
  fields f = { .st = st, .file = path ? path : "a checkpoint" };
  mem_init(&m);
  m.alloc = alloc_hook;
  m.user = st;
  text_init(&f.out, &m);
  text_putc(&f.out, '{');
  norn_status code = walk_net(&f, &copy) ? NORN_OK : norn_error(st)->code;
  text_putc(&f.out, '}');
  if (!code && f.out.failed) code = norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  if (!code) code = write_all(st, n, more, f.out.s, path, bytes, size);
  text_free(&f.out);
  return code;
}

norn_status net_file_write(norn_state *st, const net *n, const net_more *more, const char *path)
{
  return net_write(st, n, more, path, NULL, NULL);
}

norn_status net_bytes_write(norn_state *st, const net *n, void **bytes, size_t *size)
{
  *bytes = NULL;
  *size = 0;
  return net_write(st, n, NULL, NULL, bytes, size);
}

norn_status net_save(norn_state *st, const net *n, const char *path)
{
  return net_file_write(st, n, NULL, path);
}

/* ---- reading ---- */

static bool not_sound(norn_state *st, const char *path, const char *name, const char *what)
{
  norn_fail(st, NORN_EIO, 0, "%s holds no sound net: tensor %s %s", path, name, what);
  norn_hint(st, "it was changed, or written by another version of Norn");
  return false;
}
static bool take_numbers(norn_state *st, const char *path, const tensor_entry *want, const tensor_file *f,
                         float *to)
{
  const tensor_entry *e = tensor_file_find(f, want->name);
  if (!e) return not_sound(st, path, want->name, "is missing");
  if (e->rank != want->rank || memcmp(e->dims, want->dims, (size_t)e->rank * sizeof *e->dims))
    return not_sound(st, path, want->name, "has another shape than the net");
  if (!tensor_to_f32(e, to)) return not_sound(st, path, want->name, "is not of floating-point numbers");
  for (int64_t i = 0, n = tensor_count(e); i < n; i++)
    if (!isfinite(to[i])) return not_sound(st, path, want->name, "holds numbers that are not finite");
  return true;
}
/* How many are the net's. */
static int tensors_of(const tensor_file *f)
{
  int n = 0;
  for (int k = 0; k < f->n; k++) {
    const char *name = f->entry[k].name;
    n += strncmp(name, "adam.", 5) != 0 && strncmp(name, "training.", 9) != 0;
  }
  return n;
}
static bool take_weights(norn_state *st, const char *path, const tensor_file *f, net *n, bool moments)
{
  nn_params *p = &n->params;
  for (int k = 0; k < p->n; k++) {
    tensor_entry want = entry_of(p, k);
    if (!take_numbers(st, path, &want, f, p->w + p->tensor[k].at)) return false;
  }
  if (tensors_of(f) != p->n) {
    norn_fail(st, NORN_EIO, 0, "%s holds no sound net: it has tensors that are no part of the net", path);
    return false;
  }
  if (!moments) return true;
  tensor_entry m = moment_of(p, "adam.m", p->m), v = moment_of(p, "adam.v", p->v);
  return take_numbers(st, path, &m, f, p->m) && take_numbers(st, path, &v, f, p->v);
}

/* A net has at least these numbers, and the file holds them: no more memory is taken than a file could
   fill. */
static bool large_enough(norn_state *st, const char *path, const tensor_file *f, const net *n)
{
  const nn_shape *s = &n->spec.shape;
  double least = (double)n->schema.rows * s->d + (double)s->layers * (4.0 * s->d * s->d + 2.0 * s->d * s->ff);
  double most = 0;
  for (int k = 0; k < n->schema.nhead; k++)
    least += (double)s->ff * (s->d + nn_head_width(&n->schema.head[k]));
  for (int k = 0; k < f->n; k++) most += (double)tensor_count(&f->entry[k]);
  if (least <= most) return true;
  norn_fail(st, NORN_EIO, 0, "%s holds no sound net: it has %.0f numbers, and its shape wants more than %.0f",
            path, most, least);
  return false;
}

/* The net with its first weights; what was read of it is moved there. */
static net *build(norn_state *st, const char *path, const tensor_file *f, net *read, bool moments)
{
  if (!net_schema_open(st, &read->schema)) return NULL;
  net_lay_out(&read->schema);
  if (!large_enough(st, path, f, read)) return NULL;
  net *n = net_new(st, &read->spec, &read->schema, read->seed, moments);
  if (!n) return NULL;
  memcpy(n->model_name, read->model_name, sizeof n->model_name);
  n->program = read->program;
  n->step = read->step;
  n->runs = read->runs;
  n->loss = read->loss;
  n->held_out = read->held_out;
  n->marginal = read->marginal;
  n->efficiency = read->efficiency;
  n->kl = read->kl;
  if (take_weights(st, path, f, n, moments)) return n;
  net_free(n);
  return NULL;
}

static bool read_record(norn_state *st, const char *path, const tensor_file *f, net *n)
{
  const char *format = tensor_file_meta(f, "format"), *json = tensor_file_meta(f, "net");
  fields in = { .st = st, .file = path, .reading = true };
  if (!format || strncmp(format, "norn net ", 9) || !json) {
    norn_fail(st, NORN_EIO, 0, "%s is a file of tensors, but holds no net of Norn", path);
    norn_hint(st, "save(net, \"%.100s\") writes one", "x.safetensors");
    return false;
  }
  if (strcmp(format, FORMAT) != 0)
    return !norn_fail(st, NORN_EIO, 0, "%s is of a version of nets that this Norn does not know: %.20s", path,
                      format);
  if (json_read(st, path, json, strlen(json), JSON_IO_EXACT, &in.at[0])) return false;
  return walk_net(&in, n);
}

/* The net of a file that is open. */
static net *net_of_file(norn_state *st, const char *path, bool moments, const tensor_file *f)
{
  net read = { .st = st }, *n = NULL;
  if (moments && !tensor_file_find(f, "adam.m")) {
    norn_fail(st, NORN_EIO, 0, "%s holds a net, not a training that can go on", path);
    norn_hint(st, "save(net, file) leaves the optimiser out; norn train --out keeps it while it trains");
  } else if (read_record(st, path, f, &read)) {
    n = build(st, path, f, &read, moments);
  }
  net_schema_free(st, &read.schema);
  return n;
}

net *net_bytes_read(norn_state *st, const char *name, const void *bytes, size_t size)
{
  tensor_file f;
  if (!tensor_file_view(st, name, bytes, size, &f)) return NULL;
  net *n = net_of_file(st, name, false, &f);
  tensor_file_close(&f);
  return n;
}

net *net_file_read(norn_state *st, const char *path, bool moments, tensor_file *keep)
{
  tensor_file f;
  if (!tensor_file_open(st, path, &f)) return NULL;
  net *n = net_of_file(st, path, moments, &f);
  if (n && keep) *keep = f;
  else tensor_file_close(&f);
  return n;
}

net *net_load(norn_state *st, const char *path) { return net_file_read(st, path, false, NULL); }
