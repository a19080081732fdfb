/* test_plot.c: ticks, kernel densities against exact ones, and pictures of every kind: well formed,
   the same each time, without a number that is none, and with every failure of memory survived.
   PNG and PDF where cairo is; what is said where it is not, in a child. */
#include "io/axes.h"
#include "io/plot.h"
#include "num/kde.h"
#include "unit.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- ticks ---- */

static void ticks_are(double lo, double hi, int want, bool whole, const char *words,
                      const char *note)
{
  ticks t;
  char all[512] = "";
  ticks_make(&t, lo, hi, want, whole);
  for (int k = 0; k < t.n; k++)
    snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", k ? " " : "", t.word[k]);
  CHECK_STR(all, words);
  CHECK_STR(t.note, note);
}

static void test_ticks(void)
{
  ticks_are(0, 10, 5, false, "0 2 4 6 8 10", "");
  ticks_are(-.3, 1.1, 3, false, "0.0 0.5 1.0", "");
  ticks_are(-12, 12, 4, false, "\u221210 \u22125 0 5 10", "");
  ticks_are(0, 1, 4, false, "0.00 0.25 0.50 0.75 1.00", "");
  ticks_are(0, 1, 4, true, "0 1", "");
  ticks_are(0, 5e-9, 2, false, "0.0 2.5 5.0", "\u00d710\u207b\u2079");
  ticks_are(0, 2.1e9, 2, false, "0 1 2", "\u00d710\u2079");
  ticks_are(1234567888.7, 1234567891.3, 3, false, "\u22121 0 1", "+ 1234567890");
  ticks_are(-1e308, 1e308, 3, false, "", "");            /* no range as a double */
  char s[40];
  ticks_number(s, sizeof s, -1234.5, 2);
  CHECK_STR(s, "\u22121234");                            /* half to even */
  ticks_number(s, sizeof s, .000012345, 3);
  CHECK_STR(s, "1.23\u00d710\u207b\u2075");
  ticks_number(s, sizeof s, 0, 2);
  CHECK_STR(s, "0.0");
}

/* ---- densities ---- */

enum { N = 4000 };

static double density_at(const kde *k, double x)
{
  double at = (x - k->lo) / (k->hi - k->lo) * (KDE_GRID - 1);
  if (at < 0 || at > KDE_GRID - 1) return 0;
  int i = at >= KDE_GRID - 1 ? KDE_GRID - 2 : (int)at;
  return k->y[i] + (at - i) * (k->y[i + 1] - k->y[i]);
}

static double total(const kde *k)
{
  double sum = 0, step = (k->hi - k->lo) / (KDE_GRID - 1);
  for (int i = 0; i < KDE_GRID; i++) sum += k->y[i] * (i == 0 || i == KDE_GRID - 1 ? .5 : 1);
  return sum * step;
}

/* Of the quantiles at (i + 1/2) / N, which have no noise: what is left is the kernel's bias, at
   most half the square of the bandwidth times the second derivative, and the fall-off at a wall. */
