/* lib_draws.c: posteriors as draws of numbers, in CmdStan's CSV: each chain a file.

   Draws go through a drawset, which finds the columns: first all of them to lay it out, then again
   to write.  What is no draw (evidence, warnings, the engine's notes) is JSON in a comment. */
#include "lib/lib_draws.h"
#include "infer/engine.h"
#include "infer/posterior.h"
#include "io/json.h"
#include "io/stan_csv.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 18 };

draws_format draws_format_of(const char *path)
{
  size_t n = strlen(path);
  if (n > 4 && strcmp(path + n - 4, ".csv") == 0) return DRAWS_CSV;
  return n > 3 && strcmp(path + n - 3, ".nc") == 0 ? DRAWS_NC : DRAWS_JSON;
}

/* ---- a posterior into a set ---- */

typedef struct source_of_draws {
  norn_state *st;
  norn_posterior post;
  norn_datum stats, choices;
  const double *logw; int64_t nlogw;         /* NULL: equal */
} source_of_draws;

static bool source_open(norn_state *st, norn_datum posterior, source_of_draws *s)
{
  norn_dist d;
  norn_view w;
  *s = (source_of_draws){ .st = st };
  if (!norn_posterior_view(st, posterior, &s->post) || !posterior_args(posterior, &d)) return false;
  s->stats = norn_record_get(st, s->post.info, "stats");
  /* those of an exact one are no draws */
  s->choices = s->post.exact ? norn_unit() : s->post.choices;
  if (norn_array_view(d.args[POST_LOGW], &w) && w.elem == NORN_F64) s->logw = w.f;
  return true;
}

static void put_draw(source_of_draws *s, drawset *set, int64_t i)
{
  drawset_begin(set);
  for (int k = 0; k < norn_record_size(s->stats); k++) {
    norn_datum a;
    const char *name = norn_record_at(s->st, s->stats, k, &a);
    drawset_stat(set, name, norn_elem_real(norn_array_at(s->st, a, i), 0));
  }
  if (s->logw) drawset_stat(set, "log_weight", s->logw[i]);
  for (int k = 0; k < norn_record_size(s->choices); k++) {
    norn_datum a;
    const char *name = norn_record_at(s->st, s->choices, k, &a);
    if (norn_array_length(a) > i) drawset_choice(set, name, norn_array_at(s->st, a, i));
  }
  drawset_value(set, norn_array_at(s->st, s->post.values, i));
}

static bool put_all(source_of_draws *s, drawset *set)
{
  for (int64_t i = 0; i < s->post.n; i++) {
    put_draw(s, set, i);
    if (!drawset_end(set)) return false;
  }
  return true;
}

bool draws_set(norn_state *st, norn_datum posterior, drawset *set)
{
  source_of_draws s;
  return source_open(st, posterior, &s) && put_all(&s, set) && drawset_keep(set, s.post.n) &&
         put_all(&s, set);
}

int draws_chains(norn_state *st, norn_datum info, int64_t n, norn_datum *lengths)
{
  norn_view v;
  int64_t sum = 0;
  *lengths = norn_record_get(st, info, "chain_lengths");
  if (norn_array_view(*lengths, &v) && v.elem == NORN_I64 && v.rank == 1 && v.n <= 100000) {
    bool good = true;
    for (int64_t k = 0; k < v.n; k++) {
      good = good && v.i[k] >= 0 && v.i[k] <= n;
      sum += good ? v.i[k] : 0;
    }
    if (good && sum == n) return (int)v.n;
  }
  *lengths = norn_none();
  int chains = posterior_chains(st, info, n);
  return chains > 0 ? chains : 1;
}

norn_datum draws_info(norn_state *st, norn_datum info)
{
  int n = norn_record_size(info), m = 0;
  norn_datum keep, *v = lib_values(st, n > 0 ? n : 1, &keep);
  const char **name = v ? (const char **)(void *)lib_ints(st, n > 0 ? n : 1, &keep) : NULL;
  if (!name) return norn_none();
  for (int k = 0; k < n; k++) {
    name[m] = norn_record_at(st, info, k, &v[m]);
    if (strcmp(name[m], "stats") != 0 && strcmp(name[m], "probabilities") != 0) m++;
  }
  return norn_record(st, m, name, v);
}

/* ---- files ---- */

