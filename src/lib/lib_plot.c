/* lib_plot.c: plot: pictures of posteriors as files and in the terminal (io/plot.h). */
#include "infer/engine.h"
#include "infer/posterior.h"
#include "infer/trust/sbc.h"
#include "lib/columns.h"
#include "lib/lib.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { X, FILE_NAME, KIND, ONLY, OBSERVED, CHAINS, TITLE, WIDTH, HEIGHT, ARGS };

typedef struct request {
  norn_state *st;
  const norn_datum *args;
  int n;
  mem m;
  const char *file;            /* NULL: text */
  canvas_format format;
  bool kind_given;
  int64_t chains;
  columns from;
  plot p;
} request;

static bool given(const request *r, int i) { return lib_given(r->args, i, r->n); }

/* ---- options ---- */

static norn_status want_kind(request *r)
{
  const char *s;
  size_t n;
  text t;
  if (!given(r, KIND)) return NORN_OK;
  if (!norn_want_string(r->st, r->args, KIND, "kind", &s, &n)) return lib_failed(r->st);
  r->kind_given = true;
  for (int k = 0; k < PLOT_KIND_COUNT; k++)
    if (strcmp(plot_kinds[k].name, s) == 0) {
      r->p.kind = (plot_kind)k;
      return NORN_OK;
    }
  norn_status code = norn_fail(r->st, NORN_EDOMAIN, KIND, "no kind of picture is \"%s\"", s);
  text_init(&t, &r->m);
  for (int k = 0; k < PLOT_KIND_COUNT; k++)
    text_printf(&t, "%s%s", k ? ", " : "there are ", plot_kinds[k].name);
  if (t.s) norn_hint(r->st, "%s", t.s);
  text_free(&t);
  return code;
}

static norn_status want_file(request *r)
{
  if (!given(r, FILE_NAME)) return NORN_OK;
  if (!lib_want_file(r->st, r->args, FILE_NAME, &r->file)) return lib_failed(r->st);
  r->format = canvas_format_of(r->file);
  if (r->format == CANVAS_UNKNOWN) {
    norn_status code = norn_fail(r->st, NORN_EDOMAIN, FILE_NAME,
                                 "%s: the name of a picture must end in .svg, .png or .pdf",
                                 r->file);
    norn_hint(r->st, "that says what is written; without a name the picture is text");
    for (int k = 0; k < PLOT_KIND_COUNT; k++)
      if (!strcmp(plot_kinds[k].name, r->file)) norn_hint(r->st, "the kind has a name: kind = \"%s\"", r->file);
    return code;
  }
  if (r->format == CANVAS_SVG || canvas_cairo()) return NORN_OK;
  norn_status code = norn_fail(r->st, NORN_EIO, FILE_NAME,
                               "%s can't be drawn: PNG and PDF need cairo, which is not installed",
                               r->file);
  norn_hint(r->st, "install libcairo2 (it brings libcairo.so.2), or write an .svg, which needs "
                   "nothing");
  return code;
}

static norn_status want_length(request *r, int i, const char *name, double *out)
{
  double least = r->file ? 1 : 20, most = r->file ? 10000 : 200;
  if (!given(r, i)) return NORN_OK;
  if (!norn_want_real(r->st, r->args, i, name, out)) return lib_failed(r->st);
  if (i == HEIGHT && !r->file)
    return norn_fail(r->st, NORN_EDOMAIN, i, "a picture as text has no height: name a file");
  if (*out >= least && *out <= most) return NORN_OK;
  return norn_fail(r->st, NORN_EDOMAIN, i, "%s must be between %g and %g%s, got %g", name, least,
                   most, r->file ? "" : " columns", *out);
}