static void test_kde(void)
{
  static double x[N], w[N];
  mem m;
  kde k;
  mem_init(&m);
  for (int i = 0; i < N; i++) x[i] = (i + .5) / N;
  CHECK(kde_fit(&m, &k, x, NULL, N) && k.wall_lo && k.wall_hi);
  CHECK(k.lo == 0 && k.hi == 1);
  CHECK_NEAR(total(&k), 1, .002);
  for (int i = 0; i <= 10; i++) CHECK_NEAR(density_at(&k, i / 10.0), 1, .01);
  double sum = 0;
  for (int i = 0; i < N; i++) sum += w[i] = x[i];        /* density 2x */
  for (int i = 0; i < N; i++) w[i] /= sum;
  CHECK(kde_fit(&m, &k, x, w, N));
  CHECK_NEAR(total(&k), 1, .002);
  for (int i = 2; i < 9; i++) CHECK_NEAR(density_at(&k, i / 10.0), i / 5.0, .02);
  for (int i = 0; i < N; i++) w[i] = 1.0 / N;
  for (int i = 0; i <= 20; i++)
    CHECK_NEAR(kde_quantile(x, w, N, i / 20.0), kde_quantile(x, NULL, N, i / 20.0), 1e-9);
  for (int i = 0; i < N; i++) x[i] = -log1p(-(i + .5) / N);
  CHECK(kde_fit(&m, &k, x, NULL, N) && k.wall_lo && !k.wall_hi);
  CHECK_NEAR(total(&k), 1, .003);
  CHECK_NEAR(density_at(&k, 0), 1, k.bandwidth * .9);    /* a cusp under its reflection */
  CHECK_NEAR(density_at(&k, 1), exp(-1), .01);
  for (int i = 0; i < N; i++) x[i] = log((i + .5) / (N - i - .5));
  CHECK(kde_fit(&m, &k, x, NULL, N) && !k.wall_lo && !k.wall_hi);
  CHECK_NEAR(density_at(&k, 0), .25, k.bandwidth * k.bandwidth / 16 + .001);
  for (int i = 0; i < N; i++)
    x[i] = log((i % 2000 + .5) / (2000 - i % 2000 - .5)) + (i < 2000 ? -20 : 20);
  CHECK(kde_fit(&m, &k, x, NULL, N));
  CHECK_NEAR(density_at(&k, 20), .125, k.bandwidth * k.bandwidth / 32 + .001);
  CHECK(k.bandwidth < 1);                                /* Silverman's rule alone gives 3.4 */
  CHECK(density_at(&k, 0) < 1e-6);
  for (int i = 0; i < N; i++) x[i] = tan(3.14159265358979 * ((i + .5) / N - .5));
  CHECK(kde_fit(&m, &k, x, NULL, N));
  CHECK(k.hi < 40 && k.above > .005 && k.above < .02 && k.below > .005);
  CHECK_NEAR(total(&k) + k.above + k.below, 1, .01);
  CHECK(m.used == 0);
}

/* ---- pictures ---- */

typedef struct example {
  double x[6][400], w[400], observed[30], replicate[50 * 30], ess[12 * PLOT_STEPS];
  uint8_t divergent[400];
  plot_column column[6];
} example;

static double noise(uint64_t i) { return (double)(hash_mix(i + 1) >> 11) * 0x1p-53; }

static void example_make(example *e)
{
  static const char *const name[] = { "a<&>\"b", "theta[0]", "n", "flag", "odd", "word" };
  static const char *const label[] = { "red", "green" };
  static const plot_type type[] = { PLOT_REAL, PLOT_REAL, PLOT_INTEGER, PLOT_BOOLEAN, PLOT_REAL,
                                    PLOT_LABEL };
  memset(e, 0, sizeof *e);
  for (int c = 0; c < 6; c++) {
    for (uint64_t i = 0; i < 400; i++) {
      double u = noise(i * 6 + (uint64_t)c);
      e->x[c][i] = c == 0 ? 1e9 * (u - .5) : c == 1 ? -log(u) : c == 2 ? floor(9 * u) : u < .3;
      if (c == 4)
        e->x[c][i] = i % 3 == 0 ? (double)NAN : i == 1 ? 1e200 : i == 4 ? HUGE_VAL : 1e-9 * u;
      e->w[i] = 1 / 400.0;
      e->divergent[i] = i % 50 == 7;
    }
    e->column[c] = (plot_column){ .name = name[c], .type = type[c], .n = 400, .x = e->x[c],
                                  .chains = 4, .rhat = 1 + .02 * c, .ess = 300,
                                  .divergent = e->divergent };
  }
  e->column[5].label = label;
  e->column[5].nlabel = 2;
  for (int i = 0; i < 30; i++) e->observed[i] = noise((uint64_t)i);
  for (int i = 0; i < 1500; i++) e->replicate[i] = 2 * noise((uint64_t)i + 77);
  for (int i = 0; i < 12 * PLOT_STEPS; i++)
    e->ess[i] = i % PLOT_STEPS ? 20 * (i % PLOT_STEPS) : (double)NAN;
}

static plot example_plot(example *e, mem *m, plot_kind kind)
{
  plot p = { .m = m, .kind = kind, .column = e->column, .ncolumn = 6, .note = "a note",
             .observed = e->observed, .nobserved = 30, .replicate = e->replicate,
             .nreplicate = 50, .ess = e->ess };
  if (kind == PLOT_ppc) p.ncolumn = 0;
  if (kind == PLOT_sbc) p.ncolumn = 2;
  p.nband = 9;
  for (int i = 0; i < 9; i++) p.band_hi[i] = .2, p.band_lo[i] = -.1;
  double wide, high;
  CHECK(plot_size(&p, &wide, &high) && wide < p.width && high < p.height);
  return p;
}

