/* lib_predict.c: what loo(post) and compare(...) tell, from the log densities of each observation
   at each draw (infer/trust/predict.c, infer/trust/loo.c).  The Norn half, which runs the model, is in
   stdlib/prelude.norn. */
#include "infer/engine.h"
#include "infer/posterior.h"
#include "infer/trust/predict.h"
#include "infer/trust/psis.h"
#include "lib/lib.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABEL = 64, MODELS = 64 };

/* sum, and sqrt(n) times the sd of n numbers: the error of the sum if they are independent. */
static double total(const double *x, int64_t n, double *se)
{
  double s = 0, v = 0;
  for (int64_t i = 0; i < n; i++) s += x[i];
  for (int64_t i = 0; i < n; i++) v += (x[i] - s / (double)n) * (x[i] - s / (double)n);
  *se = n > 1 ? sqrt((double)n * v / (double)(n - 1)) : NAN;
  return s;
}

static norn_status f_model_again(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  char what[120];
  if (!lib_is_posterior(args[0])) return lib_no_posterior(st, args, 0);
  *out = posterior_model(st, args[0]);
  if (lib_given(args, 1, n)) {
    *out = args[1];
    if (out->tag != NORN_MODEL)
      return norn_fail(st, NORN_ETYPE, 1, "model must be a model value, such as m(data), got %s",
                       norn_describe(st, args[1], what, sizeof what));
  }
  if (out->tag == NORN_MODEL) return predict_check(st, args[0]);
  norn_fail(st, NORN_EINFER, 0, "this posterior can't run its model again: it is a part of one, or "
            "from a file");
  norn_hint(st, "ask the whole posterior, not post.name or post |> map(f); of one from a file give the model too, model = m(data)");
  return NORN_EINFER;
}

static norn_status f_can_replay(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  *out = norn_bool(lib_is_posterior(args[0]) && !predict_check(st, args[0]));
  norn_clear(st);
  return NORN_OK;
}

/* ---- loo ---- */

typedef struct loo {
  int64_t draws, rows, bad, worst;
  double *elpd, *p, *khat;                       /* (rows) */
  norn_datum a_elpd, a_p, a_khat;
  double threshold, sum, se, p_sum, p_se;
  norn_posterior post;                           /* of _pointwise: values (draws, rows) */
} loo;

/* Log densities are column k of values. */
static bool loo_rows(norn_state *st, loo *l)
{
  norn_view v;
  const double *w;
  norn_datum keep;
  int chains = posterior_chains(st, l->post.info, l->draws);
  if (!norn_array_view(l->post.values, &v) || !lib_weights(st, &l->post, &w)) return false;
  double *ll = lib_reals(st, l->draws, &keep), *lw = w ? lib_reals(st, l->draws, &keep) : NULL;
  if (!ll || (w && !lw)) return false;
  for (int64_t i = 0; lw && i < l->draws; i++) lw[i] = log(w[i]);
  for (int64_t k = 0; k < l->rows; k++) {
    loo_row r;
    for (int64_t i = 0; i < l->draws; i++) ll[i] = v.f[i * l->rows + k];
    if (!loo_of(st, ll, lw, (size_t)l->draws, chains, &r)) return false;
    l->elpd[k] = r.elpd;
    l->p[k] = r.lpd - r.elpd;
    l->khat[k] = r.khat;
    if (!(r.khat <= l->threshold)) l->bad++;
    if (!(r.khat <= l->khat[l->worst])) l->worst = k;
  }
  l->sum = total(l->elpd, l->rows, &l->se);
  l->p_sum = total(l->p, l->rows, &l->p_se);
  return true;
}

/* "FILE:4:10", "FILE:4:10 element 3" */
static const char *row_place(norn_state *st, norn_datum rows, int64_t k, char *buf, size_t n)
{
  norn_datum row = norn_array_at(st, rows, k), e = norn_record_get(st, row, "element");
  const char *at = norn_string_view(norn_record_get(st, row, "at"), NULL);
  if (e.tag == NORN_INT) snprintf(buf, n, "%s element %lld", at ? at : "?", (long long)e.i);
  else snprintf(buf, n, "%s", at ? at : "?");
  return buf;
}

