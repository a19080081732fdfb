/* csv.c: the door of libcsv.

   Reading: libcsv splits the text into cells, which go one after the other, 0-terminated, into one
   buffer; then each column is read as the narrowest kind that all its cells have: integers, reals,
   booleans, strings; or as the kind that was asked for.  A cell "" in quotes is kept as two zeros:
   in a column of strings it is the empty string, not a missing one.

       cells  "x\0y\0" "1\0" "2.5\0" "3\0" "NA\0"       at: where each begins, row by row
 */
#include "io/csv.h"
#include "base/number.h"
#include <csv.h>
#include <math.h>
#include <string.h>
#include <strings.h>

typedef struct table {
  norn_state *st;
  const char *name, *src;
  size_t n;                          /* of src */
  const csv_options *how;
  char sep;
  mem m;
  char *cells; size_t size, used;
  size_t *at, cat, nat;              /* nat cells; at[nat] is `used` */
  size_t row_start;                  /* cells before the row that is being read */
  size_t columns, rows;              /* rows with the header */
  size_t bad_row, bad_count;         /* the first row of another width, from 1 */
  bool no_memory;
} table;

/* ---- cells and rows: libcsv's callbacks ---- */

static void on_cell(void *s, size_t n, void *user)
{
  table *t = user;
  if (t->bad_row || t->no_memory) return;
  if (t->nat + 2 > t->cat && !mem_grow(&t->m, &t->at, &t->cat, t->nat + 2, sizeof *t->at))
    t->no_memory = true;
  bool quoted_empty = s && n == 0;
  n += quoted_empty;
  if (t->no_memory || n + 1 > t->size - t->used) {
    t->no_memory = true;
    return;
  }
  t->at[t->nat++] = t->used;
  if (quoted_empty) t->cells[t->used] = 0;
  else if (n) memcpy(t->cells + t->used, s, n);
  t->used += n + 1;
  t->cells[t->used - 1] = 0;
}

static void on_row(int end, void *user)
{
  table *t = user;
  (void)end;
  if (t->bad_row || t->no_memory) return;
  size_t count = t->nat - t->row_start;
  t->rows++;
  if (t->rows == 1) t->columns = count;
  if (count != t->columns) {
    t->bad_row = t->rows;
    t->bad_count = count;
  }
  t->row_start = t->nat;
}

/* ---- places, for errors ---- */

static void place(const table *t, size_t at, int *line, int *column)
{
  *line = *column = 1;
  for (size_t k = 0; k < at && k < t->n; k++) {
    unsigned char c = (unsigned char)t->src[k];
    if (c == '\n') ++*line, *column = 1;
    else if ((c & 0xc0) != 0x80) ++*column;
  }
}

/* Where the row-th row begins: rows that libcsv counts are those that are not blank. */
static size_t row_place(const table *t, size_t row)
{
  bool quoted = false, blank = true;
  size_t start = 0;
  for (size_t k = 0; k < t->n; k++) {
    char c = t->src[k];
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '\n' || c == '\r')) {
      if (!blank && --row == 0) return start;
      blank = true;
      start = k + 1;
    } else if (c == t->sep || (c != ' ' && c != '\t')) {
      blank = false;
    }
  }
  return start;
}

static norn_status at_place(const table *t, size_t at, const char *sentence)
{
  int line, column;
  place(t, at, &line, &column);
  return norn_fail(t->st, NORN_EIO, 0, "%s:%d:%d: %s", t->name, line, column, sentence);
}

static norn_status no_memory(norn_state *st)
{
  return norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
}

static norn_status check_text(const table *t)
{
  for (size_t k = 0; k < t->n;) {
    unsigned char c = (unsigned char)t->src[k];
    uint32_t code;
    int len = c > 0 && c < 0x80 ? 1 : c ? utf8_next(t->src + k, t->n - k, &code) : 0;
    if (!len) return at_place(t, k, c ? "this is not UTF-8 text" : "a zero byte: this is not text");
    k += (size_t)len;
  }
  return NORN_OK;
}

/* The separator of the first row that is not blank; a comma if it has none. */
static char sniff(const table *t)
{
  static const char candidates[] = { ',', ';', '\t', '|' };
  size_t count[NORN_COUNT(candidates)] = { 0 };
  bool quoted = false, blank = true;
  int best = 0;
  for (size_t k = 0; k < t->n; k++) {
    char c = t->src[k];
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '\n' || c == '\r') && !blank) break;
    blank = blank && strchr(" \t\r\n", c);
    for (int i = 0; i < NORN_COUNT(candidates); i++) count[i] += !quoted && c == candidates[i];
  }
  if (t->how->decimal == ',') count[0] = 0;
  for (int i = 1; i < NORN_COUNT(candidates); i++)
    if (count[i] > count[best]) best = i;
  return candidates[count[best] || t->how->decimal != ',' ? best : 1];
}

