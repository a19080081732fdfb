/* fused_cc: see fused_cc.h.  R registers of elements go through the statements side by side, so that their
   chains of operations overlap; sums are the eight partial ones of num/stats.h, of which register r of a
   row of R holds those that its elements belong to: R is a multiple of 8 / width. */
#include "graph/fused_cc.h"
#include "base/base.h"
#include "graph/dialect.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_macros(text *t, int width)
{
  text_printf(t, "enum { R = %d, PARTS = 8 / LANES };\n", width == 1 ? 8 : 4);
  text_puts(t, "#define EACH _Pragma(\"GCC unroll 8\") for (int r = 0; r < R; r++)\n"
               "#define EACH_CALL for (int r = 0; r < R; r++)\n"
               "#define FLOW(g, e) SEL((g) == 0, LANE(0.0), (g) * (e))\n"
               "#define COLUMN(j, r) lane_load(c##j + AT(r))\n"
               "#define VALUE(j, r) lane_load(e##j + AT(r))\n"
               "#define SUM(u, e) p##u[r % PARTS] = p##u[r % PARTS] + LIVE(e)\n"
               "#define SUM_PRODUCT(u, g, x) SUM(u, (g) * (x))\n"
               "#define TOTAL(e) total[r % PARTS] = total[r % PARTS] + LIVE(e)\n"
               "#define TREE(to, part) do { double q[8]; \\\n"
               "  for (int i = 0; i < PARTS; i++) lane_store(q + i * LANES, part[i]); \\\n"
               "  to = ((q[0] + q[4]) + (q[2] + q[6])) + ((q[1] + q[5]) + (q[3] + q[7])); } while (0)\n");
  if (width == 1) text_puts(t, "#define MEMO(k) NORN_KEEP_ALL\n");
  else text_puts(t, "#define MEMO(k) &memo##k\n");
}

/* What differs where elements end within the R registers: dead lanes add 0, and dead registers read the
   first elements again. */
static void put_ends(text *t, bool last)
{
  text_puts(t, "#undef AT\n#undef LIVE\n#undef INSIDE\n#undef PUT\n");
  text_puts(t, last ? "#define AT(r) (k + (r) * LANES < n ? k + (r) * LANES : 0)\n"
                      "#define LIVE(e) SEL(live[r], (e), LANE(0.0))\n"
                      "#define INSIDE(mask) good = good & ((mask) | NOT(live[r]))\n"
                      "#define PUT(u, e) if (k + r * LANES < n) lane_store(d##u + k + r * LANES, (e))\n"
                    : "#define AT(r) (k + (r) * LANES)\n"
                      "#define LIVE(e) (e)\n"
                      "#define INSIDE(mask) good = good & (mask)\n"
                      "#define PUT(u, e) lane_store(d##u + k + r * LANES, (e))\n");
}

static void put_names(text *t, const fused_shape *s, int width)
{
  for (uint32_t j = 0; j < s->ncolumn; j++) text_printf(t, "  const double *c%u = in[%u];\n", j, j);
  for (uint32_t j = 0; j < s->neach; j++)
    text_printf(t, "  const double *e%u = in[%u];\n", j, s->ncolumn + j);
  for (uint32_t j = 0; j < s->nnumber; j++) text_printf(t, "  const lanes s%u = LANE(number[%u]);\n", j, j);
  for (uint32_t u = 0; u < s->nuse; u++)
    if (s->use[u].sum) text_printf(t, "  lanes p%u[PARTS] = {0};\n", u);
    else text_printf(t, "  double *d%u = kept[%u];\n", u, u);
  for (uint32_t m = 0; m < s->memos && width > 1; m++)
    text_printf(t, "  struct term_memo memo%u;\n  memo%u.keep = NORN_KEEP_ALL;\n  memo%u.many = %u;\n"
                   "  memset(memo%u.done, 0, sizeof memo%u.done);\n",
                m, m, m, fused_text_varying(s, m), m, m);
  text_puts(t, "  static const double count[8] = {0, 1, 2, 3, 4, 5, 6, 7};\n"
               "  const lanes place = lane_load(count);\n"
               "  lanes total[PARTS] = {0};\n"
               "  lane_mask good = place == place;\n"
               "  int64_t k = 0;\n");
}

void fused_cc_head(text *t, int width)
{
  text_printf(t, "#define LANES %d\n#define NORN_OP_FUNCTIONS\n", width);
  if (width > 1) text_puts(t, "#define NORN_MEMO\n");
  text_put(t, dialect_text(false), dialect_size(false));
  put_macros(t, width);
}

bool fused_cc_same(const fused_shape *s)
{
  static const char *const near[] = {"lgamma", "gamma_fn", "digamma", "normal_cdf"};
  bool same = !s->lacks;
  for (uint32_t k = 0; k < s->b->nstep && same; k++)
    for (int i = 0; i < NORN_COUNT(near); i++)
      same &= s->b->step[k].c.op != G_FUN1 || strcmp(graph_functions[s->b->step[k].c.aux].name, near[i]);
  return same;
}

