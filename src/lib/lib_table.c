/* lib_table.c: the module `tables`: tables are records of columns, arrays of one length.

   Here stands what goes through all rows: choosing rows and columns, codes of labels, matching keys;
   the rest is in Norn (stdlib/tables.norn).  Keys are found by hash, as in group_by. */
#include "lib/lib.h"
#include <math.h>
#include <string.h>

enum { COLUMNS = 4096 };
typedef struct table {
  norn_state *st;
  norn_datum t;
  int m;
  int64_t rows;
} table;

/* Argument i as a table: its columns have one length. */
static bool want_table(norn_state *st, const norn_datum *args, int i, table *t)
{
  int m = norn_record_size(args[i]);
  *t = (table){ st, args[i], m, 0 };
  if (m < 0 || m > COLUMNS) {
    lib_wrong(st, args, i, "the table", "a record of columns");
    return false;
  }
  for (int c = 0; c < m; c++) {
    norn_datum v;
    char got[160];
    const char *name = norn_record_at(st, args[i], c, &v);
    int64_t n = norn_array_length(v);
    if (n < 0)
      norn_fail(st, NORN_ETYPE, i, "column \"%s\" of a table must be an array, got %s", name,
                norn_describe(st, v, got, sizeof got));
    else if (c && n != t->rows)
      norn_fail(st, NORN_ETYPE, i, "column \"%s\" of the table has %lld rows, the first has %lld",
                name, (long long)n, (long long)t->rows);
    if (n < 0 || (c && n != t->rows)) return false;
    t->rows = n;
  }
  return true;
}

static norn_datum column_at(const table *t, int c, const char **name)
{
  norn_datum v;
  *name = norn_record_at(t->st, t->t, c, &v);
  return v;
}

static int column_named(const table *t, const char *name)
{
  const char *s;
  for (int c = 0; c < t->m; c++) {
    column_at(t, c, &s);
    if (strcmp(s, name) == 0) return c;
  }
  return -1;
}

static norn_status no_column(const table *t, int arg, const char *name)
{
  nearest near;
  nearest_init(&near, name);
  for (int c = 0; c < t->m; c++) {
    const char *s;
    column_at(t, c, &s);
    nearest_try(&near, s);
  }
  norn_fail(t->st, NORN_EDOMAIN, arg, "the table has no column \"%s\"", name);
  if (nearest_found(&near)) norn_hint(t->st, "did you mean \"%s\"?", nearest_found(&near));
  return NORN_EDOMAIN;
}

/* Argument i, a name or an array of names, as places of columns; -1: error set. */
static int want_columns(const table *t, const norn_datum *args, int i, int *at)
{
  norn_view v;
  size_t len;
  norn_datum one = args[i];
  const norn_datum *names = &one;
  int64_t n = 1;
  if (!norn_string_view(one, &len)) {
    if (!norn_array_view(one, &v) || (v.n && v.elem != NORN_VALUES) || v.n > COLUMNS) {
      lib_wrong(t->st, args, i, "the columns", "a name or an array of names");
      return -1;
    }
    n = v.n;
    names = v.v;
  }
  for (int64_t k = 0; k < n; k++) {
    const char *s = norn_string_view(names[k], &len);
    if (!s) {
      lib_wrong(t->st, args, i, "the columns", "a name or an array of names");
      return -1;
    }
    if ((at[k] = column_named(t, s)) < 0) {
      no_column(t, i, s);
      return -1;
    }
  }
  return (int)n;
}

/* Room for m names and as many values, in arrays that nobody sees. */
static bool fields_new(norn_state *st, int m, const char ***names, norn_datum **values)
{
  norn_datum keep;
  *values = lib_values(st, m + 1, &keep);
  *names = *values ? (const char **)(void *)lib_ints(st, m + 1, &keep) : NULL;
  if (!*names) lib_failed(st);
  return *names != NULL;
}

/* ---- columns ---- */

