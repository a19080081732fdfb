/* drawset.c: draws into variables (drawset.h).  The layout is what the draws so far need: an array
   that is longer than before makes its variable grow, a path that is new adds one. */
#include "io/drawset.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH = 512, SIZE_MAX_VAR = 1 << 28 };

const char *const drawset_kind_names[DRAWSET_KINDS] = { "real", "int", "bool", "level" };

double drawset_missing(void)
{
  double x;
  memcpy(&x, &drawset_missing_bits, sizeof x);
  return x;
}

bool drawset_is_missing(double x)
{
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits == drawset_missing_bits;
}

void drawset_init(drawset *s, norn_state *st, mem *m)
{
  *s = (drawset){ .st = st, .m = m };
}

static void text_drop(mem *m, char *s)
{
  if (s) mem_put(m, s, strlen(s) + 1);
}

static char *text_copy(drawset *s, const char *from, size_t n)
{
  char *to = mem_get(s->m, n + 1);
  if (!to) return NULL;
  memcpy(to, from, n);
  to[n] = 0;
  return to;
}

static void var_free(drawset *s, drawset_var *v)
{
  text_drop(s->m, v->name);
  text_drop(s->m, v->choice);
  text_drop(s->m, v->value);
  for (size_t k = 0; k < v->nlevel; k++) text_drop(s->m, v->level[k]);
  mem_put(s->m, v->level, v->clevel * sizeof *v->level);
  mem_put(s->m, v->x, v->cap * sizeof *v->x);
  mem_put(s->m, v->all, (size_t)s->kept * (size_t)v->size * sizeof *v->all);
}

void drawset_free(drawset *s)
{
  for (size_t k = 0; k < s->nvar; k++) var_free(s, &s->var[k]);
  mem_put(s->m, s->var, s->cvar * sizeof *s->var);
  *s = (drawset){ .st = s->st, .m = s->m };
}

static bool no_memory(drawset *s)
{
  if (!s->failed) norn_fail(s->st, NORN_EMEMORY, -1, "not enough memory for the draws");
  s->failed = true;
  return false;
}

/* ---- names ---- */

/* A bracket of nothing but commas and blanks, as in patterns: its length, 0 if there is none. */
static size_t hole_at(const char *p, int *holes)
{
  size_t n = 1;
  *holes = 1;
  if (*p != '[') return 0;
  for (; p[n] == ',' || p[n] == ' '; n++) *holes += p[n] == ',';
  return p[n] == ']' ? n + 1 : 0;
}

int drawset_holes(const char *pattern)
{
  int n = 0, here;
  for (const char *p = pattern; *p; p++)
    if (hole_at(p, &here)) n += here;
  return n;
}

void drawset_name_of(const char *pattern, char *name, size_t size)
{
  size_t n = 0;
  int holes;
  for (const char *p = pattern; *p && n + 1 < size;) {
    size_t k = hole_at(p, &holes);
    if (k) p += k;
    else name[n++] = *p++;
  }
  name[n] = 0;
  if (n == 0) snprintf(name, size, "value");
}

/* An address as pattern and indices: "x[2, 0].z" gives "x[, ].z" and 2, 0.  false: too many. */
static bool take_path(const char *path, char *pattern, int64_t *idx, int *n)
{
  size_t at = 0;
  *n = 0;
  for (const char *p = path; *p && at + 1 < PATH; p++) {
    size_t k = *p == '[' ? strspn(p + 1, "0123456789, ") : 0;
    if (!k || p[k + 1] != ']' || k > 100 || p[1] < '0') {
      pattern[at++] = *p;
      continue;
    }
    pattern[at++] = *p++;
    while (*p != ']' && at + 1 < PATH) {
      if (*p == ',' || *p == ' ') { pattern[at++] = *p++; continue; }
      if (*n == NORN_RANK_MAX) return false;
      idx[*n] = 0;
      for (; *p >= '0' && *p <= '9'; p++)
        if (idx[*n] < INT64_MAX / 20) idx[*n] = 10 * idx[*n] + (*p - '0');
      (*n)++;
    }
    pattern[at++] = ']';
  }
  pattern[at < PATH ? at : PATH - 1] = 0;
  return strlen(path) < PATH - 1;
}

