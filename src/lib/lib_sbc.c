/* lib_sbc.c: simulation-based calibration (Talts, Betancourt, Simpson, Vehtari, Gelman 2018;
   bands: infer/trust/sbc.c).  Where choices come from their priors and data from them, each is one more
   draw of the posterior of that data: its rank among the posterior's draws is uniform, if the
   engine is right.  The Norn half, which simulates and infers, is in stdlib/prelude.norn.

   Ranks are told as u in (0, 1): with b of n draws below and e equal
       u = (b + U (e + 1)) / (n + 1),  U uniform,
   which is exactly uniform if the draws are independent, ties or not. */
#include "infer/engine.h"
#include "infer/posterior.h"
#include "infer/trust/sbc.h"
#include "lib/lib.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 96, GRID = 100, BINS = 12, WARNED = 8, HIGH = 9, WIDE = 60 };

/* ---- ranks of one replicate ---- */

typedef struct ranked { char name[NAME]; double below, equal, draws; } ranked;

/* The draws that a number is ranked among; x (n) is scratch. */
typedef struct among {
  norn_state *st;
  norn_datum values;                   /* (n) */
  const double *w;                     /* weights; NULL: equal */
  int64_t n; int chains; bool exact;
  double *x;
  ranked *v; size_t count, cap;
  const char *name;                    /* of the choice, or "" */
} among;

static bool number(norn_datum v, double *x)
{
  if (v.tag == NORN_BOOL) *x = (double)v.i;
  else if (!norn_as_real(v, x)) return false;
  return *x == *x;
}

/* Every how manieth draw of a chain is nearly independent: n / ESS, the least of bulk, tail and
   mean. */
static int64_t step_of(const among *a)
{
  static const diagnose_what all[] = { DIAGNOSE_ESS_BULK, DIAGNOSE_ESS_TAIL, DIAGNOSE_ESS_MEAN };
  double least = (double)a->n, ess;
  for (int i = 0; i < NORN_COUNT(all); i++)
    if (!diagnose(a->st, all[i], 0, a->x, a->chains, a->n / a->chains, &ess)) return 0;
    else if (ess < least) least = ess;
  int64_t each = a->n / a->chains, step = (int64_t)ceil((double)a->n / (least > 1 ? least : 1));
  return step < each ? step : each;
}

/* Of real numbers that are not from chains, equal ones are copies of one draw: (sum w)^2 / sum w^2
   over distinct values.  0: no memory. */
static double distinct(const among *a)
{
  const int64_t *order = lib_order(a->st, a->x, a->n);
  double sum = 0, square = 0, w = 0;
  if (!order) return 0;
  for (int64_t i = 0; i < a->n; i++) {
    w += a->w ? a->w[order[i]] : 1;
    if (i + 1 < a->n && a->x[order[i]] == a->x[order[i + 1]]) continue;
    sum += w;
    square += w * w;
    w = 0;
  }
  return sum * sum / square;
}

/* The rank of truth among a->x; false: no memory. */
static bool rank(among *a, double truth, bool real, const char *path)
{
  ranked r = { .draws = 0 };
  int64_t step = a->chains ? step_of(a) : 1, each = a->chains ? a->n / a->chains : a->n;
  double square = 0;
  if (!step || !engine_room(a->st, &a->v, &a->cap, a->count + 1, sizeof *a->v)) return false;
  for (int64_t i = 0; i < a->n; i++) {
    if (i % each % step != step - 1) continue;
    double w = a->w ? a->w[i] : 1;
    r.draws += w;
    square += w * w;
    if (a->x[i] < truth) r.below += w;
    if (a->x[i] == truth) r.equal += w;
  }
  r.below /= r.draws;
  r.equal /= r.draws;
  r.draws = a->exact ? HUGE_VAL
          : a->chains || !real ? r.draws * r.draws / square : distinct(a);
  if (r.draws == 0) return false;
  if (!*a->name && !*path) snprintf(r.name, NAME, "value");
  else snprintf(r.name, NAME, "%.60s%.30s", a->name, *a->name || *path != '.' ? path : path + 1);
  a->v[a->count++] = r;
  return true;
}

