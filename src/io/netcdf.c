/* netcdf.c: the door to libnetcdf, and the writer of InferenceData (netcdf.h). */
#include "io/netcdf_in.h"
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the library ---- */

/* A property of the process, as for OpenBLAS (num/la.c): written once before its first reader.
   HDF5 keeps state for the whole process and takes one caller at a time; so the lock is the
   process's. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static netcdf_api found;
static char version[60];

void netcdf_lock(void) { pthread_mutex_lock(&busy); }
void netcdf_unlock(void) { pthread_mutex_unlock(&busy); }

static bool find(void *handle, const char *name, void *to)
{
  void *f = dlsym(handle, name);
  memcpy(to, &f, sizeof f);
  return f != NULL;
}

static bool find_all(void *h, netcdf_api *a)
{
  const struct { const char *name; void *to; } all[] = {
    { "nc_strerror", &a->error }, { "nc_create", &a->create }, { "nc_open", &a->open },
    { "nc_close", &a->close }, { "nc_def_grp", &a->def_grp }, { "nc_def_dim", &a->def_dim },
    { "nc_def_var", &a->def_var }, { "nc_enddef", &a->enddef },
    { "nc_put_att_text", &a->put_att_text }, { "nc_put_var_double", &a->put_double },
    { "nc_put_var_longlong", &a->put_int64 }, { "nc_put_var_schar", &a->put_byte },
    { "nc_inq_grps", &a->inq_grps }, { "nc_inq_grpname", &a->inq_grpname },
    { "nc_inq_varids", &a->inq_varids }, { "nc_inq_var", &a->inq_var },
    { "nc_inq_dim", &a->inq_dim }, { "nc_inq_att", &a->inq_att },
    { "nc_get_att_text", &a->get_att_text }, { "nc_get_var_double", &a->get_double },
  };
  for (int k = 0; k < NORN_COUNT(all); k++)
    if (!find(h, all[k].name, all[k].to)) return false;
  return true;
}

/* NORN_NETCDF names another library with these functions; "none" leaves it out.  It is never
   closed: HDF5 has handlers that run when the process ends. */
static void find_netcdf(void)
{
  static const char *const names[] = { "libnetcdf.so.19", "libnetcdf.so.22", "libnetcdf.so" };
  const char *file = getenv("NORN_NETCDF");
  netcdf_api a = { 0 };
  void *h = NULL;
  if (file && strcmp(file, "none") == 0) return;
  if (file && *file) h = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  else
    for (int k = 0; k < NORN_COUNT(names) && !h; k++) h = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (!h || !find_all(h, &a)) return;
  found = a;
  const char *(*release)(void) = NULL;                /* "4.9.0 of ..." */
  snprintf(version, sizeof version, "libnetcdf");
  if (find(h, "nc_inq_libvers", &release)) {
    const char *s = release();
    snprintf(version, sizeof version, "libnetcdf %.*s", (int)strcspn(s, " "), s);
  }
}

const char *netcdf_version(void) { return netcdf_open() ? version : NULL; }

const netcdf_api *netcdf_open(void)
{
  pthread_once(&once, find_netcdf);
  return found.open ? &found : NULL;
}

norn_status netcdf_absent(norn_state *st)
{
  norn_status code = norn_fail(st, NORN_EIO, 1, "NetCDF files need libnetcdf, which is not here");
  norn_hint(st, "on Debian: apt-get install libnetcdf19; or save as .csv or .json");
  return code;
}

/* ---- the writer ---- */

typedef struct writer {
  norn_state *st;
  const netcdf_api *nc;
  const drawset *set;
  mem *m;
  int file, group, code;
  int dim[2];                        /* chain and draw */
  struct { char name[NC_NAME]; size_t n; int id; } *dims; size_t ndims, cdims;
  char (*names)[NC_NAME]; size_t nnames, cnames;      /* of variables of the group */
  int *var;                          /* ids of the set's variables; -1: it is none of this group */
  bool no_memory;
} writer;

static bool ok(writer *w, int code)
{
  if (code && !w->code) w->code = code;
  return !w->code && !w->no_memory;
}

static void put_text(writer *w, int var, const char *name, const char *value)
{
  ok(w, w->nc->put_att_text(w->group, var, name, strlen(value), value));
}

/* A long text in pieces: name, name_1, name_2, ...: an attribute holds 64 KiB. */
static void put_long(writer *w, int var, const char *name, const char *value)
{
  enum { PIECE = 30000 };
  char key[64];
  size_t n = strlen(value);
  for (size_t at = 0, k = 0; at < n || k == 0; at += PIECE, k++) {
    if (k == 0) snprintf(key, sizeof key, "%s", name);
    else snprintf(key, sizeof key, "%s_%zu", name, k);
    size_t len = n - at < PIECE ? n - at : PIECE;
    ok(w, w->nc->put_att_text(w->group, var, key, len, value + at));
  }
}