static drawset_var *var_of_name(drawset *s, const char *name)
{
  for (size_t k = 0; k < s->nvar; k++)
    if (strcmp(s->var[k].name, name) == 0) return &s->var[k];
  return NULL;
}

/* The name, or the name with ".2", ".3" ... where another has it. */
static void free_name(drawset *s, const char *want, char *name, size_t size)
{
  snprintf(name, size, "%s", want);
  for (int k = 2; var_of_name(s, name); k++) snprintf(name, size, "%.480s.%d", want, k);
}

/* ---- variables ---- */

drawset_var *drawset_add(drawset *s, const char *name, const char *choice, const char *value,
                         drawset_kind kind, int rank, const int64_t *dims)
{
  char own[PATH];
  if (!mem_grow(s->m, &s->var, &s->cvar, s->nvar + 1, sizeof *s->var)) return no_memory(s), NULL;
  free_name(s, name, own, sizeof own);
  drawset_var *v = &s->var[s->nvar];
  *v = (drawset_var){ .kind = kind, .rank = rank, .size = 1, .ragged = s->n > 0,
                      .stat = !choice && !value };
  for (int k = 0; k < rank; k++) v->size *= v->dims[k] = dims[k];
  v->name = text_copy(s, own, strlen(own));
  if (choice) v->choice = text_copy(s, choice, strlen(choice));
  if (value) v->value = text_copy(s, value, strlen(value));
  bool good = v->name && (!choice || v->choice) && (!value || v->value) &&
              mem_grow(s->m, &v->x, &v->cap, (size_t)v->size + 1, sizeof *v->x);
  for (int64_t k = 0; good && k < v->size; k++) v->x[k] = drawset_missing();
  if (!good) {
    var_free(s, v);
    return no_memory(s), NULL;
  }
  s->cursor = s->nvar++;
  s->changes++;
  return v;
}

bool drawset_add_level(drawset *s, drawset_var *v, const char *json, size_t n)
{
  if (!mem_grow(s->m, &v->level, &v->clevel, v->nlevel + 1, sizeof *v->level)) return no_memory(s);
  if (!(v->level[v->nlevel] = text_copy(s, json, n))) return no_memory(s);
  v->nlevel++;
  return true;
}

/* The place of index tuple i in a row-major array of those dims. */
static int64_t place_of(const int64_t *idx, int rank, const int64_t *dims)
{
  int64_t at = 0;
  for (int k = 0; k < rank; k++) at = at * dims[k] + idx[k];
  return at;
}

static bool next_index(int64_t *idx, int rank, const int64_t *dims)
{
  for (int k = rank; k-- > 0;) {
    if (++idx[k] < dims[k]) return true;
    idx[k] = 0;
  }
  return false;
}

/* Makes room for dims of at least `want`; the numbers of the draw at hand move along. */
static bool var_grow(drawset *s, drawset_var *v, const int64_t *want)
{
  int64_t dims[NORN_RANK_MAX], idx[NORN_RANK_MAX] = { 0 };
  double size = 1;
  bool same = true;
  for (int k = 0; k < v->rank; k++) {
    dims[k] = want[k] > v->dims[k] ? want[k] : v->dims[k];
    same = same && dims[k] == v->dims[k];
    size *= (double)dims[k];
  }
  if (same) return true;
  if (size > SIZE_MAX_VAR) {
    norn_fail(s->st, NORN_ELIMIT, -1, "%s has too many numbers for a file of draws", v->name);
    s->failed = true;
    return false;
  }
  size_t n = (size_t)size, cap = 0;
  double *x = NULL;
  if (!mem_grow(s->m, &x, &cap, n + 1, sizeof *x)) return no_memory(s);
  for (size_t k = 0; k < n; k++) x[k] = drawset_missing();
  for (int64_t k = 0; k < v->size; k++) {
    x[place_of(idx, v->rank, dims)] = v->x[k];
    next_index(idx, v->rank, v->dims);
  }
  mem_put(s->m, v->x, v->cap * sizeof *v->x);
  v->x = x;
  v->cap = cap;
  v->size = (int64_t)n;
  memcpy(v->dims, dims, sizeof dims);
  if (s->n > 0) v->ragged = true;
  s->changes++;
  return true;
}

