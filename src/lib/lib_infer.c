/* lib_infer.c: what posteriors can be asked, beside the statistics of lib_stats.c. */
#include "lib/lib.h"
#include "infer/net/net_train.h"
#include "infer/posterior.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool want_posterior(norn_state *st, const norn_datum *args, int i, norn_posterior *post)
{
  if (lib_is_posterior(args[i]) && norn_posterior_view(st, args[i], post)) return true;
  lib_no_posterior(st, args, i);
  return false;
}

/* ---- draws and weights ---- */

#define DRAWS_LEAST 1000   /* draws of a weighted posterior, where fewer were asked of no one */

static norn_status f_draws(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  const double *w;
  int64_t m;
  if (!want_posterior(st, args, 0, &post) || !lib_weights(st, &post, &w)) return lib_failed(st);
  bool given = lib_given(args, 1, n);
  m = post.n;
  if (!given && (w || post.exact) && m < DRAWS_LEAST) m = DRAWS_LEAST;
  if (given && !norn_want_int(st, args, 1, "the number of draws", &m)) return lib_failed(st);
  if (m < 1)
    return norn_fail(st, NORN_EDOMAIN, 1, "the number of draws must be positive, got %lld",
                     (long long)m);
  if (!w && !post.exact && m == post.n) {
    *out = post.values;
    return NORN_OK;
  }
  /* The same random number for every part of a posterior, so that draws(post.a) and draws(post.b)
     are of the same draws. */
  norn_rng g = { .stream = norn_hash(post.weights), .lane = 0x64726177 };
  return lib_give(st, posterior_resampled(st, args[0], m, &g), out);
}

static norn_status f_values(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  norn_datum keep;
  (void)n;
  int m = norn_record_size(args[0]);
  if (m < 0) {
    if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
    *out = post.values;
    return NORN_OK;
  }
  norn_datum *v = lib_values(st, m, &keep);
  if (!v) return lib_failed(st);
  for (int k = 0; k < m; k++) norn_record_at(st, args[0], k, &v[k]);
  return lib_give(st, norn_array_pack(st, v, m), out);
}

norn_datum lib_exact_weights(norn_state *st, norn_datum posterior, const norn_posterior *post)
{
  norn_datum map = posterior_info(st, posterior, "probabilities"), keep;
  if (norn_map_size(map) < 0) return norn_unit();
  norn_datum *p = lib_values(st, post->n, &keep);
  if (!p) return norn_none();
  for (int64_t k = 0; k < post->n; k++) {
    norn_datum v = norn_map_get(map, norn_array_at(st, post->values, k));
    if (!norn_is_none(v)) p[k] = v;
  }
  return norn_array_pack(st, p, post->n);
}

static norn_status f_weights(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  (void)n;
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  norn_datum exact = lib_exact_weights(st, args[0], &post);
  return lib_give(st, exact.tag == NORN_UNIT ? post.weights : exact, out);
}

static norn_status f_log_weights(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  norn_dist d;
  norn_datum a;
  (void)n;
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  if (norn_dist_view(args[0], &d) && norn_array_length(d.args[POST_LOGW]) == post.n) {
    *out = d.args[POST_LOGW];
    return NORN_OK;
  }
  double *p = lib_reals(st, post.n, &a);
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < post.n; k++) p[k] = log(norn_elem_real(post.weights, k));
  *out = a;
  return NORN_OK;
}

/* ---- evidence and diagnostics ---- */

static norn_status no_evidence(norn_state *st, const norn_datum *args, const norn_posterior *post)
{
  norn_datum why = posterior_info(st, args[0], "no_evidence");
  size_t len;
  const char *s = norn_string_view(why, &len);
  if (s) return norn_fail(st, NORN_EINFER, 0, "this posterior has no evidence: %s", s);
  norn_status code = norn_fail(st, NORN_EINFER, 0, "%s gives no evidence",
                               post->engine ? post->engine : "this engine");
  norn_hint(
      st,
      "smc(particles = 1000), importance(10000) and enumerate() do, where priors are proper");
  return code;
}