/* Ranks the numbers under `path` of the draw that was simulated. */
static bool rank_under(among *a, norn_datum truth, const char *path, int depth)
{
  char below[NAME];
  double x;
  if (number(truth, &x)) {
    for (int64_t i = 0; i < a->n; i++) {
      norn_datum v = posterior_part(a->st, norn_array_at(a->st, a->values, i), path);
      if (!number(v, &a->x[i])) return true;     /* not in every draw: no rank */
    }
    return rank(a, x, truth.tag == NORN_REAL, path);
  }
  if (depth == 4) return true;
  for (int i = 0; i < norn_record_size(truth); i++) {
    norn_datum v;
    snprintf(below, sizeof below, "%.50s.%.40s", path, norn_record_at(a->st, truth, i, &v));
    if (!rank_under(a, v, below, depth + 1)) return false;
  }
  for (int64_t i = 0; i < norn_array_length(truth); i++) {
    snprintf(below, sizeof below, "%.60s[%lld]", path, (long long)i);
    if (!rank_under(a, norn_array_at(a->st, truth, i), below, depth + 1)) return false;
  }
  return true;
}

/* Ranks a choice's value among the draws of it, or the posterior that exact engines keep of it. */
static bool rank_choice(among *a, const norn_posterior *post, norn_datum truth, norn_datum kept)
{
  norn_posterior own = *post;
  norn_datum keep;
  if (norn_kind_of(kept) == NORN_DIST && !norn_posterior_view(a->st, kept, &own)) return false;
  a->values = norn_kind_of(kept) == NORN_DIST ? own.values : kept;
  a->n = own.n;
  a->exact = own.exact;
  if (norn_array_length(a->values) != a->n) return true;
  a->chains = own.exact ? 0 : posterior_chains(a->st, own.info, own.n);
  a->x = lib_reals(a->st, a->n, &keep);
  return a->x && lib_weights(a->st, &own, &a->w) && rank_under(a, truth, "", 0);
}

static bool rank_all(among *a, const norn_posterior *sim, const norn_posterior *post)
{
  norn_datum drawn;
  int n = norn_record_size(post->choices) > 0 ? norn_record_size(sim->choices) : 0;
  a->name = "";
  if (n <= 0) return rank_choice(a, post, norn_array_at(a->st, sim->values, 0), post->values);
  for (int i = 0; i < n; i++) {
    a->name = norn_record_at(a->st, sim->choices, i, &drawn);
    norn_datum kept = norn_record_get(a->st, post->choices, a->name);
    if (!norn_is_none(kept) && !rank_choice(a, post, norn_array_at(a->st, drawn, 0), kept))
      return false;
  }
  return true;
}

/* log p(data | choices): where an engine forgets the data its choices may still be calibrated,
   but not this (Modrak et al. 2023, "Simulation-based calibration checking for Bayesian
   computation: the choice of test quantities shapes sensitivity"). */
static bool rank_loglik(among *a, const norn_posterior *post, norn_datum truth, norn_datum ll)
{
  a->name = "log likelihood";
  return ll.tag == NORN_MISSING || rank_choice(a, post, truth, ll);
}

static norn_datum ranks_record(norn_state *st, const among *a)
{
  static const char *const names[] = { "names", "below", "equal", "draws" };
  norn_datum v[4], keep;
  int64_t n = (int64_t)a->count;
  norn_datum *name = lib_values(st, n, &keep);
  double *x[3] = { NULL };
  for (int k = 0; k < 3; k++) if (!(x[k] = lib_reals(st, n, &v[k + 1]))) return norn_none();
  if (!name) return norn_none();
  for (int64_t i = 0; i < n; i++) {
    name[i] = norn_cstring(st, a->v[i].name);
    x[0][i] = a->v[i].below;
    x[1][i] = a->v[i].equal;
    x[2][i] = a->v[i].draws;
  }
  v[0] = keep;
  return norn_record(st, 4, names, v);
}

