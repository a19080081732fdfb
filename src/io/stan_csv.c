/* stan_csv.c: draws in CmdStan's layout (stan_csv.h): the writer. */
#include "io/stan_csv.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 600 };

/* In Stan's order. */
static const char *const stats[][2] = {
  { "lp", "lp__" }, { "acceptance_rate", "accept_stat__" }, { "step_size", "stepsize__" },
  { "tree_depth", "treedepth__" }, { "n_steps", "n_leapfrog__" }, { "diverging", "divergent__" },
  { "energy", "energy__" },
};

void stan_csv_stat(const char *name, char *out, size_t size)
{
  for (int k = 0; k < NORN_COUNT(stats); k++)
    if (strcmp(stats[k][0], name) == 0) {
      snprintf(out, size, "%s", stats[k][1]);
      return;
    }
  snprintf(out, size, "%.500s__", name);
}

void stan_csv_stat_back(const char *column, char *out, size_t size)
{
  size_t n = strlen(column);
  for (int k = 0; k < NORN_COUNT(stats); k++)
    if (strcmp(stats[k][1], column) == 0) {
      snprintf(out, size, "%s", stats[k][0]);
      return;
    }
  snprintf(out, size, "%.*s", (int)(n > 2 && n < 500 ? n - 2 : n < 500 ? n : 500), column);
}

/* ---- the order of the columns ---- */

static int stat_rank(const drawset_var *v)
{
  int k = 0;
  if (!v->stat) return NORN_COUNT(stats) + 1;
  while (k < NORN_COUNT(stats) && strcmp(stats[k][0], v->name) != 0) k++;
  return k;
}

/* Statistics first, Stan's in its order; else as they came. */
static bool stan_csv_order(drawset *s, size_t *order)
{
  size_t n = 0;
  for (int rank = 0; rank <= NORN_COUNT(stats) + 1; rank++)
    for (size_t k = 0; k < s->nvar && (rank <= NORN_COUNT(stats) || n < s->nvar); k++)
      if (stat_rank(&s->var[k]) == rank) order[n++] = k;
  return n == s->nvar;
}

static size_t *get_order(drawset *s)
{
  size_t *order = mem_get(s->m, (s->nvar + 1) * sizeof *order);
  if (order) stan_csv_order(s, order);
  else if (!s->failed) {
    s->failed = true;
    norn_fail(s->st, NORN_EMEMORY, -1, "not enough memory for the draws");
  }
  return order;
}

static void put_order(drawset *s, size_t *order)
{
  mem_put(s->m, order, (s->nvar + 1) * sizeof *order);
}

/* The next index, the first fastest; false after the last. */
static bool next_of(int64_t *idx, int rank, const int64_t *dims)
{
  for (int k = 0; k < rank; k++) {
    if (++idx[k] < dims[k]) return true;
    idx[k] = 0;
  }
  return false;
}

static int64_t row_major(const int64_t *idx, int rank, const int64_t *dims)
{
  int64_t at = 0;
  for (int k = 0; k < rank; k++) at = at * dims[k] + idx[k];
  return at;
}

static int64_t first_fastest(const int64_t *idx, int rank, const int64_t *dims)
{
  int64_t at = 0;
  for (int k = rank; k-- > 0;) at = at * dims[k] + idx[k];
  return at;
}

/* ---- the head ---- */

/* "a.b" as "a:b"; what a table might stumble over as _. */
void stan_csv_name(const drawset_var *v, char *out, size_t size)
{
  char stat[NAME];
  const char *from = v->name;
  size_t n = 0;
  if (v->stat) {
    stan_csv_stat(v->name, stat, sizeof stat);
    from = stat;
  }
  for (; *from && n + 1 < size; from++) {
    unsigned char c = (unsigned char)*from;
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '_' || c >= 128;
    out[n++] = c == '.' ? ':' : plain ? (char)c : '_';
  }
  out[n] = 0;
}

static void put_level(text *t, const drawset_var *v, size_t k)
{
  text_puts(t, "# norn {\"level\": ");
  drawset_json(t, v->name);
  text_printf(t, ", \"number\": %zu, \"value\": %s}\n", k + 1, v->level[k]);
}

static void put_columns(const drawset_var *v, text *t, bool *first)
{
  char name[NAME];
  int64_t idx[NORN_RANK_MAX] = { 0 };
  stan_csv_name(v, name, sizeof name);
  for (int64_t c = 0; c < v->size; c++) {
    if (!*first) text_putc(t, ',');
    *first = false;
    text_puts(t, name);
    for (int k = 0; k < v->rank; k++) text_printf(t, ".%lld", (long long)idx[k] + 1);
    next_of(idx, v->rank, v->dims);
  }
}