static norn_status t_nrow(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  (void)n;
  if (!want_table(st, args, 0, &t)) return lib_failed(st);
  *out = norn_int(t.rows);
  return NORN_OK;
}

/* The columns in `at`, or all others. */
static norn_status choose(norn_state *st, const norn_datum *args, bool others, norn_datum *out)
{
  table t;
  norn_datum keep, *v;
  const char **names;
  if (!want_table(st, args, 0, &t)) return lib_failed(st);
  int *at = (int *)(void *)lib_ints(st, COLUMNS, &keep), count = 0;
  int m = at ? want_columns(&t, args, 1, at) : -1;
  if (m < 0 || !fields_new(st, t.m + m, &names, &v)) return lib_failed(st);
  for (int k = 0; !others && k < m; k++) {
    for (int j = 0; j < k; j++)
      if (at[j] == at[k])
        return norn_fail(st, NORN_EDOMAIN, 1, "column \"%s\" is named twice", names[j]);
    v[count] = column_at(&t, at[k], &names[count]);
    count++;
  }
  for (int c = 0; others && c < t.m; c++) {
    bool named = false;
    for (int k = 0; k < m; k++) named |= at[k] == c;
    if (named) continue;
    v[count] = column_at(&t, c, &names[count]);
    count++;
  }
  return lib_give(st, norn_record(st, count, names, v), out);
}

static norn_status t_select(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return choose(st, args, false, out);
}

static norn_status t_drop(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return choose(st, args, true, out);
}

static norn_status t_column(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  const char *s;
  size_t len;
  (void)n;
  if (!want_table(st, args, 0, &t) || !norn_want_string(st, args, 1, "the name", &s, &len))
    return lib_failed(st);
  int c = column_named(&t, s);
  if (c < 0) return no_column(&t, 1, s);
  *out = column_at(&t, c, &s);
  return NORN_OK;
}

/* ---- rows ---- */

static norn_status t_row(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_datum v[64], *values = v;
  const char *few[64], **names = few;
  int64_t i;
  int m = norn_record_size(args[0]);
  (void)n;
  if (m < 0) return lib_wrong(st, args, 0, "the table", "a record of columns");
  if (!norn_want_int(st, args, 1, "the number of the row", &i)) return lib_failed(st);
  if (m > 64 && !fields_new(st, m, &names, &values)) return lib_failed(st);
  for (int c = 0; c < m; c++) {
    norn_datum a;
    names[c] = norn_record_at(st, args[0], c, &a);
    int64_t rows = norn_array_length(a);
    if (rows < 0) return norn_fail(st, NORN_ETYPE, 0, "column \"%s\" is no array", names[c]);
    if (i < 0 || i >= rows)
      return norn_fail(st, NORN_EDOMAIN, 1, "row %lld is outside a table of %lld rows",
                       (long long)i, (long long)rows);
    values[c] = norn_array_at(st, a, i);
    if (norn_is_none(values[c])) return lib_failed(st);
  }
  return lib_give(st, norn_record(st, m, names, values), out);
}

/* Row ix[k] of a column for each k; -1 gives missing. */
static norn_datum gathered(norn_state *st, norn_datum column, const int64_t *ix, int64_t n)
{
  norn_view v;
  norn_datum a, *to;
  bool holes = false;
  norn_array_view(column, &v);
  for (int64_t k = 0; k < n && !holes; k++) holes = ix[k] < 0;
  if (!holes) return lib_gather(st, &v, ix, n);
  if (!(to = lib_values(st, n, &a))) return norn_none();
  for (int64_t k = 0; k < n; k++) {
    if (ix[k] < 0) continue;
    to[k] = norn_array_at(st, column, ix[k]);
    if (norn_is_none(to[k])) return to[k];
  }
  return a;
}

