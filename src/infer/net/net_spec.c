/* net_spec: what a net should be, as a program says it: npe(size = "small", rate = 0.001).  The three
   constructors are rows of engines, so that their options are checked, shown and documented as those of
   engines are; none of them can infer, for a net is trained before it is asked. */
#include "infer/net/net.h"
#include "infer/net/net_train.h"
#include <stdio.h>
#include <string.h>

/* Sizes by name; what is said by itself comes first. */
typedef struct size { const char *name; int d, layers, heads, ff, bars, batch; } size;
static const size sizes[] = {
  { "small", 32, 3, 2, 64, 64, 128 },
  { "medium", 64, 4, 4, 128, 300, 64 },
  { "large", 256, 6, 8, 1024, 300, 64 }
};
enum { SIZES = NORN_COUNT(sizes), COMPONENTS = 10 };
/* Larger ones are slips of the finger. */
enum { MOST_WIDTH = 8192, MOST_LAYERS = 96, MOST_BARS = 10000, MOST_COMPONENTS = 200, MOST_BATCH = 1 << 16,
       MOST_SIMULATIONS = 10000000 };
#define RATE_TIMES_WIDTH .064          /* rate .002 at d = 32, .001 at 64, .00025 at 256 */
#define STEPS 3000                     /* where neither steps nor seconds are given */

/* word, default, what norn doc says */
#define SPEC_OPTIONS(X)                                                                                  \
  X(size, "\"small\"", "small (d 32), medium (d 64) or large (d 256): what the numbers below are if 0")   \
  X(d, "0", "width of the transformer")                                                                  \
  X(layers, "0", "its blocks")                                                                           \
  X(heads, "0", "heads of attention; d is a multiple of them")                                           \
  X(ff, "0", "width of the layers between two blocks")                                                   \
  X(activation, "\"gelu\"", "gelu or swiglu")                                                            \
  X(head, "\"auto\"",                                                                                    \
    "density of real coordinates: mixture (of normals) or bars (a histogram); auto: a pfn's are bars, others mixtures") \
  X(bars, "0", "bars of a histogram; a number here alone means head = \"bars\"")                          \
  X(components, "10", "normals of a mixture, negative binomials of a count")                             \
  X(subsets, "0", "the share of training's runs of which a random part is hidden, so that any part may be missing") \
  X(inputs, "missing",                                                                                   \
    "an array of names: arguments of the model that the net sees; missing: those that change from run to run") \
  X(simulations, "0", "runs of the program in all, used again and again; a tenth is held out (0: each is used once)") \
  X(patience, "20", "with simulations: rounds without a better held-out score before it ends")           \
  X(batch, "0", "runs a step")                                                                           \
  X(adapt, "false", "batches grow when gradients say so (AdAdaGrad)")                                     \
  X(most_batch, "4096", "with adapt: to at most this")                                                   \
  X(rate, "missing", "the greatest learning rate; by default 0.064 / d")                                 \
  X(warm, "0.05", "the share of the steps in which the rate rises")                                      \
  X(decay, "0.01", "weights shrink by this times the rate in a step")                                    \
  X(clip, "1", "greatest norm of a gradient; 0: any")

#define ENUM(name, fallback, doc) SPEC_##name,
enum { SPEC_OPTIONS(ENUM) SPEC_COUNT };
#define ROW(name, fallback, doc) { #name, fallback, doc },
static const norn_option options[] = { SPEC_OPTIONS(ROW) };

static norn_status spec_init(norn_infer *inf, void *self)
{
  norn_state *st = norn_infer_state(inf);
  const char *name = infer_engine(inf)->name;
  (void)self;
  norn_fail(st, NORN_EINFER, -1, "%s says how a net is trained: it can't infer by itself", name);
  norn_hint(st, "let net = train(model, %s(), seconds = 60); infer(model(data), amortized(net))", name);
  return NORN_EINFER;
}

static norn_step spec_step(norn_infer *inf, void *self)
{
  (void)inf;
  (void)self;
  return NORN_STEP_FAIL;
}

#define SPEC_ENGINE(of, text)                                                                            \
  { .version = NORN_ENGINE_VERSION, .name = of, .doc = text, .options = options, .noptions = SPEC_COUNT, \
    .size = 1, .init = spec_init, .step = spec_step }