norn_status draws_file_open(norn_state *st, draws_file *f, const char *path)
{
  snprintf(f->path, sizeof f->path, "%s", path);
  snprintf(f->part, sizeof f->part, "%s.part", f->path);
  errno = 0;
  f->f = strlen(path) < sizeof f->path ? fopen(f->part, "wb") : NULL;
  if (f->f) return NORN_OK;
  return norn_fail(st, NORN_EIO, 1, "can't write %s: %s", path,
                   strerror(errno ? errno : ENAMETOOLONG));
}

static norn_status not_written(norn_state *st, const char *path)
{
  return norn_fail(st, NORN_EIO, 1, "can't write %s: %s", path, strerror(errno));
}

norn_status draws_file_put(norn_state *st, draws_file *f, text *t)
{
  if (t->failed) return norn_fail(st, NORN_EMEMORY, -1, "not enough memory to write %s", f->path);
  bool good = t->n == 0 || fwrite(t->s, 1, t->n, f->f) == t->n;
  t->n = 0;
  return good ? NORN_OK : not_written(st, f->path);
}

norn_status draws_file_done(norn_state *st, draws_file *f, norn_status code)
{
  if (f->f && fclose(f->f) != 0 && !code) code = not_written(st, f->path);
  if (!code && rename(f->part, f->path) != 0) code = not_written(st, f->path);
  if (code && f->f) unlink(f->part);
  f->f = NULL;
  return code;
}

void draws_chain_path(const char *path, int k, char *out, size_t size)
{
  size_t n = strlen(path);
  size_t cut = draws_format_of(path) == DRAWS_CSV ? n - 4 : n;
  snprintf(out, size, "%.*s_%d.csv", (int)cut, path, k + 1);
}

/* Has Norn written it?  Other people's files are not removed. */
static bool is_ours(const char *path)
{
  char line[16] = "";
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  bool ours = fgets(line, sizeof line, f) && strncmp(line, "# norn", 6) == 0;
  fclose(f);
  return ours;
}

/* Chains may be missing in between: those of a run that was killed come in any order. */
enum { GAP = 64 };

void draws_remove_from(const char *path, int k)
{
  char old[4096];
  for (int gap = 0; gap < GAP; k++) {
    draws_chain_path(path, k, old, sizeof old);
    if (!is_ours(old)) gap++;
    else if (unlink(old) == 0) gap = 0;
  }
}

void draws_remove_old(const char *path)
{
  if (is_ours(path)) unlink(path);
  draws_remove_from(path, 0);
}

norn_status draws_can_write(norn_state *st, const char *path)
{
  char probe[4104];
  errno = 0;
  snprintf(probe, sizeof probe, "%s.part", path);
  FILE *f = fopen(probe, "wb");
  if (!f) return norn_fail(st, NORN_EIO, 0, "can't write %s: %s", path, strerror(errno));
  fclose(f);
  unlink(probe);
  return NORN_OK;
}

/* ---- what is said of a run ---- */

static void put_engine(norn_state *st, norn_datum engine, const char *name, text *t)
{
  const norn_datum *option;
  const norn_engine *e = norn_engine_view(engine, &option);
  text_printf(t, "# engine = %s\n", name ? name : "?");
  for (int k = 0; e && k < e->noptions; k++) {
    const char *shown = norn_is_none(option[k]) || option[k].tag == NORN_MISSING
                          ? e->options[k].fallback
                          : norn_show(st, option[k], true, 200);
    text_printf(t, "#   %s = ", e->options[k].name);
    for (const char *p = shown ? shown : "?"; *p; p++) text_putc(t, *p == '\n' ? ' ' : *p);
    text_putc(t, '\n');
  }
}

/* An option that is a whole number: as given, or by default; -1: there is none. */
static long long option_of(norn_datum engine, const char *name)
{
  const norn_datum *option;
  const norn_engine *e = norn_engine_view(engine, &option);
  for (int k = 0; e && k < e->noptions; k++) {
    if (strcmp(e->options[k].name, name) != 0) continue;
    if (option[k].tag == NORN_INT) return option[k].i;
    return e->options[k].fallback ? strtoll(e->options[k].fallback, NULL, 10) : -1;
  }
  return -1;
}