static norn_status split(table *t)
{
  struct csv_parser p;
  if (csv_init(&p, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL)) return no_memory(t->st);
  csv_set_delim(&p, (unsigned char)t->sep);
  size_t done = csv_parse(&p, t->src, t->n, on_cell, on_row, t);
  int err = done < t->n ? csv_error(&p) : csv_fini(&p, on_cell, on_row, t) ? csv_error(&p) : 0;
  csv_free(&p);
  if (err == CSV_EPARSE)
    return at_place(t, done < t->n ? done : t->n,
                    done < t->n ? "a quote inside a cell that does not begin with one"
                                : "the last quoted cell has no end");
  if (err || t->no_memory) return no_memory(t->st);
  if (!t->bad_row) return NORN_OK;
  int line, column;
  place(t, row_place(t, t->bad_row), &line, &column);
  return norn_fail(t->st, NORN_EIO, 0, "%s:%d: wrong number of columns: expected %zu, got %zu",
                   t->name, line, t->columns, t->bad_count);
}

/* ---- columns ---- */

static const char *cell(const table *t, size_t row, size_t column, size_t *n)
{
  size_t k = row * t->columns + column;
  *n = t->at[k + 1] - t->at[k] - 1;
  const char *s = t->cells + t->at[k];
  *n -= *n == 1 && !*s;
  return s;
}

static bool is_quoted_empty(const table *t, size_t row, size_t column)
{
  size_t k = row * t->columns + column;
  return t->at[k + 1] - t->at[k] == 2 && !t->cells[t->at[k]];
}

static bool is_na(const table *t, const char *s, size_t n)
{
  if (n == 0) return true;
  if (t->how->nan)
    return (n == 2 && memcmp(s, "NA", 2) == 0) || (n == 3 && strncasecmp(s, "nan", 3) == 0);
  for (int i = 0; i < t->how->nna; i++)
    if (strcmp(s, t->how->na[i]) == 0) return true;
  return false;
}

/* A real with the file's decimal sign. */
static bool is_real(const table *t, const char *s, size_t n, double *x)
{
  char point[64];
  if (t->how->decimal != ',') return number_real(s, n, x);
  if (n >= sizeof point || memchr(s, '.', n)) return false;
  memcpy(point, s, n + 1);
  char *comma = memchr(point, ',', n);
  if (comma) *comma = '.';
  return number_real(point, n, x);
}

static bool is_truth(const char *s, size_t n, bool *b)
{
  *b = n == 4;
  return (n == 4 && strcasecmp(s, "true") == 0) || (n == 5 && strcasecmp(s, "false") == 0);
}

typedef enum { CELL_INT, CELL_REAL, CELL_BOOL, CELL_TEXT } cell_kind;
typedef union word { int64_t i; double d; } word;

/* One column read: words of numbers and truths, and which cells are missing. */
typedef struct column {
  cell_kind kind;
  word *w;
  uint8_t *na;
  size_t rows, missing, stuck;       /* stuck: the first row that the kind asked for does not fit */
} column;

/* Numbers into words, integers unless `reals`: false at the first cell that is none. */
static bool read_numbers(const table *t, size_t first, size_t c, bool reals, column *col)
{
  col->kind = reals ? CELL_REAL : CELL_INT;
  col->missing = 0;
  for (size_t r = 0; r < col->rows; r++) {
    size_t n;
    const char *s = cell(t, first + r, c, &n);
    col->na[r] = is_na(t, s, n);
    col->missing += col->na[r];
    if (col->na[r]) continue;
    if (col->kind == CELL_INT && number_int(s, n, &col->w[r].i)) continue;
    double x;
    if (!is_real(t, s, n, &x)) {
      col->stuck = r;
      return false;
    }
    if (col->kind == CELL_INT)
      for (size_t k = 0; k < r; k++)
        if (!col->na[k]) col->w[k].d = (double)col->w[k].i;
    col->kind = CELL_REAL;
    col->w[r].d = x;
  }
  return true;
}