/* ---- where a leaf goes ---- */

typedef struct leaf {
  const char *pattern;
  bool choice;
  drawset_kind kind;
  int rank; const int64_t *dims;
} leaf;

static bool kinds_join(drawset_kind a, drawset_kind b)
{
  return a == b || (a <= DRAWSET_INT && b <= DRAWSET_INT);
}

static bool leaf_is(const drawset_var *v, const leaf *l)
{
  const char *pattern = l->choice ? v->choice : v->value;
  return pattern && v->rank == l->rank && kinds_join(v->kind, l->kind) &&
         strcmp(pattern, l->pattern) == 0;
}

/* A choice gives its name to the part of the value that is called the same. */
static bool choice_renamed(drawset *s, drawset_var *v)
{
  char name[PATH];
  snprintf(name, sizeof name, "%.480s.choice", v->name);
  for (int k = 2; var_of_name(s, name); k++)
    snprintf(name, sizeof name, "%.480s.choice%d", v->name, k);
  char *own = text_copy(s, name, strlen(name));
  if (!own) return no_memory(s);
  text_drop(s->m, v->name);
  v->name = own;
  s->changes++;
  return true;
}

/* May the choice v be what is also returned as l?  drawset_value sees whether it is. */
static bool may_be_returned(const drawset *s, const drawset_var *v, const leaf *l)
{
  if (s->n > 0 || v->differ || v->rank != l->rank || !kinds_join(v->kind, l->kind)) return false;
  for (int k = 0; k < v->rank; k++) if (l->dims[k] > v->dims[k]) return false;
  return true;
}

static drawset_var *leaf_var(drawset *s, const leaf *l)
{
  char name[PATH];
  for (size_t k = 0; k < s->nvar; k++) {
    size_t at = (s->cursor + k) % s->nvar;
    if (leaf_is(&s->var[at], l)) return s->cursor = at, &s->var[at];
  }
  drawset_name_of(l->pattern, name, sizeof name);
  drawset_var *v = l->choice ? NULL : var_of_name(s, name);
  if (v && (!v->choice || v->value)) v = NULL;
  if (v && !may_be_returned(s, v, l)) {
    if (!choice_renamed(s, v)) return NULL;
    v = NULL;
  }
  if (!v)
    return drawset_add(s, name, l->choice ? l->pattern : NULL, l->choice ? NULL : l->pattern,
                       l->kind, l->rank, l->dims);
  v->value = text_copy(s, l->pattern, strlen(l->pattern));
  v->kind = l->kind;                         /* what is returned says whether it is whole */
  if (!v->value) return no_memory(s), NULL;
  s->changes++;
  return v;
}

static void put_number(drawset_var *v, bool choice, int64_t at, double x)
{
  if (choice) v->by_choice++;
  else v->by_value++;
  if (!choice && v->choice) {
    if (memcmp(&v->x[at], &x, sizeof x) != 0 && !(isnan(x) && isnan(v->x[at]))) v->differ = true;
  } else {
    v->x[at] = isnan(x) && !drawset_is_missing(x) ? (double)NAN : x;
  }
}