/* CmdStan's words for a run of chains, which ArviZ and others look for. */
static void put_method(norn_datum engine, text *t)
{
  long long draws = option_of(engine, "draws"), warmup = option_of(engine, "warmup");
  long long thin = option_of(engine, "thin");
  if (draws < 0 || warmup < 0) return;
  text_printf(t,
              "# method = sample\n#   sample\n#     num_samples = %lld\n#     num_warmup = %lld\n"
              "#     save_warmup = 0\n#     thin = %lld\n", draws, warmup, thin > 0 ? thin : 1);
}

void draws_about(norn_state *st, norn_datum model, norn_datum engine, const char *engine_name,
                 int chain,
                 norn_datum info, text *t)
{
  text_printf(t, "# norn_version = %s\n", norn_version());
  if (norn_kind_of(model) == NORN_MODEL) {
    const char *shown = norn_show(st, model, true, 100);     /* <model schools> */
    if (shown && strncmp(shown, "<model ", 7) == 0)
      text_printf(t, "# model = %.*s\n", (int)strcspn(shown + 7, "\n>"), shown + 7);
  }
  put_method(engine, t);
  put_engine(st, engine, engine_name, t);
  text_printf(t, "# id = %d\n# random\n#   seed = %llu\n", chain + 1,
              (unsigned long long)norn_config_of(st)->seed);
  if (norn_record_size(info) >= 0) {
    size_t n = t->n;
    text_puts(t, "# norn {\"info\": ");
    if (json_write(st, info, 0, JSON_IO_EXACT, t)) {
      norn_clear(st);
      t->n = n;
    } else text_puts(t, "}\n");
  }
}

/* "Adaptation terminated": step size and inverse metric of a chain, in CmdStan's words. */
static void put_adaptation(norn_state *st, norn_datum info, int chain, text *t)
{
  norn_datum steps = norn_record_get(st, info, "step_size");
  norn_datum all = norn_record_get(st, info, "inverse_metric");
  norn_view v;
  if (norn_array_length(steps) <= chain) return;
  text_puts(t, "# Adaptation terminated\n# Step size = ");
  text_real(t, norn_elem_real(norn_array_at(st, steps, chain), 0));
  text_putc(t, '\n');
  if (norn_array_length(all) <= chain) return;
  norn_datum mine = norn_array_at(st, all, chain);
  if (!norn_array_view(mine, &v) || v.elem != NORN_F64 || v.rank > 2) return;
  text_printf(t, "# %s of inverse mass matrix:\n", v.rank == 1 ? "Diagonal elements" : "Elements");
  int64_t row = v.rank == 1 ? v.n : v.dims[1];
  for (int64_t k = 0; k < v.n; k++) {
    text_puts(t, k % row ? ", " : k ? "\n# " : "# ");
    text_real(t, v.f[k]);
  }
  text_putc(t, '\n');
}

/* ---- saving ---- */

typedef struct saving {
  norn_state *st;
  source_of_draws from;
  drawset *set;
  norn_datum model, engine, info;
} saving;

/* Draws first .. first + n - 1 as one file. */
static norn_status save_chain(saving *s, const char *path, int chain, int64_t first, int64_t n)
{
  draws_file f;
  text t, adapted;
  norn_status code = draws_file_open(s->st, &f, path);
  if (code) return code;
  text_init(&t, s->set->m);
  text_init(&adapted, s->set->m);
  text about;
  text_init(&about, s->set->m);
  draws_about(s->st, s->model, s->engine, s->from.post.engine, chain, s->info, &about);
  put_adaptation(s->st, s->from.post.info, chain, &adapted);
  if (about.failed || adapted.failed)            /* half a line would be a damaged file */
    code = norn_fail(s->st, NORN_EMEMORY, -1, "not enough memory for the draws");
  else if (!stan_csv_head(s->set, about.n ? about.s : "", adapted.n ? adapted.s : NULL, &t))
    code = lib_failed(s->st);
  for (int64_t i = first; i < first + n && !code; i++) {
    put_draw(&s->from, s->set, i);
    if (!drawset_end(s->set) || !stan_csv_row(s->set, &t)) code = lib_failed(s->st);
    else if (t.n > CHUNK) code = draws_file_put(s->st, &f, &t);
  }
  if (!code) code = draws_file_put(s->st, &f, &t);
  text_free(&t);
  text_free(&adapted);
  text_free(&about);
  return draws_file_done(s->st, &f, code);
}