static norn_status pick_rows(const table *t, const int64_t *ix, int64_t n, norn_datum *out)
{
  norn_datum *v;
  const char **names;
  if (!fields_new(t->st, t->m, &names, &v)) return lib_failed(t->st);
  for (int c = 0; c < t->m; c++) {
    v[c] = gathered(t->st, column_at(t, c, &names[c]), ix, n);
    if (norn_is_none(v[c])) return lib_failed(t->st);
  }
  return lib_give(t->st, norn_record(t->st, t->m, names, v), out);
}

static norn_status t_pick(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  norn_view v;
  bool holes = false;
  if (!want_table(st, args, 0, &t) || !norn_want_array(st, args, 1, "the rows", &v) ||
      (n > 2 && !lib_want_bool(st, args, 2, "holes", &holes)))
    return lib_failed(st);
  if (v.n && (v.elem != NORN_I64 || v.rank != 1))
    return lib_wrong(st, args, 1, "the rows", "an array of integers");
  for (int64_t k = 0; k < v.n; k++)
    if (v.i[k] >= t.rows || (v.i[k] < 0 && !(holes && v.i[k] == -1)))
      return norn_fail(st, NORN_EDOMAIN, 1, "row %lld is outside a table of %lld rows",
                       (long long)v.i[k], (long long)t.rows);
  return pick_rows(&t, v.i, v.n, out);
}

static norn_status t_keep(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  norn_view v;
  norn_datum keep;
  int64_t count = 0;
  (void)n;
  if (!want_table(st, args, 0, &t) || !norn_want_array(st, args, 1, "the choice of rows", &v))
    return lib_failed(st);
  if (v.n && (v.elem != NORN_B8 || v.rank != 1))
    return lib_wrong(st, args, 1, "the choice of rows", "an array of booleans");
  if (v.n != t.rows)
    return norn_fail(st, NORN_ETYPE, 1, "the choice has %lld booleans for a table of %lld rows",
                     (long long)v.n, (long long)t.rows);
  int64_t *ix = lib_ints(st, v.n, &keep);
  if (!ix) return lib_failed(st);
  for (int64_t k = 0; k < v.n; k++)
    if (v.b[k]) ix[count++] = k;
  return pick_rows(&t, ix, count, out);
}

/* Which rows have no missing value, nor nan among reals. */
static norn_status t_complete(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  norn_datum keep;
  int64_t count = 0;
  (void)n;
  if (!want_table(st, args, 0, &t)) return lib_failed(st);
  int64_t *ix = lib_ints(st, t.rows, &keep);
  if (!ix) return lib_failed(st);
  memset(ix, 0, (size_t)t.rows * sizeof *ix);
  for (int c = 0; c < t.m; c++) {
    norn_view v;
    const char *name;
    norn_array_view(column_at(&t, c, &name), &v);
    for (int64_t k = 0; k < v.n; k++) {
      bool gone = v.elem == NORN_F64 ? isnan(v.f[k])
                                     : v.elem == NORN_VALUES && v.v[k].tag == NORN_MISSING;
      if (gone) ix[k / lib_row(&v)] = 1;
    }
  }
  for (int64_t k = 0; k < t.rows; k++)
    if (!ix[k]) ix[count++] = k;
  return pick_rows(&t, ix, count, out);
}

/* ---- labels ---- */

/* Different values in their order, without missing ones; -1: error set. */
static int64_t levels_of(norn_state *st, norn_datum xs, norn_datum *out, norn_datum **values)
{
  lib_groups g;
  norn_datum keep, *v;
  int64_t n = 0;
  if (!lib_group(st, xs, &g) || !(v = lib_values(st, g.kinds, &keep)) ||
      !(*values = lib_values(st, g.kinds, out)))
    return -1;
  for (int64_t k = 0; k < g.kinds; k++) {
    v[n] = norn_array_at(st, xs, g.first[k]);
    n += v[n].tag != NORN_MISSING;
  }
  int64_t *ix = lib_value_order(st, v, n);
  if (!ix) return -1;
  for (int64_t k = 0; k < n; k++) (*values)[k] = v[ix[k]];
  return n;
}