/* The variable of a leaf with room for dims; NULL: error set. */
static drawset_var *leaf_room(drawset *s, const leaf *l)
{
  drawset_var *v = s->failed ? NULL : leaf_var(s, l);
  if (!v) return NULL;
  if (v->kind == DRAWSET_INT && l->kind == DRAWSET_REAL && !(l->choice && v->value)) {
    v->kind = DRAWSET_REAL;
    s->changes++;
  }
  if (!l->choice && v->choice && memcmp(v->dims, l->dims, (size_t)v->rank * sizeof *l->dims))
    for (int k = 0; k < v->rank; k++) if (l->dims[k] > v->dims[k]) return v->differ = true, v;
  return var_grow(s, v, l->dims) ? v : NULL;
}

/* ---- leaves ---- */

/* The number of a level: what is no number, as JSON or as it prints. */
static double level_of(drawset *s, drawset_var *v, norn_datum x)
{
  text t;
  text_init(&t, s->m);
  if (json_write(s->st, x, 0, JSON_IO_EXACT, &t)) {
    norn_clear(s->st);
    t.n = 0;
    const char *shown = norn_show(s->st, x, true, 0);
    norn_datum as_text = norn_cstring(s->st, shown ? shown : "?");
    if (json_write(s->st, as_text, 0, 0, &t)) s->failed = true;
  }
  size_t k = 0;
  while (k < v->nlevel && !(strlen(v->level[k]) == t.n && memcmp(v->level[k], t.s, t.n) == 0)) k++;
  if (k == v->nlevel && !s->failed) drawset_add_level(s, v, t.s, t.n);
  text_free(&t);
  return (double)(k + 1);
}

static drawset_kind kind_of(norn_datum x, double *number)
{
  *number = 0;
  if (x.tag == NORN_BOOL) return *number = (double)x.i, DRAWSET_BOOL;
  if (x.tag == NORN_INT) {
    *number = (double)x.i;
    bool exact = x.i > -(1ll << 53) && x.i < 1ll << 53;
    return exact ? DRAWSET_INT : DRAWSET_LEVEL;
  }
  return norn_as_real(x, number) ? DRAWSET_REAL : DRAWSET_LEVEL;
}

/* A path in the making: the pattern with what has been gone through, and the indices so far. */
typedef struct walk {
  drawset *s;
  bool choice;
  char pattern[PATH];
  int64_t idx[NORN_RANK_MAX];
  int n;
} walk;

static void put_leaf(walk *w, norn_datum x)
{
  drawset *s = w->s;
  double number;
  int64_t dims[NORN_RANK_MAX];
  if (x.tag == NORN_MISSING) return;
  for (int k = 0; k < w->n; k++) dims[k] = w->idx[k] + 1;
  leaf l = { w->pattern, w->choice, kind_of(x, &number), w->n, dims };
  drawset_var *v = leaf_room(s, &l);
  if (!v) return;
  if (l.kind == DRAWSET_LEVEL) number = level_of(s, v, x);
  if (!v->differ || w->choice || !v->choice)
    put_number(v, w->choice, place_of(w->idx, w->n, v->dims), number);
}

/* An array whose elements are numbers, at once.  Also an empty one, which only shows its shape. */
static void put_packed(walk *w, const norn_view *a, drawset_kind kind)
{
  int64_t dims[NORN_RANK_MAX], idx[NORN_RANK_MAX] = { 0 };
  for (int k = 0; k < w->n; k++) dims[k] = w->idx[k] + 1;
  memcpy(dims + w->n, a->dims, (size_t)a->rank * sizeof *dims);
  leaf l = { w->pattern, w->choice, kind, w->n + a->rank, dims };
  drawset_var *v = leaf_room(w->s, &l);
  if (!v || (v->differ && !w->choice && v->choice)) return;
  memcpy(idx, w->idx, (size_t)w->n * sizeof *idx);
  for (int64_t k = 0; k < a->n; k++) {
    double x = a->elem == NORN_F64 ? a->f[k] : a->elem == NORN_I64 ? (double)a->i[k] : a->b[k];
    put_number(v, w->choice, place_of(idx, v->rank, v->dims), x);
    next_index(idx + w->n, a->rank, a->dims);
  }
}