static norn_status save_chains(saving *s, const char *path)
{
  char one[4096];
  norn_datum lengths;
  int64_t first = 0, n = s->from.post.n;
  int chains = draws_chains(s->st, s->from.post.info, n, &lengths);
  norn_status code = NORN_OK;
  for (int k = 0; k < chains && !code; k++) {
    int64_t len = norn_is_none(lengths) ? n / chains : norn_array_at(s->st, lengths, k).i;
    draws_chain_path(path, k, one, sizeof one);
    code = save_chain(s, chains == 1 ? path : one, k, first, len);
    first += len;
  }
  if (code) return code;
  if (chains > 1 && is_ours(path)) unlink(path);        /* load would take it before the chains */
  draws_remove_from(path, chains == 1 ? 0 : chains);
  return NORN_OK;
}

norn_status draws_save_csv(norn_state *st, norn_datum posterior, const char *path)
{
  drawset set;
  norn_dist d;
  mem m = lib_mem(st);
  saving s = { .st = st, .set = &set };
  drawset_init(&set, st, &m);
  norn_clear(st);
  norn_status code = NORN_OK;
  int64_t width = 0;
  if (!posterior_args(posterior, &d) || !source_open(st, posterior, &s.from) ||
      !put_all(&s.from, &set) || norn_is_none(s.info = draws_info(st, s.from.post.info)))
    code = lib_failed(st);
  for (size_t k = 0; k < set.nvar; k++) width += set.var[k].size;
  if (!code && width == 0) {
    code = norn_fail(st, NORN_EDOMAIN, 0, "these draws have nothing that could be a column");
    norn_hint(st, "save(post, \"file.json\") keeps any draws");
  }
  if (!code) {
    s.model = d.args[POST_MODEL];
    s.engine = d.args[POST_ENGINE];
    code = save_chains(&s, path);
  }
  drawset_free(&set);
  return code;
}

/* ---- loading ---- */

/* Columns by name over all the sets; those that a set lacks are missing there. */
typedef struct gathering {
  norn_state *st;
  mem *m;
  int64_t n, at, now;                       /* draws in all, before this set, in it */
  char **name; norn_datum **cell; size_t count, cname, ccell;
  size_t guess;
  bool failed;
} gathering;

static norn_datum *gather_column(gathering *g, const char *name)
{
  for (size_t k = 0; k < g->count; k++) {
    size_t at = (g->guess + k) % g->count;
    if (strcmp(g->name[at], name) == 0) return g->guess = at + 1, g->cell[at];
  }
  norn_datum keep;
  size_t len = strlen(name);
  if (!mem_grow(g->m, &g->name, &g->cname, g->count + 1, sizeof *g->name) ||
      !mem_grow(g->m, &g->cell, &g->ccell, g->count + 1, sizeof *g->cell)) return NULL;
  char *own = mem_get(g->m, len + 1);
  /* nothing is collected meanwhile */
  norn_datum *v = own ? lib_values(g->st, g->n, &keep) : NULL;
  if (!v) return mem_put(g->m, own, len + 1), NULL;
  memcpy(own, name, len + 1);
  g->name[g->count] = own;
  g->cell[g->count++] = v;
  g->guess = g->count;
  return v;
}

static bool gather(void *user, const char *name, norn_datum values)
{
  gathering *g = user;
  norn_datum *v = gather_column(g, name);
  if (!v) {
    norn_fail(g->st, NORN_EMEMORY, -1, "not enough memory for the draws");
    return false;
  }
  for (int64_t i = 0; i < g->now; i++) v[g->at + i] = norn_array_at(g->st, values, i);
  return true;
}

static void gather_free(gathering *g)
{
  for (size_t k = 0; k < g->count; k++) mem_put(g->m, g->name[k], strlen(g->name[k]) + 1);
  mem_put(g->m, g->name, g->cname * sizeof *g->name);
  mem_put(g->m, g->cell, g->ccell * sizeof *g->cell);
}

