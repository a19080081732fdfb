/* segment_text: a segment as text (segment_text.h): one statement for each operation, those that are the
   same in all lanes before the loop.  Value k is u<k>, or v<k>[r] where it differs by lane. */
#include "graph/segment_text.h"
#include "dist/draws.h"
#include "graph/op_text.h"
#include "num/lane_ops.h"
#include <stdio.h>
#include <string.h>

enum { NAME = 24 };

/* ---- families ---- */

char segment_draws(const norn_dist_row *row)
{
  if (!row->lane_samples) return 0;
#define DRAW(name, np) if (row->lane_samples == name##_lane_samples) return 'n';
  NORMAL_DRAWS(DRAW)
#undef DRAW
#define DRAW(name, np) if (row->lane_samples == name##_lane_samples) return 'u';
  UNIFORM_DRAWS(DRAW)
#undef DRAW
  return 0;
}

/* Its name in the dialect; NULL: it has no formula for the log density and the domain. */
static const char *family_of(const norn_dist_row *row)
{
  int np;
  const char *name = op_text_family(row, &np);
  return np < 0 ? NULL : name;
}

/* ---- values ---- */

static const char *kind_name(unsigned kind)
{
  return kind == NORN_REAL ? "REAL" : kind == NORN_INT ? "INT" : "BOOL";
}
static const char *type_name(unsigned kind)
{
  return kind == NORN_REAL ? "lanes" : kind == NORN_INT ? "lane_ints" : "lane_mask";
}

static const char *value(const segment *s, uint32_t k, char name[NAME])
{
  snprintf(name, NAME, s->op[k].uniform ? "u%u" : "v%u[r]", (unsigned)k);
  return name;
}

/* `KIND(v) SEG_EACH v[r] = `, or `const TYPE u = `. */
static void define(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  if (o->uniform) text_printf(t, "  const %s u%u = ", type_name(o->kind), (unsigned)k);
  else text_printf(t, "  SEG_%s(v%u) SEG_EACH v%u[r] = ", kind_name(o->kind), (unsigned)k, (unsigned)k);
}

/* ---- operations ---- */

static void put_load(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  uint32_t map = s->in[o->aux].map;
  if (map) text_printf(t, "  SEG_GATHER_%s(v%u, %u, %u)\n", kind_name(o->kind), (unsigned)k, (unsigned)o->aux,
                    (unsigned)map - 1);
  else text_printf(t, "  SEG_LOAD_%s(v%u, %u)\n", kind_name(o->kind), (unsigned)k, (unsigned)o->aux);
}

/* The infix of an operation of two operands; NULL: it has none. */
static const char *infix(unsigned op)
{
  switch (op) {
  case S_ADD: return "+";
  case S_SUB: return "-";
  case S_MUL: return "*";
  case S_DIV: return "/";
  case S_LT: case S_ILT: return "<";
  case S_LE: case S_ILE: return "<=";
  case S_EQ: case S_IEQ: return "==";
  case S_NE: case S_INE: return "!=";
  default: return NULL;
  }
}

static void put_infix(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char a[NAME], b[NAME];
  bool masks = s->op[o->arg[0]].kind == NORN_BOOL;
  value(s, o->arg[0], a);
  value(s, o->arg[1], b);
  define(t, s, k);
  if (masks && o->op == S_IEQ) text_printf(t, "NOT(%s ^ %s);\n", a, b);
  else if (masks) text_printf(t, "%s ^ %s;\n", a, b);
  else text_printf(t, "%s %s %s;\n", a, infix(o->op), b);
}

/* Integers that may overflow: also in all lanes at once, each lane computes them. */
static void put_integer(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char a[NAME], b[NAME];
  const char *f = o->op == S_IADD ? "seg_add" : o->op == S_IMUL ? "seg_mul" : "seg_sub";
  if (o->op == S_INEG) text_printf(t, "  SEG_ARITH(v%u, seg_sub, (lane_ints)SEG_NONE, %s)\n", (unsigned)k,
                                value(s, o->arg[0], a));
  else text_printf(t, "  SEG_ARITH(v%u, %s, %s, %s)\n", (unsigned)k, f, value(s, o->arg[0], a),
                value(s, o->arg[1], b));
}

static void put_select(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char c[NAME], a[NAME], b[NAME];
  value(s, o->arg[0], c);
  value(s, o->arg[1], a);
  value(s, o->arg[2], b);
  define(t, s, k);
  if (o->kind == NORN_REAL) text_printf(t, "SEL(%s, %s, %s);\n", c, a, b);
  else if (o->kind == NORN_INT) text_printf(t, "seg_pick(%s, %s, %s);\n", c, a, b);
  else text_printf(t, "(%s & %s) | (NOT(%s) & %s);\n", c, a, c, b);
}