static void put_tree(walk *w, norn_datum x);

static bool packed_kind(const norn_view *a, drawset_kind *kind)
{
  *kind = a->elem == NORN_F64 ? DRAWSET_REAL : a->elem == NORN_B8 ? DRAWSET_BOOL : DRAWSET_INT;
  if (a->elem == NORN_VALUES) return false;
  for (int64_t k = 0; a->elem == NORN_I64 && k < a->n; k++)
    if (a->i[k] <= -(1ll << 53) || a->i[k] >= 1ll << 53) return false;
  return true;
}

/* The pattern of a value has each of its indices; that of a choice ends where its address does. */
static void put_array(walk *w, norn_datum x, const norn_view *a)
{
  size_t at = strlen(w->pattern);
  drawset_kind kind;
  bool packed = packed_kind(a, &kind) || a->n == 0;
  int rank = packed ? a->rank : 1;
  if (w->n + rank > NORN_RANK_MAX || at + 3 * (size_t)rank >= PATH) {
    norn_fail(w->s->st, NORN_EDOMAIN, -1, "%.200s is nested too deeply for columns", w->pattern);
    norn_hint(w->s->st, "save(post, \"file.json\") keeps any draws");
    w->s->failed = true;
    return;
  }
  for (int k = 0; !w->choice && k < rank; k++) strcat(w->pattern, "[]");
  if (packed) {
    put_packed(w, a, a->n == 0 ? DRAWSET_INT : kind);
  } else {
    int depth = w->n++;
    for (int64_t k = 0; k < a->dims[0] && !w->s->failed; k++) {
      w->idx[depth] = k;
      put_tree(w, norn_array_at(w->s->st, x, k));
    }
    w->n = depth;
  }
  w->pattern[at] = 0;
}

static void put_record(walk *w, norn_datum x, int fields)
{
  size_t at = strlen(w->pattern);
  for (int k = 0; k < fields && !w->s->failed; k++) {
    norn_datum v;
    const char *name = norn_record_at(w->s->st, x, k, &v);
    snprintf(w->pattern + at, PATH - at, "%s%.200s", at ? "." : "", name);
    put_tree(w, v);
  }
  w->pattern[at] = 0;
}

static void put_tree(walk *w, norn_datum x)
{
  norn_view a;
  int fields = norn_record_size(x);
  if (w->s->failed) return;
  /* an array in the choice of a record would put indices after its fields */
  if (fields > 0 && !w->choice) put_record(w, x, fields);
  else if (norn_array_view(x, &a)) put_array(w, x, &a);
  else put_leaf(w, x);
}

/* ---- draws ---- */

void drawset_begin(drawset *s)
{
  for (size_t k = 0; k < s->nvar; k++) {
    drawset_var *v = &s->var[k];
    v->by_choice = v->by_value = 0;
    for (int64_t i = 0; i < v->size; i++) v->x[i] = drawset_missing();
  }
  s->cursor = 0;
}

void drawset_stat(drawset *s, const char *name, double x)
{
  for (size_t k = 0; k < s->nvar; k++)
    if (s->var[k].stat && strcmp(s->var[k].name, name) == 0) {
      s->var[k].x[0] = isnan(x) ? (double)NAN : x;
      return;
    }
  static const char *const counts[] = { "tree_depth", "n_steps" };
  drawset_kind kind = strcmp(name, "diverging") == 0 ? DRAWSET_BOOL : DRAWSET_REAL;
  for (int k = 0; k < NORN_COUNT(counts); k++)
    if (strcmp(name, counts[k]) == 0) kind = DRAWSET_INT;
  drawset_var *v = s->failed ? NULL : drawset_add(s, name, NULL, NULL, kind, 0, NULL);
  if (v) v->x[0] = x;
}

