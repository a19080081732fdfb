/* exhaust.c: matches that leave values out, and arms that nothing can reach.

   Usefulness of a row of patterns against the rows above it, after Maranget, "Warnings for pattern
   matching" (J. Functional Programming 17, 2007), without types: a column's possible heads are
   those that its patterns show.  Constructors of a type, booleans and () can be complete; numbers,
   strings and missing never are.  Arrays have a head for each length that a pattern names, one for
   each shorter length and one for all longer ones.

   Values may be of any kind, so an arm is called unreachable only when earlier arms cover it
   whatever the values are; a match is called complete when its patterns cover one type. */
#include "lang/env_in.h"
#include "lang/parse/ast.h"
#include <inttypes.h>
#include <string.h>

enum { WORK_MAX = 200000, BYTES_MAX = 16 << 20 };     /* then nothing is said */

typedef enum { P_ANY, P_CTOR, P_BOOL, P_UNIT, P_LITERAL, P_ARRAY, P_RECORD } pat_kind;

/* A pattern without names.  ARRAY: n elements, open: and more.  RECORD: fields sorted by name. */
typedef struct pat pat;
struct pat {
  pat_kind kind;
  uint32_t ctor;                    /* CTOR; BOOL: 0 or 1 */
  uint32_t n; const pat **sub;
  const char *const *names;         /* RECORD */
  const ast *literal;               /* LITERAL */
  bool open;
};

/* Rows of equally many patterns. */
typedef struct rows { const pat ***v; uint32_t n, width; } rows;

typedef struct exhaust {
  norn_state *st; module *m; arena a; int work; size_t bytes; bool failed;
} exhaust;
static const pat any_pattern = {.kind = P_ANY};

/* ---- patterns of the tree ---- */

static void *get(exhaust *x, size_t n)
{
  x->bytes += n;
  void *p = x->bytes < BYTES_MAX ? arena_get(&x->a, n ? n : 1) : NULL;
  if (!p) x->failed = true;
  return p;
}

static const pat *convert(exhaust *x, const ast *e);

static const pat **convert_all(exhaust *x, ast *const *v, uint32_t n)
{
  const pat **sub = get(x, n * sizeof *sub);
  for (uint32_t i = 0; sub && i < n; i++) sub[i] = convert(x, v[i]);
  return sub;
}

static env_entry *ctor_entry(exhaust *x, const ast *name)
{
  norn_state *st = x->st;
  module *m = x->m;
  const char *s = name->kind == AST_NAME ? name->u.name : NULL;
  if (name->kind == AST_FIELD && name->u.field.base->kind == AST_NAME) {
    const char *prefix = name->u.field.base->u.name;
    env_entry *e = env_lookup(st, m, sym_intern(st, prefix, strlen(prefix)));
    s = name->u.field.name.s;
    m = e && e->kind == ENV_MODULE ? e->mod : NULL;
    return m && s ? env_lookup_in(st, m, sym_intern(st, s, strlen(s))) : NULL;
  }
  return s ? env_lookup(st, m, sym_intern(st, s, strlen(s))) : NULL;
}

static const pat *convert_con(exhaust *x, const ast *e)
{
  env_entry *entry = ctor_entry(x, e->u.con.con);
  pat *p = get(x, sizeof *p);
  if (!p) return NULL;
  if (!entry || entry->kind != ENV_CTOR || entry->arity != e->u.con.n) {
    x->failed = true;                /* an error of its own, said elsewhere */
    return p;
  }
  *p = (pat){.kind = P_CTOR,
             .ctor = (uint32_t)(entry->tag >> 32),
             .n = e->u.con.n,
             .sub = convert_all(x, e->u.con.v, e->u.con.n)};
  return p;
}

static const pat *convert_literal(exhaust *x, const ast *e)
{
  pat *p = get(x, sizeof *p);
  if (!p) return NULL;
  const ast *l = e->u.literal;
  if (l->kind == AST_BOOL) *p = (pat){.kind = P_BOOL, .ctor = l->u.b};
  else if (l->kind == AST_UNIT) *p = (pat){.kind = P_UNIT};
  else *p = (pat){.kind = P_LITERAL, .literal = l};
  return p;
}