const norn_engine net_constructors[NET_KINDS] = {
  [NET_PFN] = SPEC_ENGINE("pfn",
    "For train(): a net that sees some of a model's observations and predicts the others."),
  [NET_NPE] = SPEC_ENGINE("npe",
    "For train(): a net that sees a model's observations and proposes its choices, one after the other."),
  [NET_DISTRIBUTION] = SPEC_ENGINE("distribution_transformer",
    "For train(): as npe, with mixtures of normals as answers, of priors whose arguments change from call to call."),
};

/* ---- reading one ---- */

static bool spec_must(norn_state *st, norn_datum spec, int i, const char *wanted, double x)
{
  const norn_engine *e = norn_engine_view(spec, NULL);
  norn_fail(st, NORN_EDOMAIN, -1, "%s of %s must be %s, got %g", e->options[i].name, e->name, wanted, x);
  return false;
}

/* An integer from least to most; 0: fallback. */
static bool spec_int(norn_state *st, norn_datum spec, int i, int fallback, int most, int *out)
{
  int64_t x;
  char wanted[48];
  if (!engine_option_int(st, spec, i, 0, &x)) return false;
  snprintf(wanted, sizeof wanted, "at most %d", most);
  if (x > most) return spec_must(st, spec, i, wanted, (double)x);
  *out = x ? (int)x : fallback;
  return true;
}

static bool spec_real(norn_state *st, norn_datum spec, int i, double least, double most, const char *wanted,
                      double *out)
{
  if (!engine_option_real(st, spec, i, out)) return false;
  return (*out >= least && *out <= most) || spec_must(st, spec, i, wanted, *out);
}

static bool spec_bool(norn_state *st, norn_datum spec, int i, bool *out)
{
  const norn_engine *e = norn_engine_view(spec, NULL);
  norn_datum v = engine_option(st, spec, i);
  char what[120];
  if (v.tag != NORN_BOOL) {
    norn_fail(st, NORN_EDOMAIN, -1, "%s of %s must be true or false, got %s", e->options[i].name, e->name,
              norn_describe(st, v, what, sizeof what));
    return false;
  }
  *out = v.i;
  return true;
}

/* The width and what hangs on it. */
static bool spec_shape(norn_state *st, norn_datum spec, const size *s, net_spec *out)
{
  static const char *const activations[] = { "gelu", "swiglu" };
  nn_shape *h = &out->shape;
  int activation;
  if (!spec_int(st, spec, SPEC_d, s->d, MOST_WIDTH, &h->d) ||
      !spec_int(st, spec, SPEC_layers, s->layers, MOST_LAYERS, &h->layers) ||
      !spec_int(st, spec, SPEC_heads, s->heads, MOST_WIDTH, &h->heads) ||
      !spec_int(st, spec, SPEC_ff, s->ff, 8 * MOST_WIDTH, &h->ff) ||
      !engine_option_choice(st, spec, SPEC_activation, activations, 2, &activation))
    return false;
  h->swiglu = activation == 1;
  if (h->d % h->heads == 0) return true;
  norn_fail(st, NORN_EDOMAIN, -1, "d of a net must be a multiple of its heads, but %d is none of %d", h->d, h->heads);
  return false;
}

/* Mixtures are what npe takes where nothing is said: of ten normals they came nearer than bars in each task that was
   measured (C2ST of two_moons .52 beside .63, KL of the coin .002 beside .012). */
static const char *head_of(const net_spec *s, const char *head, bool bars)
{
  if (s->kind == NET_DISTRIBUTION) return "mixture";
  return s->kind == NET_NPE && !strcmp(head, "auto") ? bars ? "bars" : "mixture" : head;
}

static bool spec_heads(norn_state *st, norn_datum spec, const size *s, net_spec *out)
{
  static const char *const heads[] = { "auto", "bars", "mixture" };
  int head, bars;
  if (!engine_option_choice(st, spec, SPEC_head, heads, 3, &head) ||
      !spec_int(st, spec, SPEC_bars, 0, MOST_BARS, &bars) ||
      !spec_int(st, spec, SPEC_components, COMPONENTS, MOST_COMPONENTS, &out->components))
    return false;
  out->bars = bars ? bars : s->bars;
  if (out->bars < 3) return spec_must(st, spec, SPEC_bars, "at least 3", out->bars);
  if (out->kind == NET_DISTRIBUTION && head == 1) {
    norn_fail(st, NORN_EDOMAIN, -1, "distribution_transformer answers with mixtures, not with bars");
    norn_hint(st, "npe(head = \"bars\") takes a prior's arguments as inputs too");
    return false;
  }
  out->head = head_of(out, heads[head], bars != 0);
  return true;
}

