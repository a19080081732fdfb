/* Runs of an engine without chains, compared: their draws as a table, one row a draw, one column a
   scalar of the returned value, named as its address would be: mu, theta[3], state.x[0, 1].  Draws
   may differ in shape (a recursive model): the columns are the union. */
#include "cli.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int row, column; char *text; } cell;   /* text: as it stands in the file */

struct draws {
  norn_state *st;
  char **columns; int ncolumns, room_columns;
  cell *cells; size_t ncells, room_cells;
  struct { int chain; double weight; } *rows; int nrows, room_rows;
  int cursor;              /* the column after the last one filled: mostly the next to fill */
  char path[512];          /* of the scalar being filled */
  bool failed;
};

draws *draws_new(norn_state *st)
{
  draws *d = calloc(1, sizeof *d);
  if (d) d->st = st;
  return d;
}

void draws_free(draws *d)
{
  if (!d) return;
  for (int i = 0; i < d->ncolumns; i++) free(d->columns[i]);
  for (size_t i = 0; i < d->ncells; i++) free(d->cells[i].text);
  free(d->columns);
  free(d->cells);
  free(d->rows);
  free(d);
}

/* The column of the present path; a new one at the end if there is none.  -1: no memory. */
static int find_column(draws *d)
{
  for (int k = 0; k < d->ncolumns; k++) {
    int i = (d->cursor + k) % d->ncolumns;
    if (strcmp(d->columns[i], d->path) == 0) return d->cursor = i + 1, i;
  }
  if (d->ncolumns == d->room_columns) {
    int room = d->room_columns ? 2 * d->room_columns : 16;
    char **more = realloc(d->columns, (size_t)room * sizeof *more);
    if (!more) return -1;
    d->columns = more;
    d->room_columns = room;
  }
  char *name = strdup(d->path);
  if (!name) return -1;
  d->columns[d->ncolumns] = name;
  return d->cursor = d->ncolumns + 1, d->ncolumns++;
}

static void put_cell(draws *d, const char *text)
{
  int i = find_column(d);
  char *own = strdup(text);
  if (d->ncells == d->room_cells) {
    size_t room = d->room_cells ? 2 * d->room_cells : 256;
    cell *more = realloc(d->cells, room * sizeof *more);
    if (more) {
      d->cells = more;
      d->room_cells = room;
    } else {
      i = -1;
    }
  }
  if (i < 0 || !own) {
    free(own);
    d->failed = true;
    return;
  }
  d->cells[d->ncells++] = (cell){ d->nrows - 1, i, own };
}

/* A text cell, quoted where CSV needs it. */
static void put_quoted(draws *d, const char *s)
{
  if (!s) s = "";
  if (!strpbrk(s, ",\"\n\r")) {
    put_cell(d, s);
    return;
  }
  char *q = malloc(2 * strlen(s) + 3), *o = q;
  if (!q) {
    d->failed = true;
    return;
  }
  *o++ = '"';
  for (; *s; s++) {
    if (*s == '"') *o++ = '"';
    *o++ = *s;
  }
  *o++ = '"';
  *o = 0;
  put_cell(d, q);
  free(q);
}

/* The shortest text that reads back as the same double. */
static void put_real(draws *d, double x)
{
  char buf[40];
  if (isnan(x)) snprintf(buf, sizeof buf, "nan");
  else if (isinf(x)) snprintf(buf, sizeof buf, x < 0 ? "-inf" : "inf");
  else
    for (int digits = 15; digits <= 17; digits++) {
      snprintf(buf, sizeof buf, "%.*g", digits, x);
      if (strtod(buf, NULL) == x) break;
    }
  put_cell(d, buf);
}

static void put_value(draws *d, norn_datum v);

/* The elements of an array, all indices in one bracket: m[0, 1]. */
static void put_array(draws *d, norn_datum v, bool inner)
{
  size_t at = strlen(d->path);
  int64_t n = norn_array_length(v);
  norn_view view;
  bool nested = norn_array_view(v, &view) && view.rank > 1;
  if (inner) at--;                              /* over the bracket that the caller closed */
  for (int64_t i = 0; i < n && !d->failed; i++) {
    snprintf(d->path + at, sizeof d->path - at, inner ? ", %lld]" : "[%lld]", (long long)i);
    norn_datum x = norn_array_at(d->st, v, i);
    if (nested) put_array(d, x, true);
    else put_value(d, x);
  }
  d->path[at] = 0;
  if (inner) snprintf(d->path + at, sizeof d->path - at, "]");
}

static void put_record(draws *d, norn_datum v)
{
  size_t at = strlen(d->path);
  for (int i = 0; i < norn_record_size(v) && !d->failed; i++) {
    norn_datum x;
    const char *name = norn_record_at(d->st, v, i, &x);
    snprintf(d->path + at, sizeof d->path - at, "%s%s", at ? "." : "", name);
    put_value(d, x);
  }
  d->path[at] = 0;
}