/* What NetCDF and Python take as a name. */
static void plain_name(const char *from, char *out)
{
  size_t n = 0;
  for (; *from && n + 30 < NC_NAME; from++) {
    unsigned char c = (unsigned char)*from;
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '_' || (n && c == '.') || c >= 128;
    out[n++] = plain ? (char)c : '_';
  }
  out[n] = 0;
}

static bool name_taken(const writer *w, const char *name)
{
  for (size_t k = 0; k < w->nnames; k++) if (strcmp(w->names[k], name) == 0) return true;
  for (size_t k = 0; k < w->ndims; k++) if (strcmp(w->dims[k].name, name) == 0) return true;
  return false;
}

/* A name for a variable that no other and no dimension has. */
static void new_name(writer *w, const char *from, char *out)
{
  char base[NC_NAME];
  plain_name(from, base);
  snprintf(out, NC_NAME, "%s", base);
  for (int k = 2; name_taken(w, out); k++) snprintf(out, NC_NAME, "%.200s_%d", base, k);
  if (!mem_grow(w->m, &w->names, &w->cnames, w->nnames + 1, sizeof *w->names)) w->no_memory = true;
  else memcpy(w->names[w->nnames++], out, NC_NAME);
}

/* The dimension of that name and length, with its coordinate; another name if it has another
   length. */
static int dim_of(writer *w, const char *want, size_t n)
{
  char name[NC_NAME];
  snprintf(name, sizeof name, "%s", want);
  for (int k = 2;; k++) {
    size_t i = 0;
    while (i < w->ndims && strcmp(w->dims[i].name, name) != 0) i++;
    if (i < w->ndims && w->dims[i].n == n) return w->dims[i].id;
    if (i == w->ndims && !name_taken(w, name)) break;
    snprintf(name, sizeof name, "%.200s_%d", want, k);
  }
  if (!mem_grow(w->m, &w->dims, &w->cdims, w->ndims + 1, sizeof *w->dims)) {
    w->no_memory = true;
    return 0;
  }
  snprintf(w->dims[w->ndims].name, NC_NAME, "%s", name);
  w->dims[w->ndims].n = n;
  ok(w, w->nc->def_dim(w->group, name, n, &w->dims[w->ndims].id));
  return w->dims[w->ndims++].id;
}

/* Index d of a variable belongs to a part of its path: rows[].x has rows_dim_0, theta[] (or the
   array theta) theta_dim_0. */
static void dim_name(const drawset_var *v, int d, char *out)
{
  char part[NC_NAME], plain[NC_NAME];
  const char *pattern = v->value ? v->value : v->choice ? v->choice : v->name;
  int seen = 0, before = 0;
  size_t n = 0;
  for (const char *p = pattern; *p && n + 1 < sizeof part; p++) {
    if (*p == '[') {
      for (seen++; *p && *p != ']'; p++) seen += *p == ',';
      bool more = p[0] && p[1];
      if (d < seen && !(more && p[1] == '[')) break;
      if (more && p[1] != '[') before = seen;
      if (!*p) break;
      continue;
    }
    part[n++] = *p;
  }
  part[n] = 0;
  plain_name(n ? part : v->name, plain);
  snprintf(out, NC_NAME, "%.230s_dim_%d", plain, d - before);
}

static int type_of(const drawset_var *v)
{
  if (v->ragged || v->kind == DRAWSET_REAL) return NC_DOUBLE_T;
  return v->kind == DRAWSET_BOOL ? NC_BYTE_T : NC_INT64_T;
}

static void describe(writer *w, int id, const drawset_var *v, const char *key)
{
  text t;
  text_init(&t, w->m);
  drawset_describe(v, &t);
  if (t.failed) w->no_memory = true;
  else put_long(w, id, key, t.s);
  if (v->nlevel) {
    t.n = 0;
    text_putc(&t, '[');
    for (size_t k = 0; k < v->nlevel; k++) {
      if (k) text_puts(&t, ", ");
      text_puts(&t, v->level[k]);
    }
    text_putc(&t, ']');
    if (t.failed) w->no_memory = true;
    else put_long(w, id, "norn_levels", t.s);
  }
  text_free(&t);
}

static int define_var(writer *w, const drawset_var *v, bool constant)
{
  char name[NC_NAME];
  int dims[2 + NORN_RANK_MAX], n = 0, id = -1;
  if (!constant) {
    dims[n++] = w->dim[0];
    dims[n++] = w->dim[1];
  }
  for (int d = 0; d < v->rank; d++) {
    dim_name(v, d, name);
    dims[n++] = dim_of(w, name, (size_t)v->dims[d]);
  }
  new_name(w, v->name, name);
  if (!ok(w, w->nc->def_var(w->group, name, type_of(v), n, dims, &id))) return -1;
  if (type_of(v) == NC_BYTE_T) put_text(w, id, "dtype", "bool");       /* as xarray marks them */
  if (!v->stat) describe(w, id, v, "norn");
  return id;
}