static void loo_text(norn_state *st, const loo *l, norn_datum rows, text *t)
{
  char where[400];
  text_printf(t, "PSIS-LOO of %lld rows from %lld draws\n", (long long)l->rows,
              (long long)l->draws);
  text_printf(t, "            estimate       se\n");
  text_printf(t, "  elpd_loo %9.2f %8.2f\n  p_loo    %9.2f %8.2f\n  looic    %9.2f %8.2f\n", l->sum,
              l->se, l->p_sum, l->p_se, -2 * l->sum, 2 * l->se);
  text_printf(t, "  k-hat above %.2f: %lld of %lld rows; worst %.2f, row %lld at %s", l->threshold,
              (long long)l->bad, (long long)l->rows, l->khat[l->worst], (long long)l->worst,
              row_place(st, rows, l->worst, where, sizeof where));
}

static void loo_warn(norn_state *st, const loo *l, norn_datum rows, norn_datum factor)
{
  char where[400];
  const char *at = norn_string_view(factor, NULL);
  if (l->bad)
    norn_warning(st, (norn_span){ 0, 0, 0 },
                 "k-hat is above %.2f for %lld of %lld rows, worst %.2f (row %lld at %s): their "
                 "elpd can't be trusted; a heavier-tailed likelihood, or refitting without them, "
                 "can",
                 l->threshold, (long long)l->bad, (long long)l->rows, l->khat[l->worst],
                 (long long)l->worst, row_place(st, rows, l->worst, where, sizeof where));
  if (at)
    norn_warning(st, (norn_span){ 0, 0, 0 },
                 "the factor at %s is no row: what it stands for is left out of no prediction", at);
}

/* The name of the model that a posterior is of. */
static norn_datum model_name(norn_state *st, norn_datum post)
{
  const char *s = norn_show(st, posterior_model(st, post), true, 200), *head = "<model ";
  if (s && !strncmp(s, head, strlen(head))) s += strlen(head);
  return norn_string(st, s ? s : "", s ? strcspn(s, "(>") : 0);
}

static norn_status loo_result(norn_state *st, loo *l, norn_datum post, norn_datum *out)
{
  static const char *const names[] = { "model", "elpd_loo", "se", "p_loo", "looic", "pointwise",
                                       "khat", "threshold", "bad", "rows", "factor", "text" };
  norn_datum rows = norn_record_get(st, l->post.info, "rows"),
             factor = norn_record_get(st, l->post.info, "factor"), shown;
  mem m = lib_mem(st);
  text t;
  text_init(&t, &m);
  loo_text(st, l, rows, &t);
  norn_status code = lib_text(st, &t, &shown);
  if (code) return code;
  loo_warn(st, l, rows, factor);
  norn_datum v[] = { model_name(st, post), norn_real(l->sum), norn_real(l->se), norn_real(l->p_sum),
                     norn_real(-2 * l->sum), l->a_elpd, l->a_khat, norn_real(l->threshold),
                     norn_int(l->bad), rows, factor, shown };
  return lib_give(st, norn_record(st, NORN_COUNT(v), names, v), out);
}

static norn_status f_loo(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  loo l = { 0 };
  norn_view v;
  (void)n;
  if (!lib_is_posterior(args[0]) || !norn_posterior_view(st, args[0], &l.post))
    return lib_no_posterior(st, args, 0);
  if (!norn_array_view(l.post.values, &v) || v.rank != 2 || v.elem != NORN_F64 || !v.dims[1]) {
    norn_fail(st, NORN_EINFER, 0, "the model observes nothing: there is no row to leave out");
    norn_hint(st, "factor and condition are no rows");
    return NORN_EINFER;
  }
  l.draws = v.dims[0];
  l.rows = v.dims[1];
  l.threshold = psis_threshold((size_t)l.draws);
  l.elpd = lib_reals(st, l.rows, &l.a_elpd);
  l.p = l.elpd ? lib_reals(st, l.rows, &l.a_p) : NULL;
  l.khat = l.p ? lib_reals(st, l.rows, &l.a_khat) : NULL;
  if (!l.khat || !loo_rows(st, &l)) return lib_failed(st);
  return loo_result(st, &l, args[1], out);
}

