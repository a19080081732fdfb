/* stan_csv_read.c: draws in CmdStan's layout (stan_csv.h): the reader.

   What Norn wrote says itself what its columns are.  Of other files the names of the columns tell:
   theta.1 .. theta.8 are an array if they fill it, what ends in __ is a statistic.  Any bytes are a
   set of draws or an error with its line. */
#include "io/stan_csv.h"
#include "io/json.h"
#include "base/number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 600, CELL = 400 };

typedef struct column { size_t var; int64_t at; } column;   /* number `at` of a variable */

typedef struct reader {
  norn_state *st;
  mem *m;
  drawset *s;
  const char *name, *p, *end;
  int64_t line;
  column *col; size_t ncol, ccol;
  double *x; size_t nx, cx;            /* rows as they came */
  int64_t rows;
  bool norn, cut;
  norn_ref *info;
  double step_size; bool adapted, metric_next;
  double *metric; size_t nmetric, cmetric;
  int64_t warmup, thin; bool saved_warmup;
  char engine[40];                     /* as a comment says */
  char broken[NAME];                   /* columns of this name are no array */
  bool failed;
} reader;

static bool wrong(reader *r, const char *format, ...) NORN_PRINTF(2, 3);
static bool wrong(reader *r, const char *format, ...)
{
  char what[300];
  va_list ap;
  va_start(ap, format);
  vsnprintf(what, sizeof what, format, ap);
  va_end(ap);
  norn_fail(r->st, NORN_EIO, 0, "%s:%lld: %s", r->name, (long long)r->line, what);
  norn_hint(r->st,
            "draws in CSV have a row of names and then numbers; read_csv reads other tables");
  r->failed = true;
  return false;
}

static bool no_memory(reader *r)
{
  norn_fail(r->st, NORN_EMEMORY, -1, "not enough memory for the draws of %s", r->name);
  r->failed = true;
  return false;
}

static size_t cell_length(const char *p, const char *end)
{
  const char *comma = memchr(p, ',', (size_t)(end - p));
  return comma ? (size_t)(comma - p) : (size_t)(end - p);
}

/* ---- comments ---- */

static bool take_variable(reader *r, norn_datum v)
{
  /* no file has more numbers in a row than bytes */
  if (r->ncol) return wrong(r, "a variable after the names of the columns");
  if (!drawset_described(r->s, v, (int64_t)(r->end - r->p))) {
    if (norn_error(r->st)->code == NORN_EIO)
      return wrong(r, "this line for Norn describes no variable");
    return !(r->failed = true);
  }
  return true;
}

/* A level of a variable, in order. */
static bool take_level(reader *r, norn_datum record, const char *line, size_t n)
{
  size_t len;
  const char *name = norn_string_view(norn_record_get(r->st, record, "level"), &len);
  norn_datum number = norn_record_get(r->st, record, "number");
  const char *value = NULL;
  for (size_t k = 0; k + 10 < n && !value; k++)
    if (memcmp(line + k, ", \"value\": ", 11) == 0) value = line + k + 11;
  for (size_t k = 0; name && value && k < r->s->nvar; k++) {
    drawset_var *v = &r->s->var[k];
    if (strcmp(v->name, name) != 0 || v->kind != DRAWSET_LEVEL) continue;
    if (number.tag != NORN_INT || number.i != (int64_t)v->nlevel + 1) break;
    const char *stop = line + n - 1;                       /* before the last brace */
    return drawset_add_level(r->s, v, value, (size_t)(stop - value)) || no_memory(r);
  }
  return wrong(r, "this level is of no variable, or out of order");
}