static norn_status want_options(request *r)
{
  size_t n;
  norn_status code = want_kind(r);
  if (!code) code = want_file(r);
  if (!code) code = want_length(r, WIDTH, "width", &r->p.width);
  if (!code) code = want_length(r, HEIGHT, "height", &r->p.height);
  if (code) return code;
  if (given(r, TITLE) && !norn_want_string(r->st, r->args, TITLE, "title", &r->p.title, &n))
    return lib_failed(r->st);
  if (given(r, CHAINS) && !norn_want_int(r->st, r->args, CHAINS, "chains", &r->chains))
    return lib_failed(r->st);
  if (given(r, CHAINS) && (r->chains < 1 || r->chains > 10000))
    return norn_fail(r->st, NORN_EDOMAIN, CHAINS, "chains must be between 1 and 10000, got %lld",
                     (long long)r->chains);
  bool ppc = r->kind_given && r->p.kind == PLOT_ppc;
  if (ppc && !given(r, OBSERVED)) {
    code = norn_fail(r->st, NORN_EDOMAIN, KIND, "ppc compares with what was observed");
    norn_hint(r->st, "plot(replicates, file, observed = y)");
  } else if (given(r, OBSERVED) && r->kind_given && !ppc)
    code = norn_fail(r->st, NORN_EDOMAIN, OBSERVED, "observed is for kind = \"ppc\"");
  if (given(r, OBSERVED)) r->p.kind = PLOT_ppc;
  return code;
}

/* ---- predictive checks ---- */

/* The numbers of an array of any shape, row by row; false: something in it is none. */
static bool put_numbers(norn_state *st, norn_datum v, double *x, int64_t n, int64_t *at)
{
  int64_t m = norn_array_length(v);
  if (m < 0) {
    double d = v.tag == NORN_BOOL ? (double)v.i : (double)NAN;
    if (*at >= n || (v.tag != NORN_BOOL && v.tag != NORN_MISSING && !norn_as_real(v, &d)))
      return false;
    x[(*at)++] = d;
    return true;
  }
  for (int64_t i = 0; i < m; i++)
    if (!put_numbers(st, norn_array_at(st, v, i), x, n, at)) return false;
  return true;
}

static int64_t count_numbers(norn_state *st, norn_datum v)
{
  int64_t m = norn_array_length(v), sum = 0;
  if (m < 0) return 1;
  for (int64_t i = 0; i < m; i++) sum += count_numbers(st, norn_array_at(st, v, i));
  return sum;
}

/* Equally weighted replicates, of at most 2000. */
static norn_datum replicates(request *r)
{
  norn_posterior post;
  const double *w;
  norn_datum x = r->args[X];
  if (!lib_is_posterior(x)) return x;
  if (!norn_posterior_view(r->st, x, &post) || !lib_weights(r->st, &post, &w)) return norn_none();
  norn_rng g = { .stream = norn_hash(post.weights), .lane = 0x706c6f74 };
  return w || post.exact ? posterior_resampled(r->st, x, 1000, &g) : post.values;
}

static norn_status bad_replicate(request *r, int64_t i, norn_datum v)
{
  char got[160];
  norn_status code = norn_fail(r->st, NORN_ETYPE, X,
                               "each replicate must be like what was observed, %lld numbers, but "
                               "replicate %lld is %s",
                               (long long)r->p.nobserved, (long long)i,
                               norn_describe(r->st, v, got, sizeof got));
  if (norn_record_size(v) >= 0) norn_hint(r->st, "take the field of it: plot(rep.y, ...)");
  return code;
}

static norn_status take_predictive(request *r)
{
  enum { MOST = 2000 };
  plot *p = &r->p;
  norn_datum y = r->args[OBSERVED], reps = replicates(r), keep;
  int64_t at = 0;
  if (norn_is_none(reps)) return lib_failed(r->st);
  int64_t all = norn_array_length(reps);
  if (norn_array_length(y) < 1 || (p->nobserved = count_numbers(r->st, y)) < 1)
    return lib_wrong(r->st, r->args, OBSERVED, "observed", "an array of numbers");
  if (all < 1)
    return lib_wrong(r->st, r->args, X, "the argument", "a posterior or an array of replicates");
  p->nreplicate = all < MOST ? all : MOST;
  double *x = lib_reals(r->st, (p->nreplicate + 1) * p->nobserved, &keep);
  if (!x) return lib_failed(r->st);
  if (!put_numbers(r->st, y, x, p->nobserved, &at))
    return lib_wrong(r->st, r->args, OBSERVED, "observed", "an array of numbers");
  p->observed = x;
  p->replicate = x + p->nobserved;
  for (int64_t i = 0; i < p->nreplicate; i++) {
    norn_datum v = norn_array_at(r->st, reps, i * all / p->nreplicate);
    at = 0;
    if (!put_numbers(r->st, v, x + (i + 1) * p->nobserved, p->nobserved, &at) ||
        at != p->nobserved)
      return bad_replicate(r, i * all / p->nreplicate, v);
  }
  return NORN_OK;
}

/* ---- calibration ---- */