static void put_value(draws *d, norn_datum v)
{
  char buf[32];
  switch (norn_kind_of(v)) {
  case NORN_INT:
    snprintf(buf, sizeof buf, "%lld", (long long)v.i);
    put_cell(d, buf);
    break;
  case NORN_REAL: put_real(d, v.d); break;
  case NORN_BOOL: put_cell(d, v.i ? "true" : "false"); break;
  case NORN_MISSING: put_cell(d, "NA"); break;
  case NORN_UNIT: break;
  case NORN_ARRAY: put_array(d, v, false); break;
  case NORN_RECORD: put_record(d, v); break;
  case NORN_STR: put_quoted(d, norn_string_view(v, NULL)); break;
  default: put_quoted(d, norn_show(d->st, v, true, 0)); break;
  }
}

static bool add_row(draws *d, int chain, double weight)
{
  if (d->nrows == d->room_rows) {
    int room = d->room_rows ? 2 * d->room_rows : 256;
    void *more = realloc(d->rows, (size_t)room * sizeof *d->rows);
    if (!more) return false;
    d->rows = more;
    d->room_rows = room;
  }
  d->rows[d->nrows].chain = chain;
  d->rows[d->nrows++].weight = weight;
  return true;
}

/* Draws of each chain when the engine ran several: they stand one chain after the other. */
static int64_t draws_per_chain(norn_state *st, const norn_posterior *p)
{
  norn_datum chains = norn_record_get(st, p->info, "chains");
  bool several = norn_kind_of(chains) == NORN_INT && chains.i > 1 && p->n % chains.i == 0;
  return several ? p->n / chains.i : p->n;
}

norn_status draws_add(draws *d, int chain, norn_datum posterior)
{
  norn_posterior p;
  if (!norn_posterior_view(d->st, posterior, &p)) return NORN_EUSE;
  int64_t each = draws_per_chain(d->st, &p);
  for (int64_t i = 0; i < p.n && !d->failed; i++) {
    if (!add_row(d, chain + (int)(i / each), norn_elem_real(p.weights, i))) d->failed = true;
    d->cursor = 0;
    d->path[0] = 0;
    norn_datum v = norn_array_at(d->st, p.values, i);
    bool bare = norn_kind_of(v) != NORN_RECORD;
    if (bare) snprintf(d->path, sizeof d->path, "value");
    if (!d->failed) put_value(d, v);
  }
  return d->failed ? NORN_EMEMORY : NORN_OK;
}

/* ---- do the chains agree? ---- */

typedef struct { double weight, sum, squares; int64_t n; } moments;

static bool cell_number(const char *s, double *x)
{
  char *end;
  *x = strtod(s, &end);
  if (end != s && *end == 0) return true;
  if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0) return false;
  *x = s[0] == 't';
  return true;
}

/* m: (columns, chains); n < 0 marks a column that is not of numbers. */
static void gather_moments(const draws *d, int chains, moments *m)
{
  double x;
  for (size_t i = 0; i < d->ncells; i++) {
    moments *first = m + (size_t)d->cells[i].column * (size_t)chains;
    moments *c = first + d->rows[d->cells[i].row].chain - 1;
    double w = d->rows[d->cells[i].row].weight;
    if (!cell_number(d->cells[i].text, &x)) first->n = INT64_MIN / 2;
    c->weight += w;
    c->sum += w * x;
    c->squares += w * x * x;
    c->n++;
  }
}

/* R-hat = sqrt(((n - 1)/n W + B/n) / W), W the mean of the chains' variances, B/n the variance of
   their means (Gelman and Rubin 1992). */
static void put_agreement(FILE *f, const char *name, const moments *m, int chains)
{
  double mean = 0, within = 0, between = 0, n = 0;
  for (int k = 0; k < chains; k++) {
    if (!(m[k].weight > 0) || m[k].n < 0) return;
    double a = m[k].sum / m[k].weight;
    mean += a / chains;
    within += (m[k].squares / m[k].weight - a * a) / chains;
    n += (double)m[k].n / chains;
  }
  for (int k = 0; k < chains; k++) between += pow(m[k].sum / m[k].weight - mean, 2) / (chains - 1);
  double all = (n - 1) / n * within + between;
  double rhat = within > 0 ? sqrt(all / within) : 1;
  fprintf(f, "%-20s %12.6g %12.6g %8.3f\n", name, mean, sqrt(all), rhat);
}

char *draws_agreement(const draws *d)
{
  char *text = NULL;
  size_t size;
  int chains = d->nrows ? d->rows[d->nrows - 1].chain : 0;
  moments *m = calloc((size_t)d->ncolumns * (size_t)chains + 1, sizeof *m);
  FILE *f = m && chains > 1 ? open_memstream(&text, &size) : NULL;
  if (f) {
    gather_moments(d, chains, m);
    fprintf(f, "\nall chains\n%-20s %12s %12s %8s\n", "", "mean", "sd", "R-hat");
    for (int i = 0; i < d->ncolumns; i++)
      put_agreement(f, d->columns[i], m + (size_t)i * (size_t)chains, chains);
    fclose(f);
  }
  free(m);
  return text;
}