/* Names of arguments, or missing; who knows the model checks that it has them. */
static bool spec_inputs(norn_state *st, norn_datum spec, net_spec *out)
{
  norn_datum v = engine_option(st, spec, SPEC_inputs);
  char what[120];
  out->inputs = norn_missing();
  if (v.tag == NORN_MISSING) return true;
  bool good = norn_array_length(v) >= 0;
  for (int64_t i = 0; good && i < norn_array_length(v); i++)
    good = norn_string_view(norn_array_at(st, v, i), NULL) != NULL;
  if (good) out->inputs = v;
  else
    norn_fail(st, NORN_ETYPE, -1, "inputs must be an array of names of the model's arguments, got %s",
              norn_describe(st, v, what, sizeof what));
  return good;
}

static bool spec_steps(norn_state *st, norn_datum spec, const size *s, net_spec *out)
{
  if (!spec_int(st, spec, SPEC_batch, s->batch, MOST_BATCH, &out->batch) ||
      !spec_int(st, spec, SPEC_most_batch, s->batch, MOST_BATCH, &out->most_batch) ||
      !spec_bool(st, spec, SPEC_adapt, &out->adapt) ||
      !engine_option_int(st, spec, SPEC_simulations, 0, &out->simulations) ||
      !spec_int(st, spec, SPEC_patience, 20, MOST_BATCH, &out->patience) ||
      !engine_option_real(st, spec, SPEC_rate, &out->rate) ||
      !spec_real(st, spec, SPEC_warm, 0, 1, "from 0 to 1", &out->warm) ||
      !spec_real(st, spec, SPEC_decay, 0, 10, "from 0 to 10", &out->decay) ||
      !spec_real(st, spec, SPEC_clip, 0, HUGE_VAL, "positive, or 0", &out->clip) ||
      !spec_real(st, spec, SPEC_subsets, 0, 1, "from 0 to 1", &out->subsets))
    return false;
  if (isnan(out->rate)) out->rate = RATE_TIMES_WIDTH / out->shape.d;
  if (!(out->rate > 0 && out->rate < HUGE_VAL)) return spec_must(st, spec, SPEC_rate, "positive", out->rate);
  if (out->simulations && (out->simulations < 20 || out->simulations > MOST_SIMULATIONS))
    return spec_must(st, spec, SPEC_simulations, "0, or from 20 to 10 million", (double)out->simulations);
  if (out->most_batch < out->batch) out->most_batch = out->batch;
  out->steps = STEPS;
  if (out->kind != NET_PFN || out->subsets == 0) return true;
  norn_fail(st, NORN_EDOMAIN, -1, "subsets is of npe and distribution_transformer: pfn always hides a random part");
  return false;
}

bool net_spec_is(norn_datum v)
{
  const norn_engine *e = norn_engine_view(v, NULL);
  for (int k = 0; k < NET_KINDS; k++) if (e == &net_constructors[k]) return true;
  return false;
}

bool net_spec_read(norn_state *st, norn_datum spec, net_spec *out)
{
  const char *names[SIZES];
  int k;
  char what[120];
  *out = (net_spec){ 0 };
  if (!net_spec_is(spec)) {
    norn_fail(st, NORN_ETYPE, 1, "train wants npe(...), pfn(...) or distribution_transformer(...), got %s",
              norn_describe(st, spec, what, sizeof what));
    norn_hint(st, "train(model, npe(size = \"small\"), seconds = 60)");
    return false;
  }
  out->kind = (net_kind)(norn_engine_view(spec, NULL) - net_constructors);
  for (int i = 0; i < SIZES; i++) names[i] = sizes[i].name;
  return engine_option_choice(st, spec, SPEC_size, names, SIZES, &k) && spec_shape(st, spec, &sizes[k], out) &&
         spec_heads(st, spec, &sizes[k], out) && spec_inputs(st, spec, out) && spec_steps(st, spec, &sizes[k], out);
}

/* ---- what two say ---- */

