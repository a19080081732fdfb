/* cvalue.c: values of Norn in C's memory and back.  Numbers are checked against the range of the C
   type: nothing wraps around, no real becomes an integer. */
#include "lib/cvalue.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const size_t bytes[FOREIGN_KINDS_COUNT] = {
#define X(id, type) [FOREIGN_##id] = sizeof(type),
  FOREIGN_KINDS(X)
#undef X
};

size_t cvalue_bytes(foreign_kind k)
{
  return bytes[k];
}

bool cvalue_is_signed(foreign_kind k)
{
  return k >= FOREIGN_INT8 && k <= FOREIGN_INT64;
}

static bool is_integer(foreign_kind k)
{
  return k >= FOREIGN_INT8 && k <= FOREIGN_UINT64;
}

/* ---- messages ---- */

static const char *what(const cvalue_place *p, char *buf, size_t n)
{
  if (!p->function) return p->name;
  snprintf(buf, n, "%s of %s", p->name ? p->name : "the result", p->function);
  return buf;
}

norn_status cvalue_wrong(const cvalue_place *p, const char *wanted, norn_datum got)
{
  char w[160], g[160];
  return norn_fail(p->st, NORN_ETYPE, p->arg, "%s must be %s, got %s", what(p, w, sizeof w), wanted,
                   norn_describe(p->st, got, g, sizeof g));
}

/* The integers of a kind; those of UINT64 end for Norn where its own do. */
static void range(foreign_kind k, int64_t *least, int64_t *most)
{
  int bits = (int)(8 * bytes[k]);
  bool sign = cvalue_is_signed(k);
  *most = bits == 64 ? INT64_MAX : (INT64_C(1) << (bits - sign)) - 1;
  *least = sign ? -*most - 1 : 0;
}

static norn_status out_of_range(const cvalue_place *p, const foreign_type *t, int64_t i)
{
  char w[160];
  int64_t least, most;
  range(t->kind, &least, &most);
  if (most == INT64_MAX)
    return norn_fail(p->st, NORN_EDOMAIN, p->arg, "%s can't be negative (%s), got %lld",
                     what(p, w, sizeof w), t->word, (long long)i);
  return norn_fail(p->st, NORN_EDOMAIN, p->arg,
                   "%s must be an integer from %lld to %lld (%s), got %lld", what(p, w, sizeof w),
                   (long long)least, (long long)most, t->word, (long long)i);
}

/* ---- to C ---- */

static norn_status store_integer(const cvalue_place *p, const foreign_type *t, int64_t i, void *to)
{
  int64_t least, most;
  range(t->kind, &least, &most);
  if (i < least || i > most) return out_of_range(p, t, i);
  switch (bytes[t->kind]) {
  case 1: *(uint8_t *)to = (uint8_t)i; break;
  case 2: *(uint16_t *)to = (uint16_t)i; break;
  case 4: *(uint32_t *)to = (uint32_t)i; break;
  default: *(uint64_t *)to = (uint64_t)i; break;
  }
  return NORN_OK;
}

static norn_status store_float(const cvalue_place *p, double d, float *to)
{
  char w[160];
  if (isfinite(d) && fabs(d) > FLT_MAX)
    return norn_fail(p->st, NORN_EDOMAIN, p->arg, "%s is too large for c_float: %g",
                     what(p, w, sizeof w), d);
  *to = (float)d;
  return NORN_OK;
}

static norn_status store_string(const cvalue_place *p, norn_datum v, const char **to)
{
  char w[160];
  size_t n;
  *to = norn_string_view(v, &n);
  if (!*to) return cvalue_wrong(p, "a string", v);
  if (strlen(*to) != n)
    return norn_fail(p->st, NORN_EDOMAIN, p->arg, "%s holds a zero byte, which ends a string in C",
                     what(p, w, sizeof w));
  return NORN_OK;
}

norn_status cvalue_store(const cvalue_place *p, const foreign_type *t, norn_datum v, void *to)
{
  double d;
  switch (t->kind) {
  case FOREIGN_DOUBLE:
    if (!norn_as_real(v, (double *)to)) return cvalue_wrong(p, "a real", v);
    return NORN_OK;
  case FOREIGN_FLOAT:
    if (!norn_as_real(v, &d)) return cvalue_wrong(p, "a real", v);
    return store_float(p, d, to);
  case FOREIGN_BOOL:
    if (v.tag != NORN_BOOL) return cvalue_wrong(p, "true or false", v);
    *(bool *)to = v.i != 0;
    return NORN_OK;
  case FOREIGN_STRING: return store_string(p, v, to);
  case FOREIGN_POINTER:
    if (v.tag != NORN_POINTER) return cvalue_wrong(p, "a pointer of C", v);
    *(void **)to = v.p;
    return NORN_OK;
  default:
    if (v.tag != NORN_INT) return cvalue_wrong(p, "an integer", v);
    return store_integer(p, t, v.i, to);
  }
}

static norn_status element_wrong(const cvalue_place *p, const char *wanted, int64_t i, norn_datum v)
{
  char w[160], g[160];
  return norn_fail(p->st, NORN_ETYPE, p->arg, "%s must be an array of %s, got %s at %lld",
                   what(p, w, sizeof w), wanted, norn_describe(p->st, v, g, sizeof g),
                   (long long)i);
}