bool stan_csv_head(drawset *s, const char *about, const char *adapted, text *t)
{
  bool first = true;
  int64_t at = 0;
  size_t *order = get_order(s);
  if (!order) return false;
  text_puts(t, about);
  for (size_t k = 0; k < s->nvar; k++) {
    drawset_var *v = &s->var[order[k]];
    v->was = (drawset_place){ .at = at, .size = v->size, .rank = v->rank };
    memcpy(v->was.dims, v->dims, sizeof v->dims);
    at += v->size;
    text_puts(t, "# norn ");
    drawset_describe(v, t);
    text_putc(t, '\n');
    for (size_t i = 0; i < v->nlevel; i++) put_level(t, v, i);
    v->levels_were = (int64_t)v->nlevel;
  }
  for (size_t k = 0; k < s->nvar; k++) put_columns(&s->var[order[k]], t, &first);
  text_putc(t, '\n');
  if (adapted) text_puts(t, adapted);
  put_order(s, order);
  return true;
}

void stan_csv_levels(drawset *s, text *t)
{
  for (size_t k = 0; k < s->nvar; k++) {
    drawset_var *v = &s->var[k];
    for (; v->levels_were < (int64_t)v->nlevel; v->levels_were++)
      put_level(t, v, (size_t)v->levels_were);
  }
}

/* ---- rows ---- */

static void put_number(text *t, const drawset_var *v, double x)
{
  if (v->kind != DRAWSET_REAL && x == floor(x)) text_printf(t, "%.0f", x);
  else text_real(t, x);                    /* what is missing is a NaN */
}

bool stan_csv_row(drawset *s, text *t)
{
  bool first = true;
  size_t *order = get_order(s);
  if (!order) return false;
  for (size_t k = 0; k < s->nvar; k++) {
    const drawset_var *v = &s->var[order[k]];
    int64_t idx[NORN_RANK_MAX] = { 0 };
    for (int64_t c = 0; c < v->size; c++) {
      if (!first) text_putc(t, ',');
      first = false;
      put_number(t, v, v->x[v->rank < 2 ? c : row_major(idx, v->rank, v->dims)]);
      if (v->rank > 1) next_of(idx, v->rank, v->dims);
    }
  }
  text_putc(t, '\n');
  put_order(s, order);
  return true;
}

/* ---- a layout that has grown ---- */

/* Where the cells of a row start; their number.  cell (at most n + 1). */
static size_t split(const char *row, size_t len, const char **cell, size_t n)
{
  size_t count = 0;
  const char *end = row + len;
  for (const char *p = row; count < n; count++) {
    cell[count] = p;
    const char *comma = memchr(p, ',', (size_t)(end - p));
    if (!comma) return count + 1;
    p = comma + 1;
  }
  return count;
}

typedef struct moved { int64_t *from; int64_t n; int64_t old; } moved;   /* -1: it is new */

/* For each new column the old one, before stan_csv_head forgets it. */
static bool columns_moved(drawset *s, moved *m)
{
  size_t *order = get_order(s);
  m->n = m->old = 0;
  for (size_t k = 0; k < s->nvar; k++) m->n += s->var[k].size;
  m->from = mem_get(s->m, (size_t)(m->n + 1) * sizeof *m->from);
  if (!order || !m->from) return put_order(s, order), false;
  int64_t *to = m->from;
  for (size_t k = 0; k < s->nvar; k++) {
    const drawset_var *v = &s->var[order[k]];
    int64_t idx[NORN_RANK_MAX] = { 0 };
    if (v->was.at + v->was.size > m->old) m->old = v->was.at + v->was.size;
    for (int64_t c = 0; c < v->size; c++) {
      bool inside = v->was.size > 0 && v->was.rank == v->rank;
      for (int d = 0; d < v->rank; d++) inside = inside && idx[d] < v->was.dims[d];
      *to++ = inside ? v->was.at + first_fastest(idx, v->rank, v->was.dims) : -1;
      next_of(idx, v->rank, v->dims);
    }
  }
  put_order(s, order);
  return true;
}

static void move_row(const moved *m, const char *row, size_t len, const char **cell, text *t)
{
  size_t n = split(row, len, cell, (size_t)m->old);
  for (int64_t k = 0; k < m->n; k++) {
    int64_t from = m->from[k];
    if (k) text_putc(t, ',');
    if (from < 0 || from >= (int64_t)n) text_puts(t, "nan");
    else {
      const char *p = cell[from], *end = row + len, *comma = memchr(p, ',', (size_t)(end - p));
      text_put(t, p, (size_t)((comma ? comma : end) - p));
    }
  }
  text_putc(t, '\n');
}

bool stan_csv_again(drawset *s, const char *about, const char *old, size_t n, text *t)
{
  moved m = { NULL, 0, 0 };
  bool names = false, good = columns_moved(s, &m);
  const char **cell = mem_get(s->m, (size_t)(m.old + 1) * sizeof *cell);
  good = good && cell && stan_csv_head(s, about, NULL, t);
  for (const char *p = old, *end = old + n; good && p < end;) {
    const char *line = memchr(p, '\n', (size_t)(end - p));
    if (!line) break;
    if (*p != '#' && names) move_row(&m, p, (size_t)(line - p), cell, t);
    else if (*p != '#') names = true;
    p = line + 1;
  }
  mem_put(s->m, cell, (size_t)(m.old + 1) * sizeof *cell);
  mem_put(s->m, m.from, (size_t)(m.n + 1) * sizeof *m.from);
  if (!good && !s->failed) norn_fail(s->st, NORN_EMEMORY, -1, "not enough memory for the draws");
  s->failed = s->failed || !good;
  return good;
}
