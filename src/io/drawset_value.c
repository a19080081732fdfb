/* drawset_value.c: variables back into draws (drawset.h): the tree that the patterns of the value
   describe, filled with the numbers of each draw; and the columns of the choices. */
#include "io/drawset.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum { NODE_NEW, NODE_LEAF, NODE_RECORD, NODE_ARRAY } node_kind;
/* A record has children side by side, an array one; a leaf the variables that end here (of several,
   which differ in kind, each draw has one). */
struct drawset_node {
  node_kind kind;
  const char *name;                       /* of the field that it is */
  drawset_node *child, *last, *next;
  int fields;
  const drawset_var **var; int nvar;
  size_t cvar;
  const drawset_var *only;                /* the one variable that lies under this node */
  bool several;
  int64_t length;                         /* of an array: the most */
};

/* ---- numbers ---- */

static const norn_datum *levels_of(const drawset_reader *r, const drawset_var *v)
{
  return r->level[v - r->s->var];
}

/* Number k of a draw; missing if there is none. */
static norn_datum number_of(const drawset_reader *r, const drawset_var *v, int64_t i, int64_t k)
{
  double x = v->all[i * v->size + k];
  if (drawset_is_missing(x) || (isnan(x) && v->kind != DRAWSET_REAL)) return norn_missing();
  switch (v->kind) {
  case DRAWSET_REAL: return norn_real(x);
  case DRAWSET_BOOL: return norn_bool(x != 0);
  case DRAWSET_INT:
    return x == floor(x) && fabs(x) <= 1ll << 53 ? norn_int((int64_t)x) : norn_real(x);
  default:
    if (!(x >= 1 && x <= (double)v->nlevel) || x != floor(x)) return norn_missing();
    return levels_of(r, v)[(size_t)x - 1];
  }
}

/* Is every number of the block such that its kind can hold it packed? */
static bool block_is_plain(const drawset_var *v, const double *x, int64_t n)
{
  if (v->kind == DRAWSET_LEVEL) return false;
  for (int64_t k = 0; k < n; k++) {
    if (drawset_is_missing(x[k])) return false;
    if (v->kind == DRAWSET_REAL) continue;
    if (isnan(x[k]) || x[k] != floor(x[k]) || fabs(x[k]) > 1ll << 53) return false;
  }
  return true;
}

/* rows blocks of `size` numbers, `stride` apart, as one array of that shape. */
static norn_datum packed(norn_state *st, const drawset_var *v, const double *x, int64_t rows,
                         int64_t size, int64_t stride, int rank, const int64_t *dims)
{
  static const norn_elem elems[] = { NORN_F64, NORN_I64, NORN_B8 };
  void *p = NULL;
  norn_datum a = norn_array(st, elems[v->kind], rank, dims, &p);
  if (norn_is_none(a)) return a;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < size; k++) {
      double y = x[i * stride + k];
      if (v->kind == DRAWSET_REAL) ((double *)p)[i * size + k] = y;
      else if (v->kind == DRAWSET_INT) ((int64_t *)p)[i * size + k] = (int64_t)y;
      else ((uint8_t *)p)[i * size + k] = y != 0;
    }
  return a;
}

/* The values without what is missing at the end; missing if nothing is left of some. */
static norn_datum shortened(norn_state *st, const norn_datum *x, int64_t n)
{
  int64_t all = n;
  while (n > 0 && x[n - 1].tag == NORN_MISSING) n--;
  return n == 0 && all > 0 ? norn_missing() : norn_array_pack(st, x, n);
}

static int64_t inner_size(const drawset_var *v, int depth)
{
  int64_t n = 1;
  for (int k = depth; k < v->rank; k++) n *= v->dims[k];
  return n;
}

