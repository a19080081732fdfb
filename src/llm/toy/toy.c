/* toy.c: vocabularies and tables of small models (toy.h). */
#include "llm/toy/toy.h"
#include "io/json.h"
#include <math.h>
#include <string.h>

/* ---- vocabularies ---- */

bool toy_vocab_make(lm *x, toy_vocab *t, const char *bytes, const size_t *length, int n)
{
  static const char end[] = "<end>";
  size_t total = sizeof end - 1;
  for (int i = 0; i < n; i++) total += length[i];
  *t = (toy_vocab){ .ntokens = (size_t)n + 1, .nbytes = total };
  uint32_t *at = mem_get(x->m, (t->ntokens + 1) * sizeof *at);
  uint8_t *b = mem_get(x->m, total), *kind = mem_zero(x->m, t->ntokens);
  t->v = (lm_vocab){ .n = n + 1, .at = at, .bytes = b, .kind = kind, .begin = -1, .end = n };
  if (!at || !b || !kind) {
    toy_vocab_free(x, t);
    return !lm_no_memory(x->st);
  }
  memcpy(b, bytes, total - (sizeof end - 1));
  memcpy(b + total - (sizeof end - 1), end, sizeof end - 1);
  at[0] = 0;
  for (int i = 0; i < n; i++) at[i + 1] = at[i] + (uint32_t)length[i];
  at[n + 1] = (uint32_t)total;
  kind[n] = LM_END;
  return true;
}

void toy_vocab_free(lm *x, toy_vocab *t)
{
  if (t->v.at) mem_put(x->m, (void *)t->v.at, (t->ntokens + 1) * sizeof *t->v.at);
  if (t->v.bytes) mem_put(x->m, (void *)t->v.bytes, t->nbytes);
  if (t->v.kind) mem_put(x->m, (void *)t->v.kind, t->ntokens);
  *t = (toy_vocab){ .ntokens = 0 };
}

lm_token toy_token(const lm_vocab *v, const char *s, size_t n)
{
  for (int i = 0; i < v->n; i++)
    if (v->kind[i] == LM_TEXT && v->at[i + 1] - v->at[i] == n && memcmp(v->bytes + v->at[i], s, n) == 0) return i;
  return -1;
}

static bool strings_bad(lm *x, const char *what)
{
  norn_fail(x->st, NORN_EDOMAIN, 0, "tokens of a model must be different strings of at least a byte, got %s", what);
  return false;
}

bool toy_vocab_strings(lm *x, toy_vocab *t, norn_datum tokens)
{
  norn_view a;
  char buf[100];
  if (!norn_array_view(tokens, &a) || a.rank != 1 || a.elem != NORN_VALUES || a.n < 1 || a.n > 1 << 20)
    return strings_bad(x, norn_describe(x->st, tokens, buf, sizeof buf));
  text all;
  text_init(&all, x->m);
  size_t *length = mem_get(x->m, (size_t)a.n * sizeof *length);
  bool good = length != NULL;
  for (int64_t i = 0; good && i < a.n; i++) {
    const char *s = norn_string_view(a.v[i], &length[i]);
    if (!s || !length[i]) good = strings_bad(x, s ? "\"\"" : norn_describe(x->st, a.v[i], buf, sizeof buf));
    for (int64_t k = 0; good && k < i; k++)
      if (norn_equal(a.v[k], a.v[i])) good = strings_bad(x, "one of them twice");
    if (good) text_put(&all, s, length[i]);
  }
  if (!length || all.failed) lm_no_memory(x->st);
  good = good && !all.failed && toy_vocab_make(x, t, all.n ? all.s : "", length, (int)a.n);
  if (length) mem_put(x->m, length, (size_t)a.n * sizeof *length);
  text_free(&all);
  return good;
}

/* ---- tables ---- */

char *toy_file(lm *x, const char *path, size_t *n)
{
  const char *why;
  char *s = file_read(x->m, path, n, &why);
  if (s) return s;
  norn_fail(x->st, NORN_EIO, 0, "can't read %.200s: %s", path, why);
  norn_hint(x->st, "%s:FILE takes the name of a file, from the folder in which norn was started", x->row->scheme);
  return NULL;
}