/* Truths into words, if `digits` also from 0 and 1: false at the first cell that is none. */
static bool read_truths(const table *t, size_t first, size_t c, bool digits, column *col)
{
  col->kind = CELL_BOOL;
  col->missing = 0;
  for (size_t r = 0; r < col->rows; r++) {
    size_t n;
    bool b = false;
    const char *s = cell(t, first + r, c, &n);
    col->na[r] = is_na(t, s, n);
    col->missing += col->na[r];
    bool digit = digits && n == 1 && (*s == '0' || *s == '1');
    if (digit) b = *s == '1';
    else if (!col->na[r] && !is_truth(s, n, &b)) {
      col->stuck = r;
      return false;
    }
    col->w[r].i = b;
  }
  return true;
}

static void read_texts(const table *t, size_t first, size_t c, column *col)
{
  col->kind = CELL_TEXT;
  col->missing = 0;
  for (size_t r = 0; r < col->rows; r++) {
    size_t n;
    const char *s = cell(t, first + r, c, &n);
    col->na[r] = is_na(t, s, n) && !is_quoted_empty(t, first + r, c);
    col->missing += col->na[r];
  }
}

/* What was asked for a column: 0 nothing, else the place of its word among the kinds. */
static norn_status declared(const table *t, const char *name, int *kind)
{
  static const char *const words[] = { "", "int", "real", "bool", "string" };
  size_t n;
  *kind = 0;
  if (norn_is_none(t->how->types)) return NORN_OK;
  norn_datum v = norn_record_get(t->st, t->how->types, name);
  if (norn_is_none(v)) return NORN_OK;
  const char *s = norn_string_view(v, &n);
  for (int k = 1; s && k < NORN_COUNT(words); k++)
    if (strcmp(s, words[k]) == 0) *kind = k;
  if (*kind) return NORN_OK;
  norn_fail(t->st, NORN_EDOMAIN, t->how->types_arg, "the type of column \"%s\" is unknown%s%s",
            name, s ? ": " : "", s ? s : "");
  norn_hint(t->st, "\"int\", \"real\", \"bool\" or \"string\"");
  return NORN_EDOMAIN;
}

static norn_status read_column(const table *t, size_t first, size_t c, const char *name,
                               column *col)
{
  static const char *const wanted[] = { "", "an integer", "a real", "true or false" };
  int kind, line, unused;
  size_t n;
  bool fits = false;
  norn_status code = declared(t, name, &kind);
  if (code) return code;
  if (kind <= 2) fits = read_numbers(t, first, c, kind == 2, col);
  if (kind == 1 && fits && col->kind == CELL_REAL) {
    for (col->stuck = 0; col->stuck < col->rows; col->stuck++) {
      int64_t i;
      const char *s = cell(t, first + col->stuck, c, &n);
      if (!col->na[col->stuck] && !number_int(s, n, &i)) break;
    }
    fits = false;
  }
  if (!fits && (kind == 0 || kind == 3)) fits = read_truths(t, first, c, kind == 3, col);
  if (!fits && (kind == 0 || kind == 4)) {
    read_texts(t, first, c, col);
    fits = true;
  }
  if (fits) return NORN_OK;
  place(t, row_place(t, first + col->stuck + 1), &line, &unused);
  return norn_fail(t->st, NORN_EIO, 0, "%s:%d: column \"%s\" should hold %s, but has \"%.40s\"",
                   t->name, line, name, wanted[kind], cell(t, first + col->stuck, c, &n));
}

/* Strings that were just made, to make equal ones once: columns of labels are the usual case. */
typedef struct recent { const char *s[256]; norn_datum v[256]; } recent;

static norn_datum string_of(norn_state *st, recent *seen, const char *s, size_t n)
{
  unsigned h = (unsigned)hash_bytes(s, n, 0) & 255;
  if (seen->s[h] && strcmp(seen->s[h], s) == 0) return seen->v[h];
  seen->s[h] = s;
  return seen->v[h] = norn_string(st, s, n);
}

static norn_datum column_values(const table *t, size_t first, size_t c, const column *col)
{
  int64_t n = (int64_t)col->rows;
  recent seen = { .s = { NULL } };
  void *p = NULL;
  norn_datum a = norn_array(t->st, NORN_VALUES, 1, &n, &p), *v = p;
  for (size_t r = 0; !norn_is_none(a) && r < col->rows; r++) {
    size_t len;
    const char *s = cell(t, first + r, c, &len);
    if (col->na[r]) v[r] = norn_missing();
    else if (col->kind == CELL_INT) v[r] = norn_int(col->w[r].i);
    else if (col->kind == CELL_REAL) v[r] = norn_real(col->w[r].d);
    else if (col->kind == CELL_BOOL) v[r] = norn_bool(col->w[r].i != 0);
    else v[r] = string_of(t->st, &seen, s, len);
    if (norn_is_none(v[r])) return v[r];
  }
  return a;
}