static void put_call_begin(text *t, const segment *s, uint32_t k, uint32_t first)
{
  const segment_op *o = &s->op[k];
  char a[NAME];
  for (uint32_t i = first; i < o->n; i++)
    text_printf(t, "SEG_PARAMETER(%u, %s) ", (unsigned)(i - first), value(s, o->arg[i], a));
}

static void put_map(text *t, const segment *s, uint32_t k)
{
  static const char *const names[LANE_MAPS] = { "-", "lane_sqrt", "v_exp", "v_logit_inv", "v_log1pexp" };
  const segment_op *o = &s->op[k];
  char a[NAME];
  int which = lane_map_of(o->fun);
  if (which >= 0) {
    define(t, s, k);
    text_printf(t, "%s(%s);\n", names[which], value(s, o->arg[0], a));
    return;
  }
  text_printf(t, "  SEG_CALL_BEGIN(v%u) ", (unsigned)k);
  put_call_begin(t, s, k, 0);
  text_printf(t, "SEG_FUN(%s, %u) SEG_CALL_END(v%u)\n", o->name, (unsigned)k, (unsigned)k);
}

static void put_good(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char name[SEGMENT_ARGS][NAME];
  const char *arg[SEGMENT_ARGS + 1] = { "" };        /* x first, which the domain does not ask */
  for (uint32_t i = 0; i < o->n; i++) arg[i + 1] = value(s, o->arg[i], name[i]);
  if (family_of(o->row)) {
    text_printf(t, "  SEG_EACH { SEG_AGAIN(NOT(");
    op_text_domain(t, o->row, arg);
    text_printf(t, ")) }\n");
    return;
  }
  text_printf(t, "  { SEG_CALL_BEGIN(v%u) ", (unsigned)k);
  put_call_begin(t, s, k, 0);
  text_printf(t, "SEG_INSIDE(%s, %u, %u) SEG_CALL_END(v%u) SEG_EACH { SEG_AGAIN(v%u[r] == 0) } }\n",
              o->row->name, (unsigned)o->n, (unsigned)k, (unsigned)k, (unsigned)k);
}

/* The number that is drawn, as z<k>[r] (k if it is of kind REAL); then what it stands for. */
static void put_draw(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char to = o->kind == NORN_REAL ? 'v' : 'z', how = segment_draws(o->row), a[NAME];
  unsigned word = s->op[o->arg[0]].aux;
  const char *name = family_of(o->row);
  if (how && name) {
    text_printf(t, "  SEG_%s(r%u, %u) SEG_REAL(%c%u) SEG_EACH %c%u[r] = %s_draw(r%u[r]",
             how == 'n' ? "NORMALS" : "UNIFORMS", (unsigned)k, word, to, (unsigned)k, to, (unsigned)k, name,
             (unsigned)k);
    for (uint32_t i = 1; i < o->n; i++)
      text_printf(t, s->op[o->arg[i]].uniform ? ", LANE(%s)" : ", %s", value(s, o->arg[i], a));
    text_printf(t, ");\n");
  } else {
    text_printf(t, "  SEG_CALL_BEGIN(%c%u) ", to, (unsigned)k);
    put_call_begin(t, s, k, 1);
    text_printf(t, "SEG_SAMPLE(%s, %u, %u, %u) SEG_CALL_END(%c%u)\n", o->row->name, (unsigned)o->n - 1,
                (unsigned)k, word, to, (unsigned)k);
  }
  if (o->kind == NORN_INT) text_printf(t, "  SEG_TO_INT(v%u, z%u[r])\n", (unsigned)k, (unsigned)k);
  if (o->kind == NORN_BOOL)
    text_printf(t, "  SEG_BOOL(v%u) SEG_EACH v%u[r] = z%u[r] != 0;\n", (unsigned)k, (unsigned)k, (unsigned)k);
}

/* Bit i: operand i differs by lane. */
static unsigned varying(const segment *s, const segment_op *o)
{
  unsigned many = 0;
  for (uint32_t i = 0; i < o->n; i++) many |= (s->op[o->arg[i]].uniform ? 0u : 1u) << i;
  return many;
}

