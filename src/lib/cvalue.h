/* cvalue.h: values of Norn in C's memory and back, for foreign functions (lib_ffi.c). */
#ifndef NORN_LIB_CVALUE_H
#define NORN_LIB_CVALUE_H
#include "base/foreign.h"

/* What a message speaks of: parameter `name` (NULL: the result) of a function, or if that is NULL
   `name` itself; and which argument gets the caret. */
typedef struct cvalue_place {
  norn_state *st;
  const char *name, *function;
  int arg;
} cvalue_place;

size_t cvalue_bytes(foreign_kind);
bool   cvalue_is_signed(foreign_kind);
/* "x of f must be WANTED, got a string" */
norn_status cvalue_wrong(const cvalue_place *, const char *wanted, norn_datum got);
/* One value; the type's kind counts. */
norn_status cvalue_store(const cvalue_place *, const foreign_type *, norn_datum, void *to);
norn_status cvalue_load(const cvalue_place *, const foreign_type *, const void *from,
                        norn_datum *out);
/* The elements of an array. */
norn_status cvalue_store_all(const cvalue_place *, const foreign_type *, const norn_view *,
                             void *to);
norn_status cvalue_load_all(const cvalue_place *, const foreign_type *, const void *from, int rank,
                            const int64_t *dims, norn_datum *out);
#endif