static const pat *convert_record(exhaust *x, const ast *e)
{
  uint32_t n = e->u.record.n;
  pat *p = get(x, sizeof *p);
  const char **names = get(x, n * sizeof *names);
  const pat **sub = get(x, n * sizeof *sub);
  if (!p || !names || !sub) return NULL;
  for (uint32_t i = 0; i < n; i++) {
    const char *name = e->u.record.v[i].name.s;
    const pat *q = convert(x, e->u.record.v[i].value);
    uint32_t k = i;
    for (; k > 0 && strcmp(names[k - 1], name) > 0; k--)
      names[k] = names[k - 1], sub[k] = sub[k - 1];
    names[k] = name, sub[k] = q;
  }
  *p = (pat){.kind = P_RECORD, .n = n, .sub = sub, .names = names};
  return p;
}

static const pat *convert(exhaust *x, const ast *e)
{
  switch (e->kind) {
  case AST_PAT_CON: return convert_con(x, e);
  case AST_PAT_LITERAL: return convert_literal(x, e);
  case AST_PAT_RECORD: return convert_record(x, e);
  case AST_PAT_LIST: {
    pat *p = get(x, sizeof *p);
    if (p)
      *p = (pat){.kind = P_ARRAY,
                 .n = e->u.plist.n,
                 .sub = convert_all(x, e->u.plist.v, e->u.plist.n),
                 .open = (e->flags & AST_OPEN) != 0};
    return p;
  }
  default: return &any_pattern;
  }
}

/* ---- heads ---- */

/* What a column's first patterns distinguish: one head with the number of its parts. */
typedef struct head {
  pat_kind kind;
  uint32_t ctor, n;
  bool open; /* ARRAY: exactly n, or (open) more than any pattern names */
  const ast *literal; const char *const *names;
} head;

static bool literal_equal(const ast *a, const ast *b)
{
  if (a->kind != b->kind) {
    double x = a->kind == AST_INT ? (double)a->u.i : a->u.d,
           y = b->kind == AST_INT ? (double)b->u.i : b->u.d;
    bool numbers =
        (a->kind == AST_INT || a->kind == AST_REAL) && (b->kind == AST_INT || b->kind == AST_REAL);
    return numbers && x == y;
  }
  switch (a->kind) {
  case AST_INT: return a->u.i == b->u.i;
  case AST_REAL: return a->u.d == b->u.d;
  case AST_STR: return a->u.str.n == b->u.str.n && !memcmp(a->u.str.s, b->u.str.s, a->u.str.n);
  default: return true;
  }
}

static int field_place(const pat *p, const char *name)
{
  for (uint32_t i = 0; i < p->n; i++)
    if (!strcmp(p->names[i], name)) return (int)i;
  return -1;
}

/* The patterns that p asks of the parts of a head, into out; false: p does not take that head. */
static bool specialize(const pat *p, const head *h, const pat **out)
{
  for (uint32_t i = 0; i < h->n; i++) out[i] = &any_pattern;
  if (p->kind == P_ANY) return true;
  if (p->kind != h->kind) return false;
  switch (p->kind) {
  case P_CTOR:
    if (p->ctor != h->ctor) return false;
    break;
  case P_BOOL: return p->ctor == h->ctor;
  case P_LITERAL: return literal_equal(p->literal, h->literal);
  case P_ARRAY:
    if (p->open ? p->n > h->n : h->open || p->n != h->n) return false;
    break;
  case P_RECORD:                     /* a part is the field: present with a pattern, or whatever */
    for (uint32_t i = 0; i < h->n; i++) {
      int k = field_place(p, h->names[i]);
      if (k >= 0) out[i] = p->sub[k];
    }
    return true;
  default: break;
  }
  for (uint32_t i = 0; i < p->n; i++) out[i] = p->sub[i];
  return true;
}

static rows rows_new(exhaust *x, uint32_t n, uint32_t width)
{
  rows r = {.v = get(x, n * sizeof *r.v), .width = width};
  return r;
}

