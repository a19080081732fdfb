/* lib_draws_nc.c: posteriors as ArviZ's InferenceData in NetCDF, both ways (io/netcdf.h), and the
   groups that may stand beside them. */
#include "lib/lib_draws.h"
#include "infer/posterior.h"
#include "io/json.h"
#include "io/netcdf.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { GROUPS = 8 };

/* The groups of a file in the making, each with its set. */
typedef struct file_groups {
  norn_state *st;
  mem *m;
  netcdf_group group[GROUPS];
  drawset set[GROUPS];
  int n, nset;
} file_groups;

static drawset *set_new(file_groups *g)
{
  drawset *s = &g->set[g->nset++];
  drawset_init(s, g->st, g->m);
  return s;
}

static bool has_part(const drawset *s, bool stats)
{
  for (size_t k = 0; k < s->nvar; k++) if (s->var[k].stat == stats) return true;
  return false;
}

static void group_add(file_groups *g, const char *name, const drawset *s, bool stats, bool constant,
                      int64_t chains)
{
  g->group[g->n++] = (netcdf_group){ .name = name, .set = s, .stats = stats, .constant = constant,
                                     .chains = chains };
}

/* Chains of unequal length are one. */
static int64_t even_chains(norn_state *st, norn_datum info, int64_t n)
{
  norn_datum lengths;
  int chains = draws_chains(st, info, n, &lengths);
  return norn_is_none(lengths) ? chains : 1;
}

static bool add_posterior(file_groups *g, const char *name, norn_datum posterior, bool stats)
{
  norn_posterior post;
  drawset *s = set_new(g);
  if (!norn_posterior_view(g->st, posterior, &post) ||
      !draws_set(g->st, posterior, s))
    return false;
  int64_t chains = even_chains(g->st, post.info, post.n);
  group_add(g, name, s, false, false, chains);
  if (stats && has_part(s, true)) group_add(g, "sample_stats", s, true, false, chains);
  return true;
}

/* ---- records of arrays ---- */

/* Element i of each field as a record: draw i.  NONE: error set. */
static norn_datum draw_of(norn_state *st, norn_datum r, int64_t i)
{
  int n = norn_record_size(r);
  norn_datum keep, *v = lib_values(st, n, &keep);
  const char **name = v ? (const char **)(void *)lib_ints(st, n, &keep) : NULL;
  if (!name) return norn_none();
  for (int k = 0; k < n; k++) {
    norn_datum a;
    name[k] = norn_record_at(st, r, k, &a);
    v[k] = norn_array_at(st, a, i);
  }
  return norn_record(st, n, name, v);
}

/* The draws of a record of arrays: their number if all agree, else -1. */
static int64_t length_of(norn_state *st, norn_datum r)
{
  int64_t n = -1;
  for (int k = 0; k < norn_record_size(r); k++) {
    norn_datum a;
    norn_record_at(st, r, k, &a);
    int64_t m = norn_array_length(a);
    if (m < 1 || (n >= 0 && m != n)) return -1;
    n = m;
  }
  return n;
}

static bool put_value(norn_state *st, drawset *s, norn_datum v)
{
  if (norn_is_none(v)) return false;
  (void)st;
  drawset_begin(s);
  drawset_value(s, v);
  return drawset_end(s);
}

static bool add_record(file_groups *g, const char *name, norn_datum r, bool constant,
                       int64_t chains)
{
  drawset *s = set_new(g);
  int64_t n = constant ? 1 : length_of(g->st, r);
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0; i < n; i++)
      if (!put_value(g->st, s, constant ? r : draw_of(g->st, r, i))) return false;
    if (pass == 0 && !drawset_keep(s, n)) return false;
  }
  group_add(g, name, s, false, constant, n % chains == 0 ? chains : 1);
  return true;
}

