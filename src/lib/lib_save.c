/* lib_save.c: nets in files .safetensors (infer/net/net_file.c), and posteriors in files: by what the name ends in,
   CmdStan's CSV (lib_draws.c), NetCDF (lib_draws_nc.c) or JSON:

     { "norn": "posterior", "version": 1, "exact": false, "values": [...],
       "log_weights": [...] or {"$unit": true}, "info": {...},
       "choices": { "theta[0]": [...] or another posterior } or {"$unit": true} }

   Reals are written in the shortest form that reads back equal, so that all of it comes back the
   same.  The model and the engine are code and are not saved: more() refuses a loaded posterior. */
#include "lib/lib_draws.h"
#include "infer/exact/enumerate.h"
#include "infer/net/net.h"
#include "infer/posterior.h"
#include "io/json.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static norn_datum packed(norn_state *st, norn_datum posterior, const norn_posterior *post);

/* Exact posteriors keep their choices as posteriors of their own. */
static norn_datum packed_choices(norn_state *st, norn_datum choices)
{
  int n = norn_record_size(choices);
  norn_datum keep, *v = n > 0 ? lib_values(st, n, &keep) : NULL;
  const char **name = v ? (const char **)(void *)lib_ints(st, n, &keep) : NULL;
  if (n <= 0) return norn_unit();
  if (!name) return norn_none();
  for (int k = 0; k < n; k++) {
    norn_posterior inner;
    name[k] = norn_record_at(st, choices, k, &v[k]);
    if (lib_is_posterior(v[k]) && norn_posterior_view(st, v[k], &inner))
      v[k] = packed(st, v[k], &inner);
    if (norn_is_none(v[k])) return v[k];
  }
  return norn_record(st, n, name, v);
}

/* info with another value for "probabilities". */
static norn_datum with_probabilities(norn_state *st, norn_datum info, norn_datum p)
{
  int n = norn_record_size(info);
  norn_datum keep, *v = lib_values(st, n, &keep);
  const char **name = v ? (const char **)(void *)lib_ints(st, n, &keep) : NULL;
  if (!name) return norn_none();
  for (int k = 0; k < n; k++) {
    name[k] = norn_record_at(st, info, k, &v[k]);
    if (strcmp(name[k], "probabilities") == 0) v[k] = p;
  }
  return norn_record(st, n, name, v);
}

/* What exact enumeration keeps by value is written value by value. */
static norn_datum packed_info(norn_state *st, norn_datum posterior, const norn_posterior *post)
{
  norn_datum p = lib_exact_weights(st, posterior, post);
  if (p.tag == NORN_UNIT || norn_is_none(p)) return norn_is_none(p) ? p : post->info;
  return with_probabilities(st, post->info, p);
}

/* And read back so. */
static norn_datum unpacked_info(norn_state *st, norn_datum info, norn_datum values)
{
  norn_datum p = norn_record_get(st, info, "probabilities"), keep;
  int64_t n = norn_array_length(values);
  if (norn_is_none(p) || norn_array_length(p) != n) return info;
  norn_datum *x = lib_values(st, n, &keep), *w = x ? lib_values(st, n, &keep) : NULL;
  if (!w) return norn_none();
  for (int64_t k = 0; k < n; k++) {
    x[k] = norn_array_at(st, values, k);
    w[k] = norn_array_at(st, p, k);
  }
  norn_datum map = enumerate_probabilities(st, x, w, (size_t)n);
  return norn_is_none(map) ? map : with_probabilities(st, info, map);
}

static norn_datum packed(norn_state *st, norn_datum posterior, const norn_posterior *post)
{
  static const char *const names[] = { "norn",        "version", "exact",  "values",
                                       "log_weights", "info",    "choices" };
  norn_dist d;
  if (!norn_dist_view(posterior, &d)) return norn_none();
  norn_datum v[] = { norn_cstring(st, "posterior"),
                     norn_int(1),
                     norn_bool(post->exact),
                     post->values,
                     d.args[POST_LOGW],
                     packed_info(st, posterior, post),
                     packed_choices(st, post->choices) };
  if (norn_is_none(v[5]) || norn_is_none(v[6])) return norn_none();
  return norn_record(st, NORN_COUNT(names), names, v);
}

static bool is_net_file(const char *path)
{
  size_t n = strlen(path), k = strlen(".safetensors");
  return n >= k && strcmp(path + n - k, ".safetensors") == 0;
}
static norn_status save_net(norn_state *st, const norn_datum *args, int n, const net *what)
{
  const char *path;
  if (!lib_want_file(st, args, 1, &path)) return lib_failed(st);
  if (lib_given(args, 2, n)) return norn_fail(st, NORN_ETYPE, 2, "only a file .nc has groups beside the posterior");
  if (is_net_file(path)) return net_save(st, what, path);
  norn_fail(st, NORN_EDOMAIN, 1, "a net is saved to a file whose name ends in .safetensors, not to %s", path);
  norn_hint(st, "save(net, \"model.safetensors\")");
  return NORN_EDOMAIN;
}
static norn_status load_net(norn_state *st, const char *path, norn_datum *out)
{
  net *n = net_load(st, path);
  if (!n) return lib_failed(st);
  norn_datum v = net_datum(st, n);
  if (norn_is_none(v)) net_free(n);
  return lib_give(st, v, out);
}