/* The file of a picture into *out, which the caller frees; false: no memory. */
static bool make(plot *p, canvas_format format, text *out)
{
  canvas c;
  bool good = canvas_open(&c, p->m, format, p->width, p->height, "T & T") && plot_draw(p, &c) &&
              canvas_finish(&c);
  text_init(out, p->m);
  if (good) text_put(out, c.out.s, c.out.n);
  canvas_free(&c);
  return good && !out->failed;
}

static int count(const char *s, const char *what)
{
  int n = 0;
  for (; (s = strstr(s, what)) != NULL; s += strlen(what)) n++;
  return n;
}

/* Elements are closed in order; nothing but them, words and attributes. */
static bool well_formed(const char *s)
{
  int depth = 0;
  for (; (s = strchr(s, '<')) != NULL;) {
    const char *end = strchr(s, '>');
    if (!end) return false;
    if (s[1] == '/') depth--;
    else if (end[-1] != '/') depth++;
    if (depth < 0) return false;
    s = end + 1;
  }
  return depth == 0;
}

static void test_svg(void)
{
  static example e;
  example_make(&e);
  for (int k = 0; k < PLOT_KIND_COUNT; k++) {
    mem m;
    text a, b;
    mem_init(&m);
    plot p = example_plot(&e, &m, (plot_kind)k), q = p;
    CHECK(make(&p, CANVAS_SVG, &a) && make(&q, CANVAS_SVG, &b));
    CHECK(a.n == b.n && memcmp(a.s, b.s, a.n) == 0);
    unit_check(well_formed(a.s), plot_kinds[k].name, __FILE__, __LINE__);
    unit_check(!strstr(a.s, "nan") && !strstr(a.s, "inf") && !strstr(a.s, "1000000000\""),
               plot_kinds[k].name, __FILE__, __LINE__);
    CHECK(strstr(a.s, "<title>T &amp; T</title>"));
    CHECK(strstr(a.s, "a note"));
    if (k != PLOT_ppc) CHECK(strstr(a.s, "theta[0]") && strstr(a.s, "a&lt;&amp;&gt;&quot;b"));
    text_free(&a);
    text_free(&b);
    CHECK(m.used == 0);
  }
}

/* Words and marks that must be there. */
static void test_content(void)
{
  static example e;
  mem m;
  text t;
  mem_init(&m);
  example_make(&e);
  plot p = example_plot(&e, &m, PLOT_trace);
  CHECK(make(&p, CANVAS_SVG, &t));
  CHECK(strstr(t.s, ">divergent<") && strstr(t.s, ">chain 1<") && strstr(t.s, ">draw<"));
  CHECK(strstr(t.s, "1 draw is beyond 1e150") == NULL);
  CHECK(strstr(t.s, "136 draws are beyond 1e150"));      /* 134 nan, an infinity, 1e200 */
  CHECK(strstr(t.s, ">false<") && strstr(t.s, ">green<"));
  /* one in the legend; 8 divergent draws are lines under six traces and three densities (the other
     panels have bars), where those of `odd` that are not finite have none */
  CHECK(count(t.s, "stroke=\"#d1495b\"") == 1 + 6 * 8 + 2 * 8 + 5);
  text_free(&t);
  p = example_plot(&e, &m, PLOT_forest);
  CHECK(make(&p, CANVAS_SVG, &t));
  CHECK(strstr(t.s, ">R-hat<") && strstr(t.s, ">1.020<") && strstr(t.s, ">300<"));
  CHECK(strstr(t.s, "no numbers"));
  text_free(&t);
  /* Two chains with the same draws share every rank: all bars are as high as the dashed line. */
  for (int i = 0; i < 200; i++) e.x[1][200 + i] = e.x[1][i];
  e.column[1].chains = 2;
  p = example_plot(&e, &m, PLOT_rank);
  p.column = &e.column[1];
  p.ncolumn = 1;
  CHECK(make(&p, CANVAS_SVG, &t));
  const char *dashed = strstr(t.s, "stroke-dasharray"), *bar = strstr(t.s, "fill=\"#0072b2\"");
  while (dashed && dashed > t.s && strncmp(dashed, "<path", 5) != 0) dashed--;
  while (bar && bar > t.s && strncmp(bar, "<path", 5) != 0) bar--;
  double level = 0, top = 1, x;
  CHECK(dashed && bar && sscanf(dashed, "<path d=\"M%lf %lf", &x, &level) == 2 &&
        sscanf(bar, "<path d=\"M%lf %lf", &x, &top) == 2);
  CHECK_NEAR(top, level, .011);
  text_free(&t);
  CHECK(m.used == 0);
}