/* ---- compare ---- */

typedef struct rival {
  char name[LABEL];
  norn_datum loo;
  norn_view elpd;
  double sum, p, se, diff, se_diff;
} rival;

static norn_status rival_read(norn_state *st, norn_datum v, int arg, const char *name, rival *r)
{
  char what[120];
  size_t n;
  const char *model;
  *r = (rival){ .loo = v };
  if (norn_record_size(v) < 0 || !norn_as_real(norn_record_get(st, v, "elpd_loo"), &r->sum) ||
      !norn_as_real(norn_record_get(st, v, "p_loo"), &r->p) ||
      !norn_as_real(norn_record_get(st, v, "se"), &r->se) ||
      !norn_array_view(norn_record_get(st, v, "pointwise"), &r->elpd) ||
      r->elpd.elem != NORN_F64 || r->elpd.rank != 1) {
    norn_fail(st, NORN_ETYPE, arg, "compare wants what loo gives, got %s",
              norn_describe(st, v, what, sizeof what));
    norn_hint(st, "compare(loo(a), loo(b)), or with names compare({ a: loo(a), b: loo(b) })");
    return NORN_ETYPE;
  }
  model = norn_string_view(norn_record_get(st, v, "model"), &n);
  snprintf(r->name, LABEL, "%s", name ? name : model ? model : "?");
  return NORN_OK;
}

/* The second of a name gets a number. */
static void rival_names(rival *r, int n)
{
  for (int i = 1; i < n; i++) {
    int same = 1;
    size_t len = strlen(r[i].name);
    for (int k = 0; k < i; k++)
      same += !strncmp(r[k].name, r[i].name, len) && (!r[k].name[len] || r[k].name[len] == ' ');
    if (same > 1 && len < LABEL - 16) snprintf(r[i].name + len, 16, " (%d)", same);
  }
}

/* Best first; differences to it, with the error of the sum of differences of rows. */
static norn_status rivals_rank(norn_state *st, rival *r, int n)
{
  norn_datum keep;
  int64_t m = r[0].elpd.n;
  double *d = lib_reals(st, m, &keep);
  if (!d) return lib_failed(st);
  for (int i = 1; i < n; i++) {
    if (r[i].elpd.n != m)
      return norn_fail(st, NORN_EDOMAIN, i, "%s has %lld rows, %s has %lld: they are not of the "
                       "same data", r[i].name, (long long)r[i].elpd.n, r[0].name, (long long)m);
    for (int k = i; k > 0 && r[k].sum > r[k - 1].sum; k--) {
      rival x = r[k];
      r[k] = r[k - 1];
      r[k - 1] = x;
    }
  }
  for (int i = 0; i < n; i++) {
    for (int64_t k = 0; k < m; k++) d[k] = r[i].elpd.f[k] - r[0].elpd.f[k];
    r[i].diff = total(d, m, &r[i].se_diff);
  }
  return NORN_OK;
}