/* What a variable has of a draw from number `at` on, past its first `depth` indices. */
static norn_datum part_of(drawset_reader *r, const drawset_var *v, int64_t i, int64_t at, int depth)
{
  if (depth == v->rank) return number_of(r, v, i, at);
  int64_t size = inner_size(v, depth), n = v->dims[depth], each = n ? size / n : 0;
  const double *x = v->all + i * v->size + at;
  if (block_is_plain(v, x, size))
    return packed(r->s->st, v, x, 1, size, 0, v->rank - depth, v->dims + depth);
  norn_datum *e = mem_get(r->s->m, (size_t)n * sizeof *e), out = norn_none();
  if (!e) return norn_fail(r->s->st, NORN_EMEMORY, -1, "not enough memory"), out;
  int64_t k = 0;
  for (; k < n; k++)
    if (norn_is_none(e[k] = part_of(r, v, i, at + k * each, depth + 1))) break;
  if (k == n) out = shortened(r->s->st, e, n);
  mem_put(r->s->m, e, (size_t)n * sizeof *e);
  return out;
}

/* ---- the tree ---- */

static bool bad_layout(drawset_reader *r)
{
  norn_fail(r->s->st, NORN_EIO, -1, "the variables of this file do not make up a value");
  return false;
}

static drawset_node *child_of(drawset_reader *r, drawset_node *at, const char *name, size_t n)
{
  for (drawset_node *c = at->child; c; c = c->next)
    if (!name || (strlen(c->name) == n && memcmp(c->name, name, n) == 0)) return c;
  drawset_node *c = arena_get(&r->a, sizeof *c);
  if (!c || !(c->name = arena_text(&r->a, name ? name : "", n))) {
    norn_fail(r->s->st, NORN_EMEMORY, -1, "not enough memory");
    return NULL;
  }
  if (at->last) at->last->next = c;
  else at->child = c;
  at->last = c;
  at->fields++;
  return c;
}

static bool leaf_add(drawset_reader *r, drawset_node *at, const drawset_var *v)
{
  if (!mem_grow(r->s->m, &at->var, &at->cvar, (size_t)at->nvar + 1, sizeof *at->var)) {
    norn_fail(r->s->st, NORN_EMEMORY, -1, "not enough memory");
    return false;
  }
  at->var[at->nvar++] = v;
  return true;
}

static bool tree_add(drawset_reader *r, const drawset_var *v)
{
  drawset_node *at = r->root;
  const char *p = v->value;
  int depth = 0;
  for (;;) {
    at->several = at->several || (at->only && at->only != v);
    at->only = v;
    node_kind kind = *p == 0 ? NODE_LEAF : *p == '[' ? NODE_ARRAY : NODE_RECORD;
    if (at->kind != NODE_NEW && at->kind != kind) return bad_layout(r);
    at->kind = kind;
    if (kind == NODE_LEAF) return depth == v->rank ? leaf_add(r, at, v) : bad_layout(r);
    if (kind == NODE_ARRAY) {
      if (p[1] != ']' || depth >= v->rank) return bad_layout(r);
      if (v->dims[depth] > at->length) at->length = v->dims[depth];
      depth++;
      p += 2;
      at = child_of(r, at, NULL, 0);
    } else {
      size_t n = strcspn(p, ".[");
      at = child_of(r, at, p, n);
      p += n;
    }
    if (!at) return false;
    if (*p == '.') p++;
  }
}

static bool levels_read(drawset_reader *r, size_t k)
{
  drawset *s = r->s;
  drawset_var *v = &s->var[k];
  r->level[k] = v->nlevel ? arena_get(&r->a, v->nlevel * sizeof **r->level) : NULL;
  if (v->nlevel && !r->level[k])
    return norn_fail(s->st, NORN_EMEMORY, -1, "not enough memory"), false;
  for (size_t i = 0; i < v->nlevel; i++)
    if (json_read(s->st, NULL, v->level[i], strlen(v->level[i]), JSON_IO_EXACT, &r->level[k][i]))
      return false;
  return true;
}

