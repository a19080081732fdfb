/* more: more draws of a posterior that there is already.

   more(post, n) is infer(_model_of(post), _more(post, n)): an engine that looks at how `post` was
   made, becomes that engine with n draws and a stream of its own, and joins the two results.
   Independent draws are put side by side; weighted ones and islands of particles by their evidence
   (weight n_k Z_k), which keeps them unbiased; the chains of mh go on from the choices of their
   last draws, chain by chain.  An exact posterior is the answer already. */
#include "infer/infer.h"
#include "infer/posterior.h"
#include <string.h>

typedef struct more { int unused; } more;

enum { FIELDS = 64 };

norn_datum posterior_model(norn_state *st, norn_datum p)
{
  norn_dist d;
  (void)st;
  return posterior_args(p, &d) ? d.args[POST_MODEL] : norn_none();
}

/* The option that says how many draws: the first, by the house's rule, or the one called so. */
static int draws_of(const norn_engine *e)
{
  for (int i = 0; i < e->noptions; i++) if (!strcmp(e->options[i].name, "draws")) return i;
  return 0;
}

/* The same engine with another number of draws; of engines that begin with an engine, that one's. */
static norn_datum engine_with_draws(norn_state *st, norn_datum engine, int64_t n)
{
  const norn_datum *options;
  const norn_engine *e = norn_engine_view(engine, &options);
  norn_datum mine[32];
  if (!e || e->noptions < 1 || e->noptions > NORN_COUNT(mine)) return norn_none();
  for (int i = 0; i < e->noptions; i++) mine[i] = options[i];
  int at = options[0].tag == NORN_ENGINE ? 0 : draws_of(e);
  mine[at] = options[0].tag == NORN_ENGINE ? engine_with_draws(st, options[0], n) : norn_int(n);
  if (norn_is_none(mine[at])) return mine[at];
  return norn_engine_new(st, e, mine, e->noptions);
}

static norn_status more_init(norn_infer *inf, void *self)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum post = norn_infer_option(inf, 0), exact = posterior_info(st, post, "exact");
  norn_dist d;
  int64_t n;
  (void)self;
  if (!posterior_args(post, &d)) return norn_fail(st, NORN_ETYPE, 0, "more wants a posterior");
  if (!option_int(inf, 1, 1, &n)) return NORN_EDOMAIN;
  if (exact.tag == NORN_BOOL && exact.i)
    return (inf->answer = norn_keep(st, post)) ? NORN_OK : NORN_EMEMORY;
  norn_datum engine = engine_with_draws(st, d.args[POST_ENGINE], n);
  if (norn_is_none(engine))
    return norn_fail(st, NORN_EINFER, 0, "the engine of this posterior can't go on");
  if (!(inf->resume = norn_keep(st, post))) return NORN_EMEMORY;
  inf->stream = norn_stream_split((uint64_t)d.args[POST_STREAM].i, ENGINE_LANE, 5,
                                  (uint32_t)norn_array_length(d.args[POST_VALUES]));
  return infer_become(inf, engine);
}

static norn_step more_step(norn_infer *inf, void *self)
{
  (void)inf;
  (void)self;
  return NORN_STEP_DONE;
}

static const norn_option more_options[] = { { "post", NULL, "the posterior" },
                                            { "n", NULL, "how many more draws" } };

const norn_engine engine_more = { .version = NORN_ENGINE_VERSION,
                                  .name = "_more",
                                  .doc = "What more(post, n) is made of.",
                                  .options = more_options,
                                  .noptions = NORN_COUNT(more_options),
                                  .size = sizeof(more),
                                  .init = more_init,
                                  .step = more_step };

/* ---- joining ---- */

typedef struct half { norn_dist d; norn_view lw; int64_t n; double z; } half;

static double half_real(norn_state *st, const half *h, const char *name)
{
  double x;
  return norn_as_real(norn_record_get(st, h->d.args[POST_INFO], name), &x) ? x : NAN;
}

static void half_read(norn_state *st, half *h, bool by_evidence)
{
  h->n = norn_array_length(h->d.args[POST_VALUES]);
  h->lw = (norn_view){ .n = 0 };
  if (h->d.args[POST_LOGW].tag != NORN_UNIT) norn_array_view(h->d.args[POST_LOGW], &h->lw);
  h->z = by_evidence ? half_real(st, h, "log_evidence") : 0;
}

/* The error of log Z of both: the errors of the parts, each by its share. */
static double join_se(norn_state *st, const half *h, double w0)
{
  double all = log_add(h[0].z, h[1].z);
  double a = w0 * exp(h[0].z - all), b = (1 - w0) * exp(h[1].z - all);
  return hypot(a * half_real(st, &h[0], "evidence_se"), b * half_real(st, &h[1], "evidence_se")) /
    (a + b);
}