static norn_status f_evidence(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  (void)n;
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  if (isnan(post.log_evidence)) return no_evidence(st, args, &post);
  norn_datum exact = posterior_info(st, args[0], "log_evidence");
  *out = exact.tag == NORN_BIG ? exact : norn_real(post.log_evidence);
  return NORN_OK;
}

static norn_status f_evidence_se(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  (void)n;
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  if (isnan(post.log_evidence)) return no_evidence(st, args, &post);
  *out = norn_real(post.exact ? 0 : post.evidence_se);
  return NORN_OK;
}

static norn_status f_explain(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (norn_kind_of(args[0]) != NORN_MODEL && norn_array_length(args[0]) < 0) {
    char what[120];
    return norn_fail(st, NORN_ETYPE, 0, "explain needs a model value or an array of them, got %s",
                     norn_describe(st, args[0], what, sizeof what));
  }
  *out = norn_explain(st, args[0]);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status f_summary(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  norn_dist d;
  bool worst = false;
  norn_datum table = norn_record_get(st, args[0], "text");
  if (norn_kind_of(table) == NORN_STR) { *out = table; return NORN_OK; }
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  if (lib_given(args, 1, n) && !lib_want_bool(st, args, 1, "worst", &worst)) return lib_failed(st);
  if (worst && posterior_chains(st, post.info, post.n) == 0)
    return norn_fail(st, NORN_ETYPE, 1, "these draws are not from chains: no part is worse than "
                     "another");
  return posterior_args(args[0], &d) ? posterior_summary(st, &d, worst, out) : lib_failed(st);
}

static void put_info(norn_state *st, text *t, const char *name, norn_datum v)
{
  if (v.tag == NORN_MISSING || strcmp(name, "warnings") == 0 ||
      strcmp(name, "probabilities") == 0 || strcmp(name, "stats") == 0 ||
      strcmp(name, "course") == 0)
    return;
  if (v.tag == NORN_REAL && v.d == 0 && strcmp(name, "left_over") == 0) return;
  text_puts(t, name);
  for (size_t k = strlen(name); k < 14; k++) text_putc(t, ' ');
  if (v.tag == NORN_REAL) text_printf(t, " %.6g\n", v.d);
  else text_printf(t, " %s\n", norn_show(st, v, false, 200));
}

static norn_status f_diagnose(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  norn_datum v;
  mem m = lib_mem(st);
  text t;
  bool record = norn_kind_of(args[0]) == NORN_RECORD;    /* info(net) */
  (void)n;
  if (!record && !want_posterior(st, args, 0, &post)) return lib_failed(st);
  text_init(&t, &m);
  norn_datum info = record ? args[0] : post.info;
  for (int k = 0; k < norn_record_size(info); k++) {
    const char *name = norn_record_at(st, info, k, &v);
    put_info(st, &t, name, v);
  }
  norn_datum warnings = norn_record_get(st, info, "warnings");
  int64_t count = norn_array_length(warnings);
  for (int64_t k = 0; k < count; k++)
    text_printf(&t, "warning: %s\n", norn_show(st, norn_array_at(st, warnings, k), false, 0));
  if (t.n && t.s[t.n - 1] == '\n') t.n--;   /* print ends the last line */
  return lib_text(st, &t, out);
}

static norn_status f_info(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  const net *learned = net_view(args[0]);
  (void)n;
  if (learned) return lib_give(st, net_info(st, learned), out);
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  *out = post.info;
  return NORN_OK;
}

static norn_status f_model_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  (void)n;
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  *out = posterior_model(st, args[0]);
  if (out->tag == NORN_MODEL) return NORN_OK;
  norn_status code = norn_fail(
      st, NORN_EINFER, 0, "this posterior can't go on: it is a part of one, or from a file");
  norn_hint(st, "take more draws of the whole: more(post, n).mu");
  return code;
}

static norn_status f_project(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  (void)n;
  if (!want_posterior(st, args, 0, &post)) return lib_failed(st);
  if (norn_array_length(args[1]) != post.n)
    return norn_fail(st, NORN_EUSE, 1, "one value for each of the %lld draws is needed",
                     (long long)post.n);
  return lib_give(st, posterior_project(st, args[0], args[1]), out);
}

/* ---- histograms of text ---- */

#define BAR 40   /* columns of the longest bar */