static norn_status t_levels(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  norn_datum *values, all;
  (void)n;
  if (!norn_want_array(st, args, 0, "the labels", &v)) return lib_failed(st);
  int64_t m = levels_of(st, args[0], &all, &values);
  return m < 0 ? lib_failed(st) : lib_give(st, norn_array_pack(st, values, m), out);
}

static norn_status no_level(norn_state *st, norn_datum x, const norn_datum *levels, int64_t m)
{
  char was[160];
  nearest near;
  size_t len;
  const char *s = norn_string_view(x, &len);
  if (!s)
    return norn_fail(st, NORN_EDOMAIN, 0, "%s is none of the levels",
                     norn_describe(st, x, was, sizeof was));
  nearest_init(&near, s);
  for (int64_t k = 0; k < m; k++)
    if (norn_string_view(levels[k], &len)) nearest_try(&near, norn_string_view(levels[k], &len));
  norn_fail(st, NORN_EDOMAIN, 0, "\"%s\" is none of the levels", s);
  if (nearest_found(&near)) norn_hint(st, "did you mean \"%s\"?", nearest_found(&near));
  return NORN_EDOMAIN;
}

/* The place of each of xs[0..n) among the m levels, by grouping both together; missing stays. */
static norn_status codes_of(norn_state *st, norn_datum xs, const norn_datum *levels, int64_t m,
                            norn_datum *out)
{
  int64_t n = norn_array_length(xs);
  norn_datum both, *v = lib_values(st, m + n, &both), codes, holed = norn_none(), *h = NULL;
  lib_groups g;
  int64_t *code = v ? lib_ints(st, n, &codes) : NULL;
  if (!code) return lib_failed(st);
  for (int64_t k = 0; k < m; k++) v[k] = levels[k];
  for (int64_t k = 0; k < n; k++) v[m + k] = norn_array_at(st, xs, k);
  if (!lib_group(st, both, &g)) return lib_failed(st);
  for (int64_t k = 0; k < m; k++)
    if (g.kind[k] != k) return norn_fail(st, NORN_EDOMAIN, 1, "a level stands twice");
  for (int64_t k = 0; k < n; k++) {
    bool gone = v[m + k].tag == NORN_MISSING;
    if (gone && !h && !(h = lib_values(st, n, &holed))) return lib_failed(st);
    if (!gone && g.kind[m + k] >= m) return no_level(st, v[m + k], levels, m);
    code[k] = gone ? -1 : g.kind[m + k];
  }
  for (int64_t k = 0; h && k < n; k++)
    if (code[k] >= 0) h[k] = norn_int(code[k]);
  *out = h ? holed : codes;
  return NORN_OK;
}

static norn_status t_codes(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  norn_datum all, *levels;
  if (!norn_want_array(st, args, 0, "the labels", &v)) return lib_failed(st);
  if (!lib_given(args, 1, n)) {
    int64_t m = levels_of(st, args[0], &all, &levels);
    return m < 0 ? lib_failed(st) : codes_of(st, args[0], levels, m, out);
  }
  if (!norn_want_array(st, args, 1, "the levels", &v)) return lib_failed(st);
  if (!(levels = lib_values(st, v.dims[0], &all))) return lib_failed(st);
  for (int64_t k = 0; k < v.dims[0]; k++) levels[k] = norn_array_at(st, args[1], k);
  return codes_of(st, args[0], levels, v.dims[0], out);
}

/* ---- keys ---- */

/* One key a row out of several columns: the numbers of groups of the first with those of the second
   and so on, which stay below n^2. */