bool drawset_reader_open(drawset_reader *r, drawset *s)
{
  *r = (drawset_reader){ .s = s };
  arena_init(&r->a, s->m);
  r->level = arena_get(&r->a, (s->nvar + 1) * sizeof *r->level);
  r->root = arena_get(&r->a, sizeof *r->root);
  if (!r->level || !r->root) return norn_fail(s->st, NORN_EMEMORY, -1, "not enough memory"), false;
  for (size_t k = 0; k < s->nvar; k++) {
    if (!levels_read(r, k)) return false;
    if (s->var[k].value && !tree_add(r, &s->var[k])) return false;
  }
  return true;
}

static void leaves_free(drawset_reader *r, drawset_node *n)
{
  for (; n; n = n->next) {
    mem_put(r->s->m, n->var, n->cvar * sizeof *n->var);
    leaves_free(r, n->child);
  }
}

void drawset_reader_close(drawset_reader *r)
{
  leaves_free(r, r->root);
  arena_free(&r->a);
}

/* ---- values ---- */

static norn_datum node_value(drawset_reader *r, const drawset_node *n, int64_t i, int64_t *idx,
                             int depth);

static norn_datum leaf_value(drawset_reader *r, const drawset_node *n, int64_t i,
                             const int64_t *idx)
{
  for (int k = 0; k < n->nvar; k++) {
    const drawset_var *v = n->var[k];
    int64_t at = 0;
    bool inside = true;
    for (int d = 0; d < v->rank; d++) {
      inside = inside && idx[d] < v->dims[d];
      at = at * v->dims[d] + idx[d];
    }
    norn_datum x = inside ? number_of(r, v, i, at) : norn_missing();
    if (x.tag != NORN_MISSING) return x;
  }
  return norn_missing();
}

/* Of one variable that has nothing but indices from here on: its numbers as they lie. */
static bool is_block(const drawset_node *n)
{
  for (; n->kind == NODE_ARRAY; n = n->child)
    if (n->several) return false;
  return n->kind == NODE_LEAF && !n->several && n->nvar == 1;
}

static norn_datum array_value(drawset_reader *r, const drawset_node *n, int64_t i, int64_t *idx,
                              int depth)
{
  if (is_block(n)) {
    int64_t at = 0;
    for (int k = 0; k < n->only->rank; k++) {
      if (k < depth && idx[k] >= n->only->dims[k]) return norn_missing();
      at = at * n->only->dims[k] + (k < depth ? idx[k] : 0);
    }
    return part_of(r, n->only, i, at, depth);
  }
  norn_datum *e = mem_get(r->s->m, (size_t)n->length * sizeof *e), out = norn_none();
  if (!e) return norn_fail(r->s->st, NORN_EMEMORY, -1, "not enough memory"), out;
  int64_t k = 0;
  for (; k < n->length; k++) {
    idx[depth] = k;
    if (norn_is_none(e[k] = node_value(r, n->child, i, idx, depth + 1))) break;
  }
  if (k == n->length) out = shortened(r->s->st, e, n->length);
  mem_put(r->s->m, e, (size_t)n->length * sizeof *e);
  return out;
}

static norn_datum empty_array(drawset_reader *r) { return norn_array_pack(r->s->st, NULL, 0); }

/* Missing if all of its fields are and it is an element; else a field that is an array is empty,
   not missing. */
static norn_datum record_value(drawset_reader *r, const drawset_node *n, int64_t i, int64_t *idx,
                               int depth)
{
  size_t size = (size_t)n->fields * sizeof(norn_datum), names = (size_t)n->fields * sizeof(char *);
  norn_datum *v = mem_get(r->s->m, size), out = norn_none();
  const char **name = mem_get(r->s->m, names);
  int k = 0;
  bool some = false;
  if (!v || !name) norn_fail(r->s->st, NORN_EMEMORY, -1, "not enough memory");
  for (const drawset_node *c = n->child; v && name && c; c = c->next, k++) {
    name[k] = c->name;
    if (norn_is_none(v[k] = node_value(r, c, i, idx, depth))) break;
    some = some || v[k].tag != NORN_MISSING;
  }
  bool whole = k == n->fields, here = some || depth == 0;
  k = 0;
  for (const drawset_node *c = n->child; whole && here && c; c = c->next, k++)
    if (c->kind == NODE_ARRAY && v[k].tag == NORN_MISSING) v[k] = empty_array(r);
  if (whole) out = here ? norn_record(r->s->st, k, name, v) : norn_missing();
  mem_put(r->s->m, v, size);
  mem_put(r->s->m, name, names);
  return out;
}