/* One thing that a spec says: a number, or a word.  sized: it follows from `size` where it is not said. */
typedef struct says { int option; bool sized; double x; const char *word; } says;
enum { SAID = 18 };

static const char *yes_or_no(bool x) { return x ? "true" : "false"; }

static void all_said(const net_spec *s, says out[SAID])
{
  const nn_shape *h = &s->shape;
  const says all[SAID] = {
    { SPEC_d, true, h->d, NULL }, { SPEC_layers, true, h->layers, NULL }, { SPEC_heads, true, h->heads, NULL },
    { SPEC_ff, true, h->ff, NULL }, { SPEC_activation, false, 0, h->swiglu ? "swiglu" : "gelu" },
    { SPEC_head, false, 0, s->head }, { SPEC_bars, true, s->bars, NULL }, { SPEC_components, false, s->components, NULL },
    { SPEC_subsets, false, s->subsets, NULL }, { SPEC_simulations, false, (double)s->simulations, NULL },
    { SPEC_patience, false, s->patience, NULL }, { SPEC_batch, true, s->batch, NULL },
    { SPEC_adapt, false, 0, yes_or_no(s->adapt) }, { SPEC_most_batch, false, s->most_batch, NULL },
    { SPEC_rate, true, s->rate, NULL }, { SPEC_warm, false, s->warm, NULL }, { SPEC_decay, false, s->decay, NULL },
    { SPEC_clip, false, s->clip, NULL }
  };
  memcpy(out, all, sizeof all);
}

/* "d is 16 there and 32 here" behind what is in out. */
static void add_difference(char *out, size_t n, const char *name, const char *there, const char *here)
{
  size_t at = strlen(out);
  snprintf(out + at, n - at, "%s%s is %s there and %s here", at ? "; " : "", name, there, here);
}

static void add_numbers(char *out, size_t n, const char *name, double there, double here)
{
  char a[32], b[32];
  for (int digits = 6; digits <= 17; digits += 11) {
    snprintf(a, sizeof a, "%.*g", digits, there);
    snprintf(b, sizeof b, "%.*g", digits, here);
    if (strcmp(a, b) != 0) break;
  }
  add_difference(out, n, name, a, b);
}

/* The names of inputs as a text. */
static void inputs_there(const net_schema *s, char *out, size_t n)
{
  size_t at = (size_t)snprintf(out, n, "[");
  for (int i = 0; i < s->ninput && at < n; i++)
    at += (size_t)snprintf(out + at, n - at, "%s\"%s\"", i ? ", " : "", s->input[i].name);
  if (at < n) snprintf(out + at, n - at, "]");
}
static void inputs_here(norn_state *st, norn_datum v, char *out, size_t n)
{
  size_t at = (size_t)snprintf(out, n, "[");
  for (int64_t i = 0; i < norn_array_length(v) && at < n; i++)
    at += (size_t)snprintf(out + at, n - at, "%s\"%s\"", i ? ", " : "",
                           norn_string_view(norn_array_at(st, v, i), NULL));
  if (at < n) snprintf(out + at, n - at, "]");
}

bool net_spec_differs(norn_state *st, const net *there, norn_datum spec, bool all, char *out, size_t n)
{
  net_spec own;
  says a[SAID], b[SAID];
  char x[200], y[200];
  if (!net_spec_read(st, spec, &own)) return false;
  if (own.kind != there->spec.kind)
    add_difference(out, n, "the kind", net_kind_names[there->spec.kind], net_kind_names[own.kind]);
  all_said(&there->spec, a);
  all_said(&own, b);
  bool sized = engine_option_given(st, spec, SPEC_size);
  for (int i = 0; i < SAID && own.kind == there->spec.kind; i++) {
    const char *name = options[a[i].option].name;
    if (!all && !engine_option_given(st, spec, a[i].option) && !(sized && a[i].sized)) continue;
    if (a[i].word && strcmp(a[i].word, b[i].word) != 0) add_difference(out, n, name, a[i].word, b[i].word);
    else if (!a[i].word && a[i].x != b[i].x) add_numbers(out, n, name, a[i].x, b[i].x);
  }
  inputs_there(&there->schema, x, sizeof x);
  inputs_here(st, own.inputs, y, sizeof y);
  if (strcmp(x, y) != 0 && (all || engine_option_given(st, spec, SPEC_inputs))) add_difference(out, n, "inputs", x, y);
  return true;
}