static bool keys_of(const table *t, const int *at, int m, lib_groups *g)
{
  const char *name;
  norn_datum both;
  if (!lib_group(t->st, column_at(t, at[0], &name), g)) return false;
  for (int k = 1; k < m; k++) {
    lib_groups next;
    if (!lib_group(t->st, column_at(t, at[k], &name), &next)) return false;
    int64_t *code = lib_ints(t->st, t->rows, &both);
    if (!code) return false;
    for (int64_t i = 0; i < t->rows; i++) code[i] = g->kind[i] * next.kinds + next.kind[i];
    if (!lib_group(t->st, both, g)) return false;
  }
  return true;
}

/* The rows of each group, by its first appearance. */
static norn_status t_groups(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  lib_groups g;
  norn_datum keep, *groups, a;
  (void)n;
  if (!want_table(st, args, 0, &t)) return lib_failed(st);
  int *at = (int *)(void *)lib_ints(st, COLUMNS, &keep);
  int m = at ? want_columns(&t, args, 1, at) : -1;
  if (m < 0) return lib_failed(st);
  if (m == 0) return norn_fail(st, NORN_EDOMAIN, 1, "no column is named");
  if (!keys_of(&t, at, m, &g)) return lib_failed(st);
  int64_t *size = lib_ints(st, g.kinds, &keep);
  int64_t **to = (int64_t **)(void *)lib_ints(st, g.kinds, &keep);
  if (!size || !to || !(groups = lib_values(st, g.kinds, &a))) return lib_failed(st);
  memset(size, 0, (size_t)g.kinds * sizeof *size);
  for (int64_t i = 0; i < g.n; i++) size[g.kind[i]]++;
  for (int64_t k = 0; k < g.kinds; k++)
    if (!(to[k] = lib_ints(st, size[k], &groups[k]))) return lib_failed(st);
  for (int64_t i = 0; i < g.n; i++) *to[g.kind[i]]++ = i;
  *out = a;
  return NORN_OK;
}

/* Pairs of rows with equal keys: for each row of a those of b in order, -1 where there are none and
   `left` asks for it.  The keys of both are grouped together; b's rows are chained by key. */
static norn_status match_keys(norn_state *st, const lib_groups *g, int64_t na, bool left,
                              norn_datum *out)
{
  static const char *const names[] = { "a", "b" };
  norn_datum keep, v[2];
  int64_t nb = g->n - na, count = 0;
  int64_t *head = lib_ints(st, g->kinds, &keep), *next = head ? lib_ints(st, nb, &keep) : NULL;
  if (!next) return lib_failed(st);
  for (int64_t k = 0; k < g->kinds; k++) head[k] = -1;
  for (int64_t i = nb; i-- > 0;) {
    next[i] = head[g->kind[na + i]];
    head[g->kind[na + i]] = i;
  }
  for (int pass = 0; pass < 2; pass++) {
    int64_t *a = pass ? lib_ints(st, count, &v[0]) : NULL, at = 0;
    int64_t *b = pass ? lib_ints(st, count, &v[1]) : NULL;
    if (pass && (!a || !b)) return lib_failed(st);
    for (int64_t i = 0; i < na; i++) {
      int64_t j = head[g->kind[i]];
      if (j < 0 && left) {
        if (pass) a[at] = i, b[at] = -1;
        at++;
      }
      for (; j >= 0; j = next[j], at++)
        if (pass) a[at] = i, b[at] = j;
    }
    count = at;
  }
  return lib_give(st, norn_record(st, 2, names, v), out);
}