/* All that was gathered as a record of arrays; a unit if there is nothing. */
static norn_datum gathered(gathering *g)
{
  norn_datum keep, *v = g->count ? lib_values(g->st, (int64_t)g->count, &keep) : NULL;
  if (!g->count) return norn_unit();
  for (size_t k = 0; v && k < g->count; k++) {
    v[k] = norn_array_pack(g->st, g->cell[k], g->n);
    if (norn_is_none(v[k])) return v[k];
  }
  return v ? norn_record(g->st, (int)g->count, (const char *const *)g->name, v) : norn_none();
}

static bool gather_stats(gathering *g, const drawset *s, double *logw, bool *weighted)
{
  for (size_t k = 0; k < s->nvar; k++) {
    const drawset_var *v = &s->var[k];
    if (!v->stat || v->size != 1) continue;
    if (strcmp(v->name, "log_weight") == 0) {
      *weighted = true;
      for (int64_t i = 0; i < s->n; i++) logw[g->at + i] = isnan(v->all[i]) ? 0 : v->all[i];
      continue;
    }
    norn_datum *to = gather_column(g, v->name);
    if (!to) return norn_fail(g->st, NORN_EMEMORY, -1, "not enough memory for the draws"), false;
    for (int64_t i = 0; i < s->n; i++)
      to[g->at + i] = norn_real(drawset_is_missing(v->all[i]) ? (double)NAN : v->all[i]);
  }
  return true;
}

/* Nothing compares chains of unequal length, which must be said. */
static norn_datum uneven_warnings(norn_state *st, norn_datum info)
{
  norn_datum old = norn_record_get(st, info, "warnings"), keep;
  int64_t n = norn_array_length(old) > 0 ? norn_array_length(old) : 0;
  norn_datum *v = lib_values(st, n + 1, &keep);
  if (!v) return norn_none();
  for (int64_t k = 0; k < n; k++) v[k] = norn_array_at(st, old, k);
  v[n] = norn_cstring(st,
                      "the chains have unequal lengths: there is no R-hat, and ESS counts the draws "
                          "as if they were independent");
  return norn_is_none(v[n]) ? v[n] : norn_array_pack(st, v, n + 1);
}

/* Draws of each chain. */
static norn_datum lengths_of(norn_state *st, const drawset *sets, int n)
{
  norn_datum a;
  int64_t *length = lib_ints(st, n, &a);
  for (int k = 0; length && k < n; k++) length[k] = sets[k].n;
  return a;
}

/* info with what holds for these draws in the place of what the file says. */
static norn_datum loaded_info(norn_state *st, norn_datum info, const drawset *sets, int n,
                              norn_datum stats)
{
  enum { MOST = 64 };
  const char *name[MOST];
  norn_datum v[MOST];
  int64_t draws = 0, chains = n;
  int count = 0;
  bool even = true;
  for (int k = 0; k < n; k++) {
    draws += sets[k].n;
    even = even && sets[k].n == sets[0].n;
  }
  static const char *const ours[] = { "draws", "chains", "chain_lengths", "stats", "warnings" };
  /* warnings are the file's where chains are even */
  int nours = NORN_COUNT(ours) - even;
  bool chained = norn_record_get(st, info, "chains").tag != NORN_MISSING;
  for (int k = 0; k < norn_record_size(info) && count < MOST - 6; k++) {
    name[count] = norn_record_at(st, info, k, &v[count]);
    bool other = true;
    for (int i = 0; i < nours; i++) other = other && strcmp(name[count], ours[i]) != 0;
    count += other;
  }
  name[count] = "draws";
  v[count++] = norn_int(draws);
  name[count] = "chains";
  v[count++] = chained ? norn_int(chains) : norn_missing();
  if (norn_is_none(norn_record_get(st, info, "exact"))) {
    name[count] = "exact";
    v[count++] = norn_bool(false);
  }
  if (!even) {
    name[count] = "chain_lengths";
    v[count++] = lengths_of(st, sets, n);
    name[count] = "warnings";
    v[count++] = uneven_warnings(st, info);
    if (norn_is_none(v[count - 1]) || norn_is_none(v[count - 2])) return norn_none();
  }
  if (norn_record_size(stats) > 0) {
    name[count] = "stats";
    v[count++] = stats;
  }
  return norn_record(st, count, name, v);
}

