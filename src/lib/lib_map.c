/* lib_map.c: records by name, and the module `maps`: the persistent map of the language.  Sets are
   maps to true, written in Norn (stdlib/sets.norn). */
#include "lib/lib.h"
#include <string.h>

/* ---- records ---- */

static bool want_record(norn_state *st, const norn_datum *args, int i)
{
  if (norn_record_size(args[i]) >= 0) return true;
  lib_wrong(st, args, i, "the argument", "a record");
  return false;
}

static norn_status r_keys(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_datum a, keep;
  if (!want_record(st, args, 0)) return lib_failed(st);
  int m = norn_record_size(args[0]);
  norn_datum *p = lib_values(st, m, &a);
  if (!p) return lib_failed(st);
  for (int k = 0; k < m; k++) {
    p[k] = norn_cstring(st, norn_record_at(st, args[0], k, &keep));
    if (norn_is_none(p[k])) return lib_failed(st);
  }
  *out = a;
  return NORN_OK;
}

static norn_status r_field(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *name;
  size_t len;
  if (!want_record(st, args, 0) ||
      !norn_want_string(st, args, 1, "the name of a field", &name, &len))
    return lib_failed(st);
  *out = norn_record_get(st, args[0], name);
  if (norn_is_none(*out)) *out = n > 2 && args[2].tag != NORN_NONE ? args[2] : norn_missing();
  return NORN_OK;
}

static norn_status r_has_field(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const char *name;
  size_t len;
  if (!want_record(st, args, 0) ||
      !norn_want_string(st, args, 1, "the name of a field", &name, &len))
    return lib_failed(st);
  *out = norn_bool(!norn_is_none(norn_record_get(st, args[0], name)));
  return NORN_OK;
}

/* A record of n names and values held in scratch arrays. */
typedef struct fields { const char **names; norn_datum *values; int n; } fields;

static bool fields_new(norn_state *st, int64_t n, fields *f)
{
  norn_datum keep;
  f->n = 0;
  f->names = (const char **)(void *)lib_ints(st, n, &keep);   /* pointers in 8-byte cells */
  f->values = f->names ? lib_values(st, n, &keep) : NULL;
  return f->values != NULL;
}

static void fields_put(fields *f, const char *name, norn_datum v)
{
  int k = 0;
  while (k < f->n && strcmp(f->names[k], name) != 0) k++;
  f->names[k] = name;
  f->values[k] = v;
  if (k == f->n) f->n++;
}

static norn_status r_merge(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  fields f;
  if (!want_record(st, args, 0) || !want_record(st, args, 1)) return lib_failed(st);
  if (!fields_new(st, norn_record_size(args[0]) + norn_record_size(args[1]), &f))
    return lib_failed(st);
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < norn_record_size(args[k]); i++) {
      norn_datum v;
      const char *name = norn_record_at(st, args[k], i, &v);
      fields_put(&f, name, v);
    }
  return lib_give(st, norn_record(st, f.n, f.names, f.values), out);
}

static norn_status r_record_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view names, values;
  fields f;
  if (!norn_want_array(st, args, 0, "the names", &names) ||
      !norn_want_array(st, args, 1, "the values", &values))
    return lib_failed(st);
  if (names.dims[0] != values.dims[0])
    return norn_fail(st, NORN_ETYPE, 1, "%lld names for %lld values", (long long)names.dims[0],
                     (long long)values.dims[0]);
  if (!fields_new(st, names.dims[0], &f)) return lib_failed(st);
  for (int64_t k = 0; k < names.dims[0]; k++) {
    size_t len;
    const char *name = norn_string_view(norn_array_at(st, args[0], k), &len);
    if (!name) return lib_wrong(st, args, 0, "the names", "an array of strings");
    fields_put(&f, name, norn_array_at(st, args[1], k));
    if (f.n != k + 1) return norn_fail(st, NORN_EDOMAIN, 0, "the field \"%s\" twice", name);
  }
  return lib_give(st, norn_record(st, f.n, f.names, f.values), out);
}

/* ---- maps ---- */

static bool want_map(norn_state *st, const norn_datum *args, int i)
{
  if (norn_map_size(args[i]) >= 0) return true;
  lib_wrong(st, args, i, "the first argument", "a map");
  norn_hint(st, "maps.empty() and maps.from(pairs) make maps; records have fields: r.name");
  return false;
}

static norn_status p_empty(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)args;
  (void)n;
  return lib_give(st, norn_map_new(st), out);
}

static norn_status p_put(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (!want_map(st, args, 0)) return lib_failed(st);
  return lib_give(st, norn_map_put(st, args[0], args[1], args[2]), out);
}

static norn_status p_get(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  if (!want_map(st, args, 0)) return lib_failed(st);
  *out = norn_map_get(args[0], args[1]);
  if (norn_is_none(*out)) *out = n > 2 && args[2].tag != NORN_NONE ? args[2] : norn_missing();
  return NORN_OK;
}

static norn_status p_has(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (!want_map(st, args, 0)) return lib_failed(st);
  *out = norn_bool(!norn_is_none(norn_map_get(args[0], args[1])));
  return NORN_OK;
}

static norn_status p_remove(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (!want_map(st, args, 0)) return lib_failed(st);
  return lib_give(st, norn_map_remove(st, args[0], args[1]), out);
}

static norn_status p_size(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (!want_map(st, args, 0)) return lib_failed(st);
  *out = norn_int(norn_map_size(args[0]));
  return NORN_OK;
}