static norn_status add_more(file_groups *g, norn_datum more, int64_t chains)
{
  static const char *const names[] = { "posterior_predictive", "log_likelihood", "prior",
                                       "prior_predictive", "observed_data", "constant_data" };
  norn_state *st = g->st;
  if (norn_record_size(more) < 0)
    return norn_fail(st, NORN_ETYPE, 2, "more must be a record of groups, such as {prior: post}");
  for (int i = 0; i < norn_record_size(more); i++) {
    norn_datum v;
    const char *name = norn_record_at(st, more, i, &v);
    int k = 0;
    while (k < NORN_COUNT(names) && strcmp(names[k], name) != 0) k++;
    if (k == NORN_COUNT(names)) {
      norn_status code = norn_fail(st, NORN_ETYPE, 2, "there is no group %.100s", name);
      norn_hint(st, "groups are posterior_predictive, log_likelihood, prior, prior_predictive, "
                    "observed_data, constant_data");
      return code;
    }
    bool constant = k >= 4, good;
    if (!constant && lib_is_posterior(v)) good = add_posterior(g, names[k], v, false);
    else if (norn_record_size(v) > 0 && (constant || length_of(st, v) > 0))
      good = add_record(g, names[k], v, constant, chains);
    else
      return norn_fail(st, NORN_ETYPE, 2, constant
                         ? "%s must be a record of numbers and arrays"
                         : "%s must be a posterior, or a record of arrays with an element a draw",
                       name);
    if (!good) return lib_failed(st);
  }
  return NORN_OK;
}

/* ---- saving ---- */

static norn_status write_file(file_groups *g, norn_datum info, const char *engine, const char *path)
{
  char part[4104], seed[32];
  static const char *const keys[] = { "inference_library", "inference_library_version",
                                      "inference_method", "seed" };
  const char *const texts[] = { "norn", norn_version(), engine ? engine : "?", seed };
  text t;
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)norn_config_of(g->st)->seed);
  snprintf(part, sizeof part, "%.4000s.part", path);
  FILE *f = fopen(part, "wb");                     /* says better than HDF5 why it can't be */
  if (!f) return norn_fail(g->st, NORN_EIO, 1, "can't write %s: %s", path, strerror(errno));
  fclose(f);
  text_init(&t, g->m);
  norn_status code = json_write(g->st, info, 0, JSON_IO_EXACT, &t);
  if (code) {                                      /* a note that JSON can't hold */
    norn_clear(g->st);
    t.n = 0;
    text_puts(&t, "{}");
  }
  code = netcdf_write(g->st, part, g->group, g->n, keys, texts, NORN_COUNT(keys), t.s);
  text_free(&t);
  if (!code && rename(part, path) != 0)
    code = norn_fail(g->st, NORN_EIO, 1, "can't write %s: %s", path, strerror(errno));
  if (code) unlink(part);
  return code;
}

norn_status draws_save_nc(norn_state *st, norn_datum posterior, const char *path, norn_datum more)
{
  norn_posterior post;
  mem m = lib_mem(st);
  file_groups g = { .st = st, .m = &m };
  norn_clear(st);
  if (!norn_posterior_view(st, posterior, &post)) return lib_failed(st);
  norn_datum info = draws_info(st, post.info);
  norn_status code = norn_is_none(info) || !add_posterior(&g, "posterior", posterior, true)
                       ? lib_failed(st) : NORN_OK;
  if (!code && more.tag != NORN_MISSING)
    code = add_more(&g, more, even_chains(st, post.info, post.n));
  if (!code) code = write_file(&g, info, post.engine, path);
  for (int k = 0; k < g.nset; k++) drawset_free(&g.set[k]);
  return code;
}

/* ---- what a model observes ---- */

enum { SITES = 256 };

/* One value is itself, several are an array. */
static norn_datum site_value(norn_state *st, norn_ref *all)
{
  norn_datum a = norn_get(all);
  return norn_array_length(a) == 1 ? norn_array_at(st, a, 0) : a;
}

