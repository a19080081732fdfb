/* op_text: text of one operation (op_text.h): the formulas of the executors as strings, in which the
   names x, y and z are replaced by operands. */
#include "graph/op_text.h"
#include "dist/block.h"
#include "graph/op_formulas.h"
#include "graph/record.h"
#include <ctype.h>
#include <string.h>

typedef struct formula { const char *value, *slope[2]; } formula;
static const formula formulas[G_COUNT] = {
#define F(name, value, dx, dy) [G_##name] = {#value, {#dx, #dy}},
  OP_FORMULAS(F)
#undef F
};

typedef struct family { const char *name; int np; void (*block)(const norn_block *); } family;
static const family families[] = {
#define FAMILY(name, np) {#name, np, name##_block},
  FAMILIES(FAMILY)
#undef FAMILY
};

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The formula with its operands; numbers with a point are made those of a lane. */
static void put_formula(text *t, const char *f, const char *const operand[3])
{
  const char *from = f;
  for (const char *c = f; *c; c++) {
    bool first = in_word(*c) && (c == f || (!in_word(c[-1]) && c[-1] != '.')), word = first && !in_word(c[1]);
    bool number = first && isdigit((unsigned char)*c) && c[1] == '.';
    bool name = word && *c >= 'x' && *c <= 'z' && operand[*c - 'x'];
    if (!number && !name) continue;
    text_put(t, from, (size_t)(c - from));
    text_puts(t, number ? "(lane_real)" : operand[*c - 'x']);
    from = number ? c : c + 1;
  }
  text_puts(t, from);
}

const char *op_text_lacks(graph_op op, uint64_t aux)
{
  int np;
  if (op == G_PART) return "call";
  if (op != G_DENSITY || op_text_family(op_text_row(aux), &np)) return NULL;
  return op_text_row(aux)->name;
}

void op_text_number(text *t, double x)
{
  int e;
  double m = frexp(x, &e);
  if (x != x) text_puts(t, "LANE((lane_real)NAN)");
  else if (fabs(x) == HUGE_VAL) text_puts(t, x > 0 ? "LANE(HUGE_VAL)" : "LANE(-HUGE_VAL)");
  else if (x == floor(x) && fabs(x) < 1e9)        /* a whole -0 would be 0 */
    text_printf(t, "LANE((lane_real)%s%d.0)", signbit(x) ? "-" : "", (int)fabs(x));
  else
    text_printf(t, "LANE((lane_real)%s0x%llxp%d)", x < 0 ? "-" : "",
                (unsigned long long)ldexp(fabs(m), 53), e - 53);
}

void op_text_value(text *t, graph_op op, uint64_t aux, const char *x, const char *y)
{
  if (op == G_FUN1) text_printf(t, "FUN_MAP(fun_%s, %s)", graph_functions[aux].name, x);
  else if (formulas[op].value)
    put_formula(t, formulas[op].value, (const char *const[]){x, y, NULL});
  else t->failed = true;
}

void op_text_slope(text *t, graph_op op, uint64_t aux, int j, const char *x, const char *y,
                   const char *z)
{
  if (op == G_FUN1) text_printf(t, "FUN_MAP2(fun_%s_slope, %s, %s)", graph_functions[aux].name, x, z);
  else if (formulas[op].slope[j])
    put_formula(t, formulas[op].slope[j], (const char *const[]){x, y, z});
  else t->failed = true;
}

int op_text_simple(graph_op op, int j)
{
  switch (op) {
  case G_ADD: return 1;
  case G_SUB: return j ? -1 : 1;
  case G_NEG: return -1;
  case G_MUL: return 2;
  default: return 0;
  }
}

/* ---- densities -------------------------------------------------------------------------------- */

const norn_dist_row *op_text_row(uint64_t aux)
{
  return (const norn_dist_row *)(uintptr_t)(aux & ~(uint64_t)1);
}

const char *op_text_family(const norn_dist_row *row, int *np)
{
  *np = -1;
  for (int i = 0; row->block && i < NORN_COUNT(families); i++)
    if (families[i].block == row->block) return *np = families[i].np, families[i].name;
  return NULL;
}

static void put_call(text *t, const norn_dist_row *row, const char *what, const char *terms,
                     const char *const *arg, const char *slopes)
{
  int np;
  const char *name = op_text_family(row, &np);
  if (!name) { t->failed = true; return; }
  text_printf(t, "%s_%s(%s", name, what, terms);
  for (int i = 0; i <= np; i++) text_printf(t, ", %s", arg[i]);
  if (slopes) text_printf(t, ", %s", slopes);
  text_printf(t, ")");
}

void op_text_logp(text *t, const norn_dist_row *row, const char *terms, const char *const *arg)
{
  put_call(t, row, "logp", terms, arg, NULL);
}

void op_text_partials(text *t, const norn_dist_row *row, const char *terms, const char *const *arg,
                      const char *slopes)
{
  put_call(t, row, "partials", terms, arg, slopes);
}

void op_text_domain(text *t, const norn_dist_row *row, const char *const *arg)
{
  int np;
  const char *name = op_text_family(row, &np);
  if (!name) { t->failed = true; return; }
  if (!np) { text_puts(t, "1"); return; }
  text_printf(t, "%s_inside(", name);
  for (int i = 1; i <= np; i++) text_printf(t, i > 1 ? ", %s" : "%s", arg[i]);
  text_printf(t, ")");
}