static norn_status p_from(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  norn_datum m = norn_map_new(st);
  if (!norn_want_array(st, args, 0, "the argument of maps.from", &v)) return lib_failed(st);
  for (int64_t k = 0; k < v.dims[0] && !norn_is_none(m); k++) {
    norn_datum pair = norn_array_at(st, args[0], k);
    if (norn_array_length(pair) != 2)
      return lib_wrong(st, &pair, 0, "each element of the argument of maps.from",
                       "a pair [key, value]");
    m = norn_map_put(st, m, norn_array_at(st, pair, 0), norn_array_at(st, pair, 1));
  }
  return lib_give(st, m, out);
}

/* Keys and values in the keys' natural order: the map's own (by hash) says nothing to a reader. */
typedef struct entries { norn_datum *key, *value; int64_t *order, n; } entries;

static bool entries_of(norn_state *st, norn_datum map, entries *e)
{
  norn_datum keep;
  e->n = norn_map_size(map);
  e->key = lib_values(st, e->n, &keep);
  e->value = e->key ? lib_values(st, e->n, &keep) : NULL;
  if (!e->value) return false;
  for (int64_t k = 0; k < e->n; k++)
    if (!norn_map_at(map, k, &e->key[k], &e->value[k])) e->n = k;
  e->order = lib_value_order(st, e->key, e->n);
  return e->order != NULL;
}

static norn_status map_column(norn_state *st, const norn_datum *args, bool keys, norn_datum *out)
{
  entries e;
  norn_datum keep;
  if (!want_map(st, args, 0)) return lib_failed(st);
  norn_datum *p = entries_of(st, args[0], &e) ? lib_values(st, e.n, &keep) : NULL;
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < e.n; k++) p[k] = keys ? e.key[e.order[k]] : e.value[e.order[k]];
  return lib_give(st, norn_array_pack(st, p, e.n), out);
}

static norn_status p_keys(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return map_column(st, args, true, out);
}

static norn_status p_values(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return map_column(st, args, false, out);
}

static norn_status p_pairs(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  entries e;
  norn_datum keep;
  if (!want_map(st, args, 0) || !entries_of(st, args[0], &e)) return lib_failed(st);
  int64_t dims[2] = { e.n, 2 };
  norn_datum *row = lib_values(st, 2 * e.n, &keep);
  if (!row) return lib_failed(st);
  for (int64_t k = 0; k < e.n; k++) {
    row[2 * k] = e.key[e.order[k]];
    row[2 * k + 1] = e.value[e.order[k]];
  }
  return lib_give(st, lib_nested(st, row, 2, dims), out);
}

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native records[] = {
  FN("keys", "r", r_keys, "The names of a record's fields.", "keys({a: 1, b: 2})",
     "[\"a\", \"b\"]"),
  FN("field", "r, name, default = missing", r_field,
     "A field by its name, or the default if the record has none of that name.",
     "field({a: 1}, \"b\", 0)", "0"),
  FN("has_field", "r, name", r_has_field, "Whether a record has a field of that name.",
     "has_field({a: 1}, \"a\")", "true"),
  FN("merge", "a, b", r_merge, "The fields of both records; where both have one, that of b.",
     "merge({a: 1, b: 2}, {b: 3})", "{a: 1, b: 3}"),
  FN("record_of", "names, values", r_record_of, "The record with these names and values.",
     "record_of([\"a\", \"b\"], [1, 2])", "{a: 1, b: 2}"),
};

static const norn_native maps[] = {
  FN("empty", "", p_empty, "The map without entries.", "maps.size(maps.empty())", "0"),
  FN("put", "m, key, value", p_put, "The map with one entry added or replaced.",
     "maps.empty() |> maps.put(\"a\", 1) |> maps.get(\"a\")", "1"),
  FN("get", "m, key, default = missing", p_get,
     "The value of a key, or the default if there is none.", "maps.get(maps.empty(), \"a\", 0)",
     "0"),
  FN("has", "m, key", p_has, "Whether the map has the key.",
     "maps.has(maps.from([[\"a\", 1]]), \"a\")", "true"),
  FN("remove", "m, key", p_remove, "The map without the key.",
     "maps.from([[\"a\", 1]]) |> maps.remove(\"a\") |> maps.size()", "0"),
  FN("size", "m", p_size, "The number of entries.", "maps.size(maps.from([[\"a\", 1]]))", "1"),
  FN("from", "pairs", p_from, "The map of an array of pairs [key, value]; later pairs win.",
     "maps.from([[1, 2], [1, 3]]) |> maps.get(1)", "3"),
  FN("keys", "m", p_keys, "The keys in their natural order.",
     "maps.keys(maps.from([[2, \"b\"], [1, \"a\"]]))", "[1, 2]"),
  FN("values", "m", p_values, "The values in the order of their keys.",
     "maps.values(maps.from([[2, \"b\"], [1, \"a\"]]))", "[\"a\", \"b\"]"),
  FN("pairs", "m", p_pairs, "The pairs [key, value] in the order of the keys.",
     "maps.pairs(maps.from([[2, \"b\"], [1, \"a\"]]))", "[[1, \"a\"], [2, \"b\"]]"),
};

norn_status lib_map_open(norn_state *st)
{
  norn_status code = norn_add_natives(st, NULL, records, NORN_COUNT(records));
  return code ? code : norn_add_natives(st, "maps", maps, NORN_COUNT(maps));
}