static norn_datum node_value(drawset_reader *r, const drawset_node *n, int64_t i, int64_t *idx,
                             int depth)
{
  switch (n->kind) {
  case NODE_LEAF:   return leaf_value(r, n, i, idx);
  case NODE_ARRAY:  return array_value(r, n, i, idx, depth);
  case NODE_RECORD: return record_value(r, n, i, idx, depth);
  default:          return norn_unit();              /* no variable is part of a value */
  }
}

norn_datum drawset_value_of(drawset_reader *r, int64_t i)
{
  int64_t idx[NORN_RANK_MAX] = { 0 };
  norn_datum x = node_value(r, r->root, i, idx, 0);
  return x.tag == NORN_MISSING && r->root->kind == NODE_ARRAY ? empty_array(r) : x;
}

/* ---- choices ---- */

/* A pattern with its indices put in. */
static void address_of(const char *pattern, const int64_t *idx, char *out, size_t size)
{
  size_t at = 0;
  int k = 0, depth = 0;
  for (const char *p = pattern; *p && at + 24 < size; p++) {
    out[at++] = *p;
    bool open = *p == '[' && (p[1] == ']' || p[1] == ',');
    if (open) depth = 1;
    bool here = open || (depth && *p == ' ');
    if (here) at += (size_t)snprintf(out + at, size - at, "%lld", (long long)idx[k++]);
    if (*p == ']') depth = 0;
  }
  out[at] = 0;
}

/* All draws of a choice: numbers from `at` on, past `depth` indices.  A unit: no draw has it. */
static norn_datum column_of(drawset_reader *r, const drawset_var *v, int64_t at, int depth)
{
  int64_t n = r->s->n, size = inner_size(v, depth), dims[NORN_RANK_MAX + 1] = { n };
  bool plain = size > 0 || depth == v->rank, some = false;
  for (int64_t i = 0; i < n && plain; i++)
    plain = block_is_plain(v, v->all + i * v->size + at, size);
  memcpy(dims + 1, v->dims + depth, (size_t)(v->rank - depth) * sizeof *dims);
  if (plain && v->rank - depth < NORN_RANK_MAX)
    return packed(r->s->st, v, v->all + at, n, size, v->size, 1 + v->rank - depth, dims);
  norn_datum *e = mem_get(r->s->m, (size_t)n * sizeof *e), out = norn_none();
  if (!e) return norn_fail(r->s->st, NORN_EMEMORY, -1, "not enough memory"), out;
  int64_t i = 0;
  for (; i < n; i++) {
    if (norn_is_none(e[i] = part_of(r, v, i, at, depth))) break;
    some = some || e[i].tag != NORN_MISSING;
  }
  if (i == n) out = some ? norn_array_pack(r->s->st, e, n) : norn_unit();
  mem_put(r->s->m, e, (size_t)n * sizeof *e);
  return out;
}

static bool var_choices(drawset_reader *r, const drawset_var *v,
                        bool (*f)(void *, const char *, norn_datum), void *user)
{
  char address[600];
  int64_t idx[NORN_RANK_MAX] = { 0 }, count = 1;
  int holes = drawset_holes(v->choice);
  if (holes > v->rank) return bad_layout(r);
  for (int k = 0; k < holes; k++) count *= v->dims[k];
  for (int64_t c = 0; c < count; c++) {
    address_of(v->choice, idx, address, sizeof address);
    norn_datum column = column_of(r, v, c * inner_size(v, holes), holes);
    if (norn_is_none(column)) return false;
    if (column.tag != NORN_UNIT && !f(user, address, column)) return false;
    for (int k = holes; k-- > 0;) {
      if (++idx[k] < v->dims[k]) break;
      idx[k] = 0;
    }
  }
  return true;
}