/* Is it what sbc gives? */
static bool is_calibration(norn_state *st, norn_datum x)
{
  return norn_record_size(x) >= 0 && norn_record_get(st, x, "calibrated").tag == NORN_BOOL &&
         norn_array_length(norn_record_get(st, x, "parameters")) > 0;
}

/* The band that sbc judges by: all parameters together stay inside with 95 %. */
static norn_status take_band(request *r, int n, int64_t parameters)
{
  int lower[PLOT_BAND], upper[PLOT_BAND], k = n < 100 ? n : 100;
  if (!sbc_band(r->st, n, k, 1 - .05 / (double)parameters, lower, upper)) return lib_failed(r->st);
  r->p.nband = k - 1;
  for (int i = 0; i + 1 < k; i++) {
    r->p.band_lo[i] = (double)lower[i] / n - (i + 1.0) / k;
    r->p.band_hi[i] = (double)upper[i] / n - (i + 1.0) / k;
  }
  return NORN_OK;
}

/* Parameters that are in every replicate, those outside the band first if there are too many. */
static norn_status take_calibration(request *r)
{
  plot *p = &r->p;
  norn_datum x = r->args[X], all = norn_record_get(r->st, x, "parameters"), one, u[1], inside;
  int64_t n = norn_array_length(all), replicates = norn_record_get(r->st, x, "replicates").i, m;
  int most = plot_kinds[PLOT_sbc].most;
  p->column = arena_get(&r->from.a, (size_t)(most + 1) * sizeof *p->column);
  if (!p->column) return lib_failed(r->st);
  for (int want = 0; want < 2; want++)
    for (int64_t i = 0; i < n && p->ncolumn < most; i++) {
      one = norn_array_at(r->st, all, i);
      u[0] = norn_record_get(r->st, one, "u");
      inside = norn_record_get(r->st, one, "inside");
      if (norn_array_length(u[0]) != replicates || (inside.tag == NORN_BOOL && inside.i) != want)
        continue;
      const double *v = norn_want_reals(r->st, u, 0, "the ranks", &m);
      if (!v) return lib_failed(r->st);
      p->column[p->ncolumn++] = (plot_column){
        .name = norn_string_view(norn_record_get(r->st, one, "name"), NULL), .x = v, .n = m };
    }
  if (!p->ncolumn) return norn_fail(r->st, NORN_EDOMAIN, X, "there is nothing to plot in it");
  if (p->ncolumn < n)
    p->note = arena_printf(&r->from.a, "%d of %lld parameters, those outside the band first.",
                           p->ncolumn, (long long)n);
  return take_band(r, (int)replicates, n);
}

/* ---- columns ---- */

/* Without a kind: traces of several numbers from chains, else densities. */
static void choose_kind(request *r)
{
  const columns *c = &r->from;
  bool chains = c->nleaf > 1;
  for (size_t i = 0; i < c->nleaf; i++) chains &= c->source[c->leaf[i].source].chains > 0;
  r->p.kind = chains && r->file ? PLOT_trace : PLOT_density;
}

/* Kinds that need chains, equal lengths, or an order of draws. */
static norn_status check_columns(request *r)
{
  const plot_kind_row *kind = &plot_kinds[r->p.kind];
  for (int i = 0; i < r->p.ncolumn; i++) {
    const plot_column *c = &r->p.column[i], *first = r->p.column;
    if (kind->chains && c->chains < 1) {
      norn_status code = norn_fail(r->st, NORN_EDOMAIN, KIND,
                                   "%s needs draws from chains, and these are not", kind->name);
      norn_hint(r->st, "of an array say how many: chains = 4");
      return code;
    }
    if (r->p.kind == PLOT_trace && c->w)
      return norn_fail(r->st, NORN_EDOMAIN, KIND,
                       "a trace shows draws in their order, and these are weighted");
    if (r->p.kind == PLOT_pairs && (c->n != first->n || !c->w != !first->w))
      return norn_fail(r->st, NORN_EDOMAIN, KIND,
                       "pairs needs parameters of the same draws: %s has %lld, %s has %lld",
                       first->name, (long long)first->n, c->name, (long long)c->n);
  }
  return NORN_OK;
}