static norn_datum element(const norn_view *v, int64_t i)
{
  switch (v->elem) {
  case NORN_F64: return norn_real(v->f[i]);
  case NORN_I64: return norn_int(v->i[i]);
  case NORN_B8: return norn_bool(v->b[i] != 0);
  default: return v->v[i];
  }
}

/* What is wrong with element i for arrays of kind k, or NULL. */
static const char *unfit(foreign_kind k, norn_datum v)
{
  double d;
  if (k == FOREIGN_BOOL) return v.tag == NORN_BOOL ? NULL : "booleans";
  if (is_integer(k)) return v.tag == NORN_INT ? NULL : "integers";
  return norn_as_real(v, &d) ? NULL : "reals";
}

norn_status cvalue_store_all(const cvalue_place *p, const foreign_type *t, const norn_view *v,
                             void *to)
{
  size_t size = bytes[t->kind];
  bool same = (v->elem == NORN_F64 && t->kind == FOREIGN_DOUBLE) ||
              (v->elem == NORN_I64 && t->kind == FOREIGN_INT64);
  if (same) {
    if (v->n) memcpy(to, v->f, (size_t)v->n * size);
    return NORN_OK;
  }
  for (int64_t i = 0; i < v->n; i++) {
    norn_datum x = element(v, i);
    const char *wanted = unfit(t->kind, x);
    if (wanted) return element_wrong(p, wanted, i, x);
    norn_status s = cvalue_store(p, t, x, (char *)to + (size_t)i * size);
    if (s) return s;
  }
  return NORN_OK;
}

/* ---- from C ---- */

static norn_status load_integer(const cvalue_place *p, const foreign_type *t, const void *from,
                                int64_t *out)
{
  char w[160];
  bool sign = cvalue_is_signed(t->kind);
  switch (bytes[t->kind]) {
  case 1: *out = sign ? *(const int8_t *)from : *(const uint8_t *)from; return NORN_OK;
  case 2: *out = sign ? *(const int16_t *)from : *(const uint16_t *)from; return NORN_OK;
  case 4: *out = sign ? *(const int32_t *)from : (int64_t)*(const uint32_t *)from; return NORN_OK;
  default: break;
  }
  uint64_t u = *(const uint64_t *)from;
  *out = (int64_t)u;
  if (!sign && u > (uint64_t)INT64_MAX)
    return norn_fail(p->st, NORN_EDOMAIN, p->arg, "%s is too large for an integer: %llu (%s)",
                     what(p, w, sizeof w), (unsigned long long)u, t->word);
  return NORN_OK;
}

static norn_status load_string(const cvalue_place *p, const char *s, norn_datum *out)
{
  char w[160];
  uint32_t code;
  int k;
  *out = norn_missing();
  if (!s) return NORN_OK;
  size_t n = strlen(s), at = 0;
  while (at < n && (k = utf8_next(s + at, n - at, &code)) > 0) at += (size_t)k;
  if (at < n)
    return norn_fail(p->st, NORN_EDOMAIN, p->arg, "%s is not UTF-8 text (byte %zu)",
                     what(p, w, sizeof w), at);
  *out = norn_string(p->st, s, n);
  return norn_is_none(*out) ? norn_fail(p->st, NORN_EMEMORY, -1, "out of memory") : NORN_OK;
}

norn_status cvalue_load(const cvalue_place *p, const foreign_type *t, const void *from,
                        norn_datum *out)
{
  norn_status s = NORN_OK;
  int64_t i = 0;
  switch (t->kind) {
  case FOREIGN_DOUBLE: *out = norn_real(*(const double *)from); break;
  case FOREIGN_FLOAT: *out = norn_real((double)*(const float *)from); break;
  case FOREIGN_BOOL: *out = norn_bool(*(const uint8_t *)from != 0); break;
  case FOREIGN_STRING: return load_string(p, *(const char *const *)from, out);
  case FOREIGN_POINTER:
    *out = norn_unit();
    out->tag = NORN_POINTER;
    out->q = *(const void *const *)from;
    break;
  default:
    s = load_integer(p, t, from, &i);
    *out = norn_int(i);
    break;
  }
  return s;
}

norn_status cvalue_load_all(const cvalue_place *p, const foreign_type *t, const void *from,
                            int rank, const int64_t *dims, norn_datum *out)
{
  size_t size = bytes[t->kind];
  void *data;
  int64_t n = 1, i;
  norn_elem elem = t->kind == FOREIGN_BOOL    ? NORN_B8
                   : is_integer(t->kind) ? NORN_I64
                                              : NORN_F64;
  for (int k = 0; k < rank; k++) n *= dims[k];
  *out = norn_array(p->st, elem, rank, dims, &data);
  if (norn_is_none(*out)) return norn_fail(p->st, NORN_EMEMORY, -1, "out of memory");
  for (int64_t k = 0; k < n; k++) {
    const char *at = (const char *)from + (size_t)k * size;
    if (t->kind == FOREIGN_DOUBLE) ((double *)data)[k] = *(const double *)(const void *)at;
    else if (t->kind == FOREIGN_FLOAT)
      ((double *)data)[k] = (double)*(const float *)(const void *)at;
    else if (t->kind == FOREIGN_BOOL) ((uint8_t *)data)[k] = *(const uint8_t *)at != 0;
    else {
      norn_status s = load_integer(p, t, at, &i);
      if (s) return s;
      ((int64_t *)data)[k] = i;
    }
  }
  return NORN_OK;
}
