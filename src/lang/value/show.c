/* show.c: values as text.

   What is open (brackets not yet closed) waits on a stack in the state's memory, so that a list of
   a million cells prints as well as a short one.  Under a limit every level has a budget of
   characters: long arrays keep their ends, levels without budget become "...". */
#include "lang/value/big.h"
#include "lang/env.h"
#include "lang/symbolic/latent.h"
#include "lang/value/part.h"
#include <stdio.h>
#include <string.h>

#define NO_LIMIT SIZE_MAX

/* An open level: children [0, first) and [last, n) are shown; `next` comes next. */
typedef struct level {
  part p; int64_t n, first, last, next;
  size_t budget, start; bool any;
} level;
typedef struct show { norn_state *st; text *t; bool source; level *v; size_t n, cap; } show;

/* ---- atoms ---- */

static const char *ctor_name(norn_state *st, val v)
{
  const ctor *c = env_ctor(st, V_CTOR(v));
  return c ? sym_name(st, c->name) : "?";
}

static void show_int(show *s, int64_t i)
{
  char digits[24], *at = digits + sizeof digits;
  uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
  do *--at = (char)('0' + u % 10); while (u /= 10);
  if (i < 0) *--at = '-';
  text_put(s->t, at, (size_t)(digits + sizeof digits - at));
}

static void show_string(show *s, const str *x, size_t budget)
{
  size_t n = x->h.n;
  bool cut = budget != NO_LIMIT && n > (budget > 8 ? budget : 8);
  if (cut) {
    n = budget > 11 ? budget - 3 : 8;
    while (n > 0 && ((unsigned char)x->s[n] & 0xc0) == 0x80) n--;
  }
  if (s->source) text_quoted(s->t, x->s, n);
  else text_put(s->t, x->s, n);
  if (cut) text_puts(s->t, "...");
}

/* The digits that the precision carries, or under a limit the first ones. */
static void show_big(show *s, val v, size_t budget)
{
  bignum x = big_view(v);
  int64_t carried = real_digits(x.bits), most = budget == NO_LIMIT || budget > 1000000 ? INT64_MAX
                                                : budget < 20 ? 12 : (int64_t)budget - 8;
  real_text(s->t, &x, carried < most ? carried : most);
}

static void show_fun(show *s, const char *kind, const char *name, const char *params)
{
  text_printf(s->t, "<%s %s", kind, name && *name ? name : "->");
  if (params) text_printf(s->t, "(%s)", params);
  text_putc(s->t, '>');
}

static void show_closure(show *s, const proto *p, const char *kind)
{
  text_printf(s->t, "<%s %s(", kind, p->name && *p->name ? p->name : "->");
  for (int i = 0; i < p->nargs; i++)
    text_printf(s->t, "%s%s", i ? ", " : "", p->params ? sym_name(s->st, p->params[i]) : "_");
  text_puts(s->t, ")>");
}

static void show_model(show *s, val v)
{
  val f = ((const modl *)v.p)->a[0];
  text_printf(s->t, "<model %s>",
              V_KIND(f) == NORN_FUN && v_clo(f)->p->name ? v_clo(f)->p->name : "->");
}

static void show_handle(show *s, const handle *o)
{
  char words[120];
  snprintf(words, sizeof words, "<%s>", o->row->name);
  if (o->row->show) o->row->show(s->st, o->p, words, sizeof words);
  text_puts(s->t, words);
}