static norn_status v_save(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  const char *path;
  mem m = lib_mem(st);
  text t;
  *out = norn_unit();
  if (net_view(args[0])) return save_net(st, args, n, net_view(args[0]));
  if (!lib_is_posterior(args[0]) || !norn_posterior_view(st, args[0], &post)) {
    lib_wrong(st, args, 0, "the argument", "a posterior or a net");
    if (norn_string_view(args[0], NULL)) norn_hint(st, "save(post, path): the name of the file comes second");
    else norn_hint(st, "write_json(x, path) writes a value of any kind");
    return lib_failed(st);
  }
  if (!lib_want_file(st, args, 1, &path)) return lib_failed(st);
  if (is_net_file(path))
    return norn_fail(st, NORN_ETYPE, 0, "a file .safetensors holds a net, and this is a posterior");
  norn_datum more = lib_given(args, 2, n) ? args[2] : norn_missing();
  draws_format format = draws_format_of(path);
  if (more.tag != NORN_MISSING && format != DRAWS_NC)
    return norn_fail(st, NORN_ETYPE, 2, "only a file .nc has groups beside the posterior");
  if (format == DRAWS_CSV) return draws_save_csv(st, args[0], path);
  if (format == DRAWS_NC) return draws_save_nc(st, args[0], path, more);
  norn_datum r = packed(st, args[0], &post);
  if (norn_is_none(r)) return lib_failed(st);
  text_init(&t, &m);
  norn_status code = json_write(st, r, 0, JSON_IO_EXACT, &t);
  if (!code) {
    text_putc(&t, '\n');
    errno = 0;
    FILE *f = fopen(path, "wb");
    bool fine = f && fwrite(t.s, 1, t.n, f) == t.n;
    if (f && fclose(f) != 0) fine = false;
    if (!fine) code = norn_fail(st, NORN_EIO, 1, "can't write %s: %s", path, strerror(errno));
  }
  text_free(&t);
  *out = norn_unit();
  return code;
}

static norn_status not_saved(norn_state *st, const char *path)
{
  norn_status code = norn_fail(st, NORN_EIO, 0, "%s is not a saved posterior", path);
  norn_hint(st, "save(post, file) writes one; read_json(file) reads other JSON");
  return code;
}

static norn_status unpacked(norn_state *st, const char *path, norn_datum r, norn_datum *out);

static norn_status unpacked_choices(norn_state *st, const char *path, norn_datum choices,
                                    norn_datum *out)
{
  int n = norn_record_size(choices);
  norn_datum keep, *v = n > 0 ? lib_values(st, n, &keep) : NULL;
  const char **name = v ? (const char **)(void *)lib_ints(st, n, &keep) : NULL;
  *out = norn_unit();
  if (n <= 0) return NORN_OK;
  if (!name) return lib_failed(st);
  for (int k = 0; k < n; k++) {
    name[k] = norn_record_at(st, choices, k, &v[k]);
    norn_status code = norn_record_size(v[k]) >= 0 ? unpacked(st, path, v[k], &v[k]) : NORN_OK;
    if (code) return code;
  }
  return lib_give(st, norn_record(st, n, name, v), out);
}

/* Normalising log weights again may move them in their last bit: the saved ones are put back. */
static norn_datum as_saved(norn_state *st, norn_datum posterior, norn_datum logw)
{
  norn_dist d;
  norn_datum args[POST_ARGS];
  if (norn_is_none(posterior) || !norn_dist_view(posterior, &d) || d.n != POST_ARGS)
    return posterior;
  if (norn_array_length(d.args[POST_LOGW]) != norn_array_length(logw)) return posterior;
  memcpy(args, d.args, sizeof args);
  args[POST_LOGW] = logw;
  return norn_dist_new(st, d.row, args, d.n);
}