/* Of two records of arrays by draw (choices, stats): what both have, in the order of the draws. */
static norn_datum join_arrays(norn_state *st, const half *h, norn_datum a, norn_datum b,
                              const uint8_t *of, const int64_t *at, norn_datum *v, size_t all)
{
  norn_datum out = norn_unit();
  int m = norn_record_size(a), k = 0;
  if (m < 1 || norn_record_size(b) < 1) return out;
  const char **name = engine_get(st, (size_t)m * sizeof *name);
  norn_datum *whole = engine_get(st, (size_t)m * sizeof *whole);
  for (int i = 0; name && whole && i < m; i++) {
    norn_datum x[2];
    name[k] = norn_record_at(st, a, i, &x[0]);
    x[1] = norn_record_get(st, b, name[k]);
    if (norn_array_length(x[0]) != h[0].n || norn_array_length(x[1]) != h[1].n) continue;
    for (size_t j = 0; j < all; j++) v[j] = norn_array_at(st, x[of[j]], at[j]);
    whole[k++] = norn_array_pack(st, v, (int64_t)all);
  }
  if (k) out = norn_record(st, k, name, whole);
  engine_put(st, name, (size_t)m * sizeof *name);
  engine_put(st, whole, (size_t)m * sizeof *whole);
  return out;
}

/* Energy Bayesian fraction of missing information of each chain (Betancourt 2016). */
static norn_datum join_bfmi(norn_state *st, norn_datum energy, int64_t chains)
{
  void *to;
  int64_t n = norn_array_length(energy) / chains;
  norn_datum out = norn_array(st, NORN_F64, 1, &chains, &to);
  if (norn_is_none(out)) return out;
  for (int64_t c = 0; c < chains; c++) {
    double mean = 0, var = 0, jump = 0, before = 0;
    for (int64_t i = 0; i < n; i++) mean += norn_elem_real(energy, c * n + i) / (double)n;
    for (int64_t i = 0; i < n; i++) {
      double e = norn_elem_real(energy, c * n + i);
      var += (e - mean) * (e - mean);
      if (i) jump += (e - before) * (e - before);
      before = e;
    }
    ((double *)to)[c] = var > 0 ? jump / var : (double)NAN;
  }
  return out;
}

/* The places of draws that diverged. */
static norn_datum join_divergent(norn_state *st, norn_datum diverging)
{
  int64_t n = norn_array_length(diverging), k = 0;
  void *to;
  for (int64_t i = 0; i < n; i++) k += norn_elem_real(diverging, i) != 0;
  norn_datum out = norn_array(st, NORN_I64, 1, &k, &to);
  if (norn_is_none(out)) return out;
  int64_t *at = to;
  for (int64_t i = 0; i < n; i++) if (norn_elem_real(diverging, i) != 0) *at++ = i;
  return out;
}

typedef enum { JOIN_SUM, JOIN_MEAN, JOIN_LAST } join_kind;

/* Fields that are joined one by one; NONE: this is none of them. */
static norn_datum join_field(norn_state *st, const half *h, const char *name, norn_datum stats)
{
  static const struct { const char *name; join_kind how; } fields[] = {
    {"seconds", JOIN_SUM}, {"divergences", JOIN_SUM}, {"max_depth_reached", JOIN_SUM},
    {"leapfrogs", JOIN_SUM}, {"acceptance", JOIN_MEAN}, {"rhat", JOIN_LAST},
    {"nested_rhat", JOIN_LAST}, {"nested_rhat_limit", JOIN_LAST},
    {"warnings", JOIN_LAST}, {"resume", JOIN_LAST}};
  norn_datum a = norn_record_get(st, h[0].d.args[POST_INFO], name),
             b = norn_record_get(st, h[1].d.args[POST_INFO], name);
  double x, y, chains = half_real(st, &h[0], "chains"), n = (double)h[0].n, m = (double)h[1].n;
  if (!strcmp(name, "draws")) return norn_int(h[0].n + h[1].n);
  if (!strcmp(name, "stats")) return stats;
  if (!strcmp(name, "bfmi") && chains >= 1)
    return join_bfmi(st, norn_record_get(st, stats, "energy"), (int64_t)chains);
  if (!strcmp(name, "divergent"))
    return join_divergent(st, norn_record_get(st, stats, "diverging"));
  for (int i = 0; i < NORN_COUNT(fields); i++) {
    if (strcmp(fields[i].name, name)) continue;
    if (fields[i].how == JOIN_LAST) return norn_is_none(b) ? norn_missing() : b;
    if (!norn_as_real(a, &x) || !norn_as_real(b, &y)) return a;
    if (fields[i].how == JOIN_MEAN) return norn_real((n * x + m * y) / (n + m));
    return a.tag == NORN_INT && b.tag == NORN_INT ? norn_int(a.i + b.i) : norn_real(x + y);
  }
  return norn_none();
}