static void put_bar(text *t, const char *label, int width, double p, double most)
{
  int len = (int)floor(p / most * BAR + 0.5);
  text_puts(t, label);
  for (int k = utf8_width(label, strlen(label)); k < width; k++) text_putc(t, ' ');
  text_puts(t, " |");
  for (int k = 0; k < BAR; k++) text_putc(t, k < len ? '#' : ' ');
  text_printf(t, " %5.1f %%\n", 100 * p);
}

/* Each value with its share, in order: for what is not real or has few values. */
static norn_status hist_values(norn_state *st, norn_datum values, const lib_groups *g,
                               const double *w, text *t)
{
  norn_datum keep;
  norn_datum *x = lib_values(st, g->kinds, &keep);
  double *p = x ? lib_reals(st, g->kinds, &keep) : NULL, most = 0;
  if (!p) return lib_failed(st);
  memset(p, 0, (size_t)g->kinds * sizeof *p);
  for (int64_t k = 0; k < g->n; k++) p[g->kind[k]] += w ? w[k] : 1.0 / (double)g->n;
  int width = 0;
  for (int64_t k = 0; k < g->kinds; k++) {
    x[k] = norn_array_at(st, values, g->first[k]);
    most = fmax(most, p[k]);
    const char *s = norn_show(st, x[k], true, 40);
    int wide = utf8_width(s, strlen(s));
    if (wide > width) width = wide;
  }
  int64_t *order = lib_value_order(st, x, g->kinds);
  if (!order) return lib_failed(st);
  for (int64_t k = 0; k < g->kinds; k++)
    put_bar(t, norn_show(st, x[order[k]], true, 40), width, p[order[k]], most);
  return NORN_OK;
}

static norn_status hist_reals(norn_state *st, const double *x, int64_t n, const double *w,
                              int64_t bins, text *t)
{
  norn_datum keep;
  double *p = lib_reals(st, bins, &keep), lo = INFINITY, hi = -INFINITY, most = 0;
  char label[64];
  if (!p) return lib_failed(st);
  memset(p, 0, (size_t)bins * sizeof *p);
  for (int64_t k = 0; k < n; k++) {
    if (!isfinite(x[k]))
      return norn_fail(st, NORN_EDOMAIN, 0, "hist needs finite numbers, got %g (at index %lld)",
                       x[k], (long long)k);
    lo = fmin(lo, x[k]);
    hi = fmax(hi, x[k]);
  }
  for (int64_t k = 0; k < n; k++) {
    int64_t b = (int64_t)((x[k] - lo) / (hi - lo) * (double)bins);
    p[b < bins ? b : bins - 1] += w ? w[k] : 1.0 / (double)n;
  }
  for (int64_t b = 0; b < bins; b++) most = fmax(most, p[b]);
  for (int64_t b = 0; b < bins; b++) {
    double step = (hi - lo) / (double)bins;
    snprintf(label, sizeof label, "%10.4g .. %-10.4g", lo + (double)b * step,
             lo + (double)(b + 1) * step);
    put_bar(t, label, 24, p[b], most);
  }
  return NORN_OK;
}

static norn_status f_hist(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  norn_datum values = args[0];
  const double *w = NULL;
  int64_t bins = 20;
  lib_groups g;
  norn_view v;
  mem m = lib_mem(st);
  text t;
  if (lib_is_posterior(args[0])) {
    if (!want_posterior(st, args, 0, &post) || !lib_weights(st, &post, &w)) return lib_failed(st);
    values = post.values;
  } else if (norn_array_length(args[0]) < 0)
    return lib_wrong(st, args, 0, "the argument", "an array or a posterior");
  if (lib_given(args, 1, n) && !norn_want_int(st, args, 1, "the number of bins", &bins))
    return lib_failed(st);
  if (bins < 1 || bins > 1000)
    return norn_fail(st, NORN_EDOMAIN, 1, "the number of bins must be between 1 and 1000, got %lld",
                     (long long)bins);
  norn_array_view(values, &v);
  if (v.n == 0) return norn_fail(st, NORN_EDOMAIN, 0, "hist of an empty array");
  if (!lib_group(st, values, &g)) return lib_failed(st);
  text_init(&t, &m);
  norn_datum shown[1] = { values };
  int64_t count;
  bool numbers = v.rank == 1 && (v.elem == NORN_F64 || v.elem == NORN_I64) && g.kinds > bins;
  const double *x = numbers ? norn_want_reals(st, shown, 0, "the argument", &count) : NULL;
  norn_status code = x         ? hist_reals(st, x, count, w, bins, &t)
                     : numbers ? lib_failed(st)
                               : hist_values(st, values, &g, w, &t);
  if (code) {
    text_free(&t);
    return code;
  }
  if (t.n && t.s[t.n - 1] == '\n') t.n--;
  return lib_text(st, &t, out);
}