/* Rows that take head h in their first column, with its parts in front of the rest. */
static rows rows_special(exhaust *x, const rows *from, const head *h)
{
  rows to = rows_new(x, from->n, from->width - 1 + h->n);
  for (uint32_t i = 0; i < from->n && !x->failed; i++) {
    const pat **row = get(x, to.width * sizeof *row);
    if (!row || !specialize(from->v[i][0], h, row)) continue;
    memcpy(row + h->n, from->v[i] + 1, (from->width - 1) * sizeof *row);
    to.v[to.n++] = row;
  }
  return to;
}

/* Rows whose first pattern takes anything, without it. */
static rows rows_default(exhaust *x, const rows *from)
{
  rows to = rows_new(x, from->n, from->width - 1);
  for (uint32_t i = 0; i < from->n && !x->failed; i++)
    if (from->v[i][0]->kind == P_ANY) to.v[to.n++] = from->v[i] + 1;
  return to;
}

static uint32_t longest_array(const rows *r)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < r->n; i++)
    if (r->v[i][0]->kind == P_ARRAY && r->v[i][0]->n > n) n = r->v[i][0]->n;
  return n;
}

/* All field names of the records in the first column, sorted. */
static head record_head(exhaust *x, const rows *r)
{
  uint32_t n = 0, cap = 0;
  for (uint32_t i = 0; i < r->n; i++) cap += r->v[i][0]->kind == P_RECORD ? r->v[i][0]->n : 0;
  const char **names = get(x, cap * sizeof *names);
  for (uint32_t i = 0; names && i < r->n; i++) {
    const pat *p = r->v[i][0];
    for (uint32_t k = 0; p->kind == P_RECORD && k < p->n; k++) {
      uint32_t at = 0;
      while (at < n && strcmp(names[at], p->names[k]) < 0) at++;
      if (at < n && !strcmp(names[at], p->names[k])) continue;
      memmove(names + at + 1, names + at, (n - at) * sizeof *names);
      names[at] = p->names[k];
      n++;
    }
  }
  return (head){.kind = P_RECORD, .n = n, .names = names};
}

static uint32_t type_size(exhaust *x, uint32_t id)
{
  return x->st->types[env_ctor(x->st, id)->type].n;
}

/* The heads of the kind (for constructors: the type) of pattern p: all of them, in order. Literals:
   p alone.  Returns how many; *complete: no value of that kind has another head. */
static uint32_t heads_of(exhaust *x, const rows *r, const pat *p, head **out, bool *complete)
{
  uint32_t n = p->kind == P_CTOR    ? type_size(x, p->ctor)
               : p->kind == P_BOOL  ? 2
               : p->kind == P_ARRAY ? longest_array(r) + 2
                                    : 1;
  head *h = *out = get(x, n * sizeof *h);
  *complete = p->kind != P_LITERAL;
  if (!h) return 0;
  if (p->kind == P_CTOR) {
    uint32_t first = x->st->types[env_ctor(x->st, p->ctor)->type].first;
    for (uint32_t i = 0; i < n; i++)
      h[i] = (head){.kind = P_CTOR, .ctor = first + i, .n = env_ctor(x->st, first + i)->arity};
  } else if (p->kind == P_BOOL) {
    for (uint32_t i = 0; i < 2; i++) h[i] = (head){.kind = P_BOOL, .ctor = i};
  } else if (p->kind == P_ARRAY) {
    for (uint32_t i = 0; i < n; i++)
      h[i] = (head){.kind = P_ARRAY, .n = i < n - 1 ? i : n - 2, .open = i == n - 1};
  } else if (p->kind == P_RECORD) {
    *h = record_head(x, r);
  } else {
    *h = (head){.kind = p->kind, .literal = p->literal};
  }
  return n;
}

/* ---- arms that nothing reaches: is row q useful after the rows r? ---- */

static bool useful(exhaust *x, const rows *r, const pat **q);