/* Indices that would leave holes are part of the name: of x[1000000] alone no array is made. */
static bool fits_box(drawset *s, const char *pattern, const int64_t *idx, int n)
{
  for (size_t k = 0; k < s->nvar; k++) {
    const drawset_var *v = &s->var[(s->cursor + k) % s->nvar];
    if (!v->choice || strcmp(v->choice, pattern) != 0) continue;
    for (int i = 0; i < n; i++) if (idx[i] > 2 * v->dims[i] + 8) return false;
    return true;
  }
  for (int i = 0; i < n; i++) if (idx[i] > 8) return false;
  return true;
}

void drawset_choice(drawset *s, const char *address, norn_datum x)
{
  walk w = { .s = s, .choice = true };
  if (s->failed) return;
  if (!take_path(address, w.pattern, w.idx, &w.n) || !fits_box(s, w.pattern, w.idx, w.n)) {
    snprintf(w.pattern, sizeof w.pattern, "%s", address);
    w.n = 0;
  }
  put_tree(&w, x);
}

/* A choice that has turned out to differ from the part of the value of its name: the value keeps
   the name, and what is written already holds for both. */
static bool var_part(drawset *s, size_t at)
{
  char old[PATH];
  drawset_var *v = &s->var[at];
  char *value = v->value;
  snprintf(old, sizeof old, "%s", v->name);
  if (!choice_renamed(s, v)) return false;
  v->value = NULL;
  drawset_var *u = drawset_add(s, old, NULL, value, v->kind, v->rank, v->dims);
  text_drop(s->m, value);
  if (!u) return false;
  v = &s->var[at];
  u->was = v->was;
  u->levels_were = v->levels_were;
  u->ragged = v->ragged;
  for (size_t k = 0; k < v->nlevel; k++)
    if (!drawset_add_level(s, u, v->level[k], strlen(v->level[k]))) return false;
  return true;
}

void drawset_value(drawset *s, norn_datum x)
{
  for (bool again = true; again && !s->failed;) {
    walk w = { .s = s };
    for (size_t k = 0; k < s->nvar; k++) {
      drawset_var *v = &s->var[k];
      v->by_value = 0;
      for (int64_t i = 0; v->value && !v->choice && i < v->size; i++) v->x[i] = drawset_missing();
    }
    put_tree(&w, x);
    again = false;
    for (size_t k = 0, n = s->nvar; k < n && !s->failed; k++) {
      drawset_var *v = &s->var[k];
      if (!v->value || !v->choice || (!v->differ && v->by_value == v->by_choice)) continue;
      again = true;
      v->differ = true;
      var_part(s, k);
    }
  }
}

bool drawset_end(drawset *s)
{
  if (s->failed) return false;
  if (s->kept && s->n >= s->kept) return no_memory(s);
  for (size_t k = 0; k < s->nvar; k++) {
    drawset_var *v = &s->var[k];
    for (int64_t i = 0; i < v->size && !v->ragged; i++)
      if (drawset_is_missing(v->x[i])) {
        v->ragged = true;
        s->changes++;
      }
    if (v->all) memcpy(v->all + s->n * v->size, v->x, (size_t)v->size * sizeof *v->x);
  }
  s->n++;
  return true;
}

bool drawset_keep(drawset *s, int64_t n)
{
  if (s->kept || s->failed) return false;
  s->kept = n;
  s->n = 0;
  for (size_t k = 0; k < s->nvar; k++) {
    drawset_var *v = &s->var[k];
    size_t count = (size_t)n * (size_t)v->size;
    if (v->size > 0 && count / (size_t)v->size != (size_t)n) return no_memory(s);
    if (count && !(v->all = mem_zero(s->m, count * sizeof *v->all))) return no_memory(s);
  }
  return true;
}