static void test_text(void)
{
  static example e;
  mem m;
  text t;
  mem_init(&m);
  example_make(&e);
  for (int k = 0; k < PLOT_KIND_COUNT; k++) {
    if (!plot_has_text((plot_kind)k)) continue;
    plot p = example_plot(&e, &m, (plot_kind)k);
    text_init(&t, &m);
    CHECK(plot_text(&p, 60, &t) && strstr(t.s, k == PLOT_ppc ? "observed" : "theta[0]") && strstr(t.s, "a note\n"));
    for (char *s = t.s, *end; (end = strchr(s, '\n')) != NULL; s = end + 1)
      unit_check(utf8_width(s, (size_t)(end - s)) <= 60 && (end == s || end[-1] != ' '),
                 plot_kinds[k].name, __FILE__, __LINE__);
    text_free(&t);
  }
  CHECK(m.used == 0);
}

/* The n-th request for memory fails, for each n until none does. */
static void test_failures(void)
{
  static example e;
  example_make(&e);
  for (int k = 0; k < PLOT_KIND_COUNT; k++) {
    bool done = false;
    for (uint64_t n = 1; !done && n < 5000; n++) {
      mem m;
      text t;
      mem_init(&m);
      m.fail_at = n;
      plot p = example_plot(&e, &m, (plot_kind)k);
      done = make(&p, CANVAS_SVG, &t);
      CHECK(done == (m.refused == 0));
      text_free(&t);
      CHECK(m.used == 0);
    }
    CHECK(done);
  }
}

/* ---- cairo ---- */

static void test_cairo(void)
{
  static example e;
  static const char *const head[] = { "\x89PNG\r\n\x1a\n", "%PDF-" };
  mem m;
  mem_init(&m);
  example_make(&e);
  for (int k = 0; k < PLOT_KIND_COUNT; k++)
    for (int f = 0; f < 2; f++) {
      text a, b;
      plot p = example_plot(&e, &m, (plot_kind)k), q = p;
      canvas_format format = f ? CANVAS_PDF : CANVAS_PNG;
      CHECK(make(&p, format, &a) && make(&q, format, &b));
      CHECK(a.n > 1000 && memcmp(a.s, head[f], strlen(head[f])) == 0);
      CHECK(a.n == b.n && memcmp(a.s, b.s, a.n) == 0);
      text_free(&a);
      text_free(&b);
    }
  CHECK(m.used == 0);
}

/* Fonts and faces that cairo keeps for the process are given back, so that a look for leaks finds
   ours. */
static void forget_fonts(void)
{
  static const char *const library[] = { "libcairo.so.2", "libfontconfig.so.1" };
  static const char *const name[] = { "cairo_debug_reset_static_data", "FcFini" };
  for (int k = 0; k < 2; k++) {
    void *handle = dlopen(library[k], RTLD_NOW | RTLD_NOLOAD);
    void *p = handle ? dlsym(handle, name[k]) : NULL;
    void (*f)(void) = NULL;
    memcpy(&f, &p, sizeof p);
    if (f) f();
  }
}

static int without_cairo(void)
{
  mem m;
  canvas c;
  mem_init(&m);
  setenv("NORN_CAIRO", "none", 1);
  CHECK(canvas_cairo() == NULL);
  CHECK(!canvas_open(&c, &m, CANVAS_PNG, 100, 100, "") && c.why && strstr(c.why, "need cairo"));
  canvas_free(&c);
  CHECK(m.used == 0);
  return unit.failed != 0;
}

int main(void)
{
  int status;
  pid_t child = fork();
  if (child == 0) return without_cairo();
  if (child < 0 || waitpid(child, &status, 0) < 0) return 99;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  test_ticks();
  test_kde();
  test_svg();
  test_content();
  test_text();
  test_failures();
  if (canvas_cairo()) {
    test_cairo();
    forget_fonts();
  } else puts("no cairo: PNG and PDF are not tested");
  return unit_end();
}