static norn_datum column_array(const table *t, size_t first, size_t c, const column *col)
{
  int64_t n = (int64_t)col->rows;
  bool numeric = col->kind == CELL_INT || col->kind == CELL_REAL,
       fill = col->missing && numeric && t->how->nan;
  void *p = NULL;
  if (col->kind == CELL_TEXT || (col->missing && !fill)) return column_values(t, first, c, col);
  norn_elem e = col->kind == CELL_BOOL           ? NORN_B8
                : fill || col->kind == CELL_REAL ? NORN_F64
                                                 : NORN_I64;
  norn_datum a = norn_array(t->st, e, 1, &n, &p);
  for (size_t r = 0; p && r < col->rows; r++) {
    if (e == NORN_I64) ((int64_t *)p)[r] = col->w[r].i;
    else if (e == NORN_B8) ((uint8_t *)p)[r] = col->w[r].i != 0;
    else
      ((double *)p)[r] = col->na[r]               ? (double)NAN
                         : col->kind == CELL_REAL ? col->w[r].d
                                                  : (double)col->w[r].i;
  }
  return a;
}

/* ---- the record ---- */

/* A type for a column that is not there is a mistake. */
static norn_status check_types(const table *t, const char *const *names)
{
  int m = norn_is_none(t->how->types) ? 0 : norn_record_size(t->how->types);
  for (int k = 0; k < m; k++) {
    norn_datum v;
    const char *name = norn_record_at(t->st, t->how->types, k, &v);
    nearest near;
    nearest_init(&near, name);
    bool known = false;
    for (size_t c = 0; c < t->columns && !known; c++) {
      known = strcmp(names[c], name) == 0;
      nearest_try(&near, names[c]);
    }
    if (known) continue;
    norn_fail(t->st, NORN_EDOMAIN, t->how->types_arg, "%s has no column \"%s\"", t->name, name);
    if (nearest_found(&near)) norn_hint(t->st, "did you mean \"%s\"?", nearest_found(&near));
    return NORN_EDOMAIN;
  }
  return NORN_OK;
}

static norn_status column_names(const table *t, arena *a, const char **names)
{
  for (size_t c = 0; c < t->columns; c++) {
    size_t n = 0;
    names[c] = t->how->header ? cell(t, 0, c, &n) : NULL;
    if (n == 0) names[c] = arena_printf(a, "column%zu", c + 1);
    if (!names[c]) return no_memory(t->st);
    for (size_t k = 0; k < c; k++)
      if (strcmp(names[k], names[c]) == 0)
        return norn_fail(t->st, NORN_EIO, 0, "%s:1: two columns have the name \"%s\"", t->name,
                         names[c]);
  }
  return NORN_OK;
}

static norn_status columns_read(table *t, arena *a, norn_datum *out)
{
  size_t first = t->how->header && t->rows ? 1 : 0;
  column col = { .rows = t->rows - first };
  const char **names = arena_get(a, (t->columns + 1) * sizeof *names);
  norn_datum *v = arena_get(a, (t->columns + 1) * sizeof *v);
  col.w = mem_get(&t->m, (col.rows + 1) * sizeof *col.w);
  col.na = mem_get(&t->m, col.rows + 1);
  norn_status code = names && v && col.w && col.na ? column_names(t, a, names) : no_memory(t->st);
  if (!code) code = check_types(t, names);
  for (size_t c = 0; c < t->columns && !code; c++) {
    code = read_column(t, first, c, names[c], &col);
    if (code) break;
    v[c] = column_array(t, first, c, &col);
    if (norn_is_none(v[c])) code = no_memory(t->st);
  }
  if (!code) {
    *out = norn_record(t->st, (int)t->columns, names, v);
    if (norn_is_none(*out)) code = no_memory(t->st);
  }
  mem_put(&t->m, col.w, (col.rows + 1) * sizeof *col.w);
  mem_put(&t->m, col.na, col.rows + 1);
  return code;
}

static void *alloc_hook(void *user, void *p, size_t old, size_t n)
{
  return norn_alloc(user, p, old, n);
}