/* True if v was shown; false if it has children. */
static bool show_atom(show *s, val v, size_t budget)
{
  switch (V_KIND(v)) {
  case NORN_NONE: text_puts(s->t, "none"); return true;
  case NORN_INT: show_int(s, v.i); return true;
  case NORN_REAL: text_real(s->t, v.d); return true;
  case NORN_BIG: show_big(s, v, budget); return true;
  case NORN_BOOL: text_puts(s->t, v.i ? "true" : "false"); return true;
  case NORN_UNIT: text_puts(s->t, "()"); return true;
  case NORN_MISSING: text_puts(s->t, "missing"); return true;
  case NORN_ENUM: text_puts(s->t, ctor_name(s->st, v)); return true;
  case NORN_NATIVE:
    show_fun(s, "fn", ((const norn_native *)v.q)->name, ((const norn_native *)v.q)->params);
    return true;
  case NORN_NODE: text_puts(s->t, "<node>"); return true;
  case V_RANDOM: return show_atom(s, latent_value(s->st, v), budget);
  case NORN_LATENT:
    if (s->st->latent) return show_atom(s, latent_value(s->st, v), budget);
    text_puts(s->t, "<latent>");
    return true;
  case NORN_POINTER: text_puts(s->t, v.p ? "<pointer>" : "c_null"); return true;
  case NORN_STR: show_string(s, v_str(v), budget); return true;
  case NORN_FUN: show_closure(s, v_clo(v)->p, v_clo(v)->p->is_model ? "model" : "fn"); return true;
  case NORN_MODEL: show_model(s, v); return true;
  case NORN_HANDLE: show_handle(s, v.p); return true;
  case NORN_ARRAY:
  case NORN_RECORD:
  case NORN_DATA:
  case NORN_DIST:
  case NORN_ENGINE:
  case NORN_MAP: return false;
  default: text_puts(s->t, "<value>"); return true;
  }
}

/* ---- levels ---- */

/* Rows of distributions may say how they print.  Of a table (a posterior) inside of an array or record the first line does. */
static bool show_dist(show *s, val v)
{
  norn_dist d;
  val words = norn_none();
  if (V_KIND(v) != NORN_DIST || !norn_dist_view(v, &d) || !d.row->show) return false;
  if (d.row->show(s->st, &d, &words) != NORN_OK || words.tag != NORN_STR) return false;
  const char *w = v_str(words)->s, *end = memchr(w, '\n', v_str(words)->h.n);
  if (s->n && end) text_printf(s->t, "<%.*s>", (int)(end - w), w);
  else text_put(s->t, w, v_str(words)->h.n);
  return true;
}

static const char *opening(show *s, val v)
{
  switch (V_KIND(v)) {
  case NORN_ARRAY: return "[";
  case NORN_RECORD: return "{";
  case NORN_MAP: return "maps.from([";
  case NORN_DATA: text_puts(s->t, ctor_name(s->st, v)); return "(";
  case NORN_DIST: text_puts(s->t, ((const norn_dist_row *)v_tab(v)->row)->name); return "(";
  default: text_puts(s->t, ((const norn_engine *)v_tab(v)->row)->name); return "(";
  }
}

static const char *closing(val v)
{
  switch (V_KIND(v)) {
  case NORN_ARRAY: return "]";
  case NORN_RECORD: return "}";
  case NORN_MAP: return "])";
  default: return ")";
  }
}

/* How many of an array's elements are shown under a limit. */
static int64_t shown_count(const part *p, int64_t n, size_t budget)
{
  bool flat = p->rank == 1 && vec_elem(v_vec(p->v)) != NORN_VALUES;
  int64_t most = budget == NO_LIMIT ? n : (int64_t)(budget / (flat ? 6 : 20));
  return most >= n ? n : most > 3 ? most : n > 3 ? 3 : n;
}

static void open_level(show *s, part p, size_t budget)
{
  int64_t n = V_KIND(p.v) == NORN_MAP ? norn_map_size(p.v) : part_children(&p);
  if (budget < 6 && n > 0) {
    text_puts(s->t, "...");
    return;
  }
  if (!mem_grow(&s->st->mem, &s->v, &s->cap, s->n + 1, sizeof *s->v)) {
    s->t->failed = true;
    return;
  }
  level *l = &s->v[s->n++];
  *l = (level){ .p = p, .n = n, .first = n, .last = n, .budget = budget, .start = s->t->n };
  if (part_is_array(&p) || V_KIND(p.v) == NORN_MAP) {
    part q = p;
    if (V_KIND(p.v) == NORN_MAP) q.rank = 0;
    int64_t k = part_is_array(&p)                                   ? shown_count(&q, n, budget)
                : budget == NO_LIMIT || (int64_t)(budget / 12) >= n ? n
                                                                    : 3;
    l->first = k == n ? n : (k + 1) * 2 / 3;
    l->last = n - (k - l->first);
  }
  text_puts(s->t, opening(s, p.v));
}