/* The posterior of gathered draws. */
static norn_datum joined(norn_state *st, norn_datum info, drawset *sets, int n, gathering *choices,
                         gathering *stats, norn_datum values, const double *logw)
{
  norn_datum c = gathered(choices), s = gathered(stats), exact;
  if (norn_is_none(c) || norn_is_none(s) || norn_is_none(values)) return norn_none();
  info = loaded_info(st, info, sets, n, s);
  if (norn_is_none(info)) return info;
  exact = norn_record_get(st, info, "exact");
  return posterior_new(st, values, logw, info, c, norn_unit(), norn_unit(), 0,
                       exact.tag == NORN_BOOL && exact.i);
}

norn_status draws_join(norn_state *st, drawset *sets, int n, norn_datum info, norn_datum *out)
{
  int64_t draws = 0;
  bool weighted = false, good = true;
  norn_datum keep, all;
  for (int k = 0; k < n; k++) draws += sets[k].n;
  gathering choices = { .st = st, .m = sets->m, .n = draws }, stats = choices;
  norn_datum *v = lib_values(st, draws, &all);
  double *logw = v ? lib_reals(st, draws, &keep) : NULL;
  good = logw != NULL;
  for (int64_t i = 0; i < draws && good; i++) logw[i] = 0;
  for (int k = 0; k < n && good; k++) {
    drawset_reader r;
    choices.now = stats.now = sets[k].n;
    good = drawset_reader_open(&r, &sets[k]) && gather_stats(&stats, &sets[k], logw, &weighted) &&
           drawset_choices(&r, gather, &choices);
    for (int64_t i = 0; i < sets[k].n && good; i++)
      good = !norn_is_none(v[choices.at + i] = drawset_value_of(&r, i));
    drawset_reader_close(&r);
    choices.at += sets[k].n;
    stats.at = choices.at;
  }
  norn_datum p = norn_none();
  if (good)
    p = joined(st, info, sets, n, &choices, &stats, norn_array_pack(st, v, draws),
               weighted ? logw : NULL);
  gather_free(&choices);
  gather_free(&stats);
  return lib_give(st, p, out);
}

/* One file into a set; *cut: its last line was. */
static norn_status load_file(norn_state *st, mem *m, const char *name, const char *path,
                             drawset *set,
                             norn_datum *info, bool *cut)
{
  size_t len;
  const char *why = "";
  stan_csv_file file;
  char *s = file_read(m, path, &len, &why);
  if (!s) return lib_unread(st, 0, name, why);
  norn_status code = stan_csv_read(st, path, s, len, set, &file);
  mem_put(m, s, len + 1);
  *info = code ? norn_none() : file.info;
  *cut = !code && file.cut;
  return code;
}

/* The chains whose files lie under that name: their numbers, from 0. */
static int find_chains(mem *m, const char *path, int **chain, size_t *room)
{
  char one[4096];
  int n = 0;
  for (int k = 0, gap = 0; gap < GAP && k < 100000; k++, gap++) {
    draws_chain_path(path, k, one, sizeof one);
    if (access(one, R_OK) != 0) continue;
    if (!mem_grow(m, chain, room, (size_t)n + 1, sizeof **chain)) break;
    (*chain)[n++] = k;
    gap = 0;
  }
  return n;
}

norn_status draws_load_csv(norn_state *st, const char *name, const char *path, norn_datum *out)
{
  char one[4096];
  mem m = lib_mem(st);
  int *chain = NULL, used = 0;
  size_t room = 0;
  bool alone = access(path, R_OK) == 0, cut;
  int n = alone ? 1 : find_chains(&m, path, &chain, &room);
  if (n == 0) return lib_unread(st, 0, name, strerror(ENOENT));
  drawset *set = mem_zero(&m, (size_t)n * sizeof *set);
  norn_datum first = norn_none();
  norn_status code = set ? NORN_OK : norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  for (; used < n && !code; used++) {
    norn_datum info;
    drawset_init(&set[used], st, &m);
    if (!alone) draws_chain_path(path, chain[used], one, sizeof one);
    code = load_file(st, &m, name, alone ? path : one, &set[used], &info, &cut);
    if (used == 0) first = info;
  }
  if (!code) code = draws_join(st, set, used, first, out);
  for (int k = 0; k < used; k++) drawset_free(&set[k]);
  mem_put(&m, set, (size_t)n * sizeof *set);
  mem_put(&m, chain, room * sizeof *chain);
  return code;
}