/* The observed values of one run of a model (its choices are drawn from their priors), an array an
   observe, in the order in which they are reached first. */
norn_status draws_observed(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_event ev;
  norn_span at[SITES];
  norn_ref *site[SITES];
  int sites = 0;
  norn_datum keep, *v = NULL;
  norn_event_kind kind;
  norn_status code = NORN_OK;
  (void)n;
  norn_run *run = norn_run_new(st, args[0], NULL, 0);
  if (!run) return lib_failed(st);
  norn_run_stream(run, 0, 0, 0);
  norn_run_flags(run, NORN_RUN_DRAW);
  while (!code && (kind = norn_run_next(run, &ev)) != NORN_DONE) {
    if (kind != NORN_OBSERVE) code = kind == NORN_ERROR ? lib_failed(st)
                                     : norn_fail(st, NORN_EINFER, 0, "this model infers another");
    if (code || ev.flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) continue;
    int k = 0;
    while (k < sites && (at[k].file != ev.span.file || at[k].start != ev.span.start)) k++;
    if (k == SITES) continue;
    if (k == sites) {
      norn_datum empty = norn_array_pack(st, NULL, 0);
      if (!(site[k] = norn_keep(st, empty))) code = NORN_EMEMORY;
      else at[sites++] = ev.span;
    }
    if (!code) code = norn_push(site[k], ev.value);
  }
  norn_run_free(run);
  if (!code && !(v = lib_values(st, sites, &keep))) code = lib_failed(st);
  for (int k = 0; k < sites; k++) {
    if (!code) v[k] = site_value(st, site[k]);
    norn_drop(site[k]);
  }
  if (!code) *out = keep;
  return code;
}

/* ---- loading ---- */

/* Of a file that is not Norn's: the sampler, as far as its statistics tell. */
static norn_datum told_info(norn_state *st, const drawset *s)
{
  static const char *const name[] = { "engine" };
  norn_datum v = norn_cstring(st, "draws");
  for (size_t k = 0; k < s->nvar; k++)
    if (s->var[k].stat && strcmp(s->var[k].name, "tree_depth") == 0) v = norn_cstring(st, "nuts");
  return norn_record(st, 1, name, &v);
}

/* The chains of a set as sets of their own, which borrow its numbers. */
static void chain_view(const drawset *s, drawset_var *var, int64_t first, int64_t n, drawset *out)
{
  *out = *s;
  out->n = n;
  out->var = var;
  for (size_t k = 0; k < s->nvar; k++) {
    var[k] = s->var[k];
    if (var[k].all) var[k].all += first * var[k].size;
  }
}

norn_status draws_load_nc(norn_state *st, const char *name, const char *path, norn_datum *out)
{
  mem m = lib_mem(st);
  drawset set;
  netcdf_file file;
  if (access(path, R_OK) != 0) return lib_unread(st, 0, name, strerror(errno));
  drawset_init(&set, st, &m);
  norn_status code = netcdf_read(st, path, &set, &file);
  int64_t chains = file.chains > 0 ? file.chains : 1;
  drawset *sets = NULL;
  drawset_var *vars = NULL;
  size_t size = (size_t)chains * set.nvar * sizeof *vars;
  if (!code && norn_is_none(norn_record_get(st, file.info, "engine")))
    file.info = told_info(st, &set);
  if (!code &&
      (!(sets = mem_zero(&m, (size_t)chains * sizeof *sets)) || !(vars = mem_zero(&m, size + 1))))
    code = norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  for (int64_t k = 0; k < chains && !code; k++)
    chain_view(&set, vars + (size_t)k * set.nvar, k * (set.n / chains), set.n / chains, &sets[k]);
  if (!code) code = draws_join(st, sets, (int)chains, file.info, out);
  mem_put(&m, vars, size + 1);
  mem_put(&m, sets, (size_t)chains * sizeof *sets);
  drawset_free(&set);
  return code;
}