/* The budget of a level's next child: the last one has all that is left. */
static size_t child_budget(const level *l, size_t at)
{
  if (l->budget == NO_LIMIT) return NO_LIMIT;
  size_t used = at - l->start, left = l->budget > used ? l->budget - used : 0;
  int64_t rest = l->next < l->first ? l->first - l->next + l->n - l->last : l->n - l->next;
  if (part_is_array(&l->p)) return l->budget / (size_t)(l->first + l->n - l->last);
  return rest > 1 ? left / (size_t)rest : left;
}

static void show_name(show *s, const char *name)
{
  bool plain = *name && !(*name >= '0' && *name <= '9');
  for (const char *c = name; *c; c++)
    plain &= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
             *c == '_' || *c & 0x80;
  if (plain) text_puts(s->t, name);
  else text_quoted(s->t, name, strlen(name));
}

/* An option at its default is not shown. */
static bool is_default(norn_state *st, const norn_option *o, val v)
{
  if (norn_is_none(v)) return true;
  if (!o->fallback) return false;
  text t;
  text_init(&t, &st->mem);
  value_show(st, &t, v, true, 200);
  bool same = !t.failed && t.n && strcmp(t.s, o->fallback) == 0;
  text_free(&t);
  return same;
}

/* Child i in the order it is written in, after its name if it has one; false: it is left out. */
static bool child_of(show *s, level *l, int64_t i, part *c)
{
  val v = l->p.v;
  const char *sep = l->any ? ", " : "";
  int64_t n;
  if (V_KIND(v) == NORN_ENGINE) {
    const norn_option *o = ((const norn_engine *)v_tab(v)->row)->options + i;
    if (is_default(s->st, o, v_tab(v)->a[i])) return false;
    text_printf(s->t, "%s%s = ", sep, o->name);
    *c = part_whole(v_tab(v)->a[i]);
    return true;
  }
  text_puts(s->t, sep);
  if (V_KIND(v) == NORN_ARRAY) {
    *c = part_child(&l->p, i);
    return true;
  }
  if (V_KIND(v) == NORN_RECORD) {
    show_name(s, v_rec(v)->sh->text[i]);
    text_puts(s->t, ": ");
  }
  *c = part_whole(fields_of(v, &n)[i]);
  return true;
}

static void show_part(show *s, part p, size_t budget)
{
  if (!part_is_array(&p) && show_atom(s, p.v, budget)) return;
  if (!show_dist(s, p.v)) open_level(s, p, budget);
}

/* An entry of a map is written as the pair that would make it; its key is short or shortened. */
static void show_entry(show *s, level *l, int64_t i, size_t budget)
{
  const hent *e = hamt_at(l->p.v.p, i);
  val key = e->key, value = e->value;
  text_puts(s->t, l->any ? ", [" : "[");
  l->any = true;
  value_show(s->st, s->t, key, true, budget == NO_LIMIT ? 0 : budget / 2 + 6);
  text_puts(s->t, ", ");
  value_show(s->st, s->t, value, true, budget == NO_LIMIT ? 0 : budget / 2 + 6);
  text_putc(s->t, ']');
}

static void next_child(show *s)
{
  level *l = &s->v[s->n - 1];
  if (l->next == l->first && l->last > l->first) {
    text_printf(s->t, "%s... %lld more ...", l->any ? ", " : "", (long long)(l->last - l->first));
    l->next = l->last;
  }
  if (l->next >= l->n) {
    text_puts(s->t, closing(l->p.v));
    s->n--;
    return;
  }
  size_t budget = child_budget(l, s->t->n);
  int64_t i = l->next++;
  part c;
  if (V_KIND(l->p.v) == NORN_MAP) {
    show_entry(s, l, i, budget);
  } else if (child_of(s, l, i, &c)) {
    l->any = true;
    show_part(s, c, budget);
  }
}

void value_show(norn_state *st, text *t, val v, bool source_form, size_t limit)
{
  show s = { .st = st, .t = t, .source = source_form };
  show_part(&s, part_whole(v), limit ? limit : NO_LIMIT);
  s.source = true;                     /* strings inside anything are quoted */
  while (s.n && !t->failed) next_child(&s);
  mem_put(&st->mem, s.v, s.cap * sizeof *s.v);
}