#define FN(name, params, fn, doc) { name, params, doc, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("draws", "post, n = missing", f_draws,
     "Equally weighted draws of a posterior as an array: the draws themselves where their weights\n"
     "are equal, else n resampled ones.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "len(draws(infer(coin(), enumerate()), 100))\n=> 100"),
  FN("values", "x", f_values,
     "The values of a posterior as they were drawn (see weights), or of a record's fields.\n"
     "Example: values({a: 1, b: 2})\n=> [1, 2]"),
  FN("weights", "post", f_weights, "The weights of a posterior's values; their sum is 1.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "weights(infer(coin(), enumerate()))\n=> [0.5, 0.5]"),
  FN("log_weights", "post", f_log_weights,
     "The logarithms of the weights of a posterior's values.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "log_weights(infer(coin(), enumerate()))[1] == log(0.5)\n=> true"),
  FN("evidence", "post", f_evidence,
     "The logarithm of the probability (density) of all that was observed; by\n"
     "enumerate(exact = true) a big: digits(evidence(post), 50).\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "evidence(infer(coin(), enumerate()))\n=> 0.0"),
  FN("evidence_se", "post", f_evidence_se, "The standard error of evidence(post).\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "evidence_se(infer(coin(), enumerate()))\n=> 0.0"),
  FN("summary", "post, worst = false", f_summary,
     "The table that a posterior prints as, as a string: mean, sd and quantiles of each number; of\n"
     "draws from chains also the error of the mean (mcse), the ESS of bulk and tail, and R-hat.\n"
     "With worst = true all numbers are looked at, also those inside long arrays, and the 60 with\n"
     "the worst R-hat (above 1.01) and the smallest ESS stand first.  Of what loo, compare and sbc\n"
     "give it is their table.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "contains(summary(infer(coin(), enumerate())), \"enumerate\")\n=> true"),
  FN("explain", "model", f_explain,
     "How a model will be run, as a string: the engine that infer(model) chooses and why, its choices\n"
     "with their maps to R^n, what is summed out, and what was recorded for gradients, by line; of an\n"
     "array of models how many are of one form, and this of the first.\n"
     "Example: model line() { let a ~ normal(0, 1); observe 1 ~ half_cauchy(exp(a)); a }; "
     "contains(explain(line()), \"nuts\")\n=> true"),
  FN("_diagnose", "post", f_diagnose,
     "What diagnose gives of a posterior, or of a record like its info.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "contains(_diagnose(infer(coin(), enumerate())), \"exact\")\n=> true"),
  FN("info", "post", f_info,
     "What diagnose tells, as a record; of a net kind, model, loss, held_out (the mean of -log q a question,\n"
     "of late and on runs never trained on), steps, runs, seconds, parameters, seed, sites.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "info(infer(coin(), enumerate())).engine\n=> \"enumerate\""),
  FN("_model_of", "post", f_model_of,
     "The model value that a posterior is of: what more() infers again.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "len(values(infer(_model_of(infer(coin(), enumerate())), enumerate())))\n=> 2"),
  FN("_project", "post, values", f_project,
     "A posterior with other values: what map does on posteriors.\n"
     "Example: model coin() { let x ~ bernoulli(0.5); x }; "
     "mean(_project(infer(coin(), enumerate()), [1, 5]))\n=> 3.0"),
  FN("hist", "x, bins = 20", f_hist, "A histogram of an array or posterior as text.\n"
     "Example: len(lines(hist([1, 2, 2])))\n=> 2"),
};

norn_status lib_infer_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