norn_datum toy_table(lm *x, const char *rest, norn_datum options)
{
  norn_datum t = norn_is_none(options) ? options : norn_record_get(x->st, options, "table");
  size_t n;
  if (!norn_is_none(t)) {
    if (norn_record_size(t) >= 0) return t;
    norn_fail(x->st, NORN_ETYPE, 0, "table of %s: must be a record", x->row->scheme);
    return norn_none();
  }
  if (!*rest) {
    norn_fail(x->st, NORN_EDOMAIN, 0, "%s: needs a file, or table = {...}", x->row->scheme);
    return norn_none();
  }
  char *s = toy_file(x, rest, &n);
  if (!s) return norn_none();
  if (json_read(x->st, rest, s, n, 0, &t)) t = norn_none();
  else if (norn_record_size(t) < 0) {
    norn_fail(x->st, NORN_EIO, 0, "%.200s must hold a JSON object", rest);
    t = norn_none();
  }
  mem_put(x->m, s, n + 1);
  return t;
}

static bool row_read(lm *x, norn_datum v, const char *name, int row, int columns, bool sums, double *out)
{
  double sum = 0;
  if (norn_array_length(v) != columns) {
    norn_fail(x->st, NORN_ETYPE, 0, "row %d of %s must have %d probabilities, got %lld", row, name, columns,
              (long long)norn_array_length(v));
    return false;
  }
  for (int i = 0; i < columns; i++) {
    out[i] = norn_elem_real(v, i);
    if (!(out[i] >= 0 && out[i] <= 1)) {
      norn_fail(x->st, NORN_EDOMAIN, 0, "row %d of %s has %g as a probability", row, name, out[i]);
      return false;
    }
    sum += out[i];
  }
  if (!sums || fabs(sum - 1) < 1e-6) return true;
  norn_fail(x->st, NORN_EDOMAIN, 0, "the probabilities of row %d of %s must come to 1, got %.9g", row, name, sum);
  return false;
}

bool toy_probabilities(lm *x, norn_datum table, const char *name, int rows, int columns, bool sums, double *out)
{
  norn_datum v = norn_record_get(x->st, table, name);
  norn_view a;
  if (norn_is_none(v) || !norn_array_view(v, &a)) {
    norn_fail(x->st, NORN_EIO, 0, "the table of a model of %s: needs the array %s", x->row->scheme, name);
    return false;
  }
  if (rows == 1) return row_read(x, v, name, 0, columns, sums, out);
  if (norn_array_length(v) != rows) {
    norn_fail(x->st, NORN_ETYPE, 0, "%s must have %d rows, got %lld", name, rows, (long long)norn_array_length(v));
    return false;
  }
  for (int r = 0; r < rows; r++)
    if (!row_read(x, norn_array_at(x->st, v, r), name, r, columns, sums, out + (size_t)r * (size_t)columns))
      return false;
  return true;
}

bool toy_int(lm *x, norn_datum options, const char *name, int64_t least, int64_t most, int64_t *out)
{
  norn_datum v = norn_is_none(options) ? options : norn_record_get(x->st, options, name);
  char buf[100];
  if (norn_is_none(v)) return true;
  if (v.tag == NORN_INT && v.i >= least && v.i <= most) {
    *out = v.i;
    return true;
  }
  norn_fail(x->st, NORN_EDOMAIN, 0, "%s of %s: must be an integer from %lld to %lld, got %s", name, x->row->scheme,
            (long long)least, (long long)most,
            v.tag == NORN_INT ? norn_show(x->st, v, true, 60) : norn_describe(x->st, v, buf, sizeof buf));
  return false;
}

bool toy_real(lm *x, norn_datum options, const char *name, double least, double *out)
{
  norn_datum v = norn_is_none(options) ? options : norn_record_get(x->st, options, name);
  double d;
  if (norn_is_none(v)) return true;
  if (norn_as_real(v, &d) && d >= least && d < INFINITY) {
    *out = d;
    return true;
  }
  norn_fail(x->st, NORN_EDOMAIN, 0, "%s of %s: must be a number of at least %g, got %s", name, x->row->scheme, least,
            norn_show(x->st, v, true, 60));
  return false;
}