/* ---- descriptions ---- */

static const char *elements(unsigned elem, bool one)
{
  switch (elem) {
  case NORN_F64: return one ? "real" : "reals";
  case NORN_I64: return one ? "integer" : "integers";
  case NORN_B8: return one ? "boolean" : "booleans";
  default: return one ? "value" : "values";
  }
}

static void describe_array(const vec *v, char *out, size_t n)
{
  char shape_text[96];
  int rank = vec_rank(v);
  if (v->len == 0) snprintf(out, n, "an empty array");
  else if (rank == 1)
    snprintf(out, n, "an array of %lld %s", (long long)v->len, elements(vec_elem(v), v->len == 1));
  else if (rank == 2)
    snprintf(out, n, "a %lld by %lld matrix of %s", (long long)v->len, (long long)v->dims[0],
             elements(vec_elem(v), false));
  else
    snprintf(out, n, "an array of shape %s of %s", vec_shape_text(v, shape_text, sizeof shape_text),
             elements(vec_elem(v), false));
}

static void describe_record(const shape *sh, char *out, size_t n)
{
  size_t at = 0;
  if (sh->n == 0) {
    snprintf(out, n, "an empty record");
    return;
  }
  at = (size_t)snprintf(out, n, "a record with field%s ", sh->n == 1 ? "" : "s");
  for (uint32_t i = 0; i < sh->n && at < n; i++) {
    size_t room = n - at, want = strlen(sh->text[i]) + 2;
    if (i == 6 || (want + 6 > room && i + 1 < sh->n)) {
      snprintf(out + at, room, "%s...", i ? ", " : "");
      return;
    }
    at += (size_t)snprintf(out + at, room, "%s%s", i ? ", " : "", sh->text[i]);
  }
}

const char *norn_describe(norn_state *st, norn_datum v, char *out, size_t n)
{
  const char *words = NULL;
  if (n == 0) return "";
  switch (V_KIND(v)) {
  case NORN_NONE: words = "no value"; break;
  case NORN_INT: words = "an integer"; break;
  case NORN_REAL: words = "a real"; break;
  case NORN_BOOL: words = "a boolean"; break;
  case NORN_UNIT: words = "()"; break;
  case NORN_MISSING: words = "a missing value"; break;
  case NORN_STR: words = "a string"; break;
  case NORN_NATIVE:
  case NORN_FUN:
    words = V_KIND(v) == NORN_FUN && v_clo(v)->p->is_model ? "a model without its arguments"
                                                           : "a function";
    break;
  case NORN_MODEL: words = "a model"; break;
  case NORN_POINTER: words = "a pointer of C"; break;
  case NORN_ENGINE: words = "an engine"; break;
  case NORN_MAP: words = "a map"; break;
  case NORN_BIG: words = "a big real"; break;
  case NORN_HANDLE: snprintf(out, n, "a %s", ((const handle *)v.p)->row->name); break;
  case NORN_NODE: case NORN_LATENT: case V_RANDOM: words = "a number that depends on a choice"; break;
  case V_LANES: words = "a value that differs between particles"; break;
  case NORN_ENUM: case NORN_DATA: snprintf(out, n, "the variant %s", ctor_name(st, v)); break;
  case NORN_ARRAY: describe_array(v_vec(v), out, n); break;
  case NORN_RECORD: describe_record(v_rec(v)->sh, out, n); break;
  case NORN_DIST: {
    const norn_dist_row *row = v_tab(v)->row;
    if (row->flags & NORN_DIST_POSTERIOR) words = "a posterior";
    else snprintf(out, n, "a distribution (%s)", row->name + (*row->name == '_'));
    break;
  }
  default: words = "a value of the machine"; break;
  }
  if (words) snprintf(out, n, "%s", words);
  return out;
}

const char *norn_show(norn_state *st, norn_datum v, bool source_form, size_t limit)
{
  text t;                              /* a row's show may call this again */
  text_init(&t, &st->mem);
  value_show(st, &t, v, source_form, limit);
  text_free(&st->shown);
  st->shown = t;
  return st->shown.s ? st->shown.s : "";
}