void fused_cc_text(text *t, const fused_shape *s, const char *name, int width)
{
  text_printf(t, "int %s(int64_t n, const double *const *in, const double *number, double *out,\n"
                 "  double *const *kept)\n{\n", name);
  put_names(t, s, width);
  put_ends(t, false);
  text_puts(t, "  for (; k + R * LANES <= n; k += R * LANES) {\n");
  fused_text_body(t, s, true);
  text_puts(t, "  }\n");
  put_ends(t, true);
  text_puts(t, "  if (k < n) {\n"
               "    lane_mask live[R];\n"
               "    EACH live[r] = place < LANE((double)(n - k - r * LANES));\n");
  fused_text_body(t, s, true);
  text_puts(t, "  }\n  TREE(out[0], total);\n");
  for (uint32_t u = 0; u < s->nuse; u++)
    if (s->use[u].sum) text_printf(t, "  TREE(out[%u], p%u);\n", 1 + u, u);
  text_puts(t, "  return !ANY(NOT(good));\n}\n");
}

/* More columns than these are read faster one after the other, some rows at a time, as the interpreter does
   (measured: 5 columns take half of its time, 20 a sixth more). */
enum { COLUMNS = 10 };

char *fused_cc_program(const program *p, int width, size_t *n, size_t *size)
{
  mem m;
  text t;
  char *out = NULL, name[40];
  size_t any = 0;
  mem_init(&m);
  text_init(&t, &m);
  fused_cc_head(&t, width);
  for (size_t k = 0; k < p->nfused && !t.failed; k++) {
    fused_shape s;
    bool good = fused_shape_make(p, &p->fused[k], &s);
    snprintf(name, sizeof name, "norn_block_%zu", k);
    if (good && fused_cc_wants(&p->fused[k]) && s.ncolumn <= COLUMNS && fused_cc_same(&s)) {
      fused_cc_text(&t, &s, name, width);
      any++;
    }
    fused_shape_free(&s);
    t.failed |= !good;
  }
  *n = t.n;
  *size = t.n + 1;
  if (!t.failed && any && (out = norn_alloc(p->st, NULL, 0, *size))) memcpy(out, t.s, *size);
  text_free(&t);
  norn_clear(p->st);
  return out;
}

/* ---- running ----------------------------------------------------------------------------------- */

static bool code_make(const program *p, const fused *b, fused_fn *f, fused_code *c)
{
  *c = (fused_code){.f = f};
  if (!fused_shape_make(p, b, &c->s)) return false;
  blocks *own = &c->s.own;
  c->in = blocks_get(own, (c->s.ncolumn + c->s.neach + 1) * sizeof *c->in);
  c->number = blocks_get(own, (c->s.nnumber + c->s.nuse + 2) * sizeof *c->number);
  c->kept = blocks_get(own, (c->s.nuse + 1) * sizeof *c->kept);
  c->room = blocks_get(own, (c->s.neach + c->s.nuse + 1) * BUFFER * sizeof *c->room);
  if (!c->in || !c->number || !c->kept || !c->room) return false;
  c->out = c->number + c->s.nnumber;
  for (uint32_t u = 0; u < c->s.nuse; u++) c->kept[u] = c->room + (c->s.neach + u) * BUFFER;
  return true;
}

fused_code *fused_code_new(const program *p, const fused *b, fused_fn *f)
{
  fused_code *c = norn_alloc(p->st, NULL, 0, sizeof *c);
  if (c && code_make(p, b, f, c)) return c;
  fused_code_free(c);
  norn_clear(p->st);                 /* that there was no memory is no error here */
  return NULL;
}

void fused_code_free(fused_code *c)
{
  if (!c) return;
  norn_state *st = c->s.own.st;
  fused_shape_free(&c->s);
  norn_alloc(st, c, sizeof *c, 0);
}

static void inputs_take(const program *p, fused_code *c, int64_t k, int64_t n)
{
  int step;
  for (uint32_t j = 0; j < c->s.ncolumn; j++) c->in[j] = c->s.column[j] + k;
  for (uint32_t j = 0; j < c->s.neach; j++)
    c->in[c->s.ncolumn + j] = operand_fetch(p, c->s.each[j], k, n, c->room + j * BUFFER, &step);
}

bool fused_code_run(program *p, fused_code *c, double *sum, int64_t *where)
{
  const fused_shape *s = &c->s;
  for (uint32_t j = 0; j < s->nnumber; j++)
    c->number[j] = s->number[j].constant ? *s->number[j].value : p->value[s->number[j].place];
  for (int64_t k = 0; k < s->b->n; k += CHUNK) {
    int64_t n = s->b->n - k < CHUNK ? s->b->n - k : CHUNK;
    inputs_take(p, c, k, n);
    *where = k;
    if (!c->f(n, c->in, c->number, c->out, c->kept)) return false;
    *sum += c->out[0];
    if (!(c->out[0] > -HUGE_VAL)) return false;
    for (uint32_t u = 0; u < s->nuse; u++) {
      const fused_use *use = &s->use[u];
      if (use->sum) p->adjoint[s->number[use->at].place] += c->out[1 + u];
      else operand_spread(p, s->each[use->at], k, n, c->kept[u]);
    }
  }
  return true;
}