/* Coordinates: 0, 1, ... in each dimension. */
static void put_coordinates(writer *w)
{
  for (size_t k = 0; k < w->ndims && ok(w, 0); k++) {
    int id;
    size_t n = w->dims[k].n;
    long long *x = mem_get(w->m, (n + 1) * sizeof *x);
    if (!x) {
      w->no_memory = true;
      return;
    }
    for (size_t i = 0; i < n; i++) x[i] = (long long)i;
    if (ok(w, w->nc->def_var(w->group, w->dims[k].name, NC_INT64_T, 1, &w->dims[k].id, &id)))
      ok(w, w->nc->put_int64(w->group, id, x));
    mem_put(w->m, x, (n + 1) * sizeof *x);
  }
}

static void put_numbers(writer *w, int id, const drawset_var *v, int64_t draws)
{
  size_t n = (size_t)draws * (size_t)v->size;
  int type = type_of(v);
  if (type == NC_DOUBLE_T) {
    ok(w, w->nc->put_double(w->group, id, v->all));
    return;
  }
  long long *x = mem_get(w->m, n * sizeof *x);
  signed char *b = (signed char *)x;
  if (!x) {
    w->no_memory = true;
    return;
  }
  for (size_t k = 0; k < n; k++) {
    if (type == NC_BYTE_T) b[k] = v->all[k] != 0;
    else x[k] = (long long)v->all[k];
  }
  ok(w, type == NC_BYTE_T ? w->nc->put_byte(w->group, id, b) : w->nc->put_int64(w->group, id, x));
  mem_put(w->m, x, n * sizeof *x);
}

static bool is_of(const drawset_var *v, const netcdf_group *g) { return v->stat == g->stats; }

static void write_group(writer *w, const netcdf_group *g)
{
  char key[40];
  const drawset *s = w->set = g->set;
  int64_t draws = g->constant ? 1 : s->n;
  int empty = 0;
  w->m = s->m;
  w->ndims = w->nnames = 0;
  if (!g->constant) {
    w->dim[0] = dim_of(w, "chain", (size_t)g->chains);
    w->dim[1] = dim_of(w, "draw", (size_t)(s->n / g->chains));
  }
  w->var = mem_get(s->m, (s->nvar + 1) * sizeof *w->var);
  if (!w->var) w->no_memory = true;
  for (size_t k = 0; k < s->nvar && ok(w, 0); k++) {
    const drawset_var *v = &s->var[k];
    w->var[k] = -1;
    if (!is_of(v, g)) continue;
    if (v->size > 0) w->var[k] = define_var(w, v, g->constant);
    else {                                     /* nothing but a shape */
      snprintf(key, sizeof key, "norn_empty_%d", empty++);
      describe(w, NC_GLOBAL_ID, v, key);
    }
  }
  put_coordinates(w);
  for (size_t k = 0; k < s->nvar && ok(w, 0); k++)
    if (w->var[k] >= 0) put_numbers(w, w->var[k], &s->var[k], draws);
  mem_put(s->m, w->var, (s->nvar + 1) * sizeof *w->var);
  mem_put(s->m, w->dims, w->cdims * sizeof *w->dims);
  mem_put(s->m, w->names, w->cnames * sizeof *w->names);
  w->dims = NULL;
  w->names = NULL;
  w->cdims = w->cnames = 0;
}

static norn_status written(writer *w, const char *path)
{
  if (w->no_memory)
    return norn_fail(w->st, NORN_EMEMORY, -1, "not enough memory to write %s", path);
  if (w->code)
    return norn_fail(w->st, NORN_EIO, 1, "can't write %s: %s", path, w->nc->error(w->code));
  return NORN_OK;
}

static void write_all(writer *w, const netcdf_group *g, int ngroups, const char *const *keys,
                      const char *const *texts, int n, const char *info)
{
  w->group = w->file;
  for (int k = 0; k < n; k++) put_text(w, NC_GLOBAL_ID, keys[k], texts[k]);
  put_long(w, NC_GLOBAL_ID, "norn_info", info);
  for (int i = 0; i < ngroups && ok(w, 0); i++) {
    if (!ok(w, w->nc->def_grp(w->file, g[i].name, &w->group))) break;
    for (int k = 0; k < n; k++) put_text(w, NC_GLOBAL_ID, keys[k], texts[k]);
    write_group(w, &g[i]);
  }
}

norn_status netcdf_write(norn_state *st, const char *path, const netcdf_group *g, int ngroups,
                         const char *const *keys, const char *const *texts, int n, const char *info)
{
  writer w = { .st = st, .nc = netcdf_open() };
  if (!w.nc) return netcdf_absent(st);
  netcdf_lock();
  if (ok(&w, w.nc->create(path, NC_CLOBBER_4, &w.file))) {
    write_all(&w, g, ngroups, keys, texts, n, info);
    ok(&w, w.nc->close(w.file));
  }
  netcdf_unlock();
  return written(&w, path);
}