static bool take_norn(reader *r, const char *line, size_t n)
{
  norn_datum v;
  while (n && (line[n - 1] == '\r' || line[n - 1] == ' ')) n--;
  norn_status code = n ? json_read(r->st, NULL, line, n, JSON_IO_EXACT, &v) : NORN_EIO;
  if (code == NORN_EMEMORY) return !(r->failed = true);
  if (code || norn_record_size(v) < 0) return wrong(r, "this line for Norn is damaged");
  r->norn = true;
  norn_datum info = norn_record_get(r->st, v, "info");
  if (norn_record_size(info) >= 0) {
    if (r->info) norn_set(r->info, info);
    else r->info = norn_keep(r->st, info);
    return r->info || no_memory(r);
  }
  if (!norn_is_none(norn_record_get(r->st, v, "variable"))) return take_variable(r, v);
  if (!norn_is_none(norn_record_get(r->st, v, "level"))) return take_level(r, v, line, n);
  return true;                                       /* of a later Norn */
}

/* The number at p, up to a comma or the end; false: it is none. */
static bool number_at(const char *p, const char *end, double *x)
{
  char cell[CELL + 1];
  size_t n = (size_t)(end - p);
  while (n && (*p == ' ' || *p == '\r')) { p++; n--; }
  while (n && (p[n - 1] == ' ' || p[n - 1] == '\r')) n--;
  if (n == 0 || n > CELL) return false;
  memcpy(cell, p, n);
  cell[n] = 0;
  return number_real(cell, n, x);
}

/* "Step size = 0.5" and the rows of the inverse metric, as CmdStan has them. */
static void take_adaptation(reader *r, const char *p, const char *end)
{
  static const char step[] = " Step size = ";
  size_t n = (size_t)(end - p);
  double x;
  if (n > sizeof step && memcmp(p, step, sizeof step - 1) == 0)
    r->adapted = number_at(p + sizeof step - 1, end, &r->step_size);
  if (r->metric_next) {
    r->metric_next = false;
    for (; p < end; p += cell_length(p, end) + 1) {
      if (!number_at(p, p + cell_length(p, end), &x)) break;
      if (!mem_grow(r->m, &r->metric, &r->cmetric, r->nmetric + 1, sizeof x)) break;
      r->metric[r->nmetric++] = x;
      r->metric_next = true;
    }
    return;
  }
  static const char metric[] = "nverse mass matrix:";
  for (size_t k = 0; k + sizeof metric - 1 <= n && k < 60; k++)
    if (memcmp(p + k, metric, sizeof metric - 1) == 0) r->metric_next = true;
}

static bool take_comment(reader *r, const char *line, size_t n)
{
  char small[256];
  long long x;
  if (n > 7 && memcmp(line, "# norn ", 7) == 0) return take_norn(r, line + 7, n - 7);
  if (r->norn) return true;
  static const char engine[] = "# engine = ";
  if (n > sizeof engine && n < sizeof engine + 30 && memcmp(line, engine, sizeof engine - 1) == 0)
    snprintf(r->engine, sizeof r->engine, "%.*s", (int)(n - sizeof engine + 1),
             line + sizeof engine - 1);
  size_t k = n - 1 < sizeof small - 1 ? n - 1 : sizeof small - 1;
  memcpy(small, line + 1, k);
  small[k] = 0;
  take_adaptation(r, line + 1, line + n);
  if (sscanf(small, " num_warmup = %lld", &x) == 1 && x >= 0) r->warmup = x;
  if (sscanf(small, " thin = %lld", &x) == 1 && x > 0) r->thin = x;
  if (strstr(small, "save_warmup = 1") || strstr(small, "save_warmup = true"))
    r->saved_warmup = true;
  return true;
}

/* ---- the names of the columns ---- */

static bool add_column(reader *r, size_t var, int64_t at)
{
  if (!mem_grow(r->m, &r->col, &r->ccol, r->ncol + 1, sizeof *r->col)) return no_memory(r);
  r->col[r->ncol++] = (column){ var, at };
  return true;
}

static int64_t row_major(const int64_t *idx, int rank, const int64_t *dims)
{
  int64_t at = 0;
  for (int k = 0; k < rank; k++) at = at * dims[k] + idx[k];
  return at;
}