/* q's record against rows that may ask for fields q leaves open: such rows never cover q. */
static bool rows_for_record(exhaust *x, const rows *from, const pat *q, rows *to)
{
  *to = rows_new(x, from->n, from->width);
  for (uint32_t i = 0; i < from->n && !x->failed; i++) {
    const pat *p = from->v[i][0];
    bool takes = p->kind == P_ANY || p->kind == P_RECORD;
    for (uint32_t k = 0; takes && p->kind == P_RECORD && k < p->n; k++)
      takes = field_place(q, p->names[k]) >= 0;
    if (takes) to->v[to->n++] = from->v[i];
  }
  return !x->failed;
}

static bool useful_with(exhaust *x, const rows *r, const pat **q, const head *h)
{
  rows s = rows_special(x, r, h);
  const pat **row = get(x, s.width * sizeof *row);
  if (x->failed || !row || !specialize(q[0], h, row)) return false;
  memcpy(row + h->n, q + 1, (r->width - 1) * sizeof *row);
  return useful(x, &s, row);
}

static bool useful(exhaust *x, const rows *r, const pat **q)
{
  if (++x->work > WORK_MAX) x->failed = true;
  if (x->failed) return true;
  if (r->width == 0) return r->n == 0;
  if (q[0]->kind == P_ANY) { /* some value of a kind that no pattern names gets through */
    rows d = rows_default(x, r);
    return !x->failed && useful(x, &d, q + 1);
  }
  head h = {.kind = q[0]->kind,
            .ctor = q[0]->ctor,
            .n = q[0]->n,
            .literal = q[0]->literal,
            .names = q[0]->names};
  rows with_q = *r;
  if (q[0]->kind == P_RECORD) {
    if (!rows_for_record(x, r, q[0], &with_q)) return true;
    return useful_with(x, &with_q, q, &h);
  }
  if (q[0]->kind != P_ARRAY || !q[0]->open) return useful_with(x, r, q, &h);
  uint32_t most = longest_array(r);
  if (most < q[0]->n) most = q[0]->n;
  for (uint32_t n = q[0]->n; n <= most + 1; n++) {
    h = (head){.kind = P_ARRAY, .n = n <= most ? n : most, .open = n > most};
    if (useful_with(x, r, q, &h)) return true;
  }
  return false;
}

/* ---- values that are left out ---- */

/* A row of patterns that no row of r takes, or NULL if there is none. */
static const pat **missing(exhaust *x, const rows *r);

static const pat *head_pattern(exhaust *x, const head *h, const pat **parts)
{
  pat *p = get(x, sizeof *p);
  if (p)
    *p = (pat){.kind = h->kind,
               .ctor = h->ctor,
               .n = h->n,
               .sub = parts,
               .names = h->names,
               .literal = h->literal,
               .open = h->open};
  return p;
}

static const pat **join(exhaust *x, const pat *first, const pat **rest, uint32_t n)
{
  const pat **row = get(x, (n + 1) * sizeof *row);
  if (!row) return NULL;
  row[0] = first;
  memcpy(row + 1, rest, n * sizeof *row);
  return row;
}

static const pat **missing_with(exhaust *x, const rows *r, const head *h)
{
  rows s = rows_special(x, r, h);
  const pat **w = x->failed ? NULL : missing(x, &s);
  if (!w) return NULL;
  return join(x, head_pattern(x, h, w), w + h->n, r->width - 1);
}

/* One kind of the column complete and covered is enough: the values are taken to be of that kind.
 */
static const pat **missing_kind(exhaust *x, const rows *r, const pat *p)
{
  bool complete;
  head *h;
  uint32_t n = heads_of(x, r, p, &h, &complete);
  for (uint32_t i = 0; i < n && complete && !x->failed; i++) {
    const pat **w = missing_with(x, r, &h[i]);
    if (w) return w;
  }
  if (complete) return NULL;
  rows d = rows_default(x, r);
  const pat **w = x->failed ? NULL : missing(x, &d);
  return w ? join(x, &any_pattern, w, r->width - 1) : NULL;
}