static norn_status f_ranks(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior sim, post;
  among a = { .st = st };
  (void)n;
  for (int i = 0; i < 2; i++)
    if (!lib_is_posterior(args[i])) return lib_no_posterior(st, args, i);
  if (!norn_posterior_view(st, args[0], &sim) || !norn_posterior_view(st, args[1], &post))
    return lib_failed(st);
  bool good = rank_all(&a, &sim, &post) &&
              (n < 4 || rank_loglik(&a, &post, args[2], args[3]));
  norn_datum r = good && a.count ? ranks_record(st, &a) : norn_none();
  bool none = good && !a.count;
  engine_put(st, a.v, a.cap * sizeof *a.v);
  if (none) return norn_fail(st, NORN_EINFER, -1, "sbc finds no number to rank in this model");
  return lib_give(st, r, out);
}

/* ---- all replicates ---- */

typedef struct parameter {
  char name[NAME];
  double *u, draws;
  norn_datum a_u;
  int n, bin[BINS];
  double worst, at;                    /* the largest ECDF - u as a part of the band there */
  double diff[GRID];
  bool outside;
} parameter;

typedef struct calibration {
  norn_state *st;
  parameter *p; int np; size_t cap;
  int n, k;                            /* replicates; points of the grid */
  int lower[GRID], upper[GRID];
  int outside;
} calibration;

static parameter *parameter_of(calibration *c, const char *name)
{
  for (int i = 0; i < c->np; i++) if (!strcmp(c->p[i].name, name)) return &c->p[i];
  if (!engine_room(c->st, &c->p, &c->cap, (size_t)c->np + 1, sizeof *c->p)) return NULL;
  parameter *p = &c->p[c->np];
  *p = (parameter){ .n = 0 };
  snprintf(p->name, NAME, "%s", name);
  if (!(p->u = lib_reals(c->st, c->n, &p->a_u))) return NULL;
  c->np++;
  return p;
}

/* The u of each number of one replicate: { ranks, u }. */
static bool gather(calibration *c, norn_datum replicate)
{
  norn_state *st = c->st;
  norn_datum r = norn_record_get(st, replicate, "ranks"), u = norn_record_get(st, replicate, "u"),
             names = norn_record_get(st, r, "names"), below = norn_record_get(st, r, "below"),
             equal = norn_record_get(st, r, "equal"), draws = norn_record_get(st, r, "draws");
  for (int64_t i = 0; i < norn_array_length(names); i++) {
    const char *name = norn_string_view(norn_array_at(st, names, i), NULL);
    parameter *p = name ? parameter_of(c, name) : NULL;
    if (!p) return false;
    double l = norn_elem_real(draws, i), b = norn_elem_real(below, i), e = norn_elem_real(equal, i),
           x = norn_elem_real(u, i);
    p->u[p->n++] = l < HUGE_VAL ? (l * b + x * (l * e + 1)) / (l + 1) : b + x * e;
    p->draws += l;
  }
  return true;
}

/* ECDF, histogram, verdict.  Only numbers that are in every replicate are judged. */
static void judge(calibration *c, parameter *p)
{
  int count[GRID] = { 0 }, sum = 0;
  if (p->n < c->n) return;
  for (int i = 0; i < p->n; i++) {
    int k = (int)(p->u[i] * c->k), b = (int)(p->u[i] * BINS);
    count[k < c->k ? k : c->k - 1]++;
    p->bin[b < BINS ? b : BINS - 1]++;
  }
  for (int i = 0; i + 1 < c->k; i++) {
    double z = (double)(i + 1) / c->k, middle = z * c->n;
    sum += count[i];
    p->diff[i] = (double)sum / c->n - z;
    double to = sum > middle ? c->upper[i] - middle : c->lower[i] - middle,
           ratio = to != 0 ? (sum - middle) / to : 0;
    if (ratio > p->worst) { p->worst = ratio; p->at = z; }
    p->outside |= sum < c->lower[i] || sum > c->upper[i];
  }
  c->outside += p->outside;
}