/* The columns that the lines for Norn have promised, in their order. */
static bool promised_columns(reader *r, const char *line, const char *end)
{
  char want[NAME];
  const char *p = line;
  bool more = true;
  for (size_t k = 0; k < r->s->nvar; k++) {
    const drawset_var *v = &r->s->var[k];
    int64_t idx[NORN_RANK_MAX] = { 0 };
    stan_csv_name(v, want, NAME - 200);
    size_t base = strlen(want);
    for (int64_t c = 0; c < v->size; c++) {
      size_t at = base;
      for (int d = 0; d < v->rank; d++)
        at += (size_t)snprintf(want + at, sizeof want - at, ".%lld", (long long)idx[d] + 1);
      size_t n = more ? cell_length(p, end) : 0;
      if (!more || n != strlen(want) || memcmp(p, want, n) != 0)
        return wrong(r, "column %zu should be %s, as the lines above say", r->ncol + 1, want);
      if (!add_column(r, k, row_major(idx, v->rank, v->dims))) return false;
      more = p + n < end;
      p += n + more;
      for (int d = 0; d < v->rank; d++) {
        if (++idx[d] < v->dims[d]) break;
        idx[d] = 0;
      }
      want[base] = 0;
    }
  }
  return (!more || p == end) || wrong(r, "there are more columns than the lines above say");
}

/* "theta.2.1" as base and indices from 0; false: it is no such name. */
static bool take_indices(const char *name, char *base, int64_t *idx, int *rank)
{
  size_t n = strlen(name), cut = n;
  *rank = 0;
  while (cut > 0 && (name[cut - 1] == '.' || (name[cut - 1] >= '0' && name[cut - 1] <= '9'))) cut--;
  while (name[cut] && name[cut] != '.') cut++;
  snprintf(base, NAME, "%.*s", (int)cut, name);
  for (const char *p = name + cut; *p;) {
    char *end;
    if (*p != '.' || p[1] < '0' || p[1] > '9' || *rank == NORN_RANK_MAX) return false;
    long long i = strtoll(p + 1, &end, 10);
    if (i < 1 || i > INT32_MAX) return false;
    idx[(*rank)++] = i - 1;
    p = end;
  }
  return cut > 0;
}

/* "a:b" with n indices at its end as a pattern: "a.b[]". */
static void pattern_of(const char *base, int n, char *out)
{
  size_t at = 0;
  for (; *base && at < NAME - 50; base++) out[at++] = *base == ':' ? '.' : *base;
  for (int k = 0; k < n; k++) { out[at++] = '['; out[at++] = ']'; }
  out[at] = 0;
}

static bool cell_text(reader *r, const char *p, size_t n, char *out)
{
  while (n && (*p == ' ' || *p == '"')) { p++; n--; }
  while (n && (p[n - 1] == ' ' || p[n - 1] == '"')) n--;
  if (n == 0 || n > CELL || memchr(p, 0, n) || !drawset_is_utf8(p, n))
    return wrong(r, "this is no name of a column");
  memcpy(out, p, n);
  out[n] = 0;
  return true;
}

static bool add_variable(reader *r, const char *base, bool stat, int rank, const int64_t *dims)
{
  char own[NAME], pattern[NAME], name[NAME];
  if (stat) {
    stan_csv_stat_back(base, own, sizeof own);
    static const char *const counts[] = { "tree_depth", "n_steps" };
    drawset_kind kind = strcmp(own, "diverging") == 0 ? DRAWSET_BOOL : DRAWSET_REAL;
    for (int k = 0; k < NORN_COUNT(counts); k++)
      if (strcmp(own, counts[k]) == 0) kind = DRAWSET_INT;
    return drawset_add(r->s, own, NULL, NULL, kind, 0, NULL) || (r->failed = true, false);
  }
  pattern_of(base, rank, pattern);
  drawset_name_of(pattern, name, sizeof name);
  return drawset_add(r->s, name, pattern, pattern, DRAWSET_REAL, rank, dims) ||
         (r->failed = true, false);
}