norn_status csv_table_read(norn_state *st, const char *name, const char *s, size_t n,
                           const csv_options *how, norn_datum *out)
{
  if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) s += 3, n -= 3;
  table t = { .st = st, .name = name, .src = s, .n = n, .how = how, .size = n + 2 };
  arena a;
  mem_init(&t.m);
  t.m.alloc = alloc_hook;
  t.m.user = st;
  arena_init(&a, &t.m);
  t.cells = mem_get(&t.m, t.size);   /* a cell takes no more than its text and one separator */
  norn_status code = t.cells && mem_grow(&t.m, &t.at, &t.cat, 2, sizeof *t.at) ? check_text(&t)
                                                                               : no_memory(st);
  t.sep = how->sep ? how->sep : sniff(&t);
  if (!code) code = split(&t);
  if (!code && t.rows == 0) code = norn_fail(st, NORN_EIO, 0, "%s: the file is empty", name);
  if (!code) {
    t.at[t.nat] = t.used;
    code = columns_read(&t, &a, out);
  }
  arena_free(&a);
  mem_put(&t.m, t.at, t.cat * sizeof *t.at);
  mem_put(&t.m, t.cells, t.size);
  return code;
}

/* ---- writing ---- */

static void put_text(text *out, const csv_options *how, const char *s, size_t n)
{
  char special[] = { '"', '\n', '\r', how->sep, 0 };
  bool edge = n > 0 && (s[0] == ' ' || s[n - 1] == ' ' || s[0] == '\t' || s[n - 1] == '\t');
  if (n && !edge && strcspn(s, special) == n) {
    text_put(out, s, n);
    return;
  }
  text_putc(out, '"');
  for (size_t k = 0; k < n; k++) {
    if (s[k] == '"') text_putc(out, '"');
    text_putc(out, s[k]);
  }
  text_putc(out, '"');
}

static norn_status put_cell(norn_state *st, text *out, const csv_options *how, const char *name,
                            norn_datum v)
{
  size_t n;
  char got[160];
  const char *s = norn_string_view(v, &n);
  if (s && n && strcmp(s, how->na[0]) == 0) {
    norn_fail(st, NORN_EDOMAIN, 0, "column \"%s\" has the text \"%s\", which stands for missing",
              name, s);
    norn_hint(st, "choose another: na = \"...\"");
    return NORN_EDOMAIN;
  }
  if (s) put_text(out, how, s, n);
  else if (v.tag == NORN_INT) text_printf(out, "%lld", (long long)v.i);
  else if (v.tag == NORN_REAL) text_real(out, v.d);
  else if (v.tag == NORN_BOOL) text_puts(out, v.i ? "true" : "false");
  else if (v.tag == NORN_MISSING) text_puts(out, how->na[0]);
  else
    return norn_fail(st, NORN_ETYPE, 0, "column \"%s\" of a CSV file can't hold %s", name,
                     norn_describe(st, v, got, sizeof got));
  return NORN_OK;
}

/* Checks the columns; their common length in *rows. */
static norn_status check_columns(norn_state *st, norn_datum columns, int m, int64_t *rows)
{
  for (int c = 0; c < m; c++) {
    norn_datum v;
    const char *name = norn_record_at(st, columns, c, &v);
    int64_t n = norn_array_length(v);
    if (n < 0) return norn_fail(st, NORN_ETYPE, 0, "column \"%s\" must be an array", name);
    if (c == 0) *rows = n;
    if (n != *rows)
      return norn_fail(st, NORN_ETYPE, 0, "column \"%s\" has %lld rows, the first has %lld", name,
                       (long long)n, (long long)*rows);
  }
  return NORN_OK;
}

norn_status csv_table_write(norn_state *st, norn_datum columns, const csv_options *how, text *out)
{
  int m = norn_record_size(columns);
  int64_t rows = 0;
  if (m <= 0) return norn_fail(st, NORN_ETYPE, 0, "a record of columns is needed");
  norn_status code = check_columns(st, columns, m, &rows);
  for (int64_t r = -1; r < rows && !code; r++) {
    for (int c = 0; c < m && !code; c++) {
      norn_datum v;
      const char *name = norn_record_at(st, columns, c, &v);
      if (c) text_putc(out, how->sep);
      if (r < 0) put_text(out, how, name, strlen(name));
      else code = put_cell(st, out, how, name, norn_array_at(st, v, r));
    }
    text_putc(out, '\n');
  }
  if (!code && out->failed) code = no_memory(st);
  return code;
}