/* What the shape of u says of the posterior: its mean and its variance beside those of a uniform.
   */
static const char *shape(const parameter *p)
{
  double m = 0, v = 0;
  for (int i = 0; i < p->n; i++) m += p->u[i] / p->n;
  for (int i = 0; i < p->n; i++) v += (p->u[i] - .5) * (p->u[i] - .5) / p->n;
  double off = (m - .5) * sqrt(12. * p->n), spread = (v - 1. / 12) * sqrt(180. * p->n);
  if (fabs(off) > fabs(spread)) return off > 0 ? "its draws are too low" : "its draws are too high";
  return spread > 0 ? "its posteriors are too narrow" : "its posteriors are too wide";
}

static void put_bars(text *t, const parameter *p)
{
  static const char *const block[9] = { " ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                        "\u2585", "\u2586", "\u2587", "\u2588" };
  int most = 1;
  for (int b = 0; b < BINS; b++) if (p->bin[b] > most) most = p->bin[b];
  for (int b = 0; b < BINS; b++) text_puts(t, block[(p->bin[b] * 8 + most - 1) / most]);
}

/* ECDF - u of a parameter with the band around it. */
static void put_picture(const calibration *c, const parameter *p, text *t)
{
  double top = 0;
  for (int i = 0; i + 1 < c->k; i++) {
    double z = (double)(i + 1) / c->k, lo = (double)c->lower[i] / c->n - z,
           hi = (double)c->upper[i] / c->n - z;
    top = fmax(top, fmax(fabs(p->diff[i]), fmax(-lo, hi)));
  }
  text_printf(t, "\n  ECDF - u of %s; dots: the band", p->name);
  for (int row = 0; row < HIGH; row++) {
    double high = top * (1 - 2. * row / (HIGH - 1)), half = top / (HIGH - 1);
    text_printf(t, "\n  %6.2f |", high);
    for (int x = 0; x < WIDE; x++) {
      int i = (int)((x + .5) / WIDE * (c->k - 1));
      double z = (double)(i + 1) / c->k, lo = (double)c->lower[i] / c->n - z,
             hi = (double)c->upper[i] / c->n - z;
      bool line = fabs(p->diff[i] - high) <= half,
           dot = fabs(lo - high) <= half || fabs(hi - high) <= half;
      text_puts(t, line ? "#" : dot ? "." : " ");
    }
  }
}

static void put_table(const calibration *c, text *t)
{
  int wide = 5, worst = -1;
  for (int i = 0; i < c->np; i++) {
    int w = utf8_width(c->p[i].name, strlen(c->p[i].name));
    if (w > wide) wide = w;
    if (c->p[i].n == c->n && (worst < 0 || c->p[i].worst > c->p[worst].worst)) worst = i;
  }
  text_printf(t, "SBC of %d replicates: ranks are uniform if the engine is right\n  %*s   draws  "
              "ECDF/band  at u  ranks", c->n, wide, "");
  for (int i = 0; i < c->np; i++) {
    const parameter *p = &c->p[i];
    text_printf(t, "\n  %s%*s", p->name, wide - utf8_width(p->name, strlen(p->name)), "");
    if (p->n < c->n) { text_printf(t, "   in %d replicates only", p->n); continue; }
    if (p->draws < HUGE_VAL) text_printf(t, " %7.0f", p->draws / p->n);
    else text_printf(t, " %7s", "exact");
    text_printf(t, "  %9.2f  %4.2f  ", p->worst, p->at);
    put_bars(t, p);
    text_puts(t, p->outside ? "  outside: " : "  inside");
    if (p->outside) text_puts(t, shape(p));
  }
  if (c->outside) {
    text_printf(t, "\n  %d of %d leave the 95 %% band of all together", c->outside, c->np);
    put_picture(c, &c->p[worst], t);
  } else {
    text_puts(t, "\n  all are inside the 95 % band of all together");
  }
}

static void warn(const calibration *c)
{
  int told = 0;
  for (int i = 0; i < c->np; i++) {
    if (!c->p[i].outside || told++ >= WARNED) continue;
    norn_warning(c->st, (norn_span){ 0, 0, 0 },
                 "sbc: the ranks of %s are not uniform: %s (or the model is not what it seems)",
                 c->p[i].name, shape(&c->p[i]));
  }
  if (told > WARNED)
    norn_warning(c->st, (norn_span){ 0, 0, 0 }, "sbc: the ranks of %d more are not uniform",
                 told - WARNED);
}

static norn_status result(calibration *c, norn_datum *out)
{
  static const char *const names[] = { "calibrated", "replicates", "parameters", "text" },
                    *const one[] = { "name", "u", "draws", "worst", "inside" };
  norn_state *st = c->st;
  norn_datum v[4], keep, *p = lib_values(st, c->np, &keep);
  mem m = lib_mem(st);
  text t;
  if (!p) return lib_failed(st);
  for (int i = 0; i < c->np; i++) {
    const parameter *x = &c->p[i];
    norn_datum f[] = { norn_cstring(st, x->name), x->a_u, norn_real(x->draws / x->n),
                       norn_real(x->worst), norn_bool(!x->outside) };
    norn_view u;
    if (x->n < c->n && norn_array_view(x->a_u, &u)) f[1] = lib_rows(st, &u, 0, x->n);
    p[i] = norn_record(st, NORN_COUNT(f), one, f);
  }
  text_init(&t, &m);
  put_table(c, &t);
  norn_status code = lib_text(st, &t, &v[3]);
  if (code) return code;
  warn(c);
  v[0] = norn_bool(!c->outside);
  v[1] = norn_int(c->n);
  v[2] = norn_array_pack(st, p, c->np);
  return lib_give(st, norn_record(st, NORN_COUNT(v), names, v), out);
}

static norn_status f_sbc(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_posterior post;
  norn_status code = NORN_OK;
  calibration *c;
  (void)n;
  if (!lib_is_posterior(args[0]) || !norn_posterior_view(st, args[0], &post))
    return lib_no_posterior(st, args, 0);
  if (!(c = engine_get(st, sizeof *c))) return NORN_EMEMORY;
  c->st = st;
  c->n = (int)post.n;
  c->k = c->n < GRID ? c->n : GRID;
  bool good = true;
  for (int64_t i = 0; good && i < post.n; i++)
    good = gather(c, norn_array_at(st, post.values, i));
  /* all parameters together: each has its share of the 5 % */
  if (good && sbc_band(st, c->n, c->k, 1 - .05 / c->np, c->lower, c->upper)) {
    for (int i = 0; i < c->np; i++) judge(c, &c->p[i]);
    code = result(c, out);
  } else {
    code = lib_failed(st);
  }
  engine_put(st, c->p, c->cap * sizeof *c->p);
  engine_put(st, c, sizeof *c);
  return code;
}

static const norn_native natives[] = {
  {"_ranks", "sim, post, loglik = missing, logliks = missing",
   "Where what was simulated lies among the draws of a posterior.\n"
   "Example: model m() { let x ~ normal(0, 1); x }; "
   "_ranks(infer(m(), forward(1)), infer(m(), forward(100))).names\n=> [\"x\"]",
   f_ranks, 0, NULL},
  {"_sbc", "replicates", "The verdict on the ranks of all replicates: what sbc gives.\n"
   "Example: model m() { let u ~ iid(uniform(0, 1), 1); "
   "{ u: u, ranks: { names: [\"x\"], below: [0.0], equal: [1.0], draws: [inf] } } }; "
   "_sbc(infer(m(), forward(100))).calibrated\n=> true", f_sbc, 0, NULL},
};

norn_status lib_sbc_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