/* Columns from p on that are one array: how many; dims are its sizes. */
static size_t array_at(reader *r, const char *p, const char *end, const char *base, int rank,
                       int64_t *dims)
{
  char name[NAME], other[NAME];
  int64_t idx[NORN_RANK_MAX];
  size_t n = 0;
  int k;
  for (int d = 0; d < rank; d++) dims[d] = 0;
  while (p < end) {
    size_t len = cell_length(p, end);
    if (!cell_text(r, p, len, name)) return 0;
    if (!take_indices(name, other, idx, &k) || k != rank || strcmp(base, other) != 0) break;
    for (int d = 0; d < rank; d++) if (idx[d] >= dims[d]) dims[d] = idx[d] + 1;
    n++;
    p += len + 1;
  }
  double size = 1;
  for (int d = 0; d < rank; d++) size *= (double)dims[d];
  return size == (double)n ? n : 1;
}

/* Columns as their names say. */
static bool named_columns(reader *r, const char *p, const char *end)
{
  char name[NAME], base[NAME];
  int64_t idx[NORN_RANK_MAX], dims[NORN_RANK_MAX];
  int rank;
  while (p < end) {
    size_t len = cell_length(p, end), n = 1;
    if (!cell_text(r, p, len, name)) return false;
    bool array = take_indices(name, base, idx, &rank) && rank > 0 && strcmp(base, r->broken) != 0;
    if (array) n = array_at(r, p, end, base, rank, dims);
    if (n == 0) return false;
    for (int d = 0; array && n == 1 && d < rank; d++)
      if (dims[d] != 1) {
        array = false;
        snprintf(r->broken, sizeof r->broken, "%s", base);
      }
    size_t k = strlen(name);
    bool stat = !array && k > 2 && strcmp(name + k - 2, "__") == 0;
    if (!add_variable(r, array ? base : name, stat, array ? rank : 0, dims)) return false;
    for (size_t c = 0; c < n; c++) {
      len = cell_length(p, end);
      if (array &&
          (!cell_text(r, p, len, name) || !take_indices(name, base, idx, &rank)))
        return false;
      if (!add_column(r, r->s->nvar - 1, array ? row_major(idx, rank, dims) : 0)) return false;
      p += len + 1;
    }
  }
  return r->ncol > 0 || wrong(r, "there are no columns");
}

/* ---- rows ---- */

static bool take_row(reader *r, const char *p, const char *end)
{
  char cell[CELL + 1];
  if (!mem_grow(r->m, &r->x, &r->cx, r->nx + r->ncol, sizeof *r->x)) return no_memory(r);
  for (size_t k = 0; k < r->ncol; k++) {
    if (p > end) return wrong(r, "a row of %zu numbers where there are %zu columns", k, r->ncol);
    size_t n = cell_length(p, end), at = 0;
    while (at < n && p[at] == ' ') at++;
    size_t len = n - at;
    while (len && (p[at + len - 1] == ' ' || p[at + len - 1] == '\r')) len--;
    if (len > CELL) len = CELL;
    memcpy(cell, p + at, len);
    cell[len] = 0;
    double x = (double)NAN;
    if (len && strcmp(cell, "NA") != 0 && strcmp(cell, "-nan") != 0 && !number_real(cell, len, &x))
      return wrong(r, "\"%.60s\" in column %zu is no number", cell, k + 1);
    r->x[r->nx + k] = x;
    p += n + 1;
  }
  if (p <= end) return wrong(r, "a row of more numbers than the %zu columns", r->ncol);
  r->nx += r->ncol;
  r->rows++;
  return true;
}

static bool take_line(reader *r, const char *line, size_t n)
{
  if (n && line[n - 1] == '\r') n--;
  if (n == 0) return true;
  if (*line == '#') return take_comment(r, line, n);
  if (r->ncol || (r->norn && r->rows > 0)) return take_row(r, line, line + n);
  if (r->norn) return promised_columns(r, line, line + n);
  return named_columns(r, line, line + n);
}

/* ---- the whole ---- */