static const pat **missing(exhaust *x, const rows *r)
{
  const pat **first = NULL;
  if (++x->work > WORK_MAX) x->failed = true;
  if (x->failed) return NULL;
  if (r->width == 0) return r->n ? NULL : get(x, sizeof **r->v);
  bool named = false;
  for (uint32_t i = 0; i < r->n && !x->failed; i++) {
    const pat *p = r->v[i][0];
    bool again = p->kind == P_ANY;
    for (uint32_t k = 0; k < i && !again; k++) {
      const pat *q = r->v[k][0];
      again = q->kind == p->kind && (p->kind != P_CTOR || env_ctor(x->st, p->ctor)->type ==
                                                              env_ctor(x->st, q->ctor)->type);
    }
    if (again) continue;
    named = true;
    const pat **w = missing_kind(x, r, p);
    if (!w) return NULL;
    if (!first) first = w;
  }
  if (named) return first;
  rows d = rows_default(x, r);
  const pat **w = x->failed ? NULL : missing(x, &d);
  return w ? join(x, &any_pattern, w, r->width - 1) : NULL;
}

/* match [a, b] { ... }: then only arrays of two elements matter. */
static const pat **missing_value(exhaust *x, const rows *r, const ast *value)
{
  if (value->kind != AST_ARRAY) return missing(x, r);
  head h = {.kind = P_ARRAY, .n = value->u.list.n};
  return missing_with(x, r, &h);
}

/* ---- saying it ---- */

static void put_pattern(exhaust *x, text *t, const pat *p)
{
  switch (p->kind) {
  case P_CTOR: text_puts(t, sym_name(x->st, env_ctor(x->st, p->ctor)->name)); break;
  case P_BOOL: text_puts(t, p->ctor ? "true" : "false"); return;
  case P_UNIT: text_puts(t, "()"); return;
  case P_ARRAY: text_putc(t, '['); break;
  case P_RECORD: text_putc(t, '{'); break;
  default: text_putc(t, '_'); return;
  }
  if (p->kind == P_CTOR && p->n) text_putc(t, '(');
  for (uint32_t i = 0; i < p->n; i++) {
    if (i) text_puts(t, ", ");
    if (p->kind == P_RECORD) text_printf(t, "%s: ", p->names[i]);
    put_pattern(x, t, p->sub[i]);
  }
  if (p->kind == P_ARRAY) text_puts(t, p->open ? p->n ? ", _, ..]" : "_, ..]" : "]");
  if (p->kind == P_RECORD) text_putc(t, '}');
  if (p->kind == P_CTOR && p->n) text_putc(t, ')');
}

static void warn_missing(exhaust *x, const ast *match, const pat *p)
{
  text t;
  text_init(&t, &x->st->mem);
  put_pattern(x, &t, p);
  norn_span span = match->span;
  if (span.end > match->u.match.value->span.end) span.end = match->u.match.value->span.end;
  diag *d;
  if (p->kind == P_ANY) {
    d = diags_add(&x->st->diags, true, span,
                  "this match leaves values out: no case takes everything else");
    if (d) error_hint(&d->e, "add a last case `_ -> ...`");
  } else {
    d = diags_add(&x->st->diags, true, span, "this match has no case for %s", t.failed ? "?" : t.s);
    if (d) error_hint(&d->e, "add the case, or a last case `_ -> ...`");
  }
  text_free(&t);
}

void exhaust_check(norn_state *st, module *m, const ast *match)
{
  exhaust x = {.st = st, .m = m};
  arena_init(&x.a, &st->mem);
  rows seen = rows_new(&x, match->u.match.n, 1);
  for (uint32_t i = 0; i < match->u.match.n && !x.failed; i++) {
    const ast_arm *arm = &match->u.match.v[i];
    const pat **row = get(&x, sizeof *row);
    if (!row) break;
    row[0] = convert(&x, arm->pattern);
    if (x.failed) break;
    if (!useful(&x, &seen, row) && !x.failed) {
      diag *d = diags_add(&st->diags, true, arm->pattern->span, "no value reaches this case");
      if (d) error_hint(&d->e, "the cases above take everything that it would");
    }
    if (!arm->guard) seen.v[seen.n++] = row;
  }
  const pat **w = x.failed ? NULL : missing_value(&x, &seen, match->u.match.value);
  if (w && !x.failed) warn_missing(&x, match, w[0]);
  arena_free(&x.a);
}