/* The course of particles (info.course); false: this posterior has none. */
static bool take_course(request *r)
{
  norn_datum c = posterior_info(r->st, r->args[X], "course"), v[3];
  static const char *const name[] = { "barrier", "ess", "log_evidence" };
  const double *x[3];
  int64_t n[3];
  if (norn_record_size(c) < 0) return false;
  for (int k = 0; k < 3; k++) {
    v[k] = norn_record_get(r->st, c, name[k]);
    x[k] = norn_array_length(v[k]) > 0 ? norn_want_reals(r->st, v, k, name[k], &n[k]) : NULL;
    if (!x[k] || n[k] != n[0]) return false;
  }
  r->p.ncourse = n[0];
  r->p.course = x[0];
  r->p.course_ess = x[1];
  r->p.course_evidence = x[2];
  return true;
}

/* Effective sample sizes of the first parts of each chain. */
static norn_status measure_steps(request *r)
{
  plot *p = &r->p;
  double *e = arena_get(&r->from.a, (size_t)(2 * p->ncolumn * PLOT_STEPS) * sizeof *e);
  p->ess = e;
  for (int i = 0; e && i < p->ncolumn; i++) {
    const plot_column *c = &p->column[i];
    int64_t each = c->n / c->chains;
    double *x = arena_get(&r->from.a, (size_t)c->n * sizeof *x);
    if (!x) e = NULL;
    for (int k = 0; e && k < PLOT_STEPS; k++) {
      int64_t m = each * (k + 1) / PLOT_STEPS;
      double *bulk = &e[2 * i * PLOT_STEPS + k], *tails = bulk + PLOT_STEPS;
      bool finite = true;
      for (int j = 0; j < c->chains; j++)
        memcpy(x + j * m, c->x + j * each, (size_t)m * sizeof *x);
      for (int64_t j = 0; j < m * c->chains; j++) finite &= isfinite(x[j]) != 0;
      *bulk = *tails = (double)NAN;
      if (finite && (!diagnose(r->st, DIAGNOSE_ESS_BULK, 0, x, c->chains, m, bulk) ||
                     !diagnose(r->st, DIAGNOSE_ESS_TAIL, 0, x, c->chains, m, tails)))
        return lib_failed(r->st);
    }
  }
  return e ? NORN_OK : lib_failed(r->st);
}

static norn_status take_columns(request *r)
{
  plot *p = &r->p;
  if (r->kind_given && p->kind == PLOT_ess && take_course(r)) return NORN_OK;
  norn_status code = columns_open(r->st, &r->m, r->args[X], r->chains, CHAINS,
                                  &r->from);
  if (!code && given(r, ONLY)) code = columns_only(&r->from, r->args[ONLY], ONLY);
  if (code) return code;
  if (!r->kind_given) choose_kind(r);
  code = columns_limit(&r->from, plot_kinds[p->kind].most, &p->note);
  p->ncolumn = (int)r->from.nleaf;
  p->column = arena_get(&r->from.a, (r->from.nleaf + 1) * sizeof *p->column);
  if (!code && !p->column) code = lib_failed(r->st);
  for (size_t i = 0; i < r->from.nleaf && !code; i++) {
    code = columns_gather(&r->from, i, &p->column[i]);
    if (!code && p->kind == PLOT_forest) code = columns_measure(&r->from, &p->column[i]);
  }
  if (!code) code = check_columns(r);
  if (!code && p->kind == PLOT_ess) code = measure_steps(r);
  return code;
}

/* ---- what comes out ---- */

static norn_status write_file(request *r, const text *t)
{
  errno = 0;
  FILE *f = fopen(r->file, "wb");
  bool fine = f && fwrite(t->s, 1, t->n, f) == t->n;
  int err = errno;
  if (f && fclose(f) != 0 && fine) {
    fine = false;
    err = errno;
  }
  if (fine) return NORN_OK;
  return norn_fail(r->st, NORN_EIO, FILE_NAME, "can't write %s: %s", r->file, strerror(err));
}

/* What the picture is of, for those who hear it. */
static const char *spoken(request *r)
{
  if (r->p.title) return r->p.title;
  return r->p.ncolumn == 1 && *r->p.column[0].name
             ? arena_printf(&r->from.a, "%s of %s", plot_kinds[r->p.kind].name, r->p.column[0].name)
             : plot_kinds[r->p.kind].name;
}