static void put_logp(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char name[SEGMENT_ARGS][NAME], term[NAME];
  const char *arg[SEGMENT_ARGS];
  for (uint32_t i = 0; i < o->n; i++) arg[i] = value(s, o->arg[i], name[i]);
  if (family_of(o->row)) {
    snprintf(term, sizeof term, "t%u", (unsigned)k);
    define(t, s, k);
    op_text_logp(t, o->row, term, arg);
    text_printf(t, ";\n");
    return;
  }
  text_printf(t, "  SEG_CALL_BEGIN(v%u) ", (unsigned)k);
  put_call_begin(t, s, k, 0);
  text_printf(t, "SEG_LOGP(%s, %u, %u) SEG_CALL_END(v%u)\n", o->row->name, (unsigned)o->n - 1, (unsigned)k,
           (unsigned)k);
}

static void put_index(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char a[NAME];
  text_printf(t, "  SEG_INDEX_%s(v%u, %u, %s)\n", kind_name(o->kind), (unsigned)k, (unsigned)o->aux,
           value(s, o->arg[0], a));
}

static void put_weigh(text *t, const segment *s, uint32_t k)
{
  uint32_t x = s->op[k].arg[0];
  char a[NAME];
  value(s, x, a);
  if (s->op[x].kind == NORN_BOOL) text_printf(t, "  SEG_EACH SEG_WEIGH(SEL(%s, LANE(0.0), -HUGE_VAL))\n", a);
  else text_printf(t, "  SEG_EACH SEG_WEIGH(%s)\n", a);
}

static void put_op(text *t, const segment *s, uint32_t k)
{
  const segment_op *o = &s->op[k];
  char a[NAME], b[NAME], c[NAME];
  switch (o->op) {
  case S_LOAD: put_load(t, s, k); break;
  case S_SLOT:
    text_printf(t, "  SEG_SLOT_%s(u%u, %u)\n", kind_name(o->kind), (unsigned)k, (unsigned)o->aux);
    break;
  case S_PLATE:
    text_printf(t, "  SEG_PLATE_%s(u%u, %u)\n", kind_name(o->kind), (unsigned)k, (unsigned)o->aux);
    break;
  case S_IADD: case S_ISUB: case S_IMUL: case S_INEG: put_integer(t, s, k); break;
  case S_NEG: define(t, s, k); text_printf(t, "-%s;\n", value(s, o->arg[0], a)); break;
  case S_NOT: define(t, s, k); text_printf(t, "NOT(%s);\n", value(s, o->arg[0], a)); break;
  case S_TOREAL: define(t, s, k); text_printf(t, "seg_real(%s);\n", value(s, o->arg[0], a)); break;
  case S_NONZERO: text_printf(t, "  SEG_EACH { SEG_AGAIN(%s == 0) }\n", value(s, o->arg[0], a)); break;
  case S_MAP: put_map(t, s, k); break;
  case S_SELECT: put_select(t, s, k); break;
  case S_INDEX: put_index(t, s, k); break;
  case S_FIT:
    text_printf(t, "  SEG_EACH { SEG_AGAIN(NOT((%s >= %s) & (%s <= %s))) }\n", value(s, o->arg[0], a),
             value(s, o->arg[1], b), a, value(s, o->arg[2], c));
    break;
  case S_GOOD: put_good(t, s, k); break;
  case S_DRAW: put_draw(t, s, k); break;
  case S_LOGP: put_logp(t, s, k); break;
  case S_WEIGH: put_weigh(t, s, k); break;
  default: put_infix(t, s, k); break;
  }
}

/* Before the loop: what is the same in all lanes and can't go wrong in one. */
static bool is_before(const segment_op *o) { return o->uniform && o->kind; }

void segment_text(text *t, const segment *s)
{
  char a[NAME];
  text_printf(t, "/* a segment of %zu operations, %zu inputs, %zu outputs */\nSEG_BEGIN\n", s->nop, s->nin,
              s->nout);
  for (uint32_t k = 0; k < s->nop; k++) {
    const segment_op *o = &s->op[k];
    if (o->op == S_LOGP && family_of(o->row))
      text_printf(t, "  SEG_TERMS(t%u, %uu)\n", (unsigned)k, varying(s, o));
    if (is_before(o)) put_op(t, s, k);
  }
  text_printf(t, "SEG_LANES\n");
  for (uint32_t k = 0; k < s->nop; k++)
    if (!is_before(&s->op[k])) put_op(t, s, k);
  for (size_t i = 0; i < s->nout; i++)
    text_printf(t, "  SEG_EACH { SEG_STORE_%s(%zu, %s) }\n", kind_name(s->op[s->out[i].op].kind), i,
             value(s, s->out[i].op, a));
  if (s->nweigh) text_printf(t, "  SEG_WEIGHTS\n");
  text_printf(t, "SEG_END\n");
}