static norn_status unpacked(norn_state *st, const char *path, norn_datum r, norn_datum *out)
{
  size_t len;
  norn_datum one[1] = { norn_none() }, choices;
  const char *tag = norn_record_size(r) >= 0
                        ? norn_string_view(norn_record_get(st, r, "norn"), &len)
                        : NULL;
  if (!tag || strcmp(tag, "posterior") != 0) return not_saved(st, path);
  norn_datum values = norn_record_get(st, r, "values"), info = norn_record_get(st, r, "info");
  norn_datum exact = norn_record_get(st, r, "exact"), version = norn_record_get(st, r, "version");
  if (version.tag != NORN_INT || version.i != 1)
    return norn_fail(st, NORN_EIO, 0,
                     "%s is of a version of saved posteriors that this Norn does not know", path);
  int64_t n = norn_array_length(values), m = n;
  one[0] = norn_record_get(st, r, "log_weights");
  if (n < 1 || norn_record_size(info) < 0 || exact.tag != NORN_BOOL || norn_is_none(one[0]))
    return not_saved(st, path);
  const double *logw = one[0].tag == NORN_UNIT ? NULL
                                               : norn_want_reals(st, one, 0, "log_weights", &m);
  if (m != n || (!logw && one[0].tag != NORN_UNIT)) return not_saved(st, path);
  norn_status code = unpacked_choices(st, path, norn_record_get(st, r, "choices"), &choices);
  if (code) return code;
  info = unpacked_info(st, info, values);
  if (norn_is_none(info)) return lib_failed(st);
  norn_datum made =
      posterior_new(st, values, logw, info, choices, norn_unit(), norn_unit(), 0, exact.i != 0);
  return lib_give(st, as_saved(st, made, one[0]), out);
}

static norn_status v_load(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *name, *why = "";
  char path[4096];
  size_t len;
  norn_datum r = norn_none();
  mem m = lib_mem(st);
  (void)n;
  if (!lib_want_file(st, args, 0, &name)) return lib_failed(st);
  draws_keep_flush(st);
  if (draws_format_of(name) == DRAWS_CSV)
    return draws_load_csv(st, name, lib_path(st, name, path, sizeof path), out);
  if (draws_format_of(name) == DRAWS_NC)
    return draws_load_nc(st, name, lib_path(st, name, path, sizeof path), out);
  if (is_net_file(name)) return load_net(st, lib_path(st, name, path, sizeof path), out);
  char *s = file_read(&m, lib_path(st, name, path, sizeof path), &len, &why);
  if (!s) return lib_unread(st, 0, name, why);
  norn_status code = json_read(st, path, s, len, JSON_IO_EXACT, &r);
  mem_put(&m, s, len + 1);
  return code ? code : unpacked(st, path, r, out);
}

static const norn_native natives[] = {
  { "save", "post, path, more = missing",
    "Writes a posterior to a file, with its weights and diagnostics; or a net that was trained.\n"
    "What the name ends in says how. .csv: CSV as CmdStan writes it (theta.1, theta.2, ...; a file\n"
    "x_1.csv, x_2.csv, ... for each of several chains); .nc: NetCDF as ArviZ's InferenceData, by\n"
    "libnetcdf (Debian's libnetcdf19); all else: JSON, which keeps any value exactly. The model is\n"
    "code and is not saved. A file .nc may have more groups: a record with any of prior,\n"
    "posterior_predictive, log_likelihood (posteriors, or records of arrays with an element a draw),\n"
    "observed_data and constant_data (records of numbers and arrays);\n"
    "inference_data(post) makes such a record. A net goes to a file .safetensors.\n"
    "Example: model coin() { let x ~ bernoulli(0.5); x }; "
    "save(infer(coin(), enumerate()), \"example.json\")\n=> ()",
    v_save, 0, NULL },
  { "load", "path",
    "A posterior that save wrote, draws of CmdStan (.csv) or ArviZ (.nc), or a net (.safetensors).\n"
    "load(\"x.csv\") reads x.csv or, where that is not there, the chains x_1.csv, x_2.csv, ... A row\n"
    "that was being written when a run was killed is left out.\n"
    "Example: model coin() { let x ~ bernoulli(0.5); x }; "
    "save(infer(coin(), enumerate()), \"example.json\"); mean(load(\"example.json\"))\n=> 0.5",
    v_load, 0, NULL },
  { "keep_draws", "path = missing",
    "From here on draws go to CSV files as they come; keep_draws() ends it.\n"
    "What a long run has drawn is there while it works and if it is stopped or killed: load(path)\n"
    "reads it. path must end in .csv; several chains make x_1.csv, x_2.csv, ... The files hold the\n"
    "draws of the last inference (nested ones are not kept) and are flushed every second. They know\n"
    "nothing of what is found at the end: save(post, path) replaces them by files that do.\n"
    "Example: model coin() { let x ~ bernoulli(0.5); x }; keep_draws(\"example.csv\"); "
    "infer(coin(), forward(50)); keep_draws(); len(values(load(\"example.csv\")))\n=> 50",
    draws_keep, 0, NULL },
  { "_observed", "m", "The observed values of a run of a model, an array an observe.\n"
    "Example: model m(y) { let mu ~ normal(0, 1); observe y ~ normal(mu, 1); mu }; _observed(m(2))\n"
    "=> [2]",
    draws_observed, 0, NULL },
};

norn_status lib_save_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