/* What weights and evidence say of both; NONE: this is no such field. */
static norn_datum join_weighted(norn_state *st, const half *h, const double *l, const char *name)
{
  size_t all = (size_t)(h[0].n + h[1].n);
  double w0 = (double)h[0].n / (double)all;
  if (!strcmp(name, "ess")) return norn_real(kish(l, all));
  if (!strcmp(name, "log_evidence"))
    return norn_real(log_add(h[0].z + log(w0), h[1].z + log1p(-w0)));
  return !strcmp(name, "evidence_se") ? norn_real(join_se(st, h, w0)) : norn_none();
}

/* The fields of both.  A chained engine has found ess and rhat of all the draws. */
static norn_datum join_info(norn_state *st, const half *h, const double *l, bool by_evidence,
                            norn_datum stats)
{
  const char *name[FIELDS];
  norn_datum v[FIELDS], info[2] = {h[0].d.args[POST_INFO], h[1].d.args[POST_INFO]};
  int m = 0;
  bool whole = !norn_is_none(norn_record_get(st, info[1], "resume"));
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < norn_record_size(info[k]) && m < FIELDS; i++) {
      name[m] = norn_record_at(st, info[k], i, &v[m]);
      if (k && !norn_is_none(norn_record_get(st, info[0], name[m]))) continue;
      norn_datum x = by_evidence ? join_weighted(st, h, l, name[m]) : norn_none();
      if (norn_is_none(x) && !by_evidence && !strcmp(name[m], "ess"))
        x = whole ? norn_record_get(st, info[1], "ess")
                  : norn_real(half_real(st, &h[0], "ess") + half_real(st, &h[1], "ess"));
      if (norn_is_none(x)) x = join_field(st, h, name[m], stats);
      if (!norn_is_none(x)) v[m] = x;
      m++;
    }
  return norn_record(st, m, name, v);
}

norn_datum posterior_join(norn_state *st, norn_datum a, norn_datum b, bool by_evidence)
{
  half h[2];
  if (!posterior_args(a, &h[0].d) || !posterior_args(b, &h[1].d)) return norn_none();
  for (int k = 0; k < 2; k++) half_read(st, &h[k], by_evidence);
  double chains = half_real(st, &h[0], "chains");
  int64_t m = chains >= 1 ? (int64_t)chains : 1, n[2] = { h[0].n / m, h[1].n / m };
  size_t all = (size_t)(h[0].n + h[1].n), i = 0;
  norn_datum out = norn_none(), *v = engine_get(st, all * sizeof *v);
  double *l = engine_get(st, all * sizeof *l);
  uint8_t *of = engine_get(st, all);
  int64_t *at = engine_get(st, all * sizeof *at);
  if (v && l && of && at && n[0] * m == h[0].n && n[1] * m == h[1].n) {
    for (int64_t c = 0; c < m; c++)
      for (int k = 0; k < 2; k++)
        for (int64_t j = 0; j < n[k]; j++, i++) {
          of[i] = (uint8_t)k;
          at[i] = c * n[k] + j;
          v[i] = norn_array_at(st, h[k].d.args[POST_VALUES], at[i]);
          l[i] = h[k].lw.n ? h[k].lw.f[at[i]] + log((double)h[k].n) + h[k].z : h[k].z;
        }
    norn_datum values = norn_array_pack(st, v, (int64_t)all), part[2][2];
    for (int k = 0; k < 2; k++) {
      part[k][0] = norn_record_get(st, h[k].d.args[POST_INFO], "stats");
      part[k][1] = h[k].d.args[POST_CHOICES];
    }
    norn_datum stats = join_arrays(st, h, part[0][0], part[1][0], of, at, v, all),
               choices = join_arrays(st, h, part[0][1], part[1][1], of, at, v, all);
    norn_datum info = join_info(st, h, l, by_evidence, stats);
    out = posterior_new(st, values, l, info, choices, h[0].d.args[POST_MODEL],
                        h[0].d.args[POST_ENGINE], (uint64_t)h[1].d.args[POST_STREAM].i, false);
  }
  engine_put(st, v, all * sizeof *v);
  engine_put(st, l, all * sizeof *l);
  engine_put(st, of, all);
  engine_put(st, at, all * sizeof *at);
  return out;
}