static norn_status rivals_table(norn_state *st, const rival *r, int n, norn_datum *out)
{
  static const char *const names[] = { "model", "elpd_diff", "se_diff", "elpd_loo", "se", "p_loo" };
  static const char *const both[] = { "models", "text" };
  norn_datum row[MODELS], whole[2];
  mem m = lib_mem(st);
  text t;
  int wide = 5;
  for (int i = 0; i < n; i++) {
    int w = utf8_width(r[i].name, strlen(r[i].name));
    if (w > wide) wide = w;
  }
  text_init(&t, &m);
  text_printf(&t, "  %*s elpd_diff  se_diff   elpd_loo       se    p_loo", wide, "");
  for (int i = 0; i < n; i++) {
    norn_datum v[] = { norn_cstring(st, r[i].name), norn_real(r[i].diff), norn_real(r[i].se_diff),
                       norn_real(r[i].sum), norn_real(r[i].se), norn_real(r[i].p) };
    row[i] = norn_record(st, NORN_COUNT(v), names, v);
    text_printf(&t, "\n  %s%*s %9.2f %8.2f %10.2f %8.2f %8.2f", r[i].name,
                wide - utf8_width(r[i].name, strlen(r[i].name)), "", r[i].diff, r[i].se_diff,
                r[i].sum, r[i].se, r[i].p);
  }
  norn_status code = lib_text(st, &t, &whole[1]);
  if (code) return code;
  whole[0] = norn_array_pack(st, row, n);
  if (norn_is_none(whole[0])) return lib_failed(st);
  return lib_give(st, norn_record(st, 2, both, whole), out);
}

static norn_status f_compare(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  rival *r;
  norn_status code = NORN_OK;
  bool named = n == 1 && norn_record_size(args[0]) > 0 &&
               norn_is_none(norn_record_get(st, args[0], "elpd_loo"));
  int m = named ? norn_record_size(args[0]) : n;
  if (m < 2 || m > MODELS) {
    norn_fail(st, NORN_EDOMAIN, 0, "compare takes 2 to %d results of loo, got %d", MODELS, m);
    norn_hint(st, "compare(loo(a), loo(b)), or with names compare({ a: loo(a), b: loo(b) })");
    return NORN_EDOMAIN;
  }
  r = engine_get(st, (size_t)m * sizeof *r);
  if (!r) return NORN_EMEMORY;
  for (int i = 0; !code && i < m; i++) {
    norn_datum v = args[named ? 0 : i];
    const char *name = named ? norn_record_at(st, args[0], i, &v) : NULL;
    code = rival_read(st, v, named ? 0 : i, name, &r[i]);
  }
  if (!code) rival_names(r, m);
  if (!code) code = rivals_rank(st, r, m);
  if (!code) code = rivals_table(st, r, m, out);
  engine_put(st, r, (size_t)m * sizeof *r);
  return code;
}

static const norn_native natives[] = {
  {"_model_again", "post, model = missing", "The model of a posterior, if it can be run again with its choices.\n"
   "Example: model m() { let x ~ normal(0, 1); x }; "
   "len(draws(infer(_model_again(infer(m(), importance(9))), forward(5))))\n=> 5",
   f_model_again, 0, NULL},
  {"_can_replay", "post", "Whether a posterior keeps the choices of its draws.\n"
   "Example: model m() { let x ~ bernoulli(0.5); x }; "
   "_can_replay(infer(m(), enumerate()))\n=> false", f_can_replay, 0, NULL},
  {"_loo", "pointwise, post", "What loo makes of the log densities of each row at each draw.\n"
   "Example: model m() { let x ~ normal(0, 1); observe 1 ~ normal(x, 1); x }; "
   "let p = infer(m(), importance(100)); "
   "len(_loo(infer(m(), _pointwise(p)), p).khat)\n=> 1", f_loo, 0, NULL},
  {"compare", "loos", "Models of the same data by how well they predict what was left out, best "
   "first.\nTakes results of loo, or a record of them; gives the differences of elpd_loo to the "
   "best\n"
   "with their standard errors (models), and the table as text: print(summary(compare(a, b))).\n"
   "Example: model m(s) { let x ~ normal(0, s); for y in [1, 2] { observe y ~ normal(x, 1) }; x }; "
   "compare(loo(infer(m(1), importance(500))), loo(infer(m(9), importance(500)))).models[0]."
   "elpd_diff\n=> 0.0", f_compare, NORN_VARIADIC, NULL},
};

norn_status lib_predict_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