static norn_status t_match(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table a, b;
  table both = { .st = st };
  lib_groups g;
  norn_datum keep, *v;
  const char **names;
  bool left;
  (void)n;
  if (!want_table(st, args, 0, &a) || !want_table(st, args, 1, &b) ||
      !lib_want_bool(st, args, 3, "left", &left))
    return lib_failed(st);
  int *at = (int *)(void *)lib_ints(st, COLUMNS, &keep), *bt = at + COLUMNS;
  int m = at ? want_columns(&a, args, 2, at) : -1;
  if (m < 0 || m > COLUMNS / 2 || want_columns(&b, args, 2, bt) < 0) return lib_failed(st);
  if (m == 0) return norn_fail(st, NORN_EDOMAIN, 2, "no column is named");
  if (!fields_new(st, m, &names, &v)) return lib_failed(st);
  for (int k = 0; k < m; k++) {
    norn_datum x = column_at(&a, at[k], &names[k]), y = column_at(&b, bt[k], &names[k]);
    norn_datum *to = lib_values(st, a.rows + b.rows, &v[k]);
    if (!to) return lib_failed(st);
    for (int64_t i = 0; i < a.rows; i++) to[i] = norn_array_at(st, x, i);
    for (int64_t i = 0; i < b.rows; i++) to[a.rows + i] = norn_array_at(st, y, i);
    at[k] = k;
  }
  both.m = m;
  both.rows = a.rows + b.rows;
  both.t = norn_record(st, m, names, v);
  if (norn_is_none(both.t) || !keys_of(&both, at, m, &g)) return lib_failed(st);
  return match_keys(st, &g, a.rows, left, out);
}

#define FN(name, params, fn, doc, example, value)                                                  \
  { name, params, doc "\nExample: " example "\n=> " value, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("nrow", "t", t_nrow,
     "The number of rows of a table, a record of columns; an error if their lengths differ.",
     "tables.nrow({x: [1, 2], y: [\"a\", \"b\"]})", "2"),
  FN("select", "t, names", t_select, "The columns of these names, in this order.",
     "tables.select({x: [1], y: [2], z: [3]}, [\"z\", \"x\"])", "{z: [3], x: [1]}"),
  FN("drop", "t, names", t_drop, "The table without the columns of these names.",
     "tables.drop({x: [1], y: [2], z: [3]}, \"y\")", "{x: [1], z: [3]}"),
  FN("column", "t, name", t_column, "The column of that name.",
     "tables.column({x: [1, 2]}, \"x\")", "[1, 2]"),
  FN("row", "t, i", t_row, "Row i as a record.", "tables.row({x: [1, 2], y: [\"a\", \"b\"]}, 1)",
     "{x: 2, y: \"b\"}"),
  FN("pick", "t, rows, holes = false", t_pick,
     "The rows with these numbers, in this order; with holes = true, row -1 is all missing.",
     "tables.pick({x: [10, 20, 30]}, [2, 0])", "{x: [30, 10]}"),
  FN("keep", "t, choice", t_keep, "The rows for which an array of booleans is true.",
     "tables.keep({x: [10, 20, 30]}, [true, false, true])", "{x: [10, 30]}"),
  FN("complete", "t", t_complete, "The rows without missing values (nor nan).",
     "tables.complete({x: [1, missing, 3], y: [\"a\", \"b\", \"c\"]})",
     "{x: [1, 3], y: [\"a\", \"c\"]}"),
  FN("levels", "xs", t_levels, "The different values of an array in their order, without missing.",
     "tables.levels([\"b\", \"a\", missing, \"b\"])", "[\"a\", \"b\"]"),
  FN("codes", "xs, levels = missing", t_codes,
     "For each label its place among the levels, from 0: what models index by.\n"
     "A missing label stays missing.",
     "tables.codes([\"b\", \"a\", \"b\"])", "[1, 0, 1]"),
  FN("_groups", "t, names", t_groups, "The rows of each group of equal keys, by first appearance.",
     "tables._groups({x: [1, 2, 1]}, \"x\")", "[[0, 2], [1]]"),
  FN("_match", "a, b, names, left", t_match, "Pairs of rows with equal keys.",
     "tables._match({x: [1, 2]}, {x: [2, 2]}, \"x\", false)", "{a: [1, 1], b: [0, 1]}"),
};

norn_status lib_table_open(norn_state *st)
{
  return norn_add_natives(st, "tables", natives, NORN_COUNT(natives));
}