bool drawset_choices(drawset_reader *r,
                     bool (*f)(void *user, const char *address, norn_datum column),
                     void *user)
{
  for (size_t k = 0; k < r->s->nvar; k++)
    if (r->s->var[k].choice && !var_choices(r, &r->s->var[k], f, user)) return false;
  return true;
}

/* ---- variables as JSON ---- */

bool drawset_is_utf8(const char *s, size_t n)
{
  uint32_t code;
  size_t at = 0;
  for (int k; at < n; at += (size_t)k)
    if ((k = utf8_next(s + at, n - at, &code)) == 0) return false;
  return true;
}

void drawset_json(text *t, const char *s)
{
  text_putc(t, '"');
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c < 32) text_printf(t, "\\u%04x", c);
    else {
      if (c == '"' || c == '\\') text_putc(t, '\\');
      text_putc(t, (char)c);
    }
  }
  text_putc(t, '"');
}

void drawset_describe(const drawset_var *v, text *t)
{
  text_puts(t, "{\"variable\": ");
  drawset_json(t, v->name);
  text_printf(t, ", \"kind\": \"%s\", \"dims\": [", drawset_kind_names[v->kind]);
  for (int k = 0; k < v->rank; k++) text_printf(t, k ? ", %lld" : "%lld", (long long)v->dims[k]);
  text_puts(t, "]");
  if (v->choice) { text_puts(t, ", \"choice\": "); drawset_json(t, v->choice); }
  if (v->value) { text_puts(t, ", \"value\": "); drawset_json(t, v->value); }
  if (v->ragged) text_puts(t, ", \"ragged\": true");
  text_puts(t, "}");
}

/* A field that is a string; NULL: it is not there. */
static const char *string_of(drawset *s, norn_datum r, const char *name)
{
  size_t n;
  const char *x = norn_string_view(norn_record_get(s->st, r, name), &n);
  return x && strlen(x) == n ? x : NULL;
}

/* The dims of a variable; false if they are no such numbers, or too many. */
static bool dims_of(drawset *s, norn_datum r, int64_t most, int *rank, int64_t *dims)
{
  norn_datum a = norn_record_get(s->st, r, "dims");
  int64_t n = norn_array_length(a), size = 1;
  bool empty = false;
  if (n < 0 || n > NORN_RANK_MAX) return false;
  *rank = (int)n;
  for (int k = 0; k < *rank; k++) {
    norn_datum d = norn_array_at(s->st, a, k);
    if (d.tag != NORN_INT || d.i < 0 || d.i > INT32_MAX) return false;
    dims[k] = d.i;
    if (d.i == 0) empty = true;
    else if ((size *= d.i) > (most < 1 << 20 ? 1 << 20 : most)) return false;
  }
  return empty || size <= most;
}

drawset_var *drawset_described(drawset *s, norn_datum r, int64_t most)
{
  const char *name = string_of(s, r, "variable"), *kind = string_of(s, r, "kind");
  const char *choice = string_of(s, r, "choice"), *value = string_of(s, r, "value");
  norn_datum ragged = norn_record_get(s->st, r, "ragged");
  int rank, k = 0;
  int64_t dims[NORN_RANK_MAX] = { 0 };
  while (kind && k < DRAWSET_KINDS && strcmp(drawset_kind_names[k], kind) != 0) k++;
  if (!name || !kind || k == DRAWSET_KINDS || strlen(name) > 500 ||
      (choice && strlen(choice) > 500) || (value && strlen(value) > 500) ||
      !dims_of(s, r, most, &rank, dims) || (!choice && !value && rank > 0) ||
      (choice && drawset_holes(choice) > rank))
    return norn_fail(s->st, NORN_EIO, -1, "this is no variable of draws"), NULL;
  drawset_var *v = drawset_add(s, name, choice, value, (drawset_kind)k, rank, dims);
  if (v) v->ragged = ragged.tag == NORN_BOOL && ragged.i;
  return v;
}