static norn_status draw_file(request *r)
{
  canvas c;
  norn_status code = NORN_OK;
  double wide, high;
  if (!plot_size(&r->p, &wide, &high))
    return norn_fail(r->st, NORN_EDOMAIN, r->p.width < wide ? WIDTH : HEIGHT,
                     "this picture needs a width of %g and a height of %g at least, got %g and %g",
                     wide, high, r->p.width, r->p.height);
  const char *title = spoken(r);
  if (!title) return lib_failed(r->st);
  bool good = canvas_open(&c, &r->m, r->format, r->p.width, r->p.height, title) &&
              plot_draw(&r->p, &c) && canvas_finish(&c);
  if (good) code = write_file(r, &c.out);
  else if (c.why) code = norn_fail(r->st, NORN_EIO, FILE_NAME, "%s: %s", r->file, c.why);
  else code = lib_failed(r->st);
  canvas_free(&c);
  return code;
}

static norn_status draw_text(request *r)
{
  text t;
  norn_status code = NORN_OK;
  if (!plot_has_text(r->p.kind)) {
    code = norn_fail(r->st, NORN_EDOMAIN, X, "%s needs a file", plot_kinds[r->p.kind].name);
    norn_hint(r->st, "plot(x, \"%s.svg\", ...); density, trace, histogram, forest and ppc are drawn "
              "as text too", plot_kinds[r->p.kind].name);
    return code;
  }
  text_init(&t, &r->m);
  if (plot_text(&r->p, r->p.width ? (int)r->p.width : 72, &t)) norn_output(r->st, t.s, t.n);
  else code = lib_failed(r->st);
  text_free(&t);
  return code;
}

static norn_status f_plot(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  request r = { .st = st, .args = args, .n = n, .m = lib_mem(st) };
  r.p.m = &r.m;
  arena_init(&r.from.a, &r.m);
  norn_status code = want_options(&r);
  if (!code && !r.kind_given && is_calibration(st, args[X])) r.p.kind = PLOT_sbc;
  if (!code && r.p.kind == PLOT_sbc && !is_calibration(st, args[X])) {
    code = norn_fail(st, NORN_ETYPE, X, "this kind of picture is of what sbc gives");
    norn_hint(st, "plot(sbc(m, engine), \"sbc.svg\")");
  }
  if (!code)
    code = r.p.kind == PLOT_sbc   ? take_calibration(&r)
           : r.p.kind == PLOT_ppc ? take_predictive(&r)
                                  : take_columns(&r);
  if (!code) code = r.file ? draw_file(&r) : draw_text(&r);
  columns_free(&r.from);
  *out = norn_unit();
  return code;
}

static const norn_native natives[] = {
  {"plot",
   "x, file = missing, kind = missing, only = missing, observed = missing, chains = missing, "
   "title = missing, width = missing, height = missing",
   "A picture of a posterior, of an array of numbers, or of a record of them: in a file that ends\n"
   "in .svg, .png or .pdf (the last two by cairo), without a file as text.  kind is one of\n"
   "  density          densities, of all draws and of each chain; counts as bars\n"
   "  trace            densities beside the draws in their order, chain by chain\n"
   "  rank             histograms of each chain's ranks, uniform if the chains agree\n"
   "  pairs            scatter plots of each two, densities on the diagonal\n"
   "  forest           medians, intervals of 50 % and 90 %, ESS and R-hat\n"
   "  autocorrelation  of each chain\n"
   "  ess              effective sample sizes as draws come in, of smc with the evidence\n"
   "  histogram        shares of values or bins\n"
   "  sbc              x, what sbc gives: ranks and their distribution functions\n"
   "  ppc              x, replicates of what was observed, under the array observed\n"
   "Left out it is trace for several numbers from chains, sbc of what sbc gives, ppc with observed,\n"
   "else density.\n"
   "only: names of the parameters to show, as \"mu\", [\"mu\", \"theta[3]\"], \"theta[*]\", or of\n"
   "choices; else the first, from chains those with the largest R-hat.  chains: how many an array\n"
   "is of.  title; width and height in points (two pixels each in PNG), of text in columns.\n"
   "Example: model m() { let x ~ normal(0, 1); x }; "
   "plot(infer(m(), mh(draws = 9)), \"x.svg\"); contains(read_text(\"x.svg\"), \">x<\")\n=> true\n"
   "Example: plot([1, 2, 2, 3, 3, 3], \"shares.svg\", kind = \"histogram\", title = \"Shares\"); "
   "starts_with(read_text(\"shares.svg\"), \"<svg \")\n=> true",
   f_plot, 0, NULL},
};

norn_status lib_plot_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