/* The rows go to their variables. */
static bool keep_rows(reader *r)
{
  drawset *s = r->s;
  int64_t skip = r->saved_warmup ? (r->warmup + r->thin - 1) / r->thin : 0;
  if (skip > r->rows) skip = r->rows;
  int64_t n = r->rows - skip;
  if (n == 0) {
    norn_fail(r->st, NORN_EIO, 0, "%s has no draws", r->name);
    return false;
  }
  if (!drawset_keep(s, n)) return s->failed ? false : no_memory(r);
  for (int64_t i = 0; i < n; i++)
    for (size_t k = 0; k < r->ncol; k++) {
      drawset_var *v = &s->var[r->col[k].var];
      double x = r->x[(size_t)(i + skip) * r->ncol + k];
      if (isnan(x) && v->ragged) x = drawset_missing();
      if (v->kind == DRAWSET_LEVEL && !isnan(x) &&
          (!(x >= 1 && x <= (double)v->nlevel) || x != floor(x))) {
        norn_fail(r->st, NORN_EIO, 0, "%s: draw %lld has level %g of %s, which has %zu", r->name,
                  (long long)i + 1, x, v->name, v->nlevel);
        return false;
      }
      v->all[i * v->size + r->col[k].at] = x;
    }
  s->n = n;
  return true;
}

/* What a file without info tells of its run: CmdStan's, or one that was not ended. */
static norn_datum told(reader *r)
{
  const char *name[5];
  norn_datum v[5];
  int n = 0;
  bool nuts = false, hmc = false;
  for (size_t k = 0; k < r->s->nvar; k++) {
    const drawset_var *x = &r->s->var[k];
    nuts = nuts || (x->stat && strcmp(x->name, "tree_depth") == 0);
    hmc = hmc || (x->stat && strcmp(x->name, "energy") == 0);
  }
  name[n] = "engine";
  v[n++] = norn_cstring(r->st, *r->engine ? r->engine : nuts ? "nuts" : hmc ? "hmc" : "draws");
  bool chained = !*r->engine || !strcmp(r->engine, "nuts") || !strcmp(r->engine, "hmc") ||
                 !strcmp(r->engine, "mh");
  if (!chained) {
    name[n] = "chains";
    v[n++] = norn_missing();
  }
  if (r->norn) {                         /* else info would be there */
    name[n] = "stopped";
    v[n++] = norn_bool(true);
  }
  if (r->adapted) {
    name[n] = "step_size";
    v[n++] = norn_array_f64(r->st, &r->step_size, 1);
  }
  if (r->nmetric) {
    name[n] = "inverse_metric";
    v[n++] = norn_array_f64(r->st, r->metric, (int64_t)r->nmetric);
  }
  return norn_record(r->st, n, name, v);
}

static void reader_free(reader *r)
{
  mem_put(r->m, r->col, r->ccol * sizeof *r->col);
  mem_put(r->m, r->x, r->cx * sizeof *r->x);
  mem_put(r->m, r->metric, r->cmetric * sizeof *r->metric);
  if (r->info) norn_drop(r->info);
}

norn_status stan_csv_read(norn_state *st, const char *name, const char *s, size_t n, drawset *set,
                          stan_csv_file *file)
{
  reader r = { .st = st, .m = set->m, .s = set, .name = name, .p = s, .end = s + n, .thin = 1 };
  norn_clear(st);
  bool good = true;
  while (good && r.p < r.end) {
    const char *stop = memchr(r.p, '\n', (size_t)(r.end - r.p));
    r.line++;
    r.cut = !stop;
    if (stop) good = take_line(&r, r.p, (size_t)(stop - r.p));
    r.p = stop ? stop + 1 : r.end;
  }
  if (good && !r.ncol && (r.line = r.line ? r.line : 1) > 0 && !(r.norn && set->nvar))
    good = wrong(&r, "there are no columns");
  good = good && keep_rows(&r);
  *file = (stan_csv_file){ .norn = r.norn, .cut = r.cut, .info = norn_none() };
  if (good) file->info = r.info ? norn_get(r.info) : told(&r);
  reader_free(&r);
  if (!good || norn_is_none(file->info))
    return norn_error(st)->code ? norn_error(st)->code
                                : norn_fail(st, NORN_EMEMORY, 0, "not enough memory");
  return NORN_OK;
}
